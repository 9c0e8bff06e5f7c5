//! Ends deadlocks that no server sees: sessions that wait for each other on several of them.
//!
//! Run by `server` beside the watch over the servers. While at least two sessions with several connections are busy,
//! the servers are asked who waits there for whom; `transaction::deadlock` finds the ring.
//!
//! ```text
//!   every second: sessions that could be in a ring, or one that meets itself? ─▶ ask their servers ─▶ a ring?
//!                  the same as a second ago ─▶ its last session's wait is cancelled, and told as 40P01
//! ```
//!
//! Invariants:
//! 1. Nobody is ended for a ring that was not seen twice, a look apart: the servers are not asked at one instant.
//! 2. Servers are asked only while a ring is possible.
//!
//! Not here: rings on one server, which PostgreSQL ends; waits for connections (`backend`), which have their timeout.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::backend::connection::ServerKey;
use crate::backend::strike::Strike;
use crate::health::connect::{ControlConnection, connect};
use crate::topology::NodeId;
use crate::transaction::deadlock::{Party, Wait, ring, victim};

/// Between two looks; as long as PostgreSQL's own `deadlock_timeout`.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// For a server's answer, and for its taking note of a cancel.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Transactions that are prepared have no process: they wait for nobody.
const WAITS: &str = "SELECT DISTINCT l.pid, b.pid FROM pg_catalog.pg_locks l \
 CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(l.pid)) AS b(pid) \
 WHERE NOT l.granted AND b.pid <> 0";

/// The connections of one session.
type Keys = Vec<Arc<ServerKey>>;

/// Looks until it is dropped. Cancel safe: yes.
pub async fn watch(shared: &Shared) {
    let mut servers = HashMap::new();
    let mut before: Option<Vec<Wait>> = None;
    let mut struck: Keys = Vec::new();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        // A cancel that came too late is for nobody.
        struck.drain(..).for_each(|key| key.struck.fade());
        let sessions = with_several_connections(shared);
        if sessions.len() < 2 && !sessions.values().any(meets_itself) {
            before = None;
            continue;
        }
        let waits = ask(shared, &mut servers, &sessions).await;
        let found = ring(&waits);
        if let Some(ring) = found.as_ref().filter(|ring| before.as_ref() == Some(*ring))
            && let Some(client) = victim(ring)
        {
            struck = strike(client, &sessions, ring).await;
            before = None;
            continue;
        }
        before = found;
    }
}

/// Whether it has two connections to one server, as where rows are gathered: a session with one alone can stand between them.
fn meets_itself(keys: &Keys) -> bool {
    let mut seen = BTreeSet::new();
    keys.iter().any(|key| !seen.insert(key.node))
}

/// The busy sessions with several connections, by their clients' numbers.
fn with_several_connections(shared: &Shared) -> BTreeMap<u32, Keys> {
    let spread = shared.cancels.iter().filter_map(|entry| {
        let keys = entry.value().keys();
        (keys.len() > 1).then(|| (*entry.key(), keys))
    });
    let mut sessions: BTreeMap<u32, Keys> = spread.collect();
    sessions.retain(|client, _| shared.clients.get(client).is_some_and(|info| info.is_active()));
    sessions
}

/// Who waits for whom on the servers of these sessions; a server that does not answer says nothing.
async fn ask(
    shared: &Shared,
    servers: &mut HashMap<NodeId, ControlConnection>,
    sessions: &BTreeMap<u32, Keys>,
) -> Vec<Wait> {
    let (topology, live) = (shared.topology.load_full(), shared.live.load_full());
    let party = |node: NodeId, pid: u32| {
        let has = |keys: &Keys| keys.iter().any(|key| key.node == node && key.pid == pid);
        let session = sessions.iter().find(|(_, keys)| has(keys)).map(|(client, _)| Party::Session(*client));
        session.unwrap_or(Party::Process(node, pid))
    };
    let nodes: BTreeSet<NodeId> = sessions.values().flatten().map(|key| key.node).collect();
    servers.retain(|node, server| nodes.contains(node) && !server.is_closed());
    let mut waits = Vec::new();
    for node in nodes {
        if usize::from(node.0) >= topology.nodes.len() {
            continue;
        }
        let server = match servers.remove(&node) {
            Some(server) => server,
            None => match connect(&topology, node, &live.server).await {
                Ok(server) => server,
                Err(error) => {
                    tracing::debug!(%error, "a server could not be asked for its waits");
                    continue;
                }
            },
        };
        let Ok(rows) = server.rows(WAITS, ANSWER_TIME_MAX).await else { continue };
        servers.insert(node, server);
        waits.extend(rows.iter().filter_map(|row| {
            let pid = |column: usize| row.try_get(column).ok().flatten()?.parse::<u32>().ok();
            let pids = (pid(0)?, pid(1)?);
            Some(Wait { waiter: party(node, pids.0), holder: party(node, pids.1), node, pids })
        }));
    }
    waits
}

/// Cancels where the session waits in the ring; the connections that were hit.
async fn strike(client: u32, sessions: &BTreeMap<u32, Keys>, ring: &[Wait]) -> Keys {
    let nodes: Vec<NodeId> =
        ring.iter().filter(|wait| wait.waiter == Party::Session(client)).map(|wait| wait.node).collect();
    let keys = sessions.get(&client).into_iter().flatten().filter(|key| nodes.contains(&key.node));
    let keys: Keys = keys.map(Arc::clone).collect();
    tracing::info!(
        client,
        sessions = ring.len(),
        "sessions wait for each other on several servers: one gives way"
    );
    for key in &keys {
        key.struck.set(Strike::Deadlock);
        key.cancel_counted(ANSWER_TIME_MAX).await;
    }
    keys
}
