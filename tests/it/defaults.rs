//! Where names are looked up and how values are shown: by what the roles' sessions begin with, by SET LOCAL, by what code
//! has set; and that nothing of it reaches the next client.

use tokio_postgres::error::SqlState;

use crate::harness::{Database, Meridian, REGIONS, column, connect, database, eventually, meridian};
use crate::stand::{self, Pair, RawClient};

const RULE: &str = "[[tables]]\nname = \"shop.orders\"\nplacement = \"region\"\nkey = \"region\"\n";

/// A sharded table in a schema that only a search_path finds, with one row on each shard; and one of its name in public.
const SCHEMA: &str = "
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int, region varchar(50) NOT NULL, at timestamptz DEFAULT '2024-06-01 12:00+00');
CREATE TABLE public.orders (id int);";

async fn start() -> (Database, Meridian) {
    let database = database().await;
    database.on_every_shard(SCHEMA).await;
    for region in REGIONS {
        let row = format!("INSERT INTO shop.orders VALUES (1, '{region}')");
        database.direct(region).await.batch_execute(&row).await.expect("a row");
    }
    let described = meridian(&database.cluster).database(&database.name).tables(RULE);
    let described = described.section("functions", "trusted = [\"run\"]").one_connection();
    let meridian = described.section("health", "catalog_interval = \"200ms\"").start();
    (database, meridian)
}

/// On every shard; then the clients that come next have it.
async fn alter(database: &Database, meridian: &Meridian, what: &str, holds: (&str, &str)) {
    for region in REGIONS {
        database.direct(region).await.batch_execute(what).await.expect(what);
    }
    eventually(what, async || {
        let client = connect(&meridian.app()).await;
        let shown = column(&client, &format!("SHOW {}", holds.0), holds.0).await;
        (shown == [holds.1]).then_some(())
    })
    .await;
}

async fn one(client: &tokio_postgres::Client, sql: &str) -> String {
    let rows = client.simple_query(sql).await.expect(sql);
    let row = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    });
    row.unwrap_or_default()
}

#[tokio::test]
async fn names_are_found_where_the_roles_own_path_says() {
    let (database, meridian) = start().await;
    let before = connect(&meridian.app()).await;
    assert_eq!(one(&before, "SELECT count(*) FROM orders").await, "0");
    let path = format!("ALTER ROLE meridian IN DATABASE {} SET search_path = shop, public", database.name);
    alter(&database, &meridian, &path, ("search_path", "shop, public")).await;
    let client = connect(&meridian.app()).await;
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "4");
    client.batch_execute("INSERT INTO orders VALUES (2, 'ap-south')").await.expect("a row");
    let there = database.direct("ap-south").await;
    assert_eq!(one(&there, "SELECT count(*) FROM shop.orders WHERE id = 2").await, "1");
    client.batch_execute("SET search_path = public").await.expect("a path");
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "0");
    client.batch_execute("RESET search_path").await.expect("a path");
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "5");
}

/// A schema of the name of the role that the session has taken.
#[tokio::test]
async fn the_users_own_schema_is_that_of_the_role_in_force() {
    let (database, meridian) = start().await;
    let role = format!("{}_role", database.name);
    let make = format!(
        "CREATE ROLE {role}; GRANT {role} TO meridian; CREATE SCHEMA {role} AUTHORIZATION {role};
         CREATE TABLE {role}.orders (id int); INSERT INTO {role}.orders VALUES (1), (2), (3);
         GRANT ALL ON {role}.orders TO {role}"
    );
    database.cluster.on_every_shard(&database.name, &format!("DROP ROLE IF EXISTS {role}; {make}")).await;
    let client = connect(&meridian.app()).await;
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "0");
    client.batch_execute(&format!("SET ROLE {role}")).await.expect("the role");
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "3");
    client.batch_execute("RESET ROLE").await.expect("no role");
    client.batch_execute(&format!("BEGIN; SET LOCAL ROLE {role}")).await.expect("the role");
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "3");
    client.batch_execute("COMMIT").await.expect("the end");
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "0");
    // By a function, inside of a block and outside.
    let by_function = format!("SELECT set_config('role', '{role}', false)");
    for sql in
        [by_function.clone(), format!("DO $$ BEGIN PERFORM set_config('role', '{role}', false); END $$")]
    {
        client.batch_execute("BEGIN").await.expect("a block");
        client.batch_execute(&sql).await.expect(&sql);
        assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "3", "{sql}");
        client.batch_execute("ROLLBACK").await.expect("the end");
        assert_eq!(one(&client, "SELECT current_user").await, "meridian", "{sql}");
        client.batch_execute(&sql).await.expect(&sql);
        // It is the session's, and nobody else's.
        let other = connect(&meridian.app()).await;
        assert_eq!(one(&other, "SELECT current_user").await, "meridian", "{sql}");
        assert_eq!(one(&client, "SELECT current_user").await, role, "{sql}");
        assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "3", "{sql}");
        client.batch_execute("RESET ROLE").await.expect("no role");
    }
    let drop = format!("DROP SCHEMA {role} CASCADE; DROP ROLE {role}");
    database.cluster.on_every_shard(&database.name, &drop).await;
}

