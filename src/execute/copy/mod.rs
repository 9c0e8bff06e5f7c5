//! COPY of a sharded table: rows of COPY FROM STDIN placed one by one, and COPY TO STDOUT shard after shard.
//!
//! `session` calls `copy_in` and `copy_out` with itself as the [`CopyHost`], which finds a lane for a shard. The
//! statement's own text runs on each shard; what decides is pure and stands apart from what waits.
//!
//! ```text
//!   client ─ CopyData, cut anywhere ─▶ rows ──▶ fields ──▶ place ──▶ a batch for each shard ─▶ lanes
//!                                   whole rows   key and position    about 64 KB
//! ```
//!
//! Invariants:
//! 1. A row's bytes reach exactly the shard that its key names, unchanged (a reference table's row: every shard).
//! 2. Whatever fails, every other shard's COPY is failed too, and one error is returned.
//! 3. Memory does not grow with the data: a batch for each shard, one row, and bounded socket buffers.
//! 4. Every lane that is not `broken` owes nothing when a driver returns.
//!
//! Not here: the transaction over the shards that took rows, its commit, and who writes errors and tags to the client
//! (`session`); which COPY may be split at all (`plan`).

mod batches;
mod copy_in;
mod copy_out;
mod exchange;
pub mod fields;
mod hearing;
mod host;
mod input;
mod place;
pub mod rows;
pub mod splitter;
mod tuples;

pub use copy_in::{CopiedIn, CopyIn, copy_in};
pub use copy_out::{CopiedOut, CopyOut, copy_out};
pub use host::{CopyError, CopyHost, HostParts};

#[cfg(test)]
mod tests;
