//! The types of a plan: what `execute` and `session` are told to do.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::topology::{ShardId, ShardSet, Topology};

/// What planning may look at. All immutable; the plan is valid for exactly these.
#[derive(Clone)]
pub struct PlanningContext {
    pub topology: Arc<Topology>,
    pub catalog: Arc<Catalog>,
    /// The session's search_path, "$user" already replaced.
    pub search_path: Arc<[String]>,
}

/// What a statement may do to the data, and so which servers may run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// A replica may answer.
    Read,
    /// Changes nothing, but only the primary answers it (built-in volatile functions such as random()).
    ReadPrimary,
    /// May change something: writes, locks, functions that are not known.
    Write,
}

/// What a transaction that has run a statement leaves for its commit to decide, on the server that ran it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    #[default]
    Nothing,
    /// Numbers of sequences, which no roll-back gives back: they are to be durable before anything that holds them.
    Draws,
    /// What others get once all is to be seen that the transaction wrote: its locks of rows and advisory ones, and notifications.
    Follows,
    /// Of both, on one server, which commits once: beside a write elsewhere it commits as one that has written, too.
    DrawsAndFollows,
    Writes,
}

impl Effect {
    pub fn draws(self) -> bool {
        matches!(self, Self::Draws | Self::DrawsAndFollows)
    }

    /// Of two statements on one server.
    pub fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Draws, Self::Follows) | (Self::Follows, Self::Draws) => Self::DrawsAndFollows,
            _ => self.max(other),
        }
    }
}

/// What to do with a statement of one shape.
#[derive(Debug, Clone)]
pub enum Action {
    /// The arguments decide which shards; with one, the statement is relayed as it is.
    Routed {
        many: Many,
    },
    /// A cursor WITH HOLD over tables of several shards: its rows are brought together, however many shards have some.
    Hold {
        many: Many,
    },
    /// Any shard gives the same answer: reference tables only.
    Anywhere,
    /// A single table's shard; the default shard for catalogs, statements without a table and what only it knows.
    Fixed(ShardId),
    /// Every shard or none, in one transaction (two-phase commit): DDL, TRUNCATE, writes to reference tables.
    /// The answer of the default shard is the client's.
    Everywhere,
    /// On each shard by itself, outside a transaction: VACUUM, CREATE INDEX CONCURRENTLY.
    EachShard,
    /// Rows of COPY FROM STDIN are placed one by one.
    CopyIn(Arc<super::copy::CopyIn>),
    /// COPY sharded TO STDOUT, shard after shard.
    CopyOut {
        header: bool,
    },
    /// The session binds itself to one server of the default shard, then the statement runs there: what it makes or
    /// asks for (temporary tables, LISTEN, session advisory locks …) lives in that server's session. The text says what.
    Pinned(&'static str),
    /// The session itself obeys: transaction control, settings, cursors, SHOW, EXPLAIN, the empty statement.
    Control,
    Refuse(super::refusal::Refusal),
}

/// What to do when a routed statement needs more than one shard.
#[derive(Debug, Clone)]
pub enum Many {
    /// Ask all of them and combine.
    Scatter(Arc<super::scatter::Scatter>),
    /// The query inside of the statement (a cursor's, a COPY's) is planned by itself, and its tables are gathered; what
    /// is to be said where that cannot be.
    Gather(super::refusal::Refusal),
    Refuse(super::refusal::Refusal),
}

/// The shards of one execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Never empty: a contradiction is answered by one shard.
    pub shards: ShardSet,
}
