//! The simple protocol: one Query message, which may hold several statements.
//!
//! ```text
//!   Query ─▶ split ─▶ one statement, one shard   the frame as it is                     (the hot path)
//!                  ─▶ all for one shard          the frame as it is: one transaction there
//!                  ─▶ several                    one by one inside an implicit block
//! ```
//!
//! Invariants:
//! 1. Several statements in one message are one transaction, unless they control transactions themselves; the first
//!    error ends the message, and a syntax error anywhere in it keeps all of them from running (`syntax`).
//! 2. A read that fails before any byte of its answer reached the client is tried on another server.

use std::ops::Range;

use bytes::BytesMut;
use memchr::memchr;

use super::block::{Block, Origin, Transaction};
use super::perform::Work;
use super::planning::Planned;
use super::{End, Failure, Request, Session};
use crate::backend::BackendError;
use crate::execute::RelayError;
use crate::execute::refusals;
use crate::figures::Route;
use crate::plan::{Access, Action};
use crate::sql::arguments::NoParameters;
use crate::sql::lexer::LexOptions;
use crate::sql::split::split;
use crate::topology::{NodeId, ShardId};
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{FrameHeader, HEADER_BYTES};
use crate::wire::frontend::Query;

/// No command tag of PostgreSQL's is longer.
const TAG_BYTES_MAX: usize = 64;
/// Servers that one read is tried on before its client is told.
const READ_ATTEMPTS: usize = 4;

impl Session {
    /// Serves the Query message at the front of the inbox.
    pub(super) async fn simple_query(&mut self, header: FrameHeader) -> Result<(), End> {
        let frame = self.client.inbox.split_to(header.len).freeze();
        let text = match Query::decode(&frame[HEADER_BYTES..]) {
            Ok(query) => query.sql,
            Err(error) => return Err(End::Fatal(error.into())),
        };
        let mut taken_up = Ok(());
        if self.pin.is_some() {
            taken_up = Box::pin(self.take_up_pinned()).await;
        }
        if taken_up.is_ok() && self.lanes.iter().any(|lane| lane.open_pipeline) {
            taken_up = Box::pin(self.take_up_open_pipelines()).await;
        }
        if let Some(portal) = self.portals.forget_unnamed() {
            self.close_held(portal);
        }
        self.statements.remove(b"");
        self.refresh_context();
        let outcome = match taken_up {
            Ok(()) => self.simple_statements(&frame, text).await,
            Err(failure) => Err(failure),
        };
        let outcome = match outcome {
            Err(failure) => Err(Box::pin(self.mistake_or_refusal(text, failure)).await),
            done => done,
        };
        match self.conclude(outcome).await {
            Ok(ready_sent) => {
                if !self.block.is_open() {
                    self.portals.clear();
                    self.end_held(true);
                    self.worker.figures.transactions.one();
                }
                if !ready_sent {
                    self.ready();
                }
                Ok(())
            }
            Err(end) => Err(end),
        }
    }

    /// Ok(true): the server's own ReadyForQuery has been forwarded.
    async fn simple_statements(&mut self, frame: &[u8], text: &[u8]) -> Result<bool, Failure> {
        if let Some(statement) = sole_statement(text) {
            let planned = self.plan_text(statement)?;
            if !planned.broken {
                return self.single(frame, statement, planned).await;
            }
        }
        let mut pieces = Vec::new();
        split(text, self.lex_options(), &mut pieces);
        match pieces.as_slice() {
            [] => {
                encode::server::empty_query_response(&mut self.client.outbox);
                Ok(false)
            }
            [piece] => {
                let statement = &text[piece.start as usize..piece.end as usize];
                let planned = self.plan_text(statement)?;
                self.single(frame, statement, planned).await
            }
            _ => Box::pin(self.several(frame, text, &pieces)).await,
        }
    }

    pub(super) fn lex_options(&self) -> LexOptions {
        let conforming = self.told.has_conforming_strings();
        LexOptions { standard_conforming_strings: conforming }
    }

    async fn single(&mut self, frame: &[u8], text: &[u8], planned: Planned) -> Result<bool, Failure> {
        if self.block.is_open() || self.fence.read_only || !self.is_relay(&planned) {
            self.perform(&planned, Work::Simple { text }).await?;
            return Ok(false);
        }
        let shard = self.single_shard(&planned, text)?;
        match shard {
            Some(shard) => self.relay_statements(frame, text, &planned, shard, 1).await,
            None => self.perform(&planned, Work::Simple { text }).await.map(|()| false),
        }
    }

