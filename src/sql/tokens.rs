//! A statement as a list of tokens, with literals numbered: what commands and the parser's text are made from.
//!
//! Made once per shape (a miss in the plan cache), so it may allocate. `parse` makes it; `commands`, `rows` and
//! `parser_text` read it.
//!
//! Invariants:
//! 1. The n-th literal here is the n-th literal of `shape` for the same text: both read `Scan`.
//! 2. Names are folded, unquoted and cut to 63 bytes as PostgreSQL does.
//!
//! Not here: grammar.

use std::borrow::Cow;

use super::lexer::{LexOptions, Token, TokenKind};
use super::name::ObjectName;
use super::shape::Scan;
use super::unescape;

/// PostgreSQL's NAMEDATALEN less one: longer identifiers are cut.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// Texts of more tokens are not listed: twenty bytes each.
const LISTED_MAX: usize = 2_000_000;

/// `server_version_num` of PostgreSQL 15, which refuses `1from`.
const NUMBERS_END_IN_BLANKS: u32 = 150_000;
/// `server_version_num` of PostgreSQL 14, which has no `5 !`.
const NO_POSTFIX_OPERATORS: u32 = 140_000;

/// Keywords that begin no expression.
const BEHIND_EXPRESSIONS: [&str; 44] = [
    "and",
    "as",
    "asc",
    "between",
    "cross",
    "desc",
    "do",
    "else",
    "end",
    "except",
    "fetch",
    "for",
    "from",
    "full",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "left",
    "like",
    "limit",
    "natural",
    "notnull",
    "nulls",
    "offset",
    "on",
    "or",
    "order",
    "returning",
    "right",
    "set",
    "similar",
    "then",
    "union",
    "using",
    "when",
    "where",
    "window",
];

#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub token: Token,
    /// The literal's number, where the token is one.
    pub literal: Option<u32>,
}

pub(super) struct Tokens<'t> {
    pub text: &'t [u8],
    pub items: Vec<Item>,
    pub param_count: u32,
    /// Parameters that stand more than once, from 0, in order, and how often.
    pub repeated_params: Vec<(u32, usize)>,
}

fn repeated(text: &[u8], items: &[Item]) -> Vec<(u32, usize)> {
    let params = items.iter().filter(|item| item.token.kind == TokenKind::Param);
    let mut numbers: Vec<u32> = params
        .filter_map(|item| {
            std::str::from_utf8(item.token.bytes(text).get(1..)?).ok()?.parse::<u32>().ok()?.checked_sub(1)
        })
        .collect();
    numbers.sort_unstable();
    let runs = numbers.chunk_by(|one, next| one == next).filter(|run| run.len() > 1);
    runs.map(|run| (run[0], run.len())).collect()
}

impl<'t> Tokens<'t> {
    /// None where the text has too many tokens.
    pub fn new(text: &'t [u8], options: LexOptions) -> Option<Self> {
        let mut scan = Scan::new(text, options);
        let mut items = Vec::new();
        let mut literals = 0;
        for scanned in scan.by_ref() {
            if items.len() == LISTED_MAX {
                return None;
            }
            let literal = scanned.cut.map(|_| literals);
            literals += u32::from(literal.is_some());
            items.push(Item { token: scanned.token, literal });
        }
        let repeated_params = repeated(text, &items);
        Some(Self { text, items, param_count: scan.param_count, repeated_params })
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn kind(&self, at: usize) -> Option<TokenKind> {
        self.items.get(at).map(|item| item.token.kind)
    }

    pub fn bytes(&self, at: usize) -> &'t [u8] {
        self.items.get(at).map_or(&[], |item| item.token.bytes(self.text))
    }

    pub fn start(&self, at: usize) -> u32 {
        self.items.get(at).map_or(self.text.len() as u32, |item| item.token.start)
    }

    pub fn end(&self, at: usize) -> u32 {
        self.items.get(at).map_or(self.text.len() as u32, |item| item.token.end)
    }

