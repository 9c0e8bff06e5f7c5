//! What can be wrong with a position, a geohash, an area or a world, in words that a client or an operator can use.
//!
//! Raised by every file of this room. The messages follow PostgreSQL's habit (lower case, no stop); [`GeoError::hint`]
//! gives a sentence for the HINT field. Which SQLSTATE goes with an error is decided where errors are written to
//! clients, not here: the same error is a client's mistake in an INSERT and an operator's in the configuration.
//!
//! Invariant: a message holds no more than [`TEXT_SHOWN_MAX`] characters of text that came from outside.

use super::Position;

/// Characters of a foreign text that are repeated in a message.
const TEXT_SHOWN_MAX: usize = 40;

/// Every error of this room.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GeoError {
    #[error("{axis} {value} is not a finite number")]
    NotFinite { axis: &'static str, value: f64 },
    #[error("latitude {latitude} is outside -90 to 90")]
    LatitudeOutOfRange { latitude: f64, longitude: f64 },
    #[error("longitude {longitude} is outside -180 to 180")]
    LongitudeOutOfRange { longitude: f64 },
    #[error("\"{text}\" is not a geohash")]
    NotAGeohash { text: String },
    #[error("a geohash has at most 12 characters, not {length}")]
    GeohashTooLong { length: usize },
    #[error("a box from {axis} {from} to {to} is empty")]
    EmptyBox { axis: &'static str, from: f64, to: f64 },
    #[error("invalid GeoJSON: {reason}")]
    NotGeoJson { reason: String },
    #[error("invalid GeoJSON ring: {reason}")]
    BrokenRing { reason: String },
    #[error("a GeoJSON edge from longitude {from} to {to} is longer than 180 degrees")]
    EdgeTooLong { from: f64, to: f64 },
    #[error("areas \"{first}\" and \"{second}\" overlap at {position}")]
    Overlap { first: String, second: String, position: Position },
    #[error("too many {what}: {count} exceed the limit of {limit}")]
    TooMany { what: &'static str, count: usize, limit: usize },
}

impl GeoError {
    /// A sentence that says what to do, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::LatitudeOutOfRange { latitude, longitude } if looks_swapped(*latitude, *longitude) => {
                Some("Latitude and longitude may be swapped.")
            }
            Self::LatitudeOutOfRange { .. } => None,
            Self::NotAGeohash { .. } => {
                Some("A geohash is made of the digits and of lower-case letters other than a, i, l and o.")
            }
            Self::EmptyBox { .. } => Some("The first bound of latitude must be below the second."),
            Self::EdgeTooLong { .. } => Some(
                "Split a polygon that crosses the antimeridian into parts; give a longer edge a position midway.",
            ),
            Self::Overlap { .. } => Some("Areas may touch, but no position may be in two of them."),
            Self::BrokenRing { .. } => {
                Some("A ring is closed, has no crossing and has [longitude, latitude] positions.")
            }
            Self::NotFinite { .. }
            | Self::LongitudeOutOfRange { .. }
            | Self::GeohashTooLong { .. }
            | Self::NotGeoJson { .. }
            | Self::TooMany { .. } => None,
        }
    }

    pub(super) fn not_a_geohash(text: &str) -> Self {
        Self::NotAGeohash { text: shorten(text) }
    }

    pub(super) fn not_geo_json(reason: impl Into<String>) -> Self {
        Self::NotGeoJson { reason: reason.into() }
    }

    pub(super) fn broken_ring(reason: impl Into<String>) -> Self {
        Self::BrokenRing { reason: reason.into() }
    }
}

/// The text, cut to what a message may repeat.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(TEXT_SHOWN_MAX).collect()
}

fn looks_swapped(latitude: f64, longitude: f64) -> bool {
    latitude.abs() <= 180.0 && longitude.abs() <= 90.0
}
