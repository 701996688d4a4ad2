//! What a tenant's readers look at first: whether anything changed, then a small filter, then the exact marks.

use std::sync::{
    Arc, OnceLock,
    atomic::Ordering::{Acquire, Release},
};

use stratacache_core::{Scope, stamp::Seq};

use super::lane::LaneMirror;
use crate::sync::AtomicU64;

const SLOTS: usize = 64;

/// The marks of one tenant as its namespaces see them.
///
/// Written in this order: exact marks, filter, `changes`; read in the opposite one. Then a reader that still sees the old
/// number of changes began before the invalidation was applied.
pub(crate) struct TenantMarks {
    /// The low half of the tenant's scope, which its stamps name.
    pub(crate) tenant: u64,
    pub(crate) lane: Arc<LaneMirror>,
    pub(crate) global: Arc<LaneMirror>,
    /// Counts what was marked of the tenant besides keys, and the snapshots of its lane; at least 1. A count, since
    /// positions of another history may be smaller.
    changes: AtomicU64,
    /// Marks before the tenant woke up are not in the filter.
    pub(super) base: AtomicU64,
    filter: OnceLock<Box<[AtomicU64; SLOTS]>>,
}

impl TenantMarks {
    pub(super) fn new(tenant: u64, lane: Arc<LaneMirror>, global: Arc<LaneMirror>) -> Self {
        Self { tenant, lane, global, changes: AtomicU64::new(1), base: AtomicU64::new(0), filter: OnceLock::new() }
    }

    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Acquire)
    }

    /// Counts the discontinuities of both lanes.
    #[inline]
    pub(crate) fn mep(&self) -> u64 {
        self.lane.mep() + self.global.mep()
    }

    pub(super) fn raise(&self, scope: Scope, seq: Seq) {
        let filter = self.filter.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
        filter[scope.low() as usize % SLOTS].fetch_max(seq, Release);
    }

    pub(super) fn publish(&self) {
        self.changes.fetch_add(1, Release);
    }

    /// Returns a position at or above the last mark of a scope, from the filter alone.
    pub(super) fn at_most(&self, scope: Scope) -> Seq {
        let slot = self.filter.get().map_or(0, |f| f[scope.low() as usize % SLOTS].load(Acquire));
        slot.max(self.base.load(Acquire))
    }
}
