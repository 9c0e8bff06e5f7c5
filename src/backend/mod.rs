//! Connections to nodes: pooled per worker, matched to the session that uses them, given back only when clean.
//!
//! Called by `execute` and `session`; below it are `wire` (frames, login) and `topology` (nodes and their state).
//!
//! ```text
//!   choose (who may answer, nearest first) ─▶ pool (idle, or connect, or wait) ─▶ Connection
//!   Connection ─▶ prologue (settings of this session, in the flight of its statement) ─▶ relay
//!   release ─▶ clean? idle again : closed; where a statement may still run: dismissed (cancelled until it ends)
//! ```
//!
//! Invariants:
//! 1. A connection is used by one session at a time, and by another only after ReadyForQuery 'I' with nothing owed.
//! 2. A connection whose state is not provably clean is closed, never reused.
//! 3. At most a worker's share of `pool.size` (rounded up, at least one) exists per node and account, and of
//!    `database.pool_size` per node; waiters are served in order.
//! 4. A connection's settings are those in [`Connection::applied`]; whoever takes it brings it to its own session's.
//! 5. Which parameters of applications exist on a connection is known ([`Connection::placeholders`]), as far as their names are.
//!
//! Not here: what a statement means, and which shard it needs.

pub mod capture;
pub mod choice;
pub mod connection;
pub mod dismissal;
pub mod error;
mod line;
pub mod placeholders;
mod places;
pub mod pool;
pub mod settings;
pub mod strike;

pub use choice::ReadPolicy;
pub use connection::Connection;
pub use dismissal::dismiss;
pub use error::BackendError;
pub use placeholders::{Placeholders, Wanted};
pub use pool::{Account, Part, Pools, Sizing, Waits, address};
pub use settings::Settings;
