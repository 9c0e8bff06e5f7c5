//! A primary that is killed under load, and a replica that somebody else promotes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use meridian::demo::cluster::{ClusterError, Node};
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

use crate::harness::{cluster, connect, eventually, meridian, try_connect};

const WRITERS: usize = 4;
const TABLES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n";

/// What writers share.
#[derive(Default)]
struct Load {
    next: AtomicI32,
    stop: AtomicBool,
    acknowledged: Mutex<BTreeSet<i32>>,
    /// Errors that are no broken connection.
    unexpected: Mutex<Vec<String>>,
}

impl Load {
    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Inserts numbers until told to stop; a statement whose connection breaks is not repeated: it may have happened.
    async fn write(self: Arc<Self>, config: Config) {
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(client) = try_connect(&config).await else { continue };
            while !self.stop.load(Ordering::Relaxed) && !client.is_closed() {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let insert = "INSERT INTO places (id, region) VALUES ($1, 'us-east')";
                match client.execute(insert, &[&number]).await {
                    Ok(_) => {
                        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
                    }
                    Err(error) => self.note(&error),
                }
            }
        }
    }

    fn note(&self, error: &tokio_postgres::Error) {
        // 08: connection; 57P: the server goes down; 40003: completion unknown.
        let code = error.code().map(|code| code.code().to_owned());
        let of_the_fault = code
            .as_deref()
            .is_none_or(|code| code.starts_with("08") || code.starts_with("57P") || code == "40003");
        if !of_the_fault {
            self.unexpected.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
        }
    }
}

/// Does something to a node while the load goes on.
async fn blocking(node: &Arc<Node>, act: fn(&Node) -> Result<(), ClusterError>) {
    let node = Arc::clone(node);
    tokio::task::spawn_blocking(move || act(&node)).await.expect("no panic").expect("the server answers");
}

#[tokio::test]
async fn promotion_by_others_is_followed_under_load() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let cluster = cluster().region("us-east").region("eu-central").replicas(1).start();
    let meridian = meridian(&cluster).tables(TABLES).section("proxy", "primary_wait = \"30s\"").start();
    let client = connect(&meridian.app()).await;
    client
        .batch_execute("CREATE TABLE places (id int PRIMARY KEY, region varchar(50) NOT NULL)")
        .await
        .unwrap();
    let load = Arc::new(Load { next: AtomicI32::new(1), ..Load::default() });
    let writers: Vec<_> =
        (0..WRITERS).map(|_| tokio::spawn(Arc::clone(&load).write(meridian.app()))).collect();
    let reach = async |goal: usize| {
        eventually("writes are acknowledged", async || (load.acknowledged() >= goal).then_some(())).await;
    };
    reach(100).await;

    let shard = cluster.shard("us-east");
    let (old, heir) = (shard.primary().clone(), shard.replica(0).expect("a replica").clone());
    blocking(&old, Node::kill).await;
    // Arrives while there is no primary: it waits.
    let config = meridian.app();
    let waiting = tokio::spawn(async move {
        let client = connect(&config).await;
        client.execute("INSERT INTO places (id, region) VALUES (-1, 'us-east')", &[]).await
    });
    // Other shards do not care.
    client.query("SELECT * FROM places WHERE region = 'eu-central'", &[]).await.unwrap();
    client.execute("INSERT INTO places (id, region) VALUES (-2, 'eu-central')", &[]).await.unwrap();
    blocking(&heir, Node::promote).await;
    let before = load.acknowledged();
    waiting.await.expect("no panic").expect("the statement that waited succeeds");
    reach(before + 200).await;
    load.stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("no panic");
    }

    let unexpected = load.unexpected.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    let direct = cluster.direct("us-east").await;
    let rows = direct.query("SELECT id FROM places", &[]).await.unwrap();
    let there: BTreeSet<i32> = rows.iter().map(|row| row.get(0)).collect();
    let acknowledged = load.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(there.contains(&-1));

    // The old primary returns as a primary of an older timeline: nobody writes to it.
    blocking(&old, Node::start).await;
    for number in 0..50 {
        let insert = "INSERT INTO places (id, region) VALUES ($1, 'us-east')";
        client.execute(insert, &[&(1_000_000 + number)]).await.unwrap();
    }
    let stray = connect(&old.app("demo")).await;
    let row = stray.query_one("SELECT count(*) FROM places WHERE id >= 1000000", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0, "the old primary was written to");

    // Nor where the new one is away, and the configuration is read again meanwhile.
    client.batch_execute("SET statement_timeout = '3s'").await.unwrap();
    blocking(&heir, Node::kill).await;
    meridian.signal(libc::SIGHUP);
    eventually("it is read", async || meridian.log().contains("was read again").then_some(())).await;
    for statement in
        ["INSERT INTO places VALUES (2000000, 'us-east')", "SELECT FROM places WHERE region = 'us-east'"]
    {
        let error = client.simple_query(statement).await.expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{statement}: {error}");
    }
}

