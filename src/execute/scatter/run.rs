//! One flight to several servers: everything sent at once, the answers read as they arrive.
//!
//! ```text
//!  lane 0  1 2 T D D D C Z ┐
//!  lane 1  1 2 T D D C Z   ├─▶ Combiner ─▶ client's outbox ─▶ client
//!  lane 2  1 2 T D …       ┘      rows wait in their socket until all have said T
//! ```
//!
//! The driver polls all lanes and the client in one place. Rows that are not due yet are read ahead up to a bound, so
//! that a slow shard does not keep the others from sending; what is beyond the bound is left to TCP, and a client that
//! does not read stops all of it.
//!
//! Invariants:
//! 1. A run that returns Ok has read everything that its lanes owed.
//! 2. The first failure ends the combining: no row is written after it, and the caller tells exactly one error.
//! 3. A failed run leaves each lane either owing nothing, or broken.
//!
//! Not here: what is asked (question), what becomes of rows (combiner), stopping the others (stop).

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::columns::Columns;
use super::combiner::{Combiner, OUT_BYTES, whole_row};
use super::{ScatterError, Wire};
use crate::backend::BackendError;
use crate::execute::Lane;
use crate::execute::lane::{Hidden, Owed};
use crate::execute::{numbers, refusals};
use crate::merge::MergeError;
use crate::wire::backend::{ParameterDescription, ParameterStatus, ReadyForQuery};
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{self, HEADER_BYTES};

/// How much of the client's next messages is read ahead: enough to see that it is still there.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// What one lane has said so far.
#[derive(Debug, Default)]
struct Source {
    /// From Describe, in the order of the requests.
    columns: Vec<Columns>,
    /// Parameter types of the first statement described.
    parameters: Option<Vec<u32>>,
}

/// A run's outcome besides its rows.
#[derive(Debug, Default)]
pub(super) struct Described {
    /// Of the statement that the first lane was asked to describe beforehand.
    pub columns: Option<Columns>,
    /// Of what it was asked to describe after that.
    pub further: Vec<Columns>,
    pub parameters: Vec<u32>,
    /// The row limit was reached: there may be more in the portal.
    pub suspended: bool,
}

/// Why a run stopped.
#[derive(Debug)]
pub(super) enum Stop {
    ClientGone,
    /// An error for the client, of a server or of ours.
    Sql(SqlError),
    /// The types that the servers have described cannot be combined in this way, or there are too many rows for it.
    Unmergeable(SqlError),
    /// A lane could not be brought into the transaction; the client is told why.
    Prologue {
        lane: usize,
        error: SqlError,
    },
    Lost {
        lane: usize,
        error: BackendError,
    },
}

impl From<MergeError> for Stop {
    fn from(error: MergeError) -> Self {
        let state = SqlState::parse(error.sqlstate().as_bytes()).unwrap_or(SqlState::INTERNAL_ERROR);
        let mut sql = SqlError::new(state, error.to_string());
        sql.hint = error.hint().map(str::to_owned);
        match error {
            MergeError::TooManyRows { .. } | MergeError::TooManyBytes { .. } => Self::Unmergeable(sql),
            MergeError::Malformed(_) | MergeError::Unordered { .. } => Self::Sql(sql),
        }
    }
}

struct Run<'r, 'w, 'l, 'c> {
    wire: &'r mut Wire<'w>,
    lanes: &'r mut [&'l mut Lane],
    combiner: &'r mut Combiner<'c>,
    sources: Vec<Source>,
    flight: Flight,
    begun: bool,
    suspended: bool,
    sent: Instant,
    /// When each lane has last said something: what it said may wait here for the others.
    heard: Vec<Instant>,
    /// The scratch session takes rows: it has answered its COPY.
    fills: bool,
}

/// Whose the texts are that the servers read: a position in ours means nothing to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Clients,
    Ours,
    /// The first lane is asked to describe the client's text before it reads ours.
    ClientsBeforeOurs,
}

