//! The board on which workers say how their pools stand, so that others can read it.
//!
//! Pools belong to their worker's thread and have no locks. Once a second the worker puts a copy of its figures here,
//! and the console sums the copies: what a statement does costs nothing for it, and a figure is at most a second old.
//!
//! Invariants:
//! 1. Each worker has one place, which it alone writes; a reader sees a whole report.

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::backend::pool::PoolFigures;

/// One pool of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolReport {
    /// The account on the server.
    pub user: String,
    pub figures: PoolFigures,
}

/// The plan cache of one worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlansReport {
    pub plans: usize,
    pub bytes: usize,
    pub hits: u64,
    pub misses: u64,
}

/// What every worker last said.
#[derive(Debug)]
pub struct PoolBoard {
    places: Box<[ArcSwap<Vec<PoolReport>>]>,
    plans: Box<[ArcSwap<PlansReport>]>,
}

impl PoolBoard {
    pub fn new(workers: usize) -> Self {
        Self {
            places: (0..workers).map(|_| ArcSwap::default()).collect(),
            plans: (0..workers).map(|_| ArcSwap::default()).collect(),
        }
    }

    /// Replaces what `worker` has said before.
    pub fn publish(&self, worker: usize, figures: Vec<(Rc<str>, PoolFigures)>) {
        let Some(place) = self.places.get(worker) else { return };
        let report = |(user, figures): (Rc<str>, PoolFigures)| PoolReport { user: (*user).into(), figures };
        place.store(Arc::new(figures.into_iter().map(report).collect()));
    }

    pub fn publish_plans(&self, worker: usize, report: PlansReport) {
        if let Some(place) = self.plans.get(worker) {
            place.store(Arc::new(report));
        }
    }

    /// The plan caches of all workers, in their order.
    pub fn plans(&self) -> Vec<PlansReport> {
        self.plans.iter().map(|place| **place.load()).collect()
    }

    /// The reports of all workers, one after the other.
    pub fn reports(&self) -> Vec<PoolReport> {
        self.places.iter().flat_map(|place| place.load().iter().cloned().collect::<Vec<_>>()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::NodeId;

    #[test]
    fn a_worker_replaces_its_own_report_only() {
        let board = PoolBoard::new(2);
        let figures = |idle| PoolFigures {
            node: NodeId(0),
            idle,
            total: 4,
            waiting: 0,
            size: None,
            servers: Vec::new(),
        };
        board.publish(0, vec![("a".into(), figures(1))]);
        board.publish(1, vec![("a".into(), figures(2))]);
        board.publish(0, vec![("a".into(), figures(3))]);
        board.publish(7, vec![("a".into(), figures(4))]);
        assert_eq!(board.reports().iter().map(|r| r.figures.idle).collect::<Vec<_>>(), [3, 2]);
    }
}
