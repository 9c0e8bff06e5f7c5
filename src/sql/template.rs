//! A statement met before, with other literals in the same places: its shape is known without lexing all of it.
//!
//! `session::planning` keeps some templates and asks them before it calls [`super::shape::shape`], whose answer they
//! must equal. What stands between the literals is compared byte by byte; only the literals themselves are lexed.
//!
//! ```text
//! template  SELECT a FROM t WHERE x = │'v'│ AND y = │17│
//! text      SELECT a FROM t WHERE x = │'it''s'│ AND y = │4│      fits: literals [26..33 String, 42..43 Integer]
//! ```
//!
//! Why equal bytes are equal tokens: the lexer keeps no state between tokens, and looks beyond the end of a token only
//! as far as the class of the next byte. A literal of the same kind that begins with the same byte, or with a digit
//! where a digit was, ends and begins its neighbours at the same places.
//!
//! Invariants:
//! 1. A text that fits has the key of the template's text, and the literals that `shape` finds in it.
//! 2. Whether an integer is a literal may depend on its length where columns are named by number
//!    ([`super::ordinals`]): texts with such integers have no template.
//!
//! Not here: which plan belongs to it (session).

use super::arguments::Literal;
use super::lexer::{LexOptions, Lexer, TokenKind, is_digit};
use super::shape::{ShapeRef, Size, TEXT_BYTES_MAX, marker};

/// Longer texts, and texts with more literals, have no template.
const TEMPLATE_BYTES_MAX: usize = 2 * 1024;
const LITERALS_MAX: usize = 32;
/// No more of a text than this decides where its template is looked for.
const OPENING_BYTES_MAX: usize = 256;

#[derive(Debug)]
pub struct Template {
    text: Box<[u8]>,
    options: LexOptions,
    moulds: Box<[Mould]>,
}

/// What a literal of another text must be like.
#[derive(Debug)]
struct Mould {
    literal: Literal,
    token: TokenKind,
    marker: u8,
}

impl Template {
    /// None where another text could look alike and mean something else, or where it would not be worth its memory.
    pub fn of(text: &[u8], options: LexOptions, shape: &ShapeRef<'_>) -> Option<Self> {
        let fits = text.len() <= TEMPLATE_BYTES_MAX && shape.literals.len() <= LITERALS_MAX;
        let sure = shape.size == Size::Parseable && !shape.broken && !shape.long_ordinals;
        if !fits || !sure {
            return None;
        }
        let mould = |literal: &Literal| {
            let token = Lexer::token_at(text, literal.start as usize, options)?;
            Some(Mould { literal: *literal, token: token.kind, marker: marker(token, token.bytes(text)) })
        };
        let moulds = shape.literals.iter().map(mould).collect::<Option<Box<[Mould]>>>()?;
        Some(Self { text: text.into(), options, moulds })
    }

    /// Whether the text has this shape: then its literals are told, in their order.
    pub fn fits(&self, text: &[u8], options: LexOptions, mut tell: impl FnMut(Literal)) -> bool {
        if options != self.options || text.len() > TEXT_BYTES_MAX {
            return false;
        }
        let (mut own, mut at) = (0, 0);
        for Mould { literal, token: kind, marker: mark } in &self.moulds {
            let (start, end) = (literal.start as usize, literal.end as usize);
            let between = self.text.get(own..start).unwrap_or_default();
            if !text.get(at..).is_some_and(|rest| rest.starts_with(between)) {
                return false;
            }
            at += between.len();
            if !begins_alike(text.get(at), self.text.get(start)) {
                return false;
            }
            let Some(token) = Lexer::token_at(text, at, options) else { return false };
            if token.kind != *kind || marker(token, token.bytes(text)) != *mark {
                return false;
            }
            tell(Literal { start: token.start, end: token.end, kind: literal.kind });
            (own, at) = (end, token.end as usize);
        }
        text.get(at..) == self.text.get(own..)
    }
}

fn begins_alike(one: Option<&u8>, other: Option<&u8>) -> bool {
    one == other || one.zip(other).is_some_and(|(one, other)| is_digit(*one) && is_digit(*other))
}

