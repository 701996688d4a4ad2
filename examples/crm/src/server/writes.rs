//! Writes that end even if nobody waits for them any more.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};

use super::answer::AppError;

/// More writes than this wait for their turn.
const MOST: u32 = 10_000;
/// How long a client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs writes in tasks of their own.
///
/// A handler is dropped where it stands when its client hangs up. Between the commit and the invalidation that would
/// leave the old value in the cache, so a write must not be part of the handler's future. And while Redis is away, the
/// invalidation is repeated for longer than a client should wait.
#[derive(Clone)]
pub(super) struct Writes {
    turns: Arc<Semaphore>,
}

impl Default for Writes {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(MOST as usize)) }
    }
}

impl Writes {
    /// Runs a write to its end, and waits for that, but not for ever.
    pub(super) async fn run<T>(
        &self,
        write: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> Result<T, AppError>
    where
        T: Send + 'static,
    {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| AppError::Interrupted)?;
        #[allow(clippy::disallowed_methods, reason = "`finish` waits for it, through the turn it holds")]
        let task = tokio::spawn(async move {
            let written = write.await;
            drop(turn);
            written
        });
        match timeout(PATIENCE, task).await {
            Ok(ended) => ended.unwrap_or(Err(AppError::Interrupted)),
            Err(_) => Err(AppError::UnderWay),
        }
    }

    /// Returns how many are under way.
    pub(super) fn under_way(&self) -> usize {
        MOST as usize - self.turns.available_permits()
    }

    /// Waits for all writes under way. No other may begin meanwhile.
    pub(super) async fn finish(&self) {
        // nobody closes it; if somebody did, no write could begin any more
        drop(self.turns.acquire_many(MOST).await);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_takes_long_is_answered_in_time_and_goes_on() {
        let writes = Writes::default();
        let (redis, away) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel::<()>();
        let write = async move {
            away.await.map_err(|_| AppError::Interrupted)?;
            done.send(()).map_err(|()| AppError::Interrupted)
        };
        assert!(matches!(writes.run(write).await, Err(AppError::UnderWay)));
        assert_eq!(writes.under_way(), 1);
        redis.send(()).expect("the write goes on");
        writes.finish().await;
        ended.await.expect("the write went on to its end");
        assert_eq!(writes.under_way(), 0);
    }
}
