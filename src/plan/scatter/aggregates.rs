//! Aggregates that can be computed in two steps: what each shard computes, and how one PostgreSQL combines it.
//!
//! | aggregate | each shard | combined |
//! | --- | --- | --- |
//! | count | count | sum, 0 without rows, as bigint |
//! | sum | sum | sum; as bigint where the shards' is bigint, so overflow is PostgreSQL's error 22003 |
//! | avg | sum and count | sum / count: in numeric, or in double precision for floats and intervals |
//! | min, max, bool_and, bool_or, every, bit_and, bit_or, bit_xor, any_value | the same | the same |
//! | count, sum, avg (DISTINCT x) | x as one more group | the same over distinct x |
//! | count, sum, avg (DISTINCT key) | the same | as without DISTINCT: no two shards have equal values |
//!
//! The last is not for a statement in which the one above it makes more groups: their rows may have equal keys.
//!
//! Division is exact because `avg` itself divides the sum by the count with `numeric_div`. Sums of floats are
//! added in another order, and sums of real in real: that is what PostgreSQL's own parallel plans do. The average of
//! reals is computed from sums in double precision, which needs the argument's type beforehand: a column of type
//! real is cast; another expression of type real refuses.
//!
//! Variances, covariances and regressions have a table of their own ([`super::statistics`]).
//!
//! Not here: anything else that aggregates (DISTINCT with FILTER, ordered sets, array_agg): its rows are gathered
//! ([`super::gathered`]).

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Select,
};

use crate::merge::types::oid;
use crate::plan::refusal::Refusal;
use crate::sql::name::ObjectName;

use super::finish::Markers;
use super::refusals::Reason;
use super::statistics::Statistic;
use super::{Inputs, expression, functions};

/// How partial columns become the aggregate's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combining {
    Count,
    Sum,
    /// The sum's column; the count's is the next.
    Average,
    /// The function again.
    Same(&'static str),
    /// The function over distinct values.
    Distinct(&'static str),
    Statistic(Statistic),
}

/// One aggregate of a final text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    combining: Combining,
    /// Its first partial column.
    column: usize,
}

/// What an aggregate needs of the shards.
pub(super) struct Partials {
    combining: Combining,
    pub columns: Vec<String>,
    /// The columns are values to group by, not aggregates.
    pub grouping: bool,
}

impl Partials {
    /// The aggregate, once its columns have their places.
    pub fn at(&self, column: usize) -> Aggregate {
        Aggregate { combining: self.combining, column }
    }
}

/// The partial columns of an aggregate call.
pub(super) fn partials(function: &Function, inputs: &Inputs<'_>) -> Result<Partials, Refusal> {
    let refused = || Reason::Aggregate.refusal(&function.to_string());
    let name = built_in_name(function, inputs).ok_or_else(refused)?;
    let plain = function.within_group.is_empty()
        && function.null_treatment.is_none()
        && function.over.is_none()
        && matches!(function.parameters, FunctionArguments::None);
    if !plain {
        return Err(refused());
    }
    let FunctionArguments::List(list) = &function.args else { return Err(refused()) };
    if !list.clauses.is_empty() {
        return Err(refused());
    }
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let filter =
        function.filter.as_ref().map(|filter| format!(" FILTER (WHERE {filter})")).unwrap_or_default();
    if !distinct && let Some((statistic, arguments)) = statistic(name.name.as_str(), &list.args, inputs) {
        list.args.iter().try_for_each(|argument| check_argument(argument, function, inputs))?;
        let columns = statistic.columns(&arguments, |call| format!("{call}{filter}"));
        return Ok(Partials { combining: Combining::Statistic(statistic), columns, grouping: false });
    }
    let [argument] = list.args.as_slice() else { return Err(refused()) };
    check_argument(argument, function, inputs)?;
    let FunctionArg::Unnamed(argument) = argument else { return Err(refused()) };
    let parted = distinct && is_parted(argument, inputs);
    let quantifier = if parted { "DISTINCT " } else { "" };
    let call = |name: &str| format!("{name}({quantifier}{argument}){filter}");
    let same = |combining, name: &str| Partials { combining, columns: vec![call(name)], grouping: false };
    let name = name.name.as_str();
    if let Some(name) = idempotent(name) {
        return Ok(same(Combining::Same(name), name));
    }
    if distinct && !parted {
        let name = ["count", "sum", "avg"].into_iter().find(|known| *known == name).ok_or_else(refused)?;
        let FunctionArgExpr::Expr(value) = argument else { return Err(refused()) };
        if !filter.is_empty() {
            return Err(refused());
        }
        let combining = Combining::Distinct(name);
        return Ok(Partials { combining, columns: vec![value.to_string()], grouping: true });
    }
    match name {
        "count" => Ok(same(Combining::Count, "count")),
        "sum" => Ok(same(Combining::Sum, "sum")),
        "bit_xor" => Ok(same(Combining::Same("bit_xor"), "bit_xor")),
        "avg" => {
            let sum = match argument {
                FunctionArgExpr::Expr(value) if inputs.scope.is_real(value) => {
                    format!("sum({quantifier}({value})::double precision){filter}")
                }
                _ => call("sum"),
            };
            let columns = vec![sum, call("count")];
            Ok(Partials { combining: Combining::Average, columns, grouping: false })
        }
        _ => Err(refused()),
    }
}

