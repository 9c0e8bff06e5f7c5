//! The tables' placements: each has the keys that it needs and no other.
//!
//! Whether a table or a column exists is not known here: `catalog::check_tables` asks the servers' catalogs.

use std::collections::{HashMap, HashSet};

use toml::Spanned;

use super::super::raw::{RawFunctions, RawPosition, RawRange, RawTable};
use super::places::Places;
use super::{Findings, identifier, keys};
use crate::sql::name::ObjectName;
use crate::topology::ring::{self, Member};
use crate::topology::{
    HashPlacement, Key, KeyRange, KeyType, ListPlacement, NullKey, Placement, PositionColumns,
    RangePlacement, ShardId, ShardSet, TableRule,
};

const SLOTS: usize = 4096;
const VIRTUAL_NODES: usize = 256;
const VIRTUAL_NODES_MAX: usize = 4096;
const WEIGHT_MAX: usize = 1000;
/// Tables in one file.
const TABLES_MAX: usize = 10_000;

pub(super) fn tables(raw: &[Spanned<RawTable>], places: &Places, findings: &mut Findings) -> Vec<TableRule> {
    let mut rules: Vec<TableRule> = Vec::new();
    if let Some(extra) = raw.get(TABLES_MAX) {
        findings.report(extra.span(), format!("more than {TABLES_MAX} tables"));
        return rules;
    }
    let mut names = HashSet::new();
    for table in raw {
        let Some(rule) = Reader { raw: table.get_ref(), places, findings }.rule() else { continue };
        if !names.insert(rule.name.clone()) {
            findings.report(table.get_ref().name.span(), format!("table \"{}\" stands twice", rule.name));
        }
        rules.push(rule);
    }
    rules
}

/// Functions that the operator vouches for.
pub(super) fn trusted_functions(raw: &RawFunctions, findings: &mut Findings) -> HashSet<ObjectName> {
    let mut names = HashSet::new();
    for text in &raw.trusted {
        match qualified(text.get_ref()) {
            Some(name) => drop(names.insert(name)),
            None => {
                let message =
                    format!("\"{}\" is not a function's name, as \"f\" or \"schema.f\"", text.get_ref());
                findings.report(text.span(), message);
            }
        }
    }
    names
}

/// `name` is in schema public, `schema.name` is not.
fn qualified(text: &str) -> Option<ObjectName> {
    match split_name(text) {
        (None, name) => identifier(name).map(|name| ObjectName::qualified("public", name)),
        (Some(schema), name) => {
            identifier(schema).zip(identifier(name)).map(|(schema, name)| ObjectName::qualified(schema, name))
        }
    }
}

