//! REPEATABLE READ and SERIALIZABLE over several shards: a transaction sees what it saw first, or is refused.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::harness::{Database, Meridian, connect, database, eventually, meridian};

const TABLES: &str = "[[tables]]\nname = \"accounts\"\nplacement = \"region\"\nkey = \"region\"\n\n\
    [[tables]]\nname = \"payments\"\nplacement = \"region\"\nkey = \"region\"\n\n\
    [[tables]]\nname = \"kinds\"\nplacement = \"reference\"\n";

const SCHEMA: &str = "
CREATE TABLE accounts (region text, id int, kind int, balance int, PRIMARY KEY (region, id));
CREATE TABLE payments (region text, id int, account int, PRIMARY KEY (region, id));
CREATE TABLE kinds (kind int PRIMARY KEY, name text);
";

const REGIONS: [&str; 4] = ["us-east", "us-west", "eu-central", "ap-south"];

/// One for each way of an answer: merged, gathered, gathered beside a reference table, of one shard, of any.
pub const QUESTIONS: [&str; 5] = [
    "SELECT count(*)::text || ' ' || sum(balance)::text FROM accounts",
    "SELECT string_agg(a.region || a.id || b.balance, ',' ORDER BY a.region, a.id, b.region, b.id)
       FROM accounts a JOIN accounts b ON a.balance = b.balance",
    "SELECT string_agg(name || b.id, ',' ORDER BY a.region, a.id, b.region, b.id)
       FROM accounts a JOIN accounts b ON a.balance = b.balance JOIN kinds k ON k.kind = b.kind",
    "SELECT string_agg(balance::text, ',' ORDER BY id) FROM accounts WHERE region = 'eu-central'",
    "SELECT string_agg(name, ',' ORDER BY kind) FROM kinds",
];

pub const CHANGES: [&str; 4] = [
    "INSERT INTO accounts VALUES ('us-west', 9, 1, 5)",
    "UPDATE accounts SET balance = balance + 1 WHERE region = 'eu-central'",
    "DELETE FROM accounts WHERE region = 'ap-south' AND id = 1",
    "UPDATE kinds SET name = name || '!'",
];

pub async fn start() -> (Database, Meridian) {
    start_with("").await
}

pub async fn start_with(users: &str) -> (Database, Meridian) {
    let database = database().await;
    let meridian = serving(&database, users);
    let client = connect(&meridian.app()).await;
    client.batch_execute(SCHEMA).await.expect("the schema");
    client.batch_execute("INSERT INTO kinds VALUES (1, 'one'), (2, 'two')").await.expect("kinds");
    for (number, region) in REGIONS.iter().enumerate() {
        for id in 0..3 {
            let account = format!("INSERT INTO accounts VALUES ('{region}', {id}, {}, {number})", id % 2 + 1);
            client.batch_execute(&account).await.expect("an account");
        }
    }
    (database, meridian)
}

pub fn serving(database: &Database, users: &str) -> Meridian {
    meridian(&database.cluster).database(&database.name).tables(&format!("{TABLES}{users}")).start()
}

pub async fn answers(client: &Client) -> Vec<String> {
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(client.query_one(question, &[]).await.expect(question).get(0));
    }
    answers
}

async fn refused(client: &Client, sql: &str) {
    let error = client.query(sql, &[]).await.expect_err(sql);
    let error = error.as_db_error().expect("an error of SQL");
    assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED, "{sql}");
    assert!(error.message().contains("does not see"), "{error}");
}

#[tokio::test]
async fn a_repeatable_read_sees_all_shards_as_they_were() {
    let (_database, meridian) = start().await;
    let (reader, writer) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    // Each of them may be the first statement, as may one that asks for no rows of ours; and so may a command.
    let firsts =
        [QUESTIONS[0], QUESTIONS[1], QUESTIONS[4], "SELECT 1", "LOCK TABLE kinds IN ACCESS SHARE MODE"];
    for (round, first) in firsts.iter().enumerate() {
        let modes = if round % 2 == 0 { "" } else { ", READ ONLY" };
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ{modes}; SHOW search_path");
        let before = answers(&writer).await;
        reader.batch_execute(&begin).await.expect("a transaction");
        reader.batch_execute(first).await.expect(first);
        for change in CHANGES {
            writer.batch_execute(change).await.expect(change);
        }
        assert_eq!(answers(&reader).await, before, "after {first}");
        assert_ne!(answers(&writer).await, before, "of which the writer sees the new");
        reader.batch_execute("COMMIT").await.expect("an end");
        assert_eq!(answers(&reader).await, answers(&writer).await);
        writer.batch_execute("DELETE FROM accounts WHERE region = 'us-west' AND id = 9").await.expect("gone");
        writer.batch_execute("INSERT INTO accounts VALUES ('ap-south', 1, 2, 3)").await.expect("back");
    }
}

