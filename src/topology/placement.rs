//! Placements: from a row's key (and position) to its shard.
//!
//! Pure. `plan` asks with decoded keys; `execute` asks for every row of a COPY. The questions:
//!
//! - [`TableRule::shard_of_key`]: where the rows with this key are;
//! - [`TableRule::shard_of_position`]: where a row placed by `geo` goes;
//! - [`TableRule::check_position`]: whether a row placed by `region` says the truth about itself;
//! - [`Placement::shards_between`]: where the rows with keys in an interval are.
//!
//! Invariants:
//! 1. Every row that a write was allowed to store is on the shard that these functions give for it.
//! 2. A row whose region, position and geohash disagree has no shard, nor has one with only one coordinate: a query's
//!    bound on that coordinate alone would look for it elsewhere.

use std::ops::Bound;
use std::sync::Arc;

use super::hash::hash_key;
use super::ids::{RegionId, ShardId, ShardSet};
use super::key::Key;
use super::snapshot::Topology;
use crate::geo::{Cell, CellOwner, GeoError, Owner, Position};
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
    /// Shards on which rows of several may be brought together to answer a query; None: on any.
    pub residency: Option<ShardSet>,
}

/// Columns that hold a row's position: latitude and longitude, or a geohash, or all three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionColumns {
    pub latitude: Option<String>,
    pub longitude: Option<String>,
    pub geohash: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Placement {
    /// The key column holds the region's name; each region that is used has one shard.
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
#[derive(Debug, Clone, PartialEq)]
pub struct HashPlacement {
    pub key: String,
    /// Slot to shard; its length is the number of slots (a power of two).
    pub slots: Arc<[ShardId]>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListPlacement {
    pub key: String,
    pub values: std::collections::HashMap<Key, ShardId>,
    /// Values that are not listed; None: refused.
    pub otherwise: Option<ShardId>,
}

/// Half-open ranges `[from, to)`, sorted, not overlapping; None is unbounded. Text is ordered by bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct RangePlacement {
    pub key: String,
    pub ranges: Vec<KeyRange>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct KeyRange {
    pub from: Option<Key>,
    pub to: Option<Key>,
    pub shard: ShardId,
}

/// What a row says about where it is; None: NULL, or not a column of the rule.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowPosition<'a> {
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub geohash: Option<&'a str>,
}

/// Why a row has no shard.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlacementError {
    #[error("\"{0}\" is not a region")]
    UnknownRegion(String),
    #[error("region \"{0}\" has no shard")]
    RegionWithoutShard(String),
    #[error("no shard holds key {0}")]
    NotListed(String),
    #[error("the key is null")]
    NullKey,
    #[error("the position is null")]
    NullPosition,
    #[error("the position has only one coordinate, the other is null")]
    HalfPosition,
    #[error("{0} is in no region")]
    Nowhere(String),
    #[error("geohash \"{0}\" is in more than one region")]
    Ambiguous(String),
    #[error("{place} is in region \"{implied}\", not in region \"{said}\"")]
    Contradiction { said: String, implied: String, place: String },
    #[error("{place} is in no region, the row says region \"{said}\"")]
    Outside { said: String, place: String },
    #[error("geohash \"{geohash}\" does not contain {position}")]
    GeohashElsewhere { geohash: String, position: String },
    #[error(transparent)]
    BadPosition(#[from] GeoError),
    /// The table is not placed by what was asked about.
    #[error("the table has no such key")]
    NoKey,
}

impl PlacementError {
    /// A row that breaks a rule of placement (23514) rather than a value that is wrong by itself.
    pub const fn sqlstate(&self) -> &'static str {
        match self {
            Self::UnknownRegion(_)
            | Self::RegionWithoutShard(_)
            | Self::NotListed(_)
            | Self::Nowhere(_)
            | Self::Ambiguous(_)
            | Self::Contradiction { .. }
            | Self::Outside { .. }
            | Self::HalfPosition
            | Self::GeohashElsewhere { .. } => "23514",
            Self::NullKey | Self::NullPosition => "23502",
            Self::BadPosition(GeoError::NotAGeohash { .. } | GeoError::GeohashTooLong { .. }) => "22P02",
            Self::BadPosition(_) => "22003",
            Self::NoKey => "XX000",
        }
    }

    /// A sentence that says what to do, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::BadPosition(error) => error.hint(),
            Self::UnknownRegion(_) => Some("SHOW REGIONS in the console lists the regions."),
            Self::Contradiction { .. } | Self::Outside { .. } => {
                Some("A row's region is the one whose area holds its position.")
            }
            Self::Ambiguous(_) => Some("Give a longer geohash, or the latitude and the longitude."),
            Self::HalfPosition => Some("Give both coordinates or neither."),
            Self::RegionWithoutShard(_)
            | Self::NotListed(_)
            | Self::NullKey
            | Self::NullPosition
            | Self::Nowhere(_)
            | Self::GeohashElsewhere { .. }
            | Self::NoKey => None,
        }
    }
}

