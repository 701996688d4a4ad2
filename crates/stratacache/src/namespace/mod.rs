//! The only door to data: a tenant, a path of namespaces below it, and defaults.

mod bulk;
mod find;
mod forget;
mod keys;
mod load;
mod lock;
mod read;
mod update;
mod warm;
mod wrap;
mod write;

use std::{sync::Arc, time::Duration};

use stratacache_core::{IntoTag, KeyPart, NamespacePath, Policy, Result, Stamp, TenantId};

use crate::{
    engine::{Door, Engine, nearest},
    observe::{Filter, Stats},
};

/// A door to the data of one tenant: the tenant's root, or a namespace nested in it, with its defaults.
///
/// Cheap to clone. Defaults (`with_tag`, `with_ttl`, `with_policy`) are inherited by namespaces made from this one;
/// what a call says wins over the keyspace, the keyspace over the namespace; tags add up.
///
/// ```
/// use stratacache::{Cache, TenantId, hours};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().build().await?;
/// let acme = cache.tenant(&TenantId::parse("acme")?);
/// let user = acme.namespace(("user", 42)).with_tag(("user", 42)).with_ttl(hours(1));
/// user.insert("theme", "dark".to_owned()).await?;
/// assert_eq!(user.get::<String>("theme").await.as_deref().map(String::as_str), Some("dark"));
/// assert!(acme.get::<String>("theme").await.is_none(), "another namespace");
/// user.clear().await?;
/// assert!(user.get::<String>("theme").await.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Namespace {
    pub(crate) door: Arc<Door>,
}

impl Namespace {
    pub(crate) fn root(engine: &Arc<Engine>, id: &TenantId) -> Self {
        let consistency = engine.default_policy.consistency_mode();
        Self { door: engine.door(id, &NamespacePath::default(), consistency) }
    }

    fn changed(&self, change: impl FnOnce(&mut Door)) -> Self {
        let old = &*self.door;
        let mut door = Door {
            engine: Arc::clone(&old.engine),
            tenant: Arc::clone(&old.tenant),
            space: Arc::clone(&old.space),
            policy: old.policy,
            ttl: old.ttl,
            consistency: old.consistency,
            tags: old.tags.clone(),
            fault: old.fault.clone(),
        };
        change(&mut door);
        Self { door: Arc::new(door) }
    }

    /// Returns the namespace one level deeper; at most `max_namespace_depth` levels (8).
    ///
    /// One call is one level: `namespace(("user", 42))` is not `namespace("user").namespace(42)`. Deeper than allowed,
    /// the namespace refuses every operation with an error that says so; see [`check`](Self::check).
    #[must_use]
    pub fn namespace(&self, part: impl KeyPart) -> Self {
        let path = self.door.space.prefix.path().child(&part, self.door.engine.limits.max_namespace_depth);
        self.changed(|door| match path {
            Ok(path) => door.space = door.engine.space(&door.tenant, &path),
            Err(error) => door.fault = Some(error),
        })
    }

    /// Returns the namespace with this path, of the same tenant.
    pub(crate) fn at(&self, path: NamespacePath) -> Self {
        self.changed(|door| door.space = door.engine.space(&door.tenant, &path))
    }

    /// Returns the same namespace, where every entry also gets this tag.
    #[must_use]
    pub fn with_tag(&self, tag: impl IntoTag) -> Self {
        self.changed(|door| door.tags.push(tag.into_tag()))
    }

    /// Returns the same namespace, where entries of no keyspace live this long.
    #[must_use]
    pub fn with_ttl(&self, ttl: Duration) -> Self {
        self.changed(|door| {
            door.ttl = Some(ttl);
            let checked = door.policy.unwrap_or_default().with_ttl(ttl).check(&door.engine.ceilings);
            door.fault = door.fault.take().or(checked.err());
        })
    }

    /// Returns the same namespace, where entries of no keyspace follow this policy.
    #[must_use]
    pub fn with_policy(&self, policy: Policy) -> Self {
        self.changed(|door| {
            door.ttl = None;
            door.policy = Some(policy);
            door.consistency = nearest([policy.consistency_mode(), door.consistency]);
            door.fault = door.fault.take().or(policy.check(&door.engine.ceilings).err());
        })
    }

    /// Checks that the namespace's level and defaults are valid; operations report the same error.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the knob.
    pub fn check(&self) -> Result<()> {
        self.door.check()
    }

    /// Returns the tenant; `None` for the global namespace.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        let id = &self.door.tenant.id;
        (!id.is_global()).then_some(id)
    }

    /// Takes the position of this tenant in the order of invalidations.
    ///
    /// Take it before reading or writing the source, and hand it to `insert(..).stamped(stamp)`: an invalidation that
    /// comes in between then beats the insert.
    ///
    /// Use it within seconds: one older than about 10 s, or than 1,024 inserts and invalidations of keys by this tenant and
    /// those that share its lane, may be superseded without cause, which keeps nothing stale (see [`Stamp`]). It is good for
    /// every namespace of this tenant; an insert of another tenant refuses it.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.door.engine.mirror.stamp(&self.door.tenant.marks)
    }

    /// Returns the counters of the whole tenant.
    #[must_use]
    pub fn tenant_stats(&self) -> Stats {
        self.door.engine.tenant_stats(&self.door.tenant)
    }

    /// Returns the counters of this namespace, without those nested in it; at the root, of the whole tenant.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let path = self.door.space.prefix.path();
        if path.depth() == 0 {
            return self.tenant_stats();
        }
        let filter = Filter { tenant: Some(&self.door.tenant.id), namespace: Some(path), keyspace: None };
        Stats::from_sums(&self.door.engine.ledger.sums(filter))
    }

    /// Returns up to `n` encoded keys that memory holds for this tenant, in no order, for operators.
    #[must_use]
    pub fn sample_keys(&self, n: usize) -> Vec<Vec<u8>> {
        let partition = self.door.tenant.partition();
        partition.map(|p| p.sample(n).iter().map(|k| k.key().to_vec()).collect()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namespace")
            .field("tenant", &self.door.tenant.id)
            .field("path", self.door.space.prefix.path())
            .finish_non_exhaustive()
    }
}
