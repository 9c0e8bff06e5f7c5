//! An area: a union of boxes, geohash cells and polygons, as a region's configuration states it.
//!
//! Built by the configuration, part by part; put into a [`super::World`], which checks that areas do not overlap and
//! answers for all of them at once. The parts of one area may overlap each other.
//!
//! Invariants:
//! 1. [`Area::may_hold`] is true for every window that admits a position of the area; it may be true for others.
//! 2. Boxes are `[south, north) x [west, east)`, closed at latitude 90; `west > east` crosses the antimeridian.

use serde_json::Value;

use super::{
    Cell, GeoError, Position, Window, geojson,
    polygon::{Polygon, Relation},
    rect::Rect,
};

/// A union of boxes, cells and polygons. The empty one holds no position.
#[derive(Clone, Debug, Default)]
pub struct Area {
    parts: Vec<Part>,
}

/// One shape of an area.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Rect(Rect),
    Polygon(Polygon),
}

impl Area {
    /// The area without any position.
    pub const fn new() -> Self {
        Self { parts: Vec::new() }
    }

    /// Adds the box `[latitude[0], latitude[1]) x [longitude[0], longitude[1])`, in degrees.
    ///
    /// Latitude 90 as the second bound is included. If the first longitude is greater than the second, the box crosses
    /// the antimeridian. Bounds that are equal are an error; `[-180, 180]` is all longitudes.
    pub fn add_box(&mut self, latitude: [f64; 2], longitude: [f64; 2]) -> Result<(), GeoError> {
        let (rect, rest) = Rect::of_box(latitude, longitude)?;
        self.parts.push(Part::Rect(rect));
        self.parts.extend(rest.map(Part::Rect));
        Ok(())
    }

    /// Adds a geohash cell.
    pub fn add_cell(&mut self, cell: Cell) {
        self.parts.push(Part::Rect(cell.rect()));
    }

    /// Adds the polygons of a GeoJSON `Polygon`, `MultiPolygon`, or `Feature` or `FeatureCollection` of these.
    pub fn add_geojson(&mut self, document: &Value) -> Result<(), GeoError> {
        self.parts.extend(geojson::polygons(document)?.into_iter().map(Part::Polygon));
        Ok(())
    }

    /// Whether no part was added.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether the position is in the area.
    pub fn contains(&self, position: Position) -> bool {
        self.parts.iter().any(|part| part.contains(position))
    }

    /// Whether a row in this area may satisfy the window: never false wrongly.
    pub fn may_hold(&self, window: &Window) -> bool {
        let mut found = false;
        window.each_rect(|rect| found = found || self.parts.iter().any(|part| part.touches(rect)));
        found
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl Part {
    pub fn contains(&self, position: Position) -> bool {
        match self {
            Self::Rect(rect) => rect.contains(position),
            Self::Polygon(polygon) => polygon.contains(position),
        }
    }

    /// Whether the part may hold a position of the rectangle: never false wrongly.
    pub fn touches(&self, rect: &Rect) -> bool {
        match self {
            Self::Rect(own) => own.intersects(rect),
            Self::Polygon(polygon) => polygon.relation(rect) != Relation::Outside,
        }
    }

    /// Whether the part holds all positions of the rectangle: never true wrongly.
    pub fn covers(&self, rect: &Rect) -> bool {
        match self {
            Self::Rect(own) => own.covers(rect),
            Self::Polygon(polygon) => polygon.relation(rect) == Relation::Inside,
        }
    }
}
