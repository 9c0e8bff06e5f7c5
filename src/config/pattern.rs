//! Names by pattern: `app_*`, `tenant_??`, or a name as it is.
//!
//! `*` stands for any run of characters, also none, and `?` for one; everything else stands for itself, upper and lower
//! case apart, as PostgreSQL compares the names in a start-up packet. Used by [`super::access`]. Pure.
//!
//! Invariants:
//! 1. A text without `*` and `?` fits itself and nothing else.
//! 2. A comparison costs at most the product of both lengths, whatever the pattern: a stranger's name cannot make it
//!    dearer.

use std::fmt;

/// A name, or what names look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn fits(&self, name: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut read) = (0, 0);
        // Where to go back to: the star, and how far it has reached.
        let mut star: Option<(usize, usize)> = None;
        while read < name.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, read));
                    at += 1;
                }
                Some(expected) if *expected == '?' || *expected == name[read] => {
                    at += 1;
                    read += 1;
                }
                _ => {
                    let Some((place, reach)) = star else { return false };
                    star = Some((place, reach + 1));
                    (at, read) = (place + 1, reach + 1);
                }
            }
        }
        pattern[at..].iter().all(|rest| *rest == '*')
    }

    /// Whether every name that fits `other` surely fits this. False where it takes thought.
    pub fn covers(&self, other: &Pattern) -> bool {
        // A star of the other's fits only a star, and a question mark only a wildcard.
        let is_plain = !other.is_wild();
        self.0.as_ref() == "*" || self == other || is_plain && self.fits(&other.0)
    }

    /// Whether it may fit more than one name.
    pub fn is_wild(&self) -> bool {
        self.0.contains(['*', '?'])
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_fit_as_in_a_shell() {
        let cases = [
            ("app", "app", true),
            ("app", "App", false),
            ("app", "app1", false),
            ("app_*", "app_", true),
            ("app_*", "app_eu", true),
            ("app_*", "app", false),
            ("*_ro", "a_ro_ro", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("t??", "t12", true),
            ("t??", "t1", false),
            ("?", "é", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::new(pattern).fits(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_long_row_of_stars_is_no_trap() {
        let pattern = Pattern::new(&"*a".repeat(30));
        assert!(!pattern.fits(&"a".repeat(29)));
        assert!(!Pattern::new(&format!("{}b", "*a".repeat(30))).fits(&"a".repeat(60)));
    }

    #[test]
    fn a_pattern_covers_what_it_surely_fits() {
        let covers = |one: &str, other: &str| Pattern::new(one).covers(&Pattern::new(other));
        assert!(covers("*", "a*") && covers("a*", "abc") && covers("a*", "a*"));
        assert!(!covers("a*", "*") && !covers("abc", "a*") && !covers("a?", "a*"));
    }
}
