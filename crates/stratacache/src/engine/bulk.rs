//! Many keys at once: one read of each tier, one call of the loader for all that is missing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use smallvec::SmallVec;
use stratacache_core::{
    EntryName, Key, OnWriteError, Policy, Stamp, Tag,
    tier::{Fence, GetMany, Tier},
};
use tokio::time::timeout;

use super::{
    Door, Engine, Seen,
    catch::catching,
    fill::Kept,
    hit::Window,
    lead::{BoxFuture, Landed, LoadOutcome},
    lower::{Found, Wanted},
    make::Making,
    read::new_enough,
};
use crate::{
    Freshness, LoadError,
    codec::CacheValue,
    coherence::FillGuard,
    flight::{Flight, FlightKey, Lead, Role},
    memory::{Entry, Held, LookupKey, MapKey},
    observe::{Counter, TierCounters},
};

/// Loads the keys with these indices; what it leaves out is absent.
pub(crate) type BulkLoad<V, E> = Box<dyn FnOnce(Vec<usize>) -> BoxFuture<Result<Vec<(usize, V)>, E>> + Send>;

/// A load of many keys, owned.
pub(crate) struct BulkRequest<V: 'static, E> {
    pub(crate) ns: Arc<Door>,
    pub(crate) keys: Vec<Key<V>>,
    pub(crate) policy: Policy,
    pub(crate) ttl: Duration,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    pub(crate) load: BulkLoad<V, E>,
}

/// One key that this call leads.
struct Led<V: CacheValue, E: Send + Sync + 'static> {
    index: usize,
    name: EntryName,
    lead: Lead<MapKey, LoadOutcome<V, E>>,
    fill: FillGuard,
    stamp: Stamp,
    fences: Vec<Option<Fence>>,
}

impl Engine {
    /// Reads many keys; the answer has one place for each, `None` for a miss.
    pub(crate) async fn read_many<V: CacheValue>(
        self: &Arc<Self>,
        ns: &Door,
        keys: &[Key<V>],
        policy: &Policy,
    ) -> Vec<Option<Landed<V>>> {
        if self.catch_up(ns, policy.consistency_mode()).await.is_err() {
            return keys.iter().map(|_| None).collect();
        }
        let (mut answers, _) = self.look_many(ns, keys);
        let missing: Vec<usize> = (0..keys.len()).filter(|i| answers[*i].is_none()).collect();
        if self.goes_below::<V>(policy) && !missing.is_empty() {
            let (fill, stamp) = self.mirror.begin_fill(&ns.tenant.marks);
            let names: Vec<_> = missing.iter().map(|i| (*i, self.name(ns, keys[*i].as_bytes()))).collect();
            let (found, fences) = self.read_names(ns, keys, &names, &fill, stamp, policy).await;
            for (index, found) in found {
                let name = names
                    .iter()
                    .find(|(i, _)| *i == index)
                    .map_or_else(|| self.name(ns, keys[index].as_bytes()), |n| n.1);
                let fences = fences.get(&index).cloned().unwrap_or_default();
                if policy.promotes() {
                    self.promote(ns, &keys[index], name, &found, &fences, policy, fill.began()).await;
                }
                answers[index] = Some(Landed { entry: found.entry, freshness: Freshness::Fresh });
                ns.count(&keys[index], Counter::lower_hits);
            }
        }
        for (key, answer) in keys.iter().zip(&answers) {
            if answer.is_none() {
                ns.count(key, Counter::misses);
            }
        }
        answers
    }

    /// Looks for many keys in memory; also returns those past their ttl, which a load may fall back to.
    fn look_many<V: CacheValue>(&self, ns: &Door, keys: &[Key<V>]) -> (Vec<Option<Landed<V>>>, Stale<V>) {
        let mut stale = HashMap::new();
        let answers = keys
            .iter()
            .enumerate()
            .map(|(index, key)| match self.look::<V>(ns, key.as_bytes()) {
                Seen::Fresh { entry, .. } => {
                    ns.count(key, Counter::memory_hits);
                    Some(Landed { entry, freshness: Freshness::Fresh })
                }
                Seen::Stale { entry, window } => {
                    stale.insert(index, (entry, window));
                    None
                }
                Seen::Nothing => None,
            })
            .collect();
        (answers, stale)
    }

