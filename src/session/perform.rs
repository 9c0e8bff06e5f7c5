//! Performs one statement whose plan is known, whatever protocol it came by.
//!
//! Called by `simple` and `extended`; the one `match` over [`Action`]. Answers go into the client's outbox or through
//! it; ReadyForQuery is the caller's.
//!
//! Invariants:
//! 1. In a failed block nothing but its end is performed.
//! 2. A statement that goes everywhere has run on every shard before its answer is sent, and on none if it failed.
//! 3. A statement that ran leaves its lanes owing nothing.
//! 4. What is done for one shard is part of the session's own future; every other way is a future of its own while it
//!    is gone, so that idle clients do not pay for it in memory.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::held::is_taken;
use super::interner::Prepared;
use super::planning::Planned;
use super::portals::Home;
use super::{Failure, Outcome, Session};
use crate::execute::lane::Owed;
use crate::execute::refusals;
use crate::execute::scatter::Question;
use crate::figures::Route;
use crate::plan::{Access, Action, Effect, Many};
use crate::sql::arguments::{Arguments, INFERRED_ELSEWHERE, Parameters};
use crate::sql::facts::{DdlScope, Kind, SessionObject};
use crate::topology::{ShardId, ShardSet};
use crate::wire::encode;
use crate::wire::error::SqlError;
use crate::wire::frontend::{Bind, Target};

/// A statement as the client sent it.
#[derive(Clone, Copy)]
pub(super) enum Work<'a> {
    /// One statement of a simple query.
    Simple { text: &'a [u8] },
    /// A bound portal that is to be executed.
    Extended { execution: &'a Execution },
}

/// A bound portal with what Execute said.
#[derive(Debug, Clone)]
pub(super) struct Execution {
    pub prepared: Rc<Prepared>,
    /// Body of the Bind message, checked.
    pub bind: Bytes,
    /// The client wants a RowDescription first.
    pub describe: bool,
    pub rows_max: i32,
    /// Number of the portal, if it is the session's.
    pub portal: u64,
    pub pieces: Pieces,
    /// Its Parse is of the same batch: the client knows nothing of its columns yet.
    pub parsed_with: bool,
}

/// How the rows of a portal of the session's own are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    /// All at once.
    None,
    /// The first of them.
    First,
    /// What an Execute before has left.
    Further,
}

/// Parameters of a Bind with the types that Parse declared.
pub(super) struct BoundParameters<'a> {
    pub bind: Bind<'a>,
    pub types: &'a [u32],
    /// Of the statement's facts, in their order.
    pub repeated: &'a [u32],
    /// All values, once one is asked for that is far from the front: a long list is not gone through for each of its members.
    all: OnceCell<Vec<Option<&'a [u8]>>>,
}

/// So far the values are counted from the front.
const NEAR: usize = 16;

impl<'a> BoundParameters<'a> {
    pub fn new(bind: Bind<'a>, prepared: &'a Prepared, planned: &'a Planned) -> Self {
        let repeated = &planned.plan.facts.repeated_params;
        Self { bind, types: prepared.parameter_types(), repeated, all: OnceCell::new() }
    }
}

/// None: the simple protocol.
impl Parameters for Option<BoundParameters<'_>> {
    fn value(&self, index: usize) -> Option<Option<&[u8]>> {
        self.as_ref().and_then(|parameters| parameters.value(index))
    }

    fn is_binary(&self, index: usize) -> bool {
        self.as_ref().is_some_and(|parameters| parameters.is_binary(index))
    }

    fn declared_type(&self, index: usize) -> u32 {
        self.as_ref().map_or(0, |parameters| parameters.declared_type(index))
    }
}

impl Parameters for BoundParameters<'_> {
    fn value(&self, index: usize) -> Option<Option<&[u8]>> {
        if index < NEAR {
            return self.bind.parameters.get(index);
        }
        self.all.get_or_init(|| self.bind.parameters.iter().collect()).get(index).copied()
    }

    fn is_binary(&self, index: usize) -> bool {
        self.bind.parameter_formats.of(index) == 1
    }

    fn declared_type(&self, index: usize) -> u32 {
        match self.types.get(index).copied().unwrap_or(0) {
            0 if self.repeated.binary_search(&(index as u32)).is_ok() => INFERRED_ELSEWHERE,
            declared => declared,
        }
    }
}

