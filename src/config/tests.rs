//! The documented files load, every key is documented with its default, and every mistake names its line and key.

use std::path::Path;
use std::time::Duration;

use super::raw::{self, keys};
use super::*;
use crate::sql::name::ObjectName;
use crate::topology::{Consistency, Key, Placement, PlacementError, RowPosition, ShardId};

const DOCUMENTED: &str = include_str!("../../config/meridian.toml");
const DEMO: &str = include_str!("../../config/demo.toml");

/// Ten lines, so that what is appended begins at line 11.
pub(super) const BASE: &str = r#"
[[regions]]
name = "east"
area = [{ latitude = [0, 10], longitude = [0, 10] }]
[[shards]]
name = "one"
region = "east"
nodes = ["a:5432"]
[proxy]
auth = "trust"
"#;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, "test.toml", Path::new("config"))
}

/// The first error of the base file with `more` behind it.
fn mistake(more: &str) -> String {
    parse(&format!("{BASE}{more}")).unwrap_err().0[0].to_string()
}

#[test]
fn the_documented_file_has_the_defaults() {
    let mut documented = parse(DOCUMENTED).unwrap();
    documented.written = Written::default();
    let (head, tail) = DOCUMENTED.split_at(DOCUMENTED.find("[[regions]]").unwrap());
    assert!(head.contains("[proxy]"));
    let mut bare = parse(tail).unwrap();
    bare.written = Written::default();
    let mut documented_text = format!("{documented:#?}");
    documented_text = documented_text.replace(&format!("workers: {}", documented.proxy.workers), "");
    let bare_text = format!("{bare:#?}").replace(&format!("workers: {}", bare.proxy.workers), "");
    assert_eq!(documented_text, bare_text);
}

#[test]
fn every_key_is_documented() {
    let sections: [(&str, Vec<&str>); 20] = [
        ("[proxy]", keys::of::<raw::RawProxy>()),
        ("[database]", keys::of::<raw::RawDatabase>()),
        ("[server]", keys::of::<raw::RawServer>()),
        ("[auth_query]", keys::of::<raw::RawAuthQuery>()),
        ("[[users]]", keys::of::<raw::RawUser>()),
        ("[[access]]", keys::of::<raw::RawAccess>()),
        ("[pool]", keys::of::<raw::RawPool>()),
        ("[health]", keys::of::<raw::RawHealth>()),
        ("[limits]", keys::of::<raw::RawLimits>()),
        ("[scratch]", keys::of::<raw::RawScratch>()),
        ("[http]", keys::of::<raw::RawHttp>()),
        ("[functions]", keys::of::<raw::RawFunctions>()),
        ("[tls]", keys::of::<raw::RawTls>()),
        ("[log]", keys::of::<raw::RawLog>()),
        ("[geo]", keys::of::<raw::RawGeo>()),
        ("[[regions]]", keys::of::<raw::RawRegion>()),
        ("[[shards]]", keys::of::<raw::RawShard>()),
        ("[[tables]]", keys::of::<raw::RawTable>()),
        ("[distances]", Vec::new()),
        ("", keys::of::<raw::RawConfig>()),
    ];
    let lines = || DOCUMENTED.lines().map(|line| line.trim_start_matches(['#', ' ']));
    for (section, keys) in &sections {
        assert!(section.is_empty() || lines().any(|line| line == *section), "{section}");
        let own = lines().skip_while(|line| line != section).skip(1);
        let own: Vec<_> = own.take_while(|line| !line.starts_with('[')).collect();
        for key in keys {
            let found = if section.is_empty() {
                sections.iter().any(|(section, _)| section.trim_matches(['[', ']']) == *key)
            } else {
                own.iter().any(|line| line.starts_with(&format!("{key} = ")))
            };
            assert!(found, "{section} {key} is not in config/meridian.toml");
        }
    }
    for key in
        [keys::of::<raw::RawArea>(), keys::of::<raw::RawPosition>(), keys::of::<raw::RawRange>()].concat()
    {
        assert!(DOCUMENTED.contains(&format!("{key} = ")), "{key} is not in config/meridian.toml");
    }
    assert_eq!(keys::of::<raw::RawNodeTable>(), ["address", "region"]);
}