    pub fn literal(&self, at: usize) -> Option<u32> {
        self.items.get(at).and_then(|item| item.literal)
    }

    /// The keyword `word`, in lower case, stands at `at` unquoted.
    pub fn is(&self, at: usize, word: &str) -> bool {
        self.items.get(at).is_some_and(|item| item.token.is_word(self.text, word))
    }

    pub fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    /// The keywords stand one after the other from `at`.
    pub fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.is(at + i, word))
    }

    pub fn punctuation(&self, at: usize, byte: u8) -> bool {
        self.items.get(at).is_some_and(|item| item.token.is_punctuation(self.text, byte))
    }

    pub fn operator(&self, at: usize, operator: &str) -> bool {
        self.kind(at) == Some(TokenKind::Operator) && self.bytes(at) == operator.as_bytes()
    }

    pub fn is_string(&self, at: usize) -> bool {
        use TokenKind::{DollarString, EscapeString, NationalString, String, UnicodeString};
        matches!(self.kind(at), Some(String | EscapeString | DollarString | UnicodeString | NationalString))
    }

    /// The value of the string literal at `at`. None for anything else, and for a form that is not decoded.
    pub fn string(&self, at: usize) -> Option<String> {
        let raw = self.bytes(at);
        match self.kind(at)? {
            TokenKind::String => unescape::plain(raw).map(Cow::into_owned),
            TokenKind::EscapeString => unescape::escaped(raw),
            TokenKind::DollarString => unescape::dollar(raw).map(str::to_owned),
            _ => None,
        }
    }

    /// The word at `at` in lower case, or an empty string.
    pub fn word(&self, at: usize) -> String {
        match self.kind(at) {
            Some(TokenKind::Word) => fold(self.bytes(at)).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The identifier at `at`, quoted or not. None for anything else, or where it is not UTF-8.
    pub fn identifier(&self, at: usize) -> Option<String> {
        match self.kind(at)? {
            TokenKind::Word => fold(self.bytes(at)),
            TokenKind::QuotedIdentifier => {
                let inner = self.bytes(at);
                let inner = inner.get(1..inner.len() - 1)?;
                Some(truncate(std::str::from_utf8(inner).ok()?.replace("\"\"", "\"")))
            }
            TokenKind::UnicodeIdentifier => {
                let escape = if self.is(at + 1, "uescape") { *self.bytes(at + 2).get(1)? } else { b'\\' };
                unescape::unicode_identifier(self.bytes(at), escape).map(truncate)
            }
            _ => None,
        }
    }

    /// A possibly qualified name at `at`, and the place behind it. A catalog's name in front is dropped.
    pub fn name(&self, at: usize) -> Option<(ObjectName, usize)> {
        let mut parts = vec![self.identifier(at)?];
        let mut next = at + 1;
        while self.punctuation(next, b'.') {
            parts.push(self.identifier(next + 1)?);
            next += 2;
        }
        let name = parts.pop()?;
        Some((ObjectName { schema: parts.pop(), name }, next))
    }

    /// The place behind the bracket that closes the one at `open`; the end where it is not closed.
    pub fn closing(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for at in open..self.len() {
            match self.bytes(at) {
                b"(" | b"[" if self.kind(at) == Some(TokenKind::Punctuation) => depth += 1,
                b")" | b"]" if self.kind(at) == Some(TokenKind::Punctuation) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
        }
        self.len()
    }

    /// The first `server_version_num` that reads these tokens as they are read here; 0: every one does. What goes on as a word
    /// behind a number's digits is a word of its own before PostgreSQL 15, and before 14 an operator may end an expression.
    pub fn read_since(&self) -> u32 {
        (0..self.len()).map(|at| self.token_read_since(at)).max().unwrap_or(0)
    }

    fn token_read_since(&self, at: usize) -> u32 {
        match self.kind(at) {
            Some(TokenKind::OddNumber) => NUMBERS_END_IN_BLANKS,
            Some(TokenKind::Operator) if self.is_postfix(at) => NO_POSTFIX_OPERATORS,
            _ => 0,
        }
    }

    /// Whether no operand can begin behind the operator.
    fn is_postfix(&self, at: usize) -> bool {
        let named =
            ["+", "-", "*", "/", "%", "^", "<", ">", "=", "<=", ">=", "<>", "!=", "=>", ":=", "::", ".."];
        let qualified = self.qualified_operator(at);
        let plain = qualified.is_none() && named.iter().any(|operator| self.operator(at, operator));
        let (first, behind) = qualified.unwrap_or((at, at + 1));
        if plain || first == 0 || self.is(first - 1, "using") {
            return false;
        }
        let closes = |byte: &u8| self.punctuation(behind, *byte);
        let function = self.punctuation(behind + 1, b'(');
        behind == self.len()
            || b"),];".iter().any(closes)
            || !function && self.is_any(behind, &BEHIND_EXPRESSIONS)
    }

    /// The first token and the place behind the last of `OPERATOR(schema.+)` around the operator at `at`.
    fn qualified_operator(&self, at: usize) -> Option<(usize, usize)> {
        let mut open = at.checked_sub(1)?;
        while self.punctuation(open, b'.') {
            open = open.checked_sub(2)?;
        }
        let word = open.checked_sub(1)?;
        let written = self.punctuation(open, b'(') && self.is(word, "operator");
        (written && self.punctuation(at + 1, b')')).then_some((word, at + 2))
    }

    /// Every operator of the tokens, each once, in order of appearance.
    pub fn operators(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let mut operators = Vec::new();
        for at in (0..self.len()).filter(|at| self.kind(*at) == Some(TokenKind::Operator)) {
            if seen.insert(self.bytes(at)) {
                operators.push(String::from_utf8_lossy(self.bytes(at)).into_owned());
            }
        }
        operators
    }

    /// Every identifier of the tokens, each once, in order of appearance.
    pub fn words(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let mut words = Vec::new();
        for at in 0..self.len() {
            if let Some(word) = self.identifier(at)
                && seen.insert(word.clone())
            {
                words.push(word);
            }
        }
        words
    }
}

fn fold(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(|word| truncate(word.to_ascii_lowercase()))
}

/// Cuts an identifier as `truncate_identifier` does, at a character's border.
pub fn truncate(mut word: String) -> String {
    if word.len() > IDENTIFIER_BYTES_MAX {
        let mut end = IDENTIFIER_BYTES_MAX;
        while !word.is_char_boundary(end) {
            end -= 1;
        }
        word.truncate(end);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: u32) {
        let tokens = Tokens::new(text.as_bytes(), LexOptions::default()).expect("few tokens");
        assert_eq!(tokens.read_since(), expected, "{text}");
    }

    #[test]
    fn an_operator_that_ends_an_expression_is_told_from_one_that_is_written_in_full() {
        check("SELECT 5 ! FROM t", NO_POSTFIX_OPERATORS);
        check("SELECT (5 !)", NO_POSTFIX_OPERATORS);
        check("SELECT 5 OPERATOR(pg_catalog.!) FROM t", NO_POSTFIX_OPERATORS);
        check("SELECT 5 OPERATOR(+)", NO_POSTFIX_OPERATORS);
        check("SELECT ! FROM t", NO_POSTFIX_OPERATORS);
        // As psql and pg_dump ask for names.
        check("SELECT 1 WHERE a OPERATOR(pg_catalog.~) '^(x)$' COLLATE pg_catalog.default", 0);
        check("SELECT a OPERATOR(+) b FROM t ORDER BY a USING OPERATOR(s.<<), b USING ~<~ LIMIT 1", 0);
        check("SELECT count(*), a.* FROM t WHERE a @> b", 0);
        check("SELECT 1from t", NUMBERS_END_IN_BLANKS);
    }
}
