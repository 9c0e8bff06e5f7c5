//! The targets: what bytes of a stranger may not do, one file for each reader of such bytes.
//!
//! Called by two drivers: `fuzz/` (libFuzzer, for hours) and `tests/fuzz/main.rs` (the corpus and seeded mutations of it,
//! in every run of the tests). A target takes any bytes, and panics if a promise of the code under it is broken.
//!
//! Invariants:
//! 1. A target is a function of its bytes alone: no clock, no randomness, no state that one run leaves to the next.
//! 2. A target asserts more than the absence of panics; its header numbers the properties.
//!
//! Not here: sockets. What a stranger does to a running Meridian is `tests/it/faults/hostile.rs`.

pub mod configuration;
pub mod copy;
pub mod frames;
pub mod geo;
pub mod grammar;
pub mod lexer;
pub mod literals;
pub mod plan;
pub mod rows;
pub mod scram;
pub mod startup;

/// Bytes in, a panic out if something is wrong.
pub type Run = fn(&[u8]);

/// Every target under the name of its file, of its folder in `fuzz/corpus/` and of its program in `fuzz/`.
pub const TARGETS: [(&str, Run); 10] = [
    ("configuration", configuration::run),
    ("copy", copy::run),
    ("frames", frames::run),
    ("geo", geo::run),
    ("grammar", grammar::run),
    ("lexer", lexer::run),
    ("plan", plan::run),
    ("rows", rows::run),
    ("scram", scram::run),
    ("startup", startup::run),
];

/// Takes small decisions off the front of the bytes; zeros when they are used up.
#[derive(Debug, Clone, Copy)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// One of `count`, which is at most 256 and not zero.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    pub fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// The same bytes in pieces: whole, byte by byte, and in pieces of `size`.
pub fn cuts(bytes: &[u8], size: usize) -> [Vec<&[u8]>; 3] {
    [vec![bytes], bytes.chunks(1).collect(), bytes.chunks(size.max(1)).collect()]
}
