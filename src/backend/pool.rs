//! Server connections kept by one worker, per node and account; first come, first served.
//!
//! `session` asks for a node that [`super::choice`] named, and gives the connection back when its transaction is over.
//! A worker is one thread: no locks; a connection never leaves its worker.
//!
//! ```text
//!   take: idle (newest first) ─▶ else room? connect ─▶ else wait in line
//!   give: somebody waits? to them : clean? idle : closed, and its place to whoever waits
//! ```
//!
//! Invariants:
//! 1. `total` counts the connections that exist or are being made; a [`Slot`] gives its place back when dropped, so
//!    that no path, error or panic can lose one.
//! 2. A connection reaches another session only through [`Pools::give`], which checks that it is clean.
//! 3. An idle connection that the server has closed is noticed before it is lent.
//! 4. Nobody reads for long from a node that is known to be down: a replica's connections are given up by the next
//!    reaping, a primary's when it has been down for as long as a statement waits for a primary.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connection::{Connection, Greeted, Lifeline, ServerKey};
use super::error::BackendError;
use crate::config::PoolSettings;
use crate::figures::WorkerFigures;
use crate::topology::{NodeId, NodeState, Topology};
use crate::wire::credential::LoginSecret;
use crate::wire::login::{self, LoginError};
use crate::wire::tls::Connector;

/// Who Meridian is on the servers, for one client account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    /// What the servers ask for; None: nothing, or so it is hoped.
    pub secret: Option<LoginSecret>,
    /// Its transactions are read-only unless they say otherwise.
    pub read_only: bool,
    /// Connections to one node, over all workers; None: as many as `pool.size` says.
    pub pool_size: Option<usize>,
}

/// Figures of one pool, for the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFigures {
    pub node: NodeId,
    pub idle: usize,
    pub total: usize,
    pub waiting: usize,
    /// Over all workers; None: as `pool.size` says.
    pub size: Option<usize>,
    pub servers: Vec<ServerFigures>,
}

/// One server connection, for the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFigures {
    pub pid: u32,
    pub lent: bool,
    pub age: Duration,
}

/// All pools of one worker.
#[derive(Debug)]
pub struct Pools {
    pools: RefCell<PoolMap>,
    bounds: RefCell<Bounds>,
    /// Workers that share the configured size.
    workers: usize,
    /// Connections that are older are closed when they are free.
    renewed: Cell<Option<Instant>>,
    worker: Arc<WorkerFigures>,
}

/// What is configured, as a reload may change it.
#[derive(Debug, Clone)]
struct Bounds {
    settings: Rc<PoolSettings>,
    waits: Waits,
    /// This worker's share of `pool.size`.
    share: usize,
}

impl Bounds {
    fn new(settings: PoolSettings, waits: Waits, workers: usize) -> Self {
        let share = settings.size.div_ceil(workers.max(1)).max(1);
        Self { settings: Rc::new(settings), waits, share }
    }
}

/// How servers are reached, and how long they are waited for.
#[derive(Debug, Clone)]
pub struct Waits {
    pub tls: Connector,
    /// For a connection and its login.
    pub connect_timeout: Duration,
    /// For the answer of a primary that is down.
    pub primary_wait: Duration,
}

/// What the connections of a read-only account say when they begin.
const READ_ONLY: &[(&str, &str)] = &[("default_transaction_read_only", "on")];

/// By node and account name.
type PoolMap = HashMap<(NodeId, Rc<str>), Rc<NodePool>>;

#[derive(Debug, Default)]
struct NodePool {
    idle: RefCell<Vec<Connection>>,
    total: Cell<usize>,
    /// Where its account has a size of its own.
    size: Cell<Option<usize>>,
    waiters: RefCell<VecDeque<oneshot::Sender<Grant>>>,
    /// Of all connections, lent ones too.
    lifelines: RefCell<Vec<Weak<Lifeline>>>,
}

#[derive(Debug)]
enum Grant {
    Connection(Box<Connection>),
    /// A place in the pool: the waiter makes its own connection.
    Place(Slot),
}

/// A place in a pool. Dropping it frees the place.
#[derive(Debug)]
pub struct Slot {
    pool: Weak<NodePool>,
    state: Arc<NodeState>,
    lent: bool,
}

impl Slot {
    fn lend(&mut self) {
        if !self.lent {
            self.lent = true;
            self.state.add_in_use();
        }
    }

    fn rest(&mut self) {
        if self.lent {
            self.lent = false;
            self.state.sub_in_use();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.rest();
        let Some(pool) = self.pool.upgrade() else { return };
        // The place goes to whoever waits, or back.
        let heir = Slot { pool: Weak::clone(&self.pool), state: Arc::clone(&self.state), lent: false };
        if let Some(unused) = pool.grant(Grant::Place(heir)) {
            forget_place(unused);
            pool.total.set(pool.total.get() - 1);
        }
    }
}

/// Drops a grant that nobody took without freeing its place a second time.
fn forget_place(grant: Grant) {
    if let Grant::Place(mut slot) = grant {
        slot.pool = Weak::new();
    }
}

impl NodePool {
    /// Hands `grant` to the first waiter who is still there; returns it if there is none.
    fn grant(&self, mut grant: Grant) -> Option<Grant> {
        loop {
            let Some(waiter) = self.waiters.borrow_mut().pop_front() else { return Some(grant) };
            match waiter.send(grant) {
                Ok(()) => return None,
                Err(back) => grant = back,
            }
        }
    }
}

impl Pools {
    /// `workers` share the configured size; each has at least one connection.
    pub fn new(settings: PoolSettings, waits: Waits, workers: usize, worker: Arc<WorkerFigures>) -> Self {
        Self {
            pools: RefCell::default(),
            bounds: RefCell::new(Bounds::new(settings, waits, workers)),
            workers,
            renewed: Cell::new(None),
            worker,
        }
    }

