//! Sessions that keep a server connection for themselves, and when they give it back.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::harness::{Meridian, connect, database, eventually, meridian};

/// Why the session with this name is pinned, as SHOW CLIENTS has it.
async fn pinned(meridian: &Meridian, name: &str) -> Option<String> {
    let mut console = meridian.app();
    console.dbname("meridian");
    let console = connect(&console).await;
    let rows = console.simple_query("SHOW CLIENTS").await.expect("the clients");
    rows.iter().find_map(|row| match row {
        SimpleQueryMessage::Row(row) if row.get("application_name") == Some(name) => {
            Some(row.get("pinned").filter(|reason| !reason.is_empty()).map(str::to_owned))
        }
        _ => None,
    })?
}

/// The client has its answer before its session has looked at what is left on the server.
async fn shared_again(meridian: &Meridian, after: &str) {
    eventually(&format!("the session is shared again after {after}"), async || {
        pinned(meridian, "keeper").await.is_none().then_some(())
    })
    .await;
}

async fn named(meridian: &Meridian, name: &str) -> Client {
    let mut config = meridian.app();
    config.application_name(name);
    connect(&config).await
}

async fn run(client: &Client, statements: &[&str]) {
    for statement in statements {
        client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// One server connection: whoever keeps it keeps all others out.
#[tokio::test]
async fn a_pin_ends_with_its_reason() {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("proxy", "workers = 1")
        .section("pool", "size = 1")
        .start();
    let client = named(&meridian, "keeper").await;
    let other = named(&meridian, "other").await;
    let cases = [
        ("LISTEN news", "UNLISTEN news", "LISTEN"),
        ("LISTEN news", "UNLISTEN *", "LISTEN"),
        ("SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock(7)", "advisory lock"),
        ("SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock_all()", "advisory lock"),
        ("CREATE TEMPORARY TABLE mine (id int)", "DROP TABLE mine", "temporary"),
        ("CREATE TEMPORARY TABLE mine (id int)", "DISCARD TEMP", "temporary"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c", "WITH HOLD"),
        ("PREPARE p AS SELECT 1", "DEALLOCATE p", "PREPARE"),
        ("PREPARE p AS SELECT 1", "DEALLOCATE ALL", "PREPARE"),
    ];
    for (begins, ends, reason) in cases {
        run(&client, &[begins]).await;
        eventually(&format!("{begins} pins for {reason}"), async || {
            pinned(&meridian, "keeper").await.filter(|pin| pin.contains(reason)).map(drop)
        })
        .await;
        run(&client, &[ends]).await;
        shared_again(&meridian, ends).await;
        run(&other, &["SELECT count(*) FROM pg_class"]).await;
    }
    // Prepared by the driver.
    let unlock = client.prepare("SELECT pg_advisory_unlock($1)").await.expect("a statement");
    run(&client, &["SELECT pg_advisory_lock(7)"]).await;
    client.query(&unlock, &[&7_i64]).await.expect("an answer");
    shared_again(&meridian, "a prepared unlock").await;
}

#[tokio::test]
async fn a_pin_lasts_as_long_as_one_of_its_reasons() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).start();
    let client = named(&meridian, "keeper").await;
    run(&client, &["LISTEN news", "CREATE TEMPORARY TABLE mine (id int)", "UNLISTEN news"]).await;
    assert!(pinned(&meridian, "keeper").await.is_some(), "the table is there");
    run(&client, &["BEGIN", "DROP TABLE mine", "ROLLBACK", "INSERT INTO mine VALUES (1)"]).await;
    assert!(pinned(&meridian, "keeper").await.is_some(), "it still is");
    run(&client, &["BEGIN", "DROP TABLE mine", "COMMIT"]).await;
    shared_again(&meridian, "the last table").await;
    let function = "CREATE FUNCTION pg_temp.one() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    run(&client, &[function, "LISTEN news", "UNLISTEN news"]).await;
    let one = client.query_one("SELECT pg_temp.one()", &[]).await.expect("the function is there");
    assert_eq!(one.get::<_, i32>(0), 1);
    run(&client, &["DISCARD TEMP"]).await;
    shared_again(&meridian, "DISCARD TEMP").await;
}
