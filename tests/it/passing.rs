//! Transactions that draw numbers or take advisory locks on one shard, and write on another.

use crate::harness::{connect, database, eventually, meridian};

const TABLES: &str = "[[tables]]\nname = \"people\"\nplacement = \"region\"\nkey = \"region\"\n";

const SCHEMA: &str = "
CREATE TABLE people (id int, region varchar(50) NOT NULL, PRIMARY KEY (region, id));
CREATE SEQUENCE drawn;
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
";

/// Who gets the lock next must see what was written under it.
#[tokio::test]
async fn a_lock_is_held_until_what_was_written_under_it_is_committed() {
    let database = database().await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .tables(TABLES)
        .section("functions", "trusted = [\"wait\"]")
        .start();
    let client = connect(&meridian.app()).await;
    for statement in SCHEMA.split(";\nCREATE").map(str::trim).filter(|statement| !statement.is_empty()) {
        let statement = statement.trim_start_matches("CREATE").trim_end_matches(';');
        client.batch_execute(&format!("CREATE {statement}")).await.expect(statement);
    }
    // It holds up the commit on the shard that is written to.
    let west = database.direct("us-west").await;
    west.batch_execute("SELECT pg_advisory_lock(77)").await.expect("a lock of that server's");
    let under_lock = tokio::spawn(async move {
        client.batch_execute("BEGIN").await?;
        client.batch_execute("SELECT pg_advisory_xact_lock(4711)").await?;
        client.batch_execute("INSERT INTO people VALUES (1, 'us-west')").await?;
        client.batch_execute("COMMIT").await
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted";
    eventually("the commit waits", async || {
        let row = west.query_one(waits, &[]).await.ok()?;
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    let other = connect(&meridian.app()).await;
    let get = "SELECT pg_try_advisory_xact_lock(4711)";
    let got = other.query_one(get, &[]).await.expect("an answer").get::<_, bool>(0);
    assert!(!got, "others have the lock before the row is there");
    west.batch_execute("SELECT pg_advisory_unlock(77)").await.expect("let go of");
    under_lock.await.expect("no panic").expect("committed");
    assert!(other.query_one(get, &[]).await.expect("an answer").get::<_, bool>(0));
    let count = other.query_one("SELECT count(*) FROM people", &[]).await.expect("a count");
    assert_eq!(count.get::<_, i64>(0), 1);
}

/// What a transaction drew is not drawn again, also where the write that holds it fails.
#[tokio::test]
async fn a_number_that_was_drawn_is_not_drawn_again() {
    let database = database().await;
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    let definitions = [
        "CREATE TABLE people (id int, region varchar(50) NOT NULL, PRIMARY KEY (region, id))",
        "CREATE SEQUENCE drawn",
    ];
    for statement in definitions {
        client.batch_execute(statement).await.expect(statement);
    }
    let mut last = 0;
    for (round, end) in ["COMMIT", "ROLLBACK", "COMMIT"].into_iter().enumerate() {
        client.batch_execute("BEGIN").await.expect("a transaction");
        let number =
            client.query_one("SELECT nextval('drawn')", &[]).await.expect("a number").get::<_, i64>(0);
        assert!(number > last, "{number} behind {last}");
        last = number;
        let insert = format!("INSERT INTO people VALUES ({number}, 'eu-central')");
        client.batch_execute(&insert).await.expect("a row elsewhere");
        client.batch_execute(end).await.expect(end);
        let shown = client.query_one("SELECT last_value FROM drawn", &[]).await.expect("the sequence");
        assert_eq!(shown.get::<_, i64>(0), last, "round {round}");
    }
    let people = client.query_one("SELECT count(*) FROM people", &[]).await.expect("a count");
    assert_eq!(people.get::<_, i64>(0), 2);
}
