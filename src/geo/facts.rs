//! Facts of the room, one case each: borders, poles, the antimeridian, refusals and their words, and speed.
//!
//! The properties in `tests.rs` hold over random worlds; these are the cases that a reader wants to see spelled out.

use std::ops::Bound::{Excluded, Included, Unbounded};

use serde_json::{Value, json};

use super::*;

fn at(latitude: f64, longitude: f64) -> Position {
    Position::new(latitude, longitude).unwrap()
}

fn boxed(latitude: [f64; 2], longitude: [f64; 2]) -> Area {
    let mut area = Area::new();
    area.add_box(latitude, longitude).unwrap();
    area
}

fn celled(cells: &[&str]) -> Area {
    let mut area = Area::new();
    cells.iter().for_each(|cell| area.add_cell(cell.parse().unwrap()));
    area
}

fn ring(positions: &[[f64; 2]]) -> Value {
    json!({ "type": "Polygon", "coordinates": [positions] })
}

fn outlined(document: &Value) -> Result<Area, GeoError> {
    let mut area = Area::new();
    area.add_geojson(document).map(|()| area)
}

fn world(areas: &[(&str, Area)], default: Option<u16>) -> Result<World, GeoError> {
    let named = areas.iter().map(|(name, area)| NamedArea { name: (*name).to_owned(), area: area.clone() });
    World::new(named.collect(), default.map(Owner))
}

fn four_regions() -> World {
    let regions = [
        ("us-east", boxed([24.0, 50.0], [-95.0, -65.0])),
        ("us-west", boxed([24.0, 50.0], [-125.0, -95.0])),
        ("eu-central", boxed([35.0, 72.0], [-12.0, 40.0])),
        ("ap-south", boxed([-10.0, 35.0], [60.0, 100.0])),
    ];
    world(&regions, None).unwrap()
}

fn touched(world: &World, set: impl FnOnce(&mut Window)) -> Vec<u16> {
    let mut window = Window::everywhere();
    set(&mut window);
    world.touching(&window).iter().map(|owner| owner.0).collect()
}

#[test]
fn a_wrong_position_is_named() {
    let said = |latitude, longitude| Position::new(latitude, longitude).unwrap_err().to_string();
    assert_eq!(said(f64::NAN, 0.0), "latitude NaN is not a finite number");
    assert_eq!(said(0.0, f64::INFINITY), "longitude inf is not a finite number");
    assert_eq!(said(-120.5, 40.0), "latitude -120.5 is outside -90 to 90");
    assert_eq!(said(40.0, 180.1), "longitude 180.1 is outside -180 to 180");
}

#[test]
fn swapped_coordinates_are_hinted_at() {
    let hint = |latitude, longitude| Position::new(latitude, longitude).unwrap_err().hint();
    assert_eq!(hint(-120.5, 40.0), Some("Latitude and longitude may be swapped."));
    assert_eq!(hint(-120.5, 100.0), None);
    assert_eq!(hint(1000.0, 40.0), None);
}

#[test]
fn both_spellings_of_the_antimeridian_are_one_position() {
    assert_eq!(at(10.0, 180.0), at(10.0, -180.0));
    let east = boxed([0.0, 20.0], [-180.0, -170.0]);
    let west = boxed([0.0, 20.0], [170.0, 180.0]);
    assert!(east.contains(at(10.0, 180.0)) && !west.contains(at(10.0, 180.0)));
    let both = boxed([0.0, 20.0], [170.0, -170.0]);
    assert!(
        [170.0, 175.0, 180.0, -180.0, -170.1].iter().all(|longitude| both.contains(at(10.0, *longitude)))
    );
    assert!(!both.contains(at(10.0, -170.0)) && !both.contains(at(10.0, 0.0)));
}

#[test]
fn a_box_that_ends_on_the_antimeridian_may_spell_it_either_way() {
    assert!(boxed([0.0, 20.0], [170.0, -180.0]).contains(at(0.0, 175.0)));
    assert!(boxed([0.0, 20.0], [180.0, -170.0]).contains(at(0.0, -175.0)));
    let refused = |longitude| Area::new().add_box([0.0, 20.0], longitude).is_err();
    assert!(refused([180.0, 180.0]) && refused([-180.0, -180.0]) && refused([180.0, -180.0]));
    assert!(refused([5.0, 5.0]) && !refused([-180.0, 180.0]));
}

