//! One value of one execution: a literal's or a parameter's bytes with what is known of their type, and what they mean
//! as a key, as a coordinate or as text.
//!
//! Called by `route`, `insert` and `update` while binding; calls nothing but the topology's keys. Literals are decoded
//! only as far as their meaning cannot depend on the server: plain quotes, dollar quotes, E-strings without escapes.
//!
//! Invariants:
//! 1. What is not certain is [`Datum::Unsure`]: reads then go everywhere, writes are refused.
//! 2. A cast is looked through only where it cannot change the value.
//! 3. Nothing is allocated for a literal without doubled quotes or for a parameter (text keys excepted).

use std::borrow::Cow;

use crate::sql::arguments::{Arguments, Literal, LiteralKind};
use crate::sql::facts::Value;
use crate::sql::name::ObjectName;
use crate::topology::{Key, KeyType};

/// Type OIDs of pg_catalog that never change.
pub(super) mod oid {
    pub const BOOL: u32 = 16;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    /// Array type and its element type.
    pub const ARRAYS: [(u32, u32); 9] = [
        (1000, BOOL),
        (1005, INT2),
        (1007, INT4),
        (1009, TEXT),
        (1014, BPCHAR),
        (1015, VARCHAR),
        (1016, INT8),
        (1182, DATE),
        (2951, UUID),
    ];
}

/// A value as it came. `of` is the type's OID, 0 where the server will take it from the context.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum<'a> {
    Null,
    Bool(bool),
    /// A numeric constant of the text, sign included.
    Number(Cow<'a, str>),
    Text {
        text: Cow<'a, str>,
        of: u32,
    },
    Binary {
        bytes: &'a [u8],
        of: u32,
    },
    Unsure,
}

/// Finds and reads a value.
pub(super) fn datum<'a>(value: &Value, arguments: &Arguments<'a>) -> Datum<'a> {
    match value {
        Value::Null => Datum::Null,
        Value::Bool(value) => Datum::Bool(*value),
        Value::Literal(index) => match arguments.literals.get(*index as usize) {
            Some(literal) => of_literal(literal, arguments.text),
            None => Datum::Unsure,
        },
        Value::Param(index) => of_parameter(*index as usize, arguments),
        Value::Negative(inner) => match datum(inner, arguments) {
            Datum::Number(text) if !text.starts_with('-') => Datum::Number(Cow::Owned(format!("-{text}"))),
            Datum::Null => Datum::Null,
            _ => Datum::Unsure,
        },
        Value::Cast { value, type_name, has_modifier: false } => cast(datum(value, arguments), type_name),
        Value::Cast { has_modifier: true, .. } | Value::Array(_) => Datum::Unsure,
    }
}

fn of_literal<'a>(literal: &Literal, text: &'a [u8]) -> Datum<'a> {
    let raw = text.get(literal.start as usize..literal.end as usize).and_then(|b| std::str::from_utf8(b).ok());
    let Some(raw) = raw else { return Datum::Unsure };
    let inner = match literal.kind {
        LiteralKind::Integer | LiteralKind::Decimal => return Datum::Number(Cow::Borrowed(raw)),
        LiteralKind::String => raw.strip_prefix('\'').and_then(|r| r.strip_suffix('\'')).and_then(unquoted),
        LiteralKind::EscapeString => raw
            .strip_prefix(['E', 'e'])
            .and_then(|r| r.strip_prefix('\''))
            .and_then(|r| r.strip_suffix('\''))
            .filter(|r| !r.contains('\\'))
            .and_then(unquoted),
        LiteralKind::DollarString => dollar_quoted(raw).map(Cow::Borrowed),
        LiteralKind::OtherString => None,
    };
    inner.map_or(Datum::Unsure, |text| Datum::Text { text, of: 0 })
}

/// The text between the quotes with doubled quotes made single; None where a single quote stands alone, as between
/// the parts of a literal that is continued on another line.
fn unquoted(inner: &str) -> Option<Cow<'_, str>> {
    if !inner.contains('\'') {
        return Some(Cow::Borrowed(inner));
    }
    let single = inner.replace("''", "\u{0}");
    (!single.contains('\'')).then(|| Cow::Owned(single.replace('\u{0}', "'")))
}

fn dollar_quoted(raw: &str) -> Option<&str> {
    let tag_end = raw.strip_prefix('$')?.find('$')? + 2;
    let tag = raw.get(..tag_end)?;
    raw.strip_prefix(tag)?.strip_suffix(tag)
}

fn of_parameter<'a>(index: usize, arguments: &Arguments<'a>) -> Datum<'a> {
    let parameters = arguments.parameters;
    let of = match parameters.declared_type(index) {
        oid::UNKNOWN => 0,
        of => of,
    };
    match parameters.value(index) {
        None => Datum::Unsure,
        Some(None) => Datum::Null,
        Some(Some(bytes)) if parameters.is_binary(index) => Datum::Binary { bytes, of },
        Some(Some(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => Datum::Text { text: Cow::Borrowed(text), of },
            Err(_) => Datum::Unsure,
        },
    }
}

