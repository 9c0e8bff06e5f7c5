//! Partial rows of an aggregate, kept column by column as binary array parameters.
//!
//! The driver pushes every shard's DataRow frames (all columns binary) and hands [`PartialRows::into_arrays`] to
//! the one PostgreSQL that finishes the statement: `FROM unnest($k::bigint[], …)`. A field on the wire (length
//! word and bytes) is exactly an element of a binary array, so a row is copied once and never decoded.
//!
//! ```text
//! array_recv:  ndim | has nulls | element type | size | lower bound 1 | (length, bytes)*      all 32-bit words
//! ```
//!
//! Bounded: beyond `rows_max` or `bytes_max` pushing fails, and the statement with it.

use bytes::{BufMut, BytesMut};

use super::error::MergeError;
use super::row::Row;

/// ndim, flags, element type, size, lower bound.
const ARRAY_HEADER: usize = 20;

/// How much may be gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialLimits {
    pub rows_max: usize,
    /// Over all columns, length words included.
    pub bytes_max: usize,
}

impl Default for PartialLimits {
    /// A million groups or 256 MiB: a quarter of what one PostgreSQL parameter may hold.
    fn default() -> Self {
        Self { rows_max: 1_000_000, bytes_max: 256 << 20 }
    }
}

#[derive(Debug)]
struct Column {
    element_oid: u32,
    has_nulls: bool,
    /// Space for the header, then the elements.
    array: BytesMut,
}

/// Gathers partial rows into one array per column.
#[derive(Debug)]
pub struct PartialRows {
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    limits: PartialLimits,
}

impl PartialRows {
    /// `element_oids`: the type of each column, as the shards' RowDescription says.
    pub fn new(element_oids: &[u32], limits: PartialLimits) -> Self {
        let column = |element_oid: &u32| Column {
            element_oid: *element_oid,
            has_nulls: false,
            array: BytesMut::zeroed(ARRAY_HEADER),
        };
        Self { columns: element_oids.iter().map(column).collect(), rows: 0, bytes: 0, limits }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends a whole DataRow frame. After an error the gathered rows are of no use.
    pub fn push(&mut self, frame: &[u8]) -> Result<(), MergeError> {
        let row = Row::parse(frame)?;
        if row.columns() != self.columns.len() {
            return Err(MergeError::Malformed("partial row of another width"));
        }
        if self.rows >= self.limits.rows_max {
            return Err(MergeError::TooManyRows { max: self.limits.rows_max });
        }
        self.bytes = self.bytes.saturating_add(frame.len());
        if self.bytes > self.limits.bytes_max {
            return Err(MergeError::TooManyBytes { max: self.limits.bytes_max });
        }
        let mut fields = row.fields();
        for column in &mut self.columns {
            let start = fields.offset();
            if let Some(None) = fields.next_field()? {
                column.has_nulls = true;
            }
            column.array.put_slice(frame.get(start..fields.offset()).unwrap_or_default());
        }
        fields.finish()?;
        self.rows += 1;
        Ok(())
    }

    /// The values of the array parameters, in the columns' order, in binary format.
    pub fn into_arrays(self) -> Vec<BytesMut> {
        // A count of rows is bounded by rows_max; PostgreSQL's own bound on elements is far below i32::MAX.
        let rows = i32::try_from(self.rows).unwrap_or(i32::MAX);
        self.columns.into_iter().map(|column| column.finish(rows)).collect()
    }
}

impl Column {
    fn finish(mut self, rows: i32) -> BytesMut {
        let words = match rows {
            0 => {
                self.array.truncate(12);
                vec![0, 0, self.element_oid]
            }
            // Rows are positive here.
            _ => vec![1, u32::from(self.has_nulls), self.element_oid, rows as u32, 1],
        };
        for (slot, word) in self.array.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        self.array
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::row::tests::frame;
    use crate::merge::types::oid;

    fn words(bytes: &[u8]) -> Vec<i32> {
        bytes.chunks_exact(4).map(|w| i32::from_be_bytes(w.try_into().unwrap())).collect()
    }

    #[test]
    fn rows_become_arrays() {
        let mut partial = PartialRows::new(&[oid::INT4, oid::INT4], PartialLimits::default());
        let (one, two) = (1i32.to_be_bytes(), 2i32.to_be_bytes());
        partial.push(&frame(&[Some(&one), None])).unwrap();
        partial.push(&frame(&[Some(&two), Some(&one)])).unwrap();
        assert_eq!(partial.rows(), 2);
        let arrays = partial.into_arrays();
        assert_eq!(words(&arrays[0]), [1, 0, 23, 2, 1, 4, 1, 4, 2]);
        assert_eq!(words(&arrays[1]), [1, 1, 23, 2, 1, -1, 4, 1]);
    }

    #[test]
    fn no_rows_make_an_empty_array() {
        let arrays = PartialRows::new(&[oid::NUMERIC], PartialLimits::default()).into_arrays();
        assert_eq!(words(&arrays[0]), [0, 0, 1700]);
    }

    #[test]
    fn gathering_is_bounded() {
        let limits = PartialLimits { rows_max: 2, bytes_max: 1 << 20 };
        let mut partial = PartialRows::new(&[oid::TEXT], limits);
        partial.push(&frame(&[Some(b"a")])).unwrap();
        partial.push(&frame(&[Some(b"b")])).unwrap();
        assert_eq!(partial.push(&frame(&[Some(b"c")])), Err(MergeError::TooManyRows { max: 2 }));

        let mut partial = PartialRows::new(&[oid::TEXT], PartialLimits { rows_max: 99, bytes_max: 30 });
        partial.push(&frame(&[Some(b"0123456789")])).unwrap();
        assert_eq!(partial.push(&frame(&[Some(b"0123456789")])), Err(MergeError::TooManyBytes { max: 30 }));
    }

    #[test]
    fn rows_of_another_width_are_errors() {
        let mut partial = PartialRows::new(&[oid::TEXT], PartialLimits::default());
        assert!(partial.push(&frame(&[])).is_err());
        assert!(partial.push(b"X").is_err());
    }
}
