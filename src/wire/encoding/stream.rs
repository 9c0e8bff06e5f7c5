//! A client's stream that converts between the client's encoding and UTF-8.
//!
//! Stands in [`Stream::Converted`] around the socket, bare or encrypted. What is read is converted message by message before
//! anybody sees it, what is written afterwards: neither side knows of the other's encoding.
//!
//! Invariants:
//! 1. What comes behind a change of the encoding is read in the new one, also what was read ahead: it is put back.
//! 2. Nothing is taken to be written before what was taken earlier has left; a flush waits for all of it.
//! 3. After a character that the client lacks has been told, and has left, every read and write fails.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Encoding;
use super::frames::{
    Copies, Gathered, Piece, Untranslatable, back_to_client, client_has_text, from_client, server_has_text,
    to_client,
};
use crate::wire::encode;
use crate::wire::frame::{Limits, Phase, peek_backend, peek_frontend};
use crate::wire::stream::Stream;

/// Room for one read, and the most that is taken by one write.
const READ_BYTES: usize = 8 * 1024;
const WRITE_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Converted {
    /// Never converted itself.
    pub(in crate::wire) inner: Stream,
    pub(in crate::wire) encoding: &'static Encoding,
    limits: Limits,
    copies: Copies,
    /// From the client, in its encoding.
    received: Gathered,
    /// From the client, in UTF-8, to be taken.
    readable: BytesMut,
    /// The client has said all that it will.
    ended: bool,
    /// To the client, in UTF-8.
    taken: Gathered,
    /// To the client, in its encoding, to be sent.
    pending: BytesMut,
    /// The client has been told that the session ends.
    failed: bool,
}

impl Converted {
    /// `received`: what has come of the client already.
    pub fn new(inner: Stream, encoding: &'static Encoding, limits: Limits, received: BytesMut) -> Self {
        Self {
            inner,
            encoding,
            limits,
            copies: Copies::default(),
            received: Gathered::new(received),
            readable: BytesMut::new(),
            ended: false,
            taken: Gathered::default(),
            pending: BytesMut::new(),
            failed: false,
        }
    }

    /// The stream without the conversion, and what was received and not looked at, as the client sent it.
    pub fn into_parts(mut self, input: &mut BytesMut) -> (Stream, BytesMut) {
        self.put_back(input);
        (self.inner, self.received.bytes)
    }

    /// Texts are in another encoding from here on: `input` too, which was read ahead and not looked at.
    pub fn change(&mut self, encoding: &'static Encoding, input: &mut BytesMut) {
        self.put_back(input);
        self.encoding = encoding;
    }

    /// What was converted and not looked at is as it was received.
    fn put_back(&mut self, input: &mut BytesMut) {
        let Self { limits, copies, encoding, received, readable, .. } = self;
        let mut converted = Gathered::new(std::mem::take(input));
        converted.bytes.extend_from_slice(&std::mem::take(readable));
        let mut back = BytesMut::new();
        let peek = |bytes: &[u8]| peek_frontend(bytes, Phase::Query, limits);
        while let Some(piece) = converted.next(peek, |tag| client_has_text(tag, *copies)) {
            match piece {
                Piece::Message(frame) => back_to_client(&frame, encoding, *copies, &mut back),
                Piece::Plain(bytes) => back.extend_from_slice(&bytes),
            }
        }
        back.extend_from_slice(&converted.bytes);
        back.extend_from_slice(&received.bytes);
        received.bytes = back;
    }

    /// Whether something is there to be read that the socket does not know of.
    pub fn has_received(&self) -> bool {
        !self.readable.is_empty() || !self.received.bytes.is_empty()
    }

    /// Makes the next message readable, if all of it has come; false if not.
    fn convert_received(&mut self) -> bool {
        let Self { limits, copies, encoding, received, readable, ended, .. } = self;
        let copies = *copies;
        let piece = received
            .next(|bytes| peek_frontend(bytes, Phase::Query, limits), |tag| client_has_text(tag, copies));
        match piece {
            Some(Piece::Message(frame)) => from_client(&frame, encoding, copies, readable),
            Some(Piece::Plain(bytes)) => *readable = bytes,
            // The reader judges what was cut off.
            None if *ended && !received.bytes.is_empty() => *readable = received.bytes.split(),
            None => return false,
        }
        true
    }

