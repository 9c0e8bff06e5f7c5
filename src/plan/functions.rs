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
//! - Session-level advisory locks and `setseed()` bind the session to one server.
//! - `currval()` and `lastval()` are refused: server connections are shared. `set_config()` is refused: the session must
//!   know its settings. Functions that run SQL out of a string are refused: the string may name sharded tables.
//! - A function of the user's own, or one that nobody knows, may read tables: never over several shards.

use crate::catalog::{FunctionInfo, FunctionKind, Volatility};
use crate::sql::facts::{Block, Facts, FunctionUse};
use crate::sql::name::ObjectName;

use super::action::{Access, PlanningContext};
use super::code;
use super::home;
use super::refusal::{self, Refusal};

/// What all functions of a statement together demand.
#[derive(Debug, Clone)]
pub(super) struct Demands {
    pub access: Access,
    /// The state of the default shard is asked or changed, by this function.
    pub default_shard: Option<String>,
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
            default_shard: None,
            refused: None,
            one_shard: None,
            one_server: None,
            pinned: None,
            unstable: None,
        };
        for function in &facts.functions {
            demands.add(function, classify(context, function));
            demands.look_inside(context, function);
        }
        demands.add_views(context, &facts.block);
        demands
    }

    /// What the statement's views call is called by the statement.
    fn add_views(&mut self, context: &PlanningContext, block: &Block) {
        for relation in &block.relations {
            let view = home::resolve(context, &relation.name);
            let calls = view.and_then(|name| context.catalog.relations.get(&name)).map(|view| &view.calls);
            for name in calls.into_iter().flatten() {
                let function = FunctionUse { name: name.clone(), argument_count: 0 };
                self.add(&function, classify(context, &function));
                self.look_inside(context, &function);
            }
        }
        for child in &block.children {
            self.add_views(context, child);
        }
    }

    fn add(&mut self, function: &FunctionUse, class: Class) {
        let name = function.name.name.as_str();
        let over_shards = |limit: &refusal::Limit| Some(limit.naming(&[name]));
        match class {
            Class::Pure => return,
            Class::Stable => {}
            Class::Computes => self.raise(Access::ReadPrimary),
            Class::ServerState | Class::ServerEffect | Class::SessionState(_) => {
                self.raise(if class == Class::ServerState { Access::ReadPrimary } else { Access::Write });
                self.default_shard.get_or_insert_with(|| name.to_owned());
                self.one_server = self.one_server.take().or(over_shards(&refusal::VOLATILE_OVER_SHARDS));
                if let Class::SessionState(reason) = class {
                    self.pinned = Some(reason);
                }
            }
            Class::RunsSql => self.refuse(refusal::FUNCTION_RUNS_SQL.naming(&[name])),
            Class::SequenceState => self.refuse(refusal::SEQUENCE_STATE.naming(&[name])),
            Class::User(volatility) => {
                if volatility == Volatility::Volatile {
                    self.raise(Access::Write);
                    self.one_server =
                        self.one_server.take().or(over_shards(&refusal::USER_FUNCTION_OVER_SHARDS));
                }
                self.one_shard = self.one_shard.take().or(over_shards(&refusal::USER_FUNCTION_OVER_SHARDS));
            }
        }
        self.unstable.get_or_insert_with(|| name.to_owned());
    }

    fn look_inside(&mut self, context: &PlanningContext, function: &FunctionUse) {
        if let Some(refusal) = code::refuse_function(context, function) {
            self.refuse(refusal);
        }
    }

    fn raise(&mut self, access: Access) {
        self.access = self.access.max(access);
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refused.get_or_insert(refusal);
    }
}

fn classify(context: &PlanningContext, function: &FunctionUse) -> Class {
    let name = function.name.name.as_str();
    let known = context.catalog.function(&function.name, &context.search_path);
    let built_in = match known {
        Some(info) if info.built_in => info,
        Some(_) if runs_sql_of_extension(name) && !code::is_trusted(context, &function.name) => {
            return Class::RunsSql;
        }
        Some(info) => return Class::User(info.volatility),
        None if function.name.schema.is_none() && PURE_SYNTAX.contains(&name) => return Class::Pure,
        None if function.name.schema.is_none() && STABLE_SYNTAX.contains(&name) => return Class::Stable,
        None => return listed(name, function.argument_count).unwrap_or(Class::User(Volatility::Volatile)),
    };
    listed(name, function.argument_count).unwrap_or_else(|| by_volatility(built_in))
}

/// Of dblink, tablefunc, xml2 and pgRouting: they take a statement as an argument.
fn runs_sql_of_extension(name: &str) -> bool {
    ["dblink", "crosstab", "connectby", "xpath_table", "pgr_"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a word of DDL is a function whose value may differ between two servers.
pub(super) fn may_differ(context: &PlanningContext, word: &str) -> bool {
    let name = ObjectName::unqualified(word);
    let known = context.catalog.function(&name, &context.search_path);
    STABLE_SYNTAX.contains(&word) || known.is_some_and(|info| info.volatility != Volatility::Immutable)
}

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
        "nextval" | "setval" | "pg_notify" => Class::ServerEffect,
        "currval" | "lastval" => Class::SequenceState,
        // The session asks the server afterwards what has been set.
        "set_config" => Class::ServerEffect,
        "setseed" => Class::SessionState("setseed()"),
        "ts_stat" => Class::RunsSql,
        // The form with two arguments takes a SELECT.
        "ts_rewrite" if argument_count == 2 => Class::RunsSql,
        _ if starts(&["pg_advisory_xact_lock", "pg_try_advisory_xact_lock"]) => Class::ServerEffect,
        _ if starts(&["pg_advisory_", "pg_try_advisory_"]) => {
            Class::SessionState("a session's advisory lock")
        }
        _ if starts(&[
            "query_to_xml",
            "table_to_xml",
            "schema_to_xml",
            "database_to_xml",
            "cursor_to_xml",
        ]) =>
        {
            Class::RunsSql
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
