//! What `stats()` returns.

use std::fmt;

use serde::Serialize;

use super::{
    CompressionStats,
    counters::{Sums, TierCounters},
};

/// The counters and gauges of a cache, tenant, namespace or keyspace since the cache was built.
///
/// `Display` prints a few lines for people:
///
/// ```text
/// Hit rate: 85.5% (342 hits, 58 misses)
/// Memory: 245.12 MB / 512.00 MB (47.9%)
/// ```
///
/// A megabyte is 1,048,576 bytes here. Gauges (`entries`, `weight`, ...) are those of the tenant, or of the whole
/// cache; for a namespace or keyspace they are `None`, since the memory tier accounts by tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Reads answered from memory, fresh or stale.
    pub memory_hits: u64,
    /// Reads answered from a tier below memory.
    pub lower_hits: u64,
    /// Reads that found nothing usable in any tier.
    pub misses: u64,
    /// Reads answered with a stale value, part of the hits.
    pub stale_hits: u64,
    /// Reads answered with a known absence, part of the hits.
    pub absent_hits: u64,
    /// Runs of a loader.
    pub loads: u64,
    /// Loads that failed or panicked.
    pub load_errors: u64,
    /// Loads that took longer than their time-out.
    pub load_timeouts: u64,
    /// Loads that were tried again after a failure: part of `loads`.
    pub load_retries: u64,
    /// Loads refused because too many waited for their declared loader.
    pub loader_busy: u64,
    /// Loads refused because their declared loader was left alone.
    pub loader_down: u64,
    /// Loads refused because their key was to rest after a failure.
    pub keys_resting: u64,
    /// Callers that waited for a load of somebody else.
    pub flights_joined: u64,
    /// Loads that waited for another node to load the same key.
    pub lease_waits: u64,
    /// Hits in a lower tier that filled memory.
    pub promotions: u64,
    /// Entries removed from memory because their time had ended or they had become invalid.
    pub expirations: u64,
    /// Calls that invalidated, expired or cleared something.
    pub invalidations: u64,
    /// Loads started behind a reader.
    pub refreshes: u64,
    /// Refreshes that failed.
    pub refresh_errors: u64,
    /// Values inserted by hand.
    pub inserts: u64,
    /// Values returned but not stored: too heavy, overtaken by an invalidation, or marked so.
    pub not_stored: u64,
    /// Values found under a key with another type or shape than the one asked for.
    pub type_changes: u64,
    /// Reads refused because the tenant's loads or waiters were at their limit.
    pub overloads: u64,
    /// Reads that could not learn of other nodes' invalidations, and used only what was loaded since.
    pub bypasses: u64,
    /// Invalidations of this node of which the others were asked, some time later, whether they still serve what was
    /// invalidated ([`probe`](crate::CacheBuilder::probe)).
    pub probes: u64,
    /// Probes that no node answered: part of `probes`.
    pub probes_unanswered: u64,
    /// Invalidations that were to be probed and were not, since too many probes were under way.
    pub probes_dropped: u64,
    /// Nodes that a probe found to still serve what had been invalidated. It stays 0 where the promise of coherence is kept.
    pub coherence_violations: u64,
    /// Probes of other nodes that this one did not answer, since there were too many.
    pub probes_refused: Option<u64>,
    /// Invalidations that had to wait for the shared tier or its coordinator (`or_queue`).
    pub invalidations_queued: u64,
    /// Invalidations that wait now; those that are the same count once.
    pub invalidations_waiting: Option<u64>,
    /// Requests for the keys of a tenant that failed; its tiers below memory were left alone for a while after each.
    pub key_failures: u64,
    /// Changes of followed sources whose invalidation was ordered ([`Cache::follow`](crate::Cache::follow)).
    pub changes_applied: Option<u64>,
    /// Changes of followed sources that cannot be applied, and were set aside for an operator.
    pub changes_set_aside: Option<u64>,
    /// Invalidations for followed sources that failed and were tried again.
    pub change_retries: Option<u64>,
    /// Times that a followed source had lost changes.
    pub change_gaps: Option<u64>,
    /// Calls of followed sources that failed.
    pub source_failures: Option<u64>,
    /// Lanes whose marks were taken over anew since invalidations may have been missed.
    pub resyncs: Option<u64>,
    /// Entries evicted from memory for want of capacity.
    pub evicted_for_capacity: Option<u64>,
    /// Entries in memory.
    pub entries: Option<u64>,
    /// Bytes in memory, by the weight formula.
    pub weight: Option<u64>,
    /// Bytes that may be used: the cache's budget or the tenant's limit.
    pub limit: Option<u64>,
    /// The machine's or control group's memory in bytes, where it can be read.
    pub machine_memory: Option<u64>,
    /// Loads under way now.
    pub loads_in_flight: u64,
    /// What compression saved and took, in the whole cache.
    pub compression: Option<CompressionStats>,
    /// The tiers, memory first.
    pub tiers: Vec<TierStats>,
}

