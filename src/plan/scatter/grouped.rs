//! GROUP BY, aggregates, HAVING and DISTINCT over several shards: partial rows, and the text that finishes them.
//!
//! Each shard groups its own rows by the same expressions and computes partial aggregates. The client's select list,
//! HAVING and ORDER BY are then rewritten over the partial rows: a group expression becomes its column, an aggregate
//! its combining expression, and what remains (functions, arithmetic, CASE, LIMIT) is left to PostgreSQL.
//!
//! Invariants:
//! 1. A column that stands neither in a group expression nor in an aggregate refuses.
//! 2. Names mean what they mean to PostgreSQL: in GROUP BY an input column wins over an output column, in ORDER BY
//!    it is the other way round, and only for bare names.
//! 3. Group expressions are matched by their text with resolved columns; literals in them are compared per execution.

use std::collections::HashSet;
use std::mem::discriminant;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArguments, GroupByExpr, Ident, ObjectNamePart,
    OrderByKind, Query, SelectItem, VisitMut, VisitorMut,
};

use crate::plan::refusal::Refusal;

use super::aggregates::{self, Aggregate};
use super::columns::Scope;
use super::expression::{self, Canonical};
use super::finish::{Finish, Markers};
use super::placeholders::{Constants, WithConstants};
use super::refusals::Reason;
use super::select::{self, Target};
use super::{Combine, Inputs, Scatter, SelectText, ShardText, Text, ordered};

/// Bytes printed while group expressions are looked for.
const PRINTED_BYTES_MAX: usize = 8 << 20;

/// Compiles a query with GROUP BY, HAVING, aggregates or DISTINCT.
pub fn compile(query: &mut Query, inputs: &Inputs<'_>) -> Result<Scatter, Refusal> {
    let targets = Targets::resolve(query, inputs)?;
    qualify(query, &inputs.scope)?;
    let constants = constants(query, inputs)?;
    let text = SelectText::of(query)?;
    let mut rewriter = Rewriter::new(groups(query, &targets, inputs)?, &constants, inputs);
    let grouped_by: Vec<String> = (0..rewriter.groups.len()).map(Markers::column).collect();
    rewriter.rewrite(query, &targets.order_by)?;

    let select = select::select_of(query)?;
    let mut final_text = format!("{}SELECT ", text.with);
    if targets.distinct {
        final_text.push_str("DISTINCT ");
    }
    let items: Vec<String> = select.projection.iter().map(ToString::to_string).collect();
    let partial_tail = rewriter.partial_tail();
    let empty = text.print_empty(&rewriter.columns, &format!("{partial_tail} HAVING false"));
    final_text.push_str(&format!("{} FROM {}", items.join(", "), Markers::gathered(&empty)));
    if targets.grouped && !grouped_by.is_empty() {
        final_text.push_str(&format!(" GROUP BY {}", grouped_by.join(", ")));
    }
    let mut shard_tail = partial_tail;
    if let Some(having) = &select.having {
        final_text.push_str(&format!(" HAVING {having}"));
        if is_constant(having) {
            // What it excludes is then not computed by any shard, and does not fail there either.
            shard_tail.push_str(&format!(" HAVING {having}"));
        }
    }
    final_text.push_str(&targets.order_by(query)?);
    final_text.push_str(&ordered::bounds(query));

    let shard_text = constants.restore(text.print(&rewriter.columns, &shard_tail));
    let shard = ShardText::Rewritten(Text::new(shard_text)?);
    let finish = Finish::new(&constants.restore(final_text), rewriter.aggregates, 0, inputs);
    let mut scatter = Scatter::new(query, inputs, Combine::Finish(finish))?;
    scatter.shard = shard;
    scatter.learn_parameters = true;
    scatter.equal_literals = rewriter.equal_literals;
    scatter.constant_literals = rewriter.constant_literals;
    Ok(scatter)
}

