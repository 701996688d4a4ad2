//! The handle of a cache. It has no data methods: data is reached through a tenant.

mod builder;
mod tiers;
mod warm_hot;

use std::sync::{Arc, atomic::Ordering::Acquire};

use stratacache_core::{
    IntoTag, Result, Scope, Tag, TenantId, Tiers, coordinator::Strength, follow::InvalidationSource,
};

pub use builder::{CacheBuilder, Quota};
pub use warm_hot::WarmHot;

use crate::{
    Namespace,
    engine::Engine,
    loaders::LoaderStats,
    observe::{EventStream, Filter, Metrics, Stats},
    op::{Follow, InvalidateGlobalTag},
};

/// A cache: the whole of its tiers, tenants and tasks in this process. Cheap to clone.
///
/// It has no `get` and no `insert`: [`tenant`](Self::tenant) and [`global`](Self::global) are the only doors to data, so
/// that forgetting the tenant does not compile.
///
/// ```compile_fail
/// # async fn f(cache: stratacache::Cache) {
/// cache.get::<String>("key").await; // no such method
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    engine: Arc<Engine>,
}

impl Cache {
    /// Starts to build a cache; every setting has a default.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    pub(crate) fn from_engine(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    #[cfg(feature = "otlp")]
    pub(crate) fn downgrade(&self) -> std::sync::Weak<Engine> {
        Arc::downgrade(&self.engine)
    }

    /// Returns the door to a tenant's data. Made on first use; cheap, but worth keeping for the length of a request.
    #[must_use]
    pub fn tenant(&self, id: &TenantId) -> Namespace {
        Namespace::root(&self.engine, id)
    }

    /// Returns the door to data of no tenant: the same for everybody.
    #[must_use]
    pub fn global(&self) -> Namespace {
        Namespace::root(&self.engine, &TenantId::global())
    }

