//! DDL, from its first tokens: whether it may run in a transaction, whether it is temporary, what it creates or changes.
//!
//! Called by `commands`. Nothing else of DDL is read: the original bytes go to the servers, and every identifier is in
//! the facts' words. CREATE TABLE AS is found here and hands back its query.
//!
//! Invariants:
//! 1. Commands that PostgreSQL refuses inside a transaction block are `OutsideTransaction` (PreventInTransactionBlock
//!    in utility.c and the commands it calls).
//!
//! Not here: SELECT INTO (`extract`), which tables exist (catalog).

use super::alter::{alterations, copied_defaults, parents, timed_defaults};
use super::targets::{TEMPORARY_SCHEMA, Targets, targets};
use super::{Command, Cursor};
use crate::sql::facts::{Alteration, DdlScope, Kind};
use crate::sql::name::ObjectName;
use crate::sql::tokens::Tokens;

pub(super) fn recognise(mut c: Cursor<'_, '_>) -> Option<Command> {
    let first = c.t.word(c.at);
    c.at += 1;
    if first == "create" {
        return create(c);
    }
    let scope = if of_large_objects(&c) {
        DdlScope::LargeObjects
    } else if outside(&first, &c) {
        DdlScope::OutsideTransaction
    } else if first == "refresh" && is_concurrent(&c) {
        DdlScope::Unpreparable
    } else {
        DdlScope::Transactional
    };
    if first == "security" && !c.is("label") {
        return None;
    }
    // What is within an object is named between the two words, or before its table.
    let of_part = c.t.is_any(c.at, &["policy", "trigger", "rule"]);
    let renames = !of_part && (c.at..c.end).any(|at| c.t.are(at, &["rename", "to"]));
    let mut alters = if first == "alter" { alterations(c.clone()) } else { Vec::new() };
    let has_default = has_default(&c);
    if first == "alter" && has_default {
        alters.extend(timed_defaults(&c));
    }
    let Targets { names, temporary } = targets(&first, c);
    // Values of literals: `'now'`.
    let text_bound = has_default
        || alters.iter().any(|alteration| {
            matches!(alteration, Alteration::Adds { .. } | Alteration::Retypes { converted: true, .. })
        });
    let mut command = Command::with_words(Kind::Ddl { scope, temporary, creates: None, renames, alters });
    (command.targets, command.text_bound) = (names, text_bound);
    Some(command)
}

/// ALTER LARGE OBJECT …; COMMENT, GRANT, REVOKE and SECURITY LABEL … ON LARGE OBJECT …
fn of_large_objects(c: &Cursor<'_, '_>) -> bool {
    let objects = ["large", "object"];
    c.t.are(c.at, &objects) || (c.at..c.end).any(|at| c.t.is(at, "on") && c.t.are(at + 1, &objects))
}

fn is_concurrent(c: &Cursor<'_, '_>) -> bool {
    (c.at..c.end.min(c.at + 8)).any(|at| c.t.is(at, "concurrently"))
}

fn outside(first: &str, c: &Cursor<'_, '_>) -> bool {
    let concurrently = is_concurrent(c);
    match first {
        "drop" => {
            c.t.is_any(c.at, &["database", "tablespace", "subscription"]) || (c.is("index") && concurrently)
        }
        "alter" => c.is("system") || alter_outside(c),
        "reindex" => concurrently || reindex_outside(c),
        _ => false,
    }
}

fn alter_outside(c: &Cursor<'_, '_>) -> bool {
    let has = |words: &[&str]| (c.at..c.end).any(|at| c.t.are(at, words));
    match c.t.word(c.at).as_str() {
        "database" => has(&["set", "tablespace"]),
        "subscription" => {
            has(&["refresh", "publication"])
                || has(&["set", "publication"])
                || has(&["add", "publication"])
                || has(&["drop", "publication"])
        }
        "table" => has(&["detach", "partition"]) && has(&["concurrently"]),
        _ => false,
    }
}

fn reindex_outside(c: &Cursor<'_, '_>) -> bool {
    let at = if c.t.punctuation(c.at, b'(') { c.t.closing(c.at) } else { c.at };
    c.t.is_any(at, &["schema", "database", "system"])
}

