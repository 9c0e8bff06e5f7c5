//! Keeps the catalog snapshot true: loads it from the shards' primaries, compares them, polls for changes.
//!
//! Other Meridians before the same servers are told of DDL through the default shard's primary (NOTIFY), so that they need
//! not wait for their next poll; a moment passes all the same in which they plan by what was true before.
//!
//! Spawned by `server` through [`CatalogService::run`]. Sessions ask for a load after DDL
//! ([`crate::catalog::CatalogHandle::refresh`]); what others change on the servers is found by a fingerprint per shard.
//!
//! ```text
//!   request (coalesced) ─┐
//!   fingerprint changed ─┼─▶ load all shards at once ─▶ compare ─▶ swap the snapshot ─▶ log what is news ─▶ answer
//!   a primary appeared ──┘
//! ```
//!
//! Invariants:
//! 1. A request is answered by a load that began after it was made; requests that wait together share one.
//! 2. Without the default shard there is no new snapshot: the old one stays, and requests are told why.
//! 3. A shard that cannot be read does not hold the others up; it is read as soon as it can be.
//! 4. A difference between shards, or between them and the configuration, is logged when it appears, not at every load.
//!
//! Not here: what is read and compared (`catalog`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::connect::{ControlConnection, connect_primary, primary};
use crate::catalog::{
    self, Catalog, CatalogHandle, CatalogParts, CatalogReader, Numbers, Objects, RefreshRequest, Severity,
};
use crate::config::{HealthSettings, ServerSettings};
use crate::topology::{Lsn, ShardId, Signals, Topology, WriteToken};

/// For everything that one shard's catalogs hold.
const LOAD_TIME_MAX: Duration = Duration::from_secs(30);

/// Where Meridians tell each other that definitions have changed; the payload says who.
const CHANNEL: &str = "meridian_definitions";

/// For one fingerprint.
const POLL_TIME_MAX: Duration = Duration::from_secs(5);

/// Resolves once a first snapshot is in force.
#[derive(Debug, Clone)]
pub struct Loaded(watch::Receiver<bool>);

impl Loaded {
    /// Whether it was there within `bound`. Cancel safe: yes.
    pub async fn wait(&mut self, bound: Duration) -> bool {
        matches!(timeout(bound, self.0.wait_for(|loaded| *loaded)).await, Ok(Ok(_)))
    }
}

/// The catalog's part of the control plane, over one topology.
#[derive(Debug)]
pub struct CatalogService {
    topology: Arc<Topology>,
    handle: Arc<CatalogHandle>,
    signals: Arc<Signals>,
    server: ServerSettings,
    interval: Duration,
    shards: Vec<ShardCatalog>,
    version: u64,
    told: BTreeSet<String>,
    loaded: watch::Sender<bool>,
    /// What this service is called among those that are told.
    name: String,
}

/// What is kept of one shard between loads.
#[derive(Debug, Default)]
struct ShardCatalog {
    asked: Option<Asked>,
    /// As of the last load; None: it has not been read.
    fingerprint: Option<u64>,
    /// The last load could not show everything.
    incomplete: bool,
    /// As of the last load that succeeded.
    objects: Option<Arc<Objects>>,
    /// Behind the last change of the definitions, if there was one since the first load.
    defined_at: Option<WriteToken>,
}

/// A connection that is asked again and again.
#[derive(Debug)]
struct Asked {
    connection: ControlConnection,
    reader: CatalogReader,
}

impl CatalogService {
    pub fn new(
        topology: Arc<Topology>,
        handle: Arc<CatalogHandle>,
        signals: Arc<Signals>,
        server: ServerSettings,
        health: &HealthSettings,
    ) -> (Self, Loaded) {
        let (loaded, receiver) = watch::channel(false);
        let shards = topology.shards.iter().map(|_| ShardCatalog::default()).collect();
        let version = handle.current().version;
        let interval = health.catalog_interval;
        let (told, name) = (BTreeSet::new(), rand::random::<u64>().to_string());
        let service =
            Self { topology, handle, signals, server, interval, shards, version, told, loaded, name };
        (service, Loaded(receiver))
    }

