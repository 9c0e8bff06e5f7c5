//! How rows stand in COPY data: the format that the statement chose, and what can be wrong with a row.
//!
//! Used by [`super::splitter`] (where rows end) and [`super::fields`] (what stands in them). Pure.
//!
//! The rules are those of PostgreSQL's `commands/copyfromparse.c`, and so are the words of the errors: what a server
//! would say of a line must be said here where no single server sees all lines (newline styles, the end-of-copy
//! marker), or where a line cannot be placed.
//!
//! Invariants:
//! 1. A client encoding in which bytes of ASCII stand inside other characters is never split.
//! 2. Delimiter, quote and escape are single bytes; the NULL marker is compared before anything is unescaped.

use std::sync::Arc;

use crate::sql::facts::{Copy, CopyFormat, CopyHeader};
use crate::wire::error::{SqlError, SqlState};

/// What splitting must know of the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFormat {
    pub syntax: Syntax,
    pub delimiter: u8,
    pub null: Box<[u8]>,
    pub header: bool,
    pub marker: Marker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    Text,
    Csv {
        quote: u8,
        /// None: the quote escapes itself.
        escape: Option<u8>,
    },
    Binary,
}

/// What a CSV line of `\.` alone means: the end of the data before PostgreSQL 18, a value since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    Ends,
    IsData,
}

impl RowFormat {
    /// `marker` is that of the servers' version.
    pub fn of(copy: &Copy, marker: Marker) -> Self {
        let syntax = match copy.format {
            CopyFormat::Text => Syntax::Text,
            CopyFormat::Csv => {
                let escape = (copy.escape != copy.quote).then_some(copy.escape);
                Syntax::Csv { quote: copy.quote, escape }
            }
            CopyFormat::Binary => Syntax::Binary,
        };
        Self {
            syntax,
            delimiter: copy.delimiter,
            null: copy.null.as_bytes().into(),
            header: copy.header != CopyHeader::No,
            marker,
        }
    }
}

impl Marker {
    /// `server_version` as servers report it: `15.4`, `18beta1`.
    pub fn of_version(server_version: &str) -> Self {
        let digits = server_version.bytes().take_while(u8::is_ascii_digit).count();
        match server_version[..digits].parse::<u32>() {
            Ok(major) if major >= 18 => Self::IsData,
            Ok(_) | Err(_) => Self::Ends,
        }
    }
}

/// What the client's encoding allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// Bytes below 128 are ASCII and nothing else; keys that are not ASCII cannot be read.
    AsciiSafe,
}

impl Encoding {
    /// From the client_encoding that was reported; None: its data cannot be split.
    pub fn of(client_encoding: Option<&[u8]>) -> Option<Self> {
        /// PostgreSQL's `PG_ENCODING_IS_CLIENT_ONLY`, with BIG5's and its kin's names as they are reported.
        const EMBEDS_ASCII: [&[u8]; 8] =
            [b"SJIS", b"BIG5", b"GBK", b"UHC", b"GB18030", b"JOHAB", b"SHIFT_JIS_2004", b"MULE_INTERNAL"];
        match client_encoding {
            Some(b"UTF8" | b"UNICODE") => Some(Self::Utf8),
            Some(name) if EMBEDS_ASCII.iter().any(|known| known.eq_ignore_ascii_case(name)) => None,
            Some(_) | None => Some(Self::AsciiSafe),
        }
    }

    /// Whether a key of these bytes is what the server stores.
    pub fn reads(self, bytes: &[u8]) -> bool {
        match self {
            Self::Utf8 => true,
            Self::AsciiSafe => bytes.is_ascii(),
        }
    }
}

/// Why a line is not a row. The words are PostgreSQL's where PostgreSQL has the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("{} carriage return found in data", kind(.csv))]
    CarriageReturn { csv: bool },
    #[error("{} newline found in data", kind(.csv))]
    Newline { csv: bool },
    #[error("end-of-copy marker corrupt")]
    MarkerCorrupt,
    #[error("end-of-copy marker does not match previous newline style")]
    MarkerNewline,
    /// Older servers take what stands before the marker for a last row, PostgreSQL 18 does not.
    #[error("end-of-copy marker is not alone on its line")]
    MarkerNotAlone,
    #[error("unterminated CSV quoted field")]
    UnterminatedQuote,
    #[error("missing data for column \"{0}\"")]
    MissingColumn(Arc<str>),
    #[error("row is larger than {0} bytes")]
    TooLarge(usize),
    #[error("COPY file signature not recognized")]
    Signature,
    #[error("invalid COPY file header ({0})")]
    Header(&'static str),
    #[error("invalid field size")]
    FieldSize,
    #[error("row field count is {found}, expected {expected}")]
    FieldCount { found: usize, expected: usize },
    #[error("unexpected EOF in COPY data")]
    UnexpectedEnd,
    #[error("received copy data after EOF marker")]
    AfterMarker,
}

fn kind(csv: &bool) -> &'static str {
    if *csv { "unquoted" } else { "literal" }
}

impl RowError {
    pub fn into_sql(self) -> SqlError {
        let message = self.to_string();
        let error = SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message.as_str());
        match self {
            Self::CarriageReturn { csv: false } => error.hint("Use \"\\r\" to represent carriage return."),
            Self::CarriageReturn { csv: true } => {
                error.hint("Use quoted CSV field to represent carriage return.")
            }
            Self::Newline { csv: false } => error.hint("Use \"\\n\" to represent newline."),
            Self::Newline { csv: true } => error.hint("Use quoted CSV field to represent newline."),
            Self::MarkerCorrupt
            | Self::MarkerNewline
            | Self::MarkerNotAlone
            | Self::UnterminatedQuote
            | Self::MissingColumn(_)
            | Self::Signature
            | Self::Header(_)
            | Self::FieldSize
            | Self::FieldCount { .. }
            | Self::UnexpectedEnd
            | Self::AfterMarker => error,
            Self::TooLarge(_) => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
                .hint("An unterminated quote may have joined many lines."),
        }
    }
}