impl<'a> Work<'a> {
    pub fn text(&self) -> &'a [u8] {
        match self {
            Self::Simple { text } => text,
            Self::Extended { execution } => execution.prepared.text(),
        }
    }

    /// The Bind; None in the simple protocol.
    pub fn bind(self) -> Result<Option<Bind<'a>>, SqlError> {
        match self {
            Self::Simple { .. } => Ok(None),
            Self::Extended { execution } => Ok(Some(Bind::decode(&execution.bind)?)),
        }
    }

    /// `planned`: the statement's own, or that of the query inside of it.
    pub fn parameters(self, planned: &'a Planned) -> Result<Option<BoundParameters<'a>>, SqlError> {
        match self {
            Self::Simple { .. } => Ok(None),
            Self::Extended { execution } => {
                let bind = Bind::decode(&execution.bind)?;
                Ok(Some(BoundParameters::new(bind, &execution.prepared, planned)))
            }
        }
    }

    /// What several shards are asked. `parameters` are those of [`Work::parameters`].
    pub fn question<'q>(
        self,
        arguments: Arguments<'q>,
        parameters: &'q Option<BoundParameters<'q>>,
    ) -> Question<'q> {
        let (bind, declared) = match parameters {
            Some(parameters) => (Some(parameters.bind), parameters.types),
            None => (None, &[][..]),
        };
        Question { arguments, bind, declared, describe: self.describes() }
    }

    /// Whether the answer begins with a RowDescription.
    pub fn describes(&self) -> bool {
        match self {
            Self::Simple { .. } => true,
            Self::Extended { execution } => execution.describe,
        }
    }
}

impl Session {
    pub(super) async fn perform(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        let ends = planned.is_transaction_control();
        let anew = match self.is_redefined() && !ends || self.lacks_definitions(planned) {
            true => Box::pin(self.plan_anew(planned, work)).await?,
            false => None,
        };
        let planned = anew.as_deref().unwrap_or(planned);
        // Messages were counted when they were sorted.
        if matches!(work, Work::Simple { .. }) {
            self.portals.note_change(planned);
        }
        let begun = self.begin_watch();
        let mut outcome = self.act(planned, work).await;
        if self.passage.again {
            outcome = Box::pin(self.act_again(planned, work, outcome)).await;
        }
        let untold = matches!(outcome, Ok(()) | Err(Failure::Sql(_)));
        if untold && self.block.is_open() && self.is_redefined() && !ends {
            outcome = Box::pin(self.demand_same_plan(planned, work)).await.and(outcome);
        }
        self.end_watch(begun, planned, work.text(), 1);
        outcome
    }

    pub(super) async fn act(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        let says_nothing = matches!((&planned.plan.facts.kind, work), (Kind::Empty, Work::Simple { .. }));
        if self.block.is_failed() && !planned.ends_failed_block() && !says_nothing {
            return Err(self.error_in_failed_block(work).await);
        }
        self.asks = planned.asks;
        self.fence_in(&planned.plan.facts, work.text())?;
        self.check_encoded(planned)?;
        self.relearn_temporary().await?;
        if self.names_temporary(planned) {
            return Box::pin(self.perform_temporary(planned, work)).await;
        }
        self.check_uncommitted(planned)?;
        self.check_lists(planned)?;
        match &planned.plan.action {
            Action::Refuse(refusal) => Err(Failure::Sql(refusal.clone().into())),
            Action::Control => Box::pin(self.obey(planned, work)).await,
            Action::Pinned(reason) => {
                self.bind_work(planned, work)?;
                Box::pin(self.perform_pinned(planned, work, reason)).await
            }
            Action::Routed { many } => self.route(planned, work, many).await,
            Action::Hold { many } => {
                let shards = self.bind_work(planned, work)?;
                Box::pin(self.bring_together(planned, work, many, shards)).await
            }
            Action::Anywhere | Action::Fixed(_) => {
                let shards = self.bind_work(planned, work)?;
                let shard = match shards.single() {
                    // Any server can say it; where a snapshot is kept, the first statement decides whose.
                    Some(_) if planned.plan.only_sets() && !self.keeps_snapshot() => self.any_shard(),
                    single => single.unwrap_or(self.default_shard()),
                };
                self.perform_on(planned, work, shard).await
            }
            Action::Everywhere => {
                if matches!(planned.plan.facts.kind, Kind::LockTable) {
                    self.lock(work.text())?;
                }
                // For its refusals only: a clock's words in the values, a hint for one shard.
                self.bind_work(planned, work)?;
                Box::pin(self.perform_everywhere(planned, work)).await
            }
            Action::EachShard => {
                self.bind_work(planned, work)?;
                if self.block.is_open() && may_be_part(&planned.plan.facts.kind) {
                    return Box::pin(self.perform_everywhere(planned, work)).await;
                }
                self.on_route(Route::Each, None);
                Box::pin(self.perform_each(planned, work)).await
            }
            Action::CopyIn(copy) => {
                self.on_route(Route::Copy, None);
                Box::pin(self.copy_in(planned, work, copy)).await
            }
            Action::CopyOut { header } => {
                self.on_route(Route::Copy, None);
                Box::pin(self.copy_out(work, planned.plan.access, *header)).await
            }
        }
    }

