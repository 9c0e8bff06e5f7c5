//! What the functions of a statement allow: which servers may run them, and whether several may.
//!
//! Called by `make`. Volatility comes from the catalog (the most volatile overload); what the catalog cannot say of
//! built-in functions is in the lists at the foot.
//!
//! Decisions, and why:
//! - Built-in functions that are volatile but only compute (`random()`, `gen_random_uuid()`) run anywhere, on primaries.
//! - Sizes, statistics, transaction numbers, large objects: the default shard answers for itself, as it does for its
//!   catalogs; over several shards they are refused, because one PostgreSQL would give one answer.
//! - Sequences, `NOTIFY` and transaction-level advisory locks live on the default shard, where all sessions meet.
//! - Session-level advisory locks and `setseed()` bind the session to one server; releasing locks does not.
//! - `currval()` and `lastval()` are refused: server connections are shared. `set_config()` is refused: the session must
//!   know its settings. Functions that run SQL out of a string are refused: the string may name sharded tables.
//! - A function of the user's own, or one that nobody knows, may read tables: never over several shards.

use crate::catalog::{FunctionInfo, FunctionKind, RelationInfo, RelationKind, Volatility};
use crate::sql::facts::{Block, Facts, FunctionUse, Kind, Relation, SessionObject};
use crate::sql::name::ObjectName;
use crate::topology::ShardId;

use super::action::{Access, Effect, PlanningContext};
use super::code;
use super::home::{self, Home};
use super::refusal::{self, Refusal};
use super::survey::Fixed;

/// What all functions of a statement together demand.
#[derive(Debug, Clone)]
pub(super) struct Demands {
    pub access: Access,
    /// The shard whose state or tables a function asks or changes, with that function's name.
    pub server: Option<Fixed>,
    /// A body names tables of one shard: a hint cannot send it anywhere else.
    pub reads_tables: bool,
    /// Nobody may run it.
    pub refused: Option<Refusal>,
    /// Several shards may not run it; one server may, over the rows of all.
    pub one_shard: Option<Refusal>,
    /// It is about one server, or leaves something behind: not for rows of several shards in any way.
    pub one_server: Option<Refusal>,
    /// The session must keep one server.
    pub pinned: Option<&'static str>,
    /// The first function whose value may differ between two servers.
    pub unstable: Option<String>,
    /// What the functions leave for the commit.
    effect: Effect,
    /// There is code of the users' own: what it does is not known.
    code: bool,
}

/// What one function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Immutable and built in.
    Pure,
    /// Stable and built in: the same within a statement, not on two servers.
    Stable,
    /// Volatile, built in, without effect.
    Computes,
    /// Reads the state of one server.
    ServerState,
    /// Changes the state of one server.
    ServerEffect,
    /// Changes a setting of a server's session: any server's, for the others hear of it.
    ServerSetting,
    SessionState(&'static str),
    RunsSql,
    SequenceState,
    /// Of the user's own, or not known.
    User(Volatility),
}

impl Demands {
    pub fn of(context: &PlanningContext, facts: &Facts) -> Self {
        let mut demands = Self {
            access: Access::Read,
            server: None,
            reads_tables: false,
            refused: None,
            one_shard: None,
            one_server: None,
            pinned: None,
            unstable: None,
            effect: Effect::Nothing,
            code: false,
        };
        for function in &facts.functions {
            demands.add(context, function);
            demands.look_inside(context, &function.name);
            let mut bodies = context.catalog.definitions(&function.name, &context.search_path);
            if bodies.any(|(_, words)| tells_a_former_number(|word| words.contains(word))) {
                demands.refuse(refusal::SEQUENCE_STATE.naming(&[&function.name.name]));
            }
        }
        demands.add_hidden(context, facts);
        demands.add_relations(context, &facts.block);
        if let Some(target) = facts.kind.target() {
            demands.add_relation(context, target);
        }
        demands
    }

