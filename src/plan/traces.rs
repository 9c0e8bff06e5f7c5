//! What the code behind a statement may leave on its server's session: parameters that it sets, locks that it takes; and whether
//! it asks for what others may have left.
//!
//! Called by `make`. The catalog has the words of every function's definition, with those of the functions that it calls;
//! whether the function is called by name, or by a view, a policy, a trigger, a default, a cast, a domain or an operator,
//! and however volatile it says it is. `session` asks the server afterwards.

use std::collections::{BTreeSet, HashSet};

use crate::catalog::reading::{READING, READS_PARAMETERS, SETS, SETS_READING, parameters_set};
use crate::catalog::{Catalog, RelationInfo};
use crate::sql::facts::{Block, Copy, CopyDirection, Facts, Kind};
use crate::sql::name::ObjectName;

use super::action::PlanningContext;
use super::home;

/// Words of definitions that may leave something behind; dynamic SQL may do anything.
const LEAVING: [&str; 10] = [
    "set",
    "set_config",
    SETS_READING,
    "execute",
    "listen",
    "temp",
    "temporary",
    "pg_advisory_lock",
    "pg_try_advisory_lock",
    "pg_advisory_lock_shared",
];

/// Words of definitions that fire event triggers.
const DEFINING: [&str; 8] = ["create", "alter", "drop", "grant", "revoke", "comment", "execute", "refresh"];

/// Of one statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    pub leaves: bool,
    /// Locks of the session, which are on the primary.
    pub locks: bool,
    /// Parameters that functions set; `?` is one whose name is computed.
    pub sets: BTreeSet<String>,
    /// Names may be found, texts read or values shown otherwise afterwards.
    pub sets_reading: bool,
    /// Something may ask for a parameter of an application's own.
    pub reads_parameters: bool,
    /// Event triggers may fire.
    defines: bool,
}

impl Traces {
    pub(super) fn of(facts: &Facts, context: &PlanningContext) -> Self {
        let mut traces = Self::default();
        facts.functions.iter().for_each(|call| {
            traces.reads_parameters |= call.name.name == READS_PARAMETERS;
            traces.add(context, &call.name);
        });
        traces.add_block(context, &facts.block);
        if matches!(facts.kind, Kind::Do | Kind::Call | Kind::Unparsed { .. } | Kind::Ddl { .. }) {
            traces.add_named(context, &facts.words);
            traces.defines |= facts.words.iter().any(|word| DEFINING.contains(&word.as_str()));
        }
        match &facts.kind {
            // Its calls are not known from its other words.
            Kind::Unparsed { .. } => {
                let words = facts.words.iter().map(|word| ObjectName::unqualified(word.as_str()));
                words.for_each(|word| traces.add_unseen(context, &word));
            }
            Kind::Explain(explain) => {
                let Self { leaves, locks, sets, sets_reading, reads_parameters, .. } =
                    Self::of(&explain.inner, context);
                traces.leaves |= leaves;
                traces.sets_reading |= sets_reading;
                traces.reads_parameters |= reads_parameters;
                traces.locks |= locks;
                traces.sets.extend(sets);
                let (sets, others): (Vec<_>, Vec<_>) =
                    explain.inner.functions.iter().partition(|call| call.name.name == "set_config");
                // What it sets is read where it stands.
                traces.leaves |= !sets.is_empty();
                others.iter().for_each(|call| traces.add_unseen(context, &call.name));
            }
            // Its table stands in no block.
            Kind::Copy(Copy { table: Some(table), direction: CopyDirection::ToStdout, .. }) => {
                traces.add_relation(context, &table.name, false);
            }
            // What it writes is not followed.
            Kind::ModifyingWith => traces.leaves = true,
            Kind::Show { name } => traces.reads_parameters |= name.contains('.'),
            _ => {}
        }
        written(&facts.kind).into_iter().for_each(|target| traces.add_relation(context, target, true));
        let Catalog { hidden, .. } = &*context.catalog;
        traces.defines |= defines(&facts.kind);
        if traces.defines {
            hidden.event_triggers.iter().for_each(|function| traces.add_unseen(context, function));
        }
        let names_something = traces.leaves || !facts.functions.is_empty() || names_relation(&facts.block);
        let hides = names_something || !facts.casts.is_empty() || !facts.operators.is_empty();
        if hides {
            // Types of columns and of results are not followed: whatever such a function may be called for is asked about.
            traces.add_hidden(context, &facts.operators);
        }
        traces
    }

    fn add_block(&mut self, context: &PlanningContext, block: &Block) {
        block.relations.iter().for_each(|relation| self.add_relation(context, &relation.name, false));
        block.children.iter().for_each(|child| self.add_block(context, child));
    }

