//! A loader that panics is an error of its callers, not the end of a task.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::timeout;

use super::Tenant;
use crate::LoadError;

/// Runs a loader under one of its tenant's permits. The permit is waited for within the same time-out.
pub(super) async fn run_loader<T, E>(
    tenant: &Tenant,
    limit: Duration,
    load: impl Future<Output = Result<T, E>>,
) -> Result<T, LoadError<E>> {
    let run = async {
        let _permit = tenant.loads.acquire().await.map_err(|_| LoadError::Closed)?;
        match catching(load).await {
            Ok(result) => result.map_err(|e| LoadError::Loader(Arc::new(e))),
            Err(message) => Err(LoadError::Panicked(message)),
        }
    };
    timeout(limit, run).await.unwrap_or(Err(LoadError::Timeout))
}

/// Runs a future and turns a panic into its message.
async fn catching<T>(future: impl Future<Output = T>) -> Result<T, Arc<str>> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(message(&*panic))),
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").into()
}
