//! The regions of the standing example, their areas, and the cities that people live in.
//!
//! ```text
//!   us-west      us-east              eu-central          ap-south
//!  -130…-100    -100…-65               -12…40              60…110      longitude
//!    24…50        24…50                 35…72             -12…38       latitude
//! ```
//!
//! The areas are the ones of `config/demo.toml`. People gather around city centres; a city's weight is its share of all.
//!
//! Invariants:
//! 1. Areas do not overlap, and every point of a city, and the end of every trip from it, is in its region's area.
//! 2. A city's people are at fixed row numbers (`CYCLE`), so that a driver of a rider's city is found without a search.

use super::geometry::Point;
use super::names::Culture;
use super::random::Random;

/// A region and its area: half-open boxes in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub region: &'static str,
    pub name: &'static str,
    pub latitude: (f64, f64),
    pub longitude: (f64, f64),
}

impl Area {
    pub fn contains(&self, point: Point) -> bool {
        let within = |value: f64, (low, high): (f64, f64)| low <= value && value < high;
        within(point.latitude, self.latitude) && within(point.longitude, self.longitude)
    }
}

/// The four regions, in the order in which the cluster has them.
pub const AREAS: [Area; 4] = [
    Area { region: "us-east", name: "US East", latitude: (24.0, 50.0), longitude: (-100.0, -65.0) },
    Area { region: "us-west", name: "US West", latitude: (24.0, 50.0), longitude: (-130.0, -100.0) },
    Area { region: "eu-central", name: "EU Central", latitude: (35.0, 72.0), longitude: (-12.0, 40.0) },
    Area { region: "ap-south", name: "AP South", latitude: (-12.0, 38.0), longitude: (60.0, 110.0) },
];

/// Somewhere that people live.
#[derive(Debug)]
pub struct City {
    pub name: &'static str,
    /// An index of `AREAS`.
    pub area: usize,
    pub center: Point,
    /// Nobody lives farther from the centre.
    pub radius_km: f64,
    /// Of `CYCLE_LENGTH`.
    pub weight: usize,
    pub culture: Culture,
}

impl City {
    pub fn region(&self) -> &'static str {
        AREAS[self.area].region
    }

    /// A place in the city: dense at the centre, thin at the edge.
    pub fn place(&self, random: &mut Random) -> Point {
        let third = self.radius_km / 3.0 / std::f64::consts::SQRT_2;
        let (north_km, east_km) = (random.bell() * third, random.bell() * third);
        self.center.moved(north_km, east_km).rounded()
    }

    /// The city of a user's or driver's row.
    pub fn of_row(row: u64) -> &'static Self {
        &CITIES[CYCLE[(row % CYCLE_LENGTH as u64) as usize] as usize]
    }

    /// A row, of a table with so many, that is of this city; none when the table is too small to have one.
    pub fn row_here(&self, rows: u64, random: &mut Random) -> Option<u64> {
        let cycle = CYCLE_LENGTH as u64;
        let nth = random.below(self.weight as u64) as usize;
        let here = |slot: &usize| std::ptr::eq(&CITIES[CYCLE[*slot] as usize], self);
        let slot = (0..CYCLE_LENGTH).filter(here).nth(nth)? as u64;
        let candidates = rows.saturating_sub(slot).div_ceil(cycle);
        (candidates > 0).then(|| slot + cycle * random.below(candidates))
    }
}

const CYCLE_LENGTH: usize = 103;
/// Coprime to the length, so that it visits every position, and long, so that neighbouring rows are of different regions.
const CYCLE_STRIDE: usize = 40;

/// Which city each row of a cycle belongs to.
static CYCLE: [u8; CYCLE_LENGTH] = cycle();

const fn cycle() -> [u8; CYCLE_LENGTH] {
    let mut in_order = [0; CYCLE_LENGTH];
    let (mut city, mut position) = (0, 0);
    while city < CITIES.len() {
        let mut share = 0;
        while share < CITIES[city].weight {
            in_order[position] = city as u8;
            position += 1;
            share += 1;
        }
        city += 1;
    }
    assert!(position == CYCLE_LENGTH, "the weights of all cities add up to the length of the cycle");
    let mut slots = [0; CYCLE_LENGTH];
    let mut slot = 0;
    while slot < CYCLE_LENGTH {
        slots[slot] = in_order[slot * CYCLE_STRIDE % CYCLE_LENGTH];
        slot += 1;
    }
    slots
}

const fn city(
    name: &'static str,
    area: usize,
    (latitude, longitude): (f64, f64),
    radius_km: f64,
    weight: usize,
    culture: Culture,
) -> City {
    City { name, area, center: Point { latitude, longitude }, radius_km, weight, culture }
}

use Culture::*;

