//! Many keys in one call.

use stratacache_core::{IntoKey, Keyspace};

use super::Namespace;
use crate::{
    CacheValue, IntoValue,
    op::{GetMany, GetOrLoadMany, InsertMany},
};

impl Namespace {
    /// Returns the values of many keys, one place for each in their order; each tier is asked once.
    ///
    /// As [`get`](Self::get): a broken tier or an invalid key is a miss, and a value within `stale_while_revalidate` is served.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn get_many<V: CacheValue>(&self, keys: impl IntoIterator<Item = impl IntoKey<V>>) -> GetMany<'_, V> {
        let keys = keys.into_iter().map(IntoKey::into_key).collect();
        GetMany::new(&self.door, keys)
    }

    /// Returns the values of many keys, with one call of `load` for all that no tier has.
    ///
    /// The loader gets the missing keys and returns pairs of key and value. A key it leaves out is taken for absent: it is
    /// not in the result, and is not asked for again for the policy's `negative_ttl`. Every value is fenced like one of
    /// [`get_or_load`](Self::get_or_load); keys that somebody else is loading are waited for, not loaded twice.
    ///
    /// Each key is answered as [`get_or_load`](Self::get_or_load) would: keys within `stale_while_revalidate`, or due by
    /// `refresh_ahead`, have their answer at once and are refreshed behind it, by the same call of `load` as what is
    /// missing. When `load` fails, the keys that still have a value are not loaded again until one common pause is over.
    /// One call of `load` counts as one load, and fails as one. `soft_timeout` does not apply.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load); one failed load fails the call, unless a stale value stands in for each key.
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// ```
    /// use stratacache::{Cache, Keyspace, Policy, TenantId, minutes};
    ///
    /// const NAMES: Keyspace<u32, String> = Keyspace::new("names", Policy::ttl(minutes(5)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let names = acme
    ///     .get_or_load_many(&NAMES, [1, 2, 3], async |missing: Vec<u32>| {
    ///         // SELECT id, name FROM contacts WHERE id IN (..missing..)
    ///         Ok::<_, std::io::Error>(missing.into_iter().map(|id| (id, format!("name {id}"))).collect::<Vec<_>>())
    ///     })
    ///     .await?;
    /// assert_eq!(*names[&2], "name 2");
    /// # Ok(()) }
    /// ```
    pub fn get_or_load_many<K, V, F>(
        &self,
        keyspace: &'static Keyspace<K, V>,
        keys: impl IntoIterator<Item = K>,
        load: F,
    ) -> GetOrLoadMany<'_, K, V, F>
    where
        V: CacheValue,
    {
        GetOrLoadMany::new(&self.door, keyspace, keys.into_iter().collect(), load)
    }

    /// Stores many values under one stamp, in one batch for each tier; returns a token for each, in order.
    ///
    /// Each value is stored as by [`insert`](Self::insert). Of a key that is there more than once the last value is stored,
    /// and the tokens of the others say that they are superseded. More than 1,024 values, or 4 MiB of them below memory,
    /// go in several batches. Give at most 65,536 values to one call: so many marks of keys are kept, and what comes later
    /// could not be judged under the stamp of the call, and is superseded.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); the message names the item by its index and the hash of its key. An invalid key, tag or
    /// policy is found before anything is written. When a tier fails for some of the values, each is named (32 at most),
    /// every one that failed is in no tier, and the others of its batch are stored; later batches are not.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert), for each value; those that are not yet written are written all the same.
    pub fn insert_many<V: CacheValue>(
        &self,
        items: impl IntoIterator<Item = (impl IntoKey<V>, impl IntoValue<V>)>,
    ) -> InsertMany<'_, V> {
        let items = items.into_iter().map(|(key, value)| (key.into_key(), value.into_value())).collect();
        InsertMany::new(&self.door, items)
    }
}
