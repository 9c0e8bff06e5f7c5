//! Clients that vanish at odd moments, and more clients than servers: nothing stays busy, nobody waits for ever.

use std::time::Duration;

use meridian::demo::cluster::{APP_DATABASE, Cluster, Durability, Network};

use crate::harness::{TemporaryDirectory, connect, eventually, meridian};
use crate::stand::{self, Message, PLACES, Pair, RawClient, Received};

/// Things after which a client is gone without a word.
fn odd_moments() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("at once", vec![]),
        ("in a query", stand::query("SELECT pg_sleep(120)")),
        (
            "in a query of a region",
            stand::query("SELECT pg_sleep(120) FROM places WHERE region = 'ap-south'"),
        ),
        ("in a query of all regions", stand::query("SELECT count(pg_sleep(30)) FROM places")),
        ("in a write", stand::query("INSERT INTO places SELECT 99, 'us-west', pg_sleep(120)::text")),
        ("in a transaction", stand::query("BEGIN; UPDATE places SET name = 'x' WHERE region = 'us-west'")),
        (
            "in a failed transaction",
            stand::query("BEGIN; SELECT 1 FROM places WHERE region = 'us-west'; SELECT 1/0"),
        ),
        ("after Parse", stand::parse("s", "SELECT 1", &[])),
        ("without Sync", stand::unended("SELECT pg_sleep(120)")),
        ("after Flush", [stand::unended("SELECT 1"), stand::flush()].concat()),
        ("in COPY in", stand::query("COPY places FROM STDIN")),
        (
            "in COPY in, with data",
            [stand::query("COPY places FROM STDIN"), stand::frame(b'd', b"77\tus-west\tx\n78\tap-s")]
                .concat(),
        ),
        (
            "in COPY out",
            stand::query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"),
        ),
        ("in a large result", stand::query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)")),
        ("in half a message", stand::query("SELECT 1")[..7].to_vec()),
        (
            "with a cursor",
            stand::query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM places WHERE region = 'us-east'"),
        ),
        ("with a cursor over all regions", stand::query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM places")),
        (
            "in a fetch of a cursor over all regions",
            stand::query("BEGIN; DECLARE c CURSOR FOR SELECT pg_sleep(60) FROM places; FETCH ALL FROM c"),
        ),
        ("pinned", stand::query("LISTEN odd; SELECT pg_advisory_lock(9)")),
        ("waiting for a lock", stand::query("SELECT pg_advisory_lock(9)")),
    ]
}

#[tokio::test]
async fn vanished_clients_leave_no_server_busy() {
    let pair = Pair::new("odd", PLACES);
    let Some(target) = &pair.meridian else { return };
    target.run(&[
        "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
        "INSERT INTO places VALUES (1, 'us-east', 'New York')",
        "INSERT INTO places VALUES (2, 'us-west', 'Los Angeles')",
        "INSERT INTO places VALUES (4, 'ap-south', 'Mumbai')",
    ]);
    for (what, bytes) in odd_moments() {
        let mut client = target.raw();
        client.send(&bytes);
        // What comes first has come: the statement runs, if it is one that takes long.
        client.set_patience(Duration::from_millis(30));
        let _ = client.receive();
        drop(client);
        pair.falls_quiet(what, target).await;
        let mut next = target.raw();
        let untouched = "SELECT count(*) FROM places WHERE region = 'us-west' AND name <> 'x'";
        assert_eq!(next.value(untouched).as_deref(), Some("1"), "{what}");
        assert_eq!(next.value("SHOW transaction_isolation").as_deref(), Some("read committed"), "{what}");
    }
    // The lock of the one that was pinned is free again.
    assert_eq!(target.raw().value("SELECT pg_try_advisory_lock(9)").as_deref(), Some("t"));
}

/// A cancel that reaches a server before its statement has begun finds nothing to cancel.
#[tokio::test]
async fn clients_that_vanish_with_their_first_words_leave_no_server_busy() {
    let pair = Pair::new("hasty", PLACES);
    let Some(target) = &pair.meridian else { return };
    target.run(&[
        "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
        "INSERT INTO places VALUES (4, 'ap-south', 'Mumbai')",
    ]);
    for _ in 0..5 {
        let mut clients: Vec<RawClient> = (0..8).map(|_| target.raw()).collect();
        for client in &mut clients {
            client.send(&stand::query("SELECT pg_sleep(120) FROM places WHERE region = 'ap-south'"));
        }
        drop(clients);
        pair.falls_quiet("at the first words", target).await;
    }
}

