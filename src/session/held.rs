//! Portals and cursors over several shards: scratch sessions that stay for the time of a transaction.
//!
//! Called by `perform` and `control` for what is fetched in pieces, and for COPY of a query; the gathering itself is
//! `combine`'s and `scratch`'s. What is fetched later was read by the first Execute, or by DECLARE: as with PostgreSQL's
//! cursors, what is written afterwards does not show.
//!
//! ```text
//!   DECLARE c … FOR query ─▶ query planned by itself ─▶ gathered ─▶ DECLARE in the scratch session ─▶ held
//!   FETCH c ─▶ held? there : on the shard that has it          CLOSE, COMMIT, ROLLBACK ─▶ rolled back, given back
//! ```
//!
//! Invariants:
//! 1. What is held ends with its transaction, and with a roll-back to a savepoint that is older.
//! 2. A held session that has failed is not asked again.
//! 3. An inner query is gathered only if it is a SELECT that changes nothing.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use super::perform::{BoundParameters, Execution, Work};
use super::planning::Planned;
use super::{Failure, Outcome, Session};
use crate::backend::dismiss;
use crate::execute::refusals;
use crate::execute::scatter::scratch::{Ending, fetch_cursor, fetch_portal};
use crate::execute::scatter::{Columns, Question, ScatterError, Wire};
use crate::execute::{Lane, ShardTimes};
use crate::merge::PartialLimits;
use crate::plan::refusal::Refusal;
use crate::plan::scatter::{Combine, Scatter, Source};
use crate::plan::{Access, Action, Many};
use crate::sql::arguments::{Arguments, NoParameters};
use crate::sql::facts::{Facts, Kind, SessionObject};
use crate::topology::ShardSet;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frontend::Bind;

/// How long a session that is given up may take to roll back.
const ROLLBACK_TIME: Duration = Duration::from_secs(5);

/// A scratch session with gathered rows, and a portal or a cursor over them.
pub(super) struct Held {
    pub lane: Lane,
    /// As the tables' own servers describe them.
    pub columns: Columns,
    /// Savepoints of the transaction that were there before it.
    pub depth: usize,
}

/// Of one session.
#[derive(Default)]
pub(super) struct HeldSessions {
    /// By number of the portal.
    portals: HashMap<u64, Held>,
    cursors: HashMap<String, Held>,
}

impl HeldSessions {
    pub fn is_empty(&self) -> bool {
        self.portals.is_empty() && self.cursors.is_empty()
    }

    pub fn cursor(&self, name: &str) -> Option<&Held> {
        self.cursors.get(name)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Held> {
        self.portals.values_mut().chain(self.cursors.values_mut())
    }
}

/// Where the query of a cursor or a COPY stands in the statement.
fn query_of(facts: &Facts, text: &[u8]) -> Option<Range<usize>> {
    let range = match &facts.kind {
        Kind::Session(SessionObject::DeclareCursor { query, .. }) => *query as usize..text.len(),
        Kind::Copy(copy) => {
            let query = copy.query.as_ref()?;
            query.start as usize..query.end as usize
        }
        _ => return None,
    };
    text.get(range.clone()).map(|_| range)
}

impl Session {
    /// A statement around a query over several shards: the query's tables are gathered.
    pub(super) async fn gather(&mut self, planned: &Planned, work: Work<'_>, refusal: &Refusal) -> Outcome {
        let refused = || Failure::Sql(refusal.clone().into());
        let whole = Source { text: work.text(), options: self.lex_options() };
        let range = query_of(&planned.plan.facts, whole.text).ok_or_else(refused)?;
        let text = &whole.text[range.clone()];
        let ending = match &planned.plan.facts.kind {
            Kind::Session(SessionObject::DeclareCursor { name, .. }) => {
                self.check_cursor(name)?;
                Ending::Cursor { whole }
            }
            _ => Ending::Copy { whole },
        };
        let outcome = self.gather_query(planned, work, text, ending, refused).await;
        // What a server has said of a place in the query is a place in the statement for the client.
        let before = String::from_utf8_lossy(&whole.text[..range.start]).chars().count() as u32;
        outcome.map_err(|failure| match failure {
            Failure::Sql(error) => {
                let position = error.position.map(|position| position + before);
                Failure::Sql(SqlError { position, ..error })
            }
            other => other,
        })
    }

