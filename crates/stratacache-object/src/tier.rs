//! The store as a tier.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use stratacache_core::{
    EntryName,
    clock::Millis,
    tier::{Capability, Fence, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError, Want},
};

use crate::{
    failure::Failure,
    frame::{self, Frame, Opened},
    guard::{Effect, Guard},
    names::ObjectName,
    store::Store,
};

/// The tier named `object`.
#[derive(Debug)]
pub(crate) struct ObjectTier {
    pub(crate) store: Store,
    pub(crate) guard: Guard,
    pub(crate) max_weight: u64,
    /// The start-up probe has seen that the store refuses to create what is there.
    pub(crate) conditional: bool,
}

/// What a read of an absent name brings where the store can create: the permission to write it as long as it is absent. It
/// is no fence in the sense of the contract, since removing the name does not void it; it only keeps a late fill from taking
/// the place of a newer one.
const ABSENT: Fence = Fence(1);

impl ObjectTier {
    /// Longest object in bytes.
    pub(crate) const fn most(max_weight: u64) -> u64 {
        max_weight + frame::HEAD as u64
    }

    async fn read(&self, name: EntryName, until: Duration, now: Millis) -> Result<Got, Failure> {
        let most = Self::most(self.max_weight);
        let request = || self.store.get(ObjectName::Entry(name), most);
        let object = match self.guard.send(until, Effect::Repeatable, request).await {
            Ok(Some(object)) => object,
            Ok(None) => return Ok(Got::new(None, self.conditional.then_some(ABSENT))),
            // none of ours
            Err(Failure::Oversized) => {
                tracing::debug!("an object is larger than any of ours: a miss");
                return Ok(Got::default());
            }
            Err(failure) => return Err(failure),
        };
        Ok(match frame::open(&object, now) {
            Opened::Envelope(envelope) => Got::new(Some(envelope), None),
            Opened::Expired => Got::default(),
            Opened::Damaged => {
                tracing::debug!("an object is damaged, or not ours: a miss");
                Got::default()
            }
        })
    }

    async fn write(&self, item: PutItem, until: Duration) -> Result<PutOutcome, Failure> {
        if item.envelope.len() as u64 > self.max_weight {
            return Ok(PutOutcome::TooLarge);
        }
        let create = self.conditional && item.fence == Some(ABSENT);
        let effect = if create { Effect::Once } else { Effect::Repeatable };
        let frame = Frame { expires_at: item.expires_at, length: item.envelope.len() as u64 };
        let parts: [Bytes; 2] = [frame.write(), item.envelope];
        let request = || self.store.put(ObjectName::Entry(item.name), parts.clone(), create);
        match self.guard.send(until, effect, request).await {
            Ok(()) => Ok(PutOutcome::Stored),
            Err(Failure::Exists) => Ok(PutOutcome::Fenced),
            Err(failure) => Err(failure),
        }
    }

    async fn delete(&self, name: EntryName, until: Duration) -> Result<(), Failure> {
        let request = || self.store.remove(ObjectName::Entry(name));
        self.guard.send(until, Effect::Repeatable, request).await
    }

    /// Returns how many objects of one operation are under way at once.
    fn abreast(&self) -> usize {
        self.guard.bounds.requests as usize
    }
}

/// Fails where all of several failed; otherwise what failed stands for itself.
fn unless_all_failed<T>(results: Vec<Result<T, Failure>>, write: bool) -> Result<Vec<Result<T, Failure>>, TierError> {
    match results.first() {
        Some(Err(first)) if results.iter().all(Result::is_err) => Err(first.of_tier(write)),
        _ => Ok(results),
    }
}

impl Tier for ObjectTier {
    fn name(&self) -> &str {
        "object"
    }

    fn capability(&self) -> Capability {
        Capability::new()
            .persistent(true)
            .shared(true)
            .self_guarded(true)
            .max_weight(self.max_weight)
            .deadline(self.guard.bounds.deadline)
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.guard.check_open().map_err(|failure| failure.of_tier(false))?;
        if request.want == Want::Fence {
            return Ok(vec![Got::default(); request.names.len()]);
        }
        let (until, now) = (self.guard.until(), self.guard.time.millis());
        let reads = request.names.into_iter().map(|name| self.read(name, until, now));
        let results = stream::iter(reads).buffered(self.abreast()).collect().await;
        let results = unless_all_failed(results, false)?;
        let absent = |failure: Failure| {
            tracing::debug!(%failure, "an object among several could not be read: a miss");
            Got::default()
        };
        Ok(results.into_iter().map(|result| result.unwrap_or_else(absent)).collect())
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.guard.check_open().map_err(|failure| failure.of_tier(true))?;
        let until = self.guard.until();
        let writes = request.items.into_iter().map(|item| self.write(item, until));
        let results = stream::iter(writes).buffered(self.abreast()).collect().await;
        let results = unless_all_failed(results, true)?;
        let failed = |failure: Failure| PutOutcome::Failed(failure.of_tier(true));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(failed)).collect())
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.guard.check_open().map_err(|failure| failure.of_tier(true))?;
        let until = self.guard.until();
        let removals = request.names.into_iter().map(|name| self.delete(name, until));
        let results = stream::iter(removals).buffered(self.abreast()).collect().await;
        let results = unless_all_failed(results, true)?;
        Ok(results.into_iter().map(|result| result.map_err(|failure| failure.of_tier(true))).collect())
    }

    async fn ping(&self) -> Result<(), TierError> {
        self.guard.check_open().map_err(|failure| failure.of_tier(false))?;
        // a name that nobody has: that there is no such object is an answer
        let request = || self.store.get(ObjectName::Probe(0), 0);
        match self.guard.send(self.guard.until(), Effect::Repeatable, request).await {
            Ok(_) | Err(Failure::Oversized) => Ok(()),
            Err(failure) => Err(failure.of_tier(false)),
        }
    }

    fn used_bytes(&self) -> Option<u64> {
        None // only a list could tell
    }

    async fn close(&self) -> Result<(), TierError> {
        self.guard.close().await;
        Ok(())
    }
}
