//! The session's side of a SELECT whose tables are gathered: a server session of its own, for the time of the statement.
//!
//! Called by `combine`; `execute::scatter::scratch` fills and asks it.
//!
//! Invariants:
//! 1. The scratch session is the client's: its account, its settings, and those of the transaction under way.
//! 2. It is taken after all lanes are joined, from a pool of its own: who holds one waits for nothing else.
//! 3. It goes back outside of a transaction and without a cursor, or is closed, or is held for what is fetched later (`held`).

use std::rc::Rc;
use std::time::Duration;

use super::held::Held;
use super::servers::Need;
use super::shared::Worker;
use super::{Failure, Session};
use crate::backend::{BackendError, dismiss};
use crate::execute::Lane;
use crate::execute::refusals;
use crate::execute::scatter::scratch::{Answered, Ending, Job, answer_in_scratch};
use crate::execute::scatter::{Question, ScatterError, Wire};
use crate::plan::scatter::scratch::Amid;
use crate::plan::scatter::{Combine, Scatter, Scratch, Source, Ways};
use crate::sql::parse::parse;
use crate::topology::{ShardId, ShardSet};
use crate::wire::backend::TransactionStatus;
use crate::wire::error::SqlError;

/// The time of a transaction, as every setting reads it.
const TIME_QUERY: &str = "SELECT pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.now()), 'YYYY-MM-DD HH24:MI:SS.US') || '+00'";

/// How long a scratch session may take to roll back.
const ROLLBACK_TIME: Duration = Duration::from_secs(5);

/// What a statement over several shards came to.
pub(super) struct Combined {
    /// That the client was sent.
    pub rows: u64,
    /// What is left to fetch.
    pub held: Option<Held>,
}

impl Session {
    /// Refuses what a scratch session would not see as the transaction under way does, and what must not be brought there.
    pub(super) fn check_scratch(&self, scatter: &Scatter, shards: ShardSet) -> Result<(), Failure> {
        if scatter.brings_together() {
            self.meeting_shard(scatter, shards)?;
        }
        let changed = self.block.get().is_some_and(|transaction| transaction.changed_meaning);
        match &scatter.combine {
            Combine::Scratch(scratch)
                if changed || !scratch.serves(self.block.is_open(), self.sees_its_own()) =>
            {
                Err(Failure::Sql(refusals::SCRATCH_IN_TRANSACTION.error(&[])))
            }
            _ => Ok(()),
        }
    }

    /// The shard whose server is sent rows of these: for gathered tables the configured one, else the nearest that has some
    /// itself.
    pub(super) fn meeting_shard(&self, scatter: &Scatter, shards: ShardSet) -> Result<ShardId, Failure> {
        let topology = &self.context.planning.topology;
        let may = |shard: &ShardId| scatter.residency.is_none_or(|residency| residency.contains(*shard));
        let wanted = match &scatter.combine {
            Combine::Scratch(_) => topology.scratch_shard,
            _ => {
                let near = topology.region(self.own.region).shards.first().copied();
                let near = near.filter(|near| shards.contains(*near));
                let default = Some(topology.default_shard).filter(|default| shards.contains(*default));
                let others = || shards.iter().find(|shard| may(shard));
                let chosen = near.filter(may).or(default.filter(may)).or_else(others);
                chosen.or(near).or(default).unwrap_or(topology.default_shard)
            }
        };
        match may(&wanted) {
            true => Ok(wanted),
            false => {
                let name = &topology.shard(wanted).name;
                Err(Failure::Sql(refusals::RESIDENCY.error(&[name])))
            }
        }
    }

    /// The way that serves where the types of a merge do not.
    pub(super) fn gathered_instead(&self, question: &Question<'_>) -> Option<Scatter> {
        let source = Source { text: question.arguments.text, options: self.lex_options() };
        let parsed = parse(source.text, source.options);
        Scatter::compile(&parsed, source, &self.context.planning, Ways::ScratchOnly).ok()
    }

    /// The same where the merge does not serve for this reason. It is what the client is told where gathering does not serve
    /// either: it names what can be written otherwise.
    pub(super) fn gathered_because(
        &self,
        reason: SqlError,
        question: &Question<'_>,
        shards: ShardSet,
    ) -> Result<Scatter, Failure> {
        let other = self.gathered_instead(question);
        let other = other.filter(|other| self.check_scratch(other, shards).is_ok());
        other.ok_or(Failure::Sql(reason))
    }

    /// The transaction under way has written something, or sees what was: other sessions see other rows, or wait for its locks.
    fn sees_its_own(&self) -> bool {
        let locked = self.block.get().is_some_and(|transaction| transaction.locked);
        locked || self.looks_back() || self.lanes.iter().any(|lane| lane.in_block && lane.wrote)
    }