    /// Functions that no call shows: of operators, casts and domains, and those written like a column.
    fn add_hidden(&mut self, context: &PlanningContext, facts: &Facts) {
        let hidden = &context.catalog.hidden;
        let of_operators =
            facts.operators.iter().filter_map(|operator| hidden.operators.get(operator)).flatten();
        let cast_to =
            |name: &str| facts.casts.iter().any(|cast| cast.type_name.as_deref().is_none_or(|to| to == name));
        let of_casts = hidden.casts.iter().filter(|cast| cast_to(&cast.target)).map(|cast| &cast.function);
        let of_domains = hidden.domains.iter().filter(|(name, _)| cast_to(name)).flat_map(|(_, calls)| calls);
        for function in of_operators.chain(of_casts).chain(of_domains) {
            self.code = true;
            self.raise_for(context, function);
            self.look_inside(context, function);
            if may_differ(context, function) {
                self.unstable.get_or_insert_with(|| function.name.clone());
            }
        }
        for attribute in facts.attributes.iter().filter(|name| !is_column(context, &facts.block, name)) {
            self.code = true;
            self.look_inside(context, &ObjectName::unqualified(attribute.as_str()));
        }
    }

    fn add_relations(&mut self, context: &PlanningContext, block: &Block) {
        block.relations.iter().for_each(|relation| self.add_relation(context, relation));
        block.children.iter().for_each(|child| self.add_relations(context, child));
    }

    /// What the statement's views call is called by the statement; so is what row security calls, for each row.
    fn add_relation(&mut self, context: &PlanningContext, relation: &Relation) {
        let name = home::resolve(context, &relation.name);
        let Some(info) = name.and_then(|name| context.catalog.relations.get(&name)) else { return };
        // A replica's sequence is ahead of what was drawn: as far as the log says that it may have been.
        let is_ahead = info.kind == RelationKind::Sequence;
        if is_ahead || home::is_unlogged(context, info, 0) || tells_of_its_server(&info.name) {
            self.raise(Access::ReadPrimary);
        }
        let is_view = matches!(info.kind, RelationKind::View | RelationKind::MaterializedView);
        for name in &info.calls {
            if is_view {
                self.add(context, &FunctionUse { name: name.clone(), argument_count: 0 });
            }
            self.code = true;
            self.raise_for(context, name);
            self.look_inside(context, name);
        }
        if !is_view {
            self.add_policies(context, info);
        }
        for cast in context.catalog.hidden.casts.iter().filter(|cast| cast.implicit) {
            let types = info.columns.iter().filter_map(|c| context.catalog.user_types.get(&c.type_oid));
            if types.map(|name| &name.name).any(|name| *name == cast.source || *name == cast.target) {
                self.look_inside(context, &cast.function);
            }
        }
    }

    /// A table's row security judges by rows of the same shard.
    fn add_policies(&mut self, context: &PlanningContext, info: &RelationInfo) {
        let own = match home::of(context, &info.name) {
            Home::Single(shard) => Some(shard),
            _ => None,
        };
        let elsewhere = |read: &&ObjectName| match home::of(context, read) {
            Home::Sharded { .. } | Home::OverSharded => true,
            Home::Single(shard) => Some(shard) != own,
            Home::Reference { .. } | Home::OverReference | Home::Elsewhere(_) => false,
        };
        if !code::is_spread(context) {
            return;
        }
        if let Some(read) = info.reads.iter().find(elsewhere) {
            self.refuse(refusal::POLICY_READS.naming(&[&info.name.name, &read.name]));
        }
    }

