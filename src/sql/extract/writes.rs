//! INSERT, UPDATE, DELETE, MERGE.
//!
//! `query` calls [`Extractor::write`] for statements and for the bodies of modifying CTEs.
//!
//! Invariants:
//! 1. The target is not among the block's relations; the filter of UPDATE and DELETE is over target and relations.
//! 2. MERGE's ON is no filter: rows that do not match are inserted.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete as SqlDelete, Expr, FromTable, Ident, Insert as SqlInsert,
    Merge as SqlMerge, OnConflictAction, OnInsert, Query, SetExpr, Statement, TableObject, TableWithJoins,
    Update as SqlUpdate, UpdateTableFromKind,
};

use super::value::{cell, unwrapped};
use super::{Extractor, Unfollowed, names, predicate};
use crate::sql::facts::{
    Block, Cell, Delete, Insert, InsertSource, Kind, OnConflict, Predicate, Relation, Update,
};

impl Extractor {
    pub(super) fn write(&mut self, statement: &Statement) -> Result<(Kind, Block), Unfollowed> {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            Statement::Merge(merge) => self.merge(merge),
            _ => Err(Unfollowed),
        }
    }

    fn insert(&mut self, insert: &SqlInsert) -> Result<(Kind, Block), Unfollowed> {
        if is_foreign_insert(insert) {
            return Err(Unfollowed);
        }
        let TableObject::TableName(name) = &insert.table else { return Err(Unfollowed) };
        self.relations_seen += 1;
        let (name, only) = names::relation(name).ok_or(Unfollowed)?;
        let alias = match &insert.table_alias {
            Some(alias) => Some(names::identifier(&alias.alias).ok_or(Unfollowed)?),
            None => None,
        };
        let columns =
            insert.columns.iter().map(names::single).collect::<Option<Vec<_>>>().ok_or(Unfollowed)?;
        let mut block = Block::empty();
        let source = match &insert.source {
            None => InsertSource::DefaultValues,
            Some(query) => self.insert_source(query, &mut block)?,
        };
        let on_conflict = match &insert.on {
            None => None,
            Some(on) => Some(self.on_conflict(on, &mut block)?),
        };
        self.walk(&insert.returning, &mut block)?;
        let kind = Kind::Insert(Insert {
            target: Relation { name, alias, nullable: false, only, opaque_columns: false },
            columns: (!columns.is_empty()).then_some(columns),
            source,
            on_conflict,
            // The words are not in the tree; `parse` finds them.
            overrides_user: false,
            returning: insert.returning.is_some(),
        });
        Ok((kind, block))
    }

    fn insert_source(&mut self, query: &Query, block: &mut Block) -> Result<InsertSource, Unfollowed> {
        let bare = query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty();
        match query.body.as_ref() {
            SetExpr::Values(values) if bare => {
                self.walk(values, block)?;
                let rows = values.rows.iter().map(|row| row.content.iter().map(cell).collect()).collect();
                Ok(InsertSource::Rows(rows))
            }
            _ => {
                block.children.push(self.query(query)?);
                Ok(InsertSource::Query)
            }
        }
    }

    fn on_conflict(&mut self, on: &OnInsert, block: &mut Block) -> Result<OnConflict, Unfollowed> {
        let OnInsert::OnConflict(conflict) = on else { return Err(Unfollowed) };
        self.walk(conflict, block)?;
        match &conflict.action {
            OnConflictAction::DoNothing => Ok(OnConflict::DoNothing),
            OnConflictAction::DoUpdate(update) => {
                // Row forms whose cells are not followed still name their columns.
                let sets = assignments(&update.assignments, EXCLUDED).ok_or(Unfollowed)?;
                Ok(OnConflict::DoUpdate(sets))
            }
        }
    }

    fn update(&mut self, update: &SqlUpdate) -> Result<(Kind, Block), Unfollowed> {
        let foreign = update.or.is_some()
            || update.output.is_some()
            || !update.order_by.is_empty()
            || update.limit.is_some()
            || !update.table.joins.is_empty();
        if foreign {
            return Err(Unfollowed);
        }
        let target = self.target(&update.table.relation)?;
        let mut block = Block::empty();
        let from = match &update.from {
            None => &[],
            Some(UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
            Some(UpdateTableFromKind::BeforeSet(_)) => return Err(Unfollowed),
        };
        self.walk(&update.assignments, &mut block)?;
        self.where_and_from(from, update.selection.as_ref(), &mut block)?;
        self.walk(&update.returning, &mut block)?;
        let row = target.alias.as_deref().unwrap_or(&target.name.name);
        let sets = assignments(&update.assignments, row);
        Ok((Kind::Update(Update { target, sets, returning: update.returning.is_some() }), block))
    }

    fn delete(&mut self, delete: &SqlDelete) -> Result<(Kind, Block), Unfollowed> {
        let foreign = !delete.tables.is_empty()
            || delete.output.is_some()
            || !delete.order_by.is_empty()
            || delete.limit.is_some();
        let FromTable::WithFromKeyword(from) = &delete.from else { return Err(Unfollowed) };
        let [TableWithJoins { relation, joins }] = from.as_slice() else { return Err(Unfollowed) };
        if foreign || !joins.is_empty() {
            return Err(Unfollowed);
        }
        let target = self.target(relation)?;
        let mut block = Block::empty();
        let using = delete.using.as_deref().unwrap_or(&[]);
        self.where_and_from(using, delete.selection.as_ref(), &mut block)?;
        self.walk(&delete.returning, &mut block)?;
        Ok((Kind::Delete(Delete { target, returning: delete.returning.is_some() }), block))
    }

    fn where_and_from(
        &mut self,
        from: &[TableWithJoins],
        condition: Option<&Expr>,
        block: &mut Block,
    ) -> Result<(), Unfollowed> {
        let mut conditions = self.from(from, block)?;
        if let Some(condition) = condition {
            self.walk(condition, block)?;
            conditions.push(predicate::of(condition));
        }
        block.filter = predicate::and(conditions);
        Ok(())
    }

    fn merge(&mut self, merge: &SqlMerge) -> Result<(Kind, Block), Unfollowed> {
        if merge.output.is_some() {
            return Err(Unfollowed);
        }
        let target = self.target(&merge.table)?;
        let mut block = Block::empty();
        self.source(&merge.source, &mut block)?;
        self.walk(&merge.on, &mut block)?;
        self.walk(&merge.clauses, &mut block)?;
        block.filter = Predicate::Unknown;
        Ok((Kind::Merge { target }, block))
    }
}

