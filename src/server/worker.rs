//! The three kinds of threads: acceptor, worker, control.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use crate::admin;
use crate::backend::{Part, Pools, Sizing, Waits};
use crate::catalog::RefreshRequest;
use crate::config::PoolSettings;
use crate::figures::Throttle;
use crate::health;
use crate::session::{
    self,
    shared::{Live, Shared, Worker},
};
use crate::transaction::Recovery;

/// How long the start waits for the first catalogs.
const CATALOG_WAIT: Duration = Duration::from_secs(10);
const REAP_EVERY: Duration = Duration::from_secs(1);

fn runtime() -> Option<Runtime> {
    made(Builder::new_current_thread().enable_all().build())
}

fn made<R>(runtime: io::Result<R>) -> Option<R> {
    runtime.inspect_err(|error| tracing::error!(%error, "a thread's runtime could not be made")).ok()
}

/// Takes sockets from the system and deals them out.
pub(super) struct Accept {
    pub listener: std::net::TcpListener,
    pub hands: Vec<mpsc::Sender<std::net::TcpStream>>,
    pub shared: Arc<Shared>,
    pub stopped: watch::Receiver<bool>,
}

impl Accept {
    pub fn run(self) {
        let Some(runtime) = runtime() else { return };
        let Self { listener, hands, shared, mut stopped } = self;
        runtime.block_on(async move {
            tokio::select! {
                () = accept(listener, hands) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
                () = shared.stopping.begun() => {}
            }
        });
    }
}