#[test]
fn a_box_is_open_to_the_north_and_east_but_closed_at_the_pole() {
    let area = boxed([40.0, 41.0], [-75.0, -73.0]);
    assert!(
        area.contains(at(40.0, -75.0)) && area.contains(at(41.0_f64.next_down(), (-73.0_f64).next_down()))
    );
    assert!(!area.contains(at(41.0, -74.0)) && !area.contains(at(40.5, -73.0)));
    assert!(boxed([80.0, 90.0], [0.0, 10.0]).contains(at(90.0, 5.0)));
    assert!(boxed([-90.0, -80.0], [0.0, 10.0]).contains(at(-90.0, 5.0)));
}

#[test]
fn a_reversed_latitude_is_refused() {
    let error = Area::new().add_box([50.0, 24.0], [0.0, 10.0]).unwrap_err();
    assert_eq!(error.to_string(), "a box from latitude 50 to 24 is empty");
}

#[test]
fn geohash_text_is_lower_case_base_32() {
    assert_eq!(Cell::parse("dr5ru").unwrap().to_string(), "dr5ru");
    assert_eq!(Cell::parse("").unwrap(), Cell::GLOBE);
    for wrong in ["DR5", "dra", "i", "l", "o", "dr5 ", "dr5%", "é"] {
        assert_eq!(Cell::parse(wrong).unwrap_err(), GeoError::NotAGeohash { text: wrong.to_owned() });
    }
    assert_eq!(Cell::parse("0123456789bcd").unwrap_err(), GeoError::GeohashTooLong { length: 13 });
    assert!(Cell::of(at(0.0, 0.0), 13).is_err());
}

#[test]
fn the_pole_lies_in_the_last_row_and_just_below_a_border_lies_below_it() {
    assert_eq!(Cell::of(at(90.0, 0.0), 2).unwrap().to_string(), "up");
    assert_eq!(Cell::of(at(-1e-20, -1e-20), 1).unwrap().to_string(), "7");
    assert_eq!(Cell::of(at(0.0, 0.0), 1).unwrap().to_string(), "s");
    assert_eq!(Cell::parse("zz").unwrap().bounds().north, 90.0);
}

#[test]
fn a_row_on_the_antimeridian_may_carry_the_cell_on_either_side() {
    let row = at(10.0, 180.0);
    let (west, east) = (Cell::of(at(10.0, 179.9999), 3).unwrap(), Cell::of(row, 3).unwrap());
    assert!(east.accepts(row) && west.accepts(row) && !west.contains(row));
    assert!(!Cell::parse("dr5").unwrap().accepts(row));
    let areas = [("east", boxed([-90.0, 90.0], [-180.0, 0.0])), ("west", boxed([-90.0, 90.0], [0.0, 180.0]))];
    let world = world(&areas, None).unwrap();
    assert_eq!(touched(&world, |window| window.geohash_equals(&west.to_string())), [0, 1]);
    assert_eq!(touched(&world, |window| window.geohash_equals(&east.to_string())), [0]);
}

#[test]
fn a_window_that_reaches_180_touches_what_begins_at_minus_180() {
    let areas = [
        ("fiji-east", boxed([-30.0, 0.0], [-180.0, -170.0])),
        ("fiji-west", boxed([-30.0, 0.0], [170.0, 180.0])),
    ];
    let world = world(&areas, None).unwrap();
    let between = |low, high| {
        touched(&world, |window| {
            window.longitude_at_least(low);
            window.longitude_at_most(high);
        })
    };
    assert_eq!(between(170.0, 180.0), [0, 1]);
    assert_eq!(between(180.0, 180.0), [0]);
    assert_eq!(between(-180.0, -180.0), [0]);
    assert_eq!(between(170.0, 179.0), [1]);
    assert_eq!(between(170.0, 1000.0), [0, 1]);
    assert_eq!(between(170.0, -170.0), [0; 0], "SQL does not wrap a BETWEEN");
}

