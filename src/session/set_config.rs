//! `set_config()`: what it sets on one connection holds for the session, wherever its statements run.
//!
//! Called by `perform` around statements that call it. In a transaction the other servers hear of it when there are others:
//! what was set is asked of the one that ran it, and repeated on those that join. Behind the transaction, or the statement
//! that is one, `leftovers` asks what the session's settings have become.
//!
//! Invariants:
//! 1. A call whose name is not known before it runs is refused: nobody could be asked what it has set.
//! 2. No lane joins a transaction, and no savepoint is set, before what was set on another lane is in the prologue.
//!
//! Not here: SET (`setting`), what else code sets (`search_path`, `leftovers`).

use std::rc::Rc;

use super::encoding::CLIENT_ENCODING;
use super::greeting::setting_value;
use super::idle::IN_TRANSACTION;
use super::leftovers::OF_TRANSACTIONS;
use super::perform::Work;
use super::planning::Planned;
use super::report::settings_on_one_server;
use super::setting::OWN_PREFIX;
use super::{Failure, Outcome, Session};
use crate::backend::settings::{quote_literal, set_statement};
use crate::catalog::reading::{READING, parameters_set};
use crate::execute::{Lane, refusals};
use crate::plan::{Action, Plan};
use crate::sql::arguments::{NoParameters, Parameters};
use crate::sql::facts::Kind;
use crate::sql::lexer::LexOptions;
use crate::sql::set_calls::{SetCall, SetName, set_calls};
use crate::topology::ShardId;

/// Applications' own parameters that one session may set by function; the servers hold each of them, too.
const NAMES_MAX: usize = 1_000;

/// What the `set_config()` calls of a statement set.
#[derive(Debug, Clone)]
pub enum Sets {
    /// There are none.
    Nothing,
    /// Parameters of the server's own, which it lists by `pg_settings`, or what code computes.
    Unknown,
    Named(Rc<[SetCall]>),
}

impl Sets {
    /// None where what is set could not be asked for.
    pub fn of(plan: &Plan, text: &[u8], options: LexOptions) -> Option<Self> {
        let (facts, action) = match (&plan.facts.kind, &plan.inner) {
            (Kind::Explain(_), Some(inner)) => (&inner.facts, &inner.action),
            _ => (&plan.facts, &plan.action),
        };
        let mut by_code = plan.traces.sets.clone();
        if matches!(facts.kind, Kind::Do) {
            by_code.extend(parameters_set(&String::from_utf8_lossy(text)));
        }
        // Whoever computes a name in code can be followed no further than to the lane that it runs on.
        let computes = by_code.remove("?");
        let calls = match facts.functions.iter().any(|call| call.name.name == "set_config") {
            true => set_calls(text, options)?,
            false if computes => return Some(Self::Unknown),
            false if by_code.is_empty() => return Some(Self::Nothing),
            false => Vec::new(),
        };
        let of_catalog = match facts.block.relations.as_slice() {
            [only] => only.name.name == "pg_settings" && facts.block.children.is_empty(),
            _ => false,
        };
        if of_catalog && calls.iter().any(|call| call.name == SetName::Listed) {
            return calls.iter().all(SetCall::is_of_server).then_some(Self::Unknown);
        }
        let followed = matches!(
            facts.kind,
            Kind::Select { into: false, .. } | Kind::Insert(_) | Kind::Update(_) | Kind::Delete(_)
        ) && matches!(action, Action::Routed { .. } | Action::Anywhere | Action::Fixed(_));
        let known = |call: &SetCall| match &call.name {
            SetName::Literal(name) => may_be_set(name) && (followed || !name.contains('.')),
            SetName::Parameter(_) => followed,
            SetName::Listed | SetName::Computed => false,
        };
        if !calls.iter().all(known) {
            return None;
        }
        let by_code = by_code.into_iter().filter(|name| may_be_set(name));
        let by_code = by_code.map(|name| SetCall { name: SetName::Literal(name), local: false });
        Some(if computes { Self::Unknown } else { Self::Named(calls.into_iter().chain(by_code).collect()) })
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Nothing of it is left behind the transaction.
    pub fn are_local(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Unknown => false,
            Self::Named(calls) => calls.iter().all(|call| call.local),
        }
    }

