//! What operators ask of a running Meridian: a console in SQL's own protocol, and an HTTP address for machines.
//!
//! A client with `admin = true` that connects to the database `meridian` reaches [`serve`]; `server` calls it with
//! what `session` made of the socket. [`http::serve`] is run by the control thread if the configuration gives an address.
//! Nothing below this room knows of either.
//!
//! ```text
//!   console ── frames ─▶ conversation ── text ─▶ command ── Topic ─▶ show ── snapshots ─▶ Table
//!    (I/O)                  (pure)                (pure)             (pure)
//!
//!   http ── snapshots ─▶ metrics ── Prometheus' text, status ── JSON
//!   (I/O)                (pure)
//! ```
//!
//! Invariants:
//! 1. The console reads snapshots and counters; it never waits for a server, and takes no lock that a statement's path
//!    holds for longer than a field's copy.
//! 2. Each request has exactly the answers that PostgreSQL's protocol gives it, in both protocols.
//! 3. What one request makes the console hold is bounded: statements in a message, names, one table.
//!
//! Not here: who may come in (`session::greet`), the figures themselves (`session::shared`, `topology::node`,
//! `backend::pool`).

pub mod command;
mod console;
mod conversation;
pub mod http;
pub mod metrics;
mod order;
pub mod reload;
pub mod show;
mod status;
pub mod table;

pub use console::serve;
