//! Transaction control, from tokens: BEGIN to ROLLBACK TO, SET TRANSACTION, two-phase commands, SET CONSTRAINTS.
//!
//! Called by `commands`. The grammar is `TransactionStmt` in PostgreSQL's gram.y, read to the last token: what does
//! not fit wholly is not a transaction command, so a syntax error never changes the session's idea of its state.
//!
//! Not here: what a mode means for routing (session, plan), and what a snapshot is called (session).

use super::{Command, Cursor};
use crate::sql::facts::{Isolation, Kind, Modes, TransactionCommand};
use crate::sql::lexer::LexOptions;
use crate::sql::tokens::Tokens;

pub(super) fn recognise(mut c: Cursor<'_, '_>) -> Option<Command> {
    let first = c.t.word(c.at);
    c.at += 1;
    let command = match first.as_str() {
        "begin" => {
            c.take_any(&["work", "transaction"]);
            TransactionCommand::Begin(modes(&mut c)?)
        }
        "start" if c.take("transaction") => TransactionCommand::Begin(modes(&mut c)?),
        "commit" if c.is("prepared") => return two_phase(c),
        "commit" | "end" => {
            c.take_any(&["work", "transaction"]);
            TransactionCommand::Commit { chain: chain(&mut c)? }
        }
        "rollback" if c.is("prepared") => return two_phase(c),
        "rollback" | "abort" => {
            c.take_any(&["work", "transaction"]);
            if first == "rollback" && c.take("to") {
                savepoint_keyword(&mut c);
                TransactionCommand::RollbackTo(c.identifier()?)
            } else {
                TransactionCommand::Rollback { chain: chain(&mut c)? }
            }
        }
        "savepoint" => TransactionCommand::Savepoint(c.identifier()?),
        "release" => {
            savepoint_keyword(&mut c);
            TransactionCommand::Release(c.identifier()?)
        }
        "prepare" => return two_phase(c),
        _ => return None,
    };
    c.finish(Kind::Transaction(command))
}

/// SET TRANSACTION, SET SESSION CHARACTERISTICS, SET CONSTRAINTS.
pub(super) fn recognise_set(mut c: Cursor<'_, '_>) -> Option<Command> {
    c.at += 1;
    if c.take_all(&["session", "characteristics", "as", "transaction"]) {
        let modes = some_modes(&mut c)?;
        return c.finish(Kind::Transaction(TransactionCommand::SetCharacteristics(modes)));
    }
    if c.is("constraints") {
        let all = c.end.saturating_sub(1);
        let known = c.t.is_any(all, &["deferred", "immediate"]);
        return known.then(|| Command::new(Kind::Transaction(TransactionCommand::SetConstraints)));
    }
    c.take_any(&["local", "session"]);
    if c.take("transaction") {
        if c.take("snapshot") {
            let identifier = c.at + 1 == c.end && c.t.is_string(c.at);
            return identifier.then(|| Command::new(Kind::Transaction(TransactionCommand::SetSnapshot)));
        }
        let modes = some_modes(&mut c)?;
        return c.finish(Kind::Transaction(TransactionCommand::SetTransaction(modes)));
    }
    None
}

/// The identifier in a text that is SET TRANSACTION SNAPSHOT: its only string.
pub fn snapshot_identifier(text: &[u8], options: LexOptions) -> Option<String> {
    let t = Tokens::new(text, options)?;
    let at = (0..t.len()).find(|at| t.is_string(*at))?;
    t.string(at)
}

/// SAVEPOINT may be left out, and may itself be the savepoint's name.
fn savepoint_keyword(c: &mut Cursor<'_, '_>) {
    if c.is("savepoint") && c.at + 1 < c.end {
        c.at += 1;
    }
}

fn two_phase(mut c: Cursor<'_, '_>) -> Option<Command> {
    c.at += 1;
    let gid = c.at + 1 == c.end && c.t.is_string(c.at);
    gid.then(|| Command::new(Kind::Transaction(TransactionCommand::TwoPhase)))
}

fn chain(c: &mut Cursor<'_, '_>) -> Option<bool> {
    if !c.take("and") {
        return Some(false);
    }
    let no = c.take("no");
    c.take("chain").then_some(!no)
}

fn some_modes(c: &mut Cursor<'_, '_>) -> Option<Modes> {
    if c.done() { None } else { modes(c) }
}

fn modes(c: &mut Cursor<'_, '_>) -> Option<Modes> {
    let mut modes = Modes::default();
    while !c.done() {
        if c.take_all(&["isolation", "level"]) {
            modes.isolation = Some(isolation(c)?);
        } else if c.take_all(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if c.take_all(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if c.take("deferrable") {
            modes.deferrable = Some(true);
        } else if c.take_all(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            return None;
        }
        if c.punctuation(b',') && c.done() {
            return None;
        }
    }
    Some(modes)
}

fn isolation(c: &mut Cursor<'_, '_>) -> Option<Isolation> {
    const LEVELS: [(&[&str], Isolation); 4] = [
        (&["read", "uncommitted"], Isolation::ReadUncommitted),
        (&["read", "committed"], Isolation::ReadCommitted),
        (&["repeatable", "read"], Isolation::RepeatableRead),
        (&["serializable"], Isolation::Serializable),
    ];
    LEVELS.iter().find(|(words, _)| c.take_all(words)).map(|(_, level)| *level)
}
