//! SELECTs whose tables are gathered on one server: their bounds, their transactions, and what they leave behind.
//!
//! That their answers are right is for the equality suite and the random statements to show.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::harness::{Database, Meridian, connect, database, eventually, meridian};
use crate::stand::{self, Kind, Parameter, Target};

pub(super) const TABLES: &str = "[[tables]]\nname = \"orders\"\nplacement = \"hash\"\nkey = \"id\"\n\n\
    [[tables]]\nname = \"people\"\nplacement = \"hash\"\nkey = \"id\"\n";

const SCHEMA: &str = "
CREATE TABLE people (id int PRIMARY KEY, name text, height int);
CREATE TABLE orders (id int PRIMARY KEY, person int, amount int);
";

/// Orders of a person lie on other shards than the person.
pub(super) const JOIN: &str = "SELECT count(*), sum(amount) FROM orders o JOIN people p ON p.id = o.person";

pub(super) async fn start(scratch: &str) -> (Database, Meridian) {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .tables(TABLES)
        .section("scratch", scratch)
        .start();
    let client = connect(&meridian.app()).await;
    client.batch_execute(SCHEMA).await.expect("the schema");
    for id in 0..40 {
        let person = format!("INSERT INTO people VALUES ({id}, 'p{id}', {})", 150 + id);
        client.batch_execute(&person).await.expect("a person");
        for order in 0..5 {
            let order = format!("INSERT INTO orders VALUES ({}, {id}, {order})", id * 5 + order);
            client.batch_execute(&order).await.expect("an order");
        }
    }
    (database, meridian)
}

pub(super) async fn answer(client: &Client, sql: &str) -> (i64, i64) {
    let row = client.query_one(sql, &[]).await.expect(sql);
    (row.get(0), row.get(1))
}

/// Cancels a statement whose final text sleeps, once it does so on this shard.
async fn cancelled_there(database: &Database, client: &Client, slow: &str, shard: &str) {
    let token = client.cancel_token();
    let cancel = async {
        let server = database.direct(shard).await;
        eventually("the final text runs", async || {
            let running =
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'";
            (server.query_one(running, &[]).await.expect("a count").get::<_, i64>(0) > 0).then_some(())
        })
        .await;
        token.cancel_query(tokio_postgres::NoTls).await.expect("a cancel");
    };
    let (result, ()) = tokio::join!(client.query(slow, &[]), cancel);
    assert_eq!(result.expect_err("it was cancelled").code(), Some(&SqlState::QUERY_CANCELED));
}

