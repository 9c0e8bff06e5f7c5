//! How a relay ended.

use super::super::lane::Owed;
use super::super::numbers::Carried;
use crate::backend::BackendError;
use crate::topology::Lsn;
use crate::wire::backend::{ParameterDescription, TransactionStatus};
use crate::wire::error::SqlError;

/// What a client was told of the statements that it names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Confirmed {
    /// ParseCompletes.
    pub parses: usize,
    /// CloseCompletes for statements.
    pub closes: usize,
    /// Behind these a Parse has failed: it was not skipped.
    pub failed_parse: bool,
}

/// How a relay ended.
#[derive(Debug, Default)]
pub struct Report {
    /// From the last ReadyForQuery, hidden or not; None if there was none.
    pub status: Option<TransactionStatus>,
    /// The first error that was forwarded.
    pub error: Option<Box<SqlError>>,
    /// An error to a statement of ours: the client has not seen it.
    pub hidden_error: Option<Box<SqlError>>,
    /// Anything at all has been written to the client.
    pub forwarded: bool,
    /// Answer to the position query.
    pub position: Option<Lsn>,
    /// That query has failed, or was not answered.
    pub no_position: bool,
    /// The server was lost before it gave that answer, when the client had its own.
    pub lost_behind: bool,
    /// The server is in an extended pipeline whose Sync the client has not sent.
    pub awaits_sync: bool,
    pub confirmed: Confirmed,
    /// Rows that the command tags tell of, read or written.
    pub rows: u64,
    /// The command tag that the client was not told.
    pub tag: Option<Box<[u8]>>,
    /// Portal is suspended: it lives until Sync.
    pub suspended: bool,
    /// Statements whose columns were probed and name no types inside of their values.
    pub plain: Vec<u64>,
    /// Of the statements that were described, in their order: the types of parameters, where the lane notes them.
    pub parameters: Vec<Box<[u32]>>,
    /// Nothing was done, nor was the client told: it is to be run again.
    pub again: Option<Again>,
}

/// Why what has failed is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// A statement of earlier clients failed before it was run, perhaps because tables have changed.
    Outdated,
    /// It was cancelled because its tables are about to have other definitions.
    Redefined,
}

#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The client's socket ended or failed; the server may still be working.
    #[error("the client is gone")]
    ClientGone,
    /// `forwarded`: something of the answer has reached the client, so that it must not be tried again.
    #[error("{error}")]
    Server { error: BackendError, forwarded: bool },
    /// The client broke the protocol.
    #[error("{0}")]
    ClientProtocol(SqlError),
}

impl Report {
    /// `body`: of a ParameterDescription. What cannot be read is the client's to complain of.
    pub(super) fn note_parameters(&mut self, body: &[u8]) {
        let described = ParameterDescription::decode(body).ok();
        self.parameters.push(described.into_iter().flat_map(|described| described.oids.iter()).collect());
    }

    pub(super) fn note_probe(&mut self, owed: Owed, carried: &Carried) {
        if let (Owed::Probe(statement), true) = (owed, carried.plain) {
            self.plain.push(statement);
        }
    }
}

/// The last word of a command tag, where it is a number: `INSERT 0 5`, `SELECT 5`, `COPY 5`.
pub fn rows_of_tag(body: &[u8]) -> u64 {
    let tag = body.strip_suffix(&[0]).unwrap_or(body);
    let digits = tag.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = tag.get(tag.len() - digits..).unwrap_or_default();
    digits.iter().fold(0, |rows: u64, digit| rows.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}
