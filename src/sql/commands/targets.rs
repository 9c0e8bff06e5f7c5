//! What ALTER, DROP, COMMENT, GRANT, REVOKE and SECURITY LABEL are about: one object, or a list of them.
//!
//! Called by `ddl`. It matters for what is temporary: that is on one server, whatever else DDL does everywhere.
//!
//! ```text
//!   DROP VIEW IF EXISTS pg_temp.a, b CASCADE          GRANT SELECT ON TABLE pg_temp.a, b TO c
//!                       ─────────  ─                                        ─────────  ─
//!   COMMENT ON TRIGGER t ON pg_temp.a IS '…'          GRANT USAGE ON ALL SEQUENCES IN SCHEMA pg_temp TO c
//!                           ─────────                                                        ───────
//! ```
//!
//! Invariants:
//! 1. A list is read whole, or not at all: what is not understood has no targets.
//!
//! Not here: what CREATE makes (`ddl`), names at other places of the text (`ddl::objects`).

use super::Cursor;
use crate::sql::name::ObjectName;

/// The schema of the session's own objects, whatever its number is.
pub const TEMPORARY_SCHEMA: &str = "pg_temp";

/// Kinds whose names are looked for among the temporary objects first.
const RELATIONS_AND_TYPES: [&str; 8] =
    ["table", "view", "materialized", "foreign", "sequence", "index", "type", "domain"];
const OTHERS: [&str; 8] =
    ["function", "procedure", "routine", "aggregate", "collation", "conversion", "statistics", "operator"];
/// Parts of a table, named before it.
const PARTS: [&str; 4] = ["trigger", "rule", "policy", "constraint"];

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sql) struct Targets {
    /// Relations and types.
    pub names: Vec<ObjectName>,
    /// Every target, of whatever kind, says that it is temporary.
    pub temporary: bool,
}

/// For a cursor behind the first word.
pub(super) fn targets(first: &str, mut c: Cursor<'_, '_>) -> Targets {
    let has_on = matches!(first, "comment" | "grant" | "revoke" | "security");
    if has_on && !past(&mut c, "on") {
        return Targets::default();
    }
    let listed = matches!(first, "drop" | "grant" | "revoke");
    if c.take("all") {
        let schema = past(&mut c, "schema").then(|| c.identifier()).flatten();
        return Targets { names: Vec::new(), temporary: schema.as_deref() == Some(TEMPORARY_SCHEMA) };
    }
    let kind = c.t.word(c.at);
    let is_table = matches!(first, "grant" | "revoke") && !is_kind(&kind);
    if PARTS.contains(&kind.as_str()) {
        if !past(&mut c, "on") {
            return Targets::default();
        }
        c.take("domain");
    } else if kind == "column" {
        c.at += 1;
        return Targets::of(column_owner(&mut c).into_iter().collect(), true);
    } else if is_kind(&kind) {
        c.at += 1;
        c.take_any(&["table", "view"]);
        c.take_any(&["class", "family"]);
    } else if !is_table {
        return Targets::default();
    }
    c.take("concurrently");
    c.take_all(&["if", "exists"]);
    c.take("only");
    let found = list(&mut c, listed).unwrap_or_default();
    Targets::of(found, !OTHERS.contains(&kind.as_str()))
}

impl Targets {
    fn of(names: Vec<ObjectName>, relations_or_types: bool) -> Self {
        let is_temporary = |name: &ObjectName| name.schema.as_deref() == Some(TEMPORARY_SCHEMA);
        let temporary = !names.is_empty() && names.iter().all(is_temporary);
        Self { names: if relations_or_types { names } else { Vec::new() }, temporary }
    }
}

fn is_kind(word: &str) -> bool {
    RELATIONS_AND_TYPES.contains(&word) || OTHERS.contains(&word)
}

/// Steps behind the next such word outside of parentheses.
fn past(c: &mut Cursor<'_, '_>, word: &str) -> bool {
    while c.at < c.end {
        if c.take(word) {
            return true;
        }
        c.at = if c.t.punctuation(c.at, b'(') { c.t.closing(c.at) } else { c.at + 1 };
    }
    false
}

