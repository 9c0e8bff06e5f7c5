//! Named points in a commit where a test may end or delay the process: a fault is injected on purpose, not by luck.
//!
//! `MERIDIAN_FAULT=after_prepare_before_decision:abort` in the environment of a debug build ends the process there, as
//! `kill -9` would; `:stall` holds it up for [`STALL`], as a slow machine would. In a release build nothing of this
//! exists. Called by `commit`; read by nobody else.

use std::time::Duration;

/// Longer than recovery waits for a coordinator that it does not know.
pub const STALL: Duration = Duration::from_secs(20);

/// Where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// One participant has prepared; others may have or not.
    AfterOnePrepare,
    AfterPrepareBeforeDecision,
    AfterDecisionBeforeSecondPhase,
    /// One participant has committed its prepared part; others may have or not.
    AfterOneCommitPrepared,
    /// All is done, and the client has not been told.
    AfterSecondPhase,
}

impl FaultPoint {
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterOnePrepare => "after_one_prepare",
            Self::AfterPrepareBeforeDecision => "after_prepare_before_decision",
            Self::AfterDecisionBeforeSecondPhase => "after_decision_before_second_phase",
            Self::AfterOneCommitPrepared => "after_one_commit_prepared",
            Self::AfterSecondPhase => "after_second_phase",
        }
    }
}

/// Ends or delays the process if the environment asks for it here.
pub async fn reach(point: FaultPoint) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Ok(asked) = std::env::var("MERIDIAN_FAULT") else { return };
    match asked.split_once(':') {
        Some((name, "abort")) if name == point.name() => std::process::abort(),
        Some((name, "stall")) if name == point.name() => tokio::time::sleep(STALL).await,
        _ => {}
    }
}
