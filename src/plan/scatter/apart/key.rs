//! Which tables are sharded, and when two of their keys lead to one shard.
//!
//! Invariant: a relation is the same everywhere only if a rule says so.

use crate::catalog::{Collation, Column, RelationInfo, RelationKind};
use crate::plan::PlanningContext;
use crate::plan::refusal::Refusal;
use crate::sql::name::ObjectName;
use crate::topology::ShardId;
use crate::topology::placement::{Placement, TableRule};

use super::super::refusals::Reason;

/// A column whose value names the shard of the row that it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub rule: &'a TableRule,
    pub column: &'a Column,
    pub nulls: Nulls,
    /// `=` may not be PostgreSQL's own.
    pub compared_otherwise: bool,
}

/// Where rows are in which a key is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Never,
    On(ShardId),
    Anywhere,
}

impl Nulls {
    /// Of rows of either kind.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, known) | (known, Self::Never) => known,
            (Self::On(one), Self::On(other)) if one == other => Self::On(one),
            _ => Self::Anywhere,
        }
    }
}

impl Key<'_> {
    /// Rows with equal values, or none, are on one shard.
    pub fn is_fixed(&self) -> bool {
        self.nulls != Nulls::Anywhere
    }

    /// Equal values of the two lie on one shard.
    pub fn meets(&self, other: &Self) -> bool {
        let same_map = match (&self.rule.placement, &other.rule.placement) {
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
        let same_type = self.column.type_oid == other.column.type_oid;
        let same_equality = !self.compared_otherwise && !other.compared_otherwise;
        same_map && same_type && same_equality && self.is_told_by_bytes() && other.is_told_by_bytes()
    }

    /// Equal values are placed alike: a collation may hold those to be equal that differ in bytes.
    pub fn is_told_by_bytes(&self) -> bool {
        self.column.collation != Collation::Nondeterministic
    }
}

/// How a relation's rows lie.
pub(super) enum Spread<'a> {
    Sharded(&'a TableRule),
    Replicated,
}

pub(super) fn spread<'a>(info: &'a RelationInfo, ctx: &'a PlanningContext) -> Result<Spread<'a>, Refusal> {
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
