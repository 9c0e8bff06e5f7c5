//! `meridian check` and `meridian route` as a user runs them, in front of real servers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};
use tokio_postgres::SimpleQueryMessage;

use crate::harness::{RIDE_TABLES, TemporaryDirectory, TestCluster, cluster, connect, free_port, meridian};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    command.args(arguments).env("MERIDIAN_LOG", "error").output().expect("meridian runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A configuration file for this cluster.
fn file(directory: &Path, cluster: &TestCluster, more: &str) -> PathBuf {
    let text = format!(
        "[database]\nname = \"demo\"\n[server]\nuser = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\n\
         [[users]]\nname = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\n{}{more}",
        cluster.topology()
    );
    let path = directory.join("meridian.toml");
    std::fs::write(&path, text).expect("a file");
    path
}

#[tokio::test]
async fn check_finds_what_the_servers_lack() {
    let cluster = cluster().region("us-east").region("eu-central").replicas(1).start();
    let directory = TemporaryDirectory::new();
    let path = file(directory.path(), &cluster, "");
    let config = path.to_str().expect("UTF-8");

    let good = run(&["check", "--config", config, "--connect"]);
    assert!(good.status.success(), "{}", said(&good));
    assert!(said(&good).contains("0 errors"), "{}", said(&good));
    let json = run(&["check", "--config", config, "--connect", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["nodes"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["nodes"][0]["role"], "primary");

    // A table that differs, one that is not there, a password that is wrong, a node that is down, and one that is no
    // PostgreSQL.
    for (shard, columns) in
        [("us-east", "id int, region varchar(50)"), ("eu-central", "id bigint, region varchar(50)")]
    {
        let client = cluster.direct(shard).await;
        client.batch_execute(&format!("CREATE TABLE places ({columns})")).await.expect("a table");
    }
    cluster.shard("eu-central").replica(0).expect("a replica").kill().expect("it is killed");
    let stranger = std::net::TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let port = stranger.local_addr().expect("its address").port();
    let banner = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for socket in stranger.incoming().take(2).flatten() {
            // Closing with unread bytes would reset the connection, and the banner with it.
            let _ = (&socket).read(&mut [0; 256]);
            let _ = (&socket).write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n");
        }
    });
    let more = format!(
        "[auth_query]\n[[users]]\nname = \"wrong\"\npassword = \"wrong\"\nserver_user = \"{APP_USER}\"\n\
         [[regions]]\nname = \"elsewhere\"\n[[shards]]\nname = \"strange\"\nregion = \"elsewhere\"\nnodes = [\"127.0.0.1:{port}\"]\n\
         [[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n\
         [[tables]]\nname = \"missing\"\nplacement = \"reference\"\n"
    );
    let path = file(directory.path(), &cluster, &more);
    let bad = run(&["check", "--config", path.to_str().expect("UTF-8"), "--connect"]);
    assert_eq!(bad.status.code(), Some(1), "{}", said(&bad));
    let said = said(&bad);
    for words in [
        "table public.places: column id is integer on us-east and bigint on eu-central",
        "table public.missing: does not exist yet",
        "user wrong: cannot log in to",
        "auth_query: users cannot be looked up",
        "permission denied for view pg_shadow",
        "does not speak the PostgreSQL protocol",
        "shard strange: has no primary that can be reached",
        "unreachable",
    ] {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
    drop(banner);
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_place() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("wrong.toml");
    std::fs::write(&path, "[proxy]\nlistn = \"127.0.0.1:6432\"\n").expect("a file");
    let output = run(&["check", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("wrong.toml:2: proxy.listn: unknown field"), "{}", said(&output));
}

#[tokio::test]
async fn route_says_what_explain_says() {
    let cluster = cluster().regions().start();
    let meridian = meridian(&cluster).tables(RIDE_TABLES).start();
    let client = connect(&meridian.app()).await;
    client
        .batch_execute(
            "CREATE TABLE rides (ride_id uuid, region varchar(50), pickup_lat float8, pickup_lon float8, \
             pickup_geohash varchar(12), price numeric)",
        )
        .await
        .expect("a table");
    let directory = TemporaryDirectory::new();
    let path = file(directory.path(), &cluster, RIDE_TABLES);
    let config = path.to_str().expect("UTF-8");
    for statement in [
        "SELECT * FROM rides WHERE region = 'eu-central'",
        "SELECT count(*) FROM rides WHERE pickup_lat BETWEEN 40.5 AND 41.0 AND pickup_lon BETWEEN -74.3 AND -73.7",
        "SELECT region, avg(price) FROM rides GROUP BY region",
        "SELECT ride_id FROM rides ORDER BY price DESC LIMIT 5",
        "SELECT 1",
    ] {
        let explained = client.simple_query(&format!("EXPLAIN {statement}")).await.expect("a plan");
        let explained: Vec<String> = explained
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0)?.strip_prefix("Meridian: ").map(str::to_owned),
                _ => None,
            })
            .collect();
        let output = run(&["route", "--config", config, statement]);
        assert!(output.status.success(), "{}", said(&output));
        let routed: Vec<String> =
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        assert_eq!(routed, explained, "{statement}");
    }
    let output =
        run(&["route", "--config", config, "SELECT * FROM rides WHERE region = $1", "--param", "1=ap-south"]);
    assert!(said(&output).contains("shards=[ap-south]"), "{}", said(&output));
    let refused = run(&["route", "--config", config, "UPDATE rides SET price = 0"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("M001"), "{}", said(&refused));
    let offline =
        run(&["route", "--config", config, "--offline", "SELECT * FROM rides WHERE region = 'us-west'"]);
    assert!(said(&offline).contains("without catalogs"), "{}", said(&offline));
}

#[test]
fn shells_and_manuals_are_served() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(said(&run(&["completions", shell])).contains("route"), "{shell}");
    }
    assert!(said(&run(&["man"])).contains(".TH meridian 1"));
    for command in ["serve", "check", "route", "demo"] {
        let help = said(&run(&[command, "--help"]));
        assert!(help.contains("Usage:") && help.len() > 300, "{command}: {help}");
    }
}
