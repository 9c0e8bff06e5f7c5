//! The demonstration without the proxy: the same statements on one PostgreSQL that holds all rows.
//!
//! What the generator computes and what PostgreSQL answers must agree here before they can be asked to agree through
//! Meridian. Only the last question differs: one PostgreSQL knows nothing of areas, and takes the row.

use std::net::TcpListener;
use std::time::Duration;

use meridian::demo::cluster::{APP_DATABASE, Relay};
use meridian::demo::data::{Dataset, Table};
use meridian::demo::{DemoOptions, Progress, ask, client_config, load, questions, run};

use crate::harness::{TemporaryDirectory, cluster, eventually, free_port, try_connect};

#[tokio::test]
async fn one_postgres_gives_the_computed_answers() {
    let cluster = cluster().region("us-east").start();
    let config = cluster.shard("us-east").primary().app(APP_DATABASE);
    let dataset = Dataset::new(42, 3400);
    let questions = questions(&dataset);
    // The second load replaces the first.
    for _ in 0..2 {
        load(&config, dataset, &Progress::silent()).await.unwrap();
    }
    ask(&config, &questions[..5], &Progress::silent()).await.unwrap();
    let error = ask(&config, &questions, &Progress::silent()).await.unwrap_err();
    assert!(error.to_string().contains("1 of 6"), "{error:#}");
}

#[tokio::test]
async fn rows_agree_in_the_eyes_of_postgres() {
    let cluster = cluster().region("us-east").start();
    let config = cluster.shard("us-east").primary().app(APP_DATABASE);
    let dataset = Dataset::new(7, 3400);
    load(&config, dataset, &Progress::silent()).await.unwrap();
    let client = cluster.direct("us-east").await;
    let count = async |sql: &str| -> i64 { client.query_one(sql, &[]).await.unwrap().get(0) };
    for table in Table::ALL {
        let rows = count(&format!("SELECT count(*) FROM {}", table.name())).await;
        assert_eq!(rows as u64, dataset.rows(table), "{}", table.name());
    }
    let violations = [
        "SELECT count(*) FROM rides LEFT JOIN users USING (user_id, region) WHERE users.name IS NULL",
        "SELECT count(*) FROM rides LEFT JOIN drivers USING (driver_id, region)
         WHERE rides.driver_id IS NOT NULL AND drivers.name IS NULL",
        "SELECT count(*) FROM rides JOIN regions ON region = region_code
         WHERE NOT (pickup_lat >= lat_min AND pickup_lat < lat_max AND pickup_lon >= lon_min AND pickup_lon < lon_max)",
        "SELECT count(*) FROM rides WHERE abs(distance_km::float8 - 2 * 6371 * asin(sqrt(
             sind((dropoff_lat - pickup_lat) / 2) ^ 2
             + cosd(pickup_lat) * cosd(dropoff_lat) * sind((dropoff_lon - pickup_lon) / 2) ^ 2))) > 0.006",
    ];
    for violation in violations {
        assert_eq!(count(violation).await, 0, "{violation}");
    }
}

#[tokio::test]
async fn the_command_starts_loads_asks_and_stops() {
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        demo: DemoOptions,
    }

    let directory = TemporaryDirectory::new();
    let listen = format!("127.0.0.1:{}", free_port());
    let directory = directory.path().to_str().unwrap();
    let flags = ["demo", "--listen", &listen, "--data-dir", directory, "--rows", "1000"];
    let flags = flags.into_iter().chain(["--replicas", "1", "--once", "--quiet"]);
    let options = Command::try_parse_from(flags).unwrap().demo;
    // In the place of the proxy, one of the servers.
    let start_proxy = async |configuration: String| {
        let configuration: toml::Table = configuration.parse()?;
        assert_eq!(configuration["proxy"]["listen"].as_str(), Some(listen.as_str()));
        let server = configuration["shards"][0]["nodes"][0].as_str().unwrap().parse()?;
        Ok(Relay::start_on(TcpListener::bind(&listen)?, server, Duration::ZERO)?)
    };
    // The second run finds the data of the first, and with them the row that PostgreSQL did not refuse.
    for wrong in ["1 of 6 answers were wrong", "3 of 6 answers were wrong"] {
        let error = run(options.clone(), start_proxy, std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), wrong, "{error:#}");
    }
    let served = DemoOptions { once: false, ..options };
    let config = client_config(&served);
    let end = async {
        eventually("the demonstration serves", async || try_connect(&config).await.ok()).await;
        Ok(())
    };
    run(served, start_proxy, end).await.unwrap();
    assert!(try_connect(&config).await.is_err());
}