/// The value under a cast: kept with the cast's type where the cast only names the type.
fn cast<'a>(inner: Datum<'a>, name: &ObjectName) -> Datum<'a> {
    let Some(target) = type_named(name) else { return Datum::Unsure };
    let integer = |of: u32| matches!(of, oid::INT2 | oid::INT4 | oid::INT8);
    let string = |of: u32| matches!(of, oid::TEXT | oid::VARCHAR);
    let kept = |of: u32| of == target || (integer(of) && integer(target)) || (string(of) && string(target));
    match inner {
        Datum::Null => Datum::Null,
        Datum::Bool(value) if target == oid::BOOL => Datum::Bool(value),
        Datum::Number(text) if integer(target) && is_integer(&text) => Datum::Number(text),
        Datum::Number(text) if matches!(target, oid::FLOAT8 | oid::NUMERIC) => Datum::Number(text),
        Datum::Text { text, of } if of == 0 || kept(of) => Datum::Text { text, of: target },
        Datum::Binary { bytes, of } if of == 0 || of == target => Datum::Binary { bytes, of: target },
        Datum::Binary { bytes, of } if kept(of) => Datum::Binary { bytes, of },
        _ => Datum::Unsure,
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The types to which a cast is looked through. `char` is not among them: it cuts to one character.
fn type_named(name: &ObjectName) -> Option<u32> {
    if name.schema.as_deref().is_some_and(|schema| schema != "pg_catalog") {
        return None;
    }
    Some(match name.name.as_str() {
        "text" => oid::TEXT,
        "varchar" | "character varying" => oid::VARCHAR,
        "int2" | "smallint" => oid::INT2,
        "int4" | "int" | "integer" => oid::INT4,
        "int8" | "bigint" => oid::INT8,
        "uuid" => oid::UUID,
        "bool" | "boolean" => oid::BOOL,
        "date" => oid::DATE,
        "float8" | "double precision" => oid::FLOAT8,
        "numeric" | "decimal" => oid::NUMERIC,
        "text[]" | "_text" => 1009,
        "varchar[]" | "character varying[]" | "_varchar" => 1015,
        "int2[]" | "smallint[]" | "_int2" => 1005,
        "int4[]" | "int[]" | "integer[]" | "_int4" => 1007,
        "int8[]" | "bigint[]" | "_int8" => 1016,
        "uuid[]" | "_uuid" => 2951,
        _ => return None,
    })
}

impl<'a> Datum<'a> {
    /// The value as a key of a column of this type. None: not certain.
    pub(super) fn key(&self, key_type: KeyType) -> Option<Key> {
        match self {
            Self::Null | Self::Unsure => None,
            Self::Bool(value) => (key_type == KeyType::Bool).then_some(Key::Bool(*value)),
            Self::Number(text) => match key_type {
                KeyType::SmallInt | KeyType::Integer | KeyType::BigInt => text.parse().ok().map(Key::Integer),
                _ => None,
            },
            Self::Text { text, of } => {
                let read_as = if *of == 0 { key_type } else { comparable(*of, key_type)? };
                Key::from_text(read_as, text)
            }
            Self::Binary { bytes, of } => {
                let read_as = if *of == 0 { key_type } else { comparable(*of, key_type)? };
                Key::from_binary(read_as, bytes)
            }
        }
    }

    /// The value as text, where the column is text or varchar.
    pub(super) fn text(&self) -> Option<&str> {
        let string = |of: u32| matches!(of, 0 | oid::TEXT | oid::VARCHAR);
        match self {
            Self::Text { text, of } if string(*of) => Some(text),
            Self::Binary { bytes, of } if string(*of) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The value as the server would compare or store it in a `double precision` column. None: not certain, or not
    /// finite.
    pub(super) fn coordinate(&self) -> Option<f64> {
        let value = match self {
            Self::Number(text) => text.parse().ok(),
            Self::Text { text, of } => match *of {
                0 | oid::FLOAT8 | oid::NUMERIC => plain_number(text)?.parse().ok(),
                oid::FLOAT4 => plain_number(text)?.parse::<f32>().ok().map(f64::from),
                oid::INT2 | oid::INT4 | oid::INT8 => text.trim_ascii().parse::<i64>().ok().map(|n| n as f64),
                _ => None,
            },
            Self::Binary { bytes, of } => match (*of, bytes.len()) {
                (0 | oid::FLOAT8, 8) => array(bytes).map(f64::from_be_bytes),
                (oid::FLOAT4, 4) => array(bytes).map(f32::from_be_bytes).map(f64::from),
                (oid::INT2, 2) => array(bytes).map(i16::from_be_bytes).map(f64::from),
                (oid::INT4, 4) => array(bytes).map(i32::from_be_bytes).map(f64::from),
                (oid::INT8, 8) => array(bytes).map(i64::from_be_bytes).map(|n| n as f64),
                _ => None,
            },
            Self::Null | Self::Bool(_) | Self::Unsure => None,
        };
        value.filter(|value: &f64| value.is_finite())
    }

    /// Visits the elements of an array. False: not understood (nothing, or some elements, may have been visited).
    pub(super) fn each_element(&self, mut visit: impl FnMut(Datum<'_>)) -> bool {
        let element = |of: u32| {
            if of == 0 {
                return Some(0);
            }
            oid::ARRAYS.iter().find(|(array, _)| *array == of).map(|(_, element)| *element)
        };
        match self {
            Self::Text { text, of } => match element(*of) {
                Some(of) => each_text_element(text, of, &mut visit),
                None => false,
            },
            Self::Binary { bytes, of } => match element(*of) {
                Some(of) => each_binary_element(bytes, of, &mut visit).is_some(),
                None => false,
            },
            _ => false,
        }
    }
}

/// Digits, sign, point and exponent only: what every server version reads alike.
fn plain_number(text: &str) -> Option<&str> {
    let text = text.trim_ascii();
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    text.bytes().all(plain).then_some(text)
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// The type as which a value of type `of` is read when it is compared with or stored in a key of `key_type`.
fn comparable(of: u32, key_type: KeyType) -> Option<KeyType> {
    let integer = matches!(key_type, KeyType::SmallInt | KeyType::Integer | KeyType::BigInt);
    Some(match of {
        oid::INT2 if integer => KeyType::SmallInt,
        oid::INT4 if integer => KeyType::Integer,
        oid::INT8 if integer => KeyType::BigInt,
        oid::TEXT | oid::VARCHAR if matches!(key_type, KeyType::Text | KeyType::Char) => key_type,
        oid::BPCHAR if key_type == KeyType::Char => KeyType::Char,
        oid::UUID if key_type == KeyType::Uuid => KeyType::Uuid,
        oid::BOOL if key_type == KeyType::Bool => KeyType::Bool,
        oid::DATE if key_type == KeyType::Date => KeyType::Date,
        _ => return None,
    })
}

/// The type of a key column, where it is one that routes.
pub(super) fn key_type(type_oid: u32) -> Option<KeyType> {
    Some(match type_oid {
        oid::INT2 => KeyType::SmallInt,
        oid::INT4 => KeyType::Integer,
        oid::INT8 => KeyType::BigInt,
        oid::TEXT | oid::VARCHAR => KeyType::Text,
        oid::BPCHAR => KeyType::Char,
        oid::UUID => KeyType::Uuid,
        oid::BOOL => KeyType::Bool,
        oid::DATE => KeyType::Date,
        _ => return None,
    })
}

/// `{a,"b c",NULL}`: one dimension, no bounds; blanks around elements are refused rather than understood.
fn each_text_element(text: &str, of: u32, visit: &mut impl FnMut(Datum<'_>)) -> bool {
    let Some(inner) = text.trim_ascii().strip_prefix('{').and_then(|t| t.strip_suffix('}')) else { return false };
    if inner.trim_ascii().is_empty() {
        return true;
    }
    let mut rest = inner;
    loop {
        let Some((element, after)) = next_element(rest) else { return false };
        match element {
            Some(text) => visit(Datum::Text { text, of }),
            None => visit(Datum::Null),
        }
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return after.is_empty(),
        }
    }
}

/// One element and what follows it; a None element is NULL.
fn next_element(text: &str) -> Option<(Option<Cow<'_, str>>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (element, after) = text.split_at(end);
        let plain = !element.is_empty() && !element.contains(['"', '\\', '{', '}', ' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
        if !plain {
            return None;
        }
        let element = (!element.eq_ignore_ascii_case("null")).then_some(Cow::Borrowed(element));
        return Some((element, after));
    };
    let mut element = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, character)) = chars.next() {
        match character {
            '"' => return Some((Some(Cow::Owned(element)), quoted.get(at + 1..)?)),
            '\\' => element.push(chars.next()?.1),
            _ => element.push(character),
        }
    }
    None
}

/// `array_send`: dimensions, flags, element type, then length and lower bound of each dimension, then the elements.
fn each_binary_element(bytes: &[u8], of: u32, visit: &mut impl FnMut(Datum<'_>)) -> Option<()> {
    let (dimensions, rest) = split_i32(bytes)?;
    let (_flags, rest) = split_i32(rest)?;
    let (declared, rest) = split_i32(rest)?;
    if dimensions == 0 {
        return rest.is_empty().then_some(());
    }
    let declared = u32::try_from(declared).ok()?;
    if dimensions != 1 || (of != 0 && of != declared) {
        return None;
    }
    let (length, rest) = split_i32(rest)?;
    let (_lower, mut rest) = split_i32(rest)?;
    for _ in 0..length {
        let (size, after) = split_i32(rest)?;
        if size == -1 {
            visit(Datum::Null);
            rest = after;
            continue;
        }
        let (element, after) = after.split_at_checked(usize::try_from(size).ok()?)?;
        visit(Datum::Binary { bytes: element, of: declared });
        rest = after;
    }
    rest.is_empty().then_some(())
}

fn split_i32(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((i32::from_be_bytes(*number), rest))
}
