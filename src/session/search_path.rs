//! Where the session's unqualified names are looked up: by its settings, else by what its connections begin with.
//!
//! Invariant: the path is the one that a server has which runs the session's next statement: SET LOCAL counts while its
//! transaction lasts, `"$user"` is whom the servers take the session for.

use std::rc::Rc;

use super::greeting::setting_value;
use super::{Outcome, Session};
use crate::backend::settings::set_statement;
use crate::backend::{Account, Settings};
use crate::catalog::reading::{READING, sets_reading};
use crate::plan::{Plan, PlanningContext};

impl Session {
    /// The settings that hold for the next statement.
    pub(super) fn in_force(&self) -> &Settings {
        self.settings_in_force()
    }

    pub(super) fn settings_in_force(&self) -> &Rc<Settings> {
        let local = self.block.get().and_then(|transaction| transaction.in_force.as_ref());
        local.unwrap_or(&self.settings)
    }

    /// Whether names are looked up elsewhere while the transaction lasts.
    pub(super) fn has_local_names(&self) -> bool {
        let local = self.block.get().is_some_and(|transaction| transaction.in_force.is_some());
        local && search_path(&self.settings, &self.account) != *self.context.planning.search_path
    }

    pub(super) fn follow_search_path(&mut self) {
        let path = search_path(self.in_force(), &self.account);
        if *path != *self.context.planning.search_path {
            let planning = PlanningContext { search_path: path.into(), ..self.context.planning.clone() };
            self.set_context(planning);
        }
    }

    /// In a transaction, after code that may have changed it: what a lane says of how statements are read there holds on
    /// all, and on those that join.
    pub(super) async fn learn_reading(&mut self, index: usize) -> Outcome {
        let values = self.settings_on(index, &READING).await?;
        let mut settings = self.in_force().clone();
        let mut statements = Vec::new();
        for (name, value) in READING.into_iter().zip(values.into_iter().map(Option::unwrap_or_default)) {
            let default = self.account.default(name).or((name == "role").then_some("none"));
            if settings.get(name).or(default).is_some_and(|known| is_shown_as(name, known, &value)) {
                continue;
            }
            let text = setting_value(name, &value);
            statements.push(set_statement(name, &text, true));
            settings.set(name, text);
        }
        for statement in &statements {
            self.on_joined_lanes(statement).await?;
        }
        if let Some(transaction) = self.block.transaction().filter(|_| !statements.is_empty()) {
            transaction.prologue.extend(statements);
            transaction.settings_changed = true;
            transaction.in_force = Some(Rc::new(settings));
            self.follow_settings();
        }
        Ok(())
    }
}

/// Whether a setting of this name changes where names are looked up.
pub(super) fn turns(name: &str) -> bool {
    matches!(name, "search_path" | "role" | "session_authorization")
}

/// Whether a server shows this value of what was set so.
pub(super) fn is_shown_as(name: &str, set: &str, shown: &str) -> bool {
    match name {
        "search_path" => split_identifiers(set) == split_identifiers(shown),
        "role" | "session_authorization" => split_identifiers(set) == [shown],
        // An application's own parameter: nobody else knows what its letters mean.
        _ if name.contains('.') => set.trim_matches('\'') == shown,
        _ => set.trim_matches('\'').eq_ignore_ascii_case(shown),
    }
}

/// Whether the text, or code that it runs, sets one of them, as far as can be seen.
pub(super) fn may_change_reading(text: &[u8], plan: &Plan) -> bool {
    // `UPDATE users SET role = …` sets no parameter.
    let writes = plan.facts.kind.target().is_some();
    plan.traces.sets_reading || !writes && sets_reading(&String::from_utf8_lossy(text))
}

fn search_path(settings: &Settings, account: &Account) -> Vec<String> {
    let default = || account.default("search_path").unwrap_or("\"$user\", public");
    let path = split_identifiers(settings.get("search_path").unwrap_or_else(default));
    let named = |schema: String| if schema == "$user" { current_user(settings, account) } else { schema };
    path.into_iter().map(named).collect()
}

/// `current_user` on the servers.
fn current_user(settings: &Settings, account: &Account) -> String {
    let set = |name: &str, nobody: &str| {
        let written = split_identifiers(settings.get(name)?).into_iter().next();
        written.filter(|name| name != nobody)
    };
    let user = set("role", "none").or_else(|| set("session_authorization", "default"));
    let begun = || account.default("role").filter(|role| *role != "none" && settings.get("role").is_none());
    user.or_else(|| begun().map(str::to_owned)).unwrap_or_else(|| account.user.clone())
}

/// `a, "B c", 'd'` as PostgreSQL reads a list of identifiers; a string is one name, whatever is in it.
pub(super) fn split_identifiers(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut chars = text.trim().chars().peekable();
    while let Some(first) = chars.next() {
        match first {
            '"' | '\'' => {
                let mut name = String::new();
                while let Some(c) = chars.next() {
                    if c == first {
                        if chars.peek() != Some(&first) {
                            break;
                        }
                        chars.next();
                    }
                    name.push(c);
                }
                if !name.is_empty() {
                    names.push(name);
                }
            }
            c if c == ',' || c.is_whitespace() => {}
            c => {
                let mut name = c.to_ascii_lowercase().to_string();
                while let Some(c) = chars.next_if(|c| *c != ',' && !c.is_whitespace()) {
                    name.push(c.to_ascii_lowercase());
                }
                names.push(name);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths_are_read_as_postgresql_reads_them() {
        assert_eq!(split_identifiers("Public, \"My Schema\" ,'other'"), ["public", "My Schema", "other"]);
        assert_eq!(split_identifiers("'a, \"B\"'"), ["a, \"B\""]);
        assert_eq!(split_identifiers("''"), Vec::<String>::new());
        assert_eq!(split_identifiers("\"$user\", public"), ["$user", "public"]);
    }
}
