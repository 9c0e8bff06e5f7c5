//! COPY of far more than may be held, with one side that pauses: what is on its way stays bounded, and all of it arrives.
//!
//! Rows go in from one who stops in the midst of a row, and come out to one who stops reading: relayed, for a table without
//! a rule, and cut into rows, for one over all shards.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Meridian, database, meridian};
use crate::stand::{Kind, Message, RawClient, Received, Target, frame, query};

/// More than four times what may be held of it.
const BYTES: usize = 300 << 20;
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// A row is as long, and its server stores it in a hundredth of it.
const ROW_BYTES: usize = 10_000;
const ROWS_OF_A_BLOCK: usize = 104;
/// Ends of messages are no ends of rows.
const MESSAGE_BYTES: usize = 64 << 10;
const PAUSES: usize = 3;
/// Long enough for a proxy that does not stop reading to take in all that is left.
const PAUSE: Duration = Duration::from_millis(400);
const PROBE_INTERVAL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

const TABLES: &str = "[[tables]]\nname = \"spread\"\nplacement = \"region\"\nkey = \"region\"\n";
const REGIONS: [&str; 4] = ["us-east", "us-west", "eu-central", "ap-south"];

/// Rows for all regions in turn.
fn block() -> Vec<u8> {
    let row = |number: usize| {
        let region = REGIONS[number % REGIONS.len()];
        let rest = ROW_BYTES - region.len() - "\t\n".len();
        format!("{region}\t{}\n", "x".repeat(rest))
    };
    (0..ROWS_OF_A_BLOCK).map(row).collect::<String>().into_bytes()
}

/// The greatest memory of Meridian while something is done.
fn watched(meridian: &Meridian, work: impl FnOnce()) -> u64 {
    let (done, greatest) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                greatest.fetch_max(meridian.resident_bytes(), Ordering::Relaxed);
                thread::sleep(PROBE_INTERVAL);
            }
        });
        // What fails must not leave the other one watching.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    greatest.into_inner()
}

/// Rows of so many blocks of a table.
type Way = fn(&mut RawClient, &str, usize);

fn copy_in(client: &mut RawClient, table: &str, blocks: usize) {
    let block = block();
    let messages: Vec<u8> = block.chunks(MESSAGE_BYTES).flat_map(|piece| frame(b'd', piece)).collect();
    client.send(&query(&format!("COPY {table} FROM STDIN")));
    let begun = client.receive();
    assert!(matches!(&begun, Received::Message(message) if message.tag == b'G'), "{begun:?}");
    for number in 0..blocks {
        if number % (blocks / PAUSES) == 0 {
            // In the midst of a row and of a message.
            let (before, after) = messages.split_at(messages.len() / 2 + 17);
            client.send(before);
            thread::sleep(PAUSE);
            client.send(after);
        } else {
            client.send(&messages);
        }
    }
    client.send(&frame(b'c', b""));
    let answer: Vec<String> = client.until_ready().iter().map(Message::line).collect();
    assert_eq!(answer, [format!("C COPY {}", blocks * ROWS_OF_A_BLOCK), "Z I".to_owned()]);
}

fn copy_out(client: &mut RawClient, table: &str, blocks: usize) {
    client.send(&query(&format!("COPY {table} TO STDOUT")));
    let all = blocks * ROWS_OF_A_BLOCK * ROW_BYTES;
    let (mut bytes, mut pauses) = (0, 0);
    loop {
        match client.receive() {
            Received::Message(message) if message.tag == b'd' => bytes += message.body.len(),
            Received::Message(message) if matches!(message.tag, b'H' | b'c') => {}
            Received::Message(message) => {
                assert_eq!(message.line(), format!("C COPY {}", blocks * ROWS_OF_A_BLOCK));
                break;
            }
            other => panic!("after {bytes} bytes: {other:?}"),
        }
        if bytes > all / (PAUSES + 1) * (pauses + 1) && pauses < PAUSES {
            pauses += 1;
            thread::sleep(PAUSE);
        }
    }
    assert_eq!(bytes, all);
    assert_eq!(client.until_ready().len(), 1);
}

#[tokio::test]
async fn copies_to_and_from_one_who_pauses_are_not_held_in_memory() {
    let database = database().await;
    for table in ["whole", "spread"] {
        database.on_every_shard(&format!("CREATE TABLE {table} (region text, body text)")).await;
    }
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let target =
        Target { kind: Kind::Meridian, port: meridian.address().port(), database: database.name.clone() };
    let blocks = BYTES / (ROWS_OF_A_BLOCK * ROW_BYTES);
    for table in ["whole", "spread"] {
        let ways: [(&str, Way); 2] = [("in", copy_in), ("out", copy_out)];
        for (way, copy) in ways {
            let mut client = target.raw();
            client.set_patience(PATIENCE);
            let before = meridian.resident_bytes();
            let greatest = watched(&meridian, || copy(&mut client, table, blocks));
            let growth = greatest.saturating_sub(before);
            println!("{table} {way}: {before} before, {greatest} at most");
            assert!(growth < GROWTH_BYTES_MAX, "{table} {way}: {before} before, {greatest} at most");
        }
    }
}