    fn add_relation(&mut self, context: &PlanningContext, name: &ObjectName, written: bool) {
        let Some(info) = home::resolve(context, name).and_then(|name| context.catalog.relations.get(&name))
        else {
            return;
        };
        let below = info.reads.iter().filter_map(|read| context.catalog.relations.get(read));
        for info in below.chain([info]) {
            match written {
                true => self.add_written(context, info, &mut HashSet::new()),
                false => self.add_calls(context, info, false),
            }
        }
    }

    /// What is done to a table is done to its partitions, and to what refers to it.
    fn add_written<'c>(
        &mut self,
        context: &'c PlanningContext,
        info: &'c RelationInfo,
        seen: &mut HashSet<&'c ObjectName>,
    ) {
        self.add_calls(context, info, true);
        self.leaves |= !info.triggers.is_empty() || info.has_rules;
        let referring = info.referenced_by.iter().map(|key| &key.child);
        for name in info.children.iter().chain(referring) {
            if let Some(child) = context.catalog.relations.get(name).filter(|_| seen.insert(name)) {
                self.add_written(context, child, seen);
            }
        }
    }

    fn add_calls(&mut self, context: &PlanningContext, info: &RelationInfo, written: bool) {
        self.reads_parameters |= info.reads_parameters;
        let by_writes = info.triggers.iter().chain(&info.write_calls).filter(|_| written);
        for function in info.calls.iter().chain(by_writes) {
            match &info.definition {
                // A view tells what it sets.
                Some(text) if function.name == "set_config" => {
                    let names = parameters_set(text);
                    self.leaves = true;
                    self.sets_reading |=
                        names.iter().any(|name| name == "?" || READING.contains(&name.as_str()));
                    self.sets.extend(names);
                }
                _ => self.add_unseen(context, function),
            }
        }
    }

    fn add_hidden(&mut self, context: &PlanningContext, operators: &[String]) {
        let Catalog { hidden, .. } = &*context.catalog;
        let used = operators.iter().filter_map(|operator| hidden.operators.get(operator));
        let lists = used.chain(hidden.domains.values());
        let casts = hidden.casts.iter().map(|cast| &cast.function);
        lists.flatten().chain(casts).for_each(|function| self.add_unseen(context, function));
    }

    /// Every function that code names, in whatever schema.
    fn add_named(&mut self, context: &PlanningContext, code: &[String]) {
        let named = context.catalog.function_words.iter().filter(|(name, _)| code.contains(&name.name));
        named.for_each(|(_, words)| self.add_words(words));
    }

    fn add(&mut self, context: &PlanningContext, function: &ObjectName) {
        context
            .catalog
            .definitions(function, &context.search_path)
            .for_each(|(_, words)| self.add_words(words));
    }

    /// Called where the statement does not show it: PostgreSQL's own functions that leave something are such, too.
    fn add_unseen(&mut self, context: &PlanningContext, function: &ObjectName) {
        let name = function.name.as_str();
        if name == "set_config" {
            self.leaves = true;
            self.sets_reading = true;
            self.sets.insert("?".to_owned());
        }
        self.reads_parameters |= name == READS_PARAMETERS;
        let locks = name.starts_with("pg_advisory_lock") || name.starts_with("pg_try_advisory_lock");
        self.leaves |= locks || name == "setseed";
        self.locks |= locks;
        self.add(context, function);
    }

    fn add_words(&mut self, words: &HashSet<String>) {
        self.reads_parameters |= words.contains(READS_PARAMETERS) || words.contains("execute");
        self.defines |= DEFINING.iter().any(|word| words.contains(*word));
        self.leaves |= LEAVING.iter().any(|word| words.contains(*word));
        self.sets_reading |= words.contains(SETS_READING);
        self.locks |= words.iter().any(|word| word.starts_with("pg_advisory_lock"));
        self.sets.extend(words.iter().filter_map(|word| word.strip_prefix(SETS)).map(str::to_owned));
    }
}

/// The tables that get rows, or have them changed.
fn written(kind: &Kind) -> Vec<&ObjectName> {
    match kind {
        Kind::Copy(Copy { table: Some(table), direction, .. }) if *direction != CopyDirection::ToStdout => {
            vec![&table.name]
        }
        Kind::Truncate { targets, .. } => targets.iter().map(|target| &target.name).collect(),
        kind => kind.target().map(|target| &target.name).into_iter().collect(),
    }
}

/// Whether it is of those that event triggers know.
fn defines(kind: &Kind) -> bool {
    match kind {
        Kind::Select { into, .. } => *into,
        kind => matches!(kind, Kind::Ddl { .. } | Kind::CreateTableAs { .. } | Kind::Unparsed { .. }),
    }
}

fn names_relation(block: &Block) -> bool {
    !block.relations.is_empty() || block.children.iter().any(names_relation)
}