    /// Serves until nobody can ask any more. Cancel safe: yes; requests that wait are told that nobody serves them.
    pub async fn run(mut self, requests: &mut mpsc::Receiver<RefreshRequest>) {
        let mut roles = self.signals.watch_roles();
        let mut due = Instant::now();
        let default = usize::from(self.topology.default_shard.0);
        loop {
            tokio::select! {
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    let mut waiting = vec![request];
                    while let Ok(request) = requests.try_recv() {
                        waiting.push(request);
                    }
                    self.tell_others().await;
                    let outcome = self.load().await;
                    for request in waiting {
                        // Who has gone needs no answer.
                        let _ = request.send(outcome.clone());
                    }
                }
                () = hear_of_others(&mut self.shards[default], &self.name) => self.poll().await,
                () = sleep_until(due) => {
                    self.poll().await;
                    due = Instant::now() + self.interval;
                }
                Ok(()) = roles.changed() => {
                    if self.shards.iter().any(|shard| shard.fingerprint.is_none()) {
                        self.poll().await;
                    }
                }
            }
        }
    }

    /// A client of ours has changed definitions. Who cannot be told finds it out by polling.
    async fn tell_others(&mut self) {
        let place = &mut self.shards[usize::from(self.topology.default_shard.0)].asked;
        let Some(asked) = place else { return };
        let notify = format!("NOTIFY {CHANNEL}, '{}'", self.name);
        if let Err(error) = asked.connection.rows(&notify, POLL_TIME_MAX).await {
            tracing::debug!(%error, "other Meridians cannot be told of DDL");
            *place = None;
        }
    }

    /// Loads if some shard's catalogs have changed, or could not be read before.
    async fn poll(&mut self) {
        let (topology, server) = (&self.topology, &self.server);
        let shards = self.shards.iter_mut().enumerate();
        let asked = shards.map(|(index, shard)| shard.is_outdated(topology, server, ShardId(index as u16)));
        let changed = join_all(asked).await.contains(&true);
        if changed && let Err(reason) = self.load().await {
            tracing::warn!(reason, "the catalog cannot be loaded");
        }
    }

    async fn load(&mut self) -> Result<(), String> {
        let (topology, server) = (&self.topology, &self.server);
        let before: Vec<_> = self.shards.iter().map(|shard| shard.fingerprint).collect();
        let loads = self.shards.iter_mut().enumerate().map(|(index, shard)| async move {
            let loaded = shard.load(topology, server, ShardId(index as u16)).await;
            shard.fingerprint = loaded.as_ref().ok().map(|parts| parts.fingerprint);
            if let Ok(parts) = &loaded {
                shard.incomplete = parts.incomplete;
                shard.objects = Some(Arc::clone(&parts.objects));
            }
            loaded
        });
        let mut parts: Vec<(ShardId, CatalogParts)> = Vec::new();
        let mut failures = Vec::new();
        for (index, loaded) in join_all(loads).await.into_iter().enumerate() {
            let shard = ShardId(index as u16);
            match loaded {
                Ok(loaded) => {
                    if before[index].is_some_and(|before| before != loaded.fingerprint) {
                        self.shards[index].note_change(&self.topology, shard, loaded.position);
                    }
                    parts.push((shard, loaded));
                }
                Err(reason) => failures.push((shard, reason)),
            }
        }
        let named: Vec<_> =
            parts.iter().map(|(id, parts)| (self.topology.shard(*id).name.as_str(), parts)).collect();
        let drift = catalog::compare(&named);
        let default = parts.into_iter().find(|(id, _)| *id == self.topology.default_shard);
        let Some((_, default)) = default else {
            let failure = failures.into_iter().find(|(id, _)| *id == self.topology.default_shard);
            return Err(failure.map_or_else(|| "there is no default shard".to_owned(), |(_, reason)| reason));
        };
        self.version += 1;
        let objects = Arc::clone(&default.objects);
        let numbers = self.shards.iter().map(|shard| Numbers::between(shard.objects.as_deref(), &objects));
        let numbers = numbers.collect();
        let defined_at = self.shards.iter().map(|shard| shard.defined_at).collect();
        let catalog = Catalog { numbers, defined_at, ..default.into_catalog(self.version, &drift) };
        let findings = catalog::check_tables(&self.topology, &catalog);
        let (version, relations) = (catalog.version, catalog.relations.len());
        self.handle.swap(catalog);
        self.tell_change(&before, version, relations);
        self.loaded.send_replace(true);
        let unread = failures.into_iter().map(|(id, reason)| {
            (
                Severity::Error,
                format!(
                    "the catalogs of shard \"{}\" cannot be read: {reason}",
                    self.topology.shard(id).name
                ),
            )
        });
        let findings = findings.into_iter().map(|finding| (finding.severity, finding.message));
        let drift = drift.into_iter().map(|drift| (Severity::Error, drift.message));
        let news: Vec<_> = findings.chain(drift).chain(unread).collect();
        self.tell(&news);
        Ok(())
    }

    /// Logs that other definitions are in force now, and where they were found.
    fn tell_change(&self, before: &[Option<u64>], version: u64, relations: usize) {
        let now = self.shards.iter().map(|shard| shard.fingerprint);
        let shards = self.topology.shards.iter().zip(before.iter().zip(now));
        let changed: Vec<&str> = shards
            .filter(|(_, (before, now))| now.is_some() && *before != now)
            .map(|(shard, _)| shard.name.as_str())
            .collect();
        if !changed.is_empty() {
            let shards = changed.join(", ");
            match before.iter().any(Option::is_some) {
                true => tracing::info!(version, relations, shards, "the catalog has changed"),
                false => tracing::info!(version, relations, shards, "the catalog was read"),
            }
        }
    }

    /// Logs what was not true at the last load.
    fn tell(&mut self, findings: &[(Severity, String)]) {
        for (severity, message) in findings.iter().filter(|(_, message)| !self.told.contains(message)) {
            match severity {
                Severity::Error => tracing::warn!("{message}"),
                _ => tracing::info!("{message}"),
            }
        }
        self.told = findings.iter().map(|(_, message)| message.clone()).collect();
    }
}