#[test]
fn the_demo_places_rows_in_their_regions() {
    let config = parse(DEMO).unwrap();
    let topology = &config.topology;
    assert_eq!((topology.regions.len(), topology.shards.len(), topology.nodes.len()), (4, 4, 12));
    let rides = topology.rule(&ObjectName::qualified("public", "rides")).unwrap();
    let key = Key::Text("ap-south".into());
    assert_eq!(rides.shard_of_key(topology, Some(&key)), Ok(ShardId(3)));
    let mumbai = RowPosition { latitude: Some(19.1), longitude: Some(72.9), geohash: Some("te7") };
    assert_eq!(rides.check_position(topology, Some(&key), mumbai), Ok(()));
    let error = rides.check_position(topology, Some(&Key::Text("us-east".into())), mumbai).unwrap_err();
    assert_eq!(
        error.to_string(),
        "latitude 19.1, longitude 72.9 is in region \"ap-south\", not in region \"us-east\""
    );
    let wrong = RowPosition { geohash: Some("dr5"), ..mumbai };
    assert!(matches!(
        rides.check_position(topology, Some(&key), wrong),
        Err(PlacementError::GeohashElsewhere { .. })
    ));
    assert_eq!(rides.shard_of_key(topology, None), Err(PlacementError::NullKey));
    let locations = topology.rule(&ObjectName::qualified("public", "driver_locations")).unwrap();
    assert_eq!(locations.shard_of_position(topology, mumbai), Ok(ShardId(3)));
    let only_cell = RowPosition { geohash: Some("u33"), ..RowPosition::default() };
    assert_eq!(locations.shard_of_position(topology, only_cell), Ok(ShardId(2)));
    let south_pole = RowPosition { latitude: Some(-90.0), longitude: Some(0.0), geohash: None };
    assert!(matches!(locations.shard_of_position(topology, south_pole), Err(PlacementError::Nowhere(_))));
    let half = RowPosition { latitude: Some(19.1), longitude: None, geohash: Some("te7") };
    assert_eq!(locations.shard_of_position(topology, half), Err(PlacementError::HalfPosition));
    assert_eq!(rides.check_position(topology, Some(&key), half), Err(PlacementError::HalfPosition));
    let swapped = RowPosition { latitude: Some(120.0), longitude: Some(19.1), geohash: None };
    let error = rides.check_position(topology, Some(&key), swapped).unwrap_err();
    assert_eq!((error.sqlstate(), error.hint()), ("22003", Some("Latitude and longitude may be swapped.")));
    assert_eq!(
        locations.shard_of_position(topology, RowPosition::default()),
        Err(PlacementError::NullPosition)
    );
}

#[test]
fn nodes_stand_in_the_order_of_their_distance() {
    let config = parse(DEMO).unwrap();
    let topology = &config.topology;
    let ports = |ids: &[crate::topology::NodeId]| -> Vec<u16> {
        ids.iter().map(|id| topology.node(*id).port).collect()
    };
    assert_eq!(ports(topology.nodes_by_distance(ShardId(2))), [54332, 54330, 54331]);
    let from = topology.region_named("eu-central").unwrap();
    assert_eq!(ports(&topology.nodes_by_distance_from(from, ShardId(2))), [54330, 54331, 54332]);
    let west = topology.region_named("us-west").unwrap();
    assert_eq!(topology.distance(from, west), Duration::from_millis(145));
}

