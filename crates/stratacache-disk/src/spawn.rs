//! The only place that hands work to the runtime's blocking threads; it counts what is outstanding.

use std::sync::Arc;

use stratacache_core::tier::{TierError, TierErrorKind};
use tokio::{sync::Semaphore, task};

use crate::error;

/// Most jobs on blocking threads at once: a device that hangs must not take every thread of the runtime.
const JOBS: u32 = 32;

/// Runs blocking jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    permits: Arc<Semaphore>,
}

impl Jobs {
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(JOBS as usize)) }
    }

    /// Runs a job on a blocking thread. It runs to its end even when the future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TierError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| error::closed())?;
        blocking(move || {
            let result = job();
            drop(permit);
            result
        })
        .await
    }

    /// Refuses new jobs and waits until those under way have ended.
    pub(crate) async fn close(&self) {
        // an error says that it was closed before
        if let Ok(all) = self.permits.acquire_many(JOBS).await {
            self.permits.close();
            all.forget();
        }
    }
}

/// Runs one job on a blocking thread without counting it.
pub(crate) async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, TierError> {
    task::spawn_blocking(job).await.map_err(|e| {
        let what = if e.is_panic() { "a job of the disk tier panicked" } else { "the runtime is shutting down" };
        TierError::new(TierErrorKind::Unavailable, what).with_source(e)
    })
}
