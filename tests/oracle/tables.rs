//! The tables that queries are made over: one of every placement, full of what is easily got wrong.
//!
//! Rows are drawn from the columns' values by a seed of their own, so that they are the same for every run. The values
//! of a column are also what predicates compare it with.
//!
//! Invariants:
//! 1. `unique` names columns whose values together are no row's but one.
//! 2. Arithmetic on a column that is not `wild` does not fail: its numbers are small.

use crate::random::Random;

const DATA_SEED: u64 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Bool,
    Small,
    Int,
    Big,
    Num,
    Float,
    Real,
    Text,
    Char,
    Date,
    Stamp,
    Zoned,
    Interval,
    Uuid,
    Bytes,
    Json,
    Ints,
    Texts,
    Range,
    Mood,
}

impl Type {
    pub const ALL: [Self; 20] = [
        Self::Bool,
        Self::Small,
        Self::Int,
        Self::Big,
        Self::Num,
        Self::Float,
        Self::Real,
        Self::Text,
        Self::Char,
        Self::Date,
        Self::Stamp,
        Self::Zoned,
        Self::Interval,
        Self::Uuid,
        Self::Bytes,
        Self::Json,
        Self::Ints,
        Self::Texts,
        Self::Range,
        Self::Mood,
    ];

    /// Its name in a cast.
    pub fn cast(self) -> &'static str {
        match self {
            Self::Bool => "::boolean",
            Self::Small => "::smallint",
            Self::Int => "::int",
            Self::Big => "::bigint",
            Self::Num => "::numeric",
            Self::Float => "::float8",
            Self::Real => "::real",
            Self::Text => "::text",
            Self::Char => "::char(6)",
            Self::Date => "::date",
            Self::Stamp => "::timestamp",
            Self::Zoned => "::timestamptz",
            Self::Interval => "::interval",
            Self::Uuid => "::uuid",
            Self::Bytes => "::bytea",
            Self::Json => "::jsonb",
            Self::Ints => "::int[]",
            Self::Texts => "::text[]",
            Self::Range => "::int4range",
            Self::Mood => "::mood",
        }
    }

    pub fn is_integer(self) -> bool {
        matches!(self, Self::Small | Self::Int | Self::Big)
    }

    pub fn is_number(self) -> bool {
        self.is_integer() || matches!(self, Self::Num | Self::Float | Self::Real)
    }

    /// Values that are equal may look different: -0 and 0, 1.0 and 1.00, one month and 30 days.
    pub fn has_lookalikes(self) -> bool {
        matches!(self, Self::Num | Self::Float | Self::Real | Self::Char | Self::Interval | Self::Json)
    }
}

/// Where a column's values come from.
#[derive(Debug, Clone, Copy)]
pub enum Fill {
    /// The row's number.
    Number,
    /// One after the other.
    Each,
    Any,
}

#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub ty: Type,
    pub definition: &'static str,
    pub fill: Fill,
    pub values: &'static [&'static str],
    /// Extremes: compared, ordered, grouped and counted, but not computed with.
    pub is_wild: bool,
    /// Under another collation than the others.
    pub is_collated: bool,
}

#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    /// The rest of the section in the configuration, from `placement`; empty: not configured.
    pub placement: &'static str,
    pub key: &'static [&'static str],
    pub unique: &'static [&'static str],
    pub rows: usize,
    pub columns: Vec<Column>,
    /// Tables whose rows with an equal key are on the same shard.
    pub partners: &'static [&'static str],
    /// How it is made, where that is not by its columns.
    pub made_by: &'static [&'static str],
}

impl Table {
    pub fn is_reference(&self) -> bool {
        self.placement.contains("reference")
    }

    pub fn create(&self) -> Vec<String> {
        if !self.made_by.is_empty() {
            return self.made_by.iter().map(|text| (*text).to_owned()).collect();
        }
        let columns: Vec<_> = self.columns.iter().map(|c| format!("{} {}", c.name, c.definition)).collect();
        vec![format!("CREATE TABLE {} ({})", self.name, columns.join(", "))]
    }

