//! A block's filter as seen by one sharded relation: what remains of it that can tell shards apart.
//!
//! Compiled once per shape by `make`; evaluated per execution by `route`. Everything that says nothing about this
//! relation's key or position becomes [`Test::Any`].
//!
//! ```text
//! WHERE d.driver_id = r.driver_id AND d.region = r.region AND d.region = $1 AND r.status = 'x'
//!     seen by rides:   And [ key = $1 ]        the key's class is {r.region, d.region}
//! ```
//!
//! Invariants:
//! 1. A row of the relation that satisfies the filter satisfies its test.
//! 2. A column stands for the key only if equality with it is equality of keys: same key type, no nondeterministic
//!    collation, no cast that could change a value, no relation whose rows may be missing on one side only.
//! 3. Order is used only where the server's order is ours.

use crate::sql::facts::{ColumnRef, Comparison, Predicate, Value};
use crate::topology::KeyType;

use super::scope::{self, Found, Scope};
use super::value::oid;

/// What a row must pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Proves nothing.
    Any,
    /// No row passes.
    Never,
    And(Vec<Test>),
    Or(Vec<Test>),
    Key(KeyTest),
    Position(PositionTest),
}

/// A condition on the key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KeyTest {
    Compare {
        comparison: Comparison,
        value: Value,
    },
    In(Vec<Value>),
    EqualAny(Value),
    /// LIKE on a text key.
    Like(Value),
    StartsWith(Value),
    IsNull,
}

/// A condition on a column that tells where a row is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PositionTest {
    pub axis: Axis,
    pub condition: PositionCondition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Latitude,
    Longitude,
    Geohash,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum PositionCondition {
    Compare(Comparison, Value),
    In(Vec<Value>),
    EqualAny(Value),
    Like(Value),
    StartsWith(Value),
}

/// Which columns of a scope carry one relation's key and position.
#[derive(Debug)]
pub(super) struct Carriers<'a> {
    member: usize,
    key: Option<KeyColumn<'a>>,
    latitude: Option<&'a str>,
    longitude: Option<&'a str>,
    geohash: Option<&'a str>,
    geohash_ordered: bool,
}

/// The key column with the columns that are known to equal it.
#[derive(Debug, Clone)]
struct KeyColumn<'a> {
    key_type: KeyType,
    ordered: bool,
    class: Class<'a>,
}

impl<'a> Carriers<'a> {
    /// Of the scope's member with that index, which must be sharded.
    pub fn new(scope: &Scope<'a>, member: usize) -> Option<Self> {
        let rule = scope.members.get(member)?.rule()?;
        let column = |name: &str| scope.column_of(member, name);
        let key = rule.key().and_then(column).and_then(|column| {
            Some(KeyColumn {
                key_type: scope::key_type(column)?,
                ordered: scope::is_ordered_as_keys(column),
                class: vec![(member, column.name.as_str())],
            })
        });
        let position = rule.position.as_ref();
        let coordinate = |name: Option<&String>| {
            name.and_then(|name| column(name)).filter(|c| c.type_oid == oid::FLOAT8).map(|c| c.name.as_str())
        };
        let geohash = position
            .and_then(|p| p.geohash.as_ref())
            .and_then(|name| column(name))
            .filter(|c| matches!(c.type_oid, oid::TEXT | oid::VARCHAR) && scope::key_type(c).is_some());
        Some(Self {
            member,
            key,
            latitude: coordinate(position.and_then(|p| p.latitude.as_ref())),
            longitude: coordinate(position.and_then(|p| p.longitude.as_ref())),
            geohash: geohash.map(|c| c.name.as_str()),
            geohash_ordered: geohash.is_some_and(scope::is_ordered_as_keys),
        })
    }

    /// Of a column alone, whose values are keys of another level's relation.
    pub fn of_column(found: Found<'a>, key_type: KeyType) -> Self {
        let name = found.column.name.as_str();
        let ordered = scope::is_ordered_as_keys(found.column);
        let key = KeyColumn { key_type, ordered, class: vec![(found.member, name)] };
        let (latitude, longitude, geohash) = (None, None, None);
        Self { member: found.member, key: Some(key), latitude, longitude, geohash, geohash_ordered: false }
    }

    /// Columns of other levels that the filter has equal to the key, in every row that satisfies it.
    pub fn ties<'p>(&self, scope: &Scope<'a>, filter: &'p Predicate) -> Vec<&'p ColumnRef> {
        let Some(key) = &self.key else { return Vec::new() };
        let parts = std::slice::from_ref(filter);
        let class = Compiler { scope, carriers: self }.widened(parts, &key.class);
        let in_class = |name: &ColumnRef| {
            let found = scope.resolve(name).filter(|_| name.cast.is_none());
            found.is_some_and(|found| class.contains(&(found.member, found.column.name.as_str())))
        };
        let mut ties = Vec::new();
        equalities(parts, &mut |one, other| {
            if in_class(one) {
                ties.push(other);
            } else if in_class(other) {
                ties.push(one);
            }
        });
        ties
    }

