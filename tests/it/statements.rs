//! Statements that servers keep for many clients: read as each client's own would be, and told by nothing but their speed.
//!
//! One server connection serves all clients of a test, so that what one has prepared is there for the next.

use futures_util::SinkExt;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::harness::{Database, Meridian, connect, database, meridian};
use crate::stand::{self, Pair, RawClient, Received};

const SCHEMA: &str = "
CREATE TABLE notes (id int PRIMARY KEY, body text, at timestamptz);
INSERT INTO notes SELECT n, 'note ' || n, '2024-01-01' FROM generate_series(1, 100) n;
CREATE FUNCTION kept(text) RETURNS TABLE (statements bigint, plans bigint) LANGUAGE sql STABLE AS $$
    SELECT count(*), coalesce(sum(generic_plans), 0)::bigint FROM pg_prepared_statements
    WHERE statement = $1 AND name LIKE 'mrd%' $$;
";

const ONE_CONNECTION: &[(&str, &str)] = &[("proxy", "workers = 1"), ("pool", "size = 1")];

async fn start() -> (Database, Meridian) {
    start_with("").await
}

async fn start_with(pool: &str) -> (Database, Meridian) {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name);
    let meridian = described.one_connection().section("pool", pool).start();
    connect(&meridian.app()).await.batch_execute(SCHEMA).await.expect("the schema");
    (database, meridian)
}

/// The one value of an unnamed statement.
async fn ask(client: &Client, sql: &str) -> String {
    let rows = client.query_typed(sql, &[]).await.expect(sql);
    rows[0].get(0)
}

/// How many statements of the server connection have this text, and how many plans for all values they have: seen from within
/// a function, for whoever names the view itself is not shown them.
async fn kept(client: &Client, text: &str) -> (i64, i64) {
    let rows =
        client.simple_query(&format!("SELECT * FROM kept('{text}')")).await.expect("the server's statements");
    let row = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let number = |index| row.and_then(|row| row.get(index)).and_then(|cell| cell.parse().ok()).unwrap_or(-1);
    (number(0), number(1))
}

/// In the text, in an array, and over a column that names no shard.
#[tokio::test]
async fn ten_thousand_values_of_an_in_list_are_looked_for_on_all_shards() {
    let database = database().await;
    let tables = "[[tables]]\nname = \"points\"\nplacement = \"hash\"\nkey = \"id\"\n";
    let meridian = meridian(&database.cluster).database(&database.name).tables(tables).start();
    let client = connect(&meridian.app()).await;
    client.batch_execute("CREATE TABLE points (id int PRIMARY KEY, v int)").await.expect("a table");
    let points: Vec<String> = (1..=20_000).map(|id| format!("{id}\t{}\n", id + 7)).collect();
    let sink = client.copy_in("COPY points FROM STDIN").await.expect("COPY");
    let mut sink = std::pin::pin!(sink);
    sink.send(bytes::Bytes::from(points.concat())).await.expect("rows");
    sink.finish().await.expect("its end");
    // Each twice: a row is found once.
    let numbers: Vec<i32> = (1..=2500).chain(30_001..=32_500).flat_map(|n| [n, n]).collect();
    let list = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for (column, found) in [("id", 2500), ("v", 2500 - 7)] {
        let written = format!("SELECT id FROM points WHERE {column} IN ({list}) ORDER BY id");
        for _ in 0..2 {
            assert_eq!(client.query(&written, &[]).await.expect("an answer").len(), found, "{column}");
        }
        let counted = format!("SELECT count(*), count(DISTINCT v) FROM points WHERE {column} IN ({list})");
        let row = client.query_one(&counted, &[]).await.expect("a count");
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (found as i64, found as i64), "{column}");
        let bound = format!("SELECT id FROM points WHERE {column} = ANY ($1)");
        assert_eq!(client.query(&bound, &[&numbers]).await.expect("an answer").len(), found, "{column}");
        let others = format!("SELECT count(*) FROM points WHERE {column} NOT IN ({list})");
        assert_eq!(
            client.query_one(&others, &[]).await.expect("a count").get::<_, i64>(0),
            20_000 - found as i64
        );
    }
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

