//! What the holder of a lock has.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use stratacache_core::{Result, clock::Millis, coordinator::Coordinator};

use super::Right;
use crate::engine::Engine;

/// A lock that is held, until it is released, dropped, or its ttl ends.
///
/// **A ttl ends whatever its holder does**: a process that stands still for longer goes on without the lock, and
/// somebody else may have it. What must not be done twice carries the [`fencing_token`](Self::fencing_token), and
/// whoever does it refuses a token that is smaller than one it has seen.
///
/// Dropped, it is released in the background; if that fails, or outside of a runtime, the lock ends with its ttl. Made by
/// [`Namespace::lock`](crate::Namespace::lock) and [`Namespace::try_lock`](crate::Namespace::try_lock).
#[must_use = "the lock is released when this is dropped"]
pub struct LockGuard {
    engine: Arc<Engine>,
    /// None once it was released.
    right: Option<Right>,
    pub(super) token: u64,
    pub(super) life: Duration,
    until: AtomicU64,
}

impl LockGuard {
    pub(super) fn new(engine: Arc<Engine>, right: Right) -> Self {
        let life = match &right {
            Right::Lease(lease) => lease.life,
            Right::Here { .. } => Duration::ZERO,
        };
        Self { engine, right: Some(right), token: 0, life, until: AtomicU64::new(0) }
    }

    /// Notes that it was held at a time.
    pub(super) fn held_until(&self, now: Millis) {
        let life = Millis::try_from(self.life.as_millis()).unwrap_or(Millis::MAX);
        self.until.store(now.saturating_add(life), Relaxed);
    }

    /// Returns the fencing token: larger than that of every holder of this lock before.
    ///
    /// It is the coordinator's time in milliseconds, times 1,024, and at least the last token and one. So it grows also when
    /// Redis restarts empty, unless its clock was set back as well. Without a shared tier it grows within a process.
    #[must_use]
    pub const fn fencing_token(&self) -> u64 {
        self.token
    }

    /// Returns how long the lock is held yet, if it is not renewed and this node's clock runs as the server's; zero
    /// when its time is over.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        Duration::from_millis(self.until.load(Relaxed).saturating_sub(self.engine.timeline.now()))
    }

    /// Begins the ttl anew; false if the lock is lost: its time was over, or the store lost it.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Timeout`](crate::ErrorKind::Timeout) if the shared tier does
    /// not answer: the lock may be renewed or not, and ends with its ttl.
    ///
    /// # Cancel safety
    /// Dropped, it may have been renewed.
    pub async fn renew(&self) -> Result<bool> {
        let now = self.engine.timeline.now();
        let renewed = match &self.right {
            Some(Right::Lease(lease)) => self.engine.coordinator.renew(*lease).await?,
            Some(Right::Here { key, token }) => self.engine.locks.renew(key, *token, now, self.life),
            None => false,
        };
        match renewed {
            true => self.held_until(now),
            false => self.until.store(0, Relaxed),
        }
        Ok(renewed)
    }

    /// Releases the lock, if it is still held; that of another holder is left alone.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Timeout`](crate::ErrorKind::Timeout) if the shared tier does
    /// not answer: the lock ends with its ttl at the latest.
    ///
    /// # Cancel safety
    /// Dropped, the lock ends with its ttl at the latest.
    pub async fn release(mut self) -> Result<()> {
        match self.right.take() {
            Some(Right::Lease(lease)) => self.engine.coordinator.release(lease).await,
            Some(Right::Here { key, token }) => {
                self.engine.locks.release(&key, token);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        match self.right.take() {
            Some(Right::Lease(lease)) => {
                let engine = Arc::clone(&self.engine);
                self.engine.spawner.start_if_possible(async move { engine.give_back(Some(lease)).await });
            }
            Some(Right::Here { key, token }) => self.engine.locks.release(&key, token),
            None => {}
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("token", &self.token).field("remaining", &self.remaining()).finish()
    }
}
