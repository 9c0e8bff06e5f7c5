//! The HTTP address of a running Meridian, over a bare socket: its pages, and what it answers to anything else.
//!
//! Not here: each figure's rules, which are cases beside the code (`admin::metrics`).

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{cluster, connect, database, eventually, free_port, meridian};

/// The whole answer, read until the server closes.
pub async fn ask(port: u16, request: &str) -> String {
    let exchange = async {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match tokio::time::timeout(Duration::from_secs(10), exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => panic!("{request:?}: {error}"),
        Err(_) => panic!("{request:?}: no answer in time"),
    }
}

async fn get(port: u16, page: &str) -> String {
    ask(port, &format!("GET {page} HTTP/1.1\r\nHost: meridian\r\n\r\n")).await
}

#[tokio::test]
async fn metrics_health_and_readiness_are_served() {
    let database = database().await;
    let port = free_port();
    let listen = format!("listen = \"127.0.0.1:{port}\"");
    let meridian = meridian(&database.cluster).database(&database.name).section("http", &listen).start();
    let application = connect(&meridian.app()).await;
    application.simple_query("SELECT 1").await.expect("one row");

    assert!(get(port, "/healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    eventually("it is ready", async || {
        let answer = get(port, "/readyz").await;
        answer.starts_with("HTTP/1.1 200 OK\r\n").then_some(())
    })
    .await;

    // A statement is counted when it has ended, which is after its answer has been sent.
    let series = "meridian_statements_total{verb=\"select\",route=\"relay\",region=";
    let answer = eventually("the statement is counted", async || {
        let answer = get(port, "/metrics").await;
        answer.lines().any(|line| line.starts_with(series)).then_some(answer)
    })
    .await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(head.ends_with("Connection: close"), "{head}");
    let value = |name: &str| {
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse::<f64>().ok()).unwrap_or_else(|| panic!("no {name} in\n{body}"))
    };
    assert!(body.lines().any(|line| line.starts_with(series)), "{body}");
    assert!(value("meridian_connections_total") >= 1.0);
    assert!(value("meridian_client_sent_bytes_total") > 0.0);
    assert!(value("meridian_rows_total") >= 1.0);
    assert!(value("meridian_clients") >= 1.0);
    for shard in database.cluster.shards() {
        let (name, node) = (shard.name(), shard.primary().address());
        let labels = format!("shard=\"{name}\",node=\"{node}\",region=\"{name}\"");
        assert!(value(&format!("meridian_node_up{{{labels}}}")) == 1.0);
        assert!(value(&format!("meridian_node_role{{{labels},role=\"primary\"}}")) == 1.0);
    }

    let answer = get(port, "/status").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains("Content-Type: application/json"), "{head}");
    let status: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let shards = status["shards"].as_array().expect("shards");
    assert_eq!(shards.len(), database.cluster.shards().len());
    assert_eq!(shards[0]["nodes"][0]["role"], "primary");
    assert!(status["clients"]["connected"].as_u64().is_some_and(|count| count >= 1), "{body}");
    assert!(!body.contains("password"), "{body}");

    let paths = get(port, "/").await;
    assert!(paths.starts_with("HTTP/1.1 200 OK\r\n") && paths.contains("\n/status "), "{paths}");
    let head = ask(port, "HEAD /healthz HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 3\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    for (request, status) in [
        ("GET /nothing HTTP/1.1\r\n\r\n".to_owned(), "404"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody".to_owned(), "405"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        (format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000)), "400"),
    ] {
        let answer = ask(port, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn a_shard_without_a_primary_leaves_meridian_ready() {
    let cluster = cluster().region("us-east").region("eu-central").start();
    let port = free_port();
    let meridian = meridian(&cluster).section("http", &format!("listen = \"127.0.0.1:{port}\"")).start();
    let is = async |page: &str, status: &str| {
        eventually("the page says so", async || {
            get(port, page).await.starts_with(&format!("HTTP/1.1 {status} ")).then_some(())
        })
        .await;
    };
    is("/readyz?shards=all", "200").await;
    cluster.shard("eu-central").primary().kill().expect("it is killed");
    is("/readyz?shards=all", "503").await;
    let answer = get(port, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nready\nshard \"eu-central\" has no known primary\n"), "{answer}");
    let strict = get(port, "/readyz?shards=all").await;
    assert!(strict.ends_with("\r\n\r\nshard \"eu-central\" has no known primary\n"), "{strict}");
    connect(&meridian.app()).await.simple_query("SELECT 1").await.expect("the default shard answers");
    for line in ["shard has no primary", "shard has a primary again"] {
        if line.ends_with("again") {
            cluster.shard("eu-central").primary().start().expect("it starts");
        }
        eventually(line, async || meridian.log().contains(line).then_some(())).await;
    }
}
