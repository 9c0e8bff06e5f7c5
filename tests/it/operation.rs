//! Operating a running Meridian: reload, pause, disable, kill, reconnect, and the orderly end, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use meridian::demo::cluster::APP_USER;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::harness::{Database, Meridian, cluster, connect, database, eventually, meridian, try_connect};

const TABLES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n";

fn console(meridian: &Meridian) -> Config {
    let mut config = meridian.app();
    config.dbname("meridian");
    config
}

/// That it has no answer yet, for as long as others need for theirs many times over.
async fn still_waits(work: &mut (impl Future + Unpin), why: &str) {
    let early = tokio::time::timeout(Duration::from_millis(300), work).await;
    assert!(early.is_err(), "{why}");
}

/// One column of what the console shows.
async fn column(client: &Client, statement: &str, name: &str) -> Vec<String> {
    let messages =
        client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    let cell = |message| match message {
        SimpleQueryMessage::Row(row) => row.get(name).map(str::to_owned),
        _ => None,
    };
    messages.into_iter().filter_map(cell).collect()
}

async fn fill(client: &Client) {
    for statement in [
        "CREATE TABLE places (id int, region varchar(50) NOT NULL)",
        "INSERT INTO places VALUES (1, 'us-east')",
        "INSERT INTO places VALUES (1, 'eu-central')",
    ] {
        client.batch_execute(statement).await.expect("the servers answer");
    }
}