    /// On the server that has what is temporary.
    async fn perform_temporary(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        if let (Kind::Ddl { .. }, Action::Refuse(refusal)) = (&planned.plan.facts.kind, &planned.plan.action)
        {
            return Err(Failure::Sql(refusal.clone().into()));
        }
        self.check_temporary(planned)?;
        self.check_lists(planned)?;
        self.check_made_from(&planned.plan.facts, work.text())?;
        let prepares = match &planned.plan.facts.kind {
            Kind::Session(SessionObject::Prepare { name }) => Some(name),
            _ => None,
        };
        prepares.map_or(Ok(()), |name| self.check_unprepared(name))?;
        self.perform_on(planned, work, self.default_shard()).await?;
        if let Some(name) = prepares {
            self.statements.note_prepare(name, Some(work.text()));
        }
        match planned.changes_schema() {
            true => Box::pin(self.learn_temporary()).await,
            false => Ok(()),
        }
    }

    /// The arguments decide which shards; several of them are asked at once.
    async fn route(&mut self, planned: &Planned, work: Work<'_>, many: &Many) -> Outcome {
        let shards = self.bind_work(planned, work)?;
        match shards.single() {
            Some(shard) => self.perform_on(planned, work, shard).await,
            None => self.bring_together(planned, work, many, shards).await,
        }
    }

    async fn bring_together(
        &mut self,
        planned: &Planned,
        work: Work<'_>,
        many: &Many,
        shards: ShardSet,
    ) -> Outcome {
        if !matches!(many, Many::Refuse(_)) {
            self.on_route(Route::Scatter, None);
            self.learn_suspected().await?;
            if self.names_temporary(planned) {
                self.check_temporary(planned)?;
                return self.perform_on(planned, work, self.default_shard()).await;
            }
        }
        match many {
            Many::Scatter(scatter) => match work {
                Work::Extended { execution } if execution.pieces != Pieces::None => {
                    Box::pin(self.fetch_portal(planned, execution, scatter, shards)).await
                }
                _ => Box::pin(self.scatter(planned, work, scatter, shards)).await,
            },
            Many::Gather(refusal) => Box::pin(self.gather(planned, work, refusal)).await,
            Many::Refuse(refusal) => Err(Failure::Sql(refusal.clone().into())),
        }
    }

    pub(super) fn bind_work(&self, planned: &Planned, work: Work<'_>) -> Result<ShardSet, Failure> {
        self.bind(planned, work.text(), &planned.literals, &work.parameters(planned)?)
    }

    /// The shard for what any shard can answer: one that the transaction has already joined, else this region's, else one
    /// that has a server.
    pub(super) fn any_shard(&self) -> ShardId {
        if self.pin.is_some() {
            return self.default_shard();
        }
        if let Some(shard) = self.sole_sight() {
            return shard;
        }
        if let Some(lane) = self.lanes.iter().find(|lane| lane.in_block || lane.open_pipeline) {
            return lane.shard;
        }
        let topology = &self.context.planning.topology;
        let home = topology.region(self.own.region).shards.first().copied().unwrap_or(topology.default_shard);
        let mut others = (0..topology.shards.len()).map(|index| ShardId(index as u16));
        let allowed = |shard: &ShardId| self.fence.allows_shard(topology, *shard);
        let home = if allowed(&home) { home } else { others.clone().find(allowed).unwrap_or(home) };
        match self.has_server(home, Access::Read) {
            true => home,
            false => others.find(|shard| self.has_server(*shard, Access::Read)).unwrap_or(home),
        }
    }

