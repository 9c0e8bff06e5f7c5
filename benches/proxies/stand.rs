//! The servers and their data: four regions, one primary each, the same two tables on all.
//!
//! Every region has the accounts 1 to 100,000 of its own, so that a script with the region in its predicate finds the
//! same rows directly on a server and through Meridian. `lines` is what a large result is read from.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use meridian::demo::cluster::{APP_DATABASE, Cluster, Durability, Installation, Ports, Shard};
use tokio_postgres::NoTls;

use super::directory::TemporaryDirectory;

pub const REGIONS: [&str; 4] = ["us-east", "us-west", "eu-central", "ap-south"];
pub const ACCOUNTS: u32 = 100_000;
pub const LINES: u32 = 10_000;
/// Direct connections, and the pools of two proxies.
const CONNECTIONS_MAX: &str = "400";
const SHARED_BUFFERS: &str = "64MB";

pub struct Stand {
    pub cluster: Cluster,
    pub installation: Installation,
    // After the cluster: stopped before its files are removed.
    directory: TemporaryDirectory,
}

impl Stand {
    pub fn start() -> anyhow::Result<Self> {
        let directory = TemporaryDirectory::new();
        let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("template");
        let builder = Cluster::builder(directory.path().join("cluster"))
            .durability(Durability::Fast)
            .template_cache(&template)
            .setting("max_connections", CONNECTIONS_MAX)
            .setting("shared_buffers", SHARED_BUFFERS);
        let builder = REGIONS.iter().fold(builder, |builder, region| builder.region(region));
        let stand = Self { cluster: builder.start()?, installation: Installation::find()?, directory };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            for shard in stand.cluster.shards() {
                load(shard).await.with_context(|| format!("loading {}", shard.name()))?;
            }
            anyhow::Ok(())
        })?;
        Ok(stand)
    }

    /// The shard that everybody can speak to.
    pub fn home(&self) -> &Shard {
        &self.cluster.shards()[0]
    }

    pub fn home_port(&self) -> u16 {
        self.home().primary().direct_address().port()
    }

    /// The process ids of the servers.
    pub fn postmasters(&self) -> Vec<u32> {
        self.cluster.shards().iter().filter_map(|shard| shard.primary().pid()).collect()
    }

    /// A file of this run, readable for the servers' account.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    pub fn free_port(&self) -> anyhow::Result<u16> {
        Ports::default().next_free().map_err(|error| anyhow!("{error}"))
    }
}

async fn load(shard: &Shard) -> anyhow::Result<()> {
    let (client, connection) = shard.primary().app(APP_DATABASE).connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let region = shard.name();
    let statements = [
        "CREATE TABLE accounts (region text NOT NULL, aid integer NOT NULL, branch integer NOT NULL, \
         abalance integer NOT NULL, filler text NOT NULL, PRIMARY KEY (region, aid))"
            .to_owned(),
        format!(
            "INSERT INTO accounts SELECT '{region}', aid, aid % 100, hashtext('{region}' || aid) % 100000, \
             repeat('x', 84) FROM generate_series(1, {ACCOUNTS}) AS made(aid)"
        ),
        "CREATE TABLE lines (region text NOT NULL, line integer NOT NULL, body text NOT NULL)".to_owned(),
        format!(
            "INSERT INTO lines SELECT '{region}', line, repeat('x', 92) \
             FROM generate_series(1, {LINES}) AS made(line)"
        ),
        "VACUUM ANALYZE accounts".to_owned(),
        "VACUUM ANALYZE lines".to_owned(),
    ];
    for statement in statements {
        client.batch_execute(&statement).await?;
    }
    drop(client);
    driver.await??;
    Ok(())
}
