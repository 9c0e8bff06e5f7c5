//! Who may come in, and how far: access rules, connection limits.

use std::net::SocketAddr;

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};
use tokio::net::TcpSocket;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::harness::{
    Meridian, MeridianDescription, column, connect, database, eventually, meridian, try_connect,
};
use crate::stand;
use crate::tls::{Authority, answered, psql, words};

/// A client's account whose role on the servers is the application's.
fn user(name: &str, keys: &str) -> String {
    format!(
        "[[users]]\nname = \"{name}\"\npassword = \"{name}\"\nserver_user = \"{APP_USER}\"\n\
         server_password = \"{APP_PASSWORD}\"\n{keys}\n"
    )
}

fn rule(keys: &str) -> String {
    format!("[[access]]\n{keys}\n")
}

fn as_user(meridian: &Meridian, name: &str) -> Config {
    let mut config = meridian.app();
    config.user(name).password(name);
    config
}

fn at_console(mut config: Config) -> Config {
    config.dbname("meridian");
    config
}

/// Connects from another address of this machine.
async fn connect_from(
    address: [u8; 4],
    meridian: &Meridian,
    config: &Config,
) -> Result<Client, tokio_postgres::Error> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((address, 0))).expect("an address of this machine");
    let stream = socket.connect(meridian.address()).await.expect("it listens");
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What the client is told: SQLSTATE and message.
fn told(error: &tokio_postgres::Error) -> (SqlState, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("an error of SQL: {error}"));
    (error.code().clone(), error.message().to_owned())
}

async fn refusal(config: &Config) -> (SqlState, String) {
    match try_connect(config).await {
        Ok(_) => panic!("{:?} is let in", config.get_user()),
        Err(error) => told(&error),
    }
}

