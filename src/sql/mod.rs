//! SQL text: lexing to shapes, parsing, facts, and safe rendering. Pure: no I/O, no shards, no catalog.
//!
//! Text comes in from `session`; `plan` reads the facts. A statement goes through
//!
//! ```text
//! text ─▶ split   statements of a simple query                       (lexer)
//!      ─▶ shape   literals cut out as byte ranges; the rest is a key  (shape, hint)
//!      ─▶ parse   once per key: commands from tokens, the rest by sqlparser on a placeholder or shadow text
//!      ─▶ facts   relations, predicates, functions, kind              (facts, made by commands and extract)
//!      ─▶ render  a changed tree back to text, the client's literals spliced in
//! ```
//!
//! Invariants:
//! 1. A literal of a client never passes through sqlparser's printer (it changes backslashes and doubled quotes);
//!    printed text holds placeholders and the raw bytes are spliced back.
//! 2. What the facts do not know exactly they call unknown; unknown never narrows a route.
//! 3. Nothing here overflows the stack: token count and nesting are bounded before parsing.
//!
//! Not here: what a name means (catalog), where a value lives (topology), what to do about it (plan).

pub mod arguments;
mod array;
pub mod bare;
pub mod clocks;
mod commands;
pub mod conversion;
pub mod extract;
pub mod facts;
pub mod hint;
pub mod lexer;
pub mod made_from;
mod modes;
pub mod name;
mod ordinals;
pub mod parse;
pub mod parser_text;
pub mod prepared;
pub mod printed_shape;
pub mod render;
pub mod role_password;
pub mod rows;
pub mod set_calls;
pub mod shape;
pub mod split;
pub mod star;
pub mod template;
mod tokens;
mod unescape;
pub mod words;

pub use commands::{TEMPORARY_SCHEMA, computed_of_text, snapshot_identifier};
pub use tokens::truncate;

#[cfg(test)]
mod tests;
