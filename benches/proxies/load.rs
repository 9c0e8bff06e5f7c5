//! One run of pgbench, and what its log says about the window that counts.
//!
//! ```text
//! logins │ first second │ window: transactions counted, CPU read at both ends │ end
//!        ▲ first transaction
//! ```
//!
//! pgbench logs every transaction with its end and its duration, and CPU is read all the time. When pgbench has ended,
//! its log says where the window is. Transactions that ended within it give the rate and the percentiles, so that rate,
//! latency and CPU are of the same transactions.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use meridian::demo::cluster::{APP_PASSWORD, APP_USER};

use super::arguments::Mode;
use super::contestants::Contestant;
use super::cpu::{Meter, Reading};
use super::interruption::sleep_until;
use super::process::ChildProcess;
use super::stand::Stand;

const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
const READING_INTERVAL: Duration = Duration::from_millis(150);
/// At the beginning: caches are filled, pools connect.
const UNCOUNTED: Duration = Duration::from_secs(1);
/// At least, on a busy machine.
const LOGINS_PER_SECOND: u64 = 40;
/// The window ends as long before pgbench does, whose clients do not end all at the same instant.
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
        let errors = stand.path("pgbench.err");
        let meter = Meter { proxy: self.contestant.proxy, postmasters: stand.postmasters() };
        let mut command = self.command(stand, &folder);
        command.stderr(File::create(&errors)?);
        let mut pgbench = ChildProcess::spawn(command)?;
        let mut readings = Vec::new();
        let deadline = Instant::now() + LOGIN_TIMEOUT + Duration::from_secs(self.seconds);
        while !pgbench.has_ended()? {
            readings.push((now(), meter.read()));
            sleep_until(Instant::now() + READING_INTERVAL)?;
            if Instant::now() > deadline {
                bail!("pgbench does not end");
            }
        }
        let said = fs::read_to_string(&errors)?;
        if !pgbench.inner().wait()?.success() || said.contains("aborted") {
            bail!("pgbench: {}", said.trim());
        }
        self.judge(&readings, &logged(&folder)?)
    }

    /// Chooses the window: from one second after the first transaction, for as long as was asked for.
    fn judge(&self, readings: &[(Duration, Reading)], all: &[Logged]) -> anyhow::Result<Sample> {
        let ends = || all.iter().map(|logged| logged.end);
        let (first, last) = ends().min().zip(ends().max()).context("no transaction has ended")?;
        let earliest = first + UNCOUNTED;
        let latest = (earliest + Duration::from_secs(self.seconds)).min(last - MARGIN);
        let mut within = readings.iter().filter(|(at, _)| earliest <= *at && *at <= latest);
        let (Some((start, before)), Some((end, after))) = (within.next(), within.next_back()) else {
            bail!("CPU was not read twice within the window");
        };
        let counted = all.iter().filter(|logged| *start <= logged.end && logged.end <= *end);
        let mut latencies: Vec<u64> = counted.map(|logged| logged.micros).collect();
        latencies.sort_unstable();
        if latencies.is_empty() {
            bail!("none of {} transactions ended within the window", all.len());
        }
        let cpu = after.since(*before);
        let transactions = latencies.len() as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / transactions;
        Ok(Sample {
            transactions_of_run: all.len(),
            per_second: transactions / end.saturating_sub(*start).as_secs_f64(),
            p50: percentile(&latencies, 0.50),
            p99: percentile(&latencies, 0.99),
            proxy_cpu: cpu.proxy.map(each),
            server_cpu: each(cpu.servers),
        })
    }

    /// Seconds of all of it; pgbench counts its logins too.
    fn duration(&self) -> u64 {
        let logins = 1 + self.clients as u64 / LOGINS_PER_SECOND;
        logins + UNCOUNTED.as_secs() + self.seconds
    }

    fn command(&self, stand: &Stand, folder: &Path) -> Command {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command::new(stand.installation.program("pgbench"));
        command.args(["-n", "-M", &self.mode.to_string(), "-c", &self.clients.to_string()]);
        command.args(["-j", &self.clients.min(cores).to_string(), "-T", &self.duration().to_string()]);
        command.args(["-l", &format!("--random-seed={}", self.seed)]);
        command.arg(format!("--log-prefix={}", folder.join("log").display()));
        for script in self.scripts {
            command.arg("-f").arg(script);
        }
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.contestant.port.to_string());
        command.env("PGUSER", APP_USER).env("PGPASSWORD", APP_PASSWORD);
        command.env("PGDATABASE", self.contestant.database(self.mode));
        command.env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable").env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
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
