//! SET, RESET and SHOW of configuration parameters, from tokens.
//!
//! Called by `commands` (after `transaction`, which owns SET TRANSACTION). PostgreSQL has several spellings for one
//! parameter: `SET TIME ZONE`, `SET NAMES`, `SET SCHEMA`, `SET ROLE`, `SET SESSION AUTHORIZATION`; all give the
//! parameter's own name.
//!
//! Not here: what a value means. The value is a byte range, so these facts are true of one text and are not cached.

use super::{Command, Cursor};
use crate::sql::facts::{Kind, Setting};
use crate::sql::lexer::TokenKind;

pub(super) fn recognise(mut c: Cursor<'_, '_>) -> Option<Command> {
    let first = c.t.word(c.at);
    c.at += 1;
    match first.as_str() {
        "set" => set(c),
        "reset" => {
            let setting =
                if c.take("all") { Setting::ResetAll } else { Setting::Reset { name: parameter(&mut c)? } };
            c.finish(Kind::Setting(setting))
        }
        _ => {
            let name = if c.take("all") { "all".to_owned() } else { parameter(&mut c)? };
            c.finish(Kind::Show { name })
        }
    }
}

/// A parameter's name, in the long spellings too.
fn parameter(c: &mut Cursor<'_, '_>) -> Option<String> {
    const LONG: [(&[&str], &str); 3] = [
        (&["time", "zone"], "timezone"),
        (&["session", "authorization"], "session_authorization"),
        (&["transaction", "isolation", "level"], "transaction_isolation"),
    ];
    for (words, name) in LONG {
        if c.take_all(words) {
            return Some(name.to_owned());
        }
    }
    let mut name = c.identifier()?;
    while c.punctuation(b'.') {
        name.push('.');
        name.push_str(&c.identifier()?);
    }
    // Parameters' names are compared without regard to case, quoted or not.
    Some(name.to_ascii_lowercase())
}

fn set(mut c: Cursor<'_, '_>) -> Option<Command> {
    let local = c.take("local");
    if !local && c.is("session") && !c.t.are(c.at, &["session", "authorization"]) {
        c.at += 1;
    }
    let short =
        [("names", "client_encoding"), ("schema", "search_path"), ("role", "role"), ("catalog", "catalog")];
    let assigned = |c: &Cursor<'_, '_>| c.t.operator(c.at + 1, "=") || c.t.is(c.at + 1, "to");
    let name = if c.take_all(&["xml", "option"]) {
        "xmloption".to_owned()
    } else if c.t.are(c.at, &["time", "zone"]) || c.t.are(c.at, &["session", "authorization"]) {
        parameter(&mut c)?
    } else if let Some((_, name)) = short.iter().find(|(word, _)| c.is(word) && !assigned(&c)) {
        c.at += 1;
        (*name).to_owned()
    } else {
        let name = parameter(&mut c)?;
        let operator = c.at < c.end && c.t.operator(c.at, "=");
        if !operator && !c.is("to") {
            return None;
        }
        c.at += 1;
        return value(c, name, local);
    };
    if c.done() && name == "client_encoding" {
        return command(name, local, None);
    }
    value(c, name, local)
}

fn value(c: Cursor<'_, '_>, name: String, local: bool) -> Option<Command> {
    if c.done() {
        return None;
    }
    let single = c.at + 1 == c.end;
    if single && (c.is("default") || (name == "timezone" && c.is("local"))) {
        return command(name, local, None);
    }
    // Words, strings, numbers with a sign, and commas; INTERVAL forms of TIME ZONE bring parentheses.
    let plain = (c.at..c.end).all(|at| match c.t.kind(at) {
        Some(TokenKind::Punctuation) => c.t.punctuation(at, b',') || name == "timezone",
        Some(TokenKind::Operator) => c.t.operator(at, "-") || c.t.operator(at, "+"),
        Some(TokenKind::Param | TokenKind::Invalid | TokenKind::Unterminated) | None => false,
        _ => true,
    });
    if !plain {
        return None;
    }
    let range = (c.t.start(c.at), c.t.end(c.end - 1));
    command(name, local, Some(range))
}

fn command(name: String, local: bool, value: Option<(u32, u32)>) -> Option<Command> {
    let mut command = Command::new(Kind::Setting(Setting::Set { name, local, value }));
    command.text_bound = true;
    Some(command)
}
