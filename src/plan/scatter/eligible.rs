//! Whether the union of what the shards answer is the answer: decided from facts, catalog and topology.
//!
//! The rows of the outermost block must be the disjoint union of its rows on each shard. That holds when at least
//! one sharded table is joined in, every sharded table is on the preserved side, all of them are joined by equality
//! of keys with one placement, and everything else is the same on every shard: reference tables, functions of
//! constants, subqueries over reference tables.
//!
//! Invariants:
//! 1. A relation that cannot be resolved refuses; it is never taken for a reference table.
//! 2. Only conditions that are implied by WHERE and inner joins ([`Block::filter`]) prove a colocated join.
//!
//! Not here: what the select list does with the rows ([`super::compile`](super::Scatter::compile)).

use crate::catalog::{Collation, RelationInfo, RelationKind};
use crate::plan::PlanningContext;
use crate::plan::refusal::Refusal;
use crate::sql::facts::{Block, ColumnRef, Facts, Kind, Predicate, Relation};
use crate::sql::name::ObjectName;
use crate::topology::placement::{Placement, TableRule};

use super::functions;
use super::refusals::Reason;

/// How a relation's rows lie.
enum Spread<'a> {
    Sharded(&'a TableRule),
    Replicated,
}

struct Sharded<'a> {
    relation: &'a Relation,
    info: &'a RelationInfo,
    rule: &'a TableRule,
}

/// Ok: the statement may be asked of every shard that its route names, and the rows combined.
pub fn may_scatter(facts: &Facts, ctx: &PlanningContext) -> Result<(), Refusal> {
    match facts.kind {
        Kind::Select { locking: true, .. } => return Err(Reason::Locking.refusal("")),
        Kind::Select { into: true, .. } => return Err(Reason::Into.refusal("")),
        Kind::Select { .. } => {}
        _ => return Err(Reason::NotASelect.refusal("")),
    }
    if facts.shadowed {
        return Err(Reason::RoundTrip.refusal(""));
    }
    for call in &facts.functions {
        functions::may_run(call, ctx)?;
    }
    for child in &facts.block.children {
        replicated_only(child, ctx)?;
    }
    let mut sharded = Vec::new();
    for relation in &facts.block.relations {
        let info = resolve(&relation.name, ctx)?;
        let Spread::Sharded(rule) = spread(info, ctx)? else { continue };
        if relation.nullable {
            return Err(Reason::OuterJoin.refusal(&relation.name.to_string()));
        }
        sharded.push(Sharded { relation, info, rule });
    }
    match sharded.len() {
        0 => Err(Reason::NotASelect.refusal("no sharded table in FROM")),
        1 => Ok(()),
        _ => colocated(&facts.block, &sharded),
    }
}

fn replicated_only(block: &Block, ctx: &PlanningContext) -> Result<(), Refusal> {
    for relation in &block.relations {
        let info = resolve(&relation.name, ctx)?;
        if let Spread::Sharded(_) = spread(info, ctx)? {
            return Err(Reason::Subquery.refusal(&relation.name.to_string()));
        }
    }
    block.children.iter().try_for_each(|child| replicated_only(child, ctx))
}

fn resolve<'a>(name: &ObjectName, ctx: &'a PlanningContext) -> Result<&'a RelationInfo, Refusal> {
    ctx.catalog
        .resolve(name, &ctx.search_path)
        .ok_or_else(|| Reason::UnknownRelation.refusal(&name.to_string()))
}

fn spread<'a>(info: &'a RelationInfo, ctx: &'a PlanningContext) -> Result<Spread<'a>, Refusal> {
    let name = &info.name;
    let single = || Err(Reason::SingleTable.refusal(&name.to_string()));
    if info.kind == RelationKind::View {
        // `reads` looks through views already.
        let reads_reference = |read: &ObjectName| match ctx.topology.rule(read).map(|rule| &rule.placement) {
            Some(Placement::Reference) => true,
            Some(_) => false,
            None => ctx.catalog.relations.get(read).is_some_and(|r| r.kind == RelationKind::View),
        };
        return match info.reads.iter().all(reads_reference) {
            true => Ok(Spread::Replicated),
            false => Err(Reason::View.refusal(&name.to_string())),
        };
    }
    let rule = ctx.topology.rule(name).or_else(|| parent_rule(info, ctx));
    match rule {
        None => single(),
        Some(rule) => match rule.placement {
            Placement::Single(_) => single(),
            Placement::Reference => Ok(Spread::Replicated),
            Placement::Region { .. }
            | Placement::Geo
            | Placement::Hash(_)
            | Placement::List(_)
            | Placement::Range(_) => Ok(Spread::Sharded(rule)),
        },
    }
}

