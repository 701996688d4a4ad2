//! The coordinator of a node.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use stratacache_core::{
    EntryName, Error, ErrorKind, Result,
    clock::Millis,
    coordinator::{Answer, Coordinator, Invalidate, Lease, LeaseReply, LeaseRequest, Question, Subscriber},
    stamp::{Lane, Position},
};

use super::{SharedStore, Step, node::Node};

/// The coordinator of a [`SharedNode`](super::SharedNode).
///
/// Each operation is one call to the store; `tick` is none, since a test forgets marks by
/// [`SharedStore::drop_generation`]. Callers that sync at the same time each make a call of their own.
pub struct SharedCoordinator {
    node: Arc<Node>,
    /// The number of its own subscriber; 0 before there is one.
    subscribed: AtomicU64,
    closed: AtomicBool,
}

impl SharedCoordinator {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, subscribed: AtomicU64::new(0), closed: AtomicBool::new(false) }
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "this handle of the shared coordinator was closed"));
        }
        Ok(())
    }

    async fn call<R: Send>(&self, step: Step, effect: impl FnOnce(&SharedStore) -> R + Send + 'static) -> Result<R> {
        self.check_open()?;
        let store = self.node.store.clone();
        let reply = self.node.link.call(step, move || effect(&store)).await?;
        self.check_open()?;
        Ok(reply)
    }

    fn keeps_keys(&self) -> bool {
        self.node.keeps_keys.load(Ordering::SeqCst)
    }

    fn subscriber(&self) -> Result<Arc<dyn Subscriber>> {
        self.check_open()?;
        let nobody = || Error::new(ErrorKind::Internal, "nobody has subscribed to the shared coordinator");
        self.node.delivery.subscriber().ok_or_else(nobody)
    }
}

impl Coordinator for SharedCoordinator {
    fn name(&self) -> &str {
        "shared"
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn time(&self) -> Result<Option<Millis>> {
        self.call(Step::Time, |store| Some(store.now())).await
    }

    async fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Result<()> {
        let asked_at = subscriber.now();
        let keep = self.keeps_keys();
        let everything = move |store: &SharedStore| {
            Lane::all().map(|lane| (lane, store.since(lane, Position::default(), keep))).collect::<Vec<_>>()
        };
        let replies = self.call(Step::Subscribe, everything).await?;
        self.subscribed.store(self.node.delivery.begin(Arc::clone(&subscriber)), Ordering::SeqCst);
        for (lane, reply) in replies {
            self.node.delivery.absorb(&self.node.store, lane, Position::default(), reply);
            subscriber.up_to_date(lane, asked_at);
        }
        self.node.start_tail();
        self.node.message_came(); // for what came while the answer was on its way
        Ok(())
    }

    async fn position(&self, lane: Lane) -> Result<Position> {
        self.call(Step::Position, move |store| store.position(lane)).await
    }

    async fn keep_key_marks(&self) -> Result<()> {
        // also where the reply is lost: a history to come needs it
        self.node.keeps_keys.store(true, Ordering::SeqCst);
        self.call(Step::KeepKeyMarks, SharedStore::keep_key_marks).await
    }

    async fn sync(&self, lane: Lane) -> Result<Position> {
        let subscriber = self.subscriber()?;
        let (asked, asked_at) = (self.node.delivery.reached(lane), subscriber.now());
        let keep = self.keeps_keys();
        let reply = self.call(Step::Sync, move |store| store.since(lane, asked, keep)).await?;
        let reached = if self.node.misled.load(Ordering::SeqCst) {
            asked
        } else {
            self.node.delivery.absorb(&self.node.store, lane, asked, reply)
        };
        subscriber.up_to_date(lane, asked_at);
        Ok(reached)
    }

    async fn invalidate(&self, request: Invalidate) -> Result<Position> {
        let lane = request.lane;
        let asked = self.node.delivery.reached(lane);
        let keep = self.keeps_keys();
        let ordered = self.call(Step::Invalidate, move |store| store.invalidate_since(&request, asked, keep));
        let (position, reply) = ordered.await?;
        self.node.delivery.absorb(&self.node.store, lane, asked, reply);
        Ok(position)
    }

    fn watch(&self, name: EntryName) -> impl Future<Output = ()> + Send + 'static {
        let mut watched = self.node.watch(name);
        async move {
            // nothing is ever sent: the end of the sender is the notice
            watched.changed().await.ok();
        }
    }

    async fn lease(&self, request: LeaseRequest) -> Result<LeaseReply> {
        self.call(Step::Lease, move |store| store.lease(&request)).await
    }

    async fn renew(&self, lease: Lease) -> Result<bool> {
        self.call(Step::Renew, move |store| store.renew(lease)).await
    }

    async fn release(&self, lease: Lease) -> Result<()> {
        self.call(Step::Release, move |store| store.release(lease)).await
    }

    /// Whoever does not answer at once does not answer.
    async fn ask(&self, question: Question, within: Duration) -> Result<Vec<Answer>> {
        let asker = self.node.number;
        let asked = self.call(Step::Ask, move |store| store.ask(asker, &question));
        // who hangs is waited for no longer than anybody else
        tokio::time::timeout(within, asked).await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    async fn tick(&self, _: Millis, _: Millis) -> Result<()> {
        self.check_open()
    }

    async fn close(&self) -> Result<()> {
        let first = !self.closed.swap(true, Ordering::SeqCst);
        if first && self.node.delivery.end(self.subscribed.load(Ordering::SeqCst)) {
            self.node.stop_tail();
        }
        Ok(())
    }
}

impl fmt::Debug for SharedCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCoordinator").field("store", &self.node.store).finish_non_exhaustive()
    }
}
