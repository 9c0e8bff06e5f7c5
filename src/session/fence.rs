//! What one user may not do, whatever its role on the servers may: a fence around the session.
//!
//! Made at login from the user's entry in the configuration, and kept to the session's end.
//!
//! ## Read-only users
//!
//! PostgreSQL lets any session leave `default_transaction_read_only`; but a transaction that is read-only, and has taken
//! its snapshot, can by no means become read-write again (`check_transaction_read_only` in `variable.c`). So:
//!
//! ```text
//!   every statement  ─▶  BEGIN READ ONLY ─▶ SELECT … ─▶ the client's statement (Parse, Bind, Execute) ─▶ COMMIT
//!                        └── ours, in one pipeline with what follows
//! ```
//!
//! Invariants:
//! 1. No statement of a read-only user is executed outside of a transaction that we have begun in this way. If the
//!    beginning fails, the server skips the statement: they are one pipeline, without a Sync between them.
//! 2. No text of the client's goes out in a Query message. Parse takes one statement only, so that no COMMIT can hide
//!    in what we took for a string; and inside our block no procedure can commit.
//! 3. What is refused here is refused for a clear answer; the servers would refuse it as well.
//!
//! ## Regions of a user
//!
//! A statement that needs a shard of another region, or a server that stands there, is refused as a whole: its answer
//! without those rows would be a wrong one. The plan's shards are looked at when they are known (`planning`), for a clear
//! answer; and every connection is looked at before it is taken (`servers`), whatever it is for.
//!
//! Not here: what a role may read, and what functions do that PostgreSQL counts as reading (the manual of `SET
//! TRANSACTION`); `docs/security.md` lists them.

use std::rc::Rc;

use super::Session;
use crate::sql::facts::{
    Copy, CopyDirection, Facts, Isolation, Kind, SessionObject, Setting, TransactionCommand,
};
use crate::topology::{NodeId, RegionId, ShardId, ShardSet, Topology};
use crate::wire::error::{SqlError, SqlState};

/// Takes the transaction's snapshot, after which one that is read-only stays so.
pub(super) const SNAPSHOT: &str = "SELECT WHERE false";

const HINT: &str = "This user is read-only (read_only = true in the configuration).";

/// Settings that would make transactions read-write.
const WRITE_MODES: [&str; 2] = ["default_transaction_read_only", "transaction_read_only"];

#[derive(Debug, Clone, Default)]
pub(super) struct Fence {
    /// Nothing is written.
    pub read_only: bool,
    /// The servers that may be asked stand here, and their shards live here; None: everywhere.
    pub regions: Option<Rc<[RegionId]>>,
}

impl Fence {
    /// What a transaction begins with, for its prologue.
    pub fn prologue(&self, begin: String, isolation: Option<Isolation>) -> Vec<String> {
        let begin = self.begin(begin, isolation);
        if self.read_only { vec![begin, SNAPSHOT.to_owned()] } else { vec![begin] }
    }

    /// BEGIN as the client has it, or as it must be.
    pub fn begin(&self, begin: String, isolation: Option<Isolation>) -> String {
        if self.read_only { begin_read_only(isolation) } else { begin }
    }

    pub fn is_regional(&self) -> bool {
        self.regions.is_some()
    }

    fn allows(&self, region: RegionId) -> bool {
        self.regions.as_ref().is_none_or(|regions| regions.contains(&region))
    }

    pub fn allows_shard(&self, topology: &Topology, shard: ShardId) -> bool {
        self.allows(topology.shard(shard).region)
    }

    /// Both where the node's shard lives and where the node stands.
    pub fn allows_node(&self, topology: &Topology, node: NodeId) -> bool {
        let node = topology.node(node);
        self.allows(node.region) && self.allows_shard(topology, node.shard)
    }

    /// The refusal of a statement that needs a shard beyond the fence, with the first of them.
    pub fn check_shards(&self, topology: &Topology, shards: ShardSet) -> Result<(), SqlError> {
        if !self.is_regional() {
            return Ok(());
        }
        let beyond = shards.iter().find(|shard| !self.allows_shard(topology, *shard));
        beyond.map_or(Ok(()), |shard| Err(self.shard_refusal(topology, shard)))
    }

