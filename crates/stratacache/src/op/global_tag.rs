//! `invalidate_global_tag`, `expire_global_tag` and `clear_all_tenants`.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Result, Scope, Token, coordinator::Strength};

use super::{BoxFuture, OrQueue};
use crate::engine::{Engine, What};

/// An invalidation of a global tag or of all tenants, or the end of the fresh time of a tag's entries. Made by
/// [`Cache::invalidate_global_tag`](crate::Cache::invalidate_global_tag), [`Cache::expire_global_tag`](crate::Cache::expire_global_tag) and
/// [`Cache::clear_all_tenants`](crate::Cache::clear_all_tenants).
#[must_use = "nothing happens until it is awaited"]
pub struct InvalidateGlobalTag<'a> {
    engine: &'a Arc<Engine>,
    scope: Scope,
    strength: Strength,
}

impl<'a> InvalidateGlobalTag<'a> {
    pub(crate) fn new(engine: &'a Arc<Engine>, scope: Scope, strength: Strength) -> Self {
        Self { engine, scope, strength }
    }

    /// Lets it wait where it cannot be ordered, as [`Invalidate::or_queue`](super::Invalidate::or_queue). While it waits,
    /// this node serves no tenant anything that began to be loaded before.
    pub fn or_queue(self) -> OrQueue<'a> {
        OrQueue::new(self.engine, Ok(What::GlobalTag(self.scope)), self.strength)
    }
}

impl<'a> IntoFuture for InvalidateGlobalTag<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.engine.invalidate_global(self.scope, self.strength))
    }
}
