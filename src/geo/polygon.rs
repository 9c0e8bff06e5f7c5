//! Polygons with holes: who is inside, and what a rectangle has to do with them.
//!
//! A position is inside a ring when an odd number of its edges pass east of it. An edge counts for latitudes from its
//! lower end up to, but not with, its upper end, and only when it passes strictly east:
//!
//! ```text
//!        north: out          So the south and west borders are inside, the north and east
//!      ┌─────────╴           borders are not, as for boxes. Every edge is kept with its lower
//!  in  │ inside  ╎ out       end first: two rings that share an edge compute the same crossing
//!      └─────────╴           and never both own a position on it, nor neither.
//!        south: in
//! ```
//!
//! At latitude 90, which no upper end exceeds, the edges that reach the pole are taken at the pole.
//! Built by `geojson`; asked by `area`, `world` and `overlap`.
//!
//! Invariants:
//! 1. [`Polygon::relation`] says `Outside` or `Inside` only when that is so for every position of the rectangle.
//! 2. Computed crossings lie between the edge's ends and off by far less than the slack.
//!
//! Not here: reading GeoJSON (`geojson`), cutting along a parallel (`overlap`), and edges that cross the antimeridian (their author splits them).

use super::{Position, SLACK_DEGREES, rect::Rect};

/// A vertex as it was written: longitude 180 stays 180 here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Vertex {
    pub latitude: f64,
    pub longitude: f64,
}

/// An edge that is not along a parallel, lower end first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub low: Vertex,
    pub high: Vertex,
}

/// An edge along a parallel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub latitude: f64,
    pub west: f64,
    pub east: f64,
}

/// A closed line of edges.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    pub south: f64,
    pub north: f64,
    pub west: f64,
    pub east: f64,
    edges: Box<[Edge]>,
    levels: Box<[Level]>,
}

/// An outer ring without its holes.
#[derive(Clone, Debug)]
pub(super) struct Polygon {
    outer: Ring,
    holes: Box<[Ring]>,
}

/// What a rectangle has to do with a polygon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// No position of the rectangle is in the polygon.
    Outside,
    /// Some may be, some may not.
    Mixed,
    /// Every position of the rectangle is in the polygon.
    Inside,
}

impl Edge {
    /// The longitude at which the edge passes a latitude between its ends.
    pub fn longitude_at(&self, latitude: f64) -> f64 {
        if latitude <= self.low.latitude {
            return self.low.longitude;
        }
        if latitude >= self.high.latitude {
            return self.high.longitude;
        }
        let part = (latitude - self.low.latitude) / (self.high.latitude - self.low.latitude);
        let longitude = self.low.longitude + part * (self.high.longitude - self.low.longitude);
        longitude.clamp(self.west(), self.east())
    }

    pub fn west(&self) -> f64 {
        self.low.longitude.min(self.high.longitude)
    }

    pub fn east(&self) -> f64 {
        self.low.longitude.max(self.high.longitude)
    }

    fn counts_at(&self, latitude: f64) -> bool {
        if latitude == 90.0 {
            return self.high.latitude == 90.0;
        }
        self.low.latitude <= latitude && latitude < self.high.latitude
    }

    /// Whether positions of the rectangle may lie on both sides of the edge.
    fn separates(&self, rect: &Rect) -> bool {
        let above = self.low.latitude > rect.north;
        let below = self.high.latitude <= rect.south && rect.south != 90.0;
        if above || below {
            return false;
        }
        if self.low.longitude == self.high.longitude {
            return rect.west < self.low.longitude && self.low.longitude <= rect.east;
        }
        let one = self.longitude_at(rect.south);
        let other = self.longitude_at(rect.north);
        one.min(other) - SLACK_DEGREES <= rect.east && one.max(other) + SLACK_DEGREES >= rect.west
    }
}

impl Level {
    fn separates(&self, rect: &Rect) -> bool {
        rect.south < self.latitude
            && self.latitude <= rect.north
            && self.latitude < 90.0
            && self.west <= rect.east
            && self.east > rect.west
    }
}

impl Ring {
    /// The ring through the vertices, of which the last is joined to the first; repeated vertices are skipped.
    pub fn through(vertices: &[Vertex]) -> Self {
        let mut edges = Vec::with_capacity(vertices.len());
        let mut levels = Vec::new();
        let next = vertices.iter().skip(1).chain(vertices.first());
        for (&from, &to) in vertices.iter().zip(next) {
            if from.latitude == to.latitude {
                let (west, east) = (from.longitude.min(to.longitude), from.longitude.max(to.longitude));
                if west < east {
                    levels.push(Level { latitude: from.latitude, west, east });
                }
            } else if from.latitude < to.latitude {
                edges.push(Edge { low: from, high: to });
            } else {
                edges.push(Edge { low: to, high: from });
            }
        }
        edges.sort_unstable_by(|one, other| one.low.latitude.total_cmp(&other.low.latitude));
        let latitudes = || vertices.iter().map(|vertex| vertex.latitude);
        let longitudes = || vertices.iter().map(|vertex| vertex.longitude);
        Self {
            south: latitudes().fold(f64::INFINITY, f64::min),
            north: latitudes().fold(f64::NEG_INFINITY, f64::max),
            west: longitudes().fold(f64::INFINITY, f64::min),
            east: longitudes().fold(f64::NEG_INFINITY, f64::max),
            edges: edges.into(),
            levels: levels.into(),
        }
    }

    /// The edges that are not along a parallel, by their lower latitude.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Whether the frame of `other` lies in the frame of this ring.
    pub fn frames(&self, other: &Self) -> bool {
        self.south <= other.south
            && other.north <= self.north
            && self.west <= other.west
            && other.east <= self.east
    }

    fn contains(&self, position: Position) -> bool {
        let (latitude, longitude) = (position.latitude(), position.longitude());
        if latitude < self.south || latitude > self.north || longitude < self.west || longitude >= self.east {
            return false;
        }
        let mut inside = false;
        for edge in &self.edges {
            if edge.low.latitude > latitude {
                break;
            }
            if edge.counts_at(latitude) && longitude < edge.longitude_at(latitude) {
                inside = !inside;
            }
        }
        inside
    }

    fn is_apart_from(&self, rect: &Rect) -> bool {
        self.south > rect.north || self.north < rect.south || self.west > rect.east || self.east <= rect.west
    }

    fn relation(&self, rect: &Rect) -> Relation {
        if self.is_apart_from(rect) {
            Relation::Outside
        } else if self.edges.iter().any(|edge| edge.separates(rect))
            || self.levels.iter().any(|level| level.separates(rect))
        {
            Relation::Mixed
        } else if self.contains(rect.south_west()) {
            Relation::Inside
        } else {
            Relation::Outside
        }
    }
}

impl Polygon {
    pub fn new(outer: Ring, holes: Vec<Ring>) -> Self {
        Self { outer, holes: holes.into() }
    }

    pub fn contains(&self, position: Position) -> bool {
        self.outer.contains(position) && !self.holes.iter().any(|hole| hole.contains(position))
    }

    pub fn relation(&self, rect: &Rect) -> Relation {
        let mut relation = self.outer.relation(rect);
        if relation == Relation::Outside {
            return relation;
        }
        for hole in &self.holes {
            match hole.relation(rect) {
                Relation::Inside => return Relation::Outside,
                Relation::Mixed => relation = Relation::Mixed,
                Relation::Outside => {}
            }
        }
        relation
    }

    pub const fn outer(&self) -> &Ring {
        &self.outer
    }

    pub fn holes(&self) -> &[Ring] {
        &self.holes
    }
}
