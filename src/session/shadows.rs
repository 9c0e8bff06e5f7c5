//! Names that mean something else in this session than in the catalog: its own temporary tables.
//!
//! A statement that names a temporary table goes to the server that the session is pinned to.
//!
//! Invariant: a temporary table is never planned as the permanent one of its name.
//!
//! Not here: what the session's transaction has changed but not yet committed (`definitions`).

use std::collections::{HashMap, HashSet};

use super::interner::Prepared;
use super::planning::Planned;
use super::redefinition::check_kept;
use super::statements::Answer;
use super::{Outcome, Session};
use crate::execute::{Lane, refusals};
use crate::plan::{is_whole_on, shard_of_code, shard_of_function};
use crate::sql::facts::{Block as QueryBlock, Facts, Kind};
use crate::sql::name::ObjectName;
use crate::sql::star::stands_for_columns;
use crate::wire::error::SqlError;

/// Names, and of relations each column with its type; of views what they are made of, a relation or a function.
const TEMPORARY_QUERY: &str = "\
SELECT c.relname, a.attname, a.atttypid || ' ' || a.atttypmod, NULL FROM pg_catalog.pg_class c \
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() \
UNION ALL SELECT typname, NULL, NULL, NULL FROM pg_catalog.pg_type \
    WHERE typnamespace = pg_catalog.pg_my_temp_schema() AND typtype IN ('d', 'e', 'r') \
UNION ALL SELECT v.relname, COALESCE(c.relname, f.proname), n.nspname, \
        CASE WHEN f.oid IS NULL THEN 'relation' ELSE 'function' END \
    FROM pg_catalog.pg_class v JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid \
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid \
    LEFT JOIN pg_catalog.pg_operator o \
        ON d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.refobjid \
    LEFT JOIN pg_catalog.pg_class c \
        ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.refobjid AND c.oid <> v.oid \
    LEFT JOIN pg_catalog.pg_proc f \
        ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.oid = d.refobjid OR f.oid = o.oprcode \
    JOIN pg_catalog.pg_namespace n ON n.oid = COALESCE(c.relnamespace, f.pronamespace) \
    WHERE v.relnamespace = pg_catalog.pg_my_temp_schema() AND v.relkind = 'v' \
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

/// What a view of the session's own is made of.
#[derive(Debug)]
enum Source {
    Relation(ObjectName),
    Function(ObjectName),
}

/// Objects of the session's own, by their names.
#[derive(Debug, Default)]
pub(super) struct Temporary {
    /// With the columns of relations, and a word for the type of each.
    known: HashMap<String, Vec<(String, String)>>,
    /// Of views; what others are made of may come to be on other shards.
    views: HashMap<String, Vec<Source>>,
    /// Rises when they change.
    turn: u32,
}

impl Temporary {
    pub fn clear(&mut self) {
        self.learn(HashMap::new(), HashMap::new());
    }

    fn learn(&mut self, now: HashMap<String, Vec<(String, String)>>, views: HashMap<String, Vec<Source>>) {
        self.turn += u32::from(self.known != now);
        self.known = now;
        self.views = views;
    }

    /// All that these relations are made of, at any depth.
    fn sources<'t>(&'t self, relations: impl IntoIterator<Item = &'t ObjectName>) -> Vec<&'t Source> {
        let mut open: Vec<&str> = relations.into_iter().map(|name| name.name.as_str()).collect();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            for source in self.views.get(name).into_iter().flatten() {
                match source {
                    Source::Relation(name) if is_own(name) => open.push(&name.name),
                    _ => found.push(source),
                }
            }
        }
        found
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn contains(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }
}

impl Session {
    /// Asks the pinned server which temporary relations and types the session has now.
    pub(super) async fn learn_temporary(&mut self) -> Outcome {
        let index = self.join_pinned().await?;
        self.learn_temporary_on(index).await
    }

