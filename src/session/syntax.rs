//! The syntax of a message with several statements, before the first of them runs.
//!
//! PostgreSQL parses the whole text of a Query message before it executes any of it: a mistake in the last statement
//! keeps the first from running. Where the statements of a message go to different places, no server sees all of it; so
//! one is asked to parse it. A Parse message with several statements is always refused, but in an order that tells: first
//! every statement is parsed, and only then they are counted (`exec_parse_message` in `postgres.c`).
//!
//! ```text
//!   Parse "BEGIN; INSERT …; SELEC"    42601 from the scanner, with its position     told; nothing has run
//!   Parse "BEGIN; INSERT …; COMMIT"   42601 from exec_parse_message                 the syntax is right
//! ```
//!
//! Called by `simple`, also where a statement is refused, and by `combine` where a statement has a mistake that we see first.
//! Texts that were right are remembered, so that what is sent again costs nothing.
//!
//! Invariants:
//! 1. Nothing of a message has run when its syntax error is told.
//! 2. The transaction under way is not harmed by the question: it is asked behind a savepoint.
//! 3. A text is remembered whole, with the setting that its meaning depends on: literals count, since the scanner judges
//!    them too.

use std::collections::HashSet;

use super::perform::Work;
use super::servers::Need;
use super::{Failure, Outcome, Session};
use crate::execute::Lane;
use crate::execute::drain::drain;
use crate::execute::lane::{Hidden, Owed};
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frontend::Bind;

const SAVEPOINT: &str = "SAVEPOINT meridian__syntax";
const BACK: &str = "ROLLBACK TO SAVEPOINT meridian__syntax; RELEASE SAVEPOINT meridian__syntax";

/// Texts that are remembered, and how long one may be.
const TEXTS_MAX: usize = 512;
const TEXT_BYTES_MAX: usize = 4096;

/// Texts of several statements whose syntax is right.
#[derive(Debug, Default)]
pub struct KnownSyntax {
    /// By `standard_conforming_strings`.
    texts: HashSet<(bool, Box<[u8]>)>,
}

impl KnownSyntax {
    fn knows(&self, conforming: bool, text: &[u8]) -> bool {
        text.len() <= TEXT_BYTES_MAX && self.texts.contains(&(conforming, text.into()))
    }

    fn learn(&mut self, conforming: bool, text: &[u8]) {
        if text.len() > TEXT_BYTES_MAX {
            return;
        }
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
        }
        self.texts.insert((conforming, text.into()));
    }
}

impl Session {
    /// Fails with the server's own syntax error if any statement of the text has one.
    pub(super) async fn check_syntax(&mut self, text: &[u8]) -> Outcome {
        let conforming = self.lex_options().standard_conforming_strings;
        // It decides whether the scanner takes `\'`, and hardly anybody sets it.
        let usual = self.settings.get("backslash_quote").is_none();
        if usual && self.worker.syntax.borrow().knows(conforming, text) {
            return Ok(());
        }
        match self.parse_aside(Words { text, types: &[], bind: None }).await? {
            Some(error) if !counts_statements(&error) => Err(Failure::Sql(error)),
            Some(_) => {
                if !usual {
                    return Ok(());
                }
                self.worker.syntax.borrow_mut().learn(conforming, text);
                Ok(())
            }
            // A server that takes several statements at once does not exist; it would have nothing against these.
            None => Ok(()),
        }
    }

    /// Which error the client is told of a statement in whose values we have found one: a server that parses it looks at
    /// names and types before any value, and at the values of parameters before those of the text.
    pub(super) async fn earlier_error(
        &mut self,
        text: &[u8],
        types: &[u32],
        bind: Option<Bind<'_>>,
        found: SqlError,
    ) -> Failure {
        // Of a wrong number of values a server would tell by another name.
        let bind = bind.filter(|_| found.sqlstate != SqlState::PROTOCOL_VIOLATION);
        match self.parse_aside(Words { text, types, bind }).await {
            Ok(earlier) => Failure::Sql(earlier.unwrap_or(found)),
            Err(failure) => failure,
        }
    }

    /// What the client is told of a Query that we refuse: the mistake in its text, if it has one, for PostgreSQL would speak of
    /// nothing else. Not that a table is missing: a server may be asked that never had it. Of several statements, the refusal.
    pub(super) async fn mistake_or_refusal(&mut self, text: &[u8], failure: Failure) -> Failure {
        let refusal = match failure {
            Failure::Sql(error) if error.refusal.is_some() => error,
            other => return other,
        };
        match self.parse_aside(Words { text, types: &[], bind: None }).await {
            Ok(Some(found)) if is_mistake(&found) => Failure::Sql(found),
            Ok(_) | Err(Failure::Sql(_) | Failure::Told) => Failure::Sql(refusal),
            Err(Failure::End(end)) => Failure::End(end),
        }
    }