#[test]
fn distances_are_estimated_from_areas() {
    let (text, _) = DEMO.split_once("[distances]").unwrap();
    let topology = parse(text).unwrap().topology;
    let region = |name| topology.region_named(name).unwrap();
    let time = topology.distance(region("us-east"), region("eu-central"));
    assert!((80..160).contains(&time.as_millis()), "{time:?}");
}

#[test]
fn settings_are_read() {
    let config = parse(&format!(
        "{BASE}consistency = \"strong\"\nidle_transaction_timeout = \"5m\"\nmessage_bytes_max = \"1MiB\"\n\
         [[users]]\nname = \"app\"\npassword = \"x\"\nserver_user = \"other\"\n"
    ))
    .unwrap();
    assert_eq!(config.session.consistency, Consistency::Strong);
    assert_eq!(config.session.idle_transaction_timeout, Some(Duration::from_secs(300)));
    assert_eq!(config.proxy.message_bytes_max, 1 << 20);
    let user = config.user("app").unwrap();
    assert_eq!(
        (user.server_user.as_deref().unwrap(), user.server_password.as_ref().unwrap().expose()),
        ("other", "x")
    );
    assert!(!format!("{config:?}").contains("\"x\""));
}

#[test]
fn mistakes_name_line_and_key() {
    let cases = [
        ("lissten = 1", "test.toml:11: proxy.lissten: unknown field `lissten`"),
        ("listen = \"nowhere\"", "test.toml:11: proxy.listen: \"nowhere\" is not an address"),
        ("max_lag = \"10 parsecs\"", "test.toml:11: proxy.max_lag: \"10 parsecs\" is not a duration"),
        ("max_lag = \"0\"", "test.toml:11: proxy.max_lag: must be longer than 0"),
        ("workers = 0", "test.toml:11: proxy.workers: must be 1 to 1024, not 0"),
        ("message_bytes_max = \"1B\"", "test.toml:11: proxy.message_bytes_max: must be 65536 to"),
        ("consistency = \"some\"", "test.toml:11: proxy.consistency: consistency is one of"),
        ("region = \"west\"", "test.toml:11: proxy.region: there is no region \"west\""),
        ("= 5", "test.toml:11: "),
        ("[database]\nname = \"meridian\"", "test.toml:12: database.name: \"meridian\" is the name"),
        ("[database]\ndefault_shard = \"two\"", "test.toml:12: database.default_shard: there is no shard"),
        ("[server]\npassword = 12345", "test.toml:12: server.password: a secret must be a string"),
        (
            "[server]\npassword = \"${NO_SUCH_VARIABLE_HERE}\"",
            "test.toml:12: server.password: the environment",
        ),
        (
            "[server]\npassword_file = \"no.such\"",
            "test.toml:12: server.password_file: \"no.such\" cannot be read",
        ),
        ("[geo]\noutside = \"west\"", "test.toml:12: geo.outside: must be \"refuse\" or a region"),
        (
            "[[users]]\nname = \"a\"\n[[users]]\nname = \"a\"",
            "test.toml:14: users[1].name: user \"a\" stands twice",
        ),
        ("[[users]]\nname = \"a\"\nverifier = \"SCRAM\"", "test.toml:12: users[0].name: user \"a\" has only"),
        ("[[users]]\npassword = \"a\"", "test.toml:11: users[0]: missing field `name`"),
        ("[[access]]\nusers = [\"a\"]", "test.toml:11: access[0]: missing field `method`"),
        ("[[access]]\nmethod = \"ident\"", "test.toml:12: access[0].method: must be one of \"scram"),
        ("[[access]]\nmethod = \"password\"", "test.toml:12: access[0].method: \"password\" sends passwords"),
        (
            "[[access]]\nmethod = \"cert\"",
            "test.toml:12: access[0].method: \"cert\" needs connection = \"tls\"",
        ),
        ("[[access]]\nmethod = \"trust\"", "test.toml:12: access[0].method: \"trust\" lets in whoever comes"),
        (
            "[[access]]\nmethod = \"trust\"\naddresses = [\"127.0.0.0/8\", \"10.0.0.0/8\"]",
            "test.toml:12: access[0].method: \"trust\" lets in whoever comes",
        ),
        (
            "[[access]]\nmethod = \"reject\"\ntrust_remote = true",
            "test.toml:13: access[0].trust_remote: has a meaning for",
        ),
        (
            "[[access]]\nmethod = \"reject\"\nconnection = \"ssl\"",
            "test.toml:13: access[0].connection: must be one of \"any\", \"tls\", \"plain\"",
        ),
        (
            "[[access]]\nmethod = \"reject\"\nconnection = \"tls\"",
            "test.toml:13: access[0].connection: no connection is encrypted while [tls] mode is \"off\"",
        ),
        (
            "[[access]]\nmethod = \"reject\"\naddresses = [\n\"10.0.0.0/8\",\n\"10.0.0.1/8\"]",
            "test.toml:15: access[0].addresses[1]: \"10.0.0.1/8\" has bits beyond its prefix",
        ),
        (
            "[[access]]\nmethod = \"reject\"\nusers = []",
            "test.toml:13: access[0].users: is empty and would fit nobody",
        ),
        (
            "[[access]]\nmethod = \"reject\"\ndatabases = [\"d\", \"all\"]",
            "test.toml:13: access[0].databases[1]: \"all\" leaves nothing",
        ),
        (
            "[[users]]\nname = \"a\"\nconnections_max = 0",
            "test.toml:13: users[0].connections_max: must be 1 to 1000000, not 0",
        ),
        (
            "[[users]]\nname = \"a\"\nregions = [\"east\", \"mars\"]",
            "test.toml:13: users[0].regions[1]: there is no region \"mars\"",
        ),
        ("[[users]]\nname = \"a\"\nregions = []", "test.toml:13: users[0].regions: no shard lives in these"),
        ("[database]\nconnections_max = -1", "test.toml:12: database.connections_max: must be 1 to 1000000"),
        (
            "[[users]]\nname = \"a*\"\nadmin = true",
            "test.toml:12: users[0].name: admin = true is for users by their names",
        ),
        ("[database]\naliases = [\"a\", \"meridian\"]", "test.toml:12: database.aliases[1]: \"meridian\" is"),
        (
            "workers = 4\n[database]\npool_size = 3",
            "test.toml:13: database.pool_size: must be at least 4: each of the workers",
        ),
        ("[auth_query]\nquery = \"SELECT 1\"", "test.toml:12: auth_query.query: must ask for one user"),
        ("[auth_query]\nshard = \"two\"", "test.toml:12: auth_query.shard: there is no shard \"two\""),
        ("[auth_query]\nlifetime = \"0\"", "test.toml:12: auth_query.lifetime: must be longer than 0"),
        ("[distances]\neast = { west = 5 }", "test.toml:12: distances.east.west: there is no region"),
        (
            "listen = \"127.0.0.1:6433\"\n[http]\nlisten = \"0.0.0.0:6433\"",
            "test.toml:13: http.listen: 0.0.0.0:6433 is taken by [proxy] listen, 127.0.0.1:6433",
        ),
        (
            "[log]\nlevel = \"warning\"",
            "test.toml:12: log.level: \"warning\" is neither a level (off, error, warn, info, debug, trace) nor",
        ),
        ("[log]\nlevel = \"\"", "test.toml:12: log.level: \"\" is neither a level"),
        ("[log]\nlevel = \"info,health\"", "test.toml:12: log.level: \"health\" is neither a level"),
        ("[nonsense]", "test.toml:11: nonsense: unknown field"),
    ];
    for (more, expected) in cases {
        let found = mistake(more);
        assert!(found.starts_with(expected), "{more}\n  {found}\n  {expected}");
    }
}

