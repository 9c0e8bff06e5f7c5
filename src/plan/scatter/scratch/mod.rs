//! A SELECT that cannot be combined from answers of the shards: its tables are brought together, and one PostgreSQL
//! answers the client's own text.
//!
//! Compiled once per shape, after every other way has declined. `execute::scatter` makes the temporary tables in a
//! session of their own on one primary, fills each from the shards that have its rows, and runs the
//! text there. Temporary tables are found before all others, so an unqualified name means the gathered rows by itself;
//! a name with its schema is respelled at its place.
//!
//! ```text
//!  shards ── SELECT city, fare FROM public.rides WHERE … ──▶ pg_temp.rides ─┐
//!  shards ── SELECT … FROM public.drivers ─────────────────▶ pg_temp.drivers ┼─▶ the client's text ─▶ client
//!  regions (reference), notes (single): where they are ──────────────────────┘
//! ```
//!
//! Invariants:
//! 1. A name in the text means a gathered table exactly where it meant the sharded one: two relations of one bare name
//!    are refused, and so is whatever looks a name up by other means (`regclass`, system columns).
//! 2. A column that the text may mean is gathered; the others are there, and NULL.
//! 3. A condition is pushed to the shards only if no row that fails it can change the answer.
//! 4. Nothing that the text does leaves a trace: functions with an effect are refused, and the session rolls back.
//!
//! Not here: when this way is taken ([`super::Scatter::compile`]), bounds and sessions (`execute`, `session`).

mod columns;
mod cut;
mod filters;
mod idle;
mod links;
mod names;
mod places;
mod tied;

use std::collections::HashMap;

use crate::catalog::{CastCall, Column, RelationInfo, RelationKind, WireType};
use crate::plan::PlanningContext;
use crate::plan::home::{self, Home};
use crate::plan::refusal::Refusal;
use crate::sql::arguments::Arguments;
use crate::sql::clocks::clocks;
use crate::sql::facts::{Block, Facts, FunctionUse, Kind, Relation};
use crate::sql::lexer::LexOptions;
use crate::sql::name::ObjectName;
use crate::sql::parse::Parsed;
use crate::sql::words::Words;
use crate::topology::{ShardId, ShardSet};

use super::{Combine, Limits, Scatter, ShardText, Text, expression};

use cut::Shortened;
use filters::Needs;
pub use links::{Counts, Link};

/// A client's text, and how it is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub text: &'a [u8],
    pub options: LexOptions,
}

/// Where the rows of a gathered table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// On every shard others.
    Sharded,
    /// The same on every shard.
    Everywhere,
    On(ShardId),
}

/// One table that is brought to the scratch session.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: ObjectName,
    pub rows: Rows,
    /// The scratch server has these rows itself.
    in_place: bool,
    /// CREATE TEMPORARY TABLE, with the columns of the table.
    pub create: String,
    /// The same with the table's primary key, if all of it is gathered.
    pub create_keyed: Option<String>,
    /// COPY … FROM STDIN in binary, of the columns that are gathered.
    pub copy: String,
    /// Of the columns that are gathered, in the temporary table.
    pub types: Vec<WireType>,
    /// ANALYZE of the temporary table.
    pub analyze: String,
    /// What the shards are asked, columns in the order of the COPY.
    select: Text,
    /// The same without conditions.
    select_all: Text,
    /// The same with them, where the text needs only the first rows of each shard.
    shortened: Option<Shortened>,
    is_filtered: bool,
    /// Tables whose keys may limit what is gathered of this one.
    pub links: Vec<Link>,
}

/// How the tables of one shape are gathered.
#[derive(Debug, Clone)]
pub struct Scratch {
    tables: Vec<Table>,
    /// Views of gathered tables, to be made anew over the temporary ones; what a view reads stands before it.
    spread: Vec<SpreadView>,
    /// A view is read where it is, or code of the user's may read tables: what the session has changed and not committed is
    /// not seen there.
    in_place: bool,
    /// The text groups by something, perhaps by a primary key, from which other columns then follow.
    groups: bool,
    clock: Clock,
}

/// Whether the text, or a view made anew, asks for the time: inside a transaction it is the transaction's, which the scratch
/// session has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    NotRead,
    /// Where it can be written as a constant.
    Read,
    /// Where it cannot.
    Hidden,
}

/// What the transaction under way means for the text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Amid<'a> {
    /// It sees other rows than another session: nothing is read in place.
    pub changed: bool,
    /// When it began, for [`Scratch::reads_clock`].
    pub time: Option<&'a str>,
}

