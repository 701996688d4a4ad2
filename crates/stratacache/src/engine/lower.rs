//! Reading the tiers below memory, one after the other, and judging what they return.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use stratacache_core::{
    Consistency, EntryName, KeyspaceInfo, MemoryForm, Policy, Stamp, WriteMode,
    clock::Millis,
    envelope::{self, EnvelopeError, Head},
    event::EventKind,
    stamp::Seq,
    tier::{Fence, GetMany, Got},
};

use super::{Door, Engine, Life, TierHandle, seal::Seal};
use crate::{
    codec::CacheValue,
    coherence::{Depends, Rule, Verdict},
    memory::{Body, Entry, EntryScopes, Held, MapKey, Times},
    observe::TierCounters,
};

/// An entry found below memory: valid, within its ttl or a stale window.
pub(super) struct Found<V> {
    pub(super) entry: Arc<Entry<V>>,
    pub(super) tier: usize,
    pub(super) fresh: bool,
    pub(super) head: Head,
    pub(super) body: Bytes,
    /// Bytes of its envelope.
    pub(super) size: usize,
    /// What it was opened with.
    pub(super) seal: Seal,
}

/// What the tiers below said of one key: at most one entry, and the fences for filling.
pub(super) struct Below<V> {
    pub(super) found: Option<Found<V>>,
    /// One for each tier from the top, up to the last that was read.
    pub(super) fences: Vec<Option<Fence>>,
    /// The id of the envelope that the tier with leases had, whatever it was worth.
    pub(super) seen: Option<u64>,
    /// That tier failed.
    pub(super) failed: bool,
}

impl<V> Below<V> {
    pub(super) fn nothing() -> Self {
        Self { found: None, fences: Vec::new(), seen: None, failed: false }
    }
}

/// One key of a read: its name, and how it is judged.
pub(super) struct Wanted<'a, V: 'static> {
    pub(super) ns: &'a Door,
    pub(super) key: &'a [u8],
    pub(super) name: EntryName,
    /// The position before the read began.
    pub(super) began: Seq,
    /// The position of the node then, which a promotion without its own stamp would take.
    pub(super) stamp: Stamp,
    pub(super) policy: &'a Policy,
    pub(super) keyspace: Option<&'static KeyspaceInfo<V>>,
    pub(super) by_key: ByKey,
}

/// How far what a tier has is judged by the marks of its own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByKey {
    /// As every reader does.
    Marks,
    /// The reader holds the lease of the key. Whoever invalidates or inserts a key removes it, and the lease, before the
    /// mark: what is there was not overtaken, but for what is older than the permission it was written under.
    Lease,
    /// As above, and nothing comes into the tier from one below it: nothing there was overtaken.
    LeaseOfLowest,
}

/// How long the leases among the fences live that are taken without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseLife {
    /// None is taken: the right to write is asked for.
    None,
    /// As long as the policy says: it is renewed.
    Renewed,
    /// As long as a load may take: it is not renewed.
    Loading,
}

/// What one tier has of a key, unjudged.
#[derive(Default)]
struct Raw {
    got: Got,
    failed: bool,
}

