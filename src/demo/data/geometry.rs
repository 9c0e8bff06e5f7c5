//! Points on the globe, as precise as a demonstration needs.
//!
//! Positions are stored with six decimals (a hand's breadth). They are rounded when they are made, so that everything
//! that is derived from one, its geohash and its distances, agrees with what a database computes from the stored value.
//!
//! Invariants:
//! 1. `rounded` is idempotent and survives printing with six decimals.

use geohash::Coord;

const EARTH_RADIUS_KM: f64 = 6371.0;
const KM_PER_DEGREE: f64 = 111.195;
const GEOHASH_LENGTH: usize = 9;

/// Degrees north and east.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub latitude: f64,
    pub longitude: f64,
}

impl Point {
    /// The point so many kilometres to the north and east; exact enough within a city.
    pub fn moved(self, north_km: f64, east_km: f64) -> Self {
        Self {
            latitude: self.latitude + north_km / KM_PER_DEGREE,
            longitude: self.longitude + east_km / (KM_PER_DEGREE * self.latitude.to_radians().cos()),
        }
    }

    pub fn rounded(self) -> Self {
        let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
        Self { latitude: round(self.latitude), longitude: round(self.longitude) }
    }

    /// The great-circle distance, by the haversine formula.
    pub fn distance_km(self, other: Self) -> f64 {
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_north = (to - from) / 2.0;
        let half_east = (other.longitude - self.longitude).to_radians() / 2.0;
        let chord = half_north.sin().powi(2) + from.cos() * to.cos() * half_east.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * chord.sqrt().asin()
    }

    /// Nine characters: a cell of five metres. Empty for what is not on the globe, which no city is.
    pub fn geohash(self) -> String {
        geohash::encode(Coord { x: self.longitude, y: self.latitude }, GEOHASH_LENGTH).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YORK: Point = Point { latitude: 40.7128, longitude: -74.006 };
    const BERLIN: Point = Point { latitude: 52.52, longitude: 13.405 };

    #[test]
    fn distance_is_what_an_atlas_says() {
        assert!((NEW_YORK.distance_km(BERLIN) - 6385.0).abs() < 10.0, "{}", NEW_YORK.distance_km(BERLIN));
        assert_eq!(BERLIN.distance_km(BERLIN), 0.0);
        assert!((BERLIN.distance_km(BERLIN.moved(3.0, 4.0)) - 5.0).abs() < 0.01);
    }

    #[test]
    fn rounding_survives_text() {
        let point = NEW_YORK.moved(1.234, 5.678).rounded();
        assert_eq!(format!("{:.6}", point.latitude).parse(), Ok(point.latitude));
        assert_eq!(format!("{:.6}", point.longitude).parse(), Ok(point.longitude));
        assert_eq!(point.rounded(), point);
    }

    #[test]
    fn geohash_has_nine_characters() {
        assert_eq!(NEW_YORK.geohash(), "dr5regw3p");
    }
}
