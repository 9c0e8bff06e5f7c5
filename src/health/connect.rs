//! A control connection: tokio-postgres to one server, with the account of Meridian's own work.
//!
//! Used by the probes, the catalog service and the recovery of transactions; the data plane has its own connections.
//! The connection's task lives exactly as long as the [`ControlConnection`]: a server that hangs cannot keep it.
//!
//! Invariants:
//! 1. Dropping a [`ControlConnection`] closes its socket, also when the server does not answer.
//! 2. An error names the server and says in words what to look at; it never contains the password.
//!
//! Not here: deadlines of single statements, which belong to who asks.

use std::error::Error as _;
use std::ops::Deref;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::ServerSettings;
use crate::topology::{Node, NodeId, NodeRole, ShardId, Topology};
use crate::wire::tls::{Connector, ServerTls};

/// What the server's own views call us.
const APPLICATION_NAME: &str = "meridian control";

/// Compiling our questions takes servers longer than answering them: of 400 tables, a second and 30 ms.
const OPTIONS: &str = "-c jit=off";

/// Why there is no control connection, or why a statement on it failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("shard \"{0}\" has no primary that can be reached")]
    NoPrimary(String),
    /// The server's own words.
    #[error("{address}: {message} ({sqlstate})")]
    Server { address: String, message: String, sqlstate: String },
    #[error("{address}: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("{address} does not speak the PostgreSQL protocol ({reason})")]
    NotPostgres { address: String, reason: String },
    #[error("{address} did not answer within {milliseconds} ms")]
    Timeout { address: String, milliseconds: u128 },
}

impl ControlError {
    /// Says what a client's error means, for the server at `address`.
    pub fn new(address: &str, error: &tokio_postgres::Error) -> Self {
        let address = address.to_owned();
        if let Some(db) = error.as_db_error() {
            let (message, sqlstate) = (db.message().to_owned(), db.code().code().to_owned());
            return Self::Server { address, message, sqlstate };
        }
        let words = error.to_string();
        let cause = error.source().map(ToString::to_string);
        let reason = cause.map_or_else(|| words.clone(), |cause| format!("{words}: {cause}"));
        // The kinds of tokio-postgres' errors are private; these are what a stranger's bytes become: of a type that there
        // is not, malformed, or so long by their count that the stranger hangs up before.
        let strange = ["unexpected message", "error parsing response", "bytes remaining on stream"];
        if strange.iter().any(|words| reason.contains(words)) {
            return Self::NotPostgres { address, reason };
        }
        if reason.contains("password missing") {
            let reason = "the server asks for a password and none is configured".to_owned();
            return Self::Unreachable { address, reason };
        }
        Self::Unreachable { address, reason }
    }

    /// Without the server's address, for where that is said already.
    pub fn reason(&self) -> String {
        match self {
            Self::NoPrimary(_) => self.to_string(),
            Self::Server { message, sqlstate, .. } => format!("{message} ({sqlstate})"),
            Self::Unreachable { reason, .. } => reason.clone(),
            Self::NotPostgres { reason, .. } => format!("does not speak the PostgreSQL protocol ({reason})"),
            Self::Timeout { milliseconds, .. } => format!("did not answer within {milliseconds} ms"),
        }
    }

    /// The server's SQLSTATE, if it was the server who refused.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server { sqlstate, .. } => Some(sqlstate),
            Self::NoPrimary(_)
            | Self::Unreachable { .. }
            | Self::NotPostgres { .. }
            | Self::Timeout { .. } => None,
        }
    }
}

/// A client whose connection ends with it.
#[derive(Debug)]
pub struct ControlConnection {
    client: Client,
    task: AbortHandle,
    heard: watch::Receiver<String>,
    pub node: NodeId,
    /// `host:port`, for messages.
    pub address: String,
}

impl Deref for ControlConnection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for ControlConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ControlConnection {
    /// An error of this connection, in words. It has logged in: it is PostgreSQL, also when it dies within a message.
    pub fn error(&self, error: &tokio_postgres::Error) -> ControlError {
        match ControlError::new(&self.address, error) {
            ControlError::NotPostgres { address, reason } => ControlError::Unreachable { address, reason },
            other => other,
        }
    }

