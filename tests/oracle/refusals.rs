//! Which number of the list of limits an error is: the list is read from the document that is generated from it.

use std::path::Path;

const DOCUMENT: &str = "docs/limits.md";

/// A limit: its number, SQLSTATE, and its message cut where names stand.
#[derive(Debug)]
struct Limit {
    number: String,
    sqlstate: String,
    parts: Vec<String>,
}

#[derive(Debug)]
pub struct Refusals(Vec<Limit>);

impl Refusals {
    pub fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
        let text = std::fs::read_to_string(path).expect("the list of limits can be read");
        let limit = |line: &str| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let (number, sqlstate, message) = (cells.next()?, cells.next()?, cells.next()?);
            let is_number = number.len() == 4 && number[1..].bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| Limit {
                number: number.to_owned(),
                sqlstate: sqlstate.to_owned(),
                parts: message.split('…').map(str::to_owned).collect(),
            })
        };
        Self(text.lines().filter_map(limit).collect())
    }

    /// None: it is no refusal of Meridian's.
    pub fn number(&self, sqlstate: &str, message: &str) -> Option<String> {
        let fits = |limit: &&Limit| {
            let mut rest = message;
            limit.sqlstate == sqlstate
                && message.starts_with(&limit.parts[0])
                && limit.parts.iter().all(|part| match rest.find(part.as_str()) {
                    Some(at) => {
                        rest = &rest[at + part.len()..];
                        true
                    }
                    None => false,
                })
        };
        self.0.iter().find(fits).map(|limit| limit.number.clone())
    }
}
