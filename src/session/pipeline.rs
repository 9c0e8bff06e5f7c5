//! Running the segments of an extended batch: on lanes, or by the session itself.
//!
//! Called by `extended`, which has sorted the messages. A segment for a shard goes out in one write; when it is the last
//! and no block of ours is to be committed, the client's Sync goes with it and the server's ReadyForQuery answers it.
//!
//! Invariants:
//! 1. A message is put on a lane once; a segment that is tried again (a read whose server died) is put on a fresh lane.
//! 2. A named statement is prepared on a connection at most once, in the flight that needs it first.
//! 3. A pipeline that a Flush left open is ended by the client's Sync, or before another shard is used.
//! 4. What is changed before a Flush is in a block of ours up to the Sync: statements of whatever kind may follow, and what
//!    fails among them undoes it. COPY and what may commit by itself are in one of the server's, which a block takes up when
//!    others follow.

use std::rc::Rc;

use super::batch::{Batch, BatchEnd, Message, Place, Segment, ShardPlace, Untold, unconfirmed};
use super::extended::answers_itself;
use super::interner::Prepared;
use super::perform::{Execution, Work};
use super::planning::{Asks, Planned};
use super::reuse::{ensure_prepared, is_kept, prepare};
use super::{End, Failure, Outcome, Session};
use crate::backend::Connection;
use crate::execute::lane::{LocalReply, Owed};
use crate::execute::{Again, Confirmed, Report};
use crate::figures::Route;
use crate::plan::{Access, Effect};
use crate::sql::facts::{Kind, SessionObject};
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frontend::Target;

/// The interner gives no statement this id.
const NO_STATEMENT: u64 = 0;

/// What a segment is of its batch.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Of the last one: what stands behind it.
    pub end: Option<BatchEnd>,
    /// Of any statement in the batch.
    pub suspect: bool,
    /// It is all of it.
    pub alone: bool,
}

/// Whether the client's Sync was answered by the server; a failure with what was confirmed before it.
type Ran = Result<bool, (Failure, Confirmed)>;

impl Session {
    /// Runs the segments in order. Ok(true): the server's ReadyForQuery has answered the client's Sync.
    pub(super) async fn run_batch(&mut self, batch: &Batch) -> Result<bool, Failure> {
        let Batch { segments, end, executions, changes, controls, undoes, suspect, turns, .. } = batch;
        let (end, executions) = (*end, *executions);
        if segments.is_empty() {
            return Box::pin(self.sync_open_pipeline(end)).await;
        }
        if self.leaves_pipeline(batch) {
            Box::pin(self.take_up_for_others(batch)).await?;
        }
        // One server makes a transaction of what it gets up to Sync; nobody does for the rest.
        let apart = segments.len() > 1 || matches!(segments[0].place, Place::Session);
        let several = executions > 1 || *turns && end == BatchEnd::Full;
        let one = apart && several && *changes && (!*controls || *undoes);
        let goes_on = self.goes_on(end);
        // Portals that may be executed behind others, or a Flush, are there as long as their transaction.
        let stay = || batch.waiting > 0 || self.portals.has_named_on_servers();
        let waits = apart && !*controls && (batch.across || goes_on && stay());
        if (one || waits || batch.late_modes) && !self.block.is_open() {
            self.begin_implicit();
        }
        let last = segments.len() - 1;
        let mut sent = false;
        for (at, segment @ Segment { place, changes, .. }) in segments.iter().enumerate() {
            // What fails behind it must undo it, as the one transaction that a pipeline is.
            let by_itself = place.copies_in() || place.may_commit() && executions < 2 && last == 0;
            let alone = !goes_on && !batch.goes_on_behind(at, segment) || by_itself;
            if *changes && !self.block.is_open() && !alone {
                self.begin_implicit();
            }
            let messages = batch.messages(segment);
            let end = if at == last { Some(end) } else { None };
            let part = Part { end, suspect: *suspect, alone: last == 0 };
            let result = match place {
                Place::Shard(place) => self.run_watched_segment(place, messages, part).await,
                Place::Session => Box::pin(self.run_session_segment(messages)).await.map(|()| false),
            };
            match result {
                Ok(ready) => sent = ready,
                Err((failure, confirmed)) => {
                    batch.unconfirmed(at, confirmed).for_each(|(message, untold)| self.undo(message, untold));
                    return Err(failure);
                }
            }
        }
        if end == BatchEnd::Sync && !sent && self.lanes.iter().any(|lane| lane.open_pipeline) {
            self.close_open_pipelines().await;
        }
        Ok(sent)
    }

