//! `SHOW TABLES`: how the rows of each table are spread. Pure.
//!
//! The configured tables come first, in the file's order; then what the catalog has beside them, which is single, on
//! the default shard. Partitions are left out: they stand under their parents.

use crate::admin::table::{Cell, Column, text};
use crate::catalog::Catalog;
use crate::catalog::snapshot::{RelationInfo, RelationKind};
use crate::sql::name::ObjectName;
use crate::topology::{
    HashPlacement, KeyRange, ListPlacement, NullKey, Placement, PositionColumns, RangePlacement, RegionId,
    ShardId, TableRule, Topology,
};

pub const COLUMNS: &[Column] =
    &[text("name"), text("placement"), text("key"), text("position"), text("detail"), text("in_catalog")];

/// Ranges that are told one by one; more are counted.
const RANGES_TOLD_MAX: usize = 8;

pub fn tables(topology: &Topology, catalog: &Catalog) -> Vec<Vec<Cell>> {
    let configured = topology.tables.iter().map(|rule| configured(topology, catalog, rule));
    let mut others: Vec<_> = catalog.relations.values().filter(|info| is_single(topology, info)).collect();
    others.sort_by_cached_key(|info| full_name(&info.name));
    configured.chain(others.into_iter().map(|info| single(topology, info))).collect()
}

fn configured(topology: &Topology, catalog: &Catalog, rule: &TableRule) -> Vec<Cell> {
    let mut detail = detail(topology, &rule.placement);
    if let NullKey::Shard(shard) = rule.null_key {
        detail.push_str(&format!("; no key: {}", topology.shard(shard).name));
    }
    vec![
        full_name(&rule.name).into(),
        placement_name(&rule.placement).into(),
        rule.key().into(),
        rule.position.as_ref().map(position_columns).into(),
        detail.into(),
        if catalog.loaded { Cell::yes_no(catalog.relations.contains_key(&rule.name)) } else { Cell::Null },
    ]
}

fn is_single(topology: &Topology, info: &RelationInfo) -> bool {
    let schema = info.name.schema.as_deref().unwrap_or_default();
    let of_users =
        !schema.starts_with("pg_") && !matches!(schema, "information_schema" | "meridian_internal");
    let holds_rows = matches!(
        info.kind,
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable
    );
    of_users && holds_rows && info.parents.is_empty() && topology.rule(&info.name).is_none()
}

fn single(topology: &Topology, info: &RelationInfo) -> Vec<Cell> {
    let shard = topology.default_shard;
    vec![
        full_name(&info.name).into(),
        "single".into(),
        Cell::Null,
        Cell::Null,
        detail(topology, &Placement::Single(shard)).into(),
        Cell::yes_no(true),
    ]
}

/// Without the schema where that is `public`.
fn full_name(name: &ObjectName) -> String {
    match name.schema.as_deref() {
        None | Some("public") => name.name.clone(),
        Some(schema) => format!("{schema}.{}", name.name),
    }
}

const fn placement_name(placement: &Placement) -> &'static str {
    match placement {
        Placement::Region { .. } => "region",
        Placement::Geo => "geo",
        Placement::Hash(_) => "hash",
        Placement::List(_) => "list",
        Placement::Range(_) => "range",
        Placement::Reference => "reference",
        Placement::Single(_) => "single",
    }
}

fn position_columns(columns: &PositionColumns) -> String {
    let PositionColumns { latitude, longitude, geohash } = columns;
    let names: Vec<_> = [latitude, longitude, geohash].into_iter().flatten().map(String::as_str).collect();
    names.join(", ")
}

fn detail(topology: &Topology, placement: &Placement) -> String {
    match placement {
        Placement::Region { .. } => regions(topology),
        Placement::Geo => match topology.world.default_owner() {
            Some(owner) => {
                format!("{}; elsewhere: {}", regions(topology), topology.region(RegionId(owner.0)).name)
            }
            None => regions(topology),
        },
        Placement::Hash(HashPlacement { slots, .. }) => {
            format!("{} slots: {}", slots.len(), shares(topology, slots.iter().copied()))
        }
        Placement::List(ListPlacement { values, otherwise, .. }) => {
            let told = format!("{} values: {}", values.len(), shares(topology, values.values().copied()));
            match otherwise {
                Some(shard) => format!("{told}; others: {}", topology.shard(*shard).name),
                None => told,
            }
        }
        Placement::Range(RangePlacement { ranges, .. }) => ranges_in_words(topology, ranges),
        Placement::Reference => "every shard".to_owned(),
        Placement::Single(shard) => format!("shard {}", topology.shard(*shard).name),
    }
}

/// The regions that have shards.
fn regions(topology: &Topology) -> String {
    let with_shards = topology.regions.iter().filter(|region| !region.shards.is_empty());
    let names: Vec<_> = with_shards.map(|region| region.name.as_str()).collect();
    format!("regions: {}", names.join(", "))
}

/// How many each shard has.
fn shares(topology: &Topology, owners: impl Iterator<Item = ShardId>) -> String {
    let mut counts = vec![0usize; topology.shards.len()];
    for owner in owners {
        if let Some(count) = counts.get_mut(usize::from(owner.0)) {
            *count += 1;
        }
    }
    let shares = topology.shards.iter().zip(counts).filter(|(_, count)| *count > 0);
    let shares: Vec<_> = shares.map(|(shard, count)| format!("{} {count}", shard.name)).collect();
    shares.join(", ")
}

fn ranges_in_words(topology: &Topology, ranges: &[KeyRange]) -> String {
    if ranges.len() > RANGES_TOLD_MAX {
        return format!(
            "{} ranges: {}",
            ranges.len(),
            shares(topology, ranges.iter().map(|range| range.shard))
        );
    }
    let words = |range: &KeyRange| {
        let shard = &topology.shard(range.shard).name;
        match (&range.from, &range.to) {
            (Some(from), Some(to)) => format!("{shard} from {from} to {to}"),
            (Some(from), None) => format!("{shard} from {from}"),
            (None, Some(to)) => format!("{shard} to {to}"),
            (None, None) => format!("{shard} all"),
        }
    };
    ranges.iter().map(words).collect::<Vec<_>>().join(", ")
}
