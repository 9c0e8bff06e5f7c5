//! The log of a running Meridian: what it tells of slow statements, and what it must never tell.

use std::path::Path;
use std::time::Duration;

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};

use crate::harness::{RIDE_TABLES, cluster, connect, database, eventually, meridian, try_connect};

/// Stand in literals, parameters, settings and errors; none may be in the log.
const SECRETS: [&str; 5] =
    ["tell-tale-literal", "tell-tale-parameter", "tell-tale-duplicate", "9182736455", "telltalesetting"];

#[tokio::test]
async fn the_log_keeps_what_clients_say_to_itself() {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .tables(RIDE_TABLES)
        .section("log", "format = \"json\"\nlevel = \"debug\"\nslow_statement = \"1us\"")
        .start();
    let client = connect(&meridian.app()).await;
    client.batch_execute("CREATE TABLE told (word text PRIMARY KEY, number bigint)").await.expect("a table");
    client.simple_query("INSERT INTO told VALUES ('tell-tale-duplicate', 9182736455)").await.expect("a row");
    // The DETAIL of these quotes the value, and so does the message of a value that cannot be read.
    client.simple_query("INSERT INTO told VALUES ('tell-tale-duplicate', 1)").await.expect_err("a duplicate");
    client.simple_query("SELECT 'tell-tale-literal'::bigint").await.expect_err("no number");
    client.simple_query("SELECT $$tell-tale-literal").await.expect_err("no end");
    client.simple_query("SET application_name = telltalesetting").await.expect("a setting");
    let parameter = "tell-tale-parameter";
    client.query("SELECT word FROM told WHERE word = $1", &[&parameter]).await.expect("no rows");
    client.execute("INSERT INTO told VALUES ($1, 1)", &[&parameter]).await.expect("a row");
    client.execute("INSERT INTO told VALUES ($1, 1)", &[&parameter]).await.expect_err("a duplicate");
    client.simple_query("ALTER ROLE nobody PASSWORD 'tell-tale-literal'").await.expect_err("no role");
    let mut stranger = meridian.app();
    stranger.password("tell-tale-literal");
    assert!(stranger.connect(tokio_postgres::NoTls).await.is_err());
    eventually("the login is logged", async || {
        let log = meridian.log();
        let line = log.lines().find(|line| line.contains("a login failed"))?;
        (line.contains("28P01") && line.contains(APP_USER) && line.contains("127.0.0.1:")).then_some(())
    })
    .await;

    let log = eventually("the last statement is logged", async || {
        let log = meridian.log();
        log.contains("alter role nobody password ?").then_some(log)
    })
    .await;
    for secret in SECRETS {
        let found = log.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "{secret}: {found:?}");
    }
    let slow: serde_json::Value = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line["statement"] == "select word from told where word = $1")
        .unwrap_or_else(|| panic!("the statement is not in\n{log}"));
    assert_eq!(slow["message"], "slow statement");
    assert_eq!((&slow["verb"], &slow["route"]), (&"select".into(), &"relay".into()));
    assert!(slow["seconds"].as_f64().is_some_and(|seconds| seconds < Duration::from_secs(60).as_secs_f64()));
}

/// As on a disk that is full: each line is lost, and nothing else.
#[tokio::test]
async fn a_log_that_cannot_be_written_costs_nobody_an_answer() {
    let cluster = cluster().region("us-east").start();
    let meridian = meridian(&cluster).section("log", "slow_statement = \"1us\"").start();
    meridian.kill();
    meridian.run_logging_to(Path::new("/dev/full"));
    let client = connect(&meridian.app()).await;
    for _ in 0..3 {
        client.batch_execute("SELECT pg_sleep(0.001)").await.expect("it is answered");
    }
    // What is told in the background ends nothing there.
    let primary = cluster.shard("us-east").primary();
    primary.kill().expect("it is killed");
    client.batch_execute("SELECT txid_current()").await.expect_err("it is away");
    primary.start().expect("it starts");
    eventually("it is found again", async || client.query("SELECT txid_current()", &[]).await.ok()).await;
}

