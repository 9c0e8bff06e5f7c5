//! Asks every node on time, tells the judge, publishes what it says.
//!
//! One task per node keeps a connection and asks one question per interval, or at once when somebody has met a dead
//! node; one loop takes the reports, so that the judge has one owner. Spawned by `server` through [`Watch::run`].
//!
//! ```text
//!   node task ─┐
//!   node task ─┼─▶ reports (bounded) ─▶ judge ─▶ NodeState of the shard ─▶ Signals ─▶ log
//!   node task ─┘        ▲ asked (Signals::probe_now)
//! ```
//!
//! Invariants:
//! 1. A probe ends within `health.timeout`, connecting included; one node's silence delays no other's probe.
//! 2. Demotions are published before promotions, and both before anybody is woken.
//! 3. Between two probes of one node lie at least [`SPACING`], however often somebody asks.
//!
//! Not here: what an answer means (`judge`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_postgres::SimpleQueryMessage;

use super::connect::{ControlConnection, ControlError, address, connect};
use super::judge::{Answer, Change, Condition, Duty, Headship, Judge, Report};
use super::timelines::{self, Sighting};
use crate::config::{HealthSettings, ServerSettings};
use crate::topology::{Lsn, NodeId, NodeRole, NodeState, ShardId, Signals, Topology};

/// Between two looks at what is recorded on a node.
const RECORDS_INTERVAL: Duration = Duration::from_secs(5);

/// Least time between two probes of a node that somebody asked for.
const SPACING: Duration = Duration::from_millis(50);

/// Everything, in one round trip. A replica's timeline is that of the log that it receives; where the account may not
/// see that, the control file's, which is older until the next restart point: it then counts as less fresh than it is.
const QUESTION: &str = "\
SELECT recovery,
  CASE WHEN recovery THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
  CASE WHEN recovery THEN coalesce(
      (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver),
      (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)
         FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r))::pg_catalog.text
    ELSE 'x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,
  (SELECT system_identifier FROM pg_catalog.pg_control_system())
FROM (SELECT pg_catalog.pg_is_in_recovery() AS recovery OFFSET 0) AS self";

/// For an account that may not run some function of [`QUESTION`].
const QUESTION_WITHOUT_RIGHTS: &str = "\
SELECT recovery,
  CASE WHEN recovery THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
  NULL, NULL
FROM (SELECT pg_catalog.pg_is_in_recovery() AS recovery OFFSET 0) AS self";

/// Resolves once every node was asked for the first time.
#[derive(Debug, Clone)]
pub struct Ready(watch::Receiver<bool>);

impl Ready {
    /// Cancel safe: yes. Ends too if the watch has ended.
    pub async fn wait(&mut self) {
        let _ = self.0.wait_for(|ready| *ready).await;
    }
}

/// The watch over all nodes of one topology. A new topology needs a new watch.
#[derive(Debug)]
pub struct Watch {
    context: Arc<Context>,
    ready: watch::Sender<bool>,
}

#[derive(Debug)]
struct Context {
    topology: Arc<Topology>,
    signals: Arc<Signals>,
    server: ServerSettings,
    health: HealthSettings,
}

impl Watch {
    pub fn new(
        topology: Arc<Topology>,
        signals: Arc<Signals>,
        server: ServerSettings,
        health: HealthSettings,
    ) -> (Self, Ready) {
        let (ready, receiver) = watch::channel(false);
        let context = Arc::new(Context { topology, signals, server, health });
        (Self { context, ready }, Ready(receiver))
    }

    /// Watches until it is dropped, with all its tasks. Cancel safe: yes.
    pub async fn run(self) {
        let context = &self.context;
        let count = context.topology.nodes.len();
        let (reports, mut inbox) = mpsc::channel(count.max(1));
        let asked = watch::Sender::new(0u64);
        let mut tasks = JoinSet::new();
        let retired = |index: usize| context.topology.nodes[index].retired;
        for index in (0..count).filter(|index| !retired(*index)) {
            let prober = Prober {
                context: Arc::clone(context),
                node: NodeId(index as u16),
                connection: None,
                read_at: None,
                vain: 0,
                is_refused: false,
            };
            tasks.spawn(prober.run(reports.clone(), asked.subscribe()));
        }
        let mut judge = context.judge();
        if judge.settled() {
            self.ready.send_replace(true);
        }
        loop {
            tokio::select! {
                () = context.signals.probe_asked() => asked.send_modify(|count| *count += 1),
                Some(Message { node, report, sent, recorded, unread }) = inbox.recv() => {
                    context.recall(&mut judge, &recorded);
                    let verdict = match unread {
                        true => judge.on_half_report(node, report, sent, Instant::now()),
                        false => judge.on_report(node, report, sent, Instant::now()),
                    };
                    context.publish(&verdict);
                    if judge.settled() && !*self.ready.borrow() {
                        judge.review(Instant::now()).iter().for_each(|verdict| context.publish(verdict));
                        self.ready.send_replace(true);
                    }
                }
            }
        }
    }
}