#[tokio::test]
async fn it_sees_its_own_writes_and_no_others() {
    let (_database, meridian) = start().await;
    let (one, other) = (connect(&meridian.app()).await, connect(&meridian.app()).await);
    one.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.expect("a transaction");
    let before = answers(&one).await;
    other.batch_execute(CHANGES[1]).await.expect("a change elsewhere");
    one.batch_execute("SAVEPOINT s; INSERT INTO accounts VALUES ('us-west', 7, 1, 100)")
        .await
        .expect("a row");
    let count: String = one.query_one(QUESTIONS[0], &[]).await.expect("a count").get(0);
    assert_eq!(count, "13 118", "12 accounts with 18, and its own");
    one.batch_execute("ROLLBACK TO s").await.expect("back");
    assert_eq!(answers(&one).await, before);
    one.batch_execute("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ").await.expect("another");
    answers(&one).await;
    other.batch_execute(CHANGES[1]).await.expect("a change elsewhere");
    // What has been changed since cannot be changed by it.
    let error = one.batch_execute("UPDATE accounts SET balance = 0 WHERE region = 'eu-central'").await;
    assert_eq!(error.expect_err("a conflict").code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE));
    one.batch_execute("ROLLBACK").await.expect("an end");
}

#[tokio::test]
async fn one_that_began_on_a_shard_stays_there() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let begin = format!("BEGIN ISOLATION LEVEL {level}");
        for refusal in [QUESTIONS[0], "SELECT FROM accounts WHERE region = 'us-west'"] {
            client.batch_execute(&begin).await.expect("a transaction");
            client.batch_execute(QUESTIONS[3]).await.expect("a shard's own question");
            client.batch_execute("SELECT 1; SHOW work_mem").await.expect("what reads no rows of ours");
            client.batch_execute(QUESTIONS[4]).await.expect("a reference table is there, too");
            refused(&client, refusal).await;
            client.batch_execute("ROLLBACK").await.expect("an end");
        }
        // What is written everywhere brings no other shard into sight.
        client.batch_execute(&begin).await.expect("a transaction");
        client.batch_execute(QUESTIONS[3]).await.expect("a shard's own question");
        client.batch_execute("INSERT INTO kinds VALUES (3, 'three')").await.expect("a row everywhere");
        client.batch_execute(QUESTIONS[4]).await.expect("where it has been");
        refused(&client, QUESTIONS[0]).await;
        client.batch_execute("ROLLBACK").await.expect("an end");
    }
    client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE").await.expect("a transaction");
    refused(&client, QUESTIONS[0]).await;
    client.batch_execute("ROLLBACK").await.expect("an end");
}

/// Its tables are gathered one after the other: what commits on a shard in between is seen in none of them.
#[tokio::test]
async fn a_gathered_statement_sees_each_shard_once() {
    let (database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let mut writer = database.direct("eu-central").await;
    for (id, ends) in [(77, "COMMIT"), (78, "ROLLBACK")] {
        let write = writer.transaction().await.expect("a transaction");
        write.batch_execute("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
        let orphans = "SELECT count(*) FROM payments p WHERE NOT EXISTS
                         (SELECT FROM accounts a WHERE a.id = p.account AND a.balance >= 0)";
        let asked = client.query_one(orphans, &[]);
        let changed = async {
            let server = database.direct("eu-central").await;
            let waiting =
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'payments'::regclass";
            eventually("the second table is asked for", async || {
                (server.query_one(waiting, &[]).await.expect("locks").get::<_, i64>(0) > 0).then_some(())
            })
            .await;
            let rows = format!(
                "INSERT INTO accounts VALUES ('eu-central', {id}, 1, 1);
                 INSERT INTO payments VALUES ('eu-central', {id}, {id}); {ends}"
            );
            write.batch_execute(&rows).await.expect("rows");
        };
        let (counted, ()) = tokio::join!(asked, changed);
        assert_eq!(counted.expect("a count").get::<_, i64>(0), 0, "neither row, or both");
        assert_eq!(client.query_one(orphans, &[]).await.expect("a count").get::<_, i64>(0), 0);
    }
}

#[tokio::test]
async fn a_gathered_statement_that_fails_leaves_no_transaction() {
    let (database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    for row in ["'us-west', 1, 0", "'eu-central', 1, 1"] {
        client.batch_execute(&format!("INSERT INTO payments VALUES ({row})")).await.expect("a payment");
    }
    client.batch_execute("SET work_mem = '7MB'").await.expect("a setting that travels with the statement");
    let failing = "SELECT count(*) FROM accounts a JOIN payments p ON p.account = a.id AND 1 / p.account > 0";
    for _ in 0..3 {
        let error = client.query(failing, &[]).await.expect_err("a division by zero");
        assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
        let sum = "SELECT count(*) FROM accounts a JOIN payments p ON p.account = a.id + 0";
        assert_eq!(client.query_one(sum, &[]).await.expect("a count").get::<_, i64>(0), 8);
        for region in REGIONS {
            let setting =
                format!("SELECT current_setting('work_mem') FROM accounts WHERE region = '{region}'");
            assert_eq!(client.query(&setting, &[]).await.expect("rows")[0].get::<_, &str>(0), "7MB");
        }
    }
    for region in REGIONS {
        let server = database.direct(region).await;
        let open = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        assert_eq!(server.query_one(open, &[]).await.expect("a count").get::<_, i64>(0), 0, "{region}");
    }
}