/// All cities, region by region.
pub static CITIES: [City; 40] = [
    city("New York", 0, (40.7128, -74.0060), 24.0, 9, American),
    city("Boston", 0, (42.3601, -71.0589), 14.0, 3, American),
    city("Philadelphia", 0, (39.9526, -75.1652), 16.0, 3, American),
    city("Washington", 0, (38.9072, -77.0369), 16.0, 3, American),
    city("Atlanta", 0, (33.7490, -84.3880), 20.0, 3, American),
    city("Miami", 0, (25.7617, -80.2500), 15.0, 4, Hispanic),
    city("Chicago", 0, (41.8500, -87.7000), 22.0, 4, American),
    city("Toronto", 0, (43.7000, -79.4200), 18.0, 2, American),
    city("Houston", 0, (29.7604, -95.3698), 22.0, 2, Hispanic),
    city("Detroit", 0, (42.3600, -83.1000), 16.0, 1, American),
    city("Los Angeles", 1, (34.0522, -118.2437), 26.0, 7, Hispanic),
    city("San Francisco", 1, (37.7600, -122.4400), 10.0, 5, American),
    city("San Jose", 1, (37.3382, -121.8863), 14.0, 2, Hispanic),
    city("Seattle", 1, (47.6062, -122.3321), 15.0, 3, American),
    city("San Diego", 1, (32.7600, -117.1300), 14.0, 2, Hispanic),
    city("Phoenix", 1, (33.4484, -112.0740), 20.0, 2, American),
    city("Las Vegas", 1, (36.1500, -115.1700), 14.0, 2, American),
    city("Portland", 1, (45.5152, -122.6784), 12.0, 1, American),
    city("Denver", 1, (39.7392, -104.9903), 16.0, 1, American),
    city("Vancouver", 1, (49.2400, -123.0500), 11.0, 1, American),
    city("Berlin", 2, (52.5200, 13.4050), 18.0, 4, German),
    city("Munich", 2, (48.1372, 11.5755), 14.0, 2, German),
    city("Frankfurt", 2, (50.1109, 8.6821), 12.0, 2, German),
    city("Hamburg", 2, (53.5600, 10.0000), 14.0, 1, German),
    city("Vienna", 2, (48.2082, 16.3738), 13.0, 2, German),
    city("Zurich", 2, (47.3769, 8.5417), 9.0, 1, German),
    city("Paris", 2, (48.8566, 2.3522), 16.0, 4, French),
    city("Madrid", 2, (40.4168, -3.7038), 15.0, 2, Hispanic),
    city("Milan", 2, (45.4642, 9.1900), 12.0, 2, Italian),
    city("Rome", 2, (41.9028, 12.4964), 14.0, 1, Italian),
    city("Warsaw", 2, (52.2297, 21.0122), 14.0, 2, Polish),
    city("Kraków", 2, (50.0647, 19.9450), 9.0, 1, Polish),
    city("Mumbai", 3, (19.1200, 72.9000), 18.0, 5, Indian),
    city("Delhi", 3, (28.6139, 77.2090), 22.0, 4, Indian),
    city("Bengaluru", 3, (12.9716, 77.5946), 18.0, 3, Indian),
    city("Chennai", 3, (13.0600, 80.2200), 14.0, 1, Indian),
    city("Hyderabad", 3, (17.3850, 78.4867), 16.0, 1, Indian),
    city("Singapore", 3, (1.3521, 103.8198), 12.0, 2, Singaporean),
    city("Jakarta", 3, (-6.2400, 106.8300), 15.0, 1, Indonesian),
    city("Bangkok", 3, (13.7563, 100.5018), 15.0, 2, Thai),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_do_not_overlap() {
        let apart = |a: (f64, f64), b: (f64, f64)| a.1 <= b.0 || b.1 <= a.0;
        for (index, one) in AREAS.iter().enumerate() {
            for other in &AREAS[index + 1..] {
                assert!(apart(one.latitude, other.latitude) || apart(one.longitude, other.longitude));
            }
        }
    }

    #[test]
    fn every_place_is_in_the_area_of_its_city() {
        for (index, city) in CITIES.iter().enumerate() {
            let mut random = Random::for_row(7, 7, index as u64);
            for _ in 0..500 {
                let place = city.place(&mut random);
                assert!(AREAS[city.area].contains(place), "{} {place:?}", city.name);
                assert!(place.distance_km(city.center) <= city.radius_km + 0.1, "{}", city.name);
            }
        }
    }

    #[test]
    fn rows_of_a_city_are_of_that_city() {
        for city in &CITIES {
            let mut random = Random::for_row(1, 1, 1);
            for rows in [0, 1, 60, 103, 1000] {
                let row = city.row_here(rows, &mut random);
                assert!(row.is_none_or(|row| row < rows && City::of_row(row).name == city.name));
                assert!(rows < 103 || row.is_some(), "{}", city.name);
            }
        }
    }

    #[test]
    fn neighbouring_rows_spread_over_all_regions() {
        let regions: std::collections::HashSet<_> = (0..12).map(|row| City::of_row(row).region()).collect();
        assert_eq!(regions.len(), AREAS.len());
    }
}
