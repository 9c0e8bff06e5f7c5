//! Regions, shards, nodes and the distances between them.
//!
//! Names and addresses are unique, everything that is named exists, and the shards' nodes are put in order of their
//! distance from this Meridian.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::super::raw::{RawConfig, RawShard};
use super::areas::{self, Centre};
use super::{Findings, NAME_BYTES_END};
use crate::geo::World;
use crate::topology::ids::SHARDS_MAX;
use crate::topology::{Node, NodeId, NodeState, Region, RegionId, Shard, ShardId};

/// Regions in one file; each may own an area, and shards are as many.
const REGIONS_MAX: usize = SHARDS_MAX;
/// Nodes of one shard: a primary and more replicas than PostgreSQL is used with.
const NODES_MAX: usize = 64;
/// No two places on Earth are further apart than this, whatever the satellites.
const DISTANCE_MS_MAX: f64 = 10_000.0;

/// All places of the file, as the topology holds them.
pub(super) struct Places {
    pub regions: Vec<Region>,
    pub shards: Vec<Shard>,
    pub nodes: Vec<Node>,
    /// None where an area was refused.
    pub world: Option<World>,
    pub local_region: RegionId,
    pub default_shard: ShardId,
    pub scratch_shard: ShardId,
    pub distances: Option<Vec<Vec<Duration>>>,
}

impl Places {
    pub fn region_named(&self, name: &str) -> Option<RegionId> {
        self.regions.iter().position(|region| region.name == name).map(|i| RegionId(i as u16))
    }

    pub fn shard_named(&self, name: &str) -> Option<ShardId> {
        self.shards.iter().position(|shard| shard.name == name).map(|i| ShardId(i as u16))
    }

    /// The shard that a key of the file names.
    pub fn shard(&self, name: &Spanned<String>, findings: &mut Findings) -> ShardId {
        self.shard_named(name.get_ref()).unwrap_or_else(|| {
            findings.report(name.span(), format!("there is no shard \"{}\"", name.get_ref()));
            ShardId(0)
        })
    }

    /// The region that a key of the file names.
    pub fn region(&self, name: &str, span: std::ops::Range<usize>, findings: &mut Findings) -> RegionId {
        self.region_named(name).unwrap_or_else(|| {
            findings.report(span, format!("there is no region \"{name}\""));
            RegionId(0)
        })
    }
}

/// None where there is nothing to go on with: no region, no shard, or too many.
pub(super) fn places(
    raw: &RawConfig,
    database: &str,
    folder: &Path,
    findings: &mut Findings,
) -> Option<Places> {
    if raw.regions.is_empty() || raw.shards.is_empty() {
        let missing = if raw.regions.is_empty() { "[[regions]]" } else { "[[shards]]" };
        findings.report(0..0, format!("at least one {missing} is needed"));
        return None;
    }
    if let Some(extra) = raw.regions.get(REGIONS_MAX) {
        findings.report(extra.span(), format!("more than {REGIONS_MAX} regions"));
        return None;
    }
    if let Some(extra) = raw.shards.get(SHARDS_MAX) {
        findings.report(extra.span(), format!("more than {SHARDS_MAX} shards"));
        return None;
    }
    let regions = regions(raw, findings);
    let mut places = Places {
        regions,
        shards: Vec::new(),
        nodes: Vec::new(),
        world: None,
        local_region: RegionId(0),
        default_shard: ShardId(0),
        scratch_shard: ShardId(0),
        distances: None,
    };
    let mut addresses = HashMap::new();
    for shard in &raw.shards {
        add_shard(&mut places, shard.get_ref(), database, &mut addresses, findings);
    }
    if let Some(name) = &raw.proxy.region {
        places.local_region = places.region(name.get_ref(), name.span(), findings);
    }
    if let Some(name) = &raw.database.default_shard {
        places.default_shard = places.shard(name, findings);
    }
    places.scratch_shard = match &raw.scratch.shard {
        Some(name) => places.shard(name, findings),
        None => places.default_shard,
    };
    let (world, centres) = areas::world(raw, &places, folder, findings);
    places.world = world;
    places.distances = distances(raw, &places, &centres, findings);
    sort_nodes(&mut places);
    Some(places)
}

fn regions(raw: &RawConfig, findings: &mut Findings) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for region in &raw.regions {
        let name = &region.get_ref().name;
        check_name(name, findings);
        if regions.iter().any(|other| other.name == *name.get_ref()) {
            findings.report(name.span(), format!("region \"{}\" stands twice", name.get_ref()));
        }
        regions.push(Region { name: name.get_ref().clone(), shards: Vec::new() });
    }
    regions
}

fn check_name(name: &Spanned<String>, findings: &mut Findings) {
    let text = name.get_ref();
    if text.is_empty() || text.len() >= NAME_BYTES_END || text.chars().any(char::is_control) {
        findings.report(name.span(), "must be 1 to 63 bytes long and hold no control character");
    }
}

