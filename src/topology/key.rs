//! Keys: the values that name a shard, in one canonical form for each type.
//!
//! `plan` and `execute` decode literals, parameters (text and binary) and COPY fields to a [`Key`] with
//! [`KeyType`]; placements compare and hash keys only in this form, so spelling cannot matter.
//!
//! A spelling is decoded only if every supported server reads it as the same value. What the server would refuse, or
//! read by a setting (DateStyle), or read differently in another version (`0x1F` since 16), is [`Unsure`]: a read
//! then asks all shards, a write is refused.
//!
//! Invariants:
//! 1. Two spellings that PostgreSQL reads as equal values give equal keys, or `Unsure`.
//! 2. A decoded key is what the column holds after the value was assigned to it.
//!
//! Not here: other encodings than UTF-8. Where `client_encoding` differs, the caller passes on ASCII text only.

use std::fmt;

/// The column types that may be keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    SmallInt,
    Integer,
    BigInt,
    /// text, and varchar without a length, under a deterministic collation.
    Text,
    /// varchar(n): a longer text is refused by the server, or cut where it ends in blanks or is cast.
    Varchar(u32),
    /// char(n): trailing blanks do not count.
    Char,
    Uuid,
    Bool,
    Date,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// smallint, integer, bigint.
    Integer(i64),
    Text(Box<str>),
    Uuid([u8; 16]),
    Bool(bool),
    /// Days since 2000-01-01, PostgreSQL's own count.
    Date(i32),
}

/// The spelling does not certainly mean one value of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value cannot be read as a key with certainty")]
pub struct Unsure;

/// Type OIDs that are the same in every server.
mod oid {
    pub const BOOL: u32 = 16;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const UNKNOWN: u32 = 705;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const UUID: u32 = 2950;
}

impl KeyType {
    /// As the configuration names the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SmallInt | Self::Integer | Self::BigInt => "integer",
            Self::Text | Self::Varchar(_) | Self::Char => "text",
            Self::Uuid => "uuid",
            Self::Bool => "boolean",
            Self::Date => "date",
        }
    }

    /// Whether the key is of the kind that columns of this type hold.
    pub const fn holds(self, key: &Key) -> bool {
        match key {
            Key::Integer(_) => matches!(self, Self::SmallInt | Self::Integer | Self::BigInt),
            Key::Text(_) => matches!(self, Self::Text | Self::Varchar(_) | Self::Char),
            Key::Uuid(_) => matches!(self, Self::Uuid),
            Key::Bool(_) => matches!(self, Self::Bool),
            Key::Date(_) => matches!(self, Self::Date),
        }
    }

    /// Decodes what stands between quotes, in a text parameter or in a COPY field: the column type's input syntax.
    pub fn decode_text(self, text: &[u8]) -> Result<Key, Unsure> {
        match self {
            Self::SmallInt => self.integer_in(text, i64::from(i16::MIN), i64::from(i16::MAX)),
            Self::Integer => self.integer_in(text, i64::from(i32::MIN), i64::from(i32::MAX)),
            Self::BigInt => self.integer_in(text, i64::MIN, i64::MAX),
            Self::Text => text_key(text),
            Self::Varchar(length) => {
                let key = text_key(text)?;
                let Key::Text(value) = &key else { return Err(Unsure) };
                if value.chars().count() > length as usize { Err(Unsure) } else { Ok(key) }
            }
            Self::Char => text_key(trim_blanks(text)),
            Self::Uuid => uuid(text).map(Key::Uuid),
            Self::Bool => boolean(text).map(Key::Bool),
            Self::Date => iso_date(text).map(Key::Date),
        }
    }

    /// Decodes a numeric literal as written in SQL (`5`, `-5`, `5.0`): a whole number, or unsure.
    pub fn decode_number(self, literal: &str) -> Result<Key, Unsure> {
        if !matches!(self, Self::SmallInt | Self::Integer | Self::BigInt) {
            return Err(Unsure);
        }
        let (whole, fraction) = literal.split_once('.').unwrap_or((literal, ""));
        if !fraction.bytes().all(|digit| digit == b'0') {
            return Err(Unsure);
        }
        // Beyond the column's own range nothing is stored, but a comparison is legal and finds nothing.
        signed_digits(whole.as_bytes()).map(Key::Integer)
    }

    /// Decodes a binary parameter or COPY field of the type with that OID.
    pub fn decode_binary(self, type_oid: u32, bytes: &[u8]) -> Result<Key, Unsure> {
        match (self, type_oid) {
            (Self::SmallInt | Self::Integer | Self::BigInt, oid::INT2) => {
                Ok(Key::Integer(i64::from(i16::from_be_bytes(exact(bytes)?))))
            }
            (Self::SmallInt | Self::Integer | Self::BigInt, oid::INT4) => {
                Ok(Key::Integer(i64::from(i32::from_be_bytes(exact(bytes)?))))
            }
            (Self::SmallInt | Self::Integer | Self::BigInt, oid::INT8) => {
                Ok(Key::Integer(i64::from_be_bytes(exact(bytes)?)))
            }
            // A varchar column and a char(n) parameter compare as char(n): other blanks, other rows.
            (Self::Text | Self::Varchar(_), oid::TEXT | oid::VARCHAR | oid::UNKNOWN) => {
                self.decode_text(bytes)
            }
            (Self::Char, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::UNKNOWN) => self.decode_text(bytes),
            (Self::Uuid, oid::UUID) => exact(bytes).map(Key::Uuid),
            (Self::Bool, oid::BOOL) => match exact(bytes)? {
                [0] => Ok(Key::Bool(false)),
                [_] => Ok(Key::Bool(true)),
            },
            (Self::Date, oid::DATE) => Ok(Key::Date(i32::from_be_bytes(exact(bytes)?))),
            _ => Err(Unsure),
        }
    }

    fn integer_in(self, text: &[u8], low: i64, high: i64) -> Result<Key, Unsure> {
        let value = signed_digits(trim_spaces(text))?;
        if (low..=high).contains(&value) { Ok(Key::Integer(value)) } else { Err(Unsure) }
    }
}

