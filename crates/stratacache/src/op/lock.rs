//! `lock`.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use stratacache_core::{Error, ErrorKind, Key, Result};

use super::BoxFuture;
use crate::{LockGuard, engine::Door};

/// A lock that is asked for. Made by [`Namespace::lock`](crate::Namespace::lock).
#[must_use = "nothing happens until it is awaited"]
pub struct Lock<'a> {
    door: &'a Arc<Door>,
    key: Key<()>,
    ttl: Duration,
    wait: Duration,
}

/// How long a lock is waited for unless the call says.
const WAIT: Duration = Duration::from_secs(5);

impl<'a> Lock<'a> {
    pub(crate) fn new(door: &'a Arc<Door>, key: Key<()>, ttl: Duration) -> Self {
        Self { door, key, ttl, wait: WAIT }
    }

    /// Waits so long for who has the lock. Default 5 s.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl<'a> IntoFuture for Lock<'a> {
    type Output = Result<LockGuard>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let taken = self.door.engine.lock(self.door, &self.key, self.ttl, self.wait).await?;
            taken.ok_or_else(|| {
                let message = format!("somebody else held the lock for all of the {:?} that wait allows", self.wait);
                Error::new(ErrorKind::Timeout, message)
            })
        })
    }
}