/// It is that of its preparation, which no other server can be told.
#[tokio::test]
async fn a_literal_that_means_now_is_not_read_again_later() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let now = client.prepare("SELECT count(*) FROM notes WHERE at < 'now'").await.expect("a statement");
    let sentence =
        client.prepare("SELECT count(*) FROM notes WHERE body <> 'do it now'").await.expect("a statement");
    let today = client.prepare("SELECT count(*) FROM notes WHERE at < 'today'").await.expect("a statement");
    assert_eq!(client.query_one(&now, &[]).await.expect("just now").get::<_, i64>(0), 100);
    client.batch_execute("SELECT pg_sleep(1.1)").await.expect("some time");
    let refused = client.query_one(&now, &[]).await.expect_err("it was read a second ago");
    let error = refused.as_db_error().expect("an answer");
    assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(error.routine(), Some("RevalidateCachedQuery"), "drivers prepare it again");
    for kept in [&sentence, &today] {
        assert_eq!(client.query_one(kept, &[]).await.expect("the same").get::<_, i64>(0), 100);
    }
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
    // Writes, too, but nothing inside of a block: there an error of a kept one could not be mended.
    let write = "UPDATE notes SET body = $2 WHERE id = $1";
    for round in 0..3 {
        let body = format!("body {round}");
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&7, Type::INT4), (&body, Type::TEXT)];
        assert_eq!(client.query_typed(write, &parameters).await.expect(write).len(), 0);
    }
    assert_eq!(kept(&client, write).await.0, 1);
    let in_block = "SELECT body FROM notes WHERE id = 7 LIMIT 1";
    client.batch_execute("BEGIN").await.expect("a block");
    for _ in 0..3 {
        assert_eq!(ask(&client, in_block).await, "body 2");
    }
    client.batch_execute("COMMIT").await.expect("the end");
    assert_eq!(kept(&client, in_block).await.0, 0);
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
    // A parameter whose type was found by the column's.
    let found = "UPDATE notes SET body = $1 WHERE extra = $1";
    for _ in 0..3 {
        client.execute_typed(found, &[(&"x", Type::UNKNOWN)]).await.expect(found);
    }
    // Named statements, just prepared, whose text another client has prepared before.
    let named = client.prepare(sql).await.expect(sql);
    assert_eq!(client.query_one(&named, &[&1]).await.expect(sql).len(), 4);
    server.batch_execute("ALTER TABLE notes ADD COLUMN late int").await.expect("a change");
    let other = connect(&meridian.app()).await;
    let again = other.prepare(sql).await.expect("prepared anew, by another");
    assert_eq!(other.query_one(&again, &[&1]).await.expect(sql).len(), 5);
    server.batch_execute("ALTER TABLE notes DROP COLUMN late").await.expect("a change");
    // Tables of a transaction that is rolled back are nobody else's.
    for columns in ["a int", "a text, b int"] {
        let made = "SELECT * FROM made";
        client.batch_execute(&format!("BEGIN; CREATE TABLE made ({columns})")).await.expect("a table");
        let statement = client.prepare(made).await.expect(made);
        assert_eq!(statement.columns().len(), columns.split(',').count());
        client.batch_execute("ROLLBACK").await.expect("the end");
    }
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

/// Settings travel in the flight of the statement, and are undone with it.
#[tokio::test]
async fn settings_hold_where_a_kept_statement_is_asked_again() {
    let (database, meridian) = start().await;
    let (ours, theirs) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    theirs.batch_execute("SET timezone = 'Asia/Tokyo'").await.expect("a setting");
    let sql = "SELECT * FROM notes WHERE id = $1";
    for _ in 0..3 {
        ours.query_typed(sql, &[(&1, Type::INT4)]).await.expect(sql);
    }
    let server = database.direct("us-east").await;
    server.batch_execute("ALTER TABLE notes ADD COLUMN extra int").await.expect("a change");
    assert_eq!(theirs.query_typed(sql, &[(&1, Type::INT4)]).await.expect(sql)[0].len(), 4);
    assert_eq!(ask(&theirs, "SELECT current_setting('TimeZone')").await, "Asia/Tokyo");
    assert_ne!(ask(&ours, "SELECT current_setting('TimeZone')").await, "Asia/Tokyo");
}

/// What was done before in the same transaction is not undone by a statement that is asked again.
#[test]
fn a_write_before_a_flush_outlives_a_kept_statement_behind_it() {
    let pair = Pair::with("flushed", "", ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&["CREATE TABLE notes (id int PRIMARY KEY, body text)", "CREATE TABLE log (entry int)"]);
        let mut client = target.raw();
        let server = match target.kind {
            stand::Kind::Postgres => target.clone(),
            stand::Kind::Meridian => {
                // Reads and writes on one server.
                client.simple("SET meridian.consistency = 'strong'");
                pair.shards().remove(0).1
            }
        };
        let ask = [
            stand::parse("", "SELECT * FROM notes WHERE id = 1", &[]),
            stand::bind("", "", &[], &[]),
            stand::execute("", 0),
            stand::sync(),
        ]
        .concat();
        for _ in 0..3 {
            client.send(&ask);
            client.until_ready();
        }
        server.raw().simple("ALTER TABLE notes ADD COLUMN extra int");
        let write = [
            stand::parse("", "INSERT INTO log VALUES (1)", &[]),
            stand::bind("", "", &[], &[]),
            stand::execute("", 0),
            stand::flush(),
        ];
        client.send(&write.concat());
        let written = |client: &mut RawClient| match client.receive() {
            Received::Message(message) => message.tag == b'C',
            _ => panic!("no answer"),
        };
        while !written(&mut client) {}
        client.send(&ask);
        let answer = client.until_ready();
        assert!(answer.iter().all(|message| message.tag != b'E'), "{:?}", target.kind);
        assert_eq!(client.value("SELECT count(*) FROM log").as_deref(), Some("1"), "{:?}", target.kind);
    }
}

