//! `expire` and its relatives: the end of the fresh time, but not of the stale windows.

use std::future::IntoFuture;

use stratacache_core::{IntoTag, IntoTargets, Result, Target, Token, coordinator::Strength};

use super::{BoxFuture, target::resolve};
use crate::{Namespace, engine, engine::Targets};

/// Ends the fresh time of entries. Made by [`Namespace::expire`] and its relatives.
#[must_use = "nothing happens until it is awaited"]
pub struct Expire<'a> {
    ns: &'a Namespace,
    what: What,
}

enum What {
    Targets(Vec<Target>),
    Everything,
}

impl<'a> IntoFuture for Expire<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let inner = &self.ns.door;
            let targets = match self.what {
                What::Targets(targets) => resolve(self.ns, targets)?,
                What::Everything => {
                    self.ns.check()?;
                    let scope = inner.space.scopes.path.last().map(|scope| engine::Target::namespace(*scope));
                    Targets { scopes: scope.into_iter().collect(), ..Targets::default() }
                }
            };
            inner.engine.invalidate(inner, targets, Strength::Soft).await
        })
    }
}

impl Namespace {
    /// Marks entries as expired now, but keeps them for the stale windows of their policy.
    ///
    /// The next read loads; under `stale_while_revalidate` and `stale_if_error` it may still be given the old value. To
    /// make sure that it is not, [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub fn expire(&self, what: impl IntoTargets) -> Expire<'_> {
        Expire { ns: self, what: What::Targets(what.into_targets()) }
    }

    /// Marks everything with a tag as expired, in the whole tenant. As [`expire`](Self::expire).
    ///
    /// # Errors
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub fn expire_tag(&self, tag: impl IntoTag) -> Expire<'_> {
        Expire { ns: self, what: What::Targets(vec![Target::tag(tag)]) }
    }

    /// Marks everything in this namespace, and in those nested in it, as expired. As [`expire`](Self::expire).
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub fn expire_all(&self) -> Expire<'_> {
        Expire { ns: self, what: What::Everything }
    }
}
