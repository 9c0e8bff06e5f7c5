//! The checked settings, one struct for each room that reads them.
//!
//! Plain values with public fields: everything that could be wrong with them was refused by `check`. Durations of
//! `None` mean "off" (the file says `"0"`). The defaults are in `check/settings.rs` and, for people, in
//! `config/meridian.toml`.

use std::net::SocketAddr;
use std::time::Duration;

use super::access::Names;
use super::pattern::Pattern;
use super::value::Secret;
use crate::topology::{Consistency, RegionId};
use crate::wire::tls::Connector;

/// What the listener and the start-up of clients need; read by `server` and `session`.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    pub listen: SocketAddr,
    /// Worker threads, each with its own runtime and its own server connections; at least 1.
    pub workers: usize,
    /// Clients over all workers; one more is refused with 53300.
    pub clients_max: usize,
    pub auth: AuthMethod,
    /// From accept to the first ReadyForQuery.
    pub authentication_timeout: Duration,
    /// Largest message that a client may send.
    pub message_bytes_max: usize,
    /// Memory of each worker's plan cache.
    pub plan_cache_bytes: usize,
}

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    ScramSha256,
    Md5,
    /// The password as it is; for links that are safe by themselves.
    Password,
    /// Nobody is asked; the user must still be in the file.
    Trust,
}

impl AuthMethod {
    /// As the file and `pg_hba.conf` spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "scram-sha-256",
            Self::Md5 => "md5",
            Self::Password => "password",
            Self::Trust => "trust",
        }
    }
}

/// What a new session starts with; read by `session` and `execute`.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    pub consistency: Consistency,
    /// Bound for replicas under `eventual`.
    pub max_lag: Duration,
    /// How long a statement waits while its shard has no primary.
    pub primary_wait: Duration,
    /// A transaction that is idle for longer is rolled back and its client dismissed; None: never.
    pub idle_transaction_timeout: Option<Duration>,
    /// Named prepared statements that one client may hold.
    pub client_statements_max: usize,
}

/// The database that clients ask for; its name and home are the topology's.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Clients at once, over all workers; None: no limit of its own.
    pub connections_max: Option<usize>,
    /// Server connections to one node, of all users together, over all workers; None: as many as the users may have.
    pub pool_size: Option<usize>,
    /// Further names by which clients may ask for it.
    pub aliases: Names,
}

/// How users are looked up whose passwords the file does not have; read by `session`.
#[derive(Debug, Clone)]
pub struct AuthQuery {
    /// With the user's name as its only parameter; gives that name and what `pg_authid.rolpassword` holds.
    pub query: String,
    /// The shard that is asked; None: the default one. By name, because reloads may number shards anew.
    pub shard: Option<String>,
    /// How long an answer counts.
    pub lifetime: Duration,
    /// How long it counts that there is no such user.
    pub unknown_lifetime: Duration,
    /// Answers that are kept.
    pub entries_max: usize,
    /// For one look-up, from connecting to its answer.
    pub timeout: Duration,
}

/// The account of Meridian's own work, and how servers are reached; read by `health`, `catalog`, `transaction`, `backend`.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub user: String,
    pub password: Option<Secret>,
    /// How far the servers are trusted.
    pub tls: Connector,
    pub connect_timeout: Duration,
    /// Idle time before the first TCP keepalive probe; None: the system's default.
    pub keepalive: Option<Duration>,
}

/// A client's account, or those of all clients whose names fit a pattern.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// As the file spells it: a name, or a pattern.
    pub name: String,
    /// None: it is one user.
    pub pattern: Option<Pattern>,
    pub password: Option<Secret>,
    /// `SCRAM-SHA-256$iterations:salt$stored:server`, as in `pg_authid`.
    pub verifier: Option<Secret>,
    /// The account on the servers; None: that of the client's own name.
    pub server_user: Option<String>,
    pub server_password: Option<Secret>,
    /// May use the console database.
    pub admin: bool,
    /// Nothing that this user sends writes.
    pub read_only: bool,
    /// Where the shards live and the servers stand that this user's statements may need; None: everywhere.
    pub regions: Option<Vec<RegionId>>,
    /// Connections to one node for this user alone, over all workers; None: those of its account, `pool.size`.
    pub pool_size: Option<usize>,
    /// Clients at once, over all workers; None: no limit of its own.
    pub connections_max: Option<usize>,
}

impl User {
    /// The settings of a client: its own entry, or else the first pattern that its name fits.
    pub fn find<'u>(users: &'u [User], name: &str) -> Option<&'u User> {
        let own = users.iter().find(|user| user.pattern.is_none() && user.name == name);
        let fits = |user: &&User| user.pattern.as_ref().is_some_and(|pattern| pattern.fits(name));
        own.or_else(|| users.iter().find(fits))
    }

    /// Whether the file says what its clients are authenticated against.
    pub fn has_credential(&self) -> bool {
        self.password.is_some() || self.verifier.is_some()
    }
}

/// Server connections; read by `backend`.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Connections to one node for one user, over all workers.
    pub size: usize,
    /// None: idle connections stay.
    pub idle_timeout: Option<Duration>,
    /// None: connections never grow too old.
    pub lifetime: Option<Duration>,
    /// How long a statement waits for a connection.
    pub wait_timeout: Duration,
    /// Prepared statements kept on one server connection; the least recently used is closed.
    pub prepared_statements_max: usize,
}

/// Probes; read by `health` (and `catalog_interval` by the catalog's poll).
#[derive(Debug, Clone)]
pub struct HealthSettings {
    pub interval: Duration,
    pub timeout: Duration,
    /// Failed probes in a row before a node counts as down.
    pub failures: u32,
    /// How often the catalogs are asked whether they changed.
    pub catalog_interval: Duration,
}

/// Bounds on what one client can make Meridian hold; read by `merge`, `execute`, `session`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Rows that a sort, group or distinct over several shards may hold.
    pub merge_rows_max: usize,
    /// Bytes of these rows.
    pub merge_bytes_max: usize,
    /// Bytes of extended-protocol messages that are kept before a Sync.
    pub batch_bytes_max: usize,
    /// Bytes read ahead from one shard while another one's rows are due.
    pub shard_buffer_bytes: usize,
    /// Bytes of one COPY row.
    pub copy_row_bytes_max: usize,
}

/// Bounds on SELECTs whose tables are gathered on one server; read by `session` and `server`.
#[derive(Debug, Clone)]
pub struct ScratchSettings {
    /// Rows that one statement may gather.
    pub rows_max: usize,
    /// Bytes of these rows.
    pub bytes_max: usize,
    /// From so many rows on that are expected of a table, those are gathered that have a key of a smaller one.
    pub reduce_from_rows: usize,
    /// Statements at a time for one user, over all workers.
    pub concurrent_max: usize,
}

/// What is written to standard error; read by `cli` (form and level) and `session` (slow statements).
#[derive(Debug, Clone)]
pub struct LogSettings {
    pub format: LogFormat,
    /// In the manner of `info,meridian::health=debug`; the variable MERIDIAN_LOG is stronger.
    pub level: String,
    /// Statements that take as long are logged; None: none.
    pub slow_statement: Option<Duration>,
    pub statements: StatementText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One object a line.
    Json,
}

/// What a log line has of a statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementText {
    Off,
    /// Without its literals.
    Shape,
    /// As the client sent it, literals and all.
    Full,
}

/// Metrics, health and readiness; read by `admin`.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    pub listen: SocketAddr,
}