fn add_shard(
    places: &mut Places,
    raw: &RawShard,
    database: &str,
    addresses: &mut HashMap<(String, u16, String), String>,
    findings: &mut Findings,
) {
    let id = ShardId(places.shards.len() as u16);
    let name = raw.name.get_ref();
    check_name(&raw.name, findings);
    if places.shard_named(name).is_some() {
        findings.report(raw.name.span(), format!("shard \"{name}\" stands twice"));
    }
    let region = places.region(raw.region.get_ref(), raw.region.span(), findings);
    if let Some(region) = places.regions.get_mut(usize::from(region.0)) {
        region.shards.push(id);
    }
    let database = Findings::text(&raw.database, database);
    let count = raw.nodes.get_ref().len();
    if count == 0 || count > NODES_MAX {
        findings.report(raw.nodes.span(), format!("a shard has 1 to {NODES_MAX} nodes, not {count}"));
    }
    let mut nodes = Vec::new();
    for node in raw.nodes.get_ref().iter().take(NODES_MAX) {
        let Some((host, port)) = address(&node.get_ref().address) else {
            findings.report(node.span(), format!("\"{}\" is not host:port", node.get_ref().address));
            continue;
        };
        // Two shards may be two databases of one server; the same database twice is one set of rows counted twice.
        if let Some(other) = addresses.insert((host.clone(), port, database.clone()), name.clone()) {
            let message = format!(
                "{} with database \"{database}\" stands in shard \"{other}\" already",
                node.get_ref().address
            );
            findings.report(node.span(), message);
        }
        let place = match &node.get_ref().region {
            Some(name) => places.region(name, node.span(), findings),
            None => region,
        };
        nodes.push(NodeId(places.nodes.len() as u16));
        let state = Arc::new(NodeState::default());
        places.nodes.push(Node { host, port, shard: id, region: place, retired: false, state });
    }
    places.shards.push(Shard { name: name.clone(), region, database, nodes, timeline: Arc::default() });
}

/// `host:port`, where an IPv6 address stands in brackets.
fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host,
    };
    let bare = !host.is_empty() && (text.starts_with('[') || !host.contains(':'));
    (bare && !host.contains(char::is_whitespace)).then(|| (host.to_ascii_lowercase(), port))
}

/// The file's `[distances]`, both ways, completed by estimates between areas' centres.
fn distances(
    raw: &RawConfig,
    places: &Places,
    centres: &[Option<Centre>],
    findings: &mut Findings,
) -> Option<Vec<Vec<Duration>>> {
    let count = places.regions.len();
    let mut given = vec![vec![None; count]; count];
    for (from, row) in &raw.distances {
        let from_id = places.region(from.get_ref(), from.span(), findings);
        for (to, millis) in row {
            let to_id = places.region(to.get_ref(), to.span(), findings);
            let time = *millis.get_ref();
            if !(0.0..=DISTANCE_MS_MAX).contains(&time) {
                findings.report(millis.span(), format!("must be 0 to {DISTANCE_MS_MAX} milliseconds"));
                continue;
            }
            let time = Duration::from_secs_f64(time / 1000.0);
            let (i, j) = (usize::from(from_id.0), usize::from(to_id.0));
            if given[j][i].is_some_and(|other| other != time) && i != j {
                let pair = format!("from \"{}\" to \"{}\"", to.get_ref(), from.get_ref());
                findings.report(millis.span(), format!("differs from the distance {pair}"));
            }
            given[i][j] = Some(time);
        }
    }
    let estimate =
        |i: usize, j: usize| Some(areas::round_trip(centres.get(i)?.as_ref()?, centres.get(j)?.as_ref()?));
    let distance = |i: usize, j: usize| {
        let known = given[i][j].or(given[j][i]).or_else(|| estimate(i, j));
        if i == j { Duration::ZERO } else { known.unwrap_or(Duration::MAX) }
    };
    let rows: Vec<Vec<Duration>> = (0..count).map(|i| (0..count).map(|j| distance(i, j)).collect()).collect();
    let known = rows.iter().flatten().any(|time| *time != Duration::ZERO && *time != Duration::MAX);
    known.then_some(rows)
}

fn sort_nodes(places: &mut Places) {
    let local = usize::from(places.local_region.0);
    let row = places.distances.as_ref().and_then(|rows| rows.get(local));
    for shard in &mut places.shards {
        shard.nodes.sort_by_key(|id| {
            let region = usize::from(places.nodes[usize::from(id.0)].region.0);
            let distance = row.and_then(|row| row.get(region)).copied().unwrap_or(Duration::MAX);
            (if region == local { Duration::ZERO } else { distance }, id.0)
        });
    }
}
