//! Promoting: what a tier below had fills the tiers above it, with the stamp of its load and what is left of its time.

use stratacache_core::{EntryName, Key, Policy, coordinator::Lease, envelope, stamp::Seq, tier::Fence};
#[cfg(feature = "mutants")]
use {
    crate::{
        coherence::Rule,
        memory::{Entry, Held},
    },
    std::sync::Arc,
};

use super::{
    Door, Engine,
    fill::{Kept, Put},
    lower::Found,
};
use crate::codec::CacheValue;

impl Engine {
    /// Fills memory, and the tiers above the one that had it, with an entry found below.
    #[allow(clippy::too_many_arguments)]
    pub(super) async fn promote<V: CacheValue>(
        &self,
        ns: &Door,
        key: &Key<V>,
        name: EntryName,
        found: &Found<V>,
        fences: &[Option<Fence>],
        policy: &Policy,
        began: Seq,
    ) -> Kept {
        let entry = &found.entry;
        // before it is judged: an invalidation in between voids it
        let taken = self.fence_to_promote(ns, name, found, fences, policy).await;
        #[cfg(feature = "mutants")]
        let entry = &match self.rules.has(Rule::PromotionKeepsStamp) {
            true => Arc::clone(entry),
            false => self.restamped(ns, entry).await,
        };
        let kept = self.put_memory(ns, key.as_bytes(), entry, began, policy.weight_limit());
        let right =
            taken.map(|(_, Fence(token))| Lease { lane: ns.tenant.lane, name, token, life: policy.lease_time() });
        if kept == Kept::Overtaken {
            self.give_back(right).await;
            return kept;
        }
        let mut head = found.head.clone();
        head.older_than_token = true;
        let mut spent = false;
        for index in 0..found.tier {
            if let Ok(envelope) = envelope::encode(&head, &found.body) {
                let taken = taken.filter(|(leased, _)| *leased == index).map(|(_, fence)| fence);
                let fence = fences.get(index).copied().flatten().or(taken);
                let put = Put { place: 0, name, envelope, fence, slot: &**entry, policy };
                // failures are counted and reported where they happen
                let asked = self.put_below(ns, index, &[put]).await;
                spent |= taken.is_some() && !asked.is_empty();
            }
        }
        if !spent {
            self.give_back(right).await;
        }
        kept
    }

    /// Takes the lease for filling the tier with leases with what one below it had: no read brings one. What is past its ttl
    /// is not worth it, for whoever loads would lose its own.
    async fn fence_to_promote<V>(
        &self,
        ns: &Door,
        name: EntryName,
        found: &Found<V>,
        fences: &[Option<Fence>],
        policy: &Policy,
    ) -> Option<(usize, Fence)> {
        let index = self.leased_for(policy).filter(|index| *index < found.tier && found.fresh)?;
        if fences.get(index).copied().flatten().is_some() {
            return None;
        }
        let tier = &self.tiers[index];
        match tier.fences(&[name], tier.write_life(1)).await {
            Ok(taken) => taken.into_iter().next().flatten().map(|fence| (index, fence)),
            Err(error) => {
                tier.note("fence", &error, |kind| self.report(Some(&ns.tenant), kind));
                None
            }
        }
    }

    /// What the rule forbids: the entry under a stamp taken after it was judged.
    #[cfg(feature = "mutants")]
    async fn restamped<V: CacheValue>(&self, ns: &Door, entry: &Arc<Entry<V>>) -> Arc<Entry<V>> {
        tokio::task::yield_now().await;
        let stamp = self.mirror.stamp(&ns.tenant.marks);
        let (key, scopes) = (entry.head.key.clone(), Arc::clone(&entry.meta.scopes));
        let held = Held::Of(entry.origin());
        let mut restamped = Entry::new(key, &stamp, 0, crate::memory::Slot::times(&**entry), scopes, None, held);
        restamped.meta.weight = entry.meta.weight;
        Arc::new(restamped)
    }
}
