//! COPY FROM STDIN into a table that has rows on several shards: the driver.
//!
//! Called by `session`, which wraps it in a transaction over every shard that takes rows. The COPY is opened on the
//! first shard before the client is asked for data, so that a missing table or permission is told at once; on any
//! other when its first row comes.
//!
//! ```text
//!   stage of a shard:   Waiting ──join, COPY──▶ Opening ──CopyInResponse──▶ Copying ──CopyDone, CopyFail──▶ Ending ──▶ Ended
//!                       (rows gather in its batch)                          (batches go out)          ReadyForQuery
//! ```
//!
//! Invariants:
//! 1. The client is read only while every shard copies and none has much unsent: a slow shard slows the client.
//! 2. Servers are always listened to, so that an objection ends the copy while the client still sends.
//! 3. CopyDone goes to shards only when all rows have gone; after a failure every shard that copies gets CopyFail.
//! 4. The client's messages are taken up to CopyDone or CopyFail; after an error, at least to the end of a message.
//!
//! Not here: what rows are and where they go ([`super::batches`]); CommandComplete, which follows the commit (`session`).

use std::future::poll_fn;
use std::time::Duration;

use super::batches::{Batch, Batches};
use super::exchange::{BACKLOG_BYTES, Event, Listen, Part, READ_BYTES, Stage, poll_exchange};
use super::hearing::{self, Said};
use super::host::{CopyError, CopyHost, no_lane};
use super::input::{Input, InputReader};
use super::place::Placer;
use super::rows::{Encoding, Marker, RowFormat};
use crate::execute::refusals;
use crate::plan::copy::CopyIn as Plan;
use crate::topology::{KeyType, Placement, ShardId, ShardSet, Topology};
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::Limits;

/// What is to be copied, and how.
#[derive(Debug, Clone, Copy)]
pub struct CopyIn<'a> {
    pub plan: &'a Plan,
    /// Type of the key column, if the table has one.
    pub key_type: Option<KeyType>,
    pub topology: &'a Topology,
    /// The statement's text, as every shard gets it.
    pub sql: &'a [u8],
    /// Where the COPY is opened before there are rows.
    pub first: ShardId,
    pub limits: &'a Limits,
}

/// Every shard has taken its rows, inside its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedIn {
    /// For the tag `COPY n`.
    pub rows: u64,
    /// Shards that got rows.
    pub wrote: ShardSet,
    /// Shards on which the COPY ran.
    pub opened: ShardSet,
}

/// Copies the client's rows to the shards. On success the client has seen CopyInResponse and is owed CommandComplete.
///
/// Cancel safe: no; lanes on which the COPY runs are then `broken`.
pub async fn copy_in<H: CopyHost>(host: &mut H, job: CopyIn<'_>) -> Result<CopiedIn, CopyError<H::Failure>> {
    let mut run = Run::new(host, job)?;
    match run.copy().await {
        Ok(()) => Ok(run.copied()),
        Err(error) => {
            // A server that does not come to an end keeps its lane broken.
            let verdict = tokio::time::timeout(ABORT_WAIT, run.abort()).await;
            let error = match verdict {
                Ok(Some(verdict)) if run.batches.lacks_columns() => CopyError::Sql(verdict),
                Ok(_) | Err(_) => error,
            };
            if !matches!(error, CopyError::ClientGone | CopyError::ClientProtocol(_)) {
                run.skip_begun().await?;
            }
            Err(error)
        }
    }
}

/// How long the other shards may take to give up a failed COPY before their connections are given up.
const ABORT_WAIT: Duration = Duration::from_secs(10);

struct Run<'a, H> {
    host: &'a mut H,
    job: CopyIn<'a>,
    batches: Batches<'a>,
    parts: Vec<Part>,
    input: InputReader,
    /// The client has sent CopyDone.
    done: bool,
    /// The client has been sent CopyInResponse.
    asked: bool,
}

