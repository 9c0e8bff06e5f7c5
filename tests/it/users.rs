//! Users whom the file does not name one by one: looked up on a server (`[auth_query]`), or fitting a pattern.

use std::time::{Duration, Instant};

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};
use meridian::wire::scram::{ITERATIONS, Verifier};
use meridian::wire::secret::Secret;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

use crate::harness::{Database, Meridian, column, connect, database, eventually, meridian, try_connect};

const PLACES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n";

/// Looks a role up with its owner's rights, and counts how often it is asked.
const FUNCTION: &str = "
    CREATE SEQUENCE asked;
    CREATE FUNCTION known_to_meridian(name text, OUT role name, OUT secret text)
      RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
      BEGIN
        PERFORM nextval('public.asked');
        RETURN QUERY SELECT s.usename, s.passwd FROM pg_shadow s WHERE s.usename = $1 AND NOT s.usesuper;
      END $$;
    REVOKE ALL ON FUNCTION known_to_meridian FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION known_to_meridian TO meridian;
    CREATE TABLE places (id int, region varchar(50) NOT NULL);
    GRANT ALL ON places TO PUBLIC;
    ALTER TABLE places OWNER TO meridian;";

const BY_FUNCTION: &str = "query = \"SELECT role, secret FROM known_to_meridian($1)\"\nlifetime = \"1m\"\n";

fn verifier(password: &str, salt: u8) -> String {
    let verifier = Verifier::derive(&Secret::from(password), &[salt; 16], ITERATIONS).to_secret();
    String::from_utf8_lossy(verifier.expose()).into_owned()
}

/// A database with the look-up function and a table, in which these roles have these passwords, as ALTER ROLE takes them.
/// Roles are the servers', not the database's: their names begin with its name.
async fn users_database(roles: &[(&str, &str)]) -> Database {
    let database = database().await;
    let create = roles.iter().map(|(role, password)| {
        let name = role_name(&database, role);
        format!("DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN PASSWORD {password};")
    });
    let create: String = create.collect();
    database.cluster.on_every_shard(&database.name, &(create + FUNCTION)).await;
    for region in crate::harness::REGIONS {
        let row = format!("INSERT INTO places VALUES (1, '{region}')");
        database.direct(region).await.batch_execute(&row).await.expect("a row");
    }
    database
}

fn role_name(database: &Database, role: &str) -> String {
    format!("{}_{role}", database.name)
}

fn as_role(meridian: &Meridian, name: &str, password: &str) -> Config {
    let mut config = meridian.app();
    config.user(name).password(password);
    config
}

async fn refusal(config: &Config) -> (SqlState, String) {
    match try_connect(config).await {
        Ok(_) => panic!("{:?} is let in", config.get_user()),
        Err(error) => told(&error),
    }
}

fn told(error: &tokio_postgres::Error) -> (SqlState, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("an error of SQL: {error}"));
    (error.code().clone(), error.message().to_owned())
}

fn wrong_password(name: &str) -> (SqlState, String) {
    (SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{name}\""))
}

async fn count(client: &Client) -> i64 {
    let row = client.query_one("SELECT count(*) FROM places", &[]).await;
    row.unwrap_or_else(|error| panic!("all shards answer: {error:?}")).get(0)
}

async fn current_user(client: &Client) -> String {
    client.query_one("SELECT current_user::text", &[]).await.expect("one row").get(0)
}

async fn asked(database: &Database) -> i64 {
    let superuser = database.cluster.shard("us-east").primary().superuser(&database.name);
    let row = connect(&superuser).await.query_one("SELECT last_value, is_called FROM asked", &[]).await;
    let row = row.expect("one row");
    if row.get(1) { row.get(0) } else { 0 }
}

async fn console(meridian: &Meridian) -> Client {
    let mut config = meridian.app();
    config.dbname("meridian");
    connect(&config).await
}

