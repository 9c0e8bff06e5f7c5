//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it: keys, verifiers, and the errors of both sides.
//!
//! [`server`] holds the exchange with a client, [`client`] the exchange with a server; the drivers are
//! [`super::startup`] and [`super::login`]. Pure: nonces and salts are given by the caller, nothing is sent.
//!
//! ```text
//!   client                                  server
//!   n,,n=,r=<cnonce>                  ──▶
//!                                     ◀──   r=<cnonce><snonce>,s=<salt>,i=<iterations>
//!   c=biws,r=<both nonces>,p=<proof>  ──▶
//!                                     ◀──   v=<server signature>
//! ```
//!
//! A password is prepared by SASLprep; where that fails, its raw bytes are used, as in PostgreSQL's
//! `pg_saslprep`. What a server stores is a verifier, `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`,
//! which is exactly what `pg_authid.rolpassword` holds.
//!
//! Invariants:
//! 1. Keys, proofs and signatures are compared in constant time, and none is printed.
//! 2. An unknown user sees the same messages, in shape and number, as a known one with a wrong password.
//! 3. The work that a peer can ask for is bounded: [`ITERATIONS_MAX`].
//!
//! Not here: channel binding (`SCRAM-SHA-256-PLUS`), which needs TLS.

pub mod client;
pub mod server;

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::error::{SqlError, SqlState};
use super::secret::{Secret, equal};

pub const MECHANISM: &str = "SCRAM-SHA-256";

/// The same, bound to the encrypted channel that it runs through.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The only binding that PostgreSQL knows.
pub(super) const BINDING_HEADER: &str = "p=tls-server-end-point,,";

/// PostgreSQL's default (`SCRAM_SHA_256_DEFAULT_ITERATIONS`).
pub const ITERATIONS: u32 = 4096;

/// No peer may ask for more: about half a second of one core.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// Raw bytes of a salt made here, as in PostgreSQL.
pub const SALT_BYTES: usize = 16;

/// Raw bytes of a nonce, as in PostgreSQL.
pub const NONCE_BYTES: usize = 18;

pub(super) type Key = [u8; 32];

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScramError {
    /// The peer's message is not SCRAM.
    #[error("malformed SCRAM message")]
    Malformed(&'static str),
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    #[error("client requires an unsupported SCRAM extension")]
    Extension,
    #[error("invalid SCRAM response")]
    NonceMismatch,
    /// The client could bind the channel and was told that we could not.
    #[error("SCRAM channel binding negotiation error")]
    Downgraded,
    /// The channel's other end is not who the client believes.
    #[error("SCRAM channel binding check failed")]
    BindingMismatch,
    /// The proof is wrong, or there is no such user.
    #[error("incorrect password")]
    WrongProof,
    #[error("the server asks for {0} SCRAM iterations; at most {ITERATIONS_MAX} are allowed")]
    Iterations(u64),
    /// The keys at hand are of a verifier with another salt: the server would not take them.
    #[error("the verifier is another one than that which the client was checked against")]
    OtherVerifier,
    /// The server does not know the password's verifier: it is not the server it says it is.
    #[error("incorrect SCRAM server signature")]
    ServerSignature,
    #[error("SCRAM failed on the server: {0}")]
    Server(String),
}

impl From<ScramError> for SqlError {
    fn from(error: ScramError) -> Self {
        let state = match &error {
            ScramError::AuthorizationIdentity | ScramError::Extension => SqlState::FEATURE_NOT_SUPPORTED,
            ScramError::Malformed(_) | ScramError::NonceMismatch | ScramError::Iterations(_) => {
                SqlState::PROTOCOL_VIOLATION
            }
            ScramError::Downgraded | ScramError::BindingMismatch => {
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            }
            ScramError::WrongProof | ScramError::OtherVerifier => SqlState::INVALID_PASSWORD,
            ScramError::ServerSignature | ScramError::Server(_) => SqlState::CONNECTION_FAILURE,
        };
        let sql = SqlError::fatal(state, error.to_string());
        match error {
            ScramError::Malformed(detail) => sql.detail(detail),
            ScramError::NonceMismatch => sql.detail("Nonce does not match."),
            ScramError::Downgraded => sql.detail(
                "The client supports SCRAM channel binding but thinks the server does not. However, this server does \
                 support channel binding.",
            ),
            _ => sql,
        }
    }
}

/// What a server keeps in place of a password.
#[derive(Clone)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl Verifier {
    /// Derives the verifier of a password. Costs `iterations` hashes, milliseconds for the default.
    pub fn derive(password: &Secret, salt: &[u8], iterations: u32) -> Verifier {
        let iterations = iterations.clamp(1, ITERATIONS_MAX);
        let salted = salted_password(password, salt, iterations);
        Verifier {
            iterations,
            salt: salt.to_vec(),
            stored_key: stored_key(&client_key(&salted)),
            server_key: server_key(&salted),
        }
    }

    /// Reads what `pg_authid.rolpassword` holds. `None` if it is not a verifier, or one too costly to check.
    pub fn parse(text: &str) -> Option<Verifier> {
        let (scheme, rest) = text.split_once('$')?;
        let (challenge, keys) = rest.split_once('$')?;
        let (iterations, salt) = challenge.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let iterations = iterations.parse().ok().filter(|count| (1..=ITERATIONS_MAX).contains(count))?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        (scheme == MECHANISM).then_some(Verifier {
            iterations,
            salt,
            stored_key: decode_key(stored_key)?,
            server_key: decode_key(server_key)?,
        })
    }

    /// The text that `pg_authid.rolpassword` would hold. As good as a password to who can listen: a secret.
    pub fn to_secret(&self) -> Secret {
        Secret::from(format!(
            "{MECHANISM}${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        ))
    }

    /// True if this is the verifier of `password`. As costly as [`Verifier::derive`].
    pub fn matches(&self, password: &Secret) -> bool {
        let salted = salted_password(password, &self.salt, self.iterations);
        equal(&server_key(&salted), &self.server_key)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// What a client's proof tells to who holds its verifier: enough to log in wherever that verifier is stored, and nowhere
/// else. As good as a password there: a secret.
#[derive(Clone)]
pub struct LoginKeys {
    iterations: u32,
    salt: Vec<u8>,
    client_key: Key,
    server_key: Key,
}

impl PartialEq for LoginKeys {
    fn eq(&self, other: &Self) -> bool {
        let same = equal(&self.client_key, &other.client_key) & equal(&self.server_key, &other.server_key);
        same && self.salt == other.salt && self.iterations == other.iterations
    }
}

impl Eq for LoginKeys {}

impl fmt::Debug for LoginKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LoginKeys(…)")
    }
}

/// From what the salts of unknown users are made, so that each of them sees the same salt every time. It should
/// outlive a restart, else a restart tells known users from unknown ones.
#[derive(Clone)]
pub struct MockKey([u8; 32]);

impl MockKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        MockKey(bytes)
    }

    /// A verifier that no password matches, the same for the same user. As PostgreSQL's `mock_scram_secret`.
    pub fn verifier(&self, user: &str) -> Verifier {
        let digest: Key = Sha256::new().chain_update(user).chain_update(self.0).finalize().into();
        Verifier {
            iterations: ITERATIONS,
            salt: digest[..SALT_BYTES].to_vec(),
            stored_key: [0; 32],
            server_key: [0; 32],
        }
    }
}

