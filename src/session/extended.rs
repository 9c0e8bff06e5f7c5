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

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;

use super::perform::{BoundParameters, Execution, Work};
use super::planning::Planned;
use super::shared::Figures;
use super::statements::Prepared;
use super::{End, Failure, Session};
use crate::backend::Connection;
use crate::execute::lane::{LocalReply, Owed};
use crate::plan::{Access, Action};
use crate::sql::facts::Kind;
use crate::topology::ShardId;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{self, FrameHeader, HEADER_BYTES, Phase};
use crate::wire::frontend::{Bind, Close, Describe, Execute, Parse, Target};

/// Portals of the session by the client's names.
#[derive(Debug, Default)]
pub(super) struct Portals {
    known: HashMap<Box<[u8]>, Portal>,
}

#[derive(Debug, Clone)]
struct Portal {
    prepared: Rc<Prepared>,
    planned: Rc<Planned>,
    bind: Bytes,
    home: Home,
    describe: bool,
    spent: bool,
}

/// Who has the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// A server: its messages are relayed.
    Shard(ShardId),
    /// The session: performed as a whole at Execute.
    Session,
}

impl Portals {
    pub fn forget_unnamed(&mut self) {
        self.known.remove(&b""[..]);
    }

    pub fn clear(&mut self) {
        self.known.clear();
    }
}

/// Messages of a batch that go to one place together.
enum Segment {
    Shard { shard: ShardId, access: Access, role: Option<Rc<Planned>>, messages: Vec<Message> },
    Session(Vec<Message>),
}