    fn add(&mut self, context: &PlanningContext, function: &FunctionUse) {
        let class = classify(context, function);
        let name = function.name.name.as_str();
        let over_shards = |limit: &refusal::Limit| Some(limit.naming(&[name]));
        match class {
            Class::Pure if !tells_numbers(name) => return,
            Class::Pure => {}
            Class::Stable => {}
            Class::Computes => self.raise(Access::ReadPrimary),
            Class::ServerState | Class::ServerEffect | Class::ServerSetting | Class::SessionState(_) => {
                self.raise(match class {
                    Class::ServerSetting => Access::Read,
                    Class::ServerState => Access::ReadPrimary,
                    _ => Access::Write,
                });
                self.effect = self.effect.with(match class {
                    Class::ServerSetting | Class::ServerState => Effect::Nothing,
                    _ => passing_effect(name).unwrap_or(Effect::Writes),
                });
                let shard = context.topology.default_shard;
                self.demand(Ok(Some(Fixed { shard, name: format!("{name}()") })));
                self.one_server = self.one_server.take().or(over_shards(&refusal::VOLATILE_OVER_SHARDS));
                if let Class::SessionState(reason) = class {
                    self.pinned = Some(reason);
                }
            }
            Class::RunsSql => self.refuse(refusal::FUNCTION_RUNS_SQL.naming(&[name])),
            Class::SequenceState => self.refuse(refusal::SEQUENCE_STATE.naming(&[name])),
            Class::User(volatility) => {
                self.code = true;
                if volatility == Volatility::Volatile {
                    self.raise(Access::Write);
                    self.effect = Effect::Writes;
                    self.one_server =
                        self.one_server.take().or(over_shards(&refusal::USER_FUNCTION_OVER_SHARDS));
                }
                self.one_shard = self.one_shard.take().or(over_shards(&refusal::USER_FUNCTION_OVER_SHARDS));
            }
        }
        self.unstable.get_or_insert_with(|| name.to_owned());
    }

    /// What is volatile may do what no replica lets it.
    fn raise_for(&mut self, context: &PlanningContext, function: &ObjectName) {
        let known = context.catalog.function(function, &context.search_path);
        if known.is_some_and(|info| info.volatility == Volatility::Volatile) {
            self.raise(Access::ReadPrimary);
        }
    }

    fn look_inside(&mut self, context: &PlanningContext, function: &ObjectName) {
        let needed = code::look_into(context, function);
        self.reads_tables |= matches!(needed, Ok(Some(_)));
        self.demand(needed);
    }

