//! Where the shards' catalogs disagree, in words for an operator.
//!
//! Called after all shards were loaded; the findings are logged at start, kept in `Catalog::drift` and shown by the
//! console. Definitions are compared by name and by what a query can see: columns, types, defaults, collations and
//! their versions, unique constraints, enums, functions. Oids may differ.
//!
//! Invariant: shards that agree give no finding, in whatever order their objects were made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::parts::CatalogParts;
use super::snapshot::{Column, RelationInfo, RelationKind};
use crate::sql::name::ObjectName;

/// Findings that are kept; a shard that was never set up differs in everything.
const FINDINGS_MAX: usize = 1000;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The table, view, type or function; None: the database as a whole.
    pub object: Option<ObjectName>,
    /// `table public.rides: column price is numeric(10,2) on us-east and double precision on ap-south`
    pub message: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

type Shards<'a> = [(&'a str, &'a CatalogParts)];

/// What differs between the shards, each with its name; sorted by object, at most a thousand findings.
pub fn compare(shards: &Shards<'_>) -> Vec<Drift> {
    let mut found = Vec::new();
    let mut whole = |what: &str, value: &dyn Fn(&CatalogParts) -> String| {
        let values = shards.iter().map(|(name, parts)| (*name, value(parts)));
        if let Some(difference) = difference(values) {
            found.push(Drift { object: None, message: format!("database: {what} {difference}") });
        }
    };
    whole("encoding", &|parts| parts.server_encoding.clone());
    whole("collation", &|parts| parts.database_locale.clone());
    whole("set of locales (lc_monetary, lc_numeric, lc_time, default_text_search_config)", &|parts| {
        parts.value_locales.clone()
    });
    relations(shards, &mut found);
    enums(shards, &mut found);
    functions(shards, &mut found);
    found.truncate(FINDINGS_MAX);
    found
}

/// `is X on a, b and Y on c`; None where all agree.
fn difference<'a>(values: impl Iterator<Item = (&'a str, String)>) -> Option<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (shard, value) in values {
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, shards)) => shards.push(shard),
            None => groups.push((value, vec![shard])),
        }
    }
    if groups.len() < 2 {
        return None;
    }
    let groups: Vec<_> =
        groups.into_iter().map(|(value, shards)| format!("{value} on {}", shards.join(", "))).collect();
    Some(format!("is {}", groups.join(" and ")))
}

fn is_user(name: &ObjectName) -> bool {
    // Our own records are made shard by shard, by the control plane.
    !matches!(name.schema.as_deref(), Some("pg_catalog" | "information_schema" | "meridian_internal"))
}

fn relations(shards: &Shards<'_>, found: &mut Vec<Drift>) {
    let names: BTreeSet<&ObjectName> = shards
        .iter()
        .flat_map(|(_, parts)| parts.relations.values())
        .filter(|relation| relation.kind != RelationKind::Sequence)
        .map(|relation| &relation.name)
        .filter(|name| is_user(name))
        .collect();
    for name in names {
        let each: Vec<(&str, &CatalogParts, Option<&RelationInfo>)> =
            shards.iter().map(|(shard, parts)| (*shard, *parts, parts.relations.get(name))).collect();
        let mut report = |message: String| {
            found.push(Drift { object: Some(name.clone()), message: format!("table {name}: {message}") });
        };
        let missing: Vec<&str> =
            each.iter().filter(|(.., relation)| relation.is_none()).map(|(shard, ..)| *shard).collect();
        if !missing.is_empty() {
            report(format!("is missing on {}", missing.join(", ")));
        }
        let present: Vec<(&str, &CatalogParts, &RelationInfo)> =
            each.into_iter().filter_map(|(shard, parts, relation)| Some((shard, parts, relation?))).collect();
        columns(&present, &mut report);
        of_whole_table(&present, &mut report);
    }
}

fn of_whole_table(present: &[(&str, &CatalogParts, &RelationInfo)], report: &mut impl FnMut(String)) {
    type Property = fn(&RelationInfo) -> String;
    let properties: [(&str, Property); 5] = [
        ("kind", |relation| format!("{:?}", relation.kind)),
        ("order of columns", |relation| {
            relation.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
        }),
        ("set of unique constraints", |relation| {
            let mut sets: Vec<_> =
                relation.unique_sets.iter().map(|set| format!("({})", set.join(", "))).collect();
            sets.sort();
            if sets.is_empty() { "empty".to_owned() } else { sets.join(" ") }
        }),
        ("row security", |relation| (if relation.row_security { "enabled" } else { "disabled" }).to_owned()),
        ("set of triggers", |relation| {
            (if relation.triggers.is_empty() { "empty" } else { "not empty" }).to_owned()
        }),
    ];
    for (what, property) in properties {
        // Where columns are missing the order differs too: that is said already.
        if what == "order of columns" && !same_columns(present) {
            continue;
        }
        let values = present.iter().map(|(shard, _, relation)| (*shard, property(relation)));
        if let Some(difference) = difference(values) {
            report(format!("{what} {difference}"));
        }
    }
}

fn same_columns(present: &[(&str, &CatalogParts, &RelationInfo)]) -> bool {
    let names = |relation: &RelationInfo| -> BTreeSet<String> {
        relation.columns.iter().map(|column| column.name.clone()).collect()
    };
    present.windows(2).all(|pair| names(pair[0].2) == names(pair[1].2))
}

