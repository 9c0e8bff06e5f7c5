//! One sharded relation of a statement, ready to be asked for its shards: its rule, and its test from `predicate`.
//!
//! Made once per shape; [`Keyed::shards`] runs per execution and allocates nothing for region keys and positions.
//!
//! Bounds on position are gathered over a conjunction and carried into the branches of its ORs, because only together
//! do they name a place:
//!
//! ```text
//! lat >= 40 AND lat < 41 AND (lon < -100 OR lon BETWEEN -75 AND -73)
//!     Or: touching(40..41 × ..-100)  ∪  touching(40..41 × -75..-73)
//! ```
//!
//! Invariants:
//! 1. The set holds every shard that may have a row of the relation that satisfies the block's filter.
//! 2. A bound on one coordinate narrows alone, because a row with only one coordinate is never stored.
//! 3. A comparison with NULL is never true: it leaves no shard.

use crate::geo::Window;
use crate::sql::arguments::Arguments;
use crate::sql::facts::{Comparison, Value};
use crate::topology::{Key, KeyType, ShardSet, TableRule, Topology};

use super::place;
use super::predicate::{Axis, KeyTest, PositionCondition, PositionTest, Test};
use super::value::{self, Datum, Elements};

/// A sharded relation with what the filter says about it.
#[derive(Debug, Clone)]
pub(super) struct Keyed {
    /// As the statement calls it.
    pub name: String,
    pub rule: TableRule,
    pub key_type: Option<KeyType>,
    pub test: Test,
    /// A row of it stands behind every row of the outermost SELECT.
    pub leads: bool,
}

/// What a conjunction says about position so far.
#[derive(Debug, Clone, Copy)]
struct Place {
    coordinates: Window,
    geohash: Window,
    has_coordinate: bool,
    has_geohash: bool,
}

/// What a condition did to a [`Place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrowing {
    Narrowed,
    /// Not understood.
    Nothing,
    /// Never true.
    Never,
}

impl Keyed {
    /// The shards that may hold rows that satisfy the filter.
    pub fn shards(&self, topology: &Topology, arguments: &Arguments<'_>) -> ShardSet {
        Evaluation { keyed: self, topology, arguments }.test(&self.test, &Place::everywhere())
    }
}

struct Evaluation<'e, 'a> {
    keyed: &'e Keyed,
    topology: &'e Topology,
    arguments: &'e Arguments<'a>,
}