/// Clients that work until they are told to stop, and panic at the first error.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    async fn start(meridian: &Meridian, clients: usize) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut handles = Vec::new();
        for number in 0..clients {
            let client = connect(&meridian.app()).await;
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            handles.push(tokio::spawn(async move {
                let region = if number % 2 == 0 { "us-east" } else { "eu-central" };
                let insert = client.prepare("INSERT INTO places VALUES ($1, $2)").await.expect("a statement");
                while !stop.load(Ordering::Relaxed) {
                    client.execute(&insert, &[&(number as i32), &region]).await.expect("a write");
                    client.query("SELECT count(*) FROM places", &[]).await.expect("a read over all shards");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        Self { stop, done, clients: handles }
    }

    async fn progress(&self, more: usize) {
        let goal = self.done.load(Ordering::Relaxed) + more;
        eventually("the load goes on", async || (self.done.load(Ordering::Relaxed) >= goal).then_some(()))
            .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("no client saw an error");
        }
    }
}

#[tokio::test]
async fn a_reload_under_load_disturbs_nobody_and_takes_up_what_is_new() {
    let cluster = cluster().region("us-east").region("eu-central").replicas(1).start();
    let meridian = meridian(&cluster).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    fill(&client).await;
    let console = connect(&console(&meridian)).await;
    let load = Load::start(&meridian, 6).await;
    load.progress(20).await;

    // A user more, by SIGHUP.
    meridian.edit(|text| text + "[[users]]\nname = \"late\"\npassword = \"late\"\nserver_user = \"meridian\"\nserver_password = \"meridian\"\n");
    meridian.signal(libc::SIGHUP);
    let mut late = meridian.app();
    late.user("late").password("late");
    let late = eventually("the new user is let in", async || try_connect(&late).await.ok()).await;
    late.simple_query("SELECT count(*) FROM places").await.expect("it works");

    // A replica less, by RELOAD: it is asked no more, and its connections go.
    let replica = cluster.shard("us-east").replica(0).expect("a replica").address().to_string();
    meridian.edit(|text| {
        let named = format!(", {{ address = \"{replica}\", region = \"");
        let at = text.find(&named).expect("the replica is configured");
        let end = at + text[at..].find('}').expect("its end") + 1;
        text[..at].to_owned() + &text[end..]
    });
    console.batch_execute("RELOAD").await.expect("the file is right");
    assert!(!column(&console, "SHOW NODES", "address").await.contains(&replica));
    load.progress(20).await;
    eventually("nothing is connected to it", async || {
        let nodes = column(&console, "SHOW SERVERS", "node").await;
        (!nodes.contains(&replica)).then_some(())
    })
    .await;

    // A mistake changes nothing, and is told with its place.
    let before = column(&console, "SHOW CONFIG", "value").await;
    meridian.edit(|text| text.replace("[health]", "[health]\nintervall = \"3s\""));
    let error = console.batch_execute("RELOAD").await.expect_err("the file has a mistake");
    let error = error.as_db_error().expect("an error of SQL");
    assert_eq!(error.code(), &SqlState::CONFIG_FILE_ERROR);
    assert!(error.message().contains("intervall"), "{error}");
    meridian.edit(|text| text.replace("intervall = \"3s\"", ""));
    assert_eq!(column(&console, "SHOW CONFIG", "value").await, before);

    // What is bound once needs a restart, and says so; nothing else of the file counts then.
    let port = meridian.address().port();
    meridian.edit(|text| text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:1"));
    let error = console.batch_execute("RELOAD").await.expect_err("another address");
    let message = error.as_db_error().expect("an error of SQL").message();
    assert_eq!(message, "[proxy] listen is different, which needs a restart");
    load.progress(20).await;
    load.end().await;
}

#[tokio::test]
async fn a_paused_shard_comes_to_rest_and_goes_on() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    fill(&client).await;
    let console = connect(&console(&meridian)).await;
    let load = Load::start(&meridian, 4).await;
    load.progress(10).await;
    console.batch_execute("PAUSE us-east").await.expect("it is paused");
    let log = meridian.log();
    let told = log.lines().find(|line| line.contains("an order was given at the console: PAUSE 'us-east'"));
    assert!(told.is_some_and(|line| line.contains(APP_USER) && line.contains("127.0.0.1")), "{told:?}");
    let paused = column(&console, "SHOW SHARDS", "paused").await;
    assert_eq!(paused, ["yes", "no", "no", "no"]);
    let nodes = database.cluster.shard("us-east").nodes().iter().map(|node| node.address().to_string());
    let nodes: Vec<_> = nodes.collect();
    let messages = console.simple_query("SHOW NODES").await.expect("the nodes");
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message
            && nodes.iter().any(|node| row.get("address") == Some(node))
        {
            assert_eq!(row.get("in_use"), Some("0"), "it is at rest when PAUSE has answered");
        }
    }
    // Another shard goes on; a statement for the paused one waits.
    client.batch_execute("SELECT 1 FROM places WHERE region = 'eu-central'").await.expect("not paused");
    let waiting = tokio::spawn(async move {
        client.batch_execute("SELECT 1 FROM places WHERE region = 'us-east'").await.expect("after RESUME");
    });
    console.batch_execute("RESUME").await.expect("it goes on");
    waiting.await.expect("it has waited, and then run");
    load.progress(10).await;
    load.end().await;
    assert!(console.batch_execute("PAUSE nowhere").await.expect_err("no such shard").code().is_some());
}

/// On the servers first, then in the file: who is logged in needs new connections, and does not log in again.
#[tokio::test]
async fn passwords_are_changed_under_clients_who_stay() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let cluster = cluster().region("us-east").start();
    let meridian = meridian(&cluster).start();
    let client = connect(&meridian.app()).await;
    client.batch_execute("SELECT 1").await.expect("it has a server");
    cluster.on_every_shard("demo", "ALTER ROLE meridian PASSWORD 'other'").await;
    meridian.edit(|text| text.replace("password = \"meridian\"", "password = \"other\""));
    meridian.signal(libc::SIGHUP);
    eventually("the file is read", async || meridian.log().contains("was read again").then_some(())).await;
    let mut config = console(&meridian);
    let console = connect(config.password("other")).await;
    console.batch_execute("RECONNECT").await.expect("connections are made anew");
    eventually("none of before is left", async || {
        let ages = column(&console, "SHOW SERVERS", "age_seconds").await;
        ages.iter().all(|age| age.parse::<f64>().is_ok_and(|age| age < 1.0)).then_some(())
    })
    .await;
    client.batch_execute("SELECT 1").await.expect("it has the new password");
}

