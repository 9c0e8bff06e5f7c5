//! Finishes transactions over several shards that their coordinators have left behind, and clears old decisions away.
//!
//! Part of the control plane: `server` spawns [`Recovery::run`] once. At start, every few seconds, when a role has changed,
//! and again and again while a committed transaction is not applied everywhere, it looks at the prepared transactions of
//! every shard's primary:
//!
//! ```text
//!   a gid of ours, its coordinator not alive ─▶ ask the recorder's shard
//!       row 'commit' ─▶ COMMIT PREPARED
//!       row 'abort'  ─▶ ROLLBACK PREPARED
//!       no row       ─▶ INSERT 'abort', look again: the coordinator may have been faster
//! ```
//!
//! Coordinators of this process are known by name. Those of others (another Meridian, this one before it was killed) are
//! given [`FOREIGN_AGE_MIN`]; one that is slower finds the 'abort' row in its way and rolls back. What is recorded as committed
//! needs no such patience.
//!
//! `COMMIT PREPARED` must be run by the role that prepared the transaction, by a member of it (we SET ROLE), or by a
//! superuser: Meridian's own account must be one of these for every role that clients use.
//!
//! Invariants:
//! 1. Nothing is committed or rolled back before a row says so, durably, on the recorder's primary.
//! 2. A decision is removed only when no shard has a prepared transaction of that name, and all shards were asked.
//! 3. Every wait is bounded; a shard that cannot be reached delays only the transactions that it takes part in.
//!
//! Not here: choosing the decision of a transaction whose coordinator lives (`coordinator`).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;

use super::gid::Gid;
use super::registry::{Fitness, Obstacle, Registry};
use super::schema;
use super::unfinished::Part;
use crate::backend::settings::quote_identifier;
use crate::config::ServerSettings;
use crate::health::{ControlConnection, ControlError, connect, primary};
use crate::topology::{NodeId, ShardId, Signals, Topology};

const INTERVAL: Duration = Duration::from_secs(5);

/// The same while clients wait for a part of a committed transaction.
const HASTE: Duration = Duration::from_millis(100);

/// Age of a prepared transaction of an unknown coordinator before it counts as abandoned.
const FOREIGN_AGE_MIN: Duration = Duration::from_secs(10);

/// The same where it is recorded as committed: its coordinator is about to say so to its shards, or never will.
const DECIDED_AGE_MIN: Duration = Duration::from_secs(1);

/// Longest wait for one answer of a server; recovery's own lock waits are shorter.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// A coordinator's own insert may hold the row's key for a moment.
const SESSION: &str = "SET lock_timeout = '2s'";

const CLEAN_INTERVAL: Duration = Duration::from_secs(60);

/// How long rows are kept, and how many go at once. A replica that is promoted may bring back a prepared transaction that
/// its primary had finished, so rows outlive the second phase by far.
const CLEAN: &str = "
DELETE FROM meridian_internal.decisions WHERE gid IN (
  SELECT gid FROM meridian_internal.decisions
  WHERE decided_at < pg_catalog.now() - CASE outcome WHEN 'commit' THEN interval '1 hour' ELSE interval '1 day' END
    AND gid <> ALL (ARRAY[{prepared}]::pg_catalog.text[])
  LIMIT 10000)";

/// Names, owners, and age in milliseconds by the server's own clock.
const PREPARED: &str = "
SELECT gid, owner, (extract(epoch FROM pg_catalog.clock_timestamp() - prepared) * 1000)::pg_catalog.int8,
  owner = current_user
FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() AND gid LIKE 'meridian:%'";

/// The control plane's recovery over one topology.
#[derive(Debug)]
pub struct Recovery {
    topology: Arc<Topology>,
    signals: Arc<Signals>,
    server: ServerSettings,
    registry: Arc<Registry>,
    primaries: Vec<Option<ControlConnection>>,
    cleaned: Option<Instant>,
    /// Gids whose failure has been logged.
    told: HashSet<Gid>,
    looked: watch::Sender<bool>,
}

/// A part of a transaction that waits on a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Prepared {
    gid: Gid,
    shard: ShardId,
    owner: String,
    owned_by_us: bool,
    age: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Commit,
    Abort,
}