#[tokio::test]
async fn the_first_rule_that_fits_lets_in_or_turns_away() {
    let database = database().await;
    let rules = [
        rule("method = \"reject\"\nusers = [\"app_13\"]"),
        rule("method = \"trust\"\nusers = [\"guest\"]\naddresses = [\"127.0.0.2\", \"::1\"]"),
        rule("method = \"scram-sha-256\"\nusers = [\"app_*\"]\naddresses = [\"127.0.0.0/31\"]"),
        rule(&format!("method = \"md5\"\nusers = [\"{APP_USER}\"]\ndatabases = [\"meridian\"]")),
    ];
    let users = ["app_1", "app_13", "guest"].map(|name| user(name, ""));
    let described = meridian(&database.cluster).database(&database.name);
    let meridian = described.tables(&users.concat()).tables(&rules.concat()).start();
    let name = &database.name;

    connect(&as_user(&meridian, "app_1")).await.simple_query("SELECT 1").await.expect("it works");
    let mut wrong = as_user(&meridian, "app_1");
    wrong.password("guess");
    assert_eq!(refusal(&wrong).await.0, SqlState::INVALID_PASSWORD);

    let expected = |why: &str, host: &str, user: &str, name: &str| {
        let message =
            format!("{why} for host \"{host}\", user \"{user}\", database \"{name}\", no encryption");
        (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
    };
    let rejected = refusal(&as_user(&meridian, "app_13")).await;
    assert_eq!(rejected, expected("an access rule rejects connection", "127.0.0.1", "app_13", name));
    // Nothing is told of users and databases to whom no rule fits.
    for stranger in ["guest", "nobody"] {
        let refused = refusal(&as_user(&meridian, stranger)).await;
        assert_eq!(refused, expected("no access rule", "127.0.0.1", stranger, name));
    }
    let elsewhere = connect_from([127, 0, 0, 2], &meridian, &as_user(&meridian, "app_1")).await;
    let elsewhere = told(&elsewhere.expect_err("another address"));
    assert_eq!(elsewhere, expected("no access rule", "127.0.0.2", "app_1", name));
    let mut guest = as_user(&meridian, "guest");
    guest.password("not asked for");
    connect_from([127, 0, 0, 2], &meridian, &guest).await.expect("whoever comes from there is trusted");

    // The console is a database like others: its admin may come there, and nowhere else.
    assert_eq!(refusal(&meridian.app()).await, expected("no access rule", "127.0.0.1", APP_USER, name));
    let console = connect(&at_console(meridian.app())).await;
    let shown = column(&console, "SHOW CLIENTS", "access_rule").await;
    assert_eq!(shown, ["4 md5"]);
    let refused = refusal(&at_console(as_user(&meridian, "guest"))).await;
    assert_eq!(refused, expected("no access rule", "127.0.0.1", "guest", "meridian"));
}

#[tokio::test]
async fn encryption_and_certificates_are_what_a_rule_may_ask_for() {
    let database = database().await;
    let authority = Authority::new();
    authority.sign("server", &["localhost"], "localhost");
    authority.sign("right", &[], APP_USER);
    authority.sign("other", &[], "somebody");
    let more =
        format!("client_ca_file = \"{}\"\nclient_certificates = \"optional\"\n", authority.ca().display());
    let start = |rules: &str| {
        meridian(&database.cluster)
            .database(&database.name)
            .section("tls", &authority.section("optional", &more))
            .tables(rules)
            .start()
    };
    let shown = |name: &str| {
        let (certificate, key) =
            (authority.path(&format!("{name}.pem")), authority.path(&format!("{name}.key")));
        format!("sslmode=require sslcert={} sslkey={}", certificate.display(), key.display())
    };
    let none = "sslmode=require sslcert=/nowhere sslkey=/nowhere";

    let encrypted = start(&rule("method = \"password\"\nconnection = \"tls\""));
    let plain = psql(&encrypted, &database.name, "sslmode=disable");
    assert!(
        words(&plain).contains("no access rule") && words(&plain).contains("no encryption"),
        "{}",
        words(&plain)
    );
    assert!(answered(&psql(&encrypted, &database.name, none)));

    let certified = start(&rule("method = \"cert\"\nconnection = \"tls\""));
    let right = psql(&certified, &database.name, &format!("{} password=none", shown("right")));
    assert!(answered(&right), "{}", words(&right));
    for (wrong, why) in [
        (shown("other"), "certificate authentication failed"),
        (none.to_owned(), "connection requires a valid client certificate"),
    ] {
        let output = psql(&certified, &database.name, &wrong);
        assert!(words(&output).contains(why), "{}", words(&output));
    }

    let rejected = start(&rule("method = \"reject\"\nconnection = \"tls\""));
    let output = psql(&rejected, &database.name, none);
    assert!(words(&output).contains("rejects connection") && words(&output).contains("SSL encryption"));
}

#[tokio::test]
async fn rules_follow_a_reload_and_disturb_nobody_who_is_in() {
    let database = database().await;
    let described: MeridianDescription = meridian(&database.cluster).database(&database.name);
    let everybody = rule("method = \"scram-sha-256\"");
    let meridian = described.tables(&user("ann", "")).tables(&everybody).start();
    let ann = connect(&as_user(&meridian, "ann")).await;
    let console = connect(&at_console(meridian.app())).await;
    assert!(
        column(&console, "SHOW CONFIG", "value").await.contains(&"any all all all scram-sha-256".to_owned())
    );

    meridian.edit(|text| {
        text.replace(&everybody, &(rule("method = \"reject\"\nusers = [\"ann\"]") + &everybody))
    });
    console.batch_execute("RELOAD").await.expect("the file is right");
    assert!(refusal(&as_user(&meridian, "ann")).await.1.starts_with("an access rule rejects connection"));
    ann.simple_query("SELECT 1").await.expect("who is in stays in");
    let rules = column(&console, "SHOW CONFIG", "key").await;
    assert!(rules.contains(&"access.1".to_owned()) && rules.contains(&"access.2".to_owned()));
}

#[tokio::test]
async fn no_more_clients_than_allowed_are_let_in_and_places_come_back() {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name);
    let meridian = described
        .section("proxy", "workers = 3")
        .section("database", "connections_max = 6")
        .tables(&user("ann", "connections_max = 4"))
        .tables(&user("ben", ""))
        .start();
    let (ann, ben) = (as_user(&meridian, "ann"), as_user(&meridian, "ben"));
    let console = connect(&at_console(meridian.app())).await;

    // Twelve at once: four are let in, whichever worker they come to.
    let at_once = futures_util::future::join_all((0..12).map(|_| try_connect(&ann))).await;
    let (inside, refused): (Vec<_>, Vec<_>) = at_once.into_iter().partition(Result::is_ok);
    assert_eq!((inside.len(), refused.len()), (4, 8));
    for error in refused.into_iter().filter_map(Result::err) {
        let expected = "too many connections for role \"ann\"".to_owned();
        assert_eq!(told(&error), (SqlState::TOO_MANY_CONNECTIONS, expected));
    }
    let others = [connect(&ben).await, connect(&ben).await];
    let full = format!("too many connections for database \"{}\"", database.name);
    assert_eq!(refusal(&ben).await, (SqlState::TOO_MANY_CONNECTIONS, full));
    // Who cannot show who it is learns nothing of limits.
    let mut wrong = as_user(&meridian, "ann");
    wrong.password("guess");
    assert_eq!(refusal(&wrong).await.0, SqlState::INVALID_PASSWORD);
    connect(&at_console(meridian.app())).await;

    // A place is free again however its client ended: by itself, or killed inside a transaction.
    let mut inside: Vec<Client> = inside.into_iter().filter_map(Result::ok).collect();
    inside[0].batch_execute("BEGIN; CREATE TABLE left_behind (id int)").await.expect("it works");
    drop(inside.remove(0));
    inside.push(eventually("a place is free", async || try_connect(&ann).await.ok()).await);
    inside[0].simple_query("BEGIN").await.expect("a transaction");
    let killed = eventually("its transaction is shown", async || {
        let open = column(&console, "SHOW TRANSACTIONS", "client").await;
        (!open.is_empty()).then_some(open)
    })
    .await;
    console.batch_execute(&format!("KILL {}", killed[0])).await.expect("it is killed");
    inside.remove(0);
    inside.push(eventually("a place is free", async || try_connect(&ann).await.ok()).await);
    assert_eq!(refusal(&ann).await.0, SqlState::TOO_MANY_CONNECTIONS);

    // A reload counts for who comes next; who is in stays in.
    meridian.edit(|text| {
        text.replace("connections_max = 4", "connections_max = 2").replace("connections_max = 6", "")
    });
    console.batch_execute("RELOAD").await.expect("the file is right");
    for client in inside.iter().chain(&others) {
        client.simple_query("SELECT 1").await.expect("it works");
    }
    connect(&ben).await;
    drop(inside.split_off(2));
    eventually("two are counted out", async || (clients(&console, "ann").await == 2).then_some(())).await;
    assert_eq!(refusal(&ann).await.0, SqlState::TOO_MANY_CONNECTIONS);
    drop(inside.remove(0));
    eventually("a place is free", async || try_connect(&ann).await.ok()).await;
}

