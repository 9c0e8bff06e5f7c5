//! The equality suite: the same rows in one plain PostgreSQL and behind Meridian over four regions; equal answers.
//!
//! The standing example's tables are created and loaded through Meridian (COPY), and the same bytes go to the plain
//! server. Then every statement of `tests/cases/equality/*.sql` runs on both, in the simple protocol, in the extended
//! one with text, and with binary (`script` tells the form of the files). Columns, types, rows, tags and the
//! transaction's status must be equal. An answer with 0A000 is a refusal: it must have been announced in the file, and
//! is counted. Meridian is asked first, so that what it refuses is not done on the plain server either.

mod answer;
mod placed;
mod script;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::RIDE_TABLES;
use crate::stand::{Pair, RawClient, Target};
use answer::{Answer, ask};
use placed::Placed;
use script::{Mode, Statement};

/// Users, drivers and rides together.
const ROWS: u64 = 3400;

/// Tables of the files, beside those of the standing example.
const MORE_TABLES: &str = r#"
[[tables]]
name = "kinds"
placement = "region"
key = "region"

[[tables]]
name = "maybe"
placement = "region"
key = "region"
null_key = "eu-central"

[[tables]]
name = "accounts"
placement = "hash"
key = "id"

[[tables]]
name = "spreads"
placement = "hash"
key = "id"

[[tables]]
name = "odds"
placement = "hash"
key = "id"

[[tables]]
name = "moods"
placement = "hash"
key = "id"

[[tables]]
name = "codes"
placement = "hash"
key = "code"

[[tables]]
name = "macaddr"
placement = "region"
key = "region"

[[tables]]
name = "moves"
placement = "hash"
key = "tenant"

[[tables]]
name = "pages"
placement = "hash"
key = "tenant"

[[tables]]
name = "leaflets"
placement = "hash"
key = "tenant"

[[tables]]
name = "tenants"
placement = "list"
key = "tenant"
otherwise = "us-west"

[tables.values]
us-east = ["acme", "007"]
eu-central = ["Straße", ""]

[[tables]]
name = "measures"
placement = "range"
key = "n"
ranges = [
  { to = 0, shard = "us-east" },
  { from = 0, to = 100, shard = "us-west" },
  { from = 100, shard = "ap-south" },
]

[[tables]]
name = '"Mixed"'
placement = "region"
key = '"Region"'

[[tables]]
name = "fares"
placement = "reference"

[[tables]]
name = '"odd-name"'
placement = "region"
key = "region"

[[tables]]
name = "badges"
placement = "hash"
key = "badge"

[[tables]]
name = "devices"
placement = "hash"
key = "device"

[[tables]]
name = "folded"
placement = "hash"
key = "id"

[[tables]]
name = "small"
placement = "hash"
key = "k"

[[tables]]
name = "bookings"
placement = "range"
key = "day"
key_type = "date"
ranges = [
  { to = "2024-01-01", shard = "us-east" },
  { from = "2024-01-01", to = "2025-01-01", shard = "us-west" },
  { from = "2025-01-01", shard = "eu-central" },
]

[[tables]]
name = "flags"
placement = "list"
key = "k"
key_type = "boolean"
values = { us-west = [true], ap-south = [false] }
null_key = "eu-central"

[[tables]]
name = "events"
placement = "region"
key = "region"

[[tables]]
name = "tips"
placement = "region"
key = "region"

[[tables]]
name = "grades"
placement = "reference"

[[tables]]
name = "stock"
placement = "single"
shard = "eu-central"
"#;

/// Where the rows of all these tables are to be.
const PLACES: &[(&str, Placed)] = &[
    ("users", Placed::By("region")),
    ("drivers", Placed::By("region")),
    ("rides", Placed::By("region")),
    ("driver_locations", Placed::ByPosition),
    ("regions", Placed::Everywhere),
    ("kinds", Placed::By("region")),
    ("maybe", Placed::By("region")),
    ("accounts", Placed::By("id")),
    ("codes", Placed::By("code")),
    ("tenants", Placed::By("tenant")),
    ("measures", Placed::By("n")),
    ("\"Mixed\"", Placed::By("\"Region\"")),
    ("fares", Placed::Everywhere),
    ("notes", Placed::On("us-east")),
    ("other.rides", Placed::On("us-east")),
    ("\"odd-name\"", Placed::By("region")),
    ("badges", Placed::By("badge")),
    ("devices", Placed::By("device")),
    ("folded", Placed::By("id")),
    ("small", Placed::By("k")),
    ("bookings", Placed::By("day")),
    ("flags", Placed::By("k")),
    ("events", Placed::By("region")),
    ("tips", Placed::By("region")),
    ("grades", Placed::Everywhere),
    ("stock", Placed::On("eu-central")),
    ("journal", Placed::On("us-east")),
];

