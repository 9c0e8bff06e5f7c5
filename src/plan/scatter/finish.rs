//! The text with which one PostgreSQL finishes a SELECT over gathered partial rows.
//!
//! ```text
//! SELECT p.c1, sum(p.c2)::bigint
//! FROM (SELECT city, count(*) FROM rides WHERE false GROUP BY 1 HAVING false      types and collations
//!       UNION ALL SELECT * FROM unnest($1::text[], $2::bigint[])) AS p(c1, c2)     the gathered rows
//! GROUP BY p.c1 HAVING … ORDER BY … LIMIT …
//! ```
//!
//! The empty branch never runs; a non-default collation of a column wins over the default one of the arrays, so
//! comparisons in the final text are those of the original. The text depends on the partial columns' types, which
//! only a server knows: it is kept in pieces and put together per execution (or once per Describe).
//!
//! Invariants:
//! 1. Every partial column's type is a built-in one that travels in a binary array, or an enum, which travels as its label;
//!    others refuse.
//! 2. Parameters of the client keep their numbers; the arrays come after them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::merge::types::{array_element_name, oid};
use crate::plan::refusal::Refusal;
use crate::sql::name::ObjectName;

use super::aggregates::Aggregate;
use super::expression::quoted;
use super::refusals::Reason;
use super::{Inputs, OWN_NAMES, Text};

/// Words that stand in a final text while it is built, for what is known only at run time.
pub struct Markers;

impl Markers {
    /// Every gathered column but the keys.
    pub const VISIBLE: &'static str = "meridian__visible_";
    const NAMES: &'static str = "meridian__names_";
    const ARRAYS: &'static str = "meridian__arrays_";

    /// The n-th aggregate's combining expression.
    pub fn aggregate(index: usize) -> String {
        format!("{OWN_NAMES}a{index}_")
    }

    /// The n-th of the key columns, which come last.
    pub fn key(index: usize) -> String {
        format!("{OWN_NAMES}k{index}_")
    }

    /// The FROM item of the gathered rows; `empty` is the partial select without rows.
    pub fn gathered(empty: &str) -> String {
        format!(
            "({empty} UNION ALL SELECT * FROM unnest({})) AS {}({})",
            Self::ARRAYS,
            Self::TABLE,
            Self::NAMES
        )
    }

    /// The alias of the gathered rows.
    pub const TABLE: &'static str = "meridian__p";

    /// Column n, from zero, of the gathered rows.
    pub fn column(index: usize) -> String {
        format!("{}.c{}", Self::TABLE, index + 1)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Aggregate(usize),
    Key(usize),
    Visible,
    Names,
    Arrays,
}

/// A final text, but for the types of the partial columns.
#[derive(Debug, Clone)]
pub struct Finish {
    pieces: Vec<Piece>,
    aggregates: Vec<Aggregate>,
    keys: usize,
    first_param: u32,
    /// Of an inner SELECT: PostgreSQL may never come to all of its rows.
    inner: bool,
    enums: Arc<HashMap<u32, ObjectName>>,
}

impl Finish {
    /// `keys`: how many of the last partial columns are sort keys only.
    pub(super) fn new(text: &str, aggregates: Vec<Aggregate>, keys: usize, inputs: &Inputs<'_>) -> Self {
        let enums = Arc::clone(&inputs.ctx.catalog.enums);
        let first_param = inputs.facts.param_count;
        Self { pieces: split(text), aggregates, keys, first_param, inner: false, enums }
    }

    /// The same as a subquery of the text that stands around it.
    pub(super) fn within(&self, before: &str, after: &str) -> Self {
        let text = |part: &str| Piece::Text(part.to_owned());
        let pieces = std::iter::once(text(before)).chain(self.pieces.iter().cloned());
        Self { pieces: pieces.chain([text(after)]).collect(), inner: true, ..self.clone() }
    }

    /// Zero-based index of the first array parameter.
    pub fn first_array(&self) -> u32 {
        self.first_param
    }

