//! INSERT, UPDATE, DELETE, MERGE and WITH that changes data.
//!
//! Called by `make`. A write to a sharded table is relayed where everything in it is for one shard; a write to a
//! reference table goes everywhere, and must therefore mean the same everywhere; anything else is refused.
//!
//! Invariants:
//! 1. No row is written to a shard that is not its home.
//! 2. The copies of a reference table stay equal: nothing that differs between servers decides what is written.

use crate::catalog::RelationInfo;
use crate::sql::facts::{CastUse, Cell, Delete, Facts, Insert, InsertSource, OnConflict, Relation, Update};
use crate::topology::{Placement, TableRule};

use super::action::{Access, Action, Many, PlanningContext};
use super::bind::Route;
use super::changes::Changes;
use super::code;
use super::fired::{self, Change};
use super::functions::Demands;
use super::home::{self, Home};
use super::make::Outcome;
use super::refusal::{self, Limit, Refusal};
use super::rows::Rows;
use super::scope;
use super::survey::{Fixed, Survey};

pub(super) fn insert(facts: &Facts, context: &PlanningContext, insert: &Insert) -> Result<Outcome, Refusal> {
    let table = insert.target.name.to_string();
    match home::of(context, &insert.target.name) {
        Home::Sharded { rule, info } => {
            refuse_rules(&table, info)?;
            fired::refuse_change(context, &insert.target.name, None, &of_conflicts(insert))?;
            let rows = Rows::of(rule, info, insert)?;
            let sets = match &insert.on_conflict {
                Some(conflict) => conflict_sets(context, &table, (rule, info), conflict)?,
                None => None,
            };
            let changes = changes(&table, rule, info, Some(sets.unwrap_or_default()))?;
            let survey = Survey::of_sources(context, &facts.block);
            let route = Route { rows: Some(rows), changes, ..Route::default() };
            relayed(facts, context, &survey, (&table, &refusal::ROWS_OVER_SHARDS.naming(&[&table])), route)
        }
        Home::Reference { info, .. } => {
            let survey = Survey::of_sources(context, &facts.block);
            refuse_defaults(&table, info, insert)?;
            if let Some(OnConflict::DoUpdate(sets)) = &insert.on_conflict {
                refuse_set_defaults(&table, info, Some(sets))?;
                fired::refuse_change(context, &insert.target.name, None, &of_conflicts(insert))?;
            }
            if let (InsertSource::Query, Some(source)) = (&insert.source, &facts.block.children.first())
                && source.opaque_sources
            {
                // A function in FROM: its rows may come in any order, and defaults with them.
                return Err(refusal::REFERENCE_READS.naming(&[&table, "a query"]));
            }
            everywhere(facts, context, &table, info, survey.members().next().map(|m| m.relation))
        }
        Home::OverSharded | Home::OverReference => Err(refusal::WRITE_TO_VIEW.naming(&[&table])),
        Home::Single(shard) | Home::Elsewhere(shard) => {
            fired::refuse_change(context, &insert.target.name, Some(shard), &of_conflicts(insert))?;
            let survey = Survey::of_sources(context, &facts.block);
            let target = Fixed { shard, name: table };
            single(facts, context, &survey, target)
        }
    }
}

pub(super) fn update(facts: &Facts, context: &PlanningContext, update: &Update) -> Result<Outcome, Refusal> {
    let table = update.target.name.to_string();
    let sets = update.sets.as_deref();
    if let Home::Reference { info, .. } = home::of(context, &update.target.name) {
        refuse_set_defaults(&table, info, sets)?;
    }
    let change_of_rows = [Change::of_sets(sets)];
    change(facts, context, (&update.target, &change_of_rows), &|rule, info| changes(&table, rule, info, sets))
}

pub(super) fn delete(facts: &Facts, context: &PlanningContext, delete: &Delete) -> Result<Outcome, Refusal> {
    change(facts, context, (&delete.target, &[Change::Removes]), &|_, _| Ok(None))
}

type ChangesOf<'c> = &'c dyn Fn(&TableRule, Option<&RelationInfo>) -> Result<Option<Changes>, Refusal>;

