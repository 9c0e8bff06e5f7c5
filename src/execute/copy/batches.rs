//! The rows of a COPY FROM STDIN as they wait to be sent: one batch for each shard that has any.
//!
//! Fed by `copy_in` with the client's data; joins [`super::splitter`], [`super::fields`] and [`super::place`].
//! Pure: it is where the whole way of a row can be tested without a server.
//!
//! Invariants:
//! 1. The header line stands before the first row of every shard that gets rows.
//! 2. A batch is whole rows, in the client's order, as the body of one CopyData message.

use bytes::{BufMut, BytesMut};

use super::place::{self, Home, Placer};
use super::rows::{RowError, RowFormat, Syntax};
use super::splitter::{Row, Splitter};
use super::tuples::TupleSplitter;
use crate::topology::{ShardId, TableRule, Topology};
use crate::wire::error::SqlError;
use crate::wire::frame::HEADER_BYTES;

/// A batch of this size is sent: large enough that a system call carries much, small enough to be held for each shard.
pub(super) const BATCH_BYTES: usize = 64 * 1024;

/// Rows for one shard.
#[derive(Debug)]
pub struct Batch {
    pub shard: ShardId,
    /// Over all batches of the shard.
    pub rows: u64,
    /// A CopyData message whose length is not written yet; empty if nothing waits.
    frame: BytesMut,
}

impl Batch {
    fn new(shard: ShardId) -> Self {
        Self { shard, rows: 0, frame: BytesMut::new() }
    }

    pub fn is_full(&self) -> bool {
        self.frame.len() >= BATCH_BYTES
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.frame.is_empty() {
            self.frame.reserve(BATCH_BYTES + BATCH_BYTES / 4);
            self.frame.put_bytes(0, HEADER_BYTES);
        }
        self.frame.extend_from_slice(bytes);
    }

    /// Moves what waits behind `out`, as one CopyData message; without a copy where `out` is empty.
    pub fn send(&mut self, out: &mut BytesMut) {
        if self.frame.is_empty() {
            return;
        }
        let length = u32::try_from(self.frame.len() - 1).unwrap_or(u32::MAX);
        if let Some(header) = self.frame.first_chunk_mut::<HEADER_BYTES>() {
            let [a, b, c, d] = length.to_be_bytes();
            *header = [b'd', a, b, c, d];
        }
        if out.is_empty() {
            *out = std::mem::take(&mut self.frame);
        } else {
            out.extend_from_slice(&self.frame);
            self.frame.clear();
        }
    }

    pub fn discard(&mut self) {
        self.frame = BytesMut::new();
    }
}

/// Splits, places and batches.
#[derive(Debug)]
pub struct Batches<'a> {
    topology: &'a Topology,
    format: RowFormat,
    splitter: AnySplitter,
    sorter: Sorter<'a>,
}

/// Of lines or of binary rows.
#[derive(Debug)]
enum AnySplitter {
    Lines(Splitter),
    Tuples(TupleSplitter),
}

impl AnySplitter {
    fn next_row<'a, 'p: 'a>(&'a mut self, piece: &mut &'p [u8]) -> Result<Option<Row<'a>>, RowError> {
        match self {
            Self::Lines(splitter) => splitter.next_row(piece),
            Self::Tuples(splitter) => splitter.next_row(piece),
        }
    }

    fn finish(&mut self) -> Result<Option<Row<'_>>, RowError> {
        match self {
            Self::Lines(splitter) => splitter.finish(),
            Self::Tuples(splitter) => splitter.finish(),
        }
    }

    fn line(&self) -> u64 {
        match self {
            Self::Lines(splitter) => splitter.line(),
            Self::Tuples(splitter) => splitter.line(),
        }
    }
}

#[derive(Debug)]
struct Sorter<'a> {
    rule: &'a TableRule,
    placer: Placer<'a>,
    header: Vec<u8>,
    /// In the order in which shards got their first rows.
    batches: Vec<Batch>,
    /// Shard to index in `batches`.
    index: Vec<Option<usize>>,
    /// The last row of the first batch is one that no server can take.
    lacking: bool,
}

impl<'a> Batches<'a> {
    pub fn new(
        topology: &'a Topology,
        rule: &'a TableRule,
        placer: Placer<'a>,
        format: RowFormat,
        row_bytes_max: usize,
    ) -> Self {
        let splitter = match format.syntax {
            Syntax::Binary => AnySplitter::Tuples(TupleSplitter::new(row_bytes_max)),
            Syntax::Text | Syntax::Csv { .. } => {
                AnySplitter::Lines(Splitter::new(format.clone(), row_bytes_max))
            }
        };
        let index = vec![None; topology.shards.len()];
        let sorter = Sorter { rule, placer, header: Vec::new(), batches: Vec::new(), index, lacking: false };
        Self { topology, format, splitter, sorter }
    }

    /// Takes a piece of the client's data, cut anywhere.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<(), SqlError> {
        let Self { topology, format, splitter, sorter } = self;
        loop {
            match splitter.next_row(&mut piece) {
                Ok(Some(row)) => sorter.take(topology, format, &row)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(sorter.wrong(error, splitter.line())),
            }
        }
    }

    /// Takes the last row, if it has no newline.
    pub fn finish(&mut self) -> Result<(), SqlError> {
        let Self { topology, format, splitter, sorter } = self;
        match splitter.finish() {
            Ok(Some(row)) => sorter.take(topology, format, &row),
            Ok(None) => Ok(()),
            Err(error) => Err(sorter.wrong(error, splitter.line())),
        }
    }

    /// The batch of a shard, which is made if there is none yet.
    pub fn open(&mut self, shard: ShardId) -> usize {
        self.sorter.open(shard)
    }

    /// Whether the copy has failed for a row that lacks columns; it stands at the end of the first batch, so that a server
    /// can say what is wrong with it first.
    pub fn lacks_columns(&self) -> bool {
        self.sorter.lacking
    }

    pub fn all(&mut self) -> &mut [Batch] {
        &mut self.sorter.batches
    }
}

impl Sorter<'_> {
    fn open(&mut self, shard: ShardId) -> usize {
        if let Some(Some(index)) = self.index.get(usize::from(shard.0)) {
            return *index;
        }
        let mut batch = Batch::new(shard);
        if !self.header.is_empty() {
            batch.push(&self.header);
        }
        self.batches.push(batch);
        let index = self.batches.len() - 1;
        if let Some(slot) = self.index.get_mut(usize::from(shard.0)) {
            *slot = Some(index);
        }
        index
    }

    fn push(&mut self, shard: ShardId, row: &Row<'_>) {
        let index = self.open(shard);
        if let Some(batch) = self.batches.get_mut(index) {
            batch.push(row.raw);
            batch.rows += 1;
        }
    }

    fn take(&mut self, topology: &Topology, format: &RowFormat, row: &Row<'_>) -> Result<(), SqlError> {
        if row.is_header {
            self.header = row.raw.to_vec();
            for batch in &mut self.batches {
                batch.push(row.raw);
            }
            return Ok(());
        }
        match self.placer.place(topology, format, row)? {
            Home::One(shard) => self.push(shard, row),
            Home::Every => topology.all_shards().iter().for_each(|shard| self.push(shard, row)),
            Home::Lacking(error) => {
                if let Some(first) = self.batches.first_mut() {
                    first.push(row.raw);
                    self.lacking = true;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn wrong(&self, error: RowError, line: u64) -> SqlError {
        place::in_line(error.into_sql(), self.rule, line)
    }
}
