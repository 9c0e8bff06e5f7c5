//! A real cluster of PostgreSQL servers on this machine: one shard for each region, primaries and replicas.
//!
//! `meridian demo` runs one for its user; the tests run one for every fault they provoke. It is a library: it
//! starts stock servers as children of this process, from the programs that are installed, and stops them.
//!
//! ```text
//! Cluster ─┬─ Shard us-east ─┬─ Node us-east-1   postgres -D …   (a child process)
//!          │                 ├─ Node us-east-2
//!          │                 └─ Node us-east-3   located in us-west
//!          └─ Shard us-west ─┬─ …
//! ```
//!
//! | file | owns |
//! | --- | --- |
//! | `installation` | which PostgreSQL |
//! | `account` | as whom |
//! | `layout`, `ports`, `template`, `settings` | directories, ports, contents, configuration |
//! | `spawner`, `process`, `node` | one server's life |
//! | `shard`, `sql` | replication |
//! | `relay`, `distance` | the network between |
//!
//! Invariants:
//! 1. When a `Cluster` is dropped, and when this process ends in whatever way (Linux), no server is left.
//! 2. A directory that holds a cluster is started again as it was; another layout is refused, never overwritten.
//! 3. Calls block and are bounded. From asynchronous code, wrap them in `spawn_blocking`.

mod account;
mod builder;
mod distance;
mod error;
mod installation;
mod layout;
mod node;
mod ports;
mod process;
mod relay;
mod settings;
mod shard;
mod spawner;
mod sql;
mod template;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub use account::Account;
pub use builder::{ClusterBuilder, Network};
pub use distance::round_trip;
pub use error::ClusterError;
pub use installation::Installation;
pub use layout::DatasetRecord;
pub use node::{Node, Role, StopMode};
pub use ports::Ports;
pub use relay::Relay;
pub use settings::Durability;
pub use shard::{Replication, Shard};
pub use template::{APP_DATABASE, APP_PASSWORD, APP_USER};

use layout::{DataDirectory, Layout};

/// A running cluster. Dropping it stops every server.
#[derive(Debug)]
pub struct Cluster {
    shards: Vec<Shard>,
    layout: Mutex<Layout>,
    stop_mode: StopMode,
    // Last: the directory is ours until the servers are gone.
    directory: DataDirectory,
}

impl Cluster {
    /// Describes a cluster whose files are, or will be, in this directory.
    pub fn builder(data_directory: impl AsRef<Path>) -> ClusterBuilder {
        ClusterBuilder::new(data_directory.as_ref())
    }

    /// In the order of their regions.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shard of this region.
    pub fn shard(&self, name: &str) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.name() == name)
    }

    pub fn data_directory(&self) -> &Path {
        self.directory.path()
    }

    /// What has been loaded into this cluster, if it was loaded completely.
    pub fn dataset(&self) -> Option<DatasetRecord> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner).dataset
    }

    /// Records what is loaded; none before a load begins.
    pub fn record_dataset(&self, dataset: Option<DatasetRecord>) -> Result<(), ClusterError> {
        let mut layout = self.layout.lock().unwrap_or_else(PoisonError::into_inner);
        layout.dataset = dataset;
        self.directory.record(&layout)
    }

    /// Waits for the servers that have ended by themselves, so that the system forgets them.
    pub fn reap(&self) {
        for node in self.shards.iter().flat_map(Shard::nodes) {
            let _ = node.pid();
        }
    }

    /// Stops all servers at once and waits for them.
    pub fn stop(&self) -> Result<(), ClusterError> {
        let nodes = || self.shards.iter().flat_map(Shard::nodes);
        let asked: Vec<_> = nodes().map(|node| node.request_stop(self.stop_mode)).collect();
        let ended: Vec<_> = nodes().map(|node| node.await_stopped()).collect();
        asked.into_iter().chain(ended).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What does not stop is killed by the wait; what cannot be killed dies with this process.
        let _ = self.stop();
    }
}