    /// Resolves with the payload of the last notification, once there is a new one; never if the connection has ended.
    /// Cancel safe: yes.
    pub async fn heard(&mut self) -> String {
        match self.heard.changed().await {
            Ok(()) => self.heard.borrow_and_update().clone(),
            Err(_) => std::future::pending().await,
        }
    }

    /// The rows that `sql` gives, as text, within `bound`. Cancel safe: no; the server goes on, so drop the connection.
    pub async fn rows(&self, sql: &str, bound: Duration) -> Result<Vec<SimpleQueryRow>, ControlError> {
        let answer = tokio::time::timeout(bound, self.client.simple_query(sql)).await.map_err(|_| {
            ControlError::Timeout { address: self.address.clone(), milliseconds: bound.as_millis() }
        })?;
        let messages = answer.map_err(|error| self.error(&error))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }
}

/// `host:port` of a node.
pub fn address(node: &Node) -> String {
    if node.host.contains(':') {
        format!("[{}]:{}", node.host, node.port)
    } else {
        format!("{}:{}", node.host, node.port)
    }
}

/// Connects to a node, in its shard's database, as the service account. Bounded by `connect_timeout`; cancel safe: yes.
pub async fn connect(
    topology: &Topology,
    id: NodeId,
    settings: &ServerSettings,
) -> Result<ControlConnection, ControlError> {
    let node = topology.node(id);
    let address = address(node);
    let mut config = Config::new();
    config.host(&node.host).port(node.port).user(&settings.user).dbname(&topology.shard(node.shard).database);
    let ssl_mode = match settings.tls.mode {
        ServerTls::Disable => SslMode::Disable,
        ServerTls::Prefer => SslMode::Prefer,
        ServerTls::Require | ServerTls::VerifyCa | ServerTls::VerifyFull => SslMode::Require,
    };
    config.application_name(APPLICATION_NAME).options(OPTIONS).ssl_mode(ssl_mode);
    if let Some(password) = &settings.password {
        config.password(password.expose());
    }
    match settings.keepalive {
        Some(idle) => config.keepalives(true).keepalives_idle(idle),
        None => config.keepalives(true),
    };
    // tokio-postgres' own bound covers the socket only, not the start-up that follows.
    let connected = tokio::time::timeout(settings.connect_timeout, open(&config, &settings.tls)).await;
    let Ok(connected) = connected else {
        return Err(ControlError::Timeout { address, milliseconds: settings.connect_timeout.as_millis() });
    };
    let (client, task, heard) = connected.map_err(|error| ControlError::new(&address, &error))?;
    Ok(ControlConnection { client, task, heard, node: id, address })
}

type Opened = (Client, AbortHandle, watch::Receiver<String>);

/// The client, and the task that moves its bytes: whoever uses the client hears of its end.
async fn open(config: &Config, tls: &Connector) -> Result<Opened, tokio_postgres::Error> {
    let (told, heard) = watch::channel(String::new());
    match tls.config() {
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            Ok((client, tokio::spawn(drive(connection, told)).abort_handle(), heard))
        }
        Some(rustls) => {
            let encrypt = MakeRustlsConnect::new((*rustls).clone());
            let (client, connection) = config.connect(encrypt).await?;
            Ok((client, tokio::spawn(drive(connection, told)).abort_handle(), heard))
        }
    }
}

/// Moves the connection's bytes to its end; the payloads of notifications are told.
async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, told: watch::Sender<String>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notification(notification) = message {
            told.send_replace(notification.payload().to_owned());
        }
    }
}

/// The shard's primary, as far as is known.
pub fn primary(topology: &Topology, shard: ShardId) -> Option<NodeId> {
    let nodes = topology.shard(shard).nodes.iter().copied();
    nodes.into_iter().find(|id| topology.node(*id).state.role() == NodeRole::Primary)
}

/// Connects to the shard's primary.
pub async fn connect_primary(
    topology: &Topology,
    shard: ShardId,
    settings: &ServerSettings,
) -> Result<ControlConnection, ControlError> {
    let Some(primary) = primary(topology, shard) else {
        return Err(ControlError::NoPrimary(topology.shard(shard).name.clone()));
    };
    connect(topology, primary, settings).await
}
