//! Caches that encrypt, over tiers that tests can look into.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use stratacache::{
    Cache, Error, ErrorKind, LoadContext, Loaded, MemoryKeys, Namespace, Policy, Result, TenantId, TierStats,
    aes_256_gcm_siv,
    encryption::{DataKeys, Encryption, KeyProvider},
    minutes,
};
use stratacache_core::EntryName;
use stratacache_testkit::tiers::MemoryTier;

use crate::support::{builder, settle, tenant};

/// What must not be found in any tier.
pub(crate) const CANARY: &str = "the canary sings in the clear";
pub(crate) const ETAG: &str = "etag of the canary";

pub(crate) fn disk() -> MemoryTier {
    MemoryTier::new("disk").persistent(true)
}

pub(crate) fn policy() -> Policy {
    Policy::ttl(minutes(5)).jitter(0.0)
}

/// A cache over one tier that keeps its marks, with these keys.
pub(crate) async fn over(disk: &MemoryTier, keys: impl Into<Encryption>) -> Cache {
    builder().tier(disk.with_journal()).encryption(keys).default_policy(policy()).build().await.unwrap()
}

/// Loads the canary, with an ETag.
pub(crate) async fn load(ns: &Namespace, key: &str) -> String {
    let loader = async |_: LoadContext<String>| Ok::<_, Infallible>(Loaded::new(CANARY.to_owned()).etag(ETAG));
    let value = ns.get_or_load_with(key, loader).await.unwrap().unwrap();
    settle().await;
    value.to_string()
}

pub(crate) async fn get(ns: &Namespace, key: &str) -> Option<String> {
    let value = ns.get::<String>(key).await.map(|value| value.to_string());
    settle().await;
    value
}

pub(crate) fn only_name(tier: &MemoryTier) -> EntryName {
    let [name] = tier.names()[..] else { panic!("one entry, not {}", tier.names().len()) };
    name
}

/// Tells whether any entry of a tier holds the canary or its ETag.
pub(crate) fn sings(tier: &MemoryTier) -> bool {
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let entries = tier.names().into_iter().filter_map(|name| tier.raw(name));
    entries.into_iter().any(|bytes| holds(&bytes, CANARY) || holds(&bytes, ETAG))
}

pub(crate) fn stats(cache: &Cache, tier: &str) -> TierStats {
    cache.stats().tiers.into_iter().find(|stats| stats.name == tier).unwrap()
}

/// A cache built anew over the same tier: what memory held is gone.
pub(crate) async fn restarted(cache: Cache, disk: &MemoryTier, keys: impl Into<Encryption>) -> Cache {
    cache.close().await.unwrap();
    over(disk, keys).await
}

pub(crate) fn acme(cache: &Cache) -> Namespace {
    tenant(cache, "acme")
}

/// Whether a provider answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Answers,
    Fails,
    Hangs,
    Panics,
}

/// Keys in memory, behind a provider that tests can trouble, and that counts who asks.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) keys: MemoryKeys,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
    /// The only tenant that is troubled; none means all.
    only: Arc<Mutex<Option<TenantId>>>,
}

impl Provider {
    pub(crate) fn new() -> Self {
        Self {
            keys: MemoryKeys::new(),
            mood: Arc::new(Mutex::new(Mood::Answers)),
            asked: Arc::default(),
            only: Arc::default(),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    pub(crate) fn only_for(&self, tenant: &str) {
        *self.only.lock() = Some(TenantId::parse(tenant).unwrap());
    }

    async fn answer(&self, tenant: &TenantId) -> Result<()> {
        let spared = self.only.lock().as_ref().is_some_and(|only| only != tenant);
        let mood = if spared { Mood::Answers } else { *self.mood.lock() };
        match mood {
            Mood::Answers => Ok(()),
            Mood::Fails => Err(Error::new(ErrorKind::Unavailable, "the key management service is down")),
            Mood::Hangs => std::future::pending().await,
            Mood::Panics => panic!("a provider with a defect"),
        }
    }
}

impl KeyProvider for Provider {
    async fn keys(&self, tenant: &TenantId) -> Result<DataKeys> {
        self.asked.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        self.answer(tenant).await?;
        self.keys.keys(tenant).await
    }
    async fn rotate(&self, tenant: &TenantId) -> Result<()> {
        self.answer(tenant).await?;
        self.keys.rotate(tenant).await
    }
    async fn destroy(&self, tenant: &TenantId) -> Result<()> {
        self.answer(tenant).await?;
        self.keys.destroy(tenant).await
    }
}

impl From<Provider> for Encryption {
    fn from(provider: Provider) -> Self {
        Self::new(provider, aes_256_gcm_siv)
    }
}
