//! Which client a notification is from: servers name their process, and clients know only the numbers that they were told.
//!
//! A connection serves many clients. The one that last wrote something on it is taken for the notifier: a notification
//! leaves with its commit, and arrives before another client's next write there as a rule. Nothing is noted before
//! somebody listens.
//!
//! Invariants:
//! 1. Who listens is pinned, so that its own connection is nobody else's: its own notifications are never taken for
//!    another's, nor another's for its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;

/// Of one process of ours.
#[derive(Debug, Default)]
pub struct Notifiers {
    wanted: AtomicBool,
    last: DashMap<(SocketAddr, u32), u32>,
}

/// Beyond so many connections, most of which are long gone, the notes begin anew.
const NOTES_MAX: usize = 10_000;

impl Notifiers {
    /// Somebody listens from now on.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    pub fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// `client` writes on the connection of this server process.
    pub fn note(&self, server: SocketAddr, process: u32, client: u32) {
        if self.last.get(&(server, process)).is_some_and(|known| *known == client) {
            return;
        }
        if self.last.len() >= NOTES_MAX {
            self.last.clear();
        }
        self.last.insert((server, process), client);
    }

    /// The number of the client, if one of ours has written there.
    pub fn of(&self, server: SocketAddr, process: u32) -> Option<u32> {
        self.last.get(&(server, process)).map(|client| *client)
    }
}
