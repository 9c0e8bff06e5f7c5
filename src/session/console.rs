//! A client who asked for the console: let in, not yet greeted, and handed up to the floor above.
//!
//! `greet` makes it when the database is the console's and the user is an administrator; `server` passes it on to
//! `admin`, which does the talking. Here is only what it has in common with a session: it is counted, it is among the
//! clients, and it has a cancel key.
//!
//! Invariants:
//! 1. It is in [`Shared::clients`] and [`Shared::cancels`], and counted, exactly until it is dropped.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::greet::Counted;
use super::shared::{ClientInfo, Registered, Shared};
use crate::execute::ClientStream;
use crate::wire::secret::Secret;

/// What a client of the console that is waited for has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// There is more in its inbox.
    Said,
    Left,
    /// A cancel with its key has come.
    Cancelled,
    /// By an operator, or because the process ends.
    Dismissed,
}

/// An administrator at the console's door.
pub struct ConsoleClient {
    /// Its outbox holds the end of the authentication.
    pub stream: ClientStream,
    pub info: Arc<ClientInfo>,
    pub shared: Arc<Shared>,
    registered: Registered,
    _counted: Counted,
}

impl ConsoleClient {
    pub(super) fn new(stream: ClientStream, registered: Registered, counted: Counted) -> Self {
        let (info, shared) = (Arc::clone(&registered.info), Arc::clone(&registered.shared));
        Self { stream, info, shared, registered, _counted: counted }
    }

    /// What the client needs besides its id to have a request cancelled.
    pub fn cancel_secret(&self) -> &Secret {
        &self.registered.cancel.secret
    }

    /// What it says next, or what is said about it. Cancel safe: yes.
    pub async fn hear(&mut self) -> Word {
        let Self { stream, info, shared, registered, .. } = self;
        let sent_away = poll_fn(|cx| {
            info.listen(cx);
            if info.is_dismissed() { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            read = stream.fill() => match read {
                Ok(0) | Err(_) => Word::Left,
                Ok(_) => Word::Said,
            },
            () = registered.cancel.requested() => Word::Cancelled,
            () = sent_away => Word::Dismissed,
            () = shared.stopping.begun() => Word::Dismissed,
        }
    }
}
