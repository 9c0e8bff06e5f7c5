//! Transactions over several real shards: committed on all or on none, also when the coordinator is killed.

#![allow(clippy::unwrap_used, reason = "these functions are parts of tests")]

use std::process::{Command, Stdio};
use std::sync::Arc;

use meridian::backend::pool::Account;
use meridian::backend::{Connection, Part, Pools, Sizing, Waits};
use meridian::config::Config;
use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER};
use meridian::topology::{NodeId, ShardId, Topology};
use meridian::transaction::registry::Fitness;
use meridian::transaction::{CommitError, Participant, Registry, commit};
use meridian::wire::credential::LoginSecret;
use meridian::wire::{Secret, SqlState};

use crate::control::{self, Control};
use crate::harness::{TestCluster, cluster, connect, eventually};

/// Connections to the first node of every shard, each in a transaction of its own.
async fn begin(topology: &Topology, config: &Config) -> Vec<Connection> {
    let waits = Waits {
        tls: config.server.tls.clone(),
        connect_timeout: config.server.connect_timeout,
        primary_wait: config.session.primary_wait,
    };
    let pools = Pools::new(
        config.pool.clone(),
        waits,
        Sizing::Accounts { node_max: None },
        Part { index: 0, workers: 1 },
        Default::default(),
    );
    let account = Account {
        user: APP_USER.to_owned(),
        secret: Some(LoginSecret::Password(Secret::new(APP_PASSWORD))),
        read_only: false,
        pool_size: None,
        defaults: Default::default(),
    };
    let mut connections = Vec::new();
    for shard in &topology.shards {
        let node = shard.nodes[0];
        let own = meridian::backend::Placeholders::default();
        let wanted = meridian::backend::Wanted { own: &own, no_others: false };
        let mut connection = pools.take(topology, node, &APP_USER.into(), &account, wanted).await.unwrap();
        connection.capture("BEGIN").await.unwrap().ok().unwrap();
        connections.push(*connection);
    }
    connections
}

async fn run(connection: &mut Connection, sql: &str) {
    connection.capture(sql).await.unwrap().ok().unwrap();
}

async fn commit_all(
    connections: &mut [Connection],
    topology: &Topology,
    registry: &Registry,
) -> Result<(), CommitError> {
    let mut participants: Vec<_> = connections
        .iter_mut()
        .enumerate()
        .map(|(index, connection)| Participant {
            connection,
            shard: ShardId(index as u16),
            holds: false,
            wrote: true,
            spent: std::time::Duration::ZERO,
        })
        .collect();
    commit(&mut participants, topology, registry, &mut Vec::new()).await
}

async fn two_shards() -> (TestCluster, Control) {
    let cluster = cluster().region("us-east").region("eu-central").start();
    cluster
        .on_every_shard(
            APP_DATABASE,
            "CREATE TABLE t (i int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED); GRANT ALL ON t TO PUBLIC",
        )
        .await;
    let control = Control::start(&cluster).await;
    assert_eq!(control.registry.fitness(ShardId(0)), Fitness::Fit);
    assert_eq!(control.registry.fitness(ShardId(1)), Fitness::Fit);
    (cluster, control)
}

/// How many shards hold the row.
async fn holders(cluster: &TestCluster, value: i32) -> usize {
    let mut holders = 0;
    for shard in cluster.shards() {
        let client = cluster.direct(shard.name()).await;
        holders += client.query("SELECT FROM t WHERE i = $1", &[&value]).await.unwrap().len();
    }
    holders
}

async fn prepared(cluster: &TestCluster) -> usize {
    let mut count = 0;
    for shard in cluster.shards() {
        let client = cluster.direct(shard.name()).await;
        count += client.query("SELECT FROM pg_prepared_xacts", &[]).await.unwrap().len();
    }
    count
}

#[tokio::test]
async fn all_shards_commit_and_the_decision_is_recorded_once() {
    let (cluster, control) = two_shards().await;
    let mut connections = begin(&control.topology, &control.config).await;
    for connection in &mut connections {
        run(connection, "INSERT INTO t VALUES (1)").await;
    }
    commit_all(&mut connections, &control.topology, &control.registry).await.unwrap();
    assert_eq!((holders(&cluster, 1).await, prepared(&cluster).await), (2, 0));
    for (region, rows) in [("us-east", 1), ("eu-central", 0)] {
        let client = cluster.direct(region).await;
        let row = client
            .query_one("SELECT count(*) FROM meridian_internal.decisions WHERE outcome = 'commit'", &[])
            .await;
        assert_eq!(row.unwrap().get::<_, i64>(0), rows, "{region}");
    }
    assert!(connections.iter().all(Connection::is_clean));
}

