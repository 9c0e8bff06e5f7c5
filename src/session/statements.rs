//! Prepared statements: what a client has prepared under its names.
//!
//! Filled by `extended` and by SQL's PREPARE. Equal texts of all clients have one identity ([`super::interner`]).
//!
//! Invariants:
//! 1. A statement under a name says what it said when it was prepared, or is refused.

use std::rc::Rc;

use hashbrown::HashMap;

use super::Session;
use super::interner::{Parsing, Prepared};
use super::redefinition::healed_by_parse;
use crate::backend::Settings;
use crate::execute::{Lane, refusals};
use crate::sql::conversion::{READ_BY, depends_on};
use crate::sql::lexer::LexOptions;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frontend::Parse;

/// What the columns of a prepared statement's answer may depend on, as the catalog has it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// By what tables, as [`Session::sight_of_names`] numbers it.
    pub sight: (u32, u32),
    /// How many of the tables there are.
    pub found: usize,
    /// A number that changes with the columns that a `*` stands for; None if there is no `*`.
    pub star: Option<u64>,
    /// Numbers of the columns that the text names, and of their types.
    pub columns: Box<[(u64, u64)]>,
}

impl Answer {
    /// Whether an answer of then may still be taken for one of now: tables and columns that are gone are the server's to complain
    /// of.
    pub fn is_kept_by(&self, now: &Self) -> bool {
        let same = |(column, kind): &(u64, u64)| {
            let found = now.columns.iter().find(|(known, _)| known == column);
            found.is_none_or(|(_, now)| now == kind)
        };
        now.found < self.found || self.star == now.star && self.columns.iter().all(same)
    }
}

/// What a client's text was read by, when it was prepared.
#[derive(Debug, Clone)]
pub struct Reading {
    settings: Rc<Settings>,
    options: LexOptions,
}

/// What stands under a client's name.
#[derive(Debug, Clone)]
pub struct Entry {
    prepared: Rc<Prepared>,
    /// None where settings may have changed just before it: as they are when it is used.
    reading: Option<Reading>,
}

/// What a client has closed, in case that the Close is skipped.
#[derive(Debug)]
pub struct Closed {
    name: Box<[u8]>,
    entry: Entry,
    answer: Option<Answer>,
}

/// What one client has prepared.
#[derive(Debug, Default)]
pub struct Statements {
    named: HashMap<Box<[u8]>, Entry>,
    /// What the columns were that a `*` of the statement stood for when the client prepared it.
    answers: HashMap<Box<[u8]>, Answer>,
    unnamed: Option<Entry>,
    /// Texts of SQL's PREPARE, by the names that they give.
    by_sql: HashMap<String, Box<[u8]>>,
}

impl Statements {
    /// The pinned server has it; None: it has it no more.
    pub fn note_prepare(&mut self, name: &str, text: Option<&[u8]>) {
        match text {
            Some(text) => drop(self.by_sql.insert(name.to_owned(), text.into())),
            None => drop(self.by_sql.remove(name)),
        }
    }

    /// The PREPARE of this name.
    pub fn prepare_of(&self, name: &str) -> Option<&[u8]> {
        self.by_sql.get(name).map(|text| &**text)
    }

    pub fn get(&self, name: &[u8]) -> Option<&Rc<Prepared>> {
        self.entry(name).map(|entry| &entry.prepared)
    }

    fn entry(&self, name: &[u8]) -> Option<&Entry> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    pub fn insert(&mut self, name: &[u8], prepared: Rc<Prepared>, reading: Option<Reading>) {
        self.put(name, Entry { prepared, reading });
    }

    fn put(&mut self, name: &[u8], entry: Entry) {
        if name.is_empty() {
            self.unnamed = Some(entry);
        } else {
            self.named.insert(name.into(), entry);
        }
    }

    /// Where the one was prepared stands the other.
    fn replace(&mut self, prepared: &Rc<Prepared>, by: &Rc<Prepared>) {
        let entries = self.named.values_mut().chain(&mut self.unnamed);
        entries
            .filter(|entry| Rc::ptr_eq(&entry.prepared, prepared))
            .for_each(|entry| entry.prepared = Rc::clone(by));
    }

    /// Notes what the answer of a named statement is like.
    pub fn note_answer(&mut self, name: &[u8], answer: Answer) {
        self.answers.insert(name.into(), answer);
    }

    pub fn answer(&self, name: &[u8]) -> Option<&Answer> {
        self.answers.get(name)
    }

    /// It is still like that by the tables of later.
    pub fn confirm_answer(&mut self, name: &[u8], sight: (u32, u32)) {
        if let Some(answer) = self.answers.get_mut(name) {
            answer.sight = sight;
        }
    }

    pub fn remove(&mut self, name: &[u8]) {
        drop(self.close(name));
    }

    /// What the next statement without a name takes the place of.
    pub fn take_unnamed(&mut self) -> Option<Entry> {
        self.unnamed.take()
    }

