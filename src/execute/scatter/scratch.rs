//! A SELECT whose tables are brought together first: temporary tables of a scratch session are filled from the shards,
//! and the client's own text runs over them.
//!
//! Called by `session` with the shards' lanes joined and a lane of a session that is used for nothing else; drives a
//! [`Scratch`] of `plan`.
//!
//! ```text
//!  scratch   BEGIN, Parse, Describe of the client's text        its errors, columns and parameter types are the client's
//!  shards    EXPLAIN of each table's SELECT                     only where a join may limit what is gathered (`reduce`)
//!  shards    BEGIN                                              only where one is asked several times (`sight`)
//!  scratch   CREATE TEMPORARY TABLE, COPY FROM STDIN  ◀─ rows ─ shards   Parse Bind Describe Execute Sync
//!            … for each table, all its shards at once
//!  scratch   SET TRANSACTION READ ONLY, Parse Bind Describe Execute ─▶ client          or DECLARE, or COPY TO STDOUT
//!  scratch   ROLLBACK                                   not while a portal or a cursor has rows left ([`Ending`])
//! ```
//!
//! Invariants:
//! 1. Rows pass from socket to socket: in memory are those that a server has not taken yet, at most a buffer's.
//! 2. Rows and bytes of one statement are bounded; who exceeds the bound is told which table was too large.
//! 3. The text is described before a temporary table exists: what the client is told of its columns is what the real
//!    tables say.
//! 4. After Ok the scratch session is outside of a transaction and has nothing left of this one, or it stays: then its
//!    transaction holds the rows that were gathered, and one portal or cursor over them; or a cursor WITH HOLD has them.

use super::columns::Columns;
use super::combiner::{Bounds, Combiner, Fill};
use super::guard;
use super::question::{Answer, Request};
use super::reduce::{expect, keys};
use super::run::{Flight, Words, run};
use super::sight::{self, Sight};
use super::{Question, ScatterError, Wire, describe_original, internal, of_final_text};
use crate::execute::drain::drain;
use crate::execute::lane::Hidden;
use crate::execute::refusals;
use crate::execute::{Lane, Relay, RelayError, relay};
use crate::merge::Limiter;
use crate::merge::types::USER_TYPES_FROM;
use crate::plan::scatter::scratch::{Amid, Counts, Scratch, Source, Table};
use crate::topology::ShardSet;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};

/// One execution.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub question: &'a Question<'a>,
    pub scratch: &'a Scratch,
    pub source: Source<'a>,
    /// Settings of the transaction under way, to follow BEGIN.
    pub prologue: &'a [String],
    /// The shards that may have rows.
    pub shards: ShardSet,
    /// The transaction under way.
    pub amid: Amid<'a>,
    pub rows_max: usize,
    pub bytes_max: usize,
    pub reduce_from_rows: usize,
    pub ending: Ending<'a>,
}