/// The counters of one tier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TierStats {
    /// The tier's name.
    pub name: String,
    /// Reads it answered.
    pub hits: u64,
    /// Reads it could not answer.
    pub misses: u64,
    /// Operations that read, batches counted once.
    pub reads: u64,
    /// Operations that wrote or removed, batches counted once.
    pub writes: u64,
    /// Reads that failed.
    pub read_failures: u64,
    /// Writes and removals that failed.
    pub write_failures: u64,
    /// Writes refused because the key had been invalidated or written meanwhile.
    pub fenced: u64,
    /// Writes that wait for it now ([`WriteMode::Behind`](crate::WriteMode::Behind)); those under way are none of them.
    pub writes_waiting: u64,
    /// Writes that waited, and were dropped for something newer of their key: a write, an insert or an invalidation.
    pub writes_coalesced: u64,
    /// Writes behind that never came to it: it failed, the queue was full, they ended while they waited, or the cache was
    /// closed.
    pub writes_lost: u64,
    /// Entries of another key, namespace or tenant found under a name, and encrypted ones that were not written to this place or
    /// were changed since; not served.
    pub foreign_envelopes: u64,
    /// Damaged entries found, and not served.
    pub corrupt_envelopes: u64,
    /// Entries found that this node cannot know, and not served: of another release (version, codec or compression), encrypted
    /// where this cache does not or the other way round, or under a key that is gone.
    pub unknown_envelopes: u64,
    /// How often its breaker opened.
    pub breaker_opens: u64,
    /// Bytes it holds, where it knows.
    pub used_bytes: Option<u64>,
}

impl Stats {
    pub(crate) fn from_sums(sums: &Sums) -> Self {
        Self {
            memory_hits: sums.memory_hits,
            lower_hits: sums.lower_hits,
            misses: sums.misses,
            stale_hits: sums.stale_hits,
            absent_hits: sums.absent_hits,
            loads: sums.loads,
            load_errors: sums.load_errors,
            load_timeouts: sums.load_timeouts,
            flights_joined: sums.flights_joined,
            lease_waits: sums.lease_waits,
            promotions: sums.promotions,
            expirations: sums.expirations,
            invalidations: sums.invalidations,
            refreshes: sums.refreshes,
            refresh_errors: sums.refresh_errors,
            inserts: sums.inserts,
            not_stored: sums.not_stored,
            type_changes: sums.type_changes,
            load_retries: sums.load_retries,
            loader_busy: sums.loader_busy,
            loader_down: sums.loader_down,
            keys_resting: sums.keys_resting,
            overloads: sums.overloads,
            bypasses: sums.bypasses,
            probes: sums.probes,
            probes_unanswered: sums.probes_unanswered,
            probes_dropped: sums.probes_dropped,
            coherence_violations: sums.coherence_violations,
            invalidations_queued: sums.invalidations_queued,
            key_failures: sums.key_failures,
            ..Self::default()
        }
    }

    /// Returns the reads answered from any tier.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.memory_hits + self.lower_hits
    }

    /// Returns hits as a fraction of all reads, 0 to 1; `None` before the first read.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let reads = self.hits() + self.misses;
        (reads > 0).then(|| self.hits() as f64 / reads as f64)
    }

    /// Returns the weight as a percentage of the limit, where both are known.
    #[must_use]
    pub fn used_percent(&self) -> Option<f64> {
        match (self.weight, self.limit) {
            (Some(weight), Some(limit)) if limit > 0 => Some(weight as f64 * 100.0 / limit as f64),
            _ => None,
        }
    }
}

impl TierStats {
    pub(crate) fn from_counters(
        name: &str,
        counters: &TierCounters,
        writes_waiting: usize,
        used_bytes: Option<u64>,
    ) -> Self {
        let read = |c: &std::sync::atomic::AtomicU64| c.load(std::sync::atomic::Ordering::Relaxed);
        Self {
            name: name.to_owned(),
            hits: read(&counters.hits),
            misses: read(&counters.misses),
            reads: read(&counters.reads),
            writes: read(&counters.writes),
            read_failures: read(&counters.read_failures),
            write_failures: read(&counters.write_failures),
            fenced: read(&counters.fenced),
            writes_waiting: writes_waiting as u64,
            writes_coalesced: read(&counters.writes_coalesced),
            writes_lost: read(&counters.writes_lost),
            foreign_envelopes: read(&counters.foreign_envelopes),
            corrupt_envelopes: read(&counters.corrupt_envelopes),
            unknown_envelopes: read(&counters.unknown_envelopes),
            breaker_opens: read(&counters.breaker_opens),
            used_bytes,
        }
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hit_rate() {
            Some(rate) => {
                write!(f, "Hit rate: {:.1}% ({} hits, {} misses)", rate * 100.0, self.hits(), self.misses)?;
            }
            None => write!(f, "Hit rate: no reads yet")?,
        }
        if let (Some(weight), Some(limit), Some(percent)) = (self.weight, self.limit, self.used_percent()) {
            write!(f, "\nMemory: {:.2} MB / {:.2} MB ({percent:.1}%)", megabytes(weight), megabytes(limit))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_print_as_people_read_them() {
        let stats = Stats {
            memory_hits: 300,
            lower_hits: 42,
            misses: 58,
            weight: Some(257_027_277),
            limit: Some(512 << 20),
            ..Stats::default()
        };
        assert_eq!(stats.to_string(), "Hit rate: 85.5% (342 hits, 58 misses)\nMemory: 245.12 MB / 512.00 MB (47.9%)");
        assert_eq!(Stats::default().hit_rate(), None);
        assert_eq!(Stats::default().to_string(), "Hit rate: no reads yet");
    }
}
