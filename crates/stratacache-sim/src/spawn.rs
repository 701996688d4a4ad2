//! The one place where tasks are started.

use std::future::Future;

use tokio::task::JoinHandle;

/// Starts a task.
#[allow(clippy::disallowed_methods)] // this is the place
pub(crate) fn start<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}
