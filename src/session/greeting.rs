//! What a client is told of the servers' parameters, and the settings in its start-up packet.
//!
//! The settings are judged by a server, once per worker and set of settings: later clients with the same start-up packet
//! are greeted without a round trip. The server is the default shard's, or another's while that shard has none: a client
//! can log in as long as any shard lives.
//!
//! Invariants:
//! 1. A setting that a server refuses refuses the client, with the server's own error.
//! 2. The cache is bounded, and is asked with the whole set of settings.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::encoding::{CLIENT_ENCODING, own_encoding};
use super::search_path::split_identifiers;
use super::{Failure, Session};
use crate::backend::Settings;
use crate::backend::settings::{quote_identifier, quote_literal};
use crate::plan::Access;
use crate::wire::encoding::Encoding;
use crate::wire::error::{Severity, SqlError, SqlState};
use crate::wire::startup::ClientHello;

/// Sets of settings whose reports are kept.
const GREETINGS_MAX: usize = 1024;

/// Settings with which sessions have begun that later ones are looked up among.
const BEGINNINGS_MAX: usize = 32;

/// What sessions that begin alike have in common.
#[derive(Debug, Default)]
pub struct Greetings {
    /// Reports by the server account, as the pools name it, and the settings that they are of.
    known: HashMap<(Rc<str>, Pairs), Reports>,
    beginnings: VecDeque<Rc<Settings>>,
}

impl Greetings {
    /// The same settings for all sessions that have begun with their like: whether a connection has them is then seen without a
    /// look at the values.
    pub fn shared(&mut self, settings: &Rc<Settings>) -> Rc<Settings> {
        if let Some(known) = self.beginnings.iter().find(|known| *known == settings) {
            return Rc::clone(known);
        }
        if self.beginnings.len() >= BEGINNINGS_MAX {
            self.beginnings.pop_front();
        }
        self.beginnings.push_back(Rc::clone(settings));
        Rc::clone(settings)
    }
}

/// Names and values.
type Pairs = Vec<(String, String)>;
type Reports = Rc<[(String, String)]>;

/// The settings of a start-up packet, as SQL text: its parameters, and `-c name=value` in its `options`; and the encoding
/// that is the session's own.
pub fn startup_settings(hello: &ClientHello) -> Result<(Settings, Option<&'static Encoding>), SqlError> {
    let mut settings = Settings::default();
    let mut encoding = None;
    let mut set = |name: &str, value: &str| {
        let folded = name.to_ascii_lowercase();
        // PostgreSQL puts who has logged in over it.
        if folded != "session_authorization" {
            settings.set(&folded, setting_value(name, value));
        }
    };
    for (name, value) in &hello.parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            "options" => {
                for (name, value) in parse_options(value)? {
                    set(&name, &value);
                }
            }
            name if name.starts_with("_pq_.") => {}
            name => set(name, value),
        }
    }
    if let Some(value) = settings.get(CLIENT_ENCODING) {
        encoding = own_encoding(value).map_err(|error| error.severity(Severity::Fatal))?;
    }
    if encoding.is_some() {
        settings.reset(CLIENT_ENCODING);
    }
    Ok((settings, encoding))
}

/// Settings that are lists of names (GUC_LIST_QUOTE): SET would take one string for one name.
const NAME_LISTS: [&str; 4] =
    ["search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"];

/// What SET is given for a value of the start-up packet, or one that a server shows: a role as a name, a list name by name,
/// everything else as one string.
pub(super) fn setting_value(name: &str, value: &str) -> String {
    if matches!(name, "role" | "session_authorization") {
        return quote_identifier(value);
    }
    if !NAME_LISTS.iter().any(|list| name.eq_ignore_ascii_case(list)) {
        return quote_literal(value);
    }
    match split_identifiers(value).as_slice() {
        // An empty list is shown as `""`, which cannot be written so.
        [] => quote_literal(""),
        names => names.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", "),
    }
}

