//! The state of the process as JSON, for `/status`. Pure.
//!
//! `docs/operations.md` explains each field to operators. The same snapshots as the console's tables, so the two agree.
//!
//! Invariants:
//! 1. No password, no statement, no data: names, addresses and counts.
//! 2. What is not known is null, never a made-up value.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::show::{View, address, role_name};
use super::table::ENDLESS;
use crate::session::shared::Doing;
use crate::topology::{Node, NodeId, NodeRole, ShardId};

/// All of it, as one object.
pub fn document(view: &View<'_>) -> Value {
    let topology = view.topology;
    let doing = |doing: Doing| view.clients.iter().filter(|client| client.state.doing == doing).count();
    let two_phase = &view.two_phase;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": view.uptime.as_secs(),
        "configuration_version": topology.version.0,
        "catalog_loaded": view.catalog.loaded,
        "clients": {
            "connected": view.figures.clients.load(Ordering::Relaxed),
            "max": view.clients_max,
            "active": doing(Doing::Active),
            "idle": doing(Doing::Idle),
            "idle_in_transaction": doing(Doing::IdleInTransaction),
            "pinned": view.clients.iter().filter(|client| client.state.pinned.is_some()).count(),
        },
        "regions": topology.regions.iter().map(|region| json!({
            "name": region.name,
            "shards": region.shards.iter().map(|shard| &topology.shard(*shard).name).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "shards": (0..topology.shards.len()).map(|index| shard(view, ShardId(index as u16))).collect::<Vec<_>>(),
        "two_phase": {
            "committed": two_phase.committed,
            "rolled_back": two_phase.rolled_back,
            "in_doubt": two_phase.waiting,
            "oldest_in_doubt_seconds": two_phase.oldest.as_secs_f64(),
        },
    })
}

fn shard(view: &View<'_>, id: ShardId) -> Value {
    let shard = view.topology.shard(id);
    json!({
        "name": shard.name,
        "region": view.topology.region(shard.region).name,
        "database": shard.database,
        "default": id == view.topology.default_shard,
        "paused": view.paused.contains(id),
        "nodes": shard.nodes.iter().map(|id| node(view, *id)).collect::<Vec<_>>(),
    })
}

fn node(view: &View<'_>, id: NodeId) -> Value {
    let node: &Node = view.topology.node(id);
    let state = &node.state;
    let replica = state.role() == NodeRole::Replica;
    let lag = Some(state.lag()).filter(|lag| replica && *lag < ENDLESS).map(|lag| lag.as_secs_f64());
    let bytes = i64::try_from(state.lag_bytes()).ok().filter(|_| replica);
    let reports = || view.pools.iter().map(|report| &report.figures).filter(|figures| figures.node == id);
    json!({
        "address": address(node),
        "region": view.topology.region(node.region).name,
        "role": role_name(state.role()),
        "disabled": state.is_disabled(),
        "timeline": Some(state.timeline()).filter(|timeline| *timeline > 0),
        "lag_seconds": lag,
        "lag_bytes": bytes,
        "pool": {
            "connections": reports().map(|figures| figures.total).sum::<usize>(),
            "idle": reports().map(|figures| figures.idle).sum::<usize>(),
            "waiting": reports().map(|figures| figures.waiting).sum::<usize>(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admin::show::facts::{node as find, topology, view};
    use crate::catalog::Catalog;
    use crate::figures::Figures;

    #[test]
    fn what_operators_have_ordered_is_told() {
        let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
        topology.node(find(&topology, "10.0.1.1:5432")).state.set_disabled(true);
        let paused = crate::topology::ShardSet::one(ShardId(0));
        let shards = &document(&View { paused, ..view(&topology, &catalog, &figures) })["shards"];
        assert_eq!((&shards[0]["paused"], &shards[1]["paused"]), (&true.into(), &false.into()));
        let disabled = |shard: usize| &shards[shard]["nodes"][0]["disabled"];
        assert_eq!((disabled(0), disabled(1)), (&false.into(), &true.into()));
    }

    #[test]
    fn what_is_not_known_is_null() {
        let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
        let replica = &topology.node(find(&topology, "10.0.0.2:5432")).state;
        let shown = |name: &str| {
            let document = document(&view(&topology, &catalog, &figures));
            let nodes = document["shards"].as_array().expect("shards").clone();
            let nodes = nodes.iter().flat_map(|shard| shard["nodes"].as_array().expect("nodes").clone());
            let node = nodes.into_iter().find(|node| node["address"] == "10.0.0.2:5432").expect("the node");
            node[name].clone()
        };
        assert_eq!((shown("role"), shown("lag_seconds")), ("unknown".into(), Value::Null));
        replica.set_role(NodeRole::Replica);
        replica.set_lag(Duration::from_millis(1_500));
        replica.set_lag_bytes(72);
        assert_eq!(
            (shown("role"), shown("lag_seconds"), shown("lag_bytes")),
            ("replica".into(), 1.5.into(), 72.into())
        );
        replica.set_lag(Duration::MAX);
        replica.set_lag_bytes(u64::MAX);
        assert_eq!((shown("lag_seconds"), shown("lag_bytes")), (Value::Null, Value::Null));
    }
}