#[test]
fn impossible_places_name_line_and_key() {
    let region = "[[regions]]\nname = \"west\"\n";
    let shard = "[[shards]]\nname = \"two\"\nregion = \"east\"\n";
    let cases = [
        (
            format!("{region}[[regions]]\nname = \"west\""),
            "test.toml:14: regions[2].name: region \"west\" stands twice",
        ),
        (
            format!("{region}area = [{{ latitude = [5, 15], longitude = [5, 15] }}]"),
            "test.toml:12: regions[1].name: region \"west\" has an area but no shard",
        ),
        (
            format!("{region}area = [{{ latitude = [5, 5], longitude = [5, 15] }}]"),
            "test.toml:12: regions[1].name: region \"west\" has an area but no shard",
        ),
        (format!("{region}area = [{{ latitude = [5, 15] }}]"), "test.toml:12: regions[1].name"),
        (format!("{shard}nodes = []"), "test.toml:14: shards[1].nodes: a shard has 1 to 64 nodes"),
        (format!("{shard}nodes = [\"b\"]"), "test.toml:14: shards[1].nodes[0]: \"b\" is not host:port"),
        (format!("{shard}nodes = [\"b:0\"]"), "test.toml:14: shards[1].nodes[0]: \"b:0\" is not host:port"),
        (format!("{shard}nodes = [\"A:5432\"]"), "test.toml:14: shards[1].nodes[0]: A:5432 with database"),
        (
            format!("{shard}nodes = [\n\"b:5432\",\n{{ address = \"c:5432\", region = \"mars\" }}]"),
            "test.toml:16: shards[1].nodes[1]: there is no region \"mars\"",
        ),
        (
            format!("{shard}nodes = [{{ adress = \"c:5432\" }}]"),
            "test.toml:14: shards[1].nodes[0].adress: unknown field `adress`",
        ),
    ];
    for (more, expected) in cases {
        let found = mistake(&more);
        assert!(found.starts_with(expected), "{more}\n  {found}\n  {expected}");
    }
}

