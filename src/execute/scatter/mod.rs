//! A SELECT over several shards: asked on all of them at once, answered to the client as one.
//!
//! Called by `session` with lanes joined and settings queued; drives a [`Scatter`] of `plan` with the operators of
//! `merge`. The first lane is the default shard's where it takes part: its description of the columns is the client's.
//!
//! ```text
//!  probe    first lane     Parse, Describe            only where types or columns must be known beforehand
//!  shards   all lanes      Parse Bind Describe Execute Sync, one flight     (run ─▶ combiner)
//!  final    nearest lane   the text that finishes gathered rows             (Finish only)
//! ```
//!
//! Invariants:
//! 1. The client gets a RowDescription (if it wants one), rows and the tag; or exactly one error, which the caller tells.
//! 2. A short answer is never taken for a complete one: the tag is written after every shard has said that it is done.
//! 3. After Ok every lane owes nothing. After an error each lane owes nothing, has not been written to, or is broken.
//! 4. Memory is bounded whatever the answer's size, except what the configured limits allow to gather and to remember.
//!
//! Not here: which lanes (session), which texts (plan::scatter), ReadyForQuery (session).

mod columns;
mod combiner;
mod guard;
mod parts;
mod question;
pub mod reduce;
mod run;
pub mod scratch;
mod sight;
mod stop;

pub use columns::Columns;
pub use question::Question;

use bytes::BytesMut;

use super::{ClientStream, Lane, ShardTimes, Told};
use crate::backend::BackendError;
use crate::merge::{DistinctRows, Limiter, PartialLimits, TextOrder};
use crate::plan::scatter::refusals::Reason;
use crate::plan::scatter::{BoundLimits, Combine, Finish, Scatter, ShardText};
use crate::topology::ShardId;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::Limits;
use combiner::{Combiner, Gathered};
use question::{Answer, Request};
use run::{Flight, Words, run};
use sight::Sight;

/// The session's side of the conversation.
pub struct Wire<'a> {
    pub client: &'a mut ClientStream,
    pub told: &'a mut Told,
    pub limits: &'a Limits,
    /// Notifications may pass: the session listens on one of the connections.
    pub notify: bool,
    /// Bytes of a shard's rows that may wait in memory until they are due. A row that is larger is read whole.
    pub read_ahead: usize,
    /// Bounds of what a Finish gathers and of what a Distinct remembers.
    pub gather: PartialLimits,
    /// Something may have been written to the client's socket: the statement must not be tried again.
    pub sent: bool,
    /// How long each shard took.
    pub times: ShardTimes,
}

impl<'a> Wire<'a> {
    /// Nothing may be gathered yet.
    pub fn new(
        client: &'a mut ClientStream,
        told: &'a mut Told,
        limits: &'a Limits,
        notify: bool,
        read_ahead: usize,
    ) -> Self {
        let gather = PartialLimits { rows_max: 0, bytes_max: 0 };
        Self { client, told, limits, notify, read_ahead, gather, sent: false, times: ShardTimes::default() }
    }
}

/// Why there is no complete answer.
#[derive(Debug)]
pub enum ScatterError {
    ClientGone,
    /// To be told.
    Sql(SqlError),
    /// The server's own words have been passed on.
    Told,
    /// Of types or values that cannot be merged, of more rows than a merge may hold, or of a condition that PostgreSQL might
    /// not have met: another way may be taken, or this is to be told. No row has been sent.
    Unmergeable(SqlError),
    /// A server is lost to this session. The other lanes are at rest.
    Server {
        shard: ShardId,
        error: BackendError,
    },
    /// The scratch session's server is lost.
    Scratch(BackendError),
}

impl ScatterError {
    /// Of an error that came before any server was asked: another way may serve where it is a refusal of ours.
    fn before_anything(error: SqlError) -> Self {
        match error.refusal {
            Some(_) => Self::Unmergeable(error),
            None => Self::Sql(error),
        }
    }
}

impl From<SqlError> for ScatterError {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// What is known of the client's own text.
#[derive(Default)]
struct Original {
    columns: Option<Columns>,
    /// Types of its parameters, once learned.
    types: Option<Vec<u32>>,
}

/// Answers the question over all `lanes`; `nearest` is the one that finishes. `bound` is what [`Question::check`] gave.
///
/// Cancel safe: no; the lanes are then broken.
pub async fn answer(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    nearest: usize,
    question: &Question<'_>,
    scatter: &Scatter,
    bound: BoundLimits,
) -> Result<u64, ScatterError> {
    let rows = match &scatter.combine {
        Combine::Parts(parts) => parts::answer(wire, lanes, nearest, question, parts).await?,
        _ => {
            let turn = Turn { sight: &Sight::default(), number: 0 };
            let way = Way { scatter, bound, turn };
            rows_of(wire, lanes, nearest, question, way, Original::default()).await?
        }
    };
    let tag = format!("SELECT {rows}");
    encode::server::command_complete(&mut wire.client.outbox, tag.as_bytes());
    Ok(rows)
}

/// Which of a statement's requests a server is asked next.
#[derive(Clone, Copy)]
struct Turn<'a> {
    sight: &'a Sight,
    number: usize,
}

