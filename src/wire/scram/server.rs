//! The server's side of an exchange: Meridian towards its clients.
//!
//! Called by [`crate::wire::startup`]. Pure; states are types, named for what they await: [`AwaitClientFirst`] takes
//! the first message and becomes [`AwaitClientFinal`], which takes the proof.
//!
//! Invariants: those of [`super`]; besides, a client that has no entry is given a challenge made from its name, and
//! its proof is computed and compared like any other before it is refused.
//!
//! Not here: what the client is told; a wrong proof is a [`ScramError::WrongProof`], whoever it came from.
//! Source: `auth-scram.c`, whose order of checks and wording are kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{
    BINDING_HEADER, Key, LoginKeys, MockKey, ScramError, Verifier, attribute, decode_key, equal, hmac,
    stored_key, xor,
};

/// What was agreed on the binding of the exchange to its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding<'a> {
    /// The channel is not encrypted, and nothing was offered.
    Unavailable,
    /// It was offered, and the client chose the mechanism without.
    Declined,
    /// The client chose the mechanism with: this is what it must name.
    Bound(&'a [u8]),
}

/// Awaits client-first.
#[derive(Debug)]
pub struct AwaitClientFirst {
    verifier: Verifier,
    genuine: bool,
    server_nonce: String,
    offered: bool,
    bound: Option<Vec<u8>>,
}

/// Awaits client-final.
#[derive(Debug)]
pub struct AwaitClientFinal {
    verifier: Verifier,
    genuine: bool,
    /// What `c=` must say: the header that came first, in base64.
    binding: String,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

/// A client that is who it says it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Proven {
    /// server-final.
    pub answer: String,
    /// What its proof has told.
    pub keys: LoginKeys,
}

impl AwaitClientFirst {
    /// `verifier` is `None` if the user is unknown or has none. `server_nonce` comes from [`super::nonce`].
    pub fn new(user: &str, verifier: Option<&Verifier>, mock: &MockKey, server_nonce: String) -> Self {
        AwaitClientFirst {
            genuine: verifier.is_some(),
            verifier: verifier.cloned().unwrap_or_else(|| mock.verifier(user)),
            server_nonce,
            offered: false,
            bound: None,
        }
    }

    #[must_use]
    pub fn bound(mut self, binding: Binding<'_>) -> Self {
        self.offered = binding != Binding::Unavailable;
        self.bound = match binding {
            Binding::Bound(data) => Some(data.to_vec()),
            Binding::Unavailable | Binding::Declined => None,
        };
        self
    }

    /// Takes client-first, returns server-first.
    pub fn on_client_first(self, message: &[u8]) -> Result<(AwaitClientFinal, String), ScramError> {
        let text = text(message)?;
        let (binding, rest) = self.binding(text)?;
        let rest = rest.strip_prefix(',').ok_or(ScramError::Malformed("Comma expected."))?;
        if rest.starts_with('a') {
            return Err(ScramError::AuthorizationIdentity);
        }
        let bare = rest.strip_prefix(',').ok_or(ScramError::Malformed("Unexpected attribute."))?;
        if bare.starts_with('m') {
            return Err(ScramError::Extension);
        }
        let mut attributes = bare;
        // The name in the start-up packet counts; this one is not looked at.
        attribute(&mut attributes, 'n').ok_or(ScramError::Malformed("User name expected."))?;
        let client_nonce = attribute(&mut attributes, 'r').ok_or(ScramError::Malformed("Nonce expected."))?;
        if client_nonce.is_empty() || !client_nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ScramError::Malformed("Non-printable characters in SCRAM nonce."));
        }
        let nonce = format!("{client_nonce}{}", self.server_nonce);
        let salt = STANDARD.encode(&self.verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", self.verifier.iterations);
        let next = AwaitClientFinal {
            verifier: self.verifier,
            genuine: self.genuine,
            binding,
            nonce,
            client_first_bare: bare.to_owned(),
            server_first: server_first.clone(),
        };
        Ok((next, server_first))
    }
}

impl AwaitClientFirst {
    /// What `c=` must say, and the text behind the flag.
    fn binding<'t>(&self, text: &'t str) -> Result<(String, &'t str), ScramError> {
        match (text.as_bytes().first(), &self.bound) {
            (Some(b'n'), None) => Ok(("biws".to_owned(), &text[1..])),
            // It can, and believes that we cannot: somebody between has taken the offer out.
            (Some(b'y'), None) if self.offered => Err(ScramError::Downgraded),
            (Some(b'y'), None) => Ok(("eSws".to_owned(), &text[1..])),
            (Some(b'p'), None) => Err(ScramError::Malformed(
                "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes \
                 channel binding data.",
            )),
            (Some(b'p'), Some(data)) => {
                let flag = BINDING_HEADER.trim_end_matches(',');
                let rest = text.strip_prefix(flag).filter(|rest| rest.starts_with(','));
                let rest = rest.ok_or(ScramError::Malformed("Unsupported SCRAM channel-binding type."))?;
                let expected = [BINDING_HEADER.as_bytes(), data].concat();
                Ok((STANDARD.encode(expected), rest))
            }
            (Some(b'n' | b'y'), Some(_)) => Err(ScramError::Malformed(
                "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding \
                 data.",
            )),
            _ => Err(ScramError::Malformed("Unexpected channel-binding flag.")),
        }
    }
}

impl AwaitClientFinal {
    /// Takes client-final, returns server-final and the client's keys: ClientKey is ClientProof XOR ClientSignature.
    pub fn on_client_final(self, message: &[u8]) -> Result<Proven, ScramError> {
        let text = text(message)?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(ScramError::Malformed("Proof expected."))?;
        let mut attributes = without_proof;
        let binding =
            attribute(&mut attributes, 'c').ok_or(ScramError::Malformed("Channel binding expected."))?;
        if !equal(binding.as_bytes(), self.binding.as_bytes()) {
            let bound = self.binding != "biws" && self.binding != "eSws";
            return Err(match bound {
                true => ScramError::BindingMismatch,
                false => ScramError::Malformed(
                    "Unexpected SCRAM channel-binding attribute in client-final-message.",
                ),
            });
        }
        let nonce = attribute(&mut attributes, 'r').ok_or(ScramError::Malformed("Nonce expected."))?;
        if !equal(nonce.as_bytes(), self.nonce.as_bytes()) {
            return Err(ScramError::NonceMismatch);
        }
        let proof =
            decode_key(proof).ok_or(ScramError::Malformed("Malformed proof in client-final-message."))?;
        let signed = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let client_key = self.proven(&signed, proof).ok_or(ScramError::WrongProof)?;
        let Verifier { iterations, salt, server_key, .. } = self.verifier;
        let answer = format!("v={}", STANDARD.encode(hmac(&server_key, signed.as_bytes())));
        Ok(Proven { answer, keys: LoginKeys { iterations, salt, client_key, server_key } })
    }

    /// The key with which the proof was made, if it is the right one.
    fn proven(&self, signed: &str, proof: Key) -> Option<Key> {
        let mut client_key = proof;
        xor(&mut client_key, &hmac(&self.verifier.stored_key, signed.as_bytes()));
        let same = equal(&stored_key(&client_key), &self.verifier.stored_key);
        (same & self.genuine).then_some(client_key)
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.is_empty() {
        return Err(ScramError::Malformed("The message is empty."));
    }
    if message.contains(&0) {
        return Err(ScramError::Malformed("Message length does not match input length."));
    }
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("The message is not UTF-8."))
}
