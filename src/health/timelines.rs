//! Timelines that the shards' primaries have been on, recorded on every shard, for a Meridian that starts later.
//!
//! An old primary is told from the new one by its timeline. Who starts while the new one is away sees the old one only, and
//! would take it: what was written since the promotion would be missing. So whoever sees a promotion records it on all
//! shards' primaries, from where it gets to all their replicas, and a new [`super::probe::Watch`] asks every node that it
//! reaches what is recorded there, before a primary is named. It goes on to ask: who is cut off from the new primary learns of
//! it from another Meridian.
//!
//! ```text
//!   promotion seen ─▶ keep ─▶ meridian_internal.timelines on every shard ─▶ read by probes ─▶ judge
//! ```
//!
//! Invariants:
//! 1. A timeline is that of one cluster (system identifier) behind one shard's name: clusters that were copied from each
//!    other have one identifier, and a shard that was set up anew has another.
//! 2. Recorded timelines only grow. The first is not recorded: there is none before it.
//! 3. Only what this account, or a superuser, owns is believed.
//!
//! Not here: what a recorded timeline means (`judge`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;

use super::connect::{ControlConnection, ControlError, connect, primary};
use crate::backend::settings::quote_literal;
use crate::config::ServerSettings;
use crate::topology::{NodeId, ShardId, Signals, Topology};

/// Until what could not be recorded is tried again.
const INTERVAL: Duration = Duration::from_secs(10);

/// For one statement; a commit may wait for replicas.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Held by who makes the schema: `IF NOT EXISTS` does not keep two Meridians from colliding.
pub const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(5567913742801121)";

/// Where Meridian keeps its records on the shards.
pub const SCHEMA: &str = "
CREATE SCHEMA IF NOT EXISTS meridian_internal;
GRANT USAGE ON SCHEMA meridian_internal TO PUBLIC;
COMMENT ON SCHEMA meridian_internal IS 'decisions of transactions over several shards, and timelines of shards, kept by Meridian'";

/// `pg_dump` reads what it dumps, whoever runs it.
const TABLE: &str = "
CREATE TABLE meridian_internal.timelines (
  shard pg_catalog.text NOT NULL,
  system_identifier pg_catalog.int8 NOT NULL,
  timeline pg_catalog.int8 NOT NULL,
  seen_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
  PRIMARY KEY (shard, system_identifier)
);
REVOKE ALL ON meridian_internal.timelines FROM PUBLIC;
GRANT SELECT ON meridian_internal.timelines TO PUBLIC";

/// Asked by each probe from time to time, and first on a cold connection: nothing to plan.
const EXISTS: &str = "SELECT pg_catalog.to_regclass('meridian_internal.timelines') IS NOT NULL";

/// Whether the table is to be believed, NULL where there is none; whether there is the schema.
const LOOK: &str = "
SELECT (SELECT owner.rolsuper OR owner.rolname = current_user
          FROM pg_catalog.pg_class JOIN pg_catalog.pg_roles AS owner ON owner.oid = relowner
         WHERE pg_class.oid = pg_catalog.to_regclass('meridian_internal.timelines') AND relkind = 'r'),
  pg_catalog.to_regnamespace('meridian_internal') IS NOT NULL";

/// A probe waits for it: not long, whoever has locked the table.
const READ: &str = "SET LOCAL lock_timeout = '200ms'; \
  SELECT shard, system_identifier, timeline FROM meridian_internal.timelines";

/// A primary of a shard has been on a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub shard: String,
    pub system_identifier: u64,
    pub timeline: u32,
}

/// What is recorded on a server; nothing, where there is no record that can be believed.
pub async fn read(connection: &ControlConnection) -> Result<Vec<Sighting>, ControlError> {
    let exists = connection.rows(EXISTS, ANSWER_TIME_MAX).await?;
    let exists = exists.first().is_some_and(|row| row.get(0) == Some("t"));
    if !exists || look(connection).await? != Found::Ours {
        return Ok(Vec::new());
    }
    let rows = connection.rows(READ, ANSWER_TIME_MAX).await?;
    let sighting = |row: &tokio_postgres::SimpleQueryRow| {
        let text = |column: usize| row.try_get(column).ok().flatten();
        Some(Sighting {
            shard: text(0)?.to_owned(),
            system_identifier: text(1)?.parse::<i64>().ok()?.cast_unsigned(),
            timeline: text(2)?.parse().ok()?,
        })
    };
    Ok(rows.iter().filter_map(sighting).collect())
}

