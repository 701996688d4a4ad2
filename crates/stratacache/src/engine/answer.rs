//! What a read makes of what memory has: an answer, a load behind it, or a load that is waited for.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use stratacache_core::{Key, stamp::Seq};

use super::{Door, Engine, Seen, Standing, hit::Window, lead::Landed};
use crate::{
    Freshness,
    codec::CacheValue,
    memory::{Entry, Slot},
};

/// What memory says to a read that has a loader.
pub(super) enum FromMemory<V> {
    /// The answer; `refresh` says that it should be loaded again behind the reader.
    Answer { landed: Landed<V>, refresh: bool },
    /// It must be loaded; a value past its ttl may stand in if that fails.
    Load(Option<Arc<Entry<V>>>),
}

impl Engine {
    /// Looks at memory, for what a read may use.
    fn look_for<V: CacheValue>(&self, ns: &Door, key: &[u8], standing: Standing) -> Seen<V> {
        match self.look::<V>(ns, key) {
            Seen::Fresh { entry, .. } | Seen::Stale { entry, .. } if !standing.admits(&entry.meta) => Seen::Nothing,
            seen => seen,
        }
    }

    /// Asks memory for an answer to a read without a loader, and counts it.
    pub(super) fn memory_has<V: CacheValue>(&self, ns: &Door, key: &Key<V>, standing: Standing) -> Option<Landed<V>> {
        let (entry, freshness) = match self.look_for::<V>(ns, key.as_bytes(), standing) {
            Seen::Fresh { entry, .. } => (entry, Freshness::Fresh),
            Seen::Stale { entry, window: Window::Revalidate } => (entry, Freshness::Stale),
            Seen::Stale { .. } | Seen::Nothing => return None,
        };
        let landed = Landed::known(entry, freshness);
        ns.count_hit(key, &landed);
        Some(landed)
    }

    /// Asks memory for an answer to a read with a loader, and counts it.
    pub(super) fn memory_answer<V: CacheValue>(
        &self,
        ns: &Door,
        key: &Key<V>,
        optional: bool,
        standing: Standing,
    ) -> FromMemory<V> {
        match self.look_for::<V>(ns, key.as_bytes(), standing) {
            Seen::Fresh { entry, refresh } if optional || entry.value().is_some() => {
                let landed = Landed::known(entry, Freshness::Fresh);
                ns.count_hit(key, &landed);
                FromMemory::Answer { landed, refresh }
            }
            Seen::Stale { entry, window } => {
                let cold = entry.meta.cold();
                let waits = cold.is_some_and(|cold| self.timeline.now() < cold.retry_at.load(Relaxed));
                // it may also wait since another node loads it
                let known_to_fail = waits && cold.is_some_and(|cold| cold.failures.load(Relaxed) > 0);
                if window != Window::Revalidate && !known_to_fail {
                    return FromMemory::Load(Some(entry));
                }
                let landed = Landed::stale(entry);
                ns.count_hit(key, &landed);
                FromMemory::Answer { landed, refresh: !waits }
            }
            Seen::Fresh { .. } | Seen::Nothing => FromMemory::Load(None),
        }
    }

    /// Judges an entry by everything, its key included; `began` is the position before its fill began.
    pub(super) fn still_good<V: CacheValue>(&self, ns: &Door, key: &[u8], entry: &Entry<V>, began: Seq) -> bool {
        self.judge(ns).good(entry, self.key_scope(ns, key), began)
    }

    /// Tells whether a value past its ttl is served at once, and refreshed behind.
    pub(super) fn may_revalidate<V: CacheValue>(&self, entry: &Entry<V>) -> bool {
        let times = entry.times();
        let until = times.fresh_until.saturating_add(u64::from(times.revalidate_ms));
        entry.value().is_some() && self.timeline.now() < until
    }

    /// Returns an entry that is to be refreshed, while it may be served without.
    pub(super) fn serves_on<V: CacheValue>(
        &self,
        ns: &Door,
        key: &Key<V>,
        entry: &Arc<Entry<V>>,
        began: Seq,
    ) -> Option<Landed<V>> {
        let fresh = self.timeline.now() < entry.times().fresh_until;
        let served = entry.value().is_some() && (fresh || self.may_revalidate(entry));
        let freshness = if fresh { Freshness::Fresh } else { Freshness::Stale };
        (served && self.may_stand_in(ns, key.as_bytes(), entry, began))
            .then(|| Landed::known(Arc::clone(entry), freshness))
    }

    /// Returns what stands in for a failed load of a key: its value past its ttl, if that may still be served.
    pub(super) fn stand_in<V: CacheValue>(
        &self,
        ns: &Door,
        key: &Key<V>,
        stale: &Arc<Entry<V>>,
        began: Seq,
    ) -> Option<Landed<V>> {
        let usable = stale.value().is_some() && self.may_stand_in(ns, key.as_bytes(), stale, began);
        usable.then(|| Landed::stale(Arc::clone(stale)))
    }
}
