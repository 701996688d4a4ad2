//! Finding keys, for operators.

use stratacache_core::{Glob, tier::TierScan};

use super::Namespace;
use crate::op::{FindKeys, ScanKeys};

impl Namespace {
    /// Lists keys of this namespace, not of those nested in it, that **this node's memory** holds and that match a pattern. For operators:
    /// it looks at every entry of the tenant, where it holds up no task, and it sees neither the tiers below nor other nodes.
    ///
    /// It changes nothing, and counts as no read. To invalidate what it found, and exactly that, give it to
    /// [`invalidate`](Self::invalidate) of the same namespace: in every tier, and on every node. What must never be missed is
    /// invalidated by a tag, a [prefix](Self::invalidate_prefix) or a namespace, not by what memory happens to hold.
    ///
    /// # Errors
    /// When the namespace or the limit is not valid, or the cache is closed.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    ///
    /// ```
    /// use stratacache::{Cache, Glob, TenantId};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// acme.insert(("user", 42, "theme"), "dark".to_owned()).await?;
    /// acme.insert(("user", 43, "theme"), "light".to_owned()).await?;
    ///
    /// let found = acme.find_keys(Glob::new("user/42/*")?).await?; // a look
    /// assert_eq!(found.keys[0].shown, "user/42/theme");
    /// acme.invalidate(found).await?; // exactly these
    /// assert!(!acme.contains::<String>(("user", 42, "theme")).await);
    /// assert!(acme.contains::<String>(("user", 43, "theme")).await);
    /// # cache.close().await?;
    /// # Ok(()) }
    /// ```
    pub fn find_keys(&self, glob: Glob) -> FindKeys<'_> {
        FindKeys::new(&self.door, glob)
    }

    /// Lists keys of this namespace, not of those nested in it, that **a tier below memory** holds and that match a pattern. For operators: only
    /// keys of keyspaces that are [`scannable`](crate::Keyspace::scannable) are found, by a [`TierScan`] that has its own right to list the tier
    /// (`RedisScan` with a user of its own, `Disk::scan`, `ObjectBuilder::scan`).
    ///
    /// It changes nothing: it is the dry run. To invalidate what it found, and exactly that, give it to
    /// [`invalidate`](Self::invalidate) of the same namespace. It looks at [`examine`](ScanKeys::examine) entries at most, with pauses, and says where
    /// to go on. Each entry that matches is read and judged as a reader would; what no reader would be served is not listed. An entry
    /// that comes or goes meanwhile may be missed: what must never be missed is invalidated by a tag, a
    /// [prefix](Self::invalidate_prefix) or a namespace.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when a bound is not valid, the cache has no such tier, or the cursor is of
    /// another; `Unavailable` or `Timeout` when the tier does not answer, the user may not list it, or this node does not hear of
    /// invalidations. Nothing is lost by it: go on from the cursor of the last run.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    ///
    /// ```
    /// use stratacache::{Cache, Disk, Glob, Keyspace, Policy, TenantId, hours};
    ///
    /// const PAGES: Keyspace<(u32, String), String> = Keyspace::new("pages", Policy::ttl(hours(1))).scannable();
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let disk = Disk::open(dir.path()).await?;
    /// let scan = disk.scan();
    /// let cache = Cache::builder().tier(disk).build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// acme.insert(PAGES.key(&(42, "start".to_owned())), "hello".to_owned()).await?;
    ///
    /// let mut found = acme.scan_keys(&scan, Glob::new("42/*")?).keyspace("pages").await?; // a look
    /// assert_eq!(found.keys[0].shown, "42/start");
    /// while let Some(cursor) = found.cursor.take() {
    ///     acme.invalidate(found).await?; // exactly these
    ///     found = acme.scan_keys(&scan, Glob::new("42/*")?).keyspace("pages").resume(cursor).await?;
    /// }
    /// acme.invalidate(found).await?;
    /// # cache.close().await?;
    /// # Ok(()) }
    /// ```
    pub fn scan_keys<'a, S: TierScan>(&'a self, scan: &'a S, glob: Glob) -> ScanKeys<'a, S> {
        ScanKeys::new(&self.door, scan, glob)
    }
}
