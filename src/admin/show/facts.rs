//! The tables over a made-up topology: what the console's users rely on.
//!
//! One configuration, checked by `config` as any other: two regions with areas and shards, one without either. Rows are
//! compared as psql would print them, without its padding, so that a case reads as what an operator sees.
//!
//! Not here: how values stand on the wire (`admin::table`), and what a running Meridian shows (`tests/it/console.rs`).

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::backend::pool::PoolFigures;
use crate::config::Config;
use crate::figures::{Route, Verb};
use crate::session::shared::{ClientNames, Doing};
use crate::topology::{Lsn, NodeId, NodeRole};

const CONFIG: &str = r#"
[proxy]
listen = "127.0.0.1:6432"
region = "west"

[database]
name = "demo"
default_shard = "east"

[server]
user = "meridian"

[[users]]
name = "meridian"
password = "x"
admin = true

[[regions]]
name = "east"
area = [{ latitude = [24.0, 50.0], longitude = [-100.0, -65.0] }]

[[regions]]
name = "west"
area = [{ latitude = [24.03, 50.0], longitude = [-180.0, -100.0] }, { latitude = [60.0, 90.0], longitude = [170.0, 180.0] }]

[[regions]]
name = "empty"

[[shards]]
name = "east"
region = "east"
database = "demo_east"
nodes = ["10.0.0.1:5432", { address = "10.0.0.2:5432", region = "west" }]

[[shards]]
name = "west"
region = "west"
nodes = ["10.0.1.1:5432"]

[[tables]]
name = "rides"
placement = "region"
key = "region"
position = { latitude = "lat", longitude = "lon", geohash = "hash" }

[[tables]]
name = "accounts"
placement = "hash"
key = "id"

[[tables]]
name = "regions"
placement = "reference"
"#;

pub fn topology() -> Topology {
    match Config::parse(CONFIG, "facts.toml", Path::new(".")) {
        Ok(config) => config.topology,
        Err(error) => panic!("{error}"),
    }
}

pub fn view<'a>(topology: &'a Topology, catalog: &'a Catalog, figures: &'a Figures) -> View<'a> {
    let uptime = Duration::from_secs(5);
    let two_phase = Default::default();
    View {
        topology,
        catalog,
        pools: &[],
        pool_size: 20,
        clients: &[],
        looked_up: &[],
        plans: &[],
        paused: crate::topology::ShardSet::EMPTY,
        live: None,
        clients_max: 100,
        two_phase,
        figures,
        uptime,
    }
}

/// The rows as psql would print them; NULL is `~`.
fn printed(topic: Topic, view: &View<'_>) -> Vec<String> {
    let cell = |cell: &Cell| match cell {
        Cell::Null => "~".to_owned(),
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Float(number) => number.to_string(),
    };
    let table = topic.table(view);
    assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{topic:?}");
    table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("|")).collect()
}

pub fn node(topology: &Topology, address: &str) -> NodeId {
    let found = topology.nodes.iter().position(|node| places::address(node) == address);
    NodeId(found.expect("the configuration has it") as u16)
}

#[test]
fn regions_tell_their_areas_in_words() {
    let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
    let rows = printed(Topic::Regions, &view(&topology, &catalog, &figures));
    assert_eq!(
        rows,
        [
            "east|east|latitude 24 to 50, longitude -100 to -65|no",
            "west|west|latitude 24 to 90, longitude -180 to 180|yes",
            "empty||none|no",
        ]
    );
}

#[test]
fn nothing_is_known_of_a_node_before_it_was_asked() {
    let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
    let view = view(&topology, &catalog, &figures);
    let rows = printed(Topic::Nodes, &view);
    assert_eq!(rows.len(), 3);
    assert!(rows.contains(&"east|10.0.0.2:5432|west|unknown|~|~|~|~|~|0|no".to_owned()), "{rows:?}");
    let shards = printed(Topic::Shards, &view);
    assert_eq!(shards, ["east|east|demo_east|~|2|yes|~|no", "west|west|demo|~|1|no|~|no"]);
}

