//! The only place that hands work to the runtime's blocking threads; it bounds what is outstanding.

use std::sync::Arc;

use stratacache_core::{Error, ErrorKind, Result};
use tokio::{sync::Semaphore, task};

use crate::failure::Failure;

/// Most jobs on blocking threads at once: a device that hangs must not take every thread of the runtime.
const JOBS: usize = 32;

/// Runs blocking jobs.
#[derive(Debug, Clone)]
pub(crate) struct Jobs(Arc<Semaphore>);

impl Jobs {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(JOBS)))
    }

    /// Runs a job on a blocking thread. It runs to its end even when the future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = self.0.clone().acquire_owned().await.map_err(|_| Failure::Closed)?;
        let done = task::spawn_blocking(move || {
            let result = job();
            drop(permit);
            result
        });
        done.await.unwrap_or(Err(Failure::Strange))
    }
}

/// Runs one job on a blocking thread without counting it.
pub(crate) async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    task::spawn_blocking(job).await.unwrap_or_else(|e| {
        let what = if e.is_panic() { "a job of the object tier panicked" } else { "the runtime is shutting down" };
        Err(Error::new(ErrorKind::Internal, what).with_source(e))
    })
}
