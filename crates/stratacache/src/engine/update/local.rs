//! Changing a value that only this process orders: read and written in one turn of its key, as an insert that an
//! invalidation in between beats.

use smallvec::smallvec;
use std::sync::Arc;
use stratacache_core::{OnWriteError, Result, Stamp, coordinator::Strength};

use super::{Job, run::Attempt};
use crate::{
    codec::CacheValue,
    coherence::FillGuard,
    engine::{
        Engine, Seen, Targets, WriteItem, WriteRequest,
        lower::{ByKey, Wanted},
    },
    memory::{Entry, Held},
};

impl Engine {
    pub(super) async fn change_here<V: CacheValue>(self: &Arc<Self>, jobs: &mut [Job<V>]) -> Result<Attempt<V>> {
        let Some(first) = jobs.first() else { return Ok(Attempt::Done(Vec::new())) };
        let name = self.name(&first.request.ns, first.request.key.as_bytes());
        let tenant = Arc::clone(&first.request.ns.tenant);
        let _turn = tenant.turns().of_change(name).await;
        let (fill, stamp) = self.mirror.begin_fill(&first.request.ns.tenant.marks);
        let base = self.value_here(first, &fill, stamp).await;
        let chain = self.apply(jobs, base.clone(), &stamp);
        let Some(last) = chain.last else { return Ok(Attempt::Done(chain.results)) };
        let request = &jobs[last].request;
        let key = request.key.clone();
        let Some(value) = chain.value else {
            let targets = Targets { keys: vec![key.as_bytes().to_vec()], ..Targets::default() };
            self.invalidate_here(&request.ns, &targets, Strength::Hard).await?;
            return Ok(Attempt::Done(chain.results));
        };
        // memory keeps the value where a tier of this node fails: the former one is gone there all the same
        let mode = request.policy.on_write_error_mode().unwrap_or(OnWriteError::BestEffort);
        let policy = request.policy.on_write_error(mode);
        let held = Held::Of(value.origin());
        let item = WriteItem { key, value: held, policy, ttl: policy.fresh_time(), like: Some(value) };
        let write = WriteRequest {
            ns: Arc::clone(&request.ns),
            items: smallvec![item],
            tags: request.tags.clone(),
            stamp: Some(stamp),
        };
        let tokens = self.insert_in_turn(write, smallvec![name]).await.map_err(|failure| failure.error)?;
        match tokens.first().is_some_and(|token| !token.is_superseded()) {
            true => Ok(Attempt::Done(chain.results)),
            false => Ok(Attempt::Again),
        }
    }

    /// Returns the fresh value of a key: of memory, else of the tiers below.
    async fn value_here<V: CacheValue>(&self, job: &Job<V>, fill: &FillGuard, stamp: Stamp) -> Option<Arc<Entry<V>>> {
        let request = &job.request;
        let (ns, key) = (&*request.ns, request.key.as_bytes());
        let entry = match self.look::<V>(ns, key) {
            Seen::Fresh { entry, .. } => entry,
            _ => {
                let wanted = Wanted {
                    ns,
                    key,
                    name: self.name(ns, key),
                    began: fill.began(),
                    stamp,
                    policy: &request.policy,
                    keyspace: request.key.keyspace(),
                    by_key: ByKey::Marks,
                };
                self.read_below(&wanted).await.found.filter(|found| found.fresh)?.entry
            }
        };
        entry.value().is_some().then_some(entry)
    }
}