/// The aggregate, if it is a variance or its kin, with its arguments as written.
fn statistic(name: &str, args: &[FunctionArg], inputs: &Inputs<'_>) -> Option<(Statistic, Vec<String>)> {
    let value = |arg| match arg {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref value)) => Some(value),
        _ => None,
    };
    let values: Vec<&Expr> = args.iter().map(value).collect::<Option<_>>()?;
    let statistic = Statistic::of(name, &values, &inputs.scope)?;
    Some((statistic, values.iter().map(ToString::to_string).collect()))
}

/// Whether every aggregate of a block has a partial form.
pub(super) fn all_have_partials(query: &Query, inputs: &Inputs<'_>) -> bool {
    let Ok(select) = super::select::select_of(query) else { return false };
    !has_aggregate(query, select, inputs, |call| partials(call, inputs).is_err())
}

/// Whether values of an aggregate's argument are groups of the shards' rows.
pub(super) fn group_by_values(query: &Query, inputs: &Inputs<'_>) -> bool {
    let Ok(select) = super::select::select_of(query) else { return false };
    has_aggregate(query, select, inputs, |call| {
        partials(call, inputs).is_ok_and(|partials| partials.grouping)
    })
}

/// Whether an aggregate that is computed over the rows of the block passes the test.
fn has_aggregate(
    query: &Query,
    select: &Select,
    inputs: &Inputs<'_>,
    test: impl Fn(&Function) -> bool,
) -> bool {
    let test = |call: &Function| expression::is_aggregate(call, inputs.ctx) && test(call);
    expression::has_call(&select.projection, test)
        || expression::has_call(&select.having, test)
        || expression::has_call(&query.order_by, test)
}

/// Whether equal values of the argument are on one shard.
fn is_parted(argument: &FunctionArgExpr, inputs: &Inputs<'_>) -> bool {
    let FunctionArgExpr::Expr(value) = argument else { return false };
    inputs.scope.column(value).is_some_and(|(table, column)| {
        inputs.parted.iter().any(|(alias, name)| alias == table && *name == column.name)
    })
}

/// The name of a function that can only be PostgreSQL's own.
fn built_in_name(function: &Function, inputs: &Inputs<'_>) -> Option<ObjectName> {
    let name = expression::object_name(&function.name)?;
    let built_in = name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
    (built_in && !functions::shadowed(&name, inputs.ctx)).then_some(name)
}

/// Whether a block aggregates, and a row that is there twice changes none of its values.
pub(super) fn ignore_repeated_rows(query: &Query, inputs: &Inputs<'_>) -> bool {
    let Ok(select) = super::select::select_of(query) else { return false };
    let parts = [
        expression::contents(&select.projection, inputs.ctx),
        expression::contents(&select.having, inputs.ctx),
        expression::contents(&query.order_by, inputs.ctx),
    ];
    if parts.iter().any(|part| part.volatile || part.window) {
        return false;
    }
    has_aggregate(query, select, inputs, |_| true)
        && !has_aggregate(query, select, inputs, |call| !ignores_repeated_values(call, inputs))
}