    /// Takes other settings from now on. Connections that exist stay, until they are given back or reaped.
    pub fn configure(&self, settings: PoolSettings, waits: Waits) {
        *self.bounds.borrow_mut() = Bounds::new(settings, waits, self.workers);
    }

    /// Every connection that exists is to be replaced by a new one when it is free.
    pub fn renew(&self) {
        self.renewed.set(Some(Instant::now()));
    }

    fn pool(&self, node: NodeId, user: &Rc<str>) -> Rc<NodePool> {
        let mut pools = self.pools.borrow_mut();
        if let Some(pool) = pools.get(&(node, Rc::clone(user))) {
            return Rc::clone(pool);
        }
        let pool = Rc::<NodePool>::default();
        pools.insert((node, Rc::clone(user)), Rc::clone(&pool));
        pool
    }

    /// A connection that lies idle: then nobody waits for one.
    pub fn take_idle(&self, node: NodeId, user: &Rc<str>) -> Option<Connection> {
        let pool = self.pool(node, user);
        loop {
            let mut connection = pool.idle.borrow_mut().pop()?;
            if connection.poll_idle() && !self.too_old(&connection) {
                lend(&mut connection);
                return Some(connection);
            }
        }
    }

    /// A connection to `node` as `account`. `user` is the account's name, shared so that the usual case allocates nothing.
    pub async fn take(
        &self,
        topology: &Topology,
        node: NodeId,
        user: &Rc<str>,
        account: &Account,
    ) -> Result<Connection, BackendError> {
        if let Some(connection) = self.take_idle(node, user) {
            return Ok(connection);
        }
        let pool = self.pool(node, user);
        if let Some(slot) = self.free_place(&pool, topology, node, account) {
            return self.connect(topology, node, account, slot).await;
        }
        let (sender, receiver) = oneshot::channel();
        pool.waiters.borrow_mut().push_back(sender);
        let wait_timeout = self.bounds.borrow().settings.wait_timeout;
        let begun = Instant::now();
        let granted = timeout(wait_timeout, receiver).await;
        if let Some(figures) = self.worker.node(node) {
            figures.waits.record(begun.elapsed(), 1);
        }
        match granted {
            Ok(Ok(Grant::Connection(mut connection))) => {
                lend(&mut connection);
                Ok(*connection)
            }
            Ok(Ok(Grant::Place(slot))) => self.connect(topology, node, account, slot).await,
            Ok(Err(_)) | Err(_) => Err(BackendError::PoolTimeout {
                node: address(topology, node),
                seconds: wait_timeout.as_secs(),
            }),
        }
    }

    /// Makes a connection for whoever takes one next, if none is idle and there is room; never waits in line. A failure
    /// is left for the taker to meet.
    ///
    /// For statements that need several nodes: they are connected to at once, then taken in one order for all sessions,
    /// so that two of them cannot each hold what the other one waits for.
    pub async fn warm(&self, topology: &Topology, node: NodeId, user: &Rc<str>, account: &Account) {
        let pool = self.pool(node, user);
        if !pool.idle.borrow().is_empty() {
            return;
        }
        let Some(slot) = self.free_place(&pool, topology, node, account) else { return };
        if let Ok(connection) = self.connect(topology, node, account, slot).await {
            self.give(connection);
        }
    }

    fn free_place(
        &self,
        pool: &Rc<NodePool>,
        topology: &Topology,
        node: NodeId,
        account: &Account,
    ) -> Option<Slot> {
        pool.size.set(account.pool_size);
        let own = account.pool_size.map(|size| size.div_ceil(self.workers.max(1)).max(1));
        if pool.total.get() >= own.unwrap_or(self.bounds.borrow().share) {
            return None;
        }
        pool.total.set(pool.total.get() + 1);
        let state = Arc::clone(&topology.node(node).state);
        Some(Slot { pool: Rc::downgrade(pool), state, lent: false })
    }

    /// Takes a connection back. One that is not clean is closed.
    pub fn give(&self, mut connection: Connection) {
        if !connection.is_clean() || self.too_old(&connection) {
            return;
        }
        connection.shrink();
        connection.idle_since = Instant::now();
        if let Some(lifeline) = &connection.lifeline {
            lifeline.lent.set(false);
        }
        let Some(slot) = connection.slot.as_mut() else { return };
        slot.rest();
        let Some(pool) = slot.pool.upgrade() else { return };
        if let Some(Grant::Connection(connection)) = pool.grant(Grant::Connection(Box::new(connection))) {
            pool.idle.borrow_mut().push(*connection);
        }
    }

