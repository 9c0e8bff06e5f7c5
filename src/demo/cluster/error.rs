//! What can go wrong with local servers, told so that the reader knows what to do next.
//!
//! Every failure of a server carries the tail of that server's own log: PostgreSQL has usually
//! said already what is wrong, and the words of a wrapper would only hide it.
//!
//! Invariants:
//! 1. No message holds a password.
//! 2. The text of a log tail is bounded (`LOG_TAIL_BYTES_MAX`).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of a server's log an error shows: enough for a start that failed, short enough for a terminal.
const LOG_TAIL_BYTES_MAX: u64 = 4096;

/// Why a cluster, or one of its nodes, is not as it was asked to be.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("no PostgreSQL 13 to 18 was found (looked in {looked_in}); {advice}")]
    NotInstalled { looked_in: String, advice: &'static str },
    #[error("PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody")]
    NoServerAccount,
    #[error(
        "{} cannot be entered by the unprivileged user that PostgreSQL runs as (at {}); choose another directory",
        directory.display(),
        barrier.display()
    )]
    NotTraversable { directory: PathBuf, barrier: PathBuf },
    #[error("{} is in use by another cluster", .0.display())]
    InUse(PathBuf),
    #[error("{} holds another cluster ({found}); start over with --fresh, or choose another directory", directory.display())]
    LayoutDiffers { directory: PathBuf, found: String },
    #[error("{} is not empty and holds no cluster; choose another directory", .0.display())]
    NotOurs(PathBuf),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{program} failed: {output}")]
    Tool { program: &'static str, output: String },
    #[error("node {node} {what}\n{log}")]
    Node { node: String, what: String, log: String },
    #[error("node {node} answers {statement}: {source}")]
    Sql { node: String, statement: String, source: tokio_postgres::Error },
    #[error("{0}")]
    Invalid(String),
}

/// Names the deed in an I/O error: "reading /x: no such file".
pub trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, ClusterError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, ClusterError> {
        self.map_err(|source| ClusterError::Io { what: what(), source })
    }
}

/// The last lines of a log, bounded; empty when it cannot be read.
pub fn log_tail(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    read().unwrap_or_default()
}
