//! Keeping what is read alive below memory: `idle_ttl` counts reads that memory answers too.

use std::sync::{
    Arc,
    atomic::Ordering::{AcqRel, Relaxed},
};

use stratacache_core::Key;

use super::{Door, Engine, fill::Filling, lower::LeaseLife};
use crate::{codec::CacheValue, memory::Entry};

impl Engine {
    /// Writes an idle entry below again, at most once in a quarter of its `idle_ttl`, behind the reader.
    pub(crate) fn touch_below<V: CacheValue>(self: &Arc<Self>, ns: &Arc<Door>, key: &Key<V>, entry: &Arc<Entry<V>>) {
        let Some(cold) = entry.meta.cold().filter(|c| c.idle_ms > 0) else { return };
        if self.tiers.is_empty() || !V::PORTABLE {
            return;
        }
        let now = self.timeline.now();
        let touched = cold.touched.load(Relaxed).max(entry.meta.created);
        let due = now.saturating_sub(touched) >= u64::from(cold.idle_ms) / 4;
        if !due || cold.touched.compare_exchange(cold.touched.load(Relaxed), now, AcqRel, Relaxed).is_err() {
            return;
        }
        let (engine, ns, key, entry) = (Arc::clone(self), Arc::clone(ns), key.clone(), Arc::clone(entry));
        self.spawner.start(async move { engine.write_again(&ns, &key, &entry).await });
    }

    async fn write_again<V: CacheValue>(&self, ns: &Door, key: &Key<V>, entry: &Arc<Entry<V>>) {
        let Ok(policy) = ns.policy_of(key, None) else { return };
        // the fence first, then the judgement: a removal in between voids the fence
        let (fill, _) = self.mirror.begin_fill(&ns.tenant.marks);
        let name = self.name(ns, key.as_bytes());
        let fences = self.fences_below::<V>(ns, &[name], &policy, 0, LeaseLife::Writing).await;
        let fences = fences.into_iter().next().unwrap_or_default();
        let right = self.right_among(ns, name, &fences, &policy);
        if !self.may_stand_in(ns, key.as_bytes(), entry, fill.began()) {
            return self.give_back(right).await;
        }
        let mode = stratacache_core::OnWriteError::BestEffort;
        // failures are counted and reported where they happen
        let filling = Filling {
            key: key.as_bytes(),
            keyspace: key.keyspace(),
            name,
            entry,
            fences: &fences,
            policy: &policy,
            mode,
            carried: true,
        };
        if !self.fill_below(ns, &[filling]).await.iter().any(|one| one.lease_spent) {
            self.give_back(right).await;
        }
    }
}
