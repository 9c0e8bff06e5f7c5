//! Makes values of what the catalog queries gave: rows become [`CatalogParts`], oids become names.
//!
//! Invariant: a row that cannot be understood is an error, never left out.
//!
//! Not here: asking (`load`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cells::Cells;
use super::defaults::{SessionDefaults, Written};
use super::load::{Answers, LoadError};
use super::numbers::{Objects, Shape};
use super::parts::CatalogParts;
use super::queries::Query;
use super::reading::{
    DEFINES, READS_PARAMETERS, SETS, SETS_READING, defines, parameters_set, sets_reading, words,
};
use super::settings;
use super::snapshot::{
    CastCall, Collation, Column, ForeignKey, FunctionInfo, FunctionKind, OnDelete, OnUpdate, RelationInfo,
    RelationKind, Volatility, WireType,
};
use crate::merge::types::USER_TYPES_FROM;
use crate::sql::name::ObjectName;
use crate::topology::Lsn;

/// How deep calls between functions are followed.
const CALL_DEPTH_MAX: usize = 8;

/// Identifiers in a function's definition, folded; also those inside its strings, which may be SQL.
fn split_words(text: &str) -> HashSet<String> {
    let reading = sets_reading(text).then(|| SETS_READING.to_owned());
    let sets = parameters_set(text).into_iter().map(|name| format!("{SETS}{name}"));
    words(text).map(str::to_lowercase).chain(reading).chain(sets).collect()
}

/// What the answers say, in catalogs of which `built_in` are the functions of PostgreSQL's own.
pub(super) fn interpret<R: Cells>(
    answers: &Answers<R>,
    built_in: HashMap<ObjectName, FunctionInfo>,
) -> Result<CatalogParts, LoadError> {
    let parts =
        CatalogParts { functions: built_in, fingerprint: answers.fingerprint()?, ..CatalogParts::default() };
    Interpreter { answers, parts, names: HashMap::new() }.run()
}

struct Interpreter<'a, R> {
    answers: &'a Answers<R>,
    parts: CatalogParts,
    /// Names of relations by oid.
    names: HashMap<u32, ObjectName>,
}