/// One statement of every kind, each with something to tell.
const TALES: &str = "
BEGIN; INSERT INTO rides_told VALUES (9182736455, 'us-west', 'tell-tale-value'); COMMIT
INSERT INTO rides_told VALUES (9182736456, 'nowhere-tell-tale', 'x')
INSERT INTO rides_told VALUES (9182736455, 'us-west', 'tell-tale-twice')
SELECT * FROM rides_told WHERE id = 9182736455 AND word <> 'tell-tale-literal'
SELECT word FROM rides_told WHERE region = 'us-west' AND word LIKE 'tell-tale%'
SELECT count(*) FROM rides_told a JOIN rides_told b ON a.word = b.word WHERE a.word <> 'tell-tale-join'
SELECT word, count(*) FROM rides_told GROUP BY word HAVING min(word) <> 'tell-tale-having' ORDER BY 2, 1 LIMIT 3
UPDATE rides_told SET word = 'tell-tale-update' WHERE region = 'us-west' AND id = 9182736455
DELETE FROM rides_told WHERE word = 'tell-tale-delete' AND region = 'us-west'
WITH w AS (SELECT 'tell-tale-with' AS x) SELECT x FROM w
EXPLAIN SELECT * FROM rides_told WHERE word = 'tell-tale-explain'
/* tell-tale-comment */ SELECT 1 -- tell-tale-comment
/* meridian: shard=tell-tale-hint */ SELECT 1
SET application_name = 'tell-tale-setting'
SET tell_tale.setting = 'tell-tale-setting'
SELECT set_config('tell_tale.setting', 'tell-tale-config', false)
SELECT set_config('work_mem', 'tell-tale-config', false)
PREPARE told AS SELECT 'tell-tale-prepared'
EXECUTE told_not('tell-tale-argument')
BEGIN; SAVEPOINT s; SELECT 1 / (9182736455 - 9182736455); ROLLBACK
BEGIN; DECLARE c CURSOR FOR SELECT 'tell-tale-cursor'; FETCH c; COMMIT
DO $$ BEGIN RAISE NOTICE 'tell-tale-notice'; END $$
DO $body$ BEGIN RAISE EXCEPTION 'tell-tale-exception'; END $body$
CREATE TABLE told_too (word text DEFAULT 'tell-tale-default', CHECK (word <> 'tell-tale-check'))
INSERT INTO told_too VALUES ('tell-tale-check')
COMMENT ON TABLE told_too IS 'tell-tale-remark'
ALTER TABLE told_too ALTER word SET DEFAULT 'tell-tale-other'
DROP TABLE told_too
CREATE ROLE telltale PASSWORD 'tell-tale-password'
NOTIFY told, 'tell-tale-payload'
COPY (SELECT 'tell-tale-copied') TO STDOUT
COPY rides_told FROM STDIN WITH (DELIMITER 'tell-tale')
SELECT 'tell-tale-broken
SELECT tell-tale-syntax FROM FROM
SELECT E'tell-tale-escape\\x', U&'tell-tale-unicode', B'1', X'0F', $tag$tell-tale-dollar$tag$, 9182736455.5, 9182736455e3
";

