//! `invalidate` and its relatives, and `clear`.

use std::future::IntoFuture;

use stratacache_core::{IntoTag, IntoTargets, Key, Result, Target, Token, coordinator::Strength};

use super::{BoxFuture, target::resolve};
use crate::{Namespace, engine, engine::Targets};

/// An invalidation. Made by [`Namespace::invalidate`] and its relatives.
#[must_use = "nothing happens until it is awaited"]
pub struct Invalidate<'a> {
    ns: &'a Namespace,
    targets: Vec<Target>,
}

impl<'a> IntoFuture for Invalidate<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let targets = resolve(self.ns, self.targets)?;
            self.ns.door.engine.invalidate(&self.ns.door, targets, Strength::Hard).await
        })
    }
}

/// Empties a namespace or tenant. Made by [`Namespace::clear`].
#[must_use = "nothing happens until it is awaited"]
pub struct Clear<'a> {
    ns: &'a Namespace,
}

impl<'a> IntoFuture for Clear<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.ns.check()?;
            let inner = &self.ns.door;
            let path = &inner.space.scopes.path;
            let scope = path.last().map(|scope| engine::Target::namespace(*scope));
            let everything = path.len() == 1;
            let targets = Targets { scopes: scope.into_iter().collect(), everything, ..Targets::default() };
            inner.engine.invalidate(inner, targets, Strength::Hard).await
        })
    }
}

impl Namespace {
    /// Invalidates a key, or a mix of keys, tags and namespaces at one position.
    ///
    /// When this has returned `Ok`, no read that begins later is given a value whose load began before the call, from
    /// any tier. Loads under way go on, for those who already wait, and are not kept. Call it after the transaction has
    /// committed.
    ///
    /// # Errors
    /// An error means that it is not known whether the invalidation took place; calling again is safe.
    /// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) when the tenant is over its `invalidations_per_s`.
    ///
    /// # Cancel safety
    /// Dropped half-way, the invalidation may or may not take place. Wait for it.
    pub fn invalidate(&self, what: impl IntoTargets) -> Invalidate<'_> {
        Invalidate { ns: self, targets: what.into_targets() }
    }

    /// Invalidates many keys at one position. As [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub fn invalidate_many<V: 'static>(&self, keys: impl IntoIterator<Item = Key<V>>) -> Invalidate<'_> {
        Invalidate { ns: self, targets: keys.into_iter().map(|key| Target::of(&key)).collect() }
    }

    /// Invalidates everything with a tag, in the whole tenant, from whichever namespace it is called. One mark, however
    /// many entries.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate). A global tag is refused: `Cache::invalidate_global_tag` is for those.
    pub fn invalidate_tag(&self, tag: impl IntoTag) -> Invalidate<'_> {
        Invalidate { ns: self, targets: vec![Target::tag(tag)] }
    }

    /// Invalidates everything with any of some tags, at one position.
    ///
    /// # Errors
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub fn invalidate_tags(&self, tags: impl IntoIterator<Item = impl IntoTag>) -> Invalidate<'_> {
        Invalidate { ns: self, targets: tags.into_iter().map(Target::tag).collect() }
    }

    /// Empties this namespace, and those nested in it; at the tenant's root, the whole tenant. One mark, however many
    /// entries; the bytes in memory are freed soon after.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub fn clear(&self) -> Clear<'_> {
        Clear { ns: self }
    }
}
