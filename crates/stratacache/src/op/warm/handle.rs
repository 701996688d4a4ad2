//! A warm-up under way.

use std::{fmt, sync::Arc};

use tokio::sync::watch;

use super::progress::{Seen, Tally, WarmProgress, WarmReport};

/// A warm-up under way. Made by [`Warm::start`](super::Warm::start).
///
/// Dropped, it stops the warm-up: no further key is begun, and loads that have begun go on and are stored. [`detach`](Self::detach)
/// lets it go on.
#[must_use = "dropped, it stops the warm-up; detach() lets it go on"]
pub struct WarmUp<Q, E> {
    tally: Arc<Tally<Q, E>>,
    seen: watch::Receiver<Seen>,
    detached: bool,
}

impl<Q, E> WarmUp<Q, E> {
    pub(super) fn new(tally: Arc<Tally<Q, E>>) -> Self {
        Self { seen: tally.seen.subscribe(), tally, detached: false }
    }

    /// Returns how far it is.
    #[must_use]
    pub fn progress(&self) -> WarmProgress {
        self.seen.borrow().progress
    }

    /// Waits until the counts have changed since the last call, and returns them; `None` once it has ended. However often they
    /// change meanwhile, the caller sees the newest.
    ///
    /// # Cancel safety
    /// May be dropped at any time; the next call sees the change.
    pub async fn changed(&mut self) -> Option<WarmProgress> {
        if self.seen.borrow().ended {
            return None;
        }
        self.seen.changed().await.ok()?;
        Some(self.seen.borrow_and_update().progress)
    }

    /// Tells whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.seen.borrow().ended
    }

    /// Stops it: no further key is begun. It ends when what is under way is done; [`finish`](Self::finish) waits for that, and
    /// says where to resume.
    pub fn stop(&self) {
        self.tally.stop.send_replace(true);
    }

    /// Waits for its end.
    ///
    /// # Cancel safety
    /// Dropped, it stops the warm-up, as when the handle is dropped.
    pub async fn finish(mut self) -> WarmReport<Q, E> {
        // it fails only if the sender is gone, which is held here
        let _ = self.seen.wait_for(|seen| seen.ended).await;
        self.tally.report()
    }

    /// Lets it go on without a handle, to its end or until the cache is closed.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl<Q, E> Drop for WarmUp<Q, E> {
    fn drop(&mut self) {
        if !self.detached {
            self.stop();
        }
    }
}

impl<Q, E> fmt::Debug for WarmUp<Q, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmUp").field("progress", &self.progress()).finish_non_exhaustive()
    }
}
