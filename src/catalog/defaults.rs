//! What sessions begin with on the servers, by role.
//!
//! The settings by which names are found, texts read and values shown are the default shard's, as `ALTER ROLE`, `ALTER
//! DATABASE` and its configuration file say. Every server connection is told them when it begins (`backend::pool`): so
//! names mean to a server what they mean to the planner, and all shards read and show values alike, wherever they stand and
//! whatever their own files say. Of all other settings, what is written for the role or the database counts: a replica may
//! not have heard of it yet, and a session keeps what it has begun with, while connections come and go below it.
//!
//! Not here: what a session sets for itself (`backend::settings`), and what other settings the servers' files have.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::SimpleQueryRow;

/// Names and values, as they stand in a start-up packet.
type Pairs = Vec<(String, String)>;

/// What the sessions of one role begin with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Every connection is told; `queries::DEFAULTS` says which.
    pub told: Pairs,
    /// Written for the role or the database, and free for any session to set. A server that does not take one of them, as
    /// it was written long ago and names what has gone, is told none: it leaves out by itself what it cannot set.
    pub offered: Pairs,
    /// Written, and for the server alone to set: connections that have begun with other values are not shared.
    pub left_to_the_server: Pairs,
}

impl Defaults {
    /// The value of a parameter that connections are told, if they are.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut known = self.told.iter().chain(&self.offered);
        known.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The more particular setting is laid over what is there.
    fn lay_over(&mut self, names: &[String], written: &Written) {
        let told = names.iter().find(|name| name.eq_ignore_ascii_case(&written.name));
        let (pairs, name) = match told {
            Some(name) => (&mut self.told, name),
            None if written.is_free => (&mut self.offered, &written.name),
            None => (&mut self.left_to_the_server, &written.name),
        };
        match pairs.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => *value = laid_over(name, value, &written.value),
            None => pairs.push((name.clone(), written.value.clone())),
        }
    }
}

/// A setting with which the connection that reads the catalogs has begun.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub name: String,
    /// PostgreSQL's own default.
    pub built_in: String,
    pub value: String,
    /// As `pg_settings` names it.
    pub source: String,
    /// Who has begun.
    pub role: String,
}

/// What one `ALTER ROLE … SET` or its like has written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// None: all roles.
    pub role: Option<String>,
    /// In this database; else in all.
    pub here: bool,
    /// In lower case.
    pub name: String,
    pub value: String,
    /// Any session may set it for itself.
    pub is_free: bool,
}

impl Begun {
    /// A row of `queries::DEFAULTS`.
    pub fn read(row: &SimpleQueryRow) -> Result<Self, tokio_postgres::Error> {
        let text = |index: usize| Ok(row.try_get(index)?.unwrap_or_default().to_owned());
        Ok(Self { name: text(0)?, built_in: text(1)?, value: text(2)?, source: text(3)?, role: text(4)? })
    }

    fn is_written(&self, written: &[Written], role: Option<&str>) -> bool {
        let same = |written: &&Written| self.name.eq_ignore_ascii_case(&written.name);
        written.iter().filter(same).any(|written| written.role.as_deref() == role)
    }

    /// Whether it was written once, and is no longer.
    pub fn is_outlived(&self, written: &[Written]) -> bool {
        match self.source.as_str() {
            "global" | "database" => !self.is_written(written, None),
            "user" | "database user" => !self.is_written(written, Some(&self.role)),
            _ => false,
        }
    }

    /// What a session begins with for which nothing is written. None: what this one's role has of its own hides it; the
    /// servers are left to say, but for the search_path, which the planner must know.
    fn of_the_server(self) -> Option<(String, String)> {
        match self.source.as_str() {
            "user" | "database user" if self.name == "search_path" => Some((self.name, self.built_in)),
            "user" | "database user" => None,
            _ => Some((self.name, self.value)),
        }
    }
}

#[derive(Debug, Default)]
pub struct SessionDefaults {
    common: Arc<Defaults>,
    /// Of the roles that have settings of their own, complete.
    roles: HashMap<String, Arc<Defaults>>,
}

impl SessionDefaults {
    /// The more particular setting wins: role in this database, role, database, all.
    pub(super) fn new(begun: Vec<Begun>, mut written: Vec<Written>) -> Self {
        written.sort_by_key(|written| written.here);
        let names: Vec<String> = begun.iter().map(|begun| begun.name.clone()).collect();
        let over = |mut defaults: Defaults, role: Option<&str>| {
            for written in written.iter().filter(|written| written.role.as_deref() == role) {
                defaults.lay_over(&names, written);
            }
            defaults
        };
        let told = begun.into_iter().filter_map(Begun::of_the_server).collect();
        let common = over(Defaults { told, ..Defaults::default() }, None);
        let roles = written.iter().filter_map(|written| written.role.clone());
        let roles = roles.map(|role| {
            let own = over(common.clone(), Some(&role));
            (role, Arc::new(own))
        });
        Self { roles: roles.collect(), common: Arc::new(common) }
    }

