//! A server that is lost, or fails, behind its answer: the client has heard that its statement is done, and Meridian still waits for the
//! answer to its own question, up to where the log was written.

use crate::harness::{Meridian, TestCluster, cluster, connect, eventually, meridian};
use crate::stand::{Kind, RawClient, Target, extended, query};

const TABLES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n";

/// In the place of the function that Meridian asks for the position.
const LOST_WHEN_ASKED: &str = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60);";
/// As where a cancel comes late, or the role may not call it.
const FAILS_WHEN_ASKED: &str = "RAISE EXCEPTION 'no';";
const SILENT_WHEN_ASKED: &str = "PERFORM pg_sleep(60);";

/// One shard with a replica, so that positions are asked for; relays before its nodes.
async fn start() -> (TestCluster, Meridian) {
    let cluster = cluster().region("us-east").replicas(1).relayed().start();
    let meridian = meridian(&cluster).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    client.batch_execute("CREATE TABLE places (id int, region text NOT NULL)").await.expect("it is made");
    (cluster, meridian)
}

/// Superusers may name a function of PostgreSQL's otherwise.
async fn replace(cluster: &TestCluster, body: &str) {
    let superuser = connect(&cluster.shard("us-east").primary().superuser("demo")).await;
    let sql = format!(
        "ALTER FUNCTION pg_catalog.pg_current_wal_insert_lsn() RENAME TO original; \
         CREATE FUNCTION pg_catalog.pg_current_wal_insert_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS $$ \
         BEGIN {body} RETURN NULL; END $$"
    );
    superuser.batch_execute(&sql).await.expect("it is replaced");
}

async fn put_back(cluster: &TestCluster) {
    let superuser = connect(&cluster.shard("us-east").primary().superuser("demo")).await;
    let sql = "DROP FUNCTION pg_catalog.pg_current_wal_insert_lsn(); \
               ALTER FUNCTION pg_catalog.original() RENAME TO pg_current_wal_insert_lsn";
    superuser.batch_execute(sql).await.expect("it is put back");
}

fn tags(client: &mut RawClient) -> String {
    client.until_ready().iter().map(|message| char::from(message.tag)).filter(|tag| *tag != 'S').collect()
}

#[tokio::test]
async fn an_answer_that_was_given_is_not_followed_by_an_error() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let (cluster, meridian) = start().await;
    let target =
        Target { kind: Kind::Meridian, port: meridian.address().port(), database: "demo".to_owned() };
    let count = |client: &mut RawClient| client.value("SELECT count(*) FROM places WHERE region = 'us-east'");
    // Those that were cut off sleep on.
    let (mut written, mut asleep) = (0, 0);
    for body in [LOST_WHEN_ASKED, FAILS_WHEN_ASKED, SILENT_WHEN_ASKED] {
        replace(&cluster, body).await;
        for (form, messages, expected) in [
            ("simple", query("INSERT INTO places VALUES (1, 'us-east')"), "CZ"),
            ("extended", extended("INSERT INTO places VALUES (1, 'us-east')"), "12CZ"),
            ("several", query("INSERT INTO places VALUES (1, 'us-east'); SELECT 1"), "CTDCZ"),
            ("block", query("BEGIN; INSERT INTO places VALUES (1, 'us-east'); COMMIT"), "CCCZ"),
        ] {
            let mut client = RawClient::connect(&target, &[]).expect("it logs in");
            let cut = body == SILENT_WHEN_ASKED;
            client.send(&messages);
            if cut {
                asleep += 1;
                eventually("the server is asked for the position", async || {
                    let asked = "SELECT FROM pg_stat_activity WHERE query LIKE '%pg_current_wal_insert_lsn%' \
                                 AND wait_event = 'PgSleep'";
                    cluster.shard("us-east").primary().sql(asked).ok().filter(|rows| rows.len() == asleep)
                })
                .await;
                cluster.shard("us-east").primary().relay().expect("there is one").reset_connections();
            }
            assert_eq!(tags(&mut client), expected, "{form}, cut: {cut}");
            written += 1;
            // What follows is the answer to the next statement, and nothing else; that one asks no server.
            client.send(&query("SHOW meridian.consistency"));
            assert_eq!(tags(&mut client), "TDCZ", "{form}, cut: {cut}");
            // Idle connections were cut, too, which the next reader may be the first to notice.
            let counted = eventually("it is counted", async || count(&mut client)).await;
            assert_eq!(counted, written.to_string(), "{form}, cut: {cut}");
        }
        put_back(&cluster).await;
    }
}
