//! Storms: cancel requests without end, clients that are cut off by the hundred, and at every byte. Whoever stays gets
//! their own answers, whole, and nobody else's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::stand::{self, Message, PLACES, Pair, Parameter, RawClient, Received, Target};

const SCHEMA: [&str; 3] = [
    "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
    "INSERT INTO places VALUES (2, 'us-west', 'Los Angeles')",
    "INSERT INTO places VALUES (4, 'ap-south', 'Mumbai')",
];

/// Few servers, so that clients follow one another on each.
fn crowded(database: &str) -> Pair {
    let pair = Pair::with(
        database,
        PLACES,
        &[("pool", "size = 3\nwait_timeout = \"60s\""), ("proxy", "workers = 2")],
    );
    if let Some(target) = &pair.meridian {
        target.run(&SCHEMA);
    }
    pair
}

/// A statement that answers `tag`, by turns in each way of asking.
fn tagged(tag: &str, turn: usize) -> Vec<u8> {
    let regions = ["us-west", "ap-south"];
    let region = regions[turn % 2];
    let extended = |sql: &str, parameters: &[Parameter]| {
        [
            stand::parse("", sql, &[25]),
            stand::bind("", "", parameters, &[]),
            stand::execute("", 0),
            stand::sync(),
        ]
        .concat()
    };
    let parameter = [Parameter::Text(tag.as_bytes().to_vec())];
    match turn % 5 {
        0 => stand::query(&format!("SELECT '{tag}', pg_sleep(0.0005)")),
        1 => stand::query(&format!("SELECT '{tag}' FROM places WHERE region = '{region}'")),
        2 => extended(&format!("SELECT $1 FROM places WHERE region = '{region}'"), &parameter),
        3 => extended("SELECT min($1) FROM places", &parameter),
        _ => stand::query(&format!("BEGIN; SELECT '{tag}' FROM places WHERE region = '{region}'; COMMIT")),
    }
}

/// What is wrong with an answer to `tagged`.
fn fault(tag: &str, answer: &[Message]) -> Option<String> {
    let rows: Vec<_> = answer.iter().filter(|message| message.tag == b'D').map(Message::values).collect();
    let right = rows.len() == 1 && rows[0][0].as_deref() == Some(tag.as_bytes());
    let whole = answer.last().is_some_and(|last| last.tag == b'Z' && last.status() == 'I');
    let lines = || answer.iter().map(Message::line).collect::<Vec<_>>().join("; ");
    (!right || !whole).then(|| format!("{tag}: {}", lines()))
}

/// One who asks tagged statements until told to stop, and finds nothing wrong.
fn bystander(target: &Target, name: usize, stop: &AtomicBool, asked: &AtomicU64) {
    let mut client = target.raw();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let tag = format!("bystander-{name}-{turn}");
        client.send(&tagged(&tag, turn));
        let wrong = fault(&tag, &client.until_ready());
        assert_eq!(wrong, None);
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_storm_of_cancels_hits_nobody_else() {
    let pair = crowded("storm");
    let Some(target) = &pair.meridian else { return };
    let (stop, asked, cancelled) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for name in 0..4 {
            let (stop, asked) = (&stop, &asked);
            scope.spawn(move || bystander(target, name, stop, asked));
        }
        let victims = (0..3).map(|name| {
            let mut victim = target.raw();
            let key = (victim.process, victim.secret);
            let (stop, cancelled) = (&stop, &cancelled);
            scope.spawn(move || {
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    // Its own statements may be cancelled; no answer may be another's, and each is whole.
                    let tag = format!("victim-{name}-{turn}");
                    victim.send(&tagged(&tag, turn));
                    let answer = victim.until_ready();
                    match answer.iter().find(|message| message.tag == b'E') {
                        Some(error) => {
                            assert_eq!(error.field(b'C').as_deref(), Some("57014"), "{}", error.line());
                            cancelled.fetch_add(1, Ordering::Relaxed);
                            if answer.last().is_some_and(|last| last.status() != 'I') {
                                victim.simple("ROLLBACK");
                            }
                        }
                        None => assert_eq!(fault(&tag, &answer), None),
                    }
                }
            });
            key
        });
        let victims: Vec<_> = victims.collect();
        for (process, secret) in victims {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    RawClient::open(target.port).send(&stand::cancel(process, secret));
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        thread::sleep(Duration::from_secs(6));
        stop.store(true, Ordering::Relaxed);
    });
    let (asked, cancelled) = (asked.into_inner(), cancelled.into_inner());
    println!("{asked} statements of bystanders, {cancelled} cancelled of others");
    assert!(asked > 30 && cancelled > 0, "{asked} asked, {cancelled} cancelled");
}

