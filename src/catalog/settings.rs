//! What a collation's provider and locale mean.

use super::snapshot::Collation;

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
    fn collations_of_byte_order_are_known() {
        assert_eq!(database_collation(None, "C", None), Collation::Bytes);
        assert_eq!(database_collation(Some("c"), "C.UTF-8", None), Collation::Bytes);
        assert_eq!(database_collation(Some("c"), "en_US.UTF-8", None), Collation::Deterministic);
        assert_eq!(database_collation(Some("i"), "C", Some("en-US")), Collation::Deterministic);
        assert_eq!(database_collation(Some("b"), "en_US.UTF-8", Some("C.UTF-8")), Collation::Bytes);
        assert_eq!(classify("i", "und", false), Collation::Nondeterministic);
    }
}
