//! One value of one execution: a literal's or a parameter's bytes with what is known of their type, and what they mean
//! as a key, as a coordinate or as text.
//!
//! Called by `route`, `rows` and `changes` while binding; `sql` decodes the spelling, the topology the key. This file says
//! which type a value has where it stands, and whether a cast may be looked through.
//!
//! Invariants:
//! 1. What is not certain is [`Datum::Unsure`]: reads then go everywhere, writes are refused.
//! 2. A cast is looked through only where it cannot change the value.
//! 3. Nothing is allocated for a literal without doubled quotes or for a parameter (text keys excepted).

use std::borrow::Cow;

use crate::sql::arguments::{Argument, Arguments, INFERRED_ELSEWHERE, LiteralKind};
use crate::sql::facts::Value;
use crate::sql::name::ObjectName;
use crate::topology::{Key, KeyType};

/// Type OIDs of pg_catalog that never change.
pub mod oid {
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
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
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
        Value::Cast { value, type_name, has_modifier: false } => cast(datum(value, arguments), type_name),
        Value::Cast { has_modifier: true, .. } | Value::Array(_) => Datum::Unsure,
        Value::Param(index) => match declared(*index, arguments) {
            0 => read(arguments.resolve(value)),
            of => typed(read(arguments.resolve(value)), of),
        },
        _ => read(arguments.resolve(value)),
    }
}

/// Visits the elements of an array in one value. False: not understood; some elements may have been visited.
pub(super) fn each_element(
    array: &Value,
    arguments: &Arguments<'_>,
    mut visit: impl FnMut(Datum<'_>),
) -> Elements {
    let (inner, array_type) = match array {
        Value::Cast { value, type_name, has_modifier: false } => match type_named(type_name) {
            Some(of) => (&**value, of),
            None => return Elements::Unsure,
        },
        Value::Cast { .. } => return Elements::Unsure,
        Value::Param(index) => (array, declared(*index, arguments)),
        _ => (array, 0),
    };
    if let Value::Param(index) = inner
        && ![0, array_type].contains(&declared(*index, arguments))
    {
        return Elements::Unsure;
    }
    let element = oid::ARRAYS.iter().find(|(array, _)| *array == array_type).map(|(_, element)| *element);
    if (array_type != 0 && element.is_none()) || matches!(inner, Value::Cast { .. } | Value::Array(_)) {
        return Elements::Unsure;
    }
    if arguments.resolve(inner) == Argument::Null {
        return Elements::Null;
    }
    let Some(elements) = arguments.resolve_array(inner) else { return Elements::Unsure };
    for argument in elements {
        visit(match element {
            Some(of) => typed(read(argument), of),
            None => read(argument),
        });
    }
    Elements::Visited
}

/// Whether the parameters of a list are sure to be of the column's type, or of a wider integer one: PostgreSQL looks for one
/// type for all elements, and a decimal or a cast among them may make it a float.
pub(super) fn infer_from_the_column(values: &[Value], arguments: &Arguments<'_>) -> bool {
    let undeclared = |value: &Value| matches!(value, Value::Param(index) if declared(*index, arguments) == 0);
    let widens = |value: &Value| match value {
        Value::Cast { .. } | Value::Array(_) => true,
        Value::Negative(inner) => {
            !matches!(&**inner, Value::Literal(index) if is_integer_literal(*index, arguments))
        }
        Value::Literal(index) => arguments
            .literals
            .get(*index as usize)
            .is_some_and(|literal| literal.kind == LiteralKind::Decimal),
        Value::Param(index) => !matches!(
            declared(*index, arguments),
            0 | oid::INT2
                | oid::INT4
                | oid::INT8
                | oid::TEXT
                | oid::VARCHAR
                | oid::UUID
                | oid::BOOL
                | oid::DATE
        ),
        Value::Null | Value::Bool(_) => false,
    };
    !values.iter().any(undeclared) || !values.iter().any(widens)
}

fn is_integer_literal(index: u32, arguments: &Arguments<'_>) -> bool {
    arguments.literals.get(index as usize).is_some_and(|literal| literal.kind == LiteralKind::Integer)
}

/// What became of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elements {
    Visited,
    Null,
    Unsure,
}

fn declared(index: u32, arguments: &Arguments<'_>) -> u32 {
    match arguments.parameters.declared_type(index as usize) {
        oid::UNKNOWN => 0,
        of => of,
    }
}

