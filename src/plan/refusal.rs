//! The numbered list of what Meridian refuses, each with its message and hint.
//!
//! A refusal is SQLSTATE 0A000 unless it says otherwise. `docs/limits.md` is generated from this list.

/// One reason not to run a statement. The texts are PostgreSQL's manner: message in lower case without a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable number, "M001" …
    pub code: &'static str,
    pub sqlstate: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}