/// As above, with the log as talkative as it can be, in every way of asking.
#[tokio::test]
async fn the_most_talkative_log_keeps_it_to_itself_too() {
    let database = database().await;
    let tables = "[[tables]]\nname = \"rides_told\"\nplacement = \"region\"\nkey = \"region\"\n";
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .tables(tables)
        .section("log", "level = \"trace,sqlparser=trace,tokio_postgres=trace\"\nslow_statement = \"1us\"")
        .section("[users]", "name = \"teller\"\npassword = \"tell-tale-own\"")
        .start();
    let client = connect(&meridian.app()).await;
    let table = "CREATE TABLE rides_told (id bigint, region varchar(50) NOT NULL, word text, PRIMARY KEY (region, id))";
    client.batch_execute(table).await.expect("a table");
    let tales = || TALES.lines().filter(|line| !line.is_empty());
    for tale in tales() {
        let client = connect(&meridian.app()).await;
        let _ = client.simple_query(tale).await;
        let _ = client.query(tale, &[]).await;
    }
    let parameter = "tell-tale-parameter";
    for sql in [
        "SELECT id FROM rides_told WHERE region = $1",
        "SELECT id FROM rides_told WHERE word = $1 ORDER BY id",
        "SELECT count(*) FROM rides_told a JOIN rides_told b ON a.word = b.word WHERE a.word = $1",
        "INSERT INTO rides_told VALUES (1, $1, 'x')",
        "INSERT INTO rides_told VALUES (7, 'us-west', $1)",
        "INSERT INTO rides_told VALUES (7, 'us-west', $1)",
        "SELECT $1::text::bigint",
        "SELECT $1::text FROM rides_told WHERE region = 'us-west' AND id = 1 / (length($1::text) - 19)",
    ] {
        let _ = client.query(sql, &[&parameter]).await;
    }
    let rows = "1\tus-west\ttell-tale-row\n2\tap-south\ttell-tale-row\n3\ttell-tale-region\tx\n";
    for copied in [rows, "x\ttell-tale-row\n", "1\tus-west\ttell-tale-row\n"] {
        if let Ok(sink) = client.copy_in("COPY rides_told FROM STDIN").await {
            let mut sink = std::pin::pin!(sink);
            let _ = futures_util::SinkExt::send(&mut sink, bytes::Bytes::copy_from_slice(copied.as_bytes()))
                .await;
            let _ = sink.finish().await;
        }
    }
    for (user, password) in
        [("teller", "tell-tale-own"), ("teller", "tell-tale-wrong"), ("nobody", "tell-tale-none")]
    {
        let mut stranger = meridian.app();
        stranger.user(user).password(password).application_name("tell-tale-application");
        if let Ok((client, connection)) = stranger.connect(tokio_postgres::NoTls).await {
            tokio::spawn(connection);
            let _ = client.simple_query("SELECT 'tell-tale-stranger' FROM rides_told").await;
        }
    }
    client.simple_query("SELECT 1 AS the_last_one").await.expect("a row");
    let log = eventually("the last statement is logged", async || {
        let log = meridian.log();
        log.contains("the_last_one").then_some(log)
    })
    .await;
    let secrets = ["tell-tale", "9182736455", "9182736456"];
    let found: Vec<&str> = log
        .lines()
        .filter(|line| secrets.iter().any(|secret| line.to_lowercase().contains(secret)))
        .collect();
    assert!(found.is_empty(), "{} lines:\n{}", found.len(), found.join("\n"));
    assert!(log.contains("slow statement") && log.len() > 5000, "the log does say something:\n{log}");
}

#[tokio::test]
async fn statements_stand_in_the_log_as_the_configuration_says() {
    let database = database().await;
    let start = |statements: &str| {
        let keys = format!("slow_statement = \"1us\"\nstatements = \"{statements}\"");
        meridian(&database.cluster).database(&database.name).section("log", &keys).start()
    };
    let cases = [("full", "SELECT 'a-literal'", "select ?"), ("off", "slow statement", "a-literal")];
    for (statements, has, has_not) in cases {
        let meridian = start(statements);
        connect(&meridian.app()).await.simple_query("SELECT 'a-literal'").await.expect("one row");
        let log = eventually("the statement is logged", async || {
            let log = meridian.log();
            log.contains(has).then_some(log)
        })
        .await;
        assert!(!log.contains(has_not), "{log}");
    }
}

