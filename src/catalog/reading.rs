//! Code that sets how what follows is read: found by its words, for a function's body is no text that is planned.

/// Settings by which names are found, texts read and values shown.
pub const READING: [&str; 7] =
    ["search_path", "role", "timezone", "datestyle", "intervalstyle", "bytea_output", "extra_float_digits"];

/// Stands among the words of a function's definition that sets one of them; no word has a blank.
pub const SETS_READING: &str = "set reading";

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

/// Identifiers, keywords and numbers, in their order; also those within strings.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

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
