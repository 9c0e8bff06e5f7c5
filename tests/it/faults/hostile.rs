//! Strangers who mean harm: floods, gigabytes that are announced and never come, half handshakes, garbage, and those who
//! say one byte at a time. The proxy stays up and small, they are gone after the login time, and meanwhile another client
//! works on without an error.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::harness::{Database, Meridian, database, eventually, meridian};
use crate::stand::{
    self, Kind, PROTOCOL_3_0, RawClient, Received, SSL_REQUEST, Target, frame, request, startup,
};
use crate::tls::{Authority, answered, psql};

/// What an attack may cost at most: far less than what any of them announces.
const GROWTH_BYTES_MAX: u64 = 96 << 20;
const GIGABYTE: [u8; 4] = 0x4000_0000_u32.to_be_bytes();
/// How long a stranger waits to be thrown out: a multiple of the login time that is configured here.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two bytes of one who dawdles.
const PACE: Duration = Duration::from_millis(100);

/// A Meridian under attack, and one client who works on.
struct Siege {
    meridian: Meridian,
    target: Target,
    worker: Option<Worker>,
    resident_before: u64,
    _database: Database,
    /// Its files are read again by a reload.
    _authority: Authority,
}

struct Worker {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Siege {
    async fn begin(proxy: &str) -> Self {
        let database = database().await;
        let authority = Authority::new();
        authority.sign("server", &["localhost"], "localhost");
        let meridian = meridian(&database.cluster)
            .database(&database.name)
            .section("proxy", &format!("workers = 2\nauthentication_timeout = \"1s\"\n{proxy}"))
            .section("tls", &authority.section("optional", ""))
            .start();
        let port = meridian.address().port();
        let target = Target { kind: Kind::Meridian, port, database: database.name.clone() };
        let worker = Some(Worker::start(&target));
        let resident_before = meridian.resident_bytes();
        Self { meridian, target, worker, resident_before, _database: database, _authority: authority }
    }

    fn hello(&self) -> Vec<u8> {
        startup(PROTOCOL_3_0, &[("user", "meridian"), ("database", &self.target.database)])
    }

    fn stranger(&self) -> RawClient {
        let stranger = RawClient::open(self.target.port);
        stranger.set_patience(PATIENCE);
        stranger
    }

    fn assert_small(&self, what: &str) {
        let now = self.meridian.resident_bytes();
        let growth = now.saturating_sub(self.resident_before);
        assert!(growth < GROWTH_BYTES_MAX, "{what}: {} before, {now} now", self.resident_before);
    }

    /// Waits until the one who works has had another answer, and finds that none was wrong.
    async fn goes_on(&mut self) {
        let Some(worker) = self.worker.take() else { return };
        let before = worker.answers.load(Ordering::Relaxed);
        eventually("the other client is answered", async || {
            (worker.thread.is_finished() || worker.answers.load(Ordering::Relaxed) > before + 1).then_some(())
        })
        .await;
        worker.stop.store(true, Ordering::Relaxed);
        worker.thread.join().expect("the other client sees no error");
        assert!(self.meridian.is_running());
        assert!(!self.meridian.log().contains("panicked"), "{}", self.meridian.log_tail());
        self.target.run(&["SELECT 1"]);
    }
}

impl Worker {
    fn start(target: &Target) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answers));
        let mut client = target.raw();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let turn = counted.load(Ordering::Relaxed).to_string();
                assert_eq!(client.value(&format!("SELECT {turn}, pg_sleep(0.002)")), Some(turn));
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, answers, thread }
    }
}

/// Says the words one byte at a time, for as long as it is listened to. What it is told at last.
fn dawdle(mut stranger: RawClient, words: &[u8]) -> String {
    stranger.set_patience(PACE);
    let mut told = String::new();
    for byte in words.iter().chain(std::iter::repeat(&b'x')).take(PATIENCE.as_millis() as usize / 100) {
        stranger.send(&[*byte]);
        match stranger.receive() {
            Received::Silence => {}
            Received::Message(message) => told.push_str(&message.line()),
            Received::Closed => return format!("{told} closed"),
        }
    }
    format!("{told} …")
}