#[tokio::test]
async fn one_shard_that_refuses_rolls_all_back() {
    let (cluster, control) = two_shards().await;
    cluster.on_every_shard(APP_DATABASE, "INSERT INTO t VALUES (1)").await;
    // A deferred constraint fails at COMMIT on the recorder, at PREPARE on the other.
    for wrong in [0, 1] {
        let mut connections = begin(&control.topology, &control.config).await;
        for (index, connection) in connections.iter_mut().enumerate() {
            run(
                connection,
                if index == wrong { "INSERT INTO t VALUES (1)" } else { "INSERT INTO t VALUES (2)" },
            )
            .await;
        }
        let error = commit_all(&mut connections, &control.topology, &control.registry).await.unwrap_err();
        assert_eq!(error.into_sql().sqlstate, SqlState::UNIQUE_VIOLATION);
        assert_eq!((holders(&cluster, 2).await, prepared(&cluster).await), (0, 0));
        assert!(connections.iter().all(Connection::is_clean));
    }
    // What PostgreSQL does not let be prepared, and a transaction that has failed before.
    for (sql, state) in [
        ("CREATE TEMPORARY TABLE mine (i int)", SqlState::FEATURE_NOT_SUPPORTED),
        ("SELECT 1 / 0", SqlState::IN_FAILED_SQL_TRANSACTION),
    ] {
        let mut connections = begin(&control.topology, &control.config).await;
        run(&mut connections[0], "INSERT INTO t VALUES (2)").await;
        let _ = connections[1].capture(sql).await.unwrap();
        let error = commit_all(&mut connections, &control.topology, &control.registry).await.unwrap_err();
        assert_eq!(error.into_sql().sqlstate, state);
        assert_eq!((holders(&cluster, 2).await, prepared(&cluster).await), (0, 0));
    }
}

#[tokio::test]
async fn only_the_coordinator_can_decide() {
    let (cluster, _control) = two_shards().await;
    let superuser = connect(&cluster.shard("us-east").primary().superuser(APP_DATABASE)).await;
    superuser.batch_execute("CREATE ROLE mallory").await.unwrap();
    superuser.batch_execute("SET ROLE mallory").await.unwrap();
    let gid = format!("meridian:us-east:{}:{}", "0".repeat(16), "0".repeat(64));
    for attempt in [
        format!("SELECT meridian_internal.decide('{gid}', 'guess')"),
        format!("INSERT INTO meridian_internal.decisions VALUES ('{gid}', 'commit')"),
        "DELETE FROM meridian_internal.decisions".to_owned(),
    ] {
        let error = superuser.batch_execute(&attempt).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{attempt}");
    }
}

