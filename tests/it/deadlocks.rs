//! Sessions that wait for each other on several servers, where no server sees it.

use std::thread;
use std::time::Duration;

use crate::harness::eventually;
use crate::stand::{self, Pair, RawClient, Target, extended, lines};

const RULES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n\
                     [[tables]]\nname = \"rates\"\nplacement = \"reference\"\n";

fn patient(target: &Target) -> RawClient {
    let client = target.raw();
    client.set_patience(Duration::from_secs(60));
    client
}

/// Sends it, and reads the answer in a thread of its own.
fn aside(mut client: RawClient, bytes: Vec<u8>) -> thread::JoinHandle<(RawClient, Vec<String>)> {
    thread::spawn(move || {
        client.send(&bytes);
        let answer = lines(&client.until_ready());
        (client, answer)
    })
}

struct Case {
    /// What either does before, and what leads into the ring.
    one: (&'static str, &'static str),
    other: (&'static str, &'static str),
}

const CASES: [Case; 4] = [
    // On one server there would be no ring: the table has one lock there.
    Case {
        one: (
            "SELECT name FROM places WHERE region = 'ap-south'",
            "SELECT name FROM places WHERE region = 'us-east'",
        ),
        other: ("SELECT 1", "ALTER TABLE places ADD COLUMN more int"),
    },
    Case {
        one: (
            "SELECT name FROM places WHERE region = 'ap-south'",
            "SELECT name FROM places WHERE region = 'us-east'",
        ),
        other: ("SELECT count(*) FROM places", "LOCK TABLE places IN ACCESS EXCLUSIVE MODE"),
    },
    Case {
        one: ("UPDATE rates SET v = 1", "SELECT name FROM places WHERE region = 'us-west' FOR UPDATE"),
        other: ("SELECT name FROM places WHERE region = 'us-west' FOR UPDATE", "UPDATE rates SET v = 2"),
    },
    Case {
        one: (
            "SELECT pg_advisory_xact_lock(4711)",
            "UPDATE places SET name = 'one' WHERE region = 'us-west'",
        ),
        other: (
            "UPDATE places SET name = 'other' WHERE region = 'us-west'",
            "SELECT pg_advisory_xact_lock(4711)",
        ),
    },
];

#[tokio::test]
async fn one_of_those_who_wait_for_each_other_gives_way() {
    let pair = Pair::new("deadlocks", RULES);
    let Some(meridian) = &pair.meridian else { return };
    for target in pair.targets() {
        target.run(&[
            "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
            "CREATE TABLE rates (id int PRIMARY KEY, v int)",
            "INSERT INTO rates VALUES (1, 0)",
            "INSERT INTO places VALUES (1, 'us-west', 'w')",
            "INSERT INTO places VALUES (2, 'ap-south', 's')",
            "INSERT INTO places VALUES (3, 'us-east', 'e')",
        ]);
    }
    let waiting = format!(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '{}'",
        meridian.database
    );
    for (number, case) in CASES.iter().enumerate() {
        for by_message in [true, false] {
            let ask = |text: &str| if by_message { stand::query(text) } else { extended(text) };
            let (mut one, mut other) = (patient(meridian), patient(meridian));
            for (client, before) in [(&mut one, case.one.0), (&mut other, case.other.0)] {
                client.simple("BEGIN");
                let answer = lines(&client.simple(before));
                assert_eq!(answer.last().map(String::as_str), Some("Z T"), "{before}: {answer:?}");
            }
            let other = aside(other, ask(case.other.1));
            eventually("one waits", async || {
                (!pair.ask_servers(meridian, &waiting).is_empty()).then_some(())
            })
            .await;
            let one = aside(one, ask(case.one.1));
            let ends = [one, other].map(|done| done.join().expect("an answer"));
            let failed: Vec<_> = ends
                .iter()
                .filter_map(|(_, lines)| lines.iter().find(|line| line.starts_with("E ")))
                .collect();
            let place = format!("case {number}, by message {by_message}");
            assert_eq!(failed.len(), 1, "{place}: {ends:?}", ends = ends.each_ref().map(|(_, lines)| lines));
            assert!(failed[0].starts_with("E ERROR 40P01 deadlock detected"), "{place}: {failed:?}");
            // Nothing of it stays: the cancel is not told to anybody else.
            let mut clients = Vec::new();
            for (mut client, answer) in ends {
                let expected = if answer.iter().any(|line| line.starts_with("E ")) { "Z E" } else { "Z T" };
                assert_eq!(answer.last().map(String::as_str), Some(expected), "{place}: {answer:?}");
                client.simple("ROLLBACK");
                clients.push(client);
            }
            for mut client in clients {
                assert_eq!(client.value("SELECT count(*) FROM places").as_deref(), Some("3"), "{place}");
            }
        }
    }
}

/// Who merely waits, for however long, is left alone.
#[tokio::test]
async fn a_wait_that_is_no_ring_is_not_ended() {
    let pair = Pair::new("no_deadlock", RULES);
    let Some(meridian) = &pair.meridian else { return };
    meridian.run(&[
        "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
        "INSERT INTO places VALUES (1, 'us-west', 'w')",
        "INSERT INTO places VALUES (2, 'ap-south', 's')",
    ]);
    let lock = "SELECT name FROM places WHERE region = 'us-west' FOR UPDATE";
    let mut holder = patient(meridian);
    holder.simple("BEGIN");
    holder.simple("SELECT count(*) FROM places");
    holder.simple(lock);
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let mut client = patient(meridian);
            client.simple("BEGIN");
            client.simple("SELECT count(*) FROM places");
            aside(client, stand::query(lock))
        })
        .collect();
    let long = format!(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '{}' \
         AND now() - state_change > '3.5 s'",
        meridian.database
    );
    eventually("all have waited for several looks", async || {
        (pair.ask_servers(meridian, &long).len() == waiters.len()).then_some(())
    })
    .await;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    holder.simple("COMMIT");
    for waiter in waiters {
        let (mut client, answer) = waiter.join().expect("an answer");
        assert_eq!(answer.last().map(String::as_str), Some("Z T"), "{answer:?}");
        client.simple("COMMIT");
    }
}

/// Where rows are gathered a session has two connections to one server, and that server takes them for two sessions.
#[test]
fn gathering_and_ddl_do_not_wait_for_each_other_for_ever() {
    let pair = Pair::new("gathering_ddl", RULES);
    let Some(meridian) = &pair.meridian else { return };
    meridian.run(&[
        "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
        "INSERT INTO places VALUES (1, 'us-west', 'w')",
        "INSERT INTO places VALUES (2, 'us-east', 'e')",
    ]);
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut client = patient(meridian);
            let mut read = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                client.simple("BEGIN");
                client.simple("DECLARE c CURSOR FOR SELECT id FROM places ORDER BY id");
                let rows = lines(&client.simple("FETCH ALL FROM c"));
                read += usize::from(rows.contains(&"D 2".to_owned()));
                client.simple("ROLLBACK");
            }
            read
        });
        let mut client = patient(meridian);
        for _ in 0..12 {
            let makes = "CREATE TRIGGER t BEFORE UPDATE ON places FOR EACH ROW \
                         EXECUTE FUNCTION suppress_redundant_updates_trigger()";
            for statement in [makes, "DROP TRIGGER t ON places"] {
                let answer = lines(&client.simple(statement));
                let is_known = |line: &String| {
                    line.starts_with("C ")
                        || line.starts_with("E ERROR 40P01")
                        || line.contains("trigger \"t\"")
                };
                assert!(is_known(&answer[0]), "{statement}: {answer:?}");
            }
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().expect("a reader") > 0);
    });
}
