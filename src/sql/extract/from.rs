//! FROM: relations, joins, and which join conditions hold for the rows that come out.
//!
//! `query` and `writes` call [`Extractor::from`]. Each side of a join is read into a [`Side`]; an outer join marks the
//! relations of its nullable side and forgets the conditions gathered there.
//!
//! Invariants:
//! 1. A condition is kept only when every row that leaves FROM satisfies it: ON and USING of inner joins that stand on
//!    no nullable side.
//! 2. `a JOIN b USING (k)` becomes `a.k = b.k` only where it is certain which relation of each side has the column.

use sqlparser::ast::{
    FunctionArg, Join, JoinConstraint, JoinOperator, ObjectName as SqlName, TableAlias, TableFactor,
    TableWithJoins,
};

use super::{Extractor, Unfollowed, names, predicate};
use crate::sql::facts::{Block, ColumnRef, Predicate, Relation};
use crate::sql::name::ObjectName;

/// One side of a join while it is read.
#[derive(Default)]
struct Side {
    relations: Vec<Relation>,
    conditions: Vec<Predicate>,
    /// Columns merged by inner USING, and a relation that has each.
    merged: Vec<(String, ObjectName)>,
    /// Everything that FROM names, derived tables and functions too.
    sources: usize,
}

impl Side {
    fn make_nullable(&mut self) {
        for relation in &mut self.relations {
            relation.nullable = true;
        }
        self.conditions.clear();
        self.merged.clear();
    }

    fn absorb(&mut self, other: Self) {
        self.relations.extend(other.relations);
        self.conditions.extend(other.conditions);
        self.merged.extend(other.merged);
        self.sources += other.sources;
    }

