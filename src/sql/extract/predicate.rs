//! Conditions to predicates in negation normal form.
//!
//! `query` and `writes` call it for WHERE and for the ON of inner joins. A row passes only where the condition is TRUE,
//! so NULL and FALSE are one; under a negation they are not, and each rule below says which it needs.
//!
//! | written | gives |
//! | --- | --- |
//! | `p IS TRUE` | p |
//! | `p IS FALSE` | NOT p |
//! | `p IS NOT TRUE`, `p IS UNKNOWN` | unknown: NULL passes too |
//! | `NOT (k < v)` | `k >= v`: FALSE needs both sides |
//! | `NOT (k = v)`, `k <> v` | unknown |
//! | `(a, b) = (1, 2)` | both equalities |
//! | `k IS NOT DISTINCT FROM 5` | equality, for a literal; unknown for a parameter, which may be NULL |
//!
//! Invariants:
//! 1. The predicate is implied by the condition being TRUE. It may be weaker; it is never stronger.
//! 2. Nested ANDs and ORs are flat, so that dropping a predicate needs little stack.

use sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator};

use super::value::{column, unwrapped, value};
use crate::sql::facts::{ColumnRef, Comparison, Predicate, Value};

pub(super) fn of(expr: &Expr) -> Predicate {
    condition(expr, false)
}

pub(super) fn and(parts: Vec<Predicate>) -> Predicate {
    join(parts, true)
}

/// A flat AND or OR of the parts.
fn join(parts: Vec<Predicate>, all: bool) -> Predicate {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Predicate::And(inner) if all => flat.extend(inner),
            Predicate::Or(inner) if !all => flat.extend(inner),
            Predicate::Constant(value) if value == all => {}
            Predicate::Constant(value) => return Predicate::Constant(value),
            other => flat.push(other),
        }
    }
    match flat.len() {
        0 => Predicate::Constant(all),
        1 => flat.remove(0),
        _ if all => Predicate::And(flat),
        _ => Predicate::Or(flat),
    }
}

fn condition(expr: &Expr, negated: bool) -> Predicate {
    match unwrapped(expr) {
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => condition(expr, !negated),
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => {
            chain(unwrapped(expr), negated)
        }
        Expr::BinaryOp { left, op, right } => binary(left, op, right, negated),
        Expr::IsTrue(inner) if !negated => condition(inner, false),
        Expr::IsFalse(inner) if !negated => condition(inner, true),
        Expr::IsNotTrue(inner) if negated => condition(inner, false),
        Expr::IsNotFalse(inner) if negated => condition(inner, true),
        Expr::IsNull(inner) if !negated => is_null(inner),
        Expr::IsNotNull(inner) if negated => is_null(inner),
        Expr::IsNotDistinctFrom(left, right) if !negated => not_distinct(left, right),
        Expr::IsDistinctFrom(left, right) if negated => not_distinct(left, right),
        Expr::Between { expr, negated: written, low, high } => between(expr, low, high, *written != negated),
        Expr::InList { expr, list, negated: written } if *written == negated => in_list(expr, list),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } if !negated => equal_any(left, right),
        Expr::Like { negated: written, any: false, expr, pattern, escape_char: None }
            if *written == negated =>
        {
            like(expr, pattern)
        }
        Expr::Function(function) if !negated => starts_with(function),
        Expr::Value(constant) => match constant.value {
            sqlparser::ast::Value::Boolean(value) => Predicate::Constant(value != negated),
            // NULL is not TRUE, negated or not.
            sqlparser::ast::Value::Null => Predicate::Constant(false),
            _ => Predicate::Unknown,
        },
        _ => Predicate::Unknown,
    }
}

/// A chain of one of AND or OR, read along its left spine without recursion.
fn chain(expr: &Expr, negated: bool) -> Predicate {
    let is_and = matches!(expr, Expr::BinaryOp { op: BinaryOperator::And, .. });
    let operator = if is_and { BinaryOperator::And } else { BinaryOperator::Or };
    let mut parts = Vec::new();
    let mut rest = expr;
    while let Expr::BinaryOp { left, op, right } = rest
        && *op == operator
    {
        parts.push(condition(right, negated));
        rest = left;
    }
    parts.push(condition(rest, negated));
    parts.reverse();
    join(parts, is_and != negated)
}

fn binary(left: &Expr, op: &BinaryOperator, right: &Expr, negated: bool) -> Predicate {
    let comparison = match op {
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        BinaryOperator::NotEq if negated => Comparison::Equal,
        BinaryOperator::PGLikeMatch if !negated => return like(left, right),
        BinaryOperator::PGStartsWith if !negated => {
            return match (column(left), value(right)) {
                (Some(column), Some(prefix)) => Predicate::StartsWith { column, prefix },
                _ => Predicate::Unknown,
            };
        }
        _ => return Predicate::Unknown,
    };
    let comparison = match (negated, op) {
        (false, _) | (true, BinaryOperator::NotEq) => comparison,
        (true, _) => match negate(comparison) {
            Some(comparison) => comparison,
            None => return Predicate::Unknown,
        },
    };
    match (unwrapped(left), unwrapped(right)) {
        (Expr::Tuple(left), Expr::Tuple(right)) if comparison == Comparison::Equal && !negated => {
            row_equality(left, right)
        }
        (left, right) => compare(left, comparison, right),
    }
}

