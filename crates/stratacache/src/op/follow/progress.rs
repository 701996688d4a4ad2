//! How a follower is doing.

use std::{sync::Arc, time::Duration};

use stratacache_core::follow::{Lag, Position};
use tokio::sync::watch;

/// How a follower is doing. Counts are since it was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowProgress {
    /// Changes whose invalidation was ordered: no node serves what they were about any more.
    pub applied: u64,
    /// Changes that nobody can apply, which the source keeps for an operator.
    pub set_aside: u64,
    /// Changes that were read and are neither applied nor set aside yet.
    pub waiting: u64,
    /// Invalidations that failed and were tried again.
    pub retries: u64,
    /// Tenants of which so much waited that everything of theirs was invalidated.
    pub folded: u64,
    /// Times that the source had lost changes.
    pub gaps: u64,
    /// Calls of the source that failed.
    pub source_failures: u64,
    /// Another follower of the same source delivers, and this one waits for its turn.
    pub standby: bool,
    /// The source has answered, and this follower is the one that it delivers to.
    pub delivering: bool,
    /// The last position that was read.
    pub read: Option<Position>,
    /// The position up to which all was applied or set aside, and the source knows it.
    pub acknowledged: Option<Position>,
    /// How far the source's consumer is behind, as of some seconds ago.
    pub lag: Option<Lag>,
    /// How old the last change was when it was read.
    pub last_age: Option<Duration>,
    /// The last failure of the source, until a call succeeds.
    pub failure: Option<String>,
    /// It has ended.
    pub ended: bool,
}

/// A follower. Made by [`Follow::start`](super::Follow::start).
///
/// Dropped, it changes nothing: the cache goes on following until it is closed, or told to [`stop`](Self::stop).
#[derive(Debug, Clone)]
pub struct Follower {
    seen: watch::Receiver<FollowProgress>,
    stop: Arc<watch::Sender<bool>>,
    name: Arc<str>,
}

impl Follower {
    pub(super) fn new(name: Arc<str>, seen: watch::Receiver<FollowProgress>, stop: Arc<watch::Sender<bool>>) -> Self {
        Self { seen, stop, name }
    }

    /// Returns the name of the source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.name
    }

    /// Returns how it is doing.
    #[must_use]
    pub fn progress(&self) -> FollowProgress {
        self.seen.borrow().clone()
    }

    /// Waits until it is doing as asked for, and returns how; `None` when it ended before.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn until(&self, mut enough: impl FnMut(&FollowProgress) -> bool + Send) -> Option<FollowProgress> {
        let mut seen = self.seen.clone();
        let progress = seen.wait_for(|progress| enough(progress) || progress.ended).await.ok()?.clone();
        enough(&progress).then_some(progress)
    }

    /// Stops it and waits for its end: what is under way is waited for, for some seconds at most, and what was applied is acknowledged.
    /// Whoever follows the same source from then on begins there.
    ///
    /// # Cancel safety
    /// Dropped, it stops all the same.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let mut seen = self.seen.clone();
        // an error says that its task is gone, which is an end as well
        let _ = seen.wait_for(|progress| progress.ended).await;
    }
}
