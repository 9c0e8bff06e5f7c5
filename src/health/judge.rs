//! What the answers and silences of nodes mean: which of a shard is the primary, who is a replica, who is out. Pure.
//!
//! [`super::probe`] hands in one [`Report`] per probe; the answer is what to publish for every node of that shard. A shard
//! is judged as a whole, because one node's role depends on the others: after a promotion elsewhere the old primary may
//! still be up and believe in itself.
//!
//! ```text
//!   alive, says primary ─▶ of this shard's cluster? ─▶ newest timeline that was ever seen? ─▶ the primary
//!                                │ no                        │ no
//!                                ▼ stranger: out             ▼ superseded: out, never written to
//! ```
//!
//! Invariants:
//! 1. At most one node of a shard has the role of primary.
//! 2. A node on an older timeline than the shard's primary has ever had is never the primary, also when it is the only
//!    one that answers: what was written since the promotion would be missing there.
//! 3. No primary is named before every node of the shard was asked once: the newer one may be about to answer. Where no
//!    timeline of the shard is known yet, nodes of other shards are waited for, too: they may have one on record. A judge
//!    that goes on where another has ended keeps the primary that was known.
//! 4. Of equals the one that is known already stays; at first, the first in the configuration.
//! 5. A replica on an older timeline than its shard's is not known to have anything.
//! 6. A node is out after `failures` failed probes in a row, or at the first if it has never answered.
//!
//! Not here: asking, publishing, logging (`probe`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::history::{History, LAG_UNKNOWN};
use crate::topology::{Lsn, NodeId, NodeRole, ShardId};

/// Weight of a new round trip in the smoothed one: one eighth, as TCP does it.
const ROUND_TRIP_WEIGHT: u32 = 8;

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    Primary,
    Replica,
}

/// A node's answer to one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub duty: Duty,
    /// Written position of a primary, replayed one of a replica; None before a replica has replayed anything.
    pub position: Option<Lsn>,
    /// None where the account may not see it.
    pub timeline: Option<u32>,
    /// None where the account may not see it.
    pub system_identifier: Option<u64>,
    pub round_trip: Duration,
}

/// The outcome of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    Answered(Answer),
    /// It is alive and does not let us in, for want of connections or because it does not know us: neither a failure nor news.
    Refused(String),
    Failed(String),
}

/// What is true of a node; its change is what gets logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Not asked, or not decided yet.
    Unknown,
    Primary {
        timeline: Option<u32>,
    },
    Replica,
    Down(String),
    /// Says that it is a primary, on an older timeline (or the same one) than `newest`.
    Superseded {
        timeline: Option<u32>,
        newest: Option<u32>,
    },
    /// Its data is of another cluster than the shard's.
    Stranger {
        own: u64,
        shard: u64,
    },
}

impl Condition {
    pub fn role(&self) -> NodeRole {
        match self {
            Self::Unknown => NodeRole::Unknown,
            Self::Primary { .. } => NodeRole::Primary,
            Self::Replica => NodeRole::Replica,
            Self::Down(_) | Self::Superseded { .. } | Self::Stranger { .. } => NodeRole::Down,
        }
    }
}

/// What to publish of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub node: NodeId,
    pub role: NodeRole,
    /// It calls itself the primary and is not: what is written there is lost.
    pub superseded: bool,
    pub timeline: u32,
    pub system_identifier: Option<u64>,
    pub position: Lsn,
    pub lag: Duration,
    pub lag_bytes: u64,
    pub round_trip: Duration,
}

/// A condition that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub node: NodeId,
    pub from: Condition,
    pub to: Condition,
}

impl Change {
    pub fn of_role(&self) -> bool {
        self.from.role() != self.to.role()
    }
}

/// The judge's answer to a report: standings of the whole shard, those that are not primary first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub standings: Vec<Standing>,
    pub changes: Vec<Change>,
    /// What is news of the shard as a whole.
    pub headship: Option<Headship>,
}

