//! The name under which a transaction over several shards is prepared, and the proof that goes with it. Pure.
//!
//! ```text
//!   meridian:us-east:4d1c09aa5e77f210:9f86d081884c7d65…(64 digits)
//!            │       │                └ SHA-256 of the proof, which only the coordinator knows
//!            │       └ the Meridian that coordinates it
//!            └ the shard where the decision is recorded
//! ```
//!
//! Names of prepared transactions can be read by every role (`pg_prepared_xacts`). If knowing one were enough to record
//! a decision, any role could decide another's transaction: so `meridian_internal.decide` asks for the proof too.
//!
//! Invariants:
//! 1. A gid is plain ASCII without quotes and backslashes: it means the same in any client encoding and any string syntax.
//! 2. It is shorter than PostgreSQL's bound of 200 bytes.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What every name of ours begins with; `recovery` looks at no other.
pub const PREFIX: &str = "meridian:";

/// Bytes of the shard's name as written in a gid.
const SHARD_BYTES_MAX: usize = 96;
const INSTANCE_DIGITS: usize = 16;
const DIGEST_DIGITS: usize = 64;

/// A name for `PREPARE TRANSACTION`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gid(Box<str>);

/// What proves to be the coordinator: 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof(String);

impl Proof {
    pub fn new(random: u128) -> Self {
        Self(format!("{random:032x}"))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(…)")
    }
}

impl Gid {
    /// None if the shard's name is too long to be part of it.
    pub fn new(recorder: &str, instance: u64, proof: &Proof) -> Option<Self> {
        let shard = encode_shard(recorder);
        if shard.is_empty() || shard.len() > SHARD_BYTES_MAX {
            return None;
        }
        let mut text = format!("{PREFIX}{shard}:{instance:016x}:");
        for byte in Sha256::digest(proof.expose().as_bytes()) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Some(Self(text.into()))
    }

    /// Reads a name from a server; None if it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let gid = Self(text.into());
        let (shard, instance, digest) = gid.parts()?;
        let hexadecimal = |digits: &str| digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let fits = !shard.is_empty()
            && shard.len() <= SHARD_BYTES_MAX
            && encode_shard(shard).len() == shard.len() + 2 * shard.matches('%').count()
            && instance.len() == INSTANCE_DIGITS
            && digest.len() == DIGEST_DIGITS
            && hexadecimal(instance)
            && hexadecimal(digest);
        fits.then_some(gid)
    }

    fn parts(&self) -> Option<(&str, &str, &str)> {
        let mut parts = self.0.strip_prefix(PREFIX)?.split(':');
        let three = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(three)
    }

    /// Whether the decision about it is recorded on the shard of this name.
    pub fn is_recorded_on(&self, shard: &str) -> bool {
        self.parts().is_some_and(|(name, _, _)| name == encode_shard(shard))
    }

    /// The Meridian that coordinates it.
    pub fn instance(&self) -> Option<u64> {
        u64::from_str_radix(self.parts()?.1, 16).ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Letters, digits, `_`, `-` and `.` as they are; every other byte as `%` and two digits.
fn encode_shard(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => text.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{byte:02x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gid_names_its_recorder_and_its_coordinator() {
        let gid = Gid::new("us-east", 7, &Proof::new(1)).unwrap();
        assert_eq!(Gid::parse(gid.as_str()), Some(gid.clone()));
        assert!(gid.is_recorded_on("us-east"));
        assert!(!gid.is_recorded_on("us-eas"));
        assert_eq!(gid.instance(), Some(7));
    }

    #[test]
    fn any_name_of_a_shard_gives_plain_ascii() {
        for name in ["a:b", "região", "it's", "back\\slash", "%41"] {
            let gid = Gid::new(name, u64::MAX, &Proof::new(u128::MAX)).unwrap();
            assert!(gid.as_str().is_ascii() && !gid.as_str().contains(['\'', '\\', '"']));
            assert!(gid.as_str().len() < 200);
            assert_eq!(Gid::parse(gid.as_str()), Some(gid.clone()));
            assert!(gid.is_recorded_on(name));
        }
        assert_eq!(Gid::new(&"x".repeat(97), 1, &Proof::new(1)), None);
        assert!(Gid::new(&"x".repeat(96), 1, &Proof::new(1)).unwrap().as_str().len() < 200);
    }

    #[test]
    fn names_of_others_are_not_ours() {
        let digest = "0".repeat(64);
        for text in [
            "",
            "meridian:",
            "meridian:a:b:c",
            &format!("other:us:{}:{digest}", "0".repeat(16)),
            &format!("meridian:u's:{}:{digest}", "0".repeat(16)),
            &format!("meridian:us:{}:{digest}:x", "0".repeat(16)),
            &format!("meridian:us:{}:{digest}", "0".repeat(15)),
            &format!("meridian:us:{}:{digest}", "G".repeat(16)),
        ] {
            assert_eq!(Gid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_proof_is_not_printed() {
        assert_eq!(format!("{:?}", Proof::new(1)), "Proof(…)");
    }
}
