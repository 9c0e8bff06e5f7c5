//! Memory of idle clients: of the proxy, and of the servers.
//!
//! Clients log in and stay; then each runs one statement and stays. What is read is the proportional set size, in which
//! a page that several processes share counts once.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::cpu::server_processes;
use super::interruption::check;
use super::stand::Stand;

const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
pub const STATEMENT: &str = "SELECT abalance FROM accounts WHERE region = 'us-east' AND aid = 1";

/// Who is asked, and how.
pub struct Asked {
    pub port: u16,
    /// The proxy's process, if there is one.
    pub proxy: Option<u32>,
    /// None: without encryption.
    pub encryption: Option<MakeRustlsConnect>,
}

/// KiB by which the clients have made processes larger.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    pub clients: usize,
    /// Logged in.
    pub proxy_login: Option<f64>,
    /// After one statement of each.
    pub proxy_statement: Option<f64>,
    pub servers_statement: f64,
}

pub fn measure(stand: &Stand, asked: &Asked, count: usize) -> anyhow::Result<Idle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The first client makes what is made once.
        let first = asked.connect().await?;
        first.simple_query(STATEMENT).await?;
        let before = (asked.proxy(), servers(stand));
        let mut clients = Vec::new();
        for _ in 0..count {
            check()?;
            clients.push(asked.connect().await?);
        }
        let logged_in = asked.proxy();
        for client in &clients {
            check()?;
            client.simple_query(STATEMENT).await?;
        }
        let after = (asked.proxy(), servers(stand));
        let grown = |now: Option<f64>| Some(now? - before.0?);
        anyhow::Ok(Idle {
            clients: count,
            proxy_login: grown(logged_in),
            proxy_statement: grown(after.0),
            servers_statement: after.1 - before.1,
        })
    })
}

impl Asked {
    pub async fn connect(&self) -> anyhow::Result<Client> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname(APP_DATABASE);
        config.user(APP_USER).password(APP_PASSWORD);
        let Some(encryption) = &self.encryption else {
            let (client, connection) = within(config.connect(NoTls)).await?;
            tokio::spawn(connection);
            return Ok(client);
        };
        config.ssl_mode(SslMode::Require);
        let (client, connection) = within(config.connect(encryption.clone())).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// KiB of the proxy.
    pub fn proxy(&self) -> Option<f64> {
        proportional(self.proxy?)
    }
}

async fn within<T>(login: impl Future<Output = Result<T, tokio_postgres::Error>>) -> anyhow::Result<T> {
    Ok(timeout(LOGIN_TIMEOUT, login).await.context("a login takes too long")??)
}

fn servers(stand: &Stand) -> f64 {
    stand.postmasters().into_iter().flat_map(server_processes).filter_map(proportional).sum()
}

/// KiB.
fn proportional(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
