//! The tenants a cache knows, made on first use and dropped when idle and empty.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use stratacache_core::{Deployment, NamespacePath, TenantId};

use super::{Limits, Tenant, Timeline};
use crate::{coherence::Mirror, memory::Quota, observe::Ledger};

/// The registry of tenants.
pub(crate) struct Tenants {
    known: RwLock<HashMap<TenantId, Arc<Tenant>, RandomState>>,
    next: AtomicU64,
    default_quota: Quota,
    quotas: HashMap<TenantId, Quota>,
}

impl Tenants {
    pub(crate) fn new(default_quota: Quota, quotas: HashMap<TenantId, Quota>) -> Self {
        Self { known: RwLock::default(), next: AtomicU64::new(1), default_quota, quotas }
    }

    pub(crate) fn get(&self, id: &TenantId, mirror: &Mirror, deployment: &Deployment, limits: &Limits) -> Arc<Tenant> {
        if let Some(tenant) = self.known.read().get(id) {
            return Arc::clone(tenant);
        }
        let mut known = self.known.write();
        if let Some(tenant) = known.get(id) {
            return Arc::clone(tenant);
        }
        let scope = deployment.path_scopes(id, &NamespacePath::default())[0];
        let quota = self.quotas.get(id).copied().unwrap_or(self.default_quota);
        let number = self.next.fetch_add(1, Relaxed);
        let marks = mirror.tenant(id, scope);
        let tenant = Arc::new(Tenant::new(id.clone(), number, scope.low(), marks, quota, limits));
        known.insert(id.clone(), Arc::clone(&tenant));
        tenant
    }

    pub(crate) fn find(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.known.read().get(id).cloned()
    }

    pub(crate) fn by_scope(&self, scope_low: u64) -> Option<Arc<Tenant>> {
        self.known.read().values().find(|t| t.scope_low == scope_low).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Tenant>> {
        self.known.read().values().cloned().collect()
    }

    /// Drops tenants that nobody holds a handle of, that hold no entries, and whose loads nothing holds back.
    pub(crate) fn drop_idle(&self, ledger: &Ledger, timeline: &Timeline) {
        self.known.write().retain(|_, tenant| {
            // handles are given out under this lock: nobody can take one now
            let idle = Arc::strong_count(tenant) == 1
                && tenant.partition().is_none_or(|p| p.usage().0 == 0)
                && !tenant.holds_back(timeline);
            if let (true, Some(partition)) = (idle, tenant.partition()) {
                ledger.keep_evictions(&tenant.id, partition.evicted());
            }
            !idle
        });
        ledger.tidy();
    }
}
