//! The figures of the process in Prometheus' text format. Pure.
//!
//! `http` calls [`render`] for each scrape: what is no longer known is then absent instead of standing still at its last
//! value. `list` has every metric, `page` writes the format; here each gets its samples.
//!
//! Invariants:
//! 1. What is not known has no sample, never a made-up one.
//! 2. The number of series depends on the configuration and on this program's own words, never on what clients send.

pub mod list;
mod page;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use self::list::Metric;
use self::page::Page;
use super::show::{View, address, role_name};
use super::table::ENDLESS;
use crate::figures::{
    Count, HistogramSum, NodeFigures, REFUSAL_LETTERS, REFUSALS_MAX, Route, Verb, WorkerFigures,
};
use crate::session::shared::Doing;
use crate::topology::{Node, NodeId, NodeRole, ShardId, Topology};
use crate::wire::fault::{CLASSES, Fault};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const ROLES: [NodeRole; 4] = [NodeRole::Unknown, NodeRole::Primary, NodeRole::Replica, NodeRole::Down];

/// All figures at one moment; pools are as the workers last said.
pub fn render(view: &View<'_>) -> String {
    let mut page = Page::default();
    process(&mut page, view);
    clients(&mut page, view);
    statements(&mut page, view);
    errors(&mut page, view);
    totals(&mut page, view);
    nodes(&mut page, view);
    pools(&mut page, view);
    two_phase(&mut page, view);
    page.finish()
}

fn process(page: &mut Page, view: &View<'_>) {
    page.sample(&list::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    page.sample(&list::UPTIME, &[], view.uptime.as_secs_f64());
    page.sample(&list::CONFIGURATION, &[], view.topology.version.0 as f64);
    page.sample(&list::CATALOG, &[], f64::from(u8::from(view.catalog.loaded)));
    page.sample(&list::POOL_SIZE, &[], view.pool_size as f64);
}

fn clients(page: &mut Page, view: &View<'_>) {
    page.sample(&list::CLIENTS, &[], f64::from(view.figures.clients.load(Ordering::Relaxed)));
    page.sample(&list::CLIENTS_MAX, &[], view.clients_max as f64);
    let states =
        [("active", Doing::Active), ("idle", Doing::Idle), ("idle_in_transaction", Doing::IdleInTransaction)];
    for (label, doing) in states {
        let count = view.clients.iter().filter(|client| client.state.doing == doing).count();
        page.sample(&list::CLIENT_STATES, &[label], count as f64);
    }
    let mut pinned: BTreeMap<&str, u32> = BTreeMap::new();
    for reason in view.clients.iter().filter_map(|client| client.state.pinned) {
        *pinned.entry(reason).or_default() += 1;
    }
    for (reason, count) in pinned {
        page.sample(&list::PINNED, &[reason], f64::from(count));
    }
}

/// The regions' names, and the place of what no single one answered.
fn places<'a>(view: &View<'a>) -> impl Iterator<Item = (usize, &'a str)> {
    let counted = view.figures.extent.regions;
    let regions = view.topology.regions.iter().take(counted).map(|region| region.name.as_str());
    regions.enumerate().chain([(counted, "")])
}

fn statements(page: &mut Page, view: &View<'_>) {
    let figures = view.figures;
    for verb in Verb::ALL {
        for route in Route::ALL {
            for (place, region) in places(view) {
                let count = figures.sum(|worker| worker.statements(verb, route, place));
                seen(page, &list::STATEMENTS, &[verb.label(), route.label(), region], count);
            }
        }
    }
    for route in Route::ALL {
        for (place, region) in places(view) {
            let sum = figures.latency(route, place);
            if sum.count() > 0 {
                page.histogram(&list::DURATION, &[route.label(), region], &sum);
            }
        }
    }
}

fn errors(page: &mut Page, view: &View<'_>) {
    for fault in Fault::ALL {
        for (class, name) in CLASSES.iter().enumerate() {
            let count = view.figures.sum(|worker| worker.errors(fault, class));
            seen(page, &list::ERRORS, &[fault.label(), name], count);
        }
    }
    for (index, letter) in REFUSAL_LETTERS.iter().enumerate() {
        for number in 0..REFUSALS_MAX {
            let count = view.figures.sum(|worker| worker.refusals(index, number));
            seen(page, &list::REFUSALS, &[&format!("{letter}{number:03}")], count);
        }
    }
}

/// A series from the first time that it is counted.
fn seen(page: &mut Page, metric: &Metric, values: &[&str], count: u64) {
    if count > 0 {
        page.sample(metric, values, count as f64);
    }
}

