//! The regions' areas: from the file's boxes, geohashes and GeoJSON to the world of `geo`.
//!
//! Every region is an owner, by its index, also one without an area. Also estimates how far regions are apart, from
//! the centres of their areas, where `[distances]` does not say it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use toml::Spanned;

use super::super::raw::{RawArea, RawConfig};
use super::Findings;
use super::places::Places;
use crate::geo::{Area, Cell, GeoError, NamedArea, Owner, World};

/// Bytes of a GeoJSON file; `geo` bounds the positions in it.
const GEOJSON_BYTES_MAX: u64 = 16 << 20;

/// The world (None: something was reported) and each region's centre.
pub(super) fn world(
    raw: &RawConfig,
    places: &Places,
    folder: &Path,
    findings: &mut Findings,
) -> (Option<World>, Vec<Option<Centre>>) {
    let mut areas = Vec::new();
    let mut centres = Vec::new();
    for (region, place) in raw.regions.iter().zip(&places.regions) {
        let mut draft = Draft::default();
        for part in &region.get_ref().area {
            draft.add(part, folder, findings);
        }
        if !region.get_ref().area.is_empty() && place.shards.is_empty() {
            let message = format!("region \"{}\" has an area but no shard", place.name);
            findings.report(region.get_ref().name.span(), message);
        }
        centres.push(draft.centre());
        areas.push(NamedArea { name: place.name.clone(), area: draft.area });
    }
    let default = outside(raw, places, findings);
    match World::new(areas, default) {
        Ok(world) => (Some(world), centres),
        Err(error) => {
            findings.report(span_of(&error, raw), describe(&error));
            (None, centres)
        }
    }
}

/// Who owns what lies in no area; None: nobody.
fn outside(raw: &RawConfig, places: &Places, findings: &mut Findings) -> Option<Owner> {
    let name = raw.geo.outside.as_ref().filter(|name| name.get_ref() != "refuse")?;
    let Some(region) = places.region_named(name.get_ref()) else {
        findings.report(name.span(), format!("must be \"refuse\" or a region, not \"{}\"", name.get_ref()));
        return None;
    };
    if places.regions.get(usize::from(region.0)).is_some_and(|region| region.shards.is_empty()) {
        findings.report(name.span(), format!("region \"{}\" has no shard", name.get_ref()));
    }
    Some(Owner(region.0))
}

/// Where the error is: the later of two regions that overlap, else the first region.
fn span_of(error: &GeoError, raw: &RawConfig) -> std::ops::Range<usize> {
    let named = |name: &String| raw.regions.iter().find(|region| region.get_ref().name.get_ref() == name);
    let region = match error {
        GeoError::Overlap { first, second, .. } => {
            let spans = [named(first), named(second)];
            spans.into_iter().flatten().max_by_key(|region| region.span().start)
        }
        _ => raw.regions.first(),
    };
    region.map_or(0..0, |region| {
        region.get_ref().area.first().map_or_else(|| region.get_ref().name.span(), Spanned::span)
    })
}

fn describe(error: &GeoError) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"))
}

/// A region's area in the making, with the centres of its parts.
#[derive(Default)]
struct Draft {
    area: Area,
    directions: [f64; 3],
}

impl Draft {
    fn add(&mut self, part: &Spanned<RawArea>, folder: &Path, findings: &mut Findings) {
        match part.get_ref() {
            RawArea {
                latitude: Some(latitude),
                longitude: Some(longitude),
                geohash: None,
                geojson: None,
            } => {
                if let Err(error) = self.area.add_box(*latitude, *longitude) {
                    findings.report(part.span(), describe(&error));
                }
                self.add_box_centre(*latitude, *longitude);
            }
            RawArea { latitude: None, longitude: None, geohash: Some(cells), geojson: None } => {
                for text in cells {
                    self.add_cell(text, findings);
                }
            }
            RawArea { latitude: None, longitude: None, geohash: None, geojson: Some(document) } => {
                self.add_geojson(document, folder, findings);
            }
            _ => findings.report(
                part.span(),
                "a part of an area is { latitude = [south, north], longitude = [west, east] } \
                 or { geohash = [\"…\"] } or { geojson = \"…\" }",
            ),
        }
    }