    /// One shard, inside a block or where the caller speaks the last word to the client.
    pub(super) async fn perform_on(&mut self, planned: &Planned, work: Work<'_>, shard: ShardId) -> Outcome {
        self.on_route(Route::Relay, Some(shard));
        let access = planned.plan.access;
        if let Kind::Session(SessionObject::DeclareCursor { name, hold, .. }) = &planned.plan.facts.kind
            && (*hold || self.block.is_explicit())
            && self.is_taken_elsewhere(name, shard)
        {
            return Err(Failure::Sql(is_taken(name)));
        }
        let mut avoid = Vec::new();
        let names = self.names_set_by(planned, work)?;
        loop {
            let index = self.join_for(planned, shard, &avoid).await?;
            let mark = self.client.outbox.len();
            let node = self.lanes[index].connection.node;
            if planned.plan.lists.statements {
                self.lanes[index].forget_all();
            }
            self.put(index, work)?;
            let suspect = planned.is_suspect(self.pin.is_some());
            let read_only = self.is_read_only();
            let lane = &mut self.lanes[index];
            lane.note_effect(if read_only { Effect::Nothing } else { planned.plan.effect });
            lane.connection.suspect |= suspect;
            let executes = matches!(planned.plan.facts.kind, Kind::Session(SessionObject::Execute { .. }));
            if (access == Access::Write || executes) && !lane.in_block && !planned.copies_in() {
                self.ask_position(index);
            }
            match self.run_lane(index).await {
                Ok(report) => {
                    if report.awaits_sync && matches!(work, Work::Extended { .. }) {
                        // The Sync before the data is used up, ours and the client's.
                        self.lanes[index].open_pipeline = true;
                        self.awaiting_sync = true;
                    }
                    let outcome = self.after_performance(index, &report);
                    let copied = outcome.is_ok() && planned.copies_in() && !self.lanes[index].in_block;
                    if copied && !self.lanes[index].open_pipeline {
                        Box::pin(self.ask_position_now(index)).await;
                    }
                    if let (Ok(()), Kind::Session(SessionObject::DeclareCursor { name, .. })) =
                        (&outcome, &planned.plan.facts.kind)
                    {
                        self.cursors.insert(name.clone(), shard);
                    }
                    if outcome.is_ok() && self.block.is_open() {
                        self.follow_code(index, names, planned, work.text()).await?;
                    }
                    return outcome;
                }
                Err(error) => {
                    let again = self.may_retry(&error, access, avoid.len());
                    let failure = self.relay_failed(index, error).await;
                    if !again {
                        return Err(failure);
                    }
                    self.client.outbox.truncate(mark);
                    self.worker.figures.retries.one();
                    avoid.push(node);
                }
            }
        }
    }

    pub(super) fn after_performance(&mut self, index: usize, report: &crate::execute::Report) -> Outcome {
        use crate::wire::backend::TransactionStatus;
        if let Some(error) = &report.hidden_error {
            // The lane is not where the session believes it to be.
            self.lanes[index].connection.broken = true;
            self.block.fail();
            return Err(Failure::Sql((**error).clone()));
        }
        if report.error.is_some() {
            return Err(Failure::Told);
        }
        let lane = &self.lanes[index];
        if !lane.in_block && lane.connection.status == TransactionStatus::InTransaction {
            self.adopt_block(index);
        } else if lane.in_block && lane.connection.status == TransactionStatus::Idle {
            // A procedure or an unseen COMMIT ended the transaction under us.
            return Err(Failure::Sql(Self::internal("the server ended the transaction by itself")));
        }
        Ok(())
    }

    /// Puts the statement on a lane. In the extended protocol the whole unit, with a Sync of its own.
    pub(super) fn put(&mut self, index: usize, work: Work<'_>) -> Outcome {
        self.put_as(index, work, None)
    }

    /// With another text of the same parameters in the place of the statement's own.
    pub(super) fn put_as(&mut self, index: usize, work: Work<'_>, instead: Option<&[u8]>) -> Outcome {
        let lane = &mut self.lanes[index];
        lane.behind = self.behind;
        match work {
            Work::Simple { text } => lane.query(instead.unwrap_or(text)),
            Work::Extended { execution } => {
                let bind = Bind::decode(&execution.bind).map_err(SqlError::from)?;
                let prepared = &execution.prepared;
                match instead {
                    None => lane.parse(b"", prepared.known_tail(), prepared.id, true),
                    Some(text) => {
                        lane.parse(b"", &[text, prepared.declarations()].concat(), prepared.id, true);
                        // It is not what that number stands for.
                        lane.connection.unnamed = None;
                    }
                }
                let out = &mut lane.connection.outbox;
                encode::client::bind_with_tail(out, b"", b"", bind.tail);
                lane.owed.push_back(Owed::Bind { hidden: true });
                if execution.describe {
                    encode::client::describe(&mut lane.connection.outbox, Target::Portal, b"");
                    lane.owed.push_back(Owed::Describe { hidden: false });
                } else if bind.result_formats.any_binary() {
                    lane.probe(prepared.id, b"");
                }
                encode::client::execute(&mut lane.connection.outbox, b"", execution.rows_max);
                lane.owed.push_back(Owed::Execute { hidden: false });
                lane.sync(true);
            }
        }
        Ok(())
    }

