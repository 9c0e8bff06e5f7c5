//! A small catalog and topology: `rides`, `stops` and `labels` by region, `riders` everywhere, `notes` on one shard.
//!
//! The database's collation is deterministic but not byte order, as in most installations; `rides.c_text` has the
//! C collation, `rides.folded` a nondeterministic one. Functions are few: what a case calls must be listed here, as
//! unknown functions refuse.
//!
//! Used by every file of cases beside it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{
    Catalog, Collation, Column, FunctionInfo, FunctionKind, RelationInfo, RelationKind, Volatility,
};
use crate::merge::types::oid;
use crate::plan::PlanningContext;
use crate::plan::refusal::Refusal;
use crate::plan::scatter::scratch::Table;
use crate::plan::scatter::{Combine, Scatter, ShardText, Source, Text, Ways};
use crate::sql::arguments::{Arguments, NoParameters};
use crate::sql::lexer::LexOptions;
use crate::sql::name::ObjectName;
use crate::sql::parse::parse;
use crate::sql::shape::{ShapeBuffers, shape};
use crate::topology::{NullKey, Placement, RegionId, ShardId, TableRule, Topology, TopologyVersion};

/// An enum of the users' own, `public.mood`.
pub const MOOD: u32 = 90_001;

const RIDES: [(&str, u32); 20] = [
    ("id", oid::INT8),
    ("region", oid::TEXT),
    ("city", oid::TEXT),
    ("fare", oid::NUMERIC),
    ("tip", oid::INT4),
    ("small", oid::INT2),
    ("big", oid::INT8),
    ("ratio", oid::FLOAT8),
    ("weight", oid::FLOAT4),
    ("at", oid::TIMESTAMPTZ),
    ("day", oid::DATE),
    ("span", oid::INTERVAL),
    ("ok", oid::BOOL),
    ("tag", oid::VARCHAR),
    ("code", oid::BPCHAR),
    ("u", oid::UUID),
    ("c_text", oid::TEXT),
    ("money", oid::MONEY),
    ("num", oid::NUMERIC),
    ("folded", oid::TEXT),
];

fn column((name, type_oid): &(&str, u32)) -> Column {
    let collation = match *type_oid {
        _ if *name == "c_text" => Collation::Bytes,
        _ if *name == "folded" => Collation::Nondeterministic,
        oid::TEXT | oid::VARCHAR | oid::BPCHAR => Collation::Deterministic,
        _ => Collation::None,
    };
    Column { collation, not_null: *name == "region", ..Column::new(name, *type_oid, "some type") }
}

fn table(name: &str, columns: &[(&str, u32)]) -> (ObjectName, RelationInfo) {
    let name = ObjectName::qualified("public", name);
    let columns = columns.iter().map(column).collect();
    let info = RelationInfo { columns, ..RelationInfo::new(name.clone(), RelationKind::Table) };
    (name, info)
}

fn functions() -> HashMap<ObjectName, FunctionInfo> {
    let mut functions = HashMap::new();
    let mut add = |names: &[&str], volatility, kind| {
        for name in names {
            let returns_set = *name == "unnest";
            let info = FunctionInfo { volatility, kind, returns_set, built_in: true, takes_rows: false };
            functions.insert(ObjectName::qualified("pg_catalog", *name), info);
        }
    };
    let aggregates = [
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "bool_and",
        "bool_or",
        "every",
        "bit_and",
        "bit_or",
        "bit_xor",
        "array_agg",
        "variance",
        "string_agg",
        "stddev_pop",
        "var_samp",
        "corr",
        "regr_intercept",
        "var_pop",
        "stddev",
        "percentile_cont",
    ];
    add(&aggregates, Volatility::Immutable, FunctionKind::Aggregate);
    let immutable = [
        "lower",
        "upper",
        "round",
        "abs",
        "length",
        "date_trunc",
        "md5",
        "mod",
        "to_char",
        "age",
        "decode",
        "unnest",
    ];
    add(&immutable, Volatility::Immutable, FunctionKind::Function);
    add(&["random", "nextval"], Volatility::Volatile, FunctionKind::Function);
    add(&["now", "current_database"], Volatility::Stable, FunctionKind::Function);
    add(&["row_number", "rank", "lag"], Volatility::Immutable, FunctionKind::Window);
    let user = FunctionInfo {
        volatility: Volatility::Stable,
        kind: FunctionKind::Function,
        returns_set: false,
        built_in: false,
        takes_rows: false,
    };
    functions.insert(ObjectName::qualified("public", "reads_tables"), user);
    functions
}

