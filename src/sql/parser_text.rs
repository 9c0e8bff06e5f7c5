//! The text that is given to sqlparser: a statement with placeholders for its literals, and with what sqlparser cannot
//! read patched over.
//!
//! `parse` asks for the plain text first and for the shadow only when that does not parse. `render` reads the
//! placeholders again in printed text and splices the client's bytes back.
//!
//! | token | placeholder |
//! | --- | --- |
//! | n-th literal, a string | `'Ln'` |
//! | n-th literal, a bit string | `X'n'` |
//! | n-th literal, an integer | `8` and nine digits |
//! | n-th literal, a decimal | the same and `.5` |
//! | `ONLY t` | `t` in the schema `"\u{1}only"` (sqlparser would take ONLY for a table's name) |
//!
//! Invariants:
//! 1. No byte of a literal is in the text. No client can write a placeholder: strings are gone, kept integers are
//!    short, and a control character in a quoted identifier makes the statement unparseable here.
//! 2. Tokens are set apart by blanks, so sqlparser's own rules for adjacent operators do not matter.
//! 3. A shadow keeps relations, filters and functions or turns them into something unknown; it never narrows.
//!
//! Not here: trees (`extract`), printing (`render`).

use std::ops::Range;

use sqlparser::ast::Ident;

use super::lexer::TokenKind;
use super::tokens::Tokens;

/// The schema that marks `ONLY`.
pub(super) const ONLY_SCHEMA: &str = "\u{1}only";

/// Whether this first part of a relation's name is the mark of ONLY.
pub fn is_only(first: &Ident) -> bool {
    first.value == ONLY_SCHEMA
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    Shadow,
}

#[derive(Debug)]
pub(super) struct ParserText {
    pub text: String,
    /// The tree is not the statement's own: it may be routed by, not printed.
    pub shadowed: bool,
    /// A subscript was taken off an INSERT column.
    pub targets_opaque: bool,
}

/// None where the tokens cannot be written: not UTF-8, or broken.
pub(super) fn write(tokens: &Tokens<'_>, range: Range<usize>, mode: Mode) -> Option<ParserText> {
    let out = ParserText { text: String::new(), shadowed: mode == Mode::Shadow, targets_opaque: false };
    let mut writer = Writer { tokens, range: range.clone(), mode, out, depth: 0, in_set: false };
    let mut at = range.start;
    while at < range.end {
        at = writer.step(at)?;
    }
    Some(writer.out)
}

pub(super) fn placeholder(kind: TokenKind, literal: u32) -> String {
    match kind {
        TokenKind::BitString => format!("X'{literal}'"),
        TokenKind::Integer | TokenKind::OddNumber => format!("8{literal:09}"),
        TokenKind::Decimal => format!("8{literal:09}.5"),
        _ => format!("'L{literal}'"),
    }
}

/// The literal that a placeholder stands for, from the content of the token as sqlparser or the lexer sees it.
pub(super) fn placeholder_string(content: &str) -> Option<u32> {
    content.strip_prefix('L')?.parse().ok()
}

pub(super) fn placeholder_number(digits: &str) -> Option<u32> {
    let digits = digits.strip_suffix(".5").unwrap_or(digits);
    let number = digits.strip_prefix('8')?;
    if number.len() == 9 { number.parse().ok() } else { None }
}

struct Writer<'a, 't> {
    tokens: &'a Tokens<'t>,
    range: Range<usize>,
    mode: Mode,
    out: ParserText,
    depth: u32,
    /// Inside the SET list of an UPDATE or of ON CONFLICT.
    in_set: bool,
}

impl Writer<'_, '_> {
    /// Writes the token at `at`, or a patch for what begins there; gives the place behind.
    fn step(&mut self, at: usize) -> Option<usize> {
        self.track(at);
        if let Some(next) = self.only(at) {
            return next;
        }
        if let Some(patch) = self.null_test(at) {
            self.raw(patch);
            return Some(at + 1);
        }
        if self.mode == Mode::Shadow
            && let Some((patch, next)) = self.patch(at)
        {
            self.raw(patch);
            return Some(next.min(self.range.end));
        }
        self.token(at)?;
        Some(at + 1)
    }

