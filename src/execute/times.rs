//! How long each shard took for one statement over several: from what was sent to it until it was ready again.
//!
//! Filled by whoever asks several shards (`scatter::run`, and `session` for what runs on every shard and for commits), read by
//! the log of slow statements. A statement for one shard has none of this: its time is the shard's.
//!
//! Invariants:
//! 1. A shard that was asked several times stands here once, with the sum; so does the scratch session.

use std::time::Duration;

use crate::topology::{ShardId, Topology};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardTimes {
    shards: Vec<(ShardId, Duration)>,
    scratch: Duration,
}

impl ShardTimes {
    pub fn add(&mut self, shard: ShardId, time: Duration) {
        match self.shards.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, sum)) => *sum += time,
            None => self.shards.push((shard, time)),
        }
    }

    /// Of the session that answers from gathered rows, which is not the shard's own answer.
    pub fn add_scratch(&mut self, time: Duration) {
        self.scratch += time;
    }

    pub fn merge(&mut self, other: &ShardTimes) {
        other.shards.iter().for_each(|(shard, time)| self.add(*shard, *time));
        self.scratch += other.scratch;
    }

    /// `us-east=12.3 us-west=80.1 scratch=5.0`, in milliseconds and in the order of the shards.
    pub fn printed(&self, topology: &Topology) -> String {
        let mut shards = self.shards.clone();
        shards.sort_by_key(|(shard, _)| *shard);
        let named = shards.iter().map(|(shard, time)| (topology.shard(*shard).name.as_str(), *time));
        let scratch = Some(("scratch", self.scratch)).filter(|(_, time)| !time.is_zero());
        let pairs: Vec<String> = named
            .chain(scratch)
            .map(|(name, time)| format!("{name}={:.1}", time.as_secs_f64() * 1000.0))
            .collect();
        pairs.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_stands_once_with_the_sum_of_its_times() {
        let mut times = ShardTimes::default();
        times.add(ShardId(2), Duration::from_millis(5));
        times.add(ShardId(0), Duration::from_millis(1));
        let mut more = ShardTimes::default();
        more.add(ShardId(2), Duration::from_millis(7));
        more.add_scratch(Duration::from_millis(3));
        times.merge(&more);
        let (two, zero) = ((ShardId(2), Duration::from_millis(12)), (ShardId(0), Duration::from_millis(1)));
        assert_eq!((times.shards, times.scratch), (vec![two, zero], Duration::from_millis(3)));
    }
}