/// Clauses that PostgreSQL does not have.
fn is_foreign_insert(insert: &SqlInsert) -> bool {
    insert.or.is_some()
        || insert.ignore
        || !insert.into
        || insert.overwrite
        || !insert.assignments.is_empty()
        || insert.partitioned.is_some()
        || !insert.after_columns.is_empty()
        || insert.has_table_keyword
        || insert.output.is_some()
        || insert.replace_into
        || insert.priority.is_some()
        || insert.insert_alias.is_some()
        || insert.settings.is_some()
        || insert.format_clause.is_some()
        || insert.multi_table_insert_type.is_some()
        || !insert.multi_table_into_clauses.is_empty()
        || !insert.multi_table_when_clauses.is_empty()
        || insert.multi_table_else_clause.is_some()
}

/// What ON CONFLICT calls the row that was to be inserted.
const EXCLUDED: &str = "excluded";

/// The columns that are set, and with what. None where a target, or ROW with whatever is in it, has a form that is not followed.
/// `row` is what the row is called whose values the columns may take over.
fn assignments(assignments: &[Assignment], row: &str) -> Option<Vec<(String, Cell)>> {
    let mut sets = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        match &assignment.target {
            AssignmentTarget::ColumnName(name) => sets.push(match names::single(name) {
                Some(column) if is_own(&assignment.value, row, &column) => (column, Cell::Own),
                Some(column) => (column, cell(&assignment.value)),
                // A part of the column: a field.
                None => (names::first(name)?, Cell::Expression),
            }),
            AssignmentTarget::Tuple(columns) => {
                let columns = columns.iter().map(names::single).collect::<Option<Vec<_>>>()?;
                match row_cells(&assignment.value) {
                    Some(cells) if cells.len() == columns.len() => {
                        sets.extend(columns.into_iter().zip(cells))
                    }
                    // Whatever makes the row, nothing but these columns is set.
                    _ => sets.extend(columns.into_iter().map(|column| (column, Cell::Expression))),
                }
            }
        }
    }
    Some(sets)
}

/// Whether it is the same column, by itself or of that row.
fn is_own(value: &Expr, row: &str, column: &str) -> bool {
    let names = |ident: &Ident, name: &str| names::identifier(ident).as_deref() == Some(name);
    match value {
        Expr::Identifier(ident) => names(ident, column),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [first, last] => names(first, row) && names(last, column),
            _ => false,
        },
        _ => false,
    }
}

fn row_cells(value: &Expr) -> Option<Vec<Cell>> {
    match value {
        Expr::Tuple(values) => Some(values.iter().map(cell).collect()),
        Expr::Nested(inner) => Some(vec![cell(unwrapped(inner))]),
        _ => None,
    }
}
