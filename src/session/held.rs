//! Portals and cursors over several shards: scratch sessions that stay for the time of a transaction.
//!
//! Called by `perform` and `control` for what is fetched in pieces, and for COPY of a query; the gathering itself is
//! `combine`'s and `scratch`'s. What is fetched later was read by the first Execute, or by DECLARE: as with PostgreSQL's
//! cursors, what is written afterwards does not show.
//!
//! ```text
//!   DECLARE c … FOR query ─▶ query planned by itself ─▶ gathered ─▶ DECLARE in the scratch session ─▶ held
//!   FETCH c ─▶ held? there : on the shard that has it          CLOSE, COMMIT, ROLLBACK ─▶ rolled back, given back
//!   DECLARE c … WITH HOLD  ─▶ the scratch session commits, and has no more than the cursor; COMMIT leaves it
//! ```
//!
//! Invariants:
//! 1. What is held ends with its transaction, and with a roll-back to a savepoint that is older; WITH HOLD it ends with the
//!    transaction only if that is rolled back.
//! 2. A held session that has failed is not asked again, and what it held is not gathered anew: rows would come twice.
//! 3. An inner query is gathered only if it is a SELECT that changes nothing.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use super::perform::{Execution, Pieces, Work};
use super::planning::Planned;
use super::portals::cannot_be_run;
use super::scratch::retire;
use super::shadows::relations;
use super::{Failure, Outcome, Session};
use crate::backend::Settings;
use crate::backend::settings::quote_literal;
use crate::catalog::RelationKind;
use crate::execute::Lane;
use crate::execute::drain::drain;
use crate::execute::refusals;
use crate::execute::scatter::scratch::{Ending, fetch_cursor, fetch_portal};
use crate::execute::scatter::{Columns, Question, ScatterError, Wire};
use crate::plan::refusal::Refusal;
use crate::plan::scatter::{Combine, Scatter, Source};
use crate::plan::{Access, Action, Many};
use crate::sql::arguments::{Arguments, NoParameters};
use crate::sql::facts::{Facts, Kind, Relation, SessionObject};
use crate::sql::name::ObjectName;
use crate::topology::ShardSet;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frontend::Bind;

/// A scratch session with gathered rows, and a portal or a cursor over them.
pub(super) struct Held {
    pub lane: Lane,
    /// As the tables' own servers describe them.
    pub columns: Columns,
    /// Its name, if it is a cursor.
    pub cursor: Option<String>,
    pub lasts: Lasts,
    /// The settings that its server is back to with a roll-back.
    pub began_with: Rc<Settings>,
    /// The settings that were in force when the first of its rows were printed.
    pub printed_by: Rc<Settings>,
    /// What its query reads, at any depth.
    pub reads: HashSet<ObjectName>,
    /// Its values are as they are stored: settings have a part only in how they are printed.
    pub is_plain: bool,
    /// WITH HOLD: at the commit, where PostgreSQL computes its rows, other settings were in force.
    pub is_stale: bool,
    /// The portal of a FETCH whose rows were not all asked for: its session's unnamed one has them.
    pub fetching: Option<u64>,
}

impl Held {
    /// Of a question that was just asked; a cursor's are said afterwards.
    pub fn new(lane: Lane, columns: Columns, settings: &Rc<Settings>) -> Self {
        Self {
            began_with: Rc::clone(&lane.connection.applied),
            lane,
            columns,
            cursor: None,
            lasts: Lasts::Transaction,
            printed_by: Rc::clone(settings),
            reads: HashSet::new(),
            is_plain: false,
            is_stale: false,
            fetching: None,
        }
    }

    /// Whether its rows might be others if they were computed by these settings.
    fn is_computed_otherwise(&self, settings: &Rc<Settings>) -> bool {
        let printing: &[&str] = if self.is_plain { &PRINTED_BY } else { &[] };
        self.printed_by.differs(settings, &[&NOT_COMPUTED_BY, printing].concat())
    }
}