impl fmt::Display for Key {
    /// As a SQL literal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Uuid(bytes) => write!(f, "'{}'", uuid::Uuid::from_bytes(*bytes)),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Date(days) => match civil_date(*days) {
                Some((year, month, day)) => write!(f, "'{year:04}-{month:02}-{day:02}'"),
                None => write!(f, "2000-01-01 + {days}"),
            },
        }
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unsure> {
    bytes.try_into().map_err(|_| Unsure)
}

fn text_key(text: &[u8]) -> Result<Key, Unsure> {
    let text = std::str::from_utf8(text).map_err(|_| Unsure)?;
    if text.contains('\0') { Err(Unsure) } else { Ok(Key::Text(text.into())) }
}

/// C's isspace(), which PostgreSQL's input functions skip.
fn trim_spaces(text: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let start = text.iter().take_while(|byte| space(byte)).count();
    let text = &text[start..];
    let end = text.iter().rev().take_while(|byte| space(byte)).count();
    &text[..text.len() - end]
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().rev().take_while(|byte| **byte == b' ').count();
    &text[..text.len() - blanks]
}

fn signed_digits(text: &[u8]) -> Result<i64, Unsure> {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Unsure);
    }
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Unsure)
}

/// `uuid_in`: 32 digits, a hyphen allowed after each four of them, braces around all of it.
fn uuid(text: &[u8]) -> Result<[u8; 16], Unsure> {
    let text = match text.strip_prefix(b"{") {
        Some(rest) => rest.strip_suffix(b"}").ok_or(Unsure)?,
        None => text,
    };
    let mut value = [0; 16];
    let mut digits = 0;
    let mut after_hyphen = true;
    for byte in text {
        if *byte == b'-' {
            if after_hyphen || digits % 4 != 0 || digits == 32 {
                return Err(Unsure);
            }
            after_hyphen = true;
            continue;
        }
        let digit = char::from(*byte).to_digit(16).ok_or(Unsure)?;
        let slot = value.get_mut(digits / 2).ok_or(Unsure)?;
        *slot = *slot << 4 | digit as u8;
        digits += 1;
        after_hyphen = false;
    }
    if digits == 32 { Ok(value) } else { Err(Unsure) }
}

/// `boolin`: any beginning of true, false, yes, no; on, of(f), 1, 0; in any case, blanks around it.
fn boolean(text: &[u8]) -> Result<bool, Unsure> {
    let text = trim_spaces(text).to_ascii_lowercase();
    let begins = |word: &str| !text.is_empty() && word.as_bytes().starts_with(&text);
    match text.as_slice() {
        b"1" | b"on" => Ok(true),
        b"0" | b"of" | b"off" => Ok(false),
        _ if begins("true") || begins("yes") => Ok(true),
        _ if begins("false") || begins("no") => Ok(false),
        _ => Err(Unsure),
    }
}

/// `YYYY-MM-DD` alone, which no DateStyle reads differently.
fn iso_date(text: &[u8]) -> Result<i32, Unsure> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return Err(Unsure) };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0, |value, digit| {
            if digit.is_ascii_digit() { Ok(value * 10 + i32::from(**digit - b'0')) } else { Err(Unsure) }
        })
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let days = days_from_civil(year, month, day);
    if year > 0 && civil_date(days) == Some((year, month, day)) { Ok(days) } else { Err(Unsure) }
}

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;

/// Days since 2000-01-01 of a day of the proleptic Gregorian calendar; Howard Hinnant's algorithm.
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 - EPOCH_DAYS
}

