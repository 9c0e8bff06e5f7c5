//! The numbers of types in messages: the client's are the default shard's, each server is told its own.
//!
//! Called by the relay and by scatters for lanes of shards that call types otherwise ([`Numbers`]). Pure. Numbers have
//! four bytes in every message, so that all is done in place.
//!
//! ```text
//!   Parse                      declared types        default ─▶ shard
//!   ParameterDescription, RowDescription             shard ─▶ default
//!   DataRow, binary            {3: arrays, records}  the numbers inside of the values, too
//! ```
//!
//! Invariants:
//! 1. The client is told no number of another shard: what has none on the default shard is an error.
//! 2. A declared type that the shard does not have reaches it as [`NO_TYPE`], which no server has.
//! 3. Values in text, and in binary of types that name no others, are not looked into.

use crate::catalog::{Numbers, Shape};
use crate::wire::DecodeError;
use crate::wire::frame::HEADER_BYTES;

/// No server gives this number to a type: it says so.
const NO_TYPE: u32 = u32::MAX;

/// A column in binary whose values may name types, with its type on the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    pub column: usize,
    pub type_oid: u32,
}

/// What a RowDescription says of the rows' values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Carried {
    pub carriers: Vec<Carrier>,
    /// No column's values would name types, even if all were in binary.
    pub plain: bool,
}

/// Why something cannot be told to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("a type with OID {0} that is not known on the default shard")]
    UnknownType(u32),
    #[error("a range of values that name types")]
    Range,
    #[error("{0}")]
    Decode(#[from] DecodeError),
}

/// Bytes that are read and written over.
struct Cursor<'a> {
    bytes: &'a mut [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a mut [u8], DecodeError> {
        let bytes = std::mem::take(&mut self.bytes);
        let Some((taken, rest)) = bytes.split_at_mut_checked(length) else {
            return Err(DecodeError::InsufficientData);
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<&'a mut [u8; 4], DecodeError> {
        self.take(4)?.first_chunk_mut().ok_or(DecodeError::InsufficientData)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(*self.number()?))
    }

    fn u16(&mut self) -> Result<usize, DecodeError> {
        let bytes = self.take(2)?.first_chunk::<2>().ok_or(DecodeError::InsufficientData)?;
        Ok(usize::from(u16::from_be_bytes(*bytes)))
    }

    fn skip_string(&mut self) -> Result<(), DecodeError> {
        let end = self.bytes.iter().position(|byte| *byte == 0).ok_or(DecodeError::InsufficientData)?;
        self.take(end + 1).map(|_| ())
    }

    /// A value after its length; None: NULL.
    fn value(&mut self) -> Result<Option<&'a mut [u8]>, DecodeError> {
        match i32::from_be_bytes(*self.number()?) {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map_err(|_| DecodeError::InsufficientData)
                .and_then(|length| self.take(length))
                .map(Some),
        }
    }
}

/// The declared types of a Parse frame, which stand at its end.
pub fn declare(frame: &mut [u8], count: usize, numbers: &Numbers) {
    let start = frame.len().saturating_sub(count * 4);
    for number in frame[start..].chunks_exact_mut(4) {
        if let Some(number) = number.first_chunk_mut::<4>() {
            let declared = u32::from_be_bytes(*number);
            *number = numbers.type_to_shard(declared).unwrap_or(NO_TYPE).to_be_bytes();
        }
    }
}

/// How many types a Parse declares; `tail` is the message after its name.
pub fn declared(tail: &[u8]) -> usize {
    let end = tail.iter().position(|byte| *byte == 0).map_or(tail.len(), |end| end + 1);
    tail[end..].first_chunk::<2>().map_or(0, |count| usize::from(u16::from_be_bytes(*count)))
}

/// The body of a ParameterDescription.
pub fn tell_parameters(body: &mut [u8], numbers: &Numbers) -> Result<(), NumberError> {
    let mut cursor = Cursor { bytes: body };
    for _ in 0..cursor.u16()? {
        tell(cursor.number()?, numbers)?;
    }
    Ok(())
}

/// The body of a RowDescription.
pub fn tell_columns(body: &mut [u8], numbers: &Numbers) -> Result<Carried, NumberError> {
    let mut carried = Carried { carriers: Vec::new(), plain: true };
    let mut cursor = Cursor { bytes: body };
    for column in 0..cursor.u16()? {
        cursor.skip_string()?;
        let table = cursor.number()?;
        *table = numbers.table_to_default(u32::from_be_bytes(*table)).to_be_bytes();
        cursor.take(2)?;
        let type_oid = tell(cursor.number()?, numbers)?;
        // Length and modifier.
        cursor.take(6)?;
        let binary = cursor.u16()? == 1;
        let carries = numbers.carries(type_oid);
        carried.plain &= !carries;
        if binary && carries {
            carried.carriers.push(Carrier { column, type_oid });
        }
    }
    Ok(carried)
}

