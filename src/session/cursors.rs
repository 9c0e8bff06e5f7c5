//! SQL's cursors, which PostgreSQL also knows as portals: where each is open, and CLOSE.
//!
//! Called by `perform`. DECLARE opens a cursor on one shard, Bind a portal; FETCH and CLOSE name either.
//!
//! Invariants:
//! 1. FETCH and CLOSE go to the shard that has the cursor or portal; CLOSE ALL to every server of the transaction.
//! 2. What is closed is forgotten here, so that its name may be used again on any shard.
//!
//! Not here: Close messages (`extended`), the end of a transaction (`control`).

use super::perform::Work;
use super::planning::Planned;
use super::portals::Home;
use super::{Outcome, Session};
use crate::topology::ShardId;

impl Session {
    /// Where the transaction's cursor of that name is open; an unknown one is for a server to deny.
    pub(super) fn cursor_shard(&self, name: &str) -> ShardId {
        let joined = self.lanes.iter().find(|lane| lane.in_block).map(|lane| lane.shard);
        let bound = || match self.portals.home(name) {
            Some(Home::Shard(shard)) => Some(shard),
            Some(Home::Session) | None => None,
        };
        // WITH HOLD, of an earlier transaction.
        let held = self.pin.map(|_| self.default_shard());
        self.cursors.get(name).copied().or_else(bound).or(held).or(joined).unwrap_or(self.default_shard())
    }

    /// Where a cursor may be open that was not seen to be declared: WITH HOLD by a pinned session, or in the transaction, by
    /// a function or by a query that is not parsed. The server knows its name, or denies it. A portal without a name is no
    /// cursor; it would be of a question of ours.
    pub(super) fn unseen_cursor_shard(&self, name: &[u8]) -> Option<ShardId> {
        if self.block.is_failed() || name.is_empty() {
            return None;
        }
        let joined = self.lanes.iter().find(|lane| lane.in_block).map(|lane| lane.shard);
        self.pin.map(|_| self.default_shard()).or(joined)
    }

    pub(super) async fn close_cursor(&mut self, planned: &Planned, name: &str, work: Work<'_>) -> Outcome {
        if let Some(number) = self.held.cursor(name) {
            self.close_held(number);
            self.tell_no_data(work);
            self.complete("CLOSE CURSOR");
            return Ok(());
        }
        match self.portals.home(name) {
            Some(Home::Session) if !self.cursors.contains_key(name) => {
                self.tell_no_data(work);
                self.complete("CLOSE CURSOR");
            }
            _ => {
                let shard = self.cursor_shard(name);
                self.perform_on(planned, work, shard).await?;
            }
        }
        self.cursors.remove(name);
        if let Some(portal) = self.portals.close(name) {
            self.close_held(portal);
        }
        Ok(())
    }

    /// Whether a cursor of SQL's has the name where the server that a new portal goes to does not see it.
    pub(super) fn is_declared(&self, name: &[u8], home: Home) -> bool {
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| !name.is_empty()) else { return false };
        let elsewhere = self.cursors.get(name).is_some_and(|shard| home != Home::Shard(*shard));
        elsewhere || self.held.cursor(name).is_some()
    }

    /// Whether a cursor or portal has the name where the server to which DECLARE goes does not see it.
    pub(super) fn is_taken_elsewhere(&self, name: &str, shard: ShardId) -> bool {
        let bound = self.portals.home(name).is_some_and(|home| home != Home::Shard(shard));
        bound || self.is_declared(name.as_bytes(), Home::Shard(shard))
    }

    /// CLOSE ALL, on every server that may have a cursor or portal of the session's.
    pub(super) async fn close_cursors(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        self.cursors.clear();
        self.portals.clear();
        self.close_all_held();
        let others = self.lanes.iter().any(|lane| lane.in_block && lane.shard != self.default_shard());
        if !others || self.pin.is_some() {
            self.perform_on(planned, work, self.default_shard()).await?;
        }
        if others {
            self.on_joined_lanes("CLOSE ALL").await?;
        }
        if others && self.pin.is_none() {
            self.tell_no_data(work);
            self.complete("CLOSE CURSOR ALL");
        }
        Ok(())
    }
}
