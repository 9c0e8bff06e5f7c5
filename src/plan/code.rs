//! What the code behind a statement may do unseen: bodies of the functions that it calls, whatever calls them.
//!
//! Called by `functions` for what a statement calls, by `fired` for what a write runs, and by `commands` for words of
//! texts that are not followed. The catalog gives the words of every body, those of the functions that it calls
//! included. A body runs on one shard: the rows that it names must be there, and it must not put SQL together that nobody
//! can read beforehand.
//!
//! ```text
//!   SELECT f()        f's words name a sharded table                    M023
//!                     … or EXECUTE, dblink(), another language          M050
//!                     … or a reference table, beside INSERT or UPDATE   M055
//!                     … or DDL of what lasts                             M073
//!                     … or a table of one shard      runs there, or is refused
//! ```
//!
//! Words say more than there is: a variable may be called like a table. The operator then vouches for the function
//! (`[functions] trusted`), and its body is not looked at.
//!
//! Invariants:
//! 1. With one shard, or without tables elsewhere than on the default shard, nothing is refused here.
//! 2. What runs SQL out of a string is said in one place, [`runs_sql`].

use std::collections::HashSet;

use crate::catalog::reading::DEFINES;
use crate::sql::name::ObjectName;

use super::action::PlanningContext;
use super::fired;
use super::home::{self, Home};
use super::refusal::{self, Refusal};
use super::survey::Fixed;

/// Whether a function of that name runs SQL that stands in its arguments. `arguments`: how many there are, where that
/// is known. `execute` is PL/pgSQL's word; the catalog adds it to what cannot be read.
pub(super) fn runs_sql(name: &str, arguments: Option<usize>) -> bool {
    const NAMES: [&str; 2] = ["execute", "ts_stat"];
    /// Built-in functions; dblink, tablefunc, xml2 and pgRouting.
    const BEGINNINGS: [&str; 9] = [
        "query_to_xml",
        "table_to_xml",
        "schema_to_xml",
        "database_to_xml",
        "cursor_to_xml",
        "dblink",
        "crosstab",
        "connectby",
        "xpath_table",
    ];
    NAMES.contains(&name)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || name.starts_with("pgr_")
        // The form with two arguments takes a SELECT.
        || (name == "ts_rewrite" && arguments.is_none_or(|count| count == 2))
}

/// Whether the words are those of a body that may write.
pub(super) fn writes(words: &HashSet<String>) -> bool {
    ["insert", "update", "delete", "merge", "truncate", "copy"].iter().any(|word| words.contains(*word))
}

/// The shard that the function must run on, and what demands it; refused where no shard will do.
pub(super) fn look_into(context: &PlanningContext, name: &ObjectName) -> Result<Option<Fixed>, Refusal> {
    if !is_spread(context) {
        return Ok(None);
    }
    let mut needed = None;
    for (name, words) in context.catalog.definitions(name, &context.search_path) {
        if !is_vouched_for(context, name) {
            needed = merge(needed, look_at(context, &name.name, words)?)?;
        }
    }
    Ok(needed)
}

/// As [`look_into`], for every function that a text names in whatever schema.
pub(super) fn look_into_named(context: &PlanningContext, text: &[String]) -> Result<Option<Fixed>, Refusal> {
    if !is_spread(context) {
        return Ok(None);
    }
    let mut needed = None;
    for (name, words) in &context.catalog.function_words {
        let named = text.contains(&name.name);
        if named && !is_vouched_for(context, name) {
            needed = merge(needed, look_at(context, &name.name, words)?)?;
        }
    }
    Ok(needed)
}

/// Two demands that one shard meets, or the refusal of both.
pub(super) fn merge(one: Option<Fixed>, other: Option<Fixed>) -> Result<Option<Fixed>, Refusal> {
    match (one, other) {
        (Some(one), Some(other)) if one.shard != other.shard => {
            Err(refusal::MIXED_HOMES.naming(&[&one.name, &other.name]))
        }
        (one, other) => Ok(one.or(other)),
    }
}

fn look_at(
    context: &PlanningContext,
    function: &str,
    words: &HashSet<String>,
) -> Result<Option<Fixed>, Refusal> {
    let mut needed = None;
    for (relation, home) in named(context, words) {
        match home {
            Home::Sharded { .. } | Home::OverSharded => {
                return Err(refusal::FUNCTION_READS_SHARDED.naming(&[function]));
            }
            Home::Reference { .. } | Home::OverReference if writes(words) => {
                return Err(refusal::FUNCTION_WRITES_REFERENCE.naming(&[function]));
            }
            Home::Reference { .. } | Home::OverReference | Home::Elsewhere(_) => {}
            Home::Single(shard) => {
                if writes(words) {
                    fired::refuse_triggers(context, relation, Some(shard))?;
                }
                needed = merge(needed, Some(Fixed { shard, name: format!("{function}()") }))?;
            }
        }
    }
    if words.iter().any(|word| runs_sql(word, None)) {
        return Err(refusal::FUNCTION_BUILDS_SQL.naming(&[function]));
    }
    if words.contains(DEFINES) {
        return Err(refusal::FUNCTION_DEFINES.naming(&[function]));
    }
    if words.iter().any(|word| is_of_default_shard(word)) {
        let shard = context.topology.default_shard;
        needed = merge(needed, Some(Fixed { shard, name: format!("{function}()") }))?;
    }
    Ok(needed)
}

/// Words for what all sessions share, which the default shard has.
pub(super) fn is_of_default_shard(word: &str) -> bool {
    word == "pg_notify"
        || word == "notify"
        || word.starts_with("pg_advisory_")
        || word.starts_with("pg_try_advisory_")
}

/// The relations that the words may name, each with its home. A name of several words is named by all of them.
pub(super) fn named<'c>(
    context: &'c PlanningContext,
    words: &HashSet<String>,
) -> impl Iterator<Item = (&'c ObjectName, Home<'c>)> {
    let is_named = |name: &ObjectName| {
        let mut parts =
            name.name.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|part| !part.is_empty());
        parts.all(|part| words.contains(&part.to_lowercase()))
    };
    let configured = context.topology.tables.iter().map(|rule| &rule.name);
    let names: Vec<&ObjectName> =
        context.catalog.relations.keys().chain(configured).filter(|name| is_named(name)).collect();
    names.into_iter().map(|name| (name, home::of(context, name)))
}

/// Whether any rows live elsewhere than on the default shard.
pub(super) fn is_spread(context: &PlanningContext) -> bool {
    context.topology.is_spread()
}

/// The operator vouches for this very function.
pub(super) fn is_vouched_for(context: &PlanningContext, name: &ObjectName) -> bool {
    context.topology.trusted_functions.contains(name)
}

/// Whether the operator vouches for a function that the name may mean.
pub(super) fn is_trusted(context: &PlanningContext, name: &ObjectName) -> bool {
    let named = |schema: &String| {
        is_vouched_for(context, &ObjectName::qualified(schema.as_str(), name.name.as_str()))
    };
    match &name.schema {
        Some(_) => is_vouched_for(context, name),
        None => context.search_path.iter().any(named),
    }
}