/// Where a metric stands in a worker's figures.
type Source<T> = fn(&T) -> &Count;

fn totals(page: &mut Page, view: &View<'_>) {
    let totals: [(&Metric, Source<WorkerFigures>); 14] = [
        (&list::CONNECTIONS, |worker| &worker.connections),
        (&list::PINS, |worker| &worker.pins),
        (&list::TRANSACTIONS, |worker| &worker.transactions),
        (&list::ROWS, |worker| &worker.rows),
        (&list::RETRIES, |worker| &worker.retries),
        (&list::REPLICA_READS, |worker| &worker.replica_reads),
        (&list::CLIENT_RECEIVED, |worker| &worker.client_received),
        (&list::CLIENT_SENT, |worker| &worker.client_sent),
        (&list::SERVER_RECEIVED, |worker| &worker.server_received),
        (&list::SERVER_SENT, |worker| &worker.server_sent),
        (&list::PLAN_HITS, |worker| &worker.plan_hits),
        (&list::PLAN_MISSES, |worker| &worker.plan_misses),
        (&list::PLAN_ENTRIES, |worker| &worker.plan_entries),
        (&list::PLAN_BYTES, |worker| &worker.plan_bytes),
    ];
    for (metric, count) in totals {
        page.sample(metric, &[], view.figures.sum(|worker| count(worker).get()) as f64);
    }
}

fn nodes(page: &mut Page, view: &View<'_>) {
    let topology = view.topology;
    for (index, shard) in topology.shards.iter().enumerate() {
        let paused = view.paused.contains(ShardId(index as u16));
        page.sample(&list::SHARD_PAUSED, &[&shard.name], f64::from(u8::from(paused)));
    }
    each_node(topology, |_, node, place| {
        for role in ROLES {
            let [shard, address, region] = place;
            let value = f64::from(u8::from(role == node.state.role()));
            page.sample(&list::NODE_ROLE, &[shard, address, region, role_name(role)], value);
        }
    });
    let mut gauge = |metric: &Metric, value: &dyn Fn(&Node) -> Option<f64>| {
        each_node(topology, |_, node, place| {
            if let Some(value) = value(node) {
                page.sample(metric, &place, value);
            }
        });
    };
    let known = |node: &Node| node.state.role() != NodeRole::Unknown;
    let replica = |node: &Node| node.state.role() == NodeRole::Replica;
    gauge(&list::NODE_DISABLED, &|node| Some(f64::from(u8::from(node.state.is_disabled()))));
    gauge(&list::NODE_UP, &|node| {
        known(node).then(|| f64::from(u8::from(node.state.role() != NodeRole::Down)))
    });
    gauge(&list::NODE_TIMELINE, &|node| {
        Some(f64::from(node.state.timeline())).filter(|timeline| *timeline > 0.0)
    });
    gauge(&list::ROUND_TRIP, &|node| {
        Some(node.state.round_trip().as_secs_f64()).filter(|time| known(node) && *time > 0.0)
    });
    gauge(&list::PROMOTIONS, &|node| Some(node.state.promotions() as f64));
    gauge(&list::LAG_SECONDS, &|node| {
        Some(node.state.lag()).filter(|lag| replica(node) && *lag < ENDLESS).map(|lag| lag.as_secs_f64())
    });
    // As much as cannot be is the sign of a lag that is not known.
    gauge(&list::LAG_BYTES, &|node| {
        i64::try_from(node.state.lag_bytes()).ok().filter(|_| replica(node)).map(|bytes| bytes as f64)
    });
}

/// Calls with each node and the labels that say which it is.
fn each_node(topology: &Topology, mut call: impl FnMut(NodeId, &Node, [&str; 3])) {
    for (index, node) in topology.nodes.iter().enumerate().filter(|(_, node)| !node.retired) {
        let (shard, region) = (&topology.shard(node.shard).name, &topology.region(node.region).name);
        call(NodeId(index as u16), node, [shard, &address(node), region]);
    }
}

#[derive(Default, Clone, Copy)]
struct Sum {
    idle: usize,
    total: usize,
    waiting: usize,
}

