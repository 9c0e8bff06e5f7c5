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
//! 4. Nobody reads for long from a replica that is known to be down: its connections are given up by the next reaping.

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
use crate::wire::login::{self, LoginError};
use crate::wire::secret::Secret;

/// Who Meridian is on the servers, for one client account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    pub password: Option<Secret>,
}

/// Figures of one pool, for the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolFigures {
    pub node: NodeId,
    pub idle: usize,
    pub total: usize,
    pub waiting: usize,
}

/// All pools of one worker.
#[derive(Debug)]
pub struct Pools {
    pools: RefCell<PoolMap>,
    settings: PoolSettings,
    connect_timeout: Duration,
    /// This worker's share of `pool.size`.
    share: usize,
    worker: Arc<WorkerFigures>,
}

/// By node and account name.
type PoolMap = HashMap<(NodeId, Rc<str>), Rc<NodePool>>;

#[derive(Debug, Default)]
struct NodePool {
    idle: RefCell<Vec<Connection>>,
    total: Cell<usize>,
    waiters: RefCell<VecDeque<oneshot::Sender<Grant>>>,
    /// Of connections to a replica, lent ones too.
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
    pub fn new(
        settings: PoolSettings,
        connect_timeout: Duration,
        workers: usize,
        worker: Arc<WorkerFigures>,
    ) -> Self {
        let share = settings.size.div_ceil(workers.max(1)).max(1);
        Self { pools: RefCell::default(), settings, connect_timeout, share, worker }
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

    /// A connection to `node` as `account`. `user` is the account's name, shared so that the usual case allocates nothing.
    pub async fn take(
        &self,
        topology: &Topology,
        node: NodeId,
        user: &Rc<str>,
        account: &Account,
    ) -> Result<Connection, BackendError> {
        let pool = self.pool(node, user);
        loop {
            let Some(mut connection) = pool.idle.borrow_mut().pop() else { break };
            if connection.poll_idle() && !self.too_old(&connection) {
                lend(&mut connection);
                return Ok(connection);
            }
        }
        if pool.total.get() < self.share {
            pool.total.set(pool.total.get() + 1);
            let state = Arc::clone(&topology.node(node).state);
            let slot = Slot { pool: Rc::downgrade(&pool), state, lent: false };
            return self.connect(topology, node, account, slot).await;
        }
        let (sender, receiver) = oneshot::channel();
        pool.waiters.borrow_mut().push_back(sender);
        let begun = Instant::now();
        let granted = timeout(self.settings.wait_timeout, receiver).await;
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
                seconds: self.settings.wait_timeout.as_secs(),
            }),
        }
    }

    /// Takes a connection back. One that is not clean is closed.
    pub fn give(&self, mut connection: Connection) {
        if !connection.is_clean() || self.too_old(&connection) {
            return;
        }
        connection.shrink();
        connection.idle_since = Instant::now();
        let Some(slot) = connection.slot.as_mut() else { return };
        slot.rest();
        let Some(pool) = slot.pool.upgrade() else { return };
        if let Some(Grant::Connection(connection)) = pool.grant(Grant::Connection(Box::new(connection))) {
            pool.idle.borrow_mut().push(*connection);
        }
    }

    fn too_old(&self, connection: &Connection) -> bool {
        self.settings.lifetime.is_some_and(|lifetime| connection.born.elapsed() > lifetime)
    }

    async fn connect(
        &self,
        topology: &Topology,
        node: NodeId,
        account: &Account,
        mut slot: Slot,
    ) -> Result<Connection, BackendError> {
        let place = topology.node(node);
        let address = address(topology, node);
        let target = login::Login {
            address: &address,
            user: &account.user,
            database: &topology.shard(place.shard).database,
            password: account.password.as_ref(),
            parameters: &[],
            timeout: self.connect_timeout,
        };
        let greeting = login::connect(&target).await;
        if let Some(figures) = self.worker.node(node) {
            if greeting.is_ok() { figures.connects.one() } else { figures.failed_connects.one() }
        }
        let greeting = greeting.map_err(|error| match error {
            LoginError::Server(sql) => BackendError::Login(Box::new(sql)),
            other => BackendError::Connect { node: address.clone(), reason: other.to_string() },
        })?;
        let peer = greeting.connection.stream.socket().peer_addr();
        let peer =
            peer.map_err(|error| BackendError::Connect { node: address.clone(), reason: error.to_string() })?;
        let key = ServerKey {
            address: peer,
            pid: greeting.pid,
            secret: greeting.secret,
            cancels_in_flight: AtomicU32::new(0),
        };
        let greeted = Greeted {
            stream: greeting.connection.stream,
            leftover: greeting.connection.input,
            parameters: greeting.parameters,
            key,
            figures: Arc::clone(&self.worker),
        };
        let mut connection =
            Connection::new(greeted, node, address.into(), self.settings.prepared_statements_max);
        slot.lend();
        connection.lifeline = Lifeline::of_replica(&slot.state);
        if let (Some(pool), Some(lifeline)) = (slot.pool.upgrade(), &connection.lifeline) {
            pool.lifelines.borrow_mut().push(Rc::downgrade(lifeline));
        }
        connection.slot = Some(slot);
        Ok(connection)
    }

    /// Closes what has been idle for too long, or has been closed by its server, and gives up what hangs on a replica
    /// that is down. Called every second or so.
    pub fn reap(&self) {
        let pools: Vec<_> = self.pools.borrow().values().map(Rc::clone).collect();
        for pool in pools {
            pool.lifelines.borrow_mut().retain(|line| {
                line.upgrade().is_some_and(|line| {
                    line.check();
                    true
                })
            });
            let mut idle = std::mem::take(&mut *pool.idle.borrow_mut());
            idle.retain_mut(|connection| {
                let idle_too_long =
                    self.settings.idle_timeout.is_some_and(|bound| connection.idle_since.elapsed() > bound);
                connection.poll_idle() && !idle_too_long && !self.too_old(connection)
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
            };
            (Rc::clone(user), figures)
        };
        pools.iter().map(figure).collect()
    }
}

fn lend(connection: &mut Connection) {
    if let Some(slot) = connection.slot.as_mut() {
        slot.lend();
    }
}

fn address(topology: &Topology, node: NodeId) -> String {
    let node = topology.node(node);
    format!("{}:{}", node.host, node.port)
}