fn negate(comparison: Comparison) -> Option<Comparison> {
    match comparison {
        Comparison::Equal => None,
        Comparison::Less => Some(Comparison::GreaterOrEqual),
        Comparison::LessOrEqual => Some(Comparison::Greater),
        Comparison::Greater => Some(Comparison::LessOrEqual),
        Comparison::GreaterOrEqual => Some(Comparison::Less),
    }
}

fn swap(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::Equal,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

fn compare(left: &Expr, comparison: Comparison, right: &Expr) -> Predicate {
    let is_null = |expr: &Expr| value(expr) == Some(Value::Null);
    if comparison == Comparison::Equal && (is_null(left) || is_null(right)) {
        // Under `transform_null_equals` it is IS NULL.
        return Predicate::Unknown;
    }
    match (column(left), value(right)) {
        (Some(column), Some(value)) => return Predicate::Compare { column, comparison, value },
        (Some(left), None) if comparison == Comparison::Equal => {
            return match column(right) {
                Some(right) => columns_equal(left, right),
                None => Predicate::Unknown,
            };
        }
        _ => {}
    }
    match (value(left), column(right)) {
        (Some(value), Some(column)) => Predicate::Compare { column, comparison: swap(comparison), value },
        _ => Predicate::Unknown,
    }
}

/// Equal casts do not make equal columns.
fn columns_equal(left: ColumnRef, right: ColumnRef) -> Predicate {
    if left.cast.is_none() && right.cast.is_none() {
        Predicate::ColumnsEqual(left, right)
    } else {
        Predicate::Unknown
    }
}

fn row_equality(left: &[Expr], right: &[Expr]) -> Predicate {
    if left.len() != right.len() {
        return Predicate::Unknown;
    }
    and(left.iter().zip(right).map(|(left, right)| compare(left, Comparison::Equal, right)).collect())
}

fn is_null(inner: &Expr) -> Predicate {
    match column(inner) {
        // A cast may make NULL of a value only in exotic types; do not rely on it.
        Some(column) if column.cast.is_none() => Predicate::IsNull { column },
        _ => Predicate::Unknown,
    }
}

fn not_distinct(left: &Expr, right: &Expr) -> Predicate {
    let (column, value) = match (column(left), value(right)) {
        (Some(column), Some(value)) => (column, value),
        _ => match (column(right), value(left)) {
            (Some(column), Some(value)) => (column, value),
            _ => return Predicate::Unknown,
        },
    };
    match value {
        Value::Null if column.cast.is_none() => Predicate::IsNull { column },
        value if is_not_null(&value) => Predicate::Compare { column, comparison: Comparison::Equal, value },
        _ => Predicate::Unknown,
    }
}

fn is_not_null(value: &Value) -> bool {
    match value {
        Value::Literal(_) | Value::Bool(_) => true,
        Value::Negative(inner) => is_not_null(inner),
        Value::Cast { value, .. } => is_not_null(value),
        Value::Param(_) | Value::Null | Value::Array(_) => false,
    }
}

fn between(expr: &Expr, low: &Expr, high: &Expr, negated: bool) -> Predicate {
    let (below, above) = if negated {
        (Comparison::Less, Comparison::Greater)
    } else {
        (Comparison::GreaterOrEqual, Comparison::LessOrEqual)
    };
    join(vec![compare(expr, below, low), compare(expr, above, high)], !negated)
}

fn in_list(expr: &Expr, list: &[Expr]) -> Predicate {
    if let Expr::Tuple(columns) = unwrapped(expr) {
        let rows = list
            .iter()
            .map(|row| match unwrapped(row) {
                Expr::Tuple(values) => row_equality(columns, values),
                _ => Predicate::Unknown,
            })
            .collect();
        return join(rows, false);
    }
    match (column(expr), list.iter().map(value).collect::<Option<Vec<_>>>()) {
        (Some(column), Some(values)) => Predicate::In { column, values },
        _ => Predicate::Unknown,
    }
}

fn equal_any(left: &Expr, right: &Expr) -> Predicate {
    let (Some(column), Some(array)) = (column(left), value(right)) else { return Predicate::Unknown };
    match array {
        Value::Array(values) if !values.iter().any(|value| matches!(value, Value::Array(_))) => {
            Predicate::In { column, values }
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Negative(_) => Predicate::Unknown,
        array => Predicate::EqualAny { column, array },
    }
}

fn like(expr: &Expr, pattern: &Expr) -> Predicate {
    match (column(expr), value(pattern)) {
        (Some(column), Some(pattern)) => Predicate::Like { column, pattern },
        _ => Predicate::Unknown,
    }
}

fn starts_with(function: &sqlparser::ast::Function) -> Predicate {
    let name = super::names::object(&function.name);
    let known = name.is_some_and(|name| {
        name.name == "starts_with" && name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
    });
    let FunctionArguments::List(list) = &function.args else { return Predicate::Unknown };
    if let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(left)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(right)),
    ] = list.args.as_slice()
        && known
        && list.duplicate_treatment.is_none()
        && list.clauses.is_empty()
        && let (Some(column), Some(prefix)) = (column(left), value(right))
    {
        return Predicate::StartsWith { column, prefix };
    }
    Predicate::Unknown
}
