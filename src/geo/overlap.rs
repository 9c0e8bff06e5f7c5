//! Whether two parts of areas share a position, with one such position as the proof; and whether a ring crosses itself.
//!
//! Called when a world is built and when GeoJSON is read, never per statement. Two rectangles are compared exactly.
//! Otherwise both shapes are cut into slabs between the latitudes where anything happens: a vertex, or a crossing of
//! their edges. Within a slab no edges cross, so the shapes overlap there if they do halfway up:
//!
//! ```text
//!  ─ ─ ─ ─ ─/─ ─ ─\─ ─ ─ ─   event
//!   a──────/──a    \         halfway: spans of a and of b along the parallel; a common stretch is the proof
//!  ─ ─ ─ ─X─ ─ ─ ─ ─\─ ─ ─   event (a crossing)
//! ```
//!
//! The slabs are swept from south to north, with only the edges at hand that pass the current one.
//!
//! Invariants:
//! 1. A proof lies in both shapes.
//! 2. An overlap that is missed is thinner than some [`SLACK_DEGREES`].

use super::{
    Position, SLACK_DEGREES,
    area::Part,
    polygon::{Edge, Polygon, Relation, Ring, Vertex},
    rect::Rect,
};

/// Crossings that are gathered for one pair of shapes: if there are more, the first ones already prove an overlap.
const CROSSINGS_MAX: usize = 10_000;

/// A position in both parts, if they overlap.
pub(super) fn witness(one: &Part, other: &Part) -> Option<Position> {
    match (one, other) {
        (Part::Rect(one), Part::Rect(other)) => one.intersection(other).map(|common| common.south_west()),
        (Part::Rect(rect), Part::Polygon(polygon)) | (Part::Polygon(polygon), Part::Rect(rect)) => {
            match polygon.relation(rect) {
                Relation::Outside => None,
                Relation::Inside => Some(rect.south_west()),
                Relation::Mixed => witness_of_polygons(&polygon_of(rect), polygon),
            }
        }
        (Part::Polygon(one), Part::Polygon(other)) => witness_of_polygons(one, other),
    }
}

/// A place where edges of the rings cross, not counting places where they only touch.
pub(super) fn crossing_within(rings: &[Ring]) -> Option<Position> {
    let mut edges: Vec<&Edge> = rings.iter().flat_map(Ring::edges).collect();
    edges.sort_unstable_by(|one, other| one.low.latitude.total_cmp(&other.low.latitude));
    for (index, one) in edges.iter().enumerate() {
        let later = edges.iter().skip(index + 1);
        for other in later.take_while(|other| other.low.latitude < one.high.latitude) {
            if let Some(latitude) = crossing(one, other) {
                return Some(Position::from_checked(latitude, one.longitude_at(latitude)));
            }
        }
    }
    let inside =
        |value: f64, low: f64, high: f64| low + SLACK_DEGREES < value && value < high - SLACK_DEGREES;
    for level in rings.iter().flat_map(Ring::levels) {
        for edge in edges.iter().take_while(|edge| edge.low.latitude < level.latitude) {
            let longitude = edge.longitude_at(level.latitude);
            if inside(level.latitude, edge.low.latitude, edge.high.latitude)
                && inside(longitude, level.west, level.east)
            {
                return Some(Position::from_checked(level.latitude, longitude));
            }
        }
    }
    None
}

/// The latitude at which two edges cross, each reaching beyond the slack on both sides of the other.
fn crossing(one: &Edge, other: &Edge) -> Option<f64> {
    let low = one.low.latitude.max(other.low.latitude);
    let high = one.high.latitude.min(other.high.latitude);
    if low >= high || one.west() > other.east() || other.west() > one.east() {
        return None;
    }
    let gap_low = one.longitude_at(low) - other.longitude_at(low);
    let gap_high = one.longitude_at(high) - other.longitude_at(high);
    let apart = gap_low.abs() > SLACK_DEGREES && gap_high.abs() > SLACK_DEGREES;
    (apart && (gap_low < 0.0) != (gap_high < 0.0))
        .then(|| low + (high - low) * (gap_low / (gap_low - gap_high)))
}

fn witness_of_polygons(one: &Polygon, other: &Polygon) -> Option<Position> {
    let common = Frame::common(one.outer(), other.outer())?;
    let events = events(one, other, &common);
    let (mut one, mut other) = (Sweep::over(one), Sweep::over(other));
    for slab in events.windows(2) {
        let (low, high) = (slab[0], slab[1]);
        if high - low <= SLACK_DEGREES {
            continue;
        }
        let latitude = low + (high - low) / 2.0;
        let (ours, theirs) = (one.spans(latitude), other.spans(latitude));
        for (west, east) in ours {
            for span in &theirs {
                let (west, east) = (west.max(span.0), east.min(span.1));
                if east - west > SLACK_DEGREES {
                    return Some(Position::from_checked(latitude, west + (east - west) / 2.0));
                }
            }
        }
    }
    None
}

