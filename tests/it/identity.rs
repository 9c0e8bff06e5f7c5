//! Who a client is: the process id that it is told with its cancel key, and where it meets that number again.

use std::time::Duration;

use crate::stand::{self, Message, PLACES, Pair, Received};

/// No process of a server has a number from here on.
const BEYOND_PROCESSES: i32 = 1 << 22;

/// The process ids of notifications, in order.
fn senders(messages: &[Message]) -> Vec<i32> {
    let notified = messages.iter().filter(|message| message.tag == b'A');
    notified.map(|message| i32::from_be_bytes(message.body[..4].try_into().expect("four bytes"))).collect()
}

#[test]
fn own_notifications_come_from_the_process_that_the_client_was_told() {
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
        let extended = |sql: &str| {
            [stand::parse("", sql, &[]), stand::bind("", "", &[], &[]), stand::execute("", 0), stand::sync()]
                .concat()
        };
        assert_eq!(senders(&client.simple("NOTIFY news")), [number], "{:?}: simple", target.kind);
        client.send(&extended("SELECT pg_notify('news', 'x')"));
        assert_eq!(senders(&client.until_ready()), [number], "{:?}: extended", target.kind);
        client.simple("BEGIN");
        client.simple("NOTIFY news");
        assert_eq!(senders(&client.simple("COMMIT")), [number], "{:?}: with the commit", target.kind);

        // Another's comes while nothing is asked, and is not one's own.
        other.simple("NOTIFY news");
        client.set_patience(Duration::from_secs(20));
        let Received::Message(message) = client.receive() else { panic!("no notification") };
        let sender = senders(&[message]);
        assert!(sender.len() == 1 && sender != [number], "{:?}: {sender:?}", target.kind);
    }
}
