//! Where a text asks for the time of its transaction, and how the same is written as a constant.
//!
//! `plan` respells these places where a statement runs in another transaction than the client's.
//!
//! ```text
//!   SELECT now(), age(born) FROM t
//!   SELECT (SELECT '…'::pg_catalog.timestamptz AS now), age((SELECT … AS current_date), born) FROM t
//! ```
//!
//! Invariants:
//! 1. A column or a group that is named after the clock has the same name afterwards, and the same type.
//! 2. A name is taken for the clock only where PostgreSQL does: unquoted keywords that are no label, calls without
//!    arguments that no schema but pg_catalog qualifies. Whether a schema of the path has a function of that name is for the
//!    caller to know.
//!
//! Not here: `statement_timestamp()`, which is the statement's; words such as `'now'` in literals.

use super::lexer::{LexOptions, TokenKind};
use super::tokens::Tokens;

/// A place, and what to write there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// Byte range in the text; empty where something is inserted.
    pub start: u32,
    pub end: u32,
    /// As which type the time is read there, and under which name.
    cast: String,
    name: &'static str,
    /// An argument that others follow.
    is_argument: bool,
}

/// Functions of the catalog.
const CALLS: [&str; 2] = ["now", "transaction_timestamp"];
/// Keywords, and what they are.
const KEYWORDS: [(&str, &str); 5] = [
    ("current_timestamp", "timestamptz"),
    ("current_time", "timetz"),
    ("localtimestamp", "timestamp"),
    ("localtime", "time"),
    ("current_date", "date"),
];
const DATE: (&str, &str) = KEYWORDS[4];
/// Who stands between a FROM and an expression.
const CLAUSES: &[&str] = &[
    "select",
    "where",
    "having",
    "group",
    "order",
    "limit",
    "offset",
    "fetch",
    "window",
    "values",
    "when",
    "then",
    "else",
    "case",
    "returning",
    "union",
    "intersect",
    "except",
];

impl Clock {
    /// `time`: a literal's text that a timestamp with time zone is read from, whatever the session's settings.
    pub fn written(&self, time: &str) -> String {
        let Self { cast, name, .. } = self;
        let comma = if self.is_argument { ", " } else { "" };
        format!("(SELECT '{time}'::pg_catalog.timestamptz::pg_catalog.{cast} AS {name}){comma}")
    }
}

/// All places in their order; None where one cannot be written otherwise, or the text cannot be read.
pub fn clocks(text: &[u8], options: LexOptions) -> Option<Vec<Clock>> {
    let tokens = Tokens::new(text, options)?;
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let Some(clock) = clock(&tokens, at)? else { continue };
        if is_source(&tokens, at) {
            return None;
        }
        found.push(clock);
    }
    Some(found)
}

/// The outer None: not to be read.
fn clock(tokens: &Tokens<'_>, at: usize) -> Option<Option<Clock>> {
    let word = match tokens.kind(at) {
        Some(TokenKind::Word | TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier) => {
            tokens.identifier(at)?
        }
        Some(TokenKind::Invalid | TokenKind::Unterminated) => return None,
        _ => return Some(None),
    };
    let is_label = at > 0 && (tokens.punctuation(at - 1, b'.') || tokens.is(at - 1, "as"));
    if let Some((name, kind)) = KEYWORDS.iter().find(|(name, _)| tokens.is(at, name)) {
        return Some((!is_label).then(|| keyword(tokens, at, (name, kind))));
    }
    if !tokens.punctuation(at + 1, b'(') {
        return Some(None);
    }
    let Some(start) = unqualified(tokens, at) else { return Some(None) };
    if let Some(name) = CALLS.iter().find(|name| word == **name) {
        let is_call = tokens.punctuation(at + 2, b')');
        let clock = Clock {
            start,
            end: tokens.end(at + 2),
            cast: "timestamptz".to_owned(),
            name,
            is_argument: false,
        };
        return Some(is_call.then_some(clock));
    }
    let is_age = word == "age" && has_one_argument(tokens, at + 1);
    Some(is_age.then(|| Clock {
        start: tokens.end(at + 1),
        end: tokens.end(at + 1),
        cast: DATE.1.to_owned(),
        name: DATE.0,
        is_argument: true,
    }))
}

/// With its precision, if one is given.
fn keyword(tokens: &Tokens<'_>, at: usize, (name, kind): (&'static str, &str)) -> Clock {
    let precise = name != DATE.0 && tokens.punctuation(at + 1, b'(') && tokens.punctuation(at + 3, b')');
    let precision = if precise { String::from_utf8_lossy(tokens.bytes(at + 2)) } else { "".into() };
    let cast = if precise { format!("{kind}({precision})") } else { kind.to_owned() };
    let end = tokens.end(if precise { at + 3 } else { at });
    Clock { start: tokens.start(at), end, cast, name, is_argument: false }
}