fn ignores_repeated_values(call: &Function, inputs: &Inputs<'_>) -> bool {
    let distinct = matches!(&call.args, FunctionArguments::List(list)
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct));
    let known = || built_in_name(call, inputs).is_some_and(|name| idempotent(&name.name).is_some());
    call.within_group.is_empty() && (distinct || known())
}

/// Aggregates for which repeated values do not count, so DISTINCT changes nothing.
fn idempotent(name: &str) -> Option<&'static str> {
    ["min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "any_value"]
        .into_iter()
        .find(|known| *known == name)
}

/// The argument is computed by each shard for its own rows: it must not depend on the server.
fn check_argument(argument: &FunctionArg, function: &Function, inputs: &Inputs<'_>) -> Result<(), Refusal> {
    let contents = match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => expression::contents(value, inputs.ctx),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Default::default(),
        _ => return Err(Reason::Aggregate.refusal(&function.to_string())),
    };
    let filter = function.filter.as_deref().map(|filter: &Expr| expression::contents(filter, inputs.ctx));
    if contents.subquery || filter.is_some_and(|filter| filter.subquery) {
        return Err(Reason::GroupedSubquery.refusal(""));
    }
    if contents.volatile {
        return Err(Reason::VolatileFunction.refusal("in an aggregate"));
    }
    match contents.clock || contents.aggregate || contents.window {
        true => Err(Reason::Aggregate.refusal(&function.to_string())),
        false => Ok(()),
    }
}

impl Aggregate {
    /// The combining expression for people: without the casts that depend on types.
    pub fn outline(&self) -> String {
        let column = Markers::column(self.column);
        match self.combining {
            Combining::Count => format!("coalesce(sum({column}), 0)"),
            Combining::Sum => format!("sum({column})"),
            Combining::Average => format!("sum({column}) / sum({})", Markers::column(self.column + 1)),
            Combining::Same(name) => format!("{name}({column})"),
            Combining::Distinct(name) => format!("{name}(DISTINCT {column})"),
            Combining::Statistic(statistic) => self.statistic(statistic),
        }
    }

    /// Whether combining may fail with 22003 where one PostgreSQL has an answer.
    pub fn may_overflow(&self) -> bool {
        matches!(self.combining, Combining::Statistic(statistic) if statistic.may_overflow())
    }

    fn statistic(&self, statistic: Statistic) -> String {
        statistic.combine(|index| Markers::column(self.column + index))
    }

    /// The combining expression, in parentheses where it is not a plain call.
    pub fn combine(&self, partial_types: &[u32]) -> Result<String, Refusal> {
        let column = Markers::column(self.column);
        let type_oid = partial_types.get(self.column).copied().unwrap_or(0);
        let refused = || Err(Reason::PartialType.refusal(&format!("type {type_oid}")));
        match self.combining {
            Combining::Count => Ok(format!("(coalesce(sum({column}), 0)::bigint)")),
            Combining::Sum => match type_oid {
                oid::INT8 => Ok(format!("(sum({column})::bigint)")),
                oid::NUMERIC | oid::FLOAT4 | oid::FLOAT8 | oid::INTERVAL => Ok(format!("sum({column})")),
                _ => refused(),
            },
            Combining::Average => {
                let count = format!("nullif(sum({}), 0)", Markers::column(self.column + 1));
                match type_oid {
                    oid::INT8 | oid::NUMERIC => Ok(format!("(sum({column}) / {count})")),
                    // PostgreSQL adds to 0, and -0 to that is 0.
                    oid::FLOAT8 => Ok(format!("((sum({column}) + 0) / {count}::double precision)")),
                    oid::INTERVAL => Ok(format!("(sum({column}) / {count}::double precision)")),
                    _ => refused(),
                }
            }
            Combining::Same(name) => Ok(format!("{name}({column})")),
            Combining::Distinct(name) => Ok(format!("{name}(DISTINCT {column})")),
            Combining::Statistic(statistic) => Ok(self.statistic(statistic)),
        }
    }
}