/// How long something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    /// To the end of its transaction.
    Transaction,
    /// WITH HOLD, by a transaction or a request that is under way: on, if that is committed.
    IfCommitted,
    /// WITH HOLD: to the end of the session.
    Session,
}

/// Parameters that say nothing of what rows are computed; the client's encoding is this side's.
const NOT_COMPUTED_BY: [&str; 8] = [
    "application_name",
    "client_encoding",
    "client_min_messages",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
];

/// Parameters by which values are printed that are what they are.
const PRINTED_BY: [&str; 5] =
    ["bytea_output", "datestyle", "extra_float_digits", "intervalstyle", "timezone"];

/// Of one session, by the numbers of portals, which cursors have, too.
#[derive(Default)]
pub(super) struct HeldSessions(BTreeMap<u64, Held>);

impl HeldSessions {
    /// Whether rows of a FETCH from this cursor can wait for the next Execute: in a transaction of its session.
    pub fn keeps_fetched(&self, name: &str) -> bool {
        let held = self.cursor(name).and_then(|number| self.0.get(&number));
        held.is_some_and(|held| held.lasts == Lasts::Transaction)
    }

    /// What is held to the end of the transaction under way.
    pub fn of_transaction(&self) -> impl Iterator<Item = &Held> {
        self.0.values().filter(|held| held.lasts != Lasts::Session)
    }

    pub fn has_cursors(&self) -> bool {
        self.0.values().any(|held| held.cursor.is_some())
    }

    /// The number of a cursor.
    pub fn cursor(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(_, held)| held.cursor.as_deref() == Some(name)).map(|(number, _)| *number)
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

/// What a transaction has set, and the session that holds has committed, is its client's to roll back: nothing is left of it, and
/// what is in force is set anew before each FETCH.
async fn forget_settings(lane: &mut Lane) -> Outcome {
    let captured = lane.connection.capture("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL").await;
    let captured = captured.map_err(|error| Failure::Sql(error.into_sql()))?;
    lane.connection.applied = Rc::default();
    captured.error.map_or(Ok(()), |error| Err(Failure::Sql(error)))
}

/// A cursor or portal has the name.
pub(super) fn is_taken(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists"))
}

impl Session {
    /// A statement around a query over several shards: the query's tables are gathered.
    pub(super) async fn gather(&mut self, planned: &Planned, work: Work<'_>, refusal: &Refusal) -> Outcome {
        let refused = || Failure::Sql(refusal.clone().into());
        let whole = Source { text: work.text(), options: self.lex_options() };
        let range = query_of(&planned.plan.facts, whole.text).ok_or_else(refused)?;
        let text = &whole.text[range.clone()];
        let ending = match &planned.plan.facts.kind {
            Kind::Session(SessionObject::DeclareCursor { name, hold, .. }) => {
                self.check_cursor(name, *hold)?;
                self.check_pinned_cursor(name).await?;
                Ending::Cursor { whole, holds: *hold }
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
        let parameters = work.parameters(&inner)?;
        let arguments = Arguments { text, literals: &inner.literals, parameters: &parameters };
        let question = Question { describe: false, ..work.question(arguments, &parameters) };
        self.tell_no_data(work);
        let shards = self.bind(&inner, text, &inner.literals, &parameters)?;
        let scatter = self.gathered_instead(&question).ok_or_else(refused)?;
        let held = self.ask_shards(&inner, &question, &scatter, shards, ending).await?;
        if let (Some(held), Kind::Session(SessionObject::DeclareCursor { name, hold, .. })) =
            (held, &planned.plan.facts.kind)
        {
            let lasts = if *hold { Lasts::IfCommitted } else { Lasts::Transaction };
            let is_plain = self.computes_nothing(&inner.plan.facts);
            let reads = self.families_of(relations(&inner.plan.facts));
            let mut held = Held { cursor: Some(name.clone()), lasts, reads, is_plain, ..held };
            if *hold && let Err(failure) = forget_settings(&mut held.lane).await {
                self.let_go(held);
                return Err(failure);
            }
            self.held.0.insert(self.portals.take_number(), held);
            self.show_held();
        }
        Ok(())
    }

    fn check_cursor(&self, name: &str, holds: bool) -> Result<(), SqlError> {
        // Several statements in one Query are a block, too.
        let in_block = self.block.is_open() && !self.is_pipeline_alone();
        if !holds && !in_block {
            return Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "DECLARE CURSOR can only be used in transaction blocks",
            ));
        }
        let taken = self.cursors.contains_key(name)
            || self.held.cursor(name).is_some()
            || self.portals.known.contains_key(name.as_bytes());
        if taken {
            return Err(is_taken(name));
        }
        Ok(())
    }

