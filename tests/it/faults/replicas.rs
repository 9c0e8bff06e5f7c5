//! Replicas that are killed while they answer: no client sees an error, and a replica that comes back is used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use meridian::demo::cluster::{APP_DATABASE, Node};
use tokio_postgres::Client;

use crate::harness::{Meridian, TestCluster, cluster, column, connect, eventually, meridian};
use crate::stand::{Kind, Target, frame, query};

const READERS: usize = 6;
const TABLES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n";
/// What is asked to see who answers.
const PROBE: &str = "SELECT id FROM places WHERE region = 'us-east' AND id = 1";

fn start() -> (TestCluster, Meridian) {
    let cluster = cluster().region("us-east").region("eu-central").replicas(2).start();
    let meridian = meridian(&cluster).tables(TABLES).section("proxy", "consistency = \"eventual\"").start();
    (cluster, meridian)
}

async fn fill(client: &Client) {
    for statement in [
        "CREATE TABLE places (id int PRIMARY KEY, region varchar(50) NOT NULL)",
        "INSERT INTO places VALUES (1, 'us-east')",
        "INSERT INTO places VALUES (2, 'eu-central')",
    ] {
        client.batch_execute(statement).await.expect("the server answers");
    }
}

/// Whether one of these nodes has answered the probe; the probe is asked again.
async fn answers(client: &Client, nodes: &[Arc<Node>]) -> Option<()> {
    client.simple_query(PROBE).await.ok()?;
    let asked =
        format!("SELECT count(*) FROM pg_stat_activity WHERE query = '{}'", PROBE.replace('\'', "''"));
    let has = |node: &Arc<Node>| node.sql(&asked).is_ok_and(|rows| rows[0][0].as_deref() != Some("0"));
    nodes.iter().any(has).then_some(())
}

/// Reads until told to stop, in both protocols, of one region and of all; panics at the first error.
async fn read(client: Client, stop: Arc<AtomicBool>, answers: Arc<AtomicUsize>) {
    let one =
        client.prepare("SELECT count(*) FROM places WHERE region = $1").await.expect("the server answers");
    while !stop.load(Ordering::Relaxed) {
        let row = client.query_one(&one, &[&"us-east"]).await.expect("the server answers");
        assert_eq!(row.get::<_, i64>(0), 1);
        client
            .simple_query("SELECT id FROM places WHERE region = 'us-east'")
            .await
            .expect("the server answers");
        let row = client.query_one("SELECT count(*) FROM places", &[]).await.expect("the server answers");
        assert_eq!(row.get::<_, i64>(0), 2);
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn reads_outlive_their_replicas() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let (cluster, meridian) = start();
    let client = connect(&meridian.app()).await;
    fill(&client).await;
    let shard = cluster.shard("us-east");
    let replicas: Vec<_> = shard.replicas().cloned().collect();
    eventually("a replica answers", async || answers(&client, &replicas).await).await;

    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let client = connect(&meridian.app()).await;
        readers.push(tokio::spawn(read(client, Arc::clone(&stop), Arc::clone(&answered))));
    }
    let progress = async |more: usize| {
        let goal = answered.load(Ordering::Relaxed) + more;
        let reached = async || (answered.load(Ordering::Relaxed) >= goal).then_some(());
        eventually("reads go on", reached).await;
    };
    progress(200).await;
    for victim in &replicas {
        victim.kill().unwrap();
        progress(300).await;
    }
    let returned = &replicas[0];
    returned.start().unwrap();
    let alone = std::slice::from_ref(returned);
    eventually("the replica is used again", async || answers(&client, alone).await).await;
    // A node that hangs is slower to notice than one that is dead; reads wait no longer than a probe takes.
    returned.pause().unwrap();
    tokio::time::timeout(Duration::from_secs(20), progress(200))
        .await
        .expect("reads go on without the hung replica");
    returned.resume().unwrap();
    progress(100).await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.expect("no reader saw an error");
    }
}