/// Whether a shard has a primary, where that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headship {
    /// It had one, or none was found at first.
    Lost(ShardId),
    Regained(ShardId),
}

/// All that is remembered of all nodes.
#[derive(Debug)]
pub struct Judge {
    nodes: Vec<NodeView>,
    shards: Vec<ShardView>,
    failures_max: u32,
}

#[derive(Debug)]
struct NodeView {
    shard: ShardId,
    asked: bool,
    failures: u32,
    reason: String,
    answer: Option<Answer>,
    /// When the probe that brought the answer was sent: what it says was not yet true before.
    answered_at: Option<Instant>,
    round_trip: Duration,
    condition: Condition,
}

#[derive(Debug, Default)]
struct ShardView {
    members: Vec<NodeId>,
    primary: Option<NodeId>,
    /// The newest timeline that a primary of this shard has been on.
    timeline: Option<u32>,
    system_identifier: Option<u64>,
    /// Newest timelines that are on record, by system identifier.
    recorded: HashMap<u64, u32>,
    history: History,
    headless: bool,
}

impl Judge {
    /// `shards[i]` is the shard of node `i`; a node is down after `failures_max` failures in a row.
    pub fn new(shards: impl IntoIterator<Item = ShardId>, failures_max: u32) -> Self {
        let mut judge = Self { nodes: Vec::new(), shards: Vec::new(), failures_max: failures_max.max(1) };
        for (index, shard) in shards.into_iter().enumerate() {
            let count = judge.shards.len().max(usize::from(shard.0) + 1);
            judge.shards.resize_with(count, ShardView::default);
            judge.shards[usize::from(shard.0)].members.push(NodeId(index as u16));
            judge.nodes.push(NodeView {
                shard,
                asked: false,
                failures: 0,
                reason: String::new(),
                answer: None,
                answered_at: None,
                round_trip: Duration::ZERO,
                condition: Condition::Unknown,
            });
        }
        judge
    }

    /// Reminds the judge of a primary that was known before it began.
    pub fn remember(&mut self, shard: ShardId, timeline: u32) {
        if let Some(view) = self.shards.get_mut(usize::from(shard.0))
            && timeline > 0
        {
            view.timeline = view.timeline.max(Some(timeline));
        }
    }

    /// Has the judge go on from what another has published of the node, of the primary first. `answer`: what the node had said; None of one that
    /// was down.
    pub fn resume(&mut self, node: NodeId, role: NodeRole, answer: Option<Answer>) {
        let Some(view) = self.nodes.get_mut(usize::from(node.0)) else { return };
        let known = &mut self.shards[usize::from(view.shard.0)];
        view.asked = true;
        match answer {
            Some(answer) => {
                if role == NodeRole::Primary {
                    known.primary = Some(node);
                    known.timeline = known.timeline.max(answer.timeline);
                    known.system_identifier = answer.system_identifier;
                }
                view.round_trip = answer.round_trip;
                view.answer = Some(answer);
            }
            None => (view.failures, view.reason) = (self.failures_max, "it was down before".to_owned()),
        }
        view.condition = known.condition(node, view, known.primary, self.failures_max);
    }

    /// Tells the judge that a primary of the shard, with data of this cluster, has been on that timeline once.
    pub fn recall(&mut self, shard: ShardId, system_identifier: u64, timeline: u32) {
        if let Some(view) = self.shards.get_mut(usize::from(shard.0)) {
            let known = view.recorded.entry(system_identifier).or_default();
            *known = timeline.max(*known);
        }
    }

    /// A node that nobody asks any more.
    pub fn ignore(&mut self, node: NodeId) {
        if let Some(view) = self.nodes.get_mut(usize::from(node.0)) {
            view.asked = true;
            self.shards[usize::from(view.shard.0)].members.retain(|member| *member != node);
        }
    }

    /// Whether every node was asked once.
    pub fn settled(&self) -> bool {
        self.nodes.iter().all(|node| node.asked)
    }

