//! Several changes of one value, each of what the one before it made.

use std::{sync::Arc, time::Duration};

use stratacache_core::{Error, ErrorKind, Result, Stamp, stamp::Seq};

use super::{Change, Changed, Job};
use crate::{
    codec::CacheValue,
    engine::{Engine, catch::caught, make::Making},
    memory::{Entry, Held},
    observe::Counter,
};

/// What some changes made of a value.
pub(super) struct Chain<V: 'static> {
    pub(super) results: Vec<Result<Changed<V>>>,
    /// The last that did not keep it, by its place; `None` where all did.
    pub(super) last: Option<usize>,
    /// What it is in the end.
    pub(super) value: Option<Arc<Entry<V>>>,
}

impl Engine {
    /// Makes all changes, one after the other. One that fails leaves the value as it was for the next.
    pub(super) fn apply<V: CacheValue>(
        &self,
        jobs: &mut [Job<V>],
        base: Option<Arc<Entry<V>>>,
        stamp: &Stamp,
    ) -> Chain<V> {
        let mut chain = Chain { results: Vec::with_capacity(jobs.len()), last: None, value: base };
        for (place, job) in jobs.iter_mut().enumerate() {
            let before = chain.value.clone();
            let change = job.request.change.get_mut();
            let change = caught(|| change(before.as_ref().and_then(|entry| entry.value())));
            let after = match change {
                Ok(Ok(Change::Keep)) => {
                    chain.results.push(Ok(Changed { after: before.clone(), before, written: false }));
                    continue;
                }
                Ok(Ok(Change::Set(held))) => Some(self.changed_entry(job, held, before.as_deref(), stamp, 0)),
                Ok(Ok(Change::Remove)) => None,
                Ok(Err(error)) => {
                    chain.results.push(Err(error));
                    continue;
                }
                Err(message) => {
                    let message = format!("the change of a value panicked, and nothing was changed: {message}");
                    chain.results.push(Err(Error::new(ErrorKind::Internal, message)));
                    continue;
                }
            };
            chain.value = after.clone();
            if before.is_some() || after.is_some() {
                chain.last = Some(place);
                job.request.ns.count(&job.request.key, Counter::inserts);
            }
            chain.results.push(Ok(Changed { before, after, written: true }));
        }
        chain
    }

    /// Makes the entry of a changed value: with the times and tags of what it was made of, else as an insert.
    pub(super) fn changed_entry<V: CacheValue>(
        &self,
        job: &Job<V>,
        held: Held<V>,
        like: Option<&Entry<V>>,
        stamp: &Stamp,
        own: Seq,
    ) -> Arc<Entry<V>> {
        let request = &job.request;
        self.making(job, stamp, own, request.policy.fresh_time()).entry_like(self, held, like)
    }

    fn making<'a, V: CacheValue>(&self, job: &'a Job<V>, stamp: &'a Stamp, own: Seq, ttl: Duration) -> Making<'a, V> {
        let request = &job.request;
        Making {
            ns: &request.ns,
            key: &request.key,
            policy: &request.policy,
            ttl,
            tags: &request.tags,
            stamp,
            own,
            began: None,
            etag: None,
        }
    }
}
