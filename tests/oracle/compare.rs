//! Whether two answers are the same answer, as far as the statement determines it.
//!
//! Columns, tags and the transaction's status must be equal. Rows are compared as multisets, and in their order as far
//! as ORDER BY determines it: all of the row where its keys leave no ties, else the keys that are shown. Of a LIMIT
//! whose order leaves ties only the number of rows is determined, and that they are rows of the unlimited answer.
//!
//! Of an answer too large to be kept, columns and the number of rows are compared.
//!
//! Values are compared byte by byte, with two exceptions: floats may differ in their last digits, which depend on the
//! order of an addition; and in columns in which a statement chooses one of several equal values, as GROUP BY and DISTINCT
//! do, it is equality that counts (1.0 and 1.00 are equal).

use crate::answer::Answer;
use crate::choice::Choices;
use crate::stand::type_name;
use crate::tree::{Mark, Printed};

const TOLERANCE: f64 = 1e-9;
/// Of four-byte floats.
const TOLERANCE_REAL: f64 = 1e-5;
const ROWS_SHOWN: usize = 12;
/// Types of a database's own have another number on each server.
const FIRST_OWN_TYPE: u32 = 16384;

type Row = Vec<Option<Vec<u8>>>;

/// What is wrong.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Equal for statements that fail in the same way.
    pub kind: String,
    pub detail: String,
}

pub fn difference(
    mine: &Answer,
    plain: &Answer,
    printed: &Printed,
    unlimited: impl FnOnce() -> Answer,
) -> Option<Difference> {
    let wrong = |kind: String, detail: String| Some(Difference { kind, detail });
    if mine.sqlstate() != plain.sqlstate() {
        let kind = format!("error {:?}, plain: {:?}", mine.sqlstate(), plain.sqlstate());
        return wrong(kind, format!("error {:?}, plain: {:?}", mine.error, plain.error));
    }
    if mine.status != plain.status {
        return wrong("status".to_owned(), format!("status {}, plain: {}", mine.status, plain.status));
    }
    if mine.error.is_some() {
        return None;
    }
    let (ours, theirs) = (columns(mine), columns(plain));
    if ours != theirs {
        return wrong("columns".to_owned(), format!("columns {ours:?}, plain: {theirs:?}"));
    }
    if mine.tags != plain.tags {
        return wrong("tags".to_owned(), format!("tags {:?}, plain: {:?}", mine.tags, plain.tags));
    }
    if mine.withheld > 0 || plain.withheld > 0 {
        // The tags have said how many.
        return None;
    }
    let comparison = Comparison { mine, plain, choices: Choices::of(&printed.text) };
    comparison.rows(printed, unlimited).and_then(|kind| wrong(kind.to_owned(), comparison.shown()))
}

/// Without modifiers: those of a portal depend on how its plan was simplified.
fn columns(answer: &Answer) -> Vec<String> {
    let shape = |column: &crate::stand::Column| {
        let own = column.type_oid >= FIRST_OWN_TYPE;
        let name = if own { "own".to_owned() } else { type_name(column.type_oid) };
        format!("{} {name} format {}", column.name, column.format)
    };
    answer.columns.iter().map(shape).collect()
}

struct Comparison<'a> {
    mine: &'a Answer,
    plain: &'a Answer,
    choices: Choices,
}

/// What counts between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Bytes,
    /// As far as it can be told here.
    Equality,
}

