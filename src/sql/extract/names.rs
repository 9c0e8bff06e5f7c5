//! sqlparser's identifiers to this room's names: folded, unquoted, cut to 63 bytes.
//!
//! Invariants:
//! 1. None for a name that cannot be PostgreSQL's: a function in a name, another quote than `"`, more than a catalog,
//!    a schema and a name.

use sqlparser::ast::{Ident, ObjectName as SqlName, ObjectNamePart};

use crate::sql::name::ObjectName;
use crate::sql::parser_text::ONLY_SCHEMA;
use crate::sql::tokens::truncate;

pub(super) fn identifier(ident: &Ident) -> Option<String> {
    match ident.quote_style {
        None => Some(truncate(ident.value.to_ascii_lowercase())),
        // The parser is told not to unescape.
        Some('"') => Some(truncate(ident.value.replace("\"\"", "\""))),
        Some(_) => None,
    }
}

fn parts(name: &SqlName) -> Option<Vec<&Ident>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(ident),
            ObjectNamePart::Function(_) => None,
        })
        .collect()
}

pub(super) fn of_idents(idents: &[&Ident]) -> Option<ObjectName> {
    let mut names = idents.iter().map(|ident| identifier(ident)).collect::<Option<Vec<_>>>()?;
    if names.len() > 3 {
        return None;
    }
    let name = names.pop()?;
    Some(ObjectName { schema: names.pop(), name })
}

pub(super) fn object(name: &SqlName) -> Option<ObjectName> {
    of_idents(&parts(name)?)
}

/// A relation's name and whether it stood under ONLY.
pub(super) fn relation(name: &SqlName) -> Option<(ObjectName, bool)> {
    let idents = parts(name)?;
    match idents.split_first() {
        Some((first, rest)) if first.value == ONLY_SCHEMA => Some((of_idents(rest)?, true)),
        _ => Some((of_idents(&idents)?, false)),
    }
}

/// A name of one part, for columns of INSERT and SET.
pub(super) fn single(name: &SqlName) -> Option<String> {
    match parts(name)?.as_slice() {
        [ident] => identifier(ident),
        _ => None,
    }
}

/// The first part of a name: in SET, the column whose field or element is set.
pub(super) fn first(name: &SqlName) -> Option<String> {
    identifier(parts(name)?.first()?)
}

pub(super) fn is_quoted(name: &SqlName) -> bool {
    parts(name).is_none_or(|idents| idents.iter().any(|ident| ident.quote_style.is_some()))
}
