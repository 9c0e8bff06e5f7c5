//! A Meridian under test: the built program, as a process of its own, in front of a cluster.
//!
//! ```text
//! let meridian = meridian(&cluster).database("demo").tables(RIDES).start();
//! let client = connect(&meridian.app()).await;
//! meridian.kill();
//! ```
//!
//! It is the program that users run and not the library, so that a kill -9 of it is real. What it prints goes to a file
//! beside its configuration, and is shown when it does not start.
//!
//! Invariants:
//! 1. No Meridian outlives its test: dropped it is killed, and it dies with this process (Linux).
//! 2. `start` returns when a client can log in.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER, Cluster};
use meridian::demo::data::AREAS;

use super::{TemporaryDirectory, free_port};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const LOG_LINES_SHOWN: usize = 40;

/// The tables of the standing example, as the configuration names them.
pub const RIDE_TABLES: &str = r#"
[[tables]]
name = "users"
placement = "region"
key = "region"
position = { latitude = "latitude", longitude = "longitude" }

[[tables]]
name = "drivers"
placement = "region"
key = "region"
position = { latitude = "latitude", longitude = "longitude", geohash = "geohash" }

[[tables]]
name = "rides"
placement = "region"
key = "region"
position = { latitude = "pickup_lat", longitude = "pickup_lon", geohash = "pickup_geohash" }

[[tables]]
name = "driver_locations"
placement = "geo"
position = { latitude = "latitude", longitude = "longitude", geohash = "geohash" }

[[tables]]
name = "regions"
placement = "reference"
"#;

