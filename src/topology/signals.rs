//! Signals between those who find out about nodes and those who wait for them.
//!
//! `health` tells when a role has changed; statements without a primary wait for that. Whoever meets a dead node asks
//! for a probe at once instead of waiting for the next one.

use tokio::sync::{Notify, watch};

#[derive(Debug)]
pub struct Signals {
    roles: watch::Sender<u64>,
    probe: Notify,
}

impl Default for Signals {
    fn default() -> Self {
        Self { roles: watch::Sender::new(0), probe: Notify::new() }
    }
}

impl Signals {
    /// A role or a node's reachability has changed.
    pub fn roles_changed(&self) {
        self.roles.send_modify(|count| *count += 1);
    }

    /// Wakes with every later change.
    pub fn watch_roles(&self) -> watch::Receiver<u64> {
        self.roles.subscribe()
    }

    /// Asks for a probe of all nodes now.
    pub fn probe_now(&self) {
        self.probe.notify_one();
    }

    /// Waits until somebody asks for a probe.
    pub async fn probe_asked(&self) {
        self.probe.notified().await;
    }
}
