//! The coordinator of two-phase commit as a state machine: what to send next, and what an answer means. Pure.
//!
//! `commit` asks for the [`Step`], sends its commands to the participants at once, hands the answers in, and
//! asks again until the outcome is there.
//!
//! ```text
//!   FirstPhase ──all done──▶ Deciding ──done──▶ SecondPhase ─▶ Committed
//!       │ refused, lost         │ │ lost ─────────────────────▶ InDoubt
//!       ▼                       ▼ refused
//!   RollingBack ◀───────────────┘ ─────────────────────────────▶ RolledBack
//! ```
//!
//! With one writer there is nothing to prepare: readers commit, then the writer's own COMMIT is the decision.
//!
//! Invariants:
//! 1. `CommitPrepared` is sent only after the recorder's answer to its decision was `Done`.
//! 2. `RollbackPrepared` is sent only if the recorder has certainly not decided: never asked, or refused.
//! 3. Nothing is sent to a participant that was lost, nor to any after the decision was lost: recovery finishes them.
//! 4. The outcome is `Committed` exactly if the decision was `Done`, whatever becomes of the second phase.

use crate::wire::error::SqlError;

/// What a participant is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Plain COMMIT: of a reader, or of the only writer.
    Commit,
    Prepare,
    /// Record the decision and commit, in one transaction of the recorder.
    Decide,
    CommitPrepared,
    Rollback,
    RollbackPrepared,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// The server said no: it has certainly not been done.
    Refused(Box<SqlError>),
    /// The connection ended, or time ran out: it may have been done or not.
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To these participants at once; an answer for each, in this order, goes to [`Coordinator::on_answers`].
    Send(Vec<(usize, Command)>),
    Finished(Outcome),
}

/// How it ended. `unfinished` are participants whose prepared part recovery must finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Committed {
        unfinished: Vec<usize>,
    },
    RolledBack {
        participant: usize,
        cause: Answer,
        unfinished: Vec<usize>,
    },
    /// The decision was sent to `recorder` and its answer is unknown.
    InDoubt {
        recorder: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Its transaction is open.
    Open,
    Prepared,
    /// Nothing more to do: committed, rolled back, or ended by its own error.
    Ended,
    /// What became of it is not known, or is known and cannot be helped from here.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    First,
    Deciding,
    Second,
    RollingBack { participant: usize, cause: Answer },
    InDoubt,
}

#[derive(Debug)]
pub struct Coordinator {
    wrote: Vec<bool>,
    parts: Vec<Part>,
    recorder: Option<usize>,
    phase: Phase,
    /// Commands whose answers are awaited.
    sent: Vec<(usize, Command)>,
}

impl Coordinator {
    /// `wrote[i]` says whether participant `i` has written; `preferred` records the decision if it has.
    pub fn new(wrote: Vec<bool>, preferred: Option<usize>) -> Self {
        let preferred = preferred.filter(|index| wrote.get(*index) == Some(&true));
        let recorder = preferred.or_else(|| wrote.iter().position(|wrote| *wrote));
        let parts = vec![Part::Open; wrote.len()];
        Self { wrote, parts, recorder, phase: Phase::First, sent: Vec::new() }
    }

    /// The participant that records the decision; None if nobody has written.
    pub fn recorder(&self) -> Option<usize> {
        self.recorder
    }

    /// Whether there are two phases.
    pub fn is_distributed(&self) -> bool {
        self.wrote.iter().filter(|wrote| **wrote).count() > 1
    }

    /// What to do now. Phases without commands are passed over.
    pub fn next_step(&mut self) -> Step {
        loop {
            let commands = self.commands();
            if !commands.is_empty() {
                self.sent.clone_from(&commands);
                return Step::Send(commands);
            }
            match &self.phase {
                Phase::First => self.phase = Phase::Deciding,
                Phase::Deciding => self.phase = Phase::Second,
                Phase::Second => return Step::Finished(Outcome::Committed { unfinished: self.unknown() }),
                Phase::RollingBack { participant, cause } => {
                    let (participant, cause) = (*participant, cause.clone());
                    return Step::Finished(Outcome::RolledBack {
                        participant,
                        cause,
                        unfinished: self.unknown(),
                    });
                }
                Phase::InDoubt => {
                    return Step::Finished(Outcome::InDoubt { recorder: self.recorder.unwrap_or(0) });
                }
            }
        }
    }

    fn commands(&self) -> Vec<(usize, Command)> {
        let all = |command: &dyn Fn(usize, Part) -> Option<Command>| {
            let parts = self.parts.iter().copied().enumerate();
            parts.filter_map(|(index, part)| Some((index, command(index, part)?))).collect()
        };
        match &self.phase {
            Phase::First => all(&|index, part| match part {
                Part::Open if Some(index) == self.recorder => None,
                Part::Open if self.wrote[index] => Some(Command::Prepare),
                Part::Open => Some(Command::Commit),
                Part::Prepared | Part::Ended | Part::Unknown => None,
            }),
            Phase::Deciding => all(&|index, part| match part {
                Part::Open if self.is_distributed() => {
                    (Some(index) == self.recorder).then_some(Command::Decide)
                }
                Part::Open => Some(Command::Commit),
                Part::Prepared | Part::Ended | Part::Unknown => None,
            }),
            Phase::Second => all(&|_, part| (part == Part::Prepared).then_some(Command::CommitPrepared)),
            Phase::RollingBack { .. } => all(&|_, part| match part {
                Part::Open => Some(Command::Rollback),
                Part::Prepared => Some(Command::RollbackPrepared),
                Part::Ended | Part::Unknown => None,
            }),
            Phase::InDoubt => Vec::new(),
        }
    }

    fn unknown(&self) -> Vec<usize> {
        (0..self.parts.len())
            .filter(|index| self.wrote[*index] && self.parts[*index] == Part::Unknown)
            .collect()
    }

    /// The answers to the commands of the last step, in their order; one that is missing counts as lost.
    pub fn on_answers(&mut self, answers: Vec<Answer>) {
        let mut failure = None;
        let mut answers = answers.into_iter();
        for (index, command) in std::mem::take(&mut self.sent) {
            let answer = answers.next().unwrap_or(Answer::Lost);
            self.parts[index] = match (&answer, command) {
                (Answer::Done, Command::Prepare) => Part::Prepared,
                (Answer::Done, _) => Part::Ended,
                (Answer::Lost, _) => Part::Unknown,
                // Its transaction may still be open, in the failed state: it gets a ROLLBACK.
                (Answer::Refused(_), Command::Commit | Command::Prepare | Command::Decide) => Part::Open,
                (Answer::Refused(_), Command::Rollback) => Part::Ended,
                (Answer::Refused(_), Command::CommitPrepared | Command::RollbackPrepared) => Part::Unknown,
            };
            if answer != Answer::Done {
                failure.get_or_insert((index, answer));
            }
        }
        let Some((participant, cause)) = failure else {
            match self.phase {
                Phase::First => self.phase = Phase::Deciding,
                Phase::Deciding => self.phase = Phase::Second,
                Phase::Second | Phase::RollingBack { .. } | Phase::InDoubt => {}
            }
            return;
        };
        match (&self.phase, &cause) {
            (Phase::Deciding, Answer::Lost) => self.phase = Phase::InDoubt,
            (Phase::First | Phase::Deciding, _) => self.phase = Phase::RollingBack { participant, cause },
            (Phase::Second | Phase::RollingBack { .. } | Phase::InDoubt, _) => {}
        }
    }
}

#[cfg(test)]
#[path = "coordinator_tests.rs"]
mod tests;
