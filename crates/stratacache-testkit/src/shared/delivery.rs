//! What a node has applied, and how it goes on.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use stratacache_core::{
    coordinator::{LaneSnapshot, Subscriber},
    stamp::{LANES, Lane, Position},
};

use super::{SharedStore, lane::News};

/// The subscriber, and where it is in each lane. The lock of a lane is held over the calls of the subscriber for it, so
/// that they come one at a time.
pub(super) struct Delivery {
    subscriber: Mutex<Option<Arc<dyn Subscriber>>>,
    reached: Vec<Mutex<Position>>,
    subscribed: AtomicU64,
    snapshots: AtomicU64,
}

impl Delivery {
    pub(super) fn new() -> Self {
        Self {
            subscriber: Mutex::default(),
            reached: (0..=LANES).map(|_| Mutex::default()).collect(),
            subscribed: AtomicU64::new(0),
            snapshots: AtomicU64::new(0),
        }
    }

    pub(super) fn snapshots(&self) -> u64 {
        self.snapshots.load(Ordering::SeqCst)
    }

    pub(super) fn subscriber(&self) -> Option<Arc<dyn Subscriber>> {
        self.subscriber.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Delivers to a subscriber from now on, which begins with snapshots; returns its number.
    pub(super) fn begin(&self, subscriber: Arc<dyn Subscriber>) -> u64 {
        self.set(Some(subscriber));
        self.subscribed.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Delivers nothing any more, if the subscriber is still the one with that number.
    pub(super) fn end(&self, number: u64) -> bool {
        let mine = self.subscribed.load(Ordering::SeqCst) == number;
        if mine {
            self.set(None);
        }
        mine
    }

    fn set(&self, subscriber: Option<Arc<dyn Subscriber>>) {
        let mut places: Vec<_> = Lane::all().map(|lane| self.lane(lane)).collect();
        places.iter_mut().for_each(|place| **place = Position::default());
        *self.subscriber.lock().unwrap_or_else(PoisonError::into_inner) = subscriber;
    }

    /// Returns the place in a lane that is reached.
    pub(super) fn reached(&self, lane: Lane) -> Position {
        *self.lane(lane)
    }

    fn lane(&self, lane: Lane) -> MutexGuard<'_, Position> {
        self.reached[lane.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the answer to a question asked from a place; returns the place reached.
    pub(super) fn absorb(&self, store: &SharedStore, lane: Lane, asked: Position, reply: News) -> Position {
        let mut reached = self.lane(lane);
        let Some(subscriber) = self.subscriber() else { return *reached };
        // the lane went over to another history while the answer was on its way: it may be of an older one
        let reply = if reached.incarnation == asked.incarnation { reply } else { store.since(lane, *reached, false) };
        match reply {
            News::Messages(messages) => {
                for message in messages {
                    if message.position.seq > reached.seq {
                        subscriber.apply(&message);
                        *reached = message.position;
                    }
                }
            }
            // the same history, and others have brought the node as far
            News::Snapshot(snapshot)
                if snapshot.position.incarnation == reached.incarnation && snapshot.position.seq <= reached.seq => {}
            News::Snapshot(snapshot) => self.take_over(&*subscriber, &mut reached, snapshot),
        }
        *reached
    }

    /// Delivers messages of the stream as they come; returns how many.
    pub(super) fn tail(&self, store: &SharedStore, lane: Lane, most: usize, keep: bool) -> usize {
        let mut reached = self.lane(lane);
        let Some(subscriber) = self.subscriber() else { return 0 };
        if *reached == Position::default() {
            return 0; // its first snapshot is on the way
        }
        let mut count = 0;
        for message in store.messages_after(lane, reached.seq).iter().take(most) {
            count += 1;
            let next = Position { seq: reached.seq + 1, ..*reached };
            if message.position == next {
                subscriber.apply(message);
                *reached = next;
                continue;
            }
            let News::Snapshot(snapshot) = store.since(lane, Position::default(), keep) else { break };
            self.take_over(&*subscriber, &mut reached, snapshot);
            break;
        }
        count
    }

    fn take_over(&self, subscriber: &dyn Subscriber, reached: &mut Position, snapshot: LaneSnapshot) {
        *reached = snapshot.position;
        self.snapshots.fetch_add(1, Ordering::SeqCst);
        subscriber.snapshot(snapshot);
    }
}