    /// Reads some names from the tiers, each tier once, and returns what is fresh, and the fences.
    #[allow(clippy::type_complexity)]
    async fn read_names<V: CacheValue>(
        &self,
        ns: &Door,
        keys: &[Key<V>],
        names: &[(usize, EntryName)],
        fill: &FillGuard,
        stamp: Stamp,
        policy: &Policy,
    ) -> (Vec<(usize, Found<V>)>, HashMap<usize, Vec<Option<Fence>>>) {
        let mut found = Vec::new();
        let mut fences: HashMap<usize, Vec<Option<Fence>>> = names.iter().map(|(i, _)| (*i, Vec::new())).collect();
        if !self.goes_below::<V>(policy) {
            return (found, fences);
        }
        let mut open: Vec<(usize, EntryName)> = names.to_vec();
        for (tier_index, tier) in self.tiers.iter().enumerate() {
            let asked: Vec<_> = open.iter().copied().filter(|(_, name)| tier.may_use(*name)).collect();
            let mut replies = HashMap::new();
            if !asked.is_empty() {
                TierCounters::count(&tier.counters.reads);
                match tier.tier.get_many(GetMany::new(asked.iter().map(|(_, n)| *n).collect())).await {
                    Ok(reply) => replies.extend(asked.iter().map(|(i, _)| *i).zip(reply)),
                    Err(error) => {
                        TierCounters::count(&tier.counters.read_failures);
                        tier.note("get", &error, |kind| self.report(Some(&ns.tenant), kind));
                    }
                }
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
                    weigher: key.keyspace().and_then(|k| k.weigher()),
                };
                match self.judge_envelope(tier, tier_index, &wanted, &envelope) {
                    Some(entry) if entry.fresh => {
                        TierCounters::count(&tier.counters.hits);
                        found.push((*index, entry));
                        false
                    }
                    _ => true,
                }
            });
        }
        (found, fences)
    }

    /// Reads many keys through, with one call of the loader for all that nobody has.
    pub(crate) async fn read_through_many<V, E>(
        self: &Arc<Self>,
        request: BulkRequest<V, E>,
    ) -> Result<Vec<Landed<V>>, LoadError<E>>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let ns = request.ns.clone();
        self.catch_up(&ns, request.policy.consistency_mode()).await.map_err(LoadError::Invalid)?;
        // the marks that may come while this caller waits are needed to judge stale values
        let (waiting_since, start) = self.mirror.begin_fill(&ns.tenant.marks);
        let (mut answers, stale) = self.look_many(&ns, &request.keys);
        let serve_stale = stale.values().all(|(_, window)| *window == Window::Revalidate);
        let all_known = answers.iter().enumerate().all(|(i, a)| a.is_some() || stale.contains_key(&i));
        let missing: Vec<usize> = (0..request.keys.len()).filter(|i| answers[*i].is_none()).collect();
        if missing.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let keys = request.keys.clone();
        let Some(_place) = ns.tenant.wait_place(&self.limits) else {
            return Err(LoadError::Overloaded);
        };
        let flights = self.lead_or_join_many(request, &missing, &start);
        if all_known && serve_stale {
            // the load goes on behind
            for (index, (entry, _)) in stale {
                ns.count(&keys[index], Counter::stale_hits);
                ns.count(&keys[index], Counter::memory_hits);
                answers[index] = Some(Landed { entry, freshness: Freshness::Stale });
            }
            return Ok(answers.into_iter().flatten().collect());
        }
        for (index, flight) in flights {
            let key = &keys[index];
            let answer = match (flight.wait().await, stale.get(&index)) {
                (Err(_), Some((entry, _))) if self.may_stand_in(&ns, key.as_bytes(), entry, waiting_since.began()) => {
                    Ok(Landed { entry: Arc::clone(entry), freshness: Freshness::Stale })
                }
                (outcome, _) => outcome,
            };
            ns.count_answer(key, answer.as_ref().ok().map(|landed| landed.freshness));
            answers[index] = Some(answer?);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    #[allow(clippy::type_complexity)]
    fn lead_or_join_many<V, E>(
        self: &Arc<Self>,
        request: BulkRequest<V, E>,
        missing: &[usize],
        start: &Stamp,
    ) -> Vec<(usize, Arc<Flight<LoadOutcome<V, E>>>)>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let ns = request.ns.clone();
        let scopes = ns.entry_scopes(&request.tags);
        let mut flights = Vec::with_capacity(missing.len());
        let mut led = Vec::new();
        for index in missing.iter().copied() {
            let key = &request.keys[index];
            let map_key = MapKey::from(LookupKey { prefix: &ns.space.prefix, key: key.as_bytes() });
            let flight_key = FlightKey::new::<LoadOutcome<V, E>>(ns.tenant.number, map_key, false, 0);
            let mut fill = None;
            // only flights that began after this call: their result needs no second look
            let role = self.flights.join_or_lead(
                flight_key,
                |flight: &Flight<LoadOutcome<V, E>>| new_enough(&flight.stamp, start),
                || {
                    let (guard, stamp) = self.mirror.begin_fill(&ns.tenant.marks);
                    fill = Some(guard);
                    Flight::new(stamp, (scopes.tags().into(), scopes.global_tags().into()))
                },
            );
            match (role, fill) {
                (Role::Join(flight), _) => {
                    ns.count(key, Counter::flights_joined);
                    flights.push((index, flight));
                }
                (Role::Lead(lead), Some(fill)) => {
                    let stamp = lead.flight().stamp;
                    flights.push((index, Arc::clone(lead.flight())));
                    let name = self.name(&ns, key.as_bytes());
                    led.push(Led { index, name, lead, fill, stamp, fences: Vec::new() });
                }
                (Role::Lead(lead), None) => lead.land(Err(LoadError::Closed)),
            }
        }
        if !led.is_empty() {
            self.spawner.start(run_bulk(Arc::clone(self), request, led));
        }
        flights
    }
}