/// Each server salts what it is told in clear text by itself: the role would be at home on the default shard only.
#[tokio::test]
async fn a_password_in_clear_text_is_stored_alike_on_all_shards() {
    let same = verifier("right", 1);
    let database = users_database(&[("ann", &format!("'{same}'"))]).await;
    let (ann, new) = (role_name(&database, "ann"), role_name(&database, "new"));
    let allow = format!("ALTER ROLE {ann} CREATEROLE; DROP ROLE IF EXISTS {new};");
    database.cluster.on_every_shard(&database.name, &allow).await;
    let described = meridian(&database.cluster).database(&database.name).section("auth_query", BY_FUNCTION);
    let meridian = described.section("log", "level = \"debug\"").tables(PLACES).start();
    let client = connect(&as_role(&meridian, &ann, "right")).await;

    let create = format!("CREATE ROLE {new} WITH LOGIN PASSWORD E'op\\x61l' NOCREATEDB");
    client.batch_execute(&create).await.expect("a role");
    assert_eq!(count(&connect(&as_role(&meridian, &new, "opal")).await).await, 4);

    // By the extended protocol, and in a transaction that is given up.
    client.batch_execute("BEGIN").await.expect("a transaction");
    client.execute(&format!("ALTER USER {new} PASSWORD 'onyx'"), &[]).await.expect("a password");
    client.batch_execute("ROLLBACK").await.expect("the end");
    assert_eq!(count(&connect(&as_role(&meridian, &new, "opal")).await).await, 4);
    client.execute(&format!("ALTER USER {new} PASSWORD $$agate$$"), &[]).await.expect("a password");
    console(&meridian).await.batch_execute("RELOAD").await.expect("the file is right");
    assert_eq!(count(&connect(&as_role(&meridian, &new, "agate")).await).await, 4);
    assert_eq!(refusal(&as_role(&meridian, &new, "opal")).await, wrong_password(&new));

    // What is wrong behind the password is told where it stands.
    let wrong = format!("ALTER ROLE {new} PASSWORD 'beryl' SUPRUSER");
    let error = client.batch_execute(&wrong).await.expect_err("no such option");
    let position = error.as_db_error().and_then(|error| error.position()).map(|place| format!("{place:?}"));
    let expected = wrong.find("SUPRUSER").map(|at| format!("Original({})", at + 1));
    assert_eq!(position, expected, "{error:?}");

    // By md5 all salt alike.
    client.batch_execute("SET password_encryption = 'md5'").await.expect("a setting");
    client.batch_execute(&format!("ALTER ROLE {new} PASSWORD 'topaz'")).await.expect("a password");
    let stored = format!(
        "SELECT string_agg(DISTINCT left(rolpassword, 3), ',') FROM pg_authid WHERE rolname = '{new}'"
    );
    for region in crate::harness::REGIONS {
        let superuser = database.cluster.shard(region).primary().superuser("postgres");
        let row = connect(&superuser).await.query_one(&stored, &[]).await.expect("one row");
        assert_eq!(row.get::<_, String>(0), "md5");
    }
    for secret in ["opal", "onyx", "agate", "beryl", "topaz", "SCRAM-SHA-256$"] {
        assert!(!meridian.log().contains(secret), "{secret} is logged");
    }
    database.cluster.on_every_shard("postgres", &format!("DROP ROLE {new}")).await;
}

