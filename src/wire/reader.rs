//! A bounded cursor over the body of one message, and the error of every decoder.
//!
//! Used by [`super::frontend`] and [`super::backend`]; pure. Each method takes from the front or fails; nothing
//! reads past the end, and [`Reader::end`] proves that nothing was left. The messages are those of PostgreSQL's
//! `pqformat.c`, because a decoding error is shown to the client in its words.
//!
//! Not here: the splitting of a stream into frames ([`super::frame`]).

use thiserror::Error;

use super::error::{SqlError, SqlState};

/// Why the body of a well-framed message cannot be understood. Always SQLSTATE 08P01.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("invalid string in message")]
    InvalidString,
    #[error("insufficient data left in message")]
    InsufficientData,
    /// Bytes were left over.
    #[error("invalid message format")]
    TrailingData,
    #[error("invalid {message} message subtype {subtype}")]
    InvalidSubtype { message: &'static str, subtype: u8 },
    #[error("bind message has {formats} parameter formats but {parameters} parameters")]
    FormatCount { formats: usize, parameters: usize },
    #[error("invalid startup packet layout: expected terminator as last byte")]
    StartupLayout,
    #[error("invalid length of startup packet")]
    StartupLength,
    #[error("invalid length of query cancel packet")]
    CancelLength,
    /// A field holds a value that the protocol does not know.
    #[error("invalid {0} in message")]
    InvalidField(&'static str),
}

impl From<DecodeError> for SqlError {
    fn from(error: DecodeError) -> Self {
        SqlError::new(SqlState::PROTOCOL_VIOLATION, error.to_string())
    }
}

/// The bytes of a message body that are still to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Reader { rest: body }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::InsufficientData)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::InsufficientData)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// A string up to its NUL, which is taken and not returned.
    pub fn cstr(&mut self) -> Result<&'a [u8], DecodeError> {
        // Most are names, and most of those are empty: a call costs more than a look at the first byte.
        let end = match self.rest.first() {
            Some(0) => 0,
            _ => memchr::memchr(0, self.rest).ok_or(DecodeError::InvalidString)?,
        };
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    /// A value as Bind and DataRow carry it: a length, −1 for NULL, then the bytes.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| DecodeError::InsufficientData)?;
                self.bytes(length).map(Some)
            }
        }
    }

    /// Everything that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingData) }
    }
}