#[test]
fn areas_that_overlap_are_refused() {
    let more = "[[regions]]\nname = \"west\"\narea = [{ latitude = [5, 15], longitude = [5, 15] }]\n\
                [[shards]]\nname = \"two\"\nregion = \"west\"\nnodes = [\"b:5432\"]";
    let found = mistake(more);
    assert!(
        found.starts_with("test.toml:13: regions[1].area[0]: areas \"east\" and \"west\" overlap at"),
        "{found}"
    );
}

#[test]
fn tables_have_the_keys_of_their_placement() {
    let cases = [
        ("placement = \"sharded\"", "tables[0].placement: must be one of"),
        ("placement = \"region\"", "tables[0].placement: placement \"region\" needs key"),
        ("placement = \"geo\"", "tables[0].placement: placement \"geo\" needs position"),
        (
            "placement = \"geo\"\nkey = \"k\"\nposition = { geohash = \"g\" }",
            "tables[0].key: placement \"geo\" has no key",
        ),
        ("placement = \"geo\"\nposition = { latitude = \"g\" }", "tables[0].position: a position is"),
        ("placement = \"hash\"\nkey = \"k\"\nslots = 1000", "tables[0].slots: must be a power of two"),
        (
            "placement = \"hash\"\nkey = \"k\"\nweights = { two = 1 }",
            "tables[0].weights.two: there is no shard",
        ),
        ("placement = \"hash\"\nkey = \"a b\"", "tables[0].key: \"a b\" is not a column's name"),
        ("placement = \"list\"\nkey = \"k\"", "tables[0].placement: placement \"list\" needs values"),
        (
            "placement = \"list\"\nkey = \"k\"\nvalues = { one = [1, \"a\"] }",
            "tables[0].values.one[1]: keys of one",
        ),
        (
            "placement = \"list\"\nkey = \"k\"\nvalues = { one = [1, 1] }",
            "tables[0].values.one[1]: key 1 stands twice",
        ),
        (
            "placement = \"list\"\nkey = \"k\"\nvalues = { one = [1.5] }",
            "tables[0].values.one[0]: 1.5 is not a key",
        ),
        (
            "placement = \"list\"\nkey = \"k\"\nkey_type = \"uuid\"\nvalues = { one = [\"x\"] }",
            "tables[0].values.one[0]",
        ),
        (
            "placement = \"range\"\nkey = \"k\"\nranges = []",
            "tables[0].placement: placement \"range\" needs ranges",
        ),
        (
            "placement = \"range\"\nkey = \"k\"\nranges = [{ from = 5, to = 5, shard = \"one\" }]",
            "tables[0].ranges[0]: is empty",
        ),
        (
            "placement = \"range\"\nkey = \"k\"\nranges = [{ to = 5, shard = \"one\" }, { from = 4, shard = \"one\" }]",
            "tables[0].ranges[1]: overlaps",
        ),
        (
            "placement = \"reference\"\nshard = \"one\"",
            "tables[0].shard: placement \"reference\" has no shard",
        ),
        ("placement = \"single\"\nshard = \"two\"", "tables[0].shard: there is no shard \"two\""),
        ("placement = \"hash\"\nkey = \"k\"\nnull_key = \"two\"", "tables[0].null_key: there is no shard"),
        (
            "placement = \"reference\"\nresidency = [\"two\"]",
            "tables[0].residency[0]: there is no region \"two\"",
        ),
        ("placement = \"reference\"\nresidency = []", "tables[0].residency: names no region"),
    ];
    for (keys, expected) in cases {
        let found = mistake(&format!("[[tables]]\nname = \"t\"\n{keys}\n"));
        assert!(found.contains(expected), "{keys}\n  {found}\n  {expected}");
    }
    let twice = "[[tables]]\nname = \"t\"\nplacement = \"single\"\n".replace("\"t\"", "\"T\"")
        + "[[tables]]\nname = \"public.t\"\nplacement = \"single\"\n";
    assert!(mistake(&twice).contains("tables[1].name: table \"public.t\" stands twice"));
}

