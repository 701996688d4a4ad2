//! A disk that is full on command, for where no small device can be mounted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use stratacache_core::tier::{
    AnyTier, Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind,
};

type TierResult<T> = Result<T, TierError>;

/// A tier that stores nothing more while it is full; it reads, and removes, as a full disk does.
pub(super) struct FullTier {
    inner: AnyTier,
    full: Arc<AtomicBool>,
}

impl FullTier {
    pub(super) const fn new(inner: AnyTier, full: Arc<AtomicBool>) -> Self {
        Self { inner, full }
    }
}

impl Tier for FullTier {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn capability(&self) -> Capability {
        self.inner.capability()
    }
    async fn get_many(&self, request: GetMany) -> TierResult<Vec<Got>> {
        self.inner.get_many(request).await
    }
    async fn put_many(&self, request: PutMany) -> TierResult<Vec<PutOutcome>> {
        if self.full.load(Relaxed) {
            return Err(TierError::new(TierErrorKind::Full, "so the campaign wants"));
        }
        self.inner.put_many(request).await
    }
    async fn remove_many(&self, request: RemoveMany) -> TierResult<Vec<TierResult<()>>> {
        self.inner.remove_many(request).await
    }
    async fn ping(&self) -> TierResult<()> {
        self.inner.ping().await
    }
    fn used_bytes(&self) -> Option<u64> {
        self.inner.used_bytes()
    }
    async fn close(&self) -> TierResult<()> {
        self.inner.close().await
    }
}
