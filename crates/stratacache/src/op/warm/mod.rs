//! `warm`: fills the cache before traffic.

mod handle;
mod hot;
mod loader;
mod pace;
mod progress;
mod run;
mod source;

use std::{
    convert::Infallible,
    future::{Future, IntoFuture},
    hash::Hash,
    sync::Arc,
};

use smallvec::SmallVec;
use stratacache_core::{Error, KeyspaceInfo, Policy, Result, Tag};

pub use handle::WarmUp;
pub use hot::{HotKey, HotLoadError};
pub(crate) use hot::{HotPlan, HotSource, Keyed, start_hot};
pub use loader::WarmLoader;
pub use progress::{WarmEnd, WarmFailure, WarmProgress, WarmReport};
pub(crate) use source::Keys;

use super::{
    BoxFuture,
    options::{Options, options},
};
use crate::{
    codec::CacheValue,
    engine::{Door, Protection},
};
use progress::Tally;
use run::{Plan, Run};

/// How much of a tenant's `max_loads` a warm-up may take from readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WarmPriority {
    /// Three quarters of the places are left to readers. The default.
    #[default]
    Low,
    /// Half of the places are left to readers.
    Normal,
    /// One place is left to readers.
    High,
}

impl WarmPriority {
    /// Returns how many of the places are left to others. A tenant with one place shares it.
    fn left_to_others(self, places: usize) -> usize {
        let own = match self {
            Self::Low => places / 4,
            Self::Normal => places / 2,
            Self::High => places.saturating_sub(1),
        };
        places.saturating_sub(own.max(1))
    }
}

/// A warm-up that has no loader yet.
#[derive(Debug)]
pub struct NoLoader(());

/// A warm-up: fills the cache before traffic. Made by [`Namespace::warm`](crate::Namespace::warm).
#[must_use = "nothing happens until it is awaited or started"]
pub struct Warm<'a, Q, V: 'static, L = NoLoader> {
    door: &'a Arc<Door>,
    keyspace: &'static KeyspaceInfo<V>,
    keys: Keys<Q, V>,
    loader: L,
    options: Options,
    asked: Asked,
}

/// What a call says of how it is warmed.
#[derive(Debug)]
struct Asked {
    concurrency: usize,
    batch: usize,
    rate: Option<u32>,
    priority: WarmPriority,
    forced: bool,
    resume_at: u64,
    total: Option<u64>,
    listed: usize,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            concurrency: 8,
            batch: 100,
            rate: None,
            priority: WarmPriority::Low,
            forced: false,
            resume_at: 0,
            total: None,
            listed: 100,
        }
    }
}

impl Asked {
    fn check(&self) -> Result<()> {
        let at_most = 1 << 20;
        for (option, value) in [
            ("concurrency", self.concurrency),
            ("batch", self.batch),
            ("rate", self.rate.map_or(1, |rate| rate as usize)),
        ] {
            if value == 0 || (value > at_most && option != "rate") {
                return Err(Error::invalid(format!(
                    "{option} of a warm-up is {value} but must be at least 1, and not more than {at_most}"
                )));
            }
        }
        Ok(())
    }

    fn plan(&self, door: &Door, policy: Policy, tags: SmallVec<[Tag; 1]>, protection: Protection) -> Plan {
        Plan {
            policy,
            tags,
            concurrency: self.concurrency,
            batch: self.batch,
            rate: self.rate,
            others: self.priority.left_to_others(door.tenant.loads.all()),
            forced: self.forced,
            protection,
            resume_at: self.resume_at,
        }
    }
}

impl<'a, Q, V: 'static> Warm<'a, Q, V> {
    pub(crate) fn new(door: &'a Arc<Door>, keyspace: &'static KeyspaceInfo<V>, keys: Keys<Q, V>) -> Self {
        let asked = Asked { total: keys.total(), ..Asked::default() };
        Self { door, keyspace, keys, loader: NoLoader(()), options: Options::default(), asked }
    }

    fn with<L>(self, loader: L) -> Warm<'a, Q, V, L> {
        let Self { door, keyspace, keys, options, asked, .. } = self;
        Warm { door, keyspace, keys, loader, options, asked }
    }
}

impl<'a, Q, V> Warm<'a, Q, V>
where
    Q: Clone + Send + Sync + 'static,
    V: CacheValue,
{
    /// Loads each key by itself. The loader is cloned for each call, as an `async move |id| ..` that holds a handle can be.
    pub fn load<E, F, Fut>(self, load: F) -> Warm<'a, Q, V, WarmLoader<Q, V, E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce(Q) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.with(WarmLoader::of_value(load))
    }

    /// Loads each key by itself, with a loader that may find that there is no such thing: kept as a known absence, as by
    /// [`get_or_load_optional`](crate::Namespace::get_or_load_optional).
    pub fn load_optional<E, F, Fut>(self, load: F) -> Warm<'a, Q, V, WarmLoader<Q, V, E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce(Q) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
    {
        self.with(WarmLoader::of_option(load))
    }

    /// Loads the keys in batches, with one call of the loader for all of a batch that no tier has, as
    /// [`get_or_load_many`](crate::Namespace::get_or_load_many): a key that it leaves out is absent. When it fails, all keys
    /// of the batch that it was asked for fail.
    pub fn load_many<E, F, Fut, I>(self, load: F) -> Warm<'a, Q, V, WarmLoader<Q, V, E>>
    where
        Q: Hash + Eq,
        E: Send + Sync + 'static,
        F: FnOnce(Vec<Q>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (Q, V)> + Send + 'static,
    {
        self.with(WarmLoader::of_many(load))
    }

    /// Loads nothing: fills memory with what the tiers below have, one read of each tier for a batch. What no tier has is counted as
    /// [`missing`](WarmProgress::missing).
    pub fn from_tiers(self) -> Warm<'a, Q, V, WarmLoader<Q, V, Infallible>> {
        self.with(WarmLoader::tiers())
    }
}

