//! tokio-postgres: binary results, prepared statements throughout, pipelines by concurrent futures.

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use crate::harness::{connect, eventually};
use crate::stand::{Target, common};

/// A connection to each target, with a table of the test's own.
async fn with_table(target: &Target, table: &str) -> Client {
    let client = connect(&target.config()).await;
    client
        .batch_execute(&format!("CREATE TABLE {table} (id int PRIMARY KEY, v text)"))
        .await
        .expect("the server answers");
    client
}

#[tokio::test]
async fn prepared_statements_carry_binary_values() {
    for target in common().targets() {
        let client = connect(&target.config()).await;
        let statement = client
            .prepare("SELECT $1::int8, $2::text, $3::bool, $4::float8, $5::bytea, $6::int4[], $7::int2")
            .await
            .unwrap();
        for round in 0..3_i64 {
            let row = client
                .query_one(
                    &statement,
                    &[&round, &"x", &true, &1.5, &&b"\0\xff"[..], &vec![1, 2], &None::<i16>],
                )
                .await
                .unwrap();
            assert_eq!(
                (row.get::<_, i64>(0), row.get::<_, &str>(1), row.get::<_, bool>(2)),
                (round, "x", true)
            );
            assert_eq!((row.get::<_, f64>(3), row.get::<_, &[u8]>(4)), (1.5, &b"\0\xff"[..]));
            assert_eq!((row.get::<_, Vec<i32>>(5), row.get::<_, Option<i16>>(6)), (vec![1, 2], None));
        }
    }
}

#[tokio::test]
async fn statements_find_their_region_by_parameter() {
    for target in common().targets() {
        let client = connect(&target.config()).await;
        let one = client.prepare("SELECT name FROM places WHERE region = $1").await.unwrap();
        let regions = ["us-east", "us-west", "eu-central", "ap-south", "us-east"];
        let names = ["New York", "Los Angeles", "Berlin", "Mumbai", "New York"];
        for (region, name) in regions.iter().zip(names) {
            assert_eq!(client.query_one(&one, &[region]).await.unwrap().get::<_, &str>(0), name);
        }
        let all = client.query("SELECT id, region, name FROM places ORDER BY id", &[]).await.unwrap();
        assert_eq!(all.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let some = client.prepare("SELECT id FROM places WHERE region = ANY ($1) ORDER BY id").await.unwrap();
        let rows = client.query(&some, &[&vec!["ap-south", "us-east"]]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 4]);
        let none = client.query(&some, &[&Vec::<&str>::new()]).await.unwrap();
        assert!(none.is_empty());
    }
}

#[tokio::test]
async fn pipelined_queries_answer_in_order() {
    for target in common().targets() {
        let client = connect(&target.config()).await;
        let echo = client.prepare_typed("SELECT $1::int4", &[Type::INT4]).await.unwrap();
        let place = client.prepare("SELECT id FROM places WHERE region = $1").await.unwrap();
        let bad = client.prepare_typed("SELECT 1 / $1", &[Type::INT4]).await.unwrap();
        let answers = join_all((0..60).map(|number: i32| {
            let (client, echo, place, bad) = (&client, &echo, &place, &bad);
            async move {
                match number % 3 {
                    0 => client.query_one(echo, &[&number]).await.unwrap().get::<_, i32>(0) == number,
                    1 => client.query_one(place, &[&"us-west"]).await.unwrap().get::<_, i32>(0) == 2,
                    _ => {
                        client.query(bad, &[&0]).await.unwrap_err().code()
                            == Some(&SqlState::DIVISION_BY_ZERO)
                    }
                }
            }
        }));
        assert!(answers.await.into_iter().all(|right| right));
    }
}

#[tokio::test]
async fn transactions_and_savepoints_nest() {
    for target in common().targets() {
        let mut client = with_table(target, "driver_transactions").await;
        let count = "SELECT count(*) FROM driver_transactions";
        let mut transaction = client.transaction().await.unwrap();
        transaction.execute("INSERT INTO driver_transactions VALUES ($1, 'a')", &[&1]).await.unwrap();
        let savepoint = transaction.savepoint("within").await.unwrap();
        savepoint.execute("INSERT INTO driver_transactions VALUES ($1, 'b')", &[&2]).await.unwrap();
        let error =
            savepoint.execute("INSERT INTO driver_transactions VALUES ($1, 'b')", &[&2]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
        savepoint.rollback().await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1);
        let transaction = client.transaction().await.unwrap();
        transaction.execute("DELETE FROM driver_transactions", &[]).await.unwrap();
        // Dropped: rolled back.
        drop(transaction);
        assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1);
        client.batch_execute("DROP TABLE driver_transactions").await.unwrap();
    }
}

