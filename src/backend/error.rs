//! What can go wrong between Meridian and a server, and what may be done about it.

use crate::wire::error::{Severity, SqlError, SqlState};

#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No connection became free in time.
    #[error("no server connection to {node} became free within {seconds} s")]
    PoolTimeout { node: String, seconds: u64 },
    /// Nobody is known to be the shard's primary, or nobody may answer the read.
    #[error("shard \"{shard}\" has no {wanted} that can be reached")]
    NoNode { shard: String, wanted: &'static str },
    /// A transaction over several shards is committed, and the shard has not applied its part in time.
    #[error("shard \"{shard}\" has not applied a transaction yet that is committed")]
    Behind { shard: String },
    #[error("could not connect to {node}: {reason}")]
    Connect { node: String, reason: String },
    /// The server refused the login; its own words.
    #[error("{0}")]
    Login(Box<SqlError>),
    /// The client cancelled while it waited for a connection.
    #[error("canceling statement due to user request")]
    Cancelled,
    /// The client's `statement_timeout` has passed while it waited.
    #[error("canceling statement due to statement timeout")]
    TimedOut,
    /// The connection ended while it owed an answer; what the server said at last.
    #[error("the connection to {node} was lost")]
    Lost { node: String, last_words: Option<Box<SqlError>> },
    /// The server said something that the protocol does not allow here.
    #[error("the server at {node} broke the protocol: {reason}")]
    Protocol { node: String, reason: String },
    /// An error that a server answered to a statement of ours.
    #[error("{0}")]
    Server(Box<SqlError>),
}

impl BackendError {
    /// A connection that ended without a word.
    pub fn lost(node: impl ToString) -> Self {
        Self::Lost { node: node.to_string(), last_words: None }
    }

    /// A connection that the server ended, with its FATAL. Of class 57 (shut down, crashed, told to by an operator) it is
    /// about the server, and a session survives it; any other is about what the session did, and is the session's end.
    pub fn ended(node: impl ToString, fatal: SqlError) -> Self {
        match fatal.sqlstate.class() {
            "57" => Self::Lost { node: node.to_string(), last_words: Some(Box::new(fatal)) },
            _ => Self::Server(Box::new(fatal)),
        }
    }

    /// Whether another node, or the same one a little later, may do better. Nothing has reached the client yet.
    pub fn retry_elsewhere(&self) -> bool {
        match self {
            Self::NoNode { .. } | Self::Connect { .. } | Self::Lost { .. } => true,
            Self::Login(error) => {
                error.sqlstate.class() == "57" || error.sqlstate == SqlState::TOO_MANY_CONNECTIONS
            }
            Self::PoolTimeout { .. }
            | Self::Behind { .. }
            | Self::Cancelled
            | Self::TimedOut
            | Self::Protocol { .. }
            | Self::Server(_) => false,
        }
    }

    pub fn into_sql(self) -> SqlError {
        let message = self.to_string();
        match self {
            Self::PoolTimeout { .. } => SqlError::new(SqlState::TOO_MANY_CONNECTIONS, message).hint(
                "Raise pool.size, database.pool_size where it is set, or pool.wait_timeout, or shorten the \
                     transactions.",
            ),
            Self::NoNode { .. } => SqlError::new(SqlState::CANNOT_CONNECT_NOW, message)
                .hint("See SHOW NODES in the console; the statement may be tried again."),
            Self::Behind { .. } => SqlError::new(SqlState::CANNOT_CONNECT_NOW, message)
                .hint("Its primary was lost at the commit. The statement may be tried again; the log says what keeps it."),
            Self::Connect { .. } => SqlError::new(SqlState::CONNECTION_FAILURE, message),
            Self::Cancelled | Self::TimedOut => SqlError::new(SqlState::QUERY_CANCELED, message),
            // Fatal for the connection that was not made, not for the session that wanted it.
            Self::Login(error) => error.severity(Severity::Error),
            Self::Server(error) => *error,
            Self::Lost { last_words: None, .. } => SqlError::new(SqlState::CONNECTION_FAILURE, message)
                .detail("The server may or may not have done what it was asked."),
            Self::Lost { node, last_words: Some(words) } => SqlError::new(words.sqlstate, words.message)
                .detail(format!("The server at {node} may or may not have done what it was asked.")),
            Self::Protocol { .. } => SqlError::new(SqlState::PROTOCOL_VIOLATION, message),
        }
    }
}
