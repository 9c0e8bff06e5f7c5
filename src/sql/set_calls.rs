//! What the `set_config()` calls of a text set: their names, where the text or its parameters say them.
//!
//! `session` asks the servers afterwards what the values are. PostgreSQL's catalog lists its own parameters, but not those of
//! applications (`app.user`): of such a one the name must be known before.

use super::lexer::{LexOptions, TokenKind};
use super::tokens::Tokens;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCall {
    pub name: SetName,
    /// To the transaction's end, for certain.
    pub local: bool,
}

/// The first argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetName {
    /// In lower case.
    Literal(String),
    /// The text of a parameter, numbered from 0.
    Parameter(usize),
    /// A column called `name`.
    Listed,
    Computed,
}

/// The calls of one statement. None where the text has too many tokens.
pub fn set_calls(text: &[u8], options: LexOptions) -> Option<Vec<SetCall>> {
    let t = Tokens::new(text, options)?;
    let names = |at: &usize| t.identifier(*at).is_some_and(|name| name == "set_config");
    let calls = (0..t.len()).filter(names).filter(|at| t.punctuation(at + 1, b'('));
    Some(calls.map(|at| call(&t, at + 1)).collect())
}

/// `open`: its bracket.
fn call(t: &Tokens<'_>, open: usize) -> SetCall {
    let end = t.closing(open).saturating_sub(1);
    let mut commas = Vec::new();
    let mut at = open + 1;
    while at < end {
        if t.punctuation(at, b'(') || t.punctuation(at, b'[') {
            at = t.closing(at);
            continue;
        }
        if t.punctuation(at, b',') {
            commas.push(at);
        }
        at += 1;
    }
    let [first, second] = commas[..] else { return SetCall { name: SetName::Computed, local: false } };
    let says_true =
        |at: usize| t.is(at, "true") || matches!(t.bytes(at), b"'t'" | b"'true'" | b"'on'" | b"'1'");
    SetCall { name: name(t, open + 1, first), local: second + 2 == end && says_true(second + 1) }
}

/// The argument that ends before `end`; a cast to text changes nothing.
fn name(t: &Tokens<'_>, at: usize, end: usize) -> SetName {
    let cast = at + 3 == end && t.operator(at + 1, "::") && t.is_any(at + 2, &["text", "varchar"]);
    if at + 1 != end && !cast {
        return SetName::Computed;
    }
    let bytes = t.bytes(at);
    let known = match t.kind(at) {
        Some(TokenKind::String) => {
            let inner =
                bytes.get(1..bytes.len().saturating_sub(1)).and_then(|inner| std::str::from_utf8(inner).ok());
            let plain = inner.filter(|inner| !inner.contains(['\'', '\\']));
            plain.map(|name| SetName::Literal(name.to_lowercase()))
        }
        Some(TokenKind::Param) => {
            let number = bytes.get(1..).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            number.and_then(|number: usize| number.checked_sub(1)).map(SetName::Parameter)
        }
        _ if t.is(at, "name") && !cast => Some(SetName::Listed),
        _ => None,
    };
    known.unwrap_or(SetName::Computed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(SetName, bool)]) {
        let calls = set_calls(text.as_bytes(), LexOptions::default()).expect("few tokens");
        let calls: Vec<_> = calls.into_iter().map(|call| (call.name, call.local)).collect();
        assert_eq!(calls, expected, "{text}");
    }

    fn literal(name: &str) -> SetName {
        SetName::Literal(name.to_owned())
    }

    #[test]
    fn names_and_scopes_are_read() {
        check("SELECT set_config('App.User', '1', true)", &[(literal("app.user"), true)]);
        check("select pg_catalog.\"set_config\" ( 'a.b'::text , f(1, 2) , 't' )", &[(literal("a.b"), true)]);
        check("SELECT set_config($2, $1, true)", &[(SetName::Parameter(1), true)]);
        check("SELECT set_config($1::text, $2, $3)", &[(SetName::Parameter(0), false)]);
        check(
            "SELECT set_config('a.b', (SELECT 'x'), false), set_config('a.c', '', not false)",
            &[(literal("a.b"), false), (literal("a.c"), false)],
        );
        check("SELECT set_config(name, '7s', false) FROM pg_settings", &[(SetName::Listed, false)]);
    }

    #[test]
    fn what_is_computed_is_not_guessed() {
        for text in [
            "SELECT set_config('a.' || 'b', '1', true)",
            "SELECT set_config(lower('A.B'), '1', true)",
            "SELECT set_config(E'a.b', '1', true)",
            "SELECT set_config('a''b', '1', true)",
            "SELECT set_config(n.name, '1', true) FROM n",
        ] {
            check(text, &[(SetName::Computed, true)]);
        }
        check("SELECT set_config()", &[(SetName::Computed, false)]);
        check("SELECT 'set_config(''a.b'')', set_config", &[]);
    }
}
