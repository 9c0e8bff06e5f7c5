//! Joins that may limit what is gathered: semi-join reduction.
//!
//! Where the text joins two tables by an equality of columns, rows of the one whose value is not among the other's cannot
//! be in the answer. If the other is gathered first and has few values, they become a condition on what is gathered of
//! the one.
//!
//! ```text
//! FROM rides r JOIN drivers d ON d.id = r.driver_id WHERE d.rating > 4.9
//!     drivers   WHERE ((rating > 4.9))                           gathered first: 40 rows
//!     rides     WHERE "driver_id" = ANY ('{3,17,…}'::bigint[])
//! ```
//!
//! Invariant: the equality of the text is the one that `= ANY` of the keys means: of integers, of text that is equal by its
//! bytes, of uuids, of dates.
//!
//! Not here: asking the servers how many rows they expect, and for the keys (`execute::scatter::reduce`).

use crate::catalog::{Collation, Column, RelationInfo};
use crate::merge::types::oid;

use super::{Scratch, Table, quote_identifier};

/// More keys than this are no condition any more.
pub const KEYS_MAX: usize = 10_000;

/// Keys must be so many times fewer than the rows among which they choose.
const WORTH: u64 = 4;

/// An equality with a column of another table.
#[derive(Debug, Clone)]
pub struct Link {
    /// The other table, by its index.
    pub by: usize,
    /// The column of this table, quoted.
    column: String,
    /// The other's.
    their: String,
    /// Type of an array of keys.
    array: &'static str,
}

impl Link {
    /// None where the columns' equality is not understood. Tables and columns: this one's, and the other's.
    pub(super) fn new(
        (own, other): (&RelationInfo, &RelationInfo),
        (column, their): (&str, &str),
        by: usize,
    ) -> Option<Self> {
        let find = |info: &'_ RelationInfo, name: &str| {
            let column = info.columns.iter().find(|column| column.name == name)?;
            array_type(column)
        };
        let array = find(own, column)?;
        (find(other, their)? == array).then(|| Self {
            by,
            column: quote_identifier(column),
            their: quote_identifier(their),
            array,
        })
    }

    /// Asks the scratch session for the keys of the other table, which stands there under the bare name `table`: as a quoted
    /// array, or NULL if there are more than [`KEYS_MAX`].
    pub fn ask_keys(&self, table: &str) -> String {
        let Self { their, array, .. } = self;
        let table = quote_identifier(table);
        let beyond = KEYS_MAX + 1;
        format!(
            "SELECT CASE WHEN count(*) <= {KEYS_MAX} THEN quote_literal(coalesce(array_agg(k), '{{}}')::text) END \
             FROM (SELECT DISTINCT {their}::{element} AS k FROM pg_temp.{table} WHERE {their} IS NOT NULL \
             LIMIT {beyond}) AS keys",
            element = array.trim_end_matches("[]"),
        )
    }

    /// The condition on this table, from the quoted array.
    pub fn condition(&self, keys: &str) -> String {
        format!("{} = ANY ({keys}::{})", self.column, self.array)
    }

    /// The equality, for people.
    pub fn describe(&self) -> String {
        format!("{} = {}", self.column, self.their)
    }
}

/// Rows of tables, expected or gathered.
#[derive(Debug, Default)]
pub struct Counts<'a>(Vec<(&'a Table, u64)>);

impl<'a> Counts<'a> {
    pub fn note(&mut self, table: &'a Table, rows: u64) {
        self.0.push((table, rows));
    }

    /// None: nothing was noted of it.
    pub fn of(&self, table: &Table) -> Option<u64> {
        self.iter().find(|(known, _)| std::ptr::eq(*known, table)).map(|(_, rows)| rows)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a Table, u64)> {
        self.0.iter().copied()
    }
}

impl Scratch {
    /// Whether it matters how many rows the servers expect of a table: it is limited by another, or limits it.
    pub fn is_linked(&self, table: &Table) -> bool {
        let limits = |other: &Table| other.links.iter().any(|link| std::ptr::eq(self.table(link.by), table));
        !table.links.is_empty() || self.tables.iter().any(limits)
    }

    /// The tables in the order in which they are gathered: those first that are expected to be small.
    pub fn in_order(&self, changed: bool, expected: &Counts<'_>) -> Vec<&Table> {
        let mut tables: Vec<&Table> = self.tables(changed).collect();
        tables.sort_by_key(|table| expected.of(table).unwrap_or(0));
        tables
    }

    /// The link by which a table is limited, if one pays. `before`: what is gathered before it; `large`: fewer rows than
    /// that are gathered sooner than keys are asked for.
    pub fn reduced_by<'a>(
        &'a self,
        table: &'a Table,
        expected: &Counts<'_>,
        before: &Counts<'_>,
        large: usize,
    ) -> Option<&'a Link> {
        let expected = expected.of(table).filter(|expected| *expected >= large as u64)?;
        let by = table.links.iter().filter_map(|link| Some((before.of(self.table(link.by))?, link)));
        let (rows, link) = by.min_by_key(|(rows, _)| *rows)?;
        (rows.saturating_mul(WORTH) <= expected).then_some(link)
    }
}

fn array_type(column: &Column) -> Option<&'static str> {
    match column.type_oid {
        oid::INT2 | oid::INT4 | oid::INT8 => Some("bigint[]"),
        oid::TEXT | oid::VARCHAR if column.collation != Collation::Nondeterministic => Some("text[]"),
        oid::UUID => Some("uuid[]"),
        oid::DATE => Some("date[]"),
        _ => None,
    }
}