/// A view that reads sharded tables.
#[derive(Debug, Clone)]
struct SpreadView {
    name: ObjectName,
    columns: String,
    definition: String,
}

impl Scratch {
    /// Statements that make the views over the gathered tables; None where one cannot be read.
    pub fn views(&self, amid: Amid<'_>) -> Option<Vec<String>> {
        let moved = self.moved(amid.changed);
        let create = |view: &SpreadView| {
            let text = view.definition.trim_end().trim_end_matches(';');
            let source = Source { text: text.as_bytes(), options: LexOptions::default() };
            let definition = String::from_utf8(names::respell(source, &moved, amid.time)?).ok()?;
            let name = quote_identifier(&view.name.name);
            Some(format!("CREATE TEMPORARY VIEW pg_temp.{name} ({}) AS {definition}", view.columns))
        };
        self.spread.iter().map(create).collect()
    }

    /// What stands in the scratch session's temporary schema.
    fn moved(&self, changed: bool) -> Vec<&ObjectName> {
        let tables = self.tables(changed).map(|table| &table.name);
        tables.chain(self.spread.iter().map(|view| &view.name)).collect()
    }

    /// The table of a link.
    pub fn table(&self, index: usize) -> &Table {
        &self.tables[index]
    }

    /// The tables to gather. `changed`: the transaction under way has written, so that nothing is read in place.
    pub fn tables(&self, changed: bool) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(move |table| changed || !table.in_place)
    }

    /// Whether the text may be understood only where the tables have their primary keys.
    pub fn may_need_keys(&self, changed: bool) -> bool {
        self.groups
            && self.spread.is_empty()
            && self.tables(changed).any(|table| table.create_keyed.is_some())
    }

    /// Whether the text may be answered inside of a transaction that has written or not.
    pub fn serves(&self, in_block: bool, changed: bool) -> bool {
        !(in_block && self.clock == Clock::Hidden || changed && self.in_place)
    }

    /// Whether a transaction must say when it began.
    pub fn reads_clock(&self) -> bool {
        self.clock == Clock::Read
    }

    /// The client's text with the qualified names of gathered tables respelled, and the transaction's time; None where it
    /// cannot be read.
    pub fn final_text(&self, source: Source<'_>, amid: Amid<'_>) -> Option<Vec<u8>> {
        names::respell(source, &self.moved(amid.changed), amid.time)
    }

    /// The same without the conditions that the shards would apply.
    pub fn unconditional(&self) -> Self {
        let all = |table: &Table| Table {
            select: table.select_all.clone(),
            shortened: None,
            is_filtered: false,
            ..table.clone()
        };
        Self { tables: self.tables.iter().map(all).collect(), ..self.clone() }
    }

    /// Lines of EXPLAIN.
    pub fn describe(&self, fill: &dyn Fn(&str) -> String) -> Vec<String> {
        let line = |table: &Table| match (table.in_place, table.rows) {
            (true, _) => format!("in place: {}", table.name),
            (false, Rows::Sharded) => format!("gather: {}", table.describe(fill)),
            (false, Rows::Everywhere | Rows::On(_)) => {
                format!("gather from one shard: {}", table.describe(fill))
            }
        };
        let mut lines = vec!["combine: by one server, over gathered tables".to_owned()];
        lines.extend(self.tables.iter().map(line));
        lines.extend(self.spread.iter().map(|view| format!("view over them: {}", view.name)));
        lines
    }
}

