//! Where the rows of a named relation live: the name resolved by catalog and search_path, and the rule that governs it.
//!
//! Called by `make` for every relation of a statement; calls the catalog and the topology.
//!
//! ```text
//! name ─▶ first schema of the path with such a relation ─▶ its own rule
//!                                                        ├▶ the rule of a parent (partition, inheritance)
//!                                                        ├▶ view: what it reads
//!                                                        └▶ none: a table of the default shard
//! ```
//!
//! Invariants:
//! 1. A relation through which rows of a sharded table can be read is never [`Home::Single`] or [`Home::Elsewhere`].
//! 2. A configured table that the catalog does not know (yet) is governed by its rule all the same.

use crate::catalog::{Catalog, RelationInfo, RelationKind};
use crate::sql::name::ObjectName;
use crate::topology::{Placement, ShardId, TableRule, Topology};

use super::action::PlanningContext;

/// Parents and views are followed so far: a catalog with a cycle must not hang us.
const DEPTH_MAX: usize = 16;

/// Where the rows of a relation live.
#[derive(Debug, Clone, Copy)]
pub(super) enum Home<'a> {
    /// Rows split by the rule. No info: the catalog does not know the table.
    Sharded { rule: &'a TableRule, info: Option<&'a RelationInfo> },
    /// The same rows everywhere.
    Reference { rule: &'a TableRule, info: Option<&'a RelationInfo> },
    /// Not a table with a rule, but sharded rows are behind it: a view, a materialized view, a parent.
    OverSharded,
    /// A view of reference tables.
    OverReference,
    /// A table of one shard.
    Single(ShardId),
    /// A catalog, or a name that nobody knows: the default shard answers for itself.
    Elsewhere(ShardId),
}

/// What the name means in this context.
pub(super) fn of<'a>(context: &'a PlanningContext, name: &ObjectName) -> Home<'a> {
    let topology = &*context.topology;
    let catalog = &*context.catalog;
    let Some(qualified) = resolve(context, name) else {
        return Home::Elsewhere(topology.default_shard);
    };
    match catalog.relations.get(&qualified) {
        Some(info) => of_known(topology, catalog, info, 0),
        None => match topology.rule(&qualified) {
            Some(rule) => by_rule(rule, None),
            None => Home::Elsewhere(topology.default_shard),
        },
    }
}

/// Whether the relation is wholly on this shard, as far as a statement there reads it, or writes it.
pub fn is_whole_on(context: &PlanningContext, name: &ObjectName, shard: ShardId, written: bool) -> bool {
    match of(context, name) {
        Home::Single(home) | Home::Elsewhere(home) => home == shard,
        Home::Reference { .. } | Home::OverReference => !written,
        Home::Sharded { .. } | Home::OverSharded => false,
    }
}

/// The qualified name of the first relation in the search path, by what the catalog or the configuration knows.
pub(super) fn resolve(context: &PlanningContext, name: &ObjectName) -> Option<ObjectName> {
    let known = |candidate: &ObjectName| {
        context.catalog.relations.contains_key(candidate) || context.topology.rule(candidate).is_some()
    };
    if name.schema.is_some() {
        return known(name).then(|| name.clone());
    }
    let explicit = context.search_path.iter().any(|schema| schema == "pg_catalog");
    let implicit = (!explicit).then_some("pg_catalog");
    implicit
        .into_iter()
        .chain(context.search_path.iter().map(String::as_str))
        .map(|schema| ObjectName::qualified(schema, name.name.as_str()))
        .find(known)
}

/// Whether rows of an unlogged table are read with the relation's: there are none on replicas.
pub(super) fn is_unlogged(context: &PlanningContext, info: &RelationInfo, depth: usize) -> bool {
    let mut others = info.reads.iter().chain(&info.children);
    let of = |name: &ObjectName| {
        let info = context.catalog.relations.get(name);
        info.is_some_and(|info| is_unlogged(context, info, depth + 1))
    };
    info.unlogged || depth < DEPTH_MAX && others.any(of)
}

