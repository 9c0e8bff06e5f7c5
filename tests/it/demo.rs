//! The demonstration without the proxy: the same statements on one PostgreSQL that holds all rows.
//!
//! What the generator computes and what PostgreSQL answers must agree here before they can be asked to agree through
//! Meridian. Only the last question differs: one PostgreSQL knows nothing of areas, and takes the row.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER, Relay};
use meridian::demo::data::{Dataset, Table};
use meridian::demo::{DemoOptions, Progress, ask, client_config, load, questions, run};

use crate::harness::{TemporaryDirectory, cluster, eventually, free_port, spawn_for_life, try_connect};

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

/// Processes that were started with this directory in their words.
fn processes_of(directory: &Path) -> Vec<String> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let words = all.flatten().filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let words = words.map(|words| String::from_utf8_lossy(&words).replace('\0', " "));
    words.filter(|words| words.contains(&*directory.to_string_lossy())).collect()
}

fn start_demo(directory: &Path, port: u16, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    command.args(["demo", "--rows", "30000", "--replicas", "0", "--listen", &format!("127.0.0.1:{port}")]);
    command.arg("--data-dir").arg(directory).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn_for_life(command)
}

async fn ended(demo: &mut Child) -> ExitStatus {
    eventually("the demonstration ends", async || demo.try_wait().ok().flatten()).await
}

#[tokio::test]
async fn signals_end_it_at_any_moment_and_it_starts_again() {
    let root = TemporaryDirectory::new();
    let directory = root.path().join("servers");
    let port = free_port();
    let mut clients = tokio_postgres::Config::new();
    clients.host("127.0.0.1").port(port).user(APP_USER).password(APP_PASSWORD).dbname(APP_DATABASE);
    let rides = async || -> Option<i64> {
        let client = try_connect(&clients).await.ok()?;
        client.query_one("SELECT count(*) FROM rides", &[]).await.ok().map(|row| row.get(0))
    };
    let postmasters = || processes_of(&directory).iter().filter(|words| words.contains("postgres")).count();
    // While servers start, while rows are loaded, while it serves.
    for (moment, signal) in
        [(0, libc::SIGTERM), (1, libc::SIGTERM), (1, libc::SIGINT), (2, libc::SIGTERM), (2, libc::SIGINT)]
    {
        let mut demo = start_demo(&directory, port, &[]);
        match moment {
            0 => eventually("a server starts", async || (postmasters() > 0).then_some(())).await,
            1 => {
                eventually("it has a table", async || rides().await).await;
            }
            _ => {
                let all = Dataset::new(42, 30_000).rows(Table::Rides) as i64;
                eventually("all is loaded", async || rides().await.filter(|rows| *rows == all)).await;
            }
        };
        // SAFETY: a signal to a child of ours.
        unsafe { libc::kill(demo.id() as i32, signal) };
        let begun = Instant::now();
        let status = ended(&mut demo).await;
        assert!(status.success(), "moment {moment}, signal {signal}: {status}");
        assert!(begun.elapsed() < Duration::from_secs(30), "moment {moment}: {:?}", begun.elapsed());
        assert_eq!(processes_of(&directory), Vec::<String>::new(), "moment {moment}, signal {signal}");
    }
    let mut demo = start_demo(&directory, port, &["--once", "--quiet"]);
    assert!(ended(&mut demo).await.success(), "the data are whole, and every answer is right");
    assert_eq!(processes_of(&directory), Vec::<String>::new());
}
