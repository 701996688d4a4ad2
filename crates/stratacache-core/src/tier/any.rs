//! Tiers of any type behind one handle.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

trait DynTier: Send + Sync + 'static {
    fn name(&self) -> &str;
    fn capability(&self) -> Capability;
    fn get_many(&self, request: GetMany) -> Boxed<'_, Result<Vec<Got>, TierError>>;
    fn put_many(&self, request: PutMany) -> Boxed<'_, Result<Vec<PutOutcome>, TierError>>;
    fn remove_many(&self, request: RemoveMany) -> Boxed<'_, Result<Vec<Result<(), TierError>>, TierError>>;
    fn ping(&self) -> Boxed<'_, Result<(), TierError>>;
    fn used_bytes(&self) -> Option<u64>;
    fn close(&self) -> Boxed<'_, Result<(), TierError>>;
}

impl<T: Tier> DynTier for T {
    fn name(&self) -> &str {
        Tier::name(self)
    }
    fn capability(&self) -> Capability {
        Tier::capability(self)
    }
    fn get_many(&self, request: GetMany) -> Boxed<'_, Result<Vec<Got>, TierError>> {
        Box::pin(Tier::get_many(self, request))
    }
    fn put_many(&self, request: PutMany) -> Boxed<'_, Result<Vec<PutOutcome>, TierError>> {
        Box::pin(Tier::put_many(self, request))
    }
    fn remove_many(&self, request: RemoveMany) -> Boxed<'_, Result<Vec<Result<(), TierError>>, TierError>> {
        Box::pin(Tier::remove_many(self, request))
    }
    fn ping(&self) -> Boxed<'_, Result<(), TierError>> {
        Box::pin(Tier::ping(self))
    }
    fn used_bytes(&self) -> Option<u64> {
        Tier::used_bytes(self)
    }
    fn close(&self) -> Boxed<'_, Result<(), TierError>> {
        Box::pin(Tier::close(self))
    }
}

/// A tier of any type: cheap to clone, one allocation for each operation.
#[derive(Clone)]
pub struct AnyTier(Arc<dyn DynTier>);

impl AnyTier {
    /// Wraps a tier.
    pub fn new(tier: impl Tier) -> Self {
        Self(Arc::new(tier))
    }
}

impl Tier for AnyTier {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn capability(&self) -> Capability {
        self.0.capability()
    }
    fn get_many(&self, request: GetMany) -> impl Future<Output = Result<Vec<Got>, TierError>> + Send {
        self.0.get_many(request)
    }
    fn put_many(&self, request: PutMany) -> impl Future<Output = Result<Vec<PutOutcome>, TierError>> + Send {
        self.0.put_many(request)
    }
    fn remove_many(
        &self,
        request: RemoveMany,
    ) -> impl Future<Output = Result<Vec<Result<(), TierError>>, TierError>> + Send {
        self.0.remove_many(request)
    }
    fn ping(&self) -> impl Future<Output = Result<(), TierError>> + Send {
        self.0.ping()
    }
    fn used_bytes(&self) -> Option<u64> {
        self.0.used_bytes()
    }
    fn close(&self) -> impl Future<Output = Result<(), TierError>> + Send {
        self.0.close()
    }
}

impl fmt::Debug for AnyTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyTier").field(&self.0.name()).finish()
    }
}
