//! ALTER of what rows are placed by: a table's name, its schema, its family, the type of its key.
//!
//! Called by `commands` for DDL, and by the session for what only the rows can tell ([`adopted`]). A table is placed by the
//! rule that is configured under its name, or by that of its parent; under another name, or by itself, it would be a table of
//! the default shard, and its rows on other shards would be seen no more.
//!
//! Invariants:
//! 1. After DDL that was let through every row is where the rule of its table, as it is named then, looks for it.
//!
//! Not here: what DDL computes for rows that are there (`computed`).

use crate::catalog::Column;
use crate::sql::facts::{Alteration, Facts, Kind, Relative};
use crate::sql::name::ObjectName;
use crate::topology::{KeyType, TableRule};

use super::action::PlanningContext;
use super::commands::has_word;
use super::fired::family;
use super::home::{self, Home};
use super::refusal::{self, Refusal};
use super::scope;

/// Types between which a key may change: its values stay equal to what they were, and so does their hash.
const INTEGERS: [&[&str]; 7] =
    [&["smallint"], &["int"], &["integer"], &["bigint"], &["int2"], &["int4"], &["int8"]];
const TEXTS: [&[&str]; 3] = [&["text"], &["varchar"], &["character", "varying"]];
/// Of coordinates.
const NUMBERS: [&[&str]; 3] = [&["double", "precision"], &["float8"], &["numeric"]];

pub(super) fn check(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    refuse_rename(facts, context)?;
    let Kind::Ddl { alters, .. } = &facts.kind else { return Ok(()) };
    for alteration in alters {
        match alteration {
            Alteration::RenameSchema(schema) => refuse_schema(context, schema)?,
            Alteration::Joins(relative) => {
                if let Some((child, parent)) = relatives(facts, context, relative) {
                    refuse_stranger(context, &child, &parent)?;
                }
            }
            Alteration::Leaves(relative) => {
                if let Some((child, parent)) = relatives(facts, context, relative) {
                    refuse_parting(context, &child, &parent)?;
                }
            }
            Alteration::Drops(column) => refuse_drop(facts, context, column)?,
            Alteration::Born(_)
            | Alteration::Adds { .. }
            | Alteration::Defaults { .. }
            | Alteration::Copies(_) => {}
            Alteration::Retypes { column, words, converted, .. } => {
                refuse_type(facts, context, column, words, *converted)?;
            }
        }
    }
    Ok(())
}

/// The tables without a rule of their own that DDL makes children of placed ones: they must have no rows, which would be on the
/// default shard only. With each its parent.
pub fn adopted(facts: &Facts, context: &PlanningContext) -> Vec<(ObjectName, ObjectName)> {
    let Kind::Ddl { alters, .. } = &facts.kind else { return Vec::new() };
    let joins = alters.iter().filter_map(|alteration| match alteration {
        Alteration::Joins(relative) => relatives(facts, context, relative),
        _ => None,
    });
    joins
        .filter(|(child, parent)| context.topology.rule(child).is_none() && is_placed(context, parent))
        .collect()
}

/// ALTER TABLE configured RENAME TO …, or SET SCHEMA.
fn refuse_rename(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    let has_word = |word: &str| has_word(facts, word);
    let moves = has_word("set") && has_word("schema");
    if !moves && !has_word("rename") {
        return Ok(());
    }
    let of_part = !moves && !matches!(facts.kind, Kind::Ddl { renames: true, .. });
    let harmless = |rule: &TableRule| of_part && !configured_columns(rule).any(has_word);
    let configured = |rule: &&TableRule| has_word(&rule.name.name);
    let named = context.topology.tables.iter().filter(configured).find(|rule| !harmless(rule));
    // A column's new name is that of all tables that inherit it.
    let inherits = |table: &ObjectName| match home::of(context, table) {
        Home::Sharded { rule, .. } if of_part && !harmless(rule) => Some(rule),
        _ => None,
    };
    let inheriting = || altered(facts, context).iter().find_map(inherits);
    match named.or_else(inheriting) {
        Some(rule) => Err(refusal::RENAME.naming(&[&rule.name.name])),
        None => Ok(()),
    }
}

pub(super) fn configured_columns(rule: &TableRule) -> impl Iterator<Item = &str> {
    let position = rule.position.iter().flat_map(|p| [&p.latitude, &p.longitude, &p.geohash]);
    rule.key().into_iter().chain(position.flatten().map(String::as_str))
}

fn refuse_schema(context: &PlanningContext, schema: &str) -> Result<(), Refusal> {
    let within = |rule: &&TableRule| rule.name.schema.as_deref() == Some(schema);
    match context.topology.tables.iter().find(within) {
        Some(rule) => Err(refusal::RENAME.naming(&[&rule.name.name])),
        None => Ok(()),
    }
}

