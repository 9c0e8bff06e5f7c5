//! Tests that need servers: real PostgreSQL, started by the harness, in one binary that links once.

mod access;
mod cli;
mod cluster;
mod code;
mod console;
mod control;
mod demo;
mod deploy;
mod drivers;
mod equality;
mod faults;
mod gathered;
mod harness;
mod health;
mod http;
mod logs;
mod numbers;
mod operation;
mod pools;
mod prometheus;
mod stand;
mod tls;
mod tools;
mod two_phase;
mod users;
mod wire_cases;
