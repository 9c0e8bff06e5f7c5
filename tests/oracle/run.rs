//! Runs one work on both sides, judges it, and makes what fails smaller.

use crate::answer::{self, Answer};
use crate::compare::{Difference, difference};
use crate::grammar::Work;
use crate::refusals::Refusals;
use crate::script::{Mode, Order, Statement};
use crate::stand::{Pair, RawClient, Target};
use crate::tree::{Printed, Style};

/// Tries at making a statement smaller.
const SIMPLIFICATIONS_MAX: usize = 600;

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
    /// With this SQLSTATE.
    Error(String),
}

impl Agreement {
    fn of(answer: &Answer) -> Self {
        match answer.sqlstate() {
            Some(sqlstate) => Self::Error(sqlstate.to_owned()),
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
        let meridian = Self::meridian(pair).raw();
        Self { pair, plain: pair.plain.raw(), meridian, refusals: Refusals::load() }
    }

    fn meridian(pair: &Pair) -> &Target {
        pair.meridian.as_ref().expect("the oracle compares with Meridian")
    }

    pub fn judge(&mut self, work: &Work, mode: Mode) -> Verdict {
        match work {
            Work::Read(node) => self.judge_read(&node.print(style(mode)), || node.print(Style::Unlimited), mode),
            Work::Change(node, look) => self.judge_change(&node.print(style(mode)), look, mode),
        }
    }

    fn judge_read(&mut self, printed: &Printed, unlimited: impl FnOnce() -> Printed, mode: Mode) -> Verdict {
        let mine = self.ask_meridian(printed, mode);
        if let Some(verdict) = self.unanswered(&mine) {
            return verdict;
        }
        let plain = answer::ask(&mut self.plain, &statement(printed), mode);
        let plainly = &mut self.plain;
        let whole = || answer::ask(plainly, &statement(&unlimited()), mode);
        let difference = difference(&mine, &plain, printed, whole);
        difference.map_or_else(|| Verdict::Equal(Agreement::of(&plain)), Verdict::Wrong)
    }

    /// In a transaction that is rolled back on both sides.
    fn judge_change(&mut self, printed: &Printed, look: &str, mode: Mode) -> Verdict {
        self.meridian.simple("BEGIN");
        self.plain.simple("BEGIN");
        let verdict = self.judge_read(printed, || printed.clone(), mode);
        let looked = match verdict {
            Verdict::Equal(Agreement::Rows | Agreement::Nothing) => {
                let look = Printed { text: look.to_owned(), ..Printed::default() };
                self.judge_read(&look, || look.clone(), Mode::Simple)
            }
            _ => Verdict::Equal(Agreement::Nothing),
        };
        self.meridian.simple("ROLLBACK");
        self.plain.simple("ROLLBACK");
        match (verdict, looked) {
            (Verdict::Equal(_), Verdict::Wrong(Difference { kind, detail })) => {
                Verdict::Wrong(Difference { kind: format!("afterwards: {kind}"), detail })
            }
            (verdict, _) => verdict,
        }
    }

    fn ask_meridian(&mut self, printed: &Printed, mode: Mode) -> Answer {
        answer::ask(&mut self.meridian, &statement(printed), mode)
    }

    /// What is judged without asking the plain server.
    fn unanswered(&mut self, mine: &Answer) -> Option<Verdict> {
        if !matches!(mine.status, 'I' | 'T' | 'E') {
            self.meridian = Self::meridian(self.pair).raw();
            let detail = format!("no end of the answer; error {:?}", mine.error);
            return Some(Verdict::Wrong(Difference { kind: "connection".to_owned(), detail }));
        }
        let (sqlstate, message) = mine.error.as_ref()?;
        self.refusals.number(sqlstate, message).map(Verdict::Refused)
    }

    /// What Meridian says of the statement.
    pub fn explained(&mut self, work: &Work) -> String {
        let text = format!("EXPLAIN {}", work.node().print(Style::Literals).text);
        let answer = self.ask_meridian(&Printed { text, ..Printed::default() }, Mode::Simple);
        let lines = answer.rows.iter().flatten().flatten().map(|value| String::from_utf8_lossy(value).into_owned());
        // What each server makes of its part follows, and is no matter here.
        let lines = lines.take_while(|line| !line.starts_with("Shard "));
        lines.chain(answer.error.clone().map(|error| error.1)).collect::<Vec<_>>().join("\n      ")
    }

    /// A smaller work that fails in the same way.
    pub fn shrunk(&mut self, work: &Work, mode: Mode, kind: &str) -> Work {
        let mut smallest = work.clone();
        let (mut step, mut tries) = (0, 0);
        let mut found_any = false;
        while tries < SIMPLIFICATIONS_MAX {
            let Some(simpler) = smallest.node().simplified(step) else {
                if !found_any {
                    break;
                }
                (step, found_any) = (0, false);
                continue;
            };
            let simpler = smallest.with(simpler);
            tries += 1;
            match self.judge(&simpler, mode) {
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

/// The simple protocol has no parameters.
pub fn style(mode: Mode) -> Style {
    if mode == Mode::Simple { Style::Literals } else { Style::AsIs }
}

fn statement(printed: &Printed) -> Statement {
    Statement {
        place: String::new(),
        text: printed.text.clone(),
        modes: Vec::new(),
        order: Order::Open,
        approximate: false,
        may_be_refused: true,
        refused_with: None,
        error: None,
        parameters: printed.parameters.clone(),
    }
}
