//! LIMIT and OFFSET of a statement whose rows are merged here: found once, valued per execution.
//!
//! Each shard is asked for limit + offset rows through one added `bigint` parameter, so that the shard's text stays
//! the same for every value; the merge then applies both. An absent bound (none written, NULL, ALL, or a sum beyond
//! bigint) is sent as NULL, which PostgreSQL reads as no limit.

use sqlparser::ast::{CastKind, DataType, Expr, Fetch, LimitClause, Query, UnaryOperator, Value};

use crate::merge::types::oid;
use crate::plan::refusal::Refusal;
use crate::sql::arguments::{Arguments, LiteralKind};

use super::placeholders::Placeholders;
use super::refusals::{Reason, postgres_error};

/// Where a bound stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitValue {
    /// Not written, or NULL, or ALL.
    Absent,
    Constant(i64),
    Literal(u32),
    /// A written minus before a literal.
    NegativeLiteral(u32),
    /// Zero-based; the type that PostgreSQL gives the parameter where the client declared none.
    Param {
        index: u32,
        type_oid: u32,
    },
}

/// The bounds of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub limit: LimitValue,
    pub offset: LimitValue,
}

/// The bounds of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundLimits {
    pub offset: u64,
    pub limit: Option<u64>,
    /// The value of the parameter added to the shards' text: limit + offset; None is NULL.
    pub pushed: Option<i64>,
}

impl Limits {
    pub const NONE: Self = Self { limit: LimitValue::Absent, offset: LimitValue::Absent };

    /// Reads the clauses of a query.
    pub fn of(query: &Query, placeholders: &dyn Placeholders) -> Result<Self, Refusal> {
        let mut limits = Self::NONE;
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                if let Some(limit) = limit {
                    limits.limit = value(limit, placeholders)?;
                }
                if let Some(offset) = offset {
                    limits.offset = value(&offset.value, placeholders)?;
                }
            }
            Some(LimitClause::LimitOffset { .. } | LimitClause::OffsetCommaLimit { .. }) => {
                return Err(Reason::Limit.refusal(""));
            }
        }
        match &query.fetch {
            None => Ok(limits),
            Some(Fetch { with_ties: true, .. }) => Err(Reason::Limit.refusal("WITH TIES")),
            Some(Fetch { percent: true, .. }) => Err(Reason::Limit.refusal("PERCENT")),
            Some(Fetch { quantity: None, .. }) => Ok(Self { limit: LimitValue::Constant(1), ..limits }),
            Some(Fetch { quantity: Some(quantity), .. }) => {
                Ok(Self { limit: value(quantity, placeholders)?, ..limits })
            }
        }
    }

    /// Neither LIMIT nor OFFSET: the shards' text needs no bound and every row passes.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Values the bounds. PostgreSQL's own errors for negative and malformed values.
    pub fn bind(&self, arguments: &Arguments<'_>) -> Result<BoundLimits, Refusal> {
        // PostgreSQL looks at OFFSET first.
        let offset = match bind_value(self.offset, arguments)? {
            None => 0,
            Some(rows) => {
                u64::try_from(rows).map_err(|_| postgres_error("2201X", "OFFSET must not be negative"))?
            }
        };
        let limit = match bind_value(self.limit, arguments)? {
            None => None,
            Some(rows) => {
                Some(u64::try_from(rows).map_err(|_| postgres_error("2201W", "LIMIT must not be negative"))?)
            }
        };
        let pushed = match limit {
            // PostgreSQL computes no row then, not even those that OFFSET would skip.
            Some(0) => Some(0),
            Some(limit) => limit.checked_add(offset).and_then(|sum| i64::try_from(sum).ok()),
            None => None,
        };
        Ok(BoundLimits { offset, limit, pushed })
    }

    /// Parameters that stand in LIMIT or OFFSET, with the type that PostgreSQL would give them.
    pub fn params(&self) -> impl Iterator<Item = (u32, u32)> {
        [self.limit, self.offset].into_iter().filter_map(|value| match value {
            LimitValue::Param { index, type_oid } => Some((index, type_oid)),
            LimitValue::Absent
            | LimitValue::Constant(_)
            | LimitValue::Literal(_)
            | LimitValue::NegativeLiteral(_) => None,
        })
    }
}

