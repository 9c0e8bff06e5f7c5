//! What SQL's PREPARE and EXECUTE hold: the statement inside, and the values for its parameters.
//!
//! Read when one of them is performed, from the text itself: `facts` has their names only.
//!
//! Not here: what the values are converted to (session), the protocol's Parse and Bind (wire).

use std::ops::Range;

use super::facts::Value;
use super::lexer::{LexOptions, TokenKind};
use super::tokens::Tokens;

/// One argument of EXECUTE.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// A literal, by its number in the text, NULL or a boolean; None for any other expression.
    pub value: Option<Value>,
}

/// Where the statement begins that a well-formed PREPARE prepares.
pub fn statement_of(text: &[u8], options: LexOptions) -> Option<usize> {
    let tokens = Tokens::new(text, options)?;
    tokens.is(0, "prepare").then_some(())?;
    let at = if tokens.punctuation(2, b'(') { tokens.closing(2) } else { 2 };
    tokens.is(at, "as").then(|| tokens.start(at + 1) as usize)
}

/// The name in `CREATE TABLE … AS EXECUTE name`.
pub fn executed_within(text: &[u8], options: LexOptions) -> Option<String> {
    let tokens = Tokens::new(text, options)?;
    let at = (0..tokens.len()).find(|at| tokens.are(*at, &["as", "execute"]))?;
    tokens.identifier(at + 2)
}

/// The arguments of an EXECUTE. None: it is not well formed.
pub fn arguments_of(text: &[u8], options: LexOptions) -> Option<Vec<Given>> {
    let tokens = Tokens::new(text, options)?;
    tokens.is(0, "execute").then_some(())?;
    let end = tokens.len() - usize::from(tokens.punctuation(tokens.len().checked_sub(1)?, b';'));
    if end == 2 {
        return Some(Vec::new());
    }
    (tokens.punctuation(2, b'(') && tokens.closing(2) == end).then_some(())?;
    let close = end - 1;
    let (mut given, mut from, mut at) = (Vec::new(), 3, 3);
    while at < close {
        if tokens.punctuation(at, b'(') || tokens.punctuation(at, b'[') {
            at = tokens.closing(at);
        } else if tokens.punctuation(at, b',') {
            given.push(argument(&tokens, from..at)?);
            at += 1;
            from = at;
        } else {
            at += 1;
        }
    }
    given.push(argument(&tokens, from..close)?);
    Some(given)
}

fn argument(tokens: &Tokens<'_>, range: Range<usize>) -> Option<Given> {
    let last = range.end.checked_sub(1).filter(|last| *last >= range.start)?;
    let is_number = || matches!(tokens.kind(last), Some(TokenKind::Integer | TokenKind::Decimal));
    let literal = tokens.literal(last).map(Value::Literal);
    let value = match (range.len(), literal) {
        (1, Some(literal)) => Some(literal),
        (1, None) if tokens.is(last, "null") => Some(Value::Null),
        (1, None) if tokens.is(last, "true") => Some(Value::Bool(true)),
        (1, None) if tokens.is(last, "false") => Some(Value::Bool(false)),
        (2, Some(literal)) if is_number() && tokens.operator(range.start, "-") => {
            Some(Value::Negative(Box::new(literal)))
        }
        _ => None,
    };
    Some(Given { range: tokens.start(range.start) as usize..tokens.end(last) as usize, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: LexOptions = LexOptions { standard_conforming_strings: true };

    #[test]
    fn the_statement_is_what_stands_behind_as() {
        for (text, inner) in [
            ("PREPARE q AS SELECT 1", "SELECT 1"),
            ("prepare \"as\" (int, numeric(5,2)) as\n  select $1, $2", "select $1, $2"),
            ("/* as */ PREPARE q(text) AS -- as\nVALUES ($1)", "VALUES ($1)"),
        ] {
            let start = statement_of(text.as_bytes(), OPTIONS).unwrap();
            assert_eq!(&text[start..], inner);
        }
        assert_eq!(statement_of(b"PREPARE q SELECT 1", OPTIONS), None);
    }

    #[test]
    fn arguments_are_values_or_expressions() {
        let of = |text: &str| {
            let given = arguments_of(text.as_bytes(), OPTIONS)?;
            let shown = given.into_iter().map(|given| match given.value {
                Some(value) => format!("{value:?}"),
                None => text[given.range].to_owned(),
            });
            Some(shown.collect::<Vec<_>>().join(" | "))
        };
        assert_eq!(of("EXECUTE q").unwrap(), "");
        assert_eq!(of("EXECUTE q;").unwrap(), "");
        assert_eq!(
            of("EXECUTE q('a,b', 5, -5, null, TRUE)").unwrap(),
            "Literal(0) | Literal(1) | Negative(Literal(2)) | Null | Bool(true)"
        );
        assert_eq!(
            of("EXECUTE q(f(1, 2), ARRAY[1, 2], 'a' || 'b')").unwrap(),
            "f(1, 2) | ARRAY[1, 2] | 'a' || 'b'"
        );
        assert_eq!(of("EXECUTE q(- 'a', +5)").unwrap(), "- 'a' | +5");
        for malformed in
            ["EXECUTE q()", "EXECUTE q(1,)", "EXECUTE q(,1)", "EXECUTE q(1", "EXECUTE q(1) x", "EXECUTE"]
        {
            assert_eq!(of(malformed), None, "{malformed}");
        }
    }
}
