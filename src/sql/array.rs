//! One-dimensional arrays as values: the text form `{a,b,"c d",NULL}` and the binary form of `array_send`.
//!
//! `arguments` calls it for `key = ANY ($1)`. The source of the rules is `array_in` and `array_recv` in
//! `arrayfuncs.c`.
//!
//! Invariants:
//! 1. None for anything but a well-formed array of one dimension (or none) with the comma as delimiter: explicit
//!    bounds, nested braces and trailing bytes are refused, not approximated.
//! 2. What is allocated is bounded by the length of the value.
//!
//! Not here: what the elements mean.

use std::borrow::Cow;

use super::arguments::Argument;

pub(super) fn parse_text<'a>(text: &str) -> Option<Vec<Argument<'a>>> {
    let inner = text.trim_matches(is_space).strip_prefix('{')?;
    let mut reader = TextReader { rest: inner, elements: Vec::new() };
    reader.skip_spaces();
    if let Some(rest) = reader.rest.strip_prefix('}') {
        return rest.is_empty().then(Vec::new);
    }
    loop {
        reader.read_element()?;
        reader.skip_spaces();
        let mut chars = reader.rest.chars();
        let delimiter = chars.next()?;
        reader.rest = chars.as_str();
        match delimiter {
            ',' => {}
            '}' => return reader.rest.is_empty().then_some(reader.elements),
            _ => return None,
        }
    }
}

/// `array_isspace`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

struct TextReader<'t, 'a> {
    rest: &'t str,
    elements: Vec<Argument<'a>>,
}

impl TextReader<'_, '_> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn read_element(&mut self) -> Option<()> {
        self.skip_spaces();
        let element = match self.rest.strip_prefix('"') {
            Some(rest) => {
                self.rest = rest;
                self.read_quoted()?
            }
            None => self.read_plain()?,
        };
        self.elements.push(element);
        Some(())
    }

    fn read_quoted<'a>(&mut self) -> Option<Argument<'a>> {
        let mut value = String::new();
        let mut chars = self.rest.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                c => value.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(Argument::Text { text: Cow::Owned(value), is_number: false })
    }

    fn read_plain<'a>(&mut self) -> Option<Argument<'a>> {
        let mut value = String::new();
        // Behind the last character that is not a trailing blank.
        let mut kept = 0;
        let mut escaped = false;
        loop {
            let mut chars = self.rest.chars();
            let c = chars.next()?;
            match c {
                ',' | '}' => break,
                '{' | '"' => return None,
                '\\' => {
                    value.push(chars.next()?);
                    kept = value.len();
                    escaped = true;
                }
                c => {
                    value.push(c);
                    if !is_space(c) {
                        kept = value.len();
                    }
                }
            }
            self.rest = chars.as_str();
        }
        value.truncate(kept);
        if value.is_empty() {
            return None;
        }
        // Under `array_nulls = off` it is the text.
        if !escaped && value.eq_ignore_ascii_case("null") {
            return None;
        }
        Some(Argument::Text { text: Cow::Owned(value), is_number: false })
    }
}

pub(super) fn parse_binary(bytes: &[u8]) -> Option<Vec<Argument<'_>>> {
    let mut rest = bytes;
    let dimensions = take_i32(&mut rest)?;
    let has_null = take_i32(&mut rest)?;
    let type_oid = take_i32(&mut rest)? as u32;
    if !(0..=1).contains(&has_null) {
        return None;
    }
    if dimensions == 0 {
        return rest.is_empty().then(Vec::new);
    }
    if dimensions != 1 {
        return None;
    }
    let count = usize::try_from(take_i32(&mut rest)?).ok()?;
    let _lower_bound = take_i32(&mut rest)?;
    if count > rest.len() / 4 {
        return None;
    }
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let length = take_i32(&mut rest)?;
        if length == -1 {
            elements.push(Argument::Null);
            continue;
        }
        let (element, tail) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        elements.push(Argument::Binary { bytes: element, type_oid });
        rest = tail;
    }
    rest.is_empty().then_some(elements)
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(i32::from_be_bytes(*head))
}
