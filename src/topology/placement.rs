//! Placements: from a row's key (and position) to its shard.
//!
//! Pure. `plan` asks with decoded keys; `execute` asks for every row of a COPY.

use super::ids::{RegionId, ShardId};
use super::key::Key;
use crate::sql::name::ObjectName;

/// How one table's rows are spread, as configured and checked.
#[derive(Debug, Clone)]
pub struct TableRule {
    /// Always qualified (`public` where the file says no schema).
    pub name: ObjectName,
    pub placement: Placement,
    /// Columns that tell where the row is; with `region` placement they imply the key and prune reads.
    pub position: Option<PositionColumns>,
    pub null_key: NullKey,
}

/// Columns that hold a row's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionColumns {
    pub latitude: Option<String>,
    pub longitude: Option<String>,
    pub geohash: Option<String>,
}

#[derive(Debug, Clone)]
pub enum Placement {
    /// The key column holds the region's name.
    Region {
        key: String,
    },
    /// The position columns decide, through the regions' areas.
    Geo,
    Hash(HashPlacement),
    List(ListPlacement),
    Range(RangePlacement),
    /// The same rows on every shard.
    Reference,
    /// Rows on one shard only.
    Single(ShardId),
}

/// What to do with a row whose key is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullKey {
    Refuse,
    Shard(ShardId),
}

/// PostgreSQL's own extended hash of the key, modulo a fixed number of slots; slots belong to shards by a ring.
#[derive(Debug, Clone)]
pub struct HashPlacement {
    pub key: String,
    /// Slot to shard; its length is the number of slots (a power of two).
    pub slots: std::sync::Arc<[ShardId]>,
}

#[derive(Debug, Clone)]
pub struct ListPlacement {
    pub key: String,
    pub values: std::collections::HashMap<Key, ShardId>,
    /// Values that are not listed; None: refused.
    pub otherwise: Option<ShardId>,
}

/// Half-open ranges `[from, to)`, sorted, not overlapping; None is unbounded.
#[derive(Debug, Clone)]
pub struct RangePlacement {
    pub key: String,
    pub ranges: Vec<KeyRange>,
}

#[derive(Debug, Clone)]
pub struct KeyRange {
    pub from: Option<Key>,
    pub to: Option<Key>,
    pub shard: ShardId,
}

/// Why a key has no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    #[error("\"{0}\" is not a region")]
    UnknownRegion(String),
    #[error("region \"{0}\" has no shard")]
    RegionWithoutShard(String),
    #[error("no shard holds key {0}")]
    NotListed(String),
    #[error("the key is null")]
    NullKey,
    #[error("the position is in no region")]
    Nowhere,
    #[error("the position is in region \"{implied:?}\", the row says \"{said:?}\"")]
    Contradiction { said: RegionId, implied: RegionId },
}
