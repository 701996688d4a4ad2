//! Many keys at once, without a loader: one read of each tier.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use stratacache_core::{
    EntryName, Key, Policy, Stamp, envelope,
    tier::{Fence, Got},
};

use super::{
    Door, Engine,
    lead::Landed,
    lower::{ByKey, Found, Wanted, asking},
    promote::Rising,
};
use crate::{codec::CacheValue, coherence::FillGuard, observe::TierCounters};

impl Engine {
    /// Reads many keys; the answer has one place for each, `None` for a miss.
    pub(crate) async fn read_many<V: CacheValue>(
        self: &Arc<Self>,
        ns: &Door,
        keys: &[Key<V>],
        policy: &Policy,
    ) -> Vec<Option<Landed<V>>> {
        let Ok(standing) = self.catch_up(ns, policy).await else {
            return keys.iter().map(|_| None).collect();
        };
        let mut answers: Vec<_> = keys.iter().map(|key| self.memory_has(ns, key, standing)).collect();
        let missing: Vec<usize> = (0..keys.len()).filter(|i| answers[*i].is_none()).collect();
        if standing.uses_tiers() && !missing.is_empty() {
            for (index, found) in self.find_and_promote(ns, keys, &missing, policy).await {
                let landed = Landed::below(found.entry, found.tier);
                ns.count_answer(&keys[index], Some(&landed));
                answers[index] = Some(landed);
            }
        }
        for (key, answer) in keys.iter().zip(&answers) {
            if answer.is_none() {
                ns.count_answer::<V>(key, None);
            }
        }
        answers
    }

    /// Reads the keys with these indices from the tiers, and fills those above with what is fresh.
    pub(super) async fn find_and_promote<V: CacheValue>(
        &self,
        ns: &Door,
        keys: &[Key<V>],
        missing: &[usize],
        policy: &Policy,
    ) -> BTreeMap<usize, Found<V>> {
        if !self.goes_below::<V>(policy) {
            return BTreeMap::new();
        }
        let (fill, stamp) = self.mirror.begin_fill(&ns.tenant.marks);
        let names: Vec<_> = missing.iter().map(|i| (*i, self.name(ns, keys[*i].as_bytes()))).collect();
        let (found, fences) = self.read_names(ns, keys, &names, &fill, stamp, policy).await;
        let found: BTreeMap<usize, Found<V>> = found.into_iter().filter(|(_, found)| found.fresh).collect();
        if policy.promotes() {
            let rising = |(index, found): (&usize, _)| {
                let key: &Key<V> = &keys[*index];
                let fences = fences.get(index).map_or(&[][..], Vec::as_slice);
                Rising { key, name: self.name(ns, key.as_bytes()), found, fences, began: fill.began() }
            };
            let rising: Vec<_> = found.iter().map(rising).collect();
            self.promote_many(ns, policy, &rising).await;
        }
        found
    }

    /// Reads some names from the tiers, each tier once, and returns the best it finds of each, and the fences.
    #[allow(clippy::type_complexity)]
    pub(super) async fn read_names<V: CacheValue>(
        &self,
        ns: &Door,
        keys: &[Key<V>],
        names: &[(usize, EntryName)],
        fill: &FillGuard,
        stamp: Stamp,
        policy: &Policy,
    ) -> (BTreeMap<usize, Found<V>>, HashMap<usize, Vec<Option<Fence>>>) {
        let mut found = BTreeMap::new();
        let mut fences: HashMap<usize, Vec<Option<Fence>>> = names.iter().map(|(i, _)| (*i, Vec::new())).collect();
        if !self.goes_below::<V>(policy) {
            return (found, fences);
        }
        let mut open: Vec<(usize, EntryName)> = names.to_vec();
        for (tier_index, tier) in self.tiers.iter().enumerate() {
            if !tier.is_read(policy) {
                for (index, _) in &open {
                    fences.entry(*index).or_default().push(None);
                }
                continue;
            }
            let asked: Vec<_> = open.iter().copied().filter(|(_, name)| tier.may_use(*name)).collect();
            let mut replies = HashMap::new();
            if !asked.is_empty() {
                TierCounters::count(&tier.counters.reads);
                match tier.get_many(asking(asked.iter().map(|(_, n)| *n).collect(), policy)).await {
                    Ok(reply) => replies.extend(asked.iter().map(|(i, _)| *i).zip(reply)),
                    Err(error) => {
                        TierCounters::count(&tier.counters.read_failures);
                        tier.note("get", &error, |kind| self.report(Some(&ns.tenant), kind));
                    }
                }
            }
            let mut seal = if replies.is_empty() { self.no_seal() } else { self.seal_of(ns, None).await };
            let mut ids = replies.values().filter_map(|got: &Got| envelope::sealed_by(got.envelope.as_ref()?));
            if let Some(unknown) = ids.find(|id| !seal.knows(*id)) {
                seal = self.seal_of(ns, Some(unknown)).await;
            }
            open.retain(|(index, name)| {
                let got = replies.remove(index).unwrap_or_default();
                fences.entry(*index).or_default().push(got.fence);
                let Some(envelope) = got.envelope else {
                    TierCounters::count(&tier.counters.misses);
                    return true;
                };
                let key = &keys[*index];
                let wanted = Wanted {
                    ns,
                    key: key.as_bytes(),
                    name: *name,
                    began: fill.began(),
                    stamp,
                    policy,
                    keyspace: key.keyspace(),
                    by_key: ByKey::Marks,
                };
                match self.judge_envelope(tier, tier_index, &wanted, &envelope, &seal) {
                    Some(entry) if entry.fresh => {
                        TierCounters::count(&tier.counters.hits);
                        found.insert(*index, entry);
                        false
                    }
                    Some(stale) => {
                        found.entry(*index).or_insert(stale);
                        true
                    }
                    None => true,
                }
            });
        }
        (found, fences)
    }
}