#[test]
fn nodes_show_what_the_last_probe_found() {
    let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
    let primary = &topology.node(node(&topology, "10.0.0.1:5432")).state;
    primary.set_role(NodeRole::Primary);
    primary.set_timeline(3);
    primary.set_position(Lsn(0x16_B374_D848));
    primary.set_round_trip(Duration::from_micros(1_250));
    primary.add_in_use();
    let replica = &topology.node(node(&topology, "10.0.0.2:5432")).state;
    replica.set_role(NodeRole::Replica);
    replica.set_timeline(3);
    replica.set_position(Lsn(0x16_B374_D800));
    replica.set_lag(Duration::from_millis(1_500));
    replica.set_lag_bytes(72);
    let view = view(&topology, &catalog, &figures);
    let rows = printed(Topic::Nodes, &view);
    assert!(
        rows.contains(&"east|10.0.0.1:5432|east|primary|3|16/B374D848|0|0|1.25|1|no".to_owned()),
        "{rows:?}"
    );
    assert!(
        rows.contains(&"east|10.0.0.2:5432|west|replica|3|16/B374D800|72|1.5|~|0|no".to_owned()),
        "{rows:?}"
    );
    let shards = printed(Topic::Shards, &view);
    assert_eq!(shards[0], "east|east|demo_east|10.0.0.1:5432|2|yes|1.5|no");
}

#[test]
fn a_lag_that_is_not_known_is_null() {
    let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
    let replica = &topology.node(node(&topology, "10.0.0.2:5432")).state;
    replica.set_role(NodeRole::Replica);
    replica.set_lag(Duration::MAX);
    replica.set_lag_bytes(u64::MAX);
    let rows = printed(Topic::Nodes, &view(&topology, &catalog, &figures));
    assert!(rows.contains(&"east|10.0.0.2:5432|west|replica|~|~|~|~|~|0|no".to_owned()), "{rows:?}");
}

#[test]
fn pools_of_all_workers_are_summed() {
    let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
    let report = |address: &str, idle, total, waiting| PoolReport {
        user: "app".to_owned(),
        figures: PoolFigures {
            node: node(&topology, address),
            idle,
            total,
            waiting,
            size: None,
            servers: Vec::new(),
        },
    };
    let gone = PoolReport {
        user: "app".to_owned(),
        figures: PoolFigures {
            node: NodeId(99),
            idle: 1,
            total: 1,
            waiting: 0,
            size: None,
            servers: Vec::new(),
        },
    };
    let reports = [
        report("10.0.0.1:5432", 1, 4, 0),
        report("10.0.1.1:5432", 2, 2, 0),
        report("10.0.0.1:5432", 0, 3, 5),
        gone,
    ];
    let view = View { pools: &reports, ..view(&topology, &catalog, &figures) };
    let mut rows = printed(Topic::Pools, &view);
    rows.sort();
    assert_eq!(
        rows,
        ["demo_east|app|10.0.0.1:5432|unknown|5|6|1|20", "demo|app|10.0.1.1:5432|unknown|0|0|2|20"]
    );
}

#[test]
fn clients_stand_in_the_order_of_their_arrival() {
    let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
    let client = |id, seconds, doing, pinned| ClientView {
        id,
        names: ClientNames {
            user: "app".to_owned(),
            database: "demo".to_owned(),
            address: "127.0.0.1:9".to_owned(),
            access: Some("2 scram-sha-256".to_owned()),
        },
        connected: Duration::from_secs(seconds),
        state: ClientState { application_name: "psql".to_owned(), doing, pinned, in_transaction: None },
    };
    let clients =
        [client(7, 2, Doing::Idle, None), client(9, 60, Doing::IdleInTransaction, Some("temporary table"))];
    let view = View { clients: &clients, ..view(&topology, &catalog, &figures) };
    assert_eq!(
        printed(Topic::Clients, &view),
        [
            "9|app|demo|127.0.0.1:9|psql|idle in transaction|temporary table|60|2 scram-sha-256",
            "7|app|demo|127.0.0.1:9|psql|idle|~|2|2 scram-sha-256",
        ]
    );
}

