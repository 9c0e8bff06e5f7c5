//! The running proxy: threads, listener, workers, the control plane, and an orderly end.
//!
//! ```text
//!   listener thread ── accepted sockets, round robin ──▶ worker 1…n   (one current-thread runtime each: sessions, pools)
//!   control thread  ── health, catalogs, recovery, the HTTP address
//! ```
//!
//! One current-thread runtime per worker costs less CPU per transaction than work stealing: no task moves between
//! threads, and a session and its server connections are always on the same one. The price is that each worker has its
//! own share of the pools.
//!
//! Invariants:
//! 1. [`Server::start`] returns only when the listener accepts, every node was probed once and the catalogs were read or
//!    the time for that has passed.
//! 2. [`Running::stop`] refuses new clients, lets transactions end within a bound, and joins every thread.

mod descriptors;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::catalog::{Catalog, CatalogHandle};
use crate::config::Config;
use crate::figures::{Extent, Figures};
use crate::session::board::PoolBoard;
use crate::session::cancel::cancel_all;
use crate::session::shared::{Live, Shared};
use crate::topology::{Signals, Topology};
use crate::transaction::Registry;
use crate::wire::scram::MockKey;

/// Waiting connections that the system keeps for us.
const BACKLOG: i32 = 1024;
/// Accepted sockets that may wait for a worker.
const HAND_OFF_MAX: usize = 1024;
/// Regions and nodes that reloads may add and have counted; what comes beyond is served, and not counted by itself.
const REGIONS_ROOM: usize = 16;
const NODES_ROOM: usize = 128;
/// How long the start waits for nodes and catalogs before it goes on without them.
const READY_WAIT: Duration = Duration::from_secs(15);
/// How long clients may take to hear that the proxy ends.
const FAREWELL_WAIT: Duration = Duration::from_millis(500);
/// How long running transactions may take at an orderly end.
const DRAIN_WAIT: Duration = Duration::from_secs(10);

/// Starts proxies.
pub struct Server;

/// A proxy that runs until it is stopped or dropped.
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts all threads; returns when clients can be served. `file` is where the configuration came from, for reloads.
    pub async fn start(config: Config, file: Option<PathBuf>) -> anyhow::Result<Running> {
        descriptors::prepare(config.proxy.clients_max);
        let (live, topology) = Live::new(config);
        let topology = Arc::new(Topology { version: crate::topology::TopologyVersion(1), ..topology });
        let (catalog, requests) = CatalogHandle::new(Catalog::default());
        let listener = listen(live.proxy.listen).context("[proxy] listen")?;
        let address = listener.local_addr()?;
        let http_listener = live.http.as_ref().map(|http| listen(http.listen)).transpose();
        let http_listener = http_listener.context("[http] listen")?;
        let workers = live.proxy.workers.max(1);
        let extent = Extent {
            workers,
            regions: topology.regions.len() + REGIONS_ROOM,
            nodes: topology.nodes.len() + NODES_ROOM,
        };
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            live: ArcSwap::from_pointee(live),
            reloads: watch::Sender::new(0),
            file,
            topology: ArcSwap::new(topology),
            catalog: Arc::new(catalog),
            signals: Arc::new(Signals::default()),
            orders: Default::default(),
            registry: Arc::new(Registry::default()),
            cancels: DashMap::new(),
            clients: DashMap::new(),
            notifiers: Default::default(),
            redefinitions: Default::default(),
            figures: Figures::new(extent),
            pools: PoolBoard::new(workers),
            census: Default::default(),
            lookups: Default::default(),
            throttles: Default::default(),
            mock: MockKey::new(rand::random()),
            started: Instant::now(),
            stopping: Default::default(),
        });
        let mut threads = Vec::new();
        let (ready, is_ready) = oneshot::channel();
        let control = worker::Control {
            shared: Arc::clone(&shared),
            http: http_listener,
            requests,
            ready,
            stopped: stopped.clone(),
        };
        threads.push(spawn("meridian-control", move || control.run())?);
        let mut hands = Vec::new();
        for index in 0..workers {
            let (hand, sockets) = mpsc::channel(HAND_OFF_MAX);
            hands.push(hand);
            let start = worker::Start {
                index,
                shared: Arc::clone(&shared),
                workers,
                sockets,
                stopped: stopped.clone(),
            };
            threads.push(spawn(&format!("meridian-{index}"), move || start.run())?);
        }
        if tokio::time::timeout(READY_WAIT, is_ready).await.is_err() {
            tracing::warn!("some servers have not answered yet; serving without them");
        }
        let accept = worker::Accept { listener, hands, shared: Arc::clone(&shared), stopped };
        threads.push(spawn("meridian-accept", move || accept.run())?);
        tracing::info!(%address, workers, "meridian is serving");
        Ok(Running { address, shared, stop, threads })
    }
}

impl Running {
    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads the configuration again; the log says what came of it.
    pub fn reload(&self) {
        let _ = crate::admin::reload::reload(&self.shared);
    }

    /// Lets running transactions end, until `hurried` does; then stops all threads.
    pub async fn stop(mut self, hurried: impl Future<Output = ()>) {
        self.shared.stop();
        let drained = async {
            while self.shared.figures.clients.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(DRAIN_WAIT, drained) => {}
            () = hurried => {}
        }
        // Servers do not notice that nobody waits for them any more.
        let _ = tokio::time::timeout(FAREWELL_WAIT, cancel_all(&self.shared)).await;
        self.halt();
    }

    /// Stops all threads; clients that are not waiting for a server hear of it first.
    fn halt(&mut self) {
        self.shared.stop();
        self.shared.clients.iter().for_each(|client| client.dismiss());
        let deadline = Instant::now() + FAREWELL_WAIT;
        while self.shared.figures.clients.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.halt();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(4 << 20)
        .spawn(work)
        .with_context(|| format!("starting thread {name}"))
}

fn listen(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into()).with_context(|| address.to_string())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