/// The rule of the partitioned table that this is a partition of.
fn parent_rule<'a>(info: &RelationInfo, ctx: &'a PlanningContext) -> Option<&'a TableRule> {
    const LEVELS_MAX: usize = 16;
    let mut parents = &info.parents;
    for _ in 0..LEVELS_MAX {
        let parent = parents.first()?;
        if let Some(rule) = ctx.topology.rule(parent) {
            return Some(rule);
        }
        parents = &ctx.catalog.relations.get(parent)?.parents;
    }
    None
}

/// Every sharded table hangs together with the first by equality of keys.
fn colocated(block: &Block, tables: &[Sharded<'_>]) -> Result<(), Refusal> {
    let mut reached = vec![false; tables.len()];
    reached[0] = true;
    let mut conjuncts = Vec::new();
    collect_equalities(&block.filter, &mut conjuncts);
    let links: Vec<(usize, usize)> = conjuncts
        .iter()
        .filter_map(|(a, b)| Some((key_owner(a, tables)?, key_owner(b, tables)?)))
        .filter(|(a, b)| same_placement(&tables[*a], &tables[*b]))
        .collect();
    for _ in 0..tables.len() {
        for (a, b) in &links {
            let either = reached[*a] || reached[*b];
            reached[*a] = either;
            reached[*b] = either;
        }
    }
    match reached.iter().position(|reached| !reached) {
        None => Ok(()),
        Some(alone) => Err(Reason::NotColocated.refusal(&tables[alone].relation.name.to_string())),
    }
}

fn collect_equalities<'a>(predicate: &'a Predicate, into: &mut Vec<(&'a ColumnRef, &'a ColumnRef)>) {
    match predicate {
        Predicate::ColumnsEqual(a, b) => into.push((a, b)),
        Predicate::And(parts) => parts.iter().for_each(|part| collect_equalities(part, into)),
        Predicate::Unknown
        | Predicate::Constant(_)
        | Predicate::Or(_)
        | Predicate::Compare { .. }
        | Predicate::In { .. }
        | Predicate::EqualAny { .. }
        | Predicate::Like { .. }
        | Predicate::StartsWith { .. }
        | Predicate::IsNull { .. } => {}
    }
}

/// The table whose key this column is, when that is certain.
fn key_owner(column: &ColumnRef, tables: &[Sharded<'_>]) -> Option<usize> {
    if column.cast.is_some() {
        return None;
    }
    let named = |table: &Sharded<'_>| match (&column.qualifier, &table.relation.alias) {
        (None, _) => table.info.columns.iter().any(|c| c.name == column.column),
        (Some(qualifier), Some(alias)) => qualifier.schema.is_none() && qualifier.name == *alias,
        (Some(qualifier), None) => {
            qualifier.name == table.relation.name.name
                && qualifier
                    .schema
                    .as_ref()
                    .is_none_or(|schema| Some(schema) == table.info.name.schema.as_ref())
        }
    };
    let mut owners = tables.iter().enumerate().filter(|(_, table)| named(table));
    let (index, table) = owners.next()?;
    let certain = owners.next().is_none() && !table.relation.opaque_columns;
    (certain && key_column(&table.rule.placement) == Some(column.column.as_str())).then_some(index)
}

fn key_column(placement: &Placement) -> Option<&str> {
    match placement {
        Placement::Region { key } => Some(key),
        Placement::Hash(hash) => Some(&hash.key),
        Placement::List(list) => Some(&list.key),
        Placement::Range(range) => Some(&range.key),
        Placement::Geo | Placement::Reference | Placement::Single(_) => None,
    }
}

/// Equal keys of the two tables lie on one shard.
fn same_placement(a: &Sharded<'_>, b: &Sharded<'_>) -> bool {
    let same_map = match (&a.rule.placement, &b.rule.placement) {
        (Placement::Region { .. }, Placement::Region { .. }) => true,
        (Placement::Hash(x), Placement::Hash(y)) => x.slots == y.slots,
        (Placement::List(x), Placement::List(y)) => x.values == y.values && x.otherwise == y.otherwise,
        (Placement::Range(x), Placement::Range(y)) => {
            x.ranges.len() == y.ranges.len()
                && x.ranges
                    .iter()
                    .zip(&y.ranges)
                    .all(|(p, q)| p.from == q.from && p.to == q.to && p.shard == q.shard)
        }
        _ => false,
    };
    let column = |table: &Sharded<'_>| {
        let key = key_column(&table.rule.placement)?;
        let column = table.info.columns.iter().find(|c| c.name == key)?;
        Some((column.type_oid, column.collation))
    };
    match (column(a), column(b)) {
        (Some((x, collation_x)), Some((y, collation_y))) => {
            let byte_equal = |c| c != Collation::Nondeterministic;
            same_map && x == y && byte_equal(collation_x) && byte_equal(collation_y)
        }
        _ => false,
    }
}