fn of_known<'a>(
    topology: &'a Topology,
    catalog: &'a Catalog,
    info: &'a RelationInfo,
    depth: usize,
) -> Home<'a> {
    if let Some(rule) = topology.rule(&info.name).filter(|_| has_placed_rows(info.kind)) {
        return match rule.placement {
            Placement::Single(_) if sharded_below(topology, catalog, info, depth) => Home::OverSharded,
            _ => by_rule(rule, Some(info)),
        };
    }
    if depth >= DEPTH_MAX {
        return Home::OverSharded;
    }
    let related = |name: &ObjectName| catalog.relations.get(name);
    for parent in info.parents.iter().filter_map(related) {
        match of_known(topology, catalog, parent, depth + 1) {
            Home::Sharded { rule, .. } => return Home::Sharded { rule, info: Some(info) },
            Home::Reference { rule, .. } => return Home::Reference { rule, info: Some(info) },
            Home::Single(shard) => return Home::Single(shard),
            Home::OverSharded | Home::OverReference | Home::Elsewhere(_) => {}
        }
    }
    if let Some(shard) = shard_of_owner(topology, info) {
        return Home::Single(shard);
    }
    match info.kind {
        RelationKind::View | RelationKind::MaterializedView => of_view(topology, catalog, info, depth),
        _ if sharded_below(topology, catalog, info, depth) => Home::OverSharded,
        _ if is_system(&info.name) => Home::Elsewhere(topology.default_shard),
        _ => Home::Single(topology.default_shard),
    }
}

/// A sequence that numbers the rows of a single table is drawn from where these are.
pub(super) fn shard_of_owner(topology: &Topology, info: &RelationInfo) -> Option<ShardId> {
    match topology.rule(info.owner.as_ref()?)?.placement {
        Placement::Single(shard) => Some(shard),
        _ => None,
    }
}

/// A rule is a table's: a view, a materialized view or a sequence of its name is what it is.
fn has_placed_rows(kind: RelationKind) -> bool {
    !matches!(kind, RelationKind::View | RelationKind::MaterializedView | RelationKind::Sequence)
}

fn by_rule<'a>(rule: &'a TableRule, info: Option<&'a RelationInfo>) -> Home<'a> {
    match rule.placement {
        Placement::Reference => Home::Reference { rule, info },
        Placement::Single(shard) => Home::Single(shard),
        _ => Home::Sharded { rule, info },
    }
}

/// A view is like what it reads. A materialized view has rows of its own, made where the tables that it reads have
/// theirs; of reference tables, each shard may have refreshed it at another time, so that the default shard's counts.
/// Where sharded rows went into it, each shard holds another part.
fn of_view<'a>(
    topology: &'a Topology,
    catalog: &'a Catalog,
    info: &'a RelationInfo,
    depth: usize,
) -> Home<'a> {
    let home = |name: &ObjectName| match catalog.relations.get(name) {
        Some(read) => of_known(topology, catalog, read, depth + 1),
        None => match topology.rule(name) {
            Some(rule) => by_rule(rule, None),
            None => Home::Elsewhere(topology.default_shard),
        },
    };
    let mut only_reference = !info.reads.is_empty() && info.kind == RelationKind::View;
    let mut single = None;
    for name in &info.reads {
        match home(name) {
            Home::Sharded { .. } | Home::OverSharded => return Home::OverSharded,
            Home::Reference { .. } | Home::OverReference => {}
            Home::Single(shard) | Home::Elsewhere(shard) => {
                only_reference = false;
                if single.is_some_and(|known| known != shard) {
                    return Home::OverSharded;
                }
                single = Some(shard);
            }
        }
    }
    if only_reference {
        return Home::OverReference;
    }
    if is_system(&info.name) {
        return Home::Elsewhere(topology.default_shard);
    }
    Home::Single(single.unwrap_or(topology.default_shard))
}

/// A parent that is not sharded itself, with a child whose rows are elsewhere too.
fn sharded_below(topology: &Topology, catalog: &Catalog, info: &RelationInfo, depth: usize) -> bool {
    if depth >= DEPTH_MAX {
        return true;
    }
    let own = match topology.rule(&info.name).map(|rule| &rule.placement) {
        Some(Placement::Single(shard)) => *shard,
        _ => topology.default_shard,
    };
    info.children.iter().any(|child| {
        let ruled = topology.rule(child).is_some_and(|rule| rule.placement != Placement::Single(own));
        let below = || {
            catalog.relations.get(child).is_some_and(|info| sharded_below(topology, catalog, info, depth + 1))
        };
        ruled || below()
    })
}

fn is_system(name: &ObjectName) -> bool {
    name.schema.as_deref().is_some_and(|schema| {
        schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast"
    })
}
