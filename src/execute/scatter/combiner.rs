//! The combine under way: takes rows out of the servers' buffers and puts rows into the client's.
//!
//! Pure but for the buffers. The driver (`run`) calls [`Combiner::begin`] once all shards have described their
//! rows, [`Combiner::take_rows`] whenever a shard's rows have arrived, [`Combiner::finish`] at its end and
//! [`Combiner::emit`] whenever something may have become due.
//!
//! Invariants:
//! 1. No row is taken before every shard has described the same columns.
//! 2. Nothing is allocated per row. What is kept is bounded: a source whose rows are not due is left unread, partial
//!    rows have the configured limits, and nothing is taken while the client's buffer is full.
//! 3. After LIMIT rows everything else is dropped unseen.

use bytes::{Buf, BytesMut};

use super::columns::Columns;
use super::question::Question;
use super::run::Stop;
use crate::execute::refusals;
use crate::merge::{
    Admit, DistinctRows, Limiter, MergeError, Next, PartialLimits, PartialRows, RowMerge, SortKey,
    is_told_by_bytes,
};
use crate::plan::refusal::Refusal;
use crate::plan::scatter::scratch::Table;
use crate::plan::scatter::{Finish, Scatter};
use crate::wire::backend::DataRow;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{self, HEADER_BYTES, Limits};

/// The client's buffer is written out when it holds this much, and no row is taken before that.
pub(super) const OUT_BYTES: usize = 64 * 1024;

/// What becomes of the shards' rows.
pub(super) enum Combiner<'a> {
    /// No rows are expected.
    Nothing,
    /// To the client as they come.
    Concat {
        question: &'a Question<'a>,
        limiter: Limiter,
        /// What the client is to be told of the columns, where it is not the servers' own description.
        told: Option<&'a Columns>,
        rows: u64,
    },
    /// To the client as they come, equal ones once.
    Distinct { question: &'a Question<'a>, seen: DistinctRows, rows: u64 },
    /// To the client in order.
    Ordered { question: &'a Question<'a>, scatter: &'a Scatter, limiter: Limiter, merging: Option<Merging> },
    /// Kept, for the final text.
    Gather { finish: &'a Finish, limits: PartialLimits, gathered: Option<Gathered> },
    /// Into a table of a scratch session.
    Fill(Fill<'a>),
    /// Kept for ourselves: the first column of each row, if it is not null. Only for short answers.
    Texts(Vec<String>),
}

pub(super) struct Merging {
    merge: RowMerge,
    rows: u64,
    /// LIMIT is reached: what still comes is dropped.
    satisfied: bool,
}

/// Partial rows and the text that finishes them, without the client's literals.
pub(super) struct Gathered {
    pub rows: PartialRows,
    pub text: crate::plan::scatter::Text,
}

/// A table that is filled with rows in binary. The body of a DataRow in binary is a tuple of COPY in binary: only the
/// tag differs.
pub(super) struct Fill<'a> {
    pub bounds: &'a mut Bounds,
    pub table: &'a Table,
    /// Shards that have not come to their end.
    pub open: usize,
}

/// What one statement may still gather.
pub(super) struct Bounds {
    pub rows: usize,
    pub bytes: usize,
}

/// Signature, flags, and the length of the header's extension (the manual's page on COPY, "Binary Format").
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COPY_TRAILER: &[u8] = &[0xff, 0xff];

impl Fill<'_> {
    /// Passes rows on while the table's server takes them.
    fn pass(&mut self, inbox: &mut BytesMut, limits: &Limits, out: &mut BytesMut) -> Result<(), SqlError> {
        while out.len() < OUT_BYTES
            && let Some(length) = whole_row(inbox, limits)
        {
            let room = (self.bounds.rows.checked_sub(1), self.bounds.bytes.checked_sub(length));
            let (Some(rows), Some(bytes)) = room else {
                return Err(refusals::SCRATCH_TOO_LARGE.error(&[&self.table.name.to_string()]));
            };
            (self.bounds.rows, self.bounds.bytes) = (rows, bytes);
            let at = out.len();
            out.extend_from_slice(&inbox[..length]);
            out[at] = b'd';
            inbox.advance(length);
        }
        Ok(())
    }
}

