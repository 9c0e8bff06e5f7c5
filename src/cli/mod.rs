//! The commands: `meridian serve` and `meridian demo`.
//!
//! Called by `main`; calls `config`, `server` and `demo`. Errors end here, printed with their causes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat, LogSettings};
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

/// Log lines go to standard error. `MERIDIAN_LOG` and `MERIDIAN_LOG_FORMAT` are stronger than the file.
fn start_logging(settings: &LogSettings) {
    let filter = EnvFilter::try_from_env("MERIDIAN_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("tokio_postgres=warn,{}", settings.level)));
    let format = match std::env::var("MERIDIAN_LOG_FORMAT").as_deref() {
        Ok("json") => LogFormat::Json,
        Ok("text") => LogFormat::Text,
        Ok(_) | Err(_) => settings.format,
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")
}

fn serve(file: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    start_logging(&config.log);
    runtime()?.block_on(async {
        let running = Server::start(config).await?;
        demo::interrupted().await?;
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    })
}

fn demonstrate(options: DemoOptions) -> anyhow::Result<()> {
    let start = async |text: String| {
        let config = Config::parse(&text, "demo.toml", std::path::Path::new("."))?;
        start_logging(&config.log);
        Server::start(config).await
    };
    runtime()?.block_on(demo::run(options, start, demo::interrupted()))
}
