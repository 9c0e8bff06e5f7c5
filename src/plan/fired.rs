//! What a write runs besides itself: triggers, rules, defaults, CHECK constraints, expressions of indexes.
//!
//! Called by `writes`, `copy` and `commands` for every table that is written; asks `code` about bodies. All of it runs on
//! the shard of the row, so what it names must be there.
//!
//! ```text
//!   INSERT INTO rides …       a trigger's words name another table      M051
//!                             … or EXECUTE, another language            M050
//!   INSERT INTO notes …       a rule                                    M038
//!                             a default calls f()                       as SELECT f() there
//! ```
//!
//! Invariants:
//! 1. A trigger may name what lives wholly on the shard where it fires, and its own table.
//! 2. A write through a view fires what its tables fire; one to a parent, what its children fire.

use std::collections::HashSet;

use crate::catalog::{Column, ForeignKey, OnDelete, OnUpdate, RelationInfo, RelationKind};
use crate::sql::facts::Cell;
use crate::sql::name::ObjectName;
use crate::topology::ShardId;

use super::action::PlanningContext;
use super::alterations;
use super::code;
use super::functions;
use super::home::{self, Home};
use super::refusal::{self, Refusal};

/// Refuses a write of which more may come than can be seen. `home`: the one shard that has the table's rows.
pub(super) fn refuse(
    context: &PlanningContext,
    table: &ObjectName,
    home: Option<ShardId>,
) -> Result<(), Refusal> {
    if !code::is_spread(context) {
        return Ok(());
    }
    let Some(name) = home::resolve(context, table) else { return Ok(()) };
    refuse_triggers(context, &name, home)?;
    for info in written(context, &name) {
        let types = info.columns.iter().filter_map(|column| context.catalog.user_types.get(&column.type_oid));
        let checks = types.filter_map(|name| context.catalog.hidden.domains.get(&name.name)).flatten();
        for function in info.write_calls.iter().chain(checks) {
            if let Some(needed) =
                code::look_into(context, function)?.filter(|needed| Some(needed.shard) != home)
            {
                return Err(refusal::MIXED_HOMES.naming(&[&info.name.name, &needed.name]));
            }
        }
    }
    Ok(())
}

/// What is done to rows that are there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Removes,
    /// These columns are set; None: any may be.
    Sets(Option<Vec<String>>),
}

impl Change {
    pub fn of_sets(sets: Option<&[(String, Cell)]>) -> Self {
        Self::Sets(sets.map(|sets| sets.iter().map(|(column, _)| column.clone()).collect()))
    }

    /// Of a statement that is not looked into.
    pub const ANY: [Self; 2] = [Self::Removes, Self::Sets(None)];

    /// Whether one of these columns may have another value then: what triggers say of NEW they may set, too.
    fn may_set(&self, context: &PlanningContext, info: &RelationInfo, columns: &[String]) -> bool {
        let Self::Sets(sets) = self else { return false };
        let Some(sets) = sets else { return true };
        let words = info.triggers.iter().filter_map(|trigger| context.catalog.function_words.get(trigger));
        let words: Vec<_> = words.collect();
        let is_generated =
            |name: &String| info.columns.iter().any(|column| column.name == *name && column.generated);
        columns.iter().any(|column| {
            sets.contains(column)
                || is_generated(column)
                || words.iter().any(|words| words.contains(&column.to_lowercase()))
        })
    }
}

