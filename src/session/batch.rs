//! A batch of the extended protocol, sorted: runs of messages with one target, in the order in which they came.
//!
//! Filled by `extended`, run by `pipeline`.
//!
//! Invariants:
//! 1. A Parse that nothing uses yet is loose: it goes with the next message that has a place.

use std::rc::Rc;

use bytes::Bytes;

use super::Session;
use super::extended::answers_itself;
use super::perform::Execution;
use super::planning::Planned;
use super::statements::Prepared;
use crate::execute::lane::Owed;
use crate::plan::Access;
use crate::topology::ShardId;
use crate::wire::error::SqlError;
use crate::wire::frame::HEADER_BYTES;
use crate::wire::frontend::Describe;

/// Messages of a batch that go to one place together.
pub(super) enum Segment {
    Shard(ShardSegment),
    Session(Vec<Message>),
}

/// Messages that are relayed to one shard.
pub(super) struct ShardSegment {
    pub shard: ShardId,
    /// The strongest of its statements.
    pub access: Access,
    /// The plan that has it; None where a server only judges or describes.
    pub planned: Option<Rc<Planned>>,
    pub messages: Vec<Message>,
}

/// A message, decoded as far as the session needs it.
pub(super) enum Message {
    Parse {
        prepared: Rc<Prepared>,
        name: Box<[u8]>,
    },
    Bind {
        prepared: Rc<Prepared>,
        portal: Box<[u8]>,
        body: Bytes,
        named: bool,
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
    CloseStatement,
    /// Portals of the session.
    BindHere,
    Execute(Box<(Rc<Planned>, Execution)>),
    /// Describe of a statement that fetches from a cursor over several shards.
    DescribeFetch(String),
    /// Describe of such a cursor itself, by its number.
    DescribeHeld(u64),
    /// By the portal's number, if there is one.
    ClosePortal(Option<u64>),
    /// Its name was bound again: nobody is told.
    ForgetPortal(u64),
    Fail(SqlError),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchEnd {
    Sync,
    Flush,
    /// The batch has grown to its bound: what is here is done, the rest follows.
    Full,
}

pub(super) struct Batch {
    pub segments: Vec<Segment>,
    /// Parses that have no place yet: they go with what uses them.
    pub loose: Vec<Message>,
    pub end: BatchEnd,
    pub executions: usize,
    /// Something runs that a roll-back would undo: of rows, or of settings.
    pub changes: bool,
    pub controls: bool,
    /// The first of these is a ROLLBACK behind writes: they are to be undone.
    pub undoes: bool,
    pub suspect: bool,
}

impl Batch {
    /// Appends to the segment of `shard`, or begins one; loose Parses come along.
    pub fn for_shard(
        &mut self,
        shard: ShardId,
        access: Access,
        planned: Option<&Rc<Planned>>,
        message: Option<Message>,
    ) {
        let fits = matches!(self.segments.last(), Some(Segment::Shard(segment)) if segment.shard == shard);
        if !fits {
            self.segments.push(Segment::Shard(ShardSegment {
                shard,
                access,
                planned: None,
                messages: Vec::new(),
            }));
        }
        let Some(Segment::Shard(segment)) = self.segments.last_mut() else { return };
        if let Some(planned) = planned
            && segment.planned.as_ref().is_none_or(|r| r.plan.access <= planned.plan.access)
        {
            segment.planned = Some(Rc::clone(planned));
        }
        segment.access = segment.access.max(access);
        segment.messages.append(&mut self.loose);
        segment.messages.extend(message);
    }

    pub fn for_session(&mut self, message: Message) {
        self.flush_loose_to_session();
        if let Some(Segment::Session(messages)) = self.segments.last_mut() {
            messages.push(message);
        } else {
            self.segments.push(Segment::Session(vec![message]));
        }
    }

    pub fn flush_loose_to_session(&mut self) {
        if self.loose.is_empty() {
            return;
        }
        let loose = std::mem::take(&mut self.loose);
        match self.segments.last_mut() {
            Some(Segment::Session(messages)) => messages.extend(loose),
            _ => self.segments.push(Segment::Session(loose)),
        }
    }

    /// What goes before an Execute of this portal, so that the last description before its rows is its own. `plain`: no
    /// value of its names types.
    pub fn probe(&self, portal: &[u8], prepared: Option<&Rc<Prepared>>, plain: bool) -> Option<Message> {
        let described = match self.segments.last() {
            Some(Segment::Shard(segment)) => segment.messages.last().and_then(Message::described_portal),
            Some(Segment::Session(_)) | None => None,
        };
        let known = match described {
            Some(described) => described == portal,
            None => plain,
        };
        (!known).then(|| Message::Probe { prepared: prepared.map(Rc::clone), portal: portal.into() })
    }

    pub fn shard_at_hand(&self) -> Option<ShardId> {
        match self.segments.last() {
            Some(Segment::Shard(segment)) => Some(segment.shard),
            _ => None,
        }
    }
}

impl Segment {
    pub fn parsed_names(&self) -> Vec<Box<[u8]>> {
        let messages = match self {
            Self::Shard(ShardSegment { messages, .. }) | Self::Session(messages) => messages,
        };
        let name = |message: &Message| match message {
            Message::Parse { name, .. } => Some(name.clone()),
            _ => None,
        };
        messages.iter().filter_map(name).collect()
    }
}

impl Message {
    /// Whether a server runs something for it.
    pub(super) fn is_execution(&self) -> bool {
        matches!(self, Self::Forward { owed: Owed::Execute { .. }, .. })
    }

    /// The portal that a Describe names.
    fn described_portal(&self) -> Option<&[u8]> {
        let Self::Forward { frame, owed: Owed::Describe { .. } } = self else { return None };
        Describe::decode(&frame[HEADER_BYTES..]).ok().map(|describe| describe.name)
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
