//! Three nodes of one shard, each started by `deploy/postgres/node` as its container would start it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use meridian::demo::cluster::{Account, Installation};
use tokio_postgres::{Client, Config};

use crate::harness::{TemporaryDirectory, eventually, free_port, spawn_for_life, try_connect};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/postgres/node");
const NODES: usize = 3;
/// A quote and a colon, which the script must escape in SQL and in a password file.
const APP_PASSWORD: &str = "it's:app";

/// The nodes of one shard; dropped, they are killed, and their files removed.
struct Shard {
    ports: [u16; NODES],
    running: [Option<Child>; NODES],
    directory: TemporaryDirectory,
    account: Account,
}

impl Shard {
    fn new() -> Self {
        let directory = TemporaryDirectory::new();
        let account = Account::for_servers().expect("an account for servers");
        for (file, text) in [("app", APP_PASSWORD), ("replication", "back\\slash:colon")] {
            fs::write(directory.path().join(file), text).expect("a secret");
        }
        // Mounted volumes, and the script where the account can read it.
        for name in ["state", "volume-0", "volume-1", "volume-2", "sockets"] {
            let path = directory.path().join(name);
            fs::create_dir(&path).expect("a directory");
            account.give(&path).expect("its owner");
        }
        fs::copy(SCRIPT, directory.path().join("node")).expect("a copy of the script");
        let ports = [free_port(), free_port(), free_port()];
        Self { ports, running: [None, None, None], directory, account }
    }

    fn data(&self, node: usize) -> PathBuf {
        self.directory.path().join(format!("volume-{node}/data"))
    }

    fn start(&mut self, node: usize) {
        let peers = || (0..NODES).filter(|peer| *peer != node);
        let joined = |words: Vec<String>| words.join(" ");
        let installation = Installation::find().expect("PostgreSQL");
        let path = format!("{}:{}", installation.bin.display(), std::env::var("PATH").unwrap_or_default());
        let directory = self.directory.path();
        let log = fs::File::options().create(true).append(true).open(directory.join("log")).expect("a log");
        let mut command = Command::new(directory.join("node"));
        command
            .args(["-c", "shared_buffers=16MB", "-c", "fsync=off"])
            .current_dir("/")
            .env_clear()
            .env("PATH", path)
            .env("NODE", format!("node-{node}"))
            .env("PEERS", joined(peers().map(|peer| format!("127.0.0.1:{}", self.ports[peer])).collect()))
            .env("PEER_NAMES", joined(peers().map(|peer| format!("node-{peer}")).collect()))
            .env("MAKES_SHARD", if node == 0 { "yes" } else { "no" })
            .env("SHARD_STATE", directory.join("state"))
            .env("PGDATA", self.data(node))
            .env("PGPORT", self.ports[node].to_string())
            .env("LISTEN", "127.0.0.1")
            .env("SOCKETS", directory.join("sockets"))
            .env("DATABASE", "rides")
            .env("APP_USER", "app")
            .env("APP_PASSWORD_FILE", directory.join("app"))
            .env("REPLICATION_PASSWORD_FILE", directory.join("replication"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.account.apply(&mut command);
        // Its own group, so that what the script starts on its way ends with it.
        command.process_group(0);
        self.running[node] = Some(spawn_for_life(command));
    }

    /// `kill -9`, as a machine that is lost.
    fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.running[node].take() {
            // SAFETY: a signal to a group of ours.
            unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
            let _ = child.wait();
        }
    }

    /// As an operator would: the application's role may not.
    async fn promote(&self, node: usize) {
        let installation = Installation::find().expect("PostgreSQL");
        let mut command = Command::new(installation.bin.join("pg_ctl"));
        command.arg("promote").arg("-D").arg(self.data(node)).current_dir("/").stdout(Stdio::null());
        self.account.apply(&mut command);
        assert!(command.status().expect("pg_ctl runs").success());
        self.await_answer(node, "SELECT pg_is_in_recovery()::text", "false").await;
    }

    async fn connect(&self, node: usize) -> Option<Client> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.ports[node]).user("app").password(APP_PASSWORD).dbname("rides");
        config.connect_timeout(Duration::from_secs(2));
        try_connect(&config).await.ok()
    }

    async fn ask(&self, node: usize, sql: &str) -> Option<String> {
        let client = self.connect(node).await?;
        client.query_one(sql, &[]).await.ok().map(|row| row.get(0))
    }

    async fn await_answer(&self, node: usize, sql: &str, wanted: &str) {
        let what = format!("node {node}: {sql} gives {wanted}\n{}", self.log());
        eventually(&what, async || self.ask(node, sql).await.filter(|answer| answer == wanted)).await;
    }

    /// The node is a replica and streams from a primary that waits for one of two.
    async fn await_streaming(&self, primary: usize, replica: usize) {
        let sql = format!(
            "SELECT state || ' ' || sync_state FROM pg_stat_replication WHERE application_name = 'node-{replica}'"
        );
        self.await_answer(primary, &sql, "streaming quorum").await;
        self.await_answer(replica, "SELECT pg_is_in_recovery()::text", "true").await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    async fn await_log(&self, words: &str) {
        eventually(words, async || self.log().contains(words).then_some(())).await;
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        (0..NODES).for_each(|node| self.kill(node));
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn lose(data: &Path) {
    fs::remove_dir_all(data).expect("the data directory is removed");
}

#[tokio::test]
async fn a_shard_is_made_once_and_lost_nodes_come_back_from_their_primary() {
    let mut shard = Shard::new();
    // Replicas may come first: they wait.
    shard.start(1);
    shard.await_log("no peer is the primary").await;
    shard.start(0);
    shard.start(2);
    shard.await_streaming(0, 1).await;
    shard.await_streaming(0, 2).await;
    let client = shard.connect(0).await.expect("the primary");
    client.batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").await.expect("a row");
    shard.await_answer(2, "SELECT n::text FROM kept", "1").await;

    // A replica loses its data, and clones it anew through the same slot.
    shard.kill(1);
    lose(&shard.data(1));
    shard.start(1);
    shard.await_streaming(0, 1).await;
    shard.await_answer(1, "SELECT n::text FROM kept", "1").await;

    // The node that made the shard loses its data while no peer is a primary: it waits, and makes nothing empty.
    shard.kill(0);
    lose(&shard.data(0));
    shard.start(0);
    shard.await_log("node node-0: has no data, and no peer is the primary").await;
    assert!(shard.connect(0).await.is_none(), "an empty shard was made beside replicas that have the rows");

    // A replica is promoted: both others follow, and nothing is lost.
    shard.promote(1).await;
    shard.await_streaming(1, 0).await;
    shard.await_streaming(1, 2).await;
    shard.await_answer(0, "SELECT n::text FROM kept", "1").await;

    // The old primary comes back with its data: it sees the newer timeline, and follows.
    shard.promote(2).await;
    shard.kill(1);
    shard.start(1);
    shard.await_streaming(2, 1).await;
    shard.await_log("node node-1: was the primary on timeline 2").await;
    let client = shard.connect(2).await.expect("the new primary");
    client.batch_execute("INSERT INTO kept VALUES (2)").await.expect("a row");
    shard.await_answer(1, "SELECT sum(n)::text FROM kept", "3").await;
}
