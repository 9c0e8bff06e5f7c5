//! Rows of which equal ones pass once: DISTINCT where equal rows are equal bytes.
//!
//! The driver shows every shard's DataRow frame to [`DistinctRows::is_new`] and passes on what is. All shards answer
//! in the same formats under the same settings, so that for the types of [`is_told_by_bytes`] a value has one spelling.
//!
//! Invariants:
//! 1. A type with two spellings of equal values (`0` and `-0`, `1.0` and `1.00`, `'a'` and `'a '`) is not told by bytes.
//! 2. Nothing is allocated per row: bodies stand one behind the other. Beyond the limits a new row is an error; what the
//!    table needs to find a body counts, too.
//! 3. A body is hashed once per row that comes, however often the table grows.

use std::hash::BuildHasher;
use std::hash::RandomState;

use hashbrown::HashTable;

use super::error::MergeError;
use super::partial::PartialLimits;
use super::types::oid;
use crate::wire::frame::HEADER_BYTES;

/// Whether values of a type are equal exactly where their bytes are, in text and in binary. Text: under a
/// deterministic collation, which the caller has proved.
pub fn is_told_by_bytes(type_oid: u32) -> bool {
    matches!(
        type_oid,
        oid::BOOL
            | oid::BYTEA
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::OID
            | oid::TEXT
            | oid::VARCHAR
            | oid::UUID
            | oid::DATE
            | oid::TIME
            | oid::TIMESTAMP
    )
}

/// Where a body stands in `bodies`. The hash is kept: growing moves every place, and would read every body for it.
#[derive(Debug)]
struct Place {
    hash: u64,
    start: usize,
    end: usize,
}

/// Bytes of a place in the table, with its control byte.
const PLACE_BYTES: usize = size_of::<Place>() + 1;

/// The rows that were seen, by their bytes.
#[derive(Debug)]
pub struct DistinctRows {
    seen: HashTable<Place>,
    bodies: Vec<u8>,
    hasher: RandomState,
    limits: PartialLimits,
}

impl DistinctRows {
    pub fn new(limits: PartialLimits) -> Self {
        Self { seen: HashTable::new(), bodies: Vec::new(), hasher: RandomState::new(), limits }
    }

    /// Whether this whole DataRow frame is not equal to an earlier one; it is remembered.
    pub fn is_new(&mut self, frame: &[u8]) -> Result<bool, MergeError> {
        let body = frame.get(HEADER_BYTES..).ok_or(MergeError::Malformed("a row without a header"))?;
        let Self { seen, bodies, hasher, limits } = self;
        let hash = hasher.hash_one(body);
        let same = |place: &Place| place.hash == hash && bodies.get(place.start..place.end) == Some(body);
        if seen.find(hash, same).is_some() {
            return Ok(false);
        }
        if seen.len() >= limits.rows_max {
            return Err(MergeError::TooManyRows { max: limits.rows_max });
        }
        let place = Place { hash, start: bodies.len(), end: bodies.len() + body.len() };
        if place.end + (seen.len() + 1) * PLACE_BYTES > limits.bytes_max {
            return Err(MergeError::TooManyBytes { max: limits.bytes_max });
        }
        seen.insert_unique(hash, place, |place| place.hash);
        bodies.extend_from_slice(body);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode;
    use bytes::BytesMut;

    fn frame(columns: &[Option<&[u8]>]) -> BytesMut {
        let mut out = BytesMut::new();
        encode::server::data_row(&mut out, columns);
        out
    }

    #[test]
    fn equal_rows_pass_once() {
        let mut rows = DistinctRows::new(PartialLimits::default());
        let texts: [&[Option<&[u8]>]; 7] = [
            &[Some(b"a"), None],
            &[None, Some(b"a")],
            &[Some(b"a"), Some(b"")],
            &[Some(b"a"), None],
            &[Some(b""), Some(b"a")],
            &[Some(b"a"), Some(b"")],
            &[None, None],
        ];
        let new: Vec<bool> = texts.iter().map(|row| rows.is_new(&frame(row)).unwrap()).collect();
        assert_eq!(new, [true, true, true, false, true, false, true]);
    }

    #[test]
    fn many_rows_are_found_again_as_the_table_grows() {
        let mut rows = DistinctRows::new(PartialLimits::default());
        for round in 0..2 {
            for number in 0..10_000u32 {
                assert_eq!(rows.is_new(&frame(&[Some(&number.to_be_bytes())])), Ok(round == 0));
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut rows = DistinctRows::new(PartialLimits { rows_max: 2, bytes_max: 1 << 20 });
        rows.is_new(&frame(&[Some(b"a")])).unwrap();
        rows.is_new(&frame(&[Some(b"b")])).unwrap();
        assert_eq!(rows.is_new(&frame(&[Some(b"a")])), Ok(false));
        assert_eq!(rows.is_new(&frame(&[Some(b"c")])), Err(MergeError::TooManyRows { max: 2 }));

        // Two bytes count the columns, four each value's length.
        let bytes_max = 2 * PLACE_BYTES + 16 + 10;
        let mut rows = DistinctRows::new(PartialLimits { rows_max: 9, bytes_max });
        rows.is_new(&frame(&[Some(b"0123456789")])).unwrap();
        assert_eq!(rows.is_new(&frame(&[Some(b"other")])), Err(MergeError::TooManyBytes { max: bytes_max }));
        assert_eq!(rows.is_new(&frame(&[Some(b"four")])), Ok(true));
        assert!(rows.is_new(b"D").is_err());
    }
}