    /// Answers from the rows of these shards, whose lanes are joined. Also says whether the client may have been sent
    /// something. `suspect`: its code may leave something behind, with which nobody is to meet the session again.
    pub(super) async fn answer_in_scratch(
        &mut self,
        question: &Question<'_>,
        scratch: &Scratch,
        shards: ShardSet,
        ending: Ending<'_>,
        suspect: bool,
    ) -> Result<(bool, Result<Combined, ScatterError>), Failure> {
        let opened = match self.transaction_time(scratch).await {
            Ok(time) => self.open_scratch().await.map(|session| (session, time)),
            Err(failure) => Err(failure),
        };
        let (mut session, time) = match opened {
            Ok(opened) => opened,
            Err(failure) => {
                self.tidy(shards).await;
                return Err(failure);
            }
        };
        let prologue: Vec<String> = match self.block.get() {
            Some(transaction) => {
                transaction.prologue.iter().skip(1).filter(|text| is_setting(text)).cloned().collect()
            }
            None => Vec::new(),
        };
        let bounds = &self.live.scratch;
        let job = Job {
            question,
            scratch,
            source: Source { text: question.arguments.text, options: self.lex_options() },
            prologue: &prologue,
            shards,
            amid: Amid { changed: self.sees_its_own(), time: time.as_deref() },
            rows_max: bounds.rows_max,
            bytes_max: bounds.bytes_max,
            reduce_from_rows: bounds.reduce_from_rows,
            ending,
        };
        let default = self.default_shard();
        let read_ahead = self.live.limits.shard_buffer_bytes;
        let Self { client, lanes, told, limits, pin, .. } = self;
        let mut lanes: Vec<&mut Lane> = lanes.iter_mut().filter(|lane| shards.contains(lane.shard)).collect();
        lanes.sort_by_key(|lane| lane.shard != default);
        let mut wire = Wire::new(client, told, limits, pin.is_some(), read_ahead);
        let result = answer_in_scratch(&mut wire, &mut lanes, &mut session, &job).await;
        let (sent, times) = (wire.sent, wire.times);
        self.note_times(&times);
        let (rows, stays) = match result {
            Ok(Answered { rows, stays }) => (Ok(rows), stays),
            Err(error) => (Err(error), None),
        };
        session.connection.suspect |= suspect;
        let held = match stays {
            Some(columns) => Some(Held::new(session, columns, self.settings_in_force())),
            None => {
                self.cancel.remove(&session.connection.key);
                retire(Rc::clone(&self.worker), session, false).await;
                None
            }
        };
        Ok((sent, rows.map(|rows| Combined { rows, held })))
    }

    /// When the transaction under way began, where the text asks for it: by the clock of the first of its servers.
    async fn transaction_time(&mut self, scratch: &Scratch) -> Result<Option<Rc<str>>, Failure> {
        let Some(transaction) = self.block.get().filter(|_| scratch.reads_clock()) else { return Ok(None) };
        let Some(first) = self.lanes.iter().position(|lane| lane.in_block) else { return Ok(None) };
        if transaction.time.is_some() {
            return Ok(transaction.time.clone());
        }
        self.quiet_lane(first).await?;
        let rows = self.rows_on(first, TIME_QUERY).await?;
        let time = rows.into_iter().flatten().flatten().next().map(Rc::from);
        if let Some(transaction) = self.block.transaction() {
            transaction.time.clone_from(&time);
        }
        Ok(time)
    }

    async fn open_scratch(&mut self) -> Result<Lane, Failure> {
        let planning = &self.context.planning;
        let shard = planning.topology.scratch_shard;
        let numbers = planning.catalog.numbers_of(shard);
        let connection =
            self.acquire_from(&self.worker.scratches, shard, Need::Primary, &[]).await.map_err(|error| {
                match error {
                crowded @ BackendError::PoolTimeout { .. } => Failure::Sql(crowded.into_sql().hint(
                    "Raise scratch.concurrent_max, or close cursors WITH HOLD that are not needed any more.",
                )),
                error => Failure::Sql(error.into_sql()),
            }
            })?;
        self.cancel.add(&connection.key);
        let mut lane = Lane::new(connection, shard, false);
        lane.one_by_one = self.fence.read_only;
        lane.scratch = true;
        lane.numbers = numbers;
        let settings = match self.block.get() {
            Some(transaction) => transaction.settings_before(),
            None => &self.settings,
        };
        lane.introduce(&self.placeholders, settings);
        // They end before BEGIN in any case.
        let _ = lane.apply_settings(settings);
        lane.end_settings();
        Ok(lane)
    }
}

/// Rolls back what a scratch session has under way, and gives it back; one that does not answer is dismissed, and so is one that
/// `holds` a cursor WITH HOLD: it has committed settings of its client's.
pub(super) async fn retire(worker: Rc<Worker>, mut session: Lane, holds: bool) {
    if !holds && session.is_at_rest() && session.connection.status != TransactionStatus::Idle {
        // Where time runs out, `capture` has left the connection marked as broken.
        let _ = tokio::time::timeout(ROLLBACK_TIME, session.connection.capture("ROLLBACK")).await;
    }
    match !holds && session.is_at_rest() {
        true => worker.scratches.give(session.connection),
        false => dismiss(session.connection),
    }
}

/// Of a transaction's prologue, what changes a setting; modes and savepoints are the transaction's own.
fn is_setting(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace().map(str::to_ascii_lowercase);
    match words.next().as_deref() {
        Some("set") => words.next().as_deref() != Some("transaction"),
        Some("reset") => true,
        // Of queries, only calls of it are repeated on every lane.
        Some("select") => text.to_ascii_lowercase().contains("set_config"),
        _ => false,
    }
}
