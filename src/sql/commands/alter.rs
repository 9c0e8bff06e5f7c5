//! What ALTER changes of the names, the families and the types by which rows are placed.
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
//! 1. Within parentheses nothing is looked for: they hold expressions and bounds.

use super::Cursor;
use crate::sql::facts::{Alteration, Relative};

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

fn new_type(c: &mut Cursor<'_, '_>, column: String) -> Alteration {
    let (mut words, mut converted) = (Vec::new(), false);
    while c.at < c.end && !c.t.punctuation(c.at, b',') {
        if c.t.punctuation(c.at, b'(') {
            c.at = c.t.closing(c.at);
            continue;
        }
        converted |= c.is("using");
        if !converted {
            words.extend(c.t.identifier(c.at));
        }
        c.at += 1;
    }
    Alteration::Retypes { column, words, converted }
}
