//! Statements that every shard runs: all in one transaction, or each by itself.
//!
//! Called by `perform`: DDL, TRUNCATE and writes to reference tables run everywhere or nowhere, by two-phase commit; what
//! cannot run in a transaction (VACUUM, CREATE INDEX CONCURRENTLY) runs on one shard after the other.
//!
//! Invariants:
//! 1. The default shard speaks first, and its answer is the client's; it is held back until all others have done the same.
//! 2. Where each shard runs it by itself, an error says on which shards it is done.
//!
//! Not here: the commit (`control`, `transaction`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::copies::{self, lock_writers};
use super::perform::Work;
use super::planning::Planned;
use super::{Failure, Outcome, Session};
use crate::backend::settings::quote_name;
use crate::execute::drain::drain;
use crate::execute::lane::Owed;
use crate::execute::refusals;
use crate::execute::{Lane, Relay, relay, rows_of_tag};
use crate::figures::Route;
use crate::plan::alterations::adopted;
use crate::plan::{Access, refusal};
use crate::sql::arguments::NoParameters;
use crate::sql::facts::Kind;
use crate::sql::made_from;
use crate::sql::name::ObjectName;
use crate::sql::role_password::RolePassword;
use crate::topology::ShardId;
use crate::wire::credential::Credential;
use crate::wire::error::{SqlError, SqlState};

impl Session {
    /// Every shard or none. The default shard speaks first, so that two sessions take its locks in one order; its
    /// answer is held back until all others have done the same.
    pub(super) async fn perform_everywhere(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        self.check_unused(planned, work)?;
        self.on_route(Route::Everywhere, None);
        let own_block = !self.block.is_open();
        let names = self.names_set(planned, &NoParameters)?;
        if own_block {
            self.begin_implicit();
        }
        let schema = planned.changes_schema();
        let writes = !matches!(planned.plan.facts.kind, Kind::LockTable);
        if let Some(transaction) = self.block.transaction() {
            transaction.everywhere |= writes;
            transaction.schema_changed |= schema;
        }
        let adopted = adopted(&planned.plan.facts, &self.context.planning);
        self.note_ddl(planned);
        let mark = self.client.outbox.len();
        let outcome = match self.run_everywhere(work, planned).await {
            Ok(()) => self.check_adopted(adopted).await,
            other => other,
        };
        let outcome = match outcome {
            Ok(()) if own_block => self.commit_for(planned, work, false).await,
            Ok(()) => self.follow_code_everywhere(names, planned, work).await,
            other => other,
        };
        if let Err(failure) = outcome {
            let told = matches!(failure, Failure::Told);
            if !told {
                self.client.outbox.truncate(mark);
            }
            if own_block && self.block.is_open() {
                self.roll_back_block().await;
            }
            return Err(failure);
        }
        Ok(())
    }

    /// What triggers set on the default shard, which may have more of them, holds on all.
    async fn follow_code_everywhere(
        &mut self,
        names: Vec<String>,
        planned: &Planned,
        work: Work<'_>,
    ) -> Outcome {
        let default = self.default_shard();
        match self.lanes.iter().position(|lane| lane.in_block && lane.shard == default) {
            Some(index) => self.follow_code(index, names, planned, work.text()).await,
            None => Ok(()),
        }
    }

    /// A table without a rule has its rows on the default shard. Now that nobody can write to it any more, it must have none if
    /// it has become part of one that is placed elsewhere.
    async fn check_adopted(&mut self, adopted: Vec<(ObjectName, ObjectName)>) -> Outcome {
        let default = self.default_shard();
        for (child, parent) in adopted {
            let Some(index) = self.lanes.iter().position(|lane| lane.in_block && lane.shard == default)
            else {
                continue;
            };
            let table = quote_name(&child);
            let captured = self.capture_on(index, &format!("SELECT EXISTS (SELECT FROM {table})")).await?;
            if captured.error.is_some() || captured.rows.first() != Some(&vec![Some("f".to_owned())]) {
                return Err(Failure::Sql(refusal::ADOPTED_ROWS.naming(&[&child.name, &parent.name]).into()));
            }
        }
        Ok(())
    }

