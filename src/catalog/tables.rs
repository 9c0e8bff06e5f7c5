//! The configuration's tables against the catalog: do they exist, can their keys be keys.
//!
//! Called at start, after reloads and after DDL. A table that is missing is only a warning, since it may be created
//! later; a column that cannot serve is an error: statements on that table are refused until it is put right.

use super::snapshot::{Catalog, Collation, Column, RelationInfo, RelationKind};
use crate::topology::{Key, KeyType, Placement, TableRule, Topology};

/// Type OIDs that are the same in every server.
mod oid {
    pub const BOOL: u32 = 16;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const FLOAT8: u32 = 701;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const UUID: u32 = 2950;
}

/// Bytes that a type modifier of varchar and char counts for the header.
const VARLENA_HEADER: i32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing, and usual: a uuid's uniqueness is not checked over all shards.
    Notice,
    Warning,
    /// Statements on the table are refused.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFinding {
    pub table: crate::sql::name::ObjectName,
    pub severity: Severity,
    /// As `table public.rides: key column "region" does not exist`.
    pub message: String,
}

impl Catalog {
    /// The key type of a column; None: no such column, or its type cannot be a key.
    ///
    /// Types of users, domains too, are no keys: their equality is not known.
    pub fn key_type(&self, relation: &RelationInfo, column: &str) -> Option<KeyType> {
        key_type(relation.columns.iter().find(|candidate| candidate.name == column)?)
    }
}

fn key_type(column: &Column) -> Option<KeyType> {
    if column.collation == Collation::Nondeterministic {
        return None;
    }
    Some(match column.type_oid {
        oid::INT2 => KeyType::SmallInt,
        oid::INT4 => KeyType::Integer,
        oid::INT8 => KeyType::BigInt,
        oid::TEXT => KeyType::Text,
        oid::VARCHAR => match u32::try_from(column.type_modifier.saturating_sub(VARLENA_HEADER)) {
            Ok(length) => KeyType::Varchar(length),
            Err(_) => KeyType::Text,
        },
        oid::BPCHAR => KeyType::Char,
        oid::UUID => KeyType::Uuid,
        oid::BOOL => KeyType::Bool,
        oid::DATE => KeyType::Date,
        _ => return None,
    })
}

/// What is wrong or doubtful with the configured tables.
pub fn check_tables(topology: &Topology, catalog: &Catalog) -> Vec<TableFinding> {
    let mut findings = Vec::new();
    for rule in &topology.tables {
        let mut report = |severity, message: String| {
            let message = format!("table {}: {message}", rule.name);
            findings.push(TableFinding { table: rule.name.clone(), severity, message });
        };
        match catalog.relations.get(&rule.name) {
            None => report(Severity::Warning, "does not exist yet".to_owned()),
            Some(relation)
                if !matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable) =>
            {
                report(Severity::Error, format!("is no table but a {:?}", relation.kind).to_lowercase());
            }
            Some(relation) => check_table(rule, relation, &mut report),
        }
    }
    findings
}

fn check_table(rule: &TableRule, relation: &RelationInfo, report: &mut impl FnMut(Severity, String)) {
    check_key(rule, relation, report);
    check_position(rule, relation, report);
    if !rule.is_sharded() {
        return;
    }
    let key: Vec<&str> = match (rule.key(), &rule.position) {
        (Some(key), _) => vec![key],
        (None, Some(columns)) => [&columns.latitude, &columns.longitude, &columns.geohash]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect(),
        (None, None) => Vec::new(),
    };
    for set in &relation.unique_sets {
        if !key.iter().any(|column| set.iter().any(|member| member == column)) {
            let message = format!("unique ({}) holds in each shard only", set.join(", "));
            let is_uuid =
                |name: &String| relation.columns.iter().any(|c| c.name == *name && c.type_oid == oid::UUID);
            report(if set.iter().any(is_uuid) { Severity::Notice } else { Severity::Warning }, message);
        }
    }
    if relation.has_rules {
        report(Severity::Error, "has rules, which a sharded table cannot have".to_owned());
    }
    if !relation.parents.is_empty() {
        report(
            Severity::Warning,
            "is a partition or an heir; its parent should be placed instead".to_owned(),
        );
    }
}

fn check_key(rule: &TableRule, relation: &RelationInfo, report: &mut impl FnMut(Severity, String)) {
    let Some(key) = rule.key() else { return };
    let Some(column) = relation.columns.iter().find(|column| column.name == key) else {
        return report(Severity::Error, format!("key column \"{key}\" does not exist"));
    };
    let Some(key_type) = key_type(column) else {
        let collation = match column.collation {
            Collation::Nondeterministic => " under a nondeterministic collation",
            Collation::None | Collation::Bytes | Collation::Deterministic => "",
        };
        let message = format!("column \"{key}\" of type {}{collation} cannot be a key", column.type_name);
        return report(Severity::Error, message);
    };
    let example = match &rule.placement {
        Placement::Region { .. } => Some(Key::Text("".into())),
        Placement::List(list) => list.values.keys().next().cloned(),
        Placement::Range(range) => {
            range.ranges.iter().find_map(|range| range.from.clone().or_else(|| range.to.clone()))
        }
        Placement::Hash(_) | Placement::Geo | Placement::Reference | Placement::Single(_) => None,
    };
    if let Some(example) = example.filter(|example| !key_type.holds(example)) {
        let kind = match example {
            Key::Integer(_) => "integer",
            Key::Text(_) => "text",
            Key::Uuid(_) => "uuid",
            Key::Bool(_) => "boolean",
            Key::Date(_) => "date",
        };
        let message = format!("column \"{key}\" is {}, its placement needs {kind}", column.type_name);
        report(Severity::Error, message);
    }
    if column.generated || column.identity {
        let message = format!("key column \"{key}\" is generated, so a row's shard is not known beforehand");
        report(Severity::Error, message);
    }
    if matches!(rule.placement, Placement::Hash(_)) && column.volatile_default {
        let message = format!("key column \"{key}\" has a volatile default; rows must give the key");
        report(Severity::Warning, message);
    }
}

