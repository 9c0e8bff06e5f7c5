//! Transaction control: BEGIN to COMMIT, savepoints, and the commit of a block over its lanes.
//!
//! Called by `perform` for statements that the session obeys itself. No server hears of BEGIN before a statement
//! needs it; COMMIT goes to the lanes that joined.
//!
//! Invariants:
//! 1. COMMIT is answered only after every lane has committed; with more than one writing lane only after the decision
//!    is recorded (see `transaction`).
//! 2. Whatever happens, after COMMIT or ROLLBACK the block is over, and no lane is left inside a transaction.

use std::rc::Rc;
use std::time::Duration;

use super::block::{Before, Block, Origin, Transaction};
use super::fence::says_true;
use super::redefinition::Redefinition;
use super::{Failure, Outcome, Request, Session};
use crate::execute::drain::{Drained, drain};
use crate::execute::lane::{Hidden, Lane};
use crate::execute::refusals;
use crate::plan::{Access, refusal};
use crate::sql::facts::{Isolation, Modes, TransactionCommand};
use crate::topology::{ShardSet, WriteToken};
use crate::transaction::{self, Participant};
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};

/// A warning of PostgreSQL's.
const OUTSIDE_OF_BLOCK: &str = "SET TRANSACTION can only be used in transaction blocks";

impl Session {
    /// Obeys a transaction command and answers it with a CommandComplete.
    pub(super) async fn transaction_command(&mut self, command: &TransactionCommand, text: &[u8]) -> Outcome {
        let sql = String::from_utf8_lossy(text).into_owned();
        match command {
            TransactionCommand::Begin(modes) => self.begin(sql, *modes).await,
            TransactionCommand::Commit { chain } => self.commit(*chain).await,
            TransactionCommand::Rollback { chain } => self.roll_back(*chain).await,
            TransactionCommand::Savepoint(name) => self.savepoint(name, sql).await,
            TransactionCommand::Release(name) => self.release(name, sql).await,
            TransactionCommand::RollbackTo(name) => self.roll_back_to(name, sql).await,
            TransactionCommand::SetTransaction(modes) => self.set_transaction(sql, *modes).await,
            TransactionCommand::SetCharacteristics(modes) => self.set_characteristics(*modes).await,
            TransactionCommand::SetConstraints => self.set_constraints(sql).await,
            TransactionCommand::TwoPhase => Err(Failure::Sql(refusal::CLIENT_TWO_PHASE.error(&[]))),
        }
    }

    pub(super) fn complete(&mut self, tag: &str) {
        encode::server::command_complete(&mut self.client.outbox, tag.as_bytes());
    }

