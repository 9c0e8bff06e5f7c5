//! A lane: a server connection lent to a session, and the queue of what it owes.
//!
//! `session` writes messages through a lane, `relay` reads the answers against the queue. The queue is what
//! makes pipelining, injected messages and errors in the middle exact: for every message sent there is one entry,
//! and an error takes away the entries that the server will skip.
//!
//! ```text
//!   sent:  Parse*  Bind*  Execute*   Parse  Bind  Execute  Sync        * ours: answers are swallowed
//!   owed:  Parse   Bind   Execute    Parse  Bind  Execute  Sync
//! ```
//!
//! Invariants:
//! 1. `owed` is empty exactly when the server has nothing more to say unasked.
//! 2. After an ErrorResponse to an extended message the server skips to Sync; so does the queue.
//! 3. Settings travel in the pipeline of the statement: if they fail, the statement does not run.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::notifiers::Notifiers;
use super::numbers;
use crate::backend::settings::reset_statement;
use crate::backend::{Connection, Placeholders, Settings};
use crate::catalog::Numbers;
use crate::plan::Effect;
use crate::topology::ShardId;
use crate::wire::backend::ParameterStatus;
use crate::wire::encode;
use crate::wire::frame::HEADER_BYTES;
use crate::wire::frontend::Target;

/// One answer that a server owes, or that we owe the client at this place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    Parse {
        id: Option<u64>,
        hidden: bool,
    },
    Bind {
        hidden: bool,
    },
    /// RowDescription or NoData; ParameterDescription before it, for a statement.
    Describe {
        hidden: bool,
    },
    /// RowDescription, or nothing for the client: the answer to a simple query has no NoData.
    Columns,
    Execute {
        hidden: bool,
    },
    /// The number is that of a statement which is not taken for one of the server's any more.
    Close {
        hidden: bool,
        id: Option<u64>,
    },
    /// ReadyForQuery after extended messages.
    Sync {
        hidden: bool,
    },
    /// A simple query, up to its ReadyForQuery, which the client gets or not.
    Query {
        ready: bool,
    },
    /// A simple query of ours: swallowed whole.
    Hidden(Hidden),
    /// RowDescription or NoData of a portal, which the client has not asked for: whether values in its columns name
    /// types. The number is that of the statement.
    Probe(u64),
    /// Nothing of the server's: we answer here.
    Local(LocalReply),
}

