//! Pipelines of ten thousand messages whose sender reads nothing until all are written, and transactions that stay idle.

use std::time::Duration;

use crate::stand::{self, Message, PLACES, Pair, Parameter, RawClient, Received, Target, lines};

const SCHEMA: [&str; 5] = [
    "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
    "INSERT INTO places VALUES (1, 'us-east', 'New York')",
    "INSERT INTO places VALUES (2, 'us-west', 'Los Angeles')",
    "INSERT INTO places VALUES (3, 'eu-central', 'Berlin')",
    "INSERT INTO places VALUES (4, 'ap-south', 'Mumbai')",
];
const REGIONS: [&str; 4] = ["us-east", "us-west", "eu-central", "ap-south"];
/// Of each pipeline.
const MESSAGES: usize = 10_000;
/// Answers of a hundred kilobytes: together more than all buffers between the two ends.
const LARGE: usize = 300;

fn pair(database: &str, sections: &[(&str, &str)]) -> Pair {
    let pair = Pair::with(database, PLACES, sections);
    for target in pair.targets() {
        target.run(&SCHEMA);
    }
    pair
}

/// Asks for the number of the request, of another region each time, and now and then of all of them.
fn numbered(number: usize) -> String {
    match number % 500 {
        499 => format!("SELECT {number} FROM places WHERE id > 0 LIMIT 1"),
        _ => format!("SELECT {number} FROM places WHERE region = '{}'", REGIONS[number % 4]),
    }
}

fn extended(number: usize) -> Vec<u8> {
    let sql = numbered(number).replace(&format!("SELECT {number}"), "SELECT $1::text");
    let parameter = [Parameter::Text(number.to_string().into_bytes())];
    [stand::parse("", &sql, &[]), stand::bind("", "", &parameter, &[]), stand::execute("", 0)].concat()
}

/// Writes everything, on a thread of its own so that it may have to wait for its reader, and then reads.
fn answers(target: &Target, words: Vec<u8>, ready: usize) -> Vec<Message> {
    let mut client = target.raw();
    client.set_patience(Duration::from_secs(60));
    let writer = client.say_aside(words);
    let mut messages = Vec::new();
    for _ in 0..ready {
        let answer = client.until_ready();
        assert!(
            answer.last().is_some_and(|last| last.tag == b'Z'),
            "{:?}: it stops at {}",
            target.kind,
            messages.len()
        );
        messages.extend(answer);
    }
    writer.join().expect("everything is written");
    messages
}

fn assert_in_order(messages: &[Message], requests: usize, what: &str) {
    assert!(
        messages.iter().all(|message| message.tag != b'E'),
        "{what}: {:?}",
        messages.iter().find(|m| m.tag == b'E').map(Message::line)
    );
    let rows = messages.iter().filter(|message| message.tag == b'D');
    let numbers: Vec<String> = rows.map(|row| row.line().trim_start_matches("D ").to_owned()).collect();
    assert_eq!(numbers.len(), requests, "{what}");
    let wrong = numbers.iter().enumerate().find(|(at, number)| at.to_string() != **number);
    assert_eq!(wrong, None, "{what}");
}

#[tokio::test]
async fn ten_thousand_messages_are_answered_in_order_though_nothing_is_read_meanwhile() {
    let pair = pair("pipelines", &[]);
    let simple: Vec<u8> = (0..MESSAGES).flat_map(|number| stand::query(&numbered(number))).collect();
    let (synced, unsynced) = (MESSAGES / 4, MESSAGES / 3);
    let each: Vec<u8> = (0..synced).flat_map(|number| [extended(number), stand::sync()].concat()).collect();
    let batch: Vec<u8> = (0..unsynced).flat_map(extended).chain(stand::sync()).collect();
    for target in pair.targets() {
        assert_in_order(&answers(target, simple.clone(), MESSAGES), MESSAGES, "simple queries");
        assert_in_order(&answers(target, each.clone(), synced), synced, "a Sync for each");
        assert_in_order(&answers(target, batch.clone(), 1), unsynced, "one Sync for all");
    }
}

/// Answers that fit into no buffer: whoever is in the middle waits for the reader, and holds up nobody else.
#[tokio::test]
async fn large_answers_wait_for_their_reader() {
    let pair = pair("large_answers", &[]);
    let question = "SELECT repeat('x', 100000) FROM places WHERE region = 'us-west'";
    let words: Vec<u8> = (0..LARGE).flat_map(|_| stand::query(question)).collect();
    for target in pair.targets() {
        let mut client = target.raw();
        let writer = client.say_aside(words.clone());
        // Nobody reads, and others are served.
        target.run(&["SELECT 1", "SELECT count(*) FROM places"]);
        client.set_patience(Duration::from_secs(60));
        for number in 0..LARGE {
            let answer = client.until_ready();
            assert_eq!(answer.len(), 4, "{:?}: answer {number}", target.kind);
        }
        writer.join().expect("everything is written");
    }
}

