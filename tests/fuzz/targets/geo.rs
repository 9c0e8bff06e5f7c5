//! Positions, geohash cells, areas and GeoJSON (`geo`).
//!
//! 1. The cell of a position holds it, is read as it is written, and lies in every shorter one of the same position.
//! 2. A window that admits a position of an area touches the area, and the world's owner of it.
//! 3. GeoJSON is an area or an error; an area does not depend on the winding of its rings.

use meridian::geo::{Area, Cell, CellOwner, NamedArea, Owner, Position, Window, World};
use serde_json::Value;

use super::Choices;

pub fn run(data: &[u8]) {
    if data.first().is_some_and(|byte| *byte == b'{') {
        return document(data);
    }
    let mut choices = Choices::new(data);
    let area = boxes(&mut choices);
    for _ in 0..4 {
        let (latitude, longitude) = (degrees(&mut choices, 90.0), degrees(&mut choices, 180.0));
        if let Ok(position) = Position::new(latitude, longitude) {
            cells(position, &mut choices);
            windows(&area, position, &mut choices);
        }
    }
    text(choices.rest());
}

/// Any number, or one near a border of cells and areas.
fn degrees(choices: &mut Choices<'_>, reach: f64) -> f64 {
    match choices.below(4) {
        0 => f64::from(choices.byte() as i8) / 127.0 * reach,
        1 => f64::from_bits(u64::from_be_bytes(choices.array())),
        2 => (f64::from(choices.byte()) / 256.0 * 2.0 * reach - reach).next_down(),
        _ => choices.one_of(&[reach, -reach, 0.0, -0.0, reach.next_down(), 45.0, -1e-20, f64::NAN]),
    }
}

fn boxes(choices: &mut Choices<'_>) -> Area {
    let mut area = Area::new();
    for _ in 0..choices.below(4) {
        let latitude = [degrees(choices, 90.0), degrees(choices, 90.0)];
        let longitude = [degrees(choices, 180.0), degrees(choices, 180.0)];
        // Refused where it is empty or out of range.
        let _ = area.add_box(latitude, longitude);
    }
    area
}

fn cells(position: Position, choices: &mut Choices<'_>) {
    let length = choices.below(13);
    let cell = Cell::of(position, length).expect("a length of at most 12");
    assert!(cell.contains(position) && cell.accepts(position), "{cell} does not hold {position}");
    assert_eq!((Cell::parse(&cell.to_string()), cell.length()), (Ok(cell), length));
    for shorter in 0..=length {
        assert!(Cell::of(position, shorter).is_ok_and(|outer| outer.contains_cell(cell)));
    }
    let bounds = cell.bounds();
    assert!(bounds.south <= position.latitude() && position.latitude() <= bounds.north);
    assert!(bounds.west <= position.longitude() && position.longitude() < bounds.east);
}

fn windows(area: &Area, position: Position, choices: &mut Choices<'_>) {
    let mut window = Window::everywhere();
    let slack = f64::from(choices.byte());
    window.latitude_at_least(position.latitude() - slack);
    window.latitude_at_most(position.latitude() + slack);
    window.longitude_at_least(position.longitude() - slack);
    window.longitude_at_most(position.longitude() + slack);
    let cell = Cell::of(position, 1 + choices.below(12)).expect("a length of at most 12");
    window.geohash_starts_with(&cell.to_string()[..choices.below(cell.length() + 1)]);
    assert!(!window.is_empty());
    assert!(!area.contains(position) || area.may_hold(&window), "{position} is missed by {window:?}");
    let named = NamedArea { name: "one".to_owned(), area: area.clone() };
    let Ok(world) = World::new(vec![named], None) else { return };
    let owner = world.owner(position);
    assert_eq!(owner.is_some(), area.contains(position));
    assert!(owner.is_none_or(|owner| world.touching(&window).contains(owner)));
    if let CellOwner::One(owner) = world.owner_of_cell(cell) {
        assert_eq!(owner, Owner(0));
        assert!(area.contains(position), "{cell} is not all of the area: {position}");
    }
}

fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut window = Window::everywhere();
    window.geohash_starts_with(text);
    window.geohash_between(std::ops::Bound::Included(text), std::ops::Bound::Unbounded);
    if let Ok(cell) = Cell::parse(text) {
        assert_eq!(cell.to_string(), text);
        assert!(!window.is_empty());
    }
}

fn document(data: &[u8]) {
    let Ok(mut document) = serde_json::from_slice::<Value>(data) else { return };
    let mut area = Area::new();
    if let Err(error) = area.add_geojson(&document) {
        assert!(!error.to_string().is_empty() && area.is_empty());
        return;
    }
    let mut turned = Area::new();
    turn_rings(&mut document);
    turned.add_geojson(&document).expect("the winding of rings does not matter");
    for step in 0..64 {
        let (row, column) = (f64::from(step / 8), f64::from(step % 8));
        let position = Position::new(row * 21.3 - 80.1, column * 41.7 - 170.3).expect("in range");
        assert_eq!(area.contains(position), turned.contains(position), "{position}");
        let mut window = Window::everywhere();
        window.latitude_at_least(position.latitude());
        window.latitude_at_most(position.latitude());
        window.longitude_at_least(position.longitude());
        assert!(!area.contains(position) || area.may_hold(&window));
    }
}

/// Reverses every list of positions.
fn turn_rings(value: &mut Value) {
    match value {
        Value::Array(items)
            if items.first().is_some_and(|first| first.get(0).is_some_and(Value::is_number)) =>
        {
            items.reverse();
        }
        Value::Array(items) => items.iter_mut().for_each(turn_rings),
        Value::Object(members) => members.values_mut().for_each(turn_rings),
        _ => {}
    }
}