impl<R: Cells> Interpreter<'_, R> {
    fn run(mut self) -> Result<CatalogParts, LoadError> {
        self.server()?;
        self.defaults()?;
        self.relations()?;
        self.columns()?;
        self.views()?;
        self.inheritance()?;
        self.unique_sets()?;
        self.foreign_keys()?;
        self.hidden_calls()?;
        self.definitions()?;
        self.types()?;
        add_functions(&mut self.parts.functions, self.answers.of(Query::Functions))?;
        Ok(self.parts)
    }

    /// The relation with that oid; None for one that is not loaded (temporary, or an index).
    fn relation(&mut self, oid: u32) -> Option<&mut RelationInfo> {
        self.parts.relations.get_mut(self.names.get(&oid)?)
    }

    fn server(&mut self) -> Result<(), LoadError> {
        self.parts.server_version = self.answers.version;
        let [row] = self.answers.of(Query::Server) else { return Err(LoadError::NoDatabase) };
        self.parts.server_encoding = row.cell(0)?;
        let provider: Option<&str> = row.cell(1)?;
        let collate: &str = row.cell(2)?;
        let locale: Option<&str> = row.cell(3)?;
        let collation_version: Option<&str> = row.cell(4)?;
        self.parts.database_collation = Some(settings::database_collation(provider, collate, locale));
        let words = [Some(locale.unwrap_or(collate)), collation_version];
        self.parts.database_locale = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        self.parts.value_locales = row.cell(5)?;
        let position: Option<&str> = row.cell(6)?;
        self.parts.position = position.and_then(Lsn::parse);
        self.parts.compares_otherwise = row.cell(7)?;
        Ok(())
    }

    fn defaults(&mut self) -> Result<(), LoadError> {
        let begun = self.answers.begun.clone();
        let written = self.answers.of(Query::RoleSettings);
        let written = written.iter().map(|row| {
            let (role, here) = (row.cell(0)?, row.cell(1)?);
            Ok(Written { role, here, name: row.cell(2)?, value: row.cell(3)?, is_free: row.cell(4)? })
        });
        let written = written.collect::<Result<Vec<_>, LoadError>>()?;
        self.parts.outlived = begun.iter().any(|begun| begun.is_outlived(&written));
        self.parts.defaults = SessionDefaults::new(begun, written);
        Ok(())
    }

    fn relations(&mut self) -> Result<(), LoadError> {
        let mut owned: Vec<(ObjectName, u32)> = Vec::new();
        for row in self.answers.of(Query::Relations) {
            let name = ObjectName::qualified(row.cell::<String>(1)?, row.cell::<String>(2)?);
            let info = RelationInfo {
                definition: row.cell(8)?,
                triggers: zip_names(row.cell(5)?, row.cell(6)?),
                has_rules: row.cell(7)?,
                row_security: row.cell(4)?,
                unlogged: row.cell(9)?,
                ..RelationInfo::new(name.clone(), relation_kind(row.cell(3)?))
            };
            owned.extend(row.cell::<Option<u32>>(10)?.map(|table| (name.clone(), table)));
            // PostgreSQL's own are never shown.
            let is_system = matches!(name.schema.as_deref(), Some("pg_catalog" | "information_schema"));
            self.parts.incomplete |=
                info.kind == RelationKind::View && info.definition.is_none() && !is_system;
            self.names.insert(row.cell(0)?, name.clone());
            self.parts.relations.insert(name, info);
        }
        for (sequence, table) in owned {
            let owner = self.names.get(&table).cloned();
            if let Some(info) = self.parts.relations.get_mut(&sequence) {
                info.owner = owner;
            }
        }
        Ok(())
    }

    fn columns(&mut self) -> Result<(), LoadError> {
        for row in self.answers.of(Query::Columns) {
            let column = self.column(row)?;
            let own: Option<&str> = row.cell(12)?;
            let label = match (row.cell::<Option<&str>>(11)?, row.cell::<Option<&str>>(15)?) {
                (Some(name), Some(version)) => format!("{name} {version}"),
                (name, _) => name.unwrap_or_default().to_owned(),
            };
            let name = column.name.clone();
            let Some(relation) = self.relation(row.cell(0)?) else { continue };
            relation.columns.push(column);
            if own.is_some_and(|provider| provider != "d") {
                let key = (relation.name.clone(), name);
                self.parts.collations.insert(key, label);
            }
        }
        Ok(())
    }

    fn column(&self, row: &R) -> Result<Column, LoadError> {
        let identity: bool = row.cell(10)?;
        Ok(Column {
            name: row.cell(1)?,
            type_oid: row.cell(2)?,
            type_name: row.cell(3)?,
            type_modifier: row.cell(4)?,
            wire_type: WireType { oid: row.cell(17)?, modifier: row.cell(18)? },
            collation: self.collation(row)?,
            collation_name: row.cell(16)?,
            not_null: row.cell(5)?,
            default: row.cell(6)?,
            // An identity column takes its values from a sequence.
            volatile_default: row.cell::<bool>(7)? || identity,
            stable_default: row.cell(8)?,
            generated: row.cell(9)?,
            identity,
        })
    }

    fn collation(&self, row: &R) -> Result<Collation, LoadError> {
        let Some(provider) = row.cell::<Option<&str>>(12)? else { return Ok(Collation::None) };
        if provider == "d" {
            return Ok(self.parts.database_collation.unwrap_or(Collation::Deterministic));
        }
        let locale: Option<&str> = row.cell(13)?;
        let deterministic: Option<bool> = row.cell(14)?;
        Ok(settings::classify(provider, locale.unwrap_or_default(), deterministic.unwrap_or(false)))
    }

    fn views(&mut self) -> Result<(), LoadError> {
        let mut direct: HashMap<u32, Vec<u32>> = HashMap::new();
        for row in self.answers.of(Query::ViewReads) {
            direct.entry(row.cell(0)?).or_default().push(row.cell(1)?);
        }
        let mut calls: HashMap<u32, Vec<ObjectName>> = HashMap::new();
        for row in self.answers.of(Query::ViewCalls) {
            let name = ObjectName::qualified(row.cell::<String>(1)?, row.cell::<String>(2)?);
            calls.entry(row.cell(0)?).or_default().push(name);
        }
        let views: HashSet<u32> = direct.keys().chain(calls.keys()).copied().collect();
        for view in views {
            let below = reachable(view, &direct);
            let reads = below.iter().filter_map(|oid| self.names.get(oid).cloned());
            let mut reads: Vec<ObjectName> = reads.collect();
            reads.sort();
            let all = below.iter().chain([&view]).filter_map(|oid| calls.get(oid)).flatten().cloned();
            let mut all: Vec<ObjectName> = all.collect();
            all.sort();
            all.dedup();
            let called = all.len();
            all.retain(|function| function.name != READS_PARAMETERS);
            if let Some(relation) = self.relation(view) {
                relation.reads_parameters |= all.len() < called;
                relation.reads = reads;
                relation.calls = all;
            }
        }
        Ok(())
    }

    fn inheritance(&mut self) -> Result<(), LoadError> {
        for row in self.answers.of(Query::Inheritance) {
            let (child, parent): (u32, u32) = (row.cell(0)?, row.cell(1)?);
            let (Some(child_name), Some(parent_name)) =
                (self.names.get(&child).cloned(), self.names.get(&parent).cloned())
            else {
                continue;
            };
            if let Some(relation) = self.relation(child) {
                relation.parents.push(parent_name);
            }
            if let Some(relation) = self.relation(parent) {
                relation.children.push(child_name);
            }
        }
        Ok(())
    }

    fn unique_sets(&mut self) -> Result<(), LoadError> {
        let mut last = 0;
        for row in self.answers.of(Query::UniqueSets) {
            let index: u32 = row.cell(1)?;
            let column: Option<String> = row.cell(2)?;
            let (primary, of_all_rows): (bool, bool) = (row.cell(3)?, row.cell(4)?);
            let of_unequal: bool = row.cell(5)?;
            let Some(relation) = self.relation(row.cell(0)?) else { continue };
            if primary {
                relation.primary_key.extend(column.clone());
            }
            let begins = index != last;
            let add = |sets: &mut Vec<Vec<String>>, column: Option<String>| {
                match sets.last_mut() {
                    Some(set) if !begins => set.extend(column),
                    _ => sets.push(column.into_iter().collect()),
                };
            };
            add(&mut relation.conflict_sets, column.clone().filter(|_| !of_unequal));
            if of_all_rows {
                add(&mut relation.unique_sets, column);
            }
            last = index;
        }
        Ok(())
    }

    fn foreign_keys(&mut self) -> Result<(), LoadError> {
        for row in self.answers.of(Query::ForeignKeys) {
            let Some(child) = self.names.get(&row.cell(1)?).cloned() else { continue };
            let columns: Vec<String> = row.cell(2)?;
            let on_delete = match row.cell::<&str>(5)? {
                "c" => OnDelete::Cascade,
                "n" | "d" => OnDelete::Sets(row.cell::<Option<_>>(6)?.unwrap_or_else(|| columns.clone())),
                _ => OnDelete::Nothing,
            };
            let on_update = match row.cell::<&str>(4)? {
                "c" => OnUpdate::Cascade,
                "n" | "d" => OnUpdate::Sets,
                _ => OnUpdate::Nothing,
            };
            let referenced = row.cell(3)?;
            let key = ForeignKey { child, columns, referenced, on_update, on_delete };
            if let Some(relation) = self.relation(row.cell(0)?) {
                relation.referenced_by.push(key);
            }
        }
        Ok(())
    }

    /// What operators, casts, domains and writes call.
    fn hidden_calls(&mut self) -> Result<(), LoadError> {
        let called = |row: &R, at: usize| -> Result<ObjectName, LoadError> {
            Ok(ObjectName::qualified(row.cell::<String>(at)?, row.cell::<String>(at + 1)?))
        };
        for row in self.answers.of(Query::WriteCalls) {
            if let Some(relation) = self.relation(row.cell(0)?) {
                let function = called(row, 1)?;
                match function.name == READS_PARAMETERS {
                    true => relation.reads_parameters = true,
                    false => relation.write_calls.push(function),
                }
            }
        }
        for row in self.answers.of(Query::OperatorCalls) {
            self.parts.hidden.operators.entry(row.cell(0)?).or_default().push(called(row, 1)?);
        }
        for row in self.answers.of(Query::CastCalls) {
            let (source, target, implicit) = (row.cell(0)?, row.cell(1)?, row.cell(2)?);
            self.parts.hidden.casts.push(CastCall { source, target, implicit, function: called(row, 3)? });
        }
        for row in self.answers.of(Query::EventTriggers) {
            self.parts.hidden.event_triggers.push(called(row, 0)?);
        }
        for row in self.answers.of(Query::DomainCalls) {
            self.parts.hidden.domains.entry(row.cell(0)?).or_default().push(called(row, 1)?);
        }
        Ok(())
    }

    /// The words of every function of the user's, and of the functions that it names.
    fn definitions(&mut self) -> Result<(), LoadError> {
        let mut words: HashMap<ObjectName, HashSet<String>> = HashMap::new();
        for row in self.answers.of(Query::Definitions) {
            let name = ObjectName::qualified(row.cell::<String>(0)?, row.cell::<String>(1)?);
            let text: Option<&str> = row.cell(2)?;
            let text = text.unwrap_or_default();
            let mut own = split_words(text);
            // A name in other letters than it has.
            if text.to_ascii_lowercase().contains("u&\"") {
                own.insert("execute".to_owned());
            }
            if defines(text) {
                own.insert(DEFINES.to_owned());
            }
            // An operator calls its function.
            let operators = &self.parts.hidden.operators;
            let used = operators.iter().filter(|(operator, _)| text.contains(operator.as_str()));
            own.extend(used.flat_map(|(_, calls)| calls).map(|call| call.name.clone()));
            words.insert(name, own);
        }
        // What a called function mentions is mentioned by its caller; as many rounds as calls are deep.
        for _ in 0..CALL_DEPTH_MAX {
            let by_name: HashMap<String, HashSet<String>> =
                words.iter().map(|(name, own)| (name.name.clone(), own.clone())).collect();
            let mut grown = false;
            for own in words.values_mut() {
                let before = own.len();
                let called: Vec<&HashSet<String>> = own.iter().filter_map(|word| by_name.get(word)).collect();
                let more: Vec<String> = called.into_iter().flatten().cloned().collect();
                own.extend(more);
                grown |= own.len() > before;
            }
            if !grown {
                break;
            }
        }
        self.parts.function_words = words;
        Ok(())
    }

    fn types(&mut self) -> Result<(), LoadError> {
        let user = self.names.iter().filter(|(number, _)| **number >= USER_TYPES_FROM);
        let relations = user.map(|(number, name)| (*number, name.clone())).collect();
        let mut objects = Objects { relations, ..Objects::default() };
        for row in self.answers.of(Query::Types) {
            let name = ObjectName::qualified(row.cell::<String>(1)?, row.cell::<String>(2)?);
            if let Some(labels) = row.cell::<Option<Vec<String>>>(3)? {
                self.parts.enums.insert(name.clone(), labels);
            }
            if let Some(default) = row.cell::<Option<String>>(8)? {
                self.parts.hidden.domain_defaults.insert(name.name.clone(), default);
            }
            let number: u32 = row.cell(0)?;
            let element: u32 = row.cell(5)?;
            let shape = match row.cell::<&str>(4)? {
                "a" => Shape::Array,
                "c" => Shape::Record,
                "d" => Shape::Domain(row.cell(6)?),
                "r" | "m" => Shape::Range(row.cell::<Option<u32>>(7)?.unwrap_or(0)),
                _ => Shape::Plain,
            };
            objects.shapes.insert(number, (shape, element));
            objects.types.insert(number, name.clone());
            self.parts.user_types.insert(number, name);
        }
        self.parts.objects = Arc::new(objects);
        Ok(())
    }
}

