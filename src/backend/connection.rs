//! One connection to a server, as the data plane uses it: two buffers, and what is known of the server's session.
//!
//! Made by [`super::pool`] after login, lent to one session at a time. `execute` writes messages into
//! [`Connection::outbox`], sends them, and reads frames out of [`Connection::inbox`].
//!
//! Invariants:
//! 1. `status` is what the last ReadyForQuery said; a connection that owes an answer is `busy`.
//! 2. `statements` holds a subset of what is prepared on the server under our names; the bound is enforced by
//!    closing the least recently used in the flight that adds one.
//! 3. Dropping a connection closes the socket; nothing is written to a server by `drop`.
//! 4. A read of a connection whose [`Lifeline`] was cut ends as if the server had closed it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::figures::WorkerFigures;

use bytes::{Buf, BytesMut};
use hashbrown::HashMap;
use tokio::io::{AsyncReadExt, AsyncWrite as _, AsyncWriteExt};

use super::placeholders::Placeholders;
use super::places::Slot;
use super::settings::Settings;
use super::strike::{Strike, Struck};
use crate::topology::{NodeId, NodeRole, NodeState};
use crate::wire::backend::TransactionStatus;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::login;
use crate::wire::secret::Secret;
use crate::wire::stream::Stream;
use crate::wire::tls::Connector;

/// First read of an answer; a full one is followed by larger reads.
const READ_BYTES: usize = 8 * 1024;
const READ_BYTES_LARGE: usize = 64 * 1024;

/// What a cancel request needs, and how many of ours are on their way: a connection with one in flight must not be
/// given to another session, or that session's statement would be the one cancelled.
#[derive(Debug)]
pub struct ServerKey {
    pub address: SocketAddr,
    pub pid: u32,
    pub secret: Secret,
    pub node: NodeId,
    pub cancels_in_flight: AtomicU32,
    /// The next cancel that is told of is ours.
    pub struck: Struck,
    /// The session that has the connection is in a transaction there.
    pub in_block: AtomicBool,
    /// The node's name in the configuration, for its certificate.
    pub host: String,
    pub tls: Connector,
}

impl ServerKey {
    /// Of a connection that this log-in has made, to the server at `peer`.
    pub fn new(login: &login::Login<'_>, node: NodeId, peer: SocketAddr, pid: u32, secret: Secret) -> Self {
        Self {
            address: peer,
            pid,
            secret,
            node,
            cancels_in_flight: AtomicU32::new(0),
            struck: Struck::default(),
            in_block: AtomicBool::new(false),
            host: login.host.to_owned(),
            tls: login.tls.clone(),
        }
    }

    /// An error of the server's as it is told: who has cancelled the statement knows why.
    pub fn as_told(&self, error: SqlError) -> SqlError {
        let strike = if error.sqlstate == SqlState::QUERY_CANCELED { self.struck.take() } else { None };
        strike.map_or(error, Strike::error)
    }

    /// As [`ServerKey::cancel`], while the connection is kept from being used again.
    pub async fn cancel_counted(&self, time: Duration) {
        self.cancels_in_flight.fetch_add(1, Ordering::AcqRel);
        self.cancel(time).await;
        self.cancels_in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    /// Asks the server to stop what it does on this connection; returns when it has taken note, or `time` is over.
    pub async fn cancel(&self, time: Duration) {
        let address = self.address.to_string();
        let target = login::CancelTarget { address: &address, host: &self.host, tls: &self.tls };
        if let Err(error) = login::cancel(&target, self.pid, &self.secret, time).await {
            tracing::warn!(%address, %error, "a cancel request did not reach its server");
        }
    }
}

/// A prepared statement's name on the servers: fixed width, so that it is made without an allocation.
pub type StatementName = [u8; 20];

#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    pub inbox: BytesMut,
    pub outbox: BytesMut,
    server_major: u32,
    pub node: NodeId,
    /// For messages: `host:port`.
    pub address: Rc<str>,
    pub key: Arc<ServerKey>,
    /// ParameterStatus at login.
    pub greeting: Rc<[(String, String)]>,
    pub applied: Rc<Settings>,
    /// Settings sent in the flight under way; they hold once it ends without an error.
    pub applying: Option<Rc<Settings>>,
    /// Settings that were sent in it and that its failure undoes: what a server older than PostgreSQL 14 reports of them until
    /// the flight ends is not the session's.
    pub undone: Option<Rc<Settings>>,
    pub placeholders: Placeholders,
    pub statements: StatementSet,
    /// Id of the statement that the unnamed one is now.
    pub unnamed: Option<u64>,
    pub status: TransactionStatus,
    /// An answer is owed, or the stream is torn: it cannot be reused.
    pub broken: bool,
    /// The server has other statements than are noted here: it is not given to another session.
    pub astray: bool,
    /// A commit was sent and not answered: it is never cancelled, for that would end its wait for the standbys.
    pub committing: bool,
    /// Something ran that may have left session objects behind (unknown functions, DO).
    pub suspect: bool,
    pub born: Instant,
    pub idle_since: Instant,
    large: bool,
    /// `inbox` may be larger than what is kept.
    grown: bool,
    pub(super) lifeline: Option<Rc<Lifeline>>,
    figures: Arc<WorkerFigures>,
    /// Its place in a pool; given back when the connection is dropped.
    pub(super) slot: Option<Slot>,
}

