//! What tests of this binary stand on: real servers, temporary directories, and waiting without sleeping.
//!
//! A test reads as a sentence:
//!
//! ```text
//! let cluster = cluster().region("us-east").region("eu-central").replicas(2).start();
//! cluster.shard("us-east").primary().kill()?;
//! eventually("a replica answers", async || cluster.direct("eu-central").await.query_one(..).await.ok()).await;
//! ```
//!
//! A test that breaks servers starts its own cluster. One that only needs them shares `shared()`, in a database of its
//! own: `database().await`.
//!
//! Invariants:
//! 1. No server and no directory outlives its test: `Drop` removes them, also when the test panics. The shared cluster
//!    goes at exit. After a SIGKILL the servers die with us (Linux), and the next run sweeps the directories.
//! 2. Every wait is bounded, and says what it waited for.
//! 3. Calls of the cluster block their thread; a Meridian under test runs on threads of its own.

#![allow(dead_code, reason = "a harness offers more than the tests of one day use")]

mod directory;
mod proxy;

use std::net::TcpListener;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use meridian::demo::cluster::{
    APP_DATABASE, Cluster, ClusterBuilder, Durability, Network, Node, Ports, Replication, Shard,
};
use meridian::demo::data::AREAS;
use tokio_postgres::{Client, Config, NoTls};

pub use directory::TemporaryDirectory;
pub use proxy::{Meridian, MeridianDescription, RIDE_TABLES, meridian, spawn_for_life};

/// The regions of the standing example.
pub const REGIONS: [&str; 4] = ["us-east", "us-west", "eu-central", "ap-south"];

/// The bound of `eventually`: long enough for a busy machine, for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Begins the description of a cluster of one's own.
pub fn cluster() -> Description {
    let directory = TemporaryDirectory::new();
    // Shared by all clusters of this build: made once, copied often.
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("template");
    let builder = Cluster::builder(directory.path()).durability(Durability::Fast).template_cache(&template);
    Description { builder, directory }
}

/// A cluster that is being described.
pub struct Description {
    builder: ClusterBuilder,
    directory: TemporaryDirectory,
}

impl Description {
    pub fn region(self, name: &str) -> Self {
        self.with(|builder| builder.region(name))
    }

    /// All four regions of the standing example.
    pub fn regions(self) -> Self {
        REGIONS.iter().fold(self, |description, region| description.region(region))
    }

    /// Of every primary; the first is synchronous.
    pub fn replicas(self, count: usize) -> Self {
        self.with(|builder| builder.replicas(count))
    }

    /// No commit waits for a replica.
    pub fn asynchronous(self) -> Self {
        self.with(|builder| builder.replication(Replication::Asynchronous))
    }

    /// A relay before each node: `node.relay()` cuts and holds its connections.
    pub fn relayed(self) -> Self {
        self.with(|builder| builder.network(Network::Relayed))
    }

    pub fn setting(self, name: &str, value: &str) -> Self {
        self.with(|builder| builder.setting(name, value))
    }

    /// Starts every server; all accept connections, all replicas stream.
    pub fn start(self) -> TestCluster {
        match self.builder.start() {
            Ok(cluster) => TestCluster { cluster, directory: self.directory },
            Err(error) => panic!("the cluster does not start: {error}"),
        }
    }

    fn with(self, change: impl FnOnce(ClusterBuilder) -> ClusterBuilder) -> Self {
        Self { builder: change(self.builder), directory: self.directory }
    }
}

/// A running cluster; dropped, it stops and its files are removed.
pub struct TestCluster {
    // Stopped before its files are removed.
    cluster: Cluster,
    directory: TemporaryDirectory,
}

impl Deref for TestCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl TestCluster {
    pub fn shard(&self, name: &str) -> &Shard {
        match self.cluster.shard(name) {
            Some(shard) => shard,
            None => panic!("the cluster has no shard {name}"),
        }
    }

    /// A connection to the primary of a shard, past Meridian, as the application's role.
    pub async fn direct(&self, shard: &str) -> Client {
        connect(&self.shard(shard).primary().app(APP_DATABASE)).await
    }

