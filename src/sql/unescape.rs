//! The contents of string literals: raw bytes with their quotes in, the value out.
//!
//! `arguments` calls it for literals that may name a shard. The source of the rules is `scan.l` (`xq`, `xe`, `xdolq`)
//! and the manual's section "String Constants".
//!
//! Invariants:
//! 1. None where the literal is not well-formed, is not UTF-8 after unescaping, or holds a NUL.
//! 2. Continued literals (`'a'` newline `'b'`) give the joined value.
//!
//! Not here: the value of `U&''`, `N''`, `B''` and `X''`, which are never decoded.

use std::borrow::Cow;

use memchr::memchr;

use super::lexer::continuation;

/// `'…'` without backslash escapes.
pub(super) fn plain(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"'")?.strip_suffix(b"'")?;
    if memchr(b'\'', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut at = 1;
    loop {
        let quote = at + memchr(b'\'', raw.get(at..)?)?;
        bytes.extend_from_slice(&raw[at..quote]);
        match after_quote(raw, quote)? {
            AfterQuote::Doubled => {
                bytes.push(b'\'');
                at = quote + 2;
            }
            AfterQuote::Continues(next) => at = next,
            AfterQuote::End => return String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }
}

/// `E'…'`, or `'…'` with standard_conforming_strings off.
pub(super) fn escaped(raw: &[u8]) -> Option<String> {
    let mut at = raw.iter().position(|b| *b == b'\'')? + 1;
    let mut bytes = Vec::with_capacity(raw.len());
    loop {
        match *raw.get(at)? {
            b'\'' => match after_quote(raw, at)? {
                AfterQuote::Doubled => {
                    bytes.push(b'\'');
                    at += 2;
                }
                AfterQuote::Continues(next) => at = next,
                AfterQuote::End => break,
            },
            b'\\' => at = escape(raw, at + 1, &mut bytes)?,
            byte => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    if bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// `$tag$…$tag$`.
pub(super) fn dollar(raw: &[u8]) -> Option<&str> {
    let tag = memchr(b'$', raw.get(1..)?)? + 2;
    let inner = raw.get(tag..raw.len().checked_sub(tag)?)?;
    std::str::from_utf8(inner).ok()
}

/// `U&"…"` with the given escape character: `\XXXX`, `\+XXXXXX`, and the character twice for itself.
pub(super) fn unicode_identifier(raw: &[u8], escape: u8) -> Option<String> {
    let inner = raw.get(3..raw.len().checked_sub(1)?)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        at += match byte {
            b'"' => {
                bytes.push(b'"');
                2
            }
            _ if byte != escape => {
                bytes.push(byte);
                1
            }
            _ if inner.get(at + 1) == Some(&escape) => {
                bytes.push(escape);
                2
            }
            _ => {
                let (digits, skip) = if inner.get(at + 1) == Some(&b'+') { (6, 2) } else { (4, 1) };
                let mut buffer = [0u8; 4];
                let c = char::from_u32(hex(inner, at + skip, digits)?)?;
                bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                skip + digits
            }
        };
    }
    String::from_utf8(bytes).ok()
}

enum AfterQuote {
    Doubled,
    Continues(usize),
    End,
}

fn after_quote(raw: &[u8], quote: usize) -> Option<AfterQuote> {
    let next = quote + 1;
    match raw.get(next) {
        None => Some(AfterQuote::End),
        Some(b'\'') => Some(AfterQuote::Doubled),
        Some(_) => continuation(raw, next).map(AfterQuote::Continues),
    }
}

/// What follows a backslash at `at - 1`; gives the place behind it.
fn escape(raw: &[u8], at: usize, bytes: &mut Vec<u8>) -> Option<usize> {
    let byte = *raw.get(at)?;
    let plain = match byte {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'0'..=b'7' => return octal(raw, at, bytes),
        b'x' if raw.get(at + 1).is_some_and(u8::is_ascii_hexdigit) => {
            let count = 1 + usize::from(raw.get(at + 2).is_some_and(u8::is_ascii_hexdigit));
            bytes.push(u8::try_from(hex(raw, at + 1, count)?).ok()?);
            return Some(at + 1 + count);
        }
        b'u' => return unicode(raw, at + 1, 4, bytes),
        b'U' => return unicode(raw, at + 1, 8, bytes),
        other => other,
    };
    bytes.push(plain);
    Some(at + 1)
}

fn octal(raw: &[u8], at: usize, bytes: &mut Vec<u8>) -> Option<usize> {
    let digits = raw[at..].iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
    let value = raw[at..at + digits].iter().fold(0u32, |n, b| n * 8 + u32::from(b - b'0'));
    // PostgreSQL keeps the low eight bits.
    bytes.push((value & 0xff) as u8);
    Some(at + digits)
}

fn hex(raw: &[u8], at: usize, digits: usize) -> Option<u32> {
    let text = std::str::from_utf8(raw.get(at..at + digits)?).ok()?;
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(text, 16).ok()
}

fn unicode(raw: &[u8], at: usize, digits: usize, bytes: &mut Vec<u8>) -> Option<usize> {
    let mut code = hex(raw, at, digits)?;
    let mut next = at + digits;
    if (0xd800..0xdc00).contains(&code) {
        // The second half of a pair must follow, in either spelling.
        let digits = match raw.get(next..next + 2)? {
            b"\\u" => 4,
            b"\\U" => 8,
            _ => return None,
        };
        let low = hex(raw, next + 2, digits)?;
        if !(0xdc00..0xe000).contains(&low) {
            return None;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        next += 2 + digits;
    }
    let mut buffer = [0u8; 4];
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
    Some(next)
}