impl<Q, V: 'static, L> Warm<'_, Q, V, L> {
    options!(policy);
    options!(tags);
    options!(consistency);
    options!(tiers);
    options!(loader);

    /// Tries loads that fail again: [`Retry`](crate::Retry) says how often, and what bounds it. Default: the loader is called once
    /// for each key or batch.
    pub fn retry(mut self, retry: crate::Retry) -> Self {
        self.options.rare().retry = Some(retry);
        self
    }

    /// Sets how many batches (with [`load`](Warm::load): keys) are under way at once, at least 1. Default 8.
    ///
    /// Fewer are, where the tenant's `max_loads` leaves no more: see [`priority`](Self::priority).
    pub fn concurrency(mut self, batches: usize) -> Self {
        self.asked.concurrency = batches;
        self
    }

    /// Sets how many keys are loaded or read in one call, at least 1. Default 100. [`load`](Warm::load) loads one at a time, whatever
    /// this says. A batch waits at most 50 ms for further keys of a stream.
    pub fn batch(mut self, keys: usize) -> Self {
        self.asked.batch = keys;
        self
    }

    /// Sets how many keys a second are begun at most, in any second, wherever it begins; at least 1. Default: no limit.
    ///
    /// Keys that memory has count nothing; keys that a tier below turns out to have do count. A batch that is larger than the
    /// rate is made smaller.
    pub fn rate(mut self, keys_per_second: u32) -> Self {
        self.asked.rate = Some(keys_per_second);
        self
    }

    /// Sets how many of the tenant's places for loads (`max_loads`) are left to readers. Default
    /// [`WarmPriority::Low`]: three quarters.
    ///
    /// Whatever it says, a load is begun only while nobody waits for a place and so many are free, counted over all warm-ups
    /// of the tenant: readers go first. A tenant whose `max_loads` is 1 shares the one place.
    pub fn priority(mut self, priority: WarmPriority) -> Self {
        self.asked.priority = priority;
        self
    }

    /// Loads also what is fresh, in memory or below. Such a load is shared with [`refresh`](crate::Namespace::refresh), not with reads,
    /// and no older value stands in for its failure. It has no effect on [`from_tiers`](Warm::from_tiers).
    pub fn force(mut self) -> Self {
        self.asked.forced = true;
        self
    }

    /// Leaves out so many keys at the beginning, to go on where another warm-up of the same keys in the same order ended
    /// ([`WarmReport::resume_at`]).
    pub fn resume_at(mut self, keys: u64) -> Self {
        self.asked.resume_at = keys;
        self
    }

    /// Says how many keys there are, for the [progress](WarmProgress::total) of sources that do not know.
    pub fn total(mut self, keys: u64) -> Self {
        self.asked.total = Some(keys);
        self
    }

    /// Sets how many failures the report lists; all are counted. Default 100.
    pub fn list_failures(mut self, failures: usize) -> Self {
        self.asked.listed = failures;
        self
    }
}

impl<Q, V, E> Warm<'_, Q, V, WarmLoader<Q, V, E>>
where
    Q: Clone + Send + Sync + 'static,
    V: CacheValue,
    E: Send + Sync + 'static,
{
    /// Starts it in a task of its own, and returns a handle that shows how far it is, and stops it. Must be called within the
    /// runtime of the cache.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the option, tag or namespace that is not valid;
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after `close`. What a load fails with is in the report.
    pub fn start(self) -> Result<WarmUp<Q, E>> {
        let Self { door, keyspace, keys, loader, options, asked } = self;
        let policy = options.policy_in(door, Some(keyspace))?;
        let protection = options.protection(door, Some(keyspace))?;
        asked.check()?;
        let plan = asked.plan(door, policy, options.tags, protection);
        let tally = Arc::new(Tally::new(asked.total, asked.listed));
        let handle = WarmUp::new(Arc::clone(&tally));
        let run = Run::new(Arc::clone(door), keys, loader, plan, tally);
        door.engine.spawner.start(async move { drop(run.run().await) });
        Ok(handle)
    }
}

impl<'a, Q, V, E> IntoFuture for Warm<'a, Q, V, WarmLoader<Q, V, E>>
where
    Q: Clone + Send + Sync + 'static,
    V: CacheValue,
    E: Send + Sync + 'static,
{
    type Output = Result<WarmReport<Q, E>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.start()?.finish().await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_priority_leaves_places_to_readers_wherever_there_is_more_than_one() {
        for places in 1..200 {
            let left = [WarmPriority::Low, WarmPriority::Normal, WarmPriority::High].map(|p| p.left_to_others(places));
            assert!(left.iter().all(|left| *left < places && (*left > 0 || places == 1)), "{places}: {left:?}");
            assert!(left.is_sorted_by(|a, b| a >= b), "{places}: {left:?}");
        }
        assert_eq!(WarmPriority::Low.left_to_others(64), 48);
        assert_eq!(WarmPriority::High.left_to_others(64), 1);
    }
}
