//! Servers that end a session by themselves while its client says nothing in a transaction.

use std::time::Duration;

use crate::harness::eventually;
use crate::stand::{self, Message, PLACES, Pair, RawClient, Received, Target};

const SCHEMA: [&str; 4] = [
    "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
    "INSERT INTO places VALUES (1, 'us-east', 'New York')",
    "INSERT INTO places VALUES (2, 'us-west', 'Los Angeles')",
    "INSERT INTO places VALUES (4, 'ap-south', 'Mumbai')",
];
const UNDONE: &str = "SELECT count(*) FROM places WHERE region = 'us-east' AND id = 9";

fn pair(database: &str) -> Pair {
    let pair = Pair::new(database, PLACES);
    for target in pair.targets() {
        target.run(&SCHEMA);
    }
    pair
}

fn lines(answer: &[Message]) -> String {
    answer.iter().map(Message::line).collect::<Vec<_>>().join("; ")
}

fn begun(target: &Target, before: &[&str]) -> RawClient {
    let mut client = target.raw();
    for statement in before {
        client.simple(statement);
    }
    let answer = client.simple("INSERT INTO places VALUES (9, 'us-east', 'never')");
    assert_eq!(lines(&answer), "C INSERT 0 1; Z T");
    client
}

#[tokio::test]
async fn a_servers_own_timeout_ends_the_client_as_in_postgres() {
    let pair = pair("timed_out");
    let cases: [&[&str]; 3] = [
        &["SET idle_in_transaction_session_timeout = '300ms'", "BEGIN"],
        &["BEGIN", "SET LOCAL idle_in_transaction_session_timeout = '300ms'", "SELECT count(*) FROM places"],
        &[
            "SET idle_in_transaction_session_timeout = '300ms'",
            "CREATE TEMPORARY TABLE kept (id int)",
            "BEGIN",
            "SELECT count(*) FROM kept",
        ],
    ];
    for target in pair.targets() {
        for before in cases {
            let mut client = begun(target, before);
            client.set_patience(Duration::from_secs(20));
            let told = client.rest();
            let expected = "E FATAL 25P03 terminating connection due to idle-in-transaction timeout closed";
            assert_eq!(told, expected, "{:?}: {before:?}", target.kind);
            assert_eq!(target.raw().value(UNDONE).as_deref(), Some("0"));
        }
    }
}

