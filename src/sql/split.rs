//! Splits the text of a simple query into its statements, as PostgreSQL's grammar does.
//!
//! `session` calls it once per Query message; a text without a semicolon costs one memchr.
//!
//! Invariants:
//! 1. Semicolons inside quotes, comments, parentheses (CREATE RULE) and `BEGIN ATOMIC … END` bodies of
//!    CREATE FUNCTION and CREATE PROCEDURE do not split.
//! 2. Pieces of only blanks and comments are no statements; a text of nothing else is one empty statement.
//! 3. A piece keeps its leading comments (a routing hint may be there) and loses its semicolon.
//!
//! Not here: what a statement is (`commands`, `extract`). Text that PostgreSQL would reject may be split anywhere.

use std::ops::Range;

use memchr::memchr;

use super::lexer::{LexOptions, Lexer, Token, TokenKind};

/// Writes the byte ranges of the statements of `text` into `pieces`, which is cleared first.
pub fn split(text: &[u8], options: LexOptions, pieces: &mut Vec<Range<u32>>) {
    pieces.clear();
    let mut splitter = Splitter::default();
    if memchr(b';', text).is_some() {
        for token in Lexer::new(text, options) {
            if splitter.on_token(text, token) {
                if splitter.tokens > 0 {
                    pieces.push(splitter.start..token.start);
                }
                splitter = Splitter { start: token.end, ..Splitter::default() };
            }
        }
        if splitter.tokens == 0 && !pieces.is_empty() {
            return;
        }
    }
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    pieces.push(splitter.start..end);
    if pieces.len() == 1 && splitter.tokens == 0 {
        pieces[0].start = 0;
    }
}

/// The state within one statement.
#[derive(Default)]
struct Splitter {
    start: u32,
    /// Tokens seen that are neither blank nor comment.
    tokens: u32,
    parentheses: u32,
    /// Open `BEGIN ATOMIC` and, inside it, open CASE.
    bodies: u32,
    after_begin: bool,
    routine: Routine,
}

/// How far the words CREATE [OR REPLACE] {FUNCTION | PROCEDURE} have been read.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Routine {
    #[default]
    Start,
    Create,
    Or,
    Yes,
    No,
}

impl Splitter {
    /// True where the token is a semicolon that ends the statement.
    fn on_token(&mut self, text: &[u8], token: Token) -> bool {
        if token.kind.is_trivia() {
            return false;
        }
        if token.kind == TokenKind::Punctuation {
            match token.bytes(text) {
                b"(" => self.parentheses += 1,
                b")" => self.parentheses = self.parentheses.saturating_sub(1),
                b";" if self.parentheses == 0 && self.bodies == 0 => return true,
                _ => {}
            }
        }
        self.tokens += 1;
        if token.kind == TokenKind::Word {
            self.on_word(text, token);
        } else {
            self.after_begin = false;
            if self.routine != Routine::Yes {
                self.routine = Routine::No;
            }
        }
        false
    }

    fn on_word(&mut self, text: &[u8], token: Token) {
        let is = |word| token.is_word(text, word);
        let after_begin = std::mem::replace(&mut self.after_begin, is("begin"));
        if self.routine == Routine::Yes {
            if self.bodies == 0 {
                self.bodies = u32::from(after_begin && is("atomic"));
            } else if is("case") {
                self.bodies += 1;
            } else if is("end") {
                self.bodies -= 1;
            }
            return;
        }
        self.routine = match self.routine {
            Routine::Start if is("create") => Routine::Create,
            Routine::Create if is("or") => Routine::Or,
            Routine::Or if is("replace") => Routine::Create,
            Routine::Create if is("function") || is("procedure") => Routine::Yes,
            _ => Routine::No,
        };
    }
}
