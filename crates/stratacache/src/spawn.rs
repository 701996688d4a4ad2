//! The only place that starts tasks. It counts them, and ends them when the cache closes.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
};

use stratacache_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, oneshot, watch};

/// Runs a closure where it may block.
///
/// # Cancel safety
/// The closure runs to its end, whether or not its result is waited for.
#[allow(clippy::disallowed_methods)]
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        Error::new(ErrorKind::Internal, "a blocking operation panicked or the runtime is shutting down").with_source(e)
    })
}

/// Gives other tasks a turn in the course of work on many keys: a reader whose task is behind it in a worker's queue waits for a few
/// keys, not for all.
#[derive(Debug, Default)]
pub(crate) struct Courtesy {
    done: u32,
}

impl Courtesy {
    /// So many keys, a few microseconds, and then others.
    const KEYS: u32 = 2;

    /// Says that a key more was worked on.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub(crate) async fn step(&mut self) {
        self.done = self.done.wrapping_add(1);
        if self.done.is_multiple_of(Self::KEYS) {
            tokio::task::yield_now().await;
        }
    }
}

/// Starts the tasks of one cache.
#[derive(Debug)]
pub(crate) struct Spawner {
    active: Arc<Active>,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Active {
    count: AtomicUsize,
    none_left: Notify,
}

struct Running(Arc<Active>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, AcqRel) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}

impl Spawner {
    pub(crate) fn new() -> Self {
        Self { active: Arc::default(), closing: watch::Sender::new(false) }
    }

    /// Starts a task; it is dropped at its next await when the cache closes.
    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut closing = self.closing.subscribe();
        self.start_lasting(async move {
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => {}
                () = task => {}
            }
        });
    }

    /// Starts a task that closing waits for. It must end by itself: a write to tiers, which have deadlines.
    #[allow(clippy::disallowed_methods)]
    pub(crate) fn start_lasting(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.active.count.fetch_add(1, AcqRel);
        let running = Running(Arc::clone(&self.active));
        tokio::spawn(async move {
            let _running = running;
            task.await;
        });
    }

    /// As [`start_lasting`](Self::start_lasting), for what may be dropped: outside of a runtime the task is not started.
    pub(crate) fn start_if_possible(&self, task: impl Future<Output = ()> + Send + 'static) {
        if tokio::runtime::Handle::try_current().is_ok() {
            self.start_lasting(task);
        }
    }

    /// Runs a future in a task of its own and waits for it: it goes on when the caller goes away.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when the cache closes first.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        self.start_lasting(async move {
            // a caller that went away does not want the result
            let _ = done.send(task.await);
        });
        result.await.map_err(|_| {
            Error::new(ErrorKind::Closed, "the cache was closed meanwhile; whether it took place is not known")
        })
    }

    /// Returns what ends when the cache closes, for a task that lasts.
    pub(crate) fn closing(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut closing = self.closing.subscribe();
        async move {
            // the sender is gone only with the cache
            let _ = closing.wait_for(|closing| *closing).await;
        }
    }

    /// Returns how many tasks run.
    pub(crate) fn active(&self) -> usize {
        self.active.count.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Ends all tasks, waits for those that last, and returns when all are gone.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        loop {
            let none_left = self.active.none_left.notified();
            tokio::pin!(none_left);
            none_left.as_mut().enable();
            if self.active() == 0 {
                return;
            }
            none_left.await;
        }
    }
}
