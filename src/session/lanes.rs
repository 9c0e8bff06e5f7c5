//! The session's lanes: joining a shard, running what was put on a lane, and giving lanes back.
//!
//! Called by `simple`, `extended`, `perform` and `control`; the only place where the session takes and gives server
//! connections, so that cancel keys, prologues and write tokens cannot be forgotten.
//!
//! Invariants:
//! 1. A lane is joined at most once per shard; inside a block it stays to the block's end.
//! 2. While a lane is held its key is in the session's cancel target; it leaves the target before it leaves the session.
//!
//! Not here: which server that is, and waiting for one (`servers`).

use std::rc::Rc;
use std::sync::Arc;

use super::planning::{Asks, Planned};
use super::servers::Need;
use super::set_config::Sets;
use super::simple::LastTag;
use super::snapshot::Tie;
use super::{End, Failure, Outcome, Request, Session};
use crate::backend::capture::Captured;
use crate::backend::{Connection, dismiss};
use crate::execute::drain::{Drained, drain};
use crate::execute::lane::Hidden;
use crate::execute::refusals;
use crate::execute::{Lane, Relay, RelayError, Report, relay};
use crate::plan::{Access, Effect};
use crate::sql::hint::HintRole;
use crate::topology::{NodeId, NodeRole, ShardId, ShardSet};
use crate::wire::backend::TransactionStatus;
use crate::wire::error::{Severity, SqlError, SqlState};

/// Fails in any transaction, or in the savepoint that it is within.
const FAILING: &str = "ROLLBACK TO SAVEPOINT meridian__failed";

impl Session {
    /// The index of the lane for `shard`, which is joined if it is not yet there. Other lanes keep theirs.
    pub(super) async fn join(
        &mut self,
        shard: ShardId,
        access: Access,
        avoid: &[NodeId],
    ) -> Result<usize, Failure> {
        let need = self.need(access);
        let mut vacated = None;
        if let Some(index) = self.lanes.iter().position(|lane| lane.shard == shard) {
            let lane = &self.lanes[index];
            // A replica that has described a statement, before the block began that runs it, is no part of the block.
            let joined = self.block.is_open() && lane.in_block;
            let strange =
                self.asks == Asks::Now && !lane.connection.placeholders.are_within(&self.placeholders);
            if strange && (joined || lane.open_pipeline || self.is_pinned_to(lane)) {
                return Err(Failure::Sql(refusals::PARAMETERS_OF_OTHERS.error(&[])));
            }
            let usable = joined || !strange && (need == Need::Reader || !lane.replica);
            if usable && self.fence.read_only && need == Need::Primary && lane.replica {
                return Err(Failure::Sql(refusals::PRIMARY_IN_READ_ONLY.error(&[])));
            }
            if joined && need == Need::Primary && lane.replica && self.may_leave(index) {
                self.lanes[index].hidden_query("ROLLBACK", Hidden::Prologue);
                self.drain_lane(index).await?;
                self.lanes[index].set_in_block(false);
            } else if joined && access == Access::Write && lane.replica && !self.is_read_only() {
                // Its portals keep it there.
                return Err(Failure::Sql(refusals::PRIMARY_IN_READ_ONLY.error(&[])));
            } else if usable {
                self.check_second_shard(shard, access)?;
                if self.block.is_open() && !self.lanes[index].in_block {
                    // A pinned server enters the transaction with the first statement that needs it.
                    let lane = self.lanes.swap_remove(index);
                    return self.enter_at(Some(index), lane).await;
                }
                if !self.block.is_open() {
                    bring_to(&mut self.lanes[index], &self.settings, self.request).await?;
                }
                return Ok(index);
            }
            self.end_pipeline(index).await?;
            let lane = self.lanes.swap_remove(index);
            self.give(lane);
            vacated = Some(index);
        }
        self.check_second_shard(shard, access)?;
        if self.pin.is_some() && shard == self.default_shard() {
            // What it was pinned for has gone with its connection.
            return Err(Failure::End(End::Fatal(super::unasked::pinned_server_gone())));
        }
        let connection = self.acquire(shard, need, avoid).await.map_err(|e| Failure::Sql(e.into_sql()))?;
        self.cancel.add(&connection.key);
        let replica = self.context.planning.topology.node(connection.node).state.role() == NodeRole::Replica;
        if replica {
            self.worker.figures.replica_reads.one();
        }
        let lane = self.lane(connection, shard, replica);
        self.enter_at(vacated, lane).await
    }

