//! From text to shape: the literals are cut out as byte ranges, and what remains is the key of the plan cache.
//!
//! Every statement goes through here, so nothing is allocated once the buffers are warm (a routing hint excepted).
//! The key is a canonical spelling: one space between tokens that need one, comments and blanks gone, unquoted words
//! in lower case, `$n` kept, a literal replaced by one byte that tells its type.
//!
//! ```text
//! SELECT  a FROM T WHERE x = 'v' AND y=17 ORDER BY 2   key  select a from t where x = \1 and y = \3 order by 2
//!                          ───          ──        literals  [25..28 String, 37..39 Integer]
//! ```
//!
//! Invariants:
//! 1. Texts with one key differ only in blanks, comments, the case of unquoted words, and the values of literals of
//!    the same type (int4, int8, larger integers and decimals are different types).
//! 2. Integers that stand for output columns (ORDER BY, GROUP BY, DISTINCT ON) or in type modifiers stay in the key
//!    and are no literals. `Scan` decides, for this file and for the parser's text alike.
//! 3. A byte that starts no token is kept behind an escape byte, so it cannot look like a literal's marker.
//!
//! Not here: the parser's text with its placeholders (`parser_text`), unescaping (`arguments`).

use super::arguments::{Literal, LiteralKind};
use super::hint::{Hint, HintError};
use super::lexer::{LexOptions, Lexer, Token, TokenKind};

/// Longer text is not given to the parser.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// More tokens are not given to the parser: a tree may be as deep as the text has tokens. Enough for a list of 10,000 values
/// and the statement around it.
pub const TOKENS_MAX: u32 = 24_000;
/// Deeper parentheses are not given to the parser.
pub const NESTING_MAX: u32 = 150;

/// Whether the parser may run on the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Parseable,
    /// Too long, too many tokens or too deep. The key is cut off and must not be used to look anything up.
    TooLarge,
}

/// Reused from statement to statement.
#[derive(Debug, Default)]
pub struct ShapeBuffers {
    key: Vec<u8>,
    literals: Vec<Literal>,
}

#[derive(Debug)]
pub struct ShapeRef<'b> {
    /// Not UTF-8 where the client's identifiers are not.
    pub key: &'b [u8],
    pub literals: &'b [Literal],
    /// Tokens that are neither blank nor comment.
    pub token_count: u32,
    /// One more than the highest `$n`.
    pub param_count: u32,
    pub size: Size,
    /// The text ends inside a quote or a comment, or holds a byte that starts no token: servers reject it.
    pub broken: bool,
    /// An integer is cut out as a literal where one of fewer digits would be kept.
    pub long_ordinals: bool,
    /// From the comment before the first token; not part of the key.
    pub hint: Result<Option<Hint>, HintError>,
}

/// Shapes one statement (see `split`).
pub fn shape<'b>(text: &[u8], options: LexOptions, buffers: &'b mut ShapeBuffers) -> ShapeRef<'b> {
    buffers.key.clear();
    buffers.literals.clear();
    let mut scan = Scan::new(text, options);
    let mut key = KeyWriter { text, key: &mut buffers.key, joint: Joint::Free };
    let mut token_count = 0u32;
    let mut broken = false;
    let oversized = text.len() > TEXT_BYTES_MAX;
    for Scanned { token, cut } in scan.by_ref() {
        token_count = token_count.saturating_add(1);
        broken |= matches!(token.kind, TokenKind::Unterminated | TokenKind::Invalid);
        if let Some(kind) = cut {
            buffers.literals.push(Literal { start: token.start, end: token.end, kind });
        }
        if !oversized && token_count <= TOKENS_MAX {
            key.push(token, cut.is_some());
        }
    }
    let fits = !oversized && token_count <= TOKENS_MAX && scan.depth_max <= NESTING_MAX;
    ShapeRef {
        key: &buffers.key,
        literals: &buffers.literals,
        token_count,
        param_count: scan.param_count,
        size: if fits { Size::Parseable } else { Size::TooLarge },
        broken,
        long_ordinals: scan.lists.has_long(),
        hint: scan.hint,
    }
}

const MARK_STRING: u8 = 1;
const MARK_BITS: u8 = 2;
const MARK_INT4: u8 = 3;
const MARK_INT8: u8 = 4;
const MARK_LARGE_INTEGER: u8 = 5;
const MARK_DECIMAL: u8 = 6;
const MARK_ODD_NUMBER: u8 = 7;
/// Stands before a byte that starts no token.
const MARK_INVALID: u8 = 31;