/// No scratch session keeps a table, or a transaction.
pub(super) async fn nothing_is_left(database: &Database) {
    let server = database.direct("us-east").await;
    eventually("scratch sessions are empty", async || {
        let left =
            "SELECT (SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind IN ('r', 'v'))
                         + (SELECT count(*) FROM pg_stat_activity
                             WHERE datname = current_database() AND state LIKE 'idle in transaction%')";
        let row = server.query_one(left, &[]).await.expect("a count");
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_gathered_is_bounded_and_the_table_is_named() {
    let (database, meridian) = start("rows_max = 100").await;
    let client = connect(&meridian.app()).await;
    let error = client.query(JOIN, &[]).await.expect_err("200 orders are too many");
    let error = error.as_db_error().expect("an error of SQL");
    assert_eq!(error.code(), &SqlState::CONFIGURATION_LIMIT_EXCEEDED);
    assert!(error.message().contains("\"public.orders\""), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("scratch.rows_max")), "{error}");
    let lines = client.query(&format!("EXPLAIN {JOIN}"), &[]).await.expect("a plan");
    let lines: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
    assert!(lines.iter().any(|line| line.contains("over gathered tables")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("Seq Scan on orders")), "of each shard: {lines:?}");
    let expected = lines.iter().filter(|line| line.ends_with(" rows expected")).count();
    assert_eq!(expected, 2, "{lines:?}");
    let analyze =
        client.query(&format!("EXPLAIN ANALYZE {JOIN}"), &[]).await.expect_err("it has no plan before");
    assert_eq!(analyze.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    let narrow = format!("{JOIN} WHERE o.amount = 1 AND p.height >= 170");
    assert_eq!(answer(&client, &narrow).await, (20, 20), "the shards apply the conditions");
    nothing_is_left(&database).await;
}

#[tokio::test]
async fn what_is_too_much_for_a_merge_is_gathered() {
    let (database, _wide) = start("").await;
    let narrow = meridian(&database.cluster).database(&database.name).tables(TABLES);
    let narrow = narrow.section("limits", "merge_rows_max = 20").start();
    let client = connect(&narrow.app()).await;
    let groups = "SELECT count(DISTINCT person), sum(amount) FROM orders";
    let numbers = "SELECT amount * 1000 + id, count(*) FROM orders GROUP BY 1";
    let names = "SELECT name FROM people ORDER BY name COLLATE \"en-x-icu\"";
    let all = async |client: &Client| {
        assert_eq!(client.query(numbers, &[]).await.expect(numbers).len(), 200);
        let names = client.query(names, &[]).await.expect(names);
        assert_eq!((names.len(), names[39].get::<_, String>(0)), (40, "p9".to_owned()));
    };
    all(&client).await;
    assert_eq!(answer(&client, groups).await, (40, 400));
    client.batch_execute("BEGIN; UPDATE orders SET amount = 1000 WHERE id = 7").await.expect("a write");
    all(&client).await;
    assert_eq!(answer(&client, groups).await, (40, 400 - 2 + 1000), "the transaction goes on");
    client.batch_execute("ROLLBACK").await.expect("the end");

    // Rows that the client has cannot be taken back.
    let long = "UPDATE people SET name = repeat(name, 5000)";
    for shard in database.cluster.shards() {
        let server = database.direct(shard.name()).await;
        server.batch_execute(long).await.expect("names that fill the buffers");
    }
    let distinct = "SELECT DISTINCT name FROM people";
    for block in ["BEGIN", ""] {
        client.batch_execute(block).await.expect("a block, or none");
        let error = client.query(distinct, &[]).await.expect_err("40 names are too many");
        let error = error.as_db_error().expect("an error of SQL");
        assert_eq!(error.code(), &SqlState::CONFIGURATION_LIMIT_EXCEEDED);
        assert!(error.hint().is_some_and(|hint| hint.contains("limits.merge_rows_max")), "{error}");
        client.batch_execute("ROLLBACK").await.expect("the end");
        assert_eq!(answer(&client, groups).await, (40, 400));
    }
    nothing_is_left(&database).await;
}

/// PostgreSQL makes a bigint of it; a merge cannot.
#[tokio::test]
async fn bounds_of_other_types_are_left_to_postgresql() {
    let (database, meridian) = start("").await;
    let target =
        Target { kind: Kind::Meridian, port: meridian.address().port(), database: database.name.clone() };
    let mut client = target.raw();
    for (declared, bound, rows) in [(Type::NUMERIC, "6.5", 7), (Type::FLOAT8, "6.5", 6), (Type::INT2, "6", 6)]
    {
        let parse = stand::parse("", "SELECT id FROM orders ORDER BY id LIMIT $1", &[declared.oid()]);
        let bind = |values: &[Parameter]| stand::bind("", "", values, &[]);
        let ask = [stand::execute("", 0), stand::sync()].concat();
        client.send(&[parse.clone(), bind(&[Parameter::Text(bound.into())]), ask.clone()].concat());
        let answer = client.until_ready();
        let found = answer.iter().filter(|message| message.tag == b'D').count();
        assert_eq!(found, rows, "{declared} {answer:?}");
        client.send(&[parse, bind(&[]), ask].concat());
        let answer = client.until_ready();
        let error = answer.iter().find(|message| message.tag == b'E').and_then(|error| error.field(b'C'));
        assert_eq!(error.as_deref(), Some("08P01"), "a value is missing");
    }
    nothing_is_left(&database).await;
}

#[tokio::test]
async fn what_is_tied_to_a_key_is_asked_of_its_shard_alone() {
    let (_database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let way = async |sql: &str| {
        let lines = client.query(&format!("EXPLAIN {sql}"), &[]).await.expect(sql);
        lines[0].get::<_, String>(0)
    };
    let tied = [
        (
            "SELECT count(*), max(p.id) FROM people p WHERE p.id = 7 AND EXISTS (SELECT FROM orders o WHERE o.id = p.id)",
            1,
        ),
        ("SELECT count(*), max(p.id) FROM people p LEFT JOIN orders o ON o.id = p.id WHERE p.id = 7", 1),
        ("SELECT count(*), max(p.id) FROM people p, orders o WHERE p.id = 7 AND o.id = 7 AND o.id = p.id", 1),
        (
            "SELECT p.id, (SELECT o.amount FROM orders o WHERE o.id = p.id) FROM people p WHERE p.id IN (7, 7)",
            7,
        ),
    ];
    for (sql, first) in tied {
        assert_eq!(way(sql).await, "Meridian: way: relay", "{sql}");
        let row = client.query_one(sql, &[]).await.expect(sql);
        let value = row.try_get::<_, i64>(0).or_else(|_| row.try_get::<_, i32>(0).map(i64::from));
        assert_eq!(value.expect("a number"), first, "{sql}");
    }
    for sql in [
        "SELECT count(*) FROM people p RIGHT JOIN orders o ON o.id = p.id WHERE p.id = 7 OR p.id IS NULL",
        "SELECT count(*) FROM people p WHERE p.id = 7 AND EXISTS (SELECT FROM orders o WHERE o.person = p.id)",
        "SELECT id FROM people WHERE id = 7 UNION ALL SELECT id FROM orders",
    ] {
        assert_eq!(way(sql).await, "Meridian: way: scatter", "{sql}");
    }
    let without =
        "SELECT count(*), sum(o.id) FROM people p RIGHT JOIN orders o ON o.id = p.id WHERE p.id IS NULL";
    assert_eq!(answer(&client, without).await, (160, (40..200).sum()));
}

/// 20,000 orders, of which 40 people have some each; more than may be gathered.
#[tokio::test]
async fn keys_of_the_smaller_table_limit_what_is_gathered_of_the_larger() {
    let (database, meridian) = start("rows_max = 2000").await;
    for shard in database.cluster.shards() {
        let server = database.direct(shard.name()).await;
        let more = "INSERT INTO orders SELECT -id, id % 1000, 1 FROM generate_series(1000, 5999) AS id;
                    ANALYZE orders, people";
        // Rows that no statement through the proxy finds by their key: it is the number that counts.
        server.batch_execute(more).await.expect("many orders");
    }
    let client = connect(&meridian.app()).await;
    let computed = "SELECT count(*) FROM orders o JOIN people p ON p.id = o.person + 0";
    let error = client.query_one(computed, &[]).await.expect_err("20,200 orders are too many");
    assert_eq!(error.code(), Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED));
    assert_eq!(answer(&client, JOIN).await, (200 + 800, 400 + 800));
    let few = format!("{JOIN} WHERE p.height >= 188");
    let plan = client.query(&format!("EXPLAIN {few}"), &[]).await.expect("a plan");
    let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
    let order: Vec<&String> = plan.iter().filter(|line| line.contains("rows expected")).collect();
    assert!(order[0].contains("gather public.people"), "{plan:?}");
    assert!(order[1].contains("those with a key of public.people (\"person\" = \"id\")"), "{plan:?}");
    // Persons 38 and 39: five orders each, and on each shard five more.
    assert_eq!(answer(&client, &few).await, (2 * 5 + 2 * 4 * 5, 2 * 10 + 2 * 4 * 5));
    let typed = format!("{JOIN} WHERE p.height >= $1");
    let row = client.query_one(&typed, &[&188_i32]).await.expect("an answer with a parameter");
    assert_eq!(row.get::<_, i64>(0), 50);
    let left = "SELECT count(*), count(o.id) FROM people p LEFT JOIN orders o ON o.person = p.id AND o.id < 0 \
                WHERE p.height >= 188";
    assert_eq!(answer(&client, left).await, (40, 40));
    let none = format!("{JOIN} WHERE p.height > 1000");
    let row = client.query_one(&none, &[]).await.expect("no keys at all");
    assert_eq!(row.get::<_, i64>(0), 0);
    client.batch_execute("BEGIN; UPDATE people SET height = 1 WHERE id = 39").await.expect("a write");
    assert_eq!(answer(&client, &few).await.0, 25, "by the keys that the transaction sees");
    client.batch_execute("ROLLBACK").await.expect("the end");
    nothing_is_left(&database).await;
}

#[tokio::test]
async fn a_transaction_sees_its_own_writes_among_gathered_rows() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    assert_eq!(answer(&client, JOIN).await, (200, 400));
    client.batch_execute("BEGIN; UPDATE orders SET amount = 1000 WHERE id = 7").await.expect("a write");
    assert_eq!(answer(&client, JOIN).await, (200, 400 - 2 + 1000));
    assert_eq!(
        answer(&client, "SELECT count(*), sum(amount) FROM orders o LEFT JOIN people p ON p.id = o.person")
            .await
            .1,
        1398
    );
    let other = connect(&meridian.app()).await;
    assert_eq!(answer(&other, JOIN).await, (200, 400), "others do not");
    client.batch_execute("SAVEPOINT s").await.expect("a savepoint");
    let error = client.query(&format!("SELECT * FROM ({JOIN}) j, now(), people"), &[]).await;
    let error = error.expect_err("the transaction's time is not the scratch session's");
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    client.batch_execute("ROLLBACK TO s").await.expect("as after any error");
    assert_eq!(answer(&client, JOIN).await.1, 1398);
    client.batch_execute("ROLLBACK").await.expect("the end");
    assert_eq!(answer(&client, JOIN).await, (200, 400));
    nothing_is_left(&database).await;
}

/// A condition is applied by the shards, to rows that PostgreSQL does not come to where nothing is asked for.
#[tokio::test]
async fn a_condition_that_only_a_shard_comes_to_does_not_fail_the_transaction() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let failing = format!("{JOIN} WHERE 10 / o.amount > 1");
    let unread = format!("{failing} LIMIT 0");
    for block in ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN READ ONLY"] {
        client.batch_execute(block).await.expect("a block");
        if block == "BEGIN" {
            client.batch_execute("UPDATE orders SET amount = 1000 WHERE id = 7").await.expect("a write");
        }
        let before = answer(&client, JOIN).await;
        client.batch_execute("SAVEPOINT meridian_guard").await.expect("a savepoint of that name");
        assert!(client.query(&unread, &[]).await.expect(&unread).is_empty());
        client.batch_execute(&format!("DECLARE c CURSOR FOR {unread}")).await.expect("a cursor");
        assert_eq!(answer(&client, JOIN).await, before, "the transaction goes on");
        let error = client.query(&failing, &[]).await.expect_err("PostgreSQL comes to it, too");
        assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
        let error = client.query(JOIN, &[]).await.expect_err("as after any error");
        assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
        client.batch_execute("ROLLBACK TO meridian_guard").await.expect("the client's own savepoint");
        assert_eq!(answer(&client, JOIN).await, before);
        client.batch_execute("ROLLBACK").await.expect("the end");
    }
    nothing_is_left(&database).await;
}

