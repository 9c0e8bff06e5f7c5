//! Transaction control: BEGIN to COMMIT, and savepoints.
//!
//! Called by `perform` for statements that the session obeys itself. No server hears of BEGIN before a statement
//! needs it.
//!
//! Not here: the commit of a block over its lanes (`commit`).

use std::rc::Rc;

use super::block::{Before, Block, Origin, Transaction};
use super::fence::says_true;
use super::{Failure, Outcome, Request, Session};
use crate::execute::drain::{Drained, drain};
use crate::execute::refusals;
use crate::plan::{Access, refusal};
use crate::sql::facts::{Isolation, Modes, TransactionCommand};
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};

/// A warning of PostgreSQL's.
pub(super) const OUTSIDE_OF_BLOCK: &str = "SET TRANSACTION can only be used in transaction blocks";

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
            TransactionCommand::SetSnapshot => self.import_snapshot(sql).await,
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
        self.spare_idle_lanes_anew().await?;
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

    /// Joins the default shard for a statement that only validates or reports.
    pub(super) async fn join_default(&mut self, access: Access) -> Result<usize, Failure> {
        let shard = self.home_shard();
        // The server that is asked first is the transaction's to its end: one that can do everything.
        let access = if self.looks_back() { access.max(Access::ReadPrimary) } else { access };
        self.join(shard, access, &[]).await
    }
}
