//! How many connections there may be to a node, of one account and of all together.

use std::time::Duration;

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::harness::{Database, Meridian, connect, database, eventually, meridian};

/// An account of its own on the servers, of the same name and password.
async fn accounts(names: &[&str]) -> (Database, Vec<String>) {
    let database = database().await;
    let names: Vec<String> = names.iter().map(|name| format!("{}_{name}", database.name)).collect();
    let roles: String = names
        .iter()
        .map(|name| format!("DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN PASSWORD '{name}';"))
        .collect();
    database.cluster.on_every_shard("postgres", &roles).await;
    (database, names)
}

fn users(names: &[String]) -> String {
    names.iter().map(|name| format!("[[users]]\nname = \"{name}\"\npassword = \"{name}\"\n")).collect()
}

fn as_user(meridian: &Meridian, name: &str) -> Config {
    let mut config = meridian.app();
    config.user(name).password(name);
    config
}

/// Server processes of these accounts in the database, on the default shard.
async fn connections(database: &Database, names: &[String]) -> i64 {
    let superuser = database.cluster.shard("us-east").primary().superuser("postgres");
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = ANY($2)";
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let row = connect(&superuser).await.query_one(count, &[&database.name, &names]).await;
    row.expect("a count").get(0)
}

async fn one(client: &Client) {
    client.simple_query("SELECT 1").await.expect("one row");
}

/// Whether a client of this account waits for a connection, as the worker has last said.
async fn is_waiting(console: &Client, name: &str) -> bool {
    let rows = console.simple_query("SHOW POOLS").await.expect("pools");
    rows.iter().any(|row| match row {
        SimpleQueryMessage::Row(row) => row.get("user") == Some(name) && row.get("cl_waiting") != Some("0"),
        _ => false,
    })
}

#[tokio::test]
async fn all_users_together_have_no_more_connections_than_the_database_may() {
    let (database, names) = accounts(&["ann", "ben", "eve"]).await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("proxy", "workers = 1")
        .section("database", "pool_size = 2")
        .tables(&users(&names))
        .start();
    let (ann, ben, eve) = (&names[0], &names[1], &names[2]);
    let open = async |name: &String| connect(&as_user(&meridian, name)).await;
    let (ann_1, ann_2, ben_1, ann_3) = (open(ann).await, open(ann).await, open(ben).await, open(ann).await);

    // What lies idle of one user makes room for another.
    for client in [&ann_1, &ann_2] {
        client.simple_query("BEGIN").await.expect("it begins");
        one(client).await;
    }
    for client in [&ann_1, &ann_2] {
        client.simple_query("COMMIT").await.expect("it ends");
    }
    one(&ben_1).await;
    eventually("one of the first user's is closed", async || {
        (connections(&database, &names).await <= 2).then_some(())
    })
    .await;

    // Who came first is served first, whatever account a connection is of that becomes free.
    let hold = [&ann_1, &ann_2];
    for client in hold {
        client.simple_query("BEGIN").await.expect("it begins");
        one(client).await;
    }
    let order = std::cell::RefCell::new(Vec::new());
    let mut at_console = meridian.app();
    at_console.dbname("meridian");
    let console = connect(&at_console).await;
    let waits = async |name: &String| {
        eventually("it stands in line", async || is_waiting(&console, name).await.then_some(())).await;
    };
    let first = async {
        one(&ben_1).await;
        order.borrow_mut().push("ben");
    };
    let second = async {
        waits(ben).await;
        one(&ann_3).await;
        order.borrow_mut().push("ann");
    };
    let end = async {
        waits(ben).await;
        waits(ann).await;
        assert!(order.borrow().is_empty(), "nobody has room");
        ann_1.simple_query("COMMIT").await.expect("it ends");
    };
    tokio::join!(first, second, end);
    assert_eq!(*order.borrow(), ["ben", "ann"]);
    ann_2.simple_query("COMMIT").await.expect("it ends");

    // Many at once, of three accounts, come through, and nobody is starved.
    let mut crowd = Vec::new();
    for name in [ann, ben, eve, ann, ben, eve, ann, ben] {
        crowd.push(open(name).await);
    }
    let work = crowd.iter().map(|client| async {
        for _ in 0..10 {
            client.simple_query("BEGIN; SELECT 1; COMMIT").await.expect("it works");
        }
    });
    futures_util::future::join_all(work).await;
    eventually("no more than two are left", async || {
        (connections(&database, &names).await <= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_users_own_pool_size_is_not_that_of_gathering() {
    let database = database().await;
    let heavy = format!(
        "[[tables]]\nname = \"things\"\nplacement = \"hash\"\nkey = \"id\"\n\
         [[users]]\nname = \"heavy\"\npassword = \"heavy\"\npool_size = 20\nserver_user = \"{APP_USER}\"\n\
         server_password = \"{APP_PASSWORD}\"\n"
    );
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("proxy", "workers = 1")
        .section("scratch", "concurrent_max = 1")
        .tables(&heavy)
        .start();
    let clients = [connect(&as_user(&meridian, "heavy")).await, connect(&as_user(&meridian, "heavy")).await];
    clients[0].batch_execute("CREATE TABLE things (id int, other int)").await.expect("a table");
    for id in 0..8 {
        let row = format!("INSERT INTO things VALUES ({id}, {})", (id + 1) % 8);
        clients[0].batch_execute(&row).await.expect("a row");
    }
    let slow = "SELECT pg_sleep(0.5) FROM things a JOIN things b ON a.id = b.other WHERE a.id IN (1, 2)";
    let begun = std::time::Instant::now();
    let answers = futures_util::future::join_all(clients.iter().map(|client| client.query(slow, &[]))).await;
    for answer in answers {
        assert_eq!(answer.expect("rows").len(), 2);
    }
    // Two rows of half a second each, twice, one after the other.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}