/// Begins the description of a Meridian in front of this cluster; the first shard is the default one.
pub fn meridian(cluster: &Cluster) -> MeridianDescription {
    let shards = cluster.shards().iter().map(|shard| {
        let nodes = shard
            .nodes()
            .iter()
            .map(|node| format!("{{ address = \"{}\", region = \"{}\" }}", node.address(), node.location()));
        let nodes: Vec<_> = nodes.collect();
        let name = shard.name();
        format!("[[shards]]\nname = \"{name}\"\nregion = \"{name}\"\nnodes = [{}]\n", nodes.join(", "))
    });
    MeridianDescription {
        shards: shards.collect(),
        regions: cluster.shards().iter().map(|shard| region(shard.name())).collect(),
        default_shard: cluster.shards()[0].name().to_owned(),
        database: APP_DATABASE.to_owned(),
        tables: String::new(),
        sections: vec![
            ("server".to_owned(), format!("user = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"")),
            ("health".to_owned(), "interval = \"200ms\"\ntimeout = \"1s\"".to_owned()),
        ],
        fault: None,
    }
}

fn region(name: &str) -> String {
    let area = AREAS.iter().find(|area| area.region == name);
    let area = area.map_or(String::new(), |area| {
        let (south, north) = area.latitude;
        let (west, east) = area.longitude;
        format!("area = [{{ latitude = [{south:?}, {north:?}], longitude = [{west:?}, {east:?}] }}]\n")
    });
    format!("[[regions]]\nname = \"{name}\"\n{area}")
}

/// A Meridian that is being described.
pub struct MeridianDescription {
    regions: String,
    shards: String,
    default_shard: String,
    database: String,
    tables: String,
    sections: Vec<(String, String)>,
    fault: Option<String>,
}

impl MeridianDescription {
    /// The database that clients ask for, and that every shard has.
    pub fn database(mut self, name: &str) -> Self {
        self.database = name.to_owned();
        self
    }

    /// `[[tables]]` sections.
    pub fn tables(mut self, sections: &str) -> Self {
        self.tables.push_str(sections);
        self
    }

    /// Keys of a section; `proxy` and `database` have more of them than these.
    pub fn section(mut self, name: &str, keys: &str) -> Self {
        match self.sections.iter_mut().find(|(section, _)| section == name) {
            Some((_, existing)) => {
                existing.push('\n');
                existing.push_str(keys);
            }
            None => self.sections.push((name.to_owned(), keys.to_owned())),
        }
        self
    }

    /// One server connection to each node: what one session leaves on it, the next one meets.
    pub fn one_connection(self) -> Self {
        self.section("proxy", "workers = 1").section("pool", "size = 1")
    }

    /// What befalls its commits over several shards (`transaction/fault.rs`).
    pub fn fault(mut self, point_and_kind: &str) -> Self {
        self.fault = Some(point_and_kind.to_owned());
        self
    }

    pub fn start(mut self) -> Meridian {
        let directory = TemporaryDirectory::new();
        let port = free_port();
        let config = directory.path().join("meridian.toml");
        let database = self.database.clone();
        let fault = self.fault.take();
        let mut proxy = format!("listen = \"127.0.0.1:{port}\"");
        if !self.sections.iter().any(|(section, keys)| section == "proxy" && keys.contains("workers")) {
            // However few cores there are: sessions of several workers meet.
            proxy += "\nworkers = 2";
        }
        write(&config, &self.section("proxy", &proxy).render());
        let log = directory.path().join("meridian.log");
        let meridian = Meridian { process: Mutex::new(None), port, config, log, directory, database, fault };
        meridian.run();
        meridian
    }

    fn render(&self) -> String {
        let Self { regions, shards, default_shard, database, tables, sections, .. } = self;
        let (own, others): (Vec<_>, Vec<_>) = sections.iter().partition(|(name, _)| name == "database");
        let own = own.first().map_or("", |(_, keys)| keys);
        let sections: String = others.iter().map(|(name, keys)| format!("[{name}]\n{keys}\n")).collect();
        format!(
            "[database]\nname = \"{database}\"\ndefault_shard = \"{default_shard}\"\n{own}\n\
             [[users]]\nname = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\nadmin = true\n\
             {sections}{regions}{shards}{tables}"
        )
    }
}

fn write(path: &PathBuf, text: &str) {
    if let Err(error) = fs::write(path, text) {
        panic!("writing {}: {error}", path.display());
    }
}

/// A running Meridian; dropped, it is killed.
pub struct Meridian {
    process: Mutex<Option<Child>>,
    port: u16,
    config: PathBuf,
    log: PathBuf,
    database: String,
    directory: TemporaryDirectory,
    fault: Option<String>,
}

impl Meridian {
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// How the application connects.
    pub fn app(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(APP_USER).password(APP_PASSWORD);
        config.dbname(&self.database).connect_timeout(Duration::from_secs(5));
        config
    }

    /// `kill -9`.
    pub fn kill(&self) {
        if let Some(mut child) = self.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it after a `kill`, with the same configuration and port.
    pub fn run(&self) {
        self.run_logging_to(&self.log);
    }

    /// The same; its log goes there.
    pub fn run_logging_to(&self, log: &Path) {
        let output = File::options().create(true).append(true).open(&self.log);
        let (Ok(output), Ok(errors)) = (output, File::options().create(true).append(true).open(log)) else {
            panic!("cannot write {}", log.display());
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
        command.arg("serve").arg("--config").arg(&self.config);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        command.envs(self.fault.as_ref().map(|fault| ("MERIDIAN_FAULT", fault)));
        *self.lock() = Some(spawn_for_life(command));
        self.await_login();
    }

    /// Its configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Rewrites the configuration file; it counts from the next reload or start.
    pub fn edit(&self, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(&self.config).unwrap_or_default();
        write(&self.config, &change(text));
    }

    /// Sends it a signal, as an operator's `kill` does.
    pub fn signal(&self, signal: libc::c_int) {
        if let Some(child) = self.lock().as_ref() {
            // SAFETY: a signal to a child of ours.
            unsafe { libc::kill(child.id() as i32, signal) };
        }
    }

    pub fn is_running(&self) -> bool {
        self.lock().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Bytes of memory that it has in use, as the kernel counts them.
    pub fn resident_bytes(&self) -> u64 {
        let Some(id) = self.lock().as_ref().map(Child::id) else { return 0 };
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kilobytes.unwrap_or_else(|| panic!("/proc/{id}/status says nothing of memory")) * 1024
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn await_login(&self) {
        let deadline = Instant::now() + START_TIMEOUT;
        while std::net::TcpStream::connect(self.address()).is_err() {
            if !self.is_running() || Instant::now() > deadline {
                panic!("meridian does not start:\n{}", self.log_tail());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Meridian {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the end of meridian's log:\n{}", self.log_tail());
        }
    }
}

type Order = (Command, Sender<std::io::Result<Child>>);

/// Starts a child that dies with this process. The signal follows the *thread* that started the child, and a test's
/// thread ends early: hence one thread that lives as long as the process.
pub fn spawn_for_life(mut command: Command) -> Child {
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    #[cfg(target_os = "linux")]
    // SAFETY: prctl is async-signal-safe and touches no memory of ours.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = channel();
    let sent = spawner.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer));
    match sent.ok().and_then(|()| child.recv().ok()) {
        Some(Ok(child)) => child,
        Some(Err(error)) => panic!("starting meridian: {error}"),
        None => panic!("the spawner is gone"),
    }
}