/// The old primary lives, and so do the connections to it: what is written there now would be lost.
#[tokio::test]
async fn nothing_is_acknowledged_by_a_primary_that_has_been_superseded() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let cluster = cluster().region("us-east").replicas(1).asynchronous().start();
    let meridian = meridian(&cluster).tables(TABLES).section("proxy", "primary_wait = \"5min\"").start();
    let admin = connect(&meridian.app()).await;
    admin.batch_execute("CREATE TABLE places (id int PRIMARY KEY, region text NOT NULL)").await.unwrap();
    let heir = cluster.shard("us-east").replica(0).expect("a replica").clone();
    eventually("the heir has the table", async || heir.sql("SELECT pg_last_wal_replay_lsn()").ok()).await;

    let writer = connect(&meridian.app()).await;
    writer.batch_execute("BEGIN; INSERT INTO places VALUES (1, 'us-east')").await.unwrap();
    let reader = connect(&meridian.app()).await;
    reader.batch_execute("BEGIN; SELECT FROM places WHERE region = 'us-east' FOR UPDATE").await.unwrap();
    // Its connection to the default shard is its own.
    let pinned = connect(&meridian.app()).await;
    pinned.batch_execute("LISTEN news").await.unwrap();
    blocking(&heir, Node::promote).await;
    eventually("the new primary is followed", async || {
        meridian.log().contains("calls itself primary beside or behind a newer one").then_some(())
    })
    .await;
    eventually("who listens there is sent away", async || pinned.is_closed().then_some(())).await;
    let pinned = connect(&meridian.app()).await;
    for (what, told) in [
        ("commit", writer.batch_execute("COMMIT").await),
        ("write", reader.batch_execute("INSERT INTO places VALUES (2, 'us-east')").await),
    ] {
        let error = told.expect_err(what);
        assert!(error.code().is_some_and(|code| code.code().starts_with("08")), "{what}: {error}");
    }
    for (id, client) in [&writer, &reader, &pinned].into_iter().enumerate() {
        let insert = format!("ROLLBACK; INSERT INTO places VALUES ({id}, 'us-east')");
        client.batch_execute(&insert).await.unwrap();
    }
    let rows =
        connect(&heir.app("demo")).await.query("SELECT id FROM places ORDER BY id", &[]).await.unwrap();
    let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(ids, [0, 1, 2]);
}

#[tokio::test]
async fn meridian_killed_and_started_again_serves_on() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let cluster = cluster().region("us-east").region("eu-central").start();
    let meridian = meridian(&cluster).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    client
        .batch_execute("CREATE TABLE places (id int PRIMARY KEY, region varchar(50) NOT NULL)")
        .await
        .unwrap();
    client.batch_execute("BEGIN; INSERT INTO places VALUES (1, 'us-east')").await.unwrap();
    meridian.kill();
    eventually("the client notices", async || client.simple_query("SELECT 1").await.err()).await;
    meridian.run();
    let client = connect(&meridian.app()).await;
    let row = client.query_one("SELECT count(*) FROM places", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    client.execute("INSERT INTO places VALUES (1, 'us-east')", &[]).await.unwrap();
}
