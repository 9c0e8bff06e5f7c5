//! Everything that is not a query, a row write or COPY: DDL, TRUNCATE, maintenance, session commands, code, unknown text.
//!
//! Called by `make`. The schemas of all shards are the same, so DDL goes everywhere, also for tables whose rows are on
//! one shard. What lives in a server's session (temporary tables, LISTEN, SQL PREPARE) pins the session to a server of
//! the default shard. Code and text that is not understood go to the default shard if no word of them names a table
//! whose rows are elsewhere.

use std::collections::HashSet;

use crate::sql::TEMPORARY_SCHEMA;
use crate::sql::facts::{DdlScope, Facts, Kind, Makes, SessionObject, TransactionCommand};
use crate::sql::name::ObjectName;

use super::action::{Access, Action, Many, PlanningContext};
use super::functions::Demands;
use super::home::{self, Home};
use super::make::Outcome;
use super::reads;
use super::refusal::{self, Refusal};
use super::survey::{self, Fixed, Survey};
use super::{alterations, code, computed, fired};

/// Parameters that replicas show otherwise.
const OF_PRIMARIES: [&str; 3] = ["transaction_read_only", "in_hot_standby", "all"];

pub(super) fn plan(facts: &Facts, context: &PlanningContext) -> Result<Outcome, Refusal> {
    let default = Action::Fixed(context.topology.default_shard);
    match &facts.kind {
        Kind::Ddl { temporary, creates, .. } if *temporary || is_made_temporary(facts, context) => {
            self::temporary(facts, context, creates.as_ref())
        }
        Kind::Ddl { scope, creates, .. } => ddl(facts, context, *scope, creates.as_ref()),
        Kind::CreateTableAs { name, temporary, .. } if *temporary || is_made_temporary(facts, context) => {
            temporary_from_query(facts, context, name)
        }
        Kind::CreateTableAs { name, reads, .. } => table_from_query(facts, context, name, *reads),
        Kind::Truncate { .. } => Ok(Outcome::new(Action::Everywhere, Access::Write)),
        Kind::Maintenance { .. } => Ok(Outcome::new(Action::EachShard, Access::Write)),
        Kind::LockTable => Ok(lock_table(facts, context)),
        Kind::Do if defines(facts, context)? => {
            refuse_code(facts, context, "do")?;
            refuse_demands(context, &Demands::of(context, facts))?;
            Ok(Outcome::new(Action::Everywhere, Access::Write))
        }
        Kind::Do | Kind::Call => {
            refuse_words(facts, context, &refusal::CODE_NAMES_TABLE)?;
            refuse_relations(facts, context, &refusal::CODE_NAMES_TABLE)?;
            if matches!(facts.kind, Kind::Do) {
                refuse_code(facts, context, "do")?;
            }
            let demands = Demands::of(context, facts);
            refuse_demands(context, &demands)?;
            Ok(Outcome::new(default, Access::Write))
        }
        Kind::Unparsed { makes } => {
            refuse_words(facts, context, &refusal::NOT_UNDERSTOOD)?;
            match makes {
                Makes::Table if context.topology.shards.len() == 1 => {}
                Makes::Table | Makes::OfSession => return Err(refusal::MAKES_NOT_UNDERSTOOD.refuse()),
                Makes::Nothing => {}
            }
            refuse_code(facts, context, "")?;
            refuse_demands(context, &Demands::of(context, facts))?;
            Ok(Outcome::new(default, Access::Write))
        }
        Kind::Transaction(TransactionCommand::TwoPhase) => Err(refusal::CLIENT_TWO_PHASE.refuse()),
        Kind::Session(object) => session(facts, context, object),
        // A replica says that it is one.
        Kind::Show { name } if OF_PRIMARIES.contains(&name.as_str()) => {
            Ok(Outcome::new(Action::Control, Access::ReadPrimary))
        }
        _ => Ok(Outcome::new(Action::Control, Access::Read)),
    }
}