    /// Joins with what a hint says of the role.
    pub(super) async fn join_for(
        &mut self,
        planned: &Planned,
        shard: ShardId,
        avoid: &[NodeId],
    ) -> Result<usize, Failure> {
        let access = match Self::hinted_role(planned) {
            Some(HintRole::Primary) => planned.plan.access.max(Access::ReadPrimary),
            Some(HintRole::Replica) if planned.plan.access == Access::Read && !self.block.is_open() => {
                return self.join_replica(shard, avoid).await;
            }
            Some(HintRole::Replica) if planned.plan.access != Access::Read => {
                return Err(Failure::Sql(refusals::HINTED_REPLICA.error(&[])));
            }
            Some(HintRole::Replica) | None if self.prefers_primary(planned) => Access::ReadPrimary,
            Some(HintRole::Replica) | None => planned.plan.access,
        };
        if matches!(planned.sets, Sets::Unknown) {
            self.placeholders.note_unknown();
        }
        self.see(ShardSet::one(shard), Tie::of(&planned.plan)).await?;
        let access = if self.passes(planned.plan.effect) { Access::ReadPrimary } else { access };
        if planned.plan.access == Access::ReadPrimary || access < planned.plan.access {
            self.check_replica(shard)?;
        }
        let index = self.join(shard, access, avoid).await?;
        if planned.is_suspect(self.pin.is_some()) {
            // A procedure's ROLLBACK would undo them.
            self.lanes[index].end_settings();
        }
        if planned.tells_time()
            && let Some(transaction) = self.block.transaction()
        {
            transaction.told_time = true;
        }
        if matches!(planned.sets, Sets::Unknown)
            && let Some(transaction) = self.block.transaction()
        {
            transaction.one_lane = true;
        }
        self.lanes[index].ran_code |= planned.plan.runs_code;
        Ok(index)
    }

    /// Whether what a statement of the block does is no write: it draws numbers, or takes locks.
    fn passes(&self, effect: Effect) -> bool {
        self.block.is_open() && !matches!(effect, Effect::Nothing | Effect::Writes)
    }

    /// Whether a transaction that only reads can go on at another server of a shard: each of its statements sees what there is
    /// at its time, and nothing of the server's is held.
    pub(super) fn may_leave(&self, index: usize) -> bool {
        let lane = &self.lanes[index];
        let free = self.block.get().is_some_and(|transaction| {
            let still = !transaction.one_lane && !transaction.failed && !transaction.told_time;
            still && !transaction.isolation.keeps_snapshot()
        });
        let has_cursor = self.cursors.values().any(|shard| *shard == lane.shard);
        free && !self.fence.read_only
            && !has_cursor
            && !self.portals.has_some_on(lane.shard)
            && lane.is_at_rest()
            && !lane.connection.suspect
    }

    /// What only the primary knows is not asked of the replica on which a transaction has begun that must stay there.
    pub(super) fn check_replica(&self, shard: ShardId) -> Result<(), SqlError> {
        let index = self.lanes.iter().position(|lane| lane.shard == shard && lane.replica && lane.in_block);
        match index.filter(|index| self.block.is_open() && !self.may_leave(*index)) {
            Some(_) => Err(refusals::PRIMARY_IN_READ_ONLY.error(&[])),
            None => Ok(()),
        }
    }

    /// As `enter`; in the place of a lane that has just left it to the last one, which gets its own back.
    async fn enter_at(&mut self, vacated: Option<usize>, lane: Lane) -> Result<usize, Failure> {
        let entered = self.enter(lane).await?;
        let index = vacated.unwrap_or(entered);
        self.lanes.swap(index, entered);
        Ok(index)
    }

    /// Before a request of a pinned session: it has its server already, and waits for the shard as others do who must acquire
    /// one.
    pub(super) async fn take_up_pinned(&mut self) -> Outcome {
        let index = self.lanes.iter().position(|lane| self.is_pinned_to(lane) && !lane.in_block);
        if let Some(index) = index {
            self.await_resumed(ShardSet::one(self.lanes[index].shard)).await?;
            self.lanes[index].connection.resume();
        }
        Ok(())
    }

    /// A lane for a read on a server of `shard` that can be had without waiting; None if there is none.
    pub(super) async fn join_now(&mut self, shard: ShardId) -> Result<Option<usize>, Failure> {
        let topology = std::sync::Arc::clone(&self.context.planning.topology);
        let Some(node) = self.choose(&topology, shard, self.need(Access::Read), &[]) else { return Ok(None) };
        match self.take(&topology, node).await {
            Ok(connection) => {
                self.cancel.add(&connection.key);
                let replica = topology.node(node).state.role() == NodeRole::Replica;
                let lane = self.lane(connection, shard, replica);
                self.enter(lane).await.map(Some)
            }
            Err(error) if error.retry_elsewhere() => {
                self.worker.shared.signals.probe_now();
                Ok(None)
            }
            Err(error) => Err(Failure::Sql(error.into_sql())),
        }
    }