    /// Reads once from the client. Ready(false): it says no more.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut room = [0; READ_BYTES];
        let mut room = ReadBuf::new(&mut room);
        match Pin::new(&mut self.inner).poll_read(context, &mut room) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                // An idle client keeps no room.
                if self.received.bytes.is_empty() {
                    self.received.bytes = BytesMut::new();
                    self.readable = BytesMut::new();
                }
                return Poll::Pending;
            }
        }
        self.received.bytes.extend_from_slice(room.filled());
        Poll::Ready(Ok(!room.filled().is_empty()))
    }

    /// Converts the messages that were taken whole.
    fn convert_taken(&mut self) {
        loop {
            let Self { limits, copies, encoding, taken, pending, .. } = self;
            let known = *copies;
            let piece = taken.next(|bytes| peek_backend(bytes, limits), |tag| server_has_text(tag, known));
            let converted = match piece {
                Some(Piece::Message(frame)) => to_client(&frame, encoding, copies, pending),
                Some(Piece::Plain(bytes)) => {
                    pending.extend_from_slice(&bytes);
                    Ok(())
                }
                None => return,
            };
            if let Err(character) = converted {
                return self.fail(character);
            }
        }
    }

    fn fail(&mut self, character: Untranslatable) {
        let mut told = BytesMut::new();
        encode::server::error_response(&mut told, &character.into_sql(self.encoding));
        self.pending.extend_from_slice(&told);
        self.taken = Gathered::default();
        self.failed = true;
    }

    fn has_failed(&self) -> io::Result<()> {
        match self.failed {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, "a character has no equivalent")),
            false => Ok(()),
        }
    }

    /// Sends all that is converted.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(written);
        }
        if self.taken.bytes.is_empty() {
            self.taken.bytes = BytesMut::new();
        }
        self.pending = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// What is converted has left the process, and nothing stands in the way of more.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        if self.failed {
            ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        }
        Poll::Ready(self.has_failed())
    }
}

