//! Changing a value that nodes share: read and written under the lease of its key.
//!
//! The order of steps is what makes it hold. Whoever invalidates or inserts the key removes it, and the lease, before its
//! mark: so what is read under the lease is the last that was written, and what is written under it is refused if
//! that happened since. The mark comes before the new value, which has its position: copies of the old one end with
//! it, and none can be made afterwards. A node that dies in between leaves the old value, which readers miss, and
//! the next change finds.

use std::{pin::pin, sync::Arc};

use stratacache_core::{
    Consistency, EntryName, Error, ErrorKind, Key, Policy, Result, Stamp,
    coordinator::{Coordinator, Lease, LeaseReply, LeaseRequest, Strength},
    envelope,
    stamp::{Position, Seq},
    tier::{PutOutcome, TierErrorKind},
};
use tokio::time::sleep;

use super::{Job, chain::Chain, run::Attempt};
use crate::{
    codec::CacheValue,
    coherence::FillGuard,
    engine::{
        Door, Engine, Target,
        fill::{Filling, Put, no_keys},
        lease::{FIRST_PAUSE, LONGEST_PAUSE, fence_of},
        lower::{Below, ByKey, Wanted},
        seal::Seal,
    },
    memory::{Entry, Held, Times},
};

/// A load with a later stamp takes over a lease; nobody takes over that of a change.
const NOT_TAKEN_OVER: Seq = Seq::MAX;
/// How long the shared tier keeps what takes the place of a value that was taken; nobody finds it meanwhile.
const TRACE: u64 = 1_000;

/// What one attempt works with.
struct Work<'a, V: 'static> {
    ns: &'a Arc<Door>,
    key: &'a Key<V>,
    name: EntryName,
    /// As new as possible.
    policy: &'a Policy,
    /// The tier with leases.
    index: usize,
    seal: &'a Seal,
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

impl Engine {
    pub(super) async fn change_shared<V: CacheValue>(
        &self,
        index: usize,
        jobs: &mut [Job<V>],
        seen: &mut Option<u64>,
    ) -> Result<Attempt<V>> {
        let Some(first) = jobs.first() else { return Ok(Attempt::Done(Vec::new())) };
        let (ns, key) = (Arc::clone(&first.request.ns), first.request.key.clone());
        let policy = first.request.policy.consistency(Consistency::Latest);
        let seal = self.seal_of(&ns, None).await;
        if seal.is_missing() {
            return Err(no_keys().into());
        }
        if self.floor(&ns.tenant).is_some() {
            return Err(unavailable("invalidations of the tenant wait for the coordinator; nothing was changed"));
        }
        let name = self.name(&ns, key.as_bytes());
        let work = Work { ns: &ns, key: &key, name, policy: &policy, index, seal: &seal };
        let mut right = Some(self.right_to_change(&work, seen).await?);
        let attempt = self.change_leased(&work, jobs, &mut right, seen).await;
        self.give_back(right).await;
        attempt
    }

