//! Promoting: what a tier below had fills the tiers above it, with the stamp of its load and what is left of its time.

use stratacache_core::{
    EntryName, Key, Policy,
    coordinator::Lease,
    envelope::{self, Head},
    stamp::Seq,
    tier::Fence,
};
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
use crate::{codec::CacheValue, observe::Counter};

/// An entry found below, on its way up.
pub(super) struct Rising<'a, V: 'static> {
    pub(super) key: &'a Key<V>,
    pub(super) name: EntryName,
    pub(super) found: &'a Found<V>,
    /// Those that came with the reads.
    pub(super) fences: &'a [Option<Fence>],
    /// The position before the read began.
    pub(super) began: Seq,
}

impl Engine {
    /// Fills memory, and the tiers above the one that had it, with an entry found below.
    pub(super) async fn promote<V: CacheValue>(&self, ns: &Door, policy: &Policy, rising: Rising<'_, V>) -> Kept {
        self.promote_many(ns, policy, &[rising]).await.pop().unwrap_or(Kept::Overtaken)
    }

    /// As [`promote`](Self::promote), in one batch for each tier. Returns whether memory kept each.
    pub(super) async fn promote_many<V: CacheValue>(
        &self,
        ns: &Door,
        policy: &Policy,
        rising: &[Rising<'_, V>],
    ) -> Vec<Kept> {
        // before anything is judged: an invalidation in between voids them
        let leases = self.leases_to_promote(ns, policy, rising).await;
        let mut kept = Vec::with_capacity(rising.len());
        let mut puts = Vec::new();
        for (place, Rising { key, name, found, began, .. }) in rising.iter().enumerate() {
            #[cfg(feature = "mutants")]
            let entry = &match self.rules.has(Rule::PromotionKeepsStamp) {
                true => Arc::clone(&found.entry),
                false => self.restamped(ns, &found.entry).await,
            };
            #[cfg(not(feature = "mutants"))]
            let entry = &found.entry;
            let in_memory = self.put_memory(ns, key.as_bytes(), entry, *began, policy.weight_limit());
            kept.push(in_memory);
            if in_memory == Kept::Yes {
                ns.count(key, Counter::promotions);
            }
            if in_memory == Kept::Overtaken || found.tier == 0 {
                continue;
            }
            let head = Head { older_than_token: true, ..found.head.clone() };
            if let Ok(envelope) = envelope::encode(&head, &found.body) {
                let (seal, slot) = (&found.seal, &*found.entry);
                puts.push(Put { place, name: *name, envelope, fence: None, seal, slot, policy });
            }
        }
        let mut spent = vec![false; rising.len()];
        for index in 0..self.tiers.len() {
            puts.retain(|put| index < rising[put.place].found.tier);
            if puts.is_empty() {
                break;
            }
            let leased = self.leased_tier() == Some(index);
            for put in &mut puts {
                let lease = leases[put.place].filter(|_| leased);
                put.fence = rising[put.place].fences.get(index).copied().flatten().or(lease);
            }
            // failures are counted and reported where they happen
            let asked = self.put_below(ns, index, &puts).await;
            asked.iter().for_each(|(place, _)| spent[*place] |= leased);
        }
        let unused = leases.iter().zip(rising).zip(spent).filter(|(_, spent)| !spent);
        for (fence, Rising { name, .. }) in unused.map(|(one, _)| one) {
            let life = policy.lease_time();
            let lease = fence.map(|Fence(token)| Lease { lane: ns.tenant.lane, name: *name, token, life });
            self.give_back(lease).await;
        }
        kept
    }

    /// Takes the leases for filling the tier with leases with what tiers below it had: no read brings one. For what is past
    /// its ttl that is not worth it: whoever loads would lose its own; nor for what is too heavy there.
    async fn leases_to_promote<V>(&self, ns: &Door, policy: &Policy, rising: &[Rising<'_, V>]) -> Vec<Option<Fence>> {
        let mut leases = vec![None; rising.len()];
        let Some(index) = self.leased_for(policy) else { return leases };
        let heaviest = self.tiers[index].heaviest(policy);
        let lacks = |one: &Rising<'_, V>| {
            let found = one.found;
            let wanted = index < found.tier && found.fresh && found.size as u64 <= heaviest;
            wanted && one.fences.get(index).is_none_or(Option::is_none)
        };
        let places: Vec<usize> = (0..rising.len()).filter(|place| lacks(&rising[*place])).collect();
        let names: Vec<EntryName> = places.iter().map(|place| rising[*place].name).collect();
        if names.is_empty() {
            return leases;
        }
        let tier = &self.tiers[index];
        match tier.fences(&names, tier.write_life(names.len())).await {
            Ok(taken) => places.into_iter().zip(taken).for_each(|(place, fence)| leases[place] = fence),
            Err(error) => tier.note("fence", &error, |kind| self.report(Some(&ns.tenant), kind)),
        }
        leases
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
