//! The list of metrics: name, kind, labels and meaning of each. Pure.
//!
//! `docs/metrics.md` is generated from it: a test keeps the two equal and rewrites the document with `UPDATE=1`. Nothing
//! reaches the page but through a [`Metric`] of this list.
//!
//! Invariants:
//! 1. Names and units follow Prometheus' conventions: base units, counters end in `_total`.
//! 2. A name is in the list once.

/// One family of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub const $constant: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*
        /// All of them, in the order of the page.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO = Gauge "meridian_build_info" ["version"] "The version that runs; always 1.";
    UPTIME = Gauge "meridian_uptime_seconds" [] "Time since the start.";
    CONFIGURATION = Gauge "meridian_configuration_version" [] "Number of the configuration that is in force.";
    CATALOG = Gauge "meridian_catalog_loaded" [] "1 once the servers' catalogs have been read.";

    CLIENTS = Gauge "meridian_clients" [] "Clients that are connected now, the console's too.";
    CLIENTS_MAX = Gauge "meridian_clients_max" [] "Clients that may be connected at once, as configured.";
    CLIENT_STATES = Gauge "meridian_client_states" ["state"] "Clients by what they do now.";
    PINNED = Gauge "meridian_pinned_clients" ["reason"] "Clients that keep a server connection, by why.";
    CONNECTIONS = Counter "meridian_connections_total" [] "Clients that were let in.";
    PINS = Counter "meridian_pins_total" [] "Sessions that had to keep a server connection.";

    STATEMENTS = Counter "meridian_statements_total" ["verb", "route", "region"]
        "Statements that have ended, by what they are, the way they took, and the region of the shard that answered; \
         the region is empty where not one shard answered alone.";
    DURATION = Histogram "meridian_statement_duration_seconds" ["route", "region"]
        "Time from a statement's planning to its last byte; statements that were sent in one pipeline each have the time \
         of all.";
    TRANSACTIONS = Counter "meridian_transactions_total" [] "Requests that ended outside a transaction block.";
    ROWS = Counter "meridian_rows_total" [] "Rows that were read or written, by the tags of the answers.";
    ERRORS = Counter "meridian_errors_total" ["fault", "class"]
        "Errors that clients were told, by whose fault they are (client, meridian, server, topology) and by the class of \
         their SQLSTATE.";
    REFUSALS = Counter "meridian_refusals_total" ["number"]
        "Statements that could not be answered rightly, by the number that limits.md gives the reason.";
    RETRIES = Counter "meridian_retries_total" [] "Reads that were tried again on another server.";
    REPLICA_READS = Counter "meridian_replica_reads_total" [] "Times a replica was chosen for reading.";

    CLIENT_RECEIVED = Counter "meridian_client_received_bytes_total" [] "Bytes that came from clients.";
    CLIENT_SENT = Counter "meridian_client_sent_bytes_total" [] "Bytes that went to clients.";
    SERVER_RECEIVED = Counter "meridian_server_received_bytes_total" [] "Bytes that came from servers.";
    SERVER_SENT = Counter "meridian_server_sent_bytes_total" [] "Bytes that went to servers.";

    PLAN_HITS = Counter "meridian_plan_cache_hits_total" [] "Plans that were found in a worker's cache.";
    PLAN_MISSES = Counter "meridian_plan_cache_misses_total" [] "Plans that had to be made.";
    PLAN_ENTRIES = Gauge "meridian_plan_cache_plans" [] "Plans in the caches of all workers.";
    PLAN_BYTES = Gauge "meridian_plan_cache_bytes" [] "Memory of these plans, estimated.";

    SHARD_PAUSED = Gauge "meridian_shard_paused" ["shard"]
        "1 while the console's PAUSE keeps new transactions of the shard waiting.";
    NODE_DISABLED = Gauge "meridian_node_disabled" ["shard", "node", "region"]
        "1 while the console's DISABLE keeps everything new away from the node.";
    NODE_UP = Gauge "meridian_node_up" ["shard", "node", "region"]
        "Whether the node answers probes; absent before the first one.";
    NODE_ROLE = Gauge "meridian_node_role" ["shard", "node", "region", "role"]
        "1 for the role that the node has now, 0 for the others.";
    NODE_TIMELINE = Gauge "meridian_node_timeline" ["shard", "node", "region"]
        "The node's timeline at the last probe; absent if not known.";
    ROUND_TRIP = Gauge "meridian_node_round_trip_seconds" ["shard", "node", "region"]
        "Smoothed round trip of a probe; absent if not known.";
    PROMOTIONS = Counter "meridian_node_promotions_total" ["shard", "node", "region"]
        "Times the node was a replica and then the primary.";
    LAG_SECONDS = Gauge "meridian_replica_lag_seconds" ["shard", "node", "region"]
        "How far the replica is behind its primary, in time; absent if not known.";
    LAG_BYTES = Gauge "meridian_replica_lag_bytes" ["shard", "node", "region"]
        "How far the replica is behind its primary, in bytes; absent if not known.";

    POOL_CONNECTIONS = Gauge "meridian_pool_connections" ["shard", "node", "region", "state"]
        "Connections to the node in the pools of all workers: active or idle.";
    POOL_SIZE = Gauge "meridian_pool_size" [] "Connections that one user may have to one node, as configured.";
    POOL_WAITING = Gauge "meridian_pool_waiting_clients" ["shard", "node", "region"]
        "Sessions that wait for a connection to the node now.";
    POOL_WAIT = Histogram "meridian_pool_wait_seconds" ["shard", "node", "region"]
        "How long sessions waited in line for a connection; those that found one at once are not in it.";
    CONNECTS = Counter "meridian_pool_connects_total" ["shard", "node", "region"]
        "Connections to the node that were made.";
    FAILED_CONNECTS = Counter "meridian_pool_failed_connects_total" ["shard", "node", "region"]
        "Connections to the node that could not be made.";

    TWO_PHASE = Counter "meridian_two_phase_transactions_total" ["outcome"]
        "Transactions over several shards: committed, rolled_back, in_doubt (lost while they were decided), and parts \
         that recovery has committed (recovered_committed) or rolled back (recovered_rolled_back).";
    IN_DOUBT = Gauge "meridian_in_doubt_transactions" []
        "Transactions that were left prepared and that recovery cannot finish yet: they hold their locks.";
    IN_DOUBT_AGE = Gauge "meridian_in_doubt_oldest_age_seconds" []
        "Age of the oldest of these; 0 if there is none.";
}

/// The document of the list.
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\nWhat `/metrics` serves. Generated from `src/admin/metrics/list.rs`; a test keeps it equal \
         (`UPDATE=1` rewrites it).\n\nA series of statements, errors, refusals, waits or durations is there from the \
         first time that it is counted. Buckets of durations go from 100 µs to 60 s.\n\n\
         | metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for Metric { name, kind, labels, help } in METRICS {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        text += &format!("| `{name}` | {} | {} | {help} |\n", kind.word(), labels.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_document_is_the_list() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, document()).expect("it can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == document(), "docs/metrics.md is not the list: run with UPDATE=1");
    }

    #[test]
    fn names_follow_the_conventions() {
        for (index, metric) in METRICS.iter().enumerate() {
            let name = metric.name;
            assert!(METRICS[..index].iter().all(|other| other.name != name), "{name} stands twice");
            assert!(name.starts_with("meridian_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert!(!name.contains("_ms") && !name.contains("milli"), "{name}");
            assert_eq!(
                metric.kind == Kind::Histogram,
                metric.kind == Kind::Histogram && name.ends_with("_seconds")
            );
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }
}
