//! Sessions that keep a server connection for themselves, and when they give it back.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::harness::{Meridian, connect, database, eventually, meridian};

/// Why the session with this name is pinned, as SHOW CLIENTS has it.
async fn pinned(meridian: &Meridian, name: &str) -> Option<String> {
    let mut console = meridian.app();
    console.dbname("meridian");
    let console = connect(&console).await;
    let rows = console.simple_query("SHOW CLIENTS").await.expect("the clients");
    rows.iter().find_map(|row| match row {
        SimpleQueryMessage::Row(row) if row.get("application_name") == Some(name) => {
            Some(row.get("pinned").filter(|reason| !reason.is_empty()).map(str::to_owned))
        }
        _ => None,
    })?
}

/// The client has its answer before its session has looked at what is left on the server.
async fn shared_again(meridian: &Meridian, after: &str) {
    eventually(&format!("the session is shared again after {after}"), async || {
        pinned(meridian, "keeper").await.is_none().then_some(())
    })
    .await;
}

async fn named(meridian: &Meridian, name: &str) -> Client {
    let mut config = meridian.app();
    config.application_name(name);
    connect(&config).await
}

async fn run(client: &Client, statements: &[&str]) {
    for statement in statements {
        client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// One server connection: whoever keeps it keeps all others out.
#[tokio::test]
async fn a_pin_ends_with_its_reason() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).one_connection().start();
    let client = named(&meridian, "keeper").await;
    let other = named(&meridian, "other").await;
    let cases = [
        ("LISTEN news", "UNLISTEN news", "LISTEN"),
        ("LISTEN news", "UNLISTEN *", "LISTEN"),
        ("SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock(7)", "advisory lock"),
        ("SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock_all()", "advisory lock"),
        ("CREATE TEMPORARY TABLE mine (id int)", "DROP TABLE mine", "temporary"),
        ("CREATE TEMPORARY TABLE mine (id int)", "DISCARD TEMP", "temporary"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c", "WITH HOLD"),
        ("PREPARE p AS SELECT 1", "DEALLOCATE p", "PREPARE"),
        ("PREPARE p AS SELECT 1", "DEALLOCATE ALL", "PREPARE"),
    ];
    for (begins, ends, reason) in cases {
        run(&client, &[begins]).await;
        eventually(&format!("{begins} pins for {reason}"), async || {
            pinned(&meridian, "keeper").await.filter(|pin| pin.contains(reason)).map(drop)
        })
        .await;
        run(&client, &[ends]).await;
        shared_again(&meridian, ends).await;
        run(&other, &["SELECT count(*) FROM pg_class"]).await;
    }
    // Prepared by the driver.
    let unlock = client.prepare("SELECT pg_advisory_unlock($1)").await.expect("a statement");
    run(&client, &["SELECT pg_advisory_lock(7)"]).await;
    client.query(&unlock, &[&7_i64]).await.expect("an answer");
    shared_again(&meridian, "a prepared unlock").await;
}

#[tokio::test]
async fn a_pin_lasts_as_long_as_one_of_its_reasons() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).start();
    let client = named(&meridian, "keeper").await;
    run(&client, &["LISTEN news", "CREATE TEMPORARY TABLE mine (id int)", "UNLISTEN news"]).await;
    assert!(pinned(&meridian, "keeper").await.is_some(), "the table is there");
    run(&client, &["BEGIN", "DROP TABLE mine", "ROLLBACK", "INSERT INTO mine VALUES (1)"]).await;
    assert!(pinned(&meridian, "keeper").await.is_some(), "it still is");
    run(&client, &["BEGIN", "DROP TABLE mine", "COMMIT"]).await;
    shared_again(&meridian, "the last table").await;
    let function = "CREATE FUNCTION pg_temp.one() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    run(&client, &[function, "LISTEN news", "UNLISTEN news"]).await;
    let one = client.query_one("SELECT pg_temp.one()", &[]).await.expect("the function is there");
    assert_eq!(one.get::<_, i32>(0), 1);
    run(&client, &["DISCARD TEMP"]).await;
    shared_again(&meridian, "DISCARD TEMP").await;
}

