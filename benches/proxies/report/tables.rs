//! The tables of the document, one function each.

use super::super::arguments::{Mode, clients};
use super::super::calls::Calls;
use super::super::contestants::Who;
use super::super::load::Sample;
use super::super::memory::Idle;
use super::super::rounds::Series;
use super::super::spread::Spread;
use super::super::stand::LINES;
use super::line;

/// What stands in a cell without a figure.
pub const NOTHING: &str = "–";

pub fn points(text: &mut String, all: &[Series]) {
    for of_mode in all.chunk_by(|a, b| a.mode == b.mode) {
        let Some(first) = of_mode.first() else { continue };
        line(text, format_args!("## Point selects, {} protocol\n", first.mode));
        text.push_str(
            "| clients | through | transactions/s | p50, µs | p99, µs | CPU of the proxy, µs | of the servers, µs |\n\
             | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for series in of_mode {
            let of = |figure: fn(&Sample) -> f64, digits| cell(spread(series, figure), digits);
            let proxy = cell(proxy_cpu(series), 1);
            line(
                text,
                format_args!(
                    "| {} | {} | {} | {} | {} | {proxy} | {} |",
                    series.clients,
                    series.who.name(),
                    of(|sample| sample.per_second, 0),
                    of(|sample| sample.p50, 0),
                    of(|sample| sample.p99, 0),
                    of(|sample| sample.server_cpu, 1),
                ),
            );
        }
        text.push('\n');
    }
}

/// Meridian on one shard, divided by each of the others.
pub fn ratios(text: &mut String, all: &[Series]) {
    for other in [Who::PgBouncer, Who::Relay] {
        if !all.iter().any(|series| series.who == other) {
            continue;
        }
        line(text, format_args!("## Meridian ÷ {}\n", other.name()));
        text.push_str(
            "Both with the keys of one shard, medians. Above 1 is better for the rate, and worse for all the rest.\n\n\
             | protocol | clients | transactions/s | p50 | p99 | CPU of the proxy | of proxy and servers |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for series in all.iter().filter(|series| series.who == Who::MeridianOne) {
            let Some(base) = find(all, other, series.mode, series.clients) else { continue };
            let of = |figure: fn(&Sample) -> f64| ratio(spread(series, figure), spread(base, figure));
            let proxy = ratio(proxy_cpu(series), proxy_cpu(base));
            line(
                text,
                format_args!(
                    "| {} | {} | {} | {} | {} | {proxy} | {} |",
                    series.mode,
                    series.clients,
                    of(|sample| sample.per_second),
                    of(|sample| sample.p50),
                    of(|sample| sample.p99),
                    of(|sample| sample.proxy_cpu.unwrap_or_default() + sample.server_cpu),
                ),
            );
        }
        text.push('\n');
    }
}

pub fn large(text: &mut String, all: &[Series]) {
    let clients = clients(all.first().map_or(0, |series| series.clients));
    line(
        text,
        format_args!(
            "## Large results\n\n{} rows, about 1 MB, from one shard; {clients}, extended protocol.\n\n\
             | through | results/s | p50, ms | p99, ms | CPU of the proxy, ms | of the servers, ms |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |",
            number(f64::from(LINES), 0)
        ),
    );
    for series in all {
        let of = |figure: fn(&Sample) -> f64, digits| cell(spread(series, figure), digits);
        let proxy = Spread::of(series.samples.iter().filter_map(|sample| Some(sample.proxy_cpu? / 1e3)));
        line(
            text,
            format_args!(
                "| {} | {} | {} | {} | {} | {} |",
                series.who.name(),
                of(|sample| sample.per_second, 0),
                of(|sample| sample.p50 / 1e3, 1),
                of(|sample| sample.p99 / 1e3, 1),
                cell(proxy, 2),
                of(|sample| sample.server_cpu / 1e3, 2),
            ),
        );
    }
    text.push('\n');
}

pub fn calls(text: &mut String, all: &[Calls]) {
    text.push_str(
        "## System calls\n\nOf the proxy for one point select; prepared protocol, 16 clients, counted by strace, which \
         slows it down. What comes\ntogether in one read depends on the pace.\n\n\
         | through | calls for a transaction | the most frequent |\n| --- | ---: | --- |\n",
    );
    for calls in all {
        let each: Vec<_> = calls.each.iter().map(|(name, count)| format!("{name} {count:.2}")).collect();
        line(text, format_args!("| {} | {:.2} | {} |", calls.who.name(), calls.all, each.join(", ")));
    }
    text.push('\n');
}

pub fn idle(text: &mut String, all: &[(&str, Idle)]) {
    text.push_str(
        "Memory in MiB that 1,000 idle clients take (proportional set size). Contestants that need a \
         server connection for each\nclient are measured with fewer clients, and scaled.\n\n\
         | through | clients measured | proxy, after the login | proxy, after one statement each | servers |\n\
         | --- | ---: | ---: | ---: | ---: |\n",
    );
    for (who, idle) in all {
        let mib = |kib: f64| kib * 1000.0 / idle.clients.max(1) as f64 / 1024.0;
        let of = |kib: Option<f64>| kib.map_or(NOTHING.to_owned(), |kib| format!("{:.1}", mib(kib)));
        line(
            text,
            format_args!(
                "| {} | {} | {} | {} | {} |",
                who,
                idle.clients,
                of(idle.proxy_login),
                of(idle.proxy_statement),
                of(Some(idle.servers_statement)),
            ),
        );
    }
    text.push('\n');
}

fn find(all: &[Series], who: Who, mode: Mode, clients: usize) -> Option<&Series> {
    all.iter().find(|series| (series.who, series.mode, series.clients) == (who, mode, clients))
}

fn spread(series: &Series, figure: fn(&Sample) -> f64) -> Option<Spread> {
    Spread::of(series.samples.iter().map(figure))
}

fn proxy_cpu(series: &Series) -> Option<Spread> {
    Spread::of(series.samples.iter().filter_map(|sample| sample.proxy_cpu))
}

pub fn cell(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        None => NOTHING.to_owned(),
        Some(Spread { median, min, max }) if min == max => number(median, digits),
        Some(Spread { median, min, max }) => {
            format!("{} ({}–{})", number(median, digits), number(min, digits), number(max, digits))
        }
    }
}

pub fn ratio(spread: Option<Spread>, base: Option<Spread>) -> String {
    match (spread, base) {
        (Some(spread), Some(base)) if base.median > 0.0 => format!("{:.2}", spread.median / base.median),
        _ => NOTHING.to_owned(),
    }
}

/// With commas between thousands.
pub fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}
