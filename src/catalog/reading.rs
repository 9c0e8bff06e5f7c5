//! Code that sets how what follows is read: found by its words, for a function's body is no text that is planned.

use std::collections::BTreeSet;

/// Settings by which names are found, texts read and values shown.
pub const READING: [&str; 7] =
    ["search_path", "role", "timezone", "datestyle", "intervalstyle", "bytea_output", "extra_float_digits"];

/// Other parameters of the server that code is seen to set, by which answers, notices or limits change. Whatever else it sets
/// is the session's once its transaction has ended; only this long its other servers do not know.
const OF_SERVERS: [&str; 34] = [
    "application_name",
    "array_nulls",
    "backslash_quote",
    "check_function_bodies",
    "client_min_messages",
    "constraint_exclusion",
    "default_tablespace",
    "default_text_search_config",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "escape_string_warning",
    "gin_fuzzy_search_limit",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "jit",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "maintenance_work_mem",
    "plan_cache_mode",
    "quote_all_identifiers",
    "row_security",
    "session_replication_role",
    "standard_conforming_strings",
    "statement_timeout",
    "synchronous_commit",
    "temp_buffers",
    "timezone_abbreviations",
    "transform_null_equals",
    "work_mem",
    "xmlbinary",
    "xmloption",
];

/// Shows a parameter, also one of an application's own.
pub const READS_PARAMETERS: &str = "current_setting";

/// Stands among the words of a function's definition that sets one of them; no word has a blank.
pub const SETS_READING: &str = "set reading";

/// Stands before the name of each parameter that a function's definition sets, among its words; `?` is one that is computed.
pub const SETS: &str = "sets ";

/// The names of the parameters that the text sets by `SET [LOCAL | SESSION]`, if they are an application's own or listed above,
/// and those of all that it sets by `set_config()`; also within its strings, which may be SQL. `?` for a name that is computed.
pub fn parameters_set(text: &str) -> BTreeSet<String> {
    let folded = text.to_lowercase();
    let mut names = BTreeSet::new();
    for (at, word) in folded.match_indices("set") {
        let before = folded[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &folded[at + word.len()..];
        let behind = rest.strip_prefix("_config").map(str::trim_start);
        match behind {
            Some(arguments) => names.extend(arguments.strip_prefix('(').map(first_literal)),
            None => names.extend(named_parameter(rest)),
        }
    }
    names
}

/// The literal at the front of arguments, whose quotes may be doubled.
fn first_literal(arguments: &str) -> String {
    let quoted = arguments.trim_start();
    let inner = quoted.trim_start_matches('\'');
    let name: String = inner.chars().take_while(|c| is_of_name(*c)).collect();
    let end = &inner[name.len()..];
    let behind = end.trim_start_matches('\'').trim_start();
    let whole = behind.len() < end.len() && (behind.starts_with(',') || behind.starts_with("::"));
    let literal = inner.len() < quoted.len() && whole && !name.is_empty();
    if literal { name } else { "?".to_owned() }
}

/// The name behind SET, if it is no column's and a value follows.
fn named_parameter(rest: &str) -> Option<String> {
    let mut rest = rest.starts_with(char::is_whitespace).then(|| rest.trim_start())?;
    for scope in ["local", "session"] {
        let behind = rest.strip_prefix(scope).filter(|rest| rest.starts_with(char::is_whitespace));
        rest = behind.map_or(rest, str::trim_start);
    }
    let name: String = rest.chars().take_while(|c| is_of_name(*c)).collect();
    let value = rest[name.len()..].trim_start();
    let sets = value.starts_with('=') || value.starts_with("to");
    let known = name.contains('.') || name.starts_with("enable_") || OF_SERVERS.contains(&name.as_str());
    (known && sets).then_some(name)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '$')
}

/// Whether the text has `SET [LOCAL | SESSION] name` of one of these, or calls `set_config()`; also within its strings,
/// which may be SQL.
pub fn sets_reading(text: &str) -> bool {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    // `SET`, or `SET LOCAL`, has just passed.
    let mut set = false;
    let mut before = "";
    for word in words(text) {
        let named = READING.iter().any(|name| is(word, name))
            || is(before, "time") && is(word, "zone")
            || is(before, "session") && is(word, "authorization");
        if is(word, "set_config") || set && named {
            return true;
        }
        set = is(word, "set") || set && ["local", "session", "time"].iter().any(|between| is(word, between));
        before = word;
    }
    false
}

/// Stands among the words of a definition that runs DDL of what lasts.
pub const DEFINES: &str = "?defines";