async fn clients(console: &Client, user: &str) -> usize {
    column(console, "SHOW CLIENTS", "user").await.iter().filter(|name| *name == user).count()
}

const PLACES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n\
                      [[tables]]\nname = \"codes\"\nplacement = \"reference\"\n";

/// Tables of all kinds, and code that tries to write whatever the transaction says.
const FORTRESS: &str = "
    CREATE TABLE places (id int, region varchar(50) NOT NULL);
    CREATE TABLE codes (id int);
    CREATE TABLE notes (id int);
    CREATE SEQUENCE numbers;
    CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM set_config('transaction_read_only', 'off', false);
        INSERT INTO notes VALUES (1);
        RETURN 1;
      END $$;
    CREATE FUNCTION dressed() RETURNS int LANGUAGE plpgsql SET transaction_read_only = off AS $$
      BEGIN
        INSERT INTO notes VALUES (2);
        RETURN 2;
      END $$;
    CREATE FUNCTION loosen() RETURNS text LANGUAGE sql AS
      $$ SELECT set_config('default_transaction_read_only', 'off', false) $$;
    CREATE PROCEDURE jump() LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM set_config('default_transaction_read_only', 'off', false);
        COMMIT;
        INSERT INTO notes VALUES (3);
      END $$;";

/// What a read-only user may try; each must fail.
const ATTEMPTS: &[&str] = &[
    "INSERT INTO notes VALUES (4)",
    "INSERT INTO places VALUES (4, 'us-east')",
    "INSERT INTO places VALUES (4, 'us-east'), (5, 'eu-central')",
    "INSERT INTO codes VALUES (4)",
    "UPDATE notes SET id = 9",
    "DELETE FROM places",
    "DELETE FROM places WHERE region = 'us-east'",
    "WITH gone AS (DELETE FROM notes RETURNING id) SELECT * FROM gone",
    "TRUNCATE notes",
    "SELECT * FROM notes FOR UPDATE",
    "SELECT id INTO more FROM notes",
    "CREATE TABLE more (id int)",
    "CREATE TEMPORARY TABLE more (id int)",
    "CREATE TABLE more AS SELECT 1 AS id",
    "DROP TABLE notes",
    "ALTER TABLE notes ADD COLUMN more int",
    "GRANT SELECT ON notes TO PUBLIC",
    "VACUUM notes",
    "LOCK TABLE notes",
    "SELECT nextval('numbers')",
    "EXPLAIN ANALYZE INSERT INTO notes VALUES (4)",
    "EXPLAIN (ANALYZE) DELETE FROM places WHERE region = 'us-east'",
    "SELECT sneak()",
    "SELECT dressed()",
    "CALL jump()",
    "DO $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); INSERT INTO notes VALUES (4); END $$",
    "DO $$ BEGIN PERFORM set_config('default_transaction_read_only', 'off', false); COMMIT; INSERT INTO notes VALUES (4); END $$",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SET transaction_read_only = off",
    "SET default_transaction_read_only TO 'false'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "BEGIN READ WRITE",
    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
];