/// Who has a server to itself between transactions does not hold the shard up, and waits for it as all others do.
#[tokio::test]
async fn a_shard_comes_to_rest_though_sessions_are_pinned_to_it() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let cluster = cluster().region("us-east").start();
    let meridian = meridian(&cluster).start();
    let console = connect(&console(&meridian)).await;
    let (listener, worker) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    listener.batch_execute("LISTEN news").await.expect("it listens");
    worker
        .batch_execute("CREATE TEMP TABLE own (i int); BEGIN; INSERT INTO own VALUES (1)")
        .await
        .expect("it works");
    let pause = console.batch_execute("PAUSE");
    tokio::pin!(pause);
    still_waits(&mut pause, "a transaction is open").await;
    worker.batch_execute("INSERT INTO own VALUES (2); COMMIT").await.expect("what has begun goes on");
    tokio::time::timeout(Duration::from_secs(20), &mut pause)
        .await
        .expect("it settles")
        .expect("it is paused");
    let waiting = worker.batch_execute("INSERT INTO own VALUES (3)");
    tokio::pin!(waiting);
    still_waits(&mut waiting, "what begins now waits").await;
    console.batch_execute("RESUME").await.expect("it goes on");
    waiting.await.expect("it has waited");
    let rows = worker.query("SELECT i FROM own", &[]).await.expect("its table is there");
    assert_eq!(rows.len(), 3);
    listener.batch_execute("NOTIFY news").await.expect("it has its server");
}

/// Whichever shard it is: what needs it beside others has not begun when the others are ready.
#[tokio::test]
async fn statements_over_several_shards_wait_for_a_paused_one() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    fill(&client).await;
    let console = connect(&console(&meridian)).await;
    let early = connect(&meridian.app()).await;
    early
        .batch_execute("BEGIN; SELECT FROM places WHERE region = 'us-west'")
        .await
        .expect("it begins before");
    console.batch_execute("PAUSE 'eu-central'").await.expect("it is paused");
    early.batch_execute("SELECT FROM places WHERE region = 'eu-central'; COMMIT").await.expect("it may end");
    client.batch_execute("SET statement_timeout = '300ms'").await.expect("it is set");
    for statement in [
        "SELECT count(*) FROM places",
        "SELECT p.region, q.region FROM places p JOIN places q ON p.region < q.region",
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM places; COMMIT",
        "BEGIN; SELECT FROM places WHERE region = 'us-west'; SELECT FROM places WHERE region = 'eu-central'",
        "CREATE TABLE more_places (id int)",
        "CREATE INDEX CONCURRENTLY ON places (region)",
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{statement}: {error}");
        client.batch_execute("ROLLBACK").await.expect("it goes on");
    }
    let copied = client.copy_out("COPY places TO STDOUT").await.err().expect("it waits too");
    assert_eq!(copied.code(), Some(&SqlState::QUERY_CANCELED), "{copied}");
    client.batch_execute("SELECT FROM places WHERE region = 'us-west'").await.expect("another shard");
    console.batch_execute("RESUME").await.expect("it goes on");
    client.batch_execute("SELECT count(*) FROM places").await.expect("all shards");
}