/// Made of values and operators only.
fn is_constant(expr: &Expr) -> bool {
    let found = sqlparser::ast::visit_expressions(expr, |part| match part {
        Expr::Value(_)
        | Expr::Nested(_)
        | Expr::BinaryOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::Cast { .. } => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    found.is_continue()
}

/// Sets constants inside GROUP BY and ORDER BY expressions apart, as those of the select list are.
fn constants(query: &mut Query, inputs: &Inputs<'_>) -> Result<Constants, Refusal> {
    let mut constants = Constants::default();
    if Constants::may_clash(&query.to_string()) {
        return Ok(constants);
    }
    if let Some(OrderByKind::Expressions(written)) = query.order_by.as_mut().map(|order| &mut order.kind) {
        written.iter_mut().for_each(|item| constants.replace(&mut item.expr, inputs.placeholders));
    }
    if let GroupByExpr::Expressions(written, _) = &mut select::select_of_mut(query)?.group_by {
        written.iter_mut().for_each(|expr| constants.replace(expr, inputs.placeholders));
    }
    Ok(constants)
}

/// What the names and ordinals of GROUP BY and ORDER BY mean.
struct Targets {
    distinct: bool,
    /// GROUP BY, HAVING or an aggregate; else DISTINCT alone, which groups by every item.
    grouped: bool,
    group_by: Vec<Target>,
    order_by: Vec<Target>,
}

impl Targets {
    fn resolve(query: &Query, inputs: &Inputs<'_>) -> Result<Self, Refusal> {
        let select = select::select_of(query)?;
        let items = &select.projection;
        if items.is_empty() || items.iter().any(|item| select::item_expr(item).is_none()) {
            return Err(Reason::Wildcard.refusal("in a grouped or DISTINCT select list"));
        }
        let aggregates = expression::contents(items, inputs.ctx).aggregate
            || expression::contents(&query.order_by, inputs.ctx).aggregate;
        let written = select::group_by(select)?;
        let grouped = aggregates || !written.is_empty() || select.having.is_some();
        let group_by = match grouped {
            true => written.iter().map(|expr| group_target(expr, items, inputs)).collect::<Result<_, _>>()?,
            false => (0..items.len()).map(Target::Item).collect(),
        };
        let order_by = select::order_by(query)?
            .iter()
            .map(|item| order_target(&item.expr, items, inputs))
            .collect::<Result<_, _>>()?;
        Ok(Self { distinct: select::is_distinct(select), grouped, group_by, order_by })
    }

    /// ORDER BY of the final text: items by number, everything else as rewritten.
    fn order_by(&self, query: &Query) -> Result<String, Refusal> {
        let written = select::order_by(query)?;
        let keys: Vec<String> = written
            .iter()
            .zip(&self.order_by)
            .map(|(item, target)| {
                let direction = select::direction_text(select::direction(item));
                match target {
                    Target::Item(index) => format!("{} {direction}", index + 1),
                    Target::Position(_) | Target::Expression => format!("{} {direction}", item.expr),
                }
            })
            .collect();
        Ok(if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) })
    }
}

pub(super) fn group_target(
    expr: &Expr,
    items: &[SelectItem],
    inputs: &Inputs<'_>,
) -> Result<Target, Refusal> {
    match expr {
        Expr::Nested(inner) => group_target(inner, items, inputs),
        Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_) | Expr::Tuple(_) => {
            Err(Reason::GroupingSets.refusal(""))
        }
        Expr::Identifier(name) => {
            let name = expression::folded(name);
            if inputs.scope.is_input_column(&name) == Some(true) {
                return Ok(Target::Expression);
            }
            match select::named_item(&name, items)? {
                None => Ok(Target::Expression),
                Some(index) if select::item_expr(&items[index]) == Some(expr) => Ok(Target::Expression),
                Some(index) if inputs.scope.is_input_column(&name) == Some(false) => Ok(Target::Item(index)),
                Some(_) => Err(Reason::GroupName.refusal(&name)),
            }
        }
        _ => Ok(select::ordinal(expr, items, inputs.placeholders)?.unwrap_or(Target::Expression)),
    }
}

pub(super) fn order_target(
    expr: &Expr,
    items: &[SelectItem],
    inputs: &Inputs<'_>,
) -> Result<Target, Refusal> {
    if let Some(target) = select::ordinal(expr, items, inputs.placeholders)? {
        return Ok(target);
    }
    let Expr::Identifier(name) = expr else { return Ok(Target::Expression) };
    let item = select::named_item(&expression::folded(name), items)?;
    Ok(item.map_or(Target::Expression, Target::Item))
}

/// A group expression: its text for the shards, and what to find it by.
struct Group {
    canonical: Canonical,
    kind: std::mem::Discriminant<Expr>,
    text: String,
}