impl TableRule {
    /// The key column; None where no single column decides.
    pub fn key(&self) -> Option<&str> {
        match &self.placement {
            Placement::Region { key } => Some(key),
            Placement::Hash(hash) => Some(&hash.key),
            Placement::List(list) => Some(&list.key),
            Placement::Range(range) => Some(&range.key),
            Placement::Geo | Placement::Reference | Placement::Single(_) => None,
        }
    }

    /// Whether rows are split over the shards.
    pub const fn is_sharded(&self) -> bool {
        !matches!(self.placement, Placement::Reference | Placement::Single(_))
    }

    /// The shard of the rows with this key; None: the key is NULL.
    pub fn shard_of_key(&self, topology: &Topology, key: Option<&Key>) -> Result<ShardId, PlacementError> {
        match key {
            Some(key) => self.placement.shard_of(topology, key),
            None => self.shard_of_null().ok_or(PlacementError::NullKey),
        }
    }

    /// Where rows with a NULL key (or, under `geo`, without a position) are; None: there are none.
    pub const fn shard_of_null(&self) -> Option<ShardId> {
        match self.null_key {
            NullKey::Refuse => None,
            NullKey::Shard(shard) => Some(shard),
        }
    }

    /// The shard of a row placed by `geo`. Coordinates decide; without them the geohash does.
    pub fn shard_of_position(
        &self,
        topology: &Topology,
        row: RowPosition<'_>,
    ) -> Result<ShardId, PlacementError> {
        match row.place()? {
            Some(place) => {
                let owner =
                    place.owner(topology)?.ok_or_else(|| PlacementError::Nowhere(place.to_string()))?;
                topology.shard_of_region(RegionId(owner.0))
            }
            None => self.shard_of_null().ok_or(PlacementError::NullPosition),
        }
    }

    /// Refuses a row placed by `region` whose position is not in the region that its key says.
    pub fn check_position(
        &self,
        topology: &Topology,
        key: Option<&Key>,
        row: RowPosition<'_>,
    ) -> Result<(), PlacementError> {
        let Some(place) = row.place()? else { return Ok(()) };
        let (Placement::Region { .. }, Some(Key::Text(said))) = (&self.placement, key) else { return Ok(()) };
        let region =
            topology.region_named(said).ok_or_else(|| PlacementError::UnknownRegion(said.to_string()))?;
        match place.owner(topology)? {
            Some(owner) if owner.0 == region.0 => Ok(()),
            Some(owner) => Err(PlacementError::Contradiction {
                said: said.to_string(),
                implied: topology.region(RegionId(owner.0)).name.clone(),
                place: place.to_string(),
            }),
            None => Err(PlacementError::Outside { said: said.to_string(), place: place.to_string() }),
        }
    }
}

impl Placement {
    fn shard_of(&self, topology: &Topology, key: &Key) -> Result<ShardId, PlacementError> {
        match self {
            Self::Region { .. } => {
                let Key::Text(name) = key else { return Err(PlacementError::NoKey) };
                let region = topology.region_named(name);
                let region = region.ok_or_else(|| PlacementError::UnknownRegion(name.to_string()))?;
                topology.shard_of_region(region)
            }
            Self::Hash(hash) => hash.shard(key).ok_or(PlacementError::NoKey),
            Self::List(list) => {
                let listed = list.values.get(key).copied().or(list.otherwise);
                listed.ok_or_else(|| PlacementError::NotListed(key.to_string()))
            }
            Self::Range(range) => {
                let shard = range.shard(key);
                shard.ok_or_else(|| PlacementError::NotListed(key.to_string()))
            }
            Self::Single(shard) => Ok(*shard),
            Self::Geo | Self::Reference => Err(PlacementError::NoKey),
        }
    }

