//! What a server's messages say: decoders that borrow from the frame.
//!
//! Called by `backend`, `execute` and `merge` for the messages they must understand; rows that are only relayed are
//! never decoded. Pure. Each `decode` takes the *body* of one frame (see [`super::frame::body`]). Errors and notices
//! are read by [`super::error::SqlError::parse`].
//!
//! Invariants:
//! 1. A decoder succeeds only if strings end in NUL, counts agree with what follows, and nothing is left over: also
//!    a server is a stranger, it may be something else than PostgreSQL.
//! 2. Iterators yield exactly as many items as `len()` says: what they walk was checked by the decoder.
//!
//! Not here: values of types (`merge`), and which message is expected when (`backend`).
//! Source: the manual's "Message Formats".

use super::frontend::{CANCEL_SECRET_BYTES, Formats, Oids, ProtocolVersion, Values};
use super::reader::{DecodeError, Reader};

/// `T`: the columns of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDescription<'a> {
    count: usize,
    bytes: &'a [u8],
}

/// One column of a RowDescription. The name is bytes in the session's `client_encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a [u8],
    /// 0 if the column is not simply one of a table.
    pub table_oid: u32,
    pub attribute_number: i16,
    pub type_oid: u32,
    /// Negative for types of variable width.
    pub type_length: i16,
    /// −1 where the type has none.
    pub type_modifier: i32,
    /// 0 text, 1 binary. In the answer to a Describe of a statement it is always 0.
    pub format: i16,
}

impl<'a> Field<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Field {
            name: reader.cstr()?,
            table_oid: reader.u32()?,
            attribute_number: reader.i16()?,
            type_oid: reader.u32()?,
            type_length: reader.i16()?,
            type_modifier: reader.i32()?,
            format: reader.i16()?,
        })
    }
}

impl<'a> RowDescription<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let count = usize::from(reader.u16()?);
        let bytes = reader.rest();
        for _ in 0..count {
            Field::read(&mut reader)?;
        }
        reader.end()?;
        Ok(RowDescription { count, bytes })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || if reader.is_empty() { None } else { Field::read(&mut reader).ok() })
    }
}

/// `D`: one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRow<'a> {
    pub values: Values<'a>,
}

impl<'a> DataRow<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let values = Values::read(&mut reader)?;
        reader.end()?;
        Ok(DataRow { values })
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Each value: `None` for NULL, or its bytes in the column's format.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        self.values.iter()
    }
}

/// `t`: the types of a statement's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterDescription<'a> {
    pub oids: Oids<'a>,
}

impl<'a> ParameterDescription<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let count = usize::from(reader.u16()?);
        let oids = Oids::new(reader.bytes(count * 4)?);
        reader.end()?;
        Ok(ParameterDescription { oids })
    }
}

/// `C` from a server: the tag, such as `INSERT 0 3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    pub tag: &'a [u8],
}

impl<'a> CommandComplete<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let tag = reader.cstr()?;
        reader.end()?;
        Ok(CommandComplete { tag })
    }

    /// The count of rows at the tag's end, if the command has one.
    pub fn rows(&self) -> Option<u64> {
        let digits = self.tag.rsplit(|byte| *byte == b' ').next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The tag without its numbers: `INSERT`, `SELECT`, `CREATE TABLE`.
    pub fn command(&self) -> &'a [u8] {
        let end = self.tag.windows(2).position(|pair| pair[0] == b' ' && pair[1].is_ascii_digit());
        end.map_or(self.tag, |end| &self.tag[..end])
    }
}

/// `S` from a server: a reported setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
}

impl<'a> ParameterStatus<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let name = reader.cstr()?;
        let value = reader.cstr()?;
        reader.end()?;
        Ok(ParameterStatus { name, value })
    }
}

/// `K`: what cancels this session. No `Debug` of the key: it is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKeyData<'a> {
    pub pid: u32,
    pub secret: &'a [u8],
}

