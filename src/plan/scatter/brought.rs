//! What the rows of FROM and WITH are made of, besides columns of tables.
//!
//! One PostgreSQL computes a function in FROM once, and a clock has one time; shards that join their own rows with it compute
//! one each. Conditions are no values of rows: a clock in them is each server's own, as `docs/limits.md` says.

use sqlparser::ast::{
    Expr, Function, FunctionArg, ObjectName, Query, SelectItem, SetExpr, TableFactor, TableWithJoins, Visit,
};

use super::expression::{Contents, contents, object_name};
use super::functions::{Steadiness, steadiness};
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
