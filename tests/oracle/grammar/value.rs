//! Literals and parameters.

use crate::random::Random;
use crate::tables::{Type, quoted};
use crate::tree::{Node, Value};

/// Values of a type for expressions that know no column: none that arithmetic would fail on.
fn tame(ty: Type) -> &'static [&'static str] {
    match ty {
        Type::Bool => &["true", "false", "NULL"],
        Type::Small | Type::Int | Type::Big => &["0", "1", "2", "3", "7", "-1", "10", "NULL"],
        Type::Num => &["0", "1.5", "1.50", "-2.25", "10", "0.10", "NULL"],
        Type::Float | Type::Real => &["0", "1.5", "-0.25", "2", "NULL"],
        Type::Text => &["a", "", "B", "ä", "it's", "us-east", "%", "NULL"],
        Type::Char => &["ab", "b   ", "", "NULL"],
        Type::Date => &["2020-02-29", "2021-03-28", "NULL"],
        Type::Stamp => &["2021-03-28 02:30", "2020-02-29 12:00", "NULL"],
        Type::Zoned => &["2021-03-28 00:59:59+00", "2021-10-31 02:30+01", "NULL"],
        Type::Interval => &["1 mon", "30 days", "1 day", "-02:00", "NULL"],
        Type::Uuid => {
            &["00000000-0000-0000-0000-000000000001", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", "NULL"]
        }
        Type::Bytes => &["\\x", "\\x41", "NULL"],
        Type::Json => &[r#"{"a": 1}"#, "null", "1.0", "NULL"],
        Type::Ints => &["{}", "{1,2}", "{NULL,3}", "NULL"],
        Type::Texts => &["{}", "{a,b}", "NULL"],
        Type::Range => &["[1,5)", "empty", "NULL"],
        Type::Mood => &["sad", "happy", "NULL"],
    }
}

/// A value of a type with that type.
pub fn typed(random: &mut Random, ty: Type, parameters: bool) -> Node {
    let value = *random.pick(tame(ty));
    of(random, value, ty, parameters)
}

/// This value as one of this type, in one of the ways to write it.
pub fn of(random: &mut Random, value: &str, ty: Type, parameters: bool) -> Node {
    let number = ty.is_integer() || ty == Type::Num;
    let is_plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-') && !value.is_empty();
    let cast = ty.cast();
    let literal = match (value, ty) {
        ("NULL", _) => format!("NULL{cast}"),
        // "-0.0" is not minus zero, and a minus before a literal is an operator.
        (_, _) if number && is_plain && !value.starts_with('-') && ty != Type::Big && ty != Type::Small => {
            match (ty, value.contains('.')) {
                (Type::Num, false) => format!("{value}.0"),
                _ => value.to_owned(),
            }
        }
        ("true" | "false", Type::Bool) => value.to_owned(),
        (_, Type::Text) if random.chance(70) => quoted(value),
        _ => format!("{}{cast}", quoted(value)),
    };
    let raw = (value != "NULL").then(|| value.to_owned());
    Node::Value(Value { literal, raw, cast, type_oid: 0, is_parameter: parameters && random.chance(60) })
}

/// This value of a column with no type of its own, as an application writes it beside the column.
pub fn bare(random: &mut Random, value: &str, ty: Type, parameters: bool) -> Node {
    let is_plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !value.is_empty();
    let literal = match value {
        "true" | "false" if ty == Type::Bool => value.to_owned(),
        _ if ty.is_number() && is_plain && random.chance(80) => value.to_owned(),
        _ if ty.is_integer() && value.starts_with('-') && random.chance(80) => value.to_owned(),
        _ => quoted(value),
    };
    let raw = (value != "NULL").then(|| value.to_owned());
    let type_oid = declared(random, ty);
    Node::Value(Value { literal, raw, cast: "", type_oid, is_parameter: parameters && random.chance(70) })
}

/// A type that a driver may declare for a parameter that meets a column of this one.
fn declared(random: &mut Random, ty: Type) -> u32 {
    let usual: &[u32] = match ty {
        Type::Bool => &[0, 16],
        // Not oid: what is compared with it is made one, and fails where it is none, if the plan comes to it.
        Type::Small | Type::Int | Type::Big => &[0, 21, 23, 20, 1700, 701, 700],
        Type::Num => &[0, 1700, 701, 23],
        Type::Float | Type::Real => &[0, 701, 700, 1700, 23],
        Type::Text | Type::Char => &[0, 25, 1043, 1042, 705, 19],
        Type::Date => &[0, 1082, 1114, 1184],
        Type::Stamp | Type::Zoned => &[0, 1114, 1184],
        Type::Uuid => &[0, 2950],
        _ => &[0],
    };
    *random.pick(usual)
}
