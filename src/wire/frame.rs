//! Where one message ends and the next begins: a bounded frame splitter for both directions.
//!
//! Called by `session` and `backend` on what they have read, before anything looks inside a message. Pure.
//!
//! ```text
//!   tag: 1 byte │ length: 4 bytes, counts itself and the body │ body
//!   ◀──────────── FrameHeader::len counts all of it ────────────────▶
//! ```
//!
//! The header can be judged as soon as its five bytes are there, and a wrong tag at the first byte: a frame that
//! is too long, or that may not stand in this phase, is refused before its body is awaited or stored. A reader
//! that wants whole messages takes [`next_frontend`] or [`next_backend`]; a relay that copies long bodies through
//! takes [`peek_frontend`] or [`peek_backend`] and counts.
//!
//! Invariants:
//! 1. A header that is returned names a length of at least 5 and at most what [`Limits`] allows.
//! 2. A frontend frame has a tag that is legal in its [`Phase`], and no less bytes than its tag needs and, where
//!    the message has no body, no more.
//! 3. After an error the stream has no known boundary left: the connection ends.
//!
//! Not here: what bodies mean ([`super::frontend`], [`super::backend`]), and the untyped first packets of a
//! connection ([`super::startup`]). Limits per tag follow `SocketBackend` in PostgreSQL's `tcop/postgres.c`,
//! except that a message too short for its type is refused here already.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::error::{SqlError, SqlState};

/// Bytes of the tag and the length word.
pub const HEADER_BYTES: usize = 5;

/// How much a peer may send. All figures count whole messages, header included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The untyped packets before authentication: PostgreSQL's `MAX_STARTUP_PACKET_LENGTH`.
    pub startup_bytes: usize,
    /// A password or SASL message: enough for any token of the supported methods.
    pub authentication_bytes: usize,
    /// Messages of clients that carry no text or data: PostgreSQL's `PQ_SMALL_MESSAGE_LIMIT`.
    pub client_small_bytes: usize,
    /// Query, Parse, Bind, FunctionCall and CopyData of clients.
    pub client_message_bytes: usize,
    /// Anything of a server: PostgreSQL builds no message above `MaxAllocSize`.
    pub server_message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            startup_bytes: 10_000,
            authentication_bytes: 10_000,
            client_small_bytes: 10_000,
            client_message_bytes: 256 << 20,
            server_message_bytes: 0x3fff_ffff,
        }
    }
}

/// What a client is allowed to say now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A password was asked for; only `p` may come.
    Password,
    /// A SASL exchange is going on; only `p` may come.
    Sasl,
    /// Any message of a running session. Copy messages too: a client may still be sending them after a COPY failed.
    Query,
    /// The server asked for COPY data.
    CopyIn,
}

/// The first five bytes of a message. `len` counts the whole frame, tag and length word included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    pub tag: u8,
    pub len: usize,
}

impl FrameHeader {
    pub fn body_len(self) -> usize {
        self.len.saturating_sub(HEADER_BYTES)
    }
}

/// One whole message, header included, so that it can be passed on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub tag: u8,
    pub bytes: BytesMut,
}

impl Frame {
    pub fn body(&self) -> &[u8] {
        body(&self.bytes)
    }

    pub fn freeze(self) -> Bytes {
        self.bytes.freeze()
    }
}

/// The body of a whole frame; empty if the slice is shorter than a header.
pub fn body(frame: &[u8]) -> &[u8] {
    frame.get(HEADER_BYTES..).unwrap_or_default()
}

/// Why the stream can no longer be read. Always SQLSTATE 08P01, and always the end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// `declared` is the length word as it came.
    #[error("invalid message length")]
    InvalidLength { tag: u8, declared: u32, least: u32, most: u32 },
    #[error("invalid frontend message type {0}")]
    InvalidFrontendType(u8),
    #[error("unexpected message type 0x{0:02X} during COPY from stdin")]
    UnexpectedDuringCopy(u8),
    #[error("expected password response, got message type {0}")]
    ExpectedPassword(u8),
    #[error("expected SASL response, got message type {0}")]
    ExpectedSasl(u8),
    #[error("invalid backend message type {0}")]
    InvalidBackendType(u8),
}