impl Words {
    pub fn of(rewritten: bool) -> Self {
        if rewritten { Self::Ours } else { Self::Clients }
    }
}

/// What is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    /// Statements that the first lane was asked to describe before the one that gives rows.
    pub beforehand: usize,
    pub words: Words,
    /// The last lane is a scratch session's, which takes the others' rows.
    pub fills: bool,
}

/// Sends what was put on the lanes, with a Sync on each, and combines the answers.
///
/// Cancel safe: no; the lanes are then broken.
pub(super) async fn run(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    flight: Flight,
    combiner: &mut Combiner<'_>,
) -> Result<Described, ScatterError> {
    let fillers = usize::from(flight.fills);
    let asked = lanes.len().saturating_sub(fillers);
    // A server that takes COPY data ignores Sync.
    lanes.iter_mut().take(asked).for_each(|lane| lane.sync(true));
    for lane in lanes.iter_mut() {
        lane.open_pipeline = false;
        lane.connection.broken = true;
    }
    let sources = lanes.iter().skip(fillers).map(|_| Source::default()).collect();
    let sent = Instant::now();
    let heard = vec![sent; lanes.len()];
    let mut run = Run {
        wire,
        lanes,
        combiner,
        sources,
        flight,
        begun: false,
        suspended: false,
        sent,
        heard,
        fills: false,
    };
    match run.drive().await {
        Ok(()) => {
            let suspended = run.suspended;
            let first = run.sources.into_iter().next().unwrap_or_default();
            let parameters = first.parameters.unwrap_or_default();
            let mut described = first.columns.into_iter();
            let columns = described.next().filter(|_| flight.beforehand > 0);
            Ok(Described { columns, further: described.collect(), parameters, suspended })
        }
        Err(stop) => {
            let described = run.sources.first().is_none_or(|first| first.columns.len() >= flight.beforehand);
            let Run { wire, lanes, combiner, .. } = run;
            let stop = match stop {
                // What the client has of the rows cannot be taken back.
                Stop::Unmergeable(error) if wire.sent && combiner.rows() > 0 => Stop::Sql(error),
                stop => stop,
            };
            Err(super::stop::stop(wire, lanes, stop, flight, described).await)
        }
    }
}

impl Run<'_, '_, '_, '_> {
    async fn drive(&mut self) -> Result<(), Stop> {
        loop {
            let begun = self.begun;
            for index in 0..self.lanes.len() {
                self.take(index)?;
            }
            if begun != self.begun {
                // What was held back until the last description came.
                continue;
            }
            self.combiner.emit(&mut self.wire.client.outbox)?;
            if self.wire.client.outbox.len() >= OUT_BYTES {
                self.wire.sent = true;
                self.wire.client.flush().await.map_err(|_| Stop::ClientGone)?;
                continue;
            }
            if self.lanes.iter().all(|lane| lane.owed.is_empty()) {
                return self.combiner.check_complete().map_err(Stop::Sql);
            }
            if self.has_due_rows() {
                continue;
            }
            self.wait().await?;
        }
    }

