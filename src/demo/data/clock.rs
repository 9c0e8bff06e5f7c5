//! Times without a clock: every row's time is counted from an epoch that the seed gives.
//!
//! Invariants:
//! 1. No call reads the time of day: data are the same whenever they are made.

use super::random::Random;

const DAY: u64 = 86_400;
/// 2025-01-01 00:00:00 UTC.
const FIRST_EPOCH: u64 = 1_735_689_600;
/// How far back rides go.
pub const HISTORY_DAYS: u64 = 90;

/// How many of a hundred rides begin in each hour of the day: commuters in the morning, company in the evening.
const HOURS: [(u64, u64); 24] = [
    (0, 3),
    (1, 2),
    (2, 1),
    (3, 1),
    (4, 1),
    (5, 2),
    (6, 3),
    (7, 5),
    (8, 7),
    (9, 5),
    (10, 4),
    (11, 4),
    (12, 4),
    (13, 4),
    (14, 4),
    (15, 4),
    (16, 5),
    (17, 7),
    (18, 8),
    (19, 7),
    (20, 6),
    (21, 5),
    (22, 5),
    (23, 3),
];

/// Seconds since 1970, without a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// The moment at which the data were taken: midnight of a day of 2025 that the seed chooses.
    pub fn epoch(seed: u64) -> Self {
        Self(FIRST_EPOCH + seed % 365 * DAY)
    }

    pub fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// A moment of the history before this epoch, at an hour when people travel.
    pub fn past_ride(self, random: &mut Random) -> Self {
        let days_ago = random.between(1, HISTORY_DAYS);
        let hour = random.pick_weighted(&HOURS);
        Self(self.minus(days_ago * DAY).0 + hour * 3600 + random.below(3600))
    }

    /// A moment up to three years before this epoch, and before its history of rides.
    pub fn sign_up(self, random: &mut Random) -> Self {
        self.minus(HISTORY_DAYS * DAY + random.below(1000 * DAY))
    }

    /// `YYYY-MM-DD HH:MM:SS`; the calendar by Howard Hinnant's `civil_from_days`.
    pub fn write(self, text: &mut String) {
        use std::fmt::Write;
        let (days, second) = (self.0 / DAY + 719_468, self.0 % DAY);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        // Writing to a String cannot fail.
        let _ = write!(text, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(time: Time) -> String {
        let mut text = String::new();
        time.write(&mut text);
        text
    }

    #[test]
    fn calendar_is_right() {
        assert_eq!(text(Time(0)), "1970-01-01 00:00:00");
        assert_eq!(text(Time(951_782_399)), "2000-02-28 23:59:59");
        assert_eq!(text(Time(951_782_400)), "2000-02-29 00:00:00");
        assert_eq!(text(Time::epoch(0)), "2025-01-01 00:00:00");
        assert_eq!(text(Time::epoch(364)), "2025-12-31 00:00:00");
        assert_eq!(text(Time::epoch(365)), "2025-01-01 00:00:00");
    }

    #[test]
    fn rides_are_within_the_history() {
        let epoch = Time::epoch(42);
        let mut random = Random::for_row(1, 1, 1);
        for _ in 0..2000 {
            let time = epoch.past_ride(&mut random);
            assert!(time < epoch && time >= epoch.minus(HISTORY_DAYS * DAY));
            assert!(epoch.sign_up(&mut random) <= epoch.minus(HISTORY_DAYS * DAY));
        }
    }
}
