//! Server connections kept by one worker, per node and account; first come, first served.
//!
//! `session` asks for a node that [`super::choice`] named, and gives the connection back when its transaction is over.
//! A worker is one thread: no locks; a connection never leaves its worker.
//!
//! ```text
//!   take: idle (newest first) ─▶ else room? connect ─▶ else wait in line
//!   give: somebody waits? to them : clean? idle : closed, and its place to whoever waits      (`places`)
//! ```
//!
//! Invariants:
//! 1. No more connections are made than there are places for, of the account and of all accounts together
//!    ([`super::places`]).
//! 2. A connection reaches another session only through [`Pools::give`], which checks that it is clean.
//! 3. An idle connection that the server has closed is noticed before it is lent.
//! 4. Nobody reads for long from a node that is known to be down: a replica's connections are given up by the next
//!    reaping, a primary's when it has been down for as long as a statement waits for a primary.
//! 5. Nothing is kept of an account that has no connection and for which nobody waits.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tokio::time::timeout;

use super::connection::{Connection, Greeted, Lifeline, ServerKey};
use super::error::BackendError;
use super::placeholders::Wanted;
use super::places::{Grant, Ledger, NodePool, Slot};
use crate::catalog::Defaults;
use crate::config::PoolSettings;
use crate::figures::{Throttle, WorkerFigures};
use crate::topology::{NodeId, Topology};
use crate::wire::credential::LoginSecret;
use crate::wire::error::SqlError;
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
    /// Settings with which its connections begin.
    pub defaults: Arc<Defaults>,
}

impl Account {
    /// What its connections say when they begin; `offered`: beside what is told in any case.
    fn beginnings<'a>(&'a self, offered: &'a [(String, String)]) -> Vec<(&'a str, &'a str)> {
        let defaults = self.defaults.told.iter().chain(offered);
        let defaults = defaults.map(|(name, value)| (name.as_str(), value.as_str()));
        defaults.chain([ENCODING]).chain(self.read_only.then_some(READ_ONLY)).collect()
    }

    /// The setting with which its connections begin, if they are told it.
    pub fn default(&self, name: &str) -> Option<&str> {
        self.defaults.get(name)
    }
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

/// Between two lines of the log about logins that servers refuse.
const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(10);

/// All pools of one worker.
#[derive(Debug)]
pub struct Pools {
    pools: RefCell<PoolMap>,
    ledgers: RefCell<HashMap<NodeId, Rc<Ledger>>>,
    bounds: RefCell<Bounds>,
    part: Part,
    /// How often the log may tell of logins that servers refuse.
    refusals: Throttle,
    worker: Arc<WorkerFigures>,
}

/// What is configured, as a reload may change it.
#[derive(Debug, Clone)]
struct Bounds {
    settings: Rc<PoolSettings>,
    waits: Waits,
    sizing: Sizing,
    /// This worker's share of `pool.size`.
    share: usize,
}

impl Bounds {
    fn new(settings: PoolSettings, waits: Waits, sizing: Sizing, part: Part) -> Self {
        let share = part.rounded_up(settings.size);
        Self { settings: Rc::new(settings), waits, sizing, share }
    }
}

/// Whose sizes count beside `pool.size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizing {
    /// An account's own size instead of it; and all accounts together have at most `node_max` connections to a node.
    Accounts { node_max: Option<usize> },
    /// Nobody's: it is the same for all accounts.
    Same,
}

/// One of the workers, which share what is configured.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    pub index: usize,
    pub workers: usize,
}

impl Part {
    /// Of a size for each account: nobody goes without.
    fn rounded_up(self, size: usize) -> usize {
        size.div_ceil(self.workers.max(1)).max(1)
    }

