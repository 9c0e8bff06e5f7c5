//! The client's side of an exchange: Meridian towards its servers.
//!
//! Called by [`crate::wire::login`]. Pure; states are types, named for what they await: [`AwaitServerFirst`] takes
//! the challenge and becomes [`AwaitServerFinal`], which takes the server's own proof.
//!
//! Invariants: those of [`super`]; besides, a server that answers another nonce than ours, asks for more work than
//! [`super::ITERATIONS_MAX`], or cannot sign the exchange, is refused.
//!
//! Not here: the choice of the mechanism.
//! Source: RFC 5802, section 5; libpq's `fe-auth-scram.c`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{
    BINDING_HEADER, ITERATIONS_MAX, Key, LoginKeys, ScramError, attribute, client_key, decode_key, equal,
    hmac,
};
use super::{salted_password, server_key, stored_key, xor};
use crate::wire::secret::Secret;

/// What the exchange with a server is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerBinding<'a> {
    /// The channel is not encrypted.
    Impossible,
    /// It is, and the server does not offer to bind to it: it is told that we could, so that it finds out if somebody
    /// has taken its offer away.
    NotOffered,
    /// The server's `tls-server-end-point`.
    Bound(&'a [u8]),
}

/// Awaits server-first.
#[derive(Debug)]
pub struct AwaitServerFirst {
    nonce: String,
    /// What `c=` says: the header, and what it binds to.
    binding: Vec<u8>,
}

/// Awaits server-final.
pub struct AwaitServerFinal {
    server_signature: Key,
}

impl AwaitServerFirst {
    /// Starts an exchange: the state, and client-first. `nonce` comes from [`super::nonce`].
    pub fn start(nonce: String, binding: ServerBinding<'_>) -> (Self, String) {
        let (header, data) = match binding {
            ServerBinding::Impossible => ("n,,", &[][..]),
            ServerBinding::NotOffered => ("y,,", &[][..]),
            ServerBinding::Bound(data) => (BINDING_HEADER, data),
        };
        let first = format!("{header}n=,r={nonce}");
        (AwaitServerFirst { nonce, binding: [header.as_bytes(), data].concat() }, first)
    }

    /// Takes server-first, returns client-final. Costs as many hashes as the server asks for: milliseconds.
    pub fn on_server_first(
        self,
        message: &[u8],
        password: &Secret,
    ) -> Result<(AwaitServerFinal, String), ScramError> {
        self.answer(message, |salt, iterations| {
            let salted = salted_password(password, salt, iterations);
            Ok((client_key(&salted), server_key(&salted)))
        })
    }

    /// The same with keys instead of the password, which costs next to nothing. They serve for one verifier only.
    pub fn on_server_first_with_keys(
        self,
        message: &[u8],
        keys: &LoginKeys,
    ) -> Result<(AwaitServerFinal, String), ScramError> {
        self.answer(message, |salt, iterations| {
            let same = salt == keys.salt && iterations == keys.iterations;
            same.then_some((keys.client_key, keys.server_key)).ok_or(ScramError::OtherVerifier)
        })
    }

    fn answer(
        self,
        message: &[u8],
        keys: impl FnOnce(&[u8], u32) -> Result<(Key, Key), ScramError>,
    ) -> Result<(AwaitServerFinal, String), ScramError> {
        let server_first = text(message)?;
        let mut attributes = server_first;
        let nonce = attribute(&mut attributes, 'r').ok_or(ScramError::Malformed("Nonce expected."))?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramError::NonceMismatch);
        }
        let salt = attribute(&mut attributes, 's').and_then(|salt| STANDARD.decode(salt).ok());
        let salt = salt.ok_or(ScramError::Malformed("Salt expected."))?;
        let iterations = iterations(attribute(&mut attributes, 'i'))?;
        let (client_key, server_key) = keys(&salt, iterations)?;
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(&self.binding));
        let signed = format!("n=,r={},{server_first},{without_proof}", self.nonce);
        let mut proof = client_key;
        xor(&mut proof, &hmac(&stored_key(&client_key), signed.as_bytes()));
        let next = AwaitServerFinal { server_signature: hmac(&server_key, signed.as_bytes()) };
        Ok((next, format!("{without_proof},p={}", STANDARD.encode(proof))))
    }
}

impl AwaitServerFinal {
    /// Takes server-final. The server knows the password's verifier.
    pub fn on_server_final(self, message: &[u8]) -> Result<(), ScramError> {
        let mut attributes = text(message)?;
        if let Some(reason) = attribute(&mut attributes, 'e') {
            return Err(ScramError::Server(reason.to_owned()));
        }
        let signature = attribute(&mut attributes, 'v').and_then(decode_key);
        let signature = signature.ok_or(ScramError::Malformed("Server signature expected."))?;
        if !equal(&signature, &self.server_signature) {
            return Err(ScramError::ServerSignature);
        }
        Ok(())
    }
}

fn iterations(attribute: Option<&str>) -> Result<u32, ScramError> {
    let malformed = ScramError::Malformed("Iteration count expected.");
    let Some(Ok(count)) = attribute.map(str::parse::<u64>) else { return Err(malformed) };
    match u32::try_from(count) {
        Ok(0) => Err(malformed),
        Ok(count) if count <= ITERATIONS_MAX => Ok(count),
        _ => Err(ScramError::Iterations(count)),
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("The message is not UTF-8."))
}
