//! The snapshot itself: regions, shards, nodes and table rules, by index.
//!
//! Made by [`crate::config`] after every check has passed; shared as `Arc<Topology>`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use smallvec::SmallVec;

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
    /// The newest timeline that a primary of it has been on; 0: none is known. It outlives a reload.
    pub timeline: Arc<AtomicU32>,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub host: String,
    pub port: u16,
    pub shard: ShardId,
    /// Where the server stands, which need not be its shard's region.
    pub region: RegionId,
    /// No longer configured: no shard names it, and its connections are closed as they become free.
    pub retired: bool,
    pub state: Arc<NodeState>,
}

impl Node {
    fn is_at(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port && self.shard == other.shard
    }
}

/// A topology that cannot replace another one while sessions run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} \"{name}\" {change}, which needs a restart")]
pub struct Unfollowable {
    what: &'static str,
    name: String,
    change: &'static str,
}

fn keep_order<'n>(
    what: &'static str,
    old: impl Iterator<Item = &'n String>,
    new: impl Iterator<Item = &'n String>,
) -> Result<(), Unfollowable> {
    let new: Vec<&String> = new.collect();
    for (index, name) in old.enumerate() {
        if new.get(index) != Some(&name) {
            let change = if new.contains(&name) { "is at another place in the file" } else { "is gone" };
            return Err(Unfollowable { what, name: name.clone(), change });
        }
    }
    Ok(())
}

/// The nodes of one shard; as a rule they need no memory of their own.
pub type NodesInOrder = SmallVec<[NodeId; 8]>;

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
    /// Whose primary gathered tables are brought to.
    pub scratch_shard: ShardId,
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
    /// Whether any rows are elsewhere than on the default shard.
    pub fn is_spread(&self) -> bool {
        self.shards.len() > 1 && !self.tables.is_empty()
    }

    /// This topology as the successor of `previous`: the next version, with numbers that mean what they meant. Regions,
    /// shards and nodes may be added; a node that is no longer named keeps its number, retired. Nodes that stay keep what
    /// is known of them.
    ///
    /// Sessions, pools and connections hold numbers over a change, so regions and shards can neither go nor change places.
    pub fn following(mut self, previous: &Self) -> Result<Self, Unfollowable> {
        keep_order("region", previous.regions.iter().map(|r| &r.name), self.regions.iter().map(|r| &r.name))?;
        keep_order("shard", previous.shards.iter().map(|s| &s.name), self.shards.iter().map(|s| &s.name))?;
        self.version = TopologyVersion(previous.version.0 + 1);
        let mut fresh: Vec<Option<Node>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        let mut numbers: Vec<NodeId> = vec![NodeId(0); fresh.len()];
        for (number, old) in previous.nodes.iter().enumerate() {
            let same = |new: &Option<Node>| new.as_ref().is_some_and(|new| new.is_at(old));
            let node = match fresh.iter().position(same).filter(|_| !old.retired) {
                Some(index) => {
                    numbers[index] = NodeId(number as u16);
                    fresh[index].take().map(|new| Node { state: Arc::clone(&old.state), ..new })
                }
                None => None,
            };
            self.nodes.push(node.unwrap_or_else(|| Node { retired: true, ..old.clone() }));
        }
        for (index, node) in fresh.into_iter().enumerate() {
            if let Some(node) = node {
                numbers[index] = NodeId(self.nodes.len() as u16);
                self.nodes.push(node);
            }
        }
        for (shard, old) in self.shards.iter_mut().zip(&previous.shards) {
            shard.timeline = Arc::clone(&old.timeline);
        }
        for shard in &mut self.shards {
            shard.nodes.iter_mut().for_each(|node| *node = numbers[usize::from(node.0)]);
        }
        Ok(self)
    }

    /// The shard's nodes, nearest to this Meridian first.
    pub fn nodes_by_distance(&self, shard: ShardId) -> &[NodeId] {
        &self.shard(shard).nodes
    }

    /// The shard's nodes, nearest to `region` first.
    pub fn nodes_by_distance_from(&self, region: RegionId, shard: ShardId) -> NodesInOrder {
        let mut nodes = NodesInOrder::from_slice(&self.shard(shard).nodes);
        if nodes.len() > 1 {
            nodes.sort_unstable_by_key(|id| (self.distance(region, self.node(*id).region), id.0));
        }
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
    /// All shards, the default one first.
    pub fn default_first(&self) -> impl Iterator<Item = ShardId> + use<> {
        let (default, others) = (self.default_shard, 0..self.shards.len());
        let others = others.map(|index| ShardId(index as u16)).filter(move |shard| *shard != default);
        std::iter::once(default).chain(others)
    }

    pub fn rule(&self, name: &ObjectName) -> Option<&TableRule> {
        self.tables.iter().find(|rule| rule.name == *name)
    }
}
