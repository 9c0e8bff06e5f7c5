//! From a description of a cluster to running servers.
//!
//! ```text
//! description ─▶ directory, lock ─▶ template ─▶ node directories ─▶ cluster.json ─▶ servers, shard by shard
//! ```
//!
//! Everything before `cluster.json` can be interrupted: the next start begins again. Shards are made and started
//! at the same time, each on a thread; that is most of a fast start.
//!
//! Invariants:
//! 1. A start that fails leaves no server running.
//! 2. A layout that differs from what is on disk is refused, except after `fresh`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::Cluster;
use super::account::Account;
use super::distance;
use super::error::{ClusterError, Doing};
use super::installation::Installation;
use super::layout::{DataDirectory, Layout};
use super::node::{Host, Node, Site, StopMode};
use super::ports::Ports;
use super::relay::Relay;
use super::settings::Durability;
use super::shard::{Profile, Replication, Shard};
use super::spawner::Spawner;
use super::template::Template;

/// Slots and WAL senders are configured for this many.
const REPLICAS_MAX: usize = 6;
const REGIONS_MAX: usize = 16;

/// What lies between clients and nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Nothing: clients connect to the servers.
    Direct,
    /// A relay before each node, without delay, for tests to cut.
    Relayed,
    /// Relays with the delays of the globe, as felt by a client in this region; between nodes too.
    Wan { client_region: String },
}

/// A description of a cluster; `start` makes it real.
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    directory: PathBuf,
    template_cache: Option<PathBuf>,
    regions: Vec<String>,
    replicas: usize,
    profile: Profile,
    network: Network,
    fresh: bool,
}