impl From<FrameError> for SqlError {
    fn from(error: FrameError) -> Self {
        let sql = SqlError::fatal(SqlState::PROTOCOL_VIOLATION, error.to_string());
        match error {
            FrameError::InvalidLength { tag, declared, least, most } => sql.detail(format!(
                "A message of type \"{}\" declares {declared} bytes; between {least} and {most} are allowed.",
                tag.escape_ascii()
            )),
            FrameError::InvalidFrontendType(_)
            | FrameError::UnexpectedDuringCopy(_)
            | FrameError::ExpectedPassword(_)
            | FrameError::ExpectedSasl(_)
            | FrameError::InvalidBackendType(_) => sql,
        }
    }
}

/// The header of the message at the front of `buffer`, once five bytes of it are there.
pub fn peek_frontend(
    buffer: &[u8],
    phase: Phase,
    limits: &Limits,
) -> Result<Option<FrameHeader>, FrameError> {
    let Some(&tag) = buffer.first() else { return Ok(None) };
    let (least, most) = frontend_bounds(tag, phase, limits)?;
    header(buffer, tag, least, most)
}

/// The header of a message at the front of `buffer` that was judged before, and is whole.
pub fn judged(buffer: &[u8]) -> Option<FrameHeader> {
    let [tag, word @ ..] = *buffer.first_chunk::<HEADER_BYTES>()?;
    Some(FrameHeader { tag, len: u32::from_be_bytes(word) as usize + 1 })
}

/// The header of the server's message at the front of `buffer`, once five bytes of it are there.
pub fn peek_backend(buffer: &[u8], limits: &Limits) -> Result<Option<FrameHeader>, FrameError> {
    let Some(&tag) = buffer.first() else { return Ok(None) };
    if !is_backend_tag(tag) {
        return Err(FrameError::InvalidBackendType(tag));
    }
    header(buffer, tag, LENGTH_BYTES, length_limit(limits.server_message_bytes))
}

/// Where the rows and COPY data that stand in `buffer` from `at` on end, and how much is to come of the last one.
pub fn pass_rows(buffer: &[u8], mut at: usize, limits: &Limits) -> (usize, usize) {
    let most = length_limit(limits.server_message_bytes);
    while let Some([b'D' | b'd', word @ ..]) =
        buffer.get(at..).and_then(|rest| rest.first_chunk::<HEADER_BYTES>())
    {
        let declared = u32::from_be_bytes(*word);
        if !(LENGTH_BYTES..=most).contains(&declared) {
            // Whoever takes headers says what is wrong with it.
            break;
        }
        at += declared as usize + 1;
        if at > buffer.len() {
            return (buffer.len(), at - buffer.len());
        }
    }
    (at, 0)
}

/// Takes the first message of a client off `buffer` if all of it is there.
pub fn next_frontend(
    buffer: &mut BytesMut,
    phase: Phase,
    limits: &Limits,
) -> Result<Option<Frame>, FrameError> {
    let header = peek_frontend(buffer, phase, limits)?;
    Ok(header.and_then(|header| split_frame(buffer, header)))
}

/// Takes the first message of a server off `buffer` if all of it is there.
pub fn next_backend(buffer: &mut BytesMut, limits: &Limits) -> Result<Option<Frame>, FrameError> {
    let header = peek_backend(buffer, limits)?;
    Ok(header.and_then(|header| split_frame(buffer, header)))
}

/// Takes the message that `header` describes off `buffer` if all of it is there. Allocates nothing.
pub fn split_frame(buffer: &mut BytesMut, header: FrameHeader) -> Option<Frame> {
    if buffer.len() < header.len {
        return None;
    }
    Some(Frame { tag: header.tag, bytes: buffer.split_to(header.len) })
}

