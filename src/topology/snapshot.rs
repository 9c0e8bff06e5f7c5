//! The snapshot itself: regions, shards, nodes and table rules, by index.
//!
//! Made by [`crate::config`] after every check has passed; shared as `Arc<Topology>`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::ids::{NodeId, RegionId, ShardId, ShardSet, TopologyVersion};
use super::node::NodeState;
use super::placement::TableRule;
use crate::geo::World;
use crate::sql::name::ObjectName;

#[derive(Debug)]
pub struct Region {
    pub name: String,
    /// Shards that live here, in the file's order.
    pub shards: Vec<ShardId>,
}

#[derive(Debug)]
pub struct Shard {
    pub name: String,
    pub region: RegionId,
    /// Name of the database on this shard's servers.
    pub database: String,
    /// Nearest to this Meridian first (see [`Topology::nodes_by_distance`]).
    pub nodes: Vec<NodeId>,
}

#[derive(Debug)]
pub struct Node {
    pub host: String,
    pub port: u16,
    pub shard: ShardId,
    /// Where the server stands, which need not be its shard's region.
    pub region: RegionId,
    pub state: Arc<NodeState>,
}

#[derive(Debug)]
pub struct Topology {
    pub version: TopologyVersion,
    /// The database name that clients ask for.
    pub database: String,
    pub regions: Vec<Region>,
    pub shards: Vec<Shard>,
    pub nodes: Vec<Node>,
    /// Where this Meridian runs.
    pub local_region: RegionId,
    /// Home of single tables and of statements that name no table.
    pub default_shard: ShardId,
    /// Owners are region indexes.
    pub world: World,
    /// Rules of the tables that the configuration names; any other table is single.
    pub tables: Vec<TableRule>,
    /// Functions whose bodies are not looked at: the operator vouches that they stay on the shard where they run.
    pub trusted_functions: HashSet<ObjectName>,
    /// Configured or estimated round trip between regions, `[from][to]`; `Duration::MAX` where nothing is known.
    /// None: measured round trips decide alone.
    pub distances: Option<Vec<Vec<Duration>>>,
}

impl Topology {
    /// This topology as the successor of `previous`: the next version, and nodes that stay keep what is known of them.
    pub fn following(mut self, previous: &Self) -> Self {
        self.version = TopologyVersion(previous.version.0 + 1);
        for node in &mut self.nodes {
            let same = |old: &&Node| old.host == node.host && old.port == node.port;
            if let Some(old) = previous.nodes.iter().find(same) {
                node.state = Arc::clone(&old.state);
            }
        }
        self
    }

    /// The shard's nodes, nearest to this Meridian first.
    pub fn nodes_by_distance(&self, shard: ShardId) -> &[NodeId] {
        &self.shard(shard).nodes
    }

    /// The shard's nodes, nearest to `region` first; allocates.
    pub fn nodes_by_distance_from(&self, region: RegionId, shard: ShardId) -> Vec<NodeId> {
        let mut nodes = self.shard(shard).nodes.clone();
        nodes.sort_by_key(|id| (self.distance(region, self.node(*id).region), id.0));
        nodes
    }

    /// Configured or estimated round trip between regions; zero within one, [`Duration::MAX`] where nothing is known.
    pub fn distance(&self, from: RegionId, to: RegionId) -> Duration {
        if from == to {
            return Duration::ZERO;
        }
        let row = self.distances.as_ref().and_then(|rows| rows.get(usize::from(from.0)));
        row.and_then(|row| row.get(usize::from(to.0))).copied().unwrap_or(Duration::MAX)
    }

    pub fn all_shards(&self) -> ShardSet {
        ShardSet::first(self.shards.len())
    }

    pub fn shard(&self, id: ShardId) -> &Shard {
        &self.shards[usize::from(id.0)]
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[usize::from(id.0)]
    }

    pub fn region(&self, id: RegionId) -> &Region {
        &self.regions[usize::from(id.0)]
    }

    pub fn region_named(&self, name: &str) -> Option<RegionId> {
        self.regions.iter().position(|r| r.name == name).map(|i| RegionId(i as u16))
    }

    pub fn shard_named(&self, name: &str) -> Option<ShardId> {
        self.shards.iter().position(|s| s.name == name).map(|i| ShardId(i as u16))
    }

    /// The rule for a resolved (schema-qualified) name.
    pub fn rule(&self, name: &ObjectName) -> Option<&TableRule> {
        self.tables.iter().find(|rule| rule.name == *name)
    }
}