/// A value that is none of its declared type fails with every condition, and without.
#[tokio::test]
async fn a_parameter_that_cannot_be_read_fails_the_statement() {
    let (database, meridian) = start("").await;
    let target =
        Target { kind: Kind::Meridian, port: meridian.address().port(), database: database.name.clone() };
    let mut client = target.raw();
    for block in [false, true] {
        for condition in ["p.height > $1", "$1 > 0", "p.height + o.amount > $1"] {
            if block {
                client.simple("BEGIN");
            }
            let flight = [
                stand::parse("", &format!("{JOIN} WHERE {condition}"), &[Type::INT4.oid()]),
                stand::bind("", "", &[Parameter::Text(b"1.1".to_vec())], &[]),
                stand::execute("", 0),
                stand::sync(),
            ];
            client.send(&flight.concat());
            let answer = client.until_ready();
            let error = answer.iter().find(|message| message.tag == b'E').and_then(|error| error.field(b'C'));
            assert_eq!(error.as_deref(), Some("22P02"), "{condition}");
            client.simple("ROLLBACK");
        }
    }
    nothing_is_left(&database).await;
}

/// An enum has another OID on each shard, here even that of another type.
#[tokio::test]
async fn parameters_of_types_of_the_users_own_are_understood() {
    let (database, meridian) = start("").await;
    for (number, shard) in database.cluster.shards().iter().enumerate() {
        let server = database.direct(shard.name()).await;
        for filler in 0..number {
            let filler = format!("CREATE TYPE filler{filler} AS ENUM ('x')");
            server.batch_execute(&filler).await.expect("a type that moves the numbers on");
        }
    }
    let client = connect(&meridian.app()).await;
    let types = "CREATE TYPE mood AS ENUM ('sad', 'glad'); ALTER TABLE people ADD mood mood DEFAULT 'sad'";
    client.batch_execute(types).await.expect("a type and a column");
    client.batch_execute("UPDATE people SET mood = 'glad' WHERE id = 3").await.expect("a mood");
    let client = connect(&meridian.app()).await;
    let by_mood = format!("{JOIN} WHERE p.mood = $1 AND o.amount > $2");
    let row = client.query_typed(&by_mood, &[(&"glad", Type::UNKNOWN), (&1_i32, Type::INT4)]).await;
    let row = row.expect("an answer").remove(0);
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 2 + 3 + 4));

    // In a scratch session whose server has other numbers.
    let proxy = crate::harness::meridian(&database.cluster).database(&database.name).tables(TABLES);
    let proxy = proxy.section("scratch", "shard = \"ap-south\"").start();
    let client = connect(&proxy.app()).await;
    let moods =
        "SELECT p.mood, count(*) FROM orders o JOIN people p ON p.id = o.person WHERE p.mood = $1 GROUP BY 1";
    let rows = client.query_typed(moods, &[(&"glad", Type::UNKNOWN)]).await.expect("an answer");
    assert_eq!((rows[0].columns()[0].type_().name(), rows[0].get::<_, i64>(1)), ("mood", 5));
}

