//! PostgreSQL's lexical rules over bytes, after `src/backend/parser/scan.l`.
//!
//! Everything else in this room reads text through this file: the splitter, the shape, the commands and the text
//! for the parser. It yields every byte of the text in exactly one token and allocates nothing.
//!
//! Rules that are easy to get wrong, and are tested:
//! - `'a'` newline `'b'` is one string; a line comment may stand between; carriage return ends a line too.
//! - `''` doubles a quote everywhere; a backslash escapes only in `E'…'`, or in `'…'` when
//!   standard_conforming_strings is off.
//! - A dollar quote starts only where an identifier is not already running: `a$b$` is an identifier.
//! - An operator is the longest run of operator characters, cut at `--` or `/*`, and without a trailing `+` or `-`
//!   unless one of `~ ! @ # ^ & | ` ? %` stands before it. So `a>=-1` is `>=` and `-`, and `a=@b` is `=@`.
//! - Digits that run into letters mean different things in different versions of PostgreSQL: [`TokenKind::OddNumber`].
//!
//! Invariants:
//! 1. Tokens are adjacent and cover the text; no input panics.
//! 2. A construct that is still open at the end of the text is [`TokenKind::Unterminated`].
//! 3. The work grows with the length of the text and not faster: a worker's other clients wait for it.
//!
//! Not here: keywords (a keyword is a word that its reader recognises), values of literals (`arguments`).

use memchr::{memchr, memchr2};

/// What the server session would be told: changes where a literal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LexOptions {
    pub standard_conforming_strings: bool,
}

impl Default for LexOptions {
    fn default() -> Self {
        Self { standard_conforming_strings: true }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    Blank,
    LineComment,
    BlockComment,
    /// An unquoted identifier or keyword.
    Word,
    /// `"…"`.
    QuotedIdentifier,
    /// `U&"…"`.
    UnicodeIdentifier,
    /// `'…'` without backslash escapes.
    String,
    /// `E'…'`, or `'…'` with standard_conforming_strings off.
    EscapeString,
    DollarString,
    /// `U&'…'`.
    UnicodeString,
    /// `N'…'`.
    NationalString,
    /// `B'…'` and `X'…'`.
    BitString,
    Integer,
    Decimal,
    /// `0x1F`, `1_000`, `12abc`, `1e`: not the same thing in all versions of PostgreSQL.
    OddNumber,
    /// `$1`.
    Param,
    /// A run of operator characters, `::`, `:=` or `..`.
    Operator,
    /// One of `, ( ) [ ] . ; :`.
    Punctuation,
    /// A byte that starts no token.
    Invalid,
    /// A string, identifier or comment that the text does not close.
    Unterminated,
}

impl TokenKind {
    pub fn is_trivia(self) -> bool {
        matches!(self, Self::Blank | Self::LineComment | Self::BlockComment)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: u32,
    pub end: u32,
}

impl Token {
    pub fn bytes<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or(&[])
    }

    /// A word equal to `keyword`, which is in lower case.
    pub fn is_word(&self, text: &[u8], keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.bytes(text).eq_ignore_ascii_case(keyword.as_bytes())
    }

    pub fn is_punctuation(&self, text: &[u8], byte: u8) -> bool {
        self.kind == TokenKind::Punctuation && self.bytes(text) == [byte]
    }
}

const SPACE: u8 = 1;
const IDENT_START: u8 = 2;
const DIGIT: u8 = 4;
const OPERATOR: u8 = 8;
const PUNCTUATION: u8 = 16;
const IDENT_CONT: u8 = 32;
/// Operator characters that let an operator end in `+` or `-`.
const STRONG: u8 = 64;

const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        table[i] = match b {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => IDENT_START | IDENT_CONT,
            b'0'..=b'9' => DIGIT | IDENT_CONT,
            b'$' => IDENT_CONT,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%' => OPERATOR | STRONG,
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' => OPERATOR,
            b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => PUNCTUATION,
            _ => 0,
        };
        i += 1;
    }
    table
}

fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

pub fn is_digit(byte: u8) -> bool {
    class(byte) & DIGIT != 0
}

/// Whether the byte may continue an identifier.
pub fn is_identifier_byte(byte: u8) -> bool {
    class(byte) & IDENT_CONT != 0
}

