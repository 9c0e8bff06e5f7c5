//! The text form of equality cases: SQL, with what is to be known of a statement in comments above it.
//!
//! ```text
//! -- may be refused                  Meridian may answer 0A000 (demanded: refusals do not grow silently)
//! -- refused with 23514              Meridian answers this, and the statement is kept from the plain server
//! -- error 23505                     both answer this
//! -- params: a | 5 | null            $1, $2, …; only in the extended protocol
//! -- rows only                       which rows is not defined: how many is compared
//! -- approximate                     floats may differ in their last digits
//! -- unordered                       ORDER BY leaves the order of some rows open
//! -- simple | extended | binary      only so
//! SELECT …;                          up to a semicolon at the end of a line
//! ```
//!
//! Reads run in all three ways, other statements in the simple protocol, unless said otherwise. Rows are compared in
//! their order where ORDER BY stands outside of parentheses, else as multisets.

use std::path::Path;

/// How a statement is sent, and its rows returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Simple,
    /// The extended protocol, all values in text.
    Extended,
    /// The extended protocol, all values in binary.
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Defined,
    Open,
    /// Even the rows are a choice; only their number is not.
    CountOnly,
}

#[derive(Debug, Clone)]
pub struct Statement {
    pub place: String,
    pub text: String,
    pub modes: Vec<Mode>,
    pub order: Order,
    pub approximate: bool,
    pub may_be_refused: bool,
    pub refused_with: Option<String>,
    pub error: Option<String>,
    pub parameters: Vec<Option<String>>,
}

pub fn statements(path: &Path, text: &str) -> Vec<Statement> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let (mut statements, mut notes, mut body) = (Vec::new(), Vec::new(), String::new());
    for (index, line) in text.lines().enumerate() {
        if body.is_empty() && (line.starts_with("--") || line.trim().is_empty()) {
            notes.push(line.trim_start_matches('-').trim().to_owned());
            continue;
        }
        body += if body.is_empty() { "" } else { "\n" };
        body += line;
        if let Some(text) = line.trim_end().ends_with(';').then(|| body.trim_end().trim_end_matches(';')) {
            statements.push(statement(format!("{file}:{}", index + 1), text, &notes));
            notes.clear();
            body.clear();
        }
    }
    assert!(body.is_empty(), "{file} ends without a semicolon");
    statements
}

fn statement(place: String, text: &str, notes: &[String]) -> Statement {
    let has = |note: &str| notes.iter().any(|line| line == note);
    let after = |prefix: &str| {
        notes.iter().find_map(|line| line.strip_prefix(prefix)).map(|rest| rest.trim().to_owned())
    };
    let parameters = after("params:").map_or(Vec::new(), |list| {
        list.split('|').map(|value| Some(value.trim().to_owned()).filter(|value| value != "null")).collect()
    });
    let modes = match (has("simple"), has("extended"), has("binary")) {
        (false, false, false) if !parameters.is_empty() && is_read(text) => {
            vec![Mode::Extended, Mode::Binary]
        }
        (false, false, false) if !parameters.is_empty() => vec![Mode::Extended],
        (false, false, false) if is_read(text) => vec![Mode::Simple, Mode::Extended, Mode::Binary],
        (false, false, false) => vec![Mode::Simple],
        (simple, extended, binary) => {
            let all = [(simple, Mode::Simple), (extended, Mode::Extended), (binary, Mode::Binary)];
            all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, mode)| mode).collect()
        }
    };
    let order = if has("rows only") {
        Order::CountOnly
    } else if has_outer_order(text) && !has("unordered") {
        Order::Defined
    } else {
        Order::Open
    };
    Statement {
        place,
        text: text.to_owned(),
        modes,
        order,
        approximate: has("approximate"),
        may_be_refused: has("may be refused"),
        refused_with: after("refused with"),
        error: after("error "),
        parameters,
    }
}

fn is_read(text: &str) -> bool {
    let text = text.trim_start_matches(['(', ' ']).to_ascii_lowercase();
    ["select", "values", "table", "with", "/*"].iter().any(|word| text.starts_with(word))
        && !["insert ", "update ", "delete ", " into "].iter().any(|word| text.contains(word))
}

fn has_outer_order(text: &str) -> bool {
    let mut depth = 0;
    let outer: String = text
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        })
        .collect();
    outer.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" ").contains("order by")
}
