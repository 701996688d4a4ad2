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

use super::{Partition, partition::SMALLEST, shard::Left};

#[cfg(test)]
mod tests;

/// Bounds of one tenant's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) reserve: u64,
    pub(crate) limit: u64,
}

/// Left free for tenants that wake up.
const HEADROOM_PERCENT: u64 = 5;
/// What a partition gets beyond what it holds, when it does not evict.
const SLACK_PART: u64 = 16;
/// A capacity that is off by less than this part is left alone.
const NEAR_PART: u64 = 64;
/// Every so many passes the tenants that are gone are looked for even if nobody asks for their memory.
const LOOK_FOR_GONE: u64 = 16;

/// A waking tenant gets this part of what is free, but not less than a small entry needs.
const FIRST_PART: u64 = 1 << 10;
const LEAST: u64 = 3 << 10;

struct Tenant {
    partition: Weak<Partition>,
    quota: Quota,
    capacity: u64,
}

struct State {
    budget: u64,
    free: u64,
    tenants: Vec<Tenant>,
    /// How many partitions the passes have looked at.
    looked_at: u64,
}

/// Hands out the budget.
pub(crate) struct Arbiter {
    state: Mutex<State>,
    /// A partition asked for more than there was; the next pass looks closer.
    pressure: AtomicU64,
    passes: AtomicU64,
}

/// What has to be dropped when no lock is held: a value's `drop` may call back into the cache.
#[must_use]
#[derive(Default)]
pub(crate) struct Leaving {
    _entries: Vec<Left>,
    _partitions: Vec<Arc<Partition>>,
}

impl Arbiter {
    pub(crate) fn new(budget: u64) -> Self {
        let state = State { budget, free: budget, tenants: Vec::new(), looked_at: 0 };
        Self { state: Mutex::new(state), pressure: AtomicU64::new(0), passes: AtomicU64::new(0) }
    }

    pub(crate) fn budget(&self) -> u64 {
        self.state.lock().budget
    }

    /// Makes the partition of a tenant that wakes up. Others may have to give up what it has reserved.
    pub(crate) fn admit(&self, quota: Quota) -> (Arc<Partition>, Leaving) {
        let mut state = self.state.lock();
        let leaving = if quota.reserve > state.free { state.rebalance(quota.reserve) } else { Leaving::default() };
        // little at first, so that thousands may wake up between two passes; who fills it asks for twice as much
        let share = (state.free / FIRST_PART).clamp(LEAST, SMALLEST);
        let wish = share.max(quota.reserve).min(quota.limit).max(1);
        let capacity = wish.min(state.free);
        state.free -= capacity;
        let partition = Arc::new(Partition::new(capacity));
        state.tenants.push(Tenant { partition: Arc::downgrade(&partition), quota, capacity });
        if capacity < wish {
            self.pressure.fetch_add(1, Relaxed);
        }
        (partition, leaving)
    }

    /// Gives a full partition more of the free pool, as much as is fair without a pass: twice what it has, or what it
    /// needs in all for one entry.
    pub(crate) fn grow(&self, partition: &Arc<Partition>, needed: u64) {
        let mut state = self.state.lock();
        let (headroom, fair, free) = (state.headroom(), state.fair_share(), state.free);
        let Some(tenant) = state.tenants.iter_mut().find(|t| t.is(partition)) else { return };
        let wish = tenant.capacity.max(needed.saturating_sub(tenant.capacity));
        let wish = wish.min(tenant.quota.limit.saturating_sub(tenant.capacity));
        // the headroom is for those below their fair share
        let fairly = fair.saturating_sub(tenant.capacity).min(free);
        let grant = wish.min(free.saturating_sub(headroom).max(fairly));
        if grant < wish && tenant.capacity < tenant.quota.limit {
            self.pressure.fetch_add(1, Relaxed);
        }
        if grant == 0 {
            partition.refused.store(true, Relaxed);
            return;
        }
        tenant.capacity += grant;
        let left = partition.set_capacity(tenant.capacity);
        state.free -= grant;
        drop(state);
        drop(left);
    }

    /// Changes the budget; shrinking evicts before this returns.
    pub(crate) fn resize(&self, budget: u64) {
        let leaving = {
            let mut state = self.state.lock();
            state.budget = budget;
            state.rebalance(0)
        };
        drop(leaving);
    }

    /// Takes back what is not fair and gives it to those who ask. Cheap when nobody asks.
    pub(crate) fn pass(&self) {
        let pressed = self.pressure.swap(0, Relaxed) > 0;
        let passes = self.passes.fetch_add(1, Relaxed) + 1;
        let leaving = {
            let mut state = self.state.lock();
            if passes.is_multiple_of(LOOK_FOR_GONE) {
                state.forget_gone();
            }
            if pressed || state.free < state.headroom() { state.rebalance(0) } else { Leaving::default() }
        };
        drop(leaving);
    }

