//! Who is compared: a direct connection, a plain relay, PgBouncer, Meridian on one shard and on four.
//!
//! The first three can only speak to one server: the primary of the first region. Meridian stands before all four; it
//! runs once with the keys of the first region, where it does what the others do, and once with the keys of all.
//! PgBouncer and Meridian pool by transaction, with as many server connections for each node.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER, Account, Shard};

use super::arguments::{Arguments, Mode};
use super::interruption::wait_for;
use super::process::ChildProcess;
use super::relay;
use super::stand::{REGIONS, Stand};

pub const MERIDIAN: &str = "meridian";
pub const START_TIMEOUT: Duration = Duration::from_secs(20);
/// PgBouncer keeps prepared statements under transaction pooling since this version.
const PREPARED_SINCE: (u32, u32) = (1, 21);
const PREPARED_STATEMENTS_MAX: usize = 500;
/// The database of PgBouncer that pools by session, for the prepared mode of older versions.
const SESSION_DATABASE: &str = "demo_by_session";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Direct,
    Relay,
    PgBouncer,
    MeridianOne,
    MeridianFour,
}

impl Who {
    pub const ALL: [Self; 5] =
        [Self::Direct, Self::Relay, Self::PgBouncer, Self::MeridianOne, Self::MeridianFour];

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "plain relay",
            Self::PgBouncer => "PgBouncer",
            Self::MeridianOne => "Meridian, keys of one shard",
            Self::MeridianFour => "Meridian, keys of four shards",
        }
    }
}

/// One way to the data.
#[derive(Debug)]
pub struct Contestant {
    pub who: Who,
    pub port: u16,
    /// The proxy's process, if there is one.
    pub proxy: Option<u32>,
    /// Prepared statements need another database of it.
    prepared_by_session: bool,
}

impl Contestant {
    pub fn database(&self, mode: Mode) -> &'static str {
        match (self.prepared_by_session, mode) {
            (true, Mode::Prepared) => SESSION_DATABASE,
            _ => APP_DATABASE,
        }
    }

    /// The regions whose keys it is asked for.
    pub fn regions(&self) -> &'static [&'static str] {
        if self.who == Who::MeridianFour { &REGIONS } else { &REGIONS[..1] }
    }
}

pub struct Contestants {
    pub all: Vec<Contestant>,
    /// The version of PgBouncer, if it is there.
    pub pgbouncer: Option<String>,
    /// PgBouncer pools by session in the prepared mode.
    pub prepared_by_session: bool,
    // Dropped, they end.
    _processes: Vec<ChildProcess>,
}

impl Contestants {
    pub fn start(stand: &Stand, arguments: &Arguments) -> anyhow::Result<Self> {
        let (relay, relay_port) = start_relay(stand)?;
        let (meridian, meridian_port) = start_meridian(stand, arguments, &Served::all(stand))?;
        let contestant = |who, port, proxy| Contestant { who, port, proxy, prepared_by_session: false };
        let mut all = vec![
            contestant(Who::Direct, stand.home_port(), None),
            contestant(Who::Relay, relay_port, Some(relay.pid())),
            contestant(Who::MeridianOne, meridian_port, Some(meridian.pid())),
            contestant(Who::MeridianFour, meridian_port, Some(meridian.pid())),
        ];
        let mut processes = vec![relay, meridian];
        let mut prepared_by_session = false;
        let pgbouncer = find_pgbouncer();
        if let Some(program) = &pgbouncer {
            prepared_by_session = program.number < PREPARED_SINCE;
            let (process, port) = start_pgbouncer(stand, arguments, program)?;
            let proxy = Some(process.pid());
            all.insert(2, Contestant { who: Who::PgBouncer, port, proxy, prepared_by_session });
            processes.push(process);
        }
        let pgbouncer = pgbouncer.map(|program| program.version);
        Ok(Self { all, pgbouncer, prepared_by_session, _processes: processes })
    }

    pub fn get(&self, who: Who) -> Option<&Contestant> {
        self.all.iter().find(|contestant| contestant.who == who)
    }
}

fn start_relay(stand: &Stand) -> anyhow::Result<(ChildProcess, u16)> {
    let port = stand.free_port()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(relay::COMMAND).arg(local(port).to_string()).arg(local(stand.home_port()).to_string());
    start(stand, command, port, "relay")
}

/// What a Meridian stands before.
pub struct Served<'a> {
    pub shards: &'a [Shard],
    /// Placed by region.
    pub tables: &'a [&'a str],
    /// Further keys of its section `proxy`.
    pub proxy: &'a str,
    /// Further sections of its configuration.
    pub more: &'a str,
}