    fn demand(&mut self, needed: Result<Option<Fixed>, Refusal>) {
        match needed.and_then(|needed| code::merge(self.server.clone(), needed)) {
            Ok(server) => self.server = server,
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn raise(&mut self, access: Access) {
        self.access = self.access.max(access);
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refused.get_or_insert(refusal);
    }
}

/// What PostgreSQL's own functions of these names leave for the commit that is no row.
fn passing_effect(name: &str) -> Option<Effect> {
    match name {
        "nextval" | "setval" => Some(Effect::Draws),
        "pg_advisory_xact_lock"
        | "pg_advisory_xact_lock_shared"
        | "pg_try_advisory_xact_lock"
        | "pg_try_advisory_xact_lock_shared"
        | "pg_notify" => Some(Effect::Follows),
        _ => None,
    }
}

/// What a statement with this access leaves for the commit.
pub(super) fn effect(facts: &Facts, access: Access, context: &PlanningContext) -> Effect {
    if access != Access::Write {
        return Effect::Nothing;
    }
    if matches!(facts.kind, Kind::Session(SessionObject::Notify)) {
        return Effect::Follows;
    }
    let (Kind::Select { locking, into: false } | Kind::Session(SessionObject::DeclareCursor { locking, .. })) =
        facts.kind
    else {
        return Effect::Writes;
    };
    let passing = facts.functions.iter().any(|call| passing_effect(&call.name.name).is_some());
    let of_user = |call: &FunctionUse| matches!(classify(context, call), Class::User(_));
    if !(locking || passing) || facts.functions.iter().any(of_user) {
        return Effect::Writes;
    }
    // Rows that are locked are as they were.
    let of_rows = if locking { Effect::Follows } else { Effect::Nothing };
    match Demands::of(context, facts).effect.with(of_rows) {
        Effect::Nothing => Effect::Writes,
        effect => effect,
    }
}

/// Whether code of the users' own may run with the statement, which may write though it is said to be stable, or is not seen.
pub(super) fn runs_code(facts: &Facts, context: &PlanningContext) -> bool {
    let catalog = &context.catalog;
    let may_run = !catalog.loaded || !catalog.function_words.is_empty();
    may_run && Demands::of(context, facts).code
}

/// The shard that the code of a statement must run on, if there is one; refused where no shard will do.
pub fn shard_of_code(context: &PlanningContext, facts: &Facts) -> Result<Option<ShardId>, Refusal> {
    let demands = Demands::of(context, facts);
    demands.refused.map_or(Ok(demands.server.map(|server| server.shard)), Err)
}

/// The same of one function.
pub fn shard_of_function(context: &PlanningContext, name: &ObjectName) -> Result<Option<ShardId>, Refusal> {
    code::look_into(context, name).map(|needed| needed.map(|needed| needed.shard))
}

/// Sequences by which the statement's functions may draw or set numbers, by their bare names, folded.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbering {
    /// On another shard than the default one, where functions run; and tables that such sequences number, if a function looks
    /// sequences up by their tables.
    pub elsewhere: Vec<(String, ShardId)>,
    /// The default shard's, and tables likewise.
    pub here: Vec<String>,
    /// The statement does nothing but call such functions: it can be run where the sequence is.
    pub alone: bool,
}

impl Numbering {
    /// None where no sequence is elsewhere, or none is asked.
    pub fn of(facts: &Facts, context: &PlanningContext) -> Option<Self> {
        const DRAWING: [&str; 3] = ["nextval", "setval", "pg_sequence_last_value"];
        // Of code, and of a write that is prepared, there are the words only.
        let unseen = matches!(facts.kind, Kind::Do | Kind::Session(SessionObject::Prepare { .. }));
        let words = if unseen { facts.words.as_slice() } else { &[] };
        let calls = |name: &str| {
            let mut functions = facts.functions.iter();
            functions.any(|call| call.name.name == name) || words.iter().any(|word| word == name)
        };
        let away = |info: &RelationInfo| {
            let shard = home::shard_of_owner(&context.topology, info);
            shard.filter(|shard| *shard != context.topology.default_shard)
        };
        let relations = || context.catalog.relations.values();
        if !DRAWING.into_iter().any(calls) || !relations().any(|info| away(info).is_some()) {
            return None;
        }
        let by_table = calls("pg_get_serial_sequence");
        let plain = matches!(facts.kind, Kind::Select { locking: false, into: false })
            && facts.block.relations.is_empty()
            && facts.block.children.is_empty();
        let of_sequences = |call: &FunctionUse| {
            let name = call.name.name.as_str();
            DRAWING.contains(&name) || name == "pg_get_serial_sequence"
        };
        let mut found = Self { alone: plain && facts.functions.iter().all(of_sequences), ..Self::default() };
        for info in relations() {
            let owner = info.owner.as_ref().filter(|_| by_table);
            let names = [Some(&info.name), owner].into_iter().flatten().map(|name| folded(&name.name));
            match (away(info), info.kind) {
                (Some(shard), _) => found.elsewhere.extend(names.map(|name| (name, shard))),
                (None, RelationKind::Sequence) => found.here.extend(names),
                (None, _) => {}
            }
        }
        Some(found)
    }

