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
use crate::topology::{Consistency, Lsn, ShardId, WriteToken};

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

    /// Asks for the log position behind a write, if a later read of this session may care: the shard has replicas.
    pub(super) fn ask_position(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        let has_replicas = self.context.planning.topology.shard(lane.shard).nodes.len() > 1;
        if has_replicas && !lane.replica && self.own.consistency == Consistency::Session {
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
        if let Ok(drained) = drain(lane).await
            && let Some(position) = drained.position
        {
            let timeline = self.context.planning.topology.node(node).state.timeline();
            self.learn_position(shard, WriteToken { timeline, position });
        }
    }

    /// After a commit over several shards: the positions that later reads of this session must have seen.
    pub(super) async fn learn_positions(&mut self) {
        if self.own.consistency != Consistency::Session {
            return;
        }
        let topology = std::sync::Arc::clone(&self.context.planning.topology);
        let replicated = |shard| topology.shard(shard).nodes.len() > 1;
        let wrote = |lane: &&mut Lane| lane.in_block && lane.wrote && replicated(lane.shard);
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
            let timeline = topology.node(node).state.timeline();
            match position {
                Some(position) => self.learn_position(shard, WriteToken { timeline, position }),
                None => self.lose_position(shard),
            }
        }
    }
}