    /// What a statement is told in a failed block.
    pub(super) async fn error_in_failed_block(&mut self, work: Work<'_>) -> Failure {
        let error = self.in_failed_block();
        let asked = error.sqlstate == SqlState::IN_FAILED_SQL_TRANSACTION
            && self.lanes.iter().any(|lane| lane.in_block && lane.owed.is_empty());
        match work {
            Work::Simple { text } if asked => Box::pin(self.earlier_error(text, &[], None, error)).await,
            Work::Simple { .. } | Work::Extended { .. } => Failure::Sql(error),
        }
    }

    /// What a server says against the text.
    async fn parse_aside(&mut self, words: Words<'_>) -> Result<Option<SqlError>, Failure> {
        let idle = |lane: &Lane| lane.owed.is_empty() && !lane.open_pipeline;
        let of_block = self.lanes.iter().position(|lane| idle(lane) && lane.in_block);
        match of_block.or_else(|| self.lanes.iter().position(idle)) {
            Some(index) => self.ask_own(index, words).await,
            None => self.ask_elsewhere(words).await,
        }
    }

    /// A server that the session has: a further connection could be one that others wait for in turn.
    async fn ask_own(&mut self, index: usize, words: Words<'_>) -> Result<Option<SqlError>, Failure> {
        // A failed transaction takes no savepoint, and cannot fail more.
        let failed = self.block.is_failed();
        let lane = &mut self.lanes[index];
        let sheltered = lane.in_block && !failed;
        if sheltered {
            lane.hidden_query(SAVEPOINT, Hidden::Prologue);
        }
        words.put(lane);
        if sheltered {
            lane.hidden_query(BACK, Hidden::Prologue);
        }
        let drained = self.drain_lane(index).await?;
        // A transaction that has failed already fails on its server with the question, and its settings go.
        self.pass_reports(&drained.asides);
        Ok(drained.error)
    }

    async fn ask_elsewhere(&mut self, words: Words<'_>) -> Result<Option<SqlError>, Failure> {
        let shard = self.home_shard();
        // No replica reads anything where transactions begin serializable.
        let need = if self.following.serializable { Need::Primary } else { Need::Reader };
        let connection = self.acquire(shard, need, &[]).await;
        let connection = connection.map_err(|error| Failure::Sql(error.into_sql()))?;
        let mut lane = Lane::new(connection, shard, false);
        let _ = lane.apply_settings(&self.settings);
        words.put(&mut lane);
        let drained = drain(&mut lane).await;
        self.give(lane);
        drained.map(|drained| drained.error).map_err(|error| Failure::Sql(error.into_sql()))
    }
}

/// A statement that is read, and not run.
#[derive(Clone, Copy)]
struct Words<'a> {
    text: &'a [u8],
    types: &'a [u32],
    /// Values to be read with it.
    bind: Option<Bind<'a>>,
}

impl Words<'_> {
    fn put(self, lane: &mut Lane) {
        let out = &mut lane.connection.outbox;
        encode::client::parse(out, b"", self.text, self.types);
        lane.owed.push_back(Owed::Parse { id: None, hidden: true });
        if let Some(bind) = self.bind {
            encode::client::bind_with_tail(out, b"", b"", bind.tail);
            lane.owed.push_back(Owed::Bind { hidden: true });
        }
        lane.connection.unnamed = None;
        lane.sync(true);
    }
}

/// Of names and types, of clauses that do not go together, or of a literal: not of the state that the server is in.
fn is_mistake(error: &SqlError) -> bool {
    let of_text = ["42", "0A", "22"].contains(&error.sqlstate.class());
    of_text && error.sqlstate != SqlState::UNDEFINED_TABLE && !counts_statements(error)
}

/// The error that comes after parsing. Its place in the source does not depend on the server's language.
fn counts_statements(error: &SqlError) -> bool {
    error.fields.iter().any(|(code, value)| *code == b'R' && value == "exec_parse_message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_known_by_the_setting_that_reads_them() {
        let mut known = KnownSyntax::default();
        known.learn(true, b"SELECT 1; SELECT 2");
        assert!(known.knows(true, b"SELECT 1; SELECT 2"));
        assert!(!known.knows(false, b"SELECT 1; SELECT 2"));
        assert!(!known.knows(true, b"SELECT 1; SELECT 3"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = KnownSyntax::default();
        for number in 0..=TEXTS_MAX {
            known.learn(true, number.to_string().as_bytes());
        }
        known.learn(true, &vec![b' '; TEXT_BYTES_MAX + 1]);
        assert_eq!(known.texts.len(), 1);
    }
}
