//! What ALTER changes of the names, the families and the types by which rows are placed, and what it computes for rows that
//! are there.
//!
//! Called by `ddl`. Whether a table is placed at all is for `plan`; here the actions are found, wherever they stand among
//! others:
//!
//! ```text
//!   ALTER TABLE ONLY a.b  ALTER COLUMN id SET DATA TYPE bigint USING …,  RENAME …
//!   ALTER TABLE measures  ATTACH PARTITION measures_2024 FOR VALUES …    ALTER SCHEMA shop RENAME TO store
//! ```
//!
//! Invariants:
//! 1. Within parentheses no action is looked for: they hold expressions and bounds.

use std::ops::Range;

use super::Cursor;
use crate::sql::facts::{Alteration, Computed, Relative};
use crate::sql::lexer::{LexOptions, TokenKind};
use crate::sql::name::ObjectName;
use crate::sql::tokens::Tokens;

/// For a cursor behind ALTER.
pub(super) fn alterations(mut c: Cursor<'_, '_>) -> Vec<Alteration> {
    if c.take("schema") {
        let schema = c.identifier().filter(|_| c.is("rename"));
        return schema.map(Alteration::RenameSchema).into_iter().collect();
    }
    c.take("foreign");
    if !c.take("table") {
        return Vec::new();
    }
    let mut found = Vec::new();
    while c.at < c.end {
        if c.t.punctuation(c.at, b'(') {
            c.at = c.t.closing(c.at);
            continue;
        }
        match alteration(&mut c) {
            Some(alteration) => found.push(alteration),
            None => c.at += 1,
        }
    }
    found
}

/// At the cursor, which is behind it then.
fn alteration(c: &mut Cursor<'_, '_>) -> Option<Alteration> {
    if c.take_all(&["attach", "partition"]) {
        return c.name().map(Relative::Child).map(Alteration::Joins);
    }
    if c.take("inherit") {
        return c.name().map(Relative::Parent).map(Alteration::Joins);
    }
    if c.take_all(&["detach", "partition"]) {
        return c.name().map(Relative::Child).map(Alteration::Leaves);
    }
    // Of a constraint it has no name behind it.
    if c.take_all(&["no", "inherit"]) {
        return c.name().map(Relative::Parent).map(Alteration::Leaves);
    }
    if c.take("drop") {
        let constraint = c.take("constraint");
        c.take("column");
        c.take_all(&["if", "exists"]);
        return c.identifier().filter(|_| !constraint).map(Alteration::Drops);
    }
    if c.take("add") {
        return added(c);
    }
    if c.is("alter") {
        let start = c.at;
        c.take("alter");
        c.take("column");
        let column = c.identifier();
        c.take_all(&["set", "data"]);
        if let (Some(column), true) = (column, c.take("type")) {
            return Some(new_type(c, column));
        }
        c.at = start;
    }
    None
}

/// For a cursor behind the name of a table that is created: the tables that it inherits from, or is a partition of.
pub(super) fn parents(mut c: Cursor<'_, '_>) -> Vec<Alteration> {
    while c.at < c.end {
        if c.take_all(&["partition", "of"]) {
            return c.name().map(|parent| Alteration::Born(vec![parent])).into_iter().collect();
        }
        if c.t.punctuation(c.at, b'(') {
            c.at = c.t.closing(c.at);
        } else if c.take("inherits") {
            break;
        } else {
            c.at += 1;
        }
    }
    let mut names = Vec::new();
    while c.at < c.end {
        c.at += 1;
        match c.name() {
            Some(name) => names.push(name),
            None => break,
        }
    }
    if names.is_empty() { Vec::new() } else { vec![Alteration::Born(names)] }
}

/// Defaults that keep the time of their definition, for a cursor behind CREATE or ALTER TABLE or DOMAIN.
pub(super) fn timed_defaults(c: &Cursor<'_, '_>) -> Vec<Alteration> {
    let mut found = Vec::new();
    let starts = |at: &usize| c.t.is(*at, "default") || c.t.are(*at, &["generated", "always", "as"]);
    for at in (c.at..c.end).filter(starts) {
        let mut behind = Cursor { at: at + 1, ..c.clone() };
        while behind.at < c.end && !c.t.punctuation(behind.at, b',') && !c.t.punctuation(behind.at, b')') {
            behind.at = if c.t.punctuation(behind.at, b'(') { c.t.closing(behind.at) } else { behind.at + 1 };
        }
        // Behind the name of the column, or of the domain.
        let words = (start_of_column(c, at) + 1..at).filter_map(|at| c.t.identifier(at)).collect();
        let clock = expression(c.t, at + 1..behind.at.min(c.end)).clock;
        found.extend(clock.map(|clock| Alteration::Defaults { words, clock }));
    }
    found
}

/// The tables whose defaults a table gets that is created, for a cursor behind its name.
pub(super) fn copied_defaults(c: &Cursor<'_, '_>) -> Vec<Alteration> {
    if !c.t.punctuation(c.at, b'(') {
        return Vec::new();
    }
    let (mut at, end) = (c.at + 1, c.t.closing(c.at));
    let mut found = Vec::new();
    while at < end {
        let mut clause = Cursor { at, ..c.clone() };
        let source = if clause.take("like") { clause.name() } else { None };
        let mut copies = false;
        while clause.at < end && !c.t.punctuation(clause.at, b',') {
            if c.t.is_any(clause.at + 1, &["defaults", "generated", "all"]) {
                copies |= clause.is("including");
                copies &= !clause.is("excluding");
            }
            clause.at = if c.t.punctuation(clause.at, b'(') { c.t.closing(clause.at) } else { clause.at + 1 };
        }
        found.extend(source.filter(|_| copies).map(Alteration::Copies));
        at = clause.at + 1;
    }
    found
}