/// Reads until the connection is closed.
fn end(client: &mut RawClient) -> String {
    client.set_patience(Duration::from_secs(20));
    client.rest()
}

#[tokio::test]
async fn an_idle_transaction_is_ended_and_an_idle_session_is_not() {
    let pair = pair("idle", &[("proxy", "idle_transaction_timeout = \"500ms\"")]);
    let Some(target) = &pair.meridian else { return };
    let mut waiting = target.raw();
    assert_eq!(waiting.value("SELECT 1").as_deref(), Some("1"));
    for writes in [&["us-west"][..], &["us-west", "ap-south"]] {
        let mut idle = target.raw();
        idle.simple("BEGIN");
        for region in writes {
            idle.simple(&format!("INSERT INTO places VALUES (9, '{region}', 'never')"));
        }
        let told = end(&mut idle);
        assert_eq!(told, "E FATAL 25P03 terminating connection due to idle-in-transaction timeout closed");
        pair.falls_quiet("an idle transaction", target).await;
    }
    // So is one that never says Sync.
    let mut unsynced = target.raw();
    unsynced.simple("BEGIN");
    unsynced.simple("INSERT INTO places VALUES (9, 'us-west', 'never')");
    unsynced.send(&extended(1));
    let told = end(&mut unsynced);
    assert_eq!(told, "E FATAL 25P03 terminating connection due to idle-in-transaction timeout closed");
    // One that says its next statement byte by byte is idle, too.
    let mut dawdling = target.raw();
    dawdling.simple("BEGIN");
    dawdling.simple("INSERT INTO places VALUES (9, 'us-west', 'never')");
    dawdling.set_patience(Duration::from_millis(100));
    let told = (0..100).find_map(|_| {
        dawdling.send(b"Q\0\0\x10\0");
        match dawdling.receive() {
            Received::Message(message) => Some(message.line()),
            Received::Silence => None,
            Received::Closed => Some("closed".to_owned()),
        }
    });
    let told = told.expect("it is not waited for for ever");
    assert!(told.starts_with("E FATAL 25P03") || told == "closed", "{told}");
    assert_eq!(waiting.value("SELECT count(*) FROM places WHERE name = 'never'").as_deref(), Some("0"));
}

#[tokio::test]
async fn a_client_that_never_says_sync_can_be_killed() {
    let pair = pair("never_synced", &[]);
    let Some(target) = &pair.meridian else { return };
    let mut unsynced = target.raw();
    unsynced.simple("SET application_name = 'never_synced'");
    unsynced.send(&extended(1));
    let mut console = Target { database: "meridian".to_owned(), ..target.clone() }.raw();
    let shown = console.simple("SHOW CLIENTS");
    let row =
        shown.iter().map(Message::line).find(|line| line.starts_with("D ") && line.contains("never_synced"));
    let row = row.expect("it is shown");
    let id = row.trim_start_matches("D ").split(" | ").next().expect("its number");
    console.simple(&format!("KILL {id}"));
    assert!(end(&mut unsynced).ends_with("closed"));
}

/// The limits that a client sets for itself: told as PostgreSQL tells them, and nothing of the session is left.
#[test]
fn a_client_is_idle_for_as_long_as_it_has_set() {
    let pair = pair("idle_by_its_own_word", &[]);
    let in_transaction = "E FATAL 25P03 terminating connection due to idle-in-transaction timeout closed";
    let outside = "E FATAL 57P05 terminating connection due to idle-session timeout closed";
    let insert = "INSERT INTO places VALUES (9, 'us-west', 'never')";
    let cases: [(&[&str], &str); 6] = [
        (&["BEGIN", insert, "SET idle_in_transaction_session_timeout = '300ms'"], in_transaction),
        (&["SET idle_in_transaction_session_timeout = 300", "BEGIN"], in_transaction),
        (&["BEGIN", insert, "SET LOCAL idle_in_transaction_session_timeout = '0.3 s'"], in_transaction),
        (&["SET idle_session_timeout = '300ms'"], outside),
        (&["CREATE TEMP TABLE kept (a int)", "SET idle_session_timeout = '300ms'"], outside),
        (&["BEGIN", "SET idle_session_timeout = '300ms'", "COMMIT"], outside),
    ];
    for target in pair.targets() {
        for (statements, expected) in cases {
            let mut idle = target.raw();
            for statement in statements {
                idle.simple(statement);
            }
            assert_eq!(end(&mut idle), expected, "{:?}: {statements:?}", target.kind);
        }
        let never = "SELECT count(*) FROM places WHERE name = 'never'";
        assert_eq!(target.raw().value(never).as_deref(), Some("0"), "{:?}", target.kind);
    }
}

