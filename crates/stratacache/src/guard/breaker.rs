//! A tier that does not answer is left alone for a while.

use std::{future::Future, sync::Arc};

use stratacache_core::{
    breaker::{self, Outcome, Turn},
    clock::Clock,
    tier::{Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind},
};

/// Refuses operations at once while the tier is known not to answer.
pub(crate) struct Breaker<T> {
    tier: T,
    breaker: breaker::Breaker,
    on_turn: Box<dyn Fn(Turn) + Send + Sync>,
}

/// Returns what a failure says about the tier itself.
fn outcome_of(failure: TierErrorKind) -> Outcome {
    match failure {
        TierErrorKind::Full | TierErrorKind::Corrupt => Outcome::Answered,
        TierErrorKind::Timeout => Outcome::Hung,
        _ => Outcome::Failed,
    }
}

impl<T: Tier> Breaker<T> {
    pub(crate) fn new(tier: T, clock: Arc<dyn Clock>, on_turn: impl Fn(Turn) + Send + Sync + 'static) -> Self {
        Self { tier, breaker: breaker::Breaker::new(clock), on_turn: Box::new(on_turn) }
    }

    async fn through<R>(&self, operation: impl Future<Output = Result<R, TierError>>) -> Result<R, TierError> {
        let permit = self.breaker.admit().ok_or_else(|| {
            let name = self.tier.name();
            let message = format!("tier {name:?} is left alone after failures; the next probe comes within 5 s");
            TierError::new(TierErrorKind::Unavailable, message)
        })?;
        let result = operation.await;
        let outcome = result.as_ref().err().map_or(Outcome::Answered, |error| outcome_of(error.kind()));
        if let Some(turn) = permit.settle(outcome) {
            (self.on_turn)(turn);
        }
        result
    }
}

impl<T: Tier> Tier for Breaker<T> {
    fn name(&self) -> &str {
        self.tier.name()
    }
    fn capability(&self) -> Capability {
        self.tier.capability()
    }
    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.through(self.tier.get_many(request)).await
    }
    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.through(self.tier.put_many(request)).await
    }
    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.through(self.tier.remove_many(request)).await
    }
    async fn ping(&self) -> Result<(), TierError> {
        self.through(self.tier.ping()).await
    }
    fn used_bytes(&self) -> Option<u64> {
        self.tier.used_bytes()
    }
    async fn close(&self) -> Result<(), TierError> {
        self.tier.close().await
    }
}
