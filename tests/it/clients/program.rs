//! The programs, what they need, and running one of them against a target.
//!
//! `scripts/ensure-clients` installs what they need into `target/clients`, in a folder for each kit, with a stamp that holds
//! the pins it was installed from.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};

use crate::harness::spawn_for_life;
use crate::stand::Target;

/// A program that hangs is ended.
const PATIENCE: Duration = Duration::from_secs(240);
/// A suite has thousands of tests.
const SUITE_PATIENCE: Duration = Duration::from_secs(900);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A language with its packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kit {
    Python,
    Node,
    Java,
    C,
    /// What drivers publish with their sources, in Python.
    Suites,
}

#[derive(Debug)]
pub struct Program {
    pub name: &'static str,
    pub kit: Kit,
    /// In the kit's folder of `tests/clients`.
    pub file: &'static str,
    /// Packages whose versions the document names.
    pub packages: &'static [&'static str],
}

pub const PROGRAMS: &[Program] = &[
    program("psycopg", Kit::Python, "psycopg_client.py", &["psycopg", "psycopg-pool"]),
    program("asyncpg", Kit::Python, "asyncpg_client.py", &["asyncpg"]),
    program("sqlalchemy", Kit::Python, "sqlalchemy_client.py", &["SQLAlchemy", "alembic"]),
    program("django", Kit::Python, "django_client.py", &["Django"]),
    program("pg", Kit::Node, "pg_client.js", &["pg", "pg-cursor", "pg-query-stream"]),
    program("postgres", Kit::Node, "postgres_client.js", &["postgres"]),
    program("drizzle", Kit::Node, "drizzle_client.js", &["drizzle-orm"]),
    program("jdbc", Kit::Java, "JdbcClient.java", &["libpostgresql-jdbc-java"]),
    program("libpq", Kit::C, "libpq_client.c", &["libpq"]),
];

/// Suites that drivers publish: what they are called, and who runs them.
pub const SUITES: &[Program] = &[
    program("asyncpg", Kit::Suites, "asyncpg_suite.py", &["asyncpg"]),
    program("sqlalchemy", Kit::Suites, "sqlalchemy_suite.py", &["SQLAlchemy", "psycopg"]),
    program("django", Kit::Suites, "django_suite.py", &["Django", "psycopg"]),
];

const fn program(
    name: &'static str,
    kit: Kit,
    file: &'static str,
    packages: &'static [&'static str],
) -> Program {
    Program { name, kit, file, packages }
}

impl Kit {
    fn folder(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Java => "java",
            Self::C => "c",
            Self::Suites => "suites",
        }
    }

    /// What the stamp of an installation is a copy of.
    fn pins(self) -> &'static str {
        match self {
            Self::Python | Self::Suites => "requirements.txt",
            Self::Node => "package-lock.json",
            Self::Java => "driver.txt",
            Self::C => "libpq_client.c",
        }
    }

    /// The file that names the versions.
    pub fn versions(self) -> String {
        let file = match self {
            Self::Python => "python/requirements.txt",
            Self::Node => "node/package.json",
            Self::Java => "java/driver.txt",
            Self::C => "c/driver.txt",
            Self::Suites => "suites/requirements.txt",
        };
        fs::read_to_string(sources().join(file)).unwrap_or_default()
    }

    /// Whether it is installed as it is pinned; else why not.
    pub fn at_hand(self) -> Result<(), String> {
        let pins = fs::read(sources().join(self.folder()).join(self.pins())).unwrap_or_default();
        if fs::read(installed().join(self.folder()).join("stamp")).is_ok_and(|stamp| stamp == pins) {
            return Ok(());
        }
        let said = fs::read_to_string(installed().join(format!("{}.missing", self.folder())));
        let why = said.unwrap_or_else(|_| "its packages are not installed".to_owned());
        Err(format!("{} (make test-clients)", why.trim()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn sources() -> PathBuf {
    root().join("tests/clients")
}

fn installed() -> PathBuf {
    root().join("target/clients")
}

/// Past the capture of a test's output: a skip is not to look like a pass.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Program {
    fn command(&self) -> Command {
        let source = sources().join(self.kit.folder()).join(self.file);
        let kit = installed().join(self.kit.folder());
        let mut command = match self.kit {
            Kit::Python | Kit::Suites => Command::new(kit.join("bin/python")),
            Kit::Node => Command::new("node"),
            Kit::Java => Command::new("java"),
            Kit::C => return Command::new(kit.join("libpq_client")),
        };
        match self.kit {
            Kit::Python => command.arg("-B").arg(source),
            // Of SQLAlchemy -s tests the package that is installed, not the sources beside the tests.
            Kit::Suites => command.arg("-Bs").arg(source).arg(kit.join("sources").join(self.name)),
            Kit::Java => command.arg("-cp").arg(kit.join("postgresql.jar")).arg(source),
            Kit::Node | Kit::C => command.arg(source).env("NODE_PATH", kit.join("node_modules")),
        };
        command
    }

    /// What it prints; it must end by itself, and well.
    pub fn run(&self, target: &Target) -> String {
        let mut command = self.command();
        command.env("PGUSER", APP_USER).env("PGPASSWORD", APP_PASSWORD).env("PGHOST", "127.0.0.1");
        command.env("PGPORT", target.port.to_string()).env("PGDATABASE", &target.database);
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("NODE_NO_WARNINGS", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn_for_life(command);
        let [output, errors] = [
            child.stdout.take().map(|pipe| reader(Box::new(pipe))),
            child.stderr.take().map(|pipe| reader(Box::new(pipe))),
        ]
        .map(|reader| reader.expect("a pipe"));
        let patience = if self.kit == Kit::Suites { SUITE_PATIENCE } else { PATIENCE };
        let deadline = Instant::now() + patience;
        let status = loop {
            match child.try_wait().expect("a child can be waited for") {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
                None => std::thread::sleep(POLL_INTERVAL),
            }
        };
        let [output, errors] = [output, errors].map(|reader| reader.join().expect("a reader ends"));
        let (name, kind) = (self.name, target.kind);
        assert!(
            status.is_some_and(|status| status.success()),
            "{name} with {kind:?}: {status:?} (None: it hangs)\n{output}\n{errors}"
        );
        output
    }
}

fn reader(mut pipe: Box<dyn Read + Send>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
