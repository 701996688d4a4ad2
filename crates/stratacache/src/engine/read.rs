//! Reading through: memory, then a flight of one's own or of somebody else.

use std::sync::Arc;

use stratacache_core::{Key, Stamp};
use tokio::time::timeout;

use super::{
    Door, Engine, Request, Seen,
    answer::FromMemory,
    lead::{Landed, LoadOutcome},
    lower::{ByKey, Found, Wanted},
    promote::Rising,
};
use crate::{
    Cached, Freshness, LoadError,
    codec::CacheValue,
    coherence::{Depends, Rule},
    flight::{Flight, Role},
    memory::Entry,
    observe::Counter,
};

/// What a read through found: an entry, which may be an absence, and how it came.
pub(crate) type ReadThrough<V, E> = Result<Landed<V>, LoadError<E>>;

impl Engine {
    /// Tells whether a flight is new enough for a reader that comes now.
    fn may_join<V, E>(&self, ns: &Door, key: &[u8], flight: &Flight<LoadOutcome<V, E>>) -> bool
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let (tags, global_tags) = &flight.tags;
        let Stamp { lane, global, mep, .. } = flight.stamp;
        let path = ns.space.scopes.path();
        let depends = Depends { path, tags, global_tags, lane_seq: lane.seq, global_seq: global.seq, own: 0 };
        self.judge(ns).allows(mep as u32, &depends, self.key_scope(ns, key), lane.seq)
    }

    /// Reads through with a loader. The caller has already found memory without a simple hit.
    pub(crate) async fn read_through<V, E>(self: &Arc<Self>, mut request: Box<Request<V, E>>) -> ReadThrough<V, E>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let ns = request.call.ns.clone();
        let key = request.call.key.clone();
        let standing = self.catch_up(&ns, &request.call.policy).await.map_err(LoadError::not_current)?;
        request.call.standing = standing;
        let start = self.mirror.stamp(&ns.tenant.marks);
        let mut stale = None;
        if !request.call.forced {
            match self.memory_answer(&ns, &key, request.call.optional, standing) {
                FromMemory::Answer { landed, refresh } => {
                    let asked_before = request.call.refresh && landed.freshness == Freshness::Fresh;
                    if refresh || asked_before {
                        self.refresh_behind(request, Arc::clone(&landed.entry));
                    }
                    return Ok(landed);
                }
                FromMemory::Load(entry) => stale = entry,
            }
        } else if let Seen::Fresh { entry, .. } | Seen::Stale { entry, .. } = self.look::<V>(&ns, key.as_bytes()) {
            // for the ETag of the loader's context
            stale = Some(entry);
        }
        let answer = self.wait_for_flight(request, stale, start).await;
        ns.count_answer(&key, answer.as_ref().ok());
        answer
    }

    pub(super) async fn wait_for_flight<V, E>(
        self: &Arc<Self>,
        request: Box<Request<V, E>>,
        stale: Option<Arc<Entry<V>>>,
        start: Stamp,
    ) -> ReadThrough<V, E>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let ns = request.call.ns.clone();
        let key = request.call.key.clone();
        let count = |counter| ns.count(&key, counter);
        let soft = request.call.policy.soft_timeout_time().filter(|_| stale.is_some() && !request.call.forced);
        let (forced, optional, standing) = (request.call.forced, request.call.optional, request.call.standing);
        let Some(_place) = ns.tenant.wait_place(&self.limits) else {
            count(Counter::overloads);
            // found valid a moment ago
            return stale_or(stale.filter(|_| !forced), LoadError::Overloaded);
        };
        // the marks that may come while this caller waits are needed to judge the stale value
        let waiting_since = stale.is_some().then(|| self.mirror.begin_fill(&ns.tenant.marks));
        let mut request = Some(request);
        let mut refused = false;
        let error = loop {
            let Some(waiting) = request.as_ref() else { break LoadError::Closed };
            let flight_key = self.flight_key_of(waiting);
            let may_join = |flight: &Flight<LoadOutcome<V, E>>| {
                let joinable = if refused {
                    new_enough(&flight.stamp, &start)
                } else {
                    !self.rules.has(Rule::JoinCheck) || self.may_join(&ns, key.as_bytes(), flight)
                };
                joinable && standing.admits_load(flight.began)
            };
            let (flight, joined) = match self.join_or_lead(&ns, flight_key, (&key, &waiting.call.tags), may_join) {
                Role::Join(flight) => (flight, true),
                Role::Lead(lead, fill) => {
                    let flight = Arc::clone(lead.flight());
                    if let Some(request) = request.take() {
                        self.take_off(request, lead, fill, stale.clone());
                    }
                    (flight, false)
                }
            };
            if joined {
                count(Counter::flights_joined);
            }
            let outcome = match soft {
                None => flight.wait().await,
                // few have a soft time-out: its timer does not make every caller larger
                Some(soft) => match Box::pin(timeout(soft, flight.wait())).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        if let Some(entry) = stale {
                            return Ok(Landed::stale(entry));
                        }
                        break LoadError::Timeout;
                    }
                },
            };
            match outcome {
                Ok(landed) => {
                    let accept = !joined
                        || refused
                        || !self.rules.has(Rule::JoinCheck)
                        || !self.rules.has(Rule::RefusedReenters)
                        || self.still_good(&ns, key.as_bytes(), &landed.entry, flight.stamp.lane.seq);
                    // it may have been found below, or stand in for a failed load
                    let accept = accept && (!joined || standing.admits(&landed.entry.meta));
                    let is_answer = !joined || optional || landed.entry.value().is_some();
                    if accept && is_answer {
                        return Ok(landed);
                    }
                    refused = true;
                    let others_are_content = !is_answer || !accept && !standing.uses_tiers();
                    if let (true, Some(request)) = (others_are_content, request.as_mut()) {
                        // with an absence, or with something older; this caller loads for itself
                        request.call.share = false;
                    }
                }
                Err(error) => break error,
            }
        };
        // a forced refresh reports its failure; a read is content with a stale value
        let still_valid = stale.filter(|_| !forced).zip(waiting_since).and_then(|(entry, (guard, _))| {
            self.may_stand_in(&ns, key.as_bytes(), &entry, guard.began()).then_some(entry)
        });
        stale_or(still_valid, error)
    }

    /// Reads without a loader: memory, then the tiers below. An absence is an entry without a value.
    pub(crate) async fn read<V: CacheValue>(
        self: &Arc<Self>,
        ns: &Door,
        key: &Key<V>,
        policy: &stratacache_core::Policy,
    ) -> Option<Landed<V>> {
        let standing = self.catch_up(ns, policy).await.ok()?;
        if let Some(landed) = self.memory_has(ns, key, standing) {
            return Some(landed);
        }
        let found = if standing.uses_tiers() && self.goes_below::<V>(policy) {
            self.read_and_promote(ns, key, policy).await
        } else {
            None
        };
        let landed = found.map(|found| Landed::below(found.entry, found.tier));
        ns.count_answer(key, landed.as_ref());
        landed
    }

    async fn read_and_promote<V: CacheValue>(
        &self,
        ns: &Door,
        key: &Key<V>,
        policy: &stratacache_core::Policy,
    ) -> Option<Found<V>> {
        let inner = &ns;
        let (fill, stamp) = self.mirror.begin_fill(&inner.tenant.marks);
        let name = self.name(inner, key.as_bytes());
        let keyspace = key.keyspace();
        let wanted = Wanted {
            ns: inner,
            key: key.as_bytes(),
            name,
            began: fill.began(),
            stamp,
            policy,
            keyspace,
            by_key: ByKey::Marks,
        };
        let below = self.read_below::<V>(&wanted).await;
        let found = below.found.filter(|f| f.fresh)?;
        if policy.promotes() {
            let rising = Rising { key, name, found: &found, fences: &below.fences, began: fill.began() };
            self.promote(inner, policy, rising).await;
        }
        Some(found)
    }
}

/// The rule of re-entry: the flight began after the reader did, in the same history or a later one.
pub(super) fn new_enough(flight: &Stamp, start: &Stamp) -> bool {
    flight.mep > start.mep
        || (flight.mep == start.mep && flight.lane.seq >= start.lane.seq && flight.global.seq >= start.global.seq)
}

fn stale_or<V, E>(stale: Option<Arc<Entry<V>>>, error: LoadError<E>) -> ReadThrough<V, E> {
    match stale {
        Some(entry) => Ok(Landed::stale(entry)),
        None => Err(error),
    }
}

impl<V> Landed<V> {
    pub(crate) fn cached(self, now: u64) -> Option<Cached<V>> {
        Cached::new(self.entry, self.freshness, now)
    }
}