/// Whether the code of DO defines something: it then runs on every shard, if it does nothing else.
fn defines(facts: &Facts, context: &PlanningContext) -> Result<bool, Refusal> {
    const DEFINING: [&str; 5] = ["create", "alter", "drop", "grant", "revoke"];
    const OTHERWISE: [&str; 10] =
        ["insert", "update", "delete", "merge", "truncate", "copy", "perform", "call", "execute", "into"];
    const MOVING: [&str; 8] =
        ["drop", "rename", "type", "inherit", "attach", "detach", "schema", "partition"];
    let has = |word: &&str| has_word(facts, word);
    if !DEFINING.iter().any(has) || ["temp", "temporary"].iter().any(has) {
        return Ok(false);
    }
    if context.topology.shards.len() == 1 {
        return Ok(true);
    }
    let is_users = |name: &ObjectName| !matches!(home::of(context, name), Home::Elsewhere(_));
    let reads = facts.objects.iter().any(is_users);
    if refuse_words(facts, context, &refusal::CODE_NAMES_TABLE).is_err() {
        // What moves rows from under their rules cannot be read out of code; what is computed for rows is known by its words.
        let moves = MOVING.iter().any(has) || reads || OTHERWISE.iter().any(has);
        computed::refuse_by_words(facts, context)?;
        computed::refuse_numbers(facts, context)?;
        return Ok(!moves);
    }
    match reads || OTHERWISE.iter().any(has) {
        true => Err(refusal::CODE_DEFINES.refuse()),
        false => Ok(true),
    }
}

fn ddl(
    facts: &Facts,
    context: &PlanningContext,
    scope: DdlScope,
    creates: Option<&ObjectName>,
) -> Result<Outcome, Refusal> {
    alterations::check_parents(facts, context)?;
    if creates.is_none() {
        alterations::check(facts, context)?;
        computed::refuse(facts, context)?;
        computed::refuse_calls(facts, context)?;
        if computed::refuse_numbers(facts, context)? {
            refuse_code(facts, context, "")?;
        }
    }
    computed::refuse_timed_defaults(facts, context, creates)?;
    Ok(match scope {
        DdlScope::Transactional => Outcome::new(Action::Everywhere, Access::Write),
        DdlScope::OutsideTransaction | DdlScope::Unpreparable => {
            Outcome::new(Action::EachShard, Access::Write)
        }
        DdlScope::LargeObjects => Outcome::new(Action::Fixed(context.topology.default_shard), Access::Write),
    })
}

pub(super) fn has_word(facts: &Facts, word: &str) -> bool {
    facts.words.iter().any(|w| w.eq_ignore_ascii_case(word))
}

/// Refuses a text whose words call what must not run on the default shard. `executor`: what runs EXECUTE, if anything.
fn refuse_code(facts: &Facts, context: &PlanningContext, executor: &str) -> Result<(), Refusal> {
    if !code::is_spread(context) {
        return Ok(());
    }
    let runs = |word: &&String| code::runs_sql(word, None) && (!executor.is_empty() || *word != "execute");
    if let Some(word) = facts.words.iter().find(runs) {
        // What it executes is put together when it runs.
        let name = if word == "execute" { executor } else { word };
        return Err(refusal::FUNCTION_RUNS_SQL.naming(&[name]));
    }
    let hidden = &context.catalog.hidden;
    let casts = hidden.casts.iter().filter(|c| has_word(facts, &c.target)).map(|cast| &cast.function);
    let domains =
        hidden.domains.iter().filter(|(name, _)| has_word(facts, name)).flat_map(|(_, calls)| calls);
    for function in casts.chain(domains) {
        refuse_elsewhere(context, code::look_into(context, function)?)?;
    }
    let words: HashSet<String> = facts.words.iter().map(|word| word.to_lowercase()).collect();
    if code::writes(&words) {
        let default = Some(context.topology.default_shard);
        let tables = code::named(context, &words).filter(|(_, home)| matches!(home, Home::Single(_)));
        tables.map(|(name, _)| name).try_for_each(|name| fired::refuse(context, name, default))?;
    }
    refuse_elsewhere(context, code::look_into_named(context, &facts.words)?)
}

fn refuse_demands(context: &PlanningContext, demands: &Demands) -> Result<(), Refusal> {
    match &demands.refused {
        Some(refusal) => Err(refusal.clone()),
        None => refuse_elsewhere(context, demands.server.clone()),
    }
}

/// Of what runs on the default shard.
fn refuse_elsewhere(context: &PlanningContext, needed: Option<Fixed>) -> Result<(), Refusal> {
    match needed.filter(|needed| needed.shard != context.topology.default_shard) {
        Some(needed) => Err(refusal::MIXED_HOMES.naming(&[&needed.name, "the session's objects"])),
        None => Ok(()),
    }
}

