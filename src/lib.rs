//! Meridian puts PostgreSQL servers in many regions behind one connection string.
//!
//! Rooms, ground floor first; nothing imports from a room below it in this list.

pub mod admin;
pub mod backend;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod demo;
pub mod execute;
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
