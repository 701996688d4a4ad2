//! One node of those that share a store.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use stratacache_core::{
    EntryName,
    coordinator::{Answer, Question},
    stamp::Lane,
    tier::TierParts,
};
use tokio::sync::{Notify, watch};

use super::{At, Hold, SharedCoordinator, SharedStore, SharedTier, Step, delivery::Delivery, link::Link};
use crate::spawn::Tasks;

/// One node's connection to a [`SharedStore`], and the test's hand on it. Clones are the same node.
///
/// A cache takes its [`parts`](Self::parts); a cache that is built over the same node again is the node after a restart.
/// What a test says here holds for calls that begin afterwards.
#[derive(Clone)]
pub struct SharedNode(Arc<Node>);

pub(super) struct Node {
    /// Tells the nodes of a store apart.
    pub(super) number: u64,
    pub(super) store: SharedStore,
    pub(super) link: Link,
    pub(super) delivery: Delivery,
    /// The marks of keys were asked for: histories to come need the flag too.
    pub(super) keeps_keys: AtomicBool,
    /// What SYNC brings is not applied.
    pub(super) misled: AtomicBool,
    tail: AtomicBool,
    news: Arc<Notify>,
    watched: Mutex<HashMap<EntryName, watch::Sender<()>>>,
    tasks: Mutex<Tasks>,
}

impl SharedNode {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self(node)
    }

    /// Returns a handle for a cache: the coordinator.
    #[must_use]
    pub fn coordinator(&self) -> SharedCoordinator {
        SharedCoordinator::new(Arc::clone(&self.0))
    }

    /// Returns a handle for a cache: the tier, named `shared`.
    #[must_use]
    pub fn tier(&self) -> SharedTier {
        SharedTier::new(Arc::clone(&self.0))
    }

    /// Returns the tier together with the coordinator, as `Cache::builder().tier(..)` takes them.
    #[must_use]
    pub fn parts(&self) -> TierParts {
        TierParts::new(self.tier()).with_coordinator(self.coordinator())
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.0.store
    }

    /// Cuts the node off, or connects it again: every call fails at once as unavailable, and no message comes. When it is
    /// connected again the tail goes on from where it was.
    pub fn away(&self, away: bool) {
        self.0.link.set_away(away);
        self.0.message_came();
    }

    /// Lets every call hang for ever, without effect, and no message come. Calls that hang go on hanging when this ends:
    /// only their callers' deadlines end them.
    pub fn hang(&self, hang: bool) {
        self.0.link.set_hanging(hang);
        self.0.message_came();
    }

    /// Switches the tail, which is on at first: off, the node hears of the others only by its own calls and by
    /// [`deliver`](Self::deliver); on, messages are applied as soon as the runtime comes to it.
    pub fn tail(&self, on: bool) {
        self.0.tail.store(on, Ordering::SeqCst);
        self.0.message_came();
    }

    /// Misleads the cache, as a faulty coordinator would: it is told that it is up to date when it asks, and not of what is
    /// new. Switch the [`tail`](Self::tail) off with it. What its own invalidations bring is applied all the same.
    pub fn mislead(&self, mislead: bool) {
        self.0.misled.store(mislead, Ordering::SeqCst);
    }

    /// Delivers the messages that have not come yet, of all lanes; returns how many there were. It works as the tail does,
    /// also while the node is cut off: a gap brings a snapshot, which counts as one, and a lane that was lost is noticed
    /// only when a message with a higher number comes.
    pub fn deliver(&self) -> usize {
        Lane::all().map(|lane| self.0.deliver(lane, usize::MAX)).sum()
    }

    /// Delivers the next message of a lane; false when there is none.
    pub fn deliver_one(&self, lane: Lane) -> bool {
        self.0.deliver(lane, 1) == 1
    }

    /// Lets the next so many calls take effect and then fail, since their replies are lost.
    pub fn lose_reply(&self, calls: usize) {
        self.0.link.lose(None, calls);
    }

    /// Lets the next so many calls of one kind take effect and then fail, since their replies are lost.
    pub fn lose_reply_of(&self, step: Step, calls: usize) {
        self.0.link.lose(Some(step), calls);
    }

    /// Stops the calls of one kind from now on, until the handle is released or dropped.
    pub fn hold(&self, step: Step, at: At) -> Hold {
        self.0.link.hold(step, at)
    }

    /// Returns how many calls of a kind began, those that failed included.
    #[must_use]
    pub fn calls(&self, step: Step) -> u64 {
        self.0.link.calls(step)
    }

    /// Returns how often the node asked to be brought up to date with a lane.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.calls(Step::Sync)
    }

    /// Returns how many snapshots were delivered, the 17 of each `subscribe` included.
    #[must_use]
    pub fn snapshots(&self) -> u64 {
        self.0.delivery.snapshots()
    }
}

impl Node {
    pub(super) fn new(store: SharedStore, number: u64) -> Self {
        Self {
            number,
            store,
            link: Link::default(),
            delivery: Delivery::new(),
            keeps_keys: AtomicBool::new(false),
            misled: AtomicBool::new(false),
            tail: AtomicBool::new(true),
            news: Arc::default(),
            watched: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    /// Tells the tail to look.
    pub(super) fn message_came(&self) {
        self.news.notify_one();
    }

    /// Ends the watches of a name, unless the notice does not get through.
    pub(super) fn lease_ended(&self, name: EntryName) {
        if !self.link.is_cut() {
            self.watched().remove(&name); // what is watched ends with its sender
        }
    }

    /// Answers another node's question, unless it does not get through.
    pub(super) fn answer(&self, question: &Question) -> Option<Answer> {
        let subscriber = self.delivery.subscriber().filter(|_| !self.link.is_cut())?;
        Some(Answer::new(self.number, subscriber.answer(question)?))
    }

    /// Begins to watch a name.
    pub(super) fn watch(&self, name: EntryName) -> watch::Receiver<()> {
        let mut watched = self.watched();
        watched.retain(|_, sender| sender.receiver_count() > 0);
        watched.entry(name).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<EntryName, watch::Sender<()>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the tail, which ends with the node or with [`stop_tail`](Self::stop_tail).
    pub(super) fn start_tail(self: &Arc<Self>) {
        let (node, news) = (Arc::downgrade(self), Arc::clone(&self.news));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        *tasks = Tasks::default();
        tasks.start(async move {
            loop {
                news.notified().await;
                let Some(node) = node.upgrade() else { return };
                node.listen();
            }
        });
    }

    pub(super) fn stop_tail(&self) {
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Tasks::default();
    }

    fn listen(&self) {
        if self.tail.load(Ordering::SeqCst) && !self.link.is_cut() {
            Lane::all().for_each(|lane| {
                self.deliver(lane, usize::MAX);
            });
        }
    }

    fn deliver(&self, lane: Lane, most: usize) -> usize {
        self.delivery.tail(&self.store, lane, most, self.keeps_keys.load(Ordering::SeqCst))
    }
}

impl fmt::Debug for SharedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedNode").field("store", &self.0.store).finish_non_exhaustive()
    }
}
