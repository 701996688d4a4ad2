//! Putting statistics together.

use std::sync::Arc;

use stratacache_core::tier::Tier;

use super::{Engine, Tenant};
use crate::{
    memory::machine_memory,
    observe::{Filter, Stats, TierStats},
};

impl Engine {
    pub(crate) fn tenant_stats(&self, tenant: &Arc<Tenant>) -> Stats {
        let sums = self.ledger.sums(Filter { tenant: Some(&tenant.id), ..Filter::default() });
        let mut stats = Stats::from_sums(&sums);
        let (entries, weight) = tenant.partition().map_or((0, 0), |p| p.usage());
        stats.entries = Some(entries as u64);
        stats.weight = Some(weight);
        stats.limit = Some(tenant.quota.limit.min(self.arbiter.budget()));
        stats.invalidations_waiting = Some(self.queue.waiting_of(tenant) as u64);
        stats.evicted_for_capacity = Some(sums.evictions + tenant.partition().map_or(0, |p| p.evicted()));
        stats
    }

    pub(crate) fn cache_stats(&self) -> Stats {
        // before the counters are read: a tenant that goes away leaves its evictions to them
        let tenants = self.tenants.all();
        let sums = self.ledger.sums(Filter::default());
        let mut stats = Stats::from_sums(&sums);
        let (mut entries, mut weight, mut evicted) = (0, 0, sums.evictions);
        for tenant in &tenants {
            if let Some(partition) = tenant.partition() {
                let usage = partition.usage();
                entries += usage.0 as u64;
                weight += usage.1;
                evicted += partition.evicted();
            }
        }
        stats.entries = Some(entries);
        stats.weight = Some(weight);
        stats.evicted_for_capacity = Some(evicted);
        stats.limit = Some(self.arbiter.budget());
        stats.invalidations_queued += self.queue.global_tags();
        stats.invalidations_waiting = Some(self.queue.waiting() as u64);
        self.followed.show(&mut stats);
        stats.resyncs = Some(self.mirror.resyncs());
        stats.probes_refused = Some(self.asked.refused());
        stats.compression = Some(self.compression.read());
        stats.machine_memory = machine_memory();
        stats.loads_in_flight = self.flights.len() as u64;
        let memory = TierStats {
            name: "memory".into(),
            hits: stats.memory_hits,
            misses: stats.lower_hits + stats.misses,
            used_bytes: Some(weight),
            ..TierStats::default()
        };
        let below = self.tiers.iter().map(|tier| {
            let used = tier.tier.used_bytes();
            TierStats::from_counters(&tier.name, &tier.counters, tier.behind.waiting(), used)
        });
        stats.tiers = std::iter::once(memory).chain(below).collect();
        stats
    }
}
