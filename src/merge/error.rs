//! What can go wrong while rows are combined, with what the client is told.
//!
//! Returned by every operator of this room; `execute` writes it to the client as the statement's one error. Each
//! error knows its SQLSTATE and hint, so that whoever writes it need not look inside.
//!
//! Not here: errors that servers send (they are forwarded) and refusals before anything is sent (`plan`).

/// A failure of a combine: no further row is sent. The statement ends with exactly one error, unless it is of too many
/// rows and no row has reached the client: then its tables are gathered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A server sent a row that does not match its own description.
    #[error("malformed row from a server: {0}")]
    Malformed(&'static str),
    /// A sort column has a type without an exact comparator here.
    #[error("rows of several shards cannot be ordered by a value of type {type_oid}")]
    Unordered { type_oid: u32 },
    #[error("more than {max} groups or distinct rows would have to be combined")]
    TooManyRows { max: usize },
    #[error("more than {max} bytes of groups or distinct rows would have to be combined")]
    TooManyBytes { max: usize },
}

impl MergeError {
    /// The SQLSTATE of the error.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "08P01",
            Self::Unordered { .. } => "0A000",
            Self::TooManyRows { .. } | Self::TooManyBytes { .. } => "53400",
        }
    }

    /// A sentence for HINT.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(_) => None,
            Self::Unordered { .. } => Some("Order by another column, or name one shard by its key."),
            Self::TooManyRows { .. } => {
                Some("Narrow the statement with a condition, or raise limits.merge_rows_max.")
            }
            Self::TooManyBytes { .. } => {
                Some("Narrow the statement with a condition, or raise limits.merge_bytes_max.")
            }
        }
    }
}
