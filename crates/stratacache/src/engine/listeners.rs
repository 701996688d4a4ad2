//! Giving events to the sinks of the user: each on a task of its own, which ends after everything else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use stratacache_core::event::EventSink;
use tokio::time::timeout;

use super::Engine;
use crate::observe::{EventHub, EventStream, Lagged};

/// How long closing waits for sinks.
const PATIENCE: Duration = Duration::from_secs(3);

/// Gives events to a sink until the cache is closed and none is left, or nobody is left who sends any.
async fn give(
    mut stream: EventStream,
    sink: Box<dyn EventSink>,
    hub: std::sync::Weak<EventHub>,
    closing: impl Future<Output = ()>,
) {
    let mut closing = pin!(closing);
    loop {
        let next = tokio::select! {
            biased;
            next = stream.next() => next,
            () = &mut closing => return,
        };
        let given = match &next {
            None => return,
            Some(Ok(event)) => catch_unwind(AssertUnwindSafe(|| sink.event(event))),
            Some(Err(Lagged(count))) => {
                if let Some(hub) = hub.upgrade() {
                    hub.note_lost(*count);
                }
                catch_unwind(AssertUnwindSafe(|| sink.lost(*count)))
            }
        };
        if let (Err(_), Some(hub)) = (given, hub.upgrade()) {
            hub.note_panic();
            tracing::warn!("an event sink panicked: the event is lost to it");
        }
        // a sink that never waits must not keep others of its thread from running
        tokio::task::yield_now().await;
    }
}

impl Engine {
    /// Starts to give events to a sink.
    pub(crate) fn listen(&self, sink: Box<dyn EventSink>) {
        let (stream, hub) = (self.events.subscribe(), Arc::downgrade(&self.events));
        self.listeners.start_lasting(give(stream, sink, hub, self.listeners.closing()));
    }

    /// Lets the sinks have what happened until now, and ends their tasks.
    pub(super) async fn close_listeners(&self) {
        if timeout(PATIENCE, self.listeners.close()).await.is_err() {
            tracing::warn!("an event sink still works on events: the cache is closed without it");
        }
    }
}
