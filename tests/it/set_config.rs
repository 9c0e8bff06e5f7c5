//! Applications' own parameters, set by function and read by row level security: on every shard, and by no other session.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::harness::{Database, Meridian, connect, database, meridian};

const TABLES: &str = "[[tables]]\nname = \"notes\"\nplacement = \"hash\"\nkey = \"id\"\n";

/// Rows of three owners, on all shards.
const SCHEMA: &str = "
CREATE TABLE notes (id int PRIMARY KEY, owner text, body text);
CREATE TABLE plain (id int PRIMARY KEY, owner text);
INSERT INTO plain SELECT n, 'ann' FROM generate_series(1, 3) n;
";

const POLICY: &str = "
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = current_setting('app.owner', true));
";

const COUNT: &str = "SELECT count(*) FROM notes";

const SET: &str = "SELECT set_config('app.owner', $1, true)";

async fn start() -> (Database, Meridian) {
    let database = database().await;
    let described = meridian(&database.cluster).database(&database.name).tables(TABLES);
    let meridian = described.one_connection().start();
    let client = connect(&meridian.app()).await;
    client.batch_execute(SCHEMA).await.expect("the schema");
    for id in 0..60 {
        let owner = ["ann", "bob", "cat"][id % 3];
        let note = format!("INSERT INTO notes VALUES ({id}, '{owner}', 'note {id}')");
        client.batch_execute(&note).await.expect("a note");
    }
    client.batch_execute(POLICY).await.expect("the policy");
    (database, meridian)
}

async fn one(client: &Client, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Row {
    client.query_one(sql, values).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

async fn seen(client: &Client) -> i64 {
    one(client, COUNT, &[]).await.get(0)
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

#[tokio::test]
async fn what_a_transaction_sets_by_function_holds_on_every_shard_to_its_end() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let other = connect(&meridian.app()).await;
    let calls: [(&str, &[&(dyn ToSql + Sync)]); 5] = [
        (SET, &[&"ann"]),
        ("SELECT set_config($1, $2, true)", &[&"app.owner", &"ann"]),
        ("SELECT set_config($1, $2, $3)", &[&"App.Owner", &"ann", &true]),
        ("SELECT set_config('app.owner', 'ann', true)", &[]),
        ("SELECT set_config('app.owner', owner, true) FROM plain WHERE id = 1", &[]),
    ];
    for (call, values) in calls {
        assert_eq!(seen(&client).await, 0, "before {call}");
        run(&client, "BEGIN").await;
        let row = one(&client, call, values).await;
        assert_eq!(row.get::<_, String>(0), "ann", "{call}");
        assert_eq!(seen(&client).await, 20, "{call}");
        // Also where rows are gathered, and on the shard of one row.
        let joined = "SELECT count(*) FROM notes a JOIN notes b ON b.id = a.id + 3";
        assert_eq!(one(&client, joined, &[]).await.get::<_, i64>(0), 19, "{call}");
        for id in [3, 6, 9, 12, 15] {
            let row = one(&client, "SELECT count(*) FROM notes WHERE id = $1", &[&id]).await;
            assert_eq!(row.get::<_, i64>(0), 1, "{call}: {id}");
        }
        run(&client, "COMMIT").await;
        assert_eq!(seen(&client).await, 0, "after {call}");
        assert_eq!(seen(&other).await, 0, "{call}, another session");
    }
}

#[tokio::test]
async fn a_transaction_may_write_elsewhere_than_where_it_has_set() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    for id in [3, 6, 9, 12, 15, 18] {
        run(&client, "BEGIN").await;
        one(&client, SET, &[&"ann"]).await;
        let update = "UPDATE notes SET body = 'written' WHERE id = $1";
        assert_eq!(client.execute(update, &[&id]).await.expect(update), 1, "{id}");
        run(&client, "ROLLBACK").await;
        let of_bob = client.execute("UPDATE notes SET body = 'written' WHERE id = $1", &[&(id + 1)]).await;
        assert_eq!(of_bob.expect(update), 0, "nobody's, behind the transaction");
    }
    // Outside of a transaction it is nothing.
    one(&client, SET, &[&"ann"]).await;
    assert_eq!(seen(&client).await, 0);
}

#[tokio::test]
async fn savepoints_go_back_to_what_was_set_before_them() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let owner = "SELECT min(owner), max(owner), count(*) FROM notes";
    let all_of = async |name: &str| {
        let row = one(&client, owner, &[]).await;
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1), row.get::<_, i64>(2)), (name, name, 20));
    };
    for early in [false, true] {
        run(&client, "BEGIN").await;
        one(&client, SET, &[&"ann"]).await;
        if early {
            all_of("ann").await;
        }
        run(&client, "SAVEPOINT a").await;
        one(&client, SET, &[&"bob"]).await;
        if early {
            all_of("bob").await;
        }
        run(&client, "ROLLBACK TO a").await;
        all_of("ann").await;
        one(&client, SET, &[&"cat"]).await;
        run(&client, "RELEASE a").await;
        all_of("cat").await;
        run(&client, "COMMIT").await;
    }
}