#[test]
fn a_window_touches_just_the_regions_it_reaches() {
    let world = four_regions();
    let new_york = |window: &mut Window| {
        window.latitude_at_least(40.0);
        window.latitude_at_most(41.0);
        window.longitude_at_least(-75.0);
        window.longitude_at_most(-73.0);
    };
    assert_eq!(touched(&world, new_york), [0]);
    assert_eq!(touched(&world, |window| window.geohash_starts_with("dr5")), [0]);
    assert_eq!(touched(&world, |window| window.geohash_equals("dr5ru")), [0]);
    assert_eq!(touched(&world, |window| window.longitude_at_most(-95.0)), [0, 1], "every bound is closed");
    assert_eq!(touched(&world, |_| ()), [0, 1, 2, 3]);
    assert_eq!(touched(&world, |window| window.latitude_at_least(f64::NAN)), [0, 1, 2, 3]);
    assert_eq!(touched(&world, |window| window.latitude_at_most(-50.0)), [0; 0]);
}

#[test]
fn a_geohash_range_follows_the_order_of_bytes() {
    let world = world(&[("dr5", celled(&["dr5"])), ("dr6", celled(&["dr6"])), ("d9", celled(&["d9"]))], None)
        .unwrap();
    let between = |lower, upper| touched(&world, |window| window.geohash_between(lower, upper));
    assert_eq!(between(Included("dr5"), Excluded("dr6")), [0]);
    assert_eq!(between(Included("dr5"), Included("dr6")), [0, 1]);
    assert_eq!(between(Included("dr5"), Included("dr5~")), [0]);
    assert_eq!(between(Included("dr5b"), Included("dr5~")), [0]);
    assert_eq!(between(Excluded("dr5zzzzzzzzz"), Excluded("dr7")), [0, 1]);
    assert_eq!(between(Included("dr"), Excluded("dr5")), [0, 1], "the row 'dr' lies anywhere in its cell");
    assert_eq!(between(Included("dr0"), Excluded("dr5")), [0; 0]);
    assert_eq!(between(Unbounded, Excluded("d")), [0; 0]);
    assert_eq!(between(Included("dr6"), Included("dr5")), [0; 0]);
    assert_eq!(between(Included("~"), Unbounded), [0; 0]);
    assert_eq!(between(Included("DR5"), Unbounded), [0, 1, 2]);
}

#[test]
fn a_text_that_is_no_geohash_says_nothing() {
    let world = four_regions();
    for text in ["DR5", "dra", "", "dr5rudr5rudr5"] {
        assert_eq!(touched(&world, |window| window.geohash_equals(text)), [0, 1, 2, 3]);
    }
}

#[test]
fn the_default_owner_is_touched_unless_areas_leave_no_gap() {
    let halves =
        [("north", boxed([0.0, 90.0], [-180.0, 180.0])), ("tropics", boxed([-30.0, 0.0], [-180.0, 180.0]))];
    let world = world(&halves, Some(7)).unwrap();
    assert!(!world.is_gapless());
    assert_eq!(touched(&world, |window| window.latitude_at_least(10.0)), [0]);
    assert_eq!(touched(&world, |window| window.latitude_at_least(-30.0)), [0, 1]);
    assert_eq!(touched(&world, |window| window.latitude_at_least((-30.0_f64).next_up())), [0, 1]);
    assert_eq!(touched(&world, |window| window.latitude_at_least(-31.0)), [0, 1, 7]);
    assert_eq!(world.owner(at(-50.0, 0.0)), Some(Owner(7)));
}

#[test]
fn a_cell_has_one_owner_several_or_nobody() {
    let world = four_regions();
    let owner = |text| world.owner_of_cell(Cell::parse(text).unwrap());
    assert_eq!(owner("dr5"), CellOwner::One(Owner(0)));
    assert_eq!(owner("6"), CellOwner::Nobody);
    let CellOwner::Several(owners) = owner("9p") else { panic!("{:?}", owner("9p")) };
    assert_eq!(owners.iter().collect::<Vec<_>>(), [Owner(1)], "part of it lies outside");
}

