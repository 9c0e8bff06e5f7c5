//! How long a client may say nothing: `idle_session_timeout`, `idle_in_transaction_session_timeout`, and the
//! configuration's bound for transactions. And how long a statement may wait that no server has yet: `statement_timeout`.
//!
//! [`Session::follow_settings`] keeps what the client has set or its role begins with, `Session::next_header` asks for the
//! deadline, `servers` bounds its waits. A server does not know these timeouts of a session that holds no connection of it,
//! so they are ours to keep.
//!
//! Invariants:
//! 1. The shortest bound that is set holds.
//! 2. A value that is not understood bounds nothing here; it was accepted by a server, which keeps its own time.
//!
//! Not here: what the servers' configuration files say. A server ends what is idle on its side by that.

use std::time::Duration;

use tokio::time::Instant;

use super::{Outcome, Session};
use crate::backend::{Account, Settings};
use crate::wire::error::{SqlError, SqlState};

pub(super) const IN_TRANSACTION: &str = "idle_in_transaction_session_timeout";

const SPARED: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

/// What a client has set of its time; None: it is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TimeBounds {
    /// Idle, outside of a block.
    session: Option<Duration>,
    /// Idle, in one.
    pub transaction: Option<Duration>,
    pub statement: Option<Duration>,
}

impl TimeBounds {
    pub(super) fn of(settings: &Settings, account: &Account) -> Self {
        let value = |name| settings.get(name).or_else(|| account.default(name));
        let bound = |name| value(name).and_then(milliseconds).filter(|bound| !bound.is_zero());
        Self {
            session: bound("idle_session_timeout"),
            transaction: bound(IN_TRANSACTION),
            statement: bound("statement_timeout"),
        }
    }
}

impl Session {
    /// When a client that says nothing more will have been idle for too long; None: never.
    pub(super) fn idle_deadline(&self) -> Option<Instant> {
        let bound = if self.block.is_open() {
            let configured = self.live.session.idle_transaction_timeout;
            self.following.bounds.transaction.into_iter().chain(configured).min()
        } else {
            self.following.bounds.session
        };
        bound.and_then(|bound| Instant::now().checked_add(bound))
    }

    /// A lane has joined. While one server of a transaction is busy the others are idle, which is no fault of the client's: theirs
    /// is not the time to keep.
    pub(super) async fn spare_idle_lanes(&mut self) -> Outcome {
        let joined = self.lanes.len() - 1;
        // The first one learns it with the second.
        let first = if self.joined_lanes() == 2 { 0 } else { joined };
        self.spare_lanes(first).await
    }

    /// Where the servers may have been told of a time since: by the client, or by a roll-back of what spared them.
    pub(super) async fn spare_idle_lanes_anew(&mut self) -> Outcome {
        match self.block.is_open() && self.following.bounds.transaction.is_some() {
            true => Box::pin(self.spare_lanes(0)).await,
            false => Ok(()),
        }
    }

    /// The time that the client has set, where servers show that they were told to keep none.
    pub(super) fn spared_time(&self) -> Option<String> {
        let spares = self.block.is_open() && self.joined_lanes() > 1;
        self.following.bounds.transaction.filter(|_| spares).map(shown)
    }

    fn joined_lanes(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.in_block).count()
    }

    async fn spare_lanes(&mut self, first: usize) -> Outcome {
        if self.joined_lanes() < 2 || self.fence.read_only {
            return Ok(());
        }
        let last = self.lanes.len() - 1;
        for index in (first..=last).rev() {
            // Who owes the client something is not asked now.
            let lane = &self.lanes[index];
            let quiet = lane.owed.is_empty() && !lane.open_pipeline;
            if lane.in_block && (index == last || quiet) {
                self.quiet_lane(index).await?;
                self.rows_on(index, SPARED).await?;
            }
        }
        Ok(())
    }

    /// The end of a session whose deadline has passed.
    pub(super) fn idle_for_too_long(&self) -> SqlError {
        if self.block.is_open() {
            SqlError::fatal(
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout",
            )
        } else {
            SqlError::fatal(
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout",
            )
        }
    }
}

/// A time as PostgreSQL's parameters have it, whose unit is the millisecond where none is named (config.sgml, "Parameter
/// Names and Values").
fn milliseconds(value: &str) -> Option<Duration> {
    let text = value.trim_matches('\'').trim();
    let number = |end: usize| match text[..end].strip_prefix("0x").or(text[..end].strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(f64::from),
        None => text[..end].parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0),
    };
    let ends = (1..=text.len()).rev().filter(|end| text.is_char_boundary(*end));
    let (number, unit) = ends.filter_map(|end| Some((number(end)?, &text[end..]))).next()?;
    let unit = match unit.trim_start() {
        "us" => 1e-6,
        "" | "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let seconds = number * unit;
    Some(Duration::from_millis((seconds * 1e3).round() as u64))
}

/// In the largest unit that it is a multiple of, as PostgreSQL shows it.
fn shown(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")];
    let unit = units.into_iter().find(|(size, _)| milliseconds.is_multiple_of(*size));
    unit.map_or_else(|| milliseconds.to_string(), |(size, name)| format!("{}{name}", milliseconds / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_postgresql_reads_them() {
        let read = |text| milliseconds(text).map(|time| time.as_millis());
        assert_eq!(read("250"), Some(250));
        assert_eq!(read("'250'"), Some(250));
        assert_eq!(read("'1.5s'"), Some(1_500));
        assert_eq!(read("' 2 min '"), Some(120_000));
        assert_eq!(read("'1h'"), Some(3_600_000));
        assert_eq!(read("'1d'"), Some(86_400_000));
        assert_eq!(read("'1500us'"), Some(2));
        assert_eq!(read("3e2"), Some(300));
        assert_eq!(read("'3e2ms'"), Some(300));
        assert_eq!(read("'0x100'"), Some(256));
        assert_eq!(read("'10 S'"), None);
        assert_eq!(read("DEFAULT"), None);
        assert_eq!(read("-1"), None);
    }

    #[test]
    fn times_are_shown_as_postgresql_shows_them() {
        let show = |milliseconds| shown(Duration::from_millis(milliseconds));
        assert_eq!(show(250), "250ms");
        assert_eq!(show(1_000), "1s");
        assert_eq!(show(90_000), "90s");
        assert_eq!(show(120_000), "2min");
        assert_eq!(show(86_400_000), "1d");
    }
}
