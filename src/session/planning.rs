//! From text to a plan, once per shape: the worker's plan cache, and the context that plans are valid for.
//!
//! ```text
//!   text ─▶ shape (literals out) ─▶ cache hit: Rc<Plan>             ~0.2 µs
//!                                └▶ miss: parse, facts, Plan::make   once per shape and context
//! ```
//!
//! Invariants:
//! 1. A plan is used only in the context it was made in: the same topology, catalog and search_path.
//! 2. The cache compares whole keys; two shapes never share a plan. It is bounded in bytes.
//! 3. The cache holds no client's literal.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use super::idle::TimeBounds;
use super::interner::Prepared;
use super::leftovers::leaves_traces;
use super::search_path::{may_change_reading, turns};
use super::set_config::Sets;
use super::{Failure, Following, Session};
use crate::catalog::RelationInfo;
use crate::catalog::reading::sets_reading;
use crate::execute::refusals;
use crate::plan::scatter::{Scatter, Source};
use crate::plan::{Access, Action, Plan, PlanningContext};
use crate::sql::arguments::{Arguments, Literal, Parameters};
use crate::sql::conversion::READ_BY;
use crate::sql::facts::{
    Copy, CopyDirection, Discard, Facts, Kind, SessionObject, Setting, TransactionCommand,
};
use crate::sql::hint::{Hint, HintRole};
use crate::sql::lexer::LexOptions;
use crate::sql::parse::{Parsed, parse};
use crate::sql::shape::{Size, shape};
use crate::sql::template::{self, Template};
use crate::topology::ShardSet;
use crate::wire::error::{SqlError, SqlState};

/// Contexts that a worker keeps apart; beyond that the cache starts anew.
const CONTEXTS_MAX: usize = 256;

/// What a session plans against, with its number in the worker's cache.
#[derive(Clone)]
pub struct Context {
    pub planning: PlanningContext,
    pub id: u32,
    /// Of the redefinitions, when it was taken.
    pub turn: u64,
}

/// Those of most statements need no memory of their own.
pub type Literals = SmallVec<[Literal; 6]>;

/// Of parameters of applications' own, which others may have left on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    Nothing,
    /// It stays on its connection: a statement behind it may ask.
    Later,
    Now,
}

impl Asks {
    fn of(plan: &Plan, suspect: bool) -> Self {
        match plan.traces.reads_parameters {
            true => Self::Now,
            false if suspect || matches!(plan.action, Action::Pinned(_)) => Self::Later,
            false => Self::Nothing,
        }
    }
}

/// A statement's plan with what belongs to this one text.
#[derive(Debug, Clone)]
pub struct Planned {
    pub context: u32,
    pub plan: Rc<Plan>,
    pub literals: Literals,
    pub hint: Option<Hint>,
    /// May leave objects or settings behind on the connection that it runs on.
    pub suspect: bool,
    /// The text ends inside of a quote or a comment, or has a byte that starts no token.
    pub broken: bool,
    /// What it sets by function: the connection then has settings that others do not.
    pub sets: Sets,
    /// Its code may change how the statements behind it are read.
    pub changes_reading: bool,
    pub asks: Asks,
}

impl Planned {
    /// This plan for both statements, as to what they may leave behind.
    pub fn and_after(self, other: &Self, pinned: bool) -> Self {
        let suspect = self.is_suspect(pinned) || other.is_suspect(pinned);
        Self { suspect, asks: self.asks.max(other.asks), ..self }
    }

    /// Whether the connection must be asked afterwards what it holds of the session, which is pinned to it or not.
    pub fn is_suspect(&self, pinned: bool) -> bool {
        self.suspect || pinned && lets_go(&self.plan.facts)
    }

    /// BEGIN itself opens the block that it stands in.
    pub fn begins_block(&self) -> bool {
        matches!(self.plan.facts.kind, Kind::Transaction(TransactionCommand::Begin(_)))
    }

    /// PostgreSQL lets it pass in a failed transaction.
    pub fn ends_failed_block(&self) -> bool {
        matches!(
            self.plan.facts.kind,
            Kind::Transaction(
                TransactionCommand::Commit { .. }
                    | TransactionCommand::Rollback { .. }
                    | TransactionCommand::RollbackTo(_)
            )
        )
    }

    pub fn rolls_back(&self) -> bool {
        matches!(self.plan.facts.kind, Kind::Transaction(TransactionCommand::Rollback { .. }))
    }

