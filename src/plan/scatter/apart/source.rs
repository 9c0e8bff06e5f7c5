//! The sources of one level's FROM: which hold keys, and which of them meet on one shard.
//!
//! Sharded sources that are joined by equal keys form a group: their rows that belong together are on one shard. An inner
//! join makes one group of two by an equality anywhere in ON or WHERE; an outer join needs it in its own ON, as rows
//! without a partner are decided there.
//!
//! Invariant: an equality counts only between columns that are certainly keys, of one placement and one type.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, SelectItem, TableAlias, TableFactor,
    TableWithJoins, Visit, Visitor,
};

use crate::catalog::Collation;
use crate::plan::refusal::Refusal;

use super::super::expression::{folded, object_name};
use super::super::refusals::Reason;
use super::super::select;
use super::key::{Key, Nulls, Spread, spread};
use super::{Analysis, Around, Lies, Named, Output, conjuncts, output_name};

/// Something in FROM.
#[derive(Debug)]
pub(super) struct Source<'a> {
    alias: String,
    /// None where they are not known.
    columns: Option<Vec<String>>,
    keys: Vec<(String, Key<'a>)>,
    /// None: its rows are the same everywhere.
    group: Option<usize>,
}

/// The sources of one level, and the levels around it.
#[derive(Debug)]
pub(super) struct Level<'l, 'a> {
    sources: Vec<Source<'a>>,
    outer: Option<&'l Level<'l, 'a>>,
    /// Inner joins have pinned its rows to a level around it.
    pinned: bool,
    has_outer_join: bool,
    /// USING or NATURAL: what `*` stands for is not known.
    merges_columns: bool,
}

impl<'l, 'a> Level<'l, 'a> {
    pub fn new(outer: Option<&'l Level<'l, 'a>>) -> Self {
        Self { sources: Vec::new(), outer, pinned: false, has_outer_join: false, merges_columns: false }
    }

    pub fn is_pinned(&self) -> bool {
        self.pinned && !self.has_outer_join
    }