/// What texts with one template have in common at their beginning, or less: up to the first quote or digit.
pub fn opening(text: &[u8]) -> &[u8] {
    let text = text.get(..OPENING_BYTES_MAX).unwrap_or(text);
    let end = text.iter().position(|byte| *byte == b'\'' || is_digit(*byte));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::shape::{ShapeBuffers, shape};
    use super::*;

    /// What the lexer takes together or apart, depending on what stands beside it.
    const PIECES: [&str; 44] = [
        "'",
        "''",
        "'a'",
        "'b;c'",
        "E'x'",
        "e'\\''",
        "N'n'",
        "U&'u'",
        "B'1'",
        "x'F'",
        "$$d$$",
        "$t$d$t$",
        "$1",
        "$",
        "1",
        "17",
        "12345",
        "99999999999",
        "2147483648",
        "1.5",
        ".5",
        "1.",
        "1e5",
        "0x1F",
        "12ab",
        ".",
        "..",
        "a",
        "e",
        "u",
        "ORDER BY ",
        "GROUP BY ",
        "DISTINCT ON (",
        ",",
        "(",
        ")",
        "-",
        "--c\n",
        "/*c*/",
        "::",
        "numeric(",
        "=",
        " ",
        "\n",
    ];

    fn texts() -> impl Strategy<Value = (String, String)> {
        // Two texts that differ in few pieces.
        let pieces = || proptest::sample::select(&PIECES[..]);
        proptest::collection::vec((pieces(), pieces(), 0..4u8), 0..9).prop_map(|parts| {
            let one = parts.iter().map(|(one, _, _)| *one).collect();
            let other = parts.iter().map(|(one, two, which)| if *which == 0 { *two } else { *one }).collect();
            (one, other)
        })
    }

    /// Checks the promise for one pair of texts; whether the second fitted.
    fn check(one: &str, other: &str, options: LexOptions) -> bool {
        let (mut buffers, mut others) = (ShapeBuffers::default(), ShapeBuffers::default());
        let known = shape(one.as_bytes(), options, &mut buffers);
        let Some(template) = Template::of(one.as_bytes(), options, &known) else { return false };
        let mut literals = Vec::new();
        if !template.fits(other.as_bytes(), options, |literal| literals.push(literal)) {
            return false;
        }
        let truth = shape(other.as_bytes(), options, &mut others);
        assert_eq!(known.key, truth.key, "{one:?} {other:?}");
        assert_eq!(literals, truth.literals, "{one:?} {other:?}");
        assert_eq!((known.hint, known.broken), (truth.hint, truth.broken), "{one:?} {other:?}");
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        #[test]
        fn a_text_that_fits_has_the_shape((one, other) in texts(), conforming in any::<bool>()) {
            let options = LexOptions { standard_conforming_strings: conforming };
            check(&one, &other, options);
            check(&other, &one, options);
        }
    }

    #[test]
    fn other_values_fit_and_other_kinds_do_not() {
        let one = "SELECT a FROM t WHERE x = 'v' AND y = 17";
        let fits = |other: &str| check(one, other, LexOptions::default());
        assert!(fits("SELECT a FROM t WHERE x = 'it''s; --' AND y = 4"));
        assert!(!fits("SELECT a FROM t WHERE x = 'v' AND y = 99999999999"));
        assert!(!fits("SELECT a FROM t WHERE x = 'v' AND y = 17 OR true"));
        assert!(!fits("SELECT a FROM t WHERE x = E'v' AND y = 17"));
        assert!(!fits("SELECT a FROM t WHERE x = 'v' OR y = '17"));
    }

    #[test]
    fn columns_by_number_have_no_template() {
        let of = |text: &str| {
            let mut buffers = ShapeBuffers::default();
            let shape = shape(text.as_bytes(), LexOptions::default(), &mut buffers);
            Template::of(text.as_bytes(), LexOptions::default(), &shape).is_some()
        };
        assert!(of("SELECT a FROM t ORDER BY 2"));
        assert!(!of("SELECT a FROM t ORDER BY 12345"));
    }

    #[test]
    fn an_opening_ends_before_the_first_literal() {
        assert_eq!(opening(b"SELECT a WHERE x = 'v' AND y = 1"), b"SELECT a WHERE x = ");
        assert_eq!(opening(b"SELECT 1"), b"SELECT ");
        assert_eq!(opening(b"BEGIN"), b"BEGIN");
    }
}
