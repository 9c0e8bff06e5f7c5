//! One identity for equal texts: by it any server connection may have them prepared already.
//!
//! Servers are shared, so a client's names for statements mean nothing to them. Equal texts that mean the same get one id.
//!
//! Invariants:
//! 1. Two statements have the same id only if text and declared parameter types are equal byte for byte, and if a server
//!    that parses them now reads the same: names by the same catalog and search_path, literals by the same settings.
//! 2. What the clock has a part in is never shared.
//! 3. The types of parameters that a client was told are those of all servers that prepare the statement later.
//! 4. The interner forgets named statements that no client holds, and all but the last ones without a name; the ids are
//!    never used again.
//!
//! Not here: what a client has prepared under its names ([`super::statements`]).

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use hashbrown::HashMap;

use super::planning::Planned;
use crate::backend::Settings;
use crate::sql::conversion::{Clock, Conversion, READ_BY};
use crate::sql::lexer::LexOptions;
use crate::wire::frontend::Parse;

/// What a server parses a text by, besides the text. Numbers that are never used for anything else again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsing {
    /// Of the planning context: what names mean.
    pub context: u32,
    pub dialect: Dialect,
}

/// The session's settings as far as parsing depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// By which literals are converted, too.
    settings: u32,
    /// That matter without any literal.
    plans: u32,
}

/// Which rules rewrite a statement; how constants are printed that a plan computes beforehand.
const OF_PLANS: [&str; 5] = [
    "session_replication_role",
    "intervalstyle",
    "bytea_output",
    "extra_float_digits",
    "quote_all_identifiers",
];

/// One text with parameter types, as some client prepared it.
#[derive(Debug)]
pub struct Prepared {
    /// Unique in this worker.
    pub id: u64,
    /// The Parse message after its name: text, NUL, parameter types.
    pub tail: Bytes,
    text_length: usize,
    parameter_types: Box<[u32]>,
    /// The same with the types that a server has told a client.
    told: OnceCell<Told>,
    /// The plan, and the context it was made in.
    pub planned: std::cell::RefCell<Option<Rc<Planned>>>,
    /// The context in which no column of its was found to name types inside of its values; 0: none.
    plain_in: std::cell::Cell<u32>,
    /// By which others with the same text find it; None: it is one client's alone.
    key: Option<Key>,
    pub has_literals: bool,
    /// The settings that its literals were read by; None: a transaction's alone.
    read_by: Option<u32>,
    /// For literals that mean something else another day: the time of parsing, in steps.
    day: Option<u64>,
    /// What the clock has a part in, and when it was prepared first.
    clock: Option<(Clock, SystemTime)>,
    /// It was prepared again without a name.
    repeated: std::cell::Cell<bool>,
}

/// The types of all parameters, as a ParameterDescription has told them.
#[derive(Debug)]
struct Told {
    types: Box<[u32]>,
    tail: Bytes,
}

impl Prepared {
    pub fn text(&self) -> &[u8] {
        &self.tail[..self.text_length]
    }

    /// Of a Parse for a client that knows the statement already: it may have been told types that a server finds by the tables
    /// of then.
    pub fn known_tail(&self) -> &Bytes {
        self.told.get().map_or(&self.tail, |told| &told.tail)
    }

    /// What stands behind the text in such a Parse message: its end, and the types that are declared.
    pub fn declarations(&self) -> &[u8] {
        &self.known_tail()[self.text_length..]
    }

    /// The types of its parameters as far as they are declared or told; 0 for others.
    pub fn parameter_types(&self) -> &[u32] {
        self.told.get().map_or(&self.parameter_types, |told| &told.types)
    }

    /// The types of its parameters, where Parse has declared all of those that the text reads.
    pub fn declared_all(&self, reads: u32) -> Option<&[u32]> {
        let declared = self.parameter_types.len() >= reads as usize && !self.parameter_types.contains(&0);
        declared.then_some(&self.parameter_types)
    }

    /// Whether a ParameterDescription of it says something new.
    pub fn is_untold(&self) -> bool {
        self.told.get().is_none()
    }

    /// A server has told these types. False: they are not those that a client was told before.
    pub fn note_told(&self, types: &[u32]) -> bool {
        *self.told.get_or_init(|| self.with_types(types)).types == *types
    }

