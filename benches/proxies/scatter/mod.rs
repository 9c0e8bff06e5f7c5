//! The part `scatter`: statements over four shards, beside one PostgreSQL that has all rows and beside the slowest shard.
//!
//! In each round every statement is asked once of Meridian, once of the one PostgreSQL, and the text that Meridian asks of
//! the shards once of each shard, one shard at a time and all at once; who begins changes from round to round. One client,
//! which throws the rows away. Then memory: fresh proxies are watched while millions of rows pass.
//!
//! Invariants:
//! 1. What a shard is asked directly is what EXPLAIN says that Meridian asks it.
//! 2. A statement that fails, or whose answers differ in their number of rows, is a line below the tables.

mod client;
mod memory;
pub mod plot;
mod servers;
pub mod statements;

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER, Shard};

use super::contestants::{Served, start_meridian};
use super::cpu::Meter;
use super::interruption::check;
use super::process::ChildProcess;
use super::rounds::{Bench, Failures};
use client::{Client, Format, Pace};
pub use memory::Curve;
use servers::{RIDES_PER_DRIVER, Servers};
use statements::{Route, STATEMENTS, Statement};

/// A turn asks again until so much time has passed: one short statement says little.
const TURN: Duration = Duration::from_millis(300);
/// What a million rows of any of the statements stay below.
const BOUNDS: &str = "[limits]\nmerge_rows_max = 10000000\nmerge_bytes_max = \"4GiB\"\n\n\
                      [scratch]\nrows_max = 100000000\nbytes_max = \"16GiB\"\n\n";

#[derive(Debug, Default)]
pub struct Findings {
    pub rides: u64,
    pub drivers: u64,
    pub rounds: usize,
    pub statements: Vec<Measured>,
    pub curves: Vec<Curve>,
}

/// Everything about one statement.
#[derive(Debug)]
pub struct Measured {
    pub statement: &'static Statement,
    pub route: Route,
    pub meridian: Vec<Turn>,
    pub whole: Vec<Turn>,
    /// For each shard, asked directly.
    pub shards: Vec<Vec<Turn>>,
    /// All shards, asked directly and at once: until the last has answered.
    pub together: Vec<Turn>,
}

/// One turn's figures for one execution; times in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turn {
    pub took: f64,
    pub rows: u64,
    pub first_row: Option<f64>,
    /// When the last server of a shard had sent all of its rows.
    pub last_shard: Option<f64>,
    pub proxy_cpu: Option<f64>,
}

impl Measured {
    /// Rows that one execution brings from the shards to Meridian.
    pub fn rows_from_shards(&self) -> u64 {
        self.shards.iter().filter_map(|turns| Some(turns.first()?.rows)).sum()
    }
}

/// Who is asked, with connections that stay.
struct Asked {
    meridian: Client,
    whole: Client,
    shards: Vec<Client>,
    meter: Meter,
}

pub fn measure(bench: &Bench<'_>, failures: &mut Failures) -> anyhow::Result<Findings> {
    let rides = bench.arguments.rows;
    let servers = Servers::start(bench.stand, rides)?;
    let rounds = bench.arguments.rounds;
    let drivers = rides / RIDES_PER_DRIVER;
    let mut findings = Findings { rides, drivers, rounds, ..Findings::default() };
    let (process, port) = start(bench, &servers)?;
    let mut asked = Asked {
        meridian: Client::connect(port)?,
        whole: Client::connect(servers::port(servers.whole()))?,
        shards: servers
            .shards
            .shards()
            .iter()
            .map(servers::port)
            .map(Client::connect)
            .collect::<Result<_, _>>()?,
        meter: Meter { proxy: Some(process.pid()), postmasters: servers.postmasters() },
    };
    for statement in &STATEMENTS {
        check()?;
        let mut measured = match begin(statement, port, &mut asked) {
            Ok(measured) => measured,
            Err(error) => {
                bench.failed(failures, statement.name.to_owned(), error)?;
                continue;
            }
        };
        for round in 0..rounds {
            let what = format!("round {}: {}", round + 1, statement.name);
            match measured.round(round, &mut asked, &servers) {
                Ok(()) => say(&what, &measured),
                Err(error) => bench.failed(failures, what, error)?,
            }
        }
        if let (Some(meridian), Some(whole)) = (measured.meridian.last(), measured.whole.last())
            && meridian.rows != whole.rows
        {
            failures.push(format!("{}: {} rows, not {}", statement.name, meridian.rows, whole.rows));
        }
        findings.statements.push(measured);
    }
    drop((asked, process));
    for scene in memory::scenes(rides) {
        check()?;
        let (process, port) = start(bench, &servers)?;
        eprintln!("memory: {}", scene.name);
        match memory::watch(&process, port, scene) {
            Ok(curve) => findings.curves.push(curve),
            Err(error) => bench.failed(failures, format!("memory: {}", scene.name), error)?,
        }
    }
    Ok(findings)
}

fn start(bench: &Bench<'_>, servers: &Servers) -> anyhow::Result<(ChildProcess, u16)> {
    let shards = servers.shards.shards();
    let served = Served { shards, tables: &servers::TABLES, proxy: "", more: BOUNDS };
    start_meridian(bench.stand, bench.arguments, &served)
}

/// Learns the route. Caches are filled, and connections made.
fn begin(statement: &'static Statement, port: u16, asked: &mut Asked) -> anyhow::Result<Measured> {
    let route = explain(port, statement)?;
    asked.meridian.ask(statement.text, Format::Text, Pace::Fast)?;
    asked.whole.ask(statement.text, Format::Text, Pace::Fast)?;
    let shards = vec![Vec::new(); asked.shards.len()];
    let (meridian, whole, together) = (Vec::new(), Vec::new(), Vec::new());
    Ok(Measured { statement, route, meridian, whole, shards, together })
}

