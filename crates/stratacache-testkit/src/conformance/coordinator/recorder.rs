//! A subscriber that judges what it is told.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use stratacache_core::{
    clock::{Clock, Millis, SystemClock},
    coordinator::{Applied, Finding, LaneSnapshot, Question, Subscriber},
    stamp::{LANES, Lane, Position},
};

#[derive(Debug, Default)]
pub(super) struct LaneRecord {
    pub(super) snapshot: Option<Position>,
    pub(super) reached: Position,
    pub(super) messages: Vec<Applied>,
}

/// Checks with every call that calls of a lane come one at a time, after a snapshot, and dense.
#[derive(Debug)]
pub(super) struct Recorder {
    lanes: Vec<Mutex<LaneRecord>>,
    busy: Vec<AtomicBool>,
    broken: Mutex<Option<&'static str>>,
    clock: SystemClock,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            lanes: (0..=LANES).map(|_| Mutex::default()).collect(),
            busy: (0..=LANES).map(|_| AtomicBool::new(false)).collect(),
            broken: Mutex::new(None),
            clock: SystemClock::new(),
        }
    }

    /// Returns the record of a lane, after making sure that no clause was broken so far.
    pub(super) fn lane(&self, lane: Lane) -> MutexGuard<'_, LaneRecord> {
        let broken = *self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clause) = broken {
            panic!("{clause}");
        }
        self.record(lane)
    }

    fn record(&self, lane: Lane) -> MutexGuard<'_, LaneRecord> {
        self.lanes[lane.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, holds: bool, clause: &'static str) {
        if !holds {
            self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(clause);
        }
    }

    /// Runs a call of a lane, wide enough that another one beside it is noticed.
    fn alone(&self, lane: Lane, call: impl FnOnce(&mut LaneRecord)) {
        let busy = &self.busy[lane.index()];
        let first = !busy.swap(true, Ordering::SeqCst);
        self.check(first, "calls of the subscriber for one lane come one at a time");
        std::thread::yield_now();
        call(&mut self.record(lane));
        busy.store(false, Ordering::SeqCst);
    }
}

impl Subscriber for Recorder {
    fn snapshot(&self, snapshot: LaneSnapshot) {
        self.alone(snapshot.lane, |record| {
            self.check(
                snapshot.floors.marks <= snapshot.position.seq,
                "the floor of a snapshot is not above its position",
            );
            record.snapshot = Some(snapshot.position);
            record.reached = snapshot.position;
        });
    }

    fn apply(&self, message: &Applied) {
        self.alone(message.lane, |record| {
            self.check(record.snapshot.is_some(), "a lane's snapshot comes before its invalidations");
            let next = Position { seq: record.reached.seq + 1, ..record.reached };
            self.check(
                message.position == next,
                "positions of a lane are dense: each invalidation is delivered one above the last, in the same history",
            );
            record.reached = message.position;
            record.messages.push(message.clone());
        });
    }

    fn up_to_date(&self, lane: Lane, at: Millis) {
        self.check(at <= self.now(), "nobody is up to date at a time to come");
        self.check(self.record(lane).snapshot.is_some(), "a lane is up to date after its snapshot, not before");
    }

    fn answer(&self, _: &Question) -> Option<Finding> {
        None
    }

    fn now(&self) -> Millis {
        self.clock.now().as_millis() as Millis
    }
}
