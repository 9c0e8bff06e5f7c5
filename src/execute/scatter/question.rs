//! What the client asked, and the messages with which it is put to servers.
//!
//! Shards are asked by the extended protocol whatever the client speaks: Parse (unnamed), Bind, Describe, Execute, in
//! one flight, the same bytes for every shard.
//!
//! ```text
//! parameters:  the client's, as they came │ ours, in binary      (pushed limit, arrays of partial rows)
//! formats:     the client's, as they came │ binary               (hidden columns; a Finish's partial rows)
//! ```
//!
//! Invariants:
//! 1. The client's values are passed on in the format in which they came, and never looked into.
//! 2. The numbers of parameters and formats are checked here as a server would, because ours stand behind them.

use bytes::{BufMut, BytesMut};

use crate::execute::Lane;
use crate::execute::lane::Owed;
use crate::execute::numbers;
use crate::merge::types::oid;
use crate::plan::scatter::{BoundLimits, Combine, Scatter, ShardText};
use crate::sql::arguments::Arguments;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frontend::{Bind, Formats, Target};

/// A client's SELECT with the values of one execution.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub arguments: Arguments<'a>,
    /// None: the simple protocol.
    pub bind: Option<Bind<'a>>,
    /// Parameter types as Parse declared them.
    pub declared: &'a [u32],
    /// The client wants a RowDescription before the rows.
    pub describe: bool,
}

impl Question<'_> {
    /// Whether its text or a parameter of it has this word.
    pub fn mentions(&self, word: &str) -> bool {
        let has = |bytes: &[u8]| {
            bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
        };
        let bound = self.bind.as_ref().is_some_and(|bind| bind.parameters.iter().flatten().any(has));
        bound || has(self.arguments.text)
    }
}

/// Formats in which the shards answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// The client's formats, as they came.
    Client,
    /// The client's for so many columns, then binary for the hidden ones.
    Hidden { visible: usize, hidden: usize },
    /// Binary.
    Partial,
    /// The client's formats; not more than so many rows, the others are left in the portal.
    First(i32),
    /// It gives no rows.
    None,
}

impl<'a> Question<'a> {
    /// What can be told before any server is asked: refusals, and errors that PostgreSQL would make of the values.
    pub fn check(&self, scatter: &Scatter) -> Result<BoundLimits, SqlError> {
        if let Combine::Parts(parts) = &scatter.combine {
            parts.iter().try_for_each(|part| self.check(&part.scatter).map(|_| ()))?;
        }
        scatter.check(&self.arguments).map_err(SqlError::from)?;
        if let Some(bind) = &self.bind {
            bind.check_count(self.parameters(scatter))?;
        }
        scatter.limits.bind(&self.arguments).map_err(SqlError::from)
    }

    /// Parameters of the client's statement: those in its text, and those that it declared without using them.
    fn parameters(&self, scatter: &Scatter) -> usize {
        self.declared.len().max(scatter.param_count as usize)
    }

