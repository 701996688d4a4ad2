//! The places for loads of one tenant: readers take any, warm-ups only those that leave enough for readers.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

/// `max_loads` places.
pub(crate) struct Places {
    free: Semaphore,
    all: usize,
    freed: Notify,
    /// Warm-ups take places one after the other, so that two of them do not take the last for readers together.
    warming: Mutex<()>,
}

/// The right to run one load. Given back when dropped.
pub(crate) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        // whoever waits for any place has it from here: readers go first
        self.0.free.add_permits(1);
        self.0.freed.notify_waiters();
    }
}

/// Wakes warm-ups whichever way a reader stops waiting: a place that was meant for it may be free again.
struct Wake<'a>(&'a Notify);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

impl Places {
    pub(crate) fn new(all: usize) -> Self {
        Self { free: Semaphore::new(all), all, freed: Notify::new(), warming: Mutex::new(()) }
    }

    pub(crate) fn all(&self) -> usize {
        self.all
    }

    /// Waits for a place, in turn. `None` if there will never be one.
    pub(crate) async fn take(self: &Arc<Self>) -> Option<Place> {
        let _wake = Wake(&self.freed);
        self.free.acquire().await.ok()?.forget();
        Some(Place(Arc::clone(self)))
    }

    /// Takes a place if one is free, and nobody waits for it.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<Place> {
        self.free.try_acquire().ok()?.forget();
        Some(Place(Arc::clone(self)))
    }

    /// Takes a place if that leaves so many free for others, and nobody waits for one.
    fn try_take_leaving(self: &Arc<Self>, others: usize) -> Option<Place> {
        let _one_by_one = self.warming.lock();
        if self.free.available_permits() <= others {
            return None;
        }
        self.free.try_acquire().ok()?.forget();
        Some(Place(Arc::clone(self)))
    }

    /// Waits until a place can be taken that leaves so many free for others.
    ///
    /// # Cancel safety
    /// May be dropped at any time; nobody waits behind it.
    pub(crate) async fn take_leaving(self: &Arc<Self>, others: usize) -> Place {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(place) = self.try_take_leaving(others) {
                return place;
            }
            freed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, pin::pin, task::Context};

    fn polled<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn a_warm_up_leaves_places_and_readers_who_wait_go_first() {
        let places = Arc::new(Places::new(3));
        let first = polled(pin!(places.take_leaving(2))).expect("three are free");
        let mut second = pin!(places.take_leaving(2));
        assert!(polled(second.as_mut()).is_none(), "two must stay free");
        let readers = [polled(pin!(places.take())).flatten(), polled(pin!(places.take())).flatten()];
        assert!(readers.iter().all(Option::is_some), "and readers have them");
        let mut third = pin!(places.take());
        assert!(polled(third.as_mut()).is_none());
        drop(first);
        assert!(polled(second.as_mut()).is_none(), "the reader who waits was given it");
        let third = polled(third).flatten().expect("it was given to this one");
        drop((readers, third));
        assert!(polled(second).is_some());
    }

    #[test]
    fn a_reader_that_gives_up_with_a_place_meant_for_it_wakes_warm_ups() {
        let places = Arc::new(Places::new(1));
        let only = polled(pin!(places.take())).flatten();
        let mut reader = Box::pin(places.take());
        assert!(polled(reader.as_mut()).is_none());
        let warming = places.freed.notified();
        let mut warming = pin!(warming);
        drop(only);
        assert!(polled(warming.as_mut()).is_none() || places.try_take_leaving(0).is_none(), "it is the reader's");
        let mut again = pin!(places.freed.notified());
        again.as_mut().enable();
        drop(reader);
        assert!(polled(again).is_some(), "woken");
        assert!(places.try_take_leaving(0).is_some());
    }
}