    /// Of a bound: all workers together have no more. It is no less than there are workers.
    fn exact(self, size: usize) -> usize {
        let workers = self.workers.max(1);
        (size / workers + usize::from(self.index < size % workers)).max(1)
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

/// What every connection says when it begins: whatever the role's default is, we speak UTF-8.
const ENCODING: (&str, &str) = ("client_encoding", "UTF8");

/// What the connections of a read-only account say when they begin.
const READ_ONLY: (&str, &str) = ("default_transaction_read_only", "on");

/// Whether a login may have failed for a setting that it brought along: a value that is none, a name that is unknown, or one
/// that the role may not set. It has come past the password.
fn is_of_a_setting(error: &SqlError) -> bool {
    matches!(error.sqlstate.class(), "0A" | "22" | "3F" | "42" | "55")
}

/// By node and account name.
type PoolMap = HashMap<(NodeId, Rc<str>), Rc<NodePool>>;

impl Pools {
    /// Workers share the configured sizes; each has at least one connection.
    pub fn new(
        settings: PoolSettings,
        waits: Waits,
        sizing: Sizing,
        part: Part,
        worker: Arc<WorkerFigures>,
    ) -> Self {
        Self {
            pools: RefCell::default(),
            ledgers: RefCell::default(),
            bounds: RefCell::new(Bounds::new(settings, waits, sizing, part)),
            part,
            refusals: Throttle::every(REFUSALS_TOLD_EVERY),
            worker,
        }
    }

    /// Takes other settings from now on. Connections that exist stay, until they are given back or reaped.
    pub fn configure(&self, settings: PoolSettings, waits: Waits, sizing: Sizing) {
        *self.bounds.borrow_mut() = Bounds::new(settings, waits, sizing, self.part);
        self.ledgers.borrow().values().for_each(|ledger| ledger.set_bound(self.node_bound()));
    }

    fn node_bound(&self) -> Option<usize> {
        match self.bounds.borrow().sizing {
            Sizing::Accounts { node_max } => node_max.map(|size| self.part.exact(size)),
            Sizing::Same => None,
        }
    }

    /// Every connection that exists is to be replaced by a new one when it is free.
    pub fn renew(&self) {
        self.pools.borrow().values().for_each(|pool| pool.renew());
    }

    /// Every one of this account's.
    pub fn renew_of(&self, user: &str) {
        let pools = self.pools.borrow();
        pools.iter().filter(|((_, of), _)| **of == *user).for_each(|(_, pool)| pool.renew());
    }

    fn pool(&self, node: NodeId, user: &Rc<str>) -> Rc<NodePool> {
        let mut pools = self.pools.borrow_mut();
        if let Some(pool) = pools.get(&(node, Rc::clone(user))) {
            return Rc::clone(pool);
        }
        let mut ledgers = self.ledgers.borrow_mut();
        let ledger = ledgers.entry(node).or_insert_with(|| {
            let ledger = Rc::<Ledger>::default();
            ledger.set_bound(self.node_bound());
            ledger
        });
        let pool = NodePool::new(ledger);
        pools.insert((node, Rc::clone(user)), Rc::clone(&pool));
        pool
    }

    /// A connection that lies idle: then nobody waits for one.
    pub fn take_idle(&self, node: NodeId, user: &Rc<str>, wanted: Wanted<'_>) -> Option<Box<Connection>> {
        let pool = self.pool(node, user);
        loop {
            let mut connection = pool.pop_idle(wanted)?;
            if connection.poll_idle() && !pool.is_outdated(&connection) {
                lend(&mut connection);
                return Some(connection);
            }
        }
    }

    /// A connection to `node` as `account`. `user` is the account's name, shared so that the usual case allocates nothing;
    /// accounts that begin with other settings have other names.
    pub async fn take(
        &self,
        topology: &Topology,
        node: NodeId,
        user: &Rc<str>,
        account: &Account,
        wanted: Wanted<'_>,
    ) -> Result<Box<Connection>, BackendError> {
        if let Some(connection) = self.take_idle(node, user, wanted) {
            return Ok(connection);
        }
        let pool = self.pool(node, user);
        let free = || self.free_place(&pool, topology, node, account);
        let place = free().or_else(|| pool.make_room().then(free).flatten());
        // What lies idle yet is of no use here.
        let place = place.or_else(|| pool.close_oldest().then(free).flatten());
        if let Some(slot) = place {
            return Box::pin(self.connect(topology, node, account, slot)).await;
        }
        let mut place = pool.queue();
        let wait_timeout = self.bounds.borrow().settings.wait_timeout;
        let begun = Instant::now();
        let granted = timeout(wait_timeout, &mut place).await;
        // What came at the last moment is taken, too.
        let granted = granted.ok().or_else(|| place.try_take());
        pool.leave_queue(place);
        if let Some(figures) = self.worker.node(node) {
            figures.waits.record(begun.elapsed(), 1);
        }
        match granted {
            Some(Grant::Connection(mut connection)) => {
                let slot = if wanted.fits(&connection.placeholders) { None } else { connection.slot.take() };
                if let Some(slot) = slot {
                    drop(connection);
                    return Box::pin(self.connect(topology, node, account, slot)).await;
                }
                lend(&mut connection);
                Ok(connection)
            }
            Some(Grant::Place(slot)) => Box::pin(self.connect(topology, node, account, slot)).await,
            None => Err(BackendError::PoolTimeout {
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
        if let Ok(connection) = Box::pin(self.connect(topology, node, account, slot)).await {
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
        let bounds = self.bounds.borrow();
        let own = account.pool_size.filter(|_| bounds.sizing != Sizing::Same);
        pool.size.set(own);
        let limit = own.map_or(bounds.share, |size| self.part.rounded_up(size));
        pool.free_place(limit, &topology.node(node).state)
    }

    /// Takes a connection back. One that is not clean is closed.
    pub fn give(&self, mut connection: Box<Connection>) {
        let now = Instant::now();
        if !connection.is_clean() || self.is_too_old(&connection, now) {
            return;
        }
        connection.shrink();
        connection.idle_since = now;
        if let Some(lifeline) = &connection.lifeline {
            lifeline.lent.set(false);
        }
        let Some(slot) = connection.slot.as_mut() else { return };
        slot.rest();
        if let Some(pool) = slot.pool().filter(|pool| !pool.is_outdated(&connection)) {
            pool.take_back(connection);
        }
    }

    /// Looked at where it is given back and by the reaper, which between them miss nothing for longer than a second.
    fn is_too_old(&self, connection: &Connection, now: Instant) -> bool {
        let lifetime = self.bounds.borrow().settings.lifetime;
        lifetime.is_some_and(|lifetime| now.saturating_duration_since(connection.born) > lifetime)
    }

    /// Clients are told what the server says, who may take it for their own login's: the log says whose it is, not more often than
    /// is read.
    fn note_refusal(&self, node: &str, user: &str, error: &SqlError) {
        let Some(held_back) = self.refusals.admit(Instant::now()) else { return };
        let (sqlstate, reason) = (error.sqlstate.to_string(), error.message.as_str());
        tracing::warn!(node, user, sqlstate, reason, held_back, "a server refuses a login of the pool");
    }

    async fn connect(
        &self,
        topology: &Topology,
        node: NodeId,
        account: &Account,
        mut slot: Slot,
    ) -> Result<Box<Connection>, BackendError> {
        let place = topology.node(node);
        let bounds = self.bounds.borrow().clone();
        let address = address(topology, node);
        let all = account.beginnings(&account.defaults.offered);
        let firm;
        let mut target = login::Login {
            address: &address,
            host: &place.host,
            tls: &bounds.waits.tls,
            user: &account.user,
            database: &topology.shard(place.shard).database,
            secret: account.secret.as_ref(),
            parameters: &all,
            timeout: bounds.waits.connect_timeout,
        };
        let mut greeting = login::connect(&target).await;
        if let Err(LoginError::Server(error)) = &greeting
            && !account.defaults.offered.is_empty()
            && is_of_a_setting(error)
        {
            firm = account.beginnings(&[]);
            target.parameters = &firm;
            greeting = login::connect(&target).await;
        }
        if let Some(figures) = self.worker.node(node) {
            if greeting.is_ok() { figures.connects.one() } else { figures.failed_connects.one() }
        }
        if let Err(LoginError::Server(error)) = &greeting {
            self.note_refusal(&address, &account.user, error);
        }
        let greeting = greeting.map_err(|error| match error {
            LoginError::Server(sql) => BackendError::Login(Box::new(sql)),
            // Waiting would not help.
            refused @ (LoginError::OtherVerifier { .. }
            | LoginError::OtherMethod { .. }
            | LoginError::PasswordRequired { .. }) => BackendError::Login(Box::new(refused.to_sql())),
            other => BackendError::Connect { node: address.clone(), reason: other.to_string() },
        })?;
        let peer = greeting.connection.stream.peer_address();
        let peer =
            peer.map_err(|error| BackendError::Connect { node: address.clone(), reason: error.to_string() })?;
        let key = ServerKey::new(&target, node, peer, greeting.pid, greeting.secret);
        let pid = key.pid;
        let greeted = Greeted {
            stream: greeting.connection.stream,
            leftover: greeting.connection.input,
            parameters: greeting.parameters,
            key,
            figures: Arc::clone(&self.worker),
        };
        let statements_max = bounds.settings.prepared_statements_max;
        let mut connection = Box::new(Connection::new(greeted, node, address.into(), statements_max));
        slot.lend();
        let lifeline = Lifeline::new(pid, slot.state(), bounds.waits.primary_wait);
        if let Some(pool) = slot.pool() {
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
                let idle = now.saturating_duration_since(connection.idle_since);
                let idle_too_long = idle_timeout.is_some_and(|bound| idle > bound);
                let outlived = pool.is_outdated(connection) || self.is_too_old(connection, now);
                !retired && connection.poll_idle() && !idle_too_long && !outlived
            });
            pool.idle.borrow_mut().append(&mut idle);
        }
        self.pools.borrow_mut().retain(|_, pool| pool.total() > 0 || Rc::strong_count(pool) > 1);
    }

    pub fn figures(&self) -> Vec<(Rc<str>, PoolFigures)> {
        let pools = self.pools.borrow();
        let figure = |((node, user), pool): (&(NodeId, Rc<str>), &Rc<NodePool>)| {
            let figures = PoolFigures {
                node: *node,
                idle: pool.idle.borrow().len(),
                total: pool.total(),
                waiting: pool.waiting(),
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

/// The connection serves its client from here on; it was made, or lay in the pool, or with a session that had no use for it.
pub(super) fn lend(connection: &mut Connection) {
    if let Some(lifeline) = &connection.lifeline {
        lifeline.lent.set(true);
    }
    if let Some(slot) = connection.slot.as_mut() {
        slot.lend();
    }
}

/// `host:port`.
pub fn address(topology: &Topology, node: NodeId) -> String {
    let node = topology.node(node);
    format!("{}:{}", node.host, node.port)
}
