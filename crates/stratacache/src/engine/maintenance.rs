//! What happens in the background: time, capacity, expiry, marks, idle tenants, missed removals.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use stratacache_core::{clock::Millis, coordinator::Coordinator};

use super::{Engine, Tenant};
use crate::{
    coherence::Verdict,
    memory::{Cleared, MUCH, machine_memory},
    observe::Counter,
};

const BEAT: Duration = Duration::from_millis(250);
/// Every so many beats the slower chores are done.
const SLOW: u64 = 4;
const SLOWEST: u64 = 40;

/// Runs until the cache is gone. Ended by the spawner when the cache closes.
pub(crate) async fn maintain(engine: Weak<Engine>) {
    let mut beat: u64 = 0;
    loop {
        tokio::time::sleep(BEAT).await;
        let Some(engine) = engine.upgrade() else { return };
        beat += 1;
        engine.timeline.clock().refresh();
        engine.arbiter.pass();
        if beat.is_multiple_of(SLOW) {
            engine.slow_chores().await;
        }
        if beat.is_multiple_of(SLOWEST) {
            engine.slowest_chores();
        }
    }
}

/// Frees entries where it holds up no task, however many they are.
async fn aside(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = crate::spawn::blocking(work).await {
        tracing::warn!(%error, "freeing entries did not end");
    }
}

impl Engine {
    async fn slow_chores(self: &Arc<Self>) {
        let now = self.timeline.now();
        for tenant in self.tenants.all() {
            self.forget_useless_keys(&tenant);
            self.sweep_aside(&tenant, now).await;
            // thousands of tenants must not hold a worker for long
            tokio::task::yield_now().await;
        }
        for tier in &self.tiers {
            if let Err(error) = tier.catch_up(|kind| self.report(None, kind)).await {
                tracing::debug!(tier = %tier.name, %error, "missed removals still outstanding");
            }
        }
        let keep_since = now.saturating_sub(self.ceilings.retention().as_millis() as Millis);
        if let Err(error) = self.coordinator.tick(now, keep_since).await {
            tracing::warn!(%error, "the coordinator's housekeeping failed");
        }
    }

    fn slowest_chores(&self) {
        let now = self.timeline.now();
        self.mirror.forget(now.saturating_sub(self.ceilings.retention().as_millis() as Millis));
        self.tenants.drop_idle(&self.ledger, &self.timeline);
        if let Some((fraction, memory)) = self.memory_fraction.zip(machine_memory()) {
            let budget = (memory as f64 * fraction) as u64;
            if budget.abs_diff(self.arbiter.budget()) > budget / 100 {
                self.arbiter.resize(budget);
            }
        }
    }

    /// Frees what was taken out of a partition: much of it aside, so that nobody has to wait for it.
    pub(super) fn free(&self, cleared: Cleared) {
        if !cleared.is_much() {
            return;
        }
        self.spawner.start_lasting(aside(move || drop(cleared)));
    }

    /// Sweeps one tenant's memory; a large one where it holds up no task.
    async fn sweep_aside(self: &Arc<Self>, tenant: &Arc<Tenant>, now: Millis) {
        let large = tenant.partition().is_some_and(|partition| partition.usage().0 as u64 > MUCH);
        if !large {
            return self.sweep(tenant, now);
        }
        let (engine, swept) = (Arc::clone(self), Arc::clone(tenant));
        aside(move || engine.sweep(&swept, now)).await;
    }

    /// Frees what has expired or become invalid in one tenant's memory.
    pub(crate) fn sweep(&self, tenant: &Arc<Tenant>, now: Millis) {
        let Some(partition) = tenant.partition() else { return };
        if !partition.wants_sweep(now) {
            partition.tidy();
            return;
        }
        let removed =
            partition.sweep(now, |slot| match self.mirror.judge(&tenant.marks, &super::judge::depends(&**slot)) {
                Verdict::Valid { expired_at, .. } if slot.head().mep == tenant.marks.mep() as u32 => {
                    if let Some(at) = expired_at {
                        slot.head().expire_at(at);
                    }
                    slot.useless_at()
                }
                _ => 0,
            });
        partition.tidy();
        if removed > 0 {
            // counted for the tenant, not for a namespace: nobody asked for these
            let root = tenant.spaces().into_iter().find(|s| s.prefix.path().depth() == 0);
            if let Some(space) = root {
                space.plain().add(Counter::expirations, removed as u64);
            }
        }
    }
}
