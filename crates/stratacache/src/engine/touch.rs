//! Keeping what is read alive below memory: `idle_ttl` counts reads that memory answers too.

use std::sync::{
    Arc,
    atomic::Ordering::{AcqRel, Relaxed},
};

use stratacache_core::{
    EntryName, Key,
    tier::{Fence, GetMany},
};

use super::{Door, Engine, TierHandle, fill::Filling};
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
        let Ok(policy) = ns.policy_in(key.keyspace(), None) else { return };
        if !self.goes_below::<V>(&policy) {
            return;
        }
        // the fence first, then the judgement: a removal in between voids the fence
        let (fill, _) = self.mirror.begin_fill(&ns.tenant.marks);
        let name = self.name(ns, key.as_bytes());
        let seal = self.seal_of(ns, None).await;
        let mut fences = Vec::with_capacity(self.tiers.len());
        for tier in &self.tiers {
            fences.push(if tier.is_written(&policy) { self.fence_to_touch(ns, tier, name).await } else { None });
        }
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
            seal: &seal,
            policy: &policy,
            mode,
            carried: true,
        };
        if !self.fill_below(ns, &[filling]).await.iter().any(|one| one.lease_spent) {
            self.give_back(right).await;
        }
    }

    /// Takes the fence for writing again what a tier has.
    ///
    /// Only what it still has: an invalidation removes the name and is ordered a moment later, and a fence that is taken in
    /// between would be good for the old value. A tier with leases is shared, and what it holds is judged by its own mark.
    async fn fence_to_touch(&self, ns: &Door, tier: &TierHandle, name: EntryName) -> Option<Fence> {
        let taken = if tier.capability.leased {
            tier.fences(&[name], tier.write_life(1)).await.map(|fences| fences.into_iter().next().flatten())
        } else if tier.capability.fenced && tier.may_use(name) {
            let got = tier.get_many(GetMany::new(vec![name])).await;
            got.map(|got| got.into_iter().next().and_then(|got| got.fence.filter(|_| got.envelope.is_some())))
        } else {
            return None;
        };
        taken.unwrap_or_else(|error| {
            tier.note("fence", &error, |kind| self.report(Some(&ns.tenant), kind));
            None
        })
    }
}
