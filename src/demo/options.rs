//! The flags of `meridian demo`.
//!
//! Invariants:
//! 1. Without any flag the demonstration runs, in the user's own directory and on the loopback interface.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::data::{ROWS_DEFAULT, ROWS_MAX};

/// Start four regions on this machine, load data, and serve them until Ctrl-C.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// Where the proxy listens for clients.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6432")]
    pub listen: SocketAddr,
    /// Where the proxy serves /metrics, /healthz and /readyz.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6480")]
    pub http: SocketAddr,
    /// Where the servers' files are kept, and used again [default: the user's data directory].
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,
    /// How many users, drivers and rides to load, together.
    #[arg(long, value_name = "COUNT", default_value_t = ROWS_DEFAULT,
          value_parser = clap::value_parser!(u64).range(1..=ROWS_MAX))]
    pub rows: u64,
    /// How many replicas each region's primary has; the first is synchronous.
    #[arg(long, value_name = "COUNT", default_value = "2", value_parser = parse_replicas)]
    pub replicas: usize,
    /// What the data are generated from: the same seed gives the same rows.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Remove what an earlier run left, and start over.
    #[arg(long)]
    pub fresh: bool,
    /// Start, load, run the statements worth trying, check their answers, and stop.
    #[arg(long)]
    pub once: bool,
    /// Say nothing of the progress.
    #[arg(long)]
    pub quiet: bool,
    /// Simulate the distances between the regions.
    #[arg(long)]
    pub wan: bool,
}

impl DemoOptions {
    /// The address for clients on this machine: one that listens everywhere is reached by the loopback interface.
    pub fn client_host(&self) -> IpAddr {
        match self.listen.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        }
    }
}

fn parse_replicas(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 0..=6) => Ok(count),
        _ => Err("a number from 0 to 6".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        demo: DemoOptions,
    }

    #[test]
    fn no_flag_is_needed() {
        let options = Command::try_parse_from(["demo"]).unwrap().demo;
        assert_eq!((options.rows, options.replicas, options.seed), (340_000, 2, 42));
        assert_eq!(options.listen.to_string(), "127.0.0.1:6432");
        assert!(!options.fresh && !options.once && !options.quiet && !options.wan);
    }

    #[test]
    fn impossible_counts_are_refused() {
        assert!(Command::try_parse_from(["demo", "--rows", "0"]).is_err());
        assert!(Command::try_parse_from(["demo", "--replicas", "7"]).is_err());
        let options = Command::try_parse_from(["demo", "--listen", "0.0.0.0:7000"]).unwrap().demo;
        assert_eq!(options.client_host().to_string(), "127.0.0.1");
    }
}
