//! Values that DDL computes for rows that are there, on each shard for itself.
//!
//! Called by `commands`. On a reference table they must be the same everywhere; on a sharded one each shard would count its
//! rows from one.
//!
//! ```text
//!   ALTER TABLE rates ADD COLUMN price numeric(10, 2) DEFAULT 0         the same everywhere
//!                     ADD COLUMN seen timestamptz DEFAULT now()         M046
//!   ALTER TABLE rides ADD COLUMN number serial                          M057
//! ```
//!
//! Invariants:
//! 1. A column that is added to a reference table, or converted, has the same values on every shard.

use crate::catalog::Volatility;
use crate::sql::computed_of_text;
use crate::sql::facts::{Alteration, Computed, Facts, Kind};
use crate::sql::name::ObjectName;
use crate::topology::Placement;

use super::action::PlanningContext;
use super::alterations::altered;
use super::code;
use super::commands::has_word;
use super::functions;
use super::home::{self, Home};
use super::refusal::{self, Refusal};

/// Types whose values are no times, however they are written.
const TEXTS: [&str; 11] =
    ["text", "varchar", "character", "varying", "char", "bpchar", "name", "citext", "json", "jsonb", "bytea"];

/// Types whose values may be written as the present.
const TIMES: [&str; 11] = [
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "tsrange",
    "tstzrange",
    "daterange",
    "tsmultirange",
    "tstzmultirange",
    "datemultirange",
];

/// What each server has of its own: columns of rows, and numbers of objects.
const OF_SERVERS: [&str; 17] = [
    "xmin",
    "xmax",
    "cmin",
    "cmax",
    "ctid",
    "tableoid",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
];

/// Types that are made of a sequence, by all their names.
fn is_serial(word: &str) -> bool {
    ["serial", "serial2", "serial4", "serial8", "bigserial", "smallserial"].contains(&word)
}

/// ALTER TABLE reference ADD COLUMN …, ALTER COLUMN … TYPE … USING.
pub(super) fn refuse(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    let Kind::Ddl { alters, .. } = &facts.kind else { return Ok(()) };
    let reference = |table: &ObjectName| match home::of(context, table) {
        Home::Reference { rule, .. } => Some(rule),
        _ => None,
    };
    let Some(rule) = altered(facts, context).iter().find_map(reference) else { return Ok(()) };
    match alters.iter().find_map(|alteration| differing(context, alteration)) {
        Some(cause) => Err(refusal::DDL_VALUES.naming(&[&cause, &rule.name.name])),
        None => Ok(()),
    }
}

/// A default that keeps the time of its definition is another on each shard: of tables whose rows are on several, and of domains.
pub(super) fn refuse_timed_defaults(
    facts: &Facts,
    context: &PlanningContext,
    creates: Option<&ObjectName>,
) -> Result<(), Refusal> {
    let Kind::Ddl { alters, .. } = &facts.kind else { return Ok(()) };
    let is_text = |words: &[String]| words.iter().any(|word| TEXTS.contains(&word.as_str()));
    let timed = alters.iter().find_map(|alteration| match alteration {
        Alteration::Defaults { words, clock } if !is_text(words) => Some(clock.as_str()),
        Alteration::Copies(source) => copied_time(context, source),
        _ => None,
    });
    let Some(clock) = timed.filter(|_| code::is_spread(context)) else { return Ok(()) };
    let parents = alters.iter().filter_map(|alteration| match alteration {
        Alteration::Born(parents) => Some(parents),
        _ => None,
    });
    let altered = altered(facts, context);
    let mut tables = creates.into_iter().chain(&altered).chain(parents.flatten());
    let is_spread =
        |name: &ObjectName| matches!(home::of(context, name), Home::Sharded { .. } | Home::Reference { .. });
    match has_word(facts, "domain") || tables.any(is_spread) {
        true => Err(refusal::TIMED_DEFAULT.naming(&[clock])),
        false => Ok(()),
    }
}

/// A default of a table without a rule that is a time: of that table's rows, which are on one shard, each shard may keep its own.
fn copied_time<'c>(context: &'c PlanningContext, source: &ObjectName) -> Option<&'c str> {
    if matches!(home::of(context, source), Home::Sharded { .. } | Home::Reference { .. }) {
        return None;
    }
    let info = context.catalog.resolve(source, &context.search_path)?;
    info.columns.iter().filter_map(|column| column.default.as_deref()).find(|default| is_time(default))
}

/// Whether the text of a default is a constant of a type of dates and times.
fn is_time(default: &str) -> bool {
    let Some((literal, kind)) = default.rsplit_once("'::") else { return false };
    let kinds = ["date", "time", "tsrange", "tstzrange", "tsmultirange", "tstzmultirange"];
    literal.bytes().any(|byte| byte.is_ascii_digit()) && kinds.iter().any(|name| kind.starts_with(name))
}

/// What is called for rows that are there must find on their shard what it reads; and it must not number them, which each shard
/// would do from one.
pub(super) fn refuse_calls(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    let Kind::Ddl { alters, .. } = &facts.kind else { return Ok(()) };
    if !code::is_spread(context) {
        return Ok(());
    }
    altered(facts, context).iter().try_for_each(|table| refuse_calls_for(context, table, alters))
}

