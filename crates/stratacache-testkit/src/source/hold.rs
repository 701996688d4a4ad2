//! Where reads wait until the test lets them go on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

/// How many guards hold the reads of a source, and how many reads wait.
#[derive(Debug, Default)]
pub(super) struct Gate {
    guards: watch::Sender<usize>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// Passes at once unless somebody holds the reads.
    pub(super) async fn pass(&self) {
        let mut guards = self.guards.subscribe();
        if *guards.borrow() == 0 {
            return;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _counted = Waiting(self);
        // the sender lives in `self`, so the channel never closes
        guards.wait_for(|guards| *guards == 0).await.ok();
    }

    pub(super) fn held(&self) -> usize {
        *self.waiting.borrow()
    }
}

/// One read that waits, until it goes on or is dropped.
struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

/// Holds the reads of a [`FakeSource`](super::FakeSource) that begin while it lives. Dropping it lets them go on.
///
/// ```
/// # use stratacache_testkit::source::{FakeSource, SourceError};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), SourceError> {
/// let prices = FakeSource::new([("apple", 3)]);
/// let held = prices.hold();
/// let late = async {
///     held.until(1).await; // somebody has read 3, and has no answer yet
///     prices.write("apple", 5);
///     held.release();
/// };
/// let (read, ()) = tokio::join!(prices.read("apple"), late);
/// assert_eq!(read?, 3);
/// assert_eq!(prices.read("apple").await?, 5);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct HeldReads {
    gate: Arc<Gate>,
    released: AtomicBool,
}

impl HeldReads {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        gate.guards.send_modify(|guards| *guards += 1);
        Self { gate, released: AtomicBool::new(false) }
    }

    /// Waits until at least `reads` reads are held.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn until(&self, reads: usize) {
        // the sender lives in the gate, so the channel never closes
        self.gate.waiting.subscribe().wait_for(|waiting| *waiting >= reads).await.ok();
    }

    /// Lets go on what is held, and holds nothing any more; reads held by another guard, too, wait for that one.
    pub fn release(&self) {
        if !self.released.swap(true, Ordering::SeqCst) {
            self.gate.guards.send_modify(|guards| *guards -= 1);
        }
    }
}

impl Drop for HeldReads {
    fn drop(&mut self) {
        self.release();
    }
}
