//! Comparators of PostgreSQL's binary values, chosen by type OID: exact, or absent.
//!
//! [`super::RowMerge`] compares hidden sort columns with these. The rules are those of the type's default btree
//! operator class. Values are checked once, when a row becomes the head of its stream; comparing cannot fail.
//!
//! Invariants:
//! 1. A type without an entry in [`KeyType::of`] is never compared.
//! 2. Text is compared by bytes only where the planner proved that its collation is byte order.
//! 3. The order is total: NaN above all numbers and equal to itself, -0 equal to 0, as PostgreSQL has it.

use std::cmp::Ordering;

use super::error::MergeError;
use super::numeric;
use super::types::oid;

/// What is proved of the collation of a text sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOrder {
    /// C, POSIX and their like.
    Bytes,
    /// Any other, or not known.
    Unknown,
}

/// How a sort column's binary values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Unsigned big-endian or plain byte strings of this length: bool, "char", oid, uuid, pg_lsn, macaddr.
    Unsigned(u8),
    Int16,
    /// integer, date.
    Int32,
    /// bigint, timestamp, timestamptz, time, money.
    Int64,
    Float32,
    Float64,
    Numeric,
    Interval,
    TimeWithZone,
    /// bytea, name, text and varchar under a byte-order collation.
    Bytes,
    /// char(n) under a byte-order collation: trailing blanks do not count.
    Padded,
}

impl KeyType {
    /// The comparator of a type, None where there is no exact one.
    pub fn of(type_oid: u32, text: TextOrder) -> Option<Self> {
        Some(match type_oid {
            oid::BOOL | oid::CHAR => Self::Unsigned(1),
            oid::OID => Self::Unsigned(4),
            oid::MACADDR => Self::Unsigned(6),
            oid::MACADDR8 | oid::PG_LSN => Self::Unsigned(8),
            oid::UUID => Self::Unsigned(16),
            oid::INT2 => Self::Int16,
            oid::INT4 | oid::DATE => Self::Int32,
            oid::INT8 | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::TIME | oid::MONEY => Self::Int64,
            oid::FLOAT4 => Self::Float32,
            oid::FLOAT8 => Self::Float64,
            oid::NUMERIC => Self::Numeric,
            oid::INTERVAL => Self::Interval,
            oid::TIMETZ => Self::TimeWithZone,
            oid::BYTEA => Self::Bytes,
            oid::TEXT | oid::VARCHAR | oid::NAME if text == TextOrder::Bytes => Self::Bytes,
            oid::BPCHAR if text == TextOrder::Bytes => Self::Padded,
            _ => return None,
        })
    }

    /// Checks a value's form; [`KeyType::compare`] is exact on checked values.
    pub fn check(self, bytes: &[u8]) -> Result<(), MergeError> {
        let length = match self {
            Self::Unsigned(length) => usize::from(length),
            Self::Int16 => 2,
            Self::Int32 | Self::Float32 => 4,
            Self::Int64 | Self::Float64 => 8,
            Self::Interval => 16,
            Self::TimeWithZone => 12,
            Self::Numeric => return numeric::check(bytes),
            Self::Bytes | Self::Padded => return Ok(()),
        };
        if bytes.len() == length { Ok(()) } else { Err(MergeError::Malformed("sort column length")) }
    }

    /// Orders two checked values, ascending.
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Unsigned(_) | Self::Bytes => a.cmp(b),
            Self::Padded => unpadded(a).cmp(unpadded(b)),
            Self::Int16 => i16::from_be_bytes(first(a)).cmp(&i16::from_be_bytes(first(b))),
            Self::Int32 => i32::from_be_bytes(first(a)).cmp(&i32::from_be_bytes(first(b))),
            Self::Int64 => i64::from_be_bytes(first(a)).cmp(&i64::from_be_bytes(first(b))),
            Self::Float32 => floats(f32::from_be_bytes(first(a)).into(), f32::from_be_bytes(first(b)).into()),
            Self::Float64 => floats(f64::from_be_bytes(first(a)), f64::from_be_bytes(first(b))),
            Self::Numeric => numeric::compare(a, b),
            Self::Interval => interval_span(a).cmp(&interval_span(b)),
            Self::TimeWithZone => time_with_zone(a).cmp(&time_with_zone(b)),
        }
    }
}

/// One ORDER BY key over a hidden column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    pub key_type: KeyType,
    pub descending: bool,
    pub nulls_first: bool,
}

impl SortKey {
    /// Orders two checked values, NULLs included.
    pub fn compare(&self, a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) => {
                let ascending = self.key_type.compare(a, b);
                if self.descending { ascending.reverse() } else { ascending }
            }
            (None, None) => Ordering::Equal,
            (None, Some(_)) if self.nulls_first => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) if self.nulls_first => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
        }
    }
}

/// The first N bytes of a checked value.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk::<N>().copied().unwrap_or([0; N])
}