    /// The server that the session is pinned to may have one WITH HOLD, of an earlier transaction.
    async fn check_pinned_cursor(&mut self, name: &str) -> Outcome {
        if self.pin.is_none() {
            return Ok(());
        }
        let index = self.join_pinned().await?;
        self.quiet_lane(index).await?;
        let sql = format!("SELECT FROM pg_catalog.pg_cursors WHERE name = {}", quote_literal(name));
        match self.rows_on(index, &sql).await?.is_empty() {
            true => Ok(()),
            false => Err(Failure::Sql(is_taken(name))),
        }
    }

    /// Execute of a portal over several shards that is fetched in pieces.
    pub(super) async fn fetch_portal(
        &mut self,
        planned: &Planned,
        execution: &Execution,
        scatter: &Scatter,
        shards: ShardSet,
    ) -> Outcome {
        let work = Work::Extended { execution };
        let parameters = work.parameters(planned)?;
        let arguments = Arguments { text: work.text(), literals: &planned.literals, parameters: &parameters };
        let question = work.question(arguments, &parameters);
        let rows_max = execution.rows_max;
        if execution.pieces == Pieces::Further {
            self.check_printing(execution.portal)?;
            let Some(mut held) = self.held.0.remove(&execution.portal) else {
                let name = Bind::decode(&execution.bind).map_err(SqlError::from)?.portal;
                return Err(Failure::Sql(cannot_be_run(name)));
            };
            let mut wire = self.wire();
            let fetched = fetch_portal(&mut wire, &mut held.lane, &question, ("SELECT", rows_max)).await;
            let times = wire.times;
            self.note_times(&times);
            return self.after_fetch(execution.portal, held, fetched);
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
            let reads = self.families_of(relations(&planned.plan.facts));
            self.held.0.insert(execution.portal, Held { reads, ..held });
        }
        Ok(())
    }

    /// Values are printed by the settings of now. A session with the rows of a portal cannot be brought to others without losing
    /// them: statements would take the portal's place.
    fn check_printing(&self, portal: u64) -> Result<(), SqlError> {
        let Some(held) = self.held.0.get(&portal) else { return Ok(()) };
        // A name that nobody reads in values.
        match held.printed_by.differs(self.settings_in_force(), &["application_name"]) {
            true => Err(refusals::PRINTED_OTHERWISE.error(&[])),
            false => Ok(()),
        }
    }

    /// PostgreSQL computes a cursor's rows by the settings of each FETCH; what the transaction does not outlast, by those of its
    /// commit.
    fn check_computed(&self, held: &Held) -> Result<(), SqlError> {
        let is_other = match held.lasts {
            Lasts::Session => held.is_stale,
            Lasts::Transaction | Lasts::IfCommitted => held.is_computed_otherwise(self.settings_in_force()),
        };
        if is_other { Err(refusals::COMPUTED_OTHERWISE.error(&[])) } else { Ok(()) }
    }

    /// The transaction is being committed: the settings that are in force are those of what outlasts it.
    pub(super) fn settle_held(&mut self) {
        let settings = Rc::clone(self.settings_in_force());
        let settled = self.held.0.values_mut().filter(|held| held.lasts == Lasts::IfCommitted);
        settled.for_each(|held| held.is_stale = held.is_computed_otherwise(&settings));
    }

