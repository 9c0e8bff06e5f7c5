//! The shards of one execution: literals, parameters and the hint looked at.
//!
//! Called by `session` for every statement; the hot path of the planner. Nothing is allocated for one sharded table
//! with a region key, nor for statements of the default shard.
//!
//! Invariants:
//! 1. A bound set is never empty: what no row can satisfy is answered by one shard.
//! 2. A hint narrows a read that the statement leaves open; it never adds a shard and never moves a row.

use std::sync::Arc;

use crate::sql::arguments::{Argument, Arguments, Literal, LiteralKind};
use crate::sql::facts::{Facts, Kind, Value};
use crate::topology::{ShardId, ShardSet};

use super::action::{Access, Action, Bound, Many};
use super::changes::Changes;
use super::functions::Numbering;
use super::make::Plan;
use super::refusal::{self, Refusal};
use super::route::Keyed;
use super::rows::Rows;
use super::survey::Fixed;

/// What binding must find out.
#[derive(Debug, Clone, Default)]
pub(super) struct Route {
    pub keyed: Vec<Keyed>,
    /// The shard of the relations that live on one shard.
    pub fixed: Option<Fixed>,
    pub rows: Option<Rows>,
    pub changes: Option<Changes>,
    /// Words such as 'now' must not stand in a literal or parameter.
    pub no_clock_words: bool,
    /// The statement asks the state of a server and names no table: a hint may ask another server.
    pub any_server: bool,
    /// Sequences that the statement's functions may mean, where some are on other shards.
    pub numbering: Option<Arc<Numbering>>,
}

impl Plan {
    /// Whether the statement asks the state of a server and names no table of ours: any server can answer it, though the
    /// default shard's does.
    pub fn asks_any_server(&self) -> bool {
        matches!(self.action, Action::Fixed(_)) && self.route.any_server
    }

