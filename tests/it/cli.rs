//! `meridian check` and `meridian route` as a user runs them, in front of real servers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::SimpleQueryMessage;

use crate::harness::{
    RIDE_TABLES, TemporaryDirectory, TestCluster, cluster, connect, eventually, free_port, meridian,
};

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
        "unreachable",
    ] {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
    assert!(!said.contains("shard strange: has no primary") && !said.contains("promote"), "{said}");
    drop(banner);
}

#[tokio::test]
async fn check_tells_one_cause_once() {
    let cluster = cluster().region("us-east").region("eu-central").start();
    let directory = TemporaryDirectory::new();
    let path = file(directory.path(), &cluster, "");
    let config = path.to_str().expect("UTF-8");
    let text = std::fs::read_to_string(&path).expect("a file");
    let outcome = |from: &str, to: &str| {
        std::fs::write(&path, text.replacen(from, to, 1)).expect("a file");
        let output = run(&["check", "--config", config, "--connect"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        said(&output)
    };
    let node = cluster.shard("us-east").primary().address().to_string();
    for (from, to, reason) in [
        (
            format!("password = \"{APP_PASSWORD}\""),
            "password = \"wrong\"".to_owned(),
            "password authentication failed for user \"meridian\" (28P01)",
        ),
        (
            "name = \"demo\"".to_owned(),
            "name = \"nothing\"".to_owned(),
            "database \"nothing\" does not exist (3D000)",
        ),
        ("[server]".to_owned(), "[server]\ntls = \"require\"".to_owned(), "server does not support TLS"),
    ] {
        let said = outcome(&from, &to);
        let told: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(told.len(), 2, "one for each node:\n{said}");
        let one = told.iter().find(|line| line.contains(&node)).expect("the node is named");
        assert!(
            one.starts_with(&format!("error: {node}: cannot be asked: ")) && one.contains(reason),
            "{one}"
        );
        assert_eq!(one.matches(&node).count(), 1, "{one}");
        assert!(said.contains("2 errors"), "{said}");
    }
}

#[tokio::test]
async fn check_notices_that_decisions_cannot_be_kept() {
    let cluster = cluster().region("us-east").region("eu-central").start();
    let role = "CREATE ROLE limited LOGIN PASSWORD 'limited' IN ROLE pg_monitor";
    cluster.on_every_shard("demo", role).await;
    let directory = TemporaryDirectory::new();
    let path = file(directory.path(), &cluster, "");
    let account = format!("user = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"");
    let text = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, text.replacen(&account, "user = \"limited\"\npassword = \"limited\"", 1))
        .expect("a file");
    let config = path.to_str().expect("UTF-8");
    let output = run(&["check", "--config", config, "--connect"]);
    let told = "error: shard eu-central: statements for every shard (DDL, reference tables, COPY) would be refused. Decisions \
                cannot be recorded on shard \"eu-central\": no right to create what is missing of the schema \
                \"meridian_internal\". Make the account of [server] the owner of the database there, or GRANT CREATE ON DATABASE";
    assert!(said(&output).contains(told), "{}", said(&output));
    cluster.on_every_shard("demo", "GRANT CREATE ON DATABASE demo TO limited").await;
    let output = run(&["check", "--config", config, "--connect"]);
    assert!(output.status.success(), "{}", said(&output));
    let stranger = format!("warning: shard us-east: the [server] account is no member of {APP_USER}: ");
    assert!(said(&output).contains(&stranger), "{}", said(&output));
    cluster.on_every_shard("demo", &format!("GRANT {APP_USER} TO limited")).await;
    let output = run(&["check", "--config", config, "--connect"]);
    assert!(!said(&output).contains("no member of"), "{}", said(&output));
    for shard in ["us-east", "eu-central"] {
        let client = cluster.direct(shard).await;
        let row = client
            .query_one("SELECT to_regnamespace('meridian_internal') IS NULL", &[])
            .await
            .expect("a row");
        assert!(row.get::<_, bool>(0), "nothing is made by a check");
    }
}

#[test]
fn a_log_that_would_be_silent_by_mistake_is_refused() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("right.toml");
    std::fs::write(&path, NOWHERE).expect("a file");
    for (variable, value, told) in [
        (
            "MERIDIAN_LOG",
            "loud",
            "meridian: MERIDIAN_LOG: \"loud\" is neither a level (off, error, warn, info",
        ),
        (
            "MERIDIAN_LOG_FORMAT",
            "xml",
            "meridian: MERIDIAN_LOG_FORMAT: \"xml\" is neither \"text\" nor \"json\"",
        ),
    ] {
        for command in ["check", "serve"] {
            let mut meridian = Command::new(env!("CARGO_BIN_EXE_meridian"));
            meridian.args([command, "--config"]).arg(&path).env(variable, value);
            let output = meridian.output().expect("meridian runs");
            assert_eq!(output.status.code(), Some(1), "{command}");
            assert!(said(&output).contains(told), "{}", said(&output));
        }
    }
}

/// A configuration whose only server is not there.
const NOWHERE: &str = "[proxy]\nlisten = \"127.0.0.1:0\"\n[[regions]]\nname = \"east\"\n\
                       [[shards]]\nname = \"one\"\nregion = \"east\"\nnodes = [\"127.0.0.1:1\"]\n";

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("right.toml");
    let port = free_port();
    std::fs::write(&path, format!("{NOWHERE}[http]\nlisten = \"127.0.0.1:{port}\"\n")).expect("a file");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    command.args(["serve", "--config"]).arg(&path).stderr(full).env_remove("MERIDIAN_LOG");
    let mut serving = command.spawn().expect("meridian runs");
    let answered = eventually("it answers", async || {
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        socket.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.ok()?;
        answer.starts_with("HTTP/1.1 200 OK").then_some(())
    });
    answered.await;
    assert!(serving.try_wait().expect("it is a child").is_none(), "it goes on");
    serving.kill().expect("it is killed");
    let _ = serving.wait();
}

