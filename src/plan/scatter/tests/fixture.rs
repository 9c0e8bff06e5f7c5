//! A small catalog and topology: `rides` and `stops` by region, `riders` everywhere, `notes` on one shard.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{self, Expr, JoinOperator, SetExpr, Statement, TableFactor};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserOptions};

use crate::catalog::{
    Catalog, Collation, Column, FunctionInfo, FunctionKind, RelationInfo, RelationKind, Volatility,
};
use crate::merge::types::oid;
use crate::plan::PlanningContext;
use crate::plan::refusal::Refusal;
use crate::plan::scatter::placeholders::tests::Verbatim;
use crate::plan::scatter::{Scatter, expression};
use crate::sql::facts::{Block, ColumnRef, Facts, FunctionUse, Kind, Predicate, Relation};
use crate::sql::name::ObjectName;
use crate::topology::{NullKey, Placement, RegionId, ShardId, TableRule, Topology, TopologyVersion};

const RIDES: [(&str, u32); 19] = [
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
];

fn column((name, type_oid): &(&str, u32)) -> Column {
    let collation = match *type_oid {
        _ if *name == "c_text" => Collation::Bytes,
        oid::TEXT | oid::VARCHAR | oid::BPCHAR => Collation::Deterministic,
        _ => Collation::None,
    };
    Column {
        name: (*name).to_owned(),
        type_oid: *type_oid,
        type_name: String::new(),
        type_modifier: -1,
        collation,
        not_null: false,
        default: None,
        volatile_default: false,
        stable_default: false,
        generated: false,
        identity: false,
    }
}

fn table(name: &str, columns: &[(&str, u32)]) -> (ObjectName, RelationInfo) {
    let name = ObjectName::qualified("public", name);
    let info = RelationInfo {
        name: name.clone(),
        kind: RelationKind::Table,
        columns: columns.iter().map(column).collect(),
        reads: Vec::new(),
        parents: Vec::new(),
        children: Vec::new(),
        has_triggers: false,
        has_rules: false,
        row_security: false,
        unique_sets: Vec::new(),
    };
    (name, info)
}