    async fn learn_temporary_on(&mut self, index: usize) -> Outcome {
        if self.block.is_failed() || !self.lanes[index].owed.is_empty() {
            return Ok(());
        }
        let captured = self.capture_on(index, TEMPORARY_QUERY).await?;
        let mut known: HashMap<String, Vec<(String, String)>> = HashMap::new();
        let mut views: HashMap<String, Vec<Source>> = HashMap::new();
        for row in captured.rows {
            let mut cells = row.into_iter();
            let mut next = || cells.next().flatten();
            let Some(name) = next() else { continue };
            let cells = next().zip(next());
            match (next().as_deref(), cells) {
                (Some(kind), Some((of, schema))) => {
                    let of = ObjectName::qualified(schema, of);
                    let is_function = kind == "function";
                    let source = if is_function { Source::Function(of) } else { Source::Relation(of) };
                    views.entry(name).or_default().push(source);
                }
                (_, cells) => known.entry(name).or_default().extend(cells),
            }
        }
        self.temporary.learn(known, views);
        // What the transaction has made or dropped may come to nothing, or end with it.
        self.temporary_touched = self.block.is_open();
        Ok(())
    }

    /// Asks again once the transaction is over that made or dropped a temporary relation, or went back to a savepoint.
    pub(super) async fn relearn_temporary(&mut self) -> Outcome {
        let over = !self.block.is_open() || self.block.get().is_some_and(|t| t.rolled_back_to);
        if !self.temporary_touched || !over || self.pin.is_none() {
            return Ok(());
        }
        if let Some(transaction) = self.block.transaction() {
            transaction.rolled_back_to = false;
        }
        Box::pin(self.learn_temporary()).await
    }

    /// In a transaction whose code may have made some, and which has not been asked yet: before rows of other shards are put
    /// beside those of the default shard.
    pub(super) async fn learn_suspected(&mut self) -> Outcome {
        let default = self.default_shard();
        let suspected =
            |lane: &Lane| lane.in_block && lane.connection.suspect && lane.shard == default && !lane.replica;
        match self.lanes.iter().position(suspected) {
            Some(index) => Box::pin(self.learn_temporary_on(index)).await,
            None => Ok(()),
        }
    }

    /// Whether the statement names a temporary object of this session.
    pub(super) fn names_temporary(&self, planned: &Planned) -> bool {
        let facts = &planned.plan.facts;
        if self.pin.is_some() && matches!(facts.kind, Kind::Ddl { temporary: true, creates: None, .. }) {
            return true;
        }
        if self.temporary.is_empty() {
            return false;
        }
        let own = |name: &ObjectName| self.is_temporary(name);
        relations(facts).iter().any(|name| own(name))
            || facts.objects.iter().chain(&facts.targets).any(own)
            || facts.casts.iter().any(|cast| self.may_be_temporary(cast.type_name.as_deref()))
            || names_by_words(facts) && facts.words.iter().any(|word| self.temporary.contains(word))
    }

    fn is_temporary(&self, name: &ObjectName) -> bool {
        matches!(name.schema.as_deref(), None | Some("pg_temp")) && self.temporary.contains(&name.name)
    }

    /// Of a type, as `pg_type` has it: such of the session's own, and the rows of its tables, are found first.
    fn may_be_temporary(&self, type_name: Option<&str>) -> bool {
        type_name.is_none_or(|name| {
            self.temporary.contains(name)
                || name.strip_prefix('_').is_some_and(|element| self.temporary.contains(element))
        })
    }

    /// Whether something of this name may be on every shard. Types are in no catalog of ours by their names.
    fn may_last(&self, name: &ObjectName) -> bool {
        let planning = &self.context.planning;
        planning.catalog.resolve(name, &planning.search_path).is_some()
            || self.block.get().is_some_and(|t| t.changed.contains(&name.name))
    }