impl AsyncRead for Converted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.has_failed()?;
        while this.readable.is_empty() && !this.convert_received() {
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            this.ended = !ready!(this.poll_receive(context))?;
        }
        let given = this.readable.len().min(buffer.remaining());
        buffer.put_slice(&this.readable[..given]);
        this.readable.advance(given);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Converted {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_sent(context))?;
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES)];
        this.taken.bytes.extend_from_slice(bytes);
        this.convert_taken();
        // Who writes again, or flushes, waits for what does not leave at once.
        match this.poll_drain(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_sent(context))?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A message that was cut off ends as it stands.
        this.pending.extend_from_slice(&this.taken.bytes.split());
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::Named;
    use super::*;

    /// The two ends of a connection, ours with the client's encoding.
    async fn pair(received: &[u8]) -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let mut stream = Stream::Plain(listener.accept().await.unwrap().0);
        let mut input = BytesMut::from(received);
        change(&mut stream, "LATIN1", &mut input);
        assert!(input.is_empty());
        (stream, client)
    }

    fn change(stream: &mut Stream, name: &str, input: &mut BytesMut) {
        let encoding = match Named::of(name) {
            Named::Single(encoding) => Some(encoding),
            _ => None,
        };
        stream.set_encoding(encoding, &Limits::default(), input);
    }

    const ASKED: &[u8] = b"Q\0\0\0\x07'\xfc\0P\0\0\0\x09\xe4\0\xe4\0\x01S\0\0\0\x04";
    const READ: &[u8] = b"Q\0\0\0\x08'\xc3\xbc\0P\0\0\0\x0b\xc3\xa4\0\xc3\xa4\0\x01S\0\0\0\x04";

    #[tokio::test]
    async fn a_client_may_cut_its_messages_anywhere() {
        for cut in 0..=ASKED.len() {
            let (mut stream, mut client) = pair(&ASKED[..cut]).await;
            client.write_all(&ASKED[cut..]).await.unwrap();
            client.shutdown().await.unwrap();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, READ, "{cut}");
        }
    }

    #[tokio::test]
    async fn what_was_cut_off_at_the_end_is_passed() {
        let (mut stream, mut client) = pair(b"").await;
        client.write_all(b"S\0\0\0\x04Q\0\0\0\x09'\xfc").await.unwrap();
        client.shutdown().await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"S\0\0\0\x04Q\0\0\0\x09'\xfc");
    }

    #[tokio::test]
    async fn a_message_behind_a_change_is_read_in_the_new_encoding() {
        let query = b"Q\0\0\0\x06\xe4\0";
        let (mut stream, mut client) = pair(&[&query[..], query, query].concat()).await;
        client.shutdown().await.unwrap();
        let mut input = BytesMut::with_capacity(64);
        // One is looked at, the next has been read ahead.
        for _ in 0..2 {
            stream.read_buf(&mut input).await.unwrap();
        }
        assert_eq!(&input.split_to(8)[..], b"Q\0\0\0\x07\xc3\xa4\0");
        change(&mut stream, "KOI8R", &mut input);
        assert!(input.is_empty());
        let mut room = [0; 64];
        // As much as there is room for.
        let count = stream.read(&mut room[..3]).await.unwrap() + stream.read(&mut room[3..]).await.unwrap();
        assert_eq!(&room[..count], b"Q\0\0\0\x07\xd0\x94\0");
        stream.read_exact(&mut room[..3]).await.unwrap();
        input.extend_from_slice(&room[..3]);
        change(&mut stream, "UTF8", &mut input);
        assert_eq!(&input[..], query);
        assert!(stream.encoding().is_none());
    }

    #[tokio::test]
    async fn answers_may_be_written_in_pieces() {
        let told = b"N\0\0\0\x07\xc3\xbc\0D\0\0\0\x0c\0\x01\0\0\0\x02\xc3\xa4Z\0\0\0\x05I";
        let heard = b"N\0\0\0\x06\xfc\0D\0\0\0\x0b\0\x01\0\0\0\x01\xe4Z\0\0\0\x05I";
        for size in 1..=told.len() {
            let (mut stream, mut client) = pair(b"").await;
            for piece in told.chunks(size) {
                stream.write_all(piece).await.unwrap();
            }
            stream.shutdown().await.unwrap();
            let mut read = Vec::new();
            client.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, heard, "{size}");
        }
    }

    /// The client reads nothing for a while: what is written waits, and none of it is lost.
    #[tokio::test]
    async fn a_slow_client_holds_its_writer_back() {
        let (mut stream, mut client) = pair(b"").await;
        let text = "ü".repeat(100_000);
        let mut row = vec![b'd'];
        row.extend((text.len() as u32 + 4).to_be_bytes());
        row.extend(text.as_bytes());
        let rows = row.repeat(100);
        let writer = tokio::spawn(async move {
            stream.write_all(&rows).await.unwrap();
            stream.flush().await.unwrap();
            stream.shutdown().await.unwrap();
        });
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!writer.is_finished());
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        writer.await.unwrap();
        assert_eq!(read.len(), 100 * (5 + 100_000));
        assert!(read[5..100_005].iter().all(|byte| *byte == 0xfc));
    }

    #[tokio::test]
    async fn after_a_character_that_is_lacking_nothing_more_is_said() {
        let (mut stream, mut client) = pair(b"").await;
        let told = [&b"Z\0\0\0\x05IC\0\0\0\x08"[..], "中\0".as_bytes(), b"Z\0\0\0\x05I"].concat();
        stream.write_all(&told).await.unwrap();
        assert!(stream.flush().await.is_err());
        assert!(stream.write(b"Z").await.is_err());
        assert!(stream.read(&mut [0; 8]).await.is_err());
        stream.shutdown().await.unwrap();
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert!(read.starts_with(b"Z\0\0\0\x05IE") && read.ends_with(b"\0\0"));
        assert!(read.windows(12).any(|bytes| bytes == b"SFATAL\0VFATA"));
    }
}