    /// The key that an expression is, if it is certainly a column of this level.
    pub fn own_key(&self, expr: &Expr) -> Option<&Key<'a>> {
        match self.find(expr)? {
            Found::Own(source, key) => Some(&self.sources[source].keys[key].1),
            Found::Around(_) => None,
        }
    }

    /// Whether rows with equal values of the expression, or NULL, are on one shard.
    pub fn is_fixed(&self, expr: &Expr) -> bool {
        self.own_key(expr).is_some_and(Key::is_fixed)
    }

    /// Columns of which equal values, NULL aside, are on one shard.
    pub fn parted(&self) -> Vec<Named> {
        let is_one = |alias: &str| self.sources.iter().filter(|source| source.alias == alias).count() == 1;
        let sources = self.sources.iter().filter(|source| source.group.is_some() && is_one(&source.alias));
        let keys = |source: &Source<'a>| -> Vec<Named> {
            let parted = source.keys.iter().filter(|(_, key)| key.is_told_by_bytes());
            parted.map(|(column, _)| (source.alias.clone(), column.clone())).collect()
        };
        sources.flat_map(keys).collect()
    }

    fn find(&self, expr: &Expr) -> Option<Found<'_, 'a>> {
        match self.locate(expr) {
            Place::Key { source, key } => return Some(Found::Own(source, key)),
            Place::Unsure => return None,
            Place::Elsewhere => {}
        }
        let mut around = self.outer;
        while let Some(level) = around {
            match level.locate(expr) {
                Place::Key { source, key } => return Some(Found::Around(&level.sources[source].keys[key].1)),
                Place::Unsure => return None,
                Place::Elsewhere => around = level.outer,
            }
        }
        None
    }

    fn locate(&self, expr: &Expr) -> Place {
        let (owner, column) = match expr {
            Expr::Nested(inner) => return self.locate(inner),
            Expr::Identifier(name) => {
                let column = folded(name);
                let mut owners = Vec::new();
                for (index, source) in self.sources.iter().enumerate() {
                    let Some(columns) = &source.columns else { return Place::Unsure };
                    owners.extend(columns.iter().filter(|known| **known == column).map(|_| index));
                }
                (owners, column)
            }
            Expr::CompoundIdentifier(parts) => {
                let [alias, column] = parts.as_slice() else { return Place::Unsure };
                let alias = folded(alias);
                let named = self.sources.iter().enumerate().filter(|(_, source)| source.alias == alias);
                (named.map(|(index, _)| index).collect(), folded(column))
            }
            _ => return Place::Unsure,
        };
        let [source] = owner[..] else {
            return if owner.is_empty() { Place::Elsewhere } else { Place::Unsure };
        };
        let key = self.sources[source].keys.iter().position(|(name, _)| *name == column);
        key.map_or(Place::Unsure, |key| Place::Key { source, key })
    }

    /// Takes an equality of keys into account; whether it pins this level's rows to a row around it.
    pub fn equate(&mut self, condition: &Expr) -> bool {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return false };
        let (Some(left), Some(right)) = (self.find(left), self.find(right)) else { return false };
        match (left, right) {
            (Found::Own(a, key_a), Found::Own(b, key_b)) => {
                if self.sources[a].keys[key_a].1.meets(&self.sources[b].keys[key_b].1) {
                    self.join_groups(a, b);
                }
                false
            }
            (Found::Own(source, key), Found::Around(other))
            | (Found::Around(other), Found::Own(source, key)) => {
                self.sources[source].keys[key].1.meets(other)
            }
            (Found::Around(_), Found::Around(_)) => false,
        }
    }

    /// The same for ON of an outer join, which decides nothing among the sources of one side.
    fn equate_across(&mut self, condition: &Expr, left: &Range<usize>, right: &Range<usize>) {
        let Expr::BinaryOp { left: a, op: BinaryOperator::Eq, right: b } = condition else { return };
        let (Some(Found::Own(a, _)), Some(Found::Own(b, _))) = (self.find(a), self.find(b)) else { return };
        if left.contains(&a) && right.contains(&b) || left.contains(&b) && right.contains(&a) {
            self.equate(condition);
        }
    }

    fn join_groups(&mut self, a: usize, b: usize) {
        let (Some(into), Some(from)) = (self.sources[a].group, self.sources[b].group) else { return };
        self.sources.iter_mut().filter(|source| source.group == Some(from)).for_each(|source| {
            source.group = Some(into);
        });
    }

    fn groups(&self, range: Range<usize>) -> Vec<usize> {
        let mut groups: Vec<usize> = self.sources[range].iter().filter_map(|source| source.group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// Whether there are sharded sources; refused where they are not all of one group.
    pub fn sharded(&self) -> Result<bool, Refusal> {
        let groups = self.groups(0..self.sources.len());
        match groups.as_slice() {
            [] => Ok(false),
            [_] => Ok(true),
            [_, other, ..] => {
                let alone = self.sources.iter().find(|source| source.group == Some(*other));
                Err(Reason::NotColocated.refusal(alone.map_or("", |source| &source.alias)))
            }
        }
    }

    /// Whether an expression names a source of this level, or of one around it.
    pub fn is_mentioned<T: Visit>(&self, node: &T) -> bool {
        let mut mentions = Mentions::default();
        let _ = node.visit(&mut mentions);
        let mut level = Some(self);
        while let Some(known) = level {
            let mentioned = |source: &Source<'a>| {
                mentions.qualifiers.contains(&source.alias) && !mentions.declared.contains(&source.alias)
            };
            if known.sources.iter().any(mentioned) {
                return true;
            }
            level = known.outer;
        }
        false
    }

    /// What the select list gives: its columns' names, and those that are keys.
    pub fn output(&self, items: &[SelectItem]) -> (Option<Vec<String>>, Vec<(usize, Key<'a>)>) {
        let mut columns = Some(Vec::new());
        let mut keys = Vec::new();
        for item in items {
            let Some(names) = &mut columns else { break };
            match (select::item_expr(item), item) {
                (Some(expr), _) => match output_name(item) {
                    Some(name) => {
                        keys.extend(self.own_key(expr).map(|key| (names.len(), *key)));
                        names.push(name);
                    }
                    None => columns = None,
                },
                (None, SelectItem::Wildcard(_)) if !self.merges_columns => {
                    for source in &self.sources {
                        let (Some(names), Some(own)) = (&mut columns, &source.columns) else {
                            columns = None;
                            break;
                        };
                        for column in own {
                            let key = source.keys.iter().find(|(name, _)| name == column);
                            keys.extend(key.map(|(_, key)| (names.len(), *key)));
                            names.push(column.clone());
                        }
                    }
                }
                (None, _) => columns = None,
            }
        }
        match columns {
            Some(columns) => (Some(columns), keys),
            // Positions behind an unknown name are not certain.
            None => (None, Vec::new()),
        }
    }

    fn add(&mut self, alias: String, output: Output<'a>) {
        let names = output.columns.as_deref().unwrap_or_default();
        let is_one = |name: &String| names.iter().filter(|other| *other == name).count() == 1;
        let key = |(position, key): &(usize, Key<'a>)| {
            let name = names.get(*position).filter(|name| is_one(name))?;
            Some((name.clone(), *key))
        };
        let group = matches!(output.lies, Lies::Apart { .. }).then_some(self.sources.len());
        let keys = match group {
            Some(_) => output.keys.iter().filter_map(key).collect(),
            None => Vec::new(),
        };
        self.sources.push(Source { alias, columns: output.columns, keys, group });
    }

    fn may_be_missing(&mut self, range: Range<usize>) {
        let keys = self.sources[range].iter_mut().flat_map(|source| &mut source.keys);
        keys.for_each(|(_, key)| key.nulls = Nulls::Anywhere);
    }
}

/// Where a column is, as one level can tell.
enum Place {
    Key {
        source: usize,
        key: usize,
    },
    /// Perhaps of this level, and no key.
    Unsure,
    Elsewhere,
}

enum Found<'s, 'a> {
    /// Source and key of this level.
    Own(usize, usize),
    /// Of a level around.
    Around(&'s Key<'a>),
}

/// Qualifiers of columns, and names of sources that a part of a statement declares itself.
#[derive(Default)]
struct Mentions {
    qualifiers: Vec<String>,
    declared: Vec<String>,
}

impl Visitor for Mentions {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [alias, _] = parts.as_slice()
        {
            self.qualifiers.push(folded(alias));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.declared.extend(alias_of(factor));
        ControlFlow::Continue(())
    }
}

fn alias_of(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. } => Some(folded(&alias.name)),
        TableFactor::Table { name, .. } => object_name(name).map(|name| name.name),
        _ => None,
    }
}