    fn track(&mut self, at: usize) {
        let tokens = self.tokens;
        if tokens.punctuation(at, b'(') {
            self.depth += 1;
        } else if tokens.punctuation(at, b')') {
            self.depth = self.depth.saturating_sub(1);
        } else if self.depth == 0 && tokens.is(at, "set") {
            self.in_set = true;
        } else if self.depth == 0 && tokens.is_any(at, &["where", "from", "returning"]) {
            self.in_set = false;
        }
    }

    fn raw(&mut self, piece: &str) {
        if !piece.is_empty() {
            if !self.out.text.is_empty() && !self.out.text.ends_with('.') {
                self.out.text.push(' ');
            }
            self.out.text.push_str(piece);
        }
    }

    fn token(&mut self, at: usize) -> Option<()> {
        let item = self.tokens.items.get(at)?;
        let kind = item.token.kind;
        if let Some(literal) = item.literal {
            self.out.shadowed |= kind == TokenKind::OddNumber;
            self.raw(&placeholder(kind, literal));
            return Some(());
        }
        let bytes = item.token.bytes(self.tokens.text);
        let text = std::str::from_utf8(bytes).ok()?;
        match kind {
            TokenKind::Word => self.raw(&text.to_ascii_lowercase()),
            TokenKind::QuotedIdentifier if text.chars().any(char::is_control) => return None,
            TokenKind::Operator if !is_known_operator(text) => {
                self.out.shadowed = true;
                self.raw("<~~~>");
            }
            TokenKind::Punctuation if text == "." => self.out.text.push('.'),
            TokenKind::UnicodeIdentifier => self.unicode_identifier(at)?,
            TokenKind::Invalid | TokenKind::Unterminated => return None,
            _ => self.raw(text),
        }
        Some(())
    }

    fn unicode_identifier(&mut self, at: usize) -> Option<()> {
        let name = self.tokens.identifier(at)?;
        if self.tokens.is(at + 1, "uescape") || name.chars().any(char::is_control) {
            return None;
        }
        self.out.shadowed = true;
        self.raw(&format!("\"{}\"", name.replace('"', "\"\"")));
        Some(())
    }

    fn only(&mut self, at: usize) -> Option<Option<usize>> {
        let tokens = self.tokens;
        let before = at.checked_sub(1)?;
        if !tokens.is(at, "only") || tokens.is_any(before, &["row", "rows", "read"]) {
            return None;
        }
        let parenthesis = usize::from(tokens.punctuation(at + 1, b'('));
        let first = at + 1 + parenthesis;
        let (_, next) = tokens.name(first)?;
        if parenthesis == 1 && !tokens.punctuation(next, b')') {
            return None;
        }
        self.raw(&format!("\"{ONLY_SCHEMA}\"."));
        for part in first..next {
            if self.token(part).is_none() {
                return Some(None);
            }
        }
        Some(Some(next + parenthesis))
    }

