//! `SHOW REGIONS`, `SHOW SHARDS` and `SHOW NODES`: the topology, and what the last probe found. Pure.
//!
//! An area is told as the smallest span of latitude and longitude that holds it, to a tenth of a degree, found by
//! asking the world which windows touch the area: exact for one box, an outline for anything else.
//!
//! Invariants:
//! 1. The span of an area is never too small.

use super::View;
use crate::admin::table::{Cell, Column, float8, int4, int8, text};
use crate::geo::{Owner, Window};
use crate::topology::{Node, NodeId, NodeRole, NodeState, RegionId, Shard, ShardId, Topology};

pub const REGION_COLUMNS: &[Column] = &[text("name"), text("shards"), text("area"), text("local")];

pub const SHARD_COLUMNS: &[Column] = &[
    text("name"),
    text("region"),
    text("database"),
    text("primary"),
    int4("nodes"),
    text("default"),
    float8("lag_max"),
    text("paused"),
];

pub const NODE_COLUMNS: &[Column] = &[
    text("shard"),
    text("address"),
    text("region"),
    text("role"),
    int8("timeline"),
    text("position"),
    int8("lag_bytes"),
    float8("lag_seconds"),
    float8("round_trip_ms"),
    int8("in_use"),
    text("disabled"),
];

pub fn regions(topology: &Topology) -> Vec<Vec<Cell>> {
    let row = |(index, region): (usize, &crate::topology::Region)| {
        let shards: Vec<_> = region.shards.iter().map(|shard| topology.shard(*shard).name.as_str()).collect();
        let id = RegionId(index as u16);
        vec![
            region.name.as_str().into(),
            shards.join(", ").into(),
            area(topology, id).into(),
            Cell::yes_no(id == topology.local_region),
        ]
    };
    topology.regions.iter().enumerate().map(row).collect()
}

pub fn shards(view: &View<'_>) -> Vec<Vec<Cell>> {
    let topology = view.topology;
    let row = |(index, shard): (usize, &Shard)| {
        vec![
            shard.name.as_str().into(),
            topology.region(shard.region).name.as_str().into(),
            shard.database.as_str().into(),
            primary(topology, shard).map(address).into(),
            Cell::count(shard.nodes.len()),
            Cell::yes_no(index == usize::from(topology.default_shard.0)),
            lag_max(topology, shard),
            Cell::yes_no(view.paused.contains(ShardId(index as u16))),
        ]
    };
    topology.shards.iter().enumerate().map(row).collect()
}

pub fn nodes(topology: &Topology) -> Vec<Vec<Cell>> {
    let all = topology.shards.iter().flat_map(|shard| &shard.nodes);
    all.map(|id| node(topology, *id)).collect()
}

fn node(topology: &Topology, id: NodeId) -> Vec<Cell> {
    let node = topology.node(id);
    let state = &node.state;
    // A node that has not been asked yet has no figures; one that is down keeps its last ones, but for its lag.
    let asked = state.role() != NodeRole::Unknown;
    let known = |cell: Cell, known: bool| if known { cell } else { Cell::Null };
    let follows = matches!(state.role(), NodeRole::Primary | NodeRole::Replica);
    vec![
        topology.shard(node.shard).name.as_str().into(),
        address(node).into(),
        topology.region(node.region).name.as_str().into(),
        role_name(state.role()).into(),
        known(Cell::Integer(i64::from(state.timeline())), asked && state.timeline() > 0),
        known(state.position().to_string().into(), asked && state.position().0 > 0),
        known(Cell::unsigned(state.lag_bytes()), follows),
        known(Cell::seconds(state.lag()), follows),
        known(Cell::milliseconds(state.round_trip()), asked && !state.round_trip().is_zero()),
        Cell::Integer(i64::from(state.in_use())),
        Cell::yes_no(state.is_disabled()),
    ]
}

pub fn address(node: &Node) -> String {
    if node.host.contains(':') {
        format!("[{}]:{}", node.host, node.port)
    } else {
        format!("{}:{}", node.host, node.port)
    }
}

pub const fn role_name(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Unknown => "unknown",
        NodeRole::Primary => "primary",
        NodeRole::Replica => "replica",
        NodeRole::Down => "down",
    }
}

fn states<'t>(topology: &'t Topology, shard: &'t Shard) -> impl Iterator<Item = &'t NodeState> {
    shard.nodes.iter().map(|id| &*topology.node(*id).state)
}

/// The node that writes go to: none where an operator has disabled it.
fn primary<'t>(topology: &'t Topology, shard: &Shard) -> Option<&'t Node> {
    let nodes = shard.nodes.iter().map(|id| topology.node(*id));
    let serves = |node: &&Node| node.state.role() == NodeRole::Primary && !node.state.is_disabled();
    nodes.into_iter().find(serves)
}

/// Of the replicas, in seconds; NULL without any, or where one's lag is not known.
fn lag_max(topology: &Topology, shard: &Shard) -> Cell {
    let replicas = states(topology, shard).filter(|state| state.role() == NodeRole::Replica);
    replicas.map(NodeState::lag).max().map_or(Cell::Null, Cell::seconds)
}

/// The area in words.
fn area(topology: &Topology, region: RegionId) -> String {
    let owner = Owner(region.0);
    if topology.world.default_owner() == Some(owner) {
        return "all that lies in no other area".to_owned();
    }
    let touches = |window: &Window| topology.world.touching(window).contains(owner);
    if !touches(&Window::everywhere()) {
        return "none".to_owned();
    }
    let latitude = span(Axis::Latitude, &touches);
    let longitude = span(Axis::Longitude, &touches);
    format!("latitude {} to {}, longitude {} to {}", latitude.0, latitude.1, longitude.0, longitude.1)
}

#[derive(Clone, Copy)]
enum Axis {
    Latitude,
    Longitude,
}

impl Axis {
    const fn tenths_max(self) -> i32 {
        match self {
            Self::Latitude => 900,
            Self::Longitude => 1800,
        }
    }

    fn at_least(self, bound: f64) -> Window {
        let mut window = Window::everywhere();
        match self {
            Self::Latitude => window.latitude_at_least(bound),
            Self::Longitude => window.longitude_at_least(bound),
        }
        window
    }

    fn at_most(self, bound: f64) -> Window {
        let mut window = Window::everywhere();
        match self {
            Self::Latitude => window.latitude_at_most(bound),
            Self::Longitude => window.longitude_at_most(bound),
        }
        window
    }
}

/// The bounds of the area on one axis, rounded outwards to tenths of a degree.
fn span(axis: Axis, touches: &impl Fn(&Window) -> bool) -> (f64, f64) {
    let end = axis.tenths_max();
    let degrees = |tenths: i32| f64::from(tenths) / 10.0;
    // The first tenth up to which something of the area lies; the area begins there or in the tenth before it.
    let first = bisect(-end, end, |tenths| touches(&axis.at_most(degrees(tenths))));
    let begins_there = first == -end || !touches(&axis.at_most(degrees(first).next_down()));
    let low = if begins_there { first } else { first - 1 };
    // The first tenth from which on nothing of the area lies: areas end before their bounds.
    let high = bisect(low, end, |tenths| tenths == end || !touches(&axis.at_least(degrees(tenths))));
    (degrees(low), degrees(high))
}

/// The least number of `low ..= high` that satisfies the condition, which holds for all above it, and for `high`.
fn bisect(mut low: i32, mut high: i32, holds: impl Fn(i32) -> bool) -> i32 {
    while low < high {
        let middle = low + (high - low).div_euclid(2);
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}
