//! A SELECT over several shards: the text for each shard, and how their rows are combined.
//!
//! Pure. [`Scatter::compile`] runs once per shape; `execute::scatter` drives the result with the operators of
//! `merge`. Shards are always asked by the extended protocol; visible columns in the client's formats, hidden and
//! partial columns in binary.
//!
//! ```text
//! no ORDER BY, nothing computed     Concat    the client's text; rows as they come; LIMIT cut here
//! over rows of several shards
//! DISTINCT of plain columns         Distinct  the client's text; rows as they come, of equal bytes once
//! ORDER BY, exact comparators       Ordered   sort keys once more as hidden columns; k-way merge
//! aggregates, GROUP BY, DISTINCT,   Finish    partial rows by each shard; then one PostgreSQL computes the client's
//! ORDER BY under a collation                  select list, HAVING, ORDER BY and LIMIT over all of them
//! windows, DISTINCT ON, other aggregates,     the same, over the named columns of every row
//! grouping sets, clocks in the select list
//! a SELECT over the groups of another          Finish    the partial rows of the inner one; the same server goes on
//! UNION ALL of SELECTs of these kinds          Parts     each in its own way, one after the other
//! joins off the key, subqueries, set         Scratch   the tables' rows; one PostgreSQL answers the client's text
//! operations, single tables beside sharded
//! ```
//!
//! How to run a Finish: Describe the client's own text on one shard (names, types and parameters of the answer; its
//! errors are the client's). Parse and Describe the shard text: its column types go to [`Finish::final_text`], which
//! refuses before anything ran. Gather with `merge::PartialRows` in binary, and run the final text on any one shard
//! with the client's parameters followed by one binary array per partial column. The answer's type OIDs must equal
//! those of the first Describe, whose RowDescription the client gets.
//!
//! Invariants:
//! 1. A statement whose combine is not known to be exact refuses; nothing is approximated.
//! 2. Literals stay placeholders in every text here; raw bytes are spliced in per execution.
//! 3. LIMIT is never pushed below a grouping, and never without OFFSET added.
//!
//! Not here: which shards ([`crate::plan`] routes), sockets, splicing of literals (`sql`).

pub mod aggregates;
mod apart;
mod brought;
mod collation;
mod columns;
mod distinct;
pub mod eligible;
mod explain;
mod expression;
pub mod finish;
mod functions;
mod gathered;
mod grouped;
mod levels;
pub mod limit;
mod nested;
mod ordered;
pub mod parts;
pub mod placeholders;
pub mod refusals;
mod residency;
pub mod scratch;
mod select;
mod statistics;
#[cfg(test)]
mod tests;
mod united;

use std::sync::Arc;

use sqlparser::ast::{Distinct, Expr, Query, SelectItem, SetExpr, Statement};

use crate::merge::{KeyType, SortKey, TextOrder};
use crate::plan::PlanningContext;
use crate::plan::refusal::Refusal;
use crate::sql::arguments::Arguments;
use crate::sql::facts::Facts;
use crate::sql::parse::{Parsed, facts_of_part, parse_tree, with_stack};
use crate::sql::render::{Template, prints_as_read};
use crate::topology::ShardSet;

pub use eligible::may_scatter;
pub use finish::Finish;
pub use limit::{BoundLimits, LimitValue, Limits};
pub use parts::Part;
pub use scratch::{Scratch, Source};

use apart::Apart;
use columns::Scope;
use placeholders::{Numbered, Placeholders};
use refusals::Reason;
use select::Target;

/// Names in rewritten texts begin so; a statement that uses such a name itself is not rewritten.
const OWN_NAMES: &str = "meridian__";

/// A rewritten text: as printed with placeholders, and ready for a client's literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    printed: String,
    template: Template,
}

impl Text {
    fn new(printed: String) -> Result<Self, Refusal> {
        let template = Template::new(&printed).ok_or_else(|| Reason::RoundTrip.refusal("literal"))?;
        Ok(Self { printed, template })
    }

    /// The text with placeholders, for people.
    pub fn printed(&self) -> &str {
        &self.printed
    }

    /// The text to send: the client's own literals spliced in.
    pub fn fill(&self, arguments: &Arguments<'_>) -> Result<Vec<u8>, Refusal> {
        self.template
            .fill(arguments.text, arguments.literals, &[])
            .ok_or_else(|| Reason::RoundTrip.refusal("literal"))
    }
}