    /// Whether what is behind the batch belongs to its transaction: no Sync has ended it. The data of a COPY are its own.
    fn goes_on(&self, end: BatchEnd) -> bool {
        match end {
            BatchEnd::Sync => false,
            BatchEnd::Flush => true,
            BatchEnd::Full => self.client.inbox.first().is_none_or(|tag| !b"dcf".contains(tag)),
        }
    }

    /// Sync after an error: open pipelines hear it too.
    pub(super) async fn end_skipping(&mut self) -> Result<(), End> {
        self.skipping = false;
        let _ = self.conclude(Err(Failure::Told)).await?;
        self.undo_open_pipelines().await?;
        self.close_open_pipelines().await;
        if !self.block.is_open() {
            self.portals.clear();
            self.end_held(false);
        }
        self.ready();
        Ok(())
    }

    /// A batch of nothing but Sync: it is for the pipeline that a Flush left open.
    async fn sync_open_pipeline(&mut self, end: BatchEnd) -> Result<bool, Failure> {
        if end != BatchEnd::Sync {
            return Ok(false);
        }
        let Some(index) = self.lanes.iter().position(|lane| lane.open_pipeline) else { return Ok(false) };
        // Behind a block of ours the client hears that it is ready when that is committed; of one that the lane is not part of, the
        // session knows; and what code has set is told before.
        let lane = &self.lanes[index];
        let told = self.sync_is_theirs() && lane.in_block == self.block.is_open() && !lane.connection.suspect;
        self.lanes[index].open_pipeline = false;
        self.lanes[index].sync(!told);
        let wrote = self.lanes[index].wrote && !self.lanes[index].in_block;
        if wrote {
            self.lanes[index].wrote = false;
            self.ask_position(index);
        }
        match self.run_lane(index).await {
            Ok(report) if report.error.is_some() => {
                self.block.fail();
                if told { Ok(true) } else { Err(Failure::Told) }
            }
            Ok(_) => Ok(told),
            Err(error) => Err(self.relay_failed(index, error).await),
        }
    }

    async fn run_session_segment(&mut self, messages: &[Message]) -> Result<(), (Failure, Confirmed)> {
        let mut confirmed = Confirmed::default();
        // The last Parse, what had been said and confirmed before it.
        let mut parsed = None;
        for message in messages {
            let outcome = match message {
                Message::Parse { prepared, .. } => {
                    parsed = Some((prepared, self.client.outbox.len(), confirmed));
                    confirmed.parses += 1;
                    encode::server::parse_complete(&mut self.client.outbox);
                    Ok(())
                }
                Message::Execute(portal) | Message::BindJudged(portal) | Message::DescribePortal(portal) => {
                    let (planned, execution) = &**portal;
                    let outcome = match message {
                        Message::Execute(_) => self.execute_here(planned, execution).await,
                        Message::BindJudged(_) => self.bind_judged(execution).await,
                        _ => self.describe_portal(planned, execution).await,
                    };
                    // PostgreSQL would have said so at the Parse.
                    if let (Err(Failure::Sql(error)), Some((prepared, said, before))) = (&outcome, parsed)
                        && is_of_a_text(planned, error, self.client.outbox.len() >= said)
                        && Rc::ptr_eq(prepared, &execution.prepared)
                    {
                        self.client.outbox.truncate(said);
                        confirmed = Confirmed { failed_parse: true, ..before };
                    }
                    outcome
                }
                Message::DescribeExecute(prepared) => self.describe_execute(prepared).await,
                Message::Fail(error) => Err(Failure::Sql(error.clone())),
                message => self.answer_at_once(message, &mut confirmed),
            };
            outcome.map_err(|failure| (failure, confirmed))?;
        }
        Ok(())
    }