/// Iterates over the tokens of a text, blanks and comments included.
#[derive(Debug, Clone)]
pub struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    options: LexOptions,
    /// Every byte from `at` to here is a `+` or `-` that stands alone: an operator before them had to leave them. Kept
    /// so that a long run of signs is read once, not once for each.
    signs_until: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t [u8], options: LexOptions) -> Self {
        // Offsets are u32; frames are bounded far below this by the wire.
        let text = text.get(..u32::MAX as usize).unwrap_or(text);
        Self { text, at: 0, options, signs_until: 0 }
    }

    /// The token that begins at `at`, which is the beginning of a token; None at the end of the text.
    pub fn token_at(text: &'t [u8], at: usize, options: LexOptions) -> Option<Token> {
        Self { at, ..Self::new(text, options) }.next()
    }

    fn byte(&self, at: usize) -> u8 {
        // NUL cannot occur in a text of the protocol and starts no token: it stands for the end.
        self.text.get(at).copied().unwrap_or(0)
    }

    fn run(&self, mut at: usize, mask: u8) -> usize {
        while at < self.text.len() && class(self.text[at]) & mask != 0 {
            at += 1;
        }
        at
    }

    fn read(&mut self) -> (TokenKind, usize) {
        let start = self.at;
        let first = self.text[start];
        let bits = class(first);
        if bits & SPACE != 0 {
            return (TokenKind::Blank, self.run(start, SPACE));
        }
        if bits & IDENT_START != 0 {
            return self.scan_word(start, first);
        }
        if bits & DIGIT != 0 || (first == b'.' && class(self.byte(start + 1)) & DIGIT != 0) {
            return self.scan_number(start);
        }
        match first {
            b'\'' if self.options.standard_conforming_strings => {
                self.scan_quoted(start + 1, TokenKind::String, false)
            }
            b'\'' => self.scan_quoted(start + 1, TokenKind::EscapeString, true),
            b'"' => self.scan_identifier(start + 1, TokenKind::QuotedIdentifier),
            b'$' => self.scan_dollar(start),
            b'-' if self.byte(start + 1) == b'-' => (TokenKind::LineComment, line_end(self.text, start)),
            b'/' if self.byte(start + 1) == b'*' => self.scan_comment(start),
            b':' if matches!(self.byte(start + 1), b':' | b'=') => (TokenKind::Operator, start + 2),
            b'.' if self.byte(start + 1) == b'.' => (TokenKind::Operator, start + 2),
            _ if bits & PUNCTUATION != 0 => (TokenKind::Punctuation, start + 1),
            _ if bits & OPERATOR != 0 => (TokenKind::Operator, self.operator_end(start)),
            _ => (TokenKind::Invalid, start + 1),
        }
    }

    fn scan_word(&self, start: usize, first: u8) -> (TokenKind, usize) {
        let second = self.byte(start + 1);
        if second == b'\'' {
            match first {
                b'e' | b'E' => return self.scan_quoted(start + 2, TokenKind::EscapeString, true),
                b'b' | b'B' | b'x' | b'X' => return self.scan_quoted(start + 2, TokenKind::BitString, false),
                // The server reads NCHAR and then a string, which obeys standard_conforming_strings.
                b'n' | b'N' => {
                    let escapes = !self.options.standard_conforming_strings;
                    return self.scan_quoted(start + 2, TokenKind::NationalString, escapes);
                }
                _ => {}
            }
        }
        if second == b'&' && matches!(first, b'u' | b'U') {
            match self.byte(start + 2) {
                b'\'' => return self.scan_quoted(start + 3, TokenKind::UnicodeString, false),
                b'"' => return self.scan_identifier(start + 3, TokenKind::UnicodeIdentifier),
                _ => {}
            }
        }
        (TokenKind::Word, self.run(start, IDENT_CONT))
    }

    /// From behind the opening quote to behind the last closing quote, continuations included.
    fn scan_quoted(&self, from: usize, kind: TokenKind, escapes: bool) -> (TokenKind, usize) {
        let mut at = from;
        loop {
            let rest = self.text.get(at..).unwrap_or(&[]);
            let found = if escapes { memchr2(b'\'', b'\\', rest) } else { memchr(b'\'', rest) };
            let Some(offset) = found else { return (TokenKind::Unterminated, self.text.len()) };
            at += offset;
            if self.text[at] == b'\\' {
                at += 2;
                continue;
            }
            at += 1;
            if self.byte(at) == b'\'' {
                at += 1;
                continue;
            }
            match continuation(self.text, at) {
                Some(next) => at = next,
                None => return (kind, at),
            }
        }
    }

    fn scan_identifier(&self, from: usize, kind: TokenKind) -> (TokenKind, usize) {
        let mut at = from;
        while let Some(offset) = memchr(b'"', self.text.get(at..).unwrap_or(&[])) {
            at += offset + 1;
            if self.byte(at) != b'"' {
                return (kind, at);
            }
            at += 1;
        }
        (TokenKind::Unterminated, self.text.len())
    }

    fn scan_dollar(&self, start: usize) -> (TokenKind, usize) {
        if class(self.byte(start + 1)) & DIGIT != 0 {
            return (TokenKind::Param, self.run(start + 1, DIGIT));
        }
        let mut tag = start + 1;
        if class(self.byte(tag)) & IDENT_START != 0 {
            tag = self.run(tag, IDENT_START | DIGIT);
        }
        if self.byte(tag) != b'$' {
            return (TokenKind::Invalid, start + 1);
        }
        let delimiter = &self.text[start..=tag];
        match memchr::memmem::find(&self.text[tag + 1..], delimiter) {
            Some(offset) => (TokenKind::DollarString, tag + 1 + offset + delimiter.len()),
            None => (TokenKind::Unterminated, self.text.len()),
        }
    }

    fn scan_comment(&self, start: usize) -> (TokenKind, usize) {
        let mut depth = 1u32;
        let mut at = start + 2;
        while let Some(offset) = memchr2(b'*', b'/', self.text.get(at..).unwrap_or(&[])) {
            at += offset;
            match (self.text[at], self.byte(at + 1)) {
                (b'*', b'/') => {
                    at += 2;
                    depth -= 1;
                    if depth == 0 {
                        return (TokenKind::BlockComment, at);
                    }
                }
                (b'/', b'*') => {
                    at += 2;
                    depth += 1;
                }
                _ => at += 1,
            }
        }
        (TokenKind::Unterminated, self.text.len())
    }

    fn scan_number(&self, start: usize) -> (TokenKind, usize) {
        let mut at = self.run(start, DIGIT);
        let mut kind = TokenKind::Integer;
        // "1..2" is 1, then "..": the digits do not take the first point.
        if self.byte(at) == b'.' && self.byte(at + 1) != b'.' {
            kind = TokenKind::Decimal;
            at = self.run(at + 1, DIGIT);
        }
        if matches!(self.byte(at), b'e' | b'E') {
            let signed = usize::from(matches!(self.byte(at + 1), b'+' | b'-'));
            if class(self.byte(at + 1 + signed)) & DIGIT != 0 {
                kind = TokenKind::Decimal;
                at = self.run(at + 1 + signed, DIGIT);
            }
        }
        if class(self.byte(at)) & IDENT_START != 0 {
            return (TokenKind::OddNumber, self.run(at, IDENT_CONT));
        }
        (kind, at)
    }

    fn operator_end(&mut self, start: usize) -> usize {
        if start < self.signs_until {
            return start + 1;
        }
        let mut strong = class(self.text[start]) & STRONG != 0;
        let mut run = start + 1;
        while class(self.byte(run)) & OPERATOR != 0 && !self.begins_comment(run) {
            strong |= class(self.text[run]) & STRONG != 0;
            run += 1;
        }
        let mut end = run;
        while !strong && end - start > 1 && matches!(self.text[end - 1], b'+' | b'-') {
            end -= 1;
        }
        if end < run {
            self.signs_until = run;
        }
        end
    }

    fn begins_comment(&self, at: usize) -> bool {
        matches!((self.byte(at), self.byte(at + 1)), (b'-', b'-') | (b'/', b'*'))
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at as u32;
        let (kind, end) = self.read();
        self.at = end.min(self.text.len());
        Some(Token { kind, start, end: self.at as u32 })
    }
}

fn line_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or(&[]);
    memchr2(b'\n', b'\r', rest).map_or(text.len(), |offset| at + offset)
}

/// Behind the quote that continues a string whose closing quote ends at `at`: blanks and line comments with at
/// least one newline, then a quote (`quotecontinue` in scan.l).
pub(super) fn continuation(text: &[u8], mut at: usize) -> Option<usize> {
    let mut newline = false;
    loop {
        match text.get(at)? {
            b'\n' | b'\r' => newline = true,
            b' ' | b'\t' | 0x0b | 0x0c => {}
            b'-' if text.get(at + 1) == Some(&b'-') => {
                at = line_end(text, at);
                continue;
            }
            b'\'' if newline => return Some(at + 1),
            _ => return None,
        }
        at += 1;
    }
}
