//! Properties of the room as a whole, over random worlds, windows and positions that seek borders.
//!
//! The oracle is what PostgreSQL would say: a row `(latitude, longitude, geohash)` is compared with a window as SQL
//! compares numbers and bytes, so longitude 180 and -180 differ in the comparison and are one in ownership.
//!
//! Worlds come in four kinds: guillotine cuts of the globe (boxes across the antimeridian, triangles, dropped pieces),
//! meshes of quadrilaterals with shared slanted edges, geohash cells of mixed lengths, and shapes thrown at random,
//! which mostly overlap and are used to judge the check for that.

use std::ops::Bound;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{cell::code_rect, polygon::Relation, rect::Rect, *};

// ---- Positions and numbers that seek borders ----

fn nudged(value: impl Strategy<Value = f64>, reach: f64) -> impl Strategy<Value = f64> {
    (value, 0..5).prop_map(move |(value, nudge)| {
        let value = match nudge {
            0 => value.next_up(),
            1 => value.next_down(),
            _ => value,
        };
        value.clamp(-reach, reach)
    })
}

fn latitude() -> impl Strategy<Value = f64> {
    let ends = prop_oneof![Just(-90.0), Just(90.0), Just(0.0), Just(-0.0)];
    let lines = (-16..=16).prop_map(|line| f64::from(line) * 5.625);
    let dyadic = (0..=4096).prop_map(|line| f64::from(line) * 180.0 / 4096.0 - 90.0);
    nudged(prop_oneof![2 => ends, 4 => lines, 2 => dyadic, 3 => -90.0..=90.0], 90.0)
}

fn longitude() -> impl Strategy<Value = f64> {
    let ends = prop_oneof![Just(-180.0), Just(180.0), Just(0.0)];
    let lines = (-32..=32).prop_map(|line| f64::from(line) * 5.625);
    let dyadic = (0..=4096).prop_map(|line| f64::from(line) * 360.0 / 4096.0 - 180.0);
    nudged(prop_oneof![3 => ends, 4 => lines, 2 => dyadic, 3 => -180.0..=180.0], 180.0)
}

fn position() -> impl Strategy<Value = Position> {
    (latitude(), longitude()).prop_map(|(latitude, longitude)| Position::new(latitude, longitude).unwrap())
}

fn geohash() -> impl Strategy<Value = String> {
    (position(), 1..=12_usize).prop_map(|(position, length)| Cell::of(position, length).unwrap().to_string())
}

// ---- Worlds ----

fn polygon(vertices: &[(f64, f64)]) -> Value {
    let mut ring: Vec<[f64; 2]> = Vec::new();
    for (index, &(latitude, longitude)) in vertices.iter().enumerate() {
        ring.push([longitude, latitude]);
        let (next_latitude, next_longitude) = vertices[(index + 1) % vertices.len()];
        if (next_longitude - longitude).abs() > 180.0 {
            assert_eq!(latitude, next_latitude, "only level edges can be cut exactly");
            ring.push([(longitude + next_longitude) / 2.0, latitude]);
        }
    }
    ring.push(ring[0]);
    json!({ "type": "Polygon", "coordinates": [ring] })
}

fn area_of(polygons: &[Vec<(f64, f64)>]) -> Area {
    let mut area = Area::new();
    for vertices in polygons {
        area.add_geojson(&polygon(vertices)).unwrap();
    }
    area
}