/// How a connection is given up from outside, when the node is down and the socket does not say so: a host that hangs
/// keeps its connections, and whoever reads from one would wait for ever.
#[derive(Debug)]
pub(super) struct Lifeline {
    state: Arc<NodeState>,
    /// The server process, and since when it serves us.
    pub pid: u32,
    pub born: Instant,
    pub lent: Cell<bool>,
    /// How long the node may be down before its answers are no longer waited for.
    patience: Duration,
    down_since: Cell<Option<Instant>>,
    cut: Cell<bool>,
    /// The task that reads, while it waits.
    reader: RefCell<Option<Waker>>,
}

impl Lifeline {
    /// A replica's answer can be had elsewhere at once. A primary's is worth waiting for, as long as a statement would
    /// wait for a primary to appear.
    pub fn new(pid: u32, state: &Arc<NodeState>, primary_wait: Duration) -> Rc<Self> {
        let patience = if state.role() == NodeRole::Replica { Duration::ZERO } else { primary_wait };
        Rc::new(Self {
            pid,
            born: Instant::now(),
            lent: Cell::new(true),
            state: Arc::clone(state),
            patience,
            down_since: Cell::new(None),
            cut: Cell::new(false),
            reader: RefCell::default(),
        })
    }

    pub fn figures(&self) -> super::pool::ServerFigures {
        super::pool::ServerFigures { pid: self.pid, lent: self.lent.get(), age: self.born.elapsed() }
    }

    /// Cuts it if the node has been down for too long, or has been superseded.
    pub fn check(&self, now: Instant) {
        if self.state.role() != NodeRole::Down {
            return self.down_since.set(None);
        }
        let since = self.down_since.get().unwrap_or(now);
        self.down_since.set(Some(since));
        if now.duration_since(since) >= self.patience || self.is_severed() {
            self.cut.set(true);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
    }

    /// Whether the connection counts as lost, whatever the socket says.
    fn is_severed(&self) -> bool {
        self.cut.get() || self.state.is_superseded()
    }

    /// Wakes this reader when it is cut later.
    fn is_cut(&self, cx: &Context<'_>) -> bool {
        let mut reader = self.reader.borrow_mut();
        if !reader.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *reader = Some(cx.waker().clone());
        }
        self.is_severed()
    }
}

/// What login hands over.
pub struct Greeted {
    pub stream: Stream,
    pub leftover: BytesMut,
    pub parameters: Vec<(String, String)>,
    pub key: ServerKey,
    pub figures: Arc<WorkerFigures>,
}

impl Connection {
    pub fn new(greeted: Greeted, node: NodeId, address: Rc<str>, statements_max: usize) -> Self {
        let now = Instant::now();
        let server_major = major_version(&greeted.parameters);
        Self {
            server_major,
            stream: greeted.stream,
            figures: greeted.figures,
            inbox: greeted.leftover,
            outbox: BytesMut::new(),
            node,
            address,
            key: Arc::new(greeted.key),
            greeting: greeted.parameters.into(),
            applied: Rc::default(),
            applying: None,
            undone: None,
            placeholders: Placeholders::default(),
            statements: StatementSet::new(statements_max),
            unnamed: None,
            status: TransactionStatus::Idle,
            broken: false,
            astray: false,
            committing: false,
            suspect: false,
            born: now,
            idle_since: now,
            large: false,
            grown: true,
            lifeline: None,
            slot: None,
        }
    }

