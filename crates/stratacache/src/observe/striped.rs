//! A counter for what happens all the time: most threads add to a place of their own, without a locked instruction.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use once_cell::race::OnceBox;

/// So many threads at a time have a place of their own; the others share one.
const PLACES: usize = 8;

/// Which places belong to a thread.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The place of a thread, in every counter; free again when the thread ends.
struct Place(Option<usize>);

impl Place {
    fn take() -> Self {
        let free = |taken: u64| Some(taken.trailing_ones() as usize).filter(|place| *place < PLACES);
        // what the thread before did to the counters is seen before they are added to
        let taken = TAKEN.fetch_update(Acquire, Relaxed, |taken| free(taken).map(|place| taken | 1 << place));
        Self(taken.ok().and_then(free))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            TAKEN.fetch_and(!(1 << place), Release);
        }
    }
}

thread_local! {
    static PLACE: Place = Place::take();
}

/// A line of memory of its own: two threads that write into one would wait for each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

/// Counts up; nothing is lost, however many threads do. The places are made at the first count.
#[derive(Debug, Default)]
pub(super) struct Striped {
    own: OnceBox<[Line; PLACES]>,
    shared: AtomicU64,
}

impl Striped {
    #[inline]
    pub(super) fn count(&self) {
        // a thread that is ending has no place any more
        match PLACE.try_with(|place| place.0) {
            Ok(Some(place)) => {
                let own = &self.own.get_or_init(Box::default)[place].0;
                // only this thread writes here
                own.store(own.load(Relaxed) + 1, Relaxed);
            }
            _ => {
                self.shared.fetch_add(1, Relaxed);
            }
        }
    }

    pub(super) fn get(&self) -> u64 {
        let own = self.own.get().into_iter().flatten().map(|place| place.0.load(Relaxed)).sum::<u64>();
        own + self.shared.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_with_more_threads_than_places_and_threads_that_come_and_go() {
        let counter = Striped::default();
        for _ in 0..20 {
            std::thread::scope(|scope| {
                for _ in 0..2 * PLACES {
                    scope.spawn(|| (0..1_000).for_each(|_| counter.count()));
                }
            });
        }
        assert_eq!(counter.get(), 20 * 2 * PLACES as u64 * 1_000);
    }
}