impl Recovery {
    pub fn new(
        topology: Arc<Topology>,
        signals: Arc<Signals>,
        server: ServerSettings,
        registry: Arc<Registry>,
    ) -> (Self, Looked) {
        let primaries = topology.shards.iter().map(|_| None).collect();
        let (looked, receiver) = watch::channel(false);
        let told = HashSet::new();
        (
            Self { topology, signals, server, registry, primaries, cleaned: None, told, looked },
            Looked(receiver),
        )
    }

    /// Works until it is dropped. Cancel safe: yes, every step stands by itself.
    pub async fn run(mut self) {
        let mut roles = self.signals.watch_roles();
        let registry = Arc::clone(&self.registry);
        let mut unfinished = registry.unfinished.watch();
        let begun = Instant::now();
        loop {
            roles.mark_unchanged();
            unfinished.mark_unchanged();
            // Primaries may not be known yet; a shard that has none is not waited for longer than this.
            let found = self.round().await;
            if found.is_some() || begun.elapsed() >= INTERVAL {
                self.looked.send_replace(true);
            }
            if let Some(prepared) = found
                && self.cleaned.is_none_or(|cleaned| cleaned.elapsed() >= CLEAN_INTERVAL)
            {
                self.clean(&prepared).await;
                self.cleaned = Some(Instant::now());
            }
            let interval = if registry.unfinished.is_empty() { INTERVAL } else { HASTE };
            tokio::select! {
                Ok(()) = roles.changed() => {}
                Ok(()) = unfinished.changed() => {}
                // Also where nobody tells of changes any more.
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// One look at everything; the answer is what is prepared, if every shard could be asked.
    async fn round(&mut self) -> Option<Vec<Prepared>> {
        let left = self.registry.unfinished.parts();
        let surveys = self.primaries.iter_mut().enumerate().map(|(index, primary)| {
            let shard = ShardId(index as u16);
            survey(&self.topology, &self.server, &self.registry, shard, primary)
        });
        let surveys = join_all(surveys).await;
        let complete = surveys.iter().all(Option::is_some);
        self.settle(left, &surveys);
        let prepared: Vec<_> = surveys.into_iter().flatten().flatten().collect();
        let mut abandoned: BTreeMap<Gid, Vec<Prepared>> = BTreeMap::new();
        for part in &prepared {
            if self.is_abandoned(part) || self.is_left_committed(part).await {
                abandoned.entry(part.gid.clone()).or_default().push(part.clone());
            }
        }
        self.told.retain(|gid| abandoned.contains_key(gid));
        for (gid, parts) in &abandoned {
            self.finish(gid, parts).await;
        }
        let waiting = abandoned.iter().filter(|(gid, _)| self.told.contains(*gid));
        let ages = waiting.clone().flat_map(|(_, parts)| parts.iter().map(|part| part.age));
        let (count, oldest) = (waiting.count(), ages.max().unwrap_or_default());
        self.registry.note(|standing| (standing.waiting, standing.oldest) = (count, oldest));
        complete.then_some(prepared)
    }

    /// What was left before the look, and was not there any more.
    fn settle(&self, left: Vec<Part>, surveys: &[Option<Vec<Prepared>>]) {
        let is_gone = |(shard, gid): &Part| {
            let found = surveys.get(usize::from(shard.0)).and_then(Option::as_ref);
            found.is_some_and(|prepared| prepared.iter().all(|part| part.gid != *gid))
        };
        let settled: Vec<Part> = left.into_iter().filter(is_gone).collect();
        if !settled.is_empty() {
            self.registry.unfinished.settle(&settled);
        }
    }

    fn is_abandoned(&self, part: &Prepared) -> bool {
        if self.registry.is_own(&part.gid) {
            !self.registry.is_live(&part.gid)
        } else {
            part.age >= FOREIGN_AGE_MIN
        }
    }

    /// Whether another coordinator's transaction is committed, by what is recorded, and this part of it has not been for a moment:
    /// its client may have been told long ago. What is not decided yet is left to its coordinator.
    async fn is_left_committed(&mut self, part: &Prepared) -> bool {
        // At the start nobody here has been told of its rows yet, nor must be told that they are not there.
        let grace = if *self.looked.borrow() { DECIDED_AGE_MIN } else { Duration::ZERO };
        if self.registry.is_own(&part.gid) || part.age < grace {
            return false;
        }
        let Some(index) = self.recorder(&part.gid) else { return false };
        let Some(primary) = &self.primaries[index] else { return false };
        match decided(primary, &part.gid).await {
            Ok(fate) => fate == Some(Fate::Commit),
            Err(error) => {
                self.forget_broken(index, &error);
                false
            }
        }
    }

    fn recorder(&self, gid: &Gid) -> Option<usize> {
        self.topology.shards.iter().position(|shard| gid.is_recorded_on(&shard.name))
    }

    async fn finish(&mut self, gid: &Gid, parts: &[Prepared]) {
        let Some(recorder) = self.recorder(gid) else {
            return self.tell(gid, "the shard that records its decision is not in the configuration");
        };
        let Some(primary) = &self.primaries[recorder] else {
            return self.tell(gid, "the shard that records its decision cannot be reached");
        };
        let fate = match fate(primary, gid).await {
            Ok(fate) => fate,
            Err(error) => {
                self.forget_broken(recorder, &error);
                return self.tell(gid, &error.to_string());
            }
        };
        for part in parts {
            let index = usize::from(part.shard.0);
            let Some(primary) = &self.primaries[index] else { continue };
            match apply(primary, part, fate).await {
                Ok(()) => {
                    self.registry.unfinished.settle(&[(part.shard, gid.clone())]);
                    self.registry.note(|standing| match fate {
                        Fate::Commit => standing.recovered_committed += 1,
                        Fate::Abort => standing.recovered_rolled_back += 1,
                    });
                    let shard = self.topology.shard(part.shard).name.as_str();
                    tracing::info!(%gid, shard, ?fate, "finished a prepared transaction that was left behind");
                }
                Err(error) => {
                    self.forget_broken(index, &error);
                    self.tell(gid, &error.to_string());
                }
            }
        }
    }

    /// A connection on which an answer did not come is not used again.
    fn forget_broken(&mut self, shard: usize, error: &ControlError) {
        if error.sqlstate().is_none() {
            self.primaries[shard] = None;
        }
    }

    /// Once for each gid while it waits.
    fn tell(&mut self, gid: &Gid, reason: &str) {
        if self.told.insert(gid.clone()) {
            tracing::error!(
                %gid,
                reason,
                "a prepared transaction was left behind and cannot be finished yet: it holds its locks until it is. \
                 COMMIT PREPARED and ROLLBACK PREPARED need the role that prepared it, a member of it, or a superuser"
            );
        }
    }

    async fn clean(&mut self, prepared: &[Prepared]) {
        let names: Vec<_> = prepared.iter().map(|part| format!("'{}'", part.gid)).collect();
        let sql = CLEAN.replace("{prepared}", &names.join(", "));
        for index in 0..self.primaries.len() {
            if self.registry.fitness(ShardId(index as u16)) != Fitness::Fit {
                continue;
            }
            let Some(primary) = &self.primaries[index] else { continue };
            if let Err(error) = primary.rows(&sql, ANSWER_TIME_MAX).await {
                tracing::warn!(%error, "old decisions could not be removed");
                self.forget_broken(index, &error);
            }
        }
    }
}

/// Resolves once every shard was looked at, or those that have a primary a few seconds after the start.
#[derive(Debug, Clone)]
pub struct Looked(watch::Receiver<bool>);

impl Looked {
    /// Cancel safe: yes. Ends too if recovery has ended.
    pub async fn wait(&mut self) {
        let _ = self.0.wait_for(|looked| *looked).await;
    }
}

/// What waits on a shard's primary; None if it could not be asked.
async fn survey(
    topology: &Topology,
    server: &ServerSettings,
    registry: &Registry,
    shard: ShardId,
    place: &mut Option<ControlConnection>,
) -> Option<Vec<Prepared>> {
    let present = primary(topology, shard);
    if place.as_ref().is_some_and(|primary| Some(primary.node) != present || primary.is_closed()) {
        *place = None;
    }
    let node = present?;
    match ask(topology, server, registry, node, place.take()).await {
        Ok((primary, prepared)) => {
            *place = Some(primary);
            Some(prepared)
        }
        Err(error) => {
            tracing::debug!(%error, "prepared transactions could not be asked for");
            None
        }
    }
}

async fn ask(
    topology: &Topology,
    server: &ServerSettings,
    registry: &Registry,
    node: NodeId,
    known: Option<ControlConnection>,
) -> Result<(ControlConnection, Vec<Prepared>), ControlError> {
    let shard = topology.node(node).shard;
    let is_new = known.is_none();
    let primary = match known {
        Some(primary) => primary,
        None => {
            let connection = connect(topology, node, server).await?;
            connection.rows(SESSION, ANSWER_TIME_MAX).await?;
            connection
        }
    };
    if is_new || registry.fitness(shard) != Fitness::Fit {
        let fitness = schema::prepare(&primary).await?;
        let name = topology.shard(shard).name.as_str();
        if registry.set_fitness(shard, fitness.clone())
            && let Some(Obstacle { reason, hint }) = fitness.obstacle(name)
        {
            tracing::warn!(
                shard = name,
                "transactions over several shards that write here are refused. {reason}. {hint}"
            );
        }
    }
    let rows = primary.rows(PREPARED, ANSWER_TIME_MAX).await?;
    let prepared = rows.iter().filter_map(|row| {
        let text = |column: usize| row.try_get(column).ok().flatten();
        let age = text(2)?.parse::<i64>().ok()?.max(0);
        Some(Prepared {
            gid: Gid::parse(text(0)?)?,
            shard,
            owner: text(1)?.to_owned(),
            owned_by_us: text(3) == Some("t"),
            age: Duration::from_millis(age.unsigned_abs()),
        })
    });
    let prepared = prepared.collect();
    Ok((primary, prepared))
}

/// What is recorded, if anything is.
async fn decided(recorder: &ControlConnection, gid: &Gid) -> Result<Option<Fate>, ControlError> {
    let look = format!("SELECT outcome FROM meridian_internal.decisions WHERE gid = '{gid}'");
    let rows = recorder.rows(&look, ANSWER_TIME_MAX).await?;
    let outcome = rows.first().and_then(|row| row.try_get(0).ok().flatten());
    Ok(outcome.map(|outcome| if outcome == "commit" { Fate::Commit } else { Fate::Abort }))
}

/// What has been decided; if nothing has been, it is decided now: abort.
async fn fate(recorder: &ControlConnection, gid: &Gid) -> Result<Fate, ControlError> {
    for attempt in 0..2 {
        match decided(recorder, gid).await? {
            Some(fate) => return Ok(fate),
            None if attempt == 0 => {
                let abort = format!(
                    "INSERT INTO meridian_internal.decisions (gid, outcome) VALUES ('{gid}', 'abort') ON CONFLICT DO NOTHING"
                );
                recorder.rows(&abort, ANSWER_TIME_MAX).await?;
            }
            None => {}
        }
    }
    Err(ControlError::Unreachable {
        address: recorder.address.clone(),
        reason: "a decision that was just recorded is not there".to_owned(),
    })
}

async fn apply(connection: &ControlConnection, part: &Prepared, fate: Fate) -> Result<(), ControlError> {
    let verb = match fate {
        Fate::Commit => "COMMIT",
        Fate::Abort => "ROLLBACK",
    };
    let sql = format!("{verb} PREPARED '{}'", part.gid);
    let as_owner = !part.owned_by_us;
    if as_owner {
        // Not a member: a superuser needs no SET ROLE, and anybody else is told by what follows.
        let set_role = format!("SET ROLE {}", quote_identifier(&part.owner));
        let set = connection.rows(&set_role, ANSWER_TIME_MAX).await;
        set.map(|_| ()).or_else(|error| error.sqlstate().map(|_| ()).ok_or(error))?;
    }
    let answer = connection.rows(&sql, ANSWER_TIME_MAX).await;
    if as_owner {
        connection.rows("RESET ROLE", ANSWER_TIME_MAX).await?;
    }
    match answer {
        Ok(_) => Ok(()),
        // Somebody else has finished it in between.
        Err(error) if error.sqlstate() == Some("42704") => Ok(()),
        Err(error) => Err(error),
    }
}
