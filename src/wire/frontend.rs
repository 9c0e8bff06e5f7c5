//! What a client's messages say: decoders that borrow names, offsets and values from the frame.
//!
//! Called by `session` for the messages it must understand (Q P B D C E f, the first packets, passwords); all
//! others are forwarded as frames. Pure. Each `decode` takes the *body* of one frame (see [`super::frame::body`]).
//!
//! Parse and Bind also yield `tail`: what follows the names, exactly as it came, so that a statement can be renamed
//! without decoding or copying its parts twice ([`super::encode::client::parse_with_tail`], `bind_with_tail`).
//!
//! Invariants:
//! 1. A decoder succeeds only if strings end in NUL, counts agree with what follows, and nothing is left over.
//! 2. Iterators yield exactly as many items as `len()` says: what they walk was checked by the decoder.
//! 3. Nothing allocates, but for the list of start-up parameters, which the packet's length bounds.
//!
//! Not here: whether the message is legal now (`session`), and whether a format code exists: the server judges that.
//! Source: the manual's "Message Formats", and `exec_*_message` in PostgreSQL's `tcop/postgres.c`.

use super::error::{SqlError, SqlState};
use super::reader::{DecodeError, Reader};

/// `Q`: the text, without its NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    pub sql: &'a [u8],
}

impl<'a> Query<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let sql = reader.cstr()?;
        reader.end()?;
        Ok(Query { sql })
    }
}

/// `P`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    pub name: &'a [u8],
    pub sql: &'a [u8],
    pub parameter_oids: Oids<'a>,
    /// Everything after the name: text and types.
    pub tail: &'a [u8],
}

impl<'a> Parse<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let name = reader.cstr()?;
        Self::with_tail(name, reader.rest())
    }

    /// Of a message that is kept without its name.
    pub fn with_tail(name: &'a [u8], tail: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(tail);
        let sql = reader.cstr()?;
        let count = usize::from(reader.u16()?);
        let parameter_oids = Oids { bytes: reader.bytes(count * 4)? };
        reader.end()?;
        Ok(Parse { name, sql, parameter_oids, tail })
    }
}

/// A checked array of object identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oids<'a> {
    bytes: &'a [u8],
}

impl<'a> Oids<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Oids { bytes }
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The identifiers in order; 0 where the type is left to the server.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (oids, _) = self.bytes.as_chunks::<4>();
        oids.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// `B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    pub portal: &'a [u8],
    pub statement: &'a [u8],
    pub parameter_formats: Formats<'a>,
    pub parameters: Values<'a>,
    pub result_formats: Formats<'a>,
    /// Everything after the two names.
    pub tail: &'a [u8],
}

impl<'a> Bind<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let portal = reader.cstr()?;
        let statement = reader.cstr()?;
        let tail = reader.rest();
        let parameter_formats = Formats::read(&mut reader)?;
        let parameters = Values::read(&mut reader)?;
        let result_formats = Formats::read(&mut reader)?;
        reader.end()?;
        if parameter_formats.len() > 1 && parameter_formats.len() != parameters.len() {
            return Err(DecodeError::FormatCount {
                formats: parameter_formats.len(),
                parameters: parameters.len(),
            });
        }
        Ok(Bind { portal, statement, parameter_formats, parameters, result_formats, tail })
    }

    /// A statement with `wanted` parameters takes as many, in PostgreSQL's words (`exec_bind_message`).
    pub fn check_count(&self, wanted: usize) -> Result<(), SqlError> {
        let given = self.parameters.len();
        if given == wanted {
            return Ok(());
        }
        let statement = String::from_utf8_lossy(self.statement);
        let message = format!(
            "bind message supplies {given} parameters, but prepared statement \"{statement}\" requires {wanted}"
        );
        Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message))
    }
}

/// A checked array of format codes, with the protocol's shorthand: none means all text, one speaks for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats<'a> {
    bytes: &'a [u8],
}

