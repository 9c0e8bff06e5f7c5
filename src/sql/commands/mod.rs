//! Statements that are known by their first words: everything but queries and row changes.
//!
//! `parse` asks here first. sqlparser fails on many of these and PostgreSQL's grammar for them is regular, so they
//! are read from tokens. A file per family: transaction control, settings, session objects, COPY, DDL.
//!
//! Invariants:
//! 1. A command is recognised only when its whole text fits the grammar where guessing would change the session's
//!    state (transaction control, SET, RESET, DISCARD); `COMMIT rubbish` is not a commit.
//! 2. A statement inside a command (EXPLAIN, DECLARE, PREPARE, CREATE TABLE AS, COPY) is handed back as a range.
//!
//! Not here: SELECT, INSERT, UPDATE, DELETE, MERGE (`extract`).

mod alter;
mod copy;
mod ddl;
mod session;
mod settings;
mod tables;
mod targets;
mod transaction;

pub(super) use alter::clock_in;
pub use alter::computed_of_text;
pub(super) use ddl::{objects, query_end};
pub use targets::TEMPORARY_SCHEMA;
pub use transaction::snapshot_identifier;

use std::ops::Range;

use super::facts::{Explain, Kind, Relation};
use super::tokens::Tokens;

/// A recognised command.
pub(super) struct Command {
    pub kind: Kind,
    pub relations: Vec<Relation>,
    /// The statement inside, as a range of tokens.
    pub inner: Option<Range<usize>>,
    /// `kind` holds byte offsets or values of literals, so it is true of this text only and not of its shape.
    pub text_bound: bool,
    /// The lexical scan needs every identifier.
    pub words: bool,
    /// Relations and types that DDL changes.
    pub targets: Vec<super::name::ObjectName>,
}

impl Command {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            relations: Vec::new(),
            inner: None,
            text_bound: false,
            words: false,
            targets: Vec::new(),
        }
    }

    fn with_words(kind: Kind) -> Self {
        Self { words: true, ..Self::new(kind) }
    }
}

/// Kinds that need their inner statement's facts before they are complete.
pub(super) enum Recognised {
    Command(Box<Command>),
    /// EXPLAIN of the tokens from the given one on.
    Explain {
        explain: ExplainHead,
        inner: Range<usize>,
    },
}

pub(super) struct ExplainHead {
    analyze: bool,
    text_format: bool,
    inner_start: u32,
}

impl ExplainHead {
    pub fn with_inner(self, inner: super::facts::Facts) -> Kind {
        Kind::Explain(Explain {
            analyze: self.analyze,
            text_format: self.text_format,
            inner_start: self.inner_start,
            inner: Box::new(inner),
        })
    }
}

/// The command that the tokens of `range` are. None: not one, or not a well-formed one.
pub(super) fn recognise(t: &Tokens<'_>, range: Range<usize>) -> Option<Recognised> {
    let cursor = Cursor { t, at: range.start, end: range.end };
    let command = match t.word(range.start).as_str() {
        "" if range.is_empty() => Some(Command::new(Kind::Empty)),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            transaction::recognise(cursor)
        }
        "prepare" if t.is(range.start + 1, "transaction") => transaction::recognise(cursor),
        "set" => transaction::recognise_set(cursor.clone()).or_else(|| settings::recognise(cursor)),
        "reset" | "show" => settings::recognise(cursor),
        "listen" | "unlisten" | "notify" | "prepare" | "execute" | "deallocate" | "declare" | "fetch"
        | "move" | "close" | "load" | "discard" => session::recognise(cursor),
        // Not within EXPLAIN or PREPARE.
        "select" if range.start == 0 => {
            session::recognise_signal(cursor.clone()).or_else(|| session::recognise_export(cursor))
        }
        "copy" => copy::recognise(cursor),
        "truncate" | "lock" | "vacuum" | "analyze" | "analyse" | "cluster" | "checkpoint" | "do" => {
            tables::recognise(cursor)
        }
        "create" | "alter" | "drop" | "grant" | "revoke" | "comment" | "security" | "reindex" | "refresh"
        | "import" | "reassign" => ddl::recognise(cursor),
        "explain" => return explain(cursor),
        _ => None,
    };
    command.map(|command| Recognised::Command(Box::new(command)))
}

fn explain(mut c: Cursor<'_, '_>) -> Option<Recognised> {
    c.at += 1;
    let mut head = ExplainHead { analyze: false, text_format: true, inner_start: 0 };
    if c.t.punctuation(c.at, b'(') && !c.t.is_any(c.at + 1, &["select", "with", "values", "table"]) {
        let close = c.t.closing(c.at);
        c.at += 1;
        while c.at < close {
            let option = c.t.word(c.at);
            let value = explain_value(&c);
            match option.as_str() {
                "analyze" | "analyse" => head.analyze = !matches!(value.as_str(), "false" | "off" | "0"),
                "format" => head.text_format = value == "text",
                _ => {}
            }
            while c.at < close && !c.t.punctuation(c.at, b',') {
                c.at += 1;
            }
            c.at += 1;
        }
        c.at = close;
    } else {
        head.analyze = c.take("analyze") || c.take("analyse");
        c.take("verbose");
    }
    head.inner_start = c.t.start(c.at);
    (c.at < c.end).then_some(Recognised::Explain { explain: head, inner: c.at..c.end })
}

/// The value of the option at the cursor, in lower case and without quotes.
fn explain_value(c: &Cursor<'_, '_>) -> String {
    let bytes = c.t.bytes(c.at + 1);
    let trimmed: Vec<u8> = bytes.iter().filter(|b| !matches!(b, b'\'' | b'"')).copied().collect();
    String::from_utf8_lossy(&trimmed).to_ascii_lowercase()
}

/// Reads tokens one after the other.
#[derive(Clone)]
struct Cursor<'a, 't> {
    t: &'a Tokens<'t>,
    at: usize,
    end: usize,
}

impl Cursor<'_, '_> {
    fn is(&self, word: &str) -> bool {
        self.at < self.end && self.t.is(self.at, word)
    }

    /// Steps over the keyword where it stands.
    fn take(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    fn take_all(&mut self, words: &[&str]) -> bool {
        let found = self.at + words.len() <= self.end && self.t.are(self.at, words);
        if found {
            self.at += words.len();
        }
        found
    }

    fn take_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.take(word))
    }

    fn punctuation(&mut self, byte: u8) -> bool {
        let found = self.at < self.end && self.t.punctuation(self.at, byte);
        self.at += usize::from(found);
        found
    }

    fn identifier(&mut self) -> Option<String> {
        if self.at >= self.end {
            return None;
        }
        let name = self.t.identifier(self.at)?;
        self.at += 1;
        Some(name)
    }

    fn name(&mut self) -> Option<super::name::ObjectName> {
        if self.at >= self.end {
            return None;
        }
        let (name, next) = self.t.name(self.at)?;
        self.at = next;
        Some(name)
    }

    fn done(&self) -> bool {
        self.at >= self.end
    }

    /// `kind` where nothing is left.
    fn finish(&self, kind: Kind) -> Option<Command> {
        self.done().then(|| Command::new(kind))
    }

    /// `[ONLY] name [*]`.
    fn relation(&mut self) -> Option<Relation> {
        let only = self.take("only");
        let parenthesis = only && self.punctuation(b'(');
        let name = self.name()?;
        if parenthesis && !self.punctuation(b')') {
            return None;
        }
        if self.at < self.end && self.t.operator(self.at, "*") {
            self.at += 1;
        }
        Some(Relation { name, alias: None, nullable: false, only, opaque_columns: false })
    }
}
