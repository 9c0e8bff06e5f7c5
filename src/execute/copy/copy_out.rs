//! COPY TO STDOUT of a sharded table: one shard's rows after the other's, as one stream.
//!
//! Called by `session`. Data passes unread, in the pieces in which it arrives.
//!
//! ```text
//!   us-east     H  d(header)  d d d  c  C 3        to the client:  H d(header) d d d d d c, then COPY 5
//!   eu-central  H  d(header)  d d    c  C 2                           (the second header is left out)
//! ```
//!
//! Invariants:
//! 1. The client sees one CopyOutResponse, at most one header line, and CopyDone only after every shard's rows.
//! 2. A shard that fails in the middle ends the answer with its error: there is no CopyDone.
//! 3. A slow client stops the reading of the shard.
//!
//! Not here: the order of rows, which no COPY promises, and CommandComplete, which is the session's to send.

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Buf, BytesMut};

use super::hearing::{self, Said};
use super::host::{CopyError, CopyHost, HostParts, no_lane};
use crate::execute::client::ClientStream;
use crate::execute::refusals;
use crate::topology::{ShardId, ShardSet, Topology};
use crate::wire::encode;
use crate::wire::error::SqlError;
use crate::wire::frame::{HEADER_BYTES, Limits};

/// What is to be copied.
#[derive(Debug, Clone, Copy)]
pub struct CopyOut<'a> {
    pub topology: &'a Topology,
    /// The statement's text, as every shard gets it.
    pub sql: &'a [u8],
    /// Never empty; asked in the order of their numbers.
    pub shards: ShardSet,
    /// The first message of each shard is a header line.
    pub header: bool,
    pub limits: &'a Limits,
}

/// All rows have been written to the client, CopyDone behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedOut {
    /// For the tag `COPY n`.
    pub rows: u64,
}

/// Copies the rows of every shard to the client, who is then owed CommandComplete.
///
/// Cancel safe: no; the lane on which a COPY runs is then `broken`.
pub async fn copy_out<H: CopyHost>(
    host: &mut H,
    job: CopyOut<'_>,
) -> Result<CopiedOut, CopyError<H::Failure>> {
    let mut rows = 0;
    let first = job.topology.default_shard;
    let mut heading = Heading { told: false, first, skips_headers: job.header };
    for shard in job.shards.iter() {
        let lane = host.join(shard).await.map_err(CopyError::Host)?;
        let mut part = Part { shard, lane, job, passing: 0, drops: false, ends: None, rows: 0, fresh: true };
        part.run(host, &mut heading).await?;
        rows += part.rows;
    }
    let client = host.parts().client;
    encode::copy_done(&mut client.outbox);
    client.flush().await.map_err(|_| CopyError::ClientGone)?;
    Ok(CopiedOut { rows })
}

/// What the client has been told of the stream.
struct Heading {
    told: bool,
    /// Whose header line the client got.
    first: ShardId,
    skips_headers: bool,
}

/// Unsent bytes for the client above which no server is read.
const BACKLOG_BYTES: usize = 128 * 1024;
/// How much of the client's next messages is read ahead: enough to see that it is still there.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// The COPY on one shard.
struct Part<'a> {
    shard: ShardId,
    lane: usize,
    job: CopyOut<'a>,
    /// Bytes of a CopyData message that are still to pass.
    passing: usize,
    /// They are left out.
    drops: bool,
    ends: Option<SqlError>,
    rows: u64,
    /// No data has come yet.
    fresh: bool,
}

enum Event {
    Progress,
    ClientGone,
    ServerGone,
}