/// Pieces that tile the globe: `(south, north, west, east)`, where east may exceed 180 and then wraps.
fn guillotine() -> impl Strategy<Value = Vec<Area>> {
    let cut = (any::<prop::sample::Index>(), any::<bool>(), 1..8_i32);
    (prop::collection::vec(cut, 0..8), 0..16_i32, prop::collection::vec(0..4_u8, 9)).prop_map(
        |(cuts, turn, shapes)| {
            let west = f64::from(turn) * 22.5 - 180.0;
            let mut pieces = vec![(-90.0, 90.0, west, west + 360.0)];
            for (index, across, at) in cuts {
                let index = index.index(pieces.len());
                let (south, north, west, east) = pieces.swap_remove(index);
                let part = f64::from(at) / 8.0;
                if across {
                    let middle = south + (north - south) * part;
                    pieces.extend([(south, middle, west, east), (middle, north, west, east)]);
                } else {
                    let middle = west + (east - west) * part;
                    pieces.extend([(south, north, west, middle), (south, north, middle, east)]);
                }
            }
            let shaped = pieces.into_iter().zip(shapes);
            shaped.flat_map(|(piece, shape)| areas_of_piece(piece, shape)).collect()
        },
    )
}

fn areas_of_piece((south, north, west, east): (f64, f64, f64, f64), shape: u8) -> Vec<Area> {
    let turned = |longitude: f64| if longitude > 180.0 { longitude - 360.0 } else { longitude };
    let crosses = west < 180.0 && east > 180.0;
    let (near, far) = if west >= 180.0 { (west - 360.0, east - 360.0) } else { (west, east) };
    match shape {
        1 if !crosses => vec![area_of(&[vec![(south, near), (south, far), (north, far), (north, near)]])],
        2 if !crosses && far - near <= 180.0 => vec![
            area_of(&[vec![(south, near), (south, far), (north, far)]]),
            area_of(&[vec![(south, near), (north, near), (north, far)]]),
        ],
        _ => {
            let mut area = Area::new();
            let longitudes =
                if east - west == 360.0 { [-180.0, 180.0] } else { [turned(west), turned(east)] };
            area.add_box([south, north], longitudes).unwrap();
            vec![area]
        }
    }
}

/// Quadrilaterals of a 4 x 4 mesh whose inner vertices are moved about.
fn mesh() -> impl Strategy<Value = Vec<Area>> {
    prop::collection::vec((-9.0..9.0_f64, -18.0..18.0_f64), 25).prop_map(|moves| {
        let vertex = |row: usize, column: usize| {
            let (up, right) = moves[row * 5 + column];
            let up = if row.is_multiple_of(4) { 0.0 } else { up };
            let right = if column.is_multiple_of(4) { 0.0 } else { right };
            (row as f64 * 45.0 - 90.0 + up, column as f64 * 90.0 - 180.0 + right)
        };
        let quadrilateral = |row, column| {
            vec![
                vertex(row, column),
                vertex(row, column + 1),
                vertex(row + 1, column + 1),
                vertex(row + 1, column),
            ]
        };
        (0..16).map(|index| area_of(&[quadrilateral(index / 4, index % 4)])).collect()
    })
}

/// Cells of one and two characters, dealt to four areas.
fn cells() -> impl Strategy<Value = Vec<Area>> {
    const ALPHABET: &str = "0123456789bcdefghjkmnpqrstuvwxyz";
    prop::collection::vec(
        (0..4_usize, prop::option::weighted(0.1, prop::collection::vec(0..4_usize, 32))),
        32,
    )
    .prop_map(|deals| {
        let mut areas = vec![Area::new(); 4];
        for (character, (owner, children)) in ALPHABET.chars().zip(deals) {
            match children {
                None => areas[owner].add_cell(Cell::parse(&character.to_string()).unwrap()),
                Some(owners) => ALPHABET.chars().zip(owners).for_each(|(child, owner)| {
                    areas[owner].add_cell(Cell::parse(&format!("{character}{child}")).unwrap());
                }),
            }
        }
        areas
    })
}

fn tiling() -> impl Strategy<Value = Vec<Area>> {
    prop_oneof![guillotine(), mesh(), cells()]
}

fn world_of(areas: Vec<Area>, default: Option<Owner>) -> Result<World, GeoError> {
    let named = areas.into_iter().enumerate();
    World::new(named.map(|(index, area)| NamedArea { name: format!("area{index}"), area }).collect(), default)
}

