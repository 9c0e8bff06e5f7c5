//! Statements that servers keep for many clients: read as each client's own would be, and told by nothing but their speed.
//!
//! One server connection serves all clients of a test, so that what one has prepared is there for the next.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::harness::{Database, Meridian, connect, database, meridian};

const SCHEMA: &str = "
CREATE TABLE notes (id int PRIMARY KEY, body text, at timestamptz);
INSERT INTO notes SELECT n, 'note ' || n, '2024-01-01' FROM generate_series(1, 100) n;
";

async fn start() -> (Database, Meridian) {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("proxy", "workers = 1")
        .section("pool", "size = 1")
        .start();
    connect(&meridian.app()).await.batch_execute(SCHEMA).await.expect("the schema");
    (database, meridian)
}

/// The one value of an unnamed statement.
async fn ask(client: &Client, sql: &str) -> String {
    let rows = client.query_typed(sql, &[]).await.expect(sql);
    rows[0].get(0)
}

/// How many statements of the server connection have this text, and how many plans for all values they have.
async fn kept(client: &Client, text: &str) -> (i64, i64) {
    let sql = format!(
        "SELECT count(*), coalesce(sum(generic_plans), 0)::bigint FROM pg_prepared_statements \
         WHERE statement = '{text}' AND name LIKE 'mrd%'"
    );
    let rows = client.simple_query(&sql).await.expect("the server's statements");
    let row = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let number = |index| row.and_then(|row| row.get(index)).and_then(|cell| cell.parse().ok()).unwrap_or(-1);
    (number(0), number(1))
}

#[tokio::test]
async fn literals_are_read_by_the_settings_of_their_session() {
    let (_database, meridian) = start().await;
    let (ours, theirs) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    ours.batch_execute("SET datestyle = 'ISO, DMY'").await.expect("a setting");
    theirs.batch_execute("SET datestyle = 'ISO, MDY'").await.expect("a setting");
    let sql = "SELECT to_char('01/02/2024'::date, 'DD Mon')";
    for _ in 0..3 {
        assert_eq!(ask(&ours, sql).await, "01 Feb");
        assert_eq!(ask(&theirs, sql).await, "02 Jan");
    }
    let named = (ours.prepare(sql).await.expect(sql), theirs.prepare(sql).await.expect(sql));
    assert_eq!(ours.query_one(&named.0, &[]).await.expect(sql).get::<_, String>(0), "01 Feb");
    assert_eq!(theirs.query_one(&named.1, &[]).await.expect(sql).get::<_, String>(0), "02 Jan");
    // The transaction's own, and after it.
    theirs.batch_execute("BEGIN; SET LOCAL datestyle = 'ISO, DMY'").await.expect("a setting");
    assert_eq!(ask(&theirs, sql).await, "01 Feb");
    theirs.batch_execute("COMMIT").await.expect("the end");
    theirs.batch_execute("BEGIN; SELECT set_config('datestyle', 'ISO, DMY', true)").await.expect("a setting");
    assert_eq!(ask(&theirs, sql).await, "01 Feb");
    theirs.batch_execute("ROLLBACK").await.expect("the end");
    assert_eq!(ask(&theirs, sql).await, "02 Jan");
}

#[tokio::test]
async fn a_literal_that_means_now_means_each_clients_own_now() {
    let (_database, meridian) = start().await;
    let sql = "SELECT extract(epoch FROM 'now'::timestamptz)::text";
    let mut times = Vec::new();
    let mut held = Vec::new();
    for _ in 0..3 {
        let client = connect(&meridian.app()).await;
        let named = client.prepare(sql).await.expect(sql);
        times.push(client.query_one(&named, &[]).await.expect(sql).get::<_, String>(0));
        times.push(ask(&client, sql).await);
        times.push(ask(&client, sql).await);
        held.push((client, named));
    }
    let distinct: std::collections::BTreeSet<&String> = times.iter().collect();
    assert_eq!(distinct.len(), times.len(), "each was read at its own time: {times:?}");
}

#[tokio::test]
async fn an_unnamed_statement_that_repeats_is_parsed_once() {
    let (_database, meridian) = start().await;
    let by_key = "SELECT body FROM notes WHERE id = $1";
    let by_order = "SELECT body FROM notes WHERE id >= $1 ORDER BY id LIMIT 1";
    for round in 1..=12 {
        let client = connect(&meridian.app()).await;
        for sql in [by_key, by_order] {
            let parameter: &(dyn ToSql + Sync) = &round;
            let rows = client.query_typed(sql, &[(parameter, Type::INT4)]).await.expect(sql);
            assert_eq!(rows[0].get::<_, &str>(0), format!("note {round}"));
        }
        let expected = i64::from(round > 1);
        assert_eq!(kept(&client, by_key).await.0, expected);
        assert_eq!(kept(&client, by_order).await, (expected, 0), "no plan for all values");
    }
    let client = connect(&meridian.app()).await;
    assert!(kept(&client, by_key).await.1 > 0, "its plan is the same for all values");
    // Writes are kept inside of a block, too.
    let write = "UPDATE notes SET body = $2 WHERE id = $1";
    for round in 0..3 {
        client.batch_execute("BEGIN").await.expect("a block");
        let body = format!("body {round}");
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&7, Type::INT4), (&body, Type::TEXT)];
        assert_eq!(client.query_typed(write, &parameters).await.expect(write).len(), 0);
        client.batch_execute("COMMIT").await.expect("the end");
    }
    assert_eq!(kept(&client, write).await.0, 1);
    assert_eq!(ask(&client, "SELECT body FROM notes WHERE id = 7").await, "body 2");
}

