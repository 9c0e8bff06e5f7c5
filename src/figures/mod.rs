//! What the process counts: one set of counters for each worker, summed when somebody looks.
//!
//! `server` makes one [`Figures`]; each worker holds its own [`WorkerFigures`] and is the only thread that writes them,
//! so that counting is a load, an addition and a store without a lock prefix, and no cache line is written by two
//! threads. `admin` sums them: the console for `SHOW STATS`, the HTTP address for Prometheus.
//!
//! ```text
//!   worker 1 ─ add ─▶ WorkerFigures ┐
//!   worker 2 ─ add ─▶ WorkerFigures ┴─ sum ─▶ admin: SHOW STATS, /metrics
//! ```
//!
//! Invariants:
//! 1. A statement costs three additions and one pair of clock reads; nothing is allocated.
//! 2. The number of counters depends on the configuration only, never on what clients send.
//! 3. A number that the configuration did not have at the start is not counted, and counts nobody else's.
//!
//! Not here: names and units of what is shown (`admin::metrics`), roles and lag (`topology::node`), outcomes of
//! two-phase commits (`transaction::registry`).

mod count;
mod statement;
mod throttle;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

pub use count::{BUCKETS, Count, Counts, Histogram, HistogramSum};
pub use statement::{Route, Verb};
pub use throttle::Throttle;

use crate::topology::{NodeId, RegionId};
use crate::wire::error::SqlState;
use crate::wire::fault::{CLASSES, Fault};

/// How much there is to count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    pub workers: usize,
    pub regions: usize,
    pub nodes: usize,
}

/// Of the whole process.
#[derive(Debug)]
pub struct Figures {
    /// Clients that are connected now. Shared by all threads: touched when one comes or goes.
    pub clients: AtomicU32,
    /// Connections that have not said yet who they are.
    pub arriving: AtomicU32,
    pub workers: Box<[Arc<WorkerFigures>]>,
    pub extent: Extent,
}

impl Default for Figures {
    fn default() -> Self {
        Self::new(Extent { workers: 1, ..Extent::default() })
    }
}

impl Figures {
    pub fn new(extent: Extent) -> Self {
        let workers = (0..extent.workers).map(|_| Arc::new(WorkerFigures::new(&extent))).collect();
        Self { clients: AtomicU32::new(0), arriving: AtomicU32::new(0), workers, extent }
    }

    /// Of one worker; the index is its place among the workers.
    pub fn worker(&self, index: usize) -> Arc<WorkerFigures> {
        self.workers.get(index).map_or_else(|| Arc::new(WorkerFigures::new(&self.extent)), Arc::clone)
    }

    pub fn sum(&self, count: impl Fn(&WorkerFigures) -> u64) -> u64 {
        self.workers.iter().map(|worker| count(worker)).sum()
    }

    /// Statements of any verb that took this route.
    pub fn on_route(&self, route: Route) -> u64 {
        let places = 0..=self.extent.regions;
        let all = Verb::ALL.iter().flat_map(|verb| places.clone().map(move |place| (*verb, place)));
        all.map(|(verb, place)| self.sum(|worker| worker.statements(verb, route, place))).sum()
    }

    pub fn latency(&self, route: Route, place: usize) -> HistogramSum {
        let histograms = self
            .workers
            .iter()
            .filter_map(|worker| worker.latency.get(route as usize * worker.places + place));
        HistogramSum::of(histograms)
    }
}

/// Of one worker, which alone writes them.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerFigures {
    pub connections: Count,
    pub transactions: Count,
    pub retries: Count,
    pub replica_reads: Count,
    pub pins: Count,
    pub plan_hits: Count,
    pub plan_misses: Count,
    /// Now, not since the start.
    pub plan_entries: Count,
    pub plan_bytes: Count,
    pub rows: Count,
    pub client_received: Count,
    pub client_sent: Count,
    pub server_received: Count,
    pub server_sent: Count,
    statements: Counts,
    latency: Box<[Histogram]>,
    errors: Counts,
    refusals: Counts,
    nodes: Box<[NodeFigures]>,
    /// Regions, and the one place for what no single region answered.
    places: usize,
}

impl Default for WorkerFigures {
    fn default() -> Self {
        Self::new(&Extent::default())
    }
}

/// What one worker has met with one node.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct NodeFigures {
    /// How long sessions waited in line for a connection.
    pub waits: Histogram,
    pub connects: Count,
    pub failed_connects: Count,
}

impl WorkerFigures {
    pub fn new(extent: &Extent) -> Self {
        let places = extent.regions + 1;
        Self {
            connections: Count::default(),
            transactions: Count::default(),
            retries: Count::default(),
            replica_reads: Count::default(),
            pins: Count::default(),
            plan_hits: Count::default(),
            plan_misses: Count::default(),
            plan_entries: Count::default(),
            plan_bytes: Count::default(),
            rows: Count::default(),
            client_received: Count::default(),
            client_sent: Count::default(),
            server_received: Count::default(),
            server_sent: Count::default(),
            statements: Counts::new(Verb::ALL.len() * Route::ALL.len() * places),
            latency: (0..Route::ALL.len() * places).map(|_| Histogram::default()).collect(),
            errors: Counts::new(Fault::ALL.len() * CLASSES.len()),
            refusals: Counts::new(REFUSAL_LETTERS.len() * REFUSALS_MAX),
            nodes: (0..extent.nodes).map(|_| NodeFigures::default()).collect(),
            places,
        }
    }