impl Combiner<'_> {
    /// Whether rows of sources that have described them so may be combined.
    pub fn agree<'c>(&self, mut described: impl Iterator<Item = &'c Columns>) -> bool {
        match self {
            Self::Fill(fill) => described.all(|columns| columns.fill(&fill.table.types)),
            Self::Nothing
            | Self::Concat { .. }
            | Self::Distinct { .. }
            | Self::Ordered { .. }
            | Self::Gather { .. }
            | Self::Texts(_) => {
                described.next().is_none_or(|first| described.all(|columns| columns.agrees(first)))
            }
        }
    }

    /// All `sources` have described the same columns.
    pub fn begin(&mut self, columns: &Columns, sources: usize, out: &mut BytesMut) -> Result<(), Stop> {
        match self {
            Self::Nothing | Self::Texts(_) => Ok(()),
            Self::Fill(fill) => {
                fill.open = sources;
                encode::copy_data(out, COPY_HEADER);
                Ok(())
            }
            Self::Concat { question, told, .. } => {
                if let Some(told) = told
                    && told.types() != columns.types()
                {
                    return Err(Stop::Unmergeable(refusals::OTHER_TYPES.error(&[])));
                }
                if question.describe {
                    match told {
                        Some(told) => told.put(out, told.len(), question.result_formats()),
                        None => columns.put(out, columns.len(), None),
                    }
                }
                Ok(())
            }
            Self::Distinct { question, .. } => {
                if !columns.types().iter().all(|type_oid| is_told_by_bytes(*type_oid)) {
                    return Err(Stop::Unmergeable(refusals::OTHER_TYPES.error(&[])));
                }
                if question.describe {
                    columns.put(out, columns.len(), None);
                }
                Ok(())
            }
            Self::Ordered { question, scatter, limiter, merging } => {
                let visible = columns.len().saturating_sub(scatter.hidden_columns());
                let keys: Vec<SortKey> =
                    scatter.sort_keys(&columns.types()[visible..]).map_err(unmergeable)?;
                let merge = RowMerge::new(keys, sources, *limiter);
                *merging = Some(Merging { merge, rows: 0, satisfied: limiter.is_exhausted() });
                if question.describe {
                    columns.put(out, visible, None);
                }
                Ok(())
            }
            Self::Gather { finish, limits, gathered } => {
                let text = finish.final_text(columns.types()).map_err(unmergeable)?;
                let carried = finish.carried(columns.types());
                *gathered = Some(Gathered { rows: PartialRows::new(&carried, *limits), text });
                Ok(())
            }
        }
    }

    /// Takes the whole DataRows at the front of a source's buffer, as many as may be taken now.
    pub fn take_rows(
        &mut self,
        source: usize,
        inbox: &mut BytesMut,
        limits: &Limits,
        out: &mut BytesMut,
    ) -> Result<(), Stop> {
        match self {
            Self::Nothing => drop_rows(inbox, limits),
            Self::Fill(fill) => fill.pass(inbox, limits, out).map_err(Stop::Sql)?,
            Self::Texts(texts) => {
                while let Some(length) = whole_row(inbox, limits) {
                    texts.extend(first_text(&inbox[HEADER_BYTES..length]));
                    inbox.advance(length);
                }
            }
            Self::Concat { limiter, rows, .. } => pass_rows(inbox, limits, limiter, rows, out),
            Self::Distinct { seen, rows, .. } => {
                while out.len() < OUT_BYTES
                    && let Some(length) = whole_row(inbox, limits)
                {
                    if seen.is_new(&inbox[..length])? {
                        out.extend_from_slice(&inbox[..length]);
                        *rows += 1;
                    }
                    inbox.advance(length);
                }
            }
            Self::Ordered { merging, .. } => match merging {
                Some(merging) if !merging.satisfied => {
                    while merging.merge.wants(source)
                        && let Some(length) = whole_row(inbox, limits)
                    {
                        merging.merge.push(source, inbox.split_to(length).freeze());
                    }
                }
                _ => drop_rows(inbox, limits),
            },
            Self::Gather { gathered, .. } => match gathered {
                Some(gathered) => {
                    while let Some(length) = whole_row(inbox, limits) {
                        gathered.rows.push(&inbox[..length])?;
                        inbox.advance(length);
                    }
                }
                None => drop_rows(inbox, limits),
            },
        }
        Ok(())
    }

    /// Whether rows of this source may be taken now, if the client's buffer is not full.
    pub fn accepts(&self, source: usize) -> bool {
        match self {
            Self::Ordered { merging: Some(merging), .. } => merging.satisfied || merging.merge.wants(source),
            Self::Nothing
            | Self::Concat { .. }
            | Self::Distinct { .. }
            | Self::Ordered { merging: None, .. }
            | Self::Gather { .. }
            | Self::Fill(_)
            | Self::Texts(_) => true,
        }
    }

    /// A source has no further row.
    pub fn finish(&mut self, source: usize, out: &mut BytesMut) {
        match self {
            Self::Ordered { merging: Some(merging), .. } => merging.merge.finish(source),
            Self::Fill(fill) => {
                fill.open -= 1;
                if fill.open == 0 {
                    encode::copy_data(out, COPY_TRAILER);
                    encode::copy_done(out);
                }
            }
            Self::Nothing
            | Self::Concat { .. }
            | Self::Distinct { .. }
            | Self::Ordered { .. }
            | Self::Gather { .. }
            | Self::Texts(_) => {}
        }
    }

    /// Puts what is due into `out`, until it is full or more rows are needed first.
    pub fn emit(&mut self, out: &mut BytesMut) -> Result<(), MergeError> {
        let Self::Ordered { merging: Some(merging), .. } = self else { return Ok(()) };
        while !merging.satisfied && out.len() < OUT_BYTES {
            match merging.merge.poll_next(out)? {
                Next::Row => merging.rows += 1,
                Next::Wait(_) => return Ok(()),
                Next::Done => merging.satisfied = true,
            }
        }
        Ok(())
    }

    /// All sources have ended: nothing may be left over.
    pub fn check_complete(&self) -> Result<(), SqlError> {
        let complete = match self {
            Self::Nothing | Self::Concat { .. } | Self::Distinct { .. } | Self::Texts(_) => true,
            Self::Ordered { merging, .. } => merging.as_ref().is_some_and(|merging| merging.satisfied),
            Self::Gather { gathered, .. } => gathered.is_some(),
            Self::Fill(fill) => fill.open == 0,
        };
        match complete {
            true => Ok(()),
            false => Err(SqlError::new(
                SqlState::INTERNAL_ERROR,
                "the shards' rows were not combined to their end",
            )),
        }
    }

    /// Rows that the client has been given.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Concat { rows, .. } | Self::Distinct { rows, .. } => *rows,
            Self::Ordered { merging, .. } => merging.as_ref().map_or(0, |merging| merging.rows),
            Self::Nothing | Self::Gather { .. } | Self::Fill(_) | Self::Texts(_) => 0,
        }
    }
}

