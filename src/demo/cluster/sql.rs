//! Statements to a node from code that is not asynchronous.
//!
//! Starting, promoting and repairing nodes is blocking work on threads of its own. Each call connects,
//! runs its statements and disconnects, on a short-lived thread, so that it may also be made on a thread
//! that already drives a runtime.
//!
//! Invariants:
//! 1. Every call ends within `TIMEOUT`.

use std::thread;
use std::time::Duration;

use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use super::error::ClusterError;

const TIMEOUT: Duration = Duration::from_secs(40);

type Rows = Vec<Vec<Option<String>>>;

/// Runs statements in one simple query; all rows of all of them, as text.
pub fn run(node: &str, config: &Config, statements: &str) -> Result<Rows, ClusterError> {
    let failed = |what: &str| ClusterError::Invalid(format!("node {node} {what}: {statements}"));
    let answer = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            Some(runtime.block_on(async { tokio::time::timeout(TIMEOUT, query(config, statements)).await }))
        });
        worker.join().ok().flatten()
    });
    match answer {
        None => Err(failed("could not be asked")),
        Some(Err(_)) => Err(failed("does not answer in time")),
        Some(Ok(result)) => result.map_err(|source| ClusterError::Sql {
            node: node.to_owned(),
            statement: statements.to_owned(),
            source,
        }),
    }
}

async fn query(config: &Config, statements: &str) -> Result<Rows, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let messages = client.simple_query(statements).await;
    drop(client);
    // Its outcome is the outcome of the query, which is at hand.
    let _ = driver.await;
    let text = |message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
        }
        _ => None,
    };
    Ok(messages?.into_iter().filter_map(text).collect())
}
