//! The values of one execution: literals out of the text and parameters out of a Bind message.
//!
//! `plan` asks for a [`Value`](super::facts::Value) and gets the bytes with what is known of their type; it never
//! decodes the rest of the statement. Borrowed and allocation-free on the local path.

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
}

/// The parameters of a Bind, as received.
pub trait Parameters {
    /// None: no such parameter. Some(None): NULL.
    fn value(&self, index: usize) -> Option<Option<&[u8]>>;
    /// Whether the value is in binary format.
    fn is_binary(&self, index: usize) -> bool;
    /// The OID declared in Parse, 0 where unspecified.
    fn declared_type(&self, index: usize) -> u32;
}

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