async fn fortress(meridian: &Meridian) -> Client {
    let owner = connect(&meridian.app()).await;
    let major = stand::servers_major();
    for statement in FORTRESS.split(";\n    CREATE") {
        let statement = statement.trim().trim_start_matches("CREATE");
        // Refused by newer servers, at its definition.
        if major >= 16 && statement.contains(" SET transaction_read_only") {
            continue;
        }
        owner
            .batch_execute(&format!("CREATE {statement}"))
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    for statement in [
        "INSERT INTO notes VALUES (0)",
        "INSERT INTO places VALUES (0, 'us-east')",
        "INSERT INTO places VALUES (0, 'eu-central')",
    ] {
        owner.batch_execute(statement).await.expect("the owner writes");
    }
    owner
}

const TRUSTED: &str = "trusted = [\"sneak\", \"dressed\", \"loosen\", \"jump\"]";

/// One value for everything that could have been written.
async fn written(owner: &Client) -> String {
    let mut found = Vec::new();
    for table in ["notes", "places", "codes"] {
        let row =
            owner.query_one(&format!("SELECT count(*), max(id) FROM {table}"), &[]).await.expect("a count");
        found.push(format!("{table} {} {:?}", row.get::<_, i64>(0), row.get::<_, Option<i32>>(1)));
    }
    found.join(", ")
}

#[tokio::test]
async fn a_read_only_user_writes_by_no_way() {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name).section("functions", TRUSTED);
    let meridian = described.tables(&user("reader", "read_only = true")).tables(PLACES).start();
    let owner = fortress(&meridian).await;
    let before = written(&owner).await;
    let reader = connect(&as_user(&meridian, "reader")).await;
    for attempt in ATTEMPTS {
        for way in ["simple", "extended", "block", "loosened"] {
            let outcome = match way {
                "simple" => reader.batch_execute(attempt).await,
                "extended" => reader.execute(*attempt, &[]).await.map(drop),
                "block" => {
                    reader.batch_execute("BEGIN").await.expect("a transaction");
                    let outcome = reader.batch_execute(attempt).await;
                    reader.batch_execute("ROLLBACK").await.expect("its end");
                    outcome
                }
                _ => {
                    reader.batch_execute("SELECT loosen()").await.expect("a setting by a function");
                    reader.batch_execute(attempt).await
                }
            };
            let error = outcome.err().unwrap_or_else(|| panic!("{way}: {attempt} is let through"));
            let (state, message) = told(&error);
            // There it could not be made.
            let gone = stand::servers_major() >= 16 && *attempt == "SELECT dressed()";
            let expected: &[&str] =
                if gone { &["42883"] } else { &["25006", "25001", "2D000", "0A000", "42501"] };
            assert!(expected.contains(&state.code()), "{way}: {attempt}: {state:?} {message}");
        }
    }
    assert_eq!(written(&owner).await, before);
    let error = reader.batch_execute("INSERT INTO notes VALUES (4)").await.expect_err("a write");
    let expected = "cannot execute INSERT in a read-only transaction".to_owned();
    assert_eq!(told(&error), (SqlState::READ_ONLY_SQL_TRANSACTION, expected));
}