    /// As which types the partial columns travel: labels of enums, whose numbers are each server's own, as text.
    pub fn carried(&self, partial_types: &[u32]) -> Vec<u32> {
        let carried = |type_oid: &u32| if self.enums.contains_key(type_oid) { oid::TEXT } else { *type_oid };
        partial_types.iter().map(carried).collect()
    }

    /// Whether an error 22003 of the final text may be none over gathered tables.
    pub fn may_overflow(&self) -> bool {
        self.aggregates.iter().any(Aggregate::may_overflow)
    }

    /// Whether an error of a value may be none over gathered tables.
    pub const fn is_inner(&self) -> bool {
        self.inner
    }

    /// The final text for people: types left open.
    pub fn outline(&self) -> String {
        let part = |piece: &Piece| match piece {
            Piece::Text(part) => part.clone(),
            Piece::Aggregate(index) => match self.aggregates.get(*index) {
                Some(aggregate) => aggregate.outline(),
                None => String::new(),
            },
            Piece::Key(index) => format!("key {}", index + 1),
            Piece::Visible => "columns".to_owned(),
            Piece::Names | Piece::Arrays => "…".to_owned(),
        };
        self.pieces.iter().map(part).collect()
    }

    /// The final text, given the type OIDs of the shards' columns.
    pub fn final_text(&self, partial_types: &[u32]) -> Result<Text, Refusal> {
        let mut arrays = Vec::with_capacity(partial_types.len());
        for (index, type_oid) in partial_types.iter().enumerate() {
            let number = self.first_param as usize + index + 1;
            let array = match (array_element_name(*type_oid), self.enums.get(type_oid)) {
                (Some(name), _) => format!("${number}::{name}[]"),
                (None, Some(own)) => {
                    let schema = own.schema.as_deref().map(|schema| format!("{}.", quoted(schema)));
                    format!("${number}::text[]::{}{}[]", schema.unwrap_or_default(), quoted(&own.name))
                }
                (None, None) => return Err(Reason::PartialType.refusal(&format!("type {type_oid}"))),
            };
            arrays.push(array);
        }
        let columns = 0..partial_types.len();
        let visible = partial_types
            .len()
            .checked_sub(self.keys)
            .ok_or_else(|| Reason::RoundTrip.refusal("sort columns"))?;
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Aggregate(index) => {
                    let aggregate = self.aggregates.get(*index);
                    let aggregate = aggregate.ok_or_else(|| Reason::RoundTrip.refusal("aggregate"))?;
                    text.push_str(&aggregate.combine(partial_types)?);
                }
                Piece::Key(index) => text.push_str(&Markers::column(visible + index)),
                Piece::Visible => {
                    text.push_str(
                        &columns.clone().take(visible).map(Markers::column).collect::<Vec<_>>().join(", "),
                    );
                }
                Piece::Names => {
                    let names: Vec<String> = columns.clone().map(|index| format!("c{}", index + 1)).collect();
                    text.push_str(&names.join(", "));
                }
                Piece::Arrays => text.push_str(&arrays.join(", ")),
            }
        }
        Text::new(text)
    }
}

/// Cuts a text at its markers.
fn split(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find(OWN_NAMES) {
        let start = from + found;
        from = start + OWN_NAMES.len();
        let word = &text[from..];
        let Some(end) = word.find('_') else { break };
        let piece = match &word[..end] {
            "visible" => Piece::Visible,
            "names" => Piece::Names,
            "arrays" => Piece::Arrays,
            word => match (word.get(..1), word.get(1..).and_then(|digits| digits.parse().ok())) {
                (Some("a"), Some(index)) => Piece::Aggregate(index),
                (Some("k"), Some(index)) => Piece::Key(index),
                // The alias of the gathered rows stays as it is.
                _ => continue,
            },
        };
        pieces.push(Piece::Text(text[plain..start].to_owned()));
        pieces.push(piece);
        from += end + 1;
        plain = from;
    }
    pieces.push(Piece::Text(text[plain..].to_owned()));
    pieces
}