impl<'a, H: CopyHost> Run<'a, H> {
    fn new(host: &'a mut H, job: CopyIn<'a>) -> Result<Self, SqlError> {
        let told = host.parts().told;
        let Some(encoding) = Encoding::of(told.get("client_encoding")) else { return Err(unsplittable()) };
        let version = told.get("server_version").map(String::from_utf8_lossy).unwrap_or_default();
        let marker = Marker::of_version(&version);
        let format = RowFormat::of(&job.plan.copy, marker);
        if !encoding.reads(&format.null) {
            return Err(unsplittable());
        }
        let placer = Placer::new(job.plan, job.key_type, encoding)?;
        let row_bytes_max = job.limits.client_message_bytes;
        let mut batches = Batches::new(job.topology, &job.plan.rule, placer, format, row_bytes_max);
        batches.open(job.first);
        Ok(Self {
            host,
            job,
            batches,
            parts: Vec::new(),
            input: InputReader::default(),
            done: false,
            asked: false,
        })
    }

    async fn copy(&mut self) -> Result<(), CopyError<H::Failure>> {
        loop {
            if self.may_take() {
                self.take_input()?;
            }
            self.join_waiting().await?;
            self.send();
            if self.is_settled() {
                return Ok(());
            }
            let listen = if self.may_take() { Listen::Read } else { Listen::Watch };
            match self.exchange(listen).await {
                Event::Progress => {}
                Event::ClientGone => {
                    self.give_up_if_done();
                    return Err(CopyError::ClientGone);
                }
                Event::ServerGone(index) => return Err(self.lost(index)),
            }
            self.hear_all()?;
        }
    }

    /// Whether more rows may be taken in: every shard copies and keeps up.
    fn may_take(&mut self) -> bool {
        let lanes = self.host.parts().lanes;
        let keeps_up = |part: &Part| {
            lanes.get(part.lane).is_some_and(|lane| lane.connection.outbox.len() <= BACKLOG_BYTES)
        };
        let all = self.parts.iter().all(|part| part.stage == Stage::Copying && keeps_up(part));
        self.asked && !self.done && all
    }

    fn is_settled(&mut self) -> bool {
        let lanes = self.host.parts().lanes;
        self.parts.iter().all(|part| {
            let unsent = lanes.get(part.lane).is_some_and(|lane| !lane.connection.outbox.is_empty());
            part.stage == Stage::Ended && !unsent
        })
    }

    /// Takes everything that the client has sent so far.
    fn take_input(&mut self) -> Result<(), CopyError<H::Failure>> {
        loop {
            let inbox = &mut self.host.parts().client.inbox;
            match self.input.next(inbox, self.job.limits).map_err(CopyError::ClientProtocol)? {
                Input::Empty => return Ok(()),
                Input::Data(piece) => {
                    self.batches.feed(&piece)?;
                    self.send_full();
                }
                Input::Done => {
                    self.done = true;
                    self.batches.finish()?;
                    return Ok(());
                }
                Input::Fail(reason) => return Err(CopyError::Sql(failed_by_client(&reason))),
            }
        }
    }

    /// Brings the COPY to shards whose first rows have come.
    async fn join_waiting(&mut self) -> Result<(), CopyError<H::Failure>> {
        for index in 0..self.batches.all().len() {
            if self.parts.len() == index {
                self.parts.push(Part { stage: Stage::Waiting, lane: usize::MAX, rows: 0 });
            }
            if self.parts[index].stage != Stage::Waiting {
                continue;
            }
            let shard = self.batches.all()[index].shard;
            let lane = self.host.join(shard).await.map_err(CopyError::Host)?;
            let Some(joined) = self.host.parts().lanes.get_mut(lane) else { return Err(no_lane().into()) };
            hearing::begin(joined, self.job.sql);
            self.parts[index] = Part { stage: Stage::Opening, lane, rows: 0 };
        }
        Ok(())
    }

    fn send_full(&mut self) {
        let lanes = self.host.parts().lanes;
        for (part, batch) in self.parts.iter().zip(self.batches.all()) {
            if part.stage == Stage::Copying
                && batch.is_full()
                && let Some(lane) = lanes.get_mut(part.lane)
            {
                batch.send(&mut lane.connection.outbox);
            }
        }
    }

