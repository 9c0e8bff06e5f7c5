//! The numbers (OIDs) that one shard gives to types and tables of the users' own, beside those of the default shard.
//!
//! Clients see one database: whatever they are told, and whatever they declare, are the numbers of the default shard.
//! Made by the control plane at each load, from the names; `execute` translates what passes.
//!
//! ```text
//!   default shard  16402 mood      us-west  16390 mood      to_shard 16402 ─▶ 16390, to_default 16390 ─▶ 16402
//! ```
//!
//! Invariants:
//! 1. Two numbers are paired only if they stand for objects of the same schema and name.
//! 2. PostgreSQL's own objects have the same numbers everywhere and are never translated.
//! 3. A number that is not known here is said to be unknown, never passed on.
//!
//! Not here: the messages that carry numbers (`execute::numbers`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::merge::types::USER_TYPES_FROM;
use crate::sql::name::ObjectName;

/// `record`, `record[]` and `anyarray`: PostgreSQL's own types whose binary values name the types inside.
const RECORD: u32 = 2249;
const RECORD_ARRAY: u32 = 2287;
const ANY_ARRAY: u32 = 2277;

/// What the binary form of a type is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Bytes that name no type.
    Plain,
    /// Names the type of its elements, and each of them may name others.
    Array,
    /// Names the type of each of its fields.
    Record,
    /// Is that of another type.
    Domain(u32),
    /// Has values of another type in it.
    Range(u32),
}

/// What one server calls its users' types and tables.
#[derive(Debug, Default)]
pub struct Objects {
    pub types: HashMap<u32, ObjectName>,
    /// Of those types; arrays with the type of their elements.
    pub shapes: HashMap<u32, (Shape, u32)>,
    pub relations: HashMap<u32, ObjectName>,
}

/// The numbers of one shard that are not those of the default shard.
#[derive(Debug, Default)]
pub struct Numbers {
    to_shard: HashMap<u32, u32>,
    to_default: HashMap<u32, u32>,
    tables_to_default: HashMap<u32, u32>,
    /// By the shard's numbers.
    shapes: HashMap<u32, (Shape, u32)>,
}

impl Numbers {
    /// None where the two call everything the same. A shard that was never read knows no number.
    pub fn between(shard: Option<&Objects>, default: &Objects) -> Option<Arc<Self>> {
        let Some(shard) = shard else { return Some(Arc::default()) };
        if shard.types == default.types && shard.relations == default.relations {
            return None;
        }
        let to_default = pairs(&shard.types, &default.types);
        Some(Arc::new(Self {
            to_shard: to_default.iter().map(|(shard, default)| (*default, *shard)).collect(),
            to_default,
            tables_to_default: pairs(&shard.relations, &default.relations),
            shapes: shard.shapes.clone(),
        }))
    }

    /// The shard's number of a type that the default shard calls so.
    pub fn type_to_shard(&self, number: u32) -> Option<u32> {
        if number < USER_TYPES_FROM { Some(number) } else { self.to_shard.get(&number).copied() }
    }

    /// The default shard's number of a type that the shard calls so.
    pub fn type_to_default(&self, number: u32) -> Option<u32> {
        if number < USER_TYPES_FROM { Some(number) } else { self.to_default.get(&number).copied() }
    }

    /// As for types; 0, which stands for no table, where the default shard has none of that name.
    pub fn table_to_default(&self, number: u32) -> u32 {
        match number < USER_TYPES_FROM {
            true => number,
            false => self.tables_to_default.get(&number).copied().unwrap_or(0),
        }
    }

    /// The shape of a type by the shard's number.
    pub fn shape(&self, number: u32) -> Shape {
        match number {
            RECORD => Shape::Record,
            RECORD_ARRAY | ANY_ARRAY => Shape::Array,
            _ => self.shapes.get(&number).map_or(Shape::Plain, |(shape, _)| *shape),
        }
    }

    /// Whether binary values of this type may name types of the users' own.
    pub fn carries(&self, number: u32) -> bool {
        match self.shape(number) {
            Shape::Plain => false,
            Shape::Record => true,
            Shape::Array => match self.shapes.get(&number) {
                Some((_, element)) => *element >= USER_TYPES_FROM || self.carries(*element),
                None => true,
            },
            Shape::Domain(base) | Shape::Range(base) => self.carries(base),
        }
    }
}

/// Numbers of the same names.
fn pairs(shard: &HashMap<u32, ObjectName>, default: &HashMap<u32, ObjectName>) -> HashMap<u32, u32> {
    let named: HashMap<&ObjectName, u32> = default.iter().map(|(number, name)| (name, *number)).collect();
    let user = shard.iter().filter(|(number, _)| **number >= USER_TYPES_FROM);
    user.filter_map(|(number, name)| Some((*number, *named.get(name)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(types: &[(u32, &str)]) -> Objects {
        let types = types.iter().map(|(number, name)| (*number, ObjectName::qualified("public", *name)));
        Objects { types: types.collect(), ..Objects::default() }
    }

    #[test]
    fn numbers_are_paired_by_name() {
        let (default, shard) =
            (objects(&[(20000, "a"), (20001, "b")]), objects(&[(20001, "a"), (20005, "c")]));
        let numbers = Numbers::between(Some(&shard), &default).expect("they differ");
        assert_eq!(numbers.type_to_shard(20000), Some(20001));
        assert_eq!(numbers.type_to_default(20001), Some(20000));
        assert_eq!((numbers.type_to_shard(20001), numbers.type_to_default(20005)), (None, None));
        assert_eq!((numbers.type_to_shard(23), numbers.type_to_default(23)), (Some(23), Some(23)));
    }

    #[test]
    fn equal_numbers_need_no_translation_and_an_unread_shard_has_none() {
        let default = objects(&[(20000, "a")]);
        assert!(Numbers::between(Some(&objects(&[(20000, "a")])), &default).is_none());
        let unread = Numbers::between(None, &default).expect("nothing is known");
        assert_eq!(unread.type_to_shard(20000), None);
    }
}
