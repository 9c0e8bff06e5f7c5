//! Cases of the coordinator: every answer at every step, and the invariants over all of them.

use super::*;
use crate::wire::error::SqlState;

const DONE: Answer = Answer::Done;
const LOST: Answer = Answer::Lost;

fn refused() -> Answer {
    Answer::Refused(Box::new(SqlError::new(SqlState::SERIALIZATION_FAILURE, "no")))
}

/// Two writers that prepare, the recorder between them, and a reader.
fn three_writers() -> Coordinator {
    Coordinator::new(vec![true, true, true, false], Some(1))
}

fn sends(coordinator: &mut Coordinator) -> Vec<(usize, Command)> {
    match coordinator.next_step() {
        Step::Send(commands) => commands,
        Step::Finished(outcome) => panic!("finished: {outcome:?}"),
    }
}

fn ends(coordinator: &mut Coordinator) -> Outcome {
    match coordinator.next_step() {
        Step::Finished(outcome) => outcome,
        Step::Send(commands) => panic!("not finished: {commands:?}"),
    }
}

const FIRST: [(usize, Command); 3] = [(0, Command::Prepare), (2, Command::Prepare), (3, Command::Commit)];

#[test]
fn all_is_well() {
    let mut c = three_writers();
    assert_eq!(sends(&mut c), FIRST);
    c.on_answers(vec![DONE, DONE, DONE]);
    assert_eq!(sends(&mut c), [(1, Command::Decide)]);
    c.on_answers(vec![DONE]);
    assert_eq!(sends(&mut c), [(0, Command::CommitPrepared), (2, Command::CommitPrepared)]);
    c.on_answers(vec![DONE, DONE]);
    assert_eq!(ends(&mut c), Outcome::Committed { unfinished: vec![] });
}

#[test]
fn a_refused_prepare_rolls_all_back() {
    let mut c = three_writers();
    sends(&mut c);
    c.on_answers(vec![DONE, refused(), DONE]);
    assert_eq!(
        sends(&mut c),
        [(0, Command::RollbackPrepared), (1, Command::Rollback), (2, Command::Rollback)]
    );
    c.on_answers(vec![DONE, DONE, DONE]);
    let expected = Outcome::RolledBack { participant: 2, cause: refused(), unfinished: vec![] };
    assert_eq!(ends(&mut c), expected);
}

#[test]
fn a_lost_prepare_rolls_the_others_back_and_is_left_to_recovery() {
    let mut c = three_writers();
    sends(&mut c);
    c.on_answers(vec![LOST, DONE, DONE]);
    assert_eq!(sends(&mut c), [(1, Command::Rollback), (2, Command::RollbackPrepared)]);
    c.on_answers(vec![DONE, LOST]);
    let expected = Outcome::RolledBack { participant: 0, cause: LOST, unfinished: vec![0, 2] };
    assert_eq!(ends(&mut c), expected);
}

#[test]
fn a_reader_that_fails_rolls_all_back() {
    for answer in [refused(), LOST] {
        let mut c = three_writers();
        sends(&mut c);
        c.on_answers(vec![DONE, DONE, answer.clone()]);
        let commands = sends(&mut c);
        assert_eq!(
            commands[..3],
            [(0, Command::RollbackPrepared), (1, Command::Rollback), (2, Command::RollbackPrepared)]
        );
        c.on_answers(vec![DONE; commands.len()]);
        assert_eq!(ends(&mut c), Outcome::RolledBack { participant: 3, cause: answer, unfinished: vec![] });
    }
}

#[test]
fn a_refused_decision_rolls_all_back() {
    let mut c = three_writers();
    sends(&mut c);
    c.on_answers(vec![DONE; 3]);
    sends(&mut c);
    c.on_answers(vec![refused()]);
    assert_eq!(
        sends(&mut c),
        [(0, Command::RollbackPrepared), (1, Command::Rollback), (2, Command::RollbackPrepared)]
    );
    c.on_answers(vec![DONE; 3]);
    assert!(matches!(ends(&mut c), Outcome::RolledBack { participant: 1, .. }));
}

