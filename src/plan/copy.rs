//! COPY: where the key and position columns stand in a row, and which COPYs can be split or joined.
//!
//! `make` calls [`plan`]; `execute` places each row of a COPY FROM STDIN with [`CopyIn`]. A sharded COPY must be read
//! exactly as the server would read it, so a format or option that the splitter does not read is refused.

use std::sync::Arc;

use crate::catalog::RelationInfo;
use crate::sql::facts::{Copy, CopyDirection, CopyFormat, CopyHeader, Facts};
use crate::topology::TableRule;

use super::action::{Access, Action, PlanningContext};
use super::fired;
use super::home::{self, Home};
use super::make::Outcome;
use super::refusal::{self, Refusal};
use super::survey::{Fixed, Survey};
use super::{functions::Demands, reads, rows};

/// How the rows of a COPY FROM STDIN are placed. With [`Placement::Reference`](crate::topology::Placement) every shard
/// gets every row.
#[derive(Debug, Clone)]
pub struct CopyIn {
    pub copy: Copy,
    pub rule: TableRule,
    /// Names of the columns of a row, in the row's order.
    pub columns: Vec<String>,
    /// Their types, as the default shard calls them; 0 where the table has no such column.
    pub types: Vec<u32>,
}

pub(super) fn plan(facts: &Facts, context: &PlanningContext, copy: &Copy) -> Result<Outcome, Refusal> {
    let Some(relation) = &copy.table else { return of_query(facts, context, copy) };
    let table = relation.name.to_string();
    let home = home::of(context, &relation.name);
    let writes = copy.direction != CopyDirection::ToStdout;
    let info = home::resolve(context, &relation.name).and_then(|name| context.catalog.relations.get(&name));
    let access = match info {
        _ if writes => Access::Write,
        Some(info) if home::is_unlogged(context, info, 0) => Access::ReadPrimary,
        _ => Access::Read,
    };
    if writes {
        let shard = match home {
            Home::Single(shard) | Home::Elsewhere(shard) => Some(shard),
            Home::Sharded { .. } | Home::Reference { .. } | Home::OverSharded | Home::OverReference => None,
        };
        fired::refuse(context, &relation.name, shard)?;
    }
    match (home, copy.direction) {
        (Home::Single(shard) | Home::Elsewhere(shard), _) => {
            Ok(Outcome::fixed(Fixed { shard, name: table }, access))
        }
        (_, CopyDirection::ServerSide) => Err(refusal::COPY_SERVER_FILE.naming(&[&table])),
        (Home::Reference { .. } | Home::OverReference, CopyDirection::ToStdout) => {
            Ok(Outcome::new(Action::Anywhere, access))
        }
        (Home::OverReference | Home::OverSharded, CopyDirection::FromStdin) => {
            Err(refusal::WRITE_TO_VIEW.naming(&[&table]))
        }
        (Home::OverSharded, CopyDirection::ToStdout) => Err(refusal::VIEW_OVER_SHARDS.naming(&[&table])),
        (Home::Sharded { .. }, CopyDirection::ToStdout) => {
            refuse_form(&table, copy)?;
            let header = copy.header != CopyHeader::No;
            Ok(Outcome::new(Action::CopyOut { header }, access))
        }
        (Home::Sharded { rule, info } | Home::Reference { rule, info }, CopyDirection::FromStdin) => {
            refuse_form(&table, copy)?;
            copy_in(&table, context, facts, copy, (rule, info))
        }
    }
}

fn of_query(facts: &Facts, context: &PlanningContext, copy: &Copy) -> Result<Outcome, Refusal> {
    let default = context.topology.default_shard;
    let outcome = reads::query_inside(facts, context, &refusal::QUERY_OVER_SHARDS)?;
    let elsewhere = !matches!(outcome.action, Action::Fixed(shard) if shard == default);
    if elsewhere && copy.direction == CopyDirection::ServerSide {
        return Err(refusal::COPY_SERVER_FILE.naming(&["a query"]));
    }
    let writes = |word: &String| matches!(word.as_str(), "insert" | "update" | "delete" | "merge");
    if facts.words.iter().any(writes) {
        if elsewhere {
            return Err(refusal::QUERY_OVER_SHARDS.naming(&["a write"]));
        }
        let survey = Survey::of_sources(context, &facts.block);
        survey.members().try_for_each(|m| fired::refuse(context, &m.relation.name, Some(default)))?;
        return Ok(Outcome { access: Access::Write, ..outcome });
    }
    Ok(outcome)
}

fn refuse_form(table: &str, copy: &Copy) -> Result<(), Refusal> {
    let joined = copy.format == CopyFormat::Binary && copy.direction == CopyDirection::ToStdout;
    if joined || copy.other_options {
        return Err(refusal::COPY_FORM.naming(&[table]));
    }
    Ok(())
}

fn copy_in(
    table: &str,
    context: &PlanningContext,
    facts: &Facts,
    copy: &Copy,
    (rule, info): (&TableRule, Option<&RelationInfo>),
) -> Result<Outcome, Refusal> {
    let Some(info) = info else { return Err(refusal::CATALOG_UNKNOWN.naming(&[table])) };
    if let Some(refusal) = Demands::of(context, facts).refused {
        return Err(refusal);
    }
    if info.has_rules {
        return Err(refusal::RULES.naming(&[table]));
    }
    let columns: Vec<String> = match &copy.columns {
        Some(columns) => columns.clone(),
        None => info.columns.iter().filter(|c| !c.generated).map(|c| c.name.clone()).collect(),
    };
    let sent = |name: &str| columns.iter().any(|column| column == name);
    if rule.is_sharded() {
        refuse_missing(table, rule, info, &sent)?;
        rows::refuse_sequences(table, info, sent)?;
    } else {
        fired::refuse_copies(context, info)?;
        let differs = |column: &&crate::catalog::Column| column.default_may_differ() && !sent(&column.name);
        if let Some(column) = info.columns.iter().find(differs) {
            return Err(refusal::REFERENCE_DEFAULT.naming(&[&column.name, table]));
        }
    }
    let type_of = |name: &String| info.columns.iter().find(|c| c.name == *name).map_or(0, |c| c.type_oid);
    let types = columns.iter().map(type_of).collect();
    let copy_in = CopyIn { copy: copy.clone(), rule: rule.clone(), columns, types };
    Ok(Outcome::new(Action::CopyIn(Arc::new(copy_in)), Access::Write))
}

/// The key must be sent; so must every position column that has a default, which the splitter would not see.
fn refuse_missing(
    table: &str,
    rule: &TableRule,
    info: &RelationInfo,
    sent: &impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    if let Some(key) = rule.key().filter(|key| !sent(key)) {
        if !info.columns.iter().any(|column| column.name == key) {
            return Err(refusal::PLACING_COLUMN_ABSENT.naming(&[table, key]));
        }
        return Err(refusal::COPY_COLUMN.naming(&[table, key]));
    }
    let Some(position) = &rule.position else { return Ok(()) };
    let columns = [&position.latitude, &position.longitude, &position.geohash];
    let computed = |name: &&String| {
        let column = info.columns.iter().find(|column| column.name == **name);
        column.is_some_and(|column| column.default.is_some() || column.generated)
    };
    match columns.into_iter().flatten().filter(|name| !sent(name)).find(computed) {
        Some(column) => Err(refusal::COPY_COLUMN.naming(&[table, column])),
        None => Ok(()),
    }
}
