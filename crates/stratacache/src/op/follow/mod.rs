//! `follow`: invalidates what a database or a stream says has changed.

mod apply;
mod lines;
#[cfg(test)]
mod lines_tests;
mod locate;
mod progress;
mod run;

use std::{sync::Arc, time::Duration};

use stratacache_core::{
    Error, Keyspace, Result,
    follow::{AnyInvalidationSource, InvalidationSource, KeyspaceShape},
};
use tokio::sync::watch;

pub use progress::{FollowProgress, Follower};

use crate::engine::Engine;
use run::{Plan, Run};

/// A source that is to be followed. Made by [`Cache::follow`](crate::Cache::follow).
#[must_use = "nothing is followed until it is started"]
pub struct Follow {
    engine: Arc<Engine>,
    source: AnyInvalidationSource,
    plan: Plan,
}

impl Follow {
    pub(crate) fn new(engine: Arc<Engine>, source: impl InvalidationSource) -> Self {
        Self { engine, source: AnyInvalidationSource::new(source), plan: Plan::default() }
    }

    /// Makes a keyspace known: its keys are named by [`name`](Keyspace::name) alone, with its version and in their normal form, and its
    /// prefixes can be named.
    ///
    /// Keys of a keyspace that is not known are taken as they are written: without a normal form, and of version 0 unless they say
    /// otherwise. Prefixes of it are set aside.
    pub fn keyspace<K: ?Sized, V: 'static>(mut self, keyspace: &'static Keyspace<K, V>) -> Self {
        self.plan.known.push(keyspace.info().shape());
        self
    }

    /// Makes keyspaces known, as [`keyspace`](Self::keyspace) does one.
    pub fn keyspaces(mut self, shapes: impl IntoIterator<Item = KeyspaceShape>) -> Self {
        self.plan.known.extend(shapes);
        self
    }

    /// Sets how many changes are read at once, 1 to 4,096. Default 256.
    pub fn batch(mut self, changes: usize) -> Self {
        self.plan.batch = changes;
        self
    }

    /// Sets of how many tenants invalidations are under way at once, 1 to 256. Default 16.
    pub fn concurrency(mut self, tenants: usize) -> Self {
        self.plan.concurrency = tenants;
        self
    }

    /// Sets how often the source is asked how far it is behind. Default 5 s.
    pub fn lag_every(mut self, interval: Duration) -> Self {
        self.plan.lag_every = interval;
        self
    }

    /// Starts to follow, in a task that ends when the cache is closed.
    ///
    /// It applies the changes of each tenant in their order, those of different tenants beside each other, and acknowledges what was
    /// applied: **after** the invalidation was ordered, so that a crash in between invalidates twice and never forgets. What fails is tried
    /// again with growing pauses, for ever; so is what is over the tenant's `invalidations_per_s`. Meanwhile other tenants go
    /// on, and so much as waits of one tenant (more than 1,024 things, or 1 MiB) becomes an invalidation of the whole tenant. Invalid
    /// changes are [set aside](InvalidationSource::set_aside), counted, and an event.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names a knob, [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn start(self) -> Result<Follower> {
        let Self { engine, source, plan } = self;
        engine.check_open()?;
        for (knob, value, most) in [("batch", plan.batch, 4096), ("concurrency", plan.concurrency, 256)] {
            if !(1..=most).contains(&value) {
                return Err(Error::invalid(format!("{knob} of a follower is 1 to {most}, not {value}")));
            }
        }
        if plan.lag_every.is_zero() {
            return Err(Error::invalid("lag_every of a follower cannot be zero"));
        }
        let name: Arc<str> = source.name().into();
        let progress = watch::Sender::new(FollowProgress::default());
        let stop = Arc::new(watch::Sender::new(false));
        let follower = Follower::new(name, progress.subscribe(), Arc::clone(&stop));
        let closing = engine.spawner.closing();
        let run = Run::new(&engine, source, plan, progress);
        let stopped = stop.subscribe();
        engine.spawner.start_lasting(async move {
            // held, so that a dropped handle stops nothing
            let _stop = stop;
            run.run(stopped, closing).await;
        });
        Ok(follower)
    }
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("source", &self.source).finish_non_exhaustive()
    }
}