/// The byte that stands for a literal in a key.
pub(super) fn marker(token: Token, bytes: &[u8]) -> u8 {
    match token.kind {
        TokenKind::BitString => MARK_BITS,
        TokenKind::Integer => integer_marker(bytes),
        TokenKind::Decimal => MARK_DECIMAL,
        TokenKind::OddNumber => MARK_ODD_NUMBER,
        _ => MARK_STRING,
    }
}

fn integer_marker(digits: &[u8]) -> u8 {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    let digits = &digits[zeros..];
    let at_most = |max: &[u8]| digits.len() < max.len() || (digits.len() == max.len() && digits <= max);
    if at_most(b"2147483647") {
        MARK_INT4
    } else if at_most(b"9223372036854775807") {
        MARK_INT8
    } else {
        MARK_LARGE_INTEGER
    }
}

/// How a token may touch its neighbour without changing how the pair is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// Commas and brackets touch anything.
    Free,
    /// A point touches only names.
    Point,
    Name,
    Other,
}

struct KeyWriter<'a> {
    text: &'a [u8],
    key: &'a mut Vec<u8>,
    joint: Joint,
}

impl KeyWriter<'_> {
    fn push(&mut self, token: Token, cut: bool) {
        let bytes = token.bytes(self.text);
        let joint = joint(token, bytes);
        let touch = matches!(
            (self.joint, joint),
            (Joint::Free, _) | (_, Joint::Free) | (Joint::Point, Joint::Name) | (Joint::Name, Joint::Point)
        );
        if !touch {
            self.key.push(b' ');
        }
        self.joint = joint;
        match token.kind {
            _ if cut => self.key.push(marker(token, bytes)),
            TokenKind::Word => self.key.extend(bytes.iter().map(u8::to_ascii_lowercase)),
            TokenKind::Invalid | TokenKind::Unterminated => {
                self.key.push(MARK_INVALID);
                self.key.extend_from_slice(bytes);
            }
            _ => self.key.extend_from_slice(bytes),
        }
    }
}

fn joint(token: Token, bytes: &[u8]) -> Joint {
    match token.kind {
        TokenKind::Word | TokenKind::QuotedIdentifier => Joint::Name,
        TokenKind::Punctuation => match bytes {
            b"." => Joint::Point,
            b":" => Joint::Other,
            _ => Joint::Free,
        },
        _ => Joint::Other,
    }
}

/// A token and whether it is a literal to cut out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanned {
    pub token: Token,
    pub cut: Option<LiteralKind>,
}

/// The tokens of a statement without blanks and comments, and which of them are cut out.
pub(super) struct Scan<'t> {
    text: &'t [u8],
    lexer: Lexer<'t>,
    lists: super::ordinals::Ordinals,
    started: bool,
    pub depth_max: u32,
    pub param_count: u32,
    pub hint: Result<Option<Hint>, HintError>,
}

impl<'t> Scan<'t> {
    pub fn new(text: &'t [u8], options: LexOptions) -> Self {
        Self {
            text,
            lexer: Lexer::new(text, options),
            lists: Default::default(),
            started: false,
            depth_max: 0,
            param_count: 0,
            hint: Ok(None),
        }
    }

    fn on_param(&mut self, digits: &[u8]) {
        // PostgreSQL's own limit is 65535; larger numbers are refused by the servers.
        let number = digits.iter().take(9).fold(0u32, |n, b| n * 10 + u32::from(b.saturating_sub(b'0')));
        self.param_count = self.param_count.max(number.min(65_536));
    }
}

impl Iterator for Scan<'_> {
    type Item = Scanned;

    fn next(&mut self) -> Option<Scanned> {
        loop {
            let token = self.lexer.next()?;
            let bytes = token.bytes(self.text);
            if token.kind.is_trivia() {
                if token.kind != TokenKind::Blank && !self.started {
                    self.started = true;
                    self.hint = Hint::read(token.kind, bytes);
                }
                continue;
            }
            self.started = true;
            let keep = self.lists.on_token(token, bytes);
            self.depth_max = self.depth_max.max(self.lists.depth());
            let cut = match token.kind {
                TokenKind::String => Some(LiteralKind::String),
                TokenKind::EscapeString => Some(LiteralKind::EscapeString),
                TokenKind::DollarString => Some(LiteralKind::DollarString),
                TokenKind::UnicodeString | TokenKind::NationalString | TokenKind::BitString => {
                    Some(LiteralKind::OtherString)
                }
                TokenKind::Integer if !keep => Some(LiteralKind::Integer),
                TokenKind::Decimal => Some(LiteralKind::Decimal),
                TokenKind::OddNumber => Some(LiteralKind::OddNumber),
                TokenKind::Param => {
                    self.on_param(bytes.get(1..).unwrap_or(&[]));
                    None
                }
                _ => None,
            };
            return Some(Scanned { token, cut });
        }
    }
}
