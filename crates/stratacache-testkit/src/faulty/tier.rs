//! The tier that misbehaves.

use std::sync::Arc;

use stratacache_core::tier::{
    Capability, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind,
};
use tokio::time::sleep;

use super::{Fault, Faults, On};

/// Any tier, with faults that a test injects by its [`Faults`].
///
/// Without faults it passes everything on; clones of it are the same tier. `name`, `capability`, `used_bytes` and `close`
/// never meet a fault. It wraps the tier alone: a journal of marks is given beside it, with
/// `TierParts::new(faulty).with_journal(..)`, and has faults of its own (see [`MemoryJournal`](crate::tiers::MemoryJournal)).
///
/// A cache cuts a call that hangs or is slow off at the tier's deadline, and leaves a tier alone that failed some times in
/// a row; a test of what comes after lets time pass.
#[derive(Debug)]
pub struct FaultyTier<T> {
    inner: Arc<T>,
    faults: Faults,
}

impl<T> Clone for FaultyTier<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), faults: self.faults.clone() }
    }
}

impl<T: Tier> FaultyTier<T> {
    /// Wraps a tier and returns it with the handle that steers it; the seed decides by-chance faults and damaged bits.
    pub fn new(inner: T, seed: u64) -> (Self, Faults) {
        let faults = Faults::new(seed);
        (Self { inner: Arc::new(inner), faults: faults.clone() }, faults)
    }

    /// Returns the wrapped tier.
    #[must_use]
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// Runs a call through its fault. Corruption and failures of single items are the caller's: only it knows the reply.
    async fn run<Q, R, F>(
        &self,
        on: On,
        request: Q,
        work: impl FnOnce(Arc<T>, Q) -> F,
    ) -> Result<Outcome<Q, R>, TierError>
    where
        F: Future<Output = Result<R, TierError>> + Send + 'static,
        R: Send,
    {
        let work = |request| work(self.inner.clone(), request);
        let reply = match self.faults.draw(on) {
            None => work(request).await?,
            Some(Fault::Error(kind)) => return Err(injected(kind)),
            Some(Fault::EachError(kind)) => return Ok(Outcome::Refuse(request, kind)),
            Some(Fault::Corrupt) => return Ok(Outcome::Damage(request)),
            Some(Fault::Hang) => {
                self.faults.hang().await;
                work(request).await?
            }
            Some(Fault::Slow(delay)) => {
                sleep(delay).await;
                work(request).await?
            }
            Some(Fault::SlowReply(delay)) => {
                let reply = work(request).await;
                sleep(delay).await;
                reply?
            }
            Some(Fault::LostReply) => {
                work(request).await.ok(); // whatever became of it: the reply is lost
                return Err(injected(TierErrorKind::ReplyLost));
            }
            Some(Fault::NoReply) => {
                let reply = work(request).await;
                self.faults.hang().await;
                reply?
            }
            Some(Fault::Late(delay)) => {
                let work = work(request);
                let late = async move {
                    sleep(delay).await;
                    work.await.ok(); // nobody is left to tell
                };
                self.faults.later(late);
                return Err(injected(TierErrorKind::Timeout));
            }
        };
        Ok(Outcome::Reply(reply))
    }
}

/// What `run` leaves to the operation.
enum Outcome<Q, R> {
    Reply(R),
    Refuse(Q, TierErrorKind),
    Damage(Q),
}

fn injected(kind: TierErrorKind) -> TierError {
    TierError::new(kind, format!("injected fault: {kind:?}"))
}

impl<T: Tier> Tier for FaultyTier<T> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        let work = |tier: Arc<T>, request| async move { tier.get_many(request).await };
        match self.run(On::Get, request, work).await? {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Refuse(_, kind) => Err(injected(kind)),
            Outcome::Damage(request) => {
                let damage = |got: Got| Got::new(got.envelope.map(|e| self.faults.damage(&e)), got.fence);
                Ok(self.inner.get_many(request).await?.into_iter().map(damage).collect())
            }
        }
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        let work = |tier: Arc<T>, request| async move { tier.put_many(request).await };
        match self.run(On::Put, request, work).await? {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Refuse(request, kind) => {
                Ok(request.items.iter().map(|_| PutOutcome::Failed(injected(kind))).collect())
            }
            Outcome::Damage(request) => {
                let damage = |i: PutItem| PutItem::new(i.name, self.faults.damage(&i.envelope), i.expires_at, i.fence);
                self.inner.put_many(PutMany::new(request.items.into_iter().map(damage).collect())).await
            }
        }
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        let work = |tier: Arc<T>, request| async move { tier.remove_many(request).await };
        match self.run(On::Remove, request, work).await? {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Refuse(request, kind) => Ok(request.names.iter().map(|_| Err(injected(kind))).collect()),
            Outcome::Damage(_) => Err(injected(TierErrorKind::Corrupt)),
        }
    }

    async fn ping(&self) -> Result<(), TierError> {
        match self.run(On::Ping, (), |tier: Arc<T>, ()| async move { tier.ping().await }).await? {
            Outcome::Reply(()) => Ok(()),
            Outcome::Refuse((), kind) => Err(injected(kind)),
            Outcome::Damage(()) => Err(injected(TierErrorKind::Corrupt)),
        }
    }

    fn used_bytes(&self) -> Option<u64> {
        self.inner.used_bytes()
    }

    async fn close(&self) -> Result<(), TierError> {
        self.inner.close().await
    }
}