    /// Whether a Query that follows an Execute without a Sync between stays in the pipeline's transaction, which then is
    /// open behind it: so since PostgreSQL 18.
    pub fn keeps_query_in_pipeline(&self) -> bool {
        self.server_major >= 18
    }

    /// Then nothing is said, nor heard: an acknowledgement would be one of what is lost.
    fn is_superseded(&self) -> bool {
        self.lifeline.as_ref().is_some_and(|lifeline| lifeline.state.is_superseded())
    }

    /// It stays with its session, which has no use for it until its client says something: nothing runs there.
    pub fn rest(&mut self) {
        if let Some(slot) = self.slot.as_mut() {
            slot.rest();
        }
    }

    /// Behind [`Self::rest`].
    pub fn resume(&mut self) {
        super::pool::lend(self);
    }

    /// Reads once into `inbox`. `Ready(Ok(0))` is the end of the stream. Cancel safe: yes, nothing is lost.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_superseded() {
            return Poll::Ready(Ok(0));
        }
        let want = if self.large { READ_BYTES_LARGE } else { READ_BYTES };
        if self.inbox.capacity() - self.inbox.len() < want / 2 {
            self.inbox.reserve(want);
            self.grown |= self.large || !self.inbox.is_empty();
        }
        let read = match pin!(self.stream.read_buf(&mut self.inbox)).poll(cx) {
            Poll::Ready(read) => read?,
            Poll::Pending => {
                return match &self.lifeline {
                    Some(lifeline) if lifeline.is_cut(cx) => Poll::Ready(Ok(0)),
                    _ => Poll::Pending,
                };
            }
        };
        self.figures.server_received.add(read as u64);
        self.large = read >= READ_BYTES / 2 && self.inbox.len() == self.inbox.capacity()
            || self.large && read >= READ_BYTES;
        Poll::Ready(Ok(read))
    }

    /// Writes what it can of `outbox`; Ready once all is written.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_superseded() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        while !self.outbox.is_empty() {
            let write = pin!(self.stream.write(&self.outbox));
            let written = std::task::ready!(write.poll(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.figures.server_sent.add(written as u64);
            self.outbox.advance(written);
        }
        // What is encrypted may not have left yet; of a bare socket there is nothing to flush.
        std::task::ready!(std::pin::Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.outbox.capacity() > READ_BYTES_LARGE {
            self.outbox = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the server has closed an idle connection, or has something to say on it that was not asked for.
    /// Costs no system call while the reactor has seen nothing.
    pub fn poll_idle(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        if self.stream.is_silent(&mut cx) {
            return self.inbox.is_empty()
                && !self.lifeline.as_ref().is_some_and(|lifeline| lifeline.is_severed());
        }
        match self.poll_fill(&mut cx) {
            Poll::Pending => self.inbox.is_empty(),
            Poll::Ready(_) => false,
        }
    }

    /// ReadyForQuery: settings that were on their way hold from now on, unless what they came with has failed and
    /// was rolled back with them.
    pub fn ready(&mut self, status: TransactionStatus, clean: bool) {
        self.status = status;
        self.undone = None;
        if let Some(settings) = self.applying.take()
            && clean
        {
            self.applied = settings;
        }
    }

    /// Whether another session may have it.
    pub fn is_clean(&self) -> bool {
        !self.broken
            && !self.astray
            && !self.suspect
            && self.status == TransactionStatus::Idle
            && self.inbox.is_empty()
            && self.outbox.is_empty()
            && self.applying.is_none()
            && self.key.cancels_in_flight.load(Ordering::Acquire) == 0
    }

    /// Name under which statement `id` is prepared on every server.
    pub fn statement_name(id: u64) -> StatementName {
        let mut name = *b"mrd_0000000000000000";
        for (i, digit) in name[4..].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(id >> (60 - 4 * i) & 15) as usize];
        }
        name
    }

    /// Makes room for a message of which so many bytes are still to come. What is announced is not believed before some of it
    /// is there.
    pub fn expect_bytes(&mut self, missing: usize) {
        self.inbox.reserve(missing.min(1 << 20));
        self.grown = true;
    }

    /// Gives back memory that a large answer needed.
    pub fn shrink(&mut self) {
        self.large = false;
        // What was consumed of it counts.
        if std::mem::take(&mut self.grown)
            && (self.inbox.capacity() > READ_BYTES_LARGE || self.inbox.try_reclaim(READ_BYTES_LARGE + 1))
        {
            self.inbox = BytesMut::new();
        }
    }

    /// Ends our side of the stream. The server ends its own when it reads that, after what it is doing.
    pub(super) async fn hang_up(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Waits until the server has closed it; what it says before is thrown away. Cancel safe: yes.
    pub(super) async fn closed(&mut self) {
        loop {
            self.inbox.clear();
            match std::future::poll_fn(|cx| self.poll_fill(cx)).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Tells the server that this is the end; for an orderly close of an idle connection.
    pub async fn terminate(mut self) {
        self.outbox.clear();
        encode::client::terminate(&mut self.outbox);
        let _ = std::future::poll_fn(|cx| self.poll_flush(cx)).await;
    }
}

/// 18 of `18.6 (Debian 18.6-3)`; 0 where it is not told.
fn major_version(parameters: &[(String, String)]) -> u32 {
    let version = parameters.iter().find(|(name, _)| name == "server_version").map(|(_, version)| version);
    let digits =
        version.map(|version| version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Which of our statements a server has prepared, bounded, least recently used out first.
#[derive(Debug)]
pub struct StatementSet {
    used: HashMap<u64, Use>,
    tick: u64,
    max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    tick: u64,
    bound: u32,
}

impl StatementSet {
    fn new(max: usize) -> Self {
        Self { used: HashMap::new(), tick: 0, max: max.max(1) }
    }

    /// Those that the server has.
    pub fn ids(&self) -> Vec<u64> {
        self.used.keys().copied().collect()
    }

    /// Whether the server has it; marks it used.
    pub fn touch(&mut self, id: u64) -> bool {
        self.tick += 1;
        match self.used.get_mut(&id) {
            Some(used) => {
                used.tick = self.tick;
                true
            }
            None => false,
        }
    }

    /// The server has it still, though it was to be closed. How often it was bound is not known any more.
    pub fn restore(&mut self, id: u64) {
        self.used.insert(id, Use { tick: self.tick, bound: u32::MAX });
    }

    /// How often it was bound since it was prepared there.
    pub fn bound(&self, id: u64) -> u32 {
        self.used.get(&id).map_or(0, |used| used.bound)
    }

    pub fn note_bound(&mut self, id: u64) {
        if let Some(used) = self.used.get_mut(&id) {
            used.bound = used.bound.saturating_add(1);
        }
    }

    /// Notes a statement that is being prepared; the answer is one to close for it, if the bound is reached.
    pub fn insert(&mut self, id: u64) -> Option<u64> {
        self.tick += 1;
        self.used.insert(id, Use { tick: self.tick, bound: 0 });
        if self.used.len() <= self.max {
            return None;
        }
        let oldest = self.used.iter().min_by_key(|(_, used)| used.tick).map(|(id, _)| *id)?;
        self.used.remove(&oldest);
        Some(oldest)
    }

    pub fn remove(&mut self, id: u64) {
        self.used.remove(&id);
    }

    pub fn clear(&mut self) {
        self.used.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_statement_goes_first() {
        let mut set = StatementSet::new(2);
        assert_eq!(set.insert(1), None);
        assert_eq!(set.insert(2), None);
        assert!(set.touch(1));
        assert_eq!(set.insert(3), Some(2));
        assert!(!set.touch(2));
    }

    #[test]
    fn versions_of_all_spellings_are_read() {
        let major = |text: &str| major_version(&[("server_version".to_owned(), text.to_owned())]);
        assert_eq!(
            (major("18.6 (Debian 18.6-3)"), major("17beta2"), major("?"), major_version(&[])),
            (18, 17, 0, 0)
        );
    }

    #[test]
    fn statement_names_have_one_width() {
        assert_eq!(&Connection::statement_name(0x1f), b"mrd_000000000000001f");
    }
}