    /// A hint demands a replica: the nearest that may answer.
    pub(super) async fn join_replica(&mut self, shard: ShardId, avoid: &[NodeId]) -> Result<usize, Failure> {
        if let Some(index) = self.lanes.iter().position(|lane| lane.shard == shard) {
            if self.lanes[index].replica {
                return Ok(index);
            }
            if self.pin.is_some() {
                return Err(Failure::Sql(refusals::HINTED_REPLICA_WHILE_PINNED.error(&[])));
            }
            let lane = self.lanes.swap_remove(index);
            self.give(lane);
        }
        let connection =
            self.acquire(shard, Need::Replica, avoid).await.map_err(|e| Failure::Sql(e.into_sql()))?;
        self.cancel.add(&connection.key);
        let lane = self.lane(connection, shard, true);
        self.enter(lane).await
    }

    /// One transaction writes to one shard.
    fn check_second_shard(&self, shard: ShardId, access: Access) -> Result<(), SqlError> {
        let Some(transaction) = self.block.get() else { return Ok(()) };
        if transaction.everywhere {
            return Ok(());
        }
        let others = || self.lanes.iter().filter(|lane| lane.shard != shard && lane.in_block);
        let writes = access == Access::Write && !self.fence.read_only && !transaction.read_only;
        if writes && others().any(|lane| lane.wrote) {
            return Err(super::report::second_writing_shard(&self.context.planning.topology, shard));
        }
        if transaction.one_lane && others().next().is_some() {
            return Err(super::report::settings_on_one_server());
        }
        Ok(())
    }

    fn lane(&self, connection: Box<Connection>, shard: ShardId, replica: bool) -> Lane {
        let owed = self.worker.queues.borrow_mut().pop().unwrap_or_default();
        let mut lane = Lane::with_queue(connection, shard, replica, owed);
        lane.one_by_one = self.fence.read_only;
        lane.client_pid = self.info.id;
        let notifiers = &self.worker.shared.notifiers;
        lane.notifiers = notifiers.are_wanted().then(|| Arc::clone(notifiers));
        lane.numbers = self.context.planning.catalog.numbers_of(shard);
        lane
    }

    /// Makes a lane the session's; one that cannot be brought to the session's state goes back.
    async fn enter(&mut self, mut lane: Lane) -> Result<usize, Failure> {
        if let Err(failure) = self.prepare_lane(&mut lane).await {
            self.give(lane);
            return Err(failure);
        }
        self.lanes.push(lane);
        if self.following.bounds.transaction.is_some() {
            Box::pin(self.spare_idle_lanes()).await?;
        }
        Ok(self.lanes.len() - 1)
    }

    /// Brings a fresh lane to the session's settings and, inside a block, into the transaction.
    async fn prepare_lane(&mut self, lane: &mut Lane) -> Result<(), Failure> {
        if self.block.get().is_some_and(|transaction| !transaction.unlearned.is_empty()) {
            Box::pin(self.learn_sets(None)).await?;
        }
        let settings = self.block.get().map_or(&self.settings, |transaction| transaction.settings_before());
        lane.introduce(&self.placeholders, settings);
        match self.block.get() {
            None => {
                bring_to(lane, &self.settings, self.request).await?;
            }
            Some(transaction) => {
                // They end before BEGIN in any case.
                let _ = lane.apply_settings(transaction.settings_before());
                lane.end_settings();
                for statement in &transaction.prologue {
                    match lane.one_by_one {
                        // One pipeline with what follows, which is skipped if the transaction could not begin.
                        true => lane.pipeline(statement),
                        false => lane.hidden_query(statement, Hidden::Prologue),
                    }
                }
                lane.connection.suspect |= transaction.prologue_stays;
                lane.set_in_block(true);
            }
        }
        Ok(())
    }

    /// Sends what was put on lane `index` and passes the answers on, until the lane owes nothing.
    pub(super) async fn run_lane(&mut self, index: usize) -> Result<Report, RelayError> {
        let Self { client, lanes, told, limits, pin, last_tag, .. } = self;
        let (lane, notify) = (&mut lanes[index], pin.is_some());
        let keeps_tag = *last_tag == LastTag::Awaited;
        let mut result =
            relay(Relay { client, lane, told, limits, notify, hold: false, keeps_tag, moved: false }).await;
        if let Ok(report) = &mut result {
            if let Some(tag) = report.tag.take() {
                *last_tag = LastTag::Kept(tag);
            }
            self.after_relay(index, report);
        }
        result
    }