#[test]
fn a_lost_decision_is_in_doubt_and_nothing_more_is_sent() {
    let mut c = three_writers();
    sends(&mut c);
    c.on_answers(vec![DONE; 3]);
    sends(&mut c);
    c.on_answers(vec![LOST]);
    assert_eq!(ends(&mut c), Outcome::InDoubt { recorder: 1 });
}

#[test]
fn after_the_decision_nothing_makes_it_uncommitted() {
    for answer in [refused(), LOST] {
        let mut c = three_writers();
        sends(&mut c);
        c.on_answers(vec![DONE; 3]);
        sends(&mut c);
        c.on_answers(vec![DONE]);
        sends(&mut c);
        c.on_answers(vec![answer, DONE]);
        assert_eq!(ends(&mut c), Outcome::Committed { unfinished: vec![0] });
    }
}

#[test]
fn one_writer_commits_after_the_readers_without_preparing() {
    let mut c = Coordinator::new(vec![false, true], Some(0));
    assert!(!c.is_distributed());
    assert_eq!(sends(&mut c), [(0, Command::Commit)]);
    c.on_answers(vec![DONE]);
    assert_eq!(sends(&mut c), [(1, Command::Commit)]);
    c.on_answers(vec![LOST]);
    assert_eq!(ends(&mut c), Outcome::InDoubt { recorder: 1 });
}

#[test]
fn readers_alone_just_commit() {
    let mut c = Coordinator::new(vec![false, false], None);
    assert_eq!(c.recorder(), None);
    assert_eq!(sends(&mut c), [(0, Command::Commit), (1, Command::Commit)]);
    c.on_answers(vec![DONE, DONE]);
    assert_eq!(ends(&mut c), Outcome::Committed { unfinished: vec![] });
}

#[test]
fn the_recorder_is_a_writer() {
    assert_eq!(Coordinator::new(vec![false, true, true], Some(0)).recorder(), Some(1));
    assert_eq!(Coordinator::new(vec![false, true, true], Some(2)).recorder(), Some(2));
}

/// Walks through every combination of answers and holds each run to the invariants.
#[test]
fn no_sequence_of_answers_breaks_the_protocol() {
    let mut runs = 0;
    let mut path: Vec<usize> = Vec::new();
    loop {
        walk(&path_answers(&path), &mut path);
        runs += 1;
        // The next path in counting order.
        while path.last() == Some(&2) {
            path.pop();
        }
        match path.last_mut() {
            Some(last) => *last += 1,
            None => break,
        }
    }
    assert!(runs > 500, "{runs}");
}

fn path_answers(path: &[usize]) -> Vec<Answer> {
    path.iter().map(|choice| [DONE, refused(), LOST][*choice].clone()).collect()
}

/// Runs with the given answers, then with `Done`; `path` becomes the whole run's.
fn walk(given: &[Answer], path: &mut Vec<usize>) {
    let mut c = three_writers();
    let mut used = 0;
    let mut decision = None;
    let mut lost = Vec::new();
    let outcome = loop {
        let commands = match c.next_step() {
            Step::Send(commands) => commands,
            Step::Finished(outcome) => break outcome,
        };
        let mut answers = Vec::new();
        for (index, command) in &commands {
            let answer = given.get(used).cloned().unwrap_or(DONE);
            if used >= path.len() {
                path.push(0);
            }
            used += 1;
            assert!(!lost.contains(index), "a lost participant is left alone");
            match command {
                Command::Decide => decision = Some(answer.clone()),
                Command::CommitPrepared => assert_eq!(decision, Some(DONE)),
                Command::RollbackPrepared | Command::Rollback => {
                    assert!(matches!(decision, None | Some(Answer::Refused(_))));
                }
                Command::Commit | Command::Prepare => assert_eq!(decision, None),
            }
            if answer == LOST {
                lost.push(*index);
            }
            answers.push(answer);
        }
        c.on_answers(answers);
    };
    path.truncate(used);
    match outcome {
        Outcome::Committed { .. } => assert_eq!(decision, Some(DONE)),
        Outcome::RolledBack { .. } => assert!(matches!(decision, None | Some(Answer::Refused(_)))),
        Outcome::InDoubt { .. } => assert_eq!(decision, Some(LOST)),
    }
}