    /// ISNULL and NOTNULL behind an operand: what is parsed would take the first for an alias.
    fn null_test(&self, at: usize) -> Option<&'static str> {
        let t = self.tokens;
        let before = at.checked_sub(1)?;
        let tests = [("isnull", "is null"), ("notnull", "is not null")];
        let (_, patch) = tests.into_iter().find(|(word, _)| t.is(at, word))?;
        let is_name = t.punctuation(before, b'.') || t.is(before, "as") || t.punctuation(at + 1, b'(');
        (!is_name).then_some(patch)
    }

    fn patch(&mut self, at: usize) -> Option<(&'static str, usize)> {
        self.patch_words(at).or_else(|| self.patch_forms(at)).or_else(|| self.patch_subscript(at))
    }

    /// Patches that are a fixed run of keywords.
    fn patch_words(&self, at: usize) -> Option<(&'static str, usize)> {
        let t = self.tokens;
        const RUNS: [(&[&str], &str); 17] = [
            // What is between them in either order narrows nothing that is known here.
            (&["not", "between", "symmetric"], "|| null not between"),
            (&["between", "symmetric"], "|| null between"),
            (&["not", "between", "asymmetric"], "not between"),
            (&["between", "asymmetric"], "between"),
            (&["group", "by", "distinct"], "group by"),
            (&["group", "by", "all"], "group by"),
            (&["for", "no", "key", "update"], "for update"),
            (&["for", "key", "share"], "for share"),
            (&["overriding", "system", "value"], ""),
            (&["overriding", "user", "value"], ""),
            (&["exclude", "current", "row"], ""),
            (&["exclude", "group"], ""),
            (&["exclude", "ties"], ""),
            (&["exclude", "no", "others"], ""),
            (&["both", "from"], "both ' ' from"),
            (&["leading", "from"], "leading ' ' from"),
            (&["trailing", "from"], "trailing ' ' from"),
        ];
        for (words, patch) in RUNS {
            if t.are(at, words) {
                return Some((patch, at + words.len()));
            }
        }
        let opened = |at: usize| at > 0 && (t.punctuation(at - 1, b'(') || t.punctuation(at - 1, b','));
        if t.is(at, "variadic") && opened(at) {
            return Some(("", at + 1));
        }
        None
    }

    fn patch_forms(&self, at: usize) -> Option<(&'static str, usize)> {
        let t = self.tokens;
        if t.are(at, &["on", "conflict"]) && t.punctuation(at + 2, b'(') {
            let mut next = t.closing(at + 2);
            while next < self.range.end && !t.is(next, "do") {
                next = if t.punctuation(next, b'(') { t.closing(next) } else { next + 1 };
            }
            return Some(("on conflict", next));
        }
        // psql and pg_dump name operators so that no search_path is followed.
        let equals = t.is(at, "operator") && t.is(at + 2, "pg_catalog") && t.operator(at + 4, "=");
        if equals && t.punctuation(at + 5, b')') && t.is_any(at + 6, &["any", "some"]) {
            return Some(("=", at + 6));
        }
        if t.are(at, &["where", "current", "of"]) && t.identifier(at + 3).is_some() {
            return Some(("where current_of(cursor_name)", at + 4));
        }
        if t.is(at, "table") && self.starts_query(at) && t.name(at + 1).is_some() {
            return Some(("select * from", at + 1));
        }
        if t.punctuation(at, b')') && t.punctuation(at + 1, b'.') && t.operator(at + 2, "*") {
            return Some((")", at + 3));
        }
        // Sets of groups are read as one row of all that they name.
        if t.is_any(at, &["cube", "rollup"]) && t.punctuation(at + 1, b'(') {
            return Some(("", at + 1));
        }
        if t.are(at, &["grouping", "sets"]) && t.punctuation(at + 2, b'(') {
            return Some(("", at + 2));
        }
        let empty = t.punctuation(at, b'(') && t.punctuation(at + 1, b')');
        if empty && at > self.range.start && (t.punctuation(at - 1, b'(') || t.punctuation(at - 1, b',')) {
            return Some(("null", at + 2));
        }
        if t.is_string(at) && t.operator(at + 1, "::") {
            let (_, next) = t.name(at + 2)?;
            return t.is_any(next, &["preceding", "following"]).then_some(("1", next));
        }
        // The escape is not read here: nothing is known of the value.
        if t.is_string(at) && t.is(at + 1, "uescape") && t.is_string(at + 2) {
            return Some(("('u' || null)", at + 3));
        }
        if t.is(at, "collate") && !never_begins(&t.word(at + 1)) {
            let (_, next) = t.name(at + 1)?;
            return Some(("|| null", next));
        }
        self.patch_fetch(at).or_else(|| self.patch_recursion(at)).or_else(|| self.patch_rows_from(at))
    }

    /// `FETCH FIRST (expression) ROWS …` is read as LIMIT.
    fn patch_fetch(&self, at: usize) -> Option<(&'static str, usize)> {
        let t = self.tokens;
        if t.is(at, "fetch") && t.is_any(at + 1, &["first", "next"]) && t.punctuation(at + 2, b'(') {
            return Some(("limit", at + 2));
        }
        let behind = t.is_any(at, &["row", "rows"]) && at > 0 && t.punctuation(at - 1, b')');
        match behind {
            true if t.is(at + 1, "only") => Some(("", at + 2)),
            true if t.are(at + 1, &["with", "ties"]) => Some(("", at + 3)),
            _ => None,
        }
    }

    /// SEARCH and CYCLE behind a part of WITH add columns to it, which no relation has.
    fn patch_recursion(&self, at: usize) -> Option<(&'static str, usize)> {
        let t = self.tokens;
        let search = t.is(at, "search") && t.is_any(at + 1, &["breadth", "depth"]);
        let cycle = t.is(at, "cycle") && t.identifier(at + 1).is_some();
        let behind_part = at > 0 && t.punctuation(at - 1, b')');
        let behind_search = cycle && at > 1 && t.is(at - 2, "set");
        if !(search && behind_part || cycle && (behind_part || behind_search)) {
            return None;
        }
        let last = if search { "set" } else { "using" };
        let end = (at + 1..self.range.end).find(|next| t.is(*next, last) || t.punctuation(*next, b')'))?;
        (t.is(end, last) && t.identifier(end + 1).is_some()).then_some(("", end + 2))
    }

    /// `ROWS FROM (f(…), g(…))` is read as a subquery that calls them.
    fn patch_rows_from(&self, at: usize) -> Option<(&'static str, usize)> {
        let t = self.tokens;
        if t.are(at, &["rows", "from"]) && t.punctuation(at + 2, b'(') {
            return Some(("lateral ( select", at + 3));
        }
        let opened = |open: &usize| t.punctuation(open + 2, b'(') && t.closing(open + 2) == at;
        let closed = t.are(at, &["with", "ordinality"])
            && (self.range.start..at).any(|open| t.are(open, &["rows", "from"]) && opened(&open));
        closed.then_some(("", at + 2))
    }

    fn starts_query(&self, at: usize) -> bool {
        let t = self.tokens;
        at == self.range.start
            || t.punctuation(at - 1, b'(')
            || t.punctuation(at - 1, b')')
            || t.is_any(at - 1, &["union", "all", "except", "intersect", "distinct"])
    }

    /// `SET a[1] = …` and `INSERT INTO t (a[1], …)`: the subscript of the first is read as a field, which is a part of the
    /// column too; that of the second goes, and its target is opaque.
    fn patch_subscript(&mut self, at: usize) -> Option<(&'static str, usize)> {
        let t = self.tokens;
        if !t.punctuation(at, b'[') || at < 2 {
            return None;
        }
        let mut next = at;
        while t.punctuation(next, b'[') {
            next = t.closing(next);
        }
        let plain = (at + 1..next - 1).all(|i| {
            t.literal(i).is_some()
                || matches!(t.kind(i), Some(TokenKind::Param))
                || [b':', b'[', b']'].iter().any(|mark| t.punctuation(i, *mark))
        });
        let listed = t.punctuation(at - 2, b',') || t.is(at - 2, "set");
        let in_set = self.in_set && self.depth == 0 && listed && t.operator(next, "=");
        let in_columns = self.in_insert_columns(at);
        if !plain || !(in_set || in_columns) {
            return None;
        }
        if in_set {
            return Some((".part", next));
        }
        self.out.targets_opaque = true;
        Some(("", next))
    }

    fn in_insert_columns(&self, at: usize) -> bool {
        let t = self.tokens;
        let mut next = self.range.start;
        if !t.are(next, &["insert", "into"]) {
            return false;
        }
        let Some((_, behind)) = t.name(next + 2) else { return false };
        next = behind + if t.is(behind, "as") { 2 } else { 0 };
        t.punctuation(next, b'(') && next < at && at < t.closing(next)
    }
}

