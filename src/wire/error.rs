//! An error or notice as SQL knows it: severity, SQLSTATE, message, and the fields that help.
//!
//! Every room's error becomes a [`SqlError`] before a client sees it, and a server's ErrorResponse becomes one
//! when Meridian must look inside. Pure; [`super::encode`] writes the frame around it.
//!
//! Wording follows PostgreSQL: the message starts in lower case and ends without a stop; detail and hint are
//! sentences.
//!
//! Invariants:
//! 1. An error that was parsed keeps every field that the server sent, known here or not, so encoding it again
//!    loses only the localised spelling of the severity.
//! 2. An encoded error carries S and V with the same unlocalised severity, C and M always.
//!
//! Not here: which error belongs to which refusal (the rooms), and who writes it to a client (`session`).

use std::fmt;
use std::num::NonZeroU16;

use bytes::{BufMut, BytesMut};

use super::reader::{DecodeError, Reader};
pub use super::sqlstate::SqlState;

/// How grave it is. `Error` ends the statement, `Fatal` the session, `Panic` was the end of the server's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    Panic,
    Fatal,
    Error,
    Warning,
    Notice,
    Debug,
    Info,
    Log,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Panic => "PANIC",
            Severity::Fatal => "FATAL",
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Debug => "DEBUG",
            Severity::Info => "INFO",
            Severity::Log => "LOG",
        }
    }

    fn parse(text: &[u8]) -> Option<Severity> {
        Some(match text {
            b"PANIC" => Severity::Panic,
            b"FATAL" => Severity::Fatal,
            b"ERROR" => Severity::Error,
            b"WARNING" => Severity::Warning,
            b"NOTICE" => Severity::Notice,
            b"DEBUG" => Severity::Debug,
            b"INFO" => Severity::Info,
            b"LOG" => Severity::Log,
            _ => return None,
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An error or notice of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    pub severity: Severity,
    pub sqlstate: SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// In characters of the query's text, from 1.
    pub position: Option<u32>,
    /// Any further fields by their protocol code (`W` where, `s` schema, `t` table, `n` constraint …), as received.
    pub fields: Vec<(u8, String)>,
    /// The number under which Meridian lists the refusal, if it is one. Not sent.
    pub refusal: Option<RefusalNumber>,
}

/// A letter and three digits, in two bytes: errors are passed by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalNumber(NonZeroU16);

impl RefusalNumber {
    /// `M018`; None for anything else.
    pub fn parse(code: &str) -> Option<Self> {
        let (letter, digits) = code.split_at_checked(1)?;
        let letter = letter.bytes().next().filter(u8::is_ascii_uppercase)? - b'A';
        let number: u16 = digits.parse().ok().filter(|number| *number < 1000)?;
        NonZeroU16::new(u16::from(letter) * 1000 + number + 1).map(Self)
    }
}

impl fmt::Display for RefusalNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0.get() - 1;
        write!(formatter, "{}{:03}", char::from(b'A' + (value / 1000) as u8), value % 1000)
    }
}

