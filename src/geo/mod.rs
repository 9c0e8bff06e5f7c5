//! The globe: positions, geohash cells, the areas that regions own, and what a query's window touches.
//!
//! Called by `topology` (a region's area, the owner of a written row) and by `plan` (which owners a WHERE clause
//! may need). It calls nothing: no SQL, no network, no clock.
//!
//! The one idea that keeps borders right: a stored coordinate is an `f64`, so a half-open interval `[a, b)` *is* the
//! closed interval `[a, b.next_down()]`. Boxes and cells become closed rectangles on that lattice ([`rect::Rect`]),
//! and cutting, covering and overlapping them is exact. Polygons keep their slanted edges: a test that must never say
//! no wrongly allows [`SLACK_DEGREES`] around those, far more than rounding can do.
//!
//! Invariants, each with a property in `tests.rs`:
//! 1. A position has one owner at most; where areas tile the globe, exactly one, also on borders and at the poles.
//! 2. A position that a window admits has its owner in the set that the window touches.
//! 3. Longitude 180 and -180 are one meridian, owned as -180.
//! 4. Two areas of a [`World`] share no position (polygons: none beyond a sliver of [`SLACK_DEGREES`]).
//!
//! All longitudes at a pole are one place on Earth, but `(90, 10)` and `(90, 20)` are two stored values: each is
//! owned by its own longitude. Distances, circles and spherical edges are not here: an edge is straight in latitude
//! and longitude.

mod area;
mod cell;
mod error;
mod geojson;
mod overlap;
mod polygon;
mod position;
mod rect;
mod window;
mod world;

#[cfg(test)]
mod facts;
#[cfg(test)]
mod tests;

pub use area::Area;
pub use cell::{Bounds, Cell};
pub use error::GeoError;
pub use position::Position;
pub use window::Window;
pub use world::{CellOwner, NamedArea, Owner, OwnerSet, World};

/// Areas in one world. An [`OwnerSet`] is a fixed bit set of this many owners, copied without allocation.
pub const AREAS_MAX: usize = 256;

/// Boxes, cells and polygons in one world: the check for overlaps compares them pair by pair (134 million at most).
pub const PARTS_MAX: usize = 16_384;

/// Positions in the rings of one area: broken rings and overlaps are found by comparing edges pair by pair.
pub const RING_POSITIONS_MAX: usize = 10_000;

/// The width in degrees (0.1 mm on the ground) within which a slanted edge is taken to be anywhere.
///
/// Rounding moves a computed point of an edge by less than 1e-12 degrees. Two polygons that overlap by less than this
/// are touching: the earlier area owns the sliver.
const SLACK_DEGREES: f64 = 1e-9;
