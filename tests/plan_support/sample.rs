//! The topology and catalog of the plan cases, read from `tests/cases/plan/sample.toml` and `sample.catalog`.
//!
//! Used by the plan cases and by the fuzz targets that plan.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use meridian::catalog::{
    Catalog, Collation, Column, FunctionInfo, FunctionKind, RelationInfo, RelationKind, Volatility, WireType,
};
use meridian::config::Config;
use meridian::plan::PlanningContext;
use meridian::sql::name::ObjectName;

/// PostgreSQL's newest major version that is supported.
const NEWEST: u32 = 18;

pub struct Sample {
    pub context: PlanningContext,
}

impl Sample {
    pub fn new() -> Self {
        Self::of_servers(NEWEST)
    }

    /// The same on servers of this major version.
    pub fn of_servers(major: u32) -> Self {
        let configuration = include_str!("../cases/plan/sample.toml");
        let config = Config::parse(configuration, "sample.toml", Path::new("/")).unwrap();
        let context = PlanningContext {
            topology: Arc::new(config.topology),
            catalog: Arc::new(catalog(include_str!("../cases/plan/sample.catalog"), major)),
            search_path: Arc::from(["public".to_owned()]),
        };
        Self { context }
    }
}

fn name(text: &str) -> ObjectName {
    let (schema, name) = text.split_once('.').unwrap();
    ObjectName::qualified(schema, name)
}

fn names(text: &str) -> Vec<ObjectName> {
    text.split(',').map(name).collect()
}

fn catalog(text: &str, major: u32) -> Catalog {
    let server_version = major * 10_000;
    let mut catalog = Catalog { version: 1, loaded: true, server_version, ..Catalog::default() };
    let mut current: Option<ObjectName> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        if line.starts_with("  ") {
            let relation = catalog.relations.get_mut(current.as_ref().unwrap()).unwrap();
            relation.columns.push(column(&mut words));
            continue;
        }
        let kind = words.next().unwrap();
        let object = name(words.next().unwrap());
        if kind == "function" {
            let words: Vec<&str> = words.collect();
            if let Some(at) = words.iter().position(|word| *word == "body") {
                let body = words[at + 1..].iter().map(|word| (*word).to_owned()).collect();
                catalog.function_words.insert(object.clone(), body);
            }
            catalog.functions.insert(object, function(&words));
            continue;
        }
        let relation = relation(kind, object.clone(), &words.collect::<Vec<_>>());
        catalog.relations.insert(object.clone(), relation);
        current = Some(object);
    }
    let parents: Vec<(ObjectName, ObjectName)> = catalog
        .relations
        .values()
        .flat_map(|child| child.parents.iter().map(|parent| (parent.clone(), child.name.clone())))
        .collect();
    for (parent, child) in parents {
        catalog.relations.get_mut(&parent).unwrap().children.push(child);
    }
    catalog
}

fn function(words: &[&str]) -> FunctionInfo {
    FunctionInfo {
        volatility: match words[0] {
            "immutable" => Volatility::Immutable,
            "stable" => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        kind: match words.last() {
            Some(&"aggregate") => FunctionKind::Aggregate,
            Some(&"window") => FunctionKind::Window,
            _ => FunctionKind::Function,
        },
        returns_set: words.contains(&"set"),
        built_in: words.contains(&"builtin"),
        takes_rows: words.contains(&"rows"),
    }
}

fn relation(kind: &str, object: ObjectName, words: &[&str]) -> RelationInfo {
    let value = |key: &str| words.iter().position(|w| *w == key).map(|i| words[i + 1]);
    let list = |key: &str| value(key).map(names).unwrap_or_default();
    let unique: Vec<Vec<String>> =
        value("unique").map(|set| set.split(',').map(str::to_owned).collect()).into_iter().collect();
    let kind = match kind {
        "table" => RelationKind::Table,
        "partitioned" => RelationKind::PartitionedTable,
        "view" => RelationKind::View,
        "matview" => RelationKind::MaterializedView,
        other => panic!("{other}"),
    };
    RelationInfo {
        reads: list("reads"),
        calls: list("calls"),
        write_calls: list("fires"),
        parents: list("parent"),
        triggers: list("triggers"),
        has_rules: words.contains(&"rules"),
        conflict_sets: unique.clone(),
        unique_sets: unique,
        ..RelationInfo::new(object, kind)
    }
}

fn column(words: &mut std::str::SplitWhitespace<'_>) -> Column {
    let name = words.next().unwrap().to_owned();
    let written = words.next().unwrap();
    let (type_name, length) = match written.split_once('(') {
        Some((base, length)) => (base, length.trim_end_matches(')').parse::<i32>().unwrap() + 4),
        None => (written, -1),
    };
    let types: HashMap<&str, u32> = HashMap::from([
        ("bool", 16),
        ("int8", 20),
        ("int2", 21),
        ("int4", 23),
        ("text", 25),
        ("float8", 701),
        ("char", 1042),
        ("varchar", 1043),
        ("date", 1082),
        ("timestamp", 1114),
        ("numeric", 1700),
        ("uuid", 2950),
    ]);
    let type_oid = types[type_name];
    let rest: Vec<&str> = words.collect();
    let after = |key: &str| rest.iter().position(|w| *w == key).map(|i| rest[i + 1..].join(" "));
    let textual = matches!(type_oid, 25 | 1042 | 1043);
    Column {
        name,
        type_oid,
        type_name: written.to_owned(),
        type_modifier: length,
        wire_type: WireType { oid: type_oid, modifier: length },
        collation: match after("collation").as_deref() {
            Some("bytes") => Collation::Bytes,
            Some(_) => Collation::Nondeterministic,
            None if textual => Collation::Deterministic,
            None => Collation::None,
        },
        collation_name: None,
        not_null: rest.contains(&"notnull"),
        default: after("default").or(after("volatile")).or(after("stable")),
        volatile_default: rest.contains(&"volatile") || rest.iter().any(|w| w.starts_with("nextval")),
        stable_default: rest.contains(&"stable"),
        generated: rest.contains(&"generated"),
        identity: rest.contains(&"identity"),
    }
}