/// The session's settings come to the connection with the statement that takes one back.
#[test]
fn a_client_is_told_of_a_setting_that_goes_back() {
    let pair = Pair::with("reported", "", ONE_CONNECTION);
    for target in pair.targets() {
        let (mut client, mut other) = (target.raw(), target.raw());
        let told = |messages: &[stand::Message]| -> Vec<String> {
            let reports = messages.iter().filter(|message| message.tag == b'S');
            reports.map(|report| String::from_utf8_lossy(&report.body).replace('\0', " ")).collect()
        };
        for back in ["RESET datestyle", "SET datestyle = 'ISO, MDY'", "RESET ALL"] {
            assert_eq!(told(&client.simple("SET datestyle = 'ISO, DMY'")), ["DateStyle ISO, DMY "], "{back}");
            other.simple("SELECT 1");
            assert_eq!(told(&client.simple(back)), ["DateStyle ISO, MDY "], "{:?}: {back}", target.kind);
        }
    }
}

/// How a plan prints its constants is a matter of settings, too.
#[tokio::test]
async fn constants_are_printed_as_each_session_wants_them() {
    let (_database, meridian) = start().await;
    let (ours, theirs) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    theirs
        .batch_execute("SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape'")
        .await
        .expect("settings");
    for (sql, one, other) in [
        ("SELECT make_interval(days => 1)::text", "1 day", "P1D"),
        ("SELECT '\\x41'::bytea::text", "\\x41", "A"),
    ] {
        for _ in 0..3 {
            assert_eq!(ask(&ours, sql).await, one);
            assert_eq!(ask(&theirs, sql).await, other);
        }
        let named = (ours.prepare(sql).await.expect(sql), theirs.prepare(sql).await.expect(sql));
        assert_eq!(ours.query_one(&named.0, &[]).await.expect(sql).get::<_, String>(0), one);
        assert_eq!(theirs.query_one(&named.1, &[]).await.expect(sql).get::<_, String>(0), other);
    }
}

#[tokio::test]
async fn what_fails_to_be_prepared_loses_no_other_statement() {
    let (_database, meridian) = start_with("prepared_statements_max = 2").await;
    let client = connect(&meridian.app()).await;
    for round in 0..3 {
        for sql in ["SELECT 1", "SELECT 2", "SELECT 3"] {
            let statement =
                client.prepare(sql).await.unwrap_or_else(|error| panic!("{round} {sql}: {error}"));
            client.query_one(&statement, &[]).await.expect(sql);
            client.prepare("SELECT * FROM missing").await.expect_err("no such table");
        }
    }
    // Deallocated by a hand that Meridian does not see: told once, by a connection that nobody else gets.
    let statement = client.prepare("SELECT 4").await.expect("a statement");
    client.batch_execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$").await.ok();
    let _ = client.query_one(&statement, &[]).await;
    let other = connect(&meridian.app()).await;
    let statement = other.prepare("SELECT 4").await.expect("another connection");
    other.query_one(&statement, &[]).await.expect("its answer");
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

/// What the session performs itself is not kept for more rows: its client is told so, not that there are no more.
#[test]
fn a_portal_that_is_cut_does_not_pretend_to_be_at_its_end() {
    let pair = Pair::new("cut_portal", "");
    let Some(meridian) = &pair.meridian else { return };
    let mut client = meridian.raw();
    client.simple("BEGIN");
    let text = "SELECT set_config('app.cut', '1', false), g FROM generate_series(1, 10) g";
    let ask = [stand::parse("", text, &[]), stand::bind("p", "", &[], &[]), stand::execute("p", 2)];
    client.send(&[ask.concat(), stand::sync()].concat());
    let first: Vec<String> = client.until_ready().iter().map(stand::Message::line).collect();
    assert_eq!(first, ["1", "2", "D 1 | 1", "D 1 | 2", "s", "Z T"]);
    client.send(&[stand::execute("p", 2), stand::sync()].concat());
    let second: Vec<String> = client.until_ready().iter().map(stand::Message::line).collect();
    assert!(second[0].starts_with("E ERROR 0A000"), "{second:?}");
}
