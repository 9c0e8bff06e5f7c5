//! Where the suites run: the same database in one plain PostgreSQL and behind a Meridian over four regions.
//!
//! ```text
//! let pair = Pair::new("equality", RIDE_TABLES);
//! for target in pair.targets() { target.raw(); target.config(); … }
//! ```
//!
//! The servers are shared by all suites; each has a database of its own on all of them, and a Meridian of its own.
//! The plain PostgreSQL is a server apart, so that roles and statistics are not shared with a shard.
//!
//! Invariants:
//! 1. Whatever a suite does on one target it can do on the other: same version, settings, role and privileges.
//! 2. `MERIDIAN_TARGET=postgres` leaves Meridian out; nothing else does.

mod client;
mod frames;
mod message;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use meridian::demo::cluster::{APP_PASSWORD, APP_USER, Installation, Shard};
use meridian::demo::data::{Dataset, Table, schema};

use crate::harness::{Meridian, TestCluster, cluster, eventually_within, meridian};

pub use client::{RawClient, Received, WITHHELD};
pub use frames::*;
pub use message::{Column, Message, escaped, lines, type_name, unescaped};

const SETTLING: Duration = Duration::from_secs(20);
/// Of the standing example's rows.
const SEED: u64 = 42;
const QUIET_TIME: Duration = Duration::from_secs(10);

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Meridian,
}

/// Something that speaks PostgreSQL's protocol and holds the suite's database.
#[derive(Debug, Clone)]
pub struct Target {
    pub kind: Kind,
    pub port: u16,
    pub database: String,
}

impl Target {
    pub fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(APP_USER).password(APP_PASSWORD);
        config.dbname(&self.database).connect_timeout(Duration::from_secs(5));
        config
    }

    pub fn url(&self) -> String {
        let Self { port, database, .. } = self;
        format!("postgres://{APP_USER}:{APP_PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// A client that sees every message as it is.
    pub fn raw(&self) -> RawClient {
        match RawClient::connect(self, &[]) {
            Ok(client) => client,
            Err(error) => panic!("no connection to {:?}: {error:?}", self.kind),
        }
    }

    /// The standing example: so many users, drivers and rides together, created by DDL and loaded by COPY.
    pub fn load_example(&self, rows: u64) {
        self.run(&schema::TABLES);
        let mut client = self.raw();
        let dataset = Dataset::new(SEED, rows);
        for table in Table::ALL {
            for batch in dataset.batches(table, 500) {
                client.send(&query(&table.copy_statement()));
                client.send(&[frame(b'd', batch.text.as_bytes()), frame(b'c', b"")].concat());
                let answer = client.until_ready();
                let done = answer.iter().find(|message| message.tag == b'C').map(Message::command_tag);
                let said: Vec<_> = answer.iter().map(Message::line).collect();
                assert_eq!(done, Some(format!("COPY {}", batch.rows)), "{:?}: {said:?}", self.kind);
            }
        }
        self.run(&schema::INDEXES);
    }

    /// Runs statements one after the other; all must succeed.
    pub fn run(&self, statements: &[&str]) {
        let mut client = self.raw();
        for statement in statements {
            let answer = client.simple(statement);
            if let Some(error) = answer.iter().find(|message| message.tag == b'E') {
                panic!("{:?}: {statement}: {}", self.kind, error.line());
            }
        }
    }
}

/// The servers that all suites share.
struct Servers {
    plain: TestCluster,
    regions: TestCluster,
}

fn servers() -> Arc<Servers> {
    static SERVERS: Mutex<Option<Arc<Servers>>> = Mutex::new(None);

    extern "C" fn stop() {
        let servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic must not cross into the C library; and there is nobody left to tell.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(servers)));
    }

    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    let started = servers.get_or_insert_with(|| {
        // SAFETY: the function takes nothing and does not unwind.
        unsafe { libc::atexit(stop) };
        let plain = cluster().region("plain").start();
        let regions = cluster().regions().replicas(1).start();
        Arc::new(Servers { plain, regions })
    });
    Arc::clone(started)
}

/// Creates an empty database on the plain server and on every shard; `then` is run on the shards alone.
fn create(database: &str, then: &str) {
    let servers = servers();
    let run = |shard: &Shard, statement: &str| {
        if let Err(error) = shard.primary().sql(statement) {
            panic!("{statement}: {error}");
        }
    };
    let create = format!("CREATE DATABASE {database} OWNER {APP_USER}");
    run(&servers.plain.shards()[0], &create);
    for shard in servers.regions.shards() {
        run(shard, &create);
        if !then.is_empty() {
            run(shard, &then.replace("{}", database));
        }
    }
}

/// A role on every server, which the application's user may become.
pub fn create_role(name: &str) {
    let servers = servers();
    for shard in servers.plain.shards().iter().chain(servers.regions.shards()) {
        for statement in [format!("CREATE ROLE {name}"), format!("GRANT {name} TO {APP_USER}")] {
            if let Err(error) = shard.primary().sql(&statement) {
                panic!("{statement}: {error}");
            }
        }
    }
}

