//! Tests that need servers: real PostgreSQL, started by the harness, in one binary that links once.

mod cluster;
mod console;
mod control;
mod demo;
mod drivers;
mod equality;
mod faults;
mod harness;
mod health;
mod http;
mod logs;
mod prometheus;
mod stand;
mod tools;
mod two_phase;
mod wire_cases;