    /// A message of the session's own that nobody else is asked for.
    fn answer_at_once(&mut self, message: &Message, confirmed: &mut Confirmed) -> Outcome {
        match message {
            Message::BindHere => encode::server::bind_complete(&mut self.client.outbox),
            Message::DescribeStatement { prepared, .. } => self.describe_without_rows(prepared),
            Message::CloseStatement(_) => {
                confirmed.closes += 1;
                encode::server::close_complete(&mut self.client.outbox);
            }
            Message::ClosePortal(portal) => {
                portal.iter().for_each(|portal| self.close_held(*portal));
                encode::server::close_complete(&mut self.client.outbox);
            }
            Message::ForgetPortal(portal) => self.close_held(*portal),
            Message::DescribeFetch(cursor) => {
                encode::server::parameter_description(&mut self.client.outbox, &[]);
                self.describe_held(self.held.cursor(cursor));
            }
            Message::DescribeHeld(number) => self.describe_held(Some(*number)),
            Message::Complete(tag) => self.complete(tag),
            _ => {
                return Err(Failure::Sql(Self::internal(
                    "a relayed message reached the session's own segment",
                )));
            }
        }
        Ok(())
    }

    fn describe_without_rows(&mut self, prepared: &Prepared) {
        let types = prepared.declared_all(0).unwrap_or_default();
        encode::server::parameter_description(&mut self.client.outbox, types);
        encode::server::no_data(&mut self.client.outbox);
    }

    async fn execute_here(&mut self, planned: &Planned, execution: &Execution) -> Outcome {
        if execution.describe && answers_itself(planned) {
            encode::server::no_data(&mut self.client.outbox);
        }
        let outcome = self.perform(planned, Work::Extended { execution }).await;
        self.note_run();
        outcome
    }

    /// The statements of a segment are watched as one: they run in one flight, and each counts with the time of all.
    async fn run_watched_segment(&mut self, place: &ShardPlace, messages: &[Message], part: Part) -> Ran {
        if self.fence.read_only && !self.block.is_open() {
            self.begin_implicit();
        }
        let executions = messages.iter().filter(|message| message.is_execution()).count();
        let watched = place.planned.as_ref().filter(|_| executions > 0);
        // What follows may ask.
        let behind = if part.end == Some(BatchEnd::Sync) { Asks::Nothing } else { Asks::Later };
        self.asks = place.asks.max(behind);
        let begun = self.begin_watch();
        self.on_route(Route::Relay, Some(place.shard));
        let mut ran = self.run_shard_segment(place, messages, part).await;
        if let Ok(told) = ran
            && self.block.is_open()
            && self.is_redefined()
        {
            ran = Box::pin(self.fail_unless_same(messages, place, told)).await;
        }
        let Some(planned) = watched else { return ran };
        let text = messages.iter().rev().find_map(|message| match message {
            Message::Bind { prepared, .. } => Some(prepared.text()),
            _ => None,
        });
        self.end_watch(begun, planned, text.unwrap_or_default(), executions);
        self.note_run();
        ran
    }

    fn note_run(&mut self) {
        if let Some(transaction) = self.block.transaction() {
            transaction.ran = true;
        }
    }

    /// Behind a segment in a transaction. `told`: the client has heard that all went well.
    async fn fail_unless_same(&mut self, messages: &[Message], place: &ShardPlace, told: bool) -> Ran {
        match (self.demand_same_home(messages, (place.shard, place.access)).await, self.block.transaction()) {
            (Err(Failure::Sql(error)), Some(transaction)) if told => {
                transaction.failed = true;
                transaction.unsaid = Some(Box::new(error));
                Ok(told)
            }
            (same, _) => same.map(|()| told).map_err(before_all),
        }
    }

