//! The suites that drivers publish, against a plain PostgreSQL and against Meridian: what passes on the first passes on the
//! second.
//!
//! They run in transaction pooling, with fewer server connections than the suites open, and with every table on the default
//! shard; there is another shard, so that what belongs to every shard is sent to both. A runner of `tests/clients/suites`
//! prints each test's outcome. Its [`Note`]s, in a file beside it, say which tests are left out and which may differ, and why;
//! numbers are kept in `tests/clients/reports`.
//!
//! Invariants:
//! 1. A test that passes with PostgreSQL and not through Meridian fails this one, unless a note names it.
//! 2. A note that no longer holds fails, too: one that names no test, or a test that passes.
//! 3. Suites make roles and databases, and run as a superuser: they have servers of their own.
//! 4. They take minutes, and run with `CLIENTS=all` only (`make test-clients`); otherwise they say that they were skipped.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use meridian::demo::cluster::APP_USER;

use super::program::{Program, SUITES, say, sources};
use super::{SCARCE, is_update, keep, kept};
use crate::harness::{TestCluster, cluster, meridian};
use crate::stand::{Kind, Target};

/// What the suites expect to be there.
const DATABASE: &str = "postgres";

#[test]
fn asyncpg_passes_its_suite() {
    compare("asyncpg");
}

#[test]
fn sqlalchemy_passes_its_suite() {
    compare("sqlalchemy");
}

#[test]
fn django_passes_its_suite() {
    compare("django");
}

/// What a note says of its tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They are not run.
    LeftOut,
    /// They pass with PostgreSQL, and never through Meridian.
    Differs,
    /// They pass through Meridian or not, by which server connection they meet.
    Varies,
}

/// A reason with the tests that it holds for; a name that ends in a star stands for all that begin so.
#[derive(Debug)]
pub struct Note {
    pub standing: Standing,
    pub reason: String,
    pub tests: Vec<String>,
}

/// The notes of a suite: lines `left out: reason`, `differs: reason`, `varies: reason`, with indented names below.
pub fn notes(suite: &str) -> Vec<Note> {
    let path = sources().join(format!("suites/{suite}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut notes: Vec<Note> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        match (line.strip_prefix("    "), notes.last_mut()) {
            (Some(test), Some(note)) => note.tests.push(test.trim().to_owned()),
            _ => {
                let (standing, reason) = match line.split_once(": ") {
                    Some(("left out", reason)) => (Standing::LeftOut, reason),
                    Some(("differs", reason)) => (Standing::Differs, reason),
                    Some(("varies", reason)) => (Standing::Varies, reason),
                    _ => panic!("{}: {line}", path.display()),
                };
                notes.push(Note { standing, reason: reason.to_owned(), tests: Vec::new() });
            }
        }
    }
    notes
}

/// Names of tests, and the lines behind them.
type Outcomes = BTreeMap<String, String>;

/// Both servers of a suite, and the Meridian before one of them.
struct Stage {
    targets: [Target; 2],
    /// PostgreSQL's major version.
    major: String,
    _meridian: crate::harness::Meridian,
    _servers: [TestCluster; 2],
}

impl Stage {
    fn set() -> Self {
        let plain = cluster().region("plain").start();
        let shards = cluster().region("us-east").region("eu-central").start();
        let all = plain.shards().iter().chain(shards.shards());
        for primary in all.map(|shard| shard.primary()) {
            if let Err(error) = primary.sql(&format!("ALTER ROLE {APP_USER} SUPERUSER")) {
                panic!("a superuser for the suites: {error}");
            }
        }
        let described =
            SCARCE.iter().fold(meridian(&shards).database(DATABASE), |described, (section, keys)| {
                described.section(section, keys)
            });
        let meridian = described.start();
        let target = |kind, port| Target { kind, port, database: DATABASE.to_owned() };
        let primary = plain.shards()[0].primary();
        let version =
            primary.sql("SHOW server_version_num").map(|rows| rows[0][0].clone().unwrap_or_default());
        Self {
            targets: [
                target(Kind::Postgres, primary.direct_address().port()),
                target(Kind::Meridian, meridian.address().port()),
            ],
            major: version.expect("a server that runs").chars().take(2).collect(),
            _meridian: meridian,
            _servers: [plain, shards],
        }
    }
}