impl<'a> Formats<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::from(reader.u16()?);
        Ok(Formats { bytes: reader.bytes(count * 2)? })
    }

    /// How many codes were sent, which is not always how many values they speak for.
    pub fn len(&self) -> usize {
        self.bytes.len() / 2
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The codes as they were sent.
    pub fn iter(&self) -> impl Iterator<Item = i16> + use<'a> {
        let (codes, _) = self.bytes.as_chunks::<2>();
        codes.iter().map(|code| i16::from_be_bytes(*code))
    }

    /// Whether binary (1) is among the codes.
    pub fn any_binary(&self) -> bool {
        self.iter().any(|format| format == 1)
    }

    /// The code that applies to the value at `index`, from 0. Text (0) where the array says nothing.
    pub fn of(&self, index: usize) -> i16 {
        let index = if self.len() == 1 { 0 } else { index };
        let (codes, _) = self.bytes.as_chunks::<2>();
        codes.get(index).map_or(0, |code| i16::from_be_bytes(*code))
    }
}

/// A checked array of values, each `None` for NULL or its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::from(reader.u16()?);
        let start = reader.rest();
        for _ in 0..count {
            reader.value()?;
        }
        let length = start.len() - reader.rest().len();
        Ok(Values { count, bytes: &start[..length] })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || if reader.is_empty() { None } else { reader.value().ok() })
    }

    /// The value at `index`, from 0. `None` beyond the end; `Some(None)` is NULL.
    pub fn get(&self, index: usize) -> Option<Option<&'a [u8]>> {
        self.iter().nth(index)
    }

    /// The values as they came, each with its length before it.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// What Describe and Close speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    Statement,
    Portal,
}

impl Target {
    pub fn code(self) -> u8 {
        match self {
            Target::Statement => b'S',
            Target::Portal => b'P',
        }
    }
}

/// `D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Describe<'a> {
    pub target: Target,
    pub name: &'a [u8],
}

impl<'a> Describe<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (target, name) = target_and_name(body, "DESCRIBE")?;
        Ok(Describe { target, name })
    }
}

/// `C` from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    pub target: Target,
    pub name: &'a [u8],
}

impl<'a> Close<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (target, name) = target_and_name(body, "CLOSE")?;
        Ok(Close { target, name })
    }
}

fn target_and_name<'a>(body: &'a [u8], message: &'static str) -> Result<(Target, &'a [u8]), DecodeError> {
    let mut reader = Reader::new(body);
    let subtype = reader.u8()?;
    let name = reader.cstr()?;
    reader.end()?;
    match subtype {
        b'S' => Ok((Target::Statement, name)),
        b'P' => Ok((Target::Portal, name)),
        _ => Err(DecodeError::InvalidSubtype { message, subtype }),
    }
}

/// `E` from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    pub portal: &'a [u8],
    /// Zero or less means all.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let portal = reader.cstr()?;
        let max_rows = reader.i32()?;
        reader.end()?;
        Ok(Execute { portal, max_rows })
    }
}

/// `f`: the reason the client gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFail<'a> {
    pub reason: &'a [u8],
}

impl<'a> CopyFail<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let reason = reader.cstr()?;
        reader.end()?;
        Ok(CopyFail { reason })
    }
}

/// `p` in answer to a cleartext or md5 request. No `Debug`: it is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password<'a> {
    pub password: &'a [u8],
}

impl<'a> Password<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let password = reader.cstr()?;
        reader.end()?;
        Ok(Password { password })
    }
}

/// `p` in answer to AuthenticationSASL. Later SASL answers are their whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInitialResponse<'a> {
    pub mechanism: &'a [u8],
    pub response: Option<&'a [u8]>,
}

impl<'a> SaslInitialResponse<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mechanism = reader.cstr()?;
        let response = reader.value()?;
        reader.end()?;
        Ok(SaslInitialResponse { mechanism, response })
    }
}

