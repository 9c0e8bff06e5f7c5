//! Looking into expressions: what they hold, what PostgreSQL would name them, and when two are the same.
//!
//! Read-only walks over sqlparser trees, used by the compilers here. Aggregates and window functions are told by
//! name and catalog; clocks, random values and facts about one server by [`super::functions`].
//!
//! Invariants:
//! 1. What stands in a subquery counts as the subquery's, but for values that move from server to server.
//! 2. A name that is not worked out as PostgreSQL does is [`OutputName::Unsure`], and whoever needs it refuses.

use std::ops::ControlFlow;

use sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, Query,
    ValueWithSpan, Visit, Visitor,
};

use crate::catalog::FunctionKind;
use crate::plan::PlanningContext;
use crate::sql::name::ObjectName;
use crate::sql::parser_text::is_only;
use crate::sql::truncate;

use super::functions::{self, Steadiness};
use super::levels::{Level, may_be_outside};
use super::placeholders::Placeholders;

/// Every aggregate of PostgreSQL 13 to 18.
const AGGREGATES: &str = "any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop \
    covar_samp cume_dist dense_rank every grouping json_agg json_agg_strict json_arrayagg json_object_agg \
    json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict json_objectagg jsonb_agg \
    jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique \
    jsonb_object_agg_unique_strict max min mode percent_rank percentile_cont percentile_disc range_agg \
    range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy \
    regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg";

/// What stands in an expression or a clause. Aggregates and windows of its subqueries are theirs, but for those of `levels`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    pub aggregate: bool,
    /// An aggregate in a subquery that may be of the level outside.
    pub aggregate_within: bool,
    pub window: bool,
    pub subquery: bool,
    pub volatile: bool,
    pub clock: bool,
    pub server_dependent: bool,
    pub parameter: bool,
}

/// Looks through a part of a statement; [`Contents::aggregate_within`] is that of a statement without WITH.
pub fn contents<T: Visit>(node: &T, ctx: &PlanningContext) -> Contents {
    contents_under(node, Level::default(), ctx)
}

/// Looks through a part of a query with the WITH of `outer`.
pub fn contents_under<T: Visit>(node: &T, outer: Level, ctx: &PlanningContext) -> Contents {
    let mut looker = Looker { ctx, levels: vec![outer], found: Contents::default() };
    let _ = node.visit(&mut looker);
    looker.found
}

struct Looker<'a> {
    ctx: &'a PlanningContext,
    /// That of the part, which brings no columns, and of the subqueries around, the outermost first.
    levels: Vec<Level>,
    found: Contents,
}

impl Visitor for Looker<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.levels.push(Level::of(query, &self.levels, self.ctx));
        self.found.subquery = true;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.levels.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.found.server_dependent |= is_number_of_object(expr);
        if let Expr::Function(function) = expr {
            let aggregates = function.over.is_none() && is_aggregate(function, self.ctx);
            if self.levels.len() == 1 {
                self.found.window |= function.over.is_some();
                self.found.aggregate |= aggregates;
            } else {
                // What a subquery in its arguments names says nothing of its level.
                self.found.aggregate_within |= aggregates
                    && (may_be_outside(&self.levels, function) || contents(function, self.ctx).subquery);
            }
            if let Some(name) = object_name(&function.name) {
                let steadiness = functions::steadiness(&name, argument_count(function));
                self.found.volatile |= steadiness == Steadiness::Volatile;
                self.found.clock |= steadiness == Steadiness::Clock;
                self.found.server_dependent |= steadiness == Steadiness::ServerDependent;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        self.found.parameter |= matches!(value.value, ast::Value::Placeholder(_));
        ControlFlow::Continue(())
    }
}