#[test]
fn areas_that_overlap_are_named_with_a_position_in_both() {
    let wide = boxed([0.0, 10.0], [170.0, -170.0]);
    let error = world(&[("a", wide), ("b", boxed([5.0, 6.0], [-179.0, -178.0]))], None).unwrap_err();
    assert_eq!(error.to_string(), "areas \"a\" and \"b\" overlap at latitude 5, longitude -179");

    let triangle = outlined(&ring(&[[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [0.0, 0.0]])).unwrap();
    for other in [
        outlined(&ring(&[[10.0, 10.0], [9.0, 0.5], [0.5, 9.0], [10.0, 10.0]])).unwrap(),
        outlined(&ring(&[[1.0, 1.0], [2.0, 1.0], [1.0, 2.0], [1.0, 1.0]])).unwrap(),
        boxed([4.9, 20.0], [4.9, 20.0]),
        triangle.clone(),
    ] {
        let Err(GeoError::Overlap { position, .. }) =
            world(&[("a", triangle.clone()), ("b", other.clone())], None)
        else {
            panic!("no overlap with {other:?}");
        };
        assert!(triangle.contains(position) && other.contains(position));
    }
    assert!(
        world(&[("a", triangle), ("b", boxed([5.0, 20.0], [5.0, 20.0]))], None).is_ok(),
        "touching is fine"
    );
}

#[test]
fn an_area_in_the_hole_of_another_is_no_overlap() {
    let ring =
        |reach: f64| [[-reach, -reach], [reach, -reach], [reach, reach], [-reach, reach], [-reach, -reach]];
    let holed = json!({ "type": "Polygon", "coordinates": [ring(20.0), ring(10.0)] });
    let feature =
        json!({ "type": "FeatureCollection", "features": [{ "type": "Feature", "geometry": holed }] });
    let outside = outlined(&feature).unwrap();
    let inside = boxed([-10.0, 10.0], [-10.0, 10.0]);
    assert!(world(&[("outside", outside.clone()), ("inside", inside.clone())], None).is_ok());
    for position in [at(-10.0, -10.0), at(10.0, 0.0), at(0.0, 10.0), at(0.0, -10.0), at(-20.0, 0.0)] {
        assert_ne!(outside.contains(position), inside.contains(position), "{position}");
    }
    assert!(!outside.contains(at(20.0, 0.0)) && !outside.contains(at(0.0, 20.0)));

    let holed = world(&[("outside", outside)], Some(7)).unwrap();
    let across = |south, north| {
        touched(&holed, |window| {
            window.latitude_at_least(south);
            window.latitude_at_most(north);
            window.longitude_at_least(0.0);
            window.longitude_at_most(5.0);
        })
    };
    assert_eq!(across(5.0, 15.0), [0, 7], "half of it is in the hole");
    assert_eq!(across(5.0, 9.0), [7]);
    assert_eq!(across(10.0, 15.0), [0]);
}

#[test]
fn areas_that_meet_at_the_pole_share_it_by_longitude() {
    let west =
        outlined(&ring(&[[-90.0, 60.0], [0.0, 60.0], [0.0, 90.0], [-90.0, 90.0], [-90.0, 60.0]])).unwrap();
    let cap = outlined(&ring(&[[0.0, 90.0], [90.0, 60.0], [90.0, 90.0], [0.0, 90.0]])).unwrap();
    let owners = world(&[("west", west), ("cap", cap)], None).unwrap();
    assert_eq!(owners.owner(at(90.0, -10.0)), Some(Owner(0)));
    assert_eq!(owners.owner(at(90.0, 0.0)), Some(Owner(1)));
    assert_eq!(owners.owner(at(90.0, 10.0)), Some(Owner(1)));
    assert_eq!(touched(&owners, |window| window.latitude_at_least(95.0)), [0, 1]);
}

#[test]
fn broken_rings_are_refused_in_words() {
    let said = |document: &Value| outlined(document).unwrap_err().to_string();
    let of_ring = |positions: &[[f64; 2]]| said(&ring(positions));
    let open = of_ring(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]);
    assert_eq!(open, "invalid GeoJSON ring: its last position is not its first");
    let short = of_ring(&[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]);
    assert_eq!(short, "invalid GeoJSON ring: it has fewer than four positions");
    let flat = of_ring(&[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 0.0]]);
    assert_eq!(flat, "invalid GeoJSON ring: it encloses no surface");
    let bow = of_ring(&[[0.0, 0.0], [4.0, 3.0], [4.0, 0.0], [0.0, 2.0], [0.0, 0.0]]);
    assert!(bow.starts_with("invalid GeoJSON ring: edges cross at latitude 1.2"), "{bow}");
    let level = of_ring(&[[0.0, 1.0], [4.0, 1.0], [4.0, 4.0], [2.0, 0.0], [0.0, 1.0]]);
    assert_eq!(level, "invalid GeoJSON ring: edges cross at latitude 1, longitude 2.5");
    let turned = of_ring(&[[170.0, 0.0], [-170.0, 0.0], [-170.0, 9.0], [170.0, 9.0], [170.0, 0.0]]);
    assert_eq!(turned, "a GeoJSON edge from longitude 170 to -170 is longer than 180 degrees");
    let swapped = ring(&[[40.0, -100.0], [41.0, -100.0], [41.0, -99.0], [40.0, -100.0]]);
    assert_eq!(outlined(&swapped).unwrap_err().hint(), Some("Latitude and longitude may be swapped."));
    assert_eq!(
        said(&json!({ "type": "Point" })),
        "invalid GeoJSON: type \"Point\" is not an area; use Polygon or MultiPolygon"
    );
    assert_eq!(said(&json!([])), "invalid GeoJSON: member \"type\" is missing or of the wrong type");
    let none = json!({ "type": "MultiPolygon", "coordinates": [] });
    assert_eq!(said(&none), "invalid GeoJSON: it holds no polygon");
}

