//! Every rule of the configuration file: from raw values to a [`Config`], or to all that is wrong.
//!
//! Called once by [`Config::parse`]. The order matters only where one part names another: regions, then shards and
//! nodes, then tables. A part that is wrong is reported and replaced by a harmless value, so that the rest is still
//! checked; nothing is returned when anything was reported.
//!
//! - `settings`: the sections of single values
//! - `users`: clients' accounts and their passwords
//! - `lookup`: where users are looked up whom the file does not know
//! - `access`: who may come in, from where
//! - `places`: regions, shards, nodes, distances
//! - `areas`: boxes, geohashes, GeoJSON
//! - `tables`: placements
//! - `keys`: list values and range bounds
//!
//! Invariant: every finding has the span of the value that is to be changed.

mod access;
mod areas;
mod encryption;
mod keys;
mod lookup;
mod places;
mod settings;
mod tables;
mod users;

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::Config;
use super::error::Finding;
use super::raw::RawConfig;
use super::value::{RawDuration, RawSize};
use super::written::Written;
use crate::topology::{Topology, TopologyVersion};

/// Checks everything; `folder` is where relative paths begin. Besides the configuration: what is to be warned of.
pub(super) fn check(raw: RawConfig, folder: &Path) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let mut findings = Findings::default();
    let proxy = settings::proxy(&raw.proxy, &mut findings);
    let session = settings::session(&raw.proxy, &mut findings);
    let server = settings::server(&raw.server, folder, &mut findings);
    let access = access::rules(&raw, &mut findings);
    let auth_query = lookup::auth_query(&raw, &mut findings);
    let users = users::users(&raw, (proxy.auth, &access), folder, &mut findings);
    let pool = settings::pool(&raw.pool, &mut findings);
    let health = settings::health(&raw.health, &mut findings);
    let limits = settings::limits(&raw.limits, &mut findings);
    let scratch = settings::scratch(&raw.scratch, &mut findings);
    let http = settings::http(&raw.http, proxy.listen, &mut findings);
    let tls = encryption::clients(&raw.tls, folder, &mut findings);
    let log = settings::log(&raw.log, &mut findings);
    let database = settings::database_settings(&raw.database, proxy.workers, &mut findings);
    let topology = topology(&raw, folder, &mut findings);
    match topology {
        Some(topology) if findings.errors.is_empty() => {
            let (written, warnings) = (Written::default(), Vec::new());
            let config = Config {
                proxy,
                session,
                database,
                server,
                auth_query,
                users,
                access,
                pool,
                health,
                limits,
                scratch,
                tls,
                http,
                log,
                topology,
                written,
                warnings,
            };
            Ok((config, findings.warnings))
        }
        _ => Err(findings.errors),
    }
}

fn topology(raw: &RawConfig, folder: &Path, findings: &mut Findings) -> Option<Topology> {
    let database = settings::database(&raw.database, findings);
    let places = places::places(raw, &database, folder, findings)?;
    let tables = tables::tables(&raw.tables, &places, findings);
    let trusted_functions = tables::trusted_functions(&raw.functions, findings);
    Some(Topology {
        version: TopologyVersion(0),
        database,
        regions: places.regions,
        shards: places.shards,
        nodes: places.nodes,
        local_region: places.local_region,
        default_shard: places.default_shard,
        scratch_shard: places.scratch_shard,
        world: places.world?,
        tables,
        trusted_functions,
        distances: places.distances,
    })
}

/// What was found so far, and the checks that many sections share.
#[derive(Default)]
pub(super) struct Findings {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Findings {
    fn report(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.errors.push(Finding { span, message: message.into() });
    }

    fn warn(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.warnings.push(Finding { span, message: message.into() });
    }

    /// A number within the bounds, both inside.
    fn count(&mut self, value: &Option<Spanned<i64>>, default: usize, bounds: (usize, usize)) -> usize {
        let Some(value) = value else { return default };
        match usize::try_from(*value.get_ref()) {
            Ok(count) if (bounds.0..=bounds.1).contains(&count) => count,
            _ => {
                let message = format!("must be {} to {}, not {}", bounds.0, bounds.1, value.get_ref());
                self.report(value.span(), message);
                default
            }
        }
    }

    /// A number from 1 to `bound`, where there is one.
    fn limit(&mut self, value: &Option<Spanned<i64>>, bound: usize) -> Option<usize> {
        value.as_ref().map(|_| self.count(value, bound, (1, bound)))
    }

    /// A size within the bounds, both inside.
    fn size(&mut self, value: &Option<Spanned<RawSize>>, default: usize, bounds: (usize, usize)) -> usize {
        let Some(value) = value else { return default };
        match usize::try_from(value.get_ref().0) {
            Ok(size) if (bounds.0..=bounds.1).contains(&size) => size,
            _ => {
                let message =
                    format!("must be {} to {} bytes, not {}", bounds.0, bounds.1, value.get_ref().0);
                self.report(value.span(), message);
                default
            }
        }
    }

    /// A duration that cannot be off.
    fn duration(&mut self, value: &Option<Spanned<RawDuration>>, default: Duration) -> Duration {
        let Some(value) = value else { return default };
        if value.get_ref().0.is_zero() {
            self.report(value.span(), "must be longer than 0");
        }
        value.get_ref().0
    }

    /// Text or its default.
    fn text(value: &Option<Spanned<String>>, default: &str) -> String {
        value.as_ref().map_or_else(|| default.to_owned(), |value| value.get_ref().clone())
    }
}

/// A duration that `"0"` switches off.
fn optional_duration(value: &Option<Spanned<RawDuration>>, default: Option<Duration>) -> Option<Duration> {
    value.as_ref().map_or(default, |value| Some(value.get_ref().0).filter(|time| !time.is_zero()))
}

/// One identifier as PostgreSQL reads it: folded to lower case unless it stands in double quotes.
fn identifier(text: &str) -> Option<String> {
    let name = match text.strip_prefix('"') {
        Some(rest) => {
            let inner = rest.strip_suffix('"')?;
            if inner.replace("\"\"", "").contains('"') {
                return None;
            }
            inner.replace("\"\"", "\"")
        }
        None => {
            let letter = |c: char| c.is_alphabetic() || c == '_';
            if !text.starts_with(letter) || !text.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '$')
            {
                return None;
            }
            text.to_ascii_lowercase()
        }
    };
    (!name.is_empty() && name.len() < NAME_BYTES_END && !name.contains('\0')).then_some(name)
}

/// PostgreSQL's NAMEDATALEN.
const NAME_BYTES_END: usize = 64;