    /// Whether it asks for nothing that servers have each for themselves: no catalog, no object's number or size, no sequence.
    pub fn asks_no_objects(&self) -> bool {
        const SAME: [&str; 12] = [
            "now",
            "version",
            "current_setting",
            "set_config",
            "clock_timestamp",
            "statement_timestamp",
            "transaction_timestamp",
            "current_user",
            "current_database",
            "current_schema",
            "current_timestamp",
            "current_date",
        ];
        let Facts { block, functions, casts, .. } = &*self.facts;
        let is_plain = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.starts_with("reg"));
        block.relations.is_empty()
            && block.children.is_empty()
            && functions.iter().all(|call| SAME.contains(&call.name.name.as_str()))
            && casts.iter().all(|cast| is_plain(&cast.type_name))
    }

    /// SELECT set_config(…) and nothing else: no rows of any table, and the same on whatever server it runs.
    pub fn only_sets(&self) -> bool {
        let facts = &self.facts;
        let sets = |function: &str| function == "set_config";
        matches!(facts.kind, Kind::Select { .. })
            && facts.block.relations.is_empty()
            && facts.block.children.is_empty()
            && !facts.functions.is_empty()
            && facts.functions.iter().all(|call| sets(&call.name.name))
    }

    /// The shards of this execution. `hint` is the shard that a leading comment names.
    pub fn bind(&self, arguments: &Arguments<'_>, hint: Option<&str>) -> Result<Bound, Refusal> {
        let hint = match hint {
            Some(name) => {
                let shard = self.topology.shard_named(name);
                Some(shard.ok_or_else(|| refusal::HINT_UNKNOWN.naming(&[name]))?)
            }
            None => None,
        };
        let numbered = match &self.route.numbering {
            Some(numbering) => self.shard_of_sequence(numbering, arguments)?,
            None => None,
        };
        let shards = match &self.action {
            Action::Refuse(refusal) => return Err(refusal.clone()),
            Action::Routed { many } | Action::Hold { many } => self.routed(many, arguments, hint)?,
            Action::Anywhere => hint.map_or_else(|| self.topology.all_shards(), ShardSet::one),
            Action::Fixed(_) if numbered.is_some() => numbered.map(ShardSet::one).unwrap_or_default(),
            Action::Fixed(shard) => match hint {
                Some(hint) if hint == *shard || self.route.any_server => ShardSet::one(hint),
                Some(hint) => return Err(self.contradicts(hint, ShardSet::one(*shard))),
                None => ShardSet::one(*shard),
            },
            Action::Everywhere | Action::EachShard | Action::CopyIn(_) => {
                if hint.is_some() {
                    return Err(refusal::HINTED_EVERYWHERE.refuse());
                }
                if self.route.no_clock_words {
                    self.refuse_clock_words(arguments)?;
                }
                self.topology.all_shards()
            }
            Action::CopyOut { .. } => hint.map_or_else(|| self.topology.all_shards(), ShardSet::one),
            Action::Pinned(_) => match hint.filter(|hint| *hint != self.topology.default_shard) {
                Some(hint) => {
                    return Err(self.contradicts(hint, ShardSet::one(self.topology.default_shard)));
                }
                None => ShardSet::one(self.topology.default_shard),
            },
            Action::Control => ShardSet::one(self.topology.default_shard),
        };
        Ok(Bound { shards })
    }

    fn routed(
        &self,
        many: &Many,
        arguments: &Arguments<'_>,
        hint: Option<ShardId>,
    ) -> Result<ShardSet, Refusal> {
        let led = match many {
            Many::Scatter(scatter) if !scatter.is_gathered() => self.led(arguments),
            Many::Scatter(_) | Many::Gather(_) | Many::Refuse(_) => None,
        };
        let mut shards = match led {
            Some(shards) => shards,
            None => self.needed(arguments)?,
        };
        if let Some(hint) = hint {
            shards = self.hinted(shards, hint)?;
        }
        if shards.is_empty() {
            shards = ShardSet::one(self.topology.default_shard);
        }
        let Some(shard) = shards.single() else {
            return match many {
                Many::Scatter(_) | Many::Gather(_) => Ok(shards),
                Many::Refuse(refusal) => Err(self.naming_shards(refusal.clone(), shards)),
            };
        };
        if let Some(changes) = &self.route.changes {
            changes.check(&self.topology, shard, arguments)?;
        }
        Ok(shards)
    }

    /// Every shard that the statement's relations and rows need; empty where no row can be touched.
    pub fn needed(&self, arguments: &Arguments<'_>) -> Result<ShardSet, Refusal> {
        let mut shards = match &self.route.rows {
            Some(rows) => rows.shards(&self.topology, arguments)?,
            None => ShardSet::EMPTY,
        };
        for keyed in &self.route.keyed {
            shards = shards.union(keyed.shards(&self.topology, arguments));
        }
        if let Some(fixed) = &self.route.fixed {
            shards.insert(fixed.shard);
        }
        Ok(shards)
    }

    /// Of a SELECT of which each shard answers its own part: where every relation that leads may have rows. What else it reads
    /// is met there, or nowhere.
    fn led(&self, arguments: &Arguments<'_>) -> Option<ShardSet> {
        let leading = self.route.keyed.iter().filter(|keyed| keyed.leads);
        leading.map(|keyed| keyed.shards(&self.topology, arguments)).reduce(ShardSet::intersection)
    }

    fn hinted(&self, shards: ShardSet, hint: ShardId) -> Result<ShardSet, Refusal> {
        let elsewhere = self.route.fixed.as_ref().is_some_and(|fixed| fixed.shard != hint);
        // Rows that are written have homes; a hint may only agree with them.
        let placed = self.route.rows.is_some() && shards != ShardSet::one(hint);
        if elsewhere || placed || !(shards.contains(hint) || shards.is_empty()) {
            return Err(self.contradicts(hint, shards));
        }
        Ok(ShardSet::one(hint))
    }

    fn contradicts(&self, hint: ShardId, needed: ShardSet) -> Refusal {
        refusal::HINT_CONTRADICTS.naming(&[&self.topology.shard(hint).name, &self.shard_names(needed)])
    }

    fn naming_shards(&self, refusal: Refusal, shards: ShardSet) -> Refusal {
        if refusal.detail.is_some() || shards == self.topology.all_shards() {
            return refusal;
        }
        let names = self.shard_names(shards);
        refusal.detail(format!("The statement needs {names}."))
    }

    /// `shards us-east, eu-central`.
    pub(super) fn shard_names(&self, shards: ShardSet) -> String {
        let names: Vec<&str> = shards.iter().map(|shard| self.topology.shard(shard).name.as_str()).collect();
        let word = if names.len() == 1 { "shard" } else { "shards" };
        format!("{word} {}", names.join(", "))
    }

    fn refuse_clock_words(&self, arguments: &Arguments<'_>) -> Result<(), Refusal> {
        // What it says is not read.
        let mut others = arguments.literals.iter().filter(|literal| literal.kind == LiteralKind::OtherString);
        let written = |literal: &Literal| {
            arguments.text.get(literal.start as usize..literal.end as usize).unwrap_or_default()
        };
        if let Some(literal) = others.find(|literal| matches!(written(literal).first(), Some(b'U' | b'u'))) {
            return Err(refusal::CLOCK_WORD.naming(&[&String::from_utf8_lossy(written(literal))]));
        }
        self.check_texts(arguments, |text| match is_clock_word(text) {
            true => Err(refusal::CLOCK_WORD.naming(&[text])),
            false => Ok(()),
        })
    }

    /// The other shard that the statement belongs to by the one sequence that it names. What is named beside other things
    /// must be here, and something must be: a name that is put together can be any.
    fn shard_of_sequence(
        &self,
        numbering: &Numbering,
        arguments: &Arguments<'_>,
    ) -> Result<Option<ShardId>, Refusal> {
        let (mut shard, mut any) = (None, false);
        self.check_texts(arguments, |text| {
            let (elsewhere, here) = numbering.names(text);
            any |= here;
            if let Some(elsewhere) = elsewhere {
                if !numbering.alone || shard.is_some_and(|known| known != elsewhere) {
                    return Err(refusal::SEQUENCE_ELSEWHERE.naming(&[text]));
                }
                shard = Some(elsewhere);
            }
            Ok(())
        })?;
        match (shard, any) {
            (None, true) => Ok(None),
            (Some(shard), false) => Ok(Some(shard)),
            (None, false) | (Some(_), true) => Err(refusal::SEQUENCE_UNSURE.refuse()),
        }
    }

    /// Every literal and parameter that may be a string.
    fn check_texts(
        &self,
        arguments: &Arguments<'_>,
        mut check: impl FnMut(&str) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let literals = arguments
            .literals
            .iter()
            .enumerate()
            .filter(|(_, literal)| !matches!(literal.kind, LiteralKind::Integer | LiteralKind::Decimal));
        let mut values = literals
            .map(|(index, _)| Value::Literal(index as u32))
            .chain((0..self.facts.param_count).map(Value::Param));
        values.try_for_each(|value| match arguments.resolve(&value) {
            Argument::Text { text, .. } => check(&text),
            Argument::Binary { bytes, type_oid: 0 | 25 | 705 | 1043 } => {
                check(&String::from_utf8_lossy(bytes))
            }
            _ => Ok(()),
        })
    }

    /// Whether an execution of this plan may change something.
    pub fn is_write(&self) -> bool {
        self.access == Access::Write
    }
}

