//! Where rows end in COPY data of the binary format, which arrives in pieces cut anywhere.
//!
//! Called by [`super::batches`] with each piece, beside [`super::splitter`] for lines; pure. It follows
//! `ReceiveCopyBinaryHeader` and `NextCopyFrom` of PostgreSQL's `commands/copyfromparse.c`.
//!
//! ```text
//!   PGCOPY\n\377\r\n\0 │ flags │ length, extension │ 3 │ 4 … │ -1 │ 9 … │   │ -1
//!   header                                           a row of three fields   the end, which servers do not need
//! ```
//!
//! Invariants:
//! 1. The header and the rows, put together, are the data up to the end marker, whatever the cuts.
//! 2. A row that lies in one piece is not copied.
//! 3. `carry` holds at most one row, and at most `row_bytes_max`.

use super::rows::RowError;
use super::splitter::Row;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, and the length of the extension.
const HEADER_BYTES: usize = 19;
/// A row that was put together leaves a buffer of at most this.
const CARRY_KEEP_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub struct TupleSplitter {
    row_bytes_max: usize,
    awaits: Awaits,
    /// The beginning of a row whose end has not come yet.
    carry: Vec<u8>,
    /// What `carry` holds has been handed out.
    carry_taken: bool,
    /// Rows so far.
    line: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Header,
    Rows,
    /// The marker has come.
    Nothing,
}

/// How much of the data belongs together, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    AtLeast(usize),
    Exactly(usize),
    /// The end marker.
    Marker,
}

impl TupleSplitter {
    pub fn new(row_bytes_max: usize) -> Self {
        Self { row_bytes_max, awaits: Awaits::Header, carry: Vec::new(), carry_taken: false, line: 0 }
    }

    /// The row that was handed out last, or that was wrong.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next whole row, the header as the first. None: `piece` is used up.
    pub fn next_row<'a, 'p: 'a>(&'a mut self, piece: &mut &'p [u8]) -> Result<Option<Row<'a>>, RowError> {
        if std::mem::take(&mut self.carry_taken) {
            self.carry.clear();
            self.carry.shrink_to(CARRY_KEEP_BYTES);
        }
        if self.carry.is_empty() {
            let bytes = *piece;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Extent::Exactly(end) = self.extent(bytes)? {
                let (row, rest) = bytes.split_at(end);
                *piece = rest;
                return Ok(Some(self.hand_out(row)));
            }
        }
        loop {
            match self.extent(&self.carry)? {
                Extent::Exactly(_) => return Ok(Some(self.hand_out_carry())),
                Extent::Marker => {
                    self.awaits = Awaits::Nothing;
                    self.carry.clear();
                    return match piece.is_empty() {
                        true => Ok(None),
                        false => Err(RowError::AfterMarker),
                    };
                }
                Extent::AtLeast(end) => {
                    if end > self.row_bytes_max {
                        return Err(self.wrong(RowError::TooLarge(self.row_bytes_max)));
                    }
                    if piece.is_empty() {
                        return Ok(None);
                    }
                    let (taken, rest) = piece.split_at(piece.len().min(end - self.carry.len()));
                    self.carry.extend_from_slice(taken);
                    *piece = rest;
                }
            }
        }
    }

    /// Call once, when the client says that it is done.
    pub fn finish(&mut self) -> Result<Option<Row<'_>>, RowError> {
        match self.carry.is_empty() || self.carry_taken {
            true => Ok(None),
            false => Err(self.cut_off()),
        }
    }

    fn extent(&self, bytes: &[u8]) -> Result<Extent, RowError> {
        match self.awaits {
            Awaits::Header => header(bytes),
            Awaits::Rows => tuple(bytes),
            Awaits::Nothing if bytes.is_empty() => Ok(Extent::AtLeast(1)),
            Awaits::Nothing => Err(RowError::AfterMarker),
        }
    }

    fn cut_off(&mut self) -> RowError {
        match (self.awaits, self.carry.len()) {
            (Awaits::Header, 0..11) => RowError::Signature,
            (Awaits::Header, 11..15) => RowError::Header("missing flags"),
            (Awaits::Header, 15..19) => RowError::Header("missing length"),
            (Awaits::Header, _) => RowError::Header("wrong length"),
            (Awaits::Rows | Awaits::Nothing, _) => self.wrong(RowError::UnexpectedEnd),
        }
    }

    fn wrong(&mut self, error: RowError) -> RowError {
        self.line += 1;
        error
    }

    /// Counts what is about to be handed out; whether it is the header.
    fn count(&mut self) -> bool {
        let is_header = self.awaits == Awaits::Header;
        self.awaits = Awaits::Rows;
        self.line += u64::from(!is_header);
        is_header
    }

    fn hand_out<'a>(&mut self, raw: &'a [u8]) -> Row<'a> {
        let is_header = self.count();
        Row { raw, content: raw, line: self.line, is_header }
    }

    fn hand_out_carry(&mut self) -> Row<'_> {
        let is_header = self.count();
        self.carry_taken = true;
        Row { raw: &self.carry, content: &self.carry, line: self.line, is_header }
    }
}

fn header(bytes: &[u8]) -> Result<Extent, RowError> {
    let signed = bytes.len().min(SIGNATURE.len());
    if bytes[..signed] != SIGNATURE[..signed] {
        return Err(RowError::Signature);
    }
    let Some(length) = integer(bytes, HEADER_BYTES - 4) else { return Ok(Extent::AtLeast(HEADER_BYTES)) };
    let extension = usize::try_from(length).map_err(|_| RowError::Header("missing length"))?;
    Ok(whole(bytes, HEADER_BYTES + extension))
}

fn tuple(bytes: &[u8]) -> Result<Extent, RowError> {
    let Some([a, b]) = bytes.first_chunk() else { return Ok(Extent::AtLeast(2)) };
    let count = i16::from_be_bytes([*a, *b]);
    if count == -1 {
        return Ok(Extent::Marker);
    }
    let mut end = 2;
    for _ in 0..count {
        let Some(length) = integer(bytes, end) else { return Ok(Extent::AtLeast(end + 4)) };
        end += 4 + field_bytes(length)?;
    }
    Ok(whole(bytes, end))
}

fn whole(bytes: &[u8], end: usize) -> Extent {
    if bytes.len() >= end { Extent::Exactly(end) } else { Extent::AtLeast(end) }
}

/// -1 is NULL.
fn field_bytes(length: i32) -> Result<usize, RowError> {
    if length == -1 { Ok(0) } else { usize::try_from(length).map_err(|_| RowError::FieldSize) }
}

fn integer(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

/// The fields of a whole row, and their number; None: NULL.
pub(super) fn fields(row: &[u8]) -> (usize, impl Iterator<Item = Option<std::ops::Range<usize>>> + '_) {
    let count = row.first_chunk().map_or(0, |bytes| i16::from_be_bytes(*bytes).max(0)) as usize;
    let mut at = 2;
    let next = move |_| {
        let length = integer(row, at).unwrap_or(-1);
        let start = at + 4;
        at = start + usize::try_from(length).unwrap_or(0);
        (length >= 0).then_some(start..at)
    };
    (count, (0..count).map(next))
}
