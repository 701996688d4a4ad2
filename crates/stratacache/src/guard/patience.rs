//! No operation of a coordinator that nodes share takes for ever.

use std::{future::Future, sync::Arc, time::Duration};

use stratacache_core::{
    EntryName, Error, ErrorKind, Result,
    clock::Millis,
    coordinator::{
        Answer, AnyCoordinator, Coordinator, Invalidate, Lease, LeaseReply, LeaseRequest, Question, Subscriber,
    },
    stamp::{Lane, Position},
};
use tokio::time::timeout;

/// The last resort: a coordinator has shorter deadlines of its own, and knows what they mean.
const LONGEST: Duration = Duration::from_secs(5);

/// Ends operations of a coordinator that did not end them itself. What was given up may still take effect.
pub(crate) struct Patience(AnyCoordinator);

impl Patience {
    pub(crate) fn new(coordinator: AnyCoordinator) -> Self {
        Self(coordinator)
    }

    async fn within<R>(&self, operation: impl Future<Output = Result<R>>) -> Result<R> {
        timeout(LONGEST, operation).await.unwrap_or_else(|_| {
            let message = format!("the coordinator {:?} did not answer within {LONGEST:?}", self.0.name());
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }
}

impl Coordinator for Patience {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }
    async fn time(&self) -> Result<Option<Millis>> {
        self.within(self.0.time()).await
    }
    async fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Result<()> {
        // many marks take the time they take
        self.0.subscribe(subscriber).await
    }
    async fn position(&self, lane: Lane) -> Result<Position> {
        self.within(self.0.position(lane)).await
    }
    async fn keep_key_marks(&self) -> Result<()> {
        self.within(self.0.keep_key_marks()).await
    }
    async fn sync(&self, lane: Lane) -> Result<Position> {
        self.within(self.0.sync(lane)).await
    }
    async fn invalidate(&self, request: Invalidate) -> Result<Position> {
        self.within(self.0.invalidate(request)).await
    }
    fn watch(&self, name: EntryName) -> impl Future<Output = ()> + Send + 'static {
        self.0.watch(name)
    }
    async fn lease(&self, request: LeaseRequest) -> Result<LeaseReply> {
        self.within(self.0.lease(request)).await
    }
    async fn renew(&self, lease: Lease) -> Result<bool> {
        self.within(self.0.renew(lease)).await
    }
    async fn release(&self, lease: Lease) -> Result<()> {
        self.within(self.0.release(lease)).await
    }
    async fn ask(&self, question: Question, within: Duration) -> Result<Vec<Answer>> {
        self.within(self.0.ask(question, within)).await
    }
    async fn tick(&self, now: Millis, keep_since: Millis) -> Result<()> {
        self.within(self.0.tick(now, keep_since)).await
    }
    async fn close(&self) -> Result<()> {
        // what is pending takes the time it takes
        self.0.close().await
    }
}