impl Context {
    fn judge(&self) -> Judge {
        let nodes = &self.topology.nodes;
        let mut judge = Judge::new(nodes.iter().map(|node| node.shard), self.health.failures);
        for (index, _) in nodes.iter().enumerate().filter(|(_, node)| node.retired) {
            judge.ignore(NodeId(index as u16));
        }
        for (index, shard) in self.topology.shards.iter().enumerate() {
            judge.remember(ShardId(index as u16), shard.timeline.load(Ordering::Acquire));
        }
        let mut known: Vec<_> = nodes.iter().enumerate().filter(|(_, node)| !node.retired).collect();
        // By them the others are judged.
        known.sort_by_key(|(_, node)| node.state.role() != NodeRole::Primary);
        for (index, node) in known {
            let state = &node.state;
            let answer = match state.role() {
                NodeRole::Unknown => continue,
                NodeRole::Primary => Some(answer_before(state, Duty::Primary)),
                NodeRole::Replica => Some(answer_before(state, Duty::Replica)),
                NodeRole::Down => state.is_superseded().then(|| answer_before(state, Duty::Primary)),
            };
            judge.resume(NodeId(index as u16), state.role(), answer);
        }
        judge
    }

    fn recall(&self, judge: &mut Judge, recorded: &[Sighting]) {
        for Sighting { shard, system_identifier, timeline } in recorded {
            let index = self.topology.shards.iter().position(|known| known.name == *shard);
            // Of a shard that is no longer configured nothing need be known.
            if let Some(index) = index {
                judge.recall(ShardId(index as u16), *system_identifier, *timeline);
            }
        }
    }

    fn publish(&self, verdict: &super::judge::Verdict) {
        for standing in &verdict.standings {
            let state = &self.topology.node(standing.node).state;
            state.set_timeline(standing.timeline);
            state.set_system_identifier(standing.system_identifier);
            state.set_position(standing.position);
            state.set_lag(standing.lag);
            state.set_lag_bytes(standing.lag_bytes);
            state.set_round_trip(standing.round_trip);
            state.set_role(standing.role);
            state.set_superseded(standing.superseded);
            if standing.role == NodeRole::Primary {
                let shard = self.topology.shard(self.topology.node(standing.node).shard);
                shard.timeline.fetch_max(standing.timeline, Ordering::AcqRel);
            }
        }
        if verdict.changes.iter().any(Change::of_role) {
            self.signals.roles_changed();
        }
        for change in &verdict.changes {
            self.log(change);
        }
        match verdict.headship {
            Some(Headship::Lost(shard)) => tracing::warn!(
                shard = self.topology.shard(shard).name,
                "shard has no primary: statements that need it wait up to [proxy] primary_wait, and fail then"
            ),
            Some(Headship::Regained(shard)) => {
                tracing::info!(shard = self.topology.shard(shard).name, "shard has a primary again");
            }
            None => {}
        }
    }

    fn log(&self, change: &Change) {
        let node = self.topology.node(change.node);
        let shard = self.topology.shard(node.shard).name.as_str();
        let address = address(node);
        match &change.to {
            Condition::Unknown => {}
            Condition::Primary { timeline } => {
                tracing::info!(shard, node = address, timeline, "is the primary");
            }
            Condition::Replica => tracing::info!(shard, node = address, "is a replica"),
            Condition::Down(reason) => tracing::warn!(shard, node = address, reason, "is down"),
            Condition::Superseded { timeline, newest } => tracing::error!(
                shard,
                node = address,
                timeline,
                newest,
                "calls itself primary beside or behind a newer one: nothing is sent to it; stop it, and bring it back \
                 as a replica (if the shard has been restored to an older timeline on purpose, delete its rows from \
                 meridian_internal.timelines on every shard, and restart Meridian)"
            ),
            Condition::Stranger { own, shard: identifier } => tracing::error!(
                shard,
                node = address,
                own,
                expected = identifier,
                "belongs to another cluster (its system identifier differs from the shard's): nothing is sent to it (if the shard \
                 was set up anew on purpose, restart Meridian)"
            ),
        }
    }
}

/// What a node had said when its state was published last.
fn answer_before(state: &NodeState, duty: Duty) -> Answer {
    Answer {
        duty,
        position: Some(state.position()),
        timeline: Some(state.timeline()).filter(|timeline| *timeline > 0),
        system_identifier: state.system_identifier(),
        round_trip: state.round_trip(),
    }
}

struct Message {
    node: NodeId,
    report: Report,
    sent: Instant,
    /// What is recorded on the node, if that was read.
    recorded: Vec<Sighting>,
    /// It could not be read, and will be tried again.
    unread: bool,
}

/// Asks one node.
struct Prober {
    context: Arc<Context>,
    node: NodeId,
    connection: Option<ControlConnection>,
    /// When what is recorded on the node was read last.
    read_at: Option<Instant>,
    /// So often in vain, before that.
    vain: u32,
    is_refused: bool,
}

