//! Random sessions on one PostgreSQL and on Meridian: the same answers, message by message, and nothing of a session on any
//! server connection when it has gone.
//!
//! Requests are messages with one to three statements, or pipelines, of statements that set something, read one shard or all,
//! write, fail, or turn the transaction. `SEED`, `FIRST` and `SESSIONS` choose others than every run has; a difference is
//! printed with the session up to it. A session that is refused something ends there.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::harness::REGIONS;
use crate::stand::{self, Pair, RawClient, Target};

const SESSIONS: u64 = 120;
const REQUESTS_MAX: usize = 9;

const SCHEMA: [&str; 4] = [
    "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
    "CREATE TABLE filled (id int PRIMARY KEY, name text)",
    "CREATE FUNCTION sets(what text) RETURNS text LANGUAGE plpgsql AS \
     $$BEGIN PERFORM set_config('app.who', what, false); RETURN what; END$$",
    "CREATE FUNCTION sets_and_fails() RETURNS text LANGUAGE plpgsql AS \
     $$BEGIN SET work_mem = '13MB'; RAISE EXCEPTION 'boo'; END$$",
];

const SETTING: [&str; 23] = [
    "SET TimeZone = 'Asia/Tokyo'",
    "SET LOCAL TimeZone = 'Asia/Dubai'",
    "SET work_mem = '7MB'",
    "SET LOCAL work_mem = '8MB'",
    "SET app.who = 'set'",
    "SET LOCAL app.who = 'set locally'",
    "SET datestyle = 'German'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET default_transaction_read_only = off",
    "RESET TimeZone",
    "RESET work_mem",
    "RESET ALL",
    "SELECT set_config('app.who', 'by function', false)",
    "SELECT set_config('app.who', 'by function, locally', true)",
    "SELECT set_config('TimeZone', 'Asia/Dubai', false), set_config('work_mem', '9MB', false)",
    "SELECT set_config('work_mem', '10MB', false) FROM places WHERE region = 'us-west'",
    "SELECT set_config('app.who', name, false) FROM places WHERE region = 'us-east'",
    "SELECT set_config('app.who', name, true) FROM places WHERE region = 'eu-central'",
    "LISTEN news",
    "DO $$BEGIN SET work_mem = '11MB'; END$$",
    "DO $$BEGIN PERFORM set_config('TimeZone', 'Europe/Madrid', false); END$$",
    "SELECT sets('by a function of ours')",
    "SET work_mem = 'nonsense'",
];

const TURNING: [&str; 15] = [
    "BEGIN",
    "BEGIN",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "RELEASE a",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "BEGIN READ ONLY",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "SET TRANSACTION READ ONLY",
    "DISCARD PLANS",
    "DISCARD ALL",
];

const ASKING: [&str; 15] = [
    "SELECT 1",
    "SELECT count(*) FROM places",
    "SELECT name FROM places WHERE region = 'ap-south'",
    "SELECT id, row_number() OVER (ORDER BY id) FROM places ORDER BY id LIMIT 1",
    "SELECT current_setting('TimeZone'), current_setting('work_mem'), coalesce(current_setting('app.who', true), '') \
     FROM places WHERE region = 'eu-central'",
    "SELECT current_setting('TimeZone'), current_setting('work_mem'), coalesce(current_setting('app.who', true), '')",
    "SELECT max(p.id), max(q.name), current_setting('TimeZone') FROM places p JOIN filled q ON q.id = p.id",
    "NOTIFY news, 'heard'",
    "CREATE TEMP TABLE IF NOT EXISTS kept (a int) ON COMMIT DROP",
    "SHOW work_mem",
    "SHOW transaction_isolation",
    "SELECT '2024-05-06'::date FROM places WHERE region = 'us-east'",
    "UPDATE places SET name = name WHERE region = 'us-west'",
    "UPDATE places SET name = name WHERE region = 'us-east'",
    "INSERT INTO filled VALUES (1) ON CONFLICT DO NOTHING",
];

const FAILING: [&str; 5] = [
    "SELECT 1/0",
    "SELECT nope FROM places",
    "DO $$BEGIN SET work_mem = '12MB'; RAISE EXCEPTION 'boo'; END$$",
    "SELECT sets_and_fails()",
    "CALL nope()",
];

/// What a session may leave behind, as its server shows it.
const STATE: &str = "SELECT concat_ws(' ', current_setting('TimeZone'), current_setting('work_mem'), \
                     current_setting('DateStyle'), current_setting('default_transaction_read_only'), \
                     '<' || coalesce(current_setting('app.who', true), '') || '>') FROM places WHERE region = ";
const CLEAN: &str = "UTC 4MB ISO, MDY off <>";