/// Which side of a join may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Neither,
    Right,
    Left,
    Either,
}

fn missing_side(join: &Join) -> Result<(Missing, &JoinConstraint), Refusal> {
    use JoinOperator::{CrossJoin, FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match &join.join_operator {
        JoinOperator::Join(constraint) | Inner(constraint) | CrossJoin(constraint) => {
            Ok((Missing::Neither, constraint))
        }
        Left(constraint) | LeftOuter(constraint) => Ok((Missing::Right, constraint)),
        Right(constraint) | RightOuter(constraint) => Ok((Missing::Left, constraint)),
        FullOuter(constraint) => Ok((Missing::Either, constraint)),
        _ => Err(Reason::Clause.refusal("")),
    }
}

impl<'a> Analysis<'a> {
    /// Adds FROM to the level; whether a subquery in it reads sharded tables.
    pub(super) fn from(
        &self,
        from: &[TableWithJoins],
        level: &mut Level<'_, 'a>,
        around: &Around<'_, 'a>,
    ) -> Result<bool, Refusal> {
        let mut reads = false;
        for item in from {
            reads |= self.item(item, level, around)?;
        }
        Ok(reads)
    }

    fn item(
        &self,
        item: &TableWithJoins,
        level: &mut Level<'_, 'a>,
        around: &Around<'_, 'a>,
    ) -> Result<bool, Refusal> {
        let first = level.sources.len();
        let mut reads = self.factor(&item.relation, level, around)?;
        for join in &item.joins {
            let right = level.sources.len();
            reads |= self.factor(&join.relation, level, around)?;
            reads |= self.join(join, first..right, level, around)?;
        }
        Ok(reads)
    }

    fn join(
        &self,
        join: &Join,
        left: Range<usize>,
        level: &mut Level<'_, 'a>,
        around: &Around<'_, 'a>,
    ) -> Result<bool, Refusal> {
        let (missing, constraint) = missing_side(join)?;
        let right = left.end..level.sources.len();
        let (lefts, rights) = (level.groups(left.clone()), level.groups(right.clone()));
        let (none, whole) = ((lefts.is_empty(), rights.is_empty()), (lefts.len() <= 1, rights.len() <= 1));
        // Rows of a side that may be missing are found, or not, on one shard each.
        let fits = match missing {
            Missing::Neither => true,
            Missing::Right => whole.1 && (none.1 || !none.0),
            Missing::Left => whole.0 && (none.0 || !none.1),
            Missing::Either => whole.0 && whole.1 && none.0 == none.1,
        };
        if !fits {
            return Err(Reason::OuterJoin.refusal(""));
        }
        let reads = self.constrain(constraint, missing, (&left, &right), level, around)?;
        let (lefts, rights) = (level.groups(left.clone()), level.groups(right.clone()));
        let meet = rights.iter().all(|group| lefts.contains(group))
            || lefts.iter().all(|group| rights.contains(group));
        if missing != Missing::Neither && none == (false, false) && !meet {
            return Err(Reason::OuterJoin.refusal(""));
        }
        level.has_outer_join |= missing != Missing::Neither;
        if matches!(missing, Missing::Right | Missing::Either) {
            level.may_be_missing(right);
        }
        if matches!(missing, Missing::Left | Missing::Either) {
            level.may_be_missing(left);
        }
        Ok(reads)
    }

    /// Takes ON or USING into account; whether a subquery in it reads sharded tables.
    fn constrain(
        &self,
        constraint: &JoinConstraint,
        missing: Missing,
        (left, right): (&Range<usize>, &Range<usize>),
        level: &mut Level<'_, 'a>,
        around: &Around<'_, 'a>,
    ) -> Result<bool, Refusal> {
        let mut reads = false;
        match constraint {
            JoinConstraint::On(condition) => {
                for condition in conjuncts(condition) {
                    reads |= self.expressions(condition, level, around)?;
                    match missing {
                        Missing::Neither => {
                            let pins = level.equate(condition);
                            level.pinned |= pins;
                        }
                        _ => level.equate_across(condition, left, right),
                    }
                }
            }
            JoinConstraint::Using(columns) => {
                for column in columns {
                    let column = object_name(column).ok_or_else(|| Reason::Clause.refusal(""))?;
                    level.equate_columns(&column.name, left.clone(), right.clone());
                }
                level.merges_columns = true;
            }
            JoinConstraint::Natural => level.merges_columns = true,
            JoinConstraint::None => {}
        }
        Ok(reads)
    }

    fn factor(
        &self,
        factor: &TableFactor,
        level: &mut Level<'_, 'a>,
        around: &Around<'_, 'a>,
    ) -> Result<bool, Refusal> {
        let (mut output, alias) = match factor {
            TableFactor::Table { name, alias, args: None, sample, .. } => {
                let mut output = self.table(name, around)?;
                if sample.is_some() {
                    output.keys.clear();
                }
                (output, alias)
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let found = match lateral {
                    true => self.query(subquery, &around.inside(level), false)?,
                    false => self.query(subquery, around, false)?,
                };
                (found, alias)
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => {
                let reads = self.expressions(factor, level, around)?;
                (Output::same(reads), alias)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                return self.item(table_with_joins, level, around);
            }
            _ => return Err(Reason::Clause.refusal("")),
        };
        let reads = output.lies != (Lies::Same { reads: false });
        if let Some(alias) = alias {
            output.rename(alias);
        }
        let called = alias.as_ref().map(|TableAlias { name, .. }| folded(name));
        level.add(called.or_else(|| alias_of(factor)).unwrap_or_default(), output);
        Ok(reads)
    }

    fn table(
        &self,
        name: &sqlparser::ast::ObjectName,
        around: &Around<'_, 'a>,
    ) -> Result<Output<'a>, Refusal> {
        let name = object_name(name).ok_or_else(|| Reason::UnknownRelation.refusal(&name.to_string()))?;
        let cte = around.ctes.iter().rev().find(|(known, _)| name.schema.is_none() && *known == name.name);
        if let Some((_, output)) = cte {
            return Ok(output.clone());
        }
        let info = self.ctx.catalog.resolve(&name, &self.ctx.search_path);
        let info = info.ok_or_else(|| Reason::UnknownRelation.refusal(&name.to_string()))?;
        let columns: Vec<String> = info.columns.iter().map(|column| column.name.clone()).collect();
        let rule = match spread(info, self.ctx)? {
            Spread::Replicated => return Ok(Output { columns: Some(columns), ..Output::same(false) }),
            Spread::Sharded(rule) => rule,
        };
        let position = rule.key().and_then(|key| columns.iter().position(|c| c == key));
        let key = |position: usize| {
            let column = &info.columns[position];
            let nulls = match (column.not_null, rule.shard_of_null()) {
                // Values that are equal need not have one hash.
                _ if column.collation == Collation::Nondeterministic => Nulls::Anywhere,
                (true, _) => Nulls::Never,
                (false, Some(shard)) => Nulls::On(shard),
                (false, None) => Nulls::Anywhere,
            };
            let compared_otherwise = self.ctx.catalog.compares_otherwise;
            (position, Key { rule, column, nulls, compared_otherwise })
        };
        Ok(Output {
            lies: Lies::Apart { closed: true },
            columns: Some(columns),
            keys: position.map(key).into_iter().collect(),
            ..Output::same(false)
        })
    }
}

impl<'a> Level<'_, 'a> {
    /// USING: the left column is that of the first source that has it, if no outer join has made it another's.
    fn equate_columns(&mut self, column: &str, left: Range<usize>, right: Range<usize>) {
        let unknown = |source: &Source<'a>| source.columns.is_none();
        if self.sources[left.start..right.end].iter().any(unknown) {
            return;
        }
        let has = |source: &Source<'a>| source.columns.iter().flatten().any(|known| known == column);
        let key =
            |source: &Source<'a>| source.keys.iter().find(|(name, _)| name == column).map(|(_, key)| *key);
        let owners = |range: Range<usize>| -> Vec<usize> {
            range.filter(|index| has(&self.sources[*index])).collect()
        };
        let (lefts, rights) = (owners(left), owners(right));
        let ([first, others @ ..], [right]) = (lefts.as_slice(), rights.as_slice()) else { return };
        let (Some(own), Some(theirs)) = (key(&self.sources[*first]), key(&self.sources[*right])) else {
            return;
        };
        let all_keys =
            others.iter().all(|other| key(&self.sources[*other]).is_some_and(|key| key.meets(&own)));
        if own.meets(&theirs) && (!self.has_outer_join || all_keys) {
            let (first, right) = (*first, *right);
            self.join_groups(first, right);
        }
    }
}
