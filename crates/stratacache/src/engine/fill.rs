//! Filling: an entry enters memory unjudged and is judged there; tiers below get it under their fence.

use std::{
    any::TypeId,
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Release},
};

use bytes::Bytes;
use parking_lot::Mutex;
use stratacache_core::{
    CodecError, EntryName, KeyspaceInfo, OnWriteError, Policy, WriteMode,
    clock::Millis,
    envelope::{self, Head, MAX_KEPT_KEY},
    event::EventKind,
    stamp::{Lane, Position, Seq},
    tier::{Fence, PutItem, PutMany, PutOutcome, TierError, TierErrorKind},
};

use super::{Door, Engine, Tenant, TierHandle, seal::Seal};
use crate::{
    codec::CacheValue,
    coherence::Rule,
    memory::{Entry, Inserted, LookupKey, Partition, Slot, SlotRef, entry_weight},
    observe::{Counter, TierCounters},
};

/// Whether an entry was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    /// Something it depends on was invalidated, or its key written, since its stamp.
    Overtaken,
    /// It is too heavy.
    TooHeavy,
}

/// So many entries, or bytes of them, go into one batch, to stay within the tier's deadline.
pub(super) const BATCH: usize = 1 << 10;
const BATCH_BYTES: usize = 4 << 20;

/// An entry on its way into the tiers below.
pub(super) struct Filling<'a, V: 'static> {
    pub(super) key: &'a [u8],
    pub(super) keyspace: Option<&'static KeyspaceInfo<V>>,
    pub(super) name: EntryName,
    pub(super) entry: &'a Entry<V>,
    /// One for each tier.
    pub(super) fences: &'a [Option<Fence>],
    /// Taken before its load.
    pub(super) seal: &'a Seal,
    pub(super) policy: &'a Policy,
    pub(super) mode: OnWriteError,
    /// The value may be older than the permission it is written under.
    pub(super) carried: bool,
}

/// What became of an entry in the tiers below.
pub(super) struct Filled {
    /// The first failure.
    pub(super) result: Result<(), TierError>,
    /// The tier with leases was asked: the lease has ended, or will.
    pub(super) lease_spent: bool,
}

/// An envelope on its way into one tier.
pub(super) struct Put<'a> {
    /// Its place among those that come along.
    pub(super) place: usize,
    pub(super) name: EntryName,
    /// In the clear.
    pub(super) envelope: Bytes,
    pub(super) fence: Option<Fence>,
    pub(super) seal: &'a Seal,
    pub(super) slot: &'a dyn Slot,
    pub(super) policy: &'a Policy,
}

/// Says once for each type that its values are weighed by their size alone.
fn warn_of_guessed_weight<V: 'static>() {
    static SAID: Mutex<Vec<TypeId>> = Mutex::new(Vec::new());
    let mut said = SAID.lock();
    if !said.contains(&TypeId::of::<V>()) {
        said.push(TypeId::of::<V>());
        let value = std::any::type_name::<V>();
        tracing::warn!(value, "values have no weigher and no encoding: only their size_of counts against the budget");
    }
}

/// What a value weighs: what the weigher says, else its size and its encoded length.
fn value_weight<V: CacheValue>(weigher: Option<fn(&V) -> usize>, value: Option<&V>) -> usize {
    match (value, weigher) {
        (None, _) => size_of::<V>(),
        (Some(value), Some(weigher)) => weigher(value),
        (Some(value), None) => {
            let heap = value.heap_estimate();
            if heap.is_none() {
                warn_of_guessed_weight::<V>();
            }
            size_of::<V>() + heap.unwrap_or(0)
        }
    }
}

/// The failure of what is not written for want of keys.
pub(super) fn no_keys() -> TierError {
    TierError::new(
        TierErrorKind::Unavailable,
        "the keys of the tenant cannot be had (the event KeysUnavailable says why), and it is not written unencrypted",
    )
}

/// Returns what a tier is given.
fn sealed(ns: &Door, tier: &TierHandle, put: &Put<'_>, item: PutItem) -> Result<PutItem, TierError> {
    let envelope = put
        .seal
        .close(&ns.tenant.id, &tier.name, put.name, &item.envelope)
        .map_err(|error| TierError::new(TierErrorKind::Corrupt, "the entry cannot be encrypted").with_source(error))?;
    Ok(PutItem::new(item.name, envelope, item.expires_at, item.fence))
}

