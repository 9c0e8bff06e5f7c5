//! How long a statement took, which way it went, and what is said of it in the log.
//!
//! `perform`, `simple` and `pipeline` bracket each statement by [`Session::begin_watch`] and [`Session::end_watch`], and
//! whoever chooses its way says so by [`Session::on_route`]. Errors are counted where they are told (`report`) or where
//! a server's were passed on ([`Session::note_report`]).
//!
//! Invariants:
//! 1. Each statement that was planned is counted once, whatever became of it.
//! 2. The log has no literal, no parameter and no error's text: shapes and SQLSTATEs only, unless `[log] statements` is
//!    "full".

use std::time::{Duration, Instant};

use super::Session;
use super::planning::Planned;
use crate::config::StatementText;
use crate::execute::{Report, ShardTimes};
use crate::figures::{Route, Verb};
use crate::sql::printed_shape::printed_shape;
use crate::topology::ShardId;
use crate::wire::fault::Fault;

/// The way of one statement so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Passage {
    route: Route,
    shard: Option<ShardId>,
    rows: u64,
    /// It was cancelled because its tables get other definitions; nothing was done, nor was the client told anything.
    pub again: bool,
    /// Of a statement over several shards.
    times: ShardTimes,
}

impl Session {
    pub(super) fn begin_watch(&mut self) -> Instant {
        self.passage = Passage::default();
        Instant::now()
    }

    /// The last word counts: a statement that several shards were asked for and one answered went to one.
    pub(super) fn on_route(&mut self, route: Route, shard: Option<ShardId>) {
        self.passage.route = route;
        self.passage.shard = shard;
    }

    /// `count` statements that ran as one, of the verb of `planned`.
    pub(super) fn end_watch(&mut self, begun: Instant, planned: &Planned, text: &[u8], count: usize) {
        let time = begun.elapsed();
        let Passage { route, shard, .. } = self.passage;
        let region = shard.map(|shard| self.context.planning.topology.shard(shard).region);
        let verb = Verb::of(&planned.plan.facts.kind);
        self.worker.figures.statement(verb, route, region, count as u64, time);
        if self.live.log.slow_statement.is_some_and(|threshold| time >= threshold) {
            self.log_slow(verb, text, time);
        }
    }

    fn log_slow(&self, verb: Verb, text: &[u8], time: Duration) {
        let topology = &self.context.planning.topology;
        let Passage { route, shard, rows, ref times, .. } = self.passage;
        let (shard, region) = match shard.map(|shard| topology.shard(shard)) {
            Some(shard) => (shard.name.as_str(), topology.region(shard.region).name.as_str()),
            None => ("", ""),
        };
        let statement = match self.live.log.statements {
            StatementText::Off => String::new(),
            StatementText::Shape => printed_shape(text, self.lex_options()),
            StatementText::Full => String::from_utf8_lossy(text).into_owned(),
        };
        tracing::info!(
            client = self.info.id,
            user = &*self.user,
            verb = verb.label(),
            route = route.label(),
            shard,
            region,
            rows,
            seconds = time.as_secs_f64(),
            shard_milliseconds = times.printed(topology),
            statement,
            "slow statement"
        );
    }

    /// A server's answer has been passed on: its rows, and its error if it was one.
    pub(super) fn note_report(&mut self, report: &Report) {
        self.note_rows(report.rows);
        if let Some(error) = &report.error {
            self.worker.figures.error(Fault::of_server(&error.sqlstate), &error.sqlstate);
        }
    }

    /// How long the shards of the statement have taken, besides what was noted before.
    pub(super) fn note_times(&mut self, times: &ShardTimes) {
        self.passage.times.merge(times);
    }

    pub(super) fn note_time(&mut self, shard: ShardId, time: Duration) {
        self.passage.times.add(shard, time);
    }

    pub(super) fn note_rows(&mut self, rows: u64) {
        self.passage.rows += rows;
        self.worker.figures.rows.add(rows);
    }
}
