//! Trips: somebody of a city is driven through it by a driver of the same city.
//!
//! ```text
//! distance  great circle from pick-up to drop-off, in hundredths of a kilometre
//! duration  distance at the hour's speed, and two minutes
//! price     the region's base fare + per kilometre + per minute
//! ```
//!
//! Invariants:
//! 1. A ride's region is that of its pick-up and of its user, and its driver's where it has one.
//! 2. Distance, duration and price agree with each other and with the positions.
//! 3. A ride under way has a driver; one that is only requested has none.

use uuid::Uuid;

use super::clock::Time;
use super::copy_text::Line;
use super::geometry::Point;
use super::people;
use super::places::City;
use super::random::Random;
use super::{Dataset, Table};

/// Of a thousand rides.
const STATUSES: [(Status, u64); 5] = [
    (Status::Completed, 900),
    (Status::Cancelled, 80),
    (Status::InProgress, 10),
    (Status::Accepted, 5),
    (Status::Requested, 5),
];

/// Drop-offs are at least this far away.
const TRIP_KM_MIN: f64 = 0.6;
/// A drop-off is at most this farther out than the farthest pick-up; areas have room for it around their cities.
const TRIP_KM_MAX: f64 = 28.0;

/// What a ride costs, in hundredths of the currency.
#[derive(Debug, Clone, Copy)]
pub struct Fare {
    pub base: u64,
    pub per_km: u64,
    pub per_minute: u64,
}

/// By the index of `places::AREAS`.
pub const FARES: [Fare; 4] = [
    Fare { base: 255, per_km: 118, per_minute: 35 },
    Fare { base: 220, per_km: 109, per_minute: 39 },
    Fare { base: 300, per_km: 145, per_minute: 30 },
    Fare { base: 60, per_km: 22, per_minute: 4 },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Requested,
    Accepted,
    InProgress,
    Completed,
    Cancelled,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One row of `rides`.
#[derive(Debug, Clone, PartialEq)]
pub struct Ride {
    pub id: Uuid,
    /// Row numbers of the user and the driver.
    pub user: u64,
    pub driver: Option<u64>,
    pub pickup: Point,
    pub dropoff: Point,
    /// An index of `places::AREAS`.
    pub area: usize,
    pub status: Status,
    pub price_hundredths: u64,
    pub distance_hundredths: u64,
    pub duration_minutes: u64,
    pub time: Time,
}

impl Ride {
    /// The ride of this row.
    pub fn of_row(dataset: &Dataset, row: u64) -> Self {
        let mut random = dataset.random(Table::Rides, row);
        let id = random.uuid();
        let users = dataset.rows(Table::Users);
        // The smaller of two: some ride often, many seldom.
        let user = random.below(users).min(random.below(users));
        let city = City::of_row(user);
        let pickup = city.place(&mut random);
        let dropoff = drop_off(pickup, &mut random);
        let mut status = random.pick_weighted(&STATUSES);
        let mut driver = city.row_here(dataset.rows(Table::Drivers), &mut random);
        match status {
            Status::Requested => driver = None,
            Status::Cancelled if random.below(2) == 0 => driver = None,
            Status::Cancelled => {}
            // A data set so small that the city has no driver.
            _ if driver.is_none() => status = Status::Requested,
            _ => {}
        }
        let time = match status {
            Status::Completed | Status::Cancelled => dataset.epoch().past_ride(&mut random),
            _ => dataset.epoch().minus(random.between(1, 900)),
        };
        let distance_hundredths = (pickup.distance_km(dropoff) * 100.0).round() as u64;
        let duration_minutes = duration_minutes(distance_hundredths, &mut random);
        let price_hundredths = price_hundredths(FARES[city.area], distance_hundredths, duration_minutes);
        let area = city.area;
        Self {
            id,
            user,
            driver,
            pickup,
            dropoff,
            area,
            status,
            price_hundredths,
            distance_hundredths,
            duration_minutes,
            time,
        }
    }

    pub fn region(&self) -> &'static str {
        super::places::AREAS[self.area].region
    }

    pub fn write(&self, dataset: &Dataset, text: &mut String) {
        let line = Line::new(text).plain(self.id).plain(people::user_id(dataset, self.user));
        let line = match self.driver {
            Some(driver) => line.plain(people::driver_id(dataset, driver)),
            None => line.null(),
        };
        line.degrees(self.pickup.latitude)
            .degrees(self.pickup.longitude)
            .degrees(self.dropoff.latitude)
            .degrees(self.dropoff.longitude)
            .plain(self.region())
            .plain(self.pickup.geohash())
            .plain(self.status.name())
            .hundredths(self.price_hundredths)
            .hundredths(self.distance_hundredths)
            .plain(self.duration_minutes)
            .time(self.time)
            .end();
    }
}

