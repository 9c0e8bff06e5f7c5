//! DDL of one session, and the statements of others that were planned by the definitions from before.
//!
//! A statement that waits for a lock of another session's DDL runs behind its commit, by other definitions than it was planned
//! by: an INSERT without a list of columns would have its key in another place. So whoever commits DDL announces it, and:
//!
//! ```text
//!   DDL      runs, holds its locks ─▶ begins ─▶ who waits for them? cancelled, if alone ─▶ COMMIT ─▶ new catalog ─▶ over
//!   others   planned before, not yet sent      wait until it is over, and are planned anew
//!            waiting for a lock, alone         cancelled: planned anew, and run again if they still go there
//!            waiting, in a transaction         run; planned anew afterwards: the transaction fails if they belong elsewhere
//! ```
//!
//! Where a statement may not simply be run again it fails with 40001. Nobody waits for locks of functions, schemas, types: before
//! such DDL is committed, what others have been sent is over, or has had a second to begin.
//!
//! Invariants:
//! 1. A statement that is alone has been planned by the definitions that it runs by, or is not committed.
//! 2. Nobody waits for DDL that concerns nothing which its statement names; nobody in a transaction, before a statement.
//!
//! Not here: DDL that other processes run on the servers; `health` notices it some time later.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::join_all;
use tokio::sync::watch;

use super::batch::Message;
use super::perform::{BoundParameters, Work};
use super::planning::Planned;
use super::shadows::relations;
use super::shared::Shared;
use super::statements::Answer;
use super::{Failure, Outcome, Session};
use crate::backend::BackendError;
use crate::backend::connection::ServerKey;
use crate::backend::strike::Strike;
use crate::catalog::Catalog;
use crate::execute::refusals;
use crate::health::connect::connect;
use crate::plan::{Access, Action, refusal};
use crate::sql::facts::{Facts, Kind, SessionObject};
use crate::sql::split::split;
use crate::topology::{NodeId, NodeRole, ShardId};
use crate::wire::error::SqlError;
use crate::wire::frontend::Bind;

/// So long a statement waits for another session's commit.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// For a server's taking note of a cancel.
const CANCEL_TIME_MAX: Duration = Duration::from_secs(2);
/// Between two looks at who waits: what was sent before the first has arrived by the second.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
const LOOKS_MAX: usize = 40;
/// For servers' beginning with what they have been sent.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(1);
/// For one thread's taking note of what another does.
const NOTICE_TIME: Duration = Duration::from_millis(1);
/// So often a question is asked again because its tables are altered.
const REDEFINITIONS_MAX: usize = 10;
/// Between two attempts to read the catalogs behind DDL.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Who waits for a lock that this transaction has on a relation.
const WAITING: &str = "SELECT DISTINCT w.pid FROM pg_catalog.pg_locks w JOIN pg_catalog.pg_locks h \
 ON h.database = w.database AND h.relation = w.relation \
 WHERE w.locktype = 'relation' AND h.locktype = 'relation' AND h.granted AND NOT w.granted \
 AND h.pid = pg_catalog.pg_backend_pid()";

/// Who waits for a lock that a replica has taken on a relation because its primary has: nobody else has such a one there.
const WAITING_ON_REPLICA: &str = "SELECT DISTINCT w.pid FROM pg_catalog.pg_locks w JOIN pg_catalog.pg_locks h \
 ON h.database = w.database AND h.relation = w.relation \
 WHERE w.locktype = 'relation' AND h.locktype = 'relation' AND h.granted AND NOT w.granted \
 AND h.mode = 'AccessExclusiveLock'";

/// What a statement names, folded.
type Names = HashSet<String>;

/// What DDL under way may give another meaning.
#[derive(Debug)]
enum Reach {
    /// These names alone.
    Names(Names),
    /// Any name: it reaches what it does not name.
    Everything,
}

impl Reach {
    fn concerns(&self, named: &Names) -> bool {
        match self {
            Self::Names(names) => !names.is_disjoint(named),
            Self::Everything => !named.is_empty(),
        }
    }
}

