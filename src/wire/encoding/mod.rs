//! Clients' encodings of single bytes: their names, their characters, and what converts a client's stream.
//!
//! Called by [`super::stream`], which a session tells of its client's encoding. Servers keep `client_encoding` UTF8, and all
//! rooms above speak UTF-8: keys are hashed and compared as the servers store them.
//!
//! ```text
//!   client ── LATIN1 ──▶ Converted ── UTF-8 ──▶ inbox   │  outbox ── UTF-8 ──▶ Converted ── LATIN1 ──▶ client
//!                        tables   characters of each encoding
//!                        frames   one message converted, and where messages end   (pure)
//!                        stream   the two directions of a socket                  (tokio)
//! ```
//!
//! Invariants:
//! 1. Every character of an encoding goes to UTF-8 and back to the same byte.
//! 2. A name means what PostgreSQL's `common/encnames.c` says.
//!
//! Not here: encodings of several bytes, which are refused, and which encoding a session has (`session`).

mod frames;
mod stream;
mod tables;

use std::fmt;

use tables::Upper;

pub use stream::Converted;

/// An encoding in which every byte is a character or none, and those below 0x80 are ASCII.
pub struct Encoding {
    /// PostgreSQL's.
    pub name: &'static str,
    upper: &'static Upper,
    /// Characters in order, with their bytes; first those bytes that are none.
    lower: [(u16, u8); 128],
}

impl Encoding {
    const fn new(name: &'static str, upper: &'static Upper) -> Self {
        Self { name, upper, lower: in_order(upper) }
    }

    /// What a byte is; None: no character.
    pub fn character(&self, byte: u8) -> Option<char> {
        if byte.is_ascii() {
            return Some(char::from(byte));
        }
        match self.upper[usize::from(byte & 0x7f)] {
            0 => None,
            character => char::from_u32(u32::from(character)),
        }
    }

