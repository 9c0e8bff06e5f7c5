//! The session's side of a SELECT over several shards: its lanes are joined here, and its failures understood.
//!
//! Called by `perform`; `execute::scatter` moves the bytes.
//!
//! Invariants:
//! 1. Lanes are joined in one order, the default shard first: two sessions that wait for connections of the same pools
//!    never wait for each other.
//! 2. A read that failed before anything was sent to the client, outside of a block, is tried on other servers.
//! 3. What was not sent to a server is not left queued: afterwards every lane owes nothing or is gone.
//! 4. What only the values, the types or the number of rows keep from being merged is gathered; the client is told why
//!    only where that cannot be done.

use std::time::Duration;

use super::held::Held;
use super::perform::Work;
use super::planning::Planned;
use super::scratch::Combined;
use super::snapshot::Tie;
use super::{Failure, Outcome, Session};
use crate::backend::strike::Strike;
use crate::execute::drain::drain;
use crate::execute::scatter::scratch::Ending;
use crate::execute::scatter::{Question, ScatterError, Wire, answer};
use crate::execute::{Lane, RelayError};
use crate::merge::PartialLimits;
use crate::plan::Access;
use crate::plan::scatter::{BoundLimits, Combine, Scatter};
use crate::sql::arguments::Arguments;
use crate::topology::{NodeId, ShardId, ShardSet};
use crate::wire::backend::TransactionStatus;
use crate::wire::error::{SqlError, SqlState};

/// How long a server may take over the settings that were queued for it when the statement failed elsewhere.
const TIDY_TIME: Duration = Duration::from_secs(5);

/// What was tried so far for one statement.
#[derive(Default)]
struct Attempts {
    /// Servers that failed.
    avoid: Vec<NodeId>,
    /// Scratch sessions that were lost.
    scratches: usize,
    /// The way that is taken since the planned one was found not to serve.
    instead: Option<Scatter>,
    /// Of a condition, if that is why: without any it is tried once.
    condition: Option<SqlError>,
    /// The client may have been sent something.
    sent: bool,
}

impl Session {
    pub(super) async fn scatter(
        &mut self,
        planned: &Planned,
        work: Work<'_>,
        scatter: &Scatter,
        shards: ShardSet,
    ) -> Outcome {
        let parameters = work.parameters(planned)?;
        let arguments = Arguments { text: work.text(), literals: &planned.literals, parameters: &parameters };
        let question = work.question(arguments, &parameters);
        self.ask_shards(planned, &question, scatter, shards, Ending::Rows).await.map(|_| ())
    }

    /// Any ending but all rows is for gathered tables only. What is left to fetch is handed over.
    pub(super) async fn ask_shards(
        &mut self,
        planned: &Planned,
        question: &Question<'_>,
        scatter: &Scatter,
        shards: ShardSet,
        ending: Ending<'_>,
    ) -> Result<Option<Held>, Failure> {
        let (bound, instead) = self.bind_limits(question, scatter, shards).await?;
        self.check_scratch(instead.as_ref().unwrap_or(scatter), shards)?;
        let mut attempts = Attempts { instead, ..Attempts::default() };
        let mark = self.client.outbox.len();
        loop {
            if let Err(failure) = self.join_shards(planned, shards, &attempts.avoid).await {
                self.tidy(shards).await;
                return Err(failure);
            }
            let scatter = attempts.instead.as_ref().unwrap_or(scatter);
            let (sent, result) = match &scatter.combine {
                Combine::Scratch(scratch) => {
                    self.answer_in_scratch(question, scratch, shards, ending, planned.suspect).await?
                }
                _ => {
                    let (sent, result) = self.answer_from(question, scatter, bound, shards).await;
                    (sent, result.map(|rows| Combined { rows, held: None }))
                }
            };
            let error = match result {
                Ok(Combined { rows, held }) => {
                    self.note_rows(rows);
                    return Ok(held);
                }
                Err(error) => error,
            };
            if !sent && !matches!(error, ScatterError::Told) {
                self.client.outbox.truncate(mark);
            }
            attempts.sent = sent;
            match error {
                ScatterError::Unmergeable(error) => {
                    self.tidy(shards).await;
                    let failed = |lane: &Lane| lane.connection.status == TransactionStatus::Failed;
                    let failed = self.lanes.iter().any(|lane| lane.in_block && failed(lane));
                    let other = match scatter.unconditional() {
                        _ if failed || attempts.condition.is_some() => return Err(Failure::Sql(error)),
                        Some(other) => {
                            attempts.condition = Some(error);
                            other
                        }
                        None => self.gathered_because(error, question, shards)?,
                    };
                    attempts.instead = Some(other);
                }
                ScatterError::Sql(error) if attempts.condition.is_some() && is_too_much(&error) => {
                    self.tidy(shards).await;
                    return Err(Failure::Sql(attempts.condition.unwrap_or(error)));
                }
                error => self.ask_again(planned, shards, error, &mut attempts).await?,
            }
        }
    }

    /// LIMIT and OFFSET of this execution, and the way that is taken where its values keep the planned one from serving.
    async fn bind_limits(
        &mut self,
        question: &Question<'_>,
        scatter: &Scatter,
        shards: ShardSet,
    ) -> Result<(BoundLimits, Option<Scatter>), Failure> {
        let mut instead = None;
        loop {
            match question.check(instead.as_ref().unwrap_or(scatter)) {
                Ok(bound) => return Ok((bound, instead)),
                Err(error) if error.refusal.is_some() && instead.is_none() => {
                    instead = Some(self.gathered_because(error, question, shards)?);
                }
                Err(error) => {
                    let Question { arguments, declared, bind, .. } = *question;
                    return Err(self.earlier_error(arguments.text, declared, bind, error).await);
                }
            }
        }
    }

