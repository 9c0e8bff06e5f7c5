//! The ride-sharing data of the standing example: any number of rows, the same for the same seed.
//!
//! `meridian demo` loads it through the proxy; tests load it into PostgreSQL directly. Nothing here does I/O: a data
//! set yields text of COPY's format, batch by batch, and the caller sends it.
//!
//! ```text
//! Dataset::new(seed, rows) ─▶ batches(table, rows per batch) ─▶ "…\t…\n…\t…\n", …
//! ```
//!
//! Any row can be made by itself from its number (`random`), so that rides know their riders' ids without keeping
//! them, and what a query over the data must answer can be computed without a database (`demo::questions`).
//!
//! Invariants:
//! 1. Same seed, rows and `VERSION`: same bytes.
//! 2. Every row is in the area of its region; every id that a row names exists.

mod clock;
mod copy_text;
mod geometry;
mod names;
mod people;
mod places;
mod random;
mod rides;
pub mod schema;

pub use clock::{HISTORY_DAYS, Time};
pub use geometry::Point;
pub use people::driver_position;
pub use places::{AREAS, Area, CITIES, City};
pub use rides::{FARES, Fare, Ride, Status};

use copy_text::Line;
use random::Random;

/// Raised with every change of the generator or the schema.
pub const VERSION: u32 = 1;

/// How many rows the demonstration loads, unless told otherwise: users, drivers and rides together.
pub const ROWS_DEFAULT: u64 = 340_000;
/// Beyond this a laptop is no fun.
pub const ROWS_MAX: u64 = 100_000_000;

/// Of `ROWS_DEFAULT`.
const USERS_SHARE: u64 = 100_000;
const DRIVERS_SHARE: u64 = 40_000;
const RIDES_SHARE: u64 = 200_000;

/// The tables, in the order in which they are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Regions,
    Users,
    Drivers,
    DriverLocations,
    Rides,
}

impl Table {
    pub const ALL: [Self; 5] =
        [Self::Regions, Self::Users, Self::Drivers, Self::DriverLocations, Self::Rides];

    pub fn name(self) -> &'static str {
        match self {
            Self::Regions => "regions",
            Self::Users => "users",
            Self::Drivers => "drivers",
            Self::DriverLocations => "driver_locations",
            Self::Rides => "rides",
        }
    }

    /// In the order of `CREATE TABLE` and of the generated lines.
    #[rustfmt::skip]
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Regions => &[
                "region_id", "region_code", "name", "lat_min", "lat_max", "lon_min", "lon_max", "node_count",
                "primary_node", "created_at",
            ],
            Self::Users => &[
                "user_id", "name", "email", "phone", "latitude", "longitude", "region", "rating", "total_rides",
                "created_at",
            ],
            Self::Drivers => &[
                "driver_id", "name", "email", "phone", "latitude", "longitude", "region", "geohash", "vehicle_info",
                "license_plate", "availability", "rating", "total_rides", "created_at",
            ],
            Self::DriverLocations => &["driver_id", "latitude", "longitude", "geohash", "updated_at"],
            Self::Rides => &[
                "ride_id", "user_id", "driver_id", "pickup_lat", "pickup_lon", "dropoff_lat", "dropoff_lon", "region",
                "pickup_geohash", "status", "price", "distance_km", "duration_minutes", "timestamp",
            ],
        }
    }

    /// The statement that takes this table's lines.
    pub fn copy_statement(self) -> String {
        let quoted: Vec<_> = self.columns().iter().map(|column| format!("\"{column}\"")).collect();
        format!("COPY {} ({}) FROM STDIN", self.name(), quoted.join(", "))
    }
}

/// A number of rows from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dataset {
    pub seed: u64,
    /// Users, drivers and rides together, as asked for.
    pub total: u64,
    nodes_per_region: u64,
}

/// Some lines of COPY's text format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub rows: u64,
    pub text: String,
}

impl Dataset {
    /// About so many users, drivers and rides together, in the proportions of 100, 40 and 200.
    pub fn new(seed: u64, total: u64) -> Self {
        Self { seed, total: total.clamp(1, ROWS_MAX), nodes_per_region: 3 }
    }

    /// With as many nodes in each region as `regions.node_count` is to say.
    #[must_use]
    pub fn with_nodes(self, nodes_per_region: u64) -> Self {
        Self { nodes_per_region, ..self }
    }

    /// How many rows a table has. None is empty.
    pub fn rows(&self, table: Table) -> u64 {
        let share = |of_default: u64| (self.total * of_default / ROWS_DEFAULT).max(1);
        match table {
            Table::Regions => AREAS.len() as u64,
            Table::Users => share(USERS_SHARE),
            Table::Drivers | Table::DriverLocations => share(DRIVERS_SHARE),
            Table::Rides => share(RIDES_SHARE),
        }
    }

    /// All lines of a table, so many to a batch.
    pub fn batches(&self, table: Table, rows_per_batch: u64) -> impl Iterator<Item = Batch> + Send + use<> {
        let (dataset, all) = (*self, self.rows(table));
        let step = rows_per_batch.max(1);
        (0..all.div_ceil(step)).map(move |batch| {
            let rows = batch * step..((batch + 1) * step).min(all);
            let mut text = String::new();
            let count = rows.end - rows.start;
            rows.for_each(|row| dataset.write(table, row, &mut text));
            Batch { rows: count, text }
        })
    }

