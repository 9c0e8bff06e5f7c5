//! What the client has been told of the server's reported parameters.
//!
//! A session moves between connections, each of which reports parameters as it sees them. The client hears a value
//! only when it differs from what it heard last: so what it believes is true, and no noise reaches it.
//!
//! The first reports are the same for most clients, and shared by them.

use std::rc::Rc;

use bytes::BytesMut;

use crate::wire::encode;

/// Reported parameters that belong to one server rather than to the session: the client keeps the first it heard.
const OF_THE_SERVER: [&[u8]; 2] = [b"in_hot_standby", b"server_version"];

const CONFORMING: &[u8] = b"standard_conforming_strings";

/// A name or a value, as the server has sent it.
type Text = Box<[u8]>;
/// The value that the client has; None: it has none.
type Known = Option<Text>;

#[derive(Debug, Clone)]
pub struct Told {
    first: Rc<[(String, String)]>,
    /// Values that differ from the first ones, by name; and reports of what was not among those.
    since: Vec<(Text, Text)>,
    /// Names whose new values the client has still to hear, just before it is told that the session is ready.
    /// With each the value that it knows.
    news: Vec<(Text, Known)>,
    /// Asked for each statement.
    conforming_strings: bool,
}

impl Default for Told {
    fn default() -> Self {
        Self::new(Rc::from([]))
    }
}

impl Told {
    pub fn new(first: Rc<[(String, String)]>) -> Self {
        let mut told = Self { first, since: Vec::new(), news: Vec::new(), conforming_strings: true };
        told.conforming_strings = told.value(CONFORMING) != Some(b"off");
        told
    }

    /// Notes a report; the answer is whether it is news.
    pub fn learn(&mut self, name: &[u8], value: &[u8]) -> bool {
        match self.value(name) {
            Some(known) if known == value || OF_THE_SERVER.contains(&name) => return false,
            _ => {}
        }
        match self.since.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, known)) => *known = value.into(),
            None => self.since.push((name.into(), value.into())),
        }
        if name == CONFORMING {
            self.conforming_strings = value != b"off";
        }
        true
    }

    /// Notes a report that the client gets at once, if the answer is that it is news.
    pub fn learn_now(&mut self, name: &[u8], value: &[u8]) -> bool {
        let is_news = self.learn(name, value);
        if is_news {
            self.news.retain(|(listed, _)| **listed != *name);
        }
        is_news
    }

    /// Notes a report that is to be told later, as PostgreSQL does: once for each parameter, just before ReadyForQuery.
    pub fn learn_for_later(&mut self, name: &[u8], value: &[u8]) {
        let known = self.value(name).map(Box::from);
        if self.learn(name, value) && !self.news.iter().any(|(listed, _)| **listed == *name) {
            self.news.push((name.into(), known));
        }
    }

    /// What the client is to hear again, though the servers have said nothing new.
    pub fn tell_again(&mut self, name: &str) {
        match self.news.iter_mut().find(|(listed, _)| **listed == *name.as_bytes()) {
            Some((_, known)) => *known = None,
            None => self.news.push((name.as_bytes().into(), None)),
        }
    }

    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Appends what is to be told now.
    pub fn tell_news(&mut self, out: &mut BytesMut) {
        for (name, known) in std::mem::take(&mut self.news) {
            // What went back to what it was is no news.
            if let Some(value) = self.value(&name).filter(|value| Some(*value) != known.as_deref()) {
                encode::server::parameter_status(out, &name, value);
            }
        }
    }

    /// Nothing has been reported that the greeting did not say.
    pub fn is_as_greeted(&self) -> bool {
        self.since.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.value(name.as_bytes())
    }

    /// Whether a backslash in a string means itself.
    pub fn has_conforming_strings(&self) -> bool {
        self.conforming_strings
    }

    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        let since = self.since.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value);
        let first = || self.first.iter().rfind(|(known, _)| known.as_bytes() == name);
        since.or_else(|| first().map(|(_, value)| value.as_bytes()))
    }
}