    /// Statements behind it may be read in another way.
    pub fn may_change_reading(&self) -> bool {
        let is_reading = |call: &SetCall| match &call.name {
            SetName::Literal(name) => READING.contains(&name.as_str()) || name == "session_authorization",
            SetName::Parameter(_) | SetName::Listed | SetName::Computed => true,
        };
        match self {
            Self::Nothing => false,
            Self::Unknown => true,
            Self::Named(calls) => calls.iter().any(is_reading),
        }
    }
}

impl SetCall {
    fn is_of_server(&self) -> bool {
        match &self.name {
            SetName::Listed => true,
            SetName::Literal(name) => may_be_set(name) && !name.contains('.'),
            SetName::Parameter(_) | SetName::Computed => false,
        }
    }
}

/// Not what only the session itself can set.
fn may_be_set(name: &str) -> bool {
    !name.starts_with(OWN_PREFIX) && name != CLIENT_ENCODING && !OF_TRANSACTIONS.contains(&name)
}

impl Session {
    /// Before it runs: the names that it sets.
    pub(super) fn names_set(
        &mut self,
        planned: &Planned,
        parameters: &impl Parameters,
    ) -> Result<Vec<String>, Failure> {
        let Sets::Named(calls) = &planned.sets else { return Ok(Vec::new()) };
        let refused = || Failure::Sql(refusals::OWN_PARAMETER.error(&[]));
        let mut names = Vec::with_capacity(calls.len());
        for call in calls.iter() {
            let name = match &call.name {
                SetName::Literal(name) => name.clone(),
                SetName::Parameter(index) => match parameters.value(*index) {
                    Some(Some(name)) => String::from_utf8_lossy(name).to_lowercase(),
                    // The server says what is wrong with it.
                    Some(None) | None => continue,
                },
                SetName::Listed | SetName::Computed => return Err(refused()),
            };
            if !may_be_set(&name) {
                return Err(refused());
            }
            self.note_placeholder(&name);
            let asked = name.contains('.') && !planned.sets.are_local();
            if asked && !self.set_by_functions.contains(&name) {
                if self.set_by_functions.len() >= NAMES_MAX {
                    return Err(refused());
                }
                self.set_by_functions.insert(name.clone());
            }
            names.push(name);
        }
        Ok(names)
    }

    /// The same, its parameters looked at only where it sets something.
    pub(super) fn names_set_by(&mut self, planned: &Planned, work: Work<'_>) -> Result<Vec<String>, Failure> {
        match planned.sets.is_nothing() {
            true => Ok(Vec::new()),
            false => self.names_set(planned, &work.parameters(planned)?),
        }
    }

    /// A parameter is set, or was tried to be: one of an application's own may exist from now on.
    pub(super) fn note_placeholder(&mut self, name: &str) {
        // One that every connection begins with exists for everybody.
        if !name.starts_with(OWN_PREFIX) && self.account.default(name).is_none() {
            self.placeholders.note(name);
        }
    }

    /// What the triggers of a COPY set by name that is relayed, and can be learnt only when the client has sent its Sync: no
    /// other lane may need it before.
    pub(super) fn names_set_by_copy(
        &mut self,
        planned: &Planned,
        shard: ShardId,
    ) -> Result<Vec<String>, Failure> {
        let names = self.names_set(planned, &NoParameters)?;
        let others = self.lanes.iter().any(|lane| lane.in_block && lane.shard != shard);
        match others && !names.is_empty() {
            true => Err(Failure::Sql(settings_on_one_server())),
            false => Ok(names),
        }
    }

