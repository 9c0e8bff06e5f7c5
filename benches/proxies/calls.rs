//! System calls of a proxy for one transaction, counted by strace where it is at hand.
//!
//! Tracing slows the proxy down several times over. The rate under it says nothing; the number of calls does, with this
//! caution: what comes together in one read depends on the pace.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::bail;

use super::contestants::Who;
use super::interruption::wait_for;
use super::load::Load;
use super::process::ChildProcess;
use super::stand::Stand;

const LISTED: usize = 5;
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Calls {
    pub who: Who,
    pub all: f64,
    /// The most frequent, with how many of each a transaction has.
    pub each: Vec<(String, f64)>,
}

pub fn strace_is_there() -> bool {
    Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Attached before the load begins and until it has ended: its logins are few beside its transactions.
pub fn measure(stand: &Stand, load: Load<'_>) -> anyhow::Result<Option<Calls>> {
    let Some(pid) = load.contestant.proxy else { return Ok(None) };
    let output = stand.path("strace.txt");
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-U", "calls,name", "-p", &pid.to_string(), "-o"]).arg(&output);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut strace = ChildProcess::spawn(command)?;
    wait_for("strace", TIMEOUT, || {
        if strace.has_ended()? {
            bail!("strace may not attach to a process");
        }
        Ok(is_traced(pid))
    })?;
    let sample = load.run(stand)?;
    strace.interrupt();
    wait_for("the end of strace", TIMEOUT, || strace.has_ended())?;
    Ok(read(&output)?.map(|(all, each)| {
        let transactions = sample.transactions_of_run as f64;
        let each = each.into_iter().take(LISTED).map(|(name, count)| (name, count / transactions));
        Calls { who: load.contestant.who, all: all / transactions, each: each.collect() }
    }))
}

/// Whether every thread of a process is traced.
fn is_traced(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.into_iter().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    })
}

type Counted = (f64, Vec<(String, f64)>);

/// Its table has a count and a name on each line, and the sum at its foot.
fn read(output: &Path) -> anyhow::Result<Option<Counted>> {
    let text = fs::read_to_string(output)?;
    let mut counts: Vec<(String, f64)> = text
        .lines()
        .filter_map(|line| {
            let (count, name) = line.trim().split_once(char::is_whitespace)?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        })
        .collect();
    let Some(sum) = counts.iter().position(|(name, _)| name == "total") else { return Ok(None) };
    let all = counts.remove(sum).1;
    counts.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Some((all, counts)))
}
