//! What the handles of a memory tier share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use stratacache_core::{
    EntryName, Scope,
    clock::Millis,
    coordinator::{MarkRecord, Strength},
    stamp::{Incarnation, LANES, Lane, Seq},
    tier::{Fence, PutItem},
};

/// One kept mark is found by its lane, scope and strength.
pub(super) type MarkKey = (Lane, Scope, bool);

pub(super) fn mark_key(record: &MarkRecord) -> MarkKey {
    (record.lane, record.scope, record.strength == Strength::Soft)
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) envelope: Bytes,
    pub(super) expires_at: Millis,
}

/// Entries, fences and marks under one lock: a reference need not be quick.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) entries: BTreeMap<EntryName, Slot>,
    /// The removal that last voided the fences of a name. Never forgotten: a test ends before it grows.
    voided: HashMap<EntryName, u64>,
    removals: u64,
    /// Fences taken before this removal are void for every name.
    void_below: u64,
    pub(super) held: Option<Vec<PutItem>>,
    pub(super) incarnation: Incarnation,
    pub(super) ceiling: Seq,
    pub(super) floors: Vec<Seq>,
    pub(super) marks: BTreeMap<MarkKey, MarkRecord>,
    pub(super) time: Millis,
    pub(super) quarantined: bool,
    pub(super) journal_fails: bool,
}

impl Data {
    fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            voided: HashMap::new(),
            removals: 0,
            void_below: 0,
            held: None,
            incarnation: fresh_incarnation(),
            ceiling: 1,
            floors: vec![0; LANES + 1],
            marks: BTreeMap::new(),
            time: 0,
            quarantined: false,
            journal_fails: false,
        }
    }

    /// Forgets everything, as a store that is opened anew and empty; outstanding fences are void.
    pub(super) fn wipe(&mut self) {
        let (removals, journal_fails) = (self.removals + 1, self.journal_fails);
        *self = Self { removals, void_below: removals, journal_fails, ..Self::new() };
    }

    /// A fence is the name's low half and the number of removals so far: it fits no other name.
    pub(super) fn fence(&self, name: EntryName) -> Fence {
        Fence(u128::from(name.low()) << 64 | u128::from(self.removals))
    }

    pub(super) fn admits(&self, name: EntryName, fence: Fence) -> bool {
        let (of, taken) = ((fence.0 >> 64) as u64, fence.0 as u64);
        of == name.low() && taken >= self.voided.get(&name).copied().unwrap_or_default().max(self.void_below)
    }

    pub(super) fn put(&mut self, item: PutItem) {
        self.entries.insert(item.name, Slot { envelope: item.envelope, expires_at: item.expires_at });
    }

    pub(super) fn remove(&mut self, name: EntryName) {
        self.removals += 1;
        self.voided.insert(name, self.removals);
        self.entries.remove(&name);
    }
}

fn fresh_incarnation() -> Incarnation {
    static NEXT: AtomicU64 = AtomicU64::new(0x5eed_0001);
    Incarnation(NEXT.fetch_add(1, Ordering::Relaxed))
}

#[derive(Debug)]
pub(super) struct Store {
    data: Mutex<Data>,
    pub(super) batches: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) fence_reads: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) removes: AtomicU64,
}

impl Store {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            data: Mutex::new(Data::new()),
            batches: zero(),
            reads: zero(),
            fence_reads: zero(),
            writes: zero(),
            refused: zero(),
            removes: zero(),
        }
    }

    /// A panic while the lock was held leaves the maps whole: no step of theirs runs foreign code.
    pub(super) fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
