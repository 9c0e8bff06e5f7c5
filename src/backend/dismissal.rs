//! The end of a connection on which a statement may still run: the server is made to stop, then it is let go.
//!
//! Closing the socket is not enough. A server that computes, sleeps or waits for a lock does not look at its client, and
//! would go on for as long as the statement takes. And one cancel is not enough either: a cancel that is there before
//! the statement has begun finds nothing to cancel. So the server is asked again, until it closes the connection.
//!
//! ```text
//!   dismiss ─▶ hang up ─▶ closed? done ─ no ─▶ cancel, wait (longer each time) ─▶ closed? …
//! ```
//!
//! Invariants:
//! 1. A dismissed connection keeps its place in the pool until the server has closed it: it does exist there.
//! 2. It is never used again, so its cancels can reach no other session.
//! 3. A commit is not cancelled: it may be waiting for its standbys, and would become visible before they have it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::connection::Connection;

const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Waits between cancels of something that does not end: longer each time.
pub fn waits() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(FIRST_WAIT), |wait| Some((*wait * 2).min(LONGEST_WAIT)))
}

/// For how long a server is asked to stop. It may be in a place where PostgreSQL cannot be interrupted.
const PATIENCE: Duration = Duration::from_secs(60);
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Ends the connection, and what runs on it, in a task of its own.
pub fn dismiss(connection: Box<Connection>) {
    tokio::task::spawn_local(end(connection));
}

async fn end(mut connection: Box<Connection>) {
    let key = Arc::clone(&connection.key);
    let begun = Instant::now();
    connection.hang_up().await;
    for wait in waits() {
        if timeout(wait, connection.closed()).await.is_ok() {
            return;
        }
        if begun.elapsed() > PATIENCE {
            tracing::warn!(address = %key.address, pid = key.pid, "a server goes on with what nobody waits for");
            return;
        }
        if connection.committing {
            continue;
        }
        tokio::select! {
            biased;
            () = connection.closed() => return,
            () = key.cancel(CANCEL_TIMEOUT) => {}
        }
    }
}