impl fmt::Debug for MockKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MockKey(…)")
    }
}

/// A nonce as it stands in a message: printable and without commas.
pub fn nonce(random: [u8; NONCE_BYTES]) -> String {
    STANDARD.encode(random)
}

/// PBKDF2 with one block of HMAC-SHA-256, over the prepared password.
fn salted_password(password: &Secret, salt: &[u8], iterations: u32) -> Key {
    let keyed = keyed(&prepare(password.expose()));
    let mut round = finish(keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()));
    let mut sum = round;
    for _ in 1..iterations {
        round = finish(keyed.clone().chain_update(round));
        xor(&mut sum, &round);
    }
    sum
}

/// SASLprep, or the bytes as they are where it does not apply.
fn prepare(password: &[u8]) -> Cow<'_, [u8]> {
    let prepared = std::str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok());
    match prepared {
        Some(Cow::Owned(text)) if !text.is_empty() => Cow::Owned(text.into_bytes()),
        _ => Cow::Borrowed(password),
    }
}

fn client_key(salted: &Key) -> Key {
    hmac(salted, b"Client Key")
}

fn stored_key(client_key: &Key) -> Key {
    Sha256::digest(client_key).into()
}

fn server_key(salted: &Key) -> Key {
    hmac(salted, b"Server Key")
}

fn hmac(key: &[u8], message: &[u8]) -> Key {
    finish(keyed(key).chain_update(message))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn finish(mac: Hmac<Sha256>) -> Key {
    mac.finalize().into_bytes().into()
}

fn xor(left: &mut Key, right: &Key) {
    left.iter_mut().zip(right).for_each(|(left, right)| *left ^= right);
}

fn decode_key(text: &str) -> Option<Key> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Takes `<name>=<value>` off the front of a comma-separated list.
fn attribute<'a>(rest: &mut &'a str, name: char) -> Option<&'a str> {
    let value = rest.strip_prefix(name)?.strip_prefix('=')?;
    let (value, after) = value.split_once(',').unwrap_or((value, ""));
    *rest = after;
    Some(value)
}

#[cfg(test)]
mod tests;
