//! Which columns of an answer show one of several equal values: there PostgreSQL may choose another than Meridian.
//!
//! GROUP BY, DISTINCT, UNION and their kin keep one of equal values, `min` and `max` return one. A column has that freedom
//! only if such a value reaches it: a sum beside a group has none.
//!
//! Invariant: a column is judged strictly only if every value in it is computed by what is listed here.

use std::ops::ControlFlow;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArguments, GroupByExpr, Query, Select, SelectItem, SetExpr,
    SetOperator, SetQuantifier, Statement, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// Words of statements that choose one of several equal values.
const CHOOSING: &[&str] =
    &["GROUP BY", "DISTINCT", "UNION", "INTERSECT", "EXCEPT", "min(", "max(", "percentile", "mode("];

/// Aggregates whose value, to the last digit, follows from the values of all rows.
const DETERMINED: &[&str] = &[
    "count",
    "sum",
    "avg",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "string_agg",
    "array_agg",
    "jsonb_agg",
];

/// In which columns of its answer a statement may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choices {
    All,
    None,
    Of(Vec<bool>),
}

impl Choices {
    pub fn of(text: &str) -> Self {
        if !chooses(text) {
            return Self::None;
        }
        let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, text) else { return Self::All };
        let columns = match statements.as_slice() {
            [Statement::Query(query)] => of_query(query),
            _ => None,
        };
        columns.map_or(Self::All, Self::Of)
    }

    pub fn has(&self, column: usize) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Of(columns) => columns.get(column).copied().unwrap_or(true),
        }
    }
}

fn chooses(text: &str) -> bool {
    CHOOSING.iter().any(|word| text.contains(word))
}

/// None: not known.
fn of_query(query: &Query) -> Option<Vec<bool>> {
    match &query.with {
        Some(with) if chooses(&with.to_string()) => None,
        _ => of_body(&query.body),
    }
}

fn of_body(body: &SetExpr) -> Option<Vec<bool>> {
    match body {
        SetExpr::Select(select) => of_select(select),
        SetExpr::Query(query) => of_query(query),
        SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: SetQuantifier::All, left, right } => {
            let (left, right) = (of_body(left)?, of_body(right)?);
            Some(left.iter().zip(&right).map(|(one, other)| *one || *other).collect())
        }
        _ => None,
    }
}

fn of_select(select: &Select) -> Option<Vec<bool>> {
    let from: String = select.from.iter().map(ToString::to_string).collect();
    if select.distinct.is_some() || chooses(&from) {
        return None;
    }
    let groups = match &select.group_by {
        GroupByExpr::Expressions(written, _) => !written.is_empty(),
        GroupByExpr::All(_) => true,
    };
    let choice = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            Some(chooses(&expr.to_string()) || groups && !is_determined(expr))
        }
        _ => None,
    };
    select.projection.iter().map(choice).collect()
}

/// Whether columns stand in it only as arguments of aggregates that are determined.
fn is_determined(expr: &Expr) -> bool {
    let mut columns = Columns { within: 0 };
    expr.visit(&mut columns).is_continue()
}

struct Columns {
    /// Such aggregates around what is visited.
    within: usize,
}

fn is_determined_call(expr: &Expr) -> bool {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), over: None, .. }) = expr else {
        return false;
    };
    let name = name.to_string();
    list.duplicate_treatment != Some(DuplicateTreatment::Distinct) && DETERMINED.contains(&name.as_str())
}

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.within += usize::from(is_determined_call(expr));
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) if self.within == 0 => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.within -= usize::from(is_determined_call(expr));
        ControlFlow::Continue(())
    }
}

#[test]
fn only_columns_that_a_choice_reaches_are_free() {
    let cases: [(&str, &[bool]); 7] = [
        (
            "SELECT a, sum(b), count(*), (max(b) + 1), 'x' FROM t GROUP BY a",
            &[true, false, false, true, false],
        ),
        ("SELECT a || 'x', avg(DISTINCT b), coalesce(sum(a + b), 0) FROM t GROUP BY 1", &[true, true, false]),
        ("SELECT a, b FROM t UNION ALL SELECT min(a), b FROM t", &[true, false]),
        ("SELECT a, (SELECT max(b) FROM u) FROM t", &[false, true]),
        ("SELECT a, sum(b) OVER (), max(b) OVER () FROM t", &[false, false, true]),
        ("WITH q AS (SELECT a FROM t) SELECT a, count(b) FROM q GROUP BY a", &[true, false]),
        ("SELECT a IS NULL, count(b) IS NULL FROM t GROUP BY a", &[true, false]),
    ];
    for (text, columns) in cases {
        assert_eq!(Choices::of(text), Choices::Of(columns.to_vec()), "{text}");
    }
    for text in [
        "SELECT DISTINCT a, b FROM t",
        "SELECT a, 1 FROM (SELECT a FROM t GROUP BY a) q",
        "SELECT a, 1 FROM t UNION SELECT a, 1 FROM t",
        "SELECT *, max(a) OVER () FROM t",
        "WITH q AS (SELECT DISTINCT a FROM t) SELECT a, 1 FROM q",
    ] {
        assert_eq!(Choices::of(text), Choices::All, "{text}");
    }
    assert_eq!(Choices::of("SELECT a FROM t ORDER BY a"), Choices::None);
}