    /// Whether the values of a query are those of columns, and of constants.
    fn computes_nothing(&self, facts: &Facts) -> bool {
        let planning = &self.context.planning;
        let is_table = |relation: &Relation| {
            let info = planning.catalog.resolve(&relation.name, &planning.search_path);
            info.is_some_and(|info| info.kind == RelationKind::Table && !info.row_security)
        };
        let block = &facts.block;
        facts.functions.is_empty()
            && facts.operators.is_empty()
            && facts.casts.iter().all(|cast| cast.of_value)
            && facts.attributes.is_empty()
            && block.children.is_empty()
            && !block.opaque_sources
            && matches!(block.relations.as_slice(), [relation] if is_table(relation))
    }

    /// FETCH or MOVE of the cursor with this number, which is held.
    pub(super) async fn fetch_held(&mut self, number: u64, moves: bool, work: Work<'_>) -> Outcome {
        let Some(mut held) = self.held.0.remove(&number) else {
            return Err(Failure::Sql(Self::internal("a cursor is gone")));
        };
        if let Err(error) = self.check_computed(&held) {
            self.held.0.insert(number, held);
            return Err(Failure::Sql(error));
        }
        if held.lasts == Lasts::Session {
            let resumed = self.await_resumed(ShardSet::one(held.lane.shard)).await;
            if let Err(failure) = resumed {
                self.held.0.insert(number, held);
                return Err(failure);
            }
            held.lane.connection.resume();
        }
        if let Work::Extended { execution } = work
            && execution.pieces == Pieces::Further
        {
            let fetched = self.fetch_further(&mut held, execution).await;
            return self.after_fetch(number, held, fetched);
        }
        if let Err(failure) = self.bring_held(&mut held).await {
            self.let_go(held);
            return Err(failure);
        }
        held.fetching = None;
        let fetched = match moves {
            true => self.move_held(&mut held, work).await,
            false => self.fetch_rows(&mut held, work).await,
        };
        self.after_fetch(number, held, fetched)
    }

    /// What an Execute of a FETCH has left to the next one; not where its session was asked anything since, or is to be.
    async fn fetch_further(&mut self, held: &mut Held, execution: &Execution) -> Result<u64, ScatterError> {
        let is_brought = held.lane.connection.applied.difference(self.settings_in_force()).is_none();
        if held.fetching != Some(execution.portal) || !is_brought {
            return Err(ScatterError::Sql(refusals::PORTAL_ROW_LIMIT.error(&[])));
        }
        let work = Work::Extended { execution };
        let arguments = Arguments { text: work.text(), literals: &[], parameters: &NoParameters };
        let question = Question { arguments, bind: work.bind()?, declared: &[], describe: false };
        let mut wire = self.wire();
        let fetched = fetch_portal(&mut wire, &mut held.lane, &question, ("FETCH", execution.rows_max)).await;
        let times = wire.times;
        self.note_times(&times);
        fetched
    }

    /// Values are printed by the settings of now, not of DECLARE.
    async fn bring_held(&self, held: &mut Held) -> Outcome {
        // Defaults of transactions are of no transaction of its own.
        let _ = held.lane.apply_settings(self.settings_in_force());
        if held.lane.end_settings() {
            let drained = drain(&mut held.lane).await.map_err(|error| Failure::Sql(error.into_sql()))?;
            return drained.error.map_or(Ok(()), |error| Err(Failure::Sql(error)));
        }
        Ok(())
    }

    async fn move_held(&mut self, held: &mut Held, work: Work<'_>) -> Result<u64, ScatterError> {
        let captured = held.lane.connection.capture_statement(work.text()).await;
        let captured = captured.map_err(ScatterError::Scratch)?;
        if let Some(error) = captured.error {
            return Err(ScatterError::Sql(error));
        }
        self.tell_no_data(work);
        self.complete(&captured.tag);
        Ok(0)
    }

