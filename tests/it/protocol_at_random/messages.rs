//! What random sessions send: writes of one or several messages, as wire cases write them (`wire_cases::script`).
//!
//! A session has a theme, so that its statements meet: what one declares another fetches from. A client's names are remembered,
//! so that a Bind mostly fits what was parsed under its name. A write ends with Query, Sync or Flush, and one that ends with
//! Flush leaves the session in the middle of a pipeline, for the next write to go on with.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::statements::{BOUND, Kind, Wanted};

const WRITES: std::ops::RangeInclusive<usize> = 4..=16;
/// Percent of a session's statements that are of its theme.
const THEME: u32 = 60;

/// Messages that are sent in one go, one a line.
pub type Write = Vec<String>;

/// The session of a number.
pub fn session(seed: u64, number: u64) -> Vec<Write> {
    let mut random = SmallRng::seed_from_u64(seed * 1_000_003 + number);
    let theme = Kind::theme(&mut random);
    let mut writer = Writer { random, theme, parsed: BTreeMap::new() };
    let mut writes: Vec<Write> =
        writer.beginning().into_iter().map(|text| vec![format!("Q {text}")]).collect();
    for _ in 0..writer.random.random_range(WRITES) {
        match writer.random.random_range(0..100) {
            0..40 => writes.push(vec![writer.query()]),
            40..46 => writes.push(writer.copy()),
            46..60 => writes.extend(writer.slowly()),
            _ => writes.push(writer.pipeline()),
        }
    }
    writes
}

/// A portal or statement name as cases write it.
type Name = &'static str;

/// What was parsed under a name.
#[derive(Debug, Clone)]
struct Parsed {
    text: String,
    wanted: &'static [Wanted],
}

struct Writer {
    random: SmallRng,
    theme: Kind,
    parsed: BTreeMap<Name, Parsed>,
}