    /// All rides, without their text.
    pub fn rides(&self) -> impl Iterator<Item = Ride> + use<> {
        let dataset = *self;
        (0..dataset.rows(Table::Rides)).map(move |row| Ride::of_row(&dataset, row))
    }

    /// The moment that the data are from.
    pub fn epoch(&self) -> Time {
        Time::epoch(self.seed)
    }

    fn write(&self, table: Table, row: u64, text: &mut String) {
        match table {
            Table::Regions => self.write_region(row, text),
            Table::Users => people::write_user(self, row, text),
            Table::Drivers => people::write_driver(self, row, text),
            Table::DriverLocations => people::write_driver_location(self, row, text),
            Table::Rides => Ride::of_row(self, row).write(self, text),
        }
    }

    fn write_region(&self, row: u64, text: &mut String) {
        let area = &AREAS[row as usize];
        let mut random = self.random(Table::Regions, row);
        Line::new(text)
            .plain(random.uuid())
            .plain(area.region)
            .text(area.name)
            .plain(area.latitude.0)
            .plain(area.latitude.1)
            .plain(area.longitude.0)
            .plain(area.longitude.1)
            .plain(self.nodes_per_region)
            .plain(format_args!("{}-1", area.region))
            .time(self.epoch())
            .end();
    }

    fn random(&self, table: Table, row: u64) -> Random {
        Random::for_row(self.seed, table as u64, row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(dataset: Dataset, table: Table, rows_per_batch: u64) -> String {
        dataset.batches(table, rows_per_batch).map(|batch| batch.text).collect()
    }

    #[test]
    fn default_has_the_promised_sizes() {
        let dataset = Dataset::new(1, ROWS_DEFAULT);
        let sizes = Table::ALL.map(|table| dataset.rows(table));
        assert_eq!(sizes, [4, 100_000, 40_000, 40_000, 200_000]);
    }

    #[test]
    fn same_seed_gives_same_bytes_however_batched() {
        for table in Table::ALL {
            let text = lines(Dataset::new(7, 3400), table, 100);
            assert_eq!(text, lines(Dataset::new(7, 3400), table, 7));
            assert_ne!(text, lines(Dataset::new(8, 3400), table, 100));
        }
    }

    #[test]
    fn every_line_has_the_columns_of_its_table() {
        let dataset = Dataset::new(3, 3400);
        for table in Table::ALL {
            let text = lines(dataset, table, 64);
            assert_eq!(text.lines().count() as u64, dataset.rows(table));
            for line in text.lines() {
                assert_eq!(line.split('\t').count(), table.columns().len(), "{line}");
            }
        }
    }

    #[test]
    fn columns_are_those_of_the_schema() {
        for table in Table::ALL {
            let header = format!("CREATE TABLE {} (", table.name());
            let statement = schema::TABLES.iter().find(|statement| statement.starts_with(&header)).unwrap();
            let mut from = 0;
            for column in table.columns() {
                from +=
                    statement[from..].find(&format!("\n    {column} ")).unwrap_or_else(|| panic!("{column}"));
            }
        }
    }

    #[test]
    fn positions_regions_and_geohashes_of_drivers_agree() {
        let dataset = Dataset::new(11, 34_000);
        let (drivers, locations) =
            (lines(dataset, Table::Drivers, 999), lines(dataset, Table::DriverLocations, 999));
        for (driver, location) in drivers.lines().zip(locations.lines()) {
            let (driver, location): (Vec<_>, Vec<_>) =
                (driver.split('\t').collect(), location.split('\t').collect());
            assert_eq!(driver[0], location[0]);
            let home = Point { latitude: driver[4].parse().unwrap(), longitude: driver[5].parse().unwrap() };
            let now =
                Point { latitude: location[1].parse().unwrap(), longitude: location[2].parse().unwrap() };
            assert_eq!((driver[7], location[3]), (home.geohash().as_str(), now.geohash().as_str()));
            let area = AREAS.iter().find(|area| area.region == driver[6]).unwrap();
            assert!(area.contains(home) && area.contains(now), "{driver:?}");
            assert!(home.distance_km(now) < 3.1);
        }
    }

    #[test]
    fn rides_name_people_who_exist() {
        let dataset = Dataset::new(5, 6800);
        let ids = |table| -> std::collections::HashSet<String> {
            lines(dataset, table, 999)
                .lines()
                .filter_map(|line| Some(line.split('\t').next()?.to_owned()))
                .collect()
        };
        let (users, drivers) = (ids(Table::Users), ids(Table::Drivers));
        assert_eq!(users.len() as u64, dataset.rows(Table::Users));
        for line in lines(dataset, Table::Rides, 999).lines() {
            let fields: Vec<_> = line.split('\t').collect();
            assert!(users.contains(fields[1]));
            assert!(fields[2] == "\\N" || drivers.contains(fields[2]));
        }
    }
}