/// Whether one of the text's statements is DDL, unless it makes something temporary: what it drops or alters may be that.
pub(super) fn defines(text: &str) -> bool {
    const VERBS: [&str; 3] = ["create", "alter", "drop"];
    /// Between the verb and what is made.
    const FILLERS: [&str; 10] = [
        "or",
        "replace",
        "unlogged",
        "unique",
        "materialized",
        "recursive",
        "foreign",
        "event",
        "constraint",
        "if",
    ];
    const KINDS: [&str; 18] = [
        "aggregate",
        "cast",
        "collation",
        "domain",
        "extension",
        "function",
        "index",
        "operator",
        "policy",
        "procedure",
        "role",
        "rule",
        "schema",
        "sequence",
        "table",
        "trigger",
        "type",
        "view",
    ];
    let text = without_comments(text).to_lowercase();
    let is_temporary = words(&text).any(|word| matches!(word, "temp" | "temporary" | "pg_temp"));
    let begins = |before: &str| {
        let before = before.trim_end();
        let word = before.rsplit(|c: char| !is_of_name(c)).next().unwrap_or_default();
        before.is_empty() || before.ends_with(';') || ["begin", "then", "else", "loop"].contains(&word)
    };
    let defines = |(at, verb): (usize, &str)| {
        let rest = &text[at + verb.len()..];
        let is_verb = rest.starts_with(char::is_whitespace) && begins(&text[..at]);
        is_verb && words(rest).find(|word| !FILLERS.contains(word)).is_some_and(|word| KINDS.contains(&word))
    };
    !is_temporary && VERBS.iter().any(|verb| text.match_indices(verb).any(defines))
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + " " + part.split_once("*/").map_or(part, |(_, code)| code))
}

/// Identifiers, keywords and numbers, in their order; also those within strings.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_what_is_set_are_found() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = parameters_set(text).into_iter().collect();
            assert_eq!(found, expected, "{text}");
        };
        check("PERFORM set_config('App.User_ID', x, true)", &["app.user_id"]);
        check("EXECUTE 'SELECT set_config( ''app.x'' , $1, false)'", &["app.x"]);
        check("PERFORM set_config('app.' || name, x, true); SET LOCAL app.y = 1", &["?", "app.y"]);
        check("PERFORM set_config(name, x, true)", &["?"]);
        check(
            "SET app.x TO 'a'; SET SESSION app.y = 'b'; set work_mem = '1MB'",
            &["app.x", "app.y", "work_mem"],
        );
        check("UPDATE t SET a = 1; SELECT offset.x = 2, current_setting('app.z')", &[]);
    }

    #[test]
    fn statements_that_define_are_found() {
        for text in [
            "ALTER TABLE t ADD COLUMN x int",
            "BEGIN\n  -- more\n  create unlogged table t (id int);\nEND",
            "SELECT 1; DROP VIEW v",
            "BEGIN IF true THEN CREATE OR REPLACE FUNCTION f() RETURNS int AS 'SELECT 1'; END IF; END",
            "/* first */ CREATE INDEX ON t (id)",
        ] {
            assert!(defines(text), "{text}");
        }
        for text in [
            "BEGIN DROP TABLE IF EXISTS t; CREATE TEMP TABLE t (id int); ALTER TABLE t ADD x int; END",
            "BEGIN IF tg_tag = 'CREATE TABLE' THEN RAISE NOTICE 'cannot create table'; END IF; END",
            "SELECT create_order(1); -- then DROP TABLE t",
            "UPDATE t SET drop = 1",
        ] {
            assert!(!defines(text), "{text}");
        }
    }

    #[test]
    fn only_what_sets_is_found() {
        for text in [
            "DO $$ BEGIN SET search_path = a; END $$",
            "set local Search_Path to a",
            "SET SESSION role = x",
            "EXECUTE 'set time zone ' || zone",
            "SET LOCAL TIME ZONE 'UTC'",
            "SET SESSION AUTHORIZATION alice",
            "PERFORM set_config('search_path', $1, true)",
            "SET \"search_path\" TO a",
        ] {
            assert!(sets_reading(text), "{text}");
        }
        for text in [
            "INSERT INTO users (id, role) VALUES (1, 'admin')",
            "UPDATE users SET name = 'x', role = 'y' WHERE timezone = 'UTC'",
            "NEW.updated_at = timezone('utc', now())",
            "SELECT current_setting('search_path')",
            "UPDATE t SET local_role = 1",
            "set work_mem = '1MB'",
        ] {
            assert!(!sets_reading(text), "{text}");
        }
    }
}
