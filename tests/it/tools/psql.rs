//! psql: its backslash commands and its ways of sending statements; same output, same exit code.

use super::run;
use crate::stand::{Pair, Target};

const SCHEMA: &[&str] = &[
    "CREATE SCHEMA shop",
    "CREATE TYPE shop.mood AS ENUM ('sad', 'ok')",
    "CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0)",
    "CREATE SEQUENCE shop.numbers START 5",
    "CREATE TABLE shop.customers (id int PRIMARY KEY, name text NOT NULL, mood shop.mood DEFAULT 'ok', n shop.positive)",
    "COMMENT ON TABLE shop.customers IS 'who buys'",
    "CREATE TABLE shop.orders (id serial PRIMARY KEY, customer int REFERENCES shop.customers, total numeric(10,2) CHECK (total >= 0))",
    "CREATE INDEX orders_customer ON shop.orders (customer) WHERE total > 0",
    "CREATE VIEW shop.rich AS SELECT customer, sum(total) FROM shop.orders GROUP BY customer",
    "CREATE FUNCTION shop.twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i * 2'",
    "INSERT INTO shop.customers VALUES (1, 'Ann', 'sad', 3), (2, 'Bob', NULL, NULL)",
    "INSERT INTO shop.orders (customer, total) VALUES (1, 9.99), (1, 0.01), (2, 5)",
];

const COMMANDS: &[&str] = &[
    "\\d shop.customers",
    "\\d shop.orders",
    "\\d shop.rich",
    "\\d+ shop.customers",
    "\\d+ shop.rich",
    "\\d shop.numbers",
    "\\d shop.orders_customer",
    "\\d shop.nothing",
    "\\dt shop.*",
    "\\di shop.*",
    "\\dv shop.*",
    "\\ds shop.*",
    "\\df shop.*",
    "\\df+ shop.twice",
    "\\dT shop.*",
    "\\dT+ shop.mood",
    "\\dD shop.*",
    "\\dn shop",
    "\\dn+ shop",
    "\\dp shop.*",
    "\\dd shop.*",
    "\\sf shop.twice",
    "\\sv shop.rich",
    "\\du meridian",
    "\\dx",
    "\\dL",
    "\\dc shop.*",
    "\\dC shop.*",
    "\\dy",
    "\\dO shop.*",
    "\\do shop.*",
    "\\da shop.*",
    "\\dE shop.*",
    "\\dm shop.*",
    "\\dF",
    "\\encoding",
    "\\dt",
    "\\z shop.*",
    "\\dconfig work_mem",
    "\\l postgres",
];

const SCRIPT: &str = "\
\\set ON_ERROR_STOP 0
\\timing off
SELECT * FROM shop.customers ORDER BY id;
\\x on
SELECT * FROM shop.orders ORDER BY id LIMIT 1;
\\x off
SELECT nope;
SELECT count(*) AS n FROM shop.orders \\gset
\\echo there are :n orders
SELECT format('SELECT %s', i) FROM generate_series(1, 3) i \\gexec
SELECT 1 AS a, 2 AS b \\gdesc
SELECT 1 \\; SELECT 2;
BEGIN;
INSERT INTO shop.customers VALUES (3, 'Cid');
\\echo :ROW_COUNT :LAST_ERROR_SQLSTATE
SELECT 1/0;
SELECT 1;
COMMIT;
\\copy shop.customers (id, name) FROM stdin
10\tten
11\televen
\\.
\\copy (SELECT id, name FROM shop.customers ORDER BY id) TO stdout
COPY shop.customers TO STDOUT;
SELECT customer, total, id FROM shop.orders \\crosstabview
SET client_min_messages = notice;
DO $$ BEGIN RAISE NOTICE 'noted'; END $$;
DELETE FROM shop.customers WHERE id >= 10;
\\set FETCH_COUNT 2
SELECT i FROM generate_series(1, 5) i;
\\unset FETCH_COUNT
PREPARE q AS SELECT $1::int;
EXECUTE q(7);
\\conninfo_is_not_a_command
SHOW server_version_num;
";

#[test]
fn psql_shows_the_same() {
    let pair = Pair::new("psql", "");
    pair.targets().for_each(|target| target.run(SCHEMA));
    let mut differences = String::new();
    let mut compare = |arguments: &[&str], input: &str| {
        let plain = seen(&pair.plain, arguments, input);
        // That the case itself is right: only what is asked for on purpose fails.
        println!("{arguments:?}: exit {:?}", plain.0);
        if let Some(meridian) = &pair.meridian {
            let answer = seen(meridian, arguments, input);
            if answer != plain {
                differences +=
                    &format!("psql {arguments:?}\n--- plain\n{plain:?}\n--- meridian\n{answer:?}\n");
            }
        }
    };
    for command in COMMANDS {
        compare(&["-X", "-c", command], "");
    }
    compare(&["-X"], SCRIPT);
    compare(&["-X", "-1", "-v", "ON_ERROR_STOP=1"], "CREATE TABLE t (i int);\nSELECT nope;\n");
    compare(&["-X", "-c", "SELECT * FROM t"], "");
    compare(&["-X", "-At", "-c", "SELECT 1; SELECT 2", "-c", "SELECT 3"], "");
    compare(&["-X", "--csv", "-c", "SELECT * FROM shop.orders ORDER BY id"], "");
    assert!(differences.is_empty(), "{differences}");
}

/// Exit code, output, errors.
fn seen(target: &Target, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let output = run("psql", target, arguments, input);
    // Ports differ.
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&target.port.to_string(), "PORT");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