    /// The `[[regions]]` and `[[shards]]` of a configuration for this cluster; areas are the standing example's.
    pub fn topology(&self) -> String {
        let mut text = String::new();
        for area in AREAS.iter().filter(|area| self.cluster.shard(area.region).is_some()) {
            let ((south, north), (west, east)) = (area.latitude, area.longitude);
            text += &format!(
                "[[regions]]\nname = \"{}\"\n\
                 area = [{{ latitude = [{south:.1}, {north:.1}], longitude = [{west:.1}, {east:.1}] }}]\n\n",
                area.region
            );
        }
        for shard in self.shards() {
            let node = |node: &Arc<Node>| {
                format!("{{ address = \"{}\", region = \"{}\" }}", node.address(), node.location())
            };
            let nodes: Vec<_> = shard.nodes().iter().map(node).collect();
            let (name, nodes) = (shard.name(), nodes.join(", "));
            text += &format!("[[shards]]\nname = \"{name}\"\nregion = \"{name}\"\nnodes = [{nodes}]\n\n");
        }
        text
    }

    /// Runs statements as the superuser, in a database of every shard.
    pub async fn on_every_shard(&self, database: &str, statements: &str) {
        for shard in self.shards() {
            let client = connect(&shard.primary().superuser(database)).await;
            if let Err(error) = client.batch_execute(statements).await {
                panic!("{statements}: {error} on {}", shard.name());
            }
        }
    }
}

/// The four regions, one primary each, that tests share. They leave its servers alone.
pub fn shared() -> Arc<TestCluster> {
    static SHARED: Mutex<Option<Arc<TestCluster>>> = Mutex::new(None);

    extern "C" fn stop() {
        let cluster = SHARED.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic must not cross into the C library; and there is nobody left to tell.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(cluster)));
    }

    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = shared.get_or_insert_with(|| {
        // SAFETY: the function takes nothing and does not unwind.
        unsafe { libc::atexit(stop) };
        Arc::new(cluster().regions().start())
    });
    Arc::clone(cluster)
}

/// A database of the test's own, on every shard of the shared cluster.
pub struct Database {
    pub cluster: Arc<TestCluster>,
    pub name: String,
}

/// Creates an empty database on every shard of the shared cluster.
pub async fn database() -> Database {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let cluster = shared();
    let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
    cluster.on_every_shard("postgres", &format!("CREATE DATABASE {name} OWNER meridian")).await;
    Database { cluster, name }
}

impl Database {
    /// A connection to this database on a shard's primary, past Meridian.
    pub async fn direct(&self, shard: &str) -> Client {
        connect(&self.cluster.shard(shard).primary().app(&self.name)).await
    }

    /// Runs statements on every shard, past Meridian, as the application's role.
    pub async fn on_every_shard(&self, statements: &str) {
        for shard in self.cluster.shards() {
            if let Err(error) = self.direct(shard.name()).await.batch_execute(statements).await {
                panic!("{statements}: {error} on {}", shard.name());
            }
        }
    }
}

/// Connects, and drives the connection on the runtime of the test.
pub async fn connect(config: &Config) -> Client {
    match try_connect(config).await {
        Ok(client) => client,
        Err(error) => panic!("no connection to {:?}: {error}", config.get_ports()),
    }
}

/// As `connect`, for a connection that may be refused.
pub async fn try_connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// One column of what the console shows.
pub async fn column(client: &Client, statement: &str, name: &str) -> Vec<String> {
    let messages =
        client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    let cell = |message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(name).map(str::to_owned),
        _ => None,
    };
    messages.into_iter().filter_map(cell).collect()
}

/// Tries again until there is an answer, for at most `PATIENCE`.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, async || attempt().await.ok_or("no answer")).await
}

/// The same with a bound of its own; the last failure is told.
pub async fn eventually_within<T, E: std::fmt::Debug>(
    patience: Duration,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let mut last = None;
    let deadline = Instant::now() + patience;
    loop {
        // An attempt that hangs must not outlast the bound.
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, attempt()).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(failure)) => last = Some(failure),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            panic!("waited {patience:?} in vain: {what}; at last: {last:?}");
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

/// A port that is free now, out of the range of outgoing connections.
pub fn free_port() -> u16 {
    match Ports::default().next_free() {
        Ok(port) => port,
        Err(error) => panic!("{error}"),
    }
}

/// Whether somebody listens on the port.
pub fn is_listened_on(node: &Node) -> bool {
    TcpListener::bind(node.direct_address()).is_err()
}
