//! One `initdb`, many servers: the data directory that every primary begins as a copy of.
//!
//! `initdb` takes half a second; a copy takes a twentieth of that. The template is made once per machine
//! and major version, with the roles and the database that every shard needs, and is cached.
//!
//! ```text
//! <cache>/postgresql-15/data           the stopped server, copied whole
//!                       template.json  written last: it is complete
//!         lock                         held while one is being made
//! ```
//!
//! Copies share the template's system identifier. Streaming replication compares the identifiers of a
//! primary and its replica, which must agree; nothing compares those of different shards. It does mean that
//! PostgreSQL would not notice a replica pointed at the primary of another shard: the cluster does not do so.
//!
//! Invariants:
//! 1. A template without its `template.json` is never used.
//! 2. The superuser's password is random, and in files that only we and the servers' account can read. The
//!    password of the application's role is public knowledge; that role cannot leave its databases.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::error::{ClusterError, Doing};
use super::installation::Installation;

/// The role, password and database for clients of the cluster.
pub const APP_USER: &str = "meridian";
pub const APP_PASSWORD: &str = "meridian";
pub const APP_DATABASE: &str = "demo";
pub const SUPERUSER: &str = "postgres";

/// Raised whenever a template made by an older version would not do.
const FORMAT: u32 = 1;

/// Text is ordered by its bytes, which every shard and Meridian agree on whatever their libraries are, and
/// classified by Unicode. Where the machine lacks that locale, all of it is `C`.
const LOCALES: [&[&str]; 2] = [&["--locale=C.UTF-8", "--lc-collate=C"], &["--locale=C"]];

/// Run on the stopped server, one statement a line.
const SETUP: &str = "\
CREATE ROLE meridian LOGIN CREATEDB PASSWORD 'meridian'
GRANT pg_monitor TO meridian
CREATE DATABASE demo OWNER meridian
";

/// A stopped server's data directory, to be copied.
#[derive(Debug)]
pub struct Template {
    data: PathBuf,
    pub superuser_password: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    superuser_password: String,
}

impl Template {
    /// Takes the template from the cache, or makes it. `workshop` is a directory that the account can enter.
    pub fn prepare(
        installation: &Installation,
        account: Account,
        cache: &Path,
        workshop: &Path,
    ) -> Result<Self, ClusterError> {
        fs::create_dir_all(cache).doing(|| format!("creating {}", cache.display()))?;
        let lock =
            File::create(cache.join("lock")).doing(|| format!("creating a lock in {}", cache.display()))?;
        lock.lock().doing(|| format!("locking {}", cache.display()))?;
        let home = cache.join(format!("postgresql-{}", installation.major));
        if let Some(template) = Self::open(&home) {
            return Ok(template);
        }
        let _ = fs::remove_dir_all(&home);
        Self::make(installation, account, &home, workshop)
    }

    fn open(home: &Path) -> Option<Self> {
        let marker: Marker = serde_json::from_slice(&fs::read(home.join("template.json")).ok()?).ok()?;
        (marker.format == FORMAT)
            .then(|| Self { data: home.join("data"), superuser_password: marker.superuser_password })
    }

    fn make(
        installation: &Installation,
        account: Account,
        home: &Path,
        workshop: &Path,
    ) -> Result<Self, ClusterError> {
        let superuser_password = uuid::Uuid::new_v4().simple().to_string();
        let draft = workshop.join("template-draft");
        let _ = fs::remove_dir_all(&draft);
        private_directory(&draft, account)?;
        let password_file = draft.join("password");
        write_private(&password_file, &superuser_password, account)?;

        let data = draft.join("data");
        initdb(installation, account, &data, &password_file)?;
        set_up(installation, account, &data)?;

        fs::create_dir_all(home).doing(|| format!("creating {}", home.display()))?;
        fs::set_permissions(home, fs::Permissions::from_mode(0o700))
            .doing(|| format!("closing {}", home.display()))?;
        let kept = home.join("data");
        if fs::rename(&data, &kept).is_err() {
            copy_tree(&data, &kept, Account::Own)?;
        }
        let _ = fs::remove_dir_all(&draft);
        let marker = Marker { format: FORMAT, superuser_password: superuser_password.clone() };
        let text =
            serde_json::to_string(&marker).map_err(|error| ClusterError::Invalid(error.to_string()))?;
        write_private(&home.join("template.json"), &text, Account::Own)?;
        Ok(Self { data: kept, superuser_password })
    }

    /// Copies the template to a new directory that belongs to the account.
    pub fn copy_to(&self, target: &Path, account: Account) -> Result<(), ClusterError> {
        copy_tree(&self.data, target, account)
    }
}

fn initdb(
    installation: &Installation,
    account: Account,
    data: &Path,
    password_file: &Path,
) -> Result<(), ClusterError> {
    let mut output = String::new();
    for locale in LOCALES {
        let _ = fs::remove_dir_all(data);
        let mut command = Command::new(installation.program("initdb"));
        command.args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--username", SUPERUSER]);
        command.args(locale).arg("--pwfile").arg(password_file).arg("--pgdata").arg(data);
        account.apply(&mut command);
        let result = run(command, "", "initdb", data)?;
        if result.status.success() {
            return Ok(());
        }
        output = String::from_utf8_lossy(&result.stderr).into_owned();
    }
    Err(ClusterError::Tool { program: "initdb", output })
}

/// Creates roles and databases in single-user mode: no port, no password, no wait.
fn set_up(installation: &Installation, account: Account, data: &Path) -> Result<(), ClusterError> {
    let mut command = Command::new(installation.program("postgres"));
    command.args(["--single", "-c", "password_encryption=scram-sha-256", "-c", "exit_on_error=true"]);
    command.args(["-c", "fsync=off", "-D"]).arg(data).arg("postgres");
    account.apply(&mut command);
    let result = run(command, SETUP, "postgres --single", data)?;
    if result.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&result.stderr).into_owned();
    Err(ClusterError::Tool { program: "postgres --single", output })
}

fn run(mut command: Command, input: &str, program: &str, data: &Path) -> Result<Output, ClusterError> {
    // The current directory may be one that the account cannot enter; PostgreSQL looks at it.
    command.current_dir(data.parent().unwrap_or(Path::new("/")));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(|| format!("starting {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends early says why on its standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().doing(|| format!("waiting for {program}"))
}

/// Creates a directory, mode 0700, that belongs to the account.
pub fn private_directory(path: &Path, account: Account) -> Result<(), ClusterError> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .and_then(|()| account.give(path))
        .doing(|| format!("creating {}", path.display()))
}

/// Writes a file, mode 0600, that belongs to the account.
pub fn write_private(path: &Path, text: &str, account: Account) -> Result<(), ClusterError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| account.give(path))
        .doing(|| format!("writing {}", path.display()))
}

fn copy_tree(source: &Path, target: &Path, account: Account) -> Result<(), ClusterError> {
    private_directory(target, account)?;
    let entries = fs::read_dir(source).doing(|| format!("reading {}", source.display()))?;
    for entry in entries {
        let entry = entry.doing(|| format!("reading {}", source.display()))?;
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        if entry.file_type().doing(|| format!("reading {}", from.display()))?.is_dir() {
            copy_tree(&from, &to, account)?;
        } else {
            fs::copy(&from, &to)
                .and_then(|_| account.give(&to))
                .doing(|| format!("copying {}", from.display()))?;
        }
    }
    Ok(())
}
