//! What a statement may have left on a server connection: asked of the server when the request is over, never guessed.
//!
//! Objects pin the session to the connection; settings become the session's own, wherever it goes. A connection that goes
//! back to its pool has neither.
//!
//! Invariants:
//! 1. What the servers' catalogs can tell is asked in one query, and in one look.
//! 2. Nothing is learnt from a connection that still has, or has again, another session's settings.
//! 3. A late cancel or the client's own `statement_timeout` does not fail the look. A connection that cannot be looked at
//!    is closed; a session that is pinned to it ends with it.
//!
//! Not here: when a connection counts as suspect (`planning`, which asks [`leaves_traces`]).

use std::collections::BTreeSet;
use std::fmt::Write;
use std::rc::Rc;

use super::Session;
use super::encoding::CLIENT_ENCODING;
use super::greeting::setting_value;
use super::search_path::is_shown_as;
use crate::backend::capture::Captured;
use crate::backend::settings::quote_literal;
use crate::backend::{Connection, Settings};
use crate::plan::{Access, Plan};
use crate::sql::facts::Kind;
use crate::wire::encoding::Named;
use crate::wire::error::SqlState;

/// No catalog tells of what was loaded, nor of the next random number: they last to the session's end, or to DISCARD ALL.
const LASTING_PINS: [&str; 2] = ["LOAD", "setseed()"];

/// What is kept as one word under no name; empty if nothing. Whatever is in a schema depends on it.
const LEFTOVERS: &str = "SELECT '', CASE \
 WHEN EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass \
 AND refobjid = pg_catalog.pg_my_temp_schema()) THEN 'temp' \
 WHEN EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()) THEN 'lock' \
 WHEN EXISTS (SELECT FROM pg_catalog.pg_listening_channels()) THEN 'listen' \
 WHEN EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable) THEN 'cursor' \
 WHEN EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql) THEN 'prepared' \
 ELSE '' END";

/// What was set on the connection, by name. `setting` is in the parameter's own unit, which SET takes without one. The
/// catalog lists neither who the session is nor parameters of applications (`app.user`).
const SETTINGS: &str = " UNION ALL SELECT pg_catalog.lower(name), setting FROM pg_catalog.pg_settings WHERE source = 'session' \
 UNION ALL SELECT 'role', pg_catalog.current_setting('role') WHERE pg_catalog.current_setting('role') <> 'none'";

/// Before the names of parameters whose values servers report.
const REPORTED: char = '=';
const REPORTS: &str = " UNION ALL SELECT '=' || name, setting FROM pg_catalog.pg_settings WHERE name IN ('TimeZone', 'DateStyle', \
 'IntervalStyle', 'application_name', 'standard_conforming_strings', 'default_transaction_read_only')";

const STATEMENT_TIMEOUT: &str = "statement_timeout";

/// Looks at one connection, which more than one cancel may meet.
const ATTEMPTS: usize = 4;

impl Session {
    /// Whether one is to be looked at that is not amid a pipeline, whose transaction a question would end.
    pub(super) fn has_suspects(&self) -> bool {
        self.lanes.iter().any(|lane| lane.connection.suspect && !lane.open_pipeline)
    }

