//! Portals of the session by the client's names: bound statements that wait for their Execute.
//!
//! Kept by `extended`, which sorts the messages; `control` and `setting` close what a transaction's end, ROLLBACK TO and
//! DISCARD close. A portal is on a server, or the session performs it itself.
//!
//! Invariants:
//! 1. A portal lives no longer than its transaction, nor than the savepoint that it was bound after.
//! 2. A name that is taken is refused.

use std::rc::Rc;

use bytes::Bytes;
use hashbrown::HashMap;

use super::everywhere::command_words;
use super::interner::Prepared;
use super::perform::{Execution, Pieces};
use super::planning::Planned;
use crate::sql::facts::{DdlScope, Delete, Discard, Insert, Kind, SessionObject, Update};
use crate::topology::ShardId;
use crate::wire::error::{SqlError, SqlState};

#[derive(Debug, Default)]
pub(super) struct Portals {
    pub known: HashMap<Box<[u8]>, Portal>,
    next: u64,
    changes: Changes,
    /// Something was executed since the last Sync, or the end of a transaction.
    executed: bool,
}

/// How many statements were run that may have changed what others answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Of rows, or of how statements are read.
    any: u64,
    /// Of how statements are read.
    reading: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Portal {
    /// In the order of their making.
    pub number: u64,
    pub prepared: Rc<Prepared>,
    pub planned: Rc<Planned>,
    /// Body of the Bind.
    pub bind: Bytes,
    /// Some column is asked for in binary.
    pub binary: bool,
    pub home: Home,
    /// The Parse of its statement is of the same batch.
    pub parsed_with: bool,
    /// It has no name, and its server has been asked something of ours since, which takes its place.
    pub lost: bool,
    /// The client wants a RowDescription of a portal of the session's own.
    pub describe: bool,
    pub spent: bool,
    /// Its rows are fetched in pieces.
    pub in_pieces: bool,
    /// It was executed for the first of its rows only, on a server that has let go of it.
    pub cut: bool,
    /// [`Portals::changes`] when it was bound.
    pub bound_behind: Changes,
    /// It was bound in a transaction that had failed.
    pub in_failed: bool,
}

impl Portal {
    /// As Bind makes it.
    pub fn new(
        number: u64,
        (prepared, planned): (&Rc<Prepared>, &Rc<Planned>),
        bind: Bytes,
        home: Home,
    ) -> Self {
        Self {
            number,
            prepared: Rc::clone(prepared),
            planned: Rc::clone(planned),
            bind,
            binary: false,
            home,
            parsed_with: false,
            lost: false,
            describe: false,
            spent: false,
            in_pieces: false,
            cut: false,
            bound_behind: Changes::default(),
            in_failed: false,
        }
    }

    /// Whether it would see what was changed since its Bind, as one that servers are asked for at Execute does; PostgreSQL has
    /// read its text by then, and a query's rows are those of the Bind. `changes`: [`Portals::changes`].
    pub fn sees_later(&self, changes: Changes) -> bool {
        let kind = &self.planned.plan.facts.kind;
        let writes = kind.target().is_some() || matches!(kind, Kind::ModifyingWith);
        let sees = match kind {
            Kind::Select { .. } => self.bound_behind != changes,
            _ => writes && self.bound_behind.reading != changes.reading,
        };
        sees && !self.spent && self.home == Home::Session
    }

    /// Of this portal of the session's own.
    pub fn execution(&self, rows_max: i32, pieces: Pieces) -> Execution {
        Execution {
            prepared: Rc::clone(&self.prepared),
            bind: self.bind.clone(),
            describe: self.describe,
            rows_max,
            portal: self.number,
            pieces,
            parsed_with: self.parsed_with,
        }
    }
}

/// Who has the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// A server: its messages are relayed.
    Shard(ShardId),
    /// The session: performed as a whole at Execute.
    Session,
}

impl Portals {
    /// The number of what is forgotten.
    pub fn forget_unnamed(&mut self) -> Option<u64> {
        self.known.remove(&b""[..]).map(|portal| portal.number)
    }

    pub fn clear(&mut self) {
        self.known.clear();
        self.executed = false;
    }

