//! A session's settings as text, and the SQL that takes a server connection from one session's to another's.
//!
//! `session` keeps one [`Settings`] per client; a connection remembers the one it has. Both are `Rc` so that the usual
//! case, the same session again or two sessions with equal settings, is a pointer or a fingerprint comparison.
//!
//! Invariants:
//! 1. A value is the client's own SQL text of it, already accepted by a server, or a quoted literal that we made.
//! 2. After [`Settings::difference`] has run, the connection has exactly the new settings and no other.
//!
//! Not here: `SET LOCAL` and roll-back (session's transaction), and who may set what (PostgreSQL).

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::sql::name::ObjectName;

/// Names that are not ordinary parameters: set and reset by their own syntax, and after all others, because a role
/// may lose the right to set something.
const IDENTITY: [&str; 2] = ["session_authorization", "role"];

/// What may be set by half: the rest of its value stays as it was.
pub const DATE_STYLE: &str = "datestyle";

/// Settings that differ from the server's own defaults. Cheap to clone when behind an `Rc`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, String>,
}

impl Settings {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// `value` is SQL text as it may stand after `SET name TO`.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_owned(), value.into());
        if name == "session_authorization" {
            // PostgreSQL: SET SESSION AUTHORIZATION resets the role.
            self.values.remove("role");
        }
    }

    pub fn reset(&mut self, name: &str) {
        self.values.remove(name);
        if name == "session_authorization" {
            self.values.remove("role");
        }
    }

    /// RESET ALL: everything but who the session is.
    pub fn reset_all(&mut self) {
        self.values.retain(|name, _| IDENTITY.contains(&name.as_str()));
    }

    pub fn clear(&mut self) {
        self.values.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether another parameter than these has another value.
    pub fn differs(self: &Rc<Self>, other: &Rc<Self>, but_for: &[&str]) -> bool {
        if Rc::ptr_eq(self, other) {
            return false;
        }
        let mut names = self.values.keys().chain(other.values.keys());
        names.any(|name| !but_for.contains(&name.as_str()) && self.values.get(name) != other.values.get(name))
    }

    /// The statements that turn a connection with `self` into one with `wanted`; None if there is nothing to do.
    pub fn difference(self: &Rc<Self>, wanted: &Rc<Self>) -> Option<Vec<String>> {
        if Rc::ptr_eq(self, wanted) || self.values == wanted.values {
            return None;
        }
        let mut sql = Vec::new();
        let identity_changes = IDENTITY.iter().any(|name| self.values.get(*name) != wanted.values.get(*name));
        if identity_changes {
            for name in IDENTITY {
                if self.values.contains_key(name) {
                    sql.push(reset_statement(name));
                }
            }
        }
        for name in self.values.keys() {
            if !IDENTITY.contains(&name.as_str()) && !wanted.values.contains_key(name) {
                sql.push(reset_statement(name));
            }
        }
        for (name, value) in &wanted.values {
            if !IDENTITY.contains(&name.as_str()) && self.values.get(name) != Some(value) {
                if name == DATE_STYLE && self.values.contains_key(name) {
                    sql.push(reset_statement(name));
                }
                sql.push(set_statement(name, value, false));
            }
        }
        if identity_changes {
            for name in IDENTITY {
                if let Some(value) = wanted.values.get(name) {
                    sql.push(set_statement(name, value, false));
                }
            }
        }
        Some(sql)
    }
}

/// `SET` in the spelling that the parameter needs, without a semicolon.
pub fn set_statement(name: &str, value: &str, local: bool) -> String {
    let scope = if local { "LOCAL " } else { "" };
    match name {
        "session_authorization" => format!("SET {scope}SESSION AUTHORIZATION {value}"),
        "role" => format!("SET {scope}ROLE {value}"),
        "timezone" => format!("SET {scope}TIME ZONE {value}"),
        _ => format!("SET {scope}{} TO {value}", quote_parameter(name)),
    }
}

/// `RESET` in the spelling that the parameter needs, without a semicolon.
pub fn reset_statement(name: &str) -> String {
    match name {
        "session_authorization" => "RESET SESSION AUTHORIZATION".to_owned(),
        "role" => "RESET ROLE".to_owned(),
        _ => format!("RESET {}", quote_parameter(name)),
    }
}

/// A parameter's name, each dotted part quoted where it is not a plain word.
fn quote_parameter(name: &str) -> String {
    name.split('.').map(quote_identifier).collect::<Vec<_>>().join(".")
}

/// Quotes always: a reserved word is never taken for a keyword.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// With its schema, if it has one.
pub fn quote_name(name: &ObjectName) -> String {
    let schema = name.schema.iter().map(|schema| quote_identifier(schema));
    schema.chain([quote_identifier(&name.name)]).collect::<Vec<_>>().join(".")
}

/// A string literal that means `value` whatever standard_conforming_strings says.
pub fn quote_literal(value: &str) -> String {
    if value.contains('\\') {
        format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Rc<Settings> {
        let mut settings = Settings::default();
        for (name, value) in pairs {
            settings.set(name, *value);
        }
        Rc::new(settings)
    }

    #[test]
    fn equal_settings_need_nothing() {
        let a = settings(&[("timezone", "'UTC'")]);
        assert_eq!(a.difference(&a), None);
        assert_eq!(a.difference(&settings(&[("timezone", "'UTC'")])), None);
    }

    #[test]
    fn a_setting_of_another_session_is_reset() {
        let had = settings(&[("work_mem", "'1GB'"), ("timezone", "'UTC'")]);
        let wanted = settings(&[("timezone", "'Europe/Paris'")]);
        assert_eq!(had.difference(&wanted).unwrap(), ["RESET \"work_mem\"", "SET TIME ZONE 'Europe/Paris'"]);
    }

    #[test]
    fn nothing_of_a_date_style_is_taken_over() {
        let had = settings(&[("datestyle", "'SQL, DMY'")]);
        let wanted = settings(&[("datestyle", "'ISO'")]);
        assert_eq!(had.difference(&wanted).unwrap(), ["RESET \"datestyle\"", "SET \"datestyle\" TO 'ISO'"]);
    }

    #[test]
    fn a_role_is_left_before_and_taken_after_other_settings() {
        let had = settings(&[("role", "app"), ("work_mem", "'1GB'")]);
        let wanted = settings(&[("role", "other")]);
        assert_eq!(had.difference(&wanted).unwrap(), ["RESET ROLE", "RESET \"work_mem\"", "SET ROLE other"]);
    }

    #[test]
    fn literals_survive_backslashes_and_quotes() {
        assert_eq!(quote_literal("a'b"), "'a''b'");
        assert_eq!(quote_literal("\\'"), "E'\\\\'''");
    }
}