#[tokio::test]
async fn copy_goes_in_and_out() {
    for target in common().targets() {
        let client = with_table(target, "driver_copy").await;
        let sink = client.copy_in("COPY driver_copy FROM STDIN").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        for number in 0..1000 {
            sink.send(bytes::Bytes::from(format!("{number}\tv{number}\n"))).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 1000);
        let sink = client.copy_in("COPY driver_copy FROM STDIN (FORMAT binary)").await.unwrap();
        let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]));
        writer.as_mut().write(&[&5000, &"binary"]).await.unwrap();
        assert_eq!(writer.finish().await.unwrap(), 1);
        let out = client.copy_out("COPY driver_copy TO STDOUT").await.unwrap();
        let bytes: Vec<u8> = out.map_ok(|part| part.to_vec()).try_concat().await.unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1001);
        {
            // A sink that is dropped gives up.
            let sink = client.copy_in("COPY driver_copy FROM STDIN").await.unwrap();
            let mut sink = std::pin::pin!(sink);
            sink.send(bytes::Bytes::from_static(b"7777\tx\n")).await.unwrap();
        }
        let row = client.query_one("SELECT count(*) FROM driver_copy", &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 1001);
        client.batch_execute("DROP TABLE driver_copy").await.unwrap();
    }
}

#[tokio::test]
async fn cancel_ends_the_statement_and_not_the_connection() {
    for target in common().targets() {
        let client = connect(&target.config()).await;
        for statement in
            ["SELECT pg_sleep(60)", "SELECT count(pg_sleep(60)) FROM places WHERE region = 'ap-south'"]
        {
            let token = client.cancel_token();
            let cancelled = async {
                // The statement may not have begun: it is asked again.
                loop {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    token.cancel_query(NoTls).await.unwrap();
                }
            };
            let error = tokio::select! {
                answer = client.query(statement, &[]) => answer.unwrap_err(),
                () = cancelled => unreachable!(),
            };
            assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
            // A late cancel may hit the next statement.
            eventually("the connection answers", async || client.query_one("SELECT 1", &[]).await.ok()).await;
        }
    }
}

#[tokio::test]
async fn portals_give_rows_in_parts() {
    for target in common().targets() {
        let mut client = connect(&target.config()).await;
        let transaction = client.transaction().await.unwrap();
        let statement = transaction.prepare("SELECT generate_series(1, $1)").await.unwrap();
        let portal = transaction.bind(&statement, &[&25]).await.unwrap();
        let mut seen = Vec::new();
        loop {
            let rows = transaction.query_portal(&portal, 10).await.unwrap();
            // Others between the parts.
            transaction.query_one("SELECT 1", &[]).await.unwrap();
            if rows.is_empty() {
                break;
            }
            seen.push(rows.len());
        }
        assert_eq!(seen, [10, 10, 5]);
        transaction.commit().await.unwrap();
    }
}

#[tokio::test]
async fn large_results_stream() {
    for target in common().targets() {
        let client = connect(&target.config()).await;
        let none: [i32; 0] = [];
        let rows =
            client.query_raw("SELECT repeat('x', 1000) FROM generate_series(1, 20000)", none).await.unwrap();
        let mut rows = std::pin::pin!(rows);
        let mut bytes = 0;
        while let Some(row) = rows.next().await {
            bytes += row.unwrap().get::<_, &str>(0).len();
        }
        assert_eq!(bytes, 20_000_000);
    }
}

#[tokio::test]
async fn many_clients_share_few_servers() {
    for target in common().targets() {
        let clients = join_all((0..60).map(|_| async { connect(&target.config()).await })).await;
        let answers = join_all(clients.iter().enumerate().map(|(number, client)| async move {
            let number = number as i32;
            client.batch_execute(&format!("SET application_name = 'client {number}'")).await.unwrap();
            let statement =
                client.prepare("SELECT $1::int4, current_setting('application_name')").await.unwrap();
            for _ in 0..5 {
                let row = client.query_one(&statement, &[&number]).await.unwrap();
                assert_eq!(row.get::<_, i32>(0), number);
                assert_eq!(row.get::<_, &str>(1), format!("client {number}"));
            }
        }));
        answers.await;
    }
}
