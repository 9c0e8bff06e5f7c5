//! Drives the [`Coordinator`] over the connections of a session's transaction.
//!
//! Called by `session` at COMMIT when two shards or more were written. The commands of one step go to all participants
//! at once; a step ends when every one has answered, or its time is up.
//!
//! Invariants:
//! 1. A participant whose answer did not come is left `broken`, so its connection is never used again.
//! 2. An answer counts as done only with the command's own tag: PostgreSQL answers COMMIT and PREPARE TRANSACTION in a
//!    failed transaction with ROLLBACK, and no error.
//! 3. "No such prepared transaction" in the second phase means that recovery was faster: done.
//!
//! Not here: what to do next (`coordinator`), what is left over (`recovery`).

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;

use super::coordinator::{Answer, Command, Coordinator, Outcome, Step};
use super::fault::{self, FaultPoint};
use super::registry::{Live, Registry};
use super::schema;
use crate::backend::Connection;
use crate::topology::{ShardId, ShardSet, Topology};
use crate::wire::backend::TransactionStatus;
use crate::wire::error::{SqlError, SqlState};

/// Deferred triggers run inside PREPARE and COMMIT, and a synchronous replica may be far; beyond this a server is taken
/// for lost, so that the other participants' locks are let go.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// The second phase is promised already: what is not done by then, recovery does, and the client need not wait.
const SECOND_PHASE_TIME_MAX: Duration = Duration::from_secs(10);

/// One shard's part of a transaction: an open transaction on a connection.
#[derive(Debug)]
pub struct Participant<'a> {
    pub connection: &'a mut Connection,
    pub shard: ShardId,
    /// Something that may have written went through.
    pub wrote: bool,
    /// It holds locks that others are to get behind the last commit: the decision, which lets go of them, is another's.
    pub holds: bool,
    /// How long its server has taken for its part of the commit.
    pub spent: Duration,
}

/// Why there was no commit, or none that is known of.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was sent to any shard: their transactions are open as before.
    #[error("{0}")]
    NotTried(Box<SqlError>),
    /// A server said no; nothing was committed on any shard.
    #[error("{cause}")]
    RolledBack { shard: String, cause: Box<SqlError> },
    /// A server was lost before the decision; nothing is, or will be, committed on any shard.
    #[error(
        "shard \"{shard}\" was lost before the transaction could be committed; it is rolled back on all shards"
    )]
    ServerLost { shard: String },
    #[error(
        "shard \"{shard}\" was lost while it committed; the transaction may or may not have been committed"
    )]
    InDoubt { shard: String },
}

impl CommitError {
    pub fn into_sql(self) -> SqlError {
        let message = self.to_string();
        match self {
            Self::NotTried(error) => *error,
            Self::RolledBack { shard, cause } => match cause.detail {
                Some(_) => *cause,
                None => cause.detail(format!(
                    "It was raised on shard \"{shard}\" at commit; all shards are rolled back."
                )),
            },
            // The code that drivers' retries know.
            Self::ServerLost { .. } => SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
                .hint("The transaction may be tried again."),
            Self::InDoubt { .. } => SqlError::new(SqlState::TRANSACTION_RESOLUTION_UNKNOWN, message)
                .detail("It will be the same on all shards: committed or rolled back.")
                .hint("Look for the transaction's effects before running it again."),
        }
    }
}