#[tokio::test]
async fn a_path_of_the_transaction_is_followed_and_forgotten() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let moves = [
        "SET LOCAL search_path = shop",
        "SELECT set_config('search_path', 'shop', true)",
        "SELECT set_config('search_path', 'shop', false)",
        "DO $$ BEGIN SET LOCAL search_path = shop; END $$",
        "DO $$ BEGIN PERFORM set_config('search_path', 'shop', true); END $$",
    ];
    for sql in moves {
        for ends in ["COMMIT", "ROLLBACK"] {
            client.batch_execute("BEGIN").await.expect("a block");
            assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "0", "{sql}");
            client.batch_execute("SAVEPOINT before").await.expect("a savepoint");
            client.batch_execute(sql).await.expect(sql);
            assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "4", "{sql}");
            client.batch_execute("ROLLBACK TO before").await.expect("back");
            assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "0", "{sql}");
            client.batch_execute(sql).await.expect(sql);
            assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "4", "{sql}");
            client.batch_execute(ends).await.expect(ends);
            let stays = sql.contains("false") && ends == "COMMIT";
            let expected = if stays { "4" } else { "0" };
            assert_eq!(one(&client, "SELECT count(*) FROM orders").await, expected, "{sql}; {ends}");
            client.batch_execute("RESET search_path").await.expect("a path");
        }
    }
    let in_one = "BEGIN; SET LOCAL search_path = shop; SELECT count(*) FROM orders; COMMIT";
    assert_eq!(one(&client, in_one).await, "4");
}

/// The shards stand in different zones, and their administrators like other dates.
#[tokio::test]
async fn all_shards_read_and_show_values_as_the_default_shard_does() {
    let (database, meridian) = start().await;
    let of = |region: &str, name: &str, value: &str| {
        let sql = format!("ALTER DATABASE {} SET {name} = {value}", database.name);
        let region = region.to_owned();
        let database = &database;
        async move { database.direct(&region).await.batch_execute(&sql).await.expect("a setting") }
    };
    of("us-east", "timezone", "'Asia/Tokyo'").await;
    of("ap-south", "timezone", "'Asia/Kolkata'").await;
    of("ap-south", "datestyle", "'SQL, DMY'").await;
    of("eu-central", "bytea_output", "'escape'").await;
    eventually("the default shard's zone", async || {
        let client = connect(&meridian.app()).await;
        (one(&client, "SHOW timezone").await == "Asia/Tokyo").then_some(())
    })
    .await;
    let client = connect(&meridian.app()).await;
    let shown = column(&client, "SELECT DISTINCT at FROM shop.orders", "at").await;
    assert_eq!(shown, ["2024-06-01 21:00:00+09"]);
    let shown = column(&client, "SELECT '\\x00'::bytea AS b, region FROM shop.orders", "b").await;
    assert_eq!(shown, ["\\x00"; 4]);
    let days = "SELECT date_trunc('day', at) AS day, count(*) AS n FROM shop.orders GROUP BY 1";
    assert_eq!(column(&client, days, "n").await, ["4"]);
    let found = "SELECT count(*) FROM shop.orders WHERE at::date = '06/01/2024'";
    assert_eq!(one(&client, found).await, "4");
}