    /// Rows can be put into it: it is no view.
    pub fn is_writable(&self) -> bool {
        self.rows > 0
    }

    /// One INSERT for each row.
    pub fn inserts(&self) -> Vec<String> {
        let mut random = Random::new(DATA_SEED, self.name.len() as u64 * 31 + self.rows as u64);
        let names: Vec<_> = self.columns.iter().map(|column| column.name).collect();
        let row = |row: usize, random: &mut Random| {
            let values: Vec<_> = self
                .columns
                .iter()
                .map(|column| match column.fill {
                    Fill::Number => (row + 1).to_string(),
                    Fill::Each => quoted(column.values[row % column.values.len()]),
                    Fill::Any => quoted(column.values[random.below(column.values.len())]),
                })
                .collect();
            format!("INSERT INTO {} ({}) VALUES ({})", self.name, names.join(", "), values.join(", "))
        };
        (0..self.rows).map(|number| row(number, &mut random)).collect()
    }
}

/// A value as a literal of unknown type.
pub fn quoted(value: &str) -> String {
    match value {
        "NULL" => "NULL".to_owned(),
        _ => format!("'{}'", value.replace('\'', "''")),
    }
}

/// What the tables need beforehand.
pub const PREPARATION: &[&str] = &[
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
    "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    "CREATE DOMAIN label AS varchar(12) CHECK (value <> 'forbidden')",
];

const REGIONS: &[&str] = &["us-east", "us-west", "eu-central", "ap-south"];
const MAYBE_REGIONS: &[&str] = &["us-east", "us-west", "eu-central", "ap-south", "NULL"];
const SMALL_NUMBERS: &[&str] = &["0", "1", "2", "3", "5", "7", "10", "-1", "-4", "NULL"];
const PLAIN_NUMBERS: &[&str] = &["0", "1", "1.0", "1.00", "2.5", "-3.75", "10.10", "100", "0.00", "NULL"];
const PRICES: &[&str] = &["0.00", "9.99", "10.00", "10.50", "99.90", "-1.25", "NULL"];
const NUMBERS: &[&str] =
    &["NaN", "0", "-0.0", "1e-20", "123456789012345678901234567890.5", "1.10", "1.1", "NULL"];
const FLOATS: &[&str] = &["0", "-0", "0.25", "1.5", "-2.75", "100", "12.5", "NULL"];
const WILD_FLOATS: &[&str] =
    &["NaN", "Infinity", "-Infinity", "0", "-0", "1e300", "-1e300", "5e-324", "0.1", "1.5", "NULL"];
const BIGS: &[&str] = &["9223372036854775807", "-9223372036854775808", "0", "1", "4294967296", "NULL"];
const NAMES: &[&str] = &[
    "Zoë", "zoe", "Zoe", "Ärger", "arger", "éclair", "Eclair", "côté", "cote", "coté", "ant", "Bee", "",
    "NULL",
];
const TEXTS: &[&str] =
    &["a", "b", "B", "ab", "a b", "it's", "back\\slash", "%", "_x", "", "ß", "SS", "10", "9", "NULL"];
const LONG: &[&str] = &[
    "short",
    "longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong",
    "longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonG",
    "NULL",
];
const CODES: &[&str] = &["ab", "ab  ", "b", "", "AB", "NULL"];
const KEY_CODES: &[&str] = &["ab", "b", "", "AB", "abc", "abcdef", "é"];
const BOOLS: &[&str] = &["true", "false", "NULL"];
const DATES: &[&str] = &["2020-02-29", "2021-01-01", "2021-12-31", "1999-12-31", "2024-06-15", "NULL"];
const WILD_DATES: &[&str] = &["infinity", "-infinity", "0044-03-15 BC", "2020-02-29", "2021-03-28", "NULL"];
const STAMPS: &[&str] = &[
    "2021-03-28 01:30",
    "2021-03-28 02:30",
    "2021-10-31 02:30",
    "2020-02-29 12:00:00.123456",
    "1969-07-20 20:17:40",
    "NULL",
];
const ZONED: &[&str] = &[
    "2021-03-28 00:59:59+00",
    "2021-03-28 02:00+01",
    "2021-10-31 02:30+02",
    "2021-10-31 02:30+01",
    "2021-11-07 01:30-04",
    "NULL",
];
const INTERVALS: &[&str] =
    &["1 mon", "30 days", "720 hours", "1 day", "24 hours", "-1 days", "00:00:01.5", "NULL"];