/// Whether a name of an object becomes its number, which is another on every server.
fn is_number_of_object(expr: &Expr) -> bool {
    const TEXT: [&str; 4] = ["text", "varchar", "character varying", "name"];
    const NAMES: [&str; 11] = [
        "regclass",
        "regcollation",
        "regconfig",
        "regdictionary",
        "regnamespace",
        "regoper",
        "regoperator",
        "regproc",
        "regprocedure",
        "regrole",
        "regtype",
    ];
    let is_name = |data_type: &ast::DataType| {
        let written = data_type.to_string().to_ascii_lowercase();
        NAMES.contains(&written.trim_start_matches("pg_catalog.").trim_matches('"'))
    };
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return false };
    let mut inner = &**inner;
    while let Expr::Nested(within) = inner {
        inner = within;
    }
    let of_name = match inner {
        Expr::Cast { data_type, .. } => is_name(data_type),
        Expr::TypedString(typed) => is_name(&typed.data_type),
        Expr::Function(function) => object_name(&function.name).is_some_and(|name| name.name == "pg_typeof"),
        _ => false,
    };
    let written = data_type.to_string().to_ascii_lowercase();
    of_name && !is_name(data_type) && !TEXT.contains(&written.split('(').next().unwrap_or_default())
}

/// Whether a call that is not inside a subquery passes the test.
pub fn has_call<T: Visit>(node: &T, test: impl FnMut(&Function) -> bool) -> bool {
    node.visit(&mut Calls { test, depth: 0 }).is_break()
}

struct Calls<F> {
    test: F,
    depth: u32,
}

impl<F: FnMut(&Function) -> bool> Visitor for Calls<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if self.depth == 0 && (self.test)(function) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Whether a call is of an aggregate, built in or not.
pub fn is_aggregate(function: &Function, ctx: &PlanningContext) -> bool {
    let Some(name) = object_name(&function.name) else { return false };
    let built_in = AGGREGATES.split_ascii_whitespace().any(|aggregate| aggregate == name.name);
    let known = ctx.catalog.function(&name, &ctx.search_path);
    built_in || !function.within_group.is_empty() || known.is_some_and(|f| f.kind == FunctionKind::Aggregate)
}

/// Number of written arguments.
pub fn argument_count(function: &Function) -> usize {
    match &function.args {
        FunctionArguments::None => 0,
        FunctionArguments::Subquery(_) => 1,
        FunctionArguments::List(list) => list.args.len(),
    }
}

/// Whether `r.*`, a whole row, is an argument.
pub fn has_row_argument(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    let row = |arg: &FunctionArg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)));
    list.args.iter().any(row)
}

/// An identifier as PostgreSQL folds and cuts it.
pub fn folded(ident: &Ident) -> String {
    truncate(match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    })
}

/// A one- or two-part name, folded; that of a relation also under ONLY.
pub fn object_name(name: &ast::ObjectName) -> Option<ObjectName> {
    let ident = |part: &ObjectNamePart| match part {
        ObjectNamePart::Identifier(ident) => Some(folded(ident)),
        _ => None,
    };
    // ONLY leaves rows out, and names the same relation.
    let is_only = |part: &ObjectNamePart| matches!(part, ObjectNamePart::Identifier(ident) if is_only(ident));
    let parts = match name.0.as_slice() {
        [first, rest @ ..] if is_only(first) => rest,
        parts => parts,
    };
    match parts {
        [name] => Some(ObjectName::unqualified(ident(name)?)),
        [schema, name] => Some(ObjectName::qualified(ident(schema)?, ident(name)?)),
        _ => None,
    }
}

/// A name as an identifier that needs no folding.
pub fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// An expression's text with its literals masked, and those literals in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    pub text: String,
    pub literals: Vec<u32>,
}

/// Two expressions with equal canonical text are the same if their literals are, one by one.
pub fn canonical(expr: &Expr, placeholders: &dyn Placeholders) -> Canonical {
    let mut expr = expr;
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    let mut collector = Literals { placeholders, found: Vec::new() };
    let _ = expr.visit(&mut collector);
    let mut text = expr.to_string();
    let mut places: Vec<(usize, u32)> = Vec::new();
    for (index, printed) in collector.found {
        // A placeholder is printed once and like no other; where it is not found nothing is masked.
        if let Some(at) = text.find(&printed) {
            text.replace_range(at..at + printed.len(), &"\u{1}".repeat(printed.len()));
            places.push((at, index));
        }
    }
    places.sort_unstable();
    Canonical { text, literals: places.into_iter().map(|(_, index)| index).collect() }
}

