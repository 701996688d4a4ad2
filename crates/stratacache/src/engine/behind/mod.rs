//! Writes that wait for a tier below memory: bounded, one for each name, the tenants in turn.
//!
//! A write waits with the fence that was taken before its load, or before its insert was ordered. Whoever invalidates voids
//! that fence first, so that a write never lands after what overtook it, however long it waits: docs/decisions/0011.

mod flush;
mod line;
mod rights;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use smallvec::SmallVec;
use stratacache_core::{
    EntryName,
    stamp::{Lane, Seq},
    tier::PutItem,
};

use crate::memory::Slot;
use line::Line;
use rights::Rights;

/// How much may wait, and how long closing waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BehindLimits {
    /// Bytes for each tier: envelopes, and [`OVERHEAD`] for each.
    pub(crate) bytes: usize,
    pub(crate) flush: Duration,
}

impl Default for BehindLimits {
    fn default() -> Self {
        Self { bytes: 16 << 20, flush: Duration::from_secs(5) }
    }
}

/// What a write takes of the limit besides its envelope.
pub(crate) const OVERHEAD: usize = 256;
/// So much goes into one batch: a tier that is slow is not asked for more than it does within its deadline.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 1 << 20;

/// Whose a write is: the scope of a tenant, which is the same when nobody has held a handle of it for a while.
type Owner = u64;

/// The history of a value, and the place in it: tells older from newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age {
    mep: u32,
    place: Seq,
}

impl Age {
    pub(super) fn of(slot: &dyn Slot) -> Self {
        Self { mep: slot.head().mep, place: slot.meta().place() }
    }
}

/// A write that waits.
pub(super) struct Waiting {
    pub(super) owner: Owner,
    /// That of the tenant.
    pub(super) lane: Lane,
    pub(super) age: Age,
    pub(super) item: PutItem,
}

impl Waiting {
    fn name(&self) -> EntryName {
        self.item.name
    }

    fn size(&self) -> usize {
        self.item.envelope.len() + OVERHEAD
    }
}

/// What became of a write that was to wait, and of others that made room for it.
#[derive(Default)]
pub(super) struct Added {
    /// Nobody writes them: there was no room.
    pub(super) lost: SmallVec<[Waiting; 1]>,
    /// The older of two of one name.
    pub(super) replaced: Option<Waiting>,
    /// There is no task yet that writes what waits.
    pub(super) to_serve: bool,
    /// Why something is lost, where that is to be said.
    pub(super) reason: Option<&'static str>,
}

const FULL: &str = "the queue of writes behind is full: the tier is slower than what is written";
const TOO_LARGE: &str = "the write is larger than queued_writes";

/// The writes that wait for one tier.
#[derive(Default)]
pub(crate) struct Behind {
    limit: usize,
    state: Mutex<State>,
    waiting: AtomicUsize,
    stopped: AtomicBool,
    /// The rights to write of those that were given up.
    rights: Rights,
}

#[derive(Default)]
struct State {
    lines: HashMap<Owner, Line, RandomState>,
    /// Those who have a line, in the order in which they are served.
    turns: VecDeque<Owner>,
    /// How many bytes of whom wait, the most last.
    sizes: BTreeSet<(usize, Owner)>,
    bytes: usize,
    count: usize,
    served: bool,
    /// Something was lost since nothing waited.
    overflowed: bool,
    /// Nothing waits any more, nor will.
    closed: bool,
}

impl Behind {
    pub(crate) fn new(limits: BehindLimits) -> Self {
        Self { limit: limits.bytes, ..Self::default() }
    }

