//! COPY data in the text and CSV formats (`execute::copy`).
//!
//! 1. Rows, lines and the error do not depend on where the data was cut.
//! 2. Rows, put together, are the data up to the end-of-copy marker; a row is its content and at most one newline.
//! 3. A row beyond the bound is an error, and the bytes of a row that is kept are bounded by it.
//! 4. Any fields, written as PostgreSQL writes them, are read again.

use meridian::execute::copy::fields::{Field, Fields};
use meridian::execute::copy::rows::{Marker, RowError, RowFormat, Syntax};
use meridian::execute::copy::splitter::Splitter;

use super::{Choices, cuts};

/// Fields of a row that are looked at.
const COLUMNS: usize = 4;

pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let format = format(&mut choices);
    let row_bytes_max = choices.one_of(&[1 << 20, 40, 7]);
    let size = 1 + choices.below(9);
    let data = choices.rest();
    let [whole, others @ ..] = cuts(data, size).map(|pieces| split(&format, row_bytes_max, &pieces));
    // Only a row in pieces is kept, and so judged by its length.
    if row_bytes_max > data.len() {
        others.iter().for_each(|other| assert_eq!(whole, *other, "rows depend on the cuts"));
    }
    for rows in [&whole, &others[0], &others[1]] {
        let joined: Vec<u8> = rows.rows.iter().flat_map(|(raw, _)| raw.clone()).collect();
        assert!(data.starts_with(&joined), "rows are not the data");
        assert!(rows.rows.windows(2).all(|pair| pair[0].1 < pair[1].1), "lines do not rise");
        let ended = rows.end.is_ok() && joined.len() < data.len();
        assert!(!ended || data[joined.len()..].starts_with(b"\\."), "data is lost behind the rows");
    }
    written_fields_are_read(&format, data);
}

fn format(choices: &mut Choices<'_>) -> RowFormat {
    let syntax = match choices.below(4) {
        0 => Syntax::Text,
        1 => Syntax::Csv { quote: b'"', escape: None },
        2 => Syntax::Csv { quote: b'"', escape: Some(b'\\') },
        _ => Syntax::Csv { quote: b'\'', escape: Some(b'"') },
    };
    let is_text = syntax == Syntax::Text;
    RowFormat {
        syntax,
        delimiter: if is_text { b'\t' } else { choices.one_of(b",;\t") },
        null: if is_text { b"\\N"[..].into() } else { b""[..].into() },
        header: choices.below(4) == 3,
        marker: choices.one_of(&[Marker::Ends, Marker::IsData]),
    }
}

#[derive(Debug, PartialEq)]
struct Split {
    /// Raw bytes, and the line.
    rows: Vec<(Vec<u8>, u64)>,
    end: Result<(), RowError>,
}

fn split(format: &RowFormat, row_bytes_max: usize, pieces: &[&[u8]]) -> Split {
    let mut splitter = Splitter::new(format.clone(), row_bytes_max);
    let mut rows = Vec::new();
    let longest = pieces.iter().map(|piece| piece.len()).max().unwrap_or_default().max(row_bytes_max);
    let mut take = |row: meridian::execute::copy::splitter::Row<'_>| {
        assert!(row.raw.starts_with(row.content));
        let newline = &row.raw[row.content.len()..];
        assert!(
            [&b""[..], b"\n", b"\r", b"\r\n"].contains(&newline),
            "{:?}",
            newline.escape_ascii().to_string()
        );
        assert!(row.raw.len() <= longest, "a row beyond the bound");
        assert_eq!(row.is_header, format.header && rows.is_empty());
        let mut fields = Fields::new((0..COLUMNS).collect());
        if let Ok(None) = fields.read(format, row.content) {
            assert!((0..COLUMNS).all(|column| fields.get(column).is_some()));
        }
        rows.push((row.raw.to_vec(), row.line));
    };
    for piece in pieces {
        let mut piece = *piece;
        loop {
            match splitter.next_row(&mut piece) {
                Ok(Some(row)) => take(row),
                Ok(None) => break,
                Err(error) => return Split { rows, end: Err(error) },
            }
        }
    }
    let end = splitter.finish().map(|last| last.into_iter().for_each(take));
    Split { rows, end }
}

fn written_fields_are_read(format: &RowFormat, data: &[u8]) {
    let values: Vec<Option<&[u8]>> =
        data.chunks(5).take(COLUMNS).map(|value| (value[0] != b'N').then_some(value)).collect();
    if values.len() < COLUMNS {
        return;
    }
    let mut row = Vec::new();
    for (column, value) in values.iter().enumerate() {
        if column > 0 {
            row.push(format.delimiter);
        }
        match (value, format.syntax) {
            (None, _) => row.extend_from_slice(&format.null),
            (Some(value), Syntax::Text) => write_text(value, &mut row),
            (Some(value), Syntax::Csv { quote, escape }) => {
                write_csv(value, quote, escape.unwrap_or(quote), &mut row);
            }
            (Some(_), Syntax::Binary) => unreachable!("formats of lines only"),
        }
    }
    let headless = RowFormat { header: false, ..format.clone() };
    let lines = [&row[..], b"\n", &row, b"\n"].concat();
    let read = split(&headless, 1 << 20, &[&lines]);
    assert_eq!(read.end, Ok(()));
    assert_eq!(read.rows.len(), 2, "two rows were written: {}", lines.escape_ascii());
    let mut fields = Fields::new((0..COLUMNS).collect());
    assert_eq!(fields.read(&headless, &row), Ok(None));
    for (column, value) in values.iter().enumerate() {
        let expected = value.map_or(Field::Null, Field::Value);
        assert_eq!(fields.get(column), Some(expected), "column {column} of {}", row.escape_ascii());
    }
}

/// As `CopyAttributeOutText`.
fn write_text(value: &[u8], row: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'\n' => row.extend_from_slice(b"\\n"),
            b'\r' => row.extend_from_slice(b"\\r"),
            b'\t' => row.extend_from_slice(b"\\t"),
            b'\\' => row.extend_from_slice(b"\\\\"),
            other => row.push(*other),
        }
    }
}

/// As `CopyAttributeOutCSV` with FORCE_QUOTE.
fn write_csv(value: &[u8], quote: u8, escape: u8, row: &mut Vec<u8>) {
    row.push(quote);
    for byte in value {
        if *byte == quote || *byte == escape {
            row.push(escape);
        }
        row.push(*byte);
    }
    row.push(quote);
}
