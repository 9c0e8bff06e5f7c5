//! What sessions begin with on the servers: the settings by which names are found, texts read and values shown.
//!
//! They are the default shard's, by role, as `ALTER ROLE`, `ALTER DATABASE` and its configuration file say. Every server
//! connection is told them when it begins (`backend::pool`): so names mean to a server what they mean to the planner,
//! and all shards read and show values alike, wherever they stand and whatever their own files say.
//!
//! Not here: what a session sets for itself (`backend::settings`), and settings that change no answer.

use std::collections::HashMap;
use std::sync::Arc;

/// Names and values, as they stand in a start-up packet. `queries::DEFAULTS` says which.
pub type Pairs = Arc<[(String, String)]>;

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
}

#[derive(Debug, Default)]
pub struct SessionDefaults {
    common: Pairs,
    /// Of the roles that have settings of their own, complete.
    roles: HashMap<String, Pairs>,
}

impl SessionDefaults {
    /// `server`: of its configuration, each name once. The more particular setting wins: role in this database, role,
    /// database, all.
    pub(super) fn new(server: Vec<(String, String)>, mut written: Vec<Written>) -> Self {
        written.sort_by_key(|written| written.here);
        let over = |mut pairs: Vec<(String, String)>, role: Option<&str>| {
            for written in written.iter().filter(|written| written.role.as_deref() == role) {
                if let Some(pair) =
                    pairs.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(&written.name))
                {
                    pair.1.clone_from(&written.value);
                }
            }
            pairs
        };
        let common = over(server, None);
        let roles = written.iter().filter_map(|written| written.role.clone());
        let roles = roles.map(|role| {
            let own = over(common.clone(), Some(&role));
            (role, own.into())
        });
        Self { roles: roles.collect(), common: common.into() }
    }

    /// Those of a session that begins as this role.
    pub fn of(&self, role: &str) -> &Pairs {
        self.roles.get(role).unwrap_or(&self.common)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn written(role: Option<&str>, here: bool, name: &str, value: &str) -> Written {
        let role = role.map(str::to_owned);
        Written { role, here, name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn the_more_particular_setting_wins() {
        let server = pairs(&[("search_path", "public"), ("TimeZone", "UTC")]);
        let defaults = SessionDefaults::new(
            server,
            vec![
                written(Some("app"), true, "search_path", "of_app_here"),
                written(None, true, "timezone", "of_database"),
                written(Some("app"), false, "search_path", "of_app"),
                written(None, false, "timezone", "of_all"),
                written(Some("app"), false, "work_mem", "1GB"),
                written(Some("other"), false, "timezone", "of_other"),
            ],
        );
        let of = |role| defaults.of(role).to_vec();
        assert_eq!(of("app"), pairs(&[("search_path", "of_app_here"), ("TimeZone", "of_database")]));
        assert_eq!(of("other"), pairs(&[("search_path", "public"), ("TimeZone", "of_other")]));
        assert_eq!(of("nobody"), pairs(&[("search_path", "public"), ("TimeZone", "of_database")]));
    }
}