    /// Counts the writes that wait; those under way to the tier are none of them.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Lets a write wait, in the place of an older one of its name. What is too much is taken from who has most in the queue,
    /// the oldest first: a tenant that floods it displaces its own writes. What is larger than all that may wait displaces none.
    pub(super) fn add(&self, write: Waiting) -> Added {
        let mut added = Added::default();
        let mut state = self.state.lock();
        let state = &mut *state;
        let owner = write.owner;
        if state.closed {
            added.lost.push(write);
            return added;
        }
        if write.size() > self.limit {
            added.replaced = state.change(owner, |line| line.take_older(write.name(), write.age));
            added.lost.push(write);
            added.reason = Some(TOO_LARGE);
            self.waiting.store(state.count, Relaxed);
            return added;
        }
        added.replaced = state.change(owner, |line| line.put(write));
        while state.bytes > self.limit {
            let Some((_, most)) = state.sizes.last().copied() else { break };
            added.lost.extend(state.change(most, Line::take_first));
        }
        let overflows = !added.lost.is_empty() && !std::mem::replace(&mut state.overflowed, true);
        added.reason = overflows.then_some(FULL);
        let stopped = self.stopped.load(Relaxed);
        added.to_serve = !stopped && !state.lines.is_empty() && !std::mem::replace(&mut state.served, true);
        self.waiting.store(state.count, Relaxed);
        added
    }

    /// Drops what waits under some names of an owner, and returns how much that was.
    pub(super) fn forget(&self, owner: Owner, names: &[EntryName]) -> usize {
        if self.waiting() == 0 {
            return 0;
        }
        let mut state = self.state.lock();
        let state = &mut *state;
        if !state.lines.contains_key(&owner) {
            return 0;
        }
        let taken = state.change(owner, |line| names.iter().filter_map(|name| line.take(*name)).count());
        self.waiting.store(state.count, Relaxed);
        taken
    }

    /// Drops what waits under a name of an owner and is older than what is written through, and returns how much that was.
    pub(super) fn forget_older(&self, owner: Owner, name: EntryName, than: Age) -> usize {
        if self.waiting() == 0 {
            return 0;
        }
        let mut state = self.state.lock();
        let state = &mut *state;
        if !state.lines.contains_key(&owner) {
            return 0;
        }
        let taken = state.change(owner, |line| line.take_older(name, than));
        self.waiting.store(state.count, Relaxed);
        usize::from(taken.is_some())
    }

    /// Takes the next writes out, one of each tenant after the other; none when nothing waits, and then the task that asked
    /// is to end.
    fn next(&self) -> Vec<Waiting> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH && bytes < BATCH_BYTES && !self.stopped.load(Relaxed) {
            let Some(owner) = state.turns.front().copied() else { break };
            let Some(write) = state.change(owner, Line::take_first) else { break };
            bytes += write.size();
            batch.push(write);
            if state.turns.front() == Some(&owner) {
                state.turns.rotate_left(1);
            }
        }
        if batch.is_empty() {
            (state.served, state.overflowed) = (false, false);
        }
        self.waiting.store(state.count, Relaxed);
        batch
    }

    /// Ends the writing: what waits is not written.
    fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    /// Notes that the task is gone that wrote what waits: the next write starts another.
    fn unserved(&self) {
        self.state.lock().served = false;
    }

    /// Drops what waits, and returns how much that was. What comes later is lost at once.
    fn drain(&self) -> usize {
        let closed = State { closed: true, ..State::default() };
        let state = std::mem::replace(&mut *self.state.lock(), closed);
        self.waiting.store(0, Relaxed);
        state.count
    }
}

impl State {
    /// Changes the line of an owner, and keeps the books.
    fn change<T>(&mut self, owner: Owner, change: impl FnOnce(&mut Line) -> T) -> T {
        let line = self.lines.entry(owner).or_default();
        let (before, count) = (line.bytes(), line.len());
        let result = change(line);
        let after = line.bytes();
        self.bytes = self.bytes + after - before;
        self.count = self.count + line.len() - count;
        let (was_empty, is_empty) = (count == 0, line.len() == 0);
        if !was_empty {
            self.sizes.remove(&(before, owner));
        }
        if !is_empty {
            self.sizes.insert((after, owner));
        }
        match (was_empty, is_empty) {
            (true, false) => self.turns.push_back(owner),
            // who is served is the first
            (false, true) if self.turns.front() == Some(&owner) => drop(self.turns.pop_front()),
            (false, true) => self.turns.retain(|turn| *turn != owner),
            _ => {}
        }
        if is_empty {
            self.lines.remove(&owner);
        }
        result
    }
}

#[cfg(test)]
mod tests;
