//! The extended protocol: a batch of messages up to Sync or Flush, cut into segments.
//!
//! ```text
//!   P B D E  P B D E  B E  S       messages
//!   └ shard 2 ┘└ session ┘└ 2 ┘    segments: runs of messages with one target
//! ```
//!
//! A batch for one shard is one segment: its messages go out in one write, with the client's own Sync, and the answers
//! are relayed as they come. Statement names are the client's; servers know statements by ids of ours, prepared at first
//! use, and a missing one is prepared in the flight of its Bind.
//!
//! Invariants:
//! 1. Answers come in the order of the messages, whoever gives them.
//! 2. After an error everything up to Sync is skipped; statements whose Parse was not confirmed do not exist.
//! 3. Several executions of one batch that change something are one transaction, as in PostgreSQL.
//!
//! Not here: what a statement outside the relay does (`perform`).

use std::rc::Rc;

use bytes::Bytes;

use super::batch::{Batch, BatchEnd, Message, executes, leaves_portals, uses};
use super::held::{HeldSessions, is_taken};
use super::interner::Prepared;
use super::perform::{BoundParameters, Pieces};
use super::planning::Planned;
use super::portals::{Home, Portal, cannot_be_run, finished, unknown_portal};
use super::statements::unknown_statement;
use super::{End, Failure, Session};
use crate::execute::lane::Owed;
use crate::execute::refusals;
use crate::plan::{Access, Action, Many};
use crate::sql::facts::{Kind, SessionObject};
use crate::wire::error::SqlError;
use crate::wire::frame::{self, FrameHeader, HEADER_BYTES, Phase};
use crate::wire::frontend::{Bind, Close, Describe, Execute, Parse, Target};

