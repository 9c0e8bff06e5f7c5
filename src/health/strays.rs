//! Rows that are not where the configuration puts them: what a table held before it was configured, or placed otherwise.
//!
//! Meridian writes no row to another shard than its own and looks for none there, so such rows are not found. The first
//! rows of each configured table are read on every shard's primary: that costs little whatever the table's size, and finds
//! every table that was never spread, or spread by another rule; a single stray row it may miss.
//!
//! Called after the start and after a reload ([`watch`], for the log), and by `meridian check --connect`.
//!
//! Invariants:
//! 1. Nothing is changed, and no value of a row is told.
//! 2. What cannot be asked or read is passed over: others tell of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::catalog::Loaded;
use super::connect::{ControlConnection, connect_primary};
use crate::backend::settings::{quote_identifier, quote_name};
use crate::catalog::{Catalog, CatalogHandle, RelationInfo, RelationKind};
use crate::config::ServerSettings;
use crate::plan::key_type;
use crate::topology::{Placement, RowPosition, ShardId, TableRule, Topology};

/// Rows of a table that are read on each shard.
const SAMPLE: usize = 1000;

/// For one question; what takes longer, or is locked, is passed over.
const BOUNDS: &str = "SET lock_timeout = '1s'; SET statement_timeout = '5s'";

/// Then the server itself is away.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// After the catalogs are known, so that the first clients have the servers for themselves.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at what seems to be wrong: a commit may have been seen on one shard and not yet on another.
const SECOND_THOUGHT: Duration = Duration::from_secs(1);

/// What one shard says of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sample {
    /// So many of so many different places of rows belong on other shards.
    Strays { strays: usize, of: usize },
    /// Rows, up to one more than [`SAMPLE`].
    Rows(usize),
}

/// Looks once, some time after the catalogs are known, and logs what is found. Never ends; cancel safe: yes.
pub async fn watch(
    topology: Arc<Topology>,
    catalog: Arc<CatalogHandle>,
    server: ServerSettings,
    mut loaded: Loaded,
) {
    while !loaded.wait(ANSWER_TIME_MAX).await {
        tokio::time::sleep(PATIENCE).await;
    }
    tokio::time::sleep(PATIENCE).await;
    for message in look(&topology, &catalog.current(), &server).await {
        tracing::warn!("{message}");
    }
    std::future::pending::<()>().await;
}

/// One message for each table that has strays, twice in a row.
pub async fn look(topology: &Topology, catalog: &Catalog, server: &ServerSettings) -> Vec<String> {
    let suspects = look_once(topology, catalog, server).await;
    if suspects.is_empty() {
        return Vec::new();
    }
    tokio::time::sleep(SECOND_THOUGHT).await;
    let mut found = look_once(topology, catalog, server).await;
    found.retain(|table, _| suspects.contains_key(table));
    found.into_values().collect()
}

/// By the tables' indexes.
async fn look_once(
    topology: &Topology,
    catalog: &Catalog,
    server: &ServerSettings,
) -> BTreeMap<usize, String> {
    let shards = topology.all_shards();
    let looks =
        join_all(shards.iter().map(async |shard| (shard, of_shard(topology, catalog, server, shard).await)));
    let mut found: BTreeMap<usize, Vec<(ShardId, Sample)>> = BTreeMap::new();
    for (shard, samples) in looks.await {
        for (table, sample) in samples {
            found.entry(table).or_default().push((shard, sample));
        }
    }
    let told =
        |(table, samples): (usize, Vec<_>)| Some((table, tell(topology, &topology.tables[table], &samples)?));
    found.into_iter().filter_map(told).collect()
}

/// The samples by the tables' indexes.
async fn of_shard(
    topology: &Topology,
    catalog: &Catalog,
    server: &ServerSettings,
    shard: ShardId,
) -> Vec<(usize, Sample)> {
    let Ok(connection) = connect_primary(topology, shard, server).await else { return Vec::new() };
    if connection.rows(BOUNDS, ANSWER_TIME_MAX).await.is_err() {
        return Vec::new();
    }
    let mut samples = Vec::new();
    for (index, rule) in topology.tables.iter().enumerate() {
        let Some(info) = catalog.relations.get(&rule.name) else { continue };
        if !matches!(info.kind, RelationKind::Table | RelationKind::PartitionedTable) {
            continue;
        }
        match of_table(&connection, topology, rule, info, shard).await {
            Some(sample) => samples.push((index, sample)),
            // Behind an answer that did not come, no other does.
            None if connection.is_closed() => break,
            None => tracing::debug!(table = %rule.name, "its rows could not be looked at"),
        }
    }
    samples
}