fn refuse_calls_for(
    context: &PlanningContext,
    table: &ObjectName,
    alters: &[Alteration],
) -> Result<(), Refusal> {
    let home = home::of(context, table);
    let shard = match home {
        Home::Single(shard) | Home::Elsewhere(shard) => Some(shard),
        _ => None,
    };
    for alteration in alters {
        let (words, computed) = match alteration {
            Alteration::Adds { words, computed, .. } => (words, computed),
            Alteration::Retypes { words, converted: true, computed, .. } => (words, computed),
            _ => continue,
        };
        let inherited = words.last().and_then(|name| context.catalog.hidden.domain_defaults.get(name));
        let inherited = inherited.map(|text| computed_of_text(text).calls).unwrap_or_default();
        for call in computed.calls.iter().chain(&inherited) {
            if matches!(home, Home::Sharded { .. }) && counts(context, call) {
                return Err(refusal::NUMBERED_ROWS.naming(&[&table.name]));
            }
            if let Some(needed) = code::look_into(context, call)?.filter(|needed| Some(needed.shard) != shard)
            {
                return Err(refusal::MIXED_HOMES.naming(&[&table.name, &needed.name]));
            }
        }
    }
    Ok(())
}

/// Whether it draws from a sequence, itself or in its definition.
fn counts(context: &PlanningContext, call: &ObjectName) -> bool {
    call.name == "nextval"
        || context.catalog.definitions(call, &context.search_path).any(|(_, words)| words.contains("nextval"))
}

/// What may make the values of this column differ between servers.
fn differing(context: &PlanningContext, alteration: &Alteration) -> Option<String> {
    match alteration {
        Alteration::Adds { words, filled, computed } => {
            let serial = words.iter().find(|word| is_serial(word));
            let counts = serial.or_else(|| computed.words.iter().find(|word| *word == "identity"));
            if let Some(word) = counts {
                return Some(word.clone());
            }
            match filled {
                true => cause(context, words, computed),
                false => of_domain(context, words),
            }
        }
        Alteration::Retypes { words, converted: true, computed, .. } => cause(context, words, computed),
        _ => None,
    }
}

/// The default of a domain is that of the column.
fn of_domain(context: &PlanningContext, words: &[String]) -> Option<String> {
    let text = context.catalog.hidden.domain_defaults.get(words.last()?)?;
    cause(context, &[], &computed_of_text(text))
}

fn cause(context: &PlanningContext, of_type: &[String], computed: &Computed) -> Option<String> {
    let calls = computed.calls.iter().find(|name| functions::may_differ(context, name));
    let is_own = |word: &str| OF_SERVERS.contains(&word);
    let keyword = |word: &&String| functions::is_stable_keyword(word) || is_own(word);
    let keyword = || computed.words.iter().find(keyword).cloned();
    let hidden = &context.catalog.hidden.operators;
    let is_unsteady = |name: &ObjectName| {
        let known = context.catalog.function(name, &context.search_path);
        known.is_none_or(|info| info.volatility != Volatility::Immutable)
    };
    let of_user =
        |operator: &&String| hidden.get(*operator).is_some_and(|calls| calls.iter().any(is_unsteady));
    let operator = || computed.operators.iter().find(of_user).cloned();
    let is_time = |word: &String| TIMES.contains(&word.as_str());
    let is_text = |word: &String| TEXTS.contains(&word.as_str());
    // Of a type that is not known it may be a part.
    let reads_times = of_type.iter().chain(&computed.words).any(is_time) || !of_type.iter().all(is_text);
    let clock = || computed.clock.clone().filter(|_| reads_times);
    calls.map(|name| format!("{}()", name.name)).or_else(keyword).or_else(operator).or_else(clock)
}

/// The same where there are words only: in the code of DO.
pub(super) fn refuse_by_words(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    let counts = |word: &str| is_serial(word) || word == "identity";
    let has_default = |word: &String| matches!(word.as_str(), "default" | "generated") || counts(word);
    let defines = has_word(facts, "add") || has_word(facts, "set");
    let fills = defines && facts.words.iter().any(has_default);
    if !has_word(facts, "alter") || !(fills || has_word(facts, "using")) {
        return Ok(());
    }
    let mut tables = context.topology.tables.iter();
    let reference = tables
        .find(|rule| matches!(rule.placement, Placement::Reference) && has_word(facts, &rule.name.name));
    let Some(rule) = reference else { return Ok(()) };
    let differs = |word: &&String| {
        let name = ObjectName::unqualified(word.as_str());
        // A string that may mean the present time.
        let is_timed = word.starts_with('\'');
        is_timed
            || counts(word)
            || functions::is_stable_keyword(word)
            || functions::may_differ(context, &name)
    };
    match facts.words.iter().find(differs) {
        Some(word) => Err(refusal::DDL_VALUES.naming(&[word, &rule.name.name])),
        None => Ok(()),
    }
}

/// ALTER TABLE sharded ADD COLUMN … serial. Whether it changes a sharded table at all.
pub(super) fn refuse_numbers(facts: &Facts, context: &PlanningContext) -> Result<bool, Refusal> {
    if !has_word(facts, "alter") || !has_word(facts, "add") || context.topology.shards.len() == 1 {
        return Ok(false);
    }
    let counts = |word: &String| is_serial(word) || word == "identity" || word == "nextval";
    let sharded = |table: &ObjectName| match home::of(context, table) {
        Home::Sharded { rule, .. } => Some(rule),
        _ => None,
    };
    let rule = match facts.targets.is_empty() {
        false => altered(facts, context).iter().find_map(sharded),
        true => {
            context.topology.tables.iter().find(|rule| rule.is_sharded() && has_word(facts, &rule.name.name))
        }
    };
    match rule {
        Some(rule) if facts.words.iter().any(counts) => {
            Err(refusal::NUMBERED_ROWS.naming(&[&rule.name.name]))
        }
        found => Ok(found.is_some()),
    }
}