/// A message, decoded as far as the session needs it.
enum Message {
    Parse {
        prepared: Rc<Prepared>,
        name: Box<[u8]>,
    },
    Bind {
        prepared: Rc<Prepared>,
        portal: Box<[u8]>,
        body: Bytes,
        named: bool,
    },
    DescribeStatement {
        prepared: Rc<Prepared>,
        named: bool,
        local: bool,
    },
    /// Describe or Close of a portal, Execute: as they are.
    Forward {
        frame: Bytes,
        owed: Owed,
    },
    CloseStatement,
    /// Portals of the session.
    BindHere,
    Execute(Box<(Rc<Planned>, Execution)>),
    ClosePortal,
    Fail(SqlError),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BatchEnd {
    Sync,
    Flush,
    /// The batch has grown to its bound: what is here is done, the rest follows.
    Full,
}

struct Batch {
    segments: Vec<Segment>,
    /// Parses that have no place yet: they go with what uses them.
    loose: Vec<Message>,
    end: BatchEnd,
    executions: usize,
    writes: bool,
    controls: bool,
    suspect: bool,
}

impl Session {
    /// Serves the messages at the front of the inbox up to Sync or Flush.
    pub(super) async fn extended_batch(&mut self) -> Result<(), End> {
        let (bytes, end) = self.collect_batch().await?;
        if self.skipping {
            if end == BatchEnd::Sync {
                return self.end_skipping().await;
            }
            return Ok(());
        }
        self.refresh_context();
        let batch = self.sort_out(&bytes, end);
        let executions = batch.executions;
        if executions > 0 {
            Figures::add(&self.worker.shared.figures.statements, executions);
        }
        let outcome = self.run_batch(batch).await;
        let failed = outcome.is_err();
        match end {
            BatchEnd::Sync => {
                let sent = self.conclude(outcome).await?;
                if std::mem::take(&mut self.awaiting_sync) {
                    return Ok(());
                }
                if failed {
                    self.close_open_pipelines().await;
                }
                if !sent {
                    encode::server::ready_for_query(&mut self.client.outbox, self.block.status());
                }
                if !self.block.is_open() {
                    self.portals.clear();
                    if executions > 0 {
                        Figures::count(&self.worker.shared.figures.transactions);
                    }
                }
            }
            BatchEnd::Flush | BatchEnd::Full => {
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

    /// Sync after an error: open pipelines hear it too.
    async fn end_skipping(&mut self) -> Result<(), End> {
        self.skipping = false;
        let _ = self.conclude(Err(Failure::Told)).await?;
        self.close_open_pipelines().await;
        encode::server::ready_for_query(&mut self.client.outbox, self.block.status());
        Ok(())
    }

    /// Ends pipelines that the client's Sync should have ended; a lane that does not answer is closed.
    async fn close_open_pipelines(&mut self) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.open_pipeline) {
            lane.sync(true);
            lane.open_pipeline = false;
            let _ = crate::execute::drain::drain(lane).await;
        }
    }

    /// Takes whole messages out of the inbox up to Sync or Flush, reading on as needed.
    async fn collect_batch(&mut self) -> Result<(Bytes, BatchEnd), End> {
        let bound = self.worker.shared.limits.batch_bytes_max;
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
                    self.read_more().await?;
                }
                None => self.read_more().await?,
            }
        }
    }

    async fn read_more(&mut self) -> Result<(), End> {
        match self.client.fill().await {
            Ok(0) | Err(_) => Err(End::Client),
            Ok(_) => Ok(()),
        }
    }

    /// Decodes the messages and gives each its segment. An error ends the sorting: what follows is skipped.
    fn sort_out(&mut self, bytes: &Bytes, end: BatchEnd) -> Batch {
        let mut batch = Batch {
            segments: Vec::new(),
            loose: Vec::new(),
            end,
            executions: 0,
            writes: false,
            controls: false,
            suspect: false,
        };
        let mut at = 0;
        while let Ok(Some(header)) = frame::peek_frontend(&bytes[at..], Phase::Query, &self.limits) {
            let frame = bytes.slice(at..at + header.len);
            at += header.len;
            let sorted = match header.tag {
                b'P' => self.sort_parse(&mut batch, &frame),
                b'B' => self.sort_bind(&mut batch, &frame),
                b'D' => self.sort_describe(&mut batch, &frame),
                b'E' => self.sort_execute(&mut batch, &frame),
                b'C' => self.sort_close(&mut batch, &frame),
                _ => Ok(()),
            };
            if let Err(error) = sorted {
                batch.to_session(Message::Fail(error));
                break;
            }
            if at >= bytes.len() {
                break;
            }
        }
        // Parses that nothing uses: some server must judge them.
        if batch.loose.iter().any(|message| message.needs_server(self)) {
            let shard = self.any_shard();
            batch.to_shard(shard, Access::Read, None, None);
        } else if !batch.loose.is_empty() {
            batch.flush_loose_to_session();
        }
        batch
    }

    fn sort_parse(&mut self, batch: &mut Batch, frame: &Bytes) -> Result<(), SqlError> {
        let parse = Parse::decode(&frame[HEADER_BYTES..])?;
        if !parse.name.is_empty() {
            if self.statements.get(parse.name).is_some() {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_PREPARED_STATEMENT,
                    format!("prepared statement \"{}\" already exists", String::from_utf8_lossy(parse.name)),
                ));
            }
            let bound = self.worker.shared.session.client_statements_max;
            if self.statements.len() >= bound {
                return Err(SqlError::new(
                    SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                    format!("this client has prepared {bound} statements and may not prepare more"),
                )
                .hint("Close statements that are no longer needed."));
            }
        }
        let prepared = self.worker.interner.borrow_mut().intern(&parse);
        self.statements.insert(parse.name, Rc::clone(&prepared));
        batch.loose.push(Message::Parse { prepared, name: parse.name.into() });
        Ok(())
    }

    fn sort_bind(&mut self, batch: &mut Batch, frame: &Bytes) -> Result<(), SqlError> {
        let body = frame.slice(HEADER_BYTES..);
        let bind = Bind::decode(&body)?;
        let Some(prepared) = self.statements.get(bind.statement).map(Rc::clone) else {
            return Err(unknown_statement(bind.statement));
        };
        let planned = self.plan_prepared(&prepared).map_err(into_sql)?;
        let named = !bind.statement.is_empty();
        let home = self.portal_home(&planned, &prepared, &bind)?;
        let portal_name: Box<[u8]> = bind.portal.into();
        let portal = Portal {
            prepared: Rc::clone(&prepared),
            planned: Rc::clone(&planned),
            bind: body.clone(),
            home,
            describe: false,
            spent: false,
        };
        self.portals.known.insert(portal_name.clone(), portal);
        match home {
            Home::Shard(shard) => {
                let message = Message::Bind { prepared, portal: portal_name, body, named };
                batch.to_shard(shard, planned.plan.access, Some(&planned), Some(message));
                batch.suspect |= planned.suspect;
            }
            Home::Session => batch.to_session(Message::BindHere),
        }
        Ok(())
    }

    fn portal_home(&self, planned: &Planned, prepared: &Prepared, bind: &Bind<'_>) -> Result<Home, SqlError> {
        if self.block.is_failed() {
            return Ok(Home::Session);
        }
        let relayed =
            matches!(planned.plan.action, Action::Routed { .. } | Action::Anywhere | Action::Fixed(_));
        if !relayed {
            return Ok(Home::Session);
        }
        let parameters = BoundParameters { bind: *bind, types: &prepared.parameter_types };
        let shards = self.bind(planned, prepared.text(), &planned.literals, &parameters).map_err(into_sql)?;
        Ok(shards.single().map_or(Home::Session, Home::Shard))
    }

    fn sort_describe(&mut self, batch: &mut Batch, frame: &Bytes) -> Result<(), SqlError> {
        let describe = Describe::decode(&frame[HEADER_BYTES..])?;
        match describe.target {
            Target::Statement => {
                let Some(prepared) = self.statements.get(describe.name).map(Rc::clone) else {
                    return Err(unknown_statement(describe.name));
                };
                let planned = self.plan_prepared(&prepared).map_err(into_sql)?;
                let local = answers_itself(&planned);
                let named = !describe.name.is_empty();
                let message = Message::DescribeStatement { prepared, named, local };
                if local || self.block.is_failed() {
                    batch.to_session(message);
                } else {
                    let shard = batch.shard_at_hand().unwrap_or_else(|| self.any_shard());
                    batch.to_shard(shard, Access::Read, None, Some(message));
                }
            }
            Target::Portal => {
                let Some(portal) = self.portals.known.get_mut(describe.name) else {
                    return Err(unknown_portal(describe.name));
                };
                match portal.home {
                    Home::Shard(shard) => {
                        let owed = Owed::Describe { hidden: false };
                        let (access, planned) = (portal.planned.plan.access, Rc::clone(&portal.planned));
                        let message = Message::Forward { frame: frame.clone(), owed };
                        batch.to_shard(shard, access, Some(&planned), Some(message));
                    }
                    Home::Session => portal.describe = true,
                }
            }
        }
        Ok(())
    }

    fn sort_execute(&mut self, batch: &mut Batch, frame: &Bytes) -> Result<(), SqlError> {
        let execute = Execute::decode(&frame[HEADER_BYTES..])?;
        let Some(portal) = self.portals.known.get_mut(execute.portal) else {
            return Err(unknown_portal(execute.portal));
        };
        batch.executions += 1;
        batch.writes |= portal.planned.plan.access == Access::Write;
        batch.controls |= portal.planned.is_transaction_control();
        let planned = Rc::clone(&portal.planned);
        match portal.home {
            Home::Shard(shard) => {
                let owed = Owed::Execute { hidden: false };
                let message = Message::Forward { frame: frame.clone(), owed };
                batch.to_shard(shard, planned.plan.access, Some(&planned), Some(message));
            }
            Home::Session => {
                if execute.max_rows > 0 && matches!(planned.plan.action, Action::Routed { .. }) {
                    return Err(SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "a row limit for a portal over several shards is not supported",
                    )
                    .hint("Use LIMIT, or fetch all rows."));
                }
                if portal.spent {
                    return Err(SqlError::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!("portal \"{}\" cannot be run", String::from_utf8_lossy(execute.portal)),
                    ));
                }
                portal.spent = true;
                let execution = Execution {
                    prepared: Rc::clone(&portal.prepared),
                    bind: portal.bind.clone(),
                    describe: portal.describe,
                    rows_max: execute.max_rows,
                };
                batch.to_session(Message::Execute(Box::new((planned, execution))));
            }
        }
        Ok(())
    }

    fn sort_close(&mut self, batch: &mut Batch, frame: &Bytes) -> Result<(), SqlError> {
        let close = Close::decode(&frame[HEADER_BYTES..])?;
        match close.target {
            Target::Statement => {
                self.statements.remove(close.name);
                match batch.shard_at_hand() {
                    Some(shard) => batch.to_shard(shard, Access::Read, None, Some(Message::CloseStatement)),
                    None => batch.to_session(Message::CloseStatement),
                }
            }
            Target::Portal => match self.portals.known.remove(close.name) {
                Some(Portal { home: Home::Shard(shard), planned, .. }) => {
                    let message =
                        Message::Forward { frame: frame.clone(), owed: Owed::Close { hidden: false } };
                    batch.to_shard(shard, Access::Read, Some(&planned), Some(message));
                }
                Some(_) | None => batch.to_session(Message::ClosePortal),
            },
        }
        Ok(())
    }

    /// Runs the segments in order. Ok(true): the server's ReadyForQuery has answered the client's Sync.
    async fn run_batch(&mut self, batch: Batch) -> Result<bool, Failure> {
        let Batch { segments, end, executions, writes, controls, suspect, .. } = batch;
        if segments.is_empty() {
            return self.sync_open_pipeline(end).await;
        }
        if segments.len() > 1 && executions > 1 && writes && !controls && !self.block.is_open() {
            self.begin_implicit();
        }
        let last = segments.len() - 1;
        let mut names: Vec<Vec<Box<[u8]>>> = segments.iter().map(Segment::parsed_names).collect();
        let mut sent = false;
        for (at, segment) in segments.into_iter().enumerate() {
            let end = if at == last { Some(end) } else { None };
            let result = match segment {
                Segment::Shard { shard, access, role, messages } => {
                    self.run_shard_segment(shard, access, role, &messages, end, suspect).await
                }
                Segment::Session(messages) => self.run_session_segment(messages).await.map(|()| (false, 0)),
            };
            match result {
                Ok((ready, _)) => sent = ready,
                Err((failure, parses)) => {
                    let confirmed = parses.min(names[at].len());
                    names[at].drain(..confirmed);
                    for name in names[at..].iter().flatten() {
                        self.statements.remove(name);
                    }
                    return Err(failure);
                }
            }
        }
        if end == BatchEnd::Sync && !sent && self.lanes.iter().any(|lane| lane.open_pipeline) {
            self.close_open_pipelines().await;
        }
        Ok(sent)
    }

    /// A batch of nothing but Sync: it is for the pipeline that a Flush left open.
    async fn sync_open_pipeline(&mut self, end: BatchEnd) -> Result<bool, Failure> {
        if end != BatchEnd::Sync {
            return Ok(false);
        }
        let Some(index) = self.lanes.iter().position(|lane| lane.open_pipeline) else { return Ok(false) };
        self.lanes[index].open_pipeline = false;
        self.lanes[index].sync(false);
        let wrote = self.lanes[index].wrote && !self.lanes[index].in_block;
        if wrote {
            self.lanes[index].wrote = false;
            self.ask_position(index);
        }
        match self.run_lane(index).await {
            Ok(report) => {
                if report.error.is_some() {
                    self.block.fail();
                }
                Ok(true)
            }
            Err(error) => Err(self.relay_failed(index, error).await),
        }
    }

    async fn run_session_segment(&mut self, messages: Vec<Message>) -> Result<(), (Failure, usize)> {
        let mut parses = 0;
        for message in messages {
            let outcome = match message {
                Message::Parse { .. } => {
                    parses += 1;
                    encode::server::parse_complete(&mut self.client.outbox);
                    Ok(())
                }
                Message::BindHere => {
                    encode::server::bind_complete(&mut self.client.outbox);
                    Ok(())
                }
                Message::DescribeStatement { .. } => {
                    encode::server::parameter_description(&mut self.client.outbox, &[]);
                    encode::server::no_data(&mut self.client.outbox);
                    Ok(())
                }
                Message::CloseStatement | Message::ClosePortal => {
                    encode::server::close_complete(&mut self.client.outbox);
                    Ok(())
                }
                Message::Execute(portal) => {
                    let (planned, execution) = *portal;
                    if execution.describe && answers_itself(&planned) {
                        encode::server::no_data(&mut self.client.outbox);
                    }
                    self.perform(&planned, Work::Extended { execution: &execution }).await
                }
                Message::Fail(error) => Err(Failure::Sql(error)),
                Message::Bind { .. } | Message::Forward { .. } => {
                    Err(Failure::Sql(Self::internal("a relayed message reached the session's own segment")))
                }
            };
            outcome.map_err(|failure| (failure, parses))?;
        }
        Ok(())
    }

    /// One segment on one lane. Returns whether the client's Sync was answered by the server.
    async fn run_shard_segment(
        &mut self,
        shard: ShardId,
        access: Access,
        planned: Option<Rc<Planned>>,
        messages: &[Message],
        end: Option<BatchEnd>,
        suspect: bool,
    ) -> Result<(bool, usize), (Failure, usize)> {
        if self.block.is_failed() {
            return Err((Failure::Sql(super::simple::in_failed_block()), 0));
        }
        self.leave_other_pipelines(shard).await.map_err(|f| (f, 0))?;
        let client_sync = end == Some(BatchEnd::Sync) && self.block_is_ours();
        if messages.iter().any(|m| matches!(m, Message::Forward { owed: Owed::Execute { .. }, .. })) {
            Figures::count(&self.worker.shared.figures.relayed);
        }
        let mut avoid = Vec::new();
        loop {
            let joined = match &planned {
                Some(planned) => self.join_for(planned, shard, &avoid).await,
                None => self.join(shard, access, &avoid).await,
            };
            let index = joined.map_err(|f| (f, 0))?;
            let node = self.lanes[index].connection.node;
            self.put_messages(index, messages);
            let lane = &mut self.lanes[index];
            lane.wrote |= access == Access::Write;
            lane.connection.suspect |= suspect;
            match end {
                Some(BatchEnd::Flush | BatchEnd::Full) => {
                    lane.flush_message();
                    lane.open_pipeline = true;
                }
                Some(BatchEnd::Sync) | None => {
                    lane.open_pipeline = false;
                    lane.sync(!client_sync);
                    if lane.wrote && !lane.in_block {
                        lane.wrote = false;
                        self.ask_position(index);
                    }
                }
            }
            match self.run_lane(index).await {
                Ok(report) => {
                    let lane = &mut self.lanes[index];
                    if report.awaits_sync {
                        lane.open_pipeline = true;
                        self.awaiting_sync = end == Some(BatchEnd::Sync);
                    }
                    let lane = &self.lanes[index];
                    let ready = client_sync && report.status.is_some() && !lane.open_pipeline;
                    let parses = report.parses;
                    return match self.after_performance(index, &report) {
                        Ok(()) => Ok((ready, parses)),
                        // The server has answered the Sync as well: the error is told, and so is ready.
                        Err(Failure::Told) if ready => {
                            Figures::count(&self.worker.shared.figures.errors);
                            self.block.fail();
                            self.forget_unparsed(messages, parses);
                            Ok((true, parses))
                        }
                        Err(failure) => Err((failure, parses)),
                    };
                }
                Err(error) => {
                    let again = self.may_retry(&error, access, avoid.len()) && end == Some(BatchEnd::Sync);
                    let failure = self.relay_failed(index, error).await;
                    if !again {
                        return Err((failure, 0));
                    }
                    Figures::count(&self.worker.shared.figures.retries);
                    avoid.push(node);
                }
            }
        }
    }

    /// The client's Sync may be the server's: no implicit block of ours is to be committed by it.
    fn block_is_ours(&self) -> bool {
        !self.block.is_open() || self.block.is_explicit()
    }

    fn forget_unparsed(&mut self, messages: &[Message], confirmed: usize) {
        let parsed = messages.iter().filter_map(|message| match message {
            Message::Parse { name, .. } => Some(name.clone()),
            _ => None,
        });
        for name in parsed.skip(confirmed).collect::<Vec<_>>() {
            self.statements.remove(&name);
        }
    }

    /// A Flush left a pipeline open on another shard: it ends here, unless it has written something.
    async fn leave_other_pipelines(&mut self, shard: ShardId) -> Result<(), Failure> {
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            if !lane.open_pipeline || lane.shard == shard {
                continue;
            }
            if lane.wrote && !lane.in_block {
                return Err(super::control::unsupported(
                    "a pipeline that writes to one shard and goes on to another before Sync is not supported",
                    "Send Sync between them, or use a transaction.",
                ));
            }
            lane.open_pipeline = false;
            lane.sync(true);
            if let Err(error) = crate::execute::drain::drain(lane).await {
                let failure = crate::execute::RelayError::Server { error, forwarded: true };
                return Err(self.relay_failed(index, failure).await);
            }
        }
        Ok(())
    }

    fn put_messages(&mut self, index: usize, messages: &[Message]) {
        let lane = &mut self.lanes[index];
        for message in messages {
            match message {
                Message::Parse { prepared, name } => {
                    if name.is_empty() {
                        lane.parse(b"", &prepared.tail, prepared.id, false);
                    } else if lane.connection.statements.touch(prepared.id) {
                        lane.owed.push_back(Owed::Local(LocalReply::ParseComplete));
                    } else {
                        let server_name = Connection::statement_name(prepared.id);
                        lane.parse(&server_name, &prepared.tail, prepared.id, false);
                    }
                }
                Message::Bind { prepared, portal, body, named } => {
                    ensure_prepared(lane, prepared, *named);
                    let server_name = Connection::statement_name(prepared.id);
                    let statement: &[u8] = if *named { &server_name } else { b"" };
                    let tail = Bind::decode(body).map_or(&[][..], |bind| bind.tail);
                    encode::client::bind_with_tail(&mut lane.connection.outbox, portal, statement, tail);
                    lane.owed.push_back(Owed::Bind { hidden: false });
                }
                Message::DescribeStatement { prepared, named, .. } => {
                    ensure_prepared(lane, prepared, *named);
                    let server_name = Connection::statement_name(prepared.id);
                    let statement: &[u8] = if *named { &server_name } else { b"" };
                    encode::client::describe(&mut lane.connection.outbox, Target::Statement, statement);
                    lane.owed.push_back(Owed::Describe { hidden: false });
                }
                Message::Forward { frame, owed } => lane.forward(frame, *owed),
                Message::CloseStatement => lane.owed.push_back(Owed::Local(LocalReply::CloseComplete)),
                Message::BindHere | Message::Execute(_) | Message::ClosePortal | Message::Fail(_) => {}
            }
        }
    }
}

