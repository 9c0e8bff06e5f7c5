//! The client's socket with its two buffers, as `execute` and `session` see it.
//!
//! Invariants:
//! 1. What is in `outbox` reaches the client before anything that is written past it.
//! 2. `inbox` is bounded by its readers: nobody reads more while a whole message waits in it.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite as _, AsyncWriteExt};

use crate::figures::WorkerFigures;
use crate::wire::encoding::Encoding;
use crate::wire::frame::Limits;
use crate::wire::stream::Stream;

/// A buffer is let go above this.
const KEEP_BYTES: usize = 8 * 1024;
/// Of answers that are not the server's own bytes an idle client keeps this much room.
const KEEP_OUT_BYTES: usize = 512;
const READ_BYTES: usize = 4 * 1024;
/// Kept for clients that will say something; enough for all that are served at one time.
const BUFFERS_MAX: usize = 256;

#[derive(Debug)]
pub struct ClientStream {
    stream: Stream,
    figures: Arc<WorkerFigures>,
    buffers: Rc<Buffers>,
    pub inbox: BytesMut,
    pub outbox: BytesMut,
    /// A buffer may be larger than what is kept: only then is its size asked, which costs more than most answers' share.
    grown: bool,
}

/// Room for what is read, lent to clients from the moment when they say something to the end of the answer: one that is
/// idle has none.
#[derive(Debug, Default)]
pub struct Buffers(RefCell<Vec<BytesMut>>);

impl Buffers {
    fn take(&self) -> BytesMut {
        let mut buffer = self.0.borrow_mut().pop().unwrap_or_default();
        buffer.reserve(READ_BYTES);
        buffer
    }

    /// `buffer` is empty, and none of the large ones.
    fn put(&self, buffer: BytesMut) {
        let mut buffers = self.0.borrow_mut();
        if buffers.len() < BUFFERS_MAX {
            buffers.push(buffer);
        }
    }
}

impl ClientStream {
    /// `inbox` holds what came in with the start-up messages.
    pub fn new(stream: Stream, inbox: BytesMut, figures: Arc<WorkerFigures>, buffers: Rc<Buffers>) -> Self {
        Self { stream, figures, buffers, inbox, outbox: BytesMut::new(), grown: true }
    }

    /// The encoding of the client's texts; None: UTF-8.
    pub fn encoding(&self) -> Option<&'static Encoding> {
        self.stream.encoding()
    }

    /// From here on texts are in this encoding. What stands in `inbox` was not looked at, `outbox` is what follows.
    pub fn set_encoding(&mut self, encoding: Option<&'static Encoding>, limits: &Limits) {
        self.stream.set_encoding(encoding, limits, &mut self.inbox);
    }

    /// Reads once into `inbox`. `Ready(Ok(0))` is the end of the stream. Cancel safe: yes.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.inbox.capacity() == 0 {
            self.inbox = self.buffers.take();
        } else if self.inbox.capacity() - self.inbox.len() < READ_BYTES / 4 {
            let more = READ_BYTES.max(self.inbox.len()).min(1 << 20);
            self.inbox.reserve(more);
            self.grown = true;
        }
        let read = pin!(self.stream.read_buf(&mut self.inbox));
        let read = std::task::ready!(read.poll(cx))?;
        self.figures.client_received.add(read as u64);
        Poll::Ready(Ok(read))
    }

    /// Of a client that is waited for, and has said nothing: the room for it is lent to others.
    pub fn release_inbox(&mut self) {
        self.shrink();
        if self.inbox.is_empty() && self.inbox.capacity() > 0 {
            self.buffers.put(std::mem::take(&mut self.inbox));
        }
    }

    /// Makes room for a message whose length is known, so that it arrives in few reads.
    pub fn expect_bytes(&mut self, bytes: usize) {
        let missing = bytes.saturating_sub(self.inbox.len());
        self.inbox.reserve(missing.min(1 << 20));
        self.grown = true;
    }

    /// What was taken out of `inbox` and is not to be read yet.
    pub fn put_back(&mut self, bytes: &[u8]) {
        let behind = std::mem::replace(&mut self.inbox, BytesMut::from(bytes));
        self.inbox.extend_from_slice(&behind);
        self.grown = true;
    }

    pub async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.grown |= !self.outbox.is_empty();
        while !self.outbox.is_empty() {
            let write = pin!(self.stream.write(&self.outbox));
            let written = std::task::ready!(write.poll(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.figures.client_sent.add(written as u64);
            self.outbox.advance(written);
        }
        // What is encrypted may not have left yet; of a bare socket there is nothing to flush.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Sends all of `outbox`.
    pub async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends `bytes` after what waits in `outbox`, without a copy where the outbox is empty.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.outbox.is_empty() {
            self.outbox.extend_from_slice(bytes);
            return self.flush().await;
        }
        self.figures.client_sent.add(bytes.len() as u64);
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Lets go of buffers that a large message needed; for a client that waits.
    pub fn shrink(&mut self) {
        if !self.grown {
            return;
        }
        self.grown = !self.inbox.is_empty() || !self.outbox.is_empty();
        if self.outbox.is_empty() && has_room_for(&mut self.outbox, KEEP_OUT_BYTES + 1) {
            self.outbox = BytesMut::new();
        }
        if self.inbox.is_empty() && has_room_for(&mut self.inbox, KEEP_BYTES + 1) {
            self.inbox = BytesMut::new();
        }
    }
}

/// Whether an empty buffer holds so much memory, what was consumed of it included.
fn has_room_for(buffer: &mut BytesMut, bytes: usize) -> bool {
    buffer.capacity() >= bytes || buffer.try_reclaim(bytes)
}
