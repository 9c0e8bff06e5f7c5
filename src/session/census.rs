//! How many clients each user and each database has, over all workers.
//!
//! `admission` takes a [`Seat`] for every client that has shown who it is; the seat is given back when it is dropped,
//! whatever ended the client. Looked at once for each login and once for each end, so one lock serves all threads.
//!
//! Invariants:
//! 1. A limit of n admits exactly n, however many come at the same time: all counts of a client are compared and raised
//!    under one lock, or none is.
//! 2. Nothing is kept of who has no client: the map is as large as there are clients.
//!
//! Not here: the limits (`config`, as of the last reload), and that of all clients together (`greet::Counted`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What clients are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CountedBy {
    User(String),
    Database(String),
}

#[derive(Debug, Default)]
pub struct Census(Mutex<HashMap<CountedBy, usize>>);

/// One client among those of its user and of its database.
#[derive(Debug)]
pub struct Seat {
    census: Arc<Census>,
    counted: Vec<CountedBy>,
}

impl Census {
    /// Counts a client in, or says whose limit is reached. A limit of None is none.
    pub fn seat(self: &Arc<Self>, claims: Vec<(CountedBy, Option<usize>)>) -> Result<Seat, CountedBy> {
        let mut counts = self.lock();
        for (counted, limit) in &claims {
            let present = counts.get(counted).copied().unwrap_or(0);
            if limit.is_some_and(|limit| present >= limit) {
                return Err(counted.clone());
            }
        }
        let counted: Vec<_> = claims.into_iter().map(|(counted, _)| counted).collect();
        for counted in &counted {
            *counts.entry(counted.clone()).or_default() += 1;
        }
        drop(counts);
        Ok(Seat { census: Arc::clone(self), counted })
    }

    /// Clients at this moment.
    pub fn count(&self, counted: &CountedBy) -> usize {
        self.lock().get(counted).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CountedBy, usize>> {
        // A count is whole whenever the lock is free: nothing in between can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.census.lock();
        for counted in &self.counted {
            if let Some(count) = counts.get_mut(counted) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(counted);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(user: &str, most: usize, all: usize) -> Vec<(CountedBy, Option<usize>)> {
        vec![(CountedBy::User(user.to_owned()), Some(most)), (CountedBy::Database("d".to_owned()), Some(all))]
    }

    #[test]
    fn whoever_is_refused_is_counted_nowhere() {
        let census = Arc::new(Census::default());
        let ann = census.seat(claims("ann", 1, 2)).unwrap();
        assert_eq!(census.seat(claims("ann", 1, 2)).unwrap_err(), CountedBy::User("ann".to_owned()));
        let ben = census.seat(claims("ben", 1, 2)).unwrap();
        assert_eq!(census.seat(claims("eve", 1, 2)).unwrap_err(), CountedBy::Database("d".to_owned()));
        drop(ann);
        assert_eq!(census.count(&CountedBy::Database("d".to_owned())), 1);
        assert!(census.seat(claims("eve", 1, 2)).is_ok());
        drop(ben);
        assert!(census.lock().is_empty());
    }

    #[test]
    fn a_limit_holds_over_all_threads() {
        let census = Arc::new(Census::default());
        let seats: Vec<Seat> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|_| {
                    scope
                        .spawn(|| (0..50).filter_map(|_| census.seat(claims("ann", 33, 1000)).ok()).collect())
                })
                .collect();
            workers.into_iter().flat_map(|worker| -> Vec<Seat> { worker.join().unwrap() }).collect()
        });
        assert_eq!(seats.len(), 33);
        drop(seats);
        assert!(census.lock().is_empty());
    }
}