    /// Takes what stands whole at the front of a lane's buffer, as far as it may be taken now.
    fn take(&mut self, index: usize) -> Result<(), Stop> {
        loop {
            if self.lanes[index].owed.is_empty() {
                return Ok(());
            }
            let connection = &mut self.lanes[index].connection;
            let header = match frame::peek_backend(&connection.inbox, self.wire.limits) {
                Ok(Some(header)) => header,
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.broken(index, error.to_string())),
            };
            if connection.inbox.len() < header.len {
                let missing = header.len - connection.inbox.len();
                if missing > 16 * 1024 {
                    connection.expect_bytes(missing);
                }
                return Ok(());
            }
            let front = self.lanes[index].owed.front();
            let answers = matches!(front, Some(Owed::Execute { hidden: false }));
            if answers && !self.begun && matches!(header.tag, b'D' | b'C' | b'I' | b's') {
                return Ok(());
            }
            if answers && header.tag == b'D' {
                if !self.take_rows(index)? {
                    return Ok(());
                }
                continue;
            }
            let frame = self.lanes[index].connection.inbox.split_to(header.len).freeze();
            self.on_frame(index, header.tag, &frame)?;
        }
    }

    /// Takes rows from the front of a lane's buffer to where they go; whether there were any to take.
    fn take_rows(&mut self, index: usize) -> Result<bool, Stop> {
        let limits = self.wire.limits;
        let (sources, sink) = self.lanes.split_at_mut(self.sources.len());
        let inbox = &mut sources[index].connection.inbox;
        let out = outbox(sink.first_mut(), self.wire);
        let before = inbox.len();
        self.combiner.take_rows(index, inbox, limits, out)?;
        Ok(inbox.len() < before)
    }

    /// Rows that were held back and may be taken by now: others have passed.
    fn has_due_rows(&self) -> bool {
        let due = |(index, lane): (usize, &&mut Lane)| {
            whole_row(&lane.connection.inbox, self.wire.limits).is_some() && self.combiner.accepts(index)
        };
        let keeps_up = |sink: &&mut Lane| sink.connection.outbox.len() < OUT_BYTES;
        let (sources, sink) = self.lanes.split_at(self.sources.len());
        self.begun && sink.iter().all(keeps_up) && sources.iter().enumerate().any(due)
    }

    /// Any frame but a row.
    fn on_frame(&mut self, index: usize, tag: u8, frame: &Bytes) -> Result<(), Stop> {
        let body = frame.slice(HEADER_BYTES..);
        let front = self.lanes[index].owed.front().copied();
        match (tag, front) {
            (b'1', Some(Owed::Parse { .. }))
            | (b'2', Some(Owed::Bind { .. }))
            | (b'3', Some(Owed::Close { .. }))
            | (b'C' | b'I', Some(Owed::Execute { hidden: true })) => self.pop(index),
            (b'C' | b'I' | b's', Some(Owed::Execute { hidden: false })) => {
                self.pop(index);
                self.suspended |= tag == b's';
                let out = outbox(self.lanes.get_mut(self.sources.len()), self.wire);
                self.combiner.finish(index, out);
            }
            (b'G', Some(Owed::Hidden(Hidden::Fill))) => {
                self.fills = true;
                self.try_begin()?;
            }
            (b'T' | b'D' | b'C' | b'I', Some(Owed::Hidden(_))) => {}
            (b't', Some(Owed::Describe { .. })) => {
                let body = self.told(index, tag, body)?;
                let described = ParameterDescription::decode(&body);
                let described = described.map_err(|error| self.broken(index, error.to_string()))?;
                self.sources[index].parameters.get_or_insert_with(|| described.oids.iter().collect());
            }
            (b'T', Some(Owed::Describe { .. })) => {
                let body = self.told(index, tag, body)?;
                self.pop(index);
                let columns = Columns::read(body).map_err(|error| self.broken(index, error.to_string()))?;
                self.sources[index].columns.push(columns);
                self.try_begin()?;
            }
            (b'n', Some(Owed::Describe { .. })) if matches!(self.combiner, Combiner::Nothing) => {
                self.pop(index)
            }
            (b'n', Some(Owed::Describe { .. })) => {
                return Err(Stop::Sql(refusals::NO_ROWS_TO_COMBINE.error(&[])));
            }
            (b'E', _) => return Err(self.on_error(index, &body)),
            (b'Z', _) => self.on_ready(index, &body)?,
            (b'N', _) => self.wire.client.outbox.extend_from_slice(frame),
            (b'A', _) if self.wire.notify => {
                let mut frame = frame.to_vec();
                self.lanes[index].name_sender(&mut frame);
                self.wire.client.outbox.extend_from_slice(&frame);
            }
            (b'A', _) => {}
            (b'S', _) if self.lanes[index].scratch => {}
            (b'S', _) => {
                let status = ParameterStatus::decode(&body);
                let status = status.map_err(|error| self.broken(index, error.to_string()))?;
                self.wire.told.learn_for_later(status.name, status.value);
            }
            _ => return Err(self.broken(index, format!("message {:?} was not expected", tag as char))),
        }
        Ok(())
    }

    /// A description in the client's numbers of types, so that those of all lanes compare; not of rows that fill a table,
    /// which stay among servers.
    fn told(&self, index: usize, tag: u8, body: Bytes) -> Result<Bytes, Stop> {
        let lane = &self.lanes[index];
        let before = index == 0 && self.sources[0].columns.len() < self.flight.beforehand;
        let among_servers = matches!(self.combiner, Combiner::Fill(_));
        let Some(numbers) = lane.numbers.as_ref().filter(|_| before || !among_servers) else {
            return Ok(body);
        };
        let mut body = BytesMut::from(body);
        let carries = match tag {
            b't' => numbers::tell_parameters(&mut body, numbers).map(|()| false),
            _ => numbers::tell_columns(&mut body, numbers).map(|carried| !carried.carriers.is_empty()),
        };
        match carries {
            Ok(false) => Ok(body.freeze()),
            Ok(true) | Err(_) => Err(self.disagreement()),
        }
    }

    /// An answer may be left, and its tables gathered: none of its rows has been taken.
    fn disagreement(&self) -> Stop {
        let error = refusals::SHARDS_DISAGREE.error(&[]);
        match self.combiner {
            Combiner::Gather { .. }
            | Combiner::Concat { .. }
            | Combiner::Distinct { .. }
            | Combiner::Ordered { .. } => Stop::Unmergeable(error),
            Combiner::Nothing | Combiner::Fill(_) | Combiner::Texts(_) => Stop::Sql(error),
        }
    }

    /// Begins to combine once every lane has described its rows.
    fn try_begin(&mut self) -> Result<(), Stop> {
        let beforehand = self.flight.beforehand;
        let place = |index: usize| if index == 0 { beforehand } else { 0 };
        let ready = |(index, source): (usize, &Source)| source.columns.len() > place(index);
        if self.begun || self.flight.fills != self.fills || !self.sources.iter().enumerate().all(ready) {
            return Ok(());
        }
        let described = self.sources.iter().enumerate().map(|(index, source)| &source.columns[place(index)]);
        if !self.combiner.agree(described) {
            return Err(self.disagreement());
        }
        let columns = &self.sources[0].columns[place(0)];
        self.begun = true;
        let sources = self.sources.len();
        let out = outbox(self.lanes.get_mut(sources), self.wire);
        self.combiner.begin(columns, sources, out)
    }

    fn on_error(&mut self, index: usize, body: &[u8]) -> Stop {
        let error = match SqlError::parse(body) {
            Ok(error) => error,
            Err(error) => return self.broken(index, error.to_string()),
        };
        if error.ends_session() {
            let error = BackendError::ended(&self.lanes[index].connection.address, error);
            return Stop::Lost { lane: index, error };
        }
        let lane = &mut self.lanes[index];
        let error = lane.connection.key.as_told(error);
        if matches!(lane.owed.front(), Some(Owed::Hidden(_))) {
            return Stop::Prologue { lane: index, error };
        }
        lane.skip_to_sync();
        let described = self.sources.get(index).map_or(0, |source| source.columns.len());
        let is_clients = match self.flight.words {
            Words::Clients => true,
            Words::Ours => false,
            Words::ClientsBeforeOurs => index == 0 && described < self.flight.beforehand,
        };
        match is_clients {
            true => Stop::Sql(error),
            false => Stop::Sql(SqlError { position: None, ..error }),
        }
    }

    fn on_ready(&mut self, index: usize, body: &[u8]) -> Result<(), Stop> {
        let ready = ReadyForQuery::decode(body).map_err(|error| self.broken(index, error.to_string()))?;
        let lane = &mut self.lanes[index];
        match lane.owed.front() {
            Some(Owed::Sync { .. } | Owed::Hidden(_) | Owed::Query { .. }) => {
                lane.owed.pop_front();
            }
            _ => return Err(self.broken(index, "ReadyForQuery was not expected".to_owned())),
        }
        lane.connection.ready(ready.status, true);
        if lane.owed.is_empty() {
            lane.connection.broken = false;
            let time = self.heard[index].saturating_duration_since(self.sent);
            match lane.scratch {
                true => self.wire.times.add_scratch(time),
                false => self.wire.times.add(lane.shard, time),
            }
        }
        Ok(())
    }

    fn pop(&mut self, index: usize) {
        self.lanes[index].owed.pop_front();
    }

    fn broken(&self, index: usize, reason: String) -> Stop {
        let node = self.lanes[index].connection.address.to_string();
        Stop::Lost { lane: index, error: BackendError::Protocol { node, reason } }
    }

    /// Waits until a lane whose rows are wanted has said something. Writes what there is to be written, and watches
    /// the client.
    async fn wait(&mut self) -> Result<(), Stop> {
        let (limits, read_ahead) = (self.wire.limits, self.wire.read_ahead);
        let client = &mut *self.wire.client;
        let sent = &mut self.wire.sent;
        let lanes = &mut *self.lanes;
        let heard = &mut self.heard;
        let sources = self.sources.len();
        // Nothing but a row is worth a write of its own: until then another server may be asked.
        let rows = self.combiner.rows() > 0;
        let event = poll_fn(|cx| {
            if rows && !client.outbox.is_empty() {
                *sent = true;
                if let Poll::Ready(Err(_)) = client.poll_flush(cx) {
                    return Poll::Ready(Event::ClientGone);
                }
            }
            if client.inbox.len() < READ_AHEAD_BYTES {
                match client.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ClientGone),
                    // Poll again, so that the waker is registered.
                    Poll::Ready(Ok(_)) => cx.waker().wake_by_ref(),
                    Poll::Pending => {}
                }
            }
            let mut progress = false;
            for (index, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.owed.is_empty()) {
                let connection = &mut lane.connection;
                let unsent = connection.outbox.len();
                if unsent > 0
                    && let Poll::Ready(Err(_)) = connection.poll_flush(cx)
                {
                    return Poll::Ready(Event::Lost(index));
                }
                // A scratch session that has taken something takes more.
                progress |= index == sources && connection.outbox.len() < unsent && unsent >= OUT_BYTES;
                let full = connection.inbox.len() >= read_ahead;
                if full && whole_row(&connection.inbox, limits).is_some() {
                    continue;
                }
                match connection.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::Lost(index)),
                    Poll::Ready(Ok(_)) => {
                        progress = true;
                        heard[index] = Instant::now();
                    }
                    Poll::Pending => {}
                }
            }
            if progress { Poll::Ready(Event::Said) } else { Poll::Pending }
        })
        .await;
        match event {
            Event::Said => Ok(()),
            Event::ClientGone => Err(Stop::ClientGone),
            Event::Lost(lane) => {
                let error = BackendError::lost(&self.lanes[lane].connection.address);
                Err(Stop::Lost { lane, error })
            }
        }
    }
}

/// Where rows go: to the scratch session, if there is one, else to the client.
fn outbox<'o>(sink: Option<&'o mut &mut Lane>, wire: &'o mut Wire<'_>) -> &'o mut BytesMut {
    match sink {
        Some(sink) => &mut sink.connection.outbox,
        None => &mut wire.client.outbox,
    }
}

enum Event {
    Said,
    ClientGone,
    Lost(usize),
}
