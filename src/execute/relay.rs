//! The relay: a server's answer to the client, frame by frame, without decoding rows.
//!
//! `session` writes messages into a [`Lane`] and calls [`relay`]; it returns when the lane owes nothing more. What
//! goes to the client unchanged is written straight from the lane's inbox, in one write for all that has arrived;
//! only when something is swallowed or added in the middle are the pieces put together first.
//!
//! ```text
//!  lane.inbox  │1│2│T│D│D│D│C│Z│     1 swallowed (our Parse)
//!               ─ └───────────┘     the rest in one write
//! ```
//!
//! Invariants:
//! 1. Every byte that is owed to the client and not hidden reaches it, in order, exactly once.
//! 2. A row larger than the buffer passes through it in pieces; memory does not grow with the answer.
//! 3. A slow client stops the reading of its rows: nothing more is read while a write to it is pending.
//! 4. Rows that fill no write of their own wait for those that follow, a moment at most; the end of an answer never waits.
//! 5. What the client was told to be done stays done: of a server that is lost behind its last answer, before that to our own
//!    question for the position, the client hears nothing.
//! 6. While the server works the client is watched: if it goes, the statement is cancelled by the caller.
//!
//! Not here: which lane, and what the answer means for the transaction (session).

mod copy_in;
mod report;
mod state;

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Buf, BytesMut};

use super::client::ClientStream;
use super::lane::{Hidden, Lane, LocalReply, Owed};
use super::numbers::{self, Carried};
use super::told::Told;
use crate::backend::BackendError;
use crate::backend::strike::Strike;
use crate::topology::Lsn;
use crate::wire::DecodeError;
use crate::wire::backend::{DataRow, ParameterStatus, ReadyForQuery};
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{self, FrameHeader, HEADER_BYTES, Limits};
pub use report::{Again, Confirmed, RelayError, Report, rows_of_tag};
use state::State;

/// How much of the client's next messages is read ahead while a statement runs: enough to see that it is still there.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// What the caller wants besides the bytes.
pub struct Relay<'a> {
    pub client: &'a mut ClientStream,
    pub lane: &'a mut Lane,
    /// Parameters as the client believes them.
    pub told: &'a mut Told,
    pub limits: &'a Limits,
    /// Whether notifications may pass: the session listens on this connection.
    pub notify: bool,
    /// Keeps the answer in the client's outbox: the caller decides later whether it may be sent.
    pub hold: bool,
    /// Keeps CommandComplete back, in the report: what the statement has done may yet fail.
    pub keeps_tag: bool,
    /// Bytes of the server's stand in the client's outbox.
    pub moved: bool,
}

/// Moves answers until the lane owes nothing. Cancel safe: no; the lane is then broken.
pub async fn relay(mut relay: Relay<'_>) -> Result<Report, RelayError> {
    let mut report = Report::default();
    relay.lane.connection.broken = true;
    let mut state = State::default();
    relay.local_replies(&mut report);
    while !relay.lane.owed.is_empty() || state.passing > 0 {
        let is_empty = relay.lane.connection.inbox.is_empty();
        let scanned = match is_empty {
            true => Ok(0),
            false => relay.scan(&mut state, &mut report),
        };
        let scanned = scanned.map_err(|error| state.torn(error, relay.lane))?;
        if state.may_wait(scanned) {
            state.waiting = scanned;
        } else {
            relay.deliver(scanned, &mut report).await?;
            state.delivered();
        }
        if relay.lane.owed.is_empty() && state.passing == 0 {
            break;
        }
        match relay.exchange(&mut state, &mut report).await {
            Err(RelayError::Server { .. }) if relay.lane.owes_position_only() => {
                relay.lost_behind(&mut report)
            }
            exchanged => exchanged.map_err(|error| state.torn(error, relay.lane))?,
        }
    }
    if !relay.lane.connection.outbox.is_empty() {
        // A Flush with nothing behind it that is answered.
        let flushed = poll_fn(|cx| relay.lane.connection.poll_flush(cx)).await;
        flushed.map_err(|_| relay.lost(&report))?;
    }
    relay.lane.connection.broken = report.lost_behind;
    report.awaits_sync |= state.copy_extended;
    Ok(report)
}