/// `float8_cmp_internal`: NaN equals NaN and is above everything; -0 = 0.
fn floats(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// `interval_cmp_value`: a month is 30 days, a day 24 hours; in microseconds.
fn interval_span(bytes: &[u8]) -> i128 {
    let micros = i64::from_be_bytes(first(bytes));
    let days = i32::from_be_bytes(first(bytes.get(8..).unwrap_or_default()));
    let months = i32::from_be_bytes(first(bytes.get(12..).unwrap_or_default()));
    (i128::from(months) * 30 + i128::from(days)) * 86_400_000_000 + i128::from(micros)
}

/// `timetz_cmp_internal`: the instant first, then the zone (seconds west of Greenwich).
fn time_with_zone(bytes: &[u8]) -> (i64, i32) {
    let time = i64::from_be_bytes(first(bytes));
    let zone = i32::from_be_bytes(first(bytes.get(8..).unwrap_or_default()));
    (time.saturating_add(i64::from(zone) * 1_000_000), zone)
}

/// `bcTruelen`: the value without trailing blanks.
fn unpadded(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(months: i32, days: i32, micros: i64) -> Vec<u8> {
        let mut out = micros.to_be_bytes().to_vec();
        out.extend(days.to_be_bytes());
        out.extend(months.to_be_bytes());
        out
    }

    #[test]
    fn interval_thirty_days_equal_a_month_and_a_day_24_hours() {
        let compare = |a: &[u8], b: &[u8]| KeyType::Interval.compare(a, b);
        assert_eq!(compare(&interval(1, 0, 0), &interval(0, 30, 0)), Ordering::Equal);
        assert_eq!(compare(&interval(0, 1, 0), &interval(0, 0, 86_400_000_000)), Ordering::Equal);
        assert_eq!(compare(&interval(0, 0, -1), &interval(0, 0, 0)), Ordering::Less);
        assert_eq!(
            compare(&interval(i32::MAX, i32::MAX, i64::MAX), &interval(i32::MAX, i32::MAX, i64::MAX - 1)),
            Ordering::Greater
        );
    }

    #[test]
    fn floats_order_nan_last_and_zeros_equal() {
        let bytes = |x: f64| x.to_be_bytes();
        let compare = |a: f64, b: f64| KeyType::Float64.compare(&bytes(a), &bytes(b));
        assert_eq!(compare(f64::NAN, f64::INFINITY), Ordering::Greater);
        assert_eq!(compare(f64::NAN, -f64::NAN), Ordering::Equal);
        assert_eq!(compare(-0.0, 0.0), Ordering::Equal);
        assert_eq!(compare(f64::NEG_INFINITY, f64::MIN), Ordering::Less);
    }

    #[test]
    fn times_with_zone_order_by_instant_then_zone() {
        let value = |hours: i64, west: i32| {
            let mut out = (hours * 3_600_000_000).to_be_bytes().to_vec();
            out.extend((west * 3600).to_be_bytes());
            out
        };
        let compare = |a: &[u8], b: &[u8]| KeyType::TimeWithZone.compare(a, b);
        assert_eq!(compare(&value(10, 0), &value(11, -1)), Ordering::Greater);
        assert_eq!(compare(&value(10, 0), &value(11, 0)), Ordering::Less);
        assert_eq!(compare(&value(10, 0), &value(10, 0)), Ordering::Equal);
    }

    #[test]
    fn blanks_at_the_end_of_char_do_not_count() {
        assert_eq!(KeyType::Padded.compare(b"ab  ", b"ab"), Ordering::Equal);
        assert_eq!(KeyType::Padded.compare(b"a b", b"ab"), Ordering::Less);
        assert_eq!(KeyType::Padded.compare(b"   ", b""), Ordering::Equal);
    }

    #[test]
    fn text_needs_a_proved_order() {
        assert_eq!(KeyType::of(oid::TEXT, TextOrder::Unknown), None);
        assert_eq!(KeyType::of(oid::TEXT, TextOrder::Bytes), Some(KeyType::Bytes));
        assert_eq!(KeyType::of(oid::JSONB, TextOrder::Bytes), None);
        assert_eq!(KeyType::of(16_500, TextOrder::Bytes), None);
    }

    #[test]
    fn wrong_lengths_are_malformed() {
        assert!(KeyType::Int32.check(&[0; 8]).is_err());
        assert!(KeyType::Interval.check(&[0; 16]).is_ok());
        assert!(KeyType::Unsigned(16).check(&[0; 15]).is_err());
    }

    #[test]
    fn nulls_stand_where_they_are_told() {
        let key = |descending, nulls_first| SortKey { key_type: KeyType::Int16, descending, nulls_first };
        let one = 1i16.to_be_bytes();
        for descending in [false, true] {
            assert_eq!(key(descending, true).compare(None, Some(&one)), Ordering::Less);
            assert_eq!(key(descending, false).compare(None, Some(&one)), Ordering::Greater);
            assert_eq!(key(descending, false).compare(None, None), Ordering::Equal);
        }
    }

    proptest! {
        #[test]
        fn integers_order_as_integers(a: i64, b: i64) {
            prop_assert_eq!(KeyType::Int64.compare(&a.to_be_bytes(), &b.to_be_bytes()), a.cmp(&b));
            let (c, d) = (a as i32, b as i32);
            prop_assert_eq!(KeyType::Int32.compare(&c.to_be_bytes(), &d.to_be_bytes()), c.cmp(&d));
            let (e, f) = (a as u32, b as u32);
            prop_assert_eq!(KeyType::Unsigned(4).compare(&e.to_be_bytes(), &f.to_be_bytes()), e.cmp(&f));
        }

        #[test]
        fn intervals_order_as_microseconds(
            a in (-99i32..99, -99i32..99, -9_000_000_000_000i64..9_000_000_000_000),
            b in (-99i32..99, -99i32..99, -9_000_000_000_000i64..9_000_000_000_000),
        ) {
            let span = |(months, days, micros): (i32, i32, i64)| {
                (i64::from(months) * 30 + i64::from(days)) * 24 * 3600 * 1_000_000 + micros
            };
            let (left, right) = (interval(a.0, a.1, a.2), interval(b.0, b.1, b.2));
            prop_assert_eq!(KeyType::Interval.compare(&left, &right), span(a).cmp(&span(b)));
        }
    }
}
