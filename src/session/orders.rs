//! What an operator has told the running process: shards that pause, connections that are to be made anew.
//!
//! The console gives the orders, sessions and workers follow them. Nodes that are disabled are noted in their own state
//! (`NodeState::is_disabled`), clients that must go in their [`ClientInfo`](super::shared::ClientInfo).
//!
//! Invariants:
//! 1. A paused shard gets nothing of a transaction that has begun after it was paused; those that had begun before, wherever,
//!    go on to their end.
//! 2. While nothing is paused, a statement pays one relaxed load for it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

use crate::topology::{ShardId, ShardSet};

#[derive(Debug)]
pub struct Orders {
    any_paused: AtomicBool,
    /// Each with the number of its pause.
    paused: Mutex<BTreeMap<ShardId, u64>>,
    /// Pauses so far.
    pauses: AtomicU64,
    /// Numbers the changes of `paused`.
    changes: watch::Sender<u64>,
    /// Numbers the orders to make connections anew.
    pub reconnects: watch::Sender<u64>,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            any_paused: AtomicBool::new(false),
            paused: Mutex::default(),
            pauses: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            reconnects: watch::Sender::new(0),
        }
    }
}

impl Orders {
    pub fn paused(&self) -> ShardSet {
        self.paused.lock().map(|paused| paused.keys().copied().collect()).unwrap_or(ShardSet::EMPTY)
    }

    pub fn pause(&self, shards: ShardSet) {
        let number = self.pauses.fetch_add(1, Ordering::AcqRel) + 1;
        self.change(|paused| {
            for shard in shards.iter() {
                paused.entry(shard).or_insert(number);
            }
        });
    }

    pub fn resume(&self, shards: ShardSet) {
        self.change(|paused| paused.retain(|shard, _| !shards.contains(*shard)));
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<ShardId, u64>)) {
        if let Ok(mut paused) = self.paused.lock() {
            change(&mut paused);
            self.any_paused.store(!paused.is_empty(), Ordering::Release);
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// What a transaction notes that begins now.
    pub fn moment(&self) -> u64 {
        self.pauses.load(Ordering::Acquire)
    }

    /// Whether a transaction that began at that moment must wait before it goes to this shard.
    pub fn is_paused_since(&self, shard: ShardId, moment: u64) -> bool {
        let earlier =
            |paused: &BTreeMap<ShardId, u64>| paused.get(&shard).is_some_and(|number| *number <= moment);
        self.any_paused.load(Ordering::Relaxed) && self.paused.lock().is_ok_and(|paused| earlier(&paused))
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