fn explain(port: u16, statement: &Statement) -> anyhow::Result<Route> {
    let mut account = tokio_postgres::Config::new();
    account.host("127.0.0.1").port(port).dbname(APP_DATABASE).user(APP_USER).password(APP_PASSWORD);
    let lines = servers::first_column(&account, &format!("EXPLAIN {}", statement.text))?;
    Route::read(statement, &lines)
}

impl Measured {
    fn round(&mut self, round: usize, asked: &mut Asked, servers: &Servers) -> anyhow::Result<()> {
        let whole = [self.statement.text.to_owned()];
        for turn in 0..3 {
            match (turn + round) % 3 {
                0 => self.meridian.push(ask_meridian(asked, self.statement, servers)?),
                1 => self.whole.push(repeat(&mut asked.whole, &whole, Format::Text)?.turn),
                _ => {
                    let format = match self.route {
                        Route::Merged { .. } => Format::Text,
                        Route::Gathered { .. } => Format::Binary,
                    };
                    for (client, turns) in asked.shards.iter_mut().zip(&mut self.shards) {
                        turns.push(repeat(client, self.route.texts(), format)?.turn);
                    }
                    self.together.push(all_at_once(&mut asked.shards, self.route.texts(), format)?);
                }
            }
        }
        Ok(())
    }
}

fn ask_meridian(asked: &mut Asked, statement: &Statement, servers: &Servers) -> anyhow::Result<Turn> {
    let before = asked.meter.read();
    let Repeated { mut turn, count, last_begun } =
        repeat(&mut asked.meridian, &[statement.text.to_owned()], Format::Text)?;
    let cpu = asked.meter.read().since(before);
    turn.proxy_cpu = cpu.proxy.map(|time| millis(time) / f64::from(count));
    turn.last_shard = last_end(servers, last_begun)?;
    Ok(turn)
}

struct Repeated {
    turn: Turn,
    count: u32,
    /// By the clock of the machine.
    last_begun: Duration,
}

/// Asks for a while; the mean. The first row is the first text's.
fn repeat(client: &mut Client, texts: &[String], format: Format) -> anyhow::Result<Repeated> {
    let (mut turn, mut count, mut first_rows, mut last_begun) = (Turn::default(), 0, 0.0, Duration::ZERO);
    let begun = Instant::now();
    while count == 0 || begun.elapsed() < TURN {
        check()?;
        last_begun = now();
        turn.rows = 0;
        for (index, text) in texts.iter().enumerate() {
            let answer = client.ask(text, format, Pace::Fast)?;
            turn.rows += answer.rows;
            turn.took += millis(answer.took);
            if index == 0 {
                first_rows += millis(answer.first_row.unwrap_or(answer.took));
            }
        }
        count += 1;
    }
    turn.took /= f64::from(count);
    turn.first_row = Some(first_rows / f64::from(count));
    Ok(Repeated { turn, count, last_begun })
}

/// Asks all of them for a while, each from a thread of its own; the mean time until the last has answered.
fn all_at_once(clients: &mut [Client], texts: &[String], format: Format) -> anyhow::Result<Turn> {
    let (mut turn, mut count) = (Turn::default(), 0);
    let begun = Instant::now();
    while count == 0 || begun.elapsed() < TURN {
        check()?;
        let sent = Instant::now();
        let rows: anyhow::Result<Vec<u64>> = thread::scope(|scope| {
            let ask = |client: &mut Client| -> anyhow::Result<u64> {
                texts.iter().map(|text| Ok(client.ask(text, format, Pace::Fast)?.rows)).sum()
            };
            let asked: Vec<_> = clients.iter_mut().map(|client| scope.spawn(move || ask(client))).collect();
            let joined =
                asked.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread died"))?);
            joined.collect()
        });
        turn.took += millis(sent.elapsed());
        turn.rows = rows?.iter().sum();
        count += 1;
    }
    turn.took /= f64::from(count);
    Ok(turn)
}

/// When the last of the shards' servers came to rest after a statement over rides, since `begun`: servers note it
/// themselves, by the clock of this machine.
fn last_end(servers: &Servers, begun: Duration) -> anyhow::Result<Option<f64>> {
    const STATEMENT: &str = "SELECT extract(epoch FROM max(state_change)) FROM pg_stat_activity \
                             WHERE state LIKE 'idle%' AND query LIKE '%rides%' AND pid <> pg_backend_pid()";
    let mut last: Option<f64> = None;
    for shard in servers.shards.shards() {
        let ended = last_of(shard, STATEMENT)?;
        let since = (ended - begun.as_secs_f64()) * 1e3;
        // Below zero: nothing of this statement can be seen any more.
        last = if since > 0.0 { Some(last.unwrap_or(since).max(since)) } else { last };
    }
    Ok(last)
}

fn last_of(shard: &Shard, statement: &str) -> anyhow::Result<f64> {
    let values = servers::first_column(&servers::account(shard), statement)?;
    values.first().context("no statement over rides has ended")?.parse().context("a time")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn say(what: &str, measured: &Measured) {
    let took = |turns: &[Turn]| turns.last().map_or(0.0, |turn| turn.took);
    let slowest = measured.shards.iter().map(|turns| took(turns)).fold(0.0, f64::max);
    eprintln!(
        "{what}: Meridian {:.1} ms, one PostgreSQL {:.1} ms, slowest shard {slowest:.1} ms",
        took(&measured.meridian),
        took(&measured.whole),
    );
}
