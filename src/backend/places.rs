//! Who may have how many connections to a node, and who waits for one: the ledger behind one worker's pools.
//!
//! Used by [`super::pool`] only. Nothing here waits or connects: it counts, and hands what becomes free to whoever has waited
//! longest and can use it.
//!
//! ```text
//!   Ledger (a node) ─┬─ NodePool (account "app")   idle, total ≤ limit, waiters 3 7
//!    total ≤ bound   └─ NodePool (account "batch") idle, total ≤ limit, waiters 5        tickets, one row per node
//! ```
//!
//! Invariants:
//! 1. `total` counts the connections that exist or are being made; a [`Slot`] gives its place back when dropped, so that no
//!    path, error or panic can lose one.
//! 2. Where the node has no room, nothing lies idle while somebody waits who could have its place: what becomes free goes
//!    to the lowest ticket, across accounts. For another account the connection is closed, and its place is handed on.
//! 3. Who waits because the own account has no room is passed by those whose accounts have.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use super::connection::{Connection, Lifeline};
use super::line::{Giver, Places, Taker};
use super::placeholders::Wanted;
use crate::topology::NodeState;

/// All connections of this worker to one node.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    total: Cell<usize>,
    /// Over all accounts; None: as many as the accounts may have.
    bound: Cell<Option<usize>>,
    /// Tickets in the queues, those of who has gone too.
    waiting: Cell<usize>,
    next_ticket: Cell<u64>,
    pools: RefCell<Vec<Weak<NodePool>>>,
}

/// Those of one account.
#[derive(Debug)]
pub(super) struct NodePool {
    ledger: Rc<Ledger>,
    #[expect(clippy::vec_box, reason = "a connection moves as a pointer, from here to its lane and back")]
    pub idle: RefCell<Vec<Box<Connection>>>,
    total: Cell<usize>,
    limit: Cell<usize>,
    /// Where its account has a size of its own, over all workers.
    pub size: Cell<Option<usize>>,
    /// Its connections that are older are closed when they are free.
    renewed: Cell<Option<Instant>>,
    waiters: RefCell<VecDeque<Waiter>>,
    places: RefCell<Places<Grant>>,
    /// Of all connections, lent ones too.
    pub lifelines: RefCell<Vec<Weak<Lifeline>>>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    place: Giver<Grant>,
}

#[derive(Debug)]
pub(super) enum Grant {
    Connection(Box<Connection>),
    /// A place in the pool: the waiter makes its own connection.
    Place(Slot),
}

/// A place in a pool. Dropping it frees the place.
#[derive(Debug)]
pub struct Slot {
    pool: Weak<NodePool>,
    state: Arc<NodeState>,
    lent: bool,
}

impl Ledger {
    pub fn set_bound(&self, bound: Option<usize>) {
        self.bound.set(bound);
    }

    fn has_room(&self) -> bool {
        self.bound.get().is_none_or(|bound| self.total.get() < bound)
    }

    /// The pool with the lowest ticket among those that have room.
    fn first_in_line(&self) -> Option<(u64, Rc<NodePool>)> {
        let pools = self.pools.borrow();
        let waiting = pools.iter().filter_map(Weak::upgrade).filter(|pool| pool.has_room());
        let tickets = waiting.filter_map(|pool| pool.front().map(|ticket| (ticket, pool)));
        tickets.min_by_key(|(ticket, _)| *ticket)
    }

    /// Hands free places to those who wait.
    fn serve(&self, state: &Arc<NodeState>) {
        while self.waiting.get() > 0 && self.has_room() {
            let Some((_, pool)) = self.first_in_line() else { return };
            let Some(waiter) = pool.pop() else { return };
            // Had the waiter gone, the place would come back here.
            let _ = waiter.place.give(Grant::Place(Slot::new(&pool, state)));
        }
    }
}