const UUIDS: &[&str] = &[
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "12345678-1234-1234-1234-123456789abc",
    "NULL",
];
const EVERY_UUID: &[&str] = &[
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "12345678-1234-1234-1234-123456789abc",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "d0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
];
const BYTES: &[&str] = &["\\x", "\\x00ff", "\\x41", "\\xffff", "NULL"];
const JSONS: &[&str] = &[
    r#"{"a": 1}"#,
    r#"{"a": 1.0}"#,
    r#"{"b": [1, null, "x"]}"#,
    "null",
    "[]",
    "1",
    "1.00",
    r#""ä""#,
    "true",
    "NULL",
];
const INTEGERS: &[&str] = &["{}", "{1,2}", "{NULL,3}", "{1}", "{2,1}", "{{1,2},{3,4}}", "NULL"];
const TAGS: &[&str] = &["{}", "{a,b}", "{\"it's\",NULL}", "{B}", "NULL"];
const RANGES: &[&str] = &["empty", "[1,5)", "(,3]", "[4,)", "[1,4]", "(,)", "NULL"];
const MOODS: &[&str] = &["sad", "ok", "happy", "NULL"];
const LATITUDES: &[&str] = &["40.5", "41.25", "37.5", "34", "52.5", "48.25", "19", "28.5", "24", "49.75"];
const LONGITUDES: &[&str] =
    &["-74", "-75.5", "-122.25", "-118.5", "13.5", "2.25", "72.75", "77.25", "-80.25", "11.5"];
const TENANTS: &[&str] = &["acme", "007", "7", "Straße", "", "anyone", "Acme", "zzz"];
const ORDERS: &[&str] = &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "99"];
const MEASURES: &[&str] = &[
    "-100", "-2", "-1", "0", "1", "2", "50", "98", "99", "100", "101", "102", "200", "1000", "3", "4", "5",
    "6", "7", "8",
];
const DAYS: &[&str] = &["2019-12-31", "2020-01-01", "2020-02-29", "2020-12-31", "2021-01-01", "2022-05-05"];
const WORDS: &[&str] = &[
    "apple",
    "Apple",
    "äpfel",
    "Äpfel",
    "",
    " ",
    "zebra",
    "Zebra",
    "it's",
    "007",
    "7",
    "ß",
    "ss",
    "long word",
    "élan",
    "elan",
];