/// The first token of the column's definition that `at` stands in.
fn start_of_column(c: &Cursor<'_, '_>, at: usize) -> usize {
    let mut depth = 0usize;
    for before in (c.at..at).rev() {
        match c.t.bytes(before) {
            b")" => depth += 1,
            b"(" | b"," if depth == 0 => return before + 1,
            b"(" => depth -= 1,
            _ => {}
        }
    }
    c.at
}

fn new_type(c: &mut Cursor<'_, '_>, column: String) -> Alteration {
    let words = type_words(c, &["using", "collate"]);
    let from = c.at;
    let converted = to_comma(c, |c| c.is("using"));
    Alteration::Retypes { column, words, converted, computed: expression(c.t, from..c.at) }
}

/// Behind ADD.
fn added(c: &mut Cursor<'_, '_>) -> Option<Alteration> {
    if c.t.is_any(c.at, &["constraint", "check", "unique", "primary", "foreign", "exclude"]) {
        let from = c.at;
        to_comma(c, |_| false);
        let computed = expression(c.t, from..c.at);
        return Some(Alteration::Adds { words: Vec::new(), filled: false, computed });
    }
    // ALTER COLUMN … ADD GENERATED: of rows that come.
    if c.is("generated") {
        return None;
    }
    c.take("column");
    c.take_all(&["if", "not", "exists"]);
    c.identifier()?;
    let words = type_words(c, BEHIND_TYPE);
    let from = c.at;
    let filled = to_comma(c, |c| c.is("default") || c.is("generated"));
    Some(Alteration::Adds { words, filled, computed: expression(c.t, from..c.at) })
}

/// What may stand behind the type of a column that is added.
const BEHIND_TYPE: &[&str] = &[
    "collate",
    "storage",
    "compression",
    "constraint",
    "not",
    "null",
    "check",
    "default",
    "generated",
    "unique",
    "primary",
    "references",
    "deferrable",
    "initially",
    "options",
];

/// The name of the type at the cursor, without what stands in parentheses, up to one of the words or a comma.
fn type_words(c: &mut Cursor<'_, '_>, ends: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    while c.at < c.end && !c.t.punctuation(c.at, b',') && !c.t.is_any(c.at, ends) {
        if c.t.punctuation(c.at, b'(') {
            c.at = c.t.closing(c.at);
            continue;
        }
        words.extend(c.t.identifier(c.at));
        c.at += 1;
    }
    words
}

/// Steps to the end of the action; whether `sought` was met outside of parentheses.
fn to_comma(c: &mut Cursor<'_, '_>, sought: impl Fn(&Cursor<'_, '_>) -> bool) -> bool {
    let mut met = false;
    while c.at < c.end && !c.t.punctuation(c.at, b',') {
        met |= sought(c);
        c.at = if c.t.punctuation(c.at, b'(') { c.t.closing(c.at) } else { c.at + 1 };
    }
    c.at = c.at.min(c.end);
    met
}

/// Words that mean the present in a string that is read as a date or a time.
const PRESENT: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// What is computed by an expression that the catalogs show.
pub fn computed_of_text(text: &str) -> Computed {
    let options = LexOptions { standard_conforming_strings: true };
    let tokens = Tokens::new(text.as_bytes(), options);
    tokens.map(|tokens| expression(&tokens, 0..tokens.len())).unwrap_or_default()
}

/// A string of code that may mean the present time.
pub(in crate::sql) fn clock_in(code: &Tokens<'_>) -> Option<String> {
    expression(code, 0..code.len()).clock
}

/// What the tokens of an expression tell of it.
fn expression(t: &Tokens<'_>, range: Range<usize>) -> Computed {
    let mut found = Computed::default();
    for at in range.clone() {
        if t.kind(at) == Some(TokenKind::Operator) {
            found.operators.push(String::from_utf8_lossy(t.bytes(at)).into_owned());
        }
        if t.is_string(at) {
            let text = String::from_utf8_lossy(t.bytes(at)).to_lowercase();
            let present = text.split(|c: char| !c.is_alphanumeric()).any(|word| PRESENT.contains(&word));
            // What is escaped is not read, nor what goes on in the next line.
            let goes_on = text.contains('\n') && text.trim_matches('\'').contains('\'');
            let escapes = t.kind(at) == Some(TokenKind::UnicodeString) || text.contains('\\') || goes_on;
            found.clock = found.clock.or((present || escapes).then_some(text));
        }
        let Some(name) = t.identifier(at) else { continue };
        let is_qualified = at > range.start && t.punctuation(at - 1, b'.');
        let before = if is_qualified { at.saturating_sub(3) } else { at.saturating_sub(1) };
        // `x::numeric(5, 2)`, `CAST(x AS varchar(5))`
        let is_type = t.operator(before, "::") || t.is(before, "as");
        match t.punctuation(at + 1, b'(') && !is_type {
            true => {
                let schema = if is_qualified { t.identifier(at - 2) } else { None };
                found.calls.push(ObjectName { schema, name });
            }
            false => found.words.push(name),
        }
    }
    found
}