impl SqlError {
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        SqlError {
            severity: Severity::Error,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            fields: Vec::new(),
            refusal: None,
        }
    }

    /// An error that ends the session.
    pub fn fatal(sqlstate: SqlState, message: impl Into<String>) -> Self {
        SqlError::new(sqlstate, message).severity(Severity::Fatal)
    }

    pub fn notice(sqlstate: SqlState, message: impl Into<String>) -> Self {
        SqlError::new(sqlstate, message).severity(Severity::Notice)
    }

    pub fn warning(sqlstate: SqlState, message: impl Into<String>) -> Self {
        SqlError::new(sqlstate, message).severity(Severity::Warning)
    }

    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn position(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }

    /// Sets a field by its protocol code, for instance `b'n'` for the constraint's name.
    #[must_use]
    pub fn field(mut self, code: u8, value: impl Into<String>) -> Self {
        self.fields.push((code, value.into()));
        self
    }

    /// The same error in a text that has so many characters more in front.
    #[must_use]
    pub fn behind(mut self, characters: u32) -> Self {
        self.position = self.position.map(|position| position.saturating_add(characters));
        self
    }

    /// True if the session that raised it is over.
    pub fn ends_session(&self) -> bool {
        matches!(self.severity, Severity::Fatal | Severity::Panic)
    }

    /// Reads the body of an ErrorResponse or NoticeResponse. Text that is not UTF-8 is read with replacement
    /// characters: an error that must reach its client unchanged is forwarded as a frame instead.
    pub fn parse(body: &[u8]) -> Result<SqlError, DecodeError> {
        let mut error = SqlError::new(SqlState::INTERNAL_ERROR, "");
        let mut spoken = None;
        let mut plain = None;
        let mut reader = Reader::new(body);
        loop {
            let code = reader.u8()?;
            if code == 0 {
                break;
            }
            let value = reader.cstr()?;
            let text = || String::from_utf8_lossy(value).into_owned();
            match code {
                b'S' => spoken = Severity::parse(value),
                b'V' => plain = Severity::parse(value),
                b'C' => error.sqlstate = SqlState::parse(value).unwrap_or(SqlState::INTERNAL_ERROR),
                b'M' => error.message = text(),
                b'D' => error.detail = Some(text()),
                b'H' => error.hint = Some(text()),
                b'P' => error.position = text().parse().ok(),
                other => error.fields.push((other, text())),
            }
        }
        reader.end()?;
        error.severity = plain.or(spoken).unwrap_or(Severity::Error);
        Ok(error)
    }

    /// Appends the fields as the body of an ErrorResponse or NoticeResponse, terminator included.
    pub(super) fn put_fields(&self, buffer: &mut BytesMut) {
        let severity = self.severity.as_str();
        put_field(buffer, b'S', severity);
        put_field(buffer, b'V', severity);
        put_field(buffer, b'C', self.sqlstate.as_str());
        put_field(buffer, b'M', &self.message);
        if let Some(detail) = &self.detail {
            put_field(buffer, b'D', detail);
        }
        if let Some(hint) = &self.hint {
            put_field(buffer, b'H', hint);
        }
        if let Some(position) = self.position {
            put_field(buffer, b'P', &position.to_string());
        }
        for (code, value) in self.fields.iter().filter(|(code, _)| *code != 0) {
            put_field(buffer, *code, value);
        }
        buffer.put_u8(0);
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} ({})", self.severity, self.message, self.sqlstate)
    }
}

impl std::error::Error for SqlError {}

fn put_field(buffer: &mut BytesMut, code: u8, value: &str) {
    buffer.put_u8(code);
    super::encode::put_cstr(buffer, value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{encode, frame};
    use proptest::prelude::*;

    #[test]
    fn numbers_of_refusals_are_kept_in_two_bytes() {
        for code in ["M001", "S000", "X033", "Z999"] {
            assert_eq!(RefusalNumber::parse(code).map(|number| number.to_string()).as_deref(), Some(code));
        }
        for code in ["", "M", "m001", "M1000", "Mabc", "ü001"] {
            assert_eq!(RefusalNumber::parse(code), None, "{code}");
        }
    }

    #[test]
    fn an_error_survives_its_encoding() {
        let error = SqlError::new(SqlState::CHECK_VIOLATION, "region contradicts position")
            .detail("The position lies in us-east.")
            .hint("Leave the region out.")
            .position(17)
            .field(b'n', "rides_region");
        let mut buffer = BytesMut::new();
        encode::server::error_response(&mut buffer, &error);
        assert_eq!(buffer[0], b'E');
        assert_eq!(SqlError::parse(frame::body(&buffer)), Ok(error));
    }

    #[test]
    fn the_unlocalised_severity_wins() {
        let parsed = SqlError::parse(b"SFEHLER\0VFATAL\0C57P01\0Mende\0\0").unwrap();
        assert_eq!(parsed.severity, Severity::Fatal);
        assert!(parsed.ends_session());
        assert_eq!(parsed.to_string(), "FATAL: ende (57P01)");
    }

    #[test]
    fn a_torn_error_is_refused() {
        assert!(SqlError::parse(b"").is_err());
        assert!(SqlError::parse(b"SERROR\0").is_err());
        assert!(SqlError::parse(b"SERROR").is_err());
        assert_eq!(SqlError::parse(b"Mx\0\0\0"), Err(DecodeError::TrailingData));
    }

    #[test]
    fn a_nul_inside_a_message_ends_it() {
        let mut buffer = BytesMut::new();
        encode::server::error_response(&mut buffer, &SqlError::new(SqlState::INTERNAL_ERROR, "a\0Mb"));
        assert_eq!(SqlError::parse(frame::body(&buffer)).unwrap().message, "a");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = SqlError::parse(&bytes);
        }
    }
}