    /// Takes the outcome of a probe that was sent at `sent` and has ended at `now`.
    pub fn on_report(&mut self, node: NodeId, report: Report, sent: Instant, now: Instant) -> Verdict {
        if let Some(view) = self.nodes.get_mut(usize::from(node.0)) {
            view.asked = true;
        }
        self.on_half_report(node, report, sent, now)
    }

    /// The same, of a node whose record could not be read: it is still to be asked.
    pub fn on_half_report(&mut self, node: NodeId, report: Report, sent: Instant, now: Instant) -> Verdict {
        let Some(view) = self.nodes.get_mut(usize::from(node.0)) else { return Verdict::default() };
        match report {
            Report::Answered(answer) => view.on_answer(answer, sent),
            Report::Refused(reason) => {
                if view.answer.is_none() {
                    view.fail(reason);
                }
            }
            Report::Failed(reason) => view.fail(reason),
        }
        let shard = view.shard;
        self.judge(shard, now)
    }

    /// Judges all shards anew, for what is true of all nodes: [`Self::settled`] has just become so.
    pub fn review(&mut self, now: Instant) -> Vec<Verdict> {
        (0..self.shards.len()).map(|index| self.judge(ShardId(index as u16), now)).collect()
    }

    fn judge(&mut self, shard: ShardId, now: Instant) -> Verdict {
        let Self { nodes, shards, failures_max } = self;
        let view = &mut shards[usize::from(shard.0)];
        let node = |id: NodeId| &nodes[usize::from(id.0)];
        let all_asked = || nodes.iter().all(|node| node.asked);
        // One that is known goes on while others are asked for the first time.
        let settled = view.primary.is_some()
            || view.members.iter().all(|id| node(*id).asked) && (view.timeline.is_some() || all_asked());
        let primary = if settled { view.elect(nodes, *failures_max) } else { None };
        if let Some(id) = primary {
            view.on_primary(id, node(id));
        }
        let conditions: Vec<_> =
            view.members.iter().map(|id| view.condition(*id, node(*id), primary, *failures_max)).collect();
        let mut verdict = Verdict::default();
        if settled && view.headless != primary.is_none() {
            view.headless = primary.is_none();
            let news = if view.headless { Headship::Lost(shard) } else { Headship::Regained(shard) };
            verdict.headship = Some(news);
        }
        for (id, to) in view.members.iter().copied().zip(conditions) {
            let node = &mut nodes[usize::from(id.0)];
            verdict.standings.push(view.standing(id, node, &to, now));
            if node.condition != to {
                let from = std::mem::replace(&mut node.condition, to.clone());
                verdict.changes.push(Change { node: id, from, to });
            }
        }
        verdict.standings.sort_by_key(|standing| standing.role == NodeRole::Primary);
        verdict
    }
}

impl NodeView {
    fn on_answer(&mut self, answer: Answer, sent: Instant) {
        self.answered_at = Some(sent);
        self.failures = 0;
        self.round_trip = match self.round_trip {
            Duration::ZERO => answer.round_trip,
            smoothed => (smoothed * (ROUND_TRIP_WEIGHT - 1) + answer.round_trip) / ROUND_TRIP_WEIGHT,
        };
        self.answer = Some(answer);
    }

    fn fail(&mut self, reason: String) {
        self.failures = self.failures.saturating_add(1);
        self.reason = reason;
    }

    fn is_down(&self, failures_max: u32) -> bool {
        self.failures >= failures_max || self.failures > 0 && self.answer.is_none()
    }
}

impl ShardView {
    fn is_stranger(&self, answer: &Answer) -> bool {
        matches!((self.system_identifier, answer.system_identifier), (Some(ours), Some(its)) if ours != its)
    }

