//! A batch of the extended protocol, sorted: runs of messages with one target, in the order in which they came.
//!
//! Filled by `extended`, run by `pipeline`.
//!
//! Invariants:
//! 1. A Parse that nothing uses yet is loose: it goes with the next message that has a place.

use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;

use super::Session;
use super::extended::answers_itself;
use super::interner::Prepared;
use super::perform::Execution;
use super::planning::{Asks, Planned};
use super::statements::{Closed, Entry};
use crate::execute::Confirmed;
use crate::execute::lane::Owed;
use crate::plan::{Access, Effect};
use crate::sql::facts::{Kind, Modes, SessionObject, TransactionCommand};
use crate::topology::ShardId;
use crate::wire::error::SqlError;
use crate::wire::frame::{self, FrameHeader, HEADER_BYTES};
use crate::wire::frontend::{Bind, Describe, Execute, Target};

/// Messages of a batch that go to one place together.
pub(super) struct Segment {
    pub place: Place,
    /// Something of it would be undone by a roll-back.
    pub changes: bool,
    /// It has a transaction command, and ends with it.
    controls: bool,
    /// Which ones of the batch.
    messages: Range<usize>,
}

/// Where messages go.
pub(super) enum Place {
    Shard(ShardPlace),
    Session,
}

impl Place {
    /// The server reads data from the client there.
    pub fn copies_in(&self) -> bool {
        self.planned().is_some_and(Planned::copies_in)
    }

    /// What runs there may end its transaction, which it cannot in a block.
    pub fn may_commit(&self) -> bool {
        self.planned().is_some_and(Planned::may_commit)
    }

    fn planned(&self) -> Option<&Planned> {
        match self {
            Self::Shard(place) => place.planned.as_deref(),
            Self::Session => None,
        }
    }
}

/// They are relayed to one shard.
pub(super) struct ShardPlace {
    pub shard: ShardId,
    /// The strongest of its statements.
    pub access: Access,
    /// The plan that has it; None where a server only judges or describes.
    pub planned: Option<Rc<Planned>>,
    /// Of all its statements.
    pub effect: Effect,
    pub runs_code: bool,
    pub asks: Asks,
}

impl ShardPlace {
    fn new(shard: ShardId, access: Access) -> Self {
        let (effect, asks) = (Effect::Nothing, Asks::Nothing);
        Self { shard, access, planned: None, effect, runs_code: false, asks }
    }
}

