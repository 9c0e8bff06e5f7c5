//! The catalog in force, shared by all threads, and a way to ask for a fresh one.
//!
//! `session` reads [`CatalogHandle::current`] for every new shape and calls [`CatalogHandle::refresh`] after DDL; the
//! control plane (`health`) serves the requests and swaps the snapshot.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::Catalog;

/// Requests that may wait; one more is the same request.
const REQUESTS_MAX: usize = 64;

/// Asks for a load; told when the new snapshot is in force, or why there is none.
pub type RefreshRequest = oneshot::Sender<Result<(), String>>;

#[derive(Debug)]
pub struct CatalogHandle {
    current: ArcSwap<Catalog>,
    requests: mpsc::Sender<RefreshRequest>,
}

impl CatalogHandle {
    /// The handle, and the end where requests arrive.
    pub fn new(first: Catalog) -> (Self, mpsc::Receiver<RefreshRequest>) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        (Self { current: ArcSwap::from_pointee(first), requests }, receiver)
    }

    pub fn current(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// Whether it is the one in force; touches no count that other threads touch.
    pub fn is_current(&self, catalog: &Arc<Catalog>) -> bool {
        Arc::ptr_eq(&self.current.load(), catalog)
    }

    pub fn swap(&self, catalog: Catalog) {
        self.current.store(Arc::new(catalog));
    }

    /// Loads the catalogs anew and waits until the result is in force. Cancel safe: yes.
    pub async fn refresh(&self) -> Result<(), String> {
        let (sender, receiver) = oneshot::channel();
        self.requests.send(sender).await.map_err(|_| "the control plane has stopped".to_owned())?;
        receiver.await.map_err(|_| "the control plane has stopped".to_owned())?
    }
}
