//! SET, RESET, SHOW and DISCARD: the session's settings, and Meridian's own ones (`meridian.*`).
//!
//! A SET is run on one server, which judges it; accepted, it is the session's, and follows it from server to server in
//! the flight of the next statement. Inside a block it is run on every lane and replayed on those that join later.
//!
//! | setting | values |
//! | --- | --- |
//! | `meridian.consistency` | `strong`, `session`, `eventual` |
//! | `meridian.max_lag` | a time: `500ms`, `10s`; a bare number is milliseconds |
//! | `meridian.region` | a region's name: where reads are nearest to |
//!
//! Invariants:
//! 1. A setting that no server accepted is never in [`Settings`].
//! 2. An unknown `meridian.` name is an error, not a new parameter.

use std::rc::Rc;
use std::time::Duration;

use super::encoding::CLIENT_ENCODING;
use super::fence::says_true;
use super::idle::IN_TRANSACTION;
use super::leftovers::OF_TRANSACTIONS;
use super::{Failure, Outcome, OwnSettings, Session};
use crate::backend::Settings;
use crate::backend::settings::{DATE_STYLE, quote_literal, set_statement};
use crate::execute::refusals;
use crate::plan::Access;
use crate::sql::facts::{Discard, Isolation, Modes, Setting};
use crate::topology::{Consistency, Topology};
use crate::wire::backend::Field;
use crate::wire::encode;
use crate::wire::encoding::Encoding;
use crate::wire::error::{SqlError, SqlState};

pub(super) const OWN_PREFIX: &str = "meridian.";
/// A warning of PostgreSQL's.
const LOCAL_OUTSIDE_OF_BLOCK: &str = "SET LOCAL can only be used in transaction blocks";
/// OID of `text`.
const TEXT_OID: u32 = 25;

