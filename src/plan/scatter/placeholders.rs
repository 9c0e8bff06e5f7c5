//! Literals in the parsed text: which value of the tree stands for which literal of the statement.
//!
//! The parser is given placeholders instead of a client's literals. Rewriting moves and repeats them freely; the raw
//! bytes are spliced back into the printed text. Where two expressions must be the same (GROUP BY and the select
//! list), placeholders differ though the literals may be equal: that is checked per execution.

use sqlparser::ast::Value;

/// Tells placeholders from constants that stayed in the text (ordinals, type modifiers).
pub trait Placeholders {
    /// The literal that a value of the tree stands for; None: the value is what it says.
    fn literal(&self, value: &Value) -> Option<u32>;
}

/// The placeholders of the parser's text: `'L3'`, `X'3'`, `8000000003`, `8000000003.5` for the fourth literal.
pub struct Numbered;

impl Placeholders for Numbered {
    fn literal(&self, value: &Value) -> Option<u32> {
        match value {
            Value::SingleQuotedString(text) => text.strip_prefix('L')?.parse().ok(),
            Value::HexStringLiteral(digits) => digits.parse().ok(),
            Value::Number(digits, _) => {
                let digits = digits.strip_suffix(".5").unwrap_or(digits).strip_prefix('8')?;
                if digits.len() == 9 { digits.parse().ok() } else { None }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A text without placeholders.
    pub(crate) struct Verbatim;

    impl Placeholders for Verbatim {
        fn literal(&self, _value: &Value) -> Option<u32> {
            None
        }
    }

    #[test]
    fn placeholders_are_told_from_constants() {
        let number = |digits: &str| Numbered.literal(&Value::Number(digits.to_owned(), false));
        assert_eq!(number("8000000012"), Some(12));
        assert_eq!(number("8000000012.5"), Some(12));
        assert_eq!(number("80"), None);
        assert_eq!(number("2"), None);
        assert_eq!(Numbered.literal(&Value::SingleQuotedString("L7".to_owned())), Some(7));
        assert_eq!(Numbered.literal(&Value::Null), None);
    }
}
