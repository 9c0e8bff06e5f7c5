//! The session's transaction block: what BEGIN promised, and what a lane must be told when it joins late.
//!
//! Pure state. BEGIN touches no server: each shard that a statement needs joins then, and hears everything that the
//! transaction has said so far (its *prologue*: BEGIN with its modes, SET TRANSACTION, SET LOCAL, savepoints).
//!
//! ```text
//!   BEGIN; SAVEPOINT a; UPDATE x…   (shard 1 joins: BEGIN, SAVEPOINT a, UPDATE)
//!   ROLLBACK TO a; SELECT y…        (shard 2 joins: BEGIN, SAVEPOINT a, ROLLBACK TO a, SELECT)
//! ```
//!
//! Invariants:
//! 1. Replaying the prologue on a fresh connection gives the transaction state of one that was there from the start,
//!    rows apart.
//! 2. `failed` is set by the first error; only ROLLBACK, COMMIT (as ROLLBACK) and ROLLBACK TO a live savepoint pass.
//! 3. Settings made inside come back with ROLLBACK, and with ROLLBACK TO a savepoint set before them.

use std::rc::Rc;

use super::OwnSettings;
use super::definitions::Definitions;
use super::snapshot::Snapshot;
use crate::backend::Settings;
use crate::sql::facts::{Isolation, Modes};
use crate::wire::error::SqlError;

/// The `server_version_num` from which pipelines are blocks.
const BLOCKS_OF_PIPELINES: u32 = 180_000;

/// How the transaction came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// BEGIN.
    Explicit,
    /// Several statements in one message: PostgreSQL runs them as one transaction.
    Implicit,
}

#[derive(Debug, Default)]
pub enum Block {
    #[default]
    None,
    Open(Box<Transaction>),
}

#[derive(Debug)]
pub struct Transaction {
    pub origin: Origin,
    /// First is BEGIN with its modes.
    pub prologue: Vec<String>,
    pub read_only: bool,
    pub isolation: Isolation,
    pub deferrable: bool,
    /// The modes that it has begun with, before BEGIN's own words.
    began: Modes,
    pub snapshot: Snapshot,
    /// When it began, once that was asked.
    pub time: Option<Rc<str>>,
    pub failed: bool,
    /// The client may have been told when it began, by the clock of one of its servers.
    pub told_time: bool,
    /// LOCK TABLE: another session, even of ours, may have to wait for it.
    pub locked: bool,
    /// It has locks that no replica gives, or was told READ WRITE or SERIALIZABLE, though it may be read-only.
    pub on_primaries: bool,
    /// A statement of its pipeline has run.
    pub ran: bool,
    /// A statement went to every shard: commit by two phases.
    pub everywhere: bool,
    /// DDL was run: the catalog must be read again after COMMIT.
    pub schema_changed: bool,
    savepoints: Vec<Savepoint>,
    /// As it was before BEGIN.
    settings_before: Rc<Settings>,
    own_before: OwnSettings,
    /// What COMMIT goes back to, after SET LOCAL of a setting of ours.
    pub own_after: Option<OwnSettings>,
    /// A server of the transaction is gone with its part: only roll-back remains.
    pub lanes_lost: bool,
    /// Why it failed while its client said nothing: told with the next statement.
    pub unsaid: Option<Box<SqlError>>,
    /// It has settings that are not the session's: of SET LOCAL, or of functions.
    pub settings_changed: bool,
    /// The session's settings with those of SET LOCAL; None: it has none.
    pub in_force: Option<Rc<Settings>>,
    /// A function may have changed settings on its lane alone: no other lane may join.
    pub one_lane: bool,
    /// The prologue sets by function what stays behind COMMIT: each connection that hears it is asked what became of it.
    pub prologue_stays: bool,
    /// Parameters that were set by function on the only lane there is.
    pub unlearned: Vec<String>,
    /// Names in the DDL of this transaction.
    pub changed: std::collections::HashSet<String>,
    /// Those of it that others may have been planned by.
    pub redefined: std::collections::HashSet<String>,
    /// That DDL may have changed what is read or written by other names than a statement's own: views, functions, renamed things.
    pub changed_code: bool,
    /// That DDL may have changed types, or what is done with values: other sessions have others.
    pub changed_meaning: bool,
    /// What it sees since, once that was asked.
    pub definitions: Option<Definitions>,
    /// ROLLBACK TO may have brought temporary tables back, or taken them.
    pub rolled_back_to: bool,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    /// Length of the prologue just after SAVEPOINT.
    prologue: usize,
    /// Of the transaction at that time: what is within a savepoint goes with it, also where it is released.
    read_only: bool,
    before: Before,
}

