//! Tests that need servers: real PostgreSQL, started by the harness, in one binary that links once.

mod cluster;
mod drivers;
mod equality;
mod faults;
mod harness;
mod stand;
mod tools;
mod wire_cases;