impl Session {
    /// Serves the messages at the front of the inbox up to Sync or Flush.
    pub(super) async fn extended_batch(&mut self) -> Result<(), End> {
        let (bytes, mut end) = self.collect_batch().await?;
        if self.skipping {
            let ends = end == BatchEnd::Sync;
            return if ends { Box::pin(self.end_skipping()).await } else { Ok(()) };
        }
        self.refresh_context();
        let mut outcome = Ok(());
        if self.may_lack_definitions() {
            outcome = Box::pin(self.learn_definitions_for(&bytes)).await;
        }
        let mut batch = self.worker.batches.borrow_mut().pop().unwrap_or_default();
        if let Some(rest) = self.sort_out(bytes, end, &mut batch) {
            end = BatchEnd::Full;
            self.client.put_back(&rest);
        }
        let executions = batch.executions;
        if outcome.is_ok() && self.pin.is_some() && executions > 0 {
            outcome = Box::pin(self.take_up_pinned()).await;
        }
        let outcome = match outcome {
            Ok(()) => self.run_batch(&batch).await,
            Err(failure) => Err(failure),
        };
        self.worker.keep_batch(batch);
        let failed = outcome.is_err();
        match end {
            // That Sync was not one: what was copied, or has failed, goes on to the next.
            BatchEnd::Sync if std::mem::take(&mut self.awaiting_sync) => {
                if failed {
                    let _ = self.conclude(outcome).await?;
                }
                self.skipping = failed;
            }
            BatchEnd::Sync => {
                let sent = self.conclude(outcome).await?;
                if failed {
                    self.undo_open_pipelines().await?;
                    self.close_open_pipelines().await;
                }
                if !sent {
                    self.ready();
                }
                if !self.block.is_open() {
                    self.portals.clear();
                    self.end_held(!failed);
                    if executions > 0 {
                        self.worker.figures.transactions.one();
                    }
                }
            }
            BatchEnd::Flush | BatchEnd::Full => {
                // No Sync came before the data.
                self.awaiting_sync = false;
                if let Err(failure) = outcome {
                    self.skipping = true;
                    match failure {
                        Failure::End(end) => return Err(end),
                        Failure::Sql(error) => {
                            self.tell(&error);
                            self.block.fail();
                        }
                        Failure::Told => self.block.fail(),
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes whole messages out of the inbox up to Sync or Flush, reading on as needed. Who never says either is idle, and can
    /// be dismissed, as one who says nothing.
    async fn collect_batch(&mut self) -> Result<(Bytes, BatchEnd), End> {
        let deadline = self.idle_deadline();
        let bound = self.live.limits.batch_bytes_max;
        let mut at = 0;
        loop {
            let header = match frame::peek_frontend(&self.client.inbox[at..], Phase::Query, &self.limits) {
                Ok(header) => header,
                Err(error) => return Err(End::Fatal(error.into())),
            };
            match header {
                Some(FrameHeader { tag, len }) if self.client.inbox.len() >= at + len => {
                    let end = match tag {
                        b'S' => Some(BatchEnd::Sync),
                        b'H' => Some(BatchEnd::Flush),
                        b'P' | b'B' | b'D' | b'E' | b'C' => None,
                        // Anything else waits its turn.
                        _ => {
                            return Ok((self.client.inbox.split_to(at).freeze(), BatchEnd::Full));
                        }
                    };
                    at += len;
                    if let Some(end) = end {
                        return Ok((self.client.inbox.split_to(at).freeze(), end));
                    }
                    if at > bound {
                        return Ok((self.client.inbox.split_to(at).freeze(), BatchEnd::Full));
                    }
                }
                Some(header) => {
                    self.client.expect_bytes(at + header.len);
                    self.await_client(deadline).await?;
                }
                None => self.await_client(deadline).await?,
            }
        }
    }

    /// Decodes the messages and gives each its segment. An error ends the sorting: what follows is skipped. Returns the
    /// messages that cannot be sorted before those before them have run.
    fn sort_out(&mut self, bytes: Bytes, end: BatchEnd, batch: &mut Batch) -> Option<Bytes> {
        batch.end = end;
        batch.first_portal = self.portals.next();
        let mut at = 0;
        let (mut rest, mut leaves) = (None, None);
        while let Some(header) = frame::judged(&bytes[at..]) {
            let frame = bytes.slice(at..at + header.len);
            at += header.len;
            let sorted = match header.tag {
                b'P' => self.sort_parse(batch, &frame),
                b'B' => self.sort_bind(batch, &frame, &bytes[at..]),
                b'D' => self.sort_describe(batch, &frame, &bytes[at..]),
                b'E' => self.sort_execute(batch, &frame),
                b'C' => self.sort_close(batch, &frame),
                _ => Ok(()),
            };
            if let Err(error) = sorted {
                self.for_session(batch, Message::Fail(error));
                break;
            }
            if at >= bytes.len() {
                break;
            }
            // What ends a transaction may bring names back, and the block that has failed.
            batch.turns |= batch.controls && (self.has_local_names() || self.block.is_failed());
            // So are portals that are there when it has run, if any follow.
            let mut follow = || *leaves.get_or_insert_with(|| leaves_portals(&bytes[at..]));
            batch.turns |= batch.bounds_portals && follow();
            if batch.turns && plans_more(&bytes[at..]) {
                batch.end = BatchEnd::Full;
                rest = Some(bytes.slice(at..));
                break;
            }
        }
        // Parses that nothing uses: some server must judge them.
        if batch.loose.iter().any(|message| message.needs_server(self)) {
            let shard = self.any_shard();
            batch.for_shard(shard, Access::Read, None, None);
        } else if !batch.loose.is_empty() {
            batch.flush_loose_to_session();
        }
        rest
    }

    fn sort_parse(&mut self, batch: &mut Batch, frame: &Bytes) -> Result<(), SqlError> {
        let parse = Parse::decode(&frame[HEADER_BYTES..])?;
        let mut replaces = None;
        if !parse.name.is_empty() {
            self.check_unprepared(&String::from_utf8_lossy(parse.name))?;
            self.check_statements()?;
        } else {
            // The one before is gone, whatever is wrong with this.
            replaces = self.statements.take_unnamed();
        }
        let prepared = self.prepare(&parse, batch.unsettled);
        let passes =
            |planned: &Planned| planned.ends_failed_block() || planned.plan.facts.kind == Kind::Empty;
        if self.fails_at_once(batch) && !self.plan_prepared(&prepared).is_ok_and(|planned| passes(&planned)) {
            return Err(self.in_failed_block());
        }
        self.statements.insert(parse.name, Rc::clone(&prepared), self.reading(batch.unsettled));
        if !parse.name.is_empty()
            && let Ok(planned) = self.plan_prepared(&prepared)
            && let Some(answer) = self.dependence_of(&planned, &prepared)
        {
            self.statements.note_answer(parse.name, answer);
        }
        batch.loose.push(Message::Parse { prepared, name: parse.name.into(), replaces });
        Ok(())
    }

    /// `rest`: what follows.
    fn sort_bind(&mut self, batch: &mut Batch, frame: &Bytes, rest: &[u8]) -> Result<(), SqlError> {
        let sent = frame.slice(HEADER_BYTES..);
        let bind = Bind::decode(&sent)?;
        let Some(mut prepared) = self.prepared(bind.statement, batch.unsettled)? else {
            return Err(self.unknown_statement(bind.statement));
        };
        let mut planned = self.plan_prepared(&prepared).map_err(into_sql)?;
        let mut body = &sent;
        let instead = self.bound_execute((&prepared, &planned), &bind)?;
        if let Some((executed, of_it)) = &instead {
            planned = self.plan_prepared(executed).map_err(into_sql)?;
            (prepared, body) = (Rc::clone(executed), of_it);
        }
        let bind = if instead.is_some() { Bind::decode(body)? } else { bind };
        let named = !bind.statement.is_empty();
        let wanted = prepared.parameter_types().len().max(planned.plan.facts.param_count as usize);
        let count = bind.check_count(wanted);
        let counted = count.is_ok();
        if named && planned.counts_parameters() || answers_itself(&planned) {
            // The server would tell it by our name for the statement, or is not asked.
            count?;
        }
        if self.fails_at_once(batch) && !planned.ends_failed_block() {
            return Err(self.in_failed_block());
        }
        self.check_answer(bind.statement, &planned, &prepared)?;
        self.check_encoded_bind(&bind, &prepared, &planned)?;
        let home = self.portal_home(&planned, &prepared, &bind)?;
        if home == Home::Session && planned.counts_parameters() {
            bind.check_count(wanted)?;
        }
        // What ends a transaction in this batch closes portals that are still known here.
        let taken = self.portals.is_taken(bind.portal) || self.is_declared(bind.portal, home);
        if !batch.controls && !self.block.is_failed() && taken {
            return Err(is_taken(&String::from_utf8_lossy(bind.portal)));
        }
        let portal_name: Box<[u8]> = bind.portal.into();
        let number = self.portals.take_number();
        let portal = Portal {
            binary: bind.result_formats.any_binary(),
            parsed_with: home == Home::Session && batch.parses(&prepared),
            in_failed: self.block.is_failed(),
            ..Portal::new(number, (&prepared, &planned), body.clone(), home)
        };
        if let Some(before) = self.portals.insert(&portal_name, portal)
            && before.in_pieces
        {
            self.for_session(batch, Message::ForgetPortal(before.number));
        }
        match home {
            Home::Shard(shard) => {
                let tail = body.slice_ref(bind.tail);
                let message = Message::Bind { prepared, portal: portal_name, tail, named, counted };
                batch.for_shard(shard, planned.plan.access, Some(&planned), Some(message));
                batch.suspect |= planned.is_suspect(self.pin.is_some());
                batch.note_binding(planned.is_undone_by_roll_back());
            }
            Home::Session if is_judged_by_servers(&planned) && !uses(rest, &portal_name) => {
                let bound = Portal::new(number, (&prepared, &planned), body.clone(), home);
                let bound = bound.execution(0, Pieces::None);
                self.for_session(batch, Message::BindJudged(Box::new((planned, bound))));
            }
            Home::Session if batch.judges_more_than(&prepared) => self.for_session(batch, Message::BindHere),
            Home::Session => batch.for_session(Message::BindHere),
        }
        Ok(())
    }

    fn unknown_statement(&self, name: &[u8]) -> SqlError {
        let by_sql = std::str::from_utf8(name).ok().filter(|name| self.statements.prepare_of(name).is_some());
        by_sql.map_or_else(|| unknown_statement(name), |name| refusals::PREPARED_BY_SQL.error(&[name]))
    }

    /// It came by PREPARE, and the server has it that the session is pinned to.
    fn is_kept_by_its_server(&self, name: &[u8]) -> bool {
        let name = std::str::from_utf8(name).ok();
        let is_there = name.is_some_and(|name| self.statements.prepare_of(name).is_some());
        is_there && self.pin.is_some() && !self.block.is_failed()
    }

    /// The block has failed, and nothing in this batch can have ended it.
    fn fails_at_once(&self, batch: &Batch) -> bool {
        self.block.is_failed() && !batch.controls
    }

    fn portal_home(&self, planned: &Planned, prepared: &Prepared, bind: &Bind<'_>) -> Result<Home, SqlError> {
        if self.block.is_failed() {
            return Ok(Home::Session);
        }
        self.fence.check(&planned.plan.facts, prepared.text())?;
        // The session must know of its cursors.
        let declares = matches!(planned.plan.facts.kind, Kind::Session(SessionObject::DeclareCursor { .. }));
        let relayed =
            matches!(planned.plan.action, Action::Routed { .. } | Action::Anywhere | Action::Fixed(_))
                && !self.names_temporary(planned)
                && !planned.turns_reading()
                && !planned.plan.lists.any()
                && !declares;
        if relayed {
            self.check_uncommitted(planned)?;
        } else {
            return Ok(Home::Session);
        }
        let parameters = BoundParameters::new(*bind, prepared, planned);
        let shards = self.bind(planned, prepared.text(), &planned.literals, &parameters).map_err(into_sql)?;
        Ok(shards.single().map_or(Home::Session, Home::Shard))
    }

    /// `rest`: what follows.
    fn sort_describe(&mut self, batch: &mut Batch, frame: &Bytes, rest: &[u8]) -> Result<(), SqlError> {
        let describe = Describe::decode(&frame[HEADER_BYTES..])?;
        match describe.target {
            Target::Statement => {
                let Some(prepared) = self.prepared(describe.name, batch.unsettled)? else {
                    return Err(self.unknown_statement(describe.name));
                };
                let planned = self.plan_prepared(&prepared).map_err(into_sql)?;
                let untold = planned.counts_parameters()
                    && prepared.declared_all(planned.plan.facts.param_count).is_none();
                if self.fails_at_once(batch) && (planned.plan.facts.kind.returns_rows() || untold) {
                    return Err(self.in_failed_block());
                }
                let local = answers_itself(&planned);
                let named = !describe.name.is_empty();
                if local || self.block.is_failed() {
                    self.for_session(batch, Message::DescribeStatement { prepared, named });
                    return Ok(());
                }
                if self.executes_ours(&planned.plan.facts).is_some() {
                    self.for_session(batch, Message::DescribeExecute(prepared));
                    return Ok(());
                }
                // What the session alone has is on the server that it is pinned to.
                let is_routed = matches!(planned.plan.action, Action::Routed { .. });
                let mut shard = match self.pin.is_some() && (!is_routed || self.names_temporary(&planned)) {
                    true => Some(self.default_shard()),
                    false => batch.shard_at_hand(),
                };
                if let Kind::Session(SessionObject::Fetch { name, moves }) = &planned.plan.facts.kind {
                    if self.held.cursor(name).is_some() && !moves {
                        self.for_session(batch, Message::DescribeFetch(name.clone()));
                        return Ok(());
                    }
                    shard = self.cursors.get(name).copied().or(shard);
                }
                let shard = shard.unwrap_or_else(|| self.any_shard());
                let message = Message::DescribeStatement { prepared, named };
                batch.for_shard(shard, Access::Read, None, Some(message));
            }
            Target::Portal => {
                let fails = self.fails_at_once(batch);
                let Some(portal) = self.portals.known.get_mut(describe.name) else {
                    return self.sort_cursor(batch, frame, describe.name, Owed::Describe { hidden: false });
                };
                match portal.home {
                    Home::Shard(_) if portal.lost => return Err(refusals::UNNAMED_PORTAL.error(&[])),
                    Home::Session if portal.spent && portal.planned.ends_transaction() => {
                        return Err(unknown_portal(describe.name));
                    }
                    Home::Shard(shard) if !fails => {
                        let owed = Owed::Describe { hidden: false };
                        let (access, planned) = (portal.planned.plan.access, Rc::clone(&portal.planned));
                        let message = Message::Forward { frame: frame.clone(), owed };
                        batch.for_shard(shard, access, Some(&planned), Some(message));
                    }
                    // With its rows, if there are any to come.
                    Home::Session if (portal.in_pieces || !portal.spent) && executes(rest, describe.name) => {
                        portal.describe = true;
                    }
                    Home::Shard(_) | Home::Session => {
                        let described = portal.execution(0, Pieces::None);
                        let planned = Rc::clone(&portal.planned);
                        self.for_session(batch, Message::DescribePortal(Box::new((planned, described))));
                    }
                }
            }
        }
        Ok(())
    }

    /// What is not for the statements that were parsed just before: a server judges those first.
    fn for_session(&self, batch: &mut Batch, message: Message) {
        if batch.loose.iter().any(Message::is_unjudged) {
            let shard = batch.shard_at_hand().unwrap_or_else(|| self.any_shard());
            batch.for_shard(shard, Access::Read, None, None);
        }
        batch.for_session(message);
    }

    fn sort_execute(&mut self, batch: &mut Batch, frame: &Bytes) -> Result<(), SqlError> {
        let execute = Execute::decode(&frame[HEADER_BYTES..])?;
        batch.executions += 1;
        let since = self.portals.changes();
        if !self.block.is_open() && !batch.controls {
            self.portals.check_first(execute.portal)?;
        }
        let Some(portal) = self.portals.known.get_mut(execute.portal) else {
            return self.sort_cursor(batch, frame, execute.portal, Owed::Execute { hidden: false });
        };
        batch.undoes |= !batch.controls && batch.changes && portal.planned.rolls_back();
        let (planned, home) = (Rc::clone(&portal.planned), portal.home);
        // The failure has taken it along.
        if !portal.in_failed && self.block.is_failed() && !batch.controls && planned.ends_failed_block() {
            return Err(cannot_be_run(execute.portal));
        }
        let (changes, controls) = batch.note_statement(&planned, self.pin.is_some());
        match portal.home {
            Home::Shard(_) if portal.lost => return Err(refusals::UNNAMED_PORTAL.error(&[])),
            Home::Shard(shard) => {
                let bound_with = portal.number >= batch.first_portal;
                batch.across |= bound_with && batch.shard_at_hand() != Some(shard);
                batch.waiting = batch.waiting.saturating_sub(1);
                let owed = Owed::Execute { hidden: false };
                let plain = !portal.binary || portal.prepared.carries_nothing(self.context.id);
                let probe = batch.probe(execute.portal, Some(&portal.prepared), plain);
                let message = Message::Forward { frame: frame.clone(), owed };
                for message in probe.into_iter().chain([message]) {
                    batch.for_shard(shard, planned.plan.access, Some(&planned), Some(message));
                }
            }
            Home::Session if portal.sees_later(since) => return Err(refusals::CHANGED_SINCE_BIND.error(&[])),
            Home::Session => {
                let keeps = execute.max_rows > 0 && keeps_rows(&self.held, &planned);
                portal.in_pieces |= keeps && !portal.spent;
                if portal.cut {
                    return Err(refusals::PORTAL_ROW_LIMIT.error(&[]));
                }
                portal.cut = execute.max_rows > 0 && !portal.in_pieces && !portal.spent;
                if portal.spent && !portal.in_pieces {
                    let gone = planned.ends_failed_block();
                    if self.fails_at_once(batch) && !gone {
                        return Err(self.in_failed_block());
                    }
                    let tag = finished(&planned).ok_or_else(|| match gone {
                        true => unknown_portal(execute.portal),
                        false => cannot_be_run(execute.portal),
                    })?;
                    self.for_session(batch, Message::Complete(tag));
                    return Ok(());
                }
                let pieces = match (portal.in_pieces, portal.spent) {
                    (false, _) => Pieces::None,
                    (true, false) => Pieces::First,
                    (true, true) => Pieces::Further,
                };
                portal.spent = !matches!(planned.plan.facts.kind, Kind::Empty);
                let execution = portal.execution(execute.max_rows, pieces);
                portal.describe = false;
                self.for_session(batch, Message::Execute(Box::new((Rc::clone(&planned), execution))));
            }
        }
        self.portals.note_execution(execute.portal, home, &planned);
        batch.note_execution(changes, controls);
        Ok(())
    }

    /// A message for a portal that DECLARE has made: its server knows it.
    fn sort_cursor(
        &mut self,
        batch: &mut Batch,
        frame: &Bytes,
        name: &[u8],
        owed: Owed,
    ) -> Result<(), SqlError> {
        let cursor = std::str::from_utf8(name).ok();
        if let Some(number) = cursor.and_then(|name| self.held.cursor(name)) {
            let message = match owed {
                Owed::Describe { .. } => Message::DescribeHeld(number),
                Owed::Close { .. } => Message::ClosePortal(Some(number)),
                _ => return Err(refusals::HELD_BY_MESSAGES.error(&[])),
            };
            self.for_session(batch, message);
            return Ok(());
        }
        let shard = cursor.and_then(|name| self.cursors.get(name)).copied();
        let shard = shard.or_else(|| self.unseen_cursor_shard(name)).ok_or_else(|| unknown_portal(name))?;
        let probe = batch.probe(name, None, !matches!(owed, Owed::Execute { .. }));
        let message = Message::Forward { frame: frame.clone(), owed };
        for message in probe.into_iter().chain([message]) {
            batch.for_shard(shard, Access::Read, None, Some(message));
        }
        Ok(())
    }

    /// Close of what is no portal of a Bind: a cursor, or nothing, which is no error.
    fn sort_close_cursor(&mut self, batch: &mut Batch, frame: &Bytes, name: &[u8]) -> Result<(), SqlError> {
        let owed = Owed::Close { hidden: false, id: None };
        if self.block.is_failed() || self.sort_cursor(batch, frame, name, owed).is_err() {
            let judged = batch.loose.iter().any(Message::is_unjudged);
            match batch.shard_at_hand().or_else(|| judged.then(|| self.any_shard())) {
                // Portals that stand there go with the end of the segment.
                Some(shard) => {
                    batch.for_shard(shard, Access::Read, None, Some(Message::CloseStatement(None)))
                }
                None => self.for_session(batch, Message::ClosePortal(None)),
            }
        }
        if let Ok(name) = std::str::from_utf8(name) {
            self.cursors.remove(name);
        }
        Ok(())
    }

    fn sort_close(&mut self, batch: &mut Batch, frame: &Bytes) -> Result<(), SqlError> {
        let close = Close::decode(&frame[HEADER_BYTES..])?;
        match close.target {
            Target::Statement if self.is_kept_by_its_server(close.name) => {
                self.statements.note_prepare(&String::from_utf8_lossy(close.name), None);
                let owed = Owed::Close { hidden: false, id: None };
                let message = Message::Forward { frame: frame.clone(), owed };
                batch.for_shard(self.default_shard(), Access::Read, None, Some(message));
            }
            Target::Statement => {
                let message = Message::CloseStatement(self.statements.close(close.name).map(Box::new));
                match batch.shard_at_hand() {
                    Some(shard) => batch.for_shard(shard, Access::Read, None, Some(message)),
                    None => self.for_session(batch, message),
                }
            }
            Target::Portal => match self.portals.known.remove(close.name) {
                Some(Portal { home: Home::Shard(_), .. }) if self.block.is_failed() => {
                    self.for_session(batch, Message::ClosePortal(None));
                }
                Some(Portal { home: Home::Shard(shard), planned, .. }) => {
                    let message = Message::Forward {
                        frame: frame.clone(),
                        owed: Owed::Close { hidden: false, id: None },
                    };
                    batch.for_shard(shard, Access::Read, Some(&planned), Some(message));
                }
                Some(portal) => self.for_session(batch, Message::ClosePortal(Some(portal.number))),
                None => return self.sort_close_cursor(batch, frame, close.name),
            },
        }
        Ok(())
    }
}

/// Whether rows behind a row limit can wait for the next Execute.
fn keeps_rows(held: &HeldSessions, planned: &Planned) -> bool {
    match &planned.plan.facts.kind {
        Kind::Session(SessionObject::Fetch { name, moves: false }) => held.keeps_fetched(name),
        _ => matches!(planned.plan.action, Action::Routed { many: Many::Scatter(_) }),
    }
}

/// What servers are sent as it is, or in parts.
fn is_judged_by_servers(planned: &Planned) -> bool {
    matches!(planned.plan.action, Action::Routed { .. } | Action::Everywhere) && planned.counts_parameters()
}

/// Whether there are statements among the messages: in a whole batch, so that its frames can be read.
fn plans_more(mut bytes: &[u8]) -> bool {
    while let Some(header) = frame::judged(bytes) {
        if matches!(header.tag, b'P' | b'B') {
            return true;
        }
        bytes = bytes.get(header.len..).unwrap_or_default();
    }
    false
}

/// Transaction control and settings: no parameters, no rows, no server needed to describe them.
pub(super) fn answers_itself(planned: &Planned) -> bool {
    matches!(planned.plan.action, Action::Control)
        && matches!(planned.plan.facts.kind, Kind::Transaction(_) | Kind::Setting(_) | Kind::Empty)
}

fn into_sql(failure: Failure) -> SqlError {
    match failure {
        Failure::Sql(error) => error,
        Failure::Told | Failure::End(_) => Session::internal("planning ended the session"),
    }
}
