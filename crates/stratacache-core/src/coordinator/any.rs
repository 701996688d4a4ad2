//! Coordinators of any type behind one handle.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Answer, Coordinator, Invalidate, Lease, LeaseReply, LeaseRequest, Question, Subscriber};
use crate::{
    EntryName, Result,
    clock::Millis,
    stamp::{Lane, Position},
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

trait DynCoordinator: Send + Sync + 'static {
    fn name(&self) -> &str;
    fn is_shared(&self) -> bool;
    fn time(&self) -> Boxed<'_, Option<Millis>>;
    fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Boxed<'_, ()>;
    fn keep_key_marks(&self) -> Boxed<'_, ()>;
    fn position(&self, lane: Lane) -> Boxed<'_, Position>;
    fn sync(&self, lane: Lane) -> Boxed<'_, Position>;
    fn invalidate(&self, request: Invalidate) -> Boxed<'_, Position>;
    fn watch(&self, name: EntryName) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    fn lease(&self, request: LeaseRequest) -> Boxed<'_, LeaseReply>;
    fn renew(&self, lease: Lease) -> Boxed<'_, bool>;
    fn release(&self, lease: Lease) -> Boxed<'_, ()>;
    fn ask(&self, question: Question, within: Duration) -> Boxed<'_, Vec<Answer>>;
    fn tick(&self, now: Millis, keep_since: Millis) -> Boxed<'_, ()>;
    fn close(&self) -> Boxed<'_, ()>;
}

impl<C: Coordinator> DynCoordinator for C {
    fn name(&self) -> &str {
        Coordinator::name(self)
    }
    fn is_shared(&self) -> bool {
        Coordinator::is_shared(self)
    }
    fn time(&self) -> Boxed<'_, Option<Millis>> {
        Box::pin(Coordinator::time(self))
    }
    fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> Boxed<'_, ()> {
        Box::pin(Coordinator::subscribe(self, subscriber))
    }
    fn position(&self, lane: Lane) -> Boxed<'_, Position> {
        Box::pin(Coordinator::position(self, lane))
    }
    fn keep_key_marks(&self) -> Boxed<'_, ()> {
        Box::pin(Coordinator::keep_key_marks(self))
    }
    fn sync(&self, lane: Lane) -> Boxed<'_, Position> {
        Box::pin(Coordinator::sync(self, lane))
    }
    fn invalidate(&self, request: Invalidate) -> Boxed<'_, Position> {
        Box::pin(Coordinator::invalidate(self, request))
    }
    fn watch(&self, name: EntryName) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Coordinator::watch(self, name))
    }
    fn lease(&self, request: LeaseRequest) -> Boxed<'_, LeaseReply> {
        Box::pin(Coordinator::lease(self, request))
    }
    fn renew(&self, lease: Lease) -> Boxed<'_, bool> {
        Box::pin(Coordinator::renew(self, lease))
    }
    fn release(&self, lease: Lease) -> Boxed<'_, ()> {
        Box::pin(Coordinator::release(self, lease))
    }
    fn ask(&self, question: Question, within: Duration) -> Boxed<'_, Vec<Answer>> {
        Box::pin(Coordinator::ask(self, question, within))
    }
    fn tick(&self, now: Millis, keep_since: Millis) -> Boxed<'_, ()> {
        Box::pin(Coordinator::tick(self, now, keep_since))
    }
    fn close(&self) -> Boxed<'_, ()> {
        Box::pin(Coordinator::close(self))
    }
}

/// A coordinator of any type: cheap to clone, one allocation for each operation.
#[derive(Clone)]
pub struct AnyCoordinator(Arc<dyn DynCoordinator>);

impl AnyCoordinator {
    /// Wraps a coordinator.
    pub fn new(coordinator: impl Coordinator) -> Self {
        Self(Arc::new(coordinator))
    }
}

impl Coordinator for AnyCoordinator {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }
    fn time(&self) -> impl Future<Output = Result<Option<Millis>>> + Send {
        self.0.time()
    }
    fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> impl Future<Output = Result<()>> + Send {
        self.0.subscribe(subscriber)
    }
    fn position(&self, lane: Lane) -> impl Future<Output = Result<Position>> + Send {
        self.0.position(lane)
    }
    fn keep_key_marks(&self) -> impl Future<Output = Result<()>> + Send {
        self.0.keep_key_marks()
    }
    fn sync(&self, lane: Lane) -> impl Future<Output = Result<Position>> + Send {
        self.0.sync(lane)
    }
    fn invalidate(&self, request: Invalidate) -> impl Future<Output = Result<Position>> + Send {
        self.0.invalidate(request)
    }
    fn watch(&self, name: EntryName) -> impl Future<Output = ()> + Send + 'static {
        self.0.watch(name)
    }
    fn lease(&self, request: LeaseRequest) -> impl Future<Output = Result<LeaseReply>> + Send {
        self.0.lease(request)
    }
    fn renew(&self, lease: Lease) -> impl Future<Output = Result<bool>> + Send {
        self.0.renew(lease)
    }
    fn release(&self, lease: Lease) -> impl Future<Output = Result<()>> + Send {
        self.0.release(lease)
    }
    fn ask(&self, question: Question, within: Duration) -> impl Future<Output = Result<Vec<Answer>>> + Send {
        self.0.ask(question, within)
    }
    fn tick(&self, now: Millis, keep_since: Millis) -> impl Future<Output = Result<()>> + Send {
        self.0.tick(now, keep_since)
    }
    fn close(&self) -> impl Future<Output = Result<()>> + Send {
        self.0.close()
    }
}

impl fmt::Debug for AnyCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyCoordinator").field(&self.0.name()).finish()
    }
}