#[tokio::test]
async fn rows_are_brought_only_where_the_tables_residency_allows() {
    let database = database().await;
    let tables =
        TABLES.replacen("key = \"id\"", "key = \"id\"\nresidency = [\"eu-central\", \"ap-south\"]", 1);
    let start = |scratch: &str| {
        let proxy = meridian(&database.cluster).database(&database.name).tables(&tables);
        proxy.section("scratch", scratch).start()
    };
    let allowed = start("shard = \"eu-central\"");
    let client = connect(&allowed.app()).await;
    client.batch_execute(SCHEMA).await.expect("the schema");
    let more =
        "CREATE TABLE notes (person int, note text); INSERT INTO notes VALUES (1, 'tall'), (2, 'small')";
    client.batch_execute(more).await.expect("a table of the default shard");
    for id in 0..8 {
        let both = format!(
            "INSERT INTO people VALUES ({id}, 'p', 150); INSERT INTO orders VALUES ({id}, {id}, {id})"
        );
        client.batch_execute(&both).await.expect("rows");
    }
    assert_eq!(answer(&client, JOIN).await, (8, 28));
    let with_notes = format!("{JOIN} JOIN notes n ON n.person = p.id");
    assert_eq!(answer(&client, &with_notes).await, (2, 3), "it is gathered, too");
    let sorted = "SELECT count(DISTINCT amount), sum(amount) FROM orders";
    assert_eq!(answer(&client, sorted).await, (8, 28), "partial rows go to a server that may have them");

    let elsewhere = start("");
    let refused = connect(&elsewhere.app()).await;
    let error = refused.query(JOIN, &[]).await.expect_err("the default shard is in another region");
    let error = error.as_db_error().expect("an error of SQL");
    assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED);
    assert!(error.message().contains("\"us-east\""), "{error}");
    assert_eq!(answer(&refused, sorted).await, (8, 28));
    let merged =
        refused.query("SELECT id FROM orders ORDER BY id", &[]).await.expect("rows pass to the client only");
    assert_eq!(merged.len(), 8);

    let slow = "SELECT pg_sleep(60) FROM orders o JOIN people p ON p.id = o.person";
    cancelled_there(&database, &client, slow, "eu-central").await;
}

