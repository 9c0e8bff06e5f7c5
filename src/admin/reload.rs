//! Reads the configuration again: all of it takes effect, or nothing, with the reason.
//!
//! Called by the console (`RELOAD`) and by `server` (SIGHUP). What is replaced are two snapshots, the settings and the
//! topology; running statements keep those that they began with.
//!
//! ```text
//!   file ─▶ checked ─▶ can it follow? ─▶ topology, settings ─▶ reloads + 1 ─▶ probes, catalogs and pools take them up
//! ```
//!
//! Invariants:
//! 1. A file with a mistake, or with a change that needs a restart, changes nothing.
//! 2. No client is disconnected, and no statement fails, because of a reload.
//!
//! Not here: what a topology may change while sessions run (`Topology::following`).

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, ConfigErrors};
use crate::session::shared::{Live, Shared};
use crate::topology::snapshot::Unfollowable;
use crate::topology::{Placement, TableRule, Topology};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("this Meridian was not started with a file")]
    NoFile,
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("{0}")]
    Topology(#[from] Unfollowable),
    #[error("{0} is different, which needs a restart")]
    NeedsRestart(&'static str),
}

/// Reads the file that Meridian was started with, and takes up what it says. Blocks for the time of a file's reading.
pub fn reload(shared: &Shared) -> Result<(), ReloadError> {
    let file = shared.file.as_deref().ok_or(ReloadError::NoFile)?;
    let outcome = take_up(shared, file);
    match &outcome {
        Ok(version) => tracing::info!(version, "the configuration was read again"),
        Err(error) => tracing::error!(%error, "the configuration was not read again; nothing is changed"),
    }
    outcome.map(drop)
}

fn take_up(shared: &Shared, file: &Path) -> Result<u64, ReloadError> {
    let (live, topology) = Live::new(Config::load(file)?);
    let (now, before) = (shared.live.load_full(), shared.topology.load_full());
    refuse_restarts(&now, &live, &before, &topology)?;
    let topology = topology.following(&before)?;
    for rule in moved(&before, &topology) {
        tracing::warn!(
            table = %rule.name,
            "is placed differently now: rows that were written before stay where they are, and may not be found"
        );
    }
    let version = topology.version.0;
    shared.topology.store(Arc::new(topology));
    shared.live.store(Arc::new(live));
    shared.lookups.clear();
    shared.reloads.send_modify(|count| *count += 1);
    Ok(version)
}

/// What is bound once, at the start.
fn refuse_restarts(now: &Live, then: &Live, before: &Topology, after: &Topology) -> Result<(), ReloadError> {
    let http = |live: &Live| live.http.as_ref().map(|http| http.listen);
    let changes = [
        ("[proxy] listen", now.proxy.listen != then.proxy.listen),
        ("[proxy] workers", now.proxy.workers != then.proxy.workers),
        ("[proxy] plan_cache_bytes", now.proxy.plan_cache_bytes != then.proxy.plan_cache_bytes),
        ("[http] listen", http(now) != http(then)),
        ("[log] format", now.log.format != then.log.format),
        ("[log] level", now.log.level != then.log.level),
        ("[database] name", before.database != after.database),
        ("[database] default_shard", before.default_shard != after.default_shard),
    ];
    match changes.iter().find(|(_, differs)| *differs) {
        Some((what, _)) => Err(ReloadError::NeedsRestart(what)),
        None => Ok(()),
    }
}

/// Tables whose rows now belong elsewhere. What the file does not name is the default shard's.
fn moved<'t>(before: &'t Topology, after: &'t Topology) -> impl Iterator<Item = &'t TableRule> {
    let differs = |rule: &&TableRule, other: &Topology| match other.rule(&rule.name) {
        Some(other) => other.placement != rule.placement,
        None => rule.placement != Placement::Single(other.default_shard),
    };
    let changed = after.tables.iter().filter(move |rule| differs(rule, before));
    let gone = before.tables.iter().filter(|rule| after.rule(&rule.name).is_none());
    changed.chain(gone.filter(move |rule| differs(rule, after)))
}