#[tokio::test]
async fn as_many_files_are_open_as_may_be() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("right.toml");
    std::fs::write(&path, NOWHERE).expect("a file");
    for (limits, told) in [("ulimit -Sn 200", false), ("ulimit -n 200", true)] {
        let log = directory.path().join("log");
        let file = std::fs::File::create(&log).expect("a file");
        let mut command = Command::new("sh");
        let script = format!("{limits} && exec \"$0\" serve --config \"$1\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_meridian")]).arg(&path);
        let mut serving = command.stderr(file).env_remove("MERIDIAN_LOG").spawn().expect("meridian runs");
        let limits = format!("/proc/{}/limits", serving.id());
        let log = eventually("it serves", async || {
            let text = std::fs::read_to_string(&log).ok()?;
            text.contains("is down").then_some(text)
        })
        .await;
        let limits = std::fs::read_to_string(limits).unwrap_or_default();
        serving.kill().expect("it is killed");
        let _ = serving.wait();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
        let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
        assert!(line.is_empty() || numbers[0] == numbers[1], "{line}");
        let warned = log.contains("fewer files may be open than [proxy] clients_max clients can need");
        assert!(warned || !told, "{log}");
    }
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
    assert!(said(&offline).contains("shards=[us-west] because region = 'us-west'"), "{}", said(&offline));
    let insert = "INSERT INTO rides (price, region) VALUES (1, $1)";
    let offline = run(&["route", "--config", config, "--offline", insert, "--param", "1=us-west"]);
    assert!(offline.status.success() && said(&offline).contains("shards=[us-west]"), "{}", said(&offline));
    let offline = run(&["route", "--config", config, "--offline", "INSERT INTO rides VALUES (1, 'us-west')"]);
    assert_eq!(offline.status.code(), Some(1), "{}", said(&offline));
    assert!(said(&offline).contains("names no columns"), "{}", said(&offline));
    let unknown = run(&["route", "--config", config, "SELECT * FROM rides WHERE region = $1"]);
    assert!(unknown.status.success(), "{}", said(&unknown));
    let told = "note: $1 has no value here, and narrows nothing: give --param 1=VALUE";
    assert!(said(&unknown).contains(told), "{}", said(&unknown));
}

#[test]
fn an_address_that_is_taken_is_told_with_its_key() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("taken.toml");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("its address");
    std::fs::write(&path, format!("{NOWHERE}[http]\nlisten = \"{address}\"\n")).expect("a file");
    let output = run(&["serve", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = format!("meridian: [http] listen: {address}: Address already in use");
    assert!(said(&output).contains(&told), "{}", said(&output));
}

/// As `| head -1` does.
#[test]
fn who_reads_no_more_ends_a_command_without_a_word() {
    for arguments in [&["completions", "bash"][..], &["man"], &["check", "--config", "config/meridian.toml"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command.args(arguments).stdout(writer).output().expect("its end");
        assert_eq!(output.status.code(), Some(141), "{arguments:?}: {}", said(&output));
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn shells_and_manuals_are_served() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(said(&run(&["completions", shell])).contains("route"), "{shell}");
    }
    assert!(said(&run(&["man"])).contains(".TH meridian 1"));
    let page = said(&run(&["man", "check"]));
    assert!(page.contains(".TH meridian-check 1") && page.contains("connect"), "{page}");
    assert_eq!(run(&["man", "nothing"]).status.code(), Some(1));
    for command in ["serve", "check", "route", "demo"] {
        let help = said(&run(&[command, "--help"]));
        assert!(help.contains("Usage:") && help.len() > 300, "{command}: {help}");
    }
}
