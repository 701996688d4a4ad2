//! The one place where tasks are started.

use std::future::Future;

use tokio::task::JoinSet;

/// Tasks of one clause or tier; those still running end when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Tasks(JoinSet<()>);

impl Tasks {
    pub(crate) fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while self.0.try_join_next().is_some() {} // forget those that ended
        self.0.spawn(task);
    }

    /// Waits for all of them; a panic in one goes on here, with its own message.
    pub(crate) async fn join(&mut self) {
        while let Some(ended) = self.0.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

/// Runs work that blocks beside the runtime; under paused time the clock stands still meanwhile.
///
/// # Cancel safety
/// Dropped before it is ready, the work goes on to its end.
#[cfg(all(unix, feature = "servers"))]
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => std::future::pending().await, // the runtime is going away, and with it whoever waits here
    }
}
