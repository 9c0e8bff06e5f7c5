//! A counter and a histogram with one writer each.
//!
//! The writer is a worker's thread; readers are the control thread and the console. An addition is a relaxed load and a
//! relaxed store, which is only right because nobody else writes.
//!
//! Invariants:
//! 1. A reader sees a value that the counter once had, at most one statement old on the same machine.
//! 2. Counters of two workers are never on one cache line: arrays begin on a line of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds: 100 µs to 60 s, in steps of about 2.5.
pub const BUCKETS: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Written by one thread.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    pub fn one(&self) {
        self.add(1);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

const LINE: usize = 16;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Line([Count; LINE]);

/// Many counters by index; one beyond the end counts nothing.
#[derive(Debug)]
pub struct Counts(Box<[Line]>);

impl Counts {
    pub fn new(length: usize) -> Self {
        Self((0..length.div_ceil(LINE)).map(|_| Line::default()).collect())
    }

    fn at(&self, index: usize) -> Option<&Count> {
        self.0.get(index / LINE)?.0.get(index % LINE)
    }

    pub fn add(&self, index: usize, count: u64) {
        if let Some(counter) = self.at(index) {
            counter.add(count);
        }
    }

    pub fn get(&self, index: usize) -> u64 {
        self.at(index).map_or(0, Count::get)
    }
}

/// Times in [`BUCKETS`], and beyond them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Histogram {
    buckets: [Count; BUCKETS.len() + 1],
    micros: Count,
}

impl Histogram {
    /// `count` things that took `time` each.
    pub fn record(&self, time: Duration, count: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].add(count);
        self.micros.add(micros.saturating_mul(count));
    }
}

/// Histograms of several workers together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct HistogramSum {
    pub buckets: [u64; BUCKETS.len() + 1],
    pub micros: u64,
}

impl HistogramSum {
    pub fn of<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        let mut sum = Self::default();
        for histogram in histograms {
            for (total, count) in sum.buckets.iter_mut().zip(&histogram.buckets) {
                *total += count.get();
            }
            sum.micros += histogram.micros.get();
        }
        sum
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_is_not_below_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 60_000_000, 60_000_001] {
            histogram.record(Duration::from_micros(micros), 1);
        }
        let sum = HistogramSum::of([&histogram].into_iter());
        assert_eq!((sum.buckets[0], sum.buckets[1], sum.buckets[17], sum.buckets[18]), (2, 1, 1, 1));
        assert_eq!((sum.count(), sum.micros), (5, 120_000_202));
    }

    #[test]
    fn an_array_counts_within_its_length_only() {
        let counts = Counts::new(3);
        counts.add(2, 7);
        counts.add(1000, 1);
        assert_eq!((counts.get(2), counts.get(1000)), (7, 0));
    }

    #[test]
    fn arrays_begin_on_lines_of_their_own() {
        assert_eq!(align_of::<Line>(), 128);
        assert_eq!(size_of::<Line>(), 128);
    }
}
