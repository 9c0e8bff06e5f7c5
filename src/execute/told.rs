//! What the client has been told of the server's reported parameters.
//!
//! A session moves between connections, each of which reports parameters as it sees them. The client hears a value
//! only when it differs from what it heard last: so what it believes is true, and no noise reaches it.

use std::collections::HashMap;

use bytes::BytesMut;

use crate::wire::encode;

/// Reported parameters that belong to one server rather than to the session: the client keeps the first it heard.
const OF_THE_SERVER: [&[u8]; 2] = [b"in_hot_standby", b"server_version"];

/// The value that the client has; None: it has none.
type Known = Option<Box<[u8]>>;

#[derive(Debug, Default, Clone)]
pub struct Told {
    values: HashMap<Box<[u8]>, Box<[u8]>>,
    /// Names whose new values the client has still to hear, just before it is told that the session is ready.
    /// With each the value that it knows.
    news: Vec<(Box<[u8]>, Known)>,
}

impl Told {
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = pairs
            .into_iter()
            .map(|(name, value)| {
                (name.into_bytes().into_boxed_slice(), value.into_bytes().into_boxed_slice())
            })
            .collect();
        Self { values, news: Vec::new() }
    }

    /// Notes a report; the answer is whether it is news.
    pub fn learn(&mut self, name: &[u8], value: &[u8]) -> bool {
        if let Some(known) = self.values.get_mut(name) {
            if **known == *value || OF_THE_SERVER.contains(&name) {
                return false;
            }
            *known = value.into();
            return true;
        }
        self.values.insert(name.into(), value.into());
        true
    }

    /// Notes a report that is to be told later, as PostgreSQL does: once for each parameter, just before ReadyForQuery.
    pub fn learn_for_later(&mut self, name: &[u8], value: &[u8]) {
        let known = self.values.get(name).cloned();
        if self.learn(name, value) && !self.news.iter().any(|(listed, _)| **listed == *name) {
            self.news.push((name.into(), known));
        }
    }

    /// Appends what is to be told now.
    pub fn tell_news(&mut self, out: &mut BytesMut) {
        for (name, known) in std::mem::take(&mut self.news) {
            // What went back to what it was is no news.
            if let Some(value) = self.values.get(&name).filter(|value| Some(*value) != known.as_ref()) {
                encode::server::parameter_status(out, &name, value);
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values.get(name.as_bytes()).map(|value| &**value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values.iter().map(|(name, value)| (&**name, &**value))
    }
}