impl NodePool {
    pub fn new(ledger: &Rc<Ledger>) -> Rc<Self> {
        let pool = Rc::new(Self {
            ledger: Rc::clone(ledger),
            idle: RefCell::default(),
            total: Cell::new(0),
            limit: Cell::new(usize::MAX),
            size: Cell::new(None),
            renewed: Cell::new(None),
            waiters: RefCell::default(),
            places: RefCell::default(),
            lifelines: RefCell::default(),
        });
        let mut pools = ledger.pools.borrow_mut();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Rc::downgrade(&pool));
        pool
    }

    pub fn total(&self) -> usize {
        self.total.get()
    }

    pub fn waiting(&self) -> usize {
        self.waiters.borrow().iter().filter(|waiter| !waiter.place.is_left()).count()
    }

    fn has_room(&self) -> bool {
        self.total.get() < self.limit.get()
    }

    /// A place, if the account and the node have one. `limit` is the account's on this worker.
    pub fn free_place(self: &Rc<Self>, limit: usize, state: &Arc<NodeState>) -> Option<Slot> {
        self.limit.set(limit);
        (self.has_room() && self.ledger.has_room()).then(|| Slot::new(self, state))
    }

    /// Closes what has lain idle longest on the node, so that this account gets its place; whether there was anything.
    pub fn make_room(&self) -> bool {
        if !self.has_room() || self.ledger.has_room() {
            return false;
        }
        let pools: Vec<_> = self.ledger.pools.borrow().iter().filter_map(Weak::upgrade).collect();
        let oldest = pools.iter().filter_map(|pool| {
            let idle = pool.idle.borrow();
            let (index, connection) = idle.iter().enumerate().min_by_key(|(_, line)| line.idle_since)?;
            Some((connection.idle_since, index, pool))
        });
        let Some((_, index, pool)) = oldest.min_by_key(|(since, ..)| *since) else { return false };
        let closed = pool.idle.borrow_mut().swap_remove(index);
        drop(closed);
        true
    }

    /// Every connection that exists is to be replaced by a new one when it is free.
    pub fn renew(&self) {
        self.renewed.set(Some(Instant::now()));
    }

    /// It was made before all were to be renewed.
    pub fn is_outdated(&self, connection: &Connection) -> bool {
        self.renewed.get().is_some_and(|renewed| connection.born < renewed)
    }

    /// The connection that has lain idle for the shortest time of those that suit best.
    pub fn pop_idle(&self, wanted: Wanted<'_>) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let suits = idle.iter().rposition(|connection| wanted.suits(&connection.placeholders));
        let fits = || idle.iter().rposition(|connection| wanted.fits(&connection.placeholders));
        let index = suits.or_else(fits)?;
        Some(idle.remove(index))
    }

    /// Closes what has lain idle longest; whether there was anything.
    pub fn close_oldest(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        let oldest = (!idle.is_empty()).then(|| idle.remove(0));
        // Its place is given back only then.
        drop(idle);
        oldest.is_some()
    }

    /// Waits in line; the answer comes through the receiver, unless that is dropped.
    pub fn queue(&self) -> Taker<Grant> {
        let (place, taker) = self.places.borrow_mut().take();
        let ticket = self.ledger.next_ticket.get();
        self.ledger.next_ticket.set(ticket + 1);
        self.ledger.waiting.set(self.ledger.waiting.get() + 1);
        self.waiters.borrow_mut().push_back(Waiter { ticket, place });
        taker
    }

    /// A wait is over, with or without a grant.
    pub fn leave_queue(&self, taker: Taker<Grant>) {
        self.places.borrow_mut().keep(taker);
    }

    /// Takes a clean connection back: to the one who waits longest, or to lie idle.
    pub fn take_back(&self, connection: Box<Connection>) {
        let over = self.ledger.bound.get().is_some_and(|bound| self.ledger.total.get() > bound);
        if over {
            return;
        }
        if self.ledger.waiting.get() == 0 {
            return self.idle.borrow_mut().push(connection);
        }
        let own = self.front();
        let other = if self.ledger.has_room() { None } else { self.ledger.first_in_line() };
        let is_passed = other.is_some_and(|(ticket, _)| own.is_none_or(|own| ticket < own));
        if is_passed {
            // Its place goes on to them.
            return;
        }
        match self.pop() {
            Some(waiter) => {
                if let Err(Grant::Connection(back)) = waiter.place.give(Grant::Connection(connection)) {
                    self.idle.borrow_mut().push(back);
                }
            }
            None => self.idle.borrow_mut().push(connection),
        }
    }

    /// The ticket of the first who still waits.
    fn front(&self) -> Option<u64> {
        let mut waiters = self.waiters.borrow_mut();
        while let Some(waiter) = waiters.front() {
            if !waiter.place.is_left() {
                return Some(waiter.ticket);
            }
            waiters.pop_front();
            self.ledger.waiting.set(self.ledger.waiting.get() - 1);
        }
        None
    }

    fn pop(&self) -> Option<Waiter> {
        self.front()?;
        self.ledger.waiting.set(self.ledger.waiting.get() - 1);
        self.waiters.borrow_mut().pop_front()
    }
}

