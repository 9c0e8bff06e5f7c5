//! How a session speaks of failures: the only place that writes errors to clients, and the refusals that only a session
//! can know.

use super::Session;
use crate::plan::refusal::Refusal;
use crate::topology::{ShardId, Topology};
use crate::wire::encode;
use crate::wire::error::{Severity, SqlError, SqlState};
use crate::wire::fault::Fault;

impl Session {
    /// Puts an error into the outbox.
    pub(super) fn tell(&mut self, error: &SqlError) {
        self.worker.figures.error(Fault::of_meridian(&error.sqlstate), &error.sqlstate);
        encode::server::error_response(&mut self.client.outbox, error);
    }

    /// What has changed since the last time, and that the next request may come.
    pub(super) fn ready(&mut self) {
        let late = std::mem::take(&mut self.late);
        self.client.outbox.extend_from_slice(&late);
        self.told.tell_news(&mut self.client.outbox);
        encode::server::ready_for_query(&mut self.client.outbox, self.block.status());
    }

    pub(super) fn warn(&mut self, notice: &SqlError) {
        encode::server::notice_response(&mut self.client.outbox, notice);
    }

    /// The last thing that a client hears.
    pub(super) async fn tell_fatal(&mut self, error: &SqlError) {
        let fatal = error.clone().severity(Severity::Fatal);
        self.tell(&fatal);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.client.flush()).await;
    }
}

impl From<Refusal> for SqlError {
    fn from(refusal: Refusal) -> Self {
        let state = SqlState::parse(refusal.sqlstate.as_bytes()).unwrap_or(SqlState::FEATURE_NOT_SUPPORTED);
        let mut error = SqlError::new(state, refusal.message);
        error.detail = refusal.detail;
        error.hint = refusal.hint;
        error
    }
}

pub(super) fn second_writing_shard(topology: &Topology, shard: ShardId) -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "transaction writes to more than one shard (\"{}\" besides an earlier one)",
            topology.shard(shard).name
        ),
    )
    .hint("Write to one shard per transaction.")
}

pub(super) fn snapshot_over_shards() -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "one snapshot over several shards is not supported (REPEATABLE READ or SERIALIZABLE)",
    )
    .hint("Use READ COMMITTED, or keep the transaction on one shard.")
}

pub(super) fn settings_on_one_server() -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "set_config() in a transaction that needs several shards is not supported",
    )
    .hint("Use SET or SET LOCAL, which are repeated on every shard.")
}
