//! Who may use how much of the budget: max-min shares, reserves and limits.
//!
//! Capacity is handed out as partitions fill, straight from the free pool while there is one. A pass, off the hot path,
//! takes back what the fair share does not cover: every tenant gets what it asks for up to a common level, at least its
//! reserve and at most its limit. The sum of all capacities never exceeds the budget.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;

use super::Partition;

/// Bounds of one tenant's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) reserve: u64,
    pub(crate) limit: u64,
}

/// Left free for tenants that wake up.
const HEADROOM_PERCENT: u64 = 5;
/// A partition is not made smaller than this.
const SMALLEST: u64 = 16 << 10;

struct Tenant {
    partition: Weak<Partition>,
    quota: Quota,
    capacity: u64,
}

struct State {
    budget: u64,
    free: u64,
    tenants: Vec<Tenant>,
}

/// Hands out the budget.
pub(crate) struct Arbiter {
    state: Mutex<State>,
    /// A partition asked for more than there was; the next pass looks closer.
    pressure: AtomicU64,
}

impl Arbiter {
    pub(crate) fn new(budget: u64) -> Self {
        Self { state: Mutex::new(State { budget, free: budget, tenants: Vec::new() }), pressure: AtomicU64::new(0) }
    }

    pub(crate) fn budget(&self) -> u64 {
        self.state.lock().budget
    }

    /// Makes the partition of a tenant that wakes up.
    pub(crate) fn admit(&self, quota: Quota) -> Arc<Partition> {
        let mut state = self.state.lock();
        let headroom = state.headroom();
        let share = state.free.saturating_sub(headroom) / 2;
        let wish = share.max(quota.reserve).max(SMALLEST.min(state.fair_share())).min(quota.limit).max(1);
        let capacity = wish.min(state.free);
        state.free -= capacity;
        let partition = Arc::new(Partition::new(capacity));
        state.tenants.push(Tenant { partition: Arc::downgrade(&partition), quota, capacity });
        if capacity < wish {
            self.pressure.fetch_add(1, Relaxed);
        }
        partition
    }

    /// Gives a full partition more of the free pool, as much as is fair without a pass.
    pub(crate) fn grow(&self, partition: &Arc<Partition>, needed: u64) {
        let mut state = self.state.lock();
        let (headroom, fair, free) = (state.headroom(), state.fair_share(), state.free);
        let Some(tenant) = state.tenants.iter_mut().find(|t| t.is(partition)) else { return };
        // the headroom is for those below their fair share
        let available = if tenant.capacity + needed <= fair { free } else { free.saturating_sub(headroom) };
        let wish = tenant.capacity.max(needed).min(tenant.quota.limit.saturating_sub(tenant.capacity));
        let grant = wish.min(available);
        if grant == 0 {
            partition.refused.store(true, Relaxed);
            if tenant.capacity < tenant.quota.limit {
                self.pressure.fetch_add(1, Relaxed);
            }
            return;
        }
        tenant.capacity += grant;
        partition.set_capacity(tenant.capacity);
        state.free -= grant;
    }

    /// Changes the budget; shrinking evicts before this returns.
    pub(crate) fn resize(&self, budget: u64) {
        {
            let mut state = self.state.lock();
            state.budget = budget;
            state.rebalance(true);
        }
    }

    /// Takes back what is not fair and gives it to those who ask. Cheap when nobody asks.
    pub(crate) fn pass(&self) {
        let pressed = self.pressure.swap(0, Relaxed) > 0;
        self.state.lock().rebalance(pressed);
    }

    /// Returns the capacity handed out and the number of partitions, for the invariants of tests.
    #[cfg(test)]
    pub(crate) fn handed_out(&self) -> (u64, usize) {
        let state = self.state.lock();
        (state.tenants.iter().map(|t| t.capacity).sum(), state.tenants.len())
    }
}

impl Tenant {
    fn is(&self, partition: &Arc<Partition>) -> bool {
        std::ptr::eq(self.partition.as_ptr(), Arc::as_ptr(partition))
    }
}