impl Part<'_> {
    async fn run<H: CopyHost>(
        &mut self,
        host: &mut H,
        heading: &mut Heading,
    ) -> Result<(), CopyError<H::Failure>> {
        let Some(lane) = host.parts().lanes.get_mut(self.lane) else { return Err(no_lane().into()) };
        hearing::begin(lane, self.job.sql);
        loop {
            if self.take(host.parts(), heading)? {
                return match self.ends.take() {
                    Some(error) => Err(CopyError::Sql(error)),
                    None => Ok(()),
                };
            }
            match exchange(host, self.lane).await {
                Event::Progress => {}
                Event::ClientGone => return Err(CopyError::ClientGone),
                Event::ServerGone => {
                    let Some(lane) = host.parts().lanes.get_mut(self.lane) else {
                        return Err(no_lane().into());
                    };
                    return Err(CopyError::Server { shard: self.shard, error: hearing::lost(lane) });
                }
            }
        }
    }

    /// Moves what has arrived. True: the server's answer is complete.
    fn take<F>(&mut self, parts: HostParts<'_>, heading: &mut Heading) -> Result<bool, CopyError<F>> {
        let HostParts { client, lanes, told } = parts;
        let Some(lane) = lanes.get_mut(self.lane) else { return Err(no_lane().into()) };
        let shard = self.shard;
        loop {
            if self.pass(&mut lane.connection.inbox, &mut client.outbox) > 0 {
                return Ok(false);
            }
            let said = hearing::hear(lane, told, &mut client.outbox, self.job.limits);
            match said.map_err(|error| CopyError::Server { shard, error })? {
                None => return Ok(false),
                Some(Said::Data(bytes)) => {
                    let second_header =
                        std::mem::take(&mut self.fresh) && heading.skips_headers && heading.told;
                    self.drops = second_header && self.shard != heading.first || self.ends.is_some();
                    self.passing = bytes;
                }
                Some(Said::Begins(frame)) => self.on_begins(&frame, client, heading),
                Some(Said::Done) => {}
                Some(Said::Tag(rows)) => self.rows = rows,
                Some(Said::Error(error)) => {
                    self.ends.get_or_insert(*error);
                }
                Some(Said::Ready) => return Ok(true),
            }
        }
    }

    /// Moves what has come of a message of data. How many bytes of it are still to come.
    fn pass(&mut self, inbox: &mut BytesMut, out: &mut BytesMut) -> usize {
        let here = self.passing.min(inbox.len());
        if !self.drops {
            out.extend_from_slice(&inbox[..here]);
        }
        inbox.advance(here);
        self.passing -= here;
        self.passing
    }

    fn on_begins(&mut self, frame: &[u8], client: &mut ClientStream, heading: &mut Heading) {
        let is_binary = frame.get(HEADER_BYTES) != Some(&0);
        if frame.first() != Some(&b'H') || is_binary {
            self.ends.get_or_insert_with(not_joinable);
        } else if !heading.told {
            heading.told = true;
            heading.first = self.shard;
            client.outbox.extend_from_slice(frame);
        }
    }
}

/// Waits until something has moved.
async fn exchange<H: CopyHost>(host: &mut H, lane: usize) -> Event {
    poll_fn(|cx| {
        let HostParts { client, lanes, .. } = host.parts();
        let Some(lane) = lanes.get_mut(lane) else { return Poll::Ready(Event::ServerGone) };
        let connection = &mut lane.connection;
        let unsent = client.outbox.len();
        if matches!(client.poll_flush(cx), Poll::Ready(Err(_))) {
            return Poll::Ready(Event::ClientGone);
        }
        let mut progress = unsent > BACKLOG_BYTES && client.outbox.len() <= BACKLOG_BYTES;
        if matches!(connection.poll_flush(cx), Poll::Ready(Err(_))) {
            return Poll::Ready(Event::ServerGone);
        }
        if client.outbox.len() <= BACKLOG_BYTES {
            match connection.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ServerGone),
                Poll::Ready(Ok(_)) => progress = true,
                Poll::Pending => {}
            }
        }
        if client.inbox.len() < READ_AHEAD_BYTES {
            match client.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ClientGone),
                Poll::Ready(Ok(_)) => progress = true,
                Poll::Pending => {}
            }
        }
        if progress { Poll::Ready(Event::Progress) } else { Poll::Pending }
    })
    .await
}

fn not_joinable() -> SqlError {
    refusals::COPY_JOIN.error(&[])
}