    /// [`Session::relay_frame`], watched.
    async fn relay_statements(
        &mut self,
        frame: &[u8],
        text: &[u8],
        planned: &Planned,
        shard: ShardId,
        count: usize,
    ) -> Result<bool, Failure> {
        let begun = self.begin_watch();
        self.on_route(Route::Relay, Some(shard));
        let outcome = self.relay_frame(frame, text, planned, shard).await;
        self.end_watch(begun, planned, text, count);
        outcome
    }

    /// A statement outside any block, for one shard: the client's bytes to the server, the server's to the client.
    async fn relay_frame(
        &mut self,
        frame: &[u8],
        text: &[u8],
        planned: &Planned,
        shard: ShardId,
    ) -> Result<bool, Failure> {
        let access = planned.plan.access;
        self.asks = planned.asks;
        let mut avoid: Vec<NodeId> = Vec::new();
        loop {
            let index = self.join_for(planned, shard, &avoid).await?;
            if self.is_redefined() {
                Box::pin(self.demand_same_place(text, (shard, access))).await?;
            }
            let mark = self.client.outbox.len();
            let suspect = planned.is_suspect(self.pin.is_some());
            let lane = &mut self.lanes[index];
            let node = lane.connection.node;
            lane.query_frame(frame, true);
            lane.runs_again = true;
            lane.connection.suspect |= suspect;
            if access == Access::Write {
                lane.note_notifier();
            }
            if access == Access::Write && !planned.copies_in() {
                self.ask_position(index);
            }
            let ran = self.run_lane(index).await;
            if let Some(lane) = self.lanes.get_mut(index) {
                lane.runs_again = false;
            }
            match ran {
                Ok(report) if report.again.is_some() => self.client.outbox.truncate(mark),
                Ok(report) => {
                    if planned.copies_in() && report.error.is_none() {
                        Box::pin(self.ask_position_now(index)).await;
                    }
                    if report.status.is_some_and(|s| s != crate::wire::backend::TransactionStatus::Idle) {
                        self.adopt_block(index);
                    }
                    return Ok(true);
                }
                Err(error) => {
                    let again = self.may_retry(&error, access, avoid.len());
                    let failure = self.relay_failed(index, error).await;
                    if !again {
                        return Err(failure);
                    }
                    self.client.outbox.truncate(mark);
                    self.worker.figures.retries.one();
                    avoid.push(node);
                }
            }
        }
    }

    /// Nothing has reached the client, nothing can have been changed: another server may be asked.
    pub(super) fn may_retry(&self, error: &RelayError, access: Access, attempts: usize) -> bool {
        match error {
            RelayError::Server { error, forwarded: false } => self.may_ask_again(error, access, attempts),
            RelayError::Server { .. } | RelayError::ClientGone | RelayError::ClientProtocol(_) => false,
        }
    }

    /// The same, where nothing was forwarded.
    pub(super) fn may_ask_again(&self, error: &BackendError, access: Access, attempts: usize) -> bool {
        access == Access::Read
            && attempts + 1 < READ_ATTEMPTS
            && !self.block.is_open()
            && self.pin.is_none()
            && error.retry_elsewhere()
    }

    /// A server says that it is in a transaction which the text did not show: what it says counts.
    pub(super) fn adopt_block(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        lane.set_in_block(true);
        lane.note_write(true);
        let prologue = vec!["BEGIN".to_owned()];
        let transaction = Transaction::new(Origin::Explicit, prologue, &self.settings, &self.own);
        self.block = Block::Open(Box::new(transaction));
    }