    /// Returns the capacity handed out, the free rest and the number of partitions, for the invariants of tests.
    #[cfg(test)]
    fn handed_out(&self) -> (u64, u64, usize) {
        let state = self.state.lock();
        (state.tenants.iter().map(|t| t.capacity).sum(), state.free, state.tenants.len())
    }

    #[cfg(test)]
    fn looked_at(&self) -> u64 {
        self.state.lock().looked_at
    }
}

impl State {
    fn headroom(&self) -> u64 {
        self.budget / 100 * HEADROOM_PERCENT
    }

    fn fair_share(&self) -> u64 {
        (self.budget - self.headroom()) / (self.tenants.len() as u64 + 1)
    }

    fn count_free(&mut self) {
        let handed: u64 = self.tenants.iter().map(|t| t.capacity).sum();
        self.free = self.budget.saturating_sub(handed);
    }

    fn forget_gone(&mut self) {
        self.tenants.retain(|t| t.partition.strong_count() > 0);
        self.count_free();
    }

    /// Gives every tenant its fair part of the budget without the headroom and what is set aside.
    fn rebalance(&mut self, set_aside: u64) -> Leaving {
        let mut partitions = Vec::with_capacity(self.tenants.len());
        self.tenants.retain(|t| t.partition.upgrade().map(|p| partitions.push(p)).is_some());
        self.looked_at += partitions.len() as u64;
        let wishes: Vec<u64> = self.tenants.iter().zip(&partitions).map(|(t, p)| t.wish(p)).collect();
        let total = (self.budget - self.headroom()).saturating_sub(set_aside);
        let targets = targets(&self.tenants, &wishes, total);
        // shrink first: the sum stays within the budget at every instant
        let mut entries = Vec::new();
        for grow in [false, true] {
            for ((tenant, partition), target) in self.tenants.iter_mut().zip(&partitions).zip(&targets) {
                let near = target.abs_diff(tenant.capacity) < tenant.capacity / NEAR_PART;
                if (*target > tenant.capacity) == grow && !near && *target != tenant.capacity {
                    entries.push(partition.set_capacity(*target));
                    tenant.capacity = *target;
                    // those that left just now are no sign that the tenant needs more
                    partition.seen_evictions.store(partition.evicted(), Relaxed);
                }
            }
        }
        self.count_free();
        Leaving { _entries: entries, _partitions: partitions }
    }
}

impl Tenant {
    fn is(&self, partition: &Arc<Partition>) -> bool {
        std::ptr::eq(self.partition.as_ptr(), Arc::as_ptr(partition))
    }

    /// What the tenant could use: twice what it has while it evicts or was refused, else what it holds and a little.
    fn wish(&self, partition: &Partition) -> u64 {
        let refused = partition.refused.swap(false, Relaxed);
        let evictions = partition.evicted();
        let evicting = evictions != partition.seen_evictions.swap(evictions, Relaxed);
        let (_, used) = partition.usage();
        let wish = if evicting || refused { self.capacity.saturating_mul(2) } else { used + used / SLACK_PART };
        wish.max(SMALLEST)
    }

    fn at_level(&self, wish: u64, level: u64, reserve: u64) -> u64 {
        wish.min(level).max(reserve).min(self.quota.limit).max(1)
    }
}

/// Finds what each tenant gets: the highest common level at which all wishes, cut there, fit into `total`. Reserves are
/// kept, in proportion where they do not all fit.
fn targets(tenants: &[Tenant], wishes: &[u64], total: u64) -> Vec<u64> {
    let reserved: u64 = tenants.iter().fold(0, |sum, t| sum.saturating_add(t.quota.reserve));
    let reserve = |t: &Tenant| match reserved > total {
        true => (u128::from(t.quota.reserve) * u128::from(total) / u128::from(reserved)) as u64,
        false => t.quota.reserve,
    };
    let at = |level| tenants.iter().zip(wishes).map(move |(t, wish)| t.at_level(*wish, level, reserve(t)));
    let (mut low, mut high) = (0, total);
    while low < high {
        let level = low + (high - low).div_ceil(2);
        if at(level).sum::<u64>() <= total { low = level } else { high = level - 1 }
    }
    at(low).collect()
}

impl std::fmt::Debug for Arbiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Arbiter")
            .field("budget", &state.budget)
            .field("free", &state.free)
            .field("tenants", &state.tenants.len())
            .field("looked_at", &state.looked_at)
            .finish_non_exhaustive()
    }
}