/// Returns what is asked of a tier by a read with this policy.
pub(super) fn asking(names: Vec<EntryName>, policy: &Policy) -> GetMany {
    let latest = matches!(policy.consistency_mode(), Consistency::Latest | Consistency::Since(_));
    GetMany::new(names).latest(latest)
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

impl Engine {
    pub(super) fn name(&self, ns: &Door, key: &[u8]) -> EntryName {
        self.deployment.name(&ns.tenant.id, ns.space.prefix.path(), key)
    }

    /// Tells whether values of `V` under this policy are kept below memory at all.
    pub(super) fn goes_below<V: CacheValue>(&self, policy: &Policy) -> bool {
        let used = |tier: &TierHandle| tier.is_read(policy) || tier.is_written(policy);
        V::PORTABLE && policy.write_mode() != WriteMode::MemoryOnly && self.tiers.iter().any(used)
    }

    /// Reads one key from the tiers, until one has a usable entry.
    pub(super) async fn read_below<V: CacheValue>(&self, wanted: &Wanted<'_, V>) -> Below<V> {
        if !self.goes_below::<V>(wanted.policy) {
            return Below::nothing();
        }
        let mut below = Below::nothing();
        for (index, tier) in self.tiers.iter().enumerate() {
            if !tier.is_read(wanted.policy) {
                below.fences.push(None);
                continue;
            }
            self.ask_tier(index, wanted, &mut below).await;
            if below.found.as_ref().is_some_and(|found| found.fresh) {
                break;
            }
        }
        below
    }

    /// Reads one key once more, from one tier.
    pub(super) async fn read_again<V: CacheValue>(&self, wanted: &Wanted<'_, V>, index: usize) -> Below<V> {
        let mut below = Below::nothing();
        self.ask_tier(index, wanted, &mut below).await;
        below
    }

    /// Adds what one tier has: a fresh entry, or a stale one if there is none yet.
    async fn ask_tier<V: CacheValue>(&self, index: usize, wanted: &Wanted<'_, V>, below: &mut Below<V>) {
        let tier = &self.tiers[index];
        let Raw { got, failed } = self.read_tier(tier, wanted).await;
        below.fences.push(got.fence);
        if tier.capability.leased {
            below.failed = failed;
            below.seen = got.envelope.as_deref().and_then(envelope::id_of);
        }
        let Some(bytes) = got.envelope else { return };
        let seal = self.seal_of(wanted.ns, envelope::sealed_by(&bytes)).await;
        let Some(found) = self.judge_envelope(tier, index, wanted, &bytes, &seal) else { return };
        if found.fresh {
            TierCounters::count(&tier.counters.hits);
            below.found = Some(found);
        } else if below.found.is_none() {
            below.found = Some(found);
        }
    }

    /// Takes the fences of the tiers from `first` on, for those who do not look at what they hold: for each name one of each
    /// tier. Those that are leases are taken from whoever has them, and live for `life`.
    pub(super) async fn fences_below<V: CacheValue>(
        &self,
        ns: &Door,
        names: &[EntryName],
        policy: &Policy,
        first: usize,
        life: LeaseLife,
    ) -> Vec<Vec<Option<Fence>>> {
        let mut fences = vec![Vec::new(); names.len()];
        if !self.goes_below::<V>(policy) {
            return fences;
        }
        for tier in self.tiers.iter().skip(first) {
            if !tier.is_written(policy) {
                fences.iter_mut().for_each(|all| all.push(None));
                continue;
            }
            let life = match life {
                LeaseLife::None if tier.capability.leased => {
                    fences.iter_mut().for_each(|all| all.push(None));
                    continue;
                }
                LeaseLife::None => Duration::ZERO, // means nothing for other fences
                LeaseLife::Loading => tier.load_life(policy, names.len()),
                LeaseLife::Renewed => policy.lease_time(),
            };
            let of_tier = tier.fences(names, life).await.unwrap_or_else(|error| {
                tier.note("fence", &error, |kind| self.report(Some(&ns.tenant), kind));
                vec![None; names.len()]
            });
            fences.iter_mut().zip(of_tier).for_each(|(all, fence)| all.push(fence));
        }
        fences
    }

    /// Takes the fences of the tiers among the first that were not read, and are to be written.
    pub(super) async fn fences_of_unread(
        &self,
        ns: &Door,
        name: EntryName,
        policy: &Policy,
        fences: &mut [Option<Fence>],
    ) {
        for (tier, fence) in self.tiers.iter().zip(fences) {
            if tier.is_read(policy) || !tier.is_written(policy) {
                continue;
            }
            match tier.fences(&[name], policy.lease_time()).await {
                Ok(taken) => *fence = taken.into_iter().next().flatten(),
                Err(error) => tier.note("fence", &error, |kind| self.report(Some(&ns.tenant), kind)),
            }
        }
    }

    async fn read_tier<V: 'static>(&self, tier: &TierHandle, wanted: &Wanted<'_, V>) -> Raw {
        if !tier.may_use(wanted.name) {
            return Raw::default();
        }
        TierCounters::count(&tier.counters.reads);
        match tier.get_many(asking(vec![wanted.name], wanted.policy)).await {
            Ok(reply) => {
                let got = reply.into_iter().next().unwrap_or_default();
                if got.envelope.is_none() {
                    TierCounters::count(&tier.counters.misses);
                }
                Raw { got, failed: false }
            }
            Err(error) => {
                TierCounters::count(&tier.counters.read_failures);
                tier.note("get", &error, |kind| self.report(Some(&wanted.ns.tenant), kind));
                Raw { got: Got::default(), failed: true }
            }
        }
    }

    /// Judges what a tier returned: ours, undamaged, of a known history, still valid, and still of use.
    pub(super) fn judge_envelope<V: CacheValue>(
        &self,
        tier: &TierHandle,
        index: usize,
        wanted: &Wanted<'_, V>,
        bytes: &Bytes,
        seal: &Seal,
    ) -> Option<Found<V>> {
        let ns = wanted.ns;
        let report = |kind| self.report(Some(&ns.tenant), kind);
        let miss = || {
            TierCounters::count(&tier.counters.misses);
            None
        };
        if seal.is_missing() {
            return miss(); // was reported when the keys could not be had
        }
        let check = self.deployment.check(&ns.tenant.id, ns.space.prefix.path(), wanted.key);
        let foreign = || {
            TierCounters::count(&tier.counters.foreign_envelopes);
            report(EventKind::ForeignEnvelope { tier: tier.name.clone() });
            miss()
        };
        let (head, body) = match seal.open(&ns.tenant.id, &tier.name, wanted.name, bytes) {
            Ok(read) => read,
            Err(EnvelopeError::Unauthentic) => return foreign(),
            // another tenant's key is not known here
            Err(EnvelopeError::UnknownKey) if envelope::check_of(bytes).is_some_and(|of| of != check) => {
                return foreign();
            }
            Err(error) => {
                self.unreadable(ns, tier, error);
                return miss();
            }
        };
        if head.check != check {
            return foreign();
        }
        let Some(expired_at) = self.envelope_verdict(tier, ns, wanted.key, (wanted.began, wanted.by_key), &head) else {
            return miss();
        };
        let now = self.timeline.now();
        let tier_cap = wanted.policy.tier_rule(&tier.name).and_then(|r| r.ttl);
        if tier_cap.is_some_and(|cap| now >= head.created.saturating_add(ms(cap))) {
            return miss();
        }
        let times = self.believable(&head, expired_at);
        if now >= times.useful_until() {
            return miss();
        }
        let held = if head.absent {
            Held::Absent
        } else {
            match self.unpack(&body, (head.codec, head.compression, head.raw_len), wanted.keyspace) {
                Ok(value) => Held::Own(value),
                Err(error) => {
                    self.not_a_value(ns, tier, &error);
                    return miss();
                }
            }
        };
        let entry = self.promoted_entry(wanted, &head, times, held, &body);
        Some(Found {
            entry,
            tier: index,
            fresh: now < times.fresh_until,
            head,
            body,
            size: bytes.len(),
            seal: seal.clone(),
        })
    }

    /// Returns `Some` with the time of an `expire` if the envelope is valid. `began` is the position before it was read.
    pub(super) fn envelope_verdict(
        &self,
        tier: &TierHandle,
        ns: &Door,
        key: &[u8],
        (began, by_key): (Seq, ByKey),
        head: &Head,
    ) -> Option<Option<Millis>> {
        let marks = &ns.tenant.marks;
        if !self.mirror.knows(marks, head.stamp, head.global, head.own, self.shared) {
            return None;
        }
        let depends = Depends {
            path: ns.space.scopes.path(),
            tags: &head.tags,
            global_tags: &head.global_tags,
            lane_seq: head.stamp.seq,
            global_seq: head.global.seq,
            own: head.own,
        };
        let Verdict::Valid { expired_at, .. } = self.mirror.judge(marks, &depends) else { return None };
        let scope = self.key_scope(ns, key);
        // a tier has removed what a forgotten key mark was about, if it was asked to: by this node where it is the only
        // one, by all where nodes share it, and only what was loaded under the fence. All else must not be older than those
        let removed = if self.shared { tier.capability.shared && !head.older_than_token } else { true };
        let began = if tier.capability.fenced && removed { began } else { head.stamp.seq.max(head.own) };
        let judged = match by_key {
            ByKey::Marks => tier.capability.fenced || self.rules.has(Rule::KeyMarksBelow),
            ByKey::Lease => head.older_than_token,
            ByKey::LeaseOfLowest => false,
        };
        if judged && !self.mirror.key_allows(marks, scope, began, &depends) {
            return None;
        }
        let key_expired = self.mirror.key_expired_at(marks, scope, &depends);
        Some([expired_at, key_expired].into_iter().flatten().min())
    }

    /// Returns the times of an envelope, cut to what this cache could have written.
    pub(super) fn believable(&self, head: &Head, expired_at: Option<Millis>) -> Times {
        let longest = head.created.saturating_add(ms(self.ceilings.max_ttl));
        let fresh_until = head.fresh_until.min(longest).min(expired_at.unwrap_or(Millis::MAX));
        let window = |until: Millis| {
            let window = until.saturating_sub(head.fresh_until).min(ms(self.ceilings.max_stale));
            u32::try_from(window).unwrap_or(u32::MAX)
        };
        Times {
            created: head.created,
            fresh_until,
            revalidate_ms: window(head.revalidate_until),
            error_ms: window(head.error_until),
            memory_until: Millis::MAX,
        }
    }

    fn promoted_entry<V: CacheValue>(
        &self,
        wanted: &Wanted<'_, V>,
        head: &Head,
        times: Times,
        held: Held<V>,
        body: &Bytes,
    ) -> Arc<Entry<V>> {
        let (ns, now) = (wanted.ns, self.timeline.now());
        let life = Life::promoted(wanted.policy, times, head.load_ms, now);
        let scopes = if head.tags.is_empty() && head.global_tags.is_empty() {
            Arc::clone(&ns.space.scopes)
        } else {
            let make = || {
                let path = Arc::clone(ns.space.scopes.path());
                EntryScopes::new(path, head.tags.clone().into(), head.global_tags.clone().into())
            };
            ns.space.recent_scopes.of_scopes(&head.tags, &head.global_tags, make)
        };
        // the entry keeps the stamp of its load, but belongs to this node's present history
        let stamp = Stamp { lane: head.stamp, global: head.global, ..wanted.stamp };
        let cold = life.cold(head.etag.as_deref().map(Into::into));
        if let Some(cold) = &cold {
            cold.last_read.store(now, Relaxed);
        }
        let map_key = MapKey::from(ns.lookup(wanted.key));
        let mut entry = Entry::new(map_key, &stamp, head.own, life.times, scopes, cold, held);
        entry.meta.load_ms = head.load_ms;
        entry.meta.kept_out = self.kept_out(wanted.policy);
        let encoded = wanted.keyspace.is_some_and(|k| k.memory_form() == MemoryForm::Encoded);
        // copied: the envelope is a part of something larger
        let body = (encoded && !head.absent).then(|| Body {
            bytes: body[..].into(),
            raw_len: head.raw_len,
            codec: head.codec,
            compression: head.compression,
        });
        self.finished(entry, wanted.keyspace, wanted.policy, body)
    }
}