/// What becomes of the text once its tables are gathered.
#[derive(Clone, Copy)]
pub enum Ending<'a> {
    /// All rows go to the client.
    Rows,
    /// So many rows go to the client, the others stay in the portal.
    Portal { rows_max: i32 },
    /// The statement around it makes it a cursor, which stays; one that `holds` is read to its end on the server, and needs no
    /// transaction from then on.
    Cursor { whole: Source<'a>, holds: bool },
    /// The statement around it copies its rows to the client.
    Copy { whole: Source<'a> },
}

/// What came of it.
pub struct Answered {
    /// That the client was sent.
    pub rows: u64,
    /// The scratch session stays; the columns of the rows that it has left.
    pub stays: Option<Columns>,
}

/// Temporary tables have no statistics of their own; with fewer rows the planner's guesses do no harm.
const ANALYZE_FROM_ROWS: u64 = 10_000;

/// The default of a role or database may be another.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Answers in `session`, from the rows of `lanes`, up to CommandComplete or PortalSuspended.
///
/// Cancel safe: no; the lanes are then broken.
pub async fn answer_in_scratch(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    session: &mut Lane,
    job: &Job<'_>,
) -> Result<Answered, ScatterError> {
    // The session that answers is made read-only.
    if job.question.mentions("transaction_read_only") {
        return Err(ScatterError::Sql(refusals::TELLS_READ_ONLY.error(&[])));
    }
    let (columns, types) = describe(wire, lanes, session, job).await?;
    if matches!(job.ending, Ending::Rows | Ending::Portal { .. }) {
        job.question.check_formats(columns.len())?;
    }
    let (source, answer) = match job.ending {
        Ending::Rows => (job.source, Answer::Client),
        Ending::Portal { rows_max } => (job.source, Answer::First(rows_max)),
        Ending::Cursor { whole, .. } | Ending::Copy { whole } => (whole, Answer::None),
    };
    let text = job.scratch.final_text(source, job.amid);
    let text = text.ok_or_else(|| internal("a statement cannot be read again"))?;
    let keyed = needs_keys(wire, session, job, &types).await?;
    if let Err(error) = gather(wire, lanes, session, job, (&types, keyed)).await {
        sight::let_go(lanes).await;
        return Err(error);
    }
    let views = job.scratch.views(job.amid).ok_or_else(|| internal("a view cannot be read again"))?;
    for view in &views {
        session.hidden_query(view, Hidden::Prologue);
    }
    session.hidden_query("SET TRANSACTION READ ONLY", Hidden::Prologue);
    if let Ending::Copy { .. } = job.ending {
        return copy_out(wire, session, &text).await;
    }
    job.question.portal(&text, &types, &[], answer).put(session);
    session.sync(true);
    match job.ending {
        Ending::Rows => session.hidden_query("ROLLBACK", Hidden::Prologue),
        Ending::Cursor { holds: true, .. } => session.hidden_query("COMMIT", Hidden::Prologue),
        Ending::Cursor { .. } | Ending::Portal { .. } | Ending::Copy { .. } => {}
    }
    let told = Some(&columns);
    let mut combiner = match job.ending {
        Ending::Cursor { .. } => Combiner::Nothing,
        _ => Combiner::Concat { question: job.question, limiter: Limiter::unlimited(), told, rows: 0 },
    };
    let flight = Flight { beforehand: 0, words: Words::of(text != job.source.text), fills: false };
    // Where a key is not gathered, or the table is one of a view, a column cannot follow from its group.
    let ran = run(wire, &mut [session], flight, &mut combiner).await.map_err(of_session);
    let ungrouped = || ScatterError::Sql(refusals::SCRATCH_GROUPING.error(&[]));
    let ran = ran.map_err(|error| of_final_text(error, ungrouped))?;
    let rows = combiner.rows();
    match job.ending {
        Ending::Cursor { .. } => {
            encode::server::command_complete(&mut wire.client.outbox, b"DECLARE CURSOR");
            Ok(Answered { rows, stays: Some(columns) })
        }
        Ending::Portal { .. } => {
            end_of_portal(wire, "SELECT", rows, ran.suspended);
            Ok(Answered { rows, stays: Some(columns) })
        }
        Ending::Rows | Ending::Copy { .. } => {
            end_of_portal(wire, "SELECT", rows, false);
            Ok(Answered { rows, stays: None })
        }
    }
}

/// Fills the temporary tables, and tells the scratch session's planner how large they are.
async fn gather(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    session: &mut Lane,
    job: &Job<'_>,
    (types, keyed): (&[u32], bool),
) -> Result<(), ScatterError> {
    let mut bounds = Bounds { rows: job.rows_max, bytes: job.bytes_max };
    let expected = expect(wire, lanes, job, types).await?;
    let mut filled = Counts::default();
    let tables = job.scratch.in_order(job.amid.changed, &expected);
    let sight = Sight::of(tables.iter().map(|table| table.sources(job.shards)));
    for (number, table) in tables.into_iter().enumerate() {
        let condition = match job.scratch.reduced_by(table, &expected, &filled, job.reduce_from_rows) {
            Some(link) => keys(wire, session, job, link).await?.map(|keys| link.condition(&keys)),
            None => None,
        };
        let before = bounds.rows;
        let filling = Filling { job, table, number, sight: &sight, types, keyed, condition };
        fill(wire, lanes, session, &filling, &mut bounds).await?;
        filled.note(table, (before - bounds.rows) as u64);
    }
    for (table, _) in filled.iter().filter(|(_, rows)| *rows >= ANALYZE_FROM_ROWS) {
        session.hidden_query(&table.analyze, Hidden::Prologue);
    }
    Ok(())
}

fn end_of_portal(wire: &mut Wire<'_>, command: &str, rows: u64, suspended: bool) {
    let out = &mut wire.client.outbox;
    match suspended {
        true => encode::server::portal_suspended(out),
        false => encode::server::command_complete(out, format!("{command} {rows}").as_bytes()),
    }
}

/// COPY TO STDOUT in the scratch session: its answer is the client's as it comes.
async fn copy_out(wire: &mut Wire<'_>, session: &mut Lane, text: &[u8]) -> Result<Answered, ScatterError> {
    let drained = drain(session).await.map_err(ScatterError::Scratch)?;
    if let Some(error) = drained.error {
        return Err(ScatterError::Sql(error));
    }
    session.copy(text);
    let Wire { client, told, limits, notify, .. } = wire;
    let (lane, notify) = (session, *notify);
    let relayed = Relay { client, lane, told, limits, notify, hold: false, keeps_tag: false, moved: false };
    match relay(relayed).await {
        Ok(report) if report.error.is_some() => Err(ScatterError::Told),
        Ok(report) => Ok(Answered { rows: report.rows, stays: None }),
        Err(RelayError::ClientGone) => Err(ScatterError::ClientGone),
        Err(RelayError::ClientProtocol(error)) => Err(ScatterError::Sql(error)),
        Err(RelayError::Server { error, forwarded }) => {
            wire.sent |= forwarded;
            Err(ScatterError::Scratch(error))
        }
    }
}

/// Further rows of the portal that an [`Ending::Portal`], or a FETCH, has left in `session`; how many there were.
///
/// Cancel safe: no; the lane is then broken.
pub async fn fetch_portal(
    wire: &mut Wire<'_>,
    session: &mut Lane,
    question: &Question<'_>,
    (command, rows_max): (&str, i32),
) -> Result<u64, ScatterError> {
    Request::further(rows_max).put(session);
    session.sync(true);
    let mut combiner = Combiner::Concat { question, limiter: Limiter::unlimited(), told: None, rows: 0 };
    let flight = Flight { beforehand: 0, words: Words::Ours, fills: false };
    let ran = run(wire, &mut [session], flight, &mut combiner).await.map_err(of_session)?;
    end_of_portal(wire, command, combiner.rows(), ran.suspended);
    Ok(combiner.rows())
}

/// FETCH from the cursor that an [`Ending::Cursor`] has left in `session`; `question` is the FETCH. How many rows there were.
/// Rows behind `rows_max`, if that is not 0, are left in the portal.
///
/// Cancel safe: no; the lane is then broken.
pub async fn fetch_cursor(
    wire: &mut Wire<'_>,
    session: &mut Lane,
    question: &Question<'_>,
    columns: &Columns,
    rows_max: i32,
) -> Result<u64, ScatterError> {
    question.check_formats(columns.len())?;
    let answer = if rows_max > 0 { Answer::First(rows_max) } else { Answer::Client };
    question.portal(question.arguments.text, &[], &[], answer).put(session);
    session.sync(true);
    let told = Some(columns);
    let mut combiner = Combiner::Concat { question, limiter: Limiter::unlimited(), told, rows: 0 };
    let flight = Flight { beforehand: 0, words: Words::Clients, fills: false };
    let ran = run(wire, &mut [session], flight, &mut combiner).await.map_err(of_session)?;
    end_of_portal(wire, "FETCH", combiner.rows(), ran.suspended);
    Ok(combiner.rows())
}

/// Asks the scratch session what the client's text gives and takes; where the transaction under way has written, the first
/// of its own lanes: the scratch session would wait for its locks.
async fn describe(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    session: &mut Lane,
    job: &Job<'_>,
) -> Result<(Columns, Vec<u32>), ScatterError> {
    session.hidden_query(BEGIN, Hidden::Prologue);
    for statement in job.prologue {
        session.hidden_query(statement, Hidden::Prologue);
    }
    let described = match job.amid.changed {
        true => describe_original(wire, lanes, job.question).await?,
        false => describe_original(wire, &mut [session], job.question).await.map_err(of_session)?,
    };
    let columns = described.columns.ok_or_else(|| internal("a server described no columns"))?;
    Ok((columns, described.types.unwrap_or_default()))
}

/// An error of a flight to the scratch session only.
pub(super) fn of_session(error: ScatterError) -> ScatterError {
    match error {
        ScatterError::Server { error, .. } => ScatterError::Scratch(error),
        // There is no other way behind this one.
        ScatterError::Unmergeable(error) => ScatterError::Sql(error),
        other => other,
    }
}

struct Filling<'a> {
    job: &'a Job<'a>,
    table: &'a Table,
    /// Its place among those that are gathered.
    number: usize,
    sight: &'a Sight,
    types: &'a [u32],
    /// With the tables' primary keys.
    keyed: bool,
    /// Besides those of the text: the keys of a table that it is joined to.
    condition: Option<String>,
}