#[test]
fn regions_with_two_shards_cannot_place_by_region() {
    let more = "[[shards]]\nname = \"two\"\nregion = \"east\"\nnodes = [\"b:5432\"]\n\
                [[tables]]\nname = \"t\"\nplacement = \"region\"\nkey = \"region\"";
    assert!(mistake(more).contains("needs one shard in each region, and region \"east\" has 2"));
}

#[test]
fn lists_and_ranges_find_their_shards() {
    let config = parse(&format!(
        "{BASE}[[shards]]\nname = \"two\"\nregion = \"east\"\nnodes = [\"b:5432\"]\n\
         [[tables]]\nname = \"l\"\nplacement = \"list\"\nkey = \"k\"\nvalues = {{ one = [\"a\"], two = [\"b\"] }}\n\
         [[tables]]\nname = \"r\"\nplacement = \"range\"\nkey = \"k\"\n\
         ranges = [{{ from = 10, shard = \"two\" }}, {{ to = 5, shard = \"one\" }}]\n"
    ))
    .unwrap();
    let topology = &config.topology;
    let [list, range] = &topology.tables[..] else { panic!("two tables") };
    let of = |rule: &crate::topology::TableRule, key: Key| rule.shard_of_key(topology, Some(&key)).ok();
    assert_eq!(of(list, Key::Text("b".into())), Some(ShardId(1)));
    assert_eq!(of(list, Key::Text("c".into())), None);
    for (key, shard) in
        [(i64::MIN, Some(0)), (4, Some(0)), (5, None), (9, None), (10, Some(1)), (i64::MAX, Some(1))]
    {
        assert_eq!(of(range, Key::Integer(key)), shard.map(ShardId), "{key}");
    }
    let Placement::Range(_) = &range.placement else { panic!("a range") };
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let between = |low, high| {
        let set = range.placement.shards_between(low, high).unwrap();
        set.iter().map(|shard| shard.0).collect::<Vec<_>>()
    };
    let (five, ten) = (Key::Integer(5), Key::Integer(10));
    assert_eq!(between(Unbounded, Unbounded), [0, 1]);
    assert_eq!(between(Included(&five), Unbounded), [1]);
    assert_eq!(between(Unbounded, Excluded(&ten)), [0]);
    assert_eq!(between(Unbounded, Included(&ten)), [0, 1]);
    assert_eq!(between(Included(&five), Excluded(&ten)), Vec::<u16>::new());
}