    async fn gather_query(
        &mut self,
        planned: &Planned,
        work: Work<'_>,
        text: &[u8],
        ending: Ending<'_>,
        refused: impl Fn() -> Failure,
    ) -> Outcome {
        let inner = self.plan_text(text)?;
        let Action::Routed { many: Many::Scatter(_) } = &inner.plan.action else {
            return Err(match &inner.plan.action {
                Action::Routed { many: Many::Refuse(own) } | Action::Refuse(own) => {
                    Failure::Sql(own.clone().into())
                }
                _ => refused(),
            });
        };
        if inner.plan.access == Access::Write {
            return Err(refused());
        }
        match work {
            Work::Simple { .. } => {
                let arguments = Arguments { text, literals: &inner.literals, parameters: &NoParameters };
                let question = Question { arguments, bind: None, declared: &[], describe: false };
                self.gather_for(planned, &inner, &question, ending, refused).await
            }
            Work::Extended { execution } => {
                let bind = Bind::decode(&execution.bind).map_err(SqlError::from)?;
                let prepared = &execution.prepared;
                let (types, repeated) = (&prepared.parameter_types, &inner.plan.facts.repeated_params);
                let parameters = BoundParameters { bind, types, repeated };
                let arguments = Arguments { text, literals: &inner.literals, parameters: &parameters };
                let declared = &prepared.parameter_types;
                let question = Question { arguments, bind: Some(bind), declared, describe: false };
                self.tell_no_data(work);
                self.gather_for(planned, &inner, &question, ending, refused).await
            }
        }
    }

    async fn gather_for(
        &mut self,
        planned: &Planned,
        inner: &Planned,
        question: &Question<'_>,
        ending: Ending<'_>,
        refused: impl Fn() -> Failure,
    ) -> Outcome {
        let Arguments { text, literals, parameters } = question.arguments;
        let shards = self.bind(inner, text, literals, parameters)?;
        let scatter = self.gathered_instead(question).ok_or_else(refused)?;
        let held = self.ask_shards(inner, question, &scatter, shards, ending).await?;
        if let (Some(held), Kind::Session(SessionObject::DeclareCursor { name, .. })) =
            (held, &planned.plan.facts.kind)
        {
            self.held.cursors.insert(name.clone(), held);
        }
        Ok(())
    }

    fn check_cursor(&self, name: &str) -> Result<(), SqlError> {
        if !self.block.is_explicit() {
            return Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "DECLARE CURSOR can only be used in transaction blocks",
            ));
        }
        let taken = self.cursors.contains_key(name)
            || self.held.cursors.contains_key(name)
            || self.portals.known.contains_key(name.as_bytes());
        if taken {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        Ok(())
    }

    /// Execute of a portal over several shards that is fetched in pieces.
    pub(super) async fn fetch_portal(
        &mut self,
        planned: &Planned,
        execution: &Execution,
        scatter: &Scatter,
        shards: ShardSet,
    ) -> Outcome {
        let bind = Bind::decode(&execution.bind).map_err(SqlError::from)?;
        let prepared = &execution.prepared;
        let (types, repeated) = (&prepared.parameter_types, &planned.plan.facts.repeated_params);
        let parameters = BoundParameters { bind, types, repeated };
        let arguments =
            Arguments { text: prepared.text(), literals: &planned.literals, parameters: &parameters };
        let declared = &prepared.parameter_types;
        let question = Question { arguments, bind: Some(bind), declared, describe: execution.describe };
        let rows_max = execution.rows_max;
        if let Some(mut held) = self.held.portals.remove(&execution.portal) {
            let mut wire = self.wire();
            let fetched = fetch_portal(&mut wire, &mut held.lane, &question, rows_max).await;
            let times = wire.times;
            self.note_times(&times);
            let held = self.after_fetch(held, fetched)?;
            self.held.portals.insert(execution.portal, held);
            return Ok(());
        }
        let gathered;
        let scatter = match &scatter.combine {
            Combine::Scratch(_) => scatter,
            _ => {
                gathered = self
                    .gathered_instead(&question)
                    .ok_or_else(|| Failure::Sql(refusals::PORTAL_ROW_LIMIT.error(&[])))?;
                &gathered
            }
        };
        let ending = Ending::Portal { rows_max };
        if let Some(held) = self.ask_shards(planned, &question, scatter, shards, ending).await? {
            self.held.portals.insert(execution.portal, held);
        }
        Ok(())
    }

    /// FETCH or MOVE of a cursor that is held.
    pub(super) async fn fetch_held(&mut self, name: &str, moves: bool, work: Work<'_>) -> Outcome {
        let Some(mut held) = self.held.cursors.remove(name) else {
            return Err(Failure::Sql(Self::internal("a cursor is gone")));
        };
        let bind = match work {
            Work::Simple { .. } => None,
            Work::Extended { execution } => Some(Bind::decode(&execution.bind).map_err(SqlError::from)?),
        };
        if moves {
            let moved = held.lane.connection.capture_statement(work.text()).await;
            let moved = match moved {
                Ok(captured) => match captured.error {
                    Some(error) => Err(ScatterError::Sql(error)),
                    None => {
                        self.tell_no_data(work);
                        let tag = captured.tag;
                        encode::server::command_complete(&mut self.client.outbox, tag.as_bytes());
                        Ok(0)
                    }
                },
                Err(error) => Err(ScatterError::Scratch(error)),
            };
            let held = self.after_fetch(held, moved)?;
            self.held.cursors.insert(name.to_owned(), held);
            return Ok(());
        }
        let arguments = Arguments { text: work.text(), literals: &[], parameters: &NoParameters };
        let question = Question { arguments, bind, declared: &[], describe: work.describes() };
        let mark = self.client.outbox.len();
        let mut wire = self.wire();
        let fetched = fetch_cursor(&mut wire, &mut held.lane, &question, &held.columns).await;
        let (sent, times) = (wire.sent, wire.times);
        self.note_times(&times);
        let unsent = !sent && bind.is_none();
        if unsent && fetched.is_err() {
            // Without Describe there are columns only where there are rows.
            self.client.outbox.truncate(mark);
        }
        let held = self.after_fetch(held, fetched)?;
        self.held.cursors.insert(name.to_owned(), held);
        Ok(())
    }