/// Stack for walking, printing and dropping a tree: sqlparser recurses once per level, and a level needs a token.
const STACK_BASE: usize = 1 << 20;
const STACK_PER_BYTE: usize = 4 << 10;
const STACK_MAX: usize = 256 << 20;

/// What each shard is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardText {
    /// The client's own text.
    Original,
    Rewritten(Text),
}

/// One ORDER BY key of an [`Combine::Ordered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderKey {
    pub descending: bool,
    pub nulls_first: bool,
    /// What the planner proved of the order of this key's values if they are text.
    pub text: TextOrder,
}

/// What to do with the shards' rows.
#[derive(Debug, Clone)]
pub enum Combine {
    /// As they come, through a `merge::Limiter`.
    Concat,
    /// As they come, through `merge::DistinctRows`.
    Distinct,
    /// By `merge::RowMerge`; the last columns of each row are the keys, in this order.
    Ordered {
        keys: Vec<OrderKey>,
        /// To be run instead where [`Scatter::sort_keys`] refuses the keys' types.
        otherwise: Option<Arc<Scatter>>,
    },
    /// By one PostgreSQL, over gathered partial rows.
    Finish(Finish),
    /// One after the other, each in its own way.
    Parts(Vec<Part>),
    /// By one PostgreSQL, over gathered tables.
    Scratch(Scratch),
}

/// Which ways of combining may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    All,
    /// Something in the statement must run on one server, whole.
    ScratchOnly,
}

/// What a SELECT is of its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Its rows are the client's.
    Whole,
    /// Its groups are read by another one.
    Inner,
}

/// How a SELECT is answered from several shards.
#[derive(Debug, Clone)]
pub struct Scatter {
    pub shard: ShardText,
    pub combine: Combine,
    /// LIMIT and OFFSET that the merge applies; a Finish applies them in its final text.
    pub limits: Limits,
    /// Zero-based index of the `bigint` parameter that was added to the shards' text for the pushed-down limit
    /// ([`BoundLimits::pushed`]), always in binary.
    pub pushed_limit: Option<u32>,
    /// Parameters that no longer stand in the shards' text: the type to declare where the client declared none.
    pub undeclared: Vec<(u32, u32)>,
    /// Declare every parameter with the type that Describe of the client's own text gives it: in the rewritten text
    /// PostgreSQL might infer another.
    pub learn_parameters: bool,
    /// Columns of the client's answer; None: ask Describe.
    pub visible_columns: Option<usize>,
    /// Pairs of literals that must be equal, byte by byte ([`Scatter::check`]).
    pub equal_literals: Vec<(u32, u32)>,
    /// Literals that must be written as this integer.
    pub constant_literals: Vec<(u32, String)>,
    /// Parameters of the client's text.
    pub param_count: u32,
    /// Shards whose servers may be sent rows of the others; None: any.
    pub residency: Option<ShardSet>,
}

/// What compiling looks at besides the tree.
struct Inputs<'a> {
    facts: &'a Facts,
    ctx: &'a PlanningContext,
    placeholders: &'a dyn Placeholders,
    scope: Scope<'a>,
    /// Columns of which equal values are on one shard.
    parted: Vec<apart::Named>,
}

impl Scatter {
    /// Compiles a statement, once per shape: the cheapest way that is right. The refusal is the merge's: it names what
    /// can be written otherwise.
    pub fn compile(
        parsed: &Parsed,
        source: Source<'_>,
        ctx: &PlanningContext,
        ways: Ways,
    ) -> Result<Self, Refusal> {
        let merge = match ways {
            Ways::All => Self::merge(parsed, ctx),
            Ways::ScratchOnly => Err(Reason::NotASelect.refusal("")),
        };
        let scatter = merge.or_else(|refusal| scratch::compile(parsed, source, ctx).ok_or(refusal))?;
        Ok(Self { residency: residency::of(&parsed.facts.block, ctx), ..scatter })
    }

    /// Whether rows of several shards are brought to one server.
    pub fn brings_together(&self) -> bool {
        match &self.combine {
            Combine::Concat | Combine::Distinct | Combine::Ordered { otherwise: None, .. } => false,
            Combine::Ordered { otherwise: Some(_), .. } | Combine::Finish(_) | Combine::Scratch(_) => true,
            Combine::Parts(parts) => parts.iter().any(|part| part.scatter.brings_together()),
        }
    }

