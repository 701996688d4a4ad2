//! From counters and gauges to metrics.

use std::time::Duration;

use super::{
    LoaderNumbers, MetricFamily, MetricSample, MetricValue, Metrics, SourceLag, families as f,
    outside::{of_followed, of_loaders},
};
use crate::observe::{
    CompressionStats, Counter, Stats, TierStats,
    counters::TierCounters,
    histogram::{Histogram, Latency},
    labels::TenantSums,
};

/// What the metrics of one tier below memory are made of.
pub(crate) struct TierNumbers<'a> {
    pub(crate) name: &'a str,
    pub(crate) counters: &'a TierCounters,
}

/// What metrics are made of.
pub(crate) struct Gathered<'a> {
    pub(crate) tenants: Vec<TenantSums>,
    pub(crate) tiers: Vec<TierNumbers<'a>>,
    pub(crate) loaders: Vec<LoaderNumbers>,
    pub(crate) lags: Vec<SourceLag>,
    /// Of the whole cache.
    pub(crate) stats: Stats,
    pub(crate) load_time: &'a Histogram,
    pub(crate) bus_gaps: u64,
    pub(crate) events_lost: u64,
    pub(crate) sink_panics: u64,
    pub(crate) tenants_in_use: usize,
    pub(crate) marks: usize,
    pub(crate) tasks: usize,
}

pub(super) fn sample(labels: &[&str], value: MetricValue) -> MetricSample {
    MetricSample { labels: labels.iter().map(|label| (*label).to_owned()).collect(), value }
}

fn one(family: &f::Family, value: MetricValue) -> MetricFamily {
    family.with(vec![sample(&[], value)])
}

fn whole(family: &f::Family, value: u64) -> MetricFamily {
    one(family, MetricValue::Whole(value))
}

fn time(family: &f::Family, value: Duration) -> MetricFamily {
    one(family, MetricValue::Time(value))
}

impl Gathered<'_> {
    pub(crate) fn metrics(&self) -> Metrics {
        let mut families = self.of_tenants();
        families.extend(self.of_tiers());
        families.extend(self.of_latencies());
        families.extend(self.of_the_cache());
        families.extend(self.of_compression());
        families.extend(of_loaders(&self.loaders));
        families.extend(of_followed(&self.stats, &self.lags));
        Metrics { families }
    }

    fn of_tenants(&self) -> Vec<MetricFamily> {
        let hits = self.tenants.iter().flat_map(|one| {
            let tenant = one.label.as_str();
            let below = self.tiers.iter().zip(one.sums.below).map(|(tier, hits)| (tier.name, hits));
            let all = std::iter::once(("memory", one.sums.memory_hits)).chain(below);
            all.map(move |(tier, hits)| sample(&[tier, tenant], MetricValue::Whole(hits)))
        });
        let by_tenant = |value: &dyn Fn(&TenantSums) -> u64| {
            let value = |one| sample(&[TenantSums::label(one)], MetricValue::Whole(value(one)));
            self.tenants.iter().map(value).collect::<Vec<_>>()
        };
        let of_hits = |counter: &Counter| matches!(counter, Counter::memory_hits | Counter::lower_hits);
        let counters = Counter::ALL.into_iter().filter(|counter| !of_hits(counter));
        let mut families = vec![f::HITS.with(hits.collect())];
        families.extend(counters.map(|counter| f::of_counter(counter).with(by_tenant(&|one| one.sums.get(counter)))));
        families.push(f::ENTRIES.with(by_tenant(&|one| one.usage.entries)));
        families.push(f::WEIGHT.with(by_tenant(&|one| one.usage.weight)));
        families
    }

    fn of_tiers(&self) -> Vec<MetricFamily> {
        let stats = &self.stats.tiers;
        let below = stats.get(1..).unwrap_or_default();
        // memory has hits and misses only
        let of = |tiers: &[TierStats], value: fn(&TierStats) -> Option<u64>| -> Vec<MetricSample> {
            let value = |tier: &TierStats| Some(sample(&[&tier.name], MetricValue::Whole(value(tier)?)));
            tiers.iter().filter_map(value).collect()
        };
        vec![
            f::TIER_HITS.with(of(stats, |t| Some(t.hits))),
            f::TIER_MISSES.with(of(stats, |t| Some(t.misses))),
            f::READS.with(of(below, |t| Some(t.reads))),
            f::WRITES.with(of(below, |t| Some(t.writes))),
            f::READ_FAILURES.with(of(below, |t| Some(t.read_failures))),
            f::WRITE_FAILURES.with(of(below, |t| Some(t.write_failures))),
            f::FENCED.with(of(below, |t| Some(t.fenced))),
            f::WRITES_COALESCED.with(of(below, |t| Some(t.writes_coalesced))),
            f::WRITES_LOST.with(of(below, |t| Some(t.writes_lost))),
            f::FOREIGN.with(of(below, |t| Some(t.foreign_envelopes))),
            f::CORRUPT.with(of(below, |t| Some(t.corrupt_envelopes))),
            f::UNKNOWN.with(of(below, |t| Some(t.unknown_envelopes))),
            f::BREAKER_OPENS.with(of(below, |t| Some(t.breaker_opens))),
            f::WRITES_WAITING.with(of(below, |t| Some(t.writes_waiting))),
            f::USED.with(of(stats, |t| t.used_bytes)),
        ]
    }

    fn of_latencies(&self) -> Vec<MetricFamily> {
        let of = |time: fn(&TierCounters) -> Latency| {
            let all = self.tiers.iter();
            all.map(|tier| sample(&[tier.name], MetricValue::Latency(time(tier.counters)))).collect()
        };
        vec![
            one(&f::LOAD_TIME, MetricValue::Latency(self.load_time.read())),
            f::READ_TIME.with(of(|counters| counters.read_time.read())),
            f::WRITE_TIME.with(of(|counters| counters.write_time.read())),
        ]
    }

    fn of_the_cache(&self) -> Vec<MetricFamily> {
        let stats = &self.stats;
        let known = |family: &f::Family, value: Option<u64>| {
            family.with(value.map(|value| sample(&[], MetricValue::Whole(value))).into_iter().collect())
        };
        vec![
            whole(&f::BUS_GAPS, self.bus_gaps),
            known(&f::RESYNCS, stats.resyncs),
            known(&f::PROBES_REFUSED, stats.probes_refused),
            whole(&f::EVENTS_LOST, self.events_lost),
            whole(&f::SINK_PANICS, self.sink_panics),
            known(&f::LIMIT, stats.limit),
            known(&f::MACHINE, stats.machine_memory),
            whole(&f::IN_FLIGHT, stats.loads_in_flight),
            known(&f::WAITING, stats.invalidations_waiting),
            whole(&f::TENANTS, self.tenants_in_use as u64),
            whole(&f::MARKS, self.marks as u64),
            whole(&f::TASKS, self.tasks as u64),
        ]
    }

    fn of_compression(&self) -> Vec<MetricFamily> {
        let stats: CompressionStats = self.stats.compression.unwrap_or_default();
        vec![
            whole(&f::COMPRESSED, stats.compressed),
            whole(&f::DID_NOT_PAY, stats.did_not_pay),
            whole(&f::BYTES_BEFORE, stats.bytes_before),
            whole(&f::BYTES_AFTER, stats.bytes_after),
            time(&f::COMPRESS_TIME, stats.compress_time),
            whole(&f::DECOMPRESSED, stats.decompressed),
            whole(&f::DECOMPRESSED_BYTES, stats.bytes_decompressed),
            time(&f::DECOMPRESS_TIME, stats.decompress_time),
        ]
    }
}
