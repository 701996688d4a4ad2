//! No operation of a tier takes longer than its deadline.

use std::{future::Future, time::Duration};

use stratacache_core::tier::{
    Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind,
};
use tokio::time::timeout;

/// Ends operations that take too long. A write that was given up may still take effect in the tier.
#[derive(Debug)]
pub(crate) struct Deadline<T> {
    tier: T,
    deadline: Duration,
}

impl<T: Tier> Deadline<T> {
    pub(crate) fn new(tier: T, deadline: Duration) -> Self {
        Self { tier, deadline }
    }

    async fn within<R>(&self, operation: impl Future<Output = Result<R, TierError>>) -> Result<R, TierError> {
        match timeout(self.deadline, operation).await {
            Ok(result) => result,
            Err(_) => Err(TierError::new(
                TierErrorKind::Timeout,
                format!("tier {:?} did not answer within {:?}", self.tier.name(), self.deadline),
            )),
        }
    }
}

impl<T: Tier> Tier for Deadline<T> {
    fn name(&self) -> &str {
        self.tier.name()
    }
    fn capability(&self) -> Capability {
        self.tier.capability()
    }
    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.within(self.tier.get_many(request)).await
    }
    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.within(self.tier.put_many(request)).await
    }
    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.within(self.tier.remove_many(request)).await
    }
    async fn ping(&self) -> Result<(), TierError> {
        self.within(self.tier.ping()).await
    }
    fn used_bytes(&self) -> Option<u64> {
        self.tier.used_bytes()
    }
    async fn close(&self) -> Result<(), TierError> {
        // pending writes take the time they take
        self.tier.close().await
    }
}
