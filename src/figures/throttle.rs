//! Log lines that strangers can cause: one of a kind in a while, with the number of those that were held back.
//!
//! Asked by `session` where a client is refused for a limit or fails to log in, and where a user cannot be looked up; by
//! `backend` where a server refuses a login of the pool; by `server` where no client can be accepted. Pure: the time is given.
//!
//! Invariants:
//! 1. However many ask, at most one in the pause may write.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines of one kind, unless another time is wanted.
const PAUSE: Duration = Duration::from_secs(1);

/// The lines of one kind.
#[derive(Debug)]
pub struct Throttle {
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::every(PAUSE)
    }
}

impl Throttle {
    pub fn every(pause: Duration) -> Self {
        Self { pause, state: Mutex::default() }
    }

    /// Whether a line may be written now: then how many were not since the last.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < self.pause) {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_while_tells_of_those_that_were_held_back() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.admit(now), Some(0));
        assert_eq!((throttle.admit(now), throttle.admit(now + PAUSE / 2)), (None, None));
        assert_eq!(throttle.admit(now + PAUSE), Some(2));
        assert_eq!(throttle.admit(now + 3 * PAUSE), Some(0));
    }
}