/// One database, twice.
pub struct Pair {
    pub plain: Target,
    pub meridian: Option<Target>,
    /// Behind `meridian`; it ends with the pair.
    _process: Option<Meridian>,
}

/// A table by region, for suites that need nothing in particular.
pub const PLACES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n";

/// The same, and a reference table, for suites that make both on every shard.
pub const PLACES_AND_COLOURS: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n\n\
                                      [[tables]]\nname = \"colours\"\nplacement = \"reference\"\n";

/// PostgreSQL's major version, on every server.
pub fn servers_major() -> u32 {
    Installation::find().expect("PostgreSQL is installed").major
}

/// One that the smaller suites share: each has tables of its own in it.
pub fn common() -> &'static Pair {
    static COMMON: OnceLock<Pair> = OnceLock::new();
    COMMON.get_or_init(|| {
        let pair = Pair::new("common", PLACES);
        for target in pair.targets() {
            target.run(&[
                "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
                "INSERT INTO places VALUES (1, 'us-east', 'New York')",
                "INSERT INTO places VALUES (2, 'us-west', 'Los Angeles')",
                "INSERT INTO places VALUES (3, 'eu-central', 'Berlin')",
                "INSERT INTO places VALUES (4, 'ap-south', 'Mumbai')",
            ]);
        }
        pair
    })
}

impl Pair {
    /// Creates an empty database on the plain server and on every shard, and starts a Meridian.
    pub fn new(database: &str, tables: &str) -> Self {
        Self::with(database, tables, &[])
    }

    /// As `new`, with replicas that may lag: a session reads its own writes, and sees those of others when they are there.
    pub fn lagging(database: &str, tables: &str) -> Self {
        create(database, "");
        Self::start(database, tables, &[])
    }

    /// As `new`, with keys for sections of the configuration.
    pub fn with(database: &str, tables: &str, sections: &[(&str, &str)]) -> Self {
        // One session reads what another has written a moment ago, as on one server.
        create(database, "ALTER DATABASE {} SET synchronous_commit = remote_apply");
        Self::start(database, tables, sections)
    }

    fn start(database: &str, tables: &str, sections: &[(&str, &str)]) -> Self {
        let servers = servers();
        let port = servers.plain.shards()[0].primary().direct_address().port();
        let plain = Target { kind: Kind::Postgres, port, database: database.to_owned() };
        let wanted = std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres");
        let process = (!wanted).then(|| {
            let mut description = meridian(&servers.regions).database(database).tables(tables);
            for (section, keys) in sections {
                description = description.section(section, keys);
            }
            description.start()
        });
        let meridian = process.as_ref().map(|process| Target {
            kind: Kind::Meridian,
            port: process.address().port(),
            database: database.to_owned(),
        });
        Self { plain, meridian, _process: process }
    }

    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        std::iter::once(&self.plain).chain(&self.meridian)
    }

    /// The primaries of the shards behind Meridian, each asked directly.
    pub fn shards(&self) -> Vec<(String, Target)> {
        let servers = servers();
        let target = |shard: &Shard| {
            let port = shard.primary().direct_address().port();
            (
                shard.name().to_owned(),
                Target { kind: Kind::Postgres, port, database: self.plain.database.clone() },
            )
        };
        servers.regions.shards().iter().map(target).collect()
    }

    /// Waits until every replica has replayed what its primary has written: a new session may read it anywhere.
    pub fn settle(&self) {
        let behind = "SELECT count(*) FROM pg_stat_replication \
                      WHERE replay_lsn IS NULL OR replay_lsn < pg_current_wal_lsn()";
        for shard in servers().regions.shards() {
            let begun = Instant::now();
            while shard.primary().sql(behind).is_ok_and(|rows| rows[0][0].as_deref() != Some("0")) {
                assert!(begun.elapsed() < SETTLING, "the replicas of {} stay behind", shard.name());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Waits until no server of this database does anything, or holds a transaction: much shorter than the statements that
    /// are to be stopped would take.
    pub async fn falls_quiet(&self, what: &str, target: &Target) {
        let question = format!(
            "SELECT state, query FROM pg_stat_activity WHERE datname = '{}' AND state <> 'idle' AND pid <> pg_backend_pid()",
            target.database
        );
        let quiet = async || {
            let busy = self.ask_servers(target, &question);
            if busy.is_empty() { Ok(()) } else { Err(busy) }
        };
        eventually_within(QUIET_TIME, what, quiet).await
    }

    /// What the servers of a target's shards say to one question, as the superuser; every row of each.
    pub fn ask_servers(&self, target: &Target, question: &str) -> Vec<String> {
        let servers = servers();
        let shards = match target.kind {
            Kind::Postgres => servers.plain.shards(),
            Kind::Meridian => servers.regions.shards(),
        };
        let rows = shards.iter().flat_map(|shard| shard.nodes()).flat_map(|node| match node.sql(question) {
            Ok(rows) => rows,
            Err(error) => panic!("{question}: {error}"),
        });
        rows.map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect()
    }
}
