//! The nodes of one region's shard: who is the primary, and bringing the others behind it.
//!
//! ```text
//! us-east-1  primary
//! us-east-2  replica, synchronous, in the same region
//! us-east-3  replica, asynchronous, located in the next region
//! ```
//!
//! `assemble` makes this true from whatever is on disk: a first start, an orderly stop, a crash, or a promotion that
//! left two nodes which believe to be the primary. The newest timeline is right; the other is seeded anew.
//!
//! Invariants:
//! 1. After `assemble` one node is the primary and every other one streams from it, through a slot of its own.
//! 2. No data of the node with the newest timeline is ever removed.
//! 3. A data directory is complete or absent, also when we are killed: copies are made aside, and renamed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::distance;
use super::error::{ClusterError, Doing};
use super::node::{Host, Node, Role, StopMode};
use super::relay::Relay;
use super::settings::{Durability, Duty, Settings, slot_name};
use super::template::{SUPERUSER, private_directory, write_private};

const STREAMING_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Which replicas a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// The first replica has every commit before it is acknowledged.
    FirstSynchronous,
    /// No commit waits for a replica.
    Asynchronous,
}

/// What the nodes of every shard have in common.
#[derive(Debug, Clone)]
pub struct Profile {
    pub durability: Durability,
    pub replication: Replication,
    pub extra: Vec<(String, String)>,
}

/// One shard: a primary and its replicas.
#[derive(Debug)]
pub struct Shard {
    name: String,
    host: Arc<Host>,
    profile: Profile,
    nodes: Vec<Arc<Node>>,
    /// Before replication connections, where distances are simulated: one for each node, at its index.
    uplinks: Vec<Relay>,
}

impl Shard {
    pub fn new(
        name: &str,
        host: Arc<Host>,
        profile: Profile,
        nodes: Vec<Arc<Node>>,
        uplinks: Vec<Relay>,
    ) -> Self {
        Self { name: name.to_owned(), host, profile, nodes, uplinks }
    }

    /// The shard's name, which is its region's.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The node that is the primary now: of several, the one with the newest timeline.
    pub fn primary(&self) -> &Arc<Node> {
        let primaries = self.nodes.iter().filter(|node| node.role() == Role::Primary);
        // Of equal ones the first: `max_by_key` takes the last.
        primaries.rev().max_by_key(|node| node.timeline()).unwrap_or(&self.nodes[0])
    }

    /// The nodes that are replicas now, in their order.
    pub fn replicas(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().filter(|node| node.role() == Role::Replica)
    }

    /// The replica of this number, from 0: the first is the synchronous one.
    pub fn replica(&self, index: usize) -> Option<&Arc<Node>> {
        self.replicas().nth(index)
    }

    /// Starts what does not run, and puts every other node behind the primary.
    pub fn assemble(&self) -> Result<(), ClusterError> {
        let primary = Arc::clone(self.primary());
        if primary.role() != Role::Primary {
            return Err(ClusterError::Invalid(format!(
                "{}: no node is a primary; start over with --fresh",
                self.name
            )));
        }
        self.configure(&primary)?;
        let (replicas, strays): (Vec<_>, Vec<_>) = self
            .nodes
            .iter()
            .filter(|node| !Arc::ptr_eq(node, &primary))
            .partition(|node| node.role() == Role::Replica && node.has_data());
        for node in std::iter::once(&primary).chain(replicas.iter().copied()) {
            // A server that has only just been spawned does not handle the signal yet, and would die of it.
            if node.is_running() { node.reload()? } else { node.spawn()? }
        }
        primary.await_ready()?;
        self.create_slots(&primary)?;
        for node in strays {
            self.reseed(node)?;
        }
        for node in replicas {
            if node.await_ready().is_err() {
                self.reseed(node)?;
            }
        }
        for lagging in self.await_streaming(&primary)? {
            self.reseed(&lagging)?;
        }
        match self.await_streaming(&primary)?.first() {
            Some(node) => Err(node.failure("does not stream from its primary")),
            None => Ok(()),
        }
    }