/// How rows are to be got.
struct Way<'a> {
    scatter: &'a Scatter,
    bound: BoundLimits,
    turn: Turn<'a>,
}

/// The answer but for its tag; how many rows there were. `original`: what is known of the client's text, whose columns the
/// answer has.
async fn rows_of(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    nearest: usize,
    question: &Question<'_>,
    way: Way<'_>,
    mut original: Original,
) -> Result<u64, ScatterError> {
    let Way { mut scatter, mut bound, turn } = way;
    loop {
        let mut types = question.declared_types(scatter);
        let learn = scatter.learn_parameters && types.contains(&0);
        let hides = scatter.hidden_columns() > 0;
        if learn && original.types.is_none()
            || hides && scatter.visible_columns.is_none() && original.columns.is_none()
        {
            original = describe_original(wire, lanes, question).await?;
        }
        if let Some(learned) = original.types.as_ref().filter(|_| learn) {
            types.iter_mut().zip(learned).for_each(|(declared, learned)| *declared = *learned);
        }
        for (index, type_oid) in &scatter.undeclared {
            if let Some(declared) = types.get_mut(*index as usize).filter(|declared| **declared == 0) {
                *declared = *type_oid;
            }
        }
        if let Combine::Ordered { keys, otherwise } = &scatter.combine
            && (otherwise.is_some() || keys.iter().any(|key| key.text == TextOrder::Unknown))
            && !sorts_here(wire, lanes, question, scatter, &types).await?
        {
            let Some(otherwise) = otherwise else {
                return Err(ScatterError::Unmergeable(Reason::OrderType.refusal("").into()));
            };
            scatter = otherwise;
            bound = question.check(scatter).map_err(ScatterError::before_anything)?;
            continue;
        }
        let asked = Asked { question, scatter, types: &types, bound: &bound, turn };
        return match &scatter.combine {
            Combine::Finish(finish) => finished(wire, lanes, nearest, &asked, finish, original.columns).await,
            Combine::Parts(_) | Combine::Scratch(_) => {
                Err(internal("this is not asked of all shards").into())
            }
            Combine::Concat | Combine::Distinct | Combine::Ordered { .. } => {
                let visible = scatter.visible_columns.or(original.columns.as_ref().map(Columns::len));
                streamed(wire, lanes, &asked, visible).await
            }
        };
    }
}

/// One execution, ready to be sent.
struct Asked<'a> {
    question: &'a Question<'a>,
    scatter: &'a Scatter,
    types: &'a [u32],
    bound: &'a BoundLimits,
    turn: Turn<'a>,
}

impl Asked<'_> {
    fn rewritten(&self) -> bool {
        matches!(self.scatter.shard, ShardText::Rewritten(_))
    }

    /// The request to a shard.
    fn put(&self, request: &Request, failing: guard::Failing, lane: &mut Lane) {
        let Turn { sight, number } = self.turn;
        sight.open(number, lane);
        guard::put(request, failing, lane);
        sight.close(number, lane);
    }
}

/// Asks the first lane what the client's own text gives and takes.
async fn describe_original(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    question: &Question<'_>,
) -> Result<Original, ScatterError> {
    let first = &mut lanes[..1];
    Question::statement(question.arguments.text, question.declared).put(first[0]);
    let flight = Flight { beforehand: 1, words: Words::Clients, fills: false };
    let described = run(wire, first, flight, &mut Combiner::Nothing).await?;
    Ok(Original { columns: described.columns, types: Some(described.parameters) })
}

/// Tells the client the columns of its own text, in the formats that it asked for.
pub async fn describe(
    wire: &mut Wire<'_>,
    lane: &mut Lane,
    question: &Question<'_>,
) -> Result<(), ScatterError> {
    let original = describe_original(wire, &mut [lane], question).await?;
    let out = &mut wire.client.outbox;
    match original.columns {
        Some(columns) => {
            question.check_formats(columns.len())?;
            columns.put(out, columns.len(), question.result_formats());
        }
        None => encode::server::no_data(out),
    }
    Ok(())
}

