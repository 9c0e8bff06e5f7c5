//! `meridian demo`: four regions on this machine, with data, behind one connection string.
//!
//! The command starts real servers (`cluster`), gives the proxy a configuration for them, loads the ride-sharing data
//! *through* the proxy (`data`, `load`), and says what to try (`questions`). With `--once` it tries them itself and checks
//! each answer against what the generator says it must be.
//!
//! ```text
//! servers ─▶ configuration ─▶ proxy ─▶ data ─▶ questions ─▶ … until Ctrl-C … ─▶ proxy and servers stop
//! ```
//!
//! Called by `cli`, which passes the function that starts the proxy: this room knows nothing of `server`.
//!
//! Invariants:
//! 1. However the command ends, no server is left running; at an orderly end they stop in order.
//! 2. Data that were not loaded completely are never taken for loaded: the record is written after the last row.
//! 3. `--once` succeeds only if every answer was the right one.
//! 4. Every wait but the one for Ctrl-C is bounded: a demonstration that is stuck says in what, and ends.

pub mod cluster;
mod configuration;
pub mod data;
mod directory;
mod load;
mod options;
pub mod output;
mod progress;
mod questions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use cluster::{APP_DATABASE, APP_PASSWORD, APP_USER, Cluster, DatasetRecord, Network};
use data::Dataset;

use output::line;

pub use configuration::configuration;
pub use load::load;
pub use options::DemoOptions;
pub use progress::Progress;
pub use questions::{Answer, Question, ask, questions};

/// The region that the proxy of the demonstration runs in.
pub const PROXY_REGION: &str = "us-east";

/// Loading takes a second for each hundred thousand rows, and a hundred times that on a machine that is slow and busy.
const LOAD_TIME_PER_ROW: Duration = Duration::from_millis(1);
const LOAD_TIME_LEAST: Duration = Duration::from_secs(120);
/// Between two looks at servers that have ended by themselves.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// For the six statements together.
const ASK_TIME: Duration = Duration::from_secs(120);

/// Runs the whole demonstration. `start_proxy` gets the text of a configuration, and returns what keeps the proxy
/// running while it lives. When `end` resolves, `interrupted()` for the command, the demonstration stops.
pub async fn run<P>(
    options: DemoOptions,
    start_proxy: impl AsyncFnOnce(String) -> anyhow::Result<P>,
    end: impl Future<Output = std::io::Result<()>>,
) -> anyhow::Result<()> {
    let demonstration = async {
        let progress = Progress::new(options.quiet);
        let cluster = start_cluster(&options, &progress).await?;
        let proxy = start_proxy(configuration(&cluster, &options)?).await.context("starting the proxy")?;
        let clients = client_config(&options);
        let dataset = Dataset::new(options.seed, options.rows).with_nodes(1 + options.replicas as u64);
        let load_time = LOAD_TIME_LEAST + LOAD_TIME_PER_ROW * u32::try_from(options.rows).unwrap_or(u32::MAX);
        tokio::time::timeout(load_time, fill(&cluster, &clients, dataset, &progress))
            .await
            .with_context(|| format!("the data were not loaded within {} s", load_time.as_secs()))??;
        if options.once {
            tokio::time::timeout(ASK_TIME, ask(&clients, &questions(&dataset), &progress))
                .await
                .with_context(|| format!("no answers within {} s", ASK_TIME.as_secs()))??;
        } else {
            invite(&options, &dataset);
            watch(&cluster).await;
        }
        anyhow::Ok((cluster, proxy))
    };
    let outcome = tokio::select! {
        outcome = demonstration => outcome,
        ended = async { end.await.inspect(|()| Progress::new(options.quiet).say("stopping the servers")) } => {
            // Proxy and cluster were dropped with the other future, in this order, which stopped the servers.
            ended.context("waiting for signals")?;
            anyhow::ensure!(!options.once, "interrupted");
            return Ok(());
        }
    };
    let (cluster, proxy) = outcome?;
    drop(proxy);
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    Ok(())
}

/// Starts every server, on a thread that may block.
async fn start_cluster(options: &DemoOptions, progress: &Progress) -> anyhow::Result<Arc<Cluster>> {
    let step = progress.step("starting PostgreSQL servers");
    let data_directory = match &options.data_dir {
        Some(directory) => directory.clone(),
        None => directory::default_data_directory()?,
    };
    let mut builder = Cluster::builder(&data_directory).replicas(options.replicas).fresh(options.fresh);
    for area in &data::AREAS {
        builder = builder.region(area.region);
    }
    if options.wan {
        builder = builder.network(Network::Wan { client_region: PROXY_REGION.to_owned() });
    }
    let begun = Instant::now();
    let cluster = tokio::task::spawn_blocking(move || builder.start()).await??;
    let nodes: usize = cluster.shards().iter().map(|shard| shard.nodes().len()).sum();
    let (shards, took) = (cluster.shards().len(), begun.elapsed().as_secs_f64());
    step.done(&format!("{nodes} PostgreSQL servers in {shards} regions ({took:.1} s)"));
    Ok(Arc::new(cluster))
}

/// How clients, and so the loader, reach the proxy.
pub fn client_config(options: &DemoOptions) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host(options.client_host().to_string()).port(options.listen.port());
    config.user(APP_USER).password(APP_PASSWORD).dbname(APP_DATABASE);
    config.application_name("meridian demo").connect_timeout(Duration::from_secs(10));
    config
}

/// Loads the data, unless they are there.
async fn fill(
    cluster: &Arc<Cluster>,
    clients: &tokio_postgres::Config,
    dataset: Dataset,
    progress: &Progress,
) -> anyhow::Result<()> {
    let wanted = DatasetRecord { seed: dataset.seed, rows: dataset.total, version: data::VERSION };
    if cluster.dataset() == Some(wanted) {
        progress.say("the data of an earlier run are there (--fresh starts over)");
        return Ok(());
    }
    cluster.record_dataset(None)?;
    load(clients, dataset, progress).await.context("loading the data")?;
    cluster.record_dataset(Some(wanted))?;
    Ok(())
}

fn invite(options: &DemoOptions, dataset: &Dataset) {
    let (host, port) = (options.client_host(), options.listen.port());
    line!("\nFour regions behind one connection string:\n");
    line!("  psql 'postgresql://{APP_USER}:{APP_PASSWORD}@{host}:{port}/{APP_DATABASE}'\n");
    line!("Worth trying (EXPLAIN before a statement shows its route):");
    for question in questions(dataset) {
        line!("\n  -- {}\n  {};", question.shows, question.sql.replace('\n', "\n  "));
    }
    line!("\nCtrl-C stops the servers and keeps the data.");
}

/// Servers that somebody has killed, to see what happens, are ours to be waited for. Never returns.
async fn watch(cluster: &Cluster) {
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        cluster.reap();
    }
}

/// Resolves at the first signal that asks us to end.
pub async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
