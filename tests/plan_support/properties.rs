//! The invariant of routing, tried on random rows and predicates: a row that satisfies the predicate lies on a bound
//! shard.
//!
//! A predicate is made as a tree, written as SQL, and read by the real lexer, parser and planner; the rows are tried in
//! Rust with three-valued logic. Rows are made only as a write would allow them, and lie where their rule puts them.

use std::fmt::Write;
use std::sync::Arc;

use meridian::geo::{Cell, Position};
use meridian::plan::Plan;
use meridian::plan::refusal::Refusal;
use meridian::sql::arguments::{Arguments, NoParameters};
use meridian::sql::lexer::LexOptions;
use meridian::sql::name::ObjectName;
use meridian::sql::parse::parse;
use meridian::sql::shape::{ShapeBuffers, shape};
use meridian::topology::{Key, Placement, RowPosition, ShardId, ShardSet, TableRule};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::Sample;

#[derive(Debug, Clone, PartialEq)]
pub enum Cellular {
    Null,
    Text(String),
    Integer(i64),
    Float(f64),
}

type Row = Vec<(&'static str, Cellular)>;

#[derive(Debug, Clone)]
enum Tree {
    Compare(&'static str, &'static str, Cellular),
    In(&'static str, Vec<Cellular>),
    Between(&'static str, Cellular, Cellular),
    Like(&'static str, String),
    IsNull(&'static str),
    Same(&'static str, &'static str),
    Constant(bool),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

const REGIONS: [&str; 5] = ["us-east", "us-west", "eu-central", "ap-south", "nowhere"];
const LATITUDES: [f64; 12] =
    [24.0, 50.0, 35.0, 72.0, -12.0, 38.0, 40.0, 45.5, 10.0, 60.0, 37.9999, 49.99999999];
const LONGITUDES: [f64; 12] =
    [-100.0, -65.0, -130.0, -12.0, 40.0, 60.0, 110.0, -99.9999, -74.0, 8.0, 72.9, -100.00000001];
const HASHES: [&str; 14] =
    ["d", "dr", "dr5", "9", "9q", "u", "u0", "te7", "t", "dr6", "e", "DR5", "z", "9qzzzzzzzzzz"];
const SIGNS: [&str; 5] = ["=", "<", "<=", ">", ">="];

fn some<T: Copy>(random: &mut SmallRng, from: &[T]) -> T {
    *from.choose(random).unwrap()
}

fn value_for(random: &mut SmallRng, column: &str) -> Cellular {
    if random.random_ratio(1, 25) {
        return Cellular::Null;
    }
    match column.rsplit('.').next().unwrap() {
        "region" => Cellular::Text(some(random, &REGIONS).to_owned()),
        "plan" => Cellular::Text(some(random, &["free", "trial", "pro", "team", "x", "t"]).to_owned()),
        "pickup_lat" | "latitude" => Cellular::Float(match random.random_ratio(1, 3) {
            true => random.random_range(-90.0..90.0),
            false => some(random, &LATITUDES),
        }),
        "pickup_lon" | "longitude" => Cellular::Float(match random.random_ratio(1, 3) {
            true => random.random_range(-180.0..180.0),
            false => some(random, &LONGITUDES),
        }),
        "pickup_geohash" | "geohash" => Cellular::Text(some(random, &HASHES).to_owned()),
        "account_id" => Cellular::Integer(random.random_range(-3..9)),
        "number" => Cellular::Integer(some(random, &[-1, 0, 1, 50, 99, 100, 101, 150, 199, 200])),
        _ => Cellular::Text(some(random, &["a", "b"]).to_owned()),
    }
}

fn tree(
    random: &mut SmallRng,
    columns: &[&'static str],
    same: &[(&'static str, &'static str)],
    depth: u32,
) -> Tree {
    let parts = |random: &mut SmallRng| {
        (0..random.random_range(2..4)).map(|_| tree(random, columns, same, depth - 1)).collect()
    };
    if depth > 0 {
        match random.random_range(0..6) {
            0 | 1 => return Tree::And(parts(random)),
            2 | 3 => return Tree::Or(parts(random)),
            4 if random.random_bool(0.5) => {
                return Tree::Not(Box::new(tree(random, columns, same, depth - 1)));
            }
            _ => {}
        }
    }
    if !same.is_empty() && random.random_ratio(1, 3) {
        let (one, other) = some(random, same);
        return Tree::Same(one, other);
    }
    let column = some(random, columns);
    match random.random_range(0..12) {
        0 => Tree::IsNull(column),
        1 => Tree::In(column, (0..random.random_range(1..4)).map(|_| value_for(random, column)).collect()),
        2 => Tree::Between(column, value_for(random, column), value_for(random, column)),
        3 => match value_for(random, column) {
            Cellular::Text(text) => {
                Tree::Like(column, text.chars().take(random.random_range(0..4)).collect::<String>() + "%")
            }
            _ => Tree::Constant(random.random_bool(0.5)),
        },
        _ => Tree::Compare(column, some(random, &SIGNS), value_for(random, column)),
    }
}

fn literal(value: &Cellular) -> String {
    match value {
        Cellular::Null => "NULL".to_owned(),
        Cellular::Text(text) => format!("'{text}'"),
        Cellular::Integer(number) => number.to_string(),
        Cellular::Float(number) => format!("{number}"),
    }
}

fn sql(tree: &Tree) -> String {
    let join = |parts: &[Tree], word: &str| {
        let parts: Vec<String> = parts.iter().map(|part| format!("({})", sql(part))).collect();
        parts.join(word)
    };
    match tree {
        Tree::Compare(column, sign, value) => format!("{column} {sign} {}", literal(value)),
        Tree::In(column, values) => {
            let values: Vec<String> = values.iter().map(literal).collect();
            format!("{column} IN ({})", values.join(", "))
        }
        Tree::Between(column, low, high) => {
            format!("{column} BETWEEN {} AND {}", literal(low), literal(high))
        }
        Tree::Like(column, pattern) => format!("{column} LIKE '{pattern}'"),
        Tree::IsNull(column) => format!("{column} IS NULL"),
        Tree::Same(one, other) => format!("{one} = {other}"),
        Tree::Constant(value) => value.to_string(),
        Tree::Not(inner) => format!("NOT ({})", sql(inner)),
        Tree::And(parts) => join(parts, " AND "),
        Tree::Or(parts) => join(parts, " OR "),
    }
}

fn get<'r>(row: &'r Row, column: &str) -> &'r Cellular {
    &row.iter().find(|(name, _)| *name == column).unwrap().1
}

fn compare(one: &Cellular, sign: &str, other: &Cellular) -> Option<bool> {
    let order = match (one, other) {
        (Cellular::Null, _) | (_, Cellular::Null) => return None,
        (Cellular::Text(a), Cellular::Text(b)) => a.cmp(b),
        (Cellular::Integer(a), Cellular::Integer(b)) => a.cmp(b),
        (Cellular::Float(a), Cellular::Float(b)) => a.partial_cmp(b).unwrap(),
        other => panic!("{other:?}"),
    };
    Some(match sign {
        "=" => order.is_eq(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn and(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    and(one.map(|v| !v), other.map(|v| !v)).map(|v| !v)
}

fn holds(tree: &Tree, row: &Row) -> Option<bool> {
    match tree {
        Tree::Compare(column, sign, value) => compare(get(row, column), sign, value),
        Tree::In(column, values) => {
            values.iter().map(|value| compare(get(row, column), "=", value)).fold(Some(false), or)
        }
        Tree::Between(column, low, high) => {
            and(compare(get(row, column), ">=", low), compare(get(row, column), "<=", high))
        }
        Tree::Like(column, pattern) => match get(row, column) {
            Cellular::Text(text) => Some(text.starts_with(pattern.trim_end_matches('%'))),
            _ => None,
        },
        Tree::IsNull(column) => Some(*get(row, column) == Cellular::Null),
        Tree::Same(one, other) => compare(get(row, one), "=", get(row, other)),
        Tree::Constant(value) => Some(*value),
        Tree::Not(inner) => holds(inner, row).map(|value| !value),
        Tree::And(parts) => parts.iter().map(|part| holds(part, row)).fold(Some(true), and),
        Tree::Or(parts) => parts.iter().map(|part| holds(part, row)).fold(Some(false), or),
    }
}

fn needed(sample: &Sample, statement: &str) -> ShardSet {
    let options = LexOptions::default();
    let mut buffers = ShapeBuffers::default();
    let literals = shape(statement.as_bytes(), options, &mut buffers).literals.to_vec();
    let parsed = parse(statement.as_bytes(), options);
    let several = || Refusal { code: "", sqlstate: "", message: String::new(), detail: None, hint: None };
    let plan = Plan::make(Arc::new(parsed.facts), &sample.context, &|_| Err(several()));
    let arguments = Arguments { text: statement.as_bytes(), literals: &literals, parameters: &NoParameters };
    plan.needed(&arguments).unwrap()
}

/// A table of the sample whose rows can be made.
struct Table {
    name: &'static str,
    key: Option<&'static str>,
    latitude: Option<&'static str>,
    longitude: Option<&'static str>,
    geohash: Option<&'static str>,
    other: &'static str,
}

const TABLES: [Table; 6] = [
    Table {
        name: "rides",
        key: Some("region"),
        latitude: Some("pickup_lat"),
        longitude: Some("pickup_lon"),
        geohash: Some("pickup_geohash"),
        other: "status",
    },
    Table {
        name: "driver_locations",
        key: None,
        latitude: Some("latitude"),
        longitude: Some("longitude"),
        geohash: Some("geohash"),
        other: "driver_id",
    },
    Table {
        name: "accounts",
        key: Some("account_id"),
        latitude: None,
        longitude: None,
        geohash: None,
        other: "owner",
    },
    Table {
        name: "tenants",
        key: Some("plan"),
        latitude: None,
        longitude: None,
        geohash: None,
        other: "name",
    },
    Table {
        name: "parts",
        key: Some("number"),
        latitude: None,
        longitude: None,
        geohash: None,
        other: "label",
    },
    Table {
        name: "archive",
        key: Some("region"),
        latitude: None,
        longitude: None,
        geohash: None,
        other: "body",
    },
];

impl Table {
    fn columns(&self) -> Vec<&'static str> {
        [self.key, self.latitude, self.longitude, self.geohash, Some(self.other)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn rule<'s>(&self, sample: &'s Sample) -> &'s TableRule {
        sample.context.topology.rule(&ObjectName::qualified("public", self.name)).unwrap()
    }

    /// A row that a write would allow, with its shard.
    fn row(&self, sample: &Sample, random: &mut SmallRng) -> (Row, ShardId) {
        let topology = &sample.context.topology;
        let rule = self.rule(sample);
        loop {
            let mut row: Row = self.columns().into_iter().map(|c| (c, value_for(random, c))).collect();
            self.agree(topology, random, &mut row);
            let key = self.key.and_then(|column| match get(&row, column) {
                Cellular::Text(text) => Some(Key::Text(text.as_str().into())),
                Cellular::Integer(number) => Some(Key::Integer(*number)),
                _ => None,
            });
            let float = |column: Option<&str>| match column.map(|c| get(&row, c)) {
                Some(Cellular::Float(number)) => Some(*number),
                _ => None,
            };
            let place = RowPosition {
                latitude: float(self.latitude),
                longitude: float(self.longitude),
                geohash: match self.geohash.map(|c| get(&row, c)) {
                    Some(Cellular::Text(text)) => Some(text),
                    _ => None,
                },
            };
            let placed = match rule.placement {
                Placement::Geo => rule.shard_of_position(topology, place),
                _ => rule
                    .shard_of_key(topology, key.as_ref())
                    .and_then(|shard| rule.check_position(topology, key.as_ref(), place).map(|()| shard)),
            };
            if let Ok(shard) = placed {
                return (row, shard);
            }
        }
    }

    /// Mostly makes geohash and region agree with the coordinates: otherwise most rows would be refused.
    fn agree(&self, topology: &meridian::topology::Topology, random: &mut SmallRng, row: &mut Row) {
        let (Some(latitude), Some(longitude)) = (self.latitude, self.longitude) else { return };
        let (Cellular::Float(lat), Cellular::Float(lon)) = (get(row, latitude), get(row, longitude)) else {
            return;
        };
        let position = Position::new(*lat, *lon).unwrap();
        let mut set = |column: Option<&'static str>, value: Cellular| {
            if let Some(column) = column {
                row.iter_mut().find(|(name, _)| *name == column).unwrap().1 = value;
            }
        };
        let hash = Cell::of(position, random.random_range(0..=12)).unwrap().to_string();
        set(self.geohash, if random.random_ratio(1, 5) { Cellular::Null } else { Cellular::Text(hash) });
        if let Some(owner) = topology.world.owner(position) {
            let region = &topology.regions[usize::from(owner.0)].name;
            set(self.key, Cellular::Text(region.clone()));
        }
    }
}

fn rounds() -> u64 {
    std::env::var("PLAN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

pub fn satisfying_rows_lie_on_bound_shards() {
    let sample = Sample::new();
    let (mut satisfied, mut narrow) = (0, 0);
    for seed in 0..rounds() {
        let mut random = SmallRng::seed_from_u64(seed);
        for table in &TABLES {
            let rows: Vec<(Row, ShardId)> = (0..30).map(|_| table.row(&sample, &mut random)).collect();
            for _ in 0..5 {
                let tree = tree(&mut random, &table.columns(), &[], 3);
                let statement = format!("SELECT * FROM {} WHERE {}", table.name, sql(&tree));
                let shards = needed(&sample, &statement);
                narrow += u32::from(shards.len() < 4);
                for (row, shard) in &rows {
                    if holds(&tree, row) == Some(true) {
                        satisfied += 1;
                        assert!(
                            shards.contains(*shard),
                            "seed {seed}: {statement}\n{row:?} lies on {shard:?}"
                        );
                    }
                }
            }
        }
    }
    assert!(satisfied > 1000 && narrow > 200, "{satisfied} rows, {narrow} routes: the trees say too little");
}

pub fn joined_rows_lie_on_bound_shards() {
    let sample = Sample::new();
    let rides = &TABLES[0];
    let archive = &TABLES[5];
    const COLUMNS: [&str; 6] = ["a.region", "a.pickup_lat", "a.pickup_lon", "a.status", "b.region", "b.body"];
    const SAME: [(&str, &str); 3] =
        [("a.region", "b.region"), ("b.region", "a.region"), ("a.status", "b.body")];
    let mut satisfied = 0;
    for seed in 0..rounds() {
        let mut random = SmallRng::seed_from_u64(seed);
        let left: Vec<_> = (0..12).map(|_| rides.row(&sample, &mut random)).collect();
        let right: Vec<_> = (0..12).map(|_| archive.row(&sample, &mut random)).collect();
        for _ in 0..10 {
            let tree = tree(&mut random, &COLUMNS, &SAME, 3);
            let mut statement = String::new();
            write!(statement, "SELECT * FROM rides a, archive b WHERE {}", sql(&tree)).unwrap();
            let shards = needed(&sample, &statement);
            for ((one, here), (other, there)) in left.iter().flat_map(|l| right.iter().map(move |r| (l, r))) {
                let named = |row: &Row, alias: &str| -> Vec<(String, Cellular)> {
                    row.iter().map(|(name, value)| (format!("{alias}.{name}"), value.clone())).collect()
                };
                let both: Vec<(String, Cellular)> = [named(one, "a"), named(other, "b")].concat();
                let row: Row = COLUMNS
                    .iter()
                    .map(|c| (*c, both.iter().find(|(name, _)| name == c).unwrap().1.clone()))
                    .collect();
                if holds(&tree, &row) == Some(true) {
                    satisfied += 1;
                    let bound = shards.contains(*here) && shards.contains(*there);
                    assert!(bound, "seed {seed}: {statement}\n{row:?} lie on {here:?} and {there:?}");
                }
            }
        }
    }
    assert!(satisfied > 1000, "{satisfied} pairs: the trees say too little");
}
