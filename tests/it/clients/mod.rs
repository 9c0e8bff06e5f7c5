//! Programs that use the drivers and ORMs that people use, run twice: against a plain PostgreSQL and against Meridian.
//!
//! The programs are those of `tests/clients`; each prints one line for each feature and its result. What a feature came to
//! is a [`Verdict`]; the verdicts of a program are kept in `tests/clients/reports`, and `docs/compatibility.md` is made of
//! them. `UPDATE=1` rewrites both, for review.
//!
//! Invariants:
//! 1. A result that differs fails the test, unless it is a numbered refusal or stands in [`KNOWN`] with the reason.
//! 2. A program whose packages are not there is skipped, and says so past the test runner's capture of output; with
//!    `CLIENTS=all` it fails.
//! 3. The servers are scarce: three connections to a node, fewer than the programs' own.

mod document;
mod program;
mod sessions;
mod suites;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::RIDE_TABLES;
use crate::stand::{Pair, Target};
use program::{PROGRAMS, Program};
use verdict::{KNOWN, Verdict};

/// One worker: sizes are shared out over workers, and a session stays on its own.
const SCARCE: &[(&str, &str)] = &[("pool", "size = 3"), ("proxy", "workers = 1")];
const ROWS: u64 = 1000;

#[test]
fn psycopg_sees_no_difference() {
    compare("psycopg");
}

#[test]
fn asyncpg_sees_no_difference() {
    compare("asyncpg");
}

#[test]
fn sqlalchemy_sees_no_difference() {
    compare("sqlalchemy");
}

#[test]
fn django_sees_no_difference() {
    compare("django");
}

#[test]
fn node_postgres_sees_no_difference() {
    compare("pg");
}

#[test]
fn postgres_js_sees_no_difference() {
    compare("postgres");
}

#[test]
fn drizzle_sees_no_difference() {
    compare("drizzle");
}

#[test]
fn jdbc_sees_no_difference() {
    compare("jdbc");
}

#[test]
fn libpq_sees_no_difference() {
    compare("libpq");
}

#[test]
fn compatibility_document_is_the_reports() {
    // Another test of this process may be rewriting a report: each rewrites the document after its own.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let document = document::render();
    if is_update() {
        fs::write(&path, &document).expect("the document can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == document, "docs/compatibility.md is not the reports: run with UPDATE=1");
}

fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// Where what became of a program's features is kept.
fn report_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/reports").join(format!("{name}.txt"))
}

/// Features and what became of them, as they are kept.
fn kept(name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(report_path(name)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(feature, verdict)| (feature.to_owned(), verdict.to_owned())).collect()
}

/// Rewrites the report, or holds it to what was found.
fn keep(name: &str, found: &[(String, String)]) {
    if is_update() {
        let text: String = found.iter().map(|(feature, verdict)| format!("{feature}\t{verdict}\n")).collect();
        fs::write(report_path(name), text).expect("a report can be written");
        return;
    }
    let kept = kept(name);
    let changed: Vec<_> = found.iter().filter(|line| !kept.contains(line)).collect();
    let gone: Vec<_> = kept.iter().filter(|line| !found.contains(line)).collect();
    assert!(changed.is_empty() && gone.is_empty(), "{name}: new: {changed:#?}\ngone: {gone:#?}\n(UPDATE=1)");
}

fn compare(name: &str) {
    let program = PROGRAMS.iter().find(|program| program.name == name).expect("a program of the list");
    if let Err(reason) = program.kit.at_hand() {
        assert!(std::env::var("CLIENTS").as_deref() != Ok("all"), "{name}: {reason}");
        return program::say(&format!("SKIPPED client {name}: {reason}"));
    }
    let pair = Pair::with(&format!("client_{name}"), RIDE_TABLES, SCARCE);
    pair.targets().for_each(|target| target.load_example(ROWS));
    pair.settle();
    let reports: Vec<Vec<(String, String)>> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            pair.targets().map(|target| scope.spawn(move || report_of(program, target))).collect();
        runs.into_iter()
            .map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let [plain, meridian] = reports.as_slice() else { return };
    let mut found = Vec::new();
    let mut wrong = String::new();
    for (at, (feature, expected)) in plain.iter().enumerate() {
        let result = meridian.get(at).filter(|(name, _)| name == feature).map_or("", |(_, result)| result);
        match Verdict::of(name, feature, expected, result) {
            Ok(verdict) => found.push((feature.clone(), verdict.to_string())),
            Err(why) => wrong += &format!("{feature}: {why}\n  plain    {expected}\n  meridian {result}\n"),
        }
    }
    assert!(wrong.is_empty() && meridian.len() == plain.len(), "{name}:\n{wrong}");
    keep(name, &found);
    for (client, feature, _) in KNOWN.iter().filter(|(client, ..)| *client == name) {
        let listed = found.iter().any(|(found, verdict)| found == feature && verdict.starts_with("differs"));
        assert!(listed, "{client}, {feature}: does not differ any more");
    }
    println!("{} features of {name}", found.len());
}

fn report_of(program: &Program, target: &Target) -> Vec<(String, String)> {
    let said = program.run(target);
    let lines = said.lines().filter_map(|line| line.split_once('\t'));
    let report: Vec<_> = lines.map(|(name, result)| (name.to_owned(), result.to_owned())).collect();
    assert!(report.len() > 5, "{} says too little of {:?}:\n{said}", program.name, target.kind);
    report
}