    /// Rows, settings or the modes of the transaction, but for what no transaction may have around it.
    pub fn is_undone_by_roll_back(&self) -> bool {
        let changes = self.plan.access == Access::Write
            || !self.sets.is_nothing()
            || matches!(
                self.plan.facts.kind,
                Kind::Setting(_)
                    | Kind::Session(SessionObject::Discard(Discard::Temp) | SessionObject::Execute { .. })
                    | Kind::Transaction(
                        TransactionCommand::SetTransaction(_)
                            | TransactionCommand::SetSnapshot
                            | TransactionCommand::SetCharacteristics(_)
                    )
            );
        changes && !matches!(self.plan.action, Action::EachShard)
    }

    /// Rows, or what statements say, as far as its text shows: an EXECUTE's is another.
    pub fn may_change_answers(&self) -> bool {
        let executes = matches!(self.plan.facts.kind, Kind::Session(SessionObject::Execute { .. }));
        executes || self.plan.access == Access::Write || self.turns_reading()
    }

    /// SET SESSION CHARACTERISTICS is a setting of the session's.
    pub fn is_transaction_control(&self) -> bool {
        let kind = &self.plan.facts.kind;
        let sets = matches!(kind, Kind::Transaction(TransactionCommand::SetCharacteristics(_)));
        matches!(kind, Kind::Transaction(_)) && !sets
    }

    /// PostgreSQL looks for parameters in the text; of other statements only those count that are declared.
    pub fn counts_parameters(&self) -> bool {
        let kind = &self.plan.facts.kind;
        matches!(kind, Kind::Select { .. } | Kind::Insert(_) | Kind::Update(_) | Kind::Delete(_))
            && !self.broken
    }

    /// COPY FROM STDIN: nothing may be sent behind it before its data.
    pub fn copies_in(&self) -> bool {
        matches!(&self.plan.facts.kind, Kind::Copy(copy) if copy.direction == CopyDirection::FromStdin)
    }

    /// Code may end its transaction.
    pub fn may_commit(&self) -> bool {
        matches!(self.plan.facts.kind, Kind::Call | Kind::Do)
    }

    /// A text may mean something else to a server behind it.
    pub fn unsettles(&self, pinned: bool) -> bool {
        let ends = match &self.plan.facts.kind {
            Kind::Transaction(command) => {
                !matches!(command, TransactionCommand::Begin(_) | TransactionCommand::Savepoint(_))
            }
            Kind::Setting(_) => true,
            _ => false,
        };
        ends || !self.sets.is_nothing() || self.changes_schema() || self.is_suspect(pinned)
    }

    /// Names and literals may mean something else behind it.
    pub fn turns_reading(&self) -> bool {
        match &self.plan.facts.kind {
            Kind::Setting(Setting::Set { name, .. } | Setting::Reset { name }) => {
                turns(name) || READ_BY.contains(&name.as_str())
            }
            Kind::Setting(Setting::ResetAll) | Kind::Session(SessionObject::Discard(Discard::All)) => true,
            _ => (self.changes_reading || !self.sets.is_nothing()) && !self.copies_in(),
        }
    }

    pub fn ends_transaction(&self) -> bool {
        matches!(
            self.plan.facts.kind,
            Kind::Transaction(TransactionCommand::Commit { .. } | TransactionCommand::Rollback { .. })
        )
    }

    /// Its answer may hold the time of the transaction.
    pub fn tells_time(&self) -> bool {
        const CLOCKS: [&str; 8] = [
            "now",
            "transaction_timestamp",
            "current_timestamp",
            "current_date",
            "current_time",
            "localtime",
            "localtimestamp",
            "age",
        ];
        self.plan.facts.functions.iter().any(|call| CLOCKS.contains(&call.name.name.as_str()))
    }

    /// A prepared statement's name may stand for another one behind it.
    pub fn prepares(&self) -> bool {
        matches!(
            self.plan.facts.kind,
            Kind::Session(SessionObject::Prepare { .. } | SessionObject::Deallocate { .. })
        )
    }

    /// Plans made before it do not hold after it.
    pub fn changes_schema(&self) -> bool {
        match self.plan.facts.kind {
            Kind::Ddl { .. } | Kind::CreateTableAs { .. } | Kind::Unparsed { .. } => true,
            // Its code defines something.
            Kind::Do => matches!(self.plan.action, Action::Everywhere),
            _ => false,
        }
    }
}

#[derive(Hash, PartialEq, Eq)]
struct Key {
    context: u32,
    shape: Box<[u8]>,
}

