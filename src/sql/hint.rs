//! The routing hint in a statement's leading comment: `/* meridian: shard=eu-central role=primary */`.
//!
//! `shape` reads it from the first comment, and only where that comment stands before any token. `plan` honours it.
//!
//! Invariants:
//! 1. A comment that does not begin with `meridian:` is no hint, wherever it stands.
//! 2. A comment that does is understood completely or is an error: a misspelt hint must not route elsewhere.
//!
//! Not here: whether the shard exists (topology), or whether hint and predicate agree (plan).

use thiserror::Error;

use super::lexer::TokenKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintRole {
    Primary,
    Replica,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hint {
    pub shard: Option<String>,
    pub role: Option<HintRole>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HintError {
    #[error("unrecognized key \"{0}\" in routing hint")]
    UnknownKey(String),
    #[error("invalid value \"{value}\" for \"{key}\" in routing hint")]
    InvalidValue { key: String, value: String },
    #[error("routing hint names \"{0}\" more than once")]
    Repeated(String),
    #[error("routing hint is not valid UTF-8")]
    NotUtf8,
}

impl Hint {
    /// The hint in a comment token, where it is one.
    pub(super) fn read(kind: TokenKind, comment: &[u8]) -> Result<Option<Self>, HintError> {
        if kind != TokenKind::BlockComment {
            return Ok(None);
        }
        let inner = comment.get(2..comment.len().saturating_sub(2)).unwrap_or(&[]).trim_ascii();
        let Some(body) = inner.strip_prefix(b"meridian:") else { return Ok(None) };
        let body = std::str::from_utf8(body).map_err(|_| HintError::NotUtf8)?;
        let mut hint = Self::default();
        for item in body.split_ascii_whitespace() {
            hint.add(item)?;
        }
        Ok(Some(hint))
    }

    fn add(&mut self, item: &str) -> Result<(), HintError> {
        let (key, value) = item.split_once('=').unwrap_or((item, ""));
        let invalid = || HintError::InvalidValue { key: key.to_owned(), value: value.to_owned() };
        let repeated = match key {
            "shard" if value.is_empty() => return Err(invalid()),
            "shard" => self.shard.replace(value.to_owned()).is_some(),
            "role" => {
                let role = match value {
                    "primary" => HintRole::Primary,
                    "replica" => HintRole::Replica,
                    _ => return Err(invalid()),
                };
                self.role.replace(role).is_some()
            }
            _ => return Err(HintError::UnknownKey(key.to_owned())),
        };
        if repeated { Err(HintError::Repeated(key.to_owned())) } else { Ok(()) }
    }
}
