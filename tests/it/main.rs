//! Tests that need servers: real PostgreSQL, started by the harness, in one binary that links once.

mod cluster;
mod equality;
mod harness;
mod stand;
mod wire_cases;
