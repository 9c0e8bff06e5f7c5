//! The rows of `INSERT … VALUES`, read from tokens.
//!
//! `parse` uses [`read`] so that the parser sees one row whatever their number (a hundred rows cost sqlparser 0.4 ms);
//! whoever sends rows to different shards uses [`layout`] for the bytes of each row.
//!
//! Invariants:
//! 1. Only rows whose cells are all plain — a literal, a parameter, NULL, TRUE, FALSE or DEFAULT, with at most a sign
//!    and a cast to a simple type — are read here; anything else is left to the parser, whole.
//! 2. Head, rows and tail of a layout cover the statement; between rows stand only commas, blanks and comments.
//!
//! Not here: which shard a row belongs to (plan).

use std::ops::Range;

use super::extract::types;
use super::facts::{Cell, Value};
use super::lexer::{LexOptions, TokenKind};
use super::parser_text::{self, Mode, ParserText};
use super::tokens::Tokens;

/// Plain rows, and where the tokens of the rest are.
pub(super) struct Rows {
    pub cells: Vec<Vec<Cell>>,
    head: Range<usize>,
    tail: Range<usize>,
}

impl Rows {
    /// The statement with one row in place of all.
    pub fn stand_in(&self, tokens: &Tokens<'_>) -> Option<ParserText> {
        let write = |range: &Range<usize>, mode| parser_text::write(tokens, range.clone(), mode);
        let head = write(&self.head, Mode::Shadow)?;
        let mut tail = write(&self.tail, Mode::Plain)?;
        let join = |tail: &ParserText| ParserText {
            text: format!("{} (null) {}", head.text, tail.text),
            shadowed: tail.shadowed || self.head.clone().any(|at| tokens.is(at, "overriding")),
            targets_opaque: head.targets_opaque || tail.targets_opaque,
        };
        let plain = join(&tail);
        if super::parse::parse_tree(&plain.text).is_some() {
            return Some(plain);
        }
        tail = write(&self.tail, Mode::Shadow)?;
        Some(join(&tail))
    }
}

/// The bytes of a multi-row INSERT. Rows are without the commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowLayout {
    /// Up to and including VALUES.
    pub head: Range<u32>,
    pub rows: Vec<Range<u32>>,
    /// ON CONFLICT, RETURNING, or empty.
    pub tail: Range<u32>,
}

/// Where the rows of `INSERT … VALUES` stand. None where the statement has another form.
pub fn layout(text: &[u8], options: LexOptions) -> Option<RowLayout> {
    let t = Tokens::new(text, options)?;
    let mut at = first_row(&t, 0..t.len())?;
    let head = 0..t.end(at - 1);
    let mut rows = Vec::new();
    loop {
        if !t.punctuation(at, b'(') {
            return None;
        }
        let next = t.closing(at);
        rows.push(t.start(at)..t.end(next - 1));
        at = next;
        if !t.punctuation(at, b',') {
            break;
        }
        at += 1;
    }
    if at < t.len() && !ends_rows(&t, at) {
        return None;
    }
    let tail = t.start(at)..t.text.len() as u32;
    Some(RowLayout { head, rows, tail })
}

fn ends_rows(t: &Tokens<'_>, at: usize) -> bool {
    t.are(at, &["on", "conflict"]) || t.is(at, "returning")
}

/// The token behind VALUES.
fn first_row(t: &Tokens<'_>, range: Range<usize>) -> Option<usize> {
    if !t.are(range.start, &["insert", "into"]) {
        return None;
    }
    let (_, mut at) = t.name(range.start + 2)?;
    if t.is(at, "as") {
        at += 2;
    }
    if t.punctuation(at, b'(') && !t.is_any(at + 1, &["select", "with", "values", "table"]) {
        at = t.closing(at);
    }
    if t.is(at, "overriding") {
        at += 3;
    }
    (at < range.end && t.is(at, "values")).then_some(at + 1)
}

pub(super) fn read(t: &Tokens<'_>, range: Range<usize>) -> Option<Rows> {
    let first = first_row(t, range.clone())?;
    // A subscript in the column list: the cells are not the columns' values.
    if (range.start..first).any(|at| t.punctuation(at, b'[')) {
        return None;
    }
    let mut cells = Vec::new();
    let mut at = first;
    loop {
        let (row, next) = read_row(t, at)?;
        cells.push(row);
        at = next;
        if at >= range.end || !t.punctuation(at, b',') {
            break;
        }
        at += 1;
    }
    if at < range.end && !ends_rows(t, at) {
        return None;
    }
    let width = cells.first()?.len();
    if cells.iter().any(|row| row.len() != width) {
        return None;
    }
    Some(Rows { cells, head: range.start..first, tail: at..range.end })
}

fn read_row(t: &Tokens<'_>, open: usize) -> Option<(Vec<Cell>, usize)> {
    if !t.punctuation(open, b'(') {
        return None;
    }
    let mut cells = Vec::new();
    let mut at = open + 1;
    loop {
        let (cell, next) = read_cell(t, at)?;
        cells.push(cell);
        if t.punctuation(next, b')') {
            return Some((cells, next + 1));
        }
        if !t.punctuation(next, b',') {
            return None;
        }
        at = next + 1;
    }
}

fn read_cell(t: &Tokens<'_>, at: usize) -> Option<(Cell, usize)> {
    if t.is(at, "default") {
        return Some((Cell::Default, at + 1));
    }
    let negative = t.operator(at, "-");
    let start = at + usize::from(negative);
    let mut value = read_value(t, start)?;
    if negative {
        if !matches!(t.kind(start), Some(TokenKind::Integer | TokenKind::Decimal)) {
            return None;
        }
        value = Value::Negative(Box::new(value));
    }
    if !t.operator(start + 1, "::") {
        return Some((Cell::Value(value), start + 1));
    }
    // A sign binds weaker than a cast, and a type of more than one word is the parser's business.
    let (name, next) = t.name(start + 2)?;
    let simple = t.kind(start + 2) == Some(TokenKind::Word)
        && next == start + 3
        && (t.punctuation(next, b',') || t.punctuation(next, b')'));
    if negative || !simple {
        return None;
    }
    let type_name = types::from_word(&name.name);
    Some((Cell::Value(Value::Cast { value: Box::new(value), type_name, has_modifier: false }), next))
}

fn read_value(t: &Tokens<'_>, at: usize) -> Option<Value> {
    if let Some(literal) = t.literal(at) {
        return Some(Value::Literal(literal));
    }
    match t.kind(at)? {
        TokenKind::Param => {
            let digits = std::str::from_utf8(t.bytes(at).get(1..)?).ok()?;
            Some(Value::Param(digits.parse::<u32>().ok()?.checked_sub(1)?))
        }
        TokenKind::Word if t.is(at, "null") => Some(Value::Null),
        TokenKind::Word if t.is(at, "true") => Some(Value::Bool(true)),
        TokenKind::Word if t.is(at, "false") => Some(Value::Bool(false)),
        _ => None,
    }
}