#[tokio::test]
async fn users_of_the_servers_log_in_everywhere_with_their_own_keys() {
    let same = verifier("right", 1);
    let quoted = format!("'{same}'");
    let database = users_database(&[("ann", &quoted), ("ben", &quoted), ("eve", "NULL")]).await;
    let (ann, ben, eve) =
        (role_name(&database, "ann"), role_name(&database, "ben"), role_name(&database, "eve"));
    let elsewhere = connect(&database.cluster.shard("ap-south").primary().superuser("postgres")).await;
    let other = format!("ALTER ROLE {ben} PASSWORD '{}'", verifier("right", 2));
    elsewhere.batch_execute(&other).await.expect("another verifier");
    let described = meridian(&database.cluster).database(&database.name).section("auth_query", BY_FUNCTION);
    let described = described.section("proxy", "workers = 2").section("log", "level = \"debug\"");
    let meridian = described.tables(PLACES).start();

    // Many at once ask once, and the servers let them in without knowing their password.
    let config = as_role(&meridian, &ann, "right");
    let at_once = futures_util::future::join_all((0..8).map(|_| connect(&config))).await;
    assert_eq!(asked(&database).await, 1);
    assert_eq!((current_user(&at_once[0]).await, count(&at_once[0]).await), (ann.clone(), 4));
    assert_eq!(count(&at_once[1]).await, 4);

    // Who is not known, who has no password, and who does not know it, hear the same.
    let nobody = role_name(&database, "nobody");
    for name in [&ann, &eve, &nobody, "postgres"] {
        assert_eq!(refusal(&as_role(&meridian, name, "wrong")).await, wrong_password(name));
    }
    assert_eq!(asked(&database).await, 4);
    assert_eq!(refusal(&as_role(&meridian, &nobody, "wrong")).await, wrong_password(&nobody));
    assert_eq!(asked(&database).await, 4, "that there is no such user is known for a while, too");

    // A shard with another verifier says so, at once; the others answer.
    let ben_client = connect(&as_role(&meridian, &ben, "right")).await;
    let here = "SELECT count(*) FROM places WHERE region = 'us-east'";
    assert_eq!(ben_client.query_one(here, &[]).await.expect("one row").get::<_, i64>(0), 1);
    let begun = Instant::now();
    let error = ben_client.simple_query("SELECT count(*) FROM places").await.expect_err("another verifier");
    let words = format!("does not store the verifier of role \"{ben}\" that the client was checked against");
    assert!(told(&error).1.ends_with(&words) && begun.elapsed() < Duration::from_secs(5), "{error:?}");
    assert!(
        error.as_db_error().is_some_and(|error| error.hint().is_some_and(|hint| hint.contains("ALTER ROLE")))
    );
    assert_eq!(ben_client.query_one(here, &[]).await.expect("one row").get::<_, i64>(0), 1);

    // A reload forgets; nothing that is a secret was logged.
    console(&meridian).await.batch_execute("RELOAD").await.expect("the file is right");
    let before = asked(&database).await;
    connect(&config).await;
    assert_eq!(asked(&database).await, before + 1);
    let log = meridian.log();
    assert!(!log.contains(&same) && !log.contains("right\""), "{log}");
}

#[tokio::test]
async fn a_changed_password_counts_soon_and_an_old_key_opens_nothing_new() {
    let database = users_database(&[("ann", &format!("'{}'", verifier("old", 1)))]).await;
    let ann = role_name(&database, "ann");
    let described = meridian(&database.cluster).database(&database.name).section("auth_query", BY_FUNCTION);
    let meridian = described.section("proxy", "workers = 1").tables(PLACES).start();
    let console = console(&meridian).await;
    let inside = connect(&as_role(&meridian, &ann, "old")).await;
    assert_eq!(count(&inside).await, 4);
    let change = format!("ALTER ROLE {ann} PASSWORD '{}'", verifier("new", 2));
    database.cluster.on_every_shard("postgres", &change).await;

    // A failure makes an answer of more than a second worth another look: long before it grows old.
    let new = as_role(&meridian, &ann, "new");
    let client = eventually("the new password counts", async || try_connect(&new).await.ok()).await;
    assert_eq!(refusal(&as_role(&meridian, &ann, "old")).await, wrong_password(&ann));
    assert_eq!(count(&client).await, 4);

    // Who is inside works on with the connections that there are, and gets no new ones.
    assert_eq!(count(&inside).await, 4);
    console.batch_execute("RECONNECT").await.expect("connections are replaced");
    let refused = eventually("its connections are gone", async || {
        inside.simple_query("SELECT count(*) FROM places").await.err()
    })
    .await;
    assert!(told(&refused).1.contains("does not store the verifier"), "{refused:?}");
    assert_eq!(count(&client).await, 4);
}

