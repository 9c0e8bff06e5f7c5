//! COPY, from tokens: both the option list `(FORMAT csv, …)` and the old spelling `CSV HEADER DELIMITER ','`.
//!
//! Called by `commands`; the row splitter trusts what is said here, so an option that is not exactly understood
//! sets `other_options`. Values are read out of literals: these facts are true of one text only.
//!
//! Invariants:
//! 1. Delimiter, quote and escape are single ASCII bytes, with the format's defaults where not written.
//! 2. COPY (query) hands back the query.
//!
//! Not here: splitting (`merge`, `execute`), or whether the table is sharded.

use super::{Command, Cursor};
use crate::sql::facts::{Copy, CopyDirection, CopyFormat, CopyHeader, Kind};
use crate::sql::lexer::TokenKind;

pub(super) fn recognise(mut c: Cursor<'_, '_>) -> Option<Command> {
    c.at += 1;
    let mut options = Options::default();
    if c.take("binary") {
        options.format = Some(CopyFormat::Binary);
    }
    let mut inner = None;
    let mut table = None;
    let mut columns = None;
    if c.t.punctuation(c.at, b'(') {
        let close = c.t.closing(c.at);
        inner = Some(c.at + 1..close - 1);
        c.at = close;
    } else {
        table = Some(c.relation()?);
        columns = column_list(&mut c)?;
    }
    let from = c.take("from");
    if !from && !c.take("to") {
        return None;
    }
    if inner.is_some() && from {
        return None;
    }
    let direction = direction(&mut c, from)?;
    old_delimiters(&mut c, &mut options);
    c.take("with");
    if c.punctuation(b'(') {
        option_list(&mut c, &mut options)?;
    } else {
        old_options(&mut c, &mut options);
    }
    if !c.done() {
        // COPY FROM … WHERE.
        options.other = true;
    }
    let copy = options.finish(Copy {
        table,
        query: inner.as_ref().map(|inner| c.t.start(inner.start)..c.t.end(inner.end.saturating_sub(1))),
        columns,
        direction,
        format: CopyFormat::Text,
        header: CopyHeader::No,
        delimiter: b'\t',
        null: String::new(),
        quote: b'"',
        escape: b'"',
        other_options: false,
    });
    let mut command = Command::new(Kind::Copy(copy));
    command.text_bound = true;
    // Subqueries and functions in COPY FROM … WHERE are not followed.
    command.words = true;
    command.inner = inner;
    Some(command)
}

fn column_list(c: &mut Cursor<'_, '_>) -> Option<Option<Vec<String>>> {
    if !c.punctuation(b'(') {
        return Some(None);
    }
    let mut columns = vec![c.identifier()?];
    while c.punctuation(b',') {
        columns.push(c.identifier()?);
    }
    c.punctuation(b')').then_some(Some(columns))
}

fn direction(c: &mut Cursor<'_, '_>, from: bool) -> Option<CopyDirection> {
    // PostgreSQL takes STDIN and STDOUT in either direction.
    if c.take_any(&["stdin", "stdout"]) {
        return Some(if from { CopyDirection::FromStdin } else { CopyDirection::ToStdout });
    }
    c.take("program");
    if !c.t.is_string(c.at) {
        return None;
    }
    c.at += 1;
    Some(CopyDirection::ServerSide)
}

#[derive(Default)]
struct Options {
    format: Option<CopyFormat>,
    header: Option<CopyHeader>,
    delimiter: Option<u8>,
    null: Option<String>,
    quote: Option<u8>,
    escape: Option<u8>,
    other: bool,
}

impl Options {
    fn finish(self, mut copy: Copy) -> Copy {
        copy.format = self.format.unwrap_or(CopyFormat::Text);
        let csv = copy.format == CopyFormat::Csv;
        copy.header = self.header.unwrap_or(CopyHeader::No);
        copy.delimiter = self.delimiter.unwrap_or(if csv { b',' } else { b'\t' });
        copy.null = self.null.unwrap_or_else(|| if csv { String::new() } else { r"\N".to_owned() });
        copy.quote = self.quote.unwrap_or(b'"');
        copy.escape = self.escape.unwrap_or(copy.quote);
        copy.other_options = self.other;
        copy
    }

    fn byte(&mut self, value: Option<String>) -> Option<u8> {
        let byte = match value.as_deref().map(str::as_bytes) {
            Some([byte]) if byte.is_ascii() => Some(*byte),
            _ => None,
        };
        self.other |= byte.is_none();
        byte
    }

