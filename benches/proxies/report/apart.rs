//! Sections that stand by themselves, behind the comparison of proxies: a run of their parts alone replaces them and leaves
//! the rest, and a run without them leaves them as they were.

use super::super::arguments::Part;
use super::super::machine::Machine;
use super::super::many::Many;
use super::super::planning::Planning;
use super::super::rounds::IdleFindings;
use super::super::spread::Spread;
use super::super::start::Starts;
use super::tables::{self, cell, number};
use super::{Findings, line, scatter};

const IDLE: &str = "## Idle clients\n";
const MANY: &str = "## Many clients\n";
const PLANNING: &str = "## Planning\n";
const START: &str = "## Start\n";

/// In the order of the document.
const HEADINGS: [&str; 5] = [IDLE, MANY, PLANNING, START, scatter::HEADING];

/// Whether the part is one of these sections, or two.
pub fn stands_alone(part: Part) -> bool {
    matches!(part, Part::Idle | Part::Planning | Part::Start | Part::Scatter)
}

/// The document without these sections.
pub fn others(document: &str) -> &str {
    let first = HEADINGS.iter().filter_map(|heading| document.find(heading)).min();
    &document[..first.unwrap_or(document.len())]
}

/// All of them: of this run, or of the last document.
pub fn render(findings: &Findings, earlier: &str) -> String {
    let machine = &findings.machine;
    let scatter = findings.scatter.as_ref();
    let of_this_run = [
        findings.idle.as_ref().map(|found| idle(found, machine)),
        findings.idle.as_ref().map(|found| many(found.many.as_ref(), &found.failures)),
        findings.planning.as_ref().map(|found| planning(found, machine)),
        findings.start.as_ref().map(|found| start(found, machine)),
        scatter.map(|found| scatter::render(found, machine, &findings.scatter_failures)),
    ];
    let all = HEADINGS.iter().zip(of_this_run);
    all.map(|(heading, text)| text.unwrap_or_else(|| section(earlier, heading).to_owned())).collect()
}

/// One section of a document, with its heading.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let Some(start) = document.find(heading) else { return "" };
    let text = &document[start..];
    let end = text[heading.len()..].find("\n## ").map(|at| heading.len() + at + 1);
    &text[..end.unwrap_or(text.len())]
}

fn on(machine: &Machine, part: &str) -> String {
    let Machine { processor, cores, .. } = machine;
    format!(
        "On {processor}, {cores} cores; `make bench BENCH_ARGS=\"--parts {part}\"` makes this section alone.\n"
    )
}

fn idle(found: &IdleFindings, machine: &Machine) -> String {
    let mut text = format!("{IDLE}\n");
    tables::idle(&mut text, &found.idle);
    text += &on(machine, "idle");
    failed(&mut text, &found.failures);
    text.push('\n');
    text
}

fn failed(text: &mut String, failures: &[String]) {
    if !failures.is_empty() {
        text.push_str("\nFailed:\n\n");
        failures.iter().for_each(|failure| line(text, format_args!("- {failure}")));
    }
}

fn many(found: Option<&Many>, failures: &[String]) -> String {
    let mut text = format!("{MANY}\n");
    let Some(found) = found else {
        let reason = failures.iter().find(|failure| failure.starts_with("many clients"));
        line(&mut text, format_args!("Not measured: {}.\n", reason.map_or("", |reason| reason.as_str())));
        return text;
    };
    let count = |value: f64| number(value, 0);
    line(
        &mut text,
        format_args!(
            "{} clients work without a pause, each with point selects by the simple protocol, while {} others log in and stay.\n\
             When all are there, five seconds are counted; then each of the idle ones asks once. Memory is the proxy's growth\n\
             (proportional set size) from the busy clients alone to all, for each idle one. All clients are one process on one\n\
             thread, which takes most of the machine: it computes their proofs of the password, too.\n",
            count(found.busy as f64),
            count(found.idle as f64)
        ),
    );
    text.push_str("| | |\n| --- | ---: |\n");
    let rows = [
        ("logins that were refused or failed", count(found.refused as f64)),
        ("statements that failed", count(found.failed as f64)),
        ("statements of the busy clients", count(found.statements as f64)),
        ("of them per second, while all are there", count(found.per_second)),
        ("seconds until all are logged in", number(found.login_seconds, 1)),
        ("KiB of the proxy for each idle client", number(found.each, 1)),
    ];
    rows.iter().for_each(|(name, value)| line(&mut text, format_args!("| {name} | {value} |")));
    if let Some(reason) = &found.reason {
        line(&mut text, format_args!("\nThe first failure: {reason}"));
    }
    text.push('\n');
    text
}

fn planning(found: &Planning, machine: &Machine) -> String {
    let mut text = format!("{PLANNING}\n");
    text.push_str(
        "Each statement of the plan cases (`tests/cases/plan`), every shape once, is planned many times on one thread before \
         their\ntopology and catalog, without servers; its median counts, and the table has the median and the 90th percentile \
         of the\nstatements. A new shape is lexed, parsed, planned and put into the cache; of a known one the literals are cut \
         out and\nthe plan is looked up; one that is known at sight is compared with a text from before, and only its literals \
         are lexed.\n\n",
    );
    text += &on(machine, "planning");
    text.push_str("\n| | statements | median, µs | 90th percentile, µs |\n| --- | ---: | ---: | ---: |\n");
    for (name, times) in &found.steps {
        let micros = |value: f64| number(value, if value < 10.0 { 2 } else { 1 });
        let (median, p90) = (micros(times.median), micros(times.p90));
        line(&mut text, format_args!("| {name} | {} | {median} | {p90} |", times.statements));
    }
    let held = &found.held;
    let hits = held.hits as f64 / (held.hits + held.misses).max(1) as f64 * 100.0;
    line(
        &mut text,
        format_args!(
            "\nWhat the cache holds after {} statements of one shape, no two of which have a literal in common; bytes are its own\n\
             estimate.\n\n| plans | bytes | planned | found |\n| ---: | ---: | ---: | ---: |\n| {} | {} | {} | {hits:.5} % |\n",
            number(found.literals as f64, 0),
            held.plans,
            number(held.bytes as f64, 0),
            held.misses,
        ),
    );
    text
}

fn start(found: &Starts, machine: &Machine) -> String {
    let mut text = format!("{START}\n");
    line(
        &mut text,
        format_args!(
            "From the start of `meridian serve` to the first answer to `SELECT 1` of a client that tries again each\n\
             millisecond, before four servers that are there, and all on this machine; {} starts. A login and the same statement right\n\
             after it are what the client itself takes of it.\n",
            found.first.len()
        ),
    );
    text += &on(machine, "start");
    text.push_str("\n| | median, ms | greatest, ms |\n| --- | ---: | ---: |\n");
    let rows = [("start to first answer", &found.first), ("login and statement, right after", &found.again)];
    for (name, times) in rows {
        let spread = Spread::of(times.iter().copied());
        let greatest = spread.map(|spread| Spread { median: spread.max, min: spread.max, ..spread });
        let median = spread.map(|spread| Spread { min: spread.median, max: spread.median, ..spread });
        line(&mut text, format_args!("| {name} | {} | {} |", cell(median, 1), cell(greatest, 1)));
    }
    text.push('\n');
    text
}
