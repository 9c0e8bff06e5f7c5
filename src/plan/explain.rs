//! A plan in words: the lines that EXPLAIN shows above PostgreSQL's own plan, and that the plan cases hold.
//!
//! ```text
//! relay to eu-central because region = 'eu-central'
//! access: read
//! ```
//!
//! Every route carries its reason: the conditions that narrowed it, with the values of this execution.

use std::fmt::Write;

use crate::sql::arguments::Arguments;
use crate::sql::facts::{Comparison, Value};
use crate::topology::{Placement, ShardSet};

use super::action::{Access, Action, Many};
use super::make::Plan;
use super::predicate::{Axis, KeyTest, PositionCondition, PositionTest, Test};
use super::refusal::Refusal;
use super::route::Keyed;
use super::value::{self, Datum};

/// Elements of a list that are shown.
const ELEMENTS_SHOWN: usize = 4;

impl Plan {
    /// The shards and the reason: `shards=[eu-central] because region = 'eu-central'`.
    pub fn why(&self, arguments: &Arguments<'_>, hint: Option<&str>) -> String {
        match self.bind(arguments, hint) {
            Ok(bound) => {
                format!("{} because {}", self.shard_list(bound.shards), self.reason(arguments, hint))
            }
            Err(refusal) => render_refusal(&refusal),
        }
    }

    /// The route as lines: way, shards with the reason, access.
    pub fn explain(&self, arguments: &Arguments<'_>, hint: Option<&str>) -> Vec<String> {
        let bound = match self.bind(arguments, hint) {
            Ok(bound) => bound,
            Err(refusal) => return render_refusal(&refusal).lines().map(str::to_owned).collect(),
        };
        let many = bound.shards.single().is_none();
        let way = match &self.action {
            Action::Routed { many: Many::Scatter(_) } if many => "scatter".to_owned(),
            Action::Routed { many: Many::Gather(_) } if many => "gathered tables".to_owned(),
            Action::Hold { .. } => "gathered tables, held".to_owned(),
            Action::Routed { .. } | Action::Fixed(_) => "relay".to_owned(),
            Action::Anywhere => "relay to any".to_owned(),
            Action::Everywhere => "everywhere, in one transaction".to_owned(),
            Action::EachShard => "each shard by itself".to_owned(),
            Action::CopyIn(_) => "copy in, row by row".to_owned(),
            Action::CopyOut { .. } => "copy out, shard after shard".to_owned(),
            Action::Pinned(reason) => format!("pinned to one server by {reason}"),
            Action::Control => "the session itself".to_owned(),
            Action::Refuse(_) => "refused".to_owned(),
        };
        let mut lines = vec![format!("way: {way}")];
        if !matches!(self.action, Action::Control) {
            lines.push(format!("{} because {}", self.shard_list(bound.shards), self.reason(arguments, hint)));
            lines.push(format!("access: {}", self.access.name()));
        }
        if let Some(inner) = &self.inner {
            lines.extend(inner.explain(arguments, hint).into_iter().map(|line| format!("  {line}")));
        }
        lines
    }

    /// A set of shards with the reason of this execution, also where the statement is then refused.
    pub fn shards_and_reason(&self, shards: ShardSet, arguments: &Arguments<'_>) -> String {
        format!("{} because {}", self.shard_list(shards), self.reason(arguments, None))
    }

    fn shard_list(&self, shards: ShardSet) -> String {
        let names: Vec<&str> = shards.iter().map(|shard| self.topology.shard(shard).name.as_str()).collect();
        format!("shards=[{}]", names.join(", "))
    }

    fn reason(&self, arguments: &Arguments<'_>, hint: Option<&str>) -> String {
        if let Some(hint) = hint {
            return format!("the hint says {hint}");
        }
        match &self.action {
            Action::Fixed(_) => match &self.route.fixed {
                Some(fixed) => format!("{} lives there", fixed.name),
                None => "it is the default shard".to_owned(),
            },
            Action::Anywhere => "reference tables are everywhere".to_owned(),
            Action::Everywhere | Action::EachShard => "it belongs to every shard".to_owned(),
            Action::CopyIn(copy) => match copy.rule.placement {
                Placement::Reference => "reference tables are everywhere".to_owned(),
                _ => "each row goes to its own shard".to_owned(),
            },
            Action::CopyOut { .. } => "rows are on every shard".to_owned(),
            Action::Pinned(_) | Action::Control => "it is the default shard".to_owned(),
            Action::Routed { .. } | Action::Hold { .. } => self.routed_reason(arguments),
            Action::Refuse(refusal) => refusal.message.clone(),
        }
    }

