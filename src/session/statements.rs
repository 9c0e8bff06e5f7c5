//! Prepared statements: what a client has prepared under its names, and one identity for equal texts.
//!
//! Servers are shared, so a client's names mean nothing to them. Equal texts with equal parameter types get one id,
//! by which any server connection may have them prepared already ([`Interner`]).
//!
//! Invariants:
//! 1. Two statements have the same id only if text and declared parameter types are equal byte for byte.
//! 2. The interner forgets statements that no client holds; the ids are never used again.

use std::rc::{Rc, Weak};

use bytes::Bytes;
use hashbrown::HashMap;

use super::planning::Planned;
use crate::wire::frontend::Parse;

/// One text with parameter types, as some client prepared it.
#[derive(Debug)]
pub struct Prepared {
    /// Unique in this worker.
    pub id: u64,
    /// The Parse message after its name: text, NUL, parameter types.
    pub tail: Bytes,
    pub text_length: usize,
    pub parameter_types: Box<[u32]>,
    /// The plan, and the context it was made in.
    pub planned: std::cell::RefCell<Option<Rc<Planned>>>,
    /// The context in which no column of its was found to name types inside of its values; 0: none.
    plain_in: std::cell::Cell<u32>,
}

impl Prepared {
    pub fn text(&self) -> &[u8] {
        &self.tail[..self.text_length]
    }

    /// Whether values of its columns are known to name no types of the users' own, in any format.
    pub fn carries_nothing(&self, context: u32) -> bool {
        self.plain_in.get() == context
    }

    pub fn note_carries_nothing(&self, context: u32) {
        self.plain_in.set(context);
    }
}

/// Gives equal statements one identity.
#[derive(Debug, Default)]
pub struct Interner {
    known: HashMap<Bytes, Weak<Prepared>>,
    next: u64,
    sweep_at: usize,
}

/// The map is swept of forgotten statements whenever it has grown to this, and then to twice what is left.
const SWEEP_LEAST: usize = 1024;

impl Interner {
    pub fn intern(&mut self, parse: &Parse<'_>) -> Rc<Prepared> {
        if let Some(known) = self.known.get(parse.tail).and_then(Weak::upgrade) {
            return known;
        }
        if self.known.len() >= self.sweep_at.max(SWEEP_LEAST) {
            self.known.retain(|_, weak| weak.strong_count() > 0);
            self.sweep_at = self.known.len() * 2;
        }
        self.next += 1;
        let tail = Bytes::copy_from_slice(parse.tail);
        let prepared = Rc::new(Prepared {
            id: self.next,
            tail: tail.clone(),
            text_length: parse.sql.len(),
            parameter_types: parse.parameter_oids.iter().collect(),
            planned: std::cell::RefCell::new(None),
            plain_in: std::cell::Cell::new(0),
        });
        self.known.insert(tail, Rc::downgrade(&prepared));
        prepared
    }

    /// The tables have changed under a statement: whoever prepares its text from now on gets another id, and so a statement
    /// of the servers that is as the tables are now. Those who hold it keep it.
    pub fn forget(&mut self, prepared: &Prepared) {
        let known = self.known.get(&prepared.tail).and_then(Weak::upgrade);
        if known.is_some_and(|known| known.id == prepared.id) {
            self.known.remove(&prepared.tail);
        }
    }
}

/// What the columns of a prepared statement's answer may depend on, as the catalog has it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of the catalog that says so.
    pub version: u64,
    /// A number that changes with the columns that a `*` stands for; None if there is no `*`.
    pub star: Option<u64>,
    /// Numbers of the columns that the text names, and of their types.
    pub columns: Box<[(u64, u64)]>,
}

impl Answer {
    /// Whether an answer of then may still be taken for one of now: columns that are gone are the server's to complain of.
    pub fn is_kept_by(&self, now: &Self) -> bool {
        let same = |(column, kind): &(u64, u64)| {
            let found = now.columns.iter().find(|(known, _)| known == column);
            found.is_none_or(|(_, now)| now == kind)
        };
        self.star == now.star && self.columns.iter().all(same)
    }
}

/// What one client has prepared.
#[derive(Debug, Default)]
pub struct Statements {
    named: HashMap<Box<[u8]>, Rc<Prepared>>,
    /// What the columns were that a `*` of the statement stood for when the client prepared it.
    answers: HashMap<Box<[u8]>, Answer>,
    unnamed: Option<Rc<Prepared>>,
}

impl Statements {
    pub fn get(&self, name: &[u8]) -> Option<&Rc<Prepared>> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    pub fn insert(&mut self, name: &[u8], prepared: Rc<Prepared>) {
        if name.is_empty() {
            self.unnamed = Some(prepared);
        } else {
            self.named.insert(name.into(), prepared);
        }
    }

    /// Notes what the answer of a named statement is like.
    pub fn note_answer(&mut self, name: &[u8], answer: Answer) {
        self.answers.insert(name.into(), answer);
    }

    pub fn answer(&self, name: &[u8]) -> Option<&Answer> {
        self.answers.get(name)
    }

    /// It is still like that under a later version of the catalog.
    pub fn confirm_answer(&mut self, name: &[u8], version: u64) {
        if let Some(answer) = self.answers.get_mut(name) {
            answer.version = version;
        }
    }

    pub fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.named.remove(name);
            self.answers.remove(name);
        }
    }

    pub fn clear(&mut self) {
        self.named.clear();
        self.answers.clear();
        self.unnamed = None;
    }

    pub fn len(&self) -> usize {
        self.named.len()
    }

    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed.is_none()
    }
}