fn check_position(rule: &TableRule, relation: &RelationInfo, report: &mut impl FnMut(Severity, String)) {
    let Some(position) = &rule.position else { return };
    let named = [
        ("latitude", &position.latitude, &[oid::FLOAT8][..], "double precision"),
        ("longitude", &position.longitude, &[oid::FLOAT8], "double precision"),
        ("geohash", &position.geohash, &[oid::TEXT, oid::VARCHAR, oid::BPCHAR], "text, varchar or char"),
    ];
    for (what, name, types, wanted) in named {
        let Some(name) = name else { continue };
        match relation.columns.iter().find(|column| column.name == *name) {
            None => report(Severity::Error, format!("{what} column \"{name}\" does not exist")),
            Some(column) if !types.contains(&column.type_oid) => {
                let message =
                    format!("{what} column \"{name}\" is {}, it must be {wanted}", column.type_name);
                report(Severity::Error, message);
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::catalog::{CatalogParts, drift};
    use crate::config::Config;
    use crate::sql::name::ObjectName;

    const CONFIG: &str = r#"
        regions = [{ name = "east" }]
        shards = [{ name = "one", region = "east", nodes = ["a:5432"] }]
        [[tables]]
        name = "rides"
        placement = "region"
        key = "region"
        position = { latitude = "lat", longitude = "lon" }
        [[tables]]
        name = "missing"
        placement = "reference"
    "#;

    fn column(name: &str, type_oid: u32, type_modifier: i32) -> Column {
        Column { type_oid, type_modifier, ..drift::tests::column(name, "some type") }
    }

    /// What is found when `rides` has these columns.
    fn findings(columns: Vec<Column>, unique_sets: Vec<Vec<String>>) -> Vec<(Severity, String)> {
        let config = Config::parse(CONFIG, "test.toml", Path::new(".")).unwrap();
        let mut parts: CatalogParts = drift::tests::parts(columns);
        let name = ObjectName::qualified("public", "rides");
        parts.relations.get_mut(&name).unwrap().unique_sets = unique_sets;
        let found = check_tables(&config.topology, &parts.into_catalog(1, &[]));
        let rides = found.into_iter().filter(|finding| finding.table == name);
        rides.map(|finding| (finding.severity, finding.message)).collect()
    }

    fn good() -> Vec<Column> {
        vec![
            column("region", 1043, 54),
            column("lat", 701, -1),
            column("lon", 701, -1),
            column("id", 2950, -1),
        ]
    }

    #[test]
    fn a_good_table_has_no_finding() {
        assert_eq!(findings(good(), vec![vec!["id".into(), "region".into()]]), []);
    }

    #[test]
    fn a_missing_table_is_a_warning() {
        let config = Config::parse(CONFIG, "test.toml", Path::new(".")).unwrap();
        let found = check_tables(&config.topology, &CatalogParts::default().into_catalog(1, &[]));
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].message, "table public.missing: does not exist yet");
        assert!(found.iter().all(|finding| finding.severity == Severity::Warning));
    }

    #[test]
    fn columns_that_cannot_serve_are_errors() {
        let mut columns = good();
        columns[0].type_oid = 23;
        columns[1].type_oid = 700;
        columns.remove(2);
        let found = findings(columns, Vec::new());
        let expected = [
            "table public.rides: column \"region\" is some type, its placement needs text",
            "table public.rides: latitude column \"lat\" is some type, it must be double precision",
            "table public.rides: longitude column \"lon\" does not exist",
        ];
        assert_eq!(found, expected.map(|message| (Severity::Error, message.to_owned())));
        let mut columns = good();
        columns[0].collation = Collation::Nondeterministic;
        assert!(
            findings(columns, Vec::new())[0].1.contains("under a nondeterministic collation cannot be a key")
        );
    }

    #[test]
    fn uniqueness_without_the_key_is_said_to_be_partial() {
        let found = findings(good(), vec![vec!["id".into()], vec!["lat".into()]]);
        assert_eq!(
            found[0],
            (Severity::Notice, "table public.rides: unique (id) holds in each shard only".into())
        );
        assert_eq!(found[1].0, Severity::Warning);
    }

    #[test]
    fn key_types_know_their_length() {
        assert_eq!(key_type(&column("a", 1043, 54)), Some(KeyType::Varchar(50)));
        assert_eq!(key_type(&column("a", 1043, -1)), Some(KeyType::Text));
        assert_eq!(key_type(&column("a", 701, -1)), None);
        assert_eq!(key_type(&column("a", 20_000, -1)), None);
    }
}