async fn of_table(
    connection: &ControlConnection,
    topology: &Topology,
    rule: &TableRule,
    info: &RelationInfo,
    shard: ShardId,
) -> Option<Sample> {
    let table = quote_name(&rule.name);
    let columns: Vec<&String> = match &rule.placement {
        Placement::Reference | Placement::Single(_) => {
            let count = format!("SELECT count(*) FROM (SELECT FROM {table} LIMIT {}) AS s", SAMPLE + 1);
            let rows = connection.rows(&count, ANSWER_TIME_MAX).await.ok()?;
            return rows.first()?.get(0)?.parse().ok().map(Sample::Rows);
        }
        Placement::Geo => {
            let position = rule.position.as_ref()?;
            [&position.latitude, &position.longitude, &position.geohash].into_iter().flatten().collect()
        }
        Placement::Region { .. } | Placement::Hash(_) | Placement::List(_) | Placement::Range(_) => {
            info.columns.iter().filter(|column| rule.key() == Some(&column.name)).map(|c| &c.name).collect()
        }
    };
    if columns.is_empty() {
        return None;
    }
    let list = |suffix: &str| {
        let columns = columns.iter().map(|column| format!("{}{suffix}", quote_identifier(column)));
        columns.collect::<Vec<_>>().join(", ")
    };
    let (plain, texts) = (list(""), list("::pg_catalog.text"));
    let question = format!("SELECT DISTINCT {texts} FROM (SELECT {plain} FROM {table} LIMIT {SAMPLE}) AS s");
    let rows = connection.rows(&question, ANSWER_TIME_MAX).await.ok()?;
    let homes: Vec<ShardId> = rows
        .iter()
        .filter_map(|row| {
            let value = |column: &String| {
                columns.iter().position(|known| *known == column).and_then(|index| row.get(index))
            };
            home(topology, rule, info, &value)
        })
        .collect();
    Some(Sample::Strays { strays: homes.iter().filter(|home| **home != shard).count(), of: homes.len() })
}

/// Where a row belongs; None where that is not certain, or nowhere.
fn home<'r>(
    topology: &Topology,
    rule: &TableRule,
    info: &RelationInfo,
    value: &dyn Fn(&String) -> Option<&'r str>,
) -> Option<ShardId> {
    if let (Placement::Geo, Some(position)) = (&rule.placement, &rule.position) {
        let coordinate =
            |column: &Option<String>| column.as_ref().and_then(value).and_then(|text| text.parse().ok());
        let place = RowPosition {
            latitude: coordinate(&position.latitude),
            longitude: coordinate(&position.longitude),
            geohash: position.geohash.as_ref().and_then(value),
        };
        return rule.shard_of_position(topology, place).ok();
    }
    let column = info.columns.iter().find(|column| rule.key() == Some(&column.name))?;
    let key = match value(&column.name) {
        Some(text) => Some(key_type(column)?.decode_text(text.as_bytes()).ok()?),
        None => None,
    };
    rule.shard_of_key(topology, key.as_ref()).ok()
}

fn tell(topology: &Topology, rule: &TableRule, samples: &[(ShardId, Sample)]) -> Option<String> {
    let name = |shard: ShardId| &topology.shard(shard).name;
    let counted: Vec<(ShardId, usize)> = samples
        .iter()
        .filter_map(|(shard, sample)| match sample {
            Sample::Rows(rows) => Some((*shard, *rows)),
            Sample::Strays { .. } => None,
        })
        .collect();
    let count = |rows: usize| match rows {
        0 => "none".to_owned(),
        rows if rows > SAMPLE => format!("more than {SAMPLE}"),
        rows => rows.to_string(),
    };
    let list = |parts: Vec<String>| parts.join(", ");
    let what = match rule.placement {
        Placement::Reference => {
            let (_, first) = counted.first()?;
            if counted.iter().all(|(_, rows)| rows == first) {
                return None;
            }
            let rows =
                counted.iter().map(|(shard, rows)| format!("{} on \"{}\"", count(*rows), name(*shard)));
            format!("its copies differ, in rows: {}", list(rows.collect()))
        }
        Placement::Single(home) => {
            let strays = counted.iter().filter(|(shard, rows)| *shard != home && *rows > 0);
            let strays: Vec<_> = strays.map(|(shard, _)| format!("\"{}\"", name(*shard))).collect();
            if strays.is_empty() {
                return None;
            }
            format!("is placed on shard \"{}\", and has rows on {} too", name(home), list(strays))
        }
        _ => {
            let strays = samples.iter().filter_map(|(shard, sample)| match sample {
                Sample::Strays { strays, of } if *strays > 0 => {
                    Some(format!("{strays} of the first {of} places on \"{}\"", name(*shard)))
                }
                Sample::Strays { .. } | Sample::Rows(_) => None,
            });
            let strays: Vec<_> = strays.collect();
            if strays.is_empty() {
                return None;
            }
            format!("has rows that belong on other shards: {}", list(strays))
        }
    };
    Some(format!("table {}: {what}; they are not found where they are", rule.name))
}