/// Whether a name without a schema is created in the first of `search_path`, and that is the session's own.
fn is_made_temporary(facts: &Facts, context: &PlanningContext) -> bool {
    let (Kind::Ddl { creates: Some(name), .. } | Kind::CreateTableAs { name, .. }) = &facts.kind else {
        return false;
    };
    // What is of a table lies where the table does.
    let of_a_table = ["index", "statistics"].iter().any(|word| has_word(facts, word));
    let first = context.search_path.first();
    name.schema.is_none() && !of_a_table && first.is_some_and(|schema| schema == TEMPORARY_SCHEMA)
}

fn temporary(
    facts: &Facts,
    context: &PlanningContext,
    creates: Option<&ObjectName>,
) -> Result<Outcome, Refusal> {
    match creates {
        Some(name) => refuse_shadow(context, name)?,
        // ALTER, DROP and their like: where a session has such objects, it is pinned already.
        None if facts.words.first().is_some_and(|word| word != "create") => {
            // DROP names nothing but what it drops.
            if facts.words[0] != "drop" {
                refuse_words(facts, context, &refusal::NOT_UNDERSTOOD)?;
            }
            return Ok(Outcome::new(Action::Fixed(context.topology.default_shard), Access::Write));
        }
        None => refuse_words(facts, context, &refusal::NOT_UNDERSTOOD)?,
    }
    // A temporary view or child would bring sharded rows under a name that only one server knows.
    if has_word(facts, "view") || has_word(facts, "inherits") {
        refuse_words(facts, context, &refusal::CREATE_TABLE_AS)?;
    }
    let of_code = has_word(facts, "function") || has_word(facts, "procedure");
    if of_code {
        refuse_words(facts, context, &refusal::CODE_NAMES_TABLE)?;
    }
    refuse_code(facts, context, if of_code { "a temporary function" } else { "" })?;
    refuse_relations(facts, context, &refusal::CREATE_TABLE_AS)?;
    Ok(Outcome::new(Action::Pinned("a temporary object"), Access::Write))
}

fn temporary_from_query(
    facts: &Facts,
    context: &PlanningContext,
    name: &ObjectName,
) -> Result<Outcome, Refusal> {
    refuse_shadow(context, name)?;
    refuse_rows_elsewhere(facts, context, name)?;
    Ok(Outcome::new(Action::Pinned("a temporary table"), Access::Write))
}

/// The table is made on every shard, and gets its rows on the default shard: where the rows of such a table are.
fn table_from_query(
    facts: &Facts,
    context: &PlanningContext,
    name: &ObjectName,
    reads: bool,
) -> Result<Outcome, Refusal> {
    let configured = context.topology.tables.iter().any(|rule| rule.name.name == name.name);
    if configured || !reads {
        return Err(not_from_query(&name.to_string()));
    }
    refuse_rows_elsewhere(facts, context, name)?;
    Ok(Outcome::new(Action::Everywhere, Access::Write))
}

/// Of a table that is made from a query: refuses rows that the default shard does not have.
fn refuse_rows_elsewhere(facts: &Facts, context: &PlanningContext, made: &ObjectName) -> Result<(), Refusal> {
    let survey = Survey::of_sources(context, &facts.block);
    if survey.sharded().is_some() {
        return Err(not_from_query(&made.to_string()));
    }
    let default = context.topology.default_shard;
    if let Some(fixed) = survey.fixed()?.filter(|fixed| fixed.shard != default) {
        return Err(refusal::MIXED_HOMES.naming(&[&made.to_string(), &fixed.name]));
    }
    refuse_demands(context, &Demands::of(context, facts))
}

pub fn not_from_query(name: &str) -> Refusal {
    refusal::CREATE_TABLE_AS.naming(&[if name.is_empty() { "…" } else { name }])
}

/// A temporary table is found before any other of its name; the statements on it would be routed by the rule.
fn refuse_shadow(context: &PlanningContext, name: &ObjectName) -> Result<(), Refusal> {
    let plain = name.name.as_str();
    let configured = context.topology.tables.iter().any(|rule| rule.name.name == plain);
    let behind = survey::naming_word(context, std::slice::from_ref(&name.name)).is_some();
    if configured || behind { Err(refusal::TEMPORARY_SHADOWS.naming(&[plain])) } else { Ok(()) }
}

/// Locks on sharded and reference tables are taken on every shard; those of one shard's tables where the rows are.
fn lock_table(facts: &Facts, context: &PlanningContext) -> Outcome {
    let survey = Survey::of_sources(context, &facts.block);
    let single = survey.sharded().is_none() && survey.reference().is_none();
    match survey.fixed() {
        Ok(Some(fixed)) if single => Outcome::fixed(fixed, Access::Write),
        _ => Outcome::new(Action::Everywhere, Access::Write),
    }
}