fn change(
    facts: &Facts,
    context: &PlanningContext,
    (target, of_rows): (&Relation, &[Change]),
    changes: ChangesOf<'_>,
) -> Result<Outcome, Refusal> {
    let table = target.name.to_string();
    let survey = Survey::new(context, Some(target), &facts.block);
    match home::of(context, &target.name) {
        Home::Sharded { rule, info } => {
            refuse_rules(&table, info)?;
            fired::refuse_change(context, &target.name, None, of_rows)?;
            let route = Route { changes: changes(rule, info)?, ..Route::default() };
            relayed(facts, context, &survey, (&table, &refusal::WRITE_OVER_SHARDS.naming(&[&table])), route)
        }
        Home::Reference { info, .. } => {
            fired::refuse_change(context, &target.name, None, of_rows)?;
            // The target itself is the survey's first member.
            everywhere(facts, context, &table, info, survey.members().nth(1).map(|m| m.relation))
        }
        Home::OverSharded | Home::OverReference => Err(refusal::WRITE_TO_VIEW.naming(&[&table])),
        Home::Single(shard) | Home::Elsewhere(shard) => {
            fired::refuse_change(context, &target.name, Some(shard), of_rows)?;
            single(facts, context, &survey, Fixed { shard, name: table })
        }
    }
}

pub(super) fn merge(facts: &Facts, context: &PlanningContext, target: &Relation) -> Result<Outcome, Refusal> {
    let table = target.name.to_string();
    let survey = Survey::of_sources(context, &facts.block);
    let source = survey.sharded().map(|m| m.relation.name.to_string());
    match home::of(context, &target.name) {
        Home::Single(shard) | Home::Elsewhere(shard) if source.is_none() => {
            fired::refuse_change(context, &target.name, Some(shard), &Change::ANY)?;
            single(facts, context, &survey, Fixed { shard, name: table })
        }
        _ => Err(refusal::MERGE.naming(&[&table])),
    }
}

/// The parts of a WITH are not told apart: only tables of one shard are safe.
pub(super) fn modifying_with(facts: &Facts, context: &PlanningContext) -> Result<Outcome, Refusal> {
    let survey = Survey::of_sources(context, &facts.block);
    if let Some(member) = survey.sharded().or(survey.reference()) {
        return Err(refusal::MODIFYING_WITH.naming(&[&member.relation.name.to_string()]));
    }
    let shard = survey.fixed()?.map_or(context.topology.default_shard, |fixed| fixed.shard);
    // Which of them is written is not told apart.
    survey.members().try_for_each(|member| {
        fired::refuse_change(context, &member.relation.name, Some(shard), &Change::ANY)
    })?;
    single(facts, context, &survey, Fixed { shard, name: "WITH".to_owned() })
}

/// A write to tables of one shard, with everything that it reads there too.
fn single(
    facts: &Facts,
    context: &PlanningContext,
    survey: &Survey<'_>,
    target: Fixed,
) -> Result<Outcome, Refusal> {
    let keyed = survey.sharded().map(|m| m.relation.name.to_string());
    let shard = target.shard;
    let name = target.name.clone();
    let outcome = relayed(
        facts,
        context,
        survey,
        (&name, &refusal::MIXED_HOMES.naming(&[&name, &keyed.clone().unwrap_or_default()])),
        Route { fixed: Some(target), ..Route::default() },
    )?;
    if keyed.is_some() || !matches!(outcome.action, Action::Routed { .. }) {
        return Ok(outcome);
    }
    Ok(Outcome { action: Action::Fixed(shard), ..outcome })
}

