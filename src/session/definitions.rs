//! What names mean in a transaction that has run DDL, of which the catalog in force knows nothing yet.
//!
//! A statement behind DDL is planned by the catalogs as its own transaction sees them. They are read when a statement first needs
//! them, over the connections that the transaction has on every shard, and hold until its next DDL:
//!
//! ```text
//!   BEGIN; ALTER TABLE rides ADD …; ALTER …;   nothing is read
//!   UPDATE rides …                             reads ─▶ plans by the definitions that it has read
//!   INSERT INTO rides …                        plans by the same
//!   CREATE FUNCTION …; SELECT …                reads again
//!   COMMIT                                     the catalog in force is everybody's again
//! ```
//!
//! Invariants:
//! 1. After DDL inside a transaction nothing is routed by what the catalog said before it.
//! 2. What a transaction has defined is seen by no other session.
//! 3. Definitions that others commit meanwhile are not missed: what was read is forgotten.
//!
//! Not here: the questions (`catalog::within`), and what others are told of the DDL (`redefinition`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use super::planning::Planned;
use super::redefinition::redefining_words;
use super::shadows::relations;
use super::{Failure, Outcome, Session};
use crate::backend::BackendError;
use crate::backend::capture::BinaryAnswer;
use crate::backend::connection::Connection;
use crate::catalog::{Catalog, RelationKind, within};
use crate::execute::{RelayError, refusals};
use crate::plan::PlanningContext;
use crate::sql::facts::{Alteration, Facts, Kind, SessionObject};
use crate::sql::name::ObjectName;
use crate::topology::ShardId;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{self, HEADER_BYTES};
use crate::wire::frontend::{Bind, Parse};

/// How often definitions are read while others change theirs, and how long that is waited for.
const READINGS_MAX: u32 = 30;
const READINGS_APART: Duration = Duration::from_millis(15);

/// What the transaction sees.
#[derive(Debug)]
pub struct Definitions {
    pub catalog: Arc<Catalog>,
    /// The catalog that was in force when it was read.
    pub in_force: Arc<Catalog>,
}

impl Session {
    /// The definitions that this session plans by now.
    pub(super) fn definitions(&mut self) -> Arc<Catalog> {
        let shared = &self.worker.shared.catalog;
        let Some(transaction) = self.block.transaction() else { return shared.current() };
        // Others have committed some.
        transaction.definitions.take_if(|own| !shared.is_current(&own.in_force));
        transaction.definitions.as_ref().map_or_else(|| shared.current(), |own| Arc::clone(&own.catalog))
    }

    /// Whether these are the definitions that this session plans by.
    pub(super) fn plans_by(&self, catalog: &Arc<Catalog>) -> bool {
        let shared = &self.worker.shared.catalog;
        match self.block.get().and_then(|transaction| transaction.definitions.as_ref()) {
            Some(own) => Arc::ptr_eq(&own.catalog, catalog) && shared.is_current(&own.in_force),
            None => shared.is_current(catalog),
        }
    }

    /// Whether the statement is to be planned by definitions of the transaction's own, which are not known.
    pub(super) fn lacks_definitions(&self, planned: &Planned) -> bool {
        self.may_lack_definitions() && self.depends_on_ddl(planned)
    }

    /// Whether a statement may be.
    pub(super) fn may_lack_definitions(&self) -> bool {
        let changed =
            |t: &super::block::Transaction| t.schema_changed && t.definitions.is_none() && !t.failed;
        self.block.get().is_some_and(changed)
    }

    /// Whether the DDL of the transaction may have changed what the statement does. What DDL reaches that it does not name, a text
    /// does not say: whatever the statement looks at may be changed.
    fn depends_on_ddl(&self, planned: &Planned) -> bool {
        let facts = &planned.plan.facts;
        let looks = match &facts.kind {
            Kind::Select { .. } => {
                let calls =
                    !facts.functions.is_empty() || !facts.operators.is_empty() || !facts.casts.is_empty();
                calls || !relations(facts).is_empty()
            }
            Kind::Session(object) => matches!(
                object,
                SessionObject::DeclareCursor { .. }
                    | SessionObject::Prepare { .. }
                    | SessionObject::Execute { .. }
            ),
            Kind::Transaction(_) | Kind::Setting(_) | Kind::Show { .. } | Kind::Empty => false,
            Kind::Ddl { alters, .. } => {
                alters.iter().any(is_judged) || facts.words.iter().any(|w| w == "rename")
            }
            _ => true,
        };
        looks && self.context.planning.topology.is_spread() && !self.asks_the_system(facts)
    }

