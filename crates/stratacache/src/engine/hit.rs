//! Reading memory: a few comparisons for an entry that was looked at before, the whole judgement for others.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use stratacache_core::{Scope, clock::Millis, stamp::Seq};

use super::{
    Door, Engine, Life, Space, Tenant,
    form::Opened,
    judge::{Judge, depends},
    timeline::COARSE_LAG,
};
use crate::{
    codec::CacheValue,
    memory::{Entry, Head, Meta, Slot, SlotRef},
    observe::Counter,
};

/// What memory says of a key.
pub(crate) enum Seen<V> {
    /// An entry within its ttl, which may be an absence; `refresh` says that a read should start a refresh behind it.
    Fresh { entry: Arc<Entry<V>>, refresh: bool },
    /// A valid entry past its ttl, within a stale window.
    Stale { entry: Arc<Entry<V>>, window: Window },
    /// Nothing usable.
    Nothing,
}

/// Which stale window an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// Serve it at once and refresh behind.
    Revalidate,
    /// Serve it if the load fails.
    IfError,
}

/// The answer of the quick look.
pub(crate) enum Quick<V> {
    Hit(Arc<Entry<V>>, Millis),
    /// There is something; look closer.
    Look(SlotRef),
    /// There is a value of another type.
    OtherType,
    Miss,
}

impl Engine {
    /// Looks without locks, allocation or look-ups of marks: one hash, one map access, one coarse clock reading.
    #[inline]
    pub(crate) fn quick<V: CacheValue>(&self, ns: &Door, key: &[u8]) -> Quick<V> {
        let Some(partition) = ns.tenant.partition() else { return Quick::Miss };
        let Some(slot) = partition.get(&ns.lookup(key)) else { return Quick::Miss };
        let entry = match Entry::of_slot(slot) {
            Ok(entry) => entry,
            Err(other) => return self.quick_packed(ns, key, other),
        };
        let now = self.timeline.coarse();
        if self.is_simple(ns, &entry.head, now) { Quick::Hit(entry, now) } else { Quick::Look(entry) }
    }

    /// Tells whether an entry is a hit without a closer look.
    #[inline]
    pub(super) fn is_simple(&self, ns: &Door, head: &Head, now: Millis) -> bool {
        head.attention_at.load(Relaxed) > now + COARSE_LAG && self.judge(ns).already_seen(head)
    }

    /// Looks at memory with the whole judgement.
    pub(crate) fn look<V: CacheValue>(&self, ns: &Door, key: &[u8]) -> Seen<V> {
        let lookup = ns.lookup(key);
        let slot = ns.tenant.partition().and_then(|p| p.get(&lookup));
        slot.map_or(Seen::Nothing, |slot| self.examine(ns, key, slot))
    }

    pub(crate) fn key_scope(&self, ns: &Door, key: &[u8]) -> Scope {
        self.key_scope_in(&ns.tenant, &ns.space, key)
    }

    pub(super) fn key_scope_in(&self, tenant: &Tenant, space: &Space, key: &[u8]) -> Scope {
        let prefix = &space.prefix;
        prefix.scope(key).unwrap_or_else(|| self.deployment.key_scope(&tenant.id, prefix.path(), key))
    }

    /// Judges an entry of memory, and removes it if it can never be served again.
    pub(crate) fn examine<V: CacheValue>(&self, ns: &Door, key: &[u8], slot: SlotRef) -> Seen<V> {
        let now = self.timeline.now();
        let useless = !self.admissible(ns, key, &slot) || slot.useless_at() <= now;
        if useless {
            self.remove_exactly(ns, key, &slot);
            return Seen::Nothing;
        }
        let entry = match self.open::<V>(ns, slot) {
            Opened::Entry(entry) => entry,
            Opened::Nothing(slot) => {
                self.remove_exactly(ns, key, &slot);
                return Seen::Nothing;
            }
        };
        if let Some(cold) = entry.meta.cold()
            && cold.idle_ms > 0
        {
            cold.last_read.fetch_max(now, Relaxed);
        }
        let times = entry.times();
        if now < times.fresh_until {
            let refresh = self.wants_refresh(&entry.meta, now, times.fresh_until);
            return Seen::Fresh { entry, refresh };
        }
        let past = now - times.fresh_until;
        if past < u64::from(times.revalidate_ms) {
            Seen::Stale { entry, window: Window::Revalidate }
        } else {
            Seen::Stale { entry, window: Window::IfError }
        }
    }

    /// Tells whether nothing that an entry of memory depends on was invalidated.
    pub(super) fn admissible(&self, ns: &Door, key: &[u8], slot: &SlotRef) -> bool {
        self.judge(ns).admissible(&**slot, || self.key_scope(ns, key))
    }

    /// Tells whether a read would be served an entry, as far as its node is up to date: by the quick look, or by a closer one.
    /// It does not count as a read.
    pub(super) fn would_serve(&self, tenant: &Tenant, slot: &SlotRef) -> bool {
        let Some(key) = slot.head().key.scope() else { return false };
        let judge = Judge { mirror: &self.mirror, marks: &tenant.marks };
        let simple = slot.head().attention_at.load(Relaxed) > self.timeline.coarse() + COARSE_LAG;
        (simple && judge.already_seen(slot.head()))
            || (judge.admissible(&**slot, || key) && slot.useless_at() > self.timeline.now())
    }

    pub(super) fn judge<'a>(&'a self, ns: &'a Door) -> Judge<'a> {
        Judge { mirror: &self.mirror, marks: &ns.tenant.marks }
    }

    /// Tells whether a value past its ttl may stand in for a failed load: within its windows, and nothing it depends on
    /// invalidated, its key since `began` included.
    pub(super) fn may_stand_in<V: Send + Sync + 'static>(
        &self,
        ns: &Door,
        key: &[u8],
        entry: &Arc<Entry<V>>,
        began: Seq,
    ) -> bool {
        let slot: SlotRef = Arc::clone(entry) as SlotRef;
        self.timeline.now() < entry.times().useful_until()
            && self.mirror.key_allows(&ns.tenant.marks, self.key_scope(ns, key), began, &depends(&**entry))
            && self.admissible(ns, key, &slot)
    }

    pub(super) fn remove_exactly(&self, ns: &Door, key: &[u8], slot: &SlotRef) {
        if let Some(partition) = ns.tenant.partition() {
            let lookup = ns.lookup(key);
            if partition.remove_if(&lookup, |s| Arc::ptr_eq(s, slot)).is_some() {
                ns.space.plain().count(Counter::expirations);
            }
        }
    }

    fn wants_refresh(&self, meta: &Meta, now: Millis, fresh_until: Millis) -> bool {
        let Some(cold) = meta.cold() else { return false };
        if now < cold.retry_at.load(Relaxed) {
            return false;
        }
        (cold.refresh_at > 0 && now >= cold.refresh_at)
            || (cold.early_ms > 0.0 && Life::early(cold.early_ms, fresh_until - now, &self.jitter))
    }
}