fn ensure_prepared(lane: &mut crate::execute::Lane, prepared: &Prepared, named: bool) {
    if named {
        if !lane.connection.statements.touch(prepared.id) {
            let server_name = Connection::statement_name(prepared.id);
            lane.parse(&server_name, &prepared.tail, prepared.id, true);
        }
    } else if lane.connection.unnamed != Some(prepared.id) {
        lane.parse(b"", &prepared.tail, prepared.id, true);
    }
}

impl Batch {
    /// Appends to the segment of `shard`, or begins one; loose Parses come along.
    fn to_shard(
        &mut self,
        shard: ShardId,
        access: Access,
        planned: Option<&Rc<Planned>>,
        message: Option<Message>,
    ) {
        let fits = matches!(self.segments.last(), Some(Segment::Shard { shard: s, .. }) if *s == shard);
        if !fits {
            self.segments.push(Segment::Shard { shard, access, role: None, messages: Vec::new() });
        }
        let Some(Segment::Shard { access: strongest, role, messages, .. }) = self.segments.last_mut() else {
            return;
        };
        if let Some(planned) = planned
            && role.as_ref().is_none_or(|r| r.plan.access <= planned.plan.access)
        {
            *role = Some(Rc::clone(planned));
        }
        *strongest = (*strongest).max(access);
        messages.append(&mut self.loose);
        messages.extend(message);
    }

