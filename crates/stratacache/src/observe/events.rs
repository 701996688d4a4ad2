//! The stream of events: bounded, lossy, with a count of what was lost.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use stratacache_core::{
    TenantId,
    clock::Millis,
    event::{Event, EventKind},
};
use tokio::sync::broadcast;

const CAPACITY: usize = 1024;

/// Sends events to whoever listens.
#[derive(Debug)]
pub(crate) struct EventHub {
    sender: broadcast::Sender<Event>,
    lost: AtomicU64,
    panics: AtomicU64,
}

impl EventHub {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), lost: AtomicU64::new(0), panics: AtomicU64::new(0) }
    }

    pub(crate) fn send(&self, at: Millis, tenant: Option<&TenantId>, kind: EventKind) {
        if self.sender.receiver_count() > 0 {
            // nobody listening any more is no failure
            let _ = self.sender.send(Event::new(at, tenant.cloned(), kind));
        }
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        EventStream(self.sender.subscribe())
    }

    /// Notes events that a sink lost.
    pub(crate) fn note_lost(&self, count: u64) {
        self.lost.fetch_add(count, Relaxed);
    }

    /// Notes that a sink panicked.
    pub(crate) fn note_panic(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    /// Returns how many events sinks have lost, and how often they panicked.
    pub(crate) fn of_sinks(&self) -> (u64, u64) {
        (self.lost.load(Relaxed), self.panics.load(Relaxed))
    }
}

/// Says how many events were lost because they were not read in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged(pub u64);

/// A stream of the cache's events. It holds the last 1,024; a reader that falls behind further loses the oldest and is
/// told how many.
#[derive(Debug)]
pub struct EventStream(broadcast::Receiver<Event>);

impl EventStream {
    /// Waits for the next event; `None` once the cache is gone.
    ///
    /// # Errors
    /// [`Lagged`] with the number of events lost; the next call goes on after them.
    ///
    /// # Cancel safety
    /// No event is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Event, Lagged>> {
        match self.0.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(broadcast::error::RecvError::Lagged(n)) => Some(Err(Lagged(n))),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Returns the next event if there is one already.
    pub fn try_next(&mut self) -> Option<Result<Event, Lagged>> {
        match self.0.try_recv() {
            Ok(event) => Some(Ok(event)),
            Err(broadcast::error::TryRecvError::Lagged(n)) => Some(Err(Lagged(n))),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}