#[tokio::test]
async fn slow_statements_over_several_shards_are_logged_with_the_time_of_each() {
    let database = database().await;
    let tables = "[[tables]]\nname = \"places\"\nplacement = \"hash\"\nkey = \"id\"\n\
                  [[tables]]\nname = \"codes\"\nplacement = \"reference\"\n";
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .tables(tables)
        .section("log", "format = \"json\"\nslow_statement = \"1us\"")
        .start();
    let client = connect(&meridian.app()).await;
    client.batch_execute("CREATE TABLE places (id int, near int)").await.expect("a table");
    client.batch_execute("CREATE TABLE codes (id int)").await.expect("a table");
    for statement in [
        "INSERT INTO places VALUES (1, 1)",
        "SELECT id FROM places",
        "SELECT count(*) FROM places a JOIN places b ON a.id = b.near",
        "INSERT INTO codes VALUES (1)",
        "VACUUM codes",
        "SELECT near FROM places WHERE id = 1",
        "SELECT id, pg_sleep(0.3) FROM places WHERE near > 0",
    ] {
        client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    client.batch_execute("BEGIN").await.expect("it begins");
    client.simple_query("INSERT INTO codes VALUES (2)").await.expect("on every shard");
    client.simple_query("COMMIT").await.expect("it commits");
    let log = eventually("the last statement is logged", async || {
        let log = meridian.log();
        log.contains("\"statement\":\"commit\"").then_some(log)
    })
    .await;
    let lines: Vec<serde_json::Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let times = |statement: &str| {
        let line = lines.iter().find(|line| line["statement"] == statement);
        let line = line.unwrap_or_else(|| panic!("{statement} is not in\n{log}"));
        let (all, shards) = (line["seconds"].as_f64(), line["shard_milliseconds"].as_str());
        let pairs = shards.expect("a text").split(' ').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<(String, f64)> =
            pairs.map(|(name, time)| (name.to_owned(), time.parse().expect("a number"))).collect();
        (all.expect("a number") * 1000.0, pairs)
    };
    let all_shards = crate::harness::REGIONS;
    let names = |pairs: &[(String, f64)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    for statement in [
        "select id from places",
        "create table codes(id int)",
        "insert into codes values(?)",
        "vacuum codes",
        "commit",
    ] {
        let (all, pairs) = times(statement);
        assert_eq!(names(&pairs), all_shards, "{statement}");
        // Rounded to a tenth each.
        assert!(
            pairs.iter().all(|(_, time)| *time >= 0.0 && *time <= all + 0.1),
            "{statement} {all} {pairs:?}"
        );
    }
    // One shard has the row for which there is something to wait, and the others' times are their own.
    let (_, uneven) = times("select id,pg_sleep(?)from places where near > ?");
    let slow = uneven.iter().filter(|(_, time)| *time >= 300.0).count();
    assert_eq!((slow, uneven.len()), (1, 4), "{uneven:?}");
    let (_, gathered) = times("select count(*)from places a join places b on a.id = b.near");
    assert!(names(&gathered).contains(&"scratch".to_owned()) && gathered.len() == 5, "{gathered:?}");
    assert!(
        times("select near from places where id = ?").1.is_empty(),
        "one shard's time is the statement's"
    );
}

#[tokio::test]
async fn who_is_refused_for_a_limit_and_what_changes_in_the_catalog_is_logged() {
    let database = database().await;
    let ann = format!(
        "[[users]]\nname = \"ann\"\npassword = \"ann\"\nconnections_max = 1\nserver_user = \"{APP_USER}\"\n\
         server_password = \"{APP_PASSWORD}\"\n"
    );
    let described = meridian(&database.cluster).database(&database.name).tables(&ann);
    let meridian = described
        .section("log", "format = \"json\"")
        .section("health", "catalog_interval = \"200ms\"")
        .start();
    let lines = |word: &str| meridian.log().lines().filter(|line| line.contains(word)).count();
    eventually("the catalog is known before it changes", async || {
        (lines("the catalog was read") == 1).then_some(())
    })
    .await;
    database.on_every_shard("CREATE TABLE from_elsewhere (id int)").await;
    eventually("the change is told", async || {
        let log = meridian.log();
        // In one look or in several: it comes to the shards one after the other.
        let mut changes = log.lines().filter(|line| line.contains("the catalog has changed")).peekable();
        let first = changes.peek()?.contains("\"version\":2");
        (first && changes.any(|line| line.contains("us-west"))).then_some(())
    })
    .await;
    let mut ann = meridian.app();
    ann.user("ann").password("ann");
    let inside = connect(&ann).await;
    for _ in 0..5 {
        assert!(try_connect(&ann).await.is_err(), "one is the limit");
    }
    let refused = "a client is refused: [[users]] connections_max is reached";
    let told = lines(refused);
    assert!((1..5).contains(&told), "the log tells, and does not repeat itself: {told}");
    drop(inside);
}
