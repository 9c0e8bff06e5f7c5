//! What a user must show: the methods of authentication, and what is stored to check them against.
//!
//! Built by the configuration, used by [`super::startup`]; the md5 arithmetic also by [`super::login`]. Pure.
//!
//! | stored | cleartext | md5 | SCRAM |
//! | --- | --- | --- | --- |
//! | password | yes | yes | yes |
//! | `md5…` hash | yes | yes | never succeeds |
//! | `SCRAM-SHA-256$…` verifier | yes | SCRAM is spoken instead | yes |
//!
//! as in PostgreSQL's `pg_hba.conf`, where `md5` means "md5 or better".
//!
//! Invariants:
//! 1. Nothing stored is printed.
//! 2. A password in the file is turned into a verifier once, when it is loaded: a login costs the same work whether
//!    a password or a verifier is stored.
//!
//! Not here: which user has which credential (the configuration), and the conversation (`startup`).

use std::fmt::Write;

use md5::{Digest, Md5};

use super::scram::{ITERATIONS, LoginKeys, SALT_BYTES, Verifier};
use super::secret::{Secret, equal};

/// How a client shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Everybody is who they say they are.
    Trust,
    /// The password in clear.
    Cleartext,
    Md5,
    Scram,
}

/// What is stored for a user.
#[derive(Debug, Clone)]
pub enum Credential {
    Plain {
        password: Secret,
        verifier: Verifier,
    },
    /// `md5`, then the hash of password and user name, 32 lower-case digits.
    Md5(Secret),
    Scram(Verifier),
}

/// With what somebody logs in to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginSecret {
    Password(Secret),
    /// As `pg_authid` holds it: serves where md5 is asked for.
    Md5(Secret),
    /// Serves where SCRAM is asked for, and the same verifier is stored.
    Scram(LoginKeys),
}

impl Credential {
    /// Reads what `pg_authid.rolpassword` holds; None if it is neither a verifier nor an md5 hash.
    pub fn stored(text: &str) -> Option<Credential> {
        let hash = || is_md5_hash(text).then(|| Credential::Md5(Secret::from(text)));
        Verifier::parse(text).map(Credential::Scram).or_else(hash)
    }

    /// Reads what a file holds: a verifier, an md5 hash, or else a password. `salt` should be random; it is used
    /// for passwords only. Costs milliseconds for a password.
    pub fn parse(text: &str, salt: [u8; SALT_BYTES]) -> Credential {
        if let Some(credential) = Credential::stored(text) {
            return credential;
        }
        let password = Secret::from(text);
        let verifier = Verifier::derive(&password, &salt, ITERATIONS);
        Credential::Plain { password, verifier }
    }

    /// The verifier to speak SCRAM with, if there is one.
    pub fn verifier(&self) -> Option<&Verifier> {
        match self {
            Credential::Plain { verifier, .. } | Credential::Scram(verifier) => Some(verifier),
            Credential::Md5(_) => None,
        }
    }

    /// True if `password` is the user's. Costs milliseconds where a verifier is stored.
    pub fn matches_cleartext(&self, user: &str, password: &Secret) -> bool {
        match self {
            Credential::Plain { verifier, .. } | Credential::Scram(verifier) => verifier.matches(password),
            Credential::Md5(hash) => equal(hash.expose(), md5_hash(user, password).expose()),
        }
    }

    /// True if `answer` is right for the challenge `salt`.
    pub fn matches_md5(&self, user: &str, salt: [u8; 4], answer: &[u8]) -> bool {
        let hash = match self {
            Credential::Plain { password, .. } => md5_hash(user, password),
            Credential::Md5(hash) => hash.clone(),
            Credential::Scram(_) => return false,
        };
        equal(md5_answer_to(&hash, salt).expose(), answer)
    }
}

/// What a client answers to an md5 request.
pub fn md5_answer(user: &str, password: &Secret, salt: [u8; 4]) -> Secret {
    md5_answer_to(&md5_hash(user, password), salt)
}

/// What `pg_authid.rolpassword` holds for an md5 password.
pub fn md5_hash(user: &str, password: &Secret) -> Secret {
    md5_text(&[password.expose(), user.as_bytes()])
}

/// The same where the hash is known, and the password is not.
pub fn md5_answer_to(hash: &Secret, salt: [u8; 4]) -> Secret {
    md5_text(&[hash.expose().strip_prefix(b"md5").unwrap_or_default(), &salt])
}

fn md5_text(parts: &[&[u8]]) -> Secret {
    let mut hasher = Md5::new();
    parts.iter().for_each(|part| hasher.update(part));
    let mut text = String::from("md5");
    for byte in hasher.finalize() {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Secret::from(text)
}

fn is_md5_hash(text: &str) -> bool {
    let digits = text.strip_prefix("md5").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_BYTES] = [3; SALT_BYTES];

    #[test]
    fn md5_is_that_of_postgresql() {
        let hash = md5_hash("ann", &Secret::from("secret"));
        assert_eq!(hash.expose(), b"md59d792a3a8853c2411afb9163d088c036");
    }

    #[test]
    fn the_kind_of_a_credential_is_read_from_its_text() {
        assert!(matches!(Credential::parse("secret", SALT), Credential::Plain { .. }));
        assert!(matches!(Credential::parse("md5secret", SALT), Credential::Plain { .. }));
        assert!(matches!(Credential::parse("md59d792a3a8853c2411afb9163d088c036", SALT), Credential::Md5(_)));
        let verifier = Verifier::derive(&Secret::from("secret"), &SALT, 10).to_secret();
        let text = std::str::from_utf8(verifier.expose()).unwrap();
        assert!(matches!(Credential::parse(text, SALT), Credential::Scram(_)));
        assert!(!format!("{:?}", Credential::parse("hunter2", SALT)).contains("hunter2"));
    }

    #[test]
    fn every_credential_knows_its_password() {
        let hash = md5_hash("ann", &Secret::from("secret"));
        let verifier = Verifier::derive(&Secret::from("secret"), &SALT, 10);
        for credential in
            [Credential::parse("secret", SALT), Credential::Md5(hash), Credential::Scram(verifier)]
        {
            assert!(credential.matches_cleartext("ann", &Secret::from("secret")));
            assert!(!credential.matches_cleartext("ann", &Secret::from("Secret")));
            assert!(!credential.matches_cleartext("ann", &Secret::default()));
        }
    }

    #[test]
    fn md5_answers_are_checked_against_their_salt() {
        let answer = md5_answer("ann", &Secret::from("secret"), [1, 2, 3, 4]);
        for credential in
            [Credential::parse("secret", SALT), Credential::Md5(md5_hash("ann", &Secret::from("secret")))]
        {
            assert!(credential.matches_md5("ann", [1, 2, 3, 4], answer.expose()));
            assert!(!credential.matches_md5("ann", [1, 2, 3, 5], answer.expose()));
            assert!(!credential.matches_md5("ann", [1, 2, 3, 4], b""));
        }
    }
}