/// Commits on all participants or on none. `asides` receives notices and parameter reports, for the client.
///
/// No participant owes an answer, and nothing waits in its outbox. After an error other than [`CommitError::NotTried`] no participant has an open transaction, or its connection is
/// broken. Cancel safe: as to atomicity yes, recovery finishes it; the connections are then broken.
pub async fn commit(
    participants: &mut [Participant<'_>],
    topology: &Topology,
    registry: &Registry,
    asides: &mut Vec<Bytes>,
) -> Result<(), CommitError> {
    let may_decide = |part: &Participant<'_>| part.wrote && !part.holds;
    let default = |part: &Participant<'_>| may_decide(part) && part.shard == topology.default_shard;
    let preferred =
        participants.iter().position(default).or_else(|| participants.iter().position(may_decide));
    let mut coordinator = Coordinator::new(participants.iter().map(|part| part.wrote).collect(), preferred);
    let name = |participants: &[Participant<'_>], index: usize| {
        participants.get(index).map_or_else(String::new, |part| topology.shard(part.shard).name.clone())
    };
    let live = if coordinator.is_distributed() {
        let recorder = name(participants, coordinator.recorder().unwrap_or(0));
        Some(begin(participants, topology, registry, &recorder)?)
    } else {
        None
    };
    let outcome = drive(&mut coordinator, participants, live.as_ref(), asides).await;
    let gid = live.as_ref().map(|live| live.gid.as_str());
    if live.is_some() {
        registry.note(|standing| match &outcome {
            Outcome::Committed { .. } => standing.committed += 1,
            Outcome::RolledBack { .. } => standing.rolled_back += 1,
            Outcome::InDoubt { .. } => standing.in_doubt += 1,
        });
    }
    match outcome {
        Outcome::Committed { unfinished } => {
            for index in unfinished {
                let shard = name(participants, index);
                if let (Some(live), Some(part)) = (&live, participants.get(index)) {
                    registry.unfinished.note(part.shard, live.gid.clone());
                }
                tracing::warn!(
                    gid,
                    shard,
                    "is committed, but not applied on this shard yet: recovery will do it"
                );
            }
            Ok(())
        }
        Outcome::RolledBack { participant, cause, .. } => {
            let shard = name(participants, participant);
            Err(match cause {
                Answer::Refused(cause) => CommitError::RolledBack { shard, cause },
                Answer::Lost | Answer::Done => CommitError::ServerLost { shard },
            })
        }
        Outcome::InDoubt { recorder } => {
            let shard = name(participants, recorder);
            tracing::warn!(gid, shard, "was lost while the decision was recorded: recovery will find out");
            Err(CommitError::InDoubt { shard })
        }
    }
}

fn begin<'a>(
    participants: &[Participant<'_>],
    topology: &Topology,
    registry: &'a Registry,
    recorder: &str,
) -> Result<Live<'a>, CommitError> {
    let writers: ShardSet = participants.iter().filter(|part| part.wrote).map(|part| part.shard).collect();
    registry.check(topology, writers).map_err(|error| CommitError::NotTried(Box::new(error)))?;
    registry.begin(recorder).ok_or_else(|| {
        let message = format!("the name of shard \"{recorder}\" is too long for two-phase commit");
        CommitError::NotTried(Box::new(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)))
    })
}

