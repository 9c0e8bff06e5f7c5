//! Questions to a placement that routing asks: all shards that rows with such a key, or in such a window, may be on.
//!
//! Called by `route` (reads) and `rows` (writes); calls the topology's placements and the world.
//!
//! Invariants:
//! 1. The answer for a key holds the shard on which the placement puts a row with that key.
//! 2. A key for which the placement refuses rows has no shard: such rows do not exist.

use std::ops::Bound;

use crate::geo::{OwnerSet, Window};
use crate::sql::facts::Comparison;
use crate::topology::{
    Key, Placement, PlacementError, RangePlacement, RegionId, ShardSet, TableRule, Topology,
};

/// Where rows with a null key are.
pub(super) fn shards_of_null(rule: &TableRule) -> ShardSet {
    rule.shard_of_null().map_or(ShardSet::EMPTY, ShardSet::one)
}

/// Where rows are whose region has this name.
pub(super) fn shards_of_region_named(topology: &Topology, name: &str) -> ShardSet {
    topology.region_named(name).map_or(ShardSet::EMPTY, |region| shards_of_region(topology, region))
}

fn shards_of_region(topology: &Topology, region: RegionId) -> ShardSet {
    topology.region(region).shards.iter().copied().collect()
}

/// Where rows are whose position is in the window. The position of a row whose region is NULL was not checked.
pub(super) fn shards_touching(topology: &Topology, rule: &TableRule, window: &Window) -> ShardSet {
    let owners = shards_of_owners(topology, &topology.world.touching(window));
    match rule.placement {
        Placement::Region { .. } => owners.union(shards_of_null(rule)),
        Placement::Geo => owners,
        _ => topology.all_shards(),
    }
}

fn shards_of_owners(topology: &Topology, owners: &OwnerSet) -> ShardSet {
    owners
        .iter()
        .filter(|owner| usize::from(owner.0) < topology.regions.len())
        .map(|owner| shards_of_region(topology, RegionId(owner.0)))
        .fold(ShardSet::EMPTY, ShardSet::union)
}

/// Where rows with this key are.
pub(super) fn shards_of_key(topology: &Topology, rule: &TableRule, key: &Key) -> ShardSet {
    let comparable = match &rule.placement {
        Placement::Region { .. } => matches!(key, Key::Text(_)),
        Placement::List(list) => list.values.keys().all(|listed| same_kind(listed, key)),
        Placement::Range(range) => bounds(range).all(|bound| same_kind(bound, key)),
        Placement::Hash(_) | Placement::Geo | Placement::Reference | Placement::Single(_) => true,
    };
    if !comparable {
        return topology.all_shards();
    }
    match rule.shard_of_key(topology, Some(key)) {
        Ok(shard) => ShardSet::one(shard),
        Err(
            PlacementError::UnknownRegion(_)
            | PlacementError::RegionWithoutShard(_)
            | PlacementError::NotListed(_),
        ) => ShardSet::EMPTY,
        Err(_) => topology.all_shards(),
    }
}

fn bounds(range: &RangePlacement) -> impl Iterator<Item = &Key> {
    range.ranges.iter().flat_map(|range| range.from.iter().chain(&range.to))
}

/// Where rows are whose key compares so with the value. The caller knows that the order is the server's.
pub(super) fn shards_comparing(
    topology: &Topology,
    rule: &TableRule,
    comparison: Comparison,
    value: &Key,
) -> ShardSet {
    let passes = |key: &Key| match comparison {
        Comparison::Equal => key == value,
        Comparison::Less => key < value,
        Comparison::LessOrEqual => key <= value,
        Comparison::Greater => key > value,
        Comparison::GreaterOrEqual => key >= value,
    };
    match &rule.placement {
        Placement::Region { .. } if matches!(value, Key::Text(_)) => {
            regions_where(topology, |name| passes(&Key::Text(name.into())))
        }
        Placement::List(list) if !list.values.keys().all(|key| same_kind(key, value)) => {
            topology.all_shards()
        }
        Placement::Range(range) if !bounds(range).all(|bound| same_kind(bound, value)) => {
            topology.all_shards()
        }
        placement => {
            let (low, high) = match comparison {
                Comparison::Equal => (Bound::Included(value), Bound::Included(value)),
                Comparison::Less => (Bound::Unbounded, Bound::Excluded(value)),
                Comparison::LessOrEqual => (Bound::Unbounded, Bound::Included(value)),
                Comparison::Greater => (Bound::Excluded(value), Bound::Unbounded),
                Comparison::GreaterOrEqual => (Bound::Included(value), Bound::Unbounded),
            };
            placement.shards_between(low, high).unwrap_or_else(|| topology.all_shards())
        }
    }
}

/// Where rows are whose text key begins so.
pub(super) fn shards_starting_with(topology: &Topology, rule: &TableRule, prefix: &str) -> ShardSet {
    match &rule.placement {
        Placement::Region { .. } => regions_where(topology, |name| name.starts_with(prefix)),
        Placement::List(list) => {
            let begins = |key: &Key| match key {
                Key::Text(text) => text.starts_with(prefix),
                _ => true,
            };
            let listed = list.values.iter().filter(|(key, _)| begins(key)).map(|(_, shard)| *shard);
            listed.chain(list.otherwise).collect()
        }
        _ => topology.all_shards(),
    }
}

fn regions_where(topology: &Topology, passes: impl Fn(&str) -> bool) -> ShardSet {
    let regions = topology.regions.iter().filter(|region| passes(&region.name));
    regions.flat_map(|region| region.shards.iter().copied()).collect()
}

fn same_kind(one: &Key, other: &Key) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
