//! One client's life: login, its messages in order, its transaction, its settings, its prepared statements, its end.
//!
//! Called by `server` with an accepted socket; calls `sql` and `plan` to decide, `execute` to move bytes, `backend` for
//! connections. A session is one task on one worker thread.
//!
//! ```text
//!   greet ─▶ run: ┌─ next message(s) ─▶ simple │ extended ─┐
//!                 │                        plan, bind       │
//!                 │    join lanes (BEGIN is lazy) ─▶ perform│
//!                 └──────────── settle (give lanes back) ◀──┘
//! ```
//!
//! Invariants:
//! 1. Each request of the client gets exactly the answers that PostgreSQL would give to it, in order, and every failure
//!    is one ErrorResponse; a protocol violation ends this client alone.
//! 2. Between statements the session holds only the lanes that its transaction, an open pipeline or a pin needs.
//! 3. A write goes to one shard of a transaction only, unless it goes everywhere by two-phase commit.
//! 4. Settings of this session are on every lane before its statements run there, and nowhere else.
//!
//! Not here: how bytes are moved (`execute`), what a statement needs (`plan`), who is primary (`health`).

mod admission;
mod batch;
mod block;
pub mod board;
pub mod cancel;
pub mod census;
mod combine;
mod commit;
mod console;
mod control;
mod copies;
mod copy;
mod cursors;
pub mod deadlocks;
mod definitions;
mod described;
mod encoding;
mod everywhere;
mod explain;
mod exported;
mod extended;
mod fence;
mod greet;
pub mod greeting;
mod held;
mod idle;
mod in_use;
pub mod interner;
mod lanes;
mod leftovers;
pub mod lookup;
mod open_pipelines;
mod orders;
mod perform;
mod pipeline;
pub mod planning;
mod portals;
mod positions;
pub mod redefinition;
mod replication;
mod report;
mod reuse;
mod scratch;
mod search_path;
mod servers;
pub mod set_config;
mod setting;
mod shadows;
pub mod shared;
mod signals;
mod simple;
mod snapshot;
mod sql_prepared;
mod statements;
pub mod syntax;
mod unasked;
mod watch;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use block::Block;
use cancel::CancelTarget;
use shared::{ClientInfo, Doing, Live, Registered, Worker};
use statements::Statements;

pub use console::{ConsoleClient, Word as ConsoleWord};
pub use greet::{CONSOLE_DATABASE, serve};

use crate::backend::strike::Strike;
use crate::backend::{Account, Settings};
use crate::execute::{ClientStream, Lane, Told};
use crate::topology::{Consistency, RegionId, ShardId, WriteToken};
use crate::wire::encoding::Encoding;
use crate::wire::error::{Severity, SqlError};
use crate::wire::frame::{self, FrameHeader, Limits, Phase};

/// One connected client.
pub struct Session {
    worker: Rc<Worker>,
    /// The settings in force when the last request came.
    live: Arc<Live>,
    client: ClientStream,
    told: Told,
    limits: Limits,
    user: Rc<str>,
    fence: fence::Fence,
    account: Rc<Account>,
    /// Key of the pools: the server account's name.
    pool_user: Rc<str>,
    settings: Rc<Settings>,
    /// What DISCARD ALL and RESET ALL go back to: the start-up packet's settings.
    initial: Rc<Settings>,
    initial_encoding: Option<&'static Encoding>,
    /// The one whose name the client has heard last.
    told_encoding: Option<&'static Encoding>,
    own: OwnSettings,
    /// Names and values of the start-up packet.
    own_at_start: Vec<(String, String)>,
    statements: Statements,
    portals: portals::Portals,
    block: Block,
    lanes: Vec<Lane>,
    pin: Option<&'static str>,
    tokens: Vec<Option<WriteToken>>,
    context: planning::Context,
    /// Where the worker's plans had that of the last text.
    familiar: usize,
    following: Following,
    cancel: Arc<CancelTarget>,
    info: Arc<ClientInfo>,
    _registered: Registered,
    /// Shards on which cursors of the transaction are open, by name.
    cursors: std::collections::HashMap<String, ShardId>,
    /// Cursors and portals over several shards.
    held: held::HeldSessions,
    /// Notifications that came while something of ours ran: told just before ReadyForQuery.
    late: bytes::BytesMut,
    /// Temporary relations and types on the pinned server.
    temporary: shadows::Temporary,
    /// Applications' own parameters that functions may have set on connections that were not asked yet.
    set_by_functions: std::collections::BTreeSet<String>,
    /// The open transaction has made or dropped some of them.
    temporary_touched: bool,
    /// Applications' own parameters that the session has ever set.
    placeholders: crate::backend::Placeholders,
    /// Whether what runs may ask for such parameters.
    asks: planning::Asks,
    /// Messages are thrown away up to Sync, because one before them failed.
    skipping: bool,
    /// How the request came that is being served.
    request: Request,
    /// Characters of its message before the statement that runs.
    behind: u32,
    /// COPY in the extended protocol has used up the Sync that came before its data: the next one is answered.
    awaiting_sync: bool,
    /// What pauses there had been when the transaction or statement under way took its first server.
    begun_at: std::cell::Cell<u64>,
    /// How the statement that runs now went so far.
    passage: watch::Passage,
    last_tag: simple::LastTag,
}

/// What follows from the settings in force.
#[derive(Default)]
struct Following {
    /// How texts are read.
    dialect: interner::Dialect,
    /// How long the client may say nothing, and a statement wait.
    bounds: idle::TimeBounds,
    /// Transactions begin so, which no replica lets them.
    serializable: bool,
}