fn read(argument: Argument<'_>) -> Datum<'_> {
    match argument {
        Argument::Null => Datum::Null,
        Argument::Bool(value) => Datum::Bool(value),
        Argument::Text { text, is_number: true } => Datum::Number(text),
        Argument::Text { text, is_number: false } => Datum::Text { text, of: 0 },
        Argument::Binary { bytes, type_oid: oid::UNKNOWN } => Datum::Binary { bytes, of: 0 },
        Argument::Binary { bytes, type_oid } => Datum::Binary { bytes, of: type_oid },
        Argument::Array(_) | Argument::Unknown => Datum::Unsure,
    }
}

/// The value with its type, where its spelling does not carry another one.
fn typed(datum: Datum<'_>, of: u32) -> Datum<'_> {
    match datum {
        Datum::Text { text, of: 0 } => Datum::Text { text, of },
        Datum::Binary { bytes, of: 0 } => Datum::Binary { bytes, of },
        Datum::Text { of: other, .. } | Datum::Binary { of: other, .. } if other != of => Datum::Unsure,
        datum => datum,
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
        Datum::Number(text) if target == oid::NUMERIC => Datum::Number(text),
        // An integer key is compared as a float with this: large ones near it are equal, too.
        Datum::Number(text) if target == oid::FLOAT8 => Datum::Text { text, of: target },
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

/// Whether a cast to the type of this name of PostgreSQL's says what is compared.
pub(super) fn is_known_type(name: &str) -> bool {
    type_named(&ObjectName::unqualified(name)).is_some()
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
        "float8" | "float" | "double precision" => oid::FLOAT8,
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
            Self::Number(text) => key_type.decode_number(text).ok(),
            Self::Text { text, of: 0 } => key_type.decode_text(text.as_bytes()).ok(),
            Self::Text { .. } | Self::Binary { .. } if self.reads_otherwise(key_type) => None,
            Self::Text { text, of: INFERRED_ELSEWHERE } => key_type.decode_text(text.as_bytes()).ok(),
            Self::Text { text, of } => comparable(*of, key_type)?.decode_text(text.as_bytes()).ok(),
            Self::Binary { bytes, of: 0 | INFERRED_ELSEWHERE } => {
                key_type.decode_binary(own_oid(key_type), bytes).ok()
            }
            Self::Binary { bytes, of } => key_type.decode_binary(*of, bytes).ok(),
        }
    }

    /// Whether a value whose type is inferred elsewhere could be another key in another type that compares with the
    /// key's: a float of as many bytes, or a `char(n)`, for which blanks at the end do not count.
    fn reads_otherwise(&self, key_type: KeyType) -> bool {
        let (value, binary): (&[u8], bool) = match self {
            Self::Text { text, of: INFERRED_ELSEWHERE } => (text.as_bytes(), false),
            Self::Binary { bytes, of: INFERRED_ELSEWHERE } => (bytes, true),
            _ => return false,
        };
        match key_type {
            KeyType::Text | KeyType::Varchar(_) | KeyType::Char => value.ends_with(b" "),
            KeyType::Integer | KeyType::BigInt => binary,
            KeyType::SmallInt | KeyType::Uuid | KeyType::Bool | KeyType::Date => false,
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
        oid::TEXT | oid::VARCHAR
            if matches!(key_type, KeyType::Text | KeyType::Varchar(_) | KeyType::Char) =>
        {
            key_type
        }
        oid::BPCHAR if key_type == KeyType::Char => KeyType::Char,
        oid::UUID if key_type == KeyType::Uuid => KeyType::Uuid,
        oid::BOOL if key_type == KeyType::Bool => KeyType::Bool,
        oid::DATE if key_type == KeyType::Date => KeyType::Date,
        _ => return None,
    })
}

/// The type of a key of this kind, which the server gives to a parameter of no declared type that meets it.
pub fn own_oid(key_type: KeyType) -> u32 {
    match key_type {
        KeyType::SmallInt => oid::INT2,
        KeyType::Integer => oid::INT4,
        KeyType::BigInt => oid::INT8,
        KeyType::Text | KeyType::Varchar(_) => oid::TEXT,
        KeyType::Char => oid::BPCHAR,
        KeyType::Uuid => oid::UUID,
        KeyType::Bool => oid::BOOL,
        KeyType::Date => oid::DATE,
    }
}

/// The type of a key column, where it is one that routes.
pub(super) fn key_type(type_oid: u32, type_modifier: i32) -> Option<KeyType> {
    Some(match type_oid {
        oid::INT2 => KeyType::SmallInt,
        oid::INT4 => KeyType::Integer,
        oid::INT8 => KeyType::BigInt,
        oid::TEXT => KeyType::Text,
        // The modifier counts a header of four bytes.
        oid::VARCHAR => match u32::try_from(type_modifier.saturating_sub(4)) {
            Ok(length) => KeyType::Varchar(length),
            Err(_) => KeyType::Text,
        },
        oid::BPCHAR => KeyType::Char,
        oid::UUID => KeyType::Uuid,
        oid::BOOL => KeyType::Bool,
        oid::DATE => KeyType::Date,
        _ => return None,
    })
}
