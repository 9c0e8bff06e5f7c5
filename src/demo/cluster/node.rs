//! One server of a cluster: its directory, its process, and what can be done to it.
//!
//! Called by the cluster at start and stop, and by tests, which do to nodes what life does: kill them, hang
//! them, promote them. Calls block, for milliseconds mostly; each wait has a bound.
//!
//! Readiness is read from `postmaster.pid`, as `pg_ctl` does: no connection is made, and so none fails.
//!
//! Invariants:
//! 1. At most one process of ours runs on a directory, and the node that started it waits for its end.
//! 2. After `kill` no process of the server is left, children included, and no shared memory.
//! 3. The role is what the directory says (`standby.signal`): never remembered, so never wrong.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::error::{ClusterError, Doing, log_tail};
use super::installation::Installation;
use super::process::{self, PidFile, Status};
use super::relay::Relay;
use super::settings::{ACCESS, Settings};
use super::spawner::Spawner;
use super::sql;
use super::template::{APP_PASSWORD, APP_USER, SUPERUSER, write_private};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// A log beyond this is begun anew at the next start.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// How a server is asked to stop (the manual's "Shutting Down the Server").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Disconnects clients, writes a checkpoint.
    Fast,
    /// Leaves at once; recovery follows at the next start.
    Immediate,
}

/// Primary or replica, as the data directory has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Primary,
    Replica,
}

/// What all nodes of a cluster share.
#[derive(Debug)]
pub struct Host {
    pub installation: Installation,
    pub account: Account,
    pub spawner: Spawner,
    pub superuser_password: String,
}

/// One PostgreSQL server.
#[derive(Debug)]
pub struct Node {
    name: String,
    location: String,
    port: u16,
    data: PathBuf,
    log: PathBuf,
    relay: Option<Relay>,
    host: Arc<Host>,
    process: Mutex<Option<Child>>,
}

/// Where a node is, in the world and on this machine.
#[derive(Debug)]
pub struct Site {
    pub name: String,
    pub location: String,
    pub port: u16,
    pub data: PathBuf,
    pub log: PathBuf,
    pub relay: Option<Relay>,
}

impl Node {
    pub fn new(host: Arc<Host>, site: Site) -> Self {
        let Site { name, location, port, data, log, relay } = site;
        Self { name, location, port, data, log, relay, host, process: Mutex::new(None) }
    }

    /// Unique in the cluster: the shard's name and a number from 1.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The region that this node is said to be in.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Where clients connect: the relay in front of the node, if there is one.
    pub fn address(&self) -> SocketAddr {
        self.relay.as_ref().map_or_else(|| self.direct_address(), Relay::address)
    }

