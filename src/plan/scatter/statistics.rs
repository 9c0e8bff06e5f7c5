//! Variances, covariances and regressions in two steps: the state that PostgreSQL keeps for them, asked of each shard and
//! combined by one PostgreSQL.
//!
//! | of | each shard | combined |
//! | --- | --- | --- |
//! | integers, numeric | n, Σx, Σx² | added: (n Σx² − (Σx)²) / n(n−1), as `numeric_stddev_internal` has it |
//! | floats | n, mean, Sxx = Σ(x − mean)² | M = Σ n·mean / Σn; Sxx = Σ (Sxx + n(mean − M)²), as in `float8_combine` |
//! | pairs of floats | n, means, Sxx, Syy, Sxy | the same for both, and Sxy = Σ (Sxy + n(mean x − M x)(mean y − M y)) |
//!
//! The first is exact to the last digit, its scale included. The others are sound: nothing large is subtracted from something
//! large; they are what PostgreSQL's own parallel plans compute, up to the order of addition.
//!
//! Of floats PostgreSQL computes the values without looking whether a product is too large or too small, to version 17 even
//! where the answer is then wrong; SQL's operators make an error 22003 of it. Values are computed in PostgreSQL's order, so
//! that this error comes where the other would go on: then the rows are gathered ([`Statistic::may_overflow`]).
//!
//! Called by `aggregates`. Which of the first two it is must be known beforehand: the argument is a column or a cast.

use sqlparser::ast::{DataType, Expr};

use crate::merge::types::oid;

use super::columns::Scope;

/// An aggregate of these families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistic {
    /// How many partial columns it has is said by its state.
    state: State,
    name: &'static str,
    /// Its value by what the state comes to.
    value: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Exact,
    Float,
    Pair,
}

/// Value by n (number), s (Σ of squares of differences).
const OF_ONE: [(&str, &str); 6] = [
    ("var_pop", "CASE WHEN q.n > 0 THEN q.s / q.n END"),
    ("var_samp", "CASE WHEN q.n > 1 THEN q.s / (q.n - 1) END"),
    ("variance", "CASE WHEN q.n > 1 THEN q.s / (q.n - 1) END"),
    ("stddev_pop", "CASE WHEN q.n > 0 THEN pg_catalog.sqrt(q.s / q.n) END"),
    ("stddev_samp", "CASE WHEN q.n > 1 THEN pg_catalog.sqrt(q.s / (q.n - 1)) END"),
    ("stddev", "CASE WHEN q.n > 1 THEN pg_catalog.sqrt(q.s / (q.n - 1)) END"),
];

/// Value by n, the means x and y, and the sums xx, yy, xy.
const OF_TWO: [(&str, &str); 12] = [
    ("regr_count", "coalesce(q.n, 0)::bigint"),
    ("regr_avgx", "CASE WHEN q.n > 0 THEN q.x END"),
    ("regr_avgy", "CASE WHEN q.n > 0 THEN q.y END"),
    ("regr_sxx", "CASE WHEN q.n > 0 THEN q.xx END"),
    ("regr_syy", "CASE WHEN q.n > 0 THEN q.yy END"),
    ("regr_sxy", "CASE WHEN q.n > 0 THEN q.xy END"),
    ("covar_pop", "CASE WHEN q.n > 0 THEN q.xy / q.n END"),
    ("covar_samp", "CASE WHEN q.n > 1 THEN q.xy / (q.n - 1) END"),
    ("corr", "CASE WHEN q.n > 0 AND q.xx <> 0 AND q.yy <> 0 THEN q.xy / pg_catalog.sqrt(q.xx * q.yy) END"),
    (
        "regr_r2",
        "CASE WHEN q.n > 0 AND q.xx <> 0 THEN CASE WHEN q.yy = 0 THEN 1 ELSE q.xy * q.xy / (q.xx * q.yy) END END",
    ),
    ("regr_slope", "CASE WHEN q.n > 0 AND q.xx <> 0 THEN q.xy / q.xx END"),
    (
        "regr_intercept",
        "CASE WHEN q.n > 0 AND q.xx <> 0 THEN (q.n * q.y - q.n * q.x * q.xy / q.xx) / q.n END",
    ),
];

impl Statistic {
    /// None: another aggregate, or an argument whose type is not known.
    pub fn of(name: &str, arguments: &[&Expr], scope: &Scope<'_>) -> Option<Self> {
        let known: &[(&'static str, &'static str)] = if arguments.len() == 1 { &OF_ONE } else { &OF_TWO };
        let (name, value) = *known.iter().find(|(known, _)| *known == name)?;
        let state = match arguments {
            [argument] => state_of(argument, scope)?,
            [_, _] => State::Pair,
            _ => return None,
        };
        Some(Self { state, name, value })
    }

    /// Whether the value of floats may be an error of SQL where PostgreSQL's own function has an answer.
    pub fn may_overflow(&self) -> bool {
        self.state != State::Exact
    }

    /// What each shard computes. `call` completes an aggregate: with FILTER.
    pub fn columns(&self, arguments: &[String], call: impl Fn(String) -> String) -> Vec<String> {
        let call = |name: &str, arguments: &str| call(format!("{name}({arguments})"));
        match (self.state, arguments) {
            (State::Exact, [x]) => {
                let square = format!("({x})::pg_catalog.numeric * ({x})::pg_catalog.numeric");
                vec![call("count", x), call("sum", x), call("sum", &square)]
            }
            (State::Float, [x]) => {
                let x = format!("({x})::pg_catalog.float8");
                let squares = format!("{} * {}", call("var_pop", &x), call("count", &x));
                vec![call("count", &x), call("avg", &x), squares]
            }
            (State::Pair, both) => {
                let both = both.join(", ");
                ["regr_count", "regr_avgx", "regr_avgy", "regr_sxx", "regr_syy", "regr_sxy"]
                    .map(|name| call(name, &both))
                    .to_vec()
            }
            (State::Exact | State::Float, _) => Vec::new(),
        }
    }