    /// Before an Execute. PostgreSQL runs what no transaction may have around it only as the first of a pipeline. Not for
    /// blocks, of which it speaks otherwise.
    pub fn check_first(&self, name: &[u8]) -> Result<(), SqlError> {
        let portal = if self.executed { self.known.get(name) } else { None };
        let by_itself = |portal: &&Portal| {
            matches!(
                portal.planned.plan.facts.kind,
                Kind::Ddl { scope: DdlScope::OutsideTransaction, .. }
                    | Kind::Maintenance { scope: DdlScope::OutsideTransaction }
                    | Kind::Session(SessionObject::Discard(Discard::All))
            )
        };
        let Some(portal) = portal.filter(by_itself) else { return Ok(()) };
        let message =
            format!("{} cannot be executed within a pipeline", command_words(portal.prepared.text()));
        Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message))
    }

    /// The session asks servers itself: what is bound there without a name is gone.
    pub fn lose_unnamed(&mut self) {
        if let Some(portal) = self.known.get_mut(&b""[..]) {
            portal.lost = portal.home != Home::Session;
        }
    }

    /// As `lose_unnamed`, of one that was bound before this number.
    pub fn lose_unnamed_before(&mut self, first: u64) {
        if self.known.get(&b""[..]).is_some_and(|portal| portal.number < first) {
            self.lose_unnamed();
        }
    }

    /// The number that the next portal or cursor gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// What had the name before.
    pub fn insert(&mut self, name: &[u8], portal: Portal) -> Option<Portal> {
        self.known.insert(name.into(), Portal { bound_behind: self.changes, ..portal })
    }

    /// One of this name is executed.
    pub fn note_execution(&mut self, name: &[u8], home: Home, planned: &Planned) {
        if home == Home::Session {
            self.lose_unnamed();
        }
        self.note_change(planned);
        self.executed |= !matches!(planned.plan.facts.kind, Kind::Empty);
        if planned.ends_transaction() {
            self.executed = false;
            // All others with it, whoever has them.
            self.known.retain(|known, _| **known == *name);
        }
    }

    /// A statement is run that may change what others answer.
    pub fn note_change(&mut self, planned: &Planned) {
        self.changes.any += u64::from(planned.may_change_answers());
        self.changes.reading += u64::from(planned.turns_reading());
    }

    pub fn changes(&self) -> Changes {
        self.changes
    }

    /// ROLLBACK TO a savepoint closes what was bound after it.
    pub fn close_since(&mut self, first: u64) {
        self.known.retain(|_, portal| portal.number < first);
    }

    /// CLOSE knows portals, too: the number of the one that it closes.
    pub fn close(&mut self, name: &str) -> Option<u64> {
        self.known.remove(name.as_bytes()).map(|portal| portal.number)
    }

    /// Whether one with a name is not on this shard's server.
    pub fn has_named_elsewhere(&self, shard: ShardId) -> bool {
        self.has_named(|home| home != Home::Shard(shard))
    }

    /// Whether a server of the shard has some.
    pub fn has_some_on(&self, shard: ShardId) -> bool {
        self.known.values().any(|portal| portal.home == Home::Shard(shard))
    }

    pub fn has_named_on(&self, shard: ShardId) -> bool {
        self.has_named(|home| home == Home::Shard(shard))
    }

    pub fn has_named_on_servers(&self) -> bool {
        self.has_named(|home| home != Home::Session)
    }

    fn has_named(&self, at: impl Fn(Home) -> bool) -> bool {
        self.known.iter().any(|(name, portal)| !name.is_empty() && at(portal.home))
    }

    pub fn home(&self, name: &str) -> Option<Home> {
        self.known.get(name.as_bytes()).map(|portal| portal.home)
    }

    /// Whether a name is taken: the server of the one that has it may have been left for another since. What has ended its
    /// transaction went with that.
    pub fn is_taken(&self, name: &[u8]) -> bool {
        let stays = |portal: &Portal| !portal.spent || !portal.planned.ends_transaction();
        !name.is_empty() && self.known.get(name).is_some_and(stays)
    }
}

/// It has been run, and has nothing left.
pub(super) fn cannot_be_run(name: &[u8]) -> SqlError {
    let message = format!("portal \"{}\" cannot be run", String::from_utf8_lossy(name));
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

/// What Execute is answered for a portal of the session's own that has given all of its rows; None: it cannot be run again.
pub(super) fn finished(planned: &Planned) -> Option<&'static str> {
    match planned.plan.facts.kind {
        Kind::Select { into: false, .. } | Kind::ModifyingWith => Some("SELECT 0"),
        Kind::Insert(Insert { returning: true, .. }) => Some("INSERT 0 0"),
        Kind::Update(Update { returning: true, .. }) => Some("UPDATE 0"),
        Kind::Delete(Delete { returning: true, .. }) => Some("DELETE 0"),
        Kind::Show { .. } => Some("SHOW"),
        Kind::Explain(_) => Some("EXPLAIN"),
        Kind::Session(SessionObject::Fetch { moves: false, .. }) => Some("FETCH 0"),
        _ => None,
    }
}

pub(super) fn unknown_portal(name: &[u8]) -> SqlError {
    SqlError::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("portal \"{}\" does not exist", String::from_utf8_lossy(name)),
    )
}