/// A tiling from which some areas are taken away, with or without a default owner.
fn any_world() -> impl Strategy<Value = (World, Vec<Area>)> {
    (
        tiling(),
        prop::collection::vec(0..4_u8, 32),
        prop_oneof![Just(None), Just(Some(Owner(0))), Just(Some(Owner(99)))],
    )
        .prop_map(|(areas, drops, default)| {
            let kept =
                areas.into_iter().zip(drops).map(|(area, drop)| if drop == 0 { Area::new() } else { area });
            let areas: Vec<Area> = kept.collect();
            (world_of(areas.clone(), default).unwrap(), areas)
        })
}

fn random_shape() -> impl Strategy<Value = Area> {
    let boxes =
        ((latitude(), latitude()), (longitude(), longitude())).prop_map(|((one, other), (west, east))| {
            let mut area = Area::new();
            let _ = area.add_box([one.min(other), one.max(other)], [west, east]);
            area
        });
    let cells = (position(), 1..4_usize).prop_map(|(position, length)| {
        let mut area = Area::new();
        area.add_cell(Cell::of(position, length).unwrap());
        area
    });
    let stars =
        (-60.0..60.0_f64, -120.0..120.0_f64, prop::collection::vec(1.0..29.0_f64, 3..12), any::<bool>())
            .prop_map(|(latitude, longitude, reaches, hollow)| {
                let count = reaches.len() as f64;
                let star = |scale: f64| {
                    let corners = reaches.iter().enumerate().map(|(index, reach)| {
                        let (sine, cosine) = (index as f64 / count * std::f64::consts::TAU).sin_cos();
                        [longitude + 2.0 * scale * reach * cosine, latitude + scale * reach * sine]
                    });
                    let mut ring: Vec<[f64; 2]> = corners.collect();
                    ring.push(ring[0]);
                    ring
                };
                let rings = if hollow { vec![star(1.0), star(0.6)] } else { vec![star(1.0)] };
                let mut area = Area::new();
                area.add_geojson(&json!({ "type": "Polygon", "coordinates": rings })).unwrap();
                area
            });
    prop_oneof![boxes, cells, stars]
}

// ---- Rows and windows ----

/// A row as it is stored: the longitude is not turned, the geohash has any length and is on either side of 180.
#[derive(Clone, Debug)]
struct Row {
    latitude: f64,
    longitude: f64,
    geohash: String,
}

impl Row {
    fn position(&self) -> Position {
        Position::new(self.latitude, self.longitude).unwrap()
    }
}

fn row() -> impl Strategy<Value = Row> {
    (latitude(), longitude(), 1..=12_usize, any::<bool>()).prop_map(|(latitude, longitude, length, west)| {
        let position = Position::new(latitude, longitude).unwrap();
        let beside = Position::new(latitude, longitude.min(180.0_f64.next_down())).unwrap();
        let named = if west { beside } else { position };
        Row { latitude, longitude, geohash: Cell::of(named, length).unwrap().to_string() }
    })
}

#[derive(Clone, Debug)]
enum Text {
    Any,
    Equals(String),
    StartsWith(String),
    Between(Bound<String>, Bound<String>),
}

#[derive(Clone, Debug)]
struct Where {
    latitude: (Option<f64>, Option<f64>),
    longitude: (Option<f64>, Option<f64>),
    text: Text,
}

impl Where {
    fn window(&self) -> Window {
        let mut window = Window::everywhere();
        self.latitude.0.into_iter().for_each(|bound| window.latitude_at_least(bound));
        self.latitude.1.into_iter().for_each(|bound| window.latitude_at_most(bound));
        self.longitude.0.into_iter().for_each(|bound| window.longitude_at_least(bound));
        self.longitude.1.into_iter().for_each(|bound| window.longitude_at_most(bound));
        match &self.text {
            Text::Any => {}
            Text::Equals(text) => window.geohash_equals(text),
            Text::StartsWith(text) => window.geohash_starts_with(text),
            Text::Between(lower, upper) => {
                window
                    .geohash_between(lower.as_ref().map(String::as_str), upper.as_ref().map(String::as_str));
            }
        }
        window
    }