/// Names with their arguments, divided by commas.
fn list(c: &mut Cursor<'_, '_>, listed: bool) -> Option<Vec<ObjectName>> {
    let mut names = Vec::new();
    loop {
        names.push(c.name()?);
        if c.at < c.end && c.t.punctuation(c.at, b'(') {
            c.at = c.t.closing(c.at);
        }
        if !listed || !c.punctuation(b',') {
            return Some(names);
        }
    }
}

/// `[schema.]table.column`
fn column_owner(c: &mut Cursor<'_, '_>) -> Option<ObjectName> {
    let mut parts = vec![c.identifier()?];
    while c.punctuation(b'.') {
        parts.push(c.identifier()?);
    }
    parts.pop()?;
    let name = parts.pop()?;
    Some(ObjectName { schema: parts.pop(), name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::LexOptions;
    use crate::sql::tokens::Tokens;

    fn found(text: &str) -> (String, bool) {
        let tokens = Tokens::new(text.as_bytes(), LexOptions::default()).unwrap();
        let cursor = Cursor { t: &tokens, at: 1, end: tokens.len() };
        let Targets { names, temporary } = targets(&tokens.word(0), cursor);
        (names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), temporary)
    }

    #[test]
    fn every_kind_of_target_is_found() {
        for (text, names, temporary) in [
            ("DROP TABLE a, s.b CASCADE", "a s.b", false),
            ("DROP MATERIALIZED VIEW IF EXISTS pg_temp.a", "pg_temp.a", true),
            ("DROP TABLE pg_temp.a, b", "pg_temp.a b", false),
            ("DROP INDEX CONCURRENTLY IF EXISTS i, \"pg_temp\".j", "i pg_temp.j", false),
            ("DROP TYPE mood", "mood", false),
            ("DROP FUNCTION pg_temp.f(int, a), PG_TEMP.g", "", true),
            ("DROP FUNCTION pg_temp.f(int, a), g(int)", "", false),
            ("DROP TRIGGER t ON pg_temp.a", "pg_temp.a", true),
            ("DROP OWNED BY pg_temp", "", false),
            ("ALTER TABLE IF EXISTS ONLY pg_temp.a ADD b pg_temp.c, DROP d", "pg_temp.a", true),
            ("ALTER TABLE a ADD b pg_temp.c", "a", false),
            ("ALTER TYPE pg_temp.mood ADD VALUE 'x'", "pg_temp.mood", true),
            ("ALTER FOREIGN TABLE a OPTIONS (b 'c')", "a", false),
            ("ALTER FUNCTION pg_temp.f(int) RENAME TO g", "", true),
            ("ALTER ROUTINE f SET search_path = pg_temp, a", "", false),
            ("ALTER DEFAULT PRIVILEGES IN SCHEMA pg_temp GRANT SELECT ON TABLES TO a", "", false),
            ("COMMENT ON TABLE pg_temp.a IS 'x'", "pg_temp.a", true),
            ("COMMENT ON COLUMN pg_temp.a.b IS 'x'", "pg_temp.a", true),
            ("COMMENT ON COLUMN a.b IS 'pg_temp.c'", "a", false),
            ("COMMENT ON CONSTRAINT c ON DOMAIN pg_temp.d IS NULL", "pg_temp.d", true),
            ("GRANT SELECT (a), UPDATE ON pg_temp.b, c TO d", "pg_temp.b c", false),
            ("GRANT ALL ON TABLE pg_temp.b TO pg_temp", "pg_temp.b", true),
            ("GRANT EXECUTE ON FUNCTION pg_temp.f(int) TO d", "", true),
            ("REVOKE USAGE ON TYPE pg_temp.t FROM d", "pg_temp.t", true),
            ("GRANT SELECT ON ALL TABLES IN SCHEMA pg_temp TO d", "", true),
            ("GRANT a TO b", "", false),
        ] {
            assert_eq!(found(text), (names.to_owned(), temporary), "{text}");
        }
    }
}