async fn drive(
    coordinator: &mut Coordinator,
    participants: &mut [Participant<'_>],
    live: Option<&Live<'_>>,
    asides: &mut Vec<Bytes>,
) -> Outcome {
    loop {
        let commands = match coordinator.next_step() {
            Step::Finished(outcome) => return outcome,
            Step::Send(commands) => commands,
        };
        if commands.iter().any(|(_, command)| *command == Command::Decide) {
            fault::reach(FaultPoint::AfterPrepareBeforeDecision).await;
        }
        let work = participants.iter_mut().enumerate().filter_map(|(index, participant)| {
            let (_, command) = commands.iter().find(|(wanted, _)| *wanted == index)?;
            Some(perform(participant, *command, live))
        });
        let performed = join_all(work).await;
        let mut answers = Vec::with_capacity(performed.len());
        for (answer, frames) in performed {
            answers.push(answer);
            asides.extend(frames);
        }
        coordinator.on_answers(answers);
        match commands.first() {
            Some((_, Command::Decide)) => fault::reach(FaultPoint::AfterDecisionBeforeSecondPhase).await,
            Some((_, Command::CommitPrepared)) => fault::reach(FaultPoint::AfterSecondPhase).await,
            _ => {}
        }
    }
}

/// One command on one participant: its answer, and what the server said beside it.
async fn perform(
    participant: &mut Participant<'_>,
    command: Command,
    live: Option<&Live<'_>>,
) -> (Answer, Vec<Bytes>) {
    let connection = &mut *participant.connection;
    if connection.broken {
        return (Answer::Lost, Vec::new());
    }
    if command == Command::Rollback && connection.status == TransactionStatus::Idle {
        return (Answer::Done, Vec::new());
    }
    let Some(sql) = statement(command, live) else { return (Answer::Lost, Vec::new()) };
    let bound = match command {
        Command::Commit | Command::Prepare | Command::Decide => ANSWER_TIME_MAX,
        Command::CommitPrepared | Command::Rollback | Command::RollbackPrepared => SECOND_PHASE_TIME_MAX,
    };
    connection.committing = !matches!(command, Command::Rollback | Command::RollbackPrepared);
    // Where time runs out, `capture` has left the connection marked as broken.
    let sent = Instant::now();
    let captured = tokio::time::timeout(bound, connection.capture(&sql)).await;
    participant.spent += sent.elapsed();
    let Ok(Ok(captured)) = captured else {
        connection.broken = true;
        return (Answer::Lost, Vec::new());
    };
    connection.committing = false;
    let answer = match captured.error {
        Some(error) if error.sqlstate == SqlState::UNDEFINED_OBJECT && is_second_phase(command) => {
            Answer::Done
        }
        Some(error) if command == Command::Decide && schema::is_decided(&error) => {
            let message =
                "the transaction took too long to commit: it was taken for abandoned and is rolled back";
            let hint = "The transaction may be tried again.";
            Answer::Refused(Box::new(SqlError::new(SqlState::SERIALIZATION_FAILURE, message).hint(hint)))
        }
        Some(error) => Answer::Refused(Box::new(error)),
        None if captured.tag == tag(command) => Answer::Done,
        None => Answer::Refused(Box::new(SqlError::new(
            SqlState::IN_FAILED_SQL_TRANSACTION,
            format!("the transaction had failed: the server answered {} to {}", captured.tag, tag(command)),
        ))),
    };
    match command {
        Command::Prepare => fault::reach(FaultPoint::AfterOnePrepare).await,
        Command::CommitPrepared => fault::reach(FaultPoint::AfterOneCommitPrepared).await,
        Command::Commit | Command::Decide | Command::Rollback | Command::RollbackPrepared => {}
    }
    (answer, captured.asides)
}

fn is_second_phase(command: Command) -> bool {
    matches!(command, Command::CommitPrepared | Command::RollbackPrepared)
}

/// The gid and the proof are plain ASCII without quotes: no escape is needed whatever the session's settings are.
fn statement(command: Command, live: Option<&Live<'_>>) -> Option<String> {
    let gid = || live.map(|live| live.gid.as_str());
    Some(match command {
        Command::Commit => "COMMIT".to_owned(),
        Command::Rollback => "ROLLBACK".to_owned(),
        Command::Prepare => format!("PREPARE TRANSACTION '{}'", gid()?),
        Command::CommitPrepared => format!("COMMIT PREPARED '{}'", gid()?),
        Command::RollbackPrepared => format!("ROLLBACK PREPARED '{}'", gid()?),
        // One message: if the decision is refused, the server does not come to the COMMIT.
        Command::Decide => {
            let live = live?;
            format!("SELECT meridian_internal.decide('{}', '{}'); COMMIT", live.gid, live.proof.expose())
        }
    })
}

fn tag(command: Command) -> &'static str {
    match command {
        Command::Commit | Command::Decide => "COMMIT",
        Command::Rollback => "ROLLBACK",
        Command::Prepare => "PREPARE TRANSACTION",
        Command::CommitPrepared => "COMMIT PREPARED",
        Command::RollbackPrepared => "ROLLBACK PREPARED",
    }
}