pub(crate) fn context() -> PlanningContext {
    let relations = [
        table("rides", &RIDES),
        table("stops", &[("ride", oid::INT8), ("region", oid::TEXT), ("place", oid::TEXT)]),
        table("riders", &[("rider", oid::INT8), ("name", oid::TEXT)]),
        table("notes", &[("note", oid::TEXT)]),
        table("labels", &[("folded", oid::TEXT)]),
    ];
    let catalog = Catalog {
        version: 1,
        loaded: true,
        relations: relations.into_iter().collect(),
        functions: functions(),
        enums: Arc::new(HashMap::from([(MOOD, ObjectName::qualified("public", "mood"))])),
        database_collation: Some(Collation::Deterministic),
        ..Catalog::default()
    };
    let rule = |name: &str, placement| TableRule {
        name: ObjectName::qualified("public", name),
        placement,
        position: None,
        null_key: NullKey::Refuse,
        residency: None,
    };
    let region = || Placement::Region { key: "region".to_owned() };
    let topology = Topology {
        version: TopologyVersion(1),
        database: "app".to_owned(),
        regions: Vec::new(),
        shards: Vec::new(),
        nodes: Vec::new(),
        local_region: RegionId(0),
        default_shard: ShardId(0),
        scratch_shard: ShardId(0),
        world: crate::geo::World::new(Vec::new(), None).unwrap(),
        tables: vec![
            rule("rides", region()),
            rule("stops", region()),
            rule("labels", Placement::Region { key: "folded".to_owned() }),
            rule("riders", Placement::Reference),
        ],
        trusted_functions: Default::default(),
        distances: None,
    };
    PlanningContext {
        topology: Arc::new(topology),
        catalog: Arc::new(catalog),
        search_path: Arc::from(["public".to_owned()]),
    }
}

pub(crate) fn compile(sql: &str) -> Result<Scatter, Refusal> {
    Scatter::merge(&parse(sql.as_bytes(), LexOptions::default()), &context())
}

/// Runs `then` with the arguments of a statement without parameters.
pub(crate) fn with_arguments<R>(sql: &str, then: impl FnOnce(&Arguments<'_>) -> R) -> R {
    let mut buffers = ShapeBuffers::default();
    let shape = shape(sql.as_bytes(), LexOptions::default(), &mut buffers);
    then(&Arguments { text: sql.as_bytes(), literals: shape.literals, parameters: &NoParameters })
}

/// A text as it would be sent.
pub(crate) fn filled(text: &Text, sql: &str) -> String {
    with_arguments(sql, |arguments| String::from_utf8(text.fill(arguments).unwrap()).unwrap())
}

/// What each shard is sent.
pub(crate) fn shard(sql: &str) -> String {
    match compile(sql).unwrap().shard {
        ShardText::Original => "original".to_owned(),
        ShardText::Rewritten(text) => filled(&text, sql),
    }
}

/// The description, or the refusal's code and message.
pub(crate) fn plan(sql: &str) -> String {
    match compile(sql) {
        Ok(scatter) => with_arguments(sql, |arguments| scatter.describe(arguments).join("\n")),
        Err(refusal) => format!("{} {} {}", refusal.code, refusal.sqlstate, refusal.message),
    }
}

/// Statements that are refused, each with the number of its reason.
pub(crate) fn assert_refused(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(sql, code)| (sql, code, plan(sql)))
        .filter(|(_, code, plan)| !plan.starts_with(*code))
        .map(|(sql, code, plan)| format!("{sql}: {code} expected, {plan}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the shards are asked where tables are gathered, or `None`.
pub(crate) fn gathered(sql: &str) -> Option<Vec<String>> {
    let source = Source { text: sql.as_bytes(), options: LexOptions::default() };
    let parsed = parse(sql.as_bytes(), LexOptions::default());
    let scatter = Scatter::compile(&parsed, source, &context(), Ways::ScratchOnly).ok()?;
    let Combine::Scratch(scratch) = &scatter.combine else { return None };
    let ask = |table: &Table| {
        with_arguments(sql, |arguments| String::from_utf8(table.ask(arguments, true, None).unwrap()).unwrap())
    };
    Some(scratch.tables(false).map(ask).collect())
}

/// By which equalities what is gathered of which table may be limited.
pub(crate) fn links(sql: &str) -> Vec<String> {
    let source = Source { text: sql.as_bytes(), options: LexOptions::default() };
    let parsed = parse(sql.as_bytes(), LexOptions::default());
    let scatter = Scatter::compile(&parsed, source, &context(), Ways::ScratchOnly).unwrap();
    let Combine::Scratch(scratch) = &scatter.combine else { return Vec::new() };
    let of_table = |table: &'_ Table| -> Vec<String> {
        table.links.iter().map(|link| format!("{}: {}", table.name.name, link.describe())).collect()
    };
    scratch.tables(false).flat_map(of_table).collect()
}