impl Owed {
    /// Whether the client gets nothing of the answer.
    pub const fn is_hidden(self) -> bool {
        match self {
            Self::Parse { hidden, .. }
            | Self::Bind { hidden }
            | Self::Describe { hidden }
            | Self::Execute { hidden }
            | Self::Close { hidden, .. }
            | Self::Sync { hidden } => hidden,
            Self::Hidden(_) | Self::Probe(_) => true,
            Self::Query { .. } | Self::Columns | Self::Local(_) => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// BEGIN, savepoints, settings inside a transaction.
    Prologue,
    /// Asks for the log position after a write; its one value is an LSN.
    Position,
    /// COPY FROM STDIN into a scratch table.
    Fill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalReply {
    ParseComplete,
    CloseComplete,
}

/// Asks for the position that a replica must have replayed to show what was just committed.
pub const POSITION_QUERY: &str = "SELECT pg_catalog.pg_current_wal_insert_lsn()";

#[derive(Debug)]
pub struct Lane {
    pub connection: Box<Connection>,
    pub shard: ShardId,
    pub owed: VecDeque<Owed>,
    /// BEGIN was sent: the connection is inside the session's explicit transaction.
    pub in_block: bool,
    /// Something that may have written went through, in the transaction under way.
    pub wrote: bool,
    /// What went through beside writes.
    pub passing: Effect,
    /// Code of the users' own went through that may have written: its server knows.
    pub ran_code: bool,
    /// It is a replica's.
    pub replica: bool,
    /// Extended messages were answered whose Sync the client has not sent yet.
    pub open_pipeline: bool,
    /// No text of the client's goes out in a Query message: what is taken for one statement must be one.
    pub one_by_one: bool,
    /// It answers from gathered rows, and not for its shard.
    pub scratch: bool,
    /// What the shard calls types, where it is not what the client calls them.
    pub numbers: Option<Arc<Numbers>>,
    /// Statements that the client has just prepared may be ones that the server has of earlier clients: if one fails before
    /// it is run, the client is not told so.
    pub reuses: bool,
    /// Whether the types that it tells of parameters are something new.
    pub notes_parameters: bool,
    /// If it is cancelled because its tables get other definitions, the client is not told so.
    pub runs_again: bool,
    /// The process id that the client was told with its cancel key; 0 where it was told none.
    pub client_pid: u32,
    /// Who others are that notify; None while nobody listens.
    pub notifiers: Option<Arc<Notifiers>>,
    /// Characters of the client's message before the text that the server is sent.
    pub behind: u32,
}

impl Lane {
    pub fn new(connection: Box<Connection>, shard: ShardId, replica: bool) -> Self {
        Self::with_queue(connection, shard, replica, VecDeque::new())
    }

    /// `owed` is empty, and has room from an earlier use.
    pub fn with_queue(
        connection: Box<Connection>,
        shard: ShardId,
        replica: bool,
        owed: VecDeque<Owed>,
    ) -> Self {
        Self {
            connection,
            shard,
            owed,
            in_block: false,
            wrote: false,
            passing: Effect::Nothing,
            ran_code: false,
            replica,
            open_pipeline: false,
            one_by_one: false,
            scratch: false,
            numbers: None,
            reuses: false,
            notes_parameters: false,
            runs_again: false,
            client_pid: 0,
            notifiers: None,
            behind: 0,
        }
    }

    /// The connection is inside the session's transaction from now on, or no more.
    pub fn set_in_block(&mut self, in_block: bool) {
        self.in_block = in_block;
        self.connection.key.in_block.store(in_block, Ordering::Release);
    }

    /// A NotificationResponse that came on this connection is from the process that its client was told. Drivers know by it
    /// which are their own.
    pub fn name_sender(&self, frame: &mut [u8]) {
        let Some(sender) = frame.get_mut(HEADER_BYTES..).and_then(|body| body.first_chunk_mut::<4>()) else {
            return;
        };
        let process = u32::from_be_bytes(*sender);
        let client = match process == self.connection.key.pid {
            true => Some(self.client_pid).filter(|client| *client != 0),
            false => self.notifiers.as_ref().and_then(|known| known.of(self.connection.key.address, process)),
        };
        *sender = client.unwrap_or(process).to_be_bytes();
    }

    /// What is sent may write: not on a replica, whatever it is.
    pub fn note_write(&mut self, writes: bool) {
        self.wrote |= writes && !self.replica;
        if writes {
            self.note_notifier();
        }
    }

    /// What is sent has this effect: where it is no transaction's, as a write has, for the position behind it.
    pub fn note_effect(&mut self, effect: Effect) {
        let both = self.passing.with(effect);
        match effect {
            Effect::Nothing => {}
            Effect::Writes => self.note_write(true),
            Effect::Draws | Effect::Follows | Effect::DrawsAndFollows if !self.in_block => {
                self.note_write(true)
            }
            Effect::Draws | Effect::Follows | Effect::DrawsAndFollows => {
                self.passing = both;
                self.note_notifier();
            }
        }
    }

    /// Of what is sent others may be notified.
    pub fn note_notifier(&self) {
        if let Some(notifiers) = self.notifiers.as_ref().filter(|_| self.client_pid != 0) {
            notifiers.note(self.connection.key.address, self.connection.key.pid, self.client_pid);
        }
    }

    /// Takes the front of the queue off it if this message is the last of its answer. Answers of simple queries and of
    /// Sync end with ReadyForQuery, which is not for here.
    pub fn confirm(&mut self, tag: u8) -> Option<Owed> {
        let ends = match self.owed.front()? {
            Owed::Parse { .. } => tag == b'1',
            Owed::Bind { .. } => tag == b'2',
            Owed::Close { .. } => tag == b'3',
            Owed::Describe { .. } | Owed::Columns | Owed::Probe(_) => matches!(tag, b'T' | b'n'),
            Owed::Execute { .. } => matches!(tag, b'C' | b'I' | b's'),
            Owed::Sync { .. } | Owed::Query { .. } | Owed::Hidden(_) | Owed::Local(_) => false,
        };
        if ends { self.owed.pop_front() } else { None }
    }

    /// Nothing is owed and nothing is torn: no statement can be running there.
    pub fn is_at_rest(&self) -> bool {
        self.owed.is_empty() && !self.connection.broken && !self.open_pipeline
    }

    /// A simple query whose whole frame is at hand. `ready`: its ReadyForQuery is the client's.
    pub fn query_frame(&mut self, frame: &[u8], ready: bool) {
        self.behind = 0;
        self.connection.outbox.extend_from_slice(frame);
        self.connection.unnamed = None;
        self.owed.push_back(Owed::Query { ready });
    }

    /// One statement of a simple query; the session tells the client when it is ready.
    pub fn query(&mut self, sql: &[u8]) {
        if self.one_by_one {
            self.put_statement(sql, Some(Owed::Columns), false);
            self.sync(true);
            return;
        }
        encode::client::query(&mut self.connection.outbox, sql);
        self.connection.unnamed = None;
        self.owed.push_back(Owed::Query { ready: false });
    }

    pub fn hidden_query(&mut self, sql: &str, why: Hidden) {
        encode::client::query(&mut self.connection.outbox, sql.as_bytes());
        self.connection.unnamed = None;
        self.owed.push_back(Owed::Hidden(why));
    }

    /// Puts a statement into the pipeline, without a Sync: if it fails, nothing behind it is executed up to the next one.
    pub fn pipeline(&mut self, sql: &str) {
        self.put_statement(sql.as_bytes(), None, true);
    }

    /// Words of the client's that the session obeys too (SET, SAVEPOINT), up to a ReadyForQuery that is ours.
    pub fn hidden_words(&mut self, sql: &str) {
        if self.one_by_one {
            self.pipeline(sql);
            self.sync(true);
        } else {
            self.hidden_query(sql, Hidden::Prologue);
        }
    }

    /// COPY by itself: one answer is owed, in whatever messages it was asked for.
    pub fn copy(&mut self, sql: &[u8]) {
        if !self.one_by_one {
            return self.query(sql);
        }
        let owed = std::mem::take(&mut self.owed);
        self.put_statement(sql, None, false);
        encode::client::sync(&mut self.connection.outbox);
        self.owed = owed;
        self.owed.push_back(Owed::Query { ready: false });
    }

    fn put_statement(&mut self, sql: &[u8], describe: Option<Owed>, hidden: bool) {
        let out = &mut self.connection.outbox;
        encode::client::parse(out, b"", sql, &[]);
        encode::client::bind(out, &encode::client::Bind::default());
        self.owed.push_back(Owed::Parse { id: None, hidden: true });
        self.owed.push_back(Owed::Bind { hidden: true });
        if let Some(owed) = describe {
            encode::client::describe(out, Target::Portal, b"");
            self.owed.push_back(owed);
        }
        encode::client::execute(out, b"", 0);
        self.owed.push_back(Owed::Execute { hidden });
        self.connection.unnamed = None;
    }

    /// Whether the last thing that is owed is a ReadyForQuery, so that [`super::drain::drain`] comes to its end.
    pub fn ends_with_ready(&self) -> bool {
        matches!(self.owed.back(), Some(Owed::Sync { .. } | Owed::Query { .. } | Owed::Hidden(_)))
    }

    /// Whether everything is answered but our own question for the position.
    pub fn owes_position_only(&self) -> bool {
        self.owed.len() == 1 && self.owed.front() == Some(&Owed::Hidden(Hidden::Position))
    }

    /// Parse for a client's statement. `tail` is the message after its name.
    pub fn parse(&mut self, name: &[u8], tail: &[u8], id: u64, hidden: bool) {
        let kept = Some(id).filter(|_| !name.is_empty());
        match kept {
            None => self.connection.unnamed = Some(id),
            Some(id) => {
                // Before the Parse, which may fail.
                if let Some(evicted) = self.connection.statements.insert(id) {
                    self.forget(evicted);
                }
            }
        }
        let out = &mut self.connection.outbox;
        encode::client::parse_with_tail(out, name, tail);
        if let Some(numbers) = &self.numbers {
            numbers::declare(out, numbers::declared(tail), numbers);
        }
        self.owed.push_back(Owed::Parse { id: kept, hidden });
    }

    /// Has the server forget a statement, so that it can be prepared anew.
    pub fn forget(&mut self, id: u64) {
        self.connection.statements.remove(id);
        let name = Connection::statement_name(id);
        encode::client::close(&mut self.connection.outbox, Target::Statement, &name);
        self.owed.push_back(Owed::Close { hidden: true, id: Some(id) });
    }

    /// Has the server forget all that we have prepared: the client asks what there is.
    pub fn forget_all(&mut self) {
        self.connection.statements.ids().into_iter().for_each(|id| self.forget(id));
    }

    /// A whole extended message of the client's, as it is.
    pub fn forward(&mut self, frame: &[u8], owed: Owed) {
        self.connection.outbox.extend_from_slice(frame);
        self.owed.push_back(owed);
    }

    /// Before an Execute of this portal with columns in binary, where the shard calls types otherwise.
    pub fn probe(&mut self, statement: u64, portal: &[u8]) {
        if self.numbers.is_some() {
            encode::client::describe(&mut self.connection.outbox, Target::Portal, portal);
            self.owed.push_back(Owed::Probe(statement));
        }
    }

    pub fn sync(&mut self, hidden: bool) {
        encode::client::sync(&mut self.connection.outbox);
        self.owed.push_back(Owed::Sync { hidden });
    }

    pub fn flush_message(&mut self) {
        encode::client::flush(&mut self.connection.outbox);
    }

    /// Puts the statements that bring the connection to `wanted` before what follows, without a Sync: one pipeline
    /// with the client's own messages, so that a setting that fails keeps the statement from running.
    ///
    /// Returns true where they must have ended before the next transaction begins, because they are its defaults: the
    /// caller then syncs and drains.
    #[must_use]
    pub fn apply_settings(&mut self, wanted: &Rc<Settings>) -> bool {
        // What is on its way in an open pipeline counts as there.
        let Connection { applied, applying, .. } = &*self.connection;
        let Some(statements) = applying.as_ref().unwrap_or(applied).difference(wanted) else { return false };
        let defaults = statements.iter().any(|statement| statement.contains("default_transaction_"));
        statements.iter().for_each(|statement| self.pipeline(statement));
        self.connection.applying = Some(Rc::clone(wanted));
        defaults
    }

    /// Has the parameters of applications exist that the session has set before, as [`Self::apply_settings`] has settings hold;
    /// called before it.
    pub fn introduce(&mut self, placeholders: &Placeholders, wanted: &Settings) {
        let Connection { applied, placeholders: there, .. } = &*self.connection;
        if placeholders.are_within(there) {
            return;
        }
        // Those that are set, or will be, exist.
        let missing = placeholders.beyond(there);
        let missing = missing.filter(|name| applied.get(name).is_none() && wanted.get(name).is_none());
        let missing: Vec<String> = missing.map(reset_statement).collect();
        missing.iter().for_each(|statement| self.pipeline(statement));
        let Connection { applied, applying, placeholders: there, .. } = &mut *self.connection;
        if !missing.is_empty() {
            applying.get_or_insert_with(|| Rc::clone(applied));
        }
        there.add(placeholders);
    }

    /// Settings that are on their way get a Sync of their own; whether there are any.
    pub fn end_settings(&mut self) -> bool {
        let any = self.connection.applying.is_some();
        if any {
            self.sync(true);
        }
        any
    }

    /// Whether the parameter that the server reports is only back at its value from before settings that were undone.
    pub fn is_undone(&self, status: &ParameterStatus<'_>) -> bool {
        let Some(undone) = &self.connection.undone else { return false };
        let name = std::str::from_utf8(status.name).unwrap_or_default().to_ascii_lowercase();
        undone.get(&name).is_some()
    }

    /// The server skips everything up to Sync: so do we. Statements that were not prepared are forgotten, and those that were
    /// not closed are not.
    pub fn skip_to_sync(&mut self) {
        // Settings that were on their way are rolled back with their pipeline, whenever its end comes.
        self.connection.undone = self.connection.applying.take();
        let mut left = SmallVec::<[u64; 4]>::new();
        while let Some(front) = self.owed.front() {
            match front {
                Owed::Sync { .. } => break,
                Owed::Parse { id: Some(id), .. } => self.connection.statements.remove(*id),
                Owed::Parse { id: None, .. } => self.connection.unnamed = None,
                // Discarded by the server until a Sync comes, which only we can send.
                Owed::Query { .. } | Owed::Hidden(_) => {
                    let hidden = !matches!(front, Owed::Query { ready: true });
                    encode::client::sync(&mut self.connection.outbox);
                    self.owed.pop_front();
                    self.owed.push_front(Owed::Sync { hidden });
                    break;
                }
                Owed::Close { id: Some(id), .. } => left.push(*id),
                Owed::Bind { .. }
                | Owed::Describe { .. }
                | Owed::Columns
                | Owed::Probe(_)
                | Owed::Execute { .. }
                | Owed::Close { id: None, .. }
                | Owed::Local(_) => {}
            }
            self.owed.pop_front();
        }
        left.into_iter().for_each(|id| self.connection.statements.restore(id));
    }
}
