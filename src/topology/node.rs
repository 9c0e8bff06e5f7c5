//! What is known of a node at this moment: role, timeline, replay position, lag, load.
//!
//! `health` is the one writer of everything but `in_use`, which `backend` counts, and `disabled`, which the console sets.
//! Readers take each field by
//! itself: fields are not a consistent set, so a choice made from them must be safe when any one is a probe old.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::ids::Lsn;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// Not asked yet.
    Unknown,
    Primary,
    Replica,
    /// Failed as many probes as configured.
    Down,
}

#[derive(Debug, Default)]
pub struct NodeState {
    role: AtomicU8,
    timeline: AtomicU32,
    /// 0: not known.
    system_identifier: AtomicU64,
    position: AtomicU64,
    lag_micros: AtomicU64,
    lag_bytes: AtomicU64,
    round_trip_micros: AtomicU64,
    in_use: AtomicU32,
    disabled: AtomicBool,
    superseded: AtomicBool,
    promotions: AtomicU64,
}

impl NodeState {
    pub fn role(&self) -> NodeRole {
        match self.role.load(Ordering::Acquire) {
            1 => NodeRole::Primary,
            2 => NodeRole::Replica,
            3 => NodeRole::Down,
            _ => NodeRole::Unknown,
        }
    }

    pub fn set_role(&self, role: NodeRole) {
        let code = match role {
            NodeRole::Unknown => 0,
            NodeRole::Primary => 1,
            NodeRole::Replica => 2,
            NodeRole::Down => 3,
        };
        let before = self.role.swap(code, Ordering::AcqRel);
        if before == 2 && role == NodeRole::Primary {
            self.promotions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Times it was seen as a replica and then as the primary.
    pub fn promotions(&self) -> u64 {
        self.promotions.load(Ordering::Relaxed)
    }

    pub fn timeline(&self) -> u32 {
        self.timeline.load(Ordering::Acquire)
    }

    pub fn set_timeline(&self, timeline: u32) {
        self.timeline.store(timeline, Ordering::Release);
    }

    /// Of the cluster whose data it has; None if the account may not see it.
    pub fn system_identifier(&self) -> Option<u64> {
        Some(self.system_identifier.load(Ordering::Acquire)).filter(|identifier| *identifier > 0)
    }

    pub fn set_system_identifier(&self, identifier: Option<u64>) {
        self.system_identifier.store(identifier.unwrap_or(0), Ordering::Release);
    }

    /// Written position of a primary, replayed position of a replica, at the last probe.
    pub fn position(&self) -> Lsn {
        Lsn(self.position.load(Ordering::Acquire))
    }

    pub fn set_position(&self, lsn: Lsn) {
        self.position.store(lsn.0, Ordering::Release);
    }

    /// How far behind its primary a replica is, in time; zero for a primary.
    pub fn lag(&self) -> Duration {
        Duration::from_micros(self.lag_micros.load(Ordering::Acquire))
    }

    pub fn set_lag(&self, lag: Duration) {
        self.lag_micros.store(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
    }

    pub fn lag_bytes(&self) -> u64 {
        self.lag_bytes.load(Ordering::Acquire)
    }

    pub fn set_lag_bytes(&self, bytes: u64) {
        self.lag_bytes.store(bytes, Ordering::Release);
    }

    /// Smoothed time of a probe's round trip.
    pub fn round_trip(&self) -> Duration {
        Duration::from_micros(self.round_trip_micros.load(Ordering::Acquire))
    }

    pub fn set_round_trip(&self, time: Duration) {
        self.round_trip_micros.store(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Another node is the primary in its place, and it does not know: nothing is sent to it, and nothing that it says counts,
    /// on connections that exist neither.
    pub fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Relaxed)
    }

    pub fn set_superseded(&self, superseded: bool) {
        self.superseded.store(superseded, Ordering::Relaxed);
    }

    /// An operator wants nothing new sent to it.
    pub fn is_disabled(&self) -> bool {
        self.disabled.load(Ordering::Relaxed)
    }

    pub fn set_disabled(&self, disabled: bool) {
        self.disabled.store(disabled, Ordering::Relaxed);
    }

    /// Server connections to this node that are serving a client now.
    pub fn in_use(&self) -> u32 {
        self.in_use.load(Ordering::Relaxed)
    }

    pub fn add_in_use(&self) {
        self.in_use.fetch_add(1, Ordering::Relaxed);
    }

    pub fn sub_in_use(&self) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}
