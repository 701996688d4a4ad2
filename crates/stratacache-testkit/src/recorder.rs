//! What a cache reported while a test ran, to look for what must have happened and for what must not.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use stratacache_core::{
    TenantId,
    event::{Event, EventKind},
};
use tokio::sync::watch;

/// Keeps every event it is given, in order. Clones share what they keep.
///
/// Hand [`sink`](Self::sink) to the builder of a cache.
///
/// ```
/// # use stratacache_core::{TenantId, event::{Event, EventKind}};
/// use stratacache_testkit::recorder::Recorder;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recorder = Recorder::new();
/// let sink = recorder.sink(); // the cache calls it with each event
/// let acme = TenantId::parse("acme")?;
/// # let event = Event::new(0, Some(acme.clone()), EventKind::Invalidated { scopes: 2, seq: 7 });
/// sink(&event);
/// recorder.assert_some("a tag and a key at once", |kind| matches!(kind, EventKind::Invalidated { scopes: 2, .. }));
/// recorder.assert_none("a load failed", |kind| matches!(kind, EventKind::LoadFailed { .. }));
/// recorder.assert_invalidations(&acme, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Recorder(Arc<State>);

#[derive(Default)]
struct State {
    events: Mutex<Vec<Event>>,
    count: watch::Sender<usize>,
}

impl Recorder {
    /// Makes a recorder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what keeps each event it is called with.
    pub fn sink(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let recorder = self.clone();
        move |event: &Event| recorder.record(event.clone())
    }

    /// Keeps one event.
    pub fn record(&self, event: Event) {
        let mut events = self.lock();
        events.push(event);
        let count = events.len();
        drop(events);
        self.0.count.send_replace(count);
    }

    /// Returns all that was kept, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Returns how many events are of a kind.
    pub fn count(&self, mut is: impl FnMut(&EventKind) -> bool) -> usize {
        self.lock().iter().filter(|event| is(&event.kind)).count()
    }

    /// Forgets what was kept, for the next part of a test.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Waits until an event of a kind is there, and returns the first. Give it a time-out: it waits for ever.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn until(&self, mut is: impl FnMut(&EventKind) -> bool) -> Event {
        let mut count = self.0.count.subscribe();
        loop {
            count.borrow_and_update();
            let found = self.lock().iter().find(|event| is(&event.kind)).cloned();
            if let Some(event) = found {
                return event;
            }
            // the sender lives in `self`, so the channel never closes
            count.changed().await.ok();
        }
    }

    /// Asserts that something happened.
    ///
    /// # Panics
    /// When nothing of the kind did; says `what`, and what did happen.
    #[track_caller]
    pub fn assert_some(&self, what: &str, is: impl FnMut(&EventKind) -> bool) {
        assert!(self.count(is) > 0, "{what}: no such event among {self:?}");
    }

    /// Asserts that something did not happen.
    ///
    /// # Panics
    /// When it did; says `what`, and everything that happened.
    #[track_caller]
    pub fn assert_none(&self, what: &str, is: impl FnMut(&EventKind) -> bool) {
        let count = self.count(is);
        assert!(count == 0, "{what}: {count} such events among {self:?}");
    }

    /// Asserts how many invalidations a tenant made, each of any number of keys, tags and namespaces; inserts are none.
    ///
    /// # Panics
    /// When it is another number; says what happened.
    #[track_caller]
    pub fn assert_invalidations(&self, tenant: &TenantId, expected: usize) {
        let of_tenant = |event: &&Event| event.tenant.as_ref() == Some(tenant);
        let is = |event: &&Event| matches!(event.kind, EventKind::Invalidated { .. });
        let found = self.lock().iter().filter(of_tenant).filter(is).count();
        assert!(found == expected, "{tenant} invalidated {found} times, and not {expected}: {self:?}");
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().iter().map(|event| (&event.tenant, &event.kind))).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LOST: EventKind = EventKind::InvalidationsLost { count: 1 };

    fn lost(kind: &EventKind) -> bool {
        *kind == LOST
    }

    #[tokio::test(start_paused = true)]
    async fn until_waits_for_what_comes_later_and_finds_what_was_there() {
        let recorder = Recorder::new();
        recorder.record(Event::new(1, None, EventKind::Disconnected));
        let late = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            recorder.sink()(&Event::new(2, None, LOST));
        };
        let (event, ()) = tokio::join!(recorder.until(lost), late);
        assert_eq!((event.at, recorder.until(lost).await.at, recorder.count(lost)), (2, 2, 1));
        recorder.clear();
        recorder.assert_none("forgotten", |_| true);
    }

    #[test]
    #[should_panic(expected = "nothing is lost: 1 such events among [(None, InvalidationsLost { count: 1 })]")]
    fn a_failed_assertion_says_what_happened() {
        let recorder = Recorder::new();
        recorder.record(Event::new(1, None, LOST));
        recorder.assert_none("nothing is lost", lost);
    }
}