    /// A temporary object's statement runs where the object is; it must not need rows of other shards as well, nor change
    /// what is on every shard.
    pub(super) fn check_temporary(&self, planned: &Planned) -> Outcome {
        let planning = &self.context.planning;
        let targets = &planned.plan.facts.targets;
        if targets.iter().any(|target| self.is_temporary(target))
            && let Some(lasting) =
                targets.iter().find(|target| !self.is_temporary(target) && self.may_last(target))
        {
            return Err(super::Failure::Sql(refusals::TEMPORARY_WITH_LASTING.error(&[&lasting.to_string()])));
        }
        if let Kind::CreateTableAs { name, temporary: false, .. } = &planned.plan.facts.kind {
            return Err(super::Failure::Sql(refusals::FROM_TEMPORARY.error(&[&name.to_string()])));
        }
        let facts = &planned.plan.facts;
        let every = matches!(facts.kind, Kind::Truncate { .. } | Kind::LockTable | Kind::Maintenance { .. });
        let by_words: Vec<ObjectName> = match every {
            true => facts.words.iter().map(|word| ObjectName::unqualified(word.as_str())).collect(),
            false => Vec::new(),
        };
        let target = facts.kind.target().map(|target| &target.name);
        let spread = relations(facts).into_iter().chain(&by_words).find(|name| {
            let written = every || target == Some(*name);
            !self.is_temporary(name) && !is_whole_on(planning, name, self.default_shard(), written)
        });
        self.check_sources(facts)?;
        let code = shard_of_code(planning, facts).map_err(|refusal| super::Failure::Sql(refusal.into()))?;
        match spread {
            None if code.is_some_and(|shard| shard != self.default_shard()) => {
                let error = refusals::TEMPORARY_WITH_SHARDED.error(&["what a function reads"]);
                Err(super::Failure::Sql(error))
            }
            None => Ok(()),
            Some(name) => {
                Err(super::Failure::Sql(refusals::TEMPORARY_WITH_SHARDED.error(&[&name.to_string()])))
            }
        }
    }

    /// What the session's own views are made of was on their server when they were made.
    fn check_sources(&self, facts: &Facts) -> Outcome {
        let planning = &self.context.planning;
        let default = self.default_shard();
        for source in self.temporary.sources(relations(facts)) {
            let is_there = match source {
                Source::Relation(name) => is_whole_on(planning, name, default, false),
                Source::Function(name) => {
                    let needed = shard_of_function(planning, name);
                    needed.is_ok_and(|shard| shard.is_none_or(|shard| shard == default))
                }
            };
            if let (false, Source::Relation(name) | Source::Function(name)) = (is_there, source) {
                return Err(super::Failure::Sql(
                    refusals::TEMPORARY_WITH_SHARDED.error(&[&name.to_string()]),
                ));
            }
        }
        Ok(())
    }

    /// A statement that was prepared under this name still has the answer that its client knows.
    pub(super) fn check_answer(
        &mut self,
        name: &[u8],
        planned: &Planned,
        prepared: &Prepared,
    ) -> Result<(), SqlError> {
        let sight = self.sight_of_names();
        let Some(then) = self.statements.answer(name).filter(|then| then.sight != sight) else {
            return Ok(());
        };
        check_kept(Some(then), self.dependence_of(planned, prepared))
            .inspect_err(|_| self.worker.interner.borrow_mut().forget(prepared))?;
        self.statements.confirm_answer(name, sight);
        Ok(())
    }

    /// Changes with what names of tables may mean to the session.
    fn sight_of_names(&self) -> (u32, u32) {
        (self.context.id, self.temporary.turn)
    }

    /// What the columns of the answer depend on; None for a statement that gives no rows.
    pub(super) fn answer_of(&self, planned: &Planned, text: &[u8]) -> Option<Answer> {
        gives_rows(&planned.plan.facts).then(|| self.columns_of(planned, text, false))
    }

    /// The same and what types of parameters depend on that the next server finds by itself; None if nothing does.
    pub(super) fn dependence_of(&self, planned: &Planned, prepared: &Prepared) -> Option<Answer> {
        let facts = &planned.plan.facts;
        let infers = prepared.is_untold() && prepared.declared_all(facts.param_count).is_none();
        let unnamed = matches!(&facts.kind, Kind::Insert(insert) if insert.columns.is_none());
        let depends = infers || gives_rows(facts);
        depends.then(|| self.columns_of(planned, prepared.text(), infers && unnamed))
    }

