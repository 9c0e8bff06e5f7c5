//! Replicas that are killed while they answer: no client sees an error, and a replica that comes back is used again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::harness::{Meridian, TestCluster, cluster, connect, eventually, meridian};

const READERS: usize = 6;
const TABLES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n";
/// The port of the server that answers: a stable function, so that replicas may.
const WHO: &str = "SELECT inet_server_port() FROM places WHERE region = 'us-east' AND id = 1";

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
        client.batch_execute(statement).await.unwrap();
    }
}

async fn who(client: &Client) -> Option<u16> {
    let messages = client.simple_query(WHO).await.ok()?;
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    })
}

/// Reads until told to stop, in both protocols, of one region and of all; panics at the first error.
async fn read(client: Client, stop: Arc<AtomicBool>, answers: Arc<AtomicUsize>) {
    let one = client.prepare("SELECT count(*) FROM places WHERE region = $1").await.unwrap();
    while !stop.load(Ordering::Relaxed) {
        let row = client.query_one(&one, &[&"us-east"]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 1);
        client.simple_query("SELECT id FROM places WHERE region = 'us-east'").await.unwrap();
        let row = client.query_one("SELECT count(*) FROM places", &[]).await.unwrap();
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
    let ports: BTreeSet<_> = replicas.iter().map(|node| node.direct_address().port()).collect();
    eventually("a replica answers", async || ports.contains(&who(&client).await?).then_some(())).await;

    let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let client = connect(&meridian.app()).await;
        readers.push(tokio::spawn(read(client, Arc::clone(&stop), Arc::clone(&answers))));
    }
    let progress = async |more: usize| {
        let goal = answers.load(Ordering::Relaxed) + more;
        let reached = async || (answers.load(Ordering::Relaxed) >= goal).then_some(());
        eventually("reads go on", reached).await;
    };
    progress(200).await;
    for victim in &replicas {
        victim.kill().unwrap();
        progress(300).await;
    }
    assert_eq!(who(&client).await, Some(shard.primary().direct_address().port()), "only the primary is left");
    let returned = &replicas[0];
    returned.start().unwrap();
    let port = returned.direct_address().port();
    eventually("the replica is used again", async || (who(&client).await? == port).then_some(())).await;
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