/// Settings that are Meridian's own: `meridian.*`, and what it does itself of `client_encoding`.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnSettings {
    pub consistency: Consistency,
    pub max_lag: Duration,
    /// Reads count distance from here.
    pub region: RegionId,
    /// The client's encoding, if it is one of single bytes; None: it is the servers' matter.
    pub encoding: Option<&'static Encoding>,
}

/// The two protocols of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// Query, FunctionCall.
    Simple,
    /// Parse, Bind, Execute and their like, up to Sync.
    Extended,
}

/// What a session that waits for its client has heard.
enum Word {
    /// The client has sent something.
    Client,
    Gone,
    /// A server that the session holds has said something unasked. The number is the lane's.
    Server(usize),
    ServerGone(usize),
    /// By an operator, or because the process ends.
    Dismissed,
    /// The client has said nothing for too long.
    TooLate,
}

/// Why a session is over.
enum End {
    /// Terminate, or the socket closed.
    Client,
    /// Told to the client before the socket is closed.
    Fatal(SqlError),
}

/// A failure inside a statement.
enum Failure {
    /// The client is told; the session goes on.
    Sql(SqlError),
    /// The client has already been told: a server's own ErrorResponse was forwarded.
    Told,
    /// The session is over.
    End(End),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

type Outcome = Result<(), Failure>;

impl Session {
    /// Serves the client until it leaves or must leave.
    async fn run(mut self: Box<Self>) {
        let end = self.serve_messages().await;
        if let End::Fatal(error) = end {
            self.tell_fatal(&error).await;
        }
        Box::pin(self.close()).await;
    }

    async fn serve_messages(&mut self) -> End {
        loop {
            match self.next_header().await {
                Ok(header) => {
                    if let Err(end) = self.on_message(header).await {
                        return end;
                    }
                }
                Err(end) => return end,
            }
        }
    }

    /// Dispatches on the message at the front of the inbox, which is whole.
    async fn on_message(&mut self, header: FrameHeader) -> Result<(), End> {
        if self.info.is_dismissed() {
            return Err(End::Fatal(dismissed()));
        }
        self.info.set_doing(Doing::Active);
        self.request = if matches!(header.tag, b'Q' | b'F') { Request::Simple } else { Request::Extended };
        match header.tag {
            b'Q' if !self.skipping => self.simple_query(header).await?,
            b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'S' => self.extended_batch().await?,
            b'F' if !self.skipping => Box::pin(self.function_call(header)).await?,
            b'X' => return Err(End::Client),
            // COPY messages that were on their way when the copy failed, and what a failed pipeline skips.
            _ => {
                let _ = self.client.inbox.split_to(header.len);
            }
        }
        self.settle().await?;
        if !self.late.is_empty() {
            self.tell_late();
        }
        if !self.client.outbox.is_empty() && self.client.flush().await.is_err() {
            return Err(End::Client);
        }
        self.client.shrink();
        Ok(())
    }

    /// Waits until a whole message is at the front of the inbox. In a block it is all of it that must come in time, as in
    /// PostgreSQL: bytes that come one by one keep no transaction open.
    async fn next_header(&mut self) -> Result<FrameHeader, End> {
        let deadline = self.idle_deadline();
        loop {
            match frame::peek_frontend(&self.client.inbox, Phase::Query, &self.limits) {
                Ok(Some(header)) if self.client.inbox.len() >= header.len => return Ok(header),
                Ok(Some(header)) => self.client.expect_bytes(header.len),
                Ok(None) => {}
                Err(error) => return Err(End::Fatal(error.into())),
            }
            self.await_client(deadline).await?;
        }
    }

    /// Waits for bytes of the client; meanwhile heeds what servers say unasked (`unasked`).
    async fn await_client(&mut self, deadline: Option<tokio::time::Instant>) -> Result<(), End> {
        let open = self.block.is_open();
        self.info.set_doing(if open { Doing::IdleInTransaction } else { Doing::Idle });
        let word = match deadline {
            None => poll_fn(|cx| self.poll_word(cx)).await,
            Some(deadline) => {
                let word = tokio::time::timeout_at(deadline, poll_fn(|cx| self.poll_word(cx))).await;
                word.unwrap_or(Word::TooLate)
            }
        };
        match word {
            Word::Client => Ok(()),
            Word::Gone => Err(End::Client),
            Word::Dismissed => Err(End::Fatal(dismissed())),
            Word::TooLate => Err(End::Fatal(self.idle_for_too_long())),
            Word::Server(index) => self.on_server_word(index).await,
            Word::ServerGone(index) => self.on_server_gone(index, None),
        }
    }

    /// The next word of the client, of a server that is held, or of who may end the session. Cancel safe: yes.
    fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<Word> {
        if self.must_go() {
            return Poll::Ready(Word::Dismissed);
        }
        if let Poll::Ready(word) = self.poll_servers(cx) {
            return Poll::Ready(word);
        }
        match self.client.poll_fill(cx) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Word::Gone),
            Poll::Ready(Ok(_)) => Poll::Ready(Word::Client),
            Poll::Pending => {
                self.client.release_inbox();
                self.info.listen(cx);
                // It may have been said just before.
                if self.must_go() { Poll::Ready(Word::Dismissed) } else { Poll::Pending }
            }
        }
    }

    /// Who is in the middle of something may end it before the process does.
    fn must_go(&self) -> bool {
        let busy = self.block.is_open() || !self.client.inbox.is_empty();
        self.info.is_dismissed() || !busy && self.worker.shared.stopping.has_begun()
    }

    fn default_shard(&self) -> ShardId {
        self.context.planning.topology.default_shard
    }
}

/// What PostgreSQL says to a client that an operator sends away.
pub fn dismissed() -> SqlError {
    Strike::Shutdown.error().severity(Severity::Fatal)
}
