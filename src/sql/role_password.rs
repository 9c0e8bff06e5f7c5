//! The password that CREATE ROLE or ALTER ROLE gives, and the same statement with what is to be stored instead.
//!
//! `session` calls it for what every shard runs: a server salts a password by itself, and keys that fit one verifier fit no
//! other.
//!
//! Invariants:
//! 1. Nothing but the literal changes.
//!
//! Not here: which text is stored as it stands, and what a verifier is (`wire::credential`).

use std::ops::Range;

use super::lexer::LexOptions;
use super::tokens::Tokens;

/// Not `Debug`: it is a secret.
pub struct RolePassword {
    pub password: String,
    /// Where the role's name and the literal stand, in bytes.
    name: Range<usize>,
    literal: Range<usize>,
}

impl RolePassword {
    /// None where the statement gives no password, or an empty one, which PostgreSQL takes for none.
    pub fn find(text: &[u8], options: LexOptions) -> Option<Self> {
        let t = Tokens::new(text, options)?;
        if !t.is_any(0, &["create", "alter"]) || !t.is_any(1, &["role", "user", "group"]) {
            return None;
        }
        let mut at = 3;
        while at < t.len() {
            if t.punctuation(at, b'(') {
                at = t.closing(at);
                continue;
            }
            if t.is(at, "password") && t.is_string(at + 1) {
                let bytes = |from, to| t.start(from) as usize..t.end(to) as usize;
                let name_end = if t.is(3, "uescape") { 4 } else { 2 };
                let password = t.string(at + 1).filter(|password| !password.is_empty())?;
                return Some(Self { password, name: bytes(2, name_end), literal: bytes(at + 1, at + 1) });
            }
            at += 1;
        }
        None
    }

    /// The statement with what is stored in the place of the password.
    pub fn storing(&self, text: &[u8], stored: &[u8]) -> Vec<u8> {
        let Range { start, end } = self.literal;
        [&text[..start], b"'", stored, b"'", &text[end..]].concat()
    }

    /// What stores it for the role that is there already.
    pub fn alteration(&self, text: &[u8], stored: &[u8]) -> Vec<u8> {
        [b"ALTER ROLE ", &text[self.name.clone()], b" PASSWORD '", stored, b"'"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let found = RolePassword::find(text.as_bytes(), LexOptions::default());
        let stored = found.map(|found| {
            let written = String::from_utf8(found.storing(text.as_bytes(), b"stored"));
            (found.password, written.expect("made of UTF-8"))
        });
        let expected = expected.map(|(password, text)| (password.to_owned(), text.to_owned()));
        assert_eq!(stored, expected, "{text}");
    }

    #[test]
    fn a_password_is_found_and_replaced() {
        check("CREATE ROLE a PASSWORD 'x'", Some(("x", "CREATE ROLE a PASSWORD 'stored'")));
        check(
            "create user \"A\" with password 'it''s' login",
            Some(("it's", "create user \"A\" with password 'stored' login")),
        );
        check(
            "ALTER ROLE a ENCRYPTED PASSWORD E'\\x41';",
            Some(("A", "ALTER ROLE a ENCRYPTED PASSWORD 'stored';")),
        );
        check("ALTER USER password PASSWORD $$p$$", Some(("p", "ALTER USER password PASSWORD 'stored'")));
        check(
            "CREATE GROUP a PASSWORD 'md5x' ROLE b",
            Some(("md5x", "CREATE GROUP a PASSWORD 'stored' ROLE b")),
        );
    }

    #[test]
    fn statements_that_give_none_stay() {
        check("CREATE ROLE a PASSWORD NULL", None);
        check("CREATE ROLE a PASSWORD ''", None);
        check("CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password 'x')", None);
        check("ALTER SYSTEM SET a = 'x'", None);
        check("SELECT password 'x'", None);
    }

    #[test]
    fn the_role_is_altered_by_the_name_that_the_statement_has() {
        let altered = |text: &str| {
            let found = RolePassword::find(text.as_bytes(), LexOptions::default()).expect("a password");
            String::from_utf8(found.alteration(text.as_bytes(), b"stored")).expect("made of UTF-8")
        };
        assert_eq!(altered("CREATE USER \"A b\" PASSWORD 'x'"), "ALTER ROLE \"A b\" PASSWORD 'stored'");
        let escaped = "U&\"!0061\" UESCAPE '!'";
        assert_eq!(
            altered(&format!("CREATE ROLE {escaped} PASSWORD 'x'")),
            format!("ALTER ROLE {escaped} PASSWORD 'stored'")
        );
    }
}
