//! `SHOW CONFIG`: the settings in force, each key as the file spells it, or with its default where the file is silent. Pure.
//!
//! Secrets have no row. What only a restart changes says so.

use std::time::Duration;

use crate::admin::table::{Cell, Column, text};
use crate::config::{AuthQuery, LogFormat, StatementText};
use crate::session::shared::Live;
use crate::topology::Topology;
use crate::wire::tls::ServerTls;

pub const COLUMNS: &[Column] = &[text("key"), text("value"), text("changes")];

/// A key and its value in force.
type Setting = (&'static str, String);

pub fn settings(live: &Live, topology: &Topology) -> Vec<Vec<Cell>> {
    let sections = [
        clients(live, topology),
        servers(live),
        live.auth_query.iter().flat_map(|query| auth_query(query, topology)).collect(),
        bounds(live, topology),
        files(),
    ];
    let written = |(key, value): Setting| {
        let value = live.written.get(key).map_or(value, str::to_owned);
        row(key, value, if BOUND_AT_START.contains(&key) { "restart" } else { "reload" })
    };
    let settings = restart(live, topology).into_iter().chain(sections.into_iter().flatten()).map(written);
    let distances = live.written.beginning("distances.");
    let distances = distances.map(|(key, value)| row(key, value.to_owned(), "reload"));
    // In their order, counted from 1, as SHOW CLIENTS counts them.
    let rules = live.access.0.iter().enumerate();
    let rules = rules.map(|(index, rule)| row(&format!("access.{}", index + 1), rule.to_string(), "reload"));
    let users = [row("users", live.users.len().to_string(), "reload")];
    settings.chain(distances).chain(users).chain(rules).collect()
}

const BOUND_AT_START: [&str; 8] = [
    "proxy.listen",
    "proxy.workers",
    "proxy.plan_cache_bytes",
    "http.listen",
    "database.name",
    "database.default_shard",
    "log.format",
    "log.level",
];

fn row(key: &str, value: String, changes: &'static str) -> Vec<Cell> {
    vec![key.to_owned().into(), value.into(), changes.into()]
}

/// What [`BOUND_AT_START`] names.
fn restart(live: &Live, topology: &Topology) -> Vec<Setting> {
    let Live { proxy, http, log, .. } = live;
    let format = match log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    vec![
        ("proxy.listen", proxy.listen.to_string()),
        ("proxy.workers", proxy.workers.to_string()),
        ("proxy.plan_cache_bytes", size(proxy.plan_cache_bytes)),
        ("http.listen", http.as_ref().map_or_else(off, |http| http.listen.to_string())),
        ("database.name", topology.database.clone()),
        ("database.default_shard", default_shard(topology)),
        ("log.format", format.to_owned()),
        ("log.level", log.level.clone()),
    ]
}

fn clients(live: &Live, topology: &Topology) -> Vec<Setting> {
    let Live { proxy, session, database, log, tls, .. } = live;
    let statements = match log.statements {
        StatementText::Off => "off",
        StatementText::Shape => "shape",
        StatementText::Full => "full",
    };
    let tls_mode = match tls {
        None => "off",
        Some(tls) if tls.required => "required",
        Some(_) => "optional",
    };
    vec![
        ("proxy.region", topology.region(topology.local_region).name.clone()),
        ("proxy.clients_max", proxy.clients_max.to_string()),
        ("proxy.auth", proxy.auth.name().to_owned()),
        ("proxy.authentication_timeout", time(proxy.authentication_timeout)),
        ("proxy.message_bytes_max", size(proxy.message_bytes_max)),
        ("proxy.consistency", session.consistency.to_string()),
        ("proxy.max_lag", time(session.max_lag)),
        ("proxy.primary_wait", time(session.primary_wait)),
        ("proxy.idle_transaction_timeout", maybe(session.idle_transaction_timeout)),
        ("proxy.client_statements_max", session.client_statements_max.to_string()),
        ("database.aliases", "[]".to_owned()),
        ("database.connections_max", count(database.connections_max)),
        ("database.pool_size", count(database.pool_size)),
        ("log.slow_statement", maybe(log.slow_statement)),
        ("log.statements", statements.to_owned()),
        ("tls.mode", tls_mode.to_owned()),
        ("tls.client_certificates", "none".to_owned()),
        ("tls.client_name_is_user", tls.as_ref().is_some_and(|tls| tls.name_is_user).to_string()),
    ]
}

fn servers(live: &Live) -> Vec<Setting> {
    let Live { server, pool, health, .. } = live;
    let tls = match server.tls.mode {
        ServerTls::Disable => "disable",
        ServerTls::Prefer => "prefer",
        ServerTls::Require => "require",
        ServerTls::VerifyCa => "verify-ca",
        ServerTls::VerifyFull => "verify-full",
    };
    vec![
        ("server.user", server.user.clone()),
        ("server.tls", tls.to_owned()),
        ("server.connect_timeout", time(server.connect_timeout)),
        ("server.keepalive", maybe(server.keepalive)),
        ("pool.size", pool.size.to_string()),
        ("pool.idle_timeout", maybe(pool.idle_timeout)),
        ("pool.lifetime", maybe(pool.lifetime)),
        ("pool.wait_timeout", time(pool.wait_timeout)),
        ("pool.prepared_statements_max", pool.prepared_statements_max.to_string()),
        ("health.interval", time(health.interval)),
        ("health.timeout", time(health.timeout)),
        ("health.failures", health.failures.to_string()),
        ("health.catalog_interval", time(health.catalog_interval)),
    ]
}

fn auth_query(query: &AuthQuery, topology: &Topology) -> Vec<Setting> {
    vec![
        ("auth_query.query", query.query.clone()),
        ("auth_query.shard", query.shard.clone().unwrap_or_else(|| default_shard(topology))),
        ("auth_query.lifetime", time(query.lifetime)),
        ("auth_query.unknown_lifetime", time(query.unknown_lifetime)),
        ("auth_query.entries_max", query.entries_max.to_string()),
        ("auth_query.timeout", time(query.timeout)),
    ]
}

/// On what statements over several shards may hold, and where rows and functions belong.
fn bounds(live: &Live, topology: &Topology) -> Vec<Setting> {
    let Live { limits, scratch, .. } = live;
    vec![
        ("limits.merge_rows_max", limits.merge_rows_max.to_string()),
        ("limits.merge_bytes_max", size(limits.merge_bytes_max)),
        ("limits.batch_bytes_max", size(limits.batch_bytes_max)),
        ("limits.shard_buffer_bytes", size(limits.shard_buffer_bytes)),
        ("limits.copy_row_bytes_max", size(limits.copy_row_bytes_max)),
        ("scratch.shard", topology.shard(topology.scratch_shard).name.clone()),
        ("scratch.rows_max", scratch.rows_max.to_string()),
        ("scratch.bytes_max", size(scratch.bytes_max)),
        ("scratch.reduce_from_rows", scratch.reduce_from_rows.to_string()),
        ("scratch.concurrent_max", scratch.concurrent_max.to_string()),
        ("functions.trusted", "[]".to_owned()),
        ("geo.outside", "refuse".to_owned()),
    ]
}

/// Names of files: there are none but those that are written.
fn files() -> Vec<Setting> {
    const FILES: [&str; 7] = [
        "server.password_file",
        "server.tls_ca_file",
        "server.tls_certificate_file",
        "server.tls_key_file",
        "tls.certificate_file",
        "tls.key_file",
        "tls.client_ca_file",
    ];
    FILES.map(|key| (key, "none".to_owned())).into()
}

fn default_shard(topology: &Topology) -> String {
    topology.shard(topology.default_shard).name.clone()
}

/// In the largest unit that it is a whole number of.
fn time(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let whole = units.into_iter().find(|(_, length)| millis > 0 && millis.is_multiple_of(*length));
    whole.map_or_else(|| format!("{millis}ms"), |(unit, length)| format!("{}{unit}", millis / length))
}

fn maybe(bound: Option<Duration>) -> String {
    bound.map_or_else(|| "0".to_owned(), time)
}

fn size(bytes: usize) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let whole = units.into_iter().find(|(_, length)| bytes.is_multiple_of(*length));
    whole.map_or_else(|| format!("{bytes}B"), |(unit, length)| format!("{}{unit}", bytes / length))
}

