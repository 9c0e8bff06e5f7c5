//! The order of runs: round after round, each contestant once under every load, beginning with another one each time.

use std::path::PathBuf;

use super::arguments::{self, Arguments, Mode};
use super::calls::{self, Calls};
use super::certificate::Certificate;
use super::contestants::{Contestant, Contestants, Served, Who, start_meridian};
use super::interruption::check;
use super::load::{Load, Sample};
use super::many;
use super::memory::{self, Asked, Idle};
use super::stand::{ACCOUNTS, REGIONS, Stand};

/// Of contestants that need a server connection for each client.
const IDLE_WITHOUT_POOL: usize = 100;
const LARGE_CLIENTS: usize = 4;
const CALLS_CLIENTS: usize = 16;

pub struct Bench<'a> {
    pub arguments: &'a Arguments,
    pub stand: &'a Stand,
    pub contestants: &'a Contestants,
}

/// All samples of one contestant under one load.
#[derive(Debug)]
pub struct Series {
    pub who: Who,
    pub mode: Mode,
    pub clients: usize,
    pub samples: Vec<Sample>,
}

/// What the part `idle` has shown.
#[derive(Debug, Default)]
pub struct IdleFindings {
    pub idle: Vec<(&'static str, Idle)>,
    pub many: Option<many::Many>,
    pub failures: Failures,
}

/// What went wrong, a line each.
pub type Failures = Vec<String>;

impl Bench<'_> {
    /// Point selects in every mode with every number of clients.
    pub fn points(&self, failures: &mut Failures) -> anyhow::Result<Vec<Series>> {
        let scripts =
            REGIONS.iter().map(|region| self.point_script(region)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut series = Vec::new();
        for mode in &self.arguments.modes {
            for clients in &self.arguments.clients {
                series.extend(self.series(*mode, *clients, |_| true));
            }
        }
        self.rounds(&mut series, &scripts, failures)?;
        Ok(series)
    }

    /// Ten thousand rows, about a megabyte, from one shard.
    pub fn large(&self, failures: &mut Failures) -> anyhow::Result<Vec<Series>> {
        let text = format!("SELECT line, body FROM lines WHERE region = '{}';\n", REGIONS[0]);
        let scripts = [self.stand.write("large.sql", &text)?];
        let mut series = self.series(Mode::Extended, LARGE_CLIENTS, |who| who != Who::MeridianFour);
        self.rounds(&mut series, &scripts, failures)?;
        Ok(series)
    }

    /// System calls of point selects, if there is something to count them with.
    pub fn calls(&self, failures: &mut Failures) -> anyhow::Result<Vec<Calls>> {
        if !calls::strace_is_there() {
            return Ok(Vec::new());
        }
        let scripts = [self.point_script(REGIONS[0])?];
        let mut found = Vec::new();
        for contestant in self.contestants.all.iter().filter(|contestant| contestant.who != Who::MeridianFour)
        {
            let load = self.load(contestant, Mode::Prepared, CALLS_CLIENTS, &scripts, 0);
            eprintln!("system calls: {}", contestant.who.name());
            match calls::measure(self.stand, load) {
                Ok(calls) => found.extend(calls),
                Err(error) => {
                    self.failed(failures, format!("system calls, {}", contestant.who.name()), error)?
                }
            }
        }
        Ok(found)
    }

    /// Memory that idle clients take, of proxies that have served nobody before: what load has left is not given back at
    /// once.
    pub fn idle(&self) -> anyhow::Result<IdleFindings> {
        let mut found = IdleFindings::default();
        let fresh = Contestants::start(self.stand, self.arguments)?;
        for contestant in fresh.all.iter().filter(|contestant| contestant.who != Who::MeridianFour) {
            let pools = matches!(contestant.who, Who::PgBouncer | Who::MeridianOne);
            let count = if pools { self.arguments.idle } else { self.arguments.idle.min(IDLE_WITHOUT_POOL) };
            let who = if contestant.who == Who::MeridianOne { "Meridian" } else { contestant.who.name() };
            let asked = Asked { port: contestant.port, proxy: contestant.proxy, encryption: None };
            self.idle_of(who, &asked, count, &mut found)?;
        }
        let certificate = Certificate::new(self.stand)?;
        let served = Served { more: &certificate.section(), ..Served::all(self.stand) };
        let (process, port) = start_meridian(self.stand, self.arguments, &served)?;
        let asked = Asked { port, proxy: Some(process.pid()), encryption: Some(certificate.clients()) };
        self.idle_of("Meridian, encrypted", &asked, self.arguments.idle, &mut found)?;
        drop(process);
        match many::measure(self) {
            Ok(many) => found.many = Some(many),
            Err(error) => self.failed(&mut found.failures, "many clients".to_owned(), error)?,
        }
        Ok(found)
    }

    fn idle_of(
        &self,
        who: &'static str,
        asked: &Asked,
        count: usize,
        found: &mut IdleFindings,
    ) -> anyhow::Result<()> {
        eprintln!("idle clients: {count}, {who}");
        match memory::measure(self.stand, asked, count) {
            Ok(idle) => found.idle.push((who, idle)),
            Err(error) => self.failed(&mut found.failures, format!("idle clients, {who}"), error)?,
        }
        Ok(())
    }

    fn point_script(&self, region: &str) -> anyhow::Result<PathBuf> {
        let text = format!(
            "\\set aid random(1, {ACCOUNTS})\n\
             SELECT abalance FROM accounts WHERE region = '{region}' AND aid = :aid;\n"
        );
        self.stand.write(&format!("point-{region}.sql"), &text)
    }

    fn series(&self, mode: Mode, clients: usize, takes_part: impl Fn(Who) -> bool) -> Vec<Series> {
        let all = self.contestants.all.iter().map(|contestant| contestant.who);
        all.filter(|who| takes_part(*who))
            .map(|who| Series { who, mode, clients, samples: Vec::new() })
            .collect()
    }

    /// Every series once in each round. Series of one load stand together; a round begins each with the next contestant.
    fn rounds(
        &self,
        series: &mut [Series],
        scripts: &[PathBuf],
        failures: &mut Failures,
    ) -> anyhow::Result<()> {
        for round in 0..self.arguments.rounds {
            for group in series.chunk_by_mut(|a, b| (a.mode, a.clients) == (b.mode, b.clients)) {
                let count = group.len();
                for turn in 0..count {
                    let series = &mut group[(turn + round) % count];
                    let Some(contestant) = self.contestants.get(series.who) else { continue };
                    let regions = contestant.regions().len().min(scripts.len());
                    let (mode, clients) = (series.mode, series.clients);
                    let load = self.load(contestant, mode, clients, &scripts[..regions], round);
                    let who = series.who.name();
                    let what = format!("round {}: {mode}, {}, {who}", round + 1, arguments::clients(clients));
                    series.samples.extend(self.attempt(&what, &load, failures)?);
                }
            }
        }
        Ok(())
    }

    fn load<'a>(
        &self,
        contestant: &'a Contestant,
        mode: Mode,
        clients: usize,
        scripts: &'a [PathBuf],
        round: usize,
    ) -> Load<'a> {
        Load { contestant, mode, clients, seconds: self.arguments.seconds, scripts, seed: round + 1 }
    }

    fn attempt(
        &self,
        what: &str,
        load: &Load<'_>,
        failures: &mut Failures,
    ) -> anyhow::Result<Option<Sample>> {
        match load.run(self.stand) {
            Ok(sample) => {
                let Sample { per_second, p50, p99, server_cpu, .. } = sample;
                let proxy = sample.proxy_cpu.map_or(String::new(), |cpu| format!("{cpu:.1} + "));
                eprintln!(
                    "{what}: {per_second:.0}/s, p50 {p50:.0} µs, p99 {p99:.0} µs, CPU {proxy}{server_cpu:.1} µs"
                );
                Ok(Some(sample))
            }
            Err(error) => self.failed(failures, what.to_owned(), error).map(|()| None),
        }
    }

    /// Notes a failure; an interruption ends everything.
    pub fn failed(&self, failures: &mut Failures, what: String, error: anyhow::Error) -> anyhow::Result<()> {
        check()?;
        let reason = format!("{error:#}");
        let last = reason.lines().find(|line| line.contains("error")).unwrap_or(&reason).to_owned();
        eprintln!("{what}: {reason}");
        failures.push(format!("{what}: {last}"));
        Ok(())
    }
}