    /// The columns that a text names; `all`: whether it names them or not.
    fn columns_of(&self, planned: &Planned, text: &[u8], all: bool) -> Answer {
        use std::hash::{DefaultHasher, Hash, Hasher};
        fn number(of: impl Hash) -> u64 {
            let mut hasher = DefaultHasher::new();
            of.hash(&mut hasher);
            hasher.finish()
        }
        let facts = &planned.plan.facts;
        let planning = &self.context.planning;
        let mut names: Vec<&ObjectName> = relations(facts).into_iter().collect();
        names.sort();
        // Of each relation its name, and of its columns their names and a number for the type.
        let relations = names.iter().filter_map(|name| {
            if self.is_temporary(name) {
                let columns = self.temporary.known.get(&name.name)?.iter();
                let columns = columns.map(|(column, kind)| (column.as_str(), number(kind)));
                return Some((name.name.as_str(), columns.collect::<Vec<_>>()));
            }
            let info = planning.catalog.resolve(name, &planning.search_path)?;
            let columns =
                info.columns.iter().map(|c| (c.name.as_str(), number((c.type_oid, c.type_modifier))));
            Some((info.name.name.as_str(), columns.collect()))
        });
        let relations: Vec<_> = relations.collect();
        let star = stands_for_columns(text, self.lex_options()).then(|| number(&relations));
        let folded = text.to_ascii_lowercase();
        let is_named = |name: &str| {
            let name = name.to_ascii_lowercase();
            folded.windows(name.len().max(1)).any(|words| words == name.as_bytes())
        };
        let columns = relations.iter().flat_map(|(relation, columns)| {
            let named = columns.iter().filter(|(column, _)| all || is_named(column));
            named.map(move |(column, kind)| (number((relation, column)), *kind))
        });
        let found = relations.len();
        Answer { sight: self.sight_of_names(), found, star, columns: columns.collect() }
    }
}

/// In the schema of some session's temporary objects: nobody names those of others.
fn is_own(name: &ObjectName) -> bool {
    name.schema.as_deref().is_some_and(|schema| schema.starts_with("pg_temp"))
}

fn names_by_words(facts: &Facts) -> bool {
    matches!(
        facts.kind,
        Kind::Unparsed { .. } | Kind::Maintenance { .. } | Kind::LockTable | Kind::Do | Kind::Call
    )
}

/// Every relation that the statement names, at any depth.
pub(super) fn relations(facts: &Facts) -> HashSet<&ObjectName> {
    let mut names = HashSet::new();
    collect(&facts.block, &mut names);
    match &facts.kind {
        Kind::Insert(insert) => {
            names.insert(&insert.target.name);
        }
        Kind::Update(update) => {
            names.insert(&update.target.name);
        }
        Kind::Delete(delete) => {
            names.insert(&delete.target.name);
        }
        Kind::Merge { target } => {
            names.insert(&target.name);
        }
        Kind::Truncate { targets, .. } => names.extend(targets.iter().map(|target| &target.name)),
        Kind::Copy(copy) => names.extend(copy.table.iter().map(|table| &table.name)),
        Kind::Explain(explain) => names.extend(relations(&explain.inner)),
        _ => {}
    }
    names
}

fn collect<'a>(block: &'a QueryBlock, names: &mut HashSet<&'a ObjectName>) {
    names.extend(block.relations.iter().map(|relation| &relation.name));
    for child in &block.children {
        collect(child, names);
    }
}

fn gives_rows(facts: &Facts) -> bool {
    match &facts.kind {
        Kind::Select { .. } | Kind::ModifyingWith => true,
        Kind::Insert(insert) => insert.returning,
        Kind::Update(update) => update.returning,
        Kind::Delete(delete) => delete.returning,
        _ => false,
    }
}