/// Where the name begins, with a `pg_catalog` before it; None where something else qualifies it.
fn unqualified(tokens: &Tokens<'_>, at: usize) -> Option<u32> {
    if at == 0 || !tokens.punctuation(at - 1, b'.') {
        return Some(tokens.start(at));
    }
    let schema = at.checked_sub(2)?;
    let outermost = schema == 0 || !tokens.punctuation(schema - 1, b'.');
    (outermost && tokens.identifier(schema)? == "pg_catalog").then(|| tokens.start(schema))
}

/// `open` is the parenthesis.
fn has_one_argument(tokens: &Tokens<'_>, open: usize) -> bool {
    let mut depth = 0_usize;
    for at in open..tokens.len() {
        if tokens.punctuation(at, b'(') || tokens.punctuation(at, b'[') {
            depth += 1;
        } else if tokens.punctuation(at, b')') || tokens.punctuation(at, b']') {
            depth -= 1;
            if depth == 0 {
                return at > open + 1;
            }
        } else if depth == 1 && tokens.punctuation(at, b',') {
            return false;
        }
    }
    false
}

/// Whether it stands in FROM as if it were a table. There a subquery would need a name that the call does not need.
fn is_source(tokens: &Tokens<'_>, at: usize) -> bool {
    let (mut depth, mut comma, mut source) = (0_usize, false, false);
    for before in (0..at).rev() {
        if tokens.punctuation(before, b')') || tokens.punctuation(before, b']') {
            depth += 1;
        } else if tokens.punctuation(before, b'(') || tokens.punctuation(before, b'[') {
            if depth == 0 {
                // `extract(epoch FROM now())`
                return false;
            }
            depth -= 1;
        } else if depth > 0 {
            continue;
        } else if tokens.punctuation(before, b',') {
            comma = true;
        } else if source {
            if tokens.is(before, "select") {
                return true;
            }
        } else if tokens.is_any(before, &["join", "lateral"]) || comma && tokens.is(before, "on") {
            return true;
        } else if tokens.is(before, "from") {
            source = true;
        } else if tokens.is(before, "on") || tokens.is_any(before, CLAUSES) {
            return false;
        }
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        let mut out = text.to_owned();
        for clock in clocks(text.as_bytes(), LexOptions::default())?.iter().rev() {
            out.replace_range(clock.start as usize..clock.end as usize, &clock.written("T"));
        }
        Some(out)
    }

    #[test]
    fn every_spelling_of_the_clock_becomes_a_constant_of_its_name_and_type() {
        let cases = [
            ("now()", "(SELECT 'T'::pg_catalog.timestamptz::pg_catalog.timestamptz AS now)"),
            (
                "PG_CATALOG . \"now\" ( )",
                "(SELECT 'T'::pg_catalog.timestamptz::pg_catalog.timestamptz AS now)",
            ),
            ("CURRENT_DATE", "(SELECT 'T'::pg_catalog.timestamptz::pg_catalog.date AS current_date)"),
            ("localtime ( 0 )", "(SELECT 'T'::pg_catalog.timestamptz::pg_catalog.time(0) AS localtime)"),
            (
                "age(f(a, b))",
                "age((SELECT 'T'::pg_catalog.timestamptz::pg_catalog.date AS current_date), f(a, b))",
            ),
        ];
        for (clock, constant) in cases {
            let around =
                |part: &str| format!("SELECT x, {part} AS y FROM t WHERE {part} > z AND b IN (1, 2)");
            assert_eq!(written(&around(clock)).as_deref(), Some(around(constant).as_str()));
        }
        assert!(written("SELECT extract(epoch FROM now())").unwrap().contains("FROM (SELECT 'T'"));
        assert!(written("SELECT FROM a JOIN b ON a.t < now() AND 1 = ANY (ARRAY[1, 2])").is_some());
    }

    #[test]
    fn what_only_looks_like_the_clock_is_left() {
        for text in [
            "SELECT now, t.now, 'now()', \"current_date\", x AS current_date, t.current_time FROM now",
            "SELECT age(a, b), public.now(), x.pg_catalog.now(), statement_timestamp() FROM t -- now()",
        ] {
            assert_eq!(written(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_clock_among_the_tables_cannot_be_written_otherwise() {
        for text in [
            "SELECT * FROM now()",
            "SELECT * FROM t, now()",
            "SELECT * FROM t JOIN u USING (a), current_date",
            "SELECT * FROM t JOIN u ON a = b, LATERAL now()",
            "SELECT * FROM t JOIN u ON a = b, now()",
            "SELECT (SELECT 1 FROM t CROSS JOIN now() WHERE true)",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }
}