    /// The shards of the rows whose keys lie in an interval; None: the placement cannot tell, so all of them.
    ///
    /// Text is compared by bytes: ask only where the column's collation does so too. NULLs are in no interval.
    pub fn shards_between(&self, low: Bound<&Key>, high: Bound<&Key>) -> Option<ShardSet> {
        match self {
            Self::List(list) => {
                let within = |key: &Key| {
                    (match low {
                        Bound::Included(low) => key >= low,
                        Bound::Excluded(low) => key > low,
                        Bound::Unbounded => true,
                    }) && (match high {
                        Bound::Included(high) => key <= high,
                        Bound::Excluded(high) => key < high,
                        Bound::Unbounded => true,
                    })
                };
                let listed = list.values.iter().filter(|(key, _)| within(key)).map(|(_, shard)| *shard);
                Some(listed.chain(list.otherwise).collect())
            }
            Self::Range(range) => {
                let touched = |piece: &&KeyRange| {
                    let starts_below = match (high, &piece.from) {
                        (Bound::Included(high), Some(from)) => from <= high,
                        (Bound::Excluded(high), Some(from)) => from < high,
                        (Bound::Unbounded, _) | (_, None) => true,
                    };
                    let ends_above = match (low, &piece.to) {
                        (Bound::Included(low) | Bound::Excluded(low), Some(to)) => to > low,
                        (Bound::Unbounded, _) | (_, None) => true,
                    };
                    starts_below && ends_above
                };
                Some(range.ranges.iter().filter(touched).map(|piece| piece.shard).collect())
            }
            Self::Single(shard) => Some(ShardSet::one(*shard)),
            Self::Region { .. } | Self::Geo | Self::Hash(_) | Self::Reference => None,
        }
    }
}

impl HashPlacement {
    /// The key's slot: in SQL `hash…extended(key, 0) & (slots - 1)`.
    pub fn slot(&self, key: &Key) -> usize {
        hash_key(key) as usize & (self.slots.len().saturating_sub(1))
    }

    fn shard(&self, key: &Key) -> Option<ShardId> {
        self.slots.get(self.slot(key)).copied()
    }
}

impl RangePlacement {
    fn shard(&self, key: &Key) -> Option<ShardId> {
        let above = self.ranges.partition_point(|range| range.from.as_ref().is_none_or(|from| from <= key));
        let range = self.ranges.get(above.checked_sub(1)?)?;
        range.to.as_ref().is_none_or(|to| key < to).then_some(range.shard)
    }
}

impl Topology {
    /// The one shard that rows of a region belong to.
    pub fn shard_of_region(&self, region: RegionId) -> Result<ShardId, PlacementError> {
        let region = self.region(region);
        region.shards.first().copied().ok_or_else(|| PlacementError::RegionWithoutShard(region.name.clone()))
    }
}

/// Where a row is: a point, or all that a cell covers.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    At(Position),
    Within(&'a str, Cell),
}

impl<'a> RowPosition<'a> {
    /// Checks that what the row says agrees with itself; None: it says nothing.
    fn place(self) -> Result<Option<Place<'a>>, PlacementError> {
        let cell = self.geohash.map(|text| text.parse::<Cell>().map(|cell| (text, cell))).transpose()?;
        let position = match (self.latitude, self.longitude) {
            (Some(latitude), Some(longitude)) => Position::new(latitude, longitude)?,
            (None, None) => return Ok(cell.map(|(text, cell)| Place::Within(text, cell))),
            (Some(_), None) | (None, Some(_)) => return Err(PlacementError::HalfPosition),
        };
        match cell {
            Some((text, cell)) if !cell.accepts(position) => Err(PlacementError::GeohashElsewhere {
                geohash: text.to_owned(),
                position: position.to_string(),
            }),
            _ => Ok(Some(Place::At(position))),
        }
    }
}

impl Place<'_> {
    /// The owner; None: nobody's.
    fn owner(&self, topology: &Topology) -> Result<Option<Owner>, PlacementError> {
        match self {
            Self::At(position) => Ok(topology.world.owner(*position)),
            Self::Within(text, cell) => match topology.world.owner_of_cell(*cell) {
                CellOwner::One(owner) => Ok(Some(owner)),
                CellOwner::Nobody => Ok(None),
                CellOwner::Several(_) => Err(PlacementError::Ambiguous((*text).to_owned())),
            },
        }
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(position) => position.fmt(f),
            Self::Within(text, _) => write!(f, "geohash \"{text}\""),
        }
    }
}
