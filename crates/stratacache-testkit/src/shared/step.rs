//! The names of calls, and how a test stops one.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

/// A call of a node to the store: one round trip, of one or of many names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// `time`.
    Time,
    /// `subscribe`.
    Subscribe,
    /// `keep_key_marks`.
    KeepKeyMarks,
    /// `position`.
    Position,
    /// `sync`.
    Sync,
    /// `invalidate`.
    Invalidate,
    /// `get_many` for envelopes.
    Get,
    /// `get_many` for fences.
    Take,
    /// `lease`.
    Lease,
    /// `renew`.
    Renew,
    /// `release`.
    Release,
    /// `ask`.
    Ask,
    /// `put_many`, with fences or without.
    Fill,
    /// `remove_many`.
    DelFence,
    /// `ping`.
    Ping,
}

impl Step {
    pub(super) const COUNT: usize = Self::Ping as usize + 1;
}

/// Where a [`Hold`] stops a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum At {
    /// Before it takes effect. It never does if its caller gives up.
    Before,
    /// Before it takes effect. If its caller gives up it does so all the same, with the release: it was on its way.
    Late,
    /// After it has taken effect, and before the reply.
    After,
}

type Effect = Box<dyn FnOnce() + Send>;

pub(super) struct HoldState {
    pub(super) step: Step,
    pub(super) at: At,
    room: AtomicUsize,
    held: AtomicUsize,
    released: watch::Sender<bool>,
    late: Mutex<Vec<Effect>>,
}

impl HoldState {
    pub(super) fn new(step: Step, at: At) -> Self {
        Self {
            step,
            at,
            room: AtomicUsize::new(usize::MAX),
            held: AtomicUsize::new(0),
            released: watch::Sender::new(false),
            late: Mutex::default(),
        }
    }

    pub(super) fn is_released(&self) -> bool {
        *self.released.borrow()
    }

    /// Tells whether a call is to be stopped, and counts it.
    pub(super) fn stops(&self, step: Step, at: &[At]) -> bool {
        let less = |room: usize| room.checked_sub(1);
        self.step == step
            && at.contains(&self.at)
            && !self.is_released()
            && self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// Waits for the release.
    pub(super) async fn wait(&self) {
        let mut released = self.released.subscribe();
        self.held.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(&self.held);
        // the sender lives in `self`, so the channel never closes
        released.wait_for(|released| *released).await.ok();
    }

    /// Takes over what a caller that gave up had sent.
    pub(super) fn leave(&self, effect: Effect) {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).push(effect);
        if self.is_released() {
            self.run_late(); // it gave up between the release and its turn
        }
    }

    fn release(&self) {
        self.released.send_replace(true);
        self.run_late();
    }

    fn run_late(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        late.into_iter().for_each(|effect| effect());
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Stops the calls of one kind of a node, until it is released or dropped.
#[must_use = "a hold that is dropped stops nothing"]
pub struct Hold(pub(super) Arc<HoldState>);

impl Hold {
    /// Stops only the next so many calls, and lets the others pass.
    pub fn only(self, calls: usize) -> Self {
        self.0.room.store(calls, Ordering::SeqCst);
        self
    }

    /// Returns how many calls it stops now; those whose caller gave up do not count.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }

    /// Waits until it stops at least that many calls; for ever, if it never does.
    ///
    /// It asks again and again, so that paused time does not advance meanwhile.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it changes nothing.
    pub async fn until_held(&self, calls: usize) {
        while self.held() < calls {
            tokio::task::yield_now().await;
        }
    }

    /// Lets the calls go on, in the order in which the runtime schedules them, and stops no more. What callers that gave
    /// up left behind [`At::Late`] takes effect before this returns.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HoldState { step, at, .. } = &*self.0;
        f.debug_struct("Hold").field("step", step).field("at", at).field("held", &self.held()).finish()
    }
}
