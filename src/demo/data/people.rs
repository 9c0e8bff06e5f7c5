//! Riders and drivers, and where the drivers are right now.
//!
//! Invariants:
//! 1. A person's row is made from its number alone; their id and city can be had without the rest.
//! 2. A driver's geohash is that of the driver's position, and the last location is within a few kilometres of it.

use uuid::Uuid;

use super::clock::Time;
use super::copy_text::Line;
use super::geometry::Point;
use super::places::City;
use super::random::Random;
use super::{Dataset, Table};

const CARS: [(&str, &str, u64); 12] = [
    ("Toyota", "Prius", 4),
    ("Toyota", "Corolla", 4),
    ("Honda", "Civic", 4),
    ("Hyundai", "Ioniq 5", 4),
    ("Volkswagen", "Passat", 4),
    ("Škoda", "Octavia", 4),
    ("Tesla", "Model 3", 4),
    ("Mercedes-Benz", "E 220", 4),
    ("Maruti Suzuki", "Dzire", 4),
    ("Ford", "Transit", 8),
    ("Toyota", "Innova", 6),
    ("Kia", "Carnival", 7),
];
const COLOURS: [&str; 6] = ["white", "black", "silver", "grey", "blue", "red"];
const AVAILABILITY: [(&str, u64); 3] = [("available", 45), ("busy", 20), ("offline", 35)];

/// How far drivers stray from where they wait: kilometres north and south, east and west, at most.
const STRAY_KM: f64 = 0.7;

/// The id of a user, which is the first thing its stream yields.
pub fn user_id(dataset: &Dataset, row: u64) -> Uuid {
    dataset.random(Table::Users, row).uuid()
}

pub fn driver_id(dataset: &Dataset, row: u64) -> Uuid {
    dataset.random(Table::Drivers, row).uuid()
}

/// Where a driver of this row waits for riders.
fn driver_home(dataset: &Dataset, row: u64) -> Point {
    // A stream apart from the rest of the row's: the location needs it too.
    let mut random = Random::for_row(dataset.seed, DRIVER_HOME, row);
    City::of_row(row).place(&mut random)
}

/// Where a driver of this row is.
pub fn driver_position(dataset: &Dataset, row: u64) -> Point {
    let mut random = dataset.random(Table::DriverLocations, row);
    let (north_km, east_km) = (random.bell() * STRAY_KM, random.bell() * STRAY_KM);
    driver_home(dataset, row).moved(north_km, east_km).rounded()
}

/// Beside the tables' own numbers.
const DRIVER_HOME: u64 = 100;

pub fn write_user(dataset: &Dataset, row: u64, text: &mut String) {
    let mut random = dataset.random(Table::Users, row);
    let city = City::of_row(row);
    let id = random.uuid();
    let (name, email) = city.culture.name_and_email(row, &mut random);
    let home = city.place(&mut random);
    Line::new(text)
        .plain(id)
        .text(&name)
        .text(&email)
        .text(&city.culture.phone(&mut random))
        .degrees(home.latitude)
        .degrees(home.longitude)
        .plain(city.region())
        .hundredths(rating(&mut random))
        .plain(random.below(12) * random.below(12))
        .time(dataset.epoch().sign_up(&mut random))
        .end();
}

pub fn write_driver(dataset: &Dataset, row: u64, text: &mut String) {
    let mut random = dataset.random(Table::Drivers, row);
    let city = City::of_row(row);
    let id = random.uuid();
    let (name, email) = city.culture.name_and_email(row, &mut random);
    let home = driver_home(dataset, row);
    Line::new(text)
        .plain(id)
        .text(&name)
        .text(&email)
        .text(&city.culture.phone(&mut random))
        .degrees(home.latitude)
        .degrees(home.longitude)
        .plain(city.region())
        .plain(home.geohash())
        .text(&vehicle(&mut random))
        .text(&city.culture.license_plate(&mut random))
        .plain(random.pick_weighted(&AVAILABILITY))
        .hundredths(rating(&mut random))
        .plain(random.below(70) * random.below(70))
        .time(dataset.epoch().sign_up(&mut random))
        .end();
}

pub fn write_driver_location(dataset: &Dataset, row: u64, text: &mut String) {
    let position = driver_position(dataset, row);
    let mut random = Random::for_row(dataset.seed, DRIVER_HOME + 1, row);
    Line::new(text)
        .plain(driver_id(dataset, row))
        .degrees(position.latitude)
        .degrees(position.longitude)
        .plain(position.geohash())
        .time(last_seen(dataset.epoch(), &mut random))
        .end();
}

fn last_seen(epoch: Time, random: &mut Random) -> Time {
    epoch.minus(random.below(600))
}

/// Hundredths of a star: most people are content.
fn rating(random: &mut Random) -> u64 {
    let discontent = random.unit() * random.unit() * random.unit();
    500 - (discontent * 250.0) as u64
}

fn vehicle(random: &mut Random) -> String {
    let (make, model, seats) = random.pick(&CARS);
    let (year, colour) = (random.between(2012, 2024), random.pick(&COLOURS));
    format!(
        r#"{{"make": "{make}", "model": "{model}", "year": {year}, "color": "{colour}", "seats": {seats}}}"#
    )
}
