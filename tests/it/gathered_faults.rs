//! SELECTs whose tables are gathered, when a scratch session is lost or the shards' tables are not the same.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::gathered::{JOIN, answer, nothing_is_left, start};
use crate::harness::{Database, connect, eventually};

/// The backends with tables that nobody else sees: those of scratch sessions, whose transactions have made them.
const SCRATCHES: &str = "SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
      WHERE d.datname = current_database() AND l.locktype = 'relation' AND l.pid <> pg_backend_pid()
        AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = l.relation)";

/// No server is asked how many rows it expects, which would wait at the gate already.
const COMPUTED: &str = "SELECT count(*), sum(amount) FROM orders o JOIN people p ON p.id = o.person + 0";

async fn superuser(database: &Database, shard: &str) -> Client {
    connect(&database.cluster.shard(shard).primary().superuser(&database.name)).await
}

/// Holds up the rows of one shard's people, so that whoever gathers them waits.
struct Gate(Client);

impl Gate {
    async fn closed(database: &Database) -> Self {
        let gate = superuser(database, "ap-south").await;
        gate.batch_execute("BEGIN; LOCK TABLE people IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
        Self(gate)
    }

    async fn open(self) {
        self.0.batch_execute("ROLLBACK").await.expect("the lock's end");
    }
}

/// Ends the server of a scratch session that gathers; returns the number of its process.
async fn kill_scratch(server: &Client, but: &[i32]) -> i32 {
    let pid = eventually("a scratch session gathers", async || {
        let rows = server.query(SCRATCHES, &[]).await.expect("scratch sessions");
        rows.iter().map(|row| row.get::<_, i32>(0)).find(|pid| !but.contains(pid))
    })
    .await;
    let killed = server.query_one("SELECT pg_terminate_backend($1, 10000)", &[&pid]).await.expect("a kill");
    assert!(killed.get::<_, bool>(0), "the server of the scratch session ends");
    pid
}

#[tokio::test]
async fn a_scratch_session_that_is_lost_while_it_gathers_is_replaced() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let server = superuser(&database, "us-east").await;
    for round in 0..3 {
        let gate = Gate::closed(&database).await;
        let kill = async {
            kill_scratch(&server, &[]).await;
            gate.open().await;
        };
        let (rows, ()) = tokio::join!(answer(&client, COMPUTED), kill);
        assert_eq!(rows, (200, 400), "round {round}: it is asked again in another session");
        assert_eq!(answer(&client, JOIN).await, (200, 400), "round {round}: the next statement");
    }
    nothing_is_left(&database).await;
}

/// Each try is lost: the client is told, and nothing is tried for ever.
#[tokio::test]
async fn scratch_sessions_that_are_lost_again_and_again_are_an_error() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let server = superuser(&database, "us-east").await;
    let gate = Gate::closed(&database).await;
    let mut killed = Vec::new();
    let kills = async {
        loop {
            killed.push(kill_scratch(&server, &killed).await);
        }
    };
    let error = tokio::select! {
        result = client.query(COMPUTED, &[]) => result.expect_err("no session lives long enough"),
        () = kills => unreachable!("it ends with the statement"),
    };
    let error = error.as_db_error().expect("an error of SQL, not the end of the connection");
    assert_eq!(error.code(), &SqlState::ADMIN_SHUTDOWN, "{error}");
    gate.open().await;
    assert!((1..=5).contains(&killed.len()), "{killed:?}");
    assert_eq!(answer(&client, JOIN).await, (200, 400));
    nothing_is_left(&database).await;
}

#[tokio::test]
async fn inside_of_a_transaction_a_lost_scratch_session_is_an_error() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let server = superuser(&database, "us-east").await;
    for begin in ["BEGIN", "BEGIN; UPDATE orders SET amount = 1000 WHERE id = 7"] {
        client.batch_execute(begin).await.expect("a transaction");
        let gate = Gate::closed(&database).await;
        let kill = async {
            kill_scratch(&server, &[]).await;
            gate.open().await;
        };
        let (result, ()) = tokio::join!(client.query(COMPUTED, &[]), kill);
        let error = result.expect_err("what the transaction has seen may not be there again");
        assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN), "{begin}: {error}");
        let error = client.query(JOIN, &[]).await.expect_err("the transaction has failed");
        assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION), "{begin}: {error}");
        client.batch_execute("ROLLBACK").await.expect("the end");
        assert_eq!(answer(&client, JOIN).await, (200, 400));
    }
    nothing_is_left(&database).await;
}

/// What a cursor has gathered is gone with its session: the transaction is told, and is at an end.
#[tokio::test]
async fn a_cursor_whose_scratch_session_is_lost_fails_its_transaction() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let server = superuser(&database, "us-east").await;
    client.batch_execute("BEGIN; UPDATE orders SET amount = 1000 WHERE id = 7").await.expect("a write");
    let cursor = "DECLARE c CURSOR FOR SELECT o.id FROM orders o JOIN people p ON p.id = o.person";
    client.batch_execute(cursor).await.expect("a cursor");
    assert_eq!(client.simple_query("FETCH 3 FROM c").await.expect("rows").len(), 3 + 2);
    kill_scratch(&server, &[]).await;
    let error = client.simple_query("FETCH 3 FROM c").await.expect_err("its rows are gone");
    assert!(error.as_db_error().is_some(), "an error of SQL, not the end of the connection: {error}");
    client.batch_execute("ROLLBACK").await.expect("the end");
    assert_eq!(answer(&client, JOIN).await, (200, 400));
    nothing_is_left(&database).await;
}

