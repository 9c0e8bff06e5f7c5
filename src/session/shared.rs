//! What all sessions share: one value per process, one per worker.
//!
//! [`Shared`] is behind an `Arc` and read by every thread; [`Worker`] is behind an `Rc` and never leaves its thread. The
//! server room makes both; sessions only borrow.
//!
//! Invariants:
//! 1. Topology, catalog and settings are snapshots: a statement takes one of each and keeps it to its end.
//! 2. A cancel key is in [`Shared::cancels`] exactly while its client is connected.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::Context;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use futures_util::task::AtomicWaker;
use tokio::sync::watch;

use super::batch::Batch;
use super::board::PoolBoard;
use super::cancel::CancelTarget;
use super::census::Census;
use super::interner::Interner;
use super::lookup::Lookups;
use super::orders::Orders;
use super::planning::PlanCache;
use super::redefinition::Redefinitions;
use crate::backend::Pools;
use crate::catalog::{CatalogHandle, Defaults};
use crate::config::{
    AccessRules, AuthQuery, Config, DatabaseSettings, HealthSettings, HttpSettings, Limits, LogSettings,
    PoolSettings, ProxySettings, ScratchSettings, ServerSettings, SessionSettings, User, Written,
};
use crate::execute::Buffers;
use crate::execute::lane::Owed;
use crate::execute::notifiers::Notifiers;
use crate::figures::{Figures, Throttle, WorkerFigures};
use crate::sql::shape::ShapeBuffers;
use crate::topology::{Signals, Topology};
use crate::wire::credential::Credential;
use crate::wire::scram::MockKey;
use crate::wire::tls::Acceptor;

/// Lines of the log that tell of who is refused, one for each reason.
#[derive(Debug, Default)]
pub struct Throttles {
    pub clients: Throttle,
    pub user: Throttle,
    pub database: Throttle,
    pub lookup: Throttle,
    pub login: Throttle,
}

/// Process-wide state.
pub struct Shared {
    /// What was configured, as of the last reload.
    pub live: ArcSwap<Live>,
    /// Numbers the reloads: everything that holds a copy of what was configured takes a new one.
    pub reloads: tokio::sync::watch::Sender<u64>,
    /// The file that a reload reads; None where the configuration did not come from one.
    pub file: Option<PathBuf>,
    pub topology: ArcSwap<Topology>,
    pub catalog: Arc<CatalogHandle>,
    pub signals: Arc<Signals>,
    /// What operators have told this process.
    pub orders: Orders,
    /// Transactions over several shards that this process coordinates.
    pub registry: Arc<crate::transaction::Registry>,
    pub cancels: DashMap<u32, Arc<CancelTarget>>,
    pub clients: DashMap<u32, Arc<ClientInfo>>,
    pub notifiers: Arc<Notifiers>,
    /// DDL that sessions commit now.
    pub redefinitions: Redefinitions,
    pub figures: Figures,
    /// How the workers' pools stand, a second ago at most.
    pub pools: PoolBoard,
    /// How many clients each user and each database has.
    pub census: Arc<Census>,
    /// Users of whom a server was asked.
    pub lookups: Lookups,
    /// How often the log may tell of who is refused.
    pub throttles: Throttles,
    /// Challenges for users that do not exist.
    pub mock: MockKey,
    pub started: Instant,
    pub stopping: Stopping,
}

impl Shared {
    /// The process is about to end: sessions hear of it, those that wait for their clients at once.
    pub fn stop(&self) {
        self.stopping.begun.store(true, Ordering::Release);
        self.stopping.told.send_replace(true);
        self.clients.iter().for_each(|client| client.waiting.wake());
    }
}

/// The settings in force, swapped whole.
#[derive(Debug)]
pub struct Live {
    pub proxy: ProxySettings,
    pub session: SessionSettings,
    pub database: DatabaseSettings,
    pub server: ServerSettings,
    pub auth_query: Option<AuthQuery>,
    pub users: Vec<User>,
    pub access: AccessRules,
    /// What users are authenticated against, by the names of their entries; none of whom is looked up.
    pub credentials: HashMap<String, Arc<Credential>>,
    pub pool: PoolSettings,
    pub health: HealthSettings,
    pub limits: Limits,
    pub scratch: ScratchSettings,
    /// What clients are shown in a handshake; None: nothing is encrypted.
    pub tls: Option<Acceptor>,
    pub http: Option<HttpSettings>,
    pub log: LogSettings,
    /// What of this the file says, as it spells it.
    pub written: Written,
}