/// A message, decoded as far as the session needs it.
pub(super) enum Message {
    Parse {
        prepared: Rc<Prepared>,
        name: Box<[u8]>,
        /// The statement without a name that one without a name takes the place of.
        replaces: Option<Entry>,
    },
    Bind {
        prepared: Rc<Prepared>,
        portal: Box<[u8]>,
        /// What stands behind the names.
        tail: Bytes,
        named: bool,
        /// It has as many parameters as the text.
        counted: bool,
    },
    DescribeStatement {
        prepared: Rc<Prepared>,
        named: bool,
    },
    /// Describe or Close of a portal, Execute: as they are.
    Forward {
        frame: Bytes,
        owed: Owed,
    },
    /// Before an Execute with columns in binary: what is in them, which nobody has asked for.
    Probe {
        /// None: a cursor of SQL's.
        prepared: Option<Rc<Prepared>>,
        portal: Box<[u8]>,
    },
    /// None: there was none of that name.
    CloseStatement(Option<Box<Closed>>),
    /// Portals of the session.
    BindHere,
    /// One that nothing of the batch executes or describes: a server judges it.
    BindJudged(Box<(Rc<Planned>, Execution)>),
    Execute(Box<(Rc<Planned>, Execution)>),
    /// Described before it is executed, or without.
    DescribePortal(Box<(Rc<Planned>, Execution)>),
    /// Describe of a statement that fetches from a cursor over several shards.
    DescribeFetch(String),
    /// Describe of such a cursor itself, by its number.
    DescribeHeld(u64),
    /// Describe of an EXECUTE of a statement that the session keeps.
    DescribeExecute(Rc<Prepared>),
    /// By the portal's number, if there is one.
    ClosePortal(Option<u64>),
    /// Its name was bound again: nobody is told.
    ForgetPortal(u64),
    /// Nothing is left to be done, and its command tag says so.
    Complete(&'static str),
    Fail(SqlError),
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum BatchEnd {
    #[default]
    Sync,
    Flush,
    /// The batch has grown to its bound: what is here is done, the rest follows.
    Full,
}

/// Used again for the next one, of any client.
#[derive(Default)]
pub struct Batch {
    pub(super) segments: Vec<Segment>,
    /// Of all segments, in their order.
    messages: Vec<Message>,
    /// Parses that have no place yet: they go with what uses them.
    pub(super) loose: Vec<Message>,
    pub(super) end: BatchEnd,
    pub executions: usize,
    /// Something runs that a roll-back would undo: of rows, or of settings.
    pub changes: bool,
    pub controls: bool,
    /// What was sorted so far closes portals, or notes which there are, as SAVEPOINT does.
    pub bounds_portals: bool,
    /// A transaction is given modes behind statements that are part of it.
    pub late_modes: bool,
    /// The first of these is a ROLLBACK behind writes: they are to be undone.
    pub undoes: bool,
    pub suspect: bool,
    /// What was sorted so far may change what later texts mean: settings, tables, the end of either.
    pub unsettled: bool,
    /// What was sorted last changes where names are looked up: what follows is planned when it has run.
    pub turns: bool,
    /// Portals that servers have been bound, and that are not executed yet.
    pub waiting: usize,
    /// The number of the first portal that it binds.
    pub first_portal: u64,
    /// One of these is executed behind messages for another server.
    pub across: bool,
}

impl Batch {
    /// Lets go of everything but the room.
    pub fn clear(&mut self) {
        let Self { segments, messages, loose, .. } = std::mem::take(self);
        *self = Self { segments, messages, loose, ..Self::default() };
        self.segments.clear();
        self.messages.clear();
        self.loose.clear();
    }

    /// For how many messages.
    pub fn room(&self) -> usize {
        self.messages.capacity().max(self.segments.capacity()).max(self.loose.capacity())
    }

    pub(super) fn messages(&self, segment: &Segment) -> &[Message] {
        &self.messages[segment.messages.clone()]
    }

    /// What is to be undone, the last first, if segment `at` failed with so much of its own confirmed.
    pub(super) fn unconfirmed(
        &self,
        at: usize,
        confirmed: Confirmed,
    ) -> impl Iterator<Item = (&Message, Untold)> {
        let (own, later) = self.segments.split_at(at + 1);
        let own = own.last().map(|segment| self.messages(segment)).unwrap_or_default();
        let later = later.iter().rev().flat_map(|segment| self.messages(segment).iter().rev());
        later.map(|message| (message, Untold::Skipped)).chain(unconfirmed(own, confirmed))
    }

    /// Appends to the segment of `shard`, or begins one; loose Parses come along.
    pub(super) fn for_shard(
        &mut self,
        shard: ShardId,
        access: Access,
        planned: Option<&Rc<Planned>>,
        message: Option<Message>,
    ) {
        let fits = self.shard_at_hand() == Some(shard);
        if !fits {
            self.begin(Place::Shard(ShardPlace::new(shard, access)));
        }
        let Some(Segment { place: Place::Shard(place), .. }) = self.segments.last_mut() else { return };
        place.asks = planned.map_or(place.asks, |planned| planned.asks.max(place.asks));
        place.effect = planned.map_or(place.effect, |planned| planned.plan.effect.with(place.effect));
        place.runs_code |= planned.is_some_and(|planned| planned.plan.runs_code);
        let strength = |planned: &Rc<Planned>| (planned.plan.access, planned.plan.effect);
        if let Some(planned) = planned
            && place.planned.as_ref().is_none_or(|r| strength(r) <= strength(planned))
        {
            place.planned = Some(Rc::clone(planned));
        }
        place.access = place.access.max(access);
        self.extend(message);
    }

    pub(super) fn for_session(&mut self, message: Message) {
        if !matches!(self.segments.last(), Some(Segment { place: Place::Session, controls: false, .. })) {
            self.begin(Place::Session);
        }
        self.extend(Some(message));
    }

    /// A statement is to be executed. `pinned`: the session is. Returns whether it changes something that a roll-back would undo,
    /// and whether it is transaction control.
    pub(super) fn note_statement(&mut self, planned: &Planned, pinned: bool) -> (bool, bool) {
        use TransactionCommand::{Begin, Commit, Rollback, RollbackTo, Savepoint, SetTransaction};
        let kind = &planned.plan.facts.kind;
        let (changes, controls) = (planned.is_undone_by_roll_back(), planned.is_transaction_control());
        self.changes |= changes;
        self.controls |= controls;
        self.late_modes |= self.executions > 1
            && matches!(kind, Kind::Transaction(Begin(modes) | SetTransaction(modes)) if *modes != Modes::default());
        self.bounds_portals |= matches!(
            kind,
            Kind::Transaction(Commit { .. } | Rollback { .. } | Savepoint(_) | RollbackTo(_))
                | Kind::Session(SessionObject::CloseCursor { .. })
        );
        self.unsettled |= planned.unsettles(pinned);
        self.turns |= planned.turns_reading() || planned.prepares() || planned.changes_schema();
        (changes, controls)
    }

    /// Of what was sorted last.
    pub(super) fn note_execution(&mut self, changes: bool, controls: bool) {
        if let Some(last) = self.segments.last_mut() {
            last.changes |= changes;
            last.controls |= controls;
        }
    }

    /// Whether a server judges the Parse of another statement with what comes next.
    pub fn judges_more_than(&self, prepared: &Rc<Prepared>) -> bool {
        self.loose.iter().any(|message| message.is_unjudged() && !message.parses(prepared))
    }

    /// Whether the statement's Parse is among its messages.
    pub(super) fn parses(&self, statement: &Rc<Prepared>) -> bool {
        self.loose.iter().chain(&self.messages).any(|message| message.parses(statement))
    }

    /// What is bound to change something may be executed behind a Flush: its transaction begins before it is bound.
    pub(super) fn note_binding(&mut self, changes: bool) {
        self.waiting += 1;
        if let Some(last) = self.segments.last_mut() {
            last.changes |= changes;
        }
    }

    /// Whether something is behind what segment `at` changes that may fail without its server's knowledge.
    pub(super) fn goes_on_behind(&self, at: usize, segment: &Segment) -> bool {
        let runs = |message: &&Message| matches!(message, Message::Execute(_) | Message::Fail(_));
        at + 1 < self.segments.len() || self.messages(segment).iter().filter(runs).count() > 1
    }

    pub fn flush_loose_to_session(&mut self) {
        if self.loose.is_empty() {
            return;
        }
        if !matches!(self.segments.last(), Some(Segment { place: Place::Session, .. })) {
            self.begin(Place::Session);
        }
        self.extend(None);
    }

    fn begin(&mut self, place: Place) {
        let at = self.messages.len();
        self.segments.push(Segment { place, changes: false, controls: false, messages: at..at });
    }

    /// Loose Parses, then the message, for the last segment.
    fn extend(&mut self, message: Option<Message>) {
        self.messages.append(&mut self.loose);
        self.messages.extend(message);
        if let Some(last) = self.segments.last_mut() {
            last.messages.end = self.messages.len();
        }
    }

    /// What goes before an Execute of this portal, so that the last description before its rows is its own. `plain`: no
    /// value of its names types.
    pub(super) fn probe(
        &self,
        portal: &[u8],
        prepared: Option<&Rc<Prepared>>,
        plain: bool,
    ) -> Option<Message> {
        let described = match self.segments.last() {
            Some(segment @ Segment { place: Place::Shard(_), .. }) => {
                self.messages(segment).last().and_then(Message::described_portal)
            }
            Some(Segment { place: Place::Session, .. }) | None => None,
        };
        let known = match described {
            Some(described) => described == portal,
            None => plain,
        };
        (!known).then(|| Message::Probe { prepared: prepared.map(Rc::clone), portal: portal.into() })
    }

    pub fn shard_at_hand(&self) -> Option<ShardId> {
        match self.segments.last() {
            Some(Segment { place: Place::Shard(place), .. }) => Some(place.shard),
            _ => None,
        }
    }
}

/// So far a batch is looked through for what becomes of a portal: many may be bound at its front.
const AHEAD: usize = 64;

/// Whether the next message executes this portal.
pub(super) fn executes(bytes: &[u8], portal: &[u8]) -> bool {
    let Some(FrameHeader { tag: b'E', len }) = frame::judged(bytes) else { return false };
    let body = bytes.get(HEADER_BYTES..len).unwrap_or_default();
    Execute::decode(body).is_ok_and(|execute| execute.portal == portal)
}

/// Whether some message executes or describes this portal, before its name is bound again; or may do so, far behind.
pub(super) fn uses(mut bytes: &[u8], portal: &[u8]) -> bool {
    for _ in 0..AHEAD {
        let Some(FrameHeader { tag, len }) = frame::judged(bytes) else { return false };
        let body = bytes.get(HEADER_BYTES..len).unwrap_or_default();
        let used = match tag {
            b'E' => executes(bytes, portal),
            b'D' => Describe::decode(body)
                .is_ok_and(|describe| describe.target == Target::Portal && describe.name == portal),
            b'B' if Bind::decode(body).is_ok_and(|bind| bind.portal == portal) => return false,
            _ => false,
        };
        if used {
            return true;
        }
        bytes = bytes.get(len..).unwrap_or_default();
    }
    true
}

/// Whether some portal is bound that the messages may leave behind, by its name or by not executing it.
pub(super) fn leaves_portals(mut bytes: &[u8]) -> bool {
    while let Some(FrameHeader { tag, len }) = frame::judged(bytes) {
        let body = bytes.get(HEADER_BYTES..len).unwrap_or_default();
        bytes = bytes.get(len..).unwrap_or_default();
        if tag == b'B'
            && let Ok(bind) = Bind::decode(body)
            && (!bind.portal.is_empty() || !runs_unnamed(bytes))
        {
            return true;
        }
    }
    false
}

/// Whether the unnamed portal is executed before it is bound again.
fn runs_unnamed(mut bytes: &[u8]) -> bool {
    while let Some(FrameHeader { tag, len }) = frame::judged(bytes) {
        match tag {
            b'E' if executes(bytes, b"") => return true,
            b'B' => return false,
            _ => bytes = bytes.get(len..).unwrap_or_default(),
        }
    }
    false
}

/// Why the client was not told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untold {
    Failed,
    /// Something before it has failed.
    Skipped,
}

/// Parses and Closes of one segment that the client was not told of, the last first.
pub(super) fn unconfirmed(
    messages: &[Message],
    mut confirmed: Confirmed,
) -> impl Iterator<Item = (&Message, Untold)> {
    let is_open = |message: &&Message| {
        let left = match message {
            Message::Parse { .. } => &mut confirmed.parses,
            Message::CloseStatement(_) => &mut confirmed.closes,
            _ => return false,
        };
        let was_told = *left > 0;
        *left = left.saturating_sub(1);
        !was_told
    };
    let mut failed = confirmed.failed_parse;
    let told = |message: &Message| match message {
        Message::Parse { .. } if std::mem::take(&mut failed) => Untold::Failed,
        _ => Untold::Skipped,
    };
    let open: Vec<&Message> = messages.iter().filter(is_open).collect();
    let untold: Vec<Untold> = open.iter().copied().map(told).collect();
    open.into_iter().zip(untold).rev()
}

impl Message {
    /// The statement that a server is to prepare for it.
    pub(super) fn statement(&self) -> Option<&Rc<Prepared>> {
        match self {
            Self::Parse { prepared, .. }
            | Self::Bind { prepared, .. }
            | Self::DescribeStatement { prepared, .. } => Some(prepared),
            _ => None,
        }
    }