    /// One segment on one lane. Returns whether the client's Sync was answered by the server.
    async fn run_shard_segment(&mut self, place: &ShardPlace, messages: &[Message], part: Part) -> Ran {
        let Part { end, suspect, .. } = part;
        let ShardPlace { shard, access, planned, effect, runs_code, .. } = place;
        let (shard, access) = (*shard, *access);
        if self.block.is_failed() {
            return Err((Failure::Sql(self.in_failed_block()), Confirmed::default()));
        }
        self.leave_other_pipelines(shard).await.map_err(before_all)?;
        let client_sync = end == Some(BatchEnd::Sync) && self.sync_is_theirs();
        let copies = planned.as_ref().filter(|planned| planned.copies_in());
        let names = copies.map(|planned| self.names_set_by_copy(planned, shard)).transpose();
        let names = names.map_err(before_all)?;
        let mut avoid = Vec::new();
        let mut reuse = self.may_reuse(messages, part);
        loop {
            let joined = match planned {
                Some(planned) => self.join_for(planned, shard, &avoid).await,
                None => self.join(shard, access, &avoid).await,
            };
            let index = joined.map_err(before_all)?;
            let alone = !self.block.is_open() && end == Some(BatchEnd::Sync);
            if alone && self.is_redefined() {
                Box::pin(self.demand_same_home(messages, (shard, access))).await.map_err(before_all)?;
            }
            let mark = self.client.outbox.len();
            let node = self.lanes[index].connection.node;
            if end != Some(BatchEnd::Sync) || suspect || copies.is_some() {
                // What follows may make a block of the pipeline, or be a procedure's, whose ROLLBACK would undo them.
                self.lanes[index].end_settings();
            }
            self.put_messages(index, messages, reuse);
            let writes = access == Access::Write && !self.is_read_only();
            let lane = &mut self.lanes[index];
            (lane.runs_again, lane.ran_code) = (alone, lane.ran_code | runs_code);
            lane.note_effect(if writes { *effect } else { Effect::Nothing });
            lane.connection.suspect |= suspect;
            self.end_segment(index, end, client_sync, names.is_some());
            let ran = self.run_lane(index).await;
            if let Some(lane) = self.lanes.get_mut(index) {
                (lane.reuses, lane.runs_again, lane.notes_parameters) = (false, false, false);
            }
            match ran {
                Ok(report) if let Some(again) = report.again => {
                    self.client.outbox.truncate(mark);
                    self.prepare_anew(index, messages);
                    if again == Again::Redefined {
                        Box::pin(self.demand_same_answers(messages)).await.map_err(before_all)?;
                    }
                    reuse &= again == Again::Redefined;
                }
                Ok(report) => {
                    if let (Some(names), Some(transaction)) = (names, self.block.transaction()) {
                        transaction.note_names(names);
                    }
                    let relayed = self.relayed(index, messages, &report, end, client_sync);
                    return relayed.map_err(|failure| (failure, report.confirmed));
                }
                Err(error) => {
                    let again = self.may_retry(&error, access, avoid.len()) && end == Some(BatchEnd::Sync);
                    let failure = self.relay_failed(index, error).await;
                    if !again {
                        return Err(before_all(failure));
                    }
                    self.worker.figures.retries.one();
                    self.client.outbox.truncate(mark);
                    avoid.push(node);
                }
            }
        }
    }

