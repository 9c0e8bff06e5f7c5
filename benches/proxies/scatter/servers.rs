//! The servers of the part: four shards with the rides of one region each, and one PostgreSQL with all of them.
//!
//! The tables are the demonstration's, and so are their indexes. Rows are made by the servers, the same on a shard as on the
//! one that has all; there the regions' rides stand in the order of their time, as they would have come.

use std::path::Path;

use anyhow::Context;
use meridian::demo::cluster::{APP_DATABASE, Cluster, Durability, Shard};
use meridian::demo::data::schema;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use super::super::stand::{REGIONS, Stand};

pub const TABLES: [&str; 2] = ["drivers", "rides"];
/// For one driver.
pub const RIDES_PER_DRIVER: u64 = 25;
/// All rows of the one PostgreSQL fit in it.
const SHARED_BUFFERS: &str = "512MB";

pub struct Servers {
    pub shards: Cluster,
    all: Cluster,
}

impl Servers {
    pub fn start(stand: &Stand, rides: u64) -> anyhow::Result<Self> {
        let start = |name: &str, regions: &[&str]| {
            let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("template");
            let builder = Cluster::builder(stand.path(name))
                .durability(Durability::Fast)
                .template_cache(&template)
                .setting("shared_buffers", SHARED_BUFFERS);
            regions.iter().fold(builder, |builder, region| builder.region(region)).start()
        };
        let servers = Self { shards: start("shards", &REGIONS)?, all: start("all", &["all"])? };
        for shard in servers.shards.shards() {
            load(shard, &[shard.name()], rides)?;
        }
        load(servers.whole(), &REGIONS, rides)?;
        Ok(servers)
    }

    /// The one that has all rows.
    pub fn whole(&self) -> &Shard {
        &self.all.shards()[0]
    }

    pub fn postmasters(&self) -> Vec<u32> {
        self.shards.shards().iter().filter_map(|shard| shard.primary().pid()).collect()
    }
}

/// A server's own port.
pub fn port(shard: &Shard) -> u16 {
    shard.primary().direct_address().port()
}

pub fn account(shard: &Shard) -> Config {
    shard.primary().app(APP_DATABASE)
}

/// The first column of a statement's rows, NULLs aside.
pub fn first_column(config: &Config, statement: &str) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let messages = runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        client.simple_query(statement).await
    });
    let messages = messages.with_context(|| statement.to_owned())?;
    let value = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    Ok(messages.iter().filter_map(value).collect())
}

fn load(shard: &Shard, regions: &[&str], rides: u64) -> anyhow::Result<()> {
    let of_tables = |statement: &&&str, word: &str| {
        TABLES.iter().any(|table| statement.contains(&format!("{word} {table} (")))
    };
    let mut statements: Vec<String> = Vec::new();
    statements.extend(schema::TABLES.iter().filter(|it| of_tables(it, "TABLE")).map(|it| (*it).to_owned()));
    let of_region = rides / REGIONS.len() as u64;
    statements.extend(rows(regions, of_region, (of_region / RIDES_PER_DRIVER).max(1)));
    statements.extend(schema::INDEXES.iter().filter(|it| of_tables(it, "ON")).map(|it| (*it).to_owned()));
    statements.extend(TABLES.iter().map(|table| format!("VACUUM ANALYZE {table}")));
    eprintln!("loading {} rides of {}", of_region * regions.len() as u64, regions.join(", "));
    for statement in statements {
        first_column(&account(shard), &statement)?;
    }
    shard.primary().sql("CHECKPOINT")?;
    Ok(())
}

/// Values follow from a region and a number alone, through a hash.
fn rows(regions: &[&str], rides: u64, drivers: u64) -> [String; 2] {
    let regions: Vec<_> = regions.iter().map(|region| format!("'{region}'")).collect();
    let regions = regions.join(", ");
    let from = |count: u64| {
        format!(
            "FROM generate_series(1, {count}) AS made(n), unnest(ARRAY[{regions}]) AS region, \
             LATERAL (SELECT hashtext(region || n) & 2147483647) AS hashed(h) ORDER BY n"
        )
    };
    let of_drivers = format!(
        "INSERT INTO drivers SELECT md5('driver' || region || n)::uuid, 'Driver ' || n || ' of ' || region, \
         n || '@' || region || '.example', NULL, 0, 0, region, substr(md5((h % 4000)::text), 1, 6), NULL, 'P-' || n, \
         (ARRAY['available', 'busy', 'offline'])[1 + h % 3], 3 + h / 3 % 201 / 100.0, h % 5000, \
         TIMESTAMP '2025-01-01' {}",
        from(drivers)
    );
    let of_rides = format!(
        "INSERT INTO rides SELECT md5('ride' || region || n)::uuid, md5('user' || region || h % 25000)::uuid, \
         md5('driver' || region || 1 + h % {drivers})::uuid, 0, 0, 0, 0, region, substr(md5((h % 4000)::text), 1, 6), \
         CASE WHEN h % 1000 < 900 THEN 'completed' WHEN h % 1000 < 980 THEN 'cancelled' \
         WHEN h % 1000 < 990 THEN 'in_progress' WHEN h % 1000 < 995 THEN 'accepted' ELSE 'requested' END, \
         h / 7 % 10000 / 100.0, h / 11 % 3000 / 100.0, 5 + h % 90, \
         TIMESTAMP '2025-01-01' + n * interval '30 seconds' + h % 30000 * interval '1 millisecond' {}",
        from(rides)
    );
    [of_drivers, of_rides]
}