fn value(expr: &Expr, placeholders: &dyn Placeholders) -> Result<LimitValue, Refusal> {
    let refused = || Reason::Limit.refusal("");
    match expr {
        Expr::Nested(inner) => value(inner, placeholders),
        Expr::Value(value) => match &value.value {
            Value::Null => Ok(LimitValue::Absent),
            Value::Placeholder(name) => param(name, oid::INT8),
            // A placeholder of a decimal: PostgreSQL would round it.
            Value::Number(digits, _) if digits.contains('.') => Err(refused()),
            Value::Number(digits, _) => match placeholders.literal(&value.value) {
                Some(index) => Ok(LimitValue::Literal(index)),
                None => digits.parse().map(LimitValue::Constant).map_err(|_| refused()),
            },
            _ => Err(refused()),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match value(expr, placeholders)? {
            LimitValue::Constant(value) => Ok(LimitValue::Constant(-value)),
            LimitValue::Literal(index) => Ok(LimitValue::NegativeLiteral(index)),
            _ => Err(refused()),
        },
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
            let type_oid = match data_type {
                DataType::BigInt(None) | DataType::Int8(None) => oid::INT8,
                DataType::Integer(None) | DataType::Int(None) | DataType::Int4(None) => oid::INT4,
                _ => return Err(refused()),
            };
            match &**expr {
                Expr::Value(value) => match &value.value {
                    Value::Placeholder(name) => param(name, type_oid),
                    _ => Err(refused()),
                },
                _ => Err(refused()),
            }
        }
        _ => Err(refused()),
    }
}

fn param(name: &str, type_oid: u32) -> Result<LimitValue, Refusal> {
    name.strip_prefix('$')
        .and_then(|digits| digits.parse::<u32>().ok())
        .and_then(|number| number.checked_sub(1))
        .map(|index| LimitValue::Param { index, type_oid })
        .ok_or_else(|| Reason::Limit.refusal(""))
}

fn bind_value(value: LimitValue, arguments: &Arguments<'_>) -> Result<Option<i64>, Refusal> {
    match value {
        LimitValue::Absent => Ok(None),
        LimitValue::Constant(value) => Ok(Some(value)),
        LimitValue::Literal(index) => literal(index, arguments).map(Some),
        LimitValue::NegativeLiteral(index) => Ok(Some(-literal(index, arguments)?)),
        LimitValue::Param { index, type_oid } => param_value(index, type_oid, arguments),
    }
}

fn literal(index: u32, arguments: &Arguments<'_>) -> Result<i64, Refusal> {
    let refused = || Reason::Limit.refusal("");
    let literal = arguments.literals.get(index as usize).ok_or_else(refused)?;
    if literal.kind != LiteralKind::Integer {
        return Err(refused());
    }
    let bytes = arguments.text.get(literal.start as usize..literal.end as usize).ok_or_else(refused)?;
    std::str::from_utf8(bytes).ok().and_then(|digits| digits.parse().ok()).ok_or_else(refused)
}

fn param_value(index: u32, type_oid: u32, arguments: &Arguments<'_>) -> Result<Option<i64>, Refusal> {
    let index = index as usize;
    let Some(value) = arguments.parameters.value(index) else {
        return Err(postgres_error("08P01", format!("bind message supplies no parameter ${}", index + 1)));
    };
    let Some(bytes) = value else { return Ok(None) };
    let declared = match arguments.parameters.declared_type(index) {
        0 => type_oid,
        declared => declared,
    };
    if ![oid::INT2, oid::INT4, oid::INT8].contains(&declared) {
        return Err(Reason::Limit.refusal(&format!("${}", index + 1)));
    }
    if arguments.parameters.is_binary(index) {
        let decoded = match (declared, bytes) {
            (oid::INT2, &[a, b]) => Some(i64::from(i16::from_be_bytes([a, b]))),
            (oid::INT4, &[a, b, c, d]) => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
            (oid::INT8, bytes) => bytes.try_into().ok().map(i64::from_be_bytes),
            _ => None,
        };
        let message = || format!("incorrect binary data format in bind parameter {}", index + 1);
        return decoded.map(Some).ok_or_else(|| postgres_error("22P03", message()));
    }
    let text = String::from_utf8_lossy(bytes);
    match text.trim_ascii().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(postgres_error("22P02", format!("invalid input syntax for type bigint: \"{text}\""))),
    }
}
