//! What all sessions share: one value per process, one per worker.
//!
//! [`Shared`] is behind an `Arc` and read by every thread; [`Worker`] is behind an `Rc` and never leaves its thread. The
//! server room makes both; sessions only borrow.
//!
//! Invariants:
//! 1. Topology and catalog are snapshots: a statement takes one of each and keeps it to its end.
//! 2. A cancel key is in [`Shared::cancels`] exactly while its client is connected.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use dashmap::DashMap;

use super::board::PoolBoard;
use super::cancel::CancelTarget;
use super::planning::PlanCache;
use super::statements::Interner;
use crate::backend::Pools;
use crate::catalog::CatalogHandle;
use crate::config::{
    HttpSettings, Limits, LogSettings, ProxySettings, ServerSettings, SessionSettings, User,
};
use crate::figures::{Figures, WorkerFigures};
use crate::topology::{Signals, Topology};
use crate::wire::credential::Credential;
use crate::wire::scram::MockKey;

/// Process-wide state.
pub struct Shared {
    pub proxy: ProxySettings,
    pub session: SessionSettings,
    pub server: ServerSettings,
    pub users: Vec<User>,
    /// What each user is authenticated against, by name.
    pub credentials: std::collections::HashMap<String, Credential>,
    pub limits: Limits,
    pub http: Option<HttpSettings>,
    pub log: LogSettings,
    pub topology: ArcSwap<Topology>,
    pub catalog: Arc<CatalogHandle>,
    pub signals: Arc<Signals>,
    /// Transactions over several shards that this process coordinates.
    pub registry: Arc<crate::transaction::Registry>,
    pub cancels: DashMap<u32, Arc<CancelTarget>>,
    pub clients: DashMap<u32, Arc<ClientInfo>>,
    pub figures: Figures,
    /// How the workers' pools stand, a second ago at most.
    pub pools: PoolBoard,
    /// Challenges for users that do not exist.
    pub mock: MockKey,
    pub started: Instant,
    /// Clients are refused from now on; the running ones finish.
    pub stopping: tokio::sync::watch::Sender<bool>,
}

/// One client, as the console shows it.
#[derive(Debug)]
pub struct ClientInfo {
    pub id: u32,
    pub user: String,
    pub database: String,
    pub address: String,
    pub connected: Instant,
    pub state: std::sync::Mutex<ClientState>,
}

#[derive(Debug, Clone, Default)]
pub struct ClientState {
    pub application_name: String,
    pub doing: Doing,
    /// Why the session holds a server connection for itself.
    pub pinned: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Doing {
    #[default]
    Idle,
    Active,
    IdleInTransaction,
}

/// One worker thread's state.
pub struct Worker {
    pub shared: Arc<Shared>,
    /// Written by this thread only.
    pub figures: Arc<WorkerFigures>,
    pub pools: Pools,
    pub plans: RefCell<PlanCache>,
    pub interner: RefCell<Interner>,
    /// Sessions on this worker.
    pub sessions: Cell<usize>,
    /// Answers of servers to start-up parameters, so that a connect costs no round trip.
    pub greetings: RefCell<super::greeting::Greetings>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, figures: Arc<WorkerFigures>, pools: Pools) -> Rc<Self> {
        let plans = PlanCache::new(shared.proxy.plan_cache_bytes);
        Rc::new(Self {
            shared,
            figures,
            pools,
            plans: RefCell::new(plans),
            interner: RefCell::default(),
            sessions: Cell::new(0),
            greetings: RefCell::default(),
        })
    }
}
