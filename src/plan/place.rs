//! Questions to a placement that routing asks: all shards that rows with such a key, or in such a window, may be on.
//!
//! Called by `route` (reads) and `rows` (writes); calls the topology's placements and the world.
//!
//! Invariants:
//! 1. The answer for a key holds the shard on which the placement puts a row with that key.
//! 2. A key for which the placement refuses rows has no shard: such rows do not exist.

use crate::geo::{OwnerSet, Window};
use crate::sql::facts::Comparison;
use crate::topology::{Key, NullKey, Placement, RegionId, ShardSet, TableRule, Topology};

/// The column whose value names the shard; none for placement by position.
pub(super) fn key_column(rule: &TableRule) -> Option<&str> {
    match &rule.placement {
        Placement::Region { key } => Some(key),
        Placement::Hash(hash) => Some(&hash.key),
        Placement::List(list) => Some(&list.key),
        Placement::Range(range) => Some(&range.key),
        Placement::Geo | Placement::Reference | Placement::Single(_) => None,
    }
}

/// Where rows with a null key are.
pub(super) fn shards_of_null(rule: &TableRule) -> ShardSet {
    match rule.null_key {
        NullKey::Refuse => ShardSet::EMPTY,
        NullKey::Shard(shard) => ShardSet::one(shard),
    }
}

/// Where rows are whose region has this name.
pub(super) fn shards_of_region_named(topology: &Topology, name: &str) -> ShardSet {
    topology.region_named(name).map_or(ShardSet::EMPTY, |region| shards_of_region(topology, region))
}

fn shards_of_region(topology: &Topology, region: RegionId) -> ShardSet {
    topology.region(region).shards.iter().copied().collect()
}

/// Where rows are whose position is in the window.
pub(super) fn shards_touching(topology: &Topology, window: &Window) -> ShardSet {
    shards_of_owners(topology, &topology.world.touching(window))
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
    match &rule.placement {
        Placement::Region { .. } => match key {
            Key::Text(name) => shards_of_region_named(topology, name),
            _ => topology.all_shards(),
        },
        Placement::Hash(hash) => ShardSet::one(hash.shard(key)),
        Placement::List(list) => match list.values.get(key) {
            Some(shard) => ShardSet::one(*shard),
            None if list.values.keys().all(|listed| same_kind(listed, key)) => {
                list.otherwise.map_or(ShardSet::EMPTY, ShardSet::one)
            }
            None => topology.all_shards(),
        },
        Placement::Range(range) => {
            let bounds = || range.ranges.iter().flat_map(|r| r.from.iter().chain(&r.to));
            if !bounds().all(|bound| same_kind(bound, key)) {
                return topology.all_shards();
            }
            range
                .ranges
                .iter()
                .find(|r| {
                    r.from.as_ref().is_none_or(|from| from <= key) && r.to.as_ref().is_none_or(|to| key < to)
                })
                .map_or(ShardSet::EMPTY, |r| ShardSet::one(r.shard))
        }
        Placement::Geo | Placement::Reference | Placement::Single(_) => topology.all_shards(),
    }
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
        Placement::List(list) if list.values.keys().all(|key| same_kind(key, value)) => {
            let listed = list.values.iter().filter(|(key, _)| passes(key)).map(|(_, shard)| *shard);
            listed.chain(list.otherwise).collect()
        }
        Placement::Range(range) => range
            .ranges
            .iter()
            .filter(|r| {
                let kinds = r.from.iter().chain(&r.to).all(|bound| same_kind(bound, value));
                !kinds
                    || match comparison {
                        Comparison::Less => r.from.as_ref().is_none_or(|from| from < value),
                        Comparison::LessOrEqual => r.from.as_ref().is_none_or(|from| from <= value),
                        Comparison::Equal | Comparison::Greater | Comparison::GreaterOrEqual => {
                            r.to.as_ref().is_none_or(|to| value < to)
                        }
                    }
            })
            .map(|r| r.shard)
            .collect(),
        _ => topology.all_shards(),
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