/// A write that goes to one shard or is refused.
fn relayed(
    facts: &Facts,
    context: &PlanningContext,
    survey: &Survey<'_>,
    (table, many): (&str, &Refusal),
    mut route: Route,
) -> Result<Outcome, Refusal> {
    let demands = Demands::of(context, facts);
    if let Some(refusal) = demands.refused {
        return Err(refusal);
    }
    let targets_one_shard = route.fixed.is_some();
    let mut fixed = survey.fixed()?;
    if let (Some(target), Some(other)) = (&route.fixed, &fixed)
        && target.shard != other.shard
    {
        return Err(refusal::MIXED_HOMES.naming(&[&target.name, &other.name]));
    }
    fixed = route.fixed.take().or(fixed);
    route.fixed = code::merge(fixed, demands.server)?;
    route.keyed = survey.keyed();
    if let Some(reason) = demands.pinned {
        if route.rows.is_some() || !route.keyed.is_empty() {
            return Err(refusal::MIXED_HOMES.naming(&[reason, "a sharded table"]));
        }
        return Ok(Outcome::new(Action::Pinned(reason), Access::Write));
    }
    // What lives on one shard, beside a sharded target, is what stands in the way.
    let many = match &route.fixed {
        Some(fixed) if !targets_one_shard => refusal::MIXED_HOMES.naming(&[table, &fixed.name]),
        _ => many.clone(),
    };
    Ok(Outcome::routed(Many::Refuse(many), Access::Write, route))
}

/// A write to a reference table: everywhere, if it means the same everywhere. `reads` is another relation in it.
fn everywhere(
    facts: &Facts,
    context: &PlanningContext,
    table: &str,
    info: Option<&RelationInfo>,
    reads: Option<&Relation>,
) -> Result<Outcome, Refusal> {
    refuse_rules(table, info)?;
    let Some(info) = info else { return Err(refusal::CATALOG_UNKNOWN.naming(&[table])) };
    fired::refuse_copies(context, info)?;
    fired::refuse(context, &info.name, None)?;
    if let Some(relation) = reads {
        return Err(refusal::REFERENCE_READS.naming(&[table, &relation.name.to_string()]));
    }
    let demands = Demands::of(context, facts);
    if let Some(refusal) = demands.refused {
        return Err(refusal);
    }
    if let Some(function) = demands.unstable {
        return Err(refusal::REFERENCE_FUNCTION.naming(&[&function, table]));
    }
    if let Some(server) = demands.server {
        return Err(refusal::MIXED_HOMES.naming(&[table, &server.name]));
    }
    if let Some(column) = facts.system_column {
        return Err(refusal::SYSTEM_COLUMN_WRITTEN.naming(&[column, table]));
    }
    if let Some(cast) = facts.casts.iter().find(|cast| may_differ(cast)) {
        let name = cast.type_name.as_deref().unwrap_or("a type");
        return Err(refusal::CAST_DIFFERS.naming(&[name, table]));
    }
    let mut outcome = Outcome::new(Action::Everywhere, Access::Write);
    outcome.route.no_clock_words = true;
    Ok(outcome)
}

/// Whether a cast may give another value on another server. Clocks are read by the input of dates and times: a value's
/// text is looked at when it is bound, a computed text cannot be. Types of the catalog are numbers of one server. A type
/// that is not known may be a domain over any of these.
fn may_differ(cast: &CastUse) -> bool {
    const SAME: [&str; 20] = [
        "int2", "int4", "int8", "numeric", "float4", "float8", "bool", "text", "varchar", "bpchar", "uuid",
        "bytea", "json", "jsonb", "interval", "inet", "cidr", "tsvector", "tsquery", "bit",
    ];
    const CATALOG: [&str; 15] = [
        "oid",
        "regclass",
        "regproc",
        "regprocedure",
        "regoper",
        "regoperator",
        "regtype",
        "regrole",
        "regnamespace",
        "regconfig",
        "regdictionary",
        "regcollation",
        "xid",
        "xid8",
        "pg_lsn",
    ];
    let Some(name) = &cast.type_name else { return true };
    let name = name.trim_end_matches("[]");
    CATALOG.contains(&name) || !SAME.contains(&name) && !cast.of_value
}