/// Parameters of applications are in no catalog: after code that may have changed settings they are asked for by name.
#[tokio::test]
async fn an_applications_own_parameters_outlast_code() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    client.batch_execute("SET app.tenant = '1'; SET app.other = 'it''s'").await.expect("parameters");
    for code in ["DO $$ BEGIN END $$", "DO $$ BEGIN PERFORM pg_sleep(0); END $$"] {
        client.batch_execute(code).await.expect(code);
        assert_eq!(one(&client, "SHOW app.tenant").await, "1", "{code}");
        assert_eq!(one(&client, "SELECT current_setting('app.other')").await, "it's", "{code}");
    }
    client.batch_execute("DO $$ BEGIN SET app.tenant = '2'; END $$").await.expect("a parameter");
    let other = connect(&meridian.app()).await;
    assert_eq!(one(&other, "SELECT current_setting('app.tenant', true)").await, "NULL");
    assert_eq!(one(&client, "SHOW app.tenant").await, "2");
    client.batch_execute("SET app.tenant = 'a'").await.expect("a parameter");
    client.batch_execute("DO $$ BEGIN SET app.tenant = 'A'; END $$").await.expect("a parameter");
    assert_eq!(one(&client, "SHOW app.tenant").await, "A");
    client.batch_execute("RESET app.tenant").await.expect("a parameter");
    assert_eq!(one(&client, "SHOW app.tenant").await, "");
}

/// The look at what was left does not undo what code has set.
#[tokio::test]
async fn timeouts_that_code_sets_hold() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    client.batch_execute("SET statement_timeout = '5s'").await.expect("a timeout");
    client.batch_execute("SELECT set_config('statement_timeout', '0', false)").await.expect("no timeout");
    assert_eq!(one(&client, "SHOW statement_timeout").await, "0");
    client.batch_execute("DO $$ BEGIN SET statement_timeout = '1ms'; END $$").await.expect("a timeout");
    client.batch_execute("SET statement_timeout = '7s'").await.expect("a timeout");
    client.batch_execute("DO $$ BEGIN END $$").await.expect("code");
    assert_eq!(one(&client, "SHOW statement_timeout").await, "7s");
}

/// Code that is put together from values: what was seen once without is no sign.
#[tokio::test]
async fn code_in_values_is_followed() {
    let (database, meridian) = start().await;
    let run = "CREATE FUNCTION run(code text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE code; RETURN code; END $$";
    database.on_every_shard(run).await;
    let client = connect(&meridian.app()).await;
    eventually("the function is known", async || client.simple_query("SELECT run('SELECT 1')").await.ok())
        .await;
    for _ in 0..5 {
        one(&client, "SELECT run('SELECT 1')").await;
    }
    client.batch_execute("BEGIN").await.expect("a block");
    one(&client, "SELECT run('SET LOCAL search_path = shop')").await;
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "4");
    client.batch_execute("ROLLBACK").await.expect("the end");
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await, "0");
}

/// A session keeps what it has begun with, whatever others begin with meanwhile.
#[tokio::test]
async fn defaults_are_those_of_the_sessions_beginning() {
    let (database, meridian) = start().await;
    let old = connect(&meridian.app()).await;
    assert_eq!(one(&old, "SELECT count(*) FROM orders").await, "0");
    let of_database = format!("ALTER DATABASE {} SET search_path = shop", database.name);
    alter(&database, &meridian, &of_database, ("search_path", "shop")).await;
    let new = connect(&meridian.app()).await;
    for _ in 0..3 {
        assert_eq!(one(&new, "SELECT count(*) FROM orders").await, "4");
        assert_eq!(one(&old, "SELECT count(*) FROM orders").await, "0");
    }
    let reset = format!("ALTER DATABASE {} RESET search_path", database.name);
    alter(&database, &meridian, &reset, ("search_path", "\"$user\", public")).await;
    assert_eq!(one(&new, "SELECT count(*) FROM orders").await, "4");
}

/// A connection that is made for a session of before, while something else was written, is not lent to those that come when it
/// is written no longer.
#[tokio::test]
async fn what_was_written_for_a_time_is_gone_with_it() {
    let (database, meridian) = start().await;
    let old = connect(&meridian.app()).await;
    let here = format!("ALTER ROLE meridian IN DATABASE {}", database.name);
    alter(&database, &meridian, &format!("{here} SET work_mem = '7MB'"), ("work_mem", "7MB")).await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for region in REGIONS {
        let killer = connect(&database.cluster.shard(region).primary().superuser(&database.name)).await;
        killer.batch_execute(others).await.expect("they end");
    }
    eventually("a connection of its own", async || old.batch_execute("SELECT 1").await.ok()).await;
    alter(&database, &meridian, &format!("{here} RESET work_mem"), ("work_mem", "4MB")).await;
}

