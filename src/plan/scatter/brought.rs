//! What the rows of FROM and WITH are made of, besides columns of tables.
//!
//! One PostgreSQL computes a function in FROM once, and a clock has one time; shards that join their own rows with it compute
//! one each. Conditions are no values of rows: a clock in them is each server's own, as `docs/limits.md` says, and so is one that
//! only conditions look at.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, Ident, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, TableWithJoins, Visit, Visitor,
};

use super::columns::Scope;
use super::expression::{Contents, contents, folded, has_row_argument, object_name};
use super::functions::{Steadiness, steadiness};
use super::select;
use crate::plan::PlanningContext;

/// Of the outermost level of a query. Only what moves between evaluations is told.
pub(super) fn moving(query: &Query, ctx: &PlanningContext) -> Contents {
    let mut values = Values { ctx, found: Contents::default() };
    values.with(query);
    if let SetExpr::Select(select) = &*query.body {
        select.from.iter().for_each(|table| values.table(table));
    }
    values.found
}

/// Whether all that a query gives is made of columns of tables, whatever else its FROM holds.
pub(super) fn gives_columns_only(query: &Query, select: &Select, scope: &Scope<'_>) -> bool {
    let starred = |item: &SelectItem| match item {
        SelectItem::Wildcard(_) => true,
        SelectItem::QualifiedWildcard(kind, _) => match kind {
            SelectItemQualifiedWildcardKind::ObjectName(name) => {
                let name = object_name(name).filter(|name| name.schema.is_none());
                !name.is_some_and(|name| scope.is_table(&name.name))
            }
            SelectItemQualifiedWildcardKind::Expr(_) => true,
        },
        _ => false,
    };
    let named = |name: &Ident| {
        let name = folded(name);
        let is = |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == name);
        select.projection.iter().any(is)
    };
    let mut columns = Columns { scope };
    let mut ordered = select::order_by(query).unwrap_or_default().iter();
    let listed = select.projection.visit(&mut columns).is_continue()
        && select.distinct.visit(&mut columns).is_continue()
        && select.group_by.visit(&mut columns).is_continue()
        && select.having.visit(&mut columns).is_continue()
        && select.named_window.visit(&mut columns).is_continue()
        // A bare name of the select list means that, before any column.
        && ordered.all(|key| match &key.expr {
            Expr::Identifier(name) if named(name) => true,
            expr => expr.visit(&mut columns).is_continue(),
        });
    listed && !select.projection.iter().any(starred)
}

/// Breaks at what may be no column of a table.
struct Columns<'s, 'a> {
    scope: &'s Scope<'a>,
}

impl Visitor for Columns<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let known = match expr {
            // A column of two relations is an error of PostgreSQL's.
            Expr::Identifier(name) => self.scope.is_input_column(&folded(name)) == Some(true),
            Expr::CompoundIdentifier(_) => self.scope.column(expr).is_some(),
            Expr::CompoundFieldAccess { .. } => false,
            Expr::Function(function) => !has_row_argument(function),
            _ => true,
        };
        if known { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

struct Values<'a> {
    ctx: &'a PlanningContext,
    found: Contents,
}

impl Values<'_> {
    fn add<T: Visit>(&mut self, node: &T) {
        let Contents { volatile, clock, server_dependent, .. } = contents(node, self.ctx);
        self.found.volatile |= volatile;
        self.found.clock |= clock;
        self.found.server_dependent |= server_dependent;
    }

    fn call(&mut self, name: &ObjectName, arguments: usize) {
        let steadiness = object_name(name).map(|name| steadiness(&name, arguments));
        self.found.volatile |= steadiness == Some(Steadiness::Volatile);
        self.found.clock |= steadiness == Some(Steadiness::Clock);
        self.found.server_dependent |= steadiness == Some(Steadiness::ServerDependent);
    }

    fn with(&mut self, query: &Query) {
        for part in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.query(&part.query);
        }
    }

    fn query(&mut self, query: &Query) {
        self.with(query);
        self.body(&query.body);
    }

    fn body(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => {
                self.add::<Vec<SelectItem>>(&select.projection);
                self.add(&select.group_by);
                select.from.iter().for_each(|table| self.table(table));
            }
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left);
                self.body(right);
            }
            other => self.add(other),
        }
    }

    fn table(&mut self, table: &TableWithJoins) {
        self.factor(&table.relation);
        table.joins.iter().for_each(|join| self.factor(&join.relation));
    }

    fn factor(&mut self, factor: &TableFactor) {
        match factor {
            TableFactor::Derived { subquery, .. } => self.query(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => self.table(table_with_joins),
            TableFactor::Table { args: None, .. } => {}
            TableFactor::Table { name, args: Some(arguments), .. } => {
                self.call(name, arguments.args.len());
                self.add::<Vec<FunctionArg>>(&arguments.args);
            }
            TableFactor::Function { name, args, .. } => {
                self.call(name, args.len());
                self.add(args);
            }
            TableFactor::TableFunction { expr, .. } => {
                if let Expr::Function(Function { name, .. }) = expr {
                    self.call(name, 0);
                }
                self.add(expr);
            }
            other => self.add(other),
        }
    }
}