/// Compiles it; None where only a shard's own table can be meant.
pub(super) fn compile(parsed: &Parsed, source: Source<'_>, ctx: &PlanningContext) -> Option<Scatter> {
    let facts = &parsed.facts;
    let plain = matches!(facts.kind, Kind::Select { locking: false, into: false });
    if !plain || facts.system_column.is_some() || looks_names_up(facts) || path_names_temporary(ctx) {
        return None;
    }
    let mut words = Words::of(source.text, source.options)?;
    let mut survey = Survey::default();
    survey.enter(&facts.block, ctx)?;
    let spread = spread_views(&survey.spread, &mut words, ctx)?;
    if !survey.found.values().any(|found| matches!(found.rows, Rows::Sharded)) {
        return None;
    }
    let mut found: Vec<Found<'_>> = survey.found.into_values().collect();
    found.sort_by(|a, b| a.info.name.cmp(&b.info.name));
    let views = survey.views.iter().chain(spread.iter().map(|view| &view.name));
    let names: Vec<&ObjectName> = found.iter().map(|found| &found.info.name).chain(views).collect();
    if !names::are_distinct(&names)
        || !names::are_respellable(&words, &names)
        || names::hide_types(&names, facts)
    {
        return None;
    }
    let whole = columns::asks_for_rows(&words, &found, ctx);
    if whole && calls_for_rows(facts, &words, ctx) {
        return None;
    }
    let needs = filters::of(parsed, &found, ctx);
    let mut tables = Vec::new();
    for (found, needs) in found.iter().zip(needs) {
        tables.push(table(found, needs, &words, whole, ctx)?);
    }
    // What is read in place has no temporary table to ask for its keys.
    let in_place: Vec<bool> = tables.iter().map(|table| table.in_place).collect();
    tables.iter_mut().for_each(|table| table.links.retain(|link| !in_place[link.by]));
    let groups = words.contains("group");
    let clock = clock(source, facts, &spread, ctx);
    let of_user = |call: &FunctionUse| {
        ctx.catalog.function(&call.name, &ctx.search_path).is_some_and(|info| !info.built_in)
    };
    let calls = survey.spread.iter().any(|view| !view.calls.is_empty());
    let in_place = calls || !survey.views.is_empty() || facts.functions.iter().any(of_user);
    Some(Scatter {
        shard: ShardText::Original,
        combine: Combine::Scratch(Scratch { tables, spread, in_place, groups, clock }),
        limits: Limits::NONE,
        pushed_limit: None,
        undeclared: Vec::new(),
        learn_parameters: false,
        visible_columns: None,
        equal_literals: Vec::new(),
        constant_literals: Vec::new(),
        param_count: facts.param_count,
        residency: None,
    })
}

fn clock(source: Source<'_>, facts: &Facts, spread: &[SpreadView], ctx: &PlanningContext) -> Clock {
    use super::functions::{Steadiness, shadowed, steadiness};
    let of_definition = |view: &SpreadView| clocks(view.definition.as_bytes(), LexOptions::default());
    let mut read = vec![clocks(source.text, source.options)];
    read.extend(spread.iter().map(of_definition));
    let own = |call: &FunctionUse| {
        steadiness(&call.name, call.argument_count) == Steadiness::Clock && shadowed(&call.name, ctx)
    };
    match read.into_iter().collect::<Option<Vec<_>>>() {
        Some(read) if read.iter().all(Vec::is_empty) => Clock::NotRead,
        Some(_) if !facts.functions.iter().any(own) => Clock::Read,
        _ => Clock::Hidden,
    }
}

/// A relation of the statement, with every place where it is named.
struct Found<'a> {
    info: &'a RelationInfo,
    rows: Rows,
    in_place: bool,
    only: bool,
    relations: Vec<&'a Relation>,
    /// A view reads it: what of it is needed is not in the text.
    by_view: bool,
}

#[derive(Default)]
struct Survey<'a> {
    found: HashMap<ObjectName, Found<'a>>,
    /// Read where they are.
    views: Vec<ObjectName>,
    /// Over sharded tables.
    spread: Vec<&'a RelationInfo>,
}

impl<'a> Survey<'a> {
    fn enter(&mut self, block: &'a Block, ctx: &'a PlanningContext) -> Option<()> {
        for relation in &block.relations {
            self.add(relation, ctx)?;
        }
        block.children.iter().try_for_each(|child| self.enter(child, ctx))
    }

    fn add(&mut self, relation: &'a Relation, ctx: &'a PlanningContext) -> Option<()> {
        let info = ctx.catalog.resolve(&relation.name, &ctx.search_path)?;
        if let Some(found) = self.find(info, relation.only, ctx)? {
            found.relations.push(relation);
        }
        Some(())
    }