#[tokio::test]
async fn md5_hashes_and_passwords_in_clear_serve_for_servers_that_ask_for_them() {
    let cluster = crate::harness::cluster().region("us-east").start();
    let node = cluster.shard("us-east").primary();
    let access = node.data_directory().join("pg_hba.conf");
    std::fs::write(&access, "host all all 127.0.0.1/32 md5\n").expect("its access rules");
    let roles = "SELECT pg_reload_conf(); SET password_encryption = 'md5'; CREATE ROLE ann LOGIN PASSWORD 'old'; \
                 SET password_encryption = 'scram-sha-256'; CREATE ROLE ben LOGIN PASSWORD 'new'; \
                 CREATE ROLE eve LOGIN PASSWORD 'gone' VALID UNTIL '2001-01-01'";
    let superuser = connect(&node.superuser("demo")).await;
    superuser.batch_execute(roles).await.expect("roles");
    let start = |auth: &str| {
        let described = meridian(&cluster).section("auth_query", "");
        described.section("proxy", &format!("auth = \"{auth}\"")).start()
    };
    let untold = start("md5");
    let (state, message) = refusal(&as_role(&untold, "ann", "old")).await;
    assert_eq!(
        (state, message.as_str()),
        (SqlState::CANNOT_CONNECT_NOW, "user \"ann\" could not be looked up")
    );
    let reason = "permission denied for view pg_shadow";
    assert!(untold.log().contains(reason), "{}", untold.log());

    superuser.batch_execute("GRANT SELECT ON pg_shadow TO meridian").await.expect("a grant");
    for auth in ["md5", "password", "scram-sha-256"] {
        let meridian = start(auth);
        for (name, password) in [("ann", "old"), ("ben", "new")] {
            let config = as_role(&meridian, name, password);
            if auth == "scram-sha-256" && name == "ann" {
                // As in PostgreSQL: an md5 hash is no verifier.
                assert_eq!(refusal(&config).await, wrong_password("ann"));
                continue;
            }
            assert_eq!(current_user(&connect(&config).await).await, name, "{auth}");
            assert_eq!(refusal(&as_role(&meridian, name, "guess")).await, wrong_password(name));
        }
        for name in ["eve", "nobody"] {
            assert_eq!(refusal(&as_role(&meridian, name, "gone")).await, wrong_password(name), "{auth}");
        }
    }

    // Who is trusted shows nothing: an md5 hash serves by itself, a verifier does not.
    let trusting = start("trust");
    assert_eq!(current_user(&connect(&as_role(&trusting, "ann", "")).await).await, "ann");
    let missing =
        (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "role \"nobody\" does not exist".to_owned());
    assert_eq!(refusal(&as_role(&trusting, "nobody", "")).await, missing);
    let begun = Instant::now();
    let (state, message) = refusal(&as_role(&trusting, "ben", "")).await;
    assert_eq!(state, SqlState::INVALID_PASSWORD);
    assert!(message.ends_with("asks for a password and none is configured"), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(5), "waiting would not help");
}