    /// Waits for the lease of a key.
    async fn right_to_change<V: CacheValue>(&self, work: &Work<'_, V>, seen: &mut Option<u64>) -> Result<Lease> {
        let Work { ns, name, policy, index, .. } = *work;
        let mut too_late = pin!(sleep(policy.lease_wait_time()));
        let mut pause = FIRST_PAUSE;
        loop {
            self.check_open()?;
            // watched from before the question: an end in between is not missed
            let ended = self.coordinator.watch(name);
            let stamp = Position { incarnation: self.mirror.incarnation(ns.tenant.lane), seq: NOT_TAKEN_OVER };
            let mut request = LeaseRequest::new(ns.tenant.lane, name, stamp, policy.lease_time());
            request.seen = *seen;
            match self.coordinator.lease(request).await? {
                LeaseReply::Granted(lease) => return Ok(lease),
                LeaseReply::Filled => {
                    let (fill, stamp) = self.mirror.begin_fill(&ns.tenant.marks);
                    let there = self.read_again(&work.wanted(&fill, stamp, ByKey::Lease), index).await;
                    if !there.failed && there.seen != *seen {
                        *seen = there.seen;
                        continue;
                    }
                }
                _ => {}
            }
            tokio::select! {
                () = ended => {}
                () = sleep(pause.mul_f64(0.5 + self.jitter.unit())) => {}
                () = &mut too_late => {
                    let message = "others had the right to write the value for all of lease_wait; nothing was changed";
                    return Err(Error::new(ErrorKind::Timeout, message));
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn change_leased<V: CacheValue>(
        &self,
        work: &Work<'_, V>,
        jobs: &mut [Job<V>],
        right: &mut Option<Lease>,
        seen: &mut Option<u64>,
    ) -> Result<Attempt<V>> {
        let Some(lease) = *right else { return Ok(Attempt::Again) };
        let leased_at = self.timeline.now();
        // the marks of all changes before this one, and of what was invalidated before it: the stamp is not below them
        self.sync(work.ns).await?;
        let (fill, stamp) = self.mirror.begin_fill(&work.ns.tenant.marks);
        let below = self.base_below(work, &fill, stamp).await?;
        *seen = below.seen;
        let base = below.found.filter(|found| found.fresh).map(|found| found.entry);
        let chain = self.apply(jobs, base.filter(|entry| entry.value().is_some()), &stamp);
        let Some(last) = chain.last else { return Ok(Attempt::Done(chain.results)) };
        let job = &jobs[last];
        // it is known what would be refused before anything is changed; the position does not change the length
        let Some((envelope, _)) = self.written(work, job, &chain, &stamp, 0)? else { return Ok(Attempt::Again) };
        let heaviest = self.tiers[work.index].heaviest(&job.request.policy);
        if (envelope.len() + work.seal.overhead()) as u64 > heaviest {
            return Err(too_heavy());
        }
        if self.timeline.now().saturating_sub(leased_at) > lease.life.as_millis() as u64 / 2
            && !self.coordinator.renew(lease).await?
        {
            *right = None;
            return Ok(Attempt::Again);
        }
        let scope = self.key_scope(work.ns, work.key.as_bytes());
        let own = self.order(work.ns, &[Target::key(scope)], Strength::Hard).await?.position().seq;
        self.drop_older(work.ns, &work.ns.lookup(work.key.as_bytes()), own);
        // who removed the key before this lease may mark it after its stamp: nobody would find what is stored so
        if !self.mirror.key_undisturbed(&work.ns.tenant.marks, scope, fill.began(), own) {
            return Ok(Attempt::Again);
        }
        let Some((envelope, entry)) = self.written(work, job, &chain, &stamp, own)? else {
            return Ok(Attempt::Again);
        };
        let (id, tier) = (envelope::id_of(&envelope), &self.tiers[work.index]);
        let expires_at = match chain.value {
            Some(_) => self.leaves_tier_at(tier, &*entry, &job.request.policy),
            None => self.timeline.now() + TRACE,
        };
        let put = Put {
            place: 0,
            name: work.name,
            envelope,
            fence: Some(fence_of(&lease)),
            seal: work.seal,
            slot: &*entry,
            policy: &job.request.policy,
        };
        match self.put_one(work.ns, work.index, &put, expires_at).await {
            Ok(PutOutcome::Stored) => *right = None,
            Ok(PutOutcome::TooLarge) => return Err(too_heavy()),
            Ok(_) => {
                *right = None;
                return Ok(Attempt::Again);
            }
            Err(error) if matches!(error.kind(), TierErrorKind::Full | TierErrorKind::Closed) => {
                return Err(error.into());
            }
            Err(error) => {
                let there = self.read_again(&work.wanted(&fill, stamp, ByKey::Lease), work.index).await;
                if there.failed || there.seen != id {
                    let message = "the shared tier did not say whether it stored the changed value: it may have been \
                                   changed, and may yet be";
                    return Err(Error::new(ErrorKind::WriteUnknown, message).with_source(error));
                }
                *right = None;
            }
        }
        *seen = id;
        if chain.value.is_some() {
            let max_weight = job.request.policy.weight_limit();
            self.put_memory(work.ns, work.key.as_bytes(), &entry, fill.began(), max_weight);
        }
        Ok(Attempt::Done(chain.results))
    }

    /// Reads the value under its lease: of the tier with leases, else of another.
    async fn base_below<V: CacheValue>(&self, work: &Work<'_, V>, fill: &FillGuard, stamp: Stamp) -> Result<Below<V>> {
        let lowest = work.index + 1 == self.tiers.len();
        let by_key = if lowest { ByKey::LeaseOfLowest } else { ByKey::Lease };
        let mut below = self.read_again(&work.wanted(fill, stamp, by_key), work.index).await;
        if below.failed {
            return Err(unavailable("the shared tier could not be read; nothing was changed"));
        }
        for (index, tier) in self.tiers.iter().enumerate() {
            if below.found.is_some() {
                break;
            }
            if index != work.index && tier.is_read(work.policy) {
                below.found = self.read_again(&work.wanted(fill, stamp, ByKey::Marks), index).await.found;
            }
        }
        Ok(below)
    }

    /// Makes the entry that is written, and its envelope; `None` where its history has ended.
    fn written<V: CacheValue>(
        &self,
        work: &Work<'_, V>,
        job: &Job<V>,
        chain: &Chain<V>,
        stamp: &Stamp,
        own: Seq,
    ) -> Result<Option<(bytes::Bytes, Arc<Entry<V>>)>> {
        let request = &job.request;
        let entry = match &chain.value {
            Some(value) => self.changed_entry(job, Held::Of(value.origin()), Some(value), stamp, own),
            None => {
                let now = self.timeline.now();
                let times = Times { created: now, fresh_until: now, memory_until: u64::MAX, ..Times::default() };
                let key = request.ns.lookup(request.key.as_bytes()).into();
                let scopes = Arc::clone(&request.ns.space.scopes);
                Arc::new(Entry::new(key, stamp, own, times, scopes, None, Held::Absent))
            }
        };
        let filling = Filling {
            key: request.key.as_bytes(),
            keyspace: request.key.keyspace(),
            name: work.name,
            entry: &entry,
            fences: &[],
            seal: work.seal,
            policy: &request.policy,
            mode: stratacache_core::OnWriteError::Strict,
            carried: true,
        };
        let envelope = self.envelope_of(&request.ns, &filling).map_err(|error| {
            Error::new(ErrorKind::Codec, "the changed value cannot be encoded; nothing was changed").with_source(error)
        })?;
        Ok(envelope.map(|envelope| (envelope, entry)))
    }
}

fn too_heavy() -> Error {
    let message = "the changed value is heavier than max_weight, or than the shared tier takes; nothing was changed";
    Error::new(ErrorKind::Full, message)
}

impl<V: CacheValue> Work<'_, V> {
    fn wanted(&self, fill: &FillGuard, stamp: Stamp, by_key: ByKey) -> Wanted<'_, V> {
        Wanted {
            ns: self.ns,
            key: self.key.as_bytes(),
            name: self.name,
            began: fill.began(),
            stamp,
            policy: self.policy,
            keyspace: self.key.keyspace(),
            by_key,
        }
    }
}