#[test]
fn areas_are_boxes_cells_and_polygons() {
    let ring = "[[20,0],[30,0],[30,10],[20,10],[20,0]]";
    let document = format!("{{\"type\": \"Polygon\", \"coordinates\": [{ring}]}}");
    let more = format!(
        "[[regions]]\nname = \"west\"\narea = [{{ geohash = [\"dr5\", \"dr7\"] }}, {{ geojson = '{document}' }}]\n\
         [[shards]]\nname = \"two\"\nregion = \"west\"\nnodes = [\"b:5432\"]\n\
         [[tables]]\nname = \"t\"\nplacement = \"geo\"\nposition = {{ latitude = \"a\", longitude = \"o\" }}\n\
         [geo]\noutside = \"east\""
    );
    let topology = parse(&format!("{BASE}{more}")).unwrap().topology;
    let shard = |latitude, longitude| {
        let row = RowPosition { latitude: Some(latitude), longitude: Some(longitude), geohash: None };
        topology.tables[0].shard_of_position(&topology, row).unwrap().0
    };
    assert_eq!((shard(5.0, 5.0), shard(40.7, -74.0), shard(5.0, 25.0), shard(-50.0, 100.0)), (0, 1, 1, 0));
    let bad = |area: &str| {
        mistake(&format!(
            "[[shards]]\nname = \"two\"\nregion = \"west\"\nnodes = [\"b:5432\"]\n\
                                            [[regions]]\nname = \"west\"\narea = [{area}]"
        ))
    };
    assert!(
        bad("{ geohash = [\"dr5\", \"DR7\"] }")
            .starts_with("test.toml:17: regions[1].area[0].geohash[1]: \"DR7\" is not a geohash")
    );
    assert!(
        bad("{ geojson = \"none.json\" }")
            .starts_with("test.toml:17: regions[1].area[0].geojson: \"none.json\" cannot be read")
    );
    assert!(
        bad("{ geojson = '{}' }").starts_with("test.toml:17: regions[1].area[0].geojson: invalid GeoJSON")
    );
    assert!(
        bad("{ latitude = [5, 15] }").starts_with("test.toml:17: regions[1].area[0]: a part of an area is")
    );
    assert!(
        bad("{ latitude = [15, 5], longitude = [50, 60] }")
            .starts_with("test.toml:17: regions[1].area[0]: a box")
    );
}

#[test]
fn a_following_topology_keeps_what_is_known_of_its_nodes() {
    let old = parse(DEMO).unwrap().topology;
    old.nodes[3].state.set_timeline(7);
    let reordered =
        DEMO.replace("\"127.0.0.1:54320\", \"127.0.0.1:54321\"", "\"127.0.0.1:54321\", \"127.0.0.1:54320\"");
    let new = parse(&reordered).unwrap().topology.following(&old).unwrap();
    let port = |topology: &crate::topology::Topology, index: usize| topology.nodes[index].port;
    assert!(
        (0..old.nodes.len()).all(|index| port(&old, index) == port(&new, index)),
        "numbers keep their meaning"
    );
    assert_eq!(new.version.0, old.version.0 + 1);
    let timelines: Vec<_> = new.nodes.iter().map(|node| (node.port, node.state.timeline())).collect();
    assert!(
        timelines.contains(&(54320, 7))
            && timelines.iter().filter(|(_, timeline)| *timeline != 0).count() == 1
    );
}

