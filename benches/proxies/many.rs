//! Very many idle clients beside busy ones: whether all are let in, all are answered, and what each of the idle ones takes.
//!
//! ```text
//! busy clients work ──────────────────────────────────────────────────────┐ end
//!        ▲ memory     idle ones log in and stay │ all are there │ ▲ memory │ each idle one asks once
//! ```
//!
//! All are of this process, over one port of the loopback: as many as one process may have files, and one port takes
//! (28,000).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use futures_util::StreamExt;
use tokio::time::sleep;

use super::contestants::{Served, start_meridian};
use super::interruption::check;
use super::memory::{Asked, STATEMENT};
use super::process::files_max;
use super::rounds::Bench;

/// At the same time; a login is a computation on both sides.
const LOGINS: usize = 32;
/// While all are there.
const TOGETHER: Duration = Duration::from_secs(5);
/// Busy clients fill what they use.
const WARM_UP: Duration = Duration::from_secs(2);
/// Of a process, beside one for each client: server connections, its own files.
const FILES: u64 = 500;
/// Of the proxy, beyond the clients that are counted.
const CLIENTS: usize = 100;

#[derive(Debug)]
pub struct Many {
    pub idle: usize,
    pub busy: usize,
    /// Logins, of both.
    pub refused: usize,
    /// Of the busy clients, from the first login of an idle one on.
    pub statements: u64,
    /// Of both.
    pub failed: u64,
    /// Until the last idle client was logged in.
    pub login_seconds: f64,
    /// While all were there.
    pub per_second: f64,
    /// KiB.
    pub each: f64,
    /// What the first failure said.
    pub reason: Option<String>,
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    statements: AtomicU64,
    failed: AtomicU64,
}

pub fn measure(bench: &Bench<'_>) -> anyhow::Result<Many> {
    let (idle, busy) = (bench.arguments.many, bench.arguments.busy);
    let needed = (idle + busy) as u64 + FILES;
    ensure!(files_max() >= needed, "a process may have {} files here, {needed} are needed", files_max());
    eprintln!("many clients: {idle} idle, {busy} busy");
    let proxy = format!("clients_max = {}\n", idle + busy + CLIENTS);
    let served = Served { proxy: &proxy, ..Served::all(bench.stand) };
    let (process, port) = start_meridian(bench.stand, bench.arguments, &served)?;
    let asked = Asked { port, proxy: Some(process.pid()), encryption: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(together(&asked, idle, busy))
}

async fn together(asked: &Asked, idle: usize, busy: usize) -> anyhow::Result<Many> {
    let counts = Arc::new(Counts::default());
    let mut tasks = Vec::new();
    for _ in 0..busy {
        check()?;
        tasks.push(tokio::spawn(work(asked.connect().await?, Arc::clone(&counts))));
    }
    sleep(WARM_UP).await;
    let (before, begun) = (asked.proxy(), Instant::now());
    let first = counts.statements.load(Ordering::Relaxed);
    let mut logins = futures_util::stream::iter(0..idle).map(|_| asked.connect()).buffer_unordered(LOGINS);
    let (mut clients, mut refused, mut reason) = (Vec::with_capacity(idle), 0, None);
    while let Some(login) = logins.next().await {
        check()?;
        match login {
            Ok(client) => clients.push(client),
            Err(error) => {
                refused += 1;
                reason.get_or_insert(format!("{error:#}"));
            }
        }
    }
    let login_seconds = begun.elapsed().as_secs_f64();
    let (all_there, met) = (Instant::now(), counts.statements.load(Ordering::Relaxed));
    sleep(TOGETHER).await;
    let after = asked.proxy();
    let now = counts.statements.load(Ordering::Relaxed);
    let per_second = (now - met) as f64 / all_there.elapsed().as_secs_f64();
    for client in &clients {
        check()?;
        if let Err(error) = client.simple_query(STATEMENT).await {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            reason.get_or_insert(error.to_string());
        }
    }
    counts.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await?;
    }
    let Some((before, after)) = before.zip(after) else { bail!("the proxy is gone") };
    Ok(Many {
        idle,
        busy,
        refused,
        statements: counts.statements.load(Ordering::Relaxed) - first,
        failed: counts.failed.load(Ordering::Relaxed),
        login_seconds,
        per_second,
        each: (after - before) / clients.len().max(1) as f64,
        reason,
    })
}

async fn work(client: tokio_postgres::Client, counts: Arc<Counts>) {
    while !counts.stop.load(Ordering::Relaxed) {
        match client.simple_query(STATEMENT).await {
            Ok(_) => counts.statements.fetch_add(1, Ordering::Relaxed),
            Err(_) => counts.failed.fetch_add(1, Ordering::Relaxed),
        };
        if client.is_closed() {
            return;
        }
    }
}
