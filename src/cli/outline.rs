//! What the file alone tells of tables, for `meridian route --offline`: the configured ones, each with the columns that place
//! its rows. Pure.
//!
//! Everything else of a catalog is missing: other tables, other columns and their order, functions, and the types of the keys
//! that hashes are made of. What this makes impossible to say is said, and not guessed.

use crate::catalog::{
    Catalog, Collation, Column, FunctionInfo, FunctionKind, RelationInfo, RelationKind, Volatility,
};
use crate::plan::PlanningContext;
use crate::sql::facts::{InsertSource, Kind};
use crate::sql::name::ObjectName;
use crate::topology::{Key, Placement, TableRule, Topology};

/// PostgreSQL's own types, by OID and name.
type Type = (u32, &'static str);
const BOOL: Type = (16, "boolean");
const INT8: Type = (20, "bigint");
const TEXT: Type = (25, "text");
const FLOAT8: Type = (701, "double precision");
const DATE: Type = (1082, "date");
const UUID: Type = (2950, "uuid");
/// Of a hash's key.
const UNKNOWN: Type = (0, "unknown");

/// The functions that nearly every report needs; an aggregate of the same name in the servers would be told by them.
const AGGREGATES: [&str; 5] = ["avg", "count", "max", "min", "sum"];

/// The configured tables.
pub(super) fn catalog(topology: &Topology) -> Catalog {
    let relations = topology.tables.iter().map(|rule| (rule.name.clone(), relation(rule))).collect();
    let aggregate = FunctionInfo {
        volatility: Volatility::Immutable,
        kind: FunctionKind::Aggregate,
        returns_set: false,
        built_in: true,
        takes_rows: false,
    };
    let functions = AGGREGATES.map(|name| (ObjectName::qualified("pg_catalog", name), aggregate)).into();
    Catalog { loaded: true, relations, functions, ..Catalog::default() }
}

/// What a reader of the plans must know.
pub(super) fn notes(topology: &Topology) -> Vec<String> {
    let mut notes = vec![
        "without catalogs, only the configured tables and the columns that place their rows are known: other names count as \
         tables of the default shard, and functions are not known but count, sum, avg, min and max"
            .to_owned(),
    ];
    let hashed = topology.tables.iter().filter(|rule| matches!(rule.placement, Placement::Hash(_)));
    let hashed: Vec<String> = hashed.map(|rule| rule.name.to_string()).collect();
    if !hashed.is_empty() {
        let tables = hashed.join(", ");
        notes.push(format!("the types of hashed keys are in the catalogs only: nothing narrows {tables}"));
    }
    notes
}

/// Why the file is not enough to plan the statement.
pub(super) fn obstacle(kind: &Kind, planning: &PlanningContext) -> Option<String> {
    let Kind::Insert(insert) = kind else { return None };
    let relation = planning.catalog.resolve(&insert.target.name, &planning.search_path)?;
    let rule = planning.topology.rule(&relation.name).filter(|rule| rule.is_sharded())?;
    if matches!(rule.placement, Placement::Hash(_)) {
        return Some(format!(
            "the shard of a row of {} depends on its key's type, which is in the catalogs only",
            rule.name
        ));
    }
    let is_listed = insert.columns.is_some() || insert.source == InsertSource::DefaultValues;
    (!is_listed).then(|| {
        format!("INSERT into {} names no columns, and their order is in the catalogs only", rule.name)
    })
}

fn relation(rule: &TableRule) -> RelationInfo {
    let mut columns: Vec<Column> = rule.key().map(|key| column(key, key_type(rule))).into_iter().collect();
    if let Some(position) = &rule.position {
        let coordinates = position.latitude.iter().chain(&position.longitude);
        columns.extend(coordinates.map(|name| column(name, FLOAT8)));
        columns.extend(position.geohash.iter().map(|name| column(name, TEXT)));
    }
    RelationInfo { columns, ..RelationInfo::new(rule.name.clone(), RelationKind::Table) }
}

/// By the values that the file gives.
fn key_type(rule: &TableRule) -> Type {
    let example = match &rule.placement {
        Placement::Region { .. } => return TEXT,
        Placement::List(list) => list.values.keys().next(),
        Placement::Range(range) => {
            range.ranges.iter().find_map(|range| range.from.as_ref().or(range.to.as_ref()))
        }
        Placement::Hash(_) | Placement::Geo | Placement::Reference | Placement::Single(_) => None,
    };
    match example {
        Some(Key::Bool(_)) => BOOL,
        Some(Key::Integer(_)) => INT8,
        Some(Key::Text(_)) => TEXT,
        Some(Key::Date(_)) => DATE,
        Some(Key::Uuid(_)) => UUID,
        None => UNKNOWN,
    }
}

fn column(name: &str, (type_oid, type_name): Type) -> Column {
    let collation = if type_oid == TEXT.0 { Collation::Deterministic } else { Collation::None };
    Column { collation, ..Column::new(name, type_oid, type_name) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::sql::lexer::LexOptions;
    use crate::sql::parse::parse;

    const CONFIG: &str = r#"
        regions = [{ name = "east" }]
        shards = [{ name = "one", region = "east", nodes = ["a:5432"] }, { name = "two", region = "east", nodes = ["b:5432"] }]
        [[tables]]
        name = "orders"
        placement = "list"
        key = "country"
        values = { one = ["us"], two = ["de"] }
        [[tables]]
        name = "accounts"
        placement = "hash"
        key = "id"
    "#;

    #[test]
    fn what_only_the_catalogs_know_is_said() {
        let topology = Config::parse(CONFIG, "test.toml", Path::new(".")).unwrap().topology;
        assert!(notes(&topology)[1].ends_with("nothing narrows public.accounts"));
        let catalog = Arc::new(catalog(&topology));
        let search_path = Arc::from(["public".to_owned()]);
        let planning = PlanningContext { topology: Arc::new(topology), catalog, search_path };
        let asked = |sql: &str| obstacle(&parse(sql.as_bytes(), LexOptions::default()).facts.kind, &planning);
        assert_eq!(asked("INSERT INTO orders (id, country) VALUES (1, 'de')"), None);
        assert_eq!(asked("SELECT * FROM orders"), None);
        assert_eq!(asked("INSERT INTO elsewhere VALUES (1)"), None);
        let told = "INSERT into public.orders names no columns, and their order is in the catalogs only";
        assert_eq!(asked("INSERT INTO orders VALUES (1, 'de')").as_deref(), Some(told));
        let told =
            "the shard of a row of public.accounts depends on its key's type, which is in the catalogs only";
        assert_eq!(asked("INSERT INTO accounts (id) VALUES (1)").as_deref(), Some(told));
    }
}
