//! A statement's shape for people's eyes: the text with every literal replaced by a question mark. Pure.
//!
//! Called for log lines, never on a statement's path.
//!
//! Invariants:
//! 1. No literal's bytes are in what is printed: strings of every kind, numbers, bit strings, and whatever stands behind
//!    the name of a setting (which SQL allows without quotes). Column numbers and type modifiers are no literals.
//! 2. A text that cannot be read as tokens is not printed at all: its literals cannot be told from the rest.
//! 3. What is printed is [`PRINTED_BYTES_MAX`] long at most.

use super::lexer::LexOptions;
use super::shape::{ShapeBuffers, Size, shape};

pub const PRINTED_BYTES_MAX: usize = 1024;
/// Markers of cut literals are below this, and no byte of a readable token is.
const MARKERS_END: u8 = 8;

/// The shape of one or several statements.
pub fn printed_shape(text: &[u8], options: LexOptions) -> String {
    let mut buffers = ShapeBuffers::default();
    let shape = shape(text, options, &mut buffers);
    if shape.broken || shape.size == Size::TooLarge {
        return "(not readable)".to_owned();
    }
    let key = String::from_utf8_lossy(shape.key);
    let mut printed = String::new();
    for character in setting_name(&key).chars() {
        if printed.len() >= PRINTED_BYTES_MAX {
            printed.push('…');
            break;
        }
        printed.push(if character < char::from(MARKERS_END) { '?' } else { character });
    }
    printed
}

/// Of SET, what stands before its values; of anything else, all.
fn setting_name(key: &str) -> &str {
    if !key.starts_with("set ") {
        return key;
    }
    let end = [" = ", "=", " to "].iter().filter_map(|sign| key.find(sign)).min();
    end.map_or(key, |end| &key[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        printed_shape(text.as_bytes(), LexOptions::default())
    }

    #[test]
    fn literals_are_question_marks() {
        assert_eq!(
            printed("SELECT a FROM t WHERE b = 'secret' AND c = 42.5 AND d = $1 AND e = E'x\\n' LIMIT 7"),
            "select a from t where b = ? and c = ? and d = $1 and e = ? limit ?"
        );
        assert_eq!(printed("DO $$ secret $$"), "do ?");
        assert_eq!(printed("SELECT 1; SELECT 'two'"), "select ?;select ?");
    }

    #[test]
    fn values_of_settings_are_left_out() {
        for text in ["SET app.token = secret", "SET app.token TO secret, other", "set app.token=secret"] {
            assert_eq!(printed(text), "set app.token", "{text}");
        }
        assert_eq!(printed("ALTER ROLE a PASSWORD 'secret'"), "alter role a password ?");
    }

    #[test]
    fn what_cannot_be_read_is_not_printed() {
        assert_eq!(printed("SELECT 'secret"), "(not readable)");
        assert_eq!(printed("SELECT 1 \u{1} secret"), "(not readable)");
        assert!(printed(&format!("SELECT {}", "a, ".repeat(5000))).len() < PRINTED_BYTES_MAX + 8);
    }
}
