//! The only place that starts tasks. They end when the last handle is dropped, or at close.

use std::future::Future;

use tokio::{sync::watch, task::JoinSet};

/// Starts tasks that end together.
#[derive(Debug)]
pub(crate) struct Spawner(watch::Sender<bool>);

impl Spawner {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Starts a task; it is dropped at its next await when the spawner closes.
    #[allow(clippy::disallowed_methods)] // this is the place
    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut closing = self.0.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                // an error says that the spawner is gone
                _ = closing.wait_for(|closing| *closing) => {}
                () = task => {}
            }
        });
    }

    pub(crate) fn close(&self) {
        self.0.send_replace(true);
    }
}

/// Runs futures beside each other and returns what they made, in order; one that panicked made nothing. Dropped, it ends
/// those under way.
pub(crate) async fn all<T: Send + 'static>(futures: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    let mut set = JoinSet::new();
    for (at, future) in futures.into_iter().enumerate() {
        set.spawn(async move { (at, future.await) });
    }
    while let Some(ended) = set.join_next().await {
        if let Ok((at, result)) = ended {
            results[at] = Some(result);
        }
    }
    results
}