    async fn fetch_rows(&mut self, held: &mut Held, work: Work<'_>) -> Result<u64, ScatterError> {
        let bind = work.bind()?;
        let arguments = Arguments { text: work.text(), literals: &[], parameters: &NoParameters };
        let question = Question { arguments, bind, declared: &[], describe: work.describes() };
        let rows_max = match work {
            Work::Simple { .. } => 0,
            Work::Extended { execution } => {
                held.fetching = Some(execution.portal);
                execution.rows_max
            }
        };
        let mark = self.client.outbox.len();
        let mut wire = self.wire();
        let fetched = fetch_cursor(&mut wire, &mut held.lane, &question, &held.columns, rows_max).await;
        let (sent, times) = (wire.sent, wire.times);
        self.note_times(&times);
        if !sent && bind.is_none() && fetched.is_err() {
            // Without Describe there are columns only where there are rows.
            self.client.outbox.truncate(mark);
        }
        fetched
    }

    /// Keeps what has answered; else gives it up.
    fn after_fetch(&mut self, number: u64, held: Held, fetched: Result<u64, ScatterError>) -> Outcome {
        let error = match fetched {
            Ok(rows) => {
                self.note_rows(rows);
                self.held.0.insert(number, held);
                return Ok(());
            }
            Err(error) => error,
        };
        match (&error, held.lasts) {
            (ScatterError::Sql(_) | ScatterError::Told, Lasts::Session) if held.lane.is_at_rest() => {
                self.held.0.insert(number, held);
            }
            _ => self.let_go(held),
        }
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

    /// The columns of a cursor, and so of a FETCH from it.
    pub(super) fn describe_held(&mut self, number: Option<u64>) {
        let Self { held, client, .. } = self;
        match number.and_then(|number| held.0.get(&number)) {
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

    /// What this portal or cursor has held is not needed any more.
    pub(super) fn close_held(&mut self, number: u64) {
        if let Some(held) = self.held.0.remove(&number) {
            self.let_go(held);
            self.show_held();
        }
    }

    /// All cursors, and what portals have left.
    pub(super) fn close_all_held(&mut self) {
        self.close_held_since(0);
    }

    /// The transaction is over.
    pub(super) fn end_held(&mut self, committed: bool) {
        if self.held.0.is_empty() {
            return;
        }
        let all = std::mem::take(&mut self.held.0);
        let stays = |held: &Held| match held.lasts {
            Lasts::Transaction => false,
            Lasts::IfCommitted => committed,
            Lasts::Session => true,
        };
        let (staying, ending): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.into_iter().partition(|(_, held)| stays(held));
        self.held.0 = staying;
        for held in self.held.0.values_mut() {
            held.lasts = Lasts::Session;
            held.lane.connection.rest();
        }
        ending.into_values().for_each(|held| self.let_go(held));
        self.show_held();
    }

    /// In the console a cursor WITH HOLD shows as what pins: a server connection is the session's alone.
    fn show_held(&self) {
        let holds = self.held.0.values().any(|held| held.lasts != Lasts::Transaction);
        if let (None, Ok(mut notes)) = (self.pin, self.info.notes.lock()) {
            notes.pinned = holds.then_some("a cursor WITH HOLD");
        }
    }

    /// ROLLBACK TO: what was bound or declared after the savepoint is gone.
    pub(super) fn close_held_since(&mut self, first: u64) {
        self.held.0.split_off(&first).into_values().for_each(|held| self.let_go(held));
        self.show_held();
    }

    /// Gives a scratch session back, in a task of its own: nobody waits for its roll-back.
    fn let_go(&mut self, held: Held) {
        self.cancel.remove(&held.lane.connection.key);
        let mut lane = held.lane;
        let holds = held.lasts != Lasts::Transaction;
        if !holds {
            lane.connection.applied = held.began_with;
        }
        tokio::task::spawn_local(retire(Rc::clone(&self.worker), lane, holds));
    }

    /// For a scratch session that is asked by itself.
    fn wire(&mut self) -> Wire<'_> {
        let read_ahead = self.live.limits.shard_buffer_bytes;
        let Self { client, told, limits, pin, .. } = self;
        Wire::new(client, told, limits, pin.is_some(), read_ahead)
    }
}
