//! The only place that hands work to the runtime's blocking threads.

use stratacache_core::{Error, ErrorKind, Result};
use tokio::task;

/// Runs a job on a blocking thread. It runs to its end even when the future is dropped.
pub(crate) async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    task::spawn_blocking(job).await.map_err(|error| {
        let what = if error.is_panic() { "a job of the key files panicked" } else { "the runtime is shutting down" };
        Error::new(ErrorKind::Unavailable, what).with_source(error)
    })?
}
