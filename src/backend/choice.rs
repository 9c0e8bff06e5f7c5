//! Which node of a shard answers: allowed by consistency, then nearest, then least loaded. Pure.
//!
//! Reads the [`NodeState`] atomics once per node and decides. Every answer is safe when a
//! state is one probe old: a replica's replayed position only grows on one timeline, so "has replayed enough" stays
//! true; a role that has changed is found out when the server refuses, and the statement is retried.
//!
//! Invariants:
//! 1. A replica is chosen under `session` only if it has replayed the token on the token's timeline or a later one.
//! 2. A node that is down, or that an operator has disabled, is never chosen.
//! 3. `strong` and writes go to the primary only.

use std::time::Duration;

use crate::topology::{Consistency, NodeId, NodeRole, NodeState, ShardId, Topology, WriteToken};

/// Everything that decides which node may answer a read.
#[derive(Debug, Clone, Copy)]
pub struct ReadPolicy {
    pub consistency: Consistency,
    pub max_lag: Duration,
    /// None: this session has written nothing to the shard.
    pub token: Option<WriteToken>,
}

/// The primary as the last probe saw it.
pub fn primary(topology: &Topology, shard: ShardId) -> Option<NodeId> {
    let is_primary = |state: &NodeState| state.role() == NodeRole::Primary && !state.is_disabled();
    topology.shard(shard).nodes.iter().copied().find(|n| is_primary(&topology.node(*n).state))
}

/// The best node for a read; None if neither a fitting replica nor a primary is known. `avoid` are nodes that have
/// just failed this very read.
pub fn reader(
    topology: &Topology,
    shard: ShardId,
    policy: &ReadPolicy,
    nearest_first: &[NodeId],
    avoid: &[NodeId],
) -> Option<NodeId> {
    if policy.consistency == Consistency::Strong {
        return primary(topology, shard).filter(|n| !avoid.contains(n));
    }
    let mut best: Option<(usize, bool, u32, NodeId)> = None;
    let mut rank = 0;
    let mut last_region = None;
    for id in nearest_first {
        let node = topology.node(*id);
        if last_region.is_some_and(|region| region != node.region) {
            rank += 1;
        }
        last_region = Some(node.region);
        if avoid.contains(id) || !may_read(topology, *id, policy) {
            continue;
        }
        // Of servers equally near a replica is taken: the primary has the writes to do.
        let primary = node.state.role() == NodeRole::Primary;
        let load = node.state.in_use();
        if best.is_none_or(|(r, p, l, _)| (rank, primary, load) < (r, p, l)) {
            best = Some((rank, primary, load, *id));
        }
    }
    best.map(|(_, _, _, id)| id)
}

fn may_read(topology: &Topology, id: NodeId, policy: &ReadPolicy) -> bool {
    let state = &topology.node(id).state;
    if state.is_disabled() {
        return false;
    }
    match state.role() {
        NodeRole::Primary => true,
        NodeRole::Unknown | NodeRole::Down => false,
        NodeRole::Replica => {
            if state.lag() > policy.max_lag {
                return false;
            }
            match (policy.consistency, policy.token) {
                (Consistency::Strong, _) => false,
                (Consistency::Eventual, _) | (Consistency::Session, None) => true,
                (Consistency::Session, Some(token)) => {
                    state.timeline() >= token.timeline && state.position() >= token.position
                }
            }
        }
    }
}
