//! A table as the console shows it: columns with types, rows of cells, and how these stand on the wire. Pure.
//!
//! `show` makes tables, `conversation` sends them. A value is kept as what it is and written as text or binary when
//! the client has said which it wants.
//!
//! Invariants:
//! 1. A row has exactly as many cells as the table has columns.
//! 2. Text and binary forms of a value are those of PostgreSQL's own types.

use std::time::Duration;

use bytes::BytesMut;

use crate::wire::backend::Field;
use crate::wire::encode;

/// The types of the console's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    Text,
    Int4,
    Int8,
    Float8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: ColumnType,
}

pub const fn text(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Text }
}

pub const fn int4(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Int4 }
}

pub const fn int8(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Int8 }
}

pub const fn float8(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Float8 }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Text(String),
    /// For `int4` and `int8`; a value beyond the column's type is cut to its end.
    Integer(i64),
    Float(f64),
}

/// What a SHOW answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub columns: &'static [Column],
    pub rows: Vec<Vec<Cell>>,
}

/// How a client wants the columns of a result: none, one for all, or one for each; 0 is text, 1 is binary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Formats(pub Vec<i16>);

impl Formats {
    fn of(&self, index: usize) -> i16 {
        match self.0.as_slice() {
            [] => 0,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(0),
        }
    }
}

impl ColumnType {
    const fn oid(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Int4 => 23,
            Self::Int8 => 20,
            Self::Float8 => 701,
        }
    }

    const fn length(self) -> i16 {
        match self {
            Self::Text => -1,
            Self::Int4 => 4,
            Self::Int8 | Self::Float8 => 8,
        }
    }
}

/// Appends the RowDescription of the columns.
pub fn describe(columns: &[Column], formats: &Formats, out: &mut BytesMut) {
    let field = |(index, column): (usize, &Column)| Field {
        name: column.name.as_bytes(),
        table_oid: 0,
        attribute_number: 0,
        type_oid: column.kind.oid(),
        type_length: column.kind.length(),
        type_modifier: -1,
        format: formats.of(index),
    };
    let fields: Vec<_> = columns.iter().enumerate().map(field).collect();
    encode::server::row_description(out, &fields);
}

/// Appends one DataRow.
pub fn data_row(columns: &[Column], row: &[Cell], formats: &Formats, out: &mut BytesMut) {
    let cells = row.iter().zip(columns).enumerate();
    let values: Vec<_> =
        cells.map(|(index, (cell, column))| value(cell, column.kind, formats.of(index))).collect();
    let borrowed: Vec<_> = values.iter().map(|value| value.as_deref()).collect();
    encode::server::data_row(out, &borrowed);
}

fn value(cell: &Cell, kind: ColumnType, format: i16) -> Option<Vec<u8>> {
    let binary = format == 1;
    match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text.clone().into_bytes()),
        Cell::Integer(number) => Some(match (binary, kind) {
            (true, ColumnType::Int4) => cut(*number).to_be_bytes().to_vec(),
            (true, ColumnType::Int8) => number.to_be_bytes().to_vec(),
            (true, ColumnType::Float8) => (*number as f64).to_be_bytes().to_vec(),
            (false, ColumnType::Int4) => cut(*number).to_string().into_bytes(),
            (_, ColumnType::Text) | (false, _) => number.to_string().into_bytes(),
        }),
        Cell::Float(number) if binary => Some(number.to_be_bytes().to_vec()),
        Cell::Float(number) => Some(number.to_string().into_bytes()),
    }
}

fn cut(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

impl Cell {
    pub fn count(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A counter; one beyond what `int8` holds is not known to be right, and is not shown.
    pub fn unsigned(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Null, Self::Integer)
    }

    pub fn yes_no(yes: bool) -> Self {
        Self::Text(if yes { "yes" } else { "no" }.to_owned())
    }

    /// Seconds to the millisecond; an endless time is NULL.
    pub fn seconds(time: Duration) -> Self {
        if time >= ENDLESS { Self::Null } else { Self::Float(time.as_millis() as f64 / 1e3) }
    }

    /// Milliseconds to the microsecond.
    pub fn milliseconds(time: Duration) -> Self {
        if time >= ENDLESS { Self::Null } else { Self::Float(time.as_micros() as f64 / 1e3) }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// No time that is measured is this long: a lag beyond it is one that is not known.
pub const ENDLESS: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_both_formats_as_their_types_say() {
        let number = Cell::Integer(258);
        assert_eq!(value(&number, ColumnType::Int4, 0).as_deref(), Some(&b"258"[..]));
        assert_eq!(value(&number, ColumnType::Int4, 1).as_deref(), Some(&[0, 0, 1, 2][..]));
        assert_eq!(value(&number, ColumnType::Int8, 1).as_deref(), Some(&[0, 0, 0, 0, 0, 0, 1, 2][..]));
        assert_eq!(value(&Cell::Float(0.25), ColumnType::Float8, 0).as_deref(), Some(&b"0.25"[..]));
        assert_eq!(
            value(&Cell::Float(0.25), ColumnType::Float8, 1).as_deref(),
            Some(&0.25f64.to_be_bytes()[..])
        );
        assert_eq!(value(&Cell::Null, ColumnType::Text, 1), None);
        assert_eq!(value(&Cell::Integer(i64::MAX), ColumnType::Int4, 0).as_deref(), Some(&b"2147483647"[..]));
    }

    #[test]
    fn unknown_times_are_null() {
        assert_eq!(Cell::seconds(Duration::from_micros(u64::MAX)), Cell::Null);
        assert_eq!(Cell::seconds(Duration::from_micros(1_500_400)), Cell::Float(1.5));
        assert_eq!(Cell::milliseconds(Duration::from_micros(1_500)), Cell::Float(1.5));
        assert_eq!(Cell::unsigned(u64::MAX), Cell::Null);
    }
}
