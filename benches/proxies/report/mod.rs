//! The document: method, machine, tables. Everything in it comes from the run, and nothing from the calendar.
//!
//! Some parts may be run by themselves: what others left in the document stays ([`apart`]).

mod apart;
mod scatter;
mod tables;

use std::fmt::Write;

use super::arguments::Arguments;
use super::calls::Calls;
use super::contestants::Contestants;
use super::machine::Machine;
use super::planning::Planning;
use super::plot::Plot;
use super::rounds::{Failures, IdleFindings, Series};
use super::scatter::Findings as Scatter;
use super::start::Starts;

#[derive(Debug, Default)]
pub struct Findings {
    pub machine: Machine,
    /// PostgreSQL's.
    pub version: String,
    pub points: Vec<Series>,
    pub large: Vec<Series>,
    pub calls: Vec<Calls>,
    pub failures: Failures,
    pub idle: Option<IdleFindings>,
    pub planning: Option<Planning>,
    pub start: Option<Starts>,
    pub scatter: Option<Scatter>,
    pub scatter_failures: Failures,
}

/// `earlier`: the document of the last run.
pub fn render(
    arguments: &Arguments,
    contestants: &Contestants,
    findings: &Findings,
    plots: &[Plot],
    earlier: &str,
) -> String {
    let others = apart::others(earlier);
    let alone = arguments.parts.iter().all(|part| apart::stands_alone(*part));
    let mut text = match alone && !others.is_empty() {
        true => others.to_owned(),
        false => render_others(arguments, contestants, findings, plots),
    };
    text += &apart::render(findings, earlier);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// All but the sections that stand by themselves.
fn render_others(
    arguments: &Arguments,
    contestants: &Contestants,
    findings: &Findings,
    plots: &[Plot],
) -> String {
    let mut text = String::from("# Benchmarks\n\n");
    text += "What Meridian costs, beside a direct connection, a plain TCP relay and PgBouncer. `make bench` writes \
             this document\nand its plots; it asserts nothing. Figures of one machine say little about another: the \
             ratios say more.\n\n";
    machine(&mut text, arguments, contestants, findings);
    method(&mut text, arguments, contestants);
    for plot in plots {
        line(&mut text, format_args!("![{}]({})\n", plot.title, plot.file));
    }
    if !findings.points.is_empty() {
        tables::points(&mut text, &findings.points);
        tables::ratios(&mut text, &findings.points);
    }
    if !findings.large.is_empty() {
        tables::large(&mut text, &findings.large);
    }
    if !findings.calls.is_empty() {
        tables::calls(&mut text, &findings.calls);
    }
    if !findings.failures.is_empty() {
        text += "## Runs that failed\n\n";
        for failure in &findings.failures {
            line(&mut text, format_args!("- {failure}"));
        }
        text.push('\n');
    }
    text
}

fn machine(text: &mut String, arguments: &Arguments, contestants: &Contestants, findings: &Findings) {
    let Machine { processor, cores, memory_gib, kernel } = &findings.machine;
    let pgbouncer = contestants.pgbouncer.as_deref().unwrap_or("not there");
    // By default one for two cores.
    let workers = arguments.workers.unwrap_or_else(|| cores.div_ceil(2));
    let threads = if workers == 1 { "one thread".to_owned() } else { format!("{workers} threads") };
    text.push_str("| | |\n| --- | --- |\n");
    line(
        text,
        format_args!("| processor | {processor}, {cores} cores, for servers, proxies and pgbench together |"),
    );
    line(text, format_args!("| memory, kernel | {memory_gib} GiB, Linux {kernel} |"));
    line(text, format_args!("| PostgreSQL | {}, four servers, without replicas |", findings.version));
    line(text, format_args!("| PgBouncer | {pgbouncer}, one thread |"));
    line(text, format_args!("| Meridian | {}, {threads} |", env!("CARGO_PKG_VERSION")));
    line(text, format_args!("| rounds | {} of {} s each |\n", arguments.rounds, arguments.seconds));
}

fn method(text: &mut String, arguments: &Arguments, contestants: &Contestants) {
    let pool = arguments.pool;
    text.push_str(
        "## Method\n\n\
         - pgbench is the client. In each round every contestant has every load once, in turn; tables have the median of the\n  \
         rounds, and in brackets the least and the greatest.\n\
         - The first second of a run does not count. Rate, percentiles and CPU are of the transactions of one window, in which\n  \
         no connection is made or closed. CPU is what the kernel charges to the processes of the proxy, and of all servers.\n\
         - The table is placed by region: 100,000 rows in each of four. A point select is `SELECT abalance FROM accounts\n  \
         WHERE region = '…' AND aid = :aid`, with keys at random.\n\
         - **Like with like:** a direct connection, the relay and PgBouncer can speak to one server only. They have the keys of\n  \
         one region and run against its server. Meridian stands before all four servers; it runs once with the keys of that\n  \
         same region, and once with the keys of all four, which the others cannot do.\n\
         - The relay copies bytes between two sockets on one thread, knows nothing of PostgreSQL, and has a server connection\n  \
         for each client. It is the least that a proxy of this kind costs.\n",
    );
    line(
        text,
        format_args!(
            "- PgBouncer and Meridian pool by transaction, with {pool} connections to each server. Clients log in by\n  \
             SCRAM-SHA-256, without encryption."
        ),
    );
    if contestants.pgbouncer.is_some() {
        text.push_str(match contestants.prepared_by_session {
            true => {
                "- This version of PgBouncer has no prepared statements under transaction pooling (1.21 was the first). In the\n  \
                 prepared mode it pools by session, with a server connection for each client: it need not match statements with\n  \
                 servers, as Meridian does.\n"
            }
            false => "- PgBouncer keeps prepared statements (`max_prepared_statements`), as Meridian does.\n",
        });
    }
    text.push_str(
        "- All data are in the servers' memory. Nothing is written.\n\
         - Everything shares the machine: with many clients the rate is what all of them together take from the processor. CPU\n  \
         for a transaction says more about a proxy than the rate does.\n\n",
    );
}

/// Writing to a String cannot fail.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{arguments}");
}
