//! sqlx: a pool, prepared statements that it caches and closes, transactions, COPY, LISTEN.

use sqlx::postgres::{PgListener, PgPool, PgPoolCopyExt, PgPoolOptions};
use sqlx::{Connection, Executor, Row};

use crate::stand::{Target, common};

async fn pool(target: &Target) -> PgPool {
    PgPoolOptions::new().max_connections(3).connect(&target.url()).await.expect("the server answers")
}

#[tokio::test]
async fn prepared_statements_carry_values() {
    for target in common().targets() {
        let pool = pool(target).await;
        for _ in 0..4 {
            let row = sqlx::query("SELECT $1 + 1 AS n, $2 AS t, $3 AS b, $4 AS f, $5 AS raw, $6 AS list")
                .bind(41_i64)
                .bind("text")
                .bind(true)
                .bind(2.5_f64)
                .bind(vec![0_u8, 255])
                .bind(vec!["a".to_owned(), "b".to_owned()])
                .fetch_one(&pool)
                .await
                .unwrap();
            assert_eq!(
                (row.get::<i64, _>("n"), row.get::<&str, _>("t"), row.get::<bool, _>("b")),
                (42, "text", true)
            );
            assert_eq!((row.get::<f64, _>("f"), row.get::<Vec<u8>, _>("raw")), (2.5, vec![0, 255]));
            assert_eq!(row.get::<Vec<String>, _>("list"), ["a", "b"]);
        }
        let name: String = sqlx::query_scalar("SELECT name FROM places WHERE region = $1")
            .bind("eu-central")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(name, "Berlin");
        let ids: Vec<i32> =
            sqlx::query_scalar("SELECT id FROM places ORDER BY id").fetch_all(&pool).await.unwrap();
        assert_eq!(ids, [1, 2, 3, 4]);
        pool.close().await;
    }
}

#[tokio::test]
async fn transactions_commit_and_roll_back() {
    for target in common().targets() {
        let pool = pool(target).await;
        pool.execute("CREATE TABLE sqlx_t (id int PRIMARY KEY, v text)").await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO sqlx_t VALUES ($1, $2)")
            .bind(1)
            .bind("a")
            .execute(&mut *transaction)
            .await
            .unwrap();
        {
            let mut nested = transaction.begin().await.unwrap();
            sqlx::query("INSERT INTO sqlx_t VALUES ($1, $2)")
                .bind(2)
                .bind("b")
                .execute(&mut *nested)
                .await
                .unwrap();
            nested.rollback().await.unwrap();
        }
        transaction.commit().await.unwrap();
        let dropped = pool.begin().await.unwrap();
        drop(dropped);
        let error = sqlx::query("INSERT INTO sqlx_t VALUES (1, 'again')").execute(&pool).await.unwrap_err();
        assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("23505"));
        let ids: Vec<i32> = sqlx::query_scalar("SELECT id FROM sqlx_t").fetch_all(&pool).await.unwrap();
        assert_eq!(ids, [1]);
        pool.execute("DROP TABLE sqlx_t").await.unwrap();
        pool.close().await;
    }
}

#[tokio::test]
async fn copy_and_statement_cache() {
    for target in common().targets() {
        let pool = pool(target).await;
        pool.execute("CREATE TABLE sqlx_copy (id int PRIMARY KEY, v text)").await.unwrap();
        let mut copy = pool.copy_in_raw("COPY sqlx_copy FROM STDIN (FORMAT csv)").await.unwrap();
        copy.send(&b"1,one\n2,two\n"[..]).await.unwrap();
        assert_eq!(copy.finish().await.unwrap(), 2);
        let mut copy = pool.copy_in_raw("COPY sqlx_copy FROM STDIN (FORMAT csv)").await.unwrap();
        copy.send(&b"3,three\n"[..]).await.unwrap();
        copy.abort("no").await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        // More statements than the cache holds: the driver closes the oldest.
        for number in 0..150 {
            let text = format!("SELECT count(*) + {number} FROM sqlx_copy");
            let count: i64 = sqlx::query_scalar(&text).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(count, 2 + number);
        }
        connection.clear_cached_statements().await.unwrap();
        connection.ping().await.unwrap();
        drop(connection);
        pool.execute("DROP TABLE sqlx_copy").await.unwrap();
        pool.close().await;
    }
}

#[tokio::test]
async fn listener_hears() {
    for target in common().targets() {
        let pool = pool(target).await;
        let mut listener = PgListener::connect_with(&pool).await.unwrap();
        listener.listen("sqlx channel").await.unwrap();
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind("sqlx channel")
            .bind("hello")
            .execute(&pool)
            .await
            .unwrap();
        let heard = tokio::time::timeout(std::time::Duration::from_secs(10), listener.recv()).await;
        let heard = heard.expect("the notification comes").unwrap();
        assert_eq!((heard.channel(), heard.payload()), ("sqlx channel", "hello"));
        drop(listener);
        pool.close().await;
    }
}
