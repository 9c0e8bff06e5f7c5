//! What servers say, and do, while a session waits for its client.
//!
//! Called by the loop of the session (`mod`), which polls its lanes beside the client: the pinned one, and those of an
//! open transaction. All others are back in their pools by then.
//!
//! ```text
//!   notice, parameter, notification    the client hears it at once
//!   FATAL that is for this session     (a timeout of the transaction): told as it is, and the client's connection ends
//!   FATAL of class 57, or no word      the server goes: a pinned session ends; any other goes on, its transaction does not
//! ```
//!
//! Invariants:
//! 1. A transaction whose server is gone has failed at that moment, and is known not to have been committed: its next
//!    statement is told of the loss, COMMIT too.
//! 2. Whoever only rolls back, and whoever has been told of a failure already, is told nothing more.
//!
//! Not here: servers that are lost while they owe an answer (`lanes`).

use std::task::{Context, Poll};

use super::{End, Failure, Outcome, Session, Word};
use crate::backend::BackendError;
use crate::execute::{ClientStream, Lane};
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{self, Limits};

impl Session {
    /// The next word of a server that the session holds. Cancel safe: yes.
    pub(super) fn poll_servers(&mut self, cx: &mut Context<'_>) -> Poll<Word> {
        let pinned = self.pin.is_some();
        for (index, lane) in self.lanes.iter_mut().enumerate().filter(|(_, lane)| pinned || lane.in_block) {
            match lane.connection.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Word::ServerGone(index)),
                Poll::Ready(Ok(_)) => return Poll::Ready(Word::Server(index)),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    pub(super) async fn on_server_word(&mut self, index: usize) -> Result<(), End> {
        let notify = self.pin.is_some();
        if let Some(last_words) = pass_asides(&mut self.client, &mut self.lanes[index], notify) {
            return self.on_server_gone(index, Some(last_words));
        }
        self.client.flush().await.map_err(|_| End::Client)
    }

    pub(super) fn on_server_gone(&mut self, index: usize, last_words: Option<SqlError>) -> Result<(), End> {
        if self.pin.is_some() {
            return Err(End::Fatal(last_words.unwrap_or_else(pinned_server_gone)));
        }
        let last_words = match last_words {
            Some(words) if is_for_the_session(&words) => return Err(End::Fatal(words)),
            other => other,
        };
        let mut lane = self.lanes.swap_remove(index);
        lane.connection.broken = true;
        let node = lane.connection.address.to_string();
        self.give(lane);
        self.worker.shared.signals.probe_now();
        if let Some(transaction) = self.block.transaction() {
            if !transaction.failed {
                transaction.unsaid = Some(Box::new(lost(node, last_words)));
            }
            transaction.failed = true;
            transaction.lanes_lost = true;
        }
        Ok(())
    }

    /// What a statement of a failed transaction is answered: why it failed, if the client has not heard it yet.
    pub(super) fn in_failed_block(&mut self) -> SqlError {
        self.unsaid().unwrap_or_else(super::simple::in_failed_block)
    }

    /// A transaction that has failed unnoticed cannot seem to be committed.
    pub(super) fn say_unsaid(&mut self) -> Outcome {
        self.unsaid().map_or(Ok(()), |error| Err(Failure::Sql(error)))
    }

    fn unsaid(&mut self) -> Option<SqlError> {
        self.block.transaction().and_then(|transaction| transaction.unsaid.take()).map(|error| *error)
    }
}

/// Whether a FATAL of a server is about what its session did, and so about the client's; else the server is going away
/// (class 57: shut down, crashed, told to by an operator), which a client survives.
pub(super) fn is_for_the_session(fatal: &SqlError) -> bool {
    fatal.ends_session() && fatal.sqlstate.class() != "57"
}

/// Moves notices and reports that came unasked to the client's outbox, and notifications if it listens. Returns the
/// words with which the server ended its session.
fn pass_asides(client: &mut ClientStream, lane: &mut Lane, notify: bool) -> Option<SqlError> {
    let limits = Limits::default();
    while let Ok(Some(mut frame)) = frame::next_backend(&mut lane.connection.inbox, &limits) {
        match frame.tag {
            b'N' | b'S' => client.outbox.extend_from_slice(&frame.bytes),
            b'A' if notify => {
                lane.name_sender(&mut frame.bytes);
                client.outbox.extend_from_slice(&frame.bytes);
            }
            b'E' => return SqlError::parse(frame::body(&frame.bytes)).ok(),
            _ => {}
        }
    }
    None
}

pub(super) fn pinned_server_gone() -> SqlError {
    SqlError::fatal(
        SqlState::ADMIN_SHUTDOWN,
        "the server connection that this session is pinned to has ended",
    )
}

fn lost(node: String, last_words: Option<SqlError>) -> SqlError {
    let error = BackendError::Lost { node, last_words: last_words.map(Box::new) };
    error.into_sql().detail("The transaction was rolled back.")
}
