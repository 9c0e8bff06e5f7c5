//! Parts of committed transactions that a shard has not applied yet: it was lost between the decision and its `COMMIT PREPARED`.
//!
//! The client has been told "committed", so whatever is asked of such a shard waits until recovery has caught up: a shard
//! that comes back at once would answer without the rows. [`commit`](super::commit) notes the parts, recovery settles them,
//! sessions wait (`session/servers.rs`). While nothing is left, as nearly always, a statement looks at one atomic.
//!
//! Invariants:
//! 1. A part is noted before its client is told.
//! 2. A part is settled only by a look at the shard's primary that began after it was noted.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use super::gid::Gid;
use crate::topology::ShardId;

/// A transaction's part on one shard.
pub type Part = (ShardId, Gid);

#[derive(Debug)]
pub struct Unfinished {
    count: AtomicUsize,
    parts: watch::Sender<Vec<Part>>,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self { count: AtomicUsize::new(0), parts: watch::Sender::new(Vec::new()) }
    }
}

impl Unfinished {
    pub fn note(&self, shard: ShardId, gid: Gid) {
        self.parts.send_modify(|parts| {
            parts.push((shard, gid));
            self.count.store(parts.len(), Ordering::Release);
        });
    }

    pub fn settle(&self, settled: &[Part]) {
        self.parts.send_if_modified(|parts| {
            let before = parts.len();
            parts.retain(|part| !settled.contains(part));
            self.count.store(parts.len(), Ordering::Release);
            parts.len() != before
        });
    }

    /// All that is left now.
    pub fn parts(&self) -> Vec<Part> {
        self.parts.borrow().clone()
    }

    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub fn is_on(&self, shard: ShardId) -> bool {
        !self.is_empty() && is_among(&self.parts.borrow(), shard)
    }

    /// Resolves once nothing is left on the shard. Cancel safe: yes.
    pub async fn await_applied(&self, shard: ShardId) {
        // The sender lives as long as this.
        let _ = self.parts.subscribe().wait_for(|parts| !is_among(parts, shard)).await;
    }

    /// Resolves with the next change.
    pub(super) fn watch(&self) -> watch::Receiver<Vec<Part>> {
        self.parts.subscribe()
    }
}

fn is_among(parts: &[Part], shard: ShardId) -> bool {
    parts.iter().any(|(on, _)| *on == shard)
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;

    #[tokio::test]
    async fn a_shard_is_waited_for_until_its_last_part_is_settled() {
        let registry = Registry::default();
        let (first, second) =
            (registry.begin("a").unwrap().gid.clone(), registry.begin("a").unwrap().gid.clone());
        let unfinished = &registry.unfinished;
        unfinished.note(ShardId(1), first.clone());
        unfinished.note(ShardId(1), second.clone());
        assert!(unfinished.is_on(ShardId(1)) && !unfinished.is_on(ShardId(0)));
        unfinished.await_applied(ShardId(0)).await;
        unfinished.settle(&[(ShardId(1), first), (ShardId(0), second.clone())]);
        assert!(unfinished.is_on(ShardId(1)));
        let (settled, ()) = tokio::join!(
            async {
                tokio::task::yield_now().await;
                unfinished.settle(&[(ShardId(1), second)]);
                unfinished.is_empty()
            },
            unfinished.await_applied(ShardId(1)),
        );
        assert!(settled);
    }
}
