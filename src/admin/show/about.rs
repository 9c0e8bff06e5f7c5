//! `SHOW VERSION` and `SHOW HELP`: what the console says of itself. Pure.
//!
//! Called by `show`; [`PRODUCT`] also stands in the `server_version` that drivers are told.
//!
//! Invariants:
//! 1. Every topic has its line: the match over them has no other arm.

use super::Topic;
use crate::admin::order::ORDERS;
use crate::admin::table::{Cell, Column, text};

/// The program and its version.
pub const PRODUCT: &str = concat!("Meridian ", env!("CARGO_PKG_VERSION"));

pub const VERSION_COLUMNS: &[Column] = &[text("version")];
pub const HELP_COLUMNS: &[Column] = &[text("command"), text("shows")];

pub fn version() -> Vec<Vec<Cell>> {
    vec![vec![PRODUCT.into()]]
}

pub fn help() -> Vec<Vec<Cell>> {
    let row = |topic: &Topic| vec![format!("SHOW {}", topic.name()).into(), meaning(*topic).into()];
    let order = |(name, meaning): &(&str, &str)| vec![(*name).into(), (*meaning).into()];
    Topic::ALL.iter().map(row).chain(ORDERS.iter().map(order)).collect()
}

const fn meaning(topic: Topic) -> &'static str {
    match topic {
        Topic::Regions => "the regions, their shards and areas, and where this Meridian runs",
        Topic::Shards => "the shards, their primaries, and how far their replicas are behind",
        Topic::Nodes => {
            "every PostgreSQL server: its role, position, lag and load, as the last probe found it"
        }
        Topic::Pools => "connections to the servers by user and node, over all workers, at most a second old",
        Topic::Clients => "who is connected, and what each is doing",
        Topic::Users => "what counts for whom: the file's users and patterns, and those who were looked up",
        Topic::Servers => "every connection to a server, at most a second old",
        Topic::Transactions => "clients inside a transaction, the longest first",
        Topic::Plans => "the plan cache of each worker, at most a second old",
        Topic::Config => "the settings in force, and what it takes to change each",
        Topic::Stats => "counters since the start of this process",
        Topic::Tables => "how the rows of each table are spread",
        Topic::Version => "the version of Meridian",
        Topic::Help => "this list",
    }
}
