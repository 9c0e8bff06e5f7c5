//! Statements that need several shards at once: scatter, COPY, EXPLAIN, and the commit of all.
//!
//! The session's side of `execute`: lanes are joined here, the executors move the bytes.
use super::perform::Work;
use super::planning::Planned;
use super::{Failure, Outcome, Session};
use crate::plan::scatter::Scatter;
use crate::topology::ShardSet;

impl Session {
    pub(super) async fn scatter(
        &mut self,
        _planned: &Planned,
        _work: Work<'_>,
        _scatter: &Scatter,
        _shards: ShardSet,
    ) -> Outcome {
        Err(Failure::Sql(Self::internal("scatter is not wired")))
    }
}
