//! The values of one execution: literals out of the text and parameters out of a Bind message.
//!
//! `plan` asks for a [`Value`] and gets the bytes with what is known of their type; it never
//! decodes the rest of the statement. Borrowed and allocation-free on the local path (a literal with escapes or
//! doubled quotes, and arrays, allocate).
//!
//! Invariants:
//! 1. [`Arguments::resolve`] gives what PostgreSQL's lexer would give to the type's input function, or
//!    [`Argument::Unknown`]; never a guess. Invalid UTF-8, `U&''`, bit strings and odd numbers are Unknown.
//! 2. A cast is not applied here: [`Value::Cast`] resolves to Unknown, and `plan` looks inside where it knows the type.
//!
//! Not here: types (catalog), placements (topology), where a literal begins and ends (`lexer`).

use std::borrow::Cow;

use super::array;
use super::facts::Value;
use super::unescape;

/// A literal that the lexer cut out: its place in the statement's text and what kind of token it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    pub start: u32,
    pub end: u32,
    pub kind: LiteralKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralKind {
    /// `'…'` with standard_conforming_strings on.
    String,
    /// `E'…'`.
    EscapeString,
    /// `$tag$…$tag$`.
    DollarString,
    /// `U&'…'`, `B'…'`, `X'…'`: not decoded; never routes.
    OtherString,
    /// Decimal digits only.
    Integer,
    /// With a point or an exponent.
    Decimal,
    /// `0x1F`, `1_000`, `12abc`: not the same thing in all versions of PostgreSQL; never routes.
    OddNumber,
}

/// The parameters of a Bind, as received.
pub trait Parameters {
    /// None: no such parameter. Some(None): NULL.
    fn value(&self, index: usize) -> Option<Option<&[u8]>>;
    /// Whether the value is in binary format.
    fn is_binary(&self, index: usize) -> bool;
    /// The OID declared in Parse, 0 where unspecified; [`INFERRED_ELSEWHERE`] where another place of the statement may
    /// decide what the server takes it for.
    fn declared_type(&self, index: usize) -> u32;
}

/// Stands for the type of a parameter without a declared one that the statement names more than once: PostgreSQL takes
/// its type from the first place, which need not be the one that is looked at. No type has this OID.
pub const INFERRED_ELSEWHERE: u32 = u32::MAX;

/// No parameters: the simple protocol.
pub struct NoParameters;

impl Parameters for NoParameters {
    fn value(&self, _index: usize) -> Option<Option<&[u8]>> {
        None
    }

    fn is_binary(&self, _index: usize) -> bool {
        false
    }

    fn declared_type(&self, _index: usize) -> u32 {
        0
    }
}

/// The statement's text, its literals and its parameters.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    pub text: &'a [u8],
    pub literals: &'a [Literal],
    pub parameters: &'a dyn Parameters,
}

/// A value of one execution, with what its spelling says of its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument<'a> {
    Null,
    /// A literal's content or a parameter in text format. `is_number`: it stood without quotes.
    Text {
        text: Cow<'a, str>,
        is_number: bool,
    },
    /// A parameter in binary format; the declared type, 0 where the server infers it.
    Binary {
        bytes: &'a [u8],
        type_oid: u32,
    },
    Bool(bool),
    Array(Vec<Argument<'a>>),
    Unknown,
}

impl<'a> Arguments<'a> {
    pub fn resolve(&self, value: &Value) -> Argument<'a> {
        match value {
            Value::Literal(index) => self.literal(*index),
            Value::Param(index) => self.parameter(*index as usize),
            Value::Null => Argument::Null,
            Value::Bool(value) => Argument::Bool(*value),
            Value::Negative(inner) => negate(self.resolve(inner)),
            Value::Cast { .. } => Argument::Unknown,
            Value::Array(values) => Argument::Array(values.iter().map(|value| self.resolve(value)).collect()),
        }
    }

    /// The elements of a one-dimensional array: `ARRAY[…]`, `'{…}'`, or a parameter in either format.
    /// None where it is NULL, malformed, or of more dimensions.
    pub fn resolve_array(&self, value: &Value) -> Option<Vec<Argument<'a>>> {
        match self.resolve(value) {
            Argument::Array(elements) => Some(elements),
            Argument::Text { text, is_number: false } => array::parse_text(&text),
            Argument::Binary { bytes, .. } => array::parse_binary(bytes),
            _ => None,
        }
    }

    /// The raw bytes of a literal, quotes included.
    pub fn raw(&self, index: u32) -> Option<&'a [u8]> {
        let literal = self.literals.get(index as usize)?;
        self.text.get(literal.start as usize..literal.end as usize)
    }

    fn literal(&self, index: u32) -> Argument<'a> {
        let (Some(literal), Some(raw)) = (self.literals.get(index as usize), self.raw(index)) else {
            return Argument::Unknown;
        };
        let number = matches!(literal.kind, LiteralKind::Integer | LiteralKind::Decimal);
        let text = match literal.kind {
            LiteralKind::Integer | LiteralKind::Decimal => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
            LiteralKind::String => unescape::plain(raw),
            LiteralKind::EscapeString => unescape::escaped(raw).map(Cow::Owned),
            LiteralKind::DollarString => unescape::dollar(raw).map(Cow::Borrowed),
            LiteralKind::OtherString | LiteralKind::OddNumber => None,
        };
        text.map_or(Argument::Unknown, |text| Argument::Text { text, is_number: number })
    }

    fn parameter(&self, index: usize) -> Argument<'a> {
        match self.parameters.value(index) {
            None => Argument::Unknown,
            Some(None) => Argument::Null,
            Some(Some(bytes)) if self.parameters.is_binary(index) => {
                Argument::Binary { bytes, type_oid: self.parameters.declared_type(index) }
            }
            Some(Some(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Argument::Text { text: Cow::Borrowed(text), is_number: false },
                Err(_) => Argument::Unknown,
            },
        }
    }
}

fn negate(argument: Argument<'_>) -> Argument<'_> {
    match argument {
        Argument::Text { text, is_number: true } => {
            let text = match text.strip_prefix('-') {
                Some(positive) => positive.to_owned(),
                None => format!("-{text}"),
            };
            Argument::Text { text: Cow::Owned(text), is_number: true }
        }
        Argument::Null => Argument::Null,
        _ => Argument::Unknown,
    }
}