/// Whether the text is understood only over tables with their primary keys: `SELECT name … GROUP BY id`. Such a key costs an
/// index, so it is found out over empty tables first.
async fn needs_keys(
    wire: &mut Wire<'_>,
    session: &mut Lane,
    job: &Job<'_>,
    types: &[u32],
) -> Result<bool, ScatterError> {
    if !job.scratch.may_need_keys(job.amid.changed) {
        return Ok(false);
    }
    let text = job.scratch.final_text(job.source, job.amid);
    let text = text.ok_or_else(|| internal("a statement cannot be read again"))?;
    session.hidden_query("SAVEPOINT meridian_keys", Hidden::Prologue);
    for table in job.scratch.tables(job.amid.changed) {
        session.hidden_query(&table.create, Hidden::Prologue);
    }
    Question::statement(&text, types).put(session);
    let flight = Flight { beforehand: 1, words: Words::Ours, fills: false };
    let understood = run(wire, &mut [session], flight, &mut Combiner::Nothing).await.map_err(of_session);
    let needs = match understood {
        Ok(_) => false,
        Err(ScatterError::Sql(error)) if error.sqlstate == SqlState::GROUPING_ERROR => true,
        Err(error) => return Err(error),
    };
    session.hidden_query("ROLLBACK TO SAVEPOINT meridian_keys", Hidden::Prologue);
    Ok(needs)
}

