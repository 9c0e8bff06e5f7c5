//! Creates the schema and loads a data set, over one ordinary connection.
//!
//! The connection may lead to the proxy or to a PostgreSQL: the statements are the same. Rows are generated on a thread
//! beside, a few batches ahead of the connection, which sets the pace.
//!
//! Invariants:
//! 1. Any earlier tables of these names are gone before the first row.
//! 2. As many rows arrive as the data set has, or there is an error.

use std::time::Instant;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::{Client, Config, NoTls};

use super::data::{Batch, Dataset, Table, schema};
use super::progress::Progress;

const ROWS_PER_BATCH: u64 = 500;
const BATCHES_AHEAD: usize = 8;

/// Connects, and loads everything.
pub async fn load(config: &Config, dataset: Dataset, progress: &Progress) -> anyhow::Result<()> {
    let (client, connection) = config.connect(NoTls).await.context("connecting")?;
    let driver = tokio::spawn(connection);
    let step = progress.step("creating tables");
    for statement in std::iter::once(&schema::DROP).chain(&schema::TABLES) {
        run(&client, statement).await?;
    }
    step.done("tables created");
    for table in Table::ALL {
        copy(&client, dataset, table, progress).await?;
    }
    let step = progress.step("creating indexes");
    let begun = Instant::now();
    for statement in schema::INDEXES {
        run(&client, statement).await?;
    }
    for table in Table::ALL {
        run(&client, &format!("ANALYZE {}", table.name())).await?;
    }
    step.done(&format!("indexes created ({:.1} s)", begun.elapsed().as_secs_f64()));
    drop(client);
    driver.await?.context("closing the connection")
}

async fn run(client: &Client, statement: &str) -> anyhow::Result<()> {
    client.batch_execute(statement).await.with_context(|| statement.to_owned())
}

async fn copy(client: &Client, dataset: Dataset, table: Table, progress: &Progress) -> anyhow::Result<()> {
    let (begun, expected) = (Instant::now(), dataset.rows(table));
    let step = progress.rows(table.name(), expected);
    let statement = table.copy_statement();
    let sink = client.copy_in::<_, Bytes>(&statement).await.with_context(|| statement.clone())?;
    tokio::pin!(sink);
    let (queue, mut batches) = mpsc::channel::<Batch>(BATCHES_AHEAD);
    let generator = tokio::task::spawn_blocking(move || {
        for batch in dataset.batches(table, ROWS_PER_BATCH) {
            // Closed when the connection failed, which is reported there.
            if queue.blocking_send(batch).is_err() {
                return;
            }
        }
    });
    while let Some(Batch { rows, text }) = batches.recv().await {
        sink.send(Bytes::from(text)).await.with_context(|| statement.clone())?;
        step.advance(rows);
    }
    generator.await?;
    let loaded = sink.finish().await.with_context(|| statement.clone())?;
    ensure!(loaded == expected, "{statement}: {loaded} rows arrived of {expected}");
    let took = begun.elapsed().as_secs_f64();
    step.done(&format!("{loaded} rows in {} ({took:.1} s)", table.name()));
    Ok(())
}
