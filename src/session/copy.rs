//! COPY of sharded and reference tables: the session's side of [`crate::execute::copy`].
//!
//! The rows of a COPY FROM STDIN may reach several shards: all of it is one transaction, committed by two phases where
//! more than one shard has got rows.
//!
//! Invariants:
//! 1. Either every row is committed or none.
//! 2. In the extended protocol the Sync that came before the data is used up by the copy, as PostgreSQL does.

use super::perform::Work;
use super::planning::Planned;
use super::report::settings_on_one_server;
use super::snapshot::Tie;
use super::{End, Failure, Outcome, Session};
use crate::execute::RelayError;
use crate::execute::copy::{self, CopiedIn, CopyError, CopyHost, HostParts};
use crate::plan::Access;
use crate::plan::copy::CopyIn;
use crate::sql::arguments::NoParameters;
use crate::topology::{Placement, ShardId};
use crate::wire::encode;

/// The session while it copies.
struct Host<'a> {
    session: &'a mut Session,
    access: Access,
    /// What fires for the rows may leave something behind.
    suspect: bool,
    /// The client has been asked for its data.
    began: bool,
}

impl CopyHost for Host<'_> {
    type Failure = Failure;

    async fn join(&mut self, shard: ShardId) -> Result<usize, Failure> {
        let index = self.session.join(shard, self.access, &[]).await?;
        let lane = &mut self.session.lanes[index];
        lane.connection.suspect |= self.suspect;
        if lane.one_by_one && !lane.owed.is_empty() {
            // COPY stands alone: what begins the transaction has been answered before it is sent.
            lane.sync(true);
            if let Some(error) = self.session.drain_lane(index).await?.error {
                return Err(Failure::Sql(error));
            }
        }
        Ok(index)
    }

    fn parts(&mut self) -> HostParts<'_> {
        let Session { client, lanes, told, .. } = &mut *self.session;
        HostParts { client, lanes, told }
    }

    fn began(&mut self) {
        self.began = true;
    }
}

impl Session {
    pub(super) async fn copy_in(&mut self, planned: &Planned, work: Work<'_>, plan: &CopyIn) -> Outcome {
        self.describe_no_rows(work);
        let names = self.names_set(planned, &NoParameters)?;
        let own_block = !self.block.is_open();
        if own_block {
            self.begin_implicit();
        }
        // No lane can be asked for them amid the rows.
        Box::pin(self.learn_sets(None)).await?;
        if let Some(transaction) = self.block.transaction() {
            transaction.everywhere = true;
        }
        let outcome = self.run_copy_in(planned, work, plan).await;
        // In a pipeline it is committed by the Sync behind it, with whatever stands between.
        let at_once = own_block && !matches!(work, Work::Extended { .. });
        let outcome = match outcome {
            Ok(copied) if at_once => self.commit_for(planned, work, true).await.map(|()| copied.rows),
            Ok(copied) => match copied.wrote.single().map(|shard| self.lane_of(shard)).transpose() {
                Ok(Some(index)) => {
                    self.follow_code(index, names, planned, work.text()).await.map(|()| copied.rows)
                }
                Ok(None) => Ok(copied.rows),
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(rows) => {
                self.note_rows(rows);
                encode::server::command_complete(&mut self.client.outbox, format!("COPY {rows}").as_bytes());
                Ok(())
            }
            Err(failure) => {
                if own_block && self.block.is_open() {
                    self.roll_back_block().await;
                }
                Err(failure)
            }
        }
    }

    async fn run_copy_in(
        &mut self,
        planned: &Planned,
        work: Work<'_>,
        plan: &CopyIn,
    ) -> Result<CopiedIn, Failure> {
        self.see_everywhere().await?;
        if let Some(table) = self.written_copies(planned) {
            self.lock_copies(&table).await?;
        }
        let planning = self.context.planning.clone();
        let relation = planning.catalog.relations.get(&plan.rule.name);
        let key_type = plan
            .rule
            .key()
            .zip(relation)
            .and_then(|(key, relation)| planning.catalog.key_type(relation, key));
        let limits = self.limits;
        let job = copy::CopyIn {
            plan,
            key_type,
            topology: &planning.topology,
            sql: work.text(),
            first: planning.topology.default_shard,
            limits: &limits,
        };
        let suspect = planned.is_suspect(self.pin.is_some());
        let mut host = Host { session: self, access: Access::Write, suspect, began: false };
        let result = copy::copy_in(&mut host, job).await;
        let began = host.began;
        self.awaiting_sync = began && matches!(work, Work::Extended { .. });
        let is_dealt = !matches!(plan.rule.placement, Placement::Reference);
        match result {
            // Of rows that were dealt out, the last of one server has set something else than the last of another.
            Ok(copied) if copied.wrote.len() > 1 && is_dealt && !planned.sets.is_nothing() => {
                Err(Failure::Sql(settings_on_one_server()))
            }
            Ok(copied) => {
                for lane in self.lanes.iter_mut().filter(|lane| lane.in_block) {
                    lane.note_write(copied.wrote.contains(lane.shard));
                }
                Ok(copied)
            }
            Err(error) => Err(self.copy_failed(error).await),
        }
    }

    pub(super) async fn copy_out(&mut self, work: Work<'_>, access: Access, header: bool) -> Outcome {
        self.describe_no_rows(work);
        let planning = self.context.planning.clone();
        let limits = self.limits;
        let job = copy::CopyOut {
            topology: &planning.topology,
            sql: work.text(),
            shards: planning.topology.all_shards(),
            header,
            limits: &limits,
        };
        self.await_resumed(planning.topology.all_shards()).await?;
        self.see(planning.topology.all_shards(), Tie::Loose).await?;
        let mut host = Host { session: self, access, suspect: false, began: false };
        match copy::copy_out(&mut host, job).await {
            Ok(copied) => {
                self.note_rows(copied.rows);
                let tag = format!("COPY {}", copied.rows);
                encode::server::command_complete(&mut self.client.outbox, tag.as_bytes());
                Ok(())
            }
            Err(error) => Err(self.copy_failed(error).await),
        }
    }

    async fn copy_failed(&mut self, error: CopyError<Failure>) -> Failure {
        match error {
            CopyError::Host(failure) => failure,
            CopyError::Sql(error) => Failure::Sql(error),
            CopyError::Server { shard, error } => {
                match self.lanes.iter().position(|lane| lane.shard == shard) {
                    Some(index) => {
                        self.relay_failed(index, RelayError::Server { error, forwarded: false }).await
                    }
                    None => Failure::Sql(error.into_sql()),
                }
            }
            CopyError::ClientProtocol(error) => Failure::End(End::Fatal(error)),
            CopyError::ClientGone => Failure::End(End::Client),
        }
    }
}
