//! Tokens, statements and shapes of a text (`sql::lexer`, `sql::split`, `sql::shape`).
//!
//! 1. Tokens are adjacent, cover the text, and are read alike when they stand alone.
//! 2. An operator is as long as PostgreSQL's rule makes it, which is tried here in its plainest form.
//! 3. Statements lie in the text in order, and between them stand blanks, comments and semicolons only.
//! 4. A text with other values, blanks and case has the same key, literals of the same kinds, and the same parameters.

use meridian::sql::lexer::{LexOptions, Lexer, Token, TokenKind};
use meridian::sql::shape::{ShapeBuffers, Size, shape};
use meridian::sql::split::split;

use super::literals::with_other_values;

pub fn run(text: &[u8]) {
    for standard_conforming_strings in [true, false] {
        let options = LexOptions { standard_conforming_strings };
        tokens_cover_the_text(text, options);
        statements_cover_the_text(text, options);
        shapes_hold_for_other_values(text, options);
    }
}

fn tokens_cover_the_text(text: &[u8], options: LexOptions) {
    let mut at = 0;
    for token in Lexer::new(text, options) {
        assert_eq!(token.start, at, "a gap or an overlap");
        assert!(token.end > token.start, "an empty token");
        at = token.end;
        let bytes = token.bytes(text);
        let alone: Vec<Token> = Lexer::new(bytes, options).collect();
        assert_eq!(alone.len(), 1, "{:?} is several when it stands alone", bytes.escape_ascii().to_string());
        assert_eq!(alone[0].kind, token.kind);
        if token.kind == TokenKind::Operator && !matches!(bytes, b"::" | b":=" | b"..") {
            assert_eq!(bytes, operator(&text[token.start as usize..]));
        }
    }
    assert_eq!(at as usize, text.len());
}

/// The operator at the front, as `scan.l` cuts it.
fn operator(text: &[u8]) -> &[u8] {
    let run = text.iter().position(|byte| !b"+-*/<>=~!@#^&|`?%".contains(byte)).unwrap_or(text.len());
    let mut end = (1..run)
        .find(|at| [&b"--"[..], b"/*"].contains(&&text[*at..(at + 2).min(text.len())]))
        .unwrap_or(run);
    let strong = text[..end].iter().any(|byte| b"~!@#^&|`?%".contains(byte));
    while !strong && end > 1 && matches!(text[end - 1], b'+' | b'-') {
        end -= 1;
    }
    &text[..end]
}

fn statements_cover_the_text(text: &[u8], options: LexOptions) {
    let mut pieces = Vec::new();
    split(text, options, &mut pieces);
    assert!(!pieces.is_empty());
    let mut at = 0;
    for piece in &pieces {
        assert!(piece.start >= at && piece.end >= piece.start && piece.end as usize <= text.len());
        between(&text[at as usize..piece.start as usize], options);
        at = piece.end;
    }
    between(&text[at as usize..], options);
}

fn between(gap: &[u8], options: LexOptions) {
    for token in Lexer::new(gap, options) {
        let silent = token.kind.is_trivia() || token.is_punctuation(gap, b';');
        assert!(silent, "{:?} stands between statements", token.bytes(gap).escape_ascii().to_string());
    }
}

fn shapes_hold_for_other_values(text: &[u8], options: LexOptions) {
    let Some(other) = with_other_values(text, options) else { return };
    let (mut buffers, mut other_buffers) = (ShapeBuffers::default(), ShapeBuffers::default());
    let one = shape(text, options, &mut buffers);
    let two = shape(&other, options, &mut other_buffers);
    assert_eq!(two.size, Size::Parseable);
    assert_eq!(
        one.key.escape_ascii().to_string(),
        two.key.escape_ascii().to_string(),
        "other values make another shape"
    );
    assert_eq!(one.literals.len(), two.literals.len());
    assert_eq!(
        (one.token_count, one.param_count, one.broken),
        (two.token_count, two.param_count, two.broken)
    );
    assert_eq!(one.hint, two.hint);
    assert!(one.literals.windows(2).all(|pair| pair[0].end <= pair[1].start), "literals out of order");
}