/// Who is busy on one shard is not idle, though the transaction's other servers are; whenever the client has said how long.
#[test]
fn who_is_busy_elsewhere_is_not_idle() {
    let pair = pair("busy_elsewhere", &[]);
    const HERE: &str = "SELECT count(*) >= 0 FROM places WHERE region = 'us-east'";
    const THERE: &str = "SELECT count(*) >= 0 FROM places WHERE region = 'us-west'";
    const BUSY: &str = "SELECT count(*) >= 0 FROM pg_sleep(0.9), places WHERE region = 'us-west'";
    const SET: &str = "SET idle_in_transaction_session_timeout = '2s'";
    const LOCAL: &str = "SET LOCAL idle_in_transaction_session_timeout = '2s'";
    const CALLED: &str = "SELECT set_config('idle_in_transaction_session_timeout', '2s', true)";
    for target in pair.targets() {
        let cases: [(&[&str], &str); 6] = [
            (&[SET, "BEGIN", HERE, THERE], "2s"),
            (&["BEGIN", HERE, THERE, SET], "2s"),
            (&["BEGIN", HERE, THERE, LOCAL], "0"),
            (&["BEGIN", HERE, THERE, CALLED], "0"),
            (&["BEGIN", HERE, CALLED, THERE], "0"),
            (&[SET, "BEGIN", "SAVEPOINT s", HERE, THERE, "ROLLBACK TO s"], "2s"),
        ];
        let clients = cases.map(|(begins, shown)| {
            let mut client = target.raw();
            client.set_patience(Duration::from_secs(20));
            let kind = format!("{:?}: {begins:?}", target.kind);
            std::thread::spawn(move || {
                for statement in begins.iter().chain(&[BUSY, BUSY, BUSY, HERE]) {
                    let answer = lines(&client.simple(statement));
                    assert!(
                        answer.iter().all(|line| !line.starts_with("E ")),
                        "{kind}: {statement}: {answer:?}"
                    );
                }
                let now = client.value("SHOW idle_in_transaction_session_timeout");
                assert_eq!(now.as_deref(), Some("2s"), "{kind}");
                client.simple("COMMIT");
                let then = client.value("SHOW idle_in_transaction_session_timeout");
                assert_eq!(then.as_deref(), Some(shown), "{kind}");
            })
        });
        clients.into_iter().for_each(|client| client.join().expect("it goes on"));
    }
}

/// Each bound holds where it belongs, and not once it is taken back.
#[test]
fn bounds_of_idle_time_do_not_hold_elsewhere() {
    let pair = pair("idle_elsewhere", &[]);
    let cases: [&[&str]; 3] = [
        &["SET idle_in_transaction_session_timeout = '200ms'"],
        &["BEGIN", "SET idle_session_timeout = '200ms'"],
        &["SET idle_session_timeout = '200ms'; RESET idle_session_timeout"],
    ];
    for target in pair.targets() {
        let mut clients: Vec<_> = cases.iter().map(|_| target.raw()).collect();
        for (client, statements) in clients.iter_mut().zip(cases) {
            for statement in statements {
                client.simple(statement);
            }
            client.set_patience(Duration::from_millis(500));
        }
        for (client, statements) in clients.iter_mut().zip(cases) {
            let heard = client.receive();
            assert!(matches!(heard, Received::Silence), "{:?}: {statements:?}: {heard:?}", target.kind);
            client.set_patience(Duration::from_secs(20));
            assert_eq!(client.value("SELECT 1").as_deref(), Some("1"), "{:?}: {statements:?}", target.kind);
        }
    }
}

/// The server objects to a COPY before it has read any of its rows: in one piece with its answer to the COPY, if the client
/// is late, or after notices.
#[test]
fn a_copy_that_fails_at_once_is_answered() {
    let pair = pair("failing_copies", &[]);
    let schema = [
        "CREATE TABLE refusing (i int)",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE NOTICE 'one'; RAISE NOTICE 'two'; RAISE EXCEPTION 'refused'; END $$",
        "CREATE TRIGGER refuses BEFORE INSERT ON refusing EXECUTE FUNCTION refuse()",
        "CREATE TABLE late (i int)",
        "CREATE TRIGGER refuses BEFORE INSERT ON late FOR EACH ROW EXECUTE FUNCTION refuse()",
    ];
    for target in pair.targets() {
        target.run(&schema);
        let mut client = target.raw();
        client.set_patience(Duration::from_secs(20));
        let rows = [stand::frame(b'd', b"1\n2\n"), stand::frame(b'c', b"")].concat();
        for round in 0..200 {
            let table = if round % 2 == 0 { "refusing" } else { "late" };
            let copy = stand::query(&format!("COPY {table} FROM STDIN"));
            match round % 4 {
                0 | 1 => client.send(&[copy, rows.clone()].concat()),
                _ => {
                    client.send(&copy);
                    std::thread::sleep(Duration::from_millis(2));
                    client.send(&rows);
                }
            }
            let answers = client.until_ready();
            let tags: Vec<char> = answers.iter().map(|message| char::from(message.tag)).collect();
            assert_eq!(tags, ['G', 'N', 'N', 'E', 'Z'], "{:?}, round {round}", target.kind);
        }
        assert_eq!(client.value("SELECT count(*) FROM refusing").as_deref(), Some("0"));
    }
}
