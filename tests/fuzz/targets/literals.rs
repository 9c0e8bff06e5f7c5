//! Another statement of the same shape: every literal replaced, every blank and every unquoted word's case changed.
//!
//! Used by the targets of the lexer and of the planner: what a shape promises must hold for both texts.

use meridian::sql::arguments::{Literal, LiteralKind};
use meridian::sql::lexer::{LexOptions, Lexer, TokenKind};
use meridian::sql::shape::{ShapeBuffers, Size, shape};

/// The text with other values. `None` where its key is cut off.
pub fn with_other_values(text: &[u8], options: LexOptions) -> Option<Vec<u8>> {
    let mut buffers = ShapeBuffers::default();
    let shaped = shape(text, options, &mut buffers);
    if shaped.size == Size::TooLarge {
        return None;
    }
    let mut literals = shaped.literals.iter().peekable();
    let mut out = Vec::with_capacity(text.len() * 2);
    for token in Lexer::new(text, options) {
        let bytes = token.bytes(text);
        if let Some(literal) = literals.next_if(|literal| literal.start == token.start) {
            out.push(b' ');
            out.extend_from_slice(other_value(literal, bytes));
            out.push(b' ');
            continue;
        }
        match token.kind {
            TokenKind::Word => out.extend(bytes.iter().map(u8::to_ascii_uppercase)),
            // The first comment may be a hint.
            TokenKind::Blank => out.extend_from_slice(if bytes.len() > 1 { b"\n" } else { bytes }),
            _ => out.extend_from_slice(bytes),
        }
    }
    assert!(literals.next().is_none(), "a literal is not a token");
    Some(out)
}

/// A literal of the same type. Strings become dollar quotes: two of the others would become one over a new line.
fn other_value(literal: &Literal, written: &[u8]) -> &'static [u8] {
    match literal.kind {
        LiteralKind::OtherString if matches!(written[0], b'b' | b'B' | b'x' | b'X') => b"B'1'",
        LiteralKind::String
        | LiteralKind::EscapeString
        | LiteralKind::DollarString
        | LiteralKind::OtherString => b"$q$v$q$",
        LiteralKind::Decimal => b"1.5",
        LiteralKind::OddNumber => b"0x1",
        // Long enough not to be the number of a column.
        LiteralKind::Integer => match digits(written) {
            0..=2_147_483_647 => b"1234567",
            2_147_483_648..=9_223_372_036_854_775_807 => b"2147483648",
            _ => b"9223372036854775808",
        },
    }
}

fn digits(written: &[u8]) -> u128 {
    written.iter().fold(0, |n: u128, digit| n.saturating_mul(10).saturating_add(u128::from(digit - b'0')))
}
