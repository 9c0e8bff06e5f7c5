//! Runs one work on both sides, judges it, and makes what fails smaller.

use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::compare::{Difference, difference};
use crate::grammar::Work;
use crate::refusals::Refusals;
use crate::stand::{Pair, RawClient, Target};
use crate::tree::{Node, Printed, Style};
use crate::way::Way;

/// Tries at making a statement smaller.
const SIMPLIFICATIONS_MAX: usize = 600;
/// Of the rows of one answer so many bytes are kept.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// Both sides give a statement up after this.
const STATEMENT_TIMEOUT: &str = "10s";
/// What the plain server answers in less must not be given up by Meridian.
const QUICK: Duration = Duration::from_millis(250);
const GIVEN_UP: &str = "57014";
/// Gathering and what follows may each take the time of a statement.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub enum Verdict {
    /// An answer, or the same error on both sides.
    Equal(Agreement),
    /// By this number of the list of limits.
    Refused(String),
    Wrong(Difference),
}

impl Verdict {
    pub fn word(&self) -> String {
        match self {
            Self::Equal(agreement) => format!("{agreement:?}"),
            Self::Refused(number) => number.clone(),
            Self::Wrong(difference) => format!("WRONG {}", difference.kind),
        }
    }
}

/// What both sides say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agreement {
    Rows,
    Nothing,
    /// Rows that were only counted.
    Many,
    /// Not judged: one of both takes too long.
    GivenUp,
    /// With this SQLSTATE.
    Error(String),
}

impl Agreement {
    fn of(answer: &Answer) -> Self {
        match answer.sqlstate() {
            Some(GIVEN_UP) => Self::GivenUp,
            Some(sqlstate) => Self::Error(sqlstate.to_owned()),
            None if answer.withheld > 0 => Self::Many,
            None if answer.rows.is_empty() => Self::Nothing,
            None => Self::Rows,
        }
    }
}

/// Both sides, connected.
pub struct Sides<'a> {
    pair: &'a Pair,
    plain: RawClient,
    meridian: RawClient,
    refusals: Refusals,
}

impl<'a> Sides<'a> {
    pub fn new(pair: &'a Pair) -> Self {
        let meridian = Self::connect(Self::meridian(pair));
        Self { pair, plain: Self::connect(&pair.plain), meridian, refusals: Refusals::load() }
    }

    fn connect(target: &Target) -> RawClient {
        let mut client =
            RawClient::connect(target, &[("statement_timeout", STATEMENT_TIMEOUT)]).expect("a login");
        client.set_patience(PATIENCE);
        client.keeps = KEPT_BYTES_MAX;
        client
    }

    fn meridian(pair: &Pair) -> &Target {
        pair.meridian.as_ref().expect("the oracle compares with Meridian")
    }

    pub fn judge(&mut self, work: &Work, way: Way) -> Verdict {
        for setting in &work.settings {
            self.both(setting);
        }
        let verdict = match work.in_transaction {
            true => self.judge_transaction(work, way.in_transaction()),
            false => self.judge_statement(&work.statements[0], way),
        };
        if !work.settings.is_empty() {
            self.both("RESET ALL");
        }
        verdict
    }

    fn both(&mut self, command: &str) {
        self.meridian.simple(command);
        self.plain.simple(command);
    }

    /// One after the other in a transaction that is rolled back; the first that is wrong or refused ends it.
    fn judge_transaction(&mut self, work: &Work, way: Way) -> Verdict {
        self.both("BEGIN");
        let mut verdict = Verdict::Equal(Agreement::Nothing);
        for (index, statement) in work.statements.iter().enumerate() {
            let Verdict::Equal(_) = verdict else { break };
            verdict = match self.judge_statement(statement, way) {
                // What the change did is looked at, if that is supported.
                Verdict::Refused(_) if index > 0 => break,
                verdict => verdict,
            };
        }
        self.both("ROLLBACK");
        verdict
    }

    fn judge_statement(&mut self, node: &Node, way: Way) -> Verdict {
        let printed = node.print(way.style());
        let mine = way.ask(&mut self.meridian, &printed);
        if let Some(verdict) = self.unanswered(&mine) {
            return verdict;
        }
        let asked = Instant::now();
        let plain = way.ask(&mut self.plain, &printed);
        let gave_up = |answer: &Answer| answer.sqlstate() == Some(GIVEN_UP);
        if gave_up(&mine) && !gave_up(&plain) && asked.elapsed() < QUICK {
            let detail = format!("plain: {:.1?}", asked.elapsed());
            return Verdict::Wrong(Difference { kind: "given up".to_owned(), detail });
        }
        if [&mine, &plain].iter().any(|answer| gave_up(answer)) {
            return Verdict::Equal(Agreement::GivenUp);
        }
        let plainly = &mut self.plain;
        let whole = || {
            way.ask(
                plainly,
                &node.print(if way.has_parameters() { Style::Unlimited } else { Style::UnlimitedLiterals }),
            )
        };
        let difference = difference(&mine, &plain, &printed, whole);
        difference.map_or_else(|| Verdict::Equal(Agreement::of(&plain)), Verdict::Wrong)
    }

    /// What is judged without asking the plain server.
    fn unanswered(&mut self, mine: &Answer) -> Option<Verdict> {
        if !matches!(mine.status, 'I' | 'T' | 'E') {
            self.meridian = Self::connect(Self::meridian(self.pair));
            let detail = format!("no end of the answer; error {:?}", mine.error);
            return Some(Verdict::Wrong(Difference { kind: "connection".to_owned(), detail }));
        }
        let (sqlstate, message) = mine.error.as_ref()?;
        self.refusals.number(sqlstate, message).map(Verdict::Refused)
    }

    /// What Meridian says of its last statement.
    pub fn explained(&mut self, work: &Work) -> String {
        let last = work.statements.last().map(|node| node.print(Style::Literals).text).unwrap_or_default();
        let text = format!("EXPLAIN {last}");
        let answer = Way::Simple.ask(&mut self.meridian, &Printed { text, ..Printed::default() });
        let lines =
            answer.rows.iter().flatten().flatten().map(|value| String::from_utf8_lossy(value).into_owned());
        // What each server makes of its part follows, and is no matter here.
        let lines = lines.take_while(|line| !line.starts_with("Shard "));
        lines.chain(answer.error.clone().map(|error| error.1)).collect::<Vec<_>>().join("\n      ")
    }

    /// A smaller work that fails in the same way.
    pub fn shrunk(&mut self, work: &Work, way: Way, kind: &str) -> Work {
        let mut smallest = work.clone();
        let (mut step, mut found_any) = (0, false);
        for _ in 0..SIMPLIFICATIONS_MAX {
            let Some(simpler) = smallest.simplified(step) else {
                if !found_any {
                    break;
                }
                (step, found_any) = (0, false);
                continue;
            };
            match self.judge(&simpler, way) {
                Verdict::Wrong(difference) if difference.kind == kind => {
                    smallest = simpler;
                    found_any = true;
                }
                _ => step += 1,
            }
        }
        smallest
    }
}
