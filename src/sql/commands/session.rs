//! Session objects, from tokens: LISTEN, SQL-level PREPARE, cursors, LOAD, DISCARD, and signals to other sessions.
//!
//! Called by `commands`. These bind a session to one server, or change what a pooled connection must be cleaned of.
//! PREPARE and DECLARE hand back the statement inside, so that its relations and filters are known.
//!
//! Not here: which server (session), protocol-level prepared statements (wire).

use super::{Command, Cursor};
use crate::sql::facts::{Discard, Kind, SessionObject, Value};
use crate::sql::lexer::TokenKind;

pub(super) fn recognise(mut c: Cursor<'_, '_>) -> Option<Command> {
    let first = c.t.word(c.at);
    c.at += 1;
    let object = match first.as_str() {
        "listen" => {
            c.identifier()?;
            SessionObject::Listen
        }
        "unlisten" => {
            if c.at < c.end && c.t.operator(c.at, "*") {
                c.at += 1;
            } else {
                c.identifier()?;
            }
            SessionObject::Unlisten
        }
        "notify" => {
            c.identifier()?;
            c.at = c.end;
            SessionObject::Notify
        }
        "load" => {
            c.at = c.end;
            SessionObject::Load
        }
        "discard" => SessionObject::Discard(discard(&mut c)?),
        "prepare" => return prepare(c),
        "execute" => return execute(c),
        "deallocate" => {
            if c.is("prepare") && c.at + 1 < c.end {
                c.at += 1;
            }
            let name = if c.take("all") { None } else { Some(c.identifier()?) };
            SessionObject::Deallocate { name }
        }
        "declare" => return declare(c),
        "fetch" | "move" => {
            // The cursor's name is last in every form; directions are keywords and numbers before it.
            let moves = first == "move";
            c.at = c.end.checked_sub(1).filter(|last| *last >= c.at)?;
            SessionObject::Fetch { name: c.identifier()?, moves }
        }
        "close" => {
            let name = if c.take("all") { None } else { Some(c.identifier()?) };
            SessionObject::CloseCursor { name }
        }
        _ => return None,
    };
    c.finish(Kind::Session(object))
}

/// A call of the function; the column may have another name.
pub(super) fn recognise_export(mut c: Cursor<'_, '_>) -> Option<Command> {
    const FUNCTION: &str = "pg_export_snapshot";
    c.at += 1;
    if c.is("pg_catalog") && c.t.punctuation(c.at + 1, b'.') {
        c.at += 2;
    }
    if !c.take(FUNCTION) || !c.punctuation(b'(') || !c.punctuation(b')') {
        return None;
    }
    let label = match c.take("as") {
        true => c.identifier()?,
        false => FUNCTION.to_owned(),
    };
    c.finish(Kind::Session(SessionObject::ExportSnapshot { label }))
}

/// A call of one of two functions, with a value and without a name for the column.
pub(super) fn recognise_signal(mut c: Cursor<'_, '_>) -> Option<Command> {
    c.at += 1;
    if c.is("pg_catalog") && c.t.punctuation(c.at + 1, b'.') {
        c.at += 2;
    }
    let ends = c.is("pg_terminate_backend");
    if !ends && !c.is("pg_cancel_backend") || !c.t.punctuation(c.at + 1, b'(') {
        return None;
    }
    c.at += 2;
    let process = match c.t.literal(c.at) {
        Some(literal) => Value::Literal(literal),
        None if c.t.kind(c.at) == Some(TokenKind::Param) => {
            let number = std::str::from_utf8(c.t.bytes(c.at).get(1..)?).ok()?;
            Value::Param(number.parse::<u32>().ok()?.checked_sub(1)?)
        }
        None => return None,
    };
    c.at += 1;
    c.punctuation(b')').then_some(())?;
    c.finish(Kind::Session(SessionObject::Signal { ends, process }))
}

fn discard(c: &mut Cursor<'_, '_>) -> Option<Discard> {
    const WHAT: [(&str, Discard); 5] = [
        ("all", Discard::All),
        ("plans", Discard::Plans),
        ("sequences", Discard::Sequences),
        ("temp", Discard::Temp),
        ("temporary", Discard::Temp),
    ];
    WHAT.iter().find(|(word, _)| c.take(word)).map(|(_, what)| *what)
}

fn prepare(mut c: Cursor<'_, '_>) -> Option<Command> {
    let name = c.identifier()?;
    if c.t.punctuation(c.at, b'(') {
        c.at = c.t.closing(c.at);
    }
    if !c.take("as") || c.done() {
        return None;
    }
    let mut command = Command::new(Kind::Session(SessionObject::Prepare { name }));
    command.inner = Some(c.at..c.end);
    Some(command)
}

fn execute(mut c: Cursor<'_, '_>) -> Option<Command> {
    let name = c.identifier()?;
    if !c.done() && !c.t.punctuation(c.at, b'(') {
        return None;
    }
    Some(Command::new(Kind::Session(SessionObject::Execute { name })))
}

fn declare(mut c: Cursor<'_, '_>) -> Option<Command> {
    let name = c.identifier()?;
    let mut binary = false;
    loop {
        if c.take("binary") {
            binary = true;
        } else if !c.take_any(&["insensitive", "asensitive", "scroll"]) && !c.take_all(&["no", "scroll"]) {
            break;
        }
    }
    if !c.take("cursor") {
        return None;
    }
    let hold = c.take_all(&["with", "hold"]);
    c.take_all(&["without", "hold"]);
    if !c.take("for") || c.done() {
        return None;
    }
    let query = c.t.start(c.at);
    let mut command = Command::new(Kind::Session(SessionObject::DeclareCursor {
        name,
        hold,
        binary,
        query,
        locking: false,
    }));
    command.inner = Some(c.at..c.end);
    // Where the query begins.
    command.text_bound = true;
    Some(command)
}