    /// Notes a relation; the entry of a table. None where it cannot be gathered.
    fn find(
        &mut self,
        info: &'a RelationInfo,
        only: bool,
        ctx: &'a PlanningContext,
    ) -> Option<Option<&mut Found<'a>>> {
        let here = ctx.topology.scratch_shard;
        let (rows, in_place) = match home::of(ctx, &info.name) {
            Home::Sharded { .. } => (Rows::Sharded, false),
            Home::Reference { .. } => (Rows::Everywhere, true),
            Home::Single(shard) if is_table(info) => (Rows::On(shard), shard == here),
            Home::Single(shard) if shard == here => return self.add_view(info).map(|()| None),
            Home::OverReference => return self.add_view(info).map(|()| None),
            Home::OverSharded if info.kind == RelationKind::View => {
                return self.add_spread(info, ctx).map(|()| None);
            }
            Home::OverSharded | Home::Single(_) | Home::Elsewhere(_) => return None,
        };
        if !is_table(info) {
            return None;
        }
        let new = Found { info, rows, in_place, only, relations: Vec::new(), by_view: false };
        let found = self.found.entry(info.name.clone()).or_insert(new);
        (found.only == only).then_some(Some(found))
    }

    /// A view, and what it reads: through other views too.
    fn add_spread(&mut self, info: &'a RelationInfo, ctx: &'a PlanningContext) -> Option<()> {
        if self.spread.iter().any(|known| known.name == info.name) {
            return Some(());
        }
        self.spread.push(info);
        for name in &info.reads {
            let read = ctx.catalog.relations.get(name)?;
            // Its policies are asked for the view's owner, and the shards would ask them for the client.
            if read.row_security {
                return None;
            }
            if let Some(found) = self.find(read, false, ctx)? {
                found.by_view = true;
            }
        }
        Some(())
    }

    fn add_view(&mut self, info: &RelationInfo) -> Option<()> {
        self.views.push(info.name.clone());
        Some(())
    }
}

/// The views with their definitions, whose words count as the statement's; a view after those that it reads.
fn spread_views(
    found: &[&RelationInfo],
    words: &mut Words,
    ctx: &PlanningContext,
) -> Option<Vec<SpreadView>> {
    let mut views = found.to_vec();
    let below = |view: &RelationInfo| found.iter().filter(|other| view.reads.contains(&other.name)).count();
    views.sort_by_key(|view| below(view));
    let mut spread = Vec::new();
    for view in views {
        let definition = view.definition.clone()?;
        let own = Words::of(definition.as_bytes(), LexOptions::default())?;
        let of_system = |schema: &str, name: &str| {
            ctx.catalog.relations.contains_key(&ObjectName::qualified(schema, name))
        };
        let reads_system = own
            .words
            .iter()
            .any(|word| of_system("pg_catalog", &word.name) || of_system("information_schema", &word.name));
        if reads_system {
            return None;
        }
        words.wildcard |= own.wildcard;
        words.words.extend(own.words);
        let columns: Vec<String> = view.columns.iter().map(|column| quote_identifier(&column.name)).collect();
        spread.push(SpreadView { name: view.name.clone(), columns: columns.join(", "), definition });
    }
    Some(spread)
}

fn is_table(info: &RelationInfo) -> bool {
    match info.kind {
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => true,
        RelationKind::View
        | RelationKind::MaterializedView
        | RelationKind::Sequence
        | RelationKind::Other => false,
    }
}

/// A table by its name in a value would be the temporary one.
pub(super) fn looks_names_up(facts: &Facts) -> bool {
    let by_cast =
        facts.casts.iter().any(|cast| cast.type_name.as_deref().is_none_or(|name| name.starts_with("reg")));
    by_cast || facts.functions.iter().any(|call| call.name.name.starts_with("to_reg"))
}

/// The user's code may take a row: that of a temporary table is of another type, for which there is other code or none.
fn calls_for_rows(facts: &Facts, words: &Words, ctx: &PlanningContext) -> bool {
    let hidden = &ctx.catalog.hidden;
    let takes_rows = |name: &ObjectName| {
        ctx.catalog.function(name, &ctx.search_path).is_some_and(|info| !info.built_in && info.takes_rows)
    };
    let of_operators = facts.operators.iter().filter_map(|operator| hidden.operators.get(operator)).flatten();
    let of_rows = |cast: &&CastCall| {
        cast.source == "record" || ctx.catalog.relations.keys().any(|relation| relation.name == cast.source)
    };
    let of_casts = hidden.casts.iter().filter(|cast| takes_rows(&cast.function)).filter(of_rows);
    let hidden = of_operators.chain(of_casts.map(|cast| &cast.function));
    let mut like_columns = words.words.iter().filter(|word| word.after_dot);
    facts.functions.iter().map(|call| &call.name).chain(hidden).any(takes_rows)
        || like_columns.any(|word| takes_rows(&ObjectName::unqualified(word.name.as_str())))
}

/// Then temporary tables are not found first.
fn path_names_temporary(ctx: &PlanningContext) -> bool {
    ctx.search_path.iter().any(|schema| schema.starts_with("pg_temp"))
}

