//! The commands: `meridian serve`, `check`, `route`, `demo`, and what a shell and a manual need of them.
//!
//! Called by `main`; calls `config`, `server`, `demo`, and for `check` and `route` what a running proxy uses, too. Errors end
//! here, printed with their causes.

mod check;
mod findings;
mod logging;
mod outline;
mod route;
mod servers;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::demo::output::{self, line};
use crate::demo::{self, DemoOptions};
use crate::server::Server;

/// PostgreSQL servers in many regions behind one connection string.
///
/// Log lines go to standard error; MERIDIAN_LOG chooses them, as in MERIDIAN_LOG=info,meridian::health=debug.
#[derive(Debug, Parser)]
#[command(name = "meridian", version, about, long_about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    ///
    /// SIGHUP reads the configuration again, whole or not at all. SIGTERM and Ctrl-C let transactions end, then stop.
    Serve {
        /// The configuration file; config/meridian.toml documents every key.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Say whether a configuration is right; with --connect, whether the servers are as it needs them.
    ///
    /// Nothing is changed. Exit code 0: no error; 1: at least one.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Ask every node, read the catalogs of every shard, try every user's login.
        #[arg(long)]
        connect: bool,
        /// Print the outcome of --connect as JSON.
        #[arg(long, requires = "connect")]
        json: bool,
    },
    /// Say where a statement would go, and why, without running it.
    ///
    /// The servers' catalogs are read, as a running proxy does. Exit code 0: it would be sent; 2: it is refused. Whether its
    /// names and its syntax are right is for PostgreSQL to say.
    ///
    /// Example: meridian route --config meridian.toml "SELECT * FROM rides WHERE region = \$1" --param 1=eu-central
    Route {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The statement; "-" reads standard input.
        sql: String,
        /// A parameter of the statement, as text: its number, an equals sign, its value.
        #[arg(long = "param", value_name = "N=VALUE", value_parser = parameter)]
        parameters: Vec<(usize, String)>,
        /// The session's search_path, separated by commas.
        #[arg(long, value_name = "SCHEMAS", value_delimiter = ',', default_value = "public")]
        search_path: Vec<String>,
        /// Do not ask the servers: plan by the file alone, which knows the configured tables and the columns that place rows.
        #[arg(long)]
        offline: bool,
    },
    /// Print what a shell needs to complete these commands.
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or that of a command.
    Man {
        /// Such as "serve": its options.
        #[arg(value_name = "COMMAND")]
        of: Option<String>,
    },
    /// Start a real cluster of four regions on this machine, fill it with a ride-sharing service's data, and serve it.
    Demo(DemoOptions),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("meridian: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Serve { config } => serve(&config).map(done),
        Command::Demo(options) => demonstrate(options).map(done),
        Command::Check { config, connect, json } => {
            let checked = Config::load(&config)?;
            logging::Chosen::new(&checked.log)?;
            let form = if json { check::Form::Json } else { check::Form::Text };
            if form == check::Form::Text {
                line!("{}", check::describe(&checked, &config.display().to_string()));
            }
            if !connect && form == check::Form::Text {
                checked.warnings.iter().for_each(|warning| line!("warning: {warning}"));
            }
            if !connect {
                return Ok(ExitCode::SUCCESS);
            }
            Ok(runtime()?.block_on(check::servers(&checked, form)))
        }
        Command::Route { config, sql, parameters, search_path, offline } => {
            let catalogs = if offline { route::Source::Nowhere } else { route::Source::Servers };
            let asked = route::Asked { sql, search_path, parameters, catalogs };
            runtime()?.block_on(route::route(Config::load(&config)?, asked))
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "meridian", &mut script);
            output::write(&script);
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { of } => manual(of.as_deref()).map(done),
    }
}

fn manual(of: Option<&str>) -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    let page = match of {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.with_context(|| format!("there is no command \"{name}\""))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    output::write(&text);
    Ok(())
}

/// `1=value`.
fn parameter(text: &str) -> Result<(usize, String), String> {
    let (number, value) = text.split_once('=').ok_or("write it as N=VALUE")?;
    match number.parse() {
        Ok(number) if number > 0 => Ok((number, value.to_owned())),
        _ => Err(format!("\"{number}\" is not the number of a parameter")),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")
}

fn serve(file: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    logging::start(&config.log)?;
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
        let told_again = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        running.stop(told_again).await;
        Ok(())
    })
}

fn demonstrate(options: DemoOptions) -> anyhow::Result<()> {
    let start = async |text: String| {
        let config = Config::parse(&text, "demo.toml", std::path::Path::new("."))?;
        logging::start(&config.log)?;
        Server::start(config, None).await
    };
    runtime()?.block_on(demo::run(options, start, demo::interrupted()))
}
