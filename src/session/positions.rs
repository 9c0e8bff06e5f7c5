//! Up to where the session has written: positions in the logs of the shards' primaries, which a replica must have replayed
//! before the session reads from it.
//!
//! Asked for behind every write (`simple`, `pipeline`, `control`, `copy`), kept in [`Session::tokens`], read by `servers`.
//!
//! Invariants:
//! 1. Behind a write whose position is not known, no replica is known to have it: the shard's primary is read until there
//!    is one.

use super::Session;
use crate::execute::drain::drain;
use crate::execute::lane::{Hidden, Lane, POSITION_QUERY};
use crate::topology::{Consistency, Lsn, NodeId, ShardId, ShardSet, WriteToken};

impl Session {
    pub(super) fn learn_position(&mut self, shard: ShardId, token: WriteToken) {
        if let Some(known) = self.tokens.get_mut(usize::from(shard.0)) {
            *known = Some(token);
        }
    }

    /// Something was written there, perhaps, and nobody has said up to where: no replica is known to have it.
    pub(super) fn lose_position(&mut self, shard: ShardId) {
        self.learn_position(shard, WriteToken { timeline: u32::MAX, position: Lsn(u64::MAX) });
    }

    /// What the primary has answered, if it has.
    pub(super) fn note_position(&mut self, shard: ShardId, node: NodeId, position: Option<Lsn>) {
        let timeline = self.context.planning.topology.node(node).state.timeline();
        match position {
            Some(position) => self.learn_position(shard, WriteToken { timeline, position }),
            None => self.lose_position(shard),
        }
    }

    /// Whether a later read of this session may care up to where the shard was written: it has replicas.
    pub(super) fn minds_position(&self, shard: ShardId) -> bool {
        let has_replicas = self.context.planning.topology.shard(shard).nodes.len() > 1;
        has_replicas && self.own.consistency == Consistency::Session
    }

    /// Asks for the log position behind a write, if a later read may care.
    pub(super) fn ask_position(&mut self, index: usize) {
        let minds = self.minds_position(self.lanes[index].shard);
        let lane = &mut self.lanes[index];
        if minds && !lane.replica {
            lane.hidden_query(POSITION_QUERY, Hidden::Position);
        }
    }

    /// The position behind a COPY FROM, which could not be asked for with it.
    pub(super) async fn ask_position_now(&mut self, index: usize) {
        self.ask_position(index);
        let lane = &mut self.lanes[index];
        if lane.owed.is_empty() {
            return;
        }
        let (shard, node) = (lane.shard, lane.connection.node);
        let position = drain(lane).await.ok().and_then(|drained| drained.position);
        self.note_position(shard, node, position);
    }

    /// After a commit over several shards: the positions that later reads of this session must have seen.
    pub(super) async fn learn_positions(&mut self) {
        let minded = self.lanes.iter().map(|lane| lane.shard).filter(|shard| self.minds_position(*shard));
        let minded: ShardSet = minded.collect();
        let wrote = |lane: &&mut Lane| lane.in_block && lane.wrote && minded.contains(lane.shard);
        let asked: Vec<_> = self.lanes.iter_mut().filter(wrote).collect();
        let places: Vec<_> = asked.iter().map(|lane| (lane.shard, lane.connection.node)).collect();
        let answers = futures_util::future::join_all(asked.into_iter().map(async |lane| {
            // Its COMMIT PREPARED has not been answered.
            if lane.connection.broken {
                return None;
            }
            lane.hidden_query(POSITION_QUERY, Hidden::Position);
            drain(lane).await.ok()?.position
        }))
        .await;
        for ((shard, node), position) in places.into_iter().zip(answers) {
            self.note_position(shard, node, position);
        }
    }
}