impl Prober {
    async fn run(mut self, reports: mpsc::Sender<Message>, mut asked: watch::Receiver<u64>) {
        loop {
            asked.mark_unchanged();
            let begun = tokio::time::Instant::now();
            let message = self.probe().await;
            if reports.send(message).await.is_err() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(begun + self.context.health.interval) => {}
                changed = asked.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep_until(begun + SPACING).await;
                }
            }
        }
    }

    async fn probe(&mut self) -> Message {
        let bound = self.context.health.timeout;
        let mut sent = Instant::now();
        let mut recorded = Vec::new();
        let outcome = tokio::time::timeout(bound, self.ask(&mut sent, &mut recorded)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let address = address(self.context.topology.node(self.node));
            Err(ControlError::Timeout { address, milliseconds: bound.as_millis() })
        });
        let report = outcome.map_or_else(
            |error| {
                self.connection = None;
                // Too many connections; a password or an account that is not the server's.
                match error.sqlstate() {
                    Some("53300" | "28P01" | "28000") => Report::Refused(error.to_string()),
                    _ => Report::Failed(error.to_string()),
                }
            },
            Report::Answered,
        );
        self.tell_refusal(&report);
        let unread = (1..self.context.health.failures).contains(&self.vain) && self.read_at.is_none();
        Message { node: self.node, report, sent, recorded, unread }
    }

    /// What is known of the node grows old then, so it is said, once.
    fn tell_refusal(&mut self, report: &Report) {
        let Report::Refused(reason) = report else {
            self.is_refused = false;
            return;
        };
        if !std::mem::replace(&mut self.is_refused, true) {
            let node = self.context.topology.node(self.node);
            let shard = self.context.topology.shard(node.shard).name.as_str();
            tracing::warn!(
                shard,
                node = address(node),
                reason,
                "refuses the account of [server]: it is taken for what it was, and promotions are not noticed"
            );
        }
    }

    /// Asks over the connection that there is; if that fails, which may only mean that the server was restarted in
    /// between, over a new one.
    async fn ask(
        &mut self,
        sent: &mut Instant,
        recorded: &mut Vec<Sighting>,
    ) -> Result<Answer, ControlError> {
        if let Some(connection) = self.connection.take()
            && !connection.is_closed()
            && let Ok(answer) = self.ask_over(&connection, sent, recorded).await
        {
            self.connection = Some(connection);
            return Ok(answer);
        }
        let context = &self.context;
        let connection = connect(&context.topology, self.node, &context.server).await?;
        let answer = self.ask_over(&connection, sent, recorded).await?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// Asks for what is recorded, too, at first and from time to time: another Meridian may see what we do not.
    async fn ask_over(
        &mut self,
        connection: &ControlConnection,
        sent: &mut Instant,
        recorded: &mut Vec<Sighting>,
    ) -> Result<Answer, ControlError> {
        if self.read_at.is_some_and(|at| at.elapsed() < RECORDS_INTERVAL) {
            return question(connection, sent).await;
        }
        match join(question(connection, sent), timelines::read(connection)).await {
            (answer, Ok(found)) => {
                self.read_at = Some(Instant::now());
                *recorded = found;
                answer
            }
            (Ok(answer), Err(error)) => {
                self.vain = self.vain.saturating_add(1);
                if self.vain == self.context.health.failures {
                    tracing::warn!(%error, "recorded timelines cannot be read: an old primary may be taken for the present one");
                }
                Ok(answer)
            }
            (failed, Err(_)) => failed,
        }
    }
}

async fn question(connection: &ControlConnection, sent: &mut Instant) -> Result<Answer, ControlError> {
    *sent = Instant::now();
    let mut answer = connection.simple_query(QUESTION).await.map_err(|error| connection.error(&error));
    // Class 42: a function that the account may not run, or that this server does not have.
    if answer.as_ref().is_err_and(|error| error.sqlstate().is_some_and(|state| state.starts_with("42"))) {
        *sent = Instant::now();
        let plain = connection.simple_query(QUESTION_WITHOUT_RIGHTS).await;
        answer = plain.map_err(|error| connection.error(&error));
    }
    let round_trip = sent.elapsed();
    read_answer(&answer?, round_trip).ok_or_else(|| ControlError::NotPostgres {
        address: connection.address.clone(),
        reason: "it does not know whether it is a replica".to_owned(),
    })
}

fn read_answer(messages: &[SimpleQueryMessage], round_trip: Duration) -> Option<Answer> {
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })?;
    let duty = match row.try_get(0).ok()?? {
        "t" => Duty::Replica,
        _ => Duty::Primary,
    };
    let text = |column| row.try_get(column).ok().flatten();
    Some(Answer {
        duty,
        position: text(1).and_then(Lsn::parse),
        timeline: text(2).and_then(parse_timeline),
        system_identifier: text(3).and_then(|text| text.parse().ok()),
        round_trip,
    })
}

/// Decimal from the views, `x` and eight hexadecimal digits from the name of a log file.
fn parse_timeline(text: &str) -> Option<u32> {
    match text.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timelines_are_read_in_both_spellings() {
        assert_eq!(parse_timeline("x0000000A"), Some(10));
        assert_eq!(parse_timeline("10"), Some(10));
        assert_eq!(parse_timeline(""), None);
    }
}