impl Live {
    /// The settings of a configuration, and the topology that goes with them.
    pub fn new(config: Config) -> (Self, Topology) {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let Config { proxy, session, database, server, users, access, pool, health, limits, scratch, .. } =
            config;
        let Config { tls, http, log, topology, auth_query, written, .. } = config;
        let stored = users.iter().filter(|user| user.has_credential());
        let credentials = stored.map(|user| (user.name.clone(), Arc::new(credential(user)))).collect();
        let live = Self {
            proxy,
            session,
            database,
            server,
            auth_query,
            users,
            access,
            credentials,
            pool,
            health,
            limits,
            scratch,
            tls,
            http,
            log,
            written,
        };
        (live, topology)
    }
}

fn credential(user: &User) -> Credential {
    let secret = user.verifier.as_ref().or(user.password.as_ref());
    let text = secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
    Credential::parse(&text, rand::random())
}

/// What a client said and showed of itself at the door.
#[derive(Debug, Clone, Default)]
pub struct ClientNames {
    pub user: String,
    pub database: String,
    pub address: String,
    /// The number of the access rule that let it in, and its method; None where there are no rules.
    pub access: Option<String>,
}

/// One client, as the console shows it.
#[derive(Debug)]
pub struct ClientInfo {
    pub id: u32,
    pub names: ClientNames,
    pub connected: Instant,
    pub notes: std::sync::Mutex<ClientNotes>,
    doing: AtomicU8,
    /// How often it has begun to be active; only its own session writes it.
    begun: AtomicU32,
    /// It waits for the end of DDL of others, and has sent nothing.
    held_up: AtomicBool,
    /// Microseconds after it came; 0: no transaction waits for its client.
    in_transaction: AtomicU64,
    dismissed: AtomicBool,
    /// The session's task, where it waits for its client.
    waiting: AtomicWaker,
}

impl ClientInfo {
    /// A client that has just come.
    pub fn new(id: u32, names: ClientNames, notes: ClientNotes) -> Self {
        Self {
            id,
            names,
            connected: Instant::now(),
            notes: std::sync::Mutex::new(notes),
            doing: AtomicU8::new(Doing::Idle as u8),
            begun: AtomicU32::new(0),
            held_up: AtomicBool::new(false),
            in_transaction: AtomicU64::new(0),
            dismissed: AtomicBool::new(false),
            waiting: AtomicWaker::new(),
        }
    }

    /// Told twice for each statement: a few stores, no lock.
    pub fn set_doing(&self, doing: Doing) {
        if doing == Doing::Active {
            self.begun.store(self.begun.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        self.doing.store(doing as u8, Ordering::Relaxed);
        match doing {
            Doing::Idle => self.in_transaction.store(0, Ordering::Relaxed),
            Doing::IdleInTransaction if self.in_transaction.load(Ordering::Relaxed) == 0 => {
                let micros = u64::try_from(self.connected.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.in_transaction.store(micros.max(1), Ordering::Relaxed);
            }
            Doing::IdleInTransaction | Doing::Active => {}
        }
    }

    /// Whether it waits for what it has asked for.
    pub fn is_active(&self) -> bool {
        self.doing.load(Ordering::Relaxed) == Doing::Active as u8
    }

    /// A number for what it has asked its servers for; None: it has asked for nothing.
    pub fn under_way(&self) -> Option<u32> {
        let asks = self.is_active() && !self.held_up.load(Ordering::Relaxed);
        asks.then(|| self.begun.load(Ordering::Relaxed))
    }

    pub fn set_held_up(&self, held_up: bool) {
        self.held_up.store(held_up, Ordering::Relaxed);
    }

    pub fn state(&self) -> ClientState {
        let notes = self.notes.lock().map(|notes| notes.clone()).unwrap_or_default();
        let since = Some(self.in_transaction.load(Ordering::Relaxed)).filter(|micros| *micros > 0);
        let doing = self.doing.load(Ordering::Relaxed);
        ClientState {
            application_name: notes.application_name,
            pinned: notes.pinned,
            doing: Doing::ALL.into_iter().find(|known| *known as u8 == doing).unwrap_or_default(),
            in_transaction: since.map(|micros| self.connected + Duration::from_micros(micros)),
        }
    }

    /// Ends the session as soon as it looks: at once where it waits for its client.
    pub fn dismiss(&self) {
        self.dismissed.store(true, Ordering::Release);
        self.waiting.wake();
    }

    pub fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::Acquire)
    }

    /// The waiting session looks again at whether it may stay. It looks once more after this, so that no word is missed.
    pub fn listen(&self, cx: &Context<'_>) {
        self.waiting.register(cx.waker());
    }
}

/// A client's place among the connected ones, given back when it is dropped.
pub struct Registered {
    pub info: Arc<ClientInfo>,
    pub cancel: Arc<CancelTarget>,
    pub shared: Arc<Shared>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.cancels.remove(&self.info.id);
        self.shared.clients.remove(&self.info.id);
    }
}

/// What changes rarely of what the console shows.
#[derive(Debug, Clone, Default)]
pub struct ClientNotes {
    pub application_name: String,
    /// Why the session holds a server connection for itself.
    pub pinned: Option<&'static str>,
}

