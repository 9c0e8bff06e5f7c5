//! Pipelines that a Flush has left open on a server: ended, undone, or made a block of ours.
//!
//! Called by `pipeline`, `extended`, `simple` and `control` before what does not go on with one of them on its server.
//!
//! Invariants:
//! 1. What a pipeline has written is in one transaction with what follows up to the client's Sync, or undone by an error.
//! 2. Its named portals are there up to that Sync, whichever servers are asked meanwhile; the unnamed one is refused where it
//!    would not be.

use super::batch::{Batch, Message, Place, Segment};
use super::{End, Failure, Outcome, Session};
use crate::execute::drain::drain;
use crate::execute::refusals;
use crate::topology::ShardId;
use crate::wire::backend::TransactionStatus;

impl Session {
    /// Ends pipelines that the client's Sync should have ended; a lane that does not answer is closed.
    pub(super) async fn close_open_pipelines(&mut self) {
        let mut asides = Vec::new();
        for lane in self.lanes.iter_mut().filter(|lane| lane.open_pipeline) {
            lane.sync(true);
            lane.open_pipeline = false;
            asides.extend(drain(lane).await.into_iter().flat_map(|drained| drained.asides));
        }
        self.pass_reports(&asides);
    }

    /// What a pipeline has done up to a Flush is undone, by a ROLLBACK or an error of ours before its Sync. A lane that is lost
    /// has undone it.
    pub(super) async fn undo_open_pipelines(&mut self) -> Result<(), End> {
        while let Some(index) = self.written_pipeline() {
            let lane = &mut self.lanes[index];
            lane.pipeline("ROLLBACK");
            lane.wrote = false;
            if let Err(Failure::End(end)) = self.end_pipeline(index).await {
                return Err(end);
            }
        }
        Ok(())
    }

    /// Before a Query in the place of Sync, or BEGIN: what a pipeline has done so far is in one transaction with it.
    pub(super) async fn take_up_open_pipelines(&mut self) -> Result<(), Failure> {
        while let Some(index) = self.written_pipeline() {
            self.take_up_pipeline(index).await?;
        }
        self.close_open_pipelines().await;
        Ok(())
    }

    /// Before other servers: what a pipeline has written, and its named portals, are there as long as its transaction. The unnamed
    /// one is not, if the batch has no other.
    pub(super) async fn take_up_for_others(&mut self, batch: &Batch) -> Outcome {
        self.portals.lose_unnamed_before(batch.first_portal);
        while let Some(index) = (0..self.lanes.len()).find(|index| self.has_what_stays(*index)) {
            self.take_up_pipeline(index).await?;
        }
        Ok(())
    }

    /// A lane whose pipeline was left open, with something that is to be there up to the client's Sync.
    fn has_what_stays(&self, index: usize) -> bool {
        let lane = &self.lanes[index];
        let stays = || lane.wrote || self.has_named_portals(index);
        lane.open_pipeline && !lane.in_block && stays()
    }

    fn has_named_portals(&self, index: usize) -> bool {
        self.portals.has_named_on(self.lanes[index].shard)
    }

    /// Makes a block of ours of what a pipeline has done. Its unnamed portal goes with that.
    async fn take_up_pipeline(&mut self, index: usize) -> Outcome {
        self.lanes[index].pipeline("BEGIN");
        self.portals.lose_unnamed();
        self.end_pipeline(index).await?;
        let lane = &mut self.lanes[index];
        if lane.connection.status == TransactionStatus::InTransaction {
            lane.set_in_block(true);
            if !self.block.is_open() {
                self.begin_implicit();
            }
        }
        Ok(())
    }

    /// A lane whose pipeline was left open behind writes that no block has around them.
    pub(super) fn written_pipeline(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.open_pipeline && lane.wrote && !lane.in_block)
    }

    /// A lane whose pipeline was left open, and that no block is around.
    fn open_pipeline(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.open_pipeline && !lane.in_block)
    }

    /// A Flush has left a pipeline open, and the batch is not for its server alone, nor for nobody.
    pub(super) fn leaves_pipeline(&self, batch: &Batch) -> bool {
        let Some(index) = self.open_pipeline() else { return false };
        let shard = self.lanes[index].shard;
        match &batch.segments[..] {
            [Segment { place: Place::Shard(place), .. }] => place.shard != shard,
            [segment] => !batch.messages(segment).iter().all(Message::asks_nobody),
            _ => true,
        }
    }

    /// A Flush left a pipeline open on another shard: it ends here, unless it has written something.
    pub(super) async fn leave_other_pipelines(&mut self, shard: ShardId) -> Result<(), Failure> {
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            if !lane.open_pipeline || lane.shard == shard {
                continue;
            }
            if lane.wrote && !lane.in_block {
                return Err(Failure::Sql(refusals::PIPELINE_OVER_SHARDS.error(&[])));
            }
            self.end_pipeline(index).await?;
        }
        Ok(())
    }

    /// Ends the pipeline that a Flush has left open on a lane, if there is one. A lane that is lost leaves the session.
    pub(super) async fn end_pipeline(&mut self, index: usize) -> Result<(), Failure> {
        let lane = &mut self.lanes[index];
        if std::mem::take(&mut lane.open_pipeline) {
            lane.sync(true);
            let drained = self.drain_lane(index).await?;
            self.pass_reports(&drained.asides);
        }
        Ok(())
    }
}