#[tokio::test]
async fn no_statement_hides_behind_another_ones_back() {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name).section("functions", TRUSTED);
    let meridian = described.tables(&user("reader", "read_only = true")).tables(PLACES).start();
    let owner = fortress(&meridian).await;
    let before = written(&owner).await;
    let reader = connect(&as_user(&meridian, "reader")).await;
    let strings = |value| format!("SELECT set_config('standard_conforming_strings', '{value}', false)");
    let hidden = r"'\'; COMMIT; INSERT INTO notes VALUES (5); --'";
    for attempt in [
        // Several statements in one message, with and without their own ends.
        "SELECT 1; COMMIT; INSERT INTO notes VALUES (5)".to_owned(),
        "BEGIN; SELECT loosen(); COMMIT; INSERT INTO notes VALUES (5)".to_owned(),
        "SELECT loosen(); COMMIT; BEGIN; INSERT INTO notes VALUES (5); COMMIT".to_owned(),
        // What is a string for one reader holds statements for the other.
        format!("SET standard_conforming_strings = off; {}; SELECT {hidden}", strings("on")),
        format!("{}; {}; SELECT {hidden}", strings("off"), strings("on")),
        format!("{}; SELECT {hidden}", strings("on")),
        format!("BEGIN; SAVEPOINT a; SET LOCAL application_name = {hidden}; COMMIT"),
        "BEGIN; SAVEPOINT a; SET TRANSACTION READ WRITE; INSERT INTO notes VALUES (5); COMMIT".to_owned(),
        "BEGIN; SAVEPOINT a; SELECT 1; ROLLBACK TO a; INSERT INTO notes VALUES (5); COMMIT".to_owned(),
    ] {
        // Told off, so that the session reads the next message with the other rule.
        let _ = reader.batch_execute("SELECT loosen()").await;
        let _ = reader.batch_execute("SET standard_conforming_strings = off").await;
        let _ = reader.batch_execute(&attempt).await;
        let _ = reader.batch_execute("ROLLBACK").await;
        let _ = reader.batch_execute("RESET ALL").await;
        assert_eq!(written(&owner).await, before, "{attempt}");
    }
    let mut options = as_user(&meridian, "reader");
    options.options("-c default_transaction_read_only=off");
    assert_eq!(refusal(&options).await.0, SqlState::READ_ONLY_SQL_TRANSACTION);
    reader.batch_execute("DISCARD ALL").await.expect("it is allowed");
    let copied = reader.copy_in::<_, bytes::Bytes>("COPY notes FROM STDIN").await;
    assert_eq!(told(&copied.err().expect("a write")).0, SqlState::READ_ONLY_SQL_TRANSACTION);
    // The driver ends a copy that failed twice over: one for each.
    let reader = connect(&as_user(&meridian, "reader")).await;
    let split = reader.copy_in::<_, bytes::Bytes>("COPY places FROM STDIN").await;
    assert_eq!(told(&split.err().expect("a write")).0, SqlState::READ_ONLY_SQL_TRANSACTION);
    assert_eq!(written(&owner).await, before);
}

