//! Which functions may run on every shard, and which may stand where.
//!
//! A function that is not known is never taken for harmless. Built-in functions are known by the catalog's
//! volatility and by the short lists here; functions of users may read tables unless they are immutable.
//!
//! Not here: which aggregates can be combined ([`super::aggregates`]).

use crate::catalog::{FunctionKind, Volatility};
use crate::plan::PlanningContext;
use crate::plan::functions::tells_numbers;
use crate::plan::refusal::Refusal;
use crate::sql::facts::FunctionUse;
use crate::sql::name::ObjectName;

use super::refusals::Reason;

/// How the value of a call may differ between evaluations on several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steadiness {
    /// The same on every server.
    Steady,
    /// The clock: one value per statement, but another on another server.
    Clock,
    /// About the one server that is asked: current_database(), pg_backend_pid().
    ServerDependent,
    /// Another value for every row: random().
    Volatile,
}

/// Spelled like functions, but no functions of the catalog.
const GRAMMAR: &str = "coalesce nullif greatest least extract position substring overlay trim ceil floor normalize \
    row array collation treat xmlconcat xmlelement cast exists grouping";

/// The clock: one value per statement, but another on another server. age() with one argument reads it.
const CLOCK: &str = "now current_timestamp current_date current_time localtime localtimestamp \
    transaction_timestamp statement_timestamp";

/// About the one server that is asked. So are all functions `pg_…` but those of [`STEADY_PG`].
const SERVER: &str = "current_database current_catalog version inet_server_addr inet_server_port inet_client_addr \
    inet_client_port txid_current txid_current_if_assigned txid_current_snapshot current_setting current_query \
    lastval currval to_regclass to_regtype to_regproc to_regnamespace to_regrole";

/// Volatile, but equally right when each server evaluates it for its own rows.
const VOLATILE: &str = "random gen_random_uuid clock_timestamp timeofday uuidv4 uuidv7 random_normal";

/// Names of the built-in functions `pg_…` that say the same on every server.
const STEADY_PG: &str =
    "pg_typeof pg_column_size pg_collation_for pg_client_encoding pg_size_pretty pg_input_is_valid pg_sleep";

/// Spelled without parentheses or by the session's own identity, which is the same everywhere.
const SESSION: &str = "current_user session_user user current_role current_schema current_schemas";

fn listed(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == name)
}

/// What is known of a call by its name.
pub fn steadiness(name: &ObjectName, argument_count: usize) -> Steadiness {
    let name = name.name.as_str();
    if listed(VOLATILE, name) {
        Steadiness::Volatile
    } else if listed(CLOCK, name) || (name == "age" && argument_count == 1) {
        Steadiness::Clock
    } else if listed(SERVER, name)
        || tells_numbers(name)
        || (name.starts_with("pg_") && !listed(STEADY_PG, name))
    {
        Steadiness::ServerDependent
    } else {
        Steadiness::Steady
    }
}

/// Whether every shard may call the function over its own rows.
pub fn may_run(call: &FunctionUse, ctx: &PlanningContext) -> Result<(), Refusal> {
    let name = call.name.name.as_str();
    let steadiness = steadiness(&call.name, call.argument_count);
    let built_in_name = call.name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
    let grammatical = [GRAMMAR, SESSION, CLOCK, SERVER].iter().any(|list| listed(list, name));
    let info = match ctx.catalog.function(&call.name, &ctx.search_path) {
        Some(info) => info,
        None if built_in_name && grammatical => return Ok(()),
        None => return Err(Reason::UnknownFunction.refusal(&call.name.to_string())),
    };
    if shadowed(&call.name, ctx) || !info.built_in {
        let harmless = info.volatility == Volatility::Immutable && info.kind == FunctionKind::Function;
        return match harmless {
            true => Ok(()),
            false => Err(Reason::UserFunction.refusal(&call.name.to_string())),
        };
    }
    if name.ends_with("_to_xml") || name.ends_with("_to_xmlschema") || name == "ts_stat" {
        return Err(Reason::UserFunction.refusal(name));
    }
    if info.volatility == Volatility::Volatile && steadiness != Steadiness::Volatile && !steady_volatile(name)
    {
        return Err(Reason::VolatileFunction.refusal(name));
    }
    Ok(())
}

/// Declared volatile without being so in a way that matters.
fn steady_volatile(name: &str) -> bool {
    matches!(name, "pg_sleep" | "pg_sleep_for" | "statement_timestamp")
}

/// A built-in name that a schema in the path defines too: which one is meant depends on the types.
pub fn shadowed(name: &ObjectName, ctx: &PlanningContext) -> bool {
    name.schema.is_none()
        && ctx.search_path.iter().filter(|schema| *schema != "pg_catalog").any(|schema| {
            ctx.catalog.functions.contains_key(&ObjectName::qualified(schema.as_str(), name.name.as_str()))
        })
}