    /// The statement that a Describe is of.
    pub(super) fn described(&self) -> Option<&Rc<Prepared>> {
        match self {
            Self::DescribeStatement { prepared, .. } => Some(prepared),
            _ => None,
        }
    }

    pub(super) fn parsed_name(&self) -> Option<&[u8]> {
        match self {
            Self::Parse { name, .. } => Some(name),
            _ => None,
        }
    }

    pub(super) fn parses(&self, statement: &Rc<Prepared>) -> bool {
        matches!(self, Self::Parse { prepared, .. } if Rc::ptr_eq(prepared, statement))
    }

    /// Whether a server runs something for it.
    pub(super) fn is_execution(&self) -> bool {
        matches!(self, Self::Forward { owed: Owed::Execute { .. }, .. })
    }

    /// The portal that a Describe names.
    fn described_portal(&self) -> Option<&[u8]> {
        let Self::Forward { frame, owed: Owed::Describe { .. } } = self else { return None };
        Describe::decode(&frame[HEADER_BYTES..]).ok().map(|describe| describe.name)
    }

    /// A Parse that a server has not seen, of something that the session does not obey itself as far as is known.
    pub(super) fn is_unjudged(&self) -> bool {
        let Self::Parse { prepared, .. } = self else { return false };
        prepared.planned.borrow().as_ref().is_none_or(|planned| !answers_itself(planned))
    }

    /// Of the session's own segment: it is answered without a server.
    pub(super) fn asks_nobody(&self) -> bool {
        !matches!(self, Self::Execute(_) | Self::DescribeExecute(_) | Self::DescribePortal(_) | Self::Fail(_))
    }

    /// Whether a server must see it: a Parse of something that the session does not obey itself.
    pub(super) fn needs_server(&self, session: &mut Session) -> bool {
        match self {
            Self::Parse { prepared, .. } => {
                !session.block.is_failed()
                    && session.plan_prepared(prepared).is_ok_and(|planned| !answers_itself(&planned))
            }
            _ => false,
        }
    }
}
