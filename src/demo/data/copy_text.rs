//! Lines of PostgreSQL's COPY text format (the manual's "COPY", "Text Format").
//!
//! Invariants:
//! 1. A field may hold any text: tabs, line ends and backslashes are escaped.
//! 2. Lines end with one line feed, columns are separated by one tab, NULL is `\N`.

use std::fmt::{Display, Write};

use super::clock::Time;

/// Appends one row to a batch's text; `end` finishes it.
#[derive(Debug)]
pub struct Line<'a> {
    text: &'a mut String,
    is_first: bool,
}

impl<'a> Line<'a> {
    pub fn new(text: &'a mut String) -> Self {
        Self { text, is_first: true }
    }

    /// A value whose printed form needs no escapes: numbers, UUIDs, geohashes.
    pub fn plain(mut self, value: impl Display) -> Self {
        self.separate();
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{value}");
        self
    }

    /// A coordinate in degrees.
    pub fn degrees(self, value: f64) -> Self {
        self.plain(format_args!("{value:.6}"))
    }

    /// A number of hundredths, such as cents.
    pub fn hundredths(self, value: u64) -> Self {
        self.plain(format_args!("{}.{:02}", value / 100, value % 100))
    }

    pub fn time(mut self, value: Time) -> Self {
        self.separate();
        value.write(self.text);
        self
    }

    pub fn text(mut self, value: &str) -> Self {
        self.separate();
        for c in value.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                other => self.text.push(other),
            }
        }
        self
    }

    pub fn null(mut self) -> Self {
        self.separate();
        self.text.push_str("\\N");
        self
    }

    pub fn end(self) {
        self.text.push('\n');
    }

    fn separate(&mut self) {
        if !self.is_first {
            self.text.push('\t');
        }
        self.is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_separated_and_escaped() {
        let mut text = String::new();
        Line::new(&mut text).plain(1).text("a\tb\\c\nd").null().hundredths(1205).degrees(-0.5).end();
        assert_eq!(text, "1\ta\\tb\\\\c\\nd\t\\N\t12.05\t-0.500000\n");
    }
}
