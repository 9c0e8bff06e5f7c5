//! Why a statement was cancelled by this process, and not by its client: the client is told that instead.
//!
//! Set on a [`super::connection::ServerKey`] before the cancel is sent; taken by the error that comes of it.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::wire::error::{SqlError, SqlState};

const REDEFINED: &str =
    "could not serialize access: definitions that this statement depends on have changed while it waited";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Strike {
    /// Sessions wait for each other on several servers.
    Deadlock = 1,
    /// It waits for DDL, and was planned by the definitions from before.
    Redefinition = 2,
}

impl Strike {
    pub fn error(self) -> SqlError {
        match self {
            Self::Deadlock => SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                .detail("Sessions wait for each other on several servers."),
            Self::Redefinition => SqlError::new(SqlState::SERIALIZATION_FAILURE, REDEFINED),
        }
        .hint("Try the transaction again.")
    }

    /// Whether this is what its error says.
    pub fn is_told_by(self, error: &SqlError) -> bool {
        let told = self.error();
        error.sqlstate == told.sqlstate && error.message == told.message
    }
}

/// The strike whose cancel is on its way, if there is one.
#[derive(Debug, Default)]
pub struct Struck(AtomicU8);

impl Struck {
    pub fn set(&self, strike: Strike) {
        self.0.store(strike as u8, Ordering::Release);
    }

    /// The cancel came too late: it is for nobody.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    pub fn take(&self) -> Option<Strike> {
        let strike = self.0.swap(0, Ordering::AcqRel);
        [Strike::Deadlock, Strike::Redefinition].into_iter().find(|known| *known as u8 == strike)
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
    }

    #[test]
    fn a_strike_knows_its_own_error() {
        let error = Strike::Redefinition.error();
        assert!(Strike::Redefinition.is_told_by(&error));
        assert!(!Strike::Deadlock.is_told_by(&error));
    }
}
