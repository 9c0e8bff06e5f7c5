//! Tables that had rows before they were configured, or placed otherwise; and sequences of tables that are placed elsewhere.

use std::process::Command;

use tokio_postgres::error::SqlState;

use crate::harness::{Meridian, cluster, connect, eventually, meridian};

const TABLES: &str = "
[[tables]]
name = \"places\"
placement = \"region\"
key = \"region\"
[[tables]]
name = \"branches\"
placement = \"hash\"
key = \"id\"
[[tables]]
name = \"rates\"
placement = \"reference\"
[[tables]]
name = \"audit\"
placement = \"single\"
shard = \"eu-central\"
";

fn checked(meridian: &Meridian) -> (bool, String) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_meridian"));
    let check = check.arg("check").arg("--connect").arg("--config").arg(meridian.config()).output();
    let check = check.expect("it runs");
    (check.status.success(), String::from_utf8_lossy(&check.stdout).into_owned())
}

#[tokio::test]
async fn rows_from_before_a_table_was_configured_are_told_of() {
    let cluster = cluster().region("us-east").region("eu-central").start();
    let meridian = meridian(&cluster).start();
    let client = connect(&meridian.app()).await;
    let schema = "CREATE TABLE places (id int, region text); CREATE TABLE branches (id int); CREATE TABLE rates (id int);
                  CREATE TABLE audit (id int); CREATE TABLE empty (id int)";
    client.batch_execute(schema).await.expect("the schema");
    client
        .batch_execute("INSERT INTO rates VALUES (1), (2); INSERT INTO audit VALUES (1)")
        .await
        .expect("rows");
    client.batch_execute("INSERT INTO branches SELECT generate_series(1, 40)").await.expect("rows");
    client
        .batch_execute("INSERT INTO places VALUES (1, 'us-east'), (2, 'eu-central'), (3, NULL)")
        .await
        .expect("rows");
    let (right, said) = checked(&meridian);
    assert!(right, "{said}");

    meridian.edit(|text| {
        format!("{text}{TABLES}[[tables]]\nname = \"empty\"\nplacement = \"hash\"\nkey = \"id\"\n")
    });
    let expected = [
        "table public.places: has rows that belong on other shards: 1 of the first 2 places on \"us-east\"",
        "table public.branches: has rows that belong on other shards: ",
        "table public.rates: its copies differ, in rows: 2 on \"us-east\", none on \"eu-central\"",
        "table public.audit: is placed on shard \"eu-central\", and has rows on \"us-east\" too",
    ];
    let (right, said) = checked(&meridian);
    assert!(!right && !said.contains("public.empty"), "{said}");
    assert!(expected.iter().all(|line| said.contains(line)), "{said}");
    // The running one tells its log: at once that the placement is another, soon what it has found.
    meridian.signal(libc::SIGHUP);
    eventually("it is in the log", async || {
        let log = meridian.log().replace("\\\"", "\"");
        let moved = log.matches("is placed differently now").count();
        (moved == 5 && expected.iter().all(|line| log.contains(line))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_sequence_is_where_the_rows_are_that_it_numbers() {
    let cluster = cluster().region("us-east").region("eu-central").start();
    let meridian = meridian(&cluster).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    let schema = "CREATE TABLE audit (id bigserial PRIMARY KEY, what text);
                  CREATE TABLE notes (id serial PRIMARY KEY, what text); CREATE SEQUENCE tickets";
    client.batch_execute(schema).await.expect("the schema");
    let number =
        async |statement: &str| client.query_one(statement, &[]).await.expect(statement).get::<_, i64>(0);
    for expected in 1..=3 {
        assert_eq!(number("INSERT INTO audit (what) VALUES ('x') RETURNING id").await, expected);
    }
    // As a dump asks.
    assert_eq!(number("SELECT last_value FROM public.audit_id_seq").await, 3);
    assert_eq!(number("SELECT pg_catalog.setval('public.audit_id_seq', 40, true)").await, 40);
    assert_eq!(number("SELECT nextval('\"audit_id_seq\"'::regclass)").await, 41);
    assert_eq!(number("SELECT setval(pg_get_serial_sequence('\"audit\"', 'id'), 50)").await, 50);
    assert_eq!(number("INSERT INTO audit (what) VALUES ('x') RETURNING id").await, 51);
    let refused = [
        "SELECT nextval('audit_id_seq') FROM notes",
        "SELECT nextval('audit_id_seq') + nextval('tickets')",
        "INSERT INTO audit (id) VALUES (nextval('audit_id_seq'))",
        "SELECT nextval('audit_' || 'id_seq')",
        "SELECT nextval(U&'audit\\005fid_seq')",
        "SELECT nextval((SELECT oid::regclass FROM pg_class WHERE relname = concat('audit', '_id_seq')))",
        "PREPARE drawn AS SELECT nextval('audit_id_seq')",
        "DO $$ BEGIN PERFORM nextval('audit_id_seq'); END $$",
        "PREPARE drawn(regclass) AS SELECT nextval($1)",
    ];
    let more = "CREATE SEQUENCE \"odd.seq\" OWNED BY audit.id; CREATE SEQUENCE \"q\"\"q\" OWNED BY audit.id";
    client.batch_execute(more).await.expect("more of them");
    for statement in refused {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{statement}: {error}");
    }
    let by_parameter = client.query_one("SELECT setval($1::text::regclass, 60)", &[&"audit_id_seq"]).await;
    assert_eq!(by_parameter.expect("it runs there").get::<_, i64>(0), 60);
    assert_eq!(number("INSERT INTO audit (what) VALUES ('x') RETURNING id").await, 61);
    for name in ["\"odd.seq\"", "\"q\"\"q\""] {
        number(&format!("SELECT nextval('{name}')")).await;
        number(&format!("SELECT nextval('{name}')")).await;
        assert_eq!(number(&format!("SELECT last_value FROM {name}")).await, 2);
    }
    client.batch_execute("ALTER SEQUENCE audit_id_seq RESTART WITH 200").await.expect("everywhere");
    assert_eq!(number("INSERT INTO audit (what) VALUES ('x') RETURNING id").await, 200);
    // Code that names it runs where it is.
    let code = "CREATE FUNCTION drawn() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('audit_id_seq') $$";
    client.batch_execute(code).await.expect("a function");
    assert_eq!(number("SELECT drawn()").await, 201);
    assert_eq!(number("INSERT INTO audit (what) VALUES ('x') RETURNING id").await, 202);
    // Others are the default shard's.
    assert_eq!(number("SELECT setval('tickets', 7) + nextval('tickets')").await, 15);
    assert_eq!(number("SELECT setval(pg_get_serial_sequence('notes', 'id'), 4)").await, 4);
    assert_eq!(number("INSERT INTO notes (what) VALUES ('x') RETURNING id::bigint").await, 5);
}