    /// The value; `column` names the n-th of [`Statistic::columns`] of the gathered rows.
    pub fn combine(&self, column: impl Fn(usize) -> String) -> String {
        match self.state {
            State::Exact => self.exact(column),
            State::Float => {
                let rows = format!(
                    "unnest(pg_catalog.array_agg({}), pg_catalog.array_agg({}), pg_catalog.array_agg({}))",
                    column(0),
                    column(1),
                    column(2)
                );
                let square = product("r.x - m.x", "r.x - m.x");
                format!(
                    "(SELECT {} FROM (SELECT pg_catalog.sum(r.n)::pg_catalog.float8 AS n, \
                     pg_catalog.sum(r.s + {square}) AS s \
                     FROM {rows} AS r(n, x, s), LATERAL (SELECT {} AS x) AS m WHERE r.n > 0) AS q)",
                    self.value,
                    mean(&column(1), &column(0)),
                )
            }
            State::Pair => {
                let arrays: Vec<String> =
                    (0..6).map(|index| format!("pg_catalog.array_agg({})", column(index))).collect();
                let sum = |own: &str, a: &str, b: &str| {
                    let product = product(&format!("r.{a} - m.{a}"), &format!("r.{b} - m.{b}"));
                    format!("pg_catalog.sum(r.{own} + {product}) AS {own}")
                };
                format!(
                    "(SELECT {} FROM (SELECT pg_catalog.sum(r.n)::pg_catalog.float8 AS n, \
                     pg_catalog.max(m.x) AS x, pg_catalog.max(m.y) AS y, {}, {}, {} \
                     FROM unnest({}) AS r(n, x, y, xx, yy, xy), \
                     LATERAL (SELECT {} AS x, {} AS y) AS m WHERE r.n > 0) AS q)",
                    self.value,
                    sum("xx", "x", "x"),
                    sum("yy", "y", "y"),
                    sum("xy", "x", "y"),
                    arrays.join(", "),
                    mean(&column(1), &column(0)),
                    mean(&column(2), &column(0)),
                )
            }
        }
    }

    /// As `numeric_stddev_internal` computes it: no variance below zero, and a root of the variance's own scale. `sqrt()` may
    /// compute more digits than that, and rounding twice may round up what is below a half.
    fn exact(&self, column: impl Fn(usize) -> String) -> String {
        let sample = !self.name.ends_with("_pop");
        let least = if sample { "1" } else { "0" };
        let variance = format!(
            "SELECT CASE WHEN t.n > {least} THEN CASE WHEN t.d <= 0 THEN 0 ELSE t.d / (t.n * (t.n - {least})) END END \
             AS v FROM (SELECT s.n, s.n * s.q - s.s * s.s AS d FROM (SELECT pg_catalog.sum({}) AS n, \
             pg_catalog.sum({})::pg_catalog.numeric AS s, pg_catalog.sum({}) AS q) AS s) AS t",
            column(0),
            column(1),
            column(2),
        );
        if !self.name.starts_with("stddev") {
            return format!("({variance})");
        }
        format!(
            "(SELECT CASE WHEN r.h IS NULL THEN r.v \
             WHEN r.r > r.h AND (r.r - r.h) * (r.r - r.h) > r.v THEN pg_catalog.round(r.r - 2 * r.h, r.s) ELSE r.r END \
             FROM (SELECT v.v, v.s, pg_catalog.round(pg_catalog.sqrt(v.v), v.s) AS r, \
             0.5 / pg_catalog.power(10::pg_catalog.numeric, v.s) AS h \
             FROM (SELECT v.v, pg_catalog.scale(v.v) AS s FROM ({variance}) AS v) AS v) AS r)"
        )
    }
}

/// Of the means of the shards, without what an empty one says.
fn mean(means: &str, counts: &str) -> String {
    format!("pg_catalog.sum({means} * {counts}) FILTER (WHERE {counts} > 0) / pg_catalog.sum({counts})")
}

/// `n` times both differences. A product far too small for a float is zero, and no error as SQL has it.
fn product(one: &str, other: &str) -> String {
    let tiny = |difference: &str| format!("pg_catalog.abs({difference}) < 1e-170");
    format!("CASE WHEN {} AND {} THEN 0 ELSE r.n * ({one}) * ({other}) END", tiny(one), tiny(other))
}

fn state_of(value: &Expr, scope: &Scope<'_>) -> Option<State> {
    match value {
        Expr::Nested(inner) => state_of(inner, scope),
        Expr::Cast { data_type, .. } => match data_type {
            DataType::Numeric(_)
            | DataType::Decimal(_)
            | DataType::SmallInt(None)
            | DataType::Int(None)
            | DataType::Integer(None)
            | DataType::BigInt(None)
            | DataType::Int8(None)
            | DataType::Int4(None)
            | DataType::Int2(None) => Some(State::Exact),
            DataType::DoublePrecision | DataType::Real | DataType::Float8 | DataType::Float4 => {
                Some(State::Float)
            }
            _ => None,
        },
        _ => match scope.column(value)?.1.type_oid {
            oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC => Some(State::Exact),
            oid::FLOAT4 | oid::FLOAT8 => Some(State::Float),
            _ => None,
        },
    }
}
