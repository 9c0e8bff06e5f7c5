//! Tests that need servers: real PostgreSQL, started by the harness, in one binary that links once.

mod cluster;
mod control;
mod demo;
mod harness;
mod health;
mod two_phase;