/// What a savepoint goes back to.
#[derive(Debug, Clone)]
pub struct Before {
    pub settings: Rc<Settings>,
    pub in_force: Option<Rc<Settings>>,
    pub own: OwnSettings,
    /// Portals bound and cursors declared since have this number or a later one.
    pub first_portal: u64,
}

impl Block {
    /// Inside BEGIN … COMMIT.
    pub fn is_explicit(&self) -> bool {
        matches!(self, Self::Open(t) if t.origin == Origin::Explicit)
    }

    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Open(t) if t.failed)
    }

    pub fn transaction(&mut self) -> Option<&mut Transaction> {
        match self {
            Self::None => None,
            Self::Open(transaction) => Some(transaction),
        }
    }

    pub fn get(&self) -> Option<&Transaction> {
        match self {
            Self::None => None,
            Self::Open(transaction) => Some(transaction),
        }
    }

    /// The first error of a transaction fails it; outside of one nothing changes.
    pub fn fail(&mut self) {
        if let Self::Open(transaction) = self {
            transaction.failed = true;
        }
    }

    /// What ReadyForQuery says.
    pub fn status(&self) -> crate::wire::backend::TransactionStatus {
        use crate::wire::backend::TransactionStatus;
        match self {
            Self::Open(t) if t.origin == Origin::Explicit && t.failed => TransactionStatus::Failed,
            Self::Open(t) if t.origin == Origin::Explicit => TransactionStatus::InTransaction,
            Self::Open(_) | Self::None => TransactionStatus::Idle,
        }
    }
}

impl Transaction {
    /// `prologue`: BEGIN with its modes, and what follows it at once.
    pub fn new(origin: Origin, prologue: Vec<String>, settings: &Rc<Settings>, own: &OwnSettings) -> Self {
        Self {
            origin,
            prologue,
            read_only: false,
            isolation: Isolation::ReadCommitted,
            deferrable: false,
            began: Modes::default(),
            snapshot: Snapshot::NotTaken,
            time: None,
            failed: false,
            told_time: false,
            locked: false,
            on_primaries: false,
            ran: false,
            everywhere: false,
            schema_changed: false,
            savepoints: Vec::new(),
            settings_before: Rc::clone(settings),
            own_before: own.clone(),
            own_after: None,
            lanes_lost: false,
            unsaid: None,
            settings_changed: false,
            in_force: None,
            one_lane: false,
            prologue_stays: false,
            unlearned: Vec::new(),
            changed: std::collections::HashSet::new(),
            redefined: std::collections::HashSet::new(),
            changed_code: false,
            changed_meaning: false,
            definitions: None,
            rolled_back_to: false,
        }
    }

    /// Parameters of these names were set by function on the lane of the statement.
    pub fn note_names(&mut self, names: Vec<String>) {
        self.settings_changed |= names.iter().any(|name| !name.contains('.'));
        self.unlearned.extend(names);
    }

    /// Of a transaction within a pipeline: that is no block but, since PostgreSQL 18, behind its first statement.
    pub fn is_pipeline_alone(&self, server_version: u32) -> bool {
        self.origin == Origin::Implicit && !(self.ran && server_version >= BLOCKS_OF_PIPELINES)
    }

    pub fn savepoint(&mut self, name: &str, statement: String, before: Before) {
        self.prologue.push(statement);
        let (prologue, read_only) = (self.prologue.len(), self.read_only);
        self.savepoints.push(Savepoint { name: name.to_owned(), prologue, read_only, before });
    }

    pub fn has_savepoints(&self) -> bool {
        !self.savepoints.is_empty()
    }

    pub fn has_savepoint(&self, name: &str) -> bool {
        self.savepoints.iter().any(|s| s.name == name)
    }

    /// RELEASE: the savepoint and those after it are gone; what was done stays.
    pub fn release(&mut self, name: &str, statement: String) {
        if let Some(at) = self.savepoints.iter().rposition(|s| s.name == name) {
            self.read_only = self.savepoints[at].read_only;
            self.savepoints.truncate(at);
            self.prologue.push(statement);
        }
    }

