//! `or_queue`: an invalidation that waits where it cannot be ordered.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Result, coordinator::Strength};

use super::BoxFuture;
use crate::{
    Invalidation,
    engine::{Door, Engine, Targets, What, Work},
};

/// An invalidation that waits if the shared tier or its coordinator cannot be reached. Made by
/// [`Invalidate::or_queue`](super::Invalidate::or_queue) and its relatives.
///
/// # Cancel safety
/// Polled once, it goes on to its end: the invalidation is ordered, queued, or has failed.
#[must_use = "nothing happens until it is awaited"]
pub struct OrQueue<'a> {
    engine: &'a Arc<Engine>,
    work: Result<Work>,
}

impl<'a> OrQueue<'a> {
    pub(super) fn new(engine: &'a Arc<Engine>, what: Result<What>, strength: Strength) -> Self {
        Self { engine, work: what.map(|what| Work { what, strength }) }
    }

    pub(super) fn of_targets(door: &'a Arc<Door>, targets: Result<Targets>, strength: Strength) -> Self {
        let what =
            |targets| What::Targets { tenant: Arc::clone(&door.tenant), space: Arc::clone(&door.space), targets };
        Self::new(&door.engine, targets.map(what), strength)
    }
}

impl<'a> IntoFuture for OrQueue<'a> {
    type Output = Result<Invalidation>;
    type IntoFuture = BoxFuture<'a, Result<Invalidation>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.engine.invalidate_or_queue(self.work?).await })
    }
}