    /// Without gathering whole tables.
    pub fn merge(parsed: &Parsed, ctx: &PlanningContext) -> Result<Self, Refusal> {
        may_scatter(&parsed.facts, ctx)?;
        let refused = |about: &str| Reason::RoundTrip.refusal(about);
        let text = parsed.text.as_deref().ok_or_else(|| refused("its text was not parsed"))?;
        let mut tree = parse_tree(text).ok_or_else(|| refused("its text was not parsed"))?;
        with_stack((STACK_BASE + text.len() * STACK_PER_BYTE).min(STACK_MAX), || {
            let faithful = prints_as_read(text, &tree);
            let scatter = Self::compile_tree(&mut tree, &parsed.facts, ctx, &Numbered, Level::Whole)
                .or_else(|refusal| nested::compile(text, &parsed.facts, ctx).ok_or(refusal))?;
            let rewritten =
                scatter.shard != ShardText::Original || matches!(scatter.combine, Combine::Parts(_));
            match rewritten && !faithful {
                true => Err(refused("it does not print as it was read")),
                false => Ok(scatter),
            }
        })
    }

    /// Compiles a part of a statement by its own text. PostgreSQL might infer another type of a parameter there, or none: the
    /// types are learnt of the whole.
    fn of_part(text: &str, whole: &Facts, ctx: &PlanningContext, level: Level) -> Option<Self> {
        let mut tree = parse_tree(text)?;
        let facts = facts_of_part(&tree, whole)?;
        let scatter = Self::compile_tree(&mut tree, &facts, ctx, &Numbered, level).ok()?;
        Some(Self { learn_parameters: true, ..scatter })
    }

    /// Compiles a tree of a text with placeholders, which is rewritten in place.
    fn compile_tree(
        statement: &mut Statement,
        facts: &Facts,
        ctx: &PlanningContext,
        placeholders: &dyn Placeholders,
        level: Level,
    ) -> Result<Self, Refusal> {
        let query = select::single_block(statement)?;
        if query.to_string().contains(OWN_NAMES) {
            return Err(Reason::RoundTrip.refusal(OWN_NAMES));
        }
        if matches!(*query.body, SetExpr::SetOperation { .. }) {
            let united = apart::of(query, ctx).and_then(|(apart, parted)| {
                let inputs = Inputs { facts, ctx, placeholders, scope: Scope::new(facts, ctx), parted };
                united::compile(query, apart, &inputs)
            });
            return united.or_else(|refusal| parts::compile(query, facts, ctx).ok_or(refusal));
        }
        let (apart, parted) = apart::of(query, ctx)?;
        let mut inputs = Inputs { facts, ctx, placeholders, scope: Scope::new(facts, ctx), parted };
        if aggregates::group_by_values(query, &inputs) {
            inputs.parted.clear();
        }
        match shape(query, apart, &inputs)? {
            Shape::Rows if select::order_by(query)?.is_empty() => Self::concat(query, &inputs),
            Shape::Rows => ordered::compile(query, &inputs),
            Shape::Grouped | Shape::Gathered if apart.reads_beside => Err(Reason::Subquery.refusal("")),
            Shape::Grouped => {
                select::expand_wildcards(select::select_of_mut(query)?, &inputs.scope)?;
                let distinct = match level {
                    Level::Whole => distinct::compile(query, &inputs)?,
                    Level::Inner => None,
                };
                distinct.map_or_else(|| grouped::compile(query, &inputs), Ok)
            }
            // Nothing is less than the rows, which are better gathered in a table.
            Shape::Gathered if level == Level::Inner => Err(Reason::Subquery.refusal("")),
            Shape::Gathered => {
                select::expand_wildcards(select::select_of_mut(query)?, &inputs.scope)?;
                gathered::compile(query, &inputs)
            }
        }
    }

    fn concat(query: &Query, inputs: &Inputs<'_>) -> Result<Self, Refusal> {
        let limits = Limits::of(query, inputs.placeholders)?;
        let mut scatter = Self::new(query, inputs, Combine::Concat)?;
        if !limits.is_none() {
            let limit = scatter.push_limit(limits);
            let select = select::select_of(query)?;
            let text = SelectText::whole(query)?.print(&item_texts(&select.projection), &limit);
            scatter.shard = ShardText::Rewritten(Text::new(text)?);
        }
        Ok(scatter)
    }

    fn new(query: &Query, inputs: &Inputs<'_>, combine: Combine) -> Result<Self, Refusal> {
        let columns = visible_columns(&select::select_of(query)?.projection, &inputs.scope);
        Ok(Self::of_columns(columns, inputs, combine))
    }

