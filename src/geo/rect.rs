//! Closed rectangles on the lattice of `f64` values: the shape of boxes, cells and windows once they are checked.
//!
//! ```text
//!   box  [40, 41) x [-75, -73)   =   rect  40 ..= 40.99999999999999  x  -75 ..= -73.00000000000001
//! ```
//!
//! Used by areas, cells, windows and worlds; never seen outside this room. A box that crosses the antimeridian is two
//! rectangles.
//!
//! Invariants:
//! 1. `south <= north` and `west <= east`; longitudes lie in [-180, 180).
//! 2. [`Rect::minus`] gives disjoint rectangles that with the cut hold the positions of the original, no more, no less.

use super::{GeoError, Position, SLACK_DEGREES};

/// The easternmost longitude of a position.
pub(super) const EAST_END: f64 = 180.0_f64.next_down();

/// All positions with `south <= latitude <= north` and `west <= longitude <= east`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub south: f64,
    pub north: f64,
    pub west: f64,
    pub east: f64,
}

impl Rect {
    pub const GLOBE: Self = Self { south: -90.0, north: 90.0, west: -180.0, east: EAST_END };

    /// The rectangle of a half-open box whose bounds are in range and in order; the border at 90 is closed.
    pub fn half_open(south: f64, north: f64, west: f64, east: f64) -> Self {
        let north = if north == 90.0 { north } else { north.next_down() };
        Self { south, north, west, east: east.next_down() }
    }

    /// The rectangles of a configured box: one, or two when `west > east` crosses the antimeridian.
    ///
    /// A box thinner than [`SLACK_DEGREES`] is a slip of the pen and would not be seen beside a polygon.
    pub fn of_box(latitude: [f64; 2], longitude: [f64; 2]) -> Result<(Self, Option<Self>), GeoError> {
        let [south, north] = latitude;
        let [mut west, mut east] = longitude;
        Position::new(south, west)?;
        Position::new(north, east)?;
        if north - south < SLACK_DEGREES {
            return Err(GeoError::EmptyBox { axis: "latitude", from: south, to: north });
        }
        let empty = GeoError::EmptyBox { axis: "longitude", from: west, to: east };
        if west == 180.0 {
            west = -180.0;
            if east == 180.0 {
                return Err(empty);
            }
        } else if east == -180.0 && west > east {
            east = 180.0;
        }
        if (east - west).abs() < SLACK_DEGREES {
            return Err(empty);
        }
        if west < east {
            return Ok((Self::half_open(south, north, west, east), None));
        }
        let eastern = Self::half_open(south, north, west, 180.0);
        Ok((eastern, Some(Self::half_open(south, north, -180.0, east))))
    }

    pub fn contains(&self, position: Position) -> bool {
        let (latitude, longitude) = (position.latitude(), position.longitude());
        self.south <= latitude && latitude <= self.north && self.west <= longitude && longitude <= self.east
    }

    pub fn covers(&self, other: &Self) -> bool {
        self.south <= other.south
            && other.north <= self.north
            && self.west <= other.west
            && other.east <= self.east
    }

    pub fn intersects(&self, other: &Self) -> bool {
        self.south <= other.north
            && other.south <= self.north
            && self.west <= other.east
            && other.west <= self.east
    }

    pub fn intersection(&self, other: &Self) -> Option<Self> {
        self.intersects(other).then(|| Self {
            south: self.south.max(other.south),
            north: self.north.min(other.north),
            west: self.west.max(other.west),
            east: self.east.min(other.east),
        })
    }

    /// What remains of `self` without `cut`, as rectangles that share no position.
    pub fn minus(&self, cut: &Self) -> impl Iterator<Item = Self> + use<> {
        let Some(core) = self.intersection(cut) else {
            return [Some(*self), None, None, None].into_iter().flatten();
        };
        let below = (self.south < core.south).then(|| Self { north: core.south.next_down(), ..*self });
        let above = (core.north < self.north).then(|| Self { south: core.north.next_up(), ..*self });
        let left =
            (self.west < core.west).then(|| Self { west: self.west, east: core.west.next_down(), ..core });
        let right =
            (core.east < self.east).then(|| Self { west: core.east.next_up(), east: self.east, ..core });
        [below, above, left, right].into_iter().flatten()
    }

    pub const fn south_west(&self) -> Position {
        Position::from_checked(self.south, self.west)
    }
}
