//! The local cluster does what it says: it replicates, survives what tests do to it, and leaves nothing behind.

use std::time::Instant;

use meridian::demo::cluster::{
    APP_DATABASE, APP_PASSWORD, APP_USER, Cluster, DatasetRecord, Durability, Network, Node, Role, StopMode,
    round_trip,
};

use crate::harness::{self, TemporaryDirectory, cluster, connect, database, eventually, is_listened_on};

#[tokio::test]
async fn four_regions_start_and_answer() {
    let begun = Instant::now();
    let cluster = cluster().regions().start();
    println!("four primaries in {:?}", begun.elapsed());
    for region in harness::REGIONS {
        let client = cluster.direct(region).await;
        let row = client.query_one("SELECT current_setting('cluster_name')", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("{region}-1"));
    }
    let nodes: Vec<_> = cluster.shards().iter().flat_map(|shard| shard.nodes().to_vec()).collect();
    drop(cluster);
    assert!(nodes.iter().all(|node| !is_listened_on(node)));
}

#[tokio::test]
async fn replicas_follow_in_four_regions() {
    let begun = Instant::now();
    let cluster = cluster().regions().replicas(1).start();
    println!("four primaries and four replicas in {:?}", begun.elapsed());
    let client = cluster.direct("ap-south").await;
    client.batch_execute("CREATE TABLE t (i int); INSERT INTO t VALUES (42)").await.unwrap();
    let replica = cluster.shard("ap-south").replica(0).unwrap();
    let replica = connect(&replica.app(APP_DATABASE)).await;
    let row =
        eventually("the row is replayed", async || replica.query_one("SELECT i FROM t", &[]).await.ok());
    assert_eq!(row.await.get::<_, i32>(0), 42);
}

#[tokio::test]
async fn acknowledged_row_survives_kill_of_primary_and_old_primary_is_reseeded() {
    let cluster = cluster().region("us-east").replicas(2).start();
    let shard = cluster.shard("us-east");
    let old = shard.primary().clone();
    let client = cluster.direct("us-east").await;
    client.batch_execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)").await.unwrap();
    old.kill().unwrap();
    assert!(!is_listened_on(&old));
    let heir = shard.replica(0).unwrap().clone();
    heir.promote().unwrap();
    assert_eq!(shard.primary().name(), heir.name());
    let client = cluster.direct("us-east").await;
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 1);
    shard.assemble().unwrap();
    assert_eq!((old.role(), heir.role()), (Role::Replica, Role::Primary));
    client.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    let client = connect(&old.app(APP_DATABASE)).await;
    let count = async || {
        let row = client.query_one("SELECT count(*) FROM t", &[]).await.ok()?;
        (row.get::<_, i64>(0) == 2).then_some(())
    };
    eventually("the old primary follows", count).await;
    // A node that we died replacing has no directory.
    old.kill().unwrap();
    std::fs::remove_dir_all(old.data_directory()).unwrap();
    assert_eq!(shard.primary().name(), heir.name());
    shard.assemble().unwrap();
    assert!(old.is_running() && old.role() == Role::Replica);
}

#[tokio::test]
async fn paused_node_answers_after_resume_and_restart_keeps_rows() {
    let cluster = cluster().region("us-east").start();
    let node = cluster.shard("us-east").primary();
    let client = cluster.direct("us-east").await;
    client.batch_execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)").await.unwrap();
    node.pause().unwrap();
    let silent = tokio::time::timeout(std::time::Duration::from_millis(100), client.simple_query("SELECT 1"));
    assert!(silent.await.is_err());
    node.resume().unwrap();
    client.simple_query("SELECT 1").await.unwrap();
    for mode in [StopMode::Fast, StopMode::Immediate] {
        node.restart(mode).unwrap();
        let client = cluster.direct("us-east").await;
        let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
        assert_eq!(count, 1);
    }
    node.kill().unwrap();
    node.start().unwrap();
    cluster.direct("us-east").await.query_one("SELECT i FROM t", &[]).await.unwrap();
    node.pause().unwrap();
    node.stop(StopMode::Fast).unwrap();
}

