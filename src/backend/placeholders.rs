//! Parameters of applications (`app.user`) that exist on a server connection; PostgreSQL calls them placeholders.
//!
//! One that was set once is there until its connection ends, through RESET and ROLLBACK: `current_setting(…, true)` shows an empty
//! text then, and NULL where it was never set. Row level security may go by that, so a session that has never set a parameter is
//! not lent a connection on which another one has, where it may ask (`plan/traces.rs`).
//!
//! Both a session and a connection have theirs: who takes a connection brings what the session has set before, and leaves what
//! it has set since.
//!
//! Invariants:
//! 1. Names are only added, and no name that a server would refuse.
//! 2. What is not known by name counts as one that only the session itself has.

use std::collections::BTreeSet;
use std::rc::Rc;

/// In the place of names that code computes, and of those beyond the bound.
const UNKNOWN: &str = "?";
/// A session may set as many as it likes; so many are kept.
const NAMES_MAX: usize = 1_000;

/// Cheap to clone, and to compare where there are none.
#[derive(Debug, Clone, Default)]
pub struct Placeholders {
    names: Rc<BTreeSet<String>>,
}

impl Placeholders {
    /// `name`: of any parameter, in lower case; those of the server's own are no placeholders.
    pub fn note(&mut self, name: &str) {
        if is_placeholder(name) && !self.names.contains(name) {
            let name = if self.names.len() < NAMES_MAX { name } else { UNKNOWN };
            Rc::make_mut(&mut self.names).insert(name.to_owned());
        }
    }

    /// Code has set some under names that it computes.
    pub fn note_unknown(&mut self) {
        if !self.names.contains(UNKNOWN) {
            Rc::make_mut(&mut self.names).insert(UNKNOWN.to_owned());
        }
    }

    pub fn add(&mut self, others: &Self) {
        if others.are_within(self) {
            return;
        }
        match self.names.is_empty() {
            true => self.names = Rc::clone(&others.names),
            false => Rc::make_mut(&mut self.names).extend(others.names.iter().cloned()),
        }
    }

    /// Whether `others` have all of them.
    pub fn are_within(&self, others: &Self) -> bool {
        self.names.is_empty()
            || Rc::ptr_eq(&self.names, &others.names)
            || self.names.iter().all(|name| others.names.contains(name))
    }

    /// The names that `others` have not.
    pub fn beyond(&self, others: &Self) -> impl Iterator<Item = &str> {
        self.names.iter().filter(|name| *name != UNKNOWN && !others.names.contains(*name)).map(String::as_str)
    }
}

/// What a session wants of the connection that it is lent.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'s> {
    /// The session's.
    pub own: &'s Placeholders,
    /// None may exist there but these.
    pub no_others: bool,
}

impl Wanted<'_> {
    pub fn fits(&self, there: &Placeholders) -> bool {
        !self.no_others || there.are_within(self.own)
    }

    /// The best that there is: so others' sessions keep theirs.
    pub fn suits(&self, there: &Placeholders) -> bool {
        self.fits(there) && self.own.are_within(there)
    }
}

/// Two identifiers or more, with points between them: servers take nothing else since PostgreSQL 14.
fn is_placeholder(name: &str) -> bool {
    let begins = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80;
    let is_identifier = |part: &str| {
        part.bytes().next().is_some_and(begins)
            && part.bytes().all(|byte| begins(byte) || byte.is_ascii_digit() || byte == b'$')
    };
    name.contains('.') && name.split('.').all(is_identifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(names: &[&str]) -> Placeholders {
        let mut placeholders = Placeholders::default();
        names.iter().for_each(|name| placeholders.note(name));
        placeholders
    }

    #[test]
    fn only_names_that_servers_take_are_noted() {
        let noted = placeholders(&["work_mem", "app.user", "a.b.c_1$", "app.x y", ".x", "app.", "1.x"]);
        let names: Vec<_> = noted.beyond(&Placeholders::default()).collect();
        assert_eq!(names, ["a.b.c_1$", "app.user"]);
    }

    #[test]
    fn a_session_fits_where_it_has_set_all_that_is_there() {
        let mut connection = placeholders(&["app.user"]);
        assert!(Placeholders::default().are_within(&connection));
        assert!(!connection.are_within(&Placeholders::default()));
        let session = placeholders(&["app.user", "app.tenant"]);
        assert!(connection.are_within(&session));
        assert_eq!(session.beyond(&connection).collect::<Vec<_>>(), ["app.tenant"]);
        connection.add(&session);
        assert!(session.are_within(&connection));
    }

    #[test]
    fn names_beyond_the_bound_are_strange_to_others() {
        let mut many = Placeholders::default();
        (0..=NAMES_MAX).for_each(|number| many.note(&format!("app.x{number}")));
        assert_eq!(many.beyond(&Placeholders::default()).count(), NAMES_MAX);
        let mut known = Placeholders::default();
        (0..NAMES_MAX).for_each(|number| known.note(&format!("app.x{number}")));
        assert!(!many.are_within(&known));
    }
}
