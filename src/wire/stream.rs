//! A connection of either side: a socket, and the bytes that were read from it and not yet used.
//!
//! Made by [`super::startup`] (clients) and [`super::login`] (servers), then owned by `session` or `backend`.
//!
//! [`Stream`] is where encryption will stand: a TLS stream becomes its second variant, and all that reads and writes
//! through the traits stays as it is. What needs the bare socket asks for it with [`Stream::as_tcp`] and must go on
//! without where there is none.
//!
//! Invariants:
//! 1. Bytes that were read are in `input` until somebody takes them: no layer keeps a buffer of its own.
//! 2. [`Connection::read_frontend`] and [`Connection::read_backend`] buffer at most one message within its limits and
//!    what came in the same read.
//!
//! Not here: when to read and for how long (callers give the deadline).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::encode;
use super::error::{Severity, SqlError};
use super::frame::{Frame, FrameError, Limits, Phase, next_backend, next_frontend};

/// What carries the bytes.
#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
}

impl Stream {
    /// The socket itself, if nothing stands between it and the protocol.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Plain(socket) => Some(socket),
        }
    }

    /// The socket, for its options and addresses only: the bytes on it may be encrypted.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(socket) => socket.is_write_vectored(),
        }
    }
}

/// A stream and what was read from it.
#[derive(Debug)]
pub struct Connection {
    pub stream: Stream,
    pub input: BytesMut,
}

/// Why no message came.
#[derive(Debug)]
pub enum ReadError {
    /// The peer closed. `midway` if a message had begun.
    Closed {
        midway: bool,
    },
    Timeout,
    Io(io::Error),
    Frame(FrameError),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        ReadError::Io(error)
    }
}

impl Connection {
    /// Small messages leave at once: what may wait for more is gathered before it is written.
    pub fn new(socket: TcpStream) -> Self {
        // Refused on no platform for a socket that is open; and slower without, but right.
        let _ = socket.set_nodelay(true);
        Connection { stream: Stream::Plain(socket), input: BytesMut::new() }
    }

    /// Reads once. Cancel safe: what was read is in `input`.
    pub async fn fill(&mut self, deadline: Instant) -> Result<(), ReadError> {
        self.input.reserve(READ_BYTES);
        match timeout_at(deadline, self.stream.read_buf(&mut self.input)).await {
            Err(_) => Err(ReadError::Timeout),
            Ok(Ok(0)) => Err(ReadError::Closed { midway: !self.input.is_empty() }),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(ReadError::Io(error)),
        }
    }

    /// The next message of a client. Cancel safe: what was read is in `input`.
    pub async fn read_frontend(
        &mut self,
        phase: Phase,
        limits: &Limits,
        deadline: Instant,
    ) -> Result<Frame, ReadError> {
        loop {
            if let Some(frame) = next_frontend(&mut self.input, phase, limits).map_err(ReadError::Frame)? {
                return Ok(frame);
            }
            self.fill(deadline).await?;
        }
    }

    /// The next message of a server. Cancel safe: what was read is in `input`.
    pub async fn read_backend(&mut self, limits: &Limits, deadline: Instant) -> Result<Frame, ReadError> {
        loop {
            if let Some(frame) = next_backend(&mut self.input, limits).map_err(ReadError::Frame)? {
                return Ok(frame);
            }
            self.fill(deadline).await?;
        }
    }

    /// Writes all of it. Not cancel safe: a part may have been sent.
    pub async fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), ReadError> {
        match timeout_at(deadline, self.stream.write_all(bytes)).await {
            Err(_) => Err(ReadError::Timeout),
            Ok(written) => written.map_err(ReadError::Io),
        }
    }

    /// Tells the client why, and ends the connection. An error becomes FATAL, as it ends the session. Reads on for a
    /// moment, because closing a socket with unread bytes can destroy what was just sent. Takes two seconds at most.
    pub async fn refuse(mut self, error: &SqlError) {
        let mut message = BytesMut::new();
        encode::server::error_response(&mut message, &error.clone().severity(Severity::Fatal));
        let deadline = Instant::now() + REFUSE_TIME_MAX;
        let written = self.write(&message, deadline).await;
        if written.is_err() || !matches!(timeout_at(deadline, self.stream.shutdown()).await, Ok(Ok(()))) {
            return;
        }
        for _ in 0..REFUSE_READS_MAX {
            self.input.clear();
            if self.fill(deadline).await.is_err() {
                return;
            }
        }
    }
}

/// One read's room; more than any packet before authentication needs, less than a page of connections costs.
const READ_BYTES: usize = 4096;
const REFUSE_TIME_MAX: Duration = Duration::from_secs(2);
const REFUSE_READS_MAX: usize = 256;