    /// The byte of a character; None: it has none.
    pub fn byte(&self, character: char) -> Option<u8> {
        if character.is_ascii() {
            return u8::try_from(u32::from(character)).ok();
        }
        let wanted = u16::try_from(u32::from(character)).ok()?;
        let at = self.lower.binary_search_by_key(&wanted, |(character, _)| *character).ok()?;
        Some(self.lower[at].1)
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for Encoding {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Encoding {}

const fn in_order(upper: &Upper) -> [(u16, u8); 128] {
    let mut sorted = [(0, 0); 128];
    let mut filled = 0;
    while filled < 128 {
        let mut at = filled;
        while at > 0 && sorted[at - 1].0 > upper[filled] {
            sorted[at] = sorted[at - 1];
            at -= 1;
        }
        sorted[at] = (upper[filled], 0x80 | filled as u8);
        filled += 1;
    }
    sorted
}

/// All of them, by PostgreSQL's names.
pub static ENCODINGS: [Encoding; 27] = [
    Encoding::new("LATIN1", &tables::LATIN1),
    Encoding::new("LATIN2", &tables::LATIN2),
    Encoding::new("LATIN3", &tables::LATIN3),
    Encoding::new("LATIN4", &tables::LATIN4),
    Encoding::new("LATIN5", &tables::LATIN5),
    Encoding::new("LATIN6", &tables::LATIN6),
    Encoding::new("LATIN7", &tables::LATIN7),
    Encoding::new("LATIN8", &tables::LATIN8),
    Encoding::new("LATIN9", &tables::LATIN9),
    Encoding::new("LATIN10", &tables::LATIN10),
    Encoding::new("ISO_8859_5", &tables::ISO_8859_5),
    Encoding::new("ISO_8859_6", &tables::ISO_8859_6),
    Encoding::new("ISO_8859_7", &tables::ISO_8859_7),
    Encoding::new("ISO_8859_8", &tables::ISO_8859_8),
    Encoding::new("WIN1250", &tables::WIN1250),
    Encoding::new("WIN1251", &tables::WIN1251),
    Encoding::new("WIN1252", &tables::WIN1252),
    Encoding::new("WIN1253", &tables::WIN1253),
    Encoding::new("WIN1254", &tables::WIN1254),
    Encoding::new("WIN1255", &tables::WIN1255),
    Encoding::new("WIN1256", &tables::WIN1256),
    Encoding::new("WIN1257", &tables::WIN1257),
    Encoding::new("WIN1258", &tables::WIN1258),
    Encoding::new("WIN866", &tables::WIN866),
    Encoding::new("WIN874", &tables::WIN874),
    Encoding::new("KOI8R", &tables::KOI8R),
    Encoding::new("KOI8U", &tables::KOI8U),
];

/// What a value of `client_encoding` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// What servers are told themselves: UTF8, and SQL_ASCII, which converts nothing.
    OfServers,
    Single(&'static Encoding),
    /// Of several bytes.
    Other,
    /// No encoding of PostgreSQL.
    Unknown,
}

/// Other names than an encoding's own, as [`plain`] leaves them.
const ALIASES: [(&str, &str); 28] = [
    ("abc", "WIN1258"),
    ("alt", "WIN866"),
    ("iso88591", "LATIN1"),
    ("iso88592", "LATIN2"),
    ("iso88593", "LATIN3"),
    ("iso88594", "LATIN4"),
    ("iso88599", "LATIN5"),
    ("iso885910", "LATIN6"),
    ("iso885913", "LATIN7"),
    ("iso885914", "LATIN8"),
    ("iso885915", "LATIN9"),
    ("iso885916", "LATIN10"),
    ("koi8", "KOI8R"),
    ("tcvn", "WIN1258"),
    ("tcvn5712", "WIN1258"),
    ("vscii", "WIN1258"),
    ("win", "WIN1251"),
    ("windows1250", "WIN1250"),
    ("windows1251", "WIN1251"),
    ("windows1252", "WIN1252"),
    ("windows1253", "WIN1253"),
    ("windows1254", "WIN1254"),
    ("windows1255", "WIN1255"),
    ("windows1256", "WIN1256"),
    ("windows1257", "WIN1257"),
    ("windows1258", "WIN1258"),
    ("windows866", "WIN866"),
    ("windows874", "WIN874"),
];

const OF_SERVERS: [&str; 3] = ["utf8", "unicode", "sqlascii"];

const OTHERS: [&str; 23] = [
    "big5",
    "euccn",
    "eucjis2004",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gbk",
    "johab",
    "mskanji",
    "muleinternal",
    "shiftjis",
    "shiftjis2004",
    "sjis",
    "uhc",
    "win932",
    "win936",
    "win949",
    "win950",
    "windows932",
    "windows936",
    "windows949",
    "windows950",
];

impl Named {
    pub fn of(name: &str) -> Self {
        let name = plain(name);
        if OF_SERVERS.contains(&name.as_str()) {
            return Self::OfServers;
        }
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, own)| plain(own));
        let own = alias.as_ref().unwrap_or(&name);
        match ENCODINGS.iter().find(|encoding| plain(encoding.name) == *own) {
            Some(encoding) => Self::Single(encoding),
            None if OTHERS.contains(&name.as_str()) => Self::Other,
            None => Self::Unknown,
        }
    }
}

/// Letters and digits are what counts in a name.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_come_back_as_the_same_bytes() {
        for encoding in &ENCODINGS {
            let mut characters = 0;
            for byte in 0..=u8::MAX {
                let Some(character) = encoding.character(byte) else { continue };
                assert_eq!(encoding.byte(character), Some(byte), "{encoding:?} {byte:#x}");
                characters += 1;
            }
            assert!(characters > 200, "{encoding:?}");
            assert_eq!(encoding.byte('\u{1f600}'), None);
            assert_eq!(encoding.byte('\u{4e00}'), None);
        }
    }

    #[test]
    fn names_are_matched_as_postgres_matches_them() {
        for (name, own) in [
            ("latin1", "LATIN1"),
            ("Latin-1", "LATIN1"),
            ("ISO_8859-1", "LATIN1"),
            ("iso 8859 15", "LATIN9"),
            ("ISO-8859-5", "ISO_8859_5"),
            ("Windows-1252", "WIN1252"),
            ("win", "WIN1251"),
            ("KOI8", "KOI8R"),
            ("windows874", "WIN874"),
        ] {
            assert!(matches!(Named::of(name), Named::Single(found) if found.name == own), "{name}");
        }
        assert_eq!(Named::of("UTF-8"), Named::OfServers);
        assert_eq!(Named::of("sql_ascii"), Named::OfServers);
        assert_eq!(Named::of("EUC_JP"), Named::Other);
        assert_eq!(Named::of("nonsense"), Named::Unknown);
        assert_eq!(Named::of(""), Named::Unknown);
    }
}