/// The definition of a column was changed on one server, past Meridian.
#[tokio::test]
async fn columns_that_differ_between_shards_are_never_mixed() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let drifted = database.direct("ap-south").await;
    let questions = [
        JOIN,
        "SELECT count(*), sum(amount) FROM orders",
        "SELECT id, amount FROM orders ORDER BY amount, id",
        "SELECT DISTINCT amount FROM orders",
        "SELECT amount FROM orders",
        "SELECT amount, count(*) FROM orders GROUP BY amount",
        "SELECT max(amount) OVER () FROM orders",
    ];
    // Of the same length as an integer in binary, of another one, and a number that is written in the same way.
    for (other, using) in [
        ("real", "amount::real"),
        ("date", "date '2020-01-01' + amount"),
        ("bigint", "amount::bigint"),
        ("text", "amount::text"),
        ("numeric", "amount::numeric"),
    ] {
        let change = format!("ALTER TABLE orders ALTER amount TYPE {other} USING {using}");
        drifted.batch_execute(&change).await.expect(&change);
        for question in questions {
            let error = client.simple_query(question).await.expect_err(&format!("{other}: {question}"));
            let error = error.as_db_error().expect("an error of SQL");
            // That server's own word, where it has no such sum.
            if error.code() != &SqlState::UNDEFINED_FUNCTION {
                assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED, "{other}: {question}: {error}");
                assert!(error.message().contains("disagree about the columns"), "{other}: {question}");
            }
        }
        // What does not name the column is answered.
        let row = client.query_one("SELECT count(*) FROM orders", &[]).await.expect("an answer");
        assert_eq!(row.get::<_, i64>(0), 200, "{other}");
        let back = "CREATE OR REPLACE FUNCTION pg_temp.back(v anyelement) RETURNS int LANGUAGE sql AS
                    $$ SELECT CASE WHEN v::text ~ '-' THEN v::text::date - date '2020-01-01' ELSE v::text::int END $$;
                    ALTER TABLE orders ALTER amount TYPE int USING pg_temp.back(amount)";
        drifted.batch_execute(back).await.expect(back);
        eventually("the tables are the same again", async || {
            let row = client.query_one(JOIN, &[]).await.ok()?;
            ((row.get::<_, i64>(0), row.get::<_, i64>(1)) == (200, 400)).then_some(())
        })
        .await;
    }
    tokio::time::timeout(Duration::from_secs(30), nothing_is_left(&database)).await.expect("nothing is left");
}

/// Only the shard with the drifted column is asked: nothing contradicts it but the catalog.
#[tokio::test]
async fn a_table_that_one_shard_gives_is_as_the_catalog_says() {
    let (database, meridian) = start("").await;
    let client = connect(&meridian.app()).await;
    let drifted = database.direct("ap-south").await;
    client
        .batch_execute(
            "CREATE DOMAIN centimetres AS numeric(6, 2) CHECK (VALUE > 0);
             ALTER TABLE people ALTER height TYPE centimetres, ADD nick varchar(8) DEFAULT 'nick'",
        )
        .await
        .expect("another schema");
    let ids = drifted.query("SELECT o.id, o.person FROM orders o ORDER BY id LIMIT 1", &[]).await;
    let ids = ids.expect("an order of that shard");
    let (order, person): (i32, i32) = (ids[0].get(0), ids[0].get(1));
    let of_order = format!(
        "SELECT o.amount::text || ' ' || p.height FROM orders o JOIN people p ON p.id = o.person
          WHERE o.id = {order} AND p.id BETWEEN {person} AND {person} + 0"
    );
    let people = drifted.query_one("SELECT id FROM people ORDER BY id LIMIT 1", &[]).await.expect("a person");
    let someone: i32 = people.get(0);
    let of_person = format!(
        "SELECT p.height::text || p.nick FROM people p JOIN orders o ON o.person = p.id + 0
          WHERE p.id = {someone} AND o.amount = 3"
    );
    let told = async |question: &str| -> Result<String, tokio_postgres::Error> {
        Ok(client.query_one(question, &[]).await?.get(0))
    };
    let height = format!("{}.00", 150 + person);
    let amount = order % 5;
    assert_eq!(told(&of_order).await.expect("an answer"), format!("{amount} {height}"));
    assert_eq!(told(&of_person).await.expect("an answer"), format!("{}.00nick", 150 + someone));

    for (change, back, question) in [
        ("ALTER TABLE orders ALTER amount TYPE real", "ALTER TABLE orders ALTER amount TYPE int", &of_order),
        (
            "ALTER TABLE orders ALTER amount TYPE date USING date '2020-01-01' + amount",
            "ALTER TABLE orders ALTER amount TYPE int USING amount - date '2020-01-01'",
            &of_order,
        ),
        (
            "ALTER TABLE people ALTER height TYPE numeric(6, 3) USING height + 0.004",
            "ALTER TABLE people ALTER height TYPE centimetres USING height - 0.004",
            &of_person,
        ),
    ] {
        drifted.batch_execute(change).await.expect(change);
        let error = told(question).await.expect_err(change);
        let error = error.as_db_error().expect("an error of SQL");
        assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED, "{change}: {error}");
        assert!(error.message().contains("disagree about the columns"), "{change}: {error}");
        drifted.batch_execute(back).await.expect(back);
        eventually("the tables are the same again", async || told(question).await.ok()).await;
    }
    // Another length of a text changes no value.
    drifted.batch_execute("ALTER TABLE people ALTER nick TYPE text").await.expect("a wider column");
    eventually("a text is a text", async || told(&of_person).await.ok()).await;
    nothing_is_left(&database).await;
}
