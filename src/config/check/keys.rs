//! Keys that the file writes out: the values of a list, the bounds of ranges.
//!
//! The file's own types say what a value is (number, string, boolean, date); `key_type` says it where a string means
//! something else, as a uuid. `catalog` compares the type with the column's later.

use toml::Spanned;
use toml::Value;

use super::Findings;
use crate::topology::{Key, KeyType};

/// The type that `key_type` names.
pub(super) fn key_type(value: &Option<Spanned<String>>, findings: &mut Findings) -> Option<KeyType> {
    let value = value.as_ref()?;
    let found = match value.get_ref().as_str() {
        "integer" => Some(KeyType::BigInt),
        "text" => Some(KeyType::Text),
        "uuid" => Some(KeyType::Uuid),
        "boolean" => Some(KeyType::Bool),
        "date" => Some(KeyType::Date),
        _ => None,
    };
    if found.is_none() {
        let choice = "one of \"integer\", \"text\", \"uuid\", \"boolean\", \"date\"";
        findings.report(value.span(), format!("must be {choice}, not \"{}\"", value.get_ref()));
    }
    found
}

/// The key that a value means.
pub(super) fn key(value: &Spanned<Value>, expected: Option<KeyType>, findings: &mut Findings) -> Option<Key> {
    let decoded = match (value.get_ref(), expected) {
        (Value::Integer(number), None | Some(KeyType::BigInt)) => Some(Key::Integer(*number)),
        (Value::Boolean(value), None | Some(KeyType::Bool)) => Some(Key::Bool(*value)),
        (Value::String(text), None) => Some(Key::Text(text.as_str().into())),
        (Value::String(text), Some(expected)) => expected.decode_text(text.as_bytes()).ok(),
        (Value::Datetime(date), None | Some(KeyType::Date)) if date.time.is_none() => {
            KeyType::Date.decode_text(date.to_string().as_bytes()).ok()
        }
        _ => None,
    };
    if decoded.is_none() {
        let wanted = expected.map_or("an integer, a string, a boolean or a date", KeyType::name);
        findings.report(value.span(), format!("{} is not a key: {wanted} is expected", value.get_ref()));
    }
    decoded
}

/// Whether two keys are of one kind, so that they can be compared.
pub(super) fn same_kind(one: &Key, other: &Key) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