#[tokio::test]
async fn tables_that_change_under_an_unnamed_statement_are_not_told_of() {
    let (database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let sql = "SELECT * FROM notes WHERE id = $1";
    let columns = async |expected: usize| {
        let rows = client.query_typed(sql, &[(&1, Type::INT4)]).await.expect(sql);
        assert_eq!(rows[0].len(), expected);
    };
    columns(3).await;
    columns(3).await;
    assert_eq!(kept(&client, sql).await.0, 1);
    // By a hand that Meridian does not see, at once and inside of a block.
    let server = database.direct("us-east").await;
    server.batch_execute("ALTER TABLE notes ADD COLUMN extra int").await.expect("a change");
    columns(4).await;
    columns(4).await;
    columns(4).await;
    client.batch_execute("BEGIN").await.expect("a block");
    columns(4).await;
    client.batch_execute("ROLLBACK").await.expect("the end");
    server.batch_execute("ALTER TABLE notes ALTER COLUMN extra TYPE text").await.expect("a change");
    client.batch_execute("BEGIN").await.expect("a block");
    columns(4).await;
    columns(4).await;
    client.batch_execute("COMMIT").await.expect("the end");
    // Through Meridian, in the transaction of the statement.
    client.batch_execute("BEGIN; ALTER TABLE notes ADD COLUMN more int").await.expect("a change");
    columns(5).await;
    client.batch_execute("ROLLBACK").await.expect("the end");
    columns(4).await;
    client
        .batch_execute(
            "DROP TABLE notes; CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1)",
        )
        .await
        .expect("another table");
    columns(1).await;
    columns(1).await;
}

#[tokio::test]
async fn errors_of_a_kept_statement_are_those_of_an_unnamed_one() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let sql = "SELECT 10 / id FROM notes WHERE id = $1";
    for _ in 0..3 {
        client.query_typed(sql, &[(&1, Type::INT4)]).await.expect(sql);
    }
    assert_eq!(kept(&client, sql).await.0, 1);
    let error = client.query_typed(sql, &[]).await.expect_err("no parameter");
    let error = error.as_db_error().expect("the server's");
    assert_eq!(error.code(), &SqlState::PROTOCOL_VIOLATION);
    assert_eq!(error.message(), "bind message supplies 0 parameters, but prepared statement \"\" requires 1");
    let named = client.prepare(sql).await.expect(sql);
    assert_eq!(client.query_one(&named, &[&2]).await.expect(sql).get::<_, i32>(0), 5);
    let zero = "INSERT INTO notes (id) VALUES ($1)";
    for _ in 0..3 {
        let error = client.query_typed(zero, &[(&1, Type::INT4)]).await.expect_err("it is there");
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    }
}

#[tokio::test]
async fn a_sessions_own_tables_hide_those_that_a_kept_statement_reads() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let sql = "SELECT count(*)::text FROM notes";
    for _ in 0..3 {
        assert_eq!(ask(&client, sql).await, "100");
    }
    client.batch_execute("CREATE TEMPORARY TABLE other (id int)").await.expect("a table");
    assert_eq!(ask(&client, sql).await, "100");
    client.batch_execute("CREATE TEMPORARY TABLE notes (id int)").await.expect("a table");
    for _ in 0..3 {
        assert_eq!(ask(&client, sql).await, "0");
    }
    client.batch_execute("DROP TABLE pg_temp.notes, other").await.expect("the end");
    for _ in 0..3 {
        assert_eq!(ask(&client, sql).await, "100");
    }
    // A schema that stands before another in the path.
    client.batch_execute("CREATE SCHEMA mine; SET search_path = mine, public").await.expect("a path");
    assert_eq!(ask(&client, sql).await, "100");
    assert_eq!(ask(&client, sql).await, "100");
    client.batch_execute("CREATE TABLE mine.notes (id int)").await.expect("a table");
    assert_eq!(ask(&client, sql).await, "0");
    assert_eq!(ask(&client, sql).await, "0");
    assert_eq!(ask(&connect(&meridian.app()).await, sql).await, "100");
}
