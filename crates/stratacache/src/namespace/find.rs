//! Finding keys, for operators.

use stratacache_core::Glob;

use super::Namespace;
use crate::op::FindKeys;

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
}