    /// The shard of what the text names elsewhere, and whether it names one here; qualified or not.
    pub fn names(&self, text: &str) -> (Option<ShardId>, bool) {
        let text = folded(text.trim());
        let ends = |name: &String| {
            text == *name || text.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'))
        };
        let elsewhere = self.elsewhere.iter().find(|(name, _)| ends(name)).map(|(_, shard)| *shard);
        (elsewhere, self.here.iter().any(ends))
    }
}

/// As names are compared here: without quotes, and whatever their case.
fn folded(name: &str) -> String {
    name.replace('"', "").to_lowercase()
}

/// What sessions do and have on the server that is asked: they are expected where most of them are.
fn tells_of_its_server(relation: &ObjectName) -> bool {
    const RELATIONS: [&str; 5] =
        ["pg_locks", "pg_prepared_xacts", "pg_replication_slots", "pg_cursors", "pg_settings"];
    let name = relation.name.as_str();
    relation.schema.as_deref() == Some("pg_catalog")
        && (name.starts_with("pg_stat_") || name.starts_with("pg_statio_") || RELATIONS.contains(&name))
}

fn classify(context: &PlanningContext, function: &FunctionUse) -> Class {
    let name = function.name.name.as_str();
    let known = context.catalog.function(&function.name, &context.search_path);
    let built_in = match known {
        Some(info) if info.built_in => info,
        Some(_)
            if code::runs_sql(name, Some(function.argument_count))
                && !code::is_trusted(context, &function.name) =>
        {
            return Class::RunsSql;
        }
        Some(info) => return Class::User(info.volatility),
        None if function.name.schema.is_none() && PURE_SYNTAX.contains(&name) => return Class::Pure,
        None if function.name.schema.is_none() && STABLE_SYNTAX.contains(&name) => return Class::Stable,
        None => return listed(name, function.argument_count).unwrap_or(Class::User(Volatility::Volatile)),
    };
    listed(name, function.argument_count).unwrap_or_else(|| by_volatility(built_in))
}

/// Whether code of these words tells what a sequence has given to the session before: on a shared connection it is another
/// session's. What code has just had given to it is its own.
pub(super) fn tells_a_former_number(has: impl Fn(&str) -> bool) -> bool {
    ["currval", "lastval"].into_iter().any(&has) && !["nextval", "insert", "setval"].into_iter().any(&has)
}

/// Whether a relation of the statement has a column of that name.
fn is_column(context: &PlanningContext, block: &Block, name: &str) -> bool {
    let has = |relation: &Relation| {
        let info =
            home::resolve(context, &relation.name).and_then(|name| context.catalog.relations.get(&name));
        info.is_some_and(|info| info.columns.iter().any(|column| column.name == name))
    };
    block.relations.iter().any(has) || block.children.iter().any(|child| is_column(context, child, name))
}

/// Whether it is an immutable function of PostgreSQL's whose value has in it what a server calls a type: those of the users' own
/// have other numbers on other servers.
pub(super) fn tells_numbers(name: &str) -> bool {
    const HASHES: [&str; 5] = ["hashenum", "hash_array", "hash_record", "hash_range", "hash_multirange"];
    const SENDS: [&str; 5] = ["array_send", "record_send", "anyarray_send", "range_send", "multirange_send"];
    let plain = name.trim_end_matches("_extended").trim_end_matches("extended");
    HASHES.contains(&plain) || SENDS.contains(&name)
}

/// Whether it is a function whose value may differ between two servers; what is none, such as a type, does not.
pub(super) fn may_differ(context: &PlanningContext, name: &ObjectName) -> bool {
    if tells_numbers(&name.name) {
        return true;
    }
    let known = context.catalog.function(name, &context.search_path);
    let follows_settings = |info: FunctionInfo| info.built_in && CONVERSIONS.contains(&name.name.as_str());
    known.is_some_and(|info| info.volatility != Volatility::Immutable && !follows_settings(info))
}

/// Whether it is a call without parentheses, of what may differ between two servers.
pub(super) fn is_stable_keyword(word: &str) -> bool {
    STABLE_SYNTAX.contains(&word)
}

/// Conversions of PostgreSQL's that are called like types, and what it has beside them: stable for the sake of the session's
/// settings alone, which are the same everywhere.
const CONVERSIONS: &[&str] = &[
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "numeric",
    "text",
    "to_char",
    "to_date",
    "to_timestamp",
    "timezone",
    "date_trunc",
    "date_part",
    "extract",
    "concat",
    "concat_ws",
    "format",
    "to_json",
    "to_jsonb",
    "jsonb_build_object",
    "json_build_object",
    "jsonb_build_array",
    "json_build_array",
];

fn by_volatility(info: FunctionInfo) -> Class {
    match (info.volatility, info.kind) {
        (Volatility::Immutable, _) => Class::Pure,
        // Aggregates depend on the order of their input.
        (Volatility::Stable, _) => Class::Stable,
        (Volatility::Volatile, FunctionKind::Procedure) => Class::ServerEffect,
        (Volatility::Volatile, _) => Class::ServerEffect,
    }
}

/// The built-in functions of which more is known than their volatility.
fn listed(name: &str, argument_count: usize) -> Option<Class> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    Some(match name {
        "random" | "random_normal" | "clock_timestamp" | "gen_random_uuid" | "uuidv4" | "uuidv7"
        | "timeofday" | "pg_sleep" | "pg_sleep_for" | "pg_sleep_until" => Class::Computes,
        // Stable for the sake of their arguments' output alone, which follows settings that are the same everywhere.
        "json_build_object" | "json_build_array" | "jsonb_build_object" | "jsonb_build_array" | "to_json"
        | "to_jsonb" | "row_to_json" | "array_to_json" | "array_to_string" | "concat" | "concat_ws"
        | "format" => Class::Pure,
        "nextval" | "setval" | "pg_notify" => Class::ServerEffect,
        "currval" | "lastval" => Class::SequenceState,
        // The session asks the server afterwards what has been set.
        "set_config" => Class::ServerSetting,
        "setseed" => Class::SessionState("setseed()"),
        _ if code::runs_sql(name, Some(argument_count)) => Class::RunsSql,
        _ if starts(&["pg_advisory_xact_lock", "pg_try_advisory_xact_lock"]) => Class::ServerEffect,
        // What there is to be released is on the server that the session is pinned to.
        _ if starts(&["pg_advisory_unlock"]) => Class::ServerEffect,
        _ if starts(&["pg_advisory_", "pg_try_advisory_"]) => {
            Class::SessionState("a session's advisory lock")
        }
        "pg_relation_size"
        | "pg_table_size"
        | "pg_total_relation_size"
        | "pg_indexes_size"
        | "pg_database_size"
        | "pg_tablespace_size"
        | "pg_is_in_recovery"
        | "pg_backend_pid"
        | "pg_relation_filepath"
        | "pg_blocking_pids"
        | "pg_lock_status"
        | "pg_show_all_settings"
        | "txid_current"
        | "pg_current_xact_id"
        | "inet_server_addr"
        | "inet_server_port"
        | "pg_postmaster_start_time" => Class::ServerState,
        _ if starts(&["pg_stat_get_", "pg_last_", "pg_current_wal"]) => Class::ServerState,
        _ => return None,
    })
}

/// Written as functions, but grammar: not in pg_proc.
const PURE_SYNTAX: &[&str] = &[
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "row",
    "grouping",
    "exists",
    "array",
    "extract",
    "overlay",
    "position",
    "substring",
    "trim",
    "normalize",
    "treat",
    "values",
    "any",
    "some",
    "all",
    "xmlconcat",
    "xmlelement",
    "xmlforest",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmlexists",
    "json_object",
    "json_array",
    "json_objectagg",
    "json_arrayagg",
    "json_value",
    "json_query",
    "json_exists",
    "json_scalar",
    "json_serialize",
    "json",
];

const STABLE_SYNTAX: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_user",
    "session_user",
    "system_user",
    "user",
    "current_role",
    "current_schema",
    "current_catalog",
];
