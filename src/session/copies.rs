//! The copies of a reference table stay equal, whoever writes to it at the same time.
//!
//! Each shard runs the write by itself, and sees rows by a snapshot of its own. Two writers at once could be seen in one order
//! here and in the other there; and where a transaction has committed on some shards and not yet on others, a write would
//! meet its rows on some. So writers of one table come one after the other, on each shard:
//!
//! ```text
//!   lock, write on the default shard ─▶ lock, write on all others ─▶ prepare ─▶ commit: every server lets its lock go itself
//! ```
//!
//! Called by `everywhere` and `copy`. The lock is an advisory one of the transaction: it needs no right, is kept by a prepared
//! transaction, and holds nobody up but those who write through Meridian.
//!
//! Invariants:
//! 1. Whoever has the lock on the default shard comes first on every shard: others ask there first, and wait.
//! 2. A write's snapshot is taken behind its lock. Where that was earlier, under REPEATABLE READ, the rows that the shards have
//!    changed are counted: the transaction fails if they differ.

use super::planning::{Planned, written_table};
use super::{Failure, Outcome, Session};
use crate::backend::settings::quote_literal;
use crate::execute::Lane;
use crate::execute::lane::Hidden;
use crate::plan::Access;
use crate::sql::facts::Kind;
use crate::sql::name::ObjectName;
use crate::topology::Placement;
use crate::wire::error::{SqlError, SqlState};

/// The first half of the locks' keys: "mrdn". The second is the table's name, hashed.
const LOCK_CLASS: i32 = 0x6d72_646e;

/// Puts the lock before what follows on the lane.
pub(super) fn lock_writers(lane: &mut Lane, table: &ObjectName) {
    let name = quote_literal(&table.to_string());
    // A read-only transaction is told so by the write itself, at once.
    let sql = format!(
        "SELECT pg_catalog.pg_advisory_xact_lock({LOCK_CLASS}, pg_catalog.hashtext({name})) \
         WHERE NOT pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool"
    );
    lane.hidden_query(&sql, Hidden::Prologue);
}

/// The rows that shards have changed, of which each has a copy.
pub(super) fn compare(table: &ObjectName, first: u64, other: u64, shard: &str) -> Result<(), SqlError> {
    if first == other {
        return Ok(());
    }
    let message =
        format!("could not serialize access: the copies of \"{}\" were not changed alike", table.name);
    Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
        .detail(format!("The default shard has changed {first} rows, shard \"{shard}\" {other}."))
        .hint("Try the transaction again. If it fails each time, the copies differ: compare them on their servers."))
}

impl Session {
    /// The reference table whose rows are written, if it is one's.
    pub(super) fn written_copies(&self, planned: &Planned) -> Option<ObjectName> {
        let writes = matches!(
            planned.plan.facts.kind,
            Kind::Insert(_) | Kind::Update(_) | Kind::Delete(_) | Kind::Copy(_)
        );
        let table = written_table(&planned.plan, &self.context.planning).filter(|_| writes)?;
        let rule = self.context.planning.topology.rule(&table.name);
        rule.filter(|rule| matches!(rule.placement, Placement::Reference)).map(|rule| rule.name.clone())
    }

    /// Takes the lock on every shard, on the default one first: a COPY's rows go to all at once.
    pub(super) async fn lock_copies(&mut self, table: &ObjectName) -> Outcome {
        for shard in self.context.planning.topology.default_first() {
            let index = self.join(shard, Access::Write, &[]).await?;
            lock_writers(&mut self.lanes[index], table);
            if let Some(error) = self.drain_lane(index).await?.error {
                return Err(Failure::Sql(error));
            }
        }
        Ok(())
    }
}
