//! A shard whose servers are all gone, or hang: the others go on, clients can log in, and nobody waits for ever.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::harness::{Meridian, TestCluster, cluster, connect, eventually, meridian, try_connect};

const TABLES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n";
/// Far above the bounds that are configured, far below for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two shards without replicas; the first is the default one.
async fn start() -> (TestCluster, Meridian) {
    let cluster = cluster().region("us-east").region("eu-central").start();
    let meridian = meridian(&cluster).tables(TABLES).section("proxy", "primary_wait = \"1s\"").start();
    let client = connect(&meridian.app()).await;
    for statement in [
        "CREATE TABLE places (id int, region varchar(50) NOT NULL, PRIMARY KEY (region, id))",
        "INSERT INTO places VALUES (1, 'us-east')",
        "INSERT INTO places VALUES (1, 'eu-central')",
    ] {
        client.batch_execute(statement).await.expect("the servers answer");
    }
    (cluster, meridian)
}

fn is_plain() -> bool {
    std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres")
}

/// Lost while it ran, or not there to begin with.
fn is_of_connections(state: &SqlState) -> bool {
    state.code().starts_with("08") || *state == SqlState::CANNOT_CONNECT_NOW
}

#[tokio::test]
async fn clients_log_in_and_work_without_the_default_shard() {
    if is_plain() {
        return;
    }
    let (cluster, meridian) = start().await;
    cluster.shard("us-east").primary().kill().expect("it is killed");
    // Another application: nobody has been greeted with these settings yet.
    let mut config = meridian.app();
    config.options("-c extra_float_digits=2");
    let client = eventually("a client logs in", async || try_connect(&config).await.ok()).await;
    client.batch_execute("INSERT INTO places VALUES (2, 'eu-central')").await.expect("its shard lives");
    // What any shard could answer goes to another one as soon as the probes have seen that the default shard is down.
    let query =
        "SELECT count(*), current_setting('extra_float_digits') FROM places WHERE region = 'eu-central'";
    let row = eventually("another shard describes", async || client.query_one(query, &[]).await.ok()).await;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (2, "2"));
    for statement in ["SELECT 1", "SET TimeZone TO 'UTC'", "SELECT now()"] {
        client.simple_query(statement).await.expect("any server says it");
    }
    // What each server has for itself is the default shard's.
    for statement in [
        "SELECT count(*) FROM places",
        "INSERT INTO places VALUES (3, 'us-east')",
        "SELECT count(*) FROM pg_class",
        "SELECT pg_relation_size('places')",
        "SELECT 'places'::regclass::oid",
    ] {
        let told = tokio::time::timeout(PATIENCE, client.batch_execute(statement)).await;
        let error = told.expect("the wait is bounded").expect_err("a shard is missing");
        let error = error.as_db_error().expect("an error of SQL").clone();
        assert!(is_of_connections(error.code()), "{statement}: {error}");
        assert!(error.message().contains("us-east"), "{error}");
    }
    client.simple_query("SELECT 1 FROM places WHERE region = 'eu-central'").await.expect("it goes on");

    // Who starts now does not know what the tables are: nothing is "not supported" for that.
    meridian.kill();
    meridian.run();
    let client = eventually("a client logs in", async || try_connect(&config).await.ok()).await;
    for statement in ["SELECT count(*) FROM places", "INSERT INTO places VALUES (3, 'eu-central')"] {
        let error = client.batch_execute(statement).await.expect_err("the catalogs are missing");
        assert_eq!(error.code(), Some(&SqlState::CANNOT_CONNECT_NOW), "{statement}: {error}");
    }

    cluster.shard("us-east").primary().start().expect("it starts");
    eventually("all shards answer", async || client.query_one("SELECT count(*) FROM places", &[]).await.ok())
        .await;
}

#[tokio::test]
async fn a_hung_primary_frees_its_clients() {
    if is_plain() {
        return;
    }
    let (cluster, meridian) = start().await;
    let (reader, writer, committer) =
        (connect(&meridian.app()).await, connect(&meridian.app()).await, connect(&meridian.app()).await);
    committer.batch_execute("BEGIN; INSERT INTO places VALUES (7, 'us-east')").await.expect("it lives");
    let primary = cluster.shard("us-east").primary();
    primary.pause().expect("it hangs");
    let outcomes = tokio::time::timeout(PATIENCE, async {
        tokio::join!(
            reader.batch_execute("SELECT count(*) FROM places"),
            writer.batch_execute("INSERT INTO places VALUES (8, 'us-east')"),
            committer.batch_execute("COMMIT"),
        )
    });
    let (read, written, committed) = outcomes.await.expect("nobody waits for ever");
    for (what, outcome) in [("read", read), ("write", written)] {
        let error = outcome.expect_err(what);
        let error = error.as_db_error().expect("an error of SQL").clone();
        assert!(is_of_connections(error.code()), "{what}: {error}");
    }
    let error = committed.expect_err("the outcome is not known");
    assert_eq!(error.code(), Some(&SqlState::TRANSACTION_RESOLUTION_UNKNOWN), "{error}");

    // The others were not held up, and the sessions go on.
    reader.simple_query("SELECT 1 FROM places WHERE region = 'eu-central'").await.expect("its shard lives");
    primary.resume().expect("it goes on");
    eventually("it is used again", async || writer.query_one("SELECT count(*) FROM places", &[]).await.ok())
        .await;
}

/// The shard's server is there again before recovery looks by itself: it would answer without the row.
#[tokio::test]
async fn what_was_told_to_be_committed_is_seen_on_a_shard_that_was_lost_meanwhile() {
    if is_plain() {
        return;
    }
    let cluster = cluster().region("us-east").region("eu-central").start();
    let described = meridian(&cluster).tables("[[tables]]\nname = \"rates\"\nplacement = \"reference\"\n");
    let meridian = described.fault("after_decision_before_second_phase:stall").start();
    // DDL through Meridian would be a transaction over several shards.
    for region in ["us-east", "eu-central"] {
        let table = "CREATE TABLE rates (id int PRIMARY KEY, rate int)";
        cluster.direct(region).await.batch_execute(table).await.expect("it is made");
    }
    let client = connect(&meridian.app()).await;
    eventually("the table is known", async || client.query("SELECT FROM rates", &[]).await.ok()).await;
    let (recorder, server) = (cluster.direct("us-east").await, cluster.direct("eu-central").await);
    let loses_it = async {
        let prepared =
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'PREPARE TRANSACTION%' AND state = 'idle'";
        eventually("it is prepared", async || server.query_opt(prepared, &[]).await.ok().flatten()).await;
        let decided = "SELECT FROM meridian_internal.decisions WHERE outcome = 'commit'";
        eventually("it is decided", async || recorder.query_opt(decided, &[]).await.ok().flatten()).await;
        let ended =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'PREPARE TRANSACTION%'";
        assert_eq!(server.query(ended, &[]).await.expect("it is told").len(), 1);
    };
    let (committed, ()) = tokio::join!(client.batch_execute("INSERT INTO rates VALUES (1, 10)"), loses_it);
    committed.expect("it was decided");
    let there = "/* meridian: shard=eu-central */ SELECT count(*) FROM rates";
    let there = client.simple_query(there).await.expect("it answers");
    let row = there.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(row, Some("1"));
}
