//! What a single call may say.

use std::time::Duration;

use smallvec::SmallVec;
use stratacache_core::{Consistency, KeyspaceInfo, Policy, Result, Stamp, Tag, Tiers};

use crate::{
    engine::{Door, Protection, nearest},
    loaders::Retry,
};

/// What few calls say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rare {
    pub(crate) policy: Option<Policy>,
    pub(crate) tier_ttl: SmallVec<[(&'static str, Duration); 1]>,
    pub(crate) consistency: Option<Consistency>,
    pub(crate) tiers: Option<Tiers>,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) alone: bool,
    pub(crate) loader: Option<&'static str>,
    pub(crate) retry: Option<Retry>,
}

impl Rare {
    /// Tells whether the policy of the call says nothing of how new the answer must be: a bound of its own may be smaller
    /// than that of the keyspace.
    fn policy_is_plain(&self) -> bool {
        self.policy.is_none_or(|policy| policy.consistency_mode() == Consistency::Inherit)
    }
}

/// What a call may say that neither loads nor writes; small, for a hit moves it about.
#[derive(Debug, Default)]
pub(crate) struct ReadOptions {
    rare: Option<Box<Rare>>,
}

impl ReadOptions {
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Tells whether the call itself does not say how new the answer must be.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.rare.is_none()
    }

    /// Returns the policy of the call, checked.
    pub(crate) fn policy<V: 'static>(self, door: &Door, key: &stratacache_core::Key<V>) -> Result<Policy> {
        Options { rare: self.rare, ..Options::default() }.policy(door, key)
    }
}

/// What a call says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) ttl: Option<Duration>,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    pub(crate) rare: Option<Box<Rare>>,
}

impl Options {
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Tells whether the call itself says neither how new the answer must be, nor which tiers it uses.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |rare: &Rare| rare.consistency.is_none() && rare.tiers.is_none() && rare.policy_is_plain();
        self.rare.as_deref().is_none_or(plain)
    }

    /// Returns how often a load is tried again.
    pub(crate) fn retried(&self) -> Option<Retry> {
        self.rare.as_deref()?.retry
    }

    /// Returns the policy of the call, checked, its ttl in it.
    pub(crate) fn policy<V: 'static>(&self, door: &Door, key: &stratacache_core::Key<V>) -> Result<Policy> {
        door.check()?;
        key.check()?;
        self.policy_in(door, key.keyspace())
    }

    /// Returns what protects the source of a load, checked.
    pub(crate) fn protection<V: 'static>(
        &self,
        door: &Door,
        keyspace: Option<&'static KeyspaceInfo<V>>,
    ) -> Result<Protection> {
        let own = self.rare.as_deref();
        let name = own.and_then(|rare| rare.loader).or_else(|| keyspace?.loader());
        let loader = name.map(|name| door.engine.loaders.get(name)).transpose()?;
        let retry = self.retried();
        retry.map_or(Ok(()), |retry| retry.check())?;
        Ok(Protection { loader, retry })
    }

    /// Returns the policy of the call for any key of a keyspace.
    pub(crate) fn policy_in<V: 'static>(
        &self,
        door: &Door,
        keyspace: Option<&'static KeyspaceInfo<V>>,
    ) -> Result<Policy> {
        let own = self.rare.as_ref().and_then(|r| r.policy.as_ref());
        let mut policy = door.policy_in(keyspace, own)?;
        if let Some(rare) = &self.rare {
            for (tier, ttl) in &rare.tier_ttl {
                policy = policy.try_tier_ttl(tier, *ttl)?;
            }
            if let Some(consistency) = rare.consistency {
                policy = policy.consistency(nearest([consistency, policy.consistency_mode()]));
            }
            if let Some(tiers) = rare.tiers {
                policy = policy.tiers(tiers);
            }
        }
        if let Some(ttl) = self.ttl {
            policy = policy.with_ttl(ttl);
        }
        if self.ttl.is_some() || self.rare.is_some() {
            policy.check(&door.engine.ceilings)?;
        }
        if let Err(error) = door.engine.check_tiers(&policy.tiers_used()) {
            // a read without a loader has no error to return
            tracing::warn!(%error, "the operation is refused");
            return Err(error);
        }
        door.check_tags(&self.tags)?;
        Ok(policy)
    }
}