impl Engine {
    /// Gives an entry its weight. Must be called before it is shared.
    pub(super) fn weigh<V: CacheValue>(&self, entry: &mut Entry<V>, weigher: Option<fn(&V) -> usize>) -> u64 {
        let value = value_weight(weigher, entry.value());
        let weight = entry_weight::<V>(&entry.head.key, value, &entry.meta.scopes);
        entry.meta.weight = u32::try_from(weight).unwrap_or(u32::MAX);
        weight
    }

    /// Puts an entry into memory, then judges it; `began` is the position before its fill began.
    pub(super) fn put_memory<V: CacheValue>(
        &self,
        ns: &Door,
        key: &[u8],
        entry: &Arc<Entry<V>>,
        began: Seq,
        max_weight: Option<u64>,
    ) -> Kept {
        let weight = u64::from(entry.meta.weight);
        let lookup = ns.lookup(key);
        if max_weight.is_some_and(|max| weight > max) {
            // the old value, if there is one, must not outlive the new one
            self.drop_older(ns, &lookup, entry.meta.place());
            return self.too_heavy(ns);
        }
        let partition = ns.tenant.partition_or_admit(&self.arbiter);
        let judge = self.judge(ns);
        let key_scope = self.key_scope(ns, key);
        let judged = self.rules.has(Rule::JudgeAfterPut);
        // what was overtaken already must not push out what is valid
        if judged && !judge.may_enter(partition, &lookup, &**entry, key_scope, began) {
            return Kept::Overtaken;
        }
        let slot: SlotRef = entry.slot();
        if !partition.has_room(weight) && partition.may_ask() {
            self.arbiter.grow(partition, Partition::needed_for(weight));
        }
        let mut inserted = partition.insert(Arc::clone(&slot));
        if inserted == Inserted::TooHeavy && partition.may_ask() {
            self.arbiter.grow(partition, Partition::needed_for(weight));
            inserted = partition.insert(Arc::clone(&slot));
        }
        if inserted == Inserted::TooHeavy {
            self.drop_older(ns, &lookup, entry.meta.place());
            return self.too_heavy(ns);
        }
        if !judged {
            slot.head().settled.store(true, Release);
        } else if !judge.settle(partition, &lookup, &slot, key_scope, began) {
            return Kept::Overtaken;
        }
        // a view says what its entry says
        entry.head.settled.store(true, Release);
        Kept::Yes
    }

    fn too_heavy(&self, ns: &Door) -> Kept {
        ns.space.plain().count(Counter::not_stored);
        self.report(
            Some(&ns.tenant),
            EventKind::NotStored { reason: "heavier than max_weight or than memory can take" },
        );
        Kept::TooHeavy
    }

    /// Removes what memory holds of a key that is older than a position.
    pub(super) fn drop_older(&self, ns: &Door, lookup: &LookupKey<'_>, seq: Seq) {
        if let Some(partition) = ns.tenant.partition() {
            self.judge(ns).drop_older(partition, lookup, seq);
        }
    }

    /// Writes the envelope of an entry; `None` if a history that it was loaded in has ended, or may have.
    pub(super) fn envelope_of<V: CacheValue>(
        &self,
        ns: &Door,
        filling: &Filling<'_, V>,
    ) -> Result<Option<Bytes>, CodecError> {
        let Filling { key, keyspace, entry, policy, carried, .. } = *filling;
        // read before the count of discontinuities: as long as that is the entry's, they are those of its stamp
        let (own, global) = (self.mirror.incarnation(ns.tenant.lane), self.mirror.incarnation(Lane::GLOBAL));
        if entry.head.mep != ns.tenant.marks.mep() as u32 {
            return Ok(None);
        }
        let meta = &entry.meta;
        let times = entry.times();
        let packing = self.packing_of(entry, keyspace, policy)?;
        let kept =
            Some(key).filter(|key| keyspace.is_some_and(KeyspaceInfo::is_scannable) && key.len() <= MAX_KEPT_KEY);
        let envelope = Head {
            absent: packing.is_none(),
            older_than_token: carried,
            codec: packing.as_ref().map_or(policy.codec_id(), |p| p.codec),
            compression: packing.as_ref().map_or_else(Default::default, |p| p.compression),
            check: self.deployment.check(&ns.tenant.id, ns.space.prefix.path(), key),
            id: self.jitter.next(),
            stamp: Position { incarnation: own, seq: meta.lane_seq },
            own: meta.own,
            global: Position { incarnation: global, seq: meta.global_seq },
            tenant: ns.tenant.scope_low,
            created: times.created,
            fresh_until: times.fresh_until,
            revalidate_until: times.fresh_until.saturating_add(u64::from(times.revalidate_ms)),
            error_until: times.fresh_until.saturating_add(u64::from(times.error_ms)),
            load_ms: meta.load_ms,
            tags: meta.scopes.tags().to_vec(),
            global_tags: meta.scopes.global_tags().to_vec(),
            etag: meta.etag().map(str::to_owned),
            raw_len: packing.as_ref().map_or(0, |p| p.raw_len),
            key: kept.map(Bytes::copy_from_slice),
        };
        let body = packing.as_ref().map_or(&[][..], |p| &p.body);
        envelope::encode(&envelope, body).map(Some).map_err(|e| CodecError::encode(e.reason()).with_source(e))
    }

