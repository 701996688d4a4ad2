//! The changes that wait, a line for each key.

use std::{
    any::{Any, TypeId},
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::Job;
use crate::{codec::CacheValue, engine::Engine, memory::MapKey};

/// So many changes are made together.
const TOGETHER: usize = 1 << 10;

/// The key of a line: who changes the same key as another type stands in another line.
#[derive(Clone, PartialEq, Eq, Hash)]
struct LineKey {
    tenant: u64,
    key: MapKey,
    of: TypeId,
}

/// The lines. One that is there has a task that serves it. Each change has a place of its tenant's `max_waiters`.
#[derive(Default)]
pub(crate) struct Updates(Mutex<HashMap<LineKey, Box<dyn Any + Send>, RandomState>>);

type Line<V> = VecDeque<Job<V>>;

/// Serves one line; whatever happens to its task, the line goes with it, and who waits in it is told.
pub(super) struct Serving {
    engine: Arc<Engine>,
    key: LineKey,
    /// The line is gone already; one of the same key is another's.
    ended: bool,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let left = self.engine.updates.0.lock().remove(&self.key);
        drop(left); // user code may run, and nothing is locked
    }
}

impl Serving {
    /// Takes what waits and uses the same tiers as the first; `None` when nobody waits, and the line is gone.
    pub(super) fn next<V: CacheValue>(&mut self) -> Option<Vec<Job<V>>> {
        let mut lines = self.engine.updates.0.lock();
        let line = lines.get_mut(&self.key)?.downcast_mut::<Line<V>>()?;
        let used = |job: &Job<V>| self.engine.left_out(&job.request.policy);
        let Some(first) = line.front().map(used) else {
            // under the lock: who comes now begins another line
            lines.remove(&self.key);
            self.ended = true;
            return None;
        };
        let together = line.iter().take(TOGETHER).take_while(|job| used(job) == first).count();
        Some(line.drain(..together).collect())
    }

    /// Tells whether anybody waits.
    pub(super) fn is_wanted<V: CacheValue>(&self) -> bool {
        let lines = self.engine.updates.0.lock();
        lines.get(&self.key).and_then(|line| line.downcast_ref::<Line<V>>()).is_some_and(|line| !line.is_empty())
    }
}

impl Engine {
    /// Puts a change at the end of the line of its key, and starts the task that serves it where there is none.
    pub(super) fn enqueue<V: CacheValue>(self: &Arc<Self>, job: Job<V>) {
        let ns = &job.request.ns;
        let map_key = MapKey::from(ns.lookup(job.request.key.as_bytes()));
        let key = LineKey { tenant: ns.tenant.number, key: map_key, of: TypeId::of::<V>() };
        let mut lines = self.updates.0.lock();
        if let Some(line) = lines.get_mut(&key).and_then(|line| line.downcast_mut::<Line<V>>()) {
            line.push_back(job);
            return;
        }
        lines.insert(key.clone(), Box::new(Line::<V>::from([job])));
        drop(lines);
        let serving = Serving { engine: Arc::clone(self), key, ended: false };
        self.spawner.start_lasting(super::run::serve::<V>(Arc::clone(self), serving));
    }
}