    fn with_types(&self, types: &[u32]) -> Told {
        let mut tail = BytesMut::from(&self.tail[..self.text_length]);
        tail.put_u8(0);
        // A message cannot tell of more.
        tail.put_u16(types.len() as u16);
        types.iter().for_each(|number| tail.put_u32(*number));
        Told { types: types.into(), tail: tail.freeze() }
    }

    /// Whether values of its columns are known to name no types of the users' own, in any format.
    pub fn carries_nothing(&self, context: u32) -> bool {
        self.plain_in.get() == context
    }

    pub fn note_carries_nothing(&self, context: u32) {
        self.plain_in.set(context);
    }

    /// Whether it is worth a place on the servers although it has no name.
    pub fn is_repeated(&self) -> bool {
        self.repeated.get()
    }

    /// Whether a server that is given its text now would read it by another time. `zone`: of the session, in lower case.
    pub fn is_past(&self, zone: impl FnOnce() -> Option<String>) -> bool {
        const UTC: [&str; 4] = ["utc", "etc/utc", "gmt", "etc/gmt"];
        let Some((clock, then)) = self.clock else { return false };
        let now = SystemTime::now();
        match clock {
            Clock::Moment => now.duration_since(then).is_ok_and(|passed| passed > MOMENT),
            Clock::Day => {
                let in_utc = zone().is_some_and(|zone| UTC.contains(&zone.as_str()));
                let step = if in_utc { DAY } else { DAY_STEP };
                steps(now, step) != steps(then, step)
            }
        }
    }

    /// Whether its text says the same under the settings of now; None: they are the transaction's alone.
    fn holds_under(&self, dialect: Option<Dialect>) -> bool {
        !self.has_literals || self.read_by == dialect.map(|dialect| dialect.settings)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    unnamed: bool,
    context: u32,
    dialect: u32,
    tail: Bytes,
}

#[derive(Hash)]
struct KeyRef<'a> {
    unnamed: bool,
    context: u32,
    dialect: u32,
    tail: &'a [u8],
}

impl hashbrown::Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let Key { unnamed, context, dialect, tail } = key;
        (self.unnamed, self.context, self.dialect) == (*unnamed, *context, *dialect) && self.tail == tail
    }
}