    /// It was not replaced after all.
    pub fn put_unnamed(&mut self, entry: Option<Entry>) {
        self.unnamed = entry;
    }

    /// Removes what the client closes.
    pub fn close(&mut self, name: &[u8]) -> Option<Closed> {
        let (entry, answer) = match name.is_empty() {
            true => (self.unnamed.take(), None),
            false => (self.named.remove(name), self.answers.remove(name)),
        };
        entry.map(|entry| Closed { name: name.into(), entry, answer })
    }

    /// It was not closed after all.
    pub fn reopen(&mut self, closed: &Closed) {
        self.put(&closed.name, closed.entry.clone());
        if let Some(answer) = &closed.answer {
            self.note_answer(&closed.name, answer.clone());
        }
    }

    /// What DEALLOCATE ALL lets go of: the one without a name stays.
    pub fn clear_named(&mut self) {
        self.named.clear();
        self.answers.clear();
        self.by_sql.clear();
    }

    pub fn len(&self) -> usize {
        self.named.len()
    }

    pub fn has_named(&self) -> bool {
        !self.named.is_empty()
    }
}

impl Session {
    /// What a server would parse a text by now; None where the transaction has settings that end with it, or tables that
    /// others do not see, or may have them by then: `unsettled`.
    fn parsing(&self, unsettled: bool) -> Option<Parsing> {
        let apart = self.block.get().is_some_and(|transaction| {
            // A function may have changed some.
            let suspect = |lane: &Lane| lane.in_block && lane.connection.suspect;
            transaction.settings_changed || transaction.schema_changed || self.lanes.iter().any(suspect)
        });
        let apart = apart || !self.temporary.is_empty();
        (!apart && !unsettled)
            .then_some(Parsing { context: self.context.id, dialect: self.following.dialect })
    }

    /// `unsettled`: what stands before it in its batch may change what it means.
    pub(super) fn prepare(&self, parse: &Parse<'_>, unsettled: bool) -> Rc<Prepared> {
        let mut interner = self.worker.interner.borrow_mut();
        interner.intern(parse, self.parsing(unsettled), self.lex_options())
    }

    /// By what a server would read a text that is prepared now.
    pub(super) fn reading(&self, unsettled: bool) -> Option<Reading> {
        let settings = Rc::clone(self.settings_in_force());
        (!unsettled).then(|| Reading { settings, options: self.lex_options() })
    }

    /// A server has told the client the types of a statement's parameters.
    pub(super) fn note_told(&mut self, prepared: &Rc<Prepared>, types: &[u32]) {
        if prepared.note_told(types) {
            return;
        }
        let mut interner = self.worker.interner.borrow_mut();
        if let Some(fresh) = interner.with_other_types(prepared, types, self.lex_options()) {
            self.statements.replace(prepared, &fresh);
        }
    }

    /// What the client has prepared under this name, if its text still says under the settings of now what it said then.
    pub(super) fn prepared(
        &mut self,
        name: &[u8],
        unsettled: bool,
    ) -> Result<Option<Rc<Prepared>>, SqlError> {
        let Some(entry) = self.statements.entry(name) else { return Ok(None) };
        let prepared = Rc::clone(&entry.prepared);
        if !prepared.has_literals {
            return Ok(Some(prepared));
        }
        if prepared.is_past(|| self.value_in(self.in_force(), "timezone")) {
            let error = refusals::READ_BY_THE_CLOCK.error(&[&String::from_utf8_lossy(name)]);
            return Err(healed_by_parse(error));
        }
        if let Some(then) = &entry.reading
            && self.reads_otherwise(prepared.text(), then)
        {
            return Err(refusals::READ_BY_OTHER_SETTINGS.error(&[&String::from_utf8_lossy(name)]));
        }
        let again = {
            let mut interner = self.worker.interner.borrow_mut();
            interner.read_again(&prepared, name, self.parsing(unsettled), self.lex_options())
        };
        let Some(again) = again else { return Ok(Some(prepared)) };
        self.statements.insert(name, Rc::clone(&again), self.reading(unsettled));
        Ok(Some(again))
    }

    /// PostgreSQL reads a text once, when it is prepared: whether a server that is given it now might read something else.
    fn reads_otherwise(&self, text: &[u8], then: &Reading) -> bool {
        let options = self.lex_options();
        let now = self.in_force();
        if options == then.options && std::ptr::eq(now, &raw const *then.settings) {
            return false;
        }
        READ_BY.iter().any(|name| {
            let differs = match *name {
                "standard_conforming_strings" => options != then.options,
                name => self.value_in(now, name) != self.value_in(&then.settings, name),
            };
            differs && depends_on(name, text, then.options)
        })
    }
}

pub(super) fn unknown_statement(name: &[u8]) -> SqlError {
    let message = if name.is_empty() {
        "unnamed prepared statement does not exist".to_owned()
    } else {
        format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name))
    };
    SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}