#[tokio::test]
async fn a_disabled_replica_answers_nothing_and_an_enabled_one_does() {
    let cluster = cluster().region("us-east").replicas(1).start();
    let meridian = meridian(&cluster).section("proxy", "consistency = \"eventual\"").start();
    let console = connect(&console(&meridian)).await;
    let client = connect(&meridian.app()).await;
    let replica = cluster.shard("us-east").replica(0).expect("a replica").address().to_string();
    let on_replica = async || {
        let row = client.query_one("SELECT pg_is_in_recovery() FROM pg_class LIMIT 1", &[]).await.ok()?;
        Some(row.get::<_, bool>(0))
    };
    let _ = on_replica().await;
    let before = replica_reads(&console).await;
    client.simple_query("SELECT relname FROM pg_class LIMIT 1").await.expect("an answer");
    console.batch_execute(&format!("DISABLE '{replica}'")).await.expect("it is disabled");
    let at = column(&console, "SHOW NODES", "disabled").await;
    assert!(at.contains(&"yes".to_owned()), "{at:?}");
    let disabled = replica_reads(&console).await;
    for _ in 0..5 {
        client.simple_query("SELECT relname FROM pg_class LIMIT 1").await.expect("the primary answers");
    }
    assert_eq!(replica_reads(&console).await, disabled);
    console.batch_execute(&format!("ENABLE {replica}")).await.expect("it is enabled");
    eventually("the replica answers again", async || {
        client.simple_query("SELECT relname FROM pg_class LIMIT 1").await.ok()?;
        (replica_reads(&console).await > before.max(disabled)).then_some(())
    })
    .await;
}

async fn replica_reads(console: &Client) -> i64 {
    let rows = console.query("SHOW STATS", &[]).await.expect("the counters");
    let row = rows.iter().find(|row| row.get::<_, &str>(0) == "replica_reads").expect("a counter");
    row.get(1)
}

#[tokio::test]
async fn a_killed_client_is_gone_with_its_statement() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).start();
    let console = connect(&console(&meridian)).await;
    let mut config = meridian.app();
    config.application_name("victim");
    let victims = [connect(&config).await, connect(&config).await];
    victims[0].batch_execute("BEGIN").await.expect("it is idle in a transaction");
    let [idle, busy] = victims;
    let busy = tokio::spawn(async move { busy.batch_execute("SELECT pg_sleep(600)").await });
    let ids = eventually("both are seen", async || {
        let messages = console.simple_query("SHOW CLIENTS").await.ok()?;
        let ids: Vec<String> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) if row.get("application_name") == Some("victim") => {
                    (row.get("state") != Some("idle")).then(|| row.get("id").unwrap_or_default().to_owned())
                }
                _ => None,
            })
            .collect();
        (ids.len() == 2).then_some(ids)
    })
    .await;
    assert_eq!(column(&console, "SHOW TRANSACTIONS", "application_name").await, ["victim"]);
    for id in &ids {
        console.batch_execute(&format!("KILL {id}")).await.expect("it is killed");
    }
    busy.await.expect("it ends").expect_err("its statement was cancelled");
    eventually("both are gone", async || {
        (!column(&console, "SHOW CLIENTS", "application_name").await.contains(&"victim".to_owned()))
            .then_some(())
    })
    .await;
    assert!(idle.batch_execute("SELECT 1").await.is_err());
    assert!(console.batch_execute("KILL 0").await.is_err());
    let shard = database.direct("us-east").await;
    eventually("no server sleeps for it", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' \
                   AND pid <> pg_backend_pid()";
        shard.query_one(sql, &[]).await.ok().filter(|row| row.get::<_, i64>(0) == 0)
    })
    .await;
}

#[tokio::test]
async fn reconnect_replaces_every_server_connection() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    fill(&client).await;
    let console = connect(&console(&meridian)).await;
    let before = eventually("connections are seen", async || {
        let pids = column(&console, "SHOW SERVERS", "pid").await;
        (!pids.is_empty()).then_some(pids)
    })
    .await;
    console.batch_execute("RECONNECT").await.expect("the order is given");
    eventually("they are replaced", async || {
        client.query_one("SELECT count(*) FROM places", &[]).await.expect("nobody is disturbed");
        let pids = column(&console, "SHOW SERVERS", "pid").await;
        (!pids.is_empty() && pids.iter().all(|pid| !before.contains(pid))).then_some(())
    })
    .await;
}

/// A Meridian that was told to stop while a client has written a row and not committed.
struct Stopping {
    database: Database,
    meridian: Meridian,
    working: Client,
}

