//! What the coordinators of this process share: who they are, which of their transactions are alive, where two phases work.
//!
//! One per process, behind an `Arc`: workers begin transactions in it, recovery looks up what is alive and notes which
//! shards are fit. Touched by transactions over several shards only, so a short lock does.
//!
//! Invariants:
//! 1. A gid is alive from before its first PREPARE until its coordinator has ended, also by panic or cancellation.
//! 2. A shard is fit only after its settings and its schema were looked at on its present primary.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::gid::{Gid, Proof};
use super::unfinished::Unfinished;
use crate::topology::{ShardId, ShardSet, Topology};
use crate::wire::error::{SqlError, SqlState};

/// Whether two-phase commit works on a shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fitness {
    /// Its primary has not been asked yet.
    #[default]
    Unknown,
    Fit,
    /// `max_prepared_transactions` is 0.
    PreparedTransactionsDisabled,
    /// The table and function for decisions are missing, or not ours; why.
    NoDecisions(String),
}

/// Why two-phase commit does not work on a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Without a stop.
    pub reason: String,
    /// What to do, as sentences.
    pub hint: &'static str,
}

impl Fitness {
    /// What stands in the way on the shard of this name.
    pub fn obstacle(&self, shard: &str) -> Option<Obstacle> {
        let (reason, hint) = match self {
            Self::Fit => return None,
            Self::Unknown => (
                format!("Shard \"{shard}\" has not been asked yet whether it can take part"),
                "Try again in a moment; SHOW NODES tells whether its primary is up.",
            ),
            Self::PreparedTransactionsDisabled => (
                format!("Prepared transactions are disabled on shard \"{shard}\""),
                "Set max_prepared_transactions to at least max_connections on its servers, and restart them.",
            ),
            Self::NoDecisions(why) => (
                format!("Decisions cannot be recorded on shard \"{shard}\": {why}"),
                "Make the account of [server] the owner of the database there, or GRANT CREATE ON DATABASE to it; the \
                 schema \"meridian_internal\" and what is in it must belong to that account or to a superuser.",
            ),
        };
        Some(Obstacle { reason, hint })
    }
}

#[derive(Debug)]
pub struct Registry {
    instance: u64,
    live: Mutex<HashSet<Gid>>,
    fitness: Mutex<Vec<Fitness>>,
    standing: Mutex<Standing>,
    pub unfinished: Unfinished,
}

/// What became of transactions over several shards since the start, and what waits now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub committed: u64,
    pub rolled_back: u64,
    /// The recorder was lost while it decided.
    pub in_doubt: u64,
    /// Parts that recovery has finished.
    pub recovered_committed: u64,
    pub recovered_rolled_back: u64,
    /// Transactions that recovery cannot finish yet.
    pub waiting: usize,
    /// Age of the oldest of these.
    pub oldest: Duration,
}

/// A transaction that is being coordinated; it is alive until this is dropped.
#[derive(Debug)]
pub struct Live<'a> {
    registry: &'a Registry,
    pub gid: Gid,
    pub proof: Proof,
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.registry.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.gid);
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            instance: rand::random(),
            live: Mutex::default(),
            fitness: Mutex::default(),
            standing: Mutex::default(),
            unfinished: Unfinished::default(),
        }
    }
}

impl Registry {
    /// Begins a transaction whose decision is recorded on the shard of this name; None if that cannot be part of a gid.
    pub fn begin(&self, recorder: &str) -> Option<Live<'_>> {
        let proof = Proof::new(rand::random());
        let gid = Gid::new(recorder, self.instance, &proof)?;
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(gid.clone());
        Some(Live { registry: self, gid, proof })
    }

    pub fn is_live(&self, gid: &Gid) -> bool {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).contains(gid)
    }

    pub fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an outcome, or what waits.
    pub fn note(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether the gid was made by this process.
    pub fn is_own(&self, gid: &Gid) -> bool {
        gid.instance() == Some(self.instance)
    }

    /// Notes what was found on a shard's primary; the answer is whether it is news.
    pub fn set_fitness(&self, shard: ShardId, fitness: Fitness) -> bool {
        let mut all = self.fitness.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::from(shard.0);
        if all.len() <= index {
            all.resize(index + 1, Fitness::Unknown);
        }
        let news = all[index] != fitness;
        all[index] = fitness;
        news
    }

    pub fn fitness(&self, shard: ShardId) -> Fitness {
        let all = self.fitness.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(usize::from(shard.0)).cloned().unwrap_or_default()
    }

    /// Refuses a transaction that is to write on these shards, if it could not be committed there. For one shard
    /// nothing is needed.
    pub fn check(&self, topology: &Topology, shards: ShardSet) -> Result<(), SqlError> {
        if shards.len() < 2 {
            return Ok(());
        }
        for shard in shards.iter() {
            if let Some(Obstacle { reason, hint }) = self.fitness(shard).obstacle(&topology.shard(shard).name)
            {
                let message = "a transaction that writes on several shards cannot be committed";
                let refusal = SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
                return Err(refusal.detail(format!("{reason}.")).hint(hint));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gid_is_alive_until_its_coordinator_ends() {
        let registry = Registry::default();
        let live = registry.begin("us-east").unwrap();
        let gid = live.gid.clone();
        assert!(registry.is_live(&gid) && registry.is_own(&gid));
        drop(live);
        assert!(!registry.is_live(&gid) && registry.is_own(&gid));
        assert!(!Registry::default().is_own(&gid));
    }

    #[test]
    fn an_obstacle_says_what_to_do() {
        assert_eq!(Fitness::Fit.obstacle("asia"), None);
        let obstacle =
            Fitness::NoDecisions("permission denied for database shop".to_owned()).obstacle("asia");
        let Some(Obstacle { reason, hint }) = obstacle else { panic!("an obstacle is expected") };
        let expected = "Decisions cannot be recorded on shard \"asia\": permission denied for database shop";
        assert_eq!(reason, expected);
        assert!(hint.contains("GRANT CREATE ON DATABASE"), "{hint}");
    }

    #[test]
    fn fitness_is_told_when_it_is_news() {
        let registry = Registry::default();
        assert_eq!(registry.fitness(ShardId(3)), Fitness::Unknown);
        assert!(registry.set_fitness(ShardId(3), Fitness::Fit));
        assert!(!registry.set_fitness(ShardId(3), Fitness::Fit));
        assert!(registry.set_fitness(ShardId(3), Fitness::PreparedTransactionsDisabled));
    }
}