    fn admits(&self, row: &Row) -> bool {
        let within = |value: f64, bounds: (Option<f64>, Option<f64>)| {
            bounds.0.is_none_or(|bound| bound.is_nan() || value >= bound)
                && bounds.1.is_none_or(|bound| bound.is_nan() || value <= bound)
        };
        within(row.latitude, self.latitude)
            && within(row.longitude, self.longitude)
            && match &self.text {
                Text::Any => true,
                Text::Equals(text) => row.geohash == *text,
                Text::StartsWith(text) => row.geohash.starts_with(text),
                Text::Between(lower, upper) => {
                    std::ops::RangeBounds::contains(&(lower.clone(), upper.clone()), &row.geohash)
                }
            }
    }
}

/// Windows around a row, so that many of them admit it.
fn row_and_where() -> impl Strategy<Value = (Row, Where)> {
    row().prop_flat_map(|row| {
        let odd = || prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(500.0)];
        let below = |value: f64, other: BoxedStrategy<f64>| {
            let near = (0.0..20.0_f64).prop_map(move |reach| value - reach);
            prop::option::of(prop_oneof![3 => Just(value), 3 => near, 1 => other, 1 => odd()])
        };
        let above = |value: f64, other: BoxedStrategy<f64>| {
            let near = (0.0..20.0_f64).prop_map(move |reach| value + reach);
            prop::option::of(prop_oneof![3 => Just(value), 3 => near, 1 => other, 1 => odd()])
        };
        let latitudes = (below(row.latitude, latitude().boxed()), above(row.latitude, latitude().boxed()));
        let longitudes =
            (below(row.longitude, longitude().boxed()), above(row.longitude, longitude().boxed()));
        (Just(row.clone()), latitudes, longitudes, text(row.geohash.clone()))
            .prop_map(|(row, latitude, longitude, text)| (row, Where { latitude, longitude, text }))
    })
}

fn text(stored: String) -> impl Strategy<Value = Text> {
    let length = stored.len();
    let prefix = {
        let stored = stored.clone();
        (0..=length).prop_map(move |length| stored[..length].to_owned())
    };
    let bound_text = {
        let stored = stored.clone();
        let cut = (0..=length, "[0-9a-zA-Z~{! ]{0,3}")
            .prop_map(move |(length, tail)| stored[..length].to_owned() + &tail);
        prop_oneof![3 => cut, 1 => geohash(), 1 => "[0-9a-z~A-Zé]{0,14}"]
    };
    let bound = |text: BoxedStrategy<String>| {
        prop_oneof![
            text.clone().prop_map(Bound::Included),
            text.prop_map(Bound::Excluded),
            Just(Bound::Unbounded),
        ]
    };
    let ranges = (bound(bound_text.clone().boxed()), bound(bound_text.boxed()));
    prop_oneof![
        2 => Just(Text::Any),
        1 => Just(Text::Equals(stored)),
        1 => "[0-9a-zA]{0,13}".prop_map(Text::Equals),
        3 => prefix.prop_map(Text::StartsWith),
        3 => ranges.prop_map(|(lower, upper)| Text::Between(lower, upper)),
    ]
}

/// Whether the position is in the shape by more than a sliver.
fn holds_well(shape: &Area, position: Position) -> bool {
    const CORNERS: [(f64, f64); 5] = [(0.0, 0.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)];
    CORNERS.iter().all(|(up, right)| {
        let latitude = (position.latitude() + up * 1e-7).clamp(-90.0, 90.0);
        let longitude = (position.longitude() + right * 1e-7).clamp(-180.0, 180.0_f64.next_down());
        Position::new(latitude, longitude).is_ok_and(|near| shape.contains(near))
    })
}

// ---- Properties ----

