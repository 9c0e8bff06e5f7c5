//! Statements that are well formed, made from the bytes: each byte takes one branch of a small grammar over the plan
//! cases' tables. What holds of any text ([`super::plan`]) must hold of them, and they reach deeper.
//!
//! Zero is the shortest branch everywhere, so that a statement ends soon after the bytes do.

use super::{Choices, plan};

pub fn run(data: &[u8]) {
    let mut grammar = Grammar { choices: Choices::new(data) };
    let statement = grammar.statement();
    plan::statement(statement.as_bytes());
}

struct Grammar<'a> {
    choices: Choices<'a>,
}

/// Levels of queries and expressions inside each other.
const DEPTH: usize = 3;

const TABLES: [&str; 16] = [
    "rides",
    "users",
    "drivers",
    "driver_locations",
    "regions",
    "accounts",
    "payments",
    "devices",
    "tenants",
    "orders",
    "parts",
    "archive",
    "ledger",
    "visits",
    "rides_2024",
    "nowhere",
];
const COLUMNS: [&str; 16] = [
    "region",
    "ride_id",
    "user_id",
    "pickup_lat",
    "pickup_lon",
    "pickup_geohash",
    "latitude",
    "longitude",
    "geohash",
    "account_id",
    "device_id",
    "plan",
    "day",
    "number",
    "price",
    "\"Region\"",
];
const ALIASES: [&str; 4] = ["", "a", "b", "a"];
const VALUES: [&str; 20] = [
    "'us-east'",
    "'eu-central'",
    "$1",
    "$2",
    "NULL",
    "0",
    "150",
    "-1",
    "2147483648",
    "40.7",
    "-74.0",
    "'dr5'",
    "E'us\\x2deast'",
    "$$ap-south$$",
    "U&'us-east'",
    "DATE '2024-06-01'",
    "'us-west'::text",
    "CAST($1 AS varchar(50))",
    "true",
    "'pro'",
];
const COMPARISONS: [&str; 10] = ["=", "<", "<=", ">", ">=", "<>", "LIKE", "IS NOT DISTINCT FROM", "~", "||"];
const FUNCTIONS: [&str; 18] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "lower",
    "coalesce",
    "now",
    "random",
    "array_agg",
    "string_agg",
    "row_number",
    "bool_and",
    "stddev",
    "nextval",
    "percentile_cont",
    "set_config",
    "unknown_function",
];

