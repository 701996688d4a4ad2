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