/// As [`refuse`], for a write that changes or removes rows: what foreign keys then do to rows that refer to them, which is done
/// on the shard of the write, must be done to all of them and leave each on its shard.
pub(super) fn refuse_change(
    context: &PlanningContext,
    table: &ObjectName,
    home: Option<ShardId>,
    changes: &[Change],
) -> Result<(), Refusal> {
    refuse(context, table, home)?;
    if !code::is_spread(context) {
        return Ok(());
    }
    let Some(name) = home::resolve(context, table) else { return Ok(()) };
    let mut open: Vec<_> = changes.iter().map(|change| (name.clone(), change.clone())).collect();
    let mut seen: HashSet<_> = open.iter().cloned().collect();
    while let Some((name, change)) = open.pop() {
        for info in written(context, &name) {
            for key in &info.referenced_by {
                let Some(effect) = effect(context, info, key, &change) else { continue };
                refuse_action(context, info, key, &effect)?;
                refuse_triggers(context, &key.child, home)?;
                let next = (key.child.clone(), effect);
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
    }
    Ok(())
}

/// What the key does to rows that refer to one of `info`, if it does anything.
fn effect(
    context: &PlanningContext,
    info: &RelationInfo,
    key: &ForeignKey,
    change: &Change,
) -> Option<Change> {
    match (change, &key.on_delete) {
        (Change::Removes, OnDelete::Nothing) => None,
        (Change::Removes, OnDelete::Cascade) => Some(Change::Removes),
        (Change::Removes, OnDelete::Sets(columns)) => Some(Change::Sets(Some(columns.clone()))),
        (Change::Sets(_), _) => {
            let is_set = |column: &String| change.may_set(context, info, std::slice::from_ref(column));
            let pairs = key.columns.iter().zip(&key.referenced);
            let changed =
                pairs.filter(|(_, referenced)| is_set(referenced)).map(|(column, _)| column.clone());
            let changed: Vec<String> = changed.collect();
            let columns = match key.on_update {
                OnUpdate::Nothing => return None,
                OnUpdate::Cascade => changed,
                OnUpdate::Sets if changed.is_empty() => return None,
                OnUpdate::Sets => key.columns.clone(),
            };
            (!columns.is_empty()).then_some(Change::Sets(Some(columns)))
        }
    }
}

fn refuse_action(
    context: &PlanningContext,
    parent: &RelationInfo,
    key: &ForeignKey,
    effect: &Change,
) -> Result<(), Refusal> {
    let action = || Err(refusal::FOREIGN_KEY_ACTION.naming(&[&parent.name.name, &key.child.name]));
    match home::of(context, &key.child) {
        Home::Sharded { rule, info } => {
            let placing: Vec<String> = alterations::configured_columns(rule).map(str::to_owned).collect();
            match info.is_none_or(|info| effect.may_set(context, info, &placing)) {
                true => action(),
                false => Ok(()),
            }
        }
        Home::Reference { .. } if !matches!(home::of(context, &parent.name), Home::Reference { .. }) => {
            action()
        }
        Home::Reference { info: Some(info), .. } => {
            refuse_copies(context, info)?;
            let Change::Sets(Some(columns)) = effect else { return Ok(()) };
            let differs = |column: &&Column| column.default_may_differ() && columns.contains(&column.name);
            match info.columns.iter().find(differs) {
                Some(column) => Err(refusal::REFERENCE_DEFAULT.naming(&[&column.name, &info.name.name])),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Refuses a write to a reference table where something else is run on each shard: triggers, of its partitions and children,
/// too, and conversions to its columns' types that nobody has written.
pub(super) fn refuse_copies(context: &PlanningContext, info: &RelationInfo) -> Result<(), Refusal> {
    for info in written(context, &info.name) {
        let name = &info.name.name;
        if !info.triggers.is_empty() {
            return Err(refusal::REFERENCE_TRIGGERS.naming(&[name]));
        }
        let types = info.columns.iter().filter_map(|column| context.catalog.user_types.get(&column.type_oid));
        let types: Vec<&str> = types.map(|name| name.name.as_str()).collect();
        let mut casts =
            context.catalog.hidden.casts.iter().filter(|cast| types.contains(&cast.target.as_str()));
        if let Some(cast) = casts.find(|cast| functions::may_differ(context, &cast.function)) {
            return Err(refusal::CAST_DIFFERS.naming(&[&cast.target, name]));
        }
    }
    Ok(())
}

/// As [`refuse`], for triggers and rules alone; the name is the relation's own.
pub(super) fn refuse_triggers(
    context: &PlanningContext,
    name: &ObjectName,
    home: Option<ShardId>,
) -> Result<(), Refusal> {
    for info in written(context, name) {
        if info.has_rules {
            return Err(refusal::RULES.naming(&[&info.name.name]));
        }
        info.triggers.iter().try_for_each(|trigger| refuse_trigger(context, info, trigger, home))?;
    }
    Ok(())
}

fn refuse_trigger(
    context: &PlanningContext,
    info: &RelationInfo,
    trigger: &ObjectName,
    home: Option<ShardId>,
) -> Result<(), Refusal> {
    if code::is_vouched_for(context, trigger) {
        return Ok(());
    }
    let Some(words) = context.catalog.function_words.get(trigger) else { return Ok(()) };
    if words.iter().any(|word| code::runs_sql(word, None)) {
        return Err(refusal::FUNCTION_BUILDS_SQL.naming(&[&trigger.name]));
    }
    let table = &info.name.name;
    let elsewhere = |(name, found): &(&ObjectName, Home<'_>)| {
        **name != info.name
            && match found {
                Home::Sharded { .. } | Home::Reference { .. } | Home::OverSharded | Home::OverReference => {
                    true
                }
                Home::Single(shard) => Some(*shard) != home,
                Home::Elsewhere(_) => false,
            }
    };
    if let Some((other, _)) = code::named(context, words).find(elsewhere) {
        return Err(refusal::TRIGGER_NAMES_TABLE.naming(&[table, &trigger.name, &other.name]));
    }
    match words.iter().find(|word| code::is_of_default_shard(word)) {
        Some(word) if home != Some(context.topology.default_shard) => {
            Err(refusal::TRIGGER_NAMES_TABLE.naming(&[table, &trigger.name, word]))
        }
        _ => Ok(()),
    }
}

/// The relation, what inherits from it at any depth, and what stands behind it if it is a view.
pub(super) fn written<'c>(context: &'c PlanningContext, name: &ObjectName) -> Vec<&'c RelationInfo> {
    let mut found: Vec<&RelationInfo> = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        let Some(info) = context.catalog.relations.get(name) else { continue };
        if seen.insert(&info.name) {
            found.push(info);
            open.extend(&info.children);
            if info.kind == RelationKind::View {
                open.extend(&info.reads);
            }
        }
    }
    found
}

/// The names of all these, in full.
pub fn family(context: &PlanningContext, name: &ObjectName) -> Vec<ObjectName> {
    let name = home::resolve(context, name).unwrap_or_else(|| name.clone());
    let names = written(context, &name).into_iter().map(|info| info.name.clone());
    names.chain([name.clone()]).collect()
}