proptest! {
    #[test]
    fn a_window_touches_the_owner_of_every_row_it_admits(
        (world, areas) in any_world(),
        rows in prop::collection::vec(row_and_where(), 24),
    ) {
        for (row, predicate) in &rows {
            let window = predicate.window();
            for (other, _) in rows.iter().filter(|(other, _)| predicate.admits(other)) {
                let position = other.position();
                let touching = world.touching(&window);
                if let Some(owner) = world.owner(position) {
                    prop_assert!(touching.contains(owner), "{other:?} of {owner:?} is not in {touching:?}");
                }
                for area in areas.iter().filter(|area| area.contains(position)) {
                    prop_assert!(area.may_hold(&window), "{row:?}");
                }
            }
        }
    }

    #[test]
    fn every_position_of_a_tiling_has_one_owner(areas in tiling(), positions in prop::collection::vec(position(), 64)) {
        let world = world_of(areas.clone(), None).unwrap();
        for position in positions {
            let owners: Vec<usize> = (0..areas.len()).filter(|index| areas[*index].contains(position)).collect();
            prop_assert_eq!(owners.len(), 1, "{:?} own {}", &owners, position);
            prop_assert_eq!(world.owner(position), Some(Owner(owners[0] as u16)));
        }
    }

    #[test]
    fn the_owner_is_the_area_that_holds_the_position((world, areas) in any_world(), position in position()) {
        let area = areas.iter().position(|area| area.contains(position)).map(|index| Owner(index as u16));
        prop_assert_eq!(world.owner(position), area.or(world.default_owner()));
    }

    #[test]
    fn vertices_and_edges_of_a_mesh_have_one_owner(areas in mesh(), along in 0.0..=1.0_f64) {
        for area in &areas {
            for part in area.parts() {
                let area::Part::Polygon(polygon) = part else { continue };
                for edge in polygon.outer().edges() {
                    let (low, high) = (edge.low.latitude, edge.high.latitude);
                    let latitude = (low + along * (high - low)).clamp(low, high);
                    let longitude = edge.longitude_at(latitude);
                    for longitude in [longitude, longitude.next_up(), longitude.next_down()] {
                        let position = Position::new(latitude, longitude.clamp(-180.0, 180.0)).unwrap();
                        let owners = areas.iter().filter(|area| area.contains(position)).count();
                        prop_assert_eq!(owners, 1, "{}", position);
                    }
                }
            }
        }
    }

    #[test]
    fn a_cell_of_one_owner_holds_no_other((world, _) in any_world(), position in position(), length in 0..6_usize) {
        let cell = Cell::of(position, length).unwrap();
        let owner = world.owner(position);
        match world.owner_of_cell(cell) {
            CellOwner::One(one) => prop_assert_eq!(owner, Some(one)),
            CellOwner::Nobody => prop_assert_eq!(owner, None),
            CellOwner::Several(owners) => {
                prop_assert!(owner.is_none_or(|owner| owners.contains(owner)));
            }
        }
    }

    #[test]
    fn an_accepted_world_owns_no_position_twice(
        shapes in prop::collection::vec(random_shape(), 2..4),
        positions in prop::collection::vec(position(), 128),
    ) {
        let exact = shapes.iter().flat_map(Area::parts).all(|part| matches!(part, area::Part::Rect(_)));
        match world_of(shapes.clone(), None) {
            Ok(_) => for position in positions {
                let holds = |shape: &&Area| if exact { shape.contains(position) } else { holds_well(shape, position) };
                prop_assert!(shapes.iter().filter(holds).count() <= 1, "{}", position);
            },
            Err(GeoError::Overlap { first, second, position }) => for name in [first, second] {
                let index: usize = name.trim_start_matches("area").parse().unwrap();
                prop_assert!(shapes[index].contains(position), "{} is not in {}", position, name);
            },
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn a_relation_holds_for_every_position_of_the_rectangle(
        shape in random_shape(),
        (one, other) in (position(), position()),
        parts in prop::collection::vec((0.0..=1.0_f64, 0.0..=1.0_f64), 32),
    ) {
        let rect = Rect {
            south: one.latitude().min(other.latitude()),
            north: one.latitude().max(other.latitude()),
            west: one.longitude().min(other.longitude()),
            east: one.longitude().max(other.longitude()),
        };
        for part in shape.parts() {
            let area::Part::Polygon(polygon) = part else { continue };
            let relation = polygon.relation(&rect);
            for (up, right) in &parts {
                let latitude = (rect.south + up * (rect.north - rect.south)).clamp(rect.south, rect.north);
                let longitude = (rect.west + right * (rect.east - rect.west)).clamp(rect.west, rect.east);
                let inside = polygon.contains(Position::new(latitude, longitude).unwrap());
                prop_assert!(relation != Relation::Outside || !inside);
                prop_assert!(relation != Relation::Inside || inside);
            }
        }
    }

    #[test]
    fn cells_agree_with_the_geohash_crate(position in position(), length in 1..=12_usize) {
        let cell = Cell::of(position, length).unwrap();
        prop_assert!(cell.contains(position));
        prop_assert_eq!(Cell::parse(&cell.to_string()), Ok(cell));

        let bounds = cell.bounds();
        let theirs = geohash::decode_bbox(&cell.to_string()).unwrap();
        prop_assert_eq!((bounds.south, bounds.north), (theirs.min().y, theirs.max().y));
        prop_assert_eq!((bounds.west, bounds.east), (theirs.min().x, theirs.max().x));

        // The crate rounds: beside a border it may name the neighbour, and the north pole is taken for the south pole.
        let gap = |value: f64, one: f64, other: f64| (value - one).abs().min((value - other).abs());
        let clear = gap(position.latitude(), bounds.south, bounds.north) > 1e-13
            && gap(position.longitude(), bounds.west, bounds.east) > 1e-13;
        let on_lines = position.latitude() == bounds.south && position.longitude() == bounds.west;
        if clear || on_lines {
            let coordinate = geohash::Coord { x: position.longitude(), y: position.latitude() };
            prop_assert_eq!(cell.to_string(), geohash::encode(coordinate, length).unwrap());
        }
    }

    #[test]
    fn cells_nest_and_sort_as_their_texts(one in geohash(), other in geohash(), position in position()) {
        let (cell, inner) = (Cell::parse(&one).unwrap(), Cell::parse(&other).unwrap());
        prop_assert_eq!(cell.contains_cell(inner), other.starts_with(&one));
        prop_assert_eq!(cell.cmp(&inner), one.cmp(&other));
        prop_assert_eq!(cell.contains(position), Cell::of(position, cell.length()).unwrap() == cell);
    }

    #[test]
    fn a_cut_rectangle_loses_just_the_cut(one in geohash(), bits in 0..20_u32, other in geohash(), position in position()) {
        let rect = code_rect(Cell::parse(&one).unwrap().start() >> (60 - bits) << (60 - bits), bits);
        let cut = Cell::parse(&other).unwrap().rect();
        let pieces = rect.minus(&cut).filter(|piece| piece.contains(position)).count();
        prop_assert_eq!(pieces, usize::from(rect.contains(position) && !cut.contains(position)));
    }

    #[test]
    fn no_document_panics(numbers in prop::collection::vec(-200.0..200.0_f64, 0..12), broken in 0..4) {
        let ring: Vec<Value> = numbers.chunks(2).map(|pair| json!(pair)).collect();
        let coordinates = match broken {
            0 => json!([ring]),
            1 => json!(ring),
            2 => json!(7),
            _ => json!([[ring]]),
        };
        let _ = Area::new().add_geojson(&json!({ "type": "Polygon", "coordinates": coordinates }));
        let _ = Area::new().add_geojson(&json!({ "type": "MultiPolygon", "coordinates": coordinates }));
    }
}