struct Literals<'a> {
    placeholders: &'a dyn Placeholders,
    found: Vec<(u32, String)>,
}

impl Visitor for Literals<'_> {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        if let Some(index) = self.placeholders.literal(&value.value) {
            self.found.push((index, value.value.to_string()));
        }
        ControlFlow::Continue(())
    }
}

/// What PostgreSQL names an output column (`FigureColname`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputName {
    Named(String),
    /// `?column?`: never matched by a name that is written without quotes.
    Anonymous,
    /// One of these, as the version or the type has it.
    OneOf(&'static [&'static str]),
    /// Some name that is not worked out here.
    Unsure,
}

impl OutputName {
    pub fn may_be(&self, name: &str) -> bool {
        match self {
            Self::Named(own) => own == name,
            Self::Anonymous => false,
            Self::OneOf(names) => names.contains(&name),
            Self::Unsure => true,
        }
    }
}

/// What pg_type calls the types that sqlparser knows by words of their own.
const TYPE_NAMES: &[&str] = &[
    "bit",
    "bool",
    "bpchar",
    "bytea",
    "char",
    "date",
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "interval",
    "json",
    "jsonb",
    "numeric",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
    "varbit",
    "varchar",
];

/// The name of an unaliased select item.
pub fn output_name(expr: &Expr) -> OutputName {
    match expr {
        Expr::Identifier(name) => OutputName::Named(folded(name)),
        Expr::CompoundIdentifier(parts) => {
            parts.last().map_or(OutputName::Unsure, |name| OutputName::Named(folded(name)))
        }
        Expr::Function(function) => {
            object_name(&function.name).map_or(OutputName::Unsure, |name| OutputName::Named(name.name))
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => output_name(inner),
        Expr::Cast { expr: inner, data_type, .. } => match (output_name(inner), data_type) {
            (OutputName::Named(name), _) if is_strongly_named(inner) => OutputName::Named(name),
            (OutputName::Anonymous, ast::DataType::Custom(..) | ast::DataType::Array(_)) => {
                OutputName::Unsure
            }
            (OutputName::Anonymous, _) => OutputName::OneOf(TYPE_NAMES),
            _ => OutputName::Unsure,
        },
        // The name of what stands behind ELSE, unless that is only its type's.
        Expr::Case { else_result: None, .. } => OutputName::Named("case".to_owned()),
        Expr::Case { else_result: Some(inner), .. } => match output_name(inner) {
            OutputName::Named(name) if is_strongly_named(inner) => OutputName::Named(name),
            OutputName::Anonymous => OutputName::Named("case".to_owned()),
            _ => OutputName::Unsure,
        },
        Expr::Exists { .. } => OutputName::Named("exists".to_owned()),
        Expr::Array(_) => OutputName::Named("array".to_owned()),
        Expr::Tuple(_) => OutputName::Named("row".to_owned()),
        Expr::Extract { .. } => OutputName::OneOf(&["extract", "date_part"]),
        Expr::Substring { .. } => OutputName::OneOf(&["substring", "substr"]),
        Expr::Trim { .. } => OutputName::OneOf(&["btrim", "ltrim", "rtrim", "trim"]),
        Expr::Position { .. } => OutputName::Named("position".to_owned()),
        Expr::Floor { .. } => OutputName::Named("floor".to_owned()),
        Expr::Ceil { .. } => OutputName::OneOf(&["ceil", "ceiling"]),
        Expr::AtTimeZone { .. } => OutputName::Named("timezone".to_owned()),
        Expr::Interval(_) => OutputName::Named("interval".to_owned()),
        Expr::BinaryOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_) => OutputName::Anonymous,
        Expr::Value(value) => match value.value {
            ast::Value::Boolean(_) => OutputName::Named("bool".to_owned()),
            _ => OutputName::Anonymous,
        },
        _ => OutputName::Unsure,
    }
}

/// Whether the name is a column's or a function's, which a cast or a CASE around it takes over.
fn is_strongly_named(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_) => true,
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } | Expr::Cast { expr: inner, .. } => {
            is_strongly_named(inner)
        }
        _ => false,
    }
}
