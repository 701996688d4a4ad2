//! Kills the process inside a critical step.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use stratacache::{Result, clock::Millis};
use stratacache_core::{
    EntryName,
    coordinator::{
        Answer, AnyCoordinator, Coordinator, Invalidate, Lease, LeaseReply, LeaseRequest, Question, Subscriber,
    },
    stamp::{Lane, Position},
    tier::{AnyTier, Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, Want},
};

use super::leases::Leases;

/// A step of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// The loader; afterwards its value is put into memory, and then FILL begins.
    Load,
    Get,
    Take,
    Fill,
    DelFence,
    Inval,
    Lease,
    Renew,
    Release,
    Sync,
}

impl Step {
    pub(crate) const ALL: [Self; 10] = [
        Self::Load,
        Self::Get,
        Self::Take,
        Self::Fill,
        Self::DelFence,
        Self::Inval,
        Self::Lease,
        Self::Renew,
        Self::Release,
        Self::Sync,
    ];
}

/// Before a step, or when it was done and nobody has heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Moment {
    Before,
    After,
}

/// Where the process is to die.
#[derive(Debug, Default)]
pub(super) struct Failpoints(Mutex<Option<(Step, Moment, u32)>>);

impl Failpoints {
    pub(super) fn arm(&self, step: Step, moment: Moment, nth: u32) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((step, moment, nth));
    }

    pub(super) fn disarm(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn pass(&self, step: Step, moment: Moment) {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, _, left)) = armed.as_mut().filter(|(at, when, _)| (*at, *when) == (step, moment)) else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            die();
        }
    }

    pub(super) async fn around<T>(&self, step: Step, work: impl Future<Output = T>) -> T {
        self.pass(step, Moment::Before);
        let done = work.await;
        self.pass(step, Moment::After);
        done
    }
}

/// Ends the process as `kill -9` does: no destructor runs, nothing is written out.
fn die() -> ! {
    loop {
        // of oneself it cannot fail, and takes effect before the call returns
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// A tier with failpoints.
pub(super) struct FailingTier {
    inner: AnyTier,
    points: Arc<Failpoints>,
    leases: Arc<Leases>,
}

impl FailingTier {
    pub(super) const fn new(inner: AnyTier, points: Arc<Failpoints>, leases: Arc<Leases>) -> Self {
        Self { inner, points, leases }
    }
}

type TierResult<T> = std::result::Result<T, TierError>;

impl Tier for FailingTier {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn capability(&self) -> Capability {
        self.inner.capability()
    }
    async fn get_many(&self, request: GetMany) -> TierResult<Vec<Got>> {
        let step = if request.want == Want::Fence { Step::Take } else { Step::Get };
        self.points.around(step, self.inner.get_many(request)).await
    }
    async fn put_many(&self, request: PutMany) -> TierResult<Vec<PutOutcome>> {
        let fenced = request.items.iter().map(|item| item.fence.map(|_| item.name)).collect::<Vec<_>>();
        let filled = self.points.around(Step::Fill, self.inner.put_many(request)).await;
        for (name, outcome) in fenced.into_iter().zip(filled.iter().flatten()) {
            if let (Some(name), PutOutcome::Stored | PutOutcome::Fenced) = (name, outcome) {
                self.leases.ended(name);
            }
        }
        filled
    }
    async fn remove_many(&self, request: RemoveMany) -> TierResult<Vec<TierResult<()>>> {
        self.points.around(Step::DelFence, self.inner.remove_many(request)).await
    }
    async fn ping(&self) -> TierResult<()> {
        self.inner.ping().await
    }
    fn used_bytes(&self) -> Option<u64> {
        self.inner.used_bytes()
    }
    async fn close(&self) -> TierResult<()> {
        self.inner.close().await
    }
}

/// A coordinator with failpoints.
pub(super) struct FailingCoordinator {
    inner: AnyCoordinator,
    points: Arc<Failpoints>,
    leases: Arc<Leases>,
}

impl FailingCoordinator {
    pub(super) const fn new(inner: AnyCoordinator, points: Arc<Failpoints>, leases: Arc<Leases>) -> Self {
        Self { inner, points, leases }
    }
}

impl Coordinator for FailingCoordinator {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }
    async fn time(&self) -> Result<Option<Millis>> {
        self.inner.time().await
    }
    async fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Result<()> {
        self.inner.subscribe(subscriber).await
    }
    async fn position(&self, lane: Lane) -> Result<Position> {
        self.inner.position(lane).await
    }
    async fn keep_key_marks(&self) -> Result<()> {
        self.inner.keep_key_marks().await
    }
    async fn sync(&self, lane: Lane) -> Result<Position> {
        self.points.around(Step::Sync, self.inner.sync(lane)).await
    }
    async fn invalidate(&self, request: Invalidate) -> Result<Position> {
        self.points.around(Step::Inval, self.inner.invalidate(request)).await
    }
    fn watch(&self, name: EntryName) -> impl Future<Output = ()> + Send + 'static {
        self.inner.watch(name)
    }
    async fn lease(&self, request: LeaseRequest) -> Result<LeaseReply> {
        let (name, life) = (request.name, request.life);
        let reply = self.points.around(Step::Lease, self.inner.lease(request)).await;
        if let Ok(LeaseReply::Granted(_)) = reply {
            self.leases.held(name, life);
        }
        reply
    }
    async fn renew(&self, lease: Lease) -> Result<bool> {
        let renewed = self.points.around(Step::Renew, self.inner.renew(lease)).await;
        if let Ok(true) = renewed {
            self.leases.held(lease.name, lease.life);
        }
        renewed
    }
    async fn release(&self, lease: Lease) -> Result<()> {
        let released = self.points.around(Step::Release, self.inner.release(lease)).await;
        if released.is_ok() {
            self.leases.ended(lease.name);
        }
        released
    }
    async fn ask(&self, question: Question, within: Duration) -> Result<Vec<Answer>> {
        self.inner.ask(question, within).await
    }
    async fn tick(&self, now: Millis, keep_since: Millis) -> Result<()> {
        self.inner.tick(now, keep_since).await
    }
    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