    fn of_columns(visible_columns: Option<usize>, inputs: &Inputs<'_>, combine: Combine) -> Self {
        Self {
            shard: ShardText::Original,
            combine,
            limits: Limits::NONE,
            pushed_limit: None,
            undeclared: Vec::new(),
            learn_parameters: false,
            visible_columns,
            equal_literals: Vec::new(),
            constant_literals: Vec::new(),
            param_count: inputs.facts.param_count,
            residency: None,
        }
    }

    /// Takes the bounds over from the text; the clause for the shards' text.
    fn push_limit(&mut self, limits: Limits) -> String {
        self.limits = limits;
        self.undeclared = limits.params().collect();
        if limits.limit == LimitValue::Absent {
            return String::new();
        }
        self.pushed_limit = Some(self.param_count);
        format!(" LIMIT ${}::bigint", self.param_count + 1)
    }

    /// What must hold of the values of one execution besides their number; to be asked before anything is sent.
    pub fn check(&self, arguments: &Arguments<'_>) -> Result<(), Refusal> {
        let bytes = |index: u32| {
            let literal = arguments.literals.get(index as usize)?;
            arguments.text.get(literal.start as usize..literal.end as usize)
        };
        let same = |(a, b): &(u32, u32)| bytes(*a).is_some() && bytes(*a) == bytes(*b);
        let constant = |(index, digits): &(u32, String)| bytes(*index) == Some(digits.as_bytes());
        match self.equal_literals.iter().all(same) && self.constant_literals.iter().all(constant) {
            true => Ok(()),
            false => Err(Reason::LiteralsDiffer.refusal("")),
        }
    }

    /// The way behind this one where conditions, which the shards apply, fail; None where they apply none.
    pub fn unconditional(&self) -> Option<Self> {
        match &self.combine {
            Combine::Scratch(scratch) => {
                Some(Self { combine: Combine::Scratch(scratch.unconditional()), ..self.clone() })
            }
            Combine::Concat
            | Combine::Distinct
            | Combine::Ordered { .. }
            | Combine::Finish(_)
            | Combine::Parts(_) => None,
        }
    }

    /// Whole tables are gathered first.
    pub fn is_gathered(&self) -> bool {
        matches!(self.combine, Combine::Scratch(_))
    }

    /// Hidden columns at the end of each shard's rows.
    pub fn hidden_columns(&self) -> usize {
        match &self.combine {
            Combine::Ordered { keys, .. } => keys.len(),
            Combine::Concat
            | Combine::Distinct
            | Combine::Finish(_)
            | Combine::Parts(_)
            | Combine::Scratch(_) => 0,
        }
    }

    /// The merge's keys, from the types of the hidden columns. A refusal where a type has no exact order here:
    /// then [`Combine::Ordered::otherwise`] may be run.
    pub fn sort_keys(&self, hidden_types: &[u32]) -> Result<Vec<SortKey>, Refusal> {
        let Combine::Ordered { keys, .. } = &self.combine else { return Ok(Vec::new()) };
        if keys.len() != hidden_types.len() {
            return Err(Reason::RoundTrip.refusal("sort columns"));
        }
        let key = |(key, type_oid): (&OrderKey, &u32)| match KeyType::of(*type_oid, key.text) {
            Some(key_type) => {
                Ok(SortKey { key_type, descending: key.descending, nulls_first: key.nulls_first })
            }
            None => Err(Reason::OrderType.refusal(&format!("type {type_oid}"))),
        };
        keys.iter().zip(hidden_types).map(key).collect()
    }
}

/// Which compiler a block is for.
enum Shape {
    /// The shards' rows are rows of the answer.
    Rows,
    Grouped,
    Gathered,
}