#[tokio::test]
async fn what_a_session_sets_by_function_follows_it_and_nobody_else() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let other = connect(&meridian.app()).await;
    one(&client, "SELECT set_config('app.owner', $1, false)", &[&"bob"]).await;
    one(&other, "SELECT set_config($1, 'cat', false)", &[&"app.owner"]).await;
    for _ in 0..3 {
        assert_eq!(seen(&client).await, 20);
        assert_eq!(one(&client, "SELECT max(owner) FROM notes", &[]).await.get::<_, &str>(0), "bob");
        assert_eq!(one(&other, "SELECT max(owner) FROM notes", &[]).await.get::<_, &str>(0), "cat");
    }
    // A transaction's own hides it, and goes.
    run(&client, "BEGIN").await;
    one(&client, SET, &[&"ann"]).await;
    assert_eq!(one(&client, "SELECT max(owner) FROM notes", &[]).await.get::<_, &str>(0), "ann");
    run(&client, "ROLLBACK").await;
    assert_eq!(one(&client, "SELECT max(owner) FROM notes", &[]).await.get::<_, &str>(0), "bob");
    // What is set in a transaction for the session stays if it is committed.
    for (end, owner) in [("ROLLBACK", "bob"), ("COMMIT", "ann")] {
        run(&client, "BEGIN").await;
        one(&client, "SELECT set_config('app.owner', $1, false)", &[&"ann"]).await;
        assert_eq!(seen(&client).await, 20);
        run(&client, end).await;
        let row = one(&client, "SELECT max(owner), current_setting('app.owner') FROM notes", &[]).await;
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (owner, owner), "{end}");
    }
    run(&client, "RESET app.owner").await;
    assert_eq!(seen(&client).await, 0);
    assert_eq!(seen(&other).await, 20);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    for call in [
        "SELECT set_config('app.' || 'owner', 'ann', true)",
        "SELECT set_config('meridian.consistency', 'eventual', false)",
        "SELECT set_config('transaction_isolation', 'serializable', true)",
        "SELECT set_config(owner, 'x', true) FROM plain",
    ] {
        let error = client.query(call, &[]).await.expect_err(call);
        assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{call}");
    }
    let error =
        client.query("SELECT set_config($1, 'x', true)", &[&"Meridian.region"]).await.expect_err("its own");
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    assert_eq!(seen(&client).await, 0);
}

/// What is set is named by the function's own text, or by that of DO.
#[tokio::test]
async fn what_a_function_sets_holds_on_every_shard_too() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let other = connect(&meridian.app()).await;
    for (name, local) in [("for_transaction", true), ("for_session", false)] {
        let function = format!(
            "CREATE FUNCTION {name}(x text) RETURNS text LANGUAGE plpgsql AS \
             $$BEGIN PERFORM set_config('app.owner', x, {local}); RETURN x; END$$"
        );
        run(&client, &function).await;
    }
    run(&client, "CREATE FUNCTION through(x text) RETURNS text LANGUAGE sql AS 'SELECT for_transaction(x)'")
        .await;
    for call in [
        "SELECT for_transaction('ann')",
        "SELECT through('ann')",
        "DO $$BEGIN PERFORM set_config('app.owner', 'ann', true); END$$",
        "DO $$BEGIN SET LOCAL app.owner = 'ann'; END$$",
        "DO $$BEGIN PERFORM for_transaction('ann'); END$$",
    ] {
        for first in [false, true] {
            run(&client, "BEGIN").await;
            if first {
                assert_eq!(seen(&client).await, 0, "{call}");
            }
            run(&client, call).await;
            assert_eq!(seen(&client).await, 20, "{call}, {first}");
            run(&client, "COMMIT").await;
            assert_eq!(seen(&client).await, 0, "after {call}");
        }
    }
    for call in [
        "SELECT for_session('bob')",
        "DO $$BEGIN PERFORM set_config('app.owner', 'bob', false); END$$",
        "DO $$BEGIN SET app.owner = 'bob'; END$$",
    ] {
        run(&client, call).await;
        for _ in 0..2 {
            assert_eq!(
                one(&client, "SELECT max(owner) FROM notes", &[]).await.get::<_, &str>(0),
                "bob",
                "{call}"
            );
            assert_eq!(seen(&other).await, 0, "{call}");
        }
        run(&client, "RESET app.owner").await;
        assert_eq!(seen(&client).await, 0, "{call}");
    }
}