    /// Several statements in one message.
    async fn several(&mut self, frame: &[u8], text: &[u8], pieces: &[Range<u32>]) -> Result<bool, Failure> {
        if !self.block.is_open()
            && !self.fence.read_only
            && let Some((planned, shard)) = self.all_for_one_shard(text, pieces)
        {
            return self.relay_statements(frame, text, &planned, shard, pieces.len()).await;
        }
        self.check_syntax(text).await?;
        let (mut behind, mut counted) = (0, 0);
        let read_by = self.lex_options();
        for (number, piece) in pieces.iter().enumerate() {
            behind += characters(&text[counted..piece.start as usize]);
            counted = piece.start as usize;
            let statement = &text[piece.start as usize..piece.end as usize];
            if self.lex_options() != read_by && statement.contains(&b'\\') {
                return Err(Failure::Sql(refusals::READ_WITH_ITS_MESSAGE.error(&[])));
            }
            self.refresh_context();
            let planned = self.plan_text(statement)?;
            if !self.block.is_open() && !planned.begins_block() {
                self.begin_implicit();
            }
            self.behind = behind;
            if number + 1 == pieces.len() {
                self.last_tag = LastTag::Awaited;
            }
            let performed = self.perform(&planned, Work::Simple { text: statement }).await;
            self.behind = 0;
            performed.map_err(|failure| match failure {
                Failure::Sql(error) => Failure::Sql(error.behind(behind)),
                other => other,
            })?;
        }
        Ok(false)
    }

    /// If every statement is relayed, and to the same shard: the plan with the strongest access, and the shard.
    fn all_for_one_shard(&mut self, text: &[u8], pieces: &[Range<u32>]) -> Option<(Planned, ShardId)> {
        let pinned = self.pin.is_some();
        let mut found: Option<(Planned, ShardId)> = None;
        for piece in pieces {
            let statement = &text[piece.start as usize..piece.end as usize];
            let planned = self.plan_text(statement).ok()?;
            if !self.is_relay(&planned) || planned.copies_in() || planned.turns_reading() {
                return None;
            }
            let shard = self.single_shard(&planned, statement).ok()??;
            found = match found {
                None => Some((planned, shard)),
                Some((_, other)) if other != shard => return None,
                Some((strongest, _)) if strongest.plan.access >= planned.plan.access => {
                    Some((strongest.and_after(&planned, pinned), shard))
                }
                Some((weaker, _)) => Some((planned.and_after(&weaker, pinned), shard)),
            };
        }
        found
    }

    pub(super) fn begin_implicit(&mut self) {
        let prologue = self.fence.prologue("BEGIN".to_owned(), None);
        let transaction = Transaction::new(Origin::Implicit, prologue, &self.settings, &self.own);
        self.block = Block::Open(Box::new(transaction));
    }

    /// Whether the statement goes to one server as it is, if it needs only one.
    pub(super) fn is_relay(&self, planned: &Planned) -> bool {
        matches!(planned.plan.action, Action::Routed { .. } | Action::Anywhere | Action::Fixed(_))
            && !self.names_temporary(planned)
            && planned.sets.is_nothing()
            && !planned.plan.lists.any()
            && self.check_encoded(planned).is_ok()
    }

    /// The one shard that the statement needs; None if it needs more.
    pub(super) fn single_shard(
        &mut self,
        planned: &Planned,
        text: &[u8],
    ) -> Result<Option<ShardId>, Failure> {
        let shards = self.bind(planned, text, &planned.literals, &NoParameters)?;
        Ok(shards.single())
    }

    /// The tag of a Query's last statement, which PostgreSQL says behind its commit. `commits`: that is to come.
    fn take_last_tag(&mut self, commits: bool) -> Option<Box<[u8]>> {
        match std::mem::take(&mut self.last_tag) {
            LastTag::Kept(tag) => Some(tag),
            LastTag::Told if self.request == Request::Extended => None,
            LastTag::Told | LastTag::Awaited if commits => take_tag(&mut self.client.outbox),
            LastTag::Told | LastTag::Awaited => None,
        }
    }

    /// Ends a request: an implicit block commits, an error is told. Ok: whether ReadyForQuery has been sent.
    pub(super) async fn conclude(&mut self, outcome: Result<bool, Failure>) -> Result<bool, End> {
        let implicit = self.block.get().is_some_and(|t| t.origin == Origin::Implicit);
        let kept = self.take_last_tag(implicit && outcome.is_ok());
        let outcome = match outcome {
            Ok(sent) if implicit => Box::pin(self.commit_block(false)).await.map(|_| sent),
            other => other,
        };
        if let (Ok(_), Some(tag)) = (&outcome, kept) {
            encode::server::command_complete(&mut self.client.outbox, &tag);
        }
        let sent = match outcome {
            Ok(sent) => sent,
            Err(Failure::End(end)) => return Err(end),
            Err(failure) => {
                if let Failure::Sql(error) = failure {
                    self.tell(&error);
                }
                self.block.fail();
                if self.block.get().is_some_and(|t| t.origin == Origin::Implicit) {
                    Box::pin(self.roll_back_block()).await;
                }
                false
            }
        };
        if self.is_encoded_otherwise() {
            Box::pin(self.follow_encoding()).await;
        }
        // What code has set is told before the client hears that the session is ready.
        if !sent && !self.block.is_open() && self.has_suspects() {
            Box::pin(self.look_at_suspects()).await;
        }
        Ok(sent)
    }

