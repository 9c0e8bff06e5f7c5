//! The relations of one query level and the columns that names in it mean.
//!
//! Made by `make` for each block; asked by `predicate` for the columns of conditions.
//!
//! Invariants:
//! 1. A name resolves to a column only where PostgreSQL would resolve it to the same column or report an error.
//! 2. Columns of a relation that is renamed by a column list, or whose columns are not known, resolve to nothing.

use crate::catalog::{Collation, Column, RelationInfo};
use crate::sql::facts::{Block, ColumnRef, Relation};
use crate::sql::name::ObjectName;
use crate::topology::{KeyType, TableRule};

use super::action::PlanningContext;
use super::home::{self, Home};
use super::value;

/// A relation in its block, with its home.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub relation: &'a Relation,
    pub home: Home<'a>,
}

/// One query level: the target of a write (if any) first, then what FROM names.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub members: Vec<Member<'a>>,
    pub block: &'a Block,
    /// What a comparison means is not certain.
    unsure: bool,
}

/// A column of a member, by the member's index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub member: usize,
    pub column: &'a Column,
}

impl<'a> Member<'a> {
    pub fn new(context: &'a PlanningContext, relation: &'a Relation) -> Self {
        Self { relation, home: home::of(context, &relation.name) }
    }

    pub fn rule(&self) -> Option<&'a TableRule> {
        match self.home {
            Home::Sharded { rule, .. } => Some(rule),
            _ => None,
        }
    }

    fn info(&self) -> Option<&'a RelationInfo> {
        match self.home {
            Home::Sharded { info, .. } | Home::Reference { info, .. } => info,
            _ => None,
        }
    }

    fn column(&self, name: &str) -> Option<&'a Column> {
        if self.relation.opaque_columns {
            return None;
        }
        self.info()?.columns.iter().find(|column| column.name == name)
    }

    fn answers_to(&self, qualifier: &ObjectName) -> bool {
        match (&self.relation.alias, &qualifier.schema) {
            (Some(alias), None) => *alias == qualifier.name,
            (Some(_), Some(_)) => false,
            (None, None) => self.relation.name.name == qualifier.name,
            (None, Some(schema)) => {
                self.relation.name.name == qualifier.name
                    && match &self.relation.name.schema {
                        Some(written) => written == schema,
                        None => self.info().is_some_and(|info| info.name.schema.as_ref() == Some(schema)),
                    }
            }
        }
    }
}

impl<'a> Scope<'a> {
    pub fn new(context: &'a PlanningContext, target: Option<&'a Relation>, block: &'a Block) -> Self {
        let members = target
            .into_iter()
            .chain(&block.relations)
            .map(|relation| Member::new(context, relation))
            .collect();
        let unsure = context.catalog.compares_otherwise || hides_built_in(context);
        Self { members, block, unsure }
    }

    /// A column of one member, by its own name.
    pub fn column_of(&self, member: usize, name: &str) -> Option<&'a Column> {
        self.members.get(member)?.column(name)
    }

    /// Whether the qualifier means a relation of this level, or may.
    pub fn answers_to(&self, qualifier: &ObjectName) -> bool {
        self.block.opaque_sources || self.members.iter().any(|member| member.answers_to(qualifier))
    }

    fn knows_all_columns(&self) -> bool {
        let known = |member: &Member<'_>| !member.relation.opaque_columns && member.info().is_some();
        !self.block.opaque_sources && self.members.iter().all(known)
    }

    /// The column that the name means, where that is one of a named relation of this level.
    pub fn resolve(&self, name: &ColumnRef) -> Option<Found<'a>> {
        if self.unsure {
            return None;
        }
        let found = |member: usize| {
            self.members.get(member)?.column(&name.column).map(|column| Found { member, column })
        };
        match &name.qualifier {
            Some(qualifier) => {
                let mut answering =
                    self.members.iter().enumerate().filter(|(_, m)| m.answers_to(qualifier)).map(|(i, _)| i);
                let only = answering.next().filter(|_| answering.next().is_none())?;
                found(only)
            }
            None if self.block.natural_join || self.block.merged_columns.contains(&name.column) => None,
            // It may be that of another relation, merged by USING, and what equals it may not equal ours.
            None if self.block.joins_using && !self.knows_all_columns() => None,
            // Several relations with such a column: an error of PostgreSQL's, or merged by USING of an inner join and
            // then equal, so that the first will do if it has the type of what is merged.
            None => {
                let mut all = (0..self.members.len()).filter_map(found);
                let first = all.next()?;
                let kind = |found: &Found<'a>| (found.column.type_oid, key_type(found.column));
                all.all(|other| are_alike(kind(&first), kind(&other))).then_some(first)
            }
        }
    }
}

/// Whether a name of PostgreSQL's that conditions on keys are read by may mean something of the user's: a function that may
/// suit the arguments better, or a type in a schema that is searched before.
fn hides_built_in(context: &PlanningContext) -> bool {
    let path = &context.search_path;
    let has_function = |schema: &String| {
        context.catalog.functions.contains_key(&ObjectName::qualified(schema.as_str(), "starts_with"))
    };
    if path.iter().any(|schema| schema != "pg_catalog" && has_function(schema)) {
        return true;
    }
    let before = path.iter().position(|schema| schema == "pg_catalog").unwrap_or(0);
    let is_before = |name: &ObjectName| {
        name.schema.as_ref().is_some_and(|schema| path[..before].contains(schema))
            && value::is_known_type(&name.name)
    };
    before > 0 && context.catalog.user_types.values().any(is_before)
}

/// Whether values of these types are compared alike, by whichever of the two.
fn are_alike(one: (u32, Option<KeyType>), other: (u32, Option<KeyType>)) -> bool {
    let is_integer = |kind| matches!(kind, Some(KeyType::SmallInt | KeyType::Integer | KeyType::BigInt));
    let is_text = |kind| matches!(kind, Some(KeyType::Text | KeyType::Varchar(_)));
    one.0 == other.0 || is_integer(one.1) && is_integer(other.1) || is_text(one.1) && is_text(other.1)
}

/// The type under which a column's values are keys: None where equality is not equality of bytes or numbers.
pub fn key_type(column: &Column) -> Option<KeyType> {
    if column.collation == Collation::Nondeterministic {
        return None;
    }
    value::key_type(column.type_oid, column.type_modifier)
}

/// Whether `<` on the column is the order of our keys.
pub(super) fn is_ordered_as_keys(column: &Column) -> bool {
    match key_type(column) {
        Some(KeyType::Text | KeyType::Varchar(_) | KeyType::Char) => column.collation == Collation::Bytes,
        Some(_) => true,
        None => false,
    }
}
