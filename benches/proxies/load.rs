//! One run of pgbench, and what its log says about the window that counts.
//!
//! ```text
//! logins │ first second │ window: CPU read at both ends, transactions counted │ end
//!                       ▲ pgbench's first line of progress
//! ```
//!
//! pgbench logs every transaction with its end and its duration. Those that end within the window give the rate and the
//! percentiles, so that rate, latency and CPU are of the same transactions.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use meridian::demo::cluster::{APP_PASSWORD, APP_USER};

use super::arguments::Mode;
use super::contestants::Contestant;
use super::cpu::Meter;
use super::interruption::{sleep_until, wait_for};
use super::process::ChildProcess;
use super::stand::Stand;

const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
const END_TIMEOUT: Duration = Duration::from_secs(60);
/// The window ends as long before pgbench does.
const MARGIN: Duration = Duration::from_millis(100);

/// What is run, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    pub contestant: &'a Contestant,
    pub mode: Mode,
    pub clients: usize,
    pub seconds: u64,
    /// Scripts of pgbench, of which each transaction takes one at random.
    pub scripts: &'a [PathBuf],
    pub seed: usize,
}

/// What one run has shown.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Before, within and after the window.
    pub transactions_of_run: usize,
    pub per_second: f64,
    /// Microseconds.
    pub p50: f64,
    pub p99: f64,
    /// Microseconds of CPU for a transaction.
    pub proxy_cpu: Option<f64>,
    pub server_cpu: f64,
}

impl Load<'_> {
    /// From the logins to the end of pgbench.
    pub fn run(&self, stand: &Stand) -> anyhow::Result<Sample> {
        let folder = stand.path("pgbench");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder)?;
        let meter = Meter { proxy: self.contestant.proxy, postmasters: stand.postmasters() };
        let mut pgbench = ChildProcess::spawn(self.command(stand, &folder))?;
        let lines = lines(&mut pgbench)?;
        let mut said = String::new();
        wait_for("the first second of pgbench", LOGIN_TIMEOUT, || {
            if let Ok(line) = lines.try_recv() {
                said.push_str(&line);
                said.push('\n');
                return Ok(line.starts_with("progress:"));
            }
            if pgbench.has_ended()? {
                said.extend(lines.iter().map(|line| line + "\n"));
                bail!("pgbench has ended: {}", said.trim());
            }
            Ok(false)
        })?;

        let (start, cpu) = (now(), meter.read());
        let end = Instant::now() + Duration::from_secs(self.seconds) - MARGIN;
        sleep_until(end)?;
        let (cpu, end) = (meter.read().since(cpu), now());

        wait_for("the end of pgbench", END_TIMEOUT, || pgbench.has_ended())?;
        let status = pgbench.inner().wait()?;
        said.extend(lines.iter().map(|line| line + "\n"));
        if !status.success() || said.contains("aborted") {
            bail!("pgbench: {}", said.trim());
        }
        let all = logged(&folder)?;
        let within = |logged: &&Logged| start <= logged.end && logged.end <= end;
        let mut latencies: Vec<u64> = all.iter().filter(within).map(|logged| logged.micros).collect();
        latencies.sort_unstable();
        if latencies.is_empty() {
            bail!("no transaction ended within {} s", self.seconds);
        }
        let transactions = latencies.len() as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / transactions;
        Ok(Sample {
            transactions_of_run: all.len(),
            per_second: transactions / end.saturating_sub(start).as_secs_f64(),
            p50: percentile(&latencies, 0.50),
            p99: percentile(&latencies, 0.99),
            proxy_cpu: cpu.proxy.map(each),
            server_cpu: each(cpu.servers),
        })
    }

    fn command(&self, stand: &Stand, folder: &Path) -> Command {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command::new(stand.installation.program("pgbench"));
        command.args(["-n", "-M", &self.mode.to_string(), "-c", &self.clients.to_string()]);
        command.args(["-j", &self.clients.min(cores).to_string(), "-T", &(self.seconds + 1).to_string()]);
        command.args(["-P", "1", "-l", &format!("--random-seed={}", self.seed)]);
        command.arg(format!("--log-prefix={}", folder.join("log").display()));
        for script in self.scripts {
            command.arg("-f").arg(script);
        }
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.contestant.port.to_string());
        command.env("PGUSER", APP_USER).env("PGPASSWORD", APP_PASSWORD);
        command.env("PGDATABASE", self.contestant.database(self.mode));
        command.env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable").env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// Its standard error, line by line, until it ends.
fn lines(pgbench: &mut ChildProcess) -> anyhow::Result<Receiver<String>> {
    let errors = pgbench.inner().stderr.take().context("pgbench has no standard error")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    Ok(receiver)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// One transaction of the log.
struct Logged {
    micros: u64,
    end: Duration,
}

/// A line is: client, number, microseconds, script, end in seconds, end's microseconds.
fn logged(folder: &Path) -> anyhow::Result<Vec<Logged>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        found.extend(text.lines().filter_map(|line| {
            let mut fields = line.split(' ').skip(2);
            let micros = fields.next()?.parse().ok()?;
            let seconds = fields.nth(1)?.parse().ok()?;
            let fraction: u32 = fields.next()?.parse().ok()?;
            Some(Logged { micros, end: Duration::new(seconds, fraction * 1000) })
        }));
    }
    Ok(found)
}

fn percentile(sorted: &[u64], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1;
    sorted[index] as f64
}