#[tokio::test]
async fn hundreds_that_are_cut_off_leave_others_their_own_answers() {
    let pair = crowded("cut");
    let Some(target) = &pair.meridian else { return };
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for name in 0..3 {
            let (stop, asked) = (&stop, &asked);
            scope.spawn(move || bystander(target, name, stop, asked));
        }
        let cutters = (0..2).map(|name| {
            scope.spawn(move || {
                for round in 0..150 {
                    let mut client = target.raw();
                    let request = tagged(&format!("cut-{name}-{round}"), round);
                    let request = match round % 3 {
                        // Torn off, whole, and with much to read.
                        0 => request[..1 + round * 7 % (request.len() - 1)].to_vec(),
                        1 => request,
                        _ => stand::query("SELECT 'cut', repeat('x', 2000) FROM generate_series(1, 5000)"),
                    };
                    client.send(&request);
                    for _ in 0..(round % 4) * 5 {
                        client.set_patience(Duration::from_millis(20));
                        let _ = client.receive_byte();
                    }
                }
            })
        });
        let cutters: Vec<_> = cutters.collect();
        let ended: Vec<_> = cutters.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    assert!(asked.into_inner() > 50);
    pair.falls_quiet("after the storm", target).await;
}

/// Requests that write one row, whole only with their last byte.
fn writes(id: usize) -> Vec<Vec<u8>> {
    let sql = "INSERT INTO places VALUES ($1, 'us-west', 'cut')";
    let batch = [
        stand::parse("", sql, &[23]),
        stand::bind("", "", &[Parameter::Text(id.to_string().into_bytes())], &[]),
        stand::execute("", 0),
        stand::sync(),
    ];
    let simple =
        format!("INSERT INTO places VALUES ({id}, 'ap-south', 'cut'), ({id} + 1000, 'ap-south', 'cut')");
    vec![batch.concat(), stand::query(&simple)]
}

#[tokio::test]
async fn a_request_that_is_cut_off_at_any_byte_does_nothing() {
    let pair = crowded("bytes");
    for target in pair.targets() {
        if target.kind == stand::Kind::Postgres {
            target.run(&SCHEMA);
        }
        let mut sent = 0;
        for kind in 0..2 {
            for length in 0..writes(1)[kind].len() {
                let mut client = target.raw();
                client.send(&writes(1000 * (kind + 1) + length)[kind][..length]);
                drop(client);
                sent += 1;
            }
        }
        pair.falls_quiet("after the storm", target).await;
        let mut client = target.raw();
        let written = client.value("SELECT count(*) FROM places WHERE name = 'cut'");
        assert_eq!(written.as_deref(), Some("0"), "{:?} after {sent}", target.kind);
        for whole in writes(1) {
            client.send(&whole);
            assert!(client.until_ready().iter().any(|message| message.tag == b'C'));
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_at_any_byte_harms_no_next_one() {
    let pair = crowded("half");
    let Some(target) = &pair.meridian else { return };
    let request = [
        stand::query("SELECT id, name FROM places ORDER BY id"),
        stand::query("SELECT name FROM places WHERE region = 'us-west'"),
    ]
    .concat();
    let mut whole = target.raw();
    whole.send(&request);
    let answers = [whole.until_ready(), whole.until_ready()].concat();
    let length: usize = answers.iter().map(|message| message.body.len() + 5).sum();
    for cut in 0..length {
        let mut client = target.raw();
        client.send(&request);
        for _ in 0..cut {
            assert!(client.receive_byte().is_some(), "byte {cut}");
        }
        drop(client);
        if cut % 8 == 0 {
            whole.send(&request);
            assert_eq!([whole.until_ready(), whole.until_ready()].concat(), answers, "after {cut} bytes");
        }
    }
    whole.set_patience(Duration::from_millis(50));
    assert_eq!(whole.receive(), Received::Silence);
    pair.falls_quiet("after the storm", target).await;
}
