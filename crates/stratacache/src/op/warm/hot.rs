//! Warming the keys that were hot when the cache was closed: one warm-up whose parts are tenants, namespaces and keyspaces.

use std::{error::Error as StdError, fmt, sync::Arc};

use smallvec::SmallVec;
use stratacache_core::{DecodePart, Error, Key, KeyPart, KeyView, Keyspace, KeyspaceInfo, TenantId};

use super::{
    Asked, WarmEnd, WarmFailure, WarmLoader, WarmPriority, WarmUp,
    pace::Pace,
    progress::Tally,
    run::{Ending, Run},
    source::Keys,
};
use crate::{
    LoadError,
    codec::CacheValue,
    engine::{Door, Engine, HotGroup, HotTenant},
    op::{BoxFuture, options::Options},
};

/// A hot key that could not be warmed. Debug prints no key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HotKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// The name of its keyspace.
    pub keyspace: &'static str,
    /// The key, encoded.
    pub encoded: Vec<u8>,
}

impl fmt::Debug for HotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotKey")
            .field("tenant", &self.tenant)
            .field("keyspace", &self.keyspace)
            .field("bytes", &self.encoded.len())
            .finish_non_exhaustive()
    }
}

/// What a loader of hot keys failed with, in its own words: keyspaces have errors of different types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotLoadError(String);

impl fmt::Display for HotLoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for HotLoadError {}

type Whole = Arc<Tally<HotKey, HotLoadError>>;

/// What a call says of how hot keys are warmed.
#[derive(Debug, Default)]
pub(crate) struct HotPlan(Asked);

impl HotPlan {
    pub(crate) fn concurrency(&mut self, batches: usize) {
        self.0.concurrency = batches;
    }

    pub(crate) fn batch(&mut self, keys: usize) {
        self.0.batch = keys;
    }

    pub(crate) fn rate(&mut self, keys_per_second: u32) {
        self.0.rate = Some(keys_per_second);
    }

    pub(crate) fn priority(&mut self, priority: WarmPriority) {
        self.0.priority = priority;
    }

    pub(crate) fn list_failures(&mut self, failures: usize) {
        self.0.listed = failures;
    }
}

/// A keyspace whose hot keys are warmed.
pub(crate) trait HotSource: Send + Sync {
    /// Tells whether it warms a key: one of its keyspace and version, whose parts are those that its loader takes.
    fn takes(&self, encoded: &[u8]) -> bool;

    /// Warms keys of one namespace, and returns the pace.
    fn warm<'a>(
        &'a self,
        door: &'a Arc<Door>,
        keys: Vec<Vec<u8>>,
        plan: &'a HotPlan,
        pace: Option<Pace>,
        whole: &'a Whole,
    ) -> BoxFuture<'a, Option<Pace>>;
}

type Loader<Q, V, E> = Box<dyn Fn(&Arc<Door>) -> WarmLoader<Q, V, E> + Send + Sync>;

type KeyOf<Q, V> = dyn Fn(&Q) -> Key<V> + Send + Sync;

/// A keyspace with its loader.
pub(crate) struct Keyed<Q, V: 'static, E> {
    keyspace: &'static KeyspaceInfo<V>,
    decode: fn(&'static KeyspaceInfo<V>, &[u8]) -> Option<Q>,
    key_of: Arc<KeyOf<Q, V>>,
    loader: Loader<Q, V, E>,
}

impl<Q, V: CacheValue, E> Keyed<Q, V, E> {
    /// With a loader that takes keys as they were before they were encoded.
    pub(crate) fn new<K>(
        keyspace: &'static Keyspace<K, V>,
        loader: impl Fn(&Arc<Door>) -> WarmLoader<Q, V, E> + Send + Sync + 'static,
    ) -> Self
    where
        K: KeyPart + ?Sized,
        Q: DecodePart + std::borrow::Borrow<K>,
    {
        let decode = |_: &'static KeyspaceInfo<V>, encoded: &[u8]| {
            let mut part = KeyView::of(encoded)?.part();
            Q::decode(&mut part).filter(|_| part.is_at_end())
        };
        let key_of = Arc::new(move |key: &Q| keyspace.key(key.borrow()));
        Self { keyspace: keyspace.info(), decode, key_of, loader: Box::new(loader) }
    }
}

impl<V: CacheValue, E> Keyed<Key<V>, V, E> {
    /// Without one: the tiers below need not know what a key is made of.
    pub(crate) fn of_tiers(keyspace: &'static KeyspaceInfo<V>) -> Self {
        Self {
            keyspace,
            decode: KeyspaceInfo::restore,
            key_of: Arc::new(Key::clone),
            loader: Box::new(|_| WarmLoader::tiers()),
        }
    }
}

