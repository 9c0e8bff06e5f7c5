//! The control plane over a test's own cluster, without a server before it: watch, catalog, recovery.

use std::sync::Arc;
use std::time::Duration;

use meridian::catalog::{Catalog, CatalogHandle};
use meridian::config::Config;
use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER};
use meridian::health::{CatalogService, Watch, timelines};
use meridian::topology::{NodeRole, NodeState, Signals, Topology};
use meridian::transaction::{Recovery, Registry};
use tokio::task::JoinSet;

use crate::harness::TestCluster;

/// The configuration of a cluster, quick to notice things.
pub fn configuration(cluster: &TestCluster) -> String {
    let mut text = format!(
        "[proxy]\nlisten = \"127.0.0.1:1\"\n[database]\nname = \"{APP_DATABASE}\"\n\
         [server]\nuser = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\n\
         [health]\ninterval = \"100ms\"\ntimeout = \"1s\"\nfailures = 3\ncatalog_interval = \"200ms\"\n"
    );
    for shard in cluster.shards() {
        let nodes: Vec<_> = shard.nodes().iter().map(|node| format!("\"{}\"", node.address())).collect();
        let (name, nodes) = (shard.name(), nodes.join(", "));
        text += &format!("[[regions]]\nname = \"{name}\"\n");
        text += &format!("[[shards]]\nname = \"{name}\"\nregion = \"{name}\"\nnodes = [{nodes}]\n");
    }
    text
}

/// Reads a configuration that `configuration` made.
pub fn parse(text: &str) -> Config {
    match Config::parse(text, "test", std::path::Path::new(".")) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

/// A control plane that runs on the runtime of the test, until it is dropped.
pub struct Control {
    pub topology: Arc<Topology>,
    pub config: Arc<Config>,
    pub signals: Arc<Signals>,
    pub registry: Arc<Registry>,
    pub catalog: Arc<CatalogHandle>,
    _tasks: JoinSet<()>,
}

impl Control {
    /// Starts it, and waits until every node was asked, every shard was prepared and the catalogs are there.
    pub async fn start(cluster: &TestCluster) -> Self {
        Self::start_with(&configuration(cluster)).await
    }

    /// As `start`, with a configuration of one's own.
    pub async fn start_with(text: &str) -> Self {
        let mut config = parse(text);
        let empty = parse(text).topology;
        let topology = Arc::new(std::mem::replace(&mut config.topology, empty));
        let signals = Arc::new(Signals::default());
        let registry = Arc::new(Registry::default());
        let (catalog, mut requests) = CatalogHandle::new(Catalog::default());
        let catalog = Arc::new(catalog);
        let mut tasks = JoinSet::new();
        let (server, health) = (config.server.clone(), config.health.clone());
        let (watch, mut ready) =
            Watch::new(topology.clone(), signals.clone(), server.clone(), health.clone());
        tasks.spawn(watch.run());
        ready.wait().await;
        let (recovery, mut looked) =
            Recovery::new(topology.clone(), signals.clone(), server.clone(), registry.clone());
        tasks.spawn(recovery.run());
        looked.wait().await;
        tasks.spawn(timelines::keep(topology.clone(), signals.clone(), server.clone()));
        let (service, mut loaded) =
            CatalogService::new(topology.clone(), catalog.clone(), signals.clone(), server, &health);
        tasks.spawn(async move { service.run(&mut requests).await });
        loaded.wait(Duration::from_secs(20)).await;
        Self { topology, config: Arc::new(config), signals, registry, catalog, _tasks: tasks }
    }

    pub fn state(&self, node: usize) -> &NodeState {
        &self.topology.nodes[node].state
    }

    pub fn roles(&self) -> Vec<NodeRole> {
        self.topology.nodes.iter().map(|node| node.state.role()).collect()
    }
}