    /// Before LOCK TABLE: a transaction that only reads takes most locks on primaries only.
    pub(super) fn lock(&mut self, text: &[u8]) -> Outcome {
        let Some(transaction) = self.block.transaction() else {
            return Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "LOCK TABLE can only be used in transaction blocks",
            )
            .into());
        };
        transaction.locked = true;
        if is_lock_of_replicas(text) {
            return Ok(());
        }
        if self.lanes.iter().any(|lane| lane.in_block && lane.replica) {
            return Err(Failure::Sql(refusals::PRIMARY_IN_READ_ONLY.error(&[])));
        }
        transaction.on_primaries = true;
        Ok(())
    }

    async fn run_everywhere(&mut self, work: Work<'_>, planned: &Planned) -> Outcome {
        self.see_everywhere().await?;
        let topology = std::sync::Arc::clone(&self.context.planning.topology);
        let default = topology.default_shard;
        let writes = !matches!(planned.plan.facts.kind, Kind::LockTable);
        let access = if writes { Access::Write } else { Access::ReadPrimary };
        let first = self.join(default, access, &[]).await?;
        let copies = self.written_copies(planned);
        copies.iter().for_each(|table| lock_writers(&mut self.lanes[first], table));
        self.put(first, work)?;
        let suspect = planned.is_suspect(self.pin.is_some());
        let lane = &mut self.lanes[first];
        lane.note_write(writes);
        lane.connection.suspect |= suspect;
        let sent = Instant::now();
        let report = {
            let Self { client, lanes, told, limits, .. } = self;
            relay(Relay {
                client,
                lane: &mut lanes[first],
                told,
                limits,
                notify: false,
                hold: true,
                keeps_tag: false,
                moved: false,
            })
            .await
        };
        self.note_time(default, sent.elapsed());
        let mut rows = match report {
            Ok(report) => {
                self.note_report(&report);
                self.after_performance(first, &report)?;
                // All rows are written where the client wants some of them first; how many, the others say.
                (!report.suspended).then_some(report.rows)
            }
            Err(error) => return Err(self.relay_failed(first, error).await),
        };
        self.demand_same_answer(planned, work).await?;
        let elsewhere = self.text_elsewhere(first, planned, work).await?;
        for shard in topology.all_shards().iter().filter(|shard| *shard != default) {
            let index = self.join(shard, access, &[]).await?;
            copies.iter().for_each(|table| lock_writers(&mut self.lanes[index], table));
            self.put_as(index, work, elsewhere.as_deref())?;
            let lane = &mut self.lanes[index];
            lane.note_write(writes);
            lane.connection.suspect |= suspect;
            hide_answers(lane);
        }
        let others = self.lanes.iter_mut().filter(|lane| lane.in_block && lane.shard != default);
        let shards: Vec<ShardId> = others.map(|lane| lane.shard).collect();
        let others = self.lanes.iter_mut().filter(|lane| lane.in_block && lane.shard != default);
        let sent = Instant::now();
        let work = others.map(|lane| async move { (drain(lane).await, sent.elapsed()) });
        let answers = futures_util::future::join_all(work).await;
        for (shard, (answer, time)) in shards.into_iter().zip(answers) {
            self.note_time(shard, time);
            let name = &topology.shard(shard).name;
            let drained = answer.map_err(|error| Failure::Sql(on_shard(error.into_sql(), name)))?;
            if let Some(error) = drained.error {
                return Err(Failure::Sql(on_shard(error, name)));
            }
            if let Some(table) = &copies {
                let changed = drained.tag.map_or(0, |tag| rows_of_tag(tag.as_bytes()));
                copies::compare(table, *rows.get_or_insert(changed), changed, name)?;
            }
        }
        Ok(())
    }

    /// What the shards behind the default one run in the place of the statement.
    async fn text_elsewhere(
        &mut self,
        first: usize,
        planned: &Planned,
        work: Work<'_>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        match &planned.plan.facts.kind {
            Kind::CreateTableAs { .. } => self.made_without_rows(work).map(Some),
            Kind::Ddl { .. } => self.store_verifier(first, work).await,
            _ => Ok(None),
        }
    }

    /// The shards behind the default one make the table, whose rows are on the default shard.
    fn made_without_rows(&self, work: Work<'_>) -> Result<Vec<u8>, Failure> {
        let made = made_from::without_rows(work.text(), self.lex_options());
        made.ok_or_else(|| Self::internal("a table is made from a query that is not found").into())
    }

    /// A role whose password the statement gives has one verifier, whose keys every shard takes: it is stored on the default
    /// shard, which has salted by itself, and is what the others get. None: they get the statement as it is. (By md5 all salt
    /// with the role's name.)
    async fn store_verifier(&mut self, first: usize, work: Work<'_>) -> Result<Option<Vec<u8>>, Failure> {
        let Some(found) = RolePassword::find(work.text(), self.lex_options()) else { return Ok(None) };
        let Credential::Plain { verifier, .. } = Credential::parse(&found.password, rand::random()) else {
            return Ok(None);
        };
        let captured = self.capture_on(first, "SELECT current_setting('password_encryption')").await?;
        if captured.rows.first() != Some(&vec![Some("scram-sha-256".to_owned())]) {
            return Ok(None);
        }
        let stored = verifier.to_secret();
        let lane = &mut self.lanes[first];
        let altered = found.alteration(work.text(), stored.expose());
        let captured = lane.connection.capture_statement(&altered).await;
        let captured = captured.map_err(|error| Failure::Sql(error.into_sql()))?;
        match captured.error {
            Some(error) => Err(Failure::Sql(error)),
            None => Ok(Some(found.storing(work.text(), stored.expose()))),
        }
    }

    /// What cannot run in a transaction: on each shard by itself, one after the other, and which failed is said.
    pub(super) async fn perform_each(&mut self, planned: &Planned, work: Work<'_>) -> Outcome {
        if self.block.is_open() {
            let message = format!("{} cannot run inside a transaction block", command_words(work.text()));
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message).into());
        }
        self.check_unused(planned, work)?;
        let topology = std::sync::Arc::clone(&self.context.planning.topology);
        self.await_resumed(topology.all_shards()).await?;
        self.names_set(planned, &NoParameters)?;
        let mark = self.client.outbox.len();
        let mut done: Vec<&str> = Vec::new();
        for shard in topology.default_first() {
            let name = topology.shard(shard).name.as_str();
            let outcome = self.perform_one_of_each(planned, work, shard).await;
            if let Err(failure) = outcome {
                self.client.outbox.truncate(mark);
                return Err(match failure {
                    Failure::Sql(error) => Failure::Sql(each_failed(error, name, &done)),
                    other => other,
                });
            }
            done.push(name);
        }
        if planned.changes_schema() {
            self.refresh_catalog().await;
        }
        Ok(())
    }

    /// Settings go ahead in a transaction of their own: the statement must be alone in its.
    async fn perform_one_of_each(&mut self, planned: &Planned, work: Work<'_>, shard: ShardId) -> Outcome {
        let tell = shard == self.default_shard();
        let index = self.join(shard, Access::Write, &[]).await?;
        if self.lanes[index].end_settings() {
            self.drain_lane(index).await?;
        }
        self.put(index, work)?;
        self.lanes[index].connection.suspect |= planned.is_suspect(self.pin.is_some());
        // If it is not done on all shards, somebody has to see to that: it is not cancelled for others' DDL.
        let key = Arc::clone(&self.lanes[index].connection.key);
        key.in_block.store(true, Ordering::Release);
        let sent = Instant::now();
        let report = {
            let mark = self.client.outbox.len();
            let Self { client, lanes, told, limits, .. } = self;
            let report = relay(Relay {
                client,
                lane: &mut lanes[index],
                told,
                limits,
                notify: false,
                hold: true,
                keeps_tag: false,
                moved: false,
            })
            .await;
            if !tell || report.as_ref().is_ok_and(|r| r.error.is_some()) {
                client.outbox.truncate(mark);
            }
            report
        };
        self.note_time(shard, sent.elapsed());
        key.in_block.store(false, Ordering::Release);
        match report {
            Ok(report) => match report.error {
                Some(error) => Err(Failure::Sql(*error)),
                None => Ok(()),
            },
            Err(error) => Err(self.relay_failed(index, error).await),
        }
    }
}

