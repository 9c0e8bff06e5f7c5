//! Which integers are structure and not data: column ordinals and type modifiers.
//!
//! `ORDER BY 2` names an output column and `numeric(10, 2)` a type; both must stay in the key of a shape, or two
//! statements of different meaning would share a plan. Fed with every token by `shape::Scan`; no allocation.
//!
//! Invariants:
//! 1. An integer of up to four digits that directly starts an item of an ORDER BY, GROUP BY or DISTINCT ON list, at any
//!    depth of parentheses inside it, is kept. Keeping too many is harmless: the key is only more specific.
//! 2. Lists nested deeper than the fixed stack are not followed: their integers are cut out like any other, and the
//!    rewriter refuses an ordinal that is a placeholder.
//!
//! Not here: what an ordinal means (the planner reads it from the tree).

use super::lexer::{Token, TokenKind};

const LISTS_MAX: usize = 24;
const DIGITS_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Previous {
    #[default]
    Other,
    OrderOrGroup,
    Distinct,
    DistinctOn,
    /// Integers behind this token start an item: BY, comma, parenthesis, ALL, DISTINCT.
    Opens,
    /// `::`, or the point inside a type's name.
    CastName,
    /// The name behind `::`, or a type that takes modifiers.
    TypeName,
}

#[derive(Debug, Default)]
pub(super) struct Ordinals {
    depth: u32,
    lists: [u32; LISTS_MAX],
    list_count: usize,
    /// Depth inside the parentheses of a type modifier; 0 where there is none.
    modifier_depth: u32,
    previous: Previous,
    /// An integer was cut out that would have been kept, had it fewer digits.
    long: bool,
}

impl Ordinals {
    pub fn has_long(&self) -> bool {
        self.long
    }

    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// True where the token is an integer to keep in the key.
    pub fn on_token(&mut self, token: Token, bytes: &[u8]) -> bool {
        let previous = std::mem::take(&mut self.previous);
        match token.kind {
            TokenKind::Word => self.on_word(bytes, previous),
            TokenKind::QuotedIdentifier if previous == Previous::CastName => {
                self.previous = Previous::TypeName
            }
            TokenKind::Operator if bytes == b"::" => self.previous = Previous::CastName,
            TokenKind::Punctuation => self.on_punctuation(bytes, previous),
            TokenKind::Integer => {
                let item = self.list_count > 0 && matches!(previous, Previous::Opens | Previous::Distinct);
                let structural = item || self.modifier_depth > 0;
                self.long |= structural && bytes.len() > DIGITS_MAX;
                return structural && bytes.len() <= DIGITS_MAX;
            }
            _ => {}
        }
        false
    }

    fn on_word(&mut self, bytes: &[u8], previous: Previous) {
        let is = |word: &str| bytes.eq_ignore_ascii_case(word.as_bytes());
        if previous == Previous::CastName {
            self.previous = Previous::TypeName;
            return;
        }
        if self.top() == Some(self.depth) && LIST_ENDS.iter().any(|word| is(word)) {
            self.list_count -= 1;
        }
        self.previous = match previous {
            Previous::OrderOrGroup if is("by") => {
                self.push(self.depth);
                Previous::Opens
            }
            Previous::Distinct if is("on") => Previous::DistinctOn,
            _ if is("order") || is("group") => Previous::OrderOrGroup,
            _ if is("distinct") => Previous::Distinct,
            Previous::Opens if is("all") => Previous::Opens,
            _ if is_modified_type(bytes) => Previous::TypeName,
            _ => Previous::Other,
        };
    }

    fn on_punctuation(&mut self, bytes: &[u8], previous: Previous) {
        match bytes {
            b"(" => {
                self.depth = self.depth.saturating_add(1);
                match previous {
                    Previous::DistinctOn => self.push(self.depth),
                    Previous::TypeName if self.modifier_depth == 0 => self.modifier_depth = self.depth,
                    _ => {}
                }
                self.previous = Previous::Opens;
            }
            b")" => {
                if self.modifier_depth == self.depth {
                    self.modifier_depth = 0;
                }
                self.depth = self.depth.saturating_sub(1);
                while self.top().is_some_and(|base| base > self.depth) {
                    self.list_count -= 1;
                }
            }
            b"," => self.previous = Previous::Opens,
            b"." if previous == Previous::TypeName => self.previous = Previous::CastName,
            _ => {}
        }
    }

    fn top(&self) -> Option<u32> {
        self.list_count.checked_sub(1).map(|last| self.lists[last])
    }

    fn push(&mut self, base: u32) {
        if self.list_count < LISTS_MAX {
            self.lists[self.list_count] = base;
            self.list_count += 1;
        }
    }
}

/// Reserved words that end an ORDER BY, GROUP BY or DISTINCT ON list of their own query level.
const LIST_ENDS: [&str; 11] =
    ["limit", "offset", "fetch", "for", "having", "window", "union", "intersect", "except", "order", "group"];

fn is_modified_type(bytes: &[u8]) -> bool {
    const TYPES: [&str; 17] = [
        "varchar",
        "char",
        "character",
        "varying",
        "nchar",
        "bpchar",
        "numeric",
        "decimal",
        "dec",
        "bit",
        "varbit",
        "timestamp",
        "timestamptz",
        "time",
        "timetz",
        "interval",
        "float",
    ];
    TYPES.iter().any(|name| bytes.eq_ignore_ascii_case(name.as_bytes()))
}
