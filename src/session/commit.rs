//! The end of a block over its lanes: COMMIT and ROLLBACK.
//!
//! Called by `control` for the client's commands, and by whoever has begun a transaction of the session's own. COMMIT goes to
//! the lanes that joined, those that only read and those that drew numbers first, the one that wrote next, and last those
//! that hold locks or notify: who gets a lock, or hears, is to see what was written.
//!
//! Invariants:
//! 1. COMMIT is answered only after every lane has committed; with more than one writing lane only after the decision
//!    is recorded (see `transaction`).
//! 2. Whatever happens, after COMMIT or ROLLBACK the block is over, and no lane is left inside a transaction.

use std::rc::Rc;
use std::time::Duration;

use super::block::Block;
use super::redefinition::Redefinition;
use super::{Failure, Outcome, Session};
use crate::execute::drain::drain;
use crate::execute::lane::{Hidden, Lane};
use crate::plan::Effect;
use crate::topology::{ShardId, ShardSet, WriteToken};
use crate::transaction::{self, Participant};
use crate::wire::error::{SqlError, SqlState};

/// Whether the transaction has a number, which whatever it writes needs.
const WROTE: &str = "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL";

impl Session {
    /// How many servers this block has written to.
    pub(super) fn writers(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.in_block && lane.wrote).count()
    }

    /// Whether what code has done is a write counts only where another server may have written, too: then servers are asked.
    async fn learn_writers(&mut self) -> Outcome {
        let unsure = |lane: &&mut Lane| lane.in_block && lane.ran_code && !lane.wrote && !lane.replica;
        let count = self.lanes.iter_mut().filter(unsure).count();
        if count == 0 || count + self.writers() < 2 || self.block.is_failed() {
            return Ok(());
        }
        let shards: Vec<ShardId> = self.lanes.iter_mut().filter(unsure).map(|lane| lane.shard).collect();
        for shard in shards {
            let index = self.lane_of(shard)?;
            self.quiet_lane(index).await?;
            let rows = self.rows_on(index, WROTE).await?;
            self.lanes[index].wrote |= rows.first() == Some(&vec![Some("t".to_owned())]);
        }
        Ok(())
    }

    /// Numbers are to be durable before the write, and locks held until behind it: where one server has both, it commits as the
    /// writer does.
    fn count_what_passes(&mut self) {
        if self.writers() == 0 {
            return;
        }
        let both = |lane: &&mut Lane| lane.in_block && lane.passing == Effect::DrawsAndFollows;
        self.lanes.iter_mut().filter(both).for_each(|lane| lane.wrote = true);
    }

    /// Commits the block on all of its lanes; afterwards there is no block, whatever the answer.
    pub(super) async fn commit_block(&mut self, tell_notices: bool) -> Outcome {
        if self.fence.read_only {
            // Whatever was sent, nothing was written.
            self.lanes.iter_mut().for_each(|lane| lane.wrote = false);
        }
        if let Err(failure) = Box::pin(self.learn_writers()).await {
            self.roll_back_block().await;
            return Err(failure);
        }
        self.count_what_passes();
        let writers = self.writers();
        let schema_changed = self.block.get().is_some_and(|t| t.schema_changed);
        // What is the session's on one server may be the transaction's on those that came later.
        let several = self.lanes.iter().filter(|lane| lane.in_block).count() > 1;
        let differ = several && self.block.get().is_some_and(|t| t.settings_changed);
        let redefinition = match schema_changed {
            true => Box::pin(self.begin_redefinition()).await,
            false => Ok(None),
        };
        let (redefinition, outcome) = match redefinition {
            Err(failure) => (None, Err(failure)),
            Ok(redefinition) if writers > 1 => (redefinition, self.commit_everywhere().await),
            Ok(redefinition) => (redefinition, self.commit_one_writer(tell_notices).await),
        };
        match outcome {
            Ok(()) => {
                if let Some(own) = self.block.transaction().and_then(|t| t.own_after.take()) {
                    self.own = own;
                }
                let settings = Rc::clone(&self.settings);
                for lane in self.lanes.iter_mut().filter(|lane| lane.in_block) {
                    lane.connection.applied = Rc::clone(&settings);
                }
                self.end_block(true);
                if schema_changed {
                    self.follow_redefinition(redefinition).await;
                }
                if differ {
                    // It is committed, whatever becomes of the question.
                    let _ = Box::pin(self.report_settled()).await;
                }
                Ok(())
            }
            Err(failure) => {
                let in_doubt = schema_changed && is_outcome_unknown(&failure);
                self.roll_back_block().await;
                if in_doubt {
                    self.follow_redefinition(redefinition).await;
                }
                Err(failure)
            }
        }
    }

    /// The definitions are others now, or may be.
    async fn follow_redefinition(&mut self, redefinition: Option<Redefinition>) {
        if !self.refresh_catalog().await {
            redefinition.into_iter().for_each(Redefinition::outlast);
        }
    }

    /// Two or more lanes have written: all commit, or none.
    async fn commit_everywhere(&mut self) -> Outcome {
        let topology = std::sync::Arc::clone(&self.context.planning.topology);
        let mut asides = Vec::new();
        let mut participants: Vec<Participant<'_>> = self
            .lanes
            .iter_mut()
            .filter(|lane| lane.in_block && (lane.wrote || lane.passing != Effect::Follows))
            .map(|lane| Participant {
                connection: &mut lane.connection,
                shard: lane.shard,
                wrote: lane.wrote,
                holds: lane.passing == Effect::DrawsAndFollows,
                spent: Duration::ZERO,
            })
            .collect();
        let committed =
            transaction::commit(&mut participants, &topology, &self.worker.shared.registry, &mut asides)
                .await;
        let times: Vec<_> = participants.iter().map(|part| (part.shard, part.spent)).collect();
        times.into_iter().for_each(|(shard, time)| self.note_time(shard, time));
        let listening = self.lanes.iter().position(|lane| lane.in_block && self.is_pinned_to(lane));
        if let Some(index) = listening {
            self.keep_notifications(index, &asides);
        }
        for aside in asides.iter().filter(|aside| aside.first() != Some(&b'A')) {
            self.pass_aside(aside);
        }
        match committed {
            Ok(()) => {
                self.learn_positions().await;
                self.commit_followers().await;
            }
            Err(error) => {
                let failure = Failure::Sql(error.into_sql());
                if is_outcome_unknown(&failure) {
                    let wrote = self.lanes.iter().filter(|lane| lane.in_block && lane.wrote);
                    wrote
                        .map(|lane| lane.shard)
                        .collect::<ShardSet>()
                        .iter()
                        .for_each(|shard| self.lose_position(shard));
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    /// The one writer's answer is the transaction's.
    async fn commit_one_writer(&mut self, tell_notices: bool) -> Outcome {
        let topology = std::sync::Arc::clone(&self.context.planning.topology);
        self.commit_others(|lane| lane.passing != Effect::Follows).await?;
        let Some(index) = self.lanes.iter().position(|lane| lane.in_block && lane.wrote) else {
            return self.commit_others(|lane| lane.passing == Effect::Follows).await;
        };
        self.lanes[index].hidden_query("COMMIT", Hidden::Prologue);
        self.ask_position(index);
        let writer = &mut self.lanes[index];
        let shard = writer.shard;
        let timeline = topology.node(writer.connection.node).state.timeline();
        let Ok(drained) = drain(writer).await else {
            self.lose_position(shard);
            return Err(Failure::Sql(outcome_unknown()));
        };
        match drained.position {
            Some(position) => self.learn_position(shard, WriteToken { timeline, position }),
            None if drained.no_position => self.lose_position(shard),
            None => {}
        }
        for aside in &drained.asides {
            if !tell_notices && aside.first() == Some(&b'N') {
                continue;
            }
            self.pass_aside(aside);
        }
        if let Some(error) = drained.error {
            return Err(Failure::Sql(error));
        }
        if drained.tag.as_deref() == Some("ROLLBACK") {
            return Err(Failure::Sql(super::simple::in_failed_block()));
        }
        self.commit_followers().await;
        Ok(())
    }

    /// Behind the commit. A lost server has let go of its locks, but nobody hears what was to be told.
    async fn commit_followers(&mut self) {
        if let Err(Failure::Sql(error)) = self.commit_others(|lane| lane.passing == Effect::Follows).await {
            let message =
                format!("locks and notifications of this transaction may be lost: {}", error.message);
            self.warn(&SqlError::warning(SqlState::WARNING, message));
        }
    }

    /// Commits the lanes that have not written and pass the test.
    async fn commit_others(&mut self, test: impl Fn(&Lane) -> bool) -> Outcome {
        let chosen = |lane: &Lane| lane.in_block && !lane.wrote && test(lane);
        for index in 0..self.lanes.len() {
            if chosen(&self.lanes[index]) {
                self.lanes[index].hidden_query("COMMIT", Hidden::Prologue);
                if self.lanes[index].passing.draws() {
                    self.ask_position(index);
                }
            }
        }
        let lanes = || self.lanes.iter().filter(|lane| chosen(lane));
        let places: Vec<_> = lanes().map(|lane| (lane.shard, lane.connection.node, lane.passing)).collect();
        let lanes = self.lanes.iter_mut().filter(|lane| chosen(lane)).map(drain);
        let drained = futures_util::future::join_all(lanes).await;
        for (drained, (shard, node, passing)) in drained.into_iter().zip(places) {
            let drained = drained.map_err(|e| Failure::Sql(e.into_sql()))?;
            if let Some(error) = drained.error {
                return Err(Failure::Sql(error));
            }
            if passing.draws() && self.minds_position(shard) {
                self.note_position(shard, node, drained.position);
            }
            for aside in &drained.asides {
                self.pass_aside(aside);
            }
        }
        Ok(())
    }

    /// Rolls back on every lane, restores the settings, ends the block. Lanes that do not answer are closed.
    pub(super) async fn roll_back_block(&mut self) {
        // What is torn is let go of, and its server rolls back by itself.
        let whole = |lane: &&mut Lane| lane.in_block && !lane.connection.broken;
        for lane in self.lanes.iter_mut().filter(whole) {
            // A pipeline that failed behind a Flush: the server hears nothing before its Sync.
            if std::mem::take(&mut lane.open_pipeline) {
                lane.sync(true);
            }
            lane.hidden_query("ROLLBACK", Hidden::Prologue);
        }
        let work = self.lanes.iter_mut().filter(whole).map(drain);
        let drained = futures_util::future::join_all(work).await;
        for answer in drained.into_iter().flatten() {
            self.pass_reports(&answer.asides);
        }
        if let Some(transaction) = self.block.get() {
            let (settings, own) = transaction.before();
            self.settings = settings;
            self.own = own;
        }
        self.end_block(false);
        self.follow_settings();
    }

    /// Forgets the block; lanes that are not back to idle are closed.
    fn end_block(&mut self, committed: bool) {
        if committed {
            self.settle_held();
        }
        let local = self.block.get().is_some_and(|transaction| transaction.in_force.is_some());
        self.block = Block::None;
        if local {
            self.follow_settings();
        }
        self.portals.clear();
        self.cursors.clear();
        self.end_held(committed);
        let mut index = 0;
        while index < self.lanes.len() {
            let lane = &mut self.lanes[index];
            // It was not of the block, and waits for its Sync.
            if lane.open_pipeline && !lane.in_block && !lane.connection.broken {
                index += 1;
                continue;
            }
            let idle = lane.connection.status == crate::wire::backend::TransactionStatus::Idle;
            lane.set_in_block(false);
            lane.wrote = false;
            lane.passing = Effect::Nothing;
            lane.ran_code = false;
            lane.open_pipeline = false;
            if lane.connection.broken || !idle {
                let mut lane = self.lanes.swap_remove(index);
                lane.connection.broken = true;
                self.give(lane);
            } else {
                index += 1;
            }
        }
    }

    /// DDL has been committed: plans must see it before the client sends its next statement.
    pub(super) async fn refresh_catalog(&mut self) -> bool {
        let refreshed = self.worker.shared.catalog.refresh().await;
        if let Err(reason) = &refreshed {
            tracing::warn!(%reason, "the catalog could not be read again after a change of the schema");
        }
        self.refresh_context();
        refreshed.is_ok()
    }
}

fn is_outcome_unknown(failure: &Failure) -> bool {
    matches!(failure, Failure::Sql(error) if error.sqlstate == SqlState::TRANSACTION_RESOLUTION_UNKNOWN)
}

/// The connection ended between COMMIT and its answer.
fn outcome_unknown() -> SqlError {
    SqlError::new(
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        "the server was lost while it committed; the transaction may or may not have been committed",
    )
    .hint("Look for the transaction's effects before running it again.")
}
