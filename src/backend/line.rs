//! A place in the line before a full pool: what the one who waits holds, and what the pool fills.
//!
//! Made by [`super::places`] for whoever [`super::pool`] lets wait; both are on one thread, so that nothing is locked. A
//! place is used again after its wait is over: waiting in line allocates nothing once the line has been as long before.
//!
//! Invariants:
//! 1. What was put into a place reaches the one who waits there, or is dropped with the place.
//! 2. A place is used again only when neither side holds it any more.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Both ends of one wait.
#[derive(Debug)]
struct Place<T> {
    given: Option<T>,
    /// The one who waits has gone.
    left: bool,
    waker: Option<Waker>,
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self { given: None, left: false, waker: None }
    }
}

/// The pool's end.
#[derive(Debug)]
pub(super) struct Giver<T>(Rc<RefCell<Place<T>>>);

/// The end of the one who waits: a future of what is given.
#[derive(Debug)]
pub(super) struct Taker<T>(Rc<RefCell<Place<T>>>);

/// Places that were used before.
#[derive(Debug)]
pub(super) struct Places<T>(Vec<Rc<RefCell<Place<T>>>>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Kept for later waits.
const PLACES_MAX: usize = 256;

impl<T> Places<T> {
    pub fn take(&mut self) -> (Giver<T>, Taker<T>) {
        let place = self.0.pop().unwrap_or_default();
        (Giver(Rc::clone(&place)), Taker(place))
    }

    /// Takes the place of a wait that is over, if its other end is no longer held.
    pub fn keep(&mut self, taker: Taker<T>) {
        let place = Rc::clone(&taker.0);
        drop(taker);
        if Rc::strong_count(&place) == 1 && self.0.len() < PLACES_MAX {
            *place.borrow_mut() = Place::default();
            self.0.push(place);
        }
    }
}

impl<T> Giver<T> {
    /// Gives it back if nobody waits any more.
    pub fn give(self, what: T) -> Result<(), T> {
        let mut place = self.0.borrow_mut();
        if place.left {
            return Err(what);
        }
        place.given = Some(what);
        if let Some(waker) = place.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    pub fn is_left(&self) -> bool {
        self.0.borrow().left
    }
}

impl<T> Taker<T> {
    /// What has been given so far.
    pub fn try_take(&mut self) -> Option<T> {
        self.0.borrow_mut().given.take()
    }
}

/// Cancel safe: yes, what is given stays in the place.
impl<T> Future for &mut Taker<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut place = self.0.borrow_mut();
        if let Some(given) = place.given.take() {
            return Poll::Ready(given);
        }
        match &mut place.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let given = {
            let mut place = self.0.borrow_mut();
            place.left = true;
            place.given.take()
        };
        // Not while the place is borrowed: what is dropped may look for the next in line.
        drop(given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_taken_or_comes_back() {
        let mut places = Places::default();
        let (giver, mut taker) = places.take();
        assert_eq!((giver.is_left(), taker.try_take()), (false, None));
        assert_eq!(giver.give(7), Ok(()));
        assert_eq!(taker.try_take(), Some(7));
        places.keep(taker);
        let (giver, taker) = places.take();
        assert!(places.0.is_empty(), "the place is used again");
        drop(taker);
        assert_eq!((giver.is_left(), giver.give(8)), (true, Err(8)));
    }

    #[test]
    fn a_place_that_somebody_holds_is_not_used_again() {
        let mut places = Places::<u8>::default();
        let (giver, taker) = places.take();
        places.keep(taker);
        assert!(places.0.is_empty() && giver.is_left());
    }
}