    /// ROLLBACK TO: back to just after the savepoint, which stays. Returns what was so at that moment.
    pub fn roll_back_to(&mut self, name: &str) -> Option<Before> {
        let at = self.savepoints.iter().rposition(|s| s.name == name)?;
        self.savepoints.truncate(at + 1);
        let savepoint = &self.savepoints[at];
        self.prologue.truncate(savepoint.prologue);
        self.read_only = savepoint.read_only;
        self.failed = false;
        self.rolled_back_to = true;
        self.definitions = None;
        self.in_force.clone_from(&savepoint.before.in_force);
        Some(savepoint.before.clone())
    }

    /// Modes that its servers are told of.
    pub fn set_modes(&mut self, modes: Modes) {
        self.take_modes(modes);
        // No replica begins so, whatever follows.
        let serializable = modes.isolation == Some(Isolation::Serializable);
        self.on_primaries |= modes.read_only == Some(false) || serializable;
    }

    fn take_modes(&mut self, modes: Modes) {
        self.read_only = modes.read_only.unwrap_or(self.read_only);
        self.isolation = modes.isolation.unwrap_or(self.isolation);
        self.deferrable = modes.deferrable.unwrap_or(self.deferrable);
    }

    /// Those that nobody has named in it: of the session, or of the transaction before it in a chain.
    pub fn begin_with(&mut self, modes: Modes) {
        self.take_modes(modes);
        self.began = self.modes();
    }

    /// Those that AND CHAIN hands on. Modes are parameters of the transaction: a failure takes back what has been set of them, unless
    /// it is a savepoint's.
    pub fn modes_for_chain(&self) -> Modes {
        match self.failed && self.savepoints.is_empty() {
            true => self.began,
            false => self.modes(),
        }
    }

    /// Those that it has.
    pub fn modes(&self) -> Modes {
        let (read_only, isolation, deferrable) = (self.read_only, self.isolation, self.deferrable);
        Modes { read_only: Some(read_only), isolation: Some(isolation), deferrable: Some(deferrable) }
    }

    /// What ROLLBACK restores.
    pub fn before(&self) -> (Rc<Settings>, OwnSettings) {
        (Rc::clone(&self.settings_before), self.own_before.clone())
    }

    /// What was in force when the innermost savepoint was set, or the transaction began: a failure goes back to it at once.
    pub fn before_failure(&self) -> &OwnSettings {
        self.savepoints.last().map_or(&self.own_before, |savepoint| &savepoint.before.own)
    }

    /// The settings with which a lane joins; those made since are in the prologue.
    pub fn settings_before(&self) -> &Rc<Settings> {
        &self.settings_before
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::topology::{Consistency, RegionId};

    fn own() -> OwnSettings {
        OwnSettings {
            consistency: Consistency::Session,
            max_lag: Duration::from_secs(1),
            region: RegionId(0),
            encoding: None,
        }
    }

    fn before() -> Before {
        Before { settings: Rc::default(), in_force: None, own: own(), first_portal: 0 }
    }

    fn transaction() -> Transaction {
        Transaction::new(Origin::Explicit, vec!["BEGIN".into()], &Rc::default(), &own())
    }

    #[test]
    fn rolling_back_to_a_savepoint_forgets_what_came_after() {
        let mut t = transaction();
        t.savepoint("a", "SAVEPOINT a".into(), before());
        t.prologue.push("SET LOCAL x TO 1".into());
        t.savepoint("b", "SAVEPOINT b".into(), before());
        t.failed = true;
        assert!(t.roll_back_to("a").is_some());
        assert_eq!(t.prologue, ["BEGIN", "SAVEPOINT a"]);
        assert!(!t.failed && !t.has_savepoint("b") && t.has_savepoint("a"));
    }

    #[test]
    fn the_innermost_of_equal_names_counts() {
        let mut t = transaction();
        t.savepoint("a", "SAVEPOINT a".into(), before());
        t.savepoint("a", "SAVEPOINT a".into(), before());
        t.release("a", "RELEASE a".into());
        assert!(t.has_savepoint("a"));
        t.release("a", "RELEASE a".into());
        assert!(!t.has_savepoint("a"));
        assert!(t.roll_back_to("a").is_none());
    }
}