    /// Statements that need a server connection for themselves.
    pub(super) async fn perform_pinned(
        &mut self,
        planned: &Planned,
        work: Work<'_>,
        reason: &'static str,
    ) -> Outcome {
        let facts = &planned.plan.facts;
        let shard = self.default_shard();
        self.on_route(Route::Relay, Some(shard));
        self.check_made_from(facts, work.text())?;
        self.names_set_by(planned, work)?;
        match &facts.kind {
            Kind::Session(SessionObject::Prepare { name }) => self.check_unprepared(name)?,
            Kind::Session(SessionObject::DeclareCursor { name, .. }) if self.held.cursor(name).is_some() => {
                return Err(Failure::Sql(is_taken(name)));
            }
            _ => {}
        }
        let index = self.join_pinned().await?;
        self.put(index, work)?;
        let lane = &mut self.lanes[index];
        // Who is pinned may listen.
        let notifiers = &self.worker.shared.notifiers;
        notifiers.want();
        lane.notifiers = Some(Arc::clone(notifiers));
        lane.note_write(true);
        // What comes with a transaction may go with it.
        let passing = facts.words.iter().any(|word| word == "commit");
        lane.connection.suspect |= lane.in_block || passing || planned.is_suspect(true);
        match self.run_lane(index).await {
            Ok(report) => {
                let outcome = self.after_performance(index, &report);
                if outcome.is_ok() {
                    if let Kind::Session(SessionObject::Prepare { name }) = &facts.kind {
                        self.statements.note_prepare(name, Some(work.text()));
                    }
                    self.set_pin(reason);
                    self.learn_temporary().await?;
                }
                outcome
            }
            Err(error) => Err(self.relay_failed(index, error).await),
        }
    }

    /// What the session obeys itself; the client's stream follows it.
    async fn obey(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        let outcome = self.control(planned, work).await;
        if self.is_encoded_otherwise() {
            self.follow_encoding().await;
        }
        outcome
    }

    async fn control(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        let text = work.text();
        let facts = std::sync::Arc::clone(&planned.plan.facts);
        match &facts.kind {
            Kind::Empty => {
                encode::server::empty_query_response(&mut self.client.outbox);
                Ok(())
            }
            Kind::Transaction(command) => self.transaction_command(command, text).await,
            Kind::Setting(setting) => self.setting(setting, text).await,
            Kind::Show { name } => match self.show_own(name) {
                Some(value) => {
                    let value = value?;
                    self.answer_text(name, &[value], "SHOW", work.describes());
                    Ok(())
                }
                None => self.perform_on(planned, work, self.any_shard()).await,
            },
            Kind::Explain(explain) => self.explain(planned, explain, work).await,
            Kind::Session(SessionObject::Discard(what)) => {
                self.describe_no_rows(work);
                self.discard(*what, text).await
            }
            Kind::Session(SessionObject::Fetch { name, moves }) => match self.held.cursor(name) {
                Some(number) => self.fetch_held(number, *moves, work).await,
                None if self.portals.home(name) == Some(Home::Session) => {
                    Err(Failure::Sql(refusals::PORTAL_BY_SQL.error(&[])))
                }
                None => self.perform_on(planned, work, self.cursor_shard(name)).await,
            },
            Kind::Session(SessionObject::Signal { ends, process }) => {
                self.signal(planned, *ends, process, work).await
            }
            Kind::Session(SessionObject::ExportSnapshot { label }) => {
                self.export_snapshot(planned, label, work).await
            }
            Kind::Session(SessionObject::CloseCursor { name: Some(name) }) => {
                self.close_cursor(planned, name, work).await
            }
            Kind::Session(SessionObject::CloseCursor { name: None }) => {
                self.close_cursors(planned, work).await
            }
            Kind::Session(SessionObject::Prepare { name }) => self.keep_prepared(name, work).await,
            Kind::Session(SessionObject::Execute { name }) => {
                Box::pin(self.execute_prepared(planned, name, work)).await
            }
            Kind::Session(SessionObject::Deallocate { name }) => {
                self.deallocate(planned, name.as_deref(), work).await
            }
            _ => self.perform_on(planned, work, self.default_shard()).await,
        }
    }

    /// Where the answer begins with a description, and the session itself performs what has no rows.
    pub(super) fn describe_no_rows(&mut self, work: Work<'_>) {
        if matches!(work, Work::Extended { execution } if execution.describe) {
            encode::server::no_data(&mut self.client.outbox);
        }
    }
}

/// ANALYZE and its like: parts of the transaction that they are in, and by themselves on each shard where there is none.
fn may_be_part(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Maintenance { scope: DdlScope::Transactional }
            | Kind::Ddl { scope: DdlScope::Unpreparable, .. }
    )
}
