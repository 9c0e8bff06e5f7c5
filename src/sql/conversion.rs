//! How far the meaning of a text depends on when, and by which session, it is parsed.
//!
//! PostgreSQL converts quoted literals while it parses: `'01/02/2024'::date` by the DateStyle of that moment, `'now'` by
//! its clock. A statement that a server has parsed for one session says the same to another only as far as this tells.
//!
//! Content decides, whatever type a literal turns out to have: what is not known to be harmless is not.

use std::borrow::Cow;

use super::lexer::{LexOptions, Lexer, Token, TokenKind};
use super::unescape;

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

/// Settings by which a server reads literals. Others change what is done, not what is read; the search_path is the planning
/// context's.
pub const READ_BY: [&str; 9] = [
    "datestyle",
    "timezone",
    "timezone_abbreviations",
    "array_nulls",
    "xmloption",
    "lc_monetary",
    "standard_conforming_strings",
    "backslash_quote",
    "intervalstyle",
];

/// Literals of types of dates and times that mean the moment.
const MOMENTS: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];
/// Words that may stand beside them in a time.
const TIMELY: [&str; 8] = ["am", "pm", "utc", "gmt", "z", "zulu", "allballs", "null"];

impl Conversion {
    pub fn of(text: &[u8], options: LexOptions) -> Self {
        let quoted = |token: Token| match token.kind {
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
        if in_pieces || is_moment(literal) {
            return Self::Moment;
        }
        match literal.iter().any(u8::is_ascii_digit) {
            true => Self::Day,
            false => Self::Settings,
        }
    }
}

/// Whether some literal of the text may say something else under another value of a setting of [`READ_BY`], whatever its type.
pub fn depends_on(setting: &str, text: &[u8], options: LexOptions) -> bool {
    let depends = |literal: &[u8]| match setting {
        "datestyle" => numbers_in(literal) > 1 && !begins_with_a_year(literal),
        "timezone" | "timezone_abbreviations" => {
            numbers_in(literal) > 1 || is_long_number(literal) || is_hour(literal) || is_moment(literal)
        }
        "intervalstyle" => numbers_in(literal) > 1 && literal.contains(&b'-'),
        "array_nulls" => has_word(literal, b"null"),
        "xmloption" => literal.contains(&b'<') || has_word(text, b"xml"),
        // Of what is money.
        "lc_monetary" => literal.iter().any(u8::is_ascii_digit),
        _ => literal.contains(&b'\\'),
    };
    let is_literal = |kind| {
        matches!(
            kind,
            TokenKind::String
                | TokenKind::NationalString
                | TokenKind::DollarString
                | TokenKind::EscapeString
                | TokenKind::UnicodeString
                | TokenKind::Unterminated
        )
    };
    let is_read = |literal: &[u8]| !is_uuid(literal) && depends(literal);
    Lexer::new(text, options).any(|token| is_literal(token.kind) && is_read(token.bytes(text)))
}

/// What of the clock a server's parsing of a text has made part of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    /// `'today'` and its neighbours.
    Day,
    /// `'now'`.
    Moment,
}

impl Clock {
    /// None where all literals are something else: words in a sentence are not taken for a time.
    pub fn of(text: &[u8], options: LexOptions) -> Option<Self> {
        let read = |token: Token| {
            let raw = token.bytes(text);
            let value: Cow<'_, str> = match token.kind {
                TokenKind::String | TokenKind::NationalString if options.standard_conforming_strings => {
                    unescape::plain(&raw[raw.iter().position(|byte| *byte == b'\'')?..])?
                }
                TokenKind::String | TokenKind::NationalString | TokenKind::EscapeString => {
                    Cow::Owned(unescape::escaped(raw)?)
                }
                TokenKind::DollarString => Cow::Borrowed(unescape::dollar(raw)?),
                // Not decoded.
                TokenKind::UnicodeString if raw.contains(&b'\\') => Cow::Borrowed("now"),
                TokenKind::UnicodeString => String::from_utf8_lossy(raw),
                _ => return None,
            };
            Self::of_value(&value)
        };
        Lexer::new(text, options).filter_map(read).max()
    }

    fn of_value(value: &str) -> Option<Self> {
        let words = || value.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        let is_moment =
            |word: &str| MOMENTS.iter().any(|moment| word.as_bytes().eq_ignore_ascii_case(moment));
        let clock =
            words().filter(|word| is_moment(word)).map(|word| match word.eq_ignore_ascii_case("now") {
                true => Self::Moment,
                false => Self::Day,
            });
        // Beside them may stand a time, and a zone.
        let is_timely =
            |word: &str| is_moment(word) || TIMELY.iter().any(|known| word.eq_ignore_ascii_case(known));
        let has_time = value.as_bytes().windows(2).any(|pair| pair[0].is_ascii_digit() && pair[1] == b':');
        clock.max().filter(|_| has_time || value.contains('/') || words().all(is_timely))
    }
}

