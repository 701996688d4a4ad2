//! Many keys at once, with one call of the loader for all that is missing or to be refreshed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use smallvec::SmallVec;
use stratacache_core::{EntryName, Key, OnWriteError, Policy, Stamp, Tag, clock::Millis, stamp::Seq, tier::Fence};

use super::{
    Door, Engine, Standing,
    answer::FromMemory,
    fill::{Filling, Kept},
    lead::{BoxFuture, Landed, LoadOutcome},
    lower::{Found, LeaseLife},
    make::Making,
    places::Place,
    promote::Rising,
    protect::{Loading, Protection, Running},
    read::new_enough,
    refresh::Outdated,
    seal::Seal,
};
use crate::{
    LoadError,
    codec::CacheValue,
    coherence::FillGuard,
    flight::{Flight, Lead, Role},
    memory::{Entry, Held, MapKey},
    observe::Counter,
    spawn::Courtesy,
};

/// Loads the keys with these indices; what it leaves out is absent.
pub(crate) type BulkLoad<V, E> = Box<dyn FnOnce(Vec<usize>) -> BoxFuture<Result<Vec<(usize, V)>, E>> + Send>;

/// A load of many keys, owned.
pub(crate) struct BulkRequest<V: 'static, E> {
    pub(crate) call: BulkCall<V>,
    pub(crate) load: Loading<BulkLoad<V, E>>,
}

/// Everything a load of many keys needs to know besides the loader.
pub(crate) struct BulkCall<V: 'static> {
    pub(crate) ns: Arc<Door>,
    pub(crate) keys: Arc<[Key<V>]>,
    pub(crate) policy: Policy,
    pub(crate) ttl: Duration,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    /// Loads whatever the tiers hold.
    pub(crate) forced: bool,
    /// The place for the load, where a warm-up brings one.
    pub(crate) place: Option<Place>,
    pub(crate) protection: Protection,
}

/// A key to be loaded.
pub(super) struct Wish<V> {
    pub(super) index: usize,
    /// Its valid value past its ttl, or about to be; to serve if the load fails.
    pub(super) stale: Option<Arc<Entry<V>>>,
    /// The reader has its answer: the load is a refresh behind it.
    pub(super) behind: bool,
}

/// One key that this call leads.
pub(super) struct Led<V: CacheValue, E: Send + Sync + 'static> {
    name: EntryName,
    pub(super) lead: Lead<MapKey, LoadOutcome<V, E>>,
    pub(super) fill: FillGuard,
    pub(super) stale: Option<Arc<Entry<V>>>,
    behind: bool,
    fences: Vec<Option<Fence>>,
}

/// A flight that the call waits for, and what stands in if it fails.
pub(super) struct Awaited<V: CacheValue, E: Send + Sync + 'static> {
    pub(super) index: usize,
    pub(super) flight: Arc<Flight<LoadOutcome<V, E>>>,
    pub(super) stale: Option<Arc<Entry<V>>>,
}

