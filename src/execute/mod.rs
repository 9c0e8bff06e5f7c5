//! Runs a plan over backends: relay, scatter, every shard, COPY.
//!
//! Called by `session` with lanes already chosen; calls `backend`, `merge` and `transaction`. The client's socket is a
//! [`client::ClientStream`]; the state of the client's protocol is the session's.
//!
//! Invariants:
//! 1. An answer that has begun is never begun again.
//! 2. A lane that returns from here without an error owes nothing.

pub mod client;
pub mod copy;
pub mod drain;
pub mod lane;
pub mod notifiers;
pub mod numbers;
pub mod refusals;
pub mod relay;
pub mod scatter;
pub mod times;
pub mod told;

pub use client::{Buffers, ClientStream};
pub use lane::Lane;
pub use relay::{Again, Confirmed, Relay, RelayError, Report, relay, rows_of_tag};
pub use times::ShardTimes;
pub use told::Told;
