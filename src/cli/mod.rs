//! The commands: `meridian serve` and `meridian demo`.
//!
//! Called by `main`; calls `config`, `server` and `demo`. Errors end here, printed with their causes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::demo::{self, DemoOptions};
use crate::server::Server;

/// PostgreSQL servers in many regions behind one connection string.
#[derive(Debug, Parser)]
#[command(name = "meridian", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Serve {
        /// The configuration file; config/meridian.toml documents every key.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Start a real cluster of four regions on this machine, fill it with a ride-sharing service's data, and serve it.
    Demo(DemoOptions),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    let result = match cli.command {
        Command::Serve { config } => serve(&config),
        Command::Demo(options) => demonstrate(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("meridian: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Log lines go to standard error; `MERIDIAN_LOG` chooses, in the manner of `info,meridian::health=debug`.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MERIDIAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,tokio_postgres=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")
}

fn serve(file: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    runtime()?.block_on(async {
        let running = Server::start(config, Some(file.to_owned())).await?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                _ = hang_up.recv() => running.reload(),
                _ = terminate.recv() => break,
                outcome = tokio::signal::ctrl_c() => {
                    outcome?;
                    break;
                }
            }
        }
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    })
}

fn demonstrate(options: DemoOptions) -> anyhow::Result<()> {
    let start = async |text: String| {
        let config = Config::parse(&text, "demo.toml", std::path::Path::new("."))?;
        Server::start(config, None).await
    };
    runtime()?.block_on(demo::run(options, start, demo::interrupted()))
}