/// No replica reads for them: neither a statement, nor a text that is looked at for mistakes before it is refused.
#[tokio::test]
async fn transactions_that_begin_serializable_ask_no_replica() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let (cluster, meridian) = start();
    let client = connect(&meridian.app()).await;
    fill(&client).await;
    let replicas: Vec<_> = cluster.shard("us-east").replicas().cloned().collect();
    eventually("a replica answers", async || answers(&client, &replicas).await).await;
    client.batch_execute("SET default_transaction_isolation = 'serializable'").await.expect("a setting");
    for begin in ["BEGIN", "BEGIN READ ONLY", "BEGIN READ ONLY DEFERRABLE"] {
        client.batch_execute(begin).await.expect(begin);
        let error = client.batch_execute("SELECT count(*) FROM places").await.expect_err("several shards");
        let error = error.as_db_error().expect("an error of SQL");
        assert!(error.message().contains("does not see"), "{begin}: {error}");
        client.batch_execute("ROLLBACK").await.expect("the end");
        client.batch_execute(begin).await.expect(begin);
        client.batch_execute(PROBE).await.expect("one shard");
        client.batch_execute("COMMIT").await.expect("the end");
    }
}

/// Waits until the node is the one that answers questions about the table.
async fn serves(node: &Node, client: &Client, table: &str) {
    let port = node.direct_address().port().to_string();
    let question = format!("SELECT current_setting('port') AS port FROM {table}");
    eventually("the node is asked", async || {
        (column(client, &question, "port").await == [port.as_str()]).then_some(())
    })
    .await;
}

/// What another session has changed is planned by; a replica that has not heard of it is not asked.
#[tokio::test]
async fn definitions_are_read_where_they_have_come_to() {
    let cluster = cluster().region("us-east").replicas(1).asynchronous().start();
    let meridian = meridian(&cluster).start();
    let (changes, reads) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    changes.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.expect("a table");
    let replica = cluster.shard("us-east").replica(0).expect("one").clone();
    serves(&replica, &reads, "t").await;
    replica.sql("SELECT pg_wal_replay_pause()").expect("it waits");
    changes.batch_execute("ALTER TABLE t ADD COLUMN b int DEFAULT 5").await.expect("a column");
    changes.batch_execute("CREATE TABLE u AS SELECT 7 AS c").await.expect("a table");
    let fresh = connect(&meridian.app()).await;
    for client in [&reads, &fresh] {
        assert_eq!(column(client, "SELECT b FROM t ORDER BY a LIMIT 2", "b").await, ["5"]);
        assert_eq!(column(client, "SELECT c FROM u", "c").await, ["7"]);
    }
    replica.sql("SELECT pg_wal_replay_resume()").expect("it goes on");
    serves(&replica, &reads, "u").await;
}

/// A session sees what it has copied, in a message of its own, although a replica has not heard of it.
#[tokio::test]
async fn what_was_copied_is_read_where_it_has_come_to() {
    let cluster = cluster().region("us-east").replicas(1).asynchronous().start();
    let meridian = meridian(&cluster).start();
    let client = connect(&meridian.app()).await;
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.expect("a table");
    // What a trigger sets makes the COPY the session's own matter.
    let tell = "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \
        $$BEGIN PERFORM set_config('app.copied', NEW.a::text, false); RETURN NEW; END$$";
    client.batch_execute(tell).await.expect("a function");
    let trigger = "CREATE TRIGGER tell BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tell()";
    client.batch_execute(trigger).await.expect("a trigger");
    let replica = cluster.shard("us-east").replica(0).expect("one").clone();
    serves(&replica, &client, "t").await;
    replica.sql("SELECT pg_wal_replay_pause()").expect("it waits");
    let port = meridian.address().port();
    let mut copies = Target { kind: Kind::Meridian, port, database: APP_DATABASE.to_owned() }.raw();
    copies.send(&query("COPY t FROM STDIN"));
    copies.send(&[frame(b'd', b"2\n"), frame(b'c', b"")].concat());
    copies.until_ready();
    assert_eq!(copies.value("SELECT count(*) FROM t").as_deref(), Some("2"));
}
