//! `SHOW CONFIG`: the settings in force, as the file spells them. Pure.
//!
//! Secrets have no row. What only a restart changes says so.

use std::time::Duration;

use crate::admin::table::{Cell, Column, text};
use crate::config::Names;
use crate::session::shared::Live;
use crate::topology::Topology;

pub const COLUMNS: &[Column] = &[text("key"), text("value"), text("changes")];

pub fn settings(live: &Live, topology: &Topology) -> Vec<Vec<Cell>> {
    let Live { proxy, session, database, server, pool, health, tls, http, users, access, .. } = live;
    let tls_mode = match tls {
        None => "off",
        Some(tls) if tls.required => "required",
        Some(_) => "optional",
    };
    let http = http.as_ref().map_or_else(|| "off".to_owned(), |http| http.listen.to_string());
    let restart = [
        ("proxy.listen", proxy.listen.to_string()),
        ("proxy.workers", proxy.workers.to_string()),
        ("proxy.plan_cache_bytes", proxy.plan_cache_bytes.to_string()),
        ("http.listen", http),
        ("database.name", topology.database.clone()),
        ("database.default_shard", topology.shard(topology.default_shard).name.clone()),
    ];
    let reload = [
        ("proxy.region", topology.region(topology.local_region).name.clone()),
        ("proxy.clients_max", proxy.clients_max.to_string()),
        ("proxy.auth", proxy.auth.name().to_owned()),
        ("proxy.authentication_timeout", time(proxy.authentication_timeout)),
        ("proxy.message_bytes_max", proxy.message_bytes_max.to_string()),
        ("proxy.consistency", session.consistency.to_string()),
        ("proxy.max_lag", time(session.max_lag)),
        ("proxy.primary_wait", time(session.primary_wait)),
        ("proxy.idle_transaction_timeout", maybe(session.idle_transaction_timeout)),
        ("proxy.client_statements_max", session.client_statements_max.to_string()),
        ("server.user", server.user.clone()),
        ("server.connect_timeout", time(server.connect_timeout)),
        ("server.keepalive", maybe(server.keepalive)),
        ("server.tls", format!("{:?}", server.tls.mode)),
        ("tls.mode", tls_mode.to_owned()),
        ("database.aliases", aliases(&database.aliases)),
        ("database.connections_max", count(database.connections_max)),
        ("database.pool_size", count(database.pool_size)),
        ("users", users.len().to_string()),
        ("pool.size", pool.size.to_string()),
        ("pool.idle_timeout", maybe(pool.idle_timeout)),
        ("pool.lifetime", maybe(pool.lifetime)),
        ("pool.wait_timeout", time(pool.wait_timeout)),
        ("pool.prepared_statements_max", pool.prepared_statements_max.to_string()),
        ("health.interval", time(health.interval)),
        ("health.timeout", time(health.timeout)),
        ("health.failures", health.failures.to_string()),
        ("health.catalog_interval", time(health.catalog_interval)),
    ];
    let reload = reload.into_iter().chain(auth_query(live, topology)).chain(bounds(live));
    let rows =
        |when: &'static str| move |(key, value): (&str, String)| vec![key.into(), value.into(), when.into()];
    let settings = restart.into_iter().map(rows("restart")).chain(reload.map(rows("reload")));
    // In their order, counted from 1, as SHOW CLIENTS counts them.
    let rules = access.0.iter().enumerate().map(|(index, rule)| {
        vec![format!("access.{}", index + 1).into(), rule.to_string().into(), "reload".into()]
    });
    settings.chain(rules).collect()
}

fn auth_query(live: &Live, topology: &Topology) -> Vec<(&'static str, String)> {
    let Some(query) = &live.auth_query else { return Vec::new() };
    let shard = query.shard.clone().unwrap_or_else(|| topology.shard(topology.default_shard).name.clone());
    vec![
        ("auth_query.query", query.query.clone()),
        ("auth_query.shard", shard),
        ("auth_query.lifetime", time(query.lifetime)),
        ("auth_query.unknown_lifetime", time(query.unknown_lifetime)),
        ("auth_query.entries_max", query.entries_max.to_string()),
        ("auth_query.timeout", time(query.timeout)),
    ]
}

/// Bounds on what statements over several shards may hold.
fn bounds(live: &Live) -> Vec<(&'static str, String)> {
    let Live { limits, scratch, .. } = live;
    vec![
        ("limits.merge_rows_max", limits.merge_rows_max.to_string()),
        ("limits.merge_bytes_max", limits.merge_bytes_max.to_string()),
        ("limits.batch_bytes_max", limits.batch_bytes_max.to_string()),
        ("limits.shard_buffer_bytes", limits.shard_buffer_bytes.to_string()),
        ("limits.copy_row_bytes_max", limits.copy_row_bytes_max.to_string()),
        ("scratch.rows_max", scratch.rows_max.to_string()),
        ("scratch.bytes_max", scratch.bytes_max.to_string()),
        ("scratch.reduce_from_rows", scratch.reduce_from_rows.to_string()),
        ("scratch.concurrent_max", scratch.concurrent_max.to_string()),
    ]
}

fn time(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

fn maybe(bound: Option<Duration>) -> String {
    bound.map_or_else(|| "0".to_owned(), time)
}

fn aliases(names: &Names) -> String {
    let names = names.to_string();
    if names.is_empty() { "none".to_owned() } else { names }
}

fn count(limit: Option<usize>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}