    /// Where the server itself listens.
    pub fn direct_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The relay in front of the node, to cut or delay its connections.
    pub fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref()
    }

    pub fn data_directory(&self) -> &Path {
        &self.data
    }

    /// Whether there is a data directory: one that was being replaced when we died is not there.
    pub fn has_data(&self) -> bool {
        self.data.join("PG_VERSION").exists()
    }

    pub fn role(&self) -> Role {
        let is_primary = self.has_data() && !self.data.join("standby.signal").exists();
        if is_primary { Role::Primary } else { Role::Replica }
    }

    /// The newest timeline that this node knows of: promotions raise it.
    pub fn timeline(&self) -> u32 {
        let entries = fs::read_dir(self.data.join("pg_wal")).into_iter().flatten().flatten();
        let histories = entries.filter_map(|entry| {
            let name = entry.file_name();
            u32::from_str_radix(name.to_str()?.strip_suffix(".history")?, 16).ok()
        });
        histories.max().unwrap_or(1)
    }

    /// A direct connection as the superuser, past any relay.
    pub fn superuser(&self, database: &str) -> tokio_postgres::Config {
        self.config(SUPERUSER, &self.host.superuser_password, database)
    }

    /// A direct connection as the application's role, past any relay.
    pub fn app(&self, database: &str) -> tokio_postgres::Config {
        self.config(APP_USER, APP_PASSWORD, database)
    }

    fn config(&self, user: &str, password: &str, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(user).password(password).dbname(database);
        config.connect_timeout(Duration::from_secs(5)).application_name("meridian-cluster");
        config
    }

    /// Runs statements as the superuser; the rows' values as text.
    pub fn sql(&self, statements: &str) -> Result<Vec<Vec<Option<String>>>, ClusterError> {
        sql::run(&self.name, &self.superuser("postgres"), statements)
    }

    /// Writes the configuration for the next start, or for the next reload.
    pub fn configure(&self, settings: &Settings) -> Result<(), ClusterError> {
        write_private(&self.data.join("postgresql.conf"), &settings.render(), self.host.account)?;
        write_private(&self.data.join("pg_hba.conf"), ACCESS, self.host.account)
    }

    /// Starts the server and waits until it accepts connections. Nothing to do when it runs.
    pub fn start(&self) -> Result<(), ClusterError> {
        self.spawn()?;
        self.await_ready()
    }

    /// Starts the server without waiting for it.
    pub fn spawn(&self) -> Result<(), ClusterError> {
        if self.is_running() {
            return Ok(());
        }
        self.settle_leftover()?;
        let truncate = fs::metadata(&self.log).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX);
        let log = OpenOptions::new()
            .create(true)
            .append(!truncate)
            .write(true)
            .truncate(truncate)
            .open(&self.log)
            .doing(|| format!("opening {}", self.log.display()))?;
        let errors = log.try_clone().doing(|| format!("opening {}", self.log.display()))?;
        let mut command = Command::new(self.host.installation.program("postgres"));
        command.arg("-D").arg(&self.data).current_dir(&self.data);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.host.account.apply(&mut command);
        let child =
            self.host.spawner.spawn(command).doing(|| format!("starting the server of {}", self.name))?;
        *self.lock() = Some(child);
        Ok(())
    }

    /// Waits until the server that was spawned accepts connections.
    pub fn await_ready(&self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let Some(pid) = self.pid() else {
                return Err(self.failure("stopped while starting"));
            };
            if PidFile::read(&self.data).is_some_and(|file| file.pid == pid && file.status == Status::Ready) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.failure("does not accept connections"));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The postmaster's process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut process = self.lock();
        let child = process.as_mut()?;
        if !matches!(child.try_wait(), Ok(None)) {
            *process = None;
            return None;
        }
        Some(child.id())
    }

    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// Stops the server and waits for its end; one that does not end in time is killed.
    pub fn stop(&self, mode: StopMode) -> Result<(), ClusterError> {
        self.request_stop(mode)?;
        self.await_stopped()
    }

    /// Asks the server to stop, without waiting.
    pub fn request_stop(&self, mode: StopMode) -> Result<(), ClusterError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let number = match mode {
            StopMode::Fast => libc::SIGINT,
            StopMode::Immediate => libc::SIGQUIT,
        };
        // A paused server would not hear it.
        process::signal(pid, number)
            .and_then(|()| process::signal_server(pid, libc::SIGCONT))
            .doing(|| format!("stopping {}", self.name))
    }

    pub fn await_stopped(&self) -> Result<(), ClusterError> {
        if self.ends_within(STOP_TIMEOUT) { Ok(()) } else { self.kill() }
    }

    /// `kill -9` of every process of the server at once, as if the machine had lost its power.
    pub fn kill(&self) -> Result<(), ClusterError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let segment = PidFile::read(&self.data).and_then(|file| file.segment);
        let children = process::children(pid);
        for victim in std::iter::once(pid).chain(children.iter().copied()) {
            process::signal(victim, libc::SIGKILL).doing(|| format!("killing {}", self.name))?;
        }
        if !self.ends_within(STOP_TIMEOUT) {
            return Err(self.failure("does not end, although killed"));
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while children.iter().any(|child| process::is_alive(*child)) && Instant::now() < deadline {
            thread::sleep(POLL_INTERVAL);
        }
        if let Some(segment) = segment {
            process::remove_segment(segment);
        }
        Ok(())
    }

    /// Stops every process of the server where it stands; connections stay open and nothing answers.
    pub fn pause(&self) -> Result<(), ClusterError> {
        self.signal_all(libc::SIGSTOP)
    }

    /// Undoes `pause`.
    pub fn resume(&self) -> Result<(), ClusterError> {
        self.signal_all(libc::SIGCONT)
    }

    fn signal_all(&self, number: libc::c_int) -> Result<(), ClusterError> {
        let pid = self.pid().ok_or_else(|| self.failure("is not running"))?;
        process::signal_server(pid, number).doing(|| format!("signalling {}", self.name))
    }

    pub fn restart(&self, mode: StopMode) -> Result<(), ClusterError> {
        self.stop(mode)?;
        self.start()
    }

    /// Makes a replica a primary, and waits until it is one.
    pub fn promote(&self) -> Result<(), ClusterError> {
        let rows = self.sql("SELECT pg_promote(true, 30)")?;
        if rows.first().and_then(|row| row.first()) == Some(&Some("t".to_owned())) {
            return Ok(());
        }
        Err(self.failure("was not promoted"))
    }

    /// Reads the configuration again, without a restart.
    pub fn reload(&self) -> Result<(), ClusterError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        process::signal(pid, libc::SIGHUP).doing(|| format!("reloading {}", self.name))
    }

    /// A server that an earlier run left behind, or only its pid file, is cleared away.
    fn settle_leftover(&self) -> Result<(), ClusterError> {
        let Some(file) = PidFile::read(&self.data) else { return Ok(()) };
        let deadline = Instant::now() + STOP_TIMEOUT;
        let mut number = libc::SIGINT;
        while process::serves(file.pid, &self.data) {
            process::signal(file.pid, number).doing(|| format!("stopping {}", self.name))?;
            if Instant::now() > deadline {
                number = libc::SIGKILL;
            }
            thread::sleep(POLL_INTERVAL * 10);
        }
        match fs::remove_file(self.data.join("postmaster.pid")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).doing(|| format!("clearing the pid file of {}", self.name))
            }
            _ => Ok(()),
        }
    }

    fn ends_within(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.is_running() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(POLL_INTERVAL);
        }
        true
    }

    /// An error about this node, with what its log says.
    pub fn failure(&self, what: &str) -> ClusterError {
        ClusterError::Node { node: self.name.clone(), what: what.to_owned(), log: log_tail(&self.log) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