impl Comparison<'_> {
    fn rows(&self, printed: &Printed, unlimited: impl FnOnce() -> Answer) -> Option<&'static str> {
        let (mine, plain) = (&self.mine.rows, &self.plain.rows);
        if mine.len() != plain.len() {
            return Some("number of rows");
        }
        let is_total = printed.has(&Mark::Unique);
        if printed.has(&Mark::Choice) && !is_total {
            return None;
        }
        if is_total {
            let all: Vec<usize> = (0..mine.first().map_or(0, Vec::len)).collect();
            if !self.in_order(&all) {
                return Some("rows or their order");
            }
            // Among values that are equal the order is open.
            let others = !printed.has(&Mark::Limit) && !self.contained(mine, plain);
            return others.then_some("rows");
        }
        if !self.in_order(&self.shown_keys(printed)) {
            return Some("order");
        }
        if !printed.has(&Mark::Limit) {
            return (!self.contained(mine, plain)).then_some("rows");
        }
        let whole = unlimited();
        let is_contained = whole.withheld > 0 || self.contained(mine, &whole.rows);
        (!is_contained).then_some("rows that are not there")
    }

    /// Output columns that show a sort key.
    fn shown_keys(&self, printed: &Printed) -> Vec<usize> {
        let named = |name: &String| {
            let mut found = self.mine.columns.iter().enumerate().filter(|(_, column)| column.name == *name);
            found.next().map(|(index, _)| index).filter(|_| found.next().is_none())
        };
        let keys = printed.marks.iter().filter_map(|mark| match mark {
            Mark::OrderKey(Some(name)) => named(name),
            _ => None,
        });
        keys.collect()
    }

    fn by(&self, column: usize) -> By {
        if self.choices.has(column) { By::Equality } else { By::Bytes }
    }

    fn in_order(&self, columns: &[usize]) -> bool {
        let alike = |(one, other): (&Row, &Row)| {
            columns.iter().all(|c| self.alike(*c, &one[*c], &other[*c], By::Equality))
        };
        self.mine.rows.iter().zip(&self.plain.rows).all(alike)
    }

    /// Every row of `few` is one of `many`, each used once.
    fn contained(&self, few: &[Row], many: &[Row]) -> bool {
        let (mut few, mut left) = (few.to_vec(), many.to_vec());
        few.sort();
        left.sort();
        if few == left {
            return true;
        }
        few.iter().all(|row| {
            let same = |other: &Row| {
                row.len() == other.len()
                    && (0..row.len()).all(|c| self.alike(c, &row[c], &other[c], self.by(c)))
            };
            // An equal row before one that is only alike.
            let found = left.iter().position(|other| other == row).or_else(|| left.iter().position(same));
            found.map(|index| left.remove(index)).is_some()
        })
    }

    fn alike(&self, column: usize, one: &Option<Vec<u8>>, other: &Option<Vec<u8>>, by: By) -> bool {
        let (Some(a), Some(b)) = (one, other) else { return one == other };
        if a == b {
            return true;
        }
        let Some(column) = self.mine.columns.get(column) else { return self.alike_lines(a, b) };
        let (binary, lenient) = (column.format == 1, by == By::Equality);
        match column.type_oid {
            700 => nearly(a, b, TOLERANCE_REAL),
            701 => nearly(a, b, TOLERANCE),
            1700 if lenient && binary => a.len() == b.len() && a[..6] == b[..6] && a[8..] == b[8..],
            1700 if lenient => without_zeros(a) == without_zeros(b),
            1042 if lenient => a.trim_ascii_end() == b.trim_ascii_end(),
            25 | 1043 if lenient => lower(a) == lower(b),
            1186 if lenient && binary => microseconds(a) == microseconds(b),
            3802 if lenient && binary => document(&a[1..]) == document(&b[1..]),
            3802 if lenient => document(a) == document(b),
            // Of intervals as text, and of rows, it is not told here which are equal.
            1186 | 2249 if lenient => true,
            // A row says the numbers of its columns' types.
            2249 | FIRST_OWN_TYPE.. if binary => a.len() == b.len(),
            _ => false,
        }
    }

    /// Lines of COPY, whose columns nobody has described.
    fn alike_lines(&self, one: &[u8], other: &[u8]) -> bool {
        let fields = |line: &[u8]| -> Vec<Vec<u8>> {
            line.trim_ascii_end().split(|byte| *byte == b'\t').map(<[u8]>::to_vec).collect()
        };
        let (one, other) = (fields(one), fields(other));
        let alike = |(column, (a, b)): (usize, (&Vec<u8>, &Vec<u8>))| {
            let alike = |is_one: fn(&[u8]) -> bool| is_one(a) && is_one(b);
            let choice = lower(a).trim_end() == lower(b).trim_end();
            let choice = choice || alike(is_interval) || alike(is_document);
            a == b || nearly(a, b, TOLERANCE) || self.by(column) == By::Equality && choice
        };
        one.len() == other.len() && one.iter().zip(&other).enumerate().all(alike)
    }

    fn shown(&self) -> String {
        let rows = |answer: &Answer| -> String {
            let mut rows: Vec<String> = answer.rows.iter().map(shown).collect();
            let more = rows.len().saturating_sub(ROWS_SHOWN);
            rows.truncate(ROWS_SHOWN);
            let more = if more > 0 { format!("      … {more} more\n") } else { String::new() };
            rows.iter().map(|row| format!("      {row}\n")).collect::<String>() + &more
        };
        let (mine, plain) = (self.mine, self.plain);
        format!(
            "{} rows\n{}    plain: {} rows\n{}",
            mine.rows.len(),
            rows(mine),
            plain.rows.len(),
            rows(plain)
        )
    }
}