/// The code that stands first in an untyped packet.
pub const SSL_REQUEST_CODE: u32 = (1234 << 16) | 5679;
pub const GSSENC_REQUEST_CODE: u32 = (1234 << 16) | 5680;
pub const CANCEL_REQUEST_CODE: u32 = (1234 << 16) | 5678;

/// A version of the protocol, as start-up packets carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion {
    pub major: u16,
    pub minor: u16,
}

impl ProtocolVersion {
    pub const V3_0: ProtocolVersion = ProtocolVersion { major: 3, minor: 0 };
    pub const V3_2: ProtocolVersion = ProtocolVersion { major: 3, minor: 2 };

    pub fn from_code(code: u32) -> Self {
        let [a, b, c, d] = code.to_be_bytes();
        ProtocolVersion { major: u16::from_be_bytes([a, b]), minor: u16::from_be_bytes([c, d]) }
    }

    pub fn code(self) -> u32 {
        (u32::from(self.major) << 16) | u32::from(self.minor)
    }
}

/// An untyped first packet, after its length word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstPacket<'a> {
    SslRequest,
    GssEncRequest,
    Cancel(CancelRequest<'a>),
    /// A start-up packet of major version 3, whatever its minor.
    Startup(StartupPacket<'a>),
    /// Some other version, whose layout is unknown.
    Unsupported(ProtocolVersion),
}

impl<'a> FirstPacket<'a> {
    /// `packet` is what follows the length word.
    pub fn decode(packet: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let code = reader.u32().map_err(|_| DecodeError::StartupLength)?;
        match code {
            SSL_REQUEST_CODE | GSSENC_REQUEST_CODE if !reader.is_empty() => Err(DecodeError::StartupLength),
            SSL_REQUEST_CODE => Ok(FirstPacket::SslRequest),
            GSSENC_REQUEST_CODE => Ok(FirstPacket::GssEncRequest),
            CANCEL_REQUEST_CODE => CancelRequest::read(&mut reader).map(FirstPacket::Cancel),
            code => {
                let version = ProtocolVersion::from_code(code);
                if version.major != 3 {
                    return Ok(FirstPacket::Unsupported(version));
                }
                StartupPacket::read(version, &mut reader).map(FirstPacket::Startup)
            }
        }
    }
}

/// A request to cancel what the session with this key is doing. No `Debug` of the key: it is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CancelRequest<'a> {
    pub pid: u32,
    /// Four bytes in protocol 3.0, up to 256 since 3.2.
    pub secret: &'a [u8],
}

impl<'a> CancelRequest<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let pid = reader.u32().map_err(|_| DecodeError::CancelLength)?;
        let secret = reader.take_rest();
        if !CANCEL_SECRET_BYTES.contains(&secret.len()) {
            return Err(DecodeError::CancelLength);
        }
        Ok(CancelRequest { pid, secret })
    }
}

impl std::fmt::Debug for CancelRequest<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CancelRequest").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// How long a cancel key may be.
pub const CANCEL_SECRET_BYTES: std::ops::RangeInclusive<usize> = 4..=256;

/// The start-up packet: the version asked for, and parameters in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupPacket<'a> {
    pub version: ProtocolVersion,
    pub parameters: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> StartupPacket<'a> {
    fn read(version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut parameters = Vec::new();
        loop {
            let name = reader.cstr().map_err(|_| DecodeError::StartupLayout)?;
            if name.is_empty() {
                break;
            }
            let value = reader.cstr().map_err(|_| DecodeError::StartupLayout)?;
            parameters.push((name, value));
        }
        reader.end().map_err(|_| DecodeError::StartupLayout)?;
        Ok(StartupPacket { version, parameters })
    }

    /// The value of a parameter; where it came more than once, the last one, as PostgreSQL takes it.
    pub fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.parameters.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The names of the protocol options (`_pq_.…`) that were asked for.
    pub fn protocol_options(&self) -> impl Iterator<Item = &'a [u8]> {
        self.parameters.iter().map(|(name, _)| *name).filter(|name| name.starts_with(b"_pq_."))
    }
}

#[cfg(test)]
mod tests;