    fn too_old(&self, connection: &Connection) -> bool {
        if self.renewed.get().is_some_and(|renewed| connection.born < renewed) {
            return true;
        }
        let lifetime = self.bounds.borrow().settings.lifetime;
        lifetime.is_some_and(|lifetime| connection.born.elapsed() > lifetime)
    }

    async fn connect(
        &self,
        topology: &Topology,
        node: NodeId,
        account: &Account,
        mut slot: Slot,
    ) -> Result<Connection, BackendError> {
        let place = topology.node(node);
        let bounds = self.bounds.borrow().clone();
        let address = address(topology, node);
        let target = login::Login {
            address: &address,
            host: &place.host,
            tls: &bounds.waits.tls,
            user: &account.user,
            database: &topology.shard(place.shard).database,
            secret: account.secret.as_ref(),
            parameters: if account.read_only { READ_ONLY } else { &[] },
            timeout: bounds.waits.connect_timeout,
        };
        let greeting = login::connect(&target).await;
        if let Some(figures) = self.worker.node(node) {
            if greeting.is_ok() { figures.connects.one() } else { figures.failed_connects.one() }
        }
        let greeting = greeting.map_err(|error| match error {
            LoginError::Server(sql) => BackendError::Login(Box::new(sql)),
            // Waiting would not help.
            refused @ (LoginError::OtherVerifier { .. } | LoginError::OtherMethod { .. }) => {
                BackendError::Login(Box::new(refused.to_sql()))
            }
            other => BackendError::Connect { node: address.clone(), reason: other.to_string() },
        })?;
        let peer = greeting.connection.stream.peer_address();
        let peer =
            peer.map_err(|error| BackendError::Connect { node: address.clone(), reason: error.to_string() })?;
        let key = ServerKey {
            address: peer,
            host: place.host.clone(),
            tls: bounds.waits.tls.clone(),
            pid: greeting.pid,
            secret: greeting.secret,
            cancels_in_flight: AtomicU32::new(0),
        };
        let pid = key.pid;
        let greeted = Greeted {
            stream: greeting.connection.stream,
            leftover: greeting.connection.input,
            parameters: greeting.parameters,
            key,
            figures: Arc::clone(&self.worker),
        };
        let mut connection =
            Connection::new(greeted, node, address.into(), bounds.settings.prepared_statements_max);
        slot.lend();
        let lifeline = Lifeline::new(pid, &slot.state, bounds.waits.primary_wait);
        if let Some(pool) = slot.pool.upgrade() {
            pool.lifelines.borrow_mut().push(Rc::downgrade(&lifeline));
        }
        connection.lifeline = Some(lifeline);
        connection.slot = Some(slot);
        Ok(connection)
    }

    /// Closes what has been idle for too long, or has been closed by its server, and gives up what hangs on a node that
    /// is down. Called every second or so.
    pub fn reap(&self, topology: &Topology) {
        let now = Instant::now();
        let idle_timeout = self.bounds.borrow().settings.idle_timeout;
        let pools: Vec<_> =
            self.pools.borrow().iter().map(|((node, _), pool)| (*node, Rc::clone(pool))).collect();
        for (node, pool) in pools {
            let retired = topology.nodes.get(usize::from(node.0)).is_none_or(|node| node.retired);
            pool.lifelines.borrow_mut().retain(|line| {
                line.upgrade().is_some_and(|line| {
                    line.check(now);
                    true
                })
            });
            let mut idle = std::mem::take(&mut *pool.idle.borrow_mut());
            idle.retain_mut(|connection| {
                let idle_too_long = idle_timeout.is_some_and(|bound| connection.idle_since.elapsed() > bound);
                !retired && connection.poll_idle() && !idle_too_long && !self.too_old(connection)
            });
            pool.idle.borrow_mut().append(&mut idle);
        }
    }

    pub fn figures(&self) -> Vec<(Rc<str>, PoolFigures)> {
        let pools = self.pools.borrow();
        let figure = |((node, user), pool): (&(NodeId, Rc<str>), &Rc<NodePool>)| {
            let figures = PoolFigures {
                node: *node,
                idle: pool.idle.borrow().len(),
                total: pool.total.get(),
                waiting: pool.waiters.borrow().iter().filter(|waiter| !waiter.is_closed()).count(),
                size: pool.size.get(),
                servers: pool
                    .lifelines
                    .borrow()
                    .iter()
                    .filter_map(Weak::upgrade)
                    .map(|line| line.figures())
                    .collect(),
            };
            (Rc::clone(user), figures)
        };
        pools.iter().map(figure).collect()
    }
}

fn lend(connection: &mut Connection) {
    if let Some(lifeline) = &connection.lifeline {
        lifeline.lent.set(true);
    }
    if let Some(slot) = connection.slot.as_mut() {
        slot.lend();
    }
}

fn address(topology: &Topology, node: NodeId) -> String {
    let node = topology.node(node);
    format!("{}:{}", node.host, node.port)
}
