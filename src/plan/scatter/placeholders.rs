//! Literals in the parsed text: which value of the tree stands for which literal of the statement.
//!
//! The parser is given placeholders instead of a client's literals. Rewriting moves and repeats them freely; the raw
//! bytes are spliced back into the printed text. Where two expressions must be the same (GROUP BY and the select
//! list), placeholders differ though the literals may be equal: that is checked per execution.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Value, ValueWithSpan, VisitMut, VisitorMut};

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

/// Integers that stayed in the text of GROUP BY and ORDER BY because they might have been ordinals. Inside larger
/// expressions they get placeholders of their own while expressions are compared, and are put back in printed text.
#[derive(Debug, Default)]
pub struct Constants {
    digits: Vec<String>,
}

/// Set in the number of a constant's placeholder.
const CONSTANT: u32 = 1 << 31;

impl Constants {
    const PREFIX: &'static str = "7000";

    /// Whether a text might be mistaken to hold such placeholders.
    pub fn may_clash(text: &str) -> bool {
        text.contains(Self::PREFIX)
    }

    /// Replaces the constants of an expression, unless it is nothing but one.
    pub fn replace(&mut self, expr: &mut Expr, placeholders: &dyn Placeholders) {
        if !matches!(expr, Expr::Value(_)) {
            let _ = expr.visit(&mut Replacer { constants: self, placeholders });
        }
    }

    /// The constant's digits, where a literal's number is a constant's.
    pub fn digits(&self, literal: u32) -> Option<&str> {
        literal.checked_sub(CONSTANT).and_then(|index| self.digits.get(index as usize)).map(String::as_str)
    }

    /// Puts the constants back.
    pub fn restore(&self, mut text: String) -> String {
        for (index, digits) in self.digits.iter().enumerate() {
            text = text.replace(&Self::placeholder(index), digits);
        }
        text
    }

    fn placeholder(index: usize) -> String {
        format!("{}{index:06}", Self::PREFIX)
    }
}

struct Replacer<'a> {
    constants: &'a mut Constants,
    placeholders: &'a dyn Placeholders,
}

impl VisitorMut for Replacer<'_> {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if self.placeholders.literal(&value.value).is_none()
            && let Value::Number(digits, _) = &mut value.value
        {
            let placeholder = Constants::placeholder(self.constants.digits.len());
            self.constants.digits.push(std::mem::replace(digits, placeholder));
        }
        ControlFlow::Continue(())
    }
}

/// Placeholders with those of [`Constants`] among them.
pub struct WithConstants<'a>(pub &'a dyn Placeholders);

impl Placeholders for WithConstants<'_> {
    fn literal(&self, value: &Value) -> Option<u32> {
        let constant = |digits: &str| {
            let index = digits.strip_prefix(Constants::PREFIX).filter(|index| index.len() == 6)?;
            index.parse::<u32>().ok().map(|index| index + CONSTANT)
        };
        match value {
            Value::Number(digits, _) => self.0.literal(value).or_else(|| constant(digits)),
            _ => self.0.literal(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
