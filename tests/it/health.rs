//! The watch over real servers: roles, lag, deaths, promotions by others; and the catalogs.

use std::net::TcpListener;
use std::time::Duration;

use meridian::config::{Secret, ServerSettings};
use meridian::health::{ControlError, connect};
use meridian::sql::name::ObjectName;
use meridian::topology::NodeId;
use meridian::topology::NodeRole::{Down, Primary, Replica};

use crate::control::{self, Control};
use crate::harness::{cluster, eventually};

#[tokio::test]
async fn roles_positions_and_timelines_are_found() {
    let cluster = cluster().region("us-east").replicas(1).start();
    let control = Control::start(&cluster).await;
    assert_eq!(control.roles(), [Primary, Replica]);
    let client = cluster.direct("us-east").await;
    client.batch_execute("CREATE TABLE t AS SELECT generate_series(1, 1000)").await.unwrap();
    eventually("the replica is level with its primary", async || {
        let (primary, replica) = (control.state(0), control.state(1));
        let level =
            primary.position() == replica.position() && replica.lag().is_zero() && replica.lag_bytes() == 0;
        (level && replica.timeline() == 1 && !primary.round_trip().is_zero()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn lag_grows_while_a_replica_does_not_replay() {
    let cluster = cluster().region("us-east").replicas(1).asynchronous().start();
    let control = Control::start(&cluster).await;
    let replica = cluster.shard("us-east").replica(0).unwrap().clone();
    eventually("level", async || control.state(1).lag().is_zero().then_some(())).await;
    replica.sql("SELECT pg_wal_replay_pause()").unwrap();
    let client = cluster.direct("us-east").await;
    client.batch_execute("CREATE TABLE t AS SELECT generate_series(1, 1000)").await.unwrap();
    eventually("lag is seen", async || {
        let state = control.state(1);
        let lag = state.lag();
        (lag > Duration::from_secs(1) && lag < Duration::from_secs(60) && state.lag_bytes() > 0).then_some(())
    })
    .await;
    replica.sql("SELECT pg_wal_replay_resume()").unwrap();
    eventually("level again", async || control.state(1).lag().is_zero().then_some(())).await;
}

#[tokio::test]
async fn a_dead_replica_is_left_out_and_comes_back() {
    let cluster = cluster().region("us-east").replicas(1).asynchronous().start();
    let control = Control::start(&cluster).await;
    let replica = cluster.shard("us-east").replica(0).unwrap().clone();
    replica.kill().unwrap();
    eventually("it is down", async || (control.roles() == [Primary, Down]).then_some(())).await;
    replica.start().unwrap();
    eventually("it is back", async || (control.roles() == [Primary, Replica]).then_some(())).await;
}

#[tokio::test]
async fn a_promotion_by_others_is_followed_and_the_old_primary_is_never_taken_back() {
    let cluster = cluster().region("us-east").replicas(1).asynchronous().start();
    let control = Control::start(&cluster).await;
    let shard = cluster.shard("us-east");
    let (old, heir) = (shard.primary().clone(), shard.replica(0).unwrap().clone());
    let mut roles = control.signals.watch_roles();
    roles.mark_unchanged();
    // Both are up now, and both say that they are the primary.
    heir.promote().unwrap();
    eventually("the new one is followed", async || (control.roles() == [Down, Primary]).then_some(())).await;
    assert!(roles.has_changed().unwrap());
    assert_eq!(control.state(1).timeline(), 2);
    heir.kill().unwrap();
    eventually("both are out", async || (control.roles() == [Down, Down]).then_some(())).await;
    heir.start().unwrap();
    shard.assemble().unwrap();
    eventually("the old one serves as a replica", async || {
        (control.roles() == [Replica, Primary]).then_some(())
    })
    .await;
    assert!(old.is_running());
}

#[tokio::test]
async fn who_starts_while_the_new_primary_is_away_does_not_take_the_old_one() {
    let cluster = cluster().region("us-east").replicas(1).asynchronous().region("eu-central").start();
    let shard = cluster.shard("us-east");
    let heir = shard.replica(0).unwrap().clone();
    let control = Control::start(&cluster).await;
    let elsewhere = cluster.direct("eu-central").await;
    let exists = "SELECT to_regclass('meridian_internal.timelines') IS NOT NULL";
    assert!(!elsewhere.query_one(exists, &[]).await.unwrap().get::<_, bool>(0), "nothing was promoted yet");
    heir.promote().unwrap();
    eventually("it is recorded on the other shard", async || {
        let recorded = "SELECT FROM meridian_internal.timelines WHERE shard = 'us-east' AND timeline = 2";
        elsewhere.query(recorded, &[]).await.ok().filter(|rows| rows.len() == 1).map(|_| ())
    })
    .await;
    drop(control);
    heir.kill().unwrap();
    let control = Control::start(&cluster).await;
    assert_eq!(control.roles(), [Down, Down, Primary, Replica]);
    heir.start().unwrap();
    eventually("the new one is back", async || {
        (control.roles() == [Down, Primary, Primary, Replica]).then_some(())
    })
    .await;
    // The records are read by whoever dumps, and written by nobody but Meridian.
    let superuser = crate::harness::connect(&cluster.shard("eu-central").primary().superuser("demo")).await;
    superuser.batch_execute("CREATE ROLE reader").await.unwrap();
    for (right, expected) in [("SELECT", true), ("INSERT", false), ("UPDATE", false), ("DELETE", false)] {
        let sql = format!("SELECT has_table_privilege('reader', 'meridian_internal.timelines', '{right}')");
        assert_eq!(superuser.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0), expected, "{right}");
    }
}

#[tokio::test]
async fn catalogs_are_loaded_again_when_asked_and_when_they_changed() {
    let cluster = cluster().region("us-east").region("eu-central").start();
    let control = Control::start(&cluster).await;
    let table = ObjectName::qualified("public", "t");
    assert!(control.catalog.current().loaded);
    assert!(!control.catalog.current().relations.contains_key(&table));
    cluster.direct("us-east").await.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    control.catalog.refresh().await.unwrap();
    let catalog = control.catalog.current();
    assert!(catalog.relations.contains_key(&table));
    assert!(catalog.drift.iter().any(|drift| drift.contains("public.t")), "{:?}", catalog.drift);
    cluster.direct("eu-central").await.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    eventually("the poll finds it", async || control.catalog.current().drift.is_empty().then_some(())).await;
}

#[tokio::test]
async fn an_account_without_rights_sees_roles_and_timelines() {
    let cluster = cluster().region("us-east").replicas(1).asynchronous().start();
    let shard = cluster.shard("us-east");
    shard.primary().sql("CREATE ROLE plain LOGIN PASSWORD 'plain'").unwrap();
    let text = control::configuration(&cluster).replace("\"meridian\"", "\"plain\"");
    let control = Control::start_with(&text).await;
    eventually("roles", async || (control.roles() == [Primary, Replica]).then_some(())).await;
    assert_eq!((control.state(0).timeline(), control.state(1).timeline()), (1, 1));
    // Less than that: the watch goes on without what it may not see.
    let revoke = "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_walfile_name(pg_lsn) FROM PUBLIC";
    let superuser = crate::harness::connect(&shard.primary().superuser("demo")).await;
    superuser.batch_execute(revoke).await.unwrap();
    eventually("a hidden timeline", async || (control.state(0).timeline() == 0).then_some(())).await;
    assert_eq!(control.roles(), [Primary, Replica]);
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_said_in_words() {
    let cluster = cluster().region("us-east").start();
    let config = control::parse(&control::configuration(&cluster));
    let wrong = ServerSettings { password: Some(Secret::new("wrong")), ..config.server.clone() };
    let error = connect(&config.topology, NodeId(0), &wrong).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("28P01"), "{error}");
    let none = ServerSettings { password: None, ..config.server.clone() };
    let error = connect(&config.topology, NodeId(0), &none).await.unwrap_err();
    assert!(error.to_string().contains("asks for a password and none is configured"), "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming().take(2) {
            use std::io::{Read, Write};
            let mut socket = socket.unwrap();
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let real = cluster.shard("us-east").primary().address().port().to_string();
    let elsewhere = control::configuration(&cluster).replace(&real, &port.to_string());
    let config = control::parse(&elsewhere);
    let error = connect(&config.topology, NodeId(0), &config.server).await.unwrap_err();
    assert!(matches!(error, ControlError::NotPostgres { .. }), "{error}");
}
