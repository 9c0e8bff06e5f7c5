//! The corpus of every fuzz target and seeded mutations of it, replayed in every run of the tests.
//!
//! `make fuzz TARGET=frames SECONDS=600` searches with libFuzzer for longer; what it finds is mended and its input put
//! into `fuzz/corpus/`, where this replays it for ever.
//!
//! ```text
//!   fuzz/corpus/frames/*  ─┐
//!                          ├─▶ mutation, seeded ─▶ targets::frames::run
//!   tests/cases/** (SQL)  ─┘
//! ```
//!
//! `FUZZ_ROUNDS=100000 cargo test --test fuzz frames` mutates longer; `FUZZ_SEED=7` otherwise.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own corpus has failed")]

mod allocation;
mod mutation;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use mutation::Mutator;
use targets::{Run, TARGETS};

/// Mutations of each target.
const ROUNDS: u64 = 1_500;
/// What one run may hold at once, besides a multiple of its input: far less than a length that a stranger announces.
const HELD_BYTES_MAX: usize = 4 << 20;
const HELD_PER_INPUT_BYTE: usize = 4 << 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    files
}

/// The corpus of a target; for those of SQL, the statements of the other tests as well.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = root().join("fuzz/corpus").join(name);
    let mut inputs: Vec<Vec<u8>> = files(&folder).iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    if matches!(name, "plan" | "lexer") {
        for path in files(&root().join("tests/cases/plan"))
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        {
            let text = fs::read_to_string(path).unwrap();
            let statements = text.split("\n\n").filter_map(|case| case.split("\n----").next());
            inputs.extend(statements.map(|statement| statement.as_bytes().to_vec()));
        }
    }
    if name == "configuration" {
        inputs.extend(
            ["config/demo.toml", "tests/cases/plan/sample.toml"]
                .map(|file| fs::read(root().join(file)).unwrap()),
        );
    }
    inputs
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs a target, and shows the input that it fails on.
fn hold(name: &str, run: Run, input: &[u8]) {
    let limit = HELD_BYTES_MAX + HELD_PER_INPUT_BYTE * input.len();
    let mut held = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| held = allocation::most_held(|| run(input))));
    let shown = input.escape_ascii();
    assert!(outcome.is_ok(), "{name} fails on \"{shown}\"");
    assert!(held <= limit, "{name} holds {held} bytes for {} of input: \"{shown}\"", input.len());
}

fn replay(name: &str) {
    let (_, run) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    for input in &corpus {
        hold(name, *run, input);
    }
    let mut mutator = Mutator::new(number("FUZZ_SEED", 1));
    for _ in 0..number("FUZZ_ROUNDS", ROUNDS) {
        hold(name, *run, &mutator.mutate(&corpus));
    }
}

#[test]
fn every_target_has_a_corpus_and_a_program() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no {name}");
        assert!(root().join(format!("fuzz/targets/{name}.rs")).exists());
    }
    let folders: Vec<String> = files(&root().join("fuzz/corpus"))
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders, TARGETS.map(|(name, _)| name));
}

#[test]
fn configurations_are_accepted_or_every_error_has_a_line() {
    replay("configuration");
}

#[test]
fn copied_rows_do_not_depend_on_the_cuts() {
    replay("copy");
}

#[test]
fn frames_do_not_depend_on_the_cuts() {
    replay("frames");
}

#[test]
fn positions_are_in_their_cells_and_windows() {
    replay("geo");
}

#[test]
fn well_formed_statements_have_the_plan_of_their_shape() {
    replay("grammar");
}

#[test]
fn tokens_cover_any_text_and_shapes_hold_for_other_values() {
    replay("lexer");
}

#[test]
fn any_text_has_the_plan_of_its_shape() {
    replay("plan");
}

#[test]
fn rows_of_strangers_are_ordered_or_refused() {
    replay("rows");
}

#[test]
fn strangers_prove_nothing() {
    replay("scram");
}

#[test]
fn first_packets_are_written_as_they_were_read() {
    replay("startup");
}
