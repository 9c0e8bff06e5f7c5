//! What may be asked for: `make bench BENCH_ARGS="--rounds 5 --seconds 5"`.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

/// Transactions per second, latencies, CPU and memory of Meridian, PgBouncer, a plain relay and a direct connection.
#[derive(Debug, Parser)]
#[command(name = "make bench BENCH_ARGS=…", no_binary_name = false)]
pub struct Arguments {
    /// Rounds; in each, every contestant has every load once. Tables show medians of rounds
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Measured seconds of each run; one more, before them, is not counted
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Numbers of clients
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    pub clients: Vec<usize>,
    /// Protocols of pgbench
    #[arg(long, value_enum, value_delimiter = ',', default_value = "simple,extended,prepared")]
    pub modes: Vec<Mode>,
    /// What is measured
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "points,large,scatter,calls,idle,planning,start"
    )]
    pub parts: Vec<Part>,
    /// Idle clients whose memory is measured
    #[arg(long, default_value_t = 1000)]
    pub idle: usize,
    /// Idle clients at once, beside busy ones
    #[arg(long, default_value_t = 10_000)]
    pub many: usize,
    /// Busy clients beside them
    #[arg(long, default_value_t = 200)]
    pub busy: usize,
    /// Literals of one shape that the plan cache meets
    #[arg(long, default_value_t = 10_000_000)]
    pub literals: u64,
    /// Starts of Meridian
    #[arg(long, default_value_t = 20)]
    pub starts: usize,
    /// Rides of the part scatter, over all shards
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u64,
    /// Server connections for each node, of PgBouncer and of Meridian
    #[arg(long, default_value_t = 20)]
    pub pool: usize,
    /// Threads of Meridian (default: its own, one for two cores)
    #[arg(long)]
    pub workers: Option<usize>,
    /// One round of one second at 1 and 16 clients, with few rows, to see that it works; written below target/
    #[arg(long)]
    pub quick: bool,
    /// Where the document and the plots go (default: docs/benchmarks)
    #[arg(long)]
    output: Option<PathBuf>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Simple,
    Extended,
    Prepared,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        })
    }
}

/// As "1 client", "16 clients".
pub fn clients(count: usize) -> String {
    if count == 1 { "1 client".to_owned() } else { format!("{count} clients") }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Point selects.
    Points,
    /// Results of 10,000 rows.
    Large,
    /// Statements over four shards, beside one PostgreSQL with all rows and the slowest shard.
    Scatter,
    /// System calls of a transaction, where strace is at hand.
    Calls,
    /// Memory of idle clients, and very many of them.
    Idle,
    /// Time of planning a statement, and what the plan cache holds.
    Planning,
    /// Time from the start to the first answer.
    Start,
}

impl Arguments {
    pub fn settled(mut self) -> Self {
        if self.quick {
            self.rounds = 1;
            self.seconds = 1;
            self.clients = vec![1, 16];
            self.idle = 100;
            self.many = 200;
            self.busy = 20;
            self.literals = 10_000;
            self.starts = 3;
            self.rows = self.rows.min(40_000);
        }
        self.rounds = self.rounds.max(1);
        self.seconds = self.seconds.max(1);
        self.rows = self.rows.max(1000);
        self
    }

    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    pub fn output(&self) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        match (&self.output, self.quick) {
            (Some(path), _) => path.clone(),
            (None, true) => Path::new(env!("CARGO_TARGET_TMPDIR")).join("benchmarks"),
            (None, false) => root.join("docs/benchmarks"),
        }
    }

    pub fn clients_max(&self) -> usize {
        self.clients.iter().copied().max().unwrap_or(1)
    }
}
