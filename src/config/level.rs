//! What the log tells: levels, in the manner of `info,meridian::health=debug`.
//!
//! Asked by `check` for `[log] level`, and by `cli` for the variable that is stronger. A word that is no level would be
//! taken for a module's name by the library that filters, and the log would be silent, errors and all. Pure.

/// PostgreSQL's and others' words are not among them.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Says what is wrong with the text, if anything is.
pub fn check_level(text: &str) -> Result<(), String> {
    match text.split(',').map(str::trim).find(|part| !is_right(part)) {
        None => Ok(()),
        Some(part) => Err(format!("\"{part}\" is neither a level ({}) nor module=level", LEVELS.join(", "))),
    }
}

fn is_right(part: &str) -> bool {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    match part.split_once('=') {
        None => is_level(part),
        Some((module, level)) => is_module(module) && is_level(level),
    }
}

/// A path of names: `meridian::health`.
fn is_module(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    text.split("::").all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_told() {
        for right in ["info", "OFF", "warn,meridian::health=debug", "info, tokio_postgres=Trace"] {
            assert_eq!(check_level(right), Ok(()), "{right}");
        }
        for wrong in
            ["", "warning", "loud", "info,", "meridian::health", "health=loud", "=info", "a b=info", "3"]
        {
            assert!(check_level(wrong).is_err(), "{wrong}");
        }
        let told = "\"warning\" is neither a level (off, error, warn, info, debug, trace) nor module=level";
        assert_eq!(check_level("info,warning"), Err(told.to_owned()));
    }
}
