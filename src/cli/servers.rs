//! What the commands ask of servers without a running proxy: each node's facts, and the catalogs of every shard.
//!
//! Used by `check` and `route`. Roles that are found are noted in the topology, as the probes of a running proxy would.

use std::time::Duration;

use futures_util::future::join_all;

use crate::catalog::{self, Catalog, CatalogParts, CatalogReader, LoadError};
use crate::config::Config;
use crate::health::{self, ControlConnection, ControlError};
use crate::topology::{NodeId, NodeRole, ShardId};
use crate::transaction::{self, registry::Fitness};

/// For one node's facts, and for one shard's catalogs.
const ASK_TIME: Duration = Duration::from_secs(10);
const LOAD_TIME: Duration = Duration::from_secs(60);

/// One row, in the order of [`NodeFacts`].
const FACTS: &str = "
SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('max_prepared_transactions'),
  current_setting('max_connections'), current_setting('wal_level'), current_setting('synchronous_standby_names'),
  current_setting('synchronous_commit'), current_setting('server_encoding'),
  (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
  pg_catalog.pg_has_role('pg_monitor', 'member'),
  CASE WHEN pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
       THEN round(extract(epoch FROM now() - pg_last_xact_replay_timestamp())::numeric, 1) END";

/// Those of the roles that the account may not become: only then it can finish their prepared transactions.
const STRANGERS: &str = "
SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles
WHERE rolname::pg_catalog.text = ANY ($1) AND NOT pg_catalog.pg_has_role(oid, 'MEMBER') ORDER BY 1";

/// What one server says of itself.
#[derive(Debug, Clone)]
pub(super) struct NodeFacts {
    pub version: String,
    pub is_replica: bool,
    pub max_prepared_transactions: u64,
    pub max_connections: u64,
    pub wal_level: String,
    pub synchronous_standby_names: String,
    pub synchronous_commit: String,
    pub encoding: String,
    pub is_superuser: bool,
    pub is_monitor: bool,
    /// How long ago the last transaction that it shows was committed, where something waits to be replayed.
    pub lag_seconds: Option<String>,
    /// Of a primary: whether transactions over several shards can be committed there, once Meridian runs.
    pub fitness: Fitness,
    /// Of a primary: accounts of the file's users that the service account is no member of.
    pub strangers: Vec<String>,
}

/// A node, and what came of asking it; an error says in words what to look at, without the node's address.
pub(super) type Asked = (NodeId, Result<NodeFacts, String>);

/// Asks every node at once.
pub(super) async fn facts(config: &Config) -> Vec<Asked> {
    let topology = &config.topology;
    let nodes = (0..topology.nodes.len()).map(|index| NodeId(index as u16));
    let asked = nodes.map(|id| async move {
        let facts = node_facts(config, id).await;
        if let Ok(facts) = &facts {
            let role = if facts.is_replica { NodeRole::Replica } else { NodeRole::Primary };
            topology.node(id).state.set_role(role);
        }
        (id, facts)
    });
    join_all(asked).await
}

async fn node_facts(config: &Config, id: NodeId) -> Result<NodeFacts, String> {
    let connection = health::connect(&config.topology, id, &config.server).await;
    let connection = connection.map_err(|error| error.reason())?;
    let rows = connection.rows(FACTS, ASK_TIME).await.map_err(|error| error.reason())?;
    let row = rows.first().ok_or_else(|| "it gave no answer".to_owned())?;
    let text = |index: usize| row.get(index).unwrap_or_default().to_owned();
    let number = |index: usize| text(index).parse().unwrap_or(0);
    let truth = |index: usize| row.get(index) == Some("t");
    let is_replica = truth(1);
    let (fitness, strangers) = match is_replica {
        true => (Fitness::Unknown, Vec::new()),
        false => (
            transaction::inspect(&connection).await.map_err(|error| error.reason())?,
            strangers(config, &connection).await.map_err(|error| error.reason())?,
        ),
    };
    Ok(NodeFacts {
        version: text(0),
        is_replica,
        max_prepared_transactions: number(2),
        max_connections: number(3),
        wal_level: text(4),
        synchronous_standby_names: text(5),
        synchronous_commit: text(6),
        encoding: text(7),
        is_superuser: truth(8),
        is_monitor: truth(9),
        lag_seconds: row.get(10).map(str::to_owned),
        fitness,
        strangers,
    })
}

async fn strangers(config: &Config, connection: &ControlConnection) -> Result<Vec<String>, ControlError> {
    let named = config.users.iter().filter_map(|user| match (&user.server_user, &user.pattern) {
        (Some(account), _) => Some(account.as_str()),
        (None, None) => Some(user.name.as_str()),
        (None, Some(_)) => None,
    });
    let named: Vec<&str> = named.collect();
    let rows = tokio::time::timeout(ASK_TIME, connection.query(STRANGERS, &[&named])).await;
    let late =
        |_| ControlError::Timeout { address: connection.address.clone(), milliseconds: ASK_TIME.as_millis() };
    let rows = rows.map_err(late)?.map_err(|error| connection.error(&error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The catalogs, and what is wrong with them.
pub(super) struct Catalogs {
    /// The default shard's; None if it could not be read.
    pub catalog: Option<Catalog>,
    pub drift: Vec<catalog::Drift>,
    pub failures: Vec<CatalogFailure>,
}

/// Why a shard's catalogs could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogFailure {
    #[error("{0}")]
    Connect(#[from] ControlError),
    #[error("{address}: {error}")]
    Load { address: String, error: LoadError },
    #[error("{address} did not answer in time")]
    Timeout { address: String },
}

/// Reads the catalogs of every shard's primary; the roles must be known.
pub(super) async fn catalogs(config: &Config) -> Catalogs {
    let topology = &config.topology;
    let shards = (0..topology.shards.len()).map(|index| ShardId(index as u16));
    let loads = join_all(shards.map(|shard| async move { (shard, load(config, shard).await) })).await;
    let mut failures = Vec::new();
    let mut parts: Vec<(ShardId, CatalogParts)> = Vec::new();
    for (shard, loaded) in loads {
        match loaded {
            Ok(loaded) => parts.push((shard, loaded)),
            Err(reason) => failures.push(reason),
        }
    }
    let named: Vec<_> = parts.iter().map(|(id, parts)| (topology.shard(*id).name.as_str(), parts)).collect();
    let drift = catalog::compare(&named);
    let default = parts.into_iter().find(|(id, _)| *id == topology.default_shard);
    let catalog = default.map(|(_, parts)| parts.into_catalog(1, &drift));
    Catalogs { catalog, drift, failures }
}

async fn load(config: &Config, shard: ShardId) -> Result<CatalogParts, CatalogFailure> {
    let connection = health::connect_primary(&config.topology, shard, &config.server).await?;
    let mut reader = CatalogReader::new(shard == config.topology.default_shard);
    let loaded = tokio::time::timeout(LOAD_TIME, reader.load(&connection)).await;
    let address = connection.address.clone();
    match loaded {
        Ok(Ok(parts)) => Ok(parts),
        Ok(Err(error)) => Err(CatalogFailure::Load { address, error }),
        Err(_) => Err(CatalogFailure::Timeout { address }),
    }
}
