//! `invalidate` and its relatives, and `clear`.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Result, Target, Token, coordinator::Strength};

use super::{
    BoxFuture, OrQueue,
    target::{everything, resolve},
};
use crate::engine::{Door, Targets};

/// An invalidation. Made by [`Namespace::invalidate`](crate::Namespace::invalidate) and its relatives.
#[must_use = "nothing happens until it is awaited"]
pub struct Invalidate<'a> {
    door: &'a Arc<Door>,
    targets: Vec<Target>,
    /// And the whole namespace.
    all: bool,
}

impl<'a> Invalidate<'a> {
    pub(crate) fn new(door: &'a Arc<Door>, targets: Vec<Target>) -> Self {
        Self::with_all(door, targets, false)
    }

    pub(crate) fn with_all(door: &'a Arc<Door>, targets: Vec<Target>, all: bool) -> Self {
        Self { door, targets, all }
    }

    fn resolved(self) -> Result<Targets> {
        self.door.check()?;
        resolve(self.door, self.targets, self.all)
    }

    /// Lets it wait where the shared tier or its coordinator cannot be reached, or their answer is missing; awaited, it then
    /// returns [`Invalidation::Queued`](crate::Invalidation::Queued). Without it, that is an error.
    ///
    /// From then until it has been applied, **this node** serves the tenant nothing that began to be loaded before, whatever
    /// the policy says of staleness: neither from memory nor from a tier below; what it loads meanwhile is served
    /// from memory as usual. It is applied, in the order of the calls, as soon as the coordinator can be reached.
    /// **Other nodes know nothing of it before that**, and may serve the old value; and a process that crashes forgets
    /// what it has queued. If neither will do, handle the error, or keep an outbox in the transaction that wrote
    /// the data.
    ///
    /// An invalidation of the same things that waits already is joined. What is not valid, is over
    /// `invalidations_per_s`, or comes after `close` is an error at once; so is what does not fit the queue
    /// ([`Overloaded`](crate::ErrorKind::Overloaded); `queued_invalidations` and `queued_invalidations_per_tenant` of the
    /// builder). Without a shared tier there is nothing to wait for: nothing is ever queued.
    ///
    /// ```
    /// use stratacache::{Cache, Invalidation, TenantId};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// match acme.invalidate("contact:7").or_queue().await? {
    ///     Invalidation::Applied(token) => println!("no node serves it any more; {token} for reads elsewhere"),
    ///     Invalidation::Queued(queued) => {
    ///         // this node serves it no more; the others once this is ready, which may be dropped as well
    ///         queued.applied().await?;
    ///     }
    /// }
    /// # cache.close().await?;
    /// # Ok(()) }
    /// ```
    pub fn or_queue(self) -> OrQueue<'a> {
        OrQueue::of_targets(self.door, self.resolved(), Strength::Hard)
    }
}

impl<'a> IntoFuture for Invalidate<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let door = self.door;
            door.engine.invalidate(door, self.resolved()?, Strength::Hard).await
        })
    }
}

/// Empties a namespace or tenant. Made by [`Namespace::clear`](crate::Namespace::clear).
#[must_use = "nothing happens until it is awaited"]
pub struct Clear<'a> {
    door: &'a Arc<Door>,
}

impl<'a> Clear<'a> {
    pub(crate) fn new(door: &'a Arc<Door>) -> Self {
        Self { door }
    }

    /// Lets it wait where it cannot be ordered, as [`Invalidate::or_queue`].
    pub fn or_queue(self) -> OrQueue<'a> {
        OrQueue::of_targets(self.door, self.targets(), Strength::Hard)
    }

    fn targets(&self) -> Result<Targets> {
        self.door.check()?;
        Ok(everything(self.door))
    }
}

impl<'a> IntoFuture for Clear<'a> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let targets = self.targets()?;
            self.door.engine.invalidate(self.door, targets, Strength::Hard).await
        })
    }
}