#[tokio::test]
async fn a_read_only_user_reads_as_others_do() {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name).section("functions", TRUSTED);
    let meridian = described.tables(&user("reader", "read_only = true")).tables(PLACES).start();
    let owner = fortress(&meridian).await;
    let reader = connect(&as_user(&meridian, "reader")).await;
    let everything = "SELECT 1; SHOW default_transaction_read_only; EXPLAIN (COSTS off) SELECT 1; \
                      SELECT id, region FROM places ORDER BY region; SET work_mem = '1MB'; SHOW work_mem; \
                      SELECT count(*) FROM places WHERE region = 'us-east'";
    let answer = |messages: Vec<tokio_postgres::SimpleQueryMessage>| -> Vec<String> {
        let cells = messages.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|at| row.get(at).unwrap_or("NULL").to_owned())
                    .collect::<Vec<_>>()
                    .join("|"),
            ),
            tokio_postgres::SimpleQueryMessage::CommandComplete(count) => Some(format!("done {count}")),
            _ => None,
        });
        cells.collect()
    };
    for statement in everything.split("; ") {
        let (theirs, ours) = (owner.simple_query(statement).await, reader.simple_query(statement).await);
        let ours = answer(ours.unwrap_or_else(|error| panic!("{statement}: {error}")));
        if statement == "SHOW default_transaction_read_only" {
            assert_eq!(ours, ["on", "done 0"]);
        } else {
            assert_eq!(ours, answer(theirs.expect("the owner reads")), "{statement}");
        }
    }
    let together = answer(reader.simple_query(everything).await.expect("all in one message"));
    let theirs = answer(owner.simple_query(everything).await.expect("all in one message"));
    assert_eq!(together.len(), theirs.len());
    assert_eq!(together.last(), theirs.last());
    reader.simple_query("").await.expect("nothing");
    let statement = reader.prepare("SELECT id FROM places WHERE region = $1").await.expect("a statement");
    for _ in 0..3 {
        let rows = reader.query(&statement, &[&"eu-central"]).await.expect("rows");
        assert_eq!(rows.len(), 1);
    }
    assert_eq!(reader.query("SELECT * FROM places", &[]).await.expect("rows of all shards").len(), 2);

    // Blocks: levels, savepoints, cursors; an error fails the block and no more.
    for begin in ["BEGIN", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ"] {
        reader.batch_execute(begin).await.expect("a transaction");
        if begin == "BEGIN" {
            reader.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.expect("a level");
        }
        reader.batch_execute("SAVEPOINT a").await.expect("a savepoint");
        let level = reader.query_one("SHOW transaction_isolation", &[]).await.expect("a level");
        let expected = if begin == "BEGIN READ ONLY" { "read committed" } else { "repeatable read" };
        assert_eq!(level.get::<_, String>(0), expected);
        reader.query("SELECT 1/0", &[]).await.expect_err("a division by zero");
        reader.batch_execute("ROLLBACK TO a").await.expect("back");
        reader.batch_execute("DECLARE c CURSOR FOR SELECT id FROM notes").await.expect("a cursor");
        assert_eq!(reader.query("FETCH ALL FROM c", &[]).await.expect("rows").len(), 1);
        assert_eq!(reader.query("SELECT * FROM places", &[]).await.expect("rows of all shards").len(), 2);
        reader.batch_execute("COMMIT").await.expect("the end");
    }
    let mut copied = Vec::new();
    for source in ["COPY notes TO STDOUT", "COPY places TO STDOUT"] {
        let stream = reader.copy_out(source).await.expect("a copy");
        futures_util::pin_mut!(stream);
        while let Some(chunk) = futures_util::StreamExt::next(&mut stream).await {
            copied.extend_from_slice(&chunk.expect("a row"));
        }
    }
    assert_eq!(String::from_utf8(copied).expect("text").lines().count(), 3);
    reader.batch_execute("LISTEN news").await.expect("it listens");
    owner.batch_execute("NOTIFY news").await.expect("news");
    reader.batch_execute("UNLISTEN *").await.expect("it is enough");
    reader.simple_query("SELECT 1").await.expect("it works");
}

/// Refused because of a region, with its name.
fn denied(error: &tokio_postgres::Error) -> (SqlState, String, String, String) {
    let (state, message) = told(error);
    let error = error.as_db_error().expect("an error of SQL");
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (state, message, text(error.detail()), text(error.hint()))
}