    /// Replaces a node's data by a copy of the primary's, and starts it as a replica.
    pub fn reseed(&self, node: &Arc<Node>) -> Result<(), ClusterError> {
        let primary = Arc::clone(self.primary());
        if Arc::ptr_eq(node, &primary) {
            return Err(ClusterError::Invalid(format!("{} is the primary of its shard", node.name())));
        }
        node.stop(StopMode::Immediate)?;
        self.create_slots(&primary)?;
        let data = node.data_directory();
        let (seed, old) = (data.with_extension("seed"), data.with_extension("old"));
        for leftover in [&seed, &old] {
            let _ = fs::remove_dir_all(leftover);
        }
        self.base_backup(&primary, &seed)?;
        write_private(&seed.join("standby.signal"), "", self.host.account)?;
        if data.exists() {
            fs::rename(data, &old).doing(|| format!("moving {}", data.display()))?;
        }
        fs::rename(&seed, data).doing(|| format!("moving {}", seed.display()))?;
        let _ = fs::remove_dir_all(&old);
        self.configure(&primary)?;
        node.start()
    }

    fn base_backup(&self, primary: &Node, target: &Path) -> Result<(), ClusterError> {
        private_directory(target, self.host.account)?;
        let address = primary.direct_address();
        let mut command = Command::new(self.host.installation.program("pg_basebackup"));
        command.args(["--checkpoint=fast", "--wal-method=stream", "--no-password"]);
        if self.profile.durability == Durability::Fast {
            command.arg("--no-sync");
        }
        command.args(["--username", SUPERUSER, "--host", &address.ip().to_string()]);
        command.args(["--port", &address.port().to_string(), "--pgdata"]).arg(target);
        command.env("PGPASSWORD", &self.host.superuser_password).current_dir(target).stdin(Stdio::null());
        self.host.account.apply(&mut command);
        let output = command.output().doing(|| "starting pg_basebackup".to_owned())?;
        if output.status.success() {
            return Ok(());
        }
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(ClusterError::Tool { program: "pg_basebackup", output })
    }

    /// Nodes that do not stream from the primary within the bound.
    pub fn await_streaming(&self, primary: &Arc<Node>) -> Result<Vec<Arc<Node>>, ClusterError> {
        let deadline = Instant::now() + STREAMING_TIMEOUT;
        if self.nodes.len() == 1 {
            return Ok(Vec::new());
        }
        loop {
            let rows =
                primary.sql("SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'")?;
            let streams = |node: &Arc<Node>| {
                rows.iter().any(|row| row.first().and_then(Option::as_deref) == Some(node.name()))
            };
            let others = self.nodes.iter().filter(|node| !Arc::ptr_eq(node, primary));
            let missing: Vec<_> = others.filter(|node| !streams(node)).cloned().collect();
            if missing.is_empty() || Instant::now() > deadline {
                return Ok(missing);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Writes every node's configuration for this primary.
    fn configure(&self, primary: &Arc<Node>) -> Result<(), ClusterError> {
        let seeded = self.nodes.iter().enumerate().filter(|(_, node)| node.has_data());
        for (index, node) in seeded {
            let duty = if Arc::ptr_eq(node, primary) {
                Duty::Primary { synchronous: self.synchronous_replica(primary) }
            } else {
                let upstream = match self.uplinks.get(index) {
                    None => primary.direct_address(),
                    Some(relay) => {
                        relay.set_target(primary.direct_address());
                        relay.set_delay(distance::round_trip(node.location(), primary.location()) / 2);
                        relay.address()
                    }
                };
                Duty::Replica { upstream, password: self.host.superuser_password.clone() }
            };
            let Profile { durability, extra, .. } = self.profile.clone();
            let port = node.direct_address().port();
            node.configure(&Settings { node: node.name().to_owned(), port, durability, duty, extra })?;
        }
        Ok(())
    }

    fn synchronous_replica(&self, primary: &Arc<Node>) -> Option<String> {
        let first = self.nodes.iter().find(|node| !Arc::ptr_eq(node, primary))?;
        (self.profile.replication == Replication::FirstSynchronous).then(|| first.name().to_owned())
    }

    fn create_slots(&self, primary: &Arc<Node>) -> Result<(), ClusterError> {
        let others = self.nodes.iter().filter(|node| !Arc::ptr_eq(node, primary));
        let names: Vec<_> = others.map(|node| format!("'{}'", slot_name(node.name()))).collect();
        if names.is_empty() {
            return Ok(());
        }
        let statement = format!(
            "SELECT pg_create_physical_replication_slot(name, true) FROM unnest(ARRAY[{}]) AS wanted(name) \
             WHERE name NOT IN (SELECT slot_name FROM pg_replication_slots)",
            names.join(", ")
        );
        primary.sql(&statement).map(|_| ())
    }
}