/// The DDL that is being committed, of all sessions.
#[derive(Debug, Default)]
pub struct Redefinitions {
    /// Rises where one begins, and where it is over.
    turn: AtomicU64,
    count: AtomicUsize,
    under_way: watch::Sender<Vec<Arc<Reach>>>,
}

impl Redefinitions {
    /// Another number than before: something was redefined.
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    fn are_under_way(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Whether one is under way that changes something of these names.
    fn concern(&self, names: &Names) -> bool {
        self.under_way.borrow().iter().any(|changed| changed.concerns(names))
    }

    /// Returns when none does. Cancel safe: yes.
    async fn settled(&self, names: &Names) {
        let mut under_way = self.under_way.subscribe();
        // The sender lives as long as this does.
        let _ = under_way.wait_for(|all| !all.iter().any(|changed| changed.concerns(names))).await;
    }
}

/// One that is under way, until it is dropped.
pub(super) struct Redefinition {
    shared: Arc<Shared>,
    reach: Arc<Reach>,
    struck: Vec<Arc<ServerKey>>,
}

impl Redefinition {
    fn begin(shared: &Arc<Shared>, reach: Reach) -> Self {
        let reach = Arc::new(reach);
        let all = &shared.redefinitions;
        all.under_way.send_modify(|under_way| under_way.push(Arc::clone(&reach)));
        all.count.fetch_add(1, Ordering::AcqRel);
        all.turn.fetch_add(1, Ordering::AcqRel);
        Self { shared: Arc::clone(shared), reach, struck: Vec::new() }
    }

    /// Cancels those of our connections among the processes whose statements are transactions of their own. Whether there are some.
    async fn strike(&mut self, waiting: &BTreeSet<(NodeId, u32)>) -> bool {
        let ours = self.shared.cancels.iter().flat_map(|entry| entry.value().keys());
        let alone = |key: &Arc<ServerKey>| {
            waiting.contains(&(key.node, key.pid)) && !key.in_block.load(Ordering::Acquire)
        };
        let keys: Vec<_> = ours.filter(alone).collect();
        let cancels = keys.iter().map(|key| {
            key.struck.set(Strike::Redefinition);
            key.cancel_counted(CANCEL_TIME_MAX)
        });
        join_all(cancels).await;
        let found = !keys.is_empty();
        self.struck.extend(keys);
        found
    }

