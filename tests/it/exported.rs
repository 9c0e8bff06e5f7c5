//! Snapshots told to other sessions: `pg_export_snapshot()`, `SET TRANSACTION SNAPSHOT`, and `pg_dump -j`.

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::harness::{TemporaryDirectory, connect};
use crate::replication::{run, said};
use crate::snapshots::{CHANGES, QUESTIONS, answers, serving, start, start_with};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

async fn export(client: &Client) -> String {
    client.query_one("SELECT pg_export_snapshot()", &[]).await.expect("a snapshot").get("pg_export_snapshot")
}

async fn take_up(client: &Client, begin: &str, snapshot: &str) -> Result<(), (SqlState, String)> {
    let sql = format!("{begin}; SET TRANSACTION SNAPSHOT '{snapshot}'");
    let taken = client.batch_execute(&sql).await;
    taken.map_err(|error| {
        let error = error.as_db_error().expect("an error of SQL");
        (error.code().clone(), error.message().to_owned())
    })
}

#[tokio::test]
async fn who_takes_a_snapshot_up_sees_all_shards_as_the_other_does() {
    let reader = format!(
        "[[users]]\nname = \"reader\"\npassword = \"reader\"\nserver_user = \"{APP_USER}\"\n\
         server_password = \"{APP_PASSWORD}\"\nread_only = true\n"
    );
    let (database, meridian) = start_with(&reader).await;
    let (leader, writer) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    leader.batch_execute(BEGIN).await.expect("a transaction");
    let snapshot = export(&leader).await;
    let before = answers(&writer).await;
    for change in CHANGES {
        writer.batch_execute(change).await.expect(change);
    }
    assert_ne!(answers(&writer).await, before);
    // Beside it, through another process, for one who may only read, and by who has seen nothing yet.
    let other = serving(&database, &reader);
    let mut config = meridian.app();
    config.user("reader").password("reader");
    for config in [meridian.app(), other.app(), config] {
        let follower = connect(&config).await;
        take_up(&follower, BEGIN, &snapshot).await.expect("the leader's snapshot");
        assert_eq!(answers(&follower).await, before);
        let again = take_up(&follower, "SELECT 1", &snapshot).await.expect_err("it has one");
        assert_eq!(again.0, SqlState::ACTIVE_SQL_TRANSACTION);
        follower.batch_execute("ROLLBACK").await.expect("the end");
        assert_ne!(answers(&follower).await, before);
    }
    assert_eq!(answers(&leader).await, before);
    // One that was exported behind the first statement is the same.
    let later = export(&leader).await;
    let follower = connect(&meridian.app()).await;
    take_up(&follower, BEGIN, &later).await.expect("the leader's snapshot");
    assert_eq!(answers(&follower).await, before);

    // Those of one shard are of that shard.
    let at_home = connect(&meridian.app()).await;
    at_home.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.expect("a transaction");
    at_home.batch_execute(QUESTIONS[3]).await.expect("rows of one shard");
    let of_one = export(&at_home).await;
    assert!(of_one.starts_with("eu-central=") && !of_one.contains(';'), "{of_one}");
    let guest = connect(&meridian.app()).await;
    take_up(&guest, BEGIN, &of_one).await.expect("the shard's snapshot");
    guest.batch_execute(QUESTIONS[3]).await.expect("rows of one shard");
    let error = guest.batch_execute(QUESTIONS[0]).await.expect_err("it sees one shard");
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));

    // With its transaction it is gone.
    leader.batch_execute("COMMIT").await.expect("the end");
    let late = connect(&meridian.app()).await;
    let error = take_up(&late, BEGIN, &snapshot).await.expect_err("nobody holds it");
    assert!(error.1.contains("snapshot"), "{error:?}");
    late.batch_execute("ROLLBACK").await.expect("the end");
    assert_ne!(answers(&late).await, before);
}

#[tokio::test]
async fn what_cannot_be_taken_up_is_refused_as_postgresql_does() {
    let (_database, meridian) = start().await;
    let (leader, client) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    leader.batch_execute(BEGIN).await.expect("a transaction");
    let snapshot = export(&leader).await;
    let level = "a snapshot-importing transaction must have isolation level SERIALIZABLE or REPEATABLE READ";
    let query = "SET TRANSACTION SNAPSHOT must be called before any query";
    let other_timeline = snapshot.replace("us-west=1/", "us-west=2/");
    let unsupported = SqlState::FEATURE_NOT_SUPPORTED;
    let refusals = [
        ("BEGIN", snapshot.as_str(), &unsupported, level),
        ("SELECT 1", &snapshot, &unsupported, level),
        (
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
            &snapshot,
            &unsupported,
            "this statement needs a shard that this REPEATABLE READ or SERIALIZABLE transaction does not see",
        ),
        (&format!("{BEGIN}; SELECT 1"), &snapshot, &SqlState::ACTIVE_SQL_TRANSACTION, query),
        (BEGIN, "nonsense", &SqlState::INVALID_PARAMETER_VALUE, "invalid snapshot identifier: \"nonsense\""),
        (BEGIN, &other_timeline, &SqlState::INVALID_PARAMETER_VALUE, "invalid snapshot identifier: "),
        (BEGIN, "us-east=1/''; DROP TABLE kinds", &SqlState::INVALID_PARAMETER_VALUE, "invalid snapshot"),
    ];
    for (begin, snapshot, state, words) in refusals {
        let error = take_up(&client, begin, snapshot).await.expect_err(snapshot);
        assert!(error.0 == *state && error.1.starts_with(words), "{begin} {snapshot}: {error:?}");
        client.batch_execute("ROLLBACK").await.expect("the end");
    }
    client.batch_execute("BEGIN; SAVEPOINT a").await.expect("a subtransaction");
    let error = client.query("SELECT pg_export_snapshot()", &[]).await.expect_err("a subtransaction");
    assert_eq!(error.code(), Some(&SqlState::ACTIVE_SQL_TRANSACTION));
    client.batch_execute("ROLLBACK").await.expect("the end");
    answers(&client).await;
}

#[tokio::test]
async fn a_dump_of_several_connections_has_all_rows() {
    let (database, meridian) = start().await;
    let directory = TemporaryDirectory::new();
    let dump = directory.path().join("dump");
    let conninfo = format!("user={APP_USER} dbname={}", database.name);
    let port = meridian.address().port();
    let arguments = ["-Fd", "-j", "3", "-N", "meridian_internal", "-f", dump.to_str().expect("a path")];
    said(&run("pg_dump", port, &conninfo, &arguments));
    let client = connect(&meridian.app()).await;
    let before = answers(&client).await;
    client.batch_execute("DROP TABLE accounts, payments, kinds").await.expect("no tables");
    said(&run("pg_restore", port, &conninfo, &["-j", "2", dump.to_str().expect("a path")]));
    assert_eq!(answers(&client).await, before);
}
