//! The task of a warm-up: takes keys, waits until they may be begun, and begins them, a batch in a task of its own.

use std::{collections::HashSet, sync::Arc, time::Duration};

use smallvec::SmallVec;
use stratacache_core::{Key, Policy, Tag, clock::Millis};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    WarmEnd, WarmLoader,
    loader::Kind,
    pace::Pace,
    progress::Tally,
    source::{Keys, SourceError},
};
use crate::{
    LoadError,
    codec::CacheValue,
    engine::{BulkCall, BulkRequest, Call, Door, Place, Protection, Request, Standing, Warmed},
    spawn::Courtesy,
};

/// A batch that is not full waits so long for further keys of a stream.
const PAUSE: Duration = Duration::from_millis(50);

/// What was asked for, checked.
pub(super) struct Plan {
    pub(super) policy: Policy,
    pub(super) tags: SmallVec<[Tag; 1]>,
    pub(super) concurrency: usize,
    pub(super) batch: usize,
    pub(super) rate: Option<u32>,
    /// Places for loads that are left to others.
    pub(super) others: usize,
    pub(super) forced: bool,
    pub(super) protection: Protection,
    pub(super) resume_at: u64,
}

/// Says that a warm-up ended, whichever way its task went away.
pub(super) struct Ending<Q, E>(pub(super) Arc<Tally<Q, E>>);

impl<Q, E> Drop for Ending<Q, E> {
    fn drop(&mut self) {
        self.0.end(WarmEnd::Closed);
    }
}

/// A key that is about to be begun.
struct Item<Q, V: 'static> {
    original: Q,
    key: Key<V>,
}

pub(super) struct Run<Q, V: 'static, E> {
    door: Arc<Door>,
    keys: Keys<Q, V>,
    loader: WarmLoader<Q, V, E>,
    plan: Plan,
    pace: Option<Pace>,
    tally: Arc<Tally<Q, E>>,
    slots: Arc<Semaphore>,
    /// The next batch, and the place of its first key in the source.
    next: Vec<Item<Q, V>>,
    first: u64,
    /// Keys in a batch, at most.
    unit: usize,
}