fn unmergeable(refusal: Refusal) -> Stop {
    Stop::Unmergeable(SqlError::from(refusal))
}

/// The length of the DataRow at the front, if all of it is there.
pub(super) fn whole_row(inbox: &[u8], limits: &Limits) -> Option<usize> {
    match frame::peek_backend(inbox, limits) {
        Ok(Some(header)) if header.tag == b'D' && inbox.len() >= header.len => Some(header.len),
        _ => None,
    }
}

/// The first column of a DataRow's body.
fn first_text(body: &[u8]) -> Option<String> {
    let row = DataRow::decode(body).ok()?;
    row.iter().next().flatten().map(|value| String::from_utf8_lossy(value).into_owned())
}

fn drop_rows(inbox: &mut BytesMut, limits: &Limits) {
    while let Some(length) = whole_row(inbox, limits) {
        inbox.advance(length);
    }
}

/// Copies rows that stand together in one piece.
fn pass_rows(
    inbox: &mut BytesMut,
    limits: &Limits,
    limiter: &mut Limiter,
    rows: &mut u64,
    out: &mut BytesMut,
) {
    loop {
        let (mut at, mut skipped) = (0, 0);
        while out.len() + at < OUT_BYTES
            && let Some(length) = whole_row(&inbox[at..], limits)
        {
            match limiter.admit() {
                Admit::Pass => {
                    at += length;
                    *rows += 1;
                }
                Admit::Skip | Admit::Stop => {
                    skipped = length;
                    break;
                }
            }
        }
        out.extend_from_slice(&inbox[..at]);
        inbox.advance(at + skipped);
        if skipped == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::arguments::{Arguments, NoParameters};

    const QUESTION: Question<'static> = Question {
        arguments: Arguments { text: b"", literals: &[], parameters: &NoParameters },
        bind: None,
        declared: &[],
        describe: true,
    };

    fn rows(values: &[&[u8]]) -> BytesMut {
        let mut out = BytesMut::new();
        values.iter().for_each(|value| encode::server::data_row(&mut out, &[Some(value)]));
        out
    }

    fn concat(limiter: Limiter) -> Combiner<'static> {
        Combiner::Concat { question: &QUESTION, limiter, told: None, rows: 0 }
    }

    #[test]
    fn rows_pass_within_the_bounds_and_the_rest_is_dropped() {
        let mut combiner = concat(Limiter::new(1, Some(2)));
        let (mut first, mut second) = (rows(&[b"a", b"b"]), rows(&[b"c", b"d", b"e"]));
        let mut out = BytesMut::new();
        let limits = Limits::default();
        combiner.take_rows(0, &mut first, &limits, &mut out).unwrap();
        combiner.take_rows(1, &mut second, &limits, &mut out).unwrap();
        assert_eq!(out, rows(&[b"b", b"c"]));
        assert_eq!(combiner.rows(), 2);
        assert!(first.is_empty() && second.is_empty());
    }

    #[test]
    fn an_unfinished_row_and_what_is_no_row_stay() {
        let mut combiner = concat(Limiter::unlimited());
        let mut inbox = rows(&[b"a"]);
        let mut second = rows(&[b"bcd"]);
        second.truncate(9);
        inbox.extend_from_slice(&second);
        let mut out = BytesMut::new();
        combiner.take_rows(0, &mut inbox, &Limits::default(), &mut out).unwrap();
        assert_eq!((out, inbox), (rows(&[b"a"]), second));
        let mut done = BytesMut::from(&b"C\0\0\0\x0dSELECT 0\0"[..]);
        combiner.take_rows(0, &mut done, &Limits::default(), &mut BytesMut::new()).unwrap();
        assert_eq!(done.len(), 14);
    }

    #[test]
    fn nothing_is_taken_while_the_client_does_not_read() {
        let mut combiner = concat(Limiter::unlimited());
        let mut inbox = rows(&[b"a"]);
        let mut out = BytesMut::zeroed(OUT_BYTES);
        combiner.take_rows(0, &mut inbox, &Limits::default(), &mut out).unwrap();
        assert_eq!((out.len(), inbox), (OUT_BYTES, rows(&[b"a"])));
    }
}
