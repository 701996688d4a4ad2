//! What leaves memory is timed: loads, and what is asked of the tiers below.

use std::future::Future;

use stratacache_core::tier::{GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind};
use tracing::Instrument;

use super::{Engine, TierHandle};
use crate::observe::Histogram;

impl Engine {
    /// Times a load, the wait for its place included.
    pub(super) async fn timing_load<T>(&self, load: impl Future<Output = T>) -> T {
        let began = self.timeline.clock().now();
        let loaded = load.await;
        self.load_time.note(self.timeline.clock().now().saturating_sub(began));
        loaded
    }
}

impl TierHandle {
    /// Reads entries. What the tier holds is unjudged.
    pub(super) async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.timed("get", &self.counters.read_time, self.tier.get_many(request)).await
    }

    pub(super) async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.timed("put", &self.counters.write_time, self.tier.put_many(request)).await
    }

    pub(super) async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.timed("remove", &self.counters.write_time, self.tier.remove_many(request)).await
    }

    /// Times an operation that was tried: a tier that is left alone refuses at once, which would make it look quick.
    async fn timed<T>(
        &self,
        operation: &'static str,
        histogram: &Histogram,
        asked: impl Future<Output = Result<T, TierError>>,
    ) -> Result<T, TierError> {
        let began = self.clock.now();
        let span = tracing::debug_span!("strata.tier", tier = %self.name, operation);
        let result = asked.instrument(span).await;
        let tried = |error: &TierError| !matches!(error.kind(), TierErrorKind::Unavailable | TierErrorKind::Closed);
        if result.as_ref().err().is_none_or(tried) {
            histogram.note(self.clock.now().saturating_sub(began));
        }
        result
    }
}