/// Reserved words, in lower case, that begin no expression and no call, and name no collation.
const NEVER_OPERANDS: &str = "and as asc asymmetric both check collate column constraint create deferrable desc do else end except \
    fetch for foreign from grant group having in initially intersect into lateral leading limit offset \
    or order placing references returning symmetric then to trailing union using variadic when where \
    window with";

/// Whether PostgreSQL never reads this word, in lower case and without quotes, as an operand or a name.
pub(super) fn never_begins(word: &str) -> bool {
    NEVER_OPERANDS.split_ascii_whitespace().any(|never| never == word)
}

/// Operators that sqlparser reads as one token.
fn is_known_operator(operator: &str) -> bool {
    const KNOWN: [&str; 56] = [
        "+", "-", "*", "/", "%", "^", "<", ">", "=", "<=", ">=", "<>", "!=", "||", "->", "->>", "#>", "#>>",
        "@>", "<@", "?", "?|", "?&", "~", "~*", "!~", "!~*", "~~", "!~~", "~~*", "!~~*", "&", "|", "#", "<<",
        ">>", "&&", "@@", "@?", "^@", "<->", "<=>", "<#>", "<+>", "|/", "||/", "=>", ":=", "::", "!!", "@",
        "#-", "&<", "&>", "<<=", ">>=",
    ];
    KNOWN.contains(&operator)
}