/// As by `kill -9` of one who tries what happens.
#[tokio::test]
async fn a_server_that_another_has_killed_is_no_zombie() {
    let cluster = cluster().region("us-east").start();
    let pid = cluster.shard("us-east").primary().pid().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    eventually("it is waited for", async || {
        cluster.reap();
        (!std::path::Path::new("/proc").join(&pid).exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn directory_is_used_again_and_by_one_at_a_time() {
    let directory = TemporaryDirectory::new();
    let template = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("template");
    let describe = |replicas| {
        let builder = Cluster::builder(directory.path()).region("us-east").replicas(replicas);
        builder.durability(Durability::Fast).template_cache(&template)
    };
    let record = DatasetRecord { seed: 1, rows: 2, version: 3 };
    {
        let cluster = describe(1).start().unwrap();
        cluster.record_dataset(Some(record)).unwrap();
        let client = connect(&cluster.shards()[0].primary().app(APP_DATABASE)).await;
        client.batch_execute("CREATE TABLE t (i int)").await.unwrap();
        let error = describe(1).start().unwrap_err().to_string();
        assert!(error.contains("in use by another cluster"), "{error}");
    }
    let error = describe(0).start().unwrap_err().to_string();
    assert!(error.contains("--fresh"), "{error}");
    let begun = Instant::now();
    let cluster = describe(1).start().unwrap();
    println!("started again in {:?}", begun.elapsed());
    assert_eq!(cluster.dataset(), Some(record));
    let client = connect(&cluster.shards()[0].primary().app(APP_DATABASE)).await;
    client.query("SELECT * FROM t", &[]).await.unwrap();
    drop(cluster);
    let cluster = describe(0).fresh(true).start().unwrap();
    assert_eq!(cluster.dataset(), None);
}

#[tokio::test]
async fn relay_before_a_node_can_be_cut() {
    let cluster = cluster().region("us-east").relayed().start();
    let node = cluster.shard("us-east").primary();
    let mut through = tokio_postgres::Config::new();
    through
        .host("127.0.0.1")
        .port(node.address().port())
        .user("meridian")
        .password("meridian")
        .dbname("demo");
    let client = connect(&through).await;
    client.simple_query("SELECT 1").await.unwrap();
    node.relay().unwrap().cut();
    assert!(client.simple_query("SELECT 1").await.is_err());
    node.relay().unwrap().restore();
    connect(&through).await.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn shared_cluster_gives_each_test_a_database() {
    let (one, other) = (database().await, database().await);
    one.on_every_shard("CREATE TABLE t (i int)").await;
    assert!(other.direct("us-west").await.query("SELECT * FROM t", &[]).await.is_err());
    one.direct("us-west").await.query("SELECT * FROM t", &[]).await.unwrap();
}

#[tokio::test]
async fn first_replica_is_synchronous_and_at_home_the_others_are_neither() {
    let cluster = cluster().region("us-east").region("us-west").replicas(2).start();
    let shard = cluster.shard("us-west");
    let rows = shard
        .primary()
        .sql("SELECT application_name, sync_state FROM pg_stat_replication ORDER BY 1")
        .unwrap();
    let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    assert_eq!(rows, [["us-west-2", "sync"], ["us-west-3", "async"]]);
    let locations: Vec<_> = shard.nodes().iter().map(|node| node.location()).collect();
    assert_eq!(locations, ["us-west", "us-west", "us-east"]);
    let topology: toml::Table = cluster.topology().parse().unwrap();
    assert_eq!(topology["shards"][1]["nodes"][2]["region"].as_str(), Some("us-east"));
    assert_eq!(topology["regions"][1]["area"][0]["longitude"][0].as_float(), Some(-130.0));
}

#[tokio::test]
async fn a_simulated_distance_is_felt_on_the_way_to_a_node_and_between_nodes() {
    let directory = TemporaryDirectory::new();
    let template = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("template");
    let network = Network::Wan { client_region: "us-east".to_owned() };
    let builder = Cluster::builder(directory.path()).region("us-east").region("ap-south").replicas(2);
    let builder = builder.durability(Durability::Fast).template_cache(&template).network(network);
    let cluster = builder.start().unwrap();
    for region in ["us-east", "ap-south"] {
        let node = cluster.shard(region).unwrap().primary();
        let client = connect(&at_address(node)).await;
        let begun = Instant::now();
        client.simple_query("SELECT 1").await.unwrap();
        assert!(begun.elapsed() >= round_trip("us-east", region), "{region}: {:?}", begun.elapsed());
    }
    let far = connect(&cluster.shard("us-east").unwrap().primary().superuser("postgres")).await;
    let lag =
        "SELECT 1 FROM pg_stat_replication WHERE application_name = 'us-east-3' AND flush_lag > '0.18 s'";
    eventually("the far replica lags by its distance", async || {
        far.batch_execute("CREATE TABLE IF NOT EXISTS t (i int); INSERT INTO t VALUES (1)").await.ok()?;
        (!far.query(lag, &[]).await.ok()?.is_empty()).then_some(())
    })
    .await;
}

/// As the application's role, by way of the relay.
fn at_address(node: &Node) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(node.address().port()).user(APP_USER).password(APP_PASSWORD);
    config.dbname(APP_DATABASE);
    config
}