#[derive(Hash)]
struct KeyRef<'a> {
    context: u32,
    shape: &'a [u8],
}

impl hashbrown::Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.context == key.context && *self.shape == *key.shape
    }
}

/// Plans of one worker. Bounded by bytes of keys and an estimate of the plans; when full it starts anew, which costs
/// one parse per shape in use.
pub struct PlanCache {
    plans: hashbrown::HashMap<Key, Rc<Plan>>,
    /// By the openings of texts; the last one to come has the place.
    familiar: Box<[Option<Familiar>]>,
    hasher: hashbrown::DefaultHashBuilder,
    contexts: HashMap<(u64, u64, Arc<[String]>), u32>,
    next_context: u32,
    bytes: usize,
    bytes_max: usize,
}

/// A text that was planned, for others that differ from it in literals only. It has no hint and sets no parameter.
struct Familiar {
    context: u32,
    template: Template,
    plan: Rc<Plan>,
    suspect: bool,
}

/// Texts that a worker knows again at sight.
const FAMILIAR_MAX: usize = 512;

/// A plan's own size beside its key's, roughly: facts, names, routes.
const PLAN_BYTES: usize = 4 * 1024;

impl PlanCache {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            plans: hashbrown::HashMap::new(),
            familiar: (0..FAMILIAR_MAX).map(|_| None).collect(),
            hasher: Default::default(),
            contexts: HashMap::new(),
            next_context: 0,
            bytes: 0,
            bytes_max,
        }
    }

    pub fn context(&mut self, planning: &PlanningContext) -> u32 {
        let key = (planning.topology.version.0, planning.catalog.version, Arc::clone(&planning.search_path));
        if let Some(id) = self.contexts.get(&key) {
            return *id;
        }
        if self.contexts.len() >= CONTEXTS_MAX {
            self.contexts.clear();
            self.plans.clear();
            self.familiar.fill_with(|| None);
            self.bytes = 0;
        }
        self.next_context += 1;
        self.contexts.insert(key, self.next_context);
        self.next_context
    }

    pub fn get(&self, context: u32, shape: &[u8]) -> Option<Rc<Plan>> {
        self.plans.get(&KeyRef { context, shape }).map(Rc::clone)
    }

    pub fn insert(&mut self, context: u32, shape: &[u8], plan: &Rc<Plan>) {
        let bytes = shape.len() * 3 + PLAN_BYTES;
        if self.bytes + bytes > self.bytes_max {
            self.plans.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.plans.insert(Key { context, shape: shape.into() }, Rc::clone(plan));
    }

    fn place(&self, text: &[u8]) -> usize {
        self.hasher.hash_one(template::opening(text)) as usize % FAMILIAR_MAX
    }

    /// The plan of a text that has been met with other literals. `last`: where the session's last one was found, which the
    /// next is often like.
    pub fn recognise(
        &self,
        context: u32,
        text: &[u8],
        options: LexOptions,
        last: &mut usize,
    ) -> Option<Planned> {
        if let Some(planned) = self.recognise_at(*last, context, text, options) {
            return Some(planned);
        }
        let place = self.place(text);
        let tried = std::mem::replace(last, place);
        if tried == place { None } else { self.recognise_at(place, context, text, options) }
    }

    fn recognise_at(&self, place: usize, context: u32, text: &[u8], options: LexOptions) -> Option<Planned> {
        let known = self.familiar.get(place)?.as_ref().filter(|known| known.context == context)?;
        let mut literals = Literals::new();
        let fits = known.template.fits(text, options, |literal| literals.push(literal));
        fits.then(|| Planned {
            context,
            plan: Rc::clone(&known.plan),
            literals,
            hint: None,
            suspect: known.suspect,
            broken: false,
            sets: Sets::Nothing,
            changes_reading: known.suspect && sets_reading(&String::from_utf8_lossy(text)),
            asks: Asks::of(&known.plan, known.suspect),
        })
    }

    pub fn remember(&mut self, text: &[u8], template: Template, planned: &Planned) {
        let place = self.place(text);
        let (context, plan, suspect) = (planned.context, Rc::clone(&planned.plan), planned.suspect);
        self.familiar[place] = Some(Familiar { context, template, plan, suspect });
    }

    pub fn report(&self, figures: &crate::figures::WorkerFigures) -> super::board::PlansReport {
        super::board::PlansReport {
            plans: self.plans.len(),
            bytes: self.bytes,
            hits: figures.plan_hits.get(),
            misses: figures.plan_misses.get(),
        }
    }

    pub fn len(&self) -> usize {
        self.plans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }
}

