//! Leading a flight: tiers below, the loader, memory, the waiters, then the tiers below again.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use smallvec::SmallVec;
use stratacache_core::{
    EntryName, Key, OnWriteError, Policy, Stamp, Tag, clock::Millis, coordinator::Lease, tier::Fence,
};

use super::{
    Door, Engine, Standing,
    fill::{Filling, Kept},
    lease::{Refresh, Right, fence_of},
    lower::{Below, ByKey, Found, LeaseLife, Wanted},
    make::Making,
    places::Place,
    promote::Rising,
    protect::{Loading, Protection, Running},
    refresh::Outdated,
    seal::Seal,
};
use crate::{
    Cached, Freshness, LoadContext, LoadError, Loaded,
    codec::CacheValue,
    coherence::{FillGuard, Rule},
    flight::{Lead, Outcome},
    loaded::LoadedValue,
    memory::{Entry, Held, MapKey},
    observe::Counter,
};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// A loader of any kind, as the leader runs it.
pub(crate) type BoxedLoad<V, E> = Box<dyn FnOnce(LoadContext<V>) -> BoxFuture<Result<Loaded<V>, E>> + Send>;

/// Everything a load needs to know besides the loader; owned, since the leader outlives the caller.
pub(crate) struct Call<V: 'static> {
    pub(crate) ns: Arc<Door>,
    pub(crate) key: Key<V>,
    pub(crate) policy: Policy,
    pub(crate) ttl: Duration,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    /// Loads even if there is a fresh value.
    pub(crate) forced: bool,
    /// A refresh behind a reader: forced, unless another node does it.
    pub(crate) behind: bool,
    pub(crate) share: bool,
    /// Whether an absence is an answer.
    pub(crate) optional: bool,
    /// The entry was seen to ask for an early refresh: the dice are thrown once for each read.
    pub(crate) refresh: bool,
    /// What it may use; decided when it begins.
    pub(crate) standing: Standing,
    /// The place for the load, where a warm-up brings one.
    pub(crate) place: Option<Place>,
    pub(crate) protection: Protection,
}

/// A call and its loader.
pub(crate) struct Request<V: 'static, E> {
    pub(crate) call: Call<V>,
    pub(crate) load: Loading<BoxedLoad<V, E>>,
}

/// What a flight brought.
pub(crate) struct Landed<V> {
    pub(crate) entry: Arc<Entry<V>>,
    pub(crate) freshness: Freshness,
    /// The tier below memory that had it.
    pub(crate) tier: Option<usize>,
}

impl<V> Landed<V> {
    pub(super) fn loaded(entry: Arc<Entry<V>>) -> Self {
        Self { entry, freshness: Freshness::Loaded, tier: None }
    }

    pub(super) fn stale(entry: Arc<Entry<V>>) -> Self {
        Self { entry, freshness: Freshness::Stale, tier: None }
    }

    /// Of memory, or of a flight that found memory's entry to be good.
    pub(super) fn known(entry: Arc<Entry<V>>, freshness: Freshness) -> Self {
        Self { entry, freshness, tier: None }
    }

    pub(super) fn below(entry: Arc<Entry<V>>, tier: usize) -> Self {
        Self { entry, freshness: Freshness::Fresh, tier: Some(tier) }
    }
}

impl<V> Clone for Landed<V> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), freshness: self.freshness, tier: self.tier }
    }
}

/// The outcome of a flight: all who wait get the same.
pub(crate) type LoadOutcome<V, E> = Result<Landed<V>, LoadError<E>>;

impl<V: Send + Sync + 'static, E: Send + Sync + 'static> Outcome for LoadOutcome<V, E> {
    fn abandoned() -> Self {
        Err(LoadError::Closed)
    }
}

/// What the leader of a flight is made of.
pub(super) struct Leader<V: 'static> {
    pub(super) call: Call<V>,
    pub(super) stamp: Stamp,
    /// Keeps the marks of keys that this fill may need.
    pub(super) fill: FillGuard,
    /// A valid value past its ttl, to serve if the load fails.
    pub(super) stale: Option<Arc<Entry<V>>>,
}