#[tokio::test]
async fn locks_of_the_transaction_do_not_stop_its_own_statement() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    client.batch_execute("BEGIN; LOCK TABLE orders, people IN ACCESS EXCLUSIVE MODE").await.expect("locks");
    assert_eq!(answer(&client, JOIN).await, (200, 400));
    client.batch_execute("TRUNCATE people").await.expect("rows and a lock");
    let row = client.query_one(JOIN, &[]).await.expect("an answer");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, Option<i64>>(1)), (0, None));
    client.batch_execute("ROLLBACK").await.expect("the end");
    assert_eq!(answer(&client, JOIN).await, (200, 400));
    nothing_is_left(&database).await;
}

#[tokio::test]
async fn settings_of_the_session_and_of_the_transaction_hold_in_the_scratch_session() {
    let (_database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let shown = "SELECT current_setting('work_mem'), current_setting('application_name'), count(*)
                   FROM orders o JOIN people p ON p.id = o.person";
    let settings = async || {
        let row = client.query_one(shown, &[]).await.expect("an answer");
        (row.get::<_, String>(0), row.get::<_, String>(1))
    };
    client.batch_execute("SET work_mem = '7MB'; SET application_name = 'mine'").await.expect("settings");
    assert_eq!(settings().await, ("7MB".to_owned(), "mine".to_owned()));
    client.batch_execute("BEGIN; SET LOCAL work_mem = '9MB'").await.expect("a local setting");
    assert_eq!(settings().await.0, "9MB");
    client.batch_execute("COMMIT").await.expect("the end");
    assert_eq!(settings().await.0, "7MB");
    client.batch_execute("BEGIN; SELECT set_config('work_mem', '11MB', true)").await.expect("by a function");
    assert_eq!(settings().await.0, "11MB");
    client.batch_execute("ROLLBACK").await.expect("the end");
    assert_eq!(settings().await.0, "7MB");
    let other = connect(&meridian.app()).await;
    let row = other.query_one(shown, &[]).await.expect("an answer");
    assert_eq!(row.get::<_, String>(0), "4MB", "a setting of one client never reaches another");
}

#[tokio::test]
async fn errors_and_cancels_leave_nothing_behind() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let division = "SELECT 1 / (p.height - 150) FROM orders o JOIN people p ON p.id = o.person";
    let error = client.query(division, &[]).await.expect_err("one person is 150 tall");
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    assert_eq!(answer(&client, JOIN).await, (200, 400));
    let slow =
        "SELECT pg_sleep(60) FROM orders o JOIN people p ON p.id = o.person WHERE o.id = 1 OR o.id = 2";
    cancelled_there(&database, &client, slow, "us-east").await;
    assert_eq!(answer(&client, JOIN).await, (200, 400));
    nothing_is_left(&database).await;
}

