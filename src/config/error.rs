//! Errors of a configuration file, each with file, line and key.
//!
//! A check knows only the span of the value that it dislikes ([`Finding`]); line and key are looked up here, once,
//! in the same text: the key is the path to the smallest part of the document that holds the span's start.
//!
//! Invariant: a message never holds a secret's text.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What a check found, and where in the text.
#[derive(Debug)]
pub(super) struct Finding {
    pub span: Range<usize>,
    pub message: String,
}

impl Finding {
    pub fn from_toml(error: &toml::de::Error) -> Self {
        Self { span: error.span().unwrap_or(0..0), message: error.message().trim_end().replace('\n', "; ") }
    }
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub file: String,
    /// Counted from 1; 0: the file as a whole.
    pub line: usize,
    /// As `tables[2].placement`, counted from 0; empty where no key is meant.
    pub key: String,
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All that is wrong with a file, in the order of its lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn whole_file(file: &str, message: String) -> Self {
        Self(vec![ConfigError { file: file.to_owned(), line: 0, key: String::new(), message }])
    }

    pub(super) fn locate(text: &str, file: &str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.span.start);
        let (document, _) = DeTable::parse_recoverable(text);
        let errors = findings.into_iter().map(|finding| {
            let start = finding.span.start.min(text.len());
            let line = 1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
            let key = key_at(document.get_ref(), &finding.span);
            ConfigError { file: file.to_owned(), line, key, message: finding.message }
        });
        Self(errors.collect())
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The smallest part seen so far that holds the span.
struct Best {
    width: usize,
    path: String,
}

fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> String {
    let mut best = Best { width: usize::MAX, path: String::new() };
    search_table(table, "", span, &mut best);
    best.path
}

fn search_table(table: &DeTable<'_>, path: &str, span: &Range<usize>, best: &mut Best) {
    for (key, value) in table {
        let name: &str = key.get_ref();
        let inner = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        best.offer(&key.span(), &inner, span);
        search_value(value, &inner, span, best);
    }
}

fn search_value(value: &Spanned<DeValue<'_>>, path: &str, span: &Range<usize>, best: &mut Best) {
    best.offer(&value.span(), path, span);
    match value.get_ref() {
        DeValue::Table(table) => search_table(table, path, span, best),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                search_value(item, &format!("{path}[{index}]"), span, best);
            }
        }
        _ => {}
    }
}

impl Best {
    fn offer(&mut self, part: &Range<usize>, path: &str, span: &Range<usize>) {
        let width = part.end.saturating_sub(part.start);
        if part.start <= span.start && span.end <= part.end && width <= self.width {
            self.width = width;
            path.clone_into(&mut self.path);
        }
    }
}