fn column(name: &'static str, ty: Type, values: &'static [&'static str]) -> Column {
    let definition = ty.cast().trim_start_matches(':');
    Column { name, ty, definition, fill: Fill::Any, values, is_wild: false, is_collated: false }
}

impl Column {
    fn number(self) -> Self {
        Self { fill: Fill::Number, values: ORDERS, ..self }
    }

    fn each(self) -> Self {
        Self { fill: Fill::Each, ..self }
    }

    fn wild(self) -> Self {
        Self { is_wild: true, ..self }
    }

    fn collated(self, definition: &'static str) -> Self {
        Self { is_collated: true, definition, ..self }
    }

    fn defined(self, definition: &'static str) -> Self {
        Self { definition, ..self }
    }
}

/// All tables, in the order in which they are made.
pub fn tables() -> Vec<Table> {
    [by_region(), by_hash(), by_rare_keys(), by_order(), everywhere(), views()]
        .into_iter()
        .flatten()
        .collect()
}

/// `[[tables]]` of the configuration.
pub fn configuration(tables: &[Table]) -> String {
    let configured = tables.iter().filter(|table| !table.placement.is_empty());
    configured
        .map(|table| format!("[[tables]]\nname = \"{}\"\n{}\n\n", table.name, table.placement))
        .collect()
}

fn by_region() -> Vec<Table> {
    use Type::*;
    vec![
        Table {
            name: "people",
            placement: "placement = \"region\"\nkey = \"region\"",
            key: &["region"],
            unique: &["id"],
            rows: 40,
            partners: &["visits"],
            made_by: &[],
            columns: vec![
                column("id", Int, &[]).number(),
                column("region", Text, REGIONS).defined("varchar(50) NOT NULL"),
                column("name", Text, NAMES).collated("text COLLATE \"en-x-icu\""),
                column("nick", Text, TEXTS),
                column("age", Int, SMALL_NUMBERS),
                column("score", Float, WILD_FLOATS).wild(),
                column("ratio", Float, FLOATS),
                column("rating", Num, PLAIN_NUMBERS),
                column("price", Num, PRICES).defined("numeric(10,2)"),
                column("active", Bool, BOOLS),
                column("born", Date, WILD_DATES).wild(),
                column("seen", Zoned, ZONED),
                column("note", Json, JSONS),
                column("mood", Mood, MOODS),
            ],
        },
        Table {
            name: "visits",
            placement: "placement = \"region\"\nkey = \"region\"\nnull_key = \"eu-central\"",
            key: &["region"],
            unique: &["id"],
            rows: 40,
            partners: &["people"],
            made_by: &[],
            columns: vec![
                column("id", Int, &[]).number(),
                column("region", Text, MAYBE_REGIONS).defined("varchar(50)"),
                column("person", Int, ORDERS),
                column("at", Stamp, STAMPS),
                column("cost", Num, PRICES).defined("numeric(8,2)"),
                column("kind", Text, TEXTS),
                column("mood", Mood, MOODS),
                column("tags", Texts, TAGS),
                column("took", Interval, INTERVALS),
            ],
        },
        Table {
            name: "spots",
            placement: "placement = \"geo\"\nposition = { latitude = \"lat\", longitude = \"lon\" }",
            key: &["lat", "lon"],
            unique: &["id"],
            rows: 30,
            partners: &[],
            made_by: &[],
            columns: vec![
                column("id", Int, &[]).number(),
                column("lat", Float, LATITUDES).each().defined("float8 NOT NULL"),
                column("lon", Float, LONGITUDES).each().defined("float8 NOT NULL"),
                column("label", Text, LONG),
                column("size", Int, SMALL_NUMBERS),
                column("span", Range, RANGES),
                column("marks", Ints, INTEGERS),
            ],
        },
    ]
}

fn by_hash() -> Vec<Table> {
    use Type::*;
    vec![
        Table {
            name: "orders",
            placement: "placement = \"hash\"\nkey = \"id\"",
            key: &["id"],
            unique: &["id"],
            rows: 40,
            partners: &["lines"],
            made_by: &[],
            columns: vec![
                column("id", Big, &[]).number().defined("bigint PRIMARY KEY"),
                column("customer", Int, ORDERS),
                column("total", Num, NUMBERS).wild(),
                column("qty", Int, SMALL_NUMBERS),
                column("code", Char, CODES),
                column("placed", Stamp, STAMPS),
                column("span", Interval, INTERVALS),
                column("paid", Bool, BOOLS),
                column("token", Uuid, UUIDS),
                column("payload", Bytes, BYTES),
                column("huge", Big, BIGS).wild(),
            ],
        },
        Table {
            name: "lines",
            placement: "placement = \"hash\"\nkey = \"order_id\"",
            key: &["order_id"],
            unique: &["n"],
            rows: 60,
            partners: &["orders"],
            made_by: &[],
            columns: vec![
                column("order_id", Big, ORDERS).defined("bigint NOT NULL"),
                column("n", Int, &[]).number(),
                column("sku", Text, TEXTS),
                column("amount", Float, FLOATS),
                column("qty", Small, SMALL_NUMBERS),
                column("unit", Real, FLOATS),
            ],
        },
        Table {
            name: "words",
            placement: "placement = \"hash\"\nkey = \"word\"",
            key: &["word"],
            unique: &["word"],
            rows: WORDS.len(),
            partners: &[],
            made_by: &[],
            columns: vec![
                column("word", Text, WORDS).each().defined("text PRIMARY KEY"),
                column("lang", Text, TEXTS),
                column("freq", Int, SMALL_NUMBERS),
                column("loose", Text, NAMES).collated("text COLLATE folded"),
            ],
        },
        Table {
            name: "devices",
            placement: "placement = \"hash\"\nkey = \"device\"",
            key: &["device"],
            unique: &["id"],
            rows: 24,
            partners: &[],
            made_by: &[],
            columns: vec![
                column("device", Uuid, EVERY_UUID).defined("uuid NOT NULL"),
                column("id", Int, &[]).number(),
                column("label", Text, TEXTS),
                column("level", Num, PLAIN_NUMBERS),
            ],
        },
    ]
}

/// Types of keys that are seldom seen, and a partitioned table.
fn by_rare_keys() -> Vec<Table> {
    use Type::*;
    vec![
        Table {
            name: "padded",
            placement: "placement = \"hash\"\nkey = \"code\"",
            key: &["code"],
            unique: &["id"],
            rows: 20,
            partners: &[],
            made_by: &[],
            columns: vec![
                column("code", Char, KEY_CODES).defined("char(6) NOT NULL"),
                column("id", Int, &[]).number(),
                column("v", Int, SMALL_NUMBERS),
                column("other", Text, TEXTS).defined("varchar(20)"),
            ],
        },
        Table {
            name: "tiny",
            placement: "placement = \"hash\"\nkey = \"n\"\nnull_key = \"us-west\"",
            key: &["n"],
            unique: &["id"],
            rows: 20,
            partners: &[],
            made_by: &[],
            columns: vec![
                column("n", Small, SMALL_NUMBERS),
                column("id", Int, &[]).number(),
                column("v", Num, PLAIN_NUMBERS),
                column("mood", Mood, MOODS),
            ],
        },
        Table {
            name: "flags",
            placement: "placement = \"list\"\nkey = \"flag\"\nkey_type = \"boolean\"\n\
                        values = { us-west = [\"true\"], ap-south = [\"false\"] }",
            key: &["flag"],
            unique: &["id"],
            rows: 12,
            partners: &[],
            made_by: &[],
            columns: vec![
                column("flag", Bool, &["true", "false"]).defined("boolean NOT NULL"),
                column("id", Int, &[]).number(),
                column("v", Int, SMALL_NUMBERS),
            ],
        },
        Table {
            name: "parts",
            placement: "placement = \"hash\"\nkey = \"label\"",
            key: &["label"],
            unique: &["id"],
            rows: 24,
            partners: &[],
            made_by: &[
                "CREATE TABLE parts (label varchar(30) NOT NULL, id int, kind text, v int, \
                 twice int GENERATED ALWAYS AS (v * 2) STORED) PARTITION BY LIST (kind)",
                "CREATE TABLE parts_rest PARTITION OF parts DEFAULT",
            ],
            columns: vec![
                column("label", Text, WORDS),
                column("id", Int, &[]).number(),
                column("kind", Text, TEXTS),
                column("v", Int, SMALL_NUMBERS),
            ],
        },
    ]
}

/// Over sharded tables, over a reference table, and a partition by its own name: read only.
fn views() -> Vec<Table> {
    use Type::*;
    vec![
        Table {
            name: "grown",
            placement: "",
            key: &["region"],
            unique: &["id"],
            rows: 0,
            partners: &["people"],
            made_by: &["CREATE VIEW grown AS SELECT id, region, nick, age FROM people WHERE age >= 1"],
            columns: vec![
                column("id", Int, ORDERS),
                column("region", Text, REGIONS),
                column("nick", Text, TEXTS),
                column("age", Int, SMALL_NUMBERS),
            ],
        },
        Table {
            name: "per_word",
            placement: "",
            key: &[],
            unique: &["word"],
            rows: 0,
            partners: &[],
            made_by: &[
                "CREATE VIEW per_word AS SELECT word, count(*) AS n FROM cats WHERE word IS NOT NULL GROUP BY word",
            ],
            columns: vec![column("word", Text, WORDS), column("n", Big, SMALL_NUMBERS)],
        },
        Table {
            name: "parts_a",
            placement: "",
            key: &["label"],
            unique: &["id"],
            rows: 0,
            partners: &["parts"],
            made_by: &["CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a', 'b')"],
            columns: vec![
                column("label", Text, WORDS),
                column("id", Int, ORDERS),
                column("kind", Text, TEXTS),
                column("v", Int, SMALL_NUMBERS),
                column("twice", Int, SMALL_NUMBERS),
            ],
        },
    ]
}

fn by_order() -> Vec<Table> {
    use Type::*;
    vec![
        Table {
            name: "tenants",
            placement: "placement = \"list\"\nkey = \"tenant\"\notherwise = \"us-west\"\n\
                        values = { us-east = [\"acme\", \"007\"], eu-central = [\"Straße\", \"\"], ap-south = [\"zzz\"] }",
            key: &["tenant"],
            unique: &["id"],
            rows: 32,
            partners: &[],
            made_by: &[],
            columns: vec![
                column("tenant", Text, TENANTS).defined("text NOT NULL"),
                column("id", Int, &[]).number(),
                column("v", Int, SMALL_NUMBERS),
                column("plan", Char, CODES),
                column("name", Text, NAMES).collated("varchar(20) COLLATE \"en-x-icu\""),
            ],
        },
        Table {
            name: "metrics",
            placement: "placement = \"range\"\nkey = \"n\"\nranges = [\n  { to = 0, shard = \"us-east\" },\n  \
                        { from = 0, to = 100, shard = \"us-west\" },\n  { from = 100, shard = \"ap-south\" },\n]",
            key: &["n"],
            unique: &["n"],
            rows: MEASURES.len(),
            partners: &[],
            made_by: &[],
            columns: vec![
                column("n", Int, MEASURES).each().defined("int PRIMARY KEY"),
                column("v", Float, WILD_FLOATS).wild(),
                column("w", Real, FLOATS),
                column("b", Bool, BOOLS),
                column("d", Date, DATES),
            ],
        },
        Table {
            name: "days",
            placement: "placement = \"range\"\nkey = \"day\"\nkey_type = \"date\"\nranges = [\n  \
                        { to = \"2020-01-01\", shard = \"us-east\" },\n  \
                        { from = \"2020-01-01\", to = \"2021-01-01\", shard = \"eu-central\" },\n  \
                        { from = \"2021-01-01\", shard = \"ap-south\" },\n]",
            key: &["day"],
            unique: &["id"],
            rows: 24,
            partners: &[],
            made_by: &[],
            columns: vec![
                column("day", Date, DAYS).defined("date NOT NULL"),
                column("id", Int, &[]).number(),
                column("v", Num, PLAIN_NUMBERS),
                column("mood", Mood, MOODS),
                column("at", Zoned, ZONED),
            ],
        },
    ]
}

fn everywhere() -> Vec<Table> {
    use Type::*;
    let columns = || {
        vec![
            column("id", Int, &[]).number().defined("int PRIMARY KEY"),
            column("region", Text, MAYBE_REGIONS).defined("varchar(50)"),
            column("n", Int, SMALL_NUMBERS),
            column("word", Text, WORDS),
            column("factor", Num, PLAIN_NUMBERS),
            column("since", Date, DATES),
        ]
    };
    vec![
        Table {
            name: "cats",
            placement: "placement = \"reference\"",
            key: &[],
            unique: &["id"],
            rows: 12,
            partners: &[],
            made_by: &[],
            columns: columns(),
        },
        Table {
            name: "solo",
            placement: "",
            key: &[],
            unique: &["id"],
            rows: 12,
            partners: &[],
            made_by: &[],
            columns: columns(),
        },
    ]
}
