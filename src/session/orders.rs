//! What an operator has told the running process: shards that pause, connections that are to be made anew.
//!
//! The console gives the orders, sessions and workers follow them. Nodes that are disabled are noted in their own state
//! (`NodeState::is_disabled`), clients that must go in their [`ClientInfo`](super::shared::ClientInfo).
//!
//! Invariants:
//! 1. A paused shard gets no new transaction; those that are on it already go on to their end.
//! 2. While nothing is paused, a statement pays one relaxed load for it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::topology::{ShardId, ShardSet};

#[derive(Debug)]
pub struct Orders {
    any_paused: AtomicBool,
    paused: Mutex<ShardSet>,
    /// Numbers the changes of `paused`.
    changes: watch::Sender<u64>,
    /// Numbers the orders to make connections anew.
    pub reconnects: watch::Sender<u64>,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            any_paused: AtomicBool::new(false),
            paused: Mutex::new(ShardSet::EMPTY),
            changes: watch::Sender::new(0),
            reconnects: watch::Sender::new(0),
        }
    }
}

impl Orders {
    pub fn paused(&self) -> ShardSet {
        self.paused.lock().map(|paused| *paused).unwrap_or(ShardSet::EMPTY)
    }

    pub fn pause(&self, shards: ShardSet) {
        self.change(|paused| paused.union(shards));
    }

    pub fn resume(&self, shards: ShardSet) {
        self.change(|paused| paused.iter().filter(|shard| !shards.contains(*shard)).collect());
    }

    fn change(&self, change: impl FnOnce(ShardSet) -> ShardSet) {
        if let Ok(mut paused) = self.paused.lock() {
            *paused = change(*paused);
            self.any_paused.store(!paused.is_empty(), Ordering::Release);
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// Whether a new transaction must wait before it goes to this shard.
    pub fn is_paused(&self, shard: ShardId) -> bool {
        self.any_paused.load(Ordering::Relaxed) && self.paused().contains(shard)
    }

    /// Returns when the shard is not paused. Cancel safe: yes.
    pub async fn await_resumed(&self, shard: ShardId) {
        let mut changes = self.changes.subscribe();
        while self.is_paused(shard) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_paused_and_resumed_one_by_one() {
        let orders = Orders::default();
        orders.pause(ShardSet::one(ShardId(1)));
        orders.pause(ShardSet::one(ShardId(2)));
        orders.resume(ShardSet::one(ShardId(1)));
        assert!(
            !orders.is_paused(ShardId(0)) && !orders.is_paused(ShardId(1)) && orders.is_paused(ShardId(2))
        );
        orders.resume(ShardSet::one(ShardId(2)));
        assert!(!orders.is_paused(ShardId(2)));
    }
}
