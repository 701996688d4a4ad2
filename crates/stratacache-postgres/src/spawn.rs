//! The only place that starts tasks.

use std::future::Future;

use tokio::task::AbortHandle;

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

#[allow(clippy::disallowed_methods)] // this is the place
pub(crate) fn start(task: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(tokio::spawn(task).abort_handle())
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
