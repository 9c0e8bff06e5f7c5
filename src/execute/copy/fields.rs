//! What stands in a row's columns: only those that are asked for, unescaped.
//!
//! Called by [`super::place`] for the key and position columns of every row; pure. It follows
//! `CopyReadAttributesText` and `CopyReadAttributesCSV` of PostgreSQL's `commands/copyfromparse.c`.
//!
//! Invariants:
//! 1. Columns behind the last one that is asked for are not looked at: the server judges them.
//! 2. The NULL marker is compared with a field as it is written; in CSV only one without any quote can be NULL.
//! 3. Nothing is allocated once the buffers have their size.
//!
//! Not here: types ([`super::place`]), newlines and the end-of-copy marker ([`super::splitter`]).

use std::ops::Range;

use super::rows::{RowError, RowFormat, Syntax};
use super::tuples;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    Null,
    Value(&'a [u8]),
}

/// Reads the wanted columns of one row at a time.
#[derive(Debug, Default)]
pub struct Fields {
    /// Indexes of columns, ascending.
    wanted: Vec<usize>,
    /// One for each of `wanted`; None: NULL.
    found: Vec<Option<Range<usize>>>,
    values: Vec<u8>,
}

impl Fields {
    /// `wanted` may come in any order; repeated ones count once.
    pub fn new(mut wanted: Vec<usize>) -> Self {
        wanted.sort_unstable();
        wanted.dedup();
        Self { wanted, found: Vec::new(), values: Vec::new() }
    }

    /// Reads a row of the binary format, and counts its fields.
    pub fn read_binary(&mut self, row: &[u8]) -> usize {
        self.found.clear();
        self.values.clear();
        let (count, fields) = tuples::fields(row);
        for (column, field) in fields.enumerate() {
            if self.wanted.get(self.found.len()) == Some(&column) {
                let start = self.values.len();
                self.values.extend_from_slice(field.clone().and_then(|range| row.get(range)).unwrap_or(&[]));
                self.found.push(field.map(|_| start..self.values.len()));
            }
        }
        count
    }

    /// Reads the content of a row. `Ok(Some(n))`: the row has only n fields, and a wanted one is missing.
    pub fn read(&mut self, format: &RowFormat, content: &[u8]) -> Result<Option<usize>, RowError> {
        self.found.clear();
        self.values.clear();
        let mut rest = Some(content);
        let mut column = 0;
        while self.found.len() < self.wanted.len() {
            let Some(field) = rest else { return Ok(Some(column)) };
            let keep = self.wanted[self.found.len()] == column;
            let start = self.values.len();
            let (written, is_null) = match format.syntax {
                Syntax::Text => self.text_field(format, field, keep),
                Syntax::Csv { quote, escape } => {
                    let quoting = Quoting { quote, escape: escape.unwrap_or(quote) };
                    self.csv_field(format, quoting, field, keep)?
                }
                Syntax::Binary => return Ok(None),
            };
            if keep {
                self.found.push((!is_null).then_some(start..self.values.len()));
            }
            rest = field.get(written + 1..).filter(|_| written < field.len());
            column += 1;
        }
        Ok(None)
    }

    /// The value of a wanted column of the row that was read.
    pub fn get(&self, column: usize) -> Option<Field<'_>> {
        let slot = self.wanted.binary_search(&column).ok()?;
        Some(match self.found.get(slot)? {
            Some(range) => Field::Value(self.values.get(range.clone())?),
            None => Field::Null,
        })
    }

    /// Reads a field of the text format off the front. How many bytes it is written with, and whether it is NULL.
    fn text_field(&mut self, format: &RowFormat, bytes: &[u8], keep: bool) -> (usize, bool) {
        let mut at = 0;
        let mut copied = 0;
        loop {
            let special = memchr::memchr2(format.delimiter, b'\\', &bytes[at..]);
            let found = special.map_or(bytes.len(), |offset| at + offset);
            if bytes.get(found) == Some(&b'\\') && bytes.get(found + 1).is_some() {
                if keep {
                    self.values.extend_from_slice(&bytes[copied..found]);
                }
                let (value, used) = unescape(&bytes[found + 1..]);
                if keep {
                    self.values.push(value);
                }
                at = found + 1 + used;
                copied = at;
                continue;
            }
            if keep {
                self.values.extend_from_slice(&bytes[copied..found]);
            }
            // A backslash at the very end of the data is dropped, as by the server.
            let end = if bytes.get(found) == Some(&b'\\') { bytes.len() } else { found };
            return (end, bytes[..found] == *format.null);
        }
    }

    fn csv_field(
        &mut self,
        format: &RowFormat,
        quoting: Quoting,
        bytes: &[u8],
        keep: bool,
    ) -> Result<(usize, bool), RowError> {
        let mut at = 0;
        let mut saw_quote = false;
        loop {
            let special = memchr::memchr2(format.delimiter, quoting.quote, &bytes[at..]);
            let found = special.map_or(bytes.len(), |offset| at + offset);
            if keep {
                self.values.extend_from_slice(&bytes[at..found]);
            }
            // The delimiter is looked for first, should both be the same byte.
            if bytes.get(found).is_none_or(|byte| *byte == format.delimiter) {
                return Ok((found, !saw_quote && bytes[..found] == *format.null));
            }
            saw_quote = true;
            at = self.quoted_part(quoting, bytes, found + 1, keep)?;
        }
    }

    /// From behind an opening quote to behind the closing one.
    fn quoted_part(
        &mut self,
        quoting: Quoting,
        bytes: &[u8],
        mut at: usize,
        keep: bool,
    ) -> Result<usize, RowError> {
        let Quoting { quote, escape } = quoting;
        loop {
            let offset = memchr::memchr2(quote, escape, &bytes[at..]).ok_or(RowError::UnterminatedQuote)?;
            let found = at + offset;
            if keep {
                self.values.extend_from_slice(&bytes[at..found]);
            }
            let next = bytes.get(found + 1).copied().filter(|next| *next == escape || *next == quote);
            match next {
                Some(next) if bytes[found] == escape => {
                    if keep {
                        self.values.push(next);
                    }
                    at = found + 2;
                }
                Some(_) | None if bytes[found] == quote => return Ok(found + 1),
                Some(_) | None => {
                    if keep {
                        self.values.push(bytes[found]);
                    }
                    at = found + 1;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Quoting {
    quote: u8,
    escape: u8,
}

/// The byte that stands behind a backslash (at least one is there), and how many bytes it is written with.
fn unescape(bytes: &[u8]) -> (u8, usize) {
    let digits = |from: usize, most: usize, radix: u32| {
        let digits = bytes.iter().skip(from).take(most).map_while(|byte| char::from(*byte).to_digit(radix));
        digits.fold((0, 0), |(value, count), digit| (value * radix + digit, count + 1))
    };
    match bytes.first().copied().unwrap_or(b'\\') {
        b'0'..=b'7' => {
            let (value, count) = digits(0, 3, 8);
            ((value & 0xff) as u8, count)
        }
        b'x' => match digits(1, 2, 16) {
            (_, 0) => (b'x', 1),
            (value, count) => ((value & 0xff) as u8, 1 + count),
        },
        b'b' => (0x08, 1),
        b'f' => (0x0c, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (0x0b, 1),
        byte => (byte, 1),
    }
}
