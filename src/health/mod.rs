//! The control plane's watch over the servers: roles, lag, reachability, and what their catalogs say.
//!
//! `server` spawns the `run` functions of this room and of [`crate::transaction::recovery`] on one thread with a
//! current-thread runtime of its own; nothing here runs on the threads that serve clients. What is found out goes to
//! [`crate::topology::NodeState`] (atomics) and [`crate::catalog::CatalogHandle`] (a swapped snapshot), and
//! [`crate::topology::Signals`] wakes who waits.
//!
//! ```text
//!   probe (one task per node) ──report──▶ judge (pure) ──standings──▶ NodeState, Signals, log
//!                        ▲ connect                                         ▲ read by backend, session, admin
//!                        │                                                 │
//!   catalog service ─────┤ ──▶ CatalogHandle                               ▼ promotions
//!   timelines ───────────┘ ──▶ a table on every shard, which probes read once
//! ```
//!
//! | file | owns |
//! | --- | --- |
//! | `connect` | a control connection to one server, with the account of Meridian's own work |
//! | `probe` | asking each node on time, telling the judge, publishing what it says |
//! | `judge` | what a node's answers and silences mean for its shard; pure |
//! | `history` | lag in time from positions; pure |
//! | `catalog` | loading, comparing and polling the catalogs |
//! | `timelines` | what is recorded of promotions, for who starts later |
//! | `strays` | rows that are not where the configuration puts them |
//!
//! Invariants:
//! 1. At most one node of a shard is published as primary at any instant, and none that is known to be superseded.
//! 2. A change of a role or of reachability is published before [`crate::topology::Signals::roles_changed`] wakes anybody.
//! 3. A missing right of the service account costs detail (timeline of a replica, identity), never the watch itself.
//! 4. The same condition is logged once, not at every probe.
//!
//! Not here: promoting, fencing or rejoining a server; choosing a node for a statement (`backend`).

pub mod catalog;
pub mod connect;
pub mod history;
pub mod judge;
pub mod probe;
pub mod strays;
pub mod timelines;

pub use catalog::{CatalogService, Loaded};
pub use connect::{ControlConnection, ControlError, connect, connect_primary, primary};
pub use probe::{Ready, Watch};