impl Session {
    /// Takes the snapshots in force and this session's search_path; cheap when nothing has changed.
    pub(super) fn refresh_context(&mut self) {
        let shared = &self.worker.shared;
        // What is redefined from here on is noticed.
        self.context.turn = shared.redefinitions.turn();
        if !std::ptr::eq(&**shared.live.load(), &*self.live) {
            self.live = shared.live.load_full();
            self.account = super::greet::renewed(&self.account, &self.user, &self.live);
        }
        let topology = shared.topology.load();
        let now = &self.context.planning;
        if Arc::ptr_eq(&topology, &now.topology) && self.plans_by(&now.catalog) {
            return;
        }
        let (topology, search_path) = (Arc::clone(&topology), Arc::clone(&now.search_path));
        let planning = PlanningContext { topology, catalog: self.definitions(), search_path };
        self.tokens.resize(planning.topology.shards.len(), None);
        for lane in &mut self.lanes {
            lane.numbers = planning.catalog.numbers_of(lane.shard);
        }
        self.set_context(planning);
        self.follow_definitions();
        self.follow_search_path();
    }

    /// What is planned by these definitions is read where they are.
    pub(super) fn follow_definitions(&mut self) {
        let defined = &self.context.planning.catalog.defined_at;
        for (token, defined) in self.tokens.iter_mut().zip(defined) {
            *token = (*token).max(*defined);
        }
    }

    pub(super) fn set_context(&mut self, planning: PlanningContext) {
        let id = self.worker.plans.borrow_mut().context(&planning);
        self.context = Context { planning, id, ..self.context };
    }

    /// After a change of settings: names are looked up where the session's search_path says, texts read as it is told,
    /// and its client waited for as long as it says.
    pub(super) fn follow_settings(&mut self) {
        let isolation = self.default_of("default_transaction_isolation");
        self.following = Following {
            dialect: self.worker.interner.borrow_mut().dialect(self.in_force()),
            bounds: TimeBounds::of(self.in_force(), &self.account),
            serializable: isolation.as_deref() == Some("serializable"),
        };
        self.follow_search_path();
    }