impl<'a> Evaluation<'_, 'a> {
    fn test(&self, test: &Test, place: &Place) -> ShardSet {
        match test {
            Test::Any => self.all(),
            Test::Never => ShardSet::EMPTY,
            Test::And(parts) => self.conjunction(parts, place),
            Test::Or(parts) => {
                parts.iter().map(|part| self.test(part, place)).fold(ShardSet::EMPTY, ShardSet::union)
            }
            Test::Key(test) => self.key(test),
            Test::Position(test) => self.position(test, place),
        }
    }

    fn conjunction(&self, parts: &[Test], outer: &Place) -> ShardSet {
        let mut place = *outer;
        let mut narrowed = false;
        for part in parts {
            if let Test::Position(test) = part {
                match self.narrow(test, &mut place) {
                    Narrowing::Narrowed => narrowed = true,
                    Narrowing::Nothing => {}
                    Narrowing::Never => return ShardSet::EMPTY,
                }
            }
        }
        let mut shards = if narrowed { self.touching(&place) } else { self.all() };
        for part in parts {
            let single = matches!(part, Test::Position(test) if test.condition.is_single());
            if !single {
                shards = shards.intersection(self.test(part, &place));
            }
        }
        shards
    }

    fn all(&self) -> ShardSet {
        self.topology.all_shards()
    }

    fn touching(&self, place: &Place) -> ShardSet {
        let window = match (place.has_coordinate, place.has_geohash) {
            (false, false) => return self.all(),
            (true, false) => place.coordinates,
            (false, true) => place.geohash,
            (true, true) => {
                let mut both = place.coordinates;
                both.narrow(&place.geohash);
                both
            }
        };
        place::shards_touching(self.topology, &self.keyed.rule, &window)
    }

    fn position(&self, test: &PositionTest, outer: &Place) -> ShardSet {
        let one = |datum: Datum<'_>| {
            let mut place = *outer;
            match place.compare(test.axis, Comparison::Equal, &datum) {
                Narrowing::Narrowed => self.touching(&place),
                Narrowing::Nothing => self.all(),
                Narrowing::Never => ShardSet::EMPTY,
            }
        };
        match &test.condition {
            PositionCondition::In(values) => self.union_of(values, one),
            PositionCondition::EqualAny(array) => self.union_of_array(array, one),
            _ => {
                let mut place = *outer;
                match self.narrow(test, &mut place) {
                    Narrowing::Narrowed => self.touching(&place),
                    Narrowing::Nothing => self.all(),
                    Narrowing::Never => ShardSet::EMPTY,
                }
            }
        }
    }

    /// Narrows by a condition that has one window; the others are left to [`Self::position`].
    fn narrow(&self, test: &PositionTest, place: &mut Place) -> Narrowing {
        match &test.condition {
            PositionCondition::Compare(comparison, value) => {
                place.compare(test.axis, *comparison, &value::datum(value, self.arguments))
            }
            PositionCondition::Like(pattern) => {
                let pattern = value::datum(pattern, self.arguments);
                place.starts_with(&pattern, |text| like_prefix(text).0)
            }
            PositionCondition::StartsWith(prefix) => {
                let prefix = value::datum(prefix, self.arguments);
                place.starts_with(&prefix, |text| text)
            }
            PositionCondition::In(_) | PositionCondition::EqualAny(_) => Narrowing::Nothing,
        }
    }

    fn key(&self, test: &KeyTest) -> ShardSet {
        match test {
            KeyTest::Compare { comparison: Comparison::Equal, value } => {
                self.with_key(value::datum(value, self.arguments))
            }
            KeyTest::Compare { comparison, value } => {
                let datum = value::datum(value, self.arguments);
                match (&datum, self.decode(&datum)) {
                    (Datum::Null, _) => ShardSet::EMPTY,
                    (_, Some(key)) => {
                        place::shards_comparing(self.topology, &self.keyed.rule, *comparison, &key)
                    }
                    (_, None) => self.all(),
                }
            }
            KeyTest::In(values) => self.union_of(values, |datum| self.with_key(datum)),
            KeyTest::EqualAny(array) => self.union_of_array(array, |datum| self.with_key(datum)),
            KeyTest::Like(pattern) => {
                let pattern = value::datum(pattern, self.arguments);
                self.with_prefix(&pattern, like_prefix)
            }
            KeyTest::StartsWith(prefix) => {
                let prefix = value::datum(prefix, self.arguments);
                self.with_prefix(&prefix, |text| (text, false))
            }
            KeyTest::IsNull => place::shards_of_null(&self.keyed.rule),
        }
    }

    fn decode(&self, datum: &Datum<'_>) -> Option<Key> {
        datum.key(self.keyed.key_type?)
    }

    fn with_key(&self, datum: Datum<'_>) -> ShardSet {
        if datum == Datum::Null {
            return ShardSet::EMPTY;
        }
        if let (Some(text), true) = (datum.text(), self.keyed.is_by_region_text()) {
            return place::shards_of_region_named(self.topology, text);
        }
        match self.decode(&datum) {
            Some(key) => place::shards_of_key(self.topology, &self.keyed.rule, &key),
            None => self.all(),
        }
    }

    fn with_prefix<'t>(
        &self,
        datum: &'t Datum<'_>,
        prefix: impl FnOnce(&'t str) -> (&'t str, bool),
    ) -> ShardSet {
        if *datum == Datum::Null {
            return ShardSet::EMPTY;
        }
        let Some(text) = datum.text() else { return self.all() };
        match prefix(text) {
            (whole, true) => self.with_key(Datum::Text { text: whole.into(), of: 0 }),
            (prefix, false) => place::shards_starting_with(self.topology, &self.keyed.rule, prefix),
        }
    }

    fn union_of(&self, values: &[Value], shards: impl Fn(Datum<'a>) -> ShardSet) -> ShardSet {
        if !value::infer_from_the_column(values, self.arguments) {
            return self.all();
        }
        let mut union = ShardSet::EMPTY;
        for value in values {
            union = union.union(shards(value::datum(value, self.arguments)));
        }
        union
    }

    fn union_of_array(&self, array: &Value, shards: impl Fn(Datum<'_>) -> ShardSet) -> ShardSet {
        let mut union = ShardSet::EMPTY;
        match value::each_element(array, self.arguments, |datum| union = union.union(shards(datum))) {
            Elements::Visited => union,
            Elements::Null => ShardSet::EMPTY,
            Elements::Unsure => self.all(),
        }
    }
}

impl Keyed {
    /// The key is text and names a region: no key needs to be made to look it up.
    fn is_by_region_text(&self) -> bool {
        matches!(self.rule.placement, crate::topology::Placement::Region { .. })
            && matches!(self.key_type, Some(KeyType::Text | KeyType::Varchar(_)))
    }
}

impl PositionCondition {
    /// Whether it has one window, which a conjunction can take in.
    fn is_single(&self) -> bool {
        !matches!(self, Self::In(_) | Self::EqualAny(_))
    }
}

impl Place {
    const fn everywhere() -> Self {
        Self {
            coordinates: Window::everywhere(),
            geohash: Window::everywhere(),
            has_coordinate: false,
            has_geohash: false,
        }
    }

    fn compare(&mut self, axis: Axis, comparison: Comparison, datum: &Datum<'_>) -> Narrowing {
        if *datum == Datum::Null {
            return Narrowing::Never;
        }
        if axis == Axis::Geohash {
            let Some(text) = datum.text() else { return Narrowing::Nothing };
            return self.compare_geohash(comparison, text);
        }
        let Some(bound) = datum.coordinate() else { return Narrowing::Nothing };
        let low = matches!(comparison, Comparison::Equal | Comparison::Greater | Comparison::GreaterOrEqual);
        let high = matches!(comparison, Comparison::Equal | Comparison::Less | Comparison::LessOrEqual);
        self.has_coordinate = true;
        match axis {
            Axis::Latitude => {
                if low {
                    self.coordinates.latitude_at_least(bound);
                }
                if high {
                    self.coordinates.latitude_at_most(bound);
                }
            }
            Axis::Longitude | Axis::Geohash => {
                if low {
                    self.coordinates.longitude_at_least(bound);
                }
                if high {
                    self.coordinates.longitude_at_most(bound);
                }
            }
        }
        Narrowing::Narrowed
    }

    fn compare_geohash(&mut self, comparison: Comparison, text: &str) -> Narrowing {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        // The empty text is a geohash too, below all others, and holds every position: only a lower bound excludes it.
        let bounded_below =
            !matches!(comparison, Comparison::Less | Comparison::LessOrEqual) && !text.is_empty();
        self.has_geohash |= bounded_below;
        match comparison {
            Comparison::Equal => self.geohash.geohash_equals(text),
            Comparison::Less => self.geohash.geohash_between(Unbounded, Excluded(text)),
            Comparison::LessOrEqual => self.geohash.geohash_between(Unbounded, Included(text)),
            Comparison::Greater => self.geohash.geohash_between(Excluded(text), Unbounded),
            Comparison::GreaterOrEqual => self.geohash.geohash_between(Included(text), Unbounded),
        }
        Narrowing::Narrowed
    }

    fn starts_with<'t>(
        &mut self,
        datum: &'t Datum<'_>,
        prefix: impl FnOnce(&'t str) -> &'t str,
    ) -> Narrowing {
        if *datum == Datum::Null {
            return Narrowing::Never;
        }
        let Some(text) = datum.text() else { return Narrowing::Nothing };
        let prefix = prefix(text);
        self.has_geohash |= !prefix.is_empty();
        self.geohash.geohash_starts_with(prefix);
        Narrowing::Narrowed
    }
}

/// What a LIKE pattern demands of the beginning, and whether that is the whole text.
fn like_prefix(pattern: &str) -> (&str, bool) {
    match pattern.find(['%', '_', '\\']) {
        Some(end) => (pattern.get(..end).unwrap_or(""), false),
        None => (pattern, true),
    }
}