/// Ends every server session of the database, and waits until none of them is left.
async fn end_servers(pair: &Pair, target: &Target) {
    let theirs =
        format!("FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()", target.database);
    let in_transaction = format!("{theirs} AND state LIKE 'idle in transaction%'");
    pair.ask_servers(target, &format!("SELECT pg_terminate_backend(pid) {in_transaction}"));
    eventually("the sessions end", async || {
        pair.ask_servers(target, &format!("SELECT pid {in_transaction}")).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_transaction_whose_server_went_says_so_once_and_is_not_committed() {
    let pair = pair("server_went");
    let Some(target) = &pair.meridian else { return };
    let lost = |answer: &[Message]| {
        let error = answer
            .iter()
            .find(|message| message.tag == b'E')
            .map(|error| (error.line(), error.field(b'D').unwrap_or_default()));
        let (line, detail) = error.unwrap_or_else(|| panic!("no error: {}", lines(answer)));
        assert_eq!(line, "E ERROR 57P01 terminating connection due to administrator command");
        assert_eq!(detail, "The transaction was rolled back.");
    };

    // COMMIT, too: it must not seem to be done, nor its outcome unknown.
    for statement in [
        "COMMIT",
        "SELECT 1",
        UNDONE,
        "SAVEPOINT a",
        "UPDATE places SET name = 'x' WHERE region = 'ap-south'",
    ] {
        let mut client = begun(target, &["BEGIN"]);
        end_servers(&pair, target).await;
        let answer = client.simple(statement);
        lost(&answer);
        if statement != "COMMIT" {
            assert!(lines(&client.simple("SELECT 1")).starts_with("E ERROR 25P02"), "{statement}");
            assert_eq!(lines(&client.simple("ROLLBACK")), "C ROLLBACK; Z I", "{statement}");
        }
        assert_eq!(client.value(UNDONE).as_deref(), Some("0"), "{statement}");
    }
    // In the extended protocol it is the answer to the first message.
    let mut client = begun(target, &["BEGIN"]);
    end_servers(&pair, target).await;
    let commit = [
        stand::parse("", "COMMIT", &[]),
        stand::bind("", "", &[], &[]),
        stand::execute("", 0),
        stand::sync(),
    ];
    client.send(&commit.concat());
    lost(&client.until_ready());
    assert_eq!(client.value(UNDONE).as_deref(), Some("0"));
    // Who gives up anyway has nothing to be told.
    let mut client = begun(target, &["BEGIN", "SAVEPOINT a"]);
    end_servers(&pair, target).await;
    assert_eq!(lines(&client.simple("ROLLBACK")), "C ROLLBACK; Z I");
    assert_eq!(client.value(UNDONE).as_deref(), Some("0"));
}

#[tokio::test]
async fn a_pinned_session_ends_with_its_servers_last_words() {
    let pair = pair("pinned_went");
    for target in pair.targets() {
        let mut client = target.raw();
        client.simple("CREATE TEMPORARY TABLE kept (id int)");
        client.simple("BEGIN");
        client.simple("INSERT INTO kept VALUES (1)");
        end_servers(&pair, target).await;
        client.set_patience(Duration::from_secs(20));
        let expected = "E FATAL 57P01 terminating connection due to administrator command closed";
        assert_eq!(client.rest(), expected, "{:?}", target.kind);
    }
}

/// A row whose beginning the client has cannot be followed by an error: the connection ends, as PostgreSQL's does.
#[tokio::test]
async fn a_server_that_is_lost_amid_a_row_ends_its_client() {
    let pair = Pair::new("amid_a_row", "");
    for target in pair.targets() {
        let mut client = target.raw();
        client.send(&stand::query("SELECT repeat('x', 100000) AS amid FROM generate_series(1, 3000)"));
        let running = "FROM pg_stat_activity WHERE query LIKE '%AS amid%' AND pid <> pg_backend_pid() AND state = 'active'";
        // It is stopped by what nobody reads.
        eventually("the server waits for its reader", async || {
            let waits = format!("SELECT pid {running} AND wait_event = 'ClientWrite'");
            (!pair.ask_servers(target, &waits).is_empty()).then_some(())
        })
        .await;
        pair.ask_servers(target, &format!("SELECT pg_terminate_backend(pid) {running}"));
        client.set_patience(Duration::from_secs(20));
        let mut rows = 0;
        let end = loop {
            match client.receive() {
                Received::Message(message) if message.tag == b'D' => {
                    assert!(
                        message.body[6..].iter().all(|byte| *byte == b'x'),
                        "{:?}: row {rows}",
                        target.kind
                    );
                    rows += 1;
                }
                Received::Message(message) if message.tag == b'Z' => panic!("{:?}: it goes on", target.kind),
                Received::Message(_) => {}
                end => break end,
            }
        };
        assert!(matches!(end, Received::Closed), "{:?}: nothing comes behind {rows} rows", target.kind);
        assert!(rows < 3000, "{:?}", target.kind);
    }
}

/// What is said while the listener is in a transaction is told behind its end, however that ends.
#[test]
fn notifications_outlive_the_end_of_a_transaction() {
    let pair = pair("notified_amid");
    for target in pair.targets() {
        let mut speaker = target.raw();
        for (amid, end) in [
            ("SELECT 1", "ROLLBACK"),
            ("SELECT 1", "COMMIT"),
            ("SELECT 1 / 0", "ROLLBACK"),
            ("SELECT 1 / 0", "COMMIT"),
            ("SELECT 1", "ROLLBACK AND CHAIN"),
        ] {
            let mut listener = target.raw();
            listener.simple("LISTEN amid");
            listener.simple("BEGIN");
            listener.simple(amid);
            speaker.simple("NOTIFY amid, 'heard'");
            let place = format!("{:?}: {amid}, {end}", target.kind);
            let told = format!("{}; {}", lines(&listener.simple(end)), lines(&listener.simple("ROLLBACK")));
            assert!(told.contains("heard"), "{place}: {told}");
        }
    }
}