/// Gives statements that mean the same one identity.
#[derive(Debug, Default)]
pub struct Interner {
    known: HashMap<Key, Weak<Prepared>>,
    /// Those without a name that came last, whether a client still has them or not.
    recent: VecDeque<Rc<Prepared>>,
    dialects: HashMap<Vec<(&'static str, String)>, u32>,
    next: u64,
    next_dialect: u32,
    sweep_at: usize,
}

/// The map is swept of forgotten statements whenever it has grown to this, and then to twice what is left.
const SWEEP_LEAST: usize = 1024;
const RECENT_MAX: usize = 1024;
/// Longer ones without a name are not kept for others.
const RECENT_BYTES: usize = 8 * 1024;
const DIALECTS_MAX: usize = 1024;
/// No zone changes its offset at another time than a multiple of this.
const DAY_STEP: Duration = Duration::from_secs(15 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// So long after its Parse a statement is still new.
const MOMENT: Duration = Duration::from_secs(1);

impl Interner {
    /// The statement of this text that means the same; a new one if there is none. `parsing`: None if its settings are the
    /// transaction's alone.
    pub fn intern(
        &mut self,
        parse: &Parse<'_>,
        parsing: Option<Parsing>,
        options: LexOptions,
    ) -> Rc<Prepared> {
        let has_literals = may_have_literals(parse.sql);
        let key = parsing.map(|Parsing { context, dialect }| KeyRef {
            unnamed: parse.name.is_empty(),
            context,
            dialect: if has_literals { dialect.settings } else { dialect.plans },
            tail: parse.tail,
        });
        let known = key.as_ref().and_then(|key| self.known.get(key)).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.day.is_none_or(|day| day == today())) {
            if parse.name.is_empty() {
                known.repeated.set(true);
            }
            return known;
        }
        let conversion = match has_literals {
            true => Conversion::of(parse.sql, options),
            false => Conversion::Fixed,
        };
        self.next += 1;
        let tail = Bytes::copy_from_slice(parse.tail);
        let key = key.filter(|_| conversion < Conversion::Moment).map(|key| Key {
            unnamed: key.unnamed,
            context: key.context,
            dialect: key.dialect,
            tail: tail.clone(),
        });
        let prepared = Rc::new(Prepared {
            id: self.next,
            tail,
            text_length: parse.sql.len(),
            parameter_types: parse.parameter_oids.iter().collect(),
            told: OnceCell::new(),
            planned: std::cell::RefCell::new(None),
            plain_in: std::cell::Cell::new(0),
            key,
            has_literals,
            read_by: parsing.map(|parsing| parsing.dialect.settings),
            day: (conversion == Conversion::Day).then(today),
            clock: (conversion == Conversion::Moment)
                .then(|| Clock::of(parse.sql, options))
                .flatten()
                .map(|clock| (clock, SystemTime::now())),
            repeated: std::cell::Cell::new(false),
        });
        self.keep(&prepared);
        prepared
    }

    fn keep(&mut self, prepared: &Rc<Prepared>) {
        let Some(key) = &prepared.key else { return };
        if self.known.len() >= self.sweep_at.max(SWEEP_LEAST) {
            self.known.retain(|_, weak| weak.strong_count() > 0);
            self.sweep_at = self.known.len() * 2;
        }
        self.known.insert(key.clone(), Rc::downgrade(prepared));
        if key.unnamed && key.tail.len() <= RECENT_BYTES {
            if self.recent.len() >= RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(Rc::clone(prepared));
        }
    }

    /// The same text with other types of its parameters than a client was told before: its tables have changed since.
    pub fn with_other_types(
        &mut self,
        prepared: &Prepared,
        types: &[u32],
        options: LexOptions,
    ) -> Option<Rc<Prepared>> {
        self.forget(prepared);
        let tail = prepared.with_types(types).tail;
        let parse = Parse::with_tail(b"", &tail).ok()?;
        Some(self.intern(&parse, None, options))
    }

    /// The same text as it is to be read now; None where this one still says it.
    pub fn read_again(
        &mut self,
        prepared: &Prepared,
        name: &[u8],
        parsing: Option<Parsing>,
        options: LexOptions,
    ) -> Option<Rc<Prepared>> {
        if prepared.holds_under(parsing.map(|parsing| parsing.dialect)) {
            return None;
        }
        let parse = Parse::with_tail(name, prepared.known_tail()).ok()?;
        Some(self.intern(&parse, parsing, options))
    }

    /// The tables have changed under a statement: whoever prepares its text from now on gets another id, and so a statement
    /// of the servers that is as the tables are now. Those who hold it keep it.
    pub fn forget(&mut self, prepared: &Prepared) {
        let Some(key) = &prepared.key else { return };
        let known = self.known.get(key).and_then(Weak::upgrade);
        if known.is_some_and(|known| known.id == prepared.id) {
            self.known.remove(key);
        }
    }

    /// Numbers for what these settings say of parsing.
    pub fn dialect(&mut self, settings: &Settings) -> Dialect {
        let of = |names: &[&'static str]| {
            let set = names.iter().filter_map(|name| Some((*name, settings.get(name)?.to_owned())));
            set.collect::<Vec<_>>()
        };
        let plans = of(&OF_PLANS);
        let all = [of(&READ_BY), plans.clone()].concat();
        Dialect { settings: self.number_of(all), plans: self.number_of(plans) }
    }

    fn number_of(&mut self, settings: Vec<(&'static str, String)>) -> u32 {
        if settings.is_empty() {
            return 0;
        }
        if self.dialects.len() >= DIALECTS_MAX {
            self.dialects.clear();
        }
        *self.dialects.entry(settings).or_insert_with(|| {
            self.next_dialect += 1;
            self.next_dialect
        })
    }
}

/// Whether a text may have a quoted literal; the lexer knows for certain.
fn may_have_literals(sql: &[u8]) -> bool {
    let opens = |at: usize| sql.get(at + 1).is_some_and(|byte| !byte.is_ascii_digit());
    memchr::memchr(b'\'', sql).is_some() || memchr::memchr_iter(b'$', sql).any(opens)
}

fn today() -> u64 {
    steps(SystemTime::now(), DAY_STEP)
}

/// How many of these have passed since the epoch.
fn steps(time: SystemTime, step: Duration) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / step.as_secs()
}