    /// Tables and functions of PostgreSQL's own, which no DDL changes.
    fn asks_the_system(&self, facts: &Facts) -> bool {
        let PlanningContext { catalog, search_path, .. } = &self.context.planning;
        let is_system = |name: &ObjectName| {
            let found = catalog.resolve(name, search_path).and_then(|info| info.name.schema.as_deref());
            matches!(found, Some("pg_catalog" | "information_schema")) && !self.is_changed(&name.name)
        };
        // What compares and converts is named by its sign, or not at all.
        let compares = ["operator", "cast", "extension", "schema"].iter().any(|word| self.is_changed(word));
        let mut functions = facts.functions.iter().map(|call| &call.name);
        let named = relations(facts);
        matches!(facts.kind, Kind::Select { .. })
            && named.iter().all(|name| is_system(name))
            && functions.all(|name| {
                let built_in = catalog.function(name, search_path).is_some_and(|info| info.built_in);
                built_in && !self.is_changed(&name.name)
            })
            && !compares
            && (!named.is_empty() || facts.operators.is_empty() && facts.casts.is_empty())
    }

    /// Whether DDL of the transaction has the word.
    fn is_changed(&self, word: &str) -> bool {
        self.block.get().is_some_and(|transaction| transaction.changed.contains(word))
    }

    /// What the statement names whose place may depend on DDL of the transaction.
    fn changed_by_ddl(&self, planned: &Planned) -> Option<String> {
        let transaction = self.block.get()?;
        let PlanningContext { topology, catalog, search_path } = &self.context.planning;
        let facts = &planned.plan.facts;
        let configured = |name: &ObjectName| topology.tables.iter().any(|rule| rule.name.name == name.name);
        let known = |name: &ObjectName| catalog.resolve(name, search_path).is_some();
        let unsure = |name: &ObjectName| {
            let is_other = known(name) && !self.is_plain(name) || transaction.changed_code;
            configured(name) || self.is_changed(&name.name) && is_other
        };
        let relation = relations(facts).into_iter().find(|name| unsure(name));
        let called =
            || facts.functions.iter().map(|call| &call.name).find(|name| self.is_changed(&name.name));
        let code = || transaction.changed_code.then(called).flatten();
        relation.or_else(code).map(ToString::to_string)
    }

    /// After DDL in this transaction: refuses what would be planned by a catalog that no longer holds.
    pub(super) fn check_uncommitted(&self, planned: &Planned) -> Result<(), SqlError> {
        if !self.lacks_definitions(planned) {
            return Ok(());
        }
        let hides = |t: &super::block::Transaction| t.changed_code || t.changed_meaning;
        let anything = || self.block.get().is_some_and(hides).then(|| any_name(&planned.plan.facts));
        match self.changed_by_ddl(planned).or_else(anything) {
            None => Ok(()),
            Some(name) => Err(refusals::CHANGED_BY_DDL.error(&[&name])),
        }
    }

    /// Before the messages of a batch are sorted by the places of their statements.
    pub(super) async fn learn_definitions_for(&mut self, batch: &Bytes) -> Outcome {
        let mut at = 0;
        while let Some(header) = frame::judged(&batch[at..]) {
            let body = &batch[at + HEADER_BYTES..at + header.len];
            at += header.len;
            let planned = match header.tag {
                b'P' => Parse::decode(body).ok().and_then(|parse| self.plan_text(parse.sql).ok()),
                b'B' => Bind::decode(body).ok().and_then(|bind| {
                    let prepared = self.prepared(bind.statement, false).ok()??;
                    self.plan_prepared(&prepared).ok().map(|planned| (*planned).clone())
                }),
                _ => None,
            };
            if planned.is_some_and(|planned| self.lacks_definitions(&planned)) {
                return self.learn_definitions().await;
            }
        }
        Ok(())
    }

    /// Reads what the transaction sees, and plans by it. Where it cannot be read, nothing is known; while others define
    /// something, it is read again.
    pub(super) async fn learn_definitions(&mut self) -> Outcome {
        // Behind a snapshot of its own nobody sees what others define.
        if self.keeps_snapshot() {
            return Ok(());
        }
        for attempt in 0..READINGS_MAX {
            if attempt > 0 {
                tokio::time::sleep(READINGS_APART).await;
            }
            let again = self.read_definitions().await?;
            self.refresh_context();
            if !again {
                break;
            }
        }
        Ok(())
    }

