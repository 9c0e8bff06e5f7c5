//! The plan of one shape: made once from facts, topology and catalog, then bound to the values of each execution.
//!
//! `session` calls [`Plan::make`] on a cache miss and [`Plan::bind`] for every execution; `execute` follows
//! [`Plan::action`] over the bound shards. Making never fails: what is refused is an action.
//!
//! ```text
//! facts ─▶ make ── reads    SELECT, COPY TO, cursors      ─▶ Plan { action, access, route }
//!                 ├ writes   INSERT, UPDATE, DELETE, …                │
//!                 └ commands DDL, session commands, code              ▼
//!                                      literals, parameters, hint ─▶ bind ─▶ shards, or a refusal
//! ```
//!
//! Invariants:
//! 1. A plan holds the topology that it was made with: binding never mixes two configurations.
//! 2. A statement is for one shard if every sharded relation of every query level is pinned to it, and every relation
//!    that lives on one shard lives there.

use std::sync::Arc;

use crate::sql::facts::{Block, Facts, Kind, Relation};
use crate::topology::Topology;

use super::action::{Access, Action, Effect, Many, PlanningContext};
use super::bind::Route;
use super::functions::{self, Numbering};
use super::home::{self, Home};
use super::lists::Lists;
use super::refusal::{self, Refusal};
use super::scatter::{Scatter, Ways};
use super::survey::{Fixed, Survey};
use super::traces::Traces;
use super::{commands, reads, steady, writes};

/// Compiles the combining of several shards' rows; called only for a SELECT that may need it.
pub type Combine<'a> = &'a dyn Fn(Ways) -> Result<Scatter, Refusal>;

/// What to do with the statements of one shape.
#[derive(Debug, Clone)]
pub struct Plan {
    pub facts: Arc<Facts>,
    pub action: Action,
    pub access: Access,
    pub effect: Effect,
    /// Whether it has written is asked of its server.
    pub runs_code: bool,
    /// The plan of the statement inside an EXPLAIN.
    pub inner: Option<Arc<Plan>>,
    /// The servers' own plan of it is the same for all values.
    pub steady: bool,
    /// What its code may leave on the connection that it runs on.
    pub traces: Traces,
    /// What it asks of the session itself.
    pub lists: Lists,
    pub(super) route: Route,
    pub(super) topology: Arc<Topology>,
}

/// What planning one kind of statement comes to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub action: Action,
    pub access: Access,
    pub route: Route,
}

impl Outcome {
    pub fn new(action: Action, access: Access) -> Self {
        Self { action, access, route: Route::default() }
    }

    pub fn fixed(fixed: Fixed, access: Access) -> Self {
        let action = Action::Fixed(fixed.shard);
        Self { action, access, route: Route { fixed: Some(fixed), ..Route::default() } }
    }

    pub fn routed(many: Many, access: Access, route: Route) -> Self {
        Self { action: Action::Routed { many }, access, route }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::new(Action::Refuse(refusal), Access::Read)
    }
}

impl Plan {
    /// The same for a statement that does this, and may run code.
    pub fn doing(&self, access: Access, effect: Effect) -> Self {
        Self { access: access.max(self.access), effect, runs_code: true, ..self.clone() }
    }

    /// Plans a statement; `combine` makes the scatter where a SELECT may need several shards.
    pub fn make(facts: Arc<Facts>, context: &PlanningContext, combine: Combine<'_>) -> Self {
        let mut inner = None;
        let outcome = match &facts.kind {
            Kind::Explain(explain) => {
                let plan = Self::make(Arc::new((*explain.inner).clone()), context, combine);
                // Without ANALYZE nothing runs; PostgreSQL's own plan may come from a replica.
                let access = if explain.analyze { plan.access } else { Access::Read };
                inner = Some(Arc::new(plan));
                Outcome::new(Action::Control, access)
            }
            _ => outcome(&facts, context, combine).unwrap_or_else(Outcome::from),
        };
        let traces = Traces::of(&facts, context);
        let numbering = Numbering::of(&facts, context).map(Arc::new);
        let route = Route { numbering, ..outcome.route };
        let access = if traces.locks { outcome.access.max(Access::ReadPrimary) } else { outcome.access };
        Self {
            action: outcome.action,
            effect: functions::effect(&facts, access, context),
            runs_code: functions::runs_code(&facts, context),
            access,
            route,
            inner,
            steady: steady::is_steady(&facts, context),
            traces,
            lists: Lists::of(&facts),
            facts,
            topology: Arc::clone(&context.topology),
        }
    }
}