    /// What has become of a segment whose answers were passed on.
    fn relayed(
        &mut self,
        index: usize,
        messages: &[Message],
        report: &Report,
        end: Option<BatchEnd>,
        client_sync: bool,
    ) -> Result<bool, Failure> {
        let lane = &mut self.lanes[index];
        if report.awaits_sync {
            lane.open_pipeline = true;
            self.awaiting_sync = end == Some(BatchEnd::Sync);
        }
        let ready = client_sync && report.status.is_some() && !lane.open_pipeline;
        self.learn(messages, report);
        match self.after_performance(index, report) {
            // The server has answered the Sync as well: the error is told, and so is ready.
            Err(Failure::Told) if ready => {
                self.fail_batch(messages, report.confirmed);
                Ok(true)
            }
            failure => failure.map(|()| ready),
        }
    }

    /// What stands behind the messages of a segment: Flush, or a Sync that is the client's or ours.
    fn end_segment(&mut self, index: usize, end: Option<BatchEnd>, client_sync: bool, copies_in: bool) {
        let in_ours = !self.sync_is_theirs();
        let lane = &mut self.lanes[index];
        match end {
            // Only ours ends a transaction that is ours.
            Some(BatchEnd::Flush | BatchEnd::Full) if in_ours && !copies_in => {
                lane.open_pipeline = false;
                lane.sync(true);
            }
            Some(BatchEnd::Flush | BatchEnd::Full) => {
                lane.flush_message();
                lane.open_pipeline = true;
            }
            Some(BatchEnd::Sync) | None => {
                lane.open_pipeline = false;
                lane.sync(!client_sync);
                if lane.wrote && !lane.in_block {
                    lane.wrote = false;
                    if !copies_in {
                        self.ask_position(index);
                    }
                }
            }
        }
    }

    /// Notes what was told of parameters, of which statements it is now known that their columns need no translation, and which
    /// are of old plans.
    fn learn(&mut self, messages: &[Message], report: &Report) {
        let described = messages.iter().filter_map(Message::described);
        described.zip(&report.parameters).for_each(|(prepared, types)| self.note_told(prepared, types));
        for message in messages.iter().filter(|_| !report.plain.is_empty()) {
            if let Message::Probe { prepared: Some(prepared), .. } = message
                && report.plain.contains(&prepared.id)
            {
                prepared.note_carries_nothing(self.context.id);
            }
        }
        if report.error.as_ref().is_some_and(|error| is_of_an_old_plan(error)) {
            self.forget_bound(messages);
        }
    }

    /// What these messages prepare, and the server had of earlier clients, may be of tables that have changed.
    fn prepare_anew(&mut self, index: usize, messages: &[Message]) {
        self.forget_bound(messages);
        let lane = &mut self.lanes[index];
        for message in messages {
            if let Message::Parse { prepared, name, .. } = message
                && !name.is_empty()
            {
                lane.forget(prepared.id);
            }
        }
    }

    /// The servers' statements of these messages are of tables that have changed.
    fn forget_bound(&self, messages: &[Message]) {
        let mut interner = self.worker.interner.borrow_mut();
        for message in messages {
            if let Message::Bind { prepared, .. } | Message::DescribeStatement { prepared, .. } = message {
                interner.forget(prepared);
            }
        }
    }

    /// The client's Sync may be the server's: no implicit block of ours is to be committed by it.
    pub(super) fn sync_is_theirs(&self) -> bool {
        !self.block.is_open() || self.block.is_explicit()
    }

    /// A server has told the error itself: the block fails, and what was not confirmed has not happened.
    fn fail_batch(&mut self, messages: &[Message], confirmed: Confirmed) {
        self.block.fail();
        if !self.block.is_open() {
            self.end_held(false);
        }
        unconfirmed(messages, confirmed).for_each(|(message, untold)| self.undo(message, untold));
    }

    /// A message that has not been: a statement whose Parse it is does not exist, one whose Close it is does. The one without a
    /// name is gone with a Parse that fails.
    fn undo(&mut self, message: &Message, untold: Untold) {
        match message {
            Message::Parse { name, replaces, .. } if name.is_empty() && untold == Untold::Skipped => {
                self.statements.put_unnamed(replaces.clone());
            }
            Message::Parse { name, .. } => self.statements.remove(name),
            Message::CloseStatement(Some(closed)) => self.statements.reopen(closed),
            _ => {}
        }
    }

