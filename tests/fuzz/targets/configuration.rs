//! The configuration file (`config`).
//!
//! 1. A text is accepted, or every one of its errors names a line of the text; which of both does not change.
//! 2. An accepted text is accepted with the line ends of another system, and means the same.
//! 3. No password stands in an error or in what `Debug` prints.

use std::path::Path;

use meridian::config::{Config, ConfigErrors};

/// Paths in a text lead nowhere from here.
const FOLDER: &str = "/nonexistent";
/// Stands for passwords in the corpus.
const SECRET: &str = "hunter2hunter2";

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What a text names by an absolute path is read: no device of this machine.
    if text.contains("/dev") || text.contains("/proc") || text.contains("/sys") {
        return;
    }
    let parse = |text: &str| Config::parse(text, "meridian.toml", Path::new(FOLDER));
    match parse(text) {
        Ok(config) => {
            let printed = format!("{config:?}");
            assert!(!printed.contains(SECRET), "a secret is printed");
            if !text.contains('\r') && !text.contains("\"\"\"") && !text.contains("'''") {
                let other = parse(&text.replace('\n', "\r\n")).expect("only line ends have changed");
                assert_eq!(other.warnings, config.warnings);
                assert_eq!(other.topology.shards.len(), config.topology.shards.len());
                assert_eq!(other.users.len(), config.users.len());
            }
        }
        Err(errors) => wrong(text, &errors, &parse(text).expect_err("it was an error a moment ago")),
    }
}

fn wrong(text: &str, errors: &ConfigErrors, again: &ConfigErrors) {
    assert_eq!(errors, again);
    assert!(!errors.0.is_empty(), "refused without a reason");
    let lines = 1 + text.bytes().filter(|byte| *byte == b'\n').count();
    for error in &errors.0 {
        assert!(error.line <= lines, "{error}: there are {lines} lines");
        assert!(!error.message.is_empty());
    }
    assert!(
        errors.0.windows(2).all(|pair| pair[0].line <= pair[1].line),
        "not in the order of lines: {errors}"
    );
}