fn outcome(facts: &Facts, context: &PlanningContext, combine: Combine<'_>) -> Result<Outcome, Refusal> {
    if context.catalog.loaded {
        refuse_absent(facts, context)?;
        refuse_read_otherwise(facts, context)?;
        return with_catalog(facts, context, combine);
    }
    // Whatever is refused may be answered once the catalogs are there: drivers try that again.
    let planned = refuse_unknown(context, &facts.block).and_then(|()| with_catalog(facts, context, combine));
    let outcome = planned.map_err(|refusal| unless_read(&refusal))?;
    match &outcome.action {
        Action::Refuse(refusal) | Action::Routed { many: Many::Refuse(refusal) } => {
            let action = Action::Refuse(unless_read(refusal));
            Ok(Outcome { action, ..outcome })
        }
        _ => Ok(outcome),
    }
}

fn unless_read(refusal: &Refusal) -> Refusal {
    match refusal.sqlstate {
        "0A000" => refusal::CATALOG_NOT_READ.refuse(),
        _ => refusal.clone(),
    }
}

fn with_catalog(facts: &Facts, context: &PlanningContext, combine: Combine<'_>) -> Result<Outcome, Refusal> {
    match &facts.kind {
        Kind::Select { into: true, .. } => Err(commands::not_from_query("")),
        Kind::Select { locking, into: false } => reads::select(facts, context, *locking, combine),
        Kind::Insert(insert) => writes::insert(facts, context, insert),
        Kind::Update(update) => writes::update(facts, context, update),
        Kind::Delete(delete) => writes::delete(facts, context, delete),
        Kind::Merge { target } => writes::merge(facts, context, target),
        Kind::ModifyingWith => writes::modifying_with(facts, context),
        Kind::Copy(copy) => super::copy::plan(facts, context, copy),
        Kind::Explain(_) => Ok(Outcome::new(Action::Control, Access::Read)),
        _ => commands::plan(facts, context),
    }
}

/// A table that is configured and not there: in PostgreSQL's words, for which migrations and drivers look.
fn refuse_absent(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    let table = match &facts.kind {
        Kind::Copy(copy) => copy.table.as_ref(),
        Kind::Select { .. } | Kind::Insert(_) | Kind::Update(_) | Kind::Delete(_) => facts.kind.target(),
        _ => return Ok(()),
    };
    let survey = Survey::of_sources(context, &facts.block);
    let mut named = survey.members().map(|member| member.relation).chain(table);
    let is_absent = |relation: &&Relation| {
        let found = home::of(context, &relation.name);
        matches!(found, Home::Sharded { info: None, .. } | Home::Reference { info: None, .. })
    };
    match named.find(is_absent) {
        Some(relation) => Err(refusal::TABLE_ABSENT.naming(&[&relation.name.to_string()])),
        None => Ok(()),
    }
}

/// Where the servers are older than the grammar by which the text was read. What defines something they read themselves.
fn refuse_read_otherwise(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    let version = context.catalog.server_version;
    let alike = version >= facts.read_since || context.topology.shards.len() == 1;
    match alike || matches!(facts.kind, Kind::Ddl { .. } | Kind::Explain(_)) {
        true => Ok(()),
        false => Err(refusal::READ_OTHERWISE.naming(&[&(version / 10_000).to_string()])),
    }
}

/// Before the catalog is there, a name that is not configured may be a view of sharded tables.
fn refuse_unknown(context: &PlanningContext, block: &Block) -> Result<(), Refusal> {
    for relation in &block.relations {
        let name = &relation.name;
        let schema = name.schema.as_deref().unwrap_or_default();
        let system = name.name.starts_with("pg_") || schema == "pg_catalog" || schema == "information_schema";
        if !system && home::resolve(context, name).is_none() {
            return Err(refusal::CATALOG_UNKNOWN.naming(&[&name.to_string()]));
        }
    }
    block.children.iter().try_for_each(|child| refuse_unknown(context, child))
}
