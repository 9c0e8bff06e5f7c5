//! Reading GeoJSON (RFC 7946) polygons: `Polygon`, `MultiPolygon`, and these inside a `Feature` or `FeatureCollection`.
//!
//! Called by `area` when a region is configured by a file. A GeoJSON position is `[longitude, latitude]`, with any
//! further number (altitude) ignored. The winding of rings does not matter: the first is the outer one, the others are
//! holes.
//!
//! Refused, because the author cannot have meant it: rings that are not closed, have fewer than three different
//! positions or no surface, cross themselves or another ring of their polygon; holes outside their polygon; coordinates
//! out of range; edges of more than 180 degrees of longitude, which are the mark of a ring across the antimeridian
//! (RFC 7946, section 3.1.9 asks its author to split it).
//!
//! Invariants:
//! 1. No more than [`RING_POSITIONS_MAX`] positions come from one document.
//! 2. The depth of nesting that is followed is bounded: a collection holds features, a feature holds a polygon.

use serde_json::Value;

use super::{
    GeoError, Position, RING_POSITIONS_MAX,
    error::shorten,
    overlap,
    polygon::{Polygon, Ring, Vertex},
};

/// A surface in square degrees below which a ring is a line.
const SURFACE_MIN: f64 = 1e-12;

/// The polygons of a document.
pub(super) fn polygons(document: &Value) -> Result<Vec<Polygon>, GeoError> {
    let mut reader = Reader { positions: 0, polygons: Vec::new() };
    if kind(document)? == "FeatureCollection" {
        for feature in list(document, "features")? {
            reader.feature_or_geometry(feature)?;
        }
    } else {
        reader.feature_or_geometry(document)?;
    }
    if reader.polygons.is_empty() {
        return Err(GeoError::not_geo_json("it holds no polygon"));
    }
    Ok(reader.polygons)
}

struct Reader {
    positions: usize,
    polygons: Vec<Polygon>,
}

impl Reader {
    fn feature_or_geometry(&mut self, object: &Value) -> Result<(), GeoError> {
        if kind(object)? != "Feature" {
            return self.geometry(object);
        }
        let geometry = object.get("geometry").ok_or_else(|| missing("geometry"))?;
        self.geometry(geometry)
    }

    fn geometry(&mut self, geometry: &Value) -> Result<(), GeoError> {
        match kind(geometry)? {
            "Polygon" => self.polygon(list(geometry, "coordinates")?),
            "MultiPolygon" => {
                for rings in list(geometry, "coordinates")? {
                    let rings =
                        rings.as_array().ok_or_else(|| malformed("a polygon must be a list of rings"))?;
                    self.polygon(rings)?;
                }
                Ok(())
            }
            other => {
                let reason =
                    format!("type \"{}\" is not an area; use Polygon or MultiPolygon", shorten(other));
                Err(GeoError::not_geo_json(reason))
            }
        }
    }

    fn polygon(&mut self, rings: &[Value]) -> Result<(), GeoError> {
        let rings = rings.iter().map(|ring| self.ring(ring)).collect::<Result<Vec<Ring>, GeoError>>()?;
        if let Some(place) = overlap::crossing_within(&rings) {
            return Err(GeoError::broken_ring(format!("edges cross at {place}")));
        }
        let mut rings = rings.into_iter();
        let outer = rings.next().ok_or_else(|| malformed("a polygon needs at least one ring"))?;
        let holes: Vec<Ring> = rings.collect();
        if !holes.iter().all(|hole| outer.frames(hole)) {
            return Err(GeoError::broken_ring("a hole lies outside its polygon"));
        }
        self.polygons.push(Polygon::new(outer, holes));
        Ok(())
    }

    fn ring(&mut self, ring: &Value) -> Result<Ring, GeoError> {
        let ring = ring.as_array().ok_or_else(|| malformed("a ring must be a list of positions"))?;
        self.positions += ring.len();
        if self.positions > RING_POSITIONS_MAX {
            return Err(GeoError::TooMany {
                what: "ring positions",
                count: self.positions,
                limit: RING_POSITIONS_MAX,
            });
        }
        let mut vertices = ring.iter().map(vertex).collect::<Result<Vec<_>, _>>()?;
        if vertices.len() < 4 {
            return Err(GeoError::broken_ring("it has fewer than four positions"));
        }
        if vertices.first() != vertices.last() {
            return Err(GeoError::broken_ring("its last position is not its first"));
        }
        for pair in vertices.windows(2) {
            let (from, to) = (pair[0].longitude, pair[1].longitude);
            if (from - to).abs() > 180.0 {
                return Err(GeoError::EdgeTooLong { from, to });
            }
        }
        if surface(&vertices) < SURFACE_MIN {
            return Err(GeoError::broken_ring("it encloses no surface"));
        }
        vertices.pop();
        Ok(Ring::through(&vertices))
    }
}

fn kind(object: &Value) -> Result<&str, GeoError> {
    object.get("type").and_then(Value::as_str).ok_or_else(|| missing("type"))
}

fn list<'a>(object: &'a Value, member: &str) -> Result<&'a [Value], GeoError> {
    object.get(member).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| missing(member))
}

fn vertex(position: &Value) -> Result<Vertex, GeoError> {
    let number = |index| position.get(index).and_then(Value::as_f64);
    let (Some(longitude), Some(latitude)) = (number(0), number(1)) else {
        return Err(malformed("a position must be [longitude, latitude]"));
    };
    Position::new(latitude, longitude)?;
    Ok(Vertex { latitude, longitude })
}

/// The surface in square degrees, relative to the first vertex so that small rings keep their digits.
fn surface(vertices: &[Vertex]) -> f64 {
    let Some(origin) = vertices.first() else { return 0.0 };
    let offset = |vertex: &Vertex| (vertex.longitude - origin.longitude, vertex.latitude - origin.latitude);
    let doubled: f64 = vertices
        .windows(2)
        .map(|pair| {
            let ((x, y), (next_x, next_y)) = (offset(&pair[0]), offset(&pair[1]));
            x * next_y - next_x * y
        })
        .sum();
    doubled.abs() / 2.0
}

fn missing(member: &str) -> GeoError {
    GeoError::not_geo_json(format!("member \"{member}\" is missing or of the wrong type"))
}

fn malformed(reason: &str) -> GeoError {
    GeoError::not_geo_json(reason)
}