    fn after_relay(&mut self, index: usize, report: &Report) {
        self.note_report(report);
        let lane = &self.lanes[index];
        if report.lost_behind {
            self.worker.shared.signals.probe_now();
        }
        if !lane.replica && (report.no_position || report.position.is_some()) {
            self.note_position(lane.shard, lane.connection.node, report.position);
        }
    }

    /// Sends what was put on a lane and reads its answers, which the client does not see. A lane that is lost leaves
    /// the session.
    pub(super) async fn drain_lane(&mut self, index: usize) -> Result<Drained, Failure> {
        match drain(&mut self.lanes[index]).await {
            Ok(drained) => Ok(drained),
            Err(error) => Err(self.relay_failed(index, RelayError::Server { error, forwarded: false }).await),
        }
    }

    /// Has a lane answer what it owes, such as the beginning of a transaction, before it is asked something else.
    pub(super) async fn quiet_lane(&mut self, index: usize) -> Outcome {
        let lane = &mut self.lanes[index];
        if lane.owed.is_empty() {
            return Ok(());
        }
        if !lane.ends_with_ready() {
            lane.sync(true);
        }
        let drained = self.drain_lane(index).await?;
        drained.error.map_or(Ok(()), |error| Err(Failure::Sql(error)))
    }

    /// The rows of a question of ours, or its error as the client's.
    pub(super) async fn rows_on(
        &mut self,
        index: usize,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let captured = self.capture_on(index, sql).await?;
        captured.error.map_or(Ok(captured.rows), |error| Err(Failure::Sql(error)))
    }

    /// Asks a lane that owes nothing; one that is lost leaves the session.
    pub(super) async fn capture_on(&mut self, index: usize, sql: &str) -> Result<Captured, Failure> {
        let lane = &mut self.lanes[index];
        let captured = match lane.one_by_one {
            true => lane.connection.capture_statement(sql.as_bytes()).await,
            false => lane.connection.capture(sql).await,
        };
        match captured {
            Ok(captured) => {
                self.keep_notifications(index, &captured.asides);
                if captured.error.is_some() {
                    // What the failure has undone is reported as well.
                    let reports = captured.asides.iter().filter(|aside| aside.first() == Some(&b'S'));
                    reports.for_each(|aside| self.pass_aside(aside));
                }
                Ok(captured)
            }
            Err(error) => Err(self.relay_failed(index, RelayError::Server { error, forwarded: false }).await),
        }
    }

    /// Turns a failed relay into what the client is told. The lane is gone; a block that had it has failed.
    pub(super) async fn relay_failed(&mut self, index: usize, error: RelayError) -> Failure {
        let lane = self.lanes.swap_remove(index);
        let was_in_block = lane.in_block;
        match error {
            RelayError::ClientGone => {
                self.give(lane);
                Failure::End(End::Client)
            }
            RelayError::ClientProtocol(error) => {
                self.give(lane);
                Failure::End(End::Fatal(error))
            }
            RelayError::Server { error, .. } => {
                self.worker.shared.signals.probe_now();
                if !lane.replica {
                    self.lose_position(lane.shard);
                }
                let pinned = self.pin.is_some() && lane.shard == self.default_shard();
                self.give(lane);
                if let Some(transaction) = self.block.transaction().filter(|_| was_in_block) {
                    transaction.failed = true;
                    transaction.lanes_lost = true;
                }
                let error = error.into_sql();
                if pinned || super::unasked::is_for_the_session(&error) {
                    return Failure::End(End::Fatal(error.severity(Severity::Fatal)));
                }
                Failure::Sql(error)
            }
        }
    }

    /// Takes a lane out of the session: back to its pool, or closed with what may run there, if it is not clean or has what
    /// pins the session.
    pub(super) fn give(&mut self, mut lane: Lane) {
        self.cancel.remove(&lane.connection.key);
        lane.connection.placeholders.add(&self.placeholders);
        lane.connection.key.struck.clear();
        let pinned = self.is_pinned_to(&lane);
        if lane.is_at_rest() && !pinned {
            self.worker.pools.give(lane.connection);
            self.worker.keep_queue(lane.owed);
        } else {
            dismiss(lane.connection);
        }
    }