fn session(facts: &Facts, context: &PlanningContext, object: &SessionObject) -> Result<Outcome, Refusal> {
    let pinned = |reason| Ok(Outcome::new(Action::Pinned(reason), Access::Write));
    match object {
        SessionObject::Listen => pinned("LISTEN"),
        SessionObject::Load => pinned("LOAD"),
        SessionObject::Notify => {
            Ok(Outcome::new(Action::Fixed(context.topology.default_shard), Access::Write))
        }
        SessionObject::Prepare { .. } => match check_prepare(facts, context) {
            Ok(()) => pinned("PREPARE"),
            // No server can keep it: the session does, and plans it by itself.
            Err(_) => Ok(Outcome::new(Action::Control, Access::Read)),
        },
        SessionObject::DeclareCursor { hold: true, binary, .. }
            if Survey::of_sources(context, &facts.block).sharded().is_some() =>
        {
            let mut outcome = declare(facts, context, *binary)?;
            if let Action::Routed { many } = outcome.action {
                outcome.action = Action::Hold { many };
            }
            Ok(outcome)
        }
        SessionObject::DeclareCursor { hold: true, .. } => {
            let query = reads::query_inside(facts, context, &refusal::CURSOR_OVER_SHARDS)?;
            match query.action {
                Action::Routed { many: Many::Gather(refusal) | Many::Refuse(refusal) } => Err(refusal),
                Action::Fixed(shard) if shard != context.topology.default_shard => {
                    Err(refusal::CURSOR_OVER_SHARDS.naming(&["a table of another shard"]))
                }
                _ => pinned("a cursor WITH HOLD"),
            }
        }
        SessionObject::DeclareCursor { hold: false, binary, .. } => declare(facts, context, *binary),
        SessionObject::Signal { .. } | SessionObject::ExportSnapshot { .. } => {
            Ok(Outcome::new(Action::Control, Access::ReadPrimary))
        }
        SessionObject::Unlisten
        | SessionObject::Execute { .. }
        | SessionObject::Deallocate { .. }
        | SessionObject::Fetch { .. }
        | SessionObject::CloseCursor { .. }
        | SessionObject::Discard(_) => Ok(Outcome::new(Action::Control, Access::Read)),
    }
}

/// A cursor that needs no server of its own.
fn declare(facts: &Facts, context: &PlanningContext, binary: bool) -> Result<Outcome, Refusal> {
    refuse_words(facts, context, &refusal::NOT_UNDERSTOOD)?;
    let mut outcome = reads::query_inside(facts, context, &refusal::CURSOR_OVER_SHARDS)?;
    if let (Action::Routed { many }, true) = (&mut outcome.action, binary)
        && let Many::Gather(refusal) = many
    {
        *many = Many::Refuse(refusal.clone());
    }
    Ok(outcome)
}

/// Whether a server can keep the statement of a PREPARE.
fn check_prepare(facts: &Facts, context: &PlanningContext) -> Result<(), Refusal> {
    refuse_relations(facts, context, &refusal::SQL_PREPARE)?;
    refuse_words(facts, context, &refusal::SQL_PREPARE)?;
    refuse_demands(context, &Demands::of(context, facts))?;
    // It writes, or is not followed.
    if facts.words.is_empty() { Ok(()) } else { refuse_code(facts, context, "") }
}

fn refuse_words(facts: &Facts, context: &PlanningContext, limit: &refusal::Limit) -> Result<(), Refusal> {
    match survey::naming_word(context, &facts.words) {
        Some(word) => Err(limit.naming(&[word])),
        None => Ok(()),
    }
}

/// Refuses relations whose rows are not just the default shard's.
fn refuse_relations(facts: &Facts, context: &PlanningContext, limit: &refusal::Limit) -> Result<(), Refusal> {
    let default = context.topology.default_shard;
    let survey = Survey::of_sources(context, &facts.block);
    let elsewhere = survey.members().find(|member| {
        !matches!(home::of(context, &member.relation.name),
            Home::Single(shard) | Home::Elsewhere(shard) if shard == default)
    });
    match elsewhere {
        Some(member) => Err(limit.naming(&[&member.relation.name.to_string()])),
        None => Ok(()),
    }
}
