//! The store as a tier.

use std::sync::Arc;

use parking_lot::RwLock;
use stratacache_core::tier::{Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError};

use crate::{
    error,
    spawn::{self, Jobs},
    store::Store,
};

/// A store that can be taken away by `close` under the hands of those who use it.
#[derive(Debug)]
pub(crate) struct Shared {
    store: RwLock<Option<Store>>,
    pub(crate) capability: Capability,
}

impl Shared {
    pub(crate) fn new(store: Store, capability: Capability) -> Self {
        Self { store: RwLock::new(Some(store)), capability }
    }

    /// Uses the store; blocks.
    pub(crate) fn with<T>(&self, job: impl FnOnce(&Store) -> T) -> Result<T, TierError> {
        self.store.read().as_ref().map(job).ok_or_else(error::closed)
    }

    /// Uses the store for something that does not block; `None` also while it is being closed.
    fn now<T>(&self, job: impl FnOnce(&Store) -> Option<T>) -> Option<T> {
        self.store.try_read()?.as_ref().and_then(job)
    }

    /// Returns the bytes of the live entries without waiting; `None` while the tier is being closed.
    fn used_bytes(&self) -> Option<u64> {
        self.now(|store| Some(store.used_bytes()))
    }

    /// Waits for everybody who uses the store and ends it; blocks.
    fn close(&self) -> Result<(), TierError> {
        let store = self.store.write().take();
        store.map_or(Ok(()), Store::close)
    }
}

/// The tier named `disk`.
#[derive(Debug)]
pub(crate) struct DiskTier {
    pub(crate) shared: Arc<Shared>,
    pub(crate) jobs: Jobs,
}

impl DiskTier {
    async fn run<T: Send + 'static>(&self, job: impl FnOnce(&Store) -> T + Send + 'static) -> Result<T, TierError> {
        let shared = self.shared.clone();
        self.jobs.run(move || shared.with(job)).await?
    }
}

impl Tier for DiskTier {
    fn name(&self) -> &str {
        "disk"
    }

    fn capability(&self) -> Capability {
        self.shared.capability
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        // a miss, and an entry in the page cache, are not worth another thread
        if let Some(got) = self.shared.now(|store| store.get_many_now(&request.names, request.want)) {
            return Ok(got);
        }
        self.run(move |store| store.get_many(&request.names, request.want)).await?
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.run(move |store| store.put_many(&request.items)).await
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.run(move |store| store.remove_many(&request.names)).await
    }

    async fn ping(&self) -> Result<(), TierError> {
        self.run(Store::probe).await?
    }

    fn used_bytes(&self) -> Option<u64> {
        self.shared.used_bytes()
    }

    async fn close(&self) -> Result<(), TierError> {
        self.jobs.close().await;
        let shared = self.shared.clone();
        spawn::blocking(move || shared.close()).await?
    }
}