impl Slot {
    fn new(pool: &Rc<NodePool>, state: &Arc<NodeState>) -> Self {
        pool.total.set(pool.total.get() + 1);
        pool.ledger.total.set(pool.ledger.total.get() + 1);
        Self { pool: Rc::downgrade(pool), state: Arc::clone(state), lent: false }
    }

    pub(super) fn pool(&self) -> Option<Rc<NodePool>> {
        self.pool.upgrade()
    }

    pub(super) fn state(&self) -> &Arc<NodeState> {
        &self.state
    }

    pub(super) fn lend(&mut self) {
        if !self.lent {
            self.lent = true;
            self.state.add_in_use();
        }
    }

    pub(super) fn rest(&mut self) {
        if self.lent {
            self.lent = false;
            self.state.sub_in_use();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.rest();
        let Some(pool) = self.pool.upgrade() else { return };
        pool.total.set(pool.total.get() - 1);
        pool.ledger.total.set(pool.ledger.total.get() - 1);
        pool.ledger.serve(&self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = Taker<Grant>;

    fn place(line: &mut Line) -> Option<Slot> {
        match line.try_take() {
            Some(Grant::Place(slot)) => Some(slot),
            _ => None,
        }
    }

    fn ledger(bound: Option<usize>) -> (Rc<NodePool>, Rc<NodePool>, Arc<NodeState>) {
        let ledger = Rc::<Ledger>::default();
        ledger.set_bound(bound);
        (NodePool::new(&ledger), NodePool::new(&ledger), Arc::default())
    }

    #[test]
    fn places_of_a_full_node_go_to_the_longest_wait_of_any_account() {
        let (ann, ben, state) = ledger(Some(2));
        let first = ann.free_place(9, &state).unwrap();
        let second = ann.free_place(9, &state).unwrap();
        assert!(ann.free_place(9, &state).is_none() && ben.free_place(9, &state).is_none());
        let (mut one, gone, mut two, mut three) = (ben.queue(), ben.queue(), ann.queue(), ben.queue());
        drop(gone);
        drop(first);
        let served = place(&mut one).expect("ben came first");
        assert!(place(&mut two).is_none());
        drop(second);
        let also = place(&mut two).expect("then ann");
        assert!(place(&mut three).is_none());
        drop(served);
        assert!(place(&mut three).is_some());
        drop(also);
        assert_eq!((ann.total(), ben.total(), ann.ledger.total.get(), ann.waiting()), (0, 0, 0, 0));
    }

    #[test]
    fn an_account_without_room_is_passed() {
        let (ann, ben, state) = ledger(Some(2));
        let own = ann.free_place(1, &state).unwrap();
        let others = ben.free_place(9, &state).unwrap();
        let (mut first, mut second) = (ann.queue(), ben.queue());
        assert!(ann.free_place(1, &state).is_none());
        drop(others);
        let passed = place(&mut second).expect("ann has what she may have");
        assert!(place(&mut first).is_none());
        drop(own);
        assert!(place(&mut first).is_some());
        drop(passed);
        assert_eq!(ann.ledger.total.get(), 0);
    }

    #[test]
    fn without_a_bound_accounts_do_not_meet() {
        let (ann, ben, state) = ledger(None);
        let own = ann.free_place(1, &state).unwrap();
        let mut line = ann.queue();
        let others: Vec<Slot> = (0..5).filter_map(|_| ben.free_place(9, &state)).collect();
        drop(others);
        assert!(place(&mut line).is_none());
        drop(own);
        assert!(place(&mut line).is_some());
    }
}