    /// Invalidates everything with a global tag, in every tenant. One mark, however many entries and tenants.
    ///
    /// # Errors
    /// As [`Namespace::invalidate`].
    ///
    /// # Cancel safety
    /// As [`Namespace::invalidate`].
    ///
    /// ```
    /// # use stratacache::{Cache, Tag, TenantId};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// acme.insert("offer", 7_u32).tag(Tag::global("price-list")).await?;
    /// cache.invalidate_global_tag("price-list").await?;
    /// assert!(acme.get::<u32>("offer").await.is_none());
    /// # Ok(()) }
    /// ```
    pub fn invalidate_global_tag(&self, tag: impl IntoTag) -> InvalidateGlobalTag<'_> {
        InvalidateGlobalTag::new(&self.engine, self.global_scope(tag.into_tag()), Strength::Hard)
    }

    /// Marks everything with a global tag as expired, in every tenant; the stale windows may still serve it.
    ///
    /// # Errors
    /// As [`Namespace::invalidate`].
    ///
    /// # Cancel safety
    /// As [`Namespace::invalidate`].
    pub fn expire_global_tag(&self, tag: impl IntoTag) -> InvalidateGlobalTag<'_> {
        InvalidateGlobalTag::new(&self.engine, self.global_scope(tag.into_tag()), Strength::Soft)
    }

    /// Invalidates everything of every tenant and of none, in every tier and on every node, whether or not this node has met the tenant.
    /// One mark, whatever there is.
    ///
    /// Until it is loaded again, sources get every read: this is for what is lost or restored as a whole. To empty one tenant is
    /// [`Namespace::clear`].
    ///
    /// # Errors
    /// As [`Namespace::invalidate`].
    ///
    /// # Cancel safety
    /// As [`Namespace::invalidate`].
    ///
    /// ```
    /// # use stratacache::{Cache, TenantId};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// acme.insert("offer", 7_u32).await?;
    /// cache.clear_all_tenants().await?;
    /// assert!(acme.get::<u32>("offer").await.is_none());
    /// # Ok(()) }
    /// ```
    pub fn clear_all_tenants(&self) -> InvalidateGlobalTag<'_> {
        InvalidateGlobalTag::new(&self.engine, Scope::ALL_TENANTS, Strength::Hard)
    }

    fn global_scope(&self, tag: Tag) -> Scope {
        // a tag written without `Tag::global` can only mean the global one here
        tag.into_global().scope(&self.engine.deployment, &TenantId::global())
    }

    /// Follows a source of changes, such as an outbox in a database: what it says has changed is invalidated, in the order of each
    /// tenant, at least once. [`start`](Follow::start) begins.
    ///
    /// One node that follows is enough where nodes share a tier, since an invalidation reaches all of them; let all follow, with the same
    /// name of the consumer: one delivers, and the others stand by. A cache may follow several sources. It goes on until the cache is
    /// closed, whatever becomes of the [`Follower`](crate::Follower).
    ///
    /// What a change names is invalidated whether or not anything is cached under it: a key in the wrong namespace is no error. The guide's
    /// [page on events](https://github.com/stratacache/stratacache/blob/main/docs/guide/events.md) has the JSON and the SQL.
    ///
    /// ```
    /// use stratacache::{Cache, follow::InvalidationSource};
    ///
    /// # async fn example(source: impl InvalidationSource) -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::builder().build().await?;
    /// let follower = cache.follow(source).start()?;
    /// println!("{} changes were applied", follower.progress().applied);
    /// cache.close().await?; // ends it, too
    /// # Ok(()) }
    /// ```
    pub fn follow(&self, source: impl InvalidationSource) -> Follow {
        Follow::new(Arc::clone(&self.engine), source)
    }

    /// Returns the counters of the whole cache and its tiers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.cache_stats()
    }

    /// Returns the counters of one tenant; all zero if it is not in use.
    #[must_use]
    pub fn tenant_stats(&self, id: &TenantId) -> Stats {
        self.engine.tenants.find(id).map(|tenant| self.engine.tenant_stats(&tenant)).unwrap_or_default()
    }

    /// Returns the counters of one keyspace, over all tenants.
    #[must_use]
    pub fn keyspace_stats(&self, name: &str) -> Stats {
        let filter = Filter { keyspace: Some(name), ..Filter::default() };
        Stats::from_sums(&self.engine.ledger.sums(filter))
    }

    /// Returns the counters of a declared loader; `None` if there is none of this name.
    #[must_use]
    pub fn loader_stats(&self, name: &str) -> Option<LoaderStats> {
        self.engine.loaders.find(name).map(|loader| loader.stats())
    }

    /// Returns every number of the cache, with metrics of their own for the busiest tenants
    /// ([`tenant_labels`](CacheBuilder::tenant_labels)). It renders as the text that Prometheus takes.
    ///
    /// It adds up what was counted, which takes some milliseconds with 10,000 tenants: call it as often as you would scrape it.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.engine.metrics()
    }

    /// Subscribes to the stream of events: bounded and lossy, with a count of what was lost.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.engine.events.subscribe()
    }

    /// Changes the memory budget while the cache runs. Shrinking evicts before this returns.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) below 1 MiB.
    pub fn resize(&self, bytes: u64) -> Result<()> {
        builder::check_budget(bytes)?;
        self.engine.arbiter.resize(bytes);
        Ok(())
    }

    /// Checks that a cache has the tiers that are named, before an operation is given them.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the tier that is not there, and those there are.
    ///
    /// ```
    /// # use stratacache::{Cache, Tiers};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::builder().build().await?;
    /// let refused = cache.check_tiers(&Tiers::all().skip("object")).unwrap_err();
    /// assert!(refused.to_string().contains("there are \"memory\""));
    /// # Ok(()) }
    /// ```
    pub fn check_tiers(&self, tiers: &Tiers) -> Result<()> {
        self.engine.check_tiers(tiers)
    }

    /// Warms the keys that were hot when a cache with the same [`hot_keys`](CacheBuilder::hot_keys) was closed: of the keyspaces that are
    /// named, each with a loader or without. Call it once, after the start.
    ///
    /// Each tenant's keys are warmed through the tenant's own door, one namespace and keyspace after the other, the hottest first. It is a
    /// warm-up as any other: what memory has is left alone, what a tier below has is promoted, loads are fenced and shared with readers,
    /// and readers go first. See [`Namespace::warm`].
    ///
    /// A file that is missing warms nothing; one that is damaged, too old, or of another deployment is ignored, with an event.
    ///
    /// # Errors
    /// When an option is not valid, or the cache is closed. What became of the keys is in the report.
    ///
    /// # Cancel safety
    /// Dropped, it stops: no further key is begun, and loads that have begun go on and are stored.
    ///
    /// ```
    /// use stratacache::{Cache, HotKeys, Keyspace, Namespace, Policy, TenantId, hours};
    ///
    /// const NAMES: Keyspace<u32, String> = Keyspace::new("names", Policy::ttl(hours(1)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let file = std::env::temp_dir().join(format!("hot-keys-of-a-doctest-{}", std::process::id()));
    /// async fn name(ns: Namespace, id: u32) -> Result<String, std::io::Error> {
    ///     Ok(format!("name {id} of {:?}", ns.tenant())) // SELECT name .. WHERE tenant = .. AND id = ..
    /// }
    ///
    /// let cache = Cache::builder().hot_keys(HotKeys::new(&file)).build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// # acme.insert(NAMES.key(&7), "Ada".to_owned()).await?;
    /// # acme.get(NAMES.key(&7)).await;
    /// cache.close().await?; // writes them
    ///
    /// let cache = Cache::builder().hot_keys(HotKeys::new(&file)).build().await?;
    /// let report = cache.warm_hot().load(&NAMES, name).rate(1_000).await?;
    /// assert_eq!(report.progress.loaded, 1);
    /// # cache.close().await?;
    /// # std::fs::remove_file(file)?;
    /// # Ok(()) }
    /// ```
    pub fn warm_hot(&self) -> WarmHot<'_> {
        WarmHot::new(&self.engine)
    }

    /// Tells whether [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.engine.closed.load(Acquire)
    }

    /// Ends the cache: saves its [hot keys](CacheBuilder::hot_keys), stops its tasks, writes out what is pending, closes every tier. Loads under way end with
    /// `LoadError::Closed`; later calls miss or fail. Invalidations that wait are tried once more, for 3 s at most; writes that
    /// wait are made, for [`flush_deadline`](CacheBuilder::flush_deadline) at most.
    ///
    /// # Errors
    /// The first failure: of queued invalidations that are lost, with their number
    /// ([`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable)), of writes that are lost, with theirs, or of a tier.
    /// Everything is closed all the same.
    ///
    /// # Cancel safety
    /// Call it once and wait for it: dropped half-way, some tiers may be left open until the process ends.
    pub async fn close(&self) -> Result<()> {
        self.engine.close().await
    }

    /// Counts the background tasks that run for this cache, the maintenance task included; 0 after
    /// [`close`](Self::close).
    #[must_use]
    pub fn active_tasks(&self) -> usize {
        self.engine.spawner.active() + self.engine.listeners.active()
    }

    /// Counts the marks of invalidations held, and tells whether tag marks were folded for want of room (which makes
    /// some invalidations wider, never narrower).
    #[must_use]
    pub fn marks_held(&self) -> (usize, bool) {
        (self.engine.mirror.marks_held(), self.engine.mirror.folded())
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("engine", &self.engine).finish()
    }
}