/// Adds functions by their names, one to the others of its name: the most volatile decides.
pub(super) fn add_functions<R: Cells>(
    known: &mut HashMap<ObjectName, FunctionInfo>,
    rows: &[R],
) -> Result<(), LoadError> {
    for row in rows {
        let name = ObjectName::qualified(row.cell::<String>(0)?, row.cell::<String>(1)?);
        let volatility = match row.cell::<i32>(2)? {
            0 => Volatility::Immutable,
            1 => Volatility::Stable,
            _ => Volatility::Volatile,
        };
        let (procedure, aggregate, window): (bool, bool, bool) = (row.cell(3)?, row.cell(4)?, row.cell(5)?);
        let kind = match (procedure, aggregate, window) {
            (true, ..) => FunctionKind::Procedure,
            (_, true, _) => FunctionKind::Aggregate,
            (.., true) => FunctionKind::Window,
            _ => FunctionKind::Function,
        };
        let info = FunctionInfo {
            volatility,
            kind,
            returns_set: row.cell(7)?,
            built_in: row.cell(6)?,
            takes_rows: row.cell(8)?,
        };
        known.entry(name).and_modify(|known| *known = known.beside(info)).or_insert(info);
    }
    Ok(())
}

fn zip_names(schemas: Vec<String>, names: Vec<String>) -> Vec<ObjectName> {
    schemas.into_iter().zip(names).map(|(schema, name)| ObjectName::qualified(schema, name)).collect()
}

fn relation_kind(relkind: &str) -> RelationKind {
    match relkind {
        "r" => RelationKind::Table,
        "p" => RelationKind::PartitionedTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "S" => RelationKind::Sequence,
        "f" => RelationKind::ForeignTable,
        _ => RelationKind::Other,
    }
}

/// Everything that `start` names, directly or through others; without `start` itself.
fn reachable(start: u32, direct: &HashMap<u32, Vec<u32>>) -> HashSet<u32> {
    let mut found = HashSet::new();
    let mut open = vec![start];
    while let Some(oid) = open.pop() {
        for next in direct.get(&oid).into_iter().flatten() {
            if *next != start && found.insert(*next) {
                open.push(*next);
            }
        }
    }
    found
}
