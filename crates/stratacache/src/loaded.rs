//! What a loader returns when it says more than the value.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use stratacache_core::{IntoTag, Policy, Tag};

use crate::Cached;

/// The result of a load with instructions: its own ttl, policy, tags and ETag, or that it must not be stored.
///
/// ```
/// use stratacache::{Loaded, minutes};
///
/// let loaded = Loaded::new("report".to_owned()).ttl(minutes(10)).tag("reports").etag("\"v7\"");
/// # let _ = loaded;
/// ```
#[derive(Debug)]
#[must_use]
pub struct Loaded<V> {
    pub(crate) value: LoadedValue<V>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) policy: Option<Box<Policy>>,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    pub(crate) etag: Option<Box<str>>,
    pub(crate) store: bool,
}

#[derive(Debug)]
pub(crate) enum LoadedValue<V> {
    Value(V),
    Shared(Arc<V>),
    Absent,
    NotModified,
}

impl<V> Loaded<V> {
    fn from_value(value: LoadedValue<V>) -> Self {
        Self { value, ttl: None, policy: None, tags: SmallVec::new(), etag: None, store: true }
    }

    /// Takes a value.
    pub fn new(value: V) -> Self {
        Self::from_value(LoadedValue::Value(value))
    }

    /// Takes a value that is shared already.
    pub fn shared(value: Arc<V>) -> Self {
        Self::from_value(LoadedValue::Shared(value))
    }

    /// Says that the source has no such thing: stored for the policy's `negative_ttl`.
    pub fn absent() -> Self {
        Self::from_value(LoadedValue::Absent)
    }

    /// Says that the value the cache holds, even stale, is still right: it starts a new life.
    ///
    /// Only sensible after the loader asked the source with the ETag of its [`LoadContext`].
    pub fn not_modified() -> Self {
        Self::from_value(LoadedValue::NotModified)
    }

    /// Gives the value a ttl of its own.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Gives the value a policy of its own. Which tiers it is kept in stays what the call said.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    /// Adds a tag that only the loader knows.
    pub fn tag(mut self, tag: impl IntoTag) -> Self {
        self.tags.push(tag.into_tag());
        self
    }

    /// Keeps the source's validator with the value; the next load finds it in its [`LoadContext`].
    pub fn etag(mut self, etag: impl Into<Box<str>>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// Returns the value to the callers without storing it in any tier.
    pub fn do_not_store(mut self) -> Self {
        self.store = false;
        self
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

/// What a loader may want to know: the stale value, its ETag, and how often the load failed before.
#[derive(Debug)]
pub struct LoadContext<V> {
    pub(crate) stale: Option<Cached<V>>,
    pub(crate) attempt: u32,
}

impl<V> LoadContext<V> {
    /// Returns the value the cache still holds; never one that was invalidated.
    #[must_use]
    pub fn stale(&self) -> Option<&Cached<V>> {
        self.stale.as_ref()
    }

    /// Returns the ETag stored with that value.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.stale.as_ref()?.etag()
    }

    /// Returns 1 for the first attempt, one more after each failure in a row.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}