impl Engine {
    /// Reads many keys through: each as a read of one key, but with one call of the loader for all.
    pub(crate) async fn read_through_many<V, E>(
        self: &Arc<Self>,
        request: BulkRequest<V, E>,
    ) -> Result<Vec<Landed<V>>, LoadError<E>>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let (ns, keys) = (Arc::clone(&request.call.ns), Arc::clone(&request.call.keys));
        let standing = self.catch_up(&ns, &request.call.policy).await.map_err(LoadError::not_current)?;
        // the marks that may come while this caller waits are needed to judge stale values
        let (waiting_since, start) = self.mirror.begin_fill(&ns.tenant.marks);
        let mut answers = Vec::with_capacity(keys.len());
        let mut wishes = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            if request.call.forced {
                wishes.push(Wish { index, stale: None, behind: false });
                answers.push(None);
                continue;
            }
            answers.push(match self.memory_answer(&ns, key, true, standing) {
                FromMemory::Answer { landed, refresh } => {
                    let stale = Some(Arc::clone(&landed.entry));
                    wishes.extend(refresh.then_some(Wish { index, stale, behind: true }));
                    Some(landed)
                }
                FromMemory::Load(stale) => {
                    wishes.push(Wish { index, stale, behind: false });
                    None
                }
            });
        }
        let waits = answers.iter().any(Option::is_none);
        let place = waits.then(|| ns.tenant.wait_place(&self.limits)).flatten();
        let awaited = if waits && place.is_none() {
            self.without_a_place(&ns, &keys, wishes, &mut answers)?;
            Vec::new()
        } else {
            self.join_or_lead_many(request, wishes, &start, standing)
        };
        for one in awaited {
            let (index, key) = (one.index, &keys[one.index]);
            let answer = self.outcome(&ns, key, one, waiting_since.began()).await;
            ns.count_answer(key, answer.as_ref().ok());
            answers[index] = Some(answer?);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Waits for a flight; a stale value may stand in for its failure. `began` is the position before the caller waited.
    pub(super) async fn outcome<V, E>(
        &self,
        ns: &Door,
        key: &Key<V>,
        awaited: Awaited<V, E>,
        began: Seq,
    ) -> LoadOutcome<V, E>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let Awaited { flight, stale, .. } = awaited;
        flight.wait().await.or_else(|error| {
            let stale = stale.and_then(|entry| self.stand_in(ns, key, &entry, began));
            stale.ok_or(error)
        })
    }

    /// Answers with stale values what would have to be waited for; too many wait already.
    fn without_a_place<V: CacheValue, E>(
        &self,
        ns: &Door,
        keys: &[Key<V>],
        wishes: Vec<Wish<V>>,
        answers: &mut [Option<Landed<V>>],
    ) -> Result<(), LoadError<E>> {
        for Wish { index, stale, .. } in wishes.into_iter().filter(|wish| !wish.behind) {
            ns.count(&keys[index], Counter::overloads);
            // found valid a moment ago
            let landed = stale.map(Landed::stale);
            ns.count_answer(&keys[index], landed.as_ref());
            answers[index] = Some(landed.ok_or(LoadError::Overloaded)?);
        }
        Ok(())
    }

    /// Joins the flights of keys that are loaded already, and leads the others. Returns those to wait for.
    pub(super) fn join_or_lead_many<V, E>(
        self: &Arc<Self>,
        request: BulkRequest<V, E>,
        wishes: Vec<Wish<V>>,
        start: &Stamp,
        standing: Standing,
    ) -> Vec<Awaited<V, E>>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let (mut leader, load) = BulkLeader::new(self, request, standing);
        let awaited = wishes.into_iter().filter_map(|wish| leader.join_or_lead(wish, start)).collect();
        leader.take_off(load);
        awaited
    }

    /// As [`join_or_lead_many`](Self::join_or_lead_many), and gives others their turn. For tasks that nobody drops: flights that were begun
    /// would land as abandoned.
    pub(super) async fn join_or_lead_in_turns<V, E>(
        self: &Arc<Self>,
        request: BulkRequest<V, E>,
        wishes: Vec<Wish<V>>,
        start: &Stamp,
        standing: Standing,
    ) -> Vec<Awaited<V, E>>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let (mut leader, load) = BulkLeader::new(self, request, standing);
        let (mut awaited, mut courtesy) = (Vec::with_capacity(wishes.len()), Courtesy::default());
        for wish in wishes {
            awaited.extend(leader.join_or_lead(wish, start));
            courtesy.step().await;
        }
        leader.take_off(load);
        awaited
    }
}

/// Leads many flights with one call of the loader.
pub(super) struct BulkLeader<V: CacheValue, E: Send + Sync + 'static> {
    pub(super) engine: Arc<Engine>,
    pub(super) call: BulkCall<V>,
    standing: Standing,
    /// Taken before the load.
    seal: Seal,
    /// By their index, which is also the order in which their fills began.
    pub(super) led: BTreeMap<usize, Led<V, E>>,
}

