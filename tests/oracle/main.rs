//! The oracle: random statements over the same rows in one plain PostgreSQL and behind Meridian over four regions.
//!
//! It holds the first promise: an answer of Meridian is the answer of one PostgreSQL that holds all rows, or it is a
//! refusal of the list in `docs/limits.md`. Everything else is wrong, and is printed as small as it can be made. Of what
//! only reads, less than one in a hundred may be refused; of all, less than one in a hundred given up.
//!
//! ```text
//! make oracle QUERIES=100000 SEED=7      so many, from this seed
//! make oracle SEED=7 QUERY=4711          this one alone
//! make oracle VERBOSE=1                  every statement, and what became of it
//! ```
//!
//! Invariants:
//! 1. A seed and a number are one statement, asked in one way; the rows of the tables are the same for all seeds.
//! 2. Nothing that is run changes the rows: writes are rolled back.

mod choice;
mod compare;
mod grammar;
mod random;
mod refusals;
mod run;
mod tables;
mod tree;
mod way;

// Shared with the other tests that need servers (`tests/it`).
#[allow(dead_code, reason = "of the equality suite only asking is used here")]
#[path = "../it/equality/answer.rs"]
mod answer;
#[allow(unused_imports, reason = "a harness offers more than one suite uses")]
#[path = "../it/harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "of the equality suite only its statements are used here")]
#[path = "../it/equality/script.rs"]
mod script;
#[allow(dead_code, unused_imports, reason = "a stand offers more than one suite uses")]
#[path = "../it/stand/mod.rs"]
mod stand;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Instant;

use grammar::Grammar;
use random::Random;
use run::{Agreement, Sides, Verdict};
use stand::Pair;
use tables::Table;
use tree::Style;
use way::Way;

const SEED: u64 = 1;
const QUERIES: u64 = 2000;
/// So many wrong answers are made small and printed; the others are counted.
const REPORTS_MAX: usize = 25;
/// Of statements that read. Too few of them tell nothing.
const REFUSED_READS_PERCENT: usize = 1;
const READS_MIN: usize = 500;
/// Of all statements: what takes too long is not judged.
const GIVEN_UP_PERCENT: usize = 1;

#[test]
fn random_answers_equal_those_of_one_postgres() {
    let (seed, queries) = (number("SEED").unwrap_or(SEED), number("QUERIES").unwrap_or(QUERIES));
    let tables: &'static [Table] = Box::leak(tables::tables().into_boxed_slice());
    // Small tables, too, are limited by the keys of others.
    let sections = [("scratch", "reduce_from_rows = 0")];
    let pair = Pair::with("oracle", &tables::configuration(tables), &sections);
    load(&pair, tables);
    let mut sides = Sides::new(&pair);
    let mut tally = Tally::default();
    let begun = Instant::now();
    let numbers = number("QUERY").map_or(0..queries, |only| only..only + 1);
    for query in numbers {
        ask(&mut sides, tables, (seed, query), &mut tally);
    }
    tell(&format!("seed {seed}: {} in {:.0?}", tally.summary(), begun.elapsed()));
    assert!(tally.wrong == 0, "{}\n{}", tally.summary(), tally.reports);
    let given_up = tally.equal.get(&Agreement::GivenUp).copied().unwrap_or(0);
    let many = queries as usize >= READS_MIN && given_up * 100 >= queries as usize * GIVEN_UP_PERCENT;
    assert!(!many, "{given_up} of {queries} were given up\n{}", tally.summary());
    let Reads { asked, refused } = tally.reads;
    let few = refused * 100 < asked * REFUSED_READS_PERCENT;
    assert!(few || asked < READS_MIN, "{refused} of {asked} reads were refused\n{}", tally.summary());
}

/// In the log of every run, also of one that passes: past the harness, which keeps to itself what is printed.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

fn load(pair: &Pair, tables: &[Table]) {
    for target in pair.targets() {
        target.run(tables::PREPARATION);
        for table in tables {
            table.create().iter().for_each(|statement| target.run(&[statement]));
        }
    }
    for target in pair.targets() {
        for table in tables {
            let rows = table.inserts();
            target.run(&rows.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    pair.settle();
}

/// What became of the statements.
#[derive(Debug, Default)]
struct Tally {
    equal: BTreeMap<Agreement, usize>,
    wrong: usize,
    refused: BTreeMap<String, usize>,
    reads: Reads,
    reports: String,
    reported: usize,
}

/// Of the statements, those that change nothing.
#[derive(Debug, Default)]
struct Reads {
    asked: usize,
    refused: usize,
}

impl Tally {
    fn summary(&self) -> String {
        let (equal, refused) = (self.equal.values().sum::<usize>(), self.refused.values().sum::<usize>());
        let all = equal + self.wrong + refused;
        let share = 100.0 * refused as f64 / all.max(1) as f64;
        format!(
            "{equal} equal, {refused} refused ({share:.1} %; of reads {:.1} %), {} wrong\n  equal: {}\n  refused: {}",
            100.0 * self.reads.refused as f64 / self.reads.asked.max(1) as f64,
            self.wrong,
            by_count(self.equal.iter().map(|(agreement, count)| (format!("{agreement:?}"), *count))),
            by_count(self.refused.iter().map(|(number, count)| (number.clone(), *count))),
        )
    }
}

fn by_count(counts: impl Iterator<Item = (String, usize)>) -> String {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
}

fn ask(sides: &mut Sides<'_>, tables: &'static [Table], (seed, query): (u64, u64), tally: &mut Tally) {
    let mut random = Random::new(seed, query);
    let way = *random.pick(Way::ALL);
    let parameters = way.has_parameters() && random.chance(60);
    let work = Grammar::new(random, tables, parameters).work();
    let verdict = sides.judge(&work, way);
    if number("VERBOSE").is_some() {
        println!("{query} {way:?} {}: {}", verdict.word(), work.print(way.style()));
    }
    if !work.in_transaction {
        tally.reads.asked += 1;
        tally.reads.refused += usize::from(matches!(verdict, Verdict::Refused(_)));
    }
    match verdict {
        Verdict::Equal(agreement) => *tally.equal.entry(agreement).or_default() += 1,
        Verdict::Refused(number) => *tally.refused.entry(number).or_default() += 1,
        Verdict::Wrong(_) if tally.reported >= REPORTS_MAX => tally.wrong += 1,
        Verdict::Wrong(difference) => {
            tally.wrong += 1;
            tally.reported += 1;
            let smallest = sides.shrunk(&work, way, &difference.kind);
            let detail = match sides.judge(&smallest, way) {
                Verdict::Wrong(difference) => difference.detail,
                verdict => format!("{verdict:?} when asked again; at first: {}", difference.detail),
            };
            let report = format!(
                "\nSEED={seed} QUERY={query} {way:?}: {}\n    {}\n    in full: {}\n    {}\n    explained: {}\n",
                difference.kind,
                smallest.print(way.style()),
                work.print(Style::Literals),
                detail.trim_end(),
                sides.explained(&smallest)
            );
            println!("{report}");
            tally.reports.push_str(&report);
        }
    }
}