fn groups(query: &Query, targets: &Targets, inputs: &Inputs<'_>) -> Result<Vec<Group>, Refusal> {
    let select = select::select_of(query)?;
    let written = select::group_by(select)?;
    let mut groups: Vec<Group> = Vec::new();
    for (index, target) in targets.group_by.iter().enumerate() {
        let expr = match target {
            Target::Item(item) => select.projection.get(*item).and_then(select::item_expr),
            Target::Position(_) | Target::Expression => written.get(index),
        };
        let mut expr = expr.ok_or_else(|| Reason::GroupName.refusal(""))?;
        while let Expr::Nested(inner) = expr {
            expr = inner;
        }
        let contents = expression::contents(expr, inputs.ctx);
        let reason = [
            (contents.aggregate, Reason::Aggregate),
            (contents.window, Reason::Window),
            (contents.subquery, Reason::GroupedSubquery),
            (contents.volatile, Reason::VolatileFunction),
        ];
        if let Some((_, reason)) = reason.into_iter().find(|(present, _)| *present) {
            return Err(reason.refusal("in GROUP BY or DISTINCT"));
        }
        let canonical = expression::canonical(expr, &WithConstants(inputs.placeholders));
        if groups.iter().all(|group| group.canonical != canonical) {
            groups.push(Group { canonical, kind: discriminant(expr), text: expr.to_string() });
        }
    }
    Ok(groups)
}

/// Writes every resolved column as `"table"."column"` and every function in lower case, so that equal expressions
/// have equal texts. FROM, WHERE and WITH stay as they are.
fn qualify(query: &mut Query, scope: &Scope<'_>) -> Result<(), Refusal> {
    let mut qualifier = Qualifier { scope, fields: HashSet::new() };
    if let Some(order_by) = &mut query.order_by {
        let _ = order_by.visit(&mut qualifier);
    }
    let select = select::select_of_mut(query)?;
    let _ = select.projection.visit(&mut qualifier);
    let _ = select.group_by.visit(&mut qualifier);
    let _ = select.having.visit(&mut qualifier);
    Ok(())
}

struct Qualifier<'a> {
    scope: &'a Scope<'a>,
    /// Where names of fields stand, which are no columns'.
    fields: HashSet<*const Expr>,
}

impl Qualifier<'_> {
    /// What stands within as an expression, and is the name of something else: `make_interval(days => 1)`, `(place).city`.
    fn pass_names(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Function(Function { args: FunctionArguments::List(list), .. }) => {
                for arg in &list.args {
                    if let FunctionArg::ExprNamed { name, .. } = arg {
                        self.fields.insert(name);
                    }
                }
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain.iter() {
                    if let AccessExpr::Dot(name) = access {
                        self.fields.insert(name);
                    }
                }
            }
            _ => {}
        }
    }
}

impl VisitorMut for Qualifier<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            for part in &mut function.name.0 {
                if let ObjectNamePart::Identifier(ident) = part {
                    ident.value = expression::folded(ident);
                }
            }
        }
        self.pass_names(expr);
        if self.fields.contains(&std::ptr::from_ref(expr)) {
            return ControlFlow::Continue(());
        }
        // Parentheses stay: `(r.place).city` is a field, `r.place.city` is not.
        if !matches!(expr, Expr::Nested(_))
            && let Some((alias, column)) = self.scope.column(expr)
        {
            *expr =
                Expr::CompoundIdentifier(vec![expression::quoted(alias), expression::quoted(&column.name)]);
        }
        ControlFlow::Continue(())
    }
}

/// Turns the client's expressions into expressions over the partial rows.
struct Rewriter<'a> {
    groups: Vec<Group>,
    /// The partial select list: groups first, then what the aggregates need.
    columns: Vec<String>,
    /// Columns to group by.
    grouping: Vec<usize>,
    aggregates: Vec<Aggregate>,
    /// Printed aggregate calls, one for each aggregate.
    calls: Vec<String>,
    equal_literals: Vec<(u32, u32)>,
    constant_literals: Vec<(u32, String)>,
    constants: &'a Constants,
    printed_bytes: usize,
    inputs: &'a Inputs<'a>,
}

impl<'a> Rewriter<'a> {
    fn new(groups: Vec<Group>, constants: &'a Constants, inputs: &'a Inputs<'a>) -> Self {
        Self {
            columns: groups.iter().map(|group| group.text.clone()).collect(),
            grouping: (0..groups.len()).collect(),
            groups,
            aggregates: Vec::new(),
            calls: Vec::new(),
            equal_literals: Vec::new(),
            constant_literals: Vec::new(),
            constants,
            printed_bytes: 0,
            inputs,
        }
    }