/// Somewhere else: in any direction, short trips more often than long ones.
fn drop_off(pickup: Point, random: &mut Random) -> Point {
    let farther = random.unit() * random.unit();
    let length = TRIP_KM_MIN + (TRIP_KM_MAX - TRIP_KM_MIN) * farther;
    // A direction from a point of a square: no more than a demonstration needs, and no library's sine.
    let (north, east) = (random.unit() * 2.0 - 1.0, random.unit() * 2.0 - 1.0);
    let norm = (north * north + east * east).sqrt();
    if norm < 1e-9 {
        return pickup.moved(length, 0.0).rounded();
    }
    pickup.moved(length * north / norm, length * east / norm).rounded()
}

/// Two minutes to get in and out, the rest at 16 to 40 km/h.
fn duration_minutes(distance_hundredths: u64, random: &mut Random) -> u64 {
    let km_per_hour = random.between(16, 40);
    2 + (distance_hundredths * 60).div_ceil(km_per_hour * 100)
}

fn price_hundredths(fare: Fare, distance_hundredths: u64, duration_minutes: u64) -> u64 {
    // Half a cent and more counts as one.
    fare.base + (fare.per_km * distance_hundredths + 50) / 100 + fare.per_minute * duration_minutes
}

#[cfg(test)]
mod tests {
    use super::super::places::AREAS;
    use super::*;

    #[test]
    fn rides_agree_with_themselves_and_their_people() {
        let dataset = Dataset::new(42, 20_000);
        for row in 0..dataset.rows(Table::Rides) {
            let ride = Ride::of_row(&dataset, row);
            let area = &AREAS[ride.area];
            assert!(area.contains(ride.pickup) && area.contains(ride.dropoff), "{ride:?}");
            assert_eq!(City::of_row(ride.user).area, ride.area);
            assert!(ride.driver.is_none_or(|driver| City::of_row(driver).area == ride.area));
            let km = ride.pickup.distance_km(ride.dropoff);
            assert!((ride.distance_hundredths as f64 / 100.0 - km).abs() < 0.006, "{ride:?}");
            let moving = (ride.duration_minutes - 2).max(1) as f64 / 60.0;
            assert!(km / moving <= 41.0 && ride.duration_minutes <= 110, "{ride:?}");
            let price = price_hundredths(FARES[ride.area], ride.distance_hundredths, ride.duration_minutes);
            assert_eq!(ride.price_hundredths, price);
            match ride.status {
                Status::Requested => assert_eq!(ride.driver, None),
                Status::Cancelled => {}
                _ => assert!(ride.driver.is_some()),
            }
            assert!(ride.time < dataset.epoch());
        }
    }

    #[test]
    fn a_tiny_data_set_has_rides_too() {
        let dataset = Dataset::new(1, 1);
        let mut text = String::new();
        Ride::of_row(&dataset, 0).write(&dataset, &mut text);
        assert_eq!(text.matches('\t').count() + 1, Table::Rides.columns().len());
    }
}
