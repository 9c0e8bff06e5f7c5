//! Replication connections through Meridian, by PostgreSQL's own programs: they meet one server, as if connected to it.

use std::process::{Command, Output, Stdio};

use meridian::demo::cluster::{APP_PASSWORD, Installation};

use crate::harness::{Database, Meridian, TemporaryDirectory, connect, database, eventually, meridian};

/// A database and a proxy that know a role which may replicate, and one which may not.
async fn start() -> (Database, Meridian, String) {
    let database = database().await;
    let walker = format!("{}_walker", database.name);
    let roles = format!(
        "CREATE ROLE {walker} LOGIN REPLICATION PASSWORD '{APP_PASSWORD}';
         CREATE ROLE {walker}_not LOGIN PASSWORD '{APP_PASSWORD}';"
    );
    database.cluster.on_every_shard(&database.name, &roles).await;
    let user = |name: &str, more: &str| {
        format!(
            "[[users]]\nname = \"{name}\"\npassword = \"{APP_PASSWORD}\"\nserver_password = \"{APP_PASSWORD}\"\n{more}"
        )
    };
    let users = [
        user(&walker, ""),
        user(&format!("{walker}_not"), ""),
        user(&format!("{walker}_reader"), "read_only = true\n"),
        user(&format!("{walker}_east"), "regions = [\"us-east\"]\n"),
    ];
    let proxy = meridian(&database.cluster).database(&database.name).tables(&users.concat()).start();
    (database, proxy, walker)
}

pub fn run(program: &str, port: u16, conninfo: &str, arguments: &[&str]) -> Output {
    let installation = Installation::find().expect("PostgreSQL is installed");
    let mut command = Command::new(installation.program(program));
    command.args(["-d", &format!("host=127.0.0.1 port={port} {conninfo}")]).args(arguments);
    command.env("PGPASSWORD", APP_PASSWORD).env("LC_ALL", "C").stdin(Stdio::null());
    command.output().expect("the program runs")
}

pub fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `IDENTIFY_SYSTEM`: the system's identifier and the timeline.
fn identity(port: u16, conninfo: &str) -> String {
    let answer = said(&run("psql", port, conninfo, &["-XAtc", "IDENTIFY_SYSTEM"]));
    answer.split('|').take(2).collect::<Vec<_>>().join("|")
}

#[tokio::test]
async fn a_replication_connection_is_one_to_the_primary_of_the_shard_that_it_names() {
    let (database, proxy, walker) = start().await;
    let port = proxy.address().port();
    let direct = |shard: &str| {
        let port = database.cluster.shard(shard).primary().direct_address().port();
        identity(port, &format!("user={walker} dbname={} replication=database", database.name))
    };
    let through = |more: &str| identity(port, &format!("user={walker} dbname={} {more}", database.name));
    assert_eq!(through("replication=database"), direct("us-east"));
    assert_eq!(through("replication=true"), direct("us-east"));
    let named = "replication=database options='-c meridian.shard=eu-central -c work_mem=7MB'";
    assert_eq!(through(named), direct("eu-central"));
    let both = &["-XAt", "-c", "SHOW work_mem", "-c", "SELECT current_database()"];
    let conninfo = format!("user={walker} dbname={} {named}", database.name);
    assert_eq!(said(&run("psql", port, &conninfo, both)), format!("7MB\n{}\n", database.name));
}

#[tokio::test]
async fn a_base_backup_is_taken_with_its_log() {
    let (database, proxy, walker) = start().await;
    let directory = TemporaryDirectory::new();
    let target = directory.path().join("copy");
    let arguments = ["-D", &target.display().to_string(), "-X", "stream", "-c", "fast"];
    said(&run("pg_basebackup", proxy.address().port(), &format!("user={walker}"), &arguments));
    assert!(target.join("backup_manifest").exists() && target.join("pg_wal").exists());
    let client = connect(&proxy.app()).await;
    let senders = "SELECT count(*) FROM pg_stat_replication WHERE usename = $1";
    eventually("its walsenders are gone", async || {
        let row = client.query_one(senders, &[&walker]).await.expect("a count");
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    drop(database);
}

#[tokio::test]
async fn who_may_not_replicate_is_told_so() {
    let (database, proxy, walker) = start().await;
    let port = proxy.address().port();
    let refused = |user: &str, more: &str| {
        let conninfo = format!("user={user} dbname={} {more}", database.name);
        let output = run("psql", port, &conninfo, &["-XAtc", "IDENTIFY_SYSTEM"]);
        assert!(!output.status.success(), "{conninfo}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let not = refused(&format!("{walker}_not"), "replication=true");
    // The second since PostgreSQL 16.
    let words = ["must be superuser or replication role", "permission denied to start WAL sender"];
    assert!(words.iter().any(|words| not.contains(words)), "the server's own words: {not}");
    let reader = refused(&format!("{walker}_reader"), "replication=true");
    assert!(reader.contains("read-only"), "{reader}");
    let east = refused(&format!("{walker}_east"), "replication=true options='-c meridian.shard=eu-central'");
    assert!(east.contains("permission denied for region \"eu-central\""), "{east}");
    let nowhere = refused(&walker, "replication=true options='-c meridian.shard=nowhere'");
    assert!(nowhere.contains("\"meridian.shard\": \"nowhere\""), "{nowhere}");
    let odd = refused(&walker, "replication=sometimes");
    assert!(odd.contains("invalid value for parameter \"replication\": \"sometimes\""), "{odd}");
}

#[tokio::test]
async fn the_console_shows_a_replication_connection_and_ends_it() {
    let (database, proxy, walker) = start().await;
    let installation = Installation::find().expect("PostgreSQL is installed");
    let directory = TemporaryDirectory::new();
    let conninfo = format!("host=127.0.0.1 port={} user={walker} replication=true", proxy.address().port());
    let mut command = Command::new(installation.program("pg_receivewal"));
    command.args(["-d", &conninfo, "--no-loop", "-D", &directory.path().display().to_string()]);
    command.env("PGPASSWORD", APP_PASSWORD).env("LC_ALL", "C").stderr(Stdio::piped());
    let mut receiver = crate::harness::spawn_for_life(command);
    let mut console = proxy.app();
    console.dbname("meridian");
    let console = connect(&console).await;
    let id = eventually("it is among the clients, with its reason", async || {
        let rows = console.simple_query("SHOW CLIENTS").await.expect("the clients");
        rows.iter().find_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) if row.get("user") == Some(&walker) => {
                (row.get("pinned") == Some("replication")).then(|| row.get("id").expect("an id").to_owned())
            }
            _ => None,
        })
    })
    .await;
    console.simple_query(&format!("KILL {id}")).await.expect("it is ended");
    eventually("the program ends", async || receiver.try_wait().expect("a state")).await;
    drop(database);
}
