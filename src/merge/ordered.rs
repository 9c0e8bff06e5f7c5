//! A k-way merge of sorted streams of DataRow frames, by hidden columns at the end of each row.
//!
//! Every shard sends its rows sorted by the same keys, each key once more as a binary column behind the visible
//! ones. The merge keeps the streams' heads in a binary heap, pops the least, and writes it without the hidden
//! columns. The driver pushes what it reads and asks for the next row:
//!
//! ```text
//! push(0, frame) … finish(0)     Next::Row      a frame was written
//! push(1, frame) …               Next::Wait(1)  no decision without another row (or the end) of source 1
//!                                Next::Done     all rows given, or LIMIT reached
//! ```
//!
//! Invariants:
//! 1. Output is a stable merge: sorted by the keys, ties by source, each source's own order kept.
//! 2. Nothing is allocated per row: queues and key positions are reused.
//! 3. What is kept per source is the caller's to bound: it reads from a source only while [`RowMerge::wants`] it.
//!
//! Not here: whether a source's rows really are sorted. A server that disagrees about an order is caught by
//! [`MergeError::Malformed`] where a row comes before its predecessor.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::comparator::SortKey;
use super::error::MergeError;
use super::limiter::{Admit, Limiter};
use super::row::{Row, put_leading_columns};

/// Bytes kept for one source before the driver should stop reading it.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;

/// What [`RowMerge::poll_next`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// One frame was appended to the output.
    Row,
    /// Another row, or the end, of this source is needed first.
    Wait(usize),
    /// There is no further row; sources that have not ended may be told to stop.
    Done,
}

#[derive(Debug, Default)]
struct Source {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    ended: bool,
    /// The row that stands in the heap, with the end of its visible part and the places of its keys.
    head: Bytes,
    visible: usize,
    visible_end: usize,
    keys: Vec<Option<Range<usize>>>,
    /// The previous head's bytes and keys: an order that the server and we disagree about is found here.
    last: Bytes,
    last_keys: Vec<Option<Range<usize>>>,
}

/// The merge. See the head of this file.
#[derive(Debug)]
pub struct RowMerge {
    keys: Vec<SortKey>,
    sources: Vec<Source>,
    /// Sources with a head, least first.
    heap: Vec<usize>,
    /// Sources without a head that have not ended.
    missing: Vec<usize>,
    limiter: Limiter,
}

impl RowMerge {
    /// A merge of `sources` streams whose rows end with one hidden binary column per key, in the keys' order.
    pub fn new(keys: Vec<SortKey>, sources: usize, limiter: Limiter) -> Self {
        Self {
            keys,
            sources: (0..sources).map(|_| Source::default()).collect(),
            heap: Vec::with_capacity(sources),
            missing: (0..sources).rev().collect(),
            limiter,
        }
    }

    /// Hands over the next row of a source: a whole DataRow frame, hidden columns included.
    pub fn push(&mut self, source: usize, frame: Bytes) {
        if let Some(source) = self.sources.get_mut(source) {
            source.queued_bytes += frame.len();
            source.queue.push_back(frame);
        }
    }