impl<V: CacheValue> Leader<V> {
    pub(super) fn engine(&self) -> &Engine {
        &self.call.ns.engine
    }

    /// Runs the flight to its end. Dropped half-way, the flight lands as abandoned.
    pub(super) async fn run<E: Send + Sync + 'static>(
        mut self,
        load: Loading<BoxedLoad<V, E>>,
        lead: Lead<MapKey, LoadOutcome<V, E>>,
    ) {
        let ns = self.call.ns.clone();
        let engine = Arc::clone(&ns.engine);
        let name = engine.name(&ns, self.call.key.as_bytes());
        let uses_tiers = self.call.standing.uses_tiers();
        let goes_below = engine.goes_below::<V>(&self.call.policy);
        // before the load, as the fences
        let seal = if goes_below { engine.seal_of(&ns, None).await } else { engine.no_seal() };
        let mut below = match uses_tiers && !self.call.forced {
            true => engine.read_below(&self.wanted(name)).await,
            false => Below::nothing(),
        };
        if let Some(found) = below.found.take() {
            if found.fresh && self.answers(&found) {
                let landed = self.promote(name, &found, &below.fences).await;
                lead.land(Ok(landed));
                return;
            }
            if !found.fresh && self.stale.is_none() {
                self.promote(name, &found, &below.fences).await;
                if engine.may_revalidate(&found.entry) {
                    // as for a stale entry of memory: served at once, refreshed behind
                    let entry = Arc::clone(&found.entry);
                    lead.land(Ok(Landed::stale(found.entry)));
                    engine.refresh_behind(Box::new(Request { call: self.call, load }), entry);
                    return;
                }
                self.stale = Some(found.entry);
            }
        }
        if let Some(error) = self.left_alone() {
            self.failed(&error);
            return lead.land(self.stale_instead().ok_or(error));
        }
        let mut lease = None;
        if uses_tiers && self.call.behind {
            lease = match self.right_to_refresh(name).await {
                Refresh::Load(lease) => lease,
                Refresh::Found(found) => {
                    let landed = self.take_over(name, *found).await;
                    lead.land(Ok(landed));
                    return;
                }
                Refresh::Elsewhere(landed) => {
                    lead.land(Ok(landed));
                    return;
                }
            };
        } else if uses_tiers && !self.call.forced && goes_below {
            lease = match self.right_to_load(name, &mut below).await {
                Right::Load(lease) => lease,
                Right::Found(found) => {
                    let landed = self.promote(name, &found, &below.fences).await;
                    lead.land(Ok(landed));
                    return;
                }
            };
        }
        let fences = self.fences(name, below.fences, lease.as_ref()).await;
        let right = engine.right_among(&ns, name, &fences, &self.call.policy);
        let began = engine.timeline.now();
        let place = self.call.place.take();
        let loaded = engine.renewing(right, self.load(load, place)).await;
        match loaded {
            Ok(loaded) => {
                engine.wake_key(&ns, self.call.key.as_bytes());
                ns.say_loaded(self.call.key.as_bytes(), engine.timeline.now().saturating_sub(began));
                let made = self.make_entry(loaded, began);
                let (entry, store) = match made {
                    Ok(made) => made,
                    Err(error) => {
                        lead.land(Err(error));
                        return engine.give_back(right).await;
                    }
                };
                let kept = if store { self.put(&entry) } else { Kept::TooHeavy };
                // whoever waits goes on; what is below is filled behind
                lead.land(Ok(Landed::loaded(Arc::clone(&entry))));
                if store && kept != Kept::Overtaken {
                    // closing waits for what is being written
                    engine.spawner.start_lasting(async move { self.fill(name, &entry, &fences, &seal, right).await });
                } else {
                    engine.give_back(right).await;
                }
            }
            Err(error) => {
                self.failed(&error);
                self.rest(&error);
                lead.land(self.stale_instead().ok_or(error));
                engine.give_back(right).await;
            }
        }
    }

    /// Tells whether what a tier has is an answer to this load.
    pub(super) fn answers(&self, found: &Found<V>) -> bool {
        self.call.optional || found.entry.value().is_some()
    }

    /// Returns the fences of all tiers: those that came with the reads, and of those that were not asked, for a forced load
    /// or below an absence that is no answer here.
    async fn fences(
        &self,
        name: EntryName,
        mut fences: Vec<Option<Fence>>,
        lease: Option<&Lease>,
    ) -> Vec<Option<Fence>> {
        if !self.call.standing.uses_tiers() {
            return fences;
        }
        let (engine, call) = (self.engine(), &self.call);
        // what was asked for is not taken
        let asked = lease.is_some() || (call.behind && engine.leased_for(&call.policy).is_some());
        let life = if asked { LeaseLife::None } else { LeaseLife::Renewed };
        engine.fences_of_unread(&call.ns, name, &call.policy, &mut fences).await;
        let others = engine.fences_below::<V>(&call.ns, &[name], &call.policy, fences.len(), life).await;
        fences.extend(others.into_iter().flatten());
        if let Some((index, lease)) = engine.leased_tier().zip(lease)
            && let Some(fence) = fences.get_mut(index)
        {
            *fence = Some(fence_of(lease));
        }
        fences
    }

    pub(super) fn wanted(&self, name: EntryName) -> Wanted<'_, V> {
        Wanted {
            ns: &self.call.ns,
            key: self.call.key.as_bytes(),
            name,
            began: self.fill.began(),
            stamp: self.stamp,
            policy: &self.call.policy,
            keyspace: self.call.key.keyspace(),
            by_key: ByKey::Marks,
        }
    }

    /// Fills the tiers above with what a lower tier had.
    async fn promote(&self, name: EntryName, found: &Found<V>, fences: &[Option<Fence>]) -> Landed<V> {
        let ns = &self.call.ns;
        let engine = self.engine();
        if self.call.policy.promotes() {
            let rising = Rising { key: &self.call.key, name, found, fences, began: self.fill.began() };
            engine.promote(ns, &self.call.policy, rising).await;
        }
        Landed::below(Arc::clone(&found.entry), found.tier)
    }

    /// Takes over what another node has refreshed. It is kept in memory whatever the policy says of promotion, as what a
    /// refresh here would have loaded.
    async fn take_over(&self, name: EntryName, found: Found<V>) -> Landed<V> {
        let (engine, call) = (self.engine(), &self.call);
        let rising = Rising { key: &call.key, name, found: &found, fences: &[], began: self.fill.began() };
        let kept = engine.promote(&call.ns, &call.policy, rising).await;
        if kept != Kept::Yes {
            self.look_again_later();
        }
        Landed::below(found.entry, found.tier)
    }

    async fn load<E>(&self, load: Loading<BoxedLoad<V, E>>, place: Option<Place>) -> Result<Loaded<V>, LoadError<E>> {
        let call = &self.call;
        let now = self.engine().timeline.now();
        let stale = self.stale.clone().and_then(|entry| Cached::new(entry, Freshness::Stale, now));
        let failures = self.stale.as_ref().and_then(|e| e.meta.cold()).map_or(0, |c| c.failures.load(Relaxed));
        let (ns, key, protection, limit) = (&*call.ns, &call.key, &call.protection, call.policy.load_timeout_time());
        let running = Running { ns, key, protection, place, limit };
        let context = move |calls: u32| LoadContext { stale: stale.clone(), attempt: failures.saturating_add(calls) };
        running.run(load, |load, calls| load(context(calls))).await
    }

    /// Makes the entry of a loaded value; the flag says whether it may be stored.
    fn make_entry<E>(&mut self, loaded: Loaded<V>, began: Millis) -> Result<(Arc<Entry<V>>, bool), LoadError<E>> {
        let engine = Arc::clone(&self.call.ns.engine);
        if !engine.rules.has(Rule::StampBeforeLoad) {
            self.stamp = engine.mirror.stamp(&self.call.ns.tenant.marks);
        }
        if let Some(policy) = loaded.policy {
            policy.check(&engine.ceilings).map_err(LoadError::Invalid)?;
            // the tiers of the call were read, and the fences of those it writes are taken
            self.call.policy = policy.tiers(self.call.policy.tiers_used());
            self.call.ttl = policy.fresh_time();
        }
        if let Some(ttl) = loaded.ttl {
            self.call.policy.with_ttl(ttl).check(&engine.ceilings).map_err(LoadError::Invalid)?;
            self.call.ttl = ttl;
        }
        let mut tags = self.call.tags.clone();
        tags.extend(loaded.tags);
        self.call.ns.check_tags(&tags).map_err(LoadError::Invalid)?;
        let mut etag = loaded.etag;
        let held = match loaded.value {
            LoadedValue::Value(value) => Held::Own(value),
            LoadedValue::Shared(value) => Held::Shared(value),
            LoadedValue::Absent => Held::Absent,
            LoadedValue::NotModified => {
                let old = self.stale.as_ref().filter(|e| e.value().is_some()).ok_or(LoadError::NothingToKeep)?;
                etag = etag.or_else(|| old.meta.etag().map(Into::into));
                Held::Of(old.origin())
            }
        };
        let making = Making {
            ns: &self.call.ns,
            key: &self.call.key,
            policy: &self.call.policy,
            ttl: self.call.ttl,
            tags: &tags,
            stamp: &self.stamp,
            own: 0,
            began: Some(began),
            etag,
        };
        let entry = making.entry(&engine, held);
        if !loaded.store {
            self.count(Counter::not_stored);
        }
        Ok((entry, loaded.store))
    }

    fn put(&self, entry: &Arc<Entry<V>>) -> Kept {
        let ns = &self.call.ns;
        let key = self.call.key.as_bytes();
        let max_weight = self.call.policy.weight_limit();
        let kept = self.engine().put_memory(ns, key, entry, self.fill.began(), max_weight);
        if kept == Kept::Overtaken {
            self.count(Counter::not_stored);
        }
        kept
    }

    async fn fill(
        &self,
        name: EntryName,
        entry: &Entry<V>,
        fences: &[Option<Fence>],
        seal: &Seal,
        right: Option<Lease>,
    ) {
        let ns = &self.call.ns;
        let key = self.call.key.as_bytes();
        let mode = self.call.policy.on_write_error_mode().unwrap_or(OnWriteError::BestEffort);
        // failures are counted and reported where they happen; the callers have their value
        let (keyspace, policy) = (self.call.key.keyspace(), &self.call.policy);
        let filling = Filling { key, keyspace, name, entry, fences, seal, policy, mode, carried: false };
        let filled = self.engine().fill_below(ns, &[filling]).await;
        if !filled.iter().any(|one| one.lease_spent) {
            self.engine().give_back(right).await;
        }
    }

    /// Returns the stale value that stands in for a failed load, if it may still be served.
    fn stale_instead(&self) -> Option<Landed<V>> {
        let stale = self.stale.as_ref().filter(|_| !self.call.forced)?;
        self.engine().stand_in(&self.call.ns, &self.call.key, stale, self.fill.began())
    }

    /// Notes a failure, so that readers of the stale value do not wait for the next attempt.
    fn failed<E>(&self, error: &LoadError<E>) {
        let (key, behind) = (&self.call.key, self.call.forced);
        let stale: SmallVec<[_; 1]> = self.stale.iter().map(|entry| Outdated { key, entry, behind }).collect();
        self.call.ns.say_load_failed(key.as_bytes(), error.reason());
        self.engine().load_failed(&self.call.ns, key, error, &stale);
    }

    pub(super) fn count(&self, counter: Counter) {
        self.call.ns.count(&self.call.key, counter);
    }
}
