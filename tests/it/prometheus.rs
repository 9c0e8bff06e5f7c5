//! What is made for operators, held against a real Prometheus: it scrapes a Meridian under a small load, and every
//! expression of `grafana/` is asked there.
//!
//! An expression must be understood and have data, unless its metrics are in [`SILENT`]: those have no series while all
//! is well. Every alert must be silent. `promtool` checks the page, the rules and the configuration.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{RIDE_TABLES, TemporaryDirectory, connect, database, eventually, free_port, meridian};
use crate::http::ask;

/// Metrics that have no series while nothing waits, fails or is pinned.
const SILENT: [&str; 4] = [
    "meridian_pinned_clients",
    "meridian_pool_wait_seconds_bucket",
    "meridian_replica_lag_seconds",
    "meridian_replica_lag_bytes",
];

/// Ends with its test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn grafana(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(grafana(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "promtool {arguments:?}: {}{said}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Titles and expressions of a dashboard's panels, with its variables filled in.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("a dashboard has panels");
    let targets = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap_or_default();
        let targets = panel["targets"].as_array().expect("a panel has targets");
        targets.iter().map(move |target| (title.to_owned(), target["expr"].as_str().unwrap_or_default()))
    });
    let annotations = dashboard["annotations"]["list"].as_array().expect("there are annotations");
    let annotations = annotations.iter().map(|one| ("".to_owned(), one["expr"].as_str().unwrap_or_default()));
    let fill = |text: &str| {
        text.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$shard", ".*")
    };
    targets.chain(annotations).map(|(title, text)| (title, fill(text))).collect()
}

/// What Prometheus answers to an expression.
async fn evaluate(port: u16, expression: &str) -> Value {
    let escaped: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = ask(port, &format!("GET /api/v1/query?query={escaped} HTTP/1.0\r\nHost: x\r\n\r\n")).await;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let value: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert_eq!(value["status"], "success", "{expression}: {value}");
    value["data"]["result"].clone()
}

fn has_data(result: &Value) -> bool {
    result.as_array().is_some_and(|series| !series.is_empty())
}

fn start_prometheus(directory: &Path, port: u16, target: u16) -> Prometheus {
    let config = format!(
        "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\nscrape_configs:\n  - job_name: meridian\n    \
         static_configs: [{{ targets: ['127.0.0.1:{target}'] }}]\n"
    );
    let file = directory.join("prometheus.yml");
    fs::write(&file, config).expect("the configuration is written");
    let log = fs::File::create(directory.join("prometheus.log")).expect("a log");
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Prometheus(command.spawn().expect("prometheus runs"))
}

/// A statement of each kind that the dashboards tell of.
async fn load(client: &tokio_postgres::Client) {
    client.batch_execute("CREATE TABLE counted (id bigint)").await.expect("a table on every shard");
    client.simple_query("INSERT INTO counted VALUES (1)").await.expect("a row");
    client.simple_query("SELECT count(*) FROM rides").await.expect("a count over all shards");
    client.simple_query("SELECT no_such_column").await.expect_err("no such column");
    client.simple_query("UPDATE rides SET price = price + 1").await.expect_err("it is refused");
}

#[tokio::test]
async fn dashboards_and_alerts_have_their_data() {
    if std::env::var_os("SKIP_PROMETHEUS").is_some() {
        eprintln!("SKIPPED: SKIP_PROMETHEUS is set, so no expression of grafana/ has been asked");
        return;
    }
    let found = Command::new("prometheus").arg("--version").output().is_ok();
    assert!(found, "prometheus is missing: run scripts/ensure-prometheus, or set SKIP_PROMETHEUS=1");

    let database = database().await;
    let (target, port) = (free_port(), free_port());
    let listen = format!("listen = \"127.0.0.1:{target}\"");
    let meridian = meridian(&database.cluster).database(&database.name).tables(RIDE_TABLES);
    let meridian = meridian.section("http", &listen).start();
    let client = connect(&meridian.app()).await;
    client
        .batch_execute("CREATE TABLE rides (ride_id bigint, region text, pickup_lat float8, pickup_lon float8, pickup_geohash text, price float8)")
        .await
        .expect("the rides");
    load(&client).await;
    let directory = TemporaryDirectory::new();
    let _prometheus = start_prometheus(directory.path(), port, target);
    eventually("there is a rate over the scrapes", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let ready = ask(port, "GET /-/ready HTTP/1.0\r\nHost: x\r\n\r\n").await;
        ready.contains(" 200 OK\r\n").then_some(())?;
        has_data(&evaluate(port, "rate(meridian_refusals_total[1m])").await).then_some(())
    })
    .await;

    let page = ask(target, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    promtool(&["check", "metrics"], page.split_once("\r\n\r\n").map(|(_, body)| body).expect("a body"));
    promtool(&["check", "config", &grafana("prometheus/prometheus.yml").display().to_string()], "");

    for name in ["dashboards/overview.json", "dashboards/shard.json"] {
        let dashboard: Value = serde_json::from_str(&read(name)).expect("a dashboard is JSON");
        for (title, expression) in expressions(&dashboard) {
            let result = evaluate(port, &expression).await;
            let silent = title.is_empty() || SILENT.iter().any(|metric| expression.contains(metric));
            assert!(has_data(&result) || silent, "{name}: {title}: no data for {expression}");
        }
    }
    let rules = read("prometheus/alerts.yml");
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(alerts.len(), rules.matches("- alert: ").count());
    for expression in alerts {
        let result = evaluate(port, expression).await;
        assert!(!has_data(&result), "{expression} is not silent: {result}");
    }
}

#[test]
fn dashboards_name_the_provisioned_source_and_known_metrics() {
    let source = read("provisioning/datasources/prometheus.yml");
    let uid = source.lines().find_map(|line| line.trim().strip_prefix("uid: ")).expect("a uid");
    let texts = ["dashboards/overview.json", "dashboards/shard.json", "prometheus/alerts.yml"].map(read);
    for text in &texts[..2] {
        let named = text.split("\"uid\": \"").skip(1).filter_map(|rest| rest.split('"').next());
        assert!(named.filter(|name| *name != uid).count() == 1, "only the dashboard itself has another uid");
    }
    let known = meridian::admin::metrics::list::METRICS;
    for text in &texts {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("meridian_")) {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(known.iter().any(|metric| metric.name == name), "{word} is no metric");
        }
    }
}