impl ClusterBuilder {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            template_cache: None,
            regions: Vec::new(),
            replicas: 0,
            profile: Profile {
                durability: Durability::Safe,
                replication: Replication::FirstSynchronous,
                extra: Vec::new(),
            },
            network: Network::Direct,
            fresh: false,
        }
    }

    /// Adds a region, and with it a shard of the same name.
    #[must_use]
    pub fn region(mut self, name: &str) -> Self {
        self.regions.push(name.to_owned());
        self
    }

    /// How many replicas each primary has.
    #[must_use]
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.profile.durability = durability;
        self
    }

    #[must_use]
    pub fn replication(mut self, replication: Replication) -> Self {
        self.profile.replication = replication;
        self
    }

    /// A setting of `postgresql.conf` on every node, such as `wal_level`, `logical`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.profile.extra.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Where the template is kept, for clusters that share it. By default in the data directory.
    #[must_use]
    pub fn template_cache(mut self, directory: &Path) -> Self {
        self.template_cache = Some(directory.to_owned());
        self
    }

    /// Removes the cluster that is in the directory, if any.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Creates what is missing and starts every server. On return all accept connections and all replicas stream.
    pub fn start(self) -> Result<Cluster, ClusterError> {
        self.check()?;
        let installation = Installation::find()?;
        let account = Account::for_servers()?;
        let directory = DataDirectory::open(&self.directory, account)?;
        let layout = self.prepare(&directory, &installation, account)?;
        let (signal_at_death, stop_mode) = match self.profile.durability {
            Durability::Safe => (libc::SIGINT, StopMode::Fast),
            Durability::Fast => (libc::SIGQUIT, StopMode::Immediate),
        };
        let host = Arc::new(Host {
            installation,
            account,
            spawner: Spawner::start(signal_at_death).doing(|| "starting a thread".to_owned())?,
            superuser_password: layout.superuser_password.clone(),
        });
        let mut shards = Vec::new();
        for (index, ports) in layout.ports.iter().enumerate() {
            shards.push(self.shard(&directory, &host, index, ports)?);
        }
        // From here on an error drops the cluster, which stops what has been started.
        let cluster = Cluster { shards, layout: Mutex::new(layout), stop_mode, directory };
        in_parallel(&cluster.shards, Shard::assemble)?;
        Ok(cluster)
    }

    fn check(&self) -> Result<(), ClusterError> {
        let invalid = |what: String| Err(ClusterError::Invalid(what));
        if self.regions.is_empty() || self.regions.len() > REGIONS_MAX {
            return invalid(format!("a cluster has 1 to {REGIONS_MAX} regions"));
        }
        if self.replicas > REPLICAS_MAX {
            return invalid(format!("a primary has at most {REPLICAS_MAX} replicas"));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(name) = self.regions.iter().find(|name| name.is_empty() || !name.chars().all(plain)) {
            return invalid(format!("{name:?} is no region's name: use a-z, 0-9 and dashes"));
        }
        if self.regions.iter().collect::<HashSet<_>>().len() < self.regions.len() {
            return invalid("a region is named twice".to_owned());
        }
        Ok(())
    }

    /// Makes the directories of all nodes complete, and records the layout with ports that are free now.
    fn prepare(
        &self,
        directory: &DataDirectory,
        installation: &Installation,
        account: Account,
    ) -> Result<Layout, ClusterError> {
        let mut ports = Ports::default();
        let mut wanted = Layout {
            postgres_major: installation.major,
            regions: self.regions.clone(),
            replicas: self.replicas,
            superuser_password: String::new(),
            ports: Vec::new(),
            dataset: None,
        };
        if !self.fresh
            && let Some(mut found) = directory.layout()?
        {
            if !found.matches(&wanted) {
                let (directory, found) = (self.directory.clone(), found.describe());
                return Err(ClusterError::LayoutDiffers { directory, found });
            }
            for port in found.ports.iter_mut().flatten() {
                *port = ports.keep_or_replace(*port)?;
            }
            directory.record(&found)?;
            return Ok(found);
        }
        directory.clear()?;
        let own_cache = directory.path().join("template");
        let cache = self.template_cache.as_deref().unwrap_or(&own_cache);
        let template = Template::prepare(installation, account, cache, directory.path())?;
        in_parallel(&self.regions, |region| {
            for number in 0..=self.replicas {
                let data = directory.node(&node_name(region, number));
                template.copy_to(&data, account)?;
                if number > 0 {
                    super::template::write_private(&data.join("standby.signal"), "", account)?;
                }
            }
            Ok(())
        })?;
        if self.profile.durability == Durability::Safe {
            // The servers sync what they change, not what they were made of.
            // SAFETY: sync has no preconditions.
            unsafe { libc::sync() };
        }
        wanted.superuser_password = template.superuser_password;
        for _ in &self.regions {
            let shard: Result<Vec<u16>, _> = (0..=self.replicas).map(|_| ports.next_free()).collect();
            wanted.ports.push(shard?);
        }
        directory.record(&wanted)?;
        Ok(wanted)
    }

    fn shard(
        &self,
        directory: &DataDirectory,
        host: &Arc<Host>,
        index: usize,
        ports: &[u16],
    ) -> Result<Shard, ClusterError> {
        let region = &self.regions[index];
        let mut nodes = Vec::new();
        let mut uplinks = Vec::new();
        for (number, port) in ports.iter().copied().enumerate() {
            let name = node_name(region, number);
            let location = self.location(index, number).to_owned();
            let relay = self.relay(port, &location)?;
            if matches!(self.network, Network::Wan { .. }) {
                uplinks.push(relay_to(port, Duration::ZERO)?);
            }
            let (data, log) = (directory.node(&name), directory.log(&name));
            let site = Site { name, location, port, data, log, relay };
            nodes.push(Arc::new(Node::new(Arc::clone(host), site)));
        }
        Ok(Shard::new(region, Arc::clone(host), self.profile.clone(), nodes, uplinks))
    }

    /// The primary and the first replica are at home; each further replica is one region farther along the ring.
    fn location(&self, region: usize, number: usize) -> &str {
        &self.regions[(region + number.saturating_sub(1)) % self.regions.len()]
    }

    fn relay(&self, port: u16, location: &str) -> Result<Option<Relay>, ClusterError> {
        match &self.network {
            Network::Direct => Ok(None),
            Network::Relayed => relay_to(port, Duration::ZERO).map(Some),
            Network::Wan { client_region } => {
                relay_to(port, distance::round_trip(client_region, location) / 2).map(Some)
            }
        }
    }
}

fn relay_to(port: u16, one_way: Duration) -> Result<Relay, ClusterError> {
    Relay::start(SocketAddr::from(([127, 0, 0, 1], port)), one_way).doing(|| "starting a relay".to_owned())
}

fn node_name(region: &str, number: usize) -> String {
    format!("{region}-{}", number + 1)
}

/// Does the same for every item at once; the first error wins, after all have ended.
fn in_parallel<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), ClusterError> + Sync,
) -> Result<(), ClusterError> {
    thread::scope(|scope| {
        let workers: Vec<_> = items.iter().map(|item| scope.spawn(|| work(item))).collect();
        let ended: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        ended.into_iter().try_for_each(|outcome| {
            outcome.unwrap_or_else(|_| Err(ClusterError::Invalid("a worker failed".to_owned())))
        })
    })
}
