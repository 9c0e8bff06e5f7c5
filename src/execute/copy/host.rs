//! What a COPY driver needs of the session that it runs for, and how it ends otherwise than well.
//!
//! Implemented by `session`, called by `copy_in` and `copy_out`. The drivers choose shards; which
//! server of a shard, in which transaction and with which settings is the session's business.
//!
//! Invariant: a driver writes no error and no CommandComplete to the client, so that the session can commit or roll
//! back first.

use std::future::Future;

use crate::backend::BackendError;
use crate::execute::client::ClientStream;
use crate::execute::lane::Lane;
use crate::execute::told::Told;
use crate::topology::ShardId;
use crate::wire::error::{SqlError, SqlState};

/// The session, as COPY sees it.
pub trait CopyHost {
    /// Why a lane could not be had.
    type Failure;

    /// The index of the lane for the shard, joined to the session's transaction. What brings it there may still be
    /// unanswered in `owed`. Indexes that were given stay good while the COPY runs.
    fn join(&mut self, shard: ShardId) -> impl Future<Output = Result<usize, Self::Failure>>;

    fn parts(&mut self) -> HostParts<'_>;

    /// The client is about to be asked for its data: from here on a Sync before CopyDone is used up by the COPY.
    fn began(&mut self) {}
}

/// What moves bytes. Borrowed together, for a poll that looks at all of it.
pub struct HostParts<'a> {
    pub client: &'a mut ClientStream,
    pub lanes: &'a mut [Lane],
    pub told: &'a mut Told,
}

/// How a COPY failed. No error has been written to the client. What was written to shards must be rolled back.
#[derive(Debug)]
pub enum CopyError<F> {
    /// [`CopyHost::join`] failed.
    Host(F),
    /// To be told to the client: a server's own error, or ours about a row.
    Sql(SqlError),
    /// A connection was lost or broke the protocol; its lane is `broken`.
    Server {
        shard: ShardId,
        error: BackendError,
    },
    /// The client broke the protocol; told to it before its socket is closed.
    ClientProtocol(SqlError),
    ClientGone,
}

impl<F> From<SqlError> for CopyError<F> {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// The host broke the promise of [`CopyHost::join`].
pub(super) fn no_lane() -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, "a shard of COPY has no lane")
}