impl Writer {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(&mut self.random).expect("there are some")
    }

    /// So that what follows has something to work on.
    fn beginning(&mut self) -> Vec<&'static str> {
        let mut texts = Vec::new();
        if self.theme == Kind::Defining {
            texts.push("CREATE TABLE t1 (id int PRIMARY KEY, name text)");
        }
        if self.theme == Kind::Keeping || self.chance(10) {
            texts.push("CREATE TEMP TABLE kept (id int PRIMARY KEY, name text)");
        }
        if self.chance(25) {
            texts.push("BEGIN");
        }
        texts
    }

    fn statement(&mut self) -> String {
        let kind = if self.chance(THEME) { self.theme } else { Kind::any(&mut self.random) };
        kind.statement(&mut self.random)
    }

    /// A Query of one statement, or of several.
    fn query(&mut self) -> String {
        let count = self.one(&[1, 1, 1, 1, 2, 2, 3]);
        let mut texts: Vec<_> = (0..count).map(|_| self.statement()).collect();
        // PostgreSQL refuses it in one message with others.
        texts.retain(|text| count == 1 || text != "DISCARD ALL");
        format!("Q {}", texts.join("; "))
    }

    /// COPY FROM STDIN, its data behind it, by either protocol.
    fn copy(&mut self) -> Write {
        let text = self.one(&[
            "COPY notes (id, name) FROM STDIN",
            "COPY kept (id, name) FROM STDIN",
            "COPY colours FROM STDIN",
            "COPY places (region, id, name) FROM STDIN",
            "COPY visits (region, id, name) FROM STDIN",
            "COPY zones (id, name) FROM STDIN",
        ]);
        let sharded = ["places", "visits"].iter().any(|table| text.contains(table));
        let extended = self.chance(40);
        let mut write = match extended {
            // By a name of its own: no later Bind begins a COPY without data.
            true => {
                ["C S copied", &format!("P copied {text}"), "B - copied", "E -"].map(str::to_owned).to_vec()
            }
            false => vec![format!("Q {text}{}", self.one(&["", "", "; SELECT 2"]))],
        };
        for row in 0..self.random.random_range(0..4) {
            let region = self.one(&["us-west", "us-west", "eu-central"]);
            let columns = if sharded { format!("{region}\\t") } else { String::new() };
            write.push(format!("d {columns}{}\\tcopied\\n", 50 + row));
        }
        // Of a sharded table it would be said that no shard has a place for it (M006).
        if !sharded && self.chance(15) {
            write.push("d bad\\n".to_owned());
        }
        write.push(self.one(&["c", "c", "c", "f given up"]).to_owned());
        if extended {
            write.push("S".to_owned());
        }
        write
    }

    /// One to four runs of statements, and messages that fit nothing; a Sync or a Flush at the end.
    fn pipeline(&mut self) -> Write {
        let mut write = Write::new();
        for _ in 0..self.one(&[1, 1, 2, 2, 3, 4]) {
            match self.random.random_range(0..100) {
                0..74 => self.put_run(&mut write),
                74..82 => {
                    let (portal, rows) = (self.one(&["p1", "p2", "-"]), self.one(&[0, 0, 2]));
                    write.push(format!("E {portal} {rows}"));
                }
                82..87 => write.push(self.one(&["C P -", "C P p1", "C S w1", "C S -", "C S w2"]).to_owned()),
                87..91 => write.push(self.one(&["D P -", "D P p1", "D S -", "D S w1"]).to_owned()),
                91..94 => write.push("H".to_owned()),
                94..97 => write.push("S".to_owned()),
                97..99 => write.push(self.query()),
                _ => write.push(self.one(&["B - nope", "B p1 -", "B - w1"]).to_owned()),
            }
        }
        write.push(self.one(&["S", "S", "S", "H"]).to_owned());
        without_blind_executions(&mut write);
        write
    }

    /// Parse, unless one of the name is there, Bind, Execute, and what may stand between them.
    fn put_run(&mut self, write: &mut Write) {
        let name = self.one(&["-", "-", "-", "w1", "w2"]);
        let portal = self.one(&["-", "-", "-", "p1", "p2"]);
        if name != "-" && self.parsed.contains_key(name) && self.chance(30) {
            self.parsed.remove(name);
            write.push(format!("C S {name}"));
        }
        let keeps = self.parsed.contains_key(name) && !(name == "-" && self.chance(90));
        if !keeps || self.chance(5) {
            self.put_parse(name, write);
        }
        if self.chance(30) {
            write.push(format!("D S {name}"));
        }
        self.put_bind(portal, name, write);
        if self.chance(50) {
            write.push(format!("D P {portal}"));
        }
        if self.chance(90) {
            self.put_execute(portal, name, write);
        }
        if self.chance(10) {
            write.push(self.one(&["C P -", "C P p1", "C S -"]).to_owned());
        }
    }

    fn put_parse(&mut self, name: Name, write: &mut Write) {
        let (text, wanted) = match self.chance(50) {
            true => {
                let (text, wanted) = self.one(BOUND);
                (text.to_owned(), wanted)
            }
            false => (self.statement(), &[][..]),
        };
        let types = match self.chance(25) && !wanted.is_empty() {
            true => format!("({}) ", wanted[0].type_name()),
            false => String::new(),
        };
        write.push(format!("P {name} {types}{text}"));
        self.parsed.insert(name, Parsed { text, wanted });
    }

    fn put_bind(&mut self, portal: Name, name: Name, write: &mut Write) {
        let wanted = self.parsed.get(name).map_or(&[][..], |parsed| parsed.wanted);
        let values: Vec<_> = wanted.iter().map(|wanted| wanted.value(&mut self.random)).collect();
        let formats = self.one(&["", "", "", " -> text", " -> binary"]);
        write.push(format!("B {portal} {name} [{}]{formats}", values.join(", ")));
    }

    /// Whether what a name stands for may be executed for the first of its rows. What is changed is not seen by others before
    /// all of its rows are fetched, and the order of these is the servers' own.
    fn fetches(&self, name: Name) -> bool {
        let text = self.parsed.get(name).map_or("", |parsed| parsed.text.as_str());
        ["SELECT", "FETCH", "VALUES", "EXECUTE", "SHOW"].iter().any(|word| text.starts_with(word))
    }

    /// All rows, or the first and then perhaps more.
    fn put_execute(&mut self, portal: Name, name: Name, write: &mut Write) {
        let rows = if self.fetches(name) { self.one(&[0, 0, 0, 1, 2, 5]) } else { 0 };
        write.push(format!("E {portal} {rows}"));
        if self.chance(if rows > 0 { 60 } else { 20 }) {
            let rows = self.one(&[0, 1, 2]);
            write.push(format!("E {portal} {rows}"));
        }
    }

    /// One statement whose messages come one after the other behind Flush, others between them.
    fn slowly(&mut self) -> Vec<Write> {
        let (name, portal) = (self.one(&["-", "w2"]), self.one(&["-", "p1", "p2"]));
        let mut first = Write::new();
        if name != "-" && self.parsed.remove(name).is_some() {
            first.push(format!("C S {name}"));
        }
        self.put_parse(name, &mut first);
        if self.chance(40) {
            first.push(format!("D S {name}"));
        }
        let mut second = Write::new();
        self.put_bind(portal, name, &mut second);
        if self.chance(50) {
            second.push(format!("D P {portal}"));
        }
        let mut writes = match self.chance(50) {
            true => vec![[first, second].concat()],
            false => vec![first, second],
        };
        for _ in 0..self.one(&[1, 2, 3]) {
            if self.chance(25) {
                let between = self.statement();
                writes.push(vec![
                    "C P p3".to_owned(),
                    format!("P - {between}"),
                    "B p3 -".to_owned(),
                    "E p3".to_owned(),
                    "C P p3".to_owned(),
                ]);
            }
            let rows = if self.fetches(name) { self.one(&[0, 1, 2, 3]) } else { 0 };
            writes.push(vec![format!("E {portal} {rows}")]);
        }
        let last = writes.len() - 1;
        let synced = self.chance(70);
        for (at, write) in writes.iter_mut().enumerate() {
            write.push(if at == last && synced { "S" } else { "H" }.to_owned());
        }
        if !synced {
            let next = if self.chance(50) { "S".to_owned() } else { self.query() };
            writes.push(vec![next]);
        }
        writes
    }
}

/// Behind a Sync or Query it is not known whether the transaction has failed, where a portal that is not bound there must not be
/// executed (`compare` says why).
fn without_blind_executions(write: &mut Write) {
    let mut open = true;
    let mut bound: Vec<String> = Vec::new();
    write.retain(|line| {
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["S"] | ["Q", ..] => (open, bound) = (false, Vec::new()),
            ["B", portal, ..] => bound.push((*portal).to_owned()),
            ["E", portal, ..] | ["D", "P", portal] => {
                return open || bound.iter().any(|known| known == portal);
            }
            _ => {}
        }
        true
    });
}
