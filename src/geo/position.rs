//! A place on the globe, checked once, with one spelling for each meridian.
//!
//! Made from what a row or a configuration says; used by everything in this room. Longitude 180 becomes -180 here,
//! so that nothing else needs to know that they are the same meridian.
//!
//! Invariants:
//! 1. Latitude is finite and in [-90, 90]; longitude is finite and in [-180, 180).
//!
//! A query's bounds are not positions: they may lie outside and are clamped by [`super::Window`].

use std::fmt;

use super::GeoError;

/// A latitude and a longitude in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    latitude: f64,
    longitude: f64,
}

impl Position {
    /// Checks both coordinates; the error names the one that is wrong. Longitude 180 becomes -180.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, GeoError> {
        if !latitude.is_finite() {
            return Err(GeoError::NotFinite { axis: "latitude", value: latitude });
        }
        if !longitude.is_finite() {
            return Err(GeoError::NotFinite { axis: "longitude", value: longitude });
        }
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(GeoError::LatitudeOutOfRange { latitude, longitude });
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(GeoError::LongitudeOutOfRange { longitude });
        }
        let longitude = if longitude == 180.0 { -180.0 } else { longitude };
        Ok(Self { latitude, longitude })
    }

    pub(super) const fn from_checked(latitude: f64, longitude: f64) -> Self {
        Self { latitude, longitude }
    }

    /// Degrees north, -90 to 90.
    pub const fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east, from -180 to below 180.
    pub const fn longitude(self) -> f64 {
        self.longitude
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "latitude {}, longitude {}", self.latitude, self.longitude)
    }
}
