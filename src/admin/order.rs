//! Commands that change the running process: what each means, and doing it.
//!
//! `command` reads them, `conversation` passes them on, `console` calls [`carry_out`] here and, where an answer must wait
//! until it is true, [`settled`]. Nothing here touches the configuration file: a restart forgets it all.
//!
//! | command | meaning |
//! | --- | --- |
//! | `RELOAD` | the configuration is read again, whole or not at all |
//! | `PAUSE [shard]` | new transactions wait; answered when nothing runs there any more |
//! | `RESUME [shard]` | they go on |
//! | `DISABLE node`, `ENABLE node` | nothing new is sent to the server, as if it were down |
//! | `KILL client` | its statement is cancelled, its session ended |
//! | `RECONNECT` | every connection to a server is made anew as soon as it is free |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::show::address;
use crate::session::cancel::end_client;
use crate::session::shared::{ClientNames, Shared};
use crate::topology::{Node, ShardSet, Topology};
use crate::wire::error::{SqlError, SqlState};

/// How often a PAUSE looks whether its shards are at rest.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Reload,
    /// None: every shard.
    Pause(Option<Box<str>>),
    Resume(Option<Box<str>>),
    /// `host:port`.
    Disable(Box<str>),
    Enable(Box<str>),
    /// A client's id, as in `SHOW CLIENTS`.
    Kill(u32),
    Reconnect,
}

impl Order {
    /// The tag of the answer.
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::Reload => "RELOAD",
            Self::Pause(_) => "PAUSE",
            Self::Resume(_) => "RESUME",
            Self::Disable(_) => "DISABLE",
            Self::Enable(_) => "ENABLE",
            Self::Kill(_) => "KILL",
            Self::Reconnect => "RECONNECT",
        }
    }
}

/// As it is written at the console.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())?;
        match self {
            Self::Pause(Some(name)) | Self::Resume(Some(name)) | Self::Disable(name) | Self::Enable(name) => {
                write!(f, " '{name}'")
            }
            Self::Kill(client) => write!(f, " {client}"),
            Self::Reload | Self::Pause(None) | Self::Resume(None) | Self::Reconnect => Ok(()),
        }
    }
}

/// Command, argument and meaning, for `SHOW HELP` and hints.
pub const ORDERS: [(&str, &str); 7] = [
    ("RELOAD", "read the configuration again, whole or not at all"),
    ("PAUSE [shard]", "let new transactions wait; answered when nothing runs there any more"),
    ("RESUME [shard]", "let them go on"),
    ("DISABLE node", "send nothing new to this server, given as host:port"),
    ("ENABLE node", "use it again"),
    ("KILL client", "cancel its statement and end its session; the id is in SHOW CLIENTS"),
    ("RECONNECT", "make every connection to the servers anew, as soon as it is free"),
];

/// Does what `by` has ordered.
pub fn carry_out(shared: &Shared, order: &Order, by: &ClientNames) -> Result<(), SqlError> {
    let topology = shared.topology.load_full();
    match order {
        Order::Reload => super::reload::reload(shared).map_err(|error| {
            SqlError::new(SqlState::CONFIG_FILE_ERROR, error.to_string()).hint("Nothing was changed.")
        })?,
        Order::Pause(shard) => shared.orders.pause(shards(&topology, shard.as_deref())?),
        Order::Resume(shard) => shared.orders.resume(shards(&topology, shard.as_deref())?),
        Order::Disable(name) => set_disabled(shared, node(&topology, name)?, true),
        Order::Enable(name) => set_disabled(shared, node(&topology, name)?, false),
        Order::Kill(client) => kill(shared, *client)?,
        Order::Reconnect => shared.orders.reconnects.send_modify(|count| *count += 1),
    }
    tracing::info!(user = by.user, address = by.address, "an order was given at the console: {order}");
    Ok(())
}

/// Returns when the order is not only given but true. Cancel safe: yes.
pub async fn settled(shared: &Shared, order: &Order) {
    let Order::Pause(shard) = order else { return };
    let topology = shared.topology.load_full();
    let Ok(shards) = shards(&topology, shard.as_deref()) else { return };
    let busy = || {
        let mut nodes = topology.nodes.iter();
        nodes.any(|node| !node.retired && shards.contains(node.shard) && node.state.in_use() > 0)
    };
    // Somebody may resume meanwhile: then there is nothing to wait for.
    while busy() && shards.iter().all(|shard| shared.orders.is_paused(shard)) {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn shards(topology: &Topology, name: Option<&str>) -> Result<ShardSet, SqlError> {
    match name {
        None => Ok(topology.all_shards()),
        Some(name) => topology.shard_named(name).map(ShardSet::one).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("there is no shard \"{name}\""))
                .hint("SHOW SHARDS lists them.")
        }),
    }
}

fn node<'t>(topology: &'t Topology, name: &str) -> Result<&'t Node, SqlError> {
    let named = |node: &&Node| !node.retired && address(node) == name;
    topology.nodes.iter().find(named).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_OBJECT, format!("there is no node \"{name}\""))
            .hint("SHOW NODES lists them; a name is written as 'host:port'.")
    })
}

fn set_disabled(shared: &Shared, node: &Node, disabled: bool) {
    node.state.set_disabled(disabled);
    shared.signals.roles_changed();
}

fn kill(shared: &Shared, id: u32) -> Result<(), SqlError> {
    let client = shared.clients.get(&id).map(|entry| Arc::clone(entry.value()));
    let Some(client) = client else {
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("there is no client {id}"))
            .hint("SHOW CLIENTS lists them."));
    };
    let ClientNames { user, address, .. } = &client.names;
    tracing::info!(client = id, user, address, "a client is sent away by an order");
    end_client(shared, &client);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_told_as_they_are_written() {
        let told = |order: Order| order.to_string();
        assert_eq!(told(Order::Pause(None)), "PAUSE");
        assert_eq!(told(Order::Pause(Some("us-east".into()))), "PAUSE 'us-east'");
        assert_eq!(told(Order::Disable("10.0.0.1:5432".into())), "DISABLE '10.0.0.1:5432'");
        assert_eq!(told(Order::Kill(7)), "KILL 7");
    }
}