    /// The key type of the placement's column, where it routes.
    pub fn key_type(&self) -> Option<KeyType> {
        self.key.as_ref().map(|key| key.key_type)
    }
}

/// What the filter says about the carriers' relation.
pub(super) fn compile<'a>(scope: &Scope<'a>, carriers: &Carriers<'a>, filter: &Predicate) -> Test {
    let class = carriers.key.as_ref().map(|key| key.class.clone()).unwrap_or_default();
    Compiler { scope, carriers }.test(filter, &class)
}

struct Compiler<'s, 'a> {
    scope: &'s Scope<'a>,
    carriers: &'s Carriers<'a>,
}

/// A column by its member's index and its name.
type Carrier<'a> = (usize, &'a str);
type Class<'a> = Vec<Carrier<'a>>;

impl<'a> Compiler<'_, 'a> {
    fn test(&self, predicate: &Predicate, class: &Class<'a>) -> Test {
        match predicate {
            Predicate::Unknown | Predicate::ColumnsEqual(..) => Test::Any,
            Predicate::Constant(true) => Test::Any,
            Predicate::Constant(false) => Test::Never,
            Predicate::And(parts) => {
                let class = self.widened(parts, class);
                conjunction(parts.iter().map(|part| self.test(part, &class)))
            }
            Predicate::Or(parts) => disjunction(parts.iter().map(|part| self.test(part, class))),
            Predicate::Compare { column, comparison, value } => {
                self.compare(column, *comparison, value, class)
            }
            Predicate::In { column, values } => self.on(
                column,
                class,
                || KeyTest::In(values.clone()),
                |_| Some(PositionCondition::In(values.clone())),
            ),
            Predicate::EqualAny { column, array } => self.on(
                column,
                class,
                || KeyTest::EqualAny(array.clone()),
                |_| Some(PositionCondition::EqualAny(array.clone())),
            ),
            Predicate::Like { column, pattern } => self.pattern(
                column,
                class,
                || KeyTest::Like(pattern.clone()),
                || PositionCondition::Like(pattern.clone()),
            ),
            Predicate::StartsWith { column, prefix } => self.pattern(
                column,
                class,
                || KeyTest::StartsWith(prefix.clone()),
                || PositionCondition::StartsWith(prefix.clone()),
            ),
            Predicate::IsNull { column } => self.is_null(column),
        }
    }

    fn compare(&self, column: &ColumnRef, comparison: Comparison, value: &Value, class: &Class<'a>) -> Test {
        let equal = comparison == Comparison::Equal;
        let key_ordered = self.carriers.key.as_ref().is_some_and(|key| key.ordered);
        let test = self.on(
            column,
            class,
            || KeyTest::Compare { comparison, value: value.clone() },
            |axis| {
                let usable = equal || axis != Axis::Geohash || self.carriers.geohash_ordered;
                usable.then(|| PositionCondition::Compare(comparison, value.clone()))
            },
        );
        let usable = equal || (key_ordered && self.is_own_key(column));
        match test {
            Test::Key(_) if !usable => Test::Any,
            test => test,
        }
    }

    /// LIKE and prefixes: only on text, where bytes are what is compared.
    fn pattern(
        &self,
        column: &ColumnRef,
        class: &Class<'a>,
        key: impl FnOnce() -> KeyTest,
        position: impl FnOnce() -> PositionCondition,
    ) -> Test {
        let text_key = matches!(self.carriers.key_type(), Some(KeyType::Text | KeyType::Varchar(_)));
        let test = self.on(column, class, key, |axis| (axis == Axis::Geohash).then(position));
        match test {
            Test::Key(_) if !text_key => Test::Any,
            test => test,
        }
    }

    /// A null key. A relation whose rows may be missing has nulls that are in no row of it.
    fn is_null(&self, column: &ColumnRef) -> Test {
        let nullable = self.scope.members.get(self.carriers.member).is_none_or(|m| m.relation.nullable);
        if nullable || column.cast.is_some() || !self.is_own_key(column) {
            return Test::Any;
        }
        Test::Key(KeyTest::IsNull)
    }

    /// The test of a column that carries the key, or the position.
    fn on(
        &self,
        name: &ColumnRef,
        class: &Class<'a>,
        key: impl FnOnce() -> KeyTest,
        position: impl FnOnce(Axis) -> Option<PositionCondition>,
    ) -> Test {
        let Some(found) = self.scope.resolve(name) else { return Test::Any };
        let column = found.column.name.as_str();
        if let Some(key_column) = &self.carriers.key
            && class.iter().any(|(member, name)| *member == found.member && *name == column)
        {
            return if is_transparent(name, key_column.key_type) { Test::Key(key()) } else { Test::Any };
        }
        if found.member != self.carriers.member || name.cast.is_some() {
            return Test::Any;
        }
        let axis = if self.carriers.latitude == Some(column) {
            Axis::Latitude
        } else if self.carriers.longitude == Some(column) {
            Axis::Longitude
        } else if self.carriers.geohash == Some(column) {
            Axis::Geohash
        } else {
            return Test::Any;
        };
        position(axis).map_or(Test::Any, |condition| Test::Position(PositionTest { axis, condition }))
    }

    fn is_own_key(&self, name: &ColumnRef) -> bool {
        let own = self.carriers.key.as_ref().and_then(|key| key.class.first().copied());
        self.scope.resolve(name).is_some_and(|found| own == Some((found.member, found.column.name.as_str())))
    }

    /// The class with what the conjunction's equalities add to it.
    fn widened(&self, parts: &[Predicate], class: &Class<'a>) -> Class<'a> {
        let Some(key) = &self.carriers.key else { return Vec::new() };
        let mut pairs = Vec::new();
        self.gather(parts, key.key_type, &mut pairs);
        let mut class = class.clone();
        loop {
            let before = class.len();
            for (one, other) in &pairs {
                match (class.contains(one), class.contains(other)) {
                    (true, false) => class.push(*other),
                    (false, true) => class.push(*one),
                    _ => {}
                }
            }
            if class.len() == before {
                return class;
            }
        }
    }

    fn gather(&self, parts: &[Predicate], key_type: KeyType, pairs: &mut Vec<(Carrier<'a>, Carrier<'a>)>) {
        equalities(parts, &mut |one, other| {
            if let (Some(one), Some(other)) = (self.member_of(one, key_type), self.member_of(other, key_type))
            {
                pairs.push((one, other));
            }
        });
    }

    fn member_of(&self, name: &ColumnRef, key_type: KeyType) -> Option<Carrier<'a>> {
        let Found { member, column } = self.scope.resolve(name)?;
        same_values(scope::key_type(column)?, key_type).then_some((member, column.name.as_str()))
    }
}

