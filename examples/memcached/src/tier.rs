//! The tier: batches, lives, and what a failure means for each entry.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use stratacache::{
    Result,
    clock::{Clock, Millis},
    tier::{
        Capability, EntryName, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind,
        Want,
    },
};

use crate::{
    builder::MemcachedBuilder,
    pool::{Exchanged, Pool},
    protocol::{Reply, Request},
};

/// Memcached as a tier. Give it to `Cache::builder().tier(..)`.
pub struct Memcached {
    pub(crate) pool: Pool,
    /// The number of the next request.
    pub(crate) next: AtomicU64,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) max_weight: u64,
    pub(crate) deadline: Duration,
    pub(crate) time: Time,
}

impl Memcached {
    /// Connects to the server at `host:port`, with every option at its default.
    ///
    /// # Errors
    /// As [`MemcachedBuilder::connect`].
    pub async fn connect(address: impl Into<String>) -> Result<Self> {
        Self::builder(address).connect().await
    }

    /// Sets a tier up on the server at `host:port`.
    pub fn builder(address: impl Into<String>) -> MemcachedBuilder {
        MemcachedBuilder::new(address.into())
    }

    /// Returns the key of an entry. Names are hashes already: they say nothing, and have one length.
    fn key(&self, name: EntryName) -> String {
        format!("{}{:032x}", self.prefix, u128::from_be_bytes(name.to_bytes()))
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a batch. `Err` if nothing is known of any of it, as the contract has it; otherwise there is a reply for some.
    async fn send(&self, requests: &[Request]) -> Result<Exchanged, TierError> {
        let exchanged = self.pool.exchange(requests).await?;
        match exchanged.failure {
            Some(failure) if exchanged.replies.is_empty() => Err(failure),
            _ => Ok(exchanged),
        }
    }
}

impl Tier for Memcached {
    fn name(&self) -> &str {
        &self.name
    }

    fn capability(&self) -> Capability {
        Capability::new().persistent(true).shared(true).max_weight(self.max_weight).deadline(self.deadline)
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        let asked = request.names.len();
        let wanted = if request.want == Want::Fence { Vec::new() } else { request.names };
        let requests: Vec<_> = wanted.into_iter().map(|name| Request::get(self.number(), &self.key(name))).collect();
        let Exchanged { replies, failure } = self.send(&requests).await?;
        if let Some(error) = failure {
            tracing::debug!(%error, missing = requests.len() - replies.len(), "some entries could not be read: misses");
        }
        let mut got: Vec<Got> = replies
            .into_iter()
            .map(|reply| match reply {
                Reply::Value(envelope) => Got::new(Some(envelope), None),
                _ => Got::default(),
            })
            .collect();
        // what did not come is a miss; and there are no fences
        got.resize_with(asked, Got::default);
        Ok(got)
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        let now = self.time.millis();
        let asked = request.items.len();
        let mut outcomes: Vec<Option<PutOutcome>> = Vec::with_capacity(asked);
        let mut requests = Vec::with_capacity(asked);
        for PutItem { name, envelope, expires_at, .. } in request.items {
            let fits = envelope.len() as u64 <= self.max_weight;
            outcomes.push((!fits).then_some(PutOutcome::TooLarge));
            if fits {
                let life = expires_at.saturating_sub(now);
                requests.push(Request::set(self.number(), &self.key(name), envelope, life));
            }
        }
        let Exchanged { replies, failure } = self.send(&requests).await?;
        let mut replies = replies.into_iter();
        let mut outcome = || match replies.next() {
            Some(Reply::Done) => PutOutcome::Stored,
            Some(Reply::TooLarge) => PutOutcome::TooLarge,
            Some(Reply::NoRoom) => PutOutcome::Failed(no_room()),
            Some(_) => PutOutcome::Failed(misunderstood()),
            None => PutOutcome::Failed(failure.clone().unwrap_or_else(misunderstood)),
        };
        Ok(outcomes.into_iter().map(|known| known.unwrap_or_else(&mut outcome)).collect())
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        let asked = request.names.len();
        let names = request.names.into_iter();
        let requests: Vec<_> = names.map(|name| Request::delete(self.number(), &self.key(name))).collect();
        let Exchanged { replies, failure } = self.send(&requests).await?;
        let mut results: Vec<_> = replies
            .into_iter()
            .map(|reply| match reply {
                Reply::Done | Reply::Absent => Ok(()),
                _ => Err(misunderstood()),
            })
            .collect();
        results.resize_with(asked, || Err(failure.clone().unwrap_or_else(misunderstood)));
        Ok(results)
    }

    async fn ping(&self) -> Result<(), TierError> {
        match self.send(&[Request::no_op()]).await?.replies.first() {
            Some(Reply::Nothing) => Ok(()),
            _ => Err(misunderstood()),
        }
    }

    fn used_bytes(&self) -> Option<u64> {
        None // the server's, which is not only ours, and only for asking
    }

    async fn close(&self) -> Result<(), TierError> {
        self.pool.close(); // nothing is pending: whoever stores waits for the reply
        Ok(())
    }
}

impl std::fmt::Debug for Memcached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memcached").field("name", &self.name).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn no_room() -> TierError {
    TierError::new(TierErrorKind::Full, "memcached has no memory for an entry of this size, and evicts nothing for it")
}

fn misunderstood() -> TierError {
    TierError::new(TierErrorKind::Unavailable, "memcached answered with what is no reply to the request")
}

/// Coordinator time as a tier reads it: the wall clock of when it was made, moved on by the monotonic one.
pub(crate) struct Time {
    clock: Arc<dyn Clock>,
    base: Duration,
}

impl Time {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let base = clock.wall().saturating_sub(clock.now());
        Self { clock, base }
    }

    fn millis(&self) -> Millis {
        (self.base + self.clock.now()).as_millis() as Millis
    }
}