    /// Connections on which something ran that may have left something behind are asked.
    pub(super) async fn look_at_suspects(&mut self) {
        // Each of them has begun with these, if it is not back at those of another session.
        let before = Rc::clone(&self.settings);
        for index in 0..self.lanes.len() {
            let amid_pipeline = self.lanes[index].open_pipeline;
            let connection = &mut self.lanes[index].connection;
            if !connection.suspect || connection.broken || amid_pipeline {
                continue;
            }
            let question = question(&self.settings, &self.set_by_functions, &self.account.user);
            let Some((captured, timeout_put_off)) = look(connection, &question).await else {
                connection.broken = true;
                continue;
            };
            connection.suspect = false;
            let mut found = String::new();
            let (mut set, mut reported) = (Vec::new(), Vec::new());
            for row in captured.rows {
                let mut cells = row.into_iter().map(Option::unwrap_or_default);
                match (cells.next().unwrap_or_default(), cells.next().unwrap_or_default()) {
                    (name, word) if name.is_empty() => found = word,
                    (name, value) if name.starts_with(REPORTED) => {
                        reported.push((name.trim_start_matches(REPORTED).to_owned(), value));
                    }
                    pair => set.push(pair),
                }
            }
            if timeout_put_off {
                set.retain(|(name, _)| name != STATEMENT_TIMEOUT);
            }
            // A pipeline that failed has brought back those of the session before, and undone what was set in it.
            if self.lanes[index].connection.applied == before {
                let turned = self.adopt_settings(index, &before, set, timeout_put_off);
                reported.retain(|(name, _)| turned.contains(&name.to_lowercase()));
                self.note_turned(&reported);
            }
            let keeps = self.lanes[index].shard == self.default_shard() && !self.lanes[index].replica;
            match pin_reason(&found) {
                Some(reason) if keeps => {
                    self.set_pin(reason);
                    // By the next statement what they hide is known.
                    let _ = Box::pin(self.learn_temporary()).await;
                }
                // Objects of a session on another shard cannot be kept: the connection is closed with them.
                Some(_) => self.lanes[index].connection.broken = true,
                None => {
                    if keeps && self.pin.is_some_and(|reason| !LASTING_PINS.contains(&reason)) {
                        self.unpin();
                    }
                    self.reset_settings(index).await;
                }
            }
            // Code may have begun to listen just before.
            self.keep_notifications(index, &captured.asides);
        }
        if self.lanes.iter().all(|lane| !lane.connection.suspect) {
            self.set_by_functions.clear();
        }
    }

    /// In what the server says of the settings otherwise than they were `before`, the session follows it. Where several are
    /// asked, each may have set something that the others had to the transaction's end only. The names of what is otherwise.
    fn adopt_settings(
        &mut self,
        index: usize,
        before: &Settings,
        set: Vec<(String, String)>,
        keep_timeout: bool,
    ) -> Vec<String> {
        let shown = shown_settings(before, set, keep_timeout);
        let mut settings = Settings::clone(&self.settings);
        let gone = before.iter().filter(|(name, _)| shown.get(name).is_none());
        let mut turned: Vec<String> = gone.map(|(name, _)| name.to_owned()).collect();
        turned.iter().for_each(|name| settings.reset(name));
        let mut news: Vec<_> = shown.iter().filter(|(name, value)| before.get(name) != Some(value)).collect();
        // It takes the role with it, which was set after it.
        news.sort_by_key(|(name, _)| *name != "session_authorization");
        for (name, value) in news {
            settings.set(name, value);
            turned.push(name.to_owned());
        }
        self.settings = Rc::new(settings);
        self.lanes[index].connection.applied = match *self.settings == shown {
            true => Rc::clone(&self.settings),
            false => Rc::new(shown),
        };
        self.follow_settings();
        turned
    }

    /// A server reports what has changed from one ReadyForQuery to the next. What the session before had, and this one's code has
    /// set again, has not changed for it: the client is told with its next ReadyForQuery.
    fn note_turned(&mut self, reported: &[(String, String)]) {
        for (name, value) in reported {
            // Not all versions report all of them.
            if self.told.get(name).is_some() {
                self.told.learn_for_later(name.as_bytes(), value.as_bytes());
            }
        }
    }

    /// A function may have set parameters that nobody can be asked for: they go back to nothing, so that no other session
    /// meets them. This session's own settings come again with its next statement.
    async fn reset_settings(&mut self, index: usize) {
        if self.pin.is_some() {
            return;
        }
        let connection = &mut self.lanes[index].connection;
        match connection.capture("RESET ALL").await {
            Ok(captured) if captured.error.is_none() => {
                let mut kept = Settings::clone(&connection.applied);
                kept.reset_all();
                connection.applied = Rc::new(kept);
            }
            Ok(_) | Err(_) => connection.broken = true,
        }
    }

    pub(super) fn set_pin(&mut self, reason: &'static str) {
        match self.pin {
            None => self.worker.figures.pins.one(),
            Some(reason) if LASTING_PINS.contains(&reason) => return,
            Some(_) => {}
        }
        self.pin = Some(reason);
        if let Ok(mut notes) = self.info.notes.lock() {
            notes.pinned = Some(reason);
        }
    }
}

/// Of one transaction, not of the session, and not to be reset: `seed` is what SET calls `setseed()`.
pub(super) const OF_TRANSACTIONS: [&str; 4] =
    ["transaction_isolation", "transaction_read_only", "transaction_deferrable", "seed"];