impl<Q, V, E> Run<Q, V, E>
where
    Q: Clone + Send + Sync + 'static,
    V: CacheValue,
    E: Send + Sync + 'static,
{
    pub(super) fn new(
        door: Arc<Door>,
        keys: Keys<Q, V>,
        loader: WarmLoader<Q, V, E>,
        plan: Plan,
        tally: Arc<Tally<Q, E>>,
    ) -> Self {
        let batch = if loader.is_single() { 1 } else { plan.batch };
        let pace = plan.rate.map(|rate| Pace::new(rate, batch));
        let unit = pace.as_ref().map_or(batch, |pace| batch.min(pace.most_at_once()));
        let slots = Arc::new(Semaphore::new(plan.concurrency));
        Self { door, keys, loader, plan, pace, tally, slots, next: Vec::new(), first: 0, unit }
    }

    /// Keeps the pace of another.
    pub(super) fn at_pace(mut self, pace: Option<Pace>) -> Self {
        self.unit = pace.as_ref().map_or(self.unit, |pace| self.unit.min(pace.most_at_once()));
        self.pace = pace;
        self
    }

    /// Runs to the end, or until it is told to stop. What is under way is waited for. Returns its pace.
    pub(super) async fn run(mut self) -> Option<Pace> {
        let ending = Ending(Arc::clone(&self.tally));
        let mut stop = self.tally.stop.subscribe();
        let end = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => WarmEnd::Stopped,
            end = self.go() => end,
        };
        let all = u32::try_from(self.plan.concurrency).unwrap_or(u32::MAX);
        // closed never
        let _all_done = self.slots.acquire_many(all).await;
        tracing::debug!(tenant = %self.door.tenant.id, ?end, "the warm-up ended");
        ending.0.end(end);
        self.pace
    }

    /// Goes through the keys. Dropped at any await, `next` holds what was taken and not begun.
    async fn go(&mut self) -> WarmEnd {
        for _ in 0..self.plan.resume_at {
            match self.keys.next().await {
                None => return WarmEnd::Complete,
                Some(Err(error)) => return error.into(),
                Some(Ok(_)) => {
                    self.tally.take();
                    self.tally.count(|progress| progress.skipped += 1);
                }
            }
        }
        loop {
            let end = self.gather().await;
            if !self.next.is_empty() {
                self.begin().await;
            }
            match end {
                None => {}
                Some(Ok(())) => return WarmEnd::Complete,
                Some(Err(error)) => return error.into(),
            }
        }
    }

    /// Takes keys that memory does not have, until the batch is full, the stream pauses, or there are no more.
    async fn gather(&mut self) -> Option<Result<(), SourceError>> {
        // who cannot tell now will say so when the batch is read
        let standing = self.door.engine.catch_up(&self.door, &self.plan.policy).await;
        let standing = standing.unwrap_or(Standing::OnlyAfter(Millis::MAX));
        let mut courtesy = Courtesy::default();
        while self.next.len() < self.unit {
            let next = match self.next.is_empty() {
                true => self.keys.next().await,
                false => match timeout(PAUSE, self.keys.next()).await {
                    Ok(next) => next,
                    Err(_) => return None,
                },
            };
            let original = match next {
                None => return Some(Ok(())),
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(original)) => original,
            };
            let place = self.tally.take();
            let key = self.keys.key_of(&original);
            if let Err(error) = key.check() {
                self.tally.fail(original, LoadError::Invalid(error));
            } else if !self.plan.forced
                && self.door.engine.is_warm(&self.door, &key, self.loader.takes_absence(), standing)
            {
                self.tally.count(|progress| progress.there += 1);
            } else {
                if self.next.is_empty() {
                    self.first = place;
                    self.tally.open(place);
                }
                self.next.push(Item { original, key });
            }
            courtesy.step().await;
        }
        None
    }

    /// Waits until the batch may be begun, and begins it.
    async fn begin(&mut self) {
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
        // other warm-ups of the tenant have their turn between two batches of this one
        tokio::task::yield_now().await;
        let place = match self.loader.needs_place() {
            true => Some(self.door.tenant.loads.take_leaving(self.plan.others).await),
            false => None,
        };
        if let Some(pace) = &mut self.pace {
            pace.wait(self.next.len()).await;
        }
        // from here to the start of its task nothing is waited for
        let batch = std::mem::take(&mut self.next);
        if let Some(pace) = &mut self.pace {
            pace.begun(batch.len());
        }
        self.start(batch, slot, place);
    }

    fn start(&mut self, batch: Vec<Item<Q, V>>, slot: OwnedSemaphorePermit, place: Option<Place>) {
        let (door, tally, first) = (Arc::clone(&self.door), Arc::clone(&self.tally), self.first);
        let (policy, tags, forced) = (self.plan.policy, self.plan.tags.clone(), self.plan.forced);
        let protection = self.plan.protection.clone();
        let mut seen = HashSet::with_capacity(batch.len());
        let is_first: Vec<bool> = batch.iter().map(|item| seen.insert(item.key.as_bytes())).collect();
        let (mut originals, mut keys) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for (Item { original, key }, is_first) in batch.into_iter().zip(is_first) {
            if is_first {
                originals.push(original);
                keys.push(key);
            } else {
                tally.count(|progress| progress.there += 1);
            }
        }
        let engine = Arc::clone(&door.engine);
        let ttl = policy.fresh_time();
        let load = self.loader.load_of(&originals);
        self.door.engine.spawner.start(async move {
            let _slot = slot;
            let outcomes: Vec<Result<Warmed<V>, LoadError<E>>> = match load {
                Kind::One(load, optional) => {
                    let Some(key) = keys.pop() else { return };
                    let call = Call {
                        ns: door,
                        key,
                        policy,
                        ttl,
                        tags,
                        forced,
                        behind: false,
                        share: true,
                        optional,
                        refresh: false,
                        standing: Standing::Current,
                        place,
                        protection,
                    };
                    vec![engine.warm(Box::new(Request { call, load })).await]
                }
                Kind::Many(load) => {
                    let keys = keys.into();
                    let call = BulkCall { ns: door, keys, policy, ttl, tags, forced, place, protection };
                    let all = engine.warm_many(BulkRequest { call, load }).await;
                    all.unwrap_or_else(|error| originals.iter().map(|_| Err(error.clone())).collect())
                }
                Kind::Tiers => match engine.warm_from_tiers(&door, &keys, &policy).await {
                    Err(error) => originals.iter().map(|_| Err(error.clone())).collect(),
                    Ok(found) => {
                        let missing = found.iter().filter(|one| one.is_none()).count() as u64;
                        tally.count(|progress| progress.missing += missing);
                        let pairs = originals.into_iter().zip(found);
                        pairs
                            .filter_map(|(key, one)| Some((key, one?)))
                            .for_each(|(key, one)| tally.settle(key, Ok(one)));
                        return tally.close(first);
                    }
                },
            };
            let (mut closed, mut courtesy) = (false, Courtesy::default());
            for (original, outcome) in originals.into_iter().zip(outcomes) {
                if matches!(outcome, Err(LoadError::Closed)) {
                    closed = true; // not done: to resume, it is begun again
                } else {
                    tally.settle(original, outcome);
                }
                courtesy.step().await;
            }
            if !closed {
                tally.close(first);
            }
        });
    }
}
