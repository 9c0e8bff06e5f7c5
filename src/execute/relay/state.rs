//! Where a relay is in an answer, and which of its bytes wait.
//!
//! A server sends its rows in pieces of its buffer. A write to a socket costs more than the copying of such a piece, so
//! rows that more will follow wait for them, a moment at most.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::report::RelayError;
use crate::execute::lane::Lane;
use crate::execute::numbers::Carried;

/// What PostgreSQL sends at a time, if there is more.
const SERVER_BUFFER: usize = 8 * 1024;
/// Rows are worth a write of their own from here on: a write to a socket costs more than the copying of its bytes.
const WRITE_BYTES: usize = 32 * 1024;
/// How long rows wait for others.
const PATIENCE: Duration = Duration::from_millis(1);

#[derive(Default)]
pub(super) struct State {
    /// Bytes of a row or COPY message that are still to come; they pass unseen.
    pub passing: usize,
    /// The server reads COPY data from the client.
    pub copy_in: bool,
    /// COPY began from an extended query: the server has eaten the Sync that was sent with it.
    pub copy_extended: bool,
    /// What was passed on is to be thrown away (a hidden query's row).
    pub swallowing: bool,
    /// The client was told that the server is ready for what it asks next.
    pub answered: bool,
    /// In the values of the rows that come.
    pub carried: Carried,
    /// The last thing that was passed is a row, or a part of one: others follow.
    pub amid_rows: bool,
    /// Bytes at the front of the inbox that are the client's, and wait for more.
    pub waiting: usize,
    /// Since when they wait is known to `patience`.
    is_timed: bool,
    patience: Option<Pin<Box<Sleep>>>,
    /// They have waited long enough.
    late: bool,
}

impl State {
    /// A server that is lost amid a message whose beginning the client has, or behind the end of its answer: nothing can be said
    /// there, and no other server has the rest. As PostgreSQL's, the client's connection ends.
    pub fn torn(&self, error: RelayError, lane: &Lane) -> RelayError {
        let amid_message = self.passing > 0 && !self.swallowing;
        let behind_answer = self.answered && lane.owed.iter().all(|owed| owed.is_hidden());
        match error {
            RelayError::Server { error, .. } if amid_message || behind_answer => {
                tracing::info!(%error, "the connection of a client ends where nothing can be told");
                RelayError::ClientGone
            }
            other => other,
        }
    }

    /// Whether so many bytes of rows may wait for those that follow. PostgreSQL sends when its buffer is full: what fills it
    /// is followed by more.
    pub fn may_wait(&self, bytes: usize) -> bool {
        self.amid_rows && (SERVER_BUFFER..WRITE_BYTES).contains(&bytes) && !self.late
    }

    /// What waited has been delivered.
    pub fn delivered(&mut self) {
        (self.waiting, self.is_timed, self.late) = (0, false, false);
    }

    /// Ready once what waits has waited long enough.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting == 0 {
            return Poll::Pending;
        }
        let end = || Instant::now() + PATIENCE;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep_until(end())));
        if !std::mem::replace(&mut self.is_timed, true) {
            patience.as_mut().reset(end());
        }
        std::task::ready!(patience.as_mut().poll(cx));
        self.late = true;
        Poll::Ready(())
    }
}
