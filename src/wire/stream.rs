//! A connection of either side: a socket, and the bytes that were read from it and not yet used.
//!
//! Made by [`super::startup`] (clients) and [`super::login`] (servers), then owned by `session` or `backend`.
//!
//! [`Stream`] is a bare socket or one of the two sides of an encrypted one ([`super::tls`]); what reads and writes through
//! the traits does not see the difference.
//!
//! Invariants:
//! 1. Bytes that were read are in `input` until somebody takes them: no layer keeps a buffer of its own.
//! 2. [`Connection::read_frontend`] and [`Connection::read_backend`] buffer at most one message within its limits and
//!    what came in the same read.
//!
//! Not here: when to read and for how long (callers give the deadline).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::encode;
use super::encoding::{Converted, Encoding};
use super::error::{Severity, SqlError};
use super::frame::{Frame, FrameError, Limits, Phase, next_backend, next_frontend};

/// What carries the bytes.
#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    /// Encrypted, by a client that connected to us.
    Accepted(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// Encrypted, to a server.
    Connected(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    /// One of the first two, of a client whose texts are in another encoding than UTF-8.
    Converted(Box<Converted>),
    /// A handshake failed, and took the socket with it.
    Broken,
}

impl Stream {
    /// The address of the other side.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Plain(socket) => socket.peer_addr(),
            Stream::Accepted(socket) => socket.get_ref().0.peer_addr(),
            Stream::Connected(socket) => socket.get_ref().0.peer_addr(),
            Stream::Converted(stream) => stream.inner.peer_address(),
            Stream::Broken => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub fn is_encrypted(&self) -> bool {
        match self {
            Stream::Accepted(_) | Stream::Connected(_) => true,
            Stream::Converted(stream) => stream.inner.is_encrypted(),
            Stream::Plain(_) | Stream::Broken => false,
        }
    }

    /// Whether the reactor has seen nothing on a bare socket. Of an encrypted one it cannot say: some of what has come may
    /// have been read already.
    pub fn is_silent(&self, context: &mut Context<'_>) -> bool {
        match self {
            Stream::Plain(socket) => socket.poll_read_ready(context).is_pending(),
            Stream::Converted(stream) => !stream.has_received() && stream.inner.is_silent(context),
            Stream::Accepted(_) | Stream::Connected(_) | Stream::Broken => false,
        }
    }

    /// The encoding that the client's texts are in; None: UTF-8.
    pub fn encoding(&self) -> Option<&'static Encoding> {
        match self {
            Stream::Converted(stream) => Some(stream.encoding),
            Stream::Plain(_) | Stream::Accepted(_) | Stream::Connected(_) | Stream::Broken => None,
        }
    }

    /// From now on the client's texts are in this encoding; None: in UTF-8. All that was written has been flushed. `input`
    /// has come of the client and was not looked at: it is in the new encoding, and so is what comes.
    pub fn set_encoding(
        &mut self,
        encoding: Option<&'static Encoding>,
        limits: &Limits,
        input: &mut BytesMut,
    ) {
        match (std::mem::replace(self, Stream::Broken), encoding) {
            (Stream::Converted(mut stream), Some(encoding)) => {
                stream.change(encoding, input);
                *self = Stream::Converted(stream);
            }
            (Stream::Converted(stream), None) => {
                (*self, *input) = stream.into_parts(input);
            }
            (inner, Some(encoding)) => {
                let received = std::mem::take(input);
                *self = Stream::Converted(Box::new(Converted::new(inner, encoding, *limits, received)));
            }
            (inner, None) => *self = inner,
        }
    }

    /// The bare socket, for a handshake on it.
    pub fn take_plain(&mut self) -> Option<TcpStream> {
        match std::mem::replace(self, Stream::Broken) {
            Stream::Plain(socket) => Some(socket),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Whether the handshake's choice of a protocol is the one that is asked about.
    pub fn names_protocol(&self, is_it: impl FnOnce(Option<&[u8]>) -> bool) -> bool {
        match self {
            Stream::Accepted(socket) => is_it(socket.get_ref().1.alpn_protocol()),
            Stream::Connected(socket) => is_it(socket.get_ref().1.alpn_protocol()),
            Stream::Converted(stream) => stream.inner.names_protocol(is_it),
            Stream::Plain(_) | Stream::Broken => false,
        }
    }

    /// The certificate that the other side has shown.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        let certificates = match self {
            Stream::Accepted(socket) => socket.get_ref().1.peer_certificates(),
            Stream::Connected(socket) => socket.get_ref().1.peer_certificates(),
            Stream::Converted(stream) => return stream.inner.peer_certificate(),
            Stream::Plain(_) | Stream::Broken => None,
        };
        certificates.and_then(|certificates| certificates.first())
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
            Stream::Accepted(socket) => Pin::new(&mut **socket).poll_read(context, buffer),
            Stream::Connected(socket) => Pin::new(&mut **socket).poll_read(context, buffer),
            Stream::Converted(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
            Stream::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Stream::Accepted(socket) => Pin::new(&mut **socket).poll_write(context, bytes),
            Stream::Connected(socket) => Pin::new(&mut **socket).poll_write(context, bytes),
            Stream::Converted(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
            Stream::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(context),
            Stream::Accepted(socket) => Pin::new(&mut **socket).poll_flush(context),
            Stream::Connected(socket) => Pin::new(&mut **socket).poll_flush(context),
            Stream::Converted(stream) => Pin::new(&mut **stream).poll_flush(context),
            Stream::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Stream::Accepted(socket) => Pin::new(&mut **socket).poll_shutdown(context),
            Stream::Connected(socket) => Pin::new(&mut **socket).poll_shutdown(context),
            Stream::Converted(stream) => Pin::new(&mut **stream).poll_shutdown(context),
            Stream::Broken => Poll::Ready(Ok(())),
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

    /// Whether the first byte that comes is this one; it is not taken. False where the peer closes without a word.
    pub async fn begins_with(&mut self, byte: u8, deadline: Instant) -> Result<bool, ReadError> {
        let Stream::Plain(socket) = &self.stream else { return Ok(false) };
        let mut first = [0];
        match timeout_at(deadline, socket.peek(&mut first)).await {
            Err(_) => Err(ReadError::Timeout),
            Ok(peeked) => Ok(peeked? == 1 && first[0] == byte),
        }
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
        let write = async {
            self.stream.write_all(bytes).await?;
            // What is encrypted may wait for its record to be sent.
            self.stream.flush().await
        };
        match timeout_at(deadline, write).await {
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
