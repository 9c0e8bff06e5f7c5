//! The client's encoding: SET, RESET and SHOW of `client_encoding`, and when the client's stream changes to another one.
//!
//! An encoding of single bytes is the session's own ([`OwnSettings`](super::OwnSettings)): the servers' is UTF8, and the
//! client's stream converts ([`wire::encoding`](crate::wire::encoding)). UTF8 and SQL_ASCII are settings as all others are.
//!
//! Invariants:
//! 1. While the session has an encoding of its own, the servers of its statements have UTF8.
//! 2. What was said before a change has left in the old encoding; what comes behind it is read in the new one.
//! 3. A binary value passes only where it cannot hold text, which no stream could find in it.
//!
//! Not here: what a transaction or a savepoint goes back to (`block`).

use super::interner::Prepared;
use super::planning::Planned;
use super::{Failure, Outcome, Session};
use crate::execute::refusals;
use crate::sql::facts::{CopyFormat, Kind, SessionObject, Setting};
use crate::wire::encoding::{Encoding, Named};
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frontend::Bind;

pub(super) const CLIENT_ENCODING: &str = "client_encoding";

/// What a client asks for, by a value as SET and the start-up packet have it. None: the servers' matter.
pub(super) fn own_encoding(value: &str) -> Result<Option<&'static Encoding>, SqlError> {
    let value = value.trim().trim_matches(['\'', '"']);
    match Named::of(value) {
        Named::OfServers => Ok(None),
        Named::Single(encoding) => Ok(Some(encoding)),
        Named::Other => Err(refusals::CLIENT_ENCODING.error(&[])),
        Named::Unknown => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"{CLIENT_ENCODING}\": \"{value}\""),
        )),
    }
}

impl Session {
    /// SET and RESET of `client_encoding`, judged as all settings are.
    pub(super) async fn set_encoding(&mut self, setting: &Setting, text: &[u8]) -> Outcome {
        let local = matches!(setting, Setting::Set { local: true, .. });
        let Setting::Set { value: Some((from, to)), .. } = setting else {
            self.judge_and_remember(setting, text).await?;
            self.change_encoding(self.initial_encoding, local);
            return Ok(());
        };
        let encoding = own_encoding(&String::from_utf8_lossy(&text[*from as usize..*to as usize]))?;
        if encoding.is_none() {
            self.judge_and_remember(setting, text).await?;
        } else if [self.in_force(), &self.settings].iter().any(|set| set.get(CLIENT_ENCODING).is_some()) {
            let utf8 =
                if local { "SET LOCAL client_encoding TO 'UTF8'" } else { "SET client_encoding TO 'UTF8'" };
            let value = Some(((utf8.len() - "'UTF8'".len()) as u32, utf8.len() as u32));
            let setting = Setting::Set { name: CLIENT_ENCODING.to_owned(), local, value };
            self.judge_and_remember(&setting, utf8.as_bytes()).await?;
        }
        self.change_encoding(encoding, local);
        Ok(())
    }

    pub(super) fn change_encoding(&mut self, encoding: Option<&'static Encoding>, local: bool) {
        let before = self.own.clone();
        self.own.encoding = encoding;
        self.keep_own(before, local);
    }

    /// A transaction that has failed has gone back to what it began with.
    fn encoding_in_force(&self) -> Option<&'static Encoding> {
        match self.block.get().filter(|transaction| transaction.failed) {
            None => self.own.encoding,
            Some(transaction) => transaction.before_failure().encoding,
        }
    }

    /// Whether the client's stream is still in an earlier encoding.
    pub(super) fn is_encoded_otherwise(&self) -> bool {
        self.encoding_in_force() != self.client.encoding()
    }

    /// The client's stream is from now on in the session's encoding.
    pub(super) async fn follow_encoding(&mut self) {
        // A client that is gone is met by whoever writes next.
        let _ = self.client.flush().await;
        self.client.set_encoding(self.encoding_in_force(), &self.limits);
    }

    /// Before the session is ready: the client hears the name of an encoding that is new to it.
    pub(super) fn tell_encoding(&mut self) {
        let encoding = self.encoding_in_force();
        if self.told_encoding != encoding {
            self.told_encoding = encoding;
            self.told.tell_again(CLIENT_ENCODING);
        }
    }

    /// A statement whose data would be in a format or an encoding that is not the client's.
    pub(super) fn check_encoded(&self, planned: &Planned) -> Result<(), SqlError> {
        let Some(encoding) = self.own.encoding else { return Ok(()) };
        let what = match &planned.plan.facts.kind {
            Kind::Copy(copy) if copy.format == CopyFormat::Binary => "COPY in binary",
            Kind::Copy(_) if planned.plan.facts.words.iter().any(|word| word == "encoding") => {
                "COPY with ENCODING"
            }
            Kind::Session(SessionObject::DeclareCursor { binary: true, .. }) => "a binary cursor",
            _ => return Ok(()),
        };
        Err(binary_refused(what, encoding))
    }

    /// The same, and the formats of its values.
    pub(super) fn check_encoded_bind(
        &self,
        bind: &Bind<'_>,
        prepared: &Prepared,
        planned: &Planned,
    ) -> Result<(), SqlError> {
        let Some(encoding) = self.own.encoding else { return Ok(()) };
        if bind.result_formats.any_binary() {
            return Err(binary_refused("a binary result", encoding));
        }
        let declared = |index: usize| prepared.parameter_types().get(index).copied().unwrap_or(0);
        let mut binary = (0..bind.parameters.len()).filter(|index| bind.parameter_formats.of(*index) == 1);
        if binary.any(|index| !WITHOUT_TEXT.contains(&declared(index))) {
            return Err(binary_refused("a binary parameter that may be text", encoding));
        }
        self.check_encoded(planned)
    }

    /// A FunctionCall's arguments have no declared types.
    pub(super) fn check_encoded_call(&self) -> Outcome {
        match self.own.encoding {
            None => Ok(()),
            Some(encoding) => Err(Failure::Sql(binary_refused("a FunctionCall message", encoding))),
        }
    }
}

fn binary_refused(what: &str, encoding: &Encoding) -> SqlError {
    refusals::BINARY_IN_ENCODING.error(&[what, encoding.name])
}

/// Types whose binary form holds no text: `bool` to `uuid`, times and dates, numbers, addresses, bits, shapes, and arrays of
/// those that drivers send.
const WITHOUT_TEXT: [u32; 49] = [
    16, 17, 20, 21, 23, 26, 27, 28, 29, 600, 601, 602, 603, 604, 628, 650, 700, 701, 718, 774, 790, 829, 869,
    1000, 1001, 1005, 1007, 1016, 1021, 1022, 1028, 1082, 1083, 1114, 1115, 1182, 1184, 1185, 1186, 1231,
    1266, 1560, 1562, 1700, 2950, 2951, 3220, 5069, 1187,
];
