//! The waiting of a COPY FROM STDIN: one poll over the client's socket and every shard's.
//!
//! Called by `copy_in` between its steps; decides nothing but who may be read.
//!
//! Invariants:
//! 1. What waits to be sent is sent, whoever else is slow.
//! 2. A server is read whenever the client takes what servers say unasked; the client as [`Listen`] allows.
//! 3. Cancel safe: what was read is in an inbox.

use std::task::{Context, Poll};

use super::host::CopyHost;

/// Unsent bytes for one shard above which the client is not read, and for the client above which no server is.
pub(super) const BACKLOG_BYTES: usize = 128 * 1024;
/// How much of the client's data is read at once.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// How far the COPY on a shard is; see `copy_in`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not joined yet.
    Waiting,
    Opening,
    Copying,
    Ending,
    Ended,
}

/// The COPY on one shard; stands at the same index as its batch.
#[derive(Debug)]
pub(super) struct Part {
    pub stage: Stage,
    pub lane: usize,
    /// From the server's tag.
    pub rows: u64,
}

/// What moved.
pub(super) enum Event {
    Progress,
    ClientGone,
    /// The lane of this part.
    ServerGone(usize),
}

/// What the client is to do meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Listen {
    /// Send its data.
    Read,
    /// Be there.
    Watch,
    No,
}

pub(super) fn poll_exchange<H: CopyHost>(
    host: &mut H,
    parts: &[Part],
    listen: Listen,
    cx: &mut Context<'_>,
) -> Poll<Event> {
    let borrowed = host.parts();
    let client = borrowed.client;
    if matches!(client.poll_flush(cx), Poll::Ready(Err(_))) {
        client.outbox.clear();
        if listen != Listen::No {
            return Poll::Ready(Event::ClientGone);
        }
    }
    let mut progress = false;
    for (index, part) in parts.iter().enumerate() {
        let Some(lane) = borrowed.lanes.get_mut(part.lane) else { continue };
        let connection = &mut lane.connection;
        let unsent = !connection.outbox.is_empty();
        match connection.poll_flush(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(Event::ServerGone(index)),
            Poll::Ready(Ok(())) => progress |= unsent,
            Poll::Pending => {}
        }
        if part.stage == Stage::Ended || client.outbox.len() > BACKLOG_BYTES {
            continue;
        }
        match connection.poll_fill(cx) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ServerGone(index)),
            Poll::Ready(Ok(_)) => progress = true,
            Poll::Pending => {}
        }
    }
    let room = client.inbox.len() < READ_BYTES;
    if listen == Listen::Read || (listen == Listen::Watch && room) {
        match client.poll_fill(cx) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ClientGone),
            Poll::Ready(Ok(_)) => progress = true,
            Poll::Pending => {}
        }
    }
    if progress { Poll::Ready(Event::Progress) } else { Poll::Pending }
}
