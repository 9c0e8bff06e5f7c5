//! How far apart the demonstration's regions are, in round trips.
//!
//! The figures are what the large clouds measure between such regions, rounded. A region that is not in the
//! table is taken to be 200 ms away from every other one. The relays of `meridian demo --wan` wait for half
//! of a figure in each direction.
//!
//! Invariants:
//! 1. Symmetric; a region is nearest to itself.

use std::time::Duration;

const SAME_REGION: Duration = Duration::from_millis(1);
const UNKNOWN: Duration = Duration::from_millis(200);

const ROUND_TRIPS: [(&str, &str, u64); 6] = [
    ("us-east", "us-west", 62),
    ("us-east", "eu-central", 90),
    ("us-east", "ap-south", 190),
    ("us-west", "eu-central", 145),
    ("us-west", "ap-south", 220),
    ("eu-central", "ap-south", 125),
];

/// The time for a packet to go from one region to another and back.
pub fn round_trip(one: &str, other: &str) -> Duration {
    if one == other {
        return SAME_REGION;
    }
    ROUND_TRIPS
        .iter()
        .find(|(a, b, _)| (*a, *b) == (one, other) || (*a, *b) == (other, one))
        .map_or(UNKNOWN, |(_, _, millis)| Duration::from_millis(*millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_symmetric() {
        for (one, other, millis) in ROUND_TRIPS {
            assert_eq!(round_trip(one, other), Duration::from_millis(millis));
            assert_eq!(round_trip(one, other), round_trip(other, one));
        }
        assert_eq!(round_trip("us-east", "us-east"), SAME_REGION);
        assert_eq!(round_trip("us-east", "mars"), UNKNOWN);
    }
}
