//! `SHOW POOLS`, `SHOW CLIENTS` and `SHOW STATS`: what the process is doing. Pure.
//!
//! Pools are kept by each worker for itself; here they are summed by node and user. The columns are named as PgBouncer
//! names them: `cl_` counts clients, `sv_` connections to servers.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::places::{address, role_name};
use super::{ClientView, View};
use crate::admin::table::{Cell, Column, float8, int4, int8, text};
use crate::figures::{Count, Figures, Route, WorkerFigures};
use crate::session::shared::Doing;
use crate::topology::NodeId;

pub const POOL_COLUMNS: &[Column] = &[
    text("database"),
    text("user"),
    text("node"),
    text("role"),
    int4("cl_waiting"),
    int4("sv_active"),
    int4("sv_idle"),
    int4("size"),
];

pub const CLIENT_COLUMNS: &[Column] = &[
    int4("id"),
    text("user"),
    text("database"),
    text("address"),
    text("application_name"),
    text("state"),
    text("pinned"),
    float8("connected_seconds"),
    text("access_rule"),
];

pub const SERVER_COLUMNS: &[Column] = &[
    text("user"),
    text("database"),
    text("shard"),
    text("node"),
    text("role"),
    int8("pid"),
    text("state"),
    float8("age_seconds"),
];

pub const TRANSACTION_COLUMNS: &[Column] = &[
    int4("client"),
    text("user"),
    text("address"),
    text("application_name"),
    text("state"),
    float8("seconds"),
];

pub const PLAN_COLUMNS: &[Column] =
    &[int4("worker"), int8("plans"), int8("bytes"), int8("hits"), int8("misses")];

pub const STATS_COLUMNS: &[Column] = &[text("name"), int8("value"), text("meaning")];

#[derive(Default)]
struct Sum {
    idle: usize,
    total: usize,
    waiting: usize,
    size: Option<usize>,
}

pub fn pools(view: &View<'_>) -> Vec<Vec<Cell>> {
    let mut sums: BTreeMap<(NodeId, &str), Sum> = BTreeMap::new();
    for report in view.pools {
        let sum = sums.entry((report.figures.node, &report.user)).or_default();
        sum.idle += report.figures.idle;
        sum.total += report.figures.total;
        sum.waiting += report.figures.waiting;
        sum.size = report.figures.size.or(sum.size);
    }
    let row = |((node, user), sum): ((NodeId, &str), Sum)| {
        // A report may be older than a change of the topology.
        let node = view.topology.nodes.get(usize::from(node.0))?;
        Some(vec![
            view.topology.shard(node.shard).database.as_str().into(),
            user.into(),
            address(node).into(),
            role_name(node.state.role()).into(),
            Cell::count(sum.waiting),
            Cell::count(sum.total.saturating_sub(sum.idle)),
            Cell::count(sum.idle),
            Cell::count(sum.size.unwrap_or(view.pool_size)),
        ])
    };
    sums.into_iter().filter_map(row).collect()
}

/// Longest connected first.
pub fn clients(clients: &[ClientView]) -> Vec<Vec<Cell>> {
    let mut clients: Vec<_> = clients.iter().collect();
    clients.sort_by(|a, b| b.connected.cmp(&a.connected).then(a.id.cmp(&b.id)));
    let row = |client: &ClientView| {
        vec![
            Cell::Integer(i64::from(client.id)),
            client.names.user.as_str().into(),
            client.names.database.as_str().into(),
            client.names.address.as_str().into(),
            client.state.application_name.as_str().into(),
            doing(client.state.doing).into(),
            client.state.pinned.into(),
            Cell::seconds(client.connected),
            client.names.access.as_deref().into(),
        ]
    };
    clients.into_iter().map(row).collect()
}

