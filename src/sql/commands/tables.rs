//! Commands on whole tables and servers, from tokens: TRUNCATE, LOCK, VACUUM, ANALYZE, CLUSTER, CHECKPOINT, DO.
//!
//! Called by `commands`.
//!
//! Invariants:
//! 1. TRUNCATE and LOCK name every table they touch, or are not recognised.
//! 2. What cannot run inside a transaction says so.

use super::{Command, Cursor};
use crate::sql::facts::{DdlScope, Kind, Relation};

pub(super) fn recognise(mut c: Cursor<'_, '_>) -> Option<Command> {
    let first = c.t.word(c.at);
    c.at += 1;
    match first.as_str() {
        "truncate" => truncate(c),
        "lock" => {
            c.take("table");
            let relations = relations(&mut c)?;
            let tail = c.done() || c.is("in") || c.is("nowait");
            let command = Command { relations, ..Command::with_words(Kind::LockTable) };
            tail.then_some(command)
        }
        "do" => Some(Command { text_bound: true, ..Command::with_words(Kind::Do) }),
        "vacuum" => Some(maintenance(DdlScope::OutsideTransaction)),
        // CLUSTER of all tables commits table by table.
        "cluster" if c.done() || c.is("verbose") => Some(maintenance(DdlScope::OutsideTransaction)),
        _ => Some(maintenance(DdlScope::Transactional)),
    }
}

fn maintenance(scope: DdlScope) -> Command {
    Command::with_words(Kind::Maintenance { scope })
}

fn truncate(mut c: Cursor<'_, '_>) -> Option<Command> {
    c.take("table");
    let targets = relations(&mut c)?;
    let _ = c.take_all(&["restart", "identity"]) || c.take_all(&["continue", "identity"]);
    let cascade = c.take("cascade");
    c.take("restrict");
    c.finish(Kind::Truncate { targets, cascade })
}

fn relations(c: &mut Cursor<'_, '_>) -> Option<Vec<Relation>> {
    let mut relations = vec![c.relation()?];
    while c.punctuation(b',') {
        relations.push(c.relation()?);
    }
    Some(relations)
}
