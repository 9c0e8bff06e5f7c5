//! Mutations of a corpus by a seed: the same seed, the same inputs.
//!
//! What libFuzzer does with coverage is done here blindly and briefly: bytes are flipped, cut out, doubled and taken
//! from another input, and words are put in that parsers stumble over.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// An input does not grow beyond this.
const INPUT_BYTES_MAX: usize = 4_096;
/// Changes of one input.
const CHANGES_MAX: u32 = 6;

/// Lengths at their borders, quotes, comments and newlines: what decides where something ends.
const WORDS: [&[u8]; 40] = [
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\0\x04",
    b"\0\0\0\x05",
    b"\0\0",
    b"\xff\xff",
    b"'",
    b"\"",
    b"''",
    b"\\",
    b"E'",
    b"U&'",
    b"$$",
    b"$q$",
    b"--",
    b"/*",
    b"*/",
    b"\n",
    b"\r",
    b"\r\n",
    b"\\.",
    b";",
    b"(",
    b")",
    b"[",
    b",",
    b".",
    b"::",
    b"$1",
    b" OR ",
    b" AND ",
    b" UNION ",
    b"1e",
    b"-1",
    b"=",
    b"{",
    b"}",
    b"\xc3",
];

pub struct Mutator {
    random: SmallRng,
}

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self { random: SmallRng::seed_from_u64(seed) }
    }

    /// One of the corpus, changed.
    pub fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus.choose(&mut self.random).unwrap().clone();
        for _ in 0..self.random.random_range(1..=CHANGES_MAX) {
            self.change(&mut input, corpus);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.random.random_range(0..=input.len());
        let length = self.random.random_range(0..=(input.len() - at).min(40));
        match self.random.random_range(0..7) {
            0 => input.insert(at, self.random.random()),
            1 if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8),
            2 if at < input.len() => input[at] = self.random.random(),
            3 => drop(input.drain(at..at + length)),
            4 => {
                let doubled = input[at..at + length].to_vec();
                input.splice(at..at, doubled);
            }
            5 => {
                let other = corpus.choose(&mut self.random).unwrap();
                let from = self.random.random_range(0..=other.len());
                let to = self.random.random_range(from..=other.len().min(from + 200));
                input.splice(at..at + length, other[from..to].iter().copied());
            }
            _ => {
                let word = *WORDS.choose(&mut self.random).unwrap();
                input.splice(at..at, word.iter().copied());
            }
        }
    }
}