impl Session {
    pub(super) async fn setting(&mut self, setting: &Setting, text: &[u8]) -> Outcome {
        if matches!(setting, Setting::Set { local: true, .. }) && self.is_pipeline_alone() {
            self.warn(&SqlError::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, LOCAL_OUTSIDE_OF_BLOCK));
        }
        match setting {
            Setting::Set { name, local, value } if name.starts_with(OWN_PREFIX) => {
                let value = value.map(|(from, to)| {
                    String::from_utf8_lossy(&text[from as usize..to as usize]).into_owned()
                });
                self.set_own(name, value.as_deref(), *local)?;
                self.complete_setting("SET");
                Ok(())
            }
            Setting::Reset { name } if name.starts_with(OWN_PREFIX) => {
                self.set_own(name, None, false)?;
                self.complete_setting("RESET");
                Ok(())
            }
            Setting::Set { name, local: true, .. } if !self.block.is_open() => {
                self.warn(&SqlError::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, LOCAL_OUTSIDE_OF_BLOCK));
                self.try_setting(text).await?;
                self.note_placeholder(name);
                self.complete_setting("SET");
                Ok(())
            }
            Setting::Set { name, .. } | Setting::Reset { name }
                if OF_TRANSACTIONS.contains(&name.as_str()) =>
            {
                self.set_of_transaction(setting, name, text).await
            }
            Setting::Set { name, .. } | Setting::Reset { name } if name == CLIENT_ENCODING => {
                self.set_encoding(setting, text).await?;
                self.complete_setting(tag_of(setting));
                Ok(())
            }
            _ => self.set_on_servers(setting, text).await,
        }
    }

    /// SET TRANSACTION, spelled as a parameter: it ends with the transaction, and outside of a block at once.
    async fn set_of_transaction(&mut self, setting: &Setting, name: &str, text: &[u8]) -> Outcome {
        if name == "seed" {
            return Err(Failure::Sql(refusals::SEED.error(&[])));
        }
        let value = match setting {
            Setting::Set { value: Some((from, to)), .. } => {
                let value = String::from_utf8_lossy(&text[*from as usize..*to as usize]);
                Some(value.trim_matches('\'').to_ascii_lowercase())
            }
            _ => None,
        };
        // DEFAULT is not that of new transactions.
        let value = value
            .unwrap_or_else(|| if name == "transaction_isolation" { "read committed" } else { "off" }.into());
        let isolation = Isolation::named(&value).filter(|_| name == "transaction_isolation");
        let switch = ["on", "off", "true", "false", "yes", "no", "1", "0"].contains(&value.as_str());
        let read_only = (name == "transaction_read_only" && switch).then(|| says_true(&value));
        self.fence.check_mode(read_only)?;
        // DEFAULT is refused since PostgreSQL 16.
        let written = matches!(setting, Setting::Set { value: Some(_), .. });
        let deferrable = (name == "transaction_deferrable" && switch).then(|| says_true(&value));
        let modes = Modes { read_only, isolation, deferrable };
        if self.block.is_open() && written && (isolation.is_some() || switch) {
            let sql = String::from_utf8_lossy(text).into_owned();
            return self.set_transaction(sql, modes).await;
        }
        // No replica has it otherwise.
        let statements = self.judge(setting, text, Access::ReadPrimary).await?;
        if let Some(transaction) = self.block.transaction() {
            transaction.prologue.extend(statements);
            transaction.set_modes(modes);
        }
        self.complete_setting(tag_of(setting));
        Ok(())
    }

    /// The value that the session's settings, or those with which its connections begin, give a parameter.
    pub(super) fn default_of(&self, name: &str) -> Option<String> {
        self.value_in(&self.settings, name)
    }

    /// The value that these settings, or those with which connections begin, give a parameter.
    pub(super) fn value_in(&self, settings: &Settings, name: &str) -> Option<String> {
        let value = settings.get(name).or_else(|| self.account.default(name))?;
        Some(value.trim_matches('\'').to_ascii_lowercase())
    }

    fn complete_setting(&mut self, tag: &str) {
        encode::server::command_complete(&mut self.client.outbox, tag.as_bytes());
    }

    /// SET SESSION CHARACTERISTICS AS TRANSACTION is another spelling of the defaults of transactions.
    pub(super) async fn set_characteristics(&mut self, modes: Modes) -> Outcome {
        let switch = |on: bool| if on { "on" } else { "off" };
        let defaults = [
            ("default_transaction_isolation", modes.isolation.map(Isolation::name)),
            ("default_transaction_read_only", modes.read_only.map(switch)),
            ("default_transaction_deferrable", modes.deferrable.map(switch)),
        ];
        for (name, value) in defaults {
            let Some(value) = value else { continue };
            let value = quote_literal(value);
            let text = set_statement(name, &value, false);
            let range = ((text.len() - value.len()) as u32, text.len() as u32);
            let setting = Setting::Set { name: name.to_owned(), local: false, value: Some(range) };
            self.judge_and_remember(&setting, text.as_bytes()).await?;
        }
        self.complete_setting("SET");
        Ok(())
    }

    async fn set_on_servers(&mut self, setting: &Setting, text: &[u8]) -> Outcome {
        self.judge_and_remember(setting, text).await?;
        if matches!(setting, Setting::ResetAll) {
            self.change_encoding(self.initial_encoding, false);
        }
        self.spare_idle_lanes_anew().await?;
        self.complete_setting(tag_of(setting));
        Ok(())
    }

    /// Lets the servers judge, then remembers.
    pub(super) async fn judge_and_remember(&mut self, setting: &Setting, text: &[u8]) -> Outcome {
        let statements = self.judge(setting, text, Access::Read).await?;
        let local = matches!(setting, Setting::Set { local: true, .. });
        self.remember(setting, text, local, statements);
        Ok(())
    }

    /// Lets the servers judge; what they were sent. What they take may be a new parameter of an application's.
    async fn judge(
        &mut self,
        setting: &Setting,
        text: &[u8],
        access: Access,
    ) -> Result<Vec<String>, Failure> {
        let before = self.placeholders.clone();
        if let Setting::Set { name, .. } | Setting::Reset { name } = setting {
            self.note_placeholder(name);
        }
        let judged = self.send_setting(setting, text, access).await;
        if judged.is_err() {
            self.placeholders = before;
        }
        judged
    }

    async fn send_setting(
        &mut self,
        setting: &Setting,
        text: &[u8],
        access: Access,
    ) -> Result<Vec<String>, Failure> {
        self.fence.check_setting(setting, text)?;
        if matches!(setting, Setting::Set { name, value: Some(_), .. } if name == "transform_null_equals") {
            return Err(Failure::Sql(refusals::NULL_EQUALS.error(&[])));
        }
        let statements = self.spelled(setting, text);
        let index = if self.block.is_open() && self.lanes.iter().any(|lane| lane.in_block) {
            None
        } else {
            Some(self.join_default(access).await?)
        };
        let others: Vec<usize> = match index {
            Some(index) => vec![index],
            None => (0..self.lanes.len()).filter(|i| self.lanes[*i].in_block).collect(),
        };
        let mut asides = Vec::new();
        for index in others {
            // Servers report once before each ReadyForQuery: a value that comes and goes again is not told.
            self.lanes[index].end_settings();
            statements.iter().for_each(|statement| self.lanes[index].hidden_words(statement));
            let drained = self.drain_lane(index).await?;
            if let Some(error) = drained.error {
                // What the failure has undone is reported as well.
                drained.asides.iter().for_each(|aside| self.pass_aside(aside));
                return Err(Failure::Sql(error));
            }
            if asides.is_empty() {
                asides = drained.asides;
            }
        }
        for aside in &asides {
            self.pass_aside(aside);
        }
        Ok(statements)
    }

    /// What the servers are sent: RESET goes back to what the start-up packet set, which no server knows of.
    fn spelled(&self, setting: &Setting, text: &[u8]) -> Vec<String> {
        let own = String::from_utf8_lossy(text).into_owned();
        match setting {
            Setting::Reset { name } | Setting::Set { name, value: None, .. } => {
                let local = matches!(setting, Setting::Set { local: true, .. });
                vec![self.initial.get(name).map_or(own, |value| set_statement(name, value, local))]
            }
            Setting::ResetAll => {
                let again = self.initial.iter().map(|(name, value)| set_statement(name, value, false));
                std::iter::once("RESET ALL".to_owned()).chain(again).collect()
            }
            Setting::Set { .. } => vec![own],
        }
    }

    fn remember(&mut self, setting: &Setting, text: &[u8], local: bool, statements: Vec<String>) {
        let has_local = self.block.get().is_some_and(|transaction| local || transaction.in_force.is_some());
        let in_force = has_local.then(|| Rc::new(self.changed(self.in_force(), setting, text)));
        if let Some(transaction) = self.block.transaction() {
            transaction.prologue.extend(statements);
            transaction.in_force = in_force;
            if local {
                transaction.settings_changed = true;
                self.follow_settings();
                return;
            }
        }
        let settings = self.changed(&self.settings, setting, text);
        if let Some(value) = settings.get("application_name")
            && let Ok(mut notes) = self.info.notes.lock()
        {
            notes.application_name = value.trim_matches('\'').to_owned();
        }
        self.settings = Rc::new(settings);
        if !self.block.is_open() {
            let settings = Rc::clone(&self.settings);
            // Others that the batch still has were not told.
            let told = self.home_shard();
            for lane in self.lanes.iter_mut().filter(|lane| lane.shard == told) {
                lane.connection.applied = Rc::clone(&settings);
            }
        }
        self.follow_settings();
    }

    /// The settings after this one.
    fn changed(&self, settings: &Settings, setting: &Setting, text: &[u8]) -> Settings {
        let mut settings = settings.clone();
        match setting {
            Setting::Set { name, value: Some((from, to)), .. } => {
                let written = String::from_utf8_lossy(&text[*from as usize..*to as usize]);
                let whole = self.whole_date_style().filter(|_| name == DATE_STYLE);
                settings.set(name, whole.unwrap_or_else(|| written.into_owned()));
            }
            Setting::Set { name, value: None, .. } | Setting::Reset { name } => {
                settings.reset(name);
                if let Some(value) = self.initial.get(name) {
                    settings.set(name, value);
                }
            }
            Setting::ResetAll => {
                settings.reset_all();
                for (name, value) in self.initial.iter() {
                    settings.set(name, value);
                }
            }
        }
        settings
    }

    /// The one in force, as servers have reported it: its style and the order of fields.
    pub(super) fn whole_date_style(&self) -> Option<String> {
        let told = self.told.get("DateStyle")?;
        Some(quote_literal(&String::from_utf8_lossy(told)))
    }

    /// Has a server judge a setting that is gone with its own statement.
    async fn try_setting(&mut self, text: &[u8]) -> Outcome {
        let index = self.join_default(Access::Read).await?;
        self.quiet_lane(index).await?;
        self.rows_on(index, &String::from_utf8_lossy(text)).await.map(drop)
    }

    fn set_own(&mut self, name: &str, value: Option<&str>, local: bool) -> Outcome {
        if local && !self.block.is_open() {
            self.warn(&SqlError::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, LOCAL_OUTSIDE_OF_BLOCK));
            return Ok(());
        }
        let before = self.own.clone();
        self.change_own(name, value)?;
        self.keep_own(before, local);
        Ok(())
    }

    /// After a change: what the transaction will go back to.
    pub(super) fn keep_own(&mut self, before: OwnSettings, local: bool) {
        if let Some(transaction) = self.block.transaction() {
            if local {
                transaction.own_after.get_or_insert(before);
            } else if transaction.own_after.is_some() {
                transaction.own_after = Some(self.own.clone());
            }
        }
    }

    fn change_own(&mut self, name: &str, value: Option<&str>) -> Outcome {
        self.own = self.own_with(self.own.clone(), name, value)?;
        Ok(())
    }

    /// `own` with another value. None: that of the session's start.
    fn own_with(
        &self,
        mut own: OwnSettings,
        name: &str,
        value: Option<&str>,
    ) -> Result<OwnSettings, SqlError> {
        let value = value.map(|v| v.trim().trim_matches('\'').trim_matches('"').to_owned());
        match name {
            "meridian.consistency" => {
                own.consistency = match value {
                    None => self.default_own().consistency,
                    Some(value) => value
                        .parse::<Consistency>()
                        .map_err(|_| invalid(name, &value, "Use strong, session or eventual."))?,
                };
            }
            "meridian.max_lag" => {
                own.max_lag = match value {
                    None => self.default_own().max_lag,
                    Some(value) => parse_time(&value)
                        .ok_or_else(|| invalid(name, &value, "Use a time such as 500ms or 10s."))?,
                };
            }
            "meridian.region" => {
                let region_named = |value: &str| self.context.planning.topology.region_named(value);
                own.region = match value {
                    None => self.default_own().region,
                    Some(value) => region_named(&value)
                        .ok_or_else(|| invalid(name, &value, "SHOW REGIONS in the console lists them."))?,
                };
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("unrecognized configuration parameter \"{name}\""),
                )
                .hint("Meridian has meridian.consistency, meridian.max_lag and meridian.region."));
            }
        }
        Ok(own)
    }

    /// Those of the configuration, and over them those of the start-up packet.
    fn default_own(&self) -> OwnSettings {
        let own = default_own(&self.live.session, &self.context.planning.topology, self.initial_encoding);
        let written = self.own_at_start.iter();
        // A region may have gone since.
        written.fold(own, |own, (name, value)| self.own_with(own.clone(), name, Some(value)).unwrap_or(own))
    }

    /// Takes settings of ours out of those of the start-up packet: no server is told of them.
    pub(super) fn take_own_settings(&mut self) -> Result<(), SqlError> {
        let is_own = |(name, _): &(&str, &str)| name.starts_with(OWN_PREFIX);
        let own = self.initial.iter().filter(is_own).map(|(name, value)| (name.to_owned(), value.to_owned()));
        let own: Vec<(String, String)> = own.collect();
        for (name, value) in &own {
            self.own = self.own_with(self.own.clone(), name, Some(value))?;
            Rc::make_mut(&mut self.settings).reset(name);
        }
        if !own.is_empty() {
            self.initial = Rc::clone(&self.settings);
            self.own_at_start = own;
        }
        Ok(())
    }

    pub(super) fn show_own(&self, name: &str) -> Option<Result<String, SqlError>> {
        if name == CLIENT_ENCODING {
            return self.own.encoding.map(|encoding| Ok(encoding.name.to_owned()));
        }
        if name == IN_TRANSACTION {
            return self.spared_time().map(Ok);
        }
        let value = match name.strip_prefix(OWN_PREFIX)? {
            "consistency" => self.own.consistency.name().to_owned(),
            "max_lag" => format!("{}ms", self.own.max_lag.as_millis()),
            "region" => self.context.planning.topology.region(self.own.region).name.clone(),
            _ => {
                return Some(Err(SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("unrecognized configuration parameter \"{name}\""),
                )));
            }
        };
        Some(Ok(value))
    }

    /// One text column, one row.
    pub(super) fn answer_text(&mut self, column: &str, rows: &[String], tag: &str, describe: bool) {
        let out = &mut self.client.outbox;
        if describe {
            encode::server::row_description(out, &[text_field(column)]);
        }
        for row in rows {
            encode::server::data_row(out, &[Some(row.as_bytes())]);
        }
        encode::server::command_complete(out, tag.as_bytes());
    }

    /// DISCARD: what is ours is forgotten here; a pinned server is told as well.
    pub(super) async fn discard(&mut self, what: Discard, text: &[u8]) -> Outcome {
        if what == Discard::All && self.block.is_open() {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "DISCARD ALL cannot run inside a transaction block",
            )
            .into());
        }
        if self.pin.is_some() {
            let index = self.join_pinned().await?;
            let sql = String::from_utf8_lossy(text).into_owned();
            let lane = &mut self.lanes[index];
            lane.hidden_words(&sql);
            let drained = self.drain_lane(index).await?;
            for aside in &drained.asides {
                self.pass_aside(aside);
            }
            if let Some(error) = drained.error {
                return Err(Failure::Sql(error));
            }
            let lane = &mut self.lanes[index];
            lane.connection.suspect |= what == Discard::Temp;
            // PLANS leaves the statements whose plans they are.
            if what == Discard::All {
                lane.connection.applied = Rc::default();
                lane.connection.statements.clear();
                lane.connection.unnamed = None;
            }
        }
        let tag = match what {
            Discard::All => {
                self.statements.clear_named();
                self.portals.clear();
                self.close_all_held();
                self.settings = Rc::clone(&self.initial);
                self.own = self.default_own();
                self.unpin();
                self.follow_settings();
                "DISCARD ALL"
            }
            Discard::Temp => {
                self.temporary.clear();
                self.temporary_touched = self.block.is_open();
                "DISCARD TEMP"
            }
            Discard::Plans => "DISCARD PLANS",
            Discard::Sequences => "DISCARD SEQUENCES",
        };
        if what == Discard::All {
            self.report_settled().await?;
        }
        self.complete_setting(tag);
        Ok(())
    }

    /// The session shares its connections again.
    pub(super) fn unpin(&mut self) {
        self.pin = None;
        self.temporary.clear();
        self.temporary_touched = false;
        if let Ok(mut notes) = self.info.notes.lock() {
            notes.pinned = None;
        }
    }

    /// After DISCARD ALL, and after a transaction whose servers did not say the same: the client hears the values that its
    /// parameters have now. They may be there already on the connection that is asked.
    pub(super) async fn report_settled(&mut self) -> Outcome {
        if self.told.is_as_greeted() {
            return Ok(());
        }
        if self.has_suspects() {
            Box::pin(self.look_at_suspects()).await;
        }
        let index = match self.lanes.iter().position(|lane| !lane.in_block && !lane.open_pipeline) {
            Some(index) => index,
            None => self.join_default(Access::Read).await?,
        };
        let _ = self.lanes[index].apply_settings(&Rc::clone(&self.settings));
        self.quiet_lane(index).await?;
        for (name, value) in self.reports_on(index).await? {
            if name != CLIENT_ENCODING {
                self.told.learn_for_later(name.as_bytes(), value.as_bytes());
            }
        }
        Ok(())
    }
}

fn tag_of(setting: &Setting) -> &'static str {
    if matches!(setting, Setting::Set { .. }) { "SET" } else { "RESET" }
}

/// What a session starts with.
pub(super) fn default_own(
    settings: &crate::config::SessionSettings,
    topology: &Topology,
    encoding: Option<&'static Encoding>,
) -> OwnSettings {
    OwnSettings {
        consistency: settings.consistency,
        max_lag: settings.max_lag,
        region: topology.local_region,
        encoding,
    }
}

pub(super) fn text_field(name: &str) -> Field<'_> {
    Field {
        name: name.as_bytes(),
        table_oid: 0,
        attribute_number: 0,
        type_oid: TEXT_OID,
        type_length: -1,
        type_modifier: -1,
        format: 0,
    }
}

fn invalid(name: &str, value: &str, hint: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
    .hint(hint)
}

/// `500ms`, `10s`, `2min`, or milliseconds without a unit, as PostgreSQL takes times.
fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    match text[digits..].trim() {
        "" | "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "min" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(parse_time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_time("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(parse_time("7"), Some(Duration::from_millis(7)));
        assert_eq!(parse_time("soon"), None);
    }
}