/// What two rings' frames have in common.
struct Frame {
    south: f64,
    north: f64,
    west: f64,
    east: f64,
}

impl Frame {
    fn common(one: &Ring, other: &Ring) -> Option<Self> {
        let frame = Self {
            south: one.south.max(other.south),
            north: one.north.min(other.north),
            west: one.west.max(other.west),
            east: one.east.min(other.east),
        };
        (frame.south < frame.north && frame.west < frame.east).then_some(frame)
    }

    fn meets(&self, edge: &Edge) -> bool {
        edge.low.latitude <= self.north
            && edge.high.latitude >= self.south
            && edge.west() <= self.east
            && edge.east() >= self.west
    }
}

/// The latitudes in the common frame at which either shape has a vertex or their edges cross, in order.
fn events(one: &Polygon, other: &Polygon, common: &Frame) -> Vec<f64> {
    let mut latitudes = vec![common.south, common.north];
    for edge in all_edges(one).chain(all_edges(other)) {
        latitudes.extend([edge.low.latitude, edge.high.latitude]);
    }
    let ours: Vec<&Edge> = all_edges(one).filter(|edge| common.meets(edge)).collect();
    let mut theirs: Vec<&Edge> = all_edges(other).filter(|edge| common.meets(edge)).collect();
    theirs.sort_unstable_by(|one, other| one.low.latitude.total_cmp(&other.low.latitude));
    let crossings = ours.iter().flat_map(|our| {
        let near = theirs.iter().take_while(|their| their.low.latitude < our.high.latitude);
        near.filter_map(|their| crossing(our, their))
    });
    latitudes.extend(crossings.take(CROSSINGS_MAX));
    latitudes.retain(|latitude| common.south <= *latitude && *latitude <= common.north);
    latitudes.sort_unstable_by(f64::total_cmp);
    latitudes.dedup();
    latitudes
}

fn all_edges(polygon: &Polygon) -> impl Iterator<Item = &Edge> {
    polygon.outer().edges().iter().chain(polygon.holes().iter().flat_map(Ring::edges))
}

/// A polygon cut along parallels that are asked for from south to north.
struct Sweep<'a> {
    outer: RingSweep<'a>,
    holes: Vec<RingSweep<'a>>,
}

struct RingSweep<'a> {
    coming: &'a [Edge],
    passing: Vec<&'a Edge>,
}

impl<'a> Sweep<'a> {
    fn over(polygon: &'a Polygon) -> Self {
        Self {
            outer: RingSweep::over(polygon.outer()),
            holes: polygon.holes().iter().map(RingSweep::over).collect(),
        }
    }

    /// The longitudes inside the polygon at this latitude, from west to east.
    fn spans(&mut self, latitude: f64) -> Vec<(f64, f64)> {
        let mut spans = self.outer.spans(latitude);
        for hole in &mut self.holes {
            for (west, east) in hole.spans(latitude) {
                spans = spans.into_iter().flat_map(|span| cut(span, west, east)).collect();
            }
        }
        spans
    }
}

impl<'a> RingSweep<'a> {
    fn over(ring: &'a Ring) -> Self {
        Self { coming: ring.edges(), passing: Vec::new() }
    }

    fn spans(&mut self, latitude: f64) -> Vec<(f64, f64)> {
        let begun = self.coming.partition_point(|edge| edge.low.latitude <= latitude);
        let (begun, coming) = self.coming.split_at(begun);
        self.passing.extend(begun);
        self.coming = coming;
        self.passing.retain(|edge| edge.high.latitude > latitude);
        let mut crossings: Vec<f64> = self.passing.iter().map(|edge| edge.longitude_at(latitude)).collect();
        crossings.sort_unstable_by(f64::total_cmp);
        crossings.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    }
}

/// The span without what lies between `west` and `east`.
fn cut(span: (f64, f64), west: f64, east: f64) -> impl Iterator<Item = (f64, f64)> {
    let left = (span.0, span.1.min(west));
    let right = (span.0.max(east), span.1);
    [left, right].into_iter().filter(|piece| piece.0 < piece.1)
}

fn polygon_of(rect: &Rect) -> Polygon {
    let north = if rect.north == 90.0 { 90.0 } else { rect.north.next_up() };
    let east = rect.east.next_up();
    let corners = [(rect.south, rect.west), (rect.south, east), (north, east), (north, rect.west)];
    let vertices = corners.map(|(latitude, longitude)| Vertex { latitude, longitude });
    Polygon::new(Ring::through(&vertices), Vec::new())
}