    /// Those of a session that begins as this role.
    pub fn of(&self, role: &str) -> &Arc<Defaults> {
        self.roles.get(role).unwrap_or(&self.common)
    }
}

/// A DateStyle may be written by half: its style, or the order of its fields.
fn laid_over(name: &str, below: &str, written: &str) -> String {
    if !name.eq_ignore_ascii_case("datestyle") {
        return written.to_owned();
    }
    let is_style = |word: &&str| {
        let styles = ["iso", "sql", "postgres", "german"];
        styles.iter().any(|style| word.to_ascii_lowercase().starts_with(style))
    };
    let part = |text: &str, style: bool| {
        let mut words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.find(|word| is_style(word) == style).map(str::to_owned)
    };
    let style = part(written, true).or_else(|| part(below, true));
    let german = part(written, true).is_some_and(|style| style.eq_ignore_ascii_case("german"));
    let order =
        part(written, false).or_else(|| if german { Some("DMY".to_owned()) } else { part(below, false) });
    [style, order].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn begun(name: &str, value: &str, source: &str) -> Begun {
        let [name, value, source] = [name, value, source].map(str::to_owned);
        Begun { name, built_in: "built in".to_owned(), value, source, role: "service".to_owned() }
    }

    fn written(role: Option<&str>, here: bool, name: &str, value: &str) -> Written {
        let role = role.map(str::to_owned);
        Written { role, here, name: name.to_owned(), value: value.to_owned(), is_free: true }
    }

    #[test]
    fn the_more_particular_setting_wins() {
        let defaults = SessionDefaults::new(
            vec![begun("search_path", "public", "default"), begun("TimeZone", "UTC", "configuration file")],
            vec![
                written(Some("app"), true, "search_path", "of_app_here"),
                written(None, true, "timezone", "of_database"),
                written(Some("app"), false, "search_path", "of_app"),
                written(None, false, "timezone", "of_all"),
                written(Some("app"), false, "work_mem", "1GB"),
                written(Some("other"), false, "timezone", "of_other"),
            ],
        );
        let of = |role| defaults.of(role).told.clone();
        assert_eq!(of("app"), pairs(&[("search_path", "of_app_here"), ("TimeZone", "of_database")]));
        assert_eq!(of("other"), pairs(&[("search_path", "public"), ("TimeZone", "of_other")]));
        assert_eq!(of("nobody"), pairs(&[("search_path", "public"), ("TimeZone", "of_database")]));
        assert_eq!(defaults.of("app").offered, pairs(&[("work_mem", "1GB")]));
        assert_eq!(defaults.of("app").get("Work_Mem"), Some("1GB"));
        assert_eq!(defaults.of("other").offered, pairs(&[]));
    }

    #[test]
    fn what_only_a_superuser_may_set_is_left_to_the_server() {
        let forbidden = |value| Written { is_free: false, ..written(None, true, "log_statement", value) };
        let of = |value| SessionDefaults::new(Vec::new(), vec![forbidden(value)]);
        let (all, none) = (of("all"), of("none"));
        assert_eq!(all.of("app").get("log_statement"), None);
        assert_ne!(all.of("app"), none.of("app"), "their connections are not shared");
    }

    #[test]
    fn what_belongs_to_the_role_that_asks_is_nobody_elses() {
        let own =
            || vec![begun("search_path", "mine", "user"), begun("TimeZone", "Asia/Tokyo", "database user")];
        let settings = vec![
            written(Some("service"), false, "search_path", "mine"),
            written(Some("service"), true, "timezone", "Asia/Tokyo"),
        ];
        assert!(own().iter().all(|begun| !begun.is_outlived(&settings)));
        let defaults = SessionDefaults::new(own(), settings);
        assert_eq!(defaults.of("app").told, pairs(&[("search_path", "built in")]));
        let service = pairs(&[("search_path", "mine"), ("TimeZone", "Asia/Tokyo")]);
        assert_eq!(defaults.of("service").told, service);
        assert!(own().iter().all(|begun| begun.is_outlived(&[])));
        assert!(begun("TimeZone", "UTC", "database").is_outlived(&[written(
            Some("app"),
            true,
            "timezone",
            "x"
        )]));
        assert!(!begun("TimeZone", "UTC", "configuration file").is_outlived(&[]));
    }

    #[test]
    fn half_a_date_style_keeps_the_other_half() {
        assert_eq!(laid_over("DateStyle", "ISO, MDY", "sql"), "sql, MDY");
        assert_eq!(laid_over("DateStyle", "ISO, MDY", "DMY"), "ISO, DMY");
        assert_eq!(laid_over("DateStyle", "ISO, MDY", "postgres, ymd"), "postgres, ymd");
        assert_eq!(laid_over("DateStyle", "ISO, MDY", "German"), "German, DMY");
        assert_eq!(laid_over("TimeZone", "UTC", "Asia/Tokyo"), "Asia/Tokyo");
    }
}