    pub fn shard_refusal(&self, topology: &Topology, shard: ShardId) -> SqlError {
        let shard = topology.shard(shard);
        let region = &topology.region(shard.region).name;
        let detail =
            format!("The statement needs shard \"{}\", which lives in region \"{region}\".", shard.name);
        self.denied(topology, region, detail)
    }

    pub fn region_refusal(&self, topology: &Topology, node: NodeId) -> SqlError {
        if !self.allows_shard(topology, topology.node(node).shard) {
            return self.shard_refusal(topology, topology.node(node).shard);
        }
        let shard = &topology.shard(topology.node(node).shard).name;
        let region = &topology.region(topology.node(node).region).name;
        let detail = format!("The server of shard \"{shard}\" that is needed stands in region \"{region}\".");
        self.denied(topology, region, detail)
    }

    fn denied(&self, topology: &Topology, region: &str, detail: String) -> SqlError {
        let allowed = self.regions.iter().flat_map(|regions| regions.iter());
        let allowed: Vec<&str> = allowed.map(|region| topology.region(*region).name.as_str()).collect();
        SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for region \"{region}\""))
            .detail(detail)
            .hint(format!(
                "This user may use: {}. Say in the statement which rows are meant.",
                allowed.join(", ")
            ))
    }

    /// The refusal of a statement that writes, or that wants to.
    pub fn check(&self, facts: &Facts, text: &[u8]) -> Result<(), SqlError> {
        if !self.read_only {
            return Ok(());
        }
        match writing_command(facts, text) {
            Some(command) => Err(self.refusal(&command)),
            None => Ok(()),
        }
    }

    /// In PostgreSQL's words.
    pub fn refusal(&self, command: &str) -> SqlError {
        let message = format!("cannot execute {command} in a read-only transaction");
        SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message).hint(HINT)
    }

    /// The refusal of a way out: READ WRITE as a mode of the transaction, in whatever spelling.
    pub fn check_mode(&self, read_only: Option<bool>) -> Result<(), SqlError> {
        if self.read_only && read_only == Some(false) { Err(stays_read_only()) } else { Ok(()) }
    }

    pub fn check_setting(&self, setting: &Setting, text: &[u8]) -> Result<(), SqlError> {
        let Setting::Set { name, value, .. } = setting else { return Ok(()) };
        let value = value.and_then(|(from, to)| text.get(from as usize..to as usize)).unwrap_or_default();
        self.check_value(name, &String::from_utf8_lossy(value))
    }

    /// `value` is SQL text; empty: the default.
    pub fn check_value(&self, name: &str, value: &str) -> Result<(), SqlError> {
        let harmless = value.is_empty() || says_true(value);
        if self.read_only && WRITE_MODES.contains(&name) && !harmless {
            Err(stays_read_only())
        } else {
            Ok(())
        }
    }
}

impl Session {
    /// Before a statement is performed: what the fence forbids is refused, and a read-only user's statement gets a
    /// transaction around it. `conclude` ends that transaction with the request.
    pub(super) fn fence_in(&mut self, facts: &Facts, text: &[u8]) -> Result<(), SqlError> {
        self.fence.check(facts, text)?;
        if !self.fence.read_only || self.block.is_open() {
            return Ok(());
        }
        match &facts.kind {
            Kind::Empty | Kind::Transaction(_) | Kind::Setting(_) => Ok(()),
            Kind::Session(SessionObject::Discard(_)) => Ok(()),
            Kind::Session(SessionObject::DeclareCursor { hold: false, .. }) => Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "DECLARE CURSOR can only be used in transaction blocks",
            )),
            _ => {
                self.begin_implicit();
                Ok(())
            }
        }
    }
}

fn stays_read_only() -> SqlError {
    SqlError::new(
        SqlState::READ_ONLY_SQL_TRANSACTION,
        "cannot set transaction read-write mode for a read-only user",
    )
    .hint(HINT)
}

fn begin_read_only(isolation: Option<Isolation>) -> String {
    let level = match isolation {
        None => "",
        Some(Isolation::ReadUncommitted) => " ISOLATION LEVEL READ UNCOMMITTED",
        Some(Isolation::ReadCommitted) => " ISOLATION LEVEL READ COMMITTED",
        Some(Isolation::RepeatableRead) => " ISOLATION LEVEL REPEATABLE READ",
        Some(Isolation::Serializable) => " ISOLATION LEVEL SERIALIZABLE",
    };
    format!("BEGIN{level} READ ONLY")
}

