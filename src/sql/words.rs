//! The identifiers of a statement with their places: what is read, and changed, where no tree is needed.
//!
//! `plan` reads from them which columns of a table a statement may mean, and respells qualified names in the client's
//! own text. Keywords are identifiers too: nothing here knows the grammar.
//!
//! Invariants:
//! 1. Every identifier of the text stands here once for each place, folded as PostgreSQL folds it.
//! 2. `wildcard` is true for every text that may ask for all columns of something without naming them.

use super::lexer::{LexOptions, TokenKind};
use super::tokens::Tokens;

/// An identifier, quoted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub name: String,
    /// Byte range in the text, quotes included.
    pub start: u32,
    pub end: u32,
    /// A dot follows.
    pub before_dot: bool,
    /// A dot stands before it.
    pub after_dot: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    pub words: Vec<Word>,
    /// `*` may stand for columns (it does not in `count(*)`, nor between two operands), or a keyword does so: TABLE,
    /// NATURAL.
    pub wildcard: bool,
}

impl Words {
    /// None where the text has too many tokens, or an identifier that cannot be read.
    pub fn of(text: &[u8], options: LexOptions) -> Option<Self> {
        let tokens = Tokens::new(text, options)?;
        let mut words = Self::default();
        for at in 0..tokens.len() {
            words.wildcard |= is_wildcard(&tokens, at);
            match tokens.kind(at) {
                Some(TokenKind::Word | TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier) => {}
                Some(TokenKind::Invalid | TokenKind::Unterminated) => return None,
                _ => continue,
            }
            let name = tokens.identifier(at)?;
            words.wildcard |= tokens.is_any(at, &["table", "natural"]);
            words.words.push(Word {
                name,
                start: tokens.start(at),
                end: tokens.end(at),
                before_dot: tokens.punctuation(at + 1, b'.'),
                after_dot: at > 0 && tokens.punctuation(at - 1, b'.'),
            });
        }
        Some(words)
    }

    /// Whether the identifier stands anywhere.
    pub fn contains(&self, name: &str) -> bool {
        self.words.iter().any(|word| word.name == name)
    }

    /// Places of the identifier that no dot follows.
    pub fn bare(&self, name: &str) -> usize {
        self.words.iter().filter(|word| word.name == name && !word.before_dot).count()
    }
}

fn is_wildcard(tokens: &Tokens<'_>, at: usize) -> bool {
    if !tokens.operator(at, "*") {
        return false;
    }
    let Some(before) = at.checked_sub(1) else { return true };
    tokens.punctuation(before, b'.')
        || tokens.punctuation(before, b',')
        || tokens.punctuation(before, b')')
        || tokens.is_any(before, &["select", "all", "distinct", "returning"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Words {
        Words::of(text.as_bytes(), LexOptions::default()).unwrap()
    }

    #[test]
    fn stars_that_stand_for_columns_are_told_from_others() {
        for text in [
            "select * from t",
            "SELECT DISTINCT * FROM t",
            "select a, t.* from t",
            "table t",
            "select 1 from a natural join b",
        ] {
            assert!(of(text).wildcard, "{text}");
        }
        for text in [
            "select count(*) from t",
            "select a * b, 2 * a from t",
            "select \"*\" from t",
            "select '*' from t",
        ] {
            assert!(!of(text).wildcard, "{text}");
        }
    }

    #[test]
    fn identifiers_stand_with_their_places_and_dots() {
        let words = of("SELECT \"R\".Fare FROM public.\"R\"");
        let shown: Vec<_> =
            words.words.iter().map(|w| (w.name.as_str(), w.before_dot, w.after_dot)).collect();
        assert_eq!(
            shown,
            [
                ("select", false, false),
                ("R", true, false),
                ("fare", false, true),
                ("from", false, false),
                ("public", true, false),
                ("R", false, true)
            ]
        );
        assert_eq!((words.words[1].start, words.words[1].end), (7, 10));
        assert_eq!(words.bare("R"), 1);
    }
}