/// SET TRANSACTION in its other spelling ends with the transaction.
#[tokio::test]
async fn parameters_of_the_transaction_end_with_it() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    client.batch_execute("SET transaction_read_only = on").await.expect("accepted");
    client.batch_execute("INSERT INTO shop.orders VALUES (3, 'us-west')").await.expect("a row");
    client.batch_execute("BEGIN; SET transaction_read_only = on").await.expect("a block");
    let error =
        client.batch_execute("INSERT INTO shop.orders VALUES (4, 'us-west')").await.expect_err("read-only");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    client.batch_execute("ROLLBACK").await.expect("the end");
    client.batch_execute("BEGIN; SET transaction_isolation = 'repeatable read'").await.expect("a block");
    assert_eq!(one(&client, "SHOW transaction_isolation").await, "repeatable read");
    assert_eq!(one(&client, "SELECT count(*) FROM shop.orders").await, "5");
    let other = connect(&meridian.app()).await;
    drop(other);
    client.batch_execute("COMMIT").await.expect("the end");
    assert_eq!(one(&client, "SHOW transaction_isolation").await, "read committed");
    let error = client.batch_execute("SET transaction_isolation = 'none'").await.expect_err("no such level");
    assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE));
    let error = client.batch_execute("SET seed = 0.5").await.expect_err("refused");
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
}

/// What is sent in one message, or before one Sync, is looked up where the statements before it have said.
#[test]
fn names_turn_within_a_message_and_within_a_pipeline() {
    let pair =
        Pair::new("turning", "[[tables]]\nname = \"turn.kept\"\nplacement = \"region\"\nkey = \"region\"\n");
    for target in pair.targets() {
        target.run(&[
            "CREATE SCHEMA turn",
            "CREATE TABLE turn.kept (region varchar(50))",
            "CREATE TABLE kept (id int)",
        ]);
        REGIONS
            .iter()
            .for_each(|region| target.run(&[&format!("INSERT INTO turn.kept VALUES ('{region}')")]));
    }
    pair.settle();
    let turns = [
        "SET search_path = turn",
        "SELECT set_config('search_path', 'turn', false)",
        "DO $$ BEGIN SET search_path = turn; END $$",
    ];
    for target in pair.targets() {
        for turn in turns {
            let count = "SELECT count(*) FROM kept";
            for form in [in_a_pipeline, in_a_message] {
                let mut client = target.raw();
                client.send(&form(&[count, turn, count, "SELECT 1 / 0"]));
                let messages = client.until_ready();
                let told = numbers(&messages);
                assert_eq!(told, ["0", "4"], "{:?}: {turn} {messages:?}", target.kind);
                // All of it has failed.
                let path = client.value("SHOW search_path");
                assert_eq!(
                    path.as_deref(),
                    Some("\"$user\", public"),
                    "{:?}: {turn} {messages:?}",
                    target.kind
                );
                client.send(&form(&[count, turn, count]));
                let messages = client.until_ready();
                assert_eq!(numbers(&messages), ["0", "4"], "{:?}: {turn} {messages:?}", target.kind);
                client.send(&form(&[
                    count,
                    "BEGIN",
                    "SET LOCAL search_path = public",
                    count,
                    "ROLLBACK",
                    count,
                ]));
                let told = numbers(&client.until_ready());
                assert_eq!(told, ["4", "0", "4"], "{:?}: {turn}", target.kind);
            }
        }
    }
}

/// Each a Parse, Bind and Execute, before one Sync.
fn in_a_pipeline(texts: &[&str]) -> Vec<u8> {
    [texts.iter().flat_map(|text| stand::unended(text)).collect(), stand::sync()].concat()
}

fn in_a_message(texts: &[&str]) -> Vec<u8> {
    stand::query(&texts.join("; "))
}

/// The first values of rows that are numbers.
fn numbers(messages: &[stand::Message]) -> Vec<String> {
    let rows = messages.iter().filter(|message| message.tag == b'D');
    let first = |message: &stand::Message| String::from_utf8_lossy(&message.body[6..]).into_owned();
    rows.map(first).filter(|value| value.parse::<i32>().is_ok()).collect()
}

