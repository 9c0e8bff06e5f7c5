//! Meridian puts PostgreSQL servers in many regions behind one connection string.
//!
//! Rooms, ground floor first; nothing imports from a room below it in this list.

pub mod geo;
pub mod wire;
pub mod sql;
pub mod catalog;
pub mod topology;
pub mod plan;
pub mod merge;
pub mod backend;
pub mod transaction;
pub mod execute;
pub mod session;
pub mod health;
pub mod admin;
pub mod config;
pub mod server;
pub mod demo;
pub mod cli;