    fn to_session(&mut self, message: Message) {
        self.flush_loose_to_session();
        if let Some(Segment::Session(messages)) = self.segments.last_mut() {
            messages.push(message);
        } else {
            self.segments.push(Segment::Session(vec![message]));
        }
    }

    fn flush_loose_to_session(&mut self) {
        if self.loose.is_empty() {
            return;
        }
        let loose = std::mem::take(&mut self.loose);
        match self.segments.last_mut() {
            Some(Segment::Session(messages)) => messages.extend(loose),
            _ => self.segments.push(Segment::Session(loose)),
        }
    }

    fn shard_at_hand(&self) -> Option<ShardId> {
        match self.segments.last() {
            Some(Segment::Shard { shard, .. }) => Some(*shard),
            _ => None,
        }
    }
}

impl Segment {
    fn parsed_names(&self) -> Vec<Box<[u8]>> {
        let messages = match self {
            Self::Shard { messages, .. } | Self::Session(messages) => messages,
        };
        let name = |message: &Message| match message {
            Message::Parse { name, .. } => Some(name.clone()),
            _ => None,
        };
        messages.iter().filter_map(name).collect()
    }
}

impl Message {
    /// Whether a server must see it: a Parse of something that the session does not obey itself.
    fn needs_server(&self, session: &mut Session) -> bool {
        match self {
            Self::Parse { prepared, .. } => {
                !session.block.is_failed()
                    && session.plan_prepared(prepared).is_ok_and(|planned| !answers_itself(&planned))
            }
            _ => false,
        }
    }
}

/// Transaction control and settings: no parameters, no rows, no server needed to describe them.
fn answers_itself(planned: &Planned) -> bool {
    matches!(planned.plan.action, Action::Control)
        && matches!(planned.plan.facts.kind, Kind::Transaction(_) | Kind::Setting(_) | Kind::Empty)
}

fn into_sql(failure: Failure) -> SqlError {
    match failure {
        Failure::Sql(error) => error,
        Failure::Told | Failure::End(_) => Session::internal("planning ended the session"),
    }
}

fn unknown_statement(name: &[u8]) -> SqlError {
    let message = if name.is_empty() {
        "unnamed prepared statement does not exist".to_owned()
    } else {
        format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name))
    };
    SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

fn unknown_portal(name: &[u8]) -> SqlError {
    SqlError::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("portal \"{}\" does not exist", String::from_utf8_lossy(name)),
    )
}
