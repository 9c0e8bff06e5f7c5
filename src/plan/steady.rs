//! Statements that a server plans in one way whatever their values are: one row by a unique key, or rows that are given.
//!
//! For such a one a plan that is kept is as good as one that is made for each execution, and fails where that fails.

use super::PlanningContext;
use crate::catalog::{RelationInfo, RelationKind};
use crate::sql::facts::{Cell, Comparison, Facts, Insert, InsertSource, Kind, Predicate, Relation};

/// Whether the plan of this statement is the same for all values.
pub(super) fn is_steady(facts: &Facts, context: &PlanningContext) -> bool {
    let block = &facts.block;
    let plain = !facts.computes_values && !facts.shadowed && facts.functions.is_empty();
    if !plain || !block.children.is_empty() || block.opaque_sources {
        return false;
    }
    match (&facts.kind, block.relations.as_slice()) {
        (Kind::Insert(insert), []) => gives_rows(insert) && plain_table(&insert.target, context).is_some(),
        (Kind::Select { into: false, .. }, [relation]) => is_one_row(relation, &block.filter, context),
        (Kind::Update(update), []) => is_one_row(&update.target, &block.filter, context),
        (Kind::Delete(delete), []) => is_one_row(&delete.target, &block.filter, context),
        _ => false,
    }
}

fn gives_rows(insert: &Insert) -> bool {
    match &insert.source {
        InsertSource::DefaultValues => true,
        InsertSource::Rows(rows) => rows.iter().flatten().all(|cell| !matches!(cell, Cell::Expression)),
        InsertSource::Query => false,
    }
}

/// Nothing but its own rows: no rule or policy adds to the statement, and no other table has rows of its.
fn plain_table<'c>(relation: &Relation, context: &'c PlanningContext) -> Option<&'c RelationInfo> {
    let info = context.catalog.resolve(&relation.name, &context.search_path);
    info.filter(|info| {
        info.kind == RelationKind::Table
            && !info.has_rules
            && !info.row_security
            && info.children.is_empty()
            && !relation.opaque_columns
    })
}

fn is_one_row(relation: &Relation, filter: &Predicate, context: &PlanningContext) -> bool {
    let given = |column: &String| gives(filter, column);
    plain_table(relation, context)
        .is_some_and(|info| info.unique_sets.iter().any(|set| set.iter().all(given)))
}

/// Whether the filter says that this column has a given value.
fn gives(filter: &Predicate, name: &str) -> bool {
    match filter {
        Predicate::And(parts) => parts.iter().any(|part| gives(part, name)),
        Predicate::Compare { column, comparison: Comparison::Equal, .. } => {
            column.cast.is_none() && column.column == name
        }
        _ => false,
    }
}