fn shown(row: &Row) -> String {
    let value =
        |value: &Option<Vec<u8>>| value.as_ref().map_or("NULL".to_owned(), |v| crate::stand::escaped(v));
    row.iter().map(value).collect::<Vec<_>>().join(" | ").chars().take(200).collect()
}

fn nearly(one: &[u8], other: &[u8], tolerance: f64) -> bool {
    let number = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok());
        let real = || Some(f64::from(f32::from_be_bytes(bytes.try_into().ok()?)));
        text.or_else(|| bytes.try_into().ok().map(f64::from_be_bytes)).or_else(real)
    };
    match (number(one), number(other)) {
        (Some(a), Some(b)) if a.is_nan() => b.is_nan(),
        // Their distance to everything is as infinite as what they tolerate.
        (Some(a), Some(b)) if a.is_infinite() || b.is_infinite() => a == b,
        (Some(a), Some(b)) => (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0),
        _ => false,
    }
}

/// Of an interval in binary, with days and months as PostgreSQL compares them.
fn microseconds(interval: &[u8]) -> Option<i128> {
    let (time, rest) = interval.split_first_chunk::<8>()?;
    let (days, rest) = rest.split_first_chunk::<4>()?;
    let months = i128::from(i32::from_be_bytes(rest.try_into().ok()?));
    let days = months * 30 + i128::from(i32::from_be_bytes(*days));
    Some(days * 86_400_000_000 + i128::from(i64::from_be_bytes(*time)))
}

/// Its numbers without the zeros behind them.
fn document(text: &[u8]) -> Option<serde_json::Value> {
    fn plain(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Number(number) => *value = number.as_f64().into(),
            serde_json::Value::Array(values) => values.iter_mut().for_each(plain),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(plain),
            _ => {}
        }
    }
    let mut value = serde_json::from_slice(text).ok()?;
    plain(&mut value);
    Some(value)
}

/// As far as its text tells: which of them are equal does not show in it.
fn is_interval(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let unit = |word: &str| ["year", "mon", "day"].iter().any(|unit| word.trim_end_matches('s') == *unit);
    // `P1M` in ISO 8601.
    let after_sign = |rest: &str| rest.starts_with(|first: char| matches!(first, '-' | 'T' | '0'..='9'));
    text.split(' ').any(unit)
        || text.split(':').count() == 3
        || text.strip_prefix('P').is_some_and(after_sign)
}

/// A document, an array or a row: what is equal in it may be written in two ways.
fn is_document(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'{' | b'[' | b'('))
}

fn without_zeros(number: &[u8]) -> String {
    let text = String::from_utf8_lossy(number).into_owned();
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn lower(text: &[u8]) -> String {
    String::from_utf8_lossy(text).to_lowercase()
}

#[test]
fn floats_are_alike_but_for_their_last_digits() {
    for (one, other) in
        [("0.1", "0.10000000000000002"), ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("0", "-0")]
    {
        assert!(nearly(one.as_bytes(), other.as_bytes(), TOLERANCE), "{one} {other}");
    }
    for (one, other) in
        [("Infinity", "1"), ("1e300", "Infinity"), ("-Infinity", "Infinity"), ("NaN", "0"), ("1", "1.1")]
    {
        assert!(!nearly(one.as_bytes(), other.as_bytes(), TOLERANCE), "{one} {other}");
        assert!(!nearly(other.as_bytes(), one.as_bytes(), TOLERANCE), "{other} {one}");
    }
}