/// The role's default is for whoever asks the servers directly.
#[tokio::test]
async fn a_role_whose_default_is_another_encoding_is_served_in_utf8() {
    let database = database().await;
    for region in REGIONS {
        let alter =
            format!("ALTER ROLE meridian IN DATABASE {} SET client_encoding = 'LATIN1'", database.name);
        database.direct(region).await.batch_execute(&alter).await.expect("a default");
    }
    let meridian = meridian(&database.cluster).database(&database.name).tables(RULE).one_connection().start();
    let mut client = stand::Target {
        kind: stand::Kind::Meridian,
        port: meridian.address().port(),
        database: database.name.clone(),
    }
    .raw();
    for transaction in ["", "BEGIN"] {
        client.simple(transaction);
        assert_eq!(client.value("SELECT 'ü'").as_deref(), Some("ü"));
        assert_eq!(client.value("SELECT length('ü')").as_deref(), Some("1"));
        assert_eq!(client.value("SELECT convert_to('ü', 'UTF8')").as_deref(), Some("\\xc3bc"));
    }
}

/// Settings that the planner need not know, too: a session has those that were written when it began, on each connection
/// and on all shards.
#[tokio::test]
async fn whatever_is_written_for_a_role_holds_for_the_sessions_that_come_after() {
    let (database, meridian) = start().await;
    let tenant = "SELECT min(coalesce(current_setting('app.tenant', true), '')) FROM orders WHERE region = ";
    let path = format!("ALTER ROLE meridian IN DATABASE {} SET search_path = shop", database.name);
    alter(&database, &meridian, &path, ("search_path", "shop")).await;
    let before = connect(&meridian.app()).await;
    let writer = connect(&meridian.app()).await;
    for region in REGIONS {
        for begin in ["SELECT 1", "BEGIN"] {
            before.batch_execute(begin).await.expect(begin);
            assert_eq!(one(&before, &format!("{tenant}'{region}'")).await, "", "{region}");
        }
        before.batch_execute("COMMIT").await.expect("the end");
    }
    let here = format!("ALTER ROLE meridian IN DATABASE {}", database.name);
    // A superuser's alone, as no server knows of it.
    database.cluster.on_every_shard(&database.name, &format!("{here} SET app.tenant = 'seven'")).await;
    for setting in [
        "default_text_search_config = 'pg_catalog.german'",
        "statement_timeout = '77s'",
        "default_transaction_deferrable = on",
    ] {
        writer.batch_execute(&format!("{here} SET {setting}")).await.expect(setting);
    }
    let after = connect(&meridian.app()).await;
    for region in REGIONS {
        for begin in ["SELECT 1", "BEGIN"] {
            after.batch_execute(begin).await.expect(begin);
            before.batch_execute(begin).await.expect(begin);
            assert_eq!(one(&after, &format!("{tenant}'{region}'")).await, "seven", "{region} {begin}");
            assert_eq!(one(&before, &format!("{tenant}'{region}'")).await, "", "{region} {begin}");
            let stems = format!("SELECT to_tsvector('Häuser') FROM orders WHERE region = '{region}'");
            assert_eq!(one(&after, &stems).await, "'haus':1", "{region} {begin}");
            assert_eq!(one(&before, &stems).await, "'häuser':1", "{region} {begin}");
        }
        assert_eq!(one(&after, "SHOW transaction_deferrable").await, "on");
        after.batch_execute("COMMIT").await.expect("the end");
        before.batch_execute("COMMIT").await.expect("the end");
    }
    assert_eq!(one(&after, "SHOW statement_timeout").await, "77s");
    after.batch_execute("SET statement_timeout = 0; RESET statement_timeout").await.expect("back");
    assert_eq!(one(&after, "SHOW statement_timeout").await, "77s");
    // What names nothing any more keeps nobody out.
    writer.batch_execute(&format!("{here} SET default_text_search_config = 'gone'")).await.expect("a notice");
    writer.batch_execute(&format!("{here} SET default_transaction_read_only = on")).await.expect("a default");
    let last = connect(&meridian.app()).await;
    assert_eq!(one(&last, &format!("{tenant}'us-west'")).await, "seven");
    assert_eq!(one(&last, "SHOW default_transaction_read_only").await, "on");
    for block in ["SELECT 1", "BEGIN"] {
        last.batch_execute(block).await.expect(block);
        let error =
            last.batch_execute("INSERT INTO orders VALUES (2, 'us-west')").await.expect_err("no write");
        assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION), "{block}");
    }
}

