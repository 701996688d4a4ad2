//! The steps that clauses are made of.

use std::{sync::Arc, time::Duration};

use stratacache_core::{
    Scope,
    coordinator::{Coordinator, Invalidate, Marked, ScopeKind, Strength},
    stamp::{Lane, Position},
};

use super::recorder::Recorder;

/// Long enough for a clause.
pub(super) const LIFE: Duration = Duration::from_secs(60);

pub(super) fn lane(index: usize) -> Lane {
    Lane::from_index(index).expect("lanes are 0 to 16")
}

/// Makes the mark of a numbered tag.
pub(super) fn mark(n: u64) -> Marked {
    let bytes = (u128::from(n) << 64 | u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes();
    Marked::new(Scope::from_bytes(bytes), ScopeKind::Tag, Strength::Hard, 0)
}

pub(super) async fn subscribed<C: Coordinator>(make: &impl AsyncFn() -> C) -> (Arc<C>, Arc<Recorder>) {
    let (coordinator, recorder) = (Arc::new(make().await), Arc::new(Recorder::new()));
    coordinator.subscribe(recorder.clone()).await.unwrap_or_else(|e| panic!("subscribe failed: {e}"));
    (coordinator, recorder)
}

pub(super) async fn invalidate(coordinator: &impl Coordinator, lane: Lane, scopes: Vec<Marked>) -> Position {
    let request = Invalidate::new(lane, scopes, 1_000);
    coordinator.invalidate(request).await.unwrap_or_else(|e| panic!("invalidate failed: {e}"))
}