    async fn begin(&mut self, sql: String, modes: Modes) -> Outcome {
        self.fence.check_mode(modes.read_only)?;
        let starts = sql.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("start"));
        let tag = if starts { "START TRANSACTION" } else { "BEGIN" };
        if self.written_pipeline().is_some() {
            Box::pin(self.take_up_open_pipelines()).await?;
        }
        let joined = self.lanes.iter().any(|lane| lane.in_block);
        let defaults = self.default_modes();
        match self.block.transaction() {
            Some(transaction) if transaction.origin == Origin::Explicit => {
                self.warn(&SqlError::warning(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "there is already a transaction in progress",
                ));
                if modes != Modes::default() {
                    self.apply_modes(format!("SET TRANSACTION {modes}"), modes).await?;
                }
            }
            Some(transaction) => {
                // What ran before BEGIN in the same message becomes part of the transaction.
                if joined && modes != Modes::default() {
                    return Err(Failure::Sql(refusals::LATE_MODES.error(&[])));
                }
                transaction.origin = Origin::Explicit;
                if !joined {
                    transaction.prologue[0] = self.fence.begin(sql, modes.isolation);
                    transaction.begin_with(defaults);
                }
                transaction.set_modes(modes);
            }
            None => {
                let prologue = self.fence.prologue(sql, modes.isolation);
                let mut transaction = Transaction::new(Origin::Explicit, prologue, &self.settings, &self.own);
                transaction.begin_with(defaults);
                transaction.set_modes(modes);
                self.block = Block::Open(Box::new(transaction));
            }
        }
        self.complete(tag);
        Ok(())
    }

    /// Those with which a transaction begins that says nothing of them.
    fn default_modes(&self) -> Modes {
        let is_on = |name| Some(self.default_of(name).is_some_and(|value| says_true(&value)));
        let isolation = self.default_of("default_transaction_isolation");
        let isolation = isolation.and_then(|value| Isolation::named(&value));
        Modes {
            read_only: is_on("default_transaction_read_only"),
            deferrable: is_on("default_transaction_deferrable"),
            isolation: Some(isolation.unwrap_or(Isolation::ReadCommitted)),
        }
    }

    /// AND CHAIN: the next transaction, with the modes of the one that has ended.
    fn begin_chained(&mut self, modes: Modes) {
        let prologue = self.fence.prologue(format!("BEGIN {modes}"), modes.isolation);
        let mut transaction = Transaction::new(Origin::Explicit, prologue, &self.settings, &self.own);
        transaction.begin_with(modes);
        transaction.set_modes(modes);
        self.block = Block::Open(Box::new(transaction));
    }

    /// The modes for the transaction that AND CHAIN begins; None without it.
    fn chained(&self, chain: bool, what: &str) -> Result<Option<Modes>, Failure> {
        if chain {
            self.demand_block(what)?;
        }
        Ok(self.block.get().filter(|_| chain).map(Transaction::modes_for_chain))
    }

    pub(super) async fn set_transaction(&mut self, sql: String, modes: Modes) -> Outcome {
        if !self.block.is_open() {
            self.warn(&SqlError::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, OUTSIDE_OF_BLOCK));
            self.complete("SET");
            return Ok(());
        }
        if self.is_pipeline_alone() {
            self.warn(&SqlError::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, OUTSIDE_OF_BLOCK));
        }
        self.fence.check_mode(modes.read_only)?;
        self.apply_modes(sql, modes).await?;
        self.complete("SET");
        Ok(())
    }

    pub(super) fn is_pipeline_alone(&self) -> bool {
        let version = self.context.planning.catalog.server_version;
        self.request != Request::Simple && self.block.get().is_some_and(|t| t.is_pipeline_alone(version))
    }

    /// How many servers this block has written to.
    fn writers(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.in_block && lane.wrote).count()
    }

    /// In a transaction.
    async fn apply_modes(&mut self, sql: String, modes: Modes) -> Outcome {
        if modes.read_only == Some(true) && self.writers() > 1 {
            // The decision to commit is a write of ours.
            return Err(Failure::Sql(refusals::LATE_READ_ONLY.error(&[])));
        }
        if self.block.get().is_some_and(Transaction::has_savepoints) {
            // It may come too late: a server says so.
            self.join_default(Access::Read).await?;
        }
        let joined = self.lanes.iter().any(|lane| lane.in_block);
        self.on_joined_lanes(&sql).await?;
        let fence = self.fence.clone();
        if let Some(transaction) = self.block.transaction() {
            match modes.isolation {
                // A lane that joins has its snapshot before it could hear of the level: it begins with it.
                Some(_) if fence.read_only && !joined => {
                    transaction.prologue[0] = fence.begin(sql, modes.isolation)
                }
                None if fence.read_only && modes.read_only.is_some() => {}
                _ => transaction.prologue.push(sql),
            }
            transaction.set_modes(modes);
        }
        Ok(())
    }

    /// Outside a block it lasts for the one statement that it is: nothing.
    async fn set_constraints(&mut self, sql: String) -> Outcome {
        if self.block.is_open() {
            self.on_joined_lanes(&sql).await?;
            if let Some(transaction) = self.block.transaction() {
                transaction.prologue.push(sql);
            }
        } else {
            self.warn(&SqlError::warning(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET CONSTRAINTS can only be used in transaction blocks",
            ));
        }
        self.complete("SET CONSTRAINTS");
        Ok(())
    }

    /// Runs a statement of ours on every lane of the block; the first error is the answer.
    pub(super) async fn on_joined_lanes(&mut self, sql: &str) -> Outcome {
        for lane in self.lanes.iter_mut().filter(|lane| lane.in_block) {
            lane.hidden_words(sql);
        }
        for drained in self.drain_block().await {
            let drained = drained?;
            self.pass_reports(&drained.asides);
            if let Some(error) = drained.error {
                return Err(Failure::Sql(error));
            }
        }
        Ok(())
    }

    /// Sends what was put on the block's lanes and reads all answers, on all lanes at once. A lane that is lost is
    /// taken out, and is an error.
    async fn drain_block(&mut self) -> Vec<Result<Drained, Failure>> {
        let work = self.lanes.iter_mut().filter(|lane| lane.in_block).map(drain);
        let results = futures_util::future::join_all(work).await;
        let mut answers = Vec::with_capacity(results.len());
        for result in results {
            answers.push(result.map_err(|error| {
                self.worker.shared.signals.probe_now();
                Failure::Sql(error.into_sql())
            }));
        }
        let mut index = 0;
        while index < self.lanes.len() {
            if self.lanes[index].connection.broken {
                let lane = self.lanes.swap_remove(index);
                self.give(lane);
            } else {
                index += 1;
            }
        }
        answers
    }

    async fn savepoint(&mut self, name: &str, sql: String) -> Outcome {
        self.demand_block("SAVEPOINT")?;
        self.learn_sets(None).await?;
        self.on_joined_lanes(&sql).await?;
        let before = Before {
            settings: Rc::clone(&self.settings),
            in_force: self.block.get().and_then(|transaction| transaction.in_force.clone()),
            own: self.own.clone(),
            first_portal: self.portals.next(),
        };
        if let Some(transaction) = self.block.transaction() {
            transaction.savepoint(name, sql, before);
        }
        self.complete("SAVEPOINT");
        Ok(())
    }

    async fn release(&mut self, name: &str, sql: String) -> Outcome {
        self.demand_block("RELEASE SAVEPOINT")?;
        self.demand_savepoint(name)?;
        self.on_joined_lanes(&sql).await?;
        if let Some(transaction) = self.block.transaction() {
            transaction.release(name, sql);
        }
        self.complete("RELEASE");
        Ok(())
    }

    async fn roll_back_to(&mut self, name: &str, sql: String) -> Outcome {
        self.demand_block("ROLLBACK TO SAVEPOINT")?;
        if let Err(failure) = self.demand_savepoint(name) {
            self.block.fail();
            return Err(failure);
        }
        let lost = self.block.get().is_some_and(|t| t.lanes_lost);
        if lost {
            self.say_unsaid()?;
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "a server of this transaction was lost; only ROLLBACK is possible",
            )
            .into());
        }
        self.on_joined_lanes(&sql).await?;
        let restored = self.block.transaction().and_then(|t| t.roll_back_to(name));
        if let Some(before) = restored {
            self.settings = before.settings;
            self.own = before.own;
            self.portals.close_since(before.first_portal);
            self.close_held_since(before.first_portal);
            self.follow_settings();
        }
        self.complete("ROLLBACK");
        Ok(())
    }

    fn demand_block(&self, what: &str) -> Outcome {
        if self.block.is_explicit() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{what} can only be used in transaction blocks"),
        )
        .into())
    }

    fn demand_savepoint(&self, name: &str) -> Outcome {
        if self.block.get().is_some_and(|t| t.has_savepoint(name)) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INVALID_SAVEPOINT_SPECIFICATION,
            format!("savepoint \"{name}\" does not exist"),
        )
        .into())
    }

    async fn commit(&mut self, chain: bool) -> Outcome {
        let chained = self.chained(chain, "COMMIT AND CHAIN")?;
        self.warn_outside_block();
        if !self.block.is_open() {
            // Of reads that a pipeline has behind it.
            self.end_held(true);
            self.complete("COMMIT");
            return Ok(());
        }
        if self.block.is_failed() {
            let unsaid = self.say_unsaid();
            self.roll_back_block().await;
            unsaid?;
            self.complete("ROLLBACK");
        } else {
            self.commit_block(true).await?;
            self.complete("COMMIT");
        }
        self.follow_with(chained).await;
        Ok(())
    }

    async fn roll_back(&mut self, chain: bool) -> Outcome {
        let chained = self.chained(chain, "ROLLBACK AND CHAIN")?;
        self.warn_outside_block();
        if self.block.is_open() {
            self.roll_back_block().await;
        }
        self.end_held(false);
        self.undo_open_pipelines().await.map_err(Failure::End)?;
        self.complete("ROLLBACK");
        self.follow_with(chained).await;
        Ok(())
    }

    /// What code has set in a transaction holds for what comes next, which may be in the same request.
    async fn follow_with(&mut self, chained: Option<Modes>) {
        if self.has_suspects() {
            Box::pin(self.look_at_suspects()).await;
        }
        if let Some(modes) = chained {
            self.begin_chained(modes);
        }
    }

    fn warn_outside_block(&mut self) {
        const WORDS: &str = "there is no transaction in progress";
        if !self.block.is_explicit() {
            self.warn(&SqlError::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, WORDS));
        }
    }

    /// Commits the block on all of its lanes; afterwards there is no block, whatever the answer.
    pub(super) async fn commit_block(&mut self, tell_notices: bool) -> Outcome {
        if self.fence.read_only {
            // Whatever was sent, nothing was written.
            self.lanes.iter_mut().for_each(|lane| lane.wrote = false);
        }
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
            .filter(|lane| lane.in_block)
            .map(|lane| Participant {
                connection: &mut lane.connection,
                shard: lane.shard,
                wrote: lane.wrote,
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
            Ok(()) => self.learn_positions().await,
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

    /// Readers first; the one writer's answer is the transaction's.
    async fn commit_one_writer(&mut self, tell_notices: bool) -> Outcome {
        let topology = std::sync::Arc::clone(&self.context.planning.topology);
        for lane in self.lanes.iter_mut().filter(|lane| lane.in_block && !lane.wrote) {
            lane.hidden_query("COMMIT", Hidden::Prologue);
        }
        let readers = self.lanes.iter_mut().filter(|lane| lane.in_block && !lane.wrote).map(drain);
        for drained in futures_util::future::join_all(readers).await {
            let drained = drained.map_err(|e| Failure::Sql(e.into_sql()))?;
            if let Some(error) = drained.error {
                return Err(Failure::Sql(error));
            }
            for aside in &drained.asides {
                self.pass_aside(aside);
            }
        }
        let Some(index) = self.lanes.iter().position(|lane| lane.in_block && lane.wrote) else {
            return Ok(());
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

    /// Joins the default shard for a statement that only validates or reports.
    pub(super) async fn join_default(&mut self, access: Access) -> Result<usize, Failure> {
        let shard = self.home_shard();
        // The server that is asked first is the transaction's to its end: one that can do everything.
        let access = if self.looks_back() { access.max(Access::ReadPrimary) } else { access };
        self.join(shard, access, &[]).await
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