#[test]
fn a_file_with_which_nobody_can_log_in_is_warned_of() {
    let warnings = |more: &str| parse(&format!("{BASE}{more}")).unwrap().warnings;
    let told = "test.toml: nobody can log in: there are no [[users]], and no [auth_query] to look them up";
    assert_eq!(warnings("").iter().map(ToString::to_string).collect::<Vec<_>>(), [told]);
    assert_eq!(warnings("[[users]]\nname = \"a\""), []);
    assert_eq!(warnings("[auth_query]"), []);
}

#[test]
fn rules_that_never_decide_are_warned_of() {
    let rule = |keys: &str| format!("[[access]]\nmethod = \"scram-sha-256\"\n{keys}\n");
    let text = [
        rule("users = [\"app_*\"]\naddresses = [\"10.0.0.0/8\"]"),
        rule("users = [\"app_1\"]\naddresses = [\"10.1.0.0/16\", \"::ffff:10.2.0.0/112\"]"),
        rule("users = [\"app_1\"]"),
    ];
    let user = "[[users]]\nname = \"app_1\"\npassword = \"x\"\n";
    let config = parse(&format!("{BASE}{}{user}", text.concat())).unwrap();
    assert_eq!(config.access.0.len(), 3);
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["test.toml:16: access[1].method: this rule never decides: access[0] fits whoever it fits"]
    );
}

#[test]
fn passwords_are_needed_where_a_rule_asks_for_one() {
    let user = "[[users]]\nname = \"ann\"\n";
    let rule = |keys: &str| format!("[[access]]\n{keys}\n");
    let trusted = rule("method = \"trust\"\naddresses = [\"127.0.0.1\"]\nusers = [\"ann\"]");
    assert!(parse(&format!("{BASE}{user}{trusted}")).is_ok());
    let asked = rule("method = \"scram-sha-256\"\nusers = [\"a*\"]");
    let found = mistake(&format!("{user}{trusted}{asked}"));
    assert!(found.contains("user \"ann\" has neither password nor verifier"), "{found}");
    let others = rule("method = \"scram-sha-256\"\nusers = [\"b*\"]");
    assert!(parse(&format!("{BASE}{user}{trusted}{others}")).is_ok());
}

#[test]
fn who_is_not_in_the_file_is_known_by_a_query_or_a_pattern() {
    let asked = BASE.replace("\"trust\"", "\"scram-sha-256\"");
    let parse_asked = |more: &str| parse(&format!("{asked}{more}"));
    let first = |more: &str| parse_asked(more).unwrap_err().0[0].to_string();
    let user = "[[users]]\nname = \"app_*\"\npool_size = 5\n";
    assert!(
        first(user).contains("\"app_*\" has neither password nor verifier, and there is no [auth_query]")
    );
    let found = first(&format!("[auth_query]\n{user}server_user = \"app\"\n"));
    assert!(found.contains("users[0].server_user: needs a server_password"), "{found}");
    let more = format!(
        "[auth_query]\n{user}[[users]]\nname = \"app_1\"\npassword = \"x\"\n{}",
        user.replace("app_*", "app_2?")
    );
    let config = parse_asked(&(more + &user.replace("app_*", "*"))).unwrap();
    let name = |name: &str| config.user(name).map(|user| user.name.as_str());
    assert_eq!([name("app_1"), name("app_20"), name("ann")], [Some("app_1"), Some("app_*"), Some("*")]);
    let covered = parse_asked(&format!("[auth_query]\n{}{user}", user.replace("app_*", "*"))).unwrap();
    assert!(
        covered.warnings[0]
            .to_string()
            .ends_with("users[1].name: counts for nobody: \"*\" before it fits whoever it fits")
    );
}