/// The client's idea of a parameter goes back with DISCARD ALL, and is right when it begins, whatever the connections that
/// are asked have seen before.
#[test]
fn clients_are_told_what_their_parameters_have_gone_back_to() {
    let pair = Pair::with("told_again", "", &[("pool", "size = 3")]);
    for target in pair.targets() {
        let mut client = target.raw();
        for set in [
            "SELECT set_config('datestyle', 'German', false)",
            "DO $$ BEGIN SET datestyle = 'German'; END $$",
            "SET datestyle = 'German'",
        ] {
            let told = client.simple(set);
            let context = format!("{:?} {set}", target.kind);
            assert!(
                told.iter().any(|said| said.line() == "S DateStyle = German, DMY"),
                "{context}: {told:?}"
            );
            client.simple("SELECT 1");
            let told = client.simple("DISCARD ALL");
            assert!(told.iter().any(|said| said.line() == "S DateStyle = ISO, MDY"), "{context}: {told:?}");
            let told = client.simple("DISCARD ALL");
            assert!(told.iter().all(|said| said.tag != b'S'), "{context}: {told:?}");
        }
        // Every connection has these before a client brings them along.
        for _ in 0..8 {
            client.simple("SET TimeZone = 'Asia/Tokyo'");
            client.simple("BEGIN");
            client.simple("SELECT 1");
            client.simple("COMMIT");
            let fresh = stand::RawClient::connect(target, &[("TimeZone", "Asia/Tokyo")]).expect("a session");
            let zone = fresh.parameters.iter().find(|(name, _)| name == "TimeZone");
            assert_eq!(zone.map(|(_, zone)| zone.as_str()), Some("Asia/Tokyo"), "{:?}", target.kind);
        }
    }
}

/// No replica begins such a transaction: what is read is read on the primary.
#[test]
fn sessions_whose_transactions_are_serializable_read_all_the_same() {
    let pair = Pair::new("serializable_default", "");
    for target in pair.targets() {
        let mut by_set = target.raw();
        by_set.simple("SET default_transaction_isolation = 'serializable'");
        let mut by_words = target.raw();
        by_words.simple("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE");
        let started =
            RawClient::connect(target, &[("options", "-c default_transaction_isolation=serializable")]);
        let by_start = started.unwrap_or_else(|_| panic!("{:?}: no session", target.kind));
        for mut client in [by_set, by_words, by_start] {
            for _ in 0..3 {
                assert_eq!(client.value("SELECT 1").as_deref(), Some("1"), "{:?}", target.kind);
                let level = client.value("SELECT current_setting('transaction_isolation')");
                assert_eq!(level.as_deref(), Some("serializable"), "{:?}", target.kind);
            }
        }
    }
}

/// As those of PostgreSQL: from the start-up packet, and RESET goes back to them.
#[test]
fn settings_of_meridian_may_stand_in_the_start_up_packet() {
    let pair = Pair::new("own_at_start", "");
    let Some(meridian) = &pair.meridian else { return };
    let started = |options: &str| RawClient::connect(meridian, &[("options", options)]);
    let Ok(mut client) = started("-c meridian.consistency=strong -c meridian.max_lag=3s") else {
        panic!("no session")
    };
    assert_eq!(client.value("SHOW meridian.consistency").as_deref(), Some("strong"));
    client.simple("SET meridian.consistency = 'eventual'");
    assert_eq!(client.value("SHOW meridian.consistency").as_deref(), Some("eventual"));
    client.simple("RESET meridian.consistency");
    assert_eq!(client.value("SHOW meridian.consistency").as_deref(), Some("strong"));
    client.simple("DISCARD ALL");
    assert_eq!(client.value("SHOW meridian.max_lag").as_deref(), Some("3000ms"));
    for wrong in ["-c meridian.consistency=nonsense", "-c meridian.nothing=1"] {
        assert!(started(wrong).is_err(), "{wrong}");
    }
}
