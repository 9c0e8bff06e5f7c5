//! Small readings of settings' texts: a search_path, and what a collation's provider and locale mean.

use super::snapshot::Collation;

/// Splits a search_path as PostgreSQL stores it: `"$user", public, "My Schema"`. Unquoted names are folded.
pub(super) fn search_path(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut inner = String::new();
            let mut tail = quoted;
            loop {
                let Some((part, after)) = tail.split_once('"') else {
                    inner.push_str(tail);
                    tail = "";
                    break;
                };
                inner.push_str(part);
                let Some(after) = after.strip_prefix('"') else {
                    tail = after;
                    break;
                };
                inner.push('"');
                tail = after;
            }
            name = inner;
            rest = tail;
        } else {
            let (bare, tail) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            name = bare.trim_end().to_ascii_lowercase();
            rest = tail;
        }
        if !name.is_empty() {
            names.push(name);
        }
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    names
}

/// How the database's own collation compares.
///
/// `provider` is NULL before version 15, where only libc has database collations.
pub(super) fn database_collation(provider: Option<&str>, collate: &str, locale: Option<&str>) -> Collation {
    classify(provider.unwrap_or("c"), locale.filter(|_| provider != Some("c")).unwrap_or(collate), true)
}

/// How a collation compares, by provider (`c` libc, `i` ICU, `b` built in) and locale.
pub(super) fn classify(provider: &str, locale: &str, deterministic: bool) -> Collation {
    let is_c = matches!(locale, "C" | "POSIX");
    let is_c_utf8 = locale.eq_ignore_ascii_case("C.UTF-8") || locale.eq_ignore_ascii_case("C.UTF8");
    match provider {
        _ if !deterministic => Collation::Nondeterministic,
        "c" if is_c || is_c_utf8 => Collation::Bytes,
        "b" if is_c || is_c_utf8 || locale == "PG_UNICODE_FAST" => Collation::Bytes,
        _ => Collation::Deterministic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths_are_split_and_folded() {
        assert_eq!(search_path("\"$user\", public"), ["$user", "public"]);
        assert_eq!(search_path("App , \"My \"\"S, x\",b"), ["app", "My \"S, x", "b"]);
        assert_eq!(search_path(""), Vec::<String>::new());
        assert_eq!(search_path("\"\""), Vec::<String>::new());
        assert_eq!(search_path("\"open"), ["open"]);
    }

    #[test]
    fn collations_of_byte_order_are_known() {
        assert_eq!(database_collation(None, "C", None), Collation::Bytes);
        assert_eq!(database_collation(Some("c"), "C.UTF-8", None), Collation::Bytes);
        assert_eq!(database_collation(Some("c"), "en_US.UTF-8", None), Collation::Deterministic);
        assert_eq!(database_collation(Some("i"), "C", Some("en-US")), Collation::Deterministic);
        assert_eq!(database_collation(Some("b"), "en_US.UTF-8", Some("C.UTF-8")), Collation::Bytes);
        assert_eq!(classify("i", "und", false), Collation::Nondeterministic);
    }
}
