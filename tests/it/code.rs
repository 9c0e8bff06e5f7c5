//! Code on the servers that Meridian cannot see into: functions and triggers that put SQL together, or name rows that are
//! elsewhere. Each is refused, unless the operator vouches for it.

use tokio_postgres::error::SqlState;

use crate::harness::{connect, database, meridian};

const TABLES: &str = "[[tables]]\nname = \"visits\"\nplacement = \"region\"\nkey = \"region\"\n";

const SCHEMA: &str = "
CREATE TABLE visits (region varchar(50), n int);
CREATE TABLE seen (n int);
CREATE FUNCTION counted(t text) RETURNS bigint LANGUAGE plpgsql AS
  $$ DECLARE c bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', t) INTO c; RETURN c; END $$;
CREATE FUNCTION calling() RETURNS bigint LANGUAGE sql AS $$ SELECT counted('vi' || 'sits') $$;
CREATE FUNCTION vouched() RETURNS int LANGUAGE plpgsql AS
  $$ DECLARE c int; BEGIN EXECUTE 'SELECT 42' INTO c; RETURN c; END $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO seen VALUES (NEW.n); RETURN NEW; END $$;
CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := NEW.n * 2; RETURN NEW; END $$;
";

#[tokio::test]
async fn code_that_cannot_be_seen_into_is_refused_unless_it_is_vouched_for() {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("functions", "trusted = [\"vouched\"]")
        .tables(TABLES)
        .start();
    let client = connect(&meridian.app()).await;
    client.batch_execute(SCHEMA).await.expect("the schema");
    let refused = async |sql: &str, words: &str| {
        let error = client.batch_execute(sql).await.expect_err(sql);
        let error = error.as_db_error().expect("an error of SQL");
        assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED, "{sql}: {error}");
        assert!(error.message().contains(words), "{sql}: {error}");
    };
    client.batch_execute("INSERT INTO visits VALUES ('us-west', 1)").await.expect("no trigger yet");
    refused("SELECT counted('visits')", "counted() puts SQL together").await;
    refused("SELECT calling()", "calling()").await;
    refused("SELECT counted('visits') FROM visits WHERE region = 'us-west'", "counted()").await;
    let row = client.query_one("SELECT vouched()", &[]).await.expect("it is vouched for");
    assert_eq!(row.get::<_, i32>(0), 42);

    client
        .batch_execute("CREATE TRIGGER d BEFORE INSERT ON visits FOR EACH ROW EXECUTE FUNCTION double()")
        .await
        .expect("a trigger that stays with its row");
    client.batch_execute("INSERT INTO visits VALUES ('ap-south', 2)").await.expect("it may fire");
    client
        .batch_execute("CREATE TRIGGER n AFTER INSERT ON visits FOR EACH ROW EXECUTE FUNCTION note()")
        .await
        .expect("a trigger that writes elsewhere");
    refused("INSERT INTO visits VALUES ('ap-south', 3)", "fires trigger function note()").await;
    refused("COPY visits FROM STDIN", "fires trigger function note()").await;
    let sums = client.query_one("SELECT sum(n) FROM visits", &[]).await.expect("an answer");
    assert_eq!(sums.get::<_, i64>(0), 1 + 4);
    // What is in C is seen only from outside, unless it is known.
    for shard in database.cluster.shards() {
        let server = connect(&shard.primary().superuser(&database.name)).await;
        server.batch_execute("CREATE EXTENSION refint; CREATE EXTENSION pgcrypto").await.expect("extensions");
    }
    let in_c = "CREATE TABLE kept (n int);
                CREATE TRIGGER c BEFORE INSERT ON kept FOR EACH ROW EXECUTE FUNCTION check_primary_key('n', 'seen', 'n')";
    client.batch_execute(in_c).await.expect("a trigger in C");
    refused("INSERT INTO kept VALUES (1)", "check_primary_key() puts SQL together").await;
    client.query_one("SELECT gen_salt('md5')", &[]).await.expect("pgcrypto only computes");
    // Disabled, it does not count.
    client.batch_execute("ALTER TABLE visits DISABLE TRIGGER n").await.expect("disabled");
    client.batch_execute("INSERT INTO visits VALUES ('ap-south', 3)").await.expect("nothing hidden fires");
}