/// Resolves when another Meridian has said that its clients have changed definitions. Cancel safe: yes.
async fn hear_of_others(shard: &mut ShardCatalog, own: &str) {
    match &mut shard.asked {
        Some(asked) => while asked.connection.heard().await == own {},
        None => std::future::pending().await,
    }
}

impl ShardCatalog {
    fn note_change(&mut self, topology: &Topology, shard: ShardId, position: Option<Lsn>) {
        if let (Some(node), Some(position)) = (primary(topology, shard), position) {
            let timeline = topology.node(node).state.timeline();
            self.defined_at = Some(WriteToken { timeline, position });
        }
    }

    /// Whether a load would find what is not known yet; no, if the shard cannot be asked.
    async fn is_outdated(&mut self, topology: &Topology, server: &ServerSettings, shard: ShardId) -> bool {
        let Ok(asked) = self.asked(topology, server, shard).await else { return false };
        // What is not known need not be compared: the load asks for the fingerprint itself.
        let outdated = match self.fingerprint.filter(|_| !self.incomplete) {
            None => Some(true),
            Some(known) => match timeout(POLL_TIME_MAX, asked.reader.fingerprint(&asked.connection)).await {
                Ok(Ok(found)) => Some(found != known),
                Ok(Err(_)) | Err(_) => None,
            },
        };
        if outdated.is_some() {
            self.asked = Some(asked);
        }
        outdated == Some(true)
    }

    async fn load(
        &mut self,
        topology: &Topology,
        server: &ServerSettings,
        shard: ShardId,
    ) -> Result<CatalogParts, String> {
        let parts = self.load_once(topology, server, shard).await?;
        if !parts.outlived {
            return Ok(parts);
        }
        self.asked = None;
        self.load_once(topology, server, shard).await
    }

    async fn load_once(
        &mut self,
        topology: &Topology,
        server: &ServerSettings,
        shard: ShardId,
    ) -> Result<CatalogParts, String> {
        let mut asked = self.asked(topology, server, shard).await?;
        let loaded = timeout(LOAD_TIME_MAX, asked.reader.load(&asked.connection)).await;
        let address = &asked.connection.address;
        let loaded = loaded.map_err(|_| format!("{address} did not answer in time"))?;
        let parts = loaded.map_err(|error| format!("{address}: {error}"))?;
        self.asked = Some(asked);
        Ok(parts)
    }

    /// The connection that there is, or a new one to the present primary. It is given back only after a success.
    async fn asked(
        &mut self,
        topology: &Topology,
        server: &ServerSettings,
        shard: ShardId,
    ) -> Result<Asked, String> {
        let still = |known: &Asked| {
            !known.connection.is_closed() && primary(topology, shard) == Some(known.connection.node)
        };
        if let Some(asked) = self.asked.take().filter(still) {
            return Ok(asked);
        }
        let connection = connect_primary(topology, shard, server).await.map_err(|error| error.to_string())?;
        if shard == topology.default_shard {
            let listen = connection.rows(&format!("LISTEN {CHANNEL}"), POLL_TIME_MAX).await;
            listen.map_err(|error| error.to_string())?;
        }
        Ok(Asked { connection, reader: CatalogReader::new(shard == topology.default_shard) })
    }
}