/// The equalities of columns as they stand, without a cast, in a conjunction.
fn equalities<'p>(parts: &'p [Predicate], each: &mut dyn FnMut(&'p ColumnRef, &'p ColumnRef)) {
    for part in parts {
        match part {
            Predicate::And(inner) => equalities(inner, each),
            Predicate::ColumnsEqual(one, other) if one.cast.is_none() && other.cast.is_none() => {
                each(one, other)
            }
            _ => {}
        }
    }
}

/// Types whose equality is that of their keys: a length changes nothing.
pub(super) fn same_values(one: KeyType, other: KeyType) -> bool {
    let text = |key_type| matches!(key_type, KeyType::Text | KeyType::Varchar(_));
    one == other || (text(one) && text(other))
}

/// Whether the column may be looked at through its cast: `varchar::text`, and integers among each other.
fn is_transparent(name: &ColumnRef, key_type: KeyType) -> bool {
    let Some(cast) = &name.cast else { return true };
    if cast.schema.as_deref().is_some_and(|schema| schema != "pg_catalog") {
        return false;
    }
    match key_type {
        KeyType::Text | KeyType::Varchar(_) => cast.name == "text",
        KeyType::SmallInt | KeyType::Integer | KeyType::BigInt => {
            matches!(cast.name.as_str(), "bigint" | "int8")
        }
        _ => false,
    }
}

pub(super) fn conjunction(tests: impl Iterator<Item = Test>) -> Test {
    let mut kept = Vec::new();
    for test in tests {
        match test {
            Test::Any => {}
            Test::Never => return Test::Never,
            Test::And(inner) => kept.extend(inner),
            test => kept.push(test),
        }
    }
    match kept.len() {
        0 => Test::Any,
        1 => kept.pop().unwrap_or(Test::Any),
        _ => Test::And(kept),
    }
}

fn disjunction(tests: impl Iterator<Item = Test>) -> Test {
    let mut kept = Vec::new();
    for test in tests {
        match test {
            Test::Any => return Test::Any,
            Test::Never => {}
            Test::Or(inner) => kept.extend(inner),
            test => kept.push(test),
        }
    }
    match kept.len() {
        0 => Test::Never,
        1 => kept.pop().unwrap_or(Test::Any),
        _ => Test::Or(kept),
    }
}