    /// Statements that ended, `count` of them in `time`; `region`: of the shard, if one answered.
    pub fn statement(&self, verb: Verb, route: Route, region: Option<RegionId>, count: u64, time: Duration) {
        let last = self.places - 1;
        let place = region.map_or(last, |region| usize::from(region.0).min(last));
        self.statements.add((verb as usize * Route::ALL.len() + route as usize) * self.places + place, count);
        if let Some(histogram) = self.latency.get(route as usize * self.places + place) {
            histogram.record(time, count);
        }
    }

    /// `place`: a region's index, or the number of regions for what no single one answered.
    pub fn statements(&self, verb: Verb, route: Route, place: usize) -> u64 {
        self.statements.get((verb as usize * Route::ALL.len() + route as usize) * self.places + place)
    }

    pub fn error(&self, fault: Fault, state: &SqlState) {
        self.errors.add(fault as usize * CLASSES.len() + crate::wire::fault::class_index(state), 1);
    }

    pub fn errors(&self, fault: Fault, class: usize) -> u64 {
        self.errors.get(fault as usize * CLASSES.len() + class)
    }

    /// By its number: a letter of [`REFUSAL_LETTERS`] and digits.
    pub fn refusal(&self, code: &str) {
        let (letter, digits) = code.split_at_checked(1).unwrap_or_default();
        let letter = REFUSAL_LETTERS.iter().position(|known| *known == letter);
        let number = digits.parse().ok().filter(|number: &usize| *number < REFUSALS_MAX);
        if let (Some(letter), Some(number)) = (letter, number) {
            self.refusals.add(letter * REFUSALS_MAX + number, 1);
        }
    }

    pub fn refusals(&self, letter: usize, number: usize) -> u64 {
        self.refusals.get(letter * REFUSALS_MAX + number)
    }

    /// Of all numbers.
    pub fn refused(&self) -> u64 {
        (0..REFUSAL_LETTERS.len() * REFUSALS_MAX).map(|index| self.refusals.get(index)).sum()
    }

    /// Errors of all classes.
    pub fn failed(&self) -> u64 {
        (0..Fault::ALL.len() * CLASSES.len()).map(|index| self.errors.get(index)).sum()
    }

    pub fn node(&self, node: NodeId) -> Option<&NodeFigures> {
        self.nodes.get(usize::from(node.0))
    }
}

/// Lists of refusals: of planning, of the combining of several shards' rows, and of running.
pub const REFUSAL_LETTERS: [&str; 3] = ["M", "S", "X"];
/// Numbers of a list are below this.
pub const REFUSALS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        Figures::new(Extent { workers: 2, regions: 2, nodes: 1 })
    }

    #[test]
    fn statements_of_all_workers_are_summed_by_route() {
        let figures = figures();
        let time = Duration::from_millis(3);
        figures.worker(0).statement(Verb::Select, Route::Relay, Some(RegionId(1)), 1, time);
        figures.worker(1).statement(Verb::Insert, Route::Relay, Some(RegionId(1)), 2, time);
        figures.worker(1).statement(Verb::Select, Route::Scatter, None, 1, time);
        assert_eq!(figures.on_route(Route::Relay), 3);
        assert_eq!(figures.on_route(Route::Scatter), 1);
        assert_eq!(figures.latency(Route::Relay, 1).count(), 3);
        assert_eq!(figures.latency(Route::Relay, 0).count(), 0);
        assert_eq!(figures.latency(Route::Scatter, 2).count(), 1);
    }

    #[test]
    fn numbers_beyond_the_extent_count_nobody_elses() {
        let figures = figures();
        let worker = figures.worker(0);
        for code in ["M999", "Y001", "", "ü", "M002", "S002", "S002"] {
            worker.refusal(code);
        }
        assert_eq!((worker.refusals(0, 2), worker.refusals(1, 2)), (1, 2));
        let all = (0..3).flat_map(|letter| (0..REFUSALS_MAX).map(move |number| (letter, number)));
        assert_eq!(all.map(|(letter, number)| worker.refusals(letter, number)).sum::<u64>(), 3);
        assert!(worker.node(NodeId(1)).is_none());
        worker.statement(Verb::Other, Route::Local, Some(RegionId(9)), 1, Duration::ZERO);
        assert_eq!(worker.statements(Verb::Other, Route::Local, 2), 1);
    }

    #[test]
    fn errors_are_kept_by_fault_and_class() {
        let worker = figures().worker(0);
        worker.error(Fault::Client, &SqlState::SYNTAX_ERROR);
        let class = crate::wire::fault::class_index(&SqlState::SYNTAX_ERROR);
        assert_eq!(worker.errors(Fault::Client, class), 1);
        assert_eq!(worker.errors(Fault::Server, class), 0);
    }
}