    /// Whether the statement is asked anew after this error; else the failure that the client is told.
    async fn ask_again(
        &mut self,
        planned: &Planned,
        shards: ShardSet,
        error: ScatterError,
        attempts: &mut Attempts,
    ) -> Outcome {
        match error {
            ScatterError::ClientGone => {
                let index = self.lane_of(shards.iter().next().unwrap_or(self.default_shard()))?;
                return Err(self.relay_failed(index, RelayError::ClientGone).await);
            }
            ScatterError::Told => {
                self.tidy(shards).await;
                return Err(Failure::Told);
            }
            ScatterError::Sql(error) | ScatterError::Unmergeable(error) => {
                self.tidy(shards).await;
                let alone = !self.block.is_open() && planned.plan.access < Access::Write;
                self.passage.again = alone && !attempts.sent && Strike::Redefinition.is_told_by(&error);
                return Err(Failure::Sql(error));
            }
            ScatterError::Scratch(error) => {
                self.worker.shared.signals.probe_now();
                self.tidy(shards).await;
                let access = planned.plan.access;
                if attempts.sent || !self.may_ask_again(&error, access, attempts.scratches) {
                    return Err(Failure::Sql(error.into_sql()));
                }
                attempts.scratches += 1;
            }
            ScatterError::Server { shard, error } => {
                let index = self.lane_of(shard)?;
                let node = self.lanes[index].connection.node;
                let error = RelayError::Server { error, forwarded: attempts.sent };
                let again = self.may_retry(&error, planned.plan.access, attempts.avoid.len());
                let failure = self.relay_failed(index, error).await;
                self.tidy(shards).await;
                if !again {
                    return Err(failure);
                }
                attempts.avoid.push(node);
            }
        }
        self.worker.figures.retries.one();
        Ok(())
    }

    async fn join_shards(&mut self, planned: &Planned, shards: ShardSet, avoid: &[NodeId]) -> Outcome {
        let default = self.default_shard();
        let first = shards.iter().filter(|shard| *shard == default);
        self.await_resumed(shards).await?;
        let order: Vec<ShardId> = first.chain(shards.iter().filter(|shard| *shard != default)).collect();
        self.see(shards, Tie::Loose).await?;
        self.warm_pools(&order, planned.plan.access, avoid).await;
        for shard in order {
            let index = self.join_for(planned, shard, avoid).await?;
            let lane = &mut self.lanes[index];
            lane.note_write(planned.plan.access == Access::Write);
            lane.connection.suspect |= planned.suspect;
        }
        Ok(())
    }

    /// Runs it on the lanes of these shards. Also says whether the client may have been sent something.
    async fn answer_from(
        &mut self,
        question: &Question<'_>,
        scatter: &Scatter,
        bound: BoundLimits,
        shards: ShardSet,
    ) -> (bool, Result<u64, ScatterError>) {
        let default = self.default_shard();
        let meeting = self.meeting_shard(scatter, shards).ok();
        let bounds = &self.live.limits;
        let gather = PartialLimits { rows_max: bounds.merge_rows_max, bytes_max: bounds.merge_bytes_max };
        let Self { client, lanes, told, limits, pin, .. } = self;
        let mut lanes: Vec<&mut Lane> = lanes.iter_mut().filter(|lane| shards.contains(lane.shard)).collect();
        lanes.sort_by_key(|lane| (lane.shard != default, lane.shard));
        let nearest = lanes.iter().position(|lane| Some(lane.shard) == meeting).unwrap_or(0);
        let read_ahead = bounds.shard_buffer_bytes;
        let mut wire = Wire { gather, ..Wire::new(client, told, limits, pin.is_some(), read_ahead) };
        let result = answer(&mut wire, &mut lanes, nearest, question, scatter, bound).await;
        let (sent, times) = (wire.sent, wire.times);
        self.note_times(&times);
        (sent, result)
    }

    pub(super) fn lane_of(&self, shard: ShardId) -> Result<usize, Failure> {
        let lane = self.lanes.iter().position(|lane| lane.shard == shard);
        lane.ok_or_else(|| Failure::Sql(Self::internal("a lane of this statement is gone")))
    }

    /// After a failure: lanes that were joined but not asked take their settings; those that did not come to rest go.
    pub(super) async fn tidy(&mut self, shards: ShardSet) {
        let queued = self
            .lanes
            .iter_mut()
            .filter(|lane| shards.contains(lane.shard) && !lane.connection.broken && !lane.owed.is_empty());
        let drains = queued.map(|lane| {
            if !lane.ends_with_ready() {
                lane.sync(true);
            }
            tokio::time::timeout(TIDY_TIME, drain(lane))
        });
        futures_util::future::join_all(drains).await;
        while let Some(index) =
            self.lanes.iter().position(|lane| shards.contains(lane.shard) && lane.connection.broken)
        {
            let lane = self.lanes.swap_remove(index);
            if let Some(transaction) = self.block.transaction().filter(|_| lane.in_block) {
                transaction.failed = true;
                transaction.lanes_lost = true;
            }
            self.give(lane);
        }
    }
}

/// What was gathered for another try has met its bound.
fn is_too_much(error: &SqlError) -> bool {
    error.sqlstate == SqlState::CONFIGURATION_LIMIT_EXCEEDED
}