/// One query for all of it: rows of a name and a value.
fn question(settings: &Settings, set_by_functions: &BTreeSet<String>, user: &str) -> String {
    let mut sql = format!("{LEFTOVERS}{SETTINGS}{REPORTS}");
    let user = quote_literal(user);
    let _ = write!(
        sql,
        " UNION ALL SELECT 'session_authorization', session_user::text WHERE session_user <> {user}"
    );
    let own = settings.iter().map(|(name, _)| name).filter(|name| name.contains('.'));
    let own: BTreeSet<&str> = own.chain(set_by_functions.iter().map(String::as_str)).collect();
    for name in own {
        let name = quote_literal(name);
        let value = format!("pg_catalog.current_setting({name}, true)");
        let listed = format!("SELECT FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) = {name}");
        let _ = write!(
            sql,
            " UNION ALL SELECT {name}, {value} WHERE {value} IS NOT NULL AND NOT EXISTS ({listed})"
        );
    }
    sql
}

/// A server's settings, as it shows them. Values that are as `before` keep their spelling.
fn shown_settings(before: &Settings, mut set: Vec<(String, String)>, keep_timeout: bool) -> Settings {
    let mut settings = Settings::default();
    if let Some(own) = before.get(STATEMENT_TIMEOUT).filter(|_| keep_timeout) {
        settings.set(STATEMENT_TIMEOUT, own);
    }
    set.sort_by_key(|(name, _)| name != "session_authorization");
    for (name, value) in set {
        let other_encoding = name == CLIENT_ENCODING && Named::of(&value) != Named::OfServers;
        // What was set to a transaction's end is nothing behind it, and is shown as an empty text.
        let was_local = value.is_empty() && name.contains('.') && before.get(&name).is_none();
        if other_encoding || was_local || OF_TRANSACTIONS.contains(&name.as_str()) {
            continue;
        }
        let own = before.get(&name).filter(|own| is_shown_as(&name, own, &value));
        let text = own.map_or_else(|| setting_value(&name, &value), str::to_owned);
        settings.set(&name, text);
    }
    settings
}

/// The answer, however often a cancel or a timeout of the client's comes between; and whether that timeout was put off.
async fn look(connection: &mut Connection, question: &str) -> Option<(Captured, bool)> {
    for attempt in 0..ATTEMPTS {
        let put_off = attempt > 0;
        let captured = match put_off {
            false => connection.capture(question).await,
            true => connection.capture(&format!("SET LOCAL {STATEMENT_TIMEOUT} = 0; {question}")).await,
        };
        match captured.ok()? {
            captured if captured.error.is_none() => return Some((captured, put_off)),
            captured => captured.error.filter(|error| error.sqlstate == SqlState::QUERY_CANCELED)?,
        };
    }
    None
}

fn pin_reason(found: &str) -> Option<&'static str> {
    Some(match found {
        "" => return None,
        "temp" => "a temporary object",
        "lock" => "a session's advisory lock",
        "listen" => "LISTEN",
        "cursor" => "a cursor WITH HOLD",
        _ => "PREPARE",
    })
}

/// Whether something may stay behind on the server connection: code that is not ours to read, or functions that are
/// known to leave something.
pub(super) fn leaves_traces(plan: &Plan) -> bool {
    if plan.traces.leaves {
        return true;
    }
    match &plan.facts.kind {
        // Of DDL, expressions are evaluated for the rows that are there.
        Kind::Do | Kind::Call | Kind::Ddl { .. } => true,
        Kind::Select { .. }
        | Kind::Insert(_)
        | Kind::Update(_)
        | Kind::Delete(_)
        | Kind::Merge { .. }
        | Kind::ModifyingWith
        | Kind::Explain(_)
        | Kind::Unparsed { .. } => {
            plan.access == Access::Write
                && plan.facts.functions.iter().any(|f| !HARMLESS_FUNCTIONS.contains(&f.name.name.as_str()))
        }
        _ => false,
    }
}

/// Functions that are common in writes and leave nothing behind.
const HARMLESS_FUNCTIONS: [&str; 27] = [
    "now",
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "lower",
    "upper",
    "coalesce",
    "nextval",
    "currval",
    "length",
    "round",
    "abs",
    "gen_random_uuid",
    "random",
    "clock_timestamp",
    "statement_timestamp",
    "nullif",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "greatest",
    "least",
    "concat",
    "substring",
    "to_char",
];