#[tokio::test]
async fn a_user_reaches_no_region_that_is_not_its_own() {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name).section("functions", TRUSTED);
    let meridian = described
        .tables(&user("euro", "regions = [\"eu-central\"]"))
        .tables(&user("reader", "read_only = true\nregions = [\"eu-central\"]"))
        .tables(PLACES)
        .start();
    let owner = fortress(&meridian).await;
    let mut with_settings = as_user(&meridian, "euro");
    with_settings.options("-c work_mem=2MB");
    let euro = connect(&with_settings).await;

    // At home everything works, and so does what any server can answer.
    for statement in [
        "SELECT 1",
        "SHOW work_mem",
        "SET work_mem = '3MB'",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT count(*) FROM pg_class",
        "SELECT * FROM codes",
        "SELECT * FROM places WHERE region = 'eu-central'",
        "EXPLAIN ANALYZE SELECT * FROM places WHERE region = 'eu-central'",
        "INSERT INTO places VALUES (7, 'eu-central')",
        "BEGIN; UPDATE places SET id = 8 WHERE id = 7 AND region = 'eu-central'; COMMIT",
        "DELETE FROM places WHERE id = 8 AND region = 'eu-central'",
    ] {
        euro.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        let single = !statement.contains(';');
        if single {
            euro.execute(statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
    }
    owner.batch_execute("DELETE FROM places WHERE id > 0 AND region = 'eu-central'").await.expect("tidied");
    let before = written(&owner).await;
    for attempt in [
        "SELECT * FROM places",
        "SELECT count(*) FROM places",
        "SELECT * FROM places WHERE region = 'us-east'",
        "SELECT * FROM places WHERE region IN ('eu-central', 'us-east')",
        "SELECT * FROM places a JOIN places b USING (region) WHERE region = 'us-east'",
        "/* meridian: shard=us-east */ SELECT * FROM codes",
        "SELECT * FROM notes",
        "INSERT INTO places VALUES (4, 'us-east')",
        "UPDATE places SET id = 4",
        "DELETE FROM places WHERE id = 0",
        "INSERT INTO codes VALUES (4)",
        "INSERT INTO notes VALUES (4)",
        "CREATE TABLE more (id int)",
        "CREATE TEMPORARY TABLE more (id int)",
        "TRUNCATE places",
        "VACUUM notes",
        "SELECT nextval('numbers')",
        "SELECT pg_advisory_lock(1)",
        "LISTEN news",
        "NOTIFY news",
        "EXPLAIN SELECT * FROM places",
        "EXPLAIN ANALYZE SELECT * FROM places WHERE region = 'us-east'",
        "EXPLAIN (FORMAT json) SELECT * FROM places WHERE region = 'us-east'",
        "DO $$ BEGIN INSERT INTO notes VALUES (4); END $$",
        "CALL jump()",
        "PREPARE p AS SELECT 1",
    ] {
        for way in ["simple", "extended", "block"] {
            let outcome = match way {
                "simple" => euro.batch_execute(attempt).await,
                "extended" => euro.execute(attempt, &[]).await.map(drop),
                _ => {
                    euro.batch_execute("BEGIN").await.expect("a transaction");
                    let outcome = euro.batch_execute(attempt).await;
                    euro.batch_execute("ROLLBACK").await.expect("its end");
                    outcome
                }
            };
            let error = outcome.err().unwrap_or_else(|| panic!("{way}: {attempt} is let through"));
            let (state, message, ..) = denied(&error);
            let other = [&SqlState::FEATURE_NOT_SUPPORTED, &SqlState::ACTIVE_SQL_TRANSACTION];
            assert!(
                state == SqlState::INSUFFICIENT_PRIVILEGE
                    && message.starts_with("permission denied for region")
                    || other.contains(&&state),
                "{way}: {attempt}: {state:?} {message}"
            );
        }
    }
    let error =
        euro.query("SELECT * FROM places WHERE region = $1", &[&"us-east"]).await.expect_err("not its own");
    let expected = (
        SqlState::INSUFFICIENT_PRIVILEGE,
        "permission denied for region \"us-east\"".to_owned(),
        "The statement needs shard \"us-east\", which lives in region \"us-east\".".to_owned(),
        "This user may use: eu-central. Say in the statement which rows are meant.".to_owned(),
    );
    assert_eq!(denied(&error), expected);
    let statement =
        euro.prepare("SELECT id FROM places WHERE region = $1").await.expect("it is described at home");
    assert_eq!(euro.query(&statement, &[&"eu-central"]).await.expect("rows").len(), 1);
    euro.query(&statement, &[&"us-east"]).await.expect_err("not its own");
    for source in ["COPY places TO STDOUT", "COPY codes FROM STDIN"] {
        let euro = connect(&as_user(&meridian, "euro")).await;
        let error = euro.batch_execute(source).await.expect_err("it needs all shards");
        assert_eq!(told(&error).0, SqlState::INSUFFICIENT_PRIVILEGE, "{source}");
    }
    assert_eq!(written(&owner).await, before);

    // Not one connection has been made to a shard elsewhere: this user's connections are its own.
    let reader = connect(&as_user(&meridian, "reader")).await;
    let console = connect(&at_console(meridian.app())).await;
    for statement in ["SELECT 1", "SELECT * FROM places", "SELECT * FROM places WHERE region = 'eu-central'"]
    {
        let _ = reader.simple_query(statement).await;
        let _ = reader.query(statement, &[]).await;
    }
    let shards = eventually("its connections are shown", async || {
        let (users, shards) =
            (column(&console, "SHOW SERVERS", "user").await, column(&console, "SHOW SERVERS", "shard").await);
        let own = users.into_iter().zip(shards).filter(|(user, _)| user.contains("read-only"));
        let own: Vec<String> = own.map(|(_, shard)| shard).collect();
        (!own.is_empty()).then_some(own)
    })
    .await;
    assert!(shards.iter().all(|shard| shard == "eu-central"), "{shards:?}");
}

#[tokio::test]
async fn a_server_that_stands_elsewhere_is_elsewhere() {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name).section("functions", TRUSTED);
    let meridian = described.tables(&user("euro", "regions = [\"eu-central\"]")).tables(PLACES).start();
    let _owner = fortress(&meridian).await;
    let euro = connect(&as_user(&meridian, "euro")).await;
    let question = "SELECT * FROM places WHERE region = 'eu-central'";
    euro.batch_execute(question).await.expect("at home");
    let node = database.cluster.shard("eu-central").primary().address().to_string();
    let moved = |region: &str| format!("{{ address = \"{node}\", region = \"{region}\" }}");
    meridian.edit(|text| text.replace(&moved("eu-central"), &moved("us-west")));
    let console = connect(&at_console(meridian.app())).await;
    console.batch_execute("RELOAD").await.expect("the file is right");
    for statement in
        [question, "SELECT 1", "INSERT INTO places VALUES (4, 'eu-central')", "SET work_mem = '1MB'"]
    {
        let (state, message, detail, _) =
            denied(&euro.batch_execute(statement).await.expect_err("elsewhere"));
        assert_eq!(
            (state, message.as_str()),
            (SqlState::INSUFFICIENT_PRIVILEGE, "permission denied for region \"us-west\"")
        );
        assert!(detail.contains("stands in region \"us-west\""), "{detail}");
    }
}