    /// The relation that certainly has the column.
    fn owner(&self, column: &str) -> Option<ObjectName> {
        if let Some((_, owner)) = self.merged.iter().find(|(name, _)| name == column) {
            return Some(owner.clone());
        }
        match self.relations.as_slice() {
            [only] if self.sources == 1 => {
                Some(ObjectName::unqualified(only.alias.clone().unwrap_or_else(|| only.name.name.clone())))
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outer {
    None,
    Left,
    Right,
    Full,
}

impl Extractor {
    /// Adds what FROM names to the block; gives the conditions that hold for every row.
    pub(super) fn from(
        &mut self,
        from: &[TableWithJoins],
        block: &mut Block,
    ) -> Result<Vec<Predicate>, Unfollowed> {
        let mut all = Side::default();
        for item in from {
            let side = self.table_with_joins(item, block)?;
            all.absorb(side);
        }
        block.relations.append(&mut all.relations);
        Ok(all.conditions)
    }

    /// A single source, without conditions: that of MERGE.
    pub(super) fn source(&mut self, factor: &TableFactor, block: &mut Block) -> Result<(), Unfollowed> {
        let mut side = self.factor(factor, block)?;
        block.relations.append(&mut side.relations);
        Ok(())
    }

    fn table_with_joins(&mut self, item: &TableWithJoins, block: &mut Block) -> Result<Side, Unfollowed> {
        let mut left = self.factor(&item.relation, block)?;
        for join in &item.joins {
            self.join(&mut left, join, block)?;
        }
        Ok(left)
    }

    fn join(&mut self, left: &mut Side, join: &Join, block: &mut Block) -> Result<(), Unfollowed> {
        if join.global {
            return Err(Unfollowed);
        }
        let (outer, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (Outer::None, constraint),
            JoinOperator::CrossJoin(constraint) => (Outer::None, constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (Outer::Left, constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (Outer::Right, constraint)
            }
            JoinOperator::FullOuter(constraint) => (Outer::Full, constraint),
            _ => return Err(Unfollowed),
        };
        let mut right = self.factor(&join.relation, block)?;
        if matches!(outer, Outer::Left | Outer::Full) {
            right.make_nullable();
        }
        if matches!(outer, Outer::Right | Outer::Full) {
            left.make_nullable();
        }
        match constraint {
            JoinConstraint::On(condition) => {
                self.walk(condition, block)?;
                if outer == Outer::None {
                    left.conditions.push(predicate::of(condition));
                }
            }
            JoinConstraint::Using(columns) => {
                block.joins_using = true;
                using(left, &mut right, columns, outer, block)?;
            }
            JoinConstraint::Natural => block.natural_join = true,
            JoinConstraint::None => {}
        }
        left.absorb(right);
        Ok(())
    }

    fn factor(&mut self, factor: &TableFactor, block: &mut Block) -> Result<Side, Unfollowed> {
        let mut side = Side { sources: 1, ..Side::default() };
        match factor {
            TableFactor::Table { .. } => self.table(factor, block, &mut side)?,
            TableFactor::Derived { subquery, sample: None, alias, .. } => {
                alias_name(alias.as_ref())?;
                block.children.push(self.query(subquery)?);
                block.opaque_sources = true;
            }
            TableFactor::Function { name, args, .. } => {
                self.table_function(name, args, block)?;
            }
            TableFactor::UNNEST { with_offset: false, array_exprs, .. } => {
                block.opaque_sources = true;
                self.walk(array_exprs, block)?;
            }
            TableFactor::JsonTable { .. } | TableFactor::XmlTable { .. } => {
                block.opaque_sources = true;
                self.walk(factor, block)?;
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                return self.table_with_joins(table_with_joins, block);
            }
            _ => return Err(Unfollowed),
        }
        Ok(side)
    }

    fn table(&mut self, factor: &TableFactor, block: &mut Block, side: &mut Side) -> Result<(), Unfollowed> {
        let TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version: None,
            with_ordinality: _,
            partitions,
            json_path: None,
            sample,
            index_hints,
        } = factor
        else {
            return Err(Unfollowed);
        };
        if !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
            return Err(Unfollowed);
        }
        self.relations_seen += 1;
        if let Some(args) = args {
            return self.table_function(name, &args.args, block);
        }
        let (name, only) = names::relation(name).ok_or(Unfollowed)?;
        let alias_text = alias_name(alias.as_ref())?;
        if name.schema.is_none() && self.scope.contains(&name.name) {
            block.opaque_sources = true;
            return Ok(());
        }
        self.walk(sample, block)?;
        let renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
        side.relations.push(Relation {
            name,
            alias: alias_text,
            nullable: false,
            only,
            opaque_columns: renamed || sample.is_some(),
        });
        Ok(())
    }

    fn table_function(
        &mut self,
        name: &SqlName,
        args: &[FunctionArg],
        block: &mut Block,
    ) -> Result<(), Unfollowed> {
        block.opaque_sources = true;
        self.record_call(names::object(name).ok_or(Unfollowed)?, args.len());
        for arg in args {
            self.walk(arg, block)?;
        }
        Ok(())
    }

    /// The relation that a factor is, for targets of writes.
    pub(super) fn target(&mut self, factor: &TableFactor) -> Result<Relation, Unfollowed> {
        let mut side = Side::default();
        // A CTE's name does not hide the target of a write.
        let scope = std::mem::take(&mut self.scope);
        let found = self.table(factor, &mut Block::empty(), &mut side);
        self.scope = scope;
        found?;
        side.relations.pop().ok_or(Unfollowed)
    }
}

fn alias_name(alias: Option<&TableAlias>) -> Result<Option<String>, Unfollowed> {
    match alias {
        None => Ok(None),
        Some(alias) if alias.at.is_some() => Err(Unfollowed),
        Some(alias) => names::identifier(&alias.name).map(Some).ok_or(Unfollowed),
    }
}

fn using(
    left: &mut Side,
    right: &mut Side,
    columns: &[SqlName],
    outer: Outer,
    block: &mut Block,
) -> Result<(), Unfollowed> {
    for column in columns {
        let column = names::single(column).ok_or(Unfollowed)?;
        if outer != Outer::None {
            left.merged.retain(|(name, _)| *name != column);
            right.merged.retain(|(name, _)| *name != column);
            block.merged_columns.push(column);
            continue;
        }
        if block.merged_columns.contains(&column) {
            continue;
        }
        if let (Some(a), Some(b)) = (left.owner(&column), right.owner(&column)) {
            let of = |owner: &ObjectName| ColumnRef {
                qualifier: Some(owner.clone()),
                column: column.clone(),
                cast: None,
            };
            left.conditions.push(Predicate::ColumnsEqual(of(&a), of(&b)));
            left.merged.push((column, a));
        }
    }
    Ok(())
}