/// `today`, and whatever else is read by the clock.
fn is_moment(literal: &[u8]) -> bool {
    MOMENTS.iter().any(|moment| has_word(literal, moment))
}

/// As it is usually written: with its signs it is no number, and no date.
fn is_uuid(literal: &[u8]) -> bool {
    let within = literal.strip_prefix(b"'").and_then(|rest| rest.strip_suffix(b"'")).unwrap_or_default();
    let groups = within.split(|byte| *byte == b'-').map(<[u8]>::len);
    groups.eq([8, 4, 4, 4, 12]) && within.iter().all(|byte| *byte == b'-' || byte.is_ascii_hexdigit())
}

/// How many runs of digits it has: a date has two or more.
fn numbers_in(literal: &[u8]) -> usize {
    literal.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()).filter(|run| is_number(run)).count()
}

fn is_number(run: &[u8]) -> bool {
    run.first().is_some_and(u8::is_ascii_digit)
}

/// All of it is one date or time, with the year first.
fn begins_with_a_year(literal: &[u8]) -> bool {
    let within = literal.trim_ascii_start().strip_prefix(b"'").unwrap_or(literal);
    let year = within.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let plain = |byte: &u8| byte.is_ascii_digit() || b"-:. T+Z'".contains(byte);
    year > 2 && within.get(year) == Some(&b'-') && within.iter().all(plain)
}

/// A date without signs between its parts.
fn is_long_number(literal: &[u8]) -> bool {
    literal
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .any(|run| is_number(run) && run.len() > 5)
}

/// `10 PM`, `T04`.
fn is_hour(literal: &[u8]) -> bool {
    let marks = |three: &[u8]| {
        !three[0].is_ascii_alphabetic() && three[1].eq_ignore_ascii_case(&b't') && three[2].is_ascii_digit()
    };
    let marked = || literal.windows(3).any(marks);
    numbers_in(literal) == 1 && (has_word(literal, b"am") || has_word(literal, b"pm") || marked())
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
    use super::{Clock, Conversion, depends_on};
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

    #[test]
    fn a_time_of_the_clock_is_told_from_a_sentence() {
        let clock = |text: &str| Clock::of(format!("SELECT 'a', {text}").as_bytes(), LexOptions::default());
        for now in [
            "'now'",
            "timestamp ' NOW'",
            "E'n\\x6fw'",
            "U&'\\006eow'",
            "'{today,now}'",
            "'n'\n'ow'",
            "N'now'",
        ] {
            assert_eq!(clock(now), Some(Clock::Moment), "{now}");
        }
        for day in
            ["'today'", "$a$Tomorrow$a$", "'[today,tomorrow)'", "'yesterday 10:00 cet'", "'10 PM today'"]
        {
            assert_eq!(clock(day), Some(Clock::Day), "{day}");
        }
        for other in
            ["'nowhere'", "'do it now'", "'today is a day'", "now()", "E'it\\'s'", "\"now\"", "'never closed"]
        {
            assert_eq!(clock(other), None, "{other}");
        }
    }

    #[test]
    fn a_literal_depends_on_what_may_read_it_otherwise() {
        let by = |setting: &str, literal: &str| {
            depends_on(setting, format!("SELECT 1, {literal}, $1").as_bytes(), LexOptions::default())
        };
        for literal in ["'01/02/2024'", "'1 Feb 99'", "$$[2024-01-01,01/02/2024)$$", "E'1/2/3'"] {
            assert!(by("datestyle", literal), "{literal}");
        }
        for literal in ["'us-east-1'", "'2024-01-02'", "'2024-01-02 03:04:05+01'", "'20240102'", "'a\\b'"] {
            assert!(!by("datestyle", literal), "{literal}");
        }
        assert!(by("timezone", "'2024-01-02'") && by("timezone", "'20240102'") && by("timezone", "'Today'"));
        assert!(!by("timezone", "'0190a3b1-7c2e-7000-8000-0123456789ab'"));
        assert!(!by("timezone", "'us-east-1'") && !by("timezone", "'2024'") && !by("timezone", "'client1'"));
        assert!(by("timezone", "'10 PM'") && by("timezone", "'T0405'") && by("xmloption", "xml 'abc'"));
        assert!(by("standard_conforming_strings", "'a\\b'"));
        assert!(!by("standard_conforming_strings", "'a/b'") && !by("array_nulls", "'{1}'"));
        assert!(by("intervalstyle", "'-1 2:03'") && !by("intervalstyle", "'1 2:03'"));
        assert!(by("array_nulls", "'{NULL}'") && by("xmloption", "'<a/>'") && by("lc_monetary", "'5'"));
    }
}