impl Grammar<'_> {
    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        self.choices.one_of(from)
    }

    /// One time in `count`, and never once the bytes are used up.
    fn sometimes(&mut self, count: usize) -> bool {
        self.choices.below(count) == count - 1
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> String) -> String {
        let count = 1 + self.choices.below(3);
        let items: Vec<String> = (0..count).map(|_| item(self)).collect();
        items.join(", ")
    }

    fn statement(&mut self) -> String {
        match self.choices.below(12) {
            0..=5 => self.query(DEPTH),
            6 => self.insert(),
            7 => self.update(),
            8 => self.delete(),
            9 => {
                let inside = if self.sometimes(3) { self.delete() + " RETURNING *" } else { self.query(1) };
                format!("WITH {}c AS ({inside}) {}", self.maybe("RECURSIVE "), self.query(1))
            }
            10 => format!(
                "{} {}",
                self.pick(&["EXPLAIN", "PREPARE p AS", "DECLARE c CURSOR FOR"]),
                self.query(1)
            ),
            _ => self.command(),
        }
    }

    fn maybe(&mut self, text: &'static str) -> &'static str {
        if self.sometimes(3) { text } else { "" }
    }

    fn command(&mut self) -> String {
        let table = self.pick(&TABLES);
        match self.choices.below(8) {
            0 => "BEGIN".to_owned(),
            1 => format!("COPY {table} FROM STDIN WITH (FORMAT csv, HEADER)"),
            2 => format!("COPY ({}) TO STDOUT", self.query(1)),
            3 => format!("TRUNCATE {table}"),
            4 => format!("SET search_path = {table}, 'x'"),
            5 => format!("CREATE TABLE t AS {}", self.query(1)),
            6 => format!(
                "MERGE INTO {table} a USING users b ON {} WHEN MATCHED THEN DELETE",
                self.condition(1)
            ),
            _ => format!("LOCK TABLE {table}"),
        }
    }

    fn query(&mut self, depth: usize) -> String {
        let mut query = self.select(depth);
        if depth > 0 && self.sometimes(8) {
            let sign = self.pick(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
            query = format!("{query} {sign} {}", self.select(depth - 1));
        }
        if self.sometimes(3) {
            query += &format!(" ORDER BY {}", self.list(|own| own.ordering()));
        }
        if self.sometimes(3) {
            query += &format!(" LIMIT {}", self.pick(&["10", "$1", "NULL", "ALL", "(1 + 1)"]));
        }
        if self.sometimes(6) {
            query += &format!(" OFFSET {}", self.pick(&["5", "$2", "0"]));
        }
        query + if self.sometimes(12) { " FOR UPDATE" } else { "" }
    }

    fn ordering(&mut self) -> String {
        let by = if self.sometimes(3) { "1".to_owned() } else { self.expression(1) };
        format!("{by}{}", self.pick(&["", " DESC", " NULLS FIRST", " COLLATE \"C\""]))
    }

    fn select(&mut self, depth: usize) -> String {
        let distinct = if self.sometimes(6) {
            self.pick(&["DISTINCT ", "DISTINCT ON (1) ", "DISTINCT ON (region) "])
        } else {
            ""
        };
        let items = match self.choices.below(3) {
            0 => "*".to_owned(),
            _ => self.list(|own| own.item(depth)),
        };
        let mut select = format!("SELECT {distinct}{items} FROM {}", self.from(depth));
        if self.choices.below(4) > 0 {
            select += &format!(" WHERE {}", self.condition(depth));
        }
        if self.sometimes(4) {
            select += &format!(" GROUP BY {}", self.list(|own| own.ordering_name()));
            if self.sometimes(3) {
                select += &format!(" HAVING {}", self.condition(1));
            }
        }
        select
    }

    fn ordering_name(&mut self) -> String {
        if self.sometimes(3) { self.pick(&["1", "ROLLUP (region)", "2"]).to_owned() } else { self.column() }
    }

    fn item(&mut self, depth: usize) -> String {
        let item = self.expression(depth);
        format!("{item}{}", self.pick(&["", " AS x", " y", ""]))
    }

    fn from(&mut self, depth: usize) -> String {
        let alias = self.pick(&ALIASES);
        let first = match self.choices.below(8) {
            7 if depth > 0 => format!("({}) s", self.query(depth - 1)),
            6 => "generate_series(1, 3) g".to_owned(),
            _ => format!("{} {alias}", self.pick(&TABLES)),
        };
        if depth == 0 || !self.sometimes(3) {
            return first;
        }
        let join =
            self.pick(&["JOIN", "LEFT JOIN", "FULL JOIN", "CROSS JOIN", "NATURAL JOIN", "JOIN LATERAL", ","]);
        let second = self.from(depth - 1);
        match join {
            "JOIN" | "LEFT JOIN" | "FULL JOIN" | "JOIN LATERAL" if self.choices.below(4) == 0 => {
                format!("{first} {join} {second} USING (region)")
            }
            "JOIN" | "LEFT JOIN" | "FULL JOIN" | "JOIN LATERAL" => {
                format!("{first} {join} {second} ON {}", self.condition(1))
            }
            _ => format!("{first} {join} {second}"),
        }
    }

    fn column(&mut self) -> String {
        let column = self.pick(&COLUMNS);
        match self.pick(&ALIASES) {
            "" => column.to_owned(),
            alias => format!("{alias}.{column}"),
        }
    }

    fn expression(&mut self, depth: usize) -> String {
        match self.choices.below(10) {
            0..=3 => self.column(),
            4 | 5 => self.pick(&VALUES).to_owned(),
            6 => {
                let function = self.pick(&FUNCTIONS);
                let argument = if depth > 0 { self.expression(depth - 1) } else { String::new() };
                let tail =
                    self.pick(&["", "", " OVER ()", " FILTER (WHERE true)", " OVER (PARTITION BY region)"]);
                format!("{function}({}{argument}){tail}", self.maybe("DISTINCT "))
            }
            7 if depth > 0 => format!("({})", self.query(depth - 1)),
            8 if depth > 0 => {
                format!(
                    "CASE WHEN {} THEN {} ELSE 1 END",
                    self.condition(depth - 1),
                    self.expression(depth - 1)
                )
            }
            9 if depth > 0 => {
                let sign = self.pick(&["+", "-", "*", "||", "->>", "::text ||"]);
                format!("{} {sign} {}", self.expression(depth - 1), self.expression(depth - 1))
            }
            _ => "1".to_owned(),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("{} = {}", self.column(), self.pick(&VALUES));
        }
        match self.choices.below(10) {
            0..=3 => {
                let column = self.column();
                let sign = if self.sometimes(3) { self.pick(&COMPARISONS) } else { "=" };
                format!("{column} {sign} {}", self.pick(&VALUES))
            }
            4 => format!("{} AND {}", self.condition(depth - 1), self.condition(depth - 1)),
            5 => format!("({} OR {})", self.condition(depth - 1), self.condition(depth - 1)),
            6 => format!(
                "{} {}IN ({})",
                self.column(),
                self.maybe("NOT "),
                self.list(|own| own.pick(&VALUES).to_owned())
            ),
            7 => format!("{} BETWEEN {} AND {}", self.column(), self.pick(&VALUES), self.pick(&VALUES)),
            8 => match self.choices.below(4) {
                0 => format!("EXISTS ({})", self.query(depth - 1)),
                1 => format!("{} IN ({})", self.column(), self.query(depth - 1)),
                2 => format!(
                    "{} = ANY ({})",
                    self.column(),
                    self.pick(&["$1", "ARRAY['us-east', $2]", "'{us-east,us-west}'"])
                ),
                _ => format!(
                    "({}, {}) = ({}, {})",
                    self.column(),
                    self.column(),
                    self.pick(&VALUES),
                    self.pick(&VALUES)
                ),
            },
            _ => format!("NOT {} IS {}NULL", self.column(), self.maybe("NOT ")),
        }
    }

    fn insert(&mut self) -> String {
        let table = self.pick(&TABLES);
        let columns = self.list(|own| own.pick(&COLUMNS).to_owned());
        let width = columns.split(", ").count();
        let rows = match self.choices.below(4) {
            3 => self.query(1),
            _ => {
                let row = |own: &mut Self| {
                    let cells: Vec<&str> = (0..width).map(|_| own.pick(&VALUES)).collect();
                    format!("({})", cells.join(", "))
                };
                format!("VALUES {}", self.list(row))
            }
        };
        let tail = self.pick(&[
            "",
            " RETURNING *",
            " ON CONFLICT DO NOTHING",
            " ON CONFLICT (ride_id) DO UPDATE SET region = EXCLUDED.region",
        ]);
        format!("INSERT INTO {table} ({columns}) {rows}{tail}")
    }

    fn update(&mut self) -> String {
        let table = self.pick(&TABLES);
        let sets = self.list(|own| format!("{} = {}", own.pick(&COLUMNS), own.expression(1)));
        let from = self.maybe(" FROM users b");
        format!("UPDATE {table} a SET {sets}{from} WHERE {}{}", self.condition(2), self.maybe(" RETURNING *"))
    }

    fn delete(&mut self) -> String {
        let table = self.pick(&TABLES);
        format!("DELETE FROM {table} a{} WHERE {}", self.maybe(" USING users b"), self.condition(2))
    }
}