fn count(limit: Option<usize>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}

fn off() -> String {
    "off".to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const DOCUMENTED: &str = include_str!("../../../config/meridian.toml");

    fn shown(text: &str) -> BTreeMap<String, String> {
        let config = Config::parse(text, "test.toml", Path::new(".")).unwrap();
        let (live, topology) = Live::new(config);
        let text = |cell: &Cell| match cell {
            Cell::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        let rows = settings(&live, &topology);
        rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
    }

    /// The documented keys of sections of single values, and their values where these are defaults.
    fn documented() -> Vec<(String, Option<String>)> {
        let mut section = None;
        let mut keys = Vec::new();
        for line in DOCUMENTED.lines() {
            let open = line.trim_start_matches("# ");
            if let Some(name) = open.strip_prefix('[') {
                section = name.strip_suffix(']').filter(|name| !name.starts_with('['));
            } else if let (Some(section), Some((key, value))) = (section, open.split_once(" = "))
                && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                && !matches!(section, "distances")
            {
                let default = value.split("  ").next().unwrap_or_default().trim_matches('"');
                keys.push((format!("{section}.{key}"), (open == line).then(|| default.to_owned())));
            }
        }
        keys
    }

    #[test]
    fn every_key_is_shown_with_its_default_and_no_secret_is() {
        let tail = DOCUMENTED.split_at(DOCUMENTED.find("[[regions]]").unwrap()).1;
        let shown = shown(&format!("[auth_query]\n{tail}"));
        let keys = documented();
        assert!(keys.len() > 60, "{keys:?}");
        for (key, default) in keys {
            match shown.get(&key) {
                None => assert_eq!(key, "server.password"),
                Some(value) => {
                    assert!(default.as_ref().is_none_or(|default| default == value), "{key} {value}")
                }
            }
        }
    }

    #[test]
    fn values_are_spelled_as_the_file_spells_them() {
        let text = "regions = [{ name = \"east\" }, { name = \"west\" }]\n\
                    shards = [{ name = \"one\", region = \"east\", nodes = [\"a:5432\"] }]\n\
                    [server]\ntls = \"prefer\"\npassword = \"hunter2\"\n[pool]\nidle_timeout = \"600s\"\n\
                    [log]\nlevel = \"warn,meridian::health=debug\"\n[functions]\ntrusted = [\"touch\"]\n\
                    [limits]\nmerge_bytes_max = 1048576\n[distances]\neast = { west = 65 }\n";
        let shown = shown(text);
        for (key, value) in [
            ("server.tls", "prefer"),
            ("pool.idle_timeout", "600s"),
            ("pool.lifetime", "1h"),
            ("log.level", "warn,meridian::health=debug"),
            ("functions.trusted", "[\"touch\"]"),
            ("limits.merge_bytes_max", "1048576"),
            ("scratch.shard", "one"),
            ("distances.east", "{ west = 65 }"),
        ] {
            assert_eq!(shown.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert!(!shown.values().any(|value| value.contains("hunter2")));
    }
}