/// What is done to temporary objects, by their schema's name and without, goes to their server and to no other.
#[tokio::test]
async fn what_is_temporary_is_changed_where_it_is() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).start();
    let client = named(&meridian, "keeper").await;
    run(&client, &["CREATE TABLE lasting (id int)"]).await;
    let makers = [
        "CREATE TABLE pg_temp.t (id int)",
        "CREATE VIEW pg_temp.v AS SELECT 1 AS one",
        "CREATE SEQUENCE pg_temp.s",
        "CREATE TYPE pg_temp.mood AS ENUM ('calm')",
        "CREATE TYPE pg_temp.pair AS (a int, b int)",
        "CREATE DOMAIN pg_temp.small AS int CHECK (VALUE < 9)",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "CREATE PROCEDURE pg_temp.p() LANGUAGE sql AS 'SELECT 1'",
    ];
    let changes = [
        "ALTER TABLE pg_temp.t ADD COLUMN name text",
        "ALTER TABLE t ADD COLUMN more mood",
        "CREATE INDEX i ON pg_temp.t (id)",
        "CREATE TRIGGER r BEFORE UPDATE ON pg_temp.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "COMMENT ON TABLE pg_temp.t IS 'lasting'",
        "COMMENT ON COLUMN pg_temp.t.id IS 'its number'",
        "COMMENT ON TRIGGER r ON pg_temp.t IS 'none'",
        "COMMENT ON FUNCTION pg_temp.f() IS 'one'",
        "COMMENT ON TYPE mood IS 'of today'",
        "GRANT SELECT ON pg_temp.t TO PUBLIC",
        "GRANT SELECT (one) ON pg_temp.v TO PUBLIC",
        "GRANT USAGE ON SEQUENCE pg_temp.s TO PUBLIC",
        "GRANT USAGE ON TYPE mood TO PUBLIC",
        "GRANT EXECUTE ON FUNCTION pg_temp.f() TO PUBLIC",
        "GRANT SELECT ON ALL TABLES IN SCHEMA pg_temp TO PUBLIC",
        "REVOKE ALL ON pg_temp.t, v FROM PUBLIC",
        "ALTER VIEW pg_temp.v ALTER COLUMN one SET DEFAULT 1",
        "ALTER SEQUENCE pg_temp.s RESTART",
        "ALTER TYPE pg_temp.mood ADD VALUE 'glad'",
        "ALTER TYPE pair ADD ATTRIBUTE c int",
        "ALTER DOMAIN small SET NOT NULL",
        "ALTER FUNCTION pg_temp.f() IMMUTABLE",
        "REINDEX TABLE pg_temp.t",
        "ALTER INDEX pg_temp.i RENAME TO j",
        "ALTER FUNCTION pg_temp.f() RENAME TO g",
    ];
    let ends = [
        "DROP FUNCTION pg_temp.g()",
        "DROP PROCEDURE pg_temp.p()",
        "DROP DOMAIN small",
        "DROP TRIGGER r ON t",
        "DROP INDEX pg_temp.j",
        "DROP SEQUENCE IF EXISTS pg_temp.s, pg_temp.missing",
        "DROP TABLE pg_temp.t",
        "DROP TYPE mood, pg_temp.pair",
        "DROP VIEW v",
    ];
    for by_path in [false, true] {
        // First in the path, the schema is where a name without one is made.
        let path = if by_path { "SET search_path = pg_temp, public" } else { "RESET search_path" };
        run(&client, &[path]).await;
        for maker in makers {
            let unnamed = maker.replace("pg_temp.", "");
            run(&client, &[if by_path { &unnamed } else { maker }]).await;
        }
        let two = client.query_one("SELECT pg_temp.f()", &[]).await.expect("the function is there");
        assert_eq!(two.get::<_, i32>(0), 2);
        run(&client, &changes).await;
        // One list, two places: on the shards where it is not looked at it would stay.
        for statement in ["DROP TABLE t, lasting", "GRANT SELECT ON lasting, pg_temp.t TO PUBLIC"] {
            let error = client.batch_execute(statement).await.expect_err(statement);
            let error = error.as_db_error().expect("an error of SQL").message().to_owned();
            assert!(error.starts_with("\"lasting\" is not temporary"), "{statement}: {error}");
        }
        assert!(pinned(&meridian, "keeper").await.is_some());
        run(&client, &ends).await;
        shared_again(&meridian, "the last of them").await;
    }
    let left = "SELECT count(*) FROM pg_class WHERE relname IN ('t', 'v', 's', 'i', 'j')";
    for shard in database.cluster.shards() {
        let direct = connect(&shard.primary().superuser(&database.name)).await;
        assert_eq!(
            direct.query_one(left, &[]).await.expect("a count").get::<_, i64>(0),
            0,
            "{}",
            shard.name()
        );
        direct.query_one("SELECT count(*) FROM lasting", &[]).await.expect("it is everywhere");
    }
    // Without a pin there is nothing of that name.
    let error = client.batch_execute("DROP TABLE pg_temp.t").await.expect_err("there is none");
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42P01"), "{error}");
}

