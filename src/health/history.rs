//! Where a shard's primary was in its log, and when: from this, how far behind a replica is in time. Pure.
//!
//! A replica that has replayed position P shows everything that the primary had written when it was at P. So its lag is
//! the age of the newest entry whose position it has replayed: an upper bound, exact to one probe, that needs no clock
//! of any server and does not grow while the primary is idle.
//!
//! ```text
//!   entries   10:00:01 0/100   10:00:02 0/180   10:00:03 0/250
//!   replica at 0/1A0, now 10:00:04   ─▶ lag 2 s        replica at 0/250 ─▶ lag 0
//! ```
//!
//! Invariants:
//! 1. Entries grow in time and in position, and there are at most [`ENTRIES_MAX`]: when it is full, every second entry
//!    of the older half goes, which can make a lag look larger, never smaller.
//! 2. A replica that is behind the first entry has an unknown lag, which counts as endless.

use std::time::{Duration, Instant};

use crate::topology::Lsn;

/// At one probe a second this is minutes in full detail, and hours thinned out.
const ENTRIES_MAX: usize = 512;

/// The lag of a replica of which nothing better is known.
pub const LAG_UNKNOWN: Duration = Duration::MAX;

/// What is remembered of one primary on one timeline.
#[derive(Debug, Default)]
pub struct History {
    entries: Vec<(Instant, Lsn)>,
}

impl History {
    /// Notes that the primary had reached `position` no earlier than `at`.
    pub fn note(&mut self, at: Instant, position: Lsn) {
        if let Some((time, newest)) = self.entries.last_mut() {
            if position < *newest || at < *time {
                return;
            }
            if position == *newest {
                *time = at;
                return;
            }
        }
        if self.entries.len() == ENTRIES_MAX {
            let mut index = 0;
            self.entries.retain(|_| {
                index += 1;
                index > ENTRIES_MAX / 2 || index % 2 == 1
            });
        }
        self.entries.push((at, position));
    }

    /// Another primary, or another timeline: the positions mean nothing any more.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn newest(&self) -> Option<Lsn> {
        self.entries.last().map(|(_, position)| *position)
    }

    /// How far behind a replica is that has replayed up to `position`.
    pub fn lag(&self, position: Lsn, now: Instant) -> Duration {
        let replayed = self.entries.partition_point(|(_, written)| *written <= position);
        match replayed.checked_sub(1) {
            None => LAG_UNKNOWN,
            Some(last) if last + 1 == self.entries.len() => Duration::ZERO,
            Some(last) => now.saturating_duration_since(self.entries[last].0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn lag_is_the_age_of_the_newest_replayed_entry() {
        let start = Instant::now();
        let mut history = History::default();
        for (second, position) in [(1, 0x100), (2, 0x180), (3, 0x250)] {
            history.note(start + second * SECOND, Lsn(position));
        }
        let now = start + 4 * SECOND;
        assert_eq!(history.lag(Lsn(0x250), now), Duration::ZERO);
        assert_eq!(history.lag(Lsn(0x300), now), Duration::ZERO);
        assert_eq!(history.lag(Lsn(0x1A0), now), 2 * SECOND);
        assert_eq!(history.lag(Lsn(0x100), now), 3 * SECOND);
        assert_eq!(history.lag(Lsn(0xFF), now), LAG_UNKNOWN);
    }

    #[test]
    fn an_idle_primary_makes_no_lag() {
        let start = Instant::now();
        let mut history = History::default();
        history.note(start, Lsn(10));
        history.note(start + 60 * SECOND, Lsn(10));
        assert_eq!(history.lag(Lsn(10), start + 61 * SECOND), Duration::ZERO);
        history.note(start + 61 * SECOND, Lsn(20));
        assert_eq!(history.lag(Lsn(10), start + 62 * SECOND), 2 * SECOND);
    }

    #[test]
    fn the_history_is_bounded_and_keeps_its_reach() {
        let start = Instant::now();
        let mut history = History::default();
        for second in 0..5_000u32 {
            history.note(start + second * SECOND, Lsn(u64::from(second) + 1));
        }
        assert!(history.entries.len() <= ENTRIES_MAX);
        let now = start + 5_000 * SECOND;
        assert_eq!(history.lag(Lsn(1), now), 5_000 * SECOND);
        assert!(history.lag(Lsn(2_500), now) >= 2_500 * SECOND);
        assert!(history.entries.is_sorted());
    }
}