/// Child and parent, as they are called in full.
fn relatives(
    facts: &Facts,
    context: &PlanningContext,
    relative: &Relative,
) -> Option<(ObjectName, ObjectName)> {
    let target = facts.targets.first()?;
    let (child, parent) = match relative {
        Relative::Child(child) => (child, target),
        Relative::Parent(parent) => (target, parent),
    };
    let full = |name: &ObjectName| home::resolve(context, name).unwrap_or_else(|| name.clone());
    Some((full(child), full(parent)))
}

/// By a rule, its own or a parent's.
fn is_placed(context: &PlanningContext, name: &ObjectName) -> bool {
    matches!(home::of(context, name), Home::Sharded { .. } | Home::Reference { .. })
}

/// Both have rules, and not the same.
fn refuse_stranger(
    context: &PlanningContext,
    child: &ObjectName,
    parent: &ObjectName,
) -> Result<(), Refusal> {
    let rule = match home::of(context, parent) {
        Home::Sharded { rule, .. } | Home::Reference { rule, .. } => rule,
        _ => return Ok(()),
    };
    match context.topology.rule(child) {
        Some(own) if own.key() != rule.key() || own.placement != rule.placement => {
            Err(refusal::FAMILY.naming(&[&child.name, &parent.name]))
        }
        Some(_) | None => Ok(()),
    }
}

/// The child was placed by its parent's rule, and would be by none.
fn refuse_parting(context: &PlanningContext, child: &ObjectName, parent: &ObjectName) -> Result<(), Refusal> {
    match context.topology.rule(child).is_none() && is_placed(context, parent) {
        true => Err(refusal::PARTING.naming(&[&child.name, &parent.name])),
        false => Ok(()),
    }
}

/// Rows would be where a value has put them that is gone; another column of the name says nothing of it.
fn refuse_drop(facts: &Facts, context: &PlanningContext, column: &str) -> Result<(), Refusal> {
    for table in altered(facts, context) {
        if let Home::Sharded { rule, info: Some(_) } = home::of(context, &table)
            && configured_columns(rule).any(|configured| configured == column)
        {
            return Err(refusal::KEY_DROPPED.naming(&[column, &rule.name.name]));
        }
    }
    Ok(())
}

/// The table that is altered, with all that inherit its columns.
pub(super) fn altered(facts: &Facts, context: &PlanningContext) -> Vec<ObjectName> {
    let Some(target) = facts.targets.first() else { return Vec::new() };
    family(context, target)
}

/// Rows of a table with several parents are placed as those of one of them, and looked for as those of each.
pub(super) fn check_parents(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    let Kind::Ddl { alters, .. } = &facts.kind else { return Ok(()) };
    let Some(Alteration::Born(parents)) = alters.first() else { return Ok(()) };
    if let Kind::Ddl { creates: Some(child), .. } = &facts.kind {
        let full = |name: &ObjectName| home::resolve(context, name).unwrap_or_else(|| name.clone());
        parents.iter().try_for_each(|parent| refuse_stranger(context, &full(child), &full(parent)))?;
    }
    let rule = |parent: &ObjectName| match home::of(context, parent) {
        Home::Sharded { rule, .. } | Home::Reference { rule, .. } => Some(rule),
        _ => None,
    };
    for (parent, other) in parents.iter().zip(parents.iter().skip(1)) {
        let alike = match (rule(parent), rule(other)) {
            (Some(one), Some(two)) => one.key() == two.key() && one.placement == two.placement,
            (None, None) => true,
            _ => false,
        };
        if !alike {
            return Err(refusal::FAMILY.naming(&[&other.name, &parent.name]));
        }
    }
    Ok(())
}

fn refuse_type(
    facts: &Facts,
    context: &PlanningContext,
    column: &str,
    words: &[String],
    converted: bool,
) -> Result<(), Refusal> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    altered(facts, context).iter().try_for_each(|table| match home::of(context, table) {
        Home::Sharded { rule, info } if configured_columns(rule).any(|configured| configured == column) => {
            let known = info.and_then(|info| info.columns.iter().find(|known| known.name == column));
            match keeps_keys(rule, column, known, &words, converted) {
                true => Ok(()),
                false => Err(refusal::KEY_TYPE.naming(&[column, &rule.name.name])),
            }
        }
        _ => Ok(()),
    })
}

/// Whether values of the column are the same keys as values of the type.
fn keeps_keys(
    rule: &TableRule,
    column: &str,
    known: Option<&Column>,
    words: &[&str],
    converted: bool,
) -> bool {
    match known.and_then(scope::key_type) {
        _ if converted => false,
        Some(KeyType::SmallInt | KeyType::Integer | KeyType::BigInt) => INTEGERS.contains(&words),
        Some(KeyType::Text | KeyType::Varchar(_)) => TEXTS.contains(&words),
        Some(_) => false,
        None => rule.key() != Some(column) && NUMBERS.contains(&words),
    }
}