    fn routed_reason(&self, arguments: &Arguments<'_>) -> String {
        let mut reasons: Vec<String> = Vec::new();
        if let Some(rows) = &self.route.rows {
            reasons.push(format!("the rows of {} say so", rows.table));
        }
        for keyed in &self.route.keyed {
            let reason = match keyed.shards(&self.topology, arguments) {
                shards if shards.is_empty() => {
                    format!("no row of {} can satisfy {}", keyed.name, keyed.words(arguments))
                }
                shards if shards == self.topology.all_shards() => format!("nothing narrows {}", keyed.name),
                _ => keyed.words(arguments),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        if let Some(fixed) = &self.route.fixed {
            reasons.push(format!("{} lives on {}", fixed.name, self.topology.shard(fixed.shard).name));
        }
        reasons.join("; ")
    }
}

/// A refusal as the cases and EXPLAIN show it.
pub fn render_refusal(refusal: &Refusal) -> String {
    let mut text = format!("refused: {} {} {}", refusal.code, refusal.sqlstate, refusal.message);
    if let Some(detail) = &refusal.detail {
        let _ = write!(text, "\ndetail: {detail}");
    }
    if let Some(hint) = &refusal.hint {
        let _ = write!(text, "\nhint: {hint}");
    }
    text
}

impl Access {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadPrimary => "read on the primary",
            Self::Write => "write",
        }
    }
}

impl Keyed {
    /// The conditions in words.
    fn words(&self, arguments: &Arguments<'_>) -> String {
        self.test_words(&self.test, arguments, false)
    }

    fn test_words(&self, test: &Test, arguments: &Arguments<'_>, inside: bool) -> String {
        let join = |parts: &[Test], word: &str| {
            let parts: Vec<String> =
                parts.iter().map(|part| self.test_words(part, arguments, true)).collect();
            let text = parts.join(word);
            if inside { format!("({text})") } else { text }
        };
        match test {
            Test::Any => "anything".to_owned(),
            Test::Never => "false".to_owned(),
            Test::And(parts) => join(parts, " and "),
            Test::Or(parts) => join(parts, " or "),
            Test::Key(test) => key_words(self.rule.key().unwrap_or("key"), test, arguments),
            Test::Position(PositionTest { axis, condition }) => {
                position_words(self.axis_column(*axis), condition, arguments)
            }
        }
    }

    fn axis_column(&self, axis: Axis) -> &str {
        let column = self.rule.position.as_ref().and_then(|position| match axis {
            Axis::Latitude => position.latitude.as_deref(),
            Axis::Longitude => position.longitude.as_deref(),
            Axis::Geohash => position.geohash.as_deref(),
        });
        column.unwrap_or("position")
    }
}

fn key_words(column: &str, test: &KeyTest, arguments: &Arguments<'_>) -> String {
    let shown = |value: &Value| value_words(value, arguments);
    match test {
        KeyTest::Compare { comparison, value } => format!("{column} {} {}", sign(*comparison), shown(value)),
        KeyTest::In(values) => format!("{column} in ({})", list_words(values, arguments)),
        KeyTest::EqualAny(array) => format!("{column} = any ({})", shown(array)),
        KeyTest::Like(pattern) => format!("{column} like {}", shown(pattern)),
        KeyTest::StartsWith(prefix) => format!("{column} ^@ {}", shown(prefix)),
        KeyTest::IsNull => format!("{column} is null"),
    }
}

fn position_words(column: &str, condition: &PositionCondition, arguments: &Arguments<'_>) -> String {
    let shown = |value: &Value| value_words(value, arguments);
    match condition {
        PositionCondition::Compare(comparison, value) => {
            format!("{column} {} {}", sign(*comparison), shown(value))
        }
        PositionCondition::In(values) => format!("{column} in ({})", list_words(values, arguments)),
        PositionCondition::EqualAny(array) => format!("{column} = any ({})", shown(array)),
        PositionCondition::Like(pattern) => format!("{column} like {}", shown(pattern)),
        PositionCondition::StartsWith(prefix) => format!("{column} ^@ {}", shown(prefix)),
    }
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn list_words(values: &[Value], arguments: &Arguments<'_>) -> String {
    let mut shown: Vec<String> =
        values.iter().take(ELEMENTS_SHOWN).map(|value| value_words(value, arguments)).collect();
    if values.len() > ELEMENTS_SHOWN {
        shown.push(format!("… {} more", values.len() - ELEMENTS_SHOWN));
    }
    shown.join(", ")
}

fn value_words(value: &Value, arguments: &Arguments<'_>) -> String {
    match value::datum(value, arguments) {
        Datum::Null => "null".to_owned(),
        Datum::Bool(value) => value.to_string(),
        Datum::Number(text) => text.into_owned(),
        Datum::Text { text, .. } => format!("'{}'", text.replace('\'', "''")),
        Datum::Binary { bytes, .. } => {
            let hex: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{hex}")
        }
        Datum::Unsure => "?".to_owned(),
    }
}