pub fn servers(view: &View<'_>) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for report in view.pools {
        let Some(node) = view.topology.nodes.get(usize::from(report.figures.node.0)) else { continue };
        let shard = view.topology.shard(node.shard);
        for server in &report.figures.servers {
            rows.push(vec![
                report.user.as_str().into(),
                shard.database.as_str().into(),
                shard.name.as_str().into(),
                address(node).into(),
                role_name(node.state.role()).into(),
                Cell::Integer(i64::from(server.pid)),
                if server.lent { "active" } else { "idle" }.into(),
                Cell::seconds(server.age),
            ]);
        }
    }
    rows
}

/// Longest first.
pub fn transactions(clients: &[ClientView]) -> Vec<Vec<Cell>> {
    let mut open: Vec<_> = clients
        .iter()
        .filter_map(|client| client.state.in_transaction.map(|since| (since, client)))
        .collect();
    open.sort_by_key(|(since, client)| (*since, client.id));
    let row = |(since, client): (std::time::Instant, &ClientView)| {
        vec![
            Cell::Integer(i64::from(client.id)),
            client.names.user.as_str().into(),
            client.names.address.as_str().into(),
            client.state.application_name.as_str().into(),
            doing(client.state.doing).into(),
            Cell::seconds(since.elapsed()),
        ]
    };
    open.into_iter().map(row).collect()
}

pub fn plans(view: &View<'_>) -> Vec<Vec<Cell>> {
    let row = |(worker, report): (usize, &crate::session::board::PlansReport)| {
        vec![
            Cell::count(worker),
            Cell::count(report.plans),
            Cell::count(report.bytes),
            Cell::unsigned(report.hits),
            Cell::unsigned(report.misses),
        ]
    };
    view.plans.iter().enumerate().map(row).collect()
}

/// In the words of `pg_stat_activity.state`.
const fn doing(doing: Doing) -> &'static str {
    match doing {
        Doing::Idle => "idle",
        Doing::Active => "active",
        Doing::IdleInTransaction => "idle in transaction",
    }
}

/// Name, value and meaning of every counter; `metrics` shows them too.
pub fn counters(figures: &Figures) -> [(&'static str, u64, &'static str); 12] {
    let sum = |count: fn(&WorkerFigures) -> &Count| figures.sum(|worker| count(worker).get());
    let statements = Route::ALL.iter().map(|route| figures.on_route(*route)).sum();
    [
        ("connections", sum(|worker| &worker.connections), "clients that were let in"),
        ("statements", statements, "statements of clients that have ended"),
        (
            "transactions",
            sum(|worker| &worker.transactions),
            "requests that ended outside a transaction block",
        ),
        ("relayed", figures.on_route(Route::Relay), "statements that one shard answered"),
        (
            "scattered",
            figures.on_route(Route::Scatter),
            "statements that were sent to several shards and combined",
        ),
        (
            "everywhere",
            figures.on_route(Route::Everywhere),
            "statements that were run on every shard, such as DDL",
        ),
        ("refused", figures.sum(WorkerFigures::refused), "statements that could not be answered rightly"),
        ("errors", figures.sum(WorkerFigures::failed), "errors that clients were told"),
        ("retries", sum(|worker| &worker.retries), "reads that were tried again on another server"),
        ("replica_reads", sum(|worker| &worker.replica_reads), "reads that a replica answered"),
        ("pins", sum(|worker| &worker.pins), "sessions that had to keep a server connection"),
        ("plans_made", sum(|worker| &worker.plan_misses), "plans that were not in a cache"),
    ]
}

pub fn stats(view: &View<'_>) -> Vec<Vec<Cell>> {
    let row = |name: &str, value: Cell, meaning: &str| vec![name.into(), value, meaning.into()];
    let mut rows = vec![
        row("uptime_seconds", Cell::unsigned(view.uptime.as_secs()), "time since the start"),
        row(
            "clients",
            Cell::Integer(i64::from(view.figures.clients.load(Ordering::Relaxed))),
            "clients that are connected now",
        ),
    ];
    let counted = counters(view.figures).into_iter();
    rows.extend(counted.map(|(name, count, meaning)| row(name, Cell::unsigned(count), meaning)));
    rows
}