#[derive(Debug, Clone)]
enum Request {
    Message(String),
    Pipeline(Vec<&'static str>),
}

impl Request {
    fn random(random: &mut SmallRng) -> Self {
        let statement = |random: &mut SmallRng| {
            let kind: &[&str] = match random.random_range(0..10) {
                0..4 => &SETTING,
                4..6 => &TURNING,
                6..9 => &ASKING,
                _ => &FAILING,
            };
            *kind.choose(random).expect("there are some")
        };
        let count = [1, 1, 1, 2, 2, 3].choose(random).copied().unwrap_or(1);
        let mut statements: Vec<_> = (0..count).map(|_| statement(random)).collect();
        // PostgreSQL refuses it in a pipeline with others.
        statements.retain(|text| count == 1 || *text != "DISCARD ALL");
        match random.random_bool(0.5) {
            true => Self::Message(statements.join("; ")),
            false => Self::Pipeline(statements),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let run = |text: &&str| {
            [stand::parse("", text, &[]), stand::bind("", "", &[], &[]), stand::execute("", 0)].concat()
        };
        match self {
            Self::Message(text) => stand::query(text),
            Self::Pipeline(texts) => [texts.iter().flat_map(run).collect(), stand::sync()].concat(),
        }
    }
}

/// One side of a session.
struct Side {
    client: RawClient,
    /// The reported parameters, as the client has heard of them.
    told: BTreeMap<String, String>,
}

impl Side {
    fn open(target: &Target) -> Self {
        let client = target.raw();
        let told = client.parameters.iter().filter(|(name, _)| name != "in_hot_standby").cloned().collect();
        Self { client, told }
    }

    /// What must be the same. Reports may come in any order before ReadyForQuery, and with the end of a failed transaction: it
    /// is what the client believes that counts. Where the session performs, Parse and Bind are confirmed before the server has
    /// found fault with either.
    fn answer(&mut self, request: &Request) -> Vec<String> {
        self.client.send(&request.bytes());
        let messages = self.client.until_ready();
        let mut lines: Vec<String> = Vec::new();
        for message in &messages {
            match message.tag {
                b'S' => {
                    let (name, value) = message.two_strings();
                    self.told.insert(name, value);
                    continue;
                }
                b'E' => {
                    while lines.last().is_some_and(|line| line == "1" || line == "2") {
                        lines.pop();
                    }
                }
                _ => {}
            }
            lines.push(message.line());
        }
        if lines.last().is_some_and(|line| line != "Z E") {
            lines.push(format!("{:?}", self.told));
        }
        lines
    }
}

/// Meridian refuses something, or a replica what a primary takes in a read-only transaction; or one side finds that a
/// transaction begins too late, which depends on what of its request, or of ours, has run before.
fn refused(answer: &[String]) -> bool {
    const ENDS: [&str; 2] = ["must be called before any query", "during recovery"];
    let refuses =
        |line: &String| line.starts_with("E ERROR 0A000") || ENDS.iter().any(|end| line.ends_with(end));
    answer.iter().any(refuses)
}

/// A session on each side, until it ends or Meridian refuses something; the first difference.
fn run(plain: &Target, meridian: &Target, requests: &[Request]) -> Result<(), String> {
    let (mut one, mut other) = (Side::open(plain), Side::open(meridian));
    // The last session may have ended before both had done the same.
    let empty = Request::Message("DELETE FROM filled".to_owned());
    let _ = (one.answer(&empty), other.answer(&empty));
    for (at, request) in requests.iter().enumerate() {
        let (expected, got) = (one.answer(request), other.answer(request));
        if refused(&got) || refused(&expected) {
            return Ok(());
        }
        if expected != got {
            let before: String = requests[..=at].iter().map(|request| format!("  {request:?}\n")).collect();
            return Err(format!("{before}expected {expected:#?}\ngot      {got:#?}"));
        }
    }
    Ok(())
}

/// What the connections to all nodes still have.
fn left_behind(meridian: &Target) -> Vec<String> {
    let mut fresh = meridian.raw();
    let mut found = Vec::new();
    // Outside of a transaction a replica is asked, in one the primary.
    for begin in ["SELECT 1", "BEGIN"] {
        fresh.simple(begin);
        for region in REGIONS {
            let state = fresh.value(&format!("{STATE}'{region}'"));
            if state.as_deref() != Some(CLEAN) {
                found.push(format!("{region}, {begin}: {state:?}"));
            }
        }
    }
    fresh.simple("COMMIT");
    found
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_sessions_are_answered_alike_and_leave_nothing() {
    let pair = Pair::with("at_random", stand::PLACES, &[("proxy", "workers = 1"), ("pool", "size = 1")]);
    let Some(meridian) = &pair.meridian else { return };
    for target in pair.targets() {
        target.run(&SCHEMA);
        for (id, region) in REGIONS.iter().enumerate() {
            target.run(&[&format!("INSERT INTO places VALUES ({id}, '{region}', 'in {region}')")]);
        }
    }
    assert_eq!(left_behind(meridian), Vec::<String>::new());
    let seed = number("SEED", 1);
    let mut failures = Vec::new();
    let first = number("FIRST", 0);
    for session in first..first + number("SESSIONS", SESSIONS) {
        let mut random = SmallRng::seed_from_u64(seed * 1_000_003 + session);
        let count = random.random_range(2..=REQUESTS_MAX);
        let requests: Vec<_> = (0..count).map(|_| Request::random(&mut random)).collect();
        if let Err(difference) = run(&pair.plain, meridian, &requests) {
            failures.push(format!("session {session}:\n{difference}"));
        }
        let left = left_behind(meridian);
        if !left.is_empty() {
            failures.push(format!("session {session} has left {left:#?}\n{requests:#?}"));
            break;
        }
    }
    assert!(failures.is_empty(), "seed {seed}, {} failures\n{}", failures.len(), failures.join("\n"));
}
