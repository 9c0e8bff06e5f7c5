//! From a row of COPY to its shard.
//!
//! Called by `copy_in` for every row; asks the topology's placements. Pure.
//!
//! ```text
//!   3,eu-central,52.52,13.40   ─▶  key 'eu-central' ─▶ shard eu-central
//!                                  (52.52, 13.40) lies in eu-central ─▶ agreed
//! ```
//!
//! Invariants:
//! 1. A row that goes to a shard is one that the placement gives to this shard; a row that contradicts itself, or
//!    whose key cannot be read with certainty, ends the copy.
//! 2. The error names the line as PostgreSQL does, in the CONTEXT field, and the column where it is about one.
//!
//! Not here: rows that are wrong in other ways; the shard's server judges those.

use super::fields::{Field, Fields};
use super::rows::{Encoding, RowError, RowFormat};
use super::splitter::Row;
use crate::plan::copy::CopyIn;
use crate::plan::{is_clock_word, misplaced, oid, own_oid, refusal};
use crate::sql::facts::CopyFormat;
use crate::topology::{Key, KeyType, Placement, RowPosition, ShardId, TableRule, Topology};
use crate::wire::error::SqlError;

/// Where a row goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    One(ShardId),
    /// A reference table's row.
    Every,
    /// The key's column is missing, which is this error; a server may find one in the columns before it.
    Lacking(SqlError),
}

/// Places the rows of one COPY.
#[derive(Debug)]
pub struct Placer<'a> {
    rule: &'a TableRule,
    columns: &'a [String],
    types: &'a [u32],
    binary: bool,
    key: Option<(usize, KeyType)>,
    latitude: Option<usize>,
    longitude: Option<usize>,
    geohash: Option<usize>,
    encoding: Encoding,
    fields: Fields,
}

impl<'a> Placer<'a> {
    /// `key_type` is that of the rule's key column, if the rule has one. Refused where the key is not sent.
    pub fn new(plan: &'a CopyIn, key_type: Option<KeyType>, encoding: Encoding) -> Result<Self, SqlError> {
        let rule = &plan.rule;
        let at = |name: &str| plan.columns.iter().position(|column| column == name);
        let optional = |name: Option<&String>| name.and_then(|name| at(name));
        let key = match (rule.key(), key_type) {
            (None, _) => None,
            (Some(name), Some(key_type)) => match at(name) {
                Some(index) => Some((index, key_type)),
                None => return Err(missing_key(rule, name)),
            },
            (Some(name), None) => return Err(missing_key(rule, name)),
        };
        let position = rule.position.as_ref();
        let latitude = optional(position.and_then(|columns| columns.latitude.as_ref()));
        let longitude = optional(position.and_then(|columns| columns.longitude.as_ref()));
        let geohash = optional(position.and_then(|columns| columns.geohash.as_ref()));
        let wanted = key.map(|(index, _)| index).into_iter().chain(latitude).chain(longitude).chain(geohash);
        // In a reference table's row, each field may be a clock.
        let wanted = match rule.placement {
            Placement::Reference => (0..plan.columns.len()).collect(),
            _ => wanted.collect(),
        };
        let fields = Fields::new(wanted);
        let (columns, types) = (&plan.columns, &plan.types);
        let binary = plan.copy.format == CopyFormat::Binary;
        Ok(Self { rule, columns, types, binary, key, latitude, longitude, geohash, encoding, fields })
    }

    pub fn place(
        &mut self,
        topology: &Topology,
        format: &RowFormat,
        row: &Row<'_>,
    ) -> Result<Home, SqlError> {
        match self.rule.placement {
            Placement::Reference => return self.refuse_clock(format, row).map(|()| Home::Every),
            Placement::Single(shard) => return Ok(Home::One(shard)),
            Placement::Region { .. }
            | Placement::Geo
            | Placement::Hash(_)
            | Placement::List(_)
            | Placement::Range(_) => {}
        }
        match self.read(format, row) {
            Ok(None) => {}
            Ok(Some(count)) => {
                let column = self.columns.get(count).map_or("?", String::as_str);
                let error = RowError::MissingColumn(column.into()).into_sql();
                return Ok(Home::Lacking(in_line(error, self.rule, row.line)));
            }
            Err(error) => return Err(in_line(error.into_sql(), self.rule, row.line)),
        }
        let key = self.key_value(row)?;
        let position = RowPosition {
            latitude: self.coordinate(self.latitude, row)?,
            longitude: self.coordinate(self.longitude, row)?,
            geohash: self.geohash_text(row)?,
        };
        let placed = match self.rule.placement {
            Placement::Geo => self.rule.shard_of_position(topology, position),
            _ => self
                .rule
                .shard_of_key(topology, key.as_ref())
                .and_then(|shard| self.rule.check_position(topology, key.as_ref(), position).map(|()| shard)),
        };
        placed.map(Home::One).map_err(|error| {
            let refusal = misplaced(&self.rule.name.name, self.rule, &error);
            in_line(SqlError::from(refusal), self.rule, row.line)
        })
    }