    /// Whether they are to be read again: others defined something meanwhile.
    async fn read_definitions(&mut self) -> Result<bool, Failure> {
        let topology = Arc::clone(&self.context.planning.topology);
        let in_force = self.worker.shared.catalog.current();
        let primaries: Vec<ShardId> =
            self.lanes.iter().filter(|lane| lane.in_block && !lane.replica).map(|lane| lane.shard).collect();
        if !topology.all_shards().iter().all(|shard| primaries.contains(&shard)) {
            return Ok(false);
        }
        for shard in topology.all_shards().iter() {
            let index = self.lane_of(shard)?;
            self.quiet_lane(index).await?;
        }
        let asked = self.lanes.iter_mut().filter(|lane| lane.in_block && !lane.replica);
        let asked = asked.map(|lane| async move { (lane.shard, read(&mut lane.connection).await) });
        let mut shards = Vec::new();
        for (shard, answers) in join_all(asked).await {
            match answers {
                Ok(Ok(answers)) => shards.push((shard, answers)),
                Ok(Err(error)) if error.sqlstate == SqlState::QUERY_CANCELED => {
                    return Err(Failure::Sql(error));
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "definitions of a transaction cannot be read");
                    return Ok(false);
                }
                Err(error) => {
                    let index = self.lane_of(shard)?;
                    let error = RelayError::Server { error, forwarded: false };
                    return Err(self.relay_failed(index, error).await);
                }
            }
        }
        let changed = self.block.get().map(|transaction| transaction.changed.clone()).unwrap_or_default();
        let parts = shards.into_iter().map(|(shard, answers)| {
            let answers = answers.into_iter().map(|answer| (answer.description, answer.rows));
            within::read_parts(answers, &in_force, &changed).map(|parts| parts.map(|parts| (shard, parts)))
        });
        let catalog = match parts.collect::<Result<Option<Vec<_>>, _>>() {
            Ok(parts) => parts.and_then(|parts| within::make_catalog(parts, &topology, &in_force)),
            Err(error) => {
                tracing::warn!(%error, "definitions of a transaction are not understood");
                return Ok(false);
            }
        };
        let moved = !self.worker.shared.catalog.is_current(&in_force);
        let again = catalog.is_none() || moved;
        if let (Some(catalog), Some(transaction)) = (catalog, self.block.transaction()) {
            transaction.definitions = Some(Definitions { catalog: Arc::new(catalog), in_force });
        }
        Ok(again)
    }

    /// Notes what DDL in a transaction may have changed.
    pub(super) fn note_ddl(&mut self, planned: &Planned) {
        if !planned.changes_schema() {
            return;
        }
        const MEANING: [&str; 11] = [
            "type",
            "domain",
            "extension",
            "collation",
            "operator",
            "cast",
            "function",
            "procedure",
            "aggregate",
            "schema",
            "cascade",
        ];
        let hides = self.may_hide_rows(&planned.plan.facts);
        let means = planned.plan.facts.words.iter().any(|word| MEANING.contains(&word.as_str()));
        if let Some(transaction) = self.block.transaction() {
            transaction.changed.extend(planned.plan.facts.words.iter().cloned());
            transaction.redefined.extend(redefining_words(&planned.plan.facts).iter().cloned());
            transaction.changed_code |= hides;
            transaction.changed_meaning |= means;
            transaction.definitions = None;
        }
    }

    /// Whether rows of other shards may now be read or written by a name that the catalog does not know for it.
    fn may_hide_rows(&self, facts: &Facts) -> bool {
        const OPAQUE: [&str; 18] = [
            "cascade",
            "inherits",
            "security",
            "type",
            "view",
            "function",
            "procedure",
            "aggregate",
            "trigger",
            "rule",
            "policy",
            "operator",
            "cast",
            "domain",
            "extension",
            "schema",
            "inherit",
            "partition",
        ];
        if !self.context.planning.topology.is_spread() {
            return false;
        }
        let renames = match facts.kind {
            Kind::Ddl { renames, .. } => renames,
            // What is not DDL to us (SELECT INTO, what is not parsed) has only its words.
            _ => facts.words.iter().any(|word| word == "rename"),
        };
        let functions = &self.context.planning.catalog.function_words;
        let calls = |word: &String| functions.keys().any(|function| function.name == *word);
        facts.words.iter().any(|word| OPAQUE.contains(&word.as_str()) || calls(word))
            || renames && (facts.targets.is_empty() || !facts.targets.iter().all(|name| self.is_plain(name)))
    }

    /// A table or sequence of the default shard that is nothing but itself, under whatever name.
    fn is_plain(&self, name: &ObjectName) -> bool {
        let planning = &self.context.planning;
        let Some(info) = planning.catalog.resolve(name, &planning.search_path) else { return false };
        matches!(info.kind, RelationKind::Table | RelationKind::Sequence)
            && planning.topology.rule(&info.name).is_none()
            && !info.has_rules
            && !info.row_security
            && [&info.parents, &info.children, &info.triggers, &info.write_calls].iter().all(|l| l.is_empty())
    }
}

/// Whether DDL is let through or refused by what is defined already. A constraint that computes nothing is none of it.
fn is_judged(alteration: &Alteration) -> bool {
    match alteration {
        Alteration::Adds { words, computed, .. } => {
            !words.is_empty() || !computed.calls.is_empty() || !computed.operators.is_empty()
        }
        Alteration::Defaults { .. } => false,
        _ => true,
    }
}

/// Something that the statement names.
fn any_name(facts: &Facts) -> String {
    let called = facts.functions.iter().map(|call| &call.name);
    let name = relations(facts).into_iter().chain(&facts.targets).chain(called).next();
    name.map_or_else(|| "this".to_owned(), ToString::to_string)
}

/// What a server says the definitions are, as the transaction on that connection sees them; or its error, behind which the
/// transaction goes on unless it had failed before.
async fn read(connection: &mut Connection) -> Result<Result<Vec<BinaryAnswer>, SqlError>, BackendError> {
    if let Some(error) = connection.capture(within::BEGIN).await?.error {
        return Ok(Err(error));
    }
    let read = connection.capture_binary(within::texts()).await?;
    let ended = connection.capture(within::END).await?;
    Ok(read.error.or(ended.error).map_or(Ok(read.answers), Err))
}
