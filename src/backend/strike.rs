//! Why a statement was cancelled by this process, and not by its client: the client is told that instead.
//!
//! Set on a [`super::connection::ServerKey`] before the cancel is sent; taken by the error that comes of it, which may be read some
//! time after the server has said it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::wire::error::{SqlError, SqlState};

const REDEFINED: &str =
    "could not serialize access: definitions that this statement depends on have changed while it waited";

const ENDED: &str = "terminating connection due to administrator command";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Strike {
    /// Sessions wait for each other on several servers.
    Deadlock = 1,
    /// It waits for DDL, and was planned by the definitions from before.
    Redefinition = 2,
    /// This process ends.
    Shutdown = 3,
}

impl Strike {
    pub fn error(self) -> SqlError {
        const AGAIN: &str = "Try the transaction again.";
        match self {
            Self::Deadlock => SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                .detail("Sessions wait for each other on several servers.")
                .hint(AGAIN),
            Self::Redefinition => SqlError::new(SqlState::SERIALIZATION_FAILURE, REDEFINED).hint(AGAIN),
            Self::Shutdown => SqlError::new(SqlState::ADMIN_SHUTDOWN, ENDED),
        }
    }

    /// Whether this is what its error says.
    pub fn is_told_by(self, error: &SqlError) -> bool {
        let told = self.error();
        error.sqlstate == told.sqlstate && error.message == told.message
    }
}

/// So long an error is waited for that a cancel has led to.
const FADING: Duration = Duration::from_secs(2);

static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The strike whose cancels are on their way, if there is one: from the lowest byte up its number, how many cancels there are, and
/// when they are over, in milliseconds.
#[derive(Debug, Default)]
pub struct Struck(AtomicU64);

/// One cancel more, or fewer.
const ONE: u64 = 1 << 8;
const COUNT: u64 = 0xff << 8;
const OVER: u32 = 16;

impl Struck {
    /// Each of several leads to an error of its own, or to none.
    pub fn set(&self, strike: Strike) {
        let never = u64::MAX << OVER;
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            let more = state & 0xff == strike as u64 && state & COUNT != COUNT;
            let before = if more { state & COUNT } else { 0 };
            Some(never | (before + ONE) | strike as u64)
        });
    }

    /// The cancels may have come too late, and are then for nobody.
    pub fn fade(&self) {
        let over = (BEGINNING.elapsed() + FADING).as_millis() as u64;
        let faded = |state: u64| (state != 0).then_some(state & ((ONE - 1) | COUNT) | over << OVER);
        // A strike that was taken meanwhile stays taken.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, faded);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// What it was for has been answered.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// That of one error.
    pub fn take(&self) -> Option<Strike> {
        let taken = |state: u64| Some(if state & COUNT > ONE { state - ONE } else { 0 });
        let state = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).unwrap_or_default();
        let holds = (BEGINNING.elapsed().as_millis() as u64) < state >> OVER;
        let is_it = |known: &Strike| holds && *known as u64 == state & 0xff;
        [Strike::Deadlock, Strike::Redefinition, Strike::Shutdown].into_iter().find(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strike_is_taken_once() {
        let struck = Struck::default();
        assert!(!struck.is_set());
        struck.set(Strike::Redefinition);
        assert!(struck.is_set());
        assert_eq!(struck.take(), Some(Strike::Redefinition));
        assert_eq!(struck.take(), None);
        struck.set(Strike::Deadlock);
        struck.fade();
        assert_eq!(struck.take(), Some(Strike::Deadlock));
        struck.fade();
        assert_eq!(struck.take(), None);
        struck.set(Strike::Redefinition);
        struck.set(Strike::Redefinition);
        struck.fade();
        assert_eq!(
            [struck.take(), struck.take(), struck.take()].map(|taken| taken.is_some()),
            [true, true, false]
        );
        struck.set(Strike::Redefinition);
        struck.set(Strike::Shutdown);
        assert_eq!([struck.take(), struck.take()], [Some(Strike::Shutdown), None]);
        struck.set(Strike::Shutdown);
        struck.set(Strike::Shutdown);
        struck.clear();
        assert_eq!(struck.take(), None);
    }

    #[test]
    fn a_strike_knows_its_own_error() {
        let error = Strike::Redefinition.error();
        assert!(Strike::Redefinition.is_told_by(&error));
        assert!(!Strike::Deadlock.is_told_by(&error));
    }
}
