//! The catalogs as a transaction sees them that has run DDL: asked over the connections that the transaction has.
//!
//! Called by `session`, which sends the questions on each shard's connection and hands on what comes back. The result has what
//! the catalog in force has, but for what the transaction has made of it.
//!
//! ```text
//!   per shard   BEGIN ─▶ texts(), in one pipeline ─▶ END ─▶ read_parts      all shards   ─▶ make_catalog
//! ```
//!
//! Invariants:
//! 1. Nothing is taken from answers between which another session has changed definitions.
//! 2. What the transaction had set, locked and prepared is so afterwards, too.
//! 3. No other catalog has its version.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::cells::RawRow;
use super::load::{Answers, LoadError};
use super::numbers::Numbers;
use super::parts::CatalogParts;
use super::queries::Query;
use super::snapshot::{Catalog, RelationKind};
use super::{compare, rows};
use crate::sql::name::ObjectName;
use crate::topology::{ShardId, Topology};

/// Ahead of the questions: by names and in notations that the client's settings have no part in.
pub const BEGIN: &str = "SAVEPOINT meridian_definitions; SET LOCAL search_path = pg_catalog; \
    SET LOCAL quote_all_identifiers = off; SET LOCAL standard_conforming_strings = on; \
    SET LOCAL DateStyle = ISO; SET LOCAL IntervalStyle = postgres; SET LOCAL bytea_output = hex; \
    SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '2s'";

/// Behind them, whatever became of them.
pub const END: &str = "ROLLBACK TO SAVEPOINT meridian_definitions; RELEASE SAVEPOINT meridian_definitions";

/// Versions of catalogs in force are smaller.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1 << 63);

/// The questions, to be asked in this order. What is asked first is asked last again.
pub fn texts() -> impl Iterator<Item = &'static str> {
    std::iter::once(Query::Fingerprint).chain(Query::ALL).map(Query::text)
}

/// One answer in binary: the body of its RowDescription, and those of its DataRows.
pub type Answer = (Bytes, Vec<Bytes>);

/// What the answers to [`texts`] say of one shard; None: something was changed between them.
///
/// Views whose tables others alter cannot be shown, without waiting for those. What nobody here has `changed` by its name is as the
/// catalog in force says.
pub fn read_parts(
    answers: impl IntoIterator<Item = Answer>,
    in_force: &Catalog,
    changed: &HashSet<String>,
) -> Result<Option<CatalogParts>, LoadError> {
    let rows = answers.into_iter().map(|(description, rows)| RawRow::all(&description, rows));
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    if rows.len() != 1 + Query::ALL.len() {
        return Err(LoadError::value("an answer is missing"));
    }
    let first = rows.remove(0);
    let answers = Answers { version: in_force.server_version, begun: Vec::new(), rows };
    answers.check_size()?;
    let is_system =
        |name: &ObjectName| matches!(name.schema.as_deref(), Some("pg_catalog" | "information_schema"));
    let built_in = in_force.functions.iter().filter(|(name, _)| is_system(name));
    let built_in = built_in.map(|(name, info)| (name.clone(), *info)).collect();
    let mut parts = rows::interpret(&answers, built_in)?;
    let mut hidden = parts.relations.values_mut().filter(|info| {
        info.kind == RelationKind::View && info.definition.is_none() && !is_system(&info.name)
    });
    let is_shown = hidden.all(|info| {
        let known = in_force.relations.get(&info.name).filter(|known| {
            let names = known.reads.iter().chain([&known.name]);
            names.into_iter().all(|name| !changed.contains(&name.name))
        });
        info.definition = known.and_then(|known| known.definition.clone());
        info.definition.is_some()
    });
    let is_whole = answers.same_fingerprint(&first)? && is_shown;
    Ok(is_whole.then_some(parts))
}

/// The catalog of a transaction that sees these definitions on the shards; None: not on all of them, the default shard first.
pub fn make_catalog(
    shards: Vec<(ShardId, CatalogParts)>,
    topology: &Topology,
    in_force: &Catalog,
) -> Option<Catalog> {
    let named: Vec<_> = shards.iter().map(|(id, parts)| (topology.shard(*id).name.as_str(), parts)).collect();
    let drift = compare(&named);
    let of = |shard: ShardId| shards.iter().find(|(id, _)| *id == shard).map(|(_, parts)| &parts.objects);
    let default = Arc::clone(of(topology.default_shard)?);
    let all = topology.all_shards();
    let numbers = all.iter().map(|shard| Some(Numbers::between(Some(of(shard)?), &default)));
    let numbers = numbers.collect::<Option<Vec<_>>>()?;
    let (_, parts) = shards.into_iter().find(|(id, _)| *id == topology.default_shard)?;
    let version = NEXT_VERSION.fetch_add(1, Ordering::Relaxed);
    Some(Catalog {
        numbers,
        defined_at: in_force.defined_at.clone(),
        defaults: Arc::clone(&in_force.defaults),
        ..parts.into_catalog(version, &drift)
    })
}