#[test]
fn too_much_of_anything_is_refused() {
    let areas = vec![NamedArea { name: String::new(), area: Area::new() }; AREAS_MAX + 1];
    assert!(matches!(World::new(areas, None), Err(GeoError::TooMany { count: 257, .. })));
    assert!(World::new(Vec::new(), Some(Owner(256))).is_err());
    let long: Vec<[f64; 2]> = (0..=RING_POSITIONS_MAX).map(|index| [index as f64 / 1e3, 0.0]).collect();
    assert!(matches!(outlined(&ring(&long)), Err(GeoError::TooMany { .. })));
}

#[test]
fn neighbours_along_thousands_of_edges_leave_no_gap() {
    let border: Vec<[f64; 2]> = (0..4_000)
        .map(|step| [(f64::from(step) / 30.0).sin() * 3.0, -40.0 + f64::from(step) / 50.0])
        .collect();
    let side = |longitude: f64| {
        let mut positions = vec![[longitude, 40.0], [longitude, -40.0]];
        positions.extend(&border);
        positions.push([longitude, 40.0]);
        outlined(&ring(&positions)).unwrap()
    };
    let (west, east) = (side(-20.0), side(20.0));
    let both = world(&[("west", west), ("east", east)], None).unwrap();
    for pair in border.windows(2) {
        let middle = at((pair[0][1] + pair[1][1]) / 2.0, (pair[0][0] + pair[1][0]) / 2.0);
        assert!(both.owner(middle).is_some());
    }
}

#[test]
#[ignore = "a measurement: run it in release by hand"]
fn the_owner_is_found_in_tens_of_nanoseconds() {
    let world = four_regions();
    let positions: Vec<Position> =
        (0..1000).map(|step| at(f64::from(step % 89), f64::from(step * 7 % 359) - 179.5)).collect();
    let begun = std::time::Instant::now();
    let mut owned = 0;
    for _ in 0..1000 {
        owned += positions.iter().filter(|position| world.owner(**position).is_some()).count();
    }
    println!("{owned} owned, {:?} per position", begun.elapsed() / 1_000_000);
    let mut window = Window::everywhere();
    window.latitude_at_least(40.0);
    window.longitude_at_most(-73.0);
    let begun = std::time::Instant::now();
    for _ in 0..1_000_000 {
        owned += world.touching(std::hint::black_box(&window)).len();
    }
    println!("{owned}, {:?} per window", begun.elapsed() / 1_000_000);
}