    fn set(&mut self, name: &str, value: Option<String>) {
        match name {
            "format" => {
                self.format = match value.as_deref() {
                    Some("text") => Some(CopyFormat::Text),
                    Some("csv") => Some(CopyFormat::Csv),
                    Some("binary") => Some(CopyFormat::Binary),
                    _ => None,
                };
                self.other |= self.format.is_none();
            }
            "header" => self.header = self.header_value(value),
            "delimiter" => self.delimiter = self.byte(value),
            "quote" => self.quote = self.byte(value),
            "escape" => self.escape = self.byte(value),
            "null" => {
                self.other |= value.is_none();
                self.null = value;
            }
            // What they mean is the same for the rows of each shard, and each server judges them.
            "freeze" | "force_quote" => {}
            _ => self.other = true,
        }
    }

    fn header_value(&mut self, value: Option<String>) -> Option<CopyHeader> {
        match value.map(|value| value.to_ascii_lowercase()).as_deref() {
            None | Some("true" | "on" | "1") => Some(CopyHeader::Yes),
            Some("false" | "off" | "0") => Some(CopyHeader::No),
            Some("match") => Some(CopyHeader::Match),
            Some(_) => {
                self.other = true;
                None
            }
        }
    }
}

/// `COPY t FROM STDIN USING DELIMITERS ','`, from before 7.3.
fn old_delimiters(c: &mut Cursor<'_, '_>, options: &mut Options) {
    let start = c.at;
    c.take("using");
    if c.take("delimiters") {
        let value = literal(c);
        options.set("delimiter", value);
    } else {
        c.at = start;
    }
}

/// Behind the opening parenthesis.
fn option_list(c: &mut Cursor<'_, '_>, options: &mut Options) -> Option<()> {
    loop {
        let name = c.identifier()?;
        let value = match name.as_str() {
            "force_quote" => columns_or_all(c)?,
            _ => option_value(c, options),
        };
        options.set(&name, value);
        if c.punctuation(b')') {
            return Some(());
        }
        if !c.punctuation(b',') {
            return None;
        }
    }
}

/// `*`, or a list in parentheses.
fn columns_or_all(c: &mut Cursor<'_, '_>) -> Option<Option<String>> {
    if c.t.operator(c.at, "*") {
        c.at += 1;
    } else {
        column_list(c)??;
    }
    Some(None)
}

fn option_value(c: &mut Cursor<'_, '_>, options: &mut Options) -> Option<String> {
    if c.t.punctuation(c.at, b',') || c.t.punctuation(c.at, b')') {
        return None;
    }
    if c.t.punctuation(c.at, b'(') || c.t.operator(c.at, "*") {
        options.other = true;
        c.at = if c.t.operator(c.at, "*") { c.at + 1 } else { c.t.closing(c.at) };
        return None;
    }
    let value = literal(c).or_else(|| c.identifier());
    if value.is_none() {
        options.other = true;
        c.at += 1;
    }
    value
}

/// Those that a value follows.
const OLD_VALUES: [&str; 4] = ["delimiter", "null", "quote", "escape"];

/// Without parentheses, as before 9.0.
fn old_options(c: &mut Cursor<'_, '_>, options: &mut Options) {
    while !c.done() {
        if c.take("binary") {
            options.format = Some(CopyFormat::Binary);
        } else if c.take("csv") {
            options.format = Some(CopyFormat::Csv);
        } else if c.take("header") {
            options.header = Some(CopyHeader::Yes);
        } else if c.take_all(&["force", "quote"]) {
            old_columns(c);
        } else if let Some(name) = OLD_VALUES.into_iter().find(|word| c.take(word)) {
            c.take("as");
            let value = literal(c);
            options.set(name, value);
        } else if !c.take("freeze") {
            // FORCE NOT NULL, ENCODING, WHERE and whatever else.
            options.other = true;
            return;
        }
    }
}

/// `*`, or names between commas.
fn old_columns(c: &mut Cursor<'_, '_>) {
    if c.t.operator(c.at, "*") {
        c.at += 1;
        return;
    }
    while c.identifier().is_some() && c.punctuation(b',') {}
}

/// The value of the string or number at the cursor.
fn literal(c: &mut Cursor<'_, '_>) -> Option<String> {
    let value = match c.t.kind(c.at)? {
        TokenKind::Integer => std::str::from_utf8(c.t.bytes(c.at)).ok()?.to_owned(),
        _ => c.t.string(c.at)?,
    };
    c.at += 1;
    Some(value)
}