impl<'a> BackendKeyData<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let pid = reader.u32()?;
        let secret = reader.take_rest();
        if !CANCEL_SECRET_BYTES.contains(&secret.len()) {
            return Err(DecodeError::InvalidField("cancel key"));
        }
        Ok(BackendKeyData { pid, secret })
    }
}

impl std::fmt::Debug for BackendKeyData<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BackendKeyData").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// What ReadyForQuery says of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    Idle,
    InTransaction,
    Failed,
}

impl TransactionStatus {
    pub fn code(self) -> u8 {
        match self {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InTransaction => b'T',
            TransactionStatus::Failed => b'E',
        }
    }
}

/// `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyForQuery {
    pub status: TransactionStatus,
}

impl ReadyForQuery {
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let status = match reader.u8()? {
            b'I' => TransactionStatus::Idle,
            b'T' => TransactionStatus::InTransaction,
            b'E' => TransactionStatus::Failed,
            _ => return Err(DecodeError::InvalidField("transaction status")),
        };
        reader.end()?;
        Ok(ReadyForQuery { status })
    }
}

/// `G`, `H` and `W`: a COPY begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyResponse<'a> {
    /// 0 text, 1 binary.
    pub format: u8,
    /// One code per column.
    pub columns: Formats<'a>,
}

impl<'a> CopyResponse<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let format = reader.u8()?;
        let columns = Formats::read(&mut reader)?;
        reader.end()?;
        Ok(CopyResponse { format, columns })
    }
}

/// `A`: a NOTIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationResponse<'a> {
    pub pid: u32,
    pub channel: &'a [u8],
    pub payload: &'a [u8],
}

impl<'a> NotificationResponse<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let pid = reader.u32()?;
        let channel = reader.cstr()?;
        let payload = reader.cstr()?;
        reader.end()?;
        Ok(NotificationResponse { pid, channel, payload })
    }
}

/// `R`: what the server wants to know before it lets us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    Ok,
    CleartextPassword,
    Md5Password {
        salt: [u8; 4],
    },
    /// The mechanisms that are offered.
    Sasl(Mechanisms<'a>),
    SaslContinue(&'a [u8]),
    SaslFinal(&'a [u8]),
    /// Kerberos, GSS, SSPI and what may come: not spoken here.
    Other(u32),
}

impl<'a> Authentication<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let request = match reader.u32()? {
            0 => Authentication::Ok,
            3 => Authentication::CleartextPassword,
            5 => {
                let salt = reader.u32()?.to_be_bytes();
                Authentication::Md5Password { salt }
            }
            10 => Authentication::Sasl(Mechanisms::read(&mut reader)?),
            11 => Authentication::SaslContinue(reader.take_rest()),
            12 => Authentication::SaslFinal(reader.take_rest()),
            code => {
                reader.take_rest();
                Authentication::Other(code)
            }
        };
        reader.end()?;
        Ok(request)
    }
}

/// A checked list of SASL mechanisms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mechanisms<'a> {
    bytes: &'a [u8],
}

impl<'a> Mechanisms<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.rest();
        loop {
            let before = start.len() - reader.rest().len();
            if reader.cstr()?.is_empty() {
                return Ok(Mechanisms { bytes: &start[..before] });
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty())
    }
}

/// `v`: the server speaks less than was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    pub version: ProtocolVersion,
    pub unknown_options: Vec<&'a [u8]>,
}

impl<'a> NegotiateProtocolVersion<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        // Some implementations send the minor version alone.
        let version = match reader.u32()? {
            minor @ 0..=0xffff => ProtocolVersion::from_code(ProtocolVersion::V3_0.code() | minor),
            code => ProtocolVersion::from_code(code),
        };
        let count = reader.u32()?;
        let mut unknown_options = Vec::new();
        for _ in 0..count {
            unknown_options.push(reader.cstr()?);
        }
        reader.end()?;
        Ok(NegotiateProtocolVersion { version, unknown_options })
    }
}

#[cfg(test)]
mod tests;
