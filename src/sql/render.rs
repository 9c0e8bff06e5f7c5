//! Printed trees back to a client's statement: the raw bytes of the literals are spliced into fixed text.
//!
//! The scatter compiler changes a tree of placeholder text, prints it, checks it with [`same_tokens`] (unchanged parts
//! must print as they were read) and makes a [`Template`]; each execution fills the template.
//!
//! ```text
//! tree ─▶ "SELECT a FROM t WHERE x = 'L0' LIMIT 9000000000" ─▶ pieces
//!         "SELECT a FROM t WHERE x = " Literal(0) " LIMIT " Extra(0)
//! ```
//!
//! Invariants:
//! 1. No byte of a literal passes through a printer; what is spliced is what the client wrote.
//! 2. A piece never runs into its neighbour: it is set apart by blanks where letters, digits or quotes would touch.
//! 3. Printed text with a string that is no placeholder, or with anything the lexer cannot read, makes no template.
//!
//! Not here: what to change in a tree (plan).

use sqlparser::ast::{LimitClause, Query, Statement};

use super::arguments::Literal;
use super::lexer::{LexOptions, Lexer, TokenKind, is_identifier_byte};
use super::parser_text::{ONLY_SCHEMA, placeholder_number, placeholder_string};

/// The placeholder in a tree for the n-th value that the proxy computes (a LIMIT, an added parameter), as the digits of
/// a number: `Value::Number(extra_placeholder(0), false)`.
pub fn extra_placeholder(index: u32) -> String {
    format!("9{index:09}")
}

fn extra_index(digits: &str) -> Option<u32> {
    let number = digits.strip_prefix('9')?;
    if number.len() == 9 { number.parse().ok() } else { None }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Literal(u32),
    Extra(u32),
}

/// A statement's text with holes for literals and computed values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    /// From printed placeholder text.
    pub fn new(printed: &str) -> Option<Self> {
        let mut template = Self { pieces: Vec::new() };
        let only = format!("\"{ONLY_SCHEMA}\"");
        let mut after_only = false;
        for token in Lexer::new(printed.as_bytes(), LexOptions::default()) {
            let text = printed.get(token.start as usize..token.end as usize)?;
            if std::mem::take(&mut after_only) {
                // The point behind the marker.
                template.push_fixed("ONLY ");
                continue;
            }
            match token.kind {
                TokenKind::String => template.push_string(text)?,
                TokenKind::BitString => {
                    let index = text.get(2..text.len() - 1)?.parse().ok()?;
                    template.pieces.push(Piece::Literal(index));
                }
                TokenKind::Integer | TokenKind::Decimal => template.push_number(text),
                TokenKind::QuotedIdentifier if text == only => after_only = true,
                TokenKind::EscapeString
                | TokenKind::DollarString
                | TokenKind::UnicodeString
                | TokenKind::NationalString
                | TokenKind::OddNumber
                | TokenKind::Invalid
                | TokenKind::Unterminated => return None,
                _ => template.push_fixed(text),
            }
        }
        Some(template)
    }

    fn push_string(&mut self, text: &str) -> Option<()> {
        let index = placeholder_string(text.get(1..text.len() - 1)?)?;
        self.pieces.push(Piece::Literal(index));
        Some(())
    }

    fn push_number(&mut self, text: &str) {
        match (placeholder_number(text), extra_index(text)) {
            (Some(index), _) => self.pieces.push(Piece::Literal(index)),
            (None, Some(index)) => self.pieces.push(Piece::Extra(index)),
            (None, None) => self.push_fixed(text),
        }
    }

    fn push_fixed(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Fixed(fixed)) => fixed.push_str(text),
            _ => self.pieces.push(Piece::Fixed(text.to_owned())),
        }
    }

    /// The statement, with the literals of `text` and the computed values put in. None where one is missing.
    pub fn fill(&self, text: &[u8], literals: &[Literal], extra: &[&[u8]]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len() + 64);
        let mut spliced = false;
        for piece in &self.pieces {
            let bytes = match piece {
                Piece::Fixed(fixed) => fixed.as_bytes(),
                Piece::Literal(index) => {
                    let literal = literals.get(*index as usize)?;
                    text.get(literal.start as usize..literal.end as usize)?
                }
                Piece::Extra(index) => extra.get(*index as usize)?,
            };
            let hole = !matches!(piece, Piece::Fixed(_));
            if (hole || spliced) && runs_together(out.last(), bytes.first()) {
                out.push(b' ');
            }
            spliced = hole;
            out.extend_from_slice(bytes);
        }
        Some(out)
    }
}

/// Whether two bytes might be read as one token, or as a comment, when they touch.
fn runs_together(left: Option<&u8>, right: Option<&u8>) -> bool {
    let name = |byte: u8| is_identifier_byte(byte) || matches!(byte, b'\'' | b'"' | b'.');
    match (left, right) {
        (Some(b'-'), Some(b'-')) | (Some(b'&'), Some(b'\'')) => true,
        (Some(left), Some(right)) => name(*left) && name(*right),
        _ => false,
    }
}

/// Whether printing has kept the statement: the token streams are equal but for these.
///
/// - the case of unquoted words
/// - `AS` before an alias, `INNER`, `OUTER`, `ASC`
/// - `<>` for `!=`
/// - `NEXT` and `ROW` of FETCH
///
/// Anything else, and the statement is not rewritten: sqlparser prints types and parentheses as it read them.
pub fn same_tokens(original: &str, printed: &str) -> bool {
    let mut a = Canonical::new(original);
    let mut b = Canonical::new(printed);
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some((kind_a, text_a)), Some((kind_b, text_b))) => {
                let equal = kind_a == kind_b
                    && match kind_a {
                        TokenKind::Word => text_a.eq_ignore_ascii_case(text_b) || same_noise(text_a, text_b),
                        _ => text_a == text_b,
                    };
                if !equal {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Words of FETCH that mean the same.
fn same_noise(read: &str, printed: &str) -> bool {
    const PRINTED: [(&str, &str); 2] = [("next", "FIRST"), ("row", "ROWS")];
    PRINTED.iter().any(|(word, instead)| read.eq_ignore_ascii_case(word) && printed == *instead)
}

/// Whether a statement's own tree prints as it was read; `OFFSET … LIMIT …`, too, which is printed the other way round.
pub fn prints_as_read(original: &str, tree: &Statement) -> bool {
    same_tokens(original, &tree.to_string())
        || offset_first(tree).is_some_and(|printed| same_tokens(original, &printed))
}

fn offset_first(tree: &Statement) -> Option<String> {
    let Statement::Query(query) = tree else { return None };
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(limit), offset: Some(offset), .. })
            if query.fetch.is_none() && query.locks.is_empty() =>
        {
            let unbounded = Query { limit_clause: None, ..(**query).clone() };
            Some(format!("{unbounded} {offset} LIMIT {limit}"))
        }
        _ => None,
    }
}

struct Canonical<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
}

impl<'t> Canonical<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, lexer: Lexer::new(text.as_bytes(), LexOptions::default()) }
    }
}

impl<'t> Iterator for Canonical<'t> {
    type Item = (TokenKind, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        const SILENT: [&str; 4] = ["as", "inner", "outer", "asc"];
        for token in self.lexer.by_ref() {
            let text = self.text.get(token.start as usize..token.end as usize).unwrap_or("");
            let silent =
                token.kind == TokenKind::Word && SILENT.iter().any(|word| text.eq_ignore_ascii_case(word));
            if token.kind.is_trivia() || silent {
                continue;
            }
            return Some((token.kind, if text == "!=" { "<>" } else { text }));
        }
        None
    }
}
