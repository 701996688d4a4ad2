//! Closures whose results are cached.

use std::{borrow::Borrow, future::Future};

use stratacache_core::{KeyPart, Keyspace};

use super::Namespace;
use crate::{CacheValue, op::Wrapped};

impl Namespace {
    /// Returns a closure whose results are cached in this namespace: its argument is the key.
    ///
    /// The closure takes a `K`, or what owns one (a `String` where the keys are `str`), and is called for a miss, in a task of its
    /// own; so it is `Fn(K) -> impl Future`, both `Send + 'static`, and clones what the future uses. Name the type of its
    /// argument. All that the value depends on must be in the argument: what the closure captures is not part of the key. The argument
    /// is cloned where a load is [tried again](Wrapped::retry), and nowhere else.
    ///
    /// For a function with several parameters there is `#[cached]` (feature `macros`).
    ///
    /// ```
    /// use stratacache::{Cache, Keyspace, Policy, TenantId, minutes};
    ///
    /// # #[derive(Clone)] struct Db;
    /// # impl Db { async fn contacts(&self, page: u32) -> Result<Vec<String>, std::io::Error> { Ok(vec![format!("page {page}")]) } }
    /// const CONTACTS: Keyspace<u32, Vec<String>> = Keyspace::new("contacts", Policy::ttl(minutes(5)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let db = Db;
    /// let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    ///
    /// let contacts = acme
    ///     .wrap(&CONTACTS, move |page: u32| {
    ///         let db = db.clone();
    ///         async move { db.contacts(page).await }
    ///     })
    ///     .tag("contacts");
    ///
    /// assert_eq!(contacts.call(3).await?[0], "page 3"); // loads
    /// assert_eq!(contacts.call(3).tag(("page", 3)).await?[0], "page 3"); // does not
    /// acme.invalidate(contacts.key(&3)).await?;
    /// # Ok(()) }
    /// ```
    pub fn wrap<K, A, V, E, F, Fut>(&self, keyspace: &'static Keyspace<K, V>, load: F) -> Wrapped<K, A, V, F>
    where
        K: KeyPart + ?Sized,
        A: Borrow<K> + Clone + Send + 'static,
        V: CacheValue,
        E: Send + Sync + 'static,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        Wrapped::new(&self.door, keyspace, load)
    }
}