    /// The source has no further row.
    pub fn finish(&mut self, source: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.ended = true;
        }
    }

    /// Whether the driver should go on reading this source.
    pub fn wants(&self, source: usize) -> bool {
        self.sources.get(source).is_some_and(|s| !s.ended && s.queued_bytes < SOURCE_BYTES_MAX)
    }

    /// Appends the next row in order to `out`, without its hidden columns.
    pub fn poll_next(&mut self, out: &mut BytesMut) -> Result<Next, MergeError> {
        if self.limiter.is_exhausted() {
            return Ok(Next::Done);
        }
        loop {
            while let Some(source) = self.missing.last().copied() {
                if !self.load_head(source)? {
                    return Ok(Next::Wait(source));
                }
                self.missing.pop();
            }
            let Some(least) = self.heap.first().copied() else {
                return Ok(Next::Done);
            };
            let admit = self.limiter.admit();
            if admit == Admit::Stop {
                return Ok(Next::Done);
            }
            let source = &mut self.sources[least];
            if admit == Admit::Pass {
                put_leading_columns(&source.head, source.visible, source.visible_end, out);
            }
            self.advance(least)?;
            if admit == Admit::Pass {
                return Ok(Next::Row);
            }
        }
    }

    /// Gives a source without a head its next row and its place in the heap. False: that row is not here yet.
    fn load_head(&mut self, index: usize) -> Result<bool, MergeError> {
        let source = &mut self.sources[index];
        if source.take_next(&self.keys)? {
            self.heap.push(index);
            self.sift_up(self.heap.len() - 1);
            return Ok(true);
        }
        Ok(source.ended)
    }

    /// Replaces the head that was just given out.
    fn advance(&mut self, index: usize) -> Result<(), MergeError> {
        if !self.sources[index].take_next(&self.keys)? {
            let last = self.heap.len() - 1;
            self.heap.swap(0, last);
            self.heap.pop();
            if !self.sources[index].ended {
                self.missing.push(index);
            }
        }
        self.sift_down();
        Ok(())
    }

    fn sift_up(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.before(self.heap[at], self.heap[parent]) {
                return;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    fn sift_down(&mut self) {
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut least = at;
            for child in [left, right] {
                if child < self.heap.len() && self.before(self.heap[child], self.heap[least]) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    /// Whether source `a`'s head comes before source `b`'s.
    fn before(&self, a: usize, b: usize) -> bool {
        let (x, y) = (&self.sources[a], &self.sources[b]);
        match compare_keys(&self.keys, (&x.head, &x.keys), (&y.head, &y.keys)) {
            Ordering::Less => true,
            Ordering::Equal => a < b,
            Ordering::Greater => false,
        }
    }
}

impl Source {
    /// Moves the next queued row to the head and finds its keys. False: none is queued.
    fn take_next(&mut self, keys: &[SortKey]) -> Result<bool, MergeError> {
        let Some(frame) = self.queue.pop_front() else {
            return Ok(false);
        };
        self.queued_bytes -= frame.len();
        self.last = std::mem::replace(&mut self.head, frame);
        std::mem::swap(&mut self.keys, &mut self.last_keys);
        self.find_keys(keys)?;
        let unsorted = !self.last.is_empty()
            && compare_keys(keys, (&self.last, &self.last_keys), (&self.head, &self.keys)).is_gt();
        if unsorted {
            return Err(MergeError::Malformed("a server sorts otherwise"));
        }
        Ok(true)
    }

    fn find_keys(&mut self, keys: &[SortKey]) -> Result<(), MergeError> {
        let row = Row::parse(&self.head)?;
        self.visible = row
            .columns()
            .checked_sub(keys.len())
            .ok_or(MergeError::Malformed("row without its sort columns"))?;
        let mut fields = row.fields();
        for _ in 0..self.visible {
            fields.next_field()?;
        }
        self.visible_end = fields.offset();
        self.keys.clear();
        for key in keys {
            let place = fields.next_field()?.ok_or(MergeError::Malformed("row without its sort columns"))?;
            if let Some(range) = &place {
                key.key_type.check(self.head.get(range.clone()).unwrap_or_default())?;
            }
            self.keys.push(place);
        }
        fields.finish()
    }
}

/// Orders two rows by their keys.
fn compare_keys(
    keys: &[SortKey],
    (a, keys_a): (&[u8], &[Option<Range<usize>>]),
    (b, keys_b): (&[u8], &[Option<Range<usize>>]),
) -> Ordering {
    for ((key, x), y) in keys.iter().zip(keys_a).zip(keys_b) {
        let ordering = key.compare(field(a, x), field(b, y));
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

fn field<'a>(row: &'a [u8], place: &Option<Range<usize>>) -> Option<&'a [u8]> {
    place.clone().and_then(|range| row.get(range))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::comparator::KeyType;
    use crate::merge::row::tests::frame;
    use proptest::prelude::*;

    const ASCENDING: SortKey = SortKey { key_type: KeyType::Int32, descending: false, nulls_first: false };

    fn row(label: &str, keys: &[Option<i32>]) -> Bytes {
        let keys: Vec<Option<[u8; 4]>> = keys.iter().map(|k| k.map(i32::to_be_bytes)).collect();
        let mut fields: Vec<Option<&[u8]>> = vec![Some(label.as_bytes()), None];
        fields.extend(keys.iter().map(|k| k.as_ref().map(|k| k.as_slice())));
        frame(&fields).freeze()
    }

    fn visible(label: &str) -> BytesMut {
        frame(&[Some(label.as_bytes()), None])
    }

    fn drain(merge: &mut RowMerge) -> BytesMut {
        let mut out = BytesMut::new();
        while merge.poll_next(&mut out).unwrap() == Next::Row {}
        out
    }

    #[test]
    fn rows_come_in_order_and_without_hidden_columns() {
        let mut merge = RowMerge::new(vec![ASCENDING], 2, Limiter::unlimited());
        merge.push(0, row("b", &[Some(2)]));
        let mut out = BytesMut::new();
        assert_eq!(merge.poll_next(&mut out), Ok(Next::Wait(1)));
        merge.push(1, row("a", &[Some(1)]));
        assert_eq!(merge.poll_next(&mut out), Ok(Next::Row));
        assert_eq!(out, visible("a"));
        assert_eq!(merge.poll_next(&mut out), Ok(Next::Wait(1)));
        merge.finish(1);
        assert_eq!(merge.poll_next(&mut out), Ok(Next::Row));
        merge.push(0, row("n", &[None]));
        merge.finish(0);
        assert_eq!(merge.poll_next(&mut out), Ok(Next::Row));
        assert_eq!(merge.poll_next(&mut out), Ok(Next::Done));
        let expected: BytesMut = [visible("a"), visible("b"), visible("n")].concat().as_slice().into();
        assert_eq!(out, expected);
    }

    #[test]
    fn limit_ends_the_merge_before_the_sources_end() {
        let mut merge = RowMerge::new(vec![ASCENDING], 2, Limiter::new(1, Some(1)));
        for (source, value) in [(0, 1), (1, 2), (0, 3), (1, 4)] {
            merge.push(source, row(&value.to_string(), &[Some(value)]));
        }
        assert_eq!(drain(&mut merge), visible("2"));
        assert_eq!(merge.poll_next(&mut BytesMut::new()), Ok(Next::Done));
    }

    #[test]
    fn a_source_that_is_not_sorted_is_an_error() {
        let mut merge = RowMerge::new(vec![ASCENDING], 1, Limiter::unlimited());
        merge.push(0, row("b", &[Some(2)]));
        merge.push(0, row("a", &[Some(1)]));
        assert!(merge.poll_next(&mut BytesMut::new()).is_err());
    }

    #[test]
    fn rows_without_their_keys_are_errors() {
        let mut merge = RowMerge::new(vec![ASCENDING; 3], 1, Limiter::unlimited());
        merge.push(0, row("b", &[]));
        assert!(merge.poll_next(&mut BytesMut::new()).is_err());
        let mut merge = RowMerge::new(vec![ASCENDING], 1, Limiter::unlimited());
        merge.push(0, frame(&[Some(b"abc")]).freeze());
        assert!(merge.poll_next(&mut BytesMut::new()).is_err());
    }

    #[test]
    fn reading_stops_when_enough_is_kept() {
        let mut merge = RowMerge::new(vec![ASCENDING], 1, Limiter::unlimited());
        assert!(merge.wants(0));
        let large = "x".repeat(SOURCE_BYTES_MAX);
        merge.push(0, row(&large, &[Some(1)]));
        assert!(!merge.wants(0));
        merge.poll_next(&mut BytesMut::new()).unwrap();
        assert!(merge.wants(0));
        merge.finish(0);
        assert!(!merge.wants(0));
    }

    proptest! {
        #[test]
        fn merge_equals_sort(
            rows in proptest::collection::vec((0usize..4, proptest::option::of(-3i32..3), -3i32..3), 0..60),
            descending: bool, nulls_first: bool, offset in 0u64..9, limit in proptest::option::of(0u64..40),
        ) {
            let keys = vec![
                SortKey { key_type: KeyType::Int32, descending, nulls_first },
                SortKey { key_type: KeyType::Int32, descending: !descending, nulls_first },
            ];
            let order = |a: &(usize, Option<i32>, i32), b: &(usize, Option<i32>, i32)| {
                let bytes = |x: Option<i32>| x.map(i32::to_be_bytes);
                let value = |key: &SortKey, x: Option<i32>, y: Option<i32>| {
                    key.compare(bytes(x).as_ref().map(|b| b.as_slice()), bytes(y).as_ref().map(|b| b.as_slice()))
                };
                value(&keys[0], a.1, b.1).then(value(&keys[1], Some(a.2), Some(b.2)))
            };
            let mut expected = rows.clone();
            expected.sort_by(|a, b| order(a, b).then(a.0.cmp(&b.0)));
            let mut merge = RowMerge::new(keys.clone(), 4, Limiter::new(offset, limit));
            let mut sorted = rows.clone();
            sorted.sort_by(order);
            for (source, first, second) in &sorted {
                merge.push(*source, row(&format!("{source} {first:?} {second}"), &[*first, Some(*second)]));
            }
            (0..4).for_each(|source| merge.finish(source));
            let out = drain(&mut merge);
            let expected: Vec<BytesMut> = expected.iter().skip(offset as usize)
                .take(limit.map_or(usize::MAX, |l| l as usize))
                .map(|(source, first, second)| visible(&format!("{source} {first:?} {second}"))).collect();
            prop_assert_eq!(out.to_vec(), expected.concat());
        }
    }
}
