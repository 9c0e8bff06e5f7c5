//! Scatter plans as cases: statement in, description or refusal out.

pub(crate) mod fixture;
mod grouped;
mod ordered;
mod refused;