fn compare(name: &str) {
    let suite = SUITES.iter().find(|suite| suite.name == name).expect("a suite of the list");
    let all = std::env::var("CLIENTS").as_deref() == Ok("all");
    if !all {
        return say(&format!("SKIPPED suite of {name}: it takes minutes (make test-clients)"));
    }
    if let Err(reason) = suite.kit.at_hand() {
        panic!("{name}: {reason}");
    }
    // One at a time: their tests mind the time.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::set();
    let [plain, meridian] = std::thread::scope(|scope| {
        let runs = stage.targets.each_ref().map(|target| scope.spawn(move || outcomes(suite, target)));
        runs.map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let verdict = Verdict::of(&notes(name), &plain, &meridian);
    assert!(verdict.wrong.is_empty(), "{name}:\n{}", verdict.wrong.join("\n"));
    verdict.keep(name, &stage.major);
}

fn outcomes(suite: &Program, target: &Target) -> Outcomes {
    let said = suite.run(target);
    let lines = said.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(test, outcome)| (test.to_owned(), outcome.to_owned())).collect()
}

/// What both runs together come to.
#[derive(Debug, Default)]
struct Verdict {
    passed: usize,
    different: usize,
    /// Not with PostgreSQL either: left out, skipped by the suite, or failed.
    skipped: usize,
    failed: usize,
    wrong: Vec<String>,
}

impl Verdict {
    fn of(notes: &[Note], plain: &Outcomes, meridian: &Outcomes) -> Self {
        let mut verdict = Self::default();
        for (test, expected) in plain {
            let found = meridian.get(test).map_or("missing", String::as_str);
            let standing = noted(notes, test);
            match (expected.as_str(), found, standing) {
                ("passed", _, Some(Standing::LeftOut)) => {
                    verdict.wrong.push(format!("{test}: it is left out, and was run"))
                }
                ("passed", "passed", Some(Standing::Differs)) => {
                    verdict.wrong.push(format!("{test}: it passes; the note is out of date"))
                }
                ("passed", _, Some(Standing::Differs | Standing::Varies)) => verdict.different += 1,
                ("passed", "passed", None) => verdict.passed += 1,
                ("passed", _, None) => verdict.wrong.push(format!("{test}: {found}")),
                (other, _, Some(Standing::Differs | Standing::Varies)) => {
                    verdict.wrong.push(format!("{test}: noted, and with PostgreSQL {other}"))
                }
                (other, ..) if other.starts_with("skipped") => verdict.skipped += 1,
                (other, ..) => {
                    println!("with PostgreSQL, too: {test}: {other}");
                    verdict.failed += 1;
                }
            }
        }
        let named = notes.iter().flat_map(|note| &note.tests);
        let idle = named.filter(|name| !plain.keys().any(|test| is_named(name, test)));
        verdict.wrong.extend(idle.map(|name| format!("{name}: noted, and no test")));
        verdict
    }

    /// Rewrites the report, or holds it to what was found. Numbers depend on PostgreSQL: another version is not compared.
    fn keep(&self, name: &str, major: &str) {
        let counts = [
            ("PostgreSQL", major.to_owned()),
            ("passed", self.passed.to_string()),
            ("different", self.different.to_string()),
            ("skipped", self.skipped.to_string()),
            ("failed", self.failed.to_string()),
        ];
        let told: Vec<String> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        println!("suite of {name}: {}", told.join(", "));
        let report = counts.map(|(what, count)| (what.to_owned(), count));
        let name = format!("suite_{name}");
        if is_update() || kept(&name).contains(&report[0]) {
            keep(&name, &report);
        }
    }
}

fn is_named(name: &str, test: &str) -> bool {
    name.strip_suffix('*').map_or(name == test, |start| test.starts_with(start))
}

fn noted(notes: &[Note], test: &str) -> Option<Standing> {
    let note = notes.iter().find(|note| note.tests.iter().any(|name| is_named(name, test)))?;
    Some(note.standing)
}
