//! `make bench`: what Meridian costs, beside a direct connection, a plain TCP relay and PgBouncer.
//!
//! Four PostgreSQL servers, one for each region, are started on this machine and loaded. pgbench runs the same scripts
//! through each contestant in turn, round after round, so that what else the machine does falls on all alike. Medians,
//! with the least and the greatest, go to a Markdown document and to plots. It reports; it asserts nothing.
//!
//! ```text
//! arguments ─▶ stand (servers, data) ─▶ contestants ─▶ rounds of load, with cpu ─▶ report, plots
//!                                                    └▶ idle clients, large results, system calls, scatters,
//!                                                       planning, starts
//! ```
//!
//! Invariants:
//! 1. Nothing is left when it ends, in whatever way: children die with this process, and a signal ends the rounds.
//! 2. A run that fails is a gap in its table and a line below it; the rest of the report is written.

#[path = "../../tests/it/harness/directory.rs"]
mod directory;

mod arguments;
mod calls;
mod certificate;
mod contestants;
mod cpu;
mod interruption;
mod load;
mod machine;
mod many;
mod memory;
mod planning;
mod plot;
mod process;
mod relay;
mod report;
mod rounds;
mod scatter;
mod spread;
mod stand;
mod start;

use std::fs;

use anyhow::Context;
use clap::Parser;

use arguments::{Arguments, Part};
use contestants::Contestants;
use machine::Machine;
use report::Findings;
use stand::Stand;

fn main() -> anyhow::Result<()> {
    if let Some((listen, target)) = relay::arguments() {
        return relay::run(listen, target);
    }
    let arguments = Arguments::parse().settled();
    interruption::watch();
    process::allow_many_files();

    let stand = Stand::start()?;
    let contestants = Contestants::start(&stand, &arguments)?;
    let bench = rounds::Bench { arguments: &arguments, stand: &stand, contestants: &contestants };
    let mut findings = Findings {
        machine: Machine::of_this(),
        version: machine::postgres_version(&stand),
        ..Findings::default()
    };
    if arguments.has(Part::Points) {
        findings.points = bench.points(&mut findings.failures)?;
    }
    if arguments.has(Part::Large) {
        findings.large = bench.large(&mut findings.failures)?;
    }
    if arguments.has(Part::Calls) {
        findings.calls = bench.calls(&mut findings.failures)?;
    }
    if arguments.has(Part::Idle) {
        findings.idle = Some(bench.idle()?);
    }
    if arguments.has(Part::Planning) {
        findings.planning = Some(planning::measure(arguments.literals)?);
    }
    if arguments.has(Part::Start) {
        findings.start = Some(start::measure(&bench)?);
    }
    if arguments.has(Part::Scatter) {
        findings.scatter = Some(scatter::measure(&bench, &mut findings.scatter_failures)?);
    }

    let output = arguments.output();
    fs::create_dir_all(&output).with_context(|| format!("creating {}", output.display()))?;
    let plots = plot::write_all(&output, &findings)?;
    let path = output.join("README.md");
    let earlier = fs::read_to_string(&path).unwrap_or_default();
    let text = report::render(&arguments, &contestants, &findings, &plots, &earlier);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    eprintln!("written: {}", path.display());
    Ok(())
}