    /// Keeps what has answered; else gives it up.
    fn after_fetch(&mut self, held: Held, fetched: Result<u64, ScatterError>) -> Result<Held, Failure> {
        let error = match fetched {
            Ok(rows) => {
                self.note_rows(rows);
                return Ok(held);
            }
            Err(error) => error,
        };
        self.let_go(held);
        Err(match error {
            ScatterError::ClientGone => Failure::End(super::End::Client),
            ScatterError::Told => Failure::Told,
            ScatterError::Sql(error) | ScatterError::Unmergeable(error) => Failure::Sql(error),
            ScatterError::Server { error, .. } | ScatterError::Scratch(error) => {
                self.worker.shared.signals.probe_now();
                Failure::Sql(error.into_sql())
            }
        })
    }

    /// What the client is told when it asks for the columns of a FETCH.
    pub(super) fn describe_held(&mut self, name: &str) {
        let Self { held, client, .. } = self;
        encode::server::parameter_description(&mut client.outbox, &[]);
        match held.cursors.get(name) {
            Some(held) => held.columns.tell(&mut client.outbox),
            None => encode::server::no_data(&mut client.outbox),
        }
    }

    /// Answers a Describe of a portal without rows.
    pub(super) fn tell_no_data(&mut self, work: Work<'_>) {
        if let Work::Extended { execution } = work
            && execution.describe
        {
            encode::server::no_data(&mut self.client.outbox);
        }
    }

    /// CLOSE of a cursor; whether it was one that is held.
    pub(super) fn close_held(&mut self, name: &str) -> bool {
        let held = self.held.cursors.remove(name);
        let found = held.is_some();
        held.into_iter().for_each(|held| self.let_go(held));
        found
    }

    pub(super) fn close_held_portal(&mut self, portal: u64) {
        if let Some(held) = self.held.portals.remove(&portal) {
            self.let_go(held);
        }
    }

    /// The transaction is over.
    pub(super) fn close_all_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let HeldSessions { portals, cursors } = std::mem::take(&mut self.held);
        portals.into_values().chain(cursors.into_values()).for_each(|held| self.let_go(held));
    }

    /// ROLLBACK TO: what came after the savepoint, which is the `at`th from 0, is gone.
    pub(super) fn roll_back_held(&mut self, at: usize) {
        let HeldSessions { portals, cursors } = std::mem::take(&mut self.held);
        for (number, held) in portals {
            if held.depth > at {
                self.let_go(held);
            } else {
                self.held.portals.insert(number, held);
            }
        }
        for (name, held) in cursors {
            if held.depth > at {
                self.let_go(held);
            } else {
                self.held.cursors.insert(name, held);
            }
        }
    }

    /// RELEASE: what came after the savepoint belongs to what was there before it.
    pub(super) fn lower_held(&mut self, at: usize) {
        self.held.all().for_each(|held| held.depth = held.depth.min(at));
    }

    /// Gives a scratch session back, in a task of its own: nobody waits for its roll-back.
    fn let_go(&mut self, held: Held) {
        let mut lane = held.lane;
        self.cancel.remove(&lane.connection.key);
        let worker = Rc::clone(&self.worker);
        tokio::task::spawn_local(async move {
            if lane.is_at_rest() {
                let rolled_back =
                    tokio::time::timeout(ROLLBACK_TIME, lane.connection.capture("ROLLBACK")).await;
                if matches!(rolled_back, Ok(Ok(_))) {
                    return worker.scratches.give(lane.connection);
                }
            }
            dismiss(lane.connection);
        });
    }

    /// For a scratch session that is asked by itself.
    fn wire(&mut self) -> Wire<'_> {
        let read_ahead = self.live.limits.shard_buffer_bytes;
        let gather = PartialLimits { rows_max: 0, bytes_max: 0 };
        let Self { client, told, limits, pin, .. } = self;
        let times = ShardTimes::default();
        Wire { client, told, limits, notify: pin.is_some(), read_ahead, gather, sent: false, times }
    }
}