    /// Writes entries into the tiers below, each under its fences, and says what became of each.
    ///
    /// A fenced tier is left out without a fence. With `Strict` an entry's first failure ends it.
    pub(super) async fn fill_below<V: CacheValue>(&self, ns: &Door, entries: &[Filling<'_, V>]) -> Vec<Filled> {
        let mut filled: Vec<_> = entries.iter().map(|_| Filled { result: Ok(()), lease_spent: false }).collect();
        let mut puts = Vec::with_capacity(if self.tiers.is_empty() { 0 } else { entries.len() });
        for (place, filling) in entries.iter().enumerate() {
            let Filling { name, entry, seal, policy, .. } = filling;
            if !self.goes_below::<V>(policy) {
                continue;
            }
            if seal.is_missing() {
                filled[place].result = Err(no_keys());
                continue;
            }
            match self.envelope_of(ns, filling) {
                Ok(None) => {} // overtaken
                Ok(Some(envelope)) => {
                    puts.push(Put { place, name: *name, envelope, fence: None, seal, slot: *entry, policy })
                }
                Err(error) => {
                    self.report(Some(&ns.tenant), EventKind::NotStored { reason: "the value cannot be encoded" });
                    let error =
                        TierError::new(TierErrorKind::Corrupt, "the value cannot be encoded").with_source(error);
                    filled[place].result = Err(error);
                }
            }
        }
        for (index, tier) in self.tiers.iter().enumerate() {
            puts.retain(|put| filled[put.place].result.is_ok() || entries[put.place].mode != OnWriteError::Strict);
            for put in &mut puts {
                put.fence = entries[put.place].fences.get(index).copied().flatten();
            }
            for (place, asked) in self.put_below(ns, index, &puts).await {
                let one = &mut filled[place];
                one.lease_spent |= tier.capability.leased;
                one.result = std::mem::replace(&mut one.result, Ok(())).and(asked);
            }
        }
        filled
    }

    /// Puts envelopes into one tier, in one batch if they are not too many, and returns what became of those that it was
    /// asked to store, by their places.
    pub(super) async fn put_below(
        &self,
        ns: &Door,
        index: usize,
        puts: &[Put<'_>],
    ) -> Vec<(usize, Result<(), TierError>)> {
        let tier = &self.tiers[index];
        let mut items = VecDeque::new();
        let mut asked = Vec::new();
        for put in puts {
            let Some(item) = self.put_item(index, put) else { continue };
            let item = match sealed(ns, tier, put, item) {
                Ok(item) => item,
                Err(error) => {
                    asked.push((put.place, Err(error)));
                    continue;
                }
            };
            if put.policy.write_mode() == WriteMode::Behind {
                self.write_behind(ns, index, put, item);
                asked.push((put.place, Ok(())));
            } else {
                self.overtake_waiting(ns, tier, put);
                items.push_back((put.place, item));
            }
        }
        while !items.is_empty() {
            let mut bytes = 0;
            let fits = items.iter().take(BATCH).take_while(|(_, item)| {
                let first = bytes == 0;
                bytes += item.envelope.len();
                first || bytes <= BATCH_BYTES
            });
            let (places, batch): (Vec<usize>, Vec<PutItem>) = items.drain(..fits.count()).unzip();
            asked.extend(places.into_iter().zip(self.send(tier, Some(&ns.tenant), batch).await));
        }
        asked
    }

    /// Sends one batch to a tier, and returns what became of each item. What the fence refused is no failure.
    pub(super) async fn send(
        &self,
        tier: &TierHandle,
        tenant: Option<&Tenant>,
        batch: Vec<PutItem>,
    ) -> Vec<Result<(), TierError>> {
        TierCounters::count(&tier.counters.writes);
        let count = batch.len();
        let results: Vec<_> = match tier.put_many(PutMany::new(batch)).await {
            Ok(outcomes) => {
                let result = |outcome| match outcome {
                    PutOutcome::Failed(error) => Err(error),
                    PutOutcome::Fenced => {
                        TierCounters::count(&tier.counters.fenced);
                        Ok(())
                    }
                    _ => Ok(()),
                };
                outcomes.into_iter().map(result).collect()
            }
            Err(error) => vec![Err(error); count],
        };
        if let Some(error) = results.iter().find_map(|result| result.as_ref().err()) {
            TierCounters::count(&tier.counters.write_failures);
            tier.note("put", error, |kind| self.report(tenant, kind));
        }
        results
    }

    /// Returns what a tier is asked to store; `None` if it is not for this tier.
    fn put_item(&self, index: usize, put: &Put<'_>) -> Option<PutItem> {
        let tier = &self.tiers[index];
        let Put { name, envelope, fence, seal, slot, policy, .. } = put;
        let rule = policy.tier_rule(&tier.name);
        let unfenced = tier.capability.fenced && fence.is_none();
        let kept_out = slot.meta().kept_out & (1 << index) != 0 || !tier.is_written(policy);
        if kept_out
            || unfenced
            || (envelope.len() + seal.overhead()) as u64 > tier.heaviest(policy)
            || !tier.may_use(*name)
        {
            return None;
        }
        let expires_at = self.leaves_tier_at(tier, *slot, policy);
        if expires_at <= self.timeline.now() || !tier.admits(*name, rule.map_or(1, |r| r.min_hits)) {
            return None;
        }
        Some(PutItem::new(*name, envelope.clone(), expires_at, *fence))
    }
    /// Returns when a tier may let go of an entry.
    pub(super) fn leaves_tier_at(&self, tier: &TierHandle, slot: &dyn Slot, policy: &Policy) -> Millis {
        let times = slot.times();
        let window = u64::from(times.revalidate_ms.max(times.error_ms));
        let mut expires_at: Millis = times.fresh_until.saturating_add(window);
        if let Some(cap) = policy.tier_rule(&tier.name).and_then(|rule| rule.ttl) {
            // as it is judged when it is read
            expires_at = expires_at.min(times.created.saturating_add(cap.as_millis() as u64));
        }
        if let Some(idle) = policy.idle_time() {
            expires_at = expires_at.min(self.timeline.now().saturating_add(idle.as_millis() as u64));
        }
        expires_at
    }

    /// Puts one envelope into one tier under its fence, and says what the tier did.
    pub(super) async fn put_one(
        &self,
        ns: &Door,
        index: usize,
        put: &Put<'_>,
        expires_at: Millis,
    ) -> Result<PutOutcome, TierError> {
        let tier = &self.tiers[index];
        if (put.envelope.len() + put.seal.overhead()) as u64 > tier.heaviest(put.policy) {
            return Ok(PutOutcome::TooLarge);
        }
        let item = sealed(ns, tier, put, PutItem::new(put.name, put.envelope.clone(), expires_at, put.fence))?;
        TierCounters::count(&tier.counters.writes);
        let outcome = tier.put_many(PutMany::new(vec![item])).await.and_then(|outcomes| {
            let lost = || TierError::new(TierErrorKind::ReplyLost, "the tier did not say what became of an entry");
            outcomes.into_iter().next().ok_or_else(lost)
        });
        let outcome = match outcome {
            Ok(PutOutcome::Failed(error)) => Err(error),
            outcome => outcome,
        };
        match &outcome {
            Ok(PutOutcome::Fenced) => TierCounters::count(&tier.counters.fenced),
            Ok(_) => {}
            Err(error) => {
                TierCounters::count(&tier.counters.write_failures);
                tier.note("put", error, |kind| self.report(Some(&ns.tenant), kind));
            }
        }
        outcome
    }
}
