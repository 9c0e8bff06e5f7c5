//! The text form of wire cases: what is sent, and what must come back.
//!
//! ```text
//! setup CREATE TABLE t (i int)          before the first case, and teardown after the last, on each target
//! malformed                             Meridian may end the connection (08P01) where PostgreSQL goes on
//! == a name                             a case: new connections
//! may be refused                        Meridian may answer 0A000 in this case, and is not held to what follows in it
//! servers 13 to 17                      this case is for PostgreSQL's versions from 13 to 17, and left out on others
//! > Q SELECT 1                          sent; a write ends at Q, F, S, H, c, f, X, raw, and before `~`
//! >+ Q SELECT 1                         sent, and the write does not end here
//! < T ?column?: int4                    the answer, one line a message
//! < D 1
//! < C SELECT 1
//! < Z I
//! b> S                                  another connection of the same case
//! b~ A                                  read until this: tags in order, a count of messages, `closed` or `none`
//! ```
//!
//! Messages are written with the protocol's own letters. `-` is the unnamed statement or portal.
//!
//! ```text
//! Q text            P name (int4, text) text        B portal statement [5, null, \x00000005] -> binary text
//! D S|P name        E portal rows                   C S|P name
//! S  H  c  X        d data                          f reason           raw hex bytes
//! F function [5, \x00000005] -> binary
//! ```
//!
//! `{x*5000000}` in a text stands for that many x; `\n`, `\t`, `\0`, `\\` are escapes; a parameter `\x…` is sent in
//! binary. Without a `~` line, reading ends after as many ReadyForQuery as there are Q, F and S, or at CopyInResponse when
//! no data were sent with it; after X and raw bytes, when the connection is closed.

use crate::stand::{self, Parameter, unescaped};

/// Where a run of messages ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Until {
    /// These tags, in this order, others between them.
    Tags(Vec<u8>),
    Count(usize),
    Closed,
    Nothing,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Comments and blank lines.
    Other(String),
    Setup(String),
    Teardown(String),
    Malformed,
    MayBeRefused,
    /// PostgreSQL's first and last major version that answers so.
    Servers(u32, u32),
    Case(String),
    Send {
        session: String,
        text: String,
        more: bool,
    },
    Until {
        session: String,
        text: String,
    },
    Expect {
        session: String,
        text: String,
    },
}

pub fn lines(text: &str) -> Vec<Line> {
    text.lines().map(line).collect()
}

/// The same lines; those of cases that are not for servers of this version say nothing.
pub fn for_servers(lines: Vec<Line>, major: u32) -> Vec<Line> {
    let starts: Vec<usize> = (0..lines.len()).filter(|at| matches!(lines[*at], Line::Case(_))).collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    let mut kept = lines.clone();
    for (start, end) in starts.iter().copied().zip(ends) {
        let is_other =
            |line: &Line| matches!(line, Line::Servers(first, last) if !(*first..=*last).contains(&major));
        if lines[start..end].iter().any(is_other) {
            kept[start..end].fill(Line::Other(String::new()));
        }
    }
    kept
}

fn line(text: &str) -> Line {
    let after = |prefix: &str| text.strip_prefix(prefix).map(|rest| rest.trim().to_owned());
    if let Some(statement) = after("setup ") {
        return Line::Setup(statement);
    }
    if let Some(statement) = after("teardown ") {
        return Line::Teardown(statement);
    }
    if let Some(name) = after("== ") {
        return Line::Case(name);
    }
    if text == "may be refused" {
        return Line::MayBeRefused;
    }
    if text == "malformed" {
        return Line::Malformed;
    }
    if let Some((first, last)) = after("servers ").and_then(|range| {
        let (first, last) = range.split_once(" to ")?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }) {
        return Line::Servers(first, last);
    }
    let mark =
        text.find(['>', '<', '~']).filter(|mark| text[..*mark].chars().all(|c| c.is_ascii_lowercase()));
    let Some(mark) = mark.filter(|_| !text.starts_with('#')) else {
        return Line::Other(text.to_owned());
    };
    let more = text[mark..].starts_with(">+");
    let mark = if more { mark + 1 } else { mark };
    let (session, rest) = (
        text[..mark - usize::from(more)].to_owned(),
        text[mark + 1..].strip_prefix(' ').unwrap_or(&text[mark + 1..]),
    );
    let rest = rest.to_owned();
    match text.as_bytes()[mark] {
        b'>' | b'+' => Line::Send { more: more || !ends_write(&rest), session, text: rest },
        b'<' => Line::Expect { session, text: rest },
        _ => Line::Until { session, text: rest },
    }
}

fn ends_write(message: &str) -> bool {
    let tag = message.split(' ').next().unwrap_or_default();
    ["Q", "F", "S", "H", "c", "f", "X", "raw"].contains(&tag)
}

impl Line {
    /// As it stands in a file.
    pub fn printed(&self) -> String {
        match self {
            Self::Other(line) => line.clone(),
            Self::Setup(statement) => format!("setup {statement}"),
            Self::Teardown(statement) => format!("teardown {statement}"),
            Self::Malformed => "malformed".to_owned(),
            Self::MayBeRefused => "may be refused".to_owned(),
            Self::Servers(first, last) => format!("servers {first} to {last}"),
            Self::Case(name) => format!("== {name}"),
            Self::Send { session, text, more } if *more && ends_write(text) => format!("{session}>+ {text}"),
            Self::Send { session, text, .. } => format!("{session}> {text}"),
            Self::Until { session, text } => format!("{session}~ {text}"),
            Self::Expect { session, text } => format!("{session}< {text}"),
        }
    }
}