fn shape(query: &Query, apart: Apart, inputs: &Inputs<'_>) -> Result<Shape, Refusal> {
    let select = select::select_of(query)?;
    let outer = || levels::Level::of_with(query.with.as_ref());
    let list = expression::contents_under(&select.projection, outer(), inputs.ctx);
    let order = expression::contents_under(&query.order_by, outer(), inputs.ctx);
    let having = expression::contents_under(&select.having, outer(), inputs.ctx);
    let written = select::group_by(select)?;
    let groups = expression::contents(&select.group_by, inputs.ctx);
    if [list, order, having, groups].iter().any(|part| part.server_dependent) {
        return Err(Reason::ServerDependent.refusal(""));
    }
    let brought = brought::moving(query, inputs.ctx);
    let moves = brought.clock || brought.server_dependent;
    if brought.volatile || moves && !brought::gives_columns_only(query, select, &inputs.scope) {
        return Err(Reason::VolatileFunction.refusal("in FROM or WITH"));
    }
    let distinct = select::is_distinct(select);
    let grouped = !written.is_empty() || select.having.is_some() || list.aggregate || order.aggregate;
    let moving = |part: expression::Contents| part.clock || part.volatile;
    let steady = [list, order, having, groups].iter().all(|part| !part.clock && !part.volatile);
    let computes = grouped || distinct || list.window || order.window || select.distinct.is_some();
    let by_first = matches!(select.distinct, Some(Distinct::On(_)));
    let within = [list, order, having].iter().any(|part| part.aggregate_within);
    if computes && !within && apart.closed && steady && takes_hidden_keys(query, inputs)? {
        return Ok(Shape::Rows);
    }
    let together = within
        || list.window
        || order.window
        || by_first
        || select::has_grouping_sets(written)
        || moving(groups)
        || (!grouped && (list.clock || order.clock || (distinct && list.volatile)))
        || !aggregates::all_have_partials(query, inputs);
    Ok(match (together, grouped || distinct) {
        (true, _) => Shape::Gathered,
        (false, true) => Shape::Grouped,
        (false, false) => Shape::Rows,
    })
}

/// Whether sort keys may stand in the select list once more: under DISTINCT only what is there anyway, and a name of our
/// own is none of DISTINCT ON's expressions.
fn takes_hidden_keys(query: &Query, inputs: &Inputs<'_>) -> Result<bool, Refusal> {
    let select = select::select_of(query)?;
    let items = &select.projection;
    let is_item = |expr: &Expr| {
        items.iter().any(|item| select::item_expr(item) == Some(expr))
            || matches!(grouped::order_target(expr, items, inputs), Ok(Target::Item(_)))
    };
    let mut keys = select::order_by(query)?.iter();
    Ok(match &select.distinct {
        None | Some(Distinct::All) => true,
        Some(Distinct::Distinct) => keys.all(|key| is_item(&key.expr)),
        Some(Distinct::On(_)) => keys.next().is_none(),
    })
}

/// The parts of a block that every text about it repeats.
struct SelectText {
    with: String,
    distinct: String,
    from: String,
    filter: String,
    groups: String,
}

impl SelectText {
    /// Its rows before anything is computed of them.
    fn of(query: &Query) -> Result<Self, Refusal> {
        let select = select::select_of(query)?;
        let with = query.with.as_ref().map(|with| format!("{with} ")).unwrap_or_default();
        let from: Vec<String> = select.from.iter().map(ToString::to_string).collect();
        let filter = select.selection.as_ref().map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        Ok(Self { with, distinct: String::new(), from: from.join(", "), filter, groups: String::new() })
    }

    /// The rows of its answer.
    fn whole(query: &Query) -> Result<Self, Refusal> {
        let select = select::select_of(query)?;
        let distinct = select.distinct.as_ref().map(|distinct| format!("{distinct} ")).unwrap_or_default();
        let written: Vec<String> = select::group_by(select)?.iter().map(ToString::to_string).collect();
        let mut groups = String::new();
        if !written.is_empty() {
            groups.push_str(&format!(" GROUP BY {}", written.join(", ")));
        }
        if let Some(having) = &select.having {
            groups.push_str(&format!(" HAVING {having}"));
        }
        Ok(Self { distinct, groups, ..Self::of(query)? })
    }

    /// A SELECT of these items over the block's rows, with what follows.
    fn print(&self, items: &[String], tail: &str) -> String {
        let Self { with, distinct, from, filter, groups } = self;
        format!("{with}SELECT {distinct}{} FROM {from}{filter}{groups}{tail}", items.join(", "))
    }

    /// The same without rows and without WITH: it gives types and collations to a UNION ALL.
    fn print_empty(&self, items: &[String], tail: &str) -> String {
        let Self { distinct, from, groups, .. } = self;
        format!("SELECT {distinct}{} FROM {from} WHERE false{groups}{tail}", items.join(", "))
    }
}

fn item_texts(items: &[SelectItem]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn visible_columns(items: &[SelectItem], scope: &Scope<'_>) -> Option<usize> {
    let width = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => Some(1),
        SelectItem::Wildcard(_) => scope.width(),
        SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. } => None,
    };
    items.iter().map(width).sum()
}
