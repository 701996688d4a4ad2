//! One load for each key among all nodes: who may load, and what the others do meanwhile.

use std::{
    future::{Future, pending},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use stratacache_core::{
    EntryName, Policy,
    coordinator::{Coordinator, Lease, LeaseReply, LeaseRequest},
    tier::Fence,
};
use tokio::time::{sleep, timeout};

use super::{
    Door, Engine,
    lead::{Landed, Leader},
    lower::{Below, Found},
};
use crate::{codec::CacheValue, observe::Counter};

/// Who is not woken looks again after so long, at first and at most.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A lease is renewed so many times in its life.
const RENEWALS: u32 = 3;

/// How a key that no tier has comes to its value.
pub(super) enum Right<V> {
    /// By a load here; without a lease its value stays in memory.
    Load(Option<Lease>),
    /// Another node has loaded it.
    Found(Box<Found<V>>),
}

/// How a refresh behind a reader goes on.
pub(super) enum Refresh<V> {
    /// It loads here; without a lease its value stays in memory.
    Load(Option<Lease>),
    /// Another node has refreshed it.
    Found(Box<Found<V>>),
    /// Another node does: what there is serves meanwhile.
    Elsewhere(Landed<V>),
}

impl Engine {
    /// Returns the tier whose fences are the leases of the coordinator.
    pub(super) fn leased_tier(&self) -> Option<usize> {
        let leased = || self.tiers.iter().position(|tier| tier.capability.leased);
        self.shared.then(leased).flatten()
    }

    /// Runs a load, and renews its lease meanwhile.
    pub(super) async fn renewing<T>(&self, lease: Option<Lease>, load: impl Future<Output = T>) -> T {
        let renewals = async {
            let Some(lease) = lease else { return pending().await };
            loop {
                sleep(lease.life / RENEWALS).await;
                if let Ok(false) = self.coordinator.renew(lease).await {
                    tracing::debug!("the lease is gone: the value will not be stored below");
                    return pending().await;
                }
            }
        };
        tokio::select! {
            biased;
            loaded = load => loaded,
            () = renewals => unreachable!("renewals never end"),
        }
    }

    /// Returns the right to write that is among the fences of an entry: its lease, or one that was taken from whoever had it.
    pub(super) fn right_among(
        &self,
        ns: &Door,
        name: EntryName,
        fences: &[Option<Fence>],
        policy: &Policy,
    ) -> Option<Lease> {
        let Fence(token) = fences.get(self.leased_tier()?).copied().flatten()?;
        Some(Lease { lane: ns.tenant.lane, name, token, life: policy.lease_time() })
    }

    /// Gives a lease back that no fill has ended. Others who wait go on at once; if that fails, when it ends.
    pub(super) async fn give_back(&self, lease: Option<Lease>) {
        let Some(lease) = lease else { return };
        if let Err(error) = self.coordinator.release(lease).await {
            tracing::debug!(%error, "a lease was not given back; it ends by itself");
        }
    }
}

impl<V: CacheValue> Leader<V> {
    /// Asks for the right to load, and waits for another node that has it.
    pub(super) async fn right_to_load(&self, name: EntryName, below: &mut Below<V>) -> Right<V> {
        let engine = self.engine();
        let leased = engine.leased_for(&self.call.policy);
        let Some(index) = leased.filter(|_| !below.failed) else { return Right::Load(None) };
        let turns = self.take_turns(name, index, below);
        match timeout(self.call.policy.lease_wait_time(), turns).await {
            Ok(right) => right,
            Err(_) => {
                tracing::debug!("the other node takes long: loading here too, for memory only");
                Right::Load(None)
            }
        }
    }

    async fn take_turns(&self, name: EntryName, index: usize, below: &mut Below<V>) -> Right<V> {
        let engine = self.engine();
        let mut pause = FIRST_PAUSE;
        let mut waited = false;
        loop {
            // watched from before the question: a fill in between is not missed
            let ended = engine.coordinator.watch(name);
            match engine.coordinator.lease(self.lease_request(name, below.seen)).await {
                Ok(LeaseReply::Granted(lease)) => return Right::Load(Some(lease)),
                Ok(LeaseReply::Filled) => {}
                Ok(_) => {
                    if !waited {
                        self.count(Counter::lease_waits);
                        waited = true;
                    }
                    let jittered = pause.mul_f64(0.5 + engine.jitter.unit());
                    tokio::select! {
                        () = ended => {}
                        () = sleep(jittered) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    tracing::debug!(%error, "no lease: loading for memory only");
                    return Right::Load(None);
                }
            }
            let again = engine.read_again(&self.wanted(name), index).await;
            match again.found.filter(|found| found.fresh) {
                Some(found) if self.answers(&found) => return Right::Found(Box::new(found)),
                _ => {}
            }
            if again.failed {
                return Right::Load(None);
            }
            below.seen = again.seen;
        }
    }

    /// Asks for the right to refresh what this node holds: one node does it, and the others take over what it brings.
    pub(super) async fn right_to_refresh(&mut self, name: EntryName) -> Refresh<V> {
        let (ns, key) = (Arc::clone(&self.call.ns), self.call.key.clone());
        let engine = Arc::clone(&ns.engine);
        let goes_below = engine.goes_below::<V>(&self.call.policy);
        let leased = engine.leased_for(&self.call.policy);
        let Some(index) = leased.filter(|_| goes_below) else { return Refresh::Load(None) };
        let mut below = Below::nothing();
        // a second time where another node filled in between
        for _ in 0..2 {
            below = engine.read_again(&self.wanted(name), index).await;
            if below.failed {
                return Refresh::Load(None);
            }
            if let Some(found) = below.found.take_if(|found| found.fresh && self.is_newer(found)) {
                return Refresh::Found(Box::new(found));
            }
            match engine.coordinator.lease(self.lease_request(name, below.seen)).await {
                Ok(LeaseReply::Granted(lease)) => return Refresh::Load(Some(lease)),
                Ok(LeaseReply::Filled) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "no lease: refreshing for memory only");
                    return Refresh::Load(None);
                }
            }
        }
        self.look_again_later();
        if let Some(stale) = &self.stale
            && let Some(landed) = engine.serves_on(&ns, &key, stale, self.fill.began())
        {
            return Refresh::Elsewhere(landed);
        }
        // it ended meanwhile, and somebody may wait: as for a miss
        match self.right_to_load(name, &mut below).await {
            Right::Load(lease) => Refresh::Load(lease),
            Right::Found(found) => Refresh::Found(found),
        }
    }

    /// Lets whoever reads later what was to be refreshed look again, and not at once.
    pub(super) fn look_again_later(&self) {
        if let Some(stale) = &self.stale {
            let pause = LONGEST_PAUSE.mul_f64(0.5 + self.engine().jitter.unit() / 2.0).as_millis() as u64;
            stale.meta.cold_or_default().retry_at.store(self.engine().timeline.now() + pause, Relaxed);
        }
    }

    /// Tells whether what a tier has was made after what is refreshed, and is an answer to whoever waits.
    fn is_newer(&self, found: &Found<V>) -> bool {
        let created = self.stale.as_ref().map_or(0, |entry| entry.meta.created);
        found.entry.meta.created > created && self.answers(found)
    }

    fn lease_request(&self, name: EntryName, seen: Option<u64>) -> LeaseRequest {
        let (engine, ns) = (self.engine(), &self.call.ns);
        let key = engine.key_scope(ns, self.call.key.as_bytes());
        let scopes = ns.entry_scopes(&self.call.key, &self.call.tags);
        let mut request = LeaseRequest::new(ns.tenant.lane, name, self.stamp.lane, self.call.policy.lease_time());
        request.seen = seen;
        request.newest = engine.mirror.newest_mark(&ns.tenant.marks, key, scopes.path(), scopes.tags());
        request
    }
}

/// Returns the fence of a tier whose fences are leases.
pub(super) fn fence_of(lease: &Lease) -> Fence {
    Fence(lease.token)
}