#[tokio::test]
async fn a_user_with_a_pool_of_its_own_holds_nobody_up() {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name);
    let meridian = described
        .section("proxy", "workers = 1")
        .tables(&user("batch", "pool_size = 1"))
        .tables(&user("ann", ""))
        .start();
    let (first, second) =
        (connect(&as_user(&meridian, "batch")).await, connect(&as_user(&meridian, "batch")).await);
    first.batch_execute("BEGIN; SELECT pg_backend_pid()").await.expect("the one connection");
    let waiting = tokio::spawn(async move {
        second.query_one("SELECT pg_backend_pid()", &[]).await.map(|row| row.get::<_, i32>(0))
    });
    let console = connect(&at_console(meridian.app())).await;
    let shown = |name: &'static str| {
        let console = &console;
        async move {
            let users = column(console, "SHOW POOLS", "user").await;
            let values = column(console, "SHOW POOLS", name).await;
            let own = users.into_iter().zip(values).find(|(user, _)| user == "meridian for batch");
            own.map(|(_, value)| value)
        }
    };
    eventually("the second one waits", async || {
        (shown("cl_waiting").await.as_deref() == Some("1")).then_some(())
    })
    .await;
    assert_eq!(shown("size").await.as_deref(), Some("1"));
    let ann = connect(&as_user(&meridian, "ann")).await;
    ann.batch_execute("BEGIN; SELECT 1; COMMIT").await.expect("others have their own connections");
    let pid: i32 = first.query_one("SELECT pg_backend_pid()", &[]).await.expect("a row").get(0);
    first.batch_execute("COMMIT").await.expect("it gives its connection back");
    assert_eq!(waiting.await.expect("no panic").expect("its turn has come"), pid);
}