#[tokio::test]
async fn every_role_may_dump_the_decisions_and_lock_nobody_out() {
    let (cluster, _control) = two_shards().await;
    let superuser = connect(&cluster.shard("us-east").primary().superuser(APP_DATABASE)).await;
    superuser.batch_execute("CREATE ROLE reader").await.unwrap();
    superuser.batch_execute("SET ROLE reader").await.unwrap();
    let dump = "BEGIN; LOCK TABLE meridian_internal.decisions IN ACCESS SHARE MODE; \
                SELECT * FROM meridian_internal.decisions; COMMIT";
    superuser.batch_execute(dump).await.unwrap();
    for mode in ["ROW SHARE", "ROW EXCLUSIVE", "SHARE", "ACCESS EXCLUSIVE"] {
        let lock = format!("BEGIN; LOCK TABLE meridian_internal.decisions IN {mode} MODE");
        let error = superuser.batch_execute(&lock).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{mode}");
        superuser.batch_execute("ROLLBACK").await.unwrap();
    }
    // What an earlier Meridian has made is shared, too.
    superuser.batch_execute("RESET ROLE").await.unwrap();
    superuser.batch_execute("REVOKE ALL ON meridian_internal.decisions FROM PUBLIC").await.unwrap();
    let _second = Control::start(&cluster).await;
    eventually("the table is readable", async || {
        let sql = "SELECT has_table_privilege('reader', 'meridian_internal.decisions', 'SELECT')";
        superuser.query_one(sql, &[]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn shards_without_prepared_transactions_are_refused_before_anything_is_sent() {
    let cluster =
        cluster().region("us-east").region("eu-central").setting("max_prepared_transactions", "0").start();
    cluster.on_every_shard(APP_DATABASE, "CREATE TABLE t (i int); GRANT ALL ON t TO PUBLIC").await;
    let control = Control::start(&cluster).await;
    let mut connections = begin(&control.topology, &control.config).await;
    for connection in &mut connections {
        run(connection, "INSERT INTO t VALUES (1)").await;
    }
    let error = commit_all(&mut connections, &control.topology, &control.registry).await.unwrap_err();
    assert!(matches!(error, CommitError::NotTried(_)));
    let error = error.into_sql();
    assert_eq!(error.sqlstate, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert!(error.hint.unwrap().contains("max_prepared_transactions"));
    run(&mut connections[0], "SELECT * FROM t").await;
}

/// The points, and on how many shards the row must be in the end.
const POINTS: [(&str, usize); 5] = [
    ("after_one_prepare", 0),
    ("after_prepare_before_decision", 0),
    ("after_decision_before_second_phase", 2),
    ("after_one_commit_prepared", 2),
    ("after_second_phase", 2),
];

#[tokio::test]
async fn what_a_killed_coordinator_has_left_is_finished_the_same_on_all_shards() {
    let (cluster, _control) = two_shards().await;
    // One whose client had another role, of which Meridian's account is a member.
    let superuser = connect(&cluster.shard("eu-central").primary().superuser(APP_DATABASE)).await;
    let gid = format!("meridian:us-east:{}:{}", "0".repeat(16), "0".repeat(64));
    superuser.batch_execute(&format!("CREATE ROLE app; GRANT app TO {APP_USER}")).await.unwrap();
    let other = format!("SET ROLE app; BEGIN; INSERT INTO t VALUES (99); PREPARE TRANSACTION '{gid}'");
    superuser.batch_execute(&other).await.unwrap();
    for (value, (point, _)) in POINTS.iter().enumerate() {
        let status = coordinator(&cluster, value, &format!("{point}:abort")).status().unwrap();
        assert!(!status.success(), "{point} was not reached");
    }
    eventually("nothing is left", async || (prepared(&cluster).await == 0).then_some(())).await;
    for (value, (point, expected)) in POINTS.iter().enumerate() {
        assert_eq!(holders(&cluster, value as i32).await, *expected, "{point}");
    }
}

#[tokio::test]
async fn a_coordinator_that_is_slower_than_recovery_rolls_back() {
    let (cluster, _control) = two_shards().await;
    let mut slow = coordinator(&cluster, 0, "after_prepare_before_decision:stall").spawn().unwrap();
    eventually("it has prepared", async || (prepared(&cluster).await == 1).then_some(())).await;
    eventually("recovery has decided", async || (prepared(&cluster).await == 0).then_some(())).await;
    assert!(slow.try_wait().unwrap().is_none(), "it is still about to decide");
    let status = tokio::task::spawn_blocking(move || slow.wait()).await.unwrap().unwrap();
    assert!(status.success());
    assert_eq!(holders(&cluster, 0).await, 0);
}

/// This binary again, as a coordinator that meets a fault.
fn coordinator(cluster: &TestCluster, value: usize, fault: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "two_phase::coordinator_that_meets_a_fault", "--ignored", "--quiet"])
        .env("MERIDIAN_TEST_CONFIG", control::configuration(cluster))
        .env("MERIDIAN_TEST_VALUE", value.to_string())
        .env("MERIDIAN_FAULT", fault)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The process that is killed or held up; it runs only as a child of the tests above.
#[tokio::test]
#[ignore = "is started by other tests"]
async fn coordinator_that_meets_a_fault() {
    let Ok(text) = std::env::var("MERIDIAN_TEST_CONFIG") else { return };
    let value = std::env::var("MERIDIAN_TEST_VALUE").unwrap();
    let config = control::parse(&text);
    let registry = Arc::new(Registry::default());
    for shard in 0..config.topology.shards.len() {
        registry.set_fitness(ShardId(shard as u16), Fitness::Fit);
    }
    assert_eq!(config.topology.shards[0].nodes, [NodeId(0)]);
    let mut connections = begin(&config.topology, &config).await;
    for connection in &mut connections {
        run(connection, &format!("INSERT INTO t VALUES ({value})")).await;
    }
    // Only the one that was held up comes to this.
    let error = commit_all(&mut connections, &config.topology, &registry).await.unwrap_err();
    assert!(matches!(error, CommitError::RolledBack { .. }), "{error}");
    assert_eq!(error.into_sql().sqlstate, SqlState::SERIALIZATION_FAILURE);
}