impl<V: CacheValue, E: Send + Sync + 'static> BulkLeader<V, E> {
    fn new(engine: &Arc<Engine>, request: BulkRequest<V, E>, standing: Standing) -> (Self, Loading<BulkLoad<V, E>>) {
        let BulkRequest { call, load } = request;
        let seal = engine.no_seal();
        (Self { engine: Arc::clone(engine), call, standing, seal, led: BTreeMap::new() }, load)
    }

    /// Starts the task that runs the flights, if there are any.
    fn take_off(self, load: Loading<BulkLoad<V, E>>) {
        if !self.led.is_empty() {
            let engine = Arc::clone(&self.engine);
            engine.spawner.start(self.run(load));
        }
    }

    fn join_or_lead(&mut self, wish: Wish<V>, start: &Stamp) -> Option<Awaited<V, E>> {
        let Wish { index, stale, behind } = wish;
        let (ns, key) = (&self.call.ns, &self.call.keys[index]);
        let left_out = self.engine.left_out(&self.call.policy);
        let flight_key = Engine::flight_key::<V, E>(ns, key, self.call.forced, 0, left_out);
        // who waits joins only flights that began after the call: their result needs no second look. A node that may be
        // behind would need one, since a flight may bring what is older than itself
        let judges = self.standing.uses_tiers();
        let may_join = |flight: &Flight<_>| behind || (judges && new_enough(&flight.stamp, start));
        let flight = match self.engine.join_or_lead(ns, flight_key, (key, &self.call.tags), may_join) {
            Role::Join(_) if behind => return None,
            Role::Join(flight) => {
                ns.count(key, Counter::flights_joined);
                flight
            }
            Role::Lead(lead, fill) => {
                if behind {
                    ns.count(key, Counter::refreshes);
                }
                let flight = Arc::clone(lead.flight());
                let name = self.engine.name(ns, key.as_bytes());
                let led = Led { name, lead, fill, stale: stale.clone(), behind, fences: Vec::new() };
                self.led.insert(index, led);
                flight
            }
        };
        (!behind).then_some(Awaited { index, flight, stale })
    }

    /// Runs the flights to their end. Dropped half-way, they land as abandoned.
    async fn run(mut self, load: Loading<BulkLoad<V, E>>) {
        if self.engine.goes_below::<V>(&self.call.policy) {
            self.seal = self.engine.seal_of(&self.call.ns, None).await;
        }
        if self.standing.uses_tiers() {
            self.look_below().await;
        }
        let Some(first) = self.led.keys().next() else { return };
        if let Some(error) = self.left_alone() {
            return self.fail(&error).await;
        }
        let ns = Arc::clone(&self.call.ns);
        let first = self.call.keys[*first].clone();
        let began = self.engine.timeline.now();
        let wanted: Vec<usize> = self.led.keys().copied().collect();
        let (place, limit) = (self.call.place.take(), self.call.policy.load_timeout_time());
        let running = Running { ns: &ns, key: &first, protection: &self.call.protection, place, limit };
        match running.run(load, |load, _| load(wanted.clone())).await {
            Ok(values) => self.store(values.into_iter().collect(), began).await,
            Err(error) => {
                self.rest(&error);
                self.fail(&error).await;
            }
        }
    }

    /// Looks into the tiers below, and lands what they have.
    async fn look_below(&mut self) {
        let (engine, call) = (Arc::clone(&self.engine), &self.call);
        let names = |behind: bool| -> (Vec<usize>, Vec<EntryName>) {
            self.led
                .iter()
                .filter(|(_, one)| (one.behind || call.forced) == behind)
                .map(|(index, one)| (*index, one.name))
                .unzip()
        };
        // refreshed whatever the tiers hold
        let (refreshed, refreshed_names) = names(true);
        let (read, read_names) = names(false);
        if !refreshed.is_empty() {
            let fences =
                engine.fences_below::<V>(&call.ns, &refreshed_names, &call.policy, 0, LeaseLife::Loading).await;
            for (index, fences) in refreshed.iter().zip(fences) {
                self.led.entry(*index).and_modify(|one| one.fences = fences);
            }
        }
        // the oldest of the fills: what was marked after it is checked for every key
        let Some(first) = read.first().and_then(|index| self.led.get(index)) else { return };
        let names: Vec<_> = read.iter().copied().zip(read_names).collect();
        let stamp = first.lead.flight().stamp;
        let (found, fences) = engine.read_names(&call.ns, &call.keys, &names, &first.fill, stamp, &call.policy).await;
        for (index, fences) in fences {
            self.led.entry(index).and_modify(|one| one.fences = fences);
        }
        if self.call.policy.promotes() {
            let BulkCall { ns, keys, policy, .. } = &self.call;
            let rising = |(index, found): (&usize, _)| {
                let one = self.led.get(index)?;
                // what is past its ttl takes the place of nothing better
                let wanted = |found: &Found<V>| found.fresh || one.stale.is_none();
                let (key, name, fences) = (&keys[*index], one.name, one.fences.as_slice());
                wanted(found).then(|| Rising { key, name, found, fences, began: one.fill.began() })
            };
            let rising: Vec<_> = found.iter().filter_map(rising).collect();
            engine.promote_many(ns, policy, &rising).await;
        }
        for (index, found) in found {
            self.found_below(index, found);
        }
        self.take_the_rest().await;
    }

    /// Takes the fences that come with no read, of the keys that are to be loaded: leases, whoever has them, and those of
    /// tiers that are written only.
    async fn take_the_rest(&mut self) {
        let (engine, policy) = (Arc::clone(&self.engine), &self.call.policy);
        if !engine.goes_below::<V>(policy) {
            return;
        }
        let leased = engine.leased_tier();
        for (index, tier) in engine.tiers.iter().enumerate() {
            if !tier.is_written(policy) || (leased != Some(index) && tier.is_read(policy)) {
                continue;
            }
            let lacks = |one: &&mut Led<V, E>| one.fences.get(index).is_none_or(Option::is_none);
            let mut lacking: Vec<_> = self.led.values_mut().filter(lacks).collect();
            let names: Vec<EntryName> = lacking.iter().map(|one| one.name).collect();
            match tier.fences(&names, tier.load_life(policy, names.len())).await {
                Ok(fences) => {
                    for (one, fence) in lacking.iter_mut().zip(fences) {
                        let missing = (index + 1).saturating_sub(one.fences.len());
                        one.fences.extend(std::iter::repeat_n(None, missing));
                        one.fences[index] = fence;
                    }
                }
                Err(error) => tier.note("fence", &error, |kind| engine.report(Some(&self.call.ns.tenant), kind)),
            }
        }
    }

    /// Takes what a tier had: as an answer, as one to be refreshed behind, or to stand in if the load fails.
    fn found_below(&mut self, index: usize, found: Found<V>) {
        let Some(mut one) = self.led.remove(&index) else { return };
        if !found.fresh && one.stale.is_some() {
            self.led.insert(index, one);
            return;
        }
        let entry = found.entry;
        if found.fresh {
            one.lead.land(Ok(Landed::below(entry, found.tier)));
        } else if self.engine.may_revalidate(&entry) {
            let began = one.lead.flight().stamp;
            one.lead.land(Ok(Landed::stale(Arc::clone(&entry))));
            self.join_or_lead(Wish { index, stale: Some(entry), behind: true }, &began);
            self.led.entry(index).and_modify(|again| again.fences = one.fences);
        } else {
            one.stale = Some(entry);
            self.led.insert(index, one);
        }
    }

    /// Lands every flight with its stale value, or with the error.
    async fn fail(self, error: &LoadError<E>) {
        let BulkCall { ns, keys, policy, .. } = &self.call;
        let outdated: Vec<_> = self
            .led
            .iter()
            .filter_map(|(index, one)| {
                Some(Outdated { key: &keys[*index], entry: one.stale.as_deref()?, behind: one.behind })
            })
            .collect();
        self.led.keys().for_each(|index| ns.say_load_failed(keys[*index].as_bytes(), error.reason()));
        if let Some(first) = self.led.keys().next() {
            self.engine.load_failed(ns, &keys[*first], error, &outdated);
        }
        let mut rights = Vec::with_capacity(self.led.len());
        for (index, one) in self.led {
            rights.push(self.engine.right_among(ns, one.name, &one.fences, policy));
            let stale = one.stale.filter(|_| !one.behind);
            let landed = stale.and_then(|entry| self.engine.stand_in(ns, &keys[index], &entry, one.fill.began()));
            one.lead.land(landed.ok_or_else(|| error.clone()));
        }
        for right in rights {
            self.engine.give_back(right).await;
        }
    }

    /// Puts what was loaded into memory, lands the flights, and fills the tiers below behind them.
    async fn store(self, mut values: HashMap<usize, V>, began: Millis) {
        let Self { engine, call, led, seal, .. } = self;
        let BulkCall { ns, keys, policy, ttl, tags, .. } = call;
        let below = engine.goes_below::<V>(&policy);
        let mut to_fill = Vec::with_capacity(if below { led.len() } else { 0 });
        let (mut unused, mut courtesy) = (Vec::new(), Courtesy::default());
        for (index, one) in led {
            courtesy.step().await;
            let key = &keys[index];
            let making = Making {
                ns: &ns,
                key,
                policy: &policy,
                ttl,
                tags: &tags,
                stamp: &one.lead.flight().stamp,
                own: 0,
                began: Some(began),
                etag: None,
            };
            engine.wake_key(&ns, key.as_bytes());
            ns.say_loaded(key.as_bytes(), engine.timeline.now().saturating_sub(began));
            let held = values.remove(&index).map_or(Held::Absent, Held::Own);
            let entry = making.entry(&engine, held);
            let kept = engine.put_memory(&ns, key.as_bytes(), &entry, one.fill.began(), policy.weight_limit());
            one.lead.land(Ok(Landed::loaded(Arc::clone(&entry))));
            match kept {
                Kept::Overtaken => {
                    ns.count(key, Counter::not_stored);
                    unused.push(engine.right_among(&ns, one.name, &one.fences, &policy));
                }
                Kept::Yes | Kept::TooHeavy if !below => {}
                Kept::Yes | Kept::TooHeavy => to_fill.push((index, one.name, entry, one.fences, one.fill)),
            }
        }
        if to_fill.is_empty() && unused.is_empty() {
            return;
        }
        let mode = policy.on_write_error_mode().unwrap_or(OnWriteError::BestEffort);
        let writer = Arc::clone(&engine);
        engine.spawner.start_lasting(async move {
            let fillings: Vec<_> = to_fill
                .iter()
                .map(|(index, name, entry, fences, _)| Filling {
                    key: keys[*index].as_bytes(),
                    keyspace: keys[*index].keyspace(),
                    name: *name,
                    entry,
                    fences,
                    seal: &seal,
                    policy: &policy,
                    mode,
                    carried: false,
                })
                .collect();
            // failures are counted and reported where they happen
            let filled = writer.fill_below(&ns, &fillings).await;
            for (filling, _) in fillings.iter().zip(filled).filter(|(_, filled)| !filled.lease_spent) {
                unused.push(writer.right_among(&ns, filling.name, filling.fences, &policy));
            }
            for right in unused {
                writer.give_back(right).await;
            }
        });
    }
}
