//! Putting metrics together.

use super::Engine;
use crate::{
    loaders::Loader,
    observe::{Gathered, Label, LoaderNumbers, Metrics, TierNumbers, Usage, Usages},
};

fn of_loader(loader: &Loader) -> LoaderNumbers {
    let stats = loader.stats();
    LoaderNumbers {
        name: std::sync::Arc::clone(&loader.name),
        running: stats.running,
        waiting: stats.waiting,
        loads: stats.loads,
        failures: stats.failures,
        busy: stats.refused_busy,
        down: stats.refused_down,
        resting: stats.refused_resting,
        breaker_opens: stats.breaker_opens,
        retries_denied: stats.retries_denied,
    }
}

impl Engine {
    pub(crate) fn metrics(&self) -> Metrics {
        // kept until the counters were read: none of them goes away meanwhile, with what its partition counts
        let tenants = self.tenants.all();
        let usages: Usages = tenants
            .iter()
            .filter_map(|tenant| {
                let partition = tenant.partition()?;
                let (entries, weight) = partition.usage();
                let usage = Usage { entries: entries as u64, weight, evictions: partition.evicted() };
                Some((tenant.id.clone(), usage))
            })
            .collect();
        let mut by_tenant = self.ledger.by_tenant(&usages, self.timeline.now());
        // those of global tags belong to no tenant
        let global = by_tenant.iter_mut().filter(|one| one.label == Label::Global);
        global.for_each(|one| one.sums.invalidations_queued += self.queue.global_tags());
        let (events_lost, sink_panics) = self.events.of_sinks();
        Gathered {
            tenants: by_tenant,
            tiers: self.tiers.iter().map(|tier| TierNumbers { name: &tier.name, counters: &tier.counters }).collect(),
            loaders: self.loaders.all().map(of_loader).collect(),
            lags: self.followed.lags(),
            stats: self.cache_stats(),
            load_time: &self.load_time,
            bus_gaps: self.bus_gaps.read(),
            events_lost,
            sink_panics,
            tenants_in_use: tenants.len(),
            marks: self.mirror.marks_held(),
            tasks: self.spawner.active() + self.listeners.active(),
        }
        .metrics()
    }
}