/// Refuses defaults that each server would compute for itself.
fn refuse_defaults(table: &str, info: Option<&RelationInfo>, insert: &Insert) -> Result<(), Refusal> {
    let Some(info) = info else { return Err(refusal::CATALOG_UNKNOWN.naming(&[table])) };
    let given = |index: usize, column: &crate::catalog::Column| {
        if column.identity && insert.overrides_user {
            return false;
        }
        let name = &column.name;
        let place = match &insert.columns {
            Some(columns) => columns.iter().position(|listed| listed == name),
            None => Some(index),
        };
        match (&insert.source, place) {
            (_, None) | (InsertSource::DefaultValues, _) => false,
            (InsertSource::Rows(rows), Some(place)) => {
                rows.iter().all(|row| matches!(row.get(place), Some(cell) if *cell != Cell::Default))
            }
            // How many columns the query gives is not known without a list.
            (InsertSource::Query, Some(_)) => insert.columns.is_some(),
        }
    };
    let differs = |(index, column): &(usize, &crate::catalog::Column)| {
        column.default_may_differ() && !given(*index, column)
    };
    match info.columns.iter().enumerate().find(differs) {
        Some((_, column)) => Err(refusal::REFERENCE_DEFAULT.naming(&[&column.name, table])),
        None => Ok(()),
    }
}

/// The same of `SET column = DEFAULT`, where the columns that are set are known.
fn refuse_set_defaults(
    table: &str,
    info: Option<&RelationInfo>,
    sets: Option<&[(String, Cell)]>,
) -> Result<(), Refusal> {
    let Some(info) = info else { return Err(refusal::CATALOG_UNKNOWN.naming(&[table])) };
    let set = |name: &str| {
        sets.is_none_or(|sets| sets.iter().any(|(column, cell)| column == name && *cell == Cell::Default))
    };
    let differs = |column: &&crate::catalog::Column| column.default_may_differ() && set(&column.name);
    match info.columns.iter().find(differs) {
        Some(column) => Err(refusal::REFERENCE_DEFAULT.naming(&[&column.name, table])),
        None => Ok(()),
    }
}

/// What an INSERT does to rows that are there.
fn of_conflicts(insert: &Insert) -> Vec<Change> {
    match &insert.on_conflict {
        Some(OnConflict::DoUpdate(sets)) => vec![Change::of_sets(Some(sets))],
        Some(OnConflict::DoNothing) | None => Vec::new(),
    }
}

/// What DO UPDATE sets. A conflict is seen only on the row's own shard, so every unique set must contain the key.
fn conflict_sets<'c>(
    context: &PlanningContext,
    table: &str,
    (rule, info): (&TableRule, Option<&RelationInfo>),
    conflict: &'c OnConflict,
) -> Result<Option<&'c [(String, Cell)]>, Refusal> {
    let Some(info) = info else { return Err(refusal::CATALOG_UNKNOWN.naming(&[table])) };
    let position = rule.position.as_ref();
    let needed: Vec<&String> = match (&rule.placement, position) {
        (Placement::Geo, Some(position)) => {
            let coordinates: Vec<&String> = position.latitude.iter().chain(&position.longitude).collect();
            if coordinates.is_empty() { position.geohash.iter().collect() } else { coordinates }
        }
        (Placement::Region { key }, _) => vec![key],
        (Placement::Hash(hash), _) => vec![&hash.key],
        (Placement::List(list), _) => vec![&list.key],
        (Placement::Range(range), _) => vec![&range.key],
        (Placement::Geo | Placement::Reference | Placement::Single(_), _) => Vec::new(),
    };
    let limit: &Limit = &refusal::CONFLICT_WITHOUT_KEY;
    for set in fired::written(context, &info.name).into_iter().flat_map(|part| &part.conflict_sets) {
        if let Some(missing) = needed.iter().find(|column| !set.contains(column)) {
            return Err(limit.naming(&[table, missing]));
        }
    }
    match conflict {
        OnConflict::DoNothing => Ok(None),
        OnConflict::DoUpdate(sets) => Ok(Some(sets)),
    }
}

fn changes(
    table: &str,
    rule: &TableRule,
    info: Option<&RelationInfo>,
    sets: Option<&[(String, Cell)]>,
) -> Result<Option<Changes>, Refusal> {
    let column = rule.key().and_then(|key| info?.columns.iter().find(|column| column.name == key));
    Changes::of(table, rule, column.and_then(scope::key_type), sets)
}

fn refuse_rules(table: &str, info: Option<&RelationInfo>) -> Result<(), Refusal> {
    match info {
        Some(info) if info.has_rules => Err(refusal::RULES.naming(&[table])),
        _ => Ok(()),
    }
}