#[tokio::test]
async fn a_pattern_sets_what_counts_for_each_of_its_users() {
    let quoted = format!("'{}'", verifier("right", 1));
    let roles = ["app_1", "app_2", "app_vip", "other"].map(|role| (role, quoted.as_str()));
    let database = users_database(&roles).await;
    let name = |role: &str| role_name(&database, role);
    let users = format!(
        "[[users]]\nname = \"{0}_app_*\"\nconnections_max = 2\npool_size = 3\nread_only = true\n\
         [[users]]\nname = \"{0}_*\"\nregions = [\"us-east\"]\n\
         [[users]]\nname = \"{0}_app_vip\"\n\
         [[users]]\nname = \"tenant_?\"\npassword = \"shared\"\nserver_user = \"{APP_USER}\"\n\
         server_password = \"{APP_PASSWORD}\"\n",
        database.name
    );
    let described = meridian(&database.cluster).database(&database.name).section("auth_query", BY_FUNCTION);
    let described = described.section("database", "aliases = [\"places_*\"]\nconnections_max = 9");
    let meridian = described.tables(&users).tables(PLACES).start();
    let open = |role: &str| as_role(&meridian, &name(role), "right");

    // The limit is of each user, not of all that fit.
    let (one, two) = (connect(&open("app_1")).await, connect(&open("app_2")).await);
    let another = connect(&open("app_1")).await;
    let full = format!("too many connections for role \"{}\"", name("app_1"));
    assert_eq!(refusal(&open("app_1")).await, (SqlState::TOO_MANY_CONNECTIONS, full));
    assert_eq!((current_user(&one).await, current_user(&two).await), (name("app_1"), name("app_2")));
    let error =
        another.simple_query("INSERT INTO places VALUES (2, 'us-east')").await.expect_err("read-only");
    assert_eq!(*error.code().expect("an error of SQL"), SqlState::READ_ONLY_SQL_TRANSACTION);
    let console = console(&meridian).await;
    eventually("a pool of each user's own is shown", async || {
        let users = column(&console, "SHOW POOLS", "user").await;
        let own = |role: &str| users.contains(&format!("{0} for {0} (read-only)", name(role)));
        (own("app_1") && own("app_2")).then_some(())
    })
    .await;

    // A name wins over patterns, and the first pattern over the second.
    let vip = connect(&open("app_vip")).await;
    vip.simple_query("INSERT INTO places VALUES (2, 'eu-central')").await.expect("nothing is forbidden");
    let other = connect(&open("other")).await;
    let error = other.simple_query("SELECT count(*) FROM places").await.expect_err("beyond its regions");
    assert_eq!(*error.code().expect("an error of SQL"), SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(count(&two).await, 5);

    // Known by the file alone: nobody is asked, and the account is the one that is given.
    let before = asked(&database).await;
    let tenant = connect(&as_role(&meridian, "tenant_7", "shared")).await;
    assert_eq!(current_user(&tenant).await, APP_USER);
    assert_eq!(refusal(&as_role(&meridian, "tenant_7", "guess")).await, wrong_password("tenant_7"));
    assert_eq!(asked(&database).await, before);

    // Other names of the database, counted with its own.
    let mut alias = as_role(&meridian, "tenant_8", "shared");
    alias.dbname("places_of_8");
    let aliased = connect(&alias).await;
    let own: String = aliased.query_one("SELECT current_database()::text", &[]).await.expect("a row").get(0);
    assert_eq!(own, database.name);
    let ninth = [connect(&alias).await, connect(&alias).await];
    let full = format!("too many connections for database \"{}\"", database.name);
    assert_eq!(refusal(&alias).await, (SqlState::TOO_MANY_CONNECTIONS, full));
    drop(ninth);
    alias.dbname("rides_of_8");
    assert_eq!(refusal(&alias).await.0, SqlState::UNDEFINED_DATABASE);
}

#[tokio::test]
async fn the_console_shows_the_users_of_the_file_and_those_who_were_looked_up() {
    let database = users_database(&[("ann", &format!("'{}'", verifier("right", 1)))]).await;
    let ann = role_name(&database, "ann");
    let described = meridian(&database.cluster).database(&database.name).section("auth_query", BY_FUNCTION);
    let meridian =
        described.tables("[[users]]\nname = \"*_ann\"\nread_only = true\nconnections_max = 7\n").start();
    let console = console(&meridian).await;
    let named = async |name: &'static str| column(&console, "SHOW USERS", name).await;
    assert_eq!(named("name").await, [APP_USER, "*_ann"]);
    let client = connect(&as_role(&meridian, &ann, "right")).await;
    assert_eq!(named("name").await, [APP_USER, "*_ann", &ann]);
    assert_eq!(named("known_by").await, ["file", "pattern, auth_query", "auth_query"]);
    assert_eq!(named("connections").await, ["0", "1", "1"]);
    assert_eq!(named("connections_max").await, ["7", "7"]);
    assert_eq!(named("read_only").await, ["no", "yes", "yes"]);
    drop(client);
    eventually("it is counted out, and still known", async || {
        (named("connections").await == ["0", "0", "0"]).then_some(())
    })
    .await;
}
