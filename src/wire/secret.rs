//! A secret: bytes that are never printed, and comparisons that take the same time whatever they find.
//!
//! Called wherever passwords are held: configuration, [`super::credential`], [`super::scram`], [`super::login`].
//! Pure.
//!
//! Invariants:
//! 1. `Debug` shows no content and there is no `Display`; the bytes are reached by [`Secret::expose`] alone, so that
//!    a search for that name finds every use.
//! 2. [`equal`] looks at every byte of its inputs when their lengths agree.
//!
//! Not here: the wiping of memory after use; the proxy's process is trusted with the passwords it holds.

use std::fmt;
use std::hint::black_box;

/// A password or a key.
#[derive(Clone, Default)]
pub struct Secret(Box<[u8]>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Secret(bytes.into().into_boxed_slice())
    }

    /// The bytes themselves. They must not reach a log, an error or a metric.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Compares in a time that depends on the lengths alone.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let difference = left.iter().zip(right).fold(0_u8, |sum, (left, right)| black_box(sum | (left ^ right)));
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Secret::from("hunter2"))), "Some(Secret(…))");
    }

    #[test]
    fn equality_is_that_of_bytes() {
        assert!(equal(b"", b""));
        assert!(equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd"));
        assert!(!equal(b"abc", b"ab"));
    }
}