    /// `Some(n)`: the row has only n fields, and a wanted one is missing.
    fn read(&mut self, format: &RowFormat, row: &Row<'_>) -> Result<Option<usize>, RowError> {
        if !self.binary {
            return self.fields.read(format, row.content);
        }
        let (found, expected) = (self.fields.read_binary(row.content), self.columns.len());
        if found == expected { Ok(None) } else { Err(RowError::FieldCount { found, expected }) }
    }

    /// `now` and its kin would be each server's own time, and the copies of the row would differ. A row that lacks
    /// columns is the servers' to judge.
    fn refuse_clock(&mut self, format: &RowFormat, row: &Row<'_>) -> Result<(), SqlError> {
        // Words are words of text: a time in binary is a number.
        if self.binary {
            return Ok(());
        }
        if let Err(error) = self.fields.read(format, row.content) {
            return Err(in_line(error.into_sql(), self.rule, row.line));
        }
        for column in 0..self.columns.len() {
            let Some(Field::Value(bytes)) = self.fields.get(column) else { continue };
            if let Some(word) = std::str::from_utf8(bytes).ok().filter(|word| is_clock_word(word)) {
                let error = SqlError::from(refusal::CLOCK_WORD.naming(&[word]));
                return Err(in_line(error, self.rule, row.line));
            }
        }
        Ok(())
    }

    fn field(&self, column: Option<usize>) -> Field<'_> {
        column.and_then(|column| self.fields.get(column)).unwrap_or(Field::Null)
    }

    fn key_value(&self, row: &Row<'_>) -> Result<Option<Key>, SqlError> {
        let Some((column, key_type)) = self.key else { return Ok(None) };
        let Field::Value(bytes) = self.field(Some(column)) else { return Ok(None) };
        let decoded = match self.binary {
            true => key_type.decode_binary(own_oid(key_type), bytes),
            false => key_type.decode_text(bytes),
        };
        match decoded {
            Ok(key) if self.encoding.reads(bytes) => Ok(Some(key)),
            Ok(_) | Err(_) => Err(self.unreadable(column, bytes, row)),
        }
    }

    fn coordinate(&self, column: Option<usize>, row: &Row<'_>) -> Result<Option<f64>, SqlError> {
        let (Some(column), Field::Value(bytes)) = (column, self.field(column)) else { return Ok(None) };
        let value = match self.binary {
            true => binary_number(self.types.get(column).copied(), bytes),
            false => number(bytes),
        };
        value.map(Some).ok_or_else(|| self.unreadable(column, bytes, row))
    }

    fn geohash_text(&self, row: &Row<'_>) -> Result<Option<&str>, SqlError> {
        let (Some(column), Field::Value(bytes)) = (self.geohash, self.field(self.geohash)) else {
            return Ok(None);
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(self.unreadable(column, bytes, row)),
        }
    }

    /// A value that may mean something else on the server must not choose the shard.
    fn unreadable(&self, column: usize, bytes: &[u8], row: &Row<'_>) -> SqlError {
        let name = self.columns.get(column).map_or("?", String::as_str);
        let table = self.rule.name.name.as_str();
        let refusal = refusal::KEY_UNREADABLE.naming(&[name, table]);
        let shown: String = String::from_utf8_lossy(bytes).chars().take(SHOWN_CHARACTERS).collect();
        SqlError::from(refusal)
            .hint("Write it in the plainest spelling of the column's type.")
            .field(b'W', format!("COPY {table}, line {}, column {name}: \"{shown}\"", row.line))
    }
}

/// Characters of a value that an error shows.
const SHOWN_CHARACTERS: usize = 100;

/// Digits, sign, point and exponent only: what every server version reads alike.
fn number(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let value = if text.bytes().all(plain) { text.parse::<f64>().ok()? } else { return None };
    value.is_finite().then_some(value)
}

/// A coordinate in the column's own type.
fn binary_number(type_oid: Option<u32>, bytes: &[u8]) -> Option<f64> {
    let value = match type_oid? {
        oid::FLOAT8 => f64::from_be_bytes(*bytes.first_chunk().filter(|_| bytes.len() == 8)?),
        oid::FLOAT4 => f64::from(f32::from_be_bytes(*bytes.first_chunk().filter(|_| bytes.len() == 4)?)),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

fn missing_key(rule: &TableRule, column: &str) -> SqlError {
    SqlError::from(refusal::COPY_COLUMN.naming(&[&rule.name.name, column]))
}

/// Says where the row stands, as the servers do.
pub(super) fn in_line(error: SqlError, rule: &TableRule, line: u64) -> SqlError {
    error.field(b'W', format!("COPY {}, line {line}", rule.name.name))
}
