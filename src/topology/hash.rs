//! PostgreSQL's own extended hash functions, bit for bit, with seed 0.
//!
//! Used by hash placements: because these are the servers' functions, SQL can tell a row's slot without Meridian:
//!
//! ```sql
//! SELECT hashint8extended(user_id, 0) & 4095 FROM …   -- the slot, for 4096 slots
//! ```
//!
//! Source: PostgreSQL's `src/common/hashfn.c` (Bob Jenkins' lookup3, the 64-bit variant) and
//! `src/backend/access/hash/hashfunc.c`; unchanged from version 11 to 18 on little-endian machines.
//!
//! Invariants:
//! 1. Equal values of smallint, integer and bigint hash alike.
//! 2. Agrees with the golden values below, which a PostgreSQL 15 computed.
//!
//! Not here: floats, numeric and nondeterministic collations, which cannot be keys.

use super::key::Key;

const INITIAL: u32 = 0x9e37_79b9;
const OFFSET: u32 = 3_923_095;

/// The key's hash as `hash…extended(key, 0)` gives it, as an unsigned number.
pub fn hash_key(key: &Key) -> u64 {
    match key {
        Key::Integer(value) => hash_integer(*value),
        Key::Text(text) => hash_bytes(text.as_bytes()),
        Key::Uuid(bytes) => hash_bytes(bytes),
        Key::Bool(value) => hash_u32(u32::from(*value)),
        Key::Date(days) => hash_u32(days.cast_unsigned()),
    }
}

/// `hashint8extended`, which folds so that the smaller types agree with it.
fn hash_integer(value: i64) -> u64 {
    let low = value as u32;
    let high = (value >> 32) as u32;
    hash_u32(low ^ if value >= 0 { high } else { !high })
}

/// `hash_bytes_uint32_extended` with seed 0.
fn hash_u32(value: u32) -> u64 {
    let start = INITIAL.wrapping_add(4).wrapping_add(OFFSET);
    let mut state = State { a: start.wrapping_add(value), b: start, c: start };
    state.finish()
}

/// `hash_bytes_extended` with seed 0.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    // PostgreSQL's length is an int; a value of 1 GB is its limit.
    let start = INITIAL.wrapping_add(bytes.len() as u32).wrapping_add(OFFSET);
    let mut state = State { a: start, b: start, c: start };
    let mut chunks = bytes.chunks_exact(12);
    for chunk in &mut chunks {
        state.a = state.a.wrapping_add(word(&chunk[0..4]));
        state.b = state.b.wrapping_add(word(&chunk[4..8]));
        state.c = state.c.wrapping_add(word(&chunk[8..12]));
        state.mix();
    }
    let rest = chunks.remainder();
    let part = |from: usize| word(rest.get(from..rest.len().min(from + 4)).unwrap_or_default());
    state.a = state.a.wrapping_add(part(0));
    state.b = state.b.wrapping_add(part(4));
    // The lowest byte of c is reserved for the length.
    state.c = state.c.wrapping_add(part(8) << 8);
    state.finish()
}

/// Up to four bytes, the first is the lowest.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn mix(&mut self) {
        let Self { a, b, c } = self;
        mix_step(a, c, 4);
        *c = c.wrapping_add(*b);
        mix_step(b, a, 6);
        *a = a.wrapping_add(*c);
        mix_step(c, b, 8);
        *b = b.wrapping_add(*a);
        mix_step(a, c, 16);
        *c = c.wrapping_add(*b);
        mix_step(b, a, 19);
        *a = a.wrapping_add(*c);
        mix_step(c, b, 4);
        *b = b.wrapping_add(*a);
    }

    fn finish(&mut self) -> u64 {
        let Self { a, b, c } = self;
        final_step(c, b, 14);
        final_step(a, c, 11);
        final_step(b, a, 25);
        final_step(c, b, 16);
        final_step(a, c, 4);
        final_step(b, a, 14);
        final_step(c, b, 24);
        u64::from(*b) << 32 | u64::from(*c)
    }
}

fn mix_step(target: &mut u32, source: &u32, rotation: u32) {
    *target = target.wrapping_sub(*source) ^ source.rotate_left(rotation);
}

fn final_step(target: &mut u32, source: &u32, rotation: u32) {
    *target = (*target ^ *source).wrapping_sub(source.rotate_left(rotation));
}

#[cfg(test)]
mod tests {
    use super::super::key::KeyType;
    use super::*;

    /// Lines of type, value and hash, tab-separated, as PostgreSQL 15 computed them:
    /// `SELECT 'int8', v, hashint8extended(v, 0)` and the like.
    const GOLDEN: &str = include_str!("golden_hashes.tsv");

    #[test]
    fn hashes_agree_with_postgresql() {
        for line in GOLDEN.lines() {
            let [name, value, hash] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let key_type = match name {
                "int2" => KeyType::SmallInt,
                "int4" => KeyType::Integer,
                "int8" => KeyType::BigInt,
                "text" => KeyType::Text,
                "bpchar" => KeyType::Char,
                "uuid" => KeyType::Uuid,
                "bool" => KeyType::Bool,
                "date" => KeyType::Date,
                _ => panic!("{line}"),
            };
            let key = key_type.decode_text(value.as_bytes()).unwrap();
            assert_eq!(hash_key(&key).cast_signed(), hash.parse::<i64>().unwrap(), "{line}");
        }
    }
}
