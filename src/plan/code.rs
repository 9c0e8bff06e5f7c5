//! What the code behind a statement may do unseen: bodies of the functions that it calls, and of the triggers that it
//! fires.
//!
//! Called by `functions` and by the planning of writes. The catalog gives the words of every body, those of the functions
//! that it calls included. A body runs on one shard, so it must not name rows that are elsewhere too, and it must not
//! put SQL together that nobody can read beforehand.
//!
//! ```text
//!   SELECT f()                f's words name a sharded table            M023
//!                             … or EXECUTE, dblink(), another language  M050
//!   INSERT INTO rides …       a trigger's words name another table      M051
//!                             … or EXECUTE …                            M050
//! ```
//!
//! Words say more than there is: a variable may be called like a table. The operator then vouches for the function
//! (`[functions] trusted`), and its body is not looked at.
//!
//! Invariants:
//! 1. With one shard, or without tables elsewhere than on the default shard, nothing is refused here.
//! 2. A trigger may name what lives wholly on the shard where it fires, and its own table.

use std::collections::HashSet;

use crate::sql::facts::FunctionUse;
use crate::sql::name::ObjectName;
use crate::topology::ShardId;

use super::action::PlanningContext;
use super::home::{self, Home};
use super::refusal::{self, Refusal};

/// Words of a body that runs SQL out of a string. The catalog adds the first to bodies in languages other than SQL and
/// PL/pgSQL.
const RUNS_SQL: [&str; 12] = [
    "execute",
    "dblink",
    "dblink_exec",
    "dblink_open",
    "dblink_send_query",
    "crosstab",
    "connectby",
    "query_to_xml",
    "table_to_xml",
    "cursor_to_xml",
    "xpath_table",
    "ts_stat",
];

/// Why the function must not run, if its body may look at rows of which one shard has a part only.
pub(super) fn refuse_function(context: &PlanningContext, function: &FunctionUse) -> Option<Refusal> {
    if !is_spread(context) {
        return None;
    }
    let path = &context.search_path;
    let mut bodies =
        context.catalog.definitions(&function.name, path).filter(|(name, _)| !trusted(context, name));
    bodies.find_map(|(name, words)| {
        let names_rows = words.iter().any(|word| names_sharded(context, word));
        let limit = match (names_rows, runs_sql(words)) {
            (true, _) => &refusal::FUNCTION_READS_SHARDED,
            (false, true) => &refusal::FUNCTION_BUILDS_SQL,
            (false, false) => return None,
        };
        Some(limit.naming(&[&name.name]))
    })
}

/// Refuses a write whose triggers may do more than can be seen. `home`: the one shard that has the table's rows.
pub(super) fn refuse_triggers(
    context: &PlanningContext,
    table: &ObjectName,
    home: Option<ShardId>,
) -> Result<(), Refusal> {
    let info = home::resolve(context, table).and_then(|name| context.catalog.relations.get(&name));
    let Some(info) = info.filter(|_| is_spread(context)) else { return Ok(()) };
    let children = info.children.iter().filter_map(|child| context.catalog.relations.get(child));
    let triggers = children.chain([info]).flat_map(|relation| &relation.triggers);
    for name in triggers.filter(|name| !trusted(context, name)) {
        let Some(words) = context.catalog.function_words.get(name) else { continue };
        if runs_sql(words) {
            return Err(refusal::FUNCTION_BUILDS_SQL.naming(&[&name.name]));
        }
        let other = words.iter().find(|word| {
            let own = word.eq_ignore_ascii_case(&info.name.name);
            !own && names_elsewhere(context, word, home)
        });
        if let Some(other) = other {
            return Err(refusal::TRIGGER_NAMES_TABLE.naming(&[&info.name.name, &name.name, other]));
        }
    }
    Ok(())
}

/// Whether any rows live elsewhere than on the default shard.
fn is_spread(context: &PlanningContext) -> bool {
    context.topology.shards.len() > 1 && !context.topology.tables.is_empty()
}

fn trusted(context: &PlanningContext, name: &ObjectName) -> bool {
    context.topology.trusted_functions.contains(name)
}

/// Whether the operator vouches for a function that the name may mean.
pub(super) fn is_trusted(context: &PlanningContext, name: &ObjectName) -> bool {
    let named =
        |schema: &String| trusted(context, &ObjectName::qualified(schema.as_str(), name.name.as_str()));
    match &name.schema {
        Some(_) => trusted(context, name),
        None => context.search_path.iter().any(named),
    }
}

fn runs_sql(words: &HashSet<String>) -> bool {
    RUNS_SQL.iter().any(|word| words.contains(*word))
}

fn names_sharded(context: &PlanningContext, word: &str) -> bool {
    let named = |name: &ObjectName| name.name.eq_ignore_ascii_case(word);
    let is_sharded = |name: &ObjectName| context.topology.rule(name).is_some_and(|rule| rule.is_sharded());
    context.topology.tables.iter().any(|rule| rule.is_sharded() && named(&rule.name))
        || context
            .catalog
            .relations
            .iter()
            .any(|(name, info)| named(name) && info.reads.iter().any(is_sharded))
}

/// Whether the word may be a table that is not wholly on this shard.
fn names_elsewhere(context: &PlanningContext, word: &str, shard: Option<ShardId>) -> bool {
    let named = |name: &&ObjectName| name.name.eq_ignore_ascii_case(word);
    let known = context.catalog.relations.keys().filter(named);
    let configured = context.topology.tables.iter().map(|rule| &rule.name).filter(named);
    known.chain(configured).any(|name| match home::of(context, name) {
        Home::Sharded { .. } | Home::Reference { .. } | Home::OverSharded | Home::OverReference => true,
        Home::Single(home) => Some(home) != shard,
        Home::Elsewhere(_) => false,
    })
}
