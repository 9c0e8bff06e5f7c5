//! Scatter plans as cases: statement in, description, texts or refusal out.
//!
//! Statements go through the real lexer and parser; texts are compared as they would be sent, with the client's
//! literals in them. The catalog and topology are those of [`fixture`].
//!
//! Not here: whether the answers are right. That is for servers to show, one against several.

mod apart;
pub(crate) mod fixture;
mod gathered;
mod grouped;
mod nested;
mod ordered;
mod refused;