/// The client has its answer from the default shard.
fn hide_answers(lane: &mut Lane) {
    for owed in &mut lane.owed {
        if let Owed::Describe { hidden } | Owed::Execute { hidden } = owed {
            *hidden = true;
        }
    }
}

/// What PostgreSQL calls a command that cannot run in a transaction.
pub(super) fn command_words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut words = text.split_whitespace().map(|word| word.trim_end_matches(';').to_ascii_uppercase());
    let first = words.next().unwrap_or_default();
    match first.as_str() {
        "VACUUM" | "CLUSTER" | "TRUNCATE" => first,
        "DISCARD" => "DISCARD ALL".to_owned(),
        "CREATE" | "DROP" | "ALTER" | "REINDEX" => {
            let second = words.find(|word| word != "UNIQUE").unwrap_or_default();
            let concurrently = if second == "INDEX" { " CONCURRENTLY" } else { "" };
            format!("{first} {second}{concurrently}")
        }
        _ => "this command".to_owned(),
    }
}

/// A server's error, with the shard that it came from.
fn on_shard(error: SqlError, shard: &str) -> SqlError {
    let detail = match &error.detail {
        Some(detail) => format!("{detail} (On shard \"{shard}\".)"),
        None => format!("On shard \"{shard}\"."),
    };
    error.detail(detail)
}

fn each_failed(error: SqlError, shard: &str, done: &[&str]) -> SqlError {
    let already = if done.is_empty() { "no other shard".to_owned() } else { done.join(", ") };
    let detail = format!("It failed on shard \"{shard}\"; it is done on: {already}.");
    error.detail(detail).hint("The command is not transactional: mend the cause and run it again.")
}

/// ACCESS SHARE, ROW SHARE and ROW EXCLUSIVE are locks that a server gives during recovery, too (`LockTableCommand`).
fn is_lock_of_replicas(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let mode = words.iter().rposition(|word| *word == "in").map_or(&[][..], |at| &words[at + 1..]);
    matches!(mode, ["access" | "row", "share", "mode", ..] | ["row", "exclusive", "mode", ..])
}
