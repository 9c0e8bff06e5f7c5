//! pg_dump and pg_restore: what is dumped through Meridian is what is dumped of a plain PostgreSQL, and comes back through it.

use std::process::{Command, Output};

use meridian::demo::cluster::Installation;

use super::run;
use crate::harness::{connect, database, meridian};
use crate::stand::{Pair, Target};

/// Everything else is on the default shard.
const TABLES: &str = "[[tables]]\nname = \"shop.places\"\nplacement = \"region\"\nkey = \"region\"\n\
                      [[tables]]\nname = \"shop.kinds\"\nplacement = \"reference\"\n";

const SCHEMA: &[&str] = &[
    "CREATE SCHEMA shop",
    "CREATE TYPE shop.mood AS ENUM ('sad', 'ok')",
    "CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0)",
    "CREATE FUNCTION shop.twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i * 2'",
    "CREATE TABLE shop.customers (id int PRIMARY KEY, name text NOT NULL, mood shop.mood DEFAULT 'ok', n shop.positive)",
    "CREATE TABLE shop.orders (id serial PRIMARY KEY, customer int REFERENCES shop.customers, \
     total numeric(10,2) CHECK (total >= 0), twice int GENERATED ALWAYS AS (customer * 2) STORED)",
    "CREATE INDEX orders_customer ON shop.orders (customer) WHERE total > 0",
    "CREATE TABLE shop.things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b bytea, j jsonb, a text[], f float8, \
     t timestamptz, r int4range)",
    "CREATE TABLE shop.wide (id int PRIMARY KEY, filling text)",
    "CREATE TABLE shop.kinds (id int PRIMARY KEY, name text)",
    "CREATE TABLE shop.places (id int, region varchar(50) NOT NULL, kind int REFERENCES shop.kinds, PRIMARY KEY (region, id))",
    "CREATE VIEW shop.rich AS SELECT customer, sum(total) FROM shop.orders GROUP BY customer",
    "CREATE TRIGGER quiet BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "COMMENT ON TABLE shop.customers IS 'who buys'",
    "GRANT SELECT ON shop.customers TO PUBLIC",
    "INSERT INTO shop.customers VALUES (1, E'Ann\\tof\\n\\\\N', 'sad', 3), (2, 'Zoë ''quoted''', NULL, NULL), (3, '', 'ok', 1)",
    "INSERT INTO shop.orders (customer, total) VALUES (1, 9.99), (1, 0.01), (2, 5), (NULL, NULL)",
    "INSERT INTO shop.things (b, j, a, f, t, r) VALUES (E'\\\\x00ff5c', '{\"a\": [1, null]}', '{\"x y\",NULL,\"\\\"\"}', 'NaN', \
     '2024-02-29 12:00+05', '[1,5)'), (NULL, NULL, NULL, '-Infinity', 'infinity', 'empty'), ('', '1', '{}', 0.1, NULL, NULL)",
    "INSERT INTO shop.kinds VALUES (1, 'city'), (2, 'hamlet')",
    "INSERT INTO shop.places VALUES (1, 'us-east', 1)",
    "INSERT INTO shop.places VALUES (1, 'us-west', 2)",
    "INSERT INTO shop.places VALUES (1, 'eu-central', 1)",
    "INSERT INTO shop.places VALUES (1, 'ap-south', NULL)",
    "INSERT INTO shop.wide SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 5000) i",
];

/// What each dump is asked for: all of the schema, or tables by name.
const SELECTIONS: &[&[&str]] = &[
    &["-n", "shop"],
    &["-t", "shop.customers", "-t", "shop.orders", "-t", "shop.rich", "-t", "shop.places"],
];

fn succeed(program: &str, target: &Target, arguments: &[&str], input: &str) -> String {
    let Output { status, stdout, stderr } = run(program, target, arguments, input);
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success() && stderr.is_empty(), "{program} {arguments:?} on {:?}: {stderr}", target.kind);
    String::from_utf8_lossy(&stdout).into_owned()
}

/// As text, without what is of the dump itself: a key against injected commands, which is another each time.
fn script(target: &Target, more: &[&str]) -> String {
    let dumped = succeed("pg_dump", target, more, "");
    let kept =
        dumped.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    kept.collect::<Vec<_>>().join("\n")
}

