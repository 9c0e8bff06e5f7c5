//! CREATE TABLE AS and SELECT INTO without their rows: the statement that makes the same table, empty.
//!
//! `session` sends it to the shards on which the table is to be, but not the rows that the query gives.

use super::commands::query_end;
use super::lexer::LexOptions;
use super::tokens::Tokens;

/// Written behind a query, it makes the table and reads nothing.
const TAIL: &str = " WITH NO DATA";

/// `CREATE TABLE t AS SELECT … WITH NO DATA` for `CREATE TABLE t AS SELECT …` and for `SELECT … INTO t …`. None: neither.
pub fn without_rows(text: &[u8], options: LexOptions) -> Option<Vec<u8>> {
    let t = Tokens::new(text, options)?;
    let mut end = t.len();
    while end > 0 && t.punctuation(end - 1, b';') {
        end -= 1;
    }
    if !t.is(0, "create") {
        return from_into(&t, text, end);
    }
    let query = query_end(&t, 0, end);
    let mut statement = text[..t.end(query.checked_sub(1)?) as usize].to_vec();
    statement.extend_from_slice(TAIL.as_bytes());
    Some(statement)
}

/// `INTO [UNLOGGED] [TABLE] name` is moved to the front.
fn from_into(t: &Tokens<'_>, text: &[u8], end: usize) -> Option<Vec<u8>> {
    let into = into_clause(t, end)?;
    let mut at = into + 1;
    let unlogged = t.is(at, "unlogged");
    at += usize::from(unlogged);
    at += usize::from(t.is(at, "table"));
    let (_, behind) = t.name(at)?;
    let bytes = |from: u32, to: u32| &text[from as usize..to as usize];
    let mut statement = Vec::with_capacity(text.len() + 64);
    statement.extend_from_slice(if unlogged { b"CREATE UNLOGGED TABLE " } else { b"CREATE TABLE " });
    statement.extend_from_slice(bytes(t.start(at), t.end(behind - 1)));
    statement.extend_from_slice(b" AS ");
    statement.extend_from_slice(bytes(t.start(0), t.start(into)));
    if behind < end {
        statement.extend_from_slice(bytes(t.start(behind), t.end(end - 1)));
    }
    statement.extend_from_slice(TAIL.as_bytes());
    Some(statement)
}

/// Where INTO stands outside of all brackets; it may be a label behind AS.
fn into_clause(t: &Tokens<'_>, end: usize) -> Option<usize> {
    let mut at = 0;
    while at < end {
        if t.punctuation(at, b'(') || t.punctuation(at, b'[') {
            at = t.closing(at);
            continue;
        }
        let label = at > 0 && (t.is(at - 1, "as") || t.punctuation(at - 1, b'.'));
        if t.is(at, "into") && !label {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let made = without_rows(text.as_bytes(), LexOptions::default());
        let made = made.map(|made| String::from_utf8(made).expect("made of UTF-8"));
        assert_eq!(made.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn tables_are_made_without_their_rows() {
        check("CREATE TABLE t AS SELECT 1;", "CREATE TABLE t AS SELECT 1 WITH NO DATA");
        check("create table t as table u with data", "create table t as table u WITH NO DATA");
        check("CREATE TABLE t AS VALUES (1) WITH NO DATA", "CREATE TABLE t AS VALUES (1) WITH NO DATA");
        check("CREATE TABLE t AS SELECT 1 -- one\n", "CREATE TABLE t AS SELECT 1 WITH NO DATA");
    }

    #[test]
    fn the_name_behind_into_comes_to_the_front() {
        check("SELECT * INTO t FROM u", "CREATE TABLE t AS SELECT * FROM u WITH NO DATA");
        check(
            "WITH w AS (SELECT 1) SELECT a AS into, 'into' INTO UNLOGGED TABLE s.\"T\" FROM w LIMIT 1 ; ",
            "CREATE UNLOGGED TABLE s.\"T\" AS WITH w AS (SELECT 1) SELECT a AS into, 'into' FROM w LIMIT 1 WITH NO DATA",
        );
        check("SELECT 1 AS a INTO TABLE t", "CREATE TABLE t AS SELECT 1 AS a  WITH NO DATA");
        check("SELECT 1 INTO t UNION SELECT 2", "CREATE TABLE t AS SELECT 1 UNION SELECT 2 WITH NO DATA");
        assert_eq!(without_rows(b"SELECT 1", LexOptions::default()), None);
    }
}