fn create(mut c: Cursor<'_, '_>) -> Option<Command> {
    c.take_all(&["or", "replace"]);
    c.take_any(&["global", "local"]);
    let mut temporary = c.take_any(&["temp", "temporary"]);
    c.take_any(&[
        "unlogged",
        "unique",
        "recursive",
        "trusted",
        "procedural",
        "foreign",
        "constraint",
        "event",
    ]);
    c.take("materialized");
    c.take("recursive");
    let object = c.t.word(c.at);
    c.at += 1;
    let concurrently = c.take("concurrently");
    c.take_all(&["if", "not", "exists"]);
    // An index may be left without a name: CREATE INDEX ON t.
    let creates = if names_itself(&object) && !c.is("on") { c.name() } else { None };
    temporary |= creates.as_ref().is_some_and(|name| name.schema.as_deref() == Some(TEMPORARY_SCHEMA));
    if object == "table"
        && let Some(name) = creates.clone()
        && let Some(inner) = query_of_create_table(&c)
    {
        let mut command = Command::with_words(Kind::CreateTableAs { name, temporary, reads: false });
        command.inner = Some(inner);
        return Some(command);
    }
    let outside = matches!(object.as_str(), "database" | "tablespace" | "subscription")
        || (object == "index" && concurrently);
    let scope = if outside { DdlScope::OutsideTransaction } else { DdlScope::Transactional };
    let timed = if matches!(object.as_str(), "table" | "domain") { timed_defaults(&c) } else { Vec::new() };
    let has_default = has_default(&c);
    let copied = if object == "table" { copied_defaults(&c) } else { Vec::new() };
    let mut alters = if object == "table" { parents(c) } else { Vec::new() };
    alters.extend(timed.into_iter().chain(copied));
    let mut command = Command::with_words(Kind::Ddl { scope, temporary, creates, renames: false, alters });
    command.text_bound = has_default;
    Some(command)
}

/// What is the default may be a literal.
fn has_default(c: &Cursor<'_, '_>) -> bool {
    (c.at..c.end).any(|at| c.t.is(at, "default"))
}

/// Objects that live in a schema and are named directly behind their kind.
fn names_itself(object: &str) -> bool {
    const OBJECTS: [&str; 12] = [
        "table",
        "view",
        "sequence",
        "index",
        "function",
        "procedure",
        "aggregate",
        "type",
        "domain",
        "collation",
        "statistics",
        "conversion",
    ];
    OBJECTS.contains(&object)
}

/// The query of `CREATE TABLE name … AS query [WITH [NO] DATA]`, for a cursor behind the name.
fn query_of_create_table(c: &Cursor<'_, '_>) -> Option<std::ops::Range<usize>> {
    let mut at = c.at;
    while at < c.end {
        if c.t.punctuation(at, b'(') {
            at = c.t.closing(at);
            continue;
        }
        let query = c.t.is_any(at + 1, &["select", "with", "values", "table", "execute"])
            || c.t.punctuation(at + 1, b'(');
        if c.t.is(at, "as") && query {
            return Some(at + 1..query_end(c.t, at + 1, c.end));
        }
        at += 1;
    }
    None
}

/// Where a query that begins at `start` ends, without the `WITH [NO] DATA` that may stand before `end`.
pub(in crate::sql) fn query_end(t: &Tokens<'_>, start: usize, end: usize) -> usize {
    for tail in [["with", "no", "data"].as_slice(), ["with", "data"].as_slice()] {
        if let Some(at) = end.checked_sub(tail.len())
            && at > start
            && t.are(at, tail)
        {
            return at;
        }
    }
    end
}

/// The names that stand where a relation is named, but for the first that is what the statement creates.
pub(in crate::sql) fn objects(t: &Tokens<'_>, creates: Option<&ObjectName>) -> Vec<ObjectName> {
    const BEFORE: [&str; 13] = [
        "table",
        "exists",
        "only",
        "index",
        "view",
        "sequence",
        "concurrently",
        "on",
        "to",
        "from",
        "join",
        "column",
        "into",
    ];
    let is_drop = t.is(0, "drop");
    let renames = (0..t.len()).any(|at| t.is(at, "rename"));
    let mut created = creates;
    let mut found = Vec::new();
    for at in 1..t.len() {
        let listed = is_drop && t.punctuation(at - 1, b',');
        // RENAME TO gives a name that is not there yet.
        let named = t.is_any(at - 1, &BEFORE) && !(renames && t.is(at - 1, "to"));
        let Some((name, _)) = t.name(at).filter(|_| listed || named) else { continue };
        if created == Some(&name) {
            created = None;
            continue;
        }
        // The owner of a column.
        found.extend(
            name.schema
                .iter()
                .map(|owner| ObjectName::unqualified(owner.as_str()))
                .filter(|_| t.is(at - 1, "column")),
        );
        found.push(name);
    }
    found
}
