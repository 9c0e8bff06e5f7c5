//! The copies of a reference table stay equal, whoever writes to it at the same time.

use std::thread;
use std::time::Duration;

use crate::harness::eventually;
use crate::stand::{self, Pair, RawClient, Target, lines};

const RULES: &str = "[[tables]]\nname = \"rates\"\nplacement = \"reference\"\n";

/// What each shard has, by its name.
fn copies(pair: &Pair) -> Vec<(String, Vec<String>)> {
    let ask = |target: &Target| lines(&target.raw().simple("SELECT * FROM rates ORDER BY id"));
    pair.shards().iter().map(|(name, target)| (name.clone(), ask(target))).collect()
}

fn are_equal(pair: &Pair, place: &str) {
    let copies = copies(pair);
    for (name, rows) in &copies {
        assert_eq!(rows, &copies[0].1, "{place}: {name}, beside {}", copies[0].0);
    }
}

/// Says it from a thread of its own, which may have to wait.
fn aside(mut client: RawClient, statement: &'static str) -> thread::JoinHandle<Vec<String>> {
    client.set_patience(Duration::from_secs(60));
    thread::spawn(move || lines(&client.simple(statement)))
}

/// A row that comes while a write waits is seen by it on all shards, or on none.
#[tokio::test]
async fn writers_of_a_reference_table_come_in_one_order_on_all_shards() {
    let pair = Pair::new("copies", RULES);
    let Some(meridian) = &pair.meridian else { return };
    meridian
        .run(&["CREATE TABLE rates (id int PRIMARY KEY, v int)", "INSERT INTO rates VALUES (1, 0), (2, 0)"]);
    let waiting = format!(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '{}'",
        meridian.database
    );
    for (other, more) in [
        ("INSERT INTO rates VALUES (7, 0)", "UPDATE rates SET v = v + 1"),
        ("DELETE FROM rates WHERE id = 2", "UPDATE rates SET v = v + 1"),
        ("INSERT INTO rates VALUES (8, 0)", "DELETE FROM rates WHERE v = 0"),
    ] {
        let mut first = meridian.raw();
        first.simple("BEGIN");
        first.simple("UPDATE rates SET v = 10 WHERE id = 1");
        let second = aside(meridian.raw(), more);
        eventually("the second waits", async || {
            (!pair.ask_servers(meridian, &waiting).is_empty()).then_some(())
        })
        .await;
        let third = aside(meridian.raw(), other);
        // It may wait, or not: what counts is what the shards have in the end.
        eventually("the third waits, or is done", async || {
            let waits = || pair.ask_servers(meridian, &waiting).len() > 1;
            (third.is_finished() || waits()).then_some(())
        })
        .await;
        assert_eq!(lines(&first.simple("COMMIT")), ["C COMMIT", "Z I"]);
        for done in [second, third] {
            let answer = done.join().expect("an answer");
            assert!(answer.iter().all(|line| !line.starts_with("E ")), "{more}, {other}: {answer:?}");
        }
        are_equal(&pair, more);
    }
}

/// With each other's half-committed transactions between: counts decide nothing, equality does.
#[test]
fn many_writers_at_once_leave_the_copies_equal() {
    let pair = Pair::new("many_copies", RULES);
    let Some(meridian) = &pair.meridian else { return };
    meridian.run(&["CREATE TABLE rates (id int PRIMARY KEY, v int)", "INSERT INTO rates VALUES (1, 0)"]);
    let work: [fn(usize) -> String; 4] = [
        |n| format!("INSERT INTO rates VALUES ({}, 0)", 10 + n),
        |_| "UPDATE rates SET v = v + 1".to_owned(),
        |n| format!("DELETE FROM rates WHERE id < {n} AND id > 9"),
        |n| {
            format!("INSERT INTO rates VALUES ({n}, 5) ON CONFLICT (id) DO UPDATE SET v = rates.v * 2 % 1000")
        },
    ];
    let writers: Vec<_> = work
        .into_iter()
        .map(|statement| {
            let mut client = meridian.raw();
            client.set_patience(Duration::from_secs(60));
            thread::spawn(move || {
                for n in 0..40 {
                    let answer = lines(&client.simple(&statement(n)));
                    assert!(
                        answer.iter().all(|line| !line.starts_with("E ")),
                        "{}: {answer:?}",
                        statement(n)
                    );
                }
            })
        })
        .collect();
    let mut copier = meridian.raw();
    for n in 0..10 {
        copier.send(&stand::query("COPY rates FROM STDIN"));
        copier.send(
            &[stand::frame(b'd', format!("{}\t1\n", 1000 + n).as_bytes()), stand::frame(b'c', b"")].concat(),
        );
        let answer = lines(&copier.until_ready());
        assert!(answer.contains(&"C COPY 1".to_owned()), "{answer:?}");
    }
    writers.into_iter().for_each(|writer| writer.join().expect("no failure"));
    are_equal(&pair, "in the end");
}

/// Copies that differ already are not written further apart.
#[test]
fn a_write_that_changes_other_rows_elsewhere_fails() {
    let pair = Pair::new("unequal_copies", RULES);
    let Some(meridian) = &pair.meridian else { return };
    meridian.run(&["CREATE TABLE rates (id int PRIMARY KEY, v int)", "INSERT INTO rates VALUES (1, 0)"]);
    let shards = pair.shards();
    let (_, last) = shards.last().expect("there are shards");
    last.run(&["INSERT INTO rates VALUES (2, 0)"]);
    let mut client = meridian.raw();
    let answer = lines(&client.simple("UPDATE rates SET v = 1"));
    assert!(answer[0].starts_with("E ERROR 40001 could not serialize access"), "{answer:?}");
    assert_eq!(last.raw().value("SELECT sum(v) FROM rates").as_deref(), Some("0"));
    let answer = lines(&client.simple("UPDATE rates SET v = 1 WHERE id = 1"));
    assert_eq!(answer, ["C UPDATE 1", "Z I"]);
    // Whoever waits for the others does so for as long as he has said.
    let mut holder = meridian.raw();
    holder.simple("BEGIN");
    holder.simple("UPDATE rates SET v = 2 WHERE id = 1");
    client.simple("SET lock_timeout = '200ms'");
    let answer = lines(&client.simple("UPDATE rates SET v = 3 WHERE id = 1"));
    assert!(answer[0].starts_with("E ERROR 55P03 canceling statement due to lock timeout"), "{answer:?}");
    // Who may not write does not wait.
    for begin in ["BEGIN READ ONLY", "SET default_transaction_read_only = on"] {
        let mut reader = meridian.raw();
        reader.simple(begin);
        let answer = lines(&reader.simple("UPDATE rates SET v = 3 WHERE id = 1"));
        assert!(
            answer[0].starts_with("E ERROR 25006 cannot execute UPDATE in a read-only"),
            "{begin}: {answer:?}"
        );
    }
    assert_eq!(lines(&holder.simple("COMMIT")), ["C COMMIT", "Z I"]);
}
