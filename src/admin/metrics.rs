//! The figures of the process in Prometheus' text format. Pure.
//!
//! [`render`] fills a recorder of its own for each scrape and prints it: what is no longer known is then absent instead
//! of standing still at its last value, and nothing is registered for the process as a whole. Counters are those of
//! `SHOW STATS`, under `meridian_…_total`.
//!
//! Invariants:
//! 1. What is not known has no sample, never a made-up one.
//! 2. The number of series depends on the configuration only, never on what clients send.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::{Label, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::show::{View, address, counters, role_name};
use super::table::ENDLESS;
use crate::topology::{Node, NodeId, NodeRole, Topology};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const ROLES: [NodeRole; 4] = [NodeRole::Unknown, NodeRole::Primary, NodeRole::Replica, NodeRole::Down];

/// Name and help of every gauge.
const GAUGES: &[(&str, &str)] = &[
    ("meridian_build_info", "The version that runs; always 1."),
    ("meridian_uptime_seconds", "Time since the start."),
    ("meridian_clients", "Clients that are connected now."),
    ("meridian_node_up", "Whether the node answers probes; absent before the first one."),
    ("meridian_node_role", "1 for the role that the node has now, 0 for the others."),
    ("meridian_node_round_trip_seconds", "Smoothed round trip of a probe."),
    (
        "meridian_replica_lag_seconds",
        "How far the replica is behind its primary, in time; absent if not known.",
    ),
    (
        "meridian_replica_lag_bytes",
        "How far the replica is behind its primary, in bytes; absent if not known.",
    ),
    ("meridian_pool_connections", "Connections to the node in the pools of all workers, by state."),
    ("meridian_pool_waiting_clients", "Sessions that wait for a connection to the node."),
];

/// All figures at one moment; pools are as the workers last said.
pub fn render(view: &View<'_>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        for (name, help) in GAUGES {
            describe_gauge!(*name, *help);
        }
        set_process(view);
        for index in 0..view.topology.nodes.len() {
            set_node(view.topology, NodeId(index as u16));
        }
        set_pools(view);
    });
    recorder.handle().render()
}

