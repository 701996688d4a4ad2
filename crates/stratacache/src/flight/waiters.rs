//! Who waits for a flight.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::table::{Flight, Outcome};

/// The wakers of those who wait; places of those who went away are used again.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Waiters {
    fn set(&mut self, place: Option<usize>, waker: &Waker) -> usize {
        let place = place.or_else(|| self.free.pop()).unwrap_or(self.wakers.len());
        if place == self.wakers.len() {
            self.wakers.push(None);
        }
        match &mut self.wakers[place] {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
        place
    }

    fn leave(&mut self, place: usize) {
        if self.wakers.get_mut(place).and_then(Option::take).is_some() {
            self.free.push(place);
        }
    }

    /// Takes all wakers, to be woken outside the lock.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.free.clear();
        std::mem::take(&mut self.wakers).into_iter().flatten()
    }
}

/// Waits for the outcome of a flight.
///
/// # Cancel safety
/// May be dropped at any time; neither the flight nor other waiters notice.
pub(crate) struct Wait<'a, T: Outcome> {
    flight: &'a Flight<T>,
    place: Option<usize>,
}

impl<T: Outcome> Flight<T> {
    /// Waits until the flight has landed.
    pub(crate) fn wait(&self) -> Wait<'_, T> {
        Wait { flight: self, place: None }
    }
}

impl<T: Outcome> Future for Wait<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.flight.state.lock();
        if let Some(outcome) = &state.outcome {
            let outcome = outcome.clone();
            drop(state);
            self.place = None;
            return Poll::Ready(outcome);
        }
        let place = state.waiters.set(self.place, cx.waker());
        drop(state);
        self.place = Some(place);
        Poll::Pending
    }
}

impl<T: Outcome> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut state = self.flight.state.lock();
            if state.outcome.is_none() {
                state.waiters.leave(place);
            }
        }
    }
}