    /// In a transaction, after a statement ran on this lane: what it has set by these names, and how statements are read behind it,
    /// hold on all.
    pub(super) async fn follow_code(
        &mut self,
        index: usize,
        names: Vec<String>,
        planned: &Planned,
        text: &[u8],
    ) -> Outcome {
        if !names.is_empty() {
            Box::pin(self.set_in_block(self.lanes[index].shard, names, planned, text)).await?;
        }
        if planned.changes_reading {
            Box::pin(self.learn_reading(index)).await?;
        }
        Ok(())
    }

    async fn set_in_block(
        &mut self,
        shard: ShardId,
        names: Vec<String>,
        planned: &Planned,
        text: &[u8],
    ) -> Outcome {
        // What the servers keep of this one time, and what is kept here, is not the same.
        let bounds = names.iter().any(|name| name == IN_TRANSACTION);
        if planned.plan.only_sets() && planned.plan.facts.param_count == 0 && !bounds {
            return self.set_on_all_lanes(planned, text).await;
        }
        let Some(transaction) = self.block.transaction() else { return Ok(()) };
        transaction.note_names(names);
        match self.lanes.iter().filter(|lane| lane.in_block).count() {
            0 | 1 => Ok(()),
            _ => self.learn_sets(Some(shard)).await,
        }
    }

    /// What depends on no row and no parameter is repeated as it is.
    async fn set_on_all_lanes(&mut self, planned: &Planned, text: &[u8]) -> Outcome {
        let sql = String::from_utf8_lossy(text).into_owned();
        self.on_joined_lanes(&sql).await?;
        let stays = !planned.sets.are_local();
        let joined = self.lanes.iter_mut().filter(|lane| lane.in_block);
        joined.for_each(|lane| lane.connection.suspect |= stays);
        if let Some(transaction) = self.block.transaction() {
            transaction.prologue.push(sql);
            transaction.prologue_stays |= stays;
            transaction.settings_changed = true;
        }
        Ok(())
    }

    /// What was set on this shard's lane of the transaction holds on its others, and on those that join it. None: there is one
    /// lane only.
    pub(super) async fn learn_sets(&mut self, shard: Option<ShardId>) -> Outcome {
        let Some(transaction) = self.block.transaction() else { return Ok(()) };
        let mut names = std::mem::take(&mut transaction.unlearned);
        names.sort_unstable();
        names.dedup();
        let ran = |lane: &Lane| lane.in_block && shard.is_none_or(|shard| lane.shard == shard);
        let Some(index) = self.lanes.iter().position(ran).filter(|_| !names.is_empty()) else {
            return Ok(());
        };
        self.quiet_lane(index).await?;
        let values = self.settings_on(index, &names).await?;
        for (name, value) in names.iter().zip(values) {
            let Some(value) = value else { continue };
            let value = setting_value(name, &value);
            let statement = set_statement(name, &value, true);
            self.on_joined_lanes(&statement).await?;
            let mut settings = self.in_force().clone();
            if let Some(transaction) = self.block.transaction() {
                transaction.prologue.push(statement);
                if name == IN_TRANSACTION {
                    settings.set(name, value);
                    transaction.in_force = Some(Rc::new(settings));
                }
            }
        }
        if names.iter().any(|name| name == IN_TRANSACTION) {
            self.follow_settings();
            self.spare_idle_lanes_anew().await?;
        }
        Ok(())
    }

    /// What a lane shows of these parameters, one by one; None for one that it does not know.
    pub(super) async fn settings_on(
        &mut self,
        index: usize,
        names: &[impl AsRef<str>],
    ) -> Result<Vec<Option<String>>, Failure> {
        let shown = names.iter().map(|name| quote_literal(name.as_ref()));
        let shown = shown.map(|name| format!("pg_catalog.current_setting({name}, true)"));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let rows = self.rows_on(index, &format!("SELECT {shown}")).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}
