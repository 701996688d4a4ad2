//! The name, kind, labels and meaning of every metric. The table of the guide is checked against what comes of this.

use super::{
    MetricFamily,
    MetricKind::{self, Counter as Count, Gauge, Histogram},
    MetricSample,
};
use crate::observe::Counter;

/// What is said of a metric.
pub(super) struct Family {
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
}

pub(super) const fn family(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind, labels, help }
}

impl Family {
    pub(super) fn with(&self, samples: Vec<MetricSample>) -> MetricFamily {
        let Self { name, kind, labels, help } = *self;
        MetricFamily { name, help, kind, labels, samples }
    }
}

const TENANT: &[&str] = &["tenant"];
const TIER: &[&str] = &["tier"];
const NONE: &[&str] = &[];

pub(super) const HITS: Family = family("strata_hits_total", Count, &["tier", "tenant"], "Reads answered from a tier.");
pub(super) const ENTRIES: Family = family("strata_entries", Gauge, TENANT, "Entries in memory.");
pub(super) const WEIGHT: Family =
    family("strata_weight_bytes", Gauge, TENANT, "Bytes in memory, by the weight formula.");

/// Returns the metric of a counter of tenants; those of hits are in [`HITS`].
pub(super) const fn of_counter(counter: Counter) -> Family {
    let help = match counter {
        Counter::memory_hits | Counter::lower_hits => HITS.help,
        Counter::misses => "Reads that found nothing usable in any tier.",
        Counter::stale_hits => "Reads answered with a stale value, part of the hits.",
        Counter::absent_hits => "Reads answered with a known absence, part of the hits.",
        Counter::loads => "Runs of a loader.",
        Counter::load_errors => "Loads that failed or panicked.",
        Counter::load_timeouts => "Loads that took longer than their time-out.",
        Counter::flights_joined => "Callers that waited for a load of somebody else.",
        Counter::lease_waits => "Loads that waited for another node to load the same key.",
        Counter::promotions => "Hits in a lower tier that filled memory.",
        Counter::evictions => "Entries evicted from memory for want of capacity.",
        Counter::expirations => "Entries removed from memory because their time had ended or they had become invalid.",
        Counter::invalidations => "Calls that invalidated, expired or cleared something.",
        Counter::refreshes => "Loads started behind a reader.",
        Counter::refresh_errors => "Refreshes that failed.",
        Counter::inserts => "Values inserted by hand.",
        Counter::not_stored => "Values returned but not stored: too heavy, overtaken by an invalidation, or marked so.",
        Counter::type_changes => "Values found under a key with another type or shape than the one asked for.",
        Counter::overloads => "Reads refused because the tenant's loads or waiters were at their limit.",
        Counter::bypasses => {
            "Reads that could not learn of other nodes' invalidations, and used only what was loaded since."
        }
        Counter::probes => {
            "Invalidations of which the other nodes were asked whether they still serve what was invalidated."
        }
        Counter::probes_unanswered => "Probes that no node answered.",
        Counter::probes_dropped => "Probes that were not sent, since too many were under way.",
        Counter::coherence_violations => {
            "Nodes that a probe found to still serve what had been invalidated. It stays 0."
        }
        Counter::invalidations_queued => "Invalidations that had to wait for the shared tier or its coordinator.",
        Counter::key_failures => "Requests for the keys of a tenant that failed.",
        Counter::load_retries => "Loads that were run once more because they had failed.",
        Counter::loader_busy => "Loads that a declared loader refused because its queue was full.",
        Counter::loader_down => "Loads that a declared loader refused because it is left alone.",
        Counter::keys_resting => "Loads that were not begun because the key's last ones had failed.",
    };
    family(counter.metric(), Count, TENANT, help)
}

pub(super) const READS: Family = family(
    "strata_tier_reads_total",
    Count,
    TIER,
    "Operations that read from a tier below memory, batches counted once.",
);
pub(super) const WRITES: Family = family(
    "strata_tier_writes_total",
    Count,
    TIER,
    "Operations that wrote to a tier below memory, batches counted once.",
);
pub(super) const TIER_HITS: Family =
    family("strata_tier_hits_total", Count, TIER, "Entries asked of a tier that it had, and that were of use.");
pub(super) const TIER_MISSES: Family =
    family("strata_tier_misses_total", Count, TIER, "Entries asked of a tier that it did not have, or not to use.");
pub(super) const READ_FAILURES: Family =
    family("strata_read_failures_total", Count, TIER, "Reads of a tier that failed.");
pub(super) const WRITE_FAILURES: Family =
    family("strata_write_failures_total", Count, TIER, "Writes and removals in a tier that failed.");
