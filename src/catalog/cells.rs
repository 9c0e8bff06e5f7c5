//! Rows of the catalog queries, whoever has asked them: the control plane over its own connection, or a session in a
//! transaction of its client's.
//!
//! Values are read from their binary form, as PostgreSQL's `*send` functions write them.

use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type, WrongType};

use super::load::LoadError;
use crate::wire::backend::{DataRow, RowDescription};

pub(super) trait Cells {
    /// The value of that column, of which there is none before 0.
    fn cell<'a, T: FromSql<'a>>(&'a self, column: usize) -> Result<T, LoadError>;
}

impl Cells for Row {
    fn cell<'a, T: FromSql<'a>>(&'a self, column: usize) -> Result<T, LoadError> {
        Ok(self.try_get(column)?)
    }
}

/// A row whose values are binary and of PostgreSQL's own types.
#[derive(Debug)]
pub(super) struct RawRow {
    types: Arc<[Type]>,
    /// Body of the DataRow.
    values: Bytes,
}

impl RawRow {
    /// The rows of one answer: the body of its RowDescription, and those of its DataRows.
    pub fn all(description: &[u8], rows: Vec<Bytes>) -> Result<Vec<Self>, LoadError> {
        let description = RowDescription::decode(description).map_err(LoadError::value)?;
        let types = description.iter().map(|field| Type::from_oid(field.type_oid));
        let types: Option<Arc<[Type]>> = types.collect();
        let types = types.ok_or_else(|| LoadError::value("a type is not PostgreSQL's own"))?;
        Ok(rows.into_iter().map(|values| Self { types: Arc::clone(&types), values }).collect())
    }
}

impl Cells for RawRow {
    fn cell<'a, T: FromSql<'a>>(&'a self, column: usize) -> Result<T, LoadError> {
        let row = DataRow::decode(&self.values).map_err(LoadError::value)?;
        let (Some(kind), Some(value)) = (self.types.get(column), row.iter().nth(column)) else {
            return Err(LoadError::value("a column is missing"));
        };
        if !T::accepts(kind) {
            return Err(LoadError::value(WrongType::new::<T>(kind.clone())));
        }
        T::from_sql_nullable(kind, value).map_err(LoadError::Value)
    }
}