/// What a transaction has made goes with it.
#[tokio::test]
async fn a_pin_does_not_outlast_its_transaction() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).one_connection().start();
    let client = named(&meridian, "keeper").await;
    let passing = [
        "BEGIN; CREATE TEMP TABLE t (i int) ON COMMIT DROP; COMMIT",
        "BEGIN; CREATE TEMP TABLE t (i int); ROLLBACK",
        "BEGIN; LISTEN news; ROLLBACK",
        "BEGIN; SAVEPOINT s; CREATE TEMP TABLE t (i int); ROLLBACK TO s; COMMIT",
        "CREATE TEMP TABLE t (i int) ON COMMIT DROP",
    ];
    for statements in passing {
        let each: Vec<&str> = statements.split("; ").collect();
        run(&client, &each).await;
        shared_again(&meridian, statements).await;
        run(&client, &[statements]).await;
        shared_again(&meridian, statements).await;
    }
    run(&client, &["BEGIN", "SELECT setseed(0.5)", "COMMIT", "SELECT 1"]).await;
    assert!(pinned(&meridian, "keeper").await.is_some(), "the next random number is that server's");
    run(&client, &["DISCARD ALL"]).await;
    shared_again(&meridian, "DISCARD ALL").await;
    run(&client, &["BEGIN", "CREATE TEMP TABLE t (i int)", "COMMIT", "INSERT INTO t VALUES (1)"]).await;
    assert!(pinned(&meridian, "keeper").await.is_some(), "the table is there");
}

/// A session that has lost what it was pinned for says so by its end, as PostgreSQL would: it has no lock any more.
#[tokio::test]
async fn a_pinned_session_ends_with_its_server() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).start();
    let client = named(&meridian, "keeper").await;
    run(&client, &["SELECT pg_advisory_lock(7)"]).await;
    let rows = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("a process");
    let process: i32 = rows.get(0);
    let work = client.batch_execute("SELECT pg_sleep(60)");
    let end = async {
        let direct = database.direct("us-east").await;
        let busy = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = {process} AND state = 'active' AND query LIKE '%pg_sleep%'"
        );
        eventually("it sleeps", async || {
            let row = direct.query_one(&busy, &[]).await.ok()?;
            (row.get::<_, i64>(0) == 1).then_some(())
        })
        .await;
        direct.batch_execute(&format!("SELECT pg_terminate_backend({process})")).await.expect("terminated");
    };
    let (outcome, ()) = tokio::join!(work, end);
    let error = outcome.expect_err("the server is gone");
    assert!(error.as_db_error().is_none_or(|error| error.severity() == "FATAL"), "{error:?}");
    assert!(client.simple_query("SELECT 1").await.is_err(), "the session is over");
    let other = named(&meridian, "other").await;
    run(&other, &["SELECT pg_advisory_lock(7)"]).await;
}

/// Cancels that come too late, and a timeout of its own, do not take from a session what it keeps.
#[tokio::test]
async fn late_cancels_do_not_end_a_pin() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).start();
    let client = named(&meridian, "keeper").await;
    run(&client, &["CREATE TEMP TABLE mine (id int)", "INSERT INTO mine VALUES (1)"]).await;
    let token = client.cancel_token();
    for _ in 0..60 {
        // It is looked at after each of these, for it may have been the last thing that was kept.
        let unlocked = client.batch_execute("SELECT pg_advisory_unlock_all()").await;
        let cancel = token.cancel_query(tokio_postgres::NoTls);
        let (cancelled, after) =
            tokio::join!(cancel, client.batch_execute("SELECT pg_advisory_unlock_all()"));
        cancelled.expect("a cancel");
        for outcome in [unlocked, after] {
            let hit = outcome.err().and_then(|error| error.code().cloned());
            assert!(hit.is_none_or(|code| code == tokio_postgres::error::SqlState::QUERY_CANCELED));
        }
    }
    eventually("the table is there", async || client.query_one("SELECT id FROM mine", &[]).await.ok()).await;
    assert!(pinned(&meridian, "keeper").await.is_some());
}