/// `-c name=value`, `-cname=value` and `--name=value`, with backslashes before blanks, as PostgreSQL splits them.
pub(super) fn parse_options(text: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    let bad = |word: &str| {
        SqlError::fatal(
            SqlState::SYNTAX_ERROR,
            format!("invalid command-line argument for server process: {word}"),
        )
    };
    while let Some(word) = words.next() {
        let pair = if word == "-c" {
            words.next().ok_or_else(|| bad("-c"))?
        } else if let Some(rest) = word.strip_prefix("--") {
            rest.replacen('-', "_", usize::from(!rest.contains('_')) * rest.len())
        } else if let Some(rest) = word.strip_prefix("-c") {
            rest.to_owned()
        } else {
            return Err(bad(&word));
        };
        let (name, value) = pair.split_once('=').ok_or_else(|| bad(&pair))?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

impl Session {
    /// What the default shard reports under this session's settings; and the name of the application, where it is to be
    /// told instead of the one in them.
    pub(super) async fn learn_greeting(&mut self) -> Result<(Reports, Option<String>), SqlError> {
        let pairs: Vec<(String, String)> =
            self.settings.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        // The name of the application is reported as it was sent: it needs no judge, only to be there or not.
        let mut asked = pairs;
        let application = asked.iter_mut().find(|(name, _)| name == "application_name");
        let application = application.map(|(_, raw)| std::mem::take(raw));
        let key = (Rc::clone(&self.pool_user), asked);
        let known = self.worker.greetings.borrow().known.get(&key).map(Rc::clone);
        let reports = match known {
            Some(reports) => reports,
            None => {
                let reports: Reports = self.ask_greeting().await?.into();
                let mut greetings = self.worker.greetings.borrow_mut();
                if greetings.known.len() >= GREETINGS_MAX {
                    greetings.known.clear();
                }
                greetings.known.insert(key, Rc::clone(&reports));
                reports
            }
        };
        let Some(raw) = application else { return Ok((reports, None)) };
        let reported = reports.iter().any(|(name, _)| name == "application_name");
        Ok((reports, reported.then(|| unquote(&raw))))
    }

    /// The first server that can be had, of the default shard if possible; waits for that shard if none can.
    async fn join_any_server(&mut self) -> Result<usize, Failure> {
        for shard in self.context.planning.topology.default_first() {
            if let Some(index) = self.join_now(shard).await? {
                return Ok(index);
            }
        }
        self.join_default(Access::Read).await
    }

    async fn ask_greeting(&mut self) -> Result<Vec<(String, String)>, SqlError> {
        let judged = async {
            let index = self.join_any_server().await?;
            self.quiet_lane(index).await?;
            self.reports_on(index).await
        };
        let mut reports = judged.await.map_err(|failure| match failure {
            Failure::Sql(error) => error.severity(Severity::Fatal),
            _ => Self::internal("no greeting could be had"),
        })?;
        for (name, value) in &mut reports {
            if name == "in_hot_standby" {
                // The session writes, whichever server was asked.
                *value = "off".to_owned();
            }
        }
        self.settle().await.map_err(|_| Self::internal("a session is pinned before it begins"))?;
        Ok(reports)
    }

    /// The values of all that a lane's server reports. What it said when it was logged in to holds under the settings of
    /// that time only; and which of them another session has left as this one wants them, nobody has noted.
    pub(super) async fn reports_on(&mut self, index: usize) -> Result<Vec<(String, String)>, Failure> {
        let mut reports = self.lanes[index].connection.greeting.to_vec();
        if self.settings.is_empty() {
            return Ok(reports);
        }
        let names: Vec<_> = reports.iter().map(|(name, _)| name.clone()).collect();
        let shown = self.settings_on(index, &names).await?;
        for ((_, value), shown) in reports.iter_mut().zip(shown) {
            if let Some(shown) = shown {
                *value = shown;
            }
        }
        Ok(reports)
    }
}

/// The value of a literal that [`quote_literal`] made.
fn unquote(literal: &str) -> String {
    let escaped = literal.starts_with('E');
    let inner = literal.trim_start_matches('E').trim_matches('\'').replace("''", "'");
    if escaped { inner.replace("\\\\", "\\") } else { inner }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::startup::NEWEST_VERSION;

    #[test]
    fn options_are_split_as_the_server_splits_them() {
        let options = parse_options("-c geqo=off  -cwork_mem=1MB --search-path=a\\ b").unwrap();
        let expected =
            [("geqo", "off"), ("work_mem", "1MB"), ("search_path", "a b")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(options, expected);
        assert!(parse_options("-x").is_err());
    }

    #[test]
    fn a_start_up_packet_does_not_say_who_has_logged_in() {
        let parameters =
            [("session_authorization", "other"), ("options", "-c session_authorization=other -c role=r")];
        let hello = ClientHello {
            version: NEWEST_VERSION,
            user: "app".to_owned(),
            database: "app".to_owned(),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        };
        let (settings, _) = startup_settings(&hello).unwrap();
        assert_eq!(settings.iter().collect::<Vec<_>>(), [("role", "\"r\"")]);
    }

    #[test]
    fn lists_of_names_are_written_name_by_name() {
        assert_eq!(setting_value("search_path", "Shop,\"$user\", public"), r#""shop", "$user", "public""#);
        assert_eq!(setting_value("Search_Path", ""), "''");
        assert_eq!(setting_value("search_path", "\"\""), "''");
        assert_eq!(setting_value("search_path", "\"$user\", \"My Own\""), "\"$user\", \"My Own\"");
        assert_eq!(setting_value("datestyle", "iso, mdy"), "'iso, mdy'");
    }

    #[test]
    fn a_quoted_name_comes_back() {
        for name in ["psql", "it's", "back\\slash'd"] {
            assert_eq!(unquote(&quote_literal(name)), name);
        }
    }
}