    fn put_messages(&mut self, index: usize, messages: &[Message], reuse: bool) {
        let lane = &mut self.lanes[index];
        lane.reuses = reuse;
        for message in messages {
            match message {
                Message::Parse { prepared, name, .. } => {
                    if !is_kept(prepared, !name.is_empty(), reuse) {
                        lane.parse(b"", &prepared.tail, prepared.id, false);
                    } else if !prepare(lane, prepared, false) {
                        lane.owed.push_back(Owed::Local(LocalReply::ParseComplete));
                    }
                }
                Message::Bind { prepared, portal, tail, named, .. } => {
                    let kept = is_kept(prepared, *named, reuse);
                    ensure_prepared(lane, prepared, kept);
                    lane.connection.statements.note_bound(prepared.id);
                    let server_name = Connection::statement_name(prepared.id);
                    let statement: &[u8] = if kept { &server_name } else { b"" };
                    encode::client::bind_with_tail(&mut lane.connection.outbox, portal, statement, tail);
                    lane.owed.push_back(Owed::Bind { hidden: false });
                }
                Message::DescribeStatement { prepared, named } => {
                    lane.notes_parameters |= prepared.is_untold();
                    let kept = is_kept(prepared, *named, reuse);
                    ensure_prepared(lane, prepared, kept);
                    let server_name = Connection::statement_name(prepared.id);
                    let statement: &[u8] = if kept { &server_name } else { b"" };
                    encode::client::describe(&mut lane.connection.outbox, Target::Statement, statement);
                    lane.owed.push_back(Owed::Describe { hidden: false });
                }
                Message::Forward { frame, owed } => lane.forward(frame, *owed),
                Message::Probe { prepared, portal } => {
                    lane.probe(prepared.as_ref().map_or(NO_STATEMENT, |prepared| prepared.id), portal);
                }
                Message::CloseStatement(_) => lane.owed.push_back(Owed::Local(LocalReply::CloseComplete)),
                Message::BindHere
                | Message::BindJudged(_)
                | Message::Execute(_)
                | Message::DescribePortal(_)
                | Message::DescribeFetch(_)
                | Message::DescribeHeld(_)
                | Message::DescribeExecute(_)
                | Message::ClosePortal(_)
                | Message::ForgetPortal(_)
                | Message::Complete(_)
                | Message::Fail(_) => {}
            }
        }
    }
}

/// Whether a text cannot be read as a statement, by the server's judgement: not an error of code that it runs, nor of a command,
/// which is not looked into before it is run. `untold`: the client has not been sent anything since.
fn is_of_a_text(planned: &Planned, error: &SqlError, untold: bool) -> bool {
    /// Of a command that has a query: privileges, and a cursor's name that is taken.
    const OF_THE_COMMAND: [SqlState; 2] = [SqlState::INSUFFICIENT_PRIVILEGE, SqlState::DUPLICATE_CURSOR];
    let has_query = matches!(
        planned.plan.facts.kind,
        Kind::Explain(_) | Kind::Session(SessionObject::DeclareCursor { .. })
    );
    let of_query = has_query && !OF_THE_COMMAND.contains(&error.sqlstate);
    let has_context = error.fields.iter().any(|(code, _)| *code == b'W');
    let is_read = planned.counts_parameters() || of_query;
    untold && is_read && error.sqlstate.class() == "42" && !has_context
}

/// A failure before anything of its segment was confirmed.
fn before_all(failure: Failure) -> (Failure, Confirmed) {
    (failure, Confirmed::default())
}

/// PostgreSQL's "cached plan must not change result type", by which drivers know it, too.
fn is_of_an_old_plan(error: &SqlError) -> bool {
    let by = |(code, value): &(u8, String)| *code == b'R' && value == "RevalidateCachedQuery";
    error.sqlstate == SqlState::FEATURE_NOT_SUPPORTED && error.fields.iter().any(by)
}
