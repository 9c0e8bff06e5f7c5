//! The section on statements over four shards. It stands last in the document and by itself (`apart`).

use super::super::machine::Machine;
use super::super::scatter::{Findings, Measured, Turn, plot};
use super::super::spread::Spread;
use super::line;
use super::tables::{NOTHING, cell, number, ratio};

pub const HEADING: &str = "## Statements over four shards\n";
/// Statements that move as many rows are in the table of rows.
const MANY_ROWS_SHARE: u64 = 10;

pub fn render(findings: &Findings, machine: &Machine, failures: &[String]) -> String {
    let mut text = format!("{HEADING}\n");
    let count = |value: u64| number(value as f64, 0);
    line(
        &mut text,
        format_args!(
            "{} rides and {} drivers, placed by region over four servers; *one PostgreSQL* has all of them, with the same\n\
             indexes and settings (512 MB of shared buffers) on the same machine ({}, {} cores).\n\
             `make bench BENCH_ARGS=\"--parts scatter\"` makes this section alone.\n",
            count(findings.rides),
            count(findings.drivers),
            machine.processor,
            machine.cores
        ),
    );
    line(
        &mut text,
        format_args!(
            "- {} rounds; in each, Meridian, the one PostgreSQL and the shards are asked in turn. Medians, in brackets the least\n  \
             and the greatest; a turn repeats a short statement for 0.3 s. The first execution does not count.\n\
             - One client, extended protocol, text; it throws the rows away.\n\
             - **Slowest shard alone**: what Meridian asks each shard (below) is asked of each directly, one shard at a time.\n  \
             **Four at once**: the same of all four, each by a thread of its own, until the last has answered. They share the\n  \
             cores here, so that this is the least that any proxy before them can take.\n",
            findings.rounds
        ),
    );
    times(&mut text, &findings.statements);
    rows(&mut text, findings);
    memory(&mut text, findings);
    texts(&mut text, &findings.statements);
    if !failures.is_empty() {
        text += "### Runs over four shards that failed\n\n";
        failures.iter().for_each(|failure| line(&mut text, format_args!("- {failure}")));
        text.push('\n');
    }
    text
}

fn times(text: &mut String, all: &[Measured]) {
    text.push_str(
        "### Time of a statement, ms\n\n\
         | statement | Meridian | one PostgreSQL | slowest shard alone | four at once | Meridian ÷ one PostgreSQL | \
         Meridian ÷ four at once | CPU of Meridian |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for measured in all {
        let took = |turns: &[Turn]| Spread::of(turns.iter().map(|turn| turn.took));
        let shards: Vec<Spread> = measured.shards.iter().filter_map(|turns| took(turns)).collect();
        let slowest = shards.iter().copied().max_by(|a, b| a.median.total_cmp(&b.median));
        let together = took(&measured.together);
        let (meridian, whole) = (took(&measured.meridian), took(&measured.whole));
        line(
            text,
            format_args!(
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                measured.statement.name,
                cell(meridian, 1),
                cell(whole, 1),
                cell(slowest, 1),
                cell(together, 1),
                ratio(meridian, whole),
                ratio(meridian, together),
                cell(Spread::of(measured.meridian.iter().filter_map(|turn| turn.proxy_cpu)), 1),
            ),
        );
    }
    text.push('\n');
}

fn rows(text: &mut String, findings: &Findings) {
    text.push_str(
        "### Rows on their way\n\n\
         Of statements that bring many rows from the shards, to the client or into gathered tables: rows divided by the whole\n\
         time of the statement, as they leave the shards. Times are counted from the sending of the statement; when the last\n\
         shard had sent its rows is what the servers themselves note.\n\n\
         | statement | rows from shards | rows/s | CPU of Meridian, µs a row | first row, ms | of one PostgreSQL, ms | \
         last shard has sent, ms | last row, ms |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for measured in &findings.statements {
        let count = measured.rows_from_shards();
        if count * MANY_ROWS_SHARE < findings.rides {
            continue;
        }
        let of = |turns: &[Turn], figure: &dyn Fn(&Turn) -> Option<f64>| {
            Spread::of(turns.iter().filter_map(figure))
        };
        let meridian = |figure: &dyn Fn(&Turn) -> Option<f64>| of(&measured.meridian, figure);
        line(
            text,
            format_args!(
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                measured.statement.name,
                number(count as f64, 0),
                cell(meridian(&|turn| Some(count as f64 / turn.took * 1e3)), 0),
                cell(meridian(&|turn| Some(turn.proxy_cpu? * 1e3 / count as f64)), 2),
                cell(meridian(&|turn| turn.first_row), 1),
                cell(of(&measured.whole, &|turn| turn.first_row), 1),
                cell(meridian(&|turn| turn.last_shard), 0),
                cell(meridian(&|turn| Some(turn.took)), 0),
            ),
        );
    }
    text.push('\n');
}

fn memory(text: &mut String, findings: &Findings) {
    if findings.curves.is_empty() {
        return;
    }
    line(
        text,
        format_args!(
            "### Memory\n\nResident set of a fresh Meridian, MiB, read every 50 ms. The reader that pauses reads nothing for \
             a second, four times. What is asked many times is asked by one client, one after the other.\n\n![{}]({})\n\n\
             | what passes | rows to the client | seconds | before | greatest | afterwards |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |",
            plot::TITLE,
            plot::FILE
        ),
    );
    for curve in &findings.curves {
        line(
            text,
            format_args!(
                "| {} | {} | {:.2} | {:.1} | {:.1} | {:.1} |",
                curve.name,
                number(curve.rows as f64, 0),
                curve.seconds,
                curve.before(),
                curve.greatest(),
                curve.after(),
            ),
        );
    }
    text.push('\n');
}

fn texts(text: &mut String, all: &[Measured]) {
    text.push_str("### What is asked\n\n| statement | of Meridian | of each shard | combined |\n");
    text.push_str("| --- | --- | --- | --- |\n");
    for measured in all {
        let asked = measured.route.texts();
        let same = asked.len() == 1 && asked[0] == measured.statement.text;
        let shards: Vec<_> = asked.iter().map(|text| format!("`{}`", text.replace('|', "\\|"))).collect();
        let shards = if same { NOTHING.to_owned() } else { shards.join("<br>") };
        line(
            text,
            format_args!(
                "| {} | `{}` | {shards} | {} |",
                measured.statement.name,
                measured.statement.text,
                measured.route.combine()
            ),
        );
    }
    text.push_str("\n–: the statement itself.\n\n");
}
