//! Transactions that write on several shards: all commit or none, whoever dies when.
//!
//! `session` calls [`commit()`](commit::commit) with the connections of a transaction that has written on two shards or
//! more; the control plane runs [`Recovery`], which finishes what a dead coordinator has left behind. One writing shard
//! commits as PostgreSQL always does.
//!
//! ```text
//!   readers    COMMIT ──────────────┐
//!   others     PREPARE TRANSACTION ─┤ all did ─▶ recorder: SELECT meridian_internal.decide(gid); COMMIT ─▶ COMMIT PREPARED
//!   recorder   (still open)         ┘                       └── this commit is the decision ──┘      others
//!                                   └ one did not ─▶ ROLLBACK, ROLLBACK PREPARED
//! ```
//!
//! The recorder is one of the writers. Its own part of the transaction and the row that says "commit" become durable in
//! one commit of one PostgreSQL, so there is no moment at which one is true and the other is not. No row means abort.
//! Recovery writes an 'abort' row before it rolls anything back: the primary key lets only one of them win against a
//! coordinator that is merely slow.
//!
//! | file | owns |
//! | --- | --- |
//! | `gid` | the name of a transaction over several shards, and the proof that lets its coordinator decide |
//! | `coordinator` | what to send next and what an answer means; pure |
//! | `commit` | sends it, over the session's own connections |
//! | `registry` | which transactions are alive in this process, and which shards are fit for two phases |
//! | `unfinished` | what is committed and not applied on every shard yet |
//! | `schema` | the table and the function that record decisions, on every shard |
//! | `recovery` | prepared transactions without a coordinator |
//! | `fault` | named points where a test may end the process |
//!
//! Invariants:
//! 1. `COMMIT PREPARED` is sent only after a commit row is known to be durable; `ROLLBACK PREPARED` only if none can be.
//! 2. The client is told "committed" only after the decision is durable, and "rolled back" only if it can never be; where
//!    neither is known it is told so (08007).
//! 3. A shard where two phases cannot work is refused before anything is sent to any shard.
//!
//! Not here: which lanes belong to a transaction, and what they have done (`session`).

pub mod commit;
pub mod coordinator;
pub mod deadlock;
pub mod fault;
pub mod gid;
pub mod recovery;
pub mod registry;
mod schema;
pub mod unfinished;

pub use commit::{CommitError, Participant, commit};
pub use gid::Gid;
pub use recovery::Recovery;
pub use registry::Registry;
pub use schema::inspect;