/// Lines that one script has and the other has not, or not as often: rows of several shards come in no order.
fn difference<'a>(one: &'a str, other: &'a str) -> Vec<&'a str> {
    let mut rest: Vec<_> = other.lines().collect();
    let extra = one.lines().filter(|line| match rest.iter().position(|known| known == line) {
        Some(at) => {
            rest.swap_remove(at);
            false
        }
        None => true,
    });
    let extra: Vec<_> = extra.collect();
    extra.into_iter().chain(rest).collect()
}

#[test]
fn dumps_are_those_of_postgres() {
    let pair = Pair::new("dumped", TABLES);
    pair.targets().for_each(|target| target.run(SCHEMA));
    pair.settle();
    let Some(meridian) = &pair.meridian else { return };
    for selection in SELECTIONS {
        for more in [&[][..], &["--inserts"], &["--data-only"], &["--schema-only"]] {
            let arguments = [selection, more].concat();
            let (expected, found) = (script(&pair.plain, &arguments), script(meridian, &arguments));
            assert!(expected.lines().count() > 40, "{arguments:?}: {expected}");
            assert_eq!(difference(&found, &expected), [""; 0], "{arguments:?}");
        }
    }
}

#[test]
fn what_was_dumped_is_restored() {
    let pair = Pair::new("dumped_from", TABLES);
    let Some(source) = &pair.meridian else { return };
    source.run(SCHEMA);
    pair.settle();
    let expected = script(source, &["-n", "shop"]);
    let directory = crate::harness::TemporaryDirectory::new();
    let archive = |name: &str| directory.path().join(name).display().to_string();
    let (custom, folder) = (archive("custom"), archive("folder"));
    succeed("pg_dump", source, &["-n", "shop", "-Fc", "-f", &custom], "");
    succeed("pg_dump", source, &["-n", "shop", "-Fd", "-f", &folder], "");
    let restores: [(&str, &[&str]); 4] = [
        ("pg_restore", &["--exit-on-error", &custom]),
        ("pg_restore", &["--exit-on-error", "--jobs", "2", &folder]),
        ("pg_restore", &["--exit-on-error", "--clean", "--if-exists", &custom]),
        ("psql", &["-q", "-v", "ON_ERROR_STOP=1"]),
    ];
    let target = Pair::new("restored_into", TABLES);
    let Some(restored) = &target.meridian else { return };
    for (program, arguments) in restores {
        if !arguments.contains(&"--clean") {
            restored.run(&["DROP SCHEMA IF EXISTS shop CASCADE"]);
        }
        let into = ["-d", restored.database.as_str()];
        let input = if program == "psql" { expected.as_str() } else { "" };
        succeed(program, restored, &[&into, arguments].concat(), input);
        target.settle();
        let found = script(restored, &["-n", "shop"]);
        assert_eq!(difference(&found, &expected), [""; 0], "{program} {arguments:?}");
    }
}

/// The schema of Meridian's own decisions is locked and dumped, too, and belongs to another role.
#[tokio::test]
async fn a_role_that_owns_nothing_can_dump_everything() {
    let database = database().await;
    let role = format!("{}_dumps", database.name);
    let create = format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'");
    database.cluster.on_every_shard(&database.name, &create).await;
    let user = format!("[[users]]\nname = \"{role}\"\npassword = \"{role}\"\n");
    let meridian = meridian(&database.cluster).database(&database.name).tables(&user).start();
    let client = connect(&meridian.app()).await;
    let shown =
        format!("CREATE TABLE shown (i int); INSERT INTO shown VALUES (7); GRANT SELECT ON shown TO {role}");
    client.batch_execute(&shown).await.expect("a table");
    let port = meridian.address().port().to_string();
    let dump = Installation::find().expect("PostgreSQL is installed").program("pg_dump");
    let mut dump = Command::new(dump);
    dump.args(["-h", "127.0.0.1", "-p", &port, "-U", &role, "-d", &database.name]).env("PGPASSWORD", &role);
    let output =
        tokio::task::spawn_blocking(move || dump.output()).await.expect("a thread").expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let dumped = String::from_utf8_lossy(&output.stdout);
    assert!(
        dumped.contains("COPY public.shown") && dumped.contains("COPY meridian_internal.decisions"),
        "{dumped}"
    );
}