    /// The plan for one statement's text.
    pub(super) fn plan_text(&mut self, text: &[u8]) -> Result<Planned, Failure> {
        let options = self.lex_options();
        // One statement: its final semicolon means nothing.
        let text = text.trim_ascii_end();
        let text = text.strip_suffix(b";").unwrap_or(text);
        let worker = Rc::clone(&self.worker);
        if let Some(planned) =
            worker.plans.borrow().recognise(self.context.id, text, options, &mut self.familiar)
        {
            worker.figures.plan_hits.one();
            return Ok(planned);
        }
        let mut shapes = worker.shapes.borrow_mut();
        let shape = shape(text, options, &mut shapes);
        let hint = shape.hint.clone().map_err(|error| {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, error.to_string())
                .hint("A hint reads /* meridian: shard=NAME role=primary */ before the statement.")
        })?;
        let cached = match shape.size {
            Size::Parseable => worker.plans.borrow().get(self.context.id, shape.key),
            Size::TooLarge => None,
        };
        let is_cached = cached.is_some();
        let literals = Literals::from_slice(shape.literals);
        let plan = match cached {
            Some(plan) => {
                worker.figures.plan_hits.one();
                plan
            }
            None => {
                worker.figures.plan_misses.one();
                let parsed = parse(text, options);
                let cacheable = parsed.cacheable && shape.size == Size::Parseable;
                let plan = Rc::new(make_plan(parsed, text, options, &self.context.planning));
                if cacheable {
                    let mut plans = worker.plans.borrow_mut();
                    plans.insert(self.context.id, shape.key, &plan);
                    worker.figures.plan_entries.set(plans.len() as u64);
                    worker.figures.plan_bytes.set(plans.bytes as u64);
                }
                plan
            }
        };
        self.check_hint(hint.as_ref())?;
        let sets = Sets::of(&plan, text, options);
        let sets = sets.ok_or_else(|| Failure::Sql(refusals::OWN_PARAMETER.error(&[])))?;
        let code = leaves_traces(&plan);
        let suspect = code || !sets.are_local();
        let (context, broken) = (self.context.id, shape.broken);
        let changes_reading = sets.may_change_reading() || code && may_change_reading(text, &plan);
        let asks = Asks::of(&plan, suspect);
        let planned = Planned { context, plan, literals, hint, suspect, broken, sets, changes_reading, asks };
        // What came twice may come again.
        if is_cached
            && planned.hint.is_none()
            && planned.sets.is_nothing()
            && !changes_reading
            && let Some(template) = Template::of(text, options, &shape)
        {
            worker.plans.borrow_mut().remember(text, template, &planned);
        }
        Ok(planned)
    }

    fn check_hint(&self, hint: Option<&Hint>) -> Result<(), SqlError> {
        let unknown = |name: &&String| self.context.planning.topology.shard_named(name).is_none();
        match hint.and_then(|hint| hint.shard.as_ref()).filter(unknown) {
            None => Ok(()),
            Some(name) => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("routing hint names shard \"{name}\", which does not exist"),
            )
            .hint("SHOW SHARDS in the console lists them.")),
        }
    }

    /// The plan of a prepared statement, made anew where the context has changed.
    pub(super) fn plan_prepared(&mut self, prepared: &Rc<Prepared>) -> Result<Rc<Planned>, Failure> {
        if let Some(planned) = prepared.planned.borrow().as_ref()
            && planned.context == self.context.id
        {
            return Ok(Rc::clone(planned));
        }
        let planned = Rc::new(self.plan_text(prepared.text())?);
        *prepared.planned.borrow_mut() = Some(Rc::clone(&planned));
        Ok(planned)
    }

    /// The shards of one execution; for statements that any shard can answer, the best one.
    pub(super) fn bind(
        &self,
        planned: &Planned,
        text: &[u8],
        literals: &[Literal],
        parameters: &dyn Parameters,
    ) -> Result<ShardSet, Failure> {
        let arguments = Arguments { text, literals, parameters };
        let bound = planned
            .plan
            .bind(&arguments, planned.hint.as_ref().and_then(|hint| hint.shard.as_deref()))
            .map_err(SqlError::from)?;
        if bound.shards.len() > 1 && matches!(planned.plan.action, Action::Anywhere) {
            return Ok(ShardSet::one(self.any_shard()));
        }
        let allowed = self.fence.check_shards(&self.context.planning.topology, bound.shards);
        if planned.plan.asks_any_server() {
            let hinted = planned.hint.as_ref().is_some_and(|hint| hint.shard.is_some());
            let served = || bound.shards.iter().all(|shard| self.has_server(shard, Access::Read));
            if !hinted && (allowed.is_err() || planned.plan.asks_no_objects() && !served()) {
                return Ok(ShardSet::one(self.any_shard()));
            }
        }
        allowed?;
        Ok(bound.shards)
    }

    /// A hint may demand a role.
    pub(super) fn hinted_role(planned: &Planned) -> Option<HintRole> {
        planned.hint.as_ref().and_then(|hint| hint.role)
    }
}

/// The plan of one statement, with the combine that several shards would need.
pub fn make_plan(parsed: Parsed, text: &[u8], options: LexOptions, planning: &PlanningContext) -> Plan {
    let facts = Arc::new(parsed.facts.clone());
    // What EXPLAIN explains is combined as if it stood alone; options of EXPLAIN hold no literals.
    let (parsed, text) = match &facts.kind {
        Kind::Explain(explain) => {
            let inner = &text[explain.inner_start as usize..];
            (parse(inner, options), inner)
        }
        _ => (parsed, text),
    };
    let combine = |ways| Scatter::compile(&parsed, Source { text, options }, planning, ways);
    Plan::make(facts, planning, &combine)
}

/// Whether something that a session is pinned for may be gone afterwards.
fn lets_go(facts: &Facts) -> bool {
    let unlocks = |name: &str| name.starts_with("pg_advisory_unlock");
    match &facts.kind {
        Kind::Session(object) => matches!(
            object,
            SessionObject::Unlisten | SessionObject::Deallocate { .. } | SessionObject::CloseCursor { .. }
        ),
        Kind::Ddl { .. } => facts.words.iter().any(|word| word == "drop"),
        _ => facts.functions.iter().any(|call| unlocks(&call.name.name)),
    }
}

/// The table that the statement puts rows into, or changes rows of.
pub(super) fn written_table<'a>(plan: &Plan, planning: &'a PlanningContext) -> Option<&'a RelationInfo> {
    let target = match &plan.facts.kind {
        Kind::Copy(Copy { table: Some(table), direction: CopyDirection::FromStdin, .. }) => table,
        kind => kind.target()?,
    };
    planning.catalog.resolve(&target.name, &planning.search_path)
}
