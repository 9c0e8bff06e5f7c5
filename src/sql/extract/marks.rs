//! What an expression anywhere in a statement may take from the server that computes it: casts, system columns, and
//! functions of a row that are written like its columns (`r.fullname`); and whether any can be computed without a row.
//!
//! Most statements go to one server, and need none of this. A value that is to be the same on several servers must not
//! depend on the clock that a cast reads (`('no' || 'w')::timestamp`), on numbers of the catalog (`'t'::regclass`), or on
//! where a row lies (`ctid`, `tableoid`).
//!
//! Called by `extract` with the whole statement; one visit, at every depth.

use std::ops::ControlFlow;

use sqlparser::ast::{AccessExpr, Expr, Ident, Statement, Visit, Visitor};

use super::{names, types};
use crate::sql::facts::CastUse;

/// Every table has them.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"];

#[derive(Default)]
pub(super) struct Marks {
    pub casts: Vec<CastUse>,
    pub attributes: Vec<String>,
    pub system_column: Option<&'static str>,
    pub computes_values: bool,
    /// Of the expressions that the visit is inside of: a column was found in it.
    columns: Vec<bool>,
}

pub(super) fn of(statement: &Statement) -> Marks {
    let mut marks = Marks::default();
    let _ = statement.visit(&mut marks);
    marks
}

impl Marks {
    fn cast(&mut self, type_name: Option<String>, of_value: bool) {
        let cast = CastUse { type_name, of_value };
        if !self.casts.contains(&cast) {
            self.casts.push(cast);
        }
    }

    fn attribute(&mut self, name: &Ident) {
        if let Some(name) = names::identifier(name).filter(|name| !self.attributes.contains(name)) {
            self.attributes.push(name);
        }
    }

    fn column(&mut self, name: &str) {
        if let Some(known) = SYSTEM_COLUMNS.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            self.system_column = Some(known);
        }
    }
}

impl Visitor for Marks {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let column = self.columns.pop().unwrap_or(false);
        self.computes_values |= !column && !is_value(expr);
        if let Some(around) = self.columns.last_mut() {
            *around |= column;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.columns.push(matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        match expr {
            Expr::Cast { expr, data_type, .. } => {
                self.cast(types::of(data_type).map(|name| name.name.name), is_value(expr));
            }
            Expr::TypedString(typed) => {
                self.cast(types::of(&typed.data_type).map(|name| name.name.name), true)
            }
            Expr::Identifier(column) => self.column(&column.value),
            Expr::CompoundIdentifier(parts) => {
                if let Some(column) = parts.last() {
                    self.column(&column.value);
                    self.attribute(column);
                }
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Identifier(attribute)) = access {
                        self.attribute(attribute);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A literal or a parameter, which can be looked at before it is sent.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner) => is_value(inner),
        _ => false,
    }
}