    /// Rewrites the select list, HAVING and those items of ORDER BY that are expressions.
    fn rewrite(&mut self, query: &mut Query, order_by: &[Target]) -> Result<(), Refusal> {
        let select = select::select_of_mut(query)?;
        self.replace(&mut select.projection)?;
        self.replace(&mut select.having)?;
        if let Some(OrderByKind::Expressions(written)) = query.order_by.as_mut().map(|order| &mut order.kind)
        {
            for (item, target) in written.iter_mut().zip(order_by) {
                if *target == Target::Expression {
                    self.replace(&mut item.expr)?;
                }
            }
        }
        match self.columns.is_empty() {
            true => Err(Reason::Aggregate.refusal("no aggregate and no group")),
            false => Ok(()),
        }
    }

    fn replace<T: VisitMut>(&mut self, part: &mut T) -> Result<(), Refusal> {
        match part.visit(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(refusal) => Err(refusal),
        }
    }

    /// GROUP BY of the partial select.
    fn partial_tail(&self) -> String {
        let ordinals: Vec<String> = self.grouping.iter().map(|column| (column + 1).to_string()).collect();
        if ordinals.is_empty() { String::new() } else { format!(" GROUP BY {}", ordinals.join(", ")) }
    }

    /// The group that an expression is, if it is one.
    fn group(&mut self, expr: &Expr) -> Result<Option<usize>, Refusal> {
        if self.groups.iter().all(|group| group.kind != discriminant(expr)) {
            return Ok(None);
        }
        let canonical = expression::canonical(expr, &WithConstants(self.inputs.placeholders));
        self.printed_bytes += canonical.text.len();
        if self.printed_bytes > PRINTED_BYTES_MAX {
            return Err(Reason::RoundTrip.refusal("the statement is too large"));
        }
        if let Some(same) = self.groups.iter().position(|group| group.canonical == canonical) {
            return Ok(Some(same));
        }
        let mut alike = self.groups.iter().enumerate().filter(|(_, g)| g.canonical.text == canonical.text);
        let Some((index, group)) = alike.next() else { return Ok(None) };
        if alike.next().is_some() || group.canonical.literals.len() != canonical.literals.len() {
            return Err(Reason::LiteralsDiffer.refusal(""));
        }
        for (a, b) in group.canonical.literals.iter().copied().zip(canonical.literals) {
            match (self.constants.digits(a), self.constants.digits(b)) {
                (None, None) => self.equal_literals.push((a, b)),
                (Some(digits), None) => self.constant_literals.push((b, digits.to_owned())),
                (None, Some(digits)) => self.constant_literals.push((a, digits.to_owned())),
                (Some(x), Some(y)) if x == y => {}
                (Some(_), Some(_)) => return Err(Reason::LiteralsDiffer.refusal("")),
            }
        }
        Ok(Some(index))
    }

    /// The aggregate that a call is, with its partial columns added.
    fn aggregate(&mut self, function: &Function) -> Result<usize, Refusal> {
        let call = function.to_string();
        if let Some(known) = self.calls.iter().position(|known| *known == call) {
            return Ok(known);
        }
        let partials = aggregates::partials(function, self.inputs)?;
        let first = self.columns.len();
        if partials.grouping {
            self.grouping.extend(first..first + partials.columns.len());
        }
        self.aggregates.push(partials.at(first));
        self.columns.extend(partials.columns);
        self.calls.push(call);
        Ok(self.calls.len() - 1)
    }

    fn replacement(&mut self, expr: &Expr) -> Result<Option<Expr>, Refusal> {
        if let Some(group) = self.group(expr)? {
            let column = Ident::new(format!("c{}", group + 1));
            return Ok(Some(Expr::CompoundIdentifier(vec![Ident::new(Markers::TABLE), column])));
        }
        match expr {
            Expr::Function(function) if function.over.is_some() => Err(Reason::Window.refusal("")),
            Expr::Function(function) if expression::is_aggregate(function, self.inputs.ctx) => {
                let index = self.aggregate(function)?;
                Ok(Some(Expr::Identifier(Ident::new(Markers::aggregate(index)))))
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                Err(Reason::GroupedSubquery.refusal(""))
            }
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
                Err(Reason::UngroupedColumn.refusal(&expr.to_string()))
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => Err(Reason::Wildcard.refusal("")),
            _ => Ok(None),
        }
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = Refusal;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Refusal> {
        match self.replacement(expr) {
            Ok(Some(replacement)) => *expr = replacement,
            Ok(None) => {}
            Err(refusal) => return ControlFlow::Break(refusal),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Refusal> {
        ControlFlow::Break(Reason::GroupedSubquery.refusal(""))
    }
}