    /// FunctionCall: only where it is plain where it goes, the default shard.
    pub(super) async fn function_call(&mut self, header: FrameHeader) -> Result<(), End> {
        let frame = self.client.inbox.split_to(header.len).freeze();
        self.refresh_context();
        let outcome = self.call_function(&frame).await;
        if !self.conclude(outcome).await? {
            self.ready();
        }
        Ok(())
    }

    async fn call_function(&mut self, frame: &[u8]) -> Result<bool, Failure> {
        if self.block.is_failed() {
            return Err(Failure::Sql(self.in_failed_block()));
        }
        if self.fence.read_only {
            return Err(Failure::Sql(self.fence.refusal("a FunctionCall message")));
        }
        self.check_encoded_call()?;
        if let Some(transaction) = self.block.transaction() {
            // Nobody knows what it does.
            transaction.on_primaries = true;
        }
        let index = self.join_pinned().await?;
        // Behind a block of ours the client hears that it is ready when that is committed.
        let told = self.sync_is_theirs();
        let lane = &mut self.lanes[index];
        lane.query_frame(frame, told);
        lane.note_write(true);
        lane.connection.suspect = true;
        if !lane.in_block {
            self.ask_position(index);
        }
        match self.run_lane(index).await {
            Ok(report) if report.error.is_some() => {
                self.block.fail();
                if told { Ok(true) } else { Err(Failure::Told) }
            }
            Ok(_) => Ok(told),
            Err(error) => Err(self.relay_failed(index, error).await),
        }
    }
}

/// What has become of the command tag of a Query's last statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum LastTag {
    /// It goes to the client as it comes, or to what waits for it.
    #[default]
    Told,
    /// It is to be kept back: the transaction is still to be committed.
    Awaited,
    Kept(Box<[u8]>),
}

/// Takes the CommandComplete away that ends what waits for the client.
fn take_tag(outbox: &mut BytesMut) -> Option<Box<[u8]>> {
    let end = outbox.len().checked_sub(1).filter(|end| outbox[*end] == 0)?;
    let is_of_tags = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let length = outbox[..end].iter().rev().take(TAG_BYTES_MAX).take_while(|byte| is_of_tags(byte)).count();
    let begins = |start: &usize| {
        let body = (HEADER_BYTES - 1 + end - start + 1) as u32;
        outbox[..*start].ends_with(&[&b"C"[..], &body.to_be_bytes()].concat())
    };
    let start = (end - length..end).find(begins)?;
    let tag = outbox[start..end].into();
    outbox.truncate(start - HEADER_BYTES);
    Some(tag)
}

/// In UTF-8: every byte that continues none begins one.
fn characters(text: &[u8]) -> u32 {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u32
}

/// The text without its final semicolon, if it has no other: then it need not be split, unless a quote or a comment is
/// open at its end.
fn sole_statement(text: &[u8]) -> Option<&[u8]> {
    let trimmed = text.trim_ascii_end();
    let statement = trimmed.strip_suffix(b";").unwrap_or(text);
    memchr(b';', statement).is_none().then_some(statement)
}

/// What PostgreSQL says to every statement of a failed transaction.
pub(super) fn in_failed_block() -> SqlError {
    SqlError::new(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_taken_off_the_end() {
        for tag in ["SELECT 3", "INSERT 0 123456789012345678", "CREATE TABLE", "COPY 0"] {
            let mut outbox = BytesMut::new();
            encode::server::command_complete(&mut outbox, b"SELECT 1");
            encode::server::command_complete(&mut outbox, tag.as_bytes());
            assert_eq!(take_tag(&mut outbox).as_deref(), Some(tag.as_bytes()));
            assert_eq!(take_tag(&mut outbox).as_deref(), Some(&b"SELECT 1"[..]));
            assert_eq!((take_tag(&mut outbox), outbox.len()), (None, 0));
        }
        let mut outbox = BytesMut::new();
        encode::server::empty_query_response(&mut outbox);
        assert_eq!((take_tag(&mut outbox), outbox.len()), (None, 5));
    }
}