impl<'a> Served<'a> {
    /// Every server of the stand.
    pub fn all(stand: &'a Stand) -> Self {
        Self { shards: stand.cluster.shards(), tables: &["accounts", "lines"], proxy: "", more: "" }
    }
}

pub fn start_meridian(
    stand: &Stand,
    arguments: &Arguments,
    served: &Served<'_>,
) -> anyhow::Result<(ChildProcess, u16)> {
    let (command, port) = meridian(stand, arguments, served)?;
    start(stand, command, port, MERIDIAN)
}

/// A Meridian that is yet to be started, and where it will listen.
pub fn meridian(stand: &Stand, arguments: &Arguments, served: &Served<'_>) -> anyhow::Result<(Command, u16)> {
    let port = stand.free_port()?;
    let workers = arguments.workers.map_or(String::new(), |workers| format!("workers = {workers}\n"));
    let mut text = format!(
        "[proxy]\nlisten = \"{}\"\n{workers}{}\n[database]\nname = \"{APP_DATABASE}\"\n\n\
         [server]\nuser = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\n\n\
         [[users]]\nname = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\n\n\
         [pool]\nsize = {}\nprepared_statements_max = {PREPARED_STATEMENTS_MAX}\n\n{}",
        local(port),
        served.proxy,
        arguments.pool,
        served.more
    );
    for shard in served.shards {
        let (name, address) = (shard.name(), shard.primary().address());
        text += &format!(
            "[[regions]]\nname = \"{name}\"\n\n\
             [[shards]]\nname = \"{name}\"\nregion = \"{name}\"\nnodes = [\"{address}\"]\n\n"
        );
    }
    for table in served.tables {
        text += &format!("[[tables]]\nname = \"{table}\"\nplacement = \"region\"\nkey = \"region\"\n\n");
    }
    let file = stand.write("meridian.toml", &text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    command.arg("serve").arg("--config").arg(file);
    Ok((command, port))
}

struct PgBouncer {
    path: PathBuf,
    version: String,
    number: (u32, u32),
}

fn find_pgbouncer() -> Option<PgBouncer> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let path = folders.map(|folder| folder.join("pgbouncer")).find(|path| path.is_file())?;
    let output = Command::new(&path).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // As "PgBouncer 1.18.0".
    let version = text.lines().next()?.split_whitespace().last()?.to_owned();
    let mut numbers = version.split('.').map_while(|part| part.parse().ok());
    let number = (numbers.next()?, numbers.next()?);
    Some(PgBouncer { path, version, number })
}

fn start_pgbouncer(
    stand: &Stand,
    arguments: &Arguments,
    program: &PgBouncer,
) -> anyhow::Result<(ChildProcess, u16)> {
    let port = stand.free_port()?;
    let users = stand.write("users.txt", &format!("\"{APP_USER}\" \"{APP_PASSWORD}\"\n"))?;
    let prepared = match program.number < PREPARED_SINCE {
        true => String::new(),
        false => format!("max_prepared_statements = {PREPARED_STATEMENTS_MAX}\n"),
    };
    let server = format!("host=127.0.0.1 port={} dbname={APP_DATABASE}", stand.home_port());
    let text = format!(
        "[databases]\n{APP_DATABASE} = {server}\n\
         {SESSION_DATABASE} = {server} pool_mode=session pool_size={session_pool}\n\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = scram-sha-256\nauth_file = {users}\npool_mode = transaction\n\
         default_pool_size = {pool}\nmax_client_conn = {clients}\n{prepared}\
         log_connections = 0\nlog_disconnections = 0\n",
        session_pool = arguments.clients_max(),
        users = users.display(),
        pool = arguments.pool,
        clients = arguments.idle + arguments.clients_max() + 100,
    );
    let file = stand.write("pgbouncer.ini", &text)?;
    let mut command = Command::new(&program.path);
    command.arg(file);
    // It refuses to run as root.
    Account::for_servers()?.apply(&mut command);
    start(stand, command, port, "pgbouncer")
}

fn start(stand: &Stand, mut command: Command, port: u16, name: &str) -> anyhow::Result<(ChildProcess, u16)> {
    let log = log_to_file(stand, &mut command, name)?;
    let mut process = ChildProcess::spawn(command)?;
    wait_for(name, START_TIMEOUT, || {
        if process.has_ended()? {
            bail!("{name} does not start:\n{}", end_of(&log));
        }
        Ok(TcpStream::connect(local(port)).is_ok())
    })?;
    Ok((process, port))
}

/// What it says goes to a file of this run, which is told.
pub fn log_to_file(stand: &Stand, command: &mut Command, name: &str) -> anyhow::Result<PathBuf> {
    let log = stand.path(&format!("{name}.log"));
    let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
    command.current_dir("/").stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(log)
}

pub fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
