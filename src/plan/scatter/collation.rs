//! Where the collation of an expression's text comes from.
//!
//! Asked by [`super::columns`], which knows the collations of columns and of the database. Others come by COLLATE, from types of
//! the user's (domains, fields of rows), from what their functions and operators return, and out of subqueries.
//!
//! Invariant: what is not known to come from the columns comes from elsewhere.

use std::ops::ControlFlow;

use sqlparser::ast::{DataType, Expr, Function, Query, Visit, Visitor};

use super::columns::Scope;
use super::expression::object_name;
use super::functions::shadowed;
use crate::plan::PlanningContext;
use crate::sql::name::ObjectName;

/// Whether text under this collation is ordered by its bytes.
pub(super) fn is_of_bytes(name: &ObjectName, ctx: &PlanningContext) -> bool {
    let is_built_in = match name.schema.as_deref() {
        Some(schema) => schema == "pg_catalog",
        // Searched first, unless the path says when.
        None => ctx.search_path.iter().position(|schema| schema == "pg_catalog").is_none_or(|at| at == 0),
    };
    is_built_in && matches!(name.name.as_str(), "C" | "POSIX" | "ucs_basic")
}

/// Whether an expression's text has a collation of the columns that it names, or that of the database.
pub(super) fn is_of_columns(expr: &Expr, scope: &Scope<'_>) -> bool {
    expr.visit(&mut Sources { scope }).is_continue()
}

/// Breaks at what may have another.
struct Sources<'s, 'a> {
    scope: &'s Scope<'a>,
}

impl Visitor for Sources<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let ctx = self.scope.ctx;
        let is_of_columns = match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.scope.column(expr).is_some(),
            Expr::Function(function) => is_built_in(function, ctx),
            Expr::Cast { data_type, .. } => !is_of_user(data_type, ctx),
            Expr::TypedString(typed) => !is_of_user(&typed.data_type, ctx),
            Expr::BinaryOp { op, .. } => !ctx.catalog.hidden.operators.contains_key(&op.to_string()),
            Expr::Collate { .. } | Expr::CompoundFieldAccess { .. } => false,
            _ => true,
        };
        if is_of_columns { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

fn is_built_in(function: &Function, ctx: &PlanningContext) -> bool {
    object_name(&function.name).is_some_and(|name| {
        !shadowed(&name, ctx)
            && ctx.catalog.function(&name, &ctx.search_path).is_none_or(|info| info.built_in)
    })
}

/// Whether a type may be one of the user's, in whatever schema: by any word of its name.
fn is_of_user(data_type: &DataType, ctx: &PlanningContext) -> bool {
    let written = match data_type {
        DataType::Custom(name, _) => object_name(name).map(|name| name.name),
        _ => None,
    };
    let text = data_type.to_string().to_ascii_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let is_named = |name: &ObjectName| {
        written.as_ref() == Some(&name.name) || words.contains(&name.name.to_ascii_lowercase().as_str())
    };
    ctx.catalog.user_types.values().any(is_named)
}