/// What the input of dates and times reads as the server's clock: `now`, `today 04:05` …, also as an element of an array
/// or a bound of a range.
pub fn is_clock_word(text: &str) -> bool {
    match text.trim_ascii().as_bytes().first() {
        // An element may be quoted in parts, and escaped anywhere.
        Some(b'{' | b'[' | b'(') => {
            let bare = text.replace(['"', '\\'], "");
            bare.split(['{', '}', '[', ']', '(', ')', ',']).any(reads_clock)
        }
        _ => reads_clock(text),
    }
}

/// `DecodeDateTime` takes its words in any order: `04:05 today`, `EST today`, `now()`. One of the four words is a clock
/// unless a word stands beside it that no date or time has.
fn reads_clock(text: &str) -> bool {
    const CLOCKS: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];
    let mut words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let is = |word: &str, names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    // Every value that is copied is looked at; few have one of the words.
    if !words.clone().any(|word| is(word, &CLOCKS)) {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    let zone = AREAS.iter().any(|area| lower.contains(area));
    words.all(|word| zone || is(word, &CLOCKS) || is(word, &BESIDE_A_CLOCK) || is_zone(text, word))
}

/// Abbreviations of time zones end in T, but for those of the list; an offset may stand behind any letters.
fn is_zone(text: &str, word: &str) -> bool {
    let is_word = || NO_ZONES.iter().any(|known| word.eq_ignore_ascii_case(known));
    let abbreviation = (3..=5).contains(&word.len()) && word.ends_with(['t', 'T']) && !is_word();
    let offset = || {
        text.match_indices(word).any(|(at, _)| {
            let rest = &text[at + word.len()..];
            let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            digits.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    abbreviation || offset()
}

/// Words of every day that end like abbreviations of time zones, and are none in any set that PostgreSQL has.
const NO_ZONES: [&str; 40] = [
    "about", "best", "but", "cost", "cut", "edit", "event", "exit", "first", "great", "just", "last", "left",
    "let", "light", "list", "lost", "lot", "most", "next", "night", "not", "out", "part", "point", "post",
    "put", "right", "sent", "set", "short", "start", "test", "text", "that", "until", "visit", "wait",
    "what", "yet",
];

/// With what the names of time zones begin that have two words or more.
const AREAS: [&str; 19] = [
    "africa/",
    "america/",
    "antarctica/",
    "arctic/",
    "asia/",
    "atlantic/",
    "australia/",
    "brazil/",
    "canada/",
    "chile/",
    "etc/",
    "europe/",
    "indian/",
    "mexico/",
    "pacific/",
    "posix/",
    "right/",
    "systemv/",
    "us/",
];

/// What may stand in a date or time beside a clock: noise words, units, days, zones of one word.
const BESIDE_A_CLOCK: [&str; 78] = [
    "factory",
    "localtime",
    "metdst",
    "posixrules",
    "su",
    "universal",
    "w",
    "d",
    "dow",
    "doy",
    "dst",
    "h",
    "isodow",
    "isoyear",
    "j",
    "jd",
    "julian",
    "m",
    "mm",
    "s",
    "y",
    "allballs",
    "am",
    "pm",
    "at",
    "on",
    "t",
    "z",
    "zulu",
    "bc",
    "ad",
    "utc",
    "uct",
    "ut",
    "bra",
    "mesz",
    "mez",
    "msd",
    "msk",
    "mon",
    "monday",
    "tue",
    "tues",
    "tuesday",
    "wed",
    "weds",
    "wednesday",
    "thu",
    "thur",
    "thurs",
    "thursday",
    "fri",
    "friday",
    "sat",
    "saturday",
    "sun",
    "sunday",
    "cuba",
    "eire",
    "gb",
    "greenwich",
    "hongkong",
    "iceland",
    "iran",
    "israel",
    "jamaica",
    "japan",
    "kwajalein",
    "libya",
    "navajo",
    "nz",
    "poland",
    "portugal",
    "prc",
    "roc",
    "rok",
    "singapore",
    "turkey",
];

#[cfg(test)]
mod tests {
    use super::is_clock_word;

    #[test]
    fn clock_words_stand_alone_or_with_a_time() {
        for word in [
            "now",
            " NOW ",
            "today",
            "tomorrow 04:05",
            "yesterday +01",
            "{2024-01-01,now}",
            "[today,)",
            "now()",
            "today;",
            "04:05 today",
            "EST today",
            "today America/New_York",
            "PM 04:05 today",
            "mon today",
            "today Foo+5",
        ] {
            assert!(is_clock_word(word), "{word}");
        }
        for word in [
            "",
            "nowhere",
            "today we ride",
            "known",
            "allballs",
            "2024-01-01",
            "{known,nowhere}",
            "[\"now and then\"]",
            "buy now",
            "this is now",
        ] {
            assert!(!is_clock_word(word), "{word}");
        }
    }
}
