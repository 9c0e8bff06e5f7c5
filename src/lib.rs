//! Meridian puts PostgreSQL servers in many regions behind one connection string.
//!
//! # The life of a statement
//!
//! `SELECT * FROM rides WHERE region = 'eu-central'`, sent by psql. Real functions, in the order in which they are called:
//!
//! 1. [`server::Server::start`] has started the threads. The acceptor hands the socket to a worker, which spawns
//!    [`session::serve`].
//! 2. [`wire::startup::negotiate`] reads the first packets, [`wire::startup::authenticate`] the password; the client is
//!    greeted with what the servers report, and [`Session::run`](session::Session::run) begins.
//! 3. [`Session::on_message`](session::Session::on_message) looks at the tag: a `Q` goes to
//!    [`Session::simple_query`](session::Session::simple_query), a batch of `P B D E` up to `S` to
//!    [`Session::extended_batch`](session::Session::extended_batch).
//! 4. [`sql::split::split`] finds the statements of the text, if it has a semicolon before its end.
//! 5. [`Session::plan_text`](session::Session::plan_text): a text that differs from a former one in its literals only is
//!    recognised by its [`Template`](sql::template::Template); else [`sql::shape::shape`] cuts the literals out, and what
//!    remains is the key of the worker's [`PlanCache`](session::planning::PlanCache).
//! 6. Only on a miss: [`sql::parse::parse`] makes facts, and [`plan::Plan::make`] a plan of facts, catalog and topology.
//! 7. [`plan::Plan::bind`] looks at the literals and parameters of this execution: the shards.
//! 8. One shard, outside of a block: [`Session::relay_frame`](session::Session::relay_frame) keeps the client's own
//!    bytes. Everything else: [`Session::perform`](session::Session::perform), one `match` over [`plan::Action`].
//! 9. [`Session::join`](session::Session::join) finds a lane: [`backend::choice::reader`] names the node, nearest first,
//!    or [`backend::choice::primary`]; [`backend::Pools::take`] lends a connection.
//! 10. [`execute::Lane::query_frame`] puts the statement behind what the lane needs first: settings, BEGIN, savepoints.
//! 11. [`execute::relay()`] sends it in one write and passes the answer on, frame by frame, without decoding rows.
//!     Several shards: [`Session::scatter`](session::Session::scatter) joins a lane for each, and
//!     [`execute::scatter::answer`] asks them at once and combines rows with [`merge`].
//! 12. [`Session::conclude`](session::Session::conclude) tells an error or commits what was implicit;
//!     [`Session::settle`](session::Session::settle) gives the lane back through [`backend::Pools::give`].
//!
//! # The rooms
//!
//! Ground floor first. A room imports rooms that stand before it; `tests/tidy.rs` holds that, and knows the exceptions.
//!
//! - pure, at the bottom: [`geo`], [`wire`] (its drivers aside), [`sql`], [`merge`]
//! - what is known: [`topology`], [`figures`], [`config`], [`catalog`]
//! - deciding: [`plan`]
//! - servers: [`backend`], [`transaction`], [`health`]
//! - doing: [`execute`], [`session`]
//! - outside: [`admin`], [`server`], [`demo`], [`cli`]

pub mod admin;
pub mod backend;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod demo;
pub mod execute;
pub mod figures;
pub mod geo;
pub mod health;
pub mod merge;
pub mod plan;
pub mod server;
pub mod session;
pub mod sql;
pub mod topology;
pub mod transaction;
pub mod wire;