/// Records each promotion, once for each primary. Never ends; cancel safe: yes.
pub async fn keep(topology: Arc<Topology>, signals: Arc<Signals>, server: ServerSettings) {
    let mut roles = signals.watch_roles();
    let mut keepers: Vec<Keeper> = topology.shards.iter().map(|_| Keeper::default()).collect();
    loop {
        roles.mark_unchanged();
        let sightings = seen(&topology);
        let shards = keepers.iter_mut().enumerate();
        join_all(
            shards.map(|(index, keeper)| keeper.keep(&topology, &server, ShardId(index as u16), &sightings)),
        )
        .await;
        // Either is a reason to look again.
        let _ = tokio::time::timeout(INTERVAL, roles.changed()).await;
    }
}

/// Of the primaries there are, those that have been promoted.
fn seen(topology: &Topology) -> Vec<Sighting> {
    let shards = topology.shards.iter().enumerate();
    let sighting = |(index, shard): (usize, &crate::topology::Shard)| {
        let state = &topology.node(primary(topology, ShardId(index as u16))?).state;
        let timeline = shard.timeline.load(Ordering::Acquire);
        let identifier = state.system_identifier()?;
        let promoted = timeline > 1 && timeline == state.timeline();
        promoted.then(|| Sighting { shard: shard.name.clone(), system_identifier: identifier, timeline })
    };
    shards.filter_map(sighting).collect()
}

/// What one shard has recorded already.
#[derive(Debug, Default)]
struct Keeper {
    kept: Option<(NodeId, Vec<Sighting>)>,
    has_failed: bool,
}

impl Keeper {
    async fn keep(
        &mut self,
        topology: &Topology,
        server: &ServerSettings,
        shard: ShardId,
        sightings: &[Sighting],
    ) {
        let Some(node) = primary(topology, shard).filter(|_| !sightings.is_empty()) else { return };
        if self.kept.as_ref().is_some_and(|(on, kept)| *on == node && kept == sightings) {
            return;
        }
        match record(topology, server, node, sightings).await {
            Ok(()) => {
                self.kept = Some((node, sightings.to_vec()));
                self.has_failed = false;
            }
            Err(error) if !std::mem::replace(&mut self.has_failed, true) => tracing::warn!(
                shard = topology.shard(shard).name,
                %error,
                "the timelines of promoted primaries cannot be recorded here: whoever starts a Meridian while a new primary is \
                 away must keep the old one stopped"
            ),
            Err(_) => {}
        }
    }
}

async fn record(
    topology: &Topology,
    server: &ServerSettings,
    node: NodeId,
    sightings: &[Sighting],
) -> Result<(), ControlError> {
    let connection = connect(topology, node, server).await?;
    match look(&connection).await? {
        Found::Ours => {}
        Found::Foreign => {
            let (address, sqlstate) = (connection.address.clone(), "42501".to_owned());
            let message = "meridian_internal.timelines belongs to another role".to_owned();
            return Err(ControlError::Server { address, message, sqlstate });
        }
        Found::Schema => make(&connection, &format!("{LOCK}; {TABLE}")).await?,
        Found::Nothing => make(&connection, &format!("{LOCK}; {SCHEMA}; {TABLE}")).await?,
    }
    let row = |sighting: &Sighting| {
        let Sighting { shard, system_identifier, timeline } = sighting;
        format!("({}, {}, {timeline})", quote_literal(shard), system_identifier.cast_signed())
    };
    let rows: Vec<_> = sightings.iter().map(row).collect();
    let insert = format!(
        "INSERT INTO meridian_internal.timelines AS known (shard, system_identifier, timeline) VALUES {} \
         ON CONFLICT (shard, system_identifier) DO UPDATE SET timeline = EXCLUDED.timeline, seen_at = EXCLUDED.seen_at \
         WHERE known.timeline < EXCLUDED.timeline",
        rows.join(", ")
    );
    connection.rows(&insert, ANSWER_TIME_MAX).await?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// And no table in it.
    Schema,
    /// The table is of a role that is neither this account nor a superuser.
    Foreign,
    Ours,
}

async fn look(connection: &ControlConnection) -> Result<Found, ControlError> {
    let rows = connection.rows(LOOK, ANSWER_TIME_MAX).await?;
    let text = |column: usize| rows.first().and_then(|row| row.try_get(column).ok().flatten());
    Ok(match (text(0), text(1)) {
        (Some("t"), _) => Found::Ours,
        (Some(_), _) => Found::Foreign,
        (None, Some("t")) => Found::Schema,
        (None, _) => Found::Nothing,
    })
}

/// Another Meridian may have made it in between, which is as good.
async fn make(connection: &ControlConnection, sql: &str) -> Result<(), ControlError> {
    // One message is one transaction.
    match connection.rows(sql, ANSWER_TIME_MAX).await {
        Err(error) if error.sqlstate() != Some("42P07") => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}