impl Relay<'_> {
    fn lost(&self, report: &Report) -> RelayError {
        RelayError::Server {
            error: BackendError::lost(&self.lane.connection.address),
            forwarded: report.forwarded,
        }
    }

    /// The client has its whole answer; only ours is missing.
    fn lost_behind(&mut self, report: &mut Report) {
        self.lane.owed.clear();
        (report.no_position, report.lost_behind) = (true, true);
    }

    fn broken(&self, reason: impl Into<String>, report: &Report) -> RelayError {
        let node = self.lane.connection.address.to_string();
        RelayError::Server {
            error: BackendError::Protocol { node, reason: reason.into() },
            forwarded: report.forwarded,
        }
    }

    /// Answers that are ours and whose turn has come.
    fn local_replies(&mut self, report: &mut Report) {
        while let Some(Owed::Local(reply)) = self.lane.owed.front() {
            match reply {
                LocalReply::ParseComplete => {
                    report.confirmed.parses += 1;
                    encode::server::parse_complete(&mut self.client.outbox);
                }
                LocalReply::CloseComplete => {
                    report.confirmed.closes += 1;
                    encode::server::close_complete(&mut self.client.outbox);
                }
            }
            self.lane.owed.pop_front();
        }
    }

    /// Looks at every whole frame in the inbox. Returns how many bytes at its front are to be delivered as they are;
    /// when something had to be left out or put in, all of it has gone to the client's outbox instead.
    fn scan(&mut self, state: &mut State, report: &mut Report) -> Result<usize, RelayError> {
        let mut at = state.waiting;
        loop {
            if state.passing > 0 {
                at = self.pass(at, state);
                if state.passing > 0 {
                    return Ok(at);
                }
            }
            let Some(owed) = self.lane.owed.front().copied() else { return Ok(at) };
            let hidden = owed.is_hidden();
            let mut rest = &self.lane.connection.inbox[at..];
            if let Some(b'D' | b'd') = rest.first()
                && !hidden
                && state.carried.carriers.is_empty()
            {
                // Rows pass whether they are all here or not.
                let before = at;
                (at, state.passing) = frame::pass_rows(&self.lane.connection.inbox, at, self.limits);
                state.amid_rows |= at > before;
                if state.passing > 0 {
                    return Ok(at);
                }
                rest = &self.lane.connection.inbox[at..];
            }
            let header = match frame::peek_backend(rest, self.limits) {
                Ok(Some(header)) => header,
                Ok(None) => return Ok(at),
                Err(error) => return Err(self.broken(error.to_string(), report)),
            };
            let carried = header.tag == b'D' && !state.carried.carriers.is_empty();
            if matches!(header.tag, b'D' | b'd') && !(hidden && header.tag == b'D') && !carried {
                // Rows pass whether they are all here or not.
                let here = header.len.min(rest.len());
                state.passing = header.len - here;
                state.amid_rows = true;
                at += here;
                if state.passing > 0 {
                    return Ok(at);
                }
                continue;
            }
            if rest.len() < header.len {
                if header.len > rest.len() + 16 * 1024 {
                    let missing = header.len - rest.len();
                    self.lane.connection.expect_bytes(missing);
                }
                return Ok(at);
            }
            state.amid_rows = false;
            let header = self.translate(at, header, state, report)?;
            at = match self.on_frame(at, header, owed, state, report)? {
                true if header.tag == b'Z' && self.told.has_news() => self.tell_news(at) + header.len,
                true => at + header.len,
                false if header.tag == b'E' && report.again.is_some() => self.drop_all(at + header.len),
                false => self.drop_range(at, header.len),
            };
            if matches!(self.lane.owed.front(), Some(Owed::Local(_))) {
                at = self.drop_range(at, 0);
                self.local_replies(report);
            }
            if state.copy_in {
                return Ok(at);
            }
        }
    }

    /// Takes what is here of a message that passes unseen. Returns the new scan position.
    fn pass(&mut self, at: usize, state: &mut State) -> usize {
        let take = state.passing.min(self.lane.connection.inbox.len() - at);
        state.passing -= take;
        let is_over = state.passing == 0;
        let swallowing = if is_over { std::mem::take(&mut state.swallowing) } else { state.swallowing };
        if swallowing { self.drop_range(at, take) } else { at + take }
    }

    /// Leaves `length` bytes at `at` out: what stands before goes to the outbox. Returns the new scan position, 0.
    fn drop_range(&mut self, at: usize, length: usize) -> usize {
        if at > 0 {
            self.moved = true;
            let before = &self.lane.connection.inbox[..at];
            self.client.outbox.extend_from_slice(before);
        }
        self.lane.connection.inbox.advance(at + length);
        0
    }

    /// Before the ReadyForQuery at `at`, as PostgreSQL does. Returns the new scan position, 0.
    fn tell_news(&mut self, at: usize) -> usize {
        let at = self.drop_range(at, 0);
        self.told.tell_news(&mut self.client.outbox);
        at
    }

    /// Leaves out what was said up to there, as the parameters of a statement whose columns have changed.
    fn drop_all(&mut self, length: usize) -> usize {
        self.lane.connection.inbox.advance(length);
        0
    }

    /// Puts the client's numbers of types in the place of the shard's, and an error's place in the client's message.
    fn translate(
        &mut self,
        at: usize,
        header: FrameHeader,
        state: &mut State,
        report: &Report,
    ) -> Result<FrameHeader, RelayError> {
        let Some(numbers) = &self.lane.numbers else {
            return Ok(if header.tag == b'E' { self.place_error(at, header) } else { header });
        };
        let frame = &mut self.lane.connection.inbox[at..at + header.len];
        let done = match header.tag {
            b't' => numbers::tell_parameters(&mut frame[HEADER_BYTES..], numbers),
            b'T' => numbers::tell_columns(&mut frame[HEADER_BYTES..], numbers)
                .map(|carried| state.carried = carried),
            b'D' => numbers::tell_row(frame, &state.carried.carriers, numbers),
            b'C' | b's' | b'I' | b'E' | b'n' => {
                state.carried = Carried::default();
                Ok(())
            }
            _ => Ok(()),
        };
        done.map_err(|error| self.broken(format!("the answer has {error}"), report))?;
        Ok(self.place_error(at, header))
    }

    /// An error tells its place in the text that the server was sent; the client counts from the beginning of its message.
    /// And it may be a cancel of ours, which has a reason.
    fn place_error(&mut self, at: usize, header: FrameHeader) -> FrameHeader {
        let inbox = &mut self.lane.connection.inbox;
        let end = at + header.len;
        if header.tag != b'E' {
            return header;
        }
        let of_the_client = matches!(self.lane.owed.front(), Some(Owed::Query { .. }));
        let behind = if of_the_client { self.lane.behind } else { 0 };
        let key = &self.lane.connection.key;
        if behind == 0 && !key.struck.is_set() {
            return header;
        }
        let Ok(error) = SqlError::parse(&inbox[at + HEADER_BYTES..end]) else { return header };
        let mut placed = BytesMut::new();
        encode::server::error_response(&mut placed, &key.as_told(error).behind(behind));
        let rest = inbox.split_off(end);
        inbox.truncate(at);
        let header = FrameHeader { len: placed.len(), ..header };
        inbox.unsplit(placed);
        inbox.unsplit(rest);
        header
    }

    /// Takes one whole frame of the answer that is owed now; the answer is whether the client gets it.
    fn on_frame(
        &mut self,
        at: usize,
        header: FrameHeader,
        owed: Owed,
        state: &mut State,
        report: &mut Report,
    ) -> Result<bool, RelayError> {
        let hidden = owed.is_hidden();
        let body = &self.lane.connection.inbox[at + HEADER_BYTES..at + header.len];
        match header.tag {
            tag @ (b'1' | b'2' | b'3') => match self.lane.confirm(tag) {
                Some(Owed::Parse { .. }) => report.confirmed.parses += usize::from(!hidden),
                Some(_) => {}
                None => return Err(self.unexpected(tag, report)),
            },
            b'T' | b'n' => {
                report.note_probe(owed, &state.carried);
                self.lane.confirm(header.tag);
                return Ok(!hidden && (header.tag == b'T' || owed != Owed::Columns));
            }
            b'D' => report.position = first_lsn(body).filter(|_| hidden).or(report.position),
            b'C' | b'I' | b's' => return Ok(self.on_end(at, header, hidden, report)),
            b'E' => return self.on_error(at, header, hidden, report),
            b'Z' => {
                let told = self.on_ready(ReadyForQuery::decode(body), hidden, report)?;
                state.answered |= told;
                return Ok(told);
            }
            b'N' => return Ok(true),
            b'A' => {
                self.name_sender(at, header.len);
                return Ok(self.notify);
            }
            // It is brought to the settings of the session step by step.
            b'S' if self.lane.scratch => return Ok(false),
            b'S' => {
                let status = ParameterStatus::decode(body);
                // Before a ReadyForQuery that the client gets it may pass as it is.
                let now = matches!(owed, Owed::Query { ready: true } | Owed::Sync { hidden: false });
                return match status {
                    Ok(status) if self.lane.is_undone(&status) => Ok(false),
                    Ok(status) if now => Ok(self.told.learn_now(status.name, status.value)),
                    Ok(status) => {
                        self.told.learn_for_later(status.name, status.value);
                        Ok(false)
                    }
                    Err(error) => Err(self.broken(error.to_string(), report)),
                };
            }
            b'G' if !hidden => {
                state.copy_in = true;
                state.copy_extended = matches!(owed, Owed::Execute { .. });
                if state.copy_extended {
                    // The server ignores what was sent after Execute up to the end of the copy, Sync included.
                    while self.lane.owed.len() > 1 {
                        if let Some(Owed::Parse { id: Some(id), .. }) = self.lane.owed.pop_back() {
                            self.lane.connection.statements.remove(id);
                        }
                    }
                }
            }
            b't' if self.lane.notes_parameters => report.note_parameters(body),
            b't' | b'H' | b'c' | b'V' => {}
            other => return Err(self.unexpected(other, report)),
        }
        Ok(!hidden)
    }

    fn name_sender(&mut self, at: usize, length: usize) {
        let mut inbox = std::mem::take(&mut self.lane.connection.inbox);
        self.lane.name_sender(&mut inbox[at..at + length]);
        self.lane.connection.inbox = inbox;
    }

    fn pop(&mut self) {
        self.lane.owed.pop_front();
    }

    fn unexpected(&self, tag: u8, report: &Report) -> RelayError {
        self.broken(format!("message {:?} was not expected", tag as char), report)
    }

    /// The end of a statement's answer; whether the client gets it.
    fn on_end(&mut self, at: usize, header: FrameHeader, hidden: bool, report: &mut Report) -> bool {
        let body = &self.lane.connection.inbox[at + HEADER_BYTES..at + header.len];
        let completes = header.tag == b'C' && !hidden;
        if completes {
            report.rows += rows_of_tag(body);
        }
        let kept = completes && self.keeps_tag;
        if kept {
            report.tag = body.strip_suffix(b"\0").map(Into::into);
        }
        report.suspended = header.tag == b's';
        self.lane.confirm(header.tag);
        !(hidden || kept)
    }

    fn on_error(
        &mut self,
        at: usize,
        header: FrameHeader,
        hidden: bool,
        report: &mut Report,
    ) -> Result<bool, RelayError> {
        let body = &self.lane.connection.inbox[at + HEADER_BYTES..at + header.len];
        let error = match SqlError::parse(body) {
            Ok(error) => error,
            Err(decode) => return Err(self.broken(decode.to_string(), report)),
        };
        if error.ends_session() && self.lane.owes_position_only() {
            self.lost_behind(report);
            return Ok(false);
        }
        if error.ends_session() {
            let error = BackendError::ended(&self.lane.connection.address, error);
            return Err(RelayError::Server { error, forwarded: report.forwarded });
        }
        if let Some(again) = self.again(&error, report) {
            report.again = Some(again);
            self.leave_untold();
            return Ok(false);
        }
        let error = Box::new(error);
        match self.lane.owed.front() {
            // A late cancel, or a right that is missing: what the client was told stays true.
            Some(Owed::Hidden(Hidden::Position)) => {
                report.no_position = true;
                Ok(false)
            }
            Some(Owed::Hidden(_)) => {
                report.hidden_error.get_or_insert(error);
                Ok(false)
            }
            Some(Owed::Query { .. }) => {
                report.error.get_or_insert(error);
                Ok(true)
            }
            _ => {
                if is_about_our_statements(&error) {
                    self.lane.connection.astray = true;
                }
                // A setting of ours that fails is the statement's failure: the client is told.
                report.error.get_or_insert(error);
                let parse = matches!(self.lane.owed.front(), Some(Owed::Parse { .. }));
                report.confirmed.failed_parse |= parse && !hidden;
                self.lane.skip_to_sync();
                if self.lane.owed.is_empty() {
                    report.awaits_sync = true;
                }
                Ok(true)
            }
        }
    }

    /// Why what has failed may be run again without the client's knowledge.
    fn again(&self, error: &SqlError, report: &Report) -> Option<Again> {
        if self.moved || report.forwarded || matches!(self.lane.owed.front(), Some(Owed::Hidden(_))) {
            return None;
        }
        // Nothing can have been done yet.
        let before = matches!(self.lane.owed.front(), Some(Owed::Bind { .. } | Owed::Describe { .. }));
        match error {
            error if self.lane.reuses && before && is_of_the_text(error) => Some(Again::Outdated),
            error if self.lane.runs_again && Strike::Redefinition.is_told_by(error) => Some(Again::Redefined),
            _ => None,
        }
    }

    /// The client hears nothing of what has failed, nor that the server is ready again.
    fn leave_untold(&mut self) {
        if let Some(Owed::Query { ready }) = self.lane.owed.front_mut() {
            *ready = false;
            return;
        }
        self.lane.skip_to_sync();
        if let Some(Owed::Sync { hidden }) = self.lane.owed.front_mut() {
            *hidden = true;
        }
    }

    fn on_ready(
        &mut self,
        ready: Result<ReadyForQuery, DecodeError>,
        hidden: bool,
        report: &mut Report,
    ) -> Result<bool, RelayError> {
        let ready = match ready {
            Ok(ready) => ready,
            Err(error) => return Err(self.broken(error.to_string(), report)),
        };
        let mut keep = !hidden;
        match self.lane.owed.front() {
            Some(Owed::Query { ready }) => {
                keep = *ready;
                self.pop();
            }
            Some(Owed::Sync { .. } | Owed::Hidden(_)) => self.pop(),
            _ => return Err(self.broken("ReadyForQuery was not expected", report)),
        }
        let clean = report.error.is_none() && report.hidden_error.is_none() && report.again.is_none();
        self.lane.connection.ready(ready.status, clean);
        report.status = Some(ready.status);
        Ok(keep)
    }

    /// Sends the first `length` bytes of the inbox, after what waits in the outbox.
    async fn deliver(&mut self, length: usize, report: &mut Report) -> Result<(), RelayError> {
        if self.hold {
            self.drop_range(length, 0);
            return Ok(());
        }
        // Answers of ours wait for the server's: they are not worth a write, and until then another server may be asked.
        if length > 0 || self.moved {
            self.moved = false;
            report.forwarded = true;
            let bytes = &self.lane.connection.inbox[..length];
            self.client.send(bytes).await.map_err(|_| RelayError::ClientGone)?;
            self.lane.connection.inbox.advance(length);
        }
        Ok(())
    }

    /// Waits for the server, writing what is still to be written to it, and watching the client.
    async fn exchange(&mut self, state: &mut State, report: &mut Report) -> Result<(), RelayError> {
        if state.copy_in {
            return self.copy_in(state, report).await;
        }
        let client = &mut *self.client;
        let connection = &mut self.lane.connection;
        let event = poll_fn(|cx| {
            if !connection.outbox.is_empty()
                && let Poll::Ready(Err(_)) = connection.poll_flush(cx)
            {
                return Poll::Ready(Event::ServerGone);
            }
            match connection.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ServerGone),
                Poll::Ready(Ok(_)) => return Poll::Ready(Event::Server),
                Poll::Pending => {}
            }
            if client.inbox.len() < READ_AHEAD_BYTES {
                match client.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ClientGone),
                    // Poll again, so that the waker is registered.
                    Poll::Ready(Ok(_)) => cx.waker().wake_by_ref(),
                    Poll::Pending => {}
                }
            }
            state.poll_late(cx).map(|()| Event::Late)
        })
        .await;
        match event {
            Event::Server | Event::Late => Ok(()),
            Event::ServerGone => Err(self.lost(report)),
            Event::Client | Event::ClientGone => Err(RelayError::ClientGone),
        }
    }
}

enum Event {
    Server,
    ServerGone,
    Client,
    ClientGone,
    /// What was received has waited for more for long enough.
    Late,
}

/// The value of a one-column text row as an LSN.
fn first_lsn(body: &[u8]) -> Option<Lsn> {
    let row = DataRow::decode(body).ok()?;
    let value = row.iter().next()??;
    Lsn::parse(std::str::from_utf8(value).ok()?)
}

/// It may be otherwise for a text that is parsed now: not a cancel, a timeout, a deadlock or a lack of something.
fn is_of_the_text(error: &SqlError) -> bool {
    ["08", "0A", "22", "26", "42"].contains(&error.sqlstate.class())
}

/// The server has other statements under our names than we know of: somebody's code has deallocated them.
fn is_about_our_statements(error: &SqlError) -> bool {
    let states = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PREPARED_STATEMENT];
    states.contains(&error.sqlstate) && error.message.contains("\"mrd_")
}
