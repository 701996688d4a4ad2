//! Writes that end even if nobody waits for them any more.

use std::{future::Future, sync::Arc};

use tokio::sync::RwLock;

use super::answer::AppError;

/// Runs writes in tasks of their own.
///
/// A handler is dropped where it stands when its client hangs up. Between the commit and the invalidation that would
/// leave the old value in the cache, so a write must not be part of the handler's future.
#[derive(Clone, Default)]
pub(super) struct Writes {
    under_way: Arc<RwLock<()>>,
}

impl Writes {
    /// Runs a write to its end.
    pub(super) async fn run<T>(
        &self,
        write: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> Result<T, AppError>
    where
        T: Send + 'static,
    {
        let shared = Arc::clone(&self.under_way).read_owned().await;
        #[allow(clippy::disallowed_methods, reason = "`finish` waits for it, through the lock it holds")]
        let task = tokio::spawn(async move {
            let written = write.await;
            drop(shared);
            written
        });
        task.await.unwrap_or(Err(AppError::Interrupted))
    }

    /// Waits for all writes under way. No other may begin meanwhile.
    pub(super) async fn finish(&self) {
        drop(self.under_way.write().await);
    }
}