type Stale<V> = HashMap<usize, (Arc<Entry<V>>, Window)>;

/// Leads many flights with one call of the loader.
async fn run_bulk<V, E>(engine: Arc<Engine>, request: BulkRequest<V, E>, mut led: Vec<Led<V, E>>)
where
    V: CacheValue,
    E: Send + Sync + 'static,
{
    let BulkRequest { ns, keys, policy, ttl, tags, load } = request;
    let names: Vec<_> = led.iter().map(|l| (l.index, l.name)).collect();
    if let Some(first) = led.first() {
        // the oldest of the fills: what was marked after it is checked for every key
        let (found, mut fences) = engine.read_names(&ns, &keys, &names, &first.fill, first.stamp, &policy).await;
        for one in &mut led {
            one.fences = fences.remove(&one.index).unwrap_or_default();
        }
        for (index, found) in found {
            let Some(place) = led.iter().position(|l| l.index == index) else { continue };
            let one = led.swap_remove(place);
            if policy.promotes() {
                let began = one.fill.began();
                engine.promote(&ns, &keys[index], one.name, &found, &one.fences, &policy, began).await;
            }
            one.lead.land(Ok(Landed { entry: found.entry, freshness: Freshness::Fresh }));
        }
    }
    let Some(first) = led.first() else { return };
    ns.count(&keys[first.index], Counter::loads);
    let began = engine.timeline.now();
    let tenant = Arc::clone(&ns.tenant);
    let wanted: Vec<usize> = led.iter().map(|l| l.index).collect();
    let run = async {
        let _permit = tenant.loads.acquire().await.map_err(|_| LoadError::Closed)?;
        match catching(async { load(wanted).await }).await {
            Ok(result) => result.map_err(|e| LoadError::Loader(Arc::new(e))),
            Err(message) => Err(LoadError::Panicked(message)),
        }
    };
    let loaded = timeout(policy.load_timeout_time(), run).await.unwrap_or(Err(LoadError::Timeout));
    let mut values: HashMap<usize, V> = match loaded {
        Ok(values) => values.into_iter().collect(),
        Err(error) => {
            let counter = if error.is_timeout() { Counter::load_timeouts } else { Counter::load_errors };
            for one in led {
                ns.count(&keys[one.index], counter);
                one.lead.land(Err(error.clone()));
            }
            return;
        }
    };
    let mut to_fill = Vec::with_capacity(led.len());
    for one in led {
        let key = &keys[one.index];
        let making = Making {
            ns: &ns,
            key,
            policy: &policy,
            ttl,
            tags: &tags,
            stamp: &one.stamp,
            own: 0,
            began: Some(began),
            etag: None,
        };
        let held = values.remove(&one.index).map_or(Held::Absent, Held::Own);
        let entry = making.entry(&engine, held);
        let kept = engine.put_memory(&ns, key.as_bytes(), &entry, one.fill.began(), policy.weight_limit());
        one.lead.land(Ok(Landed { entry: Arc::clone(&entry), freshness: Freshness::Loaded }));
        if kept != Kept::Overtaken {
            to_fill.push((one.index, one.name, entry, one.fences, one.fill));
        }
    }
    let mode = policy.on_write_error_mode().unwrap_or(OnWriteError::BestEffort);
    if !to_fill.is_empty() {
        let writer = Arc::clone(&engine);
        engine.spawner.start_lasting(async move {
            for (index, name, entry, fences, _fill) in to_fill {
                let key = keys[index].as_bytes();
                // failures are counted and reported where they happen
                let _ = writer.fill_below(&ns, key, name, &entry, &fences, &policy, mode).await;
            }
        });
    }
}