#[derive(Debug, Clone, Default)]
pub struct ClientState {
    pub application_name: String,
    pub doing: Doing,
    /// Why the session holds a server connection for itself.
    pub pinned: Option<&'static str>,
    /// When the transaction under way was first seen to wait for its client.
    pub in_transaction: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Doing {
    #[default]
    Idle,
    Active,
    IdleInTransaction,
}

impl Doing {
    const ALL: [Self; 3] = [Self::Idle, Self::Active, Self::IdleInTransaction];
}

/// Whether the process is about to end: clients are refused from then on, the running ones finish.
#[derive(Debug, Default)]
pub struct Stopping {
    /// What sessions look at, many times a second.
    begun: AtomicBool,
    /// For those who wait for it.
    told: watch::Sender<bool>,
}

impl Stopping {
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Cancel safe: yes.
    pub async fn begun(&self) {
        // The sender lives as long as this does.
        let _ = self.told.subscribe().wait_for(|begun| *begun).await;
    }
}

/// Queues that a worker keeps for later lanes, and the longest that is worth keeping.
const QUEUES_MAX: usize = 64;
const QUEUE_ROOM_MAX: usize = 256;
/// The same of batches, in messages.
const BATCHES_MAX: usize = 64;
const BATCH_ROOM_MAX: usize = 256;

/// One worker thread's state.
pub struct Worker {
    pub shared: Arc<Shared>,
    /// Written by this thread only.
    pub figures: Arc<WorkerFigures>,
    pub pools: Pools,
    /// Connections to the default shard's primary on which gathered tables stand for the time of a statement.
    pub scratches: Pools,
    pub plans: RefCell<PlanCache>,
    pub shapes: RefCell<ShapeBuffers>,
    /// What clients' messages are read into.
    pub buffers: Rc<Buffers>,
    /// Empty, with room: for the lanes of the next statements.
    pub queues: RefCell<Vec<VecDeque<Owed>>>,
    /// Empty, with room: for the next messages of the extended protocol.
    pub batches: RefCell<Vec<Batch>>,
    pub interner: RefCell<Interner>,
    /// Messages with several statements that a server has parsed already.
    pub syntax: RefCell<super::syntax::KnownSyntax>,
    /// Sessions on this worker.
    pub sessions: Cell<usize>,
    /// Answers of servers to start-up parameters, so that a connect costs no round trip.
    pub greetings: RefCell<super::greeting::Greetings>,
    /// What the connections of an account have begun with, one time after the other.
    begun: RefCell<HashMap<String, Begun>>,
}

/// Of one account.
#[derive(Default)]
struct Begun {
    times: Vec<Arc<Defaults>>,
    last: usize,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, figures: Arc<WorkerFigures>, pools: Pools, scratches: Pools) -> Rc<Self> {
        let plans = PlanCache::new(shared.live.load().proxy.plan_cache_bytes);
        Rc::new(Self {
            shared,
            figures,
            pools,
            scratches,
            plans: RefCell::new(plans),
            shapes: RefCell::default(),
            buffers: Rc::default(),
            queues: RefCell::default(),
            batches: RefCell::default(),
            interner: RefCell::default(),
            syntax: RefCell::default(),
            sessions: Cell::new(0),
            greetings: RefCell::default(),
            begun: RefCell::default(),
        })
    }

    /// The name under which the pools keep the account's connections: sessions keep what they have begun with, as in
    /// PostgreSQL, and do not share connections with those that begin otherwise.
    pub fn pool_name(&self, account: &str, defaults: &Arc<Defaults>) -> Rc<str> {
        if defaults.told.is_empty() {
            return format!("{account} (catalog not read)").into();
        }
        let mut begun = self.begun.borrow_mut();
        let Begun { times, last } = begun.entry(account.to_owned()).or_default();
        let time = times.iter().position(|known| known == defaults).unwrap_or_else(|| {
            times.push(Arc::clone(defaults));
            times.len() - 1
        });
        let is_back = time < *last;
        *last = time;
        let name: Rc<str> = match time {
            0 => account.into(),
            later => format!("{account} ({} defaults)", later + 1).into(),
        };
        if is_back {
            // Those that were made meanwhile have begun with what was written then.
            self.pools.renew_of(&name);
            self.scratches.renew_of(&name);
        }
        name
    }

    pub fn keep_batch(&self, mut batch: Batch) {
        batch.clear();
        let mut batches = self.batches.borrow_mut();
        if batches.len() < BATCHES_MAX && batch.room() <= BATCH_ROOM_MAX {
            batches.push(batch);
        }
    }

    pub fn keep_queue(&self, queue: VecDeque<Owed>) {
        let mut queues = self.queues.borrow_mut();
        if queues.len() < QUEUES_MAX && queue.capacity() <= QUEUE_ROOM_MAX {
            queues.push(queue);
        }
    }
}