impl State {
    fn headroom(&self) -> u64 {
        self.budget / 100 * HEADROOM_PERCENT
    }

    fn fair_share(&self) -> u64 {
        (self.budget - self.headroom()) / (self.tenants.len() as u64 + 1)
    }

    fn rebalance(&mut self, pressed: bool) {
        self.tenants.retain(|t| t.partition.strong_count() > 0);
        let handed: u64 = self.tenants.iter().map(|t| t.capacity).sum();
        self.free = self.budget.saturating_sub(handed);
        if !pressed && self.free >= self.headroom() {
            return;
        }
        let partitions: Vec<Option<Arc<Partition>>> = self.tenants.iter().map(|t| t.partition.upgrade()).collect();
        let wishes: Vec<u64> = self.tenants.iter().zip(&partitions).map(|(t, p)| t.wish(p.as_deref())).collect();
        let level = water_level(&self.tenants, &wishes, self.budget - self.headroom());
        let targets: Vec<u64> = self.tenants.iter().zip(&wishes).map(|(t, wish)| t.at_level(*wish, level)).collect();
        // shrink first: the sum stays within the budget at every instant
        for grow in [false, true] {
            for ((tenant, partition), target) in self.tenants.iter_mut().zip(&partitions).zip(&targets) {
                let Some(partition) = partition else { continue };
                if (*target > tenant.capacity) == grow && *target != tenant.capacity {
                    partition.set_capacity(*target);
                    tenant.capacity = *target;
                }
            }
        }
        let handed: u64 = self.tenants.iter().map(|t| t.capacity).sum();
        self.free = self.budget.saturating_sub(handed);
    }
}

impl Tenant {
    /// What the tenant could use: twice what it holds while it evicts, else what it holds and a little.
    fn wish(&self, partition: Option<&Partition>) -> u64 {
        let Some(partition) = partition else { return 0 };
        partition.refused.store(false, Relaxed);
        let evictions = partition.evicted();
        let evicting = evictions != partition.seen_evictions.swap(evictions, Relaxed);
        let (_, used) = partition.usage();
        let wish = if evicting { self.capacity.saturating_mul(2) } else { used + used / 8 };
        wish.clamp(SMALLEST, u64::MAX)
    }

    fn at_level(&self, wish: u64, level: u64) -> u64 {
        wish.min(level.max(self.quota.reserve)).min(self.quota.limit).max(1)
    }
}

/// Finds the level of max-min fairness: the highest at which all wishes, cut there, fit into `total`.
fn water_level(tenants: &[Tenant], wishes: &[u64], total: u64) -> u64 {
    let (mut low, mut high) = (0, total);
    while low < high {
        let level = low + (high - low).div_ceil(2);
        let sum: u64 = tenants.iter().zip(wishes).map(|(t, wish)| t.at_level(*wish, level)).sum();
        if sum <= total { low = level } else { high = level - 1 }
    }
    low
}

impl std::fmt::Debug for Arbiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Arbiter")
            .field("budget", &state.budget)
            .field("free", &state.free)
            .field("tenants", &state.tenants.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_out_never_exceeds_the_budget() {
        let arbiter = Arbiter::new(1 << 20);
        let quota = Quota { reserve: 0, limit: u64::MAX };
        let mut partitions = Vec::new();
        for n in 0..200 {
            let partition = arbiter.admit(quota);
            arbiter.grow(&partition, 10_000);
            partitions.push(partition);
            if n % 10 == 0 {
                arbiter.pass();
            }
            let (handed, tenants) = arbiter.handed_out();
            assert!(handed <= arbiter.budget() && tenants == n + 1, "{handed} bytes to {tenants} tenants");
        }
        partitions.truncate(3);
        arbiter.resize(2 << 20);
        arbiter.resize(1 << 20);
        let (handed, tenants) = arbiter.handed_out();
        assert!(handed <= arbiter.budget() && tenants == 3, "{handed} bytes to {tenants} tenants");
    }
}