fn table(
    found: &Found<'_>,
    needs: Needs,
    words: &Words,
    whole: bool,
    ctx: &PlanningContext,
) -> Option<Table> {
    let info = found.info;
    let bare = quote_identifier(&info.name.name);
    let temporary = format!("pg_temp.{bare}");
    let definitions: Option<Vec<String>> = info.columns.iter().map(definition).collect();
    let wanted = columns::wanted(info, words, whole, ctx)?;
    let list = wanted.iter().map(|column| quote_identifier(&column.name)).collect::<Vec<_>>().join(", ");
    let types = wanted.iter().map(|column| column.wire_type).collect();
    let schema = quote_identifier(info.name.schema.as_deref()?);
    let definitions = definitions?.join(", ");
    let create =
        |key: &str| format!("CREATE TEMPORARY TABLE {temporary} ({definitions}{key}) ON COMMIT DROP");
    let gathered = |name: &String| wanted.iter().any(|column| column.name == *name);
    let is_keyed = !info.primary_key.is_empty() && info.primary_key.iter().all(gathered);
    let key = || info.primary_key.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ");
    let create_keyed = is_keyed.then(|| create(&format!(", PRIMARY KEY ({})", key())));
    let only = if found.only { "ONLY " } else { "" };
    let all = format!("SELECT {list} FROM {only}{schema}.{bare}");
    let is_filtered = needs.filter.is_some();
    let filter = needs.filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
    let select = format!("{all}{filter}");
    let shortened = needs.cut.and_then(|cut| Shortened::new(&select, cut));
    Some(Table {
        name: info.name.clone(),
        rows: found.rows,
        in_place: found.in_place,
        create: create(""),
        create_keyed,
        copy: format!("COPY {temporary} ({list}) FROM STDIN (FORMAT binary)"),
        types,
        analyze: format!("ANALYZE {temporary}"),
        select: Text::new(select).ok()?,
        select_all: Text::new(all).ok()?,
        shortened,
        is_filtered,
        links: needs.links,
    })
}

/// An identifier, always in quotes.
fn quote_identifier(name: &str) -> String {
    expression::quoted(name).to_string()
}

fn definition(column: &Column) -> Option<String> {
    if column.type_name.is_empty() {
        return None;
    }
    let collate = column.collation_name.as_ref().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
    Some(format!("{} {}{collate}", quote_identifier(&column.name), column.type_name))
}

/// The relation that a name in the tree means, if it is one of these.
fn position_of(
    found: &[Found<'_>],
    name: &sqlparser::ast::ObjectName,
    ctx: &PlanningContext,
) -> Option<usize> {
    let name = home::resolve(ctx, &expression::object_name(name)?)?;
    found.iter().position(|found| found.info.name == name)
}

impl Table {
    /// The shards apply conditions of the text.
    pub const fn is_filtered(&self) -> bool {
        self.is_filtered
    }

    /// What the shards are asked, with placeholders filled in, for people.
    pub fn describe(&self, fill: &dyn Fn(&str) -> String) -> String {
        match &self.shortened {
            Some(shortened) => format!("{}{}", fill(shortened.text.printed()), fill(&shortened.bounds)),
            None => fill(self.select.printed()),
        }
    }

    /// What the shards are asked. `further`: a condition besides those of the text; `with_conditions`: those may be
    /// asked there.
    pub fn ask(
        &self,
        arguments: &Arguments<'_>,
        with_conditions: bool,
        further: Option<&str>,
    ) -> Result<Vec<u8>, Refusal> {
        let Some(further) = further else {
            let shortened = self.shortened.as_ref().filter(|_| with_conditions);
            return match shortened.and_then(|shortened| shortened.fill(arguments)) {
                Some(text) => Ok(text),
                None => self.select_of(with_conditions).fill(arguments),
            };
        };
        let joint = if self.is_filtered && with_conditions { "AND" } else { "WHERE" };
        let mut text = self.select_of(with_conditions).fill(arguments)?;
        text.extend_from_slice(format!(" {joint} {further}").as_bytes());
        Ok(text)
    }

    const fn select_of(&self, with_conditions: bool) -> &Text {
        if with_conditions { &self.select } else { &self.select_all }
    }

    /// The shards of these that have rows of the table; for those that are the same everywhere, one.
    pub fn sources(&self, asked: ShardSet) -> ShardSet {
        match self.rows {
            Rows::Sharded => asked,
            Rows::Everywhere => asked.iter().next().map_or(ShardSet::EMPTY, ShardSet::one),
            Rows::On(shard) => ShardSet::one(shard),
        }
    }
}
