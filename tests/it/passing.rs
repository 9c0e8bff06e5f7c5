//! Transactions that draw numbers or take advisory locks on one shard, and write on another.

use crate::harness::{connect, database, eventually, meridian};

const TABLES: &str = "[[tables]]\nname = \"people\"\nplacement = \"region\"\nkey = \"region\"\n";

const SCHEMA: &str = "
CREATE TABLE people (id int, region varchar(50) NOT NULL, PRIMARY KEY (region, id));
CREATE SEQUENCE drawn;
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
";

/// Who gets the lock next must see what was written under it.
#[tokio::test]
async fn a_lock_is_held_until_what_was_written_under_it_is_committed() {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .tables(TABLES)
        .section("functions", "trusted = [\"wait\"]")
        .start();
    let client = connect(&meridian.app()).await;
    for statement in SCHEMA.split(";\nCREATE").map(str::trim).filter(|statement| !statement.is_empty()) {
        let statement = statement.trim_start_matches("CREATE").trim_end_matches(';');
        client.batch_execute(&format!("CREATE {statement}")).await.expect(statement);
    }
    // It holds up the commit on the shard that is written to.
    let west = database.direct("us-west").await;
    west.batch_execute("SELECT pg_advisory_lock(77)").await.expect("a lock of that server's");
    let under_lock = tokio::spawn(async move {
        client.batch_execute("BEGIN").await?;
        client.batch_execute("SELECT pg_advisory_xact_lock(4711)").await?;
        client.batch_execute("INSERT INTO people VALUES (1, 'us-west')").await?;
        client.batch_execute("COMMIT").await
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted";
    eventually("the commit waits", async || {
        let row = west.query_one(waits, &[]).await.ok()?;
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    let other = connect(&meridian.app()).await;
    let get = "SELECT pg_try_advisory_xact_lock(4711)";
    let got = other.query_one(get, &[]).await.expect("an answer").get::<_, bool>(0);
    assert!(!got, "others have the lock before the row is there");
    west.batch_execute("SELECT pg_advisory_unlock(77)").await.expect("let go of");
    under_lock.await.expect("no panic").expect("committed");
    assert!(other.query_one(get, &[]).await.expect("an answer").get::<_, bool>(0));
    let count = other.query_one("SELECT count(*) FROM people", &[]).await.expect("a count");
    assert_eq!(count.get::<_, i64>(0), 1);
}

/// What a transaction drew is not drawn again, also where the write that holds it fails.
#[tokio::test]
async fn a_number_that_was_drawn_is_not_drawn_again() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    let definitions = [
        "CREATE TABLE people (id int, region varchar(50) NOT NULL, PRIMARY KEY (region, id))",
        "CREATE SEQUENCE drawn",
    ];
    for statement in definitions {
        client.batch_execute(statement).await.expect(statement);
    }
    let mut last = 0;
    for (round, end) in ["COMMIT", "ROLLBACK", "COMMIT"].into_iter().enumerate() {
        client.batch_execute("BEGIN").await.expect("a transaction");
        let number =
            client.query_one("SELECT nextval('drawn')", &[]).await.expect("a number").get::<_, i64>(0);
        assert!(number > last, "{number} behind {last}");
        last = number;
        let insert = format!("INSERT INTO people VALUES ({number}, 'eu-central')");
        client.batch_execute(&insert).await.expect("a row elsewhere");
        client.batch_execute(end).await.expect(end);
        let shown = client.query_one("SELECT last_value FROM drawn", &[]).await.expect("the sequence");
        assert_eq!(shown.get::<_, i64>(0), last, "round {round}");
    }
    let people = client.query_one("SELECT count(*) FROM people", &[]).await.expect("a count");
    assert_eq!(people.get::<_, i64>(0), 2);
}

/// What has no name that says that it writes is part of the transaction all the same: by each of these ways nothing is left of it
/// where the commit fails on another shard.
#[tokio::test]
async fn what_code_has_written_is_undone_with_the_transaction() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    for statement in [
        "CREATE TABLE people (id int, region varchar(50) NOT NULL, PRIMARY KEY (region, id))",
        "CREATE TABLE counts (id int PRIMARY KEY, n int)",
        "INSERT INTO counts VALUES (1, 0)",
        "CREATE SEQUENCE drawn",
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''late''; END'",
        "CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION fail()",
        "CREATE FUNCTION adds(int, int) RETURNS boolean LANGUAGE plpgsql AS \
         'BEGIN UPDATE counts SET n = n + 1; RETURN true; END'",
        "CREATE OPERATOR ### (FUNCTION = adds, LEFTARG = int, RIGHTARG = int)",
        "CREATE FUNCTION adding(counts) RETURNS int LANGUAGE sql AS 'UPDATE counts SET n = n + 1 RETURNING 1'",
        "CREATE FUNCTION adds_quietly() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT adds(1, 1)'",
        "CREATE DOMAIN counted AS int CHECK (adds(VALUE, VALUE))",
        "CREATE VIEW counting AS SELECT 1 ### 1 AS added",
    ] {
        client.batch_execute(statement).await.expect(statement);
    }
    let ways = [
        "SELECT 1 ### 1",
        "SELECT nextval('drawn'), 1 ### 1",
        "SELECT counts.adding FROM counts",
        "SELECT adds_quietly()",
        "SELECT id FROM counts WHERE adds_quietly() FOR UPDATE",
        "SELECT 7::counted",
        "SELECT added FROM counting",
        "DECLARE c CURSOR FOR SELECT 1 ### 1; FETCH c",
        "EXPLAIN (ANALYZE) SELECT adds_quietly()",
    ];
    let insert = "INSERT INTO people VALUES (1, 'us-west')";
    for way in ways {
        for statements in [[way, insert], [insert, way]] {
            let [first, second] = statements;
            let done = client.batch_execute(&format!("BEGIN; {first}; {second}; COMMIT")).await;
            done.expect_err("the trigger refuses to commit, or one of them is refused");
            client.batch_execute("ROLLBACK").await.expect("no transaction");
            let row = client.query_one("SELECT n FROM counts", &[]).await.expect("the count");
            assert_eq!(row.get::<_, i32>(0), 0, "{statements:?}");
            client.batch_execute("UPDATE counts SET n = 0").await.expect("for the next");
        }
        let row = client.query_one("SELECT count(*) FROM people", &[]).await.expect("a count");
        assert_eq!(row.get::<_, i64>(0), 0, "{way}");
    }
}

/// A lock that a cursor takes, or a statement that was prepared by SQL, is let go of behind the commit of what is written elsewhere.
#[tokio::test]
async fn locks_of_cursors_and_of_prepared_statements_are_held_as_long() {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .tables(TABLES)
        .section("functions", "trusted = [\"wait\"]")
        .start();
    let client = connect(&meridian.app()).await;
    for statement in SCHEMA.split(";\nCREATE").map(str::trim).filter(|statement| !statement.is_empty()) {
        let statement = statement.trim_start_matches("CREATE").trim_end_matches(';');
        client.batch_execute(&format!("CREATE {statement}")).await.expect(statement);
    }
    client.batch_execute("CREATE TABLE counts (id int PRIMARY KEY)").await.expect("a table");
    client.batch_execute("INSERT INTO counts VALUES (1)").await.expect("a row");
    let ways = [
        ("", "BEGIN; DECLARE c CURSOR FOR SELECT id FROM counts WHERE id = 1 FOR UPDATE; FETCH c"),
        ("PREPARE p AS SELECT id FROM counts WHERE id = 1 FOR UPDATE", "BEGIN; EXECUTE p"),
        // Beside numbers on the same server, which are to be durable before.
        ("", "BEGIN; SELECT nextval('drawn'); SELECT id FROM counts WHERE id = 1 FOR UPDATE"),
        ("", "BEGIN; SELECT pg_advisory_xact_lock(9), nextval('drawn') FROM counts WHERE id = 1 FOR UPDATE"),
    ];
    let west = database.direct("us-west").await;
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted";
    let get = "SELECT id FROM counts WHERE id = 1 FOR UPDATE SKIP LOCKED";
    for (number, (before, way)) in ways.into_iter().enumerate() {
        west.batch_execute("SELECT pg_advisory_lock(77)").await.expect("a lock of that server's");
        let locking = connect(&meridian.app()).await;
        let under_lock = tokio::spawn(async move {
            locking.batch_execute(before).await?;
            locking.batch_execute(way).await?;
            locking.batch_execute(&format!("INSERT INTO people VALUES ({number}, 'us-west')")).await?;
            locking.batch_execute("COMMIT").await
        });
        eventually("the commit waits", async || {
            let row = west.query_one(waits, &[]).await.ok()?;
            (row.get::<_, i64>(0) == 1).then_some(())
        })
        .await;
        assert!(client.query(get, &[]).await.expect("an answer").is_empty(), "{way}");
        west.batch_execute("SELECT pg_advisory_unlock(77)").await.expect("let go of");
        under_lock.await.expect("no panic").expect("committed");
        assert_eq!(client.query(get, &[]).await.expect("an answer").len(), 1, "{way}");
        let written = client.query("SELECT id FROM people WHERE id = $1", &[&(number as i32)]).await;
        assert_eq!(written.expect("an answer").len(), 1, "{way}");
    }
    // Notifications are no part of a commit in two phases: nothing is done, and that is told.
    let loud = "BEGIN; SELECT nextval('drawn'); NOTIFY loud; INSERT INTO people VALUES (99, 'us-west')";
    client.batch_execute(loud).await.expect("so far");
    let error = client.batch_execute("COMMIT").await.expect_err("two phases");
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::FEATURE_NOT_SUPPORTED), "{error:?}");
    let written = client.query("SELECT id FROM people WHERE id = 99", &[]).await;
    assert!(written.expect("an answer").is_empty());
}
