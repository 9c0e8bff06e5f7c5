//! OFFSET and LIMIT over a stream of rows.
//!
//! Each shard was asked for limit + offset rows, so the cut happens here, once, over all of them. Used by the
//! driver of a Concat and inside [`super::RowMerge`].
//!
//! Invariant: a row beyond OFFSET is never skipped, and no row passes after LIMIT rows have passed.

/// What to do with the next row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// The row is within OFFSET: drop it.
    Skip,
    /// Send the row.
    Pass,
    /// No further row is needed: the servers may be told to stop.
    Stop,
}

/// Counts rows against OFFSET and LIMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limiter {
    to_skip: u64,
    remaining: Option<u64>,
}

impl Limiter {
    /// `limit` None: no limit.
    pub fn new(offset: u64, limit: Option<u64>) -> Self {
        Self { to_skip: offset, remaining: limit }
    }

    /// Every row passes.
    pub fn unlimited() -> Self {
        Self::new(0, None)
    }

    /// Whether no row can pass any more. True from the start for LIMIT 0.
    pub fn is_exhausted(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Counts one row.
    pub fn admit(&mut self) -> Admit {
        if self.is_exhausted() {
            return Admit::Stop;
        }
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return Admit::Skip;
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining -= 1;
        }
        Admit::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_comes_before_limit() {
        let mut limiter = Limiter::new(2, Some(2));
        let seen: Vec<Admit> = (0..6).map(|_| limiter.admit()).collect();
        use Admit::{Pass, Skip, Stop};
        assert_eq!(seen, [Skip, Skip, Pass, Pass, Stop, Stop]);
    }

    #[test]
    fn limit_zero_is_exhausted_at_once() {
        assert!(Limiter::new(5, Some(0)).is_exhausted());
        assert!(!Limiter::new(5, None).is_exhausted());
        assert!(!Limiter::unlimited().is_exhausted());
    }
}
