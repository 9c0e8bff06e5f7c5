//! How far the meaning of a text depends on when, and by which session, it is parsed.
//!
//! PostgreSQL converts quoted literals while it parses: `'01/02/2024'::date` by the DateStyle of that moment, `'now'` by
//! its clock. A statement that a server has parsed for one session says the same to another only as far as this tells.
//!
//! Content decides, whatever type a literal turns out to have: what is not known to be harmless is not.

use super::lexer::{LexOptions, Lexer, TokenKind};

/// What the quoted literals of a text may depend on. Ordered: each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conversion {
    /// There is nothing to convert.
    Fixed,
    /// On settings.
    Settings,
    /// On settings, and on the day: `'10:00'` may be a time in a zone that has a summer time.
    Day,
    /// On the moment.
    Moment,
}

/// Literals of types of dates and times that mean the moment.
const MOMENTS: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];

impl Conversion {
    pub fn of(text: &[u8], options: LexOptions) -> Self {
        let quoted = |token: super::lexer::Token| match token.kind {
            TokenKind::String | TokenKind::NationalString | TokenKind::DollarString => {
                Self::of_literal(token.bytes(text))
            }
            // Escapes may spell anything.
            TokenKind::EscapeString | TokenKind::UnicodeString if token.bytes(text).contains(&b'\\') => {
                Self::Moment
            }
            TokenKind::EscapeString | TokenKind::UnicodeString => Self::of_literal(token.bytes(text)),
            TokenKind::Unterminated | TokenKind::Invalid => Self::Moment,
            _ => Self::Fixed,
        };
        Lexer::new(text, options).map(quoted).max().unwrap_or(Self::Fixed)
    }

    fn of_literal(literal: &[u8]) -> Self {
        // Strings on several lines are one.
        let in_pieces = memchr::memchr2(b'\n', b'\r', literal).is_some()
            && memchr::memchr_iter(b'\'', literal).count() > 2;
        if in_pieces || MOMENTS.iter().any(|moment| has_word(literal, moment)) {
            return Self::Moment;
        }
        match literal.iter().any(u8::is_ascii_digit) {
            true => Self::Day,
            false => Self::Settings,
        }
    }
}

/// Whether the literal has this word, in any case, with no letter beside it.
fn has_word(literal: &[u8], word: &[u8]) -> bool {
    let alone = |at: usize| literal.get(at).is_none_or(|byte| !byte.is_ascii_alphabetic());
    literal.windows(word.len()).enumerate().any(|(at, window)| {
        window.eq_ignore_ascii_case(word) && alone(at.wrapping_sub(1)) && alone(at + word.len())
    })
}

#[cfg(test)]
mod tests {
    use super::Conversion;
    use crate::sql::lexer::LexOptions;

    fn conversion(text: &str) -> Conversion {
        Conversion::of(text.as_bytes(), LexOptions::default())
    }

    #[test]
    fn literals_are_judged_by_what_they_may_mean() {
        assert_eq!(conversion("SELECT now(), 5, $1, \"now\" FROM t -- 'now'"), Conversion::Fixed);
        assert_eq!(conversion("SELECT * FROM t WHERE region = 'eu-west' AND a = ''"), Conversion::Settings);
        assert_eq!(conversion("SELECT 'unknown', 'nowhere', 'snow'"), Conversion::Settings);
        assert_eq!(conversion("SELECT '01/02/2024'::date"), Conversion::Day);
        assert_eq!(conversion("SELECT $$10:00$$::timetz"), Conversion::Day);
        for moment in [
            "'now'::timestamptz",
            "timestamp ' NOW'",
            "'{now,2024-01-01}'::date[]",
            "'[today,tomorrow)'::daterange",
            "$a$today$a$",
            "E'n\\x6fw'",
            "U&'\\006eow'",
            "'never closed",
            "'no'\n'w'::timestamptz",
        ] {
            assert_eq!(conversion(&format!("SELECT 'a', {moment}")), Conversion::Moment, "{moment}");
        }
    }
}