fn functions() -> HashMap<ObjectName, FunctionInfo> {
    let mut functions = HashMap::new();
    let mut add = |names: &[&str], volatility, kind| {
        for name in names {
            let info = FunctionInfo { volatility, kind, built_in: true };
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
        "stddev",
        "percentile_cont",
    ];
    add(&aggregates, Volatility::Immutable, FunctionKind::Aggregate);
    let immutable =
        ["lower", "upper", "round", "abs", "length", "date_trunc", "md5", "mod", "to_char", "age", "decode"];
    add(&immutable, Volatility::Immutable, FunctionKind::Function);
    add(&["now", "current_database"], Volatility::Stable, FunctionKind::Function);
    add(&["random", "nextval"], Volatility::Volatile, FunctionKind::Function);
    add(&["row_number", "rank", "lag"], Volatility::Immutable, FunctionKind::Window);
    let user = FunctionInfo { volatility: Volatility::Stable, kind: FunctionKind::Function, built_in: false };
    functions.insert(ObjectName::qualified("public", "reads_tables"), user);
    functions
}

pub(crate) fn context() -> PlanningContext {
    let relations = [
        table("rides", &RIDES),
        table("stops", &[("ride", oid::INT8), ("region", oid::TEXT), ("place", oid::TEXT)]),
        table("riders", &[("rider", oid::INT8), ("name", oid::TEXT)]),
        table("notes", &[("note", oid::TEXT)]),
    ];
    let catalog = Catalog {
        version: 1,
        loaded: true,
        relations: relations.into_iter().collect(),
        functions: functions(),
        database_collation: Some(Collation::Deterministic),
        ..Catalog::default()
    };
    let rule = |name: &str, placement| TableRule {
        name: ObjectName::qualified("public", name),
        placement,
        position: None,
        null_key: NullKey::Refuse,
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
        world: Default::default(),
        tables: vec![rule("rides", region()), rule("stops", region()), rule("riders", Placement::Reference)],
        distances: None,
    };
    PlanningContext {
        topology: Arc::new(topology),
        catalog: Arc::new(catalog),
        search_path: Arc::from(["public".to_owned()]),
    }
}

pub(crate) fn tree(sql: &str) -> Statement {
    let dialect = PostgreSqlDialect {};
    let options = ParserOptions::new().with_unescape(false);
    let mut parser = Parser::new(&dialect).with_options(options).try_with_sql(sql).unwrap();
    parser.parse_statement().unwrap()
}

/// Facts as far as these cases need them.
pub(crate) fn facts(statement: &Statement, sql: &str) -> Facts {
    let Statement::Query(query) = statement else { panic!("not a query") };
    let mut functions = Vec::new();
    let _ = ast::visit_expressions(statement, |expr| {
        if let Expr::Function(function) = expr {
            functions.push(FunctionUse {
                name: expression::object_name(&function.name).unwrap(),
                argument_count: expression::argument_count(function),
            });
        }
        ControlFlow::<()>::Continue(())
    });
    let params = (1..9).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
    Facts {
        kind: Kind::Select { locking: !query.locks.is_empty(), into: false },
        block: block(query),
        words: Vec::new(),
        functions,
        param_count: params,
        shadowed: false,
    }
}

fn block(query: &ast::Query) -> Block {
    let mut block = Block::empty();
    let SetExpr::Select(select) = &*query.body else { return block };
    let mut equalities = Vec::new();
    for from in &select.from {
        source(&from.relation, false, &mut block);
        for join in &from.joins {
            let left = matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
            source(&join.relation, left, &mut block);
            if let JoinOperator::Join(ast::JoinConstraint::On(on)) = &join.join_operator
                && let Expr::BinaryOp { left, op: ast::BinaryOperator::Eq, right } = on
            {
                equalities.push(Predicate::ColumnsEqual(column_ref(left), column_ref(right)));
            }
        }
    }
    block.filter = Predicate::And(equalities);
    let mut inner = Vec::new();
    if let Some(filter) = &select.selection {
        let _ = ast::visit_expressions(filter, |expr| {
            if let Expr::InSubquery { subquery, .. } = expr {
                inner.push(self::block(subquery));
            }
            ControlFlow::<()>::Continue(())
        });
    }
    block.children.extend(inner);
    block
}

fn source(factor: &TableFactor, nullable: bool, block: &mut Block) {
    match factor {
        TableFactor::Table { name, alias, .. } => block.relations.push(Relation {
            name: expression::object_name(name).unwrap(),
            alias: alias.as_ref().map(|alias| expression::folded(&alias.name)),
            nullable,
            only: false,
            opaque_columns: false,
        }),
        TableFactor::Derived { subquery, .. } => {
            block.opaque_sources = true;
            block.children.push(self::block(subquery));
        }
        _ => block.opaque_sources = true,
    }
}

fn column_ref(expr: &Expr) -> ColumnRef {
    let (qualifier, column) = match expr {
        Expr::Identifier(name) => (None, expression::folded(name)),
        Expr::CompoundIdentifier(parts) => {
            (Some(ObjectName::unqualified(expression::folded(&parts[0]))), expression::folded(&parts[1]))
        }
        _ => panic!("not a column"),
    };
    ColumnRef { qualifier, column, cast: None }
}

pub(crate) fn compile(sql: &str) -> Result<Scatter, Refusal> {
    let mut statement = tree(sql);
    let facts = facts(&statement, sql);
    Scatter::compile(&mut statement, &facts, &context(), &Verbatim)
}

/// The description, or the refusal's code and message.
pub(crate) fn plan(sql: &str) -> String {
    match compile(sql) {
        Ok(scatter) => scatter.describe().join("\n"),
        Err(refusal) => format!("{} {} {}", refusal.code, refusal.sqlstate, refusal.message),
    }
}