#[tokio::test]
async fn cancel_ends_the_wait_for_a_server() {
    let sections = [("pool", "size = 1\nwait_timeout = \"600s\""), ("proxy", "workers = 1")];
    let pair = Pair::with("impatient", PLACES, &sections);
    let Some(target) = &pair.meridian else { return };
    let mut holder = target.raw();
    holder.simple("BEGIN");
    holder.simple("CREATE TEMP TABLE IF NOT EXISTS held (i int) ON COMMIT DROP");
    let mut waiting = target.raw();
    waiting.send(&stand::query("SELECT txid_current()"));
    let (process, secret) = (waiting.process, waiting.secret);
    let cancelled = async || {
        RawClient::open(target.port).send(&stand::cancel(process, secret));
        waiting.set_patience(Duration::from_millis(100));
        match waiting.receive() {
            Received::Message(message) => Some(message.line()),
            _ => None,
        }
    };
    let answer = eventually("the wait ends", cancelled).await;
    assert!(answer.contains("57014"), "{answer}");
    waiting.until_ready();
    drop(holder);
    waiting.set_patience(Duration::from_secs(15));
    assert_eq!(waiting.value("SELECT txid_current() > 0").as_deref(), Some("t"));
}

#[tokio::test]
async fn statement_timeout_ends_the_wait_for_a_server() {
    let sections = [("pool", "size = 1\nwait_timeout = \"600s\""), ("proxy", "workers = 1")];
    let pair = Pair::with("in_a_hurry", PLACES, &sections);
    let Some(target) = &pair.meridian else { return };
    let (mut holder, mut waiting) = (target.raw(), target.raw());
    waiting.simple("SET statement_timeout = '200ms'");
    holder.simple("BEGIN");
    holder.simple("CREATE TEMP TABLE IF NOT EXISTS held (i int) ON COMMIT DROP");
    for words in [stand::query("SELECT txid_current()"), stand::extended("SELECT txid_current()")] {
        waiting.send(&words);
        let lines = stand::lines(&waiting.until_ready()).join("\n");
        assert!(lines.contains("57014") && lines.contains("statement timeout"), "{lines}");
    }
    drop(holder);
    eventually("a server is free again", async || waiting.value("SELECT txid_current() > 0")).await;
}

#[tokio::test]
async fn half_closed_client_is_answered_or_dismissed() {
    for target in stand::common().targets() {
        let mut client = target.raw();
        client.send(&stand::query("SELECT 'heard'"));
        client.half_close();
        let mut last = client.receive();
        while let Received::Message(_) = last {
            last = client.receive();
        }
        assert_eq!(last, Received::Closed, "{:?}", target.kind);
    }
}

#[tokio::test]
async fn slow_reader_is_waited_for_and_holds_nobody_else() {
    for target in stand::common().targets() {
        let mut slow = target.raw();
        slow.send(&stand::query("SELECT repeat('x', 1000) FROM generate_series(1, 30000)"));
        target.run(&["SELECT 1", "SELECT count(*) FROM places"]);
        let rows = slow.until_ready().iter().filter(|message| message.tag == b'D').count();
        assert_eq!(rows, 30_000, "{:?}", target.kind);
    }
}

/// The connection has another session's settings: they are changed in the flight of the statement that fails. Over a
/// distance what a server says too much comes late.
#[tokio::test]
async fn an_error_in_a_setting_leaves_its_connection_in_step() {
    let directory = TemporaryDirectory::new();
    let template = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("template");
    let network = Network::Wan { client_region: "us-west".to_owned() };
    let builder = Cluster::builder(directory.path()).region("us-east").replicas(0);
    let builder = builder.durability(Durability::Fast).template_cache(&template).network(network);
    let cluster = builder.start().expect("a cluster");
    let meridian = meridian(&cluster).database(APP_DATABASE).section("proxy", "workers = 1").start();
    let (one, other) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    for round in 64..68 {
        one.batch_execute(&format!("SET work_mem = '{round}kB'")).await.expect("a setting");
        other.batch_execute("SET work_mem = 'much'").await.expect_err("it is no number");
        other.batch_execute("SET no_such_setting = 1").await.expect_err("there is none");
        let told = other.query_one("SELECT 'other'", &[]).await.expect("one row");
        assert_eq!(told.get::<_, String>(0), "other", "{round}");
        let told = one.query_one("SHOW work_mem", &[]).await.expect("one row");
        assert_eq!(told.get::<_, String>(0), format!("{round}kB"));
    }
}

#[tokio::test]
async fn exhausted_pool_is_an_error_after_its_wait() {
    let sections = [("pool", "size = 2\nwait_timeout = \"300ms\""), ("proxy", "workers = 1")];
    let pair = Pair::with("exhausted", PLACES, &sections);
    let Some(target) = &pair.meridian else { return };
    let mut holders: Vec<RawClient> = (0..2).map(|_| target.raw()).collect();
    for holder in &mut holders {
        holder.simple("BEGIN");
        assert_eq!(holder.value("SELECT 1").as_deref(), Some("1"));
        // What writes is what needs the primary.
        holder.simple("CREATE TEMP TABLE IF NOT EXISTS held (i int) ON COMMIT DROP");
    }
    let mut third = target.raw();
    let answer = third.simple("SELECT txid_current()");
    let error = answer.iter().find(|message| message.tag == b'E').map(Message::line).unwrap_or_default();
    assert!(error.contains("53300"), "{error}");
    drop(holders);
    eventually("a server is free again", async || third.value("SELECT txid_current() > 0")).await;
}