/// What became of the statements.
#[derive(Debug, Default)]
struct Tally {
    equal: usize,
    refused: BTreeMap<String, usize>,
    differences: String,
    /// Announced refusals that did not come, in whatever way was asked.
    answered: Vec<String>,
}

impl Tally {
    fn refused_in_all(&self) -> usize {
        self.refused.values().sum()
    }
}

#[test]
fn answers_equal_those_of_one_postgres() {
    let pair = Pair::lagging("equality", &format!("{RIDE_TABLES}{MORE_TABLES}"));
    let only = std::env::var("CASE").unwrap_or_default();
    let mut tally = Tally::default();
    pair.targets().for_each(|target| target.load_example(ROWS));
    for path in files() {
        let text = fs::read_to_string(&path).expect("a case can be read");
        // The first file makes what the others need.
        if path.to_string_lossy().contains("/00") || path.to_string_lossy().contains(&only) {
            pair.settle();
            run(&pair, &script::statements(&path, &text), &mut tally);
            let misplaced = placed::misplaced(&pair, PLACES);
            if !misplaced.is_empty() {
                let _ = write!(tally.differences, "after {}:\n{misplaced}", path.display());
            }
        }
    }
    println!("{} answers equal; refused: {:?}", tally.equal, tally.refused);
    if !tally.answered.is_empty() {
        println!("announced as refused, but answered: {}", tally.answered.join(", "));
    }
    assert!(tally.differences.is_empty(), "\n{}", tally.differences);
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/equality");
    let entries = fs::read_dir(folder).expect("the folder of equality cases").flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn run(pair: &Pair, statements: &[Statement], tally: &mut Tally) {
    let mut plain = pair.plain.raw();
    let mut meridian = pair.meridian.as_ref().map(Target::raw);
    for statement in statements {
        let Statement { place, text, .. } = statement;
        // What is wrong in every way of asking is told once.
        let mut told = Vec::new();
        let refused_before = tally.refused_in_all();
        for mode in &statement.modes {
            let found = match &mut meridian {
                Some(meridian) => compare(&mut plain, meridian, statement, *mode, tally),
                None => alone(&mut plain, statement, *mode),
            };
            if let Some(what) = found.filter(|what| !told.contains(what)) {
                let _ = writeln!(tally.differences, "{place} {mode:?}: {text}\n    {what}");
                told.push(what);
            }
        }
        if meridian.is_some() && statement.may_be_refused && tally.refused_in_all() == refused_before {
            tally.answered.push(place.clone());
        }
    }
}

/// Without Meridian: the file says truly what the plain server answers.
fn alone(plain: &mut RawClient, statement: &Statement, mode: Mode) -> Option<String> {
    if statement.refused_with.is_some() {
        return None;
    }
    unexpected(&ask(plain, statement, mode), statement)
}

fn unexpected(plain: &Answer, statement: &Statement) -> Option<String> {
    let as_said = plain.sqlstate() == statement.error.as_deref();
    (!as_said).then(|| format!("plain answers {:?}, the file says {:?}", plain.error, statement.error))
}

fn compare(
    plain: &mut RawClient,
    meridian: &mut RawClient,
    statement: &Statement,
    mode: Mode,
    tally: &mut Tally,
) -> Option<String> {
    let answer = ask(meridian, statement, mode);
    let refused = answer.sqlstate() == Some("0A000") && statement.may_be_refused;
    if refused || statement.refused_with.is_some() {
        *tally.refused.entry(answer.sqlstate().unwrap_or("answered").to_owned()).or_default() += 1;
        if answer.status == 'E' {
            // The same fate for the plain server's transaction.
            plain.simple("SELECT 1/0");
        }
        let wanted = statement.refused_with.as_deref().unwrap_or("0A000");
        return (answer.sqlstate() != Some(wanted))
            .then(|| format!("{:?}, but refused with {wanted} is due", answer.error));
    }
    let expected = ask(plain, statement, mode);
    let found = unexpected(&expected, statement).or_else(|| answer.difference(&expected, statement));
    tally.equal += usize::from(found.is_none());
    found
}