impl Until {
    pub fn read(text: &str) -> Self {
        match text.trim() {
            "closed" => Self::Closed,
            "none" => Self::Nothing,
            count if count.parse::<usize>().is_ok() => Self::Count(count.parse().unwrap_or_default()),
            tags => Self::Tags(tags.split_whitespace().map(|tag| tag.as_bytes()[0]).collect()),
        }
    }

    /// Where the answer to these messages ends, if nothing else is said.
    pub fn usual(sends: &[String]) -> Self {
        let tags = || sends.iter().map(|send| send.split_whitespace().next().unwrap_or_default());
        if tags().any(|tag| tag == "X" || tag == "raw") {
            return Self::Closed;
        }
        let ready = tags().filter(|tag| ["Q", "F", "S"].contains(tag)).count();
        // The end of a COPY of the simple protocol.
        let ready = if ready == 0 && tags().any(|tag| tag == "c" || tag == "f") { 1 } else { ready };
        if ready == 0 { Self::Nothing } else { Self::Tags(vec![b'Z'; ready]) }
    }
}

/// The bytes of one message; panics on a line that cannot be read, with the line.
pub fn bytes(text: &str) -> Vec<u8> {
    read(text).unwrap_or_else(|| panic!("this line of a wire case cannot be read: {text}"))
}

fn read(line: &str) -> Option<Vec<u8>> {
    let (tag, rest) = line.split_once(' ').unwrap_or((line, ""));
    let text = || String::from_utf8(unescaped(&repeated(rest))).ok();
    let target = || -> Option<(u8, &str)> {
        let (kind, name) = rest.split_once(' ')?;
        Some((*kind.as_bytes().first()?, named(name)))
    };
    Some(match tag {
        "Q" => stand::query(&text()?),
        "P" => {
            let (name, rest) = rest.split_once(' ')?;
            let (types, sql) = match rest.strip_prefix('(') {
                Some(rest) => rest.split_once(") ")?,
                None => ("", rest),
            };
            let types: Option<Vec<u32>> =
                types.split(", ").filter(|name| !name.is_empty()).map(oid).collect();
            stand::parse(named(name), &String::from_utf8(unescaped(&repeated(sql))).ok()?, &types?)
        }
        "B" => {
            let (portal, rest) = rest.split_once(' ')?;
            let (statement, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let (values, formats) = values_and_formats(rest);
            stand::bind(named(portal), named(statement), &values, &formats)
        }
        "F" => {
            let (function, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let (values, formats) = values_and_formats(rest);
            stand::function_call(function.parse().ok()?, &values, formats.first().copied().unwrap_or(0))
        }
        "D" => target().map(|(kind, name)| stand::describe(kind, name))?,
        "C" => target().map(|(kind, name)| stand::close(kind, name))?,
        "E" => {
            let (portal, rows) = rest.split_once(' ').unwrap_or((rest, "0"));
            stand::execute(named(portal), rows.parse().ok()?)
        }
        "S" => stand::sync(),
        "H" => stand::flush(),
        "X" => stand::terminate(),
        "c" => stand::frame(b'c', b""),
        "d" => stand::frame(b'd', &unescaped(&repeated(rest))),
        "f" => stand::frame(b'f', &[text()?.as_bytes(), b"\0"].concat()),
        "raw" => unescaped(&format!("\\x{rest}")),
        _ => return None,
    })
}

/// `[5, null, \x00000005] -> binary text`
fn values_and_formats(text: &str) -> (Vec<Parameter>, Vec<i16>) {
    let (values, formats) = text.split_once("->").unwrap_or((text, ""));
    let values = values.trim().trim_start_matches('[').trim_end_matches(']');
    let separate = values.split(", ").filter(|_| !values.is_empty());
    let values = separate.map(parameter).collect();
    let formats = formats.split_whitespace().map(|format| i16::from(format == "binary")).collect();
    (values, formats)
}

fn named(name: &str) -> &str {
    if name == "-" { "" } else { name }
}

fn parameter(value: &str) -> Parameter {
    match value {
        "null" => Parameter::Null,
        binary if binary.starts_with("\\x") => Parameter::Binary(unescaped(binary)),
        text => Parameter::Text(unescaped(&repeated(text))),
    }
}

/// Replaces `{x*3}` by `xxx`.
fn repeated(text: &str) -> String {
    let expand = || {
        let (before, rest) = text.split_once('{')?;
        let (inside, after) = rest.split_once('}')?;
        let (unit, count) = inside.split_once('*')?;
        Some([before, &unit.repeat(count.parse().ok()?), &repeated(after)].concat())
    };
    expand().unwrap_or_else(|| text.to_owned())
}

fn oid(name: &str) -> Option<u32> {
    (0..4000).find(|oid| stand::type_name(*oid) == name).or_else(|| (name == "unspecified").then_some(0))
}