/// A whole DataRow frame.
pub fn tell_row(frame: &mut [u8], carriers: &[Carrier], numbers: &Numbers) -> Result<(), NumberError> {
    let mut cursor = Cursor { bytes: frame };
    cursor.take(HEADER_BYTES)?;
    for column in 0..cursor.u16()? {
        let value = cursor.value()?;
        let carrier = carriers.iter().find(|carrier| carrier.column == column);
        if let (Some(value), Some(carrier)) = (value, carrier) {
            tell_value(value, carrier.type_oid, numbers)?;
        }
    }
    Ok(())
}

/// `type_oid` and what stands in the value are the shard's. The forms are those of `array_send` and `record_send`.
fn tell_value(value: &mut [u8], type_oid: u32, numbers: &Numbers) -> Result<(), NumberError> {
    let mut cursor = Cursor { bytes: value };
    match numbers.shape(type_oid) {
        Shape::Plain => Ok(()),
        Shape::Domain(base) => tell_value(cursor.bytes, base, numbers),
        Shape::Range(within) if numbers.carries(within) => Err(NumberError::Range),
        Shape::Range(_) => Ok(()),
        Shape::Array => {
            let dimensions = cursor.u32()? as usize;
            // Whether there are NULLs.
            cursor.take(4)?;
            let element = tell(cursor.number()?, numbers)?;
            let mut elements = usize::from(dimensions > 0);
            for _ in 0..dimensions {
                elements = elements.saturating_mul(cursor.u32()? as usize);
                // The lower bound.
                cursor.take(4)?;
            }
            if !numbers.carries(element) {
                return Ok(());
            }
            for _ in 0..elements {
                if let Some(value) = cursor.value()? {
                    tell_value(value, element, numbers)?;
                }
            }
            Ok(())
        }
        Shape::Record => {
            for _ in 0..cursor.u32()? {
                let field = tell(cursor.number()?, numbers)?;
                if let Some(value) = cursor.value()? {
                    tell_value(value, field, numbers)?;
                }
            }
            Ok(())
        }
    }
}

/// Writes the default shard's number over the shard's, which is returned.
fn tell(number: &mut [u8; 4], numbers: &Numbers) -> Result<u32, NumberError> {
    let shards = u32::from_be_bytes(*number);
    *number = numbers.type_to_default(shards).ok_or(NumberError::UnknownType(shards))?.to_be_bytes();
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Objects;
    use crate::sql::name::ObjectName;

    /// Type `mood` is 20000 here and 30000 there, its array 20001 and 30001, a composite 20002 and 30002.
    fn numbers() -> std::sync::Arc<Numbers> {
        let named = |first: u32| {
            let names = ["mood", "_mood", "pair"].iter().zip(first..);
            names.map(|(name, number)| (number, ObjectName::qualified("public", *name))).collect()
        };
        let shapes =
            [(30000, (Shape::Plain, 0)), (30001, (Shape::Array, 30000)), (30002, (Shape::Record, 0))];
        let default = Objects { types: named(20000), ..Objects::default() };
        let shard =
            Objects { types: named(30000), shapes: shapes.into_iter().collect(), ..Objects::default() };
        Numbers::between(Some(&shard), &default).unwrap()
    }

    fn array_of(element: u32, value: &[u8]) -> Vec<u8> {
        let words = [1, 0, element, 1, 1, value.len() as u32];
        [words.map(u32::to_be_bytes).concat(), value.to_vec()].concat()
    }

    #[test]
    fn declared_types_become_the_shards() {
        let mut frame = [20000_u32, 23, 20009].map(u32::to_be_bytes).concat();
        declare(&mut frame, 3, &numbers());
        assert_eq!(frame, [30000_u32, 23, NO_TYPE].map(u32::to_be_bytes).concat());
        assert_eq!(declared(b"SELECT $1\0\0\x02\0\0\0\x17\0\0\0\x17"), 2);
    }

    #[test]
    fn numbers_inside_of_values_become_the_default_shards() {
        let numbers = numbers();
        let mut array = array_of(30000, b"sad");
        tell_value(&mut array, 30001, &numbers).unwrap();
        assert_eq!(array, array_of(20000, b"sad"));
        let record = |types: [u32; 2], inside: &[u8]| {
            let mut bytes = 2_u32.to_be_bytes().to_vec();
            for (of, value) in types.iter().zip([&b"\0\0\0\x01"[..], inside]) {
                bytes.extend(of.to_be_bytes());
                bytes.extend((value.len() as u32).to_be_bytes());
                bytes.extend(value);
            }
            bytes
        };
        let mut nested = record([23, 30001], &array_of(30000, b"sad"));
        tell_value(&mut nested, 2249, &numbers).unwrap();
        assert_eq!(nested, record([23, 20001], &array_of(20000, b"sad")));
    }

    #[test]
    fn unknown_types_and_torn_values_are_errors() {
        let numbers = numbers();
        let mut array = array_of(30009, b"sad");
        assert_eq!(tell_value(&mut array, 2287, &numbers), Err(NumberError::UnknownType(30009)));
        for length in 1..array_of(30001, b"").len() {
            let mut torn = array_of(30001, b"")[..length].to_vec();
            assert!(tell_value(&mut torn, 2287, &numbers).is_err(), "{length}");
        }
    }
}