/// The methods that pending operations share.
macro_rules! options {
    (policy) => {
        /// Gives the value this fresh time, whatever the policy says.
        pub fn ttl(mut self, ttl: std::time::Duration) -> Self {
            self.options.ttl = Some(ttl);
            self
        }

        /// Follows this policy instead of the one of the keyspace or namespace.
        pub fn policy(mut self, policy: stratacache_core::Policy) -> Self {
            self.options.rare().policy = Some(policy);
            self
        }

        /// Caps the life of the value in one tier. The policy and the call together have rules for at most four tiers: one more is an
        /// error ([`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput)).
        pub fn tier_ttl(mut self, tier: &'static str, ttl: std::time::Duration) -> Self {
            self.options.rare().tier_ttl.push((tier, ttl));
            self
        }
    };
    (tags) => {
        /// Adds a tag, besides those of the namespace; at most `max_tags` (32) in all.
        pub fn tag(mut self, tag: impl stratacache_core::IntoTag) -> Self {
            self.options.tags.push(tag.into_tag());
            self
        }

        /// Adds several tags.
        pub fn tags(mut self, tags: impl IntoIterator<Item = impl stratacache_core::IntoTag>) -> Self {
            self.options.tags.extend(tags.into_iter().map(stratacache_core::IntoTag::into_tag));
            self
        }
    };
    (consistency) => {
        /// Says how new the answer must be, whatever the policy says. Default: what the policy says, which is `Bounded(1 s)` unless it says another.
        pub fn consistency(mut self, consistency: stratacache_core::Consistency) -> Self {
            self.options.rare().consistency = Some(consistency);
            self
        }
    };
    (tiers) => {
        /// Reads and writes only these of the tiers below memory. What is invalidated or replaced is so in all of them.
        ///
        /// A load is shared only with calls that use the same tiers. The name of a tier that is not there is an error
        /// ([`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput)) that names those there are; a read without a
        /// loader misses instead, with a warning in the log
        /// ([`Cache::check_tiers`](crate::Cache::check_tiers) tells before).
        pub fn tiers(mut self, tiers: stratacache_core::Tiers) -> Self {
            self.options.rare().tiers = Some(tiers);
            self
        }
    };
    (loader) => {
        /// Loads within the limits of the declared loader of this name
        /// ([`CacheBuilder::loader`](crate::CacheBuilder::loader)), instead of those of the keyspace's. A name that was not declared is
        /// an error of the load
        /// ([`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput)) that says so. A load that is shared goes by whoever began it.
        ///
        /// Where all calls of a keyspace say the same, [`Keyspace::loader`](crate::Keyspace::loader) is cheaper.
        pub fn loader(mut self, name: &'static str) -> Self {
            self.options.rare().loader = Some(name);
            self
        }
    };
    (retry) => {
        /// Tries the load again when the loader fails, which is cloned for that: [`Retry`](crate::Retry) says how often, and
        /// what bounds it. Default: it is called once. A load that is shared goes by whoever began it.
        pub fn retry(mut self, retry: crate::Retry) -> Self
        where
            F: Clone,
        {
            self.options.rare().retry = Some(retry);
            self.again = Some(F::clone);
            self
        }
    };
    (share_load) => {
        /// Says whether the load is shared: with `false`, the call runs one of its own, which nobody joins. Default true.
        pub fn share_load(mut self, share: bool) -> Self {
            if !share || self.options.rare.is_some() {
                self.options.rare().alone = !share;
            }
            self
        }
    };
}
pub(crate) use options;
