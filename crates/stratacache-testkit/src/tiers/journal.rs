//! The reference journal.

use std::{
    collections::btree_map::Entry,
    sync::{Arc, MutexGuard},
};

use stratacache_core::{
    clock::Millis,
    coordinator::{Applied, JournalSnapshot, MarkJournal, MarkRecord, ScopeKind, Strength},
    stamp::Seq,
    tier::{TierError, TierErrorKind},
};

use super::store::{Data, Store, mark_key};

/// The marks kept beside the entries of a [`MemoryTier`](super::MemoryTier).
///
/// Got from [`MemoryTier::journal`](super::MemoryTier::journal), or given to a cache together with the tier by
/// [`MemoryTier::with_journal`](super::MemoryTier::with_journal). Beside a fenced tier it keeps no hard marks of keys, as
/// the contract allows: the removed entry itself is gone. A store that is opened while quarantined is empty and has a new
/// history.
///
/// ```
/// use stratacache_core::coordinator::MarkJournal;
/// use stratacache_testkit::tiers::MemoryTier;
///
/// let journal = MemoryTier::new("disk").journal();
/// journal.fail(true); // an invalidation can no longer be written down
/// assert!(journal.reserve(1_000).is_err());
/// journal.quarantine().unwrap(); // so nothing of the store may be used after a restart
/// assert!(journal.is_quarantined());
/// ```
#[derive(Debug, Clone)]
pub struct MemoryJournal {
    store: Arc<Store>,
    keeps_keys: bool,
}

impl MemoryJournal {
    pub(super) fn new(store: Arc<Store>, keeps_keys: bool) -> Self {
        Self { store, keeps_keys }
    }

    /// Lets every operation but `quarantine` fail as unavailable, when `fails`, or work again.
    pub fn fail(&self, fails: bool) {
        self.store.lock().journal_fails = fails;
    }

    /// Tells whether the store is quarantined: the next `load` empties it.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.store.lock().quarantined
    }

    /// Returns the marks that are kept, in the order of lanes and scopes.
    #[must_use]
    pub fn marks(&self) -> Vec<MarkRecord> {
        self.store.lock().marks.values().copied().collect()
    }

    /// Returns the highest ceiling that was reserved: every position that was used is below it.
    #[must_use]
    pub fn ceiling(&self) -> Seq {
        self.store.lock().ceiling
    }

    fn open(&self) -> Result<MutexGuard<'_, Data>, TierError> {
        let data = self.store.lock();
        if data.journal_fails {
            return Err(TierError::new(TierErrorKind::Unavailable, "the journal was told to fail"));
        }
        Ok(data)
    }
}

impl MarkJournal for MemoryJournal {
    fn load(&self) -> Result<JournalSnapshot, TierError> {
        let mut data = self.open()?;
        if data.quarantined {
            data.wipe();
        }
        let mut snapshot = JournalSnapshot::empty(data.incarnation);
        snapshot.ceiling = data.ceiling;
        snapshot.floors = data.floors.clone();
        snapshot.marks = data.marks.values().copied().collect();
        snapshot.time = data.time;
        Ok(snapshot)
    }

    fn reserve(&self, ceiling: Seq) -> Result<(), TierError> {
        let mut data = self.open()?;
        data.ceiling = data.ceiling.max(ceiling);
        Ok(())
    }

    fn append(&self, message: &Applied) -> Result<(), TierError> {
        let mut data = self.open()?;
        for marked in &message.scopes {
            if marked.kind == ScopeKind::Key && marked.strength == Strength::Hard && !self.keeps_keys {
                continue;
            }
            let record = MarkRecord {
                lane: message.lane,
                scope: marked.scope,
                kind: marked.kind,
                strength: marked.strength,
                tenant: marked.tenant,
                seq: message.position.seq,
                at: message.at,
            };
            match data.marks.entry(mark_key(&record)) {
                Entry::Occupied(mut kept) if kept.get().seq < record.seq => {
                    kept.insert(record);
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => {
                    place.insert(record);
                }
            }
        }
        Ok(())
    }

    fn tick(&self, now: Millis, keep_since: Millis) -> Result<(), TierError> {
        let mut data = self.open()?;
        let data = &mut *data;
        data.time = data.time.max(now);
        data.marks.retain(|_, record| {
            let keep = record.at >= keep_since;
            if !keep {
                let floor = &mut data.floors[record.lane.index()];
                *floor = (*floor).max(record.seq);
            }
            keep
        });
        Ok(())
    }

    fn quarantine(&self) -> Result<(), TierError> {
        self.store.lock().quarantined = true;
        Ok(())
    }

    fn restore(&self) -> Result<(), TierError> {
        self.open()?.quarantined = false;
        Ok(())
    }
}
