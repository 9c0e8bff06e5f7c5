//! Memory of a proxy while many rows pass: its resident set, read every 50 ms.
//!
//! The proxy has served nobody before but one small statement, so that what is seen is what the rows take.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::super::process::ChildProcess;
use super::client::{Client, Format, Pace};
use super::statements::{JOIN, ORDERED, Statement};

const INTERVAL: Duration = Duration::from_millis(50);
/// Before the statement and after it.
const REST: Duration = Duration::from_millis(500);
const PAUSES: u64 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// What happens while memory is watched.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    pub name: &'static str,
    statement: &'static Statement,
    pace: Pace,
    /// One after the other.
    times: u64,
}

pub fn scenes(rides: u64) -> [Scene; 4] {
    let pausing = Pace::Pausing { every_rows: (rides / (PAUSES + 1)).max(1), pause: PAUSE };
    [
        Scene { name: "all rows, ordered", statement: &ORDERED, pace: Pace::Fast, times: 1 },
        Scene { name: "all rows, ordered, ten times", statement: &ORDERED, pace: Pace::Fast, times: 10 },
        Scene {
            name: "all rows, ordered, to a reader that pauses",
            statement: &ORDERED,
            pace: pausing,
            times: 1,
        },
        Scene { name: "join over gathered rows, three times", statement: &JOIN, pace: Pace::Fast, times: 3 },
    ]
}

/// How memory went.
#[derive(Debug)]
pub struct Curve {
    pub name: &'static str,
    /// Seconds since the statement was sent, and MiB.
    pub points: Vec<(f64, f64)>,
    pub seconds: f64,
    pub rows: u64,
}

impl Curve {
    /// MiB just before the statement.
    pub fn before(&self) -> f64 {
        self.points.iter().take_while(|(at, _)| *at <= 0.0).last().map_or(0.0, |(_, mib)| *mib)
    }

    pub fn greatest(&self) -> f64 {
        self.points.iter().map(|(_, mib)| *mib).fold(0.0, f64::max)
    }

    /// MiB at the end, when nobody has asked anything for a while.
    pub fn after(&self) -> f64 {
        self.points.last().map_or(0.0, |(_, mib)| *mib)
    }
}

pub fn watch(proxy: &ChildProcess, port: u16, scene: Scene) -> anyhow::Result<Curve> {
    let pid = proxy.pid();
    let mut client = Client::connect(port)?;
    client.ask("SELECT count(*) FROM drivers", Format::Text, Pace::Fast)?;
    let ended = AtomicBool::new(false);
    let origin = Instant::now();
    let (points, answer) = thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut points = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                points.extend(resident_mib(pid).map(|mib| (origin.elapsed(), mib)));
                thread::sleep(INTERVAL);
            }
            points
        });
        thread::sleep(REST);
        let sent = origin.elapsed();
        let answer = ask(&mut client, scene);
        thread::sleep(REST);
        ended.store(true, Ordering::Relaxed);
        let points = sampler.join().unwrap_or_default();
        let since = |at: Duration| at.as_secs_f64() - sent.as_secs_f64();
        (points.into_iter().map(|(at, mib)| (since(at), mib)).collect(), answer)
    });
    let (rows, seconds) = answer?;
    Ok(Curve { name: scene.name, points, seconds, rows })
}

/// How many rows came, and how long it took.
fn ask(client: &mut Client, scene: Scene) -> anyhow::Result<(u64, f64)> {
    let (mut rows, mut seconds) = (0, 0.0);
    for _ in 0..scene.times {
        let answer = client.ask(scene.statement.text, Format::Text, scene.pace)?;
        rows += answer.rows;
        seconds += answer.took.as_secs_f64();
    }
    Ok((rows, seconds))
}

fn resident_mib(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}