async fn fill(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    session: &mut Lane,
    filling: &Filling<'_>,
    bounds: &mut Bounds,
) -> Result<(), ScatterError> {
    let Filling { job, table, number, sight, types, keyed, ref condition } = *filling;
    // A condition with a parameter of such a type stays here.
    let of_user = types.iter().any(|type_oid| *type_oid >= USER_TYPES_FROM);
    let select =
        table.ask(&job.question.arguments, !of_user, condition.as_deref()).map_err(SqlError::from)?;
    let types: Vec<u32> = if of_user { job.question.unread_types() } else { types.to_vec() };
    let request = job.question.portal(&select, &types, &[], Answer::Partial);
    let sources = table.sources(job.shards);
    let mut flying: Vec<&mut Lane> =
        lanes.iter_mut().map(|lane| &mut **lane).filter(|lane| sources.contains(lane.shard)).collect();
    if flying.len() != sources.len() {
        return Err(internal("a shard of a gathered table was not joined").into());
    }
    for lane in &mut flying {
        sight.open(number, lane);
        guard::put(&request, guard::Failing::of_table(table), lane);
        sight.close(number, lane);
    }
    let create = table.create_keyed.as_ref().filter(|_| keyed).unwrap_or(&table.create);
    session.hidden_query(create, Hidden::Prologue);
    session.hidden_query(&table.copy, Hidden::Fill);
    flying.push(session);
    let mut combiner = Combiner::Fill(Fill { bounds, table, open: 0 });
    let flight = Flight { beforehand: 0, words: Words::Ours, fills: true };
    let Err(error) = run(wire, &mut flying, flight, &mut combiner).await else { return Ok(()) };
    let asked = flying.len() - 1;
    Err(match guard::understand(error, guard::Failing::of_table(table), &mut flying[..asked]).await {
        ScatterError::Sql(error) => ScatterError::Sql(of_filling(error, table)),
        error => error,
    })
}

/// A type that does not pass in binary, or not to another server, is a limit of ours.
fn of_filling(error: SqlError, table: &Table) -> SqlError {
    let of_types =
        [SqlState::UNDEFINED_FUNCTION, SqlState::INVALID_BINARY_REPRESENTATION, SqlState::DATATYPE_MISMATCH];
    match of_types.contains(&error.sqlstate) {
        true => refusals::SCRATCH_TYPE.error(&[&table.name.to_string()]),
        false => error,
    }
}
