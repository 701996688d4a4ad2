//! The handle by which a test steers a faulty tier.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::watch;

use super::{Fault, FaultKind, On};
use crate::{random::Random, spawn::Tasks};

/// Steers a [`FaultyTier`](super::FaultyTier) while a cache owns it; clones steer the same tier.
///
/// For each call the scripted faults come first ([`next`](Self::next), in the order they were given), then the standing
/// ones ([`always`](Self::always)), then those by chance ([`sometimes`](Self::sometimes)); among those of one kind the one
/// that was given first. One call meets at most one fault. `close` always works.
///
/// ```
/// # use stratacache_core::tier::{Tier, TierErrorKind};
/// # use stratacache_testkit::{faulty::{Fault, FaultKind, FaultyTier, On}, tiers::MemoryTier};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (tier, faults) = FaultyTier::new(MemoryTier::new("disk"), 42);
/// faults.always(On::Ping, Fault::Hang);
/// let hanging = async { assert!(tier.ping().await.is_ok()) };
/// let released = async {
///     faults.until_hanging(1).await;
///     faults.clear(); // for calls to come
///     faults.release(); // for those that hang
/// };
/// tokio::join!(hanging, released);
/// assert_eq!((faults.calls(On::Any), faults.count(On::Ping, FaultKind::Hang)), (1, 1));
/// # }
/// ```
#[derive(Clone)]
pub struct Faults(Arc<State>);

struct State {
    seed: u64,
    random: Random,
    plan: Mutex<Plan>,
    calls: [AtomicU64; On::SINGLE.len()],
    counts: [[AtomicU64; FaultKind::COUNT]; On::SINGLE.len()],
    hanging: AtomicUsize,
    releases: watch::Sender<u64>,
    late: Mutex<Tasks>,
    unsettled: watch::Sender<usize>,
}

#[derive(Default)]
struct Plan {
    scripted: Vec<(On, Fault, usize)>,
    standing: Vec<(On, Fault)>,
    chances: Vec<(On, Fault, f64)>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(State {
            seed,
            random: Random::new(seed),
            plan: Mutex::default(),
            calls: Default::default(),
            counts: Default::default(),
            hanging: AtomicUsize::new(0),
            releases: watch::Sender::new(0),
            late: Mutex::default(),
            unsettled: watch::Sender::new(0),
        }))
    }

    /// Returns the seed, to print when a test fails.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Lets the next `calls` calls of an operation meet a fault, after the calls that earlier faults of this kind take.
    pub fn next(&self, calls: usize, on: On, fault: Fault) {
        self.plan().scripted.push((on, fault, calls));
    }

    /// Lets every call of an operation meet a fault, until [`clear`](Self::clear).
    pub fn always(&self, on: On, fault: Fault) {
        self.plan().standing.push((on, fault));
    }

    /// Lets calls of an operation meet a fault with a probability, drawn from the seed.
    ///
    /// # Panics
    /// When the probability is not in [0, 1].
    pub fn sometimes(&self, probability: f64, on: On, fault: Fault) {
        assert!((0.0..=1.0).contains(&probability), "a probability is between 0 and 1, not {probability}");
        self.plan().chances.push((on, fault, probability));
    }

    /// Takes back every fault that has not happened yet. Calls that hang go on hanging: see [`release`](Self::release).
    pub fn clear(&self) {
        *self.plan() = Plan::default();
    }

    /// Lets every call that hangs now go on: one that met [`Fault::Hang`] does its work, one that met [`Fault::NoReply`]
    /// answers.
    pub fn release(&self) {
        self.0.releases.send_modify(|n| *n += 1);
    }

    /// Returns how many calls hang now; those whose caller gave up do not count.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.0.hanging.load(Ordering::SeqCst)
    }

    /// Waits until at least that many calls hang; for ever, if they never do.
    ///
    /// It asks again and again, so that paused time does not advance meanwhile.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it changes nothing.
    pub async fn until_hanging(&self, calls: usize) {
        while self.hanging() < calls {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until no work of a [`Fault::Late`] is left.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the work goes on.
    pub async fn settle(&self) {
        // the sender lives in `self`, so the channel never closes
        self.0.unsettled.subscribe().wait_for(|left| *left == 0).await.ok();
    }

    /// Returns how many calls of an operation there were, with and without faults; [`On::Any`] adds up all, as with every
    /// count here.
    #[must_use]
    pub fn calls(&self, on: On) -> u64 {
        let per_operation = On::SINGLE.iter().zip(&self.0.calls).filter(|(operation, _)| on.covers(**operation));
        per_operation.map(|(_, calls)| calls.load(Ordering::SeqCst)).sum()
    }

    /// Returns how many calls of an operation met a fault.
    #[must_use]
    pub fn injected(&self, on: On) -> u64 {
        self.rows(on).flatten().map(|count| count.load(Ordering::SeqCst)).sum()
    }

    /// Returns how many calls of an operation met a fault of a kind.
    #[must_use]
    pub fn count(&self, on: On, kind: FaultKind) -> u64 {
        self.rows(on).map(|row| row[kind as usize].load(Ordering::SeqCst)).sum()
    }

    fn rows(&self, on: On) -> impl Iterator<Item = &[AtomicU64; FaultKind::COUNT]> {
        On::SINGLE.iter().zip(&self.0.counts).filter(move |(operation, _)| on.covers(**operation)).map(|(_, row)| row)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what happens to a call and counts it.
    pub(super) fn draw(&self, operation: On) -> Option<Fault> {
        self.0.calls[operation as usize].fetch_add(1, Ordering::SeqCst);
        let fault = self.choose(operation)?;
        self.0.counts[operation as usize][fault.kind() as usize].fetch_add(1, Ordering::SeqCst);
        Some(fault)
    }

    fn choose(&self, operation: On) -> Option<Fault> {
        let mut plan = self.plan();
        plan.scripted.retain(|(_, _, left)| *left > 0);
        if let Some((_, fault, left)) = plan.scripted.iter_mut().find(|(on, ..)| on.covers(operation)) {
            *left -= 1;
            return Some(*fault);
        }
        if let Some((_, fault)) = plan.standing.iter().find(|(on, _)| on.covers(operation)) {
            return Some(*fault);
        }
        let hit = |(on, _, p): &&(On, Fault, f64)| on.covers(operation) && self.0.random.chance(*p);
        plan.chances.iter().find(hit).map(|(_, fault, _)| *fault)
    }

    /// Waits for a release that is called after this.
    pub(super) async fn hang(&self) {
        let mut releases = self.0.releases.subscribe();
        let _counted = Hanging::begin(&self.0.hanging);
        // the sender lives in `self`, so the channel never closes
        releases.changed().await.ok();
    }

    /// Starts work that nobody waits for; it ends with the last handle.
    pub(super) fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        let unsettled = self.0.unsettled.clone();
        unsettled.send_modify(|left| *left += 1);
        let counted = async move {
            work.await;
            unsettled.send_modify(|left| *left -= 1);
        };
        self.0.late.lock().unwrap_or_else(PoisonError::into_inner).start(counted);
    }

    pub(super) fn damage(&self, envelope: &Bytes) -> Bytes {
        let mut bytes = envelope.to_vec();
        if !bytes.is_empty() {
            let bit = self.0.random.below(bytes.len() as u64 * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        bytes.into()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("seed", &self.0.seed)
            .field("calls", &self.calls(On::Any))
            .field("injected", &self.injected(On::Any))
            .field("hanging", &self.hanging())
            .finish()
    }
}

struct Hanging<'a>(&'a AtomicUsize);

impl<'a> Hanging<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
