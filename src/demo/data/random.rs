//! Numbers that look random and are the same on every run: SplitMix64, by Guy Steele and others.
//!
//! Every row has a stream of its own, begun from the seed, the table and the row's number. So any row can be made
//! without making those before it, which is how a ride knows its rider.
//!
//! Invariants:
//! 1. The same seed, table and row give the same numbers, on every machine and in every version of this file
//!    (a change of it is a new `data::VERSION`).

use uuid::Uuid;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of numbers for one row.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn for_row(seed: u64, table: u64, row: u64) -> Self {
        Self(mix(mix(seed ^ mix(table.wrapping_mul(GOLDEN))) ^ row.wrapping_mul(GOLDEN)))
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// From 0 up to, without, the bound; 0 when the bound is.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// From 0 up to, without, 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, mean 0, deviation 1, never beyond 3: a sum of uniforms, which needs no library's logarithm.
    pub fn bell(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.unit()).sum();
        (sum - 6.0).clamp(-3.0, 3.0)
    }

    /// One of the choices. There must be some.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// One of the choices, by weights.
    pub fn pick_weighted<T: Copy>(&mut self, choices: &[(T, u64)]) -> T {
        let total = choices.iter().map(|(_, weight)| weight).sum();
        let mut left = self.below(total);
        for (choice, weight) in choices {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *choice,
            }
        }
        choices[0].0
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> Uuid {
        let bytes = (u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_own_stream() {
        let take = |seed, table, row| Random::for_row(seed, table, row).next_u64();
        assert_eq!(take(1, 2, 3), take(1, 2, 3));
        let different = [take(1, 2, 3), take(2, 2, 3), take(1, 3, 3), take(1, 2, 4), take(1, 3, 2)];
        let distinct: std::collections::HashSet<_> = different.into_iter().collect();
        assert_eq!(distinct.len(), 5);
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut random = Random::for_row(0, 0, 0);
        for _ in 0..10_000 {
            assert!(random.below(7) < 7);
            assert!((2..=4).contains(&random.between(2, 4)));
            assert!((0.0..1.0).contains(&random.unit()));
            assert!(random.bell().abs() <= 3.0);
            assert_eq!(random.pick_weighted(&[('a', 0), ('b', 3)]), 'b');
        }
        assert_eq!(random.below(0), 0);
        assert_eq!(random.uuid().get_version_num(), 4);
    }
}