fn set_process(view: &View<'_>) {
    for (name, count, meaning) in counters(view.figures) {
        let name = format!("meridian_{name}_total");
        describe_counter!(name.clone(), format!("Since the start: {meaning}."));
        counter!(name).absolute(count.load(Ordering::Relaxed));
    }
    gauge!("meridian_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!("meridian_uptime_seconds").set(view.uptime.as_secs_f64());
    gauge!("meridian_clients").set(f64::from(view.figures.clients.load(Ordering::Relaxed)));
}

fn set_node(topology: &Topology, id: NodeId) {
    let node = topology.node(id);
    let (state, role) = (&node.state, node.state.role());
    let labels = labels(topology, node);
    for known in ROLES {
        let mut labels = labels.clone();
        labels.push(Label::from_static_parts("role", role_name(known)));
        gauge!("meridian_node_role", labels).set(f64::from(u8::from(known == role)));
    }
    if role == NodeRole::Unknown {
        return;
    }
    gauge!("meridian_node_up", labels.clone()).set(f64::from(u8::from(role != NodeRole::Down)));
    set_time("meridian_node_round_trip_seconds", &labels, Some(state.round_trip()).filter(|t| !t.is_zero()));
    if role == NodeRole::Replica {
        set_time("meridian_replica_lag_seconds", &labels, Some(state.lag()));
        // As much as cannot be is the sign of a lag that is not known.
        if let Ok(bytes) = i64::try_from(state.lag_bytes()) {
            gauge!("meridian_replica_lag_bytes", labels).set(bytes as f64);
        }
    }
}

fn set_time(name: &'static str, labels: &[Label], time: Option<Duration>) {
    if let Some(time) = time.filter(|time| *time < ENDLESS) {
        gauge!(name, labels.to_vec()).set(time.as_secs_f64());
    }
}

#[derive(Default)]
struct Sum {
    idle: usize,
    total: usize,
    waiting: usize,
}

fn set_pools(view: &View<'_>) {
    let mut sums: HashMap<NodeId, Sum> = HashMap::new();
    for report in view.pools {
        let sum = sums.entry(report.figures.node).or_default();
        sum.idle += report.figures.idle;
        sum.total += report.figures.total;
        sum.waiting += report.figures.waiting;
    }
    for (index, node) in view.topology.nodes.iter().enumerate() {
        let sum = sums.remove(&NodeId(index as u16)).unwrap_or_default();
        let labels = labels(view.topology, node);
        for (state, count) in [("active", sum.total.saturating_sub(sum.idle)), ("idle", sum.idle)] {
            let mut labels = labels.clone();
            labels.push(Label::from_static_parts("state", state));
            gauge!("meridian_pool_connections", labels).set(count as f64);
        }
        gauge!("meridian_pool_waiting_clients", labels).set(sum.waiting as f64);
    }
}

/// Which node a sample is of.
fn labels(topology: &Topology, node: &Node) -> Vec<Label> {
    vec![
        Label::new("shard", topology.shard(node.shard).name.clone()),
        Label::new("node", address(node)),
        Label::new("region", topology.region(node.region).name.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::show::facts::{node, topology, view};
    use crate::backend::pool::PoolFigures;
    use crate::catalog::Catalog;
    use crate::session::board::PoolReport;
    use crate::session::shared::Figures;

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|found| found == line)
    }

    #[test]
    fn counters_and_gauges_have_their_help_type_and_value() {
        let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
        figures.clients.store(3, Ordering::Relaxed);
        figures.statements.store(41, Ordering::Relaxed);
        let text = render(&view(&topology, &catalog, &figures));
        for line in [
            "# HELP meridian_statements_total Since the start: statements that clients asked for.",
            "# TYPE meridian_statements_total counter",
            "meridian_statements_total 41",
            "meridian_pins_total 0",
            "# TYPE meridian_clients gauge",
            "meridian_clients 3",
            "meridian_uptime_seconds 5",
        ] {
            assert!(has(&text, line), "{line} is not in\n{text}");
        }
        let typed = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        let helped = text.lines().filter(|line| line.starts_with("# HELP")).count();
        assert_eq!(typed, helped);
    }

    #[test]
    fn what_is_not_known_of_a_node_is_absent() {
        let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
        let replica = &topology.node(node(&topology, "10.0.0.2:5432")).state;
        let labels = "{shard=\"east\",node=\"10.0.0.2:5432\",region=\"west\"";
        let view = view(&topology, &catalog, &figures);
        let text = render(&view);
        assert!(has(&text, &format!("meridian_node_role{labels},role=\"unknown\"}} 1")), "{text}");
        assert!(!text.contains("meridian_node_up{") && !text.contains("meridian_replica_lag_"), "{text}");

        replica.set_role(NodeRole::Replica);
        replica.set_lag(Duration::from_millis(1_500));
        replica.set_lag_bytes(72);
        let text = render(&view);
        assert!(has(&text, &format!("meridian_node_up{labels}}} 1")), "{text}");
        assert!(has(&text, &format!("meridian_replica_lag_seconds{labels}}} 1.5")), "{text}");
        assert!(has(&text, &format!("meridian_replica_lag_bytes{labels}}} 72")), "{text}");

        replica.set_lag(Duration::MAX);
        replica.set_lag_bytes(u64::MAX);
        assert!(!render(&view).contains("meridian_replica_lag_"));
        replica.set_role(NodeRole::Down);
        assert!(has(&render(&view), &format!("meridian_node_up{labels}}} 0")));
    }

    #[test]
    fn pools_of_all_users_and_workers_are_summed_by_node() {
        let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
        let node = node(&topology, "10.0.1.1:5432");
        let report = |user: &str, idle, total| PoolReport {
            user: user.to_owned(),
            figures: PoolFigures { node, idle, total, waiting: 1, servers: Vec::new() },
        };
        let pools = [report("a", 1, 4), report("b", 2, 2)];
        let text = render(&View { pools: &pools, ..view(&topology, &catalog, &figures) });
        let labels = "{shard=\"west\",node=\"10.0.1.1:5432\",region=\"west\"";
        assert!(has(&text, &format!("meridian_pool_connections{labels},state=\"active\"}} 3")), "{text}");
        assert!(has(&text, &format!("meridian_pool_connections{labels},state=\"idle\"}} 3")), "{text}");
        assert!(has(&text, &format!("meridian_pool_waiting_clients{labels}}} 2")), "{text}");
    }
}