    /// After a request: lanes that nothing needs any more go back. A pinned session ends with its connection.
    pub(super) async fn settle(&mut self) -> Result<(), End> {
        let open = self.block.is_open();
        if self.block.is_failed() {
            Box::pin(self.fail_all_lanes()).await;
        }
        if self.lanes.iter().all(|lane| open && lane.in_block) {
            return Ok(());
        }
        // In a transaction it is asked at its end.
        if !open && self.has_suspects() {
            Box::pin(self.look_at_suspects()).await;
        }
        let mut index = 0;
        while index < self.lanes.len() {
            let lane = &self.lanes[index];
            let pinned = self.pin.is_some() && lane.shard == self.default_shard();
            let needed = lane.open_pipeline || open && (lane.in_block || lane.connection.suspect);
            if needed || pinned && !lane.connection.broken {
                if !needed && lane.is_at_rest() {
                    // What it wrote by itself is no part of a transaction to come.
                    self.lanes[index].wrote = false;
                    self.lanes[index].connection.rest();
                }
                index += 1;
                continue;
            }
            let lane = self.lanes.swap_remove(index);
            self.give(lane);
            if pinned {
                return Err(End::Fatal(super::unasked::pinned_server_gone()));
            }
        }
        Ok(())
    }

    /// A transaction that has failed on one server, or by an error of ours, fails on all: they let go of its locks, as one
    /// server would at once, and others need not wait for its ROLLBACK.
    async fn fail_all_lanes(&mut self) {
        let holds = |lane: &&mut Lane| {
            lane.in_block
                && !lane.open_pipeline
                && lane.owed.is_empty()
                && lane.connection.status == TransactionStatus::InTransaction
        };
        let mut holders: Vec<&mut Lane> = self.lanes.iter_mut().filter(holds).collect();
        holders.iter_mut().for_each(|lane| lane.hidden_query(FAILING, Hidden::Prologue));
        let answers = futures_util::future::join_all(holders.into_iter().map(drain)).await;
        // A server that is lost has let go, too; ROLLBACK finds out.
        for drained in answers.into_iter().flatten() {
            self.pass_reports(&drained.asides);
        }
    }

    /// The end of the session: open transactions are rolled back by closing, pins by closing, the rest goes back.
    pub(super) async fn close(&mut self) {
        self.close_all_held();
        for lane in std::mem::take(&mut self.lanes) {
            let in_use = lane.in_block || lane.open_pipeline || self.pin.is_some();
            if !in_use || !lane.is_at_rest() {
                self.give(lane);
            } else if lane.connection.status != TransactionStatus::Idle {
                self.roll_back_and_give(lane).await;
            }
        }
    }

    /// A client left inside a transaction: its server connection is rolled back and used again.
    async fn roll_back_and_give(&mut self, mut lane: Lane) {
        self.cancel.remove(&lane.connection.key);
        lane.connection.placeholders.add(&self.placeholders);
        if self.pin.is_some() || lane.connection.suspect {
            return;
        }
        let bound = std::time::Duration::from_secs(5);
        let rolled_back = tokio::time::timeout(bound, lane.connection.capture("ROLLBACK")).await;
        if matches!(rolled_back, Ok(Ok(_))) {
            self.worker.pools.give(lane.connection);
        }
    }

    /// The pinned lane, joined on the default shard's primary.
    pub(super) async fn join_pinned(&mut self) -> Result<usize, Failure> {
        let shard = self.default_shard();
        if self.lanes.iter().any(|lane| lane.in_block && lane.shard == shard && lane.replica) {
            return Err(Failure::Sql(refusals::PRIMARY_IN_READ_ONLY.error(&[])));
        }
        self.see(ShardSet::one(shard), Tie::Home).await?;
        self.join(shard, Access::Write, &[]).await
    }

    pub(super) fn internal(message: impl Into<String>) -> SqlError {
        SqlError::new(SqlState::INTERNAL_ERROR, message)
    }
}

/// Puts the session's settings before what follows, outside of a block. Those that are the defaults of transactions must
/// hold before the next one begins; and where a Query would stay in the pipeline's transaction, it must have ended.
async fn bring_to(
    lane: &mut Lane,
    settings: &Rc<crate::backend::Settings>,
    request: Request,
) -> Result<(), Failure> {
    let defaults = lane.apply_settings(settings);
    let joined = request == Request::Simple
        && lane.connection.keeps_query_in_pipeline()
        && lane.connection.applying.is_some();
    if !defaults && !joined {
        return Ok(());
    }
    lane.sync(true);
    match drain(lane).await {
        Ok(drained) => drained.error.map_or(Ok(()), |error| Err(Failure::Sql(error))),
        Err(error) => Err(Failure::Sql(error.into_sql())),
    }
}