#[tokio::test]
async fn who_finds_no_scratch_session_waits_for_one() {
    let (database, meridian) = start("concurrent_max = 1").await;
    let clients =
        futures_util::future::join_all((0..12).map(|_| async { connect(&meridian.app()).await })).await;
    let answers = clients.iter().map(|client| async {
        let mut answers = Vec::new();
        for _ in 0..5 {
            answers.push(answer(client, JOIN).await);
        }
        answers
    });
    for answers in futures_util::future::join_all(answers).await {
        assert_eq!(answers, [(200, 400); 5]);
    }
    nothing_is_left(&database).await;
}

#[tokio::test]
async fn inside_of_a_transaction_its_time_is_asked_for() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    client.batch_execute("CREATE VIEW aged AS SELECT id, now() AS seen FROM people").await.expect("a view");
    // In this style a time as text has no zone that could be read again.
    client
        .batch_execute("SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kolkata'")
        .await
        .expect("settings");
    let clocks = "now()::text, pg_catalog.transaction_timestamp(), current_timestamp(2), CURRENT_DATE, localtime(0), \
        localtimestamp, current_time, age(timestamp '2001-02-03'), extract(epoch FROM now()) AS epoch";
    let joined = "FROM orders o JOIN people p ON p.id = o.person";
    let named = format!("SELECT {clocks} {joined} LIMIT 1");
    let nested = format!("SELECT s.* FROM (SELECT {clocks} {joined} LIMIT 1) s");
    let grouped = format!(
        "SELECT {clocks} {joined} GROUP BY now() HAVING count(*) > current_date - DATE '2020-01-01' - 90000"
    );
    client.batch_execute("BEGIN").await.expect("a transaction");
    let rows = async |sql: &str| {
        let messages = client.simple_query(sql).await.expect(sql);
        let row = messages.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.expect(sql);
        let names: Vec<String> = row.columns().iter().map(|column| column.name().to_owned()).collect();
        let values: Vec<String> = (0..row.len()).map(|at| row.get(at).expect(sql).to_owned()).collect();
        (names, values)
    };
    let plain = rows(&format!("SELECT {clocks}")).await;
    for gathered in [&named, &nested, &grouped] {
        let way = client.query(&format!("EXPLAIN {gathered}"), &[]).await.expect("a plan");
        let way: Vec<String> = way.iter().map(|line| line.get(0)).collect();
        assert!(way.iter().any(|line| line.contains("over gathered tables")), "{way:?}");
        assert_eq!(rows(gathered).await, plain, "{gathered}");
    }
    let of_view = "SELECT a.seen::text AS now FROM aged a JOIN orders o ON o.person = a.id LIMIT 1";
    assert_eq!(rows(of_view).await.1[0], plain.1[0]);
    client.batch_execute(&format!("DECLARE c CURSOR FOR {named}")).await.expect("a cursor");
    assert_eq!(rows("FETCH ALL FROM c").await, plain);
    let error =
        client.query(&format!("SELECT * {joined} CROSS JOIN now()"), &[]).await.expect_err("from FROM");
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    client.batch_execute("ROLLBACK").await.expect("an end");
    assert_ne!(rows(&named).await.1[0], plain.1[0], "another transaction has another time");
    nothing_is_left(&database).await;
}