    /// The one that may be the primary; a timeline that cannot be seen counts as the newest.
    fn elect(&self, nodes: &[NodeView], failures_max: u32) -> Option<NodeId> {
        let candidates = self.members.iter().copied().filter_map(|id| {
            let node = &nodes[usize::from(id.0)];
            let answer = node.answer.as_ref().filter(|_| !node.is_down(failures_max))?;
            let newest = self.newest(answer);
            let timeline = answer.timeline.or(newest);
            let fits = answer.duty == Duty::Primary && !self.is_stranger(answer) && timeline >= newest;
            fits.then_some((id, timeline))
        });
        let best = candidates
            .max_by_key(|(id, timeline)| (*timeline, self.primary == Some(*id), std::cmp::Reverse(*id)));
        best.map(|(id, _)| id)
    }

    /// Whether a replica's log is of an older timeline than the shard's.
    fn is_of_the_past(&self, answer: Option<&Answer>) -> bool {
        answer.and_then(|answer| answer.timeline).is_some_and(|timeline| Some(timeline) < self.timeline)
    }

    /// The newest timeline that is known of the cluster which has answered.
    fn newest(&self, answer: &Answer) -> Option<u32> {
        let recorded = answer.system_identifier.and_then(|identifier| self.recorded.get(&identifier));
        self.timeline.max(recorded.copied())
    }

    fn on_primary(&mut self, id: NodeId, node: &NodeView) {
        let timeline = node.answer.as_ref().and_then(|answer| answer.timeline).or(self.timeline);
        if self.primary != Some(id) || self.timeline != timeline {
            self.history.clear();
        }
        self.primary = Some(id);
        self.timeline = timeline;
        if self.system_identifier.is_none() {
            self.system_identifier = node.answer.as_ref().and_then(|answer| answer.system_identifier);
        }
        let position = node.answer.as_ref().and_then(|answer| answer.position);
        if let (Some(at), Some(position)) = (node.answered_at, position) {
            self.history.note(at, position);
        }
    }

    fn condition(
        &self,
        id: NodeId,
        node: &NodeView,
        primary: Option<NodeId>,
        failures_max: u32,
    ) -> Condition {
        if node.is_down(failures_max) {
            return Condition::Down(node.reason.clone());
        }
        let Some(answer) = &node.answer else { return Condition::Unknown };
        if let (Some(shard), Some(own)) = (self.system_identifier, answer.system_identifier)
            && shard != own
        {
            return Condition::Stranger { own, shard };
        }
        match answer.duty {
            Duty::Replica => Condition::Replica,
            Duty::Primary if primary == Some(id) => Condition::Primary { timeline: answer.timeline },
            Duty::Primary
                if primary.is_some()
                    || answer.timeline.is_some() && answer.timeline < self.newest(answer) =>
            {
                Condition::Superseded { timeline: answer.timeline, newest: self.newest(answer) }
            }
            Duty::Primary => Condition::Unknown,
        }
    }

    fn standing(&self, id: NodeId, node: &NodeView, condition: &Condition, now: Instant) -> Standing {
        let role = condition.role();
        let superseded = matches!(condition, Condition::Superseded { .. });
        let answer = node.answer.as_ref();
        let position = answer.and_then(|answer| answer.position).unwrap_or_default();
        let (lag, lag_bytes) = match role {
            NodeRole::Primary => (Duration::ZERO, 0),
            // It follows an old primary, or has not got to the promotion: positions on two timelines do not compare.
            NodeRole::Replica if self.is_of_the_past(answer) => (LAG_UNKNOWN, 0),
            NodeRole::Replica => {
                let behind = self.history.newest().map_or(0, |newest| newest.0.saturating_sub(position.0));
                (self.history.lag(position, now), behind)
            }
            NodeRole::Unknown | NodeRole::Down => (LAG_UNKNOWN, 0),
        };
        let timeline = answer.and_then(|answer| answer.timeline).unwrap_or(0);
        let system_identifier = answer.and_then(|answer| answer.system_identifier);
        let round_trip = node.round_trip;
        Standing {
            node: id,
            role,
            superseded,
            timeline,
            system_identifier,
            position,
            lag,
            lag_bytes,
            round_trip,
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
