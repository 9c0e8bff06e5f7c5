//! A client who asked for the console: let in, not yet greeted, and handed up to the floor above.
//!
//! `greet` makes it when the database is the console's and the user is an administrator; `server` passes it on to
//! `admin`, which does the talking. Here is only what it has in common with a session: it is counted, it is among the
//! clients, and it has a cancel key.
//!
//! Invariants:
//! 1. It is in [`Shared::clients`] and [`Shared::cancels`], and counted, exactly until it is dropped.

use std::sync::Arc;

use super::greet::Counted;
use super::shared::{ClientInfo, Registered, Shared};
use crate::execute::ClientStream;
use crate::wire::secret::Secret;

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

    /// What the client needs besides its id to have a request cancelled; the console has none that could be.
    pub fn cancel_secret(&self) -> &Secret {
        &self.registered.cancel.secret
    }
}