    pub(super) fn result_formats(&self) -> Option<Formats<'a>> {
        self.bind.map(|bind| bind.result_formats)
    }

    /// Formats must be none, one, or one for each column.
    pub(super) fn check_formats(&self, columns: usize) -> Result<(), SqlError> {
        let formats = self.result_formats().map_or(0, |formats| formats.len());
        if formats <= 1 || formats == columns {
            return Ok(());
        }
        let message = format!("bind message has {formats} result formats but query has {columns} columns");
        Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message))
    }

    /// Declared parameter types as far as the rewritten texts may use them; 0 where the server is to infer, which it
    /// does for `unknown`, too.
    pub(super) fn declared_types(&self, scatter: &Scatter) -> Vec<u32> {
        let declared = |index| self.declared.get(index).copied().filter(|declared| *declared != oid::UNKNOWN);
        (0..scatter.param_count as usize).map(|index| declared(index).unwrap_or(0)).collect()
    }

    /// Types under which any value is taken, for parameters that the text does not read: bytes in binary, text in text.
    pub(super) fn unread_types(&self) -> Vec<u32> {
        let Some(bind) = &self.bind else { return Vec::new() };
        let unread = |index| if bind.parameter_formats.of(index) == 1 { oid::BYTEA } else { oid::TEXT };
        (0..bind.parameters.len()).map(unread).collect()
    }

    /// The text for each shard.
    pub(super) fn shard_text(&self, scatter: &Scatter) -> Result<Vec<u8>, SqlError> {
        match &scatter.shard {
            ShardText::Original => Ok(self.arguments.text.to_vec()),
            ShardText::Rewritten(text) => text.fill(&self.arguments).map_err(SqlError::from),
        }
    }

    /// Parse … Execute of the shards' text.
    pub(super) fn for_shards(
        &self,
        scatter: &Scatter,
        types: &[u32],
        bound: &BoundLimits,
        visible: Option<usize>,
    ) -> Result<Request, SqlError> {
        let text = self.shard_text(scatter)?;
        let limit = bound.pushed.map(i64::to_be_bytes);
        let ours: &[Option<&[u8]>] = match scatter.pushed_limit {
            Some(_) => &[limit.as_ref().map(|bytes| &bytes[..])],
            None => &[],
        };
        let answer = match (&scatter.combine, visible) {
            (Combine::Concat | Combine::Distinct, _) => Answer::Client,
            (Combine::Ordered { .. }, Some(visible)) => {
                self.check_formats(visible)?;
                Answer::Hidden { visible, hidden: scatter.hidden_columns() }
            }
            (Combine::Ordered { .. }, None) => {
                return Err(SqlError::new(
                    SqlState::INTERNAL_ERROR,
                    "the columns of the answer are not known",
                ));
            }
            (Combine::Finish(_) | Combine::Parts(_) | Combine::Scratch(_), _) => Answer::Partial,
        };
        Ok(self.portal(&text, types, ours, answer))
    }

    /// Parse, Bind, Describe and Execute of `text`. `types` has one entry for each of the client's parameters that
    /// the text knows; `ours` come behind them, in binary.
    pub(super) fn portal(
        &self,
        text: &[u8],
        types: &[u32],
        ours: &[Option<&[u8]>],
        answer: Answer,
    ) -> Request {
        let mut parameters: Vec<Option<&[u8]>> = Vec::with_capacity(types.len() + ours.len());
        let mut parameter_formats: Vec<i16> = Vec::with_capacity(types.len() + ours.len());
        if let Some(bind) = &self.bind {
            parameters.extend(bind.parameters.iter().take(types.len()));
            parameter_formats.extend((0..parameters.len()).map(|index| bind.parameter_formats.of(index)));
        }
        parameters.extend_from_slice(ours);
        parameter_formats.resize(parameters.len(), 1);
        let client = self.result_formats();
        let result_formats: Vec<i16> = match answer {
            Answer::Client | Answer::First(_) => {
                client.map_or_else(Vec::new, |formats| formats.iter().collect())
            }
            Answer::None => Vec::new(),
            Answer::Hidden { visible, hidden } => (0..visible)
                .map(|index| client.map_or(0, |formats| formats.of(index)))
                .chain(std::iter::repeat_n(1, hidden))
                .collect(),
            Answer::Partial => vec![1],
        };
        let mut frames = BytesMut::with_capacity(text.len() + 256);
        encode::client::parse(&mut frames, b"", text, types);
        let parse_bytes = frames.len();
        let bind = encode::client::Bind {
            parameter_formats: &parameter_formats,
            parameters: &parameters,
            result_formats: &result_formats,
            ..encode::client::Bind::default()
        };
        encode::client::bind(&mut frames, &bind);
        let owed = vec![Owed::Parse { id: None, hidden: true }, Owed::Bind { hidden: true }];
        let mut request = Request { frames, parse_bytes, declared: types.len(), owed };
        match answer {
            Answer::None => request.execute(0, true),
            Answer::First(rows_max) => request.describe_and_execute(rows_max),
            Answer::Client | Answer::Hidden { .. } | Answer::Partial => request.describe_and_execute(0),
        }
        request
    }

    /// Parse and Describe of a statement: its columns and the types of its parameters.
    pub(super) fn statement(text: &[u8], types: &[u32]) -> Request {
        let mut frames = BytesMut::with_capacity(text.len() + 64);
        encode::client::parse(&mut frames, b"", text, types);
        let parse_bytes = frames.len();
        encode::client::describe(&mut frames, Target::Statement, b"");
        let owed = vec![Owed::Parse { id: None, hidden: true }, Owed::Describe { hidden: true }];
        Request { frames, parse_bytes, declared: types.len(), owed }
    }
}

/// Messages for one server, without the Sync.
#[derive(Debug)]
pub(super) struct Request {
    frames: BytesMut,
    /// Of the Parse, which stands first, if there is one.
    parse_bytes: usize,
    /// Types that it declares.
    declared: usize,
    owed: Vec<Owed>,
}

impl Request {
    /// Further rows of the portal that [`Question::portal`] has made.
    pub fn further(rows_max: i32) -> Self {
        let mut request = Self { frames: BytesMut::new(), parse_bytes: 0, declared: 0, owed: Vec::new() };
        request.describe_and_execute(rows_max);
        request
    }

    fn describe_and_execute(&mut self, rows_max: i32) {
        encode::client::describe(&mut self.frames, Target::Portal, b"");
        self.owed.push(Owed::Describe { hidden: true });
        self.execute(rows_max, false);
    }

    fn execute(&mut self, rows_max: i32, hidden: bool) {
        encode::client::execute(&mut self.frames, b"", rows_max);
        self.owed.push(Owed::Execute { hidden });
    }

    /// Puts the messages on a lane, behind what it already owes.
    pub fn put(&self, lane: &mut Lane) {
        let out = &mut lane.connection.outbox;
        let start = out.len();
        out.put_slice(&self.frames);
        if let Some(numbers) = lane.numbers.as_ref().filter(|_| self.declared > 0) {
            numbers::declare(&mut out[start..start + self.parse_bytes], self.declared, numbers);
        }
        lane.connection.unnamed = None;
        lane.owed.extend(&self.owed);
    }
}