#[tokio::test]
async fn who_dawdles_is_gone_after_the_login_time() {
    let mut siege = Siege::begin("").await;
    let hello = siege.hello();
    // The start-up packet as if it were endless, so that its end is never reached.
    let endless = [&9_000_u32.to_be_bytes()[..], &hello[4..]].concat();
    let asked = |siege: &Siege| {
        let mut stranger = siege.stranger();
        stranger.send(&siege.hello());
        assert!(matches!(stranger.receive(), Received::Message(message) if message.tag == b'R'));
        stranger
    };
    let encrypting = |siege: &Siege| {
        let mut stranger = siege.stranger();
        stranger.send(&request(SSL_REQUEST));
        assert_eq!(stranger.receive_byte(), Some(b'S'));
        stranger
    };
    let mut threads = Vec::new();
    for _ in 0..10 {
        let (start, words) = (siege.stranger(), endless.clone());
        threads.push(("start-up", thread::spawn(move || dawdle(start, &words))));
        let password = asked(&siege);
        let words = frame(b'p', &[&b"SCRAM-SHA-256\0\0\0\x20\0n,,n=,r="[..], &[b'r'; 8_000]].concat());
        threads.push(("password", thread::spawn(move || dawdle(password, &words))));
        let handshake = encrypting(&siege);
        threads.push(("handshake", thread::spawn(move || dawdle(handshake, b"\x16\x03\x01\x20\0\x01"))));
    }
    for (what, thread) in threads {
        let told = thread.join().expect("nothing panics");
        assert!(told.ends_with("closed"), "{what}: {told}");
        assert!(!told.contains("Z "), "{what}: {told}");
        let in_words = what == "start-up" || what == "password";
        assert!(!in_words || told.contains("canceling authentication due to timeout"), "{what}: {told}");
    }
    siege.assert_small("dawdling");
    siege.goes_on().await;
}

#[tokio::test]
async fn who_says_nothing_is_gone_after_the_login_time() {
    let mut siege = Siege::begin("").await;
    let hello = siege.hello();
    let mut strangers: Vec<(usize, RawClient)> =
        (0..=hello.len()).map(|cut| (cut, siege.stranger())).collect();
    for (cut, stranger) in &mut strangers {
        stranger.send(&hello[..*cut]);
    }
    for (cut, stranger) in &mut strangers {
        let told = stranger.rest();
        assert!(told.ends_with("closed"), "after {cut} bytes: {told}");
        assert!(told.contains("canceling authentication due to timeout"), "after {cut} bytes: {told}");
    }
    siege.goes_on().await;
}

#[tokio::test]
async fn announced_gigabytes_are_refused_and_cost_nothing() {
    let mut siege = Siege::begin("message_bytes_max = \"64MiB\"").await;
    let mut strangers = Vec::new();
    for _ in 0..20 {
        let mut first = siege.stranger();
        first.send(&[&GIGABYTE[..], b"\0\x03\0\0user\0"].concat());
        strangers.push(("start-up", first));
        let mut password = siege.stranger();
        password.send(&siege.hello());
        assert!(matches!(password.receive(), Received::Message(_)));
        password.send(&[b"p", &GIGABYTE[..], b"SCRAM-SHA-256\0"].concat());
        strangers.push(("password", password));
        for tag in [b"Q", b"P", b"B", b"d", b"D", b"E", b"S"] {
            let mut client = siege.target.raw();
            client.set_patience(PATIENCE);
            client.send(&[&tag[..], &GIGABYTE, b"SELECT 1"].concat());
            strangers.push(("session", client));
        }
    }
    for (what, stranger) in &mut strangers {
        // More of it, which nobody reads.
        stranger.send(&[b'x'; 60_000]);
        let told = stranger.rest();
        let expected =
            if *what == "start-up" { "invalid length of startup packet" } else { "invalid message length" };
        assert!(
            told.contains("08P01") && told.contains(expected) && told.ends_with("closed"),
            "{what}: {told}"
        );
    }
    siege.assert_small("announced gigabytes");
    // What is announced and allowed is not believed either before it comes.
    let mut waiting: Vec<RawClient> = (0..60).map(|_| siege.target.raw()).collect();
    for client in &mut waiting {
        client.send(&[b"Q", &(60_u32 << 20).to_be_bytes()[..], b"SELECT 1"].concat());
    }
    siege.goes_on().await;
    siege.assert_small("announced queries");
}

#[tokio::test]
async fn a_flood_of_clients_is_told_that_there_are_too_many() {
    let mut siege = Siege::begin("clients_max = 20").await;
    let inside: Vec<RawClient> = (0..19).map(|_| siege.target.raw()).collect();
    let flood: Vec<_> = (0..8)
        .map(|_| {
            let target = siege.target.clone();
            thread::spawn(move || (0..40).map(|_| RawClient::connect(&target, &[]).err()).collect::<Vec<_>>())
        })
        .collect();
    for told in flood.into_iter().flat_map(|thread| thread.join().expect("nothing panics")) {
        let Some(Received::Message(message)) = told else { panic!("{told:?}") };
        assert_eq!(message.line(), "E FATAL 53300 sorry, too many clients already");
    }
    drop(inside);
    eventually("there is room again", async || RawClient::connect(&siege.target, &[]).ok()).await;
    siege.assert_small("a flood");
    siege.goes_on().await;
}

