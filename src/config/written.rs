//! What the file says of the sections of single values, as it spells it: for `SHOW CONFIG`.
//!
//! Keys of `[[users]]` and the other lists are not among them, nor is any password.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// The only key of these sections that holds a secret.
const SECRET: &str = "password";

/// By section and key, as `pool.idle_timeout`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<String, String>);

impl Written {
    /// Of a file that was checked; of any other, nothing.
    pub(super) fn of(text: &str) -> Self {
        let document: Table = toml::from_str(text).unwrap_or_default();
        let sections = document.into_iter().filter_map(|(name, section)| match section {
            Value::Table(section) => Some((name, section)),
            _ => None,
        });
        let keys = sections.flat_map(|(name, section)| {
            let open = section.into_iter().filter(|(key, _)| key != SECRET);
            open.map(move |(key, value)| (format!("{name}.{key}"), spelled(value)))
        });
        Self(keys.collect())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The keys that begin so, with their values.
    pub fn beginning<'w>(&'w self, prefix: &'w str) -> impl Iterator<Item = (&'w str, &'w str)> {
        let keys = self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        keys.filter(move |(key, _)| key.starts_with(prefix))
    }
}

/// Text without its quotes, anything else as TOML has it.
fn spelled(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_file_and_passwords_are_left_out() {
        let text = "[server]\npassword = \"hunter2\"\npassword_file = \"x.txt\"\n[pool]\nidle_timeout = \"600s\"\nsize = 7\n\
                    [distances]\neast = { west = 5 }\n[[users]]\nname = \"a\"\npassword = \"hunter2\"\n";
        let written = Written::of(text);
        assert_eq!(written.get("pool.idle_timeout"), Some("600s"));
        assert_eq!(written.get("pool.size"), Some("7"));
        assert_eq!(written.get("server.password_file"), Some("x.txt"));
        assert_eq!(written.beginning("distances.").collect::<Vec<_>>(), [("distances.east", "{ west = 5 }")]);
        assert!(!format!("{written:?}").contains("hunter2"));
    }
}
