//! A real local cluster and the ride-sharing data set: `meridian demo`, and the ground that tests stand on.

pub mod cluster;
pub mod data;