struct Reader<'a> {
    raw: &'a RawTable,
    places: &'a Places,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn rule(&mut self) -> Option<TableRule> {
        let name = self.name();
        self.refuse_foreign_keys();
        let placement = self.placement()?;
        let position = self.position();
        if matches!(placement, Placement::Geo) && position.is_none() {
            self.missing("position");
        }
        let null_key = self.null_key();
        let residency = self.residency();
        Some(TableRule { name: name?, placement, position, null_key, residency })
    }

    /// The shards of the regions that are named.
    fn residency(&mut self) -> Option<ShardSet> {
        let names = self.raw.residency.as_ref()?;
        if names.get_ref().is_empty() {
            self.findings.report(names.span(), "names no region");
        }
        let mut shards = ShardSet::EMPTY;
        for name in names.get_ref() {
            let region = self.places.region(name.get_ref(), name.span(), self.findings);
            let own = self.places.regions.get(usize::from(region.0)).map(|region| region.shards.as_slice());
            own.unwrap_or_default().iter().for_each(|shard| shards.insert(*shard));
        }
        Some(shards)
    }

    fn missing(&mut self, key: &str) {
        let placement = self.raw.placement.get_ref();
        self.findings.report(self.raw.placement.span(), format!("placement \"{placement}\" needs {key}"));
    }

    fn name(&mut self) -> Option<ObjectName> {
        let text = self.raw.name.get_ref();
        let name = qualified(text);
        if name.is_none() {
            let message = format!("\"{text}\" is not a table's name, as \"rides\" or \"schema.rides\"");
            self.findings.report(self.raw.name.span(), message);
        }
        name
    }

    /// Keys that belong to another placement would be ignored: they are refused.
    fn refuse_foreign_keys(&mut self) {
        let raw = self.raw;
        let given = [
            ("key", raw.key.as_ref().map(Spanned::span)),
            ("key_type", raw.key_type.as_ref().map(Spanned::span)),
            ("position", raw.position.as_ref().map(Spanned::span)),
            ("null_key", raw.null_key.as_ref().map(Spanned::span)),
            ("slots", raw.slots.as_ref().map(Spanned::span)),
            ("virtual_nodes", raw.virtual_nodes.as_ref().map(Spanned::span)),
            ("weights", raw.weights.as_ref().map(Spanned::span)),
            ("values", raw.values.as_ref().map(Spanned::span)),
            ("otherwise", raw.otherwise.as_ref().map(Spanned::span)),
            ("ranges", raw.ranges.as_ref().map(Spanned::span)),
            ("shard", raw.shard.as_ref().map(Spanned::span)),
        ];
        let placement = raw.placement.get_ref().as_str();
        let allowed: &[&str] = match placement {
            "region" => &["key", "position", "null_key"],
            "geo" => &["position", "null_key"],
            "hash" => &["key", "null_key", "slots", "virtual_nodes", "weights"],
            "list" => &["key", "key_type", "null_key", "values", "otherwise"],
            "range" => &["key", "key_type", "null_key", "ranges"],
            "single" => &["shard"],
            "reference" => &[],
            _ => return,
        };
        for (key, span) in given {
            if let Some(span) = span.filter(|_| !allowed.contains(&key)) {
                self.findings.report(span, format!("placement \"{placement}\" has no {key}"));
            }
        }
    }

    fn placement(&mut self) -> Option<Placement> {
        let placement = match self.raw.placement.get_ref().as_str() {
            "region" => {
                self.demand_one_shard_each();
                Placement::Region { key: self.key()? }
            }
            "geo" => {
                self.demand_one_shard_each();
                Placement::Geo
            }
            "hash" => Placement::Hash(self.hash()?),
            "list" => Placement::List(self.list()?),
            "range" => Placement::Range(self.range()?),
            "reference" => Placement::Reference,
            "single" => Placement::Single(match &self.raw.shard {
                Some(name) => self.places.shard(name, self.findings),
                None => self.places.default_shard,
            }),
            other => {
                let choice = "\"region\", \"geo\", \"hash\", \"list\", \"range\", \"reference\", \"single\"";
                let message = format!("must be one of {choice}, not \"{other}\"");
                self.findings.report(self.raw.placement.span(), message);
                return None;
            }
        };
        Some(placement)
    }

    /// A region's name or area must lead to one shard.
    fn demand_one_shard_each(&mut self) {
        for region in &self.places.regions {
            if region.shards.len() > 1 {
                let message = format!(
                    "placement \"{}\" needs one shard in each region, and region \"{}\" has {}",
                    self.raw.placement.get_ref(),
                    region.name,
                    region.shards.len()
                );
                self.findings.report(self.raw.placement.span(), message);
            }
        }
    }

    fn key(&mut self) -> Option<String> {
        let Some(key) = &self.raw.key else {
            self.missing("key");
            return None;
        };
        self.column(key)
    }

    fn column(&mut self, name: &Spanned<String>) -> Option<String> {
        let column = identifier(name.get_ref());
        if column.is_none() {
            self.findings.report(name.span(), format!("\"{}\" is not a column's name", name.get_ref()));
        }
        column
    }

    fn position(&mut self) -> Option<PositionColumns> {
        let spanned = self.raw.position.as_ref()?;
        let RawPosition { latitude, longitude, geohash } = spanned.get_ref();
        if latitude.is_some() != longitude.is_some() || (latitude.is_none() && geohash.is_none()) {
            let message = "a position is a latitude and a longitude, or a geohash, or all three";
            self.findings.report(spanned.span(), message);
        }
        let mut column = |name: &Option<Spanned<String>>| name.as_ref().and_then(|name| self.column(name));
        let (latitude, longitude, geohash) = (column(latitude), column(longitude), column(geohash));
        Some(PositionColumns { latitude, longitude, geohash })
    }

    fn null_key(&mut self) -> NullKey {
        match &self.raw.null_key {
            Some(name) if name.get_ref() != "refuse" => {
                NullKey::Shard(self.places.shard(name, self.findings))
            }
            _ => NullKey::Refuse,
        }
    }

    fn hash(&mut self) -> Option<HashPlacement> {
        let slots = self.findings.count(&self.raw.slots, SLOTS, (1, ring::SLOTS_MAX));
        if let Some(given) = &self.raw.slots {
            let shards = self.places.shards.len();
            if !slots.is_power_of_two() || slots < shards {
                let message = format!("must be a power of two, and not fewer than the {shards} shards");
                self.findings.report(given.span(), message);
            }
        }
        let virtual_nodes =
            self.findings.count(&self.raw.virtual_nodes, VIRTUAL_NODES, (1, VIRTUAL_NODES_MAX));
        let weights = self.weights();
        let weight = |shard: ShardId| weights.get(&shard).copied().unwrap_or(1);
        let shards = self.places.shards.iter().enumerate();
        let members: Vec<Member<'_>> = shards
            .map(|(i, shard)| {
                let id = ShardId(i as u16);
                Member { shard: id, name: &shard.name, points: virtual_nodes * weight(id) }
            })
            .collect();
        let points: usize = members.iter().map(|member| member.points).sum();
        if points == 0 || points > ring::POINTS_MAX {
            let message = format!("the ring has {points} points, it must have 1 to {}", ring::POINTS_MAX);
            self.findings.report(self.raw.placement.span(), message);
            return None;
        }
        let slots = ring::assign_slots(&members, slots).into();
        Some(HashPlacement { key: self.key()?, slots })
    }

    fn weights(&mut self) -> HashMap<ShardId, usize> {
        let given = self.raw.weights.as_ref().map(Spanned::get_ref);
        given
            .into_iter()
            .flatten()
            .map(|(name, weight)| {
                let shard = self.places.shard(name, self.findings);
                (shard, self.findings.count(&Some(weight.clone()), 1, (0, WEIGHT_MAX)))
            })
            .collect()
    }

    fn list(&mut self) -> Option<ListPlacement> {
        let expected = keys::key_type(&self.raw.key_type, self.findings);
        let Some(given) = &self.raw.values else {
            self.missing("values");
            return None;
        };
        let mut values: HashMap<Key, ShardId> = HashMap::new();
        for (name, keys) in given.get_ref() {
            let shard = self.places.shard(name, self.findings);
            for value in keys {
                let Some(key) = keys::key(value, expected, self.findings) else { continue };
                if values.keys().next().is_some_and(|other| !keys::same_kind(other, &key)) {
                    self.findings.report(value.span(), "keys of one table must be of one type");
                }
                if values.insert(key, shard).is_some() {
                    self.findings.report(value.span(), format!("key {} stands twice", value.get_ref()));
                }
            }
        }
        let otherwise = self.raw.otherwise.as_ref().map(|name| self.places.shard(name, self.findings));
        Some(ListPlacement { key: self.key()?, values, otherwise })
    }

    fn range(&mut self) -> Option<RangePlacement> {
        let expected = keys::key_type(&self.raw.key_type, self.findings);
        let Some(given) = self.raw.ranges.as_ref().filter(|ranges| !ranges.get_ref().is_empty()) else {
            self.missing("ranges");
            return None;
        };
        let mut ranges: Vec<(KeyRange, std::ops::Range<usize>)> = Vec::new();
        for spanned in given.get_ref() {
            let range = self.key_range(spanned, expected)?;
            ranges.push((range, spanned.span()));
        }
        ranges.sort_by(|(one, _), (other, _)| one.from.cmp(&other.from));
        let bounds: Vec<&Key> =
            ranges.iter().flat_map(|(range, _)| [&range.from, &range.to]).flatten().collect();
        if bounds.windows(2).any(|pair| !keys::same_kind(pair[0], pair[1])) {
            self.findings.report(given.span(), "keys of one table must be of one type");
        }
        for pair in ranges.windows(2) {
            let (low, high) = (&pair[0].0, &pair[1].0);
            // `from` None sorts first, so two of them are neighbours.
            let apart = low.to.is_some() && high.from.is_some() && low.to <= high.from;
            if !apart {
                self.findings.report(pair[1].1.clone(), "overlaps another range");
            }
        }
        let ranges = ranges.into_iter().map(|(range, _)| range).collect();
        Some(RangePlacement { key: self.key()?, ranges })
    }

    fn key_range(&mut self, spanned: &Spanned<RawRange>, expected: Option<KeyType>) -> Option<KeyRange> {
        let raw = spanned.get_ref();
        let mut bound = |value: &Option<Spanned<toml::Value>>| match value {
            Some(value) => keys::key(value, expected, self.findings).map(Some),
            None => Some(None),
        };
        let (from, to) = (bound(&raw.from)?, bound(&raw.to)?);
        if let (Some(from), Some(to)) = (&from, &to)
            && from >= to
        {
            self.findings.report(spanned.span(), "is empty: from must be below to");
        }
        let shard = self.places.shard(&raw.shard, self.findings);
        Some(KeyRange { from, to, shard })
    }
}

/// At the dot that is not in quotes.
fn split_name(text: &str) -> (Option<&str>, &str) {
    let mut quoted = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'.' if !quoted => return (Some(&text[..index]), &text[index + 1..]),
            _ => {}
        }
    }
    (None, text)
}