    fn add_box_centre(&mut self, latitude: [f64; 2], longitude: [f64; 2]) {
        let width = longitude[1] - longitude[0];
        let width = if width < 0.0 { width + 360.0 } else { width };
        self.add_direction(f64::midpoint(latitude[0], latitude[1]), longitude[0] + width / 2.0);
    }

    fn add_cell(&mut self, text: &Spanned<String>, findings: &mut Findings) {
        match text.get_ref().parse::<Cell>() {
            Ok(cell) => {
                self.area.add_cell(cell);
                let bounds = cell.bounds();
                self.add_box_centre([bounds.south, bounds.north], [bounds.west, bounds.east]);
            }
            Err(error) => findings.report(text.span(), describe(&error)),
        }
    }

    fn add_geojson(&mut self, text: &Spanned<String>, folder: &Path, findings: &mut Findings) {
        let document = match read_geojson(text.get_ref(), folder) {
            Ok(document) => document,
            Err(message) => return findings.report(text.span(), message),
        };
        if let Err(error) = self.area.add_geojson(&document) {
            findings.report(text.span(), describe(&error));
        }
        self.add_positions(&document);
    }

    /// Adds all `[longitude, latitude]` pairs of a document that `geo` has read, so its depth is bounded.
    fn add_positions(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                match (items.first().and_then(Value::as_f64), items.get(1).and_then(Value::as_f64)) {
                    (Some(longitude), Some(latitude)) => self.add_direction(latitude, longitude),
                    _ => items.iter().for_each(|item| self.add_positions(item)),
                }
            }
            Value::Object(members) => members.values().for_each(|member| self.add_positions(member)),
            _ => {}
        }
    }

    fn add_direction(&mut self, latitude: f64, longitude: f64) {
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        let direction = [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()];
        self.directions.iter_mut().zip(direction).for_each(|(sum, part)| *sum += part);
    }

    fn centre(&self) -> Option<Centre> {
        let length = self.directions.iter().map(|part| part * part).sum::<f64>().sqrt();
        (length > 1e-9).then(|| Centre(self.directions.map(|part| part / length)))
    }
}

/// The document itself, or the file that holds it.
fn read_geojson(text: &str, folder: &Path) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("invalid GeoJSON: {error}"));
    }
    let path = folder.join(text);
    let size = std::fs::metadata(&path).map_err(|error| format!("\"{text}\" cannot be read: {error}"))?.len();
    if size > GEOJSON_BYTES_MAX {
        return Err(format!("\"{text}\" is larger than {GEOJSON_BYTES_MAX} bytes"));
    }
    let content =
        std::fs::read_to_string(&path).map_err(|error| format!("\"{text}\" cannot be read: {error}"))?;
    serde_json::from_str(&content).map_err(|error| format!("\"{text}\": invalid GeoJSON: {error}"))
}

/// The mean of an area's parts as a direction from the Earth's centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Centre([f64; 3]);

/// A usual round trip over the great circle: light in glass, and half as far again for the way of the cables.
pub(super) fn round_trip(from: &Centre, to: &Centre) -> Duration {
    const EARTH_RADIUS_KM: f64 = 6371.0;
    const KM_PER_MS: f64 = 200.0;
    const DETOUR: f64 = 1.5;
    let cosine: f64 = from.0.iter().zip(&to.0).map(|(a, b)| a * b).sum();
    let kilometres = cosine.clamp(-1.0, 1.0).acos() * EARTH_RADIUS_KM;
    Duration::from_secs_f64(2.0 * DETOUR * kilometres / KM_PER_MS / 1000.0)
}
