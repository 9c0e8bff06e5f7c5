//! What can be shown, and from which snapshots. Pure.
//!
//! `conversation` asks for a [`Topic`]'s columns and for its [`Table`]; the driver puts the [`View`] together. One file
//! for each kind of thing: `places` (regions, shards, nodes), `tables` (placements), `traffic` (pools, clients,
//! counters), `users`, `settings`, `about` (version, help).
//!
//! Invariants:
//! 1. [`Topic::table`] gives rows for exactly [`Topic::columns`].
//! 2. What is not known is NULL, never a made-up value.

mod about;
mod places;
mod settings;
mod tables;
mod traffic;
mod users;

#[cfg(test)]
pub(super) mod facts;

use std::time::Duration;

pub use about::PRODUCT;
pub use places::{address, role_name};
pub use traffic::counters;

use super::table::{Cell, Column, Table};
use crate::catalog::Catalog;
use crate::figures::Figures;
use crate::session::board::{PlansReport, PoolReport};
use crate::session::shared::{ClientNames, ClientState, Live};
use crate::topology::{ShardSet, Topology};
use crate::transaction::registry::Standing;

/// Everything that the console can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Regions,
    Shards,
    Nodes,
    Pools,
    Clients,
    Users,
    Servers,
    Transactions,
    Plans,
    Stats,
    Tables,
    Config,
    Version,
    Help,
}

/// The state of the process at one moment, as far as the console shows it.
pub struct View<'a> {
    pub topology: &'a Topology,
    pub catalog: &'a Catalog,
    /// Of all workers, each as it last said; not yet summed.
    pub pools: &'a [PoolReport],
    /// Connections that one user may have to one node, as configured.
    pub pool_size: usize,
    pub clients: &'a [ClientView],
    /// Users of whom a server was asked, as far as that is remembered.
    pub looked_up: &'a [String],
    /// Of all workers, in their order.
    pub plans: &'a [PlansReport],
    /// Shards whose new transactions wait.
    pub paused: ShardSet,
    /// The settings in force, where they are asked for.
    pub live: Option<&'a Live>,
    pub clients_max: usize,
    pub two_phase: Standing,
    pub figures: &'a Figures,
    pub uptime: Duration,
}

/// One client at one moment.
#[derive(Debug, Clone)]
pub struct ClientView {
    pub id: u32,
    pub names: ClientNames,
    pub connected: Duration,
    pub state: ClientState,
}

impl Topic {
    pub const ALL: [Self; 14] = [
        Self::Regions,
        Self::Shards,
        Self::Nodes,
        Self::Pools,
        Self::Clients,
        Self::Users,
        Self::Servers,
        Self::Transactions,
        Self::Plans,
        Self::Stats,
        Self::Tables,
        Self::Config,
        Self::Version,
        Self::Help,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Regions => "REGIONS",
            Self::Shards => "SHARDS",
            Self::Nodes => "NODES",
            Self::Pools => "POOLS",
            Self::Clients => "CLIENTS",
            Self::Users => "USERS",
            Self::Servers => "SERVERS",
            Self::Transactions => "TRANSACTIONS",
            Self::Plans => "PLANS",
            Self::Stats => "STATS",
            Self::Tables => "TABLES",
            Self::Config => "CONFIG",
            Self::Version => "VERSION",
            Self::Help => "HELP",
        }
    }

    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name().eq_ignore_ascii_case(word))
    }

    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Regions => places::REGION_COLUMNS,
            Self::Shards => places::SHARD_COLUMNS,
            Self::Nodes => places::NODE_COLUMNS,
            Self::Pools => traffic::POOL_COLUMNS,
            Self::Clients => traffic::CLIENT_COLUMNS,
            Self::Users => users::COLUMNS,
            Self::Servers => traffic::SERVER_COLUMNS,
            Self::Transactions => traffic::TRANSACTION_COLUMNS,
            Self::Plans => traffic::PLAN_COLUMNS,
            Self::Stats => traffic::STATS_COLUMNS,
            Self::Tables => tables::COLUMNS,
            Self::Config => settings::COLUMNS,
            Self::Version => about::VERSION_COLUMNS,
            Self::Help => about::HELP_COLUMNS,
        }
    }

    pub fn table(self, view: &View<'_>) -> Table {
        let rows: Vec<Vec<Cell>> = match self {
            Self::Regions => places::regions(view.topology),
            Self::Shards => places::shards(view),
            Self::Nodes => places::nodes(view.topology),
            Self::Pools => traffic::pools(view),
            Self::Clients => traffic::clients(view.clients),
            Self::Users => users::users(view),
            Self::Servers => traffic::servers(view),
            Self::Transactions => traffic::transactions(view.clients),
            Self::Plans => traffic::plans(view),
            Self::Config => view.live.map(|live| settings::settings(live, view.topology)).unwrap_or_default(),
            Self::Stats => traffic::stats(view),
            Self::Tables => tables::tables(view.topology, view.catalog),
            Self::Version => about::version(),
            Self::Help => about::help(),
        };
        Table { columns: self.columns(), rows }
    }
}
