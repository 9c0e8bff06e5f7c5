//! The part `start`: from the start of the program to the first answer of a client who tries again each millisecond.
//!
//! The servers are there and reachable. The time holds the start of the process, its configuration, the first look at the
//! servers and their catalogs as far as a statement waits for it, a login, and `SELECT 1`. The same login and statement on
//! the running proxy, right after, say what of it is the client's.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::contestants::{MERIDIAN, START_TIMEOUT, Served, end_of, log_to_file, meridian};
use super::interruption::check;
use super::memory::Asked;
use super::process::ChildProcess;
use super::rounds::Bench;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// Milliseconds of each start.
#[derive(Debug, Default)]
pub struct Starts {
    pub first: Vec<f64>,
    /// A login and a statement, right after.
    pub again: Vec<f64>,
}

pub fn measure(bench: &Bench<'_>) -> anyhow::Result<Starts> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut found = Starts::default();
    eprintln!("starts: {}", bench.arguments.starts);
    for _ in 0..bench.arguments.starts {
        let (mut command, port) = meridian(bench.stand, bench.arguments, &Served::all(bench.stand))?;
        let log = log_to_file(bench.stand, &mut command, MERIDIAN)?;
        let asked = Asked { port, proxy: None, encryption: None };
        let begun = Instant::now();
        let _process = ChildProcess::spawn(command)?;
        while let Err(error) = runtime.block_on(ask(&asked)) {
            check()?;
            if begun.elapsed() > START_TIMEOUT {
                bail!("{error:#}; {}", end_of(&log));
            }
            // Who only asks would take a processor from those who start.
            std::thread::sleep(PAUSE);
        }
        found.first.push(millis(begun.elapsed()));
        let begun = Instant::now();
        runtime.block_on(ask(&asked)).context("the second client")?;
        found.again.push(millis(begun.elapsed()));
    }
    Ok(found)
}

async fn ask(asked: &Asked) -> anyhow::Result<()> {
    asked.connect().await?.simple_query("SELECT 1").await?;
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
