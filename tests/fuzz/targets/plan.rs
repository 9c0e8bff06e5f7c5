//! The way of any text to its plan (`sql::parse`, `plan`, `session::planning::make_plan`), over the plan cases' catalog.
//!
//! 1. A plan that may be kept for its shape is the plan that another text of the shape would get afresh: the same facts,
//!    the same action, and the same explanation with that text's values.
//! 2. What is bound is never empty, and is never more than there are shards.
//! 3. A rewritten text is one statement, and every literal in it is one of the client's, byte by byte.

use std::cell::OnceCell;

use meridian::plan::scatter::ShardText;
use meridian::plan::{Action, Many, Plan};
use meridian::session::planning::make_plan;
use meridian::sql::arguments::{Arguments, Literal, Parameters};
use meridian::sql::lexer::{LexOptions, Lexer, TokenKind};
use meridian::sql::parse::parse;
use meridian::sql::shape::{ShapeBuffers, Size, shape};
use meridian::sql::split::split;

use super::literals::with_other_values;
use sample::Sample;

#[path = "../../plan_support/sample.rs"]
mod sample;

const OPTIONS: LexOptions = LexOptions { standard_conforming_strings: true };
/// Statements of one text that are looked at.
const STATEMENTS_MAX: usize = 4;

thread_local! {
    static SAMPLE: OnceCell<Sample> = const { OnceCell::new() };
}

pub fn run(text: &[u8]) {
    let mut pieces = Vec::new();
    split(text, OPTIONS, &mut pieces);
    for piece in pieces.iter().take(STATEMENTS_MAX) {
        statement(&text[piece.start as usize..piece.end as usize]);
    }
}

/// A text, and what planning it afresh comes to.
struct Fresh<'a> {
    text: &'a [u8],
    literals: Vec<Literal>,
    hint: Option<String>,
    plan: Plan,
    /// The plan may be taken for another text of the same shape.
    kept: bool,
}

fn fresh(text: &[u8]) -> Fresh<'_> {
    let mut buffers = ShapeBuffers::default();
    let shaped = shape(text, OPTIONS, &mut buffers);
    let hint = shaped.hint.clone().ok().flatten().and_then(|hint| hint.shard);
    let parsed = parse(text, OPTIONS);
    let kept = parsed.cacheable && shaped.size == Size::Parseable;
    let literals = shaped.literals.to_vec();
    let plan =
        SAMPLE.with(|sample| make_plan(parsed, text, OPTIONS, &sample.get_or_init(Sample::new).context));
    Fresh { text, literals, hint, plan, kept }
}

impl Fresh<'_> {
    fn explained(&self, plan: &Plan, parameters: &dyn Parameters) -> Vec<String> {
        let arguments = self.arguments(parameters);
        if let Ok(bound) = plan.bind(&arguments, self.hint.as_deref()) {
            assert!((1..=4).contains(&bound.shards.len()), "{} shards", bound.shards.len());
        }
        plan.explain(&arguments, self.hint.as_deref())
    }

    fn arguments<'s>(&'s self, parameters: &'s dyn Parameters) -> Arguments<'s> {
        Arguments { text: self.text, literals: &self.literals, parameters }
    }
}

pub fn statement(text: &[u8]) {
    let one = fresh(text);
    for parameters in GIVEN {
        one.explained(&one.plan, parameters);
    }
    rewritten_texts_hold_the_clients_literals(&one);
    if !one.kept {
        return;
    }
    let Some(other) = with_other_values(text, OPTIONS) else { return };
    let two = fresh(&other);
    let shown = || format!("{}\n{}", text.escape_ascii(), other.escape_ascii());
    assert!(two.kept, "kept for one text and not for the other:\n{}", shown());
    assert_eq!(format!("{:?}", one.plan.facts), format!("{:?}", two.plan.facts), "{}", shown());
    assert_eq!(format!("{:?}", one.plan.action), format!("{:?}", two.plan.action), "{}", shown());
    assert_eq!(one.plan.access, two.plan.access, "{}", shown());
    for parameters in GIVEN {
        let (kept, afresh) = (two.explained(&one.plan, parameters), two.explained(&two.plan, parameters));
        assert_eq!(kept, afresh, "{}", shown());
    }
}

fn rewritten_texts_hold_the_clients_literals(fresh: &Fresh<'_>) {
    let Action::Routed { many: Many::Scatter(scatter) } = &fresh.plan.action else { return };
    let ShardText::Rewritten(text) = &scatter.shard else { return };
    let Ok(filled) = text.fill(&fresh.arguments(&Given::Region)) else { return };
    let mut pieces = Vec::new();
    split(&filled, OPTIONS, &mut pieces);
    assert_eq!(pieces.len(), 1, "several statements: {}", filled.escape_ascii());
    let own: Vec<&[u8]> = fresh
        .literals
        .iter()
        .map(|literal| &fresh.text[literal.start as usize..literal.end as usize])
        .collect();
    for token in Lexer::new(&filled, OPTIONS) {
        let literal = matches!(
            token.kind,
            TokenKind::String
                | TokenKind::EscapeString
                | TokenKind::DollarString
                | TokenKind::UnicodeString
                | TokenKind::NationalString
                | TokenKind::BitString
                | TokenKind::Invalid
                | TokenKind::Unterminated
        );
        assert!(
            !literal || own.contains(&token.bytes(&filled)),
            "{} is no literal of the client's: {}",
            token.bytes(&filled).escape_ascii(),
            filled.escape_ascii()
        );
    }
}

/// What the parameters of an execution are, all alike.
#[derive(Debug, Clone, Copy)]
enum Given {
    Nothing,
    Null,
    Region,
    /// Four bytes, of no declared type.
    Binary,
}

const GIVEN: [&Given; 4] = [&Given::Nothing, &Given::Null, &Given::Region, &Given::Binary];

impl Parameters for Given {
    fn value(&self, _index: usize) -> Option<Option<&[u8]>> {
        match self {
            Given::Nothing => None,
            Given::Null => Some(None),
            Given::Region => Some(Some(b"us-west")),
            Given::Binary => Some(Some(&[0, 0, 0, 7])),
        }
    }

    fn is_binary(&self, _index: usize) -> bool {
        matches!(self, Given::Binary)
    }

    fn declared_type(&self, _index: usize) -> u32 {
        0
    }
}
