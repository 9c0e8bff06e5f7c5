//! Expressions that are a single value or a single column.
//!
//! `predicate` and the row readers call it; the scatter compiler may ask [`value`] about LIMIT and the like.
//!
//! Invariants:
//! 1. None for anything that a server must compute. Parentheses are looked through; nothing else is.

use sqlparser::ast::{Expr, UnaryOperator, Value as SqlValue};

use super::{names, types};
use crate::sql::facts::{Cell, ColumnRef, Value};
use crate::sql::name::ObjectName;
use crate::sql::parser_text::{placeholder_number, placeholder_string};

/// Casts on casts beyond this are not values: facts are dropped on ordinary stacks.
const CASTS_MAX: usize = 3;

pub(super) fn unwrapped(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

/// The value that an expression of a placeholder text is.
pub fn value(expr: &Expr) -> Option<Value> {
    value_within(expr, CASTS_MAX)
}

fn value_within(expr: &Expr, casts: usize) -> Option<Value> {
    match unwrapped(expr) {
        Expr::Value(value) => constant(&value.value),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match unwrapped(expr) {
            Expr::Value(inner) if matches!(inner.value, SqlValue::Number(..)) => {
                Some(Value::Negative(Box::new(constant(&inner.value)?)))
            }
            _ => None,
        },
        Expr::Cast { kind, expr, data_type, format: None } => {
            use sqlparser::ast::CastKind;
            if !matches!(kind, CastKind::Cast | CastKind::DoubleColon) {
                return None;
            }
            let inner = value_within(expr, casts.checked_sub(1)?)?;
            let target = types::of(data_type)?;
            Some(Value::Cast {
                value: Box::new(inner),
                type_name: target.name,
                has_modifier: target.has_modifier,
            })
        }
        Expr::TypedString(typed) if !typed.uses_odbc_syntax => {
            let target = types::of(&typed.data_type)?;
            let inner = constant(&typed.value.value)?;
            Some(Value::Cast {
                value: Box::new(inner),
                type_name: target.name,
                has_modifier: target.has_modifier,
            })
        }
        Expr::Array(array) if array.named => array
            .elem
            .iter()
            .map(|element| value_within(element, casts))
            .collect::<Option<_>>()
            .map(Value::Array),
        _ => None,
    }
}

fn constant(value: &SqlValue) -> Option<Value> {
    match value {
        SqlValue::Number(digits, false) => placeholder_number(digits).map(Value::Literal),
        SqlValue::SingleQuotedString(content) => placeholder_string(content).map(Value::Literal),
        SqlValue::HexStringLiteral(content) => content.parse().ok().map(Value::Literal),
        SqlValue::Placeholder(param) => {
            param.strip_prefix('$')?.parse::<u32>().ok()?.checked_sub(1).map(Value::Param)
        }
        SqlValue::Boolean(value) => Some(Value::Bool(*value)),
        SqlValue::Null => Some(Value::Null),
        _ => None,
    }
}

/// The column that an expression is, possibly under one cast.
pub(super) fn column(expr: &Expr) -> Option<ColumnRef> {
    match unwrapped(expr) {
        Expr::Identifier(ident)
            if ident.quote_style.is_some() || !super::calls::is_value_function(&ident.value) =>
        {
            Some(ColumnRef { qualifier: None, column: names::identifier(ident)?, cast: None })
        }
        Expr::CompoundIdentifier(parts) => {
            let (last, qualifier) = parts.split_last()?;
            if qualifier.len() > 2 {
                return None;
            }
            let qualifier: Vec<_> = qualifier.iter().collect();
            let qualifier: ObjectName = names::of_idents(&qualifier)?;
            Some(ColumnRef { qualifier: Some(qualifier), column: names::identifier(last)?, cast: None })
        }
        Expr::Cast { kind, expr, data_type, format: None } => {
            use sqlparser::ast::CastKind;
            let inner = column(expr).filter(|inner| inner.cast.is_none())?;
            let target = types::of(data_type).filter(|target| !target.has_modifier)?;
            matches!(kind, CastKind::Cast | CastKind::DoubleColon)
                .then_some(ColumnRef { cast: Some(target.name), ..inner })
        }
        _ => None,
    }
}

/// A cell of a VALUES row or of a SET clause.
pub(super) fn cell(expr: &Expr) -> Cell {
    match expr {
        Expr::Identifier(ident)
            if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default") =>
        {
            Cell::Default
        }
        _ => value(expr).map_or(Cell::Expression, Cell::Value),
    }
}