/// The inverse, for the years 1 to 9999.
fn civil_date(days: i32) -> Option<(i32, i32, i32)> {
    let days = days.checked_add(EPOCH_DAYS + 719_468)?;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i32::from(month <= 2);
    (1..=9999).contains(&year).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key_type: KeyType, text: &str) -> Option<Key> {
        key_type.decode_text(text.as_bytes()).ok()
    }

    #[test]
    fn integers_have_signs_and_blanks() {
        for spelling in ["5", "+5", " 5 ", "\t5\n", "005"] {
            assert_eq!(text(KeyType::Integer, spelling), Some(Key::Integer(5)), "{spelling:?}");
        }
        assert_eq!(text(KeyType::BigInt, "-9223372036854775808"), Some(Key::Integer(i64::MIN)));
        for wrong in ["", "-", "+-5", "5.0", "0x1f", "1_000", "5 5", "9223372036854775808", "５"] {
            assert_eq!(text(KeyType::BigInt, wrong), None, "{wrong:?}");
        }
        assert_eq!(text(KeyType::SmallInt, "32768"), None);
    }

    #[test]
    fn number_literals_may_have_zeros_after_the_point() {
        for spelling in ["5", "5.0", "5.", "+5.000"] {
            assert_eq!(KeyType::Integer.decode_number(spelling), Ok(Key::Integer(5)), "{spelling:?}");
        }
        for wrong in ["5.5", "5e0", ".5", ".0", "NaN", " 5"] {
            assert_eq!(KeyType::Integer.decode_number(wrong), Err(Unsure), "{wrong:?}");
        }
        assert_eq!(KeyType::Text.decode_number("5"), Err(Unsure));
    }

    #[test]
    fn text_is_taken_as_it_is_and_char_is_trimmed() {
        assert_eq!(text(KeyType::Text, " A "), Some(Key::Text(" A ".into())));
        assert_eq!(text(KeyType::Char, "ab  "), Some(Key::Text("ab".into())));
        assert_eq!(text(KeyType::Varchar(3), "abc"), Some(Key::Text("abc".into())));
        assert_eq!(text(KeyType::Varchar(3), "abc "), None);
        assert_eq!(text(KeyType::Varchar(3), "äöü"), Some(Key::Text("äöü".into())));
        assert_eq!(KeyType::Text.decode_text(b"\xff"), Err(Unsure));
    }

    #[test]
    fn uuids_have_many_spellings() {
        let bytes = *uuid::Uuid::parse_str("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").unwrap().as_bytes();
        for spelling in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
        ] {
            assert_eq!(text(KeyType::Uuid, spelling), Some(Key::Uuid(bytes)), "{spelling}");
        }
        for wrong in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "-a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a-0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ] {
            assert_eq!(text(KeyType::Uuid, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn booleans_have_many_spellings() {
        for spelling in ["t", "TRUE", " tr", "y", "yes", "on", "1"] {
            assert_eq!(text(KeyType::Bool, spelling), Some(Key::Bool(true)), "{spelling}");
        }
        for spelling in ["f", "False ", "n", "no", "of", "off", "0"] {
            assert_eq!(text(KeyType::Bool, spelling), Some(Key::Bool(false)), "{spelling}");
        }
        for wrong in ["", " ", "o", "2", "truth", "00"] {
            assert_eq!(text(KeyType::Bool, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn dates_are_iso_only() {
        assert_eq!(text(KeyType::Date, "2000-01-01"), Some(Key::Date(0)));
        assert_eq!(text(KeyType::Date, "2024-02-29"), Some(Key::Date(8825)));
        assert_eq!(text(KeyType::Date, "0001-01-01"), Some(Key::Date(-730_119)));
        assert_eq!(Key::Date(8825).to_string(), "'2024-02-29'");
        for wrong in
            ["2023-02-29", "2024-13-01", "2024-00-10", "24-01-01", "01/02/2024", "infinity", "0000-01-01"]
        {
            assert_eq!(text(KeyType::Date, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn binary_values_are_read_by_their_own_type() {
        let five = Ok(Key::Integer(5));
        assert_eq!(KeyType::BigInt.decode_binary(21, &5_i16.to_be_bytes()), five);
        assert_eq!(KeyType::SmallInt.decode_binary(20, &5_i64.to_be_bytes()), five);
        assert_eq!(KeyType::Integer.decode_binary(23, &[5]), Err(Unsure));
        assert_eq!(KeyType::Text.decode_binary(1042, b"ab "), Err(Unsure));
        assert_eq!(KeyType::Char.decode_binary(1042, b"ab "), Ok(Key::Text("ab".into())));
        assert_eq!(KeyType::Bool.decode_binary(16, &[1]), Ok(Key::Bool(true)));
        assert_eq!(KeyType::Date.decode_binary(1082, &0_i32.to_be_bytes()), Ok(Key::Date(0)));
    }
}