async fn accept(listener: std::net::TcpListener, hands: Vec<mpsc::Sender<std::net::TcpStream>>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the listener cannot be used"),
    };
    let mut turn = 0;
    let throttle = Throttle::default();
    loop {
        match listener.accept().await.and_then(|(socket, _)| socket.into_std()) {
            Ok(socket) => {
                turn = (turn + 1) % hands.len();
                if hands[turn].send(socket).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Out of descriptors, usually: others will free some.
                if let Some(held_back) = throttle.admit(Instant::now()) {
                    tracing::warn!(%error, held_back, "a connection could not be accepted");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Runs sessions.
pub(super) struct Start {
    /// Its place among the workers.
    pub index: usize,
    pub shared: Arc<Shared>,
    pub workers: usize,
    pub sockets: mpsc::Receiver<std::net::TcpStream>,
    pub stopped: watch::Receiver<bool>,
}

impl Start {
    pub fn run(self) {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let Some(runtime) = made(runtime) else { return };
        let Self { index, shared, workers, mut sockets, mut stopped } = self;
        let live = shared.live.load_full();
        let mut reloads = shared.reloads.subscribe();
        let mut reconnects = shared.orders.reconnects.subscribe();
        let figures = shared.figures.worker(index);
        let part = Part { index, workers };
        let pools = Pools::new(live.pool.clone(), waits(&live), sizing(&live), part, Arc::clone(&figures));
        // Gathering is bounded for all alike, whatever pools users have.
        let scratches =
            Pools::new(scratch_pool(&live), waits(&live), Sizing::Same, part, Arc::clone(&figures));
        let worker = Worker::new(shared, figures, pools, scratches);
        let serve = async {
            while let Some(socket) = sockets.recv().await {
                match TcpStream::from_std(socket) {
                    Ok(socket) => {
                        tokio::task::spawn_local(Box::pin(attend(Rc::clone(&worker), socket)));
                    }
                    Err(error) => tracing::warn!(%error, "an accepted socket could not be used"),
                }
            }
            std::future::pending::<()>().await;
        };
        let reap = async {
            loop {
                tokio::time::sleep(REAP_EVERY).await;
                if reloads.has_changed().is_ok_and(|changed| changed) {
                    reloads.mark_unchanged();
                    let live = worker.shared.live.load_full();
                    worker.pools.configure(live.pool.clone(), waits(&live), sizing(&live));
                    worker.scratches.configure(scratch_pool(&live), waits(&live), Sizing::Same);
                }
                if reconnects.has_changed().is_ok_and(|changed| changed) {
                    reconnects.mark_unchanged();
                    worker.pools.renew();
                    worker.scratches.renew();
                }
                let topology = worker.shared.topology.load();
                worker.pools.reap(&topology);
                worker.scratches.reap(&topology);
                worker.shared.pools.publish_plans(index, worker.plans.borrow().report(&worker.figures));
                worker.shared.pools.publish(index, worker.pools.figures());
            }
        };
        runtime.block_on(async {
            tokio::select! {
                () = serve => {}
                () = reap => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
    }
}

/// A pool of its own: who holds connections to shards may wait for a scratch session, and never the other way round.
fn scratch_pool(live: &Live) -> PoolSettings {
    PoolSettings { size: live.scratch.concurrent_max, ..live.pool.clone() }
}

fn sizing(live: &Live) -> Sizing {
    Sizing::Accounts { node_max: live.database.pool_size }
}

fn waits(live: &Live) -> Waits {
    Waits {
        tls: live.server.tls.clone(),
        connect_timeout: live.server.connect_timeout,
        primary_wait: live.session.primary_wait,
    }
}

/// Serves one client to its end: a session, or the console on the floor above.
async fn attend(worker: Rc<Worker>, socket: TcpStream) {
    if let Some(client) = session::serve(worker, socket).await {
        Box::pin(admin::serve(client)).await;
    }
}

/// Watches the servers, and tells who asks over HTTP.
pub(super) struct Control {
    pub shared: Arc<Shared>,
    pub http: Option<std::net::TcpListener>,
    pub requests: mpsc::Receiver<RefreshRequest>,
    pub ready: oneshot::Sender<()>,
    pub stopped: watch::Receiver<bool>,
}

impl Control {
    pub fn run(self) {
        let Some(runtime) = runtime() else { return };
        let Self { shared, http, mut requests, ready, mut stopped } = self;
        let mut ready = Some(ready);
        runtime.block_on(async move {
            let watched = Arc::clone(&shared);
            let tell = async {
                match http {
                    Some(listener) => admin::http::serve(listener, shared).await,
                    None => std::future::pending().await,
                }
            };
            let watch = async {
                let mut reloads = watched.reloads.subscribe();
                loop {
                    reloads.mark_unchanged();
                    tokio::select! {
                        () = watch_servers(&watched, &mut requests, &mut ready) => {}
                        _ = reloads.changed() => {}
                    }
                }
            };
            let deadlocks = session::deadlocks::watch(&watched);
            tokio::select! {
                () = tell => {}
                () = watch => {}
                () = deadlocks => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
    }
}

/// Probes, catalogs and recovery over the topology in force, until it is replaced. Cancel safe: yes.
async fn watch_servers(
    shared: &Shared,
    requests: &mut mpsc::Receiver<RefreshRequest>,
    ready: &mut Option<oneshot::Sender<()>>,
) {
    let (topology, live) = (shared.topology.load_full(), shared.live.load_full());
    let (signals, catalog) = (Arc::clone(&shared.signals), Arc::clone(&shared.catalog));
    let registry = Arc::clone(&shared.registry);
    let server = live.server.clone();
    let (watch, mut nodes_known) =
        health::Watch::new(Arc::clone(&topology), Arc::clone(&signals), server.clone(), live.health.clone());
    let (catalogs, mut loaded) = health::CatalogService::new(
        Arc::clone(&topology),
        Arc::clone(&catalog),
        Arc::clone(&signals),
        server.clone(),
        &live.health,
    );
    let strays = health::strays::watch(Arc::clone(&topology), catalog, server.clone(), loaded.clone());
    let timelines = health::timelines::keep(Arc::clone(&topology), Arc::clone(&signals), server.clone());
    let (recovery, mut looked) = Recovery::new(topology, signals, server, registry);
    let tell_ready = async {
        nodes_known.wait().await;
        loaded.wait(CATALOG_WAIT).await;
        looked.wait().await;
        if let Some(ready) = ready.take() {
            let _ = ready.send(());
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = watch.run() => {}
        () = recovery.run() => {}
        () = catalogs.run(requests) => {}
        () = strays => {}
        () = timelines => {}
        () = tell_ready => {}
    }
}