/// As a value of a parameter of type boolean.
pub(super) fn says_true(value: &str) -> bool {
    matches!(
        value.trim().trim_matches('\'').to_ascii_lowercase().as_str(),
        "on" | "true" | "1" | "yes" | "t" | "y"
    )
}

/// What PostgreSQL calls the command, if it is one that writes.
fn writing_command(facts: &Facts, text: &[u8]) -> Option<String> {
    let named = |name: &str| Some(name.to_owned());
    match &facts.kind {
        Kind::Insert(_) => named("INSERT"),
        Kind::Update(_) => named("UPDATE"),
        Kind::Delete(_) => named("DELETE"),
        Kind::Merge { .. } => named("MERGE"),
        Kind::ModifyingWith => named("a statement that modifies data in WITH"),
        Kind::Select { into: true, .. } => named("SELECT INTO"),
        Kind::Select { locking: true, .. } => named("SELECT FOR UPDATE"),
        Kind::CreateTableAs { .. } => named("CREATE TABLE AS"),
        Kind::Truncate { .. } => named("TRUNCATE TABLE"),
        Kind::LockTable => named("LOCK TABLE"),
        Kind::Copy(Copy { direction: CopyDirection::FromStdin, .. }) => named("COPY FROM"),
        Kind::Copy(Copy { direction: CopyDirection::ServerSide, .. }) => named("COPY"),
        Kind::Ddl { .. } | Kind::Maintenance { .. } => Some(command_tag(text)),
        Kind::Transaction(TransactionCommand::TwoPhase) => named("PREPARE TRANSACTION"),
        Kind::Explain(explain) if explain.analyze => {
            writing_command(&explain.inner, text.get(explain.inner_start as usize..).unwrap_or_default())
        }
        Kind::Select { .. }
        | Kind::Copy(_)
        | Kind::Empty
        | Kind::Do
        | Kind::Call
        | Kind::Transaction(_)
        | Kind::Setting(_)
        | Kind::Show { .. }
        | Kind::Session(_)
        | Kind::Explain(_)
        | Kind::Unparsed { .. } => None,
    }
}

/// The tag of a command by its first words: `CREATE INDEX` of `CREATE UNIQUE INDEX CONCURRENTLY …`.
fn command_tag(text: &[u8]) -> String {
    const ASIDES: [&str; 10] = [
        "OR",
        "REPLACE",
        "UNIQUE",
        "TEMP",
        "TEMPORARY",
        "GLOBAL",
        "LOCAL",
        "UNLOGGED",
        "CONCURRENTLY",
        "RECURSIVE",
    ];
    let text = String::from_utf8_lossy(text);
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let mut words = words.map(str::to_ascii_uppercase).filter(|word| !ASIDES.contains(&word.as_str()));
    let first = words.next().unwrap_or_default();
    match (first.as_str(), words.next()) {
        ("CREATE" | "ALTER" | "DROP", Some(object)) => format!("{first} {object}"),
        ("REFRESH", _) => "REFRESH MATERIALIZED VIEW".to_owned(),
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_as_postgresql_names_it() {
        for (text, tag) in [
            ("create unique index concurrently i on t (a)", "CREATE INDEX"),
            ("CREATE OR REPLACE FUNCTION f() RETURNS int", "CREATE FUNCTION"),
            ("Alter Table t ADD a int", "ALTER TABLE"),
            ("GRANT SELECT ON t TO u", "GRANT"),
            ("vacuum(full) t", "VACUUM"),
        ] {
            assert_eq!(command_tag(text.as_bytes()), tag);
        }
    }

    #[test]
    fn a_read_only_transaction_stays_one() {
        let fence = Fence { read_only: true, ..Fence::default() };
        let begun = fence.prologue("BEGIN READ WRITE".to_owned(), Some(Isolation::RepeatableRead));
        assert_eq!(begun, ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", SNAPSHOT]);
        assert_eq!(Fence::default().prologue("BEGIN".to_owned(), None), ["BEGIN"]);
        assert!(fence.check_mode(Some(false)).is_err() && fence.check_mode(Some(true)).is_ok());
        for (value, right) in [("off", false), ("'0'", false), ("on", true), ("", true), ("'false'", false)] {
            assert_eq!(fence.check_value("transaction_read_only", value).is_ok(), right, "{value}");
        }
        assert!(fence.check_value("work_mem", "off").is_ok());
    }
}
