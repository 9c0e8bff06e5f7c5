//! The log of a running Meridian: what it tells of slow statements, and what it must never tell.

use std::time::Duration;

use crate::harness::{RIDE_TABLES, connect, database, eventually, meridian};

/// Stand in literals, parameters, settings and errors; none may be in the log.
const SECRETS: [&str; 5] =
    ["tell-tale-literal", "tell-tale-parameter", "tell-tale-duplicate", "9182736455", "telltalesetting"];

#[tokio::test]
async fn the_log_keeps_what_clients_say_to_itself() {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .tables(RIDE_TABLES)
        .section("log", "format = \"json\"\nlevel = \"debug\"\nslow_statement = \"1us\"")
        .start();
    let client = connect(&meridian.app()).await;
    client.batch_execute("CREATE TABLE told (word text PRIMARY KEY, number bigint)").await.expect("a table");
    client.simple_query("INSERT INTO told VALUES ('tell-tale-duplicate', 9182736455)").await.expect("a row");
    // The DETAIL of these quotes the value, and so does the message of a value that cannot be read.
    client.simple_query("INSERT INTO told VALUES ('tell-tale-duplicate', 1)").await.expect_err("a duplicate");
    client.simple_query("SELECT 'tell-tale-literal'::bigint").await.expect_err("no number");
    client.simple_query("SELECT $$tell-tale-literal").await.expect_err("no end");
    client.simple_query("SET application_name = telltalesetting").await.expect("a setting");
    let parameter = "tell-tale-parameter";
    client.query("SELECT word FROM told WHERE word = $1", &[&parameter]).await.expect("no rows");
    client.execute("INSERT INTO told VALUES ($1, 1)", &[&parameter]).await.expect("a row");
    client.execute("INSERT INTO told VALUES ($1, 1)", &[&parameter]).await.expect_err("a duplicate");
    client.simple_query("ALTER ROLE nobody PASSWORD 'tell-tale-literal'").await.expect_err("no role");
    let mut stranger = meridian.app();
    stranger.password("tell-tale-literal");
    assert!(stranger.connect(tokio_postgres::NoTls).await.is_err());

    let log = eventually("the last statement is logged", async || {
        let log = meridian.log();
        log.contains("alter role nobody password ?").then_some(log)
    })
    .await;
    for secret in SECRETS {
        let found = log.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "{secret}: {found:?}");
    }
    let slow: serde_json::Value = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line["statement"] == "select word from told where word = $1")
        .unwrap_or_else(|| panic!("the statement is not in\n{log}"));
    assert_eq!(slow["message"], "slow statement");
    assert_eq!((&slow["verb"], &slow["route"]), (&"select".into(), &"relay".into()));
    assert!(slow["seconds"].as_f64().is_some_and(|seconds| seconds < Duration::from_secs(60).as_secs_f64()));
}

#[tokio::test]
async fn statements_stand_in_the_log_as_the_configuration_says() {
    let database = database().await;
    let start = |statements: &str| {
        let keys = format!("slow_statement = \"1us\"\nstatements = \"{statements}\"");
        meridian(&database.cluster).database(&database.name).section("log", &keys).start()
    };
    for (statements, has, has_not) in [("full", "SELECT 4711", "select ?"), ("off", "slow statement", "4711")]
    {
        let meridian = start(statements);
        connect(&meridian.app()).await.simple_query("SELECT 4711").await.expect("one row");
        let log = eventually("the statement is logged", async || {
            let log = meridian.log();
            log.contains(has).then_some(log)
        })
        .await;
        assert!(!log.contains(has_not), "{log}");
    }
}
