//! Names of types: from sqlparser's variants and from single words to the names in `pg_type`.
//!
//! `value` and `rows` call it for casts. PostgreSQL's grammar turns SQL's spellings into catalog names
//! (`int` is `int4`, `character varying` is `varchar`); quoted names and all other words stay as they are.
//!
//! Invariants:
//! 1. None for a spelling that PostgreSQL does not have: a cast to it is not understood.
//!
//! Not here: domains and search paths (catalog).

use sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, TimezoneInfo};

use super::names;
use crate::sql::name::ObjectName;

/// A type's name, and whether a modifier such as a length was written.
pub(super) struct TypeName {
    pub name: ObjectName,
    pub has_modifier: bool,
}

/// The type that an unquoted word names in PostgreSQL's grammar.
pub(in crate::sql) fn from_word(word: &str) -> ObjectName {
    let name = match word {
        "int" | "integer" => "int4",
        "smallint" => "int2",
        "bigint" => "int8",
        "real" => "float4",
        "float" => "float8",
        "decimal" | "dec" => "numeric",
        "boolean" => "bool",
        "char" | "character" | "nchar" => "bpchar",
        other => other,
    };
    ObjectName::unqualified(name)
}

pub(super) fn of(data_type: &DataType) -> Option<TypeName> {
    if let DataType::Array(element) = data_type {
        let ArrayElemTypeDef::SquareBracket(element, _) = element else { return None };
        let mut inner = of(element)?;
        if inner.name.name.ends_with("[]") {
            return Some(inner);
        }
        inner.name.name.push_str("[]");
        return Some(inner);
    }
    if let DataType::Custom(name, modifiers) = data_type {
        let name = names::object(name)?;
        let quoted = matches!(data_type, DataType::Custom(n, _) if names::is_quoted(n));
        let name = if name.schema.is_none() && !quoted { from_word(&name.name) } else { name };
        return Some(TypeName { name, has_modifier: !modifiers.is_empty() });
    }
    let (name, has_modifier) = simple(data_type)?;
    Some(TypeName { name: ObjectName::unqualified(name), has_modifier })
}

fn simple(data_type: &DataType) -> Option<(&'static str, bool)> {
    use DataType as T;
    let zoned = |zone: &TimezoneInfo, plain, with| match zone {
        TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => plain,
        TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => with,
    };
    Some(match data_type {
        // Without a length, character is character(1): that cuts.
        T::Character(length) | T::Char(length) => {
            let _: &Option<CharacterLength> = length;
            ("bpchar", true)
        }
        T::CharacterVarying(length) | T::CharVarying(length) | T::Varchar(length) => {
            ("varchar", length.is_some())
        }
        T::Uuid => ("uuid", false),
        T::Numeric(info) | T::Decimal(info) | T::Dec(info) => ("numeric", *info != ExactNumberInfo::None),
        T::Float(ExactNumberInfo::None) | T::Float8 | T::DoublePrecision => ("float8", false),
        // The number of bits only chooses between the two.
        T::Float(ExactNumberInfo::Precision(25..=53)) => ("float8", false),
        T::Float(ExactNumberInfo::Precision(1..=24)) => ("float4", false),
        T::Float4 | T::Real => ("float4", false),
        T::SmallInt(None) | T::Int2(None) => ("int2", false),
        T::Int(None) | T::Int4(None) | T::Integer(None) => ("int4", false),
        T::BigInt(None) | T::Int8(None) => ("int8", false),
        T::Bool | T::Boolean => ("bool", false),
        T::Date => ("date", false),
        T::Time(precision, zone) => (zoned(zone, "time", "timetz"), precision.is_some()),
        T::Timestamp(precision, zone) => (zoned(zone, "timestamp", "timestamptz"), precision.is_some()),
        T::Interval { fields, precision } => ("interval", fields.is_some() || precision.is_some()),
        T::JSON => ("json", false),
        T::JSONB => ("jsonb", false),
        T::Regclass => ("regclass", false),
        T::Text => ("text", false),
        T::Bytea => ("bytea", false),
        T::TsVector => ("tsvector", false),
        T::TsQuery => ("tsquery", false),
        _ => return None,
    })
}