impl Stopping {
    /// Returns when an idle client has been sent away.
    async fn begin() -> Self {
        let database = database().await;
        let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
        let (idle, working) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
        fill(&idle).await;
        working
            .batch_execute("BEGIN; INSERT INTO places VALUES (9, 'us-east')")
            .await
            .expect("a transaction");
        meridian.signal(libc::SIGTERM);
        eventually("idle clients are sent away", async || idle.simple_query("SELECT 1").await.err()).await;
        Self { database, meridian, working }
    }
}

/// How many rows of that client there are.
async fn written(database: &Database) -> i64 {
    let row =
        database.direct("us-east").await.query_one("SELECT count(*) FROM places WHERE id = 9", &[]).await;
    row.expect("an answer").get(0)
}

#[tokio::test]
async fn sigterm_lets_transactions_end_and_refuses_new_clients() {
    let Stopping { database, meridian, working } = Stopping::begin().await;
    eventually("new clients are refused", async || try_connect(&meridian.app()).await.err()).await;
    working.batch_execute("COMMIT").await.expect("what runs may end");
    eventually("the process ends", async || (!meridian.is_running()).then_some(())).await;
    assert_eq!(written(&database).await, 1);
}

#[tokio::test]
async fn who_is_told_to_stop_twice_waits_for_no_transaction_and_tells_it() {
    let Stopping { database, meridian, working } = Stopping::begin().await;
    assert!(meridian.is_running());
    meridian.signal(libc::SIGTERM);
    eventually("the process ends", async || (!meridian.is_running()).then_some(())).await;
    let error = working.batch_execute("COMMIT").await.expect_err("it was sent away");
    assert!(error.code().is_none_or(|code| *code == SqlState::ADMIN_SHUTDOWN), "{error}");
    assert_eq!(written(&database).await, 0);
}

#[tokio::test]
async fn what_runs_when_the_process_ends_is_told_so() {
    let Stopping { database, meridian, working } = Stopping::begin().await;
    let running = tokio::spawn(async move { working.simple_query("SELECT pg_sleep(60)").await.err() });
    let direct = database.direct("us-east").await;
    let sleeps = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    eventually("it runs", async || direct.query_opt(sleeps, &[]).await.ok().flatten()).await;
    meridian.signal(libc::SIGTERM);
    let error = running.await.expect("it ends").expect("it was stopped");
    assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN), "{error}");
    eventually("the process ends", async || (!meridian.is_running()).then_some(())).await;
}

#[tokio::test]
async fn the_wait_of_a_pause_can_be_cancelled_and_killed() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    fill(&client).await;
    client.batch_execute("BEGIN; INSERT INTO places VALUES (9, 'us-east')").await.expect("a transaction");
    let mut named = console(&meridian);
    let (first, second) =
        (connect(named.application_name("first")).await, connect(&console(&meridian)).await);
    let cancel = first.cancel_token();
    let is_paused = async || {
        let paused = column(&second, "SHOW SHARDS", "paused").await;
        (paused[0] == "yes").then_some(())
    };
    let cancelled = async {
        eventually("it pauses", is_paused).await;
        cancel.cancel_query(tokio_postgres::NoTls).await.expect("it is asked");
    };
    let (paused, ()) = tokio::join!(first.batch_execute("PAUSE 'us-east'"), cancelled);
    assert_eq!(paused.expect_err("a transaction is open").code(), Some(&SqlState::QUERY_CANCELED));
    first.batch_execute("RESUME").await.expect("it goes on");
    // By another administrator.
    let killed = async {
        eventually("it pauses", is_paused).await;
        let names = column(&second, "SHOW CLIENTS", "application_name").await;
        let place = names.iter().position(|name| name == "first").expect("it is there");
        let id = &column(&second, "SHOW CLIENTS", "id").await[place];
        second.batch_execute(&format!("KILL {id}")).await.expect("the order is given");
    };
    let (paused, ()) = tokio::join!(first.batch_execute("PAUSE 'us-east'"), killed);
    paused.expect_err("it was sent away");
    second.batch_execute("RESUME").await.expect("it goes on");
    client.batch_execute("COMMIT").await.expect("it goes on");
}