fn columns(present: &[(&str, &CatalogParts, &RelationInfo)], report: &mut impl FnMut(String)) {
    let mut names: Vec<&str> = Vec::new();
    for (.., relation) in present {
        for column in &relation.columns {
            if !names.contains(&column.name.as_str()) {
                names.push(&column.name);
            }
        }
    }
    for name in names {
        let each: Vec<(&str, &CatalogParts, &RelationInfo, Option<&Column>)> = present
            .iter()
            .map(|(shard, parts, relation)| {
                (*shard, *parts, *relation, relation.columns.iter().find(|column| column.name == name))
            })
            .collect();
        let missing: Vec<&str> =
            each.iter().filter(|(.., column)| column.is_none()).map(|(shard, ..)| *shard).collect();
        if !missing.is_empty() {
            report(format!("column {name} is missing on {}", missing.join(", ")));
        }
        let found = |value: &dyn Fn(&CatalogParts, &RelationInfo, &Column) -> String| {
            let values = each.iter().filter_map(|(shard, parts, relation, column)| {
                Some((*shard, value(parts, relation, (*column)?)))
            });
            difference(values)
        };
        if let Some(difference) = found(&|_, _, column| column.type_name.clone()) {
            report(format!("column {name} {difference}"));
        }
        let nullability = |column: &Column| if column.not_null { "not null" } else { "nullable" };
        if let Some(difference) = found(&|_, _, column| nullability(column).to_owned()) {
            report(format!("column {name} {difference}"));
        }
        let default = |column: &Column| column.default.clone().unwrap_or_else(|| "absent".to_owned());
        if let Some(difference) = found(&|_, _, column| default(column)) {
            report(format!("default of column {name} {difference}"));
        }
        let collation = |parts: &CatalogParts, relation: &RelationInfo, column: &Column| {
            let key = (relation.name.clone(), column.name.clone());
            parts.collations.get(&key).cloned().unwrap_or_else(|| "the database's".to_owned())
        };
        if let Some(difference) = found(&collation) {
            report(format!("collation of column {name} {difference}"));
        }
    }
}

fn enums(shards: &Shards<'_>, found: &mut Vec<Drift>) {
    let names: BTreeSet<&ObjectName> = shards.iter().flat_map(|(_, parts)| parts.enums.keys()).collect();
    for name in names {
        let values = shards.iter().map(|(shard, parts)| {
            let labels = parts.enums.get(name).map(|labels| format!("({})", labels.join(", ")));
            (*shard, labels.unwrap_or_else(|| "missing".to_owned()))
        });
        if let Some(difference) = difference(values) {
            found.push(Drift { object: Some(name.clone()), message: format!("type {name} {difference}") });
        }
    }
}

fn functions(shards: &Shards<'_>, found: &mut Vec<Drift>) {
    let mut each: BTreeMap<&ObjectName, Vec<(&str, String)>> = BTreeMap::new();
    let names: BTreeSet<&ObjectName> =
        shards.iter().flat_map(|(_, parts)| parts.functions.keys()).filter(|name| is_user(name)).collect();
    for (shard, parts) in shards {
        for name in &names {
            let value = match parts.functions.get(*name) {
                Some(info) => format!("{:?}", info.volatility).to_lowercase(),
                None => "missing".to_owned(),
            };
            each.entry(name).or_default().push((shard, value));
        }
    }
    for (name, values) in each {
        if let Some(difference) = difference(values.into_iter()) {
            found
                .push(Drift { object: Some(name.clone()), message: format!("function {name} {difference}") });
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn column(name: &str, type_name: &str) -> Column {
        Column::new(name, 1, type_name)
    }

    pub fn parts(columns: Vec<Column>) -> CatalogParts {
        let name = ObjectName::qualified("public", "rides");
        let relation = RelationInfo { columns, ..RelationInfo::new(name.clone(), RelationKind::Table) };
        CatalogParts { relations: [(name, relation)].into_iter().collect(), ..CatalogParts::default() }
    }

    fn messages(shards: &Shards<'_>) -> Vec<String> {
        compare(shards).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn shards_that_agree_have_no_drift() {
        let one = parts(vec![column("price", "numeric(10,2)")]);
        assert_eq!(messages(&[("us-east", &one), ("us-west", &one)]), Vec::<String>::new());
    }

    #[test]
    fn types_that_differ_name_table_column_and_shards() {
        let one = parts(vec![column("price", "numeric(10,2)")]);
        let other = parts(vec![column("price", "double precision")]);
        assert_eq!(
            messages(&[("us-east", &one), ("us-west", &one), ("ap-south", &other)]),
            ["table public.rides: column price is numeric(10,2) on us-east, us-west \
                 and double precision on ap-south"]
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let one = parts(vec![column("a", "integer"), column("b", "integer")]);
        let less = parts(vec![column("a", "integer")]);
        let none = CatalogParts::default();
        assert_eq!(
            messages(&[("x", &one), ("y", &less), ("z", &none)]),
            ["table public.rides: is missing on z", "table public.rides: column b is missing on y"]
        );
        let turned = parts(vec![column("b", "integer"), column("a", "integer")]);
        assert_eq!(
            messages(&[("x", &one), ("y", &turned)]),
            ["table public.rides: order of columns is a, b on x and b, a on y"]
        );
    }
}
