//! Streaming operators over rows on the wire: the combine of a SELECT over several shards.
//!
//! `execute::scatter` feeds whole DataRow frames in, source by source, and takes whole DataRow frames out; what to
//! combine and how is decided by `plan::scatter`. Each combine has its operator:
//!
//! ```text
//! Concat    rows as they come                        Limiter
//! Distinct  rows as they come, equal ones once       DistinctRows
//! Ordered   k sorted streams ─▶ one sorted stream     RowMerge (SortKey, comparators) with a Limiter inside
//! Finish    partial rows ─▶ binary array parameters   PartialRows; one PostgreSQL computes the rest
//! ```
//!
//! Invariants:
//! 1. A visible column's bytes are never decoded nor re-encoded: what a server sent is what the client gets.
//! 2. Hidden sort columns are in binary format and are compared exactly as PostgreSQL compares the type; a type
//!    without such a comparator has no [`KeyType`], and the caller refuses.
//! 3. Nothing is allocated per row; what is kept is bounded by rows and bytes, or by the caller's back-pressure
//!    ([`RowMerge::wants`]).
//! 4. Malformed rows are errors, never panics and never a wrong order.
//!
//! Not here: shards, sockets, SQL. Where the statements come from is `plan::scatter`; who sends them is
//! `execute::scatter`.

pub mod comparator;
pub mod distinct;
pub mod error;
pub mod limiter;
pub mod numeric;
pub mod ordered;
pub mod partial;
pub mod row;
pub mod types;

pub use comparator::{KeyType, SortKey, TextOrder};
pub use distinct::{DistinctRows, is_told_by_bytes};
pub use error::MergeError;
pub use limiter::{Admit, Limiter};
pub use ordered::{Next, RowMerge};
pub use partial::{PartialLimits, PartialRows};
