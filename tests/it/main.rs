//! Tests that need servers: real PostgreSQL, started by the harness, in one binary that links once.

mod cluster;
mod demo;
mod control;
mod harness;
mod health;
mod two_phase;
