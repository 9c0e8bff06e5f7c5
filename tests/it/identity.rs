//! Who a client is: the process id that it is told with its cancel key, and where it meets that number again.

use std::time::Duration;

use crate::stand::{self, Message, PLACES, Pair, Parameter, RawClient, Received};

/// No process of a server has a number from here on.
const BEYOND_PROCESSES: i32 = 1 << 22;

/// The process ids of notifications, in order.
fn senders(messages: &[Message]) -> Vec<i32> {
    let notified = messages.iter().filter(|message| message.tag == b'A');
    notified.map(|message| i32::from_be_bytes(message.body[..4].try_into().expect("four bytes"))).collect()
}

#[test]
fn notifications_come_from_the_process_that_their_client_was_told() {
    let pair = Pair::new("senders", PLACES);
    for target in pair.targets() {
        let mut client = target.raw();
        let number = client.process;
        let mut other = target.raw();
        let theirs = other.process;
        assert!(number > 0 && number != theirs, "{:?}: {number} {theirs}", target.kind);
        let meridian = target.kind == stand::Kind::Meridian;
        assert_eq!(meridian, number > BEYOND_PROCESSES, "{:?}: {number}", target.kind);

        client.simple("LISTEN news");
        assert_eq!(senders(&client.simple("NOTIFY news")), [number], "{:?}: simple", target.kind);
        client.send(&stand::extended("SELECT pg_notify('news', 'x')"));
        assert_eq!(senders(&client.until_ready()), [number], "{:?}: extended", target.kind);
        client.simple("BEGIN");
        client.simple("NOTIFY news");
        assert_eq!(senders(&client.simple("COMMIT")), [number], "{:?}: with the commit", target.kind);

        // Another's comes while nothing is asked, and is that one's.
        client.set_patience(Duration::from_secs(20));
        other.simple("NOTIFY news");
        let Received::Message(message) = client.receive() else { panic!("no notification") };
        assert_eq!(senders(&[message]), [theirs], "{:?}: another's", target.kind);
        other.send(&stand::extended("SELECT pg_notify('news', 'x')"));
        other.until_ready();
        let Received::Message(message) = client.receive() else { panic!("no notification") };
        assert_eq!(senders(&[message]), [theirs], "{:?}: another's, extended", target.kind);
        let mut third = target.raw();
        for statement in ["BEGIN", "NOTIFY news", "SELECT 1", "COMMIT"] {
            third.simple(statement);
        }
        let Received::Message(message) = client.receive() else { panic!("no notification") };
        assert_eq!(senders(&[message]), [third.process], "{:?}: a third one's, at its commit", target.kind);
    }
}

/// How often a statement is cancelled that may not have begun.
const ATTEMPTS: usize = 100;

/// Cancels what the victim runs, again and again until it says so: its SQLSTATE.
fn cancelled(victim: &mut RawClient, mut cancel: impl FnMut()) -> String {
    victim.set_patience(Duration::from_millis(200));
    for _ in 0..ATTEMPTS {
        cancel();
        match victim.receive() {
            Received::Message(message) if message.tag == b'E' => {
                victim.set_patience(Duration::from_secs(20));
                victim.until_ready();
                return message.field(b'C').expect("a SQLSTATE");
            }
            Received::Message(_) | Received::Silence => {}
            Received::Closed => panic!("the connection is closed"),
        }
    }
    panic!("never cancelled")
}

#[test]
fn a_client_is_cancelled_and_ended_by_the_number_that_it_was_told() {
    let pair = Pair::new("signals", PLACES);
    for target in pair.targets() {
        let (mut victim, mut other) = (target.raw(), target.raw());
        let number = victim.process;
        victim.send(&stand::query("SELECT pg_sleep(60)"));
        let state = cancelled(&mut victim, || {
            assert_eq!(other.value(&format!("SELECT pg_cancel_backend({number})")).as_deref(), Some("t"));
        });
        assert_eq!(state, "57014", "{:?}: simple", target.kind);

        victim.send(&stand::query("SELECT pg_sleep(60)"));
        let state = cancelled(&mut victim, || {
            let parameters = [Parameter::Binary(number.to_be_bytes().to_vec())];
            let flight = [
                stand::parse("", "SELECT pg_catalog.pg_cancel_backend($1);", &[23]),
                stand::bind("", "", &parameters, &[1]),
                stand::describe(b'P', ""),
                stand::execute("", 0),
                stand::sync(),
            ];
            other.send(&flight.concat());
            let answer = other.until_ready();
            let row = answer.iter().find(|message| message.tag == b'D').expect("a row");
            assert_eq!(row.values(), [Some(vec![1])], "{:?}", target.kind);
            let columns = answer.iter().find(|message| message.tag == b'T').expect("columns").columns();
            assert_eq!((columns[0].name.as_str(), columns[0].type_oid), ("pg_cancel_backend", 16));
        });
        assert_eq!(state, "57014", "{:?}: extended", target.kind);

        let nobody = other.simple("SELECT pg_terminate_backend(2147483001)");
        let tags: Vec<char> = nobody.iter().map(|message| message.tag as char).collect();
        assert_eq!(tags, ['T', 'N', 'D', 'C', 'Z'], "{:?}", target.kind);
        let plan = other.simple(&format!("EXPLAIN (COSTS off) SELECT pg_cancel_backend({number})"));
        let mut rows = plan.iter().filter(|message| message.tag == b'D').map(Message::values);
        let last = rows.next_back().expect("a plan")[0].clone().expect("a line");
        assert_eq!(String::from_utf8_lossy(&last).trim(), "Result", "{:?}", target.kind);
        assert_eq!(victim.value("SELECT 7").as_deref(), Some("7"), "{:?}: it is not harmed", target.kind);
        assert_eq!(other.value(&format!("SELECT pg_terminate_backend({number})")).as_deref(), Some("t"));
        let end = victim.rest();
        assert!(end.contains("57P01") && end.ends_with("closed"), "{:?}: {end}", target.kind);

        let mut busy = target.raw();
        busy.send(&stand::query("SELECT pg_sleep(60)"));
        let end = format!("SELECT pg_terminate_backend({})", busy.process);
        assert_eq!(other.value(&end).as_deref(), Some("t"));
        let end = busy.rest();
        let told = end.contains("57P01") && !end.contains("57014");
        assert!(told && end.ends_with("closed"), "{:?}: {end}", target.kind);
    }
}
