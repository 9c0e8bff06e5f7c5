//! The console database over a running Meridian: what administrators see, through both protocols.
//!
//! `simple_query` is psql's way, `query` that of drivers, which prepare and want binary values. Figures of pools are
//! published once a second, so they are waited for.
//!
//! Not here: each column's rules, which are cases beside the tables (`admin::show`).

use std::collections::HashMap;

use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage, SimpleQueryRow};

use crate::harness::{Meridian, RIDE_TABLES, connect, database, eventually, meridian, try_connect};

const CONSOLE: &str = "meridian";

/// A user who may not use the console.
const GUEST: &str = "[[users]]\nname = \"guest\"\npassword = \"guest\"\n";

fn console(meridian: &Meridian) -> Config {
    let mut config = meridian.app();
    config.dbname(CONSOLE).application_name("console test");
    config
}

async fn rows(client: &Client, statement: &str) -> Vec<SimpleQueryRow> {
    let messages = client.simple_query(statement).await;
    let messages = messages.unwrap_or_else(|error| panic!("{statement}: {error}"));
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

async fn stats(client: &Client) -> HashMap<String, i64> {
    let rows = client.query("SHOW STATS", &[]).await.expect("a prepared SHOW");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn the_console_shows_regions_shards_nodes_and_tables() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(RIDE_TABLES).start();
    let client = connect(&console(&meridian)).await;

    let regions = rows(&client, "SHOW REGIONS").await;
    let names: Vec<_> = regions.iter().filter_map(|row| row.get("name")).collect();
    assert_eq!(names, crate::harness::REGIONS);
    assert!(regions[0].get("area").is_some_and(|area| area.starts_with("latitude ")));

    eventually("every shard has its primary", async || {
        let shards = rows(&client, "show shards;").await;
        let known = shards.iter().all(|row| row.get("primary").is_some());
        (shards.len() == 4 && known).then_some(())
    })
    .await;
    let nodes = client.query("SHOW NODES", &[]).await.expect("a prepared SHOW");
    for node in &nodes {
        assert_eq!(node.get::<_, &str>("role"), "primary");
        assert!(node.get::<_, i64>("timeline") >= 1);
        assert_eq!(node.get::<_, i64>("lag_bytes"), 0);
        assert!(node.get::<_, &str>("position").contains('/'));
    }

    let tables = rows(&client, "SHOW TABLES").await;
    let rides = tables.iter().find(|row| row.get("name") == Some("rides")).expect("rides is configured");
    assert_eq!(rides.get("placement"), Some("region"));
    assert_eq!(rides.get("key"), Some("region"));
    assert_eq!(rides.get("in_catalog"), Some("no"));
}

#[tokio::test]
async fn clients_pools_and_counters_follow_what_an_application_does() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).start();
    let client = connect(&console(&meridian)).await;
    let before = stats(&client).await;

    let mut application = meridian.app();
    application.application_name("rides");
    let application = connect(&application).await;
    application.batch_execute("BEGIN").await.expect("a transaction begins");
    application.simple_query("SELECT 1").await.expect("one row");
    let prepared = application.query_one("SELECT $1::int4 + 1", &[&1i32]).await.expect("one row");
    assert_eq!(prepared.get::<_, i32>(0), 2);

    // The answer reaches the application a moment before its session has noted that it waits.
    let clients = eventually("the application's session waits", async || {
        let clients = rows(&client, "SHOW CLIENTS").await;
        clients.iter().any(|row| row.get("state") == Some("idle in transaction")).then_some(clients)
    })
    .await;
    let of = |name: &str| clients.iter().find(|row| row.get("application_name") == Some(name));
    let rides = of("rides").expect("the application is connected");
    assert_eq!(rides.get("user"), Some(APP_USER));
    assert_eq!(rides.get("database"), Some(database.name.as_str()));
    assert_eq!(rides.get("state"), Some("idle in transaction"));
    assert!(rides.get("id").is_some_and(|id| id.parse::<u32>().is_ok_and(|id| id > 0)));
    let own = of("console test").expect("the console's own client is among them");
    assert_eq!((own.get("database"), own.get("state")), (Some(CONSOLE), Some("active")));

    eventually("the worker has said that a connection is active", async || {
        let pools = rows(&client, "SHOW POOLS").await;
        let active = pools.iter().any(|row| {
            row.get("user") == Some(APP_USER)
                && row.get("database") == Some(database.name.as_str())
                && row.get("sv_active") == Some("1")
        });
        active.then_some(())
    })
    .await;
    application.batch_execute("COMMIT").await.expect("the transaction ends");
    eventually("the connection is idle again", async || {
        let pools = rows(&client, "SHOW POOLS").await;
        pools
            .iter()
            .any(|row| row.get("sv_active") == Some("0") && row.get("sv_idle") != Some("0"))
            .then_some(())
    })
    .await;

    let after = stats(&client).await;
    assert_eq!(after["statements"] - before["statements"], 4, "BEGIN, two SELECTs, COMMIT: {after:?}");
    assert_eq!(after["transactions"] - before["transactions"], 1, "{after:?}");
    assert_eq!(after["connections"] - before["connections"], 1);
    assert_eq!(after["clients"], 2);
    assert!(after["relayed"] - before["relayed"] >= 2, "{after:?}");

    drop(application);
    eventually("the client is gone", async || {
        let clients = rows(&client, "SHOW CLIENTS").await;
        (clients.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_console_is_polite_to_drivers_and_says_what_it_knows() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).start();
    let mut client = connect(&console(&meridian)).await;
    client.batch_execute("SET extra_float_digits = 3; BEGIN; COMMIT;").await.expect("courtesies");
    let transaction = client.transaction().await.expect("a transaction");
    let version: String = transaction.query_one("SHOW VERSION", &[]).await.expect("a row").get(0);
    assert!(version.starts_with("Meridian "), "{version}");
    transaction.commit().await.expect("its end");
    let help = rows(&client, "SHOW HELP").await;
    for command in ["SHOW POOLS", "SHOW CONFIG", "RELOAD", "PAUSE [shard]", "KILL client"] {
        assert!(help.iter().any(|row| row.get("command") == Some(command)), "{command}");
    }
    assert_eq!(rows(&client, "SHOW HELP; SHOW VERSION;").await.len(), help.len() + 1);

    for (statement, state) in
        [("SELECT 1", SqlState::FEATURE_NOT_SUPPORTED), ("SHOW everything", SqlState::SYNTAX_ERROR)]
    {
        let error = client.simple_query(statement).await.expect_err(statement);
        let error = error.as_db_error().expect("the console's own error");
        assert_eq!(*error.code(), state, "{statement}");
        assert!(error.hint().is_some_and(|hint| hint.contains("POOLS")));
    }
    assert_eq!(rows(&client, "SHOW VERSION").await.len(), 1, "an error does not end the session");
}

#[tokio::test]
async fn only_administrators_reach_the_console() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(GUEST).start();
    let mut guest = console(&meridian);
    guest.user("guest").password("guest");
    let error = try_connect(&guest).await.expect_err("the guest is refused");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));

    let mut stranger = console(&meridian);
    stranger.user(APP_USER).password(format!("not {APP_PASSWORD}"));
    let error = try_connect(&stranger).await.expect_err("a wrong password is refused");
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
    assert_ne!(CONSOLE, APP_DATABASE);
}