    /// It is committed, and the catalogs could not be read: it is under way until they can be.
    pub fn outlast(self) {
        tokio::task::spawn_local(async move {
            while self.shared.catalog.refresh().await.is_err() {
                tokio::time::sleep(REFRESH_INTERVAL).await;
            }
        });
    }
}

impl Drop for Redefinition {
    fn drop(&mut self) {
        self.struck.iter().for_each(|key| key.struck.fade());
        let all = &self.shared.redefinitions;
        all.turn.fetch_add(1, Ordering::AcqRel);
        all.count.fetch_sub(1, Ordering::AcqRel);
        all.under_way.send_modify(|under_way| under_way.retain(|reach| !Arc::ptr_eq(reach, &self.reach)));
    }
}

/// Where a text goes whose statements all go to one shard, and the strongest access among them.
type Place = (ShardId, Access);

impl Session {
    /// Before DDL is committed. None: nobody can have been planned by what it changes.
    pub(super) async fn begin_redefinition(&mut self) -> Result<Option<Redefinition>, Failure> {
        let Some(transaction) = self.block.get() else { return Ok(None) };
        let shared = Arc::clone(&self.worker.shared);
        let Some(reach) = reach(&shared.catalog.current(), &transaction.redefined) else { return Ok(None) };
        let has_locks = !has_any(&transaction.redefined, &[&FAR[..], &CALLED[..]].concat());
        let mut redefinition = Redefinition::begin(&shared, reach);
        let others = || shared.clients.iter().any(|client| client.id != self.info.id && client.is_active());
        if !others() {
            // Who has just begun is seen a moment later.
            tokio::time::sleep(NOTICE_TIME).await;
        }
        let looks = if others() { LOOKS_MAX } else { 0 };
        let under_way = self.others_under_way();
        for look in 0..looks {
            let mut waiting = self.who_waits().await?;
            waiting.extend(self.who_waits_on_replicas().await);
            let found = redefinition.strike(&waiting).await;
            if look > 0 && !found {
                break;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        if !has_locks {
            let _ = tokio::time::timeout(BEGIN_TIME_MAX, self.until_over(under_way)).await;
        }
        Ok(Some(redefinition))
    }

    /// What others have asked for.
    fn others_under_way(&self) -> Vec<(u32, u32)> {
        let others = self.worker.shared.clients.iter().filter(|client| client.id != self.info.id);
        others.filter_map(|client| Some((client.id, client.under_way()?))).collect()
    }

    /// Nobody waits for locks of functions and schemas: what has been sent, and not begun, would run by what is new.
    async fn until_over(&self, asked: Vec<(u32, u32)>) {
        while self.others_under_way().iter().any(|one| asked.contains(one)) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// The processes that wait for locks of this transaction, on all of its servers.
    async fn who_waits(&mut self) -> Result<BTreeSet<(NodeId, u32)>, Failure> {
        let quiet = self.lanes.iter_mut().filter(|lane| lane.in_block && lane.owed.is_empty());
        let asked = quiet.map(|lane| async move {
            let node = lane.connection.node;
            lane.connection.capture(WAITING).await.map(|captured| (node, captured))
        });
        let mut waiting = BTreeSet::new();
        for answer in join_all(asked).await {
            let (node, captured) = answer.map_err(|error| Failure::Sql(error.into_sql()))?;
            if let Some(error) = captured.error {
                return Err(Failure::Sql(error));
            }
            let pids = captured.rows.into_iter().flatten().flatten();
            waiting.extend(pids.filter_map(|pid| Some((node, pid.parse().ok()?))));
        }
        Ok(waiting)
    }

    /// The same on replicas that sessions of ours read from now.
    async fn who_waits_on_replicas(&self) -> BTreeSet<(NodeId, u32)> {
        let shared = &self.worker.shared;
        let topology = &self.context.planning.topology;
        let busy = shared.clients.iter().filter(|client| client.id != self.info.id && client.is_active());
        let targets = busy.filter_map(|client| shared.cancels.get(&client.id).map(|target| target.keys()));
        let is_replica = |node: &NodeId| {
            topology.nodes.get(usize::from(node.0)).is_some_and(|node| node.state.role() == NodeRole::Replica)
        };
        let nodes: BTreeSet<NodeId> = targets.flatten().map(|key| key.node).filter(is_replica).collect();
        let asked = nodes.into_iter().map(|node| async move {
            let server = connect(topology, node, &self.live.server).await.ok()?;
            let rows = server.rows(WAITING_ON_REPLICA, CANCEL_TIME_MAX).await.ok()?;
            let pids = rows.iter().filter_map(|row| row.try_get(0).ok().flatten()?.parse().ok());
            Some(pids.map(|pid| (node, pid)).collect::<Vec<_>>())
        });
        join_all(asked).await.into_iter().flatten().flatten().collect()
    }

    /// Whether something was redefined since this session last took the catalogs in force, or is being redefined.
    pub(super) fn is_redefined(&self) -> bool {
        let all = &self.worker.shared.redefinitions;
        all.turn() != self.context.turn || all.are_under_way()
    }

    /// Takes the definitions that hold for a statement that was planned so.
    async fn follow_redefinitions(&mut self, planned: &Planned) -> Outcome {
        self.settle_redefinitions(planned).await?;
        self.refresh_context();
        Ok(())
    }

    /// Waits until nothing is under way that concerns a statement which was planned so.
    async fn settle_redefinitions(&self, planned: &Planned) -> Outcome {
        let shared = Arc::clone(&self.worker.shared);
        let names = names_of(&planned.plan.facts);
        let settled = tokio::time::timeout(WAIT_MAX, shared.redefinitions.settled(&names));
        self.info.set_held_up(true);
        let settled = tokio::select! {
            biased;
            () = self.cancel.requested() => Err(Failure::Sql(BackendError::Cancelled.into_sql())),
            settled = settled => settled.map_err(|_| Failure::Sql(Strike::Redefinition.error())),
        };
        self.info.set_held_up(false);
        settled
    }

    /// The plan of a statement whose own is by definitions that may not hold any more. None in a transaction that the DDL may have
    /// to wait for: what runs in it is looked at afterwards.
    pub(super) async fn plan_anew(
        &mut self,
        planned: &Planned,
        work: Work<'_>,
    ) -> Result<Option<Box<Planned>>, Failure> {
        let names = names_of(&planned.plan.facts);
        if self.block.is_open() && self.worker.shared.redefinitions.concern(&names) {
            return Ok(None);
        }
        self.follow_redefinitions(planned).await?;
        if self.lacks_definitions(planned) {
            self.learn_definitions().await?;
        }
        Ok(Some(Box::new(self.plan_text(work.text())?)))
    }

    /// A question over shards that was cancelled for DDL, of which the client knows nothing, is asked by the new definitions.
    pub(super) async fn act_again(
        &mut self,
        planned: &Planned,
        work: Work<'_>,
        mut outcome: Outcome,
    ) -> Outcome {
        for _ in 0..REDEFINITIONS_MAX {
            if !std::mem::take(&mut self.passage.again) {
                break;
            }
            let then = self.answer_of(planned, work.text());
            let now = self.plan_anew(planned, work).await?;
            if let (Work::Extended { execution }, Some(now)) = (work, &now)
                && !execution.parsed_with
            {
                check_kept(then.as_ref(), self.answer_of(now, work.text()))?;
            }
            outcome = self.act(now.as_deref().unwrap_or(planned), work).await;
        }
        outcome
    }

    /// What was prepared on the pinned server may have come to need others: by a view, a function, or a search_path.
    pub(super) fn check_execute(&mut self, name: &str) -> Outcome {
        let Some(text) = self.statements.prepare_of(name).map(Box::<[u8]>::from) else { return Ok(()) };
        let now = self.plan_text(&text)?;
        match &now.plan.action {
            Action::Pinned(_) => Ok(()),
            _ if self.names_temporary(&now) => Ok(()),
            Action::Refuse(refusal) => Err(Failure::Sql(refusal.clone().into())),
            // It would be the session's to keep, if it were prepared now.
            _ => Err(Failure::Sql(refusal::SQL_PREPARE.error(&[]))),
        }
    }

    /// Behind a statement in a transaction: it has run by the definitions that it was planned by, or by others which have it
    /// performed alike.
    pub(super) async fn demand_same_plan(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        if let Kind::Session(SessionObject::Execute { name }) = &planned.plan.facts.kind
            && let Some(text) = self.statements.prepare_of(name).map(Box::<[u8]>::from)
        {
            // What was prepared is what runs.
            let before = self.plan_text(&text)?;
            self.follow_redefinitions(&before).await?;
            let now = self.plan_text(&text)?;
            return if is_done_alike(&before, &now) { Ok(()) } else { Err(misplaced(&now)) };
        }
        let before = self.bind_work(planned, work).map(|shards| shards.single());
        self.follow_redefinitions(planned).await?;
        let now = self.plan_text(work.text())?;
        let is_alike = match before {
            Ok(Some(shard)) if is_relayed(planned) => {
                let goes = is_relayed(&now) && self.bind_work(&now, work)?.single() == Some(shard);
                goes && now.plan.access <= planned.plan.access
            }
            _ => is_done_alike(planned, &now),
        };
        if is_alike { Ok(()) } else { Err(misplaced(&now)) }
    }

    /// Commits a transaction that was begun for this statement alone.
    pub(super) async fn commit_for(
        &mut self,
        planned: &Planned,
        work: Work<'_>,
        tell_notices: bool,
    ) -> Outcome {
        if self.is_redefined() {
            self.demand_same_plan(planned, work).await?;
        }
        self.commit_block(tell_notices).await
    }

    /// Whether a message with one statement or several still goes where it is going.
    pub(super) async fn demand_same_place(&mut self, text: &[u8], place: Place) -> Outcome {
        let mut pieces = Vec::new();
        split(text, self.lex_options(), &mut pieces);
        for piece in pieces {
            let statement = &text[piece.start as usize..piece.end as usize];
            let before = self.plan_text(statement)?;
            self.follow_redefinitions(&before).await?;
            let now = self.plan_text(statement)?;
            let goes = self.is_relay(&now) && self.single_shard(&now, statement)? == Some(place.0);
            if !goes || now.plan.access > place.1 {
                return Err(misplaced(&now));
            }
        }
        Ok(())
    }

    /// The same of messages of the extended protocol.
    pub(super) async fn demand_same_home(&mut self, messages: &[Message], place: Place) -> Outcome {
        for message in messages {
            let Message::Bind { prepared, tail, .. } = message else { continue };
            let before = self.plan_prepared(prepared)?;
            self.follow_redefinitions(&before).await?;
            let now = self.plan_prepared(prepared)?;
            // Without the names of the portal and of the statement.
            let mut body = BytesMut::from(&b"\0\0"[..]);
            body.extend_from_slice(tail);
            let bind = Bind::decode(&body).map_err(SqlError::from)?;
            let parameters = BoundParameters::new(bind, prepared, &now);
            let goes = is_relayed(&now)
                && self.bind(&now, prepared.text(), &now.literals, &parameters)?.single() == Some(place.0);
            if !goes || now.plan.access > place.1 {
                return Err(misplaced(&now));
            }
        }
        Ok(())
    }

    /// Behind a statement that is not committed yet, and may have waited: what was described to the client has the same columns.
    pub(super) async fn demand_same_answer(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        let Work::Extended { execution } = work else { return Ok(()) };
        if execution.parsed_with || execution.describe || !self.is_redefined() {
            return Ok(());
        }
        let Some(then) = self.answer_of(planned, work.text()) else { return Ok(()) };
        self.follow_redefinitions(planned).await?;
        let planned = self.plan_text(work.text())?;
        Ok(check_kept(Some(&then), self.answer_of(&planned, work.text()))?)
    }

    /// Before messages are sent again by new definitions: what was described to the client before has the same columns.
    pub(super) async fn demand_same_answers(&mut self, messages: &[Message]) -> Outcome {
        for prepared in messages.iter().filter_map(Message::statement) {
            // Else they would wait for the DDL's locks again, and be cancelled again.
            let before = self.plan_prepared(prepared)?;
            self.settle_redefinitions(&before).await?;
        }
        let described_before = |message: &&Message| !matches!(message, Message::Parse { .. });
        let mut bound = Vec::new();
        for message in messages.iter().take_while(described_before) {
            let Message::Bind { prepared, .. } = message else { continue };
            // All of them, before the new definitions are taken for the first.
            let before = self.plan_prepared(prepared)?;
            let then = self.answer_of(&before, prepared.text());
            bound.push((prepared, before, then));
        }
        for (prepared, before, then) in bound {
            self.follow_redefinitions(&before).await?;
            let planned = self.plan_prepared(prepared)?;
            let now = self.answer_of(&planned, prepared.text());
            check_kept(then.as_ref(), now)
                .inspect_err(|_| self.worker.interner.borrow_mut().forget(prepared))?;
        }
        Ok(())
    }
}

fn result_changed() -> SqlError {
    healed_by_parse(refusals::RESULT_CHANGED.error(&[]))
}

/// Drivers know by the function's name that preparing the statement anew heals it.
pub(super) fn healed_by_parse(error: SqlError) -> SqlError {
    error.field(b'R', "RevalidateCachedQuery")
}

/// What was described by the definitions of then, where it is known, is what comes now.
pub(super) fn check_kept(then: Option<&Answer>, now: Option<Answer>) -> Result<(), SqlError> {
    match (then, now) {
        (Some(then), Some(now)) if !then.is_kept_by(&now) => Err(result_changed()),
        _ => Ok(()),
    }
}

fn is_done_alike(before: &Planned, now: &Planned) -> bool {
    format!("{:?}", before.plan.action) == format!("{:?}", now.plan.action)
}

fn is_relayed(planned: &Planned) -> bool {
    matches!(planned.plan.action, Action::Routed { .. } | Action::Anywhere | Action::Fixed(_))
}

/// A statement that runs by other definitions than it was planned by: as it is planned now, it is not to be run at all, or
/// elsewhere.
fn misplaced(now: &Planned) -> Failure {
    match &now.plan.action {
        Action::Refuse(refusal) => Failure::Sql(refusal.clone().into()),
        _ => Failure::Sql(Strike::Redefinition.error()),
    }
}

/// What a statement reads, writes and calls, as far as it names it.
fn names_of(facts: &Facts) -> Names {
    let relations = relations(facts).into_iter().chain(&facts.targets).map(|name| &name.name);
    let calls = facts.functions.iter().map(|call| &call.name.name);
    let types = facts.casts.iter().filter_map(|cast| cast.type_name.as_ref());
    let named = relations.chain(calls).chain(types).chain(&facts.operators).chain(&facts.words);
    named.map(|name| name.to_lowercase()).collect()
}

/// Words of DDL that may change what statements are planned by; nobody is planned by an index.
pub(super) fn redefining_words(facts: &Facts) -> &[String] {
    const HARMLESS: [&str; 3] = ["comment", "grant", "revoke"];
    let words = facts.words.as_slice();
    match words {
        [first, ..] if HARMLESS.contains(&first.as_str()) => &[],
        [first, rest @ ..] if first == "create" && rest.iter().take(2).any(|word| word == "index") => &[],
        _ => words,
    }
}

/// Words of DDL that reaches what it does not name.
const FAR: [&str; 9] =
    ["cascade", "type", "domain", "collation", "extension", "owned", "schema", "operator", "cast"];

/// Words of DDL that makes what goes before PostgreSQL's own of the same name.
const CALLED: [&str; 4] = ["function", "procedure", "routine", "aggregate"];

fn has_any(words: &HashSet<String>, list: &[&str]) -> bool {
    list.iter().any(|word| words.contains(*word))
}

/// The relations and functions among these words of DDL, and what is made of them: views, partitions, functions that name them,
/// and whatever calls those. None: nobody can have been planned by any of it.
fn reach(catalog: &Catalog, words: &HashSet<String>) -> Option<Reach> {
    if has_any(words, &FAR) {
        return Some(Reach::Everything);
    }
    let is_system = |schema: Option<&str>| matches!(schema, Some("pg_catalog" | "information_schema"));
    let relations = || catalog.relations.values().filter(|info| !is_system(info.name.schema.as_deref()));
    let named = relations().filter(|info| words.contains(&info.name.name));
    let mut names: Names = named.map(|info| info.name.name.clone()).collect();
    let functions = catalog.function_words.keys().filter(|function| words.contains(&function.name));
    names.extend(functions.map(|function| function.name.clone()));
    if has_any(words, &CALLED) {
        names.extend(words.iter().cloned());
    }
    loop {
        let before = names.len();
        let made: Vec<String> = relations()
            .filter(|info| {
                let of = info.reads.iter().chain(&info.parents).chain(&info.children);
                let mut of = of.chain(&info.calls).chain(&info.write_calls).chain(&info.triggers);
                of.any(|name| names.contains(&name.name))
            })
            .map(|info| info.name.name.clone())
            .collect();
        let calls = catalog.function_words.iter();
        let calls = calls.filter(|(_, words)| words.iter().any(|word| names.contains(word)));
        let calls: Vec<String> = calls.map(|(function, _)| function.name.clone()).collect();
        names.extend(made.into_iter().chain(calls));
        if catalog.hidden.functions().any(|function| names.contains(&function.name)) {
            return Some(Reach::Everything);
        }
        if names.len() == before {
            break;
        }
    }
    let names: Names = names.into_iter().map(|name| name.to_lowercase()).collect();
    (!names.is_empty()).then_some(Reach::Names(names))
}