    /// Puts on the lanes what is ready: full batches, or at the end all that is left and CopyDone.
    fn send(&mut self) {
        self.send_full();
        let all_copy = self.parts.iter().all(|part| part.stage == Stage::Copying);
        if !self.done || !all_copy {
            return;
        }
        let lanes = self.host.parts().lanes;
        for (part, batch) in self.parts.iter_mut().zip(self.batches.all()) {
            let Some(lane) = lanes.get_mut(part.lane) else { continue };
            lane.wrote |= batch.rows > 0;
            batch.send(&mut lane.connection.outbox);
            encode::copy_done(&mut lane.connection.outbox);
            part.stage = Stage::Ending;
        }
    }

    /// Waits until something has moved.
    async fn exchange(&mut self, listen: Listen) -> Event {
        let Self { host, parts, .. } = self;
        if listen == Listen::Read {
            host.parts().client.expect_bytes(READ_BYTES);
        }
        poll_fn(|cx| poll_exchange(&mut **host, parts, listen, cx)).await
    }

    /// Takes in what the servers have said.
    fn hear_all(&mut self) -> Result<(), CopyError<H::Failure>> {
        for index in 0..self.parts.len() {
            while let Some(said) = self.hear(index)? {
                self.on_said(index, said)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, index: usize) -> Result<Option<Said>, CopyError<H::Failure>> {
        let part = &mut self.parts[index];
        let parts = self.host.parts();
        let Some(lane) = parts.lanes.get_mut(part.lane) else { return Ok(None) };
        if part.stage == Stage::Ended {
            return Ok(None);
        }
        hearing::hear(lane, parts.told, &mut parts.client.outbox, self.job.limits).map_err(|error| {
            part.stage = Stage::Ended;
            lane.connection.outbox.clear();
            CopyError::Server { shard: lane.shard, error }
        })
    }

    fn on_said(&mut self, index: usize, said: Said) -> Result<(), CopyError<H::Failure>> {
        let stage = self.parts[index].stage;
        match (said, stage) {
            (Said::Begins(frame), Stage::Opening) if frame[0] == b'G' => {
                self.parts[index].stage = Stage::Copying;
                if !self.asked {
                    self.asked = true;
                    self.host.began();
                    self.host.parts().client.outbox.extend_from_slice(&frame);
                }
                Ok(())
            }
            (Said::Tag(rows), Stage::Ending) => {
                self.parts[index].rows = rows;
                Ok(())
            }
            (Said::Error(error), _) => {
                if !self.is_before_copy(index) {
                    self.parts[index].stage = Stage::Ending;
                }
                Err(CopyError::Sql(self.of_shard(index, *error)))
            }
            (Said::Ready, Stage::Ending) => {
                self.parts[index].stage = Stage::Ended;
                Ok(())
            }
            (Said::Begins(_) | Said::Data(_) | Said::Done | Said::Tag(_) | Said::Ready, _) => {
                Err(self.unexpected(index))
            }
        }
    }

    fn is_before_copy(&mut self, index: usize) -> bool {
        let lane = self.parts[index].lane;
        self.host.parts().lanes.get(lane).is_some_and(hearing::is_before_copy)
    }

    /// A server counts the lines that it got; the client must not take them for its own.
    fn of_shard(&mut self, index: usize, mut error: SqlError) -> SqlError {
        let shard = self.batches.all()[index].shard;
        let name = &self.job.topology.shard(shard).name;
        for (code, value) in &mut error.fields {
            if *code == b'W' && value.starts_with("COPY ") {
                value.push_str(&format!("\nlines are counted on shard \"{name}\", which got a part of them"));
            }
        }
        error
    }

    fn unexpected(&mut self, index: usize) -> CopyError<H::Failure> {
        let part = &mut self.parts[index];
        part.stage = Stage::Ended;
        let shard = self.batches.all()[index].shard;
        let Some(lane) = self.host.parts().lanes.get_mut(part.lane) else { return CopyError::ClientGone };
        lane.connection.broken = true;
        lane.connection.outbox.clear();
        CopyError::Server { shard, error: hearing::broken(lane, "message out of turn during COPY".into()) }
    }

    fn lost(&mut self, index: usize) -> CopyError<H::Failure> {
        let part = &mut self.parts[index];
        part.stage = Stage::Ended;
        let Some(lane) = self.host.parts().lanes.get_mut(part.lane) else { return CopyError::ClientGone };
        lane.connection.broken = true;
        lane.connection.outbox.clear();
        CopyError::Server { shard: lane.shard, error: hearing::lost(lane) }
    }

    /// A client that goes once all is sent leaves the servers working: they are not waited for, but cancelled.
    fn give_up_if_done(&mut self) {
        if !self.done {
            return;
        }
        let lanes = self.host.parts().lanes;
        for part in &mut self.parts {
            part.stage = Stage::Ended;
            if let Some(lane) = lanes.get_mut(part.lane) {
                lane.connection.outbox.clear();
            }
        }
    }

    /// Fails the COPY on every shard, and waits until their lanes owe nothing. Returns what a server has found wrong with
    /// the data.
    async fn abort(&mut self) -> Option<SqlError> {
        let judged = usize::from(self.batches.lacks_columns());
        self.batches.all().iter_mut().skip(judged).for_each(Batch::discard);
        let mut verdict = None;
        loop {
            // Every server has its own word for the failure; the first one counts.
            while let Err(error) = self.hear_all() {
                if let CopyError::Sql(error) = error
                    && error.sqlstate != SqlState::QUERY_CANCELED
                {
                    verdict.get_or_insert(error);
                }
            }
            let lanes = self.host.parts().lanes;
            for (index, (part, batch)) in self.parts.iter_mut().zip(self.batches.all()).enumerate() {
                match (part.stage, lanes.get_mut(part.lane)) {
                    (Stage::Waiting, _) => part.stage = Stage::Ended,
                    (Stage::Copying, Some(lane)) => {
                        let out = &mut lane.connection.outbox;
                        batch.send(out);
                        // The last row may need the end of the data to be one. All of it is rolled back in any case.
                        match index < judged {
                            true => encode::copy_done(out),
                            false => encode::client::copy_fail(out, ABORTED),
                        }
                        part.stage = Stage::Ending;
                    }
                    (Stage::Copying | Stage::Opening | Stage::Ending | Stage::Ended, _) => {}
                }
            }
            if self.is_settled() {
                return verdict;
            }
            match self.exchange(Listen::No).await {
                Event::Progress | Event::ClientGone => {}
                Event::ServerGone(index) => drop(self.lost(index)),
            }
        }
    }

    /// Reads on to the end of the message in which the copy failed: the session needs a boundary.
    async fn skip_begun(&mut self) -> Result<(), CopyError<H::Failure>> {
        let Self { host, input, .. } = self;
        loop {
            let client = host.parts().client;
            if input.skip_begun(&mut client.inbox) {
                return Ok(());
            }
            match client.fill().await {
                Ok(0) | Err(_) => return Err(CopyError::ClientGone),
                Ok(_) => {}
            }
        }
    }

    fn copied(&mut self) -> CopiedIn {
        let everywhere = matches!(self.job.plan.rule.placement, Placement::Reference);
        let counted = if everywhere { 1 } else { self.parts.len() };
        let batches = self.batches.all();
        CopiedIn {
            rows: self.parts.iter().take(counted).map(|part| part.rows).sum(),
            wrote: batches.iter().filter(|batch| batch.rows > 0).map(|batch| batch.shard).collect(),
            opened: batches.iter().map(|batch| batch.shard).collect(),
        }
    }
}

/// The reason that the other shards are given; their words for it are not shown.
const ABORTED: &[u8] = b"COPY failed on another shard or in the client";

fn unsplittable() -> SqlError {
    refusals::COPY_SPLIT.error(&[])
}

/// In PostgreSQL's words.
fn failed_by_client(reason: &str) -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, format!("COPY from stdin failed: {reason}"))
}