impl<Q, V: CacheValue, E> Keyed<Q, V, E> {
    /// Returns a key as it was given once: only if it is the same key again when it is encoded.
    fn decoded(&self, encoded: &[u8]) -> Option<Q> {
        self.keyspace.restore(encoded)?;
        (self.decode)(self.keyspace, encoded).filter(|key| (self.key_of)(key).as_bytes() == encoded)
    }
}

impl<Q, V, E> HotSource for Keyed<Q, V, E>
where
    Q: Clone + Send + Sync + 'static,
    V: CacheValue,
    E: fmt::Display + Send + Sync + 'static,
{
    fn takes(&self, encoded: &[u8]) -> bool {
        self.decoded(encoded).is_some()
    }

    fn warm<'a>(
        &'a self,
        door: &'a Arc<Door>,
        keys: Vec<Vec<u8>>,
        HotPlan(asked): &'a HotPlan,
        pace: Option<Pace>,
        whole: &'a Whole,
    ) -> BoxFuture<'a, Option<Pace>> {
        Box::pin(async move {
            let hot =
                |encoded: Vec<u8>| HotKey { tenant: door.tenant.id.clone(), keyspace: self.keyspace.name(), encoded };
            let options = Options::default();
            let protection = options.protection(door, Some(self.keyspace));
            let (policy, protection) =
                match options.policy_in(door, Some(self.keyspace)).and_then(|p| Ok((p, protection?))) {
                    Ok(both) => both,
                    Err(error) => {
                        keys.into_iter().for_each(|key| whole.fail(hot(key), LoadError::Invalid(error.clone())));
                        return pace;
                    }
                };
            let decoded: Vec<Q> = keys.iter().filter_map(|key| self.decoded(key)).collect();
            let key_of = Arc::clone(&self.key_of);
            let keys = Keys::of_iter(decoded.into_iter(), move |key| key_of(key));
            let tally = Arc::new(Tally::part_of(whole));
            let plan = asked.plan(door, policy, SmallVec::new(), protection);
            let run = Run::new(Arc::clone(door), keys, (self.loader)(door), plan, Arc::clone(&tally));
            let pace = run.at_pace(pace).run().await;
            whole.adopt(&tally, |WarmFailure { key, error }| WarmFailure {
                key: hot((self.key_of)(&key).as_bytes().to_vec()),
                error: error.map_loader(|error| HotLoadError(error.to_string())),
            });
            pace
        })
    }
}

/// Starts to warm what was saved, in a task of its own.
pub(crate) fn start_hot(
    engine: &Arc<Engine>,
    door_of: fn(&Arc<Engine>, &TenantId, &HotGroup) -> Arc<Door>,
    sources: Vec<Box<dyn HotSource>>,
    plan: HotPlan,
) -> Result<WarmUp<HotKey, HotLoadError>, Error> {
    engine.check_open()?;
    plan.0.check()?;
    let whole = Arc::new(Tally::new(None, plan.0.listed));
    let handle = WarmUp::new(Arc::clone(&whole));
    let own = Arc::clone(engine);
    engine.spawner.start(async move {
        let ending = Ending(Arc::clone(&whole));
        let parts = parts(own.saved_hot_keys().await, &sources);
        let total = parts.iter().map(|(.., keys)| keys.len() as u64).sum();
        whole.count(|progress| progress.total = Some(total));
        // one pace for all: many small parts must not each begin at once
        let mut pace = plan.0.rate.map(|rate| Pace::new(rate, plan.0.batch));
        for (tenant, group, source, keys) in parts {
            if *whole.stop.borrow() {
                return ending.0.end(WarmEnd::Stopped);
            }
            let door = door_of(&own, &tenant, &group);
            pace = source.warm(&door, keys, &plan, pace, &whole).await;
        }
        let stopped = *whole.stop.borrow();
        ending.0.end(if stopped { WarmEnd::Stopped } else { WarmEnd::Complete });
    });
    Ok(handle)
}

type Part<'a> = (TenantId, HotGroup, &'a dyn HotSource, Vec<Vec<u8>>);

/// Deals keys out to those who warm them; what nobody takes is left out.
fn parts(tenants: Vec<HotTenant>, sources: &[Box<dyn HotSource>]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for HotTenant { tenant, groups } in tenants {
        for mut group in groups {
            let mut left = std::mem::take(&mut group.keys);
            for source in sources {
                let (taken, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|key| source.takes(key));
                left = others;
                if !taken.is_empty() {
                    parts.push((tenant.clone(), group.clone(), &**source, taken));
                }
            }
        }
    }
    parts
}