#[tokio::test]
async fn strangers_who_say_nothing_are_bounded_too() {
    let mut siege = Siege::begin("clients_max = 20").await;
    let mut silent: Vec<RawClient> = (0..20).map(|_| siege.stranger()).collect();
    let told = eventually("one more is turned away", async || {
        let mut more = siege.stranger();
        more.set_patience(PACE);
        match more.receive() {
            Received::Message(message) => Some(message.line()),
            // It is one of the twenty: an earlier connection of this test was not counted out yet when they came.
            Received::Silence | Received::Closed => {
                more.set_patience(PATIENCE);
                silent.push(more);
                None
            }
        }
    })
    .await;
    assert_eq!(told, "E FATAL 53300 sorry, too many clients already");
    for stranger in &mut silent {
        assert!(stranger.rest().ends_with("closed"));
    }
    eventually("there is room again", async || RawClient::connect(&siege.target, &[]).ok()).await;
    siege.goes_on().await;
}

#[tokio::test]
async fn a_thousand_half_handshakes_hold_up_nobody() {
    let mut siege = Siege::begin("").await;
    let mut half = Vec::new();
    for turn in 0..1_000 {
        let mut stranger = siege.stranger();
        match turn % 2 {
            // A handshake at once, or after asking.
            0 => stranger.send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
            _ => stranger.send(&request(SSL_REQUEST)),
        }
        half.push(stranger);
    }
    for stranger in half.iter_mut().skip(1).step_by(2) {
        assert_eq!(stranger.receive_byte(), Some(b'S'));
        stranger.send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03");
    }
    siege.assert_small("a thousand handshakes");
    for mut stranger in half {
        assert!(stranger.rest().ends_with("closed"), "a half handshake is waited for");
    }
    assert!(answered(&psql(&siege.meridian, &siege.target.database, "sslmode=require")));
    siege.goes_on().await;
}

/// What a stranger says in place of what is due.
fn garbage(random: &mut SmallRng) -> Vec<Vec<u8>> {
    let mut words = vec![
        b"GET / HTTP/1.1\r\nHost: example\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
        vec![0; 300],
        vec![0xff; 300],
        stand::query("SELECT 1"),
        [
            stand::parse("", "SELECT 1", &[]),
            stand::bind("", "", &[], &[]),
            stand::execute("", 0),
            stand::sync(),
        ]
        .concat(),
        frame(b'p', b""),
        frame(b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xff"),
        frame(b'p', b"SCRAM-SHA-256-PLUS\0\0\0\0\x01n"),
        frame(b'p', &[b'n'; 9_000]),
        request(SSL_REQUEST),
        stand::cancel(1, 2),
    ];
    words.extend((0..20).map(|_| (0..random.random_range(1..400)).map(|_| random.random()).collect()));
    words
}

#[tokio::test]
async fn garbage_at_any_point_of_a_login_opens_nothing() {
    let mut siege = Siege::begin("").await;
    let hello = siege.hello();
    let offer = frame(b'p', b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=rOprNGfwEbeRWgbNEkqO3456");
    let moments: [&[&[u8]]; 4] = [&[], &[&request(SSL_REQUEST)], &[&hello], &[&hello, &offer]];
    let mut random = SmallRng::seed_from_u64(20);
    for said in moments {
        for words in garbage(&mut random) {
            let mut stranger = siege.stranger();
            for part in said {
                stranger.send(part);
                if part.len() == 8 {
                    assert_eq!(stranger.receive_byte(), Some(b'S'));
                } else {
                    assert!(matches!(stranger.receive(), Received::Message(message) if message.tag == b'R'));
                }
            }
            stranger.send(&words);
            stranger.half_close();
            let told = stranger.rest();
            let shown = words.escape_ascii();
            assert!(told.ends_with("closed"), "{} messages, then {shown}: {told}", said.len());
            assert!(!told.contains("Z "), "{} messages, then {shown}: {told}", said.len());
        }
    }
    siege.assert_small("garbage");
    siege.goes_on().await;
}

#[tokio::test]
async fn garbage_in_a_session_ends_it_and_no_other() {
    let mut siege = Siege::begin("").await;
    let mut random = SmallRng::seed_from_u64(21);
    for turn in 0..60 {
        let mut client = siege.target.raw();
        client.set_patience(PATIENCE);
        if turn % 3 == 0 {
            client.simple("BEGIN");
        }
        let length = random.random_range(1..2_000);
        let mut words: Vec<u8> = (0..length).map(|_| random.random()).collect();
        if turn % 2 == 0 {
            words = [stand::query("SELECT 1"), frame(b'P', &words), frame(b'B', &words), words].concat();
        }
        client.send(&words);
        client.half_close();
        assert!(client.rest().ends_with("closed"));
    }
    let hello = siege.hello();
    // Gone without a word, half of them in the middle of a packet.
    for _ in 0..200 {
        drop(TcpStream::connect(siege.meridian.address()).expect("it listens"));
        siege.stranger().send(&hello[..hello.len() / 2]);
    }
    siege.assert_small("garbage");
    siege.goes_on().await;
}