pub(super) const FENCED: Family = family(
    "strata_fenced_total",
    Count,
    TIER,
    "Writes that a tier refused because the key had been invalidated or written meanwhile.",
);
pub(super) const WRITES_COALESCED: Family = family(
    "strata_writes_coalesced_total",
    Count,
    TIER,
    "Writes behind that were dropped for something newer of their key.",
);
pub(super) const WRITES_LOST: Family =
    family("strata_writes_lost_total", Count, TIER, "Writes behind that never came to a tier.");
pub(super) const FOREIGN: Family = family(
    "strata_foreign_envelopes_total",
    Count,
    TIER,
    "Entries of another key, namespace, tenant or place found under a name; not served.",
);
pub(super) const CORRUPT: Family =
    family("strata_corrupt_envelopes_total", Count, TIER, "Damaged entries found; not served.");
pub(super) const UNKNOWN: Family = family(
    "strata_unknown_envelopes_total",
    Count,
    TIER,
    "Entries found that this node cannot read: of another release, or under a key it does not have; not served.",
);
pub(super) const BREAKER_OPENS: Family =
    family("strata_breaker_opens_total", Count, TIER, "How often a tier was left alone since it did not answer.");
pub(super) const WRITES_WAITING: Family =
    family("strata_writes_waiting", Gauge, TIER, "Writes behind that wait for a tier.");
pub(super) const USED: Family = family("strata_tier_used_bytes", Gauge, TIER, "Bytes a tier holds, where it knows.");

pub(super) const LOAD_TIME: Family = family(
    "strata_load_seconds",
    Histogram,
    NONE,
    "How long loads took, those that failed and the wait for a place included.",
);
pub(super) const READ_TIME: Family = family(
    "strata_tier_read_seconds",
    Histogram,
    TIER,
    "How long reads of a tier below memory took, those that failed included unless it was left alone.",
);
pub(super) const WRITE_TIME: Family = family(
    "strata_tier_write_seconds",
    Histogram,
    TIER,
    "How long writes and removals in a tier below memory took, those that failed included unless it was left alone.",
);

pub(super) const BUS_GAPS: Family = family(
    "strata_bus_gaps_total",
    Count,
    NONE,
    "How often the stream of invalidations did not go on where this node had left it.",
);
pub(super) const RESYNCS: Family = family(
    "strata_resyncs_total",
    Count,
    NONE,
    "Lanes whose marks were taken over anew since invalidations may have been missed.",
);
pub(super) const PROBES_REFUSED: Family =
    family("strata_probes_refused_total", Count, NONE, "Probes of other nodes that this one did not answer.");
pub(super) const EVENTS_LOST: Family =
    family("strata_events_lost_total", Count, NONE, "Events that a sink lost since it was too slow.");
pub(super) const SINK_PANICS: Family =
    family("strata_sink_panics_total", Count, NONE, "How often an event sink panicked.");
pub(super) const COMPRESSED: Family =
    family("strata_compressed_total", Count, NONE, "Values that were stored compressed.");
pub(super) const DID_NOT_PAY: Family = family(
    "strata_compression_did_not_pay_total",
    Count,
    NONE,
    "Values that were stored plain since compression hardly made them smaller.",
);
pub(super) const BYTES_BEFORE: Family =
    family("strata_compression_input_bytes_total", Count, NONE, "Bytes of the compressed values before compression.");
pub(super) const BYTES_AFTER: Family =
    family("strata_compression_output_bytes_total", Count, NONE, "Bytes of the compressed values after it.");
pub(super) const COMPRESS_TIME: Family =
    family("strata_compression_seconds_total", Count, NONE, "Time spent in compressing.");
pub(super) const DECOMPRESSED: Family =
    family("strata_decompressed_total", Count, NONE, "Values that were decompressed.");
pub(super) const DECOMPRESSED_BYTES: Family =
    family("strata_decompression_output_bytes_total", Count, NONE, "Bytes of the decompressed values.");
pub(super) const DECOMPRESS_TIME: Family =
    family("strata_decompression_seconds_total", Count, NONE, "Time spent in decompressing.");
pub(super) const LIMIT: Family = family("strata_limit_bytes", Gauge, NONE, "The memory budget.");
pub(super) const MACHINE: Family = family(
    "strata_machine_memory_bytes",
    Gauge,
    NONE,
    "The memory of the machine or control group, where it is known.",
);
pub(super) const IN_FLIGHT: Family = family("strata_loads_in_flight", Gauge, NONE, "Loads under way.");
pub(super) const WAITING: Family = family(
    "strata_invalidations_waiting",
    Gauge,
    NONE,
    "Invalidations that wait for the shared tier or its coordinator.",
);
pub(super) const TENANTS: Family =
    family("strata_tenants", Gauge, NONE, "Tenants in use on this node, global data among them.");
pub(super) const MARKS: Family = family("strata_marks", Gauge, NONE, "Marks of invalidations that this node keeps.");
pub(super) const TASKS: Family = family("strata_tasks", Gauge, NONE, "Background tasks of the cache.");
