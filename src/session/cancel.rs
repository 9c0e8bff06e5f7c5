//! Cancel keys of our own, mapped to whatever servers the session is using at that moment.
//!
//! A client is told a process id and a secret; a CancelRequest with them reaches [`cancel`], which asks every server
//! that works for the session now to stop, and ends the session's own waiting for one. Keys: 4 bytes of secret for
//! protocol 3.0, more for 3.2.
//!
//! Invariants:
//! 1. A cancel reaches only servers that the session holds while the request is being sent: the connection is marked
//!    (`cancels_in_flight`) under the same lock that adds and removes it, and is not reused before the mark is gone.
//! 2. A wrong secret does nothing, and takes as long as a right one to find out.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;

use super::shared::{ClientInfo, Shared};
use crate::backend::connection::ServerKey;
use crate::backend::dismissal::waits;
use crate::backend::strike::Strike;
use crate::wire::secret::Secret;
use crate::wire::startup::CancelKey;

const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// The servers that one session is using.
#[derive(Debug)]
pub struct CancelTarget {
    pub secret: Secret,
    keys: Mutex<Vec<Arc<ServerKey>>>,
    /// Wakes the session where it waits for a server.
    requested: Notify,
}

impl CancelTarget {
    pub fn new(secret: Secret) -> Self {
        Self { secret, keys: Mutex::default(), requested: Notify::new() }
    }

    pub fn add(&self, key: &Arc<ServerKey>) {
        if let Ok(mut keys) = self.keys.lock() {
            keys.push(Arc::clone(key));
        }
    }

    pub fn remove(&self, key: &Arc<ServerKey>) {
        if let Ok(mut keys) = self.keys.lock() {
            keys.retain(|k| !Arc::ptr_eq(k, key));
        }
    }

    /// Those of the connections that the session has now.
    pub fn keys(&self) -> Vec<Arc<ServerKey>> {
        self.keys.lock().map(|keys| keys.clone()).unwrap_or_default()
    }

    /// Returns when a cancel comes. One that came before does not count: it was for an earlier statement.
    pub async fn requested(&self) {
        self.requested.notified().await;
    }

    /// Marks every connection in use and returns their keys. `strike`: what the client is told of it.
    fn aim(&self, strike: Option<Strike>) -> Vec<Arc<ServerKey>> {
        let Ok(keys) = self.keys.lock() else { return Vec::new() };
        for key in keys.iter() {
            strike.into_iter().for_each(|strike| key.struck.set(strike));
            key.cancels_in_flight.fetch_add(1, Ordering::AcqRel);
        }
        keys.clone()
    }
}

/// Serves a CancelRequest.
pub async fn cancel(shared: &Shared, request: &CancelKey) {
    let target = shared.cancels.get(&request.pid).map(|target| Arc::clone(&target));
    let Some(target) = target else { return };
    if target.secret == request.secret {
        cancel_target(&target, None).await;
    }
}

/// Asks every server that works for the session to stop; returns when they have taken note. `strike`: why, if not because its
/// client wishes so.
pub async fn cancel_target(target: &CancelTarget, strike: Option<Strike>) {
    target.requested.notify_waiters();
    let requests = target.aim(strike).into_iter().map(|key| async move {
        key.cancel(CANCEL_TIMEOUT).await;
        key.cancels_in_flight.fetch_sub(1, Ordering::AcqRel);
    });
    futures_util::future::join_all(requests).await;
}

/// Cancels what the client's session runs, and ends it as soon as it looks.
pub fn end_client(shared: &Shared, client: &ClientInfo) {
    client.dismiss();
    let target =
        shared.cancels.get(&client.id).map(|entry| Arc::downgrade(entry.value())).unwrap_or_default();
    tokio::task::spawn_local(async move {
        // A cancel that is there before its statement has begun finds nothing to cancel: it is asked again.
        for wait in waits() {
            let Some(target) = target.upgrade() else { return };
            cancel_target(&target, Some(Strike::Shutdown)).await;
            drop(target);
            tokio::time::sleep(wait).await;
        }
    });
}

/// Asks all servers that work for anybody to stop: the proxy is about to end.
pub async fn cancel_all(shared: &Shared) {
    let targets: Vec<_> = shared.cancels.iter().map(|entry| Arc::clone(entry.value())).collect();
    let cancels = targets.iter().map(|target| cancel_target(target, Some(Strike::Shutdown)));
    futures_util::future::join_all(cancels).await;
}
