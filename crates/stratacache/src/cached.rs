//! A value as the caller holds it.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

use crate::memory::Entry;

/// Says where a value came from and how good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)] // a handle is two whole words, which move without being put together again
pub enum Freshness {
    /// From a tier, within its ttl.
    Fresh,
    /// From a tier, past its ttl, within a stale window.
    Stale,
    /// Just loaded, by this call or by the one it joined.
    Loaded,
}

/// A value of the cache, with what is known of it.
///
/// Dereferences to the value, serializes as the value, and is as cheap to clone as an `Arc`: value and metadata are one
/// allocation, which stays alive as long as somebody holds it, also after it left the cache. Values cannot be changed
/// behind the cache's back.
pub struct Cached<V> {
    entry: Arc<Entry<V>>,
    freshness: Freshness,
    expires_in_ms: u32,
}

impl<V> Cached<V> {
    /// `entry` must hold a value.
    pub(crate) fn new(entry: Arc<Entry<V>>, freshness: Freshness, now: u64) -> Option<Self> {
        entry.value()?;
        let left = entry.head.fresh_until().saturating_sub(now);
        Some(Self { entry, freshness, expires_in_ms: u32::try_from(left).unwrap_or(u32::MAX) })
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &V {
        match self.entry.value() {
            Some(value) => value,
            None => unreachable!("a Cached is only made of an entry with a value"),
        }
    }

    /// Tells whether the value was fresh, stale or just loaded.
    #[must_use]
    pub const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Tells whether the value is past its ttl.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.freshness == Freshness::Stale
    }

    /// Returns how much of the fresh time was left when the value was returned; zero for a stale one.
    #[must_use]
    pub const fn fresh_for(&self) -> Duration {
        Duration::from_millis(self.expires_in_ms as u64)
    }

    /// Returns the source's validator that a loader stored with the value.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.entry.meta.etag()
    }

    /// Tells whether two handles are of one and the same entry. Where a keyspace's memory is encoded, each of them has a value of its own.
    #[must_use]
    pub fn same_entry(a: &Self, b: &Self) -> bool
    where
        V: Send + Sync + 'static,
    {
        Entry::same(&a.entry, &b.entry)
    }
}

impl<V> Clone for Cached<V> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), ..*self }
    }
}

impl<V> Deref for Cached<V> {
    type Target = V;
    #[inline]
    fn deref(&self) -> &V {
        self.value()
    }
}

impl<V> AsRef<V> for Cached<V> {
    fn as_ref(&self) -> &V {
        self.value()
    }
}

impl<V: fmt::Debug> fmt::Debug for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("value", self.value()).field("freshness", &self.freshness).finish()
    }
}

impl<V: fmt::Display> fmt::Display for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

impl<V: PartialEq> PartialEq for Cached<V> {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl<V: PartialEq> PartialEq<V> for Cached<V> {
    fn eq(&self, other: &V) -> bool {
        self.value() == other
    }
}

impl<V: Serialize> Serialize for Cached<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}