fn pools(page: &mut Page, view: &View<'_>) {
    let mut sums: HashMap<NodeId, Sum> = HashMap::new();
    for report in view.pools {
        let sum = sums.entry(report.figures.node).or_default();
        sum.idle += report.figures.idle;
        sum.total += report.figures.total;
        sum.waiting += report.figures.waiting;
    }
    let topology = view.topology;
    let of = |id: NodeId| sums.get(&id).copied().unwrap_or_default();
    each_node(topology, |id, _, [shard, node, region]| {
        let sum = of(id);
        for (state, count) in [("active", sum.total.saturating_sub(sum.idle)), ("idle", sum.idle)] {
            page.sample(&list::POOL_CONNECTIONS, &[shard, node, region, state], count as f64);
        }
    });
    each_node(topology, |id, _, place| page.sample(&list::POOL_WAITING, &place, of(id).waiting as f64));
    each_node(topology, |id, _, place| {
        let waits = view.figures.workers.iter().filter_map(|worker| worker.node(id)).map(|node| &node.waits);
        let sum = HistogramSum::of(waits);
        if sum.count() > 0 {
            page.histogram(&list::POOL_WAIT, &place, &sum);
        }
    });
    let counted: [(&Metric, Source<NodeFigures>); 2] =
        [(&list::CONNECTS, |node| &node.connects), (&list::FAILED_CONNECTS, |node| &node.failed_connects)];
    for (metric, count) in counted {
        each_node(topology, |id, _, place| {
            let total = view.figures.sum(|worker| worker.node(id).map_or(0, |node| count(node).get()));
            page.sample(metric, &place, total as f64);
        });
    }
}

fn two_phase(page: &mut Page, view: &View<'_>) {
    let standing = &view.two_phase;
    for (outcome, count) in [
        ("committed", standing.committed),
        ("rolled_back", standing.rolled_back),
        ("in_doubt", standing.in_doubt),
        ("recovered_committed", standing.recovered_committed),
        ("recovered_rolled_back", standing.recovered_rolled_back),
    ] {
        page.sample(&list::TWO_PHASE, &[outcome], count as f64);
    }
    page.sample(&list::IN_DOUBT, &[], standing.waiting as f64);
    page.sample(&list::IN_DOUBT_AGE, &[], standing.oldest.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::show::facts::{node, topology, view};
    use crate::backend::pool::PoolFigures;
    use crate::catalog::Catalog;
    use crate::figures::Figures;
    use crate::session::board::PoolReport;
    use crate::wire::error::SqlState;
    use std::time::Duration;

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|found| found == line)
    }

    #[test]
    fn counters_and_gauges_have_their_help_type_and_value() {
        let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
        figures.clients.store(3, Ordering::Relaxed);
        let time = Duration::from_millis(2);
        figures.worker(0).statement(Verb::Select, Route::Relay, None, 41, time);
        figures.worker(0).error(Fault::Client, &SqlState::SYNTAX_ERROR);
        figures.worker(0).refusal("M001");
        let text = render(&view(&topology, &catalog, &figures));
        for line in [
            "# TYPE meridian_statements_total counter",
            "meridian_statements_total{verb=\"select\",route=\"relay\",region=\"\"} 41",
            "meridian_statement_duration_seconds_bucket{route=\"relay\",region=\"\",le=\"0.001\"} 0",
            "meridian_statement_duration_seconds_bucket{route=\"relay\",region=\"\",le=\"0.0025\"} 41",
            "meridian_statement_duration_seconds_count{route=\"relay\",region=\"\"} 41",
            "meridian_errors_total{fault=\"client\",class=\"42\"} 1",
            "meridian_refusals_total{number=\"M001\"} 1",
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
    fn what_operators_have_ordered_is_told() {
        let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
        topology.node(node(&topology, "10.0.0.2:5432")).state.set_disabled(true);
        let paused = crate::topology::ShardSet::one(ShardId(1));
        let text = render(&View { paused, ..view(&topology, &catalog, &figures) });
        for line in [
            "meridian_shard_paused{shard=\"east\"} 0",
            "meridian_shard_paused{shard=\"west\"} 1",
            "meridian_node_disabled{shard=\"east\",node=\"10.0.0.2:5432\",region=\"west\"} 1",
            "meridian_node_disabled{shard=\"west\",node=\"10.0.1.1:5432\",region=\"west\"} 0",
        ] {
            assert!(has(&text, line), "{line} is not in\n{text}");
        }
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
            figures: PoolFigures { node, idle, total, waiting: 1, size: None, servers: Vec::new() },
        };
        let pools = [report("a", 1, 4), report("b", 2, 2)];
        let text = render(&View { pools: &pools, ..view(&topology, &catalog, &figures) });
        let labels = "{shard=\"west\",node=\"10.0.1.1:5432\",region=\"west\"";
        assert!(has(&text, &format!("meridian_pool_connections{labels},state=\"active\"}} 3")), "{text}");
        assert!(has(&text, &format!("meridian_pool_connections{labels},state=\"idle\"}} 3")), "{text}");
        assert!(has(&text, &format!("meridian_pool_waiting_clients{labels}}} 2")), "{text}");
    }
}