fn header(buffer: &[u8], tag: u8, least: u32, most: u32) -> Result<Option<FrameHeader>, FrameError> {
    let Some(word) = buffer.get(1..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
    let declared = u32::from_be_bytes(*word);
    if declared < least || declared > most {
        return Err(FrameError::InvalidLength { tag, declared, least, most });
    }
    Ok(Some(FrameHeader { tag, len: declared as usize + 1 }))
}

/// The least and the greatest length word for a tag, if it may stand in this phase.
fn frontend_bounds(tag: u8, phase: Phase, limits: &Limits) -> Result<(u32, u32), FrameError> {
    let small = length_limit(limits.client_small_bytes);
    let large = length_limit(limits.client_message_bytes);
    match (phase, tag) {
        (Phase::Password | Phase::Sasl, b'p') => {
            return Ok((LENGTH_BYTES, length_limit(limits.authentication_bytes)));
        }
        (Phase::Password, _) => return Err(FrameError::ExpectedPassword(tag)),
        (Phase::Sasl, _) => return Err(FrameError::ExpectedSasl(tag)),
        (Phase::CopyIn, b'd' | b'c' | b'f' | b'H' | b'S' | b'X') | (Phase::Query, _) => {}
        (Phase::CopyIn, _) => return Err(FrameError::UnexpectedDuringCopy(tag)),
    }
    // The least bodies: strings are at least their NUL, counts two bytes, lengths and identifiers four.
    Ok(match tag {
        b'Q' => (LENGTH_BYTES + 1, large),
        b'P' => (LENGTH_BYTES + 4, large),
        b'B' => (LENGTH_BYTES + 8, large),
        b'F' => (LENGTH_BYTES + 10, large),
        b'd' => (LENGTH_BYTES, large),
        b'D' | b'C' => (LENGTH_BYTES + 2, small),
        b'E' => (LENGTH_BYTES + 5, small),
        b'f' => (LENGTH_BYTES + 1, small),
        b'S' | b'H' | b'X' | b'c' => (LENGTH_BYTES, LENGTH_BYTES),
        _ => return Err(FrameError::InvalidFrontendType(tag)),
    })
}

fn is_backend_tag(tag: u8) -> bool {
    matches!(
        tag,
        b'R' | b'K'
            | b'S'
            | b'Z'
            | b'C'
            | b'T'
            | b't'
            | b'D'
            | b'd'
            | b'c'
            | b'E'
            | b'N'
            | b'A'
            | b'G'
            | b'H'
            | b'W'
            | b'V'
            | b'v'
            | b'1'
            | b'2'
            | b'3'
            | b'n'
            | b's'
            | b'I'
    )
}

/// A limit on a whole frame as a limit on its length word, which does not count the tag.
fn length_limit(frame_bytes: usize) -> u32 {
    let most = u32::try_from(frame_bytes.saturating_sub(1)).unwrap_or(u32::MAX);
    most.min(i32::MAX.unsigned_abs())
}

const LENGTH_BYTES: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn rows_are_passed_up_to_what_is_none() {
        let limits = Limits::default();
        let (row, end) = (frame(b'D', b"12345"), frame(b'C', b"SELECT 2\0"));
        let bytes = [row.clone(), row.clone(), end].concat();
        assert_eq!(pass_rows(&bytes, 0, &limits), (20, 0));
        assert_eq!(pass_rows(&bytes, 20, &limits), (20, 0));
        // The second is cut off: before the end of its header it is none yet, after it passes as far as it is there.
        for cut in 10..20 {
            let expected = if cut < 15 { (10, 0) } else { (cut, 20 - cut) };
            assert_eq!(pass_rows(&bytes[..cut], 0, &limits), expected, "{cut}");
        }
        assert_eq!(pass_rows(&[b'D', 0, 0, 0, 3, 0], 0, &limits), (0, 0));
        assert_eq!(pass_rows(&[b'D', 0xff, 0, 0, 0, 0], 0, &limits), (0, 0));
    }

    #[test]
    fn a_frame_is_split_only_when_whole() {
        let limits = Limits::default();
        let bytes = frame(b'Q', b"select 1\0");
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            assert_eq!(next_frontend(&mut buffer, Phase::Query, &limits), Ok(None));
            assert_eq!(buffer.len(), cut);
        }
        let mut buffer = BytesMut::from(&[bytes.clone(), frame(b'S', b"")].concat()[..]);
        let first = next_frontend(&mut buffer, Phase::Query, &limits).unwrap().unwrap();
        assert_eq!((first.tag, first.body()), (b'Q', &b"select 1\0"[..]));
        let second = next_frontend(&mut buffer, Phase::Query, &limits).unwrap().unwrap();
        assert_eq!((second.tag, second.body()), (b'S', &b""[..]));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_header_is_known_before_its_body() {
        let header = peek_frontend(b"Q\0\0\x01\0", Phase::Query, &Limits::default());
        assert_eq!(header, Ok(Some(FrameHeader { tag: b'Q', len: 257 })));
    }

    #[test]
    fn a_sync_with_a_query_inside_is_refused() {
        let bytes = frame(b'S', &frame(b'Q', b"drop table t\0"));
        assert!(matches!(
            peek_frontend(&bytes, Phase::Query, &Limits::default()),
            Err(FrameError::InvalidLength { tag: b'S', .. })
        ));
    }

    #[test]
    fn lengths_below_the_least_or_above_the_limit_are_refused() {
        let limits = Limits { client_message_bytes: 100, ..Limits::default() };
        for (tag, declared) in [
            (b'Q', 0_u32),
            (b'Q', 2),
            (b'Q', 4),
            (b'Q', 100),
            (b'P', 7),
            (b'B', 11),
            (b'E', 8),
            (b'C', 5),
            (b'D', 10_001),
            (b'd', 3),
            (b'S', 5),
            (b'Q', u32::MAX),
            (b'd', 0x8000_0000),
        ] {
            let bytes = [&[tag][..], &declared.to_be_bytes()].concat();
            let result = peek_frontend(&bytes, Phase::Query, &limits);
            assert!(matches!(result, Err(FrameError::InvalidLength { .. })), "{tag} {declared} {result:?}");
        }
        assert!(peek_frontend(b"Q\0\0\0\x63", Phase::Query, &limits).is_ok());
    }

    #[test]
    fn tags_are_legal_by_phase_from_the_first_byte() {
        let limits = Limits::default();
        assert_eq!(peek_frontend(b"p", Phase::Password, &limits), Ok(None));
        assert_eq!(peek_frontend(b"p", Phase::Sasl, &limits), Ok(None));
        assert_eq!(
            peek_frontend(b"Q", Phase::Password, &limits).unwrap_err().to_string(),
            "expected password response, got message type 81"
        );
        assert_eq!(
            peek_frontend(b"p", Phase::Query, &limits).unwrap_err().to_string(),
            "invalid frontend message type 112"
        );
        assert_eq!(
            peek_frontend(b"Q", Phase::CopyIn, &limits).unwrap_err().to_string(),
            "unexpected message type 0x51 during COPY from stdin"
        );
        assert_eq!(peek_backend(b"Q", &limits).unwrap_err().to_string(), "invalid backend message type 81");
    }

    #[test]
    fn before_authentication_little_is_accepted() {
        let bytes = [&b"p"[..], &100_000_000_u32.to_be_bytes()].concat();
        let error = peek_frontend(&bytes, Phase::Sasl, &Limits::default()).unwrap_err();
        let sql = SqlError::from(error);
        assert_eq!(
            (sql.sqlstate, sql.message.as_str()),
            (SqlState::PROTOCOL_VIOLATION, "invalid message length")
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let limits = Limits::default();
            for phase in [Phase::Password, Phase::Sasl, Phase::Query, Phase::CopyIn] {
                let mut buffer = BytesMut::from(&bytes[..]);
                while let Ok(Some(frame)) = next_frontend(&mut buffer, phase, &limits) {
                    prop_assert!(frame.bytes.len() >= HEADER_BYTES);
                }
            }
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = next_backend(&mut buffer, &limits) {
                prop_assert!(frame.bytes.len() >= HEADER_BYTES);
            }
        }
    }
}