#[test]
fn users_stand_with_what_counts_for_them() {
    let more = "[auth_query]\n[[users]]\nname = \"app_*\"\nread_only = true\nregions = [\"east\"]\npool_size = 3\n\
                connections_max = 5\n[[users]]\nname = \"t_?\"\npassword = \"x\"\nserver_user = \"tenant\"\n";
    let config = Config::parse(&format!("{CONFIG}{more}"), "facts.toml", Path::new("."));
    let (live, topology) = Live::new(config.expect("it is right"));
    let (catalog, figures) = (Catalog::default(), Figures::default());
    let client = |user: &str, database: &str| ClientView {
        id: 1,
        names: ClientNames { user: user.to_owned(), database: database.to_owned(), ..ClientNames::default() },
        connected: Duration::ZERO,
        state: ClientState::default(),
    };
    let clients =
        [("app_1", "demo"), ("app_1", "demo"), ("t_1", "demo"), ("meridian", "meridian"), ("eve", "demo")]
            .map(|(user, database)| client(user, database));
    let looked_up = ["ann".to_owned(), "app_1".to_owned()];
    let all = view(&topology, &catalog, &figures);
    let view = View { live: Some(&live), clients: &clients, looked_up: &looked_up, ..all };
    assert_eq!(
        printed(Topic::Users, &view),
        [
            "meridian|file|meridian|yes|no|all|~|0|~",
            "app_*|pattern, auth_query|app_*|no|yes|east|3|2|5",
            "t_?|pattern|tenant|no|no|all|~|1|~",
            "ann|auth_query|ann|no|no|all|~|0|~",
            "app_1|auth_query|app_1|no|yes|east|3|2|5",
            "eve|auth_query|eve|no|no|all|~|1|~",
        ]
    );
}

#[test]
fn stats_show_every_counter() {
    let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
    figures.worker(0).statement(Verb::Other, Route::Local, None, 12, Duration::ZERO);
    figures.clients.store(3, Ordering::Relaxed);
    let rows = printed(Topic::Stats, &view(&topology, &catalog, &figures));
    let shown = |start: &str| rows.iter().any(|row| row.starts_with(start));
    assert!(shown("uptime_seconds|5|") && shown("clients|3|") && shown("statements|12|"), "{rows:?}");
    for name in ["connections", "relayed", "scattered", "everywhere", "refused", "errors", "retries"] {
        assert!(shown(&format!("{name}|0|")), "{name}: {rows:?}");
    }
    assert!(shown("replica_reads|0|") && shown("pins|0|") && shown("plans_made|0|"), "{rows:?}");
}

#[test]
fn tables_tell_how_they_are_spread() {
    let (topology, mut catalog, figures) = (topology(), Catalog::default(), Figures::default());
    let rows = printed(Topic::Tables, &view(&topology, &catalog, &figures));
    assert_eq!(rows[0], "rides|region|region|lat, lon, hash|regions: east, west|~");
    assert!(rows[1].starts_with("accounts|hash|id|~|"), "{rows:?}");
    assert_eq!(rows[2], "regions|reference|~|~|every shard|~");

    catalog.loaded = true;
    for (schema, name) in [("public", "rides"), ("audit", "log"), ("pg_catalog", "pg_class")] {
        let info = relation(schema, name);
        catalog.relations.insert(info.name.clone(), info);
    }
    let rows = printed(Topic::Tables, &view(&topology, &catalog, &figures));
    assert!(rows[0].ends_with("|yes") && rows[2].ends_with("|no"), "{rows:?}");
    assert_eq!(rows[3..], ["audit.log|single|~|~|shard east|yes".to_owned()]);
}

fn relation(schema: &str, name: &str) -> crate::catalog::RelationInfo {
    let name = crate::sql::name::ObjectName::qualified(schema, name);
    crate::catalog::RelationInfo::new(name, crate::catalog::RelationKind::Table)
}

#[test]
fn help_lists_every_command() {
    let (topology, catalog, figures) = (topology(), Catalog::default(), Figures::default());
    let view = view(&topology, &catalog, &figures);
    assert_eq!(printed(Topic::Help, &view).len(), Topic::ALL.len() + crate::admin::order::ORDERS.len());
    assert_eq!(printed(Topic::Version, &view), [about::PRODUCT]);
}