/// Whether the merge has comparators for the keys' types, which only a server knows.
async fn sorts_here(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    question: &Question<'_>,
    scatter: &Scatter,
    types: &[u32],
) -> Result<bool, ScatterError> {
    let first = &mut lanes[..1];
    Question::statement(&question.shard_text(scatter)?, types).put(first[0]);
    let flight = Flight { beforehand: 1, words: Words::Ours, fills: false };
    let described = run(wire, first, flight, &mut Combiner::Nothing).await?;
    let columns = described.columns.ok_or_else(|| internal("a server described no columns"))?;
    let hidden = columns.len().saturating_sub(scatter.hidden_columns());
    Ok(scatter.sort_keys(&columns.types()[hidden..]).is_ok())
}

/// Concat, Distinct and Ordered: rows pass while they arrive.
async fn streamed(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    asked: &Asked<'_>,
    visible: Option<usize>,
) -> Result<u64, ScatterError> {
    let Asked { question, scatter, types, bound, .. } = asked;
    let request = question.for_shards(scatter, types, bound, visible)?;
    lanes.iter_mut().for_each(|lane| asked.put(&request, guard::Failing::TheClients, lane));
    let limiter = Limiter::new(bound.offset, bound.limit);
    let mut combiner = match &scatter.combine {
        Combine::Ordered { .. } => Combiner::Ordered { question, scatter, limiter, merging: None },
        Combine::Distinct => Combiner::Distinct { question, seen: DistinctRows::new(wire.gather), rows: 0 },
        Combine::Concat | Combine::Finish(_) | Combine::Parts(_) | Combine::Scratch(_) => {
            Combiner::Concat { question, limiter, told: None, rows: 0 }
        }
    };
    let flight = Flight { beforehand: 0, words: Words::of(asked.rewritten()), fills: false };
    run(wire, lanes, flight, &mut combiner).await?;
    Ok(combiner.rows())
}

/// Finish: partial rows are gathered, and one server makes the answer of them.
async fn finished(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    nearest: usize,
    asked: &Asked<'_>,
    finish: &Finish,
    original: Option<Columns>,
) -> Result<u64, ScatterError> {
    let Asked { question, scatter, types, bound, turn } = asked;
    let request = question.for_shards(scatter, types, bound, None)?;
    let beforehand = usize::from(original.is_none());
    if original.is_none() {
        Question::statement(question.arguments.text, question.declared).put(lanes[0]);
        // Else the server keeps the description back until the rows come: so the client's own errors come first.
        lanes[0].flush_message();
    }
    let failing = guard::Failing::of_partial_rows(finish);
    lanes.iter_mut().for_each(|lane| asked.put(&request, failing, lane));
    let mut combiner = Combiner::Gather { finish, limits: wire.gather, gathered: None };
    let words = if beforehand > 0 { Words::ClientsBeforeOurs } else { Words::Ours };
    let flight = Flight { beforehand, words, fills: false };
    let described = match run(wire, lanes, flight, &mut combiner).await {
        Ok(described) => described,
        Err(error) => return Err(guard::understand(error, failing, lanes).await),
    };
    let columns = original.or(described.columns).ok_or_else(|| internal("a server described no columns"))?;
    let Combiner::Gather { gathered: Some(Gathered { rows, text }), .. } = combiner else {
        return Err(internal("nothing was gathered").into());
    };
    question.check_formats(columns.len())?;
    let text = text.fill(&question.arguments).map_err(SqlError::from)?;
    let arrays: Vec<BytesMut> = rows.into_arrays();
    let ours: Vec<Option<&[u8]>> = arrays.iter().map(|array| Some(&array[..])).collect();
    let last = &mut lanes[nearest..=nearest];
    let request = question.portal(&text, types, &ours, Answer::Client);
    guard::put(&request, guard::Failing::of_final_text(finish), last[0]);
    turn.sight.close(turn.number + 1, last[0]);
    drop(arrays);
    let limiter = Limiter::unlimited();
    let mut combiner = Combiner::Concat { question, limiter, told: Some(&columns), rows: 0 };
    let told =
        run(wire, last, Flight { beforehand: 0, words: Words::Ours, fills: false }, &mut combiner).await;
    // Gathered tables have their keys.
    let ungrouped = || ScatterError::Unmergeable(Reason::UngroupedColumn.refusal("").into());
    match told {
        Ok(_) => Ok(combiner.rows()),
        Err(error) => {
            let error = guard::understand_final(error, finish, wire.sent, last).await;
            Err(of_final_text(error, ungrouped))
        }
    }
}

/// The client's own text has been described by now. If the final one is not grouped well, a primary key stood in its
/// GROUP BY: gathered rows have none.
fn of_final_text(error: ScatterError, ungrouped: impl FnOnce() -> ScatterError) -> ScatterError {
    match error {
        ScatterError::Sql(error) if error.sqlstate == SqlState::GROUPING_ERROR => ungrouped(),
        error => error,
    }
}

fn internal(message: &str) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, message)
}
